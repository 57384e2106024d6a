/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of connection attempts, and the verdict on each. */
#include "server/attempts.h"

#include "server/counters.h"
#include "suite.h"
#include "util/endpoint.h"

static struct bs_attempts a;

static void setup(void)
{
	ck_assert_int_eq(bs_attempts_init(&a), BS_OK);
}

static void teardown(void)
{
	bs_attempts_fini(&a);
	bs_attempts_fini(&a);
}

START_TEST(test_the_newest_push_out_the_oldest)
{
	uint64_t place[BS_ATTEMPTS_MAX + 2];

	ck_assert_ptr_null(bs_attempts_newest(&a, 0));
	for (uint64_t i = 0; i < BS_ATTEMPTS_MAX + 2; i++)
		bs_attempts_begin(&a, 100 + i, 7, i, &place[i]);
	ck_assert_ptr_null(bs_attempts_get(&a, place[0]));
	ck_assert_ptr_null(bs_attempts_get(&a, place[1]));
	ck_assert_uint_eq(bs_attempts_get(&a, place[2])->attempt, 102);
	ck_assert_ptr_null(bs_attempts_get(&a, BS_ATTEMPT_NONE));
	ck_assert_ptr_null(bs_attempts_get(&a, a.n_info));
	ck_assert_uint_eq(bs_attempts_newest(&a, 0)->attempt, 100 + BS_ATTEMPTS_MAX + 1);
	ck_assert_uint_eq(bs_attempts_newest(&a, BS_ATTEMPTS_MAX - 1)->attempt, 102);
	ck_assert_ptr_null(bs_attempts_newest(&a, BS_ATTEMPTS_MAX));
}
END_TEST

START_TEST(test_a_record_starts_empty_on_a_used_place)
{
	uint64_t place;
	struct bs_attempt_info *i = bs_attempts_begin(&a, 1, 1, 5, &place);

	i->status = 9;
	i->open_ms = 9;
	for (unsigned k = 0; k < BS_ATTEMPTS_MAX; k++)
		i = bs_attempts_begin(&a, 2, 3, 4, &place);
	ck_assert_uint_eq(i->status, 0);
	ck_assert_uint_eq(i->open_ms, 0);
	ck_assert_uint_eq(i->number, 3);
}
END_TEST

START_TEST(test_steps_wrap)
{
	for (uint64_t i = 0; i < BS_ATTEMPT_STEPS_MAX + 3; i++)
		bs_attempts_step(&a, i, 1, BS_STEP_SENT, 0, i)->value = 77;
	ck_assert_uint_eq(bs_attempts_newest_step(&a, 0)->attempt, BS_ATTEMPT_STEPS_MAX + 2);
	ck_assert_uint_eq(bs_attempts_newest_step(&a, BS_ATTEMPT_STEPS_MAX - 1)->attempt, 3);
	ck_assert_ptr_null(bs_attempts_newest_step(&a, BS_ATTEMPT_STEPS_MAX));
	/* Nothing of the step that had the place before. */
	ck_assert_uint_eq(bs_attempts_step(&a, 1, 1, BS_STEP_SENT, 0, 1)->value, 0);
}
END_TEST

START_TEST(test_direct_beats_relayed_whatever_comes_first)
{
	struct bs_attempt_info i = { .status = BS_ST_OK };

	bs_attempt_note_path(&i, 0, 1);
	bs_attempt_note_path(&i, 9, 1);
	ck_assert_uint_eq(i.outcome, BS_OUTCOME_PENDING);
	ck_assert_uint_eq(i.open_ms, 0);
	bs_attempt_note_path(&i, 3, 10);
	ck_assert_uint_eq(i.outcome, BS_OUTCOME_RELAYED);
	bs_attempt_note_path(&i, 2, 20);
	ck_assert_uint_eq(i.outcome, BS_OUTCOME_DIRECT);
	bs_attempt_note_path(&i, 4, 30);
	ck_assert_uint_eq(i.outcome, BS_OUTCOME_DIRECT);
	ck_assert_uint_eq(i.path, 2);
	ck_assert_uint_eq(i.open_ms, 10);
	bs_attempt_settle(&i, 40);
	ck_assert_uint_eq(i.why, BS_WHY_NONE);
	ck_assert_uint_eq(i.end_ms, 40);
}
END_TEST

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static const struct {
	uint32_t client; /* 0 = none, 1 = IPv6 */
	uint32_t device;
	uint8_t mapping;
	bool symmetric;
	uint16_t status;
	uint8_t outcome;
	enum bs_attempt_why why;
} verdict[] = {
	{ IP(192, 0, 2, 1), IP(192, 0, 2, 2), 1, false, BS_ST_OK, BS_OUTCOME_RELAYED,
	  BS_WHY_FILTERED },
	{ IP(192, 0, 2, 1), IP(192, 0, 2, 2), 3, true, BS_ST_OK, BS_OUTCOME_RELAYED,
	  BS_WHY_BOTH_SYMMETRIC },
	{ IP(192, 0, 2, 1), IP(192, 0, 2, 1), 3, true, BS_ST_OK, BS_OUTCOME_RELAYED,
	  BS_WHY_BOTH_SYMMETRIC },
	{ IP(192, 0, 2, 1), IP(192, 0, 2, 1), 1, false, BS_ST_OK, BS_OUTCOME_FAILED,
	  BS_WHY_HAIRPIN },
	{ IP(192, 0, 2, 1), IP(192, 0, 2, 2), 2, false, BS_ST_OK, BS_OUTCOME_RELAYED,
	  BS_WHY_CLIENT_SYMMETRIC },
	{ IP(192, 0, 2, 1), IP(192, 0, 2, 2), 0, true, BS_ST_OK, BS_OUTCOME_RELAYED,
	  BS_WHY_DEVICE_SYMMETRIC },
	{ 0, IP(192, 0, 2, 2), 0, false, BS_ST_OK, BS_OUTCOME_RELAYED, BS_WHY_CLIENT_UDP },
	{ 1, IP(192, 0, 2, 2), 0, false, BS_ST_OK, BS_OUTCOME_RELAYED, BS_WHY_FAMILIES },
	{ IP(192, 0, 2, 1), IP(192, 0, 2, 2), 1, false, BS_ST_REFUSED_DEVICE, BS_OUTCOME_REFUSED,
	  BS_WHY_REFUSED },
	{ IP(192, 0, 2, 1), IP(192, 0, 2, 2), 3, true, BS_ST_OK, BS_OUTCOME_DIRECT, BS_WHY_NONE },
};

static void set_ep(struct bs_endpoint *ep, uint32_t ip)
{
	static const uint8_t ip6[16] = { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9 };

	memset(ep, 0, sizeof(*ep));
	if (ip == 1)
		memcpy(ep->ip, ip6, sizeof(ip6));
	else if (ip != 0)
		bs_endpoint_set_ip4(ep, ip, 1);
	ep->port = ip ? 4000 : 0;
}

START_TEST(test_the_reason)
{
	struct bs_attempt_info i = { .status = verdict[_i].status,
				     .client_mapping = verdict[_i].mapping,
				     .device_symmetric = verdict[_i].symmetric };

	set_ep(&i.client, verdict[_i].client);
	set_ep(&i.device, verdict[_i].device);
	if (verdict[_i].outcome == BS_OUTCOME_RELAYED)
		bs_attempt_note_path(&i, 3, 1);
	if (verdict[_i].outcome == BS_OUTCOME_DIRECT)
		bs_attempt_note_path(&i, 2, 1);
	bs_attempt_settle(&i, 2);
	ck_assert_uint_eq(i.outcome, verdict[_i].outcome);
	ck_assert_int_eq((int)i.why, (int)verdict[_i].why);
	ck_assert(verdict[_i].why == BS_WHY_NONE || strlen(bs_attempt_why_text(i.why)) > 10);
	ck_assert(verdict[_i].why == BS_WHY_NONE || strlen(bs_attempt_why_name(i.why)) > 3);
}
END_TEST

START_TEST(test_counts_by_pair)
{
	static struct bs_counters c;
	struct bs_attempt_info i = { .status = BS_ST_OK, .client_mapping = 3 };

	set_ep(&i.device, IP(192, 0, 2, 2));
	bs_attempt_count(&i, &c); /* pending */
	i.outcome = BS_OUTCOME_REFUSED;
	bs_attempt_count(&i, &c);
	i.outcome = BS_OUTCOME_RELAYED;
	bs_attempt_count(&i, &c);
	i.device_symmetric = true;
	i.outcome = BS_OUTCOME_FAILED;
	bs_attempt_count(&i, &c);
	i.client_mapping = 0;
	set_ep(&i.device, 0);
	i.outcome = BS_OUTCOME_DIRECT;
	bs_attempt_count(&i, &c);
	ck_assert_uint_eq(bs_count_get(&c, BS_C_nat_symmetric_cone_relayed), 1);
	ck_assert_uint_eq(bs_count_get(&c, BS_C_nat_symmetric_symmetric_failed), 1);
	ck_assert_uint_eq(bs_count_get(&c, BS_C_nat_unknown_unknown_direct), 1);
	for (unsigned k = 0, sum = 0; k <= BS_COUNTER_N; k++) {
		if (k == BS_COUNTER_N)
			ck_assert_uint_eq(sum, 3);
		else
			sum += (unsigned)bs_count_get(&c, (enum bs_counter)k);
	}
}
END_TEST

Suite *bs_suite_attempts(void)
{
	Suite *s = suite_create("attempts");
	TCase *tc = tcase_create("core");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_the_newest_push_out_the_oldest);
	tcase_add_test(tc, test_a_record_starts_empty_on_a_used_place);
	tcase_add_test(tc, test_steps_wrap);
	tcase_add_test(tc, test_direct_beats_relayed_whatever_comes_first);
	tcase_add_loop_test(tc, test_the_reason, 0, sizeof(verdict) / sizeof(verdict[0]));
	tcase_add_test(tc, test_counts_by_pair);
	suite_add_tcase(s, tc);
	return s;
}
