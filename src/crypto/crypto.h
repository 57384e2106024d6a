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

/** Bytes of a GCM nonce and tag. */
#define BS_AEAD_NONCE_LEN 12
#define BS_AEAD_TAG_LEN   16

/**
 * AES-GCM of a backend, in place over [len] of buf.  Keys are 16 bytes (those of connect tickets
 * 32, see gcm.h); the backend may keep
 * what it made of a key until forget, so that the next packet under it is cheap.
 */
struct bs_aead {
	/** Encrypt and write the tag.  A nonce never repeats under a key.  BS_OK, BS_ECRYPTO. */
	int (*seal)(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		    uint8_t *buf, size_t len, uint8_t *tag);
	/** Check the tag and decrypt.  BS_OK, BS_EMAC (buf is wiped) or BS_ECRYPTO. */
	int (*open)(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		    uint8_t *buf, size_t len, const uint8_t *tag);
	/** This key is not used any more. */
	void (*forget)(void *ctx, const uint8_t *key);
};

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
#if BS_WITH_CONN_EXT
	const struct bs_aead *aes128_gcm; /**< static; NULL: this backend has none */
#endif
};

/** AES-128-GCM of a backend, NULL when it or the build has none. */
static inline const struct bs_aead *bs_crypto_gcm(const struct bs_crypto *c)
{
#if BS_WITH_CONN_EXT
	return c->aes128_gcm;
#else
	(void)c;
	return NULL;
#endif
}

/** Set it. */
static inline void bs_crypto_set_gcm(struct bs_crypto *c, const struct bs_aead *gcm)
{
#if BS_WITH_CONN_EXT
	c->aes128_gcm = gcm;
#else
	(void)c;
	(void)gcm;
#endif
}

/** Overwrite len bytes so that the compiler cannot leave it out. */
void bs_wipe(void *buf, size_t len);
/** Compare in constant time: true when equal. */
bool bs_equal_secret(const void *a, const void *b, size_t len);

#endif
