/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/attach.h"

#include <string.h>

#include "util/endpoint.h"

enum {
	CRYPTO_LEN = 118, /* of two nonces' plaintext */
	EP6_LEN = 24,
};

/* The next payload of a message whose order is fixed. */
static bool next_is(const struct bs_packet *p, size_t *off, uint8_t type, struct bs_payload *pl)
{
	size_t at = *off;

	if (!bs_payload_next(p, &at, pl) || pl->type != type)
		return false;
	*off = at;
	return true;
}

/* [EXT, [INTERVAL], [EP6]] of a request, in this order. */
static int get_ext_part(const struct bs_packet *p, size_t *off, struct bs_attach_request *m)
{
	struct bs_ext_offer ext;
	struct bs_payload pl;
	struct bs_ep6 ep;
	int err;

	if (!BS_WITH_EXT || !next_is(p, off, BS_PL_EXT, &pl))
		return BS_OK;
	err = bs_ext_get(&pl, &ext);
	if (err)
		return err;
	m->has_ext = true;
	m->ext = ext.bits;
	if (next_is(p, off, BS_PL_INTERVAL, &pl)) {
		if (pl.len != 2)
			return BS_EFIELD;
		m->interval_s = bs_get_u16(pl.data);
	}
	if (BS_HAS_IP6 && next_is(p, off, BS_PL_EP6, &pl)) {
		err = bs_ep6_get(&pl, &ep);
		if (!err && ep.kind == BS_EP6_OBSERVED)
			m->observed = ep.ep;
	}
	return err;
}

int bs_attach_request_decode(const struct bs_packet *p, size_t nonce_len, uint8_t last,
			     struct bs_attach_request *m)
{
	struct bs_attach_request tmp;
	struct bs_payload pl;
	size_t off = 0;
	int err;

	if (p->h.type != BS_TYPE_U_ATTACH || p->h.flags)
		return BS_ETYPE;
	memset(&tmp, 0, sizeof(tmp));
	tmp.nsi = p->h.nsi_sp;
	tmp.seq = p->h.seq;
	if (!next_is(p, &off, BS_PL_EP, &pl))
		return BS_EMISSING;
	err = bs_ep_get(&pl, &tmp.observed);
	if (err)
		return err;
	if (!next_is(p, &off, BS_PL_NONCE, &pl))
		return BS_EMISSING;
	if (pl.len != nonce_len)
		return BS_EFIELD;
	tmp.nonce.ptr = pl.data;
	tmp.nonce.len = pl.len;
	err = get_ext_part(p, &off, &tmp);
	if (err)
		return err;
	tmp.last_off = p->list_off + off;
	if (!next_is(p, &off, last, &pl) || p->list_off + off != p->len)
		return BS_EMISSING;
	*m = tmp;
	return BS_OK;
}

void bs_attach_request_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			     const struct bs_attach_request *m)
{
	struct bs_ext_offer ext;

	bs_packet_start(w, buf, cap, BS_TYPE_U_ATTACH, 0, m->nsi, m->seq);
	bs_ep_put(w, &m->observed);
	bs_packet_add(w, BS_PL_NONCE, 0, m->nonce.ptr, m->nonce.len);
	if (m->has_ext) {
		memset(&ext, 0, sizeof(ext));
		ext.bits = m->ext;
		bs_ext_put(w, &ext);
		bs_interval_put(w, m->interval_s);
		bs_ep6_put_if_needed(w, &m->observed, BS_EP6_OBSERVED);
	}
	/* 0 would be a number that the device takes and nobody else may use. */
	if (!m->nsi)
		w->bad = true;
}

/* What a device under extension COOKIE brings back.  An id without nonce is none: the server has
 * nothing to look the other half up in. */
static int get_invite_part(const struct bs_packet *p, struct bs_attach_response *m)
{
	struct bs_payload pl;
	struct bs_slice text;
	uint8_t kind;
	int err;

	if (!bs_payload_find(p, BS_PL_SP_ID, &pl))
		return BS_OK;
	err = bs_kind_text_get(&pl, &kind, &text);
	if (err)
		return err;
	if (kind != BS_ID_HOST || !bs_device_id_ok(text.ptr, text.len))
		return BS_EFIELD;
	if (!bs_payload_find(p, BS_PL_NONCE, &pl))
		return BS_EMISSING;
	if (pl.len != BS_NONCE_LEN)
		return BS_EFIELD;
	m->id = text;
	m->nonce_d = pl.data;
	if (bs_payload_find(p, BS_PL_VERSION, &pl) && bs_version_get(&pl, &m->version) != BS_OK)
		memset(&m->version, 0, sizeof(m->version));
	if (bs_payload_find(p, BS_PL_DESCR, &pl) && bs_kind_text_get(&pl, &kind, &text) == BS_OK &&
	    kind == BS_DESCR_APP_VERSION)
		m->app_version = text;
	return BS_OK;
}

int bs_attach_response_decode(const struct bs_packet *p, uint8_t last, struct bs_attach_response *m)
{
	struct bs_attach_response tmp;
	struct bs_notify notify;
	struct bs_payload pl;
	int err;

	if (p->h.type != BS_TYPE_U_ATTACH || p->h.flags != BS_FLAG_RESPONSE)
		return BS_ETYPE;
	memset(&tmp, 0, sizeof(tmp));
	tmp.nsi = p->h.nsi_sp;
	tmp.seq = p->h.seq;
	if (!bs_payload_find(p, BS_PL_CAPABILITY, &pl))
		return BS_EMISSING;
	err = bs_caps_get(&pl, &tmp.caps);
	if (err)
		return err;
	if (!bs_payload_find(p, BS_PL_IPX, &pl))
		return BS_EMISSING;
	err = bs_ipx_get(&pl, &tmp.ipx);
	if (err)
		return err;
	if (!bs_payload_find(p, BS_PL_NOTIFY, &pl))
		return BS_EMISSING;
	err = bs_notify_get(&pl, &notify);
	if (err)
		return err;
	if (notify.code != BS_ST_OK)
		return BS_EFIELD;
	if (bs_payload_find(p, BS_PL_EXT, &pl)) {
		err = bs_ext_get(&pl, &tmp.ext);
		if (err)
			return err;
		tmp.has_ext = true;
		err = get_invite_part(p, &tmp);
		if (err)
			return err;
	}
	err = bs_payload_last(p, last, &tmp.last_off);
	if (!err)
		*m = tmp;
	return err;
}

/* The texts are for people to read, so they give way to what the attach needs. */
static void put_invite_part(struct bs_writer *w, const struct bs_attach_response *m)
{
	struct bs_writer before;

	bs_kind_text_put(w, BS_PL_SP_ID, 0, BS_ID_HOST, m->id);
	bs_packet_add(w, BS_PL_NONCE, 0, m->nonce_d, BS_NONCE_LEN);
	before = *w;
	if (m->version.kind)
		bs_version_put(w, &m->version);
	if (m->app_version.len)
		bs_kind_text_put(w, BS_PL_DESCR, BS_PLF_OPTIONAL, BS_DESCR_APP_VERSION,
				 m->app_version);
	if (w->bad || w->cap - w->len < CRYPTO_LEN)
		*w = before;
}

void bs_attach_response_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			      const struct bs_attach_response *m)
{
	uint8_t i;

	bs_packet_start(w, buf, cap, BS_TYPE_U_ATTACH, BS_FLAG_RESPONSE, m->nsi, m->seq);
	bs_caps_put(w, &m->caps);
	bs_ipx_put(w, &m->ipx);
	bs_notify_ok_put(w);
	if (!BS_WITH_EXT || !m->has_ext)
		return;
	bs_ext_put(w, &m->ext);
	if (BS_WITH_ADMISSION && m->id.len)
		put_invite_part(w, m);
	for (i = 0; BS_HAS_IP6 && i < m->n_eps && w->len + EP6_LEN + CRYPTO_LEN <= w->cap; i++)
		bs_ep6_put(w, &m->eps[i]);
}
