/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/stream.h"

#include <string.h>

/* Bytes of a payload's header, and data lengths of the forms of WINDOW. */
enum {
	PL_HEADER = 4,
	DATA_BARE = 14,
	DATA_ACK = 16,
	DATA_SYN = 28,
	SACK_PAIR = 8,
	PART_DATA = 4,
};

/* The malformed RST: what its WINDOW says, and where the next payload is in truth. */
enum {
	ODD_LEN = 22,
	ODD_TRUE = 18,
};

static size_t data_len(uint8_t flags)
{
	if (flags & BS_WINDOW_SYN)
		return DATA_SYN;
	return flags == BS_WINDOW_ACK ? DATA_ACK : DATA_BARE;
}

static bool flags_are_known(uint8_t flags)
{
	switch (flags) {
	case BS_WINDOW_ACK:
	case BS_WINDOW_RST:
	case BS_WINDOW_SYN:
	case BS_WINDOW_SYN | BS_WINDOW_ACK:
	case BS_WINDOW_FIN | BS_WINDOW_ACK: return true;
	default: return false;
	}
}

static void get_syn(const uint8_t *p, struct bs_stream_syn *s)
{
	s->options = bs_get_u16(p);
	s->rx_size = bs_get_u16(p + 2);
	s->rx_window = bs_get_u16(p + 4);
	s->tx_size = bs_get_u16(p + 6);
	s->tx_window = bs_get_u16(p + 8);
	s->retrans = bs_get_u16(p + 10);
	s->timeout_ms = bs_get_u16(p + 12);
}

static bool syn_is_possible(const struct bs_stream_syn *s)
{
	return s->rx_size && s->rx_window && s->tx_size && s->tx_window;
}

static int window_get(const uint8_t *p, size_t len, struct bs_window_pl *w)
{
	struct bs_window_pl v;

	if (len < DATA_BARE)
		return BS_ESHORT;
	memset(&v, 0, sizeof(v));
	v.flags = p[0];
	if (!flags_are_known(v.flags))
		return BS_EFIELD;
	if (len < data_len(v.flags))
		return BS_ESHORT;
	v.version = p[1];
	v.id_cp = bs_get_u16(p + 2);
	v.id_sp = bs_get_u16(p + 4);
	v.seq = bs_get_u32(p + 6);
	v.ack = bs_get_u32(p + 10);
	if (v.flags == BS_WINDOW_ACK)
		v.window = bs_get_u16(p + DATA_BARE);
	if (v.flags & BS_WINDOW_SYN) {
		get_syn(p + DATA_BARE, &v.syn);
		if (!syn_is_possible(&v.syn))
			return BS_EFIELD;
	}
	*w = v;
	return BS_OK;
}

int bs_window_get(const struct bs_payload *pl, struct bs_window_pl *w)
{
	return window_get(pl->data, pl->len, w);
}

static void put_syn(uint8_t *p, const struct bs_stream_syn *s)
{
	bs_put_u16(p, s->options);
	bs_put_u16(p + 2, s->rx_size);
	bs_put_u16(p + 4, s->rx_window);
	bs_put_u16(p + 6, s->tx_size);
	bs_put_u16(p + 8, s->tx_window);
	bs_put_u16(p + 10, s->retrans);
	bs_put_u16(p + 12, s->timeout_ms);
}

void bs_window_put(struct bs_writer *w, const struct bs_window_pl *win)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_WINDOW, 0, data_len(win->flags));

	if (!p)
		return;
	p[0] = win->flags;
	p[1] = BS_STREAM_VERSION;
	bs_put_u16(p + 2, win->id_cp);
	bs_put_u16(p + 4, win->id_sp);
	bs_put_u32(p + 6, win->seq);
	bs_put_u32(p + 10, win->ack);
	if (win->flags == BS_WINDOW_ACK)
		bs_put_u16(p + DATA_BARE, win->window);
	if (win->flags & BS_WINDOW_SYN)
		put_syn(p + DATA_BARE, &win->syn);
}

size_t bs_sack_get(const struct bs_payload *pl, struct bs_sack_pair *out, size_t max)
{
	size_t n = 0;
	size_t off;

	for (off = 0; off + SACK_PAIR <= pl->len && n < max; off += SACK_PAIR) {
		out[n].start = bs_get_u32(pl->data + off);
		out[n].end = bs_get_u32(pl->data + off + 4);
		/* Numbers of a stream do not wrap, so a plain comparison of distance will do. */
		if ((int32_t)(out[n].end - out[n].start) > 0)
			n++;
	}
	return n;
}

void bs_sack_put(struct bs_writer *w, const struct bs_sack_pair *pair, size_t n)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_SACK, 0, n * SACK_PAIR);
	size_t i;

	for (i = 0; p && i < n; i++) {
		bs_put_u32(p + i * SACK_PAIR, pair[i].start);
		bs_put_u32(p + i * SACK_PAIR + 4, pair[i].end);
	}
}

int bs_part_get(const struct bs_payload *pl, struct bs_part *part)
{
	struct bs_part v;

	if (pl->len < PART_DATA)
		return BS_ESHORT;
	v.off = bs_get_u16(pl->data);
	v.total = bs_get_u16(pl->data + 2);
	if (v.off % BS_PART_UNIT || v.off >= v.total)
		return BS_EFIELD;
	*part = v;
	return BS_OK;
}

void bs_part_put(struct bs_writer *w, const struct bs_part *part)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_PART, BS_PLF_OPTIONAL, PART_DATA);

	if (!p)
		return;
	bs_put_u16(p, part->off);
	bs_put_u16(p + 2, part->total);
}

/* Whether the list at buf + off is the malformed RST and nothing else. */
static bool is_odd_rst(const uint8_t *buf, size_t len, size_t off)
{
	const uint8_t *at = buf + off;

	if (len - off < ODD_TRUE + PL_HEADER || at[0] != BS_PL_WINDOW)
		return false;
	if (bs_get_u16(at + 2) != ODD_LEN || at[PL_HEADER] != BS_WINDOW_RST)
		return false;
	return at[ODD_TRUE] == BS_PL_CRYPTO &&
	       bs_get_u16(at + ODD_TRUE + 2) == len - off - ODD_TRUE;
}

int bs_stream_packet_decode(const uint8_t *buf, size_t len, struct bs_packet *p)
{
	struct bs_packet q;
	int err = bs_packet_decode(buf, len, p);

	if (err != BS_EPAYLOAD)
		return err;
	err = bs_packet_decode_header(buf, len, &q);
	if (err)
		return err;
	if (q.h.type != BS_TYPE_DATA || !is_odd_rst(buf, len, q.list_off))
		return BS_EPAYLOAD;
	q.list_off += ODD_TRUE;
	*p = q;
	return BS_OK;
}

int bs_window_find(const struct bs_packet *p, struct bs_window_pl *w)
{
	size_t first = bs_header_len(p->h.flags);
	struct bs_payload pl;

	/* Only bs_stream_packet_decode moves the list: the WINDOW lies before it. */
	if (p->list_off != first)
		return window_get(p->bytes + first + PL_HEADER, DATA_BARE, w);
	return bs_payload_find(p, BS_PL_WINDOW, &pl) ? bs_window_get(&pl, w) : BS_EMISSING;
}
