/* SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <string.h>

#include "link_model.h"

static struct link_model l;
static struct link_fate fate;

static void start(struct link_conf c)
{
	c.seed = 3;
	link_init(&l, &c);
}

static int32_t us(bs_time at, bs_time from)
{
	return (int32_t)(BS_TIME_DIFF(at, from) / 1000);
}

START_TEST(link_perfect)
{
	start((struct link_conf){ 0 });
	ck_assert_int_eq(link_input(&l, 0, 65535, 5, &fate), LINK_PASS);
	ck_assert_uint_eq(fate.n, 1);
	ck_assert_uint_eq(fate.at[0], 5);
}
END_TEST

START_TEST(link_delay_and_rate)
{
	bs_time t = BS_TIME_MS(50);
	unsigned i;

	start((struct link_conf){ .delay_us = 20000, .rate_bps = 8000000, .queue_bytes = 5000 });
	for (i = 1; i <= 5; i++) {
		ck_assert_int_eq(link_input(&l, 0, 1000, t, &fate), LINK_PASS);
		ck_assert_int_eq(us(fate.at[0], t), (int32_t)(20000 + i * 1000));
	}
	/* The sixth does not fit into the queue; the other direction is empty. */
	ck_assert_int_eq(link_input(&l, 0, 1000, t, &fate), LINK_LOST);
	ck_assert_uint_eq(l.stats.overflowed, 1);
	ck_assert_int_eq(link_input(&l, 1, 1000, t, &fate), LINK_PASS);
	ck_assert_int_eq(us(fate.at[0], t), 21000);
	/* Later there is room again. */
	t += BS_TIME_MS(2);
	ck_assert_int_eq(link_input(&l, 0, 1000, t, &fate), LINK_PASS);
	ck_assert_int_eq(us(fate.at[0], t), 24000);
}
END_TEST

START_TEST(link_shares)
{
	unsigned i, lost = 0, twice = 0;
	bs_time t = 0;

	start((struct link_conf){ .loss_ppm = 100000, .copy_ppm = 50000 });
	for (i = 0; i < 20000; i++) {
		t += BS_TIME_MS(1);
		if (link_input(&l, i & 1, 100, t, &fate) == LINK_LOST)
			lost++;
		else
			twice += fate.n == 2;
	}
	ck_assert_uint_eq(lost, l.stats.lost);
	ck_assert_uint_eq(twice, l.stats.copied);
	ck_assert(lost > 1800 && lost < 2200);
	ck_assert(twice > 800 && twice < 1000);
}
END_TEST

START_TEST(link_order)
{
	bs_time t = 0, last = 0;
	unsigned i, late = 0;

	/* Jitter alone keeps the order. */
	start((struct link_conf){ .delay_us = 5000, .jitter_us = 20000 });
	for (i = 0; i < 5000; i++) {
		t += BS_TIME_MS(1);
		ck_assert_int_eq(link_input(&l, 0, 100, t, &fate), LINK_PASS);
		ck_assert(BS_TIME_DIFF(fate.at[0], last) >= 0);
		ck_assert_int_ge(us(fate.at[0], t), 5000);
		last = fate.at[0];
	}
	start((struct link_conf){ .reorder_ppm = 20000, .reorder_us = 3500 });
	for (i = 0; i < 5000; i++) {
		t += BS_TIME_MS(1);
		ck_assert_int_eq(link_input(&l, 0, 100, t, &fate), LINK_PASS);
		late += us(fate.at[0], t) == 3500;
	}
	ck_assert_uint_eq(late, l.stats.reordered);
	ck_assert(late > 60 && late < 140);
}
END_TEST

START_TEST(link_mtu_shrinks)
{
	bs_time t = BS_TIME_MS(7);

	start((struct link_conf){ .mtu = 1400, .later_mtu = 1300, .mtu_after_ms = 1000 });
	ck_assert_int_eq(link_input(&l, 0, 1400, t, &fate), LINK_PASS);
	ck_assert_int_eq(link_input(&l, 0, 1401, t, &fate), LINK_TOO_BIG);
	ck_assert_uint_eq(fate.mtu, 1400);
	t += BS_TIME_MS(1000);
	ck_assert_int_eq(link_input(&l, 1, 1301, t, &fate), LINK_TOO_BIG);
	ck_assert_uint_eq(fate.mtu, 1300);
	ck_assert_uint_eq(l.stats.too_big, 2);
	ck_assert_int_eq(link_input(&l, 1, 1300, t, &fate), LINK_PASS);
	ck_assert_uint_eq(link_mtu(&l, t), 1300);
}
END_TEST

START_TEST(link_seed_decides)
{
	struct link_conf c = { .loss_ppm = 300000, .jitter_us = 9000 };
	bs_time at[100];
	unsigned i;

	start(c);
	for (i = 0; i < 100; i++) {
		(void)link_input(&l, 0, 100, BS_TIME_MS(i * 20), &fate);
		at[i] = fate.at[0];
	}
	start(c);
	for (i = 0; i < 100; i++) {
		(void)link_input(&l, 0, 100, BS_TIME_MS(i * 20), &fate);
		ck_assert_uint_eq(at[i], fate.at[0]);
	}
}
END_TEST

Suite *bs_suite_link_model(void);
Suite *bs_suite_link_model(void)
{
	Suite *s = suite_create("link_model");
	TCase *t = tcase_create("link_model");

	tcase_add_test(t, link_perfect);
	tcase_add_test(t, link_delay_and_rate);
	tcase_add_test(t, link_shares);
	tcase_add_test(t, link_order);
	tcase_add_test(t, link_mtu_shrinks);
	tcase_add_test(t, link_seed_decides);
	suite_add_tcase(s, t);
	return s;
}
