/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_internal.h - what the files of the TCP relay share; gateway.h has the map.
 */
#ifndef BS_SERVER_GATEWAY_INTERNAL_H
#define BS_SERVER_GATEWAY_INTERNAL_H

#include <ev.h>

#include "log/log.h"
#include "port/poller.h"
#include "server/gateway.h"
#include "server/limiter.h"
#include "server/pool.h"
#include "server/relay_limit.h"

/** Connections of a worker whose handshake has not come yet. */
#define BS_GW_VISITORS 1024u
/** How long a handshake may take. */
#define BS_GW_HELLO_WAIT BS_TIME_MS(5000)
/** How long a bridge lingers for bytes that one end has not taken yet. */
#define BS_GW_LINGER BS_TIME_MS(5000)
/** The most that one read has to do with, the beginning of a packet from before included, and so
 *  the most that a bridge buffers in one direction: four full TLS records. */
#define BS_GW_READ_MAX 65536u
/** Bytes read from all legs in one turn of the loop: a millisecond or two, then datagrams are
 *  served again. */
#define BS_GW_TURN_MAX (2u << 20)

/** Somebody who connected and has not said what for. */
struct bs_gw_visitor {
	struct bs_source source; /**< first: what the poller knows */
	struct bs_gateway *g;
	struct bs_gw_visitor *older, *newer;
	bs_time since;
	struct bs_endpoint peer;
	int fd; /**< -1 = free */
	uint8_t n;
	uint8_t hello[BS_GW_HELLO_LEN];
};

enum bs_gw_side {
	BS_GW_DEVICE = 0,
	BS_GW_CLIENT_SIDE = 1,
	BS_GW_SIDES
};

/** One leg of a bridge. */
struct bs_gw_leg {
	struct ev_io io;
	struct bs_gw_bridge *b;
	const struct bs_gw_port *port; /**< NULL = fd */
	void *ctx;                     /**< of the port */
	int fd;
	uint8_t side;     /**< enum bs_gw_side */
	uint8_t watched;  /**< events that are waited for */
	bool here;        /**< it has come and is not closed */
	bool used;        /**< it has come, perhaps gone: the id is spent for this side */
	bool eof;         /**< it sends no more */
	bool shut;        /**< we told it that no more comes */
	uint16_t in_len;  /**< bytes of in: the beginning of a packet */
	uint32_t out_off; /**< bytes of out that are written */
	uint32_t out_len; /**< bytes that wait from there on */
	uint8_t *in;      /**< heap; NULL = nothing */
	uint8_t *out;     /**< heap; NULL = nothing waits */
	uint8_t *held;    /**< heap: packets that wait for the limiter; NULL = none */
	uint32_t held_off, held_len;
};

/** Two legs of one connection. */
struct bs_gw_bridge {
	uint32_t next; /**< free list */
	uint32_t nsi, nsi_cp;
	uint32_t number;
	uint64_t client_hash;
	uint64_t attempt;
	bs_time deadline; /**< both legs must be there; later: the end of the linger, 0 = none */
	bool live;        /**< in use */
	bool joined;      /**< both legs have their answer */
	bool carried;     /**< a packet went through */
	bool tls;         /**< the client's leg comes through the gate */
	uint8_t id[BS_GW_ID_LEN];
	uint8_t nsi_co[8];
	struct bs_gateway *g;
	struct bs_relay_flow flow; /**< what may pass; open while joined */
	struct bs_gw_leg leg[BS_GW_SIDES];
};

struct bs_gw_listener {
	struct ev_io io;
	struct bs_gateway *g;
};

struct bs_gateway {
	struct bs_worker *w;
	struct bs_gateway_shared *shared;
	unsigned n_listen;
	struct bs_gw_listener listener[BS_CONF_LISTEN_MAX];
	bool accepting;
	bool draining;
	bs_time accept_again;
	bs_time drain_at;              /**< when the first pair is ended */
	bs_time drain_span;            /**< and until when, from there, the last */
	uint32_t drained;              /**< pairs of the pool that were ended */
	struct bs_gw_visitor *visitor; /**< [BS_GW_VISITORS] */
	/** Their descriptors.  The loop would forget one only at its close, long after it went to
	 *  another worker. */
	struct bs_poller poller;
	struct ev_io visitors;
	struct bs_gw_visitor *free_visitor;
	struct bs_gw_visitor *oldest, *newest;
	struct bs_limiter sources;
	uint8_t hash_key[16];
	struct bs_pool bridges;
	uint32_t sweep;
	struct bs_log_limit log_refused;
	bs_time turn;       /**< the loop's clock when turn_left was set */
	uint32_t turn_left; /**< of BS_GW_TURN_MAX */
	uint32_t reads;     /**< since bs_gateway_is_busy, and their bytes */
	uint64_t read_bytes;
	uint8_t buf[BS_GW_READ_MAX]; /**< of the read under way */
};

/* gateway_bridge.c */
/** A leg with its handshake; takes fd.  tls: whose session it is. */
void bs__gw_leg(struct bs_gateway *g, const struct bs_msg_gw_leg *leg);
/** Time limits of some bridges. */
void bs__gw_bridges_tick(struct bs_gateway *g, bs_time now);
void bs__gw_bridge_end(struct bs_gateway *g, struct bs_gw_bridge *b);
/** A leg's descriptor is ready. */
void bs__gw_on_leg(struct ev_loop *loop, struct ev_io *io, int events);
/** What the owner of a port calls. */
extern const struct bs_gw_near bs__gw_near;

/* gateway_leg.c */
void bs__gw_leg_open(struct bs_gateway *g, struct bs_gw_leg *l, const struct bs_msg_gw_leg *m);
/** Harmless when it is not there. */
void bs__gw_leg_close(struct bs_gateway *g, struct bs_gw_leg *l);
/** Bytes; 0 at the end, BS_EAGAIN, BS_EIO. */
BS_MUSTCHECK bs_ssize bs__gw_read(const struct bs_gw_leg *l, uint8_t *buf, size_t cap);
/** One call: bytes, BS_EAGAIN, BS_EIO. */
BS_MUSTCHECK bs_ssize bs__gw_write(const struct bs_gw_leg *l, const uint8_t *buf, size_t len);
/** Write [len] bytes, keep what the leg does not take.  False when it is broken. */
BS_MUSTCHECK bool bs__gw_send(struct bs_gateway *g, struct bs_gw_leg *l, const uint8_t *buf,
			      size_t len);
/** Write what waits.  False when the leg is broken. */
BS_MUSTCHECK bool bs__gw_flush(struct bs_gw_leg *l);
/** Tell it that no more comes. */
void bs__gw_shutdown(struct bs_gw_leg *l);
/** Wait for EV_READ, EV_WRITE, both or none. */
void bs__gw_watch(struct bs_gateway *g, struct bs_gw_leg *l, int events);

#endif
