/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_device.h - a device on the local network: discovery, plain and PSK-authenticated
 * connections without a basestation (basestation-wire(7), LOCAL NETWORK).
 *
 * It stands before the device on the socket for the local network: what arrives there goes to
 * bs_local_device_input, which answers or passes it on, and what it makes are ordinary connections
 * of the device.  Sources come and destinations go with via BS_VIA_LOCAL.  While the device is
 * stopped nothing is answered and nothing leaves, here either.
 *
 * Who may hold state: a plain connection takes a slot of the device at once, so they are limited
 * per source and in all; a PSK handshake takes a slot only when it is verified.
 *
 * Owner: the device's thread.  May call: util, wire, crypto, device.  Allocates: no.  Left out of
 * the smallest build: nothing there names it.
 */
#ifndef BS_PROTO_LOCAL_DEVICE_H
#define BS_PROTO_LOCAL_DEVICE_H

#include "proto/device.h"
#include "wire/local.h"

/** PSK handshakes under way at a time. */
#define BS_LOCAL_HALVES 8
/** Half-open connections and handshakes of one address. */
#define BS_LOCAL_PER_SOURCE 2
/** How long a handshake may take. */
#define BS_LOCAL_HALF_MS 5000u
/** Discovery answers and refusals: burst, and ms for each further one. */
#define BS_LOCAL_BURST   40
#define BS_LOCAL_PACE_MS 50u
/** Wrong guesses of a shared key: burst, and ms for each further one. */
#define BS_LOCAL_GUESSES  8
#define BS_LOCAL_GUESS_MS 10000u

/** What a device allows on the local network. */
enum bs_local_allow {
	BS_LOCAL_DISCOVERY = 0x01, /**< answer discovery */
	BS_LOCAL_PSK = 0x02,       /**< connections with a pre-shared key */
	BS_LOCAL_PLAIN = 0x04, /**< connections without any; no secrecy, nobody is who he says */
};

/** A key, and what its use proves. */
struct bs_local_key {
	uint8_t psk[BS_PSK_LEN];
	/** Only the client with that fingerprint has it; else the fingerprint is just a claim. */
	bool proves_fingerprint;
};

/** What stays the same while the device runs.  Borrowed. */
struct bs_local_conf {
	uint16_t port; /**< told in discovery answers: where the socket really is */
	uint8_t allow; /**< enum bs_local_allow bits */
	/**
	 * Look a key up by its name.  Returns BS_ST_OK with *out filled, BS_ST_KEY_ID, or another
	 * enum bs_status that refuses.  NULL: no key is known.
	 */
	uint16_t (*key)(void *app, const uint8_t *key_id, const struct bs_access *who,
			struct bs_local_key *out);
	/** Whether a source is on one of our own networks; NULL: private addresses are. */
	bool (*is_near)(void *app, const struct bs_endpoint *from);
	void *app;
};

/** A handshake: from U_CONNECT_PSK until it is verified, and then to answer late repeats. */
struct bs_local_half {
	uint8_t state; /**< private: free, waiting, done */
	uint8_t client_id_len;
	bool has_fp;
	bool fingerprints; /**< capability bit to answer with */
	bool proves_fingerprint;
	uint32_t cp;
	uint32_t nsi;
	struct bs_endpoint from;
	bs_time until;
	struct bs_key_block key; /**< of the handshake */
	uint8_t nc[BS_NONCE_LEN];
	uint8_t nd[BS_NONCE_LEN];
	uint8_t rd[BS_NONCE_LEN];
	uint8_t fp[BS_FP_LEN];
	uint8_t client_id[BS_CLIENT_ID_KEEP];
};

/** A bucket of tokens. */
struct bs_local_bucket {
	uint8_t used;
	bs_time since; /**< when the first of the used ones comes back */
};

/** What waits to be composed. */
struct bs_local_answer {
	uint8_t kind; /**< private, 0 = nothing */
	uint8_t half; /**< index of the handshake */
	uint16_t seq;
	uint32_t cp; /**< discovery: seq */
	uint32_t sp; /**< discovery: reserved */
	uint32_t nsi;
	uint32_t code;
	struct bs_endpoint to;
};

/** The local side of a device. */
struct bs_local_device {
	struct bs_device *dev;
	const struct bs_local_conf *conf;
	struct bs_local_bucket answers;
	struct bs_local_bucket guesses;
	struct bs_local_answer answer;
	struct bs_local_half half[BS_LOCAL_HALVES];
};

/** Set up; both are borrowed. */
void bs_local_device_init(struct bs_local_device *l, struct bs_device *dev,
			  const struct bs_local_conf *conf);
/** Forget all handshakes and wipe their keys: the device was stopped, or goes. */
void bs_local_device_stop(struct bs_local_device *l);
/** Take one datagram of the local socket.  BS_OK, or a drop reason. */
int bs_local_device_input(struct bs_local_device *l, uint8_t *pkt, size_t len,
			  const struct bs_endpoint *from, bs_time now);
/** Forget handshakes that were not finished. */
void bs_local_device_timeout(struct bs_local_device *l, bs_time now);
/** Compose the answer that waits; 0 when none.  cap 272 or more. */
size_t bs_local_device_output(struct bs_local_device *l, uint8_t *buf, size_t cap,
			      struct bs_endpoint *to);
/** Whether a deadline is set; *at is the earliest. */
bool bs_local_device_next_timeout(const struct bs_local_device *l, bs_time *at);

#endif
