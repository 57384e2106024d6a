/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alive_server.h - the server's end of the keepalive: when to ask, when to ask again, when to give
 * a device up (basestation-wire(7), KEEP-ALIVE).
 *
 * The state is 16 bytes, because a million of them have to fit the caches; so it keeps 32-bit
 * milliseconds of the server's uptime and is compared as serial numbers, good for 24 days.
 *
 * A request that was never answered keeps its number through all repetitions: the device takes a
 * new number as the acknowledgement of the events that it sent with the old one.
 *
 * Any thread.  May call: util, wire.  Allocates: no.
 */
#ifndef BS_PROTO_ALIVE_SERVER_H
#define BS_PROTO_ALIVE_SERVER_H

#include "wire/alive.h"

/** Pace, in milliseconds. */
struct bs_alive_pace {
	uint32_t interval_ms;    /**< from one request to the next */
	uint32_t retry_ms;       /**< unanswered for so long: repeat */
	uint32_t retries;        /**< so many times */
	uint32_t unreachable_ms; /**< silent for so long: mark, keep */
	uint32_t timeout_ms;     /**< silent for so long: end */
};

/** One keepalive. */
struct bs_alive_server {
	uint32_t due_ms;  /**< next step */
	uint32_t seen_ms; /**< last proof of life */
	uint32_t sent_ms; /**< last request */
	uint16_t seq;     /**< of the request under way or answered last; never 0 once started */
	uint8_t tries;    /**< sends of the request under way; 0 = none is */
	bool unreachable;
};

/** What has to be done now. */
enum bs_alive_action {
	BS_ALIVE_WAIT = 0,    /**< nothing until due_ms */
	BS_ALIVE_SEND,        /**< send a request with the number seq */
	BS_ALIVE_SEND_AGAIN,  /**< the same, a repetition */
	BS_ALIVE_UNREACHABLE, /**< it fell silent just now; call again */
	BS_ALIVE_DEAD,        /**< end the attachment */
};

/** What an answer meant. */
enum bs_alive_verdict {
	BS_ALIVE_ANSWER = 0, /**< to the request under way */
	BS_ALIVE_POLL,       /**< the device has heard nothing: send a request at once */
	BS_ALIVE_LATE,       /**< right in form, answers nothing that is asked: a repeat, drop */
};

/** Start: the first request is due at once.  seq is random. */
void bs_alive_start(struct bs_alive_server *s, uint16_t seq, uint32_t now_ms);
/**
 * Step at or after due_ms; *due_ms is set anew.
 *
 * @next_seq random, used when a new request begins; 0 is replaced
 * @jitter   random; spreads requests over the last eighth of the interval
 */
enum bs_alive_action bs_alive_timeout(struct bs_alive_server *s, const struct bs_alive_pace *pace,
				      uint16_t next_seq, uint16_t jitter, uint32_t now_ms);
/** An answer with this number came from the right place.  POLL leaves due_ms alone: call
 *  bs_alive_poll. */
enum bs_alive_verdict bs_alive_input(struct bs_alive_server *s, const struct bs_alive_pace *pace,
				     uint16_t seq, uint16_t jitter, uint32_t now_ms);
/** A request answers a poll now: sets seq and the timers as after SEND. */
void bs_alive_poll(struct bs_alive_server *s, const struct bs_alive_pace *pace, uint16_t next_seq,
		   uint32_t now_ms);

/**
 * The next event record of a PIGGY text: what stands before the line "EOM", or before the end.
 * Start with *off = 0; false at the end.
 */
bool bs_alive_event_next(struct bs_slice events, size_t *off, struct bs_slice *record);

#endif
