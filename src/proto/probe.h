/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - sealing and checking a client's UDP probe (basestation-wire(7), PROBE).
 *
 * MAC = first 16 bytes of HMAC-SHA-256(key, packet before the MAC); the key is the TOKEN of the
 * session, or the RELAY_KEY of a connection.  Core: no I/O, no clock.  Any thread.
 */
#ifndef BS_PROTO_PROBE_H
#define BS_PROTO_PROBE_H

#include "crypto/crypto.h"
#include "wire/gate_payload.h"
#include "wire/probe.h"

/** Encode p and its MAC.  Returns BS_PROBE_LEN, or BS_ECRYPTO. */
BS_MUSTCHECK bs_ssize bs_probe_seal(const struct bs_crypto *c, const uint8_t key[BS_TOKEN_LEN],
				    const struct bs_probe *p, uint8_t buf[BS_PROBE_LEN]);
/** Verify the MAC of a probe that bs_probe_decode accepted.  BS_OK, BS_EMAC or BS_ECRYPTO. */
BS_MUSTCHECK int bs_probe_verify(const struct bs_crypto *c, const uint8_t key[BS_TOKEN_LEN],
				 const uint8_t buf[BS_PROBE_LEN]);

#endif
