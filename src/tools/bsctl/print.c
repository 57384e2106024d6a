/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables are described by rows of columns, one table per list command; the first rows are held
 * back to find the widths, later ones flow through, so a list of a million rows needs no memory.
 */
#include "tools/bsctl/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Longest cell of a table; what is longer is cut in the table, never in JSON. */
#define CELL_MAX 128

enum cell {
	CELL_TEXT,
	CELL_TIME, /* Unix seconds */
	CELL_LIST, /* array of texts */
	CELL_YES,  /* boolean */
	CELL_FP,   /* fingerprint, its first 16 digits */
};

struct bs_print_column {
	const char *key; /* NULL ends a table */
	const char *head;
	enum cell cell;
};

static const struct bs_print_column device_columns[] = {
	{ "id", "DEVICE", CELL_TEXT },       { "state", "STATE", CELL_TEXT },
	{ "created", "CREATED", CELL_TIME }, { "last_seen", "LAST SEEN", CELL_TIME },
	{ "tags", "TAGS", CELL_LIST },       { NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column attached_columns[] = {
	{ "id", "DEVICE", CELL_TEXT },
	{ "state", "STATE", CELL_TEXT },
	{ "address", "ADDRESS", CELL_TEXT },
	{ "since", "SINCE", CELL_TIME },
	{ "connections", "CONN", CELL_TEXT },
	{ "version", "VERSION", CELL_TEXT },
	{ NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column client_columns[] = {
	{ "identity", "CLIENT", CELL_TEXT }, { "state", "STATE", CELL_TEXT },
	{ "created", "CREATED", CELL_TIME }, { "ca_fp", "CA", CELL_FP },
	{ "key_fp", "KEY", CELL_FP },        { "groups", "GROUPS", CELL_LIST },
	{ NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column revoked_columns[] = {
	{ "kind", "KIND", CELL_TEXT },     { "identity", "CLIENT", CELL_TEXT },
	{ "serial", "SERIAL", CELL_TEXT }, { "key_fp", "KEY", CELL_FP },
	{ "ca_fp", "CA", CELL_FP },        { "when", "WHEN", CELL_TIME },
	{ "note", "NOTE", CELL_TEXT },     { NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column rule_columns[] = {
	{ "rule", "RULE", CELL_TEXT },         { "action", "ACTION", CELL_TEXT },
	{ "who", "CLIENT", CELL_TEXT },        { "device", "DEVICE", CELL_TEXT },
	{ "priority", "PRIORITY", CELL_TEXT }, { NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column trusted_columns[] = {
	{ "name", "CA", CELL_TEXT },
	{ "ca_fp", "SHA-256", CELL_TEXT },
	{ "added", "ADDED", CELL_TIME },
	{ NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column issued_columns[] = {
	{ "serial", "SERIAL", CELL_TEXT },   { "kind", "KIND", CELL_TEXT },
	{ "name", "NAME", CELL_TEXT },       { "state", "STATE", CELL_TEXT },
	{ "not_after", "UNTIL", CELL_TIME }, { NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column stats_columns[] = {
	{ "name", "COUNTER", CELL_TEXT }, { "value", "VALUE", CELL_TEXT },
	{ "unit", "UNIT", CELL_TEXT },    { "help", "MEANING", CELL_TEXT },
	{ NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column reload_columns[] = {
	{ "key", "KEY", CELL_TEXT },
	{ "change", "TAKES EFFECT", CELL_TEXT },
	{ NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column attempt_columns[] = {
	{ "attempt", "ATTEMPT", CELL_TEXT }, { "when", "WHEN", CELL_TIME },
	{ "device", "DEVICE", CELL_TEXT },   { "client", "CLIENT", CELL_TEXT },
	{ "outcome", "OUTCOME", CELL_TEXT }, { "path", "PATH", CELL_TEXT },
	{ "reason", "REASON", CELL_TEXT },   { NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column relay_columns[] = {
	{ "device", "DEVICE", CELL_TEXT },   { "client", "CLIENT", CELL_TEXT },
	{ "kind", "KIND", CELL_TEXT },       { "grade", "GRADE", CELL_TEXT },
	{ "up_bytes", "UP", CELL_TEXT },     { "down_bytes", "DOWN", CELL_TEXT },
	{ "idle_ms", "IDLE MS", CELL_TEXT }, { "opened", "SINCE", CELL_TIME },
	{ "client_leg", "LEG", CELL_TEXT },  { "attempt", "ATTEMPT", CELL_TEXT },
	{ NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column step_columns[] = {
	{ "after_ms", "MS", CELL_TEXT },   { "worker", "WORKER", CELL_TEXT },
	{ "step", "STEP", CELL_TEXT },     { "address", "ADDRESS", CELL_TEXT },
	{ "status", "STATUS", CELL_TEXT }, { "path", "PATH", CELL_TEXT },
	{ NULL, NULL, CELL_TEXT },
};

static const struct bs_print_column problem_columns[] = {
	{ "problem", "PROBLEM", CELL_TEXT },
	{ NULL, NULL, CELL_TEXT },
};

static const struct {
	const char *command;
	const struct bs_print_column *columns;
} tables[] = {
	{ "device list", device_columns },   { "device list --attached", attached_columns },
	{ "client list", client_columns },   { "client revoked", revoked_columns },
	{ "access list", rule_columns },     { "ca trusted", trusted_columns },
	{ "ca list", issued_columns },       { "stats", stats_columns },
	{ "conf reload", reload_columns },   { "db check", problem_columns },
	{ "relay list", relay_columns },     { "attempt list", attempt_columns },
	{ "attempt explain", step_columns },
};

/* ---- cells */

static void clean(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7F)
			*s = '?';
	}
}

static void time_text(json_int_t unix_s, char *out, size_t cap)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, cap, "%Y-%m-%d %H:%M:%SZ", &tm) == 0)
		snprintf(out, cap, "%lld", (long long)unix_s);
}

static void list_text(const json_t *v, char *out, size_t cap)
{
	size_t n = 0;
	size_t i;
	json_t *item;

	out[0] = '\0';
	json_array_foreach(v, i, item)
	{
		const char *s = json_string_value(item);

		if (s && n + strlen(s) + 2 < cap)
			n += (size_t)snprintf(out + n, cap - n, "%s%s", i ? " " : "", s);
	}
}

/* A value as text of at most cap bytes, without control characters. */
static void cell_text(const json_t *v, enum cell cell, char *out, size_t cap)
{
	if (!v || json_is_null(v))
		snprintf(out, cap, "-");
	else if (cell == CELL_TIME && json_is_integer(v))
		time_text(json_integer_value(v), out, cap);
	else if (json_is_array(v))
		list_text(v, out, cap);
	else if (json_is_boolean(v))
		snprintf(out, cap, "%s", json_is_true(v) ? "yes" : "no");
	else if (json_is_integer(v))
		snprintf(out, cap, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		snprintf(out, cap, "%.1f", json_real_value(v));
	else if (cell == CELL_FP)
		snprintf(out, cap, "%.16s", json_string_value(v) ? json_string_value(v) : "-");
	else
		snprintf(out, cap, "%s", json_string_value(v) ? json_string_value(v) : "-");
	if (out[0] == '\0')
		snprintf(out, cap, "-");
	clean(out);
}

/* ---- JSON */

static void put_json(const json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT);

	if (text)
		printf("%s\n", text);
	free(text);
}

/* ---- tables */

static void widen(struct bs_print *p, const json_t *item)
{
	char text[CELL_MAX];
	unsigned i;

	for (i = 0; p->columns[i].key; i++) {
		if (item)
			cell_text(json_object_get(item, p->columns[i].key), p->columns[i].cell,
				  text, sizeof(text));
		else
			snprintf(text, sizeof(text), "%s", p->columns[i].head);
		if (strlen(text) > p->width[i])
			p->width[i] = (unsigned)strlen(text);
	}
}

static void put_row(const struct bs_print *p, const json_t *item)
{
	char text[CELL_MAX];
	unsigned i;

	for (i = 0; p->columns[i].key; i++) {
		bool last = p->columns[i + 1].key == NULL;

		if (item)
			cell_text(json_object_get(item, p->columns[i].key), p->columns[i].cell,
				  text, sizeof(text));
		else
			snprintf(text, sizeof(text), "%s", p->columns[i].head);
		printf("%-*s%s", last ? 0 : (int)p->width[i], text, last ? "\n" : "  ");
	}
}

static void flow(struct bs_print *p)
{
	unsigned i;

	p->flowing = true;
	widen(p, NULL);
	for (i = 0; i < p->n_held; i++)
		widen(p, p->held[i]);
	put_row(p, NULL);
	for (i = 0; i < p->n_held; i++) {
		put_row(p, p->held[i]);
		json_decref(p->held[i]);
	}
	p->n_held = 0;
}

void bs_print_init(struct bs_print *p, const char *command, bool json)
{
	size_t i;

	memset(p, 0, sizeof(*p));
	p->command = command;
	p->json = json;
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (strcmp(tables[i].command, command) == 0)
			p->columns = tables[i].columns;
	}
}

void bs_print_item(struct bs_print *p, const json_t *item)
{
	if (p->json || !p->columns) {
		put_json(item);
	} else if (p->flowing) {
		put_row(p, item);
	} else {
		p->held[p->n_held++] = json_incref((json_t *)item);
		if (p->n_held == BS_PRINT_ROWS)
			flow(p);
	}
}

/* ---- objects */

static bool is_time_key(const char *key)
{
	static const char *const keys[] = { "created",    "last_seen",  "since", "seen",
					    "started",    "added",      "when",  "not_after",
					    "not_before", "next_update" };
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(keys[i], key) == 0)
			return true;
	}
	return false;
}

static bool put_limit(const char *key, const json_t *v, int indent, int width)
{
	const json_t *used = json_object_get(v, "used");
	const json_t *max = json_object_get(v, "max");

	if (!used || !max)
		return false;
	printf("%*s%-*s  %lld of %lld (%.1f %%)\n", indent, "", width - indent, key,
	       (long long)json_integer_value(used), (long long)json_integer_value(max),
	       json_real_value(json_object_get(v, "percent")));
	return true;
}

static int key_width(const json_t *o)
{
	size_t width = 0;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v)
	{
		if (strlen(key) > width)
			width = strlen(key);
	}
	return (int)width;
}

/* Two levels are enough: nothing that the server answers nests deeper. */
static void put_object(const json_t *o, int indent, int width)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)o, key, v)
	{
		char text[1024];

		if (json_is_object(v) && indent == 0) {
			int inner = key_width(v) + 2;

			printf("%s\n", key);
			put_object(v, 2, inner > width ? inner : width);
			continue;
		}
		if (json_is_object(v) && put_limit(key, v, indent, width))
			continue;
		cell_text(v, is_time_key(key) ? CELL_TIME : CELL_TEXT, text, sizeof(text));
		printf("%*s%-*s  %s\n", indent, "", width - indent, key, text);
	}
}

void bs_print_end(struct bs_print *p, const json_t *result)
{
	if (!p->json && p->columns && !p->flowing && p->n_held > 0)
		flow(p);
	if (!result || json_object_size(result) == 0)
		return;
	if (p->json)
		put_json(result);
	else
		put_object(result, 0, key_width(result));
}

void bs_print_error(const struct bs_ctl_error *e, bool json)
{
	char text[1024];
	json_t *o;
	char *dump;

	if (!json) {
		bs_ctl_error_text(e, text, sizeof(text));
		clean(text);
		fprintf(stderr, "bsctl: %s\n", text);
		return;
	}
	o = json_pack("{s:i,s:s,s:{s:s,s:s,s:s}}", "status", e->status, "name",
		      bs_ctl_status_name(e->status), "error", "place", e->place, "reason",
		      e->reason, "remedy", e->remedy);
	dump = o ? json_dumps(o, JSON_COMPACT) : NULL;
	fprintf(stderr, "%s\n", dump ? dump : "{\"status\":1}");
	free(dump);
	json_decref(o);
}

/* ---- progress */

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void bs_progress_init(struct bs_progress *p, const char *what, bool quiet)
{
	memset(p, 0, sizeof(*p));
	p->what = what;
	p->on = !quiet && isatty(STDERR_FILENO);
}

void bs_progress_show(struct bs_progress *p, uint64_t done, uint64_t total)
{
	static const char full[] = "########################################";
	uint64_t now;
	int n;

	if (!p->on)
		return;
	now = now_ms();
	if (p->shown && now - p->last_ms < 100)
		return;
	p->last_ms = now;
	p->shown = true;
	if (total == 0) {
		fprintf(stderr, "\r%s %llu \x1b[K", p->what, (unsigned long long)done);
		return;
	}
	if (done > total)
		done = total;
	n = (int)(done * (sizeof(full) - 1) / total);
	fprintf(stderr, "\r%s [%-40.*s] %3d %%\x1b[K", p->what, n, full, (int)(done * 100 / total));
}

void bs_progress_end(struct bs_progress *p)
{
	if (p->on && p->shown)
		fprintf(stderr, "\r\x1b[K");
	p->shown = false;
}
