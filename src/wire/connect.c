/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/connect.h"

#include <string.h>

#include "util/endpoint.h"

/* Only these kinds of CP_ID and FP count; FP has the kind and the fingerprint. */
enum {
	CP_ID_KIND = 1,
	FP_KIND = 1,
	FP_DATA_LEN = 1 + BS_FP_LEN
};
/* Payload sizes, header included. */
enum {
	PL_HEADER = 4,
	IPX_FULL_LEN = PL_HEADER + 29,
	EP6_PAYLOAD_LEN = PL_HEADER + 20,
	CP_ID_HEAD_LEN = PL_HEADER + 1,
	EXT_LEN = 6,
	SUITE_LEN = 2,
	START_LEN = 2
};

static bool first_is(const struct bs_packet *p, uint8_t type)
{
	struct bs_payload pl;
	size_t off = 0;

	return p->h.type == BS_TYPE_U_CONNECT && !p->h.flags && bs_payload_next(p, &off, &pl) &&
	       pl.type == type;
}

bool bs_connect_is_request(const struct bs_packet *p)
{
	return first_is(p, BS_PL_IPX);
}

bool bs_connect_is_rendezvous(const struct bs_packet *p)
{
	return first_is(p, BS_PL_EP);
}

/* What a connection has beyond a stock one; of a wrong length it counts as absent. */
static void get_conn_ext(const struct bs_packet *p, struct bs_connect_request *m)
{
	struct bs_ext_offer ext;
	struct bs_payload pl;

	if (bs_payload_find(p, BS_PL_PAIR, &pl) && pl.len == BS_PAIR_ID_LEN)
		m->pair = pl.data;
	if (bs_payload_find(p, BS_PL_EXT, &pl) && !bs_ext_get(&pl, &ext))
		m->ext = ext.bits;
	if (bs_payload_find(p, BS_PL_SUITE, &pl) && pl.len == SUITE_LEN)
		m->suite = bs_get_u16(pl.data);
}

int bs_connect_request_decode(const struct bs_packet *p, struct bs_connect_request *m)
{
	struct bs_payload pl;
	struct bs_slice text;
	struct bs_ipx ipx;
	uint8_t kind;
	int err;

	if (p->h.type != BS_TYPE_U_CONNECT || p->h.flags)
		return BS_ETYPE;
	if (!bs_payload_find(p, BS_PL_IPX, &pl))
		return BS_EMISSING;
	err = bs_ipx_get(&pl, &ipx);
	if (err)
		return err;
	if (ipx.has_nsi && !ipx.nsi_sp)
		return BS_EFIELD;
	memset(m, 0, sizeof(*m));
	m->cp = p->h.nsi_cp;
	m->sp = p->h.nsi_sp;
	m->seq = p->h.seq;
	m->ipx = ipx;
	if (bs_payload_find(p, BS_PL_CP_ID, &pl) && !bs_kind_text_get(&pl, &kind, &text) &&
	    kind == CP_ID_KIND)
		m->client_id = text;
	if (bs_payload_find(p, BS_PL_FP, &pl) && pl.len == FP_DATA_LEN && pl.data[0] == FP_KIND)
		m->fp = pl.data + 1;
	if (bs_payload_find(p, BS_PL_ATTEMPT, &pl) && pl.len == BS_ATTEMPT_LEN)
		m->attempt = pl.data;
	if (BS_WITH_CONN_EXT)
		get_conn_ext(p, m);
	m->has_crypto = bs_payload_last(p, BS_PL_CRYPTO, &m->crypto_off) == BS_OK;
	return BS_OK;
}

void bs_fp_put(struct bs_writer *w, const uint8_t *fp)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_FP, 0, FP_DATA_LEN);

	if (!p)
		return;
	p[0] = FP_KIND;
	memcpy(p + 1, fp, BS_FP_LEN);
}

static void put_ext(struct bs_writer *w, uint32_t bits)
{
	struct bs_ext_offer ext = { 0 };

	ext.bits = bits;
	bs_ext_put(w, &ext);
}

static void put_suite(struct bs_writer *w, uint16_t suite)
{
	uint8_t data[SUITE_LEN];

	bs_put_u16(data, suite);
	bs_packet_add(w, BS_PL_SUITE, BS_PLF_OPTIONAL, data, sizeof(data));
}

static void put_start(struct bs_writer *w, uint16_t ms)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_START, BS_PLF_OPTIONAL, START_LEN);

	if (p)
		bs_put_u16(p, ms);
}

/* What the optional parts may take once those that always go are counted; negative: no fit. */
static long room(const struct bs_connect_request *m, size_t head, size_t limit)
{
	return (long)limit - (long)head - BS_CONNECT_CRYPTO_LEN -
	       (m->fp ? PL_HEADER + FP_DATA_LEN : 0) -
	       (m->attempt ? PL_HEADER + BS_ATTEMPT_LEN : 0) -
	       (m->pair ? PL_HEADER + BS_PAIR_ID_LEN : 0) - (m->ext ? PL_HEADER + EXT_LEN : 0) -
	       (m->suite ? PL_HEADER + SUITE_LEN : 0) - (m->start_ms ? PL_HEADER + START_LEN : 0);
}

/* What the relay and the client id take of what is left.  The relay goes first when there is no
 * room for all: without it the other paths still work, and a device must know its client. */
static long gw_room(const struct bs_connect_request *m)
{
	return BS_GW_PAYLOAD_LEN + (m->client_id.len ? CP_ID_HEAD_LEN + (long)m->client_id.len : 0);
}

bool bs_connect_gw_fits(const struct bs_connect_request *m, size_t limit)
{
	return room(m, BS_HEADER_MIN + IPX_FULL_LEN, limit) >= gw_room(m);
}

static bool offer_gw(struct bs_writer *w, const struct bs_connect_request *m, long left)
{
	if (!m->gw || !m->ipx.has_full || left < gw_room(m))
		return false;
	bs_gw_put(w, m->gw);
	return true;
}

int bs_connect_request_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			     const struct bs_connect_request *m, size_t limit,
			     struct bs_slice d_block)
{
	struct bs_slice id = m->client_id;
	struct bs_header h;
	long left;
	long id_len;
	uint8_t i;

	if (d_block.len != BS_KEY_BLOCK_LEN || !m->ipx.has_nsi || !m->ipx.nsi_sp)
		return BS_EINVAL;
	memset(&h, 0, sizeof(h));
	h.nsi_cp = m->cp;
	h.nsi_sp = m->sp;
	h.type = BS_TYPE_U_CONNECT;
	h.seq = m->seq;
	bs_packet_begin(w, buf, cap, &h);
	bs_ipx_put(w, &m->ipx);
	left = room(m, w->len, limit < cap ? limit : cap);
	if (w->bad || left < 0)
		return BS_ETOOBIG;
	if (offer_gw(w, m, left))
		left -= BS_GW_PAYLOAD_LEN;

	/* A few characters of a name are worth more than nothing; an empty CP_ID is not.  A client
	 * without any IPv4 endpoint is reached by its first EP6 or not at all. */
	id_len = left - CP_ID_HEAD_LEN;
	if (m->n_eps && !m->ipx.priv.port &&
	    !(m->ipx.global.port && bs_endpoint_is_ip4(&m->ipx.global)))
		id_len -= EP6_PAYLOAD_LEN;
	if (id_len < (long)id.len)
		id.len = id_len > 0 ? (size_t)id_len : 0;
	if (id.len) {
		bs_kind_text_put(w, BS_PL_CP_ID, 0, CP_ID_KIND, id);
		left -= CP_ID_HEAD_LEN + (long)id.len;
	}
	if (m->fp)
		bs_fp_put(w, m->fp);
	if (m->attempt)
		bs_packet_add(w, BS_PL_ATTEMPT, BS_PLF_OPTIONAL, m->attempt, BS_ATTEMPT_LEN);
	if (m->pair)
		bs_packet_add(w, BS_PL_PAIR, BS_PLF_OPTIONAL, m->pair, BS_PAIR_ID_LEN);
	if (m->ext)
		put_ext(w, m->ext);
	if (m->start_ms)
		put_start(w, m->start_ms);
	for (i = 0; i < m->n_eps && left >= EP6_PAYLOAD_LEN; i++, left -= EP6_PAYLOAD_LEN)
		bs_ep6_put(w, &m->eps[i]);
	if (m->suite)
		put_suite(w, m->suite);
	return w->bad ? BS_ETOOBIG : BS_OK;
}

int bs_connect_answer_decode(const struct bs_packet *p, struct bs_connect_answer *m)
{
	struct bs_notify notify;
	struct bs_payload pl;
	int err;

	if (p->h.type != BS_TYPE_U_CONNECT || p->h.flags != BS_FLAG_RESPONSE)
		return BS_ETYPE;
	if (!bs_payload_find(p, BS_PL_NOTIFY, &pl))
		return BS_EMISSING;
	err = bs_notify_get(&pl, &notify);
	if (err)
		return err;
	if (!notify.has_nsi)
		return BS_ESHORT;
	m->cp = p->h.nsi_cp;
	m->sp = p->h.nsi_sp;
	m->seq = p->h.seq;
	m->code = notify.code;
	m->nsi = notify.nsi;
	return BS_OK;
}

void bs_connect_answer_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			     const struct bs_connect_answer *m)
{
	struct bs_notify notify;
	struct bs_header h;

	memset(&h, 0, sizeof(h));
	h.nsi_cp = m->cp;
	h.nsi_sp = m->sp;
	h.type = BS_TYPE_U_CONNECT;
	h.flags = BS_FLAG_RESPONSE;
	h.seq = m->seq;
	notify.code = m->code;
	notify.has_nsi = true;
	notify.nsi = m->nsi;
	bs_packet_begin(w, buf, cap, &h);
	bs_notify_put(w, &notify);
}

bs_ssize bs_connect_answer_encode(uint8_t *buf, size_t cap, const struct bs_connect_answer *m)
{
	struct bs_writer w;

	bs_connect_answer_begin(&w, buf, cap, m);
	return bs_packet_finish(&w);
}
