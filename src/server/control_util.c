/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command files share: arguments, cursors of lists, JSON forms of common values.
 */
#include "server/control_job.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "ctl/field.h"
#include "log/log.h"
#include "util/endpoint.h"

struct bs_registry_reader *bs__control_reader(struct bs_control_job *j)
{
	struct bs_control *c = j->control;
	struct bs_ctl_error e;
	int err;

	if (!c->env.registry && c->open && c->open(c->open_arg, &e) != BS_OK) {
		bs__control_fail_error(j, &e);
		return NULL;
	}
	if (!c->env.registry) {
		bs__control_fail(j, BS_CTL_FAILED, NULL, NULL, "the registry is not open");
		return NULL;
	}
	if (!c->reader) {
		err = bs_registry_reader_new(c->env.registry, &c->reader);
		if (err != BS_OK) {
			bs__control_fail_err(j, err, "database", NULL);
			return NULL;
		}
	}
	return c->reader;
}

bool bs__control_submit(struct bs_control_job *j, struct bs_store_request *req,
			bs_store_done_fn done)
{
	int err;

	if (!bs__control_reader(j))
		return false;
	req->done = done;
	req->arg = j;
	err = bs_store_submit(j->control->env.inbox, req);
	if (err == BS_OK)
		return true;
	bs__control_fail_err(j, err, "database",
			     err == BS_EFULL ? "too many changes wait; try again" : NULL);
	return false;
}

void bs__control_stored(void *arg, const struct bs_store_result *res)
{
	struct bs_control_job *j = arg;
	json_t *result = j->result;

	if (res->status != BS_OK) {
		bs__control_fail_err(j, res->status, NULL, res->err.text);
		return;
	}
	j->result = NULL;
	bs__control_finish(j, result ? result : json_object(), NULL);
}

/* ---- arguments */

const char *bs__control_text(const struct bs_control_job *j, const char *name)
{
	return json_string_value(json_object_get(j->args, name));
}

bool bs__control_flag(const struct bs_control_job *j, const char *name)
{
	return json_is_true(json_object_get(j->args, name));
}

uint64_t bs__control_uint(const struct bs_control_job *j, const char *name, uint64_t otherwise)
{
	const json_t *v = json_object_get(j->args, name);

	return json_is_integer(v) ? (uint64_t)json_integer_value(v) : otherwise;
}

const char *bs__control_nth(const struct bs_control_job *j, const char *name, size_t n)
{
	return json_string_value(json_array_get(json_object_get(j->args, name), n));
}

bool bs__control_sha256(const struct bs_control_job *j, const char *name, uint8_t out[static 32])
{
	const char *s = bs__control_text(j, name);

	return s && bs_field_hex(s, strlen(s), out, 32) == NULL;
}

bool bs__control_names(struct bs_control_job *j, const char *name, struct bs_names *out)
{
	const char *s;
	size_t i;

	memset(out, 0, sizeof(*out));
	for (i = 0; (s = bs__control_nth(j, name, i)) != NULL; i++) {
		int err = bs_names_add(out, s, strlen(s));

		if (err == BS_EFULL)
			bs__control_fail(j, BS_CTL_BAD_INPUT, name, NULL, "more than %d",
					 BS_NAMES_MAX);
		else if (err != BS_OK)
			bs__control_fail(j, BS_CTL_BAD_INPUT, name, NULL, "\"%s\" is not a name",
					 s);
		if (err != BS_OK)
			return false;
	}
	return true;
}

void bs__control_identity(const struct bs_control_job *j, char out[static BS_CLIENT_ID_MAX + 1])
{
	const char *s = bs__control_text(j, "identity");

	if (!s || bs_field_identity(s, strlen(s), out) != NULL)
		out[0] = '\0';
}

/* ---- lists */

bool bs__control_cursor(struct bs_control_job *j, struct bs_list_pos *pos)
{
	const char *s = bs__control_text(j, "cursor");
	size_t n = 0;

	memset(pos, 0, sizeof(*pos));
	if (!s)
		return true;
	if (bs_field_hex_any(s, strlen(s), pos->b, sizeof(pos->b), &n) != NULL) {
		bs__control_fail(j, BS_CTL_USAGE, "cursor", "begin the list anew", "not a cursor");
		return false;
	}
	pos->len = (uint8_t)n;
	return true;
}

void bs__control_page_end(struct bs_control_job *j, const struct bs_list_pos *pos, bool end)
{
	char text[2 * BS_LIST_POS_MAX + 1];

	if (end) {
		bs__control_finish(j, NULL, NULL);
		return;
	}
	bs_field_put_hex(pos->b, pos->len, text);
	bs__control_finish(j, NULL, text);
}

bool bs__control_page_begin(struct bs_control_job *j, struct bs_control_page *p)
{
	memset(p, 0, sizeof(*p));
	if (!bs__control_cursor(j, &p->pos))
		return false;
	p->reader = bs__control_reader(j);
	return p->reader != NULL;
}

void bs__control_page_rows(struct bs_control_job *j, const struct bs_control_page *p,
			   const void *rows, bs_ssize n,
			   json_t *(*form)(const void *rows, size_t i))
{
	bs_ssize i;

	if (n < 0) {
		bs__control_fail_err(j, n, "database", NULL);
		return;
	}
	for (i = 0; i < n; i++)
		bs__control_item(j, form(rows, (size_t)i));
	bs__control_page_end(j, &p->pos, p->end);
}

/* ---- values */

json_t *bs__control_json_time(uint64_t unix_s)
{
	return unix_s ? json_integer((json_int_t)unix_s) : json_null();
}

json_t *bs__control_json_names(const struct bs_names *names)
{
	json_t *a = json_array();
	unsigned i;

	for (i = 0; i < names->n; i++) {
		if (json_array_append_new(a, json_string(names->name[i])) != 0) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

json_t *bs__control_json_hex(const uint8_t *p, size_t n)
{
	char hex[2 * 64 + 1];

	bs_field_put_hex(p, n > 64 ? 64 : n, hex);
	return json_string(hex);
}

json_t *bs__control_json_endpoint(const struct bs_endpoint *ep)
{
	char ip[INET6_ADDRSTRLEN] = "";
	char text[INET6_ADDRSTRLEN + 10];
	uint32_t ip4 = htonl(bs_endpoint_ip4(ep));

	if (!bs_endpoint_is_set(ep))
		return json_null();
	if (bs_endpoint_is_ip4(ep)) {
		inet_ntop(AF_INET, &ip4, ip, sizeof(ip));
		snprintf(text, sizeof(text), "%s:%u", ip, ep->port);
	} else {
		inet_ntop(AF_INET6, ep->ip, ip, sizeof(ip));
		snprintf(text, sizeof(text), "[%s]:%u", ip, ep->port);
	}
	return json_string(text);
}

json_t *bs__control_json_peer_text(const char *s, size_t len)
{
	char out[256];

	return json_string(bs_log_escape(out, sizeof(out), s, len));
}

const char *bs__control_state_name(unsigned state)
{
	switch (state) {
	case BS_RECORD_ENABLED: return "enabled";
	case BS_RECORD_DISABLED: return "disabled";
	case BS_RECORD_REVOKED: return "revoked";
	default: return "unknown";
	}
}
