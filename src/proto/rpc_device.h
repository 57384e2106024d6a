/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_device.h - remote procedure calls, the answering side (basestation-wire(7), RPC).
 *
 * A request is given to the application once: a copy of it (same connection, number and content)
 * is answered from the reply slot, a copy of a deferred one with a notice, and a late copy of one
 * whose reply is gone already is dropped (BS_RPC_DONE of them are known).  So a call is done at
 * most once; slots are one per connection, or fewer (one shared by all in the smallest build).
 *
 * Owner: the device composite.  May call: util, wire, crypto, conn.  Allocates: no.
 */
#ifndef BS_PROTO_RPC_DEVICE_H
#define BS_PROTO_RPC_DEVICE_H

#include "proto/conn.h"
#include "proto/device_conf.h"
#include "util/cursor.h"

/**
 * What the handler returns besides enum bs_rpc_code: 0 sends the reply, anything above 0 is an
 * exception.  Reading past the parameters gives BS_RPC_REQUEST_SHORT and writing past the reply
 * BS_RPC_REPLY_LONG without the handler's doing.
 */
#define BS_RPC_DEFERRED (-1)

/** Number of a request, and the form of its header: a reply repeats both. */
struct bs_rpc_id {
	uint32_t nsi;    /**< connection, 0 = empty */
	uint32_t digest; /**< of the content */
	uint16_t seq;
	uint8_t retrans;
	uint8_t flags; /**< BS_FLAG_TAG and BS_FLAG_NSI_CO as in the request */
};

/** A reply that is being made, sent, or kept for copies of its request. */
struct bs_rpc_slot {
	struct bs_rpc_id id; /**< of the request */
	uint16_t len;        /**< bytes of reply */
	bool exception;      /**< reply is an exception code */
	bool forced;         /**< an exception that also clients without notices get */
	uint8_t reply[BS_RPC_REPLY_MAX];
};

/** A request as the handler sees it. */
struct bs_rpc_request {
	uint32_t query;        /**< query id */
	struct bs_cursor args; /**< parameters; read with bs_cursor_read_* and bs_rpc_read_raw */
	struct bs_writer
		reply; /**< reply parameters; write with bs_writer_put_*, bs_rpc_write_raw */
	const struct bs_conn *conn; /**< who asks; borrowed for the call */
	uint32_t token;             /**< name of this request when it is deferred */
};

/** RPC state of a device. */
struct bs_rpc_device {
	struct bs_rpc_slot *slots; /**< [n_slots], the caller's */
	struct bs_rpc_slot *slot;  /**< the reply that waits */
	struct bs_conn *conn;      /**< whose it is; NULL = nothing waits */
	struct bs_endpoint to;     /**< where the waiting packets go */
	struct bs_rpc_id *id;      /**< request of the waiting packets: in the slot, or deferred */
	struct bs_rpc_id deferred; /**< the deferred request */
	uint32_t token;            /**< its name, 0 = none */
	uint32_t last_token;
	uint8_t n_slots;
	uint8_t deferred_slot; /**< index of the slot for its reply */
	uint8_t pending;       /**< private bits: notice, reply */
};

void bs_rpc_device_init(struct bs_rpc_device *r, struct bs_rpc_slot *slots, size_t n_slots);
/**
 * bs_rpc_device_input - an opened packet with tag 0
 *
 * Returns BS_OK, or a drop reason.  Calls ops->rpc from inside.
 */
BS_MUSTCHECK int bs_rpc_device_input(struct bs_rpc_device *r, const struct bs_device_conf *conf,
				     struct bs_conn *c, size_t index, const struct bs_conn_data *d,
				     const struct bs_endpoint *from);
/** Compose the next waiting packet; 0 when none. */
size_t bs_rpc_device_output(struct bs_rpc_device *r, const struct bs_crypto *crypto, uint8_t *buf,
			    size_t cap, struct bs_endpoint *to);
/** A connection ended: forget what belongs to it. */
void bs_rpc_device_drop(struct bs_rpc_device *r, const struct bs_conn *c);

/**
 * bs_rpc_device_answer - answer a deferred request
 *
 * @c     connection with NSI deferred_nsi, NULL when there is none any more
 * @token from bs_rpc_request.token
 * @code  0, or an exception
 * @reply reply parameters, copied; at most BS_RPC_REPLY_MAX bytes, else exception 8 is sent
 *
 * Returns BS_OK: fetch it with output.  BS_ENOENT: the request is no longer there (answered, or its
 * connection ended); forget it.  BS_EAGAIN: fetch the output first, then call again.
 */
BS_MUSTCHECK int bs_rpc_device_answer(struct bs_rpc_device *r, struct bs_conn *c, uint32_t token,
				      uint32_t code, struct bs_slice reply);

/** Read a raw parameter: u16 count and bytes, borrowed.  Empty with the cursor's error set. */
struct bs_slice bs_rpc_read_raw(struct bs_cursor *c);
/** Write a raw parameter. */
void bs_rpc_write_raw(struct bs_writer *w, struct bs_slice raw);
/** Begin a list in a reply; returns a mark for bs_rpc_list_end. */
size_t bs_rpc_list_begin(struct bs_writer *w);
/** Fill in the element count of the list begun at mark. */
void bs_rpc_list_end(struct bs_writer *w, size_t mark, uint16_t n);

#endif
