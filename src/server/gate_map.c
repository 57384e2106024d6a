/* SPDX-License-Identifier: Apache-2.0 */
#include "server/gate_map.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

int bs_gate_map_init(struct bs_gate_map *m, size_t n, const uint8_t seed[BS_SIPHASH_KEY_LEN])
{
	size_t cap = 16;

	/* At most two thirds full, so that runs stay short and an empty slot ends every search. */
	while (cap < n + n / 2 + 1)
		cap *= 2;
	memset(m, 0, sizeof(*m));
	m->slot = calloc(cap, sizeof(*m->slot));
	if (!m->slot)
		return BS_ENOMEM;
	m->mask = cap - 1;
	m->limit = n;
	memcpy(m->seed, seed, sizeof(m->seed));
	return BS_OK;
}

void bs_gate_map_fini(struct bs_gate_map *m)
{
	free(m->slot);
	memset(m, 0, sizeof(*m));
}

static size_t home(const struct bs_gate_map *m, uint64_t key)
{
	return (size_t)bs_siphash(m->seed, &key, sizeof(key)) & m->mask;
}

void *bs_gate_map_get(const struct bs_gate_map *m, uint64_t key)
{
	if (!m->slot)
		return NULL;
	for (size_t i = home(m, key); m->slot[i].value; i = (i + 1) & m->mask)
		if (m->slot[i].key == key)
			return m->slot[i].value;
	return NULL;
}

int bs_gate_map_put(struct bs_gate_map *m, uint64_t key, void *value)
{
	size_t i;

	if (m->used >= m->limit)
		return BS_EFULL;
	for (i = home(m, key); m->slot[i].value; i = (i + 1) & m->mask)
		if (m->slot[i].key == key)
			return BS_EEXIST;
	m->slot[i].key = key;
	m->slot[i].value = value;
	m->used++;
	return BS_OK;
}

void bs_gate_map_remove(struct bs_gate_map *m, uint64_t key)
{
	size_t i, j;

	if (!m->slot)
		return;
	for (i = home(m, key); m->slot[i].value && m->slot[i].key != key; i = (i + 1) & m->mask)
		;
	if (!m->slot[i].value)
		return;
	m->used--;
	/* Close the gap: pull back what would no longer be found behind an empty slot. */
	for (j = (i + 1) & m->mask; m->slot[j].value; j = (j + 1) & m->mask) {
		size_t h = home(m, m->slot[j].key);

		if (((j - h) & m->mask) < ((j - i) & m->mask))
			continue;
		m->slot[i] = m->slot[j];
		i = j;
	}
	m->slot[i].value = NULL;
}

int bs_gate_pool_init(struct bs_gate_pool *p, size_t item, size_t n)
{
	const size_t align = _Alignof(max_align_t);

	memset(p, 0, sizeof(*p));
	/* Items with a flexible end have any size; the next one must be aligned all the same. */
	item = (item + align - 1) / align * align;
	p->mem = calloc(n > 0 ? n : 1, item);
	if (!p->mem)
		return BS_ENOMEM;
	p->item = item;
	p->cap = n;
	return BS_OK;
}

void bs_gate_pool_fini(struct bs_gate_pool *p)
{
	free(p->mem);
	memset(p, 0, sizeof(*p));
}

void *bs_gate_pool_take(struct bs_gate_pool *p)
{
	void *item = p->free;

	if (item) {
		memcpy(&p->free, item, sizeof(p->free));
		memset(item, 0, sizeof(p->free));
	} else {
		if (p->fresh == p->cap)
			return NULL;
		item = p->mem + p->fresh++ * p->item;
	}
	p->used++;
	return item;
}

void bs_gate_pool_give(struct bs_gate_pool *p, void *item)
{
	if (!item)
		return;
	bs_wipe(item, p->item);
	memcpy(item, &p->free, sizeof(p->free));
	p->free = item;
	p->used--;
}
