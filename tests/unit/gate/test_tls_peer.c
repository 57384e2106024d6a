/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_internal.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "pki.h"
#include "test.h"

static EVP_PKEY *key;

static void make_key(void)
{
	key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	ck_assert_ptr_nonnull(key);
}

static void drop_key(void)
{
	EVP_PKEY_free(key);
}

#define TEXT64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/** What a certificate says, and the identity (NULL = fault). */
static const struct {
	struct pki_opts o;
	const char *identity;
	enum bs_tls_id_fault fault;
} rows[] = {
	{ { .email = "ann@example.org" }, "ann@example.org", BS_TLS_ID_OK },
	{ { .email = "Ann@Example.ORG" }, "ann@example.org", BS_TLS_ID_OK },
	{ { .cn = "Sensor-17" }, "sensor-17", BS_TLS_ID_OK },
	{ { .cn = "other", .email = "a@b" }, "a@b", BS_TLS_ID_OK },
	{ { .cn = "one", .cn2 = "two", .email = "a@b" }, "a@b", BS_TLS_ID_OK },
	{ { .cn = "name", .dns = "host.example" }, "name", BS_TLS_ID_OK },
	{ { .cn = TEXT64 }, TEXT64, BS_TLS_ID_OK },
	{ { .email = "!~" }, "!~", BS_TLS_ID_OK },
	{ { .dns = "host.example" }, NULL, BS_TLS_ID_NONE },
	{ { 0 }, NULL, BS_TLS_ID_NONE },
	{ { .email = "a@b", .email2 = "c@d" }, NULL, BS_TLS_ID_MANY_SAN },
	{ { .email = "a@b", .email2 = "a@b" }, NULL, BS_TLS_ID_MANY_SAN },
	{ { .cn = "one", .cn2 = "two" }, NULL, BS_TLS_ID_MANY_CN },
	{ { .cn = "one", .cn2 = "one" }, NULL, BS_TLS_ID_MANY_CN },
	{ { .email = TEXT64 "x" }, NULL, BS_TLS_ID_LENGTH },
	{ { .email = "" }, NULL, BS_TLS_ID_LENGTH },
	/* A good CN must not stand in for a bad mail name. */
	{ { .cn = "good", .email = "a b" }, NULL, BS_TLS_ID_BYTES },
	{ { .cn = "two words" }, NULL, BS_TLS_ID_BYTES },
	{ { .cn = "admin\0.evil", .cn_len = 11 }, NULL, BS_TLS_ID_BYTES },
	{ { .email = "tab\there" }, NULL, BS_TLS_ID_BYTES },
	{ { .email = "del\x7f" }, NULL, BS_TLS_ID_BYTES },
	{ { .email = "\xc3\xa4@b" }, NULL, BS_TLS_ID_BYTES },
	{ { .cn = "line\n" }, NULL, BS_TLS_ID_BYTES },
};

START_TEST(the_identity_rule)
{
	X509 *x = pki_issue(key, NULL, key, &rows[_i].o);
	struct bs_tls_peer p;

	memset(&p, 0xA5, sizeof(p));
	ck_assert_int_eq(bs__tls_peer_fill(&p, x, EVP_sha256()), BS_OK);
	ck_assert_msg(p.id_fault == rows[_i].fault, "row %d: %s", _i,
		      bs_tls_id_fault_text(p.id_fault));
	ck_assert_str_eq(p.identity, rows[_i].identity ? rows[_i].identity : "");
	X509_free(x);
}
END_TEST

START_TEST(a_utf8_name_that_is_no_ascii_is_refused)
{
	X509 *x = pki_issue(key, NULL, key, &(struct pki_opts){ 0 });
	X509_NAME *n = X509_NAME_new();
	struct bs_tls_peer p;

	/* A full-width "a": looks like the letter, is another byte sequence. */
	X509_NAME_add_entry_by_NID(n, NID_commonName, MBSTRING_UTF8,
				   (const unsigned char *)"\xef\xbd\x81nn", -1, -1, 0);
	X509_set_subject_name(x, n);
	X509_NAME_free(n);
	ck_assert_int_eq(bs__tls_peer_fill(&p, x, EVP_sha256()), BS_OK);
	ck_assert_int_eq(p.id_fault, BS_TLS_ID_BYTES);
	X509_free(x);
}
END_TEST

START_TEST(the_key_fingerprint_is_that_of_the_public_key_info)
{
	X509 *a = pki_issue(key, NULL, key, &(struct pki_opts){ .cn = "a", .serial = 1 });
	X509 *b = pki_issue(key, NULL, key, &(struct pki_opts){ .cn = "b", .serial = 2 });
	struct bs_tls_peer pa, pb;
	unsigned char *der = NULL;
	uint8_t want[BS_TLS_HASH_LEN];
	int len = i2d_PUBKEY(key, &der);

	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(EVP_Digest(der, (size_t)len, want, NULL, EVP_sha256(), NULL), 1);
	ck_assert_int_eq(bs__tls_peer_fill(&pa, a, EVP_sha256()), BS_OK);
	ck_assert_int_eq(bs__tls_peer_fill(&pb, b, EVP_sha256()), BS_OK);
	ck_assert_mem_eq(pa.key_fp, want, sizeof(want));
	ck_assert_mem_eq(pb.key_fp, want, sizeof(want));
	ck_assert_mem_ne(pa.leaf_fp, pb.leaf_fp, sizeof(want));
	OPENSSL_free(der);
	X509_free(a);
	X509_free(b);
}
END_TEST

START_TEST(the_serial_has_no_leading_zeros_and_a_limit)
{
	X509 *x = pki_issue(key, NULL, key, &(struct pki_opts){ .cn = "a", .serial = 0x1234 });
	uint8_t big[BS_TLS_SERIAL_MAX + 1];
	struct bs_tls_peer p;

	ck_assert_int_eq(bs__tls_peer_fill(&p, x, EVP_sha256()), BS_OK);
	ck_assert_uint_eq(p.serial_len, 2);
	ck_assert_mem_eq(p.serial, "\x12\x34", 2);

	memset(big, 0x7F, sizeof(big));
	ck_assert_int_eq(ASN1_STRING_set(X509_get_serialNumber(x), big, BS_TLS_SERIAL_MAX), 1);
	ck_assert_int_eq(bs__tls_peer_fill(&p, x, EVP_sha256()), BS_OK);
	ck_assert_uint_eq(p.serial_len, BS_TLS_SERIAL_MAX);
	ck_assert_int_eq(ASN1_STRING_set(X509_get_serialNumber(x), big, sizeof(big)), 1);
	ck_assert_int_eq(bs__tls_peer_fill(&p, x, EVP_sha256()), BS_EFIELD);
	X509_free(x);
}
END_TEST

START_TEST(times_are_unix_seconds)
{
	ASN1_TIME *t = ASN1_TIME_new();

	ck_assert_int_eq(ASN1_TIME_set_string(t, "20260102030405Z"), 1);
	ck_assert_uint_eq(bs__tls_time(t), PKI_NOW);
	ck_assert_int_eq(ASN1_TIME_set_string(t, "690101000000Z"), 1);
	ck_assert_uint_eq(bs__tls_time(t), 0);
	ck_assert_int_eq(ASN1_TIME_set_string(t, "99991231235959Z"), 1);
	ck_assert(bs__tls_time(t) > PKI_NOW);
	ck_assert_uint_eq(bs__tls_time(NULL), 0);
	ASN1_TIME_free(t);
}
END_TEST

START_TEST(every_fault_has_a_text)
{
	for (int i = 0; i <= BS_TLS_ID_BYTES; i++)
		ck_assert(strlen(bs_tls_id_fault_text(i)) > 10);
	ck_assert_str_eq(bs_tls_id_fault_text(99), "unknown identity fault");
}
END_TEST

Suite *bs_suite_tls_peer(void)
{
	Suite *s = suite_create("tls_peer");
	TCase *tc = tcase_create("peer");

	tcase_add_unchecked_fixture(tc, make_key, drop_key);
	tcase_add_loop_test(tc, the_identity_rule, 0, (int)BS_LEN(rows));
	tcase_add_test(tc, a_utf8_name_that_is_no_ascii_is_refused);
	tcase_add_test(tc, the_key_fingerprint_is_that_of_the_public_key_info);
	tcase_add_test(tc, the_serial_has_no_leading_zeros_and_a_limit);
	tcase_add_test(tc, times_are_unix_seconds);
	tcase_add_test(tc, every_fault_has_a_text);
	suite_add_tcase(s, tc);
	return s;
}
