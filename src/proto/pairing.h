/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pairing.h - keys of a pairing, the same on both ends (basestation-wire(7), PAIRING).
 *
 * What is printed on a device becomes a pre-shared key under which a client pairs; the pairing
 * secret that they make then becomes the client's own key for local connections, and goes into the
 * session key of connections through the basestation (extension PAIR).
 *
 * Any thread.  May call: util, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_PAIRING_H
#define BS_PROTO_PAIRING_H

#include "crypto/keys.h"
#include "wire/local.h"

/** Most bytes of a printed secret that count. */
#define BS_PAIR_TEXT_MAX 64
/** Rounds from the printed secret to the key: an eavesdropper's guesses cost as much. */
#define BS_PAIR_ROUNDS 10000

/** Name of the key that is made from the printed secret. */
extern const uint8_t bs_pairing_key_id[BS_KEY_ID_LEN];

/**
 * bs_pairing_psk - key from the printed secret: PBKDF2-HMAC-SHA-256, first 16 bytes
 *
 * @device id of the device, part of the salt
 * @text   as printed; spaces and "-" do not count
 *
 * Returns BS_OK, BS_EINVAL (nothing left, or too long) or BS_ECRYPTO.  Takes milliseconds.
 */
BS_MUSTCHECK int bs_pairing_psk(const struct bs_crypto *c, struct bs_slice device,
				struct bs_slice text, uint8_t psk[BS_PSK_LEN]);
/** Name of a client's own key, from the number of its pairing secret. */
void bs_pairing_user_key_id(const uint8_t id[BS_PAIR_ID_LEN], uint8_t key_id[BS_KEY_ID_LEN]);
/** The number inside such a name; false when it is another kind of name. */
bool bs_pairing_user_id(const uint8_t key_id[BS_KEY_ID_LEN], uint8_t id[BS_PAIR_ID_LEN]);
/** A client's own key for local connections, from its pairing secret. */
BS_MUSTCHECK int bs_pairing_user_psk(const struct bs_crypto *c, struct bs_slice device,
				     const uint8_t secret[BS_PAIR_SECRET_LEN],
				     uint8_t psk[BS_PSK_LEN]);

#endif
