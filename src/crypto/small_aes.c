/* SPDX-License-Identifier: Apache-2.0 */
/* AES-128 (FIPS 197) in CBC mode (SP 800-38A): round keys are computed as they are needed, forwards
 * and backwards, so that no expanded key takes RAM. */
#include "crypto/small_impl.h"

#include <string.h>

enum {
	ROUNDS = 10,
	RCON_LAST = 0x36
};

/* clang-format off */
static const uint8_t sbox[256] BS__FLASH = {
	0x63, 0x7C, 0x77, 0x7B, 0xF2, 0x6B, 0x6F, 0xC5,
	0x30, 0x01, 0x67, 0x2B, 0xFE, 0xD7, 0xAB, 0x76,
	0xCA, 0x82, 0xC9, 0x7D, 0xFA, 0x59, 0x47, 0xF0,
	0xAD, 0xD4, 0xA2, 0xAF, 0x9C, 0xA4, 0x72, 0xC0,
	0xB7, 0xFD, 0x93, 0x26, 0x36, 0x3F, 0xF7, 0xCC,
	0x34, 0xA5, 0xE5, 0xF1, 0x71, 0xD8, 0x31, 0x15,
	0x04, 0xC7, 0x23, 0xC3, 0x18, 0x96, 0x05, 0x9A,
	0x07, 0x12, 0x80, 0xE2, 0xEB, 0x27, 0xB2, 0x75,
	0x09, 0x83, 0x2C, 0x1A, 0x1B, 0x6E, 0x5A, 0xA0,
	0x52, 0x3B, 0xD6, 0xB3, 0x29, 0xE3, 0x2F, 0x84,
	0x53, 0xD1, 0x00, 0xED, 0x20, 0xFC, 0xB1, 0x5B,
	0x6A, 0xCB, 0xBE, 0x39, 0x4A, 0x4C, 0x58, 0xCF,
	0xD0, 0xEF, 0xAA, 0xFB, 0x43, 0x4D, 0x33, 0x85,
	0x45, 0xF9, 0x02, 0x7F, 0x50, 0x3C, 0x9F, 0xA8,
	0x51, 0xA3, 0x40, 0x8F, 0x92, 0x9D, 0x38, 0xF5,
	0xBC, 0xB6, 0xDA, 0x21, 0x10, 0xFF, 0xF3, 0xD2,
	0xCD, 0x0C, 0x13, 0xEC, 0x5F, 0x97, 0x44, 0x17,
	0xC4, 0xA7, 0x7E, 0x3D, 0x64, 0x5D, 0x19, 0x73,
	0x60, 0x81, 0x4F, 0xDC, 0x22, 0x2A, 0x90, 0x88,
	0x46, 0xEE, 0xB8, 0x14, 0xDE, 0x5E, 0x0B, 0xDB,
	0xE0, 0x32, 0x3A, 0x0A, 0x49, 0x06, 0x24, 0x5C,
	0xC2, 0xD3, 0xAC, 0x62, 0x91, 0x95, 0xE4, 0x79,
	0xE7, 0xC8, 0x37, 0x6D, 0x8D, 0xD5, 0x4E, 0xA9,
	0x6C, 0x56, 0xF4, 0xEA, 0x65, 0x7A, 0xAE, 0x08,
	0xBA, 0x78, 0x25, 0x2E, 0x1C, 0xA6, 0xB4, 0xC6,
	0xE8, 0xDD, 0x74, 0x1F, 0x4B, 0xBD, 0x8B, 0x8A,
	0x70, 0x3E, 0xB5, 0x66, 0x48, 0x03, 0xF6, 0x0E,
	0x61, 0x35, 0x57, 0xB9, 0x86, 0xC1, 0x1D, 0x9E,
	0xE1, 0xF8, 0x98, 0x11, 0x69, 0xD9, 0x8E, 0x94,
	0x9B, 0x1E, 0x87, 0xE9, 0xCE, 0x55, 0x28, 0xDF,
	0x8C, 0xA1, 0x89, 0x0D, 0xBF, 0xE6, 0x42, 0x68,
	0x41, 0x99, 0x2D, 0x0F, 0xB0, 0x54, 0xBB, 0x16,
};
/* clang-format on */

static void add(uint8_t *s, const uint8_t *k)
{
	uint8_t i;

	for (i = 0; i < BS_AES_LEN; i++)
		s[i] ^= k[i];
}

/* Times x in GF(2^8), without a branch on the data. */
static uint8_t times2(uint8_t x)
{
	return (uint8_t)((x << 1) ^ ((x >> 7) * 0x1B));
}

static uint8_t sub(uint8_t x)
{
	return bs__flash_u8(&sbox[x]);
}

/* SubBytes and ShiftRows at once: byte i comes from 5 * i, in the inverse from 13 * i (mod 16). */
static void sub_shift(uint8_t *s, uint8_t step)
{
	uint8_t t[BS_AES_LEN];
	uint8_t i;

	memcpy(t, s, sizeof(t));
	for (i = 0; i < BS_AES_LEN; i++)
		s[i] = sub(t[(i * step) & 15]);
}

/* Undo the affine half of SubBytes: rotations left by 1, 3 and 6. */
static void unaffine(uint8_t *s)
{
	uint8_t i;

	for (i = 0; i < BS_AES_LEN; i++) {
		uint16_t twice = (uint16_t)(s[i] << 8 | s[i]);

		s[i] = (uint8_t)(twice >> 7 ^ twice >> 5 ^ twice >> 2 ^ 5);
	}
}

/* SubBytes is the affine map after the inverse in GF(2^8), which undoes itself: with the map undone
 * on both sides the same table gives InvSubBytes, and a second one need not take flash. */
static void inv_sub_shift(uint8_t *s)
{
	unaffine(s);
	sub_shift(s, 13);
	unaffine(s);
}

static void mix(uint8_t *s)
{
	uint8_t i;
	uint8_t j;

	for (i = 0; i < BS_AES_LEN; i += 4, s += 4) {
		uint8_t first = s[0];
		uint8_t all = s[0] ^ s[1] ^ s[2] ^ s[3];

		for (j = 0; j < 4; j++)
			s[j] ^= all ^ times2(s[j] ^ (j < 3 ? s[j + 1] : first));
	}
}

/* InvMixColumns is MixColumns after multiplying by a sparse matrix of 5 and 4. */
static void inv_mix(uint8_t *s)
{
	uint8_t i;

	/* Bytes 0 and 2 of a column share their term, as do 1 and 3. */
	for (i = 0; i < BS_AES_LEN / 2; i++) {
		uint8_t *p = s + 2 * i - (i & 1);
		uint8_t term = times2(times2(p[0] ^ p[2]));

		p[0] ^= term;
		p[2] ^= term;
	}
	mix(s);
}

/* First word of the next round key from the last of this one; its own inverse. */
static void key_core(uint8_t *k, uint8_t rcon)
{
	uint8_t i;

	for (i = 0; i < 4; i++)
		k[i] ^= sub(k[12 + ((i + 1) & 3)]);
	k[0] ^= rcon;
}

static void next_key(uint8_t *k, uint8_t rcon)
{
	uint8_t i;

	key_core(k, rcon);
	for (i = 4; i < BS_AES_LEN; i++)
		k[i] ^= k[i - 4];
}

static void prev_key(uint8_t *k, uint8_t rcon)
{
	uint8_t i;

	for (i = BS_AES_LEN - 1; i >= 4; i--)
		k[i] ^= k[i - 4];
	key_core(k, rcon);
}

/* k is the cipher key and becomes the last round key. */
static void encrypt(uint8_t *s, uint8_t *k)
{
	uint8_t rcon = 1;
	uint8_t round;

	add(s, k);
	for (round = 1; round <= ROUNDS; round++) {
		sub_shift(s, 5);
		if (round < ROUNDS)
			mix(s);
		next_key(k, rcon);
		add(s, k);
		rcon = times2(rcon);
	}
}

/* k is the last round key and becomes the cipher key. */
static void decrypt(uint8_t *s, uint8_t *k)
{
	uint8_t rcon = RCON_LAST;
	uint8_t round;

	add(s, k);
	for (round = ROUNDS; round; round--) {
		inv_sub_shift(s);
		prev_key(k, rcon);
		add(s, k);
		if (round > 1)
			inv_mix(s);
		rcon = (uint8_t)((rcon >> 1) ^ ((rcon & 1) * 0x8D));
	}
}

int bs__small_cbc_encrypt(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf,
			  size_t len)
{
	uint8_t k[BS_AES_LEN];

	(void)ctx;
	if (len % BS_AES_LEN)
		return BS_EINVAL;
	for (; len; len -= BS_AES_LEN) {
		memcpy(k, key, sizeof(k));
		add(buf, iv);
		encrypt(buf, k);
		iv = buf;
		buf += BS_AES_LEN;
	}
	bs_wipe(k, sizeof(k));
	return BS_OK;
}

/* From the last block to the first, so that each one's predecessor is still there. */
int bs__small_cbc_decrypt(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf,
			  size_t len)
{
	uint8_t k[BS_AES_LEN];
	uint8_t rcon = 1;
	uint8_t i;

	(void)ctx;
	if (len % BS_AES_LEN)
		return BS_EINVAL;
	memcpy(k, key, sizeof(k));
	while (len) {
		len -= BS_AES_LEN;
		for (i = 0, rcon = 1; i < ROUNDS; i++, rcon = times2(rcon))
			next_key(k, rcon);
		decrypt(buf + len, k);
		add(buf + len, len ? buf + len - BS_AES_LEN : iv);
	}
	bs_wipe(k, sizeof(k));
	return BS_OK;
}
