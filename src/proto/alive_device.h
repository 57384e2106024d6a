/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alive_device.h - keep-alive as the device sees it: answer requests, poll when none come, give up
 * (basestation-wire(7), KEEP-ALIVE).  Part of attach_device; a module of its own for its tests.
 *
 * Owner: the attach machine.  May call: util, wire.
 */
#ifndef BS_PROTO_ALIVE_DEVICE_H
#define BS_PROTO_ALIVE_DEVICE_H

#include "proto/device_conf.h"
#include "util/window.h"
#include "wire/packet.h"

/** Keep-alive state of one attachment. */
struct bs_alive_device {
	bs_time due;  /**< when the timer runs out */
	uint16_t seq; /**< of the last request */
	uint8_t runs; /**< how often it ran out since the last request */
	bool any;     /**< a request was ever received: no report when it is lost */
	bool answer;  /**< an answer waits to be composed */
	bool poll;    /**< a poll waits */
	bool again;   /**< the request repeated the last seq: the same events go out again */
#if BS_WITH_AUTH_ALIVE
	uint16_t interval_s;   /**< what the server promised (extension INTERVAL); 0 = nothing */
	uint32_t sent;         /**< counter of our last packet (extension AUTH_ALIVE) */
	struct bs_window seen; /**< counters of the server's */
#endif
};

/** What the server promised; 0 at compile time in a build without extension INTERVAL. */
static inline uint16_t bs_alive_device_interval(const struct bs_alive_device *l)
{
#if BS_WITH_AUTH_ALIVE
	return l->interval_s;
#else
	(void)l;
	return 0;
#endif
}

/** Counters of our packets and of the server's (extension AUTH_ALIVE); NULL in a build without. */
static inline uint32_t *bs_alive_device_sent(struct bs_alive_device *l)
{
#if BS_WITH_AUTH_ALIVE
	return &l->sent;
#else
	(void)l;
	return NULL;
#endif
}
static inline struct bs_window *bs_alive_device_seen(struct bs_alive_device *l)
{
#if BS_WITH_AUTH_ALIVE
	return &l->seen;
#else
	(void)l;
	return NULL;
#endif
}

/** The server promised another interval: counts from the next request, or start, on. */
static inline void bs_alive_device_set_interval(struct bs_alive_device *l, uint16_t seconds)
{
#if BS_WITH_AUTH_ALIVE
	l->interval_s = seconds;
#else
	(void)l;
	(void)seconds;
#endif
}

/** What bs_alive_device_timeout found. */
enum bs_alive_result {
	BS_ALIVE_QUIET = 0, /**< not due, or a poll was marked */
	BS_ALIVE_LOST = 1,  /**< given up: the attachment is over */
};

/** Start the timer of a new attachment; an interval that was set before stays. */
void bs_alive_device_start(struct bs_alive_device *l, const struct bs_device_conf *conf,
			   bs_time now);
/** Take an accepted request (source, NSI and flags were checked); tells the time to the ops. */
void bs_alive_device_request(struct bs_alive_device *l, const struct bs_device_conf *conf,
			     const struct bs_packet *p, bs_time now);
/** Run the timer. */
enum bs_alive_result bs_alive_device_timeout(struct bs_alive_device *l,
					     const struct bs_device_conf *conf, bs_time now);
/** Compose a waiting answer or poll for the attachment nsi; 0 when none waits. */
size_t bs_alive_device_output(struct bs_alive_device *l, const struct bs_device_conf *conf,
			      uint32_t nsi, uint8_t *buf, size_t cap);

#endif
