/* SPDX-License-Identifier: Apache-2.0 */
/* Connect tickets: got, kept, stored, used; the test plays the basestation on both ways. */
#include "crypto/gcm.h"
#include "proto/ticket.h"
#include "rig.h"

Suite *bs_suite_ticket(void);

#define NSI       0x42000017u
#define SERVER_MS 1767323045000u
#define LIFE_S    86400u

static struct rig r;
static struct told conn;
static struct bsc_conn *c;
static uint64_t wall_ms;
static struct bs_gcm *gcm;
static uint8_t secret[BS_TICKET_SECRET_LEN] = "the secret of a ticket, 32 bytes";
static uint8_t ticket[291];
static struct bs_endpoint attach, controller, self;

/** What was stored. */
static struct {
	int n;
	size_t len;
	uint8_t data[BSC_TICKET_MAX];
} saved;

/** The last datagram of the client, opened. */
static struct {
	struct bs_endpoint to;
	struct bs_sealed s;
	struct bs_packet p;
	size_t len;
	size_t n_tokens;
	uint8_t buf[BS_TICKET_PACKET_MAX];
} got;

static uint64_t unix_ms(void)
{
	return wall_ms;
}

static void on_save(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	saved.n++;
	saved.len = len;
	if (len > 0)
		memcpy(saved.data, data, len);
}

static void lend(struct rig *rig)
{
	rig->m.tools.cipher = (struct bs_ticket_cipher){ rig->m.crypto, bs_gcm_aead(), gcm };
	rig->m.tools.sha256 = bs_gcm_sha256;
	rig->m.tools.unix_ms = unix_ms;
	rig->m.set.ticket_save = on_save;
	memset(rig->m.key_fp, 0x11, sizeof rig->m.key_fp);
}

static void setup(void)
{
	static const uint8_t none[BS_GCM_KEY_LEN];

	gcm = bs_gcm_new(none);
	ck_assert_ptr_nonnull(gcm);
	rig_init(&r);
	lend(&r);
	memset(&conn, 0, sizeof conn);
	memset(&saved, 0, sizeof saved);
	memset(&got, 0, sizeof got);
	memset(ticket, 0x7e, sizeof ticket);
	bs_endpoint_set_ip4(&attach, 0xc0000201, 5562);
	bs_endpoint_set_ip4(&controller, 0xc0000201, 5566);
	bs_endpoint_set_ip4(&self, 0xcb007105, 40000);
	wall_ms = 5000;
	c = NULL;
}

static void teardown(void)
{
	rig_fini(&r);
	bs_gcm_free(gcm);
}

/** A session with a basestation that gives out tickets; r.last is the TICKET request. */
static void open_offering(void)
{
	struct bs_gate_hello_answer a = {
		.status = { .code = BS_ST_OK },
		.n_probes = 1,
		.node = { .port = 5571, .host = rig_text("node1.example") },
		.params = { .has = BS_PARAM_BIT(BS_PARAM_SERVER_TIME) |
				   BS_PARAM_BIT(BS_PARAM_TICKET_LIFE),
			    .server_time_ms = SERVER_MS,
			    .ticket_life_s = LIFE_S },
	};
	uint8_t buf[BS_GATE_PACKET_MAX];

	bsc__machine_open(&r.m, r.now);
	rig_up(&r);
	a.h = (struct bs_gate_head){ r.last.h.nsi_cp, 0x77000001, r.last.h.seq };
	a.probes[0] = attach;
	a.observed = self;
	rig_bytes(&r, buf, bs_gate_hello_answer_encode(&a, buf, sizeof buf));
}

static void give_ticket(void)
{
	struct bs_gate_ticket_answer a;
	uint8_t buf[BS_GATE_PACKET_MAX];

	memset(&a, 0, sizeof a);
	rig_expect(&r, BS_TYPE_TICKET);
	ck_assert_uint_eq(r.last.len, BS_HEADER_MIN);
	a.h = (struct bs_gate_head){ r.last.h.nsi_cp, 0, r.last.h.seq };
	a.status.code = BS_ST_OK;
	a.ticket = (struct bs_slice){ ticket, sizeof ticket };
	memcpy(a.token, secret, sizeof a.token);
	a.params.has = BS_PARAM_BIT(BS_PARAM_SERVER_TIME) | BS_PARAM_BIT(BS_PARAM_TICKET_LIFE);
	a.params.server_time_ms = SERVER_MS;
	a.params.ticket_life_s = LIFE_S;
	a.n_eps = 2;
	a.eps[0] = attach;
	a.eps[1] = controller;
	rig_bytes(&r, buf, bs_gate_ticket_answer_encode(&a, buf, sizeof buf));
}

/** A machine without a session that has a ticket. */
static void have_ticket(void)
{
	open_offering();
	give_ticket();
	r.m.set.reconnect = false;
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
	ck_assert(r.m.ticket.known);
}

static void begin(void)
{
	ck_assert_int_eq(bsc__link_new(&r.m, "dev1.example", NULL, rig_on_conn, &conn, r.now, &c),
			 BS_OK);
	rig_pass(&r, 0);
}

/** The next datagram, as the basestation sees it; false when there is none. */
static bool sent(void)
{
	size_t off = 0;
	size_t n = bsc__machine_datagram_out(&r.m, got.buf, sizeof got.buf, &got.to, r.now);
	const struct bs_ticket_cipher cipher = r.m.tools.cipher;
	struct bs_packet p;

	if (n == 0)
		return false;
	got.len = n;
	ck_assert_int_eq(bs_packet_decode(got.buf, n, &p), BS_OK);
	ck_assert_uint_eq(p.h.type, BS_TYPE_TICKET);
	ck_assert_uint_ge(n, BS_TICKET_REQUEST_MIN);
	ck_assert_int_eq(bs_sealed_decode(&p, &got.s), BS_OK);
	ck_assert_uint_eq(got.s.ticket.len, sizeof ticket);
	ck_assert_int_eq(bs_ticket_open(&cipher, secret, &got.s, got.buf, &got.p), BS_OK);
	for (got.n_tokens = 0; bs_ticket_token_next(&got.p, &off) != NULL;)
		got.n_tokens++;
	return true;
}

/** Give the machine a packet as the basestation seals it. */
static void reply(const struct bs_endpoint *from, const uint8_t *text, bs_ssize len)
{
	struct bs_sealed s = { .h = { got.s.h.cp, got.s.h.sp, got.s.h.seq },
			       .is_answer = true,
			       .stamp_ms = SERVER_MS };
	const struct bs_ticket_cipher cipher = r.m.tools.cipher;
	uint8_t buf[BS_TICKET_PACKET_MAX];
	bs_ssize n;

	ck_assert_int_gt(len, 0);
	n = bs_ticket_seal(&cipher, secret, &s, (struct bs_slice){ text, (size_t)len }, 0, buf,
			   sizeof buf);
	ck_assert_int_gt(n, 0);
	bsc__machine_datagram(&r.m, buf, (size_t)n, from, r.now);
}

static void challenge(const struct bs_endpoint *from, uint64_t server_ms)
{
	struct bs_gate_ticket_answer a;
	uint8_t buf[256];

	memset(&a, 0, sizeof a);
	a.h = (struct bs_gate_head){ got.s.h.cp, 0, got.s.h.seq };
	a.status.code = BS_ST_PENDING;
	memset(a.token, from->port & 0xff, sizeof a.token);
	a.params.has = BS_PARAM_BIT(BS_PARAM_SERVER_TIME);
	a.params.server_time_ms = server_ms;
	a.n_eps = 1;
	a.eps[0] = self;
	reply(from, buf, bs_gate_ticket_answer_encode(&a, buf, sizeof buf));
}

static void accept_it(void)
{
	struct bs_gate_connect_answer a;
	struct bs_payload at;
	uint8_t buf[1024];

	memset(&a, 0, sizeof a);
	a.h = (struct bs_gate_head){ got.s.h.cp, NSI, got.p.h.seq };
	a.status.code = BS_ST_OK;
	ck_assert(bs_payload_find(&got.p, BS_PL_ATTEMPT, &at));
	memcpy(a.attempt, at.data, sizeof a.attempt);
	a.ipx.has_nsi = a.ipx.has_full = true;
	a.ipx.nsi_sp = NSI;
	bs_endpoint_set_ip4(&a.ipx.global, 0xcb007150, 5700);
	a.key.suite = BS_SUITE_AES_CBC;
	a.key.has_key = true;
	memset(a.key.key.b, 0x33, sizeof a.key.key.b);
	reply(&attach, buf, bs_gate_connect_answer_encode(&a, buf, sizeof buf));
}

/** Up to the answer of the basestation. */
static void connect_by_ticket(void)
{
	begin();
	ck_assert(sent());
	challenge(&attach, SERVER_MS);
	challenge(&controller, SERVER_MS);
	rig_pass(&r, 0);
	while (sent() && got.n_tokens < 2)
		;
	ck_assert_uint_eq(got.n_tokens, 2);
	accept_it();
}

START_TEST(a_ticket_is_asked_for_where_it_is_offered)
{
	open_offering();
	give_ticket();
	ck_assert(r.m.ticket.known);
	ck_assert_int_eq(saved.n, 1);
	/* Not again in the next session: it is new. */
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	open_offering();
	ck_assert(!rig_sent(&r));
	/* But when half of its life is over. */
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	r.now += BS_TIME_MS((bs_time)LIFE_S * 500 + 1);
	open_offering();
	rig_expect(&r, BS_TYPE_TICKET);
}
END_TEST

START_TEST(it_is_not_where_it_is_not_wanted)
{
	r.m.set.no_tickets = true;
	open_offering();
	ck_assert(!rig_sent(&r));
	rig_fini(&r);
	rig_init(&r);
	lend(&r);
	rig_open(&r); /* a basestation that does not offer any */
	ck_assert(!rig_sent(&r));
}
END_TEST

START_TEST(a_refusal_is_no_harm)
{
	struct bs_gate_ticket_answer a;
	uint8_t buf[128];

	open_offering();
	rig_expect(&r, BS_TYPE_TICKET);
	memset(&a, 0, sizeof a);
	a.h = (struct bs_gate_head){ r.last.h.nsi_cp, 0, r.last.h.seq };
	a.status.code = BS_ST_CANNOT_ANSWER;
	rig_bytes(&r, buf, bs_gate_ticket_answer_encode(&a, buf, sizeof buf));
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPEN);
	ck_assert(!r.m.ticket.known);
	ck_assert_int_eq(saved.n, 0);
}
END_TEST

START_TEST(a_connect_goes_to_both_ports_and_then_to_one)
{
	uint16_t seq;

	have_ticket();
	begin();
	ck_assert(!r.m.want);
	ck_assert_int_eq(conn.step, BSC_ASKING);
	ck_assert(sent());
	ck_assert(bs_endpoint_equal(&got.to, &attach));
	ck_assert_uint_eq(got.p.h.type, BS_TYPE_CONNECT);
	ck_assert_uint_eq(got.n_tokens, 0);
	seq = got.p.h.seq;
	ck_assert(sent());
	ck_assert(bs_endpoint_equal(&got.to, &controller));
	ck_assert(!sent());
	challenge(&attach, SERVER_MS + 1000);
	rig_pass(&r, 0);
	ck_assert(!sent());
	challenge(&controller, SERVER_MS + 1000);
	rig_pass(&r, 0);
	ck_assert(sent());
	ck_assert(bs_endpoint_equal(&got.to, &attach));
	ck_assert_uint_eq(got.n_tokens, 2);
	ck_assert_uint_eq(got.p.h.seq, seq);
	/* By the server's clock, a little behind. */
	ck_assert_uint_eq(got.s.stamp_ms, SERVER_MS + 950);
	ck_assert(!sent());
	accept_it();
	ck_assert_int_eq(conn.step, BSC_PROBING);
	ck_assert(c->by_ticket);
	ck_assert(!r.m.want);
	ck_assert_uint_eq(r.m.n_reqs, 0);
	ck_assert(bs_endpoint_equal(&r.m.prober.observed, &self));
}
END_TEST

START_TEST(without_the_other_port_it_waits_a_moment_only)
{
	have_ticket();
	begin();
	ck_assert(sent());
	challenge(&attach, SERVER_MS);
	rig_pass(&r, 39);
	while (sent())
		ck_assert_uint_eq(got.n_tokens, 0);
	rig_pass(&r, 1);
	ck_assert(sent());
	ck_assert_uint_eq(got.n_tokens, 1);
}
END_TEST

START_TEST(a_request_is_repeated_sealed_anew)
{
	uint8_t nonce[BS_SEALED_NONCE_LEN], attempt[BS_ATTEMPT_LEN];
	struct bs_payload at;

	have_ticket();
	begin();
	ck_assert(sent());
	challenge(&attach, SERVER_MS);
	challenge(&controller, SERVER_MS);
	rig_pass(&r, 0);
	while (sent() && got.n_tokens < 2)
		;
	memcpy(nonce, got.buf + got.s.nonce_off, sizeof nonce);
	ck_assert(bs_payload_find(&got.p, BS_PL_ATTEMPT, &at));
	memcpy(attempt, at.data, sizeof attempt);
	rig_pass(&r, 399);
	ck_assert(!sent());
	rig_pass(&r, 1);
	ck_assert(sent());
	ck_assert_int_ne(memcmp(nonce, got.buf + got.s.nonce_off, sizeof nonce), 0);
	ck_assert(bs_payload_find(&got.p, BS_PL_ATTEMPT, &at));
	ck_assert_mem_eq(attempt, at.data, sizeof attempt);
	/* After the last one TLS has its turn. */
	for (int i = 0; i < 70 && !r.m.want; i++) {
		rig_pass(&r, 100);
		while (sent())
			;
	}
	ck_assert(r.m.want);
	ck_assert(!c->closed);
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_CONNECT);
	ck_assert(bs_payload_find(&r.last, BS_PL_ATTEMPT, &at));
	ck_assert_mem_eq(attempt, at.data, sizeof attempt);
}
END_TEST

START_TEST(silence_leads_to_tls_within_a_second)
{
	int n = 0;

	have_ticket();
	saved.n = 0;
	begin();
	for (int i = 0; i < 20 && !r.m.want; i++) {
		while (sent())
			n++;
		rig_pass(&r, 50);
	}
	ck_assert_int_eq(n, 6);
	ck_assert(r.m.want);
	/* It is forgotten, and not tried again soon. */
	ck_assert_int_eq(saved.n, 1);
	ck_assert_uint_eq(saved.len, 0);
	open_offering();
	rig_expect(&r, BS_TYPE_CONNECT);
	ck_assert(!rig_sent(&r));
}
END_TEST

START_TEST(an_error_leads_to_tls_at_once)
{
	struct bs_gate_error m;
	uint8_t buf[128];

	have_ticket();
	begin();
	ck_assert(sent());
	memset(&m, 0, sizeof m);
	m.h.cp = got.s.h.cp;
	m.status.code = BS_ST_CLIENT_CERT;
	reply(&attach, buf, bs_gate_error_encode(&m, buf, sizeof buf));
	ck_assert(r.m.want);
	ck_assert(!r.m.ticket.known);
	ck_assert(!c->closed);
	/* In that session a new one is asked for. */
	open_offering();
	rig_expect(&r, BS_TYPE_CONNECT);
	rig_expect(&r, BS_TYPE_TICKET);
}
END_TEST

START_TEST(a_refusal_of_the_connect_is_the_answer)
{
	struct bs_gate_connect_answer a;
	struct bs_payload at;
	uint8_t buf[256];

	have_ticket();
	begin();
	ck_assert(sent());
	challenge(&attach, SERVER_MS);
	memset(&a, 0, sizeof a);
	a.h = (struct bs_gate_head){ got.s.h.cp, 0, got.p.h.seq };
	a.status.code = BS_ST_REFUSED;
	ck_assert(bs_payload_find(&got.p, BS_PL_ATTEMPT, &at));
	memcpy(a.attempt, at.data, sizeof a.attempt);
	reply(&attach, buf, bs_gate_connect_answer_encode(&a, buf, sizeof buf));
	ck_assert(c->closed);
	ck_assert_uint_eq(conn.err.code, BS_ST_REFUSED);
	ck_assert(!r.m.want);
	ck_assert(r.m.ticket.known);
}
END_TEST

START_TEST(strangers_are_not_heard)
{
	const struct bs_gate_head h = { 0, 0, 0 };
	uint8_t good[BS_TICKET_SECRET_LEN], buf[BS_TICKET_PACKET_MAX];
	struct bs_endpoint other = attach;
	size_t n;

	have_ticket();
	begin();
	ck_assert(sent());
	/* From elsewhere. */
	other.port++;
	challenge(&other, SERVER_MS);
	/* Under another secret. */
	memcpy(good, secret, sizeof good);
	secret[0] ^= 1;
	challenge(&attach, SERVER_MS);
	memcpy(secret, good, sizeof good);
	/* In the clear. */
	n = (size_t)bs_gate_ping_encode(&h, true, buf, sizeof buf);
	buf[8] = BS_TYPE_TICKET;
	bsc__machine_datagram(&r.m, buf, n, &attach, r.now);
	/* Our own packet, sent back. */
	n = bsc__machine_datagram_out(&r.m, buf, sizeof buf, &other, r.now);
	ck_assert_uint_gt(n, 0);
	bsc__machine_datagram(&r.m, buf, n, &attach, r.now);
	ck_assert(!r.m.ticket.challenge[0].known);
	ck_assert(!c->closed);
}
END_TEST

START_TEST(the_end_is_told_by_ticket)
{
	struct bs_gate_disconnect d;
	uint8_t buf[64];
	bool told = false;

	have_ticket();
	connect_by_ticket();
	bsc__link_close(c, r.now);
	rig_pass(&r, 0);
	for (int i = 0; i < 50 && !told; i++) {
		size_t n = bsc__machine_datagram_out(&r.m, got.buf, sizeof got.buf, &got.to, r.now);

		if (n > 0 && got.buf[8] == BS_TYPE_TICKET) {
			struct bs_packet p;

			ck_assert_int_eq(bs_packet_decode(got.buf, n, &p), BS_OK);
			ck_assert_int_eq(bs_sealed_decode(&p, &got.s), BS_OK);
			ck_assert_int_eq(
				bs_ticket_open(&r.m.tools.cipher, secret, &got.s, got.buf, &got.p),
				BS_OK);
			told = got.p.h.type == BS_TYPE_DISCONNECT;
		}
	}
	ck_assert(told);
	ck_assert_int_eq(bs_gate_disconnect_decode(&got.p, &d), BS_OK);
	ck_assert_uint_eq(d.h.sp, NSI);
	d.status.code = BS_ST_OK;
	reply(&attach, buf, bs_gate_disconnect_encode(&d, buf, sizeof buf));
	ck_assert_uint_eq(r.m.n_reqs, 0);
	ck_assert(!r.m.want);
}
END_TEST

START_TEST(an_event_ends_the_connection_once)
{
	struct bs_gate_event e;
	uint8_t buf[128];

	have_ticket();
	connect_by_ticket();
	memset(&e, 0, sizeof e);
	e.h = (struct bs_gate_head){ got.s.h.cp, NSI, 0 };
	e.has_status = true;
	e.status.code = BS_ST_REFUSED;
	for (int i = 0; i < 3; i++)
		reply(&attach, buf, bs_gate_event_encode(&e, NULL, 0, buf, sizeof buf));
	ck_assert(c->closed);
	ck_assert_uint_eq(conn.err.code, BS_ST_REFUSED);
	/* About the session as a whole there is nothing to say. */
	e.h.sp = 0;
	e.status.code = BS_ST_DRAINING;
	reply(&attach, buf, bs_gate_event_encode(&e, NULL, 0, buf, sizeof buf));
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
}
END_TEST

START_TEST(pings_keep_the_way_open_and_the_challenge_young)
{
	const uint8_t fresh[BS_TICKET_SECRET_LEN] = { 0xEE };
	uint8_t buf[128];
	bs_ssize n = 0;
	bool pinged = false;

	have_ticket();
	connect_by_ticket();
	ck_assert_int_ge(BS_TIME_DIFF(r.m.ticket.ping_at, r.now), 0);
	ck_assert_int_le(BS_TIME_DIFF(r.m.ticket.ping_at, r.now), (bs_time_diff)BS_TIME_MS(25000));
	r.m.ticket.ping_at = r.now;
	rig_pass(&r, 0);
	while (!pinged && (n = (bs_ssize)bsc__machine_datagram_out(&r.m, got.buf, sizeof got.buf,
								   &got.to, r.now)) > 0)
		pinged = got.buf[8] == BS_TYPE_TICKET;
	ck_assert(pinged);
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(got.buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_sealed_decode(&p, &got.s), BS_OK);
	ck_assert_int_eq(bs_ticket_open(&r.m.tools.cipher, secret, &got.s, got.buf, &got.p), BS_OK);
	ck_assert_uint_eq(got.p.h.type, BS_TYPE_PING);
	const struct bs_gate_head h = { got.s.h.cp, 0, got.p.h.seq };

	n = bs_gate_ping_encode(&h, true, buf, sizeof buf);
	n = bs_ticket_token_add(buf, (size_t)n, sizeof buf, fresh);
	reply(&attach, buf, n);
	ck_assert_mem_eq(r.m.ticket.challenge[0].token, fresh, sizeof fresh);
}
END_TEST

START_TEST(a_second_connect_takes_one_round_trip)
{
	have_ticket();
	connect_by_ticket();
	bsc__link_close(c, r.now);
	rig_pass(&r, 10000);
	while (bsc__machine_datagram_out(&r.m, got.buf, sizeof got.buf, &got.to, r.now) > 0)
		;
	begin();
	while (sent() && got.p.h.type != BS_TYPE_CONNECT)
		;
	ck_assert_uint_eq(got.p.h.type, BS_TYPE_CONNECT);
	ck_assert_uint_eq(got.n_tokens, 2);
	accept_it();
	ck_assert_int_eq(conn.step, BSC_PROBING);
}
END_TEST

START_TEST(an_open_session_is_the_better_way)
{
	open_offering();
	give_ticket();
	begin();
	rig_expect(&r, BS_TYPE_CONNECT);
	ck_assert(!c->by_ticket);
}
END_TEST

START_TEST(an_old_ticket_is_not_used)
{
	have_ticket();
	r.now += BS_TIME_MS((bs_time)LIFE_S * 1000);
	begin();
	ck_assert(r.m.want);
	ck_assert(!c->by_ticket);
}
END_TEST

/** A second program with the same settings, which loads what the first one stored. */
static void restart(uint64_t later_ms)
{
	rig_fini(&r);
	rig_init(&r);
	lend(&r);
	r.now = BS_TIME_MS(77);
	wall_ms += later_ms;
	bsc__ticket_load(&r.m, saved.data, saved.len, r.now);
}

START_TEST(a_stored_ticket_serves_another_program)
{
	have_ticket();
	restart(3600000);
	ck_assert(r.m.ticket.known);
	/* The server's clock went on as ours did. */
	ck_assert_uint_eq(bsc__ticket_clock(&r.m.ticket, r.now), SERVER_MS + 3600000);
	connect_by_ticket();
	ck_assert_int_eq(conn.step, BSC_PROBING);
	ck_assert(bs_endpoint_equal(&r.m.gate, &r.m.ticket.gate));
	ck_assert_str_eq(r.m.host, "base.example");
}
END_TEST

START_TEST(a_record_of_another_is_left_alone)
{
	have_ticket();
	restart((uint64_t)LIFE_S * 1000);
	ck_assert(!r.m.ticket.known);
	wall_ms = 5000;
	restart(0);
	ck_assert(r.m.ticket.known);
	/* Another key, another server. */
	memset(&r.m.ticket, 0, sizeof r.m.ticket);
	r.m.key_fp[0] ^= 1;
	bsc__ticket_load(&r.m, saved.data, saved.len, r.now);
	ck_assert(!r.m.ticket.known);
	r.m.key_fp[0] ^= 1;
	r.m.set.port++;
	bsc__ticket_load(&r.m, saved.data, saved.len, r.now);
	ck_assert(!r.m.ticket.known);
	r.m.set.port--;
	bsc__ticket_load(&r.m, saved.data, saved.len, r.now);
	ck_assert(r.m.ticket.known);
}
END_TEST

START_TEST(a_damaged_record_is_none)
{
	have_ticket();
	for (size_t len = 0; len < saved.len; len++) {
		memset(&r.m.ticket, 0, sizeof r.m.ticket);
		bsc__ticket_load(&r.m, saved.data, len, r.now);
		ck_assert(!r.m.ticket.known);
	}
	saved.data[saved.len] = 0;
	bsc__ticket_load(&r.m, saved.data, saved.len + 1, r.now);
	ck_assert(!r.m.ticket.known);
}
END_TEST

START_TEST(the_loss_of_a_session_is_nothing_to_it)
{
	have_ticket();
	begin();
	ck_assert(sent());
	/* Something else wants a session meanwhile, and does not get it. */
	ck_assert_int_eq(bsc__request_list(&r.m, NULL, NULL, r.now), BS_OK);
	ck_assert(r.m.want);
	rig_down(&r, BS_EUNREACH, BSC_TCP_REFUSED);
	ck_assert(!c->closed);
	challenge(&attach, SERVER_MS);
	challenge(&controller, SERVER_MS);
	rig_pass(&r, 0);
	while (sent() && got.n_tokens < 2)
		;
	accept_it();
	ck_assert_int_eq(conn.step, BSC_PROBING);
}
END_TEST

Suite *bs_suite_ticket(void)
{
	Suite *s = suite_create("ticket");
	TCase *tc = tcase_create("ticket");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_ticket_is_asked_for_where_it_is_offered);
	tcase_add_test(tc, it_is_not_where_it_is_not_wanted);
	tcase_add_test(tc, a_refusal_is_no_harm);
	tcase_add_test(tc, a_connect_goes_to_both_ports_and_then_to_one);
	tcase_add_test(tc, without_the_other_port_it_waits_a_moment_only);
	tcase_add_test(tc, a_request_is_repeated_sealed_anew);
	tcase_add_test(tc, silence_leads_to_tls_within_a_second);
	tcase_add_test(tc, an_error_leads_to_tls_at_once);
	tcase_add_test(tc, a_refusal_of_the_connect_is_the_answer);
	tcase_add_test(tc, strangers_are_not_heard);
	tcase_add_test(tc, the_end_is_told_by_ticket);
	tcase_add_test(tc, an_event_ends_the_connection_once);
	tcase_add_test(tc, pings_keep_the_way_open_and_the_challenge_young);
	tcase_add_test(tc, a_second_connect_takes_one_round_trip);
	tcase_add_test(tc, an_open_session_is_the_better_way);
	tcase_add_test(tc, an_old_ticket_is_not_used);
	tcase_add_test(tc, a_stored_ticket_serves_another_program);
	tcase_add_test(tc, a_record_of_another_is_left_alone);
	tcase_add_test(tc, a_damaged_record_is_none);
	tcase_add_test(tc, the_loss_of_a_session_is_nothing_to_it);
	suite_add_tcase(s, tc);
	return s;
}
