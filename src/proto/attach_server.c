/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_server.h"

#include <string.h>

#include "crypto/suite.h"
#include "util/endpoint.h"

enum {
	DESCR_VERSION = 1,
	DESCR_URL = 2,
};

static int decode_id(const struct bs_packet *p, struct bs_slice *id)
{
	struct bs_payload pl;
	uint8_t kind;
	int err;

	if (!bs_payload_find(p, BS_PL_SP_ID, &pl))
		return BS_EMISSING;
	err = bs_kind_text_get(&pl, &kind, id);
	if (err)
		return err;
	return bs_device_id_ok(id->ptr, id->len) ? BS_OK : BS_EFIELD;
}

static void decode_descr(const struct bs_packet *p, struct bs_invite *inv)
{
	struct bs_payload pl;
	struct bs_slice text;
	uint8_t kind;
	size_t off = 0;

	while (bs_payload_next(p, &off, &pl)) {
		if (pl.type != BS_PL_DESCR || bs_kind_text_get(&pl, &kind, &text))
			continue;
		if (kind == DESCR_VERSION && inv->app.len == 0)
			inv->app = text;
		else if (kind == DESCR_URL && inv->url.len == 0)
			inv->url = text;
	}
}

/* The nonce's length and the suite both tell the mode; they have to agree. */
static int decode_mode(const struct bs_packet *p, const struct bs_payload *nonce,
		       struct bs_invite *inv)
{
	struct bs_payload pl;
	struct bs_caps caps;
	int err;

	if (!bs_payload_find(p, BS_PL_CAPABILITY, &pl))
		return BS_EMISSING;
	err = bs_caps_get(&pl, &caps);
	if (err)
		return err;
	if (nonce->len == BS_ATTACH_NONCE_LEN && caps.suite == BS_SUITE_AES_CBC)
		inv->legacy = false;
	else if (nonce->len == BS_ATTACH_NONCE_LEGACY_LEN && caps.suite == BS_SUITE_NULL)
		inv->legacy = true;
	else
		return BS_EFIELD;
	inv->nonce.ptr = nonce->data;
	inv->nonce.len = nonce->len;
	inv->for_attach = true;
	return BS_OK;
}

int bs_invite_decode(const struct bs_packet *p, struct bs_invite *inv)
{
	struct bs_ext_offer ext;
	struct bs_invite v;
	struct bs_payload pl;
	int err;

	memset(&v, 0, sizeof(v));
	if (p->h.flags != 0 || p->h.nsi_sp != 0)
		return BS_EFIELD;
	v.seq = p->h.seq;
	if (!bs_payload_find(p, BS_PL_VERSION, &pl))
		return BS_EMISSING;
	err = bs_version_get(&pl, &v.version);
	if (!err)
		err = decode_id(p, &v.id);
	if (!err && bs_payload_find(p, BS_PL_NONCE, &pl))
		err = decode_mode(p, &pl, &v);
	if (!err && bs_payload_find(p, BS_PL_EXT, &pl)) {
		err = bs_ext_get(&pl, &ext);
		v.has_ext = true;
		v.ext = err ? 0 : ext.bits;
	}
	if (err)
		return err;
	decode_descr(p, &v);
	*inv = v;
	return BS_OK;
}

static void put_ep6(struct bs_writer *w, const struct bs_endpoint *ep, uint8_t kind)
{
	struct bs_ep6 e = { .ep = *ep, .kind = kind };

	bs_ep6_put(w, &e);
}

bs_ssize bs_controller_answer_encode(const struct bs_controller_answer *a, uint8_t *buf, size_t cap)
{
	struct bs_header h = { .type = BS_TYPE_U_INVITE, .flags = BS_FLAG_RESPONSE, .seq = a->seq };
	struct bs_ipx ipx = { .priv = a->server, .global = a->peer };
	struct bs_writer w;

	bs_packet_begin(&w, buf, cap, &h);
	bs_ipx_put(&w, &ipx);
	if (!bs_endpoint_is_ip4(&a->peer)) {
		put_ep6(&w, &a->server, BS_EP6_SERVER);
		put_ep6(&w, &a->peer, BS_EP6_OBSERVED);
	}
	return bs_packet_finish(&w);
}

bs_ssize bs_attach_request_encode(const struct bs_crypto *c, const struct bs_key_block *a_key,
				  const struct bs_attach_offer *o, uint8_t *buf, size_t cap)
{
	struct bs_header h = { .type = BS_TYPE_U_ATTACH, .nsi_sp = o->nsi, .seq = o->seq };
	uint8_t plain[2 * BS_ATTACH_NONCE_LEN];
	struct bs_slice text = { plain, sizeof(plain) };
	struct bs_writer w;
	bs_ssize len;

	bs_packet_begin(&w, buf, cap, &h);
	bs_ep_put(&w, &o->peer);
	bs_packet_add(&w, BS_PL_NONCE, 0, o->nonce_s, BS_ATTACH_NONCE_LEN);
	if (o->has_ext) {
		struct bs_ext_offer ext = { .bits = o->ext };

		bs_ext_put(&w, &ext);
		if (!bs_endpoint_is_ip4(&o->peer))
			put_ep6(&w, &o->peer, BS_EP6_OBSERVED);
	}
	memcpy(plain, o->nonce_d, BS_ATTACH_NONCE_LEN);
	memcpy(plain + BS_ATTACH_NONCE_LEN, o->seed_s, BS_ATTACH_NONCE_LEN);
	len = bs_suite_aes_cbc.seal(c, a_key, BS_INITIATOR, &w, 0, text);
	bs_wipe(plain, sizeof(plain));
	return len;
}

static int decode_ext(const struct bs_packet *p, struct bs_attach_answer *out)
{
	struct bs_ext_offer ext;
	struct bs_payload pl;
	size_t off = 0;
	int err;

	if (bs_payload_find(p, BS_PL_EXT, &pl)) {
		err = bs_ext_get(&pl, &ext);
		if (err)
			return err;
		out->has_ext = true;
		out->granted = ext.bits;
		out->offered = ext.has_offered ? ext.offered : ext.bits;
	}
	while (bs_payload_next(p, &off, &pl)) {
		struct bs_ep6 *ep = &out->ep6[out->n_ep6];

		if (pl.type != BS_PL_EP6 || out->n_ep6 == BS_ATTACH_EP6_MAX)
			continue;
		err = bs_ep6_get(&pl, ep);
		if (err)
			return err;
		out->n_ep6++;
	}
	return BS_OK;
}

int bs_attach_answer_decode(const struct bs_packet *p, struct bs_attach_answer *out)
{
	struct bs_attach_answer a;
	struct bs_notify notify;
	struct bs_payload pl;
	int err;

	memset(&a, 0, sizeof(a));
	if (!bs_payload_find(p, BS_PL_CAPABILITY, &pl))
		return BS_EMISSING;
	err = bs_caps_get(&pl, &a.caps);
	if (err)
		return err;
	if (!bs_payload_find(p, BS_PL_IPX, &pl))
		return BS_EMISSING;
	err = bs_ipx_get(&pl, &a.ipx);
	if (err)
		return err;
	if (!bs_payload_find(p, BS_PL_NOTIFY, &pl))
		return BS_EMISSING;
	err = bs_notify_get(&pl, &notify);
	if (!err && notify.code != BS_ST_OK)
		err = BS_EFIELD;
	if (!err)
		err = decode_ext(p, &a);
	if (err)
		return err;
	*out = a;
	return BS_OK;
}

int bs_attach_response_open(const struct bs_crypto *c, const struct bs_key_block *a_key,
			    const uint8_t *nonce_s, const struct bs_packet *p, uint8_t *pkt,
			    struct bs_attach_answer *out)
{
	struct bs_attach_answer a;
	struct bs_payload crypto;
	struct bs_slice plain;
	int err;

	if (p->h.flags != BS_FLAG_RESPONSE)
		return BS_ESTATE;
	if (!bs_payload_find(p, BS_PL_CRYPTO, &crypto))
		return BS_EMISSING;
	err = bs_suite_aes_cbc.open(c, a_key, BS_INITIATOR, pkt, p->len,
				    (size_t)(crypto.data - p->bytes) - 4, &plain);
	if (err)
		return err;
	if (plain.len != 2 * BS_ATTACH_NONCE_LEN)
		err = BS_ELENGTH;
	else if (!bs_equal_secret(plain.ptr, nonce_s, BS_ATTACH_NONCE_LEN))
		err = BS_ENONCE;
	else
		err = bs_attach_answer_decode(p, &a);
	if (!err) {
		memcpy(a.seed_d, plain.ptr + BS_ATTACH_NONCE_LEN, BS_ATTACH_NONCE_LEN);
		*out = a;
		bs_wipe(a.seed_d, sizeof(a.seed_d));
	}
	bs_wipe(pkt + (plain.ptr - pkt), plain.len);
	return err;
}

int bs_attach_ext_check(bool has_ext, uint32_t offered, uint32_t granted,
			const struct bs_attach_answer *a)
{
	if (!a->has_ext)
		return BS_OK;
	if (!has_ext || a->offered != offered || a->granted != granted)
		return BS_ESTRIPPED;
	return BS_OK;
}
