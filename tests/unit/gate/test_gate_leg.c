/* SPDX-License-Identifier: Apache-2.0 */
/* A session whose first packet is GW_CONN_U: what the relay gets, and bytes both ways. */
#include <unistd.h>

#include "fake.h"
#include "net/tcp.h"
#include "server/gateway.h"
#include "test.h"

#define NSI 0x01000077u

static struct fake *f;
static struct dude d;

/* A relay on the gate's own worker: it holds what it was given. */
struct bs_gw_leg {
	const struct bs_gw_port *port;
	void *ctx;
	unsigned readable, writable, gone;
};
static struct bs_gw_leg relay;

static void setup(void)
{
	f = fake_new("hello-timeout = 5s\n");
	memset(&d, 0, sizeof(d));
	ck_assert(dude_dial(&d, f, f->pki->client, f->pki->client_key));
}

static void teardown(void)
{
	fake_free(f);
}

static size_t hello(uint8_t buf[BS_GW_HELLO_LEN])
{
	struct bs_gw_hello m = { .nsi_cp = 7,
				 .nsi_sp = NSI,
				 .flags = BS_GW_RELIABLE | BS_GW_CLIENT };

	memset(m.id, 0x1D, sizeof(m.id));
	ck_assert_int_eq(bs_gw_hello_encode(buf, BS_GW_HELLO_LEN, &m), BS_GW_HELLO_LEN);
	return BS_GW_HELLO_LEN;
}

/* Become a leg; the relay's end of it. */
static int greet(void)
{
	uint8_t buf[BS_GW_HELLO_LEN];
	const struct bs_message *m;

	dude_send(&d, buf, hello(buf));
	m = fake_sent(f, BS_MSG_GW_LEG);
	ck_assert_ptr_nonnull(m);
	ck_assert(m->u.gw_leg.tls);
	ck_assert_uint_eq(m->u.gw_leg.client_hash, f->g->session[0].client_hash);
	ck_assert_uint_ne(m->u.gw_leg.client_hash, 0);
	ck_assert_mem_eq(m->u.gw_leg.hello, buf, sizeof(buf));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_legs), 1);
	ck_assert_uint_eq(f->g->session[0].state, BS_SESSION_LEG);
	return m->u.gw_leg.fd;
}

/* A packet that says how long it is. */
static size_t packet(uint8_t *buf, size_t len)
{
	const struct bs_header h = { .nsi_sp = NSI, .type = BS_TYPE_DATA };
	struct bs_writer w;

	bs_packet_begin(&w, buf, len, &h);
	ck_assert_ptr_nonnull(bs_packet_add_reserve(&w, BS_PL_PAD, 0, len - 20));
	ck_assert_int_eq(bs_packet_finish(&w), (bs_ssize)len);
	return len;
}

START_TEST(bytes_pass_both_ways)
{
	uint8_t out[1000];
	uint8_t in[2000];
	struct bs_packet p;
	int fd = greet();

	memset(out, 0x5A, sizeof(out));
	packet(out, sizeof(out));
	ck_assert_int_eq(write(fd, out, sizeof(out)), sizeof(out));
	ck_assert(dude_next(&d, &p));
	ck_assert_uint_eq(p.len, sizeof(out));
	ck_assert_mem_eq(d.last, out, sizeof(out));
	dude_send(&d, out, sizeof(out));
	ck_assert_int_eq(read(fd, in, sizeof(in)), sizeof(out));
	ck_assert_mem_eq(in, out, sizeof(out));
	/* The end of the relay's side is the end of the session. */
	close(fd);
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(f->g->live, 0);
	dude_close(&d);
}
END_TEST

START_TEST(the_end_of_the_client_is_told)
{
	uint8_t in[16];
	int fd = greet();

	dude_close(&d);
	for (int i = 0; i < 5; i++)
		fake_turn(f);
	ck_assert_int_eq(read(fd, in, sizeof(in)), 0);
	ck_assert_uint_eq(f->g->live, 0);
	close(fd);
}
END_TEST

/* The relay does not take anything: the client is not read any more, and nothing is lost. */
START_TEST(a_relay_that_does_not_read_stops_the_client)
{
	static uint8_t block[4000];
	uint8_t in[8192];
	size_t sent = 0;
	size_t got = 0;
	int fd = greet();
	ssize_t n;

	for (int i = 0; i < 4000; i++) {
		int k = SSL_write(d.ssl, block, sizeof(block));

		fake_turn(f);
		if (k <= 0)
			break;
		sent += (size_t)k;
	}
	ck_assert_uint_lt(sent, 4000u * sizeof(block));
	ck_assert_ptr_null(f->g->session[0].out);
	for (int i = 0; i < 100000 && got < sent; i++) {
		n = read(fd, in, sizeof(in));
		if (n > 0)
			got += (size_t)n;
		else
			fake_turn(f);
	}
	ck_assert_uint_eq(got, sent);
	close(fd);
	dude_close(&d);
}
END_TEST

START_TEST(what_is_no_handshake_of_a_leg)
{
	uint8_t buf[BS_GW_HELLO_LEN + 16];
	struct bs_packet p;

	hello(buf);
	if (_i == 0) {
		buf[3] ^= 1; /* the header's number, not the copy */
		dude_send(&d, buf, BS_GW_HELLO_LEN);
		ck_assert(dude_next(&d, &p));
		ck_assert_uint_eq(p.h.type, BS_TYPE_ERROR);
	} else {
		/* More before the answer. */
		memset(buf + BS_GW_HELLO_LEN, 0, 16);
		dude_send(&d, buf, sizeof(buf));
	}
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(fake_count(f, BS_C_gateway_malformed), 1);
	if (fake_sent(f, BS_MSG_GW_LEG))
		close(fake_sent(f, BS_MSG_GW_LEG)->u.gw_leg.fd);
	dude_close(&d);
}
END_TEST

START_TEST(a_session_with_a_hello_is_no_leg)
{
	uint8_t buf[BS_GW_HELLO_LEN];
	struct bs_packet p;

	dude_hello(&d);
	ck_assert(dude_next(&d, &p));
	dude_send(&d, buf, hello(buf));
	ck_assert(dude_next(&d, &p));
	ck_assert_uint_eq(p.h.type, BS_TYPE_ERROR);
	ck_assert_ptr_null(fake_sent(f, BS_MSG_GW_LEG));
	dude_close(&d);
}
END_TEST

START_TEST(a_holder_that_is_behind_ends_it)
{
	uint8_t buf[BS_GW_HELLO_LEN];

	f->full = true;
	dude_send(&d, buf, hello(buf));
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(f->g->live, 0);
	dude_close(&d);
}
END_TEST

/* ---- the same worker */

static void on_ready(struct bs_gw_leg *leg, bool readable, bool writable)
{
	leg->readable += readable;
	leg->writable += writable;
}

static void on_gone(struct bs_gw_leg *leg)
{
	leg->gone++;
}

static const struct bs_gw_near calls = { .ready = on_ready, .gone = on_gone };

/* Become a leg of a relay that is here: it gets a port in place of a descriptor. */
static void greet_near(void)
{
	uint8_t buf[BS_GW_HELLO_LEN];
	const struct bs_message *m;

	f->w.gateway = (struct bs_gateway *)f; /* there is one; nobody looks at it */
	dude_send(&d, buf, hello(buf));
	m = fake_sent(f, BS_MSG_GW_LEG);
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(m->u.gw_leg.fd, -1);
	ck_assert_ptr_nonnull(m->u.gw_leg.port);
	ck_assert_uint_eq(m->u.gw_leg.client_hash, f->g->session[0].client_hash);
	relay = (struct bs_gw_leg){ .port = m->u.gw_leg.port, .ctx = m->u.gw_leg.ctx };
	relay.port->opened(relay.ctx, &relay, &calls);
}

START_TEST(a_relay_of_this_worker_uses_the_session)
{
	static uint8_t big[100000];
	uint8_t in[2000];
	uint8_t out[1000];
	struct bs_packet p;

	greet_near();
	/* Nobody asked for bytes, so none are read. */
	memset(out, 0x5A, sizeof(out));
	packet(out, sizeof(out));
	dude_send(&d, out, sizeof(out));
	ck_assert_uint_eq(relay.readable, 0);
	relay.port->watch(relay.ctx, true, false);
	for (int i = 0; i < 5 && !relay.readable; i++)
		fake_turn(f);
	ck_assert_uint_gt(relay.readable, 0);
	ck_assert_int_eq(relay.port->read(relay.ctx, in, sizeof(in)), sizeof(out));
	ck_assert_mem_eq(in, out, sizeof(out));
	ck_assert_int_eq(relay.port->read(relay.ctx, in, sizeof(in)), BS_EAGAIN);
	ck_assert_int_eq(relay.port->write(relay.ctx, out, sizeof(out)), sizeof(out));
	ck_assert(dude_next(&d, &p));
	ck_assert_mem_eq(d.last, out, sizeof(out));
	/* More than one record: a part of it is taken. */
	ck_assert_int_gt(relay.port->write(relay.ctx, big, sizeof(big)), 1000);
	relay.port->close(relay.ctx);
	ck_assert_uint_eq(f->g->live, 0);
	ck_assert_uint_eq(relay.gone, 1);
	dude_close(&d);
}
END_TEST

START_TEST(a_full_session_says_when_it_takes_more)
{
	static uint8_t block[16384];
	static uint8_t in[65536];
	size_t sent = 0;
	size_t got = 0;
	bs_ssize n;

	greet_near();
	while ((n = relay.port->write(relay.ctx, block, sizeof(block))) > 0)
		sent += (size_t)n;
	ck_assert_int_eq(n, BS_EAGAIN);
	relay.port->watch(relay.ctx, false, true);
	fake_turn(f);
	ck_assert_uint_eq(relay.writable, 0);
	while (got < sent || n == BS_EAGAIN) {
		int k = SSL_read(d.ssl, in, sizeof(in));

		if (k > 0)
			got += (size_t)k;
		else
			fake_turn(f);
		/* The record that was under way goes out with the same bytes. */
		if (relay.writable && n == BS_EAGAIN) {
			n = relay.port->write(relay.ctx, block, sizeof(block));
			sent += n > 0 ? (size_t)n : 0;
			relay.port->watch(relay.ctx, false, n == BS_EAGAIN);
		}
	}
	ck_assert_uint_gt(relay.writable, 0);
	ck_assert_int_eq(n, sizeof(block));
	dude_close(&d);
}
END_TEST

START_TEST(a_relay_of_this_worker_hears_of_the_end)
{
	uint8_t in[16];

	greet_near();
	relay.port->watch(relay.ctx, true, false);
	if (_i == 0) {
		/* The client's: told as the end of a stream, which may have another way. */
		dude_close(&d);
		for (int i = 0; i < 20 && !relay.readable; i++)
			fake_turn(f);
		ck_assert_uint_gt(relay.readable, 0);
		ck_assert_int_eq(relay.port->read(relay.ctx, in, sizeof(in)), 0);
		ck_assert_uint_eq(relay.gone, 0);
		relay.port->close(relay.ctx);
	} else {
		/* The gate's own, as for a client that is revoked. */
		bs__session_end(&f->g->session[0]);
		ck_assert_uint_eq(relay.gone, 1);
		dude_close(&d);
	}
	ck_assert_uint_eq(f->g->live, 0);
}
END_TEST

START_TEST(a_relay_of_this_worker_that_expects_nobody)
{
	uint8_t buf[BS_GW_HELLO_LEN];
	const struct bs_message *m;

	f->w.gateway = (struct bs_gateway *)f;
	dude_send(&d, buf, hello(buf));
	m = fake_sent(f, BS_MSG_GW_LEG);
	ck_assert_ptr_nonnull(m);
	m->u.gw_leg.port->close(m->u.gw_leg.ctx);
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(f->g->live, 0);
	dude_close(&d);
}
END_TEST

Suite *bs_suite_gate_leg(void);

Suite *bs_suite_gate_leg(void)
{
	Suite *s = suite_create("gate_leg");
	TCase *t = tcase_create("leg");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, bytes_pass_both_ways);
	tcase_add_test(t, the_end_of_the_client_is_told);
	tcase_add_test(t, a_relay_that_does_not_read_stops_the_client);
	tcase_add_loop_test(t, what_is_no_handshake_of_a_leg, 0, 2);
	tcase_add_test(t, a_session_with_a_hello_is_no_leg);
	tcase_add_test(t, a_holder_that_is_behind_ends_it);
	tcase_add_test(t, a_relay_of_this_worker_uses_the_session);
	tcase_add_test(t, a_full_session_says_when_it_takes_more);
	tcase_add_loop_test(t, a_relay_of_this_worker_hears_of_the_end, 0, 2);
	tcase_add_test(t, a_relay_of_this_worker_that_expects_nobody);
	suite_add_tcase(s, t);
	return s;
}
