/* SPDX-License-Identifier: Apache-2.0 */
/* test_spray.c - the search for symmetric NATs: port series, pace, and the device that runs it. */
#include "bench.h"
#include "proto/spray.h"
#include "wire/connect.h"

#define NSI UINT32_C(0x20000001)

static struct bench *b;
static struct bench_server server;
static struct bs_key_block key;

/* The numbers of a "fact" row: json=[1,2,3]. */
static size_t fact(const char *scenario, const char *name, uint32_t *out, size_t cap)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario s = bs_scenario_find(v, scenario);
	const char *p = NULL;
	size_t n = 0;
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (strcmp(s.row[i].word, "fact") == 0 && bs_row_is(&s.row[i], "name", name))
			p = bs_row_text(&s.row[i], "json");
	}
	ck_assert_ptr_nonnull(p);
	while (n < cap && *p) {
		char *end;
		unsigned long x = strtoul(p, &end, 10);

		if (end != p)
			out[n++] = (uint32_t)x;
		p = end != p ? end : p + 1;
	}
	bs_vectors_free(v);
	return n;
}

/* Ports as stock devices guess them. */
START_TEST(test_recorded_series)
{
	struct bs_port_guess g;
	uint32_t first[32];
	uint32_t around[32];
	size_t n_first = fact("rendezvous_symmetric_client", "first_sprayed_ports", first, 32);
	size_t n_around = fact("rendezvous_symmetric_client", "around_100", around, 32);
	size_t i;

	ck_assert_uint_ge(n_first, 14);
	ck_assert_uint_eq(n_around, 12);
	bs_port_guess_start(&g, 40000, 0);
	for (i = 0; i < 96; i++) {
		uint16_t port = bs_port_guess_next(&g);

		if (i < n_first)
			ck_assert_uint_eq(port, first[i]);
	}
	for (i = 0; i < n_around; i++)
		ck_assert_uint_eq(bs_port_guess_next(&g), around[i]);
}
END_TEST

/* Near either end nothing leaves the range, and nothing comes twice. */
START_TEST(test_series_stays_in_range)
{
	static const uint16_t bases[] = { 1, 1024, 1030, 65500, 65535, 40000 };
	static uint8_t seen[65536];
	struct bs_port_guess g;
	size_t i;

	memset(seen, 0, sizeof(seen));
	bs_port_guess_start(&g, bases[_i], 0);
	for (i = 0; i < 1000; i++) {
		uint16_t port = bs_port_guess_next(&g);

		ck_assert_uint_ge(port, 1024);
		seen[port]++;
		/* The walk may meet one of the first hundred again, never one of its own. */
		ck_assert_uint_le(seen[port], 2);
	}
}
END_TEST

/* A later round goes on behind the one before: nothing is guessed twice. */
START_TEST(test_rounds_differ)
{
	static bool seen[65536];
	struct bs_port_guess g;
	uint8_t round;
	size_t i;

	memset(seen, 0, sizeof(seen));
	for (round = 1; round < 8; round++) {
		bs_port_guess_start(&g, 40000, round);
		for (i = 0; i < 980; i++) {
			uint16_t port = bs_port_guess_next(&g);

			ck_assert(!seen[port]);
			seen[port] = true;
		}
	}
}
END_TEST

START_TEST(test_ports_pace)
{
	struct bs_endpoint base = bench_local(40000);
	struct bs_endpoint to;
	struct bs_spray s;
	bs_time now = BENCH_START;
	bs_time at;
	size_t n = 0;
	size_t burst;

	bs_spray_ports(&s, &base, 0, now);
	while (bs_spray_next_timeout(&s, &at)) {
		now = at;
		bs_spray_timeout(&s, now);
		for (burst = 0; bs_spray_next(&s, &to); burst++)
			ck_assert_uint_eq(bs_endpoint_via(&to), 0);
		ck_assert_uint_eq(burst, 10);
		n += burst;
	}
	ck_assert_uint_eq(n, 1000);
	ck_assert_int_eq(BS_TIME_DIFF_MS(BS_TIME_DIFF(now, BENCH_START)), 4950);
}
END_TEST

START_TEST(test_sockets_pace)
{
	struct bs_endpoint base = bench_local(40000);
	struct bs_endpoint to;
	struct bs_spray s;
	bs_time at;
	uint16_t n = 0;

	bs_spray_sockets(&s, &base, 7, 3, 20, BENCH_START);
	while (bs_spray_next_timeout(&s, &at)) {
		bs_spray_timeout(&s, at);
		while (bs_spray_next(&s, &to)) {
			ck_assert_uint_eq(bs_endpoint_via(&to), ++n);
			ck_assert_uint_eq(to.port, 40000);
		}
	}
	ck_assert_uint_eq(n, 7);
	/* A caller that slept gets one burst, not all that it missed. */
	bs_spray_sockets(&s, &base, 9, 3, 20, BENCH_START);
	bs_spray_timeout(&s, BENCH_START + BS_TIME_MS(1000));
	for (n = 0; bs_spray_next(&s, &to);)
		n++;
	ck_assert_uint_eq(n, 3);
	bs_spray_timeout(&s, BENCH_START + BS_TIME_MS(1001));
	ck_assert(!bs_spray_next(&s, &to));
	bs_spray_stop(&s);
	ck_assert(!bs_spray_next_timeout(&s, &at));
}
END_TEST

START_TEST(test_nowhere)
{
	struct bs_endpoint none;
	struct bs_spray s;
	bs_time at;

	memset(&none, 0, sizeof(none));
	bs_spray_ports(&s, &none, 0, BENCH_START);
	ck_assert(!bs_spray_next_timeout(&s, &at));
	bs_spray_sockets(&s, &none, 250, 1, 20, BENCH_START);
	ck_assert(!bs_spray_next_timeout(&s, &at));
	none = bench_local(40000);
	bs_spray_sockets(&s, &none, 0, 1, 20, BENCH_START);
	ck_assert(!bs_spray_next_timeout(&s, &at));
}
END_TEST

/* ---- the device */

static void setup(void)
{
	b = malloc(sizeof(*b));
	ck_assert_ptr_nonnull(b);
	memset(&server, 0, sizeof(server));
	memset(&key, 0x42, sizeof(key));
	bench_init(b, "dev.test", NULL);
	b->conf.sockets = 8;
	bench_attach(b, &server);
}

static void teardown(void)
{
	bench_fini(b);
	free(b);
}

/* Count step 0 packets by kind until end. */
static void count(uint32_t ms, size_t *plain, size_t *ports, size_t *sockets)
{
	bs_time end = b->now + BS_TIME_MS(ms);
	const struct bench_packet *p;

	*plain = *ports = *sockets = 0;
	while (BS_TIME_DIFF(b->now, end) < 0) {
		bench_run(b, 10);
		while ((p = bench_take(b)) != NULL) {
			if (p->len != 26)
				continue;
			if (bs_endpoint_via(&p->to))
				(*sockets)++;
			else if (p->to.port == BENCH_PEER || p->to.port == BENCH_PEER + 1)
				(*plain)++;
			else
				(*ports)++;
		}
		b->n_out = b->taken = 0;
	}
}

START_TEST(test_device_guesses)
{
	size_t plain, ports, sockets;

	bench_connect(b, &server, NSI, BS_IPX_NAT_SYMMETRIC, &key);
	count(6000, &plain, &ports, &sockets);
	/* The private endpoint is the first guess below the global one. */
	ck_assert_uint_eq(ports + plain, 1000 + 10);
	ck_assert_uint_eq(sockets, 0);
}
END_TEST

START_TEST(test_device_opens_sockets)
{
	size_t plain, ports, sockets;

	b->d.attach.symmetric = true;
	bench_connect(b, &server, NSI, 0, &key);
	count(6000, &plain, &ports, &sockets);
	ck_assert_uint_eq(ports, 0);
	ck_assert_uint_eq(sockets, 8);
	ck_assert(bs_device_uses_via(&b->d, 3));
	/* 20 s without anybody: all may be closed. */
	bench_run(b, 20000);
	ck_assert(!bs_device_uses_via(&b->d, 3));
}
END_TEST

/* Neither for two symmetric NATs nor against an opt-out, nor when no search is wanted. */
START_TEST(test_device_does_not)
{
	size_t plain, ports, sockets;

	b->d.attach.symmetric = _i != 2;
	b->conf.sockets = _i == 1 ? 0 : 8;
	bench_connect(b, &server, NSI,
		      _i == 0   ? BS_IPX_NAT_SYMMETRIC
		      : _i == 1 ? 0
				: BS_IPX_NAT_SYMMETRIC | BS_IPX_NO_RENDEZVOUS,
		      &key);
	count(6000, &plain, &ports, &sockets);
	ck_assert_uint_eq(ports, 0);
	ck_assert_uint_eq(sockets, 0);
}
END_TEST

/* Both sides begin at one moment: nothing leaves before, and all rounds follow. */
START_TEST(test_start_is_put_off)
{
	size_t plain, ports, sockets;

	bench_fini(b);
	bench_init(b, "dev.test", NULL);
	memset(&server, 0, sizeof(server));
	b->conf.ext_offer = BS_EXT_PATH;
	server.has_ext = true;
	server.ext = _i ? BS_EXT_PATH : 0;
	server.start_ms = 150;
	bench_attach(b, &server);
	bench_connect(b, &server, NSI, BS_IPX_NAT_SYMMETRIC, &key);
	count(140, &plain, &ports, &sockets);
	/* A device that was not granted it knows nothing of START. */
	ck_assert_uint_eq(ports + plain == 0, _i);
	count(6000, &plain, &ports, &sockets);
	if (_i)
		ck_assert_uint_eq(ports + plain, 1000 + 10);
}
END_TEST

/* What concludes ends the spray, and the answer leaves by the socket that was asked. */
START_TEST(test_device_answers_on_socket)
{
	struct bs_endpoint from = bench_local(BENCH_PEER);
	struct bs_rendezvous_packet m;
	const struct bench_packet *p;
	size_t plain, ports, sockets;
	uint8_t buf[64];
	bs_ssize len;

	b->d.attach.symmetric = true;
	bench_connect(b, &server, NSI, 0, &key);
	count(60, &plain, &ports, &sockets);
	ck_assert_uint_eq(sockets, 3);
	memset(&m, 0, sizeof(m));
	m.nsi = NSI;
	m.step = 1;
	m.ep1 = bench_local(BENCH_DEV);
	m.ep2 = from;
	m.interval_ms = 5000;
	len = bs_rendezvous_packet_encode(buf, sizeof(buf), &m);
	ck_assert_int_gt(len, 0);
	bs_endpoint_set_via(&from, 2);
	ck_assert_int_eq(bench_input(b, buf, (size_t)len, &from), BS_OK);
	p = bench_take(b);
	ck_assert_ptr_nonnull(p);
	ck_assert_uint_eq(p->bytes[13], 2);
	ck_assert(bs_endpoint_equal(&p->to, &from));
	count(6000, &plain, &ports, &sockets);
	ck_assert_uint_eq(sockets, 0);
}
END_TEST

Suite *bs_suite_spray(void);

Suite *bs_suite_spray(void)
{
	Suite *s = suite_create("spray");
	TCase *tc = tcase_create("series");
	TCase *dc = tcase_create("device");

	tcase_add_test(tc, test_recorded_series);
	tcase_add_loop_test(tc, test_series_stays_in_range, 0, 6);
	tcase_add_test(tc, test_rounds_differ);
	tcase_add_test(tc, test_ports_pace);
	tcase_add_test(tc, test_sockets_pace);
	tcase_add_test(tc, test_nowhere);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(dc, setup, teardown);
	tcase_add_test(dc, test_device_guesses);
	tcase_add_test(dc, test_device_opens_sockets);
	tcase_add_loop_test(dc, test_device_does_not, 0, 3);
	tcase_add_loop_test(dc, test_start_is_put_off, 0, 2);
	tcase_add_test(dc, test_device_answers_on_socket);
	suite_add_tcase(s, dc);
	return s;
}
