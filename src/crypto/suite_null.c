/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/suite.h"

#include <string.h>

#include "basestation/wire.h"
#include "util/cursor.h"

/* The body: text with padding, sum (basestation-wire(7), CRYPTO). */
enum {
	HEAD_LEN = BS__SUITE_HEAD_LEN,
	SUM_LEN = 2
};

static size_t padded_len(size_t plain_len)
{
	return plain_len - plain_len % 2 + 2;
}

static size_t payload_len(size_t plain_len)
{
	return HEAD_LEN + padded_len(plain_len) + SUM_LEN;
}

static uint16_t sum_of(const uint8_t *p, size_t len)
{
	uint16_t sum = 0;

	while (len--)
		sum = (uint16_t)(sum + *p++);
	return sum;
}

static bs_ssize seal(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
		     struct bs_writer *w, uint8_t payload_flags, struct bs_slice plain)
{
	size_t padded = padded_len(plain.len);
	size_t pad = padded - plain.len;
	uint8_t *p;

	(void)c;
	(void)k;
	(void)self;
	if (plain.len > BS_SUITE_PLAIN_MAX)
		return BS_ETOOBIG;
	p = bs__suite_start(w, BS_SUITE_NULL, payload_flags, padded + SUM_LEN);
	if (!p)
		return BS_ETOOBIG;
	if (plain.len && plain.ptr != p)
		memmove(p, plain.ptr, plain.len);
	memset(p + plain.len, (int)pad, pad);
	bs_put_u16(w->buf + w->len - SUM_LEN, sum_of(w->buf, w->len - SUM_LEN));
	return (bs_ssize)w->len;
}

static int verify(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
		  const uint8_t *pkt, size_t len, size_t off)
{
	int err = bs__suite_check(pkt, len, off, BS_SUITE_NULL, SUM_LEN);

	(void)c;
	(void)k;
	(void)self;
	if (err)
		return err;
	return bs_get_u16(pkt + len - SUM_LEN) == sum_of(pkt, len - SUM_LEN) ? BS_OK : BS_EMAC;
}

/* Padding of any value up to the body's length is tolerated, as other ends do. */
static int open_in_place(const struct bs_crypto *c, const struct bs_key_block *k, enum bs_role self,
			 uint8_t *pkt, size_t len, size_t off, struct bs_slice *plain)
{
	int err = verify(c, k, self, pkt, len, off);
	uint8_t *p = pkt + off + HEAD_LEN;
	size_t n;

	if (err)
		return err;
	n = len - off - HEAD_LEN - SUM_LEN;
	if (n < 1 || p[n - 1] > n)
		return BS_EPADDING;
	plain->ptr = p;
	plain->len = n - p[n - 1];
	return BS_OK;
}

const struct bs_suite bs_suite_null = {
	BS_SUITE_NULL, HEAD_LEN, payload_len, seal, open_in_place, verify,
};
