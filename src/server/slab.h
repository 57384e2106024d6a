/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slab.h - the records of attached devices: fixed number, fixed size, no pointers.
 *
 * Two arrays with one index.  hot: 64 bytes on a cache line of its own, all that a keepalive
 * touches.  cold: keys and what only attach, connect and people want.  Both lie in the state
 * (state.h), so they outlive the process; memory follows the devices that are there, and indices of
 * ended attachments are used again first.
 *
 * Owner: one worker.  Allocates: no.
 */
#ifndef BS_SERVER_SLAB_H
#define BS_SERVER_SLAB_H

#include "proto/alive_server.h"
#include "proto/push_server.h"
#include "server/state.h"
#include "server/wheel.h"

#define BS_SLAB_NONE UINT32_MAX

enum bs_slab_flag {
	BS_SLAB_USED = 0x01, /**< stored last: the record counts */
	BS_SLAB_LEGACY = 0x02,
	BS_SLAB_CLAIMED = 0x04,   /**< the owner of the id knows */
	BS_SLAB_MOVING = 0x08,    /**< an address change is being checked */
	BS_SLAB_SYMMETRIC = 0x10, /**< the device believes to be behind a symmetric NAT */
	BS_SLAB_SEEN = 0x20,      /**< answered since the last report of "last seen" */
	BS_SLAB_POLLED = 0x40,    /**< polled since the last answer of ours to a poll */
	BS_SLAB_AUTH = 0x80,      /**< keepalives carry MACs: has a side record (role_auth.h) */
};

/** What a keepalive touches. */
struct bs_device_hot {
	uint32_t nsi;
	uint32_t number; /**< in the registry */
	struct bs_wheel_node timer;
	struct bs_alive_server alive;
	struct bs_endpoint peer;
	uint8_t local; /**< index of the local address that the device writes to */
	uint8_t flags; /**< enum bs_slab_flag */
	uint16_t rtt_ms;
	uint32_t move; /**< record of the address change, when MOVING */
} __attribute__((aligned(64)));

/** The rest. */
struct bs_device_cold {
	/* What never changes while the device is attached; seal covers it. */
	struct bs_key_block c_key; /**< zero for a legacy device */
	uint32_t attached_s;       /**< Unix time */
	uint32_t attached_tick;    /**< of uptime: which of two attachments is the newer one */
	uint32_t priv_ip4;         /**< private endpoint, as the device says */
	uint32_t ep6;              /**< side record with IPv6 candidates */
	uint16_t priv_port;
	uint16_t caps; /**< enum bs_capability, masked */
	uint16_t ext;  /**< granted enum bs_ext bits */
	uint16_t text; /**< interned version texts */
	uint32_t seal; /**< bs_slab_seal() */
	/* What does. */
	uint32_t conns; /**< first connection */
	struct bs_push_filter push;
	uint32_t polled_ms; /**< when a poll was answered last */
	uint8_t conn_limit;
	uint8_t n_conns;
};

_Static_assert(sizeof(struct bs_device_hot) == 64, "one cache line");
_Static_assert(sizeof(struct bs_device_cold) <= 144, "budget of a device's record");

struct bs_slab {
	struct bs_device_hot *hot;
	struct bs_device_cold *cold;
	struct bs_state_shard *shard;
	uint32_t cap;
	uint32_t used; /**< indices ever used */
	uint32_t n;    /**< devices */
	uint32_t free; /**< list through hot.move */
};

/** An empty slab in a shard; restore.c fills it with what is there. */
void bs_slab_init(struct bs_slab *s, struct bs_state_shard *shard);
/** A zeroed record, or BS_SLAB_NONE when all are in use or the state cannot grow.  It is not part
 *  of the slab before bs_slab_publish(). */
uint32_t bs_slab_take(struct bs_slab *s);
/** The record is complete: from here on it outlives the process. */
void bs_slab_publish(struct bs_slab *s, uint32_t i);
/** Wipe and give back. */
void bs_slab_give(struct bs_slab *s, uint32_t i);
/** Change the address of a device, so that a restart finds the old one or the new one. */
void bs_slab_move(struct bs_slab *s, uint32_t i, const struct bs_endpoint *peer, uint8_t local);
/** The first record in use at or after i, or BS_SLAB_NONE. */
uint32_t bs_slab_next(const struct bs_slab *s, uint32_t i);
/** Bytes of all records at the limit. */
size_t bs_slab_bytes(const struct bs_slab *s);
/** Checksum over what never changes in a record. */
uint32_t bs_slab_seal(const struct bs_device_hot *hot, const struct bs_device_cold *cold);
/** For restore.c: count records 0..used-1, of which those without BS_SLAB_USED are wiped and given
 *  back. */
void bs_slab_adopt(struct bs_slab *s, uint32_t used);

#endif
