/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_ops.h - how a worker calls the client gate without depending on it.
 *
 * The table is handed to bs_server_bind(); NULL runs a server without a client gate.  gate.h offers
 * it as bs_gate_ops().  All calls come on the worker's own thread.
 */
#ifndef BS_SERVER_GATE_OPS_H
#define BS_SERVER_GATE_OPS_H

#include "basestation/types.h"

struct bs_worker;
struct bs_gate;
struct bs_message;
struct bs_packet;
struct bs_conf;
struct bs_handover;
struct bs_registry;

struct bs_gate_ops {
	/**
	 * In main, before privileges are dropped: make what all workers share (listening sockets,
	 * PEM snapshot).  *shared is the gate's own and is passed on.  Sockets and ticket keys come
	 * from inherited where it is not NULL.  BS_OK or an error after one log line.
	 */
	int (*bind)(const struct bs_conf *conf, struct bs_registry *registry, unsigned n_workers,
		    struct bs_handover *inherited, void **shared);
	/** In main: add what bind of the next process inherits.  BS_OK or BS_ENOMEM. */
	int (*collect)(void *shared, struct bs_handover *h);
	/** In main, after the workers are gone; NULL is fine. */
	void (*unbind)(void *shared);
	/**
	 * In main: a new conf snapshot; the old one stays valid until the workers passed it.  Call
	 * it with the snapshot in force when the registry's set of client CAs changed.
	 */
	int (*reload)(void *shared, const struct bs_conf *conf);
	/** In main, about ten times a second: ticket keys are rotated here. */
	void (*main_tick)(void *shared, bs_time now);
	/** The TCP port in use, for status. */
	uint16_t (*port)(void *shared);
	/** On the worker, once, at its start; NULL when it cannot (logged). */
	struct bs_gate *(*new)(struct bs_worker *w, void *shared);
	void (*free)(struct bs_gate *g);
	/** A PROBE (type 30) arrived; answer with bs_worker_udp_reply(). */
	void (*probe)(struct bs_gate *g, const struct bs_packet *p, const struct bs_endpoint *from,
		      unsigned socket, const struct bs_endpoint *local);
	/** A packet of type TICKET (71) arrived: a client with a connect ticket. */
	void (*ticket)(struct bs_gate *g, const struct bs_packet *p, const struct bs_endpoint *from,
		       unsigned socket, const struct bs_endpoint *local);
	/**
	 * A message for the gate: CONNECT_RESULT, CONN_CLOSED, PRESENCE, REVOKE, and kinds from
	 * BS_MSG_GATE_FIRST on.  m is the ring's slot: wipe m->u.result.block after use (the worker
	 * wipes the slot once more on return).
	 */
	void (*message)(struct bs_gate *g, struct bs_message *m);
	/**
	 * The end of a turn of the loop: a turn's worth of the handshakes and reads in waiting.
	 * True: there is more, so the loop must not sleep.  Also while draining and after the
	 * devices have gone to another process, but not while the worker stands still.
	 */
	bool (*turn)(struct bs_gate *g);
	/** Every tick: so many handshakes went on since the last one that waiting for more pays. */
	bool (*is_busy)(struct bs_gate *g);
	/** Every tick (10 ms). */
	void (*tick)(struct bs_gate *g, bs_time now);
	/** The conf snapshot changed: w->conf is the new one. */
	void (*conf_changed)(struct bs_gate *g);
	/** No new sessions; tell the open ones to leave, the last after half of span, and end what
	 *  is left until span is over; 0 = at once. */
	void (*drain)(struct bs_gate *g, bs_time span);
	/** Take sessions again. */
	void (*resume)(struct bs_gate *g);
};

#endif
