/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection attempts: what the workers remember of them, told so that an operator sees why one was
 * relayed or failed.  An attempt is named by the client's eight bytes, which client, server and our
 * own devices log alike, or by its connection number, which is all that a stock device knows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basestation/wire.h"
#include "server/attempts.h"
#include "server/control_job.h"
#include "util/endpoint.h"

enum {
	LIST_DEFAULT = 50,
	LIST_MAX = 500,
};

static const char *outcome_name(unsigned outcome)
{
	static const char *const names[] = { "pending", "refused", "failed", "relayed", "direct" };

	return outcome < sizeof(names) / sizeof(names[0]) ? names[outcome] : "unknown";
}

static const char *path_name(unsigned path)
{
	static const char *const names[] = { "unknown", "local", "direct", "udp-relay",
					     "tcp-relay" };

	return path < sizeof(names) / sizeof(names[0]) ? names[path] : "unknown";
}

static const char *nat_name(unsigned behaviour)
{
	static const char *const names[] = { "unknown", "independent", "by-address",
					     "by-address-and-port" };

	return behaviour < sizeof(names) / sizeof(names[0]) ? names[behaviour] : "unknown";
}

static const char *step_text(unsigned step)
{
	static const char *const texts[] = {
		[BS_STEP_ASKED] = "the client asks for the device",
		[BS_STEP_CLIENT_PUBLIC] = "client's public UDP address",
		[BS_STEP_CLIENT_HOST] = "client's own address",
		[BS_STEP_DEVICE_PUBLIC] = "device's public UDP address",
		[BS_STEP_DEVICE_HOST] = "device's own address",
		[BS_STEP_SENT] = "connect request sent to the device",
		[BS_STEP_RESENT] = "connect request sent again",
		[BS_STEP_ANSWERED] = "the device answered",
		[BS_STEP_GAVE_UP] = "the device did not answer",
		[BS_STEP_REFUSED] = "refused by the server",
		[BS_STEP_RELAY_BOUND] = "the client bound the UDP relay",
		[BS_STEP_RELAY_REFUSED] = "no relay for it: full, used up or too old",
		[BS_STEP_RELAY_DATA] = "first packet through the relay",
		[BS_STEP_GATEWAY_LEG] = "a leg of the TCP relay arrived",
		[BS_STEP_GATEWAY_BOTH] = "both legs of the TCP relay are there",
		[BS_STEP_OPEN] = "the device reports the connection open",
		[BS_STEP_DEVICE_REPORT] = "the device's last report",
		[BS_STEP_CLIENT_REPORT] = "the client's last report",
		[BS_STEP_CLOSED] = "over",
	};

	if (step >= sizeof(texts) / sizeof(texts[0]) || !texts[step])
		return "unknown step";
	return texts[step];
}

static bool has_path(unsigned step)
{
	return step == BS_STEP_RELAY_DATA || step == BS_STEP_OPEN ||
	       step == BS_STEP_DEVICE_REPORT || step == BS_STEP_CLIENT_REPORT;
}

static void id_text(uint64_t attempt, char out[17])
{
	snprintf(out, 17, "%016llx", (unsigned long long)attempt);
}

/* Unix milliseconds as a number, null for "not yet". */
static json_t *ms_json(uint64_t ms)
{
	return ms ? json_integer((json_int_t)ms) : json_null();
}

static json_t *endpoint_json(const struct bs_endpoint *ep)
{
	return bs_endpoint_is_set(ep) ? bs__control_json_endpoint(ep) : json_null();
}

static json_t *nsi_json(uint32_t nsi)
{
	char text[9];

	if (nsi == 0)
		return json_null();
	snprintf(text, sizeof(text), "%08lx", (unsigned long)nsi);
	return json_string(text);
}

/* Milliseconds from the start to a moment, null where that never came. */
static json_t *after_json(const struct bs_attempt_info *i, uint64_t ms)
{
	return ms ? json_integer((json_int_t)(ms - i->start_ms)) : json_null();
}

static json_t *info_json(const struct bs_attempt_info *i, const char *device)
{
	/* What still runs has no verdict yet, but the reason may be plain already. */
	enum bs_attempt_why why =
		i->outcome == BS_OUTCOME_PENDING ? BS_WHY_NONE : bs_attempt_judge(i);
	char id[17];
	json_t *o;

	id_text(i->attempt, id);
	o = json_pack("{s:s,s:o,s:o,s:s?,s:o,s:s,s:s,s:s,s:s,s:I}", "attempt", id, "connection",
		      nsi_json(i->nsi), "when", bs__control_json_time(i->start_ms / 1000), "device",
		      device, "client",
		      bs__control_json_peer_text(i->client_id, strlen(i->client_id)), "outcome",
		      outcome_name(i->outcome), "path", path_name(i->path), "reason",
		      bs_attempt_why_name(why), "why", bs_attempt_why_text(why), "status",
		      (json_int_t)i->status);
	if (!o)
		return NULL;
	json_object_set_new(o, "client_public", endpoint_json(&i->client));
	json_object_set_new(o, "client_host", endpoint_json(&i->client_host));
	json_object_set_new(o, "client_nat_mapping", json_string(nat_name(i->client_mapping)));
	json_object_set_new(o, "client_nat_filtering", json_string(nat_name(i->client_filtering)));
	json_object_set_new(o, "device_public", endpoint_json(&i->device));
	json_object_set_new(o, "device_host", endpoint_json(&i->device_host));
	json_object_set_new(o, "device_nat",
			    json_string(i->device_symmetric ? "symmetric" : "other"));
	json_object_set_new(o, "answered_after_ms", after_json(i, i->answer_ms));
	json_object_set_new(o, "open_after_ms", after_json(i, i->open_ms));
	json_object_set_new(o, "over_after_ms", after_json(i, i->end_ms));
	return o;
}

/* Id of a device; false when it is gone from the registry. */
static bool device_id(struct bs_control_job *j, uint32_t number, char out[BS_DEVICE_ID_MAX + 1])
{
	struct bs_registry_reader *r = bs__control_reader(j);
	struct bs_device d;

	if (!r || bs_registry_device_by_number(r, number, &d) != BS_OK)
		return false;
	memcpy(out, d.id,
	       sizeof(d.id) < BS_DEVICE_ID_MAX + 1 ? sizeof(d.id) : BS_DEVICE_ID_MAX + 1);
	out[BS_DEVICE_ID_MAX] = '\0';
	bs_device_wipe(&d);
	return true;
}

/* ---- list */

static bool is_wanted(const struct bs_control_job *j, const struct bs_attempt_info *i,
		      const char *device)
{
	const char *want_device = bs__control_text(j, "device");
	const char *want_client = bs__control_text(j, "client");

	if (want_device && (!device || strcmp(want_device, device) != 0))
		return false;
	return !want_client || strcmp(want_client, i->client_id) == 0;
}

static void listed(void *arg, int err, const struct bs_attempt_info *rows, size_t n)
{
	struct bs_control_job *j = arg;
	uint64_t limit = bs__control_uint(j, "limit", LIST_DEFAULT);
	char device[BS_DEVICE_ID_MAX + 1];
	size_t i;

	if (err != BS_OK) {
		bs__control_fail_err(j, err, "attempts", NULL);
		return;
	}
	if (!bs__control_reader(j))
		return;
	for (i = 0; i < n && limit > 0; i++) {
		const char *id = device_id(j, rows[i].number, device) ? device : NULL;

		if (!is_wanted(j, &rows[i], id))
			continue;
		bs__control_item(j, info_json(&rows[i], id));
		limit--;
	}
	bs__control_finish(j, NULL, NULL);
}

static void run_list(struct bs_control_job *j)
{
	uint64_t limit = bs__control_uint(j, "limit", LIST_DEFAULT);
	bool filtered = bs__control_text(j, "device") || bs__control_text(j, "client");
	int err;

	if (limit == 0 || limit > LIST_MAX) {
		bs__control_fail(j, BS_CTL_USAGE, "--limit", "give 1 to 500", "out of range");
		return;
	}
	err = bs_server_attempts(j->control->env.server, 0, filtered ? LIST_MAX : (uint32_t)limit,
				 listed, j);
	if (err != BS_OK)
		bs__control_fail_err(j, err, "attempts", NULL);
}

/* ---- explain */

static void explained(void *arg, int err, const struct bs_attempt_row *rows, size_t n)
{
	struct bs_control_job *j = arg;
	json_t *result = j->result;
	json_int_t start = n ? (json_int_t)rows[0].unix_ms : 0;
	size_t i;

	if (err != BS_OK) {
		bs__control_fail_err(j, err, bs__control_text(j, "attempt"), NULL);
		return;
	}
	for (i = 0; i < n; i++) {
		const struct bs_attempt_row *r = &rows[i];
		json_t *v = json_pack("{s:I,s:o,s:i,s:s,s:o}", "after_ms",
				      (json_int_t)r->unix_ms - start, "when_ms",
				      ms_json(r->unix_ms), "worker", (int)r->worker, "step",
				      step_text(r->step), "address", endpoint_json(&r->ep));

		if (r->status != 0)
			json_object_set_new(v, "status", json_integer(r->status));
		if (has_path(r->step))
			json_object_set_new(v, "path", json_string(path_name(r->value)));
		bs__control_item(j, v);
	}
	j->result = NULL;
	bs__control_finish(j, result, NULL);
}

static void found(void *arg, int err, const struct bs_attempt_info *rows, size_t n)
{
	struct bs_control_job *j = arg;
	char device[BS_DEVICE_ID_MAX + 1];

	if (err == BS_OK && n == 0) {
		bs__control_fail(j, BS_CTL_NOT_FOUND, bs__control_text(j, "attempt"),
				 "attempt list shows those that are remembered",
				 "no such attempt, or it is too old");
		return;
	}
	if (err == BS_OK && !bs__control_reader(j))
		return;
	if (err == BS_OK) {
		j->result = info_json(rows, device_id(j, rows->number, device) ? device : NULL);
		err = bs_server_attempt(j->control->env.server, rows->attempt, explained, j);
	}
	if (err != BS_OK)
		bs__control_fail_err(j, err, bs__control_text(j, "attempt"), NULL);
}

static void run_explain(struct bs_control_job *j)
{
	const char *text = bs__control_text(j, "attempt");
	size_t len = strlen(text);
	int err;

	if ((len != 16 && len != 8) || strspn(text, "0123456789abcdefABCDEF") != len) {
		bs__control_fail(j, BS_CTL_USAGE, text,
				 "give the 16 digits of an attempt or the 8 of a connection",
				 "neither an attempt nor a connection number");
		return;
	}
	err = bs_server_attempts(j->control->env.server, strtoull(text, NULL, 16), 1, found, j);
	if (err != BS_OK)
		bs__control_fail_err(j, err, text, NULL);
}

const struct bs_control_row bs__control_attempt[] = {
	{ "attempt list", run_list },
	{ "attempt explain", run_explain },
	{ NULL, NULL },
};
