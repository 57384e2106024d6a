/* SPDX-License-Identifier: Apache-2.0 */
#include "server/intern.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS (2 * BS_INTERN_MAX)

/* The slot of a text, empty when it is not known. */
static uint32_t find(const struct bs_intern *t, const char text[BS_INTERN_TEXT_MAX])
{
	uint32_t i = (uint32_t)bs_siphash(t->key, text, BS_INTERN_TEXT_MAX) % SLOTS;

	while (t->slot[i] && memcmp(t->text[t->slot[i]], text, BS_INTERN_TEXT_MAX) != 0)
		i = (i + 1) % SLOTS;
	return i;
}

/* A file may hold anything, so the texts are made to end. */
static void find_all(struct bs_intern *t)
{
	uint32_t i;

	memset(t->text[0], 0, sizeof(t->text[0]));
	for (i = 1; i < t->n; i++) {
		uint32_t slot;

		t->text[i][BS_INTERN_TEXT_MAX - 1] = '\0';
		slot = find(t, t->text[i]);
		if (!t->slot[slot])
			t->slot[slot] = (uint16_t)i;
	}
}

int bs_intern_init(struct bs_intern *t, struct bs_state_shard *shard,
		   const uint8_t key[BS_SIPHASH_KEY_LEN])
{
	memset(t, 0, sizeof(*t));
	t->slot = calloc(SLOTS, sizeof(*t->slot));
	if (!t->slot)
		return BS_ENOMEM;
	t->shard = shard;
	t->text = bs_state_records(shard, BS_STATE_TEXT);
	memcpy(t->key, key, sizeof(t->key));
	if (bs_state_use(shard, BS_STATE_TEXT, 1) != BS_OK) {
		bs_intern_fini(t);
		return BS_EFULL;
	}
	t->n = bs_state_used(shard, BS_STATE_TEXT);
	find_all(t);
	return BS_OK;
}

void bs_intern_fini(struct bs_intern *t)
{
	if (!t)
		return;
	free(t->slot);
	memset(t, 0, sizeof(*t));
}

uint32_t bs_intern_put(struct bs_intern *t, const void *text, size_t len)
{
	char cut[BS_INTERN_TEXT_MAX] = { 0 };
	uint32_t i;

	if (len > sizeof(cut) - 1)
		len = sizeof(cut) - 1;
	if (len == 0)
		return 0;
	memcpy(cut, text, len);
	i = find(t, cut);
	if (t->slot[i])
		return t->slot[i];
	if (t->n == BS_INTERN_MAX || bs_state_use(t->shard, BS_STATE_TEXT, t->n + 1) != BS_OK)
		return 0;
	memcpy(t->text[t->n], cut, sizeof(cut));
	t->slot[i] = (uint16_t)t->n;
	return t->n++;
}

const char *bs_intern_get(const struct bs_intern *t, uint32_t i)
{
	return i < t->n ? t->text[i] : "";
}
