/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pairing.h"

#include <string.h>

/* Start of the names of clients' own keys; the rest is the number of the pairing secret. */
static const uint8_t user_prefix[BS_KEY_ID_LEN - BS_PAIR_ID_LEN] = { 'b', 's', '-', 'u',
								     's', 'e', 'r', '-' };
static const uint8_t salt[] = { 'b', 'a', 's', 'e', 's', 't', 'a', 't', 'i', 'o',
				'n', ' ', 'p', 'a', 'i', 'r', 'i', 'n', 'g' };
static const uint8_t local_label[] = { 'l', 'o', 'c', 'a', 'l' };

const uint8_t bs_pairing_key_id[BS_KEY_ID_LEN] = { 'b', 's', '-', 'p', 'a', 'i', 'r', 'i',
						   'n', 'g', '-', 'k', 'e', 'y', '-', '1' };

/* People group what they print, and type it as they like. */
static size_t squeeze(struct bs_slice text, uint8_t out[BS_PAIR_TEXT_MAX])
{
	size_t n = 0;
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (text.ptr[i] == ' ' || text.ptr[i] == '-')
			continue;
		if (n == BS_PAIR_TEXT_MAX)
			return 0;
		out[n++] = text.ptr[i];
	}
	return n;
}

/* RFC 8018, section 5.2, one block. */
static int pbkdf2(const struct bs_crypto *c, const uint8_t *key, size_t key_len,
		  struct bs_slice device, uint8_t out[BS_SHA256_LEN])
{
	static const uint8_t block[4] = { 0, 0, 0, 1 };
	struct bs_slice msg[3];
	uint8_t u[BS_SHA256_LEN];
	unsigned round;
	size_t k;
	int err;

	msg[0].ptr = salt;
	msg[0].len = sizeof(salt);
	msg[1] = device;
	msg[2].ptr = block;
	msg[2].len = sizeof(block);
	err = c->hmac_sha256(c->ctx, key, key_len, msg, 3, u);
	if (!err)
		memcpy(out, u, sizeof(u));
	msg[0].ptr = u;
	msg[0].len = sizeof(u);
	for (round = 1; !err && round < BS_PAIR_ROUNDS; round++) {
		err = c->hmac_sha256(c->ctx, key, key_len, msg, 1, u);
		for (k = 0; k < sizeof(u); k++)
			out[k] ^= u[k];
	}
	bs_wipe(u, sizeof(u));
	return err;
}

int bs_pairing_psk(const struct bs_crypto *c, struct bs_slice device, struct bs_slice text,
		   uint8_t psk[BS_PSK_LEN])
{
	uint8_t key[BS_PAIR_TEXT_MAX];
	uint8_t out[BS_SHA256_LEN] = { 0 };
	size_t len = squeeze(text, key);
	int err = len ? pbkdf2(c, key, len, device, out) : BS_EINVAL;

	if (!err)
		memcpy(psk, out, BS_PSK_LEN);
	bs_wipe(out, sizeof(out));
	bs_wipe(key, sizeof(key));
	return err;
}

void bs_pairing_user_key_id(const uint8_t id[BS_PAIR_ID_LEN], uint8_t key_id[BS_KEY_ID_LEN])
{
	memcpy(key_id, user_prefix, sizeof(user_prefix));
	memcpy(key_id + sizeof(user_prefix), id, BS_PAIR_ID_LEN);
}

bool bs_pairing_user_id(const uint8_t key_id[BS_KEY_ID_LEN], uint8_t id[BS_PAIR_ID_LEN])
{
	if (memcmp(key_id, user_prefix, sizeof(user_prefix)) != 0)
		return false;
	memcpy(id, key_id + sizeof(user_prefix), BS_PAIR_ID_LEN);
	return true;
}

int bs_pairing_user_psk(const struct bs_crypto *c, struct bs_slice device,
			const uint8_t secret[BS_PAIR_SECRET_LEN], uint8_t psk[BS_PSK_LEN])
{
	uint8_t out[BS_SHA256_LEN];
	struct bs_slice msg[2];
	int err;

	msg[0].ptr = local_label;
	msg[0].len = sizeof(local_label);
	msg[1] = device;
	err = c->hmac_sha256(c->ctx, secret, BS_PAIR_SECRET_LEN, msg, 2, out);
	if (!err)
		memcpy(psk, out, BS_PSK_LEN);
	bs_wipe(out, sizeof(out));
	return err;
}
