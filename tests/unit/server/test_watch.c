/* SPDX-License-Identifier: Apache-2.0 */
#include "server/watch.h"

#include <stdlib.h>

#include "suite.h"

static struct bs_watch t;

static void setup(void)
{
	ck_assert_int_eq(bs_watch_init(&t, 64), BS_OK);
}

static void teardown(void)
{
	bs_watch_fini(&t);
	bs_watch_fini(&t);
	bs_watch_fini(NULL);
}

START_TEST(test_pairs)
{
	ck_assert(!bs_watch_has(&t, 5, 0));
	ck_assert_int_eq(bs_watch_add(&t, 5, 0), BS_OK);
	ck_assert_int_eq(bs_watch_add(&t, 5, 0), BS_OK);
	ck_assert_int_eq(bs_watch_add(&t, 5, 3), BS_OK);
	ck_assert_uint_eq(t.n, 2);
	ck_assert(bs_watch_has(&t, 5, 0));
	ck_assert(bs_watch_has(&t, 5, 3));
	ck_assert(!bs_watch_has(&t, 5, 1));
	ck_assert(!bs_watch_has(&t, 6, 0));
	bs_watch_remove(&t, 5, 0);
	bs_watch_remove(&t, 5, 0);
	ck_assert(!bs_watch_has(&t, 5, 0));
	ck_assert(bs_watch_has(&t, 5, 3));
	ck_assert_uint_eq(t.n, 1);
}
END_TEST

START_TEST(test_full)
{
	struct bs_watch bad;
	uint32_t i;

	for (i = 1; i <= 64; i++)
		ck_assert_int_eq(bs_watch_add(&t, i, 0), BS_OK);
	ck_assert_int_eq(bs_watch_add(&t, 65, 0), BS_EFULL);
	ck_assert_int_eq(bs_watch_add(&t, 64, 0), BS_OK);
	ck_assert_int_eq(bs_watch_init(&bad, 0), BS_EINVAL);
}
END_TEST

START_TEST(test_against_a_model)
{
	bool has[32][4] = { { false } };
	uint32_t step;

	srandom(11);
	for (step = 0; step < 50000; step++) {
		uint32_t n = (uint32_t)random() % 32;
		uint32_t w = (uint32_t)random() % 4;

		if (random() % 2) {
			if (bs_watch_add(&t, n + 1, w) == BS_OK)
				has[n][w] = true;
			else
				ck_assert_uint_eq(t.n, 64);
		} else {
			bs_watch_remove(&t, n + 1, w);
			has[n][w] = false;
		}
		n = (uint32_t)random() % 32;
		w = (uint32_t)random() % 4;
		ck_assert_int_eq(bs_watch_has(&t, n + 1, w), has[n][w]);
	}
}
END_TEST

Suite *bs_suite_watch(void)
{
	Suite *s = suite_create("watch");
	TCase *c = tcase_create("watch");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_pairs);
	tcase_add_test(c, test_full);
	tcase_add_test(c, test_against_a_model);
	suite_add_tcase(s, c);
	return s;
}
