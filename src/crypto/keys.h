/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - the key schedule: A and C keys (basestation-wire(7), KEYS).  D blocks are random.
 */
#ifndef BS_CRYPTO_KEYS_H
#define BS_CRYPTO_KEYS_H

#include "basestation/wire.h"
#include "crypto/crypto.h"

/** Most public and most secret parts of a block. */
#define BS_KEYS_PARTS_MAX 4
/** Most bytes of all public parts together: two nonces, the longest that any key needs. */
#define BS_KEYS_PUB_MAX 64

/**
 * Key block from up to 4 public and 4 secret parts: extract = PRF(N, S), then T1 | T2 | T3.
 * Returns BS_OK, BS_EINVAL for too many or too long parts (nothing written), or BS_ECRYPTO (*out
 * is zero then).  Wipes its intermediates.
 */
BS_MUSTCHECK int bs_keys_derive(const struct bs_crypto *c, const struct bs_slice *pub, size_t n_pub,
				const struct bs_slice *sec, size_t n_sec, struct bs_key_block *out);
/** A key of a device: N = id, S = pre-shared secret (16 bytes). */
BS_MUSTCHECK int bs_keys_derive_a(const struct bs_crypto *c, struct bs_slice id, const uint8_t *psk,
				  struct bs_key_block *out);
/** C key of an attachment; each part is 32 bytes, server first. */
BS_MUSTCHECK int bs_keys_derive_c(const struct bs_crypto *c, const uint8_t *nonce_s,
				  const uint8_t *nonce_d, const uint8_t *seed_s,
				  const uint8_t *seed_d, struct bs_key_block *out);

/**
 * bs_keys_derive_pair - the block of a connection with a pairing secret (extension PAIR)
 *
 * @d       D block, which the basestation knows
 * @secret  [32], which it does not know
 * @nsi     connection number
 * @attempt [8] attempt id
 * @out     may be d
 */
BS_MUSTCHECK int bs_keys_derive_pair(const struct bs_crypto *c, const struct bs_key_block *d,
				     const uint8_t *secret, uint32_t nsi, const uint8_t *attempt,
				     struct bs_key_block *out);

/** The halves of a block as one end uses them (borrowed pointers into the block). */
const uint8_t *bs_key_aes_tx(const struct bs_key_block *k, enum bs_role self);
const uint8_t *bs_key_aes_rx(const struct bs_key_block *k, enum bs_role self);
const uint8_t *bs_key_mac_tx(const struct bs_key_block *k, enum bs_role self);
const uint8_t *bs_key_mac_rx(const struct bs_key_block *k, enum bs_role self);

#endif
