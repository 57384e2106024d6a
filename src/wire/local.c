/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/local.h"

#include <string.h>

/* Where a packet's version byte lies; stock devices leave it 0 in two types of answers. */
enum {
	OFF_TYPE = 8,
	OFF_VERSION = 9,
};

/* Entries of a discovery answer. */
enum {
	ENTRY_ID = 0x01,      /* the first one */
	ENTRY_VERSION = 0x01, /* a later one: the same number */
	ENTRY_URL = 0x02,
	ENTRY_PLAIN = 0x04,
	ENTRY_FINGERPRINT = 0x05,
	ENTRY_PSK = 0x06,
};

/* CP_ID as everywhere: a mail address. */
enum {
	CP_ID_KIND = 1,
};

/* What stock devices say of a plain local connection, to the bit: clients compare it whole. */
#define PLAIN_CAP_BITS 0x00000A3Cu
#define PLAIN_CAP_MASK 0x00000B3Cu

/* Answers carry flags above the operation in their first word. */
#define FLAGS_MASK ((uint32_t)(BS_LEGACY_RESPONSE | BS_LEGACY_ERROR))

bool bs_local_is_legacy(const uint8_t *buf, size_t len)
{
	return len < 4 || bs_get_u32(buf) < BS_LOCAL_CP_FIRST;
}

int bs_local_packet_decode(uint8_t *buf, size_t len, struct bs_packet *p)
{
	bool old =
		len >= BS_HEADER_MIN && buf[OFF_VERSION] == 0 &&
		(buf[OFF_TYPE] == BS_TYPE_U_CONNECT_PSK || buf[OFF_TYPE] == BS_TYPE_U_VERIFY_PSK);
	int err;

	/* The MAC covers the byte, so it must be back when the packet is opened. */
	if (old)
		buf[OFF_VERSION] = BS_WIRE_VERSION;
	err = bs_packet_decode(buf, len, p);
	if (old) {
		buf[OFF_VERSION] = 0;
		p->h.version = 0;
	}
	return err;
}

/* ---- legacy packets */

int bs_legacy_decode(const uint8_t *buf, size_t len, struct bs_legacy_packet *m)
{
	if (len < BS_LEGACY_HEADER_LEN)
		return BS_ESHORT;
	if ((bs_get_u32(buf) & ~FLAGS_MASK) >= BS_LOCAL_CP_FIRST)
		return BS_EFIELD;
	m->word = bs_get_u32(buf);
	m->seq = bs_get_u32(buf + 4);
	m->reserved = bs_get_u32(buf + 8);
	m->body.ptr = buf + BS_LEGACY_HEADER_LEN;
	m->body.len = len - BS_LEGACY_HEADER_LEN;
	return BS_OK;
}

static void put_head(struct bs_writer *w, uint32_t word, uint32_t seq, uint32_t reserved)
{
	bs_writer_put_u32(w, word);
	bs_writer_put_u32(w, seq);
	bs_writer_put_u32(w, reserved);
}

static bs_ssize length_of(const struct bs_writer *w)
{
	return w->bad ? BS_ETOOBIG : (bs_ssize)w->len;
}

bs_ssize bs_legacy_encode(uint8_t *buf, size_t cap, const struct bs_legacy_packet *m)
{
	struct bs_writer w;

	bs_writer_init(&w, buf, cap);
	put_head(&w, m->word, m->seq, m->reserved);
	bs_writer_put_bytes(&w, m->body.ptr, m->body.len);
	return length_of(&w);
}

/* ---- discovery */

static bool name_ok(struct bs_slice name)
{
	return (name.len == 1 && name.ptr[0] == '*') || bs_device_id_ok(name.ptr, name.len);
}

int bs_discovery_request_decode(const uint8_t *buf, size_t len, struct bs_legacy_packet *m,
				struct bs_slice *name)
{
	struct bs_legacy_packet head;
	struct bs_slice text;
	int err = bs_legacy_decode(buf, len, &head);

	if (err)
		return err;
	if (head.word != BS_LEGACY_DISCOVERY)
		return BS_ETYPE;
	if (head.body.len < 1)
		return BS_ESHORT;
	/* Exactly one name: the terminator is the last byte of the packet. */
	text.ptr = head.body.ptr;
	text.len = head.body.len - 1;
	if (text.ptr[text.len] != 0 || !name_ok(text))
		return BS_EFIELD;
	*m = head;
	*name = text;
	return BS_OK;
}

bs_ssize bs_discovery_request_encode(uint8_t *buf, size_t cap, uint32_t seq, struct bs_slice name)
{
	struct bs_writer w;

	if (!name_ok(name))
		return BS_EINVAL;
	bs_writer_init(&w, buf, cap);
	put_head(&w, BS_LEGACY_DISCOVERY, seq, 0);
	bs_writer_put_bytes(&w, name.ptr, name.len);
	bs_writer_put_u8(&w, 0);
	return length_of(&w);
}

/* The next `u8 type, text, NUL`; false at the end and at a tail that was cut. */
static bool next_entry(struct bs_cursor *c, uint8_t *type, struct bs_slice *text)
{
	const uint8_t *end;

	*type = bs_cursor_read_u8(c);
	if (c->bad)
		return false;
	end = memchr(c->pos, 0, bs_cursor_left(c));
	if (!end)
		return false;
	text->ptr = c->pos;
	text->len = (size_t)(end - c->pos);
	c->pos = end + 1;
	return true;
}

/* "-" stands for a text that the device has not. */
static void take_text(struct bs_slice *out, struct bs_slice text)
{
	if (out->len || text.len > BS_DISCOVERY_TEXT_MAX || (text.len == 1 && text.ptr[0] == '-'))
		return;
	*out = text;
}

static void take_entry(struct bs_discovery_answer *m, uint8_t type, struct bs_slice text)
{
	bool yes = text.len == 1 && text.ptr[0] == '1';

	switch (type) {
	case ENTRY_VERSION: take_text(&m->version, text); break;
	case ENTRY_URL: take_text(&m->url, text); break;
	case ENTRY_PLAIN: m->plain = yes; break;
	case ENTRY_PSK: m->psk = yes; break;
	case ENTRY_FINGERPRINT: m->fingerprint = yes; break;
	default: break;
	}
}

int bs_discovery_answer_decode(const uint8_t *buf, size_t len, struct bs_discovery_answer *m)
{
	struct bs_discovery_answer out;
	struct bs_legacy_packet head;
	struct bs_slice text;
	struct bs_cursor c;
	uint8_t type;
	int err = bs_legacy_decode(buf, len, &head);

	if (err)
		return err;
	if (head.word != (BS_LEGACY_RESPONSE | BS_LEGACY_DISCOVERY))
		return BS_ETYPE;
	memset(&out, 0, sizeof(out));
	out.seq = head.seq;
	out.reserved = head.reserved;
	bs_cursor_init(&c, head.body.ptr, head.body.len);
	out.ip = bs_cursor_read_u32(&c);
	out.port = bs_cursor_read_u16(&c);
	if (c.bad)
		return BS_ESHORT;
	if (!next_entry(&c, &type, &text))
		return BS_ESHORT;
	if (type != ENTRY_ID || !bs_device_id_ok(text.ptr, text.len) || !out.port)
		return BS_EFIELD;
	out.id = text;
	while (next_entry(&c, &type, &text)) {
		if (text.len)
			take_entry(&out, type, text);
	}
	*m = out;
	return BS_OK;
}

static void put_entry(struct bs_writer *w, uint8_t type, struct bs_slice text)
{
	bs_writer_put_u8(w, type);
	/* An empty entry would read as noise. */
	if (text.len)
		bs_writer_put_bytes(w, text.ptr, text.len);
	else
		bs_writer_put_u8(w, '-');
	bs_writer_put_u8(w, 0);
}

static void put_yes(struct bs_writer *w, uint8_t type, bool yes)
{
	if (!yes)
		return;
	bs_writer_put_u8(w, type);
	bs_writer_put_u8(w, '1');
	bs_writer_put_u8(w, 0);
}

bs_ssize bs_discovery_answer_encode(uint8_t *buf, size_t cap, const struct bs_discovery_answer *m)
{
	struct bs_writer w;

	if (!bs_device_id_ok(m->id.ptr, m->id.len) || !m->port)
		return BS_EINVAL;
	bs_writer_init(&w, buf, cap);
	put_head(&w, BS_LEGACY_RESPONSE | BS_LEGACY_DISCOVERY, m->seq, m->reserved);
	bs_writer_put_u32(&w, m->ip);
	bs_writer_put_u16(&w, m->port);
	put_entry(&w, ENTRY_ID, m->id);
	put_entry(&w, ENTRY_VERSION, m->version);
	put_entry(&w, ENTRY_URL, m->url);
	put_yes(&w, ENTRY_PLAIN, m->plain);
	put_yes(&w, ENTRY_PSK, m->psk);
	put_yes(&w, ENTRY_FINGERPRINT, m->fingerprint);
	return length_of(&w);
}

/* ---- plain local connect */

bs_ssize bs_plain_request_encode(uint8_t *buf, size_t cap, uint32_t cp, uint16_t seq, uint32_t nsi,
				 struct bs_slice client_id, const uint8_t *fp)
{
	struct bs_header h;
	struct bs_writer w;
	struct bs_ipx ipx;

	memset(&h, 0, sizeof(h));
	h.nsi_cp = cp;
	h.type = BS_TYPE_U_CONNECT;
	h.seq = seq;
	bs_packet_begin(&w, buf, cap, &h);
	/* A device looks at the first payload to tell what the packet is: IPX. */
	memset(&ipx, 0, sizeof(ipx));
	ipx.flags = BS_IPX_NO_RENDEZVOUS | BS_IPX_ASYNC;
	ipx.has_nsi = nsi != 0;
	ipx.nsi_sp = nsi;
	bs_ipx_put(&w, &ipx);
	if (client_id.len)
		bs_kind_text_put(&w, BS_PL_CP_ID, 0, CP_ID_KIND, client_id);
	if (fp)
		bs_fp_put(&w, fp);
	return bs_packet_finish(&w);
}

bs_ssize bs_plain_answer_encode(uint8_t *buf, size_t cap, const struct bs_connect_answer *m)
{
	struct bs_writer w;
	struct bs_caps caps;

	bs_connect_answer_begin(&w, buf, cap, m);
	memset(&caps, 0, sizeof(caps));
	caps.bits = PLAIN_CAP_BITS;
	caps.mask = PLAIN_CAP_MASK;
	bs_caps_put(&w, &caps);
	return bs_packet_finish(&w);
}
