/* SPDX-License-Identifier: Apache-2.0 */
/* Suite GCM.  The nonce is never sent whole: four bytes of it come from the key block, so that both
 * directions and all connections differ even if a backend's counter went astray. */
#include "crypto/suite.h"

#include <string.h>

#include "basestation/wire.h"
#include "util/cursor.h"

/* The body: number, ciphertext, tag (basestation-wire(7), EXTENSIONS). */
enum {
	HEAD_LEN = BS__SUITE_HEAD_LEN,
	NUMBER_LEN = 8,
	TAG_LEN = BS_AEAD_TAG_LEN,
	SALT_LEN = BS_AEAD_NONCE_LEN - NUMBER_LEN,
	WORD_BITS = 64
};

static size_t payload_len(size_t plain_len)
{
	return HEAD_LEN + NUMBER_LEN + plain_len + TAG_LEN;
}

static void make_nonce(uint8_t *nonce, const uint8_t *mac_key, uint64_t number)
{
	memcpy(nonce, mac_key, SALT_LEN);
	bs_put_u64(nonce + SALT_LEN, number);
}

bs_ssize bs_suite_gcm_seal(const struct bs_crypto *c, const struct bs_key_block *k,
			   enum bs_role self, struct bs_suite_gcm_state *st, struct bs_writer *w,
			   uint8_t payload_flags, struct bs_slice plain)
{
	const struct bs_aead *gcm = bs_crypto_gcm(c);
	uint8_t nonce[BS_AEAD_NONCE_LEN];
	struct bs_slice ad;
	uint8_t *p;
	int err;

	if (!gcm)
		return BS_ECRYPTO;
	/* A second packet under one nonce would give both texts and the MAC key away. */
	if (st->sent == UINT64_MAX)
		return BS_ESTATE;
	if (plain.len > BS_SUITE_PLAIN_MAX)
		return BS_ETOOBIG;
	p = bs__suite_start(w, BS_SUITE_AES_GCM, payload_flags, NUMBER_LEN + plain.len + TAG_LEN);
	if (!p)
		return BS_ETOOBIG;
	/* Used up even if the backend fails now: it may have put something out already. */
	st->sent++;
	bs_put_u64(p, st->sent);
	p += NUMBER_LEN;
	if (plain.len && plain.ptr != p)
		memmove(p, plain.ptr, plain.len);
	make_nonce(nonce, bs_key_mac_tx(k, self), st->sent);
	ad.ptr = w->buf;
	ad.len = (size_t)(p - w->buf);
	err = gcm->seal(c->ctx, bs_key_aes_tx(k, self), nonce, ad, p, plain.len, p + plain.len);
	if (err) {
		bs_wipe(p, plain.len + TAG_LEN);
		w->bad = true;
		return err;
	}
	return (bs_ssize)w->len;
}

/* The bits are a ring, so that a new number moves nothing: its bit is the number modulo the
 * window, and those in between are cleared as the highest passes them. */
static bool is_new(const struct bs_suite_gcm_state *st, uint64_t n)
{
	if (n > st->high)
		return true;
	if (st->high - n >= BS_GCM_WINDOW)
		return false;
	return !(st->seen[n % BS_GCM_WINDOW / WORD_BITS] >> n % WORD_BITS & 1);
}

static void take(struct bs_suite_gcm_state *st, uint64_t n)
{
	if (n > st->high && n - st->high >= BS_GCM_WINDOW)
		memset(st->seen, 0, sizeof(st->seen));
	else
		for (uint64_t i = st->high + 1; i < n; i++)
			st->seen[i % BS_GCM_WINDOW / WORD_BITS] &= ~(UINT64_C(1) << i % WORD_BITS);
	st->seen[n % BS_GCM_WINDOW / WORD_BITS] |= UINT64_C(1) << n % WORD_BITS;
	if (n > st->high)
		st->high = n;
}

int bs_suite_gcm_open(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
		      struct bs_suite_gcm_state *st, uint8_t *pkt, size_t len, size_t off,
		      struct bs_slice *plain, bool *newest)
{
	const struct bs_aead *gcm = bs_crypto_gcm(c);
	int err = bs__suite_check(pkt, len, off, BS_SUITE_AES_GCM, NUMBER_LEN + TAG_LEN);
	uint8_t nonce[BS_AEAD_NONCE_LEN];
	uint8_t *p = pkt + off + HEAD_LEN;
	struct bs_slice ad;
	uint64_t number;
	size_t n;

	if (err)
		return err;
	if (!gcm)
		return BS_ECRYPTO;
	number = bs_get_u64(p);
	/* Before the tag is computed: a flood of repeats must cost little.  Number 0 never is. */
	if (number == 0 || !is_new(st, number))
		return BS_EREPLAY;
	p += NUMBER_LEN;
	n = len - off - HEAD_LEN - NUMBER_LEN - TAG_LEN;
	make_nonce(nonce, bs_key_mac_rx(k, self), number);
	ad.ptr = pkt;
	ad.len = (size_t)(p - pkt);
	err = gcm->open(c->ctx, bs_key_aes_rx(k, self), nonce, ad, p, n, p + n);
	if (err)
		return err;
	*newest = number > st->high;
	take(st, number);
	plain->ptr = p;
	plain->len = n;
	return BS_OK;
}

void bs_suite_gcm_forget(const struct bs_crypto *c, const struct bs_key_block *k)
{
	const struct bs_aead *gcm = bs_crypto_gcm(c);

	if (!gcm)
		return;
	gcm->forget(c->ctx, bs_key_aes_tx(k, BS_INITIATOR));
	gcm->forget(c->ctx, bs_key_aes_rx(k, BS_INITIATOR));
}

/* Callers without a state have no business with this suite. */
static bs_ssize no_seal(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
			struct bs_writer *w, uint8_t payload_flags, struct bs_slice plain)
{
	(void)c;
	(void)k;
	(void)self;
	(void)payload_flags;
	(void)plain;
	w->bad = true;
	return BS_ESUITE;
}

static int no_open(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
		   uint8_t *pkt, size_t len, size_t off, struct bs_slice *plain)
{
	(void)c;
	(void)k;
	(void)self;
	(void)pkt;
	(void)len;
	(void)off;
	(void)plain;
	return BS_ESUITE;
}

static int no_verify(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
		     const uint8_t *pkt, size_t len, size_t off)
{
	(void)c;
	(void)k;
	(void)self;
	(void)pkt;
	(void)len;
	(void)off;
	return BS_ESUITE;
}

const struct bs_suite bs_suite_aes_gcm = {
	BS_SUITE_AES_GCM, HEAD_LEN + NUMBER_LEN, payload_len, no_seal, no_open, no_verify,
};
