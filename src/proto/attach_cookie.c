/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_cookie.h"

#include <string.h>

#include "util/cursor.h"

/* Of a challenge's nonce: what it says, then so much of the PRF. */
enum {
	SAYS_LEN = 12,
	PRF_PART = BS_NONCE_LEN - SAYS_LEN,
	COOKIE_PARTS = 4,
	CHALLENGE_PARTS = 4,
};

int bs_cookie_make(const struct bs_crypto *c, const uint8_t *secret, uint64_t unix_s,
		   const struct bs_endpoint *peer, struct bs_slice id, uint8_t out[BS_COOKIE_LEN])
{
	uint8_t full[32];
	uint8_t epoch[4];
	const struct bs_slice part[COOKIE_PARTS] = {
		{ (const uint8_t *)"cookie", 6 },
		{ epoch, sizeof(epoch) },
		{ peer->ip, sizeof(peer->ip) },
		id,
	};
	int err;

	bs_put_u32(epoch, (uint32_t)(unix_s / BS_COOKIE_EPOCH_S));
	err = c->hmac_sha256(c->ctx, secret, BS_SERVER_SECRET_LEN, part, COOKIE_PARTS, full);
	if (!err)
		memcpy(out, full, BS_COOKIE_LEN);
	return err;
}

bool bs_cookie_ok(const struct bs_crypto *c, const uint8_t *secret, uint64_t unix_s,
		  const struct bs_endpoint *peer, struct bs_slice id, const uint8_t *cookie)
{
	uint8_t want[BS_COOKIE_LEN];

	if (bs_cookie_make(c, secret, unix_s, peer, id, want) != BS_OK)
		return false;
	if (bs_equal_secret(want, cookie, sizeof(want)))
		return true;
	return bs_cookie_make(c, secret, unix_s - BS_COOKIE_EPOCH_S, peer, id, want) == BS_OK &&
	       bs_equal_secret(want, cookie, sizeof(want));
}

/* What the nonce says: the low half of the time, for it is read within seconds. */
static void put_says(const struct bs_challenge *ch, uint8_t says[SAYS_LEN])
{
	bs_put_u32(says, (uint32_t)ch->unix_ms);
	bs_put_u32(says + 4, ch->offered);
	bs_put_u32(says + 8, ch->granted);
}

int bs_challenge_secrets(const struct bs_crypto *c, const uint8_t *secret,
			 const struct bs_challenge *ch, uint8_t nonce_s[BS_NONCE_LEN],
			 uint8_t seed_s[BS_NONCE_LEN])
{
	uint8_t full[32];
	uint8_t nums[8 + 4 + 4 + 4 + 4 + 2];
	struct bs_slice part[CHALLENGE_PARTS] = {
		{ (const uint8_t *)"challenge", 9 },
		{ nums, sizeof(nums) },
		{ ch->nonce_d, BS_NONCE_LEN },
		{ ch->peer->ip, sizeof(ch->peer->ip) },
	};
	int err;

	bs_put_u64(nums, ch->unix_ms);
	bs_put_u32(nums + 8, ch->offered);
	bs_put_u32(nums + 12, ch->granted);
	bs_put_u32(nums + 16, ch->nsi);
	bs_put_u32(nums + 20, ch->number);
	bs_put_u16(nums + 24, ch->peer->port);
	err = c->hmac_sha256(c->ctx, secret, BS_SERVER_SECRET_LEN, part, CHALLENGE_PARTS, full);
	if (!err) {
		put_says(ch, nonce_s);
		memcpy(nonce_s + SAYS_LEN, full, PRF_PART);
		part[0].ptr = (const uint8_t *)"seedbytes";
		err = c->hmac_sha256(c->ctx, secret, BS_SERVER_SECRET_LEN, part, CHALLENGE_PARTS,
				     seed_s);
	}
	return err;
}

bool bs_challenge_read(const uint8_t nonce_s[BS_NONCE_LEN], uint64_t now_ms, uint32_t max_ms,
		       struct bs_challenge *ch)
{
	uint32_t age = (uint32_t)now_ms - bs_get_u32(nonce_s);

	ch->unix_ms = now_ms - age;
	ch->offered = bs_get_u32(nonce_s + 4);
	ch->granted = bs_get_u32(nonce_s + 8);
	return age <= max_ms;
}
