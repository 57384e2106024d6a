/* SPDX-License-Identifier: Apache-2.0 */
/* The local network on the wire, and every recording of it replayed on both ends. */
#include "wire/local.h"

#include "bench.h"
#include "proto/local_client.h"
#include "proto/local_device.h"
#include "support.h"

#define DEVICE_PORT 7070

static uint8_t buf[512];

/* ---- the wire */

START_TEST(discovery_recording_is_read)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, "discovery");
	struct bs_slice ask = bs_row_hex(bs_scenario_packet_at(&sc, 0), "hex");
	struct bs_slice answer = bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex");
	struct bs_discovery_answer m;
	struct bs_legacy_packet head;
	struct bs_slice name;
	bs_ssize n;

	ck_assert_int_eq(bs_discovery_request_decode(ask.ptr, ask.len, &head, &name), BS_OK);
	ck_assert(name.len == 1 && name.ptr[0] == '*');
	n = bs_discovery_request_encode(buf, sizeof(buf), head.seq, name);
	ck_assert_int_eq(n, (int)ask.len);
	ck_assert_mem_eq(buf, ask.ptr, ask.len);
	/* The recording has the noise of stock devices in it. */
	ck_assert_int_eq(bs_discovery_answer_decode(answer.ptr, answer.len, &m), BS_OK);
	ck_assert(m.seq == head.seq && m.ip == 0 && m.port == DEVICE_PORT);
	ck_assert(m.id.len == 13 && memcmp(m.id.ptr, "vector.device", 13) == 0);
	ck_assert(m.plain && m.psk && m.fingerprint && m.version.len == 0 && m.url.len == 0);
	bs_vectors_free(v);
}
END_TEST

static struct bs_slice text(const char *s)
{
	return bs_test_text(s);
}

START_TEST(discovery_answers_have_no_noise)
{
	static const uint8_t want[] = "\x00\x80\x00\x01\x00\x00\x00\x07\x00\x00\x00\x09"
				      "\x00\x00\x00\x00\x15\xc2\x01"
				      "a.b\0\x01"
				      "1.2\0\x02-\0\x06"
				      "1\0\x05"
				      "1";
	struct bs_discovery_answer m;
	struct bs_discovery_answer got;
	bs_ssize n;

	memset(&m, 0, sizeof(m));
	m.seq = 7;
	m.reserved = 9;
	m.port = 5570;
	m.id = text("a.b");
	m.version = text("1.2");
	m.psk = true;
	m.fingerprint = true;
	n = bs_discovery_answer_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(n, (int)sizeof(want));
	ck_assert_mem_eq(buf, want, sizeof(want));
	ck_assert_int_eq(bs_discovery_answer_decode(buf, (size_t)n, &got), BS_OK);
	ck_assert(got.version.len == 3 && got.psk && !got.plain && got.reserved == 9);
	/* A tail that was cut leaves what came before it. */
	ck_assert_int_eq(bs_discovery_answer_decode(buf, (size_t)n - 1, &got), BS_OK);
	ck_assert(got.psk && !got.fingerprint);
	for (n = 0; n < 22; n++)
		ck_assert_int_eq(bs_discovery_answer_decode(buf, (size_t)n, &got), BS_ESHORT);
	m.id = text("A.b");
	ck_assert_int_eq(bs_discovery_answer_encode(buf, sizeof(buf), &m), BS_EINVAL);
	m.id = text("a.b");
	ck_assert_int_eq(bs_discovery_answer_encode(buf, 20, &m), BS_ETOOBIG);
}
END_TEST

START_TEST(discovery_answers_that_are_none)
{
	struct bs_discovery_answer m;
	uint8_t ok[] = "\x00\x80\x00\x01\x00\x00\x00\x07\x00\x00\x00\x09"
		       "\x00\x00\x00\x00\x15\xc2\x01"
		       "a.b\0\x63unknown\0\x01-\0\x01"
		       "2.0";

	ck_assert_int_eq(bs_discovery_answer_decode(ok, sizeof(ok), &m), BS_OK);
	ck_assert(m.version.len == 3);
	ok[18] = 2; /* the id must be first */
	ck_assert_int_eq(bs_discovery_answer_decode(ok, sizeof(ok), &m), BS_EFIELD);
	ok[18] = 1;
	ok[19] = '!';
	ck_assert_int_eq(bs_discovery_answer_decode(ok, sizeof(ok), &m), BS_EFIELD);
	ok[19] = 'a';
	ok[16] = ok[17] = 0; /* no port */
	ck_assert_int_eq(bs_discovery_answer_decode(ok, sizeof(ok), &m), BS_EFIELD);
	ok[1] = 0; /* a request */
	ck_assert_int_eq(bs_discovery_answer_decode(ok, sizeof(ok), &m), BS_ETYPE);
	ok[3] = 200;
	ck_assert_int_eq(bs_discovery_answer_decode(ok, sizeof(ok), &m), BS_EFIELD);
}
END_TEST

START_TEST(discovery_requests_have_an_exact_length)
{
	static const struct {
		const char *bytes;
		size_t len;
		int err;
	} row[] = {
		{ "\0\0\0\1\0\0\0\7\0\0\0\0*\0", 14, BS_OK },
		{ "\0\0\0\1\0\0\0\7\0\0\0\0a.b\0", 16, BS_OK },
		{ "\0\0\0\1\0\0\0\7\0\0\0\0", 12, BS_ESHORT },
		{ "\0\0\0\1\0\0\0\7\0\0\0", 11, BS_ESHORT },
		{ "\0\0\0\1\0\0\0\7\0\0\0\0\0", 13, BS_EFIELD },
		{ "\0\0\0\1\0\0\0\7\0\0\0\0*", 13, BS_EFIELD },
		{ "\0\0\0\1\0\0\0\7\0\0\0\0*\0\0", 15, BS_EFIELD },
		{ "\0\0\0\1\0\0\0\7\0\0\0\0a\0b\0", 16, BS_EFIELD },
		{ "\0\0\0\1\0\0\0\7\0\0\0\0**\0", 15, BS_EFIELD },
		{ "\0\0\0\1\0\0\0\7\0\0\0\0A\0", 14, BS_EFIELD },
		{ "\0\x80\0\1\0\0\0\7\0\0\0\0*\0", 14, BS_ETYPE },
		{ "\0\0\0\0\0\0\0\7\0\0\0\0*\0", 14, BS_ETYPE },
		{ "\0\0\0\x64\0\0\0\7\0\0\0\0*\0", 14, BS_EFIELD },
		{ "\0\0\0\1\0\0\0\7\0\0\0\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0", 54,
		  BS_EFIELD },
	};
	struct bs_legacy_packet m;
	struct bs_slice name;
	size_t i;

	for (i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t *copy = bs_test_copy((const uint8_t *)row[i].bytes, row[i].len);

		ck_assert_int_eq(bs_discovery_request_decode(copy, row[i].len, &m, &name),
				 row[i].err);
		free(copy);
	}
	ck_assert_int_eq(bs_discovery_request_encode(buf, sizeof(buf), 1, text("No")), BS_EINVAL);
	ck_assert_int_eq(bs_discovery_request_encode(buf, 13, 1, text("*")), BS_ETOOBIG);
}
END_TEST

START_TEST(legacy_queries_are_read)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, _i ? "legacy_rpc_error" : "legacy_rpc");
	struct bs_slice ask = bs_row_hex(bs_scenario_packet_at(&sc, 0), "hex");
	struct bs_slice answer = bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex");
	struct bs_legacy_packet m;
	bs_ssize n;

	ck_assert_int_eq(bs_legacy_decode(ask.ptr, ask.len, &m), BS_OK);
	ck_assert(m.word == BS_LEGACY_QUERY && m.body.len == 4);
	ck_assert_uint_eq(bs_get_u32(m.body.ptr), _i ? 4711 : 0);
	n = bs_legacy_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(n, (int)ask.len);
	ck_assert_mem_eq(buf, ask.ptr, ask.len);
	ck_assert_int_eq(bs_legacy_decode(answer.ptr, answer.len, &m), BS_OK);
	ck_assert_uint_eq(m.word, BS_LEGACY_RESPONSE | (_i ? BS_LEGACY_ERROR : 0));
	ck_assert_uint_eq(m.body.len, _i ? 0 : 42);
	bs_vectors_free(v);
}
END_TEST

START_TEST(old_answers_have_version_0)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, "psk_connect");
	struct bs_slice hex = bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex");
	uint8_t *copy = bs_test_copy(hex.ptr, hex.len);
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(copy, hex.len, &p), BS_EVERSION);
	ck_assert_int_eq(bs_local_packet_decode(copy, hex.len, &p), BS_OK);
	ck_assert(p.h.version == 0 && p.h.type == BS_TYPE_U_CONNECT_PSK);
	/* The MAC covers the byte: it is as it was. */
	ck_assert_mem_eq(copy, hex.ptr, hex.len);
	copy[8] = BS_TYPE_U_CONNECT;
	ck_assert_int_eq(bs_local_packet_decode(copy, hex.len, &p), BS_EVERSION);
	copy[8] = BS_TYPE_U_CONNECT_PSK;
	copy[9] = 1;
	ck_assert_int_eq(bs_local_packet_decode(copy, hex.len, &p), BS_EVERSION);
	free(copy);
	bs_vectors_free(v);
}
END_TEST

static int request(const struct bs_packet *p)
{
	struct bs_psk_request m;

	return bs_psk_request_decode(p, &m);
}

static int verify(const struct bs_packet *p)
{
	size_t off;

	return bs_psk_verify_decode(p, &off);
}

START_TEST(maltreated_handshakes)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, "psk_connect_user_key");
	struct bs_slice hex = bs_row_hex(bs_scenario_packet_at(&sc, _i ? 2 : 0), "hex");

	bs_test_maltreat(hex.ptr, hex.len, hex.len - 54, _i ? verify : request);
	bs_vectors_free(v);
}
END_TEST

START_TEST(handshakes_without_their_parts)
{
	static const uint8_t types[] = { BS_PL_CAPABILITY, BS_PL_KEY_ID, BS_PL_NONCE,
					 BS_PL_CRYPTO };
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, "psk_connect");
	struct bs_slice hex = bs_row_hex(bs_scenario_packet_at(&sc, 0), "hex");
	uint8_t *copy = bs_test_copy(hex.ptr, hex.len);
	struct bs_psk_request m;
	struct bs_payload pl;
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(copy, hex.len, &p), BS_OK);
	ck_assert_int_eq(bs_psk_request_decode(&p, &m), BS_OK);
	ck_assert(m.able && m.fingerprints && !m.fp && !m.client_id.len);
	ck_assert(bs_payload_find(&p, types[_i], &pl));
	copy[pl.data - 4 - copy] = 0x7F;
	ck_assert_int_eq(bs_psk_request_decode(&p, &m), BS_EMISSING);
	free(copy);
	bs_vectors_free(v);
}
END_TEST

START_TEST(proofs_are_exact)
{
	static const uint8_t r[32] = { 1 };
	static const uint8_t n[32] = { 2 };
	struct bs_psk_proof m = { r, n };
	struct bs_psk_proof got;
	uint8_t raw[BS_PSK_PROOF_LEN];
	struct bs_slice plain = { raw, sizeof(raw) };

	bs_psk_proof_encode(raw, &m);
	ck_assert_int_eq(bs_psk_proof_decode(plain, &got), BS_OK);
	ck_assert_mem_eq(got.random, r, 32);
	ck_assert_mem_eq(got.nonce, n, 32);
	plain.len = 36;
	ck_assert_int_eq(bs_psk_proof_decode(plain, &got), BS_EMISSING);
	plain.len = 35;
	ck_assert_int_eq(bs_psk_proof_decode(plain, &got), BS_EPAYLOAD);
	plain.len = 0;
	ck_assert_int_eq(bs_psk_proof_decode(plain, &got), BS_EMISSING);
	raw[3] = 35;
	raw[35] = 0x51;
	plain.len = 35;
	ck_assert_int_eq(bs_psk_proof_decode(plain, &got), BS_ELENGTH);
}
END_TEST

/* The IV that a recorded packet was sealed with; none for packets in the clear. */
static struct bs_slice iv_of(struct bs_slice hex)
{
	uint8_t *copy = bs_test_copy(hex.ptr, hex.len);
	struct bs_slice iv = { NULL, 0 };
	struct bs_payload pl;
	struct bs_packet p;

	ck_assert_int_eq(bs_local_packet_decode(copy, hex.len, &p), BS_OK);
	if (bs_payload_find(&p, BS_PL_CRYPTO, &pl) && pl.len >= 2 + 48) {
		iv.ptr = hex.ptr + (pl.data + 2 - copy);
		iv.len = 16;
	}
	free(copy);
	return iv;
}

/* ---- recordings, the device's end */

struct role {
	struct bench b;
	struct bs_local_device l;
	struct bs_local_conf conf;
	struct bs_slice psk;    /* the key that the recording knows */
	struct bs_slice key_id; /* its name */
	uint16_t lookup;        /* what else the lookup says */
};

static uint16_t on_key(void *app, const uint8_t *key_id, const struct bs_access *who,
		       struct bs_local_key *out)
{
	struct role *r = app;

	(void)who;
	if (memcmp(key_id, r->key_id.ptr, BS_KEY_ID_LEN) != 0)
		return BS_ST_KEY_ID;
	memcpy(out->psk, r->psk.ptr, BS_PSK_LEN);
	out->proves_fingerprint = who->fp != NULL;
	return r->lookup;
}

static const uint8_t zeros[16];

static void setup(struct role *r, const struct bs_scenario *sc, const char *id)
{
	memset(r, 0, sizeof(*r));
	bench_init(&r->b, id, NULL);
	r->b.conf.plain_suite = &bs_suite_null;
	r->conf.port = DEVICE_PORT;
	r->conf.allow = BS_LOCAL_DISCOVERY | BS_LOCAL_PSK | BS_LOCAL_PLAIN;
	r->conf.key = on_key;
	r->conf.app = r;
	r->psk.ptr = r->key_id.ptr = zeros;
	r->psk.len = r->key_id.len = sizeof(zeros);
	r->lookup = BS_ST_OK;
	if (sc && bs_scenario_value(sc, "psk"))
		r->psk = bs_scenario_hex(sc, "psk");
	if (sc && bs_scenario_value(sc, "key_id"))
		r->key_id = bs_scenario_hex(sc, "key_id");
	bench_start(&r->b);
	bs_local_device_init(&r->l, &r->b.d, &r->conf);
}

static struct bs_endpoint near(void)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0xC0A80005, 50000);
	bs_endpoint_set_via(&ep, BS_VIA_LOCAL);
	return ep;
}

static int give(struct role *r, struct bs_slice pkt)
{
	struct bs_endpoint from = near();
	uint8_t *copy = bs_test_copy(pkt.ptr, pkt.len);
	int err = bs_local_device_input(&r->l, copy, pkt.len, &from, r->b.now);

	free(copy);
	return err;
}

/* The next packet for the local network; 0 when there is none. */
static size_t take(struct role *r)
{
	struct bs_endpoint to;
	size_t n = bs_local_device_output(&r->l, buf, sizeof(buf), &to);

	while (!n) {
		n = bs_device_output(&r->b.d, buf, sizeof(buf), &to, r->b.now);
		if (!n)
			return 0;
		if (bs_endpoint_via(&to) != BS_VIA_LOCAL)
			n = 0;
	}
	ck_assert_uint_eq(to.port, 50000);
	return n;
}

/* Random bytes that the recorded device drew before this answer: the connection's number, nonce,
 * random, IV. */
static void script(struct role *r, const struct bs_scenario *sc, const struct bs_row *row)
{
	static uint8_t bytes[2 + 64 + 16];
	struct bs_slice hex = bs_row_hex(row, "hex");
	size_t n = 0;

	if (hex.ptr[8] == BS_TYPE_U_CONNECT) {
		bs_put_u16(bytes, (uint16_t)(bs_get_u32(hex.ptr + 20 + 4) - 100));
		n = 2;
	}
	if (hex.ptr[8] == BS_TYPE_U_CONNECT_PSK) {
		bs_put_u16(bytes, (uint16_t)(bs_get_u32(hex.ptr + 4) - 100));
		n = 2;
	}
	if (hex.ptr[8] == BS_TYPE_U_CONNECT_PSK && hex.ptr[11] == BS_FLAG_RESPONSE) {
		memcpy(bytes + 2, bs_scenario_hex(sc, "device_nonce").ptr, 32);
		memcpy(bytes + 34, bs_scenario_hex(sc, "device_random").ptr, 32);
		n = 66;
	}
	if (iv_of(hex).len) {
		memcpy(bytes + n, iv_of(hex).ptr, 16);
		n += 16;
	}
	r->b.rng.next.ptr = bytes;
	r->b.rng.next.len = n;
}

/* Give what the client sent and compare what the device answers, to the byte. */
static void replay_device(struct role *r, const struct bs_scenario *sc)
{
	const struct bs_row *row = NULL;
	const struct bs_row *last = NULL;
	size_t answers = 0;

	while ((row = bs_scenario_packet(sc, row))) {
		struct bs_slice hex = bs_row_hex(row, "hex");

		if (bs_row_is(row, "from", "peer")) {
			last = row;
			continue;
		}
		if (last) {
			script(r, sc, row);
			ck_assert_int_eq(give(r, bs_row_hex(last, "hex")), BS_OK);
			last = NULL;
		} else {
			script(r, sc, row);
		}
		ck_assert_uint_eq(take(r), hex.len);
		ck_assert_mem_eq(buf, hex.ptr, hex.len);
		answers++;
	}
	ck_assert_uint_eq(take(r), 0);
	ck_assert_uint_ge(answers, 1);
}

static const char *const handshakes[] = {
	"plain_connect",           "psk_connect",  "psk_connect_user_key",
	"psk_bad_key_id",          "psk_bad_MAC",  "psk_missing_capability",
	"psk_missing_crypto_code", "psk_wrong_key"
};

START_TEST(recorded_clients_are_answered_the_same)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, handshakes[_i]);
	static struct role r;
	const struct bs_row *row = NULL;

	setup(&r, &sc, bs_scenario_text(&sc, "device_id"));
	/* What the application answered to the one query is the last recorded text. */
	while ((row = bs_scenario_packet(&sc, row)))
		if (bs_row_is(row, "from", "dev") && bs_row_text(row, "plain"))
			r.b.rpc_reply = bs_row_hex(row, "plain");
	replay_device(&r, &sc);
	if (_i == 2) {
		ck_assert_uint_eq(r.b.rpc_query, 11020);
		ck_assert_uint_eq(r.b.conns[0].c.origin, BS_ORIGIN_USER_KEY);
		ck_assert_mem_eq(r.b.conns[0].c.fp, bs_scenario_hex(&sc, "fingerprint").ptr, 16);
		ck_assert_mem_eq(r.b.conns[0].c.key.b, bs_scenario_hex(&sc, "session_key").ptr, 96);
	}
	bench_fini(&r.b);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_plain_query_is_answered_the_same)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, "rpc_query_plain");
	uint8_t nsi[2];
	static struct role r;
	bs_ssize n;

	setup(&r, &sc, bs_scenario_text(&sc, "device_id"));
	bs_put_u16(nsi, (uint16_t)(bs_scenario_num(&sc, "nsi_sp") - 100));
	r.b.rng.next.ptr = nsi;
	r.b.rng.next.len = 2;
	n = bs_plain_request_encode(buf, sizeof(buf), bs_scenario_num(&sc, "nsi_cp"), 1, 0,
				    (struct bs_slice){ NULL, 0 }, NULL);
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(give(&r, (struct bs_slice){ buf, (size_t)n }), BS_OK);
	ck_assert_uint_gt(take(&r), 0);
	r.b.rpc_reply = bs_row_hex(bs_scenario_packet_at(&sc, 2), "plain");
	replay_device(&r, &sc);
	bench_fini(&r.b);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_discovery_is_answered)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, "discovery");
	struct bs_slice want = bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex");
	struct bs_discovery_answer theirs;
	struct bs_discovery_answer ours;
	static struct role r;
	size_t n;

	setup(&r, &sc, "vector.device");
	ck_assert_int_eq(give(&r, bs_row_hex(bs_scenario_packet_at(&sc, 0), "hex")), BS_OK);
	n = take(&r);
	/* The same but for the noise. */
	ck_assert_uint_eq(n, want.len - 12);
	ck_assert_int_eq(bs_discovery_answer_decode(buf, n, &ours), BS_OK);
	ck_assert_int_eq(bs_discovery_answer_decode(want.ptr, want.len, &theirs), BS_OK);
	ck_assert(ours.port == theirs.port && ours.seq == theirs.seq && ours.plain == theirs.plain);
	ck_assert(ours.psk == theirs.psk && ours.fingerprint == theirs.fingerprint);
	ck_assert(ours.id.len == theirs.id.len && ours.ip == theirs.ip);
	bench_fini(&r.b);
	bs_vectors_free(v);
}
END_TEST

START_TEST(legacy_queries_are_not_answered)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, "legacy_rpc");
	static struct role r;

	setup(&r, &sc, "vector.device");
	ck_assert_int_eq(give(&r, bs_row_hex(bs_scenario_packet_at(&sc, 0), "hex")), BS_ETYPE);
	ck_assert_uint_eq(take(&r), 0);
	bench_fini(&r.b);
	bs_vectors_free(v);
}
END_TEST

START_TEST(an_ipx_too_short_is_dropped)
{
	struct bs_vectors *v = bs_vectors_load("data_rules.txt");
	static struct role r;
	size_t i;
	size_t done = 0;

	setup(&r, NULL, "vector.device");
	for (i = 0; i < v->n; i++) {
		if (!bs_row_is(&v->row[i], "name", "ipx_16_in_connect"))
			continue;
		ck_assert_int_lt(give(&r, bs_row_hex(&v->row[i], "bytes")), 0);
		ck_assert_uint_eq(take(&r), 0);
		done++;
	}
	ck_assert_uint_eq(done, 1);
	bench_fini(&r.b);
	bs_vectors_free(v);
}
END_TEST

/* ---- recordings, the client's end */

/* Random bytes of the recorded client: numbers, nonce, random, IV. */
static void script_client(struct bs_test_rng *rng, const struct bs_scenario *sc,
			  const struct bs_row *row)
{
	static uint8_t bytes[10 + 64 + 16];
	struct bs_slice hex = bs_row_hex(row, "hex");

	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, hex.ptr, 4);
	memcpy(bytes + 4, hex.ptr + 12, 2);
	if (bs_scenario_value(sc, "client_nonce")) {
		memcpy(bytes + 10, bs_scenario_hex(sc, "client_nonce").ptr, 32);
		memcpy(bytes + 42, bs_scenario_hex(sc, "client_random").ptr, 32);
	}
	if (iv_of(hex).len)
		memcpy(bytes + 74, iv_of(hex).ptr, 16);
	rng->next.ptr = bytes;
	rng->next.len = sizeof(bytes);
}

static void client_target(struct bs_local_target *t, const struct bs_scenario *sc)
{
	memset(t, 0, sizeof(*t));
	t->ep = near();
	t->device = text(bs_scenario_text(sc, "device_id"));
	t->plain = !bs_scenario_value(sc, "psk");
	t->psk = t->key_id = zeros;
	if (!t->plain)
		t->psk = bs_scenario_hex(sc, "psk").ptr;
	if (bs_scenario_value(sc, "key_id"))
		t->key_id = bs_scenario_hex(sc, "key_id").ptr;
	if (bs_scenario_value(sc, "fingerprint"))
		t->fp = bs_scenario_hex(sc, "fingerprint").ptr;
}

START_TEST(recorded_devices_are_understood)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, _i ? "psk_connect_user_key" : "psk_connect");
	const struct bs_row *row;
	struct bs_local_connect c;
	struct bs_local_target t;
	struct bs_peer_conf conf;
	struct bs_test_rng rng = { { NULL, 0 }, 0, false };
	struct bs_endpoint to;
	struct bs_crypto crypto;
	struct bs_slice hex;
	size_t k;

	bs_test_crypto(&crypto, &rng);
	client_target(&t, &sc);
	script_client(&rng, &sc, bs_scenario_packet_at(&sc, 0));
	ck_assert_int_eq(bs_local_connect_start(&c, &crypto, &t, BENCH_START), BS_OK);
	for (k = 0; k < 4; k += 2) {
		struct bs_endpoint from = near();
		uint8_t *copy;

		row = bs_scenario_packet_at(&sc, k);
		hex = bs_row_hex(row, "hex");
		rng.next = iv_of(hex);
		ck_assert_uint_eq(bs_local_connect_output(&c, buf, sizeof(buf), &to), hex.len);
		ck_assert_mem_eq(buf, hex.ptr, hex.len);
		ck_assert_uint_eq(bs_local_connect_output(&c, buf, sizeof(buf), &to), 0);
		hex = bs_row_hex(bs_scenario_packet_at(&sc, k + 1), "hex");
		copy = bs_test_copy(hex.ptr, hex.len);
		ck_assert_int_eq(bs_local_connect_input(&c, copy, hex.len, &from, BENCH_START),
				 BS_OK);
		free(copy);
	}
	ck_assert_int_eq(c.state, BS_LOCAL_READY);
	memset(&conf, 0, sizeof(conf));
	bs_local_connect_take(&c, &conf);
	ck_assert_mem_eq(conf.key.b, bs_scenario_hex(&sc, "session_key").ptr, 96);
	ck_assert(conf.nsi_sp == bs_scenario_num(&sc, "nsi_sp") &&
		  conf.nsi_cp == bs_scenario_num(&sc, "nsi_cp"));
	ck_assert_ptr_eq(conf.suite, &bs_suite_aes_cbc);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_refusals_are_understood)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, handshakes[3 + _i]);
	struct bs_slice ask = bs_row_hex(bs_scenario_packet_at(&sc, 0), "hex");
	struct bs_slice hex = bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex");
	struct bs_test_rng rng = { { NULL, 0 }, 0, false };
	struct bs_endpoint from = near();
	struct bs_local_connect c;
	struct bs_local_target t;
	struct bs_crypto crypto;
	uint8_t *copy;

	bs_test_crypto(&crypto, &rng);
	memset(&t, 0, sizeof(t));
	t.ep = from;
	t.device = text("vector.device");
	t.psk = t.key_id = zeros;
	rng.next.ptr = ask.ptr;
	rng.next.len = 4;
	ck_assert_int_eq(bs_local_connect_start(&c, &crypto, &t, BENCH_START), BS_OK);
	copy = bs_test_copy(hex.ptr, hex.len);
	ck_assert_int_eq(bs_local_connect_input(&c, copy, hex.len, &from, BENCH_START), BS_OK);
	free(copy);
	ck_assert(c.state == BS_LOCAL_FAILED && c.status == bs_get_u32(hex.ptr + 20));
	bs_local_connect_fini(&c);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_plain_device_is_understood)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, "plain_connect");
	struct bs_slice ask = bs_row_hex(bs_scenario_packet_at(&sc, 0), "hex");
	struct bs_slice hex = bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex");
	struct bs_test_rng rng = { { NULL, 0 }, 0, false };
	struct bs_endpoint from = near();
	struct bs_endpoint to;
	struct bs_local_connect c;
	struct bs_local_target t;
	struct bs_crypto crypto;
	uint8_t *copy;
	size_t n;

	bs_test_crypto(&crypto, &rng);
	client_target(&t, &sc);
	script_client(&rng, &sc, bs_scenario_packet_at(&sc, 0));
	ck_assert_int_eq(bs_local_connect_start(&c, &crypto, &t, BENCH_START), BS_OK);
	/* Ours names the connection: the IPX is four bytes longer, all else is the same. */
	n = bs_local_connect_output(&c, buf, sizeof(buf), &to);
	ck_assert_uint_eq(n, ask.len + 4);
	ck_assert_mem_eq(buf, ask.ptr, 15);
	ck_assert_mem_eq(buf + 20, ask.ptr + 20, 13);
	ck_assert_uint_ge(bs_get_u32(buf + 33), BS_LOCAL_NSI_CLIENT);
	n = (size_t)bs_plain_request_encode(buf, sizeof(buf), bs_get_u32(ask.ptr),
					    bs_get_u16(ask.ptr + 12), 0,
					    (struct bs_slice){ NULL, 0 }, NULL);
	ck_assert_uint_eq(n, ask.len);
	ck_assert_mem_eq(buf, ask.ptr, n);
	copy = bs_test_copy(hex.ptr, hex.len);
	ck_assert_int_eq(bs_local_connect_input(&c, copy, hex.len, &from, BENCH_START), BS_OK);
	free(copy);
	ck_assert(c.state == BS_LOCAL_READY && c.sp == bs_scenario_num(&sc, "nsi_sp"));
	bs_vectors_free(v);
}
END_TEST

Suite *bs_suite_local(void);

Suite *bs_suite_local(void)
{
	Suite *s = suite_create("local");
	TCase *tc = tcase_create("wire");

	tcase_add_test(tc, discovery_recording_is_read);
	tcase_add_test(tc, discovery_answers_have_no_noise);
	tcase_add_test(tc, discovery_answers_that_are_none);
	tcase_add_test(tc, discovery_requests_have_an_exact_length);
	tcase_add_loop_test(tc, legacy_queries_are_read, 0, 2);
	tcase_add_test(tc, old_answers_have_version_0);
	tcase_add_loop_test(tc, maltreated_handshakes, 0, 2);
	tcase_add_loop_test(tc, handshakes_without_their_parts, 0, 4);
	tcase_add_test(tc, proofs_are_exact);
	suite_add_tcase(s, tc);
	tc = tcase_create("recordings");
	tcase_add_loop_test(tc, recorded_clients_are_answered_the_same, 0, 8);
	tcase_add_test(tc, recorded_plain_query_is_answered_the_same);
	tcase_add_test(tc, recorded_discovery_is_answered);
	tcase_add_test(tc, legacy_queries_are_not_answered);
	tcase_add_test(tc, an_ipx_too_short_is_dropped);
	tcase_add_loop_test(tc, recorded_devices_are_understood, 0, 2);
	tcase_add_loop_test(tc, recorded_refusals_are_understood, 0, 5);
	tcase_add_test(tc, recorded_plain_device_is_understood);
	suite_add_tcase(s, tc);
	return s;
}
