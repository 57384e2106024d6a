/* SPDX-License-Identifier: Apache-2.0 */
#include "server/limiter.h"

#include "suite.h"
#include "util/siphash.h"

static struct bs_limiter l;

static void teardown(void)
{
	bs_limiter_fini(&l);
	bs_limiter_fini(NULL);
}

static uint64_t hash_of(uint32_t i)
{
	static const uint8_t key[BS_SIPHASH_KEY_LEN] = { 4 };

	return bs_siphash(key, &i, sizeof(i));
}

static unsigned take_all(uint64_t hash, uint32_t now_ms)
{
	unsigned n = 0;

	while (n < 100000 && bs_limiter_take(&l, hash, now_ms))
		n++;
	return n;
}

START_TEST(test_burst_then_rate)
{
	ck_assert_int_eq(bs_limiter_init(&l, 1024, 20, 100), BS_OK);
	ck_assert_uint_eq(take_all(5, 1000), 100);
	ck_assert_uint_eq(take_all(5, 1049), 0);
	ck_assert_uint_eq(take_all(5, 1050), 1);
	ck_assert_uint_eq(take_all(5, 2050), 20);
	ck_assert_uint_eq(take_all(5, 1000000), 100);
}
END_TEST

/* One a second, asked every 10 ms: small steps must add up. */
START_TEST(test_slow_rate_refills)
{
	uint32_t now;
	unsigned n = 0;

	ck_assert_int_eq(bs_limiter_init(&l, 64, 1, 3), BS_OK);
	for (now = 0; now < 60000; now += 10)
		n += bs_limiter_take(&l, 77, now);
	ck_assert_uint_ge(n, 61);
	ck_assert_uint_le(n, 63);
}
END_TEST

START_TEST(test_keys_are_apart)
{
	ck_assert_int_eq(bs_limiter_init(&l, 1024, 1, 2), BS_OK);
	ck_assert_uint_eq(take_all(hash_of(1), 0), 2);
	ck_assert_uint_eq(take_all(hash_of(2), 0), 2);
	ck_assert_uint_eq(take_all(hash_of(1), 0), 0);
}
END_TEST

/* A source cannot wash itself clean by hiding among others. */
START_TEST(test_flood_does_not_make_it_forget)
{
	uint32_t i;

	ck_assert_int_eq(bs_limiter_init(&l, 64, 1, 2), BS_OK);
	(void)take_all(hash_of(1), 0);
	for (i = 2; i < 10000; i++)
		(void)bs_limiter_take(&l, hash_of(i), 0);
	ck_assert_uint_eq(take_all(hash_of(1), 0), 0);
	/* And the whole table lets no more through than its buckets hold. */
	for (i = 0; i < 100000; i++)
		ck_assert(!bs_limiter_take(&l, hash_of(i), 0) || i < 10000);
}
END_TEST

START_TEST(test_wrap_of_the_clock)
{
	ck_assert_int_eq(bs_limiter_init(&l, 64, 10, 10), BS_OK);
	ck_assert_uint_eq(take_all(3, UINT32_MAX - 50), 10);
	ck_assert_uint_eq(take_all(3, 49), 1);
}
END_TEST

START_TEST(test_new_pace)
{
	ck_assert_int_eq(bs_limiter_init(&l, 64, 1, 1), BS_OK);
	ck_assert_uint_eq(take_all(3, 0), 1);
	bs_limiter_set(&l, 5, 10);
	ck_assert_uint_eq(take_all(3, 0), 9);
	bs_limiter_set(&l, 0, 0);
	ck_assert_uint_eq(l.burst, 1);
}
END_TEST

START_TEST(test_init_refuses)
{
	ck_assert_int_eq(bs_limiter_init(&l, 0, 1, 1), BS_EINVAL);
	ck_assert_int_eq(bs_limiter_init(&l, 100, 1, 1), BS_EINVAL);
}
END_TEST

Suite *bs_suite_limiter(void)
{
	Suite *s = suite_create("limiter");
	TCase *c = tcase_create("limiter");

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, NULL, teardown);
	tcase_add_test(c, test_burst_then_rate);
	tcase_add_test(c, test_slow_rate_refills);
	tcase_add_test(c, test_keys_are_apart);
	tcase_add_test(c, test_flood_does_not_make_it_forget);
	tcase_add_test(c, test_wrap_of_the_clock);
	tcase_add_test(c, test_new_pace);
	tcase_add_test(c, test_init_refuses);
	suite_add_tcase(s, c);
	return s;
}
