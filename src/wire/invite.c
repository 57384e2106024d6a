/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/invite.h"

#include <string.h>

#include "util/endpoint.h"

static int get_id(const struct bs_packet *p, struct bs_slice *id)
{
	struct bs_payload pl;
	uint8_t kind;
	int err;

	if (!bs_payload_find(p, BS_PL_SP_ID, &pl))
		return BS_EMISSING;
	err = bs_kind_text_get(&pl, &kind, id);
	if (!err && (kind != BS_ID_HOST || !bs_device_id_ok(id->ptr, id->len)))
		err = BS_EFIELD;
	return err;
}

static void get_descr(const struct bs_packet *p, struct bs_invite *m)
{
	struct bs_payload pl;
	struct bs_slice text;
	uint8_t kind;
	size_t off = 0;

	while (bs_payload_next(p, &off, &pl)) {
		if (pl.type != BS_PL_DESCR || bs_kind_text_get(&pl, &kind, &text))
			continue;
		if (kind == BS_DESCR_APP_VERSION && !m->app_version.len)
			m->app_version = text;
		else if (kind == BS_DESCR_URL && !m->url.len)
			m->url = text;
	}
}

/* The length of the nonce and the suite must name the same mode. */
static int get_server_part(const struct bs_packet *p, const struct bs_payload *nonce,
			   struct bs_invite *m)
{
	struct bs_payload pl;
	uint16_t suite;
	int err;

	m->nonce.ptr = nonce->data;
	m->nonce.len = nonce->len;
	if (nonce->len != BS_NONCE_LEN && nonce->len != BS_NONCE_LEGACY_LEN)
		return BS_EFIELD;
	suite = nonce->len == BS_NONCE_LEN ? BS_SUITE_AES_CBC : BS_SUITE_NULL;
	if (!bs_payload_find(p, BS_PL_CAPABILITY, &pl))
		return BS_EMISSING;
	err = bs_caps_get(&pl, &m->caps);
	if (!err && (m->caps.n_suites != 1 || m->caps.suite != suite))
		err = BS_EFIELD;
	get_descr(p, m);
	return err;
}

/* One of another length is no cookie. */
static const uint8_t *get_cookie(const struct bs_packet *p)
{
	struct bs_payload pl;

	return bs_payload_find(p, BS_PL_COOKIE, &pl) && pl.len == BS_COOKIE_LEN ? pl.data : NULL;
}

int bs_invite_decode(const struct bs_packet *p, struct bs_invite *m)
{
	struct bs_invite tmp;
	struct bs_ext_offer ext;
	struct bs_payload pl;
	int err;

	if (p->h.type != BS_TYPE_U_INVITE || p->h.flags)
		return BS_ETYPE;
	memset(&tmp, 0, sizeof(tmp));
	tmp.seq = p->h.seq;
	if (!bs_payload_find(p, BS_PL_VERSION, &pl))
		return BS_EMISSING;
	err = bs_version_get(&pl, &tmp.version);
	if (!err)
		err = get_id(p, &tmp.id);
	if (!err && bs_payload_find(p, BS_PL_NONCE, &pl))
		err = get_server_part(p, &pl, &tmp);
	if (err)
		return err;
	/* An offer that cannot be read is no offer. */
	if (bs_payload_find(p, BS_PL_EXT, &pl) && bs_ext_get(&pl, &ext) == BS_OK) {
		tmp.has_ext = true;
		tmp.ext = ext.bits;
		tmp.cookie = get_cookie(p);
	}
	*m = tmp;
	return BS_OK;
}

static void put_server_part(struct bs_writer *w, const struct bs_invite *m)
{
	static const uint8_t unset[] = { '-' };
	struct bs_slice app = m->app_version;

	if (!app.len) {
		app.ptr = unset;
		app.len = sizeof(unset);
	}
	bs_packet_add(w, BS_PL_NONCE, 0, m->nonce.ptr, m->nonce.len);
	bs_kind_text_put(w, BS_PL_DESCR, BS_PLF_OPTIONAL, BS_DESCR_APP_VERSION, app);
	if (m->url.len)
		bs_kind_text_put(w, BS_PL_DESCR, BS_PLF_OPTIONAL, BS_DESCR_URL, m->url);
	bs_caps_put(w, &m->caps);
}

static void put_ext(struct bs_writer *w, const struct bs_invite *m)
{
	struct bs_ext_offer ext;
	size_t off;

	memset(&ext, 0, sizeof(ext));
	ext.bits = m->ext;
	bs_ext_put(w, &ext);
	if (BS_WITH_ADMISSION && m->cookie)
		bs_packet_add(w, BS_PL_COOKIE, BS_PLF_OPTIONAL, m->cookie, BS_COOKIE_LEN);
	off = bs_packet_open_payload(w, BS_PL_PAD, BS_PLF_OPTIONAL);
	if (w->len < BS_INVITE_PAD_LEN)
		bs_writer_put_zero(w, BS_INVITE_PAD_LEN - w->len);
	bs_packet_close_payload(w, off);
}

static bs_ssize encode(uint8_t *buf, size_t cap, const struct bs_invite *m)
{
	struct bs_writer w;

	if (!bs_device_id_ok(m->id.ptr, m->id.len))
		return BS_EINVAL;
	bs_packet_start(&w, buf, cap, BS_TYPE_U_INVITE, 0, 0, m->seq);
	bs_version_put(&w, &m->version);
	if (m->nonce.len)
		put_server_part(&w, m);
	bs_kind_text_put(&w, BS_PL_SP_ID, 0, BS_ID_HOST, m->id);
	if (BS_WITH_EXT && m->has_ext)
		put_ext(&w, m);
	return bs_packet_finish(&w);
}

bs_ssize bs_invite_encode(uint8_t *buf, size_t cap, const struct bs_invite *m)
{
	bs_ssize len = encode(buf, cap, m);
	struct bs_invite brief;

	/* A device without its cookie would be asked for it for ever; one without URL attaches. */
	if (BS_WITH_ADMISSION && len == BS_ETOOBIG && m->cookie && m->url.len) {
		brief = *m;
		brief.url.len = 0;
		len = encode(buf, cap, &brief);
	}
	return len;
}

int bs_invite_answer_decode(const struct bs_packet *p, struct bs_invite_answer *m)
{
	struct bs_payload pl;
	struct bs_ipx ipx;
	struct bs_ep6 ep;
	int err;

	if (p->h.type != BS_TYPE_U_INVITE || p->h.flags != BS_FLAG_RESPONSE)
		return BS_ETYPE;
	if (p->h.nsi_sp)
		return BS_EFIELD;
	if (!bs_payload_find(p, BS_PL_IPX, &pl))
		return BS_EMISSING;
	err = bs_ipx_get(&pl, &ipx);
	if (err)
		return err;
	if (BS_HAS_IP6 && !bs_endpoint_is_set(&ipx.priv) &&
	    bs_ep6_collect(p, BS_EP6_SERVER, &ep, 1))
		ipx.priv = ep.ep;
	if (BS_HAS_IP6 && !bs_endpoint_is_set(&ipx.global) &&
	    bs_ep6_collect(p, BS_EP6_OBSERVED, &ep, 1))
		ipx.global = ep.ep;
	if (!bs_endpoint_is_set(&ipx.priv))
		return BS_EFIELD;
	m->seq = p->h.seq;
	m->server = ipx.priv;
	m->observed = ipx.global;
	m->cookie = NULL;
	return BS_OK;
}

static void begin_answer(struct bs_writer *w, uint8_t *buf, size_t cap, uint16_t seq)
{
	struct bs_header h;

	memset(&h, 0, sizeof(h));
	h.type = BS_TYPE_U_INVITE;
	h.flags = BS_FLAG_RESPONSE;
	h.seq = seq;
	bs_packet_begin(w, buf, cap, &h);
}

bs_ssize bs_invite_answer_encode(uint8_t *buf, size_t cap, const struct bs_invite_answer *m)
{
	struct bs_writer w;
	struct bs_ipx ipx;

	memset(&ipx, 0, sizeof(ipx));
	ipx.priv = m->server;
	ipx.global = m->observed;
	begin_answer(&w, buf, cap, m->seq);
	bs_ipx_put(&w, &ipx);
	bs_ep6_put_if_needed(&w, &m->server, BS_EP6_SERVER);
	bs_ep6_put_if_needed(&w, &m->observed, BS_EP6_OBSERVED);
	if (m->cookie)
		bs_packet_add(&w, BS_PL_COOKIE, BS_PLF_OPTIONAL, m->cookie, BS_COOKIE_LEN);
	return bs_packet_finish(&w);
}

int bs_invite_notice_decode(const struct bs_packet *p, struct bs_invite_notice *m)
{
	struct bs_payload pl;

	if (p->h.type != BS_TYPE_U_INVITE || p->h.flags != BS_FLAG_RESPONSE)
		return BS_ETYPE;
	if (p->h.nsi_sp)
		return BS_EFIELD;
	memset(m, 0, sizeof(*m));
	m->seq = p->h.seq;
	m->cookie = get_cookie(p);
	if (bs_payload_find(p, BS_PL_RETRY, &pl) && pl.len == 4) {
		m->has_retry = true;
		m->retry_ms = bs_get_u32(pl.data);
	}
	return m->cookie || m->has_retry ? BS_OK : BS_EMISSING;
}

bs_ssize bs_invite_notice_encode(uint8_t *buf, size_t cap, const struct bs_invite_notice *m)
{
	struct bs_writer w;
	uint8_t ms[4];

	if (!m->cookie && !m->has_retry)
		return BS_EINVAL;
	begin_answer(&w, buf, cap, m->seq);
	if (m->cookie)
		bs_packet_add(&w, BS_PL_COOKIE, BS_PLF_OPTIONAL, m->cookie, BS_COOKIE_LEN);
	if (m->has_retry) {
		bs_put_u32(ms, m->retry_ms);
		bs_packet_add(&w, BS_PL_RETRY, BS_PLF_OPTIONAL, ms, sizeof(ms));
	}
	return bs_packet_finish(&w);
}
