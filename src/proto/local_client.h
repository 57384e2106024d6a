/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_client.h - a client on the local network: discovery, and connecting to a device without a
 * basestation, in the clear or with a pre-shared key (basestation-wire(7), LOCAL NETWORK).
 *
 * Two small machines with the four usual calls.  What a connect ends with is the configuration of
 * an ordinary bs_peer, whose path is the device's endpoint.
 *
 * Owner: one thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_LOCAL_CLIENT_H
#define BS_PROTO_LOCAL_CLIENT_H

#include "proto/peer.h"
#include "wire/local.h"

/** Discovery: requests, their distance and the whole time, ms. */
#define BS_DISCOVERY_ROUNDS  3
#define BS_DISCOVERY_PACE_MS 250u
#define BS_DISCOVERY_MS      1000u
/** Places that are asked, and answers that are told apart. */
#define BS_DISCOVERY_TARGETS 16
#define BS_DISCOVERY_FOUND   64
/** Connect: a step is repeated after this, and given up after that, ms. */
#define BS_LOCAL_REPEAT_MS 500u
#define BS_LOCAL_LIMIT_MS  5000u
/** Smallest number that a client gives a local connection. */
#define BS_LOCAL_CP_MIN 1001u

/** One answer, told once: same id, address and port are the same device. */
struct bs_discovery_seen {
	uint32_t hash; /**< of the id */
	struct bs_endpoint ep;
};

/** A search for devices. */
struct bs_discovery {
	uint32_t seq;
	uint8_t n_targets;
	uint8_t n_seen;
	uint8_t round; /**< rounds that were begun */
	uint8_t next;  /**< target that is asked next in this round */
	bool running;
	bs_time due;   /**< next round */
	bs_time until; /**< end of the search */
	char name[BS_DEVICE_ID_MAX + 1];
	struct bs_endpoint target[BS_DISCOVERY_TARGETS];
	struct bs_discovery_seen seen[BS_DISCOVERY_FOUND];
};

/**
 * bs_discovery_start - begin a search
 *
 * @seq     a random number: who did not hear the request cannot answer it
 * @name    device id, or "*" for all
 * @targets [n] where to send: broadcast addresses and the like, with port; more than
 *          BS_DISCOVERY_TARGETS are left out
 *
 * Returns BS_OK, or BS_EINVAL when the name is none.
 */
BS_MUSTCHECK int bs_discovery_start(struct bs_discovery *d, uint32_t seq, struct bs_slice name,
				    const struct bs_endpoint *targets, size_t n, bs_time now);
/**
 * Take a datagram.  BS_OK: a device that was not told before, *ans and *ep are filled (ans borrows
 * from buf).  BS_EREPLAY: known already; any other drop reason: not for us.
 */
BS_MUSTCHECK int bs_discovery_input(struct bs_discovery *d, const uint8_t *buf, size_t len,
				    const struct bs_endpoint *from, struct bs_discovery_answer *ans,
				    struct bs_endpoint *ep);
/** running becomes false when the time is over. */
void bs_discovery_timeout(struct bs_discovery *d, bs_time now);
size_t bs_discovery_output(struct bs_discovery *d, uint8_t *buf, size_t cap,
			   struct bs_endpoint *to);
bool bs_discovery_next_timeout(const struct bs_discovery *d, bs_time *at);

/** State of a local connect. */
enum bs_local_state {
	BS_LOCAL_IDLE = 0,
	BS_LOCAL_ASKING = 1,    /**< first packet sent */
	BS_LOCAL_VERIFYING = 2, /**< PSK: the device has proved that it knows the key */
	BS_LOCAL_READY = 3,     /**< bs_local_connect_take gives the connection */
	BS_LOCAL_FAILED = 4,    /**< status says why; 0 = no answer */
};

/** What a connect needs.  Texts and pointers are copied. */
struct bs_local_target {
	struct bs_endpoint ep;     /**< the device's local port */
	struct bs_slice device;    /**< its id; part of the key */
	bool plain;                /**< in the clear: no secrecy, and the device may be anybody */
	const uint8_t *key_id;     /**< [16] PSK: name of the key */
	const uint8_t *psk;        /**< [16] the key */
	struct bs_slice client_id; /**< told to the device; may be empty */
	const uint8_t *fp;         /**< [16] our key's fingerprint; NULL = none */
};

/** A connect to one device. */
struct bs_local_connect {
	const struct bs_crypto *crypto;
	uint8_t state; /**< enum bs_local_state */
	bool plain;
	bool has_fp;
	bool send;  /**< the packet of this state waits */
	bool abort; /**< an abort waits */
	uint8_t client_id_len;
	uint16_t seq;
	uint32_t status; /**< enum bs_status of a refusal */
	uint32_t cp;
	uint32_t sp; /**< connection number, once known */
	struct bs_endpoint ep;
	bs_time due;
	bs_time until;
	struct bs_key_block key; /**< of the handshake, then of the session */
	uint8_t key_id[BS_KEY_ID_LEN];
	uint8_t nc[BS_NONCE_LEN];
	uint8_t nd[BS_NONCE_LEN];
	uint8_t rc[BS_NONCE_LEN];
	uint8_t fp[BS_FP_LEN];
	uint8_t client_id[BS_CLIENT_ID_MAX];
	struct bs_key_block session;
};

/** Begin.  BS_OK, BS_EINVAL, BS_ERANDOM or BS_ECRYPTO. */
BS_MUSTCHECK int bs_local_connect_start(struct bs_local_connect *c, const struct bs_crypto *crypto,
					const struct bs_local_target *t, bs_time now);
/** Take a datagram; decrypted in place.  BS_OK when it was ours, else a drop reason. */
BS_MUSTCHECK int bs_local_connect_input(struct bs_local_connect *c, uint8_t *pkt, size_t len,
					const struct bs_endpoint *from, bs_time now);
void bs_local_connect_timeout(struct bs_local_connect *c, bs_time now);
size_t bs_local_connect_output(struct bs_local_connect *c, uint8_t *buf, size_t cap,
			       struct bs_endpoint *to);
bool bs_local_connect_next_timeout(const struct bs_local_connect *c, bs_time *at);
/** READY: fill what names the connection (key, suite, numbers, crypto), wipe the machine.  The path
 *  is c->ep, which is still there afterwards. */
void bs_local_connect_take(struct bs_local_connect *c, struct bs_peer_conf *conf);
/** Give up: a device that waits for us is told by output, once, when it has a number for us. */
void bs_local_connect_abort(struct bs_local_connect *c);
/** Wipe. */
void bs_local_connect_fini(struct bs_local_connect *c);

#endif
