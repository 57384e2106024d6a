/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_local.h - the device library on the local network: discovery, and connections without a
 * basestation.
 *
 * An object of its own beside the device, so that who does not use it does not link it.  The port
 * gives it a socket: what arrives there goes to bsdev_local_input; what bsdev_local_output and
 * bsdev_output compose for an endpoint with via BS_VIA_LOCAL leaves there.  The POSIX port does all
 * that when its configuration has a struct bsdev_local_conf.
 *
 * The master switch rules here too: while it is off nothing is answered and nothing leaves.
 *
 * Threads: those of the device.
 */
#ifndef BSDEV_DEVICE_LOCAL_H
#define BSDEV_DEVICE_LOCAL_H

#include "basestation/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The local side of a device; lives in storage that the caller supplies. */
struct bsdev_local;

/** UDP port unless the configuration says otherwise. */
#define BSDEV_LOCAL_PORT 5570
/** Storage for a struct bsdev_local, in bytes; bsdev_local_init checks it. */
#define BSDEV_LOCAL_STORAGE_LEN 6144u
/** Bytes of a key's name. */
#define BSDEV_KEY_ID_LEN 16

/** What is allowed on the local network; a set of bits. */
enum bsdev_local_allow {
	BSDEV_LOCAL_DISCOVERY = 0x01, /**< answer who looks for devices */
	BSDEV_LOCAL_PSK = 0x02,       /**< connections with a pre-shared key */
	/** Connections in the clear: anybody on the network can read, change and forge them. */
	BSDEV_LOCAL_PLAIN = 0x04,
};

/** A pre-shared key. */
struct bsdev_key {
	uint8_t psk[BS_PSK_LEN]; /**< the key */
	/** Nobody but the client with that fingerprint has it, so using it proves who asks. */
	bool proves_fingerprint;
};

/**
 * Look up a pre-shared key by its name ([BSDEV_KEY_ID_LEN] bytes); peer->fingerprint is what the
 * client claims.  Returns true with *out filled, false when there is no such key.
 */
typedef bool (*bsdev_key_fn)(void *ctx, struct bsdev *dev, const uint8_t *key_id,
			     const struct bsdev_peer *peer, struct bsdev_key *out);
/** Port: whether a source is on one of the networks that this machine is part of. */
typedef bool (*bsdev_near_fn)(void *ctx, const struct bs_endpoint *from);

/** What the application wants.  Borrowed for the object's life. */
struct bsdev_local_conf {
	uint16_t port;    /**< of the local socket; 0 = BSDEV_LOCAL_PORT */
	unsigned allow;   /**< enum bsdev_local_allow bits */
	bsdev_key_fn key; /**< NULL: no key is known */
	void *ctx;        /**< handed to key; borrowed */
};

/**
 * bsdev_local_init - add the local network to a device
 *
 * @storage  aligned as for a pointer; owned by the caller, in use until bsdev_local_fini
 * @len      bytes, at least BSDEV_LOCAL_STORAGE_LEN
 * @dev      a device that lives longer
 * @conf     borrowed until bsdev_local_fini
 * @near     NULL: private and link-local addresses are near
 * @near_ctx handed to near; borrowed
 * @out      the object, inside storage
 *
 * Returns BS_OK, BS_EINVAL or BS_ETOOBIG (storage is too small).
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsdev_local_init(void *storage, size_t len, struct bsdev *dev,
					 const struct bsdev_local_conf *conf, bsdev_near_fn near,
					 void *near_ctx, struct bsdev_local **out);

/**
 * bsdev_local_fini - end the local side and wipe its keys; open connections stay the device's
 *
 * @l may be NULL
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_local_fini(struct bsdev_local *l);

/**
 * bsdev_local_input - a datagram came on the local socket
 *
 * @l    the object
 * @pkt  [len] bytes; decrypted in place, free again on return
 * @len  bytes
 * @from its source, with via BS_VIA_LOCAL
 * @now  the port's time
 *
 * Afterwards fetch bsdev_local_output and bsdev_output until both return 0.
 *
 * Returns BS_OK, or a reason (-1xx, -2xx) why it was dropped.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 * Source: basestation-wire(7), LOCAL NETWORK.
 */
BS_API int bsdev_local_input(struct bsdev_local *l, uint8_t *pkt, size_t len,
			     const struct bs_endpoint *from, bs_time now);

/**
 * bsdev_local_timeout - do what is due
 *
 * @l   the object
 * @now the port's time; harmless when nothing is due
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_local_timeout(struct bsdev_local *l, bs_time now);

/**
 * bsdev_local_output - compose the next datagram for the local socket
 *
 * @l   the object
 * @buf [cap] bytes; may be the receive buffer
 * @cap bytes, at least BSDEV_PACKET_MAX
 * @to  receives the destination
 *
 * Returns the datagram's length, 0 when there is none.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API size_t bsdev_local_output(struct bsdev_local *l, uint8_t *buf, size_t cap,
				 struct bs_endpoint *to);

/**
 * bsdev_local_next_timeout - when to call bsdev_local_timeout
 *
 * @l  the object
 * @at receives the time; untouched when there is no deadline
 *
 * Returns whether there is a deadline.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API bool bsdev_local_next_timeout(const struct bsdev_local *l, bs_time *at);

#ifdef __cplusplus
}
#endif
#endif
