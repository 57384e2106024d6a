/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/stats.h"

#include <string.h>

enum {
	CP_ID_KIND = 1,
	STATS_V1 = 1,
	ATTACH_SECURE = 0x01
};
enum {
	ATTACH_STATS_LEN = 3,
	RENDEZVOUS_STATS_LEN = 7
};
/* TLV types of CONNECTION_INFO and the size of their headers. */
enum {
	TLV_PATH = 1,
	TLV_LAST = 8,
	TLV_HEAD = 2
};

/* Where each u32 field lies; the order is that in which devices write them. */
static const struct {
	uint8_t type;
	uint8_t off;
} info_fields[] = {
	{ 2, offsetof(struct bs_connection_info, age_ms) },
	{ 4, offsetof(struct bs_connection_info, tx_pkts) },
	{ 3, offsetof(struct bs_connection_info, tx_bytes) },
	{ 6, offsetof(struct bs_connection_info, rx_pkts) },
	{ 5, offsetof(struct bs_connection_info, rx_bytes) },
	{ 7, offsetof(struct bs_connection_info, client_ip) },
	{ 8, offsetof(struct bs_connection_info, device_ip) },
};
enum {
	N_INFO_FIELDS = sizeof(info_fields) / sizeof(info_fields[0])
};

static void get_tlv(struct bs_connection_info *info, uint8_t type, const uint8_t *value,
		    uint8_t len)
{
	uint32_t v;
	int i;

	if (type == TLV_PATH && len == 1) {
		info->path = value[0];
		info->present |= 1u << TLV_PATH;
	}
	for (i = 0; i < N_INFO_FIELDS && len == 4; i++) {
		if (info_fields[i].type == type) {
			v = bs_get_u32(value);
			memcpy((uint8_t *)info + info_fields[i].off, &v, sizeof(v));
			info->present = (uint16_t)(info->present | 1u << type);
		}
	}
}

/* A list that breaks off is hints less, not a broken packet. */
static void get_info(const struct bs_payload *pl, struct bs_connection_info *info)
{
	const uint8_t *p = pl->data;
	size_t left = pl->len;

	while (left >= TLV_HEAD && p[1] >= TLV_HEAD && p[1] <= left) {
		get_tlv(info, p[0], p + TLV_HEAD, (uint8_t)(p[1] - TLV_HEAD));
		left -= p[1];
		p += p[1];
	}
}

static void get_optional(const struct bs_packet *p, struct bs_stats *m)
{
	struct bs_payload pl;
	struct bs_slice text;
	uint8_t kind;

	if (bs_payload_find(p, BS_PL_CP_ID, &pl) && !bs_kind_text_get(&pl, &kind, &text) &&
	    kind == CP_ID_KIND)
		m->client_id = text;
	if (bs_payload_find(p, BS_PL_ATTACH_STATS, &pl) && pl.len >= ATTACH_STATS_LEN &&
	    pl.data[0] == STATS_V1) {
		m->has_attach = true;
		m->attach_status = pl.data[1];
		m->attach_secure = pl.data[2] & ATTACH_SECURE;
	}
	if (bs_payload_find(p, BS_PL_IPX, &pl))
		m->has_ipx = bs_ipx_get(&pl, &m->ipx) == BS_OK;
	if (bs_payload_find(p, BS_PL_RENDEZVOUS_STATS, &pl) && pl.len >= RENDEZVOUS_STATS_LEN &&
	    pl.data[0] == STATS_V1) {
		m->has_rendezvous = true;
		m->rendezvous.client_nat = pl.data[1];
		m->rendezvous.device_nat = pl.data[2];
		m->rendezvous.ports = bs_get_u16(pl.data + 3);
		m->rendezvous.sockets = bs_get_u16(pl.data + 5);
	}
	if (bs_payload_find(p, BS_PL_CONNECTION_INFO, &pl)) {
		m->has_info = true;
		get_info(&pl, &m->info);
	}
}

int bs_stats_decode(const struct bs_packet *p, struct bs_stats *m)
{
	struct bs_version version;
	struct bs_payload stats;
	struct bs_payload pl;
	struct bs_slice id;
	uint8_t kind;
	int err;

	if (p->h.type != BS_TYPE_STATS || p->h.flags)
		return BS_ETYPE;
	if (!bs_payload_find(p, BS_PL_STATS, &stats) || !bs_payload_find(p, BS_PL_VERSION, &pl))
		return BS_EMISSING;
	if (stats.len < 1)
		return BS_ESHORT;
	err = bs_version_get(&pl, &version);
	if (err)
		return err;
	if (!bs_payload_find(p, BS_PL_SP_ID, &pl))
		return BS_EMISSING;
	err = bs_kind_text_get(&pl, &kind, &id);
	if (err)
		return err;
	if (!bs_device_id_ok(id.ptr, id.len))
		return BS_EFIELD;
	memset(m, 0, sizeof(*m));
	m->nsi = p->h.nsi_sp;
	m->event = stats.data[0];
	m->version = version;
	m->id = id;
	get_optional(p, m);
	return BS_OK;
}

static void put_info(struct bs_writer *w, const struct bs_connection_info *info)
{
	size_t off = bs_packet_open_payload(w, BS_PL_CONNECTION_INFO, 0);
	uint32_t v;
	int i;

	if (info->present & 1u << TLV_PATH) {
		bs_writer_put_u8(w, TLV_PATH);
		bs_writer_put_u8(w, TLV_HEAD + 1);
		bs_writer_put_u8(w, info->path);
	}
	for (i = 0; i < N_INFO_FIELDS; i++) {
		if (!(info->present & 1u << info_fields[i].type))
			continue;
		memcpy(&v, (const uint8_t *)info + info_fields[i].off, sizeof(v));
		bs_writer_put_u8(w, info_fields[i].type);
		bs_writer_put_u8(w, TLV_HEAD + 4);
		bs_writer_put_u32(w, v);
	}
	bs_packet_close_payload(w, off);
}

static void put_rendezvous(struct bs_writer *w, const struct bs_rendezvous_stats *r)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_RENDEZVOUS_STATS, 0, RENDEZVOUS_STATS_LEN);

	if (!p)
		return;
	p[0] = STATS_V1;
	p[1] = r->client_nat;
	p[2] = r->device_nat;
	bs_put_u16(p + 3, r->ports);
	bs_put_u16(p + 5, r->sockets);
}

bs_ssize bs_stats_encode(uint8_t *buf, size_t cap, const struct bs_stats *m)
{
	uint8_t attach[ATTACH_STATS_LEN];
	struct bs_writer w;

	bs_packet_start(&w, buf, cap, BS_TYPE_STATS, 0, m->nsi, 0);
	bs_packet_add(&w, BS_PL_STATS, 0, &m->event, 1);
	bs_version_put(&w, &m->version);
	if (m->client_id.len)
		bs_kind_text_put(&w, BS_PL_CP_ID, 0, CP_ID_KIND, m->client_id);
	bs_kind_text_put(&w, BS_PL_SP_ID, 0, BS_ID_HOST, m->id);
	if (m->has_attach) {
		attach[0] = STATS_V1;
		attach[1] = m->attach_status;
		attach[2] = m->attach_secure ? ATTACH_SECURE : 0;
		bs_packet_add(&w, BS_PL_ATTACH_STATS, 0, attach, sizeof(attach));
	}
	if (m->has_ipx)
		bs_ipx_put(&w, &m->ipx);
	if (m->has_rendezvous)
		put_rendezvous(&w, &m->rendezvous);
	if (m->has_info)
		put_info(&w, &m->info);
	return bs_packet_finish(&w);
}
