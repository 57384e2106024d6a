/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - the client as a machine over bytes: session with the basestation, requests on it,
 * connections to devices.  No socket, no clock: the port tells it what arrived and when.
 *
 * The port keeps one transport (name lookup, TCP, TLS) as `want`, `transport`, host and port ask.
 * machine.c runs the session, request.c what is asked of the basestation, link.c connections.
 *
 * Callbacks of the caller run inside the calls marked (cb).  They may start and end requests and
 * connections; a connection's memory goes only in bsc__machine_reap.
 *
 * Owner: one thread.  May call: the core, the heap.
 */
#ifndef BS_CLIENT_SRC_MACHINE_H
#define BS_CLIENT_SRC_MACHINE_H

#include "backoff.h"
#include "basestation/client.h"
#include "prober.h"
#include "proto/gw_client.h"
#include "proto/peer.h"
#include "proto/relay_client.h"
#include "ticket.h"
#include "util/endpoint.h"
#include "wire/gate.h"

/** Places that a search on the local network asks. */
#define BSC__NEAR_MAX 16
/** Redirects that are followed in a row. */
#define BSC__REDIRECTS_MAX 3
/** Requests to the basestation that may wait at a time. */
#define BSC__REQUESTS_MAX 64
/** Connections of one session: the server's limit per client. */
#define BSC__LINKS_MAX 64
/** Streams of one connection. */
#define BSC__STREAMS_MAX 4096
/** Queries that wait in one connection. */
#define BSC__CALLS_MAX 32
/** A request that was sent and not answered for so long is over; the server needs 4.5 s at most. */
#define BSC__ANSWER_MS 10000u
/** A watch whose request found no room is tried again after this. */
#define BSC__WATCH_RETRY_MS 1000u
/** Token age at which a PING renews it before the next probes. */
#define BSC__TOKEN_MS 20000u
/** Probes sent under it after which the same is done; it has 16 answers. */
#define BSC__TOKEN_PROBES 8

/** What stays the same for a session's life. */
struct bsc__settings {
	char host[BS_NODE_HOST_MAX + 1];
	uint16_t port;
	uint32_t open_timeout_ms;
	uint32_t path_timeout_ms;
	uint32_t rpc_timeout_ms;
	uint16_t keepalive_s;
	uint32_t conn_keepalive_ms;
	uint32_t conn_keepalive_max_ms; /**< stretched up to this; not below the other */
	uint16_t sockets_max;           /**< further sockets for a symmetric NAT, 0 = never */
	uint32_t sockets_pause_ms;      /**< cool-down after a search that used them */
	bool reconnect;
	enum bsc_relay relay;
	bsc_session_fn fn;
	void *arg;
	bsc_pair_fn pair_fn;
	uint16_t local_port; /**< of devices */
	bool no_local;       /**< do not look for paired devices on the local network */
	void *pair_arg;
	struct bsc_session *owner; /**< for the callbacks; opaque here */
	bsc_log_fn note_fn;        /**< lines about attempts; NULL = not wanted */
	void *note_arg;
	bool no_tickets;                /**< never ask for one, never use one */
	bsc_ticket_save_fn ticket_save; /**< NULL = kept in memory only */
	void *ticket_arg;
};

/** One request to the basestation. */
struct bsc__req {
	struct bsc__req *next;
	uint8_t type; /**< enum bs_type */
	bool sent;
	bool by_ticket;  /**< in datagrams: ticket_use.c; due is the next one */
	uint8_t asks;    /**< datagrams without a challenge */
	uint8_t sends;   /**< and with one */
	uint8_t to_send; /**< bit per port: one is to be composed */
	bs_time due;
	uint16_t seq;
	bs_time sent_at;
	bs_time deadline;
	struct bsc_conn *conn;       /**< CONNECT */
	uint32_t nsi;                /**< DISCONNECT */
	uint8_t path;                /**< DISCONNECT: how the packets travelled */
	bsc_presence_fn presence_fn; /**< LIST */
	bsc_done_fn done_fn;         /**< PING; NULL for our own */
	void *arg;
	uint8_t cursor[BS_LIST_CURSOR_MAX]; /**< LIST: next page */
	uint8_t cursor_len;
};

/** The watch of a session. */
struct bsc__watch {
	bsc_presence_fn fn; /**< NULL = none */
	void *arg;
	uint64_t since;
	bool unsent; /**< no room for its request: tried again at retry_at */
	bs_time retry_at;
	uint8_t n;
	char ids[BSC_WATCH_MAX][BS_DEVICE_ID_MAX + 1];
};

struct bsc__search;

struct bsc__machine {
	const struct bs_crypto *crypto;
	struct bsc__settings set;
	enum bsc_session_state state;

	/* What the port shall do. */
	bool want;          /**< a transport is wanted */
	uint32_t transport; /**< rises with each transport: an older one is to be closed */
	char host[BS_NODE_HOST_MAX + 1];
	uint16_t port;

	bool up;              /**< the transport carries bytes */
	bool touched;         /**< a stream was written or read since the last step */
	enum bsc_progress at; /**< what an opening session is doing, for its error text */
	uint8_t redirects;    /**< in a row */
	uint32_t cp;          /**< our number of this session */
	uint16_t seq;         /**< last number used */
	bool hello_sent;
	uint16_t hello_seq;
	bs_time hello_at;
	bs_time open_deadline; /**< OPENING: until HELLO is answered */
	bs_time due;           /**< WAITING: next attempt */
	bs_time not_before;    /**< the server asked not to come earlier */
	bool has_not_before;
	bs_time last_tx; /**< OPEN: for the keepalive */
	bs_time last_rx;
	bs_time token_at;       /**< HELLO or PING answered */
	uint32_t token_counter; /**< probes sent when it was renewed */
	uint32_t keepalive_ms;  /**< agreed */
	struct bsc__backoff backoff;
	struct bsc_error why; /**< reason of the last loss */

	struct bsc__req *reqs; /**< oldest first */
	size_t n_reqs;
	struct bsc__watch watch;
	struct bsc_conn *links; /**< newest first */
	size_t n_links;
	struct bsc__prober prober;
	struct bsc__ticket_tools tools;
	struct bsc__ticket ticket;
	bool has_sockets_at;
	bs_time sockets_at;        /**< the last search that used further sockets */
	struct bs_endpoint mapped; /**< public endpoint that the router forwards to us */
	bool suspended;            /**< the application sleeps: nothing is sent, nothing ends */

	/* Our own addresses, told to devices; the port keeps them up to date. */
	struct bs_ep6 hosts[BS_GATE_HOSTS_MAX];
	uint8_t n_hosts;

	/* The local network: where searches go, kept up to date by the port, and who we are. */
	struct bs_endpoint near[BSC__NEAR_MAX];
	uint8_t n_near;
	bool has_fp;
	uint8_t key_fp[32];
	char identity[BS_CLIENT_ID_MAX + 1];
	struct bsc__search *search; /**< NULL until the first one */

	/* For bsc_session_info. */
	char node[BS_NODE_HOST_MAX + 8];
	struct bs_endpoint tcp_seen;
	struct bs_endpoint gate; /**< where the transport leads to; the port sets it */
	uint64_t server_time_ms;
	uint32_t rtt_us;
	uint64_t tx_bytes;
	uint64_t rx_bytes;

	size_t in_len;
	uint8_t in[BS_GATE_PACKET_MAX]; /**< stream bytes that are no whole packet yet */
};

/** A query of the caller, with a copy of its request behind it. */
struct bsc__call {
	struct bs_rpc_call call;
	struct bsc__call *next; /**< waits for the CONNECT answer */
	struct bsc_conn *conn;
	bsc_rpc_fn fn;
	void *arg;
	uint8_t req[];
};

struct bsc__local;
struct bsc__local_how;

struct bsc_conn {
	struct bsc__machine *m;
	struct bsc__local *local; /**< the attempt on the local network; NULL = none */
	bool is_local;            /**< the peer was reached by it */
	bool by_ticket;           /**< the basestation was asked by ticket */
	struct bsc_conn *next;
	char device[BS_DEVICE_ID_MAX + 1];
	uint8_t attempt[BS_ATTEMPT_LEN];
	bool has_pair; /**< this connection is made with pair_secret or not at all */
	uint8_t pair_id[BS_PAIR_ID_LEN];
	uint8_t pair_secret[BS_PAIR_SECRET_LEN]; /**< wiped with the connection */
	bsc_conn_fn fn;                          /**< NULL once the caller gave the handle back */
	void *arg;
	enum bsc_progress progress;
	bool has_peer; /**< peer is set up */
	bool closed;   /**< nothing more happens; error says why */
	bool released; /**< the caller gave the handle back */
	uint32_t ext;
	uint16_t suite;
	bs_time born;
	bs_time now; /**< of the running step, for callbacks that have none */
	bs_time path_deadline;
	uint32_t connect_ms;
	uint32_t rtt_us;
	struct bsc_error error;
	struct bsc__call *waiting; /**< oldest first */
	size_t n_calls;            /**< waiting and running */
	uint8_t nat;               /**< enum bs_nat_kind: how the basestation found our NAT */
	bool device_symmetric;     /**< and the device's */
	struct bs_peer peer;
	struct bsc__streams *streams; /**< stream.h; NULL before the first stream */
	struct bs_relay_client relay;
	struct bs_gw_client gw; /**< leg to a TCP relay */
	bool doubt;             /**< the path in use was silent when we looked last */
	bool stranded;          /**< the relay in use is gone and nothing has taken its place */
	bs_time strand_at;      /**< when that is too long */
	struct bsc_error relay_error; /**< why the basestation relays no more; code 0 = it does */
};

/** Extension bits that we speak on this connection (enum bs_ext). */
uint32_t bsc__link_ext(const struct bsc_conn *c);

/** Set up an idle machine; crypto is borrowed. */
void bsc__machine_init(struct bsc__machine *m, const struct bs_crypto *crypto,
		       const struct bsc__settings *set);
/** Free everything without calling back. */
void bsc__machine_fini(struct bsc__machine *m);

/** Open unless it is open, opening or waiting. (cb) */
void bsc__machine_open(struct bsc__machine *m, bs_time now);
/** The port reached a step of opening: BSC_RESOLVING or BSC_HANDSHAKING. (cb) */
void bsc__machine_progress(struct bsc__machine *m, enum bsc_progress step);
/** TLS is ready. (cb) */
void bsc__machine_up(struct bsc__machine *m, bs_time now);
/** The transport failed or ended. (cb) */
void bsc__machine_down(struct bsc__machine *m, const struct bsc_error *why, bs_time now);
/** Bytes from the basestation. (cb) */
void bsc__machine_bytes(struct bsc__machine *m, const uint8_t *data, size_t len, bs_time now);
/** A datagram on the rendezvous socket; decrypted in place. (cb) */
void bsc__machine_datagram(struct bsc__machine *m, uint8_t *pkt, size_t len,
			   const struct bs_endpoint *from, bs_time now);
/** Run what is due. (cb) */
void bsc__machine_timeout(struct bsc__machine *m, bs_time now);
/** The next packet for the stream; 0 when none. */
size_t bsc__machine_stream_out(struct bsc__machine *m, uint8_t buf[BS_GATE_PACKET_MAX],
			       bs_time now);
/** Whether stream_out would give something. */
bool bsc__machine_has_output(const struct bsc__machine *m);
/** The next datagram; 0 when none. */
size_t bsc__machine_datagram_out(struct bsc__machine *m, uint8_t *buf, size_t cap,
				 struct bs_endpoint *to, bs_time now);
/** Whether a deadline is set; *at is it. */
bool bsc__machine_next_timeout(const struct bsc__machine *m, bs_time *at);
/** Free connections that are over and given back; never inside a callback. */
void bsc__machine_reap(struct bsc__machine *m);

/* ---- request.c */

/** Add a request; it goes out once the session is open.  NULL: no memory or too many. */
struct bsc__req *bsc__request_new(struct bsc__machine *m, uint8_t type, bs_time now);
int bsc__request_list(struct bsc__machine *m, bsc_presence_fn fn, void *arg, bs_time now);
int bsc__request_ping(struct bsc__machine *m, bsc_done_fn fn, void *arg, bs_time now);
int bsc__request_watch(struct bsc__machine *m, const char *const *ids, size_t n, uint64_t since,
		       bsc_presence_fn fn, void *arg, bs_time now);
/** End the watch; fn is not called.  The server is told when the session is open. */
void bsc__request_unwatch(struct bsc__machine *m, bs_time now);
/** Send the watch again after a HELLO. */
void bsc__request_rewatch(struct bsc__machine *m, bs_time now);
/** A number that no request in flight has. */
uint16_t bsc__request_seq(struct bsc__machine *m);
/** Encode a request with this session number; its length or an error. */
BS_MUSTCHECK bs_ssize bsc__request_encode(struct bsc__machine *m, const struct bsc__req *r,
					  uint32_t cp, uint8_t *buf, size_t cap);
/** Requests by ticket wait for a session from now on; those that are not worth one end. */
void bsc__request_by_session(struct bsc__machine *m, bs_time now);
/** End one without a word. */
void bsc__request_drop(struct bsc__machine *m, struct bsc__req *r);
/** Remove the requests of a connection without calling back. */
void bsc__request_forget(struct bsc__machine *m, const struct bsc_conn *c);
/** Whether a request waits to be sent, and may be. */
bool bsc__request_is_due(const struct bsc__req *r);
/** Encode one request that waits; its length, 0 when none. */
size_t bsc__request_output(struct bsc__machine *m, uint8_t *buf, size_t cap, bs_time now);
/** Take an answer.  BS_OK (also when nobody waits for it), else the server broke the protocol. */
int bsc__request_answer(struct bsc__machine *m, const struct bs_packet *p, bs_time now);
/** Take an EVENT.  As bsc__request_answer. */
int bsc__request_event(struct bsc__machine *m, const struct bs_packet *p, bs_time now);
/** End all requests with this error. */
void bsc__request_fail_all(struct bsc__machine *m, const struct bsc_error *why, bs_time now);
/** After a loss: what may be repeated waits again, the rest ends. */
void bsc__request_unsend(struct bsc__machine *m, const struct bsc_error *why, bs_time now);
void bsc__request_timeout(struct bsc__machine *m, bs_time now);
bool bsc__request_next_timeout(const struct bsc__machine *m, bs_time *at);
/** The EVENT "draining", or an ERROR: leave this server. */
void bsc__machine_refused(struct bsc__machine *m, const struct bs_status_text *st,
			  uint32_t retry_after_ms, bs_time now);

/* ---- link.c */

/** how: only on the local network, that way; NULL: through the basestation, too. */
int bsc__link_new(struct bsc__machine *m, const char *device, const struct bsc__local_how *how,
		  bsc_conn_fn fn, void *arg, bs_time now, struct bsc_conn **out);
/** The basestation answered CONNECT. */
int bsc__link_answer(struct bsc_conn *c, const struct bs_packet *p, bs_time now);
/** A connection that waits for its answer, or runs, is over. */
void bsc__link_fail(struct bsc_conn *c, const struct bsc_error *why, bs_time now);
/** The basestation says that a connection was closed. */
void bsc__link_closed_by_server(struct bsc__machine *m, uint32_t nsi,
				const struct bs_status_text *st, bs_time now);
/** Let the server forget the connection: it counts against the device's and our limit. */
void bsc__link_goodbye(struct bsc_conn *c, bs_time now);
/** The basestation knows that a connection is over, and tells a device that can be told. */
void bsc__link_disconnected(struct bsc__machine *m, uint32_t nsi);
/** Give the handle back: tell both ends, free later. */
void bsc__link_close(struct bsc_conn *c, bs_time now);
/** The session goes: one close packet, no callbacks. */
void bsc__link_silence(struct bsc_conn *c, bs_time now);
/** Pass progress of the session on to connections that wait for it. */
void bsc__link_progress(struct bsc__machine *m, enum bsc_progress step);
int bsc__link_call(struct bsc_conn *c, const uint8_t *req, size_t len, unsigned options,
		   bsc_rpc_fn fn, void *arg, bs_time now);
void bsc__link_get_info(const struct bsc_conn *c, struct bsc_conn_info *info);
/** A datagram that is no probe. */
void bsc__link_input(struct bsc__machine *m, uint8_t *pkt, size_t len,
		     const struct bs_endpoint *from, bs_time now);
void bsc__link_timeout(struct bsc__machine *m, bs_time now);
size_t bsc__link_output(struct bsc__machine *m, uint8_t *buf, size_t cap, struct bs_endpoint *to,
			bs_time now);
bool bsc__link_next_timeout(const struct bsc__machine *m, bs_time *at);
/** Whether the packets of this connection still need the machine. */
bool bsc__link_is_live(const struct bsc_conn *c);
/** Nobody waits for the queries with this argument any more. */
void bsc__link_forget_arg(struct bsc_conn *c, const void *arg);
/** Free one connection without calling back. */
void bsc__link_free(struct bsc_conn *c);

/* ---- gw.c */

/** The CONNECT answer may offer the TCP relay. */
void bsc__gw_begin(struct bsc_conn *c, const struct bs_gate_connect_answer *a, bs_time now);
void bsc__gw_timeout(struct bsc_conn *c, bs_time now);
/** The next connection that wants a byte stream, c->gw says which; NULL after the last. */
struct bsc_conn *bsc__gw_next(const struct bsc__machine *m, const struct bsc_conn *after);
/** The one of this number; NULL when it wants none. */
struct bsc_conn *bsc__gw_find(const struct bsc__machine *m, uint32_t nsi);
void bsc__gw_opened(struct bsc_conn *c, bs_time now);
/** It could not be had, or ended. (cb) */
void bsc__gw_closed(struct bsc_conn *c, bs_time now);
/** What goes first over it; 0 = nothing. */
size_t bsc__gw_output(struct bsc_conn *c, uint8_t *buf, size_t cap, bs_time now);
/** One packet of the stream; decrypted in place. (cb) */
void bsc__gw_input(struct bsc_conn *c, uint8_t *pkt, size_t len, bs_time now);

/* ---- paths.c */

/** Fill what the answer says about the search into a peer's configuration. */
void bsc__paths_tactics(struct bsc_conn *c, const struct bs_gate_connect_answer *a,
			struct bs_peer_conf *conf, bs_time now);
/** The router forwards this endpoint to us; none = it does not. */
void bsc__paths_mapped(struct bsc__machine *m, const struct bs_endpoint *ep, bs_time now);
/** A probe was answered: what we know of ourselves may be new. */
void bsc__paths_probed(struct bsc__machine *m);
/** A datagram goes out: the cool-down counts from the last search packet over a further socket. */
void bsc__paths_sent(struct bsc__machine *m, const uint8_t *pkt, const struct bs_endpoint *to,
		     bs_time now);
/** Whether packets may still come or go over this further socket. */
bool bsc__paths_uses_via(const struct bsc__machine *m, uint16_t via);
/** Whether the path of some connection fell silent: has the machine moved? */
bool bsc__paths_in_doubt(const struct bsc__machine *m);
/** This machine's addresses changed: prove paths again, and open the session anew. (cb) */
void bsc__paths_network_changed(struct bsc__machine *m, bs_time now);
/** The application goes to sleep: one keep-alive each, then nothing until resume. */
void bsc__paths_suspend(struct bsc__machine *m, bs_time now);
/** It woke up, perhaps elsewhere. (cb) */
void bsc__paths_resume(struct bsc__machine *m, bs_time now);

/* ---- relay.c */

/** Begin to bind the leg of the relay, if there is one and we may use it. */
void bsc__relay_begin(struct bsc_conn *c, const struct bs_gate_connect_answer *a, bs_time now);
/** What became of the relay: a path more, or one less. */
void bsc__relay_look(struct bsc_conn *c, bs_time now);
/** The basestation relays no more for a connection, which goes on if it can. */
void bsc__link_relay_refused(struct bsc__machine *m, uint32_t nsi, const struct bs_status_text *st,
			     bs_time now);
/** With the relay alone the device's own search is not answered, however well it works. */
bool bsc__relay_may_come(const struct bsc_conn *c, const struct bs_endpoint *from);
/** Why neither a direct path nor a relay came to be. */
void bsc__relay_no_path(const struct bsc_conn *c, struct bsc_error *e);
/** The relay that carried the connection is gone, and no other way opened in the time that a first
 *  one has. */
bool bsc__relay_is_stranded(struct bsc_conn *c, bs_time now);
/** Whether a relayed connection is silent because its relay is; then *e says so. */
bool bsc__relay_is_why(const struct bsc_conn *c, struct bsc_error *e);
/** End such a connection. */
void bsc__relay_gone(struct bsc_conn *c, bs_time now);
void bsc__relay_timeout(struct bsc_conn *c, bs_time now);

/** Keep the earlier of two deadlines. */
static inline void bsc__earlier(bool *have, bs_time *at, bs_time t)
{
	if (!*have || BS_TIME_DIFF(t, *at) < 0)
		*at = t;
	*have = true;
}

/** Write an endpoint as text, "" for none. */
void bsc__endpoint_text(const struct bs_endpoint *ep, char buf[BS_ENDPOINT_TEXT_MAX]);

#endif
