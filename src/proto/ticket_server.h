/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket_server.h - what only the server does with connect tickets: it writes and reads them, and
 * has addresses proved by challenges (basestation-wire(7), CONNECT TICKETS).
 *
 * Neither leaves anything behind on the server: a ticket holds all that is known about its holder,
 * sealed under a key that only servers have; a challenge holds the address that it was sent to.
 * Core: no I/O, no clock, no heap.
 */
#ifndef BS_PROTO_TICKET_SERVER_H
#define BS_PROTO_TICKET_SERVER_H

#include "proto/ticket.h"

/** Bytes of a server's key for tickets and of one for challenges. */
#define BS_TICKET_KEY_LEN 32
/** Bytes of a hash, of a serial number at most, of the mark of a set of CAs. */
#define BS_TICKET_HASH_LEN   32
#define BS_TICKET_SERIAL_MAX 20
#define BS_TICKET_MARK_LEN   8
/** Bytes of every ticket: how long an identity is does not show. */
#define BS_TICKET_LEN 291u

/** What a ticket says: whom TLS proved, under which state of rights, for how long. */
struct bs_ticket_grant {
	char identity[BS_CLIENT_ID_MAX + 1]; /**< terminated */
	bool direct;                         /**< see struct bs_tls_peer, here and below */
	uint8_t key_fp[BS_TICKET_HASH_LEN];
	uint8_t ca_fp[BS_TICKET_HASH_LEN];
	uint8_t issuer_hash[BS_TICKET_HASH_LEN];
	uint8_t serial[BS_TICKET_SERIAL_MAX];
	uint8_t serial_len;
	uint64_t not_after_s;                /**< of the certificate, Unix time */
	uint64_t expires_s;                  /**< of the ticket, Unix time */
	uint64_t access_epoch;               /**< of the registry, when rights were looked at */
	uint64_t crl_epoch;                  /**< the same */
	uint32_t generation;                 /**< of the client's record, 0 = it has none */
	uint8_t ca_mark[BS_TICKET_MARK_LEN]; /**< of CAs and CRLs that verified the certificate */
	uint8_t secret[BS_TICKET_SECRET_LEN];
};

/** Write a ticket under key number key_no.  BS_OK, BS_ERANDOM, BS_ECRYPTO. */
BS_MUSTCHECK int bs_ticket_grant_seal(const struct bs_ticket_cipher *c,
				      const uint8_t key[BS_TICKET_KEY_LEN], uint32_t key_no,
				      const struct bs_ticket_grant *g, uint8_t out[BS_TICKET_LEN]);
/** Which key a ticket claims to be sealed under; false when it is none of ours by its form. */
bool bs_ticket_key_number(struct bs_slice ticket, uint32_t *key_no);
/** Read a ticket of that form.  BS_OK, BS_EMAC, BS_EFIELD or BS_ECRYPTO; wipe *g after use. */
BS_MUSTCHECK int bs_ticket_grant_open(const struct bs_ticket_cipher *c,
				      const uint8_t key[BS_TICKET_KEY_LEN], struct bs_slice ticket,
				      struct bs_ticket_grant *g);

/** What a challenge that came back proves. */
struct bs_ticket_seen {
	struct bs_endpoint ep; /**< the address that got it */
	uint8_t port;          /**< from which of our ports: 0 attach, 1 controller */
	uint32_t age_ms;       /**< round trip and whatever the client waited */
};

/** A challenge for whoever sent a packet of the ticket with this sp.  BS_OK or BS_ECRYPTO. */
BS_MUSTCHECK int bs_ticket_challenge(const struct bs_crypto *c,
				     const uint8_t key[BS_TICKET_KEY_LEN], uint32_t sp,
				     const struct bs_ticket_seen *who, uint64_t now_ms,
				     uint8_t out[BS_TICKET_SECRET_LEN]);
/** Check one.  BS_OK, BS_EMAC, BS_ETIMEDOUT (older than life_ms) or BS_ECRYPTO. */
BS_MUSTCHECK int bs_ticket_challenge_check(const struct bs_crypto *c,
					   const uint8_t key[BS_TICKET_KEY_LEN], uint32_t sp,
					   const uint8_t in[BS_TICKET_SECRET_LEN], uint64_t now_ms,
					   uint32_t life_ms, struct bs_ticket_seen *who);

#endif
