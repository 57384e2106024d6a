/* SPDX-License-Identifier: Apache-2.0 */
/* CRYPTO payloads under a known key: raw input, and input sealed first so that it gets past the MAC
 * (the first byte says what is done with it). */
#include "crypto/small.h"
#include "crypto/suite.h"
#include "fuzz.h"
#include "wire/payload.h"

static int no_random(void *ctx, uint8_t *buf, size_t len)
{
	(void)ctx;
	memset(buf, 0x11, len);
	return BS_OK;
}

/* A good MAC over whatever the input says, so that padding and lengths are reached. */
static void sign(const struct bs_crypto *c, const struct bs_key_block *k, uint8_t *pkt, size_t len)
{
	struct bs_slice msg = { pkt, len - 16 };
	uint8_t mac[BS_SHA256_LEN];

	FUZZ_CHECK(c->hmac_sha256(c->ctx, bs_key_mac_tx(k, BS_INITIATOR), 32, &msg, 1, mac) ==
		   BS_OK);
	memcpy(pkt + len - 16, mac, 16);
}

static void open_all(const struct bs_crypto *c, const struct bs_key_block *k, uint8_t *pkt,
		     size_t len, size_t off)
{
	static const struct bs_suite *const suites[] = { &bs_suite_aes_cbc, &bs_suite_null };
	struct bs_slice plain;
	size_t i;

	for (i = 0; i < 2; i++) {
		int verified = suites[i]->verify(c, k, BS_RESPONDER, pkt, len, off);

		if (fuzz_taken(suites[i]->open(c, k, BS_RESPONDER, pkt, len, off, &plain))) {
			FUZZ_CHECK(verified == BS_OK);
			FUZZ_CHECK(plain.ptr >= pkt && plain.ptr + plain.len <= pkt + len);
			return;
		}
	}
}

static bool any_tag;

/* In place of GCM: the text stays as it is, and the tag is taken or not as the input says. */
static int open_any(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		    uint8_t *buf, size_t len, const uint8_t *tag)
{
	(void)ctx;
	(void)key;
	(void)nonce;
	FUZZ_CHECK(ad.ptr + ad.len == buf && buf + len == tag);
	return any_tag ? BS_OK : BS_EMAC;
}

/* The suite that counts: what it takes once it does not take again. */
static void open_counted(struct bs_crypto *c, const struct bs_key_block *k, uint8_t *pkt,
			 size_t len, size_t off)
{
	static const struct bs_aead fake = { NULL, open_any, NULL };
	struct bs_suite_gcm_state st = { 0 };
	struct bs_suite_gcm_state before;
	struct bs_slice plain;
	bool newest;

	bs_crypto_set_gcm(c, &fake);
	/* Somewhere in the middle of a connection. */
	st.high = 3000;
	before = st;
	if (!fuzz_taken(
		    bs_suite_gcm_open(c, k, BS_RESPONDER, &st, pkt, len, off, &plain, &newest))) {
		FUZZ_CHECK(memcmp(&st, &before, sizeof(st)) == 0);
		return;
	}
	FUZZ_CHECK(plain.ptr >= pkt && plain.ptr + plain.len <= pkt + len);
	FUZZ_CHECK(newest == (st.high > before.high));
	FUZZ_CHECK(bs_suite_gcm_open(c, k, BS_RESPONDER, &st, pkt, len, off, &plain, &newest) ==
		   BS_EREPLAY);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bs_key_block k;
	struct bs_crypto c;
	struct bs_packet p;
	uint8_t *pkt;
	size_t off;
	size_t i;
	bool forge;

	if (!len || len > BS_PACKET_MAX + 1)
		return 0;
	for (i = 0; i < sizeof(k.b); i++)
		k.b[i] = (uint8_t)i;
	bs_small_crypto_init(&c, no_random, NULL);
	forge = data[0] & 1;
	pkt = fuzz_packet(data + 1, --len);
	if (forge && len >= 32)
		sign(&c, &k, pkt, len);
	open_all(&c, &k, pkt, len, len / 2);
	if (bs_packet_decode(pkt, len, &p) == BS_OK &&
	    bs_payload_last(&p, BS_PL_CRYPTO, &off) == BS_OK) {
		open_all(&c, &k, pkt, len, off);
		any_tag = (data[0] & 2) != 0;
		open_counted(&c, &k, pkt, len, off);
	}
	free(pkt);
	return 0;
}
