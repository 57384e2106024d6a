/* SPDX-License-Identifier: Apache-2.0 */
/*
 * numbers.h - from an attachment number to a device, where many devices share one address and the
 * number is all that tells them apart.
 *
 * Open addressing, linear probing; the numbers are random, so they are their own hash.
 * Owner: its population.  Allocates: in new only.
 */
#ifndef BS_TOOLS_BSLOAD_NUMBERS_H
#define BS_TOOLS_BSLOAD_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What numbers_get gives when there is none. */
#define NUMBERS_NONE UINT32_MAX

/** One entry; number 0 is empty. */
struct number {
	uint32_t number;
	uint32_t device;
};

/** The table. */
struct numbers {
	uint32_t mask;
	struct number *at;
};

/** Room for n entries.  0, or -1 without memory. */
int numbers_init(struct numbers *t, uint32_t n);
void numbers_fini(struct numbers *t);
/** Enter or replace; number is not 0. */
void numbers_put(struct numbers *t, uint32_t number, uint32_t device);
/** The device, or NUMBERS_NONE. */
uint32_t numbers_get(const struct numbers *t, uint32_t number);
/** Remove; an unknown number is fine. */
void numbers_drop(struct numbers *t, uint32_t number);

#endif
