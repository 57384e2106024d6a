/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the local network: our two ends against each other, and against forgers. */
#include "proto/local_device.h"

#include "bench.h"
#include "proto/local_client.h"
#include "proto/pairing.h"
#include "support.h"

static const uint8_t key_id[BS_KEY_ID_LEN] = { 'k' };
static const uint8_t key[BS_PSK_LEN] = { 7 };
static const uint8_t fp[BS_FP_LEN] = { 0xF9 };

struct side {
	struct bench b;
	struct bs_local_device l;
	struct bs_local_conf conf;
	bool proves;
	struct bs_crypto crypto; /* the client's */
	struct bs_test_rng rng;
};

static struct side s;

static uint16_t on_key(void *app, const uint8_t *id, const struct bs_access *who,
		       struct bs_local_key *out)
{
	struct side *side = app;

	(void)who;
	if (memcmp(id, key_id, sizeof(key_id)) != 0)
		return BS_ST_KEY_ID;
	memcpy(out->psk, key, sizeof(key));
	out->proves_fingerprint = side->proves;
	return BS_ST_OK;
}

static void setup(void)
{
	memset(&s, 0, sizeof(s));
	bench_init(&s.b, "dev.local", NULL);
	s.proves = true;
	s.conf.port = BS_LOCAL_PORT;
	s.conf.allow = BS_LOCAL_DISCOVERY | BS_LOCAL_PSK | BS_LOCAL_PLAIN;
	s.conf.key = on_key;
	s.conf.app = &s;
	bench_start(&s.b);
	bs_local_device_init(&s.l, &s.b.d, &s.conf);
	s.rng.counter = 100;
	bs_small_crypto_init(&s.crypto, bs_test_rng_fill, &s.rng);
}

static void teardown(void)
{
	bench_fini(&s.b);
}

static struct bs_endpoint at(uint32_t ip, uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, ip, port);
	bs_endpoint_set_via(&ep, BS_VIA_LOCAL);
	return ep;
}

static int give(const void *pkt, size_t len, struct bs_endpoint from)
{
	uint8_t *copy = bs_test_copy(pkt, len);
	int err = bs_local_device_input(&s.l, copy, len, &from, s.b.now);

	free(copy);
	return err;
}

static size_t take(uint8_t *buf, struct bs_endpoint *to)
{
	size_t n = bs_local_device_output(&s.l, buf, BS_PACKET_SMALL, to);

	while (!n) {
		n = bs_device_output(&s.b.d, buf, BS_PACKET_SMALL, to, s.b.now);
		if (!n || bs_endpoint_via(to) == BS_VIA_LOCAL)
			break;
		n = 0;
	}
	return n;
}

/* A client that is about to connect from this address. */
static void begin(struct bs_local_connect *c, struct bs_endpoint *from, bool plain)
{
	struct bs_local_target t;

	memset(&t, 0, sizeof(t));
	t.ep = at(0xC0A80001, BS_LOCAL_PORT);
	bs_endpoint_set_via(&t.ep, 0);
	t.device = bs_test_text("dev.local");
	t.plain = plain;
	t.key_id = key_id;
	t.psk = key;
	t.fp = fp;
	t.client_id = bs_test_text("me");
	ck_assert_int_eq(bs_local_connect_start(c, &s.crypto, &t, s.b.now), BS_OK);
	ck_assert_uint_gt(from->port, 0);
}

/* One packet of the client to the device; its result. */
static int send_one(struct bs_local_connect *c, struct bs_endpoint from)
{
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint to;
	size_t n = bs_local_connect_output(c, buf, sizeof(buf), &to);

	ck_assert_uint_gt(n, 0);
	return give(buf, n, from);
}

/* One packet of the device to the client; BS_EAGAIN when there is none. */
static int answer_one(struct bs_local_connect *c)
{
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint to;
	struct bs_endpoint dev = c->ep;
	size_t n = take(buf, &to);

	return n ? bs_local_connect_input(c, buf, n, &dev, s.b.now) : BS_EAGAIN;
}

static int run(struct bs_local_connect *c, struct bs_endpoint from)
{
	int i;

	for (i = 0; i < 4 && c->send; i++) {
		(void)send_one(c, from);
		(void)answer_one(c);
	}
	return c->state;
}

static size_t live(void)
{
	return bs_device_n_live(&s.b.d);
}

START_TEST(only_neighbours_are_answered)
{
	static const uint8_t search[] = { 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, '*', 0 };
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint to;

	ck_assert_int_eq(give(search, sizeof(search), at(0x08080808, 5000)), BS_ESOURCE);
	ck_assert_uint_eq(take(buf, &to), 0);
	ck_assert_int_eq(give(search, sizeof(search), at(0x0A000005, 5000)), BS_OK);
	ck_assert_uint_gt(take(buf, &to), 0);
	s.conf.allow = BS_LOCAL_PSK;
	ck_assert_int_eq(give(search, sizeof(search), at(0x0A000005, 5000)), BS_ETYPE);
	ck_assert_uint_eq(take(buf, &to), 0);
}
END_TEST

START_TEST(a_flood_of_searches_gets_few_answers)
{
	static const uint8_t search[] = { 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, '*', 0 };
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint to;
	int answers = 0;
	int i;

	for (i = 0; i < 1000; i++) {
		(void)give(search, sizeof(search), at(0x0A000005, 5000));
		answers += take(buf, &to) > 0;
	}
	ck_assert_int_eq(answers, BS_LOCAL_BURST);
	s.b.now += BS_TIME_MS(BS_LOCAL_PACE_MS * 3);
	for (i = 0; i < 10; i++) {
		(void)give(search, sizeof(search), at(0x0A000005, 5000));
		answers += take(buf, &to) > 0;
	}
	ck_assert_int_eq(answers, BS_LOCAL_BURST + 3);
}
END_TEST

START_TEST(a_handshake_makes_a_connection)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	struct bs_local_connect c;
	struct bs_conn *conn = &s.b.conns[0].c;

	s.proves = _i;
	begin(&c, &me, false);
	ck_assert_int_eq(run(&c, me), BS_LOCAL_READY);
	ck_assert(live() == 1 && conn->state == BS_CONN_CONNECTING);
	ck_assert_int_eq(bs_conn_origin(conn), _i ? BS_ORIGIN_USER_KEY : BS_ORIGIN_SHARED_KEY);
	ck_assert(conn->has_fp && memcmp(conn->fp, fp, sizeof(fp)) == 0 && conn->async);
	ck_assert_uint_eq(bs_conn_client_id(conn).len, 2);
	ck_assert_mem_eq(conn->key.b, c.session.b, sizeof(c.session.b));
	ck_assert_ptr_eq(conn->suite, &bs_suite_aes_cbc);
	/* Nothing came: the slot is free again. */
	bench_run(&s.b, BS_CONN_FIRST_MS + 10);
	ck_assert_uint_eq(live(), 0);
}
END_TEST

START_TEST(repeats_do_no_harm)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	uint8_t first[BS_PACKET_SMALL], second[BS_PACKET_SMALL];
	struct bs_local_connect c;
	struct bs_endpoint to;
	size_t n;

	begin(&c, &me, false);
	ck_assert_int_eq(send_one(&c, me), BS_OK);
	n = take(first, &to);
	/* The same numbers under another IV, whatever the repeat says. */
	bs_local_connect_timeout(&c, s.b.now + BS_TIME_MS(BS_LOCAL_REPEAT_MS));
	ck_assert_int_eq(send_one(&c, me), BS_OK);
	ck_assert_uint_eq(take(second, &to), n);
	ck_assert_mem_eq(first, second, 16 + 17 + 36);
	ck_assert_mem_ne(first + 75, second + 75, 16);
	ck_assert_int_eq(bs_local_connect_input(&c, second, n, &c.ep, s.b.now), BS_OK);
	ck_assert_int_eq(send_one(&c, me), BS_OK);
	(void)take(first, &to); /* lost */
	bs_local_connect_timeout(&c, s.b.now + BS_TIME_MS(2 * BS_LOCAL_REPEAT_MS));
	ck_assert_int_eq(send_one(&c, me), BS_OK);
	ck_assert_int_eq(answer_one(&c), BS_OK);
	ck_assert_int_eq(c.state, BS_LOCAL_READY);
	ck_assert_uint_eq(live(), 1);
}
END_TEST

START_TEST(nothing_runs_before_the_verify)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	struct bs_local_connect c;
	struct bs_conn_send send = { 0 };
	struct bs_conn conn;
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_slice plain = { (const uint8_t *)"\0\0\0\0", 4 };
	bs_ssize n;

	begin(&c, &me, false);
	ck_assert_int_eq(send_one(&c, me), BS_OK);
	ck_assert_int_eq(answer_one(&c), BS_OK);
	bs_conn_init(&conn, BS_INITIATOR, c.sp, &c.session, &bs_suite_aes_cbc, s.b.now);
	conn.nsi_cp = c.cp;
	n = bs_conn_seal(&conn, &s.crypto, &send, plain, buf, sizeof(buf));
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(give(buf, (size_t)n, me), BS_EUNKNOWN);
	ck_assert(live() == 0 && s.b.rpc_calls == 0);
	ck_assert_int_eq(run(&c, me), BS_LOCAL_READY);
	ck_assert_int_eq(give(buf, (size_t)n, me), BS_OK);
	ck_assert_uint_eq(s.b.rpc_calls, 1);
	ck_assert_uint_eq(s.b.conns[0].c.path, BS_PATH_LOCAL);
}
END_TEST

START_TEST(aborts_count_from_their_own_address_only)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	struct bs_local_connect c;
	struct bs_local_connect copy;
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_SMALL];
	size_t n;

	begin(&c, &me, false);
	ck_assert_int_eq(send_one(&c, me), BS_OK);
	ck_assert_int_eq(answer_one(&c), BS_OK);
	copy = c;
	bs_local_connect_abort(&copy);
	n = bs_local_connect_output(&copy, buf, sizeof(buf), &to);
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(bs_local_connect_output(&copy, buf + n, 8, &to), 0);
	ck_assert_int_eq(give(buf, n, at(0xC0A80006, 5000)), BS_EUNKNOWN);
	ck_assert_int_eq(run(&c, me), BS_LOCAL_READY);
	/* Too late: it is verified. */
	ck_assert_int_eq(give(buf, n, me), BS_EUNKNOWN);
	ck_assert_uint_eq(live(), 1);
	begin(&c, &me, false);
	ck_assert_int_eq(send_one(&c, me), BS_OK);
	ck_assert_int_eq(answer_one(&c), BS_OK);
	copy = c;
	bs_local_connect_abort(&copy);
	n = bs_local_connect_output(&copy, buf, sizeof(buf), &to);
	ck_assert_int_eq(give(buf, n, me), BS_OK);
	ck_assert_int_eq(send_one(&c, me), BS_EUNKNOWN);
}
END_TEST

START_TEST(one_address_holds_two_handshakes)
{
	struct bs_local_connect c[3];
	uint16_t i;

	for (i = 0; i < 3; i++) {
		struct bs_endpoint me = at(0xC0A80005, (uint16_t)(5000 + i));

		begin(&c[i], &me, false);
		ck_assert_int_eq(send_one(&c[i], me), BS_OK);
		(void)answer_one(&c[i]);
	}
	ck_assert(c[1].state == BS_LOCAL_VERIFYING && c[2].state == BS_LOCAL_ASKING);
	ck_assert_uint_eq(c[2].status, BS_ST_BUSY);
	/* Others have their own share, and after a while this one has it again. */
	begin(&c[2], &(struct bs_endpoint){ .port = 1 }, false);
	ck_assert_int_eq(run(&c[2], at(0xC0A80006, 5000)), BS_LOCAL_READY);
	s.b.now += BS_TIME_MS(BS_LOCAL_HALF_MS);
	bs_local_device_timeout(&s.l, s.b.now);
	begin(&c[2], &(struct bs_endpoint){ .port = 1 }, false);
	ck_assert_int_eq(run(&c[2], at(0xC0A80005, 5009)), BS_LOCAL_READY);
}
END_TEST

START_TEST(guesses_of_a_shared_key_are_slow)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	struct bs_local_connect c;
	unsigned i;

	s.proves = _i;
	for (i = 0; i < BS_LOCAL_GUESSES + 1; i++) {
		s.b.now += BS_TIME_MS(100);
		begin(&c, &me, false);
		c.key.b[40] ^= 1;
		(void)run(&c, me);
		ck_assert_uint_eq(c.status,
				  i < BS_LOCAL_GUESSES || _i ? BS_ST_WRONG_KEY : BS_ST_BUSY);
	}
	/* The right one has to wait too; a random key cannot be guessed at. */
	begin(&c, &me, false);
	ck_assert_int_eq(run(&c, me), _i ? BS_LOCAL_READY : BS_LOCAL_ASKING);
	s.b.now += BS_TIME_MS(BS_LOCAL_GUESS_MS);
	begin(&c, &me, false);
	ck_assert_int_eq(run(&c, me), BS_LOCAL_READY);
}
END_TEST

START_TEST(a_replayed_handshake_ends_nowhere)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	uint8_t hello[BS_PACKET_SMALL], verify[BS_PACKET_SMALL], buf[BS_PACKET_SMALL];
	struct bs_local_connect c;
	struct bs_endpoint to;
	size_t n1, n2;

	begin(&c, &me, false);
	n1 = bs_local_connect_output(&c, hello, sizeof(hello), &to);
	ck_assert_int_eq(give(hello, n1, me), BS_OK);
	ck_assert_int_eq(answer_one(&c), BS_OK);
	n2 = bs_local_connect_output(&c, verify, sizeof(verify), &to);
	ck_assert_int_eq(give(verify, n2, me), BS_OK);
	(void)take(buf, &to);
	/* From the same place: it is over.  From another: new numbers, so the old proof is none. */
	ck_assert_int_eq(give(hello, n1, me), BS_EREPLAY);
	me = at(0xC0A80006, 5000);
	ck_assert_int_eq(give(hello, n1, me), BS_OK);
	ck_assert_uint_gt(take(buf, &to), 0);
	memcpy(verify + 4, buf + 4, 4);
	ck_assert_int_eq(give(verify, n2, me), BS_EMAC);
	ck_assert_uint_eq(live(), 1);
}
END_TEST

START_TEST(plain_connections_only_where_allowed)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	struct bs_local_connect c;

	s.conf.allow = BS_LOCAL_PSK;
	begin(&c, &me, true);
	ck_assert_int_eq(run(&c, me), BS_LOCAL_FAILED);
	ck_assert_uint_eq(c.status, BS_ST_ENCRYPTION);
	s.conf.allow = BS_LOCAL_PLAIN;
	begin(&c, &me, false);
	ck_assert_int_eq(send_one(&c, me), BS_ETYPE);
	s.b.access = BS_ST_REFUSED_DEVICE;
	begin(&c, &me, true);
	ck_assert_int_eq(run(&c, me), BS_LOCAL_FAILED);
	ck_assert_uint_eq(c.status, BS_ST_REFUSED_DEVICE);
	ck_assert(s.b.who.origin == BS_ORIGIN_PLAIN && !s.b.who.encrypted);
	s.b.access = BS_ST_OK;
	begin(&c, &me, true);
	ck_assert_int_eq(run(&c, me), BS_LOCAL_READY);
	ck_assert_int_eq(bs_conn_origin(&s.b.conns[0].c), BS_ORIGIN_PLAIN);
	ck_assert_ptr_eq(s.b.conns[0].c.suite, &bs_suite_null);
	ck_assert_uint_ge(c.sp, BS_LOCAL_NSI_CLIENT);
}
END_TEST

START_TEST(plain_slots_are_limited)
{
	struct bs_local_connect c;
	unsigned ready = 0;
	uint16_t i;

	for (i = 0; i < 3; i++) {
		struct bs_endpoint me = at(0xC0A80005, (uint16_t)(5000 + i));

		begin(&c, &me, true);
		ready += run(&c, me) == BS_LOCAL_READY;
	}
	ck_assert_uint_eq(ready, BS_LOCAL_PER_SOURCE);
	for (i = 0; i < 20; i++) {
		struct bs_endpoint me = at(0xC0A80010u + i, 5000);

		begin(&c, &me, true);
		ready += run(&c, me) == BS_LOCAL_READY;
	}
	/* Half of the slots stay for those who prove themselves. */
	ck_assert_uint_eq(ready, BENCH_CONNS / 2);
	ck_assert_uint_eq(live(), BENCH_CONNS / 2);
}
END_TEST

START_TEST(plain_requests_repeat_and_collide)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	struct bs_slice none = { NULL, 0 };
	uint8_t buf[BS_PACKET_SMALL], ans[BS_PACKET_SMALL];
	struct bs_connect_answer m;
	struct bs_endpoint to;
	struct bs_packet p;
	uint32_t nsi;
	bs_ssize n;
	size_t len;

	/* Without a number of its own a repeat still finds the first one. */
	n = bs_plain_request_encode(buf, sizeof(buf), 5000, 1, 0, none, NULL);
	ck_assert_int_eq(give(buf, (size_t)n, me), BS_OK);
	len = take(ans, &to);
	ck_assert_int_eq(bs_packet_decode(ans, len, &p), BS_OK);
	ck_assert_int_eq(bs_connect_answer_decode(&p, &m), BS_OK);
	nsi = m.nsi;
	ck_assert(nsi >= 100 && nsi <= 1000);
	ck_assert_int_eq(give(buf, (size_t)n, me), BS_OK);
	len = take(ans, &to);
	ck_assert_int_eq(bs_packet_decode(ans, len, &p), BS_OK);
	ck_assert_int_eq(bs_connect_answer_decode(&p, &m), BS_OK);
	ck_assert(m.nsi == nsi && live() == 1);
	/* A client's number that is a connection's, and numbers that are not for clients. */
	n = bs_plain_request_encode(buf, sizeof(buf), nsi, 1, 0, none, NULL);
	ck_assert_int_eq(give(buf, (size_t)n, at(0xC0A80006, 1)), BS_EFIELD);
	n = bs_plain_request_encode(buf, sizeof(buf), 6000, 1, 500, none, NULL);
	ck_assert_int_eq(give(buf, (size_t)n, at(0xC0A80006, 1)), BS_EFIELD);
	n = bs_plain_request_encode(buf, sizeof(buf), 6000, 1, 0x200000, none, NULL);
	ck_assert_int_eq(give(buf, (size_t)n, at(0xC0A80006, 1)), BS_OK);
	/* Somebody else cannot have it too. */
	ck_assert_int_eq(give(buf, (size_t)n, at(0xC0A80007, 1)), BS_EFIELD);
	ck_assert_uint_eq(live(), 2);
}
END_TEST

START_TEST(plain_connections_hold_to_their_address)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	struct bs_endpoint other = at(0xC0A80006, 5000);
	struct bs_endpoint outside = me;
	struct bs_conn_send send = { 0 };
	struct bs_slice plain = { (const uint8_t *)"\0\0\0\0", 4 };
	struct bs_local_connect c;
	struct bs_conn conn;
	uint8_t buf[BS_PACKET_SMALL];
	bs_ssize n;

	begin(&c, &me, true);
	ck_assert_int_eq(run(&c, me), BS_LOCAL_READY);
	bs_conn_init(&conn, BS_INITIATOR, c.sp, NULL, &bs_suite_null, s.b.now);
	conn.nsi_cp = c.cp;
	n = bs_conn_seal(&conn, &s.crypto, &send, plain, buf, sizeof(buf));
	ck_assert_int_eq(give(buf, (size_t)n, other), BS_ESOURCE);
	/* Nor through the socket that the world can reach. */
	bs_endpoint_set_via(&outside, 0);
	ck_assert_int_eq(bs_device_input(&s.b.d, buf, (size_t)n, &outside, s.b.now), BS_ESOURCE);
	ck_assert_uint_eq(s.b.rpc_calls, 0);
	ck_assert_int_eq(give(buf, (size_t)n, me), BS_OK);
	ck_assert_uint_eq(s.b.rpc_calls, 1);
}
END_TEST

START_TEST(the_basestation_has_no_say)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	struct bs_conn_send send = { 0 };
	struct bs_slice plain = { (const uint8_t *)"\0\0\0\0", 4 };
	struct bench_server server;
	struct bs_local_connect c;
	struct bs_key_block d = { { 1 } };
	struct bs_conn conn;
	struct bs_packet p;
	uint8_t buf[BS_PACKET_SMALL];
	bs_ssize n;

	bench_fini(&s.b);
	bench_init(&s.b, "dev.local", NULL);
	memset(&server, 0, sizeof(server));
	bench_attach(&s.b, &server);
	bs_local_device_init(&s.l, &s.b.d, &s.conf);
	begin(&c, &me, false);
	ck_assert_int_eq(run(&c, me), BS_LOCAL_READY);
	bs_conn_init(&conn, BS_INITIATOR, c.sp, &c.session, &bs_suite_aes_cbc, s.b.now);
	conn.nsi_cp = c.cp;
	n = bs_conn_seal(&conn, &s.crypto, &send, plain, buf, sizeof(buf));
	ck_assert_int_eq(give(buf, (size_t)n, me), BS_OK);
	ck_assert_uint_eq(s.b.opened, 1);
	bench_drain(&s.b);
	/* It is not told of the connection, and a connect of its own cannot take the number. */
	while (s.b.taken < s.b.n_out) {
		const struct bench_packet *o = bench_take(&s.b);

		ck_assert_int_eq(bs_packet_decode(o->bytes, o->len, &p), BS_OK);
		ck_assert_uint_ne(p.h.type, BS_TYPE_STATS);
	}
	ck_assert_int_eq(bench_connect(&s.b, &server, c.sp, BS_IPX_NO_RENDEZVOUS, &d), BS_OK);
	ck_assert_mem_eq(s.b.conns[0].c.key.b, c.session.b, sizeof(d.b));
	ck_assert_uint_eq(live(), 1);
}
END_TEST

/* ---- the client's machines */

START_TEST(a_search_asks_three_times)
{
	struct bs_endpoint target[2] = { at(0x7F000001, 5570), at(0xC0A800FF, 5570) };
	struct bs_endpoint to;
	struct bs_discovery d;
	uint8_t buf[64];
	bs_time now = BENCH_START;
	bs_time when;
	int rounds = 0;

	ck_assert_int_eq(bs_discovery_start(&d, 9, bs_test_text("*"), target, 2, now), BS_OK);
	while (d.running) {
		int sent = 0;

		while (bs_discovery_output(&d, buf, sizeof(buf), &to)) {
			ck_assert(bs_endpoint_equal(&to, &target[sent]));
			sent++;
		}
		ck_assert(sent == 2 || sent == 0);
		rounds += sent / 2;
		ck_assert(bs_discovery_next_timeout(&d, &when));
		now = when;
		bs_discovery_timeout(&d, now);
	}
	ck_assert_int_eq(rounds, BS_DISCOVERY_ROUNDS);
	ck_assert_uint_eq(now - BENCH_START, BS_TIME_MS(BS_DISCOVERY_MS));
	ck_assert(!bs_discovery_next_timeout(&d, &when));
	ck_assert_int_eq(bs_discovery_start(&d, 9, bs_test_text("No!"), target, 2, now), BS_EINVAL);
}
END_TEST

START_TEST(answers_are_told_once)
{
	struct bs_endpoint from = at(0xC0A80005, 5570);
	struct bs_discovery_answer m;
	struct bs_discovery_answer got;
	struct bs_discovery d;
	struct bs_endpoint ep;
	uint8_t buf[128];
	size_t n;
	int i;

	memset(&m, 0, sizeof(m));
	m.seq = 9;
	m.port = 7777;
	m.id = bs_test_text("dev.local");
	n = (size_t)bs_discovery_answer_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(bs_discovery_start(&d, 9, bs_test_text("*"), &from, 1, 0), BS_OK);
	ck_assert_int_eq(bs_discovery_input(&d, buf, n, &from, &got, &ep), BS_OK);
	ck_assert(ep.port == 7777 && got.id.len == 9);
	ck_assert_int_eq(bs_discovery_input(&d, buf, n, &from, &got, &ep), BS_EREPLAY);
	buf[7] = 8; /* the answer to somebody else's search */
	ck_assert_int_eq(bs_discovery_input(&d, buf, n, &from, &got, &ep), BS_EUNKNOWN);
	buf[7] = 9;
	/* The list is bounded; a flood of forged answers ends in it. */
	for (i = 1; i < BS_DISCOVERY_FOUND; i++) {
		bs_put_u16(buf + 16, (uint16_t)(1000 + i));
		ck_assert_int_eq(bs_discovery_input(&d, buf, n, &from, &got, &ep), BS_OK);
	}
	bs_put_u16(buf + 16, 999);
	ck_assert_int_eq(bs_discovery_input(&d, buf, n, &from, &got, &ep), BS_EFULL);
	ck_assert_int_eq(bs_discovery_start(&d, 9, bs_test_text("other"), &from, 1, 0), BS_OK);
	ck_assert_int_eq(bs_discovery_input(&d, buf, n, &from, &got, &ep), BS_EUNKNOWN);
}
END_TEST

START_TEST(a_client_repeats_and_gives_up)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	uint8_t first[BS_PACKET_SMALL], buf[BS_PACKET_SMALL];
	struct bs_local_connect c;
	struct bs_endpoint to;
	bs_time when;
	size_t sent = 0;
	size_t n;

	begin(&c, &me, _i);
	n = bs_local_connect_output(&c, first, sizeof(first), &to);
	while (bs_local_connect_next_timeout(&c, &when)) {
		bs_local_connect_timeout(&c, when);
		if (!bs_local_connect_output(&c, buf, sizeof(buf), &to))
			continue;
		sent++;
		/* The same numbers: it is the same attempt. */
		ck_assert_mem_eq(buf, first, _i ? n : 89);
	}
	ck_assert_uint_eq(sent, BS_LOCAL_LIMIT_MS / BS_LOCAL_REPEAT_MS - 1);
	ck_assert(c.state == BS_LOCAL_FAILED && c.status == 0);
}
END_TEST

START_TEST(a_client_hears_its_device_only)
{
	struct bs_endpoint me = at(0xC0A80005, 5000);
	struct bs_psk_notice m = { 0, 600, BS_TYPE_U_CONNECT_PSK,
				   BS_FLAG_RESPONSE | BS_FLAG_EXCEPTION, BS_ST_WRONG_KEY };
	struct bs_endpoint dev, other;
	struct bs_local_connect c;
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint to;
	size_t n, i;

	begin(&c, &me, false);
	dev = other = c.ep;
	other.port++;
	m.cp = c.cp;
	n = (size_t)bs_psk_notice_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(bs_local_connect_input(&c, buf, n, &other, s.b.now), BS_ESOURCE);
	m.cp++;
	n = (size_t)bs_psk_notice_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(bs_local_connect_input(&c, buf, n, &dev, s.b.now), BS_EUNKNOWN);
	/* An answer that does not know the key, at any byte. */
	ck_assert_int_eq(send_one(&c, me), BS_OK);
	n = take(buf, &to);
	for (i = 0; i < n; i++) {
		struct bs_local_connect copy = c;
		uint8_t *forged = bs_test_copy(buf, n);

		forged[i] ^= 0x10;
		ck_assert_int_lt(bs_local_connect_input(&copy, forged, n, &dev, s.b.now), 0);
		ck_assert_int_eq(copy.state, BS_LOCAL_ASKING);
		free(forged);
	}
	ck_assert_int_eq(bs_local_connect_input(&c, buf, n, &dev, s.b.now), BS_OK);
}
END_TEST

START_TEST(printed_secrets_are_read_kindly)
{
	struct bs_slice id = bs_test_text("dev.local");
	uint8_t a[BS_PSK_LEN], b[BS_PSK_LEN];
	uint8_t secret[BS_PAIR_SECRET_LEN] = { 5 };
	uint8_t pair[BS_PAIR_ID_LEN] = { 1, 2, 3 };
	uint8_t name[BS_KEY_ID_LEN], back[BS_PAIR_ID_LEN];
	char longest[80];

	ck_assert_int_eq(bs_pairing_psk(&s.crypto, id, bs_test_text("AB-cd 12"), a), BS_OK);
	ck_assert_int_eq(bs_pairing_psk(&s.crypto, id, bs_test_text("ABcd12"), b), BS_OK);
	ck_assert_mem_eq(a, b, sizeof(a));
	/* python3: pbkdf2_hmac("sha256", b"ABcd12", b"basestation pairingdev.local", 10000) */
	ck_assert_mem_eq(a, "\x08\x55\xde\xfc\xfd\x97\x75\x7f\xeb\x51\x85\x58\xab\x22\x91\xcc", 16);
	ck_assert_int_eq(
		bs_pairing_psk(&s.crypto, bs_test_text("dev.other"), bs_test_text("ABcd12"), b),
		BS_OK);
	ck_assert_mem_ne(a, b, sizeof(a));
	ck_assert_int_eq(bs_pairing_psk(&s.crypto, id, bs_test_text(" - "), b), BS_EINVAL);
	memset(longest, 'x', sizeof(longest));
	longest[65] = 0;
	ck_assert_int_eq(bs_pairing_psk(&s.crypto, id, bs_test_text(longest), b), BS_EINVAL);
	bs_pairing_user_key_id(pair, name);
	ck_assert(bs_pairing_user_id(name, back) && memcmp(back, pair, sizeof(pair)) == 0);
	ck_assert(!bs_pairing_user_id(bs_pairing_key_id, back));
	ck_assert_int_eq(bs_pairing_user_psk(&s.crypto, id, secret, a), BS_OK);
	/* python3: hmac(secret, b"localdev.local", sha256)[:16] */
	ck_assert_mem_eq(a, "\xf3\x94\xe4\xc6\xe2\xb8\x3e\xc2\xef\xc6\x14\x89\xc4\xaf\x6f\x7f", 16);
}
END_TEST

Suite *bs_suite_local_device(void);

Suite *bs_suite_local_device(void)
{
	Suite *suite = suite_create("local_device");
	TCase *tc = tcase_create("rules");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, only_neighbours_are_answered);
	tcase_add_test(tc, a_flood_of_searches_gets_few_answers);
	tcase_add_loop_test(tc, a_handshake_makes_a_connection, 0, 2);
	tcase_add_test(tc, repeats_do_no_harm);
	tcase_add_test(tc, nothing_runs_before_the_verify);
	tcase_add_test(tc, aborts_count_from_their_own_address_only);
	tcase_add_test(tc, one_address_holds_two_handshakes);
	tcase_add_loop_test(tc, guesses_of_a_shared_key_are_slow, 0, 2);
	tcase_add_test(tc, a_replayed_handshake_ends_nowhere);
	tcase_add_test(tc, plain_connections_only_where_allowed);
	tcase_add_test(tc, plain_slots_are_limited);
	tcase_add_test(tc, plain_requests_repeat_and_collide);
	tcase_add_test(tc, plain_connections_hold_to_their_address);
	tcase_add_test(tc, the_basestation_has_no_say);
	tcase_add_test(tc, a_search_asks_three_times);
	tcase_add_test(tc, answers_are_told_once);
	tcase_add_loop_test(tc, a_client_repeats_and_gives_up, 0, 2);
	tcase_add_test(tc, a_client_hears_its_device_only);
	tcase_add_test(tc, printed_secrets_are_read_kindly);
	suite_add_tcase(suite, tc);
	return suite;
}
