/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/suite.h"

#include <string.h>

#include "basestation/wire.h"
#include "util/cursor.h"

/* The body: IV, ciphertext, MAC (basestation-wire(7), CRYPTO). */
enum {
	HEAD_LEN = BS__SUITE_HEAD_LEN,
	IV_LEN = BS_AES_LEN,
	MAC_LEN = 16
};

static size_t padded_len(size_t plain_len)
{
	return plain_len - plain_len % BS_AES_LEN + BS_AES_LEN;
}

static size_t payload_len(size_t plain_len)
{
	return HEAD_LEN + IV_LEN + padded_len(plain_len) + MAC_LEN;
}

static int mac(const struct bs_crypto *c, const uint8_t *key, const uint8_t *pkt, size_t len,
	       uint8_t *out)
{
	struct bs_slice msg;

	msg.ptr = pkt;
	msg.len = len;
	return c->hmac_sha256(c->ctx, key, BS_SHA256_LEN, &msg, 1, out);
}

static bs_ssize seal(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
		     struct bs_writer *w, uint8_t payload_flags, struct bs_slice plain)
{
	size_t padded = padded_len(plain.len);
	size_t pad = padded - plain.len;
	uint8_t sum[BS_SHA256_LEN];
	uint8_t *p;
	int err;

	if (plain.len > BS_SUITE_PLAIN_MAX)
		return BS_ETOOBIG;
	p = bs__suite_start(w, BS_SUITE_AES_CBC, payload_flags, IV_LEN + padded + MAC_LEN);
	if (!p)
		return BS_ETOOBIG;
	if (plain.len && plain.ptr != p + IV_LEN)
		memmove(p + IV_LEN, plain.ptr, plain.len);
	memset(p + IV_LEN + plain.len, (int)pad, pad);
	err = c->random(c->ctx, p, IV_LEN);
	if (!err)
		err = c->aes128_cbc_encrypt(c->ctx, bs_key_aes_tx(k, self), p, p + IV_LEN, padded);
	if (!err)
		err = mac(c, bs_key_mac_tx(k, self), w->buf, w->len - MAC_LEN, sum);
	if (err) {
		/* What was meant to be secret must not stay in a buffer that looks finished. */
		bs_wipe(p, IV_LEN + padded);
		w->bad = true;
		return err;
	}
	memcpy(w->buf + w->len - MAC_LEN, sum, MAC_LEN);
	return (bs_ssize)w->len;
}

static int verify(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
		  const uint8_t *pkt, size_t len, size_t off)
{
	uint8_t sum[BS_SHA256_LEN];
	int err = bs__suite_check(pkt, len, off, BS_SUITE_AES_CBC, MAC_LEN);

	if (err)
		return err;
	err = mac(c, bs_key_mac_rx(k, self), pkt, len - MAC_LEN, sum);
	if (!err && !bs_equal_secret(sum, pkt + len - MAC_LEN, MAC_LEN))
		err = BS_EMAC;
	bs_wipe(sum, sizeof(sum));
	return err;
}

static int open_in_place(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
			 uint8_t *pkt, size_t len, size_t off, struct bs_slice *plain)
{
	int err = verify(c, k, self, pkt, len, off);
	uint8_t *p = pkt + off + HEAD_LEN;
	size_t n;
	size_t pad;
	size_t i;
	uint8_t diff = 0;

	if (err)
		return err;
	n = len - off - HEAD_LEN - MAC_LEN;
	if (n < IV_LEN + BS_AES_LEN || n % BS_AES_LEN)
		return BS_EPADDING;
	n -= IV_LEN;
	err = c->aes128_cbc_decrypt(c->ctx, bs_key_aes_rx(k, self), p, p + IV_LEN, n);
	if (err)
		return err;
	p += IV_LEN;
	pad = p[n - 1];
	if (pad < 1 || pad > BS_AES_LEN)
		return BS_EPADDING;
	for (i = n - pad; i < n; i++)
		diff |= (uint8_t)(p[i] ^ pad);
	if (diff)
		return BS_EPADDING;
	plain->ptr = p;
	plain->len = n - pad;
	return BS_OK;
}

const struct bs_suite bs_suite_aes_cbc = {
	BS_SUITE_AES_CBC, HEAD_LEN + IV_LEN, payload_len, seal, open_in_place, verify,
};
