/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spray.h - the search packets beyond the usual ones, for a NAT that gives each destination another
 * port (basestation-wire(7), RENDEZVOUS).
 *
 * Who is not behind such a NAT guesses: packets from its one socket to many ports of the other side
 * (bs_spray_ports).  Who is behind it multiplies what can be guessed: one packet from each of many
 * sockets to the other side's one address (bs_spray_sockets).  With 250 sockets and 950 guesses
 * among 64,512 ports one of them meets another in 97 of 100 cases.
 *
 * A schedule only: what is sent is a step 0 of rendezvous.h.  Not in the MCU profile.
 *
 * Owner: the thread of its device or peer.  May call: util.  Allocates: no.
 */
#ifndef BS_PROTO_SPRAY_H
#define BS_PROTO_SPRAY_H

#include "basestation/types.h"

/** How many sockets are customary, and the most. */
#define BS_SPRAY_SOCKETS 250

/** Guessed ports of one host: always the same series. */
struct bs_port_guess {
	uint16_t base; /**< the port that is known */
	uint16_t n;    /**< guesses of the first part so far, skipped ones too */
	uint16_t x;    /**< last of the second part */
	uint16_t sent; /**< guesses handed out */
};

/** Start the series around base; a later round goes on where about the one before it ended. */
void bs_port_guess_start(struct bs_port_guess *g, uint16_t base, uint8_t round);
/** Next guess; ports below 1024 never come. */
uint16_t bs_port_guess_next(struct bs_port_guess *g);

/** A series under way.  All zero = none. */
struct bs_spray {
	struct bs_endpoint to; /**< the other side's known endpoint */
	struct bs_port_guess guess;
	bs_time due;       /**< next tick */
	uint16_t ticks;    /**< left */
	uint16_t gap_ms;   /**< between ticks */
	uint16_t per_tick; /**< packets of a tick */
	uint16_t waits;    /**< packets of this tick that wait */
	uint16_t via;      /**< last socket used */
	uint16_t last_via; /**< 0: ports are guessed; else the last socket */
};

/** Ten guessed ports every 50 ms for 5 s; nothing for an endpoint that is none. */
void bs_spray_ports(struct bs_spray *s, const struct bs_endpoint *to, uint8_t round, bs_time now);
/** One packet from each of the sockets 1..n, per_tick of them every gap_ms. */
void bs_spray_sockets(struct bs_spray *s, const struct bs_endpoint *to, uint16_t n,
		      uint16_t per_tick, uint16_t gap_ms, bs_time now);
void bs_spray_stop(struct bs_spray *s);
void bs_spray_timeout(struct bs_spray *s, bs_time now);
/** Take the destination of the next packet that waits; false when none does. */
bool bs_spray_next(struct bs_spray *s, struct bs_endpoint *to);
bool bs_spray_next_timeout(const struct bs_spray *s, bs_time *at);

#endif
