/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prefix.h - the network that an address belongs to: /24 for IPv4, /56 for IPv6; and keyed hashes.
 *
 * Any thread; pure.
 */
#ifndef BS_SERVER_PREFIX_H
#define BS_SERVER_PREFIX_H

#include "basestation/types.h"
#include "util/siphash.h"

/** Hash of the whole address, without port. */
uint64_t bs_prefix_hash_address(const uint8_t key[BS_SIPHASH_KEY_LEN],
				const struct bs_endpoint *ep);
/** Hash of its prefix. */
uint64_t bs_prefix_hash(const uint8_t key[BS_SIPHASH_KEY_LEN], const struct bs_endpoint *ep);
/** Whether two endpoints are in one prefix. */
bool bs_prefix_equal(const struct bs_endpoint *a, const struct bs_endpoint *b);

#endif
