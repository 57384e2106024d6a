/* SPDX-License-Identifier: Apache-2.0 */
#include "server/nsi_table.h"

#include <string.h>

#include "server/pages.h"

enum {
	KIND_SHIFT = 29,
	WORKER_SHIFT = 24,
	WORKER_VALUES = 256,
};

int bs_nsi_table_init(struct bs_nsi_table *t, uint32_t n)
{
	uint64_t cap = (uint64_t)n + n / 4 + 16;
	void *p;

	memset(t, 0, sizeof(*t));
	if (n == 0 || cap > BS_NSI_INDEX_MAX)
		return BS_EINVAL;
	p = bs_pages_map((size_t)cap * sizeof(*t->entry));
	if (!p)
		return BS_ENOMEM;
	t->entry = p;
	t->cap = (uint32_t)cap;
	t->limit = n;
	return BS_OK;
}

void bs_nsi_table_fini(struct bs_nsi_table *t)
{
	if (t && t->entry) {
		bs_pages_unmap(t->entry, bs_nsi_table_bytes(t));
		memset(t, 0, sizeof(*t));
	}
}

size_t bs_nsi_table_bytes(const struct bs_nsi_table *t)
{
	return (size_t)t->cap * sizeof(*t->entry);
}

static uint32_t home(const struct bs_nsi_table *t, uint32_t nsi)
{
	uint32_t h = nsi * UINT32_C(0x9E3779B1);

	return (uint32_t)(((uint64_t)h * t->cap) >> 32);
}

static uint32_t after(const struct bs_nsi_table *t, uint32_t i)
{
	return i + 1 == t->cap ? 0 : i + 1;
}

/* Where the number is, or the empty entry where it would go. */
static uint32_t find(const struct bs_nsi_table *t, uint32_t nsi)
{
	uint32_t i = home(t, nsi);

	while (t->entry[i].nsi != 0 && t->entry[i].nsi != nsi)
		i = after(t, i);
	return i;
}

void bs_nsi_table_prefetch(const struct bs_nsi_table *t, uint32_t nsi)
{
	__builtin_prefetch(&t->entry[home(t, nsi)]);
}

static uint32_t pack(enum bs_nsi_kind kind, uint32_t index)
{
	return (uint32_t)kind << KIND_SHIFT | (index & BS_NSI_INDEX_MAX);
}

enum bs_nsi_kind bs_nsi_table_get(const struct bs_nsi_table *t, uint32_t nsi, uint32_t *index)
{
	const struct bs_nsi_entry *e;

	if (nsi == 0)
		return BS_NSI_NONE;
	e = &t->entry[find(t, nsi)];
	if (e->nsi == 0)
		return BS_NSI_NONE;
	*index = e->value & BS_NSI_INDEX_MAX;
	return (enum bs_nsi_kind)(e->value >> KIND_SHIFT);
}

int bs_nsi_table_put(struct bs_nsi_table *t, uint32_t nsi, enum bs_nsi_kind kind, uint32_t index)
{
	struct bs_nsi_entry *e;

	if (nsi == 0 || index > BS_NSI_INDEX_MAX)
		return BS_EINVAL;
	e = &t->entry[find(t, nsi)];
	if (e->nsi != 0)
		return BS_EEXIST;
	if (t->n >= t->limit)
		return BS_EFULL;
	e->nsi = nsi;
	e->value = pack(kind, index);
	t->n++;
	return BS_OK;
}

void bs_nsi_table_change(struct bs_nsi_table *t, uint32_t nsi, enum bs_nsi_kind kind,
			 uint32_t index)
{
	struct bs_nsi_entry *e = &t->entry[find(t, nsi)];

	if (e->nsi != 0)
		e->value = pack(kind, index);
}

void bs_nsi_table_remove(struct bs_nsi_table *t, uint32_t nsi)
{
	uint32_t hole = nsi ? find(t, nsi) : 0;
	uint32_t i;

	if (nsi == 0 || t->entry[hole].nsi == 0)
		return;
	t->n--;
	/* Move back what would otherwise be cut off from its home by the hole. */
	for (i = after(t, hole); t->entry[i].nsi != 0; i = after(t, i)) {
		uint32_t h = home(t, t->entry[i].nsi);
		bool stays = hole < i ? (h > hole && h <= i) : (h > hole || h <= i);

		if (!stays) {
			t->entry[hole] = t->entry[i];
			hole = i;
		}
	}
	t->entry[hole].nsi = 0;
}

uint32_t bs_nsi_make(uint32_t random, unsigned worker, unsigned n_workers)
{
	unsigned top = random >> WORKER_SHIFT;
	unsigned choices = (WORKER_VALUES - worker + n_workers - 1) / n_workers;
	uint32_t nsi;

	top = worker + top % choices * n_workers;
	nsi = (uint32_t)top << WORKER_SHIFT | (random & 0xFFFFFF);
	return nsi < BS_NSI_MIN ? 0 : nsi;
}
