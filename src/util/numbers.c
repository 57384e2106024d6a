/* SPDX-License-Identifier: Apache-2.0 */
#include "util/numbers.h"

void bs_numbers_init(struct bs_numbers *t, struct bs_number *at, uint32_t cap, uint32_t limit)
{
	t->at = at;
	t->cap = cap;
	t->n = 0;
	t->limit = limit;
}

int bs_numbers_put(struct bs_numbers *t, uint32_t number, uint32_t value)
{
	struct bs_number *e;

	if (number == 0)
		return BS_EINVAL;
	e = bs_numbers_slot(t, number);
	if (e->number != 0)
		return BS_EEXIST;
	if (t->n >= t->limit)
		return BS_EFULL;
	e->number = number;
	e->value = value;
	t->n++;
	return BS_OK;
}

static uint32_t after(const struct bs_numbers *t, uint32_t i)
{
	return i + 1 == t->cap ? 0 : i + 1;
}

void bs_numbers_remove(struct bs_numbers *t, uint32_t number)
{
	const struct bs_number *e = bs_numbers_find(t, number);
	uint32_t hole;
	uint32_t i;

	if (!e)
		return;
	t->n--;
	hole = (uint32_t)(e - t->at);
	/* Move back what would otherwise be cut off from its home by the hole. */
	for (i = after(t, hole); t->at[i].number != 0; i = after(t, i)) {
		uint32_t h = bs_numbers_home(t, t->at[i].number);
		bool stays = hole < i ? (h > hole && h <= i) : (h > hole || h <= i);

		if (!stays) {
			t->at[hole] = t->at[i];
			hole = i;
		}
	}
	t->at[hole].number = 0;
}
