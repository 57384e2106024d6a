/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_client.h - remote procedure calls, the calling side (basestation-wire(7), RPC).
 *
 * A call is repeated after 500 ms, doubling to 4 s, for 30 s in all; a notice ("working on it", not
 * authenticated) slows the repeats to one in 2 s but changes nothing else.  Numbers start at random
 * and rise by one.  Calls beyond the limit of outstanding ones wait in order.
 *
 * Owner: the thread of its peer.  May call: util, wire, crypto, conn.  Allocates: no.
 */
#ifndef BS_PROTO_RPC_CLIENT_H
#define BS_PROTO_RPC_CLIENT_H

#include "proto/conn.h"

/** Times of a call, in ms. */
#define BS_RPC_FIRST_MS  500u
#define BS_RPC_RELAY_MS  1000u
#define BS_RPC_LAST_MS   4000u
#define BS_RPC_TOTAL_MS  30000u
#define BS_RPC_NOTICE_MS 2000u
/** Longest request that fits the largest packet; until a device showed a large buffer, less. */
#define BS_RPC_CLIENT_REQUEST_MAX 1290u

/** Options of a call. */
enum bs_rpc_option {
	BS_RPC_NO_RETRY = 0x01, /**< send once only: for queries that must not be done twice */
};

struct bs_rpc_call;

/**
 * A call ended, exactly once per started call.
 *
 * @err   BS_OK: reply is valid (borrowed for the call).  BS_EREFUSED: exception holds the code.
 *        BS_ETIMEDOUT, BS_ECLOSED (connection over), BS_EDRAIN (cancelled).
 */
typedef void (*bs_rpc_done_fn)(void *app, struct bs_rpc_call *call, int err, uint32_t exception,
			       struct bs_slice reply);

/** One call; the caller's storage, untouched by the caller until done was called. */
struct bs_rpc_call {
	struct bs_slice request; /**< query id and parameters; borrowed until done */
	bs_rpc_done_fn done;     /**< may be NULL */
	void *app;               /**< first argument of done */
	bs_time started;
	bs_time due;              /**< next repeat */
	bs_time sent;             /**< when it was sent last */
	uint32_t limit_ms;        /**< give up after this, 0 = 30000 */
	struct bs_rpc_call *next; /**< private */
	uint16_t gap_ms;
	uint16_t seq;    /**< its number, once sent */
	uint8_t options; /**< enum bs_rpc_option */
	uint8_t tries;
	uint8_t state; /**< private */
	bool noticed;  /**< the device said that it works on it */
};

/** All calls of one connection. */
struct bs_rpc_client {
	struct bs_rpc_call *head; /**< running and waiting calls, oldest first */
	uint16_t seq;             /**< last number used */
	uint8_t max_outstanding;  /**< 1 unless the caller raised it */
	bool has_seq;
};

void bs_rpc_client_init(struct bs_rpc_client *r);
/**
 * bs_rpc_client_start - start a call; fill request, done, app, options, limit_ms before
 *
 * Returns BS_OK, or BS_EINVAL (fewer than 4 bytes), BS_ETOOBIG (longer than any device takes),
 * BS_EEXIST (already running).  On an error done is not called.
 */
BS_MUSTCHECK int bs_rpc_client_start(struct bs_rpc_client *r, struct bs_rpc_call *call,
				     bs_time now);
/** End a call with BS_EDRAIN; no effect when it is not running. */
void bs_rpc_client_cancel(struct bs_rpc_client *r, struct bs_rpc_call *call);
/** End all calls with err. */
void bs_rpc_client_fail(struct bs_rpc_client *r, int err);
/** An authentic answer (tag 0, RESPONSE).  BS_OK, or BS_EUNKNOWN when no call waits for it. */
BS_MUSTCHECK int bs_rpc_client_input(struct bs_rpc_client *r, struct bs_conn *c,
				     const struct bs_conn_data *d, const struct bs_endpoint *from,
				     bs_time now);
/** A clear notice for number seq; a hint only. */
void bs_rpc_client_notice(struct bs_rpc_client *r, uint16_t seq, bs_time now);
void bs_rpc_client_timeout(struct bs_rpc_client *r, bs_time now);
/** Compose the next request that is due; 0 when none.  Sends to the connection's path. */
size_t bs_rpc_client_output(struct bs_rpc_client *r, struct bs_conn *c,
			    const struct bs_crypto *crypto, uint8_t *buf, size_t cap,
			    struct bs_endpoint *to, bs_time now);
bool bs_rpc_client_next_timeout(const struct bs_rpc_client *r, bs_time *at);

#endif
