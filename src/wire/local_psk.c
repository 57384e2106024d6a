/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake with a pre-shared key. */
#include "wire/local.h"

#include <string.h>

/* Only these kinds of CP_ID and FP count. */
enum {
	CP_ID_KIND = 1,
	FP_KIND = 1,
};

/* Capabilities: what both sides must have, and the mask that all of them always send. */
#define CAP_NEEDED ((uint32_t)(BS_CAP_TAGS | BS_CAP_FRAMING | BS_CAP_ASYNC))
#define CAP_MASK   (CAP_NEEDED | BS_CAP_FINGERPRINT)

static void put_caps(struct bs_writer *w, bool fingerprints)
{
	struct bs_caps caps;

	memset(&caps, 0, sizeof(caps));
	caps.bits = CAP_NEEDED | (fingerprints ? (uint32_t)BS_CAP_FINGERPRINT : 0);
	caps.mask = CAP_MASK;
	caps.has_suites = true;
	caps.n_suites = 1;
	caps.suite = BS_SUITE_AES_CBC;
	bs_caps_put(w, &caps);
}

/* The common subset, and whether the one suite that is left is in the list. */
static int get_caps(const struct bs_packet *p, uint32_t *bits, bool *suite)
{
	struct bs_payload pl;
	struct bs_cursor c;
	uint16_t n;

	if (!bs_payload_find(p, BS_PL_CAPABILITY, &pl))
		return BS_EMISSING;
	bs_cursor_init(&c, pl.data, pl.len);
	if (bs_cursor_read_u8(&c) != 0)
		return BS_EFIELD;
	*bits = bs_cursor_read_u32(&c);
	*bits &= bs_cursor_read_u32(&c);
	if (c.bad)
		return BS_ESHORT;
	*suite = false;
	for (n = bs_cursor_left(&c) ? bs_cursor_read_u16(&c) : 0; n && !c.bad; n--)
		*suite = bs_cursor_read_u16(&c) == BS_SUITE_AES_CBC || *suite;
	return BS_OK;
}

/* A payload of exactly this length; *data is NULL when there is none of its type. */
static int get_fixed(const struct bs_packet *p, uint8_t type, size_t len, const uint8_t **data)
{
	struct bs_payload pl;

	if (!bs_payload_find(p, type, &pl))
		return BS_EMISSING;
	*data = pl.data;
	return pl.len == len ? BS_OK : BS_ELENGTH;
}

void bs_psk_request_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			  const struct bs_psk_request *m)
{
	struct bs_header h;
	uint8_t *p;

	memset(&h, 0, sizeof(h));
	h.nsi_cp = m->cp;
	h.type = BS_TYPE_U_CONNECT_PSK;
	bs_packet_begin(w, buf, cap, &h);
	put_caps(w, m->fingerprints);
	if (m->client_id.len)
		bs_kind_text_put(w, BS_PL_CP_ID, 0, CP_ID_KIND, m->client_id);
	p = m->fp ? bs_packet_add_reserve(w, BS_PL_FP, 0, 1 + BS_FP_LEN) : NULL;
	if (p) {
		p[0] = FP_KIND;
		memcpy(p + 1, m->fp, BS_FP_LEN);
	}
	bs_packet_add(w, BS_PL_KEY_ID, 0, m->key_id, BS_KEY_ID_LEN);
	bs_packet_add(w, BS_PL_NONCE, 0, m->nonce, BS_NONCE_LEN);
}

int bs_psk_request_decode(const struct bs_packet *p, struct bs_psk_request *m)
{
	struct bs_psk_request out;
	struct bs_payload pl;
	struct bs_slice text;
	uint32_t bits = 0;
	bool suite = false;
	uint8_t kind;
	int err;

	if (p->h.type != BS_TYPE_U_CONNECT_PSK || p->h.flags)
		return BS_ETYPE;
	memset(&out, 0, sizeof(out));
	err = get_caps(p, &bits, &suite);
	if (!err)
		err = get_fixed(p, BS_PL_KEY_ID, BS_KEY_ID_LEN, &out.key_id);
	if (!err)
		err = get_fixed(p, BS_PL_NONCE, BS_NONCE_LEN, &out.nonce);
	if (!err)
		err = bs_payload_last(p, BS_PL_CRYPTO, &out.crypto_off);
	if (err)
		return err;
	out.cp = p->h.nsi_cp;
	out.seq = p->h.seq;
	out.able = suite && (bits & CAP_NEEDED) == CAP_NEEDED;
	out.fingerprints = (bits & BS_CAP_FINGERPRINT) != 0;
	if (bs_payload_find(p, BS_PL_CP_ID, &pl) && !bs_kind_text_get(&pl, &kind, &text) &&
	    kind == CP_ID_KIND && text.len <= BS_CLIENT_ID_MAX)
		out.client_id = text;
	if (bs_payload_find(p, BS_PL_FP, &pl) && pl.len == 1 + BS_FP_LEN && pl.data[0] == FP_KIND)
		out.fp = pl.data + 1;
	*m = out;
	return BS_OK;
}

/* As stock devices answer: version 0, number 0 (basestation-wire(7), LOCAL NETWORK). */
static void begin_answer(struct bs_writer *w, uint8_t *buf, size_t cap, enum bs_type type,
			 uint8_t flags, uint32_t cp, uint32_t sp)
{
	struct bs_header h;

	memset(&h, 0, sizeof(h));
	h.nsi_cp = cp;
	h.nsi_sp = sp;
	h.type = (uint8_t)type;
	h.flags = flags;
	bs_packet_begin(w, buf, cap, &h);
	/* The writer always puts our version. */
	if (!w->bad && (flags & BS_FLAG_RESPONSE))
		w->buf[9] = 0;
}

void bs_psk_answer_begin(struct bs_writer *w, uint8_t *buf, size_t cap,
			 const struct bs_psk_answer *m)
{
	begin_answer(w, buf, cap, BS_TYPE_U_CONNECT_PSK, BS_FLAG_RESPONSE, m->cp, m->sp);
	put_caps(w, m->fingerprints);
	bs_packet_add(w, BS_PL_NONCE, 0, m->nonce, BS_NONCE_LEN);
}

int bs_psk_answer_decode(const struct bs_packet *p, struct bs_psk_answer *m)
{
	struct bs_psk_answer out;
	uint32_t bits = 0;
	bool suite = false;
	int err;

	if (p->h.type != BS_TYPE_U_CONNECT_PSK || p->h.flags != BS_FLAG_RESPONSE)
		return BS_ETYPE;
	memset(&out, 0, sizeof(out));
	err = get_caps(p, &bits, &suite);
	if (!err)
		err = get_fixed(p, BS_PL_NONCE, BS_NONCE_LEN, &out.nonce);
	if (!err)
		err = bs_payload_last(p, BS_PL_CRYPTO, &out.crypto_off);
	if (err)
		return err;
	if (!suite)
		return BS_ESUITE;
	out.cp = p->h.nsi_cp;
	out.sp = p->h.nsi_sp;
	out.fingerprints = (bits & BS_CAP_FINGERPRINT) != 0;
	*m = out;
	return BS_OK;
}

void bs_psk_verify_begin(struct bs_writer *w, uint8_t *buf, size_t cap, uint32_t cp, uint32_t sp)
{
	struct bs_header h;

	memset(&h, 0, sizeof(h));
	h.nsi_cp = cp;
	h.nsi_sp = sp;
	h.type = BS_TYPE_U_VERIFY_PSK;
	bs_packet_begin(w, buf, cap, &h);
}

int bs_psk_verify_decode(const struct bs_packet *p, size_t *crypto_off)
{
	if (p->h.type != BS_TYPE_U_VERIFY_PSK || p->h.flags)
		return BS_ETYPE;
	return bs_payload_last(p, BS_PL_CRYPTO, crypto_off);
}

int bs_psk_notice_decode(const struct bs_packet *p, struct bs_psk_notice *m)
{
	struct bs_notify notify;
	struct bs_payload pl;
	bool verify = p->h.type == BS_TYPE_U_VERIFY_PSK && p->h.flags == BS_FLAG_RESPONSE;
	bool trouble = p->h.type == BS_TYPE_U_CONNECT_PSK && (p->h.flags & BS_FLAG_EXCEPTION) &&
		       !(p->h.flags & ~(BS_FLAG_EXCEPTION | BS_FLAG_RESPONSE));
	int err;

	if (!verify && !trouble)
		return BS_ETYPE;
	if (!bs_payload_find(p, BS_PL_NOTIFY, &pl))
		return BS_EMISSING;
	err = bs_notify_get(&pl, &notify);
	if (err)
		return err;
	m->cp = p->h.nsi_cp;
	m->sp = p->h.nsi_sp;
	m->type = p->h.type;
	m->flags = p->h.flags;
	m->code = notify.code;
	return BS_OK;
}

bs_ssize bs_psk_notice_encode(uint8_t *buf, size_t cap, const struct bs_psk_notice *m)
{
	struct bs_notify notify;
	struct bs_writer w;

	memset(&notify, 0, sizeof(notify));
	notify.code = m->code;
	begin_answer(&w, buf, cap, (enum bs_type)m->type, m->flags, m->cp, m->sp);
	bs_notify_put(&w, &notify);
	return bs_packet_finish(&w);
}

static void put_part(uint8_t *p, uint8_t type, const uint8_t *data)
{
	p[0] = type;
	p[1] = 0;
	bs_put_u16(p + 2, 4 + BS_NONCE_LEN);
	memcpy(p + 4, data, BS_NONCE_LEN);
}

void bs_psk_proof_encode(uint8_t buf[BS_PSK_PROOF_LEN], const struct bs_psk_proof *m)
{
	put_part(buf, BS_PL_RANDOM, m->random);
	put_part(buf + BS_PSK_PROOF_LEN / 2, BS_PL_NONCE, m->nonce);
}

int bs_psk_proof_decode(struct bs_slice plain, struct bs_psk_proof *m)
{
	struct bs_psk_proof out = { NULL, NULL };
	struct bs_payload pl;
	size_t off = 0;

	if (bs_payload_list_check(plain.ptr, plain.len))
		return BS_EPAYLOAD;
	while (bs_payload_list_next(plain.ptr, plain.len, &off, &pl)) {
		if (pl.type != BS_PL_RANDOM && pl.type != BS_PL_NONCE)
			continue;
		if (pl.len != BS_NONCE_LEN)
			return BS_ELENGTH;
		if (pl.type == BS_PL_RANDOM)
			out.random = pl.data;
		else
			out.nonce = pl.data;
	}
	if (!out.random || !out.nonce)
		return BS_EMISSING;
	*m = out;
	return BS_OK;
}
