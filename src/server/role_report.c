/* SPDX-License-Identifier: Apache-2.0 */
/* What devices report unasked: STATS, and U_PUSH, which alone is authentic. */
#include "server/role_auth.h"

#include <string.h>

#include "net/udp.h"
#include "proto/push_server.h"
#include "util/endpoint.h"
#include "wire/stats.h"

static void attach_failed(struct bs_roles *r, const struct bs_stats *s)
{
	char id[BS_DEVICE_ID_MAX * 4 + 4];

	bs_count(r->w->counters, BS_C_attach_failed_stats);
	if (s->attach_status == BS_ATTACH_MAC)
		bs_count(r->w->counters, BS_C_attach_failed_key);
	bs_log_limited(&r->log_limit[BS_LK_STATS], r->w->now, BS_LOG_INFO,
		       "attach, device reports a failure (id %s, status %u%s)",
		       bs_log_escape(id, sizeof(id), s->id.ptr, s->id.len), s->attach_status,
		       s->attach_status == BS_ATTACH_MAC ? ": its key differs from ours" : "");
}

static void log_connection(struct bs_roles *r, const struct bs_stats *s, uint32_t number)
{
	bs_log_limited(&r->log_limit[BS_LK_CONNECT], r->w->now, BS_LOG_INFO,
		       "connect, device %u reports %s (connection %08x, path %u, %u ms, %u bytes "
		       "out, %u in)",
		       number, s->event == BS_STATS_OPEN ? "open" : "close", s->nsi, s->info.path,
		       s->info.age_ms, s->info.tx_bytes, s->info.rx_bytes);
}

void bs__stats_input(struct bs_roles *r, struct bs_input *in)
{
	const struct bs_conn_record *conn;
	struct bs_stats s;
	uint32_t i;
	int err = bs_stats_decode(&in->p, &s);

	if (err) {
		bs__drop(r, err);
		return;
	}
	bs_count(r->w->counters, BS_C_stats_received);
	if (s.event == BS_STATS_ATTACH_FAIL) {
		attach_failed(r, &s);
		return;
	}
	/* Nothing here is authentic, so it counts only from the device's own address. */
	if (bs_nsi_table_get(&r->nsi, s.nsi, &i) != BS_NSI_CONN) {
		bs_count(r->w->counters, BS_C_stats_unmatched);
		return;
	}
	conn = bs_pool_get(&r->conns, i);
	if (!bs_endpoint_equal(&r->slab.hot[conn->device].peer, in->peer)) {
		bs_count(r->w->counters, BS_C_stats_unmatched);
		return;
	}
	log_connection(r, &s, conn->number);
	if (s.event == BS_STATS_OPEN)
		bs__conn_report(r, i, true, s.info.path);
	else if (s.event == BS_STATS_CLOSE)
		bs__conn_report(r, i, false, s.info.path);
}

void bs__push_input(struct bs_roles *r, struct bs_input *in)
{
	const struct bs_device_hot *hot;
	struct bs_device_cold *cold;
	struct bs_push push;
	bs_ssize len;
	uint32_t i;
	int err = BS_OK;

	if (bs_nsi_table_get(&r->nsi, in->p.h.nsi_sp, &i) != BS_NSI_DEVICE)
		err = BS_EUNKNOWN;
	else if (!bs_endpoint_equal(&r->slab.hot[i].peer, in->peer))
		err = BS_ESOURCE;
	else if (r->slab.hot[i].flags & BS_SLAB_LEGACY)
		err = BS_ESUITE;
	else
		err = bs_push_server_open(r->w->crypto, &r->slab.cold[i].c_key, &in->p, &push);
	if (err) {
		bs__drop(r, err);
		return;
	}
	hot = &r->slab.hot[i];
	cold = &r->slab.cold[i];
	bs_count(r->w->counters, BS_C_push_received);
	bs__auth_disturb(r, i);
	/* A repetition is answered like the first: the answer may have been lost. */
	if (!bs_push_filter_add(&cold->push, push.number))
		bs_count(r->w->counters, BS_C_push_duplicate);
	/* There is no service to hand it to, and the device has to know. */
	len = bs_push_server_answer(r->w->crypto, &cold->c_key, &push, BS_PUSH_FAILED,
				    bs__send_reserve(r), BS_UDP_BUF);
	if (len < 0) {
		bs_count(r->w->counters, BS_C_crypto_failed);
		return;
	}
	bs__send_commit(r, (size_t)len, hot->local, in->peer);
	bs_count(r->w->counters, BS_C_push_answered);
}
