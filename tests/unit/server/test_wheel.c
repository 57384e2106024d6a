/* SPDX-License-Identifier: Apache-2.0 */
#include "server/wheel.h"

#include <stdlib.h>

#include "suite.h"

#define N 512

struct record {
	uint64_t before;
	struct bs_wheel_node node;
	uint64_t after;
};

static struct record rec[N];
static struct bs_wheel wheel;

static void start(uint32_t now)
{
	uint32_t i;

	bs_wheel_init(&wheel, &rec[0].node, sizeof(rec[0]), now);
	for (i = 0; i < N; i++)
		bs_wheel_node_init(&wheel, i);
}

START_TEST(test_empty)
{
	start(100);
	ck_assert_uint_eq(bs_wheel_next(&wheel, 100), BS_WHEEL_NONE);
	ck_assert_uint_eq(bs_wheel_next(&wheel, 1000000), BS_WHEEL_NONE);
	ck_assert_uint_eq(wheel.tick, 1000000);
}
END_TEST

START_TEST(test_never_early_never_late)
{
	/* Each level, their borders, and the wrap of the tick. */
	static const uint32_t ahead[] = { 1,       2,        2047,     2048,     2049,   4095,
					  4096,    100000,   524287,   524288,   524289, 1000000,
					  1048576, 50000000, 99999999, 133000000 };
	static const uint32_t from[] = { 0, 1, 2047, 2048, 524288 - 1, UINT32_MAX - 1000 };
	uint32_t now = from[_i % 6];
	uint32_t d = ahead[_i / 6];

	start(now);
	bs_wheel_set(&wheel, 3, now + d);
	ck_assert(bs_wheel_is_set(&wheel, 3));
	ck_assert_uint_eq(bs_wheel_next(&wheel, now + d - 1), BS_WHEEL_NONE);
	ck_assert_uint_eq(bs_wheel_next(&wheel, now + d), 3);
	ck_assert(!bs_wheel_is_set(&wheel, 3));
	ck_assert_uint_eq(bs_wheel_next(&wheel, now + d), BS_WHEEL_NONE);
}
END_TEST

/* Taking the first record leaves the link of the second one to it as it was. */
START_TEST(test_clear_behind_a_taken_one)
{
	bool left[16] = { false };
	uint32_t i;
	uint32_t first;

	start(0);
	for (i = 0; i < 16; i++) {
		bs_wheel_set(&wheel, i, 7);
		left[i] = true;
	}
	for (i = 0; i < 4; i++) {
		first = bs_wheel_next(&wheel, 7);
		ck_assert_uint_lt(first, 16);
		left[first] = false;
		/* The one behind it in its list, then the taken one again at another time. */
		bs_wheel_clear(&wheel, first - BS_WHEEL_WAYS);
		left[first - BS_WHEEL_WAYS] = false;
		bs_wheel_set(&wheel, first, 9);
	}
	ck_assert_uint_eq(wheel.n, 12);
	while ((i = bs_wheel_next(&wheel, 8)) != BS_WHEEL_NONE) {
		ck_assert(left[i]);
		left[i] = false;
	}
	for (i = 0; i < 16; i++)
		ck_assert(!left[i]);
	for (i = 0; i < 4; i++)
		ck_assert_uint_ge(bs_wheel_next(&wheel, 9), 16 - BS_WHEEL_WAYS);
	ck_assert_uint_eq(wheel.n, 0);
}
END_TEST

START_TEST(test_past_is_now)
{
	start(5000);
	bs_wheel_set(&wheel, 1, 10);
	ck_assert_uint_eq(bs_wheel_next(&wheel, 5000), 1);
}
END_TEST

START_TEST(test_farther_than_the_wheel)
{
	start(0);
	bs_wheel_set(&wheel, 1, UINT32_C(0x7FFFFFFF));
	/* Cut to the longest span: early, but never lost. */
	ck_assert_uint_eq(bs_wheel_next(&wheel, UINT32_C(0x7FFFFFFF)), 1);
}
END_TEST

START_TEST(test_set_again_and_clear)
{
	start(0);
	bs_wheel_set(&wheel, 1, 10);
	bs_wheel_set(&wheel, 2, 10);
	bs_wheel_set(&wheel, 1, 20);
	ck_assert_uint_eq(wheel.n, 2);
	ck_assert_uint_eq(bs_wheel_next(&wheel, 15), 2);
	bs_wheel_clear(&wheel, 1);
	bs_wheel_clear(&wheel, 1);
	ck_assert_uint_eq(wheel.n, 0);
	ck_assert_uint_eq(bs_wheel_next(&wheel, 100), BS_WHEEL_NONE);
}
END_TEST

/* Against a list of due ticks: random arming, moving, clearing and steps of time. */
START_TEST(test_against_a_model)
{
	uint32_t due[N];
	bool armed[N] = { false };
	uint32_t now = (uint32_t)_i * UINT32_C(0x3FFFFF00);
	uint32_t step;
	uint32_t i;

	srandom((unsigned)_i + 1);
	start(now);
	for (step = 0; step < 4000; step++) {
		i = (uint32_t)random() % N;
		if (random() % 4 == 0) {
			bs_wheel_clear(&wheel, i);
			armed[i] = false;
		} else {
			due[i] = now + 1 + (uint32_t)random() % (random() % 8 ? 3000 : 3000000);
			bs_wheel_set(&wheel, i, due[i]);
			armed[i] = true;
		}
		if (random() % 3)
			continue;
		now += (uint32_t)random() % (random() % 50 ? 100 : 100000);
		while ((i = bs_wheel_next(&wheel, now)) != BS_WHEEL_NONE) {
			ck_assert(armed[i]);
			ck_assert_int_le((int32_t)(due[i] - now), 0);
			armed[i] = false;
		}
		for (i = 0; i < N; i++)
			ck_assert(!armed[i] || (int32_t)(due[i] - now) > 0);
	}
	for (i = 0; i < N; i++)
		ck_assert(rec[i].before == 0 && rec[i].after == 0);
}
END_TEST

Suite *bs_suite_wheel(void)
{
	Suite *s = suite_create("wheel");
	TCase *t = tcase_create("wheel");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, test_empty);
	tcase_add_loop_test(t, test_never_early_never_late, 0, 6 * 16);
	tcase_add_test(t, test_clear_behind_a_taken_one);
	tcase_add_test(t, test_past_is_now);
	tcase_add_test(t, test_farther_than_the_wheel);
	tcase_add_test(t, test_set_again_and_clear);
	tcase_add_loop_test(t, test_against_a_model, 0, 5);
	suite_add_tcase(s, t);
	return s;
}
