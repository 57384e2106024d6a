/* SPDX-License-Identifier: Apache-2.0 */
#include "server/ids.h"

#include <string.h>

#include "server/pages.h"

enum {
	COUNT_MASK = 0xFF,
	TIME_SHIFT = 8,
	TIME_MASK = 0xFFFFFF,
	ALARM_EVERY = 16,
};

int bs_ids_init(struct bs_ids *t, uint32_t n)
{
	uint64_t cap = (uint64_t)n + n / 4 + 16;
	void *p;

	memset(t, 0, sizeof(*t));
	if (n == 0 || cap > UINT32_MAX / 2)
		return BS_EINVAL;
	p = bs_pages_map((size_t)cap * sizeof(*t->entry));
	if (!p)
		return BS_ENOMEM;
	t->entry = p;
	t->cap = (uint32_t)cap;
	t->limit = n;
	return BS_OK;
}

void bs_ids_fini(struct bs_ids *t)
{
	if (t && t->entry) {
		bs_pages_unmap(t->entry, bs_ids_bytes(t));
		memset(t, 0, sizeof(*t));
	}
}

size_t bs_ids_bytes(const struct bs_ids *t)
{
	return (size_t)t->cap * sizeof(*t->entry);
}

/* Numbers are counted up, so their low bits alone would put neighbours together. */
uint32_t bs_ids_hash(uint32_t number)
{
	uint32_t h = number * UINT32_C(0x9E3779B1);

	h ^= h >> 15;
	h *= UINT32_C(0x85EBCA77);
	return h ^ (h >> 13);
}

static uint32_t home(const struct bs_ids *t, uint32_t number)
{
	/* Not the bits that chose the worker: those are the same for all entries here. */
	uint32_t h = bs_ids_hash(number) * UINT32_C(0xC2B2AE3D);

	return (uint32_t)(((uint64_t)h * t->cap) >> 32);
}

void bs_ids_prefetch(const struct bs_ids *t, uint32_t number)
{
	__builtin_prefetch(&t->entry[home(t, number)], 1);
}

static uint32_t after(const struct bs_ids *t, uint32_t i)
{
	return i + 1 == t->cap ? 0 : i + 1;
}

static uint32_t find(const struct bs_ids *t, uint32_t number)
{
	uint32_t i = home(t, number);

	while (t->entry[i].number != 0 && t->entry[i].number != number)
		i = after(t, i);
	return i;
}

/* 24 bits of seconds: right for 194 days, and a claim that old is not quick in any case. */
static uint32_t age(const struct bs_id_entry *e, uint32_t now_s)
{
	return (now_s - (e->claim >> TIME_SHIFT)) & TIME_MASK;
}

int bs_ids_claim(struct bs_ids *t, uint32_t number, uint32_t nsi, uint32_t now_s, uint32_t age_s,
		 struct bs_id_claim *out)
{
	struct bs_id_entry *e = &t->entry[find(t, number)];
	uint32_t since_s = age_s < now_s ? now_s - age_s : 0;
	uint32_t count;

	memset(out, 0, sizeof(*out));
	if (e->number == 0) {
		if (t->n >= t->limit)
			return BS_EFULL;
		t->n++;
		e->number = number;
		e->nsi = nsi;
		e->claim = since_s << TIME_SHIFT;
		out->is_new = true;
		return BS_OK;
	}
	if (e->nsi == nsi)
		return BS_OK;
	if (age_s > age(e, now_s)) {
		out->old_nsi = nsi;
		return BS_OK;
	}
	out->old_nsi = e->nsi;
	count = e->claim & COUNT_MASK;
	count = age(e, now_s) < BS_IDS_QUICK_S ? count + 1 : 0;
	out->flapping = count == BS_IDS_FLAP ||
			(count > BS_IDS_FLAP && (count - BS_IDS_FLAP) % ALARM_EVERY == 0);
	if (count > COUNT_MASK)
		count = BS_IDS_FLAP + 1;
	e->nsi = nsi;
	e->claim = since_s << TIME_SHIFT | count;
	return BS_OK;
}

bool bs_ids_release(struct bs_ids *t, uint32_t number, uint32_t nsi)
{
	uint32_t hole = find(t, number);
	uint32_t i;

	if (t->entry[hole].number == 0 || t->entry[hole].nsi != nsi)
		return false;
	t->n--;
	for (i = after(t, hole); t->entry[i].number != 0; i = after(t, i)) {
		uint32_t h = home(t, t->entry[i].number);
		bool stays = hole < i ? (h > hole && h <= i) : (h > hole || h <= i);

		if (!stays) {
			t->entry[hole] = t->entry[i];
			hole = i;
		}
	}
	t->entry[hole].number = 0;
	return true;
}

uint32_t bs_ids_holder(const struct bs_ids *t, uint32_t number, uint32_t now_s, uint32_t *age_s)
{
	const struct bs_id_entry *e = &t->entry[find(t, number)];

	if (e->number == 0)
		return 0;
	*age_s = age(e, now_s);
	return e->nsi;
}
