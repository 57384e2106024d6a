/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients.h - simulated clients of the gate: some come, shake hands and leave, over and over; some
 * stay and ask for connections to devices.
 *
 *   IDLE -> TCP -> TLS -> HELLO -> OPEN (stays)
 *            |        \       \--> LEAVING -> IDLE
 *            |         +---------> LEAVING
 *            +-> IDLE, where handshakes are abandoned
 *
 * Who leaves says so and waits until the server has closed, too: only then has the server done all
 * of its work, and all servers that are compared have done the same.
 *
 * Owner: the generator's thread; the poller's calls step the clients.  Allocates: in new, and what
 * OpenSSL does for each connection.
 */
#ifndef BS_TOOLS_BSLOAD_CLIENTS_H
#define BS_TOOLS_BSLOAD_CLIENTS_H

#include "histogram.h"
#include "port/poller.h"
#include "secure.h"

/** What is counted. */
#define CLIENTS_COUNTS(X)                                                                          \
 X(begun, "connections to the gate begun")                                                         \
 X(abandoned, "handshakes left after the server's part")                                           \
 X(handshakes, "handshakes done")                                                                  \
 X(resumed, "of them resumed")                                                                     \
 X(hellos, "sessions opened")                                                                      \
 X(failed, "connections that came to nothing")                                                     \
 X(gone, "sessions that the server ended")                                                         \
 X(asked, "connections to devices asked for")                                                      \
 X(connected, "of them given")                                                                     \
 X(denied, "of them refused")                                                                      \
 X(unanswered, "of them never answered")

/** The counters. */
struct clients_counts {
#define X(name, help) uint64_t name;
	CLIENTS_COUNTS(X)
#undef X
};

/** What is timed. */
struct clients_times {
	struct histogram tcp;       /**< connect() to established */
	struct histogram handshake; /**< from there to the end of the handshake */
	struct histogram hello;     /**< HELLO to answer */
	struct histogram connect;   /**< CONNECT to answer */
};

/** How clients are made. */
struct clients_conf {
	struct secure_conf secure;
	struct bs_endpoint gate;
	struct bs_poller *poller;
	uint32_t sessions;  /**< that stay */
	uint32_t visitors;  /**< that come and leave, under way at once */
	bool paced;         /**< visitors begin when clients_visit says so, not at once */
	bool hello;         /**< visitors open a session before they leave */
	bool abandon;       /**< visitors go when the server has answered their first flight */
	uint32_t first_ip;  /**< source addresses */
	uint32_t addresses; /**< how many, 1.. */
};

struct clients;

/** NULL after a message on standard error. */
struct clients *clients_new(const struct clients_conf *conf);
void clients_free(struct clients *c);
/** Let those come that stay. */
void clients_invite(struct clients *c);
/** Let visitors come. */
void clients_welcome(struct clients *c);
/** Begin at most n visits; how many it were, fewer when all are under way. */
uint32_t clients_visit(struct clients *c, uint32_t n);
/** Begin what is to begin, give up what takes too long, keep sessions alive. */
void clients_step(struct clients *c, uint64_t now);
/** Ask for a connection to a device through one of the sessions; false when none has room. */
bool clients_connect(struct clients *c, const char *device, uint64_t now);

/** Whether a handshake would resume a session, where that is wanted at all. */
bool clients_primed(const struct clients *c);
/** Sessions that are open. */
uint32_t clients_open(const struct clients *c);
const struct clients_counts *clients_counts(const struct clients *c);
/** Times go here from now on; NULL drops them. */
void clients_time_into(struct clients *c, struct clients_times *t);
/** Why the last one failed; "" = none has. */
const char *clients_why(const struct clients *c);

#endif
