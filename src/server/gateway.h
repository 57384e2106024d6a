/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.h - the TCP relay: for clients or devices whose network passes no UDP
 * (basestation-wire(7), TCP RELAY).
 *
 *   gateway.c         listening sockets, handshakes of strangers, the hand-over to the owner
 *   gateway_bridge.c  pairs of legs and what may pass between them
 *   gateway_leg.c     one leg: a descriptor or a port, and the bytes that wait for it
 *
 * Every worker accepts on the one public port.  A leg says in its first 66 bytes which connection
 * it belongs to; its descriptor then moves to the worker that holds that connection, where both
 * legs meet.  A leg over TLS stays with the gate.  When the gate is on the same worker it offers a
 * port, functions that read and write the session; else it passes the bytes through a pair of UNIX
 * sockets: that gives a bounded stream with back-pressure between two threads, for which the rings
 * of mailbox.h would need credits and a second queue.
 *
 * Rates, volumes, ages and idle times are the limiter's (relay_limit.h), as for the UDP relay.
 *
 * What bounds memory: a stranger costs one fixed slot, the oldest gives way; a bridge buffers at
 * most one read (64 KiB) in each direction, and reads no more until that is written.
 *
 * Owner of struct bs_gateway: its worker.  bs_gateway_shared is main's; workers only read it.
 */
#ifndef BS_SERVER_GATEWAY_H
#define BS_SERVER_GATEWAY_H

#include "server/worker.h"

struct bs_gateway;
struct bs_gateway_shared;
struct bs_gw_leg;
struct bs_handover;

/** What the owner of a port calls; a table, because the gate does not link with the relay. */
struct bs_gw_near {
	/** Something that watch asked for is there.  May call every function of the port. */
	void (*ready)(struct bs_gw_leg *leg, bool readable, bool writable);
	/** The stream is gone: the port is not called again, and the pair ends. */
	void (*gone)(struct bs_gw_leg *leg);
};

/** A leg that another part of the worker reads and writes; see bs_msg_gw_leg. */
struct bs_gw_port {
	/** It has found its place. */
	void (*opened)(void *ctx, struct bs_gw_leg *leg, const struct bs_gw_near *near);
	/** Up to cap bytes: their number, 0 at the end, BS_EAGAIN, BS_EIO. */
	bs_ssize (*read)(void *ctx, uint8_t *buf, size_t cap);
	/** Some of len bytes: their number, BS_EAGAIN (repeat with these bytes first), BS_EIO. */
	bs_ssize (*write)(void *ctx, const uint8_t *buf, size_t len);
	/** What to call ready for; also when bytes were read ahead and wait inside. */
	void (*watch)(void *ctx, bool readable, bool writable);
	/** No more is written. */
	void (*shutdown)(void *ctx);
	/** The last call: the leg is over, or nobody expected it. */
	void (*close)(void *ctx);
};

/** In main, before privileges are dropped: the listening sockets of all workers, from inherited
 *  where it is not NULL.  BS_OK, or an error after one log line. */
BS_MUSTCHECK int bs_gateway_bind(const struct bs_conf *conf, unsigned n_workers,
				 struct bs_handover *inherited, struct bs_gateway_shared **out);
/** In main: add what bind of the next process inherits.  BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int bs_gateway_collect(const struct bs_gateway_shared *sh, struct bs_handover *h);
/** In main, after the workers are gone; NULL is fine. */
void bs_gateway_unbind(struct bs_gateway_shared *sh);
/** The port in use; 0 for NULL. */
uint16_t bs_gateway_port(const struct bs_gateway_shared *sh);

/** On the worker, at its start; NULL without memory (logged). */
struct bs_gateway *bs_gateway_new(struct bs_worker *w, struct bs_gateway_shared *sh);
void bs_gateway_free(struct bs_gateway *g);
/** BS_MSG_GW_LEG: takes the descriptor, or the port. */
void bs_gateway_message(struct bs_gateway *g, const struct bs_message *m);
/** Since the last call: whether there were so many small reads that waiting for more pays. */
BS_MUSTCHECK bool bs_gateway_is_busy(struct bs_gateway *g);
/** Every tick of the worker. */
void bs_gateway_tick(struct bs_gateway *g, bs_time now);
/** The conf snapshot changed. */
void bs_gateway_conf(struct bs_gateway *g);
/** Take no new legs, and end the pairs that there are one after the other in the second half of
 *  span. */
void bs_gateway_drain(struct bs_gateway *g, bs_time span);
/** Take legs again. */
void bs_gateway_resume(struct bs_gateway *g);

/** What a connection gets when it is offered the relay. */
struct bs_gateway_ticket {
	uint32_t bridge;          /**< for bs_gateway_close */
	uint16_t port;            /**< where the legs shall go */
	uint8_t id[BS_GW_ID_LEN]; /**< random, for this attempt only; wipe it after use */
	uint8_t nsi_co[8];        /**< random */
};

/**
 * bs_gateway_open - expect the two legs of a connection
 *
 * @nsi, @nsi_cp  its numbers, which the legs must name
 * @client_hash   whose sessions may bring the client's leg
 *
 * Returns BS_OK with *t filled, BS_EFULL when all bridges are in use, BS_ERANDOM.
 */
BS_MUSTCHECK int bs_gateway_open(struct bs_gateway *g, uint32_t nsi, uint32_t nsi_cp,
				 uint64_t client_hash, uint64_t attempt, uint32_t number,
				 struct bs_gateway_ticket *t);
/** The device said yes: the wait for its leg and the client's counts from now. */
void bs_gateway_accepted(struct bs_gateway *g, uint32_t bridge);
/** The connection is over: its legs end now.  BS_POOL_NONE is fine. */
void bs_gateway_close(struct bs_gateway *g, uint32_t bridge);

#endif
