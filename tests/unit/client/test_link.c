/* SPDX-License-Identifier: Apache-2.0 */
/* Connections: CONNECT with every answer, the search, queries, ends; the test plays the device. */
#include <stdio.h>

#include "proto/rendezvous.h"
#include "rig.h"
#include "wire/probe.h"

Suite *bs_suite_link(void);

#define NSI 0x42000017u

static struct rig r;
static struct told conn;
static struct bsc_conn *c;

/** The device's end: answers rendezvous and whatever the test tells it to. */
static struct {
	struct bs_conn conn;
	struct bs_rendezvous_device rv;
	struct bs_key_block key;
	struct bs_endpoint at;     /**< where the device is */
	struct bs_endpoint client; /**< where it saw the client */
	bool deaf;                 /**< takes rendezvous only */
	bool silent;               /**< takes nothing at all */
	int requests;
	uint32_t exception; /**< answer with it; 0 = echo the request */
	size_t pad;         /**< bytes added to each answer */
	bool notice;        /**< only say that it works on it */
	bool closed;        /**< saw a close */
} dev;

static void setup(void)
{
	rig_init(&r);
	memset(&conn, 0, sizeof conn);
	memset(&dev, 0, sizeof dev);
	memset(dev.key.b, 0x33, sizeof dev.key.b);
	bs_endpoint_set_ip4(&dev.at, 0xc0a80107, 5700);
	bs_endpoint_set_ip4(&dev.client, 0xc0a80105, 40000);
	c = NULL;
}

static void teardown(void)
{
	bs_conn_fini(&dev.conn);
	rig_fini(&r);
}

static void begin(const char *device)
{
	ck_assert_int_eq(bsc__link_new(&r.m, device, NULL, rig_on_conn, &conn, r.now, &c), BS_OK);
}

/** Open the session and have the CONNECT in r.last. */
static void ask(void)
{
	begin("dev1.example");
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_CONNECT);
}

/** The answer that accepts r.last. */
static void make_answer(struct bs_gate_connect_answer *a)
{
	struct bs_payload at;

	memset(a, 0, sizeof *a);
	a->h = (struct bs_gate_head){ .cp = r.last.h.nsi_cp, .sp = NSI, .seq = r.last.h.seq };
	a->status.code = BS_ST_OK;
	ck_assert(bs_payload_find(&r.last, BS_PL_ATTEMPT, &at));
	memcpy(a->attempt, at.data, sizeof a->attempt);
	a->ipx.has_nsi = a->ipx.has_full = true;
	a->ipx.nsi_sp = NSI;
	a->ipx.priv = dev.at;
	bs_endpoint_set_ip4(&a->ipx.global, 0xcb007150, 5700);
	a->key.suite = BS_SUITE_AES_CBC;
	a->key.has_key = true;
	a->key.key = dev.key;
	a->n_eps = 1;
	a->eps[0] = (struct bs_ep6){ .ep = dev.at, .kind = BS_EP6_HOST };
	a->has_ext = true;
	a->ext.bits = BS_EXT_IP6 | BS_EXT_CLOSE;
}

static void send_answer(const struct bs_gate_connect_answer *a)
{
	uint8_t buf[BS_GATE_PACKET_MAX];

	rig_bytes(&r, buf, bs_gate_connect_answer_encode(a, buf, sizeof buf));
}

static void accept_it(void)
{
	struct bs_gate_connect_answer a;

	make_answer(&a);
	send_answer(&a);
	bs_conn_init(&dev.conn, BS_RESPONDER, NSI, &dev.key, &bs_suite_aes_cbc, r.now);
}

static void to_client(uint8_t *buf, size_t len)
{
	bsc__machine_datagram(&r.m, buf, len, &dev.at, r.now);
}

static void device_answers(const struct bs_conn_data *d)
{
	struct bs_conn_send s = { .seq = d->h.seq, .flags = BS_FLAG_RESPONSE };
	uint8_t plain[BS_PACKET_MAX] = { 0 };
	uint8_t buf[BS_PACKET_MAX];
	size_t len = d->plain.len - 4 + dev.pad;
	bs_ssize n;

	dev.requests++;
	if (dev.notice) {
		struct bs_notify note = { .code = BS_ST_PENDING };
		struct bs_header h = { .nsi_cp = d->h.nsi_cp,
				       .nsi_sp = NSI,
				       .type = BS_TYPE_DATA,
				       .version = 2,
				       .flags = BS_FLAG_RESPONSE,
				       .seq = d->h.seq };
		struct bs_writer w;

		bs_packet_begin(&w, buf, sizeof buf, &h);
		bs_notify_put(&w, &note);
		to_client(buf, (size_t)bs_packet_finish(&w));
		return;
	}
	memcpy(plain, d->plain.ptr + 4, d->plain.len - 4);
	if (dev.exception != 0) {
		s.flags |= BS_FLAG_EXCEPTION;
		bs_put_u32(plain, dev.exception);
		len = 4;
	}
	n = bs_conn_seal(&dev.conn, r.m.crypto, &s, (struct bs_slice){ plain, len }, buf,
			 sizeof buf);
	ck_assert_int_gt(n, 0);
	to_client(buf, (size_t)n);
}

/** The device takes one datagram. */
static void device_takes(uint8_t *pkt, size_t len)
{
	struct bs_rendezvous_in in;
	struct bs_conn_data d;
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_MAX];
	struct bs_packet p;
	size_t n;

	if (dev.silent || bs_packet_decode(pkt, len, &p) != BS_OK || p.h.nsi_sp != NSI)
		return;
	if (p.h.type == BS_TYPE_U_CONNECT) {
		if (bs_rendezvous_input(&dev.rv, &p, &dev.client, &in) != BS_OK)
			return;
		while ((n = bs_rendezvous_output(&dev.rv, NSI, &dev.client, &dev.client, buf,
						 sizeof buf, &to)) > 0)
			to_client(buf, n);
		return;
	}
	if (dev.deaf || p.h.type != BS_TYPE_DATA)
		return;
	if (bs_conn_open(&dev.conn, r.m.crypto, &p, pkt, &dev.client, r.now, &d) != BS_OK)
		return;
	bs_conn_touch(&dev.conn, r.now);
	if (d.h.tag == BS_TAG_RPC)
		device_answers(&d);
	else if (bs_conn_framing(&dev.conn, &d, &dev.client, r.now) != BS_OK)
		return;
	while ((n = bs_conn_output(&dev.conn, r.m.crypto, buf, sizeof buf, &to)) > 0)
		to_client(buf, n);
	dev.closed = dev.closed || dev.conn.state == BS_CONN_CLOSING;
}

/** Deliver everything until both are quiet.  Probes go nowhere. */
static void talk(void)
{
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	size_t n;

	while ((n = bsc__machine_datagram_out(&r.m, buf, sizeof buf, &to, r.now)) > 0)
		if (bs_endpoint_equal(&to, &dev.at))
			device_takes(buf, n);
}

/** Let time pass in steps of 50 ms, delivering. */
static void live(uint32_t ms)
{
	for (uint32_t k = 0; k < ms; k += 50) {
		rig_pass(&r, 50);
		bs_conn_timeout(&dev.conn, r.now);
		talk();
	}
}

static void connect_it(void)
{
	ask();
	accept_it();
	live(1000);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
}

START_TEST(one_call_leads_to_a_path)
{
	struct bsc_conn_info info;
	struct bs_gate_connect m;

	bs_endpoint_set_ip4(&r.m.hosts[0].ep, 0xc0a80105, 40000);
	r.m.hosts[0].kind = BS_EP6_HOST;
	r.m.n_hosts = 1;
	begin("Dev1.Example");
	ck_assert_str_eq(c->device, "dev1.example");
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_CONNECT);
	ck_assert_int_eq(bs_gate_connect_decode(&r.last, &m), BS_OK);
	ck_assert_uint_eq(m.n_hosts, 1);
	ck_assert(m.caps.bits & BS_CAP_ASYNC);
	ck_assert_uint_eq(m.device.len, strlen("dev1.example"));
	accept_it();
	ck_assert_int_eq(conn.step, BSC_PROBING);
	live(500);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	ck_assert_str_eq(conn.trace, "rharp");
	bsc__link_get_info(c, &info);
	ck_assert_str_eq(info.device, "dev1.example");
	ck_assert_int_eq(info.path, BSC_PATH_LOCAL);
	ck_assert_str_eq(info.remote, "192.168.1.7:5700");
	ck_assert_str_eq(info.local, "192.168.1.5:40000");
	ck_assert_uint_eq(info.nsi, NSI);
	ck_assert_uint_eq(info.ext, BS_EXT_IP6 | BS_EXT_CLOSE);
	ck_assert_uint_eq(info.suite, BS_SUITE_AES_CBC);
	ck_assert_uint_eq(info.packet_max, 272);
	ck_assert_uint_gt(info.connect_ms, 0);
	ck_assert_uint_gt(info.tx_bytes, 0);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(probes_go_out_while_the_server_asks)
{
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	size_t n;
	int probes = 0;

	ask();
	rig_pass(&r, 0);
	while ((n = bsc__machine_datagram_out(&r.m, buf, sizeof buf, &to, r.now)) > 0)
		probes += n == BS_PROBE_LEN && buf[8] == BS_TYPE_PROBE;
	ck_assert_int_eq(probes, 2);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(an_old_token_is_renewed_before_the_next_connect)
{
	struct bs_gate_head h = { 0 };
	uint8_t buf[64];

	rig_open(&r);
	rig_pass(&r, BSC__TOKEN_MS - 1000);
	begin("dev1");
	rig_expect(&r, BS_TYPE_CONNECT);
	bsc__link_close(c, r.now);
	rig_pass(&r, 1001);
	begin("dev1");
	rig_expect(&r, BS_TYPE_PING);
	h.seq = r.last.h.seq;
	rig_bytes(&r, buf, bs_gate_ping_encode(&h, true, buf, sizeof buf));
	rig_expect(&r, BS_TYPE_CONNECT);
	bsc__link_close(c, r.now);
	rig_pass(&r, BSC__TOKEN_MS - 1500);
	begin("dev2");
	rig_expect(&r, BS_TYPE_CONNECT);
	bsc__link_close(c, r.now);
}
END_TEST

static const struct {
	uint16_t status;
	enum bsc_source source;
	int err;
} refusals[] = {
	{ BS_ST_REFUSED_DEVICE, BSC_FROM_DEVICE, BS_EPERM },
	{ BS_ST_ENCRYPTION, BSC_FROM_DEVICE, BS_EREFUSED },
	{ BS_ST_NOT_ATTACHED, BSC_FROM_BASESTATION, BS_EUNREACH },
	{ BS_ST_BUSY, BSC_FROM_BASESTATION, BS_EFULL },
	{ BS_ST_CANNOT_ANSWER, BSC_FROM_BASESTATION, BS_EREFUSED },
	{ BS_ST_REATTACHING, BSC_FROM_BASESTATION, BS_EAGAIN },
	{ BS_ST_REFUSED, BSC_FROM_BASESTATION, BS_EPERM },
	{ BS_ST_ABORTED, BSC_FROM_BASESTATION, BS_EAGAIN },
	{ BS_ST_CAPABILITY, BSC_FROM_BASESTATION, BS_EREFUSED },
	{ BS_ST_RATE, BSC_FROM_BASESTATION, BS_ERATE },
	{ BS_ST_DRAINING, BSC_FROM_BASESTATION, BS_EDRAIN },
	{ BS_ST_ERROR, BSC_FROM_BASESTATION, BS_EPROTO },
	{ 0x8fff, BSC_FROM_BASESTATION, BS_EREFUSED },
};

START_TEST(every_refusal_reaches_the_caller)
{
	ask();
	rig_refuse(&r, refusals[_i].status, "why not", 250);
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, refusals[_i].status);
	ck_assert_int_eq(conn.err.source, refusals[_i].source);
	ck_assert_int_eq(conn.err.err, refusals[_i].err);
	ck_assert_uint_eq(conn.err.retry_after_ms, 250);
	ck_assert_ptr_nonnull(strstr(conn.err.text, "why not"));
	/* The session goes on. */
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPEN);
	bsc__link_close(c, r.now);
	rig_pass(&r, 0);
	ck_assert_ptr_null(r.m.links);
	ck_assert(!rig_sent(&r));
}
END_TEST

START_TEST(answers_that_break_the_protocol)
{
	struct bs_gate_connect_answer a;

	ask();
	make_answer(&a);
	if (_i == 0)
		a.attempt[0] ^= 1;
	else if (_i == 1) {
		/* Plain data that we never asked for: a downgrade. */
		a.key.suite = BS_SUITE_NULL;
		a.key.has_key = false;
	} else
		a.h.sp = 0;
	send_answer(&a);
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	ck_assert_uint_eq(conn.err.code, BSC_PROTOCOL);
	bsc__link_close(c, r.now);
}
END_TEST

static int no_secret(void *arg, const char *device, uint8_t *id, uint8_t *secret)
{
	(void)arg;
	(void)id;
	(void)secret;
	return strcmp(device, "dev1.example") == 0 ? BS_EIO : BS_ENOENT;
}

static int my_secret(void *arg, const char *device, uint8_t *id, uint8_t *secret)
{
	(void)arg;
	(void)device;
	memset(id, 7, BS_PAIR_ID_LEN);
	memset(secret, 9, BS_PAIR_SECRET_LEN);
	return BS_OK;
}

START_TEST(a_pairing_is_asked_for_and_insisted_on)
{
	struct bs_gate_connect_answer a;
	struct bs_gate_connect m;
	struct bs_key_block mixed;

	r.m.set.pair_fn = my_secret;
	r.m.set.no_local = true;
	ask();
	ck_assert_int_eq(bs_gate_connect_decode(&r.last, &m), BS_OK);
	ck_assert(m.has_pair && (m.ext & BS_EXT_PAIR));
	ck_assert_uint_eq(m.pair[0], 7);
	make_answer(&a);
	if (_i == 0) {
		/* A device without the extension: nobody may talk us down to it. */
		send_answer(&a);
		ck_assert_int_eq(conn.step, BSC_CLOSED);
		ck_assert_uint_eq(conn.err.code, BSC_PROTOCOL);
	} else {
		a.ext.bits |= BS_EXT_PAIR;
		send_answer(&a);
		ck_assert_int_eq(conn.step, BSC_PROBING);
		ck_assert(bs_conn_is_paired(&c->peer.conn));
		ck_assert_int_eq(bs_keys_derive_pair(r.m.crypto, &dev.key, c->pair_secret, NSI,
						     a.attempt, &mixed),
				 BS_OK);
		ck_assert_mem_eq(&c->peer.conn.key, &mixed, sizeof mixed);
	}
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(without_a_pairing_none_is_asked_for)
{
	struct bs_gate_connect m;

	r.m.set.pair_fn = no_secret;
	ck_assert_int_eq(bsc__link_new(&r.m, "dev1.example", NULL, rig_on_conn, &conn, r.now, &c),
			 BS_EIO);
	begin("dev2.example");
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_CONNECT);
	ck_assert_int_eq(bs_gate_connect_decode(&r.last, &m), BS_OK);
	ck_assert(!m.has_pair && !(m.ext & BS_EXT_PAIR) && (m.ext & BS_EXT_FAST_STREAM));
	bsc__link_close(c, r.now);
}
END_TEST

/* Suite GCM only where we asked for it and the device was granted it. */
START_TEST(the_suite_is_one_that_both_have)
{
	struct bs_gate_connect_answer a;
	bool ours;

	ask();
	ours = bs_crypto_gcm(r.m.crypto) != NULL;
	make_answer(&a);
	a.key.suite = BS_SUITE_AES_GCM;
	if (_i == 1)
		a.ext.bits |= BS_EXT_GCM | BS_EXT_FAST_STREAM;
	send_answer(&a);
	if (_i == 1 && ours) {
		ck_assert_int_eq(conn.step, BSC_PROBING);
		ck_assert_ptr_eq(c->peer.conn.suite, &bs_suite_aes_gcm);
		ck_assert(bs_conn_is_fast(&c->peer.conn));
	} else {
		ck_assert_int_eq(conn.step, BSC_CLOSED);
		ck_assert_uint_eq(conn.err.code, BSC_PROTOCOL);
	}
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(every_cut_answer_is_refused)
{
	struct bs_gate_connect_answer a;
	uint8_t buf[BS_GATE_PACKET_MAX];
	bs_ssize n;

	ask();
	make_answer(&a);
	n = bs_gate_connect_answer_encode(&a, buf, sizeof buf);
	for (bs_ssize len = 16; len < n; len++) {
		uint8_t cut[BS_GATE_PACKET_MAX];
		struct bs_packet p;

		memcpy(cut, buf, (size_t)len);
		bs_put_u16(cut + 14, (uint16_t)len);
		if (bs_packet_decode(cut, (size_t)len, &p) != BS_OK)
			continue;
		/* The last payloads are optional; without one of the others it is no answer. */
		if (bs_gate_connect_answer_decode(&p, &a) != BS_OK)
			ck_assert_int_lt(bsc__link_answer(c, &p, r.now), 0);
	}
	ck_assert_int_eq(conn.step, BSC_ASKING);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(a_silent_server_times_out)
{
	ask();
	rig_pass(&r, BSC__ANSWER_MS - 1);
	ck_assert_int_eq(conn.step, BSC_ASKING);
	rig_pass(&r, 1);
	ck_assert_uint_eq(conn.err.code, BSC_TIMEOUT);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(a_lost_session_repeats_the_same_attempt)
{
	struct bs_payload one;
	struct bs_payload two;
	uint8_t attempt[BS_ATTEMPT_LEN];

	ask();
	ck_assert(bs_payload_find(&r.last, BS_PL_ATTEMPT, &one));
	memcpy(attempt, one.data, sizeof attempt);
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	ck_assert_int_ne(conn.step, BSC_CLOSED);
	rig_pass(&r, 1000);
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_CONNECT);
	ck_assert(bs_payload_find(&r.last, BS_PL_ATTEMPT, &two));
	ck_assert_mem_eq(attempt, two.data, sizeof attempt);
	accept_it();
	live(500);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(a_connect_follows_a_redirect)
{
	struct bs_gate_redirect m = { .node = { .port = 443, .host = rig_text("n2.example") } };
	uint8_t buf[256];

	ask();
	m.h.seq = r.last.h.seq;
	rig_bytes(&r, buf, bs_gate_redirect_encode(&m, buf, sizeof buf));
	ck_assert_str_eq(r.m.host, "n2.example");
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_CONNECT);
	ck_assert_uint_eq(r.m.redirects, 1);
	accept_it();
	ck_assert_uint_eq(r.m.redirects, 0);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(no_path_is_told_and_the_server_may_forget)
{
	dev.silent = true;
	ask();
	accept_it();
	live(5900);
	ck_assert_int_eq(conn.step, BSC_PROBING);
	live(200);
	ck_assert_uint_eq(conn.err.code, BSC_NO_PATH);
	rig_expect(&r, BS_TYPE_DISCONNECT);
	ck_assert_uint_eq(r.last.h.nsi_sp, NSI);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(a_path_that_carries_no_data_is_no_path)
{
	dev.deaf = true;
	ask();
	accept_it();
	live(6200);
	ck_assert_uint_eq(conn.err.code, BSC_NO_PATH);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(a_device_that_falls_silent_is_noticed)
{
	connect_it();
	live(10000);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	dev.silent = true;
	live(17600 + 5000);
	ck_assert_uint_eq(conn.err.code, BSC_SILENT);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(the_server_can_end_a_connection)
{
	struct bs_gate_event e = { .h = { .sp = NSI },
				   .has_status = true,
				   .status = { .code = BS_ST_REFUSED,
					       .text = rig_text("revoked") } };
	uint8_t buf[256];

	connect_it();
	e.h.sp = NSI + 1;
	rig_bytes(&r, buf, bs_gate_event_encode(&e, NULL, 0, buf, sizeof buf));
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	e.h.sp = NSI;
	rig_bytes(&r, buf, bs_gate_event_encode(&e, NULL, 0, buf, sizeof buf));
	ck_assert_uint_eq(conn.err.code, BS_ST_REFUSED);
	ck_assert_int_eq(conn.err.source, BSC_FROM_BASESTATION);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(closing_tells_both_and_frees)
{
	connect_it();
	bsc__link_close(c, r.now);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	rig_expect(&r, BS_TYPE_DISCONNECT);
	talk();
	ck_assert(dev.closed);
	live(700);
	ck_assert_ptr_null(r.m.links);
	ck_assert_uint_eq(r.m.n_links, 0);
}
END_TEST

START_TEST(closing_early_asks_nobody)
{
	begin("dev1");
	bsc__link_close(c, r.now);
	ck_assert_uint_eq(r.m.n_reqs, 0);
	rig_pass(&r, 0);
	ck_assert_ptr_null(r.m.links);
	rig_up(&r);
	rig_hello(&r);
	ck_assert(!rig_sent(&r));
	ck_assert_int_eq(conn.n, 0);
}
END_TEST

START_TEST(a_lost_session_leaves_connections_alone)
{
	connect_it();
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	ck_assert_int_eq(r.m.state, BSC_SESSION_WAITING);
	live(3000);
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	bsc__link_close(c, r.now);
}
END_TEST

/* ---- queries */

struct got {
	int n;
	struct bsc_error err;
	uint8_t data[BSC_RPC_ANSWER_MAX];
	size_t len;
};

static void on_answer(void *arg, struct bsc_conn *cn, const uint8_t *data, size_t len,
		      const struct bsc_error *err)
{
	struct got *g = arg;

	(void)cn;
	g->n++;
	g->len = len;
	if (len > 0)
		memcpy(g->data, data, len);
	if (err != NULL)
		g->err = *err;
}

static const uint8_t query[] = { 0, 0, 0, 1, 'h', 'e', 'l', 'l', 'o' };

START_TEST(a_query_is_answered)
{
	struct got g = { 0 };
	struct bsc_conn_info info;

	connect_it();
	ck_assert_int_eq(bsc__link_call(c, query, sizeof query, 0, on_answer, &g, r.now), BS_OK);
	live(100);
	ck_assert_int_eq(g.n, 1);
	ck_assert_uint_eq(g.len, 5);
	ck_assert_mem_eq(g.data, "hello", 5);
	ck_assert_uint_eq(g.err.code, 0);
	ck_assert_uint_eq(c->n_calls, 0);
	bsc__link_get_info(c, &info);
	ck_assert_uint_gt(info.rtt_us, 0);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(queries_wait_for_the_path_in_order)
{
	struct got g[3];

	memset(g, 0, sizeof g);
	ask();
	for (int k = 0; k < 3; k++)
		ck_assert_int_eq(bsc__link_call(c, query, sizeof query - (size_t)k, 0, on_answer,
						&g[k], r.now),
				 BS_OK);
	accept_it();
	live(1000);
	for (int k = 0; k < 3; k++) {
		ck_assert_int_eq(g[k].n, 1);
		ck_assert_uint_eq(g[k].len, 5u - (unsigned)k);
	}
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(an_exception_has_its_symbol)
{
	struct got g = { 0 };

	connect_it();
	dev.exception = BS_RPC_UNKNOWN_QUERY;
	ck_assert_int_eq(bsc__link_call(c, query, sizeof query, 0, on_answer, &g, r.now), BS_OK);
	live(100);
	ck_assert_uint_eq(g.err.code, BSC_EXCEPTION);
	ck_assert_uint_eq(g.err.exception, 7);
	ck_assert_int_eq(g.err.source, BSC_FROM_DEVICE);
	ck_assert_ptr_nonnull(strstr(g.err.text, "BS_RPC_UNKNOWN_QUERY"));
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(an_unanswered_query_is_repeated_and_given_up)
{
	struct got g = { 0 };

	connect_it();
	dev.notice = true;
	ck_assert_int_eq(bsc__link_call(c, query, sizeof query, 0, on_answer, &g, r.now), BS_OK);
	live(29000);
	ck_assert_int_eq(g.n, 0);
	ck_assert_int_gt(dev.requests, 5);
	live(1100);
	ck_assert_int_eq(g.n, 1);
	ck_assert_uint_eq(g.err.code, BSC_NO_ANSWER);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(no_retry_sends_once)
{
	struct got g = { 0 };

	connect_it();
	dev.notice = true;
	ck_assert_int_eq(
		bsc__link_call(c, query, sizeof query, BSC_RPC_NO_RETRY, on_answer, &g, r.now),
		BS_OK);
	live(30100);
	ck_assert_int_eq(dev.requests, 1);
	ck_assert_uint_eq(g.err.code, BSC_NO_ANSWER);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(closing_ends_queries_once)
{
	struct got g[2];

	memset(g, 0, sizeof g);
	ask();
	ck_assert_int_eq(bsc__link_call(c, query, sizeof query, 0, on_answer, &g[0], r.now), BS_OK);
	bsc__link_close(c, r.now);
	ck_assert_int_eq(g[0].n, 1);
	ck_assert_uint_eq(g[0].err.code, BSC_CANCELLED);
	rig_pass(&r, 0);
	begin("dev1.example");
	rig_expect(&r, BS_TYPE_CONNECT);
	accept_it();
	live(500);
	dev.notice = true;
	ck_assert_int_eq(bsc__link_call(c, query, sizeof query, 0, on_answer, &g[1], r.now), BS_OK);
	live(100);
	bsc__link_close(c, r.now);
	ck_assert_int_eq(g[1].n, 1);
	ck_assert_uint_eq(g[1].err.code, BSC_CANCELLED);
}
END_TEST

START_TEST(the_reason_of_an_end_reaches_the_queries)
{
	struct got g = { 0 };

	ask();
	ck_assert_int_eq(bsc__link_call(c, query, sizeof query, 0, on_answer, &g, r.now), BS_OK);
	rig_refuse(&r, BS_ST_NOT_ATTACHED, "", 0);
	ck_assert_uint_eq(g.err.code, BS_ST_NOT_ATTACHED);
	ck_assert_int_eq(bsc__link_call(c, query, sizeof query, 0, on_answer, &g, r.now),
			 BS_ECLOSED);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(a_silent_device_ends_queries_with_that_reason)
{
	struct got g = { 0 };

	connect_it();
	dev.silent = true;
	ck_assert_int_eq(bsc__link_call(c, query, sizeof query, 0, on_answer, &g, r.now), BS_OK);
	live(18000);
	ck_assert_int_eq(g.n, 1);
	ck_assert_uint_eq(g.err.code, BSC_SILENT);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(large_requests_wait_for_proof)
{
	static uint8_t big[BSC_RPC_REQUEST_SMALL + 1];
	struct got g = { 0 };
	struct bsc_conn_info info;

	connect_it();
	ck_assert_int_eq(bsc__link_call(c, big, sizeof big, 0, on_answer, &g, r.now), BS_ETOOBIG);
	dev.pad = 250;
	ck_assert_int_eq(bsc__link_call(c, query, sizeof query, 0, on_answer, &g, r.now), BS_OK);
	live(100);
	ck_assert_uint_eq(g.len, 255);
	bsc__link_get_info(c, &info);
	ck_assert_uint_eq(info.packet_max, 1368);
	ck_assert_int_eq(bsc__link_call(c, big, sizeof big, 0, on_answer, &g, r.now), BS_OK);
	live(100);
	ck_assert_int_eq(g.n, 2);
	bsc__link_close(c, r.now);
}
END_TEST

START_TEST(arguments_of_a_query_are_checked)
{
	struct got g = { 0 };

	begin("dev1");
	ck_assert_int_eq(bsc__link_call(c, query, 3, 0, on_answer, &g, r.now), BS_EINVAL);
	ck_assert_int_eq(bsc__link_call(c, query, 4, 0, NULL, &g, r.now), BS_EINVAL);
	ck_assert_int_eq(bsc__link_call(c, query, 4, 0x80, on_answer, &g, r.now), BS_EINVAL);
	for (int k = 0; k < BSC__CALLS_MAX; k++)
		ck_assert_int_eq(bsc__link_call(c, query, 4, 0, on_answer, &g, r.now), BS_OK);
	ck_assert_int_eq(bsc__link_call(c, query, 4, 0, on_answer, &g, r.now), BS_EFULL);
	bsc__link_close(c, r.now);
	ck_assert_int_eq(g.n, BSC__CALLS_MAX);
}
END_TEST

START_TEST(device_ids_are_checked)
{
	static const char *const bad[] = { "", "a b", "a_b", "a/b",
					   "a2345678901234567890123456789012345678901" };

	for (size_t k = 0; k < LEN(bad); k++)
		ck_assert_int_eq(bsc__link_new(&r.m, bad[k], NULL, NULL, NULL, r.now, &c),
				 BS_EINVAL);
	ck_assert_int_eq(bsc__link_new(&r.m, NULL, NULL, NULL, NULL, r.now, &c), BS_EINVAL);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
}
END_TEST

START_TEST(connections_are_bounded)
{
	struct bsc_conn *all[BSC__LINKS_MAX];

	for (int k = 0; k < BSC__LINKS_MAX; k++)
		ck_assert_int_eq(bsc__link_new(&r.m, "dev1", NULL, NULL, NULL, r.now, &all[k]),
				 BS_OK);
	ck_assert_int_eq(bsc__link_new(&r.m, "dev1", NULL, NULL, NULL, r.now, &c), BS_EFULL);
	bsc__link_close(all[5], r.now);
	rig_pass(&r, 0);
	ck_assert_int_eq(bsc__link_new(&r.m, "dev1", NULL, NULL, NULL, r.now, &c), BS_OK);
}
END_TEST

/** A query callback that closes the connection it belongs to. */
static void close_in_answer(void *arg, struct bsc_conn *cn, const uint8_t *data, size_t len,
			    const struct bsc_error *err)
{
	on_answer(arg, cn, data, len, err);
	bsc__link_close(cn, r.now);
}

START_TEST(a_callback_may_close_its_connection)
{
	struct got g[3];

	memset(g, 0, sizeof g);
	connect_it();
	for (int k = 0; k < 3; k++)
		ck_assert_int_eq(
			bsc__link_call(c, query, sizeof query, 0, close_in_answer, &g[k], r.now),
			BS_OK);
	live(1000);
	for (int k = 0; k < 3; k++)
		ck_assert_int_eq(g[k].n, 1);
	ck_assert_uint_eq(g[0].err.code, 0);
	ck_assert_uint_eq(g[1].err.code, BSC_CANCELLED);
	ck_assert_ptr_null(r.m.links);
}
END_TEST

/** A connection callback that closes as soon as it hears the reason. */
static void close_on_end(void *arg, struct bsc_conn *cn, enum bsc_progress step,
			 const struct bsc_error *err)
{
	rig_on_conn(arg, cn, step, err);
	if (step == BSC_CLOSED)
		bsc__link_close(cn, r.now);
}

START_TEST(the_last_callback_may_close)
{
	ck_assert_int_eq(bsc__link_new(&r.m, "dev1", NULL, close_on_end, &conn, r.now, &c), BS_OK);
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_CONNECT);
	rig_refuse(&r, BS_ST_REFUSED, "", 0);
	ck_assert_int_eq(conn.step, BSC_CLOSED);
	rig_pass(&r, 0);
	ck_assert_ptr_null(r.m.links);
}
END_TEST

START_TEST(strangers_on_the_socket_change_nothing)
{
	uint8_t junk[200];
	uint32_t seed = 7;
	struct bs_endpoint stranger;

	bs_endpoint_set_ip4(&stranger, 0x01020304, 9);
	connect_it();
	for (int round = 0; round < 2000; round++) {
		size_t len = (size_t)(round % 200);

		for (size_t k = 0; k < len; k++) {
			seed = seed * 1103515245u + 12345u;
			junk[k] = (uint8_t)(seed >> 16);
		}
		if (len >= 16) {
			bs_put_u32(junk + 4, NSI);
			junk[8] = BS_TYPE_DATA;
			junk[9] = 2;
			bs_put_u16(junk + 14, (uint16_t)len);
		}
		bsc__machine_datagram(&r.m, junk, len, &stranger, r.now);
	}
	ck_assert_int_eq(conn.step, BSC_PATH_FOUND);
	ck_assert(bs_endpoint_equal(&c->peer.conn.remote, &dev.at));
	bsc__link_close(c, r.now);
}
END_TEST

static void add_queries(TCase *t)
{
	tcase_add_test(t, a_query_is_answered);
	tcase_add_test(t, queries_wait_for_the_path_in_order);
	tcase_add_test(t, an_exception_has_its_symbol);
	tcase_add_test(t, an_unanswered_query_is_repeated_and_given_up);
	tcase_add_test(t, no_retry_sends_once);
	tcase_add_test(t, closing_ends_queries_once);
	tcase_add_test(t, the_reason_of_an_end_reaches_the_queries);
	tcase_add_test(t, a_silent_device_ends_queries_with_that_reason);
	tcase_add_test(t, large_requests_wait_for_proof);
	tcase_add_test(t, arguments_of_a_query_are_checked);
	tcase_add_test(t, a_callback_may_close_its_connection);
}

Suite *bs_suite_link(void)
{
	Suite *s = suite_create("client link");
	TCase *t = tcase_create("link");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_call_leads_to_a_path);
	tcase_add_test(t, probes_go_out_while_the_server_asks);
	tcase_add_test(t, an_old_token_is_renewed_before_the_next_connect);
	tcase_add_loop_test(t, every_refusal_reaches_the_caller, 0, (int)LEN(refusals));
	tcase_add_loop_test(t, answers_that_break_the_protocol, 0, 3);
	tcase_add_test(t, every_cut_answer_is_refused);
	tcase_add_loop_test(t, a_pairing_is_asked_for_and_insisted_on, 0, 2);
	tcase_add_test(t, without_a_pairing_none_is_asked_for);
	tcase_add_loop_test(t, the_suite_is_one_that_both_have, 0, 2);
	tcase_add_test(t, a_silent_server_times_out);
	tcase_add_test(t, a_lost_session_repeats_the_same_attempt);
	tcase_add_test(t, a_connect_follows_a_redirect);
	tcase_add_test(t, no_path_is_told_and_the_server_may_forget);
	tcase_add_test(t, a_path_that_carries_no_data_is_no_path);
	tcase_add_test(t, a_device_that_falls_silent_is_noticed);
	tcase_add_test(t, the_server_can_end_a_connection);
	tcase_add_test(t, closing_tells_both_and_frees);
	tcase_add_test(t, closing_early_asks_nobody);
	tcase_add_test(t, a_lost_session_leaves_connections_alone);
	add_queries(t);
	tcase_add_test(t, device_ids_are_checked);
	tcase_add_test(t, connections_are_bounded);
	tcase_add_test(t, the_last_callback_may_close);
	tcase_add_test(t, strangers_on_the_socket_change_nothing);
	suite_add_tcase(s, t);
	return s;
}
