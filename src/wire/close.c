/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/close.h"

#include <string.h>

enum {
	CLOSE_LEN = 6
};

int bs_close_decode(const struct bs_packet *p, struct bs_close *m)
{
	struct bs_payload pl;
	size_t off;
	int err;

	if (p->h.type != BS_TYPE_U_CLOSE || (p->h.flags & ~BS_FLAG_RESPONSE))
		return BS_ETYPE;
	if (!bs_payload_find(p, BS_PL_CLOSE, &pl))
		return BS_EMISSING;
	if (pl.len != CLOSE_LEN)
		return pl.len < CLOSE_LEN ? BS_ESHORT : BS_EFIELD;
	err = bs_payload_last(p, BS_PL_CRYPTO, &off);
	if (err)
		return err;
	m->nsi = p->h.nsi_sp;
	m->seq = p->h.seq;
	m->answer = p->h.flags & BS_FLAG_RESPONSE;
	m->connection = bs_get_u32(pl.data);
	m->status = bs_get_u16(pl.data + 4);
	m->crypto_off = off;
	return BS_OK;
}

void bs_close_begin(struct bs_writer *w, uint8_t *buf, size_t cap, const struct bs_close *m)
{
	uint8_t *p;

	bs_packet_start(w, buf, cap, BS_TYPE_U_CLOSE, m->answer ? BS_FLAG_RESPONSE : 0, m->nsi,
			m->seq);
	p = bs_packet_add_reserve(w, BS_PL_CLOSE, BS_PLF_OPTIONAL, CLOSE_LEN);
	if (!p)
		return;
	bs_put_u32(p, m->connection);
	bs_put_u16(p + 4, m->status);
}
