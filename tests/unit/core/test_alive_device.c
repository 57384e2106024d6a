/* SPDX-License-Identifier: Apache-2.0 */
/* test_alive_device.c - keep-alive of a device: events, polls, settings. */
#include "bench.h"
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
	suite_add_tcase(s, tc);
	return s;
}
