/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of ext_path.txt, which another program made from the description: either end makes the
 * packets of its side again, to the byte, and the other one takes them. */
#include "crypto/openssl.h"
#include "proto/connect_device.h"
#include "proto/connect_server.h"
#include "support.h"
#include "test.h"
#include "util/endpoint.h"
#include "wire/search.h"
#include "wire/stream.h"

#define ATTACHMENT UINT32_C(0x01020304)
#define CONNECTION UINT32_C(0x01020305)
#define STREAM_TAG 0x1005

enum {
	CONNECT,
	SEARCH,
	PARTS,
	N_PARTS = 3,
	STEP = PARTS + N_PARTS,
	PART = 512,
};

static struct bs_vectors *v;
static struct bs_scenario sc;
static struct bs_openssl *ssl;
static struct bs_crypto crypto;
static struct bs_slice iv;
static struct bs_key_block c_key;
static struct bs_key_block d_key;
static uint8_t pkt[2048]; /* of a row, where it may be opened */

static int next_random(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	ck_assert_uint_eq(len, iv.len);
	memcpy(out, iv.ptr, len);
	return BS_OK;
}

static void setup(void)
{
	v = bs_vectors_load("ext_path.txt");
	sc = bs_scenario_find(v, "path");
	ssl = bs_openssl_new();
	ck_assert_ptr_nonnull(ssl);
	crypto = *bs_openssl_crypto(ssl);
	crypto.random = next_random;
	memcpy(c_key.b, bs_scenario_hex(&sc, "c_key").ptr, sizeof(c_key.b));
	memcpy(d_key.b, bs_scenario_hex(&sc, "d_key").ptr, sizeof(d_key.b));
}

static void teardown(void)
{
	bs_openssl_free(ssl);
	bs_vectors_free(v);
}

static struct bs_slice raw(size_t i)
{
	return bs_row_hex(bs_scenario_packet_at(&sc, i), "hex");
}

static void load(size_t i, struct bs_packet *p)
{
	struct bs_slice r = raw(i);

	ck_assert_uint_le(r.len, sizeof(pkt));
	memcpy(pkt, r.ptr, r.len);
	ck_assert_int_eq(bs_packet_decode(pkt, r.len, p), BS_OK);
}

static struct bs_endpoint at(uint32_t ip, uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, ip, port);
	return ep;
}

static struct bs_endpoint at6(uint8_t last, uint16_t port)
{
	struct bs_endpoint ep = { .ip = { 0x20, 0x01, 0x0D, 0xB8 }, .port = port };

	ep.ip[15] = last;
	return ep;
}

START_TEST(the_server_makes_the_request)
{
	static const uint8_t fp[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	const struct bs_ep6 eps[2] = { { at6(7, 40003), BS_EP6_HOST, 9 },
				       { at6(8, 40004), BS_EP6_OBSERVED, 8 } };
	struct bs_connect_offer o = { .c_key = &c_key,
				      .block = { d_key.b, sizeof(d_key.b) },
				      .limit = BS_CONNECT_REQUEST_MAX };
	uint8_t buf[BS_CONNECT_REQUEST_MAX];

	o.m.cp = 0x0A0B0C0D;
	o.m.sp = ATTACHMENT;
	o.m.seq = 103;
	o.m.ipx.priv = at(0x0A000005, 40001);
	o.m.ipx.global = at(0xCB007105, 40002);
	o.m.ipx.flags = BS_IPX_ASYNC;
	o.m.ipx.has_nsi = true;
	o.m.ipx.nsi_sp = CONNECTION;
	o.m.client_id = bs_test_text("ann@example.org");
	o.m.fp = fp;
	o.m.attempt = (const uint8_t *)"ATTEMPT1";
	o.m.ext = BS_EXT_GCM | BS_EXT_FAST_STREAM;
	o.m.start_ms = 40;
	o.m.eps = eps;
	o.m.n_eps = 2;
	o.m.suite = BS_SUITE_AES_GCM;
	iv = bs_row_hex(bs_scenario_packet_at(&sc, CONNECT), "iv");
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)),
			 (bs_ssize)raw(CONNECT).len);
	ck_assert_mem_eq(buf, raw(CONNECT).ptr, raw(CONNECT).len);
}
END_TEST

/* _i 0: with all extensions; 1: one that was granted none takes what it knows, and searches at
 * once. */
START_TEST(the_device_takes_the_request)
{
	static struct bs_device_conn conns[1];
	const struct bs_endpoint from = at(0x7F000001, 5562);
	const struct bs_endpoint six[2] = { at6(7, 40003), at6(8, 40004) };
	struct bs_device_ops ops = { 0 };
	struct bs_device_conf conf = { .ops = &ops };
	struct bs_connect_env env = {
		.conf = &conf, .crypto = &crypto, .c_key = &c_key, .conns = conns, .n_conns = 1
	};
	struct bs_connect_device d = { .type = 0 };
	const bs_time now = BS_TIME_MS(5000);
	struct bs_device_conn *made;
	struct bs_packet p;
	bs_time due = 0;

	memset(conns, 0, sizeof(conns));
	env.granted = BS_EXT_GCM | (_i ? 0 : BS_EXT_PATH | BS_EXT_IP6 | BS_EXT_FAST_STREAM);
	load(CONNECT, &p);
	ck_assert_int_eq(bs_connect_input(&d, &env, &p, pkt, &from, now, &made), BS_OK);
	ck_assert_uint_eq(d.code, BS_ST_OK);
	ck_assert_ptr_eq(made, &conns[0]);
	ck_assert_uint_eq(made->c.nsi_sp, CONNECTION);
	ck_assert_mem_eq(made->c.key.b, d_key.b, sizeof(d_key.b));
	ck_assert_ptr_eq(made->c.suite, &bs_suite_aes_gcm);
	ck_assert_uint_eq(made->search.n_more, _i ? 0 : 2);
	if (!_i) {
		ck_assert(bs_endpoint_equal(&made->search.more[0], &six[0]));
		ck_assert(bs_endpoint_equal(&made->search.more[1], &six[1]));
		ck_assert(bs_rendezvous_next_timeout(&made->rv, &due));
		ck_assert_uint_eq(due, now + BS_TIME_MS(40));
	}
	ck_assert_int_eq(made->rv.send != 0, _i);
}
END_TEST

/* The client's packets under suite GCM, in their order, made again. */
START_TEST(the_client_makes_search_and_parts)
{
	const struct bs_search m = { 3, 300, BS_SEARCH_GUESS | BS_SEARCH_SOCKETS,
				     at(0x0A000005, 40001), at(0xCB007105, 40002) };
	const struct bs_slice segment = bs_scenario_hex(&sc, "segment");
	const struct bs_window_pl win = {
		.flags = BS_WINDOW_ACK, .id_cp = 7, .id_sp = 9, .seq = 2000, .ack = 31, .window = 64
	};
	struct bs_suite_gcm_state st = { 0 };
	uint8_t text[BS_FRAMING_SEARCH_LEN];
	uint8_t buf[1024];
	size_t i;

	bs_search_encode(&m, text);
	for (i = SEARCH; i < PARTS + N_PARTS; i++) {
		struct bs_header h = { .nsi_sp = CONNECTION,
				       .type = BS_TYPE_DATA,
				       .flags = BS_FLAG_TAG,
				       .tag = i == SEARCH ? BS_TAG_FRAMING : STREAM_TAG };
		struct bs_slice plain = { text, sizeof(text) };
		struct bs_writer w;

		bs_packet_begin(&w, buf, sizeof(buf), &h);
		if (i != SEARCH) {
			const size_t off = (i - PARTS) * PART;
			const struct bs_part part = { (uint16_t)off, (uint16_t)segment.len };

			bs_window_put(&w, &win);
			bs_part_put(&w, &part);
			plain.ptr = segment.ptr + off;
			plain.len = segment.len - off < PART ? segment.len - off : PART;
		}
		ck_assert_int_eq(
			bs_suite_gcm_seal(&crypto, &d_key, BS_INITIATOR, &st, &w, 0, plain),
			(bs_ssize)raw(i).len);
		ck_assert_mem_eq(buf, raw(i).ptr, raw(i).len);
	}
}
END_TEST

START_TEST(the_device_takes_search_and_parts)
{
	const struct bs_slice segment = bs_scenario_hex(&sc, "segment");
	struct bs_suite_gcm_state st = { 0 };
	uint8_t whole[2048];
	size_t got = 0;
	size_t i;

	for (i = SEARCH; i < PARTS + N_PARTS; i++) {
		struct bs_slice plain;
		struct bs_window_pl win;
		struct bs_payload pl;
		struct bs_search m;
		struct bs_packet p;
		struct bs_part part;
		size_t off;
		bool newest;

		load(i, &p);
		ck_assert_int_eq(bs_payload_last(&p, BS_PL_CRYPTO, &off), BS_OK);
		ck_assert_int_eq(bs_suite_gcm_open(&crypto, &d_key, BS_RESPONDER, &st, pkt, p.len,
						   off, &plain, &newest),
				 BS_OK);
		ck_assert(newest);
		if (i == SEARCH) {
			const struct bs_endpoint priv = at(0x0A000005, 40001);
			const struct bs_endpoint global = at(0xCB007105, 40002);

			ck_assert_int_eq(bs_search_decode(plain, &m), BS_OK);
			ck_assert_uint_eq(m.number, 3);
			ck_assert_uint_eq(m.delay_ms, 300);
			ck_assert_uint_eq(m.flags, BS_SEARCH_GUESS | BS_SEARCH_SOCKETS);
			ck_assert(bs_endpoint_equal(&m.priv, &priv));
			ck_assert(bs_endpoint_equal(&m.global, &global));
			continue;
		}
		ck_assert_int_eq(bs_window_find(&p, &win), BS_OK);
		ck_assert_uint_eq(win.seq, 2000);
		ck_assert(bs_payload_find(&p, BS_PL_PART, &pl));
		ck_assert_int_eq(bs_part_get(&pl, &part), BS_OK);
		ck_assert_uint_eq(part.off, got);
		ck_assert_uint_eq(part.total, segment.len);
		memcpy(whole + part.off, plain.ptr, plain.len);
		got += plain.len;
	}
	ck_assert_uint_eq(got, segment.len);
	ck_assert_mem_eq(whole, segment.ptr, segment.len);
}
END_TEST

START_TEST(a_step_over_ip6)
{
	const struct bs_rendezvous_packet m = { .nsi = CONNECTION, .ep1 = at6(7, 40003) };
	struct bs_rendezvous_packet got;
	struct bs_packet p;
	uint8_t buf[128];

	ck_assert_int_eq(bs_rendezvous_packet_encode(buf, sizeof(buf), &m),
			 (bs_ssize)raw(STEP).len);
	ck_assert_mem_eq(buf, raw(STEP).ptr, raw(STEP).len);
	load(STEP, &p);
	ck_assert_int_eq(bs_rendezvous_packet_decode(&p, &got), BS_OK);
	ck_assert_uint_eq(got.step, 0);
	ck_assert(bs_endpoint_equal(&got.ep1, &m.ep1));
}
END_TEST

Suite *bs_suite_path_replay(void);

Suite *bs_suite_path_replay(void)
{
	Suite *s = suite_create("path_replay");
	TCase *t = tcase_create("rows");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_server_makes_the_request);
	tcase_add_loop_test(t, the_device_takes_the_request, 0, 2);
	tcase_add_test(t, the_client_makes_search_and_parts);
	tcase_add_test(t, the_device_takes_search_and_parts);
	tcase_add_test(t, a_step_over_ip6);
	suite_add_tcase(s, t);
	return s;
}
