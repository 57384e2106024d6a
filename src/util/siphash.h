/* SPDX-License-Identifier: Apache-2.0 */
/*
 * siphash.h - SipHash-2-4: a keyed hash for tables whose keys a stranger may choose.
 *
 * Any thread; pure.
 */
#ifndef BS_UTIL_SIPHASH_H
#define BS_UTIL_SIPHASH_H

#include "basestation/types.h"

/** Bytes of a key. */
#define BS_SIPHASH_KEY_LEN 16

/** 64-bit hash of len bytes under key[16]. */
uint64_t bs_siphash(const uint8_t *key, const void *data, size_t len);

#endif
