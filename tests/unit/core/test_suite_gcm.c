/* SPDX-License-Identifier: Apache-2.0 */
/* test_suite_gcm.c - suite GCM: the cipher against published values, numbers, replays, harm. */
#include <stdio.h>
#include <stdlib.h>

#include "crypto/openssl.h"
#include "crypto/suite.h"
#include "proto/conn.h"
#include "support.h"
#include "util/endpoint.h"

#define NSI UINT32_C(0x20000001)

enum {
	BUF_LEN = 2048,
	HEADER_LEN = 16,
	TEXT_OFF = HEADER_LEN + 14 /* payload header, code and number lie between */
};

static struct bs_openssl *openssl;
static const struct bs_crypto *c;
static struct bs_key_block key;
static struct bs_suite_gcm_state tx;
static struct bs_suite_gcm_state rx;
static uint8_t buf[BUF_LEN];

static void set_up(void)
{
	size_t i;

	openssl = bs_openssl_new();
	ck_assert_ptr_nonnull(openssl);
	c = bs_openssl_crypto(openssl);
	for (i = 0; i < sizeof(key.b); i++)
		key.b[i] = (uint8_t)(i * 7);
	memset(&tx, 0, sizeof(tx));
	memset(&rx, 0, sizeof(rx));
}

static void tear_down(void)
{
	bs_openssl_free(openssl);
}

/* Test cases 1 to 4 of the GCM specification (McGrew and Viega), as NIST took them over. */
static const struct {
	const char *key;
	const char *iv;
	const char *ad;
	const char *plain;
	const char *cipher;
	const char *tag;
} known[] = {
	{ "00000000000000000000000000000000", "000000000000000000000000", "", "", "",
	  "58e2fccefa7e3061367f1d57a4e7455a" },
	{ "00000000000000000000000000000000", "000000000000000000000000", "",
	  "00000000000000000000000000000000", "0388dace60b6a392f328c2b971b2fe78",
	  "ab6e47d42cec13bdf53a67b21257bddf" },
	{ "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
	  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985",
	  "4d5c2af327cd64a62cf35abd2ba6fab4" },
	{ "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
	  "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	  "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
	  "5bc94fbc3221a5db94fae95ae7121a47" },
};

static size_t unhex(const char *text, uint8_t *out)
{
	size_t i;

	for (i = 0; text[2 * i]; i++) {
		unsigned v;

		ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &v), 1);
		out[i] = (uint8_t)v;
	}
	return i;
}

START_TEST(the_published_values)
{
	const struct bs_aead *gcm = bs_crypto_gcm(c);
	uint8_t k[16];
	uint8_t iv[12];
	uint8_t ad_bytes[32];
	uint8_t text[64];
	uint8_t want[64];
	uint8_t want_tag[16];
	uint8_t tag[16];
	struct bs_slice ad = { ad_bytes, unhex(known[_i].ad, ad_bytes) };
	size_t len = unhex(known[_i].plain, text);

	unhex(known[_i].key, k);
	unhex(known[_i].iv, iv);
	unhex(known[_i].cipher, want);
	unhex(known[_i].tag, want_tag);
	ck_assert_int_eq(gcm->seal(c->ctx, k, iv, ad, text, len, tag), BS_OK);
	ck_assert_mem_eq(text, want, len);
	ck_assert_mem_eq(tag, want_tag, sizeof(tag));
	ck_assert_int_eq(gcm->open(c->ctx, k, iv, ad, text, len, tag), BS_OK);
	unhex(known[_i].plain, want);
	ck_assert_mem_eq(text, want, len);
	tag[_i] ^= 1;
	ck_assert_int_eq(gcm->open(c->ctx, k, iv, ad, text, len, tag), BS_EMAC);
	memset(want, 0, sizeof(want));
	ck_assert_mem_eq(text, want, len);
}
END_TEST

/* More keys than the backend keeps, used in turn, and one of them forgotten in between. */
START_TEST(many_keys_at_once)
{
	const struct bs_aead *gcm = bs_crypto_gcm(c);
	struct bs_slice none = { NULL, 0 };
	uint8_t iv[12] = { 0 };
	uint8_t k[100][16];
	uint8_t text[100][3];
	uint8_t tag[100][16];
	size_t i;

	for (i = 0; i < 100; i++) {
		memset(k[i], (int)i, sizeof(k[i]));
		memcpy(text[i], "abc", 3);
		ck_assert_int_eq(gcm->seal(c->ctx, k[i], iv, none, text[i], 3, tag[i]), BS_OK);
		ck_assert(i == 0 || memcmp(tag[i], tag[i - 1], 16) != 0);
	}
	gcm->forget(c->ctx, k[99]);
	for (i = 100; i-- > 0;) {
		ck_assert_int_eq(gcm->open(c->ctx, k[i], iv, none, text[i], 3, tag[i]), BS_OK);
		ck_assert_mem_eq(text[i], "abc", 3);
	}
}
END_TEST

static bs_ssize seal(struct bs_slice plain, uint8_t *out, size_t cap)
{
	struct bs_header h;
	struct bs_writer w;

	memset(&h, 0, sizeof(h));
	h.type = BS_TYPE_DATA;
	h.nsi_sp = NSI;
	bs_packet_begin(&w, out, cap, &h);
	return bs_suite_gcm_seal(c, &key, BS_INITIATOR, &tx, &w, 0, plain);
}

static int open_as(enum bs_role self, uint8_t *pkt, size_t len, struct bs_slice *plain)
{
	bool newest;

	return bs_suite_gcm_open(c, &key, self, &rx, pkt, len, HEADER_LEN, plain, &newest);
}

/* Seal one byte under a number of our choice and open it. */
static int give(uint64_t number)
{
	uint8_t pkt[64];
	struct bs_slice plain = { (const uint8_t *)"x", 1 };
	bs_ssize n;

	tx.sent = number - 1;
	n = seal(plain, pkt, sizeof(pkt));
	ck_assert_int_gt(n, 0);
	return open_as(BS_RESPONDER, pkt, (size_t)n, &plain);
}

START_TEST(every_length_there_and_back)
{
	uint8_t text[100];
	struct bs_slice plain = { text, 0 };
	struct bs_slice out;
	bs_ssize n;

	memset(text, 0x10, sizeof(text));
	for (plain.len = 0; plain.len <= sizeof(text); plain.len++) {
		n = seal(plain, buf, sizeof(buf));
		ck_assert_int_eq(n, (int)(HEADER_LEN + plain.len + 30));
		ck_assert_uint_eq(bs_suite_aes_gcm.payload_len(plain.len), plain.len + 30);
		ck_assert_uint_eq(bs_get_u16(buf + 14), (uint16_t)n);
		ck_assert_uint_eq(bs_get_u64(buf + TEXT_OFF - 8), plain.len + 1);
		ck_assert_int_eq(open_as(BS_RESPONDER, buf, (size_t)n, &out), BS_OK);
		ck_assert_uint_eq(out.len, plain.len);
		ck_assert_mem_eq(out.ptr, text, out.len);
	}
}
END_TEST

/* The nonce and what is covered, computed by hand. */
START_TEST(as_the_manual_says)
{
	const struct bs_aead *gcm = bs_crypto_gcm(c);
	struct bs_slice plain = { (const uint8_t *)"hello", 5 };
	struct bs_slice ad = { buf, TEXT_OFF };
	uint8_t nonce[12] = { 0 };
	uint8_t text[5];
	uint8_t tag[16];
	bs_ssize n;

	tx.sent = 0x0102030405060707u;
	n = seal(plain, buf, sizeof(buf));
	ck_assert_int_eq(n, TEXT_OFF + 5 + 16);
	ck_assert_uint_eq(bs_get_u16(buf + 20), 0x400A);
	memcpy(nonce, key.b + 32, 4);
	memcpy(nonce + 4, "\1\2\3\4\5\6\7\10", 8);
	memcpy(text, "hello", 5);
	ck_assert_int_eq(gcm->seal(c->ctx, key.b, nonce, ad, text, 5, tag), BS_OK);
	ck_assert_mem_eq(text, buf + TEXT_OFF, 5);
	ck_assert_mem_eq(tag, buf + TEXT_OFF + 5, 16);
}
END_TEST

START_TEST(built_in_place)
{
	struct bs_slice plain = { buf + HEADER_LEN + bs_suite_aes_gcm.text_off, 4 };
	struct bs_slice out;

	memcpy(buf + TEXT_OFF, "here", 4);
	ck_assert_int_eq(seal(plain, buf, sizeof(buf)), TEXT_OFF + 4 + 16);
	ck_assert_int_eq(open_as(BS_RESPONDER, buf, TEXT_OFF + 20, &out), BS_OK);
	ck_assert_mem_eq(out.ptr, "here", 4);
}
END_TEST

/* Header, payload header, code, number, text, tag: a turned bit anywhere is seen, and nothing of
 * the connection's state has changed. */
START_TEST(no_bit_can_be_turned)
{
	struct bs_slice plain = { (const uint8_t *)"secret", 6 };
	struct bs_suite_gcm_state before = rx;
	struct bs_slice out;
	uint8_t good[64];
	bs_ssize n = seal(plain, good, sizeof(good));
	size_t bit;

	ck_assert_int_gt(n, 0);
	for (bit = 0; bit < (size_t)n * 8; bit++) {
		memcpy(buf, good, (size_t)n);
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_ne(open_as(BS_RESPONDER, buf, (size_t)n, &out), BS_OK);
		ck_assert_mem_eq(&rx, &before, sizeof(rx));
	}
	memcpy(buf, good, (size_t)n);
	ck_assert_int_eq(open_as(BS_INITIATOR, buf, (size_t)n, &out), BS_EMAC);
	ck_assert_int_eq(open_as(BS_RESPONDER, good, (size_t)n, &out), BS_OK);
}
END_TEST

START_TEST(cut_at_every_byte)
{
	struct bs_slice plain = { (const uint8_t *)"secret", 6 };
	struct bs_slice out;
	uint8_t good[64];
	bs_ssize n = seal(plain, good, sizeof(good));
	size_t len;

	for (len = HEADER_LEN; len < (size_t)n; len++) {
		uint8_t *exact = malloc(len);

		memcpy(exact, good, len);
		ck_assert_int_eq(open_as(BS_RESPONDER, exact, len, &out), BS_ELENGTH);
		/* A payload header that says so does not help. */
		if (len >= HEADER_LEN + 4) {
			bs_put_u16(exact + HEADER_LEN + 2, (uint16_t)(len - HEADER_LEN));
			ck_assert_int_ne(open_as(BS_RESPONDER, exact, len, &out), BS_OK);
		}
		free(exact);
	}
}
END_TEST

START_TEST(each_number_once_in_any_order)
{
	uint32_t seed = 4711;
	uint16_t order[512];
	size_t i;

	for (i = 0; i < 512; i++)
		order[i] = (uint16_t)i;
	for (i = 511; i > 0; i--) {
		size_t j = bs_test_random(&seed) % (i + 1);
		uint16_t t = order[i];

		order[i] = order[j];
		order[j] = t;
	}
	for (i = 0; i < 512; i++)
		ck_assert_int_eq(give(order[i] + 1u), BS_OK);
	for (i = 0; i < 512; i++)
		ck_assert_int_eq(give(order[i] + 1u), BS_EREPLAY);
}
END_TEST

START_TEST(the_edges_of_the_window)
{
	ck_assert_int_eq(give(5000), BS_OK);
	ck_assert_int_eq(give(5000 - 1024), BS_EREPLAY);
	ck_assert_int_eq(give(5000 - 1023), BS_OK);
	ck_assert_int_eq(give(5000 - 1023), BS_EREPLAY);
	/* The ring comes round: what the new number passes is forgotten, not taken for seen. */
	ck_assert_int_eq(give(5010), BS_OK);
	ck_assert_int_eq(give(5005), BS_OK);
	ck_assert_int_eq(give(5000), BS_EREPLAY);
	ck_assert_int_eq(give(5000 - 1014), BS_EREPLAY);
	ck_assert_int_eq(give(5000 - 1013), BS_OK);
	/* Exactly one window, and far, further. */
	ck_assert_int_eq(give(5010 + 1024), BS_OK);
	ck_assert_int_eq(give(5011), BS_OK);
	ck_assert_int_eq(give(1000000), BS_OK);
	ck_assert_int_eq(give(6034), BS_EREPLAY);
	ck_assert_int_eq(give(1000000 - 1023), BS_OK);
}
END_TEST

START_TEST(agrees_with_a_simple_window)
{
	uint32_t seed = 99u + (uint32_t)_i;
	static bool taken[20000];
	uint64_t high = 0;
	unsigned i;

	memset(taken, 0, sizeof(taken));
	for (i = 0; i < 4000; i++) {
		uint64_t n = 1 + high + bs_test_random(&seed) % 8;
		uint64_t back = bs_test_random(&seed) % (i % 50 ? 1100 : 2000);
		bool ok;

		n = n > back ? n - back : 1;
		if (i % 400 == 0)
			n += 900;
		ok = (n > high || high - n < 1024) && !taken[n];
		ck_assert_int_eq(give(n), ok ? BS_OK : BS_EREPLAY);
		taken[n] = true;
		if (n > high)
			high = n;
	}
}
END_TEST

START_TEST(numbers_end)
{
	struct bs_slice plain = { (const uint8_t *)"x", 1 };

	tx.sent = UINT64_MAX - 1;
	ck_assert_int_gt(seal(plain, buf, sizeof(buf)), 0);
	ck_assert_int_eq(seal(plain, buf, sizeof(buf)), BS_ESTATE);
	ck_assert_int_eq(seal(plain, buf, sizeof(buf)), BS_ESTATE);
	ck_assert(tx.sent == UINT64_MAX);
	ck_assert_int_eq(give(UINT64_MAX), BS_OK);
	ck_assert_int_eq(give(UINT64_MAX), BS_EREPLAY);
}
END_TEST

START_TEST(number_zero_is_refused)
{
	const struct bs_aead *gcm = bs_crypto_gcm(c);
	struct bs_slice plain = { (const uint8_t *)"x", 1 };
	struct bs_slice ad = { buf, TEXT_OFF };
	struct bs_slice out;
	uint8_t nonce[12] = { 0 };

	ck_assert_int_gt(seal(plain, buf, sizeof(buf)), 0);
	bs_put_u64(buf + TEXT_OFF - 8, 0);
	memcpy(nonce, key.b + 32, 4);
	buf[TEXT_OFF] = 'x';
	ck_assert_int_eq(gcm->seal(c->ctx, key.b, nonce, ad, buf + TEXT_OFF, 1, buf + TEXT_OFF + 1),
			 BS_OK);
	ck_assert_int_eq(open_as(BS_RESPONDER, buf, TEXT_OFF + 17, &out), BS_EREPLAY);
}
END_TEST

static int failing(void *ctx, const uint8_t *k, const uint8_t *nonce, struct bs_slice ad,
		   uint8_t *text, size_t len, uint8_t *tag)
{
	(void)ctx;
	(void)k;
	(void)nonce;
	(void)ad;
	(void)text;
	(void)len;
	(void)tag;
	return BS_ECRYPTO;
}

START_TEST(a_backend_that_fails_or_lacks_it)
{
	static const struct bs_aead broken = { failing, NULL, NULL };
	struct bs_slice plain = { (const uint8_t *)"secret", 6 };
	static const uint8_t zero[6 + 16];
	struct bs_crypto other = *c;
	const struct bs_crypto *was = c;
	struct bs_slice out;

	ck_assert_int_gt(seal(plain, buf, sizeof(buf)), 0);
	c = &other;
	other.aes128_gcm = NULL;
	ck_assert_int_eq(seal(plain, buf, sizeof(buf)), BS_ECRYPTO);
	c = was;
	ck_assert_int_gt(seal(plain, buf, sizeof(buf)), 0);
	c = &other;
	ck_assert_int_eq(open_as(BS_RESPONDER, buf, TEXT_OFF + 22, &out), BS_ECRYPTO);
	other.aes128_gcm = &broken;
	tx.sent = 41;
	ck_assert_int_eq(seal(plain, buf, sizeof(buf)), BS_ECRYPTO);
	ck_assert_mem_eq(buf + TEXT_OFF, zero, sizeof(zero));
	/* The number is spent all the same. */
	ck_assert(tx.sent == 42);
	c = was;
	ck_assert_int_eq(seal(plain, buf, TEXT_OFF + 6 + 15), BS_ETOOBIG);
	plain.len = BS_SUITE_PLAIN_MAX + 1;
	ck_assert_int_eq(seal(plain, buf, sizeof(buf)), BS_ETOOBIG);
}
END_TEST

START_TEST(the_table_alone_refuses)
{
	struct bs_slice plain = { (const uint8_t *)"x", 1 };
	struct bs_header h = { .type = BS_TYPE_DATA };
	struct bs_writer w;

	bs_packet_begin(&w, buf, sizeof(buf), &h);
	ck_assert_int_eq(bs_suite_aes_gcm.seal(c, &key, BS_INITIATOR, &w, 0, plain), BS_ESUITE);
	ck_assert(w.bad);
	ck_assert_int_gt(seal(plain, buf, sizeof(buf)), 0);
	ck_assert_int_eq(bs_suite_aes_gcm.verify(c, &key, BS_RESPONDER, buf, TEXT_OFF + 17, 16),
			 BS_ESUITE);
	ck_assert_int_eq(
		bs_suite_aes_gcm.open(c, &key, BS_RESPONDER, buf, TEXT_OFF + 17, 16, &plain),
		BS_ESUITE);
}
END_TEST

/* Connections. */

static struct bs_conn dev;
static struct bs_conn cli;

static struct bs_endpoint at(uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x0A000001, port);
	return ep;
}

static size_t send_stream(struct bs_conn *from, uint8_t *pkt)
{
	struct bs_conn_send s = { .tag = 0x1234 };
	struct bs_slice plain = { (const uint8_t *)"data", 4 };
	bs_ssize n = bs_conn_seal(from, c, &s, plain, pkt, 300);

	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

static int take(struct bs_conn *to, uint8_t *pkt, size_t len, uint16_t port)
{
	struct bs_endpoint from = at(port);
	struct bs_conn_data d;
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(pkt, len, &p), BS_OK);
	return bs_conn_open(to, c, &p, pkt, &from, BS_TIME_MS(1000), &d);
}

static void connect(void)
{
	bs_conn_init(&dev, BS_RESPONDER, NSI, &key, &bs_suite_aes_gcm, 0);
	bs_conn_init(&cli, BS_INITIATOR, NSI, &key, &bs_suite_aes_gcm, 0);
}

START_TEST(a_connection_counts)
{
	uint8_t pkt[3][300];
	uint8_t again[300];
	size_t len[3];
	size_t i;

	connect();
	for (i = 0; i < 3; i++)
		len[i] = send_stream(&cli, pkt[i]);
	memcpy(again, pkt[1], len[1]);
	ck_assert_int_eq(take(&dev, pkt[1], len[1], 7), BS_OK);
	ck_assert_uint_eq(dev.remote.port, 7);
	ck_assert_int_eq(take(&dev, again, len[1], 8), BS_EREPLAY);
	/* A newer number moves the peer, an older one is served and moves nothing. */
	ck_assert_int_eq(take(&dev, pkt[2], len[2], 9), BS_OK);
	ck_assert_uint_eq(dev.remote.port, 9);
	ck_assert_int_eq(take(&dev, pkt[0], len[0], 10), BS_OK);
	ck_assert_uint_eq(dev.remote.port, 9);
	ck_assert_uint_eq(dev.stats.rx_pkts, 3);
	/* Both directions count for themselves. */
	len[0] = send_stream(&dev, pkt[0]);
	ck_assert_int_eq(take(&cli, pkt[0], len[0], 1), BS_OK);
	ck_assert(cli.gcm.sent == 3 && dev.gcm.sent == 1);
	bs_conn_fini(&dev);
	bs_conn_fini(&cli);
}
END_TEST

/* Neither suite opens what the other sealed, though the keys are the same. */
START_TEST(suites_do_not_mix)
{
	uint8_t pkt[300];
	size_t len;

	connect();
	cli.suite = &bs_suite_aes_cbc;
	len = send_stream(&cli, pkt);
	ck_assert_int_eq(take(&dev, pkt, len, 7), BS_ESUITE);
	cli.suite = &bs_suite_aes_gcm;
	dev.suite = &bs_suite_aes_cbc;
	len = send_stream(&cli, pkt);
	ck_assert_int_eq(take(&dev, pkt, len, 7), BS_ESUITE);
}
END_TEST

Suite *bs_suite_suite_gcm(void);

Suite *bs_suite_suite_gcm(void)
{
	Suite *s = suite_create("suite_gcm");
	TCase *tc = tcase_create("suite_gcm");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, the_published_values, 0, 4);
	tcase_add_test(tc, many_keys_at_once);
	tcase_add_test(tc, every_length_there_and_back);
	tcase_add_test(tc, as_the_manual_says);
	tcase_add_test(tc, built_in_place);
	tcase_add_test(tc, no_bit_can_be_turned);
	tcase_add_test(tc, cut_at_every_byte);
	tcase_add_test(tc, each_number_once_in_any_order);
	tcase_add_test(tc, the_edges_of_the_window);
	tcase_add_loop_test(tc, agrees_with_a_simple_window, 0, 4);
	tcase_add_test(tc, numbers_end);
	tcase_add_test(tc, number_zero_is_refused);
	tcase_add_test(tc, a_backend_that_fails_or_lacks_it);
	tcase_add_test(tc, the_table_alone_refuses);
	tcase_add_test(tc, a_connection_counts);
	tcase_add_test(tc, suites_do_not_mix);
	suite_add_tcase(s, tc);
	return s;
}
