/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_legacy.h"

#include <string.h>

static uint32_t sum_bytes(uint32_t sum, const uint8_t *buf, size_t len)
{
	while (len--)
		sum += *buf++;
	return sum;
}

/* Filler, one zero byte, then the number without leading zero bytes; nothing of it for 0. */
static void put(uint8_t *out, uint8_t filler, uint32_t sum)
{
	uint8_t i = BS_VERIFY_LEN;

	memset(out, filler, BS_VERIFY_LEN);
	while (sum) {
		out[--i] = (uint8_t)sum;
		sum >>= 8;
	}
	out[--i] = 0;
}

static bool check(const uint8_t *in, uint8_t filler, uint32_t sum)
{
	uint8_t want[BS_VERIFY_LEN];

	put(want, filler, sum);
	return memcmp(in, want, sizeof(want)) == 0;
}

const struct bs_legacy_ops bs_legacy_attach = { &bs_suite_null, sum_bytes, put, check };
