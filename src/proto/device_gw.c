/* SPDX-License-Identifier: Apache-2.0 */
/* The port's side of the legs to TCP relays. */
#include "proto/device.h"
#include "util/endpoint.h"

static struct bs_gw_link *link_at(struct bs_device *d, size_t slot)
{
	return slot < d->n_conns ? bs_device_conn_gw(&d->conns[slot]) : NULL;
}

bool bs_device_gw_next(struct bs_device *d, size_t *slot, uint32_t *nsi, struct bs_endpoint *relay)
{
	struct bs_gw_link *l;
	size_t i;

	for (i = 0; i < d->n_conns; i++) {
		l = link_at(d, i);
		if (!l || l->told == l->state ||
		    (l->state != BS_GW_WANTED && l->state != BS_GW_UNWANTED))
			continue;
		*relay = l->relay;
		*nsi = l->hello.nsi_sp;
		if (l->state == BS_GW_UNWANTED)
			relay->port = 0;
		l->told = l->state;
		*slot = i;
		return true;
	}
	return false;
}

void bs_device_gw_opened(struct bs_device *d, size_t slot)
{
	struct bs_gw_link *l = link_at(d, slot);

	if (l)
		bs_gw_link_opened(l);
}

void bs_device_gw_closed(struct bs_device *d, size_t slot, bs_time now)
{
	struct bs_gw_link *l = link_at(d, slot);

	if (l)
		bs_gw_link_closed(l, &d->conns[slot].c, now);
}

int bs_device_gw_input(struct bs_device *d, size_t slot, uint8_t *pkt, size_t len, bs_time now)
{
	struct bs_gw_link *l = link_at(d, slot);
	struct bs_packet p;
	int err;

	if (!l || (l->state != BS_GW_WAITING && l->state != BS_GW_UP))
		return BS_ESTATE;
	err = bs_packet_decode(pkt, len, &p);
	if (err)
		return err;
	if (p.h.type == BS_TYPE_GW_CONN_U)
		return bs_gw_link_answer(l, &p);
	/* A stream belongs to one connection, whatever a relay may send. */
	if (p.h.type != BS_TYPE_DATA || p.h.nsi_sp != l->hello.nsi_sp)
		return BS_EUNKNOWN;
	return bs_device_input(d, pkt, len, &l->relay, now);
}
