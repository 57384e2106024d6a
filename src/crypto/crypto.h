/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto.h - the function table between the core and a crypto backend.
 *
 * Two backends exist: openssl.c (server, client SDK, POSIX device port) and small.c (bare C for
 * small controllers).  The core reaches encryption, MAC and randomness only through this table, so
 * a port may put a hardware engine behind it and a test may script the random bytes.
 *
 * Thread: a table belongs to one thread unless the backend says otherwise.
 */
#ifndef BS_CRYPTO_CRYPTO_H
#define BS_CRYPTO_CRYPTO_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Bytes of an AES-128 key, an AES block and an IV. */
#define BS_AES_LEN 16
/** Bytes of an HMAC-SHA-256 result. */
#define BS_SHA256_LEN 32

/** A crypto backend. */
struct bs_crypto {
	void *ctx; /**< backend state, passed to each function; borrowed */
	/** HMAC-SHA-256 over n pieces of msg. BS_OK or BS_ECRYPTO. */
	int (*hmac_sha256)(void *ctx, const uint8_t *key, size_t key_len,
			   const struct bs_slice *msg, size_t n, uint8_t *out);
	/** AES-128-CBC in place over len bytes, a multiple of 16 (else BS_EINVAL); no padding.
	 *  BS_OK or BS_ECRYPTO. */
	int (*aes128_cbc_encrypt)(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf,
				  size_t len);
	/** The reverse. */
	int (*aes128_cbc_decrypt)(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf,
				  size_t len);
	/** len unpredictable bytes. BS_OK, or BS_ERANDOM: nothing that needs them may be sent. */
	int (*random)(void *ctx, uint8_t *buf, size_t len);
};

/** Overwrite len bytes so that the compiler cannot leave it out. */
void bs_wipe(void *buf, size_t len);
/** Compare in constant time: true when equal. */
bool bs_equal_secret(const void *a, const void *b, size_t len);

#endif
