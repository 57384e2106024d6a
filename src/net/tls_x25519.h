/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_x25519.h - public keys of X25519, several at a time, from a table of multiples of the base.
 *
 * Owner: one worker; a table is only read once it is made.  Calls nothing; allocates nothing.
 */
#ifndef BS_NET_TLS_X25519_H
#define BS_NET_TLS_X25519_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "basestation/types.h"

#define BS__X25519_LEN 32
/** Keys of one call, at most: they share an inversion, which is a third of the work for one. */
#define BS__X25519_BATCH 8

/** An element of the field modulo 2^255 - 19, in limbs of 51 bits. */
struct bs__fe {
	uint64_t v[5];
};

/** A point of the twisted Edwards curve as it is added: y + x, y - x, 2dxy. */
struct bs__ge_add {
	struct bs__fe sum, diff, xy2d;
	uint64_t even; /**< fills up to an even number of words; 0 */
};

/** 1 to 8 times 256^i times the base point. */
struct bs__x25519_table {
	struct bs__ge_add at[32][8];
};

/** Fill a table; false where the compiler has no integers of 128 bits, or its results are wrong. */
BS_MUSTCHECK bool bs__x25519_init(struct bs__x25519_table *t);

/**
 * The public keys of n private ones, which are 32 random bytes each, clamped or not; n is 1 to
 * BS__X25519_BATCH.  In constant time.
 */
void bs__x25519_public(const struct bs__x25519_table *t, const uint8_t priv[][BS__X25519_LEN],
		       uint8_t pub[][BS__X25519_LEN], size_t n);

#endif
