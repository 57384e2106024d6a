/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interval_server.h - how seldom a device may be asked without its NAT forgetting it (extension
 * INTERVAL; basestation-wire(7), EXTENSIONS).
 *
 * Every keep-alive is a trial: a request that was answered after a gap shows that the NAT remembers
 * for so long, one that was lost while the device was well shows that it does not.  Between the
 * longest gap that held and the shortest that did not lies the next trial.  The device polls after
 * 1.3 times the interval, so a trial that fails costs less than one interval of absence, provided
 * that it dares no more than three times what is proven; that is the rule of all steps here.
 *
 * What a device showed in its network is a hint for the next one there, not more: neighbours have
 * the same provider, but each its own router.
 *
 * Any thread.  May call: proto/alive_server.  Allocates: no.
 */
#ifndef BS_PROTO_INTERVAL_SERVER_H
#define BS_PROTO_INTERVAL_SERVER_H

#include "proto/alive_server.h"

/** The shortest and the longest interval, in seconds; min_s is taken to hold everywhere. */
struct bs_interval_limits {
	uint16_t min_s;
	uint16_t max_s;
};

/** No interval is longer, whatever the limits were. */
#define BS_INTERVAL_MAX_S 3600

/** What is known of one device's NAT; 12 bytes. */
struct bs_interval_server {
	uint16_t good_s;   /**< longest gap that held */
	uint16_t bad_s;    /**< shortest gap that did not; 0 = none is known */
	uint16_t told_s;   /**< what the request under way, or answered last, tells */
	uint16_t kept_s;   /**< what the device answered last: it may wait for so long */
	uint16_t gap_s;    /**< silence before the request under way */
	unsigned run : 15; /**< gaps that held in a row, at most 32767 */
	unsigned busy : 1; /**< something else refreshed the NAT: the next answer proves nothing */
};

/** A new attachment, or the device is in another network. */
void bs_interval_start(struct bs_interval_server *iv, const struct bs_interval_limits *lim);
/** The limits may have changed: what does not fit is learned anew, but not how patient the device
 *  is.  For what comes from elsewhere, too; a cheap question otherwise. */
void bs_interval_fit(struct bs_interval_server *iv, const struct bs_interval_limits *lim);
/**
 * bs_interval_ask - a new request is about to be sent: the interval that it tells
 *
 * @hint_s what others in this network can bear, 0 = unknown
 * @busy_s not 0: a client is connected, this is the interval
 * @s      the keep-alive
 *
 * Returns told_s.
 */
uint16_t bs_interval_ask(struct bs_interval_server *iv, const struct bs_interval_limits *lim,
			 uint16_t hint_s, uint16_t busy_s, const struct bs_alive_server *s,
			 uint32_t now_ms);
/**
 * Learn from an authentic answer or poll, before bs_alive_input takes it.  True when the device was
 * there and its NAT had forgotten it.
 */
bool bs_interval_heard(struct bs_interval_server *iv, const struct bs_interval_limits *lim,
		       const struct bs_alive_server *s, uint16_t seq);
/** Something other than keep-alive passes or passed between device and server. */
static inline void bs_interval_disturb(struct bs_interval_server *iv)
{
	iv->busy = 1;
}
/** The search is over for now: good_s is worth telling others in this network. */
bool bs_interval_settled(const struct bs_interval_server *iv, const struct bs_interval_limits *lim);
/** Jitter of the next request out of a random one: none in a trial, which would prove less than it
 *  dares. */
static inline uint16_t bs_interval_jitter(const struct bs_interval_server *iv, uint16_t random)
{
	return iv->told_s > iv->good_s ? 0 : random;
}
/** The pace of a device with such an interval: the usual one, stretched.  Repetitions stay as they
 *  are; a device counts as silent only after its own polls had their time. */
void bs_interval_pace(const struct bs_interval_server *iv, const struct bs_alive_pace *usual,
		      struct bs_alive_pace *out);

#endif
