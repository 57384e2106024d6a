/* SPDX-License-Identifier: Apache-2.0 */
/*
 * small_impl.h - the parts of the small backend, for small.c and its tests only.
 *
 * On AVR constant tables would be copied to RAM at start; BS__FLASH keeps them in flash, and they
 * are read through bs__flash_*.
 */
#ifndef BS_CRYPTO_SMALL_IMPL_H
#define BS_CRYPTO_SMALL_IMPL_H

#include "crypto/crypto.h"

#ifdef __AVR__
# include <avr/pgmspace.h>
# define BS__FLASH        PROGMEM
# define bs__flash_u8(p)  pgm_read_byte(p)
# define bs__flash_u32(p) ((uint32_t)pgm_read_dword(p))
# define bs__flash_copy   memcpy_P
#else
# include <string.h>
# define BS__FLASH
# define bs__flash_u8(p)  (*(p))
# define bs__flash_u32(p) (*(p))
# define bs__flash_copy   memcpy
#endif

/* A hash under way; 100 bytes. */
struct bs__sha256 {
	uint32_t h[8];
	uint32_t len; /* bytes so far; more than 512 MB is not supported */
	uint8_t buf[64];
};

void bs__sha256_init(struct bs__sha256 *s);
void bs__sha256_update(struct bs__sha256 *s, const uint8_t *data, size_t len);
/* Writes 32 bytes and wipes the state. */
void bs__sha256_final(struct bs__sha256 *s, uint8_t *out);
int bs__small_hmac_sha256(void *ctx, const uint8_t *key, size_t key_len, const struct bs_slice *msg,
			  size_t n, uint8_t *out);

int bs__small_cbc_encrypt(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf,
			  size_t len);
int bs__small_cbc_decrypt(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf,
			  size_t len);

#endif
