/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake.h"
#include "net/tls_internal.h"
#include "test.h"

static struct fake *f;
static struct dude d;

static void setup(void)
{
	f = fake_new("hello-timeout = 5s\nclient-keepalive = 60s\nhandshakes-per-turn = 1\n");
	memset(&d, 0, sizeof(d));
}

static void teardown(void)
{
	fake_free(f);
}

START_TEST(a_packet_may_come_byte_by_byte)
{
	const struct bs_gate_head h = { 1, 0, 42 };
	struct bs_packet p;
	uint8_t buf[64];
	bs_ssize n;

	dude_open(&d, f);
	n = bs_gate_ping_encode(&h, false, buf, sizeof(buf));
	for (bs_ssize i = 0; i < n; i++) {
		ck_assert_ptr_eq(i == 0 ? f->g->session[0].in : NULL, NULL);
		dude_send(&d, buf + i, 1);
	}
	ck_assert(dude_next(&d, &p));
	ck_assert_uint_eq(p.h.seq, 42);
	/* Nothing is kept between packets. */
	ck_assert_ptr_null(f->g->session[0].in);
	ck_assert_ptr_null(f->g->session[0].out);
	dude_close(&d);
}
END_TEST

START_TEST(many_packets_may_come_at_once)
{
	uint8_t buf[20 * 16];
	struct bs_packet p;

	dude_open(&d, f);
	for (unsigned i = 0; i < 20; i++) {
		const struct bs_gate_head h = { 1, 0, (uint16_t)(100 + i) };

		ck_assert_int_eq(bs_gate_ping_encode(&h, false, buf + i * 16, 16), 16);
	}
	dude_send(&d, buf, sizeof(buf));
	for (unsigned i = 0; i < 20; i++) {
		ck_assert(dude_next(&d, &p));
		ck_assert_uint_eq(p.h.seq, 100 + i);
	}
	dude_close(&d);
}
END_TEST

START_TEST(the_longest_packet_is_read_whole)
{
	uint8_t *buf = calloc(1, BS_GATE_PACKET_MAX);
	const struct bs_header h = { .nsi_cp = 1, .type = BS_TYPE_PING, .version = 2, .seq = 5 };
	struct bs_writer w;
	struct bs_packet p;

	bs_packet_begin(&w, buf, BS_GATE_PACKET_MAX, &h);
	ck_assert_ptr_nonnull(
		bs_packet_add_reserve(&w, BS_PL_PAD, BS_PLF_OPTIONAL, BS_GATE_PACKET_MAX - 20));
	ck_assert_int_eq(bs_packet_finish(&w), BS_GATE_PACKET_MAX);
	dude_open(&d, f);
	dude_send(&d, buf, 4000);
	ck_assert(!dude_next(&d, &p));
	dude_send(&d, buf + 4000, 96);
	ck_assert(dude_next(&d, &p));
	ck_assert_uint_eq(p.h.seq, 5);
	dude_close(&d);
	free(buf);
}
END_TEST

START_TEST(a_session_without_hello_ends)
{
	ck_assert(dude_dial(&d, f, f->pki->client, f->pki->client_key));
	fake_pass(f, 4900);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	fake_pass(f, 200);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_hello_timeout), 1);
	ck_assert(dude_ended(&d));
	dude_close(&d);
}
END_TEST

/** Bytes that trickle in do not buy time. */
START_TEST(a_slow_hello_ends_too)
{
	static const uint8_t start[] = { 0, 0, 0, 1, 0, 0 };

	ck_assert(dude_dial(&d, f, f->pki->client, f->pki->client_key));
	for (size_t i = 0; i < sizeof(start); i++) {
		dude_send(&d, start + i, 1);
		fake_pass(f, 800);
	}
	fake_pass(f, 300);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_hello_timeout), 1);
	dude_close(&d);
}
END_TEST

START_TEST(an_idle_session_ends_at_the_agreed_time)
{
	const struct bs_gate_head h = { 1, 0, 1 };
	uint8_t buf[32];

	dude_open(&d, f);
	fake_pass(f, 19900);
	dude_send(&d, buf, (size_t)bs_gate_ping_encode(&h, false, buf, sizeof(buf)));
	fake_pass(f, 19900);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	fake_pass(f, 200);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_idle), 1);
	ck_assert(dude_ended(&d));
	dude_close(&d);
}
END_TEST

START_TEST(a_handshake_that_does_not_come_ends)
{
	int fd = fake_knock(f);

	for (int i = 0; i < 5; i++)
		fake_turn(f);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	/* One more byte of the record each second. */
	static const char record[] = "\x03\x01\x02\x00";

	for (size_t i = 0; i < sizeof(record); i++) {
		ck_assert_int_eq(write(fd, &record[i], 1), 1);
		fake_pass(f, 1000);
	}
	fake_pass(f, 100);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_handshake_timeout), 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	close(fd);
}
END_TEST

START_TEST(garbage_instead_of_tls_ends_at_once)
{
	static const char *const rows[] = { "GET / HTTP/1.0\r\n\r\n", "\x80\x80\x80\x80\x80\x80",
					    "\x16\x03\x01\xff\xff\xff\xff\xff\xff" };

	for (size_t i = 0; i < BS_LEN(rows); i++) {
		int fd = fake_tcp(f);

		ck_assert_int_gt(write(fd, rows[i], strlen(rows[i])), 0);
		(void)poll(NULL, 0, 2);
		for (int k = 0; k < 8; k++)
			fake_turn(f);
		close(fd);
		ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	}
	ck_assert_uint_ge(fake_count(f, BS_C_gate_refused_version) +
				  fake_count(f, BS_C_gate_refused_handshake),
			  3);
}
END_TEST

START_TEST(a_port_scan_leaves_nothing_behind)
{
	for (int i = 0; i < 10; i++) {
		int fd = fake_tcp(f);

		fake_turn(f);
		close(fd);
		(void)poll(NULL, 0, 1);
		for (int k = 0; k < 4; k++)
			fake_turn(f);
	}
	ck_assert_uint_eq(fake_count(f, BS_C_gate_accepted), 10);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_refused_handshake), 0);
}
END_TEST

START_TEST(a_client_that_does_not_read_is_dropped)
{
	const int small = 1;
	struct bs_presence pr = { .id = { (const uint8_t *)"cam1.test", 9 } };
	struct bs_gate_event e;
	struct bs_session *s;

	dude_open(&d, f);
	s = &f->g->session[0];
	ck_assert_int_eq(setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	memset(&e, 0, sizeof(e));
	for (int i = 0; i < 200000 && s->state == BS_SESSION_OPEN; i++) {
		bs_ssize n = bs_gate_event_encode(&e, &pr, 1, f->g->tx, sizeof(f->g->tx));

		bs__session_send_tx(s, n);
		ck_assert_uint_le(s->out_cap, BS_GATE_OUT_MAX);
	}
	ck_assert_uint_eq(fake_count(f, BS_C_gate_slow), 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	dude_close(&d);
}
END_TEST

START_TEST(what_waits_is_sent_when_the_client_reads_again)
{
	const int small = 1;
	struct bs_presence pr = { .id = { (const uint8_t *)"cam1.test", 9 } };
	struct bs_gate_event e;
	struct bs_session *s;
	struct bs_packet p;
	int sent = 0, got = 0;

	dude_open(&d, f);
	s = &f->g->session[0];
	ck_assert_int_eq(setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	memset(&e, 0, sizeof(e));
	while (s->out_len < 20000) {
		e.h.sp = (uint32_t)sent++;
		bs__session_send_tx(s,
				    bs_gate_event_encode(&e, &pr, 1, f->g->tx, sizeof(f->g->tx)));
		ck_assert_int_lt(sent, 1000000);
	}
	while (got < sent) {
		ck_assert(dude_next(&d, &p));
		ck_assert_uint_eq(p.h.nsi_sp, (uint32_t)got++);
	}
	ck_assert_ptr_null(s->out);
	dude_close(&d);
}
END_TEST

START_TEST(handshakes_have_a_budget_per_turn)
{
	struct bs_gate *g;
	int fd[4];

	for (int i = 0; i < 4; i++) {
		fd[i] = fake_tcp(f);
		ck_assert_int_eq(write(fd[i], "\x16\x03\x01\x40\x01\x00", 6), 6);
	}
	(void)poll(NULL, 0, 2);
	g = f->g;
	/* All four are accepted and readable; each turn takes one handshake from the queue. */
	for (int i = 0; i < 3; i++)
		fake_loop(f);
	unsigned queued = 0;

	for (uint32_t i = 0; i < g->fresh; i++)
		queued += g->session[i].queued;
	ck_assert_uint_ge(queued, 1);
	for (int i = 0; i < 8; i++)
		fake_loop(f);
	ck_assert_ptr_null(g->lane_first);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
}
END_TEST

/** The worker waits for more of them then, half a millisecond in each turn. */
START_TEST(many_steps_of_handshakes_make_the_gate_busy)
{
	enum {
		BYTES = 60
	};
	int fd[4];

	ck_assert(!f->ops->is_busy(f->g));
	for (int i = 0; i < 4; i++)
		fd[i] = fake_knock(f);
	/* One by one, of a first message that never ends; late ones come together. */
	for (size_t k = 0; k < BYTES; k++) {
		for (int i = 0; i < 4; i++)
			ck_assert_int_eq(
				write(fd[i], &"\x03\x01\x02\x00\x01\x00"[k < 5 ? k : 5], 1), 1);
		for (int i = 0; i < 4; i++)
			fake_loop(f);
	}
	ck_assert(f->ops->is_busy(f->g));
	ck_assert(!f->ops->is_busy(f->g));
	for (int i = 0; i < 4; i++)
		close(fd[i]);
}
END_TEST

/** Handshakes share a key pair, and every tick ends its life. */
START_TEST(a_tick_wipes_the_key_pair_of_handshakes)
{
	dude_open(&d, f);
	ck_assert(f->g->tls->lib.shares);
	fake_turn(f);
	ck_assert_ptr_null(f->g->tls->lib.pair);
	dude_close(&d);
}
END_TEST

START_TEST(a_session_is_resumed_with_its_identity)
{
	dude_open(&d, f);
	for (int i = 0; i < 3; i++) {
		char byte;

		(void)SSL_peek(d.ssl, &byte, 1);
		fake_turn(f);
	}
	SSL_SESSION *ticket = d.ticket;

	ck_assert_ptr_nonnull(ticket);
	d.ticket = NULL;
	SSL_shutdown(d.ssl);
	dude_close(&d);
	memset(&d, 0, sizeof(d));
	d.ticket = ticket;
	dude_open(&d, f);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_handshake_resumed), 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_handshake_full), 1);
	ck_assert_str_eq(f->g->session[0].who.identity, "ann@example.org");
	dude_close(&d);
}
END_TEST

Suite *bs_suite_gate_session(void)
{
	Suite *s = suite_create("gate_session");
	TCase *tc = tcase_create("session");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_packet_may_come_byte_by_byte);
	tcase_add_test(tc, many_packets_may_come_at_once);
	tcase_add_test(tc, the_longest_packet_is_read_whole);
	tcase_add_test(tc, a_session_without_hello_ends);
	tcase_add_test(tc, a_slow_hello_ends_too);
	tcase_add_test(tc, an_idle_session_ends_at_the_agreed_time);
	tcase_add_test(tc, a_handshake_that_does_not_come_ends);
	tcase_add_test(tc, garbage_instead_of_tls_ends_at_once);
	tcase_add_test(tc, a_port_scan_leaves_nothing_behind);
	tcase_add_test(tc, a_client_that_does_not_read_is_dropped);
	tcase_add_test(tc, what_waits_is_sent_when_the_client_reads_again);
	tcase_add_test(tc, handshakes_have_a_budget_per_turn);
	tcase_add_test(tc, many_steps_of_handshakes_make_the_gate_busy);
	tcase_add_test(tc, a_tick_wipes_the_key_pair_of_handshakes);
	tcase_add_test(tc, a_session_is_resumed_with_its_identity);
	suite_add_tcase(s, tc);
	return s;
}
