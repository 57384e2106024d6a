/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push_server.h - the server's end of U_PUSH and the duplicate filter that goes with it
 * (basestation-wire(7), PUSH).
 *
 * Any thread.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_PUSH_SERVER_H
#define BS_PROTO_PUSH_SERVER_H

#include "crypto/keys.h"
#include "wire/push.h"

/** Bytes of an answer. */
#define BS_PUSH_ANSWER_LEN 81

/** Numbers seen within one attachment: the highest, and the 32 below it.  Zero is the start. */
struct bs_push_filter {
	uint32_t next; /**< highest number seen, plus one */
	uint32_t seen; /**< bit i: number next - 1 - i was seen */
};

/** Verify the MAC and decode; the body stays sealed.  BS_OK, or BS_ETYPE, BS_ESTATE, BS_EMISSING,
 *  BS_ESHORT, BS_ESUITE, BS_EMAC, BS_ELENGTH, BS_ECRYPTO. */
BS_MUSTCHECK int bs_push_server_open(const struct bs_crypto *c, const struct bs_key_block *c_key,
				     const struct bs_packet *p, struct bs_push *out);
/** Note a number; true when it is new.  One that is too old to know counts as seen. */
bool bs_push_filter_add(struct bs_push_filter *f, uint32_t number);
/** Encode the answer: 81 bytes.  BS_ETOOBIG, BS_ERANDOM, BS_ECRYPTO. */
BS_MUSTCHECK bs_ssize bs_push_server_answer(const struct bs_crypto *c,
					    const struct bs_key_block *c_key,
					    const struct bs_push *push, uint8_t flags, uint8_t *buf,
					    size_t cap);

#endif
