/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/connect_server.h"

#include "crypto/suite.h"
#include "util/endpoint.h"

enum {
	SENDS = 4, /* at 0, 1, 2 and 3 s with the usual pace */
};

bs_ssize bs_connect_server_encode(const struct bs_crypto *c, const struct bs_connect_offer *o,
				  uint8_t *buf, size_t cap)
{
	/* A legacy device gets no block, but the size rules are the same. */
	struct bs_slice room = { NULL, BS_KEY_BLOCK_LEN };
	struct bs_writer w;
	int err;

	if ((o->m.ipx.flags & BS_IPX_PRIVATE_FIRST) || (!o->c_key && o->block.len != 0))
		return BS_EINVAL;
	err = bs_connect_request_begin(&w, buf, cap, &o->m, o->limit, o->c_key ? o->block : room);
	if (err)
		return err;
	if (!o->c_key)
		return bs_packet_finish(&w);
	return bs_suite_aes_cbc.seal(c, o->c_key, BS_INITIATOR, &w, 0, o->block);
}

int bs_connect_server_start(struct bs_connect_server *s, const struct bs_crypto *c,
			    const struct bs_connect_offer *o, const struct bs_endpoint *peer,
			    bs_time retry, bs_time timeout, bs_time now)
{
	bs_ssize len = bs_connect_server_encode(c, o, s->pkt, sizeof(s->pkt));

	if (len < 0)
		return (int)len;
	s->nsi_attach = o->m.sp;
	s->nsi_cp = o->m.cp;
	s->nsi = o->m.ipx.nsi_sp;
	s->seq = o->m.seq;
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

void bs_connect_server_move(struct bs_connect_server *s, const struct bs_endpoint *peer,
			    bs_time now)
{
	s->peer = *peer;
	s->due = now;
	/* What went to the old place is lost; one at least goes to the new one. */
	if (s->sends == SENDS)
		s->sends--;
}

int bs_connect_server_input(const struct bs_connect_server *s, const struct bs_packet *p,
			    const struct bs_endpoint *from, uint32_t *code)
{
	struct bs_connect_answer a;
	int err;

	err = bs_connect_answer_decode(p, &a);
	if (err)
		return err;
	if (!bs_endpoint_equal(from, &s->peer))
		return BS_ESOURCE;
	if (a.seq != s->seq || a.cp != s->nsi_cp || a.sp != s->nsi_attach || a.nsi != s->nsi)
		return BS_EUNKNOWN;
	*code = a.code;
	return BS_OK;
}

void bs_connect_server_fini(struct bs_connect_server *s)
{
	bs_wipe(s, sizeof(*s));
}
