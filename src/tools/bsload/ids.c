/* SPDX-License-Identifier: Apache-2.0 */
#include "ids.h"

#include <inttypes.h>
#include <string.h>

#include "util/cursor.h"
#include "util/hex.h"
#include "util/siphash.h"
#include "wire/payload.h"

/* Digits of the number: one length up to ten million devices, so that records are comparable. */
#define ID_FORMAT "%s%07" PRIu32 ".%s"

bool ids_ok(const struct ids *ids, uint32_t n)
{
	char text[IDS_NAME_MAX + 1];
	const uint64_t last = (uint64_t)ids->first + (n ? n - 1 : 0);
	int len;

	if (last > UINT32_MAX)
		return false;
	len = snprintf(text, sizeof(text), ID_FORMAT, ids->prefix, (uint32_t)last, ids->domain);
	return len > 0 && len < IDS_NAME_MAX && bs_device_id_ok((const uint8_t *)text, (size_t)len);
}

size_t ids_name(const struct ids *ids, uint32_t i, char out[static IDS_NAME_MAX])
{
	int len = snprintf(out, IDS_NAME_MAX, ID_FORMAT, ids->prefix, ids->first + i, ids->domain);

	return len < 0 ? 0 : len < IDS_NAME_MAX ? (size_t)len : IDS_NAME_MAX - 1;
}

void ids_secret(const struct ids *ids, uint32_t i, uint8_t out[static BS_PSK_LEN])
{
	uint8_t key[BS_SIPHASH_KEY_LEN] = { 0 };
	uint8_t number[5];

	bs_put_u64(key, ids->seed);
	bs_put_u32(number, ids->first + i);
	for (uint8_t half = 0; half < 2; half++) {
		number[4] = half;
		bs_put_u64(out + 8 * half, bs_siphash(key, number, sizeof(number)));
	}
}

int ids_print(const struct ids *ids, uint32_t n, FILE *to)
{
	char name[IDS_NAME_MAX];
	char hex[BS_HEX_LEN(BS_PSK_LEN)];
	uint8_t secret[BS_PSK_LEN];

	if (fputs("id,secret\n", to) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		(void)ids_name(ids, i, name);
		ids_secret(ids, i, secret);
		bs_hex_encode(secret, sizeof(secret), hex);
		if (fprintf(to, "%s,%s\n", name, hex) < 0)
			return -1;
	}
	return fflush(to) == 0 ? 0 : -1;
}
