/* SPDX-License-Identifier: Apache-2.0 */
/* test_attach_cookie.c - cookies and challenges: the same for the same, and for nothing else. */
#include "proto/attach_cookie.h"

#include "support.h"
#include "util/endpoint.h"

static const uint8_t secret[BS_SERVER_SECRET_LEN] = { 0x5E, 0xC2 };
static const uint8_t other[BS_SERVER_SECRET_LEN] = { 0x5E, 0xC3 };
static const uint8_t nonce_d[BS_NONCE_LEN] = { 0xD0 };
static struct bs_crypto crypto;
static struct bs_test_rng rng;
static struct bs_endpoint peer;

static void setup(void)
{
	memset(&rng, 0, sizeof(rng));
	bs_test_crypto(&crypto, &rng);
	memset(&peer, 0, sizeof(peer));
	bs_endpoint_set_ip4(&peer, 0xC0000201u, 4001);
}

#define NOW UINT64_C(1700000000)

START_TEST(a_cookie_is_good_for_two_epochs)
{
	struct bs_slice id = bs_test_text("cam1.base.test");
	uint64_t start = NOW / BS_COOKIE_EPOCH_S * BS_COOKIE_EPOCH_S;
	uint8_t cookie[BS_COOKIE_LEN];

	ck_assert_int_eq(bs_cookie_make(&crypto, secret, start, &peer, id, cookie), BS_OK);
	ck_assert(bs_cookie_ok(&crypto, secret, start, &peer, id, cookie));
	ck_assert(bs_cookie_ok(&crypto, secret, start + 2 * BS_COOKIE_EPOCH_S - 1, &peer, id,
			       cookie));
	ck_assert(!bs_cookie_ok(&crypto, secret, start + 2 * BS_COOKIE_EPOCH_S, &peer, id, cookie));
	/* A clock that was set back. */
	ck_assert(!bs_cookie_ok(&crypto, secret, start - 1, &peer, id, cookie));
}
END_TEST

START_TEST(a_cookie_is_for_one_address_and_id)
{
	struct bs_slice id = bs_test_text("cam1.base.test");
	struct bs_endpoint away = peer;
	uint8_t cookie[BS_COOKIE_LEN];
	size_t bit;

	ck_assert_int_eq(bs_cookie_make(&crypto, secret, NOW, &peer, id, cookie), BS_OK);
	/* The port may change: NATs do that. */
	away.port++;
	ck_assert(bs_cookie_ok(&crypto, secret, NOW, &away, id, cookie));
	away.ip[BS_IP_LEN - 1] ^= 1;
	ck_assert(!bs_cookie_ok(&crypto, secret, NOW, &away, id, cookie));
	ck_assert(
		!bs_cookie_ok(&crypto, secret, NOW, &peer, bs_test_text("cam2.base.test"), cookie));
	ck_assert(!bs_cookie_ok(&crypto, other, NOW, &peer, id, cookie));
	for (bit = 0; bit < 8 * sizeof(cookie); bit++) {
		cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert(!bs_cookie_ok(&crypto, secret, NOW, &peer, id, cookie));
		cookie[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}
END_TEST

static struct bs_challenge sample(void)
{
	struct bs_challenge ch;

	memset(&ch, 0, sizeof(ch));
	ch.unix_ms = NOW * 1000 + 17;
	ch.offered = 0x1F3;
	ch.granted = 0x133;
	ch.nsi = 0x12345678;
	ch.number = 99;
	ch.peer = &peer;
	ch.nonce_d = nonce_d;
	return ch;
}

START_TEST(a_nonce_says_what_it_was_made_of)
{
	struct bs_challenge ch = sample();
	struct bs_challenge out = sample();
	uint8_t nonce[BS_NONCE_LEN];
	uint8_t again[BS_NONCE_LEN];
	uint8_t seed[BS_NONCE_LEN];

	ck_assert_int_eq(bs_challenge_secrets(&crypto, secret, &ch, nonce, seed), BS_OK);
	out.unix_ms = 0;
	out.offered = 0;
	out.granted = 0;
	ck_assert(bs_challenge_read(nonce, ch.unix_ms + 10000, 10000, &out));
	ck_assert_uint_eq(out.unix_ms, ch.unix_ms);
	ck_assert_uint_eq(out.offered, ch.offered);
	ck_assert_uint_eq(out.granted, ch.granted);
	ck_assert_int_eq(bs_challenge_secrets(&crypto, secret, &out, again, seed), BS_OK);
	ck_assert_mem_eq(nonce, again, sizeof(nonce));
	ck_assert(!bs_challenge_read(nonce, ch.unix_ms + 10001, 10000, &out));
	/* From the future: the clock was set back, or somebody made it up. */
	ck_assert(!bs_challenge_read(nonce, ch.unix_ms - 1, 10000, &out));
	/* The low half of the time comes round in 50 days; then the nonce is another one. */
	ck_assert(bs_challenge_read(nonce, ch.unix_ms + (UINT64_C(1) << 32) + 5, 10000, &out));
	ck_assert_int_eq(bs_challenge_secrets(&crypto, secret, &out, again, seed), BS_OK);
	ck_assert_mem_ne(nonce, again, sizeof(nonce));
}
END_TEST

/* Whatever changes, both secrets change, so that nothing can be carried to another exchange. */
START_TEST(a_challenge_binds_everything)
{
	struct bs_challenge ch = sample();
	struct bs_endpoint away = peer;
	static const uint8_t nonce2[BS_NONCE_LEN] = { 0xD1 };
	uint8_t nonce[2][BS_NONCE_LEN];
	uint8_t seed[2][BS_NONCE_LEN];

	ck_assert_int_eq(bs_challenge_secrets(&crypto, secret, &ch, nonce[0], seed[0]), BS_OK);
	ck_assert_mem_ne(nonce[0] + 12, seed[0] + 12, 20);
	switch (_i) {
	case 0: ch.unix_ms++; break;
	case 1: ch.offered ^= 2; break;
	case 2: ch.granted ^= 2; break;
	case 3: ch.nsi ^= 1; break;
	case 4: ch.number ^= 1; break;
	case 5: away.port ^= 1; break;
	case 6: away.ip[0] ^= 1; break;
	case 7: ch.nonce_d = nonce2; break;
	default: break;
	}
	ch.peer = &away;
	ck_assert_int_eq(
		bs_challenge_secrets(&crypto, _i == 8 ? other : secret, &ch, nonce[1], seed[1]),
		BS_OK);
	ck_assert_mem_ne(nonce[0] + 12, nonce[1] + 12, 20);
	ck_assert_mem_ne(seed[0], seed[1], BS_NONCE_LEN);
}
END_TEST

Suite *bs_suite_attach_cookie(void);

Suite *bs_suite_attach_cookie(void)
{
	Suite *s = suite_create("attach_cookie");
	TCase *tc = tcase_create("cookie");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_cookie_is_good_for_two_epochs);
	tcase_add_test(tc, a_cookie_is_for_one_address_and_id);
	tcase_add_test(tc, a_nonce_says_what_it_was_made_of);
	tcase_add_loop_test(tc, a_challenge_binds_everything, 0, 9);
	suite_add_tcase(s, tc);
	return s;
}
