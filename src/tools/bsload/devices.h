/* SPDX-License-Identifier: Apache-2.0 */
/*
 * devices.h - a population of simulated devices in compact records.
 *
 * A device that is attached is a record of 80 bytes and its C key; a machine of the core
 * (proto/attach_device.h) is lent to it when it has something to do.  One that attaches has a
 * machine to itself, out of a bounded number.  Packets and crypto are those of any device, so that
 * the server cannot tell these from others.
 *
 *   OFF --start--> WAITING --an attempt is free--> ATTACHING --> ATTACHED --silence--> WAITING
 *
 * Device i writes from first_ip + i; where all stand behind a carrier's router (shared), from one
 * of few addresses.  Time is an argument, in nanoseconds; stamps are 10 us in 32 bits, which is
 * enough for differences below half a day.
 *
 * Owner: the generator's thread.  May call: the core, sockets.h.  Allocates: in init only.
 */
#ifndef BS_TOOLS_BSLOAD_DEVICES_H
#define BS_TOOLS_BSLOAD_DEVICES_H

#include "histogram.h"
#include "ids.h"
#include "proto/attach_device.h"
#include "sockets.h"

/** What is counted. */
#define DEVICES_COUNTS(X)                                                                          \
 X(started, "attaches begun")                                                                      \
 X(attached, "attachments confirmed by a first keepalive")                                         \
 X(failed, "attempts that the device reported as failed")                                          \
 X(lost, "attachments given up after silence")                                                     \
 X(requests, "keepalive requests received")                                                        \
 X(repeated, "of them repetitions: the answer before was lost or late")                            \
 X(polls, "polls sent by plan")                                                                    \
 X(patience, "polls sent because no request came")                                                 \
 X(connects, "connect requests received and accepted")                                             \
 X(refused, "packets that a device refused")                                                       \
 X(strange, "datagrams for no device of ours")

/** The counters. */
struct devices_counts {
#define X(name, help) uint64_t name;
	DEVICES_COUNTS(X)
#undef X
};

/** What is timed. */
struct devices_times {
	struct histogram attach; /**< first invite to first keepalive request */
	struct histogram late;   /**< a request after the interval was over: how much later */
	struct histogram poll;   /**< poll to request */
};

/** How a population is made. */
struct devices_conf {
	struct ids ids;
	uint32_t n;
	uint32_t attempts;        /**< that may be under way at once */
	uint32_t first_ip;        /**< address of device 0 */
	uint32_t shared;          /**< 0, or all devices stand behind so many addresses */
	uint32_t ext_offer;       /**< enum bs_ext bits that the devices offer */
	uint32_t interval_ms;     /**< the server's keepalive interval, to tell what is late */
	uint16_t patience_ms;     /**< a device's own timer, 0 = the stock one */
	unsigned sockets;         /**< ports; a rebind goes to the next */
	uint64_t buffer_bytes;    /**< of each socket */
	struct bs_poller *poller; /**< watches the sockets */
	struct bs_endpoint server;
};

struct devices;

/** A population, all off; NULL without memory or sockets, *err says which (enum bs_err). */
struct devices *devices_new(const struct devices_conf *conf, int *err);
void devices_free(struct devices *d);

/** Let the device attach: it waits for its turn.  No effect unless it is off. */
void devices_start(struct devices *d, uint32_t i);
/** Power off, without a word. */
void devices_stop(struct devices *d, uint32_t i);
/** It polls now, if it is attached; false when it is not. */
bool devices_poll(struct devices *d, uint32_t i, uint64_t now);
/** Its router gives it another port from now on; it does not notice. */
void devices_rebind(struct devices *d, uint32_t i);

/** From now on a device that has its first request starts over; leg: without asking the controller
 *  again, and without answering that request. */
void devices_again(struct devices *d, bool again, bool leg);

/** Begin at most n attaches of waiting devices; how many it were. */
uint32_t devices_begin(struct devices *d, uint32_t n, uint64_t now);
/** Receive, answer, and do what is due by the clock.  Returns datagrams received. */
unsigned devices_step(struct devices *d, uint64_t now);

/** Numbers of devices in each state. */
uint32_t devices_attached(const struct devices *d); /**< and confirmed */
uint32_t devices_waiting(const struct devices *d);  /**< for an attempt */
uint32_t devices_under_way(const struct devices *d);
/** Counters since the start. */
const struct devices_counts *devices_counts(const struct devices *d);
/** Times go here from now on; NULL drops them. */
void devices_time_into(struct devices *d, struct devices_times *t);
/** When the last packet of the server came; 0 = none yet. */
uint64_t devices_heard(const struct devices *d);
/** The attach server that a device was told first; none yet is an endpoint without port. */
struct bs_endpoint devices_server(const struct devices *d);
/** The sockets, to wait for and to account. */
struct sockets *devices_sockets(struct devices *d);
/** Bytes of this process for each device, attempts apart. */
size_t devices_record_bytes(void);

#endif
