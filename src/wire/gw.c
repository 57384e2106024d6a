/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/gw.h"

#include <string.h>

#include "util/endpoint.h"

/* Data of GW: address, port, NSI, id. */
enum {
	GW_OFF_PORT = 4,
	GW_OFF_NSI = 6,
	GW_OFF_ID = 10,
	GW_LEN = GW_OFF_ID + BS_GW_ID_LEN,
};

/* Data of the NONCE in a handshake: kind, flags, the three numbers, id. */
enum {
	KIND_TCP = 0,
	HELLO_OFF_FLAGS = 1,
	HELLO_OFF_CP = 2,
	HELLO_OFF_SP = 6,
	HELLO_OFF_CO = 10,
	HELLO_OFF_ID = 18,
	HELLO_LEN = HELLO_OFF_ID + BS_GW_ID_LEN,
	ANSWER_LEN = 2, /* kind and flags; more is ignored */
};

/* Where a header keeps its length, and how much of it says that. */
enum {
	OFF_LEN = 14,
	LEN_KNOWN = OFF_LEN + 2,
};

int bs_gw_get(const struct bs_payload *pl, struct bs_gw *gw)
{
	if (pl->len < GW_OFF_ID)
		return BS_ESHORT;
	/* Devices take ids of this length only, so no relay can mean another. */
	if (pl->len != GW_LEN)
		return BS_EFIELD;
	bs_endpoint_set_ip4(&gw->ep, bs_get_u32(pl->data), bs_get_u16(pl->data + GW_OFF_PORT));
	gw->nsi = bs_get_u32(pl->data + GW_OFF_NSI);
	memcpy(gw->id, pl->data + GW_OFF_ID, BS_GW_ID_LEN);
	return BS_OK;
}

void bs_gw_put(struct bs_writer *w, const struct bs_gw *gw)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_GW, 0, GW_LEN);

	if (!p)
		return;
	bs_put_u32(p, bs_endpoint_ip4(&gw->ep));
	bs_put_u16(p + GW_OFF_PORT, gw->ep.port);
	bs_put_u32(p + GW_OFF_NSI, gw->nsi);
	memcpy(p + GW_OFF_ID, gw->id, BS_GW_ID_LEN);
}

int bs_gw_hello_decode(const struct bs_packet *p, struct bs_gw_hello *m)
{
	const struct bs_header *h = &p->h;
	struct bs_payload pl;

	if (h->type != BS_TYPE_GW_CONN_U || h->flags != BS_FLAG_NSI_CO)
		return BS_ETYPE;
	if (!bs_payload_find(p, BS_PL_NONCE, &pl))
		return BS_EMISSING;
	if (pl.len != HELLO_LEN || pl.data[0] != KIND_TCP)
		return BS_EFIELD;
	/* The numbers are there twice; a leg that contradicts itself belongs nowhere. */
	if (bs_get_u32(pl.data + HELLO_OFF_CP) != h->nsi_cp ||
	    bs_get_u32(pl.data + HELLO_OFF_SP) != h->nsi_sp ||
	    memcmp(pl.data + HELLO_OFF_CO, h->nsi_co, sizeof(h->nsi_co)) != 0)
		return BS_EFIELD;
	m->nsi_cp = h->nsi_cp;
	m->nsi_sp = h->nsi_sp;
	memcpy(m->nsi_co, h->nsi_co, sizeof(m->nsi_co));
	m->flags = pl.data[HELLO_OFF_FLAGS];
	memcpy(m->id, pl.data + HELLO_OFF_ID, BS_GW_ID_LEN);
	return BS_OK;
}

/* Both handshakes have their header's numbers in the same places. */
static void begin(struct bs_writer *w, uint8_t *buf, size_t cap, uint8_t flags, uint32_t cp,
		  uint32_t sp, const uint8_t co[8])
{
	struct bs_header h;

	memset(&h, 0, sizeof(h));
	h.type = BS_TYPE_GW_CONN_U;
	h.flags = flags;
	h.nsi_cp = cp;
	h.nsi_sp = sp;
	memcpy(h.nsi_co, co, sizeof(h.nsi_co));
	bs_packet_begin(w, buf, cap, &h);
}

bs_ssize bs_gw_hello_encode(uint8_t *buf, size_t cap, const struct bs_gw_hello *m)
{
	struct bs_writer w;
	uint8_t *p;

	begin(&w, buf, cap, BS_FLAG_NSI_CO, m->nsi_cp, m->nsi_sp, m->nsi_co);
	p = bs_packet_add_reserve(&w, BS_PL_NONCE, 0, HELLO_LEN);
	if (p) {
		p[0] = KIND_TCP;
		p[HELLO_OFF_FLAGS] = m->flags;
		bs_put_u32(p + HELLO_OFF_CP, m->nsi_cp);
		bs_put_u32(p + HELLO_OFF_SP, m->nsi_sp);
		memcpy(p + HELLO_OFF_CO, m->nsi_co, sizeof(m->nsi_co));
		memcpy(p + HELLO_OFF_ID, m->id, BS_GW_ID_LEN);
	}
	return bs_packet_finish(&w);
}

int bs_gw_answer_decode(const struct bs_packet *p, struct bs_gw_answer *m)
{
	struct bs_payload pl;

	if (p->h.type != BS_TYPE_GW_CONN_U)
		return BS_ETYPE;
	if (!bs_payload_find(p, BS_PL_NONCE, &pl))
		return BS_EMISSING;
	if (pl.len < ANSWER_LEN)
		return BS_ESHORT;
	m->nsi_cp = p->h.nsi_cp;
	m->nsi_sp = p->h.nsi_sp;
	m->has_co = (p->h.flags & BS_FLAG_NSI_CO) != 0;
	memcpy(m->nsi_co, p->h.nsi_co, sizeof(m->nsi_co));
	m->flags = pl.data[HELLO_OFF_FLAGS];
	return BS_OK;
}

bs_ssize bs_gw_answer_encode(uint8_t *buf, size_t cap, const struct bs_gw_answer *m)
{
	uint8_t flags = (uint8_t)(BS_FLAG_RESPONSE | (m->has_co ? BS_FLAG_NSI_CO : 0));
	const uint8_t data[ANSWER_LEN] = { KIND_TCP, m->flags };
	struct bs_writer w;

	begin(&w, buf, cap, flags, m->nsi_cp, m->nsi_sp, m->nsi_co);
	bs_packet_add(&w, BS_PL_NONCE, 0, data, sizeof(data));
	return bs_packet_finish(&w);
}

bs_ssize bs_gw_frame_len(const uint8_t *buf, size_t len, size_t max)
{
	size_t n;

	if (len < LEN_KNOWN)
		return BS_EAGAIN;
	n = bs_get_u16(buf + OFF_LEN);
	return n < BS_HEADER_MIN || n > max ? BS_ELENGTH : (bs_ssize)n;
}

int bs_gw_data_check(const uint8_t *pkt, size_t len, uint32_t nsi_sp, bool to_device)
{
	struct bs_packet p;
	int err;

	if (len > BS_PACKET_MAX)
		return BS_ELENGTH;
	err = to_device ? bs_packet_decode(pkt, len, &p) : bs_packet_decode_header(pkt, len, &p);
	if (err)
		return err;
	if (p.h.type != BS_TYPE_DATA)
		return BS_ETYPE;
	return p.h.nsi_sp == nsi_sp ? BS_OK : BS_EUNKNOWN;
}
