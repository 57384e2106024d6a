/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket.h - a client's packets over UDP under a connect ticket (basestation-wire(7), CONNECT
 * TICKETS).
 *
 * The outer packet is always of type TICKET: the ticket, and SEALED, which holds one whole packet
 * of the client protocol.  This layer knows where the pieces lie; sealing is one layer up
 * (proto/ticket.h).  Wire layer: pure, may call util only, any thread.
 */
#ifndef BS_WIRE_TICKET_H
#define BS_WIRE_TICKET_H

#include "wire/gate.h"

/** Bytes of the secret that a ticket's holder shares with the server, and of a challenge. */
#define BS_TICKET_SECRET_LEN 32
/** Longest ticket that we write or take. */
#define BS_TICKET_MAX BS_GATE_TICKET_MAX
/** Shortest request: no answer is longer, so an answer to a false address is no gain to anybody. */
#define BS_TICKET_REQUEST_MIN 768
/** Longest packet: passes every path that carries IPv6 at all. */
#define BS_TICKET_PACKET_MAX 1232
/** Bytes of nonce and tag in SEALED. */
#define BS_SEALED_NONCE_LEN 12
#define BS_SEALED_TAG_LEN   16
/** Bytes of SEALED beside the text: stamp, nonce, tag. */
#define BS_SEALED_EXTRA (8u + BS_SEALED_NONCE_LEN + BS_SEALED_TAG_LEN)

/** The outer packet, and where the pieces of its SEALED lie. */
struct bs_sealed {
	struct bs_gate_head h;  /**< sp = bytes 0..3 of SHA-256(ticket), in both directions */
	bool is_answer;         /**< from the server */
	struct bs_slice ticket; /**< in requests, 1..BS_TICKET_MAX bytes */
	uint64_t stamp_ms;      /**< Unix time of the sender's packet */
	size_t nonce_off;       /**< everything before it is authenticated */
	size_t text_off;
	size_t text_len; /**< at least a header's */
};

/**
 * Lay out a packet for a text of so many bytes, at least min_len long: everything but nonce, text
 * and tag is written.  s gets the offsets.  Returns the length, or BS_ETOOBIG.
 */
BS_MUSTCHECK bs_ssize bs_sealed_encode(struct bs_sealed *s, size_t text_len, size_t min_len,
				       uint8_t *buf, size_t cap);
/**
 * Take a packet that bs_packet_decode accepted.  BS_OK; BS_ETYPE no such packet; BS_EPAYLOAD
 * unknown payload; BS_EMISSING; BS_EFIELD a payload of a length that cannot be; BS_ESHORT a request
 * below BS_TICKET_REQUEST_MIN.
 */
BS_MUSTCHECK int bs_sealed_decode(const struct bs_packet *p, struct bs_sealed *s);

/** Append an optional TOKEN to a finished packet of len bytes.  Its new length, or BS_ETOOBIG. */
BS_MUSTCHECK bs_ssize bs_ticket_token_add(uint8_t *buf, size_t len, size_t cap,
					  const uint8_t token[BS_TICKET_SECRET_LEN]);
/** The next challenge in a packet, *off = 0 first; NULL after the last. */
const uint8_t *bs_ticket_token_next(const struct bs_packet *p, size_t *off);

#endif
