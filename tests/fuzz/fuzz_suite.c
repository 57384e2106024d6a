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
	    bs_payload_last(&p, BS_PL_CRYPTO, &off) == BS_OK)
		open_all(&c, &k, pkt, len, off);
	free(pkt);
	return 0;
}
