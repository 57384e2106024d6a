/* SPDX-License-Identifier: Apache-2.0 */
/* The relay: what it carries, for whom, and within which limits. */
#include <stdio.h>
#include <string.h>

#include "conf/quantity.h"
#include "ctl/field.h"
#include "server/control_job.h"
#include "server/relay_limit.h"

enum {
	LIST_DEFAULT = 50,
	LIST_MAX = 500,
};

/* ---- status */

/* A limit as conf writes it, null for none. */
static json_t *limit_json(enum bs_quantity kind, uint64_t v)
{
	char text[BS_QUANTITY_TEXT_MAX];

	return v ? json_string(bs_quantity_print(kind, v, text, sizeof(text))) : json_null();
}

static void add_rates(json_t *o, const char *name, const uint64_t rate[2])
{
	char key[40];

	for (int d = 0; d < 2; d++) {
		snprintf(key, sizeof(key), "rate_%s_%s", name, d ? "down" : "up");
		json_object_set_new(o, key, limit_json(BS_QUANTITY_BITRATE, rate[d]));
	}
}

static void add_limits(json_t *o, const struct bs_conf *c)
{
	static const char *const policy[] = { "reject", "degrade", "low-priority" };

	json_object_set_new(o, "udp", json_boolean(c->relay_udp));
	json_object_set_new(o, "max", json_integer(c->relay_max));
	json_object_set_new(o, "when_full", json_string(policy[c->relay_when_full]));
	add_rates(o, "connection", c->relay_connection);
	add_rates(o, "client", c->relay_client);
	add_rates(o, "device", c->relay_device);
	add_rates(o, "node", c->relay_node);
	json_object_set_new(o, "client_month",
			    limit_json(BS_QUANTITY_BYTES, c->relay_client_month));
	json_object_set_new(o, "max_age", limit_json(BS_QUANTITY_SPAN, c->relay_max_age));
}

static void run_status(struct bs_control_job *j)
{
	static const struct {
		const char *name;
		enum bs_counter c;
	} rows[] = {
		{ "connections", BS_C_relay_connections },
		{ "degraded", BS_C_relay_degraded },
		{ "low_priority", BS_C_relay_low_priority },
		{ "waiting_packets", BS_C_relay_queued },
		{ "udp_up_packets", BS_C_relay_udp_up },
		{ "udp_up_bytes", BS_C_relay_udp_up_bytes },
		{ "udp_down_packets", BS_C_relay_udp_down },
		{ "udp_down_bytes", BS_C_relay_udp_down_bytes },
		{ "refused", BS_C_relay_full },
		{ "delayed_packets", BS_C_relay_delayed },
		{ "dropped_packets", BS_C_relay_queue_full },
	};
	uint64_t v[BS_COUNTER_N];
	json_t *o = json_object();

	bs_server_counters(j->control->env.server, v);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_set_new(o, rows[i].name, json_integer((json_int_t)v[rows[i].c]));
	add_limits(o, j->control->env.conf(j->control->env.ctx));
	bs__control_finish(j, o, NULL);
}

/* ---- list */

static json_t *row_json(struct bs_control_job *j, const struct bs_relay_row *r)
{
	static const char *const kind[] = { "udp", "tcp", "tls" };
	static const char *const grade[] = { "normal", "degraded", "low-priority" };
	struct bs_device d;
	char attempt[17];
	char nsi[9];
	json_t *o;

	memset(&d, 0, sizeof(d));
	if (bs_registry_device_by_number(bs__control_reader(j), r->number, &d) != BS_OK)
		d.id[0] = '\0';
	snprintf(attempt, sizeof(attempt), "%016llx", (unsigned long long)r->attempt);
	snprintf(nsi, sizeof(nsi), "%08lx", (unsigned long)r->nsi);
	o = json_pack("{s:s,s:o,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:o}", "device", d.id, "client",
		      bs__control_json_peer_text(r->client_id, strlen(r->client_id)), "kind",
		      kind[r->kind < 3 ? r->kind : 0], "grade", grade[r->grade < 3 ? r->grade : 0],
		      "up_bytes", (json_int_t)r->bytes[0], "down_bytes", (json_int_t)r->bytes[1],
		      "up_packets", (json_int_t)r->packets[0], "down_packets",
		      (json_int_t)r->packets[1], "idle_ms", (json_int_t)r->idle_ms, "opened",
		      bs__control_json_time(r->opened_ms / 1000));
	bs_device_wipe(&d);
	if (!o)
		return NULL;
	json_object_set_new(o, "client_leg",
			    r->leg.port ? bs__control_json_endpoint(&r->leg) : json_null());
	json_object_set_new(o, "attempt", json_string(attempt));
	json_object_set_new(o, "connection", json_string(nsi));
	json_object_set_new(o, "client_month_bytes", json_integer((json_int_t)r->month_bytes));
	json_object_set_new(o, "delayed", json_boolean(r->waiting != 0));
	json_object_set_new(o, "worker", json_integer(r->worker));
	return o;
}

static void listed(void *arg, int err, const struct bs_relay_row *rows, size_t n)
{
	struct bs_control_job *j = arg;
	uint64_t limit = bs__control_uint(j, "limit", LIST_DEFAULT);
	const char *client = bs__control_text(j, "client");
	size_t i;

	if (err != BS_OK) {
		bs__control_fail_err(j, err, "relay", NULL);
		return;
	}
	if (!bs__control_reader(j))
		return;
	for (i = 0; i < n && limit > 0; i++) {
		if (client && strcmp(client, rows[i].client_id) != 0)
			continue;
		bs__control_item(j, row_json(j, &rows[i]));
		limit--;
	}
	bs__control_finish(j, NULL, NULL);
}

static void run_list(struct bs_control_job *j)
{
	uint64_t limit = bs__control_uint(j, "limit", LIST_DEFAULT);
	int err;

	if (limit == 0 || limit > LIST_MAX) {
		bs__control_fail(j, BS_CTL_USAGE, "--limit", "give 1 to 500", "out of range");
		return;
	}
	err = bs_server_relays(j->control->env.server, LIST_MAX, listed, j);
	if (err != BS_OK)
		bs__control_fail_err(j, err, "relay", NULL);
}

const struct bs_control_row bs__control_relay[] = {
	{ "relay status", run_status },
	{ "relay list", run_list },
	{ NULL, NULL },
};
