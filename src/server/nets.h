/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nets.h - what keep-alive interval the NATs of a network bore: a table of fixed size, keyed by
 * prefix, that forgets what was not asked for the longest.
 *
 * It is a hint for the next device there.  A shorter value counts at once, a longer one by and by:
 * beginning too low costs a few packets, beginning too high costs reachability.
 *
 * Owner: one worker.  Allocates: no (128 KiB, part of its owner).
 */
#ifndef BS_SERVER_NETS_H
#define BS_SERVER_NETS_H

#include "basestation/types.h"

#define BS_NETS_SETS 8192u
#define BS_NETS_WAYS 4u

struct bs_nets {
	struct bs_net {
		uint16_t tag;              /**< of the hash; an empty entry has no seconds */
		uint16_t seconds;          /**< 0 = empty */
	} way[BS_NETS_SETS][BS_NETS_WAYS]; /**< latest use first */
};

/** Zeroed storage is an empty table.  Seconds that are known for a prefix's hash, 0 = none. */
uint16_t bs_nets_get(struct bs_nets *n, uint64_t hash);
/** A device found that its NAT bears so many seconds, 1.. */
void bs_nets_note(struct bs_nets *n, uint64_t hash, uint16_t seconds);

#endif
