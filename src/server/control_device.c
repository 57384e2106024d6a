/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices.  What is stored comes from the registry reader of this thread, what is live from the
 * workers by message, so a command may end in a later turn of the loop.  Commands with several ids
 * look all of them up first and then change one after the other, each durable by itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basestation/wire.h"
#include "crypto/crypto.h"
#include "ctl/field.h"
#include "ctl/rows.h"
#include "server/control_job.h"

static json_t *device_json(const struct bs_device *d)
{
	return json_pack("{s:s,s:s,s:o,s:b,s:b,s:b,s:I,s:o,s:o}", "id", d->id, "state",
			 bs__control_state_name(d->state), "tags", bs__control_json_names(&d->tags),
			 "legacy", (d->flags & BS_DEVICE_LEGACY) != 0, "has_secret", d->has_secret,
			 "rotating", d->has_next, "number", (json_int_t)d->number, "created",
			 bs__control_json_time(d->created), "last_seen",
			 bs__control_json_time(d->last_seen));
}

static struct bs_slice slice_of(const char *s)
{
	struct bs_slice v = { (const uint8_t *)s, strlen(s) };

	return v;
}

/* The device of an id; on failure the job has ended. */
static bool get_device(struct bs_control_job *j, const char *id, struct bs_device *d)
{
	struct bs_registry_reader *r = bs__control_reader(j);
	int err;

	if (!r)
		return false;
	err = bs_registry_device(r, slice_of(id), d);
	if (err == BS_OK)
		return true;
	if (err == BS_ENOENT)
		bs__control_fail(j, BS_CTL_NOT_FOUND, id, NULL, "no such device");
	else
		bs__control_fail_err(j, err, id, NULL);
	return false;
}

/* ---- add, tag, rotate-key */

static void run_add(struct bs_control_job *j)
{
	const char *id = bs__control_text(j, "id");
	const char *secret = bs__control_text(j, "secret");
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD };
	struct bs_device *d = &req.u.device;
	struct bs_device old;
	struct bs_registry_reader *r;

	if (!secret && !bs__control_flag(j, "legacy")) {
		bs__control_fail(j, BS_CTL_USAGE, id, NULL, "a secret is missing");
		return;
	}
	memcpy(d->id, id, strlen(id) + 1);
	d->id_len = (uint8_t)strlen(id);
	d->state = bs__control_flag(j, "disabled") ? BS_RECORD_DISABLED : BS_RECORD_ENABLED;
	d->flags = bs__control_flag(j, "legacy") ? BS_DEVICE_LEGACY : 0;
	if (!bs__control_names(j, "tag", &d->tags))
		return;
	r = bs__control_reader(j);
	if (!r)
		return;
	if (bs_registry_device(r, slice_of(id), &old) == BS_OK) {
		bs_device_wipe(&old);
		bs__control_fail(j, BS_CTL_EXISTS, id, "use device rotate-key for a new secret",
				 "there is such a device already");
		return;
	}
	j->result = json_pack("{s:s}", "id", id);
	if (j->dry_run) {
		bs__control_finish(j, json_incref(j->result), NULL);
		return;
	}
	d->has_secret = secret && bs_field_secret(secret, strlen(secret), d->secret) == NULL;
	bs__control_submit(j, &req, bs__control_stored);
	bs_device_wipe(d);
}

static void run_tag(struct bs_control_job *j)
{
	const char *id = bs__control_text(j, "id");
	struct bs_store_request req = { .op = BS_STORE_DEVICE_TAGS };
	struct bs_device d;

	memcpy(req.u.tags.id, id, strlen(id) + 1);
	if (!bs__control_names(j, "add", &req.u.tags.add) ||
	    !bs__control_names(j, "remove", &req.u.tags.remove))
		return;
	if (req.u.tags.add.n + req.u.tags.remove.n == 0) {
		bs__control_fail(j, BS_CTL_USAGE, id, NULL, "neither --add nor --remove is given");
		return;
	}
	if (!get_device(j, id, &d))
		return;
	bs_device_wipe(&d);
	j->result = json_pack("{s:s}", "id", id);
	if (j->dry_run)
		bs__control_finish(j, json_incref(j->result), NULL);
	else
		bs__control_submit(j, &req, bs__control_stored);
}

static void run_rotate(struct bs_control_job *j)
{
	const char *id = bs__control_text(j, "id");
	const char *secret = bs__control_text(j, "secret");
	bool finish = bs__control_flag(j, "finish");
	bool undo = bs__control_flag(j, "undo");
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ROTATE };
	struct bs_device *d = &req.u.device;
	struct bs_device old;
	bool rotating;

	if (finish + undo + (secret != NULL) != 1) {
		bs__control_fail(j, BS_CTL_USAGE, id, NULL,
				 "one of a secret, --finish and --undo is wanted");
		return;
	}
	if (!get_device(j, id, &old))
		return;
	rotating = old.has_next;
	bs_device_wipe(&old);
	if (!rotating && !secret) {
		bs__control_fail(j, BS_CTL_NOT_FOUND, id, NULL,
				 "no new secret waits for this device");
		return;
	}
	if (rotating && secret) {
		bs__control_fail(j, BS_CTL_EXISTS, id, "end that with --finish or --undo first",
				 "a new secret waits for this device already");
		return;
	}
	if (!secret)
		req.op = finish ? BS_STORE_DEVICE_ROTATE_DONE : BS_STORE_DEVICE_ROTATE_UNDO;
	memcpy(d->id, id, strlen(id) + 1);
	d->id_len = (uint8_t)strlen(id);
	j->result = json_pack("{s:s}", "id", id);
	if (j->dry_run) {
		bs__control_finish(j, json_incref(j->result), NULL);
		return;
	}
	d->has_secret = secret && bs_field_secret(secret, strlen(secret), d->secret) == NULL;
	bs__control_submit(j, &req, bs__control_stored);
	bs_device_wipe(d);
}

/* ---- enable, disable, delete, kick: one id after the other */

static void next_change(struct bs_control_job *j);

/* All ids exist, or nothing is begun; what a second user does meanwhile is told by its id. */
static bool all_there(struct bs_control_job *j)
{
	const char *id;
	size_t i;

	for (i = 0; (id = bs__control_nth(j, "id", i)) != NULL; i++) {
		struct bs_device d;

		if (!get_device(j, id, &d))
			return false;
		bs_device_wipe(&d);
	}
	return true;
}

static void change_done(void *arg, const struct bs_store_result *res)
{
	struct bs_control_job *j = arg;

	if (res->status != BS_OK) {
		bs__control_fail_err(j, res->status, bs__control_nth(j, "id", j->step),
				     res->err.text);
		return;
	}
	j->step++;
	next_change(j);
}

static void next_change(struct bs_control_job *j)
{
	const char *id = bs__control_nth(j, "id", j->step);
	const char *verb = j->command->name + strlen("device ");
	struct bs_store_request req = { .op = BS_STORE_DEVICE_STATE };

	if (!id) {
		bs__control_finish(j, json_pack("{s:I}", "devices", (json_int_t)j->step), NULL);
		return;
	}
	memcpy(req.u.device.id, id, strlen(id) + 1);
	req.u.device.id_len = (uint8_t)strlen(id);
	if (strcmp(verb, "delete") == 0)
		req.op = BS_STORE_DEVICE_DELETE;
	else if (strcmp(verb, "disable") == 0)
		req.u.device.state = BS_RECORD_DISABLED;
	else
		req.u.device.state = BS_RECORD_ENABLED;
	bs__control_submit(j, &req, change_done);
}

static void run_change(struct bs_control_job *j)
{
	if (!all_there(j))
		return;
	if (j->dry_run)
		bs__control_finish(
			j,
			json_pack("{s:I}", "devices",
				  (json_int_t)json_array_size(json_object_get(j->args, "id"))),
			NULL);
	else
		next_change(j);
}

static void next_kick(struct bs_control_job *j);

static void kick_done(void *arg, int err)
{
	struct bs_control_job *j = arg;

	if (err == BS_ENOENT) {
		bs__control_fail(j, BS_CTL_NOT_FOUND, bs__control_nth(j, "id", j->step), NULL,
				 "not attached");
		return;
	}
	if (err != BS_OK) {
		bs__control_fail_err(j, err, bs__control_nth(j, "id", j->step), NULL);
		return;
	}
	j->step++;
	next_kick(j);
}

static void next_kick(struct bs_control_job *j)
{
	const char *id = bs__control_nth(j, "id", j->step);
	struct bs_device d;
	int err;

	if (!id) {
		bs__control_finish(j, json_pack("{s:I}", "devices", (json_int_t)j->step), NULL);
		return;
	}
	if (!get_device(j, id, &d))
		return;
	bs_device_wipe(&d);
	err = bs_server_kick(j->control->env.server, d.number, kick_done, j);
	if (err != BS_OK)
		bs__control_fail_err(j, err, id, NULL);
}

static void run_kick(struct bs_control_job *j)
{
	if (!all_there(j))
		return;
	if (j->dry_run)
		bs__control_finish(j, json_object(), NULL);
	else
		next_kick(j);
}

/* ---- show */

static json_t *ext_json(uint32_t ext)
{
	static const char *const names[] = { "IP6",         "COOKIE",  "AUTH_ALIVE", "INTERVAL",
					     "RETRY",       "ATTEMPT", "CLOSE",      "GCM",
					     "FAST_STREAM", "PAIR",    "PATH" };
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (ext & 1u << i)
			json_array_append_new(a, json_string(names[i]));
	}
	return a;
}

static size_t text_len(const char *s, size_t cap)
{
	const char *end = memchr(s, '\0', cap);

	return end ? (size_t)(end - s) : cap;
}

static json_t *attachment_json(const struct bs_device_row *r)
{
	return json_pack(
		"{s:s,s:o,s:o,s:s,s:o,s:o,s:i,s:i,s:i,s:I,s:i,s:o,s:I,s:b,s:o,s:o}", "state",
		r->state == BS_DEVICE_UNREACHABLE ? "unreachable" : "online", "address",
		bs__control_json_endpoint(&r->peer), "local", bs__control_json_endpoint(&r->local),
		"nat", r->flags & BS_ROW_NAT_SYMMETRIC ? "symmetric" : "other", "since",
		bs__control_json_time(r->attached_ms / 1000), "seen",
		bs__control_json_time(r->seen_ms / 1000), "worker", (int)r->worker, "connections",
		(int)r->connections, "connection_limit", (int)r->connection_limit, "rtt_us",
		(json_int_t)r->alive_rtt_us, "interval_s", (int)r->alive_interval_s, "extensions",
		ext_json(r->ext), "capabilities", (json_int_t)r->caps, "legacy",
		(r->flags & BS_ROW_LEGACY) != 0, "version",
		bs__control_json_peer_text(r->version, text_len(r->version, sizeof(r->version))),
		"label",
		bs__control_json_peer_text(r->label, text_len(r->label, sizeof(r->label))));
}

static void shown(void *arg, int err, const struct bs_device_row *rows, size_t n, uint64_t cursor)
{
	struct bs_control_job *j = arg;
	json_t *result = j->result;

	(void)cursor;
	if (err != BS_OK && err != BS_ENOENT) {
		bs__control_fail_err(j, err, bs__control_text(j, "id"), NULL);
		return;
	}
	json_object_set_new(result, "attachment",
			    err == BS_OK && n > 0 ? attachment_json(rows) : json_null());
	j->result = NULL;
	bs__control_finish(j, result, NULL);
}

static void run_show(struct bs_control_job *j)
{
	const char *id = bs__control_text(j, "id");
	struct bs_device d;
	json_t *v;
	int err;

	if (!get_device(j, id, &d))
		return;
	v = device_json(&d);
	bs_device_wipe(&d);
	if (!j->control->env.server) {
		bs__control_finish(j, v, NULL);
		return;
	}
	j->result = v;
	err = bs_server_device(j->control->env.server, d.number, shown, j);
	if (err != BS_OK)
		bs__control_fail_err(j, err, id, NULL);
}

/* ---- list, export */

static bool get_filter(struct bs_control_job *j, struct bs_device_filter *f)
{
	const char *prefix = bs__control_text(j, "prefix");
	const char *tag = bs__control_text(j, "tag");
	const char *state = bs__control_text(j, "state");

	memset(f, 0, sizeof(*f));
	if (prefix && strlen(prefix) >= sizeof(f->prefix)) {
		bs__control_fail(j, BS_CTL_BAD_INPUT, "--prefix", NULL,
				 "a device id has at most %d characters", BS_DEVICE_ID_MAX);
		return false;
	}
	memcpy(f->prefix, prefix ? prefix : "", prefix ? strlen(prefix) + 1 : 1);
	memcpy(f->tag, tag ? tag : "", tag ? strlen(tag) + 1 : 1);
	if (state)
		f->state = strcmp(state, "disabled") == 0 ? BS_RECORD_DISABLED : BS_RECORD_ENABLED;
	f->with_secrets = bs__control_flag(j, "with-secrets");
	return true;
}

static json_t *export_json(const struct bs_device *d)
{
	struct bs_row row;
	json_t *v;
	unsigned i;

	memset(&row, 0, sizeof(row));
	memcpy(row.id, d->id, sizeof(row.id));
	row.has_secret = d->has_secret;
	memcpy(row.secret, d->secret, sizeof(row.secret));
	row.state = d->state == BS_RECORD_DISABLED ? BS_ROW_DISABLED : BS_ROW_ENABLED;
	row.legacy = (d->flags & BS_DEVICE_LEGACY) != 0;
	row.created = d->created;
	for (i = 0; i < d->tags.n && i < BS_FIELD_TAGS_MAX; i++)
		memcpy(row.tag[row.n_tags++], d->tags.name[i], sizeof(row.tag[0]));
	v = bs_row_to_wire(&row);
	bs_row_wipe(&row);
	return v;
}

/* One page; export sends rows, list sends objects. */
static void page(struct bs_control_job *j, json_t *(*form)(const struct bs_device *d))
{
	struct bs_device d[BS_CONTROL_PAGE];
	struct bs_device_filter f;
	struct bs_list_pos pos;
	struct bs_registry_reader *r;
	bool end = false;
	bs_ssize n;
	bs_ssize i;

	if (!get_filter(j, &f) || !bs__control_cursor(j, &pos))
		return;
	r = bs__control_reader(j);
	if (!r)
		return;
	n = bs_registry_device_list(r, &f, &pos, d, BS_CONTROL_PAGE, &end);
	if (n < 0) {
		bs__control_fail_err(j, n, "database", NULL);
		return;
	}
	for (i = 0; i < n; i++) {
		/* Without leave no secret goes out, whatever the store has filled in. */
		if (!f.with_secrets)
			bs_wipe(d[i].secret, sizeof(d[i].secret));
		if (!f.with_secrets && form == export_json)
			d[i].has_secret = false;
		bs__control_item(j, form(&d[i]));
		bs_device_wipe(&d[i]);
	}
	bs__control_page_end(j, &pos, end);
}

static void run_export(struct bs_control_job *j)
{
	page(j, export_json);
}

static void listed_live(void *arg, int err, const struct bs_device_row *rows, size_t n,
			uint64_t cursor)
{
	struct bs_control_job *j = arg;
	struct bs_registry_reader *r;
	char text[24];
	size_t i;

	if (err != BS_OK) {
		bs__control_fail_err(j, err, "attached devices", NULL);
		return;
	}
	r = bs__control_reader(j);
	if (!r)
		return;
	for (i = 0; i < n; i++) {
		struct bs_device d;
		json_t *v = attachment_json(&rows[i]);

		/* A device may have been deleted while the worker answered. */
		if (bs_registry_device_by_number(r, rows[i].number, &d) != BS_OK) {
			json_decref(v);
			continue;
		}
		json_object_set_new(v, "id", json_string(d.id));
		bs_device_wipe(&d);
		bs__control_item(j, v);
	}
	snprintf(text, sizeof(text), "%llx", (unsigned long long)cursor);
	bs__control_finish(j, NULL, cursor ? text : NULL);
}

static void list_live(struct bs_control_job *j)
{
	const char *cursor = bs__control_text(j, "cursor");
	uint64_t from = cursor ? strtoull(cursor, NULL, 16) : 0;
	int err;

	if (!j->control->env.server) {
		bs__control_fail(j, BS_CTL_UNREACHABLE, "--attached", "leave out --offline",
				 "needs the running server");
		return;
	}
	err = bs_server_list(j->control->env.server, from, BS_CONTROL_PAGE, listed_live, j);
	if (err != BS_OK)
		bs__control_fail_err(j, err, "attached devices", NULL);
}

static void run_list(struct bs_control_job *j)
{
	if (bs__control_flag(j, "attached"))
		list_live(j);
	else
		page(j, device_json);
}

const struct bs_control_row bs__control_device[] = {
	{ "device add", run_add },
	{ "device tag", run_tag },
	{ "device rotate-key", run_rotate },
	{ "device enable", run_change },
	{ "device disable", run_change },
	{ "device delete", run_change },
	{ "device kick", run_kick },
	{ "device show", run_show },
	{ "device list", run_list },
	{ "device export", run_export },
	{ NULL, NULL },
};
