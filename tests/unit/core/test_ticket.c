/* SPDX-License-Identifier: Apache-2.0 */
/* wire/ticket.c, proto/ticket.c, proto/ticket_server.c: packets, tickets, challenges. */
#include "crypto/gcm.h"
#include "crypto/openssl.h"
#include "proto/ticket_server.h"
#include "test.h"
#include "util/endpoint.h"

static struct bs_openssl *ossl;
static struct bs_gcm *gcm;
static struct bs_ticket_cipher cipher;
static uint8_t secret[BS_TICKET_SECRET_LEN] = "a secret of exactly 32 bytes ...";
static uint8_t blob[BS_TICKET_LEN];
static uint8_t buf[BS_TICKET_PACKET_MAX];

static void setup(void)
{
	ossl = bs_openssl_new();
	gcm = bs_gcm_new(secret);
	cipher = (struct bs_ticket_cipher){ bs_openssl_crypto(ossl), bs_gcm_aead(), gcm };
	memset(blob, 0x5A, sizeof(blob));
}

static void teardown(void)
{
	bs_gcm_free(gcm);
	bs_openssl_free(ossl);
}

static struct bs_sealed request(void)
{
	return (struct bs_sealed){ .h = { 0x11223344, 0x55667788, 9 },
				   .ticket = { blob, sizeof(blob) },
				   .stamp_ms = 1700000000123u };
}

/** A small packet with this session number. */
static size_t small(uint8_t *out, uint32_t cp)
{
	const struct bs_gate_head h = { cp, 0, 9 };

	return (size_t)bs_gate_ping_encode(&h, false, out, 64);
}

static bs_ssize seal(struct bs_sealed *s, uint32_t cp, size_t min)
{
	uint8_t text[64];
	size_t n = small(text, cp);

	return bs_ticket_seal(&cipher, secret, s, (struct bs_slice){ text, n }, min, buf,
			      sizeof(buf));
}

static int open_it(size_t len, struct bs_packet *inner)
{
	struct bs_sealed s;
	struct bs_packet p;
	int err = bs_packet_decode(buf, len, &p);

	if (err == BS_OK)
		err = bs_sealed_decode(&p, &s);
	return err == BS_OK ? bs_ticket_open(&cipher, secret, &s, buf, inner) : err;
}

START_TEST(a_request_has_its_form)
{
	static const char head[] = "112233445566778847020000"
				   "00090300"
				   "6a000127";
	struct bs_sealed s = request(), t;
	uint8_t want[32];
	size_t n = bs_test_unhex(head, want);
	struct bs_packet p, inner;
	bs_ssize len = seal(&s, s.h.cp, BS_TICKET_REQUEST_MIN);

	ck_assert_int_eq(len, BS_TICKET_REQUEST_MIN);
	ck_assert_mem_eq(buf, want, n);
	ck_assert_uint_eq(s.nonce_off, 16 + 4 + BS_TICKET_LEN + 4 + 8);
	ck_assert_uint_eq(bs_get_u64(buf + s.nonce_off - 8), s.stamp_ms);
	ck_assert_uint_eq(buf[s.nonce_off] & 0x80, 0);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	ck_assert_int_eq(bs_sealed_decode(&p, &t), BS_OK);
	ck_assert(!t.is_answer);
	ck_assert_uint_eq(t.ticket.len, sizeof(blob));
	ck_assert_mem_eq(t.ticket.ptr, blob, sizeof(blob));
	ck_assert_uint_eq(t.nonce_off, s.nonce_off);
	ck_assert_uint_eq(t.text_len, 16);
	ck_assert_int_eq(bs_ticket_open(&cipher, secret, &t, buf, &inner), BS_OK);
	ck_assert_uint_eq(inner.h.type, BS_TYPE_PING);
	ck_assert_uint_eq(inner.h.nsi_cp, s.h.cp);
}
END_TEST

START_TEST(padding_never_misses_the_least_length)
{
	/* Gaps of 1 to 3 bytes have no room for a payload's header. */
	for (size_t min = 368; min < 400; min++) {
		struct bs_sealed s = request();
		bs_ssize len = seal(&s, s.h.cp, min);

		ck_assert_int_ge(len, (int)min);
		ck_assert_int_le(len, (int)min + 4);
	}
}
END_TEST

START_TEST(what_is_changed_does_not_open)
{
	struct bs_sealed s = request();
	uint8_t good[BS_TICKET_PACKET_MAX];
	bs_ssize len = seal(&s, s.h.cp, BS_TICKET_REQUEST_MIN);
	size_t end = s.text_off + s.text_len + BS_SEALED_TAG_LEN;
	struct bs_packet inner;

	memcpy(good, buf, (size_t)len);
	for (size_t i = 0; i < end * 8; i++) {
		memcpy(buf, good, (size_t)len);
		buf[i / 8] ^= (uint8_t)(1u << i % 8);
		ck_assert_msg(open_it((size_t)len, &inner) != BS_OK, "bit %zu", i);
	}
	memcpy(buf, good, (size_t)len);
	ck_assert_int_eq(open_it((size_t)len, &inner), BS_OK);
}
END_TEST

START_TEST(an_answer_is_no_request)
{
	struct bs_sealed s = request();
	struct bs_packet p, inner;
	bs_ssize len;

	s.is_answer = true;
	len = seal(&s, s.h.cp, 0);
	ck_assert_int_eq(len, 16 + 4 + (int)BS_SEALED_EXTRA + 16);
	ck_assert_uint_eq(buf[s.nonce_off] & 0x80, 0x80);
	/* Reflected with the other flag, it is another packet. */
	buf[11] = 0;
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	ck_assert_int_eq(bs_sealed_decode(&p, &s), BS_ESHORT);
	buf[11] = BS_FLAG_RESPONSE;
	ck_assert_int_eq(open_it((size_t)len, &inner), BS_OK);
}
END_TEST

START_TEST(a_session_number_inside_must_be_that_outside)
{
	struct bs_sealed s = request();
	struct bs_packet inner;
	bs_ssize len = seal(&s, s.h.cp + 1, BS_TICKET_REQUEST_MIN);

	ck_assert_int_eq(open_it((size_t)len, &inner), BS_EFIELD);
}
END_TEST

START_TEST(no_other_form_is_taken)
{
	/* Payload headers behind a header, padded to the least length where it is a request. */
	static const struct {
		const char *what;
		uint8_t flags;
		const char *list;
		int want;
	} rows[] = {
		{ "nothing", 1, "", BS_EMISSING },
		{ "SEALED too short", 1,
		  "6b000033"
		  "00000000000000000000000000000000"
		  "00000000000000000000000000000000000000000000000000000000000000",
		  BS_EFIELD },
		{ "a TICKET in an answer", 1, "6a00000500", BS_EMISSING },
		{ "an empty TICKET", 0, "6a000004", BS_EFIELD },
		{ "PAD before TICKET", 0, "75800004", BS_EMISSING },
		{ "no SEALED", 0,
		  "6a00000500"
		  "75800004",
		  BS_EMISSING },
	};

	for (size_t i = 0; i < BS_LEN(rows); i++) {
		const struct bs_header h = { .type = BS_TYPE_TICKET,
					     .version = BS_WIRE_VERSION,
					     .flags = rows[i].flags };
		uint8_t list[128];
		size_t n = bs_test_unhex(rows[i].list, list);
		struct bs_writer w;
		struct bs_sealed s;
		struct bs_packet p;
		uint8_t *pad;

		bs_packet_begin(&w, buf, sizeof(buf), &h);
		bs_writer_put_bytes(&w, list, n);
		if (rows[i].flags == 0) {
			pad = bs_packet_add_reserve(&w, BS_PL_PAD, BS_PLF_OPTIONAL, 800);
			memset(pad, 0, 800);
		}
		ck_assert_int_gt(bs_packet_finish(&w), 0);
		ck_assert_int_eq(bs_packet_decode(buf, w.len, &p), BS_OK);
		ck_assert_msg(bs_sealed_decode(&p, &s) == rows[i].want, "%s", rows[i].what);
	}
}
END_TEST

START_TEST(tokens_are_added_and_found)
{
	uint8_t one[BS_TICKET_SECRET_LEN], two[BS_TICKET_SECRET_LEN];
	bs_ssize n = (bs_ssize)small(buf, 5);
	struct bs_gate_head h;
	struct bs_packet p;
	size_t off = 0;

	memset(one, 1, sizeof(one));
	memset(two, 2, sizeof(two));
	n = bs_ticket_token_add(buf, (size_t)n, sizeof(buf), one);
	n = bs_ticket_token_add(buf, (size_t)n, sizeof(buf), two);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	/* Whoever does not know of them skips them. */
	ck_assert_int_eq(bs_gate_bare_decode(&p, BS_TYPE_PING, &h), BS_OK);
	ck_assert_mem_eq(bs_ticket_token_next(&p, &off), one, sizeof(one));
	ck_assert_mem_eq(bs_ticket_token_next(&p, &off), two, sizeof(two));
	ck_assert_ptr_null(bs_ticket_token_next(&p, &off));
	ck_assert_int_eq(bs_ticket_token_add(buf, (size_t)n, (size_t)n + 35, one), BS_ETOOBIG);
}
END_TEST

static struct bs_ticket_grant grant(void)
{
	struct bs_ticket_grant g;

	memset(&g, 0, sizeof(g));
	memcpy(g.identity, "ann@example.org", 16);
	g.direct = true;
	memset(g.key_fp, 1, sizeof(g.key_fp));
	memset(g.ca_fp, 2, sizeof(g.ca_fp));
	memset(g.issuer_hash, 3, sizeof(g.issuer_hash));
	memset(g.serial, 4, 20);
	g.serial_len = 20;
	g.not_after_s = 0x1122334455667788u;
	g.expires_s = 1700000000u;
	g.access_epoch = 7;
	g.crl_epoch = UINT64_C(1) << 40;
	g.generation = 8;
	memset(g.ca_mark, 9, sizeof(g.ca_mark));
	memset(g.secret, 10, sizeof(g.secret));
	return g;
}

START_TEST(a_ticket_says_what_was_written)
{
	struct bs_ticket_grant g = grant(), back;
	const struct bs_slice t = { blob, sizeof(blob) };
	uint8_t other[BS_TICKET_LEN];
	uint32_t no;

	ck_assert_int_eq(bs_ticket_grant_seal(&cipher, secret, 77, &g, blob), BS_OK);
	ck_assert(bs_ticket_key_number(t, &no));
	ck_assert_uint_eq(no, 77);
	ck_assert_int_eq(bs_ticket_grant_open(&cipher, secret, t, &back), BS_OK);
	ck_assert_mem_eq(&back, &g, sizeof(g));
	/* The longest identity has no terminator in the ticket, but here. */
	memset(g.identity, 'x', BS_CLIENT_ID_MAX);
	ck_assert_int_eq(bs_ticket_grant_seal(&cipher, secret, 77, &g, other), BS_OK);
	ck_assert_int_eq(bs_ticket_grant_open(&cipher, secret,
					      (struct bs_slice){ other, sizeof(other) }, &back),
			 BS_OK);
	ck_assert_uint_eq(strlen(back.identity), BS_CLIENT_ID_MAX);
	/* No two are alike, and nothing of the holder shows. */
	ck_assert_int_ne(memcmp(other + 5, blob + 5, 12), 0);
}
END_TEST

START_TEST(a_ticket_of_another_key_or_form_is_none)
{
	struct bs_ticket_grant g = grant(), back;
	uint8_t key[BS_TICKET_KEY_LEN] = { 0 };
	uint32_t no;

	ck_assert_int_eq(bs_ticket_grant_seal(&cipher, secret, 77, &g, blob), BS_OK);
	ck_assert_int_eq(
		bs_ticket_grant_open(&cipher, key, (struct bs_slice){ blob, sizeof(blob) }, &back),
		BS_EMAC);
	for (size_t i = 0; i < sizeof(blob); i++) {
		blob[i] ^= 0x10;
		ck_assert_int_ne(bs_ticket_grant_open(&cipher, secret,
						      (struct bs_slice){ blob, sizeof(blob) },
						      &back),
				 BS_OK);
		blob[i] ^= 0x10;
	}
	ck_assert(!bs_ticket_key_number((struct bs_slice){ blob, sizeof(blob) - 1 }, &no));
	blob[0] = 2;
	ck_assert(!bs_ticket_key_number((struct bs_slice){ blob, sizeof(blob) }, &no));
}
END_TEST

START_TEST(a_grant_without_an_identity_is_refused)
{
	struct bs_ticket_grant g = grant(), back;

	g.identity[0] = '\0';
	ck_assert_int_eq(bs_ticket_grant_seal(&cipher, secret, 1, &g, blob), BS_OK);
	ck_assert_int_eq(bs_ticket_grant_open(&cipher, secret,
					      (struct bs_slice){ blob, sizeof(blob) }, &back),
			 BS_EFIELD);
	g = grant();
	g.serial_len = 21;
	ck_assert_int_eq(bs_ticket_grant_seal(&cipher, secret, 1, &g, blob), BS_OK);
	ck_assert_int_eq(bs_ticket_grant_open(&cipher, secret,
					      (struct bs_slice){ blob, sizeof(blob) }, &back),
			 BS_EFIELD);
}
END_TEST

START_TEST(a_challenge_is_for_one_ticket_and_one_minute)
{
	const struct bs_crypto *c = cipher.crypto;
	struct bs_ticket_seen who = { .port = 1 }, back;
	/* Across the wrap of its clock. */
	const uint64_t now = (UINT64_C(5) << 24) - 10;
	uint8_t token[BS_TICKET_SECRET_LEN];

	bs_endpoint_set_ip4(&who.ep, 0xCB007105, 40000);
	ck_assert_int_eq(bs_ticket_challenge(c, secret, 1, &who, now, token), BS_OK);
	ck_assert_int_eq(bs_ticket_challenge_check(c, secret, 1, token, now + 60000, 60000, &back),
			 BS_OK);
	ck_assert(bs_endpoint_equal(&back.ep, &who.ep));
	ck_assert_uint_eq(back.port, 1);
	ck_assert_uint_eq(back.age_ms, 60000);
	ck_assert_int_eq(bs_ticket_challenge_check(c, secret, 1, token, now + 60001, 60000, &back),
			 BS_ETIMEDOUT);
	ck_assert_int_eq(bs_ticket_challenge_check(c, secret, 1, token, now - 1, 60000, &back),
			 BS_ETIMEDOUT);
	ck_assert_int_eq(bs_ticket_challenge_check(c, secret, 2, token, now, 60000, &back),
			 BS_EMAC);
	for (size_t i = 0; i < sizeof(token); i++) {
		token[i] ^= 0x80;
		ck_assert_int_eq(bs_ticket_challenge_check(c, secret, 1, token, now, 60000, &back),
				 BS_EMAC);
		token[i] ^= 0x80;
	}
}
END_TEST

START_TEST(a_ticket_answer_is_read_as_it_was_written)
{
	struct bs_gate_ticket_answer a, b;
	struct bs_packet p;
	bs_ssize n;

	memset(&a, 0, sizeof(a));
	a.h = (struct bs_gate_head){ 1, 0, 3 };
	a.status.code = BS_ST_OK;
	a.ticket = (struct bs_slice){ blob, sizeof(blob) };
	memset(a.token, 6, sizeof(a.token));
	a.params.has = BS_PARAM_BIT(BS_PARAM_SERVER_TIME) | BS_PARAM_BIT(BS_PARAM_TICKET_LIFE);
	a.params.server_time_ms = 1700000000000u;
	a.params.ticket_life_s = 86400;
	a.n_eps = 2;
	bs_endpoint_set_ip4(&a.eps[0], 0xCB007105, 5562);
	bs_endpoint_set_ip4(&a.eps[1], 0xCB007105, 5566);
	n = bs_gate_ticket_answer_encode(&a, buf, sizeof(buf));
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_gate_ticket_answer_decode(&p, &b), BS_OK);
	ck_assert_uint_eq(b.ticket.len, sizeof(blob));
	ck_assert_uint_eq(b.params.ticket_life_s, 86400);
	ck_assert_uint_eq(b.n_eps, 2);
	ck_assert(bs_endpoint_equal(&b.eps[1], &a.eps[1]));
	/* Without its life a ticket is of no use. */
	a.params.has = BS_PARAM_BIT(BS_PARAM_SERVER_TIME);
	n = bs_gate_ticket_answer_encode(&a, buf, sizeof(buf));
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_gate_ticket_answer_decode(&p, &b), BS_EMISSING);
	/* A challenge, and a refusal. */
	a.status.code = BS_ST_PENDING;
	n = bs_gate_ticket_answer_encode(&a, buf, sizeof(buf));
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_gate_ticket_answer_decode(&p, &b), BS_OK);
	ck_assert_uint_eq(b.ticket.len, 0);
	a.status.code = BS_ST_CANNOT_ANSWER;
	n = bs_gate_ticket_answer_encode(&a, buf, sizeof(buf));
	ck_assert_int_lt(n, 40);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_gate_ticket_answer_decode(&p, &b), BS_OK);
}
END_TEST

/* The recorded rows, which another program made from the description. */

static struct bs_slice scripted;

static int next_random(void *ctx, uint8_t *out, size_t len)
{
	(void)ctx;
	ck_assert_uint_eq(len, scripted.len);
	memcpy(out, scripted.ptr, len);
	return BS_OK;
}

/** The cipher with random numbers from the rows. */
static struct bs_ticket_cipher script(struct bs_crypto *c)
{
	*c = *cipher.crypto;
	c->random = next_random;
	return (struct bs_ticket_cipher){ c, cipher.aead, cipher.ctx };
}

START_TEST(recorded_packets_are_opened_and_made_again)
{
	struct bs_vectors *v = bs_vectors_load("ext_ticket.txt");
	const struct bs_scenario sc = bs_scenario_find(v, "ticket");
	const struct bs_row *row = NULL;
	struct bs_crypto c;
	const struct bs_ticket_cipher scripted_cipher = script(&c);
	unsigned n = 0;

	while ((row = bs_scenario_packet(&sc, row)) != NULL) {
		const struct bs_slice raw = bs_row_hex(row, "hex");
		const struct bs_slice plain = bs_row_hex(row, "plain");
		const uint8_t *key = bs_scenario_hex(&sc, "secret").ptr;
		uint8_t again[BS_TICKET_PACKET_MAX];
		struct bs_packet p, inner;
		struct bs_sealed s;

		memcpy(buf, raw.ptr, raw.len);
		ck_assert_int_eq(bs_packet_decode(buf, raw.len, &p), BS_OK);
		ck_assert_int_eq(bs_sealed_decode(&p, &s), BS_OK);
		ck_assert_uint_eq(s.h.sp, bs_get_u32(bs_scenario_hex(&sc, "sp").ptr));
		scripted = bs_row_hex(row, "iv");
		ck_assert_int_eq(bs_ticket_seal(&scripted_cipher, key, &s, plain,
						s.is_answer ? 0 : BS_TICKET_REQUEST_MIN, again,
						sizeof(again)),
				 (bs_ssize)raw.len);
		ck_assert_mem_eq(again, raw.ptr, raw.len);
		ck_assert_int_eq(bs_ticket_open(&cipher, key, &s, buf, &inner), BS_OK);
		ck_assert_uint_eq(inner.len, plain.len);
		ck_assert_mem_eq(inner.bytes, plain.ptr, plain.len);
		n++;
	}
	ck_assert_uint_eq(n, 5);
	bs_vectors_free(v);
}
END_TEST

START_TEST(the_recorded_ticket_and_challenges_are_ours)
{
	struct bs_vectors *v = bs_vectors_load("ext_ticket.txt");
	const struct bs_scenario sc = bs_scenario_find(v, "ticket");
	const struct bs_slice raw = bs_scenario_hex(&sc, "ticket");
	const uint8_t *key = bs_scenario_hex(&sc, "key").ptr;
	const uint32_t sp = bs_get_u32(bs_scenario_hex(&sc, "sp").ptr);
	struct bs_crypto c;
	const struct bs_ticket_cipher scripted_cipher = script(&c);
	uint8_t token[BS_TICKET_SECRET_LEN];
	struct bs_ticket_seen who = { .port = 1 };
	struct bs_ticket_grant g;
	uint32_t no;

	ck_assert(bs_ticket_key_number(raw, &no));
	ck_assert_uint_eq(no, bs_scenario_num(&sc, "key_number"));
	ck_assert_int_eq(bs_ticket_grant_open(&cipher, key, raw, &g), BS_OK);
	ck_assert_str_eq(g.identity, "ann@example.org");
	ck_assert_uint_eq(g.not_after_s, 1893456000);
	ck_assert_uint_eq(g.generation, 2);
	ck_assert_mem_eq(g.secret, bs_scenario_hex(&sc, "secret").ptr, sizeof(g.secret));
	scripted = bs_scenario_hex(&sc, "ticket_nonce");
	ck_assert_int_eq(bs_ticket_grant_seal(&scripted_cipher, key, no, &g, blob), BS_OK);
	ck_assert_uint_eq(raw.len, sizeof(blob));
	ck_assert_mem_eq(blob, raw.ptr, raw.len);
	bs_endpoint_set_ip4(&who.ep, 0xCB007105, 40001);
	ck_assert_int_eq(bs_ticket_challenge(cipher.crypto,
					     bs_scenario_hex(&sc, "challenge_key").ptr, sp, &who,
					     123456789, token),
			 BS_OK);
	ck_assert_mem_eq(token, bs_scenario_hex(&sc, "controller").ptr, sizeof(token));
	bs_vectors_free(v);
}
END_TEST

Suite *bs_suite_ticket(void);
Suite *bs_suite_ticket(void)
{
	Suite *s = suite_create("ticket");
	TCase *tc = tcase_create("ticket");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_request_has_its_form);
	tcase_add_test(tc, padding_never_misses_the_least_length);
	tcase_add_test(tc, what_is_changed_does_not_open);
	tcase_add_test(tc, an_answer_is_no_request);
	tcase_add_test(tc, a_session_number_inside_must_be_that_outside);
	tcase_add_test(tc, no_other_form_is_taken);
	tcase_add_test(tc, tokens_are_added_and_found);
	tcase_add_test(tc, a_ticket_says_what_was_written);
	tcase_add_test(tc, a_ticket_of_another_key_or_form_is_none);
	tcase_add_test(tc, a_grant_without_an_identity_is_refused);
	tcase_add_test(tc, a_challenge_is_for_one_ticket_and_one_minute);
	tcase_add_test(tc, a_ticket_answer_is_read_as_it_was_written);
	tcase_add_test(tc, recorded_packets_are_opened_and_made_again);
	tcase_add_test(tc, the_recorded_ticket_and_challenges_are_ours);
	suite_add_tcase(s, tc);
	return s;
}
