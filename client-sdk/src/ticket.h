/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ticket.h - connect tickets: CONNECT in a datagram, without TLS (basestation-wire(7), CONNECT
 * TICKETS).
 *
 * After a HELLO that offers them the machine asks for one, keeps it, and gives it to the program to
 * store.  While no session is open a CONNECT goes by ticket; when nothing answers, or the server
 * says that the ticket no longer counts, the request waits for a session like any other.
 *
 *	ticket.c        getting, keeping, storing
 *	ticket_use.c    packets under a ticket
 *
 * Owner: one thread.  May call: the core.  Allocates: no.
 */
#ifndef BS_CLIENT_SRC_TICKET_H
#define BS_CLIENT_SRC_TICKET_H

#include "basestation/client.h"
#include "proto/ticket.h"

struct bsc__machine;
struct bsc__req;
struct bsc_conn;

/** What the port lends; without cipher.aead there are no tickets. */
struct bsc__ticket_tools {
	struct bs_ticket_cipher cipher;
	int (*sha256)(struct bs_slice data, uint8_t out[BS_SHA256_LEN]);
	uint64_t (*unix_ms)(void); /**< wall clock: only to store how far the server's is off */
};

/** A challenge that was received. */
struct bsc__challenge {
	bool known;
	bs_time at;
	uint8_t token[BS_TICKET_SECRET_LEN];
};

struct bsc__ticket {
	bool known;
	uint8_t secret[BS_TICKET_SECRET_LEN];
	uint8_t bytes[BS_TICKET_MAX];
	uint16_t len;
	uint32_t sp;
	uint64_t expires_ms; /**< by the server's clock, as clock_ms */
	uint32_t life_s;
	uint64_t clock_ms;        /**< what the server's clock showed, */
	bs_time clock_at;         /**< and when by ours */
	struct bs_endpoint to[2]; /**< attach port, controller's port */
	uint8_t n_to;
	struct bs_endpoint gate; /**< of the session it came from */

	uint32_t cp;                        /**< 0: not used so far */
	struct bsc__challenge challenge[2]; /**< by to */
	bool ping_waits;
	uint16_t ping_seq;
	bs_time ping_at;
	bool silent; /**< nothing answered: not used before silent_until */
	bs_time silent_until;
};

/** The server offers tickets: ask for one, where ours is none or half used. */
void bsc__ticket_offered(struct bsc__machine *m, bs_time now);
/** The answer to TICKET.  BS_OK, or the server broke the protocol. */
BS_MUSTCHECK int bsc__ticket_take(struct bsc__machine *m, const struct bs_packet *p, bs_time now);
/** It no longer counts: wipe it, and what is stored. */
void bsc__ticket_forget(struct bsc__machine *m);
/** Read a stored record; one that is damaged, expired or another's is left alone. */
void bsc__ticket_load(struct bsc__machine *m, const uint8_t *data, size_t len, bs_time now);
/** The server's clock at a moment, by what the ticket knows of it. */
uint64_t bsc__ticket_clock(const struct bsc__ticket *t, bs_time now);

/** Whether a connection may be asked for by ticket now. */
bool bsc__ticket_may(const struct bsc__machine *m, bs_time now);
/** Ask by ticket. */
void bsc__ticket_begin(struct bsc__machine *m, struct bsc__req *r, bs_time now);
/** Whether a datagram is one under our ticket: then it was taken. (cb) */
bool bsc__ticket_input(struct bsc__machine *m, uint8_t *pkt, size_t len,
		       const struct bs_endpoint *from, bs_time now);
/** (cb) */
void bsc__ticket_timeout(struct bsc__machine *m, bs_time now);
/** The next datagram; 0 when none. */
size_t bsc__ticket_output(struct bsc__machine *m, uint8_t *buf, size_t cap, struct bs_endpoint *to,
			  bs_time now);
bool bsc__ticket_next_timeout(const struct bsc__machine *m, bs_time *at);

#endif
