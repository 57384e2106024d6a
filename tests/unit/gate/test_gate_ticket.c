/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "crypto/gcm.h"
#include "fake.h"
#include "server/gate_ticket.h"
#include "test.h"
#include "util/endpoint.h"

#define PUBLIC 0xCB007105u
#define NSI    0x02000001u

/** A client that has a ticket, and packets of its own. */
struct holder {
	struct bs_ticket_cipher cipher;
	struct bs_gcm *gcm;
	uint8_t secret[BS_TICKET_SECRET_LEN];
	uint8_t ticket[BS_TICKET_MAX];
	size_t ticket_len;
	uint32_t sp, cp;
	uint16_t seq;
	uint64_t stamp_ms;
	struct bs_endpoint from;
	bool has_token[2];
	uint8_t token[2][BS_TICKET_SECRET_LEN];
	uint8_t pkt[BS_TICKET_PACKET_MAX]; /**< the last one sent, as it was */
	size_t len;
	uint8_t rx[BS_TICKET_PACKET_MAX]; /**< the last one received, opened */
};

static struct fake *f;
static struct dude d;
static struct holder h;
static uint32_t rule;

/** Ask for a ticket as a client does, over TLS. */
static void get_ticket(void)
{
	const struct bs_header hd = {
		.nsi_cp = d.cp, .type = BS_TYPE_TICKET, .version = BS_WIRE_VERSION, .seq = ++d.seq
	};
	struct bs_gate_ticket_answer a;
	uint8_t buf[64], hash[BS_SHA256_LEN];
	struct bs_writer w;
	struct bs_packet p;

	bs_packet_begin(&w, buf, sizeof(buf), &hd);
	dude_send(&d, buf, (size_t)bs_packet_finish(&w));
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_ticket_answer_decode(&p, &a), BS_OK);
	ck_assert_uint_eq(a.status.code, BS_ST_OK);
	ck_assert_uint_eq(a.params.server_time_ms, f->w.unix_ms);
	ck_assert_uint_eq(a.params.ticket_life_s, 86400);
	ck_assert_uint_eq(a.n_eps, 2);
	ck_assert_uint_eq(a.eps[0].port, 5562);
	ck_assert_uint_eq(a.eps[1].port, 5566);
	memcpy(h.secret, a.token, sizeof(h.secret));
	memcpy(h.ticket, a.ticket.ptr, a.ticket.len);
	h.ticket_len = a.ticket.len;
	ck_assert_int_eq(bs_gcm_sha256(a.ticket, hash), BS_OK);
	h.sp = bs_get_u32(hash);
}

static void setup_with(const char *extra)
{
	const uint8_t key[BS_GCM_KEY_LEN] = { 0 };

	f = fake_new(extra);
	memset(&d, 0, sizeof(d));
	memset(&h, 0, sizeof(h));
	rule = fake_allow(f, "ann@example.org", "cam1.*");
	fake_allow(f, "ann@example.org", "cam2.*");
	dude_open(&d, f);
	h.gcm = bs_gcm_new(key);
	h.cipher = (struct bs_ticket_cipher){ f->w.crypto, bs_gcm_aead(), h.gcm };
	h.cp = 0xC0FFEE01;
	bs_endpoint_set_ip4(&h.from, PUBLIC, 40000);
}

static void setup(void)
{
	setup_with(NULL);
	get_ticket();
	/* What follows needs no session. */
	dude_close(&d);
	memset(&d, 0, sizeof(d));
	fake_pass(f, 1000);
}

static void teardown(void)
{
	bs_gcm_free(h.gcm);
	if (d.f)
		dude_close(&d);
	fake_free(f);
}

/** Give the gate a datagram. */
static void deliver(const uint8_t *pkt, size_t len, const struct bs_endpoint *from, unsigned socket)
{
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(pkt, len, &p), BS_OK);
	f->ops->ticket(f->g, &p, from, socket, &f->w.socket[socket].ep);
}

/** Seal a packet of the client protocol, with the challenges that the holder has. */
static void seal(const uint8_t *inner, size_t len)
{
	struct bs_sealed s = { .h = { h.cp, h.sp, h.seq },
			       .ticket = { h.ticket, h.ticket_len },
			       .stamp_ms = h.stamp_ms ? h.stamp_ms : f->w.unix_ms };
	uint8_t text[1024];
	bs_ssize n = (bs_ssize)len;

	memcpy(text, inner, len);
	for (int i = 0; i < 2; i++)
		if (h.has_token[i])
			n = bs_ticket_token_add(text, (size_t)n, sizeof(text), h.token[i]);
	n = bs_ticket_seal(&h.cipher, h.secret, &s, (struct bs_slice){ text, (size_t)n },
			   BS_TICKET_REQUEST_MIN, h.pkt, sizeof(h.pkt));
	ck_assert_int_ge(n, (int)BS_TICKET_REQUEST_MIN);
	h.len = (size_t)n;
}

static void send_to(unsigned socket)
{
	f->n_udp = 0;
	deliver(h.pkt, h.len, &h.from, socket);
}

static void connect_on(unsigned socket, const char *id, const char *attempt)
{
	struct bs_gate_connect m;
	uint8_t buf[512];
	bs_ssize n;

	memset(&m, 0, sizeof(m));
	m.h = (struct bs_gate_head){ h.cp, 0, ++h.seq };
	m.device = box_text(id);
	memcpy(m.attempt, attempt, sizeof(m.attempt));
	n = bs_gate_connect_encode(&m, buf, sizeof(buf));
	ck_assert_int_gt(n, 0);
	seal(buf, (size_t)n);
	send_to(socket);
}

static void connect(const char *id, const char *attempt)
{
	connect_on(1, id, attempt);
}

/** Open what the gate sent last; it goes to the holder and is not longer than the request. */
static struct bs_packet answer(void)
{
	struct bs_sealed s;
	struct bs_packet p;

	ck_assert_uint_ge(f->n_udp, 1);
	ck_assert(bs_endpoint_equal(&f->udp.peer, &h.from));
	ck_assert_uint_le(f->udp.len, h.len);
	memcpy(h.rx, f->udp.data, f->udp.len);
	ck_assert_int_eq(bs_packet_decode(h.rx, f->udp.len, &p), BS_OK);
	ck_assert_int_eq(bs_sealed_decode(&p, &s), BS_OK);
	ck_assert(s.is_answer);
	ck_assert_uint_eq(s.h.sp, h.sp);
	ck_assert_int_eq(bs_ticket_open(&h.cipher, h.secret, &s, h.rx, &p), BS_OK);
	return p;
}

/** What went out is a challenge: keep it. */
static void take_challenge(int which)
{
	struct bs_gate_ticket_answer a;
	struct bs_packet p = answer();

	ck_assert_int_eq(bs_gate_ticket_answer_decode(&p, &a), BS_OK);
	ck_assert_uint_eq(a.status.code, BS_ST_PENDING);
	ck_assert_uint_eq(a.params.server_time_ms, f->w.unix_ms);
	ck_assert(bs_endpoint_equal(&a.eps[0], &h.from));
	memcpy(h.token[which], a.token, sizeof(h.token[which]));
	h.has_token[which] = true;
}

/** The status in the last answer of this type. */
static uint16_t status(uint8_t type)
{
	struct bs_status_text st;
	struct bs_packet p = answer();
	struct bs_payload pl;

	ck_assert_uint_eq(p.h.type, type);
	ck_assert(bs_payload_find(&p, BS_PL_STATUS, &pl));
	ck_assert_int_eq(bs_status_get(&pl, &st), BS_OK);
	return st.code;
}

/** A connection as a client with a ticket opens it. */
static uint64_t open_conn(const char *id, const char *attempt, uint32_t nsi)
{
	struct bs_message m;

	connect(id, attempt);
	if (!h.has_token[0]) {
		take_challenge(0);
		connect(id, attempt);
	}
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_CONNECT));
	m = *fake_sent(f, BS_MSG_CONNECT);
	fake_accept(f, &m, nsi);
	ck_assert_uint_eq(status(BS_TYPE_CONNECT), BS_ST_OK);
	fake_forget(f);
	return m.ref;
}

static void told(uint8_t kind)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_REVOKE;
	m.u.revoke.kind = kind;
	f->ops->message(f->g, &m);
	fake_pass(f, 10);
}

static void revoke_client(void)
{
	struct bs_store_request req = { .op = BS_STORE_REVOKE };

	req.u.revocation.kind = BS_REVOKE_CLIENT;
	req.u.revocation.identity_len = 15;
	snprintf(req.u.revocation.identity, sizeof(req.u.revocation.identity), "ann@example.org");
	ck_assert_int_eq(box_do(&f->box, &req).status, BS_OK);
}

static void set_client(uint8_t state)
{
	struct bs_store_request req = { .op = BS_STORE_CLIENT_UPDATE };

	snprintf(req.u.client.identity, sizeof(req.u.client.identity), "ann@example.org");
	req.u.client.state = state;
	ck_assert_int_eq(box_do(&f->box, &req).status, BS_OK);
}

START_TEST(a_client_connects_without_tls)
{
	struct bs_gate_connect_answer a;
	struct bs_message m;
	struct bs_packet p;

	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	connect("cam1.test", "ATTEMPT1");
	/* Nothing is begun for an address that is not proved. */
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	take_challenge(0);
	h.has_token[0] = false;
	connect_on(0, "cam1.test", "ATTEMPT1");
	take_challenge(1);
	h.has_token[0] = true;
	fake_pass(f, 30);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(f->n_udp, 0);
	m = *fake_sent(f, BS_MSG_CONNECT);
	/* Who it is comes from the ticket, where it is from the challenges. */
	ck_assert_uint_eq(m.number, fake_number(f, "cam1.test"));
	ck_assert_uint_eq(m.u.connect.client_id_len, 15);
	ck_assert_mem_eq(m.u.connect.client_id, "ann@example.org", 15);
	ck_assert_uint_eq(bs_endpoint_ip4(&m.u.connect.global), PUBLIC);
	ck_assert_uint_eq(m.u.connect.global.port, 40000);
	ck_assert_uint_eq(m.u.connect.nat_mapping, BS_NAT_INDEPENDENT);
	ck_assert_uint_eq(m.u.connect.rtt_ms, 30);
	fake_accept(f, &m, NSI);
	p = answer();
	ck_assert_int_eq(bs_gate_connect_answer_decode(&p, &a), BS_OK);
	ck_assert_uint_eq(a.status.code, BS_ST_OK);
	ck_assert_uint_eq(a.h.sp, NSI);
	ck_assert_uint_eq(a.h.seq, h.seq);
	ck_assert_uint_eq(a.key.key.b[0], 0xD5);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_connections), 1);
	bs_wipe(&a, sizeof(a));
}
END_TEST

START_TEST(the_fingerprint_of_the_key_is_that_of_the_certificate)
{
	struct bs_message over_tls, by_ticket;

	dude_open(&d, f);
	dude_connect(&d, "cam1.test", "ATTEMPT1");
	fake_pass(f, 150);
	over_tls = *fake_sent(f, BS_MSG_CONNECT);
	fake_forget(f);
	connect("cam1.test", "ATTEMPT2");
	take_challenge(0);
	connect("cam1.test", "ATTEMPT2");
	by_ticket = *fake_sent(f, BS_MSG_CONNECT);
	ck_assert_mem_eq(by_ticket.u.connect.fp, over_tls.u.connect.fp, BS_FP_LEN);
	ck_assert_mem_eq(by_ticket.u.connect.ca_fp, over_tls.u.connect.ca_fp, 32);
	ck_assert_uint_eq(by_ticket.u.connect.client_hash, over_tls.u.connect.client_hash);
}
END_TEST

START_TEST(an_answer_that_was_lost_comes_again)
{
	uint8_t first[1536];
	size_t len;

	open_conn("cam1.test", "ATTEMPT1", NSI);
	len = f->udp.len;
	memcpy(first, f->udp.data, len);
	/* Another number, another seal, the same attempt. */
	connect("cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(f->n_udp, 1);
	ck_assert_uint_eq(f->udp.len, len);
	ck_assert_mem_eq(f->udp.data, first, len);
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	ck_assert_uint_eq(f->g->conns.used, 1);
	/* Not for ever: then it is an attempt like any other, and the holder knows it. */
	h.has_token[0] = false;
	fake_pass(f, 11000);
	for (int i = 0; i < 100; i++)
		fake_pass(f, 10);
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_CONNECT));
}
END_TEST

START_TEST(a_repeated_request_is_one_attempt_with_one_answer)
{
	struct bs_message m;

	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	for (int i = 0; i < 5; i++) {
		h.seq = 7;
		connect("cam1.test", "ATTEMPT1");
	}
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_CONNECT), 1);
	m = *fake_sent(f, BS_MSG_CONNECT);
	f->n_udp = 0;
	fake_accept(f, &m, NSI);
	ck_assert_uint_eq(f->n_udp, 1);
}
END_TEST

START_TEST(a_copy_of_a_packet_is_dropped)
{
	open_conn("cam1.test", "ATTEMPT1", NSI);
	send_to(1);
	ck_assert_uint_eq(f->n_udp, 0);
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_repeated), 1);
	/* The first one, without a challenge, is no better. */
	h.has_token[0] = false;
	connect("cam1.test", "ATTEMPT2");
	ck_assert_uint_eq(f->n_udp, 1);
	send_to(1);
	ck_assert_uint_eq(f->n_udp, 0);
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_repeated), 2);
}
END_TEST

START_TEST(a_copy_from_elsewhere_gets_nothing)
{
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	h.stamp_ms = f->w.unix_ms;
	connect("cam1.test", "ATTEMPT1");
	fake_forget(f);
	bs_endpoint_set_ip4(&h.from, 0xC6336401, 40000);
	send_to(1);
	ck_assert_uint_eq(f->n_udp, 0);
	/* And with a seal of its own, a challenge for the new address. */
	connect("cam1.test", "ATTEMPT2");
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	take_challenge(0);
	connect("cam1.test", "ATTEMPT2");
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_CONNECT));
}
END_TEST

START_TEST(another_port_is_another_address)
{
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	h.from.port++;
	connect("cam1.test", "ATTEMPT1");
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	take_challenge(0);
}
END_TEST

START_TEST(a_challenge_grows_old)
{
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	fake_pass(f, 60001);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	take_challenge(0);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_CONNECT));
}
END_TEST

START_TEST(stamps_must_be_of_now)
{
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	const struct {
		int64_t off_ms;
		bool asks;
		bool good;
	} rows[] = {
		{ -30000, false, true }, { -30001, false, false }, { 1, false, false },
		{ 30000, true, true },   { 30001, true, false },   { -30001, true, false },
	};

	fake_pass(f, 40000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		h.has_token[0] = !rows[i].asks;
		h.stamp_ms = f->w.unix_ms + (uint64_t)rows[i].off_ms;
		fake_forget(f);
		connect("cam2.test", "ATTEMPT2");
		ck_assert_msg((fake_sent(f, BS_MSG_CONNECT) || f->n_udp == 1) ==
				      (rows[i].good && (rows[i].asks || i == 0)),
			      "row %zu", i);
		if (rows[i].good && rows[i].asks)
			take_challenge(1);
	}
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_stamp), 4);
}
END_TEST

START_TEST(what_was_sealed_before_the_process_began_opens_nothing)
{
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	h.stamp_ms = f->g->tickets->start_ms - 1;
	connect("cam1.test", "ATTEMPT1");
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_stamp), 1);
	h.stamp_ms = f->g->tickets->start_ms;
	connect("cam1.test", "ATTEMPT1");
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_CONNECT));
}
END_TEST

START_TEST(a_forged_byte_anywhere_gets_no_answer)
{
	uint8_t good[BS_TICKET_PACKET_MAX];
	struct bs_sealed s;
	struct bs_packet p;
	size_t end;

	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	connect("cam1.test", "ATTEMPT1");
	fake_forget(f);
	/* One that was not delivered yet. */
	fake_pass(f, 1000);
	h.seq = 99;
	connect_on(1, "cam2.test", "ATTEMPT2");
	fake_forget(f);
	memcpy(good, h.pkt, h.len);
	ck_assert_int_eq(bs_packet_decode(good, h.len, &p), BS_OK);
	ck_assert_int_eq(bs_sealed_decode(&p, &s), BS_OK);
	end = s.text_off + s.text_len + BS_SEALED_TAG_LEN;
	for (size_t i = 0; i < end; i++) {
		memcpy(h.pkt, good, h.len);
		h.pkt[i] ^= 0x01;
		if (bs_packet_decode(h.pkt, h.len, &p) != BS_OK)
			continue;
		f->n_udp = 0;
		f->ops->ticket(f->g, &p, &h.from, 1, &f->w.socket[1].ep);
		ck_assert_msg(f->n_udp == 0, "byte %zu", i);
		ck_assert_msg(!fake_sent(f, BS_MSG_CONNECT), "byte %zu", i);
		fake_pass(f, 10);
	}
	ck_assert_uint_gt(fake_count(f, BS_C_ticket_forged), 100);
	ck_assert_uint_gt(fake_count(f, BS_C_ticket_malformed), 250);
}
END_TEST

START_TEST(a_short_or_cut_packet_gets_no_answer)
{
	struct bs_packet p;

	connect("cam1.test", "ATTEMPT1");
	for (size_t len = BS_HEADER_MIN; len < h.len; len++) {
		bs_put_u16(h.pkt + 14, (uint16_t)len);
		f->n_udp = 0;
		if (bs_packet_decode(h.pkt, len, &p) == BS_OK)
			f->ops->ticket(f->g, &p, &h.from, 1, &f->w.socket[1].ep);
		ck_assert_uint_eq(f->n_udp, 0);
	}
}
END_TEST

START_TEST(no_answer_is_longer_than_a_request)
{
	struct bs_gate_connect_answer a;
	uint8_t buf[BS_GATE_PACKET_MAX], gw[BS_GW_DATA_LEN] = { 0 };
	char text[BS_STATUS_TEXT_MAX];
	bs_ssize n;

	/* The longest that there can be, sealed. */
	memset(&a, 0, sizeof(a));
	memset(text, 'x', sizeof(text));
	a.status.code = BS_ST_OK;
	a.ipx.has_nsi = a.ipx.has_full = true;
	a.key.suite = BS_SUITE_AES_GCM;
	a.key.has_key = true;
	a.n_eps = BS_GATE_EPS_MAX;
	for (size_t i = 0; i < a.n_eps; i++)
		a.eps[i] = (struct bs_ep6){ .ep = h.from, .kind = BS_EP6_HOST };
	a.gw = (struct bs_slice){ gw, sizeof(gw) };
	a.has_ext = true;
	a.params.has = BS_PARAM_BIT(BS_PARAM_TACTICS);
	n = bs_gate_connect_answer_encode(&a, buf, sizeof(buf));
	ck_assert_int_gt(n, 400);
	ck_assert_int_le(n + (int)(BS_HEADER_MIN + 4 + BS_SEALED_EXTRA), BS_TICKET_REQUEST_MIN);
}
END_TEST

START_TEST(a_revoked_client_has_no_ticket_any_more)
{
	open_conn("cam1.test", "ATTEMPT1", NSI);
	revoke_client();
	connect("cam2.test", "ATTEMPT2");
	ck_assert_uint_eq(status(BS_TYPE_ERROR), BS_ST_CLIENT_CERT);
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_revoked), 1);
}
END_TEST

START_TEST(a_revocation_ends_its_connections_and_says_so_three_times)
{
	struct bs_gate_event e;
	struct bs_packet p;

	open_conn("cam1.test", "ATTEMPT1", NSI);
	revoke_client();
	f->n_udp = 0;
	told(BS_MSG_REVOKE_CLIENT);
	ck_assert_uint_eq(fake_sent(f, BS_MSG_DISCONNECT)->u.conn.nsi, NSI);
	ck_assert_uint_ge(f->n_udp, 1);
	p = answer();
	ck_assert_int_eq(bs_gate_event_decode(&p, &e), BS_OK);
	ck_assert_uint_eq(e.h.sp, NSI);
	ck_assert_uint_eq(e.status.code, BS_ST_REFUSED);
	for (int i = 0; i < 99; i++)
		fake_pass(f, 10);
	ck_assert_uint_eq(f->n_udp, 1);
	for (int i = 0; i < 36; i++)
		fake_pass(f, 1000);
	ck_assert_uint_eq(f->n_udp, BS_CHANNEL_EVENT_SENDS);
	/* And then nothing is left of it. */
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
}
END_TEST

static void ping(void)
{
	struct bs_gate_head head = { h.cp, 0, ++h.seq };
	uint8_t buf[256];
	bs_ssize n = bs_gate_ping_encode(&head, false, buf, sizeof(buf));

	seal(buf, (size_t)n);
	send_to(1);
}

/* All three were lost: the PING that keeps the way open brings it once more, although the ticket
 * is void, wherever the client is now. */
START_TEST(a_ping_brings_what_was_missed)
{
	struct bs_gate_event e;
	struct bs_packet p;

	open_conn("cam1.test", "ATTEMPT1", NSI);
	revoke_client();
	told(BS_MSG_REVOKE_CLIENT);
	for (int i = 0; i < 25; i++)
		fake_pass(f, 1000);
	/* at another address first: it proves that one as ever */
	h.from.port++;
	ping();
	take_challenge(0);
	ping();
	p = answer();
	ck_assert_int_eq(bs_gate_event_decode(&p, &e), BS_OK);
	ck_assert_uint_eq(e.h.sp, NSI);
	ck_assert_uint_eq(e.status.code, BS_ST_REFUSED);
	ck_assert_uint_eq(f->n_udp, 1);
	/* That is no way to make the server talk, and ends. */
	ping();
	ck_assert_uint_eq(status(BS_TYPE_ERROR), BS_ST_CLIENT_CERT);
	for (int i = 0; i < 11; i++)
		fake_pass(f, 1000);
	ping();
	ck_assert_uint_eq(status(BS_TYPE_ERROR), BS_ST_CLIENT_CERT);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
}
END_TEST

/* Two connections; then the right to the first of them is withdrawn. */
static void withdraw_right_to_cam1(void)
{
	struct bs_store_request req = { .op = BS_STORE_RULE_DELETE };

	open_conn("cam1.test", "ATTEMPT1", NSI);
	open_conn("cam2.test", "ATTEMPT2", NSI + 1);
	req.u.rule.id = rule;
	ck_assert_int_eq(box_do(&f->box, &req).status, BS_OK);
	told(BS_MSG_REVOKE_RULE);
}

/* The same where the ticket is good and one of two connections has ended. */
START_TEST(a_ping_of_a_good_ticket_too)
{
	withdraw_right_to_cam1();
	for (int i = 0; i < 20; i++)
		fake_pass(f, 1000);
	ping();
	/* the event, and the answer with a new challenge */
	ck_assert_uint_eq(f->n_udp, 2);
	ck_assert_uint_eq(answer().h.type, BS_TYPE_PING);
	for (int i = 0; i < 20; i++)
		fake_pass(f, 1000);
	ping();
	ck_assert_uint_eq(f->n_udp, 1);
}
END_TEST

/* More events than are kept, in one moment and later: the young ones replace the old. */
START_TEST(the_youngest_events_are_kept)
{
	uint32_t i;

	for (i = 0; i < 2 * BS_CHANNEL_EVENTS; i++) {
		char attempt[16];
		struct bs_message m = { .kind = BS_MSG_CONN_CLOSED };

		snprintf(attempt, sizeof(attempt), "ATTEMP%02u", (unsigned)i);
		m.ref = open_conn("cam1.test", attempt, NSI + i);
		m.u.conn.nsi = NSI + i;
		m.u.conn.status = BS_ST_CLOSED;
		f->ops->message(f->g, &m);
		for (int k = 0; k < 3; k++)
			fake_pass(f, 1000);
	}
	ping();
	ck_assert_uint_eq(f->n_udp, BS_CHANNEL_EVENTS + 1);
}
END_TEST

START_TEST(the_same_after_the_session_went_quiet)
{
	open_conn("cam1.test", "ATTEMPT1", NSI);
	fake_pass(f, 20000);
	fake_pass(f, 1000);
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_SESSION_GONE));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	revoke_client();
	f->n_udp = 0;
	told(BS_MSG_REVOKE_CLIENT);
	ck_assert_uint_eq(fake_sent(f, BS_MSG_DISCONNECT)->u.conn.nsi, NSI);
	ck_assert_uint_eq(status(BS_TYPE_EVENT), BS_ST_REFUSED);
	for (int i = 0; i < 36; i++)
		fake_pass(f, 1000);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
}
END_TEST

START_TEST(a_withdrawn_right_ends_what_it_allowed)
{
	withdraw_right_to_cam1();
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_DISCONNECT), 1);
	ck_assert_uint_eq(fake_sent(f, BS_MSG_DISCONNECT)->u.conn.nsi, NSI);
	/* The ticket is good for the rest, and no device answers otherwise than one that is not. */
	connect("cam1.test", "ATTEMPT3");
	ck_assert_uint_eq(status(BS_TYPE_CONNECT), BS_ST_REFUSED);
	connect("nosuch.test", "ATTEMPT4");
	ck_assert_uint_eq(status(BS_TYPE_CONNECT), BS_ST_REFUSED);
	fake_forget(f);
	connect("cam2.test", "ATTEMPT5");
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_CONNECT));
}
END_TEST

START_TEST(a_client_that_was_disabled_has_lost_its_tickets_for_good)
{
	ck_assert_int_eq(box_client(&f->box, "ann@example.org", NULL, NULL, "").status, BS_OK);
	dude_open(&d, f);
	get_ticket();
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	set_client(BS_RECORD_DISABLED);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(status(BS_TYPE_ERROR), BS_ST_CLIENT_CERT);
	set_client(BS_RECORD_ENABLED);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(status(BS_TYPE_ERROR), BS_ST_CLIENT_CERT);
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
}
END_TEST

START_TEST(a_revoked_certificate_takes_its_ticket_along)
{
	struct bs_store_request req = { .op = BS_STORE_REVOKE };
	const struct bs_tls_peer *who;

	dude_open(&d, f);
	who = &f->g->session[0].who;
	req.u.revocation.kind = BS_REVOKE_CERT;
	req.u.revocation.has_ca = true;
	memcpy(req.u.revocation.ca_fp, who->ca_fp, sizeof(req.u.revocation.ca_fp));
	memcpy(req.u.revocation.serial, who->serial, who->serial_len);
	req.u.revocation.serial_len = who->serial_len;
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	ck_assert_int_eq(box_do(&f->box, &req).status, BS_OK);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(status(BS_TYPE_ERROR), BS_ST_CLIENT_CERT);
}
END_TEST

START_TEST(a_ticket_lives_as_long_as_it_says)
{
	fake_pass(f, 86390u * 1000u);
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	fake_pass(f, 10000);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(status(BS_TYPE_ERROR), BS_ST_CLIENT_CERT);
	/* When its key is gone there is nothing to answer with. */
	fake_pass(f, 2u * 86400u * 1000u);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(f->n_udp, 0);
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_expired), 2);
}
END_TEST

START_TEST(with_the_switch_off_none_is_given_and_none_counts)
{
	const struct bs_header hd = {
		.nsi_cp = d.cp, .type = BS_TYPE_TICKET, .version = BS_WIRE_VERSION, .seq = 77
	};
	struct bs_writer w;
	uint8_t buf[64];

	ck_assert_int_eq(fake_reload(f, "connect-ticket-lifetime = 0s\n"), BS_OK);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(f->n_udp, 0);
	dude_open(&d, f);
	ck_assert(!(d.hello.params.has & BS_PARAM_BIT(BS_PARAM_TICKET_LIFE)));
	bs_packet_begin(&w, buf, sizeof(buf), &hd);
	dude_send(&d, buf, (size_t)bs_packet_finish(&w));
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_TICKET), BS_ST_CANNOT_ANSWER);
}
END_TEST

START_TEST(the_end_of_a_connection_is_told_by_ticket_too)
{
	const struct bs_gate_disconnect m = { .h = { h.cp, NSI, 200 } };
	uint8_t buf[64];
	bs_ssize n = bs_gate_disconnect_encode(&m, buf, sizeof(buf));

	open_conn("cam1.test", "ATTEMPT1", NSI);
	seal(buf, (size_t)n);
	send_to(1);
	ck_assert_uint_eq(status(BS_TYPE_DISCONNECT), BS_ST_OK);
	ck_assert_uint_eq(fake_sent(f, BS_MSG_DISCONNECT)->u.conn.nsi, NSI);
	ck_assert_uint_eq(f->g->conns.used, 0);
	/* Nothing is kept for it any more. */
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	seal(buf, (size_t)n);
	send_to(1);
	ck_assert_uint_eq(status(BS_TYPE_DISCONNECT), BS_ST_CLOSED);
}
END_TEST

START_TEST(a_ping_brings_a_new_challenge_and_moves_the_address)
{
	const struct bs_gate_head head = { h.cp, 0, 300 };
	uint8_t buf[64];
	bs_ssize n = bs_gate_ping_encode(&head, false, buf, sizeof(buf));
	const uint8_t *token;
	struct bs_packet p;
	size_t off = 0;

	open_conn("cam1.test", "ATTEMPT1", NSI);
	fake_pass(f, 50000);
	seal(buf, (size_t)n);
	send_to(1);
	p = answer();
	ck_assert_uint_eq(p.h.type, BS_TYPE_PING);
	token = bs_ticket_token_next(&p, &off);
	ck_assert_ptr_nonnull(token);
	memcpy(h.token[0], token, sizeof(h.token[0]));
	/* The old one would be too old by now. */
	fake_pass(f, 50000);
	seal(buf, (size_t)n);
	send_to(1);
	p = answer();
	ck_assert_uint_eq(p.h.type, BS_TYPE_PING);
}
END_TEST

START_TEST(other_requests_need_a_session)
{
	const struct bs_gate_list m = { .h = { h.cp, 0, 400 } };
	uint8_t buf[64];
	bs_ssize n = bs_gate_list_encode(&m, buf, sizeof(buf));

	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	seal(buf, (size_t)n);
	send_to(1);
	ck_assert_uint_eq(status(BS_TYPE_ERROR), BS_ST_MALFORMED);
}
END_TEST

START_TEST(one_client_cannot_take_the_whole_rate)
{
	unsigned answered = 0;

	for (int i = 0; i < 300; i++) {
		connect("cam1.test", "ATTEMPT1");
		answered += f->n_udp > 0;
	}
	ck_assert_uint_eq(answered, 200);
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_limited), 100);
}
END_TEST

START_TEST(copies_do_not_use_up_the_rate_of_a_client)
{
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	for (int i = 0; i < 300; i++)
		send_to(1);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_CONNECT));
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_repeated), 300);
}
END_TEST

START_TEST(the_filter_remembers_for_a_span_and_never_forgets_when_full)
{
	const uint8_t key[BS_SIPHASH_KEY_LEN] = { 1 };
	struct bs_ticket_filter t;
	uint32_t n = 0, i;

	ck_assert_int_eq(bs_ticket_filter_init(&t, 100, 1000, key, 50), BS_OK);
	/* Full: new ones are refused, old ones still known. */
	for (i = 0; bs_ticket_filter_take(&t, &i, sizeof(i), 60) == BS_OK; i++)
		n++;
	ck_assert_uint_ge(n, 100);
	ck_assert_int_eq(bs_ticket_filter_take(&t, &i, sizeof(i), 60), BS_EFULL);
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(bs_ticket_filter_take(&t, &i, sizeof(i), 1040), BS_EEXIST);
		ck_assert(bs_ticket_filter_has(&t, &i, sizeof(i), 1040));
	}
	/* In the next span there is room, and they are known all the same. */
	i = n;
	ck_assert_int_eq(bs_ticket_filter_take(&t, &i, sizeof(i), 1060), BS_OK);
	for (i = 0; i < n; i++)
		ck_assert_int_eq(bs_ticket_filter_take(&t, &i, sizeof(i), 2049), BS_EEXIST);
	i = 0;
	ck_assert_int_eq(bs_ticket_filter_take(&t, &i, sizeof(i), 2050), BS_OK);
	/* The last one of a span lives on through the next. */
	i = n;
	ck_assert_int_eq(bs_ticket_filter_take(&t, &i, sizeof(i), 2060), BS_EEXIST);
	ck_assert(!bs_ticket_filter_has(&t, &i, sizeof(i), 9000));
	bs_ticket_filter_fini(&t);
}
END_TEST

START_TEST(a_source_has_a_rate_whatever_it_sends)
{
	ck_assert_int_eq(fake_reload(f, "connect-ticket-rate = 10/s\n"), BS_OK);
	for (int i = 0; i < 100; i++) {
		connect("cam1.test", "ATTEMPT1");
		h.pkt[340] ^= 1; /* the copy is forged */
		send_to(1);
	}
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_limited), 180);
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_forged), 10);
}
END_TEST

START_TEST(sessions_of_tickets_end_by_themselves)
{
	struct bs_message m;

	for (uint32_t i = 0; i < 6; i++) {
		h.cp = 100 + i;
		h.has_token[0] = false;
		connect("cam1.test", "ATTEMPT1");
		take_challenge(0);
		connect("cam1.test", "ATTEMPT1");
		m = *fake_sent(f, BS_MSG_CONNECT);
		fake_refuse(f, &m, BS_ST_NOT_ATTACHED, BS_CR_OFFLINE);
		ck_assert_uint_eq(status(BS_TYPE_CONNECT), BS_ST_NOT_ATTACHED);
	}
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 6);
	for (int i = 0; i < 20; i++)
		fake_pass(f, 1000);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	ck_assert_uint_eq(f->g->tickets->sessions.used, 0);
	ck_assert_uint_eq(f->g->clients.used, 0);
}
END_TEST

START_TEST(a_draining_server_sends_to_tls)
{
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	f->ops->drain(f->g, 0);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(status(BS_TYPE_ERROR), BS_ST_DRAINING);
}
END_TEST

START_TEST(other_cas_make_a_ticket_void_unless_they_have_its_own)
{
	connect("cam1.test", "ATTEMPT1");
	take_challenge(0);
	/* The same CA, other limits: another mark, but the certificate still holds. */
	ck_assert_int_eq(fake_reload(f, "rsa-min-bits = 3072\n"), BS_OK);
	connect("cam1.test", "ATTEMPT1");
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_CONNECT));
	/* As if none of the CAs were the one that issued it. */
	f->g->tickets->key[0].known = f->g->tickets->key[1].known = false;
	f->g->tickets->base[0] ^= 1;
	connect("cam1.test", "ATTEMPT2");
	ck_assert_uint_eq(f->n_udp, 0);
	ck_assert_uint_eq(fake_count(f, BS_C_ticket_forged), 1);
}
END_TEST

Suite *bs_suite_gate_ticket(void)
{
	Suite *s = suite_create("gate_ticket");
	TCase *tc = tcase_create("ticket");

	/* Keys and certificates are made for each. */
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_client_connects_without_tls);
	tcase_add_test(tc, the_fingerprint_of_the_key_is_that_of_the_certificate);
	tcase_add_test(tc, an_answer_that_was_lost_comes_again);
	tcase_add_test(tc, a_repeated_request_is_one_attempt_with_one_answer);
	tcase_add_test(tc, a_copy_of_a_packet_is_dropped);
	tcase_add_test(tc, a_copy_from_elsewhere_gets_nothing);
	tcase_add_test(tc, another_port_is_another_address);
	tcase_add_test(tc, a_challenge_grows_old);
	tcase_add_test(tc, stamps_must_be_of_now);
	tcase_add_test(tc, what_was_sealed_before_the_process_began_opens_nothing);
	tcase_add_test(tc, a_forged_byte_anywhere_gets_no_answer);
	tcase_add_test(tc, a_short_or_cut_packet_gets_no_answer);
	tcase_add_test(tc, no_answer_is_longer_than_a_request);
	tcase_add_test(tc, a_revoked_client_has_no_ticket_any_more);
	tcase_add_test(tc, a_revocation_ends_its_connections_and_says_so_three_times);
	tcase_add_test(tc, a_ping_brings_what_was_missed);
	tcase_add_test(tc, a_ping_of_a_good_ticket_too);
	tcase_add_test(tc, the_youngest_events_are_kept);
	tcase_add_test(tc, the_same_after_the_session_went_quiet);
	tcase_add_test(tc, a_withdrawn_right_ends_what_it_allowed);
	tcase_add_test(tc, a_client_that_was_disabled_has_lost_its_tickets_for_good);
	tcase_add_test(tc, a_revoked_certificate_takes_its_ticket_along);
	tcase_add_test(tc, a_ticket_lives_as_long_as_it_says);
	tcase_add_test(tc, with_the_switch_off_none_is_given_and_none_counts);
	tcase_add_test(tc, the_end_of_a_connection_is_told_by_ticket_too);
	tcase_add_test(tc, a_ping_brings_a_new_challenge_and_moves_the_address);
	tcase_add_test(tc, other_requests_need_a_session);
	tcase_add_test(tc, one_client_cannot_take_the_whole_rate);
	tcase_add_test(tc, copies_do_not_use_up_the_rate_of_a_client);
	tcase_add_test(tc, the_filter_remembers_for_a_span_and_never_forgets_when_full);
	tcase_add_test(tc, a_source_has_a_rate_whatever_it_sends);
	tcase_add_test(tc, sessions_of_tickets_end_by_themselves);
	tcase_add_test(tc, a_draining_server_sends_to_tls);
	tcase_add_test(tc, other_cas_make_a_ticket_void_unless_they_have_its_own);
	suite_add_tcase(s, tc);
	return s;
}
