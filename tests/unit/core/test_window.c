/* SPDX-License-Identifier: Apache-2.0 */
#include "util/window.h"

#include "test.h"

START_TEST(each_number_is_taken_once)
{
	struct bs_window w;
	uint32_t n;

	bs_window_init(&w);
	for (n = 1; n < 200; n++) {
		ck_assert_int_eq(bs_window_take(&w, n), BS_OK);
		ck_assert_int_eq(bs_window_take(&w, n), BS_EREPLAY);
	}
	for (n = 1; n < 200; n++)
		ck_assert_int_eq(bs_window_take(&w, n), BS_EREPLAY);
}
END_TEST

START_TEST(order_within_the_window_does_not_matter)
{
	struct bs_window w;
	uint32_t n;

	bs_window_init(&w);
	ck_assert_int_eq(bs_window_take(&w, 163), BS_OK);
	for (n = 162; n > 99; n--)
		ck_assert_int_eq(bs_window_take(&w, n), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 99), BS_EREPLAY);
	ck_assert(w.seen == UINT64_MAX);
	ck_assert_int_eq(bs_window_take(&w, 164), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 100), BS_EREPLAY);
}
END_TEST

START_TEST(a_jump_forgets_what_is_too_old)
{
	struct bs_window w;

	bs_window_init(&w);
	ck_assert_int_eq(bs_window_take(&w, 5), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 5 + 63), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 5), BS_EREPLAY);
	ck_assert_int_eq(bs_window_take(&w, 6), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 5 + 63 + 64), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 5 + 63), BS_EREPLAY);
	ck_assert_int_eq(bs_window_take(&w, 5 + 64), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 100000), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 100000 - 64), BS_EREPLAY);
	ck_assert_int_eq(bs_window_take(&w, 100000 - 63), BS_OK);
}
END_TEST

START_TEST(the_first_number_may_be_any)
{
	static const uint32_t firsts[] = { 0, 1, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu };
	struct bs_window w;
	size_t i;

	for (i = 0; i < BS_LEN(firsts); i++) {
		bs_window_init(&w);
		ck_assert(bs_window_is_new(&w, firsts[i]));
		ck_assert(bs_window_is_highest(&w, firsts[i]));
		ck_assert_int_eq(bs_window_take(&w, firsts[i]), BS_OK);
		ck_assert_int_eq(bs_window_take(&w, firsts[i]), BS_EREPLAY);
	}
}
END_TEST

START_TEST(numbers_wrap)
{
	struct bs_window w;

	bs_window_init(&w);
	ck_assert_int_eq(bs_window_take(&w, 0xFFFFFFFEu), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 1), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 0xFFFFFFFEu), BS_EREPLAY);
	ck_assert_int_eq(bs_window_take(&w, 0xFFFFFFFFu), BS_OK);
	ck_assert_int_eq(bs_window_take(&w, 0), BS_OK);
	ck_assert(!bs_window_is_highest(&w, 0xFFFFFFFFu));
	ck_assert(bs_window_is_highest(&w, 2));
}
END_TEST

START_TEST(asking_changes_nothing)
{
	struct bs_window w;
	struct bs_window was;

	bs_window_init(&w);
	ck_assert_int_eq(bs_window_take(&w, 10), BS_OK);
	was = w;
	ck_assert(bs_window_is_new(&w, 11));
	ck_assert(bs_window_is_new(&w, 9));
	ck_assert(!bs_window_is_new(&w, 10));
	ck_assert(w.high == was.high && w.seen == was.seen);
}
END_TEST

/* Against a list of everything taken. */
START_TEST(agrees_with_a_naive_model)
{
	uint32_t seed = 0xACE1u + (uint32_t)_i;
	bool taken[1200] = { false };
	struct bs_window w;
	uint32_t high = 0;
	bool any = false;
	int step;

	bs_window_init(&w);
	for (step = 0; step < 2000; step++) {
		uint32_t span = bs_test_random(&seed) % 150;
		uint32_t n = (high + span) % 1100;
		bool want;

		if (n + 70 < high)
			n = high;
		want = !any || n > high || (high - n < BS_WINDOW_LEN && !taken[n]);
		if (n + 64 > 1100)
			break;
		ck_assert_int_eq(bs_window_take(&w, n), want ? BS_OK : BS_EREPLAY);
		if (want) {
			taken[n] = true;
			high = !any || n > high ? n : high;
			any = true;
		}
		if (bs_test_random(&seed) % 3 && high > 80) {
			n = high - bs_test_random(&seed) % 80;
			want = high - n < BS_WINDOW_LEN && !taken[n];
			ck_assert_int_eq(bs_window_take(&w, n), want ? BS_OK : BS_EREPLAY);
			taken[n] = taken[n] || want;
		}
	}
	ck_assert(any);
}
END_TEST

Suite *bs_suite_window(void);

Suite *bs_suite_window(void)
{
	Suite *s = suite_create("window");
	TCase *tc = tcase_create("window");

	tcase_add_test(tc, each_number_is_taken_once);
	tcase_add_test(tc, order_within_the_window_does_not_matter);
	tcase_add_test(tc, a_jump_forgets_what_is_too_old);
	tcase_add_test(tc, the_first_number_may_be_any);
	tcase_add_test(tc, numbers_wrap);
	tcase_add_test(tc, asking_changes_nothing);
	tcase_add_loop_test(tc, agrees_with_a_naive_model, 0, 20);
	suite_add_tcase(s, tc);
	return s;
}
