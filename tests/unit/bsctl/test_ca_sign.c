/* SPDX-License-Identifier: Apache-2.0 */
/* What the authority signs, examined with the library's own verification. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "suites.h"
#include "tools/bsctl/ca_sign.h"

static struct bs_ctl_error e;
static struct bs_ca_made root;
static struct bs_ca_signer *signer;

static void setup(void)
{
	ck_assert_int_eq(bs_ca_sign_root("Test CA", 100, 2048, &root, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_signer_new(root.cert, strlen(root.cert), root.key, strlen(root.key),
					  "ca", &signer, &e),
			 BS_CTL_OK);
}

static void teardown(void)
{
	bs_ca_signer_free(signer);
	bs_ca_made_fini(&root);
}

static X509 *cert_of(const char *pem)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	ck_assert_ptr_nonnull(x);
	return x;
}

/* X509_V_OK or why not; crl may be NULL. */
static int verify(const char *pem, const char *crl, int purpose)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *ca = cert_of(root.cert);
	X509 *x = cert_of(pem);
	X509_CRL *list = NULL;
	int err;

	X509_STORE_add_cert(store, ca);
	if (crl) {
		BIO *bio = BIO_new_mem_buf(crl, -1);

		list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
		BIO_free(bio);
		ck_assert_ptr_nonnull(list);
		X509_STORE_add_crl(store, list);
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	}
	X509_STORE_set_purpose(store, purpose);
	X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT);
	ck_assert_int_eq(X509_STORE_CTX_init(ctx, store, x, NULL), 1);
	err = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_CRL_free(list);
	X509_free(ca);
	X509_free(x);
	return err;
}

static struct bs_ca_order order(bool server, const char *const *names, size_t n)
{
	return (struct bs_ca_order){ .server = server,
				     .names = names,
				     .n_names = n,
				     .days = 10,
				     .bits = 2048,
				     .place = "f" };
}

START_TEST(test_root)
{
	X509 *x = cert_of(root.cert);
	char name[65];
	char fp[65];
	int64_t until;

	ck_assert_int_eq(X509_check_ca(x), 1);
	ck_assert_int_eq((int)X509_get_pathlen(x), 0);
	ck_assert_uint_eq(X509_get_key_usage(x), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	ck_assert_int_eq(X509_self_signed(x, 1), 1);
	bs_ca_signer_info(signer, name, sizeof(name), &until, fp);
	ck_assert_str_eq(name, "Test CA");
	ck_assert_int_eq(until, root.not_after);
	ck_assert_uint_eq(strlen(fp), 64);
	/* A serial of 16 bytes, positive, never the same. */
	ck_assert_uint_eq(strlen(root.serial), 32);
	ck_assert_int_lt(root.serial[0], '8');
	X509_free(x);
}
END_TEST

START_TEST(test_root_bad)
{
	struct bs_ca_made m;

	ck_assert_int_eq(bs_ca_sign_root("", 10, 2048, &m, &e), BS_CTL_BAD_INPUT);
	ck_assert_int_eq(bs_ca_sign_root("x", 0, 2048, &m, &e), BS_CTL_BAD_INPUT);
	ck_assert_int_eq(bs_ca_sign_root("x", BS_CA_DAYS_MAX + 1, 2048, &m, &e), BS_CTL_BAD_INPUT);
	ck_assert_int_eq(bs_ca_sign_root("x", 10, 1024, &m, &e), BS_CTL_BAD_INPUT);
	ck_assert_int_eq(bs_ca_sign_root("x", 10, 16384, &m, &e), BS_CTL_BAD_INPUT);
	ck_assert_ptr_null(m.key);
	bs_ca_made_fini(&m);
}
END_TEST

START_TEST(test_client)
{
	static const char *const names[] = { "alice@example.com" };
	struct bs_ca_order o = order(false, names, 1);
	struct bs_ca_made m;
	X509 *x;

	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_OK);
	ck_assert_int_eq(verify(m.cert, NULL, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	ck_assert_int_ne(verify(m.cert, NULL, X509_PURPOSE_SSL_SERVER), X509_V_OK);
	x = cert_of(m.cert);
	ck_assert_int_eq(X509_check_email(x, names[0], 0, 0), 1);
	ck_assert_int_eq(X509_check_email(x, "eve@example.com", 0, 0), 0);
	ck_assert_int_eq(X509_check_ca(x), 0);
	ck_assert_int_le(m.not_before, (int64_t)time(NULL));
	ck_assert_str_ne(m.serial, root.serial);
	X509_free(x);
	bs_ca_made_fini(&m);
	bs_ca_made_fini(&m);
}
END_TEST

START_TEST(test_server)
{
	static const char *const names[] = { "a.example.com", "192.0.2.1", "2001:db8::1" };
	static const char *const bad[] = { "a.example.com", "b c" };
	struct bs_ca_order o = order(true, names, 3);
	struct bs_ca_made m;
	X509 *x;

	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_OK);
	ck_assert_int_eq(verify(m.cert, NULL, X509_PURPOSE_SSL_SERVER), X509_V_OK);
	ck_assert_int_ne(verify(m.cert, NULL, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	x = cert_of(m.cert);
	ck_assert_int_eq(X509_check_host(x, "a.example.com", 0, 0, NULL), 1);
	ck_assert_int_eq(X509_check_host(x, "b.example.com", 0, 0, NULL), 0);
	ck_assert_int_eq(X509_check_ip_asc(x, "192.0.2.1", 0), 1);
	ck_assert_int_eq(X509_check_ip_asc(x, "2001:db8::1", 0), 1);
	X509_free(x);
	bs_ca_made_fini(&m);
	o = order(true, bad, 2);
	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_BAD_INPUT);
	ck_assert_str_eq(e.place, "b c");
}
END_TEST

START_TEST(test_days)
{
	static const char *const names[] = { "x" };
	struct bs_ca_order o = order(false, names, 1);
	struct bs_ca_made m;

	o.days = 0;
	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_BAD_INPUT);
	o.days = 200;
	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_OK);
	ck_assert_int_eq(m.not_after, root.not_after);
	bs_ca_made_fini(&m);
	o.days_given = true;
	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_BAD_INPUT);
	ck_assert_str_eq(e.place, "--days");
}
END_TEST

START_TEST(test_request)
{
	static const char *const names[] = { "alice" };
	struct bs_ca_order o = order(false, names, 1);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *req = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	struct bs_ca_made m;
	char *text;
	char *copy;
	long len;
	X509 *x;

	X509_REQ_set_pubkey(req, key);
	X509_REQ_sign(req, key, EVP_sha256());
	PEM_write_bio_X509_REQ(bio, req);
	len = BIO_get_mem_data(bio, &text);
	o.csr = text;
	o.csr_len = (size_t)len;
	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_OK);
	ck_assert_ptr_null(m.key);
	x = cert_of(m.cert);
	ck_assert_int_eq(EVP_PKEY_eq(X509_get0_pubkey(x), key), 1);
	ck_assert_int_eq(verify(m.cert, NULL, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	X509_free(x);
	bs_ca_made_fini(&m);
	/* One bit of the signature is another request's. */
	copy = malloc((size_t)len + 1);
	memcpy(copy, text, (size_t)len);
	copy[len] = '\0';
	*(strstr(copy, "\n-----END") - 6) ^= 1;
	o.csr = copy;
	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_BAD_INPUT);
	ck_assert_str_eq(e.place, "f");
	o.csr = "nothing";
	o.csr_len = 7;
	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_BAD_INPUT);
	free(copy);
	BIO_free(bio);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
}
END_TEST

START_TEST(test_crl)
{
	static const char *const names[] = { "alice" };
	struct bs_ca_order o = order(false, names, 1);
	struct bs_ca_revoked list[2] = { { "", 1700000000, 1 }, { "0a", 1700000000, 0 } };
	struct bs_ca_made m;
	struct bs_ca_made other;
	char *crl;
	int64_t last;
	int64_t next;

	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_sign(signer, &o, &other, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_sign_crl(signer, NULL, 0, 30, &crl, &e), BS_CTL_OK);
	ck_assert_int_eq(verify(m.cert, crl, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	ck_assert_int_eq(bs_ca_crl_times(crl, strlen(crl), &last, &next, &e), BS_CTL_OK);
	ck_assert_int_ge(next, (int64_t)time(NULL) + 29 * 86400);
	ck_assert_int_le(last, (int64_t)time(NULL));
	bs_ca_text_free(crl);
	memcpy(list[0].serial, m.serial, sizeof(list[0].serial));
	ck_assert_int_eq(bs_ca_sign_crl(signer, list, 2, 30, &crl, &e), BS_CTL_OK);
	ck_assert_int_eq(verify(m.cert, crl, X509_PURPOSE_SSL_CLIENT), X509_V_ERR_CERT_REVOKED);
	ck_assert_int_eq(verify(other.cert, crl, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
	bs_ca_text_free(crl);
	bs_ca_text_free(NULL);
	ck_assert_int_eq(bs_ca_crl_times("junk", 4, &last, &next, &e), BS_CTL_BAD_INPUT);
	bs_ca_made_fini(&m);
	bs_ca_made_fini(&other);
}
END_TEST

START_TEST(test_signer_bad)
{
	static const char *const names[] = { "alice" };
	struct bs_ca_order o = order(false, names, 1);
	struct bs_ca_signer *s = NULL;
	struct bs_ca_made m;

	ck_assert_int_eq(bs_ca_sign(signer, &o, &m, &e), BS_CTL_OK);
	/* A leaf is no authority, another key is not its key, junk is neither. */
	ck_assert_int_eq(
		bs_ca_signer_new(m.cert, strlen(m.cert), m.key, strlen(m.key), "p", &s, &e),
		BS_CTL_BAD_INPUT);
	ck_assert_int_eq(
		bs_ca_signer_new(root.cert, strlen(root.cert), m.key, strlen(m.key), "p", &s, &e),
		BS_CTL_BAD_INPUT);
	ck_assert_ptr_nonnull(strstr(e.reason, "not the key"));
	ck_assert_int_eq(bs_ca_signer_new("junk", 4, NULL, 0, "p", &s, &e), BS_CTL_BAD_INPUT);
	ck_assert_int_eq(bs_ca_signer_new(root.cert, strlen(root.cert), "junk", 4, "p", &s, &e),
			 BS_CTL_BAD_INPUT);
	ck_assert_str_eq(e.place, "p");
	ck_assert_ptr_null(s);
	/* To look at, no key is needed. */
	ck_assert_int_eq(bs_ca_signer_new(root.cert, strlen(root.cert), NULL, 0, "p", &s, &e),
			 BS_CTL_OK);
	bs_ca_signer_free(s);
	bs_ca_signer_free(NULL);
	bs_ca_made_fini(&m);
}
END_TEST

Suite *bs_suite_bsctl_ca_sign(void)
{
	Suite *s = suite_create("bsctl_ca_sign");
	TCase *tc = tcase_create("signing");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_root);
	tcase_add_test(tc, test_root_bad);
	tcase_add_test(tc, test_client);
	tcase_add_test(tc, test_server);
	tcase_add_test(tc, test_days);
	tcase_add_test(tc, test_request);
	tcase_add_test(tc, test_crl);
	tcase_add_test(tc, test_signer_bad);
	suite_add_tcase(s, tc);
	return s;
}
