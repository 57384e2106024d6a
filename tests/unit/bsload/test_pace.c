/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"
#include "tools/bsload/pace.h"

#define SECOND UINT64_C(1000000000)

static struct pace p;

START_TEST(test_never)
{
	pace_start(&p, 0, 5);
	ck_assert_uint_eq(pace_take(&p, 5 * SECOND, 100), 0);
	ck_assert_uint_eq(p.behind, 0);
	pace_start(&p, 10, 5 * SECOND);
	ck_assert_uint_eq(pace_take(&p, 4 * SECOND, 100), 0);
}
END_TEST

/* Whatever the steps, what is due is what the time says; nothing is lost to rounding. */
START_TEST(test_evenly)
{
	uint64_t now = SECOND;
	uint64_t done = 0;

	pace_start(&p, 333, now);
	for (int i = 0; i < 1000; i++) {
		now += 1000000 + (uint64_t)i * 7919;
		done += pace_take(&p, now, 1000);
		ck_assert_uint_eq(done, (now - SECOND) * 333 / SECOND);
	}
	ck_assert_uint_eq(p.behind, 0);
}
END_TEST

START_TEST(test_behind)
{
	pace_start(&p, 100, 0);
	ck_assert_uint_eq(pace_take(&p, 2 * SECOND, 50), 50);
	/* 150 were left, which are 1.5 s of work. */
	ck_assert_uint_eq(p.behind, SECOND + SECOND / 2);
	ck_assert_uint_eq(pace_take(&p, 2 * SECOND, 1000), 150);
	ck_assert_uint_eq(pace_take(&p, 2 * SECOND, 1000), 0);
}
END_TEST

Suite *bs_suite_bsload_pace(void)
{
	Suite *s = suite_create("pace");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, test_never);
	tcase_add_test(tc, test_evenly);
	tcase_add_test(tc, test_behind);
	suite_add_tcase(s, tc);
	return s;
}
