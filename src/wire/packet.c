/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/packet.h"

#include <string.h>

/* Offsets inside the fixed part of the header. */
enum {
	OFF_SP = 4,
	OFF_TYPE = 8,
	OFF_VERSION = 9,
	OFF_RETRANS = 10,
	OFF_FLAGS = 11,
	OFF_SEQ = 12,
	OFF_LEN = 14,
};

/* Bytes of a payload's header, and of the data of the shortest IPX. */
enum {
	PL_HEADER = 4,
	IPX_MIN = 13
};

size_t bs_header_len(uint8_t flags)
{
	return BS_HEADER_MIN + (size_t)(flags & BS_FLAG_NSI_CO ? 8 : 0) +
	       (size_t)(flags & BS_FLAG_TAG ? 2 : 0);
}

int bs_payload_list_check(const uint8_t *list, size_t len)
{
	while (len) {
		size_t n;

		if (len < PL_HEADER)
			return BS_EPAYLOAD;
		n = bs_get_u16(list + 2);
		if (n < PL_HEADER || n > len)
			return BS_EPAYLOAD;
		list += n;
		len -= n;
	}
	return BS_OK;
}

bool bs_packet_is_stream(const uint8_t *buf, size_t len)
{
	size_t at = BS_HEADER_MIN;
	uint16_t tag;

	if (len < BS_HEADER_MIN || buf[OFF_TYPE] != BS_TYPE_DATA || !(buf[OFF_FLAGS] & BS_FLAG_TAG))
		return false;
	if (buf[OFF_FLAGS] & BS_FLAG_NSI_CO)
		at += 8;
	if (len < at + 2)
		return false;
	tag = bs_get_u16(buf + at);
	return tag >= BS_TAG_STREAM_FIRST && tag <= BS_TAG_STREAM_LAST;
}

static int check_header(const uint8_t *buf, size_t len)
{
	if (len < BS_HEADER_MIN)
		return BS_ESHORT;
	if (bs_get_u16(buf + OFF_LEN) != len)
		return BS_ELENGTH;
	if (buf[OFF_VERSION] != BS_WIRE_VERSION)
		return BS_EVERSION;
	return bs_header_len(buf[OFF_FLAGS]) > len ? BS_ESHORT : BS_OK;
}

static void take_header(const uint8_t *buf, size_t len, struct bs_packet *p)
{
	const uint8_t *at = buf + BS_HEADER_MIN;
	const uint8_t flags = buf[OFF_FLAGS];
	/* Read before anything is written, so that these four can be written as one word: who reads
	 * two of them at once would wait for four writes of a byte to leave the processor. */
	const uint8_t type = buf[OFF_TYPE];
	const uint8_t version = buf[OFF_VERSION];
	const uint8_t retrans = buf[OFF_RETRANS];

	memset(&p->h, 0, sizeof(p->h));
	p->h.nsi_cp = bs_get_u32(buf);
	p->h.nsi_sp = bs_get_u32(buf + OFF_SP);
	p->h.type = type;
	p->h.version = version;
	p->h.retrans = retrans;
	p->h.flags = flags;
	p->h.seq = bs_get_u16(buf + OFF_SEQ);
	p->h.len = (uint16_t)len;
	if (flags & BS_FLAG_NSI_CO) {
		memcpy(p->h.nsi_co, at, sizeof(p->h.nsi_co));
		at += sizeof(p->h.nsi_co);
	}
	if (flags & BS_FLAG_TAG)
		p->h.tag = bs_get_u16(at);
	p->bytes = buf;
	p->len = len;
	p->list_off = bs_header_len(flags);
}

int bs_packet_decode_header(const uint8_t *buf, size_t len, struct bs_packet *p)
{
	int err = check_header(buf, len);

	if (!err)
		take_header(buf, len, p);
	return err;
}

int bs_packet_decode(const uint8_t *buf, size_t len, struct bs_packet *p)
{
	int err = check_header(buf, len);
	size_t off;

	if (err)
		return err;
	off = bs_header_len(buf[OFF_FLAGS]);
	err = bs_payload_list_check(buf + off, len - off);
	if (!err)
		take_header(buf, len, p);
	return err;
}

bool bs_payload_list_next(const uint8_t *list, size_t len, size_t *off, struct bs_payload *out)
{
	const uint8_t *at;

	if (*off >= len)
		return false;
	at = list + *off;
	out->type = at[0];
	out->flags = at[1];
	out->len = (uint16_t)(bs_get_u16(at + 2) - PL_HEADER);
	out->data = at + PL_HEADER;
	*off += (size_t)out->len + PL_HEADER;
	return true;
}

bool bs_payload_next(const struct bs_packet *p, size_t *off, struct bs_payload *out)
{
	return bs_payload_list_next(p->bytes + p->list_off, p->len - p->list_off, off, out);
}

bool bs_payload_find(const struct bs_packet *p, uint8_t type, struct bs_payload *out)
{
	struct bs_payload pl;
	size_t off = 0;

	while (bs_payload_next(p, &off, &pl)) {
		if (pl.type == type) {
			*out = pl;
			return true;
		}
	}
	return false;
}

void bs_packet_begin(struct bs_writer *w, uint8_t *buf, size_t cap, const struct bs_header *h)
{
	bs_writer_init(w, buf, cap);
	bs_writer_put_u32(w, h->nsi_cp);
	bs_writer_put_u32(w, h->nsi_sp);
	bs_writer_put_u8(w, h->type);
	bs_writer_put_u8(w, BS_WIRE_VERSION);
	bs_writer_put_u8(w, h->retrans);
	bs_writer_put_u8(w, h->flags);
	bs_writer_put_u16(w, h->seq);
	bs_writer_put_u16(w, 0);
	if (h->flags & BS_FLAG_NSI_CO)
		bs_writer_put_bytes(w, h->nsi_co, sizeof(h->nsi_co));
	if (h->flags & BS_FLAG_TAG)
		bs_writer_put_u16(w, h->tag);
}

void bs_packet_start(struct bs_writer *w, uint8_t *buf, size_t cap, enum bs_type type,
		     uint8_t flags, uint32_t nsi_sp, uint16_t seq)
{
	struct bs_header h;

	memset(&h, 0, sizeof(h));
	h.type = (uint8_t)type;
	h.flags = flags;
	h.nsi_sp = nsi_sp;
	h.seq = seq;
	bs_packet_begin(w, buf, cap, &h);
}

uint8_t *bs_packet_add_reserve(struct bs_writer *w, uint8_t type, uint8_t flags, size_t len)
{
	uint8_t *p;

	/* A short IPX makes devices in the field read beyond it: never written. */
	if (len > (size_t)(UINT16_MAX - PL_HEADER) || (type == BS_PL_IPX && len < IPX_MIN)) {
		w->bad = true;
		return NULL;
	}
	p = bs_writer_reserve(w, len + PL_HEADER);
	if (!p)
		return NULL;
	p[0] = type;
	p[1] = flags;
	bs_put_u16(p + 2, (uint16_t)(len + PL_HEADER));
	return p + PL_HEADER;
}

void bs_packet_add(struct bs_writer *w, uint8_t type, uint8_t flags, const void *data, size_t len)
{
	uint8_t *p = bs_packet_add_reserve(w, type, flags, len);

	if (p && len)
		memcpy(p, data, len);
}

size_t bs_packet_open_payload(struct bs_writer *w, uint8_t type, uint8_t flags)
{
	size_t off = w->len;

	bs_packet_add_reserve(w, type, flags, 0);
	return off;
}

void bs_packet_close_payload(struct bs_writer *w, size_t off)
{
	if (w->bad)
		return;
	if (w->len - off > UINT16_MAX) {
		w->bad = true;
		return;
	}
	bs_put_u16(w->buf + off + 2, (uint16_t)(w->len - off));
}

bs_ssize bs_packet_finish(struct bs_writer *w)
{
	if (w->bad || w->len > UINT16_MAX)
		return BS_ETOOBIG;
	bs_put_u16(w->buf + OFF_LEN, (uint16_t)w->len);
	return (bs_ssize)w->len;
}
