/* SPDX-License-Identifier: Apache-2.0 */
#include "server/slab.h"

#include <string.h>
#include <sys/mman.h>

static void *map(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, size_t len)
{
	if (p)
		munmap(p, len);
}

int bs_slab_init(struct bs_slab *s, uint32_t cap)
{
	memset(s, 0, sizeof(*s));
	if (cap == 0 || cap >= BS_SLAB_NONE / 2)
		return BS_EINVAL;
	s->cap = cap;
	s->free = BS_SLAB_NONE;
	s->hot = map(cap * sizeof(*s->hot));
	s->cold = map(cap * sizeof(*s->cold));
	if (!s->hot || !s->cold) {
		bs_slab_fini(s);
		return BS_ENOMEM;
	}
	return BS_OK;
}

void bs_slab_fini(struct bs_slab *s)
{
	if (!s)
		return;
	if (s->cold)
		bs_wipe(s->cold, s->used * sizeof(*s->cold));
	unmap(s->hot, s->cap * sizeof(*s->hot));
	unmap(s->cold, s->cap * sizeof(*s->cold));
	memset(s, 0, sizeof(*s));
}

uint32_t bs_slab_take(struct bs_slab *s)
{
	uint32_t i = s->free;

	if (i != BS_SLAB_NONE)
		s->free = s->hot[i].move;
	else if (s->used < s->cap)
		i = s->used++;
	else
		return BS_SLAB_NONE;
	memset(&s->hot[i], 0, sizeof(s->hot[i]));
	memset(&s->cold[i], 0, sizeof(s->cold[i]));
	s->hot[i].flags = BS_SLAB_USED;
	s->n++;
	return i;
}

void bs_slab_give(struct bs_slab *s, uint32_t i)
{
	bs_wipe(&s->cold[i], sizeof(s->cold[i]));
	memset(&s->hot[i], 0, sizeof(s->hot[i]));
	s->hot[i].move = s->free;
	s->free = i;
	s->n--;
}

uint32_t bs_slab_next(const struct bs_slab *s, uint32_t i)
{
	for (; i < s->used; i++) {
		if (s->hot[i].flags & BS_SLAB_USED)
			return i;
	}
	return BS_SLAB_NONE;
}

size_t bs_slab_bytes(const struct bs_slab *s)
{
	return s->cap * (sizeof(*s->hot) + sizeof(*s->cold));
}
