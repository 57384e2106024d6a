/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ticket_filter.h"

#include <stdlib.h>
#include <string.h>

int bs_ticket_filter_init(struct bs_ticket_filter *f, uint32_t cap, uint32_t span_ms,
			  const uint8_t key[BS_SIPHASH_KEY_LEN], uint32_t now_ms)
{
	uint32_t slots = 16;

	memset(f, 0, sizeof(*f));
	/* At most three quarters full, so that a search stays short. */
	while (slots - slots / 4 < cap)
		slots *= 2;
	f->mask = slots - 1;
	f->span_ms = span_ms;
	f->since_ms = now_ms;
	memcpy(f->key, key, sizeof(f->key));
	f->slot[0] = calloc(slots, sizeof(*f->slot[0]));
	f->slot[1] = calloc(slots, sizeof(*f->slot[1]));
	if (f->slot[0] && f->slot[1])
		return BS_OK;
	bs_ticket_filter_fini(f);
	return BS_ENOMEM;
}

void bs_ticket_filter_fini(struct bs_ticket_filter *f)
{
	free(f->slot[0]);
	free(f->slot[1]);
	memset(f, 0, sizeof(*f));
}

static void clear(struct bs_ticket_filter *f, unsigned which)
{
	/* An idle server touches no memory. */
	if (f->n[which] > 0)
		memset(f->slot[which], 0, ((size_t)f->mask + 1) * sizeof(*f->slot[which]));
	f->n[which] = 0;
}

/** Begin a new span as often as time went on. */
static void turn(struct bs_ticket_filter *f, uint32_t now_ms)
{
	uint32_t age = now_ms - f->since_ms;

	if (age < f->span_ms)
		return;
	if (age >= 2 * f->span_ms) {
		clear(f, 0);
		clear(f, 1);
		f->since_ms = now_ms;
		return;
	}
	f->now ^= 1u;
	clear(f, f->now);
	f->since_ms += f->span_ms;
}

/** The place of a hash, or the free one where it would go. */
static uint64_t *find(const struct bs_ticket_filter *f, unsigned which, uint64_t hash)
{
	uint32_t i = (uint32_t)hash & f->mask;

	while (f->slot[which][i] != 0 && f->slot[which][i] != hash)
		i = (i + 1) & f->mask;
	return &f->slot[which][i];
}

/** The hash of what names a packet; 0 is what a free place has. */
static uint64_t hash_of(const struct bs_ticket_filter *f, const void *id, size_t len)
{
	uint64_t hash = bs_siphash(f->key, id, len);

	return hash ? hash : 1;
}

bool bs_ticket_filter_has(struct bs_ticket_filter *f, const void *id, size_t len, uint32_t now_ms)
{
	uint64_t hash = hash_of(f, id, len);

	turn(f, now_ms);
	return *find(f, 0, hash) == hash || *find(f, 1, hash) == hash;
}

int bs_ticket_filter_take(struct bs_ticket_filter *f, const void *id, size_t len, uint32_t now_ms)
{
	uint64_t hash = hash_of(f, id, len);
	uint64_t *at;

	turn(f, now_ms);
	at = find(f, f->now, hash);
	if (*at == hash || *find(f, f->now ^ 1u, hash) == hash)
		return BS_EEXIST;
	if (f->n[f->now] >= f->mask - f->mask / 4)
		return BS_EFULL;
	*at = hash;
	f->n[f->now]++;
	return BS_OK;
}
