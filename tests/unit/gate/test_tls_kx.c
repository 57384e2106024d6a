/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "net/tls_internal.h"
#include "net/tls_x25519.h"
#include "test.h"

#define LEN   BS__X25519_LEN
#define BATCH BS__X25519_BATCH
/** Batches of random keys. */
#define ROUNDS 64

static struct bs__tls_lib lib;

static void start(void)
{
	ck_assert_int_eq(bs__tls_lib_init(&lib), BS_OK);
}

static void stop(void)
{
	bs__tls_lib_fini(&lib);
}

/** What OpenSSL says. */
static void public_of(const uint8_t priv[LEN], uint8_t pub[LEN])
{
	EVP_PKEY *k = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, priv, LEN);
	size_t len = LEN;

	ck_assert_int_eq(EVP_PKEY_get_raw_public_key(k, pub, &len), 1);
	ck_assert_uint_eq(len, LEN);
	EVP_PKEY_free(k);
}

static void check_batch(const struct bs__x25519_table *t, uint8_t priv[BATCH][LEN], size_t n)
{
	uint8_t pub[BATCH][LEN], right[LEN];

	memset(pub, 0xEE, sizeof(pub));
	bs__x25519_public(t, (const uint8_t(*)[LEN])priv, pub, n);
	for (size_t i = 0; i < n; i++) {
		public_of(priv[i], right);
		ck_assert_mem_eq(pub[i], right, LEN);
	}
	for (size_t i = n; i < BATCH; i++)
		ck_assert_uint_eq(pub[i][0], 0xEE);
}

START_TEST(public_keys_are_those_of_openssl)
{
	/* Digits at their limits, with and without carries from one to the next. */
	static const uint8_t edge[BATCH] = { 0x00, 0xFF, 0x88, 0x77, 0x78, 0x87, 0x80, 0x08 };
	struct bs__x25519_table *t = malloc(sizeof(*t));
	uint8_t priv[BATCH][LEN];

	if (!bs__x25519_init(t)) {
		/* No integers of 128 bits here: OpenSSL makes the keys. */
		free(t);
		return;
	}
	for (size_t i = 0; i < BATCH; i++)
		memset(priv[i], edge[i], LEN);
	check_batch(t, priv, BATCH);
	for (size_t i = 0; i < ROUNDS; i++) {
		ck_assert_int_eq(RAND_bytes(priv[0], sizeof(priv)), 1);
		check_batch(t, priv, 1 + i % BATCH);
	}
	free(t);
}
END_TEST

static void agree(OSSL_LIB_CTX *ctx, EVP_PKEY *mine, EVP_PKEY *peer, uint8_t out[LEN])
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(ctx, mine, NULL);
	size_t len = LEN;

	ck_assert_int_eq(EVP_PKEY_derive_init(c), 1);
	ck_assert_int_eq(EVP_PKEY_derive_set_peer(c, peer), 1);
	ck_assert_int_eq(EVP_PKEY_derive(c, out, &len), 1);
	ck_assert_uint_eq(len, LEN);
	EVP_PKEY_CTX_free(c);
}

/** As a handshake does it: our pair, their public key, and the other way round. */
START_TEST(pairs_of_the_provider_agree_with_openssl)
{
	uint8_t raw[LEN], ours[LEN], theirs[LEN];
	size_t len = LEN;
	EVP_PKEY *a = EVP_PKEY_Q_keygen(lib.tls, NULL, "X25519");
	EVP_PKEY *b = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");

	ck_assert_ptr_nonnull(a);
	ck_assert_str_eq(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(a)), BS__TLS_OWN);
	ck_assert_int_eq(EVP_PKEY_get_raw_public_key(b, raw, &len), 1);
	EVP_PKEY *peer_b = EVP_PKEY_new_raw_public_key_ex(lib.tls, "X25519", NULL, raw, LEN);

	ck_assert_int_eq(EVP_PKEY_get_raw_public_key(a, raw, &len), 1);
	EVP_PKEY *peer_a = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, raw, LEN);

	agree(lib.tls, a, peer_b, ours);
	agree(NULL, b, peer_a, theirs);
	ck_assert_mem_eq(ours, theirs, LEN);
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
	EVP_PKEY_free(peer_a);
	EVP_PKEY_free(peer_b);
}
END_TEST

START_TEST(no_pair_is_given_away_twice)
{
	uint8_t priv[3 * BATCH][LEN], pub[LEN], right[LEN];

	for (size_t i = 0; i < BS_LEN(priv); i++) {
		EVP_PKEY *k = EVP_PKEY_Q_keygen(lib.tls, NULL, "X25519");
		size_t len = LEN;

		ck_assert_int_eq(EVP_PKEY_get_raw_private_key(k, priv[i], &len), 1);
		ck_assert_int_eq(EVP_PKEY_get_raw_public_key(k, pub, &len), 1);
		public_of(priv[i], right);
		ck_assert_mem_eq(pub, right, LEN);
		for (size_t j = 0; j < i; j++)
			ck_assert_mem_ne(priv[i], priv[j], LEN);
		EVP_PKEY_free(k);
	}
}
END_TEST

/** A key of the peer's is made without a pair: parameters only, then its public part. */
START_TEST(a_key_without_a_pair_has_no_private_part)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(lib.tls, "X25519", NULL);
	EVP_PKEY *k = NULL;
	uint8_t raw[LEN];
	size_t len = LEN;

	ck_assert_int_eq(EVP_PKEY_paramgen_init(c), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_group_name(c, "x25519"), 1);
	ck_assert_int_le(EVP_PKEY_CTX_set_group_name(c, "x448"), 0);
	ck_assert_int_eq(EVP_PKEY_paramgen(c, &k), 1);
	ck_assert_int_ne(EVP_PKEY_get_raw_private_key(k, raw, &len), 1);
	EVP_PKEY_free(k);
	EVP_PKEY_CTX_free(c);
}
END_TEST

/** A peer may choose a point that makes the secret zero: OpenSSL's check must still be there. */
START_TEST(a_secret_of_zeros_is_refused)
{
	static const uint8_t zero[LEN];
	uint8_t out[LEN];
	size_t len = LEN;
	EVP_PKEY *a = EVP_PKEY_Q_keygen(lib.tls, NULL, "X25519");
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(lib.tls, "X25519", NULL, zero, LEN);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(lib.tls, a, NULL);

	ck_assert_int_eq(EVP_PKEY_derive_init(c), 1);
	ck_assert_int_eq(EVP_PKEY_derive_set_peer(c, peer), 1);
	ck_assert_int_le(EVP_PKEY_derive(c, out, &len), 0);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(a);
	EVP_PKEY_free(peer);
}
END_TEST

Suite *bs_suite_tls_kx(void)
{
	Suite *s = suite_create("tls_kx");
	TCase *tc = tcase_create("pairs");

	tcase_add_test(tc, public_keys_are_those_of_openssl);
	suite_add_tcase(s, tc);
	tc = tcase_create("provider");
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, pairs_of_the_provider_agree_with_openssl);
	tcase_add_test(tc, no_pair_is_given_away_twice);
	tcase_add_test(tc, a_key_without_a_pair_has_no_private_part);
	tcase_add_test(tc, a_secret_of_zeros_is_refused);
	suite_add_tcase(s, tc);
	return s;
}
