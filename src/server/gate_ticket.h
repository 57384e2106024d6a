/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_ticket.h - connect tickets: clients that come by UDP (basestation-wire(7), CONNECT TICKETS).
 *
 *	gate_ticket.c    what a ticket says and whether it still counts; packets in
 *	gate_channel.c   packets out: answers, kept for repeats, and events
 *
 * There is no state per ticket.  A request whose address and rights are proved gets a session of
 * state TICKET, which has a channel in place of TLS; everything else about it, attempts,
 * connections, the walk after a revocation, is as with any session.  It becomes a ghost when it has
 * been quiet for a while, and keeps the channel for events.
 *
 * Owner: one worker.  Allocates: at start, and a channel per session.
 */
#ifndef BS_SERVER_GATE_TICKET_H
#define BS_SERVER_GATE_TICKET_H

#include "proto/ticket_server.h"
#include "server/gate_internal.h"
#include "server/ticket_filter.h"

/** Answers to CONNECT kept for a client that repeats its request, and for how long. */
#define BS_CHANNEL_ANSWERS     4u
#define BS_CHANNEL_ANSWER_LIFE BS_TIME_MS(10000)
/** Events that are repeated, how often by themselves, and for how long in answer to a packet of
 *  the client: a client that missed them all says PING within that time. */
#define BS_CHANNEL_EVENTS      8u
#define BS_CHANNEL_EVENT_SENDS 3u
#define BS_CHANNEL_EVENT_GAP   BS_TIME_MS(1000)
#define BS_CHANNEL_EVENT_LIFE  BS_TIME_MS(35000)
/** A session without a request under way is over after this. */
#define BS_CHANNEL_IDLE BS_TIME_MS(15000)
/** And one without a connection after this: a refusal may have to be repeated. */
#define BS_CHANNEL_UNUSED BS_TIME_MS(5000)

struct bs_gcm;

/** A sealed answer, byte for byte as it was sent. */
struct bs_channel_answer {
	uint8_t *bytes; /**< heap; NULL = none */
	uint16_t len;
	bs_time at;
	uint8_t attempt[BS_ATTEMPT_LEN];
};

struct bs_channel_event {
	uint32_t nsi;
	uint16_t status;
	uint8_t left; /**< times to send it by itself */
	bool held;    /**< until born + BS_CHANNEL_EVENT_LIFE */
	bs_time born;
	bs_time due;
	uint8_t text_len;
	char text[63];
};

/** What a session has in place of TLS. */
struct bs_gate_channel {
	uint8_t secret[BS_TICKET_SECRET_LEN];
	uint32_t sp; /**< of the ticket */
	unsigned socket;
	uint16_t rtt_ms; /**< to the client, 0 = not measured */
	struct bs_channel_answer answer[BS_CHANNEL_ANSWERS];
	struct bs_channel_event event[BS_CHANNEL_EVENTS];
};

/** A key that seals tickets for a while; made from the registry's secret, so that all workers,
 *  later processes and other nodes have the same. */
struct bs_ticket_key {
	bool known;
	uint32_t number;
	uint8_t key[BS_TICKET_KEY_LEN];
};

struct bs_gate_tickets {
	struct bs_ticket_cipher cipher;
	struct bs_gcm *gcm;
	uint8_t base[32]; /**< secret of the registry for this purpose */
	struct bs_ticket_key key[2];
	uint8_t challenge_key[BS_TICKET_KEY_LEN]; /**< of this process: its challenges are young */
	uint64_t start_ms;                        /**< Unix time of this worker's start */
	struct bs_ticket_filter filter;
	struct bs_limiter sources; /**< per address */
	struct bs_limiter clients;
	struct bs_gate_map sessions;      /**< by sp and cp */
	uint8_t rx[BS_TICKET_PACKET_MAX]; /**< the packet at hand, opened in place */
	uint8_t tx[BS_TICKET_PACKET_MAX];
};

/** Where a packet goes, and under which secret; all borrowed. */
struct bs_channel_peer {
	const uint8_t *secret;
	uint32_t cp, sp;
	unsigned socket;
	const struct bs_endpoint *local, *peer;
};

/* gate_channel.c */
/** Seal a packet and send it; it lies in tickets->tx then.  Its length, or an error (counted). */
bs_ssize bs__channel_seal(struct bs_gate *g, const struct bs_channel_peer *to, const uint8_t *buf,
			  size_t len);
/** Send an answer again that was made for this attempt; false when there is none. */
bool bs__channel_repeat(struct bs_session *s, const uint8_t attempt[BS_ATTEMPT_LEN]);
/** The client is there: send again what it may have missed; false when there is nothing. */
bool bs__channel_tell_again(struct bs_session *s);
void bs__channel_free(struct bs_gate_channel *ch);

#endif
