/* SPDX-License-Identifier: Apache-2.0 */
#include "server/sketch.h"

enum {
	HOUR_S = 3600,
	TAG_SHIFT = 48,
};

static uint16_t tag_of(uint64_t hash)
{
	uint16_t tag = (uint16_t)(hash >> TAG_SHIFT);

	return tag ? tag : 1;
}

static uint16_t age(uint16_t hour, uint32_t now_s)
{
	return (uint16_t)((uint16_t)(now_s / HOUR_S) - hour);
}

/* The way of a set that a tag has, or the empty or oldest one that it shall have. */
static uint32_t pick(const struct bs_sketch *s, uint32_t set, uint16_t tag, uint32_t now_s)
{
	uint32_t best = 0;
	uint32_t i;

	for (i = 0; i < BS_SKETCH_WAYS; i++) {
		if (s->way[set][i].tag == tag)
			return i;
		if (s->way[set][best].tag == 0)
			continue;
		if (s->way[set][i].tag == 0 ||
		    age(s->way[set][i].hour, now_s) > age(s->way[set][best].hour, now_s))
			best = i;
	}
	return best;
}

bool bs_sketch_add(struct bs_sketch *s, uint64_t hash, uint32_t now_s)
{
	uint32_t set = (uint32_t)hash % BS_SKETCH_SETS;
	uint16_t tag = tag_of(hash);
	uint32_t i = pick(s, set, tag, now_s);
	bool fresh =
		s->way[set][i].tag != tag || age(s->way[set][i].hour, now_s) >= BS_SKETCH_HOURS;

	s->way[set][i].tag = tag;
	s->way[set][i].hour = (uint16_t)(now_s / HOUR_S);
	return fresh;
}

void bs_sketch_merge(struct bs_sketch *s, const struct bs_sketch *from, uint32_t now_s)
{
	uint32_t set;
	uint32_t k;

	for (set = 0; set < BS_SKETCH_SETS; set++) {
		for (k = 0; k < BS_SKETCH_WAYS; k++) {
			uint16_t tag = from->way[set][k].tag;
			uint16_t hour = from->way[set][k].hour;
			uint32_t i = pick(s, set, tag, now_s);
			bool is_free = s->way[set][i].tag == 0;

			if (tag != 0 &&
			    (is_free || age(hour, now_s) < age(s->way[set][i].hour, now_s))) {
				s->way[set][i].tag = tag;
				s->way[set][i].hour = hour;
			}
		}
	}
}

bool bs_sketch_has(const struct bs_sketch *s, uint64_t hash, uint32_t now_s)
{
	uint32_t set = (uint32_t)hash % BS_SKETCH_SETS;
	uint16_t tag = tag_of(hash);
	uint32_t i;

	for (i = 0; i < BS_SKETCH_WAYS; i++) {
		if (s->way[set][i].tag == tag)
			return age(s->way[set][i].hour, now_s) < BS_SKETCH_HOURS;
	}
	return false;
}
