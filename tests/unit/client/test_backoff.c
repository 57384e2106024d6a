/* SPDX-License-Identifier: Apache-2.0 */
/* Waits double up to a minute, are spread, and start over. */
#include "backoff.h"
#include "rig.h"

Suite *bs_suite_backoff(void);

/** Random bytes that are all the same, or none. */
static int fixed_random(void *ctx, uint8_t *buf, size_t len)
{
	const int *v = ctx;

	if (*v < 0)
		return BS_ERANDOM;
	memset(buf, *v, len);
	return BS_OK;
}

START_TEST(doubles_up_to_a_minute)
{
	int v = 0;
	struct bs_crypto c = { .ctx = &v, .random = fixed_random };
	struct bsc__backoff b = { 0 };
	static const uint32_t low[] = { 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000 };

	for (size_t k = 0; k < LEN(low); k++)
		ck_assert_uint_eq(bsc__backoff_next_ms(&b, &c), low[k]);
	bsc__backoff_reset(&b);
	ck_assert_uint_eq(bsc__backoff_next_ms(&b, &c), 500);
}
END_TEST

START_TEST(stays_between_half_and_whole)
{
	struct bs_openssl *o = bs_openssl_new();
	bool differs = false;
	uint32_t first = 0;

	for (int round = 0; round < 200; round++) {
		struct bsc__backoff b = { 0 };
		uint32_t span = 1000;

		for (int k = 0; k < 10; k++) {
			uint32_t ms = bsc__backoff_next_ms(&b, bs_openssl_crypto(o));

			ck_assert_uint_ge(ms, span / 2);
			ck_assert_uint_le(ms, span);
			if (k == 5 && first == 0)
				first = ms;
			else if (k == 5 && ms != first)
				differs = true;
			span = span * 2 > 60000 ? 60000 : span * 2;
		}
	}
	ck_assert_msg(differs, "no jitter");
	bs_openssl_free(o);
}
END_TEST

START_TEST(without_random_numbers_the_whole_span)
{
	int v = -1;
	struct bs_crypto c = { .ctx = &v, .random = fixed_random };
	struct bsc__backoff b = { 0 };

	ck_assert_uint_eq(bsc__backoff_next_ms(&b, &c), 1000);
	ck_assert_uint_eq(bsc__backoff_next_ms(&b, &c), 2000);
}
END_TEST

Suite *bs_suite_backoff(void)
{
	Suite *s = suite_create("client backoff");
	TCase *t = tcase_create("backoff");

	tcase_add_test(t, doubles_up_to_a_minute);
	tcase_add_test(t, stays_between_half_and_whole);
	tcase_add_test(t, without_random_numbers_the_whole_span);
	suite_add_tcase(s, t);
	return s;
}
