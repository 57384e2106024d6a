/* SPDX-License-Identifier: Apache-2.0 */
#include "server/watch.h"

#include <string.h>

#include "server/ids.h"
#include "server/pages.h"

int bs_watch_init(struct bs_watch *t, uint32_t n)
{
	uint64_t cap = (uint64_t)n + n / 4 + 16;
	void *p;

	memset(t, 0, sizeof(*t));
	if (n == 0 || cap > UINT32_MAX / 2)
		return BS_EINVAL;
	p = bs_pages_map((size_t)cap * sizeof(*t->pair));
	if (!p)
		return BS_ENOMEM;
	t->pair = p;
	t->cap = (uint32_t)cap;
	t->limit = n;
	return BS_OK;
}

void bs_watch_fini(struct bs_watch *t)
{
	if (t && t->pair) {
		bs_pages_unmap(t->pair, t->cap * sizeof(*t->pair));
		memset(t, 0, sizeof(*t));
	}
}

static uint32_t home(const struct bs_watch *t, uint32_t number, uint32_t worker)
{
	uint32_t h = bs_ids_hash(number * 256 + worker) * UINT32_C(0xC2B2AE3D);

	return (uint32_t)(((uint64_t)h * t->cap) >> 32);
}

static uint32_t after(const struct bs_watch *t, uint32_t i)
{
	return i + 1 == t->cap ? 0 : i + 1;
}

static uint32_t find(const struct bs_watch *t, uint32_t number, uint32_t worker)
{
	uint32_t i = home(t, number, worker);

	while (t->pair[i].number != 0 &&
	       (t->pair[i].number != number || t->pair[i].worker != worker))
		i = after(t, i);
	return i;
}

int bs_watch_add(struct bs_watch *t, uint32_t number, uint32_t worker)
{
	struct bs_watch_pair *p = &t->pair[find(t, number, worker)];

	if (p->number != 0)
		return BS_OK;
	if (t->n >= t->limit)
		return BS_EFULL;
	p->number = number;
	p->worker = worker;
	t->n++;
	return BS_OK;
}

void bs_watch_remove(struct bs_watch *t, uint32_t number, uint32_t worker)
{
	uint32_t hole = find(t, number, worker);
	uint32_t i;

	if (t->pair[hole].number == 0)
		return;
	t->n--;
	for (i = after(t, hole); t->pair[i].number != 0; i = after(t, i)) {
		uint32_t h = home(t, t->pair[i].number, t->pair[i].worker);
		bool stays = hole < i ? (h > hole && h <= i) : (h > hole || h <= i);

		if (!stays) {
			t->pair[hole] = t->pair[i];
			hole = i;
		}
	}
	t->pair[hole].number = 0;
}

bool bs_watch_has(const struct bs_watch *t, uint32_t number, uint32_t worker)
{
	return t->pair[find(t, number, worker)].number != 0;
}
