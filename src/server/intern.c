/* SPDX-License-Identifier: Apache-2.0 */
#include "server/intern.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS (2 * BS_INTERN_MAX)

int bs_intern_init(struct bs_intern *t, const uint8_t key[BS_SIPHASH_KEY_LEN])
{
	memset(t, 0, sizeof(*t));
	t->text = calloc(BS_INTERN_MAX, sizeof(*t->text));
	t->slot = calloc(SLOTS, sizeof(*t->slot));
	if (!t->text || !t->slot) {
		bs_intern_fini(t);
		return BS_ENOMEM;
	}
	memcpy(t->key, key, sizeof(t->key));
	t->n = 1;
	return BS_OK;
}

void bs_intern_fini(struct bs_intern *t)
{
	if (!t)
		return;
	free(t->text);
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
	for (i = (uint32_t)bs_siphash(t->key, cut, sizeof(cut)) % SLOTS; t->slot[i];
	     i = (i + 1) % SLOTS) {
		if (memcmp(t->text[t->slot[i]], cut, sizeof(cut)) == 0)
			return t->slot[i];
	}
	if (t->n == BS_INTERN_MAX)
		return 0;
	memcpy(t->text[t->n], cut, sizeof(cut));
	t->slot[i] = (uint16_t)t->n;
	return t->n++;
}

const char *bs_intern_get(const struct bs_intern *t, uint32_t i)
{
	return i < t->n ? t->text[i] : "";
}
