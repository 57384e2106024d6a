/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tls_cache.c - what a TLS context remembers must never say yes where a fresh look says no.
 */
#include "net/tls_internal.h"

#include <openssl/x509v3.h>

#include "pki.h"
#include "test.h"

static struct pki *pki;
static uint64_t now_s;
static int verdict;

static void make_pki(void)
{
	pki = pki_new();
	now_s = PKI_NOW;
	verdict = BS_OK;
}

static void drop_pki(void)
{
	pki_free(pki);
}

static uint64_t clock_of(void *ctx)
{
	return now_s;
}

static int check(void *ctx, struct bs_tls_peer *peer)
{
	uint8_t hash[BS_TLS_HASH_LEN];

	/* The caller may use OpenSSL as everywhere else. */
	ck_assert_int_eq(EVP_Digest("", 0, hash, NULL, EVP_sha256(), NULL), 1);
	return verdict;
}

static struct bs_tls_server *server(struct bs_tls_pem *pem)
{
	const struct bs_tls_hooks hooks = { .check = check, .clock = clock_of };
	struct bs_tls_keys *keys = NULL;
	struct bs_tls_server *s = NULL;
	char err[BS_TLS_ERROR_MAX] = "";

	ck_assert_int_eq(bs_tls_keys_rotate(NULL, &keys), BS_OK);
	ck_assert_msg(bs_tls_server_new(pem, keys, &hooks, 16, &s, err, sizeof(err)) == BS_OK, "%s",
		      err);
	bs_tls_keys_unref(keys);
	return s;
}

/** A handshake of this certificate, of the PKI's client key. */
static enum bs_tls_refusal show(struct bs_tls_server *s, X509 *cert)
{
	const struct pki_client c = { .cert = cert, .key = pki->client_key };
	enum bs_tls_refusal why;
	struct pki_link l;

	pki_link_init(&l, s, &c);
	(void)pki_link_run(&l);
	why = bs_tls_refusal(l.srv);
	pki_link_fini(&l);
	return why;
}

static uint64_t hits(const struct bs_tls_server *s)
{
	return bs_tls_server_stats(s)->cache_hits;
}

static X509 *issue(long serial)
{
	return pki_issue(pki->client_key, pki->ca, pki->ca_key,
			 &(struct pki_opts){ .cn = "ann", .serial = serial });
}

START_TEST(a_known_chain_ends_with_its_validity)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 0);
	struct bs_tls_server *s = server(pem);
	X509 *x = pki_issue(pki->client_key, pki->ca, pki->ca_key,
			    &(struct pki_opts){ .cn = "ann", .from = -10, .to = 100 });

	ck_assert_int_eq(show(s, x), BS_TLS_REFUSED_NONE);
	ck_assert_int_eq(show(s, x), BS_TLS_REFUSED_NONE);
	ck_assert_uint_eq(hits(s), 1);
	now_s = PKI_NOW + 101;
	ck_assert_int_eq(show(s, x), BS_TLS_REFUSED_EXPIRED);
	/* And a clock that was set back makes it too young. */
	now_s = PKI_NOW - 11;
	ck_assert_int_eq(show(s, x), BS_TLS_REFUSED_NOT_YET);
	now_s = PKI_NOW;
	ck_assert_int_eq(show(s, x), BS_TLS_REFUSED_NONE);
	ck_assert_uint_eq(hits(s), 2);
	X509_free(x);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

START_TEST(a_known_chain_is_checked_by_the_caller_every_time)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 0);
	struct bs_tls_server *s = server(pem);

	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_NONE);
	verdict = BS_EPERM;
	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_REVOKED);
	ck_assert_uint_eq(hits(s), 1);
	verdict = BS_OK;
	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_NONE);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

START_TEST(another_crl_or_ca_set_knows_no_chain)
{
	const long serials[] = { 1000 };
	X509_CRL *crl = pki_crl(pki->ca, pki->ca_key, serials, 1, PKI_DAY);
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 0);
	struct bs_tls_pem *with_crl = pki_pem(pki, crl, 0);
	struct bs_tls_server *s = server(pem);
	X509 *ca = pki->ca;

	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_NONE);
	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_NONE);
	ck_assert_uint_eq(hits(s), 1);
	bs_tls_server_free(s);
	s = server(with_crl);
	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_REVOKED);
	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_REVOKED);
	ck_assert_uint_eq(hits(s), 0);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
	pki->ca = pki->other_ca;
	pem = pki_pem(pki, NULL, 0);
	pki->ca = ca;
	s = server(pem);
	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_UNTRUSTED);
	ck_assert_uint_eq(hits(s), 0);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
	bs_tls_pem_unref(with_crl);
	X509_CRL_free(crl);
}
END_TEST

/** The same key and name under another serial number is another chain. */
START_TEST(a_renewed_certificate_is_verified_anew)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 0);
	struct bs_tls_server *s = server(pem);
	X509 *stranger = pki_issue(pki->client_key, pki->other_ca, pki->other_key,
				   &(struct pki_opts){ .cn = "ann", .serial = 1000 });
	X509 *renewed = issue(1001);

	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_NONE);
	ck_assert_int_eq(show(s, renewed), BS_TLS_REFUSED_NONE);
	ck_assert_int_eq(show(s, stranger), BS_TLS_REFUSED_UNTRUSTED);
	ck_assert_uint_eq(hits(s), 0);
	X509_free(stranger);
	X509_free(renewed);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

/** What is refused is not remembered, and takes nobody's place. */
START_TEST(the_memory_is_bounded_and_holds_no_refusals)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 0);
	struct bs_tls_server *s = server(pem);

	for (long i = 0; i < 24; i++) {
		X509 *x = issue(2000 + i);

		ck_assert_int_eq(show(s, x), BS_TLS_REFUSED_NONE);
		ck_assert_int_eq(show(s, x), BS_TLS_REFUSED_NONE);
		X509_free(x);
	}
	ck_assert_uint_eq(hits(s), 24);
	ck_assert_uint_eq(s->cache_n, 16);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
}
END_TEST

/** The signature of a CRL is verified once; what it lists counts every time. */
START_TEST(a_known_crl_is_looked_into_every_time)
{
	const long serials[] = { 3001, 3003 };
	X509_CRL *crl = pki_crl(pki->ca, pki->ca_key, serials, 2, PKI_DAY);
	struct bs_tls_pem *pem = pki_pem(pki, crl, 0);
	struct bs_tls_server *s = server(pem);

	ck_assert_uint_eq(s->n_crls, 1);
	for (long i = 0; i < 6; i++) {
		X509 *x = issue(3000 + i);
		bool listed = i == 1 || i == 3;

		ck_assert_int_eq(show(s, x), listed ? BS_TLS_REFUSED_REVOKED : BS_TLS_REFUSED_NONE);
		ck_assert_uint_eq(s->n_good_crl, 1);
		X509_free(x);
	}
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
	X509_CRL_free(crl);
}
END_TEST

START_TEST(a_forged_crl_is_never_known)
{
	X509 *fake = pki_issue(pki->other_key, NULL, pki->other_key,
			       &(struct pki_opts){ .cn = "Test CA", .ca = true });
	X509_CRL *crl = pki_crl(fake, pki->other_key, NULL, 0, PKI_DAY);
	struct bs_tls_pem *pem = pki_pem(pki, crl, 0);
	struct bs_tls_server *s = server(pem);

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_UNTRUSTED);
	ck_assert_uint_eq(s->n_good_crl, 0);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
	X509_CRL_free(crl);
	X509_free(fake);
}
END_TEST

/** One that says what it is for goes the long way each time, even if that is everything. */
START_TEST(a_crl_with_a_scope_is_never_known)
{
	X509_CRL *crl = pki_crl(pki->ca, pki->ca_key, NULL, 0, PKI_DAY);
	ISSUING_DIST_POINT *idp = ISSUING_DIST_POINT_new();
	struct bs_tls_pem *pem;
	struct bs_tls_server *s;

	ck_assert_int_eq(X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, idp, 1, 0), 1);
	ck_assert_int_gt(X509_CRL_sign(crl, pki->ca_key, EVP_sha256()), 0);
	pem = pki_pem(pki, crl, 0);
	s = server(pem);
	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_NONE);
	ck_assert_uint_eq(s->n_good_crl, 0);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
	ISSUING_DIST_POINT_free(idp);
	X509_CRL_free(crl);
}
END_TEST

/** The worker's own library context knows every kind of key that a client or its CA may have. */
START_TEST(keys_of_all_kinds_are_read)
{
	EVP_PKEY *signers[] = { pki->ca_key, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"),
				EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
				EVP_PKEY_Q_keygen(NULL, NULL, "ED448") };
	X509 *ca = pki->ca;

	for (size_t i = 0; i < sizeof(signers) / sizeof(signers[0]); i++) {
		X509 *own = pki_issue(signers[i], NULL, signers[i],
				      &(struct pki_opts){ .cn = "Another CA", .ca = true });
		X509 *x = pki_issue(pki->client_key, own, signers[i],
				    &(struct pki_opts){ .cn = "ann" });
		struct bs_tls_server *s;
		struct bs_tls_pem *pem;

		pki->ca = own;
		pem = pki_pem(pki, NULL, 0);
		pki->ca = ca;
		s = server(pem);
		ck_assert_ptr_nonnull(s->lib.tls);
		ck_assert_int_eq(show(s, x), BS_TLS_REFUSED_NONE);
		ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_UNTRUSTED);
		bs_tls_server_free(s);
		bs_tls_pem_unref(pem);
		X509_free(own);
		X509_free(x);
		if (signers[i] != pki->ca_key)
			EVP_PKEY_free(signers[i]);
	}
}
END_TEST

/** What a session in its handshake does not touch: the thread's own use of OpenSSL. */
START_TEST(the_threads_default_context_stays)
{
	struct bs_tls_pem *pem = pki_pem(pki, NULL, 0);
	struct bs_tls_server *s = server(pem);
	OSSL_LIB_CTX *own = OSSL_LIB_CTX_new();
	OSSL_LIB_CTX *before = OSSL_LIB_CTX_set0_default(own);

	ck_assert_int_eq(show(s, pki->client), BS_TLS_REFUSED_NONE);
	ck_assert_ptr_eq(OSSL_LIB_CTX_set0_default(before), own);
	bs_tls_server_free(s);
	bs_tls_pem_unref(pem);
	OSSL_LIB_CTX_free(own);
}
END_TEST

Suite *bs_suite_tls_cache(void)
{
	Suite *s = suite_create("tls_cache");
	TCase *tc = tcase_create("memory");

	tcase_add_checked_fixture(tc, make_pki, drop_pki);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_known_chain_ends_with_its_validity);
	tcase_add_test(tc, a_known_chain_is_checked_by_the_caller_every_time);
	tcase_add_test(tc, another_crl_or_ca_set_knows_no_chain);
	tcase_add_test(tc, a_renewed_certificate_is_verified_anew);
	tcase_add_test(tc, the_memory_is_bounded_and_holds_no_refusals);
	tcase_add_test(tc, a_known_crl_is_looked_into_every_time);
	tcase_add_test(tc, a_forged_crl_is_never_known);
	tcase_add_test(tc, a_crl_with_a_scope_is_never_known);
	tcase_add_test(tc, keys_of_all_kinds_are_read);
	tcase_add_test(tc, the_threads_default_context_stays);
	suite_add_tcase(s, tc);
	return s;
}
