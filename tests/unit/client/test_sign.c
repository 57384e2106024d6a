/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that live elsewhere: RSA with both paddings, ECDSA, and callbacks that fail. */
#include <openssl/rsa.h>

#include "certs.h"
#include "rig.h"
#include "sign.h"

Suite *bs_suite_sign(void);

/** A pretended token. */
static struct {
	EVP_PKEY *key;
	int calls;
	enum bsc_sign last;
	int fail;   /**< error to return */
	bool wrong; /**< sign something else */
	bool cut;   /**< give one byte less */
} token;

static struct certs *pki;
static struct bsc_config cfg;
static struct bsc__tls_ctx *ctx;
static struct server srv;

/** What a token does: the raw operation, with padding where asked. */
static int sign(void *arg, enum bsc_sign how, const uint8_t *in, size_t in_len, uint8_t *out,
		size_t out_cap, size_t *out_len)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(token.key, NULL);
	uint8_t copy[512];
	int rc;

	ck_assert_ptr_eq(arg, &token);
	ck_assert_uint_le(in_len, sizeof copy);
	token.calls++;
	token.last = how;
	if (token.fail != 0) {
		EVP_PKEY_CTX_free(c);
		return token.fail;
	}
	memcpy(copy, in, in_len);
	if (token.wrong)
		copy[in_len - 1] ^= 1;
	*out_len = out_cap;
	rc = EVP_PKEY_sign_init(c);
	if (rc == 1 && how != BSC_SIGN_ECDSA)
		rc = EVP_PKEY_CTX_set_rsa_padding(c, how == BSC_SIGN_RSA_PKCS1 ? RSA_PKCS1_PADDING
									       : RSA_NO_PADDING);
	if (rc == 1)
		rc = EVP_PKEY_sign(c, out, out_len, copy, in_len);
	EVP_PKEY_CTX_free(c);
	if (token.cut)
		(*out_len)--;
	return rc == 1 ? BS_OK : BS_ECRYPTO;
}

static void prepare(EVP_PKEY *key)
{
	static const struct cert_opts client = { .cn = "token" };
	X509 *cert = cert_make(key, pki->ca, pki->ca_key, &client);
	struct bsc_error e = { 0 };

	token.key = key;
	cfg.cert_file = cert_file("token.pem", cert, NULL);
	X509_free(cert);
	ck_assert_msg(bsc__tls_ctx_new(&cfg, &ctx, &e) == BS_OK, "%s", e.text);
}

static void setup(void)
{
	pki = certs_get();
	memset(&token, 0, sizeof token);
	memset(&srv, 0, sizeof srv);
	ctx = NULL;
	bsc_config_init(&cfg, sizeof cfg);
	cfg.ca_file = cert_file("ca.pem", pki->ca, NULL);
	cfg.sign = sign;
	cfg.sign_arg = &token;
}

static void teardown(void)
{
	bsc__tls_ctx_free(ctx);
	server_fini(&srv);
}

static uint32_t meet(int version)
{
	const struct server_opts o = { .version = version, .want_client = true };
	struct bsc_error e = { 0 };
	struct bsc__tls *t;
	int rc;

	server_init(&srv, &o);
	t = bsc__tls_new(ctx, "h", 1, "localhost");
	rc = server_talk(&srv, t, &e);
	bsc__tls_free(t);
	ck_assert_int_ne(rc, BS_EAGAIN);
	return rc == BS_OK ? 0 : e.code;
}

START_TEST(rsa_signs_with_tls_1_2)
{
	prepare(pki->rsa);
	ck_assert_uint_eq(meet(TLS1_2_VERSION), 0);
	ck_assert_int_eq(token.calls, 1);
}
END_TEST

START_TEST(rsa_signs_with_pkcs1_where_the_server_wants_it)
{
	const struct server_opts o = { .version = TLS1_2_VERSION, .want_client = true };
	struct bsc_error e = { 0 };
	struct bsc__tls *t;

	prepare(pki->rsa);
	server_init(&srv, &o);
	ck_assert_int_eq(SSL_set1_client_sigalgs_list(srv.ssl, "RSA+SHA256"), 1);
	t = bsc__tls_new(ctx, "h", 1, "localhost");
	ck_assert_int_eq(server_talk(&srv, t, &e), BS_OK);
	bsc__tls_free(t);
	ck_assert_int_eq(token.calls, 1);
	ck_assert_int_eq(token.last, BSC_SIGN_RSA_PKCS1);
}
END_TEST

START_TEST(rsa_signs_with_pss_and_tls_1_3)
{
	prepare(pki->rsa);
	ck_assert_uint_eq(meet(TLS1_3_VERSION), 0);
	ck_assert_int_eq(token.calls, 1);
	ck_assert_int_eq(token.last, BSC_SIGN_RSA_RAW);
}
END_TEST

START_TEST(ecdsa_signs_with_both_versions)
{
	prepare(pki->ec);
	ck_assert_uint_eq(meet(_i ? TLS1_3_VERSION : TLS1_2_VERSION), 0);
	ck_assert_int_eq(token.calls, 1);
	ck_assert_int_eq(token.last, BSC_SIGN_ECDSA);
}
END_TEST

START_TEST(a_failing_callback_is_named)
{
	prepare(_i & 1 ? pki->ec : pki->rsa);
	token.fail = BS_EPERM;
	ck_assert_uint_eq(meet(_i & 2 ? TLS1_3_VERSION : TLS1_2_VERSION), BSC_CLIENT_SIGN);
	/* The next handshake is not blamed for it. */
	server_fini(&srv);
	token.fail = 0;
	ck_assert_uint_eq(meet(0), 0);
}
END_TEST

START_TEST(a_wrong_signature_is_refused)
{
	prepare(pki->rsa);
	token.wrong = true;
	ck_assert_uint_ne(meet(_i ? TLS1_3_VERSION : TLS1_2_VERSION), 0);
}
END_TEST

START_TEST(a_short_rsa_signature_is_a_failure_of_the_callback)
{
	prepare(pki->rsa);
	token.cut = true;
	ck_assert_uint_eq(meet(TLS1_3_VERSION), BSC_CLIENT_SIGN);
}
END_TEST

START_TEST(other_kinds_of_keys_are_refused)
{
	static const struct cert_opts client = { .cn = "ed" };
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *cert = cert_make(ed, pki->ca, pki->ca_key, &client);
	struct bsc_error e;

	cfg.cert_file = cert_file("ed.pem", cert, NULL);
	ck_assert_int_eq(bsc__tls_ctx_new(&cfg, &ctx, &e), BS_ECONF);
	ck_assert_ptr_nonnull(strstr(e.text, "only RSA and ECDSA"));
	X509_free(cert);
	EVP_PKEY_free(ed);
	bsc__signer_free(NULL);
	ck_assert_int_eq(bsc__signer_take_error(NULL), BS_OK);
}
END_TEST

Suite *bs_suite_sign(void)
{
	Suite *s = suite_create("client sign");
	TCase *t = tcase_create("sign");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, rsa_signs_with_tls_1_2);
	tcase_add_test(t, rsa_signs_with_pkcs1_where_the_server_wants_it);
	tcase_add_test(t, rsa_signs_with_pss_and_tls_1_3);
	tcase_add_loop_test(t, ecdsa_signs_with_both_versions, 0, 2);
	tcase_add_loop_test(t, a_failing_callback_is_named, 0, 4);
	tcase_add_loop_test(t, a_wrong_signature_is_refused, 0, 2);
	tcase_add_test(t, a_short_rsa_signature_is_a_failure_of_the_callback);
	tcase_add_test(t, other_kinds_of_keys_are_refused);
	suite_add_tcase(s, t);
	return s;
}
