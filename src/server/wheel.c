/* SPDX-License-Identifier: Apache-2.0 */
#include "server/wheel.h"

/* Marks a prev link that names a slot. */
#define SLOT_BIT UINT32_C(0x80000000)

enum {
	L1_SHIFT = 11, /* log2 of BS_WHEEL_L0 */
	L2_SHIFT = 19,
	L1_SLOT = BS_WHEEL_L0 * BS_WHEEL_WAYS,
	L2_SLOT = L1_SLOT + BS_WHEEL_L1,
	SLOTS = L2_SLOT + BS_WHEEL_L2,
};

static struct bs_wheel_node *node(const struct bs_wheel *w, uint32_t id)
{
	return (struct bs_wheel_node *)(void *)(w->nodes + (size_t)id * w->stride);
}

void bs_wheel_init(struct bs_wheel *w, void *nodes, size_t stride, uint32_t now)
{
	unsigned i;

	w->nodes = nodes;
	w->stride = stride;
	w->tick = now;
	w->n = 0;
	w->way = 0;
	for (i = 0; i < SLOTS; i++)
		w->slot[i] = BS_WHEEL_NONE;
}

void bs_wheel_node_init(struct bs_wheel *w, uint32_t id)
{
	node(w, id)->prev = BS_WHEEL_NONE;
	node(w, id)->next = BS_WHEEL_NONE;
}

bool bs_wheel_is_set(const struct bs_wheel *w, uint32_t id)
{
	return node(w, id)->prev != BS_WHEEL_NONE;
}

/* The list of level 0 for a record that is due at a tick. */
static uint32_t slot_l0(uint32_t id, uint32_t due)
{
	return due % BS_WHEEL_L0 * BS_WHEEL_WAYS + id % BS_WHEEL_WAYS;
}

/* Which slot a record belongs to, seen from now. */
static uint32_t slot_of(const struct bs_wheel *w, uint32_t id, uint32_t due)
{
	uint32_t ahead = due - w->tick;

	if (ahead < BS_WHEEL_L0)
		return slot_l0(id, due);
	/* A slot of a higher level is emptied when its span begins, so the distance is counted in
	 * whole spans. */
	if ((due >> L1_SHIFT) - (w->tick >> L1_SHIFT) < BS_WHEEL_L1)
		return L1_SLOT + (due >> L1_SHIFT) % BS_WHEEL_L1;
	return L2_SLOT + (due >> L2_SHIFT) % BS_WHEEL_L2;
}

static void link_node(struct bs_wheel *w, uint32_t id)
{
	struct bs_wheel_node *n = node(w, id);
	uint32_t s = slot_of(w, id, n->due);

	n->next = w->slot[s];
	n->prev = SLOT_BIT | s;
	if (n->next != BS_WHEEL_NONE)
		node(w, n->next)->prev = id;
	w->slot[s] = id;
}

/* The next one learns that it is the first only when that matters (see is_first): writing to a
 * record that is not at hand yet would hold up every store behind it. */
static void take_first(struct bs_wheel *w, uint32_t slot, uint32_t id)
{
	struct bs_wheel_node *n = node(w, id);

	if (n->next != BS_WHEEL_NONE)
		__builtin_prefetch(node(w, n->next), 1);
	w->slot[slot] = n->next;
	n->prev = BS_WHEEL_NONE;
	n->next = BS_WHEEL_NONE;
	w->n--;
}

/* Whether a record is the first of its slot, and which that is.  The link back is wrong where the
 * first one was taken, which happens on level 0 only: there the tick names the slot. */
static bool is_first(const struct bs_wheel *w, uint32_t id, uint32_t *slot)
{
	const struct bs_wheel_node *n = node(w, id);

	*slot = n->prev & SLOT_BIT ? n->prev & ~SLOT_BIT : slot_l0(id, n->due);
	return w->slot[*slot] == id;
}

void bs_wheel_clear(struct bs_wheel *w, uint32_t id)
{
	struct bs_wheel_node *n = node(w, id);
	uint32_t slot;

	if (n->prev == BS_WHEEL_NONE)
		return;
	if (is_first(w, id, &slot))
		w->slot[slot] = n->next;
	else
		node(w, n->prev)->next = n->next;
	if (n->next != BS_WHEEL_NONE)
		node(w, n->next)->prev = n->prev;
	n->prev = BS_WHEEL_NONE;
	n->next = BS_WHEEL_NONE;
	w->n--;
}

void bs_wheel_prefetch(const struct bs_wheel *w, uint32_t id)
{
	const struct bs_wheel_node *n = node(w, id);

	/* Its neighbours are written when it goes. */
	if (n->prev < SLOT_BIT)
		__builtin_prefetch(node(w, n->prev), 1);
	if (n->next != BS_WHEEL_NONE)
		__builtin_prefetch(node(w, n->next), 1);
}

void bs_wheel_set(struct bs_wheel *w, uint32_t id, uint32_t due)
{
	struct bs_wheel_node *n = node(w, id);
	const uint32_t far = UINT32_C(255) << L2_SHIFT;

	bs_wheel_clear(w, id);
	if ((int32_t)(due - w->tick) < 0)
		due = w->tick;
	if (due - w->tick > far)
		due = w->tick + far;
	n->due = due;
	link_node(w, id);
	w->n++;
}

/* Spread a slot of a higher level over the levels below. */
static void cascade(struct bs_wheel *w, uint32_t s)
{
	uint32_t id = w->slot[s];

	w->slot[s] = BS_WHEEL_NONE;
	while (id != BS_WHEEL_NONE) {
		uint32_t next = node(w, id)->next;

		link_node(w, id);
		id = next;
	}
}

static void step(struct bs_wheel *w)
{
	w->tick++;
	if (w->tick % BS_WHEEL_L0 != 0)
		return;
	if ((w->tick >> L1_SHIFT) % BS_WHEEL_L1 == 0)
		cascade(w, L2_SLOT + (w->tick >> L2_SHIFT) % BS_WHEEL_L2);
	cascade(w, L1_SLOT + (w->tick >> L1_SHIFT) % BS_WHEEL_L1);
}

/* From the lists of the present tick in turn. */
static uint32_t take_due(struct bs_wheel *w)
{
	unsigned i;

	for (i = 0; i < BS_WHEEL_WAYS; i++) {
		uint32_t slot = slot_l0(w->way++, w->tick);
		uint32_t id = w->slot[slot];

		if (id != BS_WHEEL_NONE) {
			take_first(w, slot, id);
			return id;
		}
	}
	return BS_WHEEL_NONE;
}

uint32_t bs_wheel_next(struct bs_wheel *w, uint32_t now)
{
	while ((int32_t)(now - w->tick) >= 0) {
		uint32_t id = take_due(w);

		if (id != BS_WHEEL_NONE)
			return id;
		if (w->n == 0)
			w->tick = now;
		if (w->tick == now)
			break;
		step(w);
	}
	return BS_WHEEL_NONE;
}
