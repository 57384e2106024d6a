/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_loop.h - the loop of a worker: thread, watchers, datagrams in and out, mail.
 *
 * Private to server/.  Owner: main makes and frees, the worker's thread runs.
 */
#ifndef BS_SERVER_WORKER_LOOP_H
#define BS_SERVER_WORKER_LOOP_H

#include "server/worker.h"

struct bs_server_clock;

/** What the workers of a server share, see the table in worker.h. */
struct bs_shared {
	_Atomic(const struct bs_conf *) conf;
	unsigned n_workers;
	struct bs_post *post;
	struct bs_relay_demand *demand; /**< [n_workers] */
	struct bs_state *state;
	struct bs_registry *registry;
	const struct bs_gate_ops *gate_ops;
	void *gate_shared;
	struct bs_gateway_shared *gateway_shared; /**< NULL without a gate */
	bool steered;                             /**< the kernel steers */
	bool pin;
	const struct bs_server_clock *clock; /**< NULL: the system's */
	bool frozen; /**< workers begin so: read nothing but mail until BS_MSG_THAW */
};

struct bs_worker_loop;

/** Monotonic and Unix time, from such a clock or (NULL) the system's. */
void bs__clock_read(const struct bs_server_clock *c, unsigned who, bs_time *now, uint64_t *unix_ms);
/** Everything that can fail; the thread does not run yet.  BS_OK or an error (logged). */
BS_MUSTCHECK int bs__worker_init(struct bs_worker *w, struct bs_shared *shared, unsigned index);
/** After the thread was joined, or never started. */
void bs__worker_fini(struct bs_worker *w);
/** BS_OK or BS_ENOMEM (no thread). */
BS_MUSTCHECK int bs__worker_start(struct bs_worker *w);
void bs__worker_join(struct bs_worker *w);

/** Room of BS_UDP_BUF bytes in the send queue; never NULL: a full queue is sent first. */
uint8_t *bs__worker_reserve(struct bs_worker *w);
void bs__worker_commit(struct bs_worker *w, size_t len, unsigned socket,
		       const struct bs_endpoint *local, const struct bs_endpoint *peer);

#endif
