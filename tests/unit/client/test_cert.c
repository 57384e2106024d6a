/* SPDX-License-Identifier: Apache-2.0 */
/* What certificates say: the identity rule row by row, and the words for bad ones. */
#include "cert.h"

#include <openssl/x509v3.h>

#include "certs.h"
#include "rig.h"

Suite *bs_suite_cert(void);

static const struct {
	const char *cn;
	const char *san;
	const char *id;
} rows[] = {
	{ "alice", "", "alice" },
	{ "Alice@EXAMPLE.com", "", "alice@example.com" },
	{ "alice", "email:bob@example.com", "bob@example.com" },
	{ "alice", "email:Bob@Example.COM", "bob@example.com" },
	{ "alice", "email:a@x,email:b@x", "" },
	{ "alice", "DNS:host.example", "alice" },
	{ "", "DNS:host.example", "" },
	{ "", "email:only@x", "only@x" },
	{ "two words", "", "" },
	{ "caf\xc3\xa9", "", "" },
	{ "!~", "", "!~" },
	{ "a23456789012345678901234567890123456789012345678901234567890abcd", "",
	  "a23456789012345678901234567890123456789012345678901234567890abcd" },
	/* One byte too many; a common name stops at 64 anyway, a mail address does not. */
	{ "x", "email:a234567890123456789012345678901234567890123456789012345@6789.123456", "" },
};

START_TEST(identity)
{
	struct certs *pki = certs_get();
	struct cert_opts o = { .cn = rows[_i].cn, .san = rows[_i].san };
	X509 *x = cert_make(pki->rsa, pki->ca, pki->ca_key, &o);
	char id[BS_CLIENT_ID_MAX + 1] = "untouched";

	bsc__cert_identity(x, id);
	ck_assert_str_eq(id, rows[_i].id);
	X509_free(x);
}
END_TEST

START_TEST(two_common_names_are_none)
{
	struct certs *pki = certs_get();
	const struct cert_opts o = { .cn = "one", .san = "" };
	X509 *x = cert_make(pki->rsa, pki->ca, pki->ca_key, &o);
	char id[BS_CLIENT_ID_MAX + 1];

	ck_assert_int_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
						    (const unsigned char *)"two", -1, -1, 0),
			 1);
	bsc__cert_identity(x, id);
	ck_assert_str_eq(id, "");
	X509_free(x);
}
END_TEST

START_TEST(a_nul_in_a_name_is_no_identity)
{
	struct certs *pki = certs_get();
	const struct cert_opts o = { .cn = "", .san = "" };
	X509 *x = cert_make(pki->rsa, pki->ca, pki->ca_key, &o);
	char id[BS_CLIENT_ID_MAX + 1];

	ck_assert_int_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
						    (const unsigned char *)"ad\0min", 6, -1, 0),
			 1);
	bsc__cert_identity(x, id);
	ck_assert_str_eq(id, "");
	X509_free(x);
}
END_TEST

START_TEST(the_fingerprint_belongs_to_the_key)
{
	struct certs *pki = certs_get();
	const struct cert_opts a = { .cn = "a", .serial = 5 };
	const struct cert_opts b = { .cn = "b", .serial = 6, .to = 2 * DAY };
	X509 *x = cert_make(pki->rsa, pki->ca, pki->ca_key, &a);
	X509 *y = cert_make(pki->rsa, pki->ca, pki->ca_key, &b);
	X509 *z = cert_make(pki->other, pki->ca, pki->ca_key, &a);
	uint8_t fx[32];
	uint8_t fy[32];
	uint8_t fz[32];

	ck_assert(bsc__cert_key_fp(x, fx) && bsc__cert_key_fp(y, fy) && bsc__cert_key_fp(z, fz));
	ck_assert_mem_eq(fx, fy, 32);
	ck_assert_mem_ne(fx, fz, 32);
	X509_free(x);
	X509_free(y);
	X509_free(z);
}
END_TEST

START_TEST(every_verification_result_is_an_authentication_failure)
{
	for (long v = 1; v < 100; v++) {
		struct bsc_error e = { 0 };

		ck_assert_int_eq(bsc__cert_fail(v, "h.example", 1234, &e), BS_EAUTH);
		ck_assert_uint_ge(e.code, BSC_SERVER_EXPIRED);
		ck_assert_uint_le(e.code, BSC_SERVER_CRL);
		ck_assert_ptr_nonnull(strstr(e.text, "h.example:1234"));
	}
}
END_TEST

Suite *bs_suite_cert(void)
{
	Suite *s = suite_create("client cert");
	TCase *t = tcase_create("cert");

	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, identity, 0, (int)LEN(rows));
	tcase_add_test(t, two_common_names_are_none);
	tcase_add_test(t, a_nul_in_a_name_is_no_identity);
	tcase_add_test(t, the_fingerprint_belongs_to_the_key);
	tcase_add_test(t, every_verification_result_is_an_authentication_failure);
	suite_add_tcase(s, t);
	return s;
}
