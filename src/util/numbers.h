/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numbers.h - a table from random 32-bit numbers, above all those of sessions, to a 32-bit value.
 *
 * Open addressing with linear probing in one array of 8-byte entries, so that a look-up is mostly
 * one cache line; removal moves entries back, so there are no graves and a look-up never degrades.
 * Whoever uses it makes the numbers itself and at random: a multiplication is hash enough, and the
 * array may have any length.  The look-up stands here, for it is on the path of every packet.
 *
 * Owner: whoever holds the struct and lends it its array.  Allocates: no.
 */
#ifndef BS_UTIL_NUMBERS_H
#define BS_UTIL_NUMBERS_H

#include "basestation/error.h"

/** One entry; number 0 is an empty one. */
struct bs_number {
	uint32_t number;
	uint32_t value;
};

/** The table. */
struct bs_numbers {
	struct bs_number *at; /**< [cap], borrowed */
	uint32_t cap;
	uint32_t n;
	uint32_t limit; /**< entries that it takes, below cap: a look-up ends at an empty one */
};

/** Empty, in an array of zeros that stays the caller's; limit < cap. */
void bs_numbers_init(struct bs_numbers *t, struct bs_number *at, uint32_t cap, uint32_t limit);
/** Enter; a number that is there is BS_EEXIST, 0 is BS_EINVAL, a full table BS_EFULL. */
BS_MUSTCHECK int bs_numbers_put(struct bs_numbers *t, uint32_t number, uint32_t value);
/** Remove; nothing when it is not there. */
void bs_numbers_remove(struct bs_numbers *t, uint32_t number);

/** Where a number stands if no other one is in its way. */
static inline uint32_t bs_numbers_home(const struct bs_numbers *t, uint32_t number)
{
	const uint32_t h = number * UINT32_C(0x9E3779B1);

	return (uint32_t)(((uint64_t)h * t->cap) >> 32);
}

/** The entry of a number, or the empty one where it would go; for a number that is not 0. */
static inline struct bs_number *bs_numbers_slot(const struct bs_numbers *t, uint32_t number)
{
	struct bs_number *e = &t->at[bs_numbers_home(t, number)];

	while (e->number != 0 && e->number != number)
		e = e + 1 == &t->at[t->cap] ? t->at : e + 1;
	return e;
}

/** The entry of a number, whose value may be changed; NULL when it is not there. */
static inline struct bs_number *bs_numbers_find(const struct bs_numbers *t, uint32_t number)
{
	struct bs_number *e;

	if (number == 0)
		return NULL;
	e = bs_numbers_slot(t, number);
	return e->number != 0 ? e : NULL;
}

#endif
