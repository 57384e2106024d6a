/* SPDX-License-Identifier: Apache-2.0 */
/* test_interval_server.c - finding the interval that a NAT bears, and what the search costs. */
#include "proto/interval_server.h"

#include "test.h"

enum {
	RTT_MS = 80,
	POLL_MS = 13000,
};

static const struct bs_interval_limits lim = { 10, 300 };
static const struct bs_alive_pace usual = { 10000, 3000, 3, 40000, 70000 };

/* A device behind a NAT that forgets after nat_s, and its server, on one clock. */
static struct {
	struct bs_interval_server iv;
	struct bs_alive_server alive;
	struct bs_alive_pace pace;
	uint32_t now;
	uint32_t nat_s;
	uint32_t opened; /* when the device sent last: the NAT remembers from there */
	uint32_t poll;   /* when it polls */
	uint32_t trials;
	uint32_t losses;
	uint32_t worst; /* longest absence, in thousandths of the interval then in force */
	uint16_t hint;
} w;

static void begin(uint32_t nat_s, uint16_t hint)
{
	memset(&w, 0, sizeof(w));
	w.nat_s = nat_s;
	w.hint = hint;
	w.now = 1000;
	w.opened = w.now;
	bs_interval_start(&w.iv, &lim);
	bs_alive_start(&w.alive, 1, w.now);
	w.poll = w.now + POLL_MS;
}

static bool is_open(void)
{
	return w.now - w.opened < w.nat_s * 1000;
}

static void hear(uint16_t seq)
{
	if (bs_interval_heard(&w.iv, &lim, &w.alive, seq))
		w.losses++;
	bs_interval_pace(&w.iv, &usual, &w.pace);
	if (bs_alive_input(&w.alive, &w.pace, seq, 0, w.now) == BS_ALIVE_POLL) {
		bs_alive_poll(&w.alive, &w.pace, (uint16_t)(w.now | 1), w.now);
		(void)bs_interval_ask(&w.iv, &lim, w.hint, 0, &w.alive, w.now);
		hear(w.alive.seq);
	}
	w.opened = w.now;
	w.poll = w.now + w.iv.told_s * 1300;
}

static void note_absence(uint16_t told_s)
{
	uint32_t gone = w.now - w.opened - w.nat_s * 1000;
	uint32_t share = gone / told_s;

	if (share > w.worst)
		w.worst = share;
}

/* Play until so many requests were answered. */
static void play(uint32_t answers)
{
	while (answers > 0) {
		bool polls = (int32_t)(w.poll - w.alive.due_ms) < 0;
		enum bs_alive_action action;

		w.now = polls ? w.poll : w.alive.due_ms;
		if (polls) {
			if (!is_open())
				note_absence(w.iv.told_s);
			hear(0);
			continue;
		}
		bs_interval_pace(&w.iv, &usual, &w.pace);
		action = bs_alive_timeout(&w.alive, &w.pace, (uint16_t)(w.now | 1), 0, w.now);
		ck_assert_int_ne(action, BS_ALIVE_DEAD);
		if (action == BS_ALIVE_SEND) {
			(void)bs_interval_ask(&w.iv, &lim, w.hint, 0, &w.alive, w.now);
			w.trials++;
		}
		if ((action == BS_ALIVE_SEND || action == BS_ALIVE_SEND_AGAIN) && is_open()) {
			w.now += RTT_MS;
			hear(w.alive.seq);
			answers--;
		}
	}
}

/* Whatever the NAT: near to what it bears, few losses, and none longer than an interval. */
START_TEST(finds_every_nat)
{
	uint32_t nat;

	for (nat = 11; nat <= 400; nat++) {
		uint32_t most = nat < 300 ? nat : 300;

		begin(nat, 0);
		play(30);
		ck_assert_uint_le(w.iv.good_s, most);
		ck_assert_msg(w.iv.good_s * 9u / 8 + 2 >= most, "%us: stayed at %us", nat,
			      w.iv.good_s);
		ck_assert_uint_le(w.losses, 7);
		ck_assert_msg(w.worst < 1000, "%us: gone for %u/1000", nat, w.worst);
		ck_assert(bs_interval_settled(&w.iv, &lim));
	}
}
END_TEST

/* A neighbour's value is reached in a few steps, and stays a hint where it is too long. */
START_TEST(hints)
{
	uint32_t nat;

	begin(120, 110);
	play(6);
	ck_assert_uint_eq(w.iv.told_s, 110);
	ck_assert_uint_eq(w.losses, 0);
	play(60);
	ck_assert_uint_ge(w.iv.good_s, 110);
	for (nat = 11; nat < 300; nat++) {
		begin(nat, 300);
		play(30);
		ck_assert_msg(w.worst < 1000, "%us: gone for %u/1000", nat, w.worst);
		ck_assert_uint_le(w.iv.good_s, nat);
	}
}
END_TEST

/* Silence of everything for a while looks like a NAT that forgets; the search recovers. */
START_TEST(outages_pass)
{
	uint16_t before;

	begin(200, 0);
	play(40);
	before = w.iv.good_s;
	w.nat_s = 20;
	play(3);
	ck_assert_uint_lt(w.iv.good_s, before);
	w.nat_s = 200;
	play(15000);
	ck_assert_uint_ge(w.iv.good_s * 9 / 8 + 2, 200);
	/* And it was tried about once a day, not more. */
	ck_assert_uint_le(w.losses, 15000 / 250);
}
END_TEST

/* What other packets kept open proves nothing; nor does a poll that crossed its request. */
START_TEST(only_clean_gaps_count)
{
	begin(300, 0);
	w.alive.seen_ms = 5000;
	w.alive.tries = 1;
	(void)bs_interval_ask(&w.iv, &lim, 0, 0, &w.alive, 50000);
	bs_interval_disturb(&w.iv);
	ck_assert(!bs_interval_heard(&w.iv, &lim, &w.alive, w.alive.seq));
	ck_assert_uint_eq(w.iv.good_s, lim.min_s);
	/* The next one is clean; an old number is no answer to it. */
	w.alive.seen_ms = 50000;
	(void)bs_interval_ask(&w.iv, &lim, 0, 0, &w.alive, 75000);
	ck_assert(!bs_interval_heard(&w.iv, &lim, &w.alive, (uint16_t)(w.alive.seq + 1)));
	ck_assert_uint_eq(w.iv.good_s, lim.min_s);
	ck_assert(!bs_interval_heard(&w.iv, &lim, &w.alive, w.alive.seq));
	ck_assert_uint_eq(w.iv.good_s, 25);
	w.alive.seen_ms = 75000;
	(void)bs_interval_ask(&w.iv, &lim, 0, 0, &w.alive, 150000);
	ck_assert(!bs_interval_heard(&w.iv, &lim, &w.alive, 0));
	ck_assert_uint_eq(w.iv.bad_s, 0);
	w.iv.busy = 0;
	w.alive.tries = 2;
	ck_assert(bs_interval_heard(&w.iv, &lim, &w.alive, 0));
	ck_assert_uint_eq(w.iv.bad_s, 75);
}
END_TEST

/* A client connects while the device sleeps for minutes: a request that is lost then must not count
 * as the end, for the device is patient as it was told before. */
START_TEST(a_client_makes_it_short)
{
	enum bs_alive_action action;

	begin(300, 0);
	play(20);
	ck_assert_uint_ge(w.iv.told_s, 200);
	w.now += 150000;
	w.alive.due_ms = w.now;
	bs_interval_pace(&w.iv, &usual, &w.pace);
	action = bs_alive_timeout(&w.alive, &w.pace, 77, 0, w.now);
	ck_assert_int_eq(action, BS_ALIVE_SEND);
	ck_assert_uint_eq(bs_interval_ask(&w.iv, &lim, 0, 10, &w.alive, w.now), 10);
	w.now += usual.retry_ms;
	bs_interval_pace(&w.iv, &usual, &w.pace);
	ck_assert_uint_eq(w.pace.interval_ms, usual.interval_ms);
	action = bs_alive_timeout(&w.alive, &w.pace, 78, 0, w.now);
	ck_assert_int_eq(action, BS_ALIVE_SEND_AGAIN);
	hear(w.alive.seq);
	ck_assert(!w.iv.bad_s);
	bs_interval_pace(&w.iv, &usual, &w.pace);
	ck_assert_uint_eq(w.pace.timeout_ms, usual.timeout_ms + 13000);
	play(3);
	/* What was found is not forgotten. */
	ck_assert_uint_ge(w.iv.told_s, 200);
}
END_TEST

/* The request that a client caused ends a trial early, either way; a NAT that was restarted is not
 * taken for one that forgets soon. */
START_TEST(a_client_ends_a_trial)
{
	static const struct {
		uint32_t gap_s;
		bool held;
		uint16_t good_s;
		uint16_t bad_s;
	} rows[] = { { 50, true, 50, 0 },
		     { 50, false, 30, 50 },
		     { 20, true, 30, 0 },
		     { 20, false, 30, 0 } };
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(300, 0);
		w.iv.good_s = 30;
		w.iv.told_s = 90;
		w.iv.busy = 0;
		w.alive.seen_ms = 5000;
		w.alive.tries = 2;
		(void)bs_interval_ask(&w.iv, &lim, 0, 10, &w.alive, 5000 + rows[i].gap_s * 1000);
		(void)bs_interval_heard(&w.iv, &lim, &w.alive, rows[i].held ? w.alive.seq : 0);
		ck_assert_uint_eq(w.iv.good_s, rows[i].good_s);
		ck_assert_uint_eq(w.iv.bad_s, rows[i].bad_s);
		/* Those that follow show nothing while the client is there. */
		(void)bs_interval_ask(&w.iv, &lim, 0, 10, &w.alive, 400000);
		(void)bs_interval_heard(&w.iv, &lim, &w.alive, w.alive.seq);
		ck_assert_uint_eq(w.iv.good_s, rows[i].good_s);
	}
}
END_TEST

START_TEST(paces)
{
	begin(300, 0);
	w.iv.kept_s = w.iv.told_s = 120;
	bs_interval_pace(&w.iv, &usual, &w.pace);
	ck_assert_uint_eq(w.pace.interval_ms, 120000);
	ck_assert_uint_eq(w.pace.retry_ms, usual.retry_ms);
	ck_assert_uint_eq(w.pace.unreachable_ms, 150000);
	/* The device polls at 156 s and gives up at 221 s; the record outlives that. */
	ck_assert_uint_ge(w.pace.timeout_ms, 156000 + 5 * 13000);
	w.iv.kept_s = w.iv.told_s = 2;
	bs_interval_pace(&w.iv, &usual, &w.pace);
	ck_assert_uint_eq(w.pace.unreachable_ms, 32000);
}
END_TEST

START_TEST(limits_may_change)
{
	const struct bs_interval_limits low = { 5, 20 };
	const struct bs_interval_limits one = { 30, 30 };
	const struct bs_interval_limits most = { 1, 3600 };

	begin(300, 0);
	play(20);
	ck_assert_uint_gt(w.iv.good_s, 200);
	w.alive.tries = 0;
	w.alive.due_ms = w.now + 250000;
	w.now = w.alive.due_ms;
	ck_assert_uint_le(bs_interval_ask(&w.iv, &low, 0, 0, &w.alive, w.now), 15);
	/* The device sleeps on as it was told: a first request that is lost does not end it. */
	bs_interval_pace(&w.iv, &usual, &w.pace);
	ck_assert_int_eq(bs_alive_timeout(&w.alive, &w.pace, 7, 0, w.now), BS_ALIVE_SEND);
	w.now += usual.retry_ms;
	ck_assert_int_eq(bs_alive_timeout(&w.alive, &w.pace, 7, 0, w.now), BS_ALIVE_SEND_AGAIN);
	ck_assert_uint_eq(bs_interval_ask(&w.iv, &one, 0, 0, &w.alive, w.now), 30);
	w.iv.good_s = 3600;
	ck_assert_uint_eq(bs_interval_ask(&w.iv, &most, UINT16_MAX, 0, &w.alive, w.now), 3600);
	w.iv.good_s = 1;
	ck_assert_uint_eq(bs_interval_ask(&w.iv, &most, UINT16_MAX, 0, &w.alive, w.now), 3);
}
END_TEST

START_TEST(small_state)
{
	ck_assert_uint_eq(sizeof(struct bs_interval_server), 12);
}
END_TEST

Suite *bs_suite_interval_server(void);

Suite *bs_suite_interval_server(void)
{
	Suite *s = suite_create("interval_server");
	TCase *t = tcase_create("interval_server");

	tcase_add_test(t, finds_every_nat);
	tcase_add_test(t, hints);
	tcase_add_test(t, outages_pass);
	tcase_add_test(t, only_clean_gaps_count);
	tcase_add_test(t, a_client_makes_it_short);
	tcase_add_test(t, a_client_ends_a_trial);
	tcase_add_test(t, paces);
	tcase_add_test(t, limits_may_change);
	tcase_add_test(t, small_state);
	suite_add_tcase(s, t);
	return s;
}
