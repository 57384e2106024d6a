/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/close_server.h"

#include <string.h>

#include "crypto/suite.h"
#include "util/endpoint.h"

enum {
	SENDS = 4, /* at 0, 1, 3 and 7 s */
};

int bs_close_server_start(struct bs_close_server *s, const struct bs_crypto *c,
			  const struct bs_key_block *c_key, uint32_t nsi_attach, uint32_t nsi,
			  uint16_t status, uint16_t seq, const struct bs_endpoint *peer,
			  bs_time now)
{
	struct bs_close m = { .nsi = nsi_attach, .seq = seq, .connection = nsi, .status = status };
	struct bs_slice empty = { NULL, 0 };
	struct bs_writer w;
	bs_ssize len;

	bs_close_begin(&w, s->pkt, sizeof(s->pkt), &m);
	len = bs_suite_aes_cbc.seal(c, c_key, BS_INITIATOR, &w, 0, empty);
	if (len < 0)
		return (int)len;
	s->nsi_attach = nsi_attach;
	s->nsi = nsi;
	s->seq = seq;
	s->len = (uint16_t)len;
	s->sends = 0;
	s->peer = *peer;
	s->due = now;
	return BS_OK;
}

enum bs_close_action bs_close_server_timeout(struct bs_close_server *s, bs_time now)
{
	if (BS_TIME_DIFF(now, s->due) < 0)
		return BS_CLOSE_WAIT;
	if (s->sends == SENDS)
		return BS_CLOSE_GIVE_UP;
	s->due = now + (BS_TIME_MS(1000) << s->sends);
	s->sends++;
	return BS_CLOSE_SEND;
}

int bs_close_server_input(const struct bs_close_server *s, const struct bs_crypto *c,
			  const struct bs_key_block *c_key, const struct bs_packet *p,
			  const struct bs_endpoint *from)
{
	struct bs_close m;
	int err;

	err = bs_close_decode(p, &m);
	if (err)
		return err;
	if (!m.answer)
		return BS_ESTATE;
	if (!bs_endpoint_equal(from, &s->peer))
		return BS_ESOURCE;
	if (m.nsi != s->nsi_attach || m.seq != s->seq)
		return BS_EUNKNOWN;
	if (m.connection != s->nsi)
		return BS_EFIELD;
	return bs_suite_aes_cbc.verify(c, c_key, BS_INITIATOR, p->bytes, p->len, m.crypto_off);
}
