/* SPDX-License-Identifier: Apache-2.0 */
#include "server/nets.h"

#include <string.h>

enum {
	PART = 4, /* a longer value counts by one part in so many */
};

/* The entry of a hash, moved to the front of its set; the oldest gives way to a new one. */
static struct bs_net *find(struct bs_nets *n, uint64_t hash, bool make)
{
	struct bs_net *set = n->way[hash % BS_NETS_SETS];
	struct bs_net e = { .tag = (uint16_t)(hash >> 48) };
	unsigned i;

	for (i = 0; i < BS_NETS_WAYS; i++) {
		if (set[i].seconds && set[i].tag == e.tag)
			break;
	}
	if (i < BS_NETS_WAYS)
		e = set[i];
	else if (make)
		i = BS_NETS_WAYS - 1;
	else
		return NULL;
	memmove(set + 1, set, i * sizeof(*set));
	set[0] = e;
	return set;
}

uint16_t bs_nets_get(struct bs_nets *n, uint64_t hash)
{
	const struct bs_net *e = find(n, hash, false);

	return e ? e->seconds : 0;
}

void bs_nets_note(struct bs_nets *n, uint64_t hash, uint16_t seconds)
{
	struct bs_net *e = find(n, hash, true);

	if (e->seconds == 0 || seconds <= e->seconds)
		e->seconds = seconds;
	else
		e->seconds = (uint16_t)(e->seconds +
					((unsigned)(seconds - e->seconds) + PART - 1) / PART);
}
