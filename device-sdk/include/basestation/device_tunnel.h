/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_tunnel.h - tunnels of a device on a POSIX system: clients reach TCP services of this
 * machine, or of its network, through streams.
 *
 * Nothing may be reached until it is allowed, by bsdev_tunnels_allow() or by a callback that judges
 * each target.  Targets are IPv4 addresses; names are never looked up ("localhost" is 127.0.0.1).
 *
 * The tunnels take all streams of the device (device_stream.h).  Beside TCP a client may ask for
 * the service "echo", which sends every byte back.
 *
 * Memory is bounded: a service that reads slowly holds its client back, and the other way round.
 *
 * Needs epoll (Linux).
 */
#ifndef BSDEV_DEVICE_TUNNEL_H
#define BSDEV_DEVICE_TUNNEL_H

#include "basestation/device_posix.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The tunnels of a device; heap object. */
struct bsdev_tunnels;

/** What happened to a tunnel. */
enum bsdev_tunnel_event {
	BSDEV_TUNNEL_OPENED = 1,  /**< the target has accepted */
	BSDEV_TUNNEL_REFUSED = 2, /**< not allowed, or a command that nobody knows */
	BSDEV_TUNNEL_FAILED = 3,  /**< the target cannot be reached */
	BSDEV_TUNNEL_CLOSED = 4,  /**< both sides ended */
	BSDEV_TUNNEL_ABORTED = 5, /**< the client or its connection went away */
};

/** One tunnel as the callbacks see it; pointers are borrowed for the callback. */
struct bsdev_tunnel_info {
	struct bsdev_peer peer; /**< the client */
	const char *service;    /**< "tcp", "echo", "uart", or "other"; never NULL */
	char host[16];          /**< address of the target, "" unless tcp */
	uint16_t port;          /**< of the target, 0 unless tcp */
	uint64_t to_service;    /**< bytes from the client */
	uint64_t to_client;     /**< bytes from the service */
};

/** Whether this client may open streams for tunnels at all. */
typedef bool (*bsdev_tunnel_client_fn)(void *ctx, const struct bsdev_peer *peer);
/** Whether this client may reach this target; asked only where no rule allows it. */
typedef bool (*bsdev_tunnel_target_fn)(void *ctx, const struct bsdev_tunnel_info *info);
/** Something happened, for logs. */
typedef void (*bsdev_tunnel_fn)(void *ctx, enum bsdev_tunnel_event event,
				const struct bsdev_tunnel_info *info);

/** How tunnels behave; zero is a good start. */
struct bsdev_tunnel_conf {
	uint16_t tunnels;              /**< at a time, of all clients; 0 = 1024 */
	uint16_t window;               /**< segments of a stream each way, base protocol; 0 = 100 */
	uint32_t memory;               /**< most bytes of stream buffers; 0 = 128 MiB */
	uint32_t connect_timeout_ms;   /**< for the target to accept; 0 = 10000 */
	const char *default_host;      /**< of a command without one; NULL = 127.0.0.1 */
	uint16_t default_port;         /**< the same; 0 = 22 */
	bool no_echo;                  /**< the service "echo" is refused */
	bsdev_tunnel_client_fn client; /**< NULL: every client */
	bsdev_tunnel_target_fn target; /**< NULL: only what the rules allow */
	bsdev_tunnel_fn event;         /**< may be NULL */
	void *ctx;                     /**< handed to the callbacks */
};

/**
 * bsdev_tunnels_new - serve tunnels
 *
 * @p    a device with its port; the tunnels live as long as it does
 * @conf copied, texts too; may be NULL for all defaults
 * @out  the tunnels, owned by p
 *
 * Returns BS_OK, or
 *   BS_EINVAL  a number or the default host is out of range
 *   BS_EEXIST  the device has streams or tunnels already
 *   BS_ENOMEM  no memory
 *   BS_EIO     no descriptor could be opened; errno says why
 *
 * Thread: the object's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), TUNNELS.
 */
BS_API BS_MUSTCHECK int bsdev_tunnels_new(struct bsdev_posix *p,
					  const struct bsdev_tunnel_conf *conf,
					  struct bsdev_tunnels **out);

/**
 * bsdev_tunnels_allow - allow a target
 *
 * @t    the tunnels
 * @rule "HOST:PORT", "HOST:FIRST-LAST" or "HOST:*"; HOST is an IPv4 address, "localhost" or
 *       "ADDRESS/BITS"
 *
 * Returns BS_OK, BS_EINVAL when it is no rule, BS_EFULL after 64 rules.
 *
 * Thread: the object's.  Allocates: no.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsdev_tunnels_allow(struct bsdev_tunnels *t, const char *rule);

/**
 * bsdev_tunnels_count - how many tunnels are open
 *
 * @t the tunnels
 *
 * Returns their number, 0 when there is none.
 *
 * Thread: the object's.  Allocates: no.  Blocks: no.
 */
BS_API unsigned bsdev_tunnels_count(const struct bsdev_tunnels *t);

#ifdef __cplusplus
}
#endif
#endif
