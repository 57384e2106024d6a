/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/suite.h"

#include <string.h>

#include "basestation/wire.h"
#include "util/cursor.h"

/* Where a packet keeps its length (basestation-wire(7), PACKETS). */
enum {
	PACKET_LEN_OFF = 14
};

uint8_t *bs__suite_start(struct bs_writer *w, uint16_t code, uint8_t payload_flags, size_t body_len)
{
	uint8_t *p = bs_writer_reserve(w, BS__SUITE_HEAD_LEN + body_len);

	if (!p || w->len > UINT16_MAX || w->len < BS_HEADER_MIN) {
		w->bad = true;
		return NULL;
	}
	bs_put_u16(w->buf + PACKET_LEN_OFF, (uint16_t)w->len);
	p[0] = BS_PL_CRYPTO;
	p[1] = payload_flags;
	bs_put_u16(p + 2, (uint16_t)(BS__SUITE_HEAD_LEN + body_len));
	bs_put_u16(p + 4, code);
	return p + BS__SUITE_HEAD_LEN;
}

int bs__suite_check(const uint8_t *pkt, size_t len, size_t off, uint16_t code, size_t tail_len)
{
	if (off > len || len - off < BS__SUITE_HEAD_LEN || bs_get_u16(pkt + off + 2) != len - off)
		return BS_ELENGTH;
	if (bs_get_u16(pkt + off + 4) != code)
		return BS_ESUITE;
	return len - off < BS__SUITE_HEAD_LEN + tail_len ? BS_ELENGTH : BS_OK;
}
