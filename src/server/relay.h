/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - the UDP relay of a worker: DATA between a client's leg and an attached device.
 *
 *   relay.c       records, binding of the leg, limits and their ends, storing of volumes
 *   relay_data.c  the path of a packet: checks, repeats, forwarding, and the queue of those that
 *                 wait for a rate
 *
 * A connection that its device accepted gets a record with a fresh RELAY_KEY.  The client binds its
 * leg with a probe under that key; from then on DATA with the connection's number goes from the leg
 * to the device and from the device's endpoint to the leg, and nothing else goes anywhere.  Both
 * sides see the attach endpoint only, so a stock device needs to know nothing of it.
 *
 * The worker that the connection's number names has the device's record too, so a relayed packet
 * touches no other thread whichever worker has the client's session.
 *
 * Private to server/.  Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_RELAY_H
#define BS_SERVER_RELAY_H

#include "basestation/wire.h"
#include "server/message.h"
#include "server/relay_limit.h"
#include "server/roles.h"

/** "No packet". */
#define BS_RELAY_NO_PACKET UINT32_MAX

/** Packets of one direction that wait for tokens, oldest first. */
struct bs_relay_queue {
	uint32_t first, last;
	uint32_t n;
};

/** The relay of one connection. */
struct bs_relay {
	struct bs_relay_flow flow; /**< open = the leg is bound */
	struct bs_endpoint leg;    /**< where the client is */
	uint32_t conn;             /**< index of the connection */
	uint32_t device;           /**< index in the slab */
	uint32_t next;             /**< free list of the pool */
	uint32_t counter;          /**< of the last accepted binding */
	uint8_t leg_local;         /**< the local address that the client writes to */
	bool offered;              /**< the client may bind a leg */
	bool plain;                /**< no encryption: packets have no MAC to tell them apart by */
	bool carried;              /**< a packet went through */
	uint8_t key[BS_RELAY_KEY_LEN];
	struct bs_relay_queue queue[2];
	struct bs_roles *roles; /**< for the limiter's callbacks */
	uint8_t ca_fp[32];      /**< whose volume this is */
	uint8_t identity_len;
	char identity[BS_CLIENT_ID_MAX];
};

/** A packet that waits. */
struct bs_relay_packet {
	uint32_t next;
	uint16_t len;
	uint8_t data[BS_PACKET_MAX];
};

/** What a worker keeps for relaying. */
struct bs_relay_hub {
	struct bs_pool relays;
	struct bs_relay_limit *limit;
	uint64_t *repeats; /**< hashes of packets that passed, see relay_data.c */
	uint64_t repeat_key[2];
	struct bs_relay_packet *packets; /**< [n_packets] */
	uint32_t n_packets;
	uint32_t free_packet;
	uint32_t packets_left;
	uint32_t month;
	uint32_t store_ms; /**< next report of volumes */
	uint32_t share_ms; /**< next look at what the workers are asked for */
	uint64_t asked[2]; /**< of this one, smoothed */
};

/* relay.c */
BS_MUSTCHECK int bs__relay_init(struct bs_roles *r);
void bs__relay_fini(struct bs_roles *r);
/** w->conf changed. */
void bs__relay_conf(struct bs_roles *r);
/** Every tick. */
void bs__relay_tick(struct bs_roles *r);
/** Report the volumes of clients to main, for the store. */
void bs__relay_store(struct bs_roles *r);
/** The worker ends: the last report. */
void bs__relay_stop(struct bs_roles *r);
/** A connection begins: give it a record, which knows whose it is, and a key for its leg. */
void bs__relay_offer(struct bs_roles *r, uint32_t conn, const struct bs_msg_connect *q, bool plain);
/**
 * bs__relay_flow_open - open a flow of another relay (TCP, TLS) on a connection of this worker
 *
 * Whose bytes they are is known here, and the client is told when there is no room.  The caller
 * closes it with bs_relay_flow_close and accounts with bs_relay_account on bs__relay_limit().
 *
 * Returns BS_OK, BS_ENOENT (no such connection) or BS_EFULL.
 */
BS_MUSTCHECK int bs__relay_flow_open(struct bs_roles *r, uint32_t nsi, struct bs_relay_flow *f,
				     enum bs_relay_kind kind, const struct bs_relay_flow_ops *ops,
				     void *ctx);
/** The limiter of this worker. */
struct bs_relay_limit *bs__relay_limit(struct bs_roles *r);
/** The connection is over. */
void bs__relay_end(struct bs_roles *r, uint32_t conn);
/** A probe that names one of our connections; false when it does not. */
bool bs__relay_bind(struct bs_roles *r, const struct bs_input *in);
/** Whether data went through the relay of a connection within the idle time. */
bool bs__relay_is_used(const struct bs_roles *r, uint32_t conn);
/** Tell the client why its connection is not relayed (any longer). */
void bs__relay_tell(struct bs_roles *r, uint32_t conn, enum bs_relay_reason reason);
/** The record of a connection, NULL when it has none. */
struct bs_relay *bs__relay_of(const struct bs_roles *r, uint32_t conn);

/* relay_data.c */
/** A DATA datagram on the attach port, not looked at yet. */
void bs__relay_data(struct bs_roles *r, const uint8_t *data, size_t len,
		    const struct bs_endpoint *peer);
/** The limiter's turn for a flow; see bs_relay_flow_ops. */
bool bs__relay_resume(void *ctx, struct bs_relay_flow *f, enum bs_relay_dir dir);
/** Throw away what waits. */
void bs__relay_drain(struct bs_relay_hub *h, struct bs_relay *y);

#endif
