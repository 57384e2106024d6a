/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - the session handle: the machine and what drives it. */
#ifndef BS_CLIENT_POSIX_SESSION_H
#define BS_CLIENT_POSIX_SESSION_H

#include <sys/types.h>

#include "crypto/gcm.h"
#include "crypto/openssl.h"
#include "legs.h"
#include "machine.h"
#include "port/batch.h"
#include "port/poller.h"
#include "port/sockets.h"
#include "transport.h"

struct bsc__part;

struct bsc_session {
	struct bsc__machine m;
	struct bs_openssl *openssl;
	struct bs_gcm *gcm; /**< of connect tickets */
	struct bsc__tls_ctx *ctx;
	struct bsc__resolver *resolver;
	struct bsc__transport transport;
	struct bsc__legs legs;          /**< to TCP relays */
	uint32_t generation;            /**< m.transport that the transport was started for */
	enum bsc__transport_state told; /**< last state that the machine was told */
	int udp;                        /**< rendezvous socket, -1 = none */
	int udp_family;                 /**< AF_INET6 takes both families */
	uint16_t udp_port;
	struct bs_batch *batch;     /**< of all UDP sockets */
	struct bs_sockets further;  /**< by via, for a symmetric NAT */
	bs_time sweep_at;           /**< when they are looked at next */
	struct bsc__mapper *mapper; /**< asks the router; NULL = not running */
	bs_time map_at;             /**< when it is looked for its news */
	bool map_tried;
	bool no_map;      /**< conf: never ask */
	bs_time hosts_at; /**< when our own addresses are looked at next */
	pid_t pid;        /**< of the process that made it */
	bool stepping;    /**< a callback may be running */
	bool dirty;       /**< something was asked since the last step */
	bool no_hosts;    /**< conf: tell no host candidates */
	uint32_t handshakes;
	char server_name[256]; /**< conf: "" = the host that is talked to */
	char tls_version[16];
	char cipher[64];
	bool resumed;
	struct bs_endpoint remote;
	bsc_log_fn log_fn;
	void *log_arg;
	struct bsc__part *parts; /**< tunnels */
	struct bs_poller set;    /**< descriptors of all parts; fd -1 = none yet */
};

/* ---- session_map.c */

/** Ask the router for a mapped port once a device is wanted, and take what it says. */
void bsc__session_map(struct bsc_session *s, bs_time now);

/* ---- session.c */

/** Give the caller a line of detail. */
void bsc__session_log(const struct bsc_session *s, const char *fmt, ...) BS_PRINTF(2, 3);
/** Monotonic time. */
bs_time bsc__now(void);
/** Open the socket for datagrams, once.  BS_OK or BS_EIO. */
int bsc__session_udp(struct bsc_session *s);
/** BS_OK, or BS_ESTATE in the child of a fork. */
int bsc__check_process(const struct bsc_session *s);

#endif
