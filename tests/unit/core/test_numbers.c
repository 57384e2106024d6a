/* SPDX-License-Identifier: Apache-2.0 */
#include "util/numbers.h"

#include "test.h"

enum {
	N = 64
};

/* Longer arrays are emptier: from one free entry to half full. */
static const uint32_t caps[] = { N + 1, N + 2, N + N / 4, 2 * N };

static struct bs_number room[2 * N];
static struct bs_numbers t;

static void make(uint32_t cap)
{
	memset(room, 0, sizeof(room));
	bs_numbers_init(&t, room, cap, N);
}

START_TEST(unknown_and_refused)
{
	uint32_t i;

	make(N + 1);
	ck_assert_ptr_null(bs_numbers_find(&t, 0));
	ck_assert_ptr_null(bs_numbers_find(&t, 5));
	bs_numbers_remove(&t, 0);
	bs_numbers_remove(&t, 5);
	ck_assert_int_eq(bs_numbers_put(&t, 0, 1), BS_EINVAL);
	for (i = 1; i <= N; i++)
		ck_assert_int_eq(bs_numbers_put(&t, i, i + 1), BS_OK);
	ck_assert_int_eq(bs_numbers_put(&t, 5, 9), BS_EEXIST);
	ck_assert_int_eq(bs_numbers_put(&t, N + 1, 9), BS_EFULL);
	/* Even then a look-up ends. */
	ck_assert_ptr_null(bs_numbers_find(&t, N + 1));
	bs_numbers_find(&t, 5)->value = UINT32_MAX;
	ck_assert_uint_eq(bs_numbers_find(&t, 5)->value, UINT32_MAX);
	ck_assert_uint_eq(t.n, N);
}
END_TEST

/* Random operations against a plain list; close numbers and a full table make runs that wrap. */
START_TEST(against_a_model)
{
	uint32_t have[N] = { 0 };
	uint32_t x = (uint32_t)_i * 2654435761u + 1;
	uint32_t n = 0;
	int step;

	make(caps[_i]);
	for (step = 0; step < 50000; step++) {
		uint32_t slot;
		const struct bs_number *e;

		x = x * 1664525u + 1013904223u;
		slot = (x >> 8) % N;
		if (x >> 30) {
			ck_assert_int_eq(bs_numbers_put(&t, slot + 120, x | 1),
					 have[slot] ? BS_EEXIST : BS_OK);
			n += !have[slot];
			have[slot] = have[slot] ? have[slot] : x | 1;
		} else {
			bs_numbers_remove(&t, slot + 120);
			n -= have[slot] != 0;
			have[slot] = 0;
		}
		ck_assert_uint_eq(t.n, n);
		slot = (x >> 16) % N;
		e = bs_numbers_find(&t, slot + 120);
		ck_assert_uint_eq(e ? e->value : 0, have[slot]);
	}
}
END_TEST

Suite *bs_suite_numbers(void);

Suite *bs_suite_numbers(void)
{
	Suite *s = suite_create("numbers");
	TCase *c = tcase_create("all");

	tcase_add_test(c, unknown_and_refused);
	tcase_add_loop_test(c, against_a_model, 0, BS_LEN(caps));
	suite_add_tcase(s, c);
	return s;
}
