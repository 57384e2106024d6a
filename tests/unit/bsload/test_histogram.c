/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "suites.h"
#include "tools/bsload/histogram.h"

static struct histogram h;

static void setup(void)
{
	memset(&h, 0, sizeof(h));
}

START_TEST(test_empty)
{
	ck_assert_uint_eq(histogram_at(&h, 500), 0);
	ck_assert_uint_eq(histogram_mean(&h), 0);
}
END_TEST

/* Below 128 nothing is rounded. */
START_TEST(test_small_values_are_exact)
{
	for (uint64_t v = 0; v < 128; v++) {
		setup();
		histogram_add(&h, v);
		histogram_add(&h, 1000);
		ck_assert_uint_eq(histogram_at(&h, 500), v);
	}
}
END_TEST

/* Every power of two, its neighbours, and the ends of the range: above, by less than 1/64. */
START_TEST(test_error_is_bounded)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int d = -1; d <= 1; d++) {
			const uint64_t v = (UINT64_C(1) << bit) + (uint64_t)(int64_t)d;
			uint64_t at;

			setup();
			histogram_add(&h, v);
			histogram_add(&h, UINT64_MAX);
			at = histogram_at(&h, 500);
			ck_assert_uint_ge(at, v);
			ck_assert_uint_le(at - v, v / 64);
		}
	}
}
END_TEST

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Against a sorted list of all values, over many orders of magnitude. */
START_TEST(test_percentiles)
{
	enum {
		N = 5000
	};
	static uint64_t all[N];
	static const unsigned at[] = { 1, 10, 500, 900, 990, 999, 1000 };
	uint64_t x = 88172645463325252;

	for (int i = 0; i < N; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		all[i] = x >> (x % 60);
		histogram_add(&h, all[i]);
	}
	qsort(all, N, sizeof(all[0]), compare);
	for (size_t k = 0; k < sizeof(at) / sizeof(at[0]); k++) {
		const uint64_t want = all[(N * at[k] + 999) / 1000 - 1];
		const uint64_t got = histogram_at(&h, at[k]);

		ck_assert_uint_ge(got, want);
		ck_assert_uint_le(got - want, want / 64);
	}
	ck_assert_uint_eq(histogram_at(&h, 1000), all[N - 1]);
	ck_assert_uint_eq(h.n, N);
}
END_TEST

Suite *bs_suite_bsload_histogram(void)
{
	Suite *s = suite_create("histogram");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_empty);
	tcase_add_test(tc, test_small_values_are_exact);
	tcase_add_test(tc, test_error_is_bounded);
	tcase_add_test(tc, test_percentiles);
	suite_add_tcase(s, tc);
	return s;
}
