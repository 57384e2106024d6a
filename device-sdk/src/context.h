/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.h - what a struct bsdev is: the protocol core's device plus the application's side.
 *
 * Owner: the device's thread.  May call: the core.  The caller's storage holds this struct, then
 * the connection slots, then the reply slots.
 */
#ifndef BSDEV_CONTEXT_H
#define BSDEV_CONTEXT_H

#include "basestation/device.h"
#include "proto/attach_legacy.h"
#include "proto/device.h"

/** What a device without a secret uses: nothing, unless the library is built for it (configure
 *  --enable-legacy; with the MCU profile also BS_WITH_LEGACY=1).  Off, the code is not linked. */
#ifdef BS_ENABLE_LEGACY
# define BSDEV__LEGACY_ATTACH (&bs_legacy_attach)
# define BSDEV__PLAIN_SUITE   (&bs_suite_null)
#else
# define BSDEV__LEGACY_ATTACH NULL
# define BSDEV__PLAIN_SUITE   NULL
#endif

/** What a device knows of its streams (stream.c): enough to reach them without linking them. */
struct bsdev__streams {
	struct bsdev *dev;
	void (*report)(struct bsdev *dev); /**< tell the application what happened */
};

/** A device of the SDK.  Small fields first, as in proto/conn.h. */
struct bsdev {
	const struct bsdev_conf *conf;
	const struct bsdev_port *port;
	struct bsdev_timer *timers; /**< armed ones, soonest first */
	bs_time now;                /**< of the call that is under way, for callbacks */
	uint8_t state;              /**< enum bsdev_state, as last reported */
	struct bs_device core;
	struct bs_device_conf core_conf;
	struct bs_crypto small; /**< built-in crypto, unless the port brought its own */
	uint8_t secret[BS_PSK_LEN];
#ifndef BS_PROFILE_MCU
	struct bsdev__streams *streams; /**< NULL = none */
#endif
};

/** Further sockets of a port; 0 at compile time in the MCU profile. */
static inline uint16_t bsdev__sockets(const struct bsdev_port *port)
{
#ifdef BS_PROFILE_MCU
	(void)port;
	return 0;
#else
	return port->sockets;
#endif
}

/** Candidates for clients besides the local address: IPv6, which the MCU profile does not have. */
size_t bsdev__candidates(void *app, struct bs_endpoint *out, size_t cap);
#ifdef BS_PROFILE_MCU
# define BSDEV__CANDIDATES NULL
#else
# define BSDEV__CANDIDATES bsdev__candidates
#endif

/** What the port has of them. */
static inline size_t bsdev__hosts(const struct bsdev_port *port, struct bs_endpoint *out,
				  size_t cap)
{
#ifdef BS_PROFILE_MCU
	(void)port;
	(void)out;
	(void)cap;
	return 0;
#else
	return port->hosts != NULL ? port->hosts(port->ctx, out, cap) : 0;
#endif
}

/** Fill the facts of the local network and of pairing, where the profile has them. */
static inline void bsdev__peer_set_origin(struct bsdev_peer *peer, uint8_t origin,
					  const uint8_t *pair)
{
#ifdef BS_PROFILE_MCU
	(void)peer;
	(void)origin;
	(void)pair;
#else
	peer->origin = (enum bsdev_origin)origin;
	peer->pair = pair;
#endif
}

/** Where a client comes from; always the basestation where there is no local network. */
static inline enum bsdev_origin bsdev__peer_origin(const struct bsdev_peer *peer)
{
#ifdef BS_PROFILE_MCU
	(void)peer;
	return BSDEV_FROM_BASESTATION;
#else
	return peer->origin;
#endif
}

/** Number of the pairing secret that a client claims to have, in the access hook. */
static inline const uint8_t *bsdev__peer_pair(const struct bsdev_peer *peer)
{
#ifdef BS_PROFILE_MCU
	(void)peer;
	return NULL;
#else
	return peer->pair;
#endif
}

/** The application's view of who wants to connect. */
void bsdev__peer_from_access(struct bsdev_peer *peer, const struct bs_access *who);
/** Reply slots that go with n connections (basestation-wire(7), RPC). */
size_t bsdev__reply_slots(size_t connections);
/** The callbacks of the core, for core_conf.ops. */
extern const struct bs_device_ops bsdev__ops;
/** As bs_device_uses_via. */
bool bsdev__uses_via(const struct bsdev *dev, uint16_t via);
/** Whether a parameter was read past the end of the request. */
bool bsdev__query_is_bad(const struct bsdev_query *q);
/** Run the timers that are due. */
void bsdev__timers_run(struct bsdev *dev, bs_time now);
/** Offer the TCP relay where port and build can use it. */
void bsdev__allow_relay(struct bs_device_conf *c, const struct bsdev_port *port);
/** Who is at the other end of a connection. */
void bsdev__peer_from_conn(struct bsdev_peer *peer, const struct bs_conn *conn);
/** The streams of a device; NULL = none, always in the MCU profile. */
static inline struct bsdev__streams *bsdev__streams(const struct bsdev *dev)
{
#ifdef BS_PROFILE_MCU
	(void)dev;
	return NULL;
#else
	return dev->streams;
#endif
}
static inline void bsdev__keep_streams(struct bsdev *dev, struct bsdev__streams *streams)
{
#ifdef BS_PROFILE_MCU
	(void)dev;
	(void)streams;
#else
	dev->streams = streams;
#endif
}
/** Tell port and application what changed since the last call. */
void bsdev__report(struct bsdev *dev);

#endif
