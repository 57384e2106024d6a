/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/push_server.h"

#include "crypto/suite.h"

enum {
	PUSH_DATA_LEN = 7,
	FILTER_BITS = 32,
};

int bs_push_open(const struct bs_crypto *c, const struct bs_key_block *c_key,
		 const struct bs_packet *p, struct bs_push *out)
{
	struct bs_payload push;
	struct bs_payload crypto;
	int err;

	if (p->h.flags != 0)
		return BS_ESTATE;
	if (!bs_payload_find(p, BS_PL_PUSH, &push) || !bs_payload_find(p, BS_PL_CRYPTO, &crypto))
		return BS_EMISSING;
	if (push.len < PUSH_DATA_LEN)
		return BS_ESHORT;
	err = bs_suite_aes_cbc.verify(c, c_key, BS_INITIATOR, p->bytes, p->len,
				      (size_t)(crypto.data - p->bytes) - 4);
	if (err)
		return err;
	out->nsi = p->h.nsi_sp;
	out->seq = p->h.seq;
	out->number = bs_get_u32(push.data);
	out->service = bs_get_u16(push.data + 4);
	return BS_OK;
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

bs_ssize bs_push_answer_encode(const struct bs_crypto *c, const struct bs_key_block *c_key,
			       const struct bs_push *push, uint8_t flags, uint8_t *buf, size_t cap)
{
	struct bs_header h = { .type = BS_TYPE_U_PUSH,
			       .nsi_sp = push->nsi,
			       .flags = BS_FLAG_RESPONSE,
			       .seq = push->seq };
	struct bs_slice empty = { NULL, 0 };
	struct bs_writer w;
	uint8_t *p;

	bs_packet_begin(&w, buf, cap, &h);
	p = bs_packet_add_reserve(&w, BS_PL_PUSH, 0, PUSH_DATA_LEN);
	if (p) {
		bs_put_u32(p, push->number);
		bs_put_u16(p + 4, push->service);
		p[6] = flags;
	}
	return bs_suite_aes_cbc.seal(c, c_key, BS_INITIATOR, &w, 0, empty);
}
