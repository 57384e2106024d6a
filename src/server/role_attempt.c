/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection attempt leaves behind for whoever asks why it went the way it did. */
#include "server/roles.h"

#include <string.h>

#include "util/endpoint.h"

static struct bs_attempt_info *info_of(struct bs_roles *r, const struct bs_conn_record *conn)
{
	struct bs_attempt_info *i = bs_attempts_get(&r->attempts, conn->info);

	/* Pushed out and its place taken by another: nothing to keep up to date. */
	return i && i->attempt == conn->attempt ? i : NULL;
}

static void take_client(struct bs_attempt_info *i, const struct bs_msg_connect *q)
{
	i->client = q->global;
	i->client_host = q->priv;
	i->client_mapping = q->nat_mapping;
	i->client_filtering = q->nat_filtering;
	memcpy(i->client_id, q->client_id,
	       q->client_id_len < BS_CLIENT_ID_MAX ? q->client_id_len : BS_CLIENT_ID_MAX);
}

static void take_device(const struct bs_roles *r, uint32_t device, struct bs_attempt_info *i)
{
	const struct bs_device_hot *hot = &r->slab.hot[device];
	const struct bs_device_cold *cold = &r->slab.cold[device];

	i->device = hot->peer;
	i->device_symmetric = (hot->flags & BS_SLAB_SYMMETRIC) != 0;
	if (cold->priv_port != 0)
		bs_endpoint_set_ip4(&i->device_host, cold->priv_ip4, cold->priv_port);
}

static void step_ep(struct bs_roles *r, const struct bs_attempt_info *i, uint8_t step,
		    const struct bs_endpoint *ep)
{
	if (bs_endpoint_is_set(ep))
		bs__step_at(r, i->attempt, i->number, step, ep, 0);
}

void bs__attempt_begin(struct bs_roles *r, struct bs_conn_record *conn, const struct bs_message *m)
{
	const struct bs_msg_connect *q = &m->u.connect;
	struct bs_attempt_info *i =
		bs_attempts_begin(&r->attempts, q->attempt, m->number, r->w->unix_ms, &conn->info);
	unsigned k;

	i->nsi = conn->nsi;
	take_client(i, q);
	take_device(r, conn->device, i);
	step_ep(r, i, BS_STEP_CLIENT_PUBLIC, &i->client);
	step_ep(r, i, BS_STEP_CLIENT_HOST, &i->client_host);
	for (k = 0; k < q->n_ep6; k++)
		step_ep(r, i, BS_STEP_CLIENT_HOST, &q->ep6[k]);
	step_ep(r, i, BS_STEP_DEVICE_PUBLIC, &i->device);
	step_ep(r, i, BS_STEP_DEVICE_HOST, &i->device_host);
}

void bs__attempt_refused(struct bs_roles *r, const struct bs_message *m, uint16_t status)
{
	uint64_t place;
	struct bs_attempt_info *i = bs_attempts_begin(&r->attempts, m->u.connect.attempt, m->number,
						      r->w->unix_ms, &place);

	take_client(i, &m->u.connect);
	i->status = status;
	i->answer_ms = r->w->unix_ms;
	bs_attempt_settle(i, r->w->unix_ms);
}

void bs__attempt_answered(struct bs_roles *r, const struct bs_conn_record *conn, uint16_t status)
{
	struct bs_attempt_info *i = info_of(r, conn);

	if (!i)
		return;
	i->status = status;
	i->answer_ms = r->w->unix_ms;
}

void bs__attempt_path(struct bs_roles *r, const struct bs_conn_record *conn, uint8_t step,
		      uint8_t path)
{
	struct bs_attempt_info *i = info_of(r, conn);

	bs__step_at(r, conn->attempt, conn->number, step, NULL, path);
	if (i)
		bs_attempt_note_path(i, path, r->w->unix_ms);
}

void bs__attempt_end(struct bs_roles *r, const struct bs_conn_record *conn)
{
	struct bs_attempt_info *i = info_of(r, conn);

	if (!i)
		return;
	bs_attempt_settle(i, r->w->unix_ms);
	bs_attempt_count(i, r->w->counters);
}
