/* SPDX-License-Identifier: Apache-2.0 */
#include "backoff.h"

#include "util/cursor.h"

void bsc__backoff_reset(struct bsc__backoff *b)
{
	b->span_ms = 0;
}

uint32_t bsc__backoff_next_ms(struct bsc__backoff *b, const struct bs_crypto *crypto)
{
	uint8_t r[4];
	uint32_t span = b->span_ms == 0 ? BSC__BACKOFF_FIRST_MS : b->span_ms;

	b->span_ms = span >= BSC__BACKOFF_LAST_MS / 2 ? BSC__BACKOFF_LAST_MS : span * 2;
	/* Without random numbers nothing else works either: the whole span is the safe choice. */
	if (crypto->random(crypto->ctx, r, sizeof r) != BS_OK)
		return span;
	return span / 2 + bs_get_u32(r) % (span / 2 + 1);
}
