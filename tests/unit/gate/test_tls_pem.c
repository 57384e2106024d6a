/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/pem.h>

#include "net/tls_internal.h"
#include "pki.h"
#include "test.h"

static struct pki *pki;
static char *cert, *key, *ca, *ec_cert, *ec_key, *client;

static void make(void)
{
	pki = pki_new();
	X509 *ec = pki_issue(pki->ec_key, pki->ca, pki->ca_key,
			     &(struct pki_opts){ .cn = "localhost", .to = 30 * PKI_DAY });

	cert = pki_pem_cert(pki->server);
	key = pki_pem_key(pki->server_key);
	ca = pki_pem_cert(pki->ca);
	ec_cert = pki_pem_cert(ec);
	ec_key = pki_pem_key(pki->ec_key);
	client = pki_pem_cert(pki->client);
	X509_free(ec);
}

static void drop(void)
{
	pki_free(pki);
	free(cert);
	free(key);
	free(ca);
	free(ec_cert);
	free(ec_key);
	free(client);
}

static struct bs_tls_material material(const struct bs_slice *cas)
{
	return (struct bs_tls_material){ .cert = pki_text(cert),
					 .key = pki_text(key),
					 .cas = cas,
					 .n_cas = 1,
					 .rsa_min_bits = 2048,
					 .ticket_life_s = 60,
					 .tls_min = TLS1_2_VERSION };
}

/** The message of a refusal; "" when it was accepted. */
static const char *message_of(const struct bs_tls_material *m)
{
	static char err[BS_TLS_ERROR_MAX];
	struct bs_tls_pem *p = NULL;

	err[0] = '\0';
	int got = bs_tls_pem_new(m, &p, err, sizeof(err));

	ck_assert(got == BS_OK || got == BS_ECONF);
	ck_assert_int_eq(got == BS_OK, p != NULL);
	bs_tls_pem_unref(p);
	return err;
}

START_TEST(a_good_set_is_taken)
{
	struct bs_slice cas = pki_text(ca);
	struct bs_tls_material m = material(&cas);
	struct bs_tls_pem *p;
	char err[BS_TLS_ERROR_MAX];

	ck_assert_int_eq(bs_tls_pem_new(&m, &p, err, sizeof(err)), BS_OK);
	ck_assert_uint_eq(bs_tls_pem_n_cas(p), 1);
	ck_assert_uint_eq(bs_tls_pem_cert_expiry(p), PKI_NOW + 365 * PKI_DAY);
	ck_assert_uint_eq(bs_tls_pem_crl_expiry(p), 0);
	ck_assert_ptr_eq(bs_tls_pem_ref(p), p);
	bs_tls_pem_unref(p);
	bs_tls_pem_unref(p);
	bs_tls_pem_unref(NULL);
}
END_TEST

START_TEST(an_ecdsa_certificate_may_stand_beside)
{
	struct bs_slice cas = pki_text(ca);
	struct bs_tls_material m = material(&cas);
	struct bs_tls_pem *p;
	char err[BS_TLS_ERROR_MAX];

	m.cert2 = pki_text(ec_cert);
	m.key2 = pki_text(ec_key);
	ck_assert_int_eq(bs_tls_pem_new(&m, &p, err, sizeof(err)), BS_OK);
	ck_assert_uint_eq(bs_tls_pem_cert_expiry(p), PKI_NOW + 30 * PKI_DAY);
	bs_tls_pem_unref(p);
}
END_TEST

START_TEST(each_broken_part_is_named)
{
	struct bs_slice cas = pki_text(ca);
	struct bs_slice junk = pki_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END "
					"CERTIFICATE-----\n");
	struct bs_slice empty = { NULL, 0 };
	struct bs_tls_material m = material(&cas);

	m.cert = empty;
	ck_assert_ptr_nonnull(strstr(message_of(&m), "server certificate: no certificate"));
	m = material(&cas);
	m.cert = junk;
	ck_assert_ptr_nonnull(strstr(message_of(&m), "server certificate: no certificate"));
	m = material(&cas);
	m.key = empty;
	ck_assert_ptr_nonnull(strstr(message_of(&m), "no private key"));
	m = material(&cas);
	m.key = pki_text(ec_key);
	ck_assert_ptr_nonnull(strstr(message_of(&m), "the key is not RSA"));
	m = material(&cas);
	m.cert = pki_text(client);
	ck_assert_ptr_nonnull(strstr(message_of(&m), "do not belong together"));
	m = material(&cas);
	m.cert2 = pki_text(ec_cert);
	m.key2 = pki_text(key);
	ck_assert_ptr_nonnull(strstr(message_of(&m), "ECDSA server certificate: the key is not"));
	m = material(&junk);
	ck_assert_ptr_nonnull(strstr(message_of(&m),
				     "client CA: a certificate of the bundle is not "
				     "readable"));
	cas = pki_text(client);
	m = material(&cas);
	ck_assert_ptr_nonnull(strstr(message_of(&m), "is not a CA"));
	cas = pki_text(ca);
	m = material(&cas);
	struct bs_slice bad_crl =
		pki_text("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");

	m.crls = &bad_crl;
	m.n_crls = 1;
	ck_assert_ptr_nonnull(strstr(message_of(&m), "client CRL"));
}
END_TEST

START_TEST(a_weak_server_key_is_refused)
{
	X509 *x = pki_issue(pki->weak_key, pki->ca, pki->ca_key, &(struct pki_opts){ .cn = "s" });
	char *weak_cert = pki_pem_cert(x);
	char *weak_key = pki_pem_key(pki->weak_key);
	struct bs_slice cas = pki_text(ca);
	struct bs_tls_material m = material(&cas);

	m.cert = pki_text(weak_cert);
	m.key = pki_text(weak_key);
	ck_assert_ptr_nonnull(strstr(message_of(&m), "shorter than 2048 bits"));
	free(weak_cert);
	free(weak_key);
	X509_free(x);
}
END_TEST

START_TEST(a_key_with_a_pass_phrase_is_refused_without_a_question)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *data;
	struct bs_slice cas = pki_text(ca);
	struct bs_tls_material m = material(&cas);

	ck_assert_int_eq(PEM_write_bio_PrivateKey(b, pki->server_key, EVP_aes_128_cbc(), NULL, 0,
						  NULL, (void *)"secret"),
			 1);
	m.key.len = (size_t)BIO_get_mem_data(b, &data);
	m.key.ptr = (const uint8_t *)data;
	ck_assert_ptr_nonnull(strstr(message_of(&m), "without a pass phrase"));
	BIO_free(b);
}
END_TEST

/** The epoch of a set. */
static void epoch(const struct bs_tls_material *m, uint8_t out[BS_TLS_HASH_LEN])
{
	char err[BS_TLS_ERROR_MAX];
	struct bs_tls_pem *p;

	ck_assert_int_eq(bs_tls_pem_new(m, &p, err, sizeof(err)), BS_OK);
	memcpy(out, bs_tls_pem_epoch(p), BS_TLS_HASH_LEN);
	bs_tls_pem_unref(p);
}

START_TEST(the_epoch_follows_cas_crls_and_limits_only)
{
	char *other = pki_pem_cert(pki->other_ca);
	X509_CRL *crl = pki_crl(pki->ca, pki->ca_key, NULL, 0, PKI_DAY);
	char *crl_text = pki_pem_crl(crl);
	struct bs_slice cas[2] = { pki_text(ca), pki_text(other) };
	struct bs_slice crls = pki_text(crl_text);
	struct bs_tls_material m = material(cas);
	uint8_t base[BS_TLS_HASH_LEN], e[BS_TLS_HASH_LEN];

	epoch(&m, base);
	m.cert2 = pki_text(ec_cert);
	m.key2 = pki_text(ec_key);
	epoch(&m, e);
	ck_assert_mem_eq(e, base, sizeof(e));
	m.n_cas = 2;
	epoch(&m, e);
	ck_assert_mem_ne(e, base, sizeof(e));
	m.n_cas = 1;
	m.crls = &crls;
	m.n_crls = 1;
	epoch(&m, e);
	ck_assert_mem_ne(e, base, sizeof(e));
	m.n_crls = 0;
	m.rsa_min_bits = 3072;
	epoch(&m, e);
	ck_assert_mem_ne(e, base, sizeof(e));
	free(other);
	free(crl_text);
	X509_CRL_free(crl);
}
END_TEST

START_TEST(bundles_without_a_last_newline_do_not_run_together)
{
	char *other = pki_pem_cert(pki->other_ca);
	struct bs_slice cas[2] = { pki_text(ca), pki_text(other) };
	struct bs_tls_material m = material(cas);
	struct bs_tls_pem *p;
	char err[BS_TLS_ERROR_MAX];

	cas[0].len--;
	m.n_cas = 2;
	ck_assert_int_eq(bs_tls_pem_new(&m, &p, err, sizeof(err)), BS_OK);
	ck_assert_uint_eq(bs_tls_pem_n_cas(p), 2);
	bs_tls_pem_unref(p);
	free(other);
}
END_TEST

START_TEST(ticket_keys_rotate_and_the_oldest_goes)
{
	uint8_t raw[(BS_TLS_TICKET_KEYS + 1) * BS_TLS_TICKET_KEY_LEN];
	struct bs_tls_keys *k[5];

	memset(raw, 1, sizeof(raw));
	ck_assert_ptr_null(bs_tls_keys_new(raw, 0));
	ck_assert_ptr_null(bs_tls_keys_new(raw, BS_TLS_TICKET_KEYS + 1));
	ck_assert_int_eq(bs_tls_keys_rotate(NULL, &k[0]), BS_OK);
	for (int i = 1; i < 5; i++)
		ck_assert_int_eq(bs_tls_keys_rotate(k[i - 1], &k[i]), BS_OK);
	ck_assert_uint_eq(k[0]->n, 1);
	ck_assert_uint_eq(k[4]->n, BS_TLS_TICKET_KEYS);
	ck_assert_mem_eq(&k[4]->key[1], &k[3]->key[0], sizeof(k[3]->key[0]));
	ck_assert_mem_eq(&k[4]->key[2], &k[2]->key[0], sizeof(k[2]->key[0]));
	ck_assert_mem_ne(k[4]->key[0].aes, k[3]->key[0].aes, 32);
	for (int i = 0; i < 5; i++)
		bs_tls_keys_unref(k[i]);
	bs_tls_keys_unref(NULL);
}
END_TEST

Suite *bs_suite_tls_pem(void)
{
	Suite *s = suite_create("tls_pem");
	TCase *tc = tcase_create("pem");

	tcase_add_unchecked_fixture(tc, make, drop);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_good_set_is_taken);
	tcase_add_test(tc, an_ecdsa_certificate_may_stand_beside);
	tcase_add_test(tc, each_broken_part_is_named);
	tcase_add_test(tc, a_weak_server_key_is_refused);
	tcase_add_test(tc, a_key_with_a_pass_phrase_is_refused_without_a_question);
	tcase_add_test(tc, the_epoch_follows_cas_crls_and_limits_only);
	tcase_add_test(tc, bundles_without_a_last_newline_do_not_run_together);
	tcase_add_test(tc, ticket_keys_rotate_and_the_oldest_goes);
	suite_add_tcase(s, tc);
	return s;
}
