/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <string.h>

#include "context.h"

/** What fired, in order. */
static char fired[64];

static void note(void *arg, struct bsdev *dev, bs_time now)
{
	const size_t n = strlen(fired);

	(void)dev;
	(void)now;
	if (n + 1 < sizeof(fired)) {
		fired[n] = *(const char *)arg;
		fired[n + 1] = '\0';
	}
}

/** A timer that starts itself again without delay. */
static struct bsdev_timer eager;

static void restart(void *arg, struct bsdev *dev, bs_time now)
{
	note(arg, dev, now);
	bsdev_timer_start(dev, &eager, 0, restart, arg, now);
}

static struct bsdev dev;

static void setup(void)
{
	memset(&dev, 0, sizeof(dev));
	memset(fired, 0, sizeof(fired));
}

START_TEST(test_fire_in_order)
{
	struct bsdev_timer t[4];
	static char names[] = "abcd";
	static const uint32_t ms[] = { 30, 10, 20, 10 };
	const bs_time t0 = BS_TIME_MS(1000);

	memset(t, 0, sizeof(t));
	for (size_t i = 0; i < 4; i++)
		bsdev_timer_start(&dev, &t[i], ms[i], note, &names[i], t0);
	bsdev__timers_run(&dev, t0 + BS_TIME_MS(9));
	ck_assert_str_eq(fired, "");
	bsdev__timers_run(&dev, t0 + BS_TIME_MS(10));
	ck_assert_str_eq(fired, "bd");
	bsdev__timers_run(&dev, t0 + BS_TIME_MS(1000));
	ck_assert_str_eq(fired, "bdca");
	ck_assert_ptr_null(dev.timers);
}
END_TEST

START_TEST(test_stop_and_restart)
{
	struct bsdev_timer a = { 0 }, b = { 0 };
	static char names[] = "ab";

	bsdev_timer_stop(&dev, &a);
	bsdev_timer_start(&dev, &a, 10, note, &names[0], 0);
	bsdev_timer_start(&dev, &b, 10, note, &names[1], 0);
	bsdev_timer_stop(&dev, &a);
	bsdev_timer_start(&dev, &b, 50, note, &names[1], 0);
	bsdev__timers_run(&dev, BS_TIME_MS(49));
	ck_assert_str_eq(fired, "");
	bsdev__timers_run(&dev, BS_TIME_MS(50));
	ck_assert_str_eq(fired, "b");
}
END_TEST

START_TEST(test_eager_timer_yields)
{
	static char name[] = "e";

	memset(&eager, 0, sizeof(eager));
	bsdev_timer_start(&dev, &eager, 0, restart, name, 5);
	bsdev__timers_run(&dev, 5);
	ck_assert_str_eq(fired, "e");
	bsdev__timers_run(&dev, 5);
	ck_assert_str_eq(fired, "ee");
}
END_TEST

START_TEST(test_across_the_wrap)
{
	struct bsdev_timer a = { 0 }, b = { 0 };
	static char names[] = "ab";
	const bs_time t0 = (bs_time)0 - BS_TIME_MS(5);

	bsdev_timer_start(&dev, &a, 10, note, &names[0], t0);
	bsdev_timer_start(&dev, &b, 2, note, &names[1], t0);
	bsdev__timers_run(&dev, t0 + BS_TIME_MS(3));
	ck_assert_str_eq(fired, "b");
	bsdev__timers_run(&dev, t0 + BS_TIME_MS(10));
	ck_assert_str_eq(fired, "ba");
}
END_TEST

Suite *bs_suite_timer(void)
{
	Suite *s = suite_create("timer");
	TCase *tc = tcase_create("timer");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_fire_in_order);
	tcase_add_test(tc, test_stop_and_restart);
	tcase_add_test(tc, test_eager_timer_yields);
	tcase_add_test(tc, test_across_the_wrap);
	suite_add_tcase(s, tc);
	return s;
}
