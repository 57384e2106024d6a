/* SPDX-License-Identifier: Apache-2.0 */
/*
 * window.h - replay window of 64 serial numbers: takes each number once, in any order within the
 * window, and nothing older.  Numbers are 32-bit and may wrap (serial arithmetic).
 *
 * Owner: whoever holds the struct.
 */
#ifndef BS_UTIL_WINDOW_H
#define BS_UTIL_WINDOW_H

#include "basestation/error.h"

/** Numbers below the highest that are remembered. */
#define BS_WINDOW_LEN 64

/** A window; all zero is an empty one. */
struct bs_window {
	uint32_t high; /**< highest number taken */
	uint64_t seen; /**< bit i: high - i was taken */
};

void bs_window_init(struct bs_window *w);
/** Whether bs_window_take would take n; changes nothing (check before the MAC, take after). */
bool bs_window_is_new(const struct bs_window *w, uint32_t n);
/** Take n: BS_OK, or BS_EREPLAY when it was taken or is older than the window. */
BS_MUSTCHECK int bs_window_take(struct bs_window *w, uint32_t n);
/** Whether n is above everything taken so far. */
bool bs_window_is_highest(const struct bs_window *w, uint32_t n);

#endif
