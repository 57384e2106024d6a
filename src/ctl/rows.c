/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function per column checks its text (set_value); CSV and JSON lines only differ in how they
 * get to it.  A bad row is told and skipped; a bad header ends the reading, since nothing after it
 * could be trusted.
 */
#include "ctl/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest JSON line of a device; far above what a row can need. */
#define ROW_LINE_MAX 8192u

static const char *const column_names[BS_COL_N] = {
	"id", "secret", "state", "tags", "legacy", "created",
};

static const char col_remedy[] = "the columns are id, secret, state, tags, legacy, created";

void bs_row_wipe(struct bs_row *row)
{
	/* ctl does not link the crypto core; the volatile pointer keeps the stores. */
	volatile uint8_t *p = row->secret;
	size_t i;

	for (i = 0; i < sizeof(row->secret); i++)
		p[i] = 0;
	row->has_secret = false;
}

/* ---- one value of a row; NULL or what is wrong */

static const char *set_state(struct bs_row *row, const char *s, size_t len)
{
	if (len == 0 || (len == 7 && memcmp(s, "enabled", 7) == 0))
		row->state = BS_ROW_ENABLED;
	else if (len == 8 && memcmp(s, "disabled", 8) == 0)
		row->state = BS_ROW_DISABLED;
	else
		return "a state is \"enabled\" or \"disabled\"";
	return NULL;
}

static const char *set_legacy(struct bs_row *row, const char *s, size_t len)
{
	if (len == 0 || (len == 2 && memcmp(s, "no", 2) == 0))
		row->legacy = false;
	else if (len == 3 && memcmp(s, "yes", 3) == 0)
		row->legacy = true;
	else
		return "legacy is \"yes\" or \"no\"";
	return NULL;
}

static const char *set_created(struct bs_row *row, const char *s, size_t len)
{
	uint64_t v = 0;
	size_t i;

	if (len > 12)
		return "created is a time in Unix seconds";
	for (i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return "created is a time in Unix seconds";
		v = v * 10 + (uint64_t)(s[i] - '0');
	}
	row->created = v;
	return NULL;
}

static const char *add_tag(struct bs_row *row, const char *s, size_t len)
{
	char tag[BS_FIELD_TAG_MAX + 1] = "";
	const char *wrong = bs_field_tag(s, len, tag);
	size_t i;

	if (wrong)
		return wrong;
	for (i = 0; i < row->n_tags; i++) {
		if (strcmp(row->tag[i], tag) == 0)
			return NULL;
	}
	if (row->n_tags == BS_FIELD_TAGS_MAX)
		return "a device has at most 16 tags";
	memcpy(row->tag[row->n_tags++], tag, sizeof(tag));
	return NULL;
}

/* Tags as one text, apart by spaces or semicolons. */
static const char *set_tags(struct bs_row *row, const char *s, size_t len)
{
	size_t i = 0;

	row->n_tags = 0;
	while (i < len) {
		size_t from;
		const char *wrong;

		while (i < len && (s[i] == ' ' || s[i] == ';'))
			i++;
		from = i;
		while (i < len && s[i] != ' ' && s[i] != ';')
			i++;
		wrong = i > from ? add_tag(row, s + from, i - from) : NULL;
		if (wrong)
			return wrong;
	}
	return NULL;
}

static const char *set_value(struct bs_row *row, unsigned col, const char *s, size_t len)
{
	const char *wrong;

	switch (col) {
	case BS_COL_ID: return bs_field_device(s, len, row->id);
	case BS_COL_SECRET:
		row->has_secret = false;
		if (len == 0)
			return NULL;
		wrong = bs_field_secret(s, len, row->secret);
		row->has_secret = wrong == NULL;
		return wrong;
	case BS_COL_STATE: return set_state(row, s, len);
	case BS_COL_TAGS: return set_tags(row, s, len);
	case BS_COL_LEGACY: return set_legacy(row, s, len);
	default: return set_created(row, s, len);
	}
}

static void row_init(struct bs_row *row, uint64_t line)
{
	memset(row, 0, sizeof(*row));
	row->line = line;
	row->state = BS_ROW_ENABLED;
}

/* "FILE:LINE: column: reason" */
static enum bs_rows_step bad_row(const struct bs_rows *r, uint64_t line, const char *column,
				 const char *why, struct bs_ctl_error *e)
{
	char place[256];

	snprintf(place, sizeof(place), "%s:%llu%s%s", r->name, (unsigned long long)line,
		 column ? ": " : "", column ? column : "");
	bs_ctl_error_set(e, BS_CTL_BAD_INPUT, place, NULL, "%s", why);
	return BS_ROWS_BAD;
}

/* ---- CSV */

static int column_by_name(const char *s, size_t len)
{
	int i;

	for (i = 0; i < BS_COL_N; i++) {
		if (strlen(column_names[i]) == len && memcmp(column_names[i], s, len) == 0)
			return i;
	}
	return -1;
}

/* Whether the first record names columns; then takes them over. */
static enum bs_rows_step take_header(struct bs_rows *r, bool *is_header, struct bs_ctl_error *e)
{
	const struct bs_csv *c = &r->csv;
	char place[256];
	bool seen[BS_COL_N] = { false };
	size_t i;

	*is_header = false;
	for (i = 0; i < c->n; i++)
		*is_header = *is_header || column_by_name(c->field[i], c->len[i]) == BS_COL_ID;
	for (i = 0; i < BS_COL_N; i++)
		r->column[i] = (uint8_t)i;
	r->n_columns = BS_COL_N;
	if (!*is_header)
		return BS_ROWS_MORE;
	snprintf(place, sizeof(place), "%s:%llu", r->name, (unsigned long long)c->start);
	for (i = 0; i < c->n; i++) {
		int col = column_by_name(c->field[i], c->len[i]);

		if (col < 0 || seen[col]) {
			bs_ctl_error_set(e, BS_CTL_BAD_INPUT, place, col_remedy,
					 "%s column \"%.40s\"", col < 0 ? "unknown" : "repeated",
					 c->field[i]);
			return BS_ROWS_STOP;
		}
		seen[col] = true;
		r->column[i] = (uint8_t)col;
	}
	r->n_columns = c->n;
	return BS_ROWS_MORE;
}

static enum bs_rows_step csv_record(struct bs_rows *r, struct bs_row *row, struct bs_ctl_error *e)
{
	const struct bs_csv *c = &r->csv;
	size_t i;

	if (!r->begun) {
		bool is_header;
		enum bs_rows_step step = take_header(r, &is_header, e);

		r->begun = true;
		if (is_header || step != BS_ROWS_MORE)
			return step;
	}
	row_init(row, c->start);
	if (c->n > r->n_columns)
		return bad_row(r, c->start, NULL, "more fields than columns", e);
	for (i = 0; i < c->n; i++) {
		const char *wrong = set_value(row, r->column[i], c->field[i], c->len[i]);

		if (wrong) {
			bs_row_wipe(row);
			return bad_row(r, c->start, column_names[r->column[i]], wrong, e);
		}
	}
	/* A short record may have lost its id column. */
	if (row->id[0] == '\0')
		return bad_row(r, c->start, "id", "a device id is missing", e);
	return BS_ROWS_ROW;
}

static enum bs_rows_step csv_step(struct bs_rows *r, enum bs_csv_step step, struct bs_row *row,
				  struct bs_ctl_error *e)
{
	if (step == BS_CSV_RECORD)
		return csv_record(r, row, e);
	if (step == BS_CSV_BAD) {
		if (!r->begun) {
			/* Without the header nothing that follows can be trusted. */
			bad_row(r, r->csv.start, NULL, r->csv.wrong, e);
			return BS_ROWS_STOP;
		}
		return bad_row(r, r->csv.start, NULL, r->csv.wrong, e);
	}
	return BS_ROWS_MORE;
}

/* ---- JSON lines */

static const char *json_tags(struct bs_row *row, const json_t *v)
{
	const char *wrong = NULL;
	json_t *t;
	size_t i;

	if (json_is_string(v))
		return set_tags(row, json_string_value(v), json_string_length(v));
	if (!json_is_array(v))
		return "tags is an array of texts";
	json_array_foreach(v, i, t)
	{
		if (!json_is_string(t))
			return "tags is an array of texts";
		wrong = add_tag(row, json_string_value(t), json_string_length(t));
		if (wrong)
			break;
	}
	return wrong;
}

static const char *json_value(struct bs_row *row, int col, const json_t *v)
{
	if (json_is_null(v))
		return col == BS_COL_ID ? "a device id is missing" : NULL;
	if (col == BS_COL_TAGS)
		return json_tags(row, v);
	if (col == BS_COL_LEGACY && json_is_boolean(v)) {
		row->legacy = json_is_true(v);
		return NULL;
	}
	if (col == BS_COL_CREATED && json_is_integer(v) && json_integer_value(v) >= 0) {
		row->created = (uint64_t)json_integer_value(v);
		return NULL;
	}
	if (!json_is_string(v))
		return "not a text";
	return set_value(row, (unsigned)col, json_string_value(v), json_string_length(v));
}

static enum bs_rows_step json_object_row(struct bs_rows *r, json_t *o, struct bs_row *row,
					 struct bs_ctl_error *e)
{
	const char *key;
	json_t *v;

	row_init(row, r->line);
	json_object_foreach(o, key, v)
	{
		int col = column_by_name(key, strlen(key));
		const char *wrong = col < 0 ? col_remedy : json_value(row, col, v);

		if (wrong) {
			char name[41];

			snprintf(name, sizeof(name), "%s", key);
			bs_row_wipe(row);
			return bad_row(r, r->line, name, wrong, e);
		}
	}
	if (row->id[0] == '\0')
		return bad_row(r, r->line, "id", "a device id is missing", e);
	return BS_ROWS_ROW;
}

static enum bs_rows_step json_line(struct bs_rows *r, const char *line, size_t len,
				   struct bs_row *row, struct bs_ctl_error *e)
{
	enum bs_rows_step step;
	json_error_t je;
	json_t *o;
	size_t i;

	r->line++;
	for (i = 0; i < len && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r'); i++)
		;
	if (i == len)
		return BS_ROWS_MORE;
	if (bs_ctl_too_deep(line, len, 2))
		return bad_row(r, r->line, NULL, "not an object of plain values", e);
	o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	if (!o) {
		char why[256];

		snprintf(why, sizeof(why), "not JSON (%s, column %d)", je.text, je.column);
		return bad_row(r, r->line, NULL, why, e);
	}
	step = json_is_object(o) ? json_object_row(r, o, row, e)
				 : bad_row(r, r->line, NULL, "not a JSON object", e);
	json_decref(o);
	return step;
}

/* Takes at most one line's worth of bytes, so that the buffer stays small. */
static enum bs_rows_step json_feed(struct bs_rows *r, const char *data, size_t len, size_t *used,
				   struct bs_row *row, struct bs_ctl_error *e)
{
	enum bs_rows_step step;
	size_t done = 0;

	while (done < len) {
		const char *nl = memchr(data + done, '\n', len - done);
		size_t n = nl ? (size_t)(nl + 1 - (data + done)) : len - done;
		size_t got;
		const char *line;
		int err = bs_ctl_lines_add(&r->lines, data + done, n);

		done += n;
		*used = done;
		if (err != BS_OK) {
			bad_row(r, r->line + 1, NULL,
				err == BS_ENOMEM ? "no memory" : "the line is too long", e);
			return BS_ROWS_STOP;
		}
		line = bs_ctl_lines_next(&r->lines, &got);
		step = line ? json_line(r, line, got, row, e) : BS_ROWS_MORE;
		if (step != BS_ROWS_MORE)
			return step;
	}
	*used = len;
	return BS_ROWS_MORE;
}

/* ---- reader */

void bs_rows_init(struct bs_rows *r, enum bs_rows_format format, const char *name)
{
	memset(r, 0, sizeof(*r));
	r->format = format;
	r->name = name;
	bs_csv_init(&r->csv);
	bs_ctl_lines_init(&r->lines, ROW_LINE_MAX);
}

void bs_rows_fini(struct bs_rows *r)
{
	if (r)
		bs_ctl_lines_fini(&r->lines);
}

/* Space before the first row tells nothing, in whatever pieces it comes; its lines count. */
static size_t skip_space(struct bs_rows *r, const char *data, size_t len)
{
	size_t n;

	for (n = 0; n < len && strchr(" \t\r\n", data[n]) && data[n]; n++) {
		r->line += data[n] == '\n';
		r->csv.line += data[n] == '\n';
	}
	return n;
}

enum bs_rows_step bs_rows_feed(struct bs_rows *r, const char *data, size_t len, size_t *used,
			       struct bs_row *row, struct bs_ctl_error *e)
{
	enum bs_rows_step step;
	size_t skip = 0;

	*used = 0;
	if (r->format == BS_ROWS_GUESS) {
		*used = skip = skip_space(r, data, len);
		if (skip == len)
			return BS_ROWS_MORE;
		r->format = data[skip] == '{' ? BS_ROWS_JSON : BS_ROWS_CSV;
	}
	if (r->format == BS_ROWS_JSON) {
		step = json_feed(r, data + skip, len - skip, used, row, e);
		*used += skip;
		return step;
	}
	for (;;) {
		size_t n;
		enum bs_csv_step c = bs_csv_feed(&r->csv, data + *used, len - *used, &n);

		step = csv_step(r, c, row, e);
		*used += n;
		if (step != BS_ROWS_MORE || c == BS_CSV_MORE)
			return step;
	}
}

enum bs_rows_step bs_rows_end(struct bs_rows *r, struct bs_row *row, struct bs_ctl_error *e)
{
	size_t len;
	const char *line;

	if (r->format == BS_ROWS_CSV)
		return csv_step(r, bs_csv_end(&r->csv), row, e);
	if (r->format == BS_ROWS_GUESS || bs_ctl_lines_add(&r->lines, "\n", 1) != BS_OK)
		return BS_ROWS_MORE;
	line = bs_ctl_lines_next(&r->lines, &len);
	return line ? json_line(r, line, len, row, e) : BS_ROWS_MORE;
}

/* ---- upload */

json_t *bs_row_to_wire(const struct bs_row *row)
{
	char hex[2 * BS_PSK_LEN + 1] = "";
	json_t *tags = json_array();
	json_t *j;
	size_t i;

	if (row->has_secret)
		bs_field_put_hex(row->secret, BS_PSK_LEN, hex);
	for (i = 0; tags && i < row->n_tags; i++) {
		if (json_array_append_new(tags, json_string(row->tag[i])) != 0) {
			json_decref(tags);
			tags = NULL;
		}
	}
	if (!tags)
		return NULL;
	j = json_pack("[I,s,s,i,i,I,o]", (json_int_t)row->line, row->id, hex, (int)row->state,
		      (int)row->legacy, (json_int_t)row->created, tags);
	return j;
}

int bs_row_from_wire(const json_t *j, struct bs_row *row, struct bs_ctl_error *e)
{
	struct bs_row t;
	json_int_t line;
	json_int_t created;
	const char *id;
	const char *secret;
	const char *wrong;
	int state;
	int legacy;
	json_t *tags;

	if (json_unpack((json_t *)j, "[I,s,s,i,i,I,o!]", &line, &id, &secret, &state, &legacy,
			&created, &tags) != 0 ||
	    line < 0 || created < 0 || legacy < 0 || legacy > 1 ||
	    (state != BS_ROW_ENABLED && state != BS_ROW_DISABLED)) {
		bs_ctl_error_set(e, BS_CTL_USAGE, "upload", NULL, "a row is malformed");
		return BS_ECONF;
	}
	row_init(&t, (uint64_t)line);
	t.state = (uint8_t)state;
	t.legacy = legacy == 1;
	t.created = (uint64_t)created;
	wrong = bs_field_device(id, strlen(id), t.id);
	if (!wrong)
		wrong = set_value(&t, BS_COL_SECRET, secret, strlen(secret));
	if (!wrong)
		wrong = json_tags(&t, tags);
	if (wrong) {
		char place[64];

		bs_row_wipe(&t);
		snprintf(place, sizeof(place), "line %lld", (long long)line);
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, place, NULL, "%s", wrong);
		return BS_ECONF;
	}
	*row = t;
	bs_row_wipe(&t);
	return BS_OK;
}

/* ---- writing */

const char *bs_row_csv_header(bool with_secrets)
{
	return with_secrets ? "id,secret,state,tags,legacy,created\n"
			    : "id,state,tags,legacy,created\n";
}

/* All values are of a kind that needs no quoting in either form: see field.h. */
static size_t put_tags(const struct bs_row *row, const char *quote, const char *between, char *out,
		       size_t cap)
{
	size_t n = 0;
	size_t i;

	out[0] = '\0';
	for (i = 0; i < row->n_tags && n < cap; i++)
		n += (size_t)snprintf(out + n, cap - n, "%s%s%s%s", i ? between : "", quote,
				      row->tag[i], quote);
	return n;
}

static const char *state_name(const struct bs_row *row)
{
	return row->state == BS_ROW_DISABLED ? "disabled" : "enabled";
}

size_t bs_row_put_csv(const struct bs_row *row, bool with_secrets, char *out)
{
	char hex[2 * BS_PSK_LEN + 1] = "";
	char tags[BS_FIELD_TAGS_MAX * (BS_FIELD_TAG_MAX + 1) + 1];

	put_tags(row, "", " ", tags, sizeof(tags));
	if (with_secrets && row->has_secret)
		bs_field_put_hex(row->secret, BS_PSK_LEN, hex);
	return (size_t)snprintf(out, BS_ROW_TEXT_MAX, "%s%s%s,%s,%s,%s,%llu\n", row->id,
				with_secrets ? "," : "", hex, state_name(row), tags,
				row->legacy ? "yes" : "no", (unsigned long long)row->created);
}

size_t bs_row_put_json(const struct bs_row *row, bool with_secrets, char *out)
{
	char hex[2 * BS_PSK_LEN + 1] = "";
	char tags[BS_FIELD_TAGS_MAX * (BS_FIELD_TAG_MAX + 4) + 1];
	bool secret = with_secrets && row->has_secret;

	put_tags(row, "\"", ",", tags, sizeof(tags));
	if (secret)
		bs_field_put_hex(row->secret, BS_PSK_LEN, hex);
	return (size_t)snprintf(out, BS_ROW_TEXT_MAX,
				"{\"id\":\"%s\"%s%s%s,\"state\":\"%s\",\"tags\":[%s],\"legacy\":%s,"
				"\"created\":%llu}\n",
				row->id, secret ? ",\"secret\":\"" : "", hex, secret ? "\"" : "",
				state_name(row), tags, row->legacy ? "true" : "false",
				(unsigned long long)row->created);
}
