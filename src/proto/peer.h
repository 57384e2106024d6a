/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h - the client's end of one connection: search, keys, keep-alive and calls behind one set of
 * calls.  It starts where the basestation's CONNECT answer ends.
 *
 * The loop is device.h's: after each input and timeout fetch the output until 0, then take_events.
 *
 * Calls may be started at once; they go out as soon as a candidate works.  OPEN is told when the
 * first authentic packet came back.
 *
 * Owner: one thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_PEER_H
#define BS_PROTO_PEER_H

#include "proto/conn.h"
#include "proto/path.h"
#include "proto/rendezvous.h"
#include "proto/rpc_client.h"

/** What the owner should know; a set of bits. */
enum bs_peer_event {
	BS_PEER_EV_PATH = 0x01,   /**< conn.remote was set or changed */
	BS_PEER_EV_OPEN = 0x02,   /**< first authentic packet from the device */
	BS_PEER_EV_CLOSED = 0x04, /**< over; conn.end says why, all calls have ended */
	/** No candidate worked for search_ms: choose a relay, or go on waiting. */
	BS_PEER_EV_NO_PATH = 0x08,
};

/** What the CONNECT answer said. */
struct bs_peer_conf {
	const struct bs_crypto *crypto; /**< borrowed for the peer's life */
	struct bs_key_block key;        /**< D block; copied, wipe yours */
	const struct bs_suite *suite;   /**< static */
	bool fast;                      /**< FAST_STREAM: the device and we have it */
	const uint8_t *pair;            /**< [32] pairing secret to mix into the key, NULL = none */
	const uint8_t *attempt;         /**< [8] attempt id; needed with pair only */
	uint32_t nsi_sp;                /**< connection number */
	uint32_t nsi_cp;                /**< our number; at least 100 */
	bool has_co;
	uint8_t nsi_co[8];    /**< controller number, when has_co */
	uint32_t interval_ms; /**< keep-alive interval to ask for, 0 = 5000, at most 18000 */
	/** Keep-alives start at this interval and are stretched up to interval_ms while each is
	 *  answered; 0 or above = interval_ms from the start. */
	uint32_t pace_ms;
	uint32_t search_ms; /**< when NO_PATH is told, 0 = 5000 */
	/** Head start of the search: no relay carries data before, unless it is asked for by
	 *  bs_peer_set_path.  0 = a relay may be used at once. */
	uint32_t relay_wait_ms;
	uint16_t sockets;          /**< further sockets that the owner can open by via, 0 = none */
	bool symmetric;            /**< our NAT was measured to be symmetric: use them at once */
	bool guess_ports;          /**< the device's was: guess its ports at once */
	bool can_ask;              /**< the device was granted BS_EXT_PATH */
	struct bs_endpoint priv;   /**< our endpoints, for searches that we ask it for */
	struct bs_endpoint global; /**< may be none */
};

struct bs_streams;

/** One connection of a client.  Fields are for reading only. */
struct bs_peer {
	const struct bs_crypto *crypto;
	struct bs_conn conn;
	struct bs_rendezvous_client rv;
	struct bs_rpc_client rpc;
	struct bs_paths paths;
	struct bs_streams *streams; /**< NULL = none */
	bs_time search_until;
	uint8_t events;
	bool suspended;
	bool told_no_path;
	bool told_open;
	bool told_closed;
};

/** Set up; then add candidates and start.  BS_OK, BS_EINVAL or BS_ECRYPTO. */
BS_MUSTCHECK int bs_peer_init(struct bs_peer *p, const struct bs_peer_conf *conf, bs_time now);
/** Wipe; running calls end with BS_ECLOSED first. */
void bs_peer_fini(struct bs_peer *p);
/** Add an address of the device; BS_EFULL when the list is full. */
int bs_peer_add_candidate(struct bs_peer *p, const struct bs_endpoint *ep,
			  enum bs_candidate_kind kind);
/** Start searching. */
void bs_peer_start(struct bs_peer *p, bs_time now);
/** Use this endpoint without a search (a relay), or move to it. */
void bs_peer_set_path(struct bs_peer *p, const struct bs_endpoint *ep, enum bs_conn_path path,
		      bs_time now);
/**
 * bs_peer_add_path - offer a way that needs no search: a relay that is bound already
 *
 * Data may flow over it at once (after relay_wait_ms) while a direct way is still searched, which
 * takes over when it is proven; when that dies, the relay has the data again.  See path.h.
 *
 * @ep   with via: BS_VIA_STREAM for the byte stream of a TCP relay
 * @path BS_PATH_UDP_RELAY or BS_PATH_TCP_RELAY
 *
 * Returns BS_OK (also when it is known already), BS_EINVAL or BS_EFULL.
 */
int bs_peer_add_path(struct bs_peer *p, const struct bs_endpoint *ep, enum bs_conn_path path,
		     bs_time now);
/** A relay is gone: what uses it moves on at once; without another way PATH waits for the
 *  search. */
void bs_peer_drop_path(struct bs_peer *p, const struct bs_endpoint *ep, bs_time now);
/** Our own socket or network changed: prove the path again at once, and search. */
void bs_peer_network_changed(struct bs_peer *p, bs_time now);
/**
 * bs_peer_suspend - the owner sleeps from now on
 *
 * One keep-alive goes out, so that the device's limit starts anew; then nothing is sent and nothing
 * expires until bs_peer_resume.  What arrives is still taken.
 */
void bs_peer_suspend(struct bs_peer *p, bs_time now);
/** The owner is back: the path is proven at once; the device may have given up, then the connection
 *  ends within a few seconds instead of at once. */
void bs_peer_resume(struct bs_peer *p, bs_time now);
/** Close: the packet is repeated once; CLOSED is told within 600 ms.  Calls end at once. */
void bs_peer_close(struct bs_peer *p, bs_time now);
/** The basestation told us that the connection is over. */
void bs_peer_end(struct bs_peer *p, enum bs_conn_end why);

/** Our public endpoint as the basestation sees it now: later searches tell it to the device. */
void bs_peer_set_self(struct bs_peer *p, const struct bs_endpoint *priv,
		      const struct bs_endpoint *global);
/** Start, cancel a call: see rpc_client.h. */
BS_MUSTCHECK int bs_peer_call(struct bs_peer *p, struct bs_rpc_call *call, bs_time now);
void bs_peer_cancel(struct bs_peer *p, struct bs_rpc_call *call);

/** Carry streams (proto/stream.h); ss was bound to p->conn by bs_streams_init and stays the
 *  caller's.  When the connection ends, its streams end aborted. */
void bs_peer_set_streams(struct bs_peer *p, struct bs_streams *ss);

/** Take one datagram.  BS_OK, or a drop reason: count it. */
int bs_peer_input(struct bs_peer *p, uint8_t *pkt, size_t len, const struct bs_endpoint *from,
		  bs_time now);
void bs_peer_timeout(struct bs_peer *p, bs_time now);
size_t bs_peer_output(struct bs_peer *p, uint8_t *buf, size_t cap, struct bs_endpoint *to,
		      bs_time now);
bool bs_peer_next_timeout(const struct bs_peer *p, bs_time *at);
uint8_t bs_peer_take_events(struct bs_peer *p);

#endif
