/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both directions of the protocol's lines.  Whatever comes in is bounded before jansson sees it:
 * the length by the line splitter, the nesting by bs_ctl_too_deep().
 */
#include "ctl/protocol.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	int status;
	const char *name;
	const char *help;
} status_rows[] = {
	{ BS_CTL_OK, "ok", "done" },
	{ BS_CTL_FAILED, "failed", "failed for a reason that no other code names" },
	{ BS_CTL_USAGE, "usage", "the command line is wrong" },
	{ BS_CTL_UNREACHABLE, "unreachable", "no server answers on the control socket" },
	{ BS_CTL_REFUSED, "refused", "not permitted" },
	{ BS_CTL_NOT_FOUND, "not-found", "there is no such device, client, rule or file" },
	{ BS_CTL_EXISTS, "exists", "something of that name is there already" },
	{ BS_CTL_BAD_INPUT, "bad-input", "a file or a value is wrong; nothing was changed" },
	{ BS_CTL_BUSY, "busy", "in use, full or too slow; try again" },
	{ BS_CTL_INTERRUPTED, "interrupted",
	  "the connection ended in mid-command; the outcome is unknown" },
};

#define N_STATUS (sizeof(status_rows) / sizeof(status_rows[0]))

void bs_ctl_error_set(struct bs_ctl_error *e, int status, const char *place, const char *remedy,
		      const char *reason, ...)
{
	va_list ap;

	e->status = status;
	snprintf(e->place, sizeof(e->place), "%s", place ? place : "");
	snprintf(e->remedy, sizeof(e->remedy), "%s", remedy ? remedy : "");
	va_start(ap, reason);
	vsnprintf(e->reason, sizeof(e->reason), reason, ap);
	va_end(ap);
}

const char *bs_ctl_error_text(const struct bs_ctl_error *e, char *buf, size_t cap)
{
	const char *reason = e->reason[0] ? e->reason : bs_ctl_status_name(e->status);

	snprintf(buf, cap, "%s%s%s%s%s", e->place, e->place[0] ? ": " : "", reason,
		 e->remedy[0] ? "; " : "", e->remedy);
	return buf;
}

int bs_ctl_status_from_err(int err)
{
	switch (err) {
	case BS_OK: return BS_CTL_OK;
	case BS_EPERM:
	case BS_EREFUSED:
	case BS_EAUTH: return BS_CTL_REFUSED;
	case BS_ENOENT:
	case BS_EUNKNOWN: return BS_CTL_NOT_FOUND;
	case BS_EEXIST: return BS_CTL_EXISTS;
	case BS_EINVAL:
	case BS_EFIELD:
	case BS_ECONF:
	case BS_ETOOBIG: return BS_CTL_BAD_INPUT;
	case BS_EAGAIN:
	case BS_EFULL:
	case BS_ERATE:
	case BS_EDRAIN:
	case BS_ETIMEDOUT:
	case BS_EBUSY: return BS_CTL_BUSY;
	case BS_EUNREACH: return BS_CTL_UNREACHABLE;
	default: return BS_CTL_FAILED;
	}
}

const char *bs_ctl_status_name(int status)
{
	size_t i;

	for (i = 0; i < N_STATUS; i++) {
		if (status_rows[i].status == status)
			return status_rows[i].name;
	}
	return "failed";
}

const char *bs_ctl_status_help(int status)
{
	size_t i;

	for (i = 0; i < N_STATUS; i++) {
		if (status_rows[i].status == status)
			return status_rows[i].help;
	}
	return NULL;
}

/* ---- lines */

void bs_ctl_lines_init(struct bs_ctl_lines *l, size_t line_max)
{
	memset(l, 0, sizeof(*l));
	l->line_max = line_max;
}

void bs_ctl_lines_fini(struct bs_ctl_lines *l)
{
	if (!l)
		return;
	free(l->buf);
	memset(l, 0, sizeof(*l));
}

/* Drop what has been given out, so that the buffer holds pending bytes only. */
static void lines_compact(struct bs_ctl_lines *l)
{
	if (l->taken == 0)
		return;
	memmove(l->buf, l->buf + l->taken, l->len - l->taken);
	l->len -= l->taken;
	l->scanned -= l->taken;
	l->taken = 0;
}

static int lines_grow(struct bs_ctl_lines *l, size_t need)
{
	size_t cap = l->cap ? l->cap : 4096;
	char *p;

	while (cap < need)
		cap *= 2;
	p = realloc(l->buf, cap);
	if (!p)
		return BS_ENOMEM;
	l->buf = p;
	l->cap = cap;
	return BS_OK;
}

/* The longest unfinished line is the tail after the last newline, old or new. */
static bool lines_too_long(const struct bs_ctl_lines *l, const char *data, size_t len)
{
	size_t start = l->taken;
	size_t run = 0;
	size_t i;

	for (i = l->len; i > start && l->buf[i - 1] != '\n'; i--)
		run++;
	for (i = 0; i < len; i++) {
		if (data[i] == '\n')
			run = 0;
		else if (++run > l->line_max)
			return true;
	}
	return false;
}

int bs_ctl_lines_add(struct bs_ctl_lines *l, const void *data, size_t len)
{
	int err;

	if (len == 0)
		return BS_OK;
	if (lines_too_long(l, data, len))
		return BS_ETOOBIG;
	lines_compact(l);
	if (l->len + len > l->cap) {
		err = lines_grow(l, l->len + len);
		if (err != BS_OK)
			return err;
	}
	memcpy(l->buf + l->len, data, len);
	l->len += len;
	return BS_OK;
}

const char *bs_ctl_lines_next(struct bs_ctl_lines *l, size_t *len)
{
	const char *start;
	char *nl;

	if (l->scanned == l->len)
		return NULL;
	nl = memchr(l->buf + l->scanned, '\n', l->len - l->scanned);
	if (!nl) {
		l->scanned = l->len;
		return NULL;
	}
	start = l->buf + l->taken;
	*len = (size_t)(nl - start);
	l->taken = l->scanned = (size_t)(nl + 1 - l->buf);
	return start;
}

/* ---- parsing */

bool bs_ctl_too_deep(const char *s, size_t len, unsigned max)
{
	unsigned depth = 0;
	bool quoted = false;
	size_t i;

	for (i = 0; i < len; i++) {
		if (quoted) {
			if (s[i] == '\\')
				i++;
			else if (s[i] == '"')
				quoted = false;
		} else if (s[i] == '"') {
			quoted = true;
		} else if (s[i] == '{' || s[i] == '[') {
			if (++depth > max)
				return true;
		} else if ((s[i] == '}' || s[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

/* One line as an object with an integer "id"; NULL with e filled. */
static json_t *parse_line(const char *line, size_t len, json_int_t *id, struct bs_ctl_error *e)
{
	json_error_t je;
	json_t *root;
	json_t *jid;

	if (bs_ctl_too_deep(line, len, BS_CTL_DEPTH_MAX)) {
		bs_ctl_error_set(e, BS_CTL_USAGE, "control line", NULL,
				 "nested deeper than %u levels", BS_CTL_DEPTH_MAX);
		return NULL;
	}
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	if (!root) {
		bs_ctl_error_set(e, BS_CTL_USAGE, "control line", NULL, "not JSON (%s, column %d)",
				 je.text, je.column);
		return NULL;
	}
	jid = json_object_get(root, "id");
	if (!json_is_object(root) || !json_is_integer(jid) || json_integer_value(jid) < 0) {
		json_decref(root);
		bs_ctl_error_set(e, BS_CTL_USAGE, "control line", NULL,
				 "not an object with a number \"id\"");
		return NULL;
	}
	*id = json_integer_value(jid);
	return root;
}

int bs_ctl_request_parse(struct bs_ctl_request *r, const char *line, size_t len,
			 struct bs_ctl_error *e)
{
	struct bs_ctl_request t = { 0 };
	json_t *command;
	int forms;

	t.json = parse_line(line, len, &t.id, e);
	if (!t.json)
		return BS_ECONF;
	command = json_object_get(t.json, "command");
	t.command = json_string_value(command);
	t.args = json_object_get(t.json, "args");
	t.rows = json_object_get(t.json, "rows");
	t.end = json_is_true(json_object_get(t.json, "end"));
	t.abort = json_is_true(json_object_get(t.json, "abort"));
	forms = (command != NULL) + (t.rows != NULL) + t.end + t.abort;
	if (forms != 1 || (command && !t.command) || (t.args && !json_is_object(t.args)) ||
	    (t.rows && !json_is_array(t.rows))) {
		bs_ctl_error_set(
			e, BS_CTL_USAGE, "control line", NULL,
			"a request has one of \"command\" (text, with an object \"args\"), "
			"\"rows\" (array), \"end\", \"abort\"");
		json_decref(t.json);
		return BS_ECONF;
	}
	*r = t;
	return BS_OK;
}

void bs_ctl_request_fini(struct bs_ctl_request *r)
{
	if (!r)
		return;
	json_decref(r->json);
	memset(r, 0, sizeof(*r));
}

static const char *member(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static void error_from_json(struct bs_ctl_error *e, int status, const json_t *o)
{
	e->status = status;
	snprintf(e->place, sizeof(e->place), "%s", member(o, "place"));
	snprintf(e->reason, sizeof(e->reason), "%s", member(o, "reason"));
	snprintf(e->remedy, sizeof(e->remedy), "%s", member(o, "remedy"));
}

int bs_ctl_record_parse(struct bs_ctl_record *r, const char *line, size_t len,
			struct bs_ctl_error *e)
{
	static const char *const names[] = { "item", "progress", "ready" };
	struct bs_ctl_record t;
	json_t *status;
	int i;

	memset(&t, 0, sizeof(t));
	t.json = parse_line(line, len, &t.id, e);
	if (!t.json)
		return BS_ECONF;
	for (i = 0; i < 3; i++) {
		t.value = json_object_get(t.json, names[i]);
		if (t.value) {
			t.kind = (enum bs_ctl_kind)i;
			*r = t;
			return BS_OK;
		}
	}
	status = json_object_get(t.json, "status");
	if (!json_is_integer(status) || json_integer_value(status) < 0 ||
	    json_integer_value(status) > 255) {
		json_decref(t.json);
		bs_ctl_error_set(e, BS_CTL_FAILED, "answer of the server",
				 "are bsctl and basestationd of the same version?",
				 "neither a row nor a final record");
		return BS_ECONF;
	}
	t.kind = BS_CTL_FINAL;
	t.value = json_object_get(t.json, "result");
	t.cursor = json_string_value(json_object_get(t.json, "cursor"));
	error_from_json(&t.error, (int)json_integer_value(status),
			json_object_get(t.json, "error"));
	*r = t;
	return BS_OK;
}

void bs_ctl_record_fini(struct bs_ctl_record *r)
{
	if (!r)
		return;
	json_decref(r->json);
	memset(r, 0, sizeof(*r));
}

/* ---- building */

/* Dumps and releases o; jansson escapes newlines, so the result is one line. */
static char *finish(json_t *o, size_t *len)
{
	char *text = NULL;
	size_t need;

	if (!o)
		return NULL;
	need = json_dumpb(o, NULL, 0, JSON_COMPACT);
	if (need > 0)
		text = malloc(need + 2);
	if (text) {
		json_dumpb(o, text, need, JSON_COMPACT);
		text[need] = '\n';
		text[need + 1] = '\0';
		*len = need + 1;
	}
	json_decref(o);
	return text;
}

/* {"id": id, name: value}; takes value, leaves it out where it is NULL. */
static json_t *with_member(json_int_t id, const char *name, json_t *value)
{
	json_t *o = json_object();

	if (!o || json_object_set_new(o, "id", json_integer(id)) != 0) {
		json_decref(value);
		json_decref(o);
		return NULL;
	}
	if (value && json_object_set_new(o, name, value) != 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

char *bs_ctl_make_request(json_int_t id, const char *command, json_t *args, size_t *len)
{
	json_t *o = with_member(id, "args", args);

	if (o && json_object_set_new(o, "command", json_string(command)) != 0) {
		json_decref(o);
		return NULL;
	}
	return finish(o, len);
}

char *bs_ctl_make_rows(json_int_t id, json_t *rows, size_t *len)
{
	return finish(with_member(id, "rows", rows), len);
}

char *bs_ctl_make_end(json_int_t id, bool abort, size_t *len)
{
	return finish(with_member(id, abort ? "abort" : "end", json_true()), len);
}

char *bs_ctl_make_record(json_int_t id, enum bs_ctl_kind kind, json_t *value, size_t *len)
{
	static const char *const names[] = { "item", "progress", "ready", "result" };
	/* A record is told by its member, so an absent value travels as an empty object. */
	json_t *v = value ? value : json_object();

	return finish(with_member(id, names[kind], v), len);
}

char *bs_ctl_make_final(json_int_t id, json_t *result, const char *cursor, size_t *len)
{
	json_t *o = with_member(id, "result", result);

	if (o && (json_object_set_new(o, "status", json_integer(BS_CTL_OK)) != 0 ||
		  (cursor && json_object_set_new(o, "cursor", json_string(cursor)) != 0))) {
		json_decref(o);
		return NULL;
	}
	return finish(o, len);
}

char *bs_ctl_make_error(json_int_t id, const struct bs_ctl_error *e, size_t *len)
{
	/* An error must get through even where it quotes bytes that are not UTF-8. */
	json_t *err = json_pack("{s:s,s:s,s:s}", "place", e->place, "reason", e->reason, "remedy",
				e->remedy);
	json_t *o;

	if (!err)
		err = json_pack("{s:s}", "reason", bs_ctl_status_name(e->status));
	o = with_member(id, "error", err);
	if (o && json_object_set_new(o, "status", json_integer(e->status)) != 0) {
		json_decref(o);
		return NULL;
	}
	return finish(o, len);
}
