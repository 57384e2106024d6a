/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/connect.h"

#include <string.h>

#include "util/endpoint.h"

enum {
	STEP_MAX = 2,
	INTERVAL_LEN = 4
};

/* An endpoint of all zero stands for an IPv6 one: the EP6 payloads follow in the same order. */
static int take_ep6(const struct bs_packet *p, size_t *off, struct bs_endpoint *ep)
{
	struct bs_payload pl;
	struct bs_ep6 ep6;

	if (!BS_HAS_IP6 || ep->port || bs_endpoint_ip4(ep))
		return BS_OK;
	while (bs_payload_next(p, off, &pl)) {
		if (pl.type != BS_PL_EP6 || bs_ep6_get(&pl, &ep6) != BS_OK)
			continue;
		/* Skipping one without port, or of an IPv4 address, would shift the others. */
		if (!bs_endpoint_is_set(&ep6.ep) || bs_endpoint_is_ip4(&ep6.ep))
			return BS_EFIELD;
		*ep = ep6.ep;
		break;
	}
	return BS_OK;
}

int bs_rendezvous_packet_decode(const struct bs_packet *p, struct bs_rendezvous_packet *m)
{
	struct bs_rendezvous_packet tmp;
	struct bs_payload pl;
	size_t off = 0;
	size_t ep6_off;
	int err;

	if (!bs_connect_is_rendezvous(p))
		return BS_ETYPE;
	if (p->h.seq > STEP_MAX)
		return BS_EFIELD;
	memset(&tmp, 0, sizeof(tmp));
	tmp.nsi = p->h.nsi_sp;
	tmp.step = p->h.seq;
	(void)bs_payload_next(p, &off, &pl);
	err = bs_ep_get(&pl, &tmp.ep1);
	if (err)
		return err;
	if (tmp.step) {
		if (!bs_payload_next(p, &off, &pl) || pl.type != BS_PL_EP)
			return BS_EMISSING;
		err = bs_ep_get(&pl, &tmp.ep2);
		if (err)
			return err;
		if (bs_payload_find(p, BS_PL_NONCE, &pl) && pl.len == INTERVAL_LEN)
			tmp.interval_ms = bs_get_u32(pl.data);
	}
	ep6_off = off;
	err = take_ep6(p, &ep6_off, &tmp.ep1);
	if (!err && tmp.step)
		err = take_ep6(p, &ep6_off, &tmp.ep2);
	if (err)
		return err;
	*m = tmp;
	return BS_OK;
}

bs_ssize bs_rendezvous_packet_encode(uint8_t *buf, size_t cap, const struct bs_rendezvous_packet *m)
{
	struct bs_writer w;
	uint8_t *p;

	if (m->step > STEP_MAX || m->interval_ms > BS_RENDEZVOUS_INTERVAL_MAX)
		return BS_EINVAL;
	bs_packet_start(&w, buf, cap, BS_TYPE_U_CONNECT, 0, m->nsi, m->step);
	bs_ep_put(&w, &m->ep1);
	if (m->step) {
		bs_ep_put(&w, &m->ep2);
		p = m->interval_ms ? bs_packet_add_reserve(&w, BS_PL_NONCE, 0, INTERVAL_LEN) : NULL;
		if (p)
			bs_put_u32(p, m->interval_ms);
	}
	if (BS_HAS_IP6)
		bs_ep6_put_if_needed(&w, &m->ep1, BS_EP6_OBSERVED);
	if (BS_HAS_IP6 && m->step)
		bs_ep6_put_if_needed(&w, &m->ep2, BS_EP6_OBSERVED);
	return bs_packet_finish(&w);
}
