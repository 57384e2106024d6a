/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push.h - U_PUSH: a notification that the basestation hands on, and its answer
 * (basestation-wire(7), PUSH).  Both end with CRYPTO under the C key, the caller's part.
 */
#ifndef BS_WIRE_PUSH_H
#define BS_WIRE_PUSH_H

#include "wire/payload.h"

/** Services. */
enum bs_push_service {
	BS_PUSH_FIREBASE = 1,
	BS_PUSH_WEBHOOK = 2,
};

/** U_PUSH, either way. */
struct bs_push {
	uint32_t nsi; /**< attachment NSI */
	uint16_t seq;
	bool answer;     /**< server to device */
	uint32_t number; /**< of this notification since the device's start; echoed */
	uint16_t service;
	uint8_t flags;     /**< answer: enum bs_push_flag */
	size_t crypto_off; /**< decode: where CRYPTO starts */
};

/** PUSH_DATA, inside the plaintext of a request. */
struct bs_push_data {
	uint8_t purpose;  /**< 1 static (subscription), 2 dynamic (text) */
	uint8_t encoding; /**< 1 JSON, 2 TLV */
	struct bs_slice data;
};

/** PUSH and, as last payload, CRYPTO must be there. */
BS_MUSTCHECK int bs_push_decode(const struct bs_packet *p, struct bs_push *m);
/** Start the packet in w: everything before CRYPTO. */
void bs_push_begin(struct bs_writer *w, uint8_t *buf, size_t cap, const struct bs_push *m);

BS_MUSTCHECK int bs_push_data_get(const struct bs_payload *pl, struct bs_push_data *d);
/** Append to a plaintext list. */
void bs_push_data_put(struct bs_writer *w, const struct bs_push_data *d);

#endif
