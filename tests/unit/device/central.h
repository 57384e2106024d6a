/* SPDX-License-Identifier: Apache-2.0 */
/*
 * central.h - a basestation and a client in one struct, just enough to drive a device of the SDK
 * without a network: datagrams are function calls, time is a number.
 */
#ifndef BS_TESTS_UNIT_DEVICE_CENTRAL_H
#define BS_TESTS_UNIT_DEVICE_CENTRAL_H

#include "basestation/device.h"
#include "crypto/suite.h"
#include "proto/peer.h"

/** Both sides of the conversation. */
struct central {
	struct bsdev *dev;
	union {
		void *align;
		uint8_t bytes[BSDEV_STORAGE_LEN(16)];
	} storage;
	struct bsdev_port port;
	struct bsdev_conf conf;
	struct bsdev_storage kept;
	struct bs_crypto crypto;
	struct bs_key_block a_key, c_key, d_key;
	uint8_t secret[BS_PSK_LEN];   /**< the device's */
	uint8_t expected[BS_PSK_LEN]; /**< what the server thinks it is */
	uint8_t nonce_s[32], seed_s[32], nonce_d[32];
	struct bs_endpoint addr, peer_addr;
	struct bs_peer peer; /**< the client, after central_connect */
	bool has_peer;
	bs_time now;
	uint32_t nsi;
	uint32_t random_state;
	uint16_t connect_code; /**< answer to the last connect, 0 = none */
	unsigned sent;         /**< datagrams that the device sent */
	unsigned lookups;
	unsigned renewals;
	unsigned attaches;
	unsigned stats_status; /**< of the last attach report */
	bool silent;           /**< the server answers nothing */
	bool random_broken;
	uint8_t stored[8]; /**< what the storage hook keeps */
	bs_ssize stored_len;
	int store_result;
};

/** Fill in defaults; then change conf, then central_start. */
void central_init(struct central *c);
/** bsdev_init; returns its result. */
int central_start(struct central *c);
void central_fini(struct central *c);
/** Answer the lookup that the device asked for: one address, or a failure. */
void central_resolve(struct central *c, bool ok);
/** Move every waiting datagram in both directions until nothing waits. */
void central_pump(struct central *c);
/** Advance the clock to each deadline in turn, pumping, until ms have passed. */
void central_run(struct central *c, uint32_t ms);
/** Start, resolve, attach. */
void central_attach(struct central *c);
/** Send a keep-alive request. */
void central_alive(struct central *c);
/** Connect a client; connect_code has the device's answer. */
void central_connect(struct central *c, const char *client_id);

#endif
