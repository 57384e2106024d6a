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
	/* Four fifths full at most. */
	uint64_t cap = (uint64_t)n + n / 4 + 16;
	void *p;

	memset(t, 0, sizeof(*t));
	if (n == 0 || cap > BS_NSI_INDEX_MAX)
		return BS_EINVAL;
	p = bs_pages_map((size_t)cap * sizeof(struct bs_number));
	if (!p)
		return BS_ENOMEM;
	bs_numbers_init(&t->numbers, p, (uint32_t)cap, n);
	return BS_OK;
}

void bs_nsi_table_fini(struct bs_nsi_table *t)
{
	if (t && t->numbers.at) {
		bs_pages_unmap(t->numbers.at, bs_nsi_table_bytes(t));
		memset(t, 0, sizeof(*t));
	}
}

size_t bs_nsi_table_bytes(const struct bs_nsi_table *t)
{
	return (size_t)t->numbers.cap * sizeof(*t->numbers.at);
}

void bs_nsi_table_prefetch(const struct bs_nsi_table *t, uint32_t nsi)
{
	__builtin_prefetch(&t->numbers.at[bs_numbers_home(&t->numbers, nsi)]);
}

static uint32_t pack(enum bs_nsi_kind kind, uint32_t index)
{
	return (uint32_t)kind << KIND_SHIFT | (index & BS_NSI_INDEX_MAX);
}

enum bs_nsi_kind bs_nsi_table_get(const struct bs_nsi_table *t, uint32_t nsi, uint32_t *index)
{
	const struct bs_number *e = bs_numbers_find(&t->numbers, nsi);

	if (!e)
		return BS_NSI_NONE;
	*index = e->value & BS_NSI_INDEX_MAX;
	return (enum bs_nsi_kind)(e->value >> KIND_SHIFT);
}

int bs_nsi_table_put(struct bs_nsi_table *t, uint32_t nsi, enum bs_nsi_kind kind, uint32_t index)
{
	if (index > BS_NSI_INDEX_MAX)
		return BS_EINVAL;
	return bs_numbers_put(&t->numbers, nsi, pack(kind, index));
}

void bs_nsi_table_change(struct bs_nsi_table *t, uint32_t nsi, enum bs_nsi_kind kind,
			 uint32_t index)
{
	struct bs_number *e = bs_numbers_find(&t->numbers, nsi);

	if (e)
		e->value = pack(kind, index);
}

void bs_nsi_table_remove(struct bs_nsi_table *t, uint32_t nsi)
{
	bs_numbers_remove(&t->numbers, nsi);
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
