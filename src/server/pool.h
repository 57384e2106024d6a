/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - pools of a worker: connections, and the requests to devices that are under way.
 *
 * Fixed numbers, indices instead of pointers, a wheel over each pool.
 * Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_POOL_H
#define BS_SERVER_POOL_H

#include "proto/close_server.h"
#include "proto/connect_server.h"
#include "server/gateway.h"
#include "server/message.h"
#include "server/state.h"
#include "server/wheel.h"

#define BS_POOL_NONE UINT32_MAX

enum bs_conn_state {
	BS_CONN_FREE = 0,
	BS_CONN_ASKING,   /**< U_CONNECT is under way; ask is its record */
	BS_CONN_ACCEPTED, /**< the device said yes */
	BS_CONN_OPEN,     /**< the device reported the first packet */
};

/** One client-device connection. */
struct bs_conn_record {
	struct bs_wheel_node timer;
	uint32_t nsi;
	uint32_t device; /**< index in the slab */
	uint32_t next;   /**< next of that device; or of the free list */
	uint32_t number; /**< of the device in the registry */
	uint32_t ask;
	uint32_t nsi_cp;
	uint64_t attempt;
	uint64_t client_hash;
	uint64_t ref;    /**< the gate's handle of the session */
	uint64_t info;   /**< place of its record among the attempts */
	uint32_t relay;  /**< its record in the UDP relay, or BS_POOL_NONE */
	uint32_t bridge; /**< of the TCP relay, or BS_POOL_NONE */
	uint8_t gate;    /**< worker that has the session */
	uint8_t state;   /**< enum bs_conn_state */
	bool orphan;     /**< that session is gone */
};

/** One U_CONNECT under way. */
struct bs_ask {
	struct bs_connect_server c;
	struct bs_key_block block;   /**< D; wiped with the record */
	uint32_t next;               /**< free list */
	uint16_t suite;              /**< enum bs_suite_code of the connection */
	bool plain;                  /**< no encryption: a legacy device */
	struct bs_gateway_ticket gw; /**< what was offered, when the connection has a bridge */
};

/** One U_CLOSE under way; has its own key, for the device's record may be gone. */
struct bs_closing {
	struct bs_close_server c;
	struct bs_key_block c_key;
	struct bs_wheel_node timer;
	uint32_t next; /**< list of the free, or of those in use */
	uint8_t local;
	bool used;
};

/** One check of an address change (basestation-wire(7), KEEP-ALIVE, address changes). */
struct bs_move {
	struct bs_wheel_node timer;
	struct bs_endpoint to;
	uint32_t device;
	uint32_t next; /**< free list */
	uint16_t seq;  /**< of the request to the new address */
	uint8_t local;
	bool answered; /**< the new address answered */
};

/** A pool: records of one size, a free list through their next field. */
struct bs_pool {
	uint8_t *records;
	size_t len;      /**< bytes of a record */
	size_t next_off; /**< where its free-list link is */
	uint32_t cap;
	uint32_t n;
	uint32_t free;
	uint32_t used;                /**< indices ever used */
	struct bs_state_shard *shard; /**< of the records; NULL: own memory */
	enum bs_state_region region;
};

BS_MUSTCHECK int bs_pool_init(struct bs_pool *p, uint32_t cap, size_t len, size_t next_off);
/** A pool whose records outlive the process: empty until bs_pool_adopt(). */
void bs_pool_init_in(struct bs_pool *p, struct bs_state_shard *shard, enum bs_state_region region,
		     size_t len, size_t next_off);
/** For restore.c: records 0..used-1 are there; those whose live[i] is 0 are wiped and free. */
void bs_pool_adopt(struct bs_pool *p, uint32_t used, const uint8_t *live);
/** Wipes and frees, but what is in the state; zeroed pools are fine. */
void bs_pool_fini(struct bs_pool *p);
/** A zeroed record, or BS_POOL_NONE. */
uint32_t bs_pool_take(struct bs_pool *p);
/** Wipe and give back. */
void bs_pool_give(struct bs_pool *p, uint32_t i);
void *bs_pool_get(const struct bs_pool *p, uint32_t i);

#endif
