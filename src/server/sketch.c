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

bool bs_sketch_add(struct bs_sketch *s, uint64_t hash, uint32_t now_s)
{
	uint32_t set = (uint32_t)hash % BS_SKETCH_SETS;
	uint16_t tag = tag_of(hash);
	uint32_t pick = 0;
	uint32_t i;

	for (i = 0; i < BS_SKETCH_WAYS; i++) {
		if (s->way[set][i].tag == tag) {
			bool fresh = age(s->way[set][i].hour, now_s) >= BS_SKETCH_HOURS;

			s->way[set][i].hour = (uint16_t)(now_s / HOUR_S);
			return fresh;
		}
		if (s->way[set][pick].tag == 0)
			continue;
		if (s->way[set][i].tag == 0 ||
		    age(s->way[set][i].hour, now_s) > age(s->way[set][pick].hour, now_s))
			pick = i;
	}
	s->way[set][pick].tag = tag;
	s->way[set][pick].hour = (uint16_t)(now_s / HOUR_S);
	return true;
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
