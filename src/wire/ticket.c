/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/ticket.h"

#include <string.h>

/** Bytes of a payload's header. */
#define PL_HEADER 4u

bs_ssize bs_sealed_encode(struct bs_sealed *s, size_t text_len, size_t min_len, uint8_t *buf,
			  size_t cap)
{
	const struct bs_header h = { .nsi_cp = s->h.cp,
				     .nsi_sp = s->h.sp,
				     .type = BS_TYPE_TICKET,
				     .version = BS_WIRE_VERSION,
				     .flags = s->is_answer ? BS_FLAG_RESPONSE : 0,
				     .seq = s->h.seq };
	struct bs_writer w;
	uint8_t *p;

	bs_packet_begin(&w, buf, cap < BS_TICKET_PACKET_MAX ? cap : BS_TICKET_PACKET_MAX, &h);
	if (!s->is_answer)
		bs_packet_add(&w, BS_PL_TICKET, 0, s->ticket.ptr, s->ticket.len);
	p = bs_packet_add_reserve(&w, BS_PL_SEALED, 0, BS_SEALED_EXTRA + text_len);
	if (!p)
		return BS_ETOOBIG;
	bs_put_u64(p, s->stamp_ms);
	s->nonce_off = (size_t)(p + 8 - buf);
	s->text_off = s->nonce_off + BS_SEALED_NONCE_LEN;
	s->text_len = text_len;
	if (w.len < min_len) {
		/* A gap too small for a payload's header becomes one that is a little longer. */
		size_t gap = min_len - w.len;
		size_t n = gap > PL_HEADER ? gap - PL_HEADER : 0;

		p = bs_packet_add_reserve(&w, BS_PL_PAD, BS_PLF_OPTIONAL, n);
		if (p)
			memset(p, 0, n);
	}
	return bs_packet_finish(&w);
}

/** Where SEALED lies in the packet. */
static int take_sealed(const struct bs_packet *p, const struct bs_payload *pl, struct bs_sealed *s)
{
	if (pl->len < BS_SEALED_EXTRA + BS_HEADER_MIN)
		return BS_EFIELD;
	s->stamp_ms = bs_get_u64(pl->data);
	s->nonce_off = (size_t)(pl->data - p->bytes) + 8;
	s->text_off = s->nonce_off + BS_SEALED_NONCE_LEN;
	s->text_len = pl->len - BS_SEALED_EXTRA;
	return BS_OK;
}

int bs_sealed_decode(const struct bs_packet *p, struct bs_sealed *s)
{
	struct bs_sealed out;
	struct bs_payload pl;
	size_t off = 0;
	int err;

	if (p->h.type != BS_TYPE_TICKET || (p->h.flags & (uint8_t)~BS_FLAG_RESPONSE))
		return BS_ETYPE;
	memset(&out, 0, sizeof(out));
	out.h = (struct bs_gate_head){ p->h.nsi_cp, p->h.nsi_sp, p->h.seq };
	out.is_answer = p->h.flags == BS_FLAG_RESPONSE;
	if (!out.is_answer) {
		if (p->len < BS_TICKET_REQUEST_MIN)
			return BS_ESHORT;
		if (!bs_payload_next(p, &off, &pl) || pl.type != BS_PL_TICKET)
			return BS_EMISSING;
		if (pl.len == 0 || pl.len > BS_TICKET_MAX)
			return BS_EFIELD;
		out.ticket = (struct bs_slice){ pl.data, pl.len };
	}
	/* What SEALED authenticates is what lies before it, so it has one place. */
	if (!bs_payload_next(p, &off, &pl) || pl.type != BS_PL_SEALED)
		return BS_EMISSING;
	err = take_sealed(p, &pl, &out);
	while (err == BS_OK && bs_payload_next(p, &off, &pl))
		if (!(pl.flags & BS_PLF_OPTIONAL))
			err = BS_EPAYLOAD;
	if (err == BS_OK)
		*s = out;
	return err;
}

bs_ssize bs_ticket_token_add(uint8_t *buf, size_t len, size_t cap,
			     const uint8_t token[BS_TICKET_SECRET_LEN])
{
	struct bs_writer w;

	bs_writer_init(&w, buf, cap);
	w.len = len;
	bs_packet_add(&w, BS_PL_TOKEN, BS_PLF_OPTIONAL, token, BS_TICKET_SECRET_LEN);
	return bs_packet_finish(&w);
}

const uint8_t *bs_ticket_token_next(const struct bs_packet *p, size_t *off)
{
	struct bs_payload pl;

	while (bs_payload_next(p, off, &pl))
		if (pl.type == BS_PL_TOKEN && pl.len == BS_TICKET_SECRET_LEN)
			return pl.data;
	return NULL;
}
