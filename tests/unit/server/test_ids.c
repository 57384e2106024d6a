/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ids.h"

#include <stdlib.h>
#include <string.h>

#include "suite.h"

static struct bs_ids t;

static void setup(void)
{
	ck_assert_int_eq(bs_ids_init(&t, 200), BS_OK);
}

static void teardown(void)
{
	bs_ids_fini(&t);
	bs_ids_fini(&t);
	bs_ids_fini(NULL);
}

START_TEST(test_newest_claim_wins)
{
	struct bs_id_claim c;
	uint32_t since;

	ck_assert_uint_eq(bs_ids_holder(&t, 7, 3000, &since), 0);
	ck_assert_int_eq(bs_ids_claim(&t, 7, 0x111111, 1000, 0, &c), BS_OK);
	ck_assert_uint_eq(c.old_nsi, 0);
	ck_assert_uint_eq(bs_ids_holder(&t, 7, 3000, &since), 0x111111);
	ck_assert_uint_eq(since, 2000);
	ck_assert_int_eq(bs_ids_claim(&t, 7, 0x222222, 2000, 0, &c), BS_OK);
	ck_assert_uint_eq(c.old_nsi, 0x111111);
	ck_assert(!c.flapping);
	ck_assert_uint_eq(bs_ids_holder(&t, 7, 3000, &since), 0x222222);
	/* The loser's end changes nothing. */
	ck_assert(!bs_ids_release(&t, 7, 0x111111));
	ck_assert_uint_eq(t.n, 1);
	ck_assert(bs_ids_release(&t, 7, 0x222222));
	ck_assert(!bs_ids_release(&t, 7, 0x222222));
	ck_assert_uint_eq(t.n, 0);
}
END_TEST

START_TEST(test_repeated_claim_changes_nothing)
{
	struct bs_id_claim c;
	uint32_t since;

	ck_assert_int_eq(bs_ids_claim(&t, 7, 5, 10, 0, &c), BS_OK);
	ck_assert_int_eq(bs_ids_claim(&t, 7, 5, 20, 0, &c), BS_OK);
	ck_assert_uint_eq(c.old_nsi, 0);
	ck_assert_uint_eq(bs_ids_holder(&t, 7, 3000, &since), 5);
	ck_assert_uint_eq(since, 2990);
}
END_TEST

/* A claim whose message was lost is repeated when the next attach has claimed already. */
START_TEST(test_late_claim_of_an_older_attach)
{
	struct bs_id_claim c;
	uint32_t age_s;

	ck_assert_int_eq(bs_ids_claim(&t, 7, 0x222222, 1000, 0, &c), BS_OK);
	ck_assert(c.is_new);
	ck_assert_int_eq(bs_ids_claim(&t, 7, 0x111111, 1008, 10, &c), BS_OK);
	ck_assert_uint_eq(c.old_nsi, 0x111111);
	ck_assert(!c.is_new);
	ck_assert_uint_eq(bs_ids_holder(&t, 7, 1008, &age_s), 0x222222);
	ck_assert_uint_eq(age_s, 8);
	/* One that is late and newer all the same. */
	ck_assert_int_eq(bs_ids_claim(&t, 7, 0x333333, 1008, 3, &c), BS_OK);
	ck_assert_uint_eq(c.old_nsi, 0x222222);
	ck_assert_uint_eq(bs_ids_holder(&t, 7, 1008, &age_s), 0x333333);
	ck_assert_uint_eq(age_s, 3);
}
END_TEST

START_TEST(test_flapping)
{
	struct bs_id_claim c;
	uint32_t alarms = 0;
	uint32_t i;

	for (i = 0; i < 40; i++) {
		ck_assert_int_eq(bs_ids_claim(&t, 9, i + 1, i * 10, 0, &c), BS_OK);
		alarms += c.flapping;
		ck_assert(!c.flapping || i >= BS_IDS_FLAP);
	}
	/* At the fifth quick claim and at every sixteenth after it. */
	ck_assert_uint_eq(alarms, 3);
	for (i = 0; i < 40; i++) {
		ck_assert_int_eq(bs_ids_claim(&t, 10, i + 1, i * 60, 0, &c), BS_OK);
		ck_assert(!c.flapping);
	}
}
END_TEST

START_TEST(test_flap_count_does_not_run_over)
{
	struct bs_id_claim c;
	uint32_t alarms = 0;
	uint32_t i;

	for (i = 0; i < 2000; i++) {
		ck_assert_int_eq(bs_ids_claim(&t, 9, i + 1, 5, 0, &c), BS_OK);
		alarms += c.flapping;
	}
	ck_assert_uint_ge(alarms, 100);
	ck_assert_uint_le(alarms, 150);
}
END_TEST

/* After 194 days of uptime the seconds no longer fit; ages still do. */
START_TEST(test_long_uptime)
{
	const uint32_t t0 = (UINT32_C(1) << 24) - 20;
	struct bs_id_claim c;
	uint32_t age;
	uint32_t alarms = 0;
	uint32_t i;

	for (i = 0; i < 10; i++) {
		ck_assert_int_eq(bs_ids_claim(&t, 9, i + 1, t0 + i * 10, 0, &c), BS_OK);
		alarms += c.flapping;
		ck_assert_uint_eq(bs_ids_holder(&t, 9, t0 + i * 10 + 5, &age), i + 1);
		ck_assert_uint_eq(age, 5);
	}
	ck_assert_uint_eq(alarms, 1);
}
END_TEST

START_TEST(test_full)
{
	struct bs_id_claim c;
	struct bs_ids bad;
	uint32_t i;

	for (i = 1; i <= 200; i++)
		ck_assert_int_eq(bs_ids_claim(&t, i, i, 0, 0, &c), BS_OK);
	ck_assert_int_eq(bs_ids_claim(&t, 201, 1, 0, 0, &c), BS_EFULL);
	ck_assert_int_eq(bs_ids_claim(&t, 200, 77, 0, 0, &c), BS_OK);
	ck_assert_int_eq(bs_ids_init(&bad, 0), BS_EINVAL);
}
END_TEST

START_TEST(test_against_a_model)
{
	uint32_t nsi[400] = { 0 };
	struct bs_id_claim c;
	uint32_t n = 0;
	uint32_t step;
	uint32_t since;
	uint32_t i;

	srandom((unsigned)_i + 3);
	for (step = 1; step < 50000; step++) {
		i = (uint32_t)random() % 399 + 1;
		if (nsi[i] && random() % 2) {
			ck_assert(bs_ids_release(&t, i, nsi[i]));
			nsi[i] = 0;
			n--;
		} else if (nsi[i] || n < 200) {
			ck_assert_int_eq(bs_ids_claim(&t, i, step, step, 0, &c), BS_OK);
			ck_assert_uint_eq(c.old_nsi, nsi[i]);
			n += nsi[i] == 0;
			nsi[i] = step;
		}
		ck_assert_uint_eq(t.n, n);
		i = (uint32_t)random() % 399 + 1;
		ck_assert_uint_eq(bs_ids_holder(&t, i, step, &since), nsi[i]);
	}
}
END_TEST

/* Numbers are counted up; workers still get even shares. */
START_TEST(test_hash_spreads)
{
	uint32_t share[8] = { 0 };
	uint32_t i;

	for (i = 1; i <= 80000; i++)
		share[bs_ids_hash(i) % 8]++;
	for (i = 0; i < 8; i++) {
		ck_assert_uint_gt(share[i], 9500);
		ck_assert_uint_lt(share[i], 10500);
	}
}
END_TEST

Suite *bs_suite_ids(void)
{
	Suite *s = suite_create("ids");
	TCase *c = tcase_create("ids");

	tcase_set_timeout(c, 60);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_newest_claim_wins);
	tcase_add_test(c, test_repeated_claim_changes_nothing);
	tcase_add_test(c, test_late_claim_of_an_older_attach);
	tcase_add_test(c, test_flapping);
	tcase_add_test(c, test_flap_count_does_not_run_over);
	tcase_add_test(c, test_long_uptime);
	tcase_add_test(c, test_full);
	tcase_add_loop_test(c, test_against_a_model, 0, 4);
	tcase_add_test(c, test_hash_spreads);
	suite_add_tcase(s, c);
	return s;
}
