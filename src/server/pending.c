/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pending.h"

#include <stdlib.h>
#include <string.h>

#include "server/prefix.h"
#include "util/endpoint.h"

/* Which of an entry's links a list goes through. */
enum chain {
	CHAIN_AGE,
	CHAIN_ID,
	CHAIN_PREFIX,
};

static struct bs_pending_link *link_of(struct bs_pending *p, uint32_t i, enum chain chain)
{
	struct bs_pending_entry *e = &p->entry[i];

	switch (chain) {
	case CHAIN_ID: return &e->id;
	case CHAIN_PREFIX: return &e->prefix;
	default: return &e->age;
	}
}

static void append(struct bs_pending *p, struct bs_pending_list *l, uint32_t i, enum chain chain)
{
	struct bs_pending_link *n = link_of(p, i, chain);

	n->next = BS_PENDING_NONE;
	n->prev = l->tail;
	if (l->tail == BS_PENDING_NONE)
		l->head = i;
	else
		link_of(p, l->tail, chain)->next = i;
	l->tail = i;
}

static void unlink_from(struct bs_pending *p, struct bs_pending_list *l, uint32_t i,
			enum chain chain)
{
	struct bs_pending_link *n = link_of(p, i, chain);

	if (n->prev == BS_PENDING_NONE)
		l->head = n->next;
	else
		link_of(p, n->prev, chain)->next = n->next;
	if (n->next == BS_PENDING_NONE)
		l->tail = n->prev;
	else
		link_of(p, n->next, chain)->prev = n->prev;
}

static struct bs_pending_list *id_list(const struct bs_pending *p, uint32_t number)
{
	return &p->by_id[bs_siphash(p->key, &number, sizeof(number)) & (p->buckets - 1)];
}

static struct bs_pending_list *prefix_list(const struct bs_pending *p,
					   const struct bs_endpoint *peer)
{
	return &p->by_prefix[bs_prefix_hash(p->key, peer) & (p->buckets - 1)];
}

static struct bs_pending_list *new_lists(uint32_t n)
{
	struct bs_pending_list *l = malloc(n * sizeof(*l));

	/* All bytes 0xFF: every head and tail is BS_PENDING_NONE. */
	if (l)
		memset(l, 0xFF, n * sizeof(*l));
	return l;
}

int bs_pending_init(struct bs_pending *p, uint32_t cap, const uint8_t key[BS_SIPHASH_KEY_LEN],
		    bs_pending_gone_fn gone, void *ctx)
{
	uint32_t i;

	memset(p, 0, sizeof(*p));
	if (cap == 0 || cap > UINT32_MAX / 4)
		return BS_EINVAL;
	for (p->buckets = 1; p->buckets < cap; p->buckets *= 2)
		;
	p->entry = calloc(cap, sizeof(*p->entry));
	p->by_id = new_lists(p->buckets);
	p->by_prefix = new_lists(p->buckets);
	if (!p->entry || !p->by_id || !p->by_prefix) {
		bs_pending_fini(p);
		return BS_ENOMEM;
	}
	p->cap = cap;
	p->age.head = BS_PENDING_NONE;
	p->age.tail = BS_PENDING_NONE;
	for (i = 0; i < cap; i++)
		p->entry[i].age.next = i + 1 < cap ? i + 1 : BS_PENDING_NONE;
	memcpy(p->key, key, sizeof(p->key));
	p->gone = gone;
	p->ctx = ctx;
	bs_pending_set_limits(p, 4, 16, 10000);
	return BS_OK;
}

void bs_pending_fini(struct bs_pending *p)
{
	uint32_t i;

	if (!p)
		return;
	if (p->entry && p->n > 0)
		for (i = p->age.head; i != BS_PENDING_NONE; i = p->entry[i].age.next)
			bs_wipe(&p->entry[i].s, sizeof(p->entry[i].s));
	free(p->entry);
	free(p->by_id);
	free(p->by_prefix);
	memset(p, 0, sizeof(*p));
}

void bs_pending_set_limits(struct bs_pending *p, uint32_t per_id, uint32_t per_prefix,
			   uint32_t lifetime_ms)
{
	p->per_id = per_id ? per_id : 1;
	p->per_prefix = per_prefix ? per_prefix : 1;
	p->lifetime_ms = lifetime_ms;
}

void bs_pending_set_grace(struct bs_pending *p, uint32_t grace_ms)
{
	p->grace_ms = grace_ms;
}

uint32_t bs_pending_find(const struct bs_pending *p, uint32_t number, const uint8_t *nonce,
			 size_t nonce_len, const struct bs_endpoint *peer)
{
	uint8_t full[BS_PENDING_NONCE_LEN] = { 0 };
	uint32_t i;

	memcpy(full, nonce, nonce_len);
	for (i = id_list(p, number)->head; i != BS_PENDING_NONE; i = p->entry[i].id.next) {
		const struct bs_pending_entry *e = &p->entry[i];

		if (e->number == number && memcmp(e->nonce, full, sizeof(full)) == 0 &&
		    bs_endpoint_equal(&e->peer, peer))
			return i;
	}
	return BS_PENDING_NONE;
}

void bs_pending_remove(struct bs_pending *p, uint32_t i)
{
	struct bs_pending_entry *e = &p->entry[i];

	unlink_from(p, &p->age, i, CHAIN_AGE);
	unlink_from(p, id_list(p, e->number), i, CHAIN_ID);
	unlink_from(p, prefix_list(p, &e->peer), i, CHAIN_PREFIX);
	e->flags = 0;
	bs_wipe(&e->s, sizeof(e->s));
	e->age.next = p->free;
	p->free = i;
	p->n--;
}

static void drop(struct bs_pending *p, uint32_t i, bool expired)
{
	if (p->gone)
		p->gone(p->ctx, &p->entry[i], expired);
	bs_pending_remove(p, i);
}

/* Entries of this device, and the oldest of them. */
static uint32_t count_id(const struct bs_pending *p, uint32_t number, uint32_t *oldest)
{
	uint32_t n = 0;
	uint32_t i;

	*oldest = BS_PENDING_NONE;
	for (i = id_list(p, number)->head; i != BS_PENDING_NONE; i = p->entry[i].id.next) {
		if (p->entry[i].number != number)
			continue;
		if (n++ == 0)
			*oldest = i;
	}
	return n;
}

/* The same for the prefix; counting stops at the limit, so a crowded prefix costs no more. */
static uint32_t count_prefix(const struct bs_pending *p, const struct bs_endpoint *peer,
			     uint32_t stop, uint32_t *oldest)
{
	uint32_t n = 0;
	uint32_t i;

	*oldest = BS_PENDING_NONE;
	for (i = prefix_list(p, peer)->head; i != BS_PENDING_NONE && (stop == 0 || n < stop);
	     i = p->entry[i].prefix.next) {
		const struct bs_pending_entry *e = &p->entry[i];

		if (!bs_prefix_equal(&e->peer, peer))
			continue;
		if (*oldest == BS_PENDING_NONE)
			*oldest = i;
		/* With nothing to count the oldest is all that is asked for. */
		if (stop == 0)
			break;
		if (!(e->flags & BS_PENDING_KNOWN))
			n++;
	}
	return n;
}

/* Whether an entry of another device may go. */
static bool is_ripe(const struct bs_pending *p, uint32_t i, uint32_t now_ms)
{
	return now_ms - p->entry[i].born_ms >= p->grace_ms;
}

static bool make_room(struct bs_pending *p, uint32_t number, const struct bs_endpoint *peer,
		      bool known, uint32_t now_ms)
{
	uint32_t victim;
	uint32_t of_prefix = BS_PENDING_NONE;
	bool full = count_id(p, number, &victim) >= p->per_id;

	if (!known && count_prefix(p, peer, p->per_prefix, &of_prefix) >= p->per_prefix)
		full = true;
	if (p->free == BS_PENDING_NONE) {
		full = true;
		if (known)
			(void)count_prefix(p, peer, 0, &of_prefix);
	}
	if (!full)
		return true;
	if (victim == BS_PENDING_NONE) {
		victim = of_prefix != BS_PENDING_NONE ? of_prefix : p->age.head;
		if (!is_ripe(p, victim, now_ms))
			return false;
	}
	drop(p, victim, false);
	return true;
}

uint32_t bs_pending_add(struct bs_pending *p, uint32_t number, const uint8_t *nonce,
			size_t nonce_len, const struct bs_endpoint *peer, bool known,
			uint32_t now_ms)
{
	struct bs_pending_entry *e;
	uint32_t i;

	if (!make_room(p, number, peer, known, now_ms))
		return BS_PENDING_NONE;
	i = p->free;
	e = &p->entry[i];
	p->free = e->age.next;
	memset(e, 0, offsetof(struct bs_pending_entry, s));
	e->number = number;
	memcpy(e->nonce, nonce, nonce_len);
	e->peer = *peer;
	e->flags = known ? BS_PENDING_USED | BS_PENDING_KNOWN : BS_PENDING_USED;
	e->born_ms = now_ms;
	append(p, &p->age, i, CHAIN_AGE);
	append(p, id_list(p, number), i, CHAIN_ID);
	append(p, prefix_list(p, peer), i, CHAIN_PREFIX);
	p->n++;
	return i;
}

void bs_pending_expire(struct bs_pending *p, uint32_t now_ms)
{
	while (p->age.head != BS_PENDING_NONE &&
	       now_ms - p->entry[p->age.head].born_ms >= p->lifetime_ms)
		drop(p, p->age.head, true);
}

void bs_pending_remove_device(struct bs_pending *p, uint32_t number)
{
	uint32_t i = id_list(p, number)->head;

	while (i != BS_PENDING_NONE) {
		uint32_t next = p->entry[i].id.next;

		if (p->entry[i].number == number)
			drop(p, i, false);
		i = next;
	}
}
