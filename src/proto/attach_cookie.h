/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach_cookie.h - attach without memory: the server's end of extension COOKIE
 * (basestation-wire(7), EXTENSIONS).
 *
 * What a server would have to remember of a device that has proven nothing, it gives to the device
 * to keep.  A cookie shows that the device's address receives what is sent to it.  The challenge's
 * nonce says when it was made and what was offered and granted, and carries a PRF of that, of the
 * device, its nonce, its endpoint and the attachment number: what comes back under the device's MAC
 * is believed if it is ours and fresh, and nothing was stored meanwhile.
 *
 * Any thread; no state.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_ATTACH_COOKIE_H
#define BS_PROTO_ATTACH_COOKIE_H

#include "crypto/crypto.h"
#include "wire/invite.h"

/** Seconds of an epoch of cookies; the one before is accepted too. */
#define BS_COOKIE_EPOCH_S 120

/** The server's secret that all of this is computed with, 32 bytes. */
#define BS_SERVER_SECRET_LEN 32

/** The cookie of a device id at an address (its port does not count), for a moment in Unix time.
 *  BS_OK or BS_ECRYPTO. */
BS_MUSTCHECK int bs_cookie_make(const struct bs_crypto *c, const uint8_t *secret, uint64_t unix_s,
				const struct bs_endpoint *peer, struct bs_slice id,
				uint8_t out[BS_COOKIE_LEN]);
/** Whether a cookie was made for these in this epoch or the one before. */
BS_MUSTCHECK bool bs_cookie_ok(const struct bs_crypto *c, const uint8_t *secret, uint64_t unix_s,
			       const struct bs_endpoint *peer, struct bs_slice id,
			       const uint8_t *cookie);

/** Everything that a challenge without memory is made of. */
struct bs_challenge {
	uint64_t unix_ms; /**< when it was made */
	uint32_t offered; /**< extension bits of the clear invite */
	uint32_t granted;
	uint32_t nsi;
	uint32_t number; /**< of the device */
	const struct bs_endpoint *peer;
	const uint8_t *nonce_d; /**< [BS_NONCE_LEN] */
};

/** nonce_s and seed_s of a challenge.  BS_OK or BS_ECRYPTO. */
BS_MUSTCHECK int bs_challenge_secrets(const struct bs_crypto *c, const uint8_t *secret,
				      const struct bs_challenge *ch, uint8_t nonce_s[BS_NONCE_LEN],
				      uint8_t seed_s[BS_NONCE_LEN]);
/**
 * What a nonce says about its challenge: fills unix_ms, offered and granted.  Nothing of it is true
 * before bs_challenge_secrets has made the same nonce again.  False when it is older than max_ms.
 */
BS_MUSTCHECK bool bs_challenge_read(const uint8_t nonce_s[BS_NONCE_LEN], uint64_t now_ms,
				    uint32_t max_ms, struct bs_challenge *ch);

#endif
