/* SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"

#include <stdlib.h>

/* The lower bits are random; the upper ones name the server's worker. */
static uint32_t home(const struct numbers *t, uint32_t number)
{
	return number & t->mask;
}

int numbers_init(struct numbers *t, uint32_t n)
{
	uint64_t cap = 16;

	/* At most half full, so that a look-up is one or two steps. */
	while (cap < 2 * (uint64_t)n)
		cap *= 2;
	t->mask = (uint32_t)(cap - 1);
	t->at = calloc(cap, sizeof(*t->at));
	return t->at ? 0 : -1;
}

void numbers_fini(struct numbers *t)
{
	free(t->at);
	t->at = NULL;
}

static uint32_t find(const struct numbers *t, uint32_t number)
{
	uint32_t i = home(t, number);

	while (t->at[i].number != 0 && t->at[i].number != number)
		i = (i + 1) & t->mask;
	return i;
}

void numbers_put(struct numbers *t, uint32_t number, uint32_t device)
{
	uint32_t i = find(t, number);

	t->at[i].number = number;
	t->at[i].device = device;
}

uint32_t numbers_get(const struct numbers *t, uint32_t number)
{
	uint32_t i;

	if (number == 0)
		return NUMBERS_NONE;
	i = find(t, number);
	return t->at[i].number ? t->at[i].device : NUMBERS_NONE;
}

void numbers_drop(struct numbers *t, uint32_t number)
{
	uint32_t hole;
	uint32_t i;

	if (number == 0)
		return;
	hole = find(t, number);
	if (t->at[hole].number == 0)
		return;
	/* Close the gap: whatever follows and could have stood in it moves up. */
	for (i = (hole + 1) & t->mask; t->at[i].number; i = (i + 1) & t->mask) {
		const uint32_t want = home(t, t->at[i].number);

		if (((i - want) & t->mask) < ((i - hole) & t->mask))
			continue;
		t->at[hole] = t->at[i];
		hole = i;
	}
	t->at[hole].number = 0;
}
