/* SPDX-License-Identifier: Apache-2.0 */
#include "server/slab.h"

#include <stddef.h>
#include <string.h>

void bs_slab_init(struct bs_slab *s, struct bs_state_shard *shard)
{
	memset(s, 0, sizeof(*s));
	s->shard = shard;
	s->hot = bs_state_records(shard, BS_STATE_HOT);
	s->cold = bs_state_records(shard, BS_STATE_COLD);
	s->cap = bs_state_cap(shard, BS_STATE_HOT);
	s->free = BS_SLAB_NONE;
}

uint32_t bs_slab_take(struct bs_slab *s)
{
	uint32_t i = s->free;

	if (i != BS_SLAB_NONE) {
		s->free = s->hot[i].move;
	} else if (s->used < s->cap &&
		   bs_state_use(s->shard, BS_STATE_COLD, s->used + 1) == BS_OK &&
		   bs_state_use(s->shard, BS_STATE_HOT, s->used + 1) == BS_OK) {
		i = s->used++;
	} else {
		return BS_SLAB_NONE;
	}
	memset(&s->hot[i], 0, sizeof(s->hot[i]));
	memset(&s->cold[i], 0, sizeof(s->cold[i]));
	s->n++;
	return i;
}

void bs_slab_publish(struct bs_slab *s, uint32_t i)
{
	s->cold[i].seal = bs_slab_seal(&s->hot[i], &s->cold[i]);
	bs_state_barrier();
	s->hot[i].flags |= BS_SLAB_USED;
}

/* Not valid any more before the first byte of it goes. */
static void end(struct bs_slab *s, uint32_t i)
{
	s->hot[i].flags = 0;
	bs_state_barrier();
	bs_wipe(&s->cold[i], sizeof(s->cold[i]));
	memset(&s->hot[i], 0, sizeof(s->hot[i]));
	s->hot[i].move = s->free;
	s->free = i;
}

void bs_slab_give(struct bs_slab *s, uint32_t i)
{
	end(s, i);
	s->n--;
}

void bs_slab_move(struct bs_slab *s, uint32_t i, const struct bs_endpoint *peer, uint8_t local)
{
	struct bs_state_note *note = bs_state_note(s->shard);

	note->index = i;
	note->peer = *peer;
	note->local = local;
	bs_state_barrier();
	note->armed = BS_STATE_NOTE_ARMED;
	bs_state_barrier();
	s->hot[i].peer = *peer;
	s->hot[i].local = local;
	bs_state_barrier();
	note->armed = 0;
	bs_state_barrier();
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

uint32_t bs_slab_seal(const struct bs_device_hot *hot, const struct bs_device_cold *cold)
{
	/* The rest of what never changes is the key, so that all of it counts. */
	uint32_t key[4] = { hot->nsi, hot->number, hot->flags & BS_SLAB_LEGACY, BS_STATE_VERSION };

	_Static_assert(sizeof(key) == BS_SIPHASH_KEY_LEN, "a key");
	return (uint32_t)bs_siphash((const uint8_t *)key, cold,
				    offsetof(struct bs_device_cold, seal));
}

void bs_slab_adopt(struct bs_slab *s, uint32_t used)
{
	uint32_t i;

	s->used = used;
	s->n = 0;
	s->free = BS_SLAB_NONE;
	/* From the end, so that the list begins with the lowest. */
	for (i = used; i-- > 0;) {
		if (s->hot[i].flags & BS_SLAB_USED)
			s->n++;
		else
			end(s, i);
	}
}
