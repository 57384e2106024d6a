/* SPDX-License-Identifier: Apache-2.0 */
/* The client's leg of a UDP relay: bind, keep, lose, find again. */
#include "proto/relay_client.h"

#include "test.h"
#include "util/endpoint.h"

#define NSI 0x02030405u
#define CP  0x1234u

static const uint8_t key[BS_TOKEN_LEN] = "sixteen byte key";
static struct bs_relay_client r;
static struct bs_crypto crypto;
static struct bs_endpoint ep[2];
static struct bs_endpoint self;
static bs_time now;
static uint8_t pkt[BS_PROBE_LEN];
static struct bs_endpoint to;

static void setup(void)
{
	bs_small_crypto_init(&crypto, NULL, NULL);
	bs_endpoint_set_ip4(&ep[0], 0xC0000201, 5562);
	bs_endpoint_set_ip4(&ep[1], 0xC0000202, 5562);
	bs_endpoint_set_ip4(&self, 0xCB007105, 40000);
	now = BS_TIME_MS(1000);
	bs_relay_client_init(&r, &crypto, key, NSI, CP);
	bs_relay_client_add(&r, &ep[0]);
}

static void teardown(void)
{
	bs_relay_client_fini(&r);
}

/* The next binding, whenever it comes. */
static struct bs_probe next(void)
{
	struct bs_probe p;
	bs_time at;

	ck_assert(bs_relay_client_next_timeout(&r, &at));
	if (BS_TIME_DIFF(at, now) > 0)
		now = at;
	bs_relay_client_timeout(&r, now);
	ck_assert_uint_eq(bs_relay_client_output(&r, pkt, sizeof(pkt), &to, now), BS_PROBE_LEN);
	ck_assert_uint_eq(bs_relay_client_output(&r, pkt, sizeof(pkt), &to, now), 0);
	ck_assert_int_eq(bs_probe_decode(pkt, sizeof(pkt), &p), BS_OK);
	ck_assert_int_eq(bs_probe_verify(&crypto, key, pkt), BS_OK);
	ck_assert_uint_eq(p.index, BS_PROBE_INDEX_RELAY);
	ck_assert_uint_eq(p.ask, BS_PROBE_ASK_SAME);
	ck_assert_uint_eq(p.sp, NSI);
	ck_assert_uint_eq(p.cp, CP);
	return p;
}

static int answer(const struct bs_probe *p, const struct bs_endpoint *from)
{
	struct bs_probe_answer a = { p->cp, p->sp, p->seq, self };
	uint8_t buf[BS_PROBE_ANSWER_MAX];
	bs_ssize n = bs_probe_answer_encode(&a, buf);

	return bs_relay_client_input(&r, buf, (size_t)n, from, now);
}

static void bind_it(void)
{
	struct bs_probe p;

	bs_relay_client_start(&r, now);
	p = next();
	ck_assert_int_eq(answer(&p, &ep[0]), BS_OK);
	ck_assert_uint_eq(bs_relay_client_take_events(&r), BS_RELAY_EV_BOUND);
}

START_TEST(test_binds)
{
	struct bs_probe p;

	ck_assert_ptr_null(bs_relay_client_endpoint(&r));
	bs_relay_client_start(&r, now);
	bs_relay_client_start(&r, now);
	p = next();
	ck_assert(bs_endpoint_equal(&to, &ep[0]));
	ck_assert_ptr_null(bs_relay_client_endpoint(&r));
	now += BS_TIME_MS(30);
	ck_assert_int_eq(answer(&p, &ep[0]), BS_OK);
	ck_assert_uint_eq(bs_relay_client_take_events(&r), BS_RELAY_EV_BOUND);
	ck_assert_uint_eq(bs_relay_client_take_events(&r), 0);
	ck_assert(bs_endpoint_equal(bs_relay_client_endpoint(&r), &ep[0]));
	ck_assert(bs_endpoint_equal(&r.observed, &self));
	ck_assert_uint_ge(r.rtt_us, 30000);
	ck_assert_uint_le(r.rtt_us, 30001);
}
END_TEST

START_TEST(test_counter_rises_and_any_answer_counts)
{
	struct bs_probe first, p;
	bs_time begun = now;

	bs_relay_client_start(&r, now);
	first = next();
	p = next();
	ck_assert_uint_gt(p.counter, first.counter);
	ck_assert_uint_gt(next().counter, p.counter);
	/* Three within half a second. */
	ck_assert_int_le(BS_TIME_DIFF(now, begun), (bs_time_diff)BS_TIME_MS(500));
	ck_assert_int_eq(answer(&first, &ep[0]), BS_OK);
	ck_assert_uint_eq(bs_relay_client_take_events(&r), BS_RELAY_EV_BOUND);
	/* A late answer to another copy is nothing new. */
	ck_assert_int_eq(answer(&p, &ep[0]), BS_EREPLAY);
}
END_TEST

START_TEST(test_what_is_no_answer)
{
	struct bs_probe p, q;

	bs_relay_client_start(&r, now);
	p = next();
	ck_assert_int_eq(answer(&p, &ep[1]), BS_ESOURCE);
	q = p;
	q.sp++;
	ck_assert_int_eq(answer(&q, &ep[0]), BS_EUNKNOWN);
	q = p;
	q.cp++;
	ck_assert_int_eq(answer(&q, &ep[0]), BS_EUNKNOWN);
	q = p;
	q.seq++;
	ck_assert_int_eq(answer(&q, &ep[0]), BS_EREPLAY);
	/* Our own packet come back. */
	ck_assert_int_eq(bs_relay_client_input(&r, pkt, sizeof(pkt), &ep[0], now), BS_ETYPE);
	ck_assert_int_lt(bs_relay_client_input(&r, pkt, 3, &ep[0], now), 0);
	ck_assert_ptr_null(bs_relay_client_endpoint(&r));
	ck_assert_uint_eq(bs_relay_client_take_events(&r), 0);
}
END_TEST

START_TEST(test_is_kept)
{
	struct bs_probe p;
	bs_time at;

	bind_it();
	for (int i = 0; i < 5; i++) {
		ck_assert(bs_relay_client_next_timeout(&r, &at));
		ck_assert_int_eq(BS_TIME_DIFF(at, now),
				 (bs_time_diff)BS_TIME_MS(BS_RELAY_REFRESH_MS));
		bs_relay_client_timeout(&r, now);
		ck_assert_uint_eq(bs_relay_client_output(&r, pkt, sizeof(pkt), &to, now), 0);
		p = next();
		ck_assert_int_eq(answer(&p, &ep[0]), BS_OK);
		ck_assert_uint_eq(bs_relay_client_take_events(&r), 0);
	}
}
END_TEST

START_TEST(test_is_lost_and_found_at_the_other_endpoint)
{
	struct bs_probe p;

	bs_relay_client_add(&r, &ep[1]);
	bs_relay_client_add(&r, &self); /* no room */
	bind_it();
	for (int i = 0; i < BS_RELAY_TRIES; i++) {
		p = next();
		ck_assert(bs_endpoint_equal(&to, &ep[0]));
		ck_assert_uint_eq(bs_relay_client_take_events(&r), 0);
	}
	p = next();
	ck_assert_uint_eq(bs_relay_client_take_events(&r), BS_RELAY_EV_LOST);
	ck_assert(bs_endpoint_equal(&r.lost, &ep[0]));
	ck_assert_ptr_null(bs_relay_client_endpoint(&r));
	ck_assert(bs_endpoint_equal(&to, &ep[1]));
	ck_assert_int_eq(answer(&p, &ep[1]), BS_OK);
	ck_assert_uint_eq(bs_relay_client_take_events(&r), BS_RELAY_EV_BOUND);
	ck_assert(bs_endpoint_equal(bs_relay_client_endpoint(&r), &ep[1]));
}
END_TEST

START_TEST(test_never_answers)
{
	bs_time begun = now;
	unsigned n = 0;

	bs_relay_client_start(&r, now);
	while (BS_TIME_DIFF(now, begun) < (bs_time_diff)BS_TIME_MS(60000)) {
		(void)next();
		n++;
	}
	/* It goes on, but it is no flood. */
	ck_assert_uint_ge(n, 20);
	ck_assert_uint_le(n, 60);
	ck_assert_uint_eq(bs_relay_client_take_events(&r), 0);
}
END_TEST

START_TEST(test_rebinds_at_once)
{
	struct bs_probe p;

	bind_it();
	now += BS_TIME_MS(500);
	bs_relay_client_rebind(&r, now);
	p = next();
	ck_assert_uint_eq(p.counter, 2);
	/* It is a path until the opposite is proven. */
	ck_assert_ptr_nonnull(bs_relay_client_endpoint(&r));
	bs_endpoint_set_ip4(&self, 0xCB007106, 40001);
	ck_assert_int_eq(answer(&p, &ep[0]), BS_OK);
	ck_assert_uint_eq(bs_relay_client_take_events(&r), 0);
	ck_assert(bs_endpoint_equal(&r.observed, &self));
}
END_TEST

START_TEST(test_rests)
{
	struct bs_probe p;
	bs_time at;

	/* Not before it is bound. */
	bs_relay_client_start(&r, now);
	bs_relay_client_rest(&r, true, now);
	p = next();
	ck_assert_int_eq(answer(&p, &ep[0]), BS_OK);
	ck_assert_uint_eq(bs_relay_client_take_events(&r), BS_RELAY_EV_BOUND);
	bs_relay_client_rest(&r, true, now);
	ck_assert(!bs_relay_client_next_timeout(&r, &at));
	now += BS_TIME_MS(600000);
	bs_relay_client_timeout(&r, now);
	ck_assert_uint_eq(bs_relay_client_output(&r, pkt, sizeof(pkt), &to, now), 0);
	bs_relay_client_rest(&r, false, now);
	ck_assert(bs_relay_client_next_timeout(&r, &at));
	ck_assert_int_eq(BS_TIME_DIFF(at, now), 0);
	p = next();
	ck_assert_uint_eq(p.counter, 2);
}
END_TEST

START_TEST(test_stops)
{
	struct bs_probe p;
	bs_time at;

	bs_relay_client_rebind(&r, now);
	ck_assert(!bs_relay_client_next_timeout(&r, &at));
	bs_relay_client_start(&r, now);
	p = next();
	bs_relay_client_stop(&r);
	ck_assert(!bs_relay_client_next_timeout(&r, &at));
	ck_assert_int_eq(answer(&p, &ep[0]), BS_EUNKNOWN);
	bs_relay_client_init(&r, &crypto, key, NSI, CP);
	bs_relay_client_start(&r, now);
	ck_assert(!bs_relay_client_next_timeout(&r, &at));
}
END_TEST

Suite *bs_suite_relay_client(void);

Suite *bs_suite_relay_client(void)
{
	Suite *s = suite_create("relay_client");
	TCase *t = tcase_create("leg");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_binds);
	tcase_add_test(t, test_counter_rises_and_any_answer_counts);
	tcase_add_test(t, test_what_is_no_answer);
	tcase_add_test(t, test_is_kept);
	tcase_add_test(t, test_is_lost_and_found_at_the_other_endpoint);
	tcase_add_test(t, test_never_answers);
	tcase_add_test(t, test_rebinds_at_once);
	tcase_add_test(t, test_rests);
	tcase_add_test(t, test_stops);
	suite_add_tcase(s, t);
	return s;
}
