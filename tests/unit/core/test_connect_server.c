/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/connect_server.h"

#include "crypto/suite.h"
#include "support.h"
#include "util/endpoint.h"

static const uint8_t block[97] = { 9 };
static const uint8_t fp[16] = { 4 };
static struct bs_key_block c_key;
static struct bs_crypto crypto;
static struct bs_test_rng rng;
static uint8_t buf[512];
static struct bs_endpoint peer;

static void setup(void)
{
	memset(&rng, 0, sizeof(rng));
	memset(&c_key, 0x11, sizeof(c_key));
	bs_test_crypto(&crypto, &rng);
	bs_endpoint_set_ip4(&peer, 0x7F000001, 4000);
}

static struct bs_connect_offer sample(void)
{
	struct bs_connect_offer o;

	memset(&o, 0, sizeof(o));
	o.m.cp = 0xAABBCCDD;
	o.m.sp = 0x300000;
	o.m.seq = 17;
	o.m.ipx.has_nsi = true;
	o.m.ipx.nsi_sp = 0x400000;
	o.m.ipx.flags = BS_IPX_ASYNC;
	o.c_key = &c_key;
	o.block.ptr = block;
	o.block.len = 96;
	o.limit = 256;
	return o;
}

/* Every recorded request of the server that has a place in our codec is made again to the byte. */
START_TEST(recorded_requests_are_made)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_CONNECT, 0, &p))) {
			struct bs_connect_offer o;
			struct bs_key_block key;
			struct bs_payload gw;
			bs_ssize n;

			memset(&o, 0, sizeof(o));
			if (!bs_row_is(r, "key", "C") || bs_row_text(r, "malformed") ||
			    bs_payload_find(&p, BS_PL_GW, &gw) ||
			    bs_connect_request_decode(&p, &o.m) || !o.m.ipx.has_nsi)
				continue;
			if (bs_row_hex(r, "plain").len != 96 || p.len > 272)
				continue;
			ck_assert(bs_scenario_key(&sc, r, &key));
			o.c_key = &key;
			o.block = bs_row_hex(r, "plain");
			o.limit = 272;
			rng.next = bs_row_hex(r, "iv");
			n = bs_connect_server_encode(&crypto, &o, buf, sizeof(buf));
			ck_assert_int_eq(n, (int)p.len);
			ck_assert_mem_eq(buf, p.bytes, p.len);
			done++;
		}
	}
	ck_assert_int_ge(done, 15);
	bs_vectors_free(v);
}
END_TEST

START_TEST(what_must_never_be_sent)
{
	struct bs_connect_offer o = sample();

	o.block.len = 95;
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), BS_EINVAL);
	o.block.len = 97;
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), BS_EINVAL);
	o = sample();
	o.m.ipx.has_nsi = false;
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), BS_EINVAL);
	o = sample();
	o.m.ipx.nsi_sp = 0;
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), BS_EINVAL);
	o = sample();
	o.m.ipx.flags |= BS_IPX_PRIVATE_FIRST;
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), BS_EINVAL);
	o = sample();
	o.c_key = NULL;
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), BS_EINVAL);
	o = sample();
	rng.fail = true;
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), BS_ERANDOM);
}
END_TEST

/* The sizes of section 8.2, and the identity that is cut to keep them. */
START_TEST(sizes)
{
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789@x";
	struct bs_connect_offer o = sample();
	struct bs_connect_request m;
	struct bs_packet p;
	bs_ssize n;

	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), 187);
	o.m.fp = fp;
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), 208);
	o.m.client_id = bs_test_text(name);
	n = bs_connect_server_encode(&crypto, &o, buf, sizeof(buf));
	ck_assert_int_eq(n, 256);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_connect_request_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.client_id.len, 43);
	o.limit = 272;
	n = bs_connect_server_encode(&crypto, &o, buf, sizeof(buf));
	ck_assert_int_eq(n, 272);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_connect_request_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.client_id.len, 59);
	o.limit = 207;
	ck_assert_int_eq(bs_connect_server_encode(&crypto, &o, buf, sizeof(buf)), BS_ETOOBIG);
}
END_TEST

START_TEST(legacy_has_no_crypto)
{
	struct bs_connect_offer o = sample();
	struct bs_payload pl;
	struct bs_packet p;
	bs_ssize n;

	o.c_key = NULL;
	o.block.len = 0;
	n = bs_connect_server_encode(&crypto, &o, buf, sizeof(buf));
	ck_assert_int_eq(n, 37);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert(!bs_payload_find(&p, BS_PL_CRYPTO, &pl));
}
END_TEST

/* 1, 2 and 3 s after the first, given up at 4.5 s, every copy the same. */
START_TEST(schedule)
{
	struct bs_connect_offer o = sample();
	struct bs_connect_server s;
	uint8_t first[BS_PACKET_SMALL];
	bs_time start = BS_TIME_MS(1000);
	int sends[8];
	int n = 0;
	int t;

	ck_assert_int_eq(bs_connect_server_start(&s, &crypto, &o, &peer, BS_TIME_MS(1000),
						 BS_TIME_MS(4500), start),
			 BS_OK);
	memcpy(first, s.pkt, s.len);
	for (t = 0; t < 6000; t += 10) {
		enum bs_connect_action a = bs_connect_server_timeout(&s, start + BS_TIME_MS(t));

		if (a == BS_CONNECT_GIVE_UP)
			break;
		if (a == BS_CONNECT_SEND) {
			ck_assert_int_lt(n, 8);
			sends[n++] = t;
			ck_assert_mem_eq(first, s.pkt, s.len);
		}
	}
	ck_assert_int_eq(t, 4500);
	ck_assert_int_eq(n, 4);
	for (t = 0; t < 4; t++)
		ck_assert_int_eq(sends[t], t * 1000);
	bs_connect_server_fini(&s);
	ck_assert_uint_eq(s.nsi, 0);
}
END_TEST

static size_t make_answer(uint32_t cp, uint32_t sp, uint16_t seq, uint32_t nsi, uint32_t code)
{
	struct bs_connect_answer a = { .cp = cp, .sp = sp, .seq = seq, .code = code, .nsi = nsi };
	bs_ssize n = bs_connect_answer_encode(buf, sizeof(buf), &a);

	ck_assert_int_eq(n, 28);
	return (size_t)n;
}

START_TEST(only_the_right_answer_counts)
{
	struct bs_connect_offer o = sample();
	struct bs_connect_server s;
	struct bs_endpoint other = peer;
	struct bs_packet p;
	uint32_t code = 99;

	ck_assert_int_eq(bs_connect_server_start(&s, &crypto, &o, &peer, 1, 1, 0), BS_OK);
#define TRY(cp, sp, seq, nsi, from, want)                                                          \
 do {                                                                                              \
  size_t len = make_answer(cp, sp, seq, nsi, 0x8004);                                              \
  ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);                                         \
  ck_assert_int_eq(bs_connect_server_input(&s, &p, from, &code), want);                            \
 } while (0)
	other.port++;
	TRY(0xAABBCCDD, 0x300000, 17, 0x400000, &other, BS_ESOURCE);
	TRY(0xAABBCCDE, 0x300000, 17, 0x400000, &peer, BS_EUNKNOWN);
	TRY(0xAABBCCDD, 0x300001, 17, 0x400000, &peer, BS_EUNKNOWN);
	TRY(0xAABBCCDD, 0x300000, 18, 0x400000, &peer, BS_EUNKNOWN);
	TRY(0xAABBCCDD, 0x300000, 17, 0x400001, &peer, BS_EUNKNOWN);
	ck_assert_uint_eq(code, 99);
	TRY(0xAABBCCDD, 0x300000, 17, 0x400000, &peer, BS_OK);
	ck_assert_uint_eq(code, 0x8004);
#undef TRY
}
END_TEST

START_TEST(recorded_answers)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_CONNECT, BS_FLAG_RESPONSE, &p))) {
			struct bs_connect_server s;
			struct bs_connect_answer a;
			uint32_t code;

			ck_assert_int_eq(bs_connect_answer_decode(&p, &a), BS_OK);
			memset(&s, 0, sizeof(s));
			s.nsi_cp = a.cp;
			s.nsi_attach = a.sp;
			s.seq = a.seq;
			s.nsi = a.nsi;
			s.peer = peer;
			ck_assert_int_eq(bs_connect_server_input(&s, &p, &peer, &code), BS_OK);
			ck_assert(code == BS_ST_OK || (code >= 0x8000 && code <= 0x8011));
			done++;
		}
	}
	ck_assert_int_ge(done, 20);
	bs_vectors_free(v);
}
END_TEST

Suite *bs_suite_connect_server(void);

Suite *bs_suite_connect_server(void)
{
	Suite *s = suite_create("connect_server");
	TCase *t = tcase_create("connect_server");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, recorded_requests_are_made);
	tcase_add_test(t, what_must_never_be_sent);
	tcase_add_test(t, sizes);
	tcase_add_test(t, legacy_has_no_crypto);
	tcase_add_test(t, schedule);
	tcase_add_test(t, only_the_right_answer_counts);
	tcase_add_test(t, recorded_answers);
	suite_add_tcase(s, t);
	return s;
}
