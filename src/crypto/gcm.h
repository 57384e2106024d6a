/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcm.h - AES-256-GCM and SHA-256 of the OpenSSL backend, for what the server keeps or seals for
 * itself (registry secrets, tickets).  Not part of the core.
 *
 * Thread: a context belongs to one thread.
 */
#ifndef BS_CRYPTO_GCM_H
#define BS_CRYPTO_GCM_H

#include "crypto/crypto.h"

/** Bytes of key, nonce and tag. */
#define BS_GCM_KEY_LEN   32
#define BS_GCM_NONCE_LEN 12
#define BS_GCM_TAG_LEN   16

struct bs_gcm;

/** A context with this key; NULL when memory or the algorithm is missing. */
struct bs_gcm *bs_gcm_new(const uint8_t key[static BS_GCM_KEY_LEN]);
/** Wipe and free; NULL is fine. */
void bs_gcm_free(struct bs_gcm *g);
/** out = [plain.len], tag = [16]; a nonce must never repeat under a key.  BS_OK or BS_ECRYPTO. */
BS_MUSTCHECK int bs_gcm_seal(struct bs_gcm *g, const uint8_t nonce[static BS_GCM_NONCE_LEN],
			     struct bs_slice ad, struct bs_slice plain, uint8_t *out,
			     uint8_t tag[static BS_GCM_TAG_LEN]);
/** out = [cipher.len], wiped unless BS_OK.  BS_OK, BS_EMAC or BS_ECRYPTO. */
BS_MUSTCHECK int bs_gcm_open(struct bs_gcm *g, const uint8_t nonce[static BS_GCM_NONCE_LEN],
			     struct bs_slice ad, struct bs_slice cipher,
			     const uint8_t tag[static BS_GCM_TAG_LEN], uint8_t *out);
/**
 * The same as a table whose context is a struct bs_gcm: keys of 32 bytes, a new one with each call,
 * in place.  For packets under many keys; afterwards the context has the key of the last call, so
 * it is not the one that bs_gcm_seal and bs_gcm_open use.  forget wipes that key.
 */
const struct bs_aead *bs_gcm_aead(void);
/** SHA-256 of some bytes.  BS_OK or BS_ECRYPTO. */
BS_MUSTCHECK int bs_gcm_sha256(struct bs_slice data, uint8_t out[static BS_SHA256_LEN]);

#endif
