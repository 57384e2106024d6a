/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach_server_legacy.h - the server's end of an attach without a key: byte sums, which stop
 * accidents and nobody else (basestation-wire(7), ATTACH, legacy mode).
 *
 * Any thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_ATTACH_SERVER_LEGACY_H
#define BS_PROTO_ATTACH_SERVER_LEGACY_H

#include "proto/attach_server.h"

/** Byte sum of a packet, continued from sum. */
uint32_t bs_attach_server_legacy_sum(uint32_t sum, const uint8_t *buf, size_t len);
/**
 * Encode a legacy U_ATTACH request, 54 bytes; m->nonce has 8 bytes.
 *
 * @invite_sum sum over the invite that it answers
 *
 * Returns the length or BS_ETOOBIG.
 */
BS_MUSTCHECK bs_ssize bs_attach_server_legacy_request(const struct bs_attach_request *m,
						      uint32_t invite_sum, uint8_t *buf,
						      size_t cap);
/**
 * Check and decode a response.
 *
 * @sum sum over the invite and our request
 *
 * Returns BS_OK, or BS_ETYPE, BS_EMISSING, BS_EFIELD, BS_ESHORT, BS_EMAC (the sum is wrong).
 */
BS_MUSTCHECK int bs_attach_server_legacy_open(uint32_t sum, const struct bs_packet *p,
					      struct bs_attach_response *out);

#endif
