/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/push_server.h"

#include "crypto/suite.h"

enum {
	FILTER_BITS = 32,
};

int bs_push_server_open(const struct bs_crypto *c, const struct bs_key_block *c_key,
			const struct bs_packet *p, struct bs_push *out)
{
	struct bs_push m;
	int err;

	err = bs_push_decode(p, &m);
	if (err)
		return err;
	if (m.answer)
		return BS_ESTATE;
	err = bs_suite_aes_cbc.verify(c, c_key, BS_INITIATOR, p->bytes, p->len, m.crypto_off);
	if (!err)
		*out = m;
	return err;
}

bool bs_push_filter_add(struct bs_push_filter *f, uint32_t number)
{
	uint32_t behind;

	if (number >= f->next) {
		uint32_t ahead = number - f->next + 1;

		f->seen = ahead >= FILTER_BITS ? 0 : f->seen << ahead;
		f->seen |= 1;
		f->next = number + 1;
		return true;
	}
	behind = f->next - 1 - number;
	if (behind >= FILTER_BITS || (f->seen & (UINT32_C(1) << behind)))
		return false;
	f->seen |= UINT32_C(1) << behind;
	return true;
}

bs_ssize bs_push_server_answer(const struct bs_crypto *c, const struct bs_key_block *c_key,
			       const struct bs_push *push, uint8_t flags, uint8_t *buf, size_t cap)
{
	struct bs_slice empty = { NULL, 0 };
	struct bs_push m = *push;
	struct bs_writer w;

	m.answer = true;
	m.flags = flags;
	bs_push_begin(&w, buf, cap, &m);
	return bs_suite_aes_cbc.seal(c, c_key, BS_INITIATOR, &w, 0, empty);
}
