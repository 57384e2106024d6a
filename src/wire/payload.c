/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/payload.h"

#include <string.h>

#include "util/endpoint.h"

/* Bytes of data in the three forms of IPX (basestation-wire(7), IPX) and in EP, EP6. */
enum {
	IPX_LEN = 13,
	IPX_NSI_LEN = 17,
	IPX_FULL_LEN = 29,
	EP_LEN = 6,
	EP6_LEN = 20
};
/* The only version of EXT. */
enum {
	EXT_VERSION = 1
};

static void get_ep4(const uint8_t *p, struct bs_endpoint *ep)
{
	bs_endpoint_set_ip4(ep, bs_get_u32(p), bs_get_u16(p + 4));
}

/* An IPv6 endpoint has no place in these fields: both address and port become 0. */
static void put_ep4(uint8_t *p, const struct bs_endpoint *ep)
{
	bs_put_u32(p, bs_endpoint_ip4(ep));
	bs_put_u16(p + 4, bs_endpoint_is_ip4(ep) ? ep->port : 0);
}

int bs_ipx_get(const struct bs_payload *pl, struct bs_ipx *ipx)
{
	const uint8_t *p = pl->data;

	if (pl->len < IPX_LEN)
		return BS_ESHORT;
	memset(ipx, 0, sizeof(*ipx));
	get_ep4(p, &ipx->priv);
	get_ep4(p + 6, &ipx->global);
	ipx->flags = p[12];
	if (pl->len >= IPX_NSI_LEN) {
		ipx->has_nsi = true;
		ipx->nsi_sp = bs_get_u32(p + 13);
	}
	if (pl->len >= IPX_FULL_LEN) {
		ipx->has_full = true;
		memcpy(ipx->nsi_co, p + 17, sizeof(ipx->nsi_co));
		ipx->nsi_cp = bs_get_u32(p + 25);
	}
	return BS_OK;
}

void bs_ipx_put(struct bs_writer *w, const struct bs_ipx *ipx)
{
	size_t len = ipx->has_full ? IPX_FULL_LEN : ipx->has_nsi ? IPX_NSI_LEN : IPX_LEN;
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_IPX, 0, len);

	if (!p)
		return;
	put_ep4(p, &ipx->priv);
	put_ep4(p + 6, &ipx->global);
	p[12] = ipx->flags;
	if (len > IPX_LEN)
		bs_put_u32(p + 13, ipx->nsi_sp);
	if (len > IPX_NSI_LEN) {
		memcpy(p + 17, ipx->nsi_co, sizeof(ipx->nsi_co));
		bs_put_u32(p + 25, ipx->nsi_cp);
	}
}

int bs_ep_get(const struct bs_payload *pl, struct bs_endpoint *ep)
{
	if (pl->len != EP_LEN)
		return pl->len < EP_LEN ? BS_ESHORT : BS_EFIELD;
	get_ep4(pl->data, ep);
	return BS_OK;
}

void bs_ep_put(struct bs_writer *w, const struct bs_endpoint *ep)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_EP, 0, EP_LEN);

	if (p)
		put_ep4(p, ep);
}

/* ::ffff:0:0/96, in front of every IPv4 address on the wire. */
static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF };

/* The wire always has 16 bytes of address; a profile with four takes mapped IPv4 only. */
int bs_ep6_get(const struct bs_payload *pl, struct bs_ep6 *ep)
{
	if (pl->len != EP6_LEN)
		return pl->len < EP6_LEN ? BS_ESHORT : BS_EFIELD;
	if (BS_IP_LEN == 4 && memcmp(pl->data, mapped, sizeof(mapped)) != 0)
		return BS_EFIELD;
	memcpy(ep->ep.ip, pl->data + 16 - BS_IP_LEN, BS_IP_LEN);
	ep->ep.port = bs_get_u16(pl->data + 16);
	bs_endpoint_set_via(&ep->ep, 0);
	ep->kind = pl->data[18];
	ep->priority = pl->data[19];
	return BS_OK;
}

void bs_ep6_put(struct bs_writer *w, const struct bs_ep6 *ep)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_EP6, BS_PLF_OPTIONAL, EP6_LEN);

	if (!p)
		return;
	memcpy(p, mapped, sizeof(mapped));
	memcpy(p + 16 - BS_IP_LEN, ep->ep.ip, BS_IP_LEN);
	bs_put_u16(p + 16, ep->ep.port);
	p[18] = ep->kind;
	p[19] = ep->priority;
}

void bs_ep6_put_if_needed(struct bs_writer *w, const struct bs_endpoint *ep, uint8_t kind)
{
	struct bs_ep6 ep6;

	if (bs_endpoint_is_ip4(ep) || !bs_endpoint_is_set(ep))
		return;
	ep6.ep = *ep;
	ep6.kind = kind;
	ep6.priority = 0;
	bs_ep6_put(w, &ep6);
}

size_t bs_ep6_collect(const struct bs_packet *p, uint8_t kind, struct bs_ep6 *out, size_t max)
{
	struct bs_payload pl;
	struct bs_ep6 ep6;
	size_t off = 0;
	size_t n = 0;

	while (n < max && bs_payload_next(p, &off, &pl))
		if (pl.type == BS_PL_EP6 && bs_ep6_get(&pl, &ep6) == BS_OK &&
		    (!kind || ep6.kind == kind))
			out[n++] = ep6;
	return n;
}

int bs_version_get(const struct bs_payload *pl, struct bs_version *v)
{
	struct bs_version tmp;
	struct bs_cursor c;

	memset(&tmp, 0, sizeof(tmp));
	bs_cursor_init(&c, pl->data, pl->len);
	tmp.kind = bs_cursor_read_u16(&c);
	tmp.major = bs_cursor_read_u32(&c);
	tmp.minor = bs_cursor_read_u32(&c);
	if (c.bad)
		return BS_ESHORT;
	if (bs_cursor_left(&c) >= 4) {
		tmp.has_patch = true;
		tmp.patch = bs_cursor_read_u32(&c);
	}
	tmp.label.len = bs_cursor_left(&c);
	tmp.label.ptr = bs_cursor_read_bytes(&c, tmp.label.len);
	*v = tmp;
	return BS_OK;
}

void bs_version_put(struct bs_writer *w, const struct bs_version *v)
{
	size_t off = bs_packet_open_payload(w, BS_PL_VERSION, 0);

	bs_writer_put_u16(w, v->kind);
	bs_writer_put_u32(w, v->major);
	bs_writer_put_u32(w, v->minor);
	if (v->has_patch) {
		bs_writer_put_u32(w, v->patch);
		bs_writer_put_bytes(w, v->label.ptr, v->label.len);
	}
	bs_packet_close_payload(w, off);
}

int bs_caps_get(const struct bs_payload *pl, struct bs_caps *c)
{
	struct bs_caps tmp;
	struct bs_cursor cur;

	memset(&tmp, 0, sizeof(tmp));
	bs_cursor_init(&cur, pl->data, pl->len);
	bs_cursor_read_u8(&cur);
	tmp.bits = bs_cursor_read_u32(&cur);
	tmp.mask = bs_cursor_read_u32(&cur);
	if (cur.bad)
		return BS_ESHORT;
	if (bs_cursor_left(&cur)) {
		tmp.has_suites = true;
		tmp.n_suites = bs_cursor_read_u16(&cur);
		if (cur.bad || bs_cursor_left(&cur) / 2 < tmp.n_suites)
			return BS_ESHORT;
		if (tmp.n_suites)
			tmp.suite = bs_cursor_read_u16(&cur);
	}
	*c = tmp;
	return BS_OK;
}

void bs_caps_put(struct bs_writer *w, const struct bs_caps *c)
{
	size_t off = bs_packet_open_payload(w, BS_PL_CAPABILITY, 0);

	bs_writer_put_u8(w, 0);
	bs_writer_put_u32(w, c->bits);
	bs_writer_put_u32(w, c->mask);
	if (c->has_suites) {
		bs_writer_put_u16(w, c->n_suites ? 1 : 0);
		if (c->n_suites)
			bs_writer_put_u16(w, c->suite);
	}
	bs_packet_close_payload(w, off);
}

int bs_notify_get(const struct bs_payload *pl, struct bs_notify *n)
{
	if (pl->len < 4)
		return BS_ESHORT;
	n->code = bs_get_u32(pl->data);
	n->has_nsi = pl->len >= 8;
	n->nsi = n->has_nsi ? bs_get_u32(pl->data + 4) : 0;
	return BS_OK;
}

void bs_notify_put(struct bs_writer *w, const struct bs_notify *n)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_NOTIFY, 0, n->has_nsi ? 8 : 4);

	if (!p)
		return;
	bs_put_u32(p, n->code);
	if (n->has_nsi)
		bs_put_u32(p + 4, n->nsi);
}

void bs_notify_ok_put(struct bs_writer *w)
{
	struct bs_notify ok = { BS_ST_OK, false, 0 };

	bs_notify_put(w, &ok);
}

int bs_kind_text_get(const struct bs_payload *pl, uint8_t *kind, struct bs_slice *text)
{
	if (pl->len < 1)
		return BS_ESHORT;
	if (pl->len == 1)
		return BS_EFIELD;
	*kind = pl->data[0];
	text->ptr = pl->data + 1;
	text->len = pl->len - 1u;
	return BS_OK;
}

void bs_kind_text_put(struct bs_writer *w, uint8_t type, uint8_t flags, uint8_t kind,
		      struct bs_slice text)
{
	size_t off = bs_packet_open_payload(w, type, flags);

	bs_writer_put_u8(w, kind);
	bs_writer_put_bytes(w, text.ptr, text.len);
	bs_packet_close_payload(w, off);
}

int bs_ext_get(const struct bs_payload *pl, struct bs_ext_offer *e)
{
	if (pl->len < 6)
		return BS_ESHORT;
	if (bs_get_u16(pl->data) != EXT_VERSION)
		return BS_EFIELD;
	e->bits = bs_get_u32(pl->data + 2);
	e->has_offered = pl->len >= 10;
	e->offered = e->has_offered ? bs_get_u32(pl->data + 6) : 0;
	return BS_OK;
}

void bs_ext_put(struct bs_writer *w, const struct bs_ext_offer *e)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_EXT, BS_PLF_OPTIONAL, e->has_offered ? 10 : 6);

	if (!p)
		return;
	bs_put_u16(p, EXT_VERSION);
	bs_put_u32(p + 2, e->bits);
	if (e->has_offered)
		bs_put_u32(p + 6, e->offered);
}

void bs_interval_put(struct bs_writer *w, uint16_t seconds)
{
	uint8_t *p = seconds ? bs_packet_add_reserve(w, BS_PL_INTERVAL, BS_PLF_OPTIONAL, 2) : NULL;

	if (p)
		bs_put_u16(p, seconds);
}

uint16_t bs_interval_find(const struct bs_packet *p)
{
	struct bs_payload pl;

	if (!bs_payload_find(p, BS_PL_INTERVAL, &pl) || pl.len != 2)
		return 0;
	return bs_get_u16(pl.data);
}

int bs_payload_last(const struct bs_packet *p, uint8_t type, size_t *off)
{
	struct bs_payload pl;
	size_t next = 0;

	pl.type = 0;
	pl.data = NULL;
	while (bs_payload_next(p, &next, &pl))
		;
	if (!pl.data || pl.type != type)
		return BS_EMISSING;
	*off = (size_t)(pl.data - p->bytes) - 4;
	return BS_OK;
}

static bool id_char(uint8_t ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '.';
}

bool bs_device_id_ok(const uint8_t *id, size_t len)
{
	size_t i;

	if (len < 1 || len > BS_DEVICE_ID_MAX)
		return false;
	for (i = 0; i < len; i++)
		if (!id_char(id[i]))
			return false;
	return true;
}
