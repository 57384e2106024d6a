/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/suite.h"

#include "support.h"
#include "wire/payload.h"

static struct bs_key_block key;
static struct bs_test_rng rng;
static struct bs_crypto c;
static struct bs_writer w;
static uint8_t buf[2048];

static void set_up(void)
{
	size_t i;

	bs_test_crypto(&c, &rng);
	for (i = 0; i < sizeof(key.b); i++)
		key.b[i] = (uint8_t)i;
}

static bs_ssize seal(struct bs_slice plain, size_t cap)
{
	struct bs_header h;

	memset(&h, 0, sizeof(h));
	h.type = BS_TYPE_DATA;
	bs_packet_begin(&w, buf, cap, &h);
	return bs_suite_aes_cbc.seal(&c, &key, BS_INITIATOR, &w, 0, plain);
}

static int open_as(enum bs_role self, uint8_t *pkt, size_t len, size_t off, struct bs_slice *plain)
{
	return bs_suite_aes_cbc.open(&c, &key, self, pkt, len, off, plain);
}

/* basestation-wire(7) has these sizes. */
static const size_t sizes[][2] = { { 0, 54 },  { 1, 54 },   { 15, 54 }, { 16, 70 },
				   { 31, 70 }, { 64, 118 }, { 96, 150 } };

START_TEST(payload_sizes)
{
	uint8_t plain[96] = { 0 };
	struct bs_slice s = { plain, sizes[_i][0] };

	ck_assert_uint_eq(bs_suite_aes_cbc.payload_len(sizes[_i][0]), sizes[_i][1]);
	ck_assert_int_eq(seal(s, sizeof(buf)), (int)(16 + sizes[_i][1]));
}
END_TEST

START_TEST(every_length_there_and_back)
{
	uint8_t text[100];
	struct bs_slice plain = { text, 0 };
	struct bs_slice out;
	bs_ssize n;

	memset(text, 0x10, sizeof(text));
	for (plain.len = 0; plain.len <= sizeof(text); plain.len++) {
		n = seal(plain, sizeof(buf));
		ck_assert_int_gt(n, 0);
		ck_assert_uint_eq(bs_get_u16(buf + 14), (unsigned)n);
		ck_assert_int_eq(
			bs_suite_aes_cbc.verify(&c, &key, BS_RESPONDER, buf, (size_t)n, 16), BS_OK);
		ck_assert_int_eq(open_as(BS_RESPONDER, buf, (size_t)n, 16, &out), BS_OK);
		ck_assert_uint_eq(out.len, plain.len);
		ck_assert_mem_eq(out.ptr, text, plain.len);
	}
}
END_TEST

START_TEST(text_may_be_built_in_place)
{
	uint8_t other[sizeof(buf)];
	struct bs_slice text = bs_test_text("in place");
	struct bs_slice there = { buf + 16 + bs_suite_aes_cbc.text_off, 8 };
	bs_ssize n = seal(text, sizeof(buf));

	memcpy(other, buf, (size_t)n);
	memcpy(buf + 16 + bs_suite_aes_cbc.text_off, "in place", 8);
	rng.counter = 0;
	ck_assert_int_eq(seal(there, sizeof(buf)), n);
	ck_assert_mem_eq(other, buf, (size_t)n);
}
END_TEST

START_TEST(our_own_packets_do_not_open)
{
	struct bs_slice out;
	bs_ssize n = seal(bs_test_text("x"), sizeof(buf));

	ck_assert_int_eq(open_as(BS_INITIATOR, buf, (size_t)n, 16, &out), BS_EMAC);
}
END_TEST

START_TEST(every_turned_bit_is_noticed)
{
	struct bs_slice out = { NULL, 0 };
	bs_ssize n = seal(bs_test_text("some text"), sizeof(buf));
	size_t bit;

	for (bit = 0; bit < (size_t)n * 8; bit++) {
		uint8_t *copy = bs_test_copy(buf, (size_t)n);
		int err;

		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		err = bs_suite_aes_cbc.verify(&c, &key, BS_RESPONDER, copy, (size_t)n, 16);
		ck_assert(err == BS_EMAC || err == BS_ELENGTH || err == BS_ESUITE);
		ck_assert_int_eq(open_as(BS_RESPONDER, copy, (size_t)n, 16, &out), err);
		ck_assert_ptr_null(out.ptr);
		free(copy);
	}
}
END_TEST

START_TEST(every_cut_is_noticed)
{
	struct bs_slice out;
	bs_ssize n = seal(bs_test_text("some text"), sizeof(buf));
	size_t len;
	size_t off;

	for (len = 0; len < (size_t)n; len++) {
		uint8_t *copy = bs_test_copy(buf, len);

		for (off = 0; off <= len + 2; off++)
			ck_assert_int_lt(open_as(BS_RESPONDER, copy, len, off, &out), 0);
		/* The same with lengths that agree. */
		if (len >= 20) {
			bs_put_u16(copy + 14, (uint16_t)len);
			bs_put_u16(copy + 18, (uint16_t)(len - 16));
			ck_assert_int_lt(open_as(BS_RESPONDER, copy, len, 16, &out), 0);
		}
		free(copy);
	}
}
END_TEST

START_TEST(a_full_buffer_is_refused_without_a_trace)
{
	struct bs_slice plain = bs_test_text("secret");
	size_t cap;

	for (cap = 0; cap < 16 + 54; cap++) {
		memset(buf, 0, sizeof(buf));
		ck_assert_int_eq(seal(plain, cap), BS_ETOOBIG);
		ck_assert_uint_eq(buf[cap], 0);
	}
	ck_assert_int_eq(seal(plain, 16 + 54), 16 + 54);
	plain.len = BS_SUITE_PLAIN_MAX + 1;
	ck_assert_int_eq(seal(plain, sizeof(buf)), BS_ETOOBIG);
}
END_TEST

START_TEST(without_random_numbers_nothing_is_sent)
{
	static const uint8_t zero[48];

	rng.fail = true;
	memset(buf, 0xEE, sizeof(buf));
	ck_assert_int_eq(seal(bs_test_text("secret"), sizeof(buf)), BS_ERANDOM);
	ck_assert(w.bad);
	ck_assert_mem_eq(buf + 22, zero, 32);
}
END_TEST

static int failing_cbc(void *ctx, const uint8_t *k, const uint8_t *iv, uint8_t *b, size_t len)
{
	(void)ctx;
	(void)k;
	(void)iv;
	(void)b;
	(void)len;
	return BS_ECRYPTO;
}

static int failing_mac(void *ctx, const uint8_t *k, size_t n_k, const struct bs_slice *m, size_t n,
		       uint8_t *out)
{
	(void)ctx;
	(void)k;
	(void)n_k;
	(void)m;
	(void)n;
	(void)out;
	return BS_ECRYPTO;
}

START_TEST(a_backend_that_fails_is_reported)
{
	struct bs_slice out;
	bs_ssize n = seal(bs_test_text("secret"), sizeof(buf));

	c.aes128_cbc_decrypt = failing_cbc;
	ck_assert_int_eq(open_as(BS_RESPONDER, buf, (size_t)n, 16, &out), BS_ECRYPTO);
	c.hmac_sha256 = failing_mac;
	ck_assert_int_eq(open_as(BS_RESPONDER, buf, (size_t)n, 16, &out), BS_ECRYPTO);
	ck_assert_int_eq(seal(bs_test_text("secret"), sizeof(buf)), BS_ECRYPTO);
	bs_test_crypto(&c, &rng);
	c.aes128_cbc_encrypt = failing_cbc;
	ck_assert_int_eq(seal(bs_test_text("secret"), sizeof(buf)), BS_ECRYPTO);
	ck_assert(w.bad);
}
END_TEST

/* A packet with a good MAC over this plaintext, padding included. */
static size_t forge(const uint8_t *padded, size_t len)
{
	uint8_t mac[BS_SHA256_LEN];
	struct bs_slice msg = { buf, 16 + 6 + 16 + len };

	memset(buf, 0, 38);
	buf[16] = BS_PL_CRYPTO;
	bs_put_u16(buf + 14, (uint16_t)(msg.len + 16));
	bs_put_u16(buf + 18, (uint16_t)(msg.len));
	bs_put_u16(buf + 20, BS_SUITE_AES_CBC);
	memcpy(buf + 38, padded, len);
	if (len % 16 == 0)
		ck_assert_int_eq(c.aes128_cbc_encrypt(c.ctx, bs_key_aes_tx(&key, BS_INITIATOR),
						      buf + 22, buf + 38, len),
				 BS_OK);
	ck_assert_int_eq(c.hmac_sha256(c.ctx, bs_key_mac_tx(&key, BS_INITIATOR), 32, &msg, 1, mac),
			 BS_OK);
	memcpy(buf + msg.len, mac, 16);
	return msg.len + 16;
}

START_TEST(every_padding_value)
{
	uint8_t text[32];
	struct bs_slice out;
	unsigned pad;

	for (pad = 0; pad < 256; pad++) {
		bool ok = pad >= 1 && pad <= 16;
		size_t len;

		memset(text, (int)pad, sizeof(text));
		len = forge(text, sizeof(text));
		ck_assert_int_eq(open_as(BS_RESPONDER, buf, len, 16, &out),
				 ok ? BS_OK : BS_EPADDING);
		if (ok)
			ck_assert_uint_eq(out.len, 32 - pad);
		if (pad < 2 || !ok)
			continue;
		/* One padding byte that differs. */
		text[32 - pad] ^= 0x40;
		len = forge(text, sizeof(text));
		ck_assert_int_eq(open_as(BS_RESPONDER, buf, len, 16, &out), BS_EPADDING);
	}
}
END_TEST

START_TEST(ciphertext_must_be_whole_blocks_and_at_least_one)
{
	uint8_t text[64] = { 0 };
	struct bs_slice out;
	size_t len;

	for (len = 0; len <= sizeof(text); len++) {
		size_t n;

		memset(text, 1, sizeof(text));
		n = forge(text, len);
		ck_assert_int_eq(open_as(BS_RESPONDER, buf, n, 16, &out),
				 len && len % 16 == 0 ? BS_OK : BS_EPADDING);
	}
}
END_TEST

/* Recorded packets open to what the rows say, and sealing that again gives the same bytes. */
START_TEST(recordings_open_and_seal_again)
{
	static const char *const files[] = { "control.txt", "data.txt" };
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_vectors *v = bs_vectors_load(files[_i]);
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_scenario_packet(&sc, r))) {
			struct bs_slice hex = bs_row_hex(r, "hex");
			enum bs_role from =
				bs_row_is(r, "from", "dev") ? BS_RESPONDER : BS_INITIATOR;
			struct bs_payload last = { 0, 0, 0, NULL };
			struct bs_slice plain;
			struct bs_packet p;
			size_t off = 0;
			int err;

			if (!bs_row_text(r, "plain") || !bs_scenario_key(&sc, r, &key) ||
			    bs_packet_decode(hex.ptr, hex.len, &p) ||
			    bs_payload_last(&p, BS_PL_CRYPTO, &off))
				continue;
			memcpy(buf, hex.ptr, hex.len);
			err = open_as(from == BS_INITIATOR ? BS_RESPONDER : BS_INITIATOR, buf,
				      hex.len, off, &plain);
			if (err == BS_EMAC && bs_scenario_name(&sc)[0] == 'p' &&
			    strcmp(bs_scenario_name(&sc), "psk_bad_MAC") == 0)
				continue;
			ck_assert_msg(err == BS_OK, "line %d: %d", r->line, err);
			ck_assert_uint_eq(plain.len, bs_row_hex(r, "plain").len);
			ck_assert_mem_eq(plain.ptr, bs_row_hex(r, "plain").ptr, plain.len);

			last.flags = hex.ptr[off + 1];
			rng.next.ptr = hex.ptr + off + 6;
			rng.next.len = 16;
			bs_writer_init(&w, buf, sizeof(buf));
			bs_writer_put_bytes(&w, hex.ptr, off);
			ck_assert_int_eq(bs_suite_aes_cbc.seal(&c, &key, from, &w, last.flags,
							       bs_row_hex(r, "plain")),
					 (int)hex.len);
			ck_assert_mem_eq(buf, hex.ptr, hex.len);
			done++;
		}
	}
	ck_assert_int_ge(done, 100);
	bs_vectors_free(v);
}
END_TEST

/* The rows of both planes about sealed packets; what is not about crypto opens. */
START_TEST(rules_of_crypto)
{
	static const char *const files[] = { "control_rules.txt", "data_rules.txt" };
	struct bs_vectors *v = bs_vectors_load(files[_i]);
	int done = 0;
	size_t i;

	for (i = 0; i < v->n; i++) {
		const struct bs_row *r = &v->row[i];
		struct bs_slice plain;
		struct bs_packet p;
		size_t off;
		int want = BS_OK;

		if (!bs_row_text(r, "key"))
			continue;
		memcpy(key.b, bs_row_hex(r, "key").ptr, sizeof(key.b));
		memcpy(buf, bs_row_hex(r, "bytes").ptr, bs_row_hex(r, "bytes").len);
		if (bs_packet_decode(buf, bs_row_hex(r, "bytes").len, &p) ||
		    bs_payload_last(&p, BS_PL_CRYPTO, &off))
			continue;
		if (bs_row_is(r, "name", "missing_padding"))
			want = BS_EPADDING;
		if (bs_row_is(r, "name", "bad_mac"))
			want = BS_EMAC;
		ck_assert_msg(open_as(p.h.flags & BS_FLAG_RESPONSE ? BS_INITIATOR : BS_RESPONDER,
				      buf, p.len, off, &plain) == want,
			      "%s", bs_row_text(r, "name"));
		done++;
	}
	ck_assert_int_ge(done, 3);
	bs_vectors_free(v);
}
END_TEST

Suite *bs_suite_suite_aes_cbc(void);

Suite *bs_suite_suite_aes_cbc(void)
{
	Suite *s = suite_create("suite_aes_cbc");
	TCase *tc = tcase_create("suite_aes_cbc");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_loop_test(tc, payload_sizes, 0, BS_LEN(sizes));
	tcase_add_test(tc, every_length_there_and_back);
	tcase_add_test(tc, text_may_be_built_in_place);
	tcase_add_test(tc, our_own_packets_do_not_open);
	tcase_add_test(tc, every_turned_bit_is_noticed);
	tcase_add_test(tc, every_cut_is_noticed);
	tcase_add_test(tc, a_full_buffer_is_refused_without_a_trace);
	tcase_add_test(tc, without_random_numbers_nothing_is_sent);
	tcase_add_test(tc, a_backend_that_fails_is_reported);
	tcase_add_test(tc, every_padding_value);
	tcase_add_test(tc, ciphertext_must_be_whole_blocks_and_at_least_one);
	tcase_add_loop_test(tc, recordings_open_and_seal_again, 0, 2);
	tcase_add_loop_test(tc, rules_of_crypto, 0, 2);
	suite_add_tcase(s, tc);
	return s;
}
