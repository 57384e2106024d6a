/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl.h"

#include "crypto/keys.h"
#include "test.h"

static struct bs_openssl *openssl;
static const struct bs_crypto *c;
static struct bs_crypto small;
static struct bs_test_rng rng;

static void set_up(void)
{
	openssl = bs_openssl_new();
	ck_assert_ptr_nonnull(openssl);
	c = bs_openssl_crypto(openssl);
	memset(&rng, 0, sizeof(rng));
	bs_small_crypto_init(&small, bs_test_rng_fill, &rng);
}

static void tear_down(void)
{
	bs_openssl_free(openssl);
}

static void fill(uint32_t *seed, uint8_t *buf, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = (uint8_t)(bs_test_random(seed) >> 8);
}

START_TEST(cipher_agrees_with_the_small_backend)
{
	uint32_t seed = 0x1234567u + (uint32_t)_i;
	uint8_t key[16];
	uint8_t iv[16];
	uint8_t a[320];
	uint8_t b[320];
	size_t len = 16 * (bs_test_random(&seed) % 21);

	fill(&seed, key, sizeof(key));
	fill(&seed, iv, sizeof(iv));
	fill(&seed, a, len);
	memcpy(b, a, len);
	ck_assert_int_eq(c->aes128_cbc_encrypt(c->ctx, key, iv, a, len), BS_OK);
	ck_assert_int_eq(small.aes128_cbc_encrypt(small.ctx, key, iv, b, len), BS_OK);
	ck_assert_mem_eq(a, b, len);
	fill(&seed, key, 1);
	ck_assert_int_eq(c->aes128_cbc_decrypt(c->ctx, key, iv, a, len), BS_OK);
	ck_assert_int_eq(small.aes128_cbc_decrypt(small.ctx, key, iv, b, len), BS_OK);
	ck_assert_mem_eq(a, b, len);
}
END_TEST

START_TEST(mac_agrees_with_the_small_backend)
{
	uint32_t seed = 0x89ABCDu + (uint32_t)_i;
	uint8_t key[200];
	uint8_t data[300];
	uint8_t a[32];
	uint8_t b[32];
	struct bs_slice msg[3];
	size_t key_len = bs_test_random(&seed) % (sizeof(key) + 1);

	fill(&seed, key, sizeof(key));
	fill(&seed, data, sizeof(data));
	msg[0].ptr = data;
	msg[0].len = bs_test_random(&seed) % 100;
	msg[1].ptr = data + 100;
	msg[1].len = bs_test_random(&seed) % 100;
	msg[2].ptr = data + 200;
	msg[2].len = bs_test_random(&seed) % 100;
	ck_assert_int_eq(c->hmac_sha256(c->ctx, key, key_len, msg, 3, a), BS_OK);
	ck_assert_int_eq(small.hmac_sha256(small.ctx, key, key_len, msg, 3, b), BS_OK);
	ck_assert_mem_eq(a, b, sizeof(a));
}
END_TEST

/* The library takes a NULL key for "as before": an empty key after another must not be that. */
START_TEST(an_empty_key_is_not_the_last_key)
{
	struct bs_slice msg = bs_test_text("x");
	uint8_t a[32];
	uint8_t b[32];

	ck_assert_int_eq(c->hmac_sha256(c->ctx, (const uint8_t *)"old", 3, &msg, 1, a), BS_OK);
	ck_assert_int_eq(c->hmac_sha256(c->ctx, NULL, 0, &msg, 1, a), BS_OK);
	ck_assert_int_eq(small.hmac_sha256(small.ctx, NULL, 0, &msg, 1, b), BS_OK);
	ck_assert_mem_eq(a, b, sizeof(a));
}
END_TEST

START_TEST(a_length_that_is_no_multiple_of_16_is_refused)
{
	uint8_t key[16] = { 0 };
	uint8_t buf[32] = { 0 };

	ck_assert_int_eq(c->aes128_cbc_encrypt(c->ctx, key, key, buf, 17), BS_EINVAL);
	ck_assert_int_eq(c->aes128_cbc_decrypt(c->ctx, key, key, buf, 15), BS_EINVAL);
	ck_assert_int_eq(c->aes128_cbc_encrypt(c->ctx, key, key, buf, 16), BS_OK);
}
END_TEST

/* Draws of all sizes across the refill of the pool: none may repeat or stay zero. */
START_TEST(random_bytes_never_repeat)
{
	uint8_t seen[400][16];
	uint8_t zero[600] = { 0 };
	uint8_t big[600];
	size_t i;
	size_t j;

	for (i = 0; i < BS_LEN(seen); i++) {
		uint8_t skip[5];

		ck_assert_int_eq(c->random(c->ctx, seen[i], 16), BS_OK);
		ck_assert_int_eq(c->random(c->ctx, skip, i % 6), BS_OK);
		for (j = 0; j < i; j++)
			ck_assert(memcmp(seen[i], seen[j], 16) != 0);
	}
	memset(big, 0, sizeof(big));
	ck_assert_int_eq(c->random(c->ctx, big, sizeof(big)), BS_OK);
	ck_assert(memcmp(big + 500, zero, 100) != 0);
	ck_assert_int_eq(c->random(c->ctx, NULL, 0), BS_OK);
}
END_TEST

START_TEST(free_takes_null)
{
	bs_openssl_free(NULL);
}
END_TEST

Suite *bs_suite_openssl(void);

Suite *bs_suite_openssl(void)
{
	Suite *s = suite_create("openssl");
	TCase *tc = tcase_create("openssl");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, cipher_agrees_with_the_small_backend, 0, 40);
	tcase_add_loop_test(tc, mac_agrees_with_the_small_backend, 0, 40);
	tcase_add_test(tc, an_empty_key_is_not_the_last_key);
	tcase_add_test(tc, a_length_that_is_no_multiple_of_16_is_refused);
	tcase_add_test(tc, random_bytes_never_repeat);
	tcase_add_test(tc, free_takes_null);
	suite_add_tcase(s, tc);
	return s;
}
