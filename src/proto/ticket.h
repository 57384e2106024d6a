/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket.h - sealing and opening what travels under a connect ticket (basestation-wire(7), CONNECT
 * TICKETS): both ends use it.
 *
 * AES-256-GCM is reached through a table of the same form as that of AES-128-GCM: with keys of 32
 * bytes and one context for many of them.  Nonces are random but for the first bit, which says who
 * sends, so that the two directions of one key cannot meet.
 * Core: no I/O, no clock, no heap.  Any thread, as far as the crypto tables allow.
 */
#ifndef BS_PROTO_TICKET_H
#define BS_PROTO_TICKET_H

#include "crypto/crypto.h"
#include "wire/ticket.h"

/** What sealing needs; both are borrowed. */
struct bs_ticket_cipher {
	const struct bs_crypto *crypto; /**< random numbers, HMAC */
	const struct bs_aead *aead;     /**< AES-256-GCM: keys of 32 bytes */
	void *ctx;                      /**< for aead */
};

/**
 * Seal one packet of the client protocol into an outer one of at least min_len bytes.  s says what
 * the header, ticket and stamp are, and gets the offsets.  Returns the length, or BS_ETOOBIG,
 * BS_ERANDOM, BS_ECRYPTO: nothing may be sent then.
 */
BS_MUSTCHECK bs_ssize bs_ticket_seal(const struct bs_ticket_cipher *c,
				     const uint8_t secret[BS_TICKET_SECRET_LEN],
				     struct bs_sealed *s, struct bs_slice text, size_t min_len,
				     uint8_t *buf, size_t cap);
/**
 * Open in place what bs_sealed_decode found in buf, and decode the packet inside, which is of the
 * same session number.  BS_OK, BS_EMAC (wiped), BS_ECRYPTO, or what bs_packet_decode says.
 */
BS_MUSTCHECK int bs_ticket_open(const struct bs_ticket_cipher *c,
				const uint8_t secret[BS_TICKET_SECRET_LEN],
				const struct bs_sealed *s, uint8_t *buf, struct bs_packet *inner);

#endif
