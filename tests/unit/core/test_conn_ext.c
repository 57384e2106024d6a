/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_conn_ext.c - extensions of a connection from the basestation's U_CONNECT to the first reply:
 * suite GCM, FAST_STREAM, and PAIR against somebody who holds all of the basestation's keys.
 */
#include "bench.h"
#include "crypto/openssl.h"
#include "proto/connect_server.h"
#include "proto/peer.h"

#define NSI UINT32_C(0x20000001)

static const uint8_t attempt[] = { 8, 7, 6, 5, 4, 3, 2, 1 };
static const uint8_t pair_id[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t request[] = { 0, 0, 0, 9, 1, 2, 3 };

static struct bench *b;
static struct bench_server server;
static struct bs_openssl *openssl;
static struct bs_key_block d_block;
static struct bs_peer peer;
static uint8_t secret[BS_PAIR_SECRET_LEN];
static unsigned replies;

/* The device's side of the pairing. */
static const uint8_t *on_pair(void *app, const uint8_t *id)
{
	(void)app;
	return memcmp(id, pair_id, sizeof(pair_id)) == 0 ? secret : NULL;
}

static void set_up_with(uint32_t ext)
{
	b = malloc(sizeof(*b));
	ck_assert_ptr_nonnull(b);
	openssl = bs_openssl_new();
	memset(&server, 0, sizeof(server));
	memset(&d_block, 0x42, sizeof(d_block));
	memset(secret, 0x5A, sizeof(secret));
	replies = 0;
	bench_init(b, "dev.test", NULL);
	b->cap = BS_PACKET_MAX;
	b->crypto = *bs_openssl_crypto(openssl);
	b->ops.pair = on_pair;
	b->conf.ext_offer = ext;
	server.has_ext = true;
	server.ext = ext;
	bench_attach(b, &server);
}

static void set_up(void)
{
	set_up_with(BS_EXT_ATTEMPT | BS_EXT_GCM | BS_EXT_FAST_STREAM | BS_EXT_PAIR);
}

static void tear_down(void)
{
	bs_peer_fini(&peer);
	bench_fini(b);
	bs_openssl_free(openssl);
	free(b);
}

/* U_CONNECT as the basestation makes it; returns the device's code. */
static uint32_t connect_with(const struct bs_connect_request *ext)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_connect_answer m;
	struct bs_connect_offer o;
	struct bs_packet p;
	uint8_t buf[BS_CONNECT_REQUEST_MAX];
	bs_ssize len;

	memset(&o, 0, sizeof(o));
	o.m = *ext;
	o.m.cp = 0x01020304;
	o.m.sp = BENCH_NSI;
	o.m.seq = ++server.seq;
	o.m.ipx.priv = bench_local(BENCH_PEER);
	o.m.ipx.flags = BS_IPX_ASYNC;
	o.m.ipx.has_nsi = true;
	o.m.ipx.nsi_sp = NSI;
	o.m.client_id = bs_test_text("user@example.test");
	o.c_key = &server.c;
	o.block.ptr = d_block.b;
	o.block.len = sizeof(d_block.b);
	o.limit = sizeof(buf);
	len = bs_connect_server_encode(&b->crypto, &o, buf, sizeof(buf));
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(bench_input(b, buf, (size_t)len, &gsp), BS_OK);
	bench_expect(b, BS_TYPE_U_CONNECT, &p);
	ck_assert_int_eq(bs_connect_answer_decode(&p, &m), BS_OK);
	return m.code;
}

static void on_done(void *app, struct bs_rpc_call *call, int err, uint32_t exception,
		    struct bs_slice reply)
{
	(void)app;
	(void)call;
	(void)exception;
	if (!err && reply.len)
		replies++;
}

static void start_peer(const struct bs_suite *suite, bool fast, const uint8_t *pair)
{
	struct bs_endpoint dev = bench_local(BENCH_DEV);
	struct bs_peer_conf conf;

	memset(&conf, 0, sizeof(conf));
	conf.crypto = &b->crypto;
	conf.key = d_block;
	conf.suite = suite;
	conf.fast = fast;
	conf.pair = pair;
	conf.attempt = attempt;
	conf.nsi_sp = NSI;
	conf.nsi_cp = 0x1234;
	ck_assert_int_eq(bs_peer_init(&peer, &conf, b->now), BS_OK);
	bs_peer_set_path(&peer, &dev, BS_PATH_DIRECT, b->now);
}

/* Carry what waits in both directions; returns the client's last DATA. */
static size_t carry(uint8_t *last)
{
	struct bs_endpoint self = bench_local(BENCH_PEER);
	struct bs_endpoint dev = bench_local(BENCH_DEV);
	const struct bench_packet *o;
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_MAX];
	size_t last_len = 0;
	size_t len;

	while ((len = bs_peer_output(&peer, buf, sizeof(buf), &to, b->now)) > 0) {
		if (buf[8] == BS_TYPE_DATA) {
			memcpy(last, buf, len);
			last_len = len;
		}
		(void)bench_input(b, buf, len, &self);
		while ((o = bench_take(b)) != NULL) {
			memcpy(buf, o->bytes, o->len);
			(void)bs_peer_input(&peer, buf, o->len, &dev, b->now);
		}
	}
	return last_len;
}

static size_t ask(uint8_t *last)
{
	static struct bs_rpc_call call;

	memset(&call, 0, sizeof(call));
	call.request.ptr = request;
	call.request.len = sizeof(request);
	call.done = on_done;
	b->rpc_reply = bs_test_text("answer");
	ck_assert_int_eq(bs_peer_call(&peer, &call, b->now), BS_OK);
	return carry(last);
}

START_TEST(test_gcm_carries_a_call)
{
	struct bs_connect_request ext = { .attempt = attempt,
					  .ext = BS_EXT_GCM | BS_EXT_FAST_STREAM,
					  .suite = BS_SUITE_AES_GCM };
	uint8_t last[BS_PACKET_MAX];
	struct bs_packet p;
	size_t off;
	size_t len;

	ck_assert_uint_eq(connect_with(&ext), BS_ST_OK);
	ck_assert_ptr_eq(b->conns[0].c.suite, &bs_suite_aes_gcm);
	ck_assert(bs_conn_is_fast(&b->conns[0].c));
	ck_assert(!bs_conn_is_paired(&b->conns[0].c));
	start_peer(&bs_suite_aes_gcm, true, NULL);
	ck_assert(bs_conn_is_fast(&peer.conn));
	len = ask(last);
	ck_assert_uint_eq(replies, 1);
	ck_assert_int_eq(bs_packet_decode(last, len, &p), BS_OK);
	ck_assert_int_eq(bs_payload_last(&p, BS_PL_CRYPTO, &off), BS_OK);
	ck_assert_uint_eq(bs_get_u16(last + off + 4), BS_SUITE_AES_GCM);
}
END_TEST

START_TEST(test_without_them_nothing_changes)
{
	struct bs_connect_request ext = { .attempt = attempt };
	uint8_t last[BS_PACKET_MAX];

	ck_assert_uint_eq(connect_with(&ext), BS_ST_OK);
	ck_assert_ptr_eq(b->conns[0].c.suite, &bs_suite_aes_cbc);
	ck_assert(!bs_conn_is_fast(&b->conns[0].c));
	ck_assert_mem_eq(&b->conns[0].c.key, &d_block, sizeof(d_block));
	start_peer(&bs_suite_aes_cbc, false, NULL);
	ask(last);
	ck_assert_uint_eq(replies, 1);
}
END_TEST

/* What was never granted is not done, and not left out silently either. */
START_TEST(test_what_was_not_granted)
{
	struct bs_connect_request gcm = { .attempt = attempt, .suite = BS_SUITE_AES_GCM };
	struct bs_connect_request odd = { .attempt = attempt, .suite = 0x500A };
	struct bs_connect_request pair = { .attempt = attempt, .pair = pair_id };
	struct bs_connect_request fast = { .attempt = attempt, .ext = BS_EXT_FAST_STREAM };

	b->d.attach.granted = BS_EXT_ATTEMPT;
	ck_assert_uint_eq(connect_with(&gcm), BS_ST_ENCRYPTION);
	ck_assert_uint_eq(connect_with(&odd), BS_ST_ENCRYPTION);
	ck_assert_uint_eq(connect_with(&pair), BS_ST_CAPABILITY);
	ck_assert_uint_eq(b->asked, 0);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 0);
	ck_assert_uint_eq(connect_with(&fast), BS_ST_OK);
	ck_assert(!bs_conn_is_fast(&b->conns[0].c));
}
END_TEST

START_TEST(test_crypto_without_gcm)
{
	struct bs_connect_request gcm = { .attempt = attempt, .suite = BS_SUITE_AES_GCM };

	b->crypto.aes128_gcm = NULL;
	ck_assert_uint_eq(connect_with(&gcm), BS_ST_ENCRYPTION);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 0);
}
END_TEST

static const struct bs_suite *const suites[] = { &bs_suite_aes_cbc, &bs_suite_aes_gcm };

START_TEST(test_paired)
{
	struct bs_connect_request ext = { .attempt = attempt,
					  .pair = pair_id,
					  .ext = BS_EXT_PAIR,
					  .suite = _i ? BS_SUITE_AES_GCM : 0 };
	uint8_t last[BS_PACKET_MAX];

	ck_assert_uint_eq(connect_with(&ext), BS_ST_OK);
	ck_assert_ptr_nonnull(b->who.pair);
	ck_assert(bs_conn_is_paired(&b->conns[0].c));
	start_peer(suites[_i], false, secret);
	ck_assert(bs_conn_is_paired(&peer.conn));
	ask(last);
	ck_assert_uint_eq(replies, 1);
}
END_TEST

/*
 * Who holds all of the basestation's keys has: the device's secret and so the A and C key of the
 * attachment, the D block, connection number, attempt and pairing id, all that was sent, and the
 * right to make U_CONNECTs.  What is missing is the pairing secret, and without it the session
 * opens in neither direction.
 */
START_TEST(test_the_basestation_cannot_open_it)
{
	struct bs_connect_request ext = { .attempt = attempt,
					  .pair = pair_id,
					  .ext = BS_EXT_PAIR,
					  .suite = _i ? BS_SUITE_AES_GCM : 0 };
	struct bs_endpoint self = bench_local(BENCH_PEER);
	struct bs_key_block guess[4];
	uint8_t last[BS_PACKET_MAX];
	uint8_t copy[BS_PACKET_MAX];
	uint8_t zero[BS_PAIR_SECRET_LEN] = { 0 };
	struct bs_conn_data data;
	struct bs_packet p;
	struct bs_conn spy;
	size_t len;
	size_t i;

	ck_assert_uint_eq(connect_with(&ext), BS_ST_OK);
	start_peer(suites[_i], false, secret);
	len = ask(last);
	ck_assert_uint_eq(replies, 1);
	/* D itself, C in its place, and the construction with what is known for the secret. */
	guess[0] = d_block;
	guess[1] = server.c;
	ck_assert_int_eq(bs_keys_derive_pair(&b->crypto, &d_block, zero, NSI, attempt, &guess[2]),
			 BS_OK);
	ck_assert_int_eq(
		bs_keys_derive_pair(&b->crypto, &d_block, server.c.b, NSI, attempt, &guess[3]),
		BS_OK);
	for (i = 0; i < 4; i++) {
		/* Listen: what the client said stays closed, in either role. */
		bs_conn_init(&spy, BS_RESPONDER, NSI, &guess[i], suites[_i], b->now);
		memcpy(copy, last, len);
		ck_assert_int_eq(bs_packet_decode(copy, len, &p), BS_OK);
		ck_assert_int_eq(bs_conn_open(&spy, &b->crypto, &p, copy, &self, b->now, &data),
				 BS_EMAC);
		bs_conn_fini(&spy);
	}
	/* Take the client's place: the device opens nothing and nothing is asked of it. */
	ck_assert_uint_eq(b->rpc_calls, 1);
	for (i = 0; i < 4; i++) {
		struct bs_conn_send s = { .seq = (uint16_t)(100 + i) };
		struct bs_slice plain = { request, sizeof(request) };
		bs_ssize n;

		bs_conn_init(&spy, BS_INITIATOR, NSI, &guess[i], suites[_i], b->now);
		spy.gcm.sent = 1000;
		n = bs_conn_seal(&spy, &b->crypto, &s, plain, copy, sizeof(copy));
		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(bench_input(b, copy, (size_t)n, &self), BS_EMAC);
		bs_conn_fini(&spy);
	}
	ck_assert_uint_eq(b->rpc_calls, 1);
	bench_expect_none(b);
}
END_TEST

/* A basestation that leaves PAIR out talks the device into an ordinary connection, which the
 * device may refuse and the client cannot use. */
START_TEST(test_pair_left_out)
{
	struct bs_connect_request ext = { .attempt = attempt };
	uint8_t last[BS_PACKET_MAX];

	ck_assert_uint_eq(connect_with(&ext), BS_ST_OK);
	ck_assert_ptr_null(b->who.pair);
	start_peer(&bs_suite_aes_cbc, false, secret);
	ask(last);
	ck_assert_uint_eq(replies, 0);
	ck_assert_uint_eq(b->rpc_calls, 0);
	ck_assert_uint_eq(b->opened, 0);
}
END_TEST

START_TEST(test_unknown_pairing)
{
	static const uint8_t other[BS_PAIR_ID_LEN] = { 9 };
	struct bs_connect_request ext = { .attempt = attempt, .pair = other };
	struct bs_connect_request no_attempt = { .pair = pair_id };

	ck_assert_uint_eq(connect_with(&ext), BS_ST_KEY_ID);
	ck_assert_uint_eq(b->asked, 0);
	ck_assert_uint_eq(connect_with(&no_attempt), BS_ST_CAPABILITY);
	b->ops.pair = NULL;
	ext.pair = pair_id;
	ck_assert_uint_eq(connect_with(&ext), BS_ST_KEY_ID);
	ck_assert_uint_eq(bs_device_n_live(&b->d), 0);
}
END_TEST

START_TEST(test_peer_conf)
{
	struct bs_peer_conf conf;

	memset(&conf, 0, sizeof(conf));
	conf.crypto = &b->crypto;
	conf.suite = &bs_suite_aes_cbc;
	conf.nsi_sp = NSI;
	conf.pair = secret;
	ck_assert_int_eq(bs_peer_init(&peer, &conf, b->now), BS_EINVAL);
}
END_TEST

Suite *bs_suite_conn_ext(void);

Suite *bs_suite_conn_ext(void)
{
	Suite *s = suite_create("conn_ext");
	TCase *tc = tcase_create("conn_ext");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test_gcm_carries_a_call);
	tcase_add_test(tc, test_without_them_nothing_changes);
	tcase_add_test(tc, test_what_was_not_granted);
	tcase_add_test(tc, test_crypto_without_gcm);
	tcase_add_loop_test(tc, test_paired, 0, 2);
	tcase_add_loop_test(tc, test_the_basestation_cannot_open_it, 0, 2);
	tcase_add_test(tc, test_pair_left_out);
	tcase_add_test(tc, test_unknown_pairing);
	tcase_add_test(tc, test_peer_conf);
	suite_add_tcase(s, tc);
	return s;
}
