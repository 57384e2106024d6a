/* SPDX-License-Identifier: Apache-2.0 */
/*
 * path.h - which of the ways to a device carries a client's data (basestation-wire(7), PATHS).
 *
 * Ways are found by a search (rendezvous.h) or offered by the owner: relays, which need no search.
 * The nearer one is preferred: local, direct, UDP relay, TCP relay.  Rules:
 *
 * - A relay carries data once no direct way opened within relay_wait_ms: stock devices stop
 *   searching at the first DATA, so the head start decides how many of them become direct.
 * - Search packets are not authenticated.  A connection that is open already therefore moves only
 *   after a check: a keep-alive to the new way, whose echo came back over it.  Data goes on over
 *   the old way meanwhile.
 * - A way that falls silent is suspect: every other one is checked, and the first that answers
 *   takes over.  A suspect way that answers again is as good as new.
 * - An idle connection keeps its way open at a pace that is stretched, step by step, while every
 *   keep-alive is answered: a phone's radio should sleep.
 * - While a relay is in use the search is repeated with growing pauses.  A device that
 *   understands is asked over the relay to search too; the first repetitions suppose a symmetric
 *   NAT on our side, then on its side: the basestation cannot measure every kind.
 *
 * Owner: the peer composite.  May call: util, wire, crypto, conn, rendezvous.  Allocates: no.
 */
#ifndef BS_PROTO_PATH_H
#define BS_PROTO_PATH_H

#include "proto/conn.h"
#include "proto/rendezvous.h"
#include "wire/search.h"

/** Relays that are kept. */
#define BS_PATHS_RELAYS 4

/** A way that needs no search. */
struct bs_path {
	struct bs_endpoint ep; /**< via says which socket or stream leads there */
	uint8_t kind;          /**< BS_PATH_UDP_RELAY or BS_PATH_TCP_RELAY */
};

/** A way that has to prove itself before an open connection moves to it. */
struct bs_path_check {
	struct bs_endpoint ep;
	bs_time due;   /**< next keep-alive to it */
	uint8_t tries; /**< sent so far */
	bool active;
	bool waits; /**< a keep-alive to it waits to be composed */
};

/** What the next searches do, and what the device is asked to do with them. */
struct bs_path_ask {
	struct bs_search m; /**< number and flags of the search under way; our endpoints */
	bs_time due;        /**< the second copy of the request */
	uint16_t sockets;   /**< further sockets of ours that may be used */
	bool symmetric;     /**< measured: our NAT */
	bool guess;         /**< measured: the device's */
	bool can;           /**< the device understands */
	uint8_t copies;     /**< left to send */
};

/** The ways of one connection. */
struct bs_paths {
	struct bs_path relay[BS_PATHS_RELAYS];
	struct bs_path_check check;
	struct bs_path_ask ask;
	bs_time relay_at;     /**< before that no relay carries data */
	bs_time search_end;   /**< the running search pauses then */
	bs_time search_again; /**< next search, while relayed */
	bs_time heard_wait;   /**< DATA went out then, and nothing came since (waiting) */
	bs_time heard;        /**< last authentic packet */
	bs_time stretched;    /**< keep-alive whose echo lengthened the pace last */
	uint32_t pace_ms;     /**< interval of keep-alives now, 0 = the connection's */
	uint32_t pace_min_ms; /**< where it starts, and starts again */
	uint32_t tx_pkts;     /**< conn.stats.tx_pkts when something was heard last */
	uint8_t n;
	uint8_t searches; /**< finished without success */
	bool searching;   /**< search_end counts */
	bool paused;      /**< search_again counts */
	bool waiting;     /**< heard_wait counts */
	bool suspect;     /**< the way in use fell silent */
};

void bs_paths_init(struct bs_paths *ps, uint32_t relay_wait_ms, bs_time now);
/** Keep-alives start at this interval; 0 = always the connection's. */
void bs_paths_pace(struct bs_paths *ps, uint32_t pace_ms);
/** Add a relay.  BS_OK (also when it is known), BS_EINVAL, BS_EFULL. */
BS_MUSTCHECK int bs_paths_add(struct bs_paths *ps, const struct bs_endpoint *ep,
			      enum bs_conn_path kind);
/** Forget a relay; whether it was there. */
bool bs_paths_drop(struct bs_paths *ps, const struct bs_endpoint *ep);
/** The preferred relay but not this one (NULL: any); NULL when there is none. */
const struct bs_path *bs_paths_relay(const struct bs_paths *ps, const struct bs_endpoint *but);
/** What kind of way leads there. */
enum bs_conn_path bs_paths_kind(const struct bs_paths *ps, const struct bs_endpoint *ep);

/** Start a search, unless there is no candidate. */
void bs_paths_search(struct bs_paths *ps, struct bs_rendezvous_client *rv, bs_time now);
/** The way in use is in doubt: check the others and search. */
void bs_paths_suspect(struct bs_paths *ps, struct bs_conn *c, struct bs_rendezvous_client *rv,
		      bs_time now);
/** Something changed: choose again.  Whether conn.remote was set. */
bool bs_paths_consider(struct bs_paths *ps, struct bs_conn *c,
		       const struct bs_rendezvous_client *rv, bs_time now);
/**
 * bs_paths_heard - an authentic packet came in
 *
 * @from     its source
 * @old      where conn.remote was before it
 * @was_open whether the connection was open before it
 *
 * Whether the connection moved.
 */
bool bs_paths_heard(struct bs_paths *ps, struct bs_conn *c, struct bs_rendezvous_client *rv,
		    const struct bs_endpoint *from, const struct bs_endpoint *old, bool was_open,
		    bs_time now);
/** Something was sent: watch for an answer. */
void bs_paths_sent(struct bs_paths *ps, const struct bs_conn *c, bs_time now);
/** Run what is due.  Whether conn.remote was set. */
bool bs_paths_timeout(struct bs_paths *ps, struct bs_conn *c, struct bs_rendezvous_client *rv,
		      bs_time now);
/** Compose a check; 0 when none waits. */
size_t bs_paths_output(struct bs_paths *ps, struct bs_conn *c, const struct bs_crypto *crypto,
		       uint8_t *buf, size_t cap, struct bs_endpoint *to, bs_time now);
bool bs_paths_next_timeout(const struct bs_paths *ps, const struct bs_conn *c, bs_time *at);

#endif
