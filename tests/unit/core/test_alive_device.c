/* SPDX-License-Identifier: Apache-2.0 */
/* test_alive_device.c - keep-alive of a device: events, polls, settings. */
#include "bench.h"
#include "proto/alive_auth.h"
#include "wire/alive.h"

static struct bench *b;
static struct bench_server server;

static void setup(void)
{
	b = malloc(sizeof(*b));
	ck_assert_ptr_nonnull(b);
	memset(&server, 0, sizeof(server));
	bench_init(b, "dev.test", NULL);
}

static void teardown(void)
{
	bench_fini(b);
	free(b);
}

static int request(uint16_t seq, uint32_t nsi, uint16_t port)
{
	struct bs_endpoint from = bench_local(port);
	struct bs_alive_request m;
	uint8_t buf[64];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.nsi = nsi;
	m.seq = seq;
	m.has_time = true;
	m.unix_s = 1700000000;
	len = bs_alive_request_encode(buf, sizeof(buf), &m);
	ck_assert_int_gt(len, 0);
	return bench_input(b, buf, (size_t)len, &from);
}

static void expect_answer(uint16_t seq, size_t len)
{
	const struct bench_packet *o;
	struct bs_alive_answer m;
	struct bs_packet p;

	o = bench_expect(b, BS_TYPE_U_ALIVE, &p);
	ck_assert_int_eq(bs_alive_answer_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.seq, seq);
	ck_assert_uint_eq(m.nsi, BENCH_NSI);
	ck_assert_uint_eq(o->len, len);
	ck_assert_uint_eq(o->to.port, BENCH_GSP);
}

START_TEST(test_answer)
{
	bench_attach(b, &server);
	ck_assert_int_eq(request(7, BENCH_NSI, BENCH_GSP), BS_OK);
	expect_answer(7, 24);
	ck_assert_uint_eq(b->unix_s, 1700000000);
}
END_TEST

START_TEST(test_strangers)
{
	bench_attach(b, &server);
	ck_assert_int_eq(request(7, BENCH_NSI + 1, BENCH_GSP), BS_ESOURCE);
	ck_assert_int_eq(request(7, BENCH_NSI, BENCH_GSP + 1), BS_ESOURCE);
	ck_assert_int_eq(request(7, BENCH_NSI, BENCH_CTRL), BS_ESOURCE);
	bench_expect_none(b);
	/* None of them moved the timer. */
	bench_run(b, 13000);
	expect_answer(0, 24);
}
END_TEST

/* The same seq means the same events; a new one asks for new ones. */
START_TEST(test_events)
{
	b->event_data = bs_test_text("1:L:x\nEOM\n");
	bench_attach(b, &server);
	request(7, BENCH_NSI, BENCH_GSP);
	expect_answer(7, 24 + 8 + 10);
	ck_assert_uint_eq(b->events_new, 1);
	request(7, BENCH_NSI, BENCH_GSP);
	expect_answer(7, 42);
	ck_assert_uint_eq(b->events_again, 1);
	b->event_data.len = 0;
	request(8, BENCH_NSI, BENCH_GSP);
	expect_answer(8, 24);
	ck_assert_uint_eq(b->events_new, 2);
}
END_TEST

/* Polls carry no events; five timers without a request end it. */
START_TEST(test_polls)
{
	struct bs_packet p;
	size_t i;

	b->event_data = bs_test_text("1:L:x\nEOM\n");
	bench_attach(b, &server);
	for (i = 0; i < 4; i++) {
		bench_run(b, 13000);
		expect_answer(0, 24);
	}
	ck_assert_uint_eq(b->events_new, 0);
	bench_run(b, 12999);
	bench_expect_none(b);
	bench_run(b, 1);
	bench_expect(b, BS_TYPE_STATS, &p);
	ck_assert_int_eq(b->d.attach.status, BS_ATTACH_NO_ALIVE);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
}
END_TEST

START_TEST(test_settings)
{
	struct bs_packet p;

	b->conf.alive_ms = 1000;
	b->conf.alive_polls = 2;
	bench_attach(b, &server);
	ck_assert_int_eq(request(1, BENCH_NSI, BENCH_GSP), BS_OK);
	expect_answer(1, 24);
	bench_run(b, 1000);
	expect_answer(0, 24);
	bench_run(b, 1000);
	/* A request had come once: no report. */
	bench_expect(b, BS_TYPE_U_INVITE, &p);
}
END_TEST

static size_t too_many(void *app, bool again, uint8_t *buf, size_t cap)
{
	(void)app;
	(void)again;
	(void)buf;
	return cap + 1;
}

/* A hook that claims more than there is room for gives no events. */
START_TEST(test_greedy_hook)
{
	b->ops.events = too_many;
	bench_attach(b, &server);
	request(7, BENCH_NSI, BENCH_GSP);
	expect_answer(7, 24);
}
END_TEST

/* ---- extensions AUTH_ALIVE and INTERVAL ---- */

static uint32_t counter; /* the server's */

static void attach_ext(uint32_t granted, uint16_t interval_s)
{
	counter = 0;
	b->conf.ext_offer = BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL;
	server.has_ext = true;
	server.ext = granted;
	server.interval_s = interval_s;
	bench_attach(b, &server);
}

/* A request; number 0 = the next one; turn = bit to turn behind the MAC's start, -1 = none. */
static int request_auth(uint16_t seq, uint16_t interval_s, uint32_t number, int turn)
{
	struct bs_endpoint from = bench_local(BENCH_GSP);
	struct bs_alive_request m;
	uint32_t sent = number ? number - 1 : counter;
	uint8_t buf[64];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.nsi = BENCH_NSI;
	m.seq = seq;
	m.interval_s = interval_s;
	len = bs_alive_request_encode(buf, sizeof(buf), &m);
	len = bs_alive_auth_seal(&b->crypto, &server.c, BS_INITIATOR, &sent, buf, (size_t)len,
				 sizeof(buf));
	ck_assert_int_gt(len, 0);
	if (!number)
		counter = sent;
	if (turn >= 0)
		buf[(size_t)len - 8 + (unsigned)turn / 8] ^= (uint8_t)(1u << turn % 8);
	return bench_input(b, buf, (size_t)len, &from);
}

/* The next packet is an answer (or poll) under our key with this counter. */
static void expect_auth(uint16_t seq, uint32_t number, size_t len)
{
	struct bs_alive_answer m;
	const struct bench_packet *o;
	struct bs_window seen;
	struct bs_packet p;
	bool newest;

	memset(&seen, 0, sizeof(seen));
	o = bench_expect(b, BS_TYPE_U_ALIVE, &p);
	ck_assert_uint_eq(o->len, len + BS_ALIVE_AUTH_LEN);
	ck_assert_int_eq(bs_alive_answer_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.seq, seq);
	ck_assert_int_eq(
		bs_alive_auth_open(&b->crypto, &server.c, BS_INITIATOR, &seen, &p, &newest), BS_OK);
	ck_assert_uint_eq(seen.high, number);
}

/* A build without them is not asked for them, and knows no interval. */
static bool is_built(void)
{
	struct bs_alive_device l;

	if (BS_WITH_AUTH_ALIVE)
		return true;
	memset(&l, 0, sizeof(l));
	bs_alive_device_set_interval(&l, 30);
	ck_assert_uint_eq(bs_alive_device_interval(&l), 0);
	ck_assert_ptr_null(bs_alive_device_sent(&l));
	ck_assert_ptr_null(bs_alive_device_seen(&l));
	return false;
}

START_TEST(test_auth_answers)
{
	if (!is_built())
		return;
	b->event_data = bs_test_text("1:L:x\nEOM\n");
	attach_ext(BS_EXT_AUTH_ALIVE, 0);
	ck_assert_int_eq(request_auth(7, 0, 0, -1), BS_OK);
	expect_auth(7, 1, 42);
	/* A repetition has the same seq and the next counter. */
	ck_assert_int_eq(request_auth(7, 0, 0, -1), BS_OK);
	expect_auth(7, 2, 42);
	ck_assert_uint_eq(b->events_again, 1);
	bench_run(b, 13000);
	expect_auth(0, 3, 24);
}
END_TEST

/* What has no MAC, a wrong one, or was there before, is as if it never came. */
START_TEST(test_auth_refuses)
{
	int bit;

	if (!is_built())
		return;
	attach_ext(BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL, 0);
	ck_assert_int_eq(request(7, BENCH_NSI, BENCH_GSP), BS_EMISSING);
	for (bit = 0; bit < 64; bit += 7)
		ck_assert_int_eq(request_auth(7, 600, 50, bit), BS_EMAC);
	bench_expect_none(b);
	ck_assert_int_eq(request_auth(7, 0, 70, -1), BS_OK);
	expect_auth(7, 1, 24);
	ck_assert_int_eq(request_auth(7, 0, 70, -1), BS_EREPLAY);
	ck_assert_int_eq(request_auth(7, 0, 6, -1), BS_EREPLAY);
	ck_assert_int_eq(request_auth(8, 0, 7, -1), BS_OK);
	expect_auth(8, 2, 24);
	/* None of them moved the timer or made it long. */
	bench_run(b, 13000);
	expect_auth(0, 3, 24);
}
END_TEST

START_TEST(test_interval)
{
	struct bs_packet p;
	unsigned i;

	if (!is_built())
		return;
	attach_ext(BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL, 30);
	bench_run(b, 38999);
	bench_expect_none(b);
	bench_run(b, 1);
	expect_auth(0, 1, 24);
	ck_assert_int_eq(request_auth(7, 100, 0, -1), BS_OK);
	expect_auth(7, 2, 24);
	/* Five polls: the first after 1.3 times the interval, the rest at the usual pace. */
	bench_run(b, 129999);
	bench_expect_none(b);
	bench_run(b, 1);
	expect_auth(0, 3, 24);
	for (i = 4; i <= 7; i++) {
		bench_run(b, 13000);
		expect_auth(0, i, 24);
	}
	bench_run(b, 12999);
	bench_expect_none(b);
	bench_run(b, 1);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
}
END_TEST

START_TEST(test_short_interval)
{
	if (!is_built())
		return;
	attach_ext(BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL, 0);
	ck_assert_int_eq(request_auth(7, 2, 0, -1), BS_OK);
	expect_auth(7, 1, 24);
	bench_run(b, 2600);
	expect_auth(0, 2, 24);
	bench_run(b, 2600);
	expect_auth(0, 3, 24);
	/* A request without INTERVAL changes nothing. */
	ck_assert_int_eq(request_auth(8, 0, 0, -1), BS_OK);
	expect_auth(8, 4, 24);
	bench_run(b, 2600);
	expect_auth(0, 5, 24);
}
END_TEST

/* Whoever grants the interval alone could silence the device by a forged packet. */
START_TEST(test_interval_needs_auth)
{
	attach_ext(BS_EXT_INTERVAL, 3600);
	bench_run(b, 13000);
	expect_answer(0, 24);
	ck_assert_int_eq(request(7, BENCH_NSI, BENCH_GSP), BS_OK);
	expect_answer(7, 24);
}
END_TEST

/* The next attachment starts its counters anew and knows nothing of the old interval. */
START_TEST(test_auth_new_attachment)
{
	if (!is_built())
		return;
	attach_ext(BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL, 100);
	ck_assert_int_eq(request_auth(7, 200, 0, -1), BS_OK);
	expect_auth(7, 1, 24);
	bs_device_stop(&b->d);
	bs_device_fini(&b->d);
	memset(&server, 0, sizeof(server));
	attach_ext(BS_EXT_AUTH_ALIVE, 100);
	bench_run(b, 13000);
	expect_auth(0, 1, 24);
}
END_TEST

/* Events get what room the MAC leaves. */
START_TEST(test_auth_events_fit)
{
	static const uint8_t many[300];

	if (!is_built())
		return;
	attach_ext(BS_EXT_AUTH_ALIVE, 0);
	b->event_data.ptr = many;
	b->event_data.len = BS_PACKET_SMALL - 24 - 8 - BS_ALIVE_AUTH_LEN;
	ck_assert_int_eq(request_auth(7, 0, 0, -1), BS_OK);
	expect_auth(7, 1, BS_PACKET_SMALL - BS_ALIVE_AUTH_LEN);
}
END_TEST

Suite *bs_suite_alive_device(void);

Suite *bs_suite_alive_device(void)
{
	Suite *s = suite_create("alive_device");
	TCase *tc = tcase_create("alive");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_answer);
	tcase_add_test(tc, test_strangers);
	tcase_add_test(tc, test_events);
	tcase_add_test(tc, test_polls);
	tcase_add_test(tc, test_settings);
	tcase_add_test(tc, test_greedy_hook);
	tcase_add_test(tc, test_auth_answers);
	tcase_add_test(tc, test_auth_refuses);
	tcase_add_test(tc, test_interval);
	tcase_add_test(tc, test_short_interval);
	tcase_add_test(tc, test_interval_needs_auth);
	tcase_add_test(tc, test_auth_new_attachment);
	tcase_add_test(tc, test_auth_events_fit);
	suite_add_tcase(s, tc);
	return s;
}
