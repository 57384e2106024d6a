/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/stats_server.h"

#include <string.h>

enum {
	INFO_PATH = 1,
	INFO_AGE = 2,
	INFO_TX_BYTES = 3,
	INFO_RX_BYTES = 5,
	ATTACH_STATS_LEN = 3,
	ATTACH_SECURE = 0x01,
	TLV_HEAD_LEN = 2,
	TLV_U32_LEN = 4,
};

static int decode_info(const struct bs_payload *pl, struct bs_stats *s)
{
	struct bs_cursor c;

	bs_cursor_init(&c, pl->data, pl->len);
	while (bs_cursor_left(&c) > 0) {
		uint8_t type = bs_cursor_read_u8(&c);
		uint8_t len = bs_cursor_read_u8(&c);
		const uint8_t *v;

		if (c.bad || len < TLV_HEAD_LEN)
			return BS_EFIELD;
		len -= TLV_HEAD_LEN;
		v = bs_cursor_read_bytes(&c, len);
		if (c.bad)
			return BS_ESHORT;
		if (type == INFO_PATH && len == 1)
			s->path = v[0];
		else if (type == INFO_AGE && len == TLV_U32_LEN)
			s->age_ms = bs_get_u32(v);
		else if (type == INFO_TX_BYTES && len == TLV_U32_LEN)
			s->tx_bytes = bs_get_u32(v);
		else if (type == INFO_RX_BYTES && len == TLV_U32_LEN)
			s->rx_bytes = bs_get_u32(v);
	}
	s->has_info = true;
	return BS_OK;
}

int bs_stats_decode(const struct bs_packet *p, struct bs_stats *out)
{
	struct bs_payload pl;
	struct bs_stats s;
	uint8_t kind;
	int err = BS_OK;

	if (p->h.flags != 0)
		return BS_ESTATE;
	memset(&s, 0, sizeof(s));
	s.nsi = p->h.nsi_sp;
	if (!bs_payload_find(p, BS_PL_STATS, &pl))
		return BS_EMISSING;
	if (pl.len < 1)
		return BS_ESHORT;
	s.event = pl.data[0];
	if (bs_payload_find(p, BS_PL_SP_ID, &pl))
		err = bs_kind_text_get(&pl, &kind, &s.id);
	if (!err && bs_payload_find(p, BS_PL_ATTACH_STATS, &pl)) {
		if (pl.len < ATTACH_STATS_LEN)
			return BS_ESHORT;
		s.attach_status = pl.data[1];
		s.wants_secure = pl.data[2] & ATTACH_SECURE;
	}
	if (!err && bs_payload_find(p, BS_PL_CONNECTION_INFO, &pl))
		err = decode_info(&pl, &s);
	if (err)
		return err;
	*out = s;
	return BS_OK;
}
