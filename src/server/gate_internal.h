/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_internal.h - what the files of the client gate share; gate.h has the map.
 */
#ifndef BS_SERVER_GATE_INTERNAL_H
#define BS_SERVER_GATE_INTERNAL_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>

#include "log/log.h"
#include "net/tls.h"
#include "server/gate.h"
#include "server/gate_map.h"
#include "server/limiter.h"
#include "server/message.h"
#include "server/worker.h"
#include "store/access.h"
#include "util/window.h"
#include "wire/gate.h"

/** Output that may wait for a client that does not read, bytes; more ends the session. */
#define BS_GATE_OUT_MAX 65536u
/** Attempts and questions under way in one session. */
#define BS_GATE_ATTEMPTS_PER_SESSION 64u
#define BS_GATE_QUERIES_PER_SESSION  4u
/** Devices watched by one session. */
#define BS_GATE_WATCHES_PER_SESSION 512u
/** Requests: a session's bucket, refill per second, and what each kind costs. */
#define BS_GATE_BUCKET      400u
#define BS_GATE_REFILL      200u
#define BS_GATE_COST        1u
#define BS_GATE_COST_LOOKUP 5u
#define BS_GATE_COST_LIST   10u
/** Presences in one answer: what fits a packet beside a cursor. */
#define BS_GATE_PAGE 48u
/** Answers to the probes of one token, and its life. */
#define BS_GATE_PROBE_ANSWERS 16u
#define BS_GATE_TOKEN_LIFE    BS_TIME_MS(30000)
/** An observed mapping older than this is no longer named to a device. */
#define BS_GATE_MAPPING_LIFE BS_TIME_MS(120000)
/** Owners answer a question within this; after it the state is "unknown". */
#define BS_GATE_QUERY_WAIT BS_TIME_MS(300)
/** A cursor older than this many seconds is refused. */
#define BS_GATE_CURSOR_LIFE_S 600u

/** Lanes of handshakes: so many sources have one of their own, more share them. */
#define BS_GATE_LANES 1024u

struct bs_session;
struct bs_gate_leg;
struct bs_gate_channel;
struct bs_gate_tickets;

/** What main makes and all workers use. */
struct bs_gate_shared {
	const struct bs_conf *conf; /**< main's reference */
	struct bs_registry *registry;
	unsigned n_workers;
	unsigned n_listen; /**< sockets of one worker */
	int *fd;           /**< [n_workers * n_listen] */
	uint16_t port;
	bs_time rotate_at; /**< main: when the ticket keys change; 0 = not begun */
	/**
	 * Rank 3, the innermost.  Protects the two pointers while a worker takes its references;
	 * held for two increments, by main once a reload, by a worker when generation changed.
	 */
	pthread_mutex_t lock;
	struct bs_tls_pem *pem;
	struct bs_tls_keys *keys;
	/** Rises with every change of a pointer; release pairs with the workers' acquire. */
	_Atomic uint64_t generation;
};

enum bs_session_state {
	BS_SESSION_HANDSHAKE = 1,
	BS_SESSION_HELLO, /**< TLS is up, HELLO is due */
	BS_SESSION_OPEN,
	BS_SESSION_LEG,     /**< it is a leg of the TCP relay: gate_leg.c */
	BS_SESSION_CLOSING, /**< output is flushed, then it ends */
	BS_SESSION_TICKET,  /**< it has a channel and no TLS: gate_ticket.h */
	BS_SESSION_GHOST,   /**< TLS is gone, its connections live on */
};

/** Which port a mapping was observed on. */
enum {
	BS_SEEN_CONTROLLER = 0,
	BS_SEEN_ATTACH = 1,
	BS_SEEN_N
};

/** A client's mapping as one port saw it. */
struct bs_gate_seen {
	struct bs_endpoint ep;
	bs_time at; /**< 0 = never */
};

/** The UDP side of a session. */
struct bs_gate_probe {
	uint32_t nsi;
	struct bs_window counters; /**< each once; probes to two ports overtake each other */
	uint8_t answers;           /**< under this token life */
	uint8_t token[BS_TOKEN_LEN];
	bs_time since;                          /**< when the token's life began */
	struct bs_gate_seen seen[2][BS_SEEN_N]; /**< [0] IPv4, [1] IPv6 */
};

/** An open connection of a client. */
struct bs_gate_conn {
	struct bs_gate_conn *next; /**< of the same session */
	struct bs_session *session;
	uint64_t ref; /**< by which the holder knows it: the handle of the attempt */
	uint32_t nsi;
	uint32_t number; /**< device */
};

/** A CONNECT under way. */
struct bs_gate_attempt {
	struct bs_gate_attempt *next;  /**< of the same session */
	struct bs_gate_attempt *later; /**< in one of the gate's lists, in order of arrival */
	struct bs_gate_attempt *earlier;
	struct bs_session *session; /**< NULL: the session ended, only the result is awaited */
	uint64_t handle;            /**< what messages carry as ref */
	bs_time arrived;
	uint32_t number;
	uint32_t cp;
	uint16_t seq[4]; /**< requests that ask for this attempt */
	uint8_t n_seq;
	bool sent; /**< in list asked, else in waiting */
	uint8_t attempt[BS_ATTEMPT_LEN];
	struct bs_msg_connect ask;
};

/** Attempts in order of arrival, so that looking for the overdue stops early. */
struct bs_gate_attempts {
	struct bs_gate_attempt *first, *last;
};

/** One session watches one device. */
struct bs_gate_watcher {
	struct bs_gate_watcher *next; /**< of the same session */
	struct bs_gate_watcher *same; /**< of the same device */
	struct bs_session *session;
	struct bs_gate_watched *device;
};

/** A device that somebody on this worker watches. */
struct bs_gate_watched {
	struct bs_gate_watcher *first;
	uint32_t number;
	char id[BS_DEVICE_ID_MAX + 1];
};

/** One device in an answer to LIST or WATCH. */
struct bs_gate_query_row {
	uint32_t number;
	uint8_t state; /**< enum bs_presence_state */
	bool known;    /**< the owner has answered */
	uint64_t event;
	uint64_t since_ms;
	char id[BS_DEVICE_ID_MAX + 1];
};

/** A LIST or WATCH under way. */
struct bs_gate_query {
	struct bs_gate_query *later;
	struct bs_session *session; /**< NULL: nobody waits any more */
	uint64_t handle;
	bs_time deadline; /**< of the owners' answers; 0 while a list is still being read */
	struct bs_gate_head head;
	uint8_t type; /**< BS_TYPE_LIST or BS_TYPE_WATCH */
	uint8_t n;
	bool reading; /**< LIST: more records have to be looked at */
	bool end;     /**< LIST: the last record was seen */
	uint64_t since;
	struct bs_list_pos pos;
	struct bs_gate_query_row row[BS_GATE_WATCH_MAX];
};

/** What sessions of one client have together. */
struct bs_gate_client {
	uint64_t hash;
	uint32_t sessions; /**< on this worker, ghosts too */
	uint32_t conns;    /**< on this worker */
	uint32_t attempts; /**< under way on this worker */
	uint32_t others;   /**< sum of theirs */
	uint32_t theirs[]; /**< [n_workers] connections on each other worker */
};

/** Handshakes of one source, or of some that share the lane. */
struct bs_gate_lane {
	struct bs_session *first, *last; /**< those that can go on, in order of arrival */
	struct bs_session *newest;       /**< all of them */
	struct bs_gate_lane *next;       /**< whose turn comes after */
	uint32_t n;                      /**< how many there are in all */
	bool waits;                      /**< it is in the round */
};

struct bs_session {
	struct ev_io io;
	struct bs_gate *gate;
	struct bs_tls *tls;
	struct bs_session *next_ready;    /**< in the queue of work, or of the lane */
	struct bs_session *prev_ready;    /**< of the lane */
	struct bs_gate_lane *lane;        /**< while in handshake */
	struct bs_session *older, *newer; /**< in handshake, of the same lane */
	struct bs_session *next_free;
	uint64_t generation; /**< of the snapshots that its TLS was made from */
	uint32_t index;      /**< in the pool */
	uint8_t state;       /**< enum bs_session_state, 0 = free */
	bool queued;
	bool listening; /**< io is started */
	bool drained;   /**< the last read of the handshake took all that was there */
	int fd;
	uint16_t in_len;
	uint8_t *in;  /**< heap, the beginning of a packet; NULL = none */
	uint8_t *out; /**< heap; NULL = nothing waits */
	uint32_t out_off, out_len, out_cap;
	uint32_t cp; /**< of the HELLO */
	uint32_t tokens;
	bs_time tokens_at;
	bs_time started;   /**< when TCP was accepted */
	bs_time heard;     /**< last packet */
	bs_time keepalive; /**< agreed */
	struct bs_endpoint peer, local;
	struct bs_tls_peer who;
	struct bs_gate_client *client;
	uint64_t client_hash;
	struct bs_gate_leg *leg;        /**< heap, in state LEG */
	struct bs_gate_channel *ticket; /**< heap; NULL: this session came over TLS */
	struct bs_gate_probe probe;
	struct bs_gate_conn *conns;
	struct bs_gate_attempt *attempts;
	struct bs_gate_watcher *watches;
	uint16_t n_attempts;
	uint16_t n_watches;
	uint8_t n_queries;
};

struct bs_gate_listener {
	struct ev_io io;
	struct bs_gate *gate;
};

struct bs_gate {
	struct bs_worker *w;
	struct bs_gate_shared *shared;
	uint64_t generation;
	struct bs_tls_pem *pem;
	struct bs_tls_keys *keys;
	struct bs_tls_server *tls;
	struct bs_tls_stats seen_stats; /**< of tls, as far as it is in the counters */
	unsigned n_listen;
	struct bs_gate_listener listener[BS_CONF_LISTEN_MAX];
	bool accepting;
	bool draining;
	bs_time drain_at;     /**< when it began */
	bs_time drain_span;   /**< and how long it takes; 0 = no time was given */
	uint32_t told;        /**< sessions of the table that were told to leave */
	uint32_t ended;       /**< and that were ended, as far as they had not left */
	uint8_t near_full;    /**< bit per table: the notice was given */
	bs_time accept_again; /**< after running out of descriptors */
	uint32_t steps;       /**< of handshakes, since is_busy was asked */
	bool busy;            /**< what it said */
	struct bs_session *ready, *ready_last; /**< TLS is up and has bytes for us */
	struct bs_gate_lane lane[BS_GATE_LANES];
	struct bs_gate_lane *lane_first, *lane_last; /**< lanes with handshakes that can go on */
	struct bs_session *session;                  /**< [cap] */
	struct bs_session *free_session;
	uint32_t cap, live, fresh;
	uint32_t ghost_scan; /**< where the search for a ghost goes on */
	uint32_t sweep;      /**< next session that tick looks at */
	uint32_t recheck;    /**< next session to look at again; cap = done */
	bool recheck_all;    /**< rights changed once more meanwhile */
	bool recheck_certs;  /**< the CA set or a CRL changed too */
	struct bs_limiter sources;
	struct bs_gate_pool attempts, conns, watches, watched, queries, clients;
	struct bs_gate_map probe_map, conn_map, watch_map, client_map, handle_map, query_map;
	struct bs_gate_attempts waiting; /**< for a probe */
	struct bs_gate_attempts asked;   /**< the owner has the question */
	struct bs_gate_query *query_first, *query_last;
	uint64_t next_handle;
	struct bs_log_limit log_refused, log_full;
	struct bs_gate_tickets *tickets; /**< heap: gate_ticket.h */
	char node[BS_NODE_HOST_MAX + 1];
	struct bs_device page[16]; /**< records of a list that are looked at */
	uint8_t rx[2 * BS_GATE_PACKET_MAX];
	uint8_t tx[BS_GATE_PACKET_MAX];
};

/* gate.c */
/** Take the snapshots again when main changed them.  True when the CA set is another. */
bool bs__gate_refresh(struct bs_gate *g);
/** An address without port, and of IPv6 only the network: what one source can vary is left out. */
uint64_t bs__gate_hash_source(const struct bs_gate *g, const struct bs_endpoint *peer);

/* gate_ticket.c */
BS_MUSTCHECK int bs__gate_tickets_init(struct bs_gate *g);
void bs__gate_tickets_fini(struct bs_gate *g);
void bs__gate_tickets_conf(struct bs_gate *g);
/**
 * A ticket for the client of a session.  ticket is what a borrows; wipe a->token.
 * BS_OK; BS_EDRAIN: none are given out; BS_EAUTH, BS_ESTATE as bs__gate_still_good.
 */
BS_MUSTCHECK int bs__gate_ticket_make(struct bs_session *s, struct bs_gate_ticket_answer *a,
				      uint8_t ticket[BS_GATE_TICKET_MAX]);
/** A packet of type TICKET. */
void bs__gate_ticket_input(struct bs_gate *g, const struct bs_packet *p,
			   const struct bs_endpoint *from, unsigned socket,
			   const struct bs_endpoint *local);
/** The session is released. */
void bs__gate_ticket_gone(struct bs_session *s);

/* gate_channel.c */
/** Seal one packet under the ticket's secret and send it. */
void bs__channel_send(struct bs_session *s, const uint8_t *buf, size_t len);
/** Whether something must be repeated yet. */
bool bs__channel_is_busy(const struct bs_session *s);
/** Nothing is repeated any more. */
void bs__channel_quiet(struct bs_session *s);
/** Repeat events, forget answers, end what is over. */
void bs__channel_tick(struct bs_session *s, bs_time now);

/* gate_session.c */
/**
 * A session for an accepted socket (taken in every case) of this source; NULL when it was refused.
 */
struct bs_session *bs__session_new(struct bs_gate *g, int fd, uint64_t source,
				   const struct bs_endpoint *peer);
/** Ask which endpoint of ours the client came to; of a channel it is known. */
void bs__session_learn_local(struct bs_session *s);
/** A session without a transport, zeroed, of state HANDSHAKE; NULL when there is no room. */
struct bs_session *bs__session_new_bare(struct bs_gate *g);
/** Whether it can be told something: TLS is up, or it has a channel. */
bool bs__session_hears(const struct bs_session *s);
/** End it now: transport, TLS, everything under way.  A ghost stays while connections live. */
void bs__session_end(struct bs_session *s);
/** End it once the output is flushed. */
void bs__session_close(struct bs_session *s);
/** Free a ghost, or a session of which nothing is left. */
void bs__session_release(struct bs_session *s);
/** Queue one packet; a session that cannot take it is ended and counted. */
void bs__session_send(struct bs_session *s, const uint8_t *buf, size_t len);
/** Queue a packet that an encoder made in g->tx; a negative length is an internal error. */
void bs__session_send_tx(struct bs_session *s, bs_ssize len);
/** Work through the queue of sessions, within the budget of one turn. */
void bs__session_work(struct bs_gate *g);
/** Time limits of one session. */
void bs__session_tick(struct bs_session *s, bs_time now);

/** Read again from a session that was not read because nobody took its bytes. */
void bs__session_resume(struct bs_session *s);

/* gate_lane.c */
/** A session begins its handshake. */
void bs__lane_join(struct bs_session *s, uint64_t source);
/** Its handshake is done or over; harmless when it has no lane. */
void bs__lane_leave(struct bs_session *s);
/** It can go on, in its turn. */
void bs__lane_push(struct bs_session *s);
/** It can not, after all. */
void bs__lane_drop(struct bs_session *s);
/** Whose turn it is; NULL when nobody waits. */
struct bs_session *bs__lane_pop(struct bs_gate *g);
/** End a handshake of whoever has most of them; false when this source has as many. */
BS_MUSTCHECK bool bs__lane_make_room(struct bs_gate *g, uint64_t source);

/* gate_leg.c */
/** The first packet is GW_CONN_U: from now on the session is a leg. */
void bs__gate_leg_start(struct bs_session *s, const struct bs_packet *p);
/** The client's side is readable.  False when the session has ended. */
BS_MUSTCHECK bool bs__gate_leg_serve(struct bs_session *s);
/** The relay has to take something first: do not read from the client. */
bool bs__gate_leg_stalled(const struct bs_session *s);
/** The relay has something for the client. */
bool bs__gate_leg_writes(const struct bs_session *s);
/** The client's side is ready, and the relay reads and writes it.  False when the session has
 *  ended. */
BS_MUSTCHECK bool bs__gate_leg_ready(struct bs_session *s, bool readable, bool writable);
/** The client has taken all that waited. */
void bs__gate_leg_flushed(struct bs_session *s);
void bs__gate_leg_end(struct bs_session *s);

/* gate_client.c */
/** Bytes of one bs_gate_client. */
size_t bs__client_bytes(const struct bs_worker *w);
/** Find out whose session this is (client_hash) and join it; BS_OK or BS_EFULL. */
BS_MUSTCHECK int bs__client_join(struct bs_session *s);
void bs__client_leave(struct bs_session *s);
/** A connection more or less (+1, -1); the other workers are told. */
void bs__client_count(struct bs_session *s, int change);
/** Connections of this client on all workers. */
uint32_t bs__client_conns(const struct bs_session *s);
/** Word of another gate; false when the message is something else. */
bool bs__client_message(struct bs_gate *g, const struct bs_message *m);

/* gate_request.c */
/** One whole frame of a session. */
void bs__gate_packet(struct bs_session *s, const uint8_t *buf, size_t len);
/** ERROR with a text, then close. */
void bs__gate_error(struct bs_session *s, uint16_t code, const char *text);
struct bs_status_text bs__gate_status(uint16_t code, const char *text);
/** What the registry wants to know about a client. */
struct bs_presented bs__gate_presented(const struct bs_tls_peer *who);
/** TLS hook: revoked or disabled clients are refused. */
int bs__gate_check_peer(void *ctx, struct bs_tls_peer *peer);

/* gate_probe.c */
void bs__gate_probe(struct bs_gate *g, const struct bs_packet *p, const struct bs_endpoint *from,
		    unsigned socket, const struct bs_endpoint *local);
/** A new token, or a new life for it; BS_OK or BS_ERANDOM. */
BS_MUSTCHECK int bs__gate_token_new(struct bs_session *s);
void bs__gate_token_renew(struct bs_session *s);
/** The newest mapping in a family (0 IPv4, 1 IPv6) that is young enough; NULL when unknown. */
const struct bs_endpoint *bs__gate_mapping(const struct bs_session *s, int family);
/** Measured NAT behaviour. */
struct bs_nat bs__gate_nat(const struct bs_session *s);
/** Whether waiting longer could tell more. */
bool bs__gate_probe_done(const struct bs_session *s);

/* gate_connect.c */
void bs__gate_connect(struct bs_session *s, const struct bs_packet *p);
void bs__gate_disconnect(struct bs_session *s, const struct bs_packet *p);
void bs__gate_connect_result(struct bs_gate *g, struct bs_message *m);
void bs__gate_conn_closed(struct bs_gate *g, const struct bs_message *m);
/** A connection gets no relay (any longer); it stays. */
void bs__gate_conn_relay(struct bs_gate *g, const struct bs_message *m);
/** Attempts that wait for a probe or overdue results. */
void bs__gate_connect_tick(struct bs_gate *g, bs_time now);
/** A probe came: attempts that waited for it may go. */
void bs__gate_connect_probed(struct bs_session *s);
/** The session ended: attempts are orphaned, connections stay. */
void bs__gate_connect_session_end(struct bs_session *s);
/** End one connection from our side: the holder is told, and the client when it is still there. */
void bs__gate_conn_end(struct bs_gate_conn *c, uint16_t status, bool tell_client);
/** Drop the records of a ghost's connections, and with them the ghost. */
void bs__gate_conns_forget(struct bs_session *s);
/** Refuse an attempt that may no longer go on. */
void bs__gate_attempt_refuse(struct bs_gate_attempt *a, uint16_t status, const char *text);

/* gate_query.c */
void bs__gate_list(struct bs_session *s, const struct bs_packet *p);
void bs__gate_watch(struct bs_session *s, const struct bs_packet *p);
/** An owner answered a question. */
void bs__gate_query_answer(struct bs_gate *g, const struct bs_message *m);
/** Read on in lists, answer what is complete or late. */
void bs__gate_query_tick(struct bs_gate *g, bs_time now);
void bs__gate_query_session_end(struct bs_session *s);

/* presence.c */
/** Subscribe; BS_OK (also when it is already), or BS_EFULL. */
BS_MUSTCHECK int bs__presence_add(struct bs_session *s, uint32_t number, const char *id);
void bs__presence_remove(struct bs_session *s, uint32_t number);
void bs__presence_session_end(struct bs_session *s);
/** A change arrived: tell whoever watches. */
void bs__presence_change(struct bs_gate *g, const struct bs_message *m);
/** A watch that is no longer allowed: end it and say so. */
void bs__presence_forbid(struct bs_gate_watcher *w);

/* gate_revoke.c */
/**
 * Whether what the handshake was told about a client still holds at its end: BS_OK, BS_EAUTH, or
 * BS_ESTATE when only another handshake can tell.
 */
BS_MUSTCHECK int bs__gate_still_good(struct bs_session *s);
/** Rights changed: look at every session again within a second. */
void bs__gate_recheck_begin(struct bs_gate *g, bool certs);
void bs__gate_recheck_tick(struct bs_gate *g);

/* gate_shared.c */
int bs__gate_bind(const struct bs_conf *conf, struct bs_registry *registry, unsigned n_workers,
		  struct bs_handover *inherited, void **shared);
int bs__gate_collect(void *shared, struct bs_handover *h);
void bs__gate_unbind(void *shared);
int bs__gate_reload(void *shared, const struct bs_conf *conf);
void bs__gate_main_tick(void *shared, bs_time now);
uint16_t bs__gate_port(void *shared);

#endif
