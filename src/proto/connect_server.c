/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/connect_server.h"

#include <string.h>

#include "crypto/suite.h"
#include "util/endpoint.h"

enum {
	CP_ID_KIND_MAIL = 1,
	FP_KIND_SHA256 = 1,
	KIND_TEXT_HEAD_LEN = 5, /* payload header and kind */
	EP6_LEN = 24,           /* payload with header */
	SENDS = 4,              /* at 0, 1, 2 and 3 s with the usual pace */
	ID_KEEP = 16,           /* of the identity, before IPv6 candidates take room */
};

static bool is_allowed(const struct bs_connect_offer *o)
{
	if (!o->ipx.has_nsi || o->ipx.nsi_sp == 0 || (o->ipx.flags & BS_IPX_PRIVATE_FIRST))
		return false;
	return o->c_key ? o->block.len == BS_KEY_BLOCK_LEN : o->block.len == 0;
}

static void put_fp(struct bs_writer *w, const uint8_t *fp)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_FP, 0, 1 + BS_FP_LEN);

	if (!p)
		return;
	p[0] = FP_KIND_SHA256;
	memcpy(p + 1, fp, BS_FP_LEN);
}

/* Room that is left for identity and candidates once everything else has its place. */
static bool room_left(const struct bs_connect_offer *o, const struct bs_writer *w, size_t *room)
{
	size_t used = w->len;

	if (o->fp)
		used += 4 + 1 + BS_FP_LEN;
	if (o->has_attempt)
		used += 4 + 8;
	if (o->c_key)
		used += bs_suite_aes_cbc.payload_len(BS_KEY_BLOCK_LEN);
	if (used > o->limit)
		return false;
	*room = o->limit - used;
	return true;
}

static void put_optional(struct bs_writer *w, const struct bs_connect_offer *o, size_t room)
{
	size_t keep = o->cp_id.len < ID_KEEP ? o->cp_id.len : ID_KEEP;
	size_t n = 0;
	size_t i;

	if (room > KIND_TEXT_HEAD_LEN + keep)
		n = (room - KIND_TEXT_HEAD_LEN - keep) / EP6_LEN;
	if (n > o->n_ep6)
		n = o->n_ep6;
	room -= n * EP6_LEN;
	if (o->cp_id.len > 0 && room > KIND_TEXT_HEAD_LEN) {
		struct bs_slice id = o->cp_id;

		if (id.len > room - KIND_TEXT_HEAD_LEN)
			id.len = room - KIND_TEXT_HEAD_LEN;
		bs_kind_text_put(w, BS_PL_CP_ID, 0, CP_ID_KIND_MAIL, id);
	}
	if (o->fp)
		put_fp(w, o->fp);
	for (i = 0; i < n; i++) {
		struct bs_ep6 e = { .ep = o->ep6[i], .kind = BS_EP6_HOST };

		bs_ep6_put(w, &e);
	}
	if (o->has_attempt) {
		uint8_t *p = bs_packet_add_reserve(w, BS_PL_ATTEMPT, BS_PLF_OPTIONAL, 8);

		if (p)
			bs_put_u64(p, o->attempt);
	}
}

bs_ssize bs_connect_request_encode(const struct bs_crypto *c, const struct bs_connect_offer *o,
				   uint8_t *buf, size_t cap)
{
	struct bs_header h = { .type = BS_TYPE_U_CONNECT,
			       .nsi_cp = o->nsi_cp,
			       .nsi_sp = o->nsi_attach,
			       .seq = o->seq };
	struct bs_writer w;
	size_t room;

	if (!is_allowed(o))
		return BS_EINVAL;
	bs_packet_begin(&w, buf, cap, &h);
	bs_ipx_put(&w, &o->ipx);
	if (w.bad || o->limit > cap || !room_left(o, &w, &room))
		return BS_ETOOBIG;
	put_optional(&w, o, room);
	if (!o->c_key)
		return bs_packet_finish(&w);
	return bs_suite_aes_cbc.seal(c, o->c_key, BS_INITIATOR, &w, 0, o->block);
}

int bs_connect_server_start(struct bs_connect_server *s, const struct bs_crypto *c,
			    const struct bs_connect_offer *o, const struct bs_endpoint *peer,
			    bs_time retry, bs_time timeout, bs_time now)
{
	bs_ssize len = bs_connect_request_encode(c, o, s->pkt, sizeof(s->pkt));

	if (len < 0)
		return (int)len;
	s->nsi_attach = o->nsi_attach;
	s->nsi_cp = o->nsi_cp;
	s->nsi = o->ipx.nsi_sp;
	s->seq = o->seq;
	s->len = (uint16_t)len;
	s->sends = 0;
	s->peer = *peer;
	s->due = now;
	s->end = now + timeout;
	s->retry = retry;
	return BS_OK;
}

enum bs_connect_action bs_connect_server_timeout(struct bs_connect_server *s, bs_time now)
{
	if (BS_TIME_DIFF(now, s->end) >= 0)
		return BS_CONNECT_GIVE_UP;
	if (BS_TIME_DIFF(now, s->due) < 0)
		return BS_CONNECT_WAIT;
	if (s->sends == SENDS) {
		s->due = s->end;
		return BS_CONNECT_WAIT;
	}
	s->due = now + s->retry;
	if (BS_TIME_DIFF(s->due, s->end) > 0)
		s->due = s->end;
	s->sends++;
	return BS_CONNECT_SEND;
}

int bs_connect_server_input(const struct bs_connect_server *s, const struct bs_packet *p,
			    const struct bs_endpoint *from, uint32_t *code)
{
	struct bs_notify notify;
	struct bs_payload pl;
	int err;

	if (p->h.flags != BS_FLAG_RESPONSE)
		return BS_ESTATE;
	if (!bs_endpoint_equal(from, &s->peer))
		return BS_ESOURCE;
	if (p->h.seq != s->seq || p->h.nsi_cp != s->nsi_cp || p->h.nsi_sp != s->nsi_attach)
		return BS_EUNKNOWN;
	if (!bs_payload_find(p, BS_PL_NOTIFY, &pl))
		return BS_EMISSING;
	err = bs_notify_get(&pl, &notify);
	if (err)
		return err;
	if (!notify.has_nsi || notify.nsi != s->nsi)
		return BS_EUNKNOWN;
	*code = notify.code;
	return BS_OK;
}

void bs_connect_server_fini(struct bs_connect_server *s)
{
	bs_wipe(s, sizeof(*s));
}
