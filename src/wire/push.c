/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/push.h"

#include <string.h>

enum {
	PUSH_LEN = 7,
	PUSH_DATA_HEAD_LEN = 2
};

int bs_push_decode(const struct bs_packet *p, struct bs_push *m)
{
	struct bs_payload pl;
	size_t off;
	int err;

	if (p->h.type != BS_TYPE_U_PUSH || (p->h.flags & ~BS_FLAG_RESPONSE))
		return BS_ETYPE;
	if (!bs_payload_find(p, BS_PL_PUSH, &pl))
		return BS_EMISSING;
	if (pl.len < PUSH_LEN)
		return BS_ESHORT;
	err = bs_payload_last(p, BS_PL_CRYPTO, &off);
	if (err)
		return err;
	m->nsi = p->h.nsi_sp;
	m->seq = p->h.seq;
	m->answer = p->h.flags & BS_FLAG_RESPONSE;
	m->number = bs_get_u32(pl.data);
	m->service = bs_get_u16(pl.data + 4);
	m->flags = pl.data[6];
	m->crypto_off = off;
	return BS_OK;
}

void bs_push_begin(struct bs_writer *w, uint8_t *buf, size_t cap, const struct bs_push *m)
{
	uint8_t *p;

	bs_packet_start(w, buf, cap, BS_TYPE_U_PUSH, m->answer ? BS_FLAG_RESPONSE : 0, m->nsi,
			m->seq);
	p = bs_packet_add_reserve(w, BS_PL_PUSH, 0, PUSH_LEN);
	if (!p)
		return;
	bs_put_u32(p, m->number);
	bs_put_u16(p + 4, m->service);
	p[6] = m->flags;
}

int bs_push_data_get(const struct bs_payload *pl, struct bs_push_data *d)
{
	if (pl->len < PUSH_DATA_HEAD_LEN)
		return BS_ESHORT;
	d->purpose = pl->data[0];
	d->encoding = pl->data[1];
	d->data.ptr = pl->data + PUSH_DATA_HEAD_LEN;
	d->data.len = (size_t)pl->len - PUSH_DATA_HEAD_LEN;
	return BS_OK;
}

void bs_push_data_put(struct bs_writer *w, const struct bs_push_data *d)
{
	size_t off = bs_packet_open_payload(w, BS_PL_PUSH_DATA, 0);

	bs_writer_put_u8(w, d->purpose);
	bs_writer_put_u8(w, d->encoding);
	bs_writer_put_bytes(w, d->data.ptr, d->data.len);
	bs_packet_close_payload(w, off);
}
