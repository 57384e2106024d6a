/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - a whole device: registration, connections and RPC behind one set of calls.
 *
 * The loop of an owner (a super loop or an event loop):
 *
 *   datagram arrived:    bs_device_input(...)      buffer is changed, and free again afterwards
 *   deadline passed:     bs_device_timeout(now)
 *   after each of them:  while ((len = bs_device_output(...)) > 0) send it
 *                        events = bs_device_take_events()
 *                        bs_device_next_timeout(&at)
 *
 * The receive buffer may be used for sending.  At most one answer of each kind waits, so fetch the
 * output before the next datagram is given.  If sending fails, forget the packet: every schedule
 * here repeats what matters.
 *
 * Owner: one thread; the callbacks run inside these calls and must not call back into the device
 * (bs_device_rpc_answer excepted, outside ops->rpc).  May call: util, wire, crypto.
 */
#ifndef BS_PROTO_DEVICE_H
#define BS_PROTO_DEVICE_H

#include "proto/attach_device.h"
#include "proto/connect_device.h"
#include "proto/rendezvous.h"
#include "proto/rpc_device.h"

/** Handler of a packet type that the core does not know (U_PUSH): BS_OK or a drop reason. */
typedef int (*bs_device_extra_fn)(void *ctx, const struct bs_packet *p,
				  const struct bs_endpoint *from, bs_time now);

/** Kinds of drops that a device counts: drops[-200 - err] for err -200 .. -217 (enum bs_err). */
#define BS_DEVICE_DROPS 18

struct bs_streams;
struct bs_stream;
struct bs_stream_mem;

/** A device.  Fields are for reading only. */
struct bs_device {
	const struct bs_device_conf *conf;
	const struct bs_crypto *crypto;
	struct bs_device_conn *conns; /**< [n_conns], the caller's */
	bs_device_extra_fn extra;     /**< NULL = none */
	void *extra_ctx;
#ifndef BS_PROFILE_MCU
	struct bs_streams *streams; /**< [n_conns], the caller's; NULL = none */
#endif
	uint8_t n_conns;
	bool ending; /**< the basestation ended the attachment: its answer goes first */
	struct bs_attach_device attach;
	struct bs_connect_device connect;
	struct bs_rpc_device rpc;
	uint16_t drops[BS_DEVICE_DROPS];
};

/** BS_OK, or BS_EINVAL when id, secret, texts or ops of a configuration cannot work. */
BS_MUSTCHECK int bs_device_conf_check(const struct bs_device_conf *conf);
/**
 * bs_device_init - set up, switched off
 *
 * @conf, @crypto borrowed for the device's life
 * @conns [n_conns] connection slots, the caller's storage, 1..255
 * @slots [n_slots] reply slots, the caller's storage, 1..n_conns: fewer are shared
 *
 * Returns BS_OK or BS_EINVAL.
 */
BS_MUSTCHECK int bs_device_init(struct bs_device *d, const struct bs_device_conf *conf,
				const struct bs_crypto *crypto, struct bs_device_conn *conns,
				size_t n_conns, struct bs_rpc_slot *slots, size_t n_slots);
/** Wipe everything; the storage may be freed. */
void bs_device_fini(struct bs_device *d);

/** Master switch on; then events ask for the addresses. */
void bs_device_start(struct bs_device *d, bs_time now);
/** Master switch off: connections and registration end, nothing more is sent or answered. */
void bs_device_stop(struct bs_device *d);
/** As bs_attach_resolved, bs_attach_resolve_failed, bs_attach_restart. */
void bs_device_resolved(struct bs_device *d, const struct bs_endpoint *addr, size_t n, bs_time now);
void bs_device_resolve_failed(struct bs_device *d, bs_time now);
void bs_device_network_changed(struct bs_device *d, bs_time now);
/** Our own address, for the private endpoint that clients are told; may be none. */
void bs_device_set_local(struct bs_device *d, const struct bs_endpoint *local);

/** Take one datagram.  BS_OK, or a drop reason that is counted already. */
int bs_device_input(struct bs_device *d, uint8_t *pkt, size_t len, const struct bs_endpoint *from,
		    bs_time now);
void bs_device_timeout(struct bs_device *d, bs_time now);
/** Compose the next packet; its length with *to filled, 0 when nothing waits.  cap 272 or more. */
size_t bs_device_output(struct bs_device *d, uint8_t *buf, size_t cap, struct bs_endpoint *to,
			bs_time now);
/** Whether a deadline is set; *at is the earliest. */
bool bs_device_next_timeout(const struct bs_device *d, bs_time *at);
/** enum bs_attach_event bits since the last call.  RENEW_SOCKET only without open connections. */
uint8_t bs_device_take_events(struct bs_device *d);

/** Answer a deferred request: see bs_rpc_device_answer. */
BS_MUSTCHECK int bs_device_rpc_answer(struct bs_device *d, uint32_t token, uint32_t code,
				      struct bs_slice reply);
/** Whether a packet may still come or go over this further socket: else the port may close it. */
bool bs_device_uses_via(const struct bs_device *d, uint16_t via);
/** Connections that are live. */
size_t bs_device_n_live(const struct bs_device *d);

/**
 * bs_device_set_streams - carry streams (proto/stream.h); not in the MCU profile
 *
 * @streams [n_conns] one for each connection slot, the caller's storage
 * @mem     borrowed: slots and segments that all connections share
 */
void bs_device_set_streams(struct bs_device *d, struct bs_streams *streams,
			   struct bs_stream_mem *mem);
/** Next stream of any connection that has events; NULL when there is none. */
struct bs_stream *bs_device_next_stream_event(struct bs_device *d, unsigned *events);
/** Whether the answer to this datagram may be fetched together with those to others that came with
 *  it: stream packets between our own ends.  Devices of others acknowledge each packet alone. */
bool bs_device_may_wait(const struct bs_device *d, const uint8_t *pkt, size_t len);
struct bs_streams *bs__device_streams_at(struct bs_streams *streams, size_t i);
static inline struct bs_streams *bs__device_streams(const struct bs_device *d)
{
#ifdef BS_PROFILE_MCU
	(void)d;
	return NULL;
#else
	return d->streams;
#endif
}
static inline void bs__device_keep_streams(struct bs_device *d, struct bs_streams *streams)
{
#ifdef BS_PROFILE_MCU
	(void)d;
	(void)streams;
#else
	d->streams = streams;
#endif
}
/** The streams of connection slot i; NULL when the device carries none. */
static inline struct bs_streams *bs_device_streams(const struct bs_device *d, size_t i)
{
	struct bs_streams *all = bs__device_streams(d);

	return all ? bs__device_streams_at(all, i) : NULL;
}

/**
 * bs_device_gw_next - what the port shall do about byte streams to TCP relays
 *
 * @slot  the connection's slot, which names its stream in the calls below
 * @nsi   its number, which packets for that stream have in NSI.sp
 * @relay the endpoint to connect to; without a port: close the stream
 *
 * Returns false when there is nothing (left) to do; ask after every call that takes the time.
 */
bool bs_device_gw_next(struct bs_device *d, size_t *slot, uint32_t *nsi, struct bs_endpoint *relay);
/** The stream of that slot is connected: fetch the output. */
void bs_device_gw_opened(struct bs_device *d, size_t slot);
/** It is closed, by the port or the relay, or could not be opened. */
void bs_device_gw_closed(struct bs_device *d, size_t slot, bs_time now);
/** One packet of the stream, cut by bs_gw_frame_len.  BS_OK or a drop reason. */
int bs_device_gw_input(struct bs_device *d, size_t slot, uint8_t *pkt, size_t len, bs_time now);

#endif
