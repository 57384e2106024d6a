/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_path.c - several ways to one device: a relay carries data while a direct way is searched,
 * a proven direct way takes over, and the relay has the data again when that dies.
 */
#include "bench.h"
#include "proto/peer.h"
#include "proto/search_device.h"
#include "wire/connect.h"
#include "wire/search.h"

#define NSI        UINT32_C(0x20000001)
#define RELAY      45000
#define RELAY_TCP  45001
#define RELAY_WAIT 300u

struct net {
	struct bench b;
	struct bench_server s;
	struct bs_peer p;
	struct bs_crypto crypto;
	struct bs_test_rng rng;
	struct bs_key_block key;
	uint8_t events;
	bool direct;             /* packets of the direct way arrive */
	bool relay;              /* and those of the relay */
	struct bs_endpoint self; /* where the device sees the client */
	size_t asked;            /* rendezvous packets of the device to the client */
	size_t sent;             /* packets of the client, by way */
	size_t sent_relay;
};

struct result {
	int err;
	size_t n;
};

static struct net *n;
static const uint8_t request[] = { 0, 0, 0, 9, 1, 2, 3 };

static void on_done(void *app, struct bs_rpc_call *call, int err, uint32_t exception,
		    struct bs_slice reply)
{
	struct result *r = app;

	(void)call;
	(void)exception;
	(void)reply;
	r->err = err;
	r->n++;
}

static struct bs_endpoint relay_ep(void)
{
	return bench_local(RELAY);
}

static void to_device(const uint8_t *buf, size_t len, const struct bs_endpoint *to)
{
	struct bs_endpoint dev = bench_local(BENCH_DEV);
	struct bs_endpoint relay = relay_ep();
	struct bs_endpoint gsp = bench_local(BENCH_GSP);

	n->sent++;
	if (bs_endpoint_equal(to, &relay)) {
		n->sent_relay++;
		if (n->relay)
			bench_input(&n->b, buf, len, &gsp);
	} else if (bs_endpoint_equal(to, &dev) && n->direct) {
		bench_input(&n->b, buf, len, &n->self);
	}
}

static void to_client(const struct bench_packet *o)
{
	struct bs_endpoint dev = bench_local(BENCH_DEV);
	struct bs_endpoint relay = relay_ep();
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	uint8_t buf[BS_PACKET_MAX];

	memcpy(buf, o->bytes, o->len);
	if (bs_endpoint_equal(&o->to, &n->self)) {
		n->asked += buf[8] == BS_TYPE_U_CONNECT;
		if (n->direct)
			bs_peer_input(&n->p, buf, o->len, &dev, n->b.now);
	} else if (bs_endpoint_equal(&o->to, &gsp) && buf[8] == BS_TYPE_DATA && n->relay) {
		bs_peer_input(&n->p, buf, o->len, &relay, n->b.now);
	}
}

static void carry(void)
{
	const struct bench_packet *o;
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_MAX];
	bool busy = true;
	size_t len;

	while (busy) {
		busy = false;
		while ((len = bs_peer_output(&n->p, buf, sizeof(buf), &to, n->b.now)) > 0) {
			busy = true;
			to_device(buf, len, &to);
		}
		while ((o = bench_take(&n->b)) != NULL) {
			busy = true;
			to_client(o);
		}
		n->events |= bs_peer_take_events(&n->p);
		n->b.n_out = 0;
		n->b.taken = 0;
	}
}

/* Let time pass for both. */
static void pass(uint32_t ms)
{
	bs_time end = n->b.now + BS_TIME_MS(ms);
	size_t steps = 0;
	bs_time at;
	bs_time t;

	for (;;) {
		ck_assert_uint_lt(steps++, 100000);
		at = end;
		if (bs_device_next_timeout(&n->b.d, &t) && BS_TIME_DIFF(t, at) < 0)
			at = t;
		if (bs_peer_next_timeout(&n->p, &t) && BS_TIME_DIFF(t, at) < 0)
			at = t;
		if (BS_TIME_DIFF(at, n->b.now) > 0)
			n->b.now = at;
		bs_device_timeout(&n->b.d, n->b.now);
		bench_drain(&n->b);
		bs_peer_timeout(&n->p, n->b.now);
		carry();
		if (BS_TIME_DIFF(at, end) >= 0)
			return;
	}
}

/* A call must end well within so many ms. */
static void call_works(uint32_t ms)
{
	struct bs_rpc_call call;
	struct result r = { 0, 0 };

	memset(&call, 0, sizeof(call));
	call.request.ptr = request;
	call.request.len = sizeof(request);
	call.done = on_done;
	call.app = &r;
	ck_assert_int_eq(bs_peer_call(&n->p, &call, n->b.now), BS_OK);
	pass(ms);
	ck_assert_uint_eq(r.n, 1);
	ck_assert_int_eq(r.err, BS_OK);
}

static void begin(uint32_t ext, uint32_t pace_ms, uint32_t interval_ms)
{
	struct bs_endpoint dev = bench_local(BENCH_DEV);
	struct bs_peer_conf conf;

	n->b.conf.ext_offer = ext;
	n->s.has_ext = ext != 0;
	n->s.ext = ext;
	bench_attach(&n->b, &n->s);
	ck_assert_int_eq(bench_connect(&n->b, &n->s, NSI, BS_IPX_ASYNC, &n->key), BS_OK);
	memset(&conf, 0, sizeof(conf));
	conf.crypto = &n->crypto;
	conf.key = n->key;
	conf.suite = &bs_suite_aes_cbc;
	conf.nsi_sp = NSI;
	conf.nsi_cp = 0x1234;
	conf.relay_wait_ms = RELAY_WAIT;
	conf.can_ask = (ext & BS_EXT_PATH) != 0;
	conf.global = n->self;
	conf.pace_ms = pace_ms;
	conf.interval_ms = interval_ms;
	ck_assert_int_eq(bs_peer_init(&n->p, &conf, n->b.now), BS_OK);
	ck_assert_int_eq(bs_peer_add_candidate(&n->p, &dev, BS_CANDIDATE_OBSERVED), BS_OK);
	bs_peer_start(&n->p, n->b.now);
}

static void add_relay(void)
{
	struct bs_endpoint relay = relay_ep();

	ck_assert_int_eq(bs_peer_add_path(&n->p, &relay, BS_PATH_UDP_RELAY, n->b.now), BS_OK);
}

static void setup(void)
{
	n = calloc(1, sizeof(*n));
	ck_assert_ptr_nonnull(n);
	memset(n->key.b, 0x77, sizeof(n->key.b));
	memset(n->key.b + 48, 0x78, 48);
	bench_init(&n->b, "dev.test", NULL);
	bs_small_crypto_init(&n->crypto, bs_test_rng_fill, &n->rng);
	/* bench_connect tells the device this one as the client's global endpoint. */
	n->self = bench_local(BENCH_PEER + 1);
	n->relay = true;
}

static void teardown(void)
{
	bs_peer_fini(&n->p);
	bench_fini(&n->b);
	free(n);
}

/* Open over the relay, with no direct way. */
static void open_relayed(uint32_t ext)
{
	begin(ext, 0, 5000);
	add_relay();
	pass(RELAY_WAIT - 10);
	ck_assert_uint_eq(n->sent_relay, 0);
	pass(30);
	ck_assert_int_eq(n->p.conn.state, BS_CONN_OPEN);
	ck_assert_int_eq(n->p.conn.path, BS_PATH_UDP_RELAY);
	call_works(20);
}

START_TEST(test_relay_has_the_data_meanwhile)
{
	open_relayed(0);
	ck_assert_int_eq(n->b.conns[0].c.path, BS_PATH_UDP_RELAY);
	/* The search goes on, and what opens takes over without a word of the owner. */
	n->direct = true;
	n->events = 0;
	pass(3000);
	ck_assert_int_eq(n->p.conn.path, BS_PATH_DIRECT);
	ck_assert_int_eq(n->b.conns[0].c.path, BS_PATH_DIRECT);
	ck_assert(n->events & BS_PEER_EV_PATH);
	n->sent_relay = 0;
	call_works(20);
	pass(20000);
	ck_assert_uint_eq(n->sent_relay, 0);
}
END_TEST

START_TEST(test_relay_has_it_again)
{
	begin(0, 0, 5000);
	add_relay();
	n->direct = true;
	pass(100);
	ck_assert_int_eq(n->p.conn.path, BS_PATH_DIRECT);
	ck_assert_uint_eq(n->sent_relay, 0);
	n->direct = false;
	/* With a query under way the silence is noticed soon. */
	call_works(5000);
	ck_assert_int_eq(n->p.conn.path, BS_PATH_UDP_RELAY);
	/* And back. */
	n->direct = true;
	pass(15000);
	ck_assert_int_eq(n->p.conn.path, BS_PATH_DIRECT);
	call_works(20);
}
END_TEST

/* Anybody who knows the number can send search packets; data stays where it works. */
START_TEST(test_forged_search_does_not_move_data)
{
	struct bs_endpoint stranger = bench_local(666);
	struct bs_rendezvous_packet m;
	uint8_t buf[64];
	bs_ssize len;
	int i;

	open_relayed(0);
	memset(&m, 0, sizeof(m));
	m.nsi = NSI;
	m.step = 1;
	m.ep1 = n->self;
	m.ep2 = stranger;
	len = bs_rendezvous_packet_encode(buf, sizeof(buf), &m);
	ck_assert_int_gt(len, 0);
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(bs_peer_input(&n->p, buf, (size_t)len, &stranger, n->b.now),
				 BS_OK);
		call_works(100);
		ck_assert_int_eq(n->p.conn.path, BS_PATH_UDP_RELAY);
		pass(1500);
	}
	ck_assert_int_eq(n->p.conn.path, BS_PATH_UDP_RELAY);
}
END_TEST

START_TEST(test_refuses_what_is_no_relay)
{
	struct bs_endpoint ep = relay_ep();
	struct bs_endpoint none;
	uint16_t i;

	memset(&none, 0, sizeof(none));
	begin(0, 0, 5000);
	ck_assert_int_eq(bs_peer_add_path(&n->p, &none, BS_PATH_UDP_RELAY, n->b.now), BS_EINVAL);
	ck_assert_int_eq(bs_peer_add_path(&n->p, &ep, BS_PATH_DIRECT, n->b.now), BS_EINVAL);
	for (i = 0; i < BS_PATHS_RELAYS; i++) {
		ep = bench_local((uint16_t)(RELAY + i));
		ck_assert_int_eq(bs_peer_add_path(&n->p, &ep, BS_PATH_UDP_RELAY, n->b.now), BS_OK);
		ck_assert_int_eq(bs_peer_add_path(&n->p, &ep, BS_PATH_UDP_RELAY, n->b.now), BS_OK);
	}
	ep = bench_local(RELAY + 9);
	ck_assert_int_eq(bs_peer_add_path(&n->p, &ep, BS_PATH_UDP_RELAY, n->b.now), BS_EFULL);
}
END_TEST

START_TEST(test_lost_relay_gives_way_to_the_next)
{
	struct bs_endpoint tcp = bench_local(RELAY_TCP);
	struct bs_endpoint relay = relay_ep();

	begin(0, 0, 5000);
	bs_endpoint_set_via(&tcp, BS_VIA_STREAM);
	ck_assert_int_eq(bs_peer_add_path(&n->p, &tcp, BS_PATH_TCP_RELAY, n->b.now), BS_OK);
	add_relay();
	pass(RELAY_WAIT + 50);
	/* The nearer kind first, whatever came first. */
	ck_assert_int_eq(n->p.conn.path, BS_PATH_UDP_RELAY);
	bs_peer_drop_path(&n->p, &relay, n->b.now);
	ck_assert_int_eq(n->p.conn.path, BS_PATH_TCP_RELAY);
	ck_assert(bs_endpoint_equal(&n->p.conn.remote, &tcp));
	bs_peer_drop_path(&n->p, &relay, n->b.now);
	ck_assert_int_eq(n->p.conn.path, BS_PATH_TCP_RELAY);
}
END_TEST

START_TEST(test_sleeps)
{
	bs_time at;

	begin(0, 0, 18000);
	n->direct = true;
	pass(100);
	bs_peer_suspend(&n->p, n->b.now);
	carry();
	n->sent = 0;
	ck_assert(!bs_peer_next_timeout(&n->p, &at));
	pass(50000);
	ck_assert_uint_eq(n->sent, 0);
	bs_peer_resume(&n->p, n->b.now);
	call_works(100);
	/* The device gave up after 63 s: the client learns it soon, not at once and not never. */
	bs_peer_suspend(&n->p, n->b.now);
	carry();
	pass(70000);
	bs_peer_resume(&n->p, n->b.now);
	pass(1000);
	ck_assert(!(n->events & BS_PEER_EV_CLOSED));
	pass(6000);
	ck_assert(n->events & BS_PEER_EV_CLOSED);
	ck_assert_int_eq(n->p.conn.end, BS_CONN_END_SILENCE);
}
END_TEST

/* An idle connection costs less and less, up to the longest interval. */
START_TEST(test_keepalives_are_stretched)
{
	begin(0, 5000, 18000);
	n->direct = true;
	pass(100);
	n->sent = 0;
	pass(60000);
	ck_assert_uint_ge(n->sent, 4);
	ck_assert_uint_le(n->sent, 8);
	n->sent = 0;
	pass(180000);
	ck_assert_uint_ge(n->sent, 9);
	ck_assert_uint_le(n->sent, 11);
	ck_assert_int_eq(n->p.conn.state, BS_CONN_OPEN);
	/* A way that fell silent once is watched closely again. */
	n->direct = false;
	pass(25000);
	n->direct = true;
	pass(5000);
	ck_assert_uint_le(n->p.paths.pace_ms, 7500);
}
END_TEST

/* A device that understands searches with us, over and over, while the relay has the data. */
START_TEST(test_device_is_asked_to_search)
{
	open_relayed(BS_EXT_PATH);
	pass(6000);
	n->asked = 0;
	pass(9000);
	ck_assert_uint_ge(n->asked, 5);
	n->direct = true;
	pass(12000);
	ck_assert_int_eq(n->p.conn.path, BS_PATH_DIRECT);
}
END_TEST

START_TEST(test_stock_device_is_not_asked)
{
	open_relayed(0);
	pass(6000);
	n->asked = 0;
	pass(20000);
	ck_assert_uint_eq(n->asked, 0);
}
END_TEST

/* What a client may make a device do: nothing old, nothing often, no spray at strangers. */
START_TEST(test_device_is_careful)
{
	struct bs_connect_env env;
	uint8_t text[BS_FRAMING_SEARCH_LEN];
	struct bs_slice plain = { text, sizeof(text) };
	struct bs_search m;
	struct bs_device_conn *dc = &n->b.conns[0];
	bs_time at;

	open_relayed(BS_EXT_PATH);
	pass(20000);
	memset(&env, 0, sizeof(env));
	env.conf = &n->b.conf;
	env.granted = BS_EXT_PATH;
	memset(&m, 0, sizeof(m));
	m.number = 1000;
	m.flags = BS_SEARCH_GUESS;
	bs_endpoint_set_ip4(&m.global, 0x08080808, 53);
	bs_search_encode(&m, text);
	ck_assert_int_eq(bs_search_device_input(dc, &env, plain, n->b.now), BS_OK);
	ck_assert(!bs_spray_next_timeout(&dc->spray, &at));
	ck_assert_int_eq(bs_search_device_input(dc, &env, plain, n->b.now), BS_EREPLAY);
	m.number++;
	bs_search_encode(&m, text);
	ck_assert_int_eq(bs_search_device_input(dc, &env, plain, n->b.now + BS_TIME_MS(1000)),
			 BS_EREPLAY);
	m.global = n->self;
	bs_search_encode(&m, text);
	ck_assert_int_eq(bs_search_device_input(dc, &env, plain, n->b.now + BS_TIME_MS(3000)),
			 BS_OK);
	ck_assert(bs_spray_next_timeout(&dc->spray, &at));
	/* Not granted, or cut short. */
	m.number++;
	bs_search_encode(&m, text);
	env.granted = 0;
	ck_assert_int_eq(bs_search_device_input(dc, &env, plain, n->b.now + BS_TIME_MS(9000)),
			 BS_ESTATE);
	plain.len = BS_FRAMING_SEARCH_LEN - 1;
	ck_assert_int_eq(bs_search_device_input(dc, &env, plain, n->b.now + BS_TIME_MS(9000)),
			 BS_ESHORT);
}
END_TEST

START_TEST(test_search_text)
{
	struct bs_search m, back;
	uint8_t text[BS_FRAMING_SEARCH_LEN];
	struct bs_slice plain = { text, sizeof(text) };
	size_t i;

	memset(&m, 0, sizeof(m));
	m.number = 7;
	m.delay_ms = 300;
	m.flags = BS_SEARCH_SOCKETS;
	m.priv = bench_local(1);
	m.global = bench_local(2);
	bs_search_encode(&m, text);
	ck_assert_int_eq(bs_search_decode(plain, &back), BS_OK);
	ck_assert_uint_eq(back.number, 7);
	ck_assert_uint_eq(back.delay_ms, 300);
	ck_assert_uint_eq(back.flags, BS_SEARCH_SOCKETS);
	ck_assert(bs_endpoint_equal(&back.priv, &m.priv));
	ck_assert(bs_endpoint_equal(&back.global, &m.global));
	for (i = 0; i < sizeof(text); i++) {
		plain.len = i;
		ck_assert_int_ne(bs_search_decode(plain, &back), BS_OK);
	}
	plain.len = sizeof(text);
	text[10] = 0xFF;
	ck_assert_int_eq(bs_search_decode(plain, &back), BS_OK);
	ck_assert_uint_eq(back.flags, BS_SEARCH_GUESS | BS_SEARCH_SOCKETS);
	memset(text + 12, 0, 36);
	ck_assert_int_eq(bs_search_decode(plain, &back), BS_EFIELD);
	text[3] = 17;
	ck_assert_int_eq(bs_search_decode(plain, &back), BS_ETYPE);
}
END_TEST

Suite *bs_suite_path(void);

Suite *bs_suite_path(void)
{
	Suite *s = suite_create("path");
	TCase *tc = tcase_create("ways");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_relay_has_the_data_meanwhile);
	tcase_add_test(tc, test_relay_has_it_again);
	tcase_add_test(tc, test_forged_search_does_not_move_data);
	tcase_add_test(tc, test_refuses_what_is_no_relay);
	tcase_add_test(tc, test_lost_relay_gives_way_to_the_next);
	tcase_add_test(tc, test_sleeps);
	tcase_add_test(tc, test_keepalives_are_stretched);
	tcase_add_test(tc, test_device_is_asked_to_search);
	tcase_add_test(tc, test_stock_device_is_not_asked);
	tcase_add_test(tc, test_device_is_careful);
	tcase_add_test(tc, test_search_text);
	suite_add_tcase(s, tc);
	return s;
}
