/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quantity.h - numbers with units: "10s", "16MiB", "20Mbit/s", "200/s", "64".  Pure functions.
 *
 * A number is a whole decimal number; the unit follows at once or after spaces.  Where a kind has
 * units one must be written (0 may stand alone), so that nobody reads seconds as milliseconds.
 */
#ifndef BS_CONF_QUANTITY_H
#define BS_CONF_QUANTITY_H

#include "basestation/error.h"
#include "basestation/types.h"

/** What is counted; the comment gives the base unit of the value. */
enum bs_quantity {
	BS_QUANTITY_COUNT,   /**< 1, without unit */
	BS_QUANTITY_SPAN,    /**< bs_time (nanoseconds): ms, s, min, h, d */
	BS_QUANTITY_BYTES,   /**< bytes: B, KiB, MiB, GiB, TiB, kB, MB, GB, TB */
	BS_QUANTITY_RATE,    /**< per second: /s */
	BS_QUANTITY_BITRATE, /**< bits per second: bit/s, kbit/s, Mbit/s, Gbit/s */
};

/** Room for a printed quantity. */
#define BS_QUANTITY_TEXT_MAX 40

/**
 * Read a quantity.  BS_OK, or BS_ECONF with the reason and the remedy in why[cap], as the end of a
 * sentence about the text: `has no unit; write for example 10s`.
 */
int bs_quantity_parse(enum bs_quantity kind, const char *text, uint64_t *value, char *why,
		      size_t cap) BS_MUSTCHECK;
/** Print with the largest unit that leaves a whole number; parses again to the same value. */
const char *bs_quantity_print(enum bs_quantity kind, uint64_t value, char *out, size_t cap);

#endif
