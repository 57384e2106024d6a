/* SPDX-License-Identifier: Apache-2.0 */
/* U_CLOSE: ending a connection or an attachment at a device that has the extension. */
#include "server/roles.h"

#include <string.h>

static struct bs_closing *closing_of(const struct bs_roles *r, uint32_t i)
{
	return bs_pool_get(&r->closings, i);
}

void bs__close_start(struct bs_roles *r, uint32_t device, uint32_t nsi, uint16_t status)
{
	const struct bs_device_hot *hot = &r->slab.hot[device];
	const struct bs_device_cold *cold = &r->slab.cold[device];
	struct bs_closing *k;
	uint32_t i;

	if (!(cold->ext & BS_EXT_CLOSE) || (hot->flags & BS_SLAB_LEGACY))
		return;
	i = bs_pool_take(&r->closings);
	if (i == BS_POOL_NONE) {
		bs_count(r->w->counters, BS_C_close_silent);
		return;
	}
	k = closing_of(r, i);
	bs_wheel_node_init(&r->closing_wheel, i);
	k->c_key = cold->c_key;
	k->local = hot->local;
	if (bs_close_server_start(&k->c, r->w->crypto, &k->c_key, hot->nsi, nsi, status,
				  (uint16_t)(bs__random32(r) | 1), &hot->peer, r->w->now)) {
		bs_count(r->w->counters, BS_C_crypto_failed);
		bs_pool_give(&r->closings, i);
		return;
	}
	k->used = true;
	k->next = r->closing_list;
	r->closing_list = i;
	bs__close_due(r, i);
}

static void end_closing(struct bs_roles *r, uint32_t i)
{
	uint32_t *link = &r->closing_list;

	while (*link != i && *link != BS_POOL_NONE)
		link = &closing_of(r, *link)->next;
	if (*link == i)
		*link = closing_of(r, i)->next;
	bs_wheel_clear(&r->closing_wheel, i);
	bs_pool_give(&r->closings, i);
}

void bs__close_due(struct bs_roles *r, uint32_t i)
{
	struct bs_closing *k = closing_of(r, i);

	switch (bs_close_server_timeout(&k->c, r->w->now)) {
	case BS_CLOSE_GIVE_UP:
		bs_count(r->w->counters, BS_C_close_silent);
		end_closing(r, i);
		return;
	case BS_CLOSE_SEND:
		bs__send(r, k->local, &k->c.peer, k->c.pkt, k->c.len);
		bs_count(r->w->counters, BS_C_close_sent);
		break;
	default: break;
	}
	bs_wheel_set(&r->closing_wheel, i, bs__tick_of(r, k->c.due));
}

/* The attachment may be gone already, so the list says what is waited for. */
void bs__close_input(struct bs_roles *r, struct bs_input *in)
{
	uint32_t i = r->closing_list;
	int err = BS_EUNKNOWN;

	for (; i != BS_POOL_NONE; i = closing_of(r, i)->next) {
		struct bs_closing *k = closing_of(r, i);

		if (k->c.nsi_attach != in->p.h.nsi_sp || k->c.seq != in->p.h.seq)
			continue;
		err = bs_close_server_input(&k->c, r->w->crypto, &k->c_key, &in->p, in->peer);
		break;
	}
	if (err) {
		bs__drop(r, err);
		return;
	}
	bs_count(r->w->counters, BS_C_close_answered);
	end_closing(r, i);
}
