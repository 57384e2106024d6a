/* SPDX-License-Identifier: Apache-2.0 */
/* test_alive_auth.c - counters and MACs of keep-alives: forged, replayed, out of order. */
#include "proto/alive_auth.h"

#include "support.h"
#include "util/cursor.h"
#include "wire/alive.h"

static struct bs_test_rng rng;
static struct bs_crypto crypto;
static struct bs_key_block key;
static struct bs_window seen;
static uint32_t sent;
static bool newest;

static void setup(void)
{
	size_t i;

	memset(&rng, 0, sizeof(rng));
	memset(&seen, 0, sizeof(seen));
	sent = 0;
	bs_test_crypto(&crypto, &rng);
	for (i = 0; i < sizeof(key.b); i++)
		key.b[i] = (uint8_t)i;
}

static size_t request(uint8_t *buf, size_t cap)
{
	struct bs_alive_request m;
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.nsi = 0x11223344;
	m.seq = 7;
	m.has_time = true;
	m.interval_s = 30;
	len = bs_alive_request_encode(buf, cap, &m);
	ck_assert_int_gt(len, 0);
	len = bs_alive_auth_seal(&crypto, &key, BS_INITIATOR, &sent, buf, (size_t)len, cap);
	ck_assert_int_gt(len, 0);
	return (size_t)len;
}

static int open_as(enum bs_role self, const uint8_t *pkt, size_t len)
{
	uint8_t *copy = bs_test_copy(pkt, len);
	struct bs_packet p;
	int err = bs_packet_decode(copy, len, &p);

	if (!err)
		err = bs_alive_auth_open(&crypto, &key, self, &seen, &p, &newest);
	free(copy);
	return err;
}

static int open_pkt(const uint8_t *pkt, size_t len)
{
	return open_as(BS_RESPONDER, pkt, len);
}

START_TEST(sealed_and_opened)
{
	uint8_t pkt[128];
	size_t len = request(pkt, sizeof(pkt));

	ck_assert_uint_eq(len, 25 + 6 + BS_ALIVE_AUTH_LEN);
	ck_assert_uint_eq(sent, 1);
	ck_assert_int_eq(open_pkt(pkt, len), BS_OK);
	ck_assert(newest);
	ck_assert_int_eq(open_pkt(pkt, len), BS_EREPLAY);
	len = request(pkt, sizeof(pkt));
	ck_assert_uint_eq(sent, 2);
	ck_assert_int_eq(open_pkt(pkt, len), BS_OK);
}
END_TEST

/* A packet that came back to its sender is not the other's. */
START_TEST(each_direction_has_its_key)
{
	uint8_t pkt[128];
	size_t len = request(pkt, sizeof(pkt));

	ck_assert_int_eq(open_as(BS_INITIATOR, pkt, len), BS_EMAC);
	ck_assert_uint_eq(seen.seen, 0);
}
END_TEST

START_TEST(another_attachment_has_another_key)
{
	uint8_t pkt[128];
	size_t len = request(pkt, sizeof(pkt));

	key.b[40] ^= 1;
	ck_assert_int_eq(open_pkt(pkt, len), BS_EMAC);
}
END_TEST

START_TEST(every_bit_counts)
{
	uint8_t pkt[128];
	size_t len = request(pkt, sizeof(pkt));
	size_t i;

	for (i = 0; i < len * 8; i++) {
		pkt[i / 8] ^= (uint8_t)(1u << i % 8);
		ck_assert_int_ne(open_pkt(pkt, len), BS_OK);
		pkt[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	ck_assert_uint_eq(seen.seen, 0);
	ck_assert_int_eq(open_pkt(pkt, len), BS_OK);
}
END_TEST

START_TEST(any_order_within_the_window)
{
	uint8_t pkt[80][128];
	size_t len = 0;
	unsigned i;

	for (i = 0; i < 80; i++)
		len = request(pkt[i], sizeof(pkt[i]));
	ck_assert_int_eq(open_pkt(pkt[79], len), BS_OK);
	ck_assert(newest);
	for (i = 78; i > 15; i--) {
		ck_assert_int_eq(open_pkt(pkt[i], len), BS_OK);
		ck_assert(!newest);
	}
	/* Number 16 is 64 below the highest. */
	ck_assert_int_eq(open_pkt(pkt[15], len), BS_EREPLAY);
	for (i = 16; i < 80; i++)
		ck_assert_int_eq(open_pkt(pkt[i], len), BS_EREPLAY);
}
END_TEST

/* The payload must be the last one, of this length, with a counter above 0. */
START_TEST(forms)
{
	uint8_t pkt[128];
	struct bs_writer w;
	uint8_t data[16] = { 0 };
	bs_ssize len;
	size_t n;

	for (n = 0; n <= 16; n++) {
		bs_packet_start(&w, pkt, sizeof(pkt), BS_TYPE_U_ALIVE, 0, 1, 7);
		data[3] = 1;
		bs_packet_add(&w, BS_PL_ALIVE_AUTH, BS_PLF_OPTIONAL, data, n);
		len = bs_packet_finish(&w);
		ck_assert_int_eq(open_pkt(pkt, (size_t)len), n == 12 ? BS_EMAC : BS_EFIELD);
	}
	data[3] = 0;
	bs_packet_start(&w, pkt, sizeof(pkt), BS_TYPE_U_ALIVE, 0, 1, 7);
	bs_packet_add(&w, BS_PL_ALIVE_AUTH, BS_PLF_OPTIONAL, data, 12);
	len = bs_packet_finish(&w);
	ck_assert_int_eq(open_pkt(pkt, (size_t)len), BS_EREPLAY);
	bs_packet_start(&w, pkt, sizeof(pkt), BS_TYPE_U_ALIVE, 0, 1, 7);
	len = bs_packet_finish(&w);
	ck_assert_int_eq(open_pkt(pkt, (size_t)len), BS_EMISSING);

	sent = 0;
	n = request(pkt, sizeof(pkt));
	w.buf = pkt;
	w.cap = sizeof(pkt);
	w.len = n;
	w.bad = false;
	bs_packet_add(&w, BS_PL_PAD, BS_PLF_OPTIONAL, data, 1);
	len = bs_packet_finish(&w);
	ck_assert_int_eq(open_pkt(pkt, (size_t)len), BS_EMISSING);
}
END_TEST

/* A counter is used up before anything else can fail: no packet ever shares one. */
START_TEST(no_counter_twice)
{
	uint8_t pkt[64];
	bs_ssize len;

	memset(pkt, 0, sizeof(pkt));
	len = bs_alive_auth_seal(&crypto, &key, BS_INITIATOR, &sent, pkt, 60, sizeof(pkt));
	ck_assert_int_eq((int)len, BS_ETOOBIG);
	sent = UINT32_MAX - 1;
	len = bs_alive_auth_seal(&crypto, &key, BS_INITIATOR, &sent, pkt, 24, sizeof(pkt));
	ck_assert_int_eq((int)len, 24 + BS_ALIVE_AUTH_LEN);
	len = bs_alive_auth_seal(&crypto, &key, BS_INITIATOR, &sent, pkt, 24, sizeof(pkt));
	ck_assert_int_eq((int)len, BS_ESTATE);
	ck_assert_uint_eq(sent, UINT32_MAX);
}
END_TEST

Suite *bs_suite_alive_auth(void);

Suite *bs_suite_alive_auth(void)
{
	Suite *s = suite_create("alive_auth");
	TCase *t = tcase_create("alive_auth");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, sealed_and_opened);
	tcase_add_test(t, each_direction_has_its_key);
	tcase_add_test(t, another_attachment_has_another_key);
	tcase_add_test(t, every_bit_counts);
	tcase_add_test(t, any_order_within_the_window);
	tcase_add_test(t, forms);
	tcase_add_test(t, no_counter_twice);
	suite_add_tcase(s, t);
	return s;
}
