/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alive_auth.h - keep-alives that prove who sent them (extension AUTH_ALIVE; basestation-wire(7),
 * EXTENSIONS).
 *
 * A packet gets a payload with a counter and a MAC under the C key behind everything else.  Both
 * ends do the same with their own half of the key, so this is one module for both.
 *
 * The key of the MAC is made anew for each packet: it would take 64 bytes of each device's record
 * to keep both, and devices with this extension are asked seldom.
 *
 * Any thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_ALIVE_AUTH_H
#define BS_PROTO_ALIVE_AUTH_H

#include "crypto/keys.h"
#include "util/window.h"
#include "wire/payload.h"

/** Bytes that it adds to a packet. */
#define BS_ALIVE_AUTH_LEN 16

/**
 * bs_alive_auth_seal - append counter and MAC to a finished packet
 *
 * @sent the last counter of this direction, 0 at the start of an attachment; raised before anything
 *       else happens, so that a packet that leaves never carries one that was used
 * @len  of the packet in pkt, which has room for cap
 *
 * Returns the new length; BS_ETOOBIG, BS_ESTATE (all counters are used up), BS_ECRYPTO: send
 * nothing.
 */
BS_MUSTCHECK bs_ssize bs_alive_auth_seal(const struct bs_crypto *c,
					 const struct bs_key_block *c_key, enum bs_role self,
					 uint32_t *sent, uint8_t *pkt, size_t len, size_t cap);

/**
 * bs_alive_auth_open - whether the other end sent this packet, and not before
 *
 * @seen   counters that were taken; changes with BS_OK only
 * @newest the counter is above all before: nothing that is still under way is newer
 *
 * Returns BS_OK, BS_EMISSING (no such payload at the end), BS_EFIELD, BS_EREPLAY, BS_EMAC, or
 * BS_ECRYPTO.
 */
BS_MUSTCHECK int bs_alive_auth_open(const struct bs_crypto *c, const struct bs_key_block *c_key,
				    enum bs_role self, struct bs_window *seen,
				    const struct bs_packet *p, bool *newest);

#endif
