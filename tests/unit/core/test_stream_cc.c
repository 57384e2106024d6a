/* SPDX-License-Identifier: Apache-2.0 */
/* The rates of streams: round trip, tokens, packet size. */
#include "proto/stream_cc.h"

#include "test.h"

START_TEST(timeout_follows_the_round_trip)
{
	struct bs_stream_rtt r;

	bs_stream_rtt_init(&r, 1000, true);
	ck_assert_int_eq(r.rto, 1000000);
	bs_stream_rtt_sample(&r, 100000);
	ck_assert_int_eq(r.srtt, 100000);
	ck_assert_int_eq(r.var, 50000);
	ck_assert_int_eq(r.rto, 100000 + 4 * 50000 + 500000);
	bs_stream_rtt_sample(&r, 180000);
	ck_assert_int_eq(r.var, (3 * 50000 + 80000) / 4);
	ck_assert_int_eq(r.srtt, (7 * 100000 + 180000) / 8);
	bs_stream_rtt_init(&r, 1000, false);
	bs_stream_rtt_sample(&r, 50);
	ck_assert_int_eq(r.rto, 200000);
}
END_TEST

START_TEST(timeout_backs_off_to_its_cap)
{
	struct bs_stream_rtt r;
	int i;

	bs_stream_rtt_init(&r, 1000, true);
	bs_stream_rtt_backoff(&r);
	ck_assert_int_eq(r.rto, 1500000);
	for (i = 0; i < 20; i++)
		bs_stream_rtt_backoff(&r);
	ck_assert_int_eq(r.rto, 16000000);
	bs_stream_rtt_relax(&r);
	ck_assert_int_eq(r.rto, 16000000); /* nothing was measured */
	bs_stream_rtt_sample(&r, 1000);
	bs_stream_rtt_backoff(&r);
	bs_stream_rtt_relax(&r);
	ck_assert_int_eq(r.rto, 1000 + 4 * 500 + 500000);
}
END_TEST

START_TEST(tokens_double_then_hold)
{
	struct bs_stream_tokens t;

	bs_stream_tokens_init(&t, 100);
	ck_assert_int_eq(t.tokens, 4);
	t.tokens = 0;
	bs_stream_tokens_acked(&t, 4, 4, false, 1000);
	ck_assert_int_eq(t.tokens, 8);
	bs_stream_tokens_acked(&t, 4, 100, false, 1000);
	ck_assert_int_eq(t.tokens, 12);
	bs_stream_tokens_acked(&t, 4, 4, true, 1000);
	ck_assert_int_eq(t.tokens, 16);
	bs_stream_tokens_acked(&t, 4, 4, false, 10);
	ck_assert_int_eq(t.tokens, 10);
	bs_stream_tokens_lost(&t, 40);
	ck_assert_int_eq(t.ssthresh, 20);
	bs_stream_tokens_lost(&t, 1);
	ck_assert_int_eq(t.ssthresh, 2);
	bs_stream_tokens_timeout(&t);
	ck_assert_int_eq(t.tokens, 4);
	ck_assert_int_eq(t.ssthresh, 100);
}
END_TEST

START_TEST(packet_size_climbs_while_it_arrives)
{
	struct bs_stream_mtu m;
	bs_time now = BS_TIME_MS(5);

	bs_stream_mtu_init(&m, 1472, now);
	ck_assert_int_eq(m.proven, 1368);
	ck_assert_int_eq(bs_stream_mtu_probe(&m, now), 1452);
	m.probing = 1452;
	ck_assert_int_eq(bs_stream_mtu_probe(&m, now), 0);
	bs_stream_mtu_arrived(&m, 1452, now);
	ck_assert_int_eq(m.proven, 1452);
	ck_assert_int_eq(bs_stream_mtu_probe(&m, now), 1472);
	m.probing = 1472;
	bs_stream_mtu_arrived(&m, 1472, now);
	/* Nothing above the ceiling is tried. */
	ck_assert_int_eq(bs_stream_mtu_probe(&m, now), 0);
}
END_TEST

START_TEST(packet_size_that_is_lost_is_left_alone)
{
	struct bs_stream_mtu m;
	bs_time now = BS_TIME_MS(5);
	int i;

	bs_stream_mtu_init(&m, 1472, now);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(bs_stream_mtu_probe(&m, now), 1452);
		m.probing = 1452;
		ck_assert(!bs_stream_mtu_lost(&m, 1452, false, now));
	}
	ck_assert_int_eq(bs_stream_mtu_probe(&m, now), 0);
	ck_assert_int_eq(m.proven, 1368);
	ck_assert_int_eq(bs_stream_mtu_probe(&m, now + BS_TIME_MS(600001)), 1452);
}
END_TEST

START_TEST(narrow_path_is_noticed)
{
	struct bs_stream_mtu m;
	bs_time now = BS_TIME_MS(5);

	bs_stream_mtu_init(&m, 1472, now);
	/* A loss among others says nothing, nor does one timeout. */
	ck_assert(!bs_stream_mtu_lost(&m, 1368, false, now));
	ck_assert(!bs_stream_mtu_lost(&m, 1368, true, now));
	bs_stream_mtu_arrived(&m, 1300, now);
	ck_assert(!bs_stream_mtu_lost(&m, 1368, true, now));
	ck_assert(bs_stream_mtu_lost(&m, 1368, true, now));
	ck_assert_int_eq(m.proven, 1200);
	ck_assert(!bs_stream_mtu_lost(&m, 1200, true, now));
	ck_assert(bs_stream_mtu_lost(&m, 1200, true, now));
	ck_assert_int_eq(m.proven, 640);
	ck_assert(!bs_stream_mtu_lost(&m, 640, true, now));
	ck_assert(!bs_stream_mtu_lost(&m, 640, true, now));
	/* Another path starts where the last one was, and looks up soon. */
	bs_stream_mtu_moved(&m, 1472, now);
	ck_assert_int_eq(m.proven, 640);
	ck_assert_int_eq(bs_stream_mtu_probe(&m, now + BS_TIME_MS(10001)), 1368);
}
END_TEST

/* Packets of 1000 bytes over a line of one a millisecond and 20 ms round trip. */
START_TEST(path_finds_its_rate)
{
	struct bs_stream_sent model[64];
	bs_time sent[64];
	struct bs_stream_path p;
	bs_time now = BS_TIME_MS(1);
	bs_time arrive = now;
	bs_time at;
	uint32_t head = 0;
	uint32_t tail = 0;
	bs_time due[64];

	bs_stream_path_init(&p, 1000, now);
	while (p.delivered < 3000000) {
		while (head - tail < 60 && bs_stream_path_may_send(&p, now, &at)) {
			bs_stream_path_sent(&p, 1000, now, &model[head % 64]);
			sent[head % 64] = now;
			if (BS_TIME_DIFF(arrive, now) < 0)
				arrive = now;
			arrive += BS_TIME_MS(1);
			due[head % 64] = arrive + BS_TIME_MS(20);
			head++;
		}
		if (head == tail) {
			ck_assert(at != 0);
			now = at;
			continue;
		}
		now = due[tail % 64];
		{
			struct bs_stream_acked a = { 0 };

			a.bytes = 1000;
			a.inflight = 1000;
			a.has_sample = true;
			a.sent = model[tail % 64];
			a.sent_at = sent[tail % 64];
			a.rtt = bs_stream_us(BS_TIME_DIFF(now, a.sent_at));
			tail++;
			bs_stream_path_acked(&p, &a, now);
		}
	}
	ck_assert_int_eq(p.mode == BS_STREAM_PATH_PROBE || p.mode == BS_STREAM_PATH_RTT, 1);
	ck_assert(p.bw > 900000 && p.bw < 1200000);
	ck_assert(p.min_rtt >= 20000 && p.min_rtt < 30000);
	/* One lost packet in a hundred changes nothing. */
	bs_stream_path_lost(&p, 1000);
	ck_assert(p.ceiling == UINT64_MAX);
}
END_TEST

Suite *bs_suite_stream_cc(void);

Suite *bs_suite_stream_cc(void)
{
	Suite *s = suite_create("stream_cc");
	TCase *tc = tcase_create("rates");

	tcase_add_test(tc, timeout_follows_the_round_trip);
	tcase_add_test(tc, timeout_backs_off_to_its_cap);
	tcase_add_test(tc, tokens_double_then_hold);
	tcase_add_test(tc, packet_size_climbs_while_it_arrives);
	tcase_add_test(tc, packet_size_that_is_lost_is_left_alone);
	tcase_add_test(tc, narrow_path_is_noticed);
	tcase_add_test(tc, path_finds_its_rate);
	suite_add_tcase(s, tc);
	return s;
}
