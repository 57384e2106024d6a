/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - one worker: one thread, one event loop, its devices, its connections, its clients.
 *
 * Folder server/: workers and the roles they play (controller, attach server, client gate), and the
 * main thread's half (server.h, control_*).  It may call every folder of src/ but daemon and tools.
 * Owner thread of struct bs_worker: its own worker; main touches it before the thread starts and
 * after it was joined.
 *
 * Everything that threads share, and how:
 *
 *   configuration snapshot   immutable, atomic pointer in struct bs_shared, counted references
 *   PEM, ticket-key snapshot the same, in the gate's own shared part
 *   LMDB environment         one environment; the store thread writes, each worker has a reader
 *   rings (mailboxes)        one producer, one consumer each, acquire/release indices
 *   log ring                 the same, inside log/
 *   counters                 one block per worker on lines of its own, relaxed atomics
 *   relay demand             one line per worker, written by it ten times a second, relaxed atomics
 *   stop                     a message
 *   state                    one mapping, a shard per worker; only the owner touches its shard
 *   UDP sockets              each read and written by its worker only; main opens and closes them
 */
#ifndef BS_SERVER_WORKER_H
#define BS_SERVER_WORKER_H

#include "conf/conf.h"
#include "crypto/crypto.h"
#include "server/counters.h"
#include "server/gate_ops.h"
#include "server/mailbox.h"
#include "store/registry.h"
#include "wire/packet.h"

struct ev_loop;
struct bs_roles;
struct bs_state_shard;
struct bs_gateway;

/** What a UDP socket is for; a socket on a common port is both. */
enum bs_socket_role {
	BS_SOCKET_CONTROLLER = 1,
	BS_SOCKET_ATTACH = 2,
};

/** One listening UDP socket of a worker. */
struct bs_worker_socket {
	int fd;
	uint8_t roles;         /**< enum bs_socket_role */
	struct bs_endpoint ep; /**< as bound; the address may be unspecified */
};

/** Most sockets: every listen address with two ports. */
#define BS_WORKER_SOCKETS_MAX (2 * BS_CONF_LISTEN_MAX)

/** What a worker would relay, for the others: the node's rate is shared out by it. */
struct bs_relay_demand {
	_Alignas(64) _Atomic uint64_t bytes[2]; /**< of a tenth of a second, [0] towards devices */
};

struct bs_worker {
	unsigned index; /**< 0..n_workers-1 */
	unsigned n_workers;
	struct ev_loop *loop;
	bs_time now;                /**< monotonic; read once per turn of the loop */
	uint64_t unix_ms;           /**< wall clock of the same moment */
	const struct bs_conf *conf; /**< the snapshot this worker works by; valid for the turn */
	struct bs_registry *registry;
	struct bs_registry_reader *reader;
	const struct bs_crypto *crypto;
	struct bs_counters *counters;
	struct bs_gate *gate; /**< NULL without a client gate */
	const struct bs_gate_ops *gate_ops;
	struct bs_gateway *gateway; /**< TCP relay; NULL without a client gate */
	struct bs_worker_socket socket[BS_WORKER_SOCKETS_MAX];
	unsigned n_sockets;
	struct bs_post *post;
	struct bs_relay_demand *demand; /**< [n_workers]; only one's own is written */
	struct bs_state_shard *state;   /**< what outlives the process: state.h */
	bs_time state_base;             /**< of the uptime that its times are in */
	const uint8_t *state_key;       /**< of the hashes in it */
	struct bs_roles *roles;         /**< devices, tables, timers: roles.h */
	struct bs_worker_loop *events;  /**< watchers: worker.c */
};

/** The worker that decides who holds an id: the "owner" of message.h. */
unsigned bs_worker_owner(const struct bs_worker *w, uint32_t number);
/** The worker that an NSI names: the "holder". */
unsigned bs_worker_of_nsi(const struct bs_worker *w, uint32_t nsi);

/**
 * Send a message to a worker or (to == n_workers) to main.  To oneself it is delivered at once, as
 * a call.  m is copied.  BS_OK, or BS_EFULL (counted): the peer is behind, treat it as lost.
 */
int bs_worker_send(struct bs_worker *w, unsigned to, struct bs_message *m);

/**
 * Reserve a session number of this worker for the gate (a probe NSI), marked as such in the one
 * table of NSIs.  0 when 16 tries found none or the table is full (counted).
 */
uint32_t bs_worker_probe_nsi_take(struct bs_worker *w);
/** Give it back. */
void bs_worker_probe_nsi_give(struct bs_worker *w, uint32_t nsi);

/** Queue a datagram from the socket and local address that another one arrived on; sent at the end
 *  of the turn.  len is at most BS_UDP_BUF. */
void bs_worker_udp_reply(struct bs_worker *w, unsigned socket, const struct bs_endpoint *local,
			 const struct bs_endpoint *peer, const uint8_t *data, size_t len);

/** A socket of this worker with that role in the address family of `like`; -1 when there is none.
 *  For probe answers "from the other port" (other than socket `not`). */
int bs_worker_socket_find(const struct bs_worker *w, enum bs_socket_role role,
			  const struct bs_endpoint *like, int not_socket);

/**
 * The endpoint that devices and clients are told for a role: conf's public address where it is set,
 * else `local`, the address on which the peer was seen.  Unset when the role has no socket in that
 * family.
 */
struct bs_endpoint bs_worker_public(const struct bs_worker *w, enum bs_socket_role role,
				    const struct bs_endpoint *local);

/** The id of a number, for logs and answers;
 *  false when the registry no longer has it. */
bool bs_worker_device_id(struct bs_worker *w, uint32_t number, char id[BS_DEVICE_ID_MAX + 1]);

#endif
