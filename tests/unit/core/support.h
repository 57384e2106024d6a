/* SPDX-License-Identifier: Apache-2.0 */
/*
 * support.h - ways to maltreat a packet, and sealing with the random bytes of a recording.
 */
#ifndef BS_TEST_SUPPORT_H
#define BS_TEST_SUPPORT_H

#include "crypto/suite.h"
#include "test.h"
#include "wire/packet.h"

/** Decoder of one message into storage of its own; returns its result. */
typedef int (*bs_test_decode_fn)(const struct bs_packet *p);

/** Decode a datagram from storage of exactly its length; the first error of either step. */
int bs_test_decode(const uint8_t *pkt, size_t len, bs_test_decode_fn decode);
/** As above after the header's length field was set to len. */
int bs_test_decode_as(const uint8_t *pkt, size_t len, bs_test_decode_fn decode);
/**
 * What every message must survive, starting from a good packet: cut at every byte (with the old
 * and with a matching length field), bytes behind it, other versions, types and flags, every bit
 * turned, a payload behind it that is as large as can be.  least: fewest bytes with which a cut
 * packet may still be taken (all required payloads are inside).
 */
void bs_test_maltreat(const uint8_t *pkt, size_t len, size_t least, bs_test_decode_fn decode);

/** A table with the small backend whose random bytes are the rng's. */
void bs_test_crypto(struct bs_crypto *c, struct bs_test_rng *rng);
/** Seal what w holds with this IV and compare the whole with the packet row. */
void bs_test_seal_is(struct bs_writer *w, const struct bs_scenario *sc, const struct bs_row *row,
		     enum bs_role self);
/** Next packet row of this type and flags (by value) after prev, or NULL; *p is decoded. */
const struct bs_row *bs_test_next(const struct bs_scenario *sc, const struct bs_row *prev,
				  uint8_t type, uint8_t flags, struct bs_packet *p);

#endif
