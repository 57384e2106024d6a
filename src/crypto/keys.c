/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/keys.h"

#include <string.h>

#include "util/cursor.h"

/* Where the halves of a block lie (basestation-wire(7), KEYS). */
enum {
	AES_OFF = 0,
	MAC_OFF = 32
};

int bs_keys_derive(const struct bs_crypto *c, const struct bs_slice *pub, size_t n_pub,
		   const struct bs_slice *sec, size_t n_sec, struct bs_key_block *out)
{
	uint8_t pubs[BS_KEYS_PUB_MAX];
	uint8_t extract[BS_SHA256_LEN];
	struct bs_slice msg[3];
	size_t len = 0;
	size_t i;
	uint8_t step;
	int err;

	if (n_pub > BS_KEYS_PARTS_MAX || n_sec > BS_KEYS_PARTS_MAX)
		return BS_EINVAL;
	for (i = 0; i < n_pub; i++) {
		if (pub[i].len > sizeof(pubs) - len)
			return BS_EINVAL;
		if (pub[i].len)
			memcpy(pubs + len, pub[i].ptr, pub[i].len);
		len += pub[i].len;
	}

	err = c->hmac_sha256(c->ctx, pubs, len, sec, n_sec, extract);
	/* T1 | T2 | T3; each step reads the one before from where it was written. */
	for (step = 0; !err && step < 3; step++) {
		uint8_t counter = (uint8_t)(step + 1);
		uint8_t *t = out->b + (size_t)step * BS_SHA256_LEN;

		msg[0].ptr = step ? t - BS_SHA256_LEN : NULL;
		msg[0].len = step ? BS_SHA256_LEN : 0;
		msg[1].ptr = pubs;
		msg[1].len = len;
		msg[2].ptr = &counter;
		msg[2].len = 1;
		err = c->hmac_sha256(c->ctx, extract, sizeof(extract), msg, 3, t);
	}
	bs_wipe(extract, sizeof(extract));
	if (err)
		bs_wipe(out, sizeof(*out));
	return err;
}

int bs_keys_derive_a(const struct bs_crypto *c, struct bs_slice id, const uint8_t *psk,
		     struct bs_key_block *out)
{
	struct bs_slice sec;

	sec.ptr = psk;
	sec.len = BS_PSK_LEN;
	return bs_keys_derive(c, &id, 1, &sec, 1, out);
}

int bs_keys_derive_c(const struct bs_crypto *c, const uint8_t *nonce_s, const uint8_t *nonce_d,
		     const uint8_t *seed_s, const uint8_t *seed_d, struct bs_key_block *out)
{
	struct bs_slice pub[2];
	struct bs_slice sec[2];

	pub[0].ptr = nonce_s;
	pub[1].ptr = nonce_d;
	sec[0].ptr = seed_s;
	sec[1].ptr = seed_d;
	pub[0].len = pub[1].len = sec[0].len = sec[1].len = BS_NONCE_LEN;
	return bs_keys_derive(c, pub, 2, sec, 2, out);
}

int bs_keys_derive_pair(const struct bs_crypto *c, const struct bs_key_block *d,
			const uint8_t *secret, uint32_t nsi, const uint8_t *attempt,
			struct bs_key_block *out)
{
	static const uint8_t label[] = { 'p', 'a', 'i', 'r' };
	struct bs_slice pub[3];
	struct bs_slice sec[2];
	uint8_t number[4];

	bs_put_u32(number, nsi);
	pub[0].ptr = label;
	pub[0].len = sizeof(label);
	pub[1].ptr = number;
	pub[1].len = sizeof(number);
	pub[2].ptr = attempt;
	pub[2].len = BS_ATTEMPT_LEN;
	sec[0].ptr = d->b;
	sec[0].len = sizeof(d->b);
	sec[1].ptr = secret;
	sec[1].len = BS_PAIR_SECRET_LEN;
	/* All of d goes into the first step, before anything is written. */
	return bs_keys_derive(c, pub, 3, sec, 2, out);
}

const uint8_t *bs_key_aes_tx(const struct bs_key_block *k, enum bs_role self)
{
	return k->b + AES_OFF + (self == BS_RESPONDER ? BS_AES_LEN : 0);
}

const uint8_t *bs_key_aes_rx(const struct bs_key_block *k, enum bs_role self)
{
	return k->b + AES_OFF + (self == BS_RESPONDER ? 0 : BS_AES_LEN);
}

const uint8_t *bs_key_mac_tx(const struct bs_key_block *k, enum bs_role self)
{
	return k->b + MAC_OFF + (self == BS_RESPONDER ? BS_SHA256_LEN : 0);
}

const uint8_t *bs_key_mac_rx(const struct bs_key_block *k, enum bs_role self)
{
	return k->b + MAC_OFF + (self == BS_RESPONDER ? 0 : BS_SHA256_LEN);
}
