/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/gw_device.h"

#include <string.h>

#include "util/endpoint.h"
#include "wire/payload.h"

void bs_gw_link_offer(struct bs_gw_link *l, const struct bs_packet *p, uint32_t nsi_sp,
		      const struct bs_endpoint *server)
{
	struct bs_payload pl;
	struct bs_ipx ipx;
	struct bs_gw gw;

	if (l->state != BS_GW_IDLE || !bs_payload_find(p, BS_PL_IPX, &pl) ||
	    bs_ipx_get(&pl, &ipx) || !ipx.has_full)
		return;
	if (!bs_payload_find(p, BS_PL_GW, &pl) || bs_gw_get(&pl, &gw) || gw.ep.port == 0)
		return;
	memset(l, 0, sizeof(*l));
	l->relay = gw.ep;
	if (bs_endpoint_ip4(&gw.ep) == 0) {
		l->relay = *server;
		l->relay.port = gw.ep.port;
	}
	bs_endpoint_set_via(&l->relay, BS_VIA_STREAM);
	l->hello.nsi_cp = ipx.nsi_cp;
	l->hello.nsi_sp = nsi_sp;
	memcpy(l->hello.nsi_co, ipx.nsi_co, sizeof(ipx.nsi_co));
	l->hello.flags = BS_GW_RELIABLE;
	memcpy(l->hello.id, gw.id, sizeof(gw.id));
	l->state = BS_GW_WANTED;
}

void bs_gw_link_drop(struct bs_gw_link *l)
{
	if (l->state == BS_GW_IDLE)
		return;
	/* What the port has not heard of needs no end. */
	l->state = l->told == BS_GW_IDLE ? BS_GW_IDLE : BS_GW_UNWANTED;
}

void bs_gw_link_opened(struct bs_gw_link *l)
{
	if (l->state == BS_GW_WANTED)
		l->state = BS_GW_GREETING;
}

void bs_gw_link_closed(struct bs_gw_link *l, struct bs_conn *c, bs_time now)
{
	bool in_use = l->state == BS_GW_UP && l->carried && bs_conn_is_live(c) &&
		      bs_endpoint_via(&c->remote) == BS_VIA_STREAM;

	if (in_use && l->carried_data) {
		bs_conn_hang_up(c, now);
		/* What a device reports of a connection without a path. */
		c->path = BS_PATH_DIRECT;
	}
	/* Else it waits for another path under its usual limit. */
	memset(l, 0, sizeof(*l));
}

int bs_gw_link_answer(struct bs_gw_link *l, const struct bs_packet *p)
{
	struct bs_gw_answer m;
	int err;

	if (l->state != BS_GW_WAITING)
		return BS_ESTATE;
	err = bs_gw_answer_decode(p, &m);
	if (err)
		return err;
	if (m.nsi_sp != l->hello.nsi_sp)
		return BS_EUNKNOWN;
	l->flags = m.flags;
	l->state = BS_GW_UP;
	return BS_OK;
}

void bs_gw_link_data(struct bs_gw_link *l, const struct bs_conn_data *d,
		     const struct bs_endpoint *from)
{
	if (bs_endpoint_via(from) != BS_VIA_STREAM) {
		/* The other path came first, so nobody will need this one. */
		if (d->first)
			bs_gw_link_drop(l);
		return;
	}
	l->carried = true;
	if (d->h.tag != BS_TAG_FRAMING)
		l->carried_data = true;
}

bool bs_gw_is_close(const struct bs_conn_data *d, const struct bs_endpoint *from)
{
	return bs_endpoint_via(from) == BS_VIA_STREAM && d->h.tag == BS_TAG_FRAMING &&
	       d->plain.len >= BS_FRAMING_LEN && bs_get_u32(d->plain.ptr) != BS_FRAMING_KEEPALIVE;
}

size_t bs_gw_link_output(struct bs_gw_link *l, uint8_t *buf, size_t cap, struct bs_endpoint *to)
{
	bs_ssize len;

	if (l->state != BS_GW_GREETING)
		return 0;
	len = bs_gw_hello_encode(buf, cap, &l->hello);
	if (len < 0)
		return 0;
	*to = l->relay;
	l->state = BS_GW_WAITING;
	return (size_t)len;
}

bool bs_gw_link_holds(const struct bs_gw_link *l, const struct bs_conn *c)
{
	return l->state == BS_GW_UP && l->carried && !(l->flags & BS_GW_KEEPALIVE) &&
	       bs_endpoint_via(&c->remote) == BS_VIA_STREAM;
}
