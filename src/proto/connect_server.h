/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect_server.h - the server's end of connecting a client: U_CONNECT to the device, repeated to
 * the byte until it answers (basestation-wire(7), CONNECTING A CLIENT).
 *
 * Any thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_CONNECT_SERVER_H
#define BS_PROTO_CONNECT_SERVER_H

#include "crypto/keys.h"
#include "wire/connect.h"

/** What a U_CONNECT is made from; all borrowed. */
struct bs_connect_offer {
	struct bs_connect_request m;      /**< endpoints, numbers, identity, attempt, candidates */
	const struct bs_key_block *c_key; /**< NULL: a legacy device, no CRYPTO */
	struct bs_slice block;            /**< the D block, exactly 96 bytes; legacy: empty */
	size_t limit;                     /**< largest packet for this device, at most cap */
};

/**
 * Encode.  Returns the length; BS_EINVAL for what must never be sent to a device (D block not 96
 * bytes, no or zero connection number, flag 0x40); BS_ETOOBIG when the limit is too small even
 * without the identity; BS_ERANDOM, BS_ECRYPTO.
 */
BS_MUSTCHECK bs_ssize bs_connect_server_encode(const struct bs_crypto *c,
					       const struct bs_connect_offer *o, uint8_t *buf,
					       size_t cap);

/** One request under way: its bytes and its schedule. */
struct bs_connect_server {
	uint32_t nsi_attach;
	uint32_t nsi_cp;
	uint32_t nsi; /**< of the connection */
	uint16_t seq;
	uint16_t len; /**< bytes of pkt */
	uint8_t sends;
	struct bs_endpoint peer; /**< the only source of an answer that counts */
	bs_time due;             /**< next step */
	bs_time end;             /**< the asker has its answer by then */
	bs_time retry;           /**< span between repetitions */
	uint8_t pkt[BS_CONNECT_REQUEST_MAX];
};

/**
 * Encode the offer into a new request and arm it; its first send is due now.  Results as
 * bs_connect_server_encode.
 */
BS_MUSTCHECK int bs_connect_server_start(struct bs_connect_server *s, const struct bs_crypto *c,
					 const struct bs_connect_offer *o,
					 const struct bs_endpoint *peer, bs_time retry,
					 bs_time timeout, bs_time now);

/** What has to be done. */
enum bs_connect_action {
	BS_CONNECT_WAIT = 0, /**< nothing until due */
	BS_CONNECT_SEND,     /**< send pkt to peer */
	BS_CONNECT_GIVE_UP,  /**< the device is silent */
};
enum bs_connect_action bs_connect_server_timeout(struct bs_connect_server *s, bs_time now);

/** The device turned out to be elsewhere: ask it there, at once. */
void bs_connect_server_move(struct bs_connect_server *s, const struct bs_endpoint *peer,
			    bs_time now);

/**
 * Take a U_CONNECT response.  Source, seq, cp, sp and connection number must all fit, for nothing
 * in it is authenticated.
 *
 * Returns BS_OK and the device's code, or BS_ESOURCE, BS_ETYPE, BS_EUNKNOWN, BS_EMISSING,
 * BS_ESHORT: drop.
 */
BS_MUSTCHECK int bs_connect_server_input(const struct bs_connect_server *s,
					 const struct bs_packet *p, const struct bs_endpoint *from,
					 uint32_t *code);
/** Wipe. */
void bs_connect_server_fini(struct bs_connect_server *s);

#endif
