/* SPDX-License-Identifier: Apache-2.0 */
/* The limiter alone: rates, order of those who wait, volumes, ages, policies. */
#include "server/relay_limit.h"

#include <string.h>

#include "suite.h"

enum {
	FLOWS = 8,
	PACKET = 1000,
	MONTH = 2026 * 12 + 10,
};

/* A flow that always has something to send, like a camera. */
struct source {
	struct bs_relay_flow flow;
	uint32_t waiting[2]; /* packets */
	uint64_t sent[2];    /* packets that passed */
	int ended;
};

static struct bs_relay_limit *limit;
static struct bs_relay_limit_conf conf;
static struct source src[FLOWS];
static uint32_t now_ms;
static uint64_t stored; /* what the store says of every client */
static const uint8_t ca[32] = { 1 };

static void load(void *ctx, const struct bs_relay_payer *c, struct bs_relay_usage *out)
{
	(void)ctx;
	ck_assert_uint_gt(strlen(c->identity), 0);
	out->month = MONTH;
	out->bytes = stored;
}

static bool resume(void *ctx, struct bs_relay_flow *f, enum bs_relay_dir dir)
{
	struct source *s = ctx;

	ck_assert_ptr_eq(f, &s->flow);
	while (s->waiting[dir] > 0) {
		if (bs_relay_account(limit, f, dir, PACKET, now_ms) != BS_RELAY_PASS)
			return true;
		s->waiting[dir]--;
		s->sent[dir]++;
	}
	return false;
}

static void end(void *ctx, struct bs_relay_flow *f, enum bs_relay_end why)
{
	struct source *s = ctx;

	s->ended = (int)why;
	bs_relay_flow_close(limit, f);
}

static const struct bs_relay_flow_ops ops = { .resume = resume, .end = end };

static void setup(void)
{
	memset(&conf, 0, sizeof(conf));
	memset(src, 0, sizeof(src));
	conf.max_flows = FLOWS;
	conf.degraded.v[0] = conf.degraded.v[1] = 10000;
	stored = 0;
	now_ms = 1000;
}

static void start(void)
{
	const struct bs_relay_limit_ops lo = { .load = load };

	limit = bs_relay_limit_new(&conf, FLOWS, &lo);
	ck_assert_ptr_nonnull(limit);
}

static void teardown(void)
{
	for (int i = 0; limit && i < FLOWS; i++)
		bs_relay_flow_close(limit, &src[i].flow);
	bs_relay_limit_free(limit);
	limit = NULL;
	bs_relay_limit_free(NULL);
}

static int open_flow(int i, const char *client, uint32_t device)
{
	struct bs_relay_who who = { client, strlen(client), ca, device };

	return bs_relay_flow_open(limit, &src[i].flow, &who, &ops, &src[i], now_ms, MONTH);
}

/* Offer n packets; those that have to wait are kept, at most max. */
static void offer(int i, enum bs_relay_dir dir, uint32_t n, uint32_t max)
{
	struct source *s = &src[i];

	for (; n > 0; n--) {
		if (bs_relay_account(limit, &s->flow, dir, PACKET, now_ms) == BS_RELAY_PASS)
			s->sent[dir]++;
		else if (s->waiting[dir] < max)
			s->waiting[dir]++;
	}
}

static void tick(void)
{
	now_ms += 10;
	bs_relay_limit_run(limit, now_ms);
	bs_relay_limit_sweep(limit, now_ms, MONTH);
}

START_TEST(test_without_limits_all_passes)
{
	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_OK);
	offer(0, BS_RELAY_UP, 10000, 0);
	offer(0, BS_RELAY_DOWN, 10, 0);
	ck_assert_uint_eq(src[0].sent[BS_RELAY_UP], 10000);
	ck_assert_uint_eq(src[0].flow.bytes[BS_RELAY_UP], 10000u * PACKET);
	ck_assert_uint_eq(src[0].flow.packets[BS_RELAY_DOWN], 10);
}
END_TEST

/* A run is counted as a whole, or left to be asked for packet by packet. */
START_TEST(test_runs_pass_where_no_limit_is)
{
	if (_i > 0)
		conf.client.v[BS_RELAY_DOWN] = 1000000;
	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_OK);
	now_ms += 500;
	ck_assert_int_eq(
		bs_relay_account_run(limit, &src[0].flow, BS_RELAY_DOWN, 7, 7 * PACKET, now_ms),
		_i == 0);
	ck_assert_uint_eq(src[0].flow.packets[BS_RELAY_DOWN], _i == 0 ? 7 : 0);
	ck_assert_uint_eq(src[0].flow.bytes[BS_RELAY_DOWN], _i == 0 ? 7 * PACKET : 0);
	ck_assert_uint_eq(src[0].flow.last_ms, _i == 0 ? now_ms : now_ms - 500);
	/* The other direction has no limit. */
	ck_assert(bs_relay_account_run(limit, &src[0].flow, BS_RELAY_UP, 1, PACKET, now_ms));
}
END_TEST

/* Which of the four rates is set makes no difference to one flow; each is of one direction. */
START_TEST(test_each_rate_holds)
{
	struct bs_relay_rates *rate[] = { &conf.conn, &conf.client, &conf.device, &conf.node };

	rate[_i]->v[BS_RELAY_DOWN] = 1000000;
	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_OK);
	for (int t = 0; t < 1000; t++) {
		offer(0, BS_RELAY_DOWN, 20, 50);
		tick();
	}
	/* Ten seconds at 1000 packets a second and the burst of a tenth of a second. */
	ck_assert_uint_ge(src[0].sent[BS_RELAY_DOWN], 9950);
	ck_assert_uint_le(src[0].sent[BS_RELAY_DOWN], 10160);
	offer(0, BS_RELAY_UP, 5000, 0);
	ck_assert_uint_eq(src[0].sent[BS_RELAY_UP], 5000);
}
END_TEST

START_TEST(test_client_and_device_share_their_rates)
{
	conf.client.v[BS_RELAY_DOWN] = 1000000;
	conf.device.v[BS_RELAY_UP] = 1000000;
	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_OK);
	ck_assert_int_eq(open_flow(1, "a", 2), BS_OK);
	ck_assert_int_eq(open_flow(2, "b", 2), BS_OK);
	for (int t = 0; t < 500; t++) {
		for (int i = 0; i < 3; i++) {
			offer(i, BS_RELAY_DOWN, 20, 50);
			offer(i, BS_RELAY_UP, 20, 50);
		}
		tick();
	}
	ck_assert_uint_le(src[0].sent[1] + src[1].sent[1], 5160);
	ck_assert_uint_ge(src[2].sent[1], 4950);
	ck_assert_uint_le(src[1].sent[0] + src[2].sent[0], 5160);
	ck_assert_uint_ge(src[0].sent[0], 4950);
}
END_TEST

/* One camera sends ten times what the others do, and they get what they ask for. */
START_TEST(test_heavy_flow_does_not_starve_the_rest)
{
	conf.node.v[BS_RELAY_DOWN] = 1000000;
	start();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(open_flow(i, i == 0 ? "camera" : "user", (uint32_t)i + 1), BS_OK);
	for (int t = 0; t < 1000; t++) {
		offer(0, BS_RELAY_DOWN, 100, 500);
		for (int i = 1; i < 4; i++)
			offer(i, BS_RELAY_DOWN, (uint32_t)(t & 1), 500);
		tick();
	}
	for (int i = 1; i < 4; i++)
		ck_assert_uint_ge(src[i].sent[1], 495);
	/* The camera has the rest: 10000 less 3 x 500. */
	ck_assert_uint_ge(src[0].sent[1], 8300);
}
END_TEST

START_TEST(test_equal_demands_get_equal_shares)
{
	conf.node.v[BS_RELAY_DOWN] = 1000000;
	start();
	for (int i = 0; i < FLOWS; i++)
		ck_assert_int_eq(open_flow(i, "a", (uint32_t)i + 1), BS_OK);
	for (int t = 0; t < 2000; t++) {
		/* In an order and in portions that favour the first. */
		for (int i = 0; i < FLOWS; i++)
			offer(i, BS_RELAY_DOWN, (uint32_t)(FLOWS - i) * 4, 64);
		tick();
	}
	for (int i = 0; i < FLOWS; i++) {
		ck_assert_uint_ge(src[i].sent[1], 2500 - 120);
		ck_assert_uint_le(src[i].sent[1], 2500 + 120);
	}
}
END_TEST

START_TEST(test_low_priority_gets_what_is_left)
{
	conf.node.v[BS_RELAY_DOWN] = 1000000;
	conf.max_flows = 1;
	conf.when_full = BS_RELAY_LOW_PRIORITY;
	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_OK);
	ck_assert_int_eq(open_flow(1, "b", 2), BS_OK);
	ck_assert_uint_eq(src[1].flow.grade, BS_RELAY_LOW);
	for (int t = 0; t < 500; t++) {
		offer(0, BS_RELAY_DOWN, 6, 50);
		offer(1, BS_RELAY_DOWN, 20, 50);
		tick();
	}
	ck_assert_uint_ge(src[0].sent[1], 2990);
	ck_assert_uint_ge(src[1].sent[1], 1700);
	/* The first wants all: nothing is left over. */
	src[1].sent[1] = 0;
	for (int t = 0; t < 500; t++) {
		offer(0, BS_RELAY_DOWN, 40, 50);
		offer(1, BS_RELAY_DOWN, 20, 50);
		tick();
	}
	ck_assert_uint_le(src[1].sent[1], 20);
}
END_TEST

START_TEST(test_full_relay_rejects_or_degrades)
{
	struct bs_relay_limit_stat st;

	conf.max_flows = 1;
	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_OK);
	ck_assert_int_eq(open_flow(1, "b", 2), BS_EFULL);
	ck_assert(!src[1].flow.open);
	conf.when_full = BS_RELAY_DEGRADE;
	bs_relay_limit_conf(limit, &conf);
	ck_assert_int_eq(open_flow(1, "b", 2), BS_OK);
	bs_relay_limit_stat(limit, &st);
	ck_assert_uint_eq(st.flows, 2);
	ck_assert_uint_eq(st.degraded, 1);
	ck_assert_uint_eq(st.clients, 2);
	for (int t = 0; t < 1000; t++) {
		offer(1, BS_RELAY_UP, 10, 10);
		offer(0, BS_RELAY_UP, 10, 10);
		tick();
	}
	/* Ten seconds of 10 kB, and the least burst. */
	ck_assert_uint_ge(src[1].sent[0], 100);
	ck_assert_uint_le(src[1].sent[0], 120);
	ck_assert_uint_eq(src[0].sent[0], 10000);
	bs_relay_flow_close(limit, &src[1].flow);
	bs_relay_limit_stat(limit, &st);
	ck_assert_uint_eq(st.flows, 1);
	ck_assert_uint_eq(st.waiting[0], 0);
	ck_assert_uint_eq(st.bytes[0], 10000u * PACKET + src[1].sent[0] * PACKET);
}
END_TEST

START_TEST(test_month_is_used_up)
{
	conf.client_month = 100000;
	conf.when_full = (enum bs_relay_when_full)_i;
	stored = 50000;
	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_OK);
	offer(0, BS_RELAY_UP, 30, 0);
	tick();
	ck_assert_int_eq(src[0].ended, 0);
	ck_assert_uint_eq(src[0].flow.grade, BS_RELAY_NORMAL);
	offer(0, BS_RELAY_DOWN, 20, 0);
	for (int t = 0; t < 101; t++)
		tick();
	if (_i == BS_RELAY_REJECT) {
		ck_assert_int_eq(src[0].ended, BS_RELAY_END_MONTH);
		ck_assert_int_eq(open_flow(1, "a", 1), BS_EFULL);
	} else {
		ck_assert_int_eq(src[0].ended, 0);
		ck_assert_uint_ne(src[0].flow.grade, BS_RELAY_NORMAL);
		ck_assert_int_eq(open_flow(1, "a", 1), BS_OK);
		ck_assert_uint_eq(src[1].flow.grade, src[0].flow.grade);
	}
	/* Another client has its own month. */
	stored = 0;
	ck_assert_int_eq(open_flow(2, "b", 1), BS_OK);
	ck_assert_uint_eq(src[2].flow.grade, BS_RELAY_NORMAL);
}
END_TEST

START_TEST(test_a_new_month_begins_from_nothing)
{
	struct bs_relay_who who = { "a", 1, ca, 1 };

	conf.client_month = 1000;
	stored = 1000;
	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_EFULL);
	ck_assert_int_eq(
		bs_relay_flow_open(limit, &src[0].flow, &who, &ops, &src[0], now_ms, MONTH + 1),
		BS_OK);
	ck_assert_uint_eq(bs_relay_flow_client(limit, &src[0].flow)->usage.bytes, 0);
}
END_TEST

START_TEST(test_idle_and_old_flows_end)
{
	conf.idle_s = 2;
	conf.max_age_s = 10;
	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_OK);
	ck_assert_int_eq(open_flow(1, "a", 1), BS_OK);
	for (int t = 0; t < 500; t++) {
		offer(1, BS_RELAY_UP, 1, 0);
		tick();
	}
	ck_assert_int_eq(src[0].ended, BS_RELAY_END_IDLE);
	ck_assert_int_eq(src[1].ended, 0);
	for (int t = 0; t < 700; t++) {
		if (src[1].flow.open)
			offer(1, BS_RELAY_UP, 1, 0);
		tick();
	}
	ck_assert_int_eq(src[1].ended, BS_RELAY_END_AGE);
}
END_TEST

/* What is handed out for storing adds up to what was carried, and nothing is handed out twice. */
START_TEST(test_volumes_are_handed_out_once)
{
	struct bs_relay_payer c;
	uint64_t sum = 0;
	uint64_t bytes;
	uint32_t pos;

	start();
	ck_assert_int_eq(open_flow(0, "a", 1), BS_OK);
	ck_assert_int_eq(open_flow(1, "b", 1), BS_OK);
	for (int round = 0; round < 5; round++) {
		offer(0, BS_RELAY_UP, 7, 0);
		offer(1, BS_RELAY_DOWN, 3, 0);
		if (round == 2)
			bs_relay_flow_close(limit, &src[1].flow);
		if (round == 3)
			ck_assert_int_eq(open_flow(1, "b", 1), BS_OK);
		for (int t = 0; t < 101; t++)
			tick();
		for (pos = 0; bs_relay_limit_unsaved(limit, &pos, MONTH, &c, &bytes);)
			sum += bytes;
		stored = 0;
	}
	bs_relay_flow_close(limit, &src[0].flow);
	bs_relay_flow_close(limit, &src[1].flow);
	for (pos = 0; bs_relay_limit_unsaved(limit, &pos, MONTH, &c, &bytes);)
		sum += bytes;
	/* Round 3 offered to a closed flow only what account still counts in its record. */
	ck_assert_uint_eq(sum, (5 * 7 + 4 * 3) * (uint64_t)PACKET);
	for (pos = 0; bs_relay_limit_unsaved(limit, &pos, MONTH, &c, &bytes);)
		ck_abort_msg("given twice");
}
END_TEST

START_TEST(test_closing_while_waiting)
{
	struct bs_relay_limit_stat st;

	conf.node.v[0] = 1000;
	start();
	for (int i = 0; i < FLOWS; i++) {
		ck_assert_int_eq(open_flow(i, "a", 1), BS_OK);
		offer(i, BS_RELAY_UP, 50, 50);
	}
	bs_relay_limit_stat(limit, &st);
	ck_assert_uint_eq(st.waiting[0], FLOWS);
	bs_relay_flow_close(limit, &src[0].flow);
	bs_relay_flow_close(limit, &src[FLOWS - 1].flow);
	bs_relay_flow_close(limit, &src[3].flow);
	bs_relay_flow_close(limit, &src[3].flow);
	for (int t = 0; t < 10000; t++)
		tick();
	bs_relay_limit_stat(limit, &st);
	ck_assert_uint_eq(st.flows, FLOWS - 3);
	ck_assert_uint_gt(src[1].sent[0], 15);
	for (int i = 0; i < FLOWS; i++)
		bs_relay_flow_close(limit, &src[i].flow);
	bs_relay_limit_stat(limit, &st);
	ck_assert_uint_eq(st.waiting[0], 0);
	ck_assert_uint_eq(st.flows, 0);
}
END_TEST

START_TEST(test_a_rate_is_shared_out_by_demand)
{
	uint64_t asked[4] = { 0, 0, 0, 0 };
	uint64_t sum = 0;

	for (unsigned i = 0; i < 4; i++)
		ck_assert_uint_eq(bs_relay_share(1000000, asked, 4, i), 250001);
	/* One asks: it has nearly all, the others enough to begin. */
	asked[2] = 500000;
	ck_assert_uint_ge(bs_relay_share(1000000, asked, 4, 2), 900000);
	ck_assert_uint_ge(bs_relay_share(1000000, asked, 4, 0), 20000);
	asked[0] = 500000;
	ck_assert_uint_eq(bs_relay_share(1000000, asked, 4, 0),
			  bs_relay_share(1000000, asked, 4, 2));
	for (unsigned i = 0; i < 4; i++)
		sum += bs_relay_share(1000000, asked, 4, i);
	ck_assert_uint_le(sum, 1000004);
	ck_assert_uint_ge(sum, 999990);
	/* No overflow with rates of a terabit. */
	asked[1] = UINT64_MAX / 8;
	ck_assert_uint_le(bs_relay_share(UINT64_C(1) << 40, asked, 4, 1), (UINT64_C(1) << 40) + 1);
}
END_TEST

START_TEST(test_months)
{
	ck_assert_uint_eq(bs_relay_month(0), 1970 * 12);
	ck_assert_uint_eq(bs_relay_month(UINT64_C(951782399000)), 2000 * 12 + 1); /* 28 Feb */
	ck_assert_uint_eq(bs_relay_month(UINT64_C(951868799000)), 2000 * 12 + 1); /* 29 Feb */
	ck_assert_uint_eq(bs_relay_month(UINT64_C(951868800000)), 2000 * 12 + 2);
	ck_assert_uint_eq(bs_relay_month(UINT64_C(1798761599999)), 2026 * 12 + 11);
	ck_assert_uint_eq(bs_relay_month(UINT64_C(1798761600000)), 2027 * 12);
}
END_TEST

START_TEST(test_what_open_refuses)
{
	struct bs_relay_who who = { "a", 1, ca, 0 };

	start();
	ck_assert_int_eq(bs_relay_flow_open(limit, &src[0].flow, &who, &ops, &src[0], 0, MONTH),
			 BS_EINVAL);
	who.device = 1;
	who.identity_len = BS_CLIENT_ID_MAX + 1;
	ck_assert_int_eq(bs_relay_flow_open(limit, &src[0].flow, &who, &ops, &src[0], 0, MONTH),
			 BS_EINVAL);
}
END_TEST

Suite *bs_suite_relay_limit(void)
{
	Suite *s = suite_create("relay_limit");
	TCase *t = tcase_create("limits");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_without_limits_all_passes);
	tcase_add_loop_test(t, test_runs_pass_where_no_limit_is, 0, 2);
	tcase_add_loop_test(t, test_each_rate_holds, 0, 4);
	tcase_add_test(t, test_client_and_device_share_their_rates);
	tcase_add_test(t, test_heavy_flow_does_not_starve_the_rest);
	tcase_add_test(t, test_equal_demands_get_equal_shares);
	tcase_add_test(t, test_low_priority_gets_what_is_left);
	tcase_add_test(t, test_full_relay_rejects_or_degrades);
	tcase_add_loop_test(t, test_month_is_used_up, 0, 3);
	tcase_add_test(t, test_a_new_month_begins_from_nothing);
	tcase_add_test(t, test_idle_and_old_flows_end);
	tcase_add_test(t, test_volumes_are_handed_out_once);
	tcase_add_test(t, test_closing_while_waiting);
	tcase_add_test(t, test_a_rate_is_shared_out_by_demand);
	tcase_add_test(t, test_months);
	tcase_add_test(t, test_what_open_refuses);
	suite_add_tcase(s, t);
	return s;
}
