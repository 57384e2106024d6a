/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4) and HMAC (FIPS 198-1), small before fast. */
#include "crypto/small_impl.h"

#include <string.h>

#include "util/cursor.h"

enum {
	BLOCK_LEN = 64,
	LEN_OFF = 56,
	IPAD = 0x36,
	OPAD = 0x5C
};

/* clang-format off */
static const uint32_t start[8] BS__FLASH = {
	0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
	0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
};

static const uint32_t round_k[64] BS__FLASH = {
	0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5,
	0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
	0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3,
	0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
	0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC,
	0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
	0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7,
	0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
	0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13,
	0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
	0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3,
	0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
	0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5,
	0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
	0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208,
	0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
};
/* clang-format on */

static uint32_t rotr(uint32_t x, uint8_t n)
{
	return x >> n | x << (32 - n);
}

/* Both sigma functions of a pair: three rotations, the last one a shift when asked for. */
static uint32_t big_sigma(uint32_t x, uint8_t a, uint8_t b, uint8_t c)
{
	return rotr(x, a) ^ rotr(x, b) ^ rotr(x, c);
}

static uint32_t small_sigma(uint32_t x, uint8_t a, uint8_t b, uint8_t c)
{
	return rotr(x, a) ^ rotr(x, b) ^ x >> c;
}

/* The message schedule lives in 16 words: word i replaces word i - 16. */
static void compress(struct bs__sha256 *s)
{
	uint32_t w[16];
	uint32_t v[8];
	uint8_t i;

	memcpy(v, s->h, sizeof(v));
	for (i = 0; i < 16; i++)
		w[i] = bs_get_u32(s->buf + 4 * i);
	for (i = 0; i < 64; i++) {
		uint32_t t1;
		uint32_t t2;

		if (i >= 16)
			w[i & 15] += small_sigma(w[(i + 1) & 15], 7, 18, 3) + w[(i + 9) & 15] +
				     small_sigma(w[(i + 14) & 15], 17, 19, 10);
		t1 = v[7] + big_sigma(v[4], 6, 11, 25) + ((v[4] & v[5]) ^ (~v[4] & v[6])) +
		     bs__flash_u32(&round_k[i]) + w[i & 15];
		t2 = big_sigma(v[0], 2, 13, 22) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
		memmove(v + 1, v, 7 * sizeof(v[0]));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (i = 0; i < 8; i++)
		s->h[i] += v[i];
	bs_wipe(w, sizeof(w));
}

void bs__sha256_init(struct bs__sha256 *s)
{
	bs__flash_copy(s->h, start, sizeof(s->h));
	s->len = 0;
}

void bs__sha256_update(struct bs__sha256 *s, const uint8_t *data, size_t len)
{
	while (len--) {
		s->buf[s->len++ % BLOCK_LEN] = *data++;
		if (s->len % BLOCK_LEN == 0)
			compress(s);
	}
}

void bs__sha256_final(struct bs__sha256 *s, uint8_t *out)
{
	uint32_t len = s->len;
	uint8_t pad = 0x80;
	uint8_t i;

	do {
		bs__sha256_update(s, &pad, 1);
		pad = 0;
	} while (s->len % BLOCK_LEN != LEN_OFF);
	bs_put_u32(s->buf + LEN_OFF, len >> 29);
	bs_put_u32(s->buf + LEN_OFF + 4, len << 3);
	compress(s);
	for (i = 0; i < 8; i++)
		bs_put_u32(out + 4 * i, s->h[i]);
	bs_wipe(s, sizeof(*s));
}

static void start_keyed(struct bs__sha256 *s, const uint8_t *key, size_t key_len, uint8_t pad)
{
	uint8_t block[BLOCK_LEN];
	uint8_t i;

	for (i = 0; i < BLOCK_LEN; i++)
		block[i] = (uint8_t)((i < key_len ? key[i] : 0) ^ pad);
	bs__sha256_init(s);
	bs__sha256_update(s, block, sizeof(block));
	bs_wipe(block, sizeof(block));
}

int bs__small_hmac_sha256(void *ctx, const uint8_t *key, size_t key_len, const struct bs_slice *msg,
			  size_t n, uint8_t *out)
{
	struct bs__sha256 s;
	uint8_t short_key[BS_SHA256_LEN];

	(void)ctx;
	if (key_len > BLOCK_LEN) {
		bs__sha256_init(&s);
		bs__sha256_update(&s, key, key_len);
		bs__sha256_final(&s, short_key);
		key = short_key;
		key_len = sizeof(short_key);
	}
	start_keyed(&s, key, key_len, IPAD);
	for (; n; n--, msg++)
		bs__sha256_update(&s, msg->ptr, msg->len);
	bs__sha256_final(&s, out);
	start_keyed(&s, key, key_len, OPAD);
	bs__sha256_update(&s, out, BS_SHA256_LEN);
	bs__sha256_final(&s, out);
	bs_wipe(short_key, sizeof(short_key));
	return BS_OK;
}
