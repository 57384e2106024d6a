/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pool.h"

#include <string.h>

#include "server/pages.h"

int bs_pool_init(struct bs_pool *p, uint32_t cap, size_t len, size_t next_off)
{
	void *m;

	memset(p, 0, sizeof(*p));
	if (cap == 0 || cap >= BS_POOL_NONE / 2)
		return BS_EINVAL;
	m = bs_pages_map(cap * len);
	if (!m)
		return BS_ENOMEM;
	p->records = m;
	p->len = len;
	p->next_off = next_off;
	p->cap = cap;
	p->free = BS_POOL_NONE;
	return BS_OK;
}

void bs_pool_init_in(struct bs_pool *p, struct bs_state_shard *shard, enum bs_state_region region,
		     size_t len, size_t next_off)
{
	memset(p, 0, sizeof(*p));
	p->shard = shard;
	p->region = region;
	p->records = bs_state_records(shard, region);
	p->len = len;
	p->next_off = next_off;
	p->cap = bs_state_cap(shard, region);
	p->free = BS_POOL_NONE;
}

void bs_pool_fini(struct bs_pool *p)
{
	if (!p)
		return;
	if (p->records && !p->shard) {
		bs_wipe(p->records, p->used * p->len);
		bs_pages_unmap(p->records, p->cap * p->len);
	}
	memset(p, 0, sizeof(*p));
}

void *bs_pool_get(const struct bs_pool *p, uint32_t i)
{
	return p->records + i * p->len;
}

static uint32_t *link_of(const struct bs_pool *p, uint32_t i)
{
	return (uint32_t *)(void *)(p->records + i * p->len + p->next_off);
}

uint32_t bs_pool_take(struct bs_pool *p)
{
	uint32_t i = p->free;

	if (i != BS_POOL_NONE)
		p->free = *link_of(p, i);
	else if (p->used < p->cap &&
		 (!p->shard || bs_state_use(p->shard, p->region, p->used + 1) == BS_OK))
		i = p->used++;
	else
		return BS_POOL_NONE;
	memset(bs_pool_get(p, i), 0, p->len);
	p->n++;
	return i;
}

void bs_pool_give(struct bs_pool *p, uint32_t i)
{
	bs_wipe(bs_pool_get(p, i), p->len);
	*link_of(p, i) = p->free;
	p->free = i;
	p->n--;
}

void bs_pool_adopt(struct bs_pool *p, uint32_t used, const uint8_t *live)
{
	uint32_t i;

	p->used = used;
	p->n = used;
	p->free = BS_POOL_NONE;
	for (i = used; i-- > 0;) {
		if (!live[i])
			bs_pool_give(p, i);
	}
}
