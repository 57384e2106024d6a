/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "suites.h"
#include "tools/bsload/numbers.h"

enum {
	N = 64
};

static struct numbers t;

static void setup(void)
{
	ck_assert_int_eq(numbers_init(&t, N), 0);
}

static void teardown(void)
{
	numbers_fini(&t);
}

START_TEST(test_unknown)
{
	ck_assert_uint_eq(numbers_get(&t, 0), NUMBERS_NONE);
	ck_assert_uint_eq(numbers_get(&t, 5), NUMBERS_NONE);
	numbers_drop(&t, 0);
	numbers_drop(&t, 5);
	numbers_put(&t, 5, 1);
	numbers_put(&t, 5, 2);
	ck_assert_uint_eq(numbers_get(&t, 5), 2);
}
END_TEST

/* Random operations against a plain list.  Few distinct lower bits make long runs that wrap. */
START_TEST(test_model)
{
	static uint32_t have[N][2];
	uint32_t x = (uint32_t)_i * 2654435761u + 1;

	memset(have, 0, sizeof(have));
	for (int step = 0; step < 20000; step++) {
		uint32_t slot;
		uint32_t number;

		x = x * 1664525u + 1013904223u;
		slot = (x >> 8) % N;
		number = ((slot / 8) << 16 | (slot % 8 << 8)) + 120 + slot % 5;
		if (x >> 31) {
			numbers_put(&t, number, x);
			have[slot][0] = number;
			have[slot][1] = x;
		} else {
			numbers_drop(&t, number);
			have[slot][0] = 0;
		}
		slot = (x >> 16) % N;
		number = ((slot / 8) << 16 | (slot % 8 << 8)) + 120 + slot % 5;
		ck_assert_uint_eq(numbers_get(&t, number),
				  have[slot][0] ? have[slot][1] : NUMBERS_NONE);
	}
}
END_TEST

Suite *bs_suite_bsload_numbers(void)
{
	Suite *s = suite_create("numbers");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_unknown);
	tcase_add_loop_test(tc, test_model, 0, 5);
	suite_add_tcase(s, tc);
	return s;
}
