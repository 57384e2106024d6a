/* SPDX-License-Identifier: Apache-2.0 */
#include "log/format.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const char hex_digits[] = "0123456789abcdef";

void bs__log_text_init(struct bs_log_text *t, char *buf, size_t cap)
{
	t->buf = buf;
	t->cap = cap;
	t->len = 0;
	if (cap > 0)
		buf[0] = '\0';
}

static void add_bytes(struct bs_log_text *t, const char *s, size_t len)
{
	size_t room = t->cap - t->len;

	if (room == 0)
		return;
	if (len > room - 1)
		len = room - 1;
	memcpy(t->buf + t->len, s, len);
	t->len += len;
	t->buf[t->len] = '\0';
}

void bs__log_text_add(struct bs_log_text *t, const char *s)
{
	add_bytes(t, s, strlen(s));
}

static char short_escape(unsigned char c)
{
	switch (c) {
	case '\n': return 'n';
	case '\r': return 'r';
	case '\t': return 't';
	default: return '\0';
	}
}

/* The escape of one byte that must not stand in a line; 0 when it may stand there as it is. */
static size_t escape_byte(unsigned char c, char out[5])
{
	char s = short_escape(c);

	if (c >= 0x20 && c < 0x7F)
		return 0;
	out[0] = '\\';
	if (s != '\0') {
		out[1] = s;
		return 2;
	}
	out[1] = 'x';
	out[2] = hex_digits[c >> 4];
	out[3] = hex_digits[c & 15];
	return 4;
}

void bs__log_text_add_escaped(struct bs_log_text *t, const char *s)
{
	for (; *s != '\0'; s++) {
		char e[5];
		size_t n = escape_byte((unsigned char)*s, e);

		if (n == 0)
			add_bytes(t, s, 1);
		else
			add_bytes(t, e, n);
	}
}

/* Inside quotes: also the quote and the backslash.  JSON knows no \x, so its escapes double the
 * backslash and stay readable as the same text in every format. */
static void add_quoted(struct bs_log_text *t, const char *s, bool json)
{
	add_bytes(t, "\"", 1);
	for (; *s != '\0'; s++) {
		char e[5];
		size_t n = escape_byte((unsigned char)*s, e);

		if (*s == '"' || *s == '\\')
			add_bytes(t, "\\", 1);
		if (n == 0) {
			add_bytes(t, s, 1);
			continue;
		}
		if (json && e[1] == 'x')
			add_bytes(t, "\\", 1);
		add_bytes(t, e, n);
	}
	add_bytes(t, "\"", 1);
}

/* One byte as bs_log_escape() writes it; returns 1, 2 or 4. */
static size_t escape_in_quotes(unsigned char c, char e[5])
{
	size_t n = escape_byte(c, e);

	if (n > 0)
		return n;
	e[0] = '\\';
	e[1] = (char)c;
	if (c == '"' || c == '\\')
		return 2;
	e[0] = (char)c;
	return 1;
}

const char *bs_log_escape(char *out, size_t cap, const void *text, size_t len)
{
	const unsigned char *p = text;
	size_t need = 0;
	size_t limit;
	size_t at = 0;
	char e[5];

	if (cap == 0)
		return "";
	for (size_t i = 0; i < len; i++)
		need += escape_in_quotes(p[i], e);
	limit = need < cap ? need : cap > 3 ? cap - 1 - 3 : 0;
	for (size_t i = 0; i < len; i++) {
		size_t n = escape_in_quotes(p[i], e);

		if (at + n > limit)
			break;
		memcpy(out + at, e, n);
		at += n;
	}
	for (int dots = 0; need >= cap && dots < 3 && at < cap - 1; dots++)
		out[at++] = '.';
	out[at] = '\0';
	return out;
}

static size_t pair_value(const struct bs_log_pair *p, char *num, size_t cap, const char **value)
{
	*value = num;
	switch (p->kind) {
	case BS_LOG_PAIR_U64:
		return (size_t)snprintf(num, cap, "%llu", (unsigned long long)p->v.u64);
	case BS_LOG_PAIR_I64: return (size_t)snprintf(num, cap, "%lld", (long long)p->v.i64);
	case BS_LOG_PAIR_BYTES: *value = (const char *)p->v.bytes.ptr; return p->v.bytes.len;
	case BS_LOG_PAIR_STR:
	default: *value = p->v.str != NULL ? p->v.str : ""; return strlen(*value);
	}
}

void bs__log_record_set_pairs(struct bs_log_record *rec, const struct bs_log_pair *pairs, size_t n)
{
	rec->pairs_len = 0;
	for (size_t i = 0; i < n; i++) {
		const struct bs_log_pair *p = &pairs[i];
		bool number = p->kind == BS_LOG_PAIR_U64 || p->kind == BS_LOG_PAIR_I64;
		char num[24];
		const char *value;
		size_t len = pair_value(p, num, sizeof(num), &value);
		size_t key_len = strlen(p->key);
		char *at = rec->pairs + rec->pairs_len;

		if (len > BS_LOG_PAIRS_MAX || key_len > BS_LOG_PAIRS_MAX ||
		    rec->pairs_len + key_len + len + 3 > BS_LOG_PAIRS_MAX)
			continue;
		*at++ = number ? 'n' : 's';
		memcpy(at, p->key, key_len + 1);
		at += key_len + 1;
		/* a peer's text may hold zero bytes, which would end it here */
		for (size_t b = 0; b < len; b++)
			*at++ = (char)(value[b] != '\0' ? value[b] : '?');
		*at = '\0';
		rec->pairs_len += (uint32_t)(key_len + len + 3);
	}
}

const char *bs__log_record_next_pair(const struct bs_log_record *rec, const char *at,
				     const char **key, const char **value, bool *number)
{
	if (at == NULL)
		at = rec->pairs;
	if (at >= rec->pairs + rec->pairs_len)
		return NULL;
	*number = *at == 'n';
	*key = at + 1;
	*value = *key + strlen(*key) + 1;
	return *value + strlen(*value) + 1;
}

static void add_time(struct bs_log_text *t, uint64_t wall_ns)
{
	time_t s = (time_t)(wall_ns / 1000000000u);
	char buf[40];
	struct tm tm;
	size_t n;

	if (gmtime_r(&s, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	n = strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, sizeof(buf) - n, ".%03uZ", (unsigned)(wall_ns / 1000000u % 1000u));
	bs__log_text_add(t, buf);
}

/* logfmt leaves plain words bare and quotes the rest */
static bool is_bare(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s <= ' ' || *s >= 0x7F || *s == '"' || *s == '=' || *s == '\\')
			return false;
	}
	return true;
}

static void add_logfmt_value(struct bs_log_text *t, const char *value)
{
	if (is_bare(value))
		bs__log_text_add(t, value);
	else
		add_quoted(t, value, false);
}

static void add_pairs(struct bs_log_text *t, const struct bs_log_record *rec, bool json)
{
	const char *at = NULL;
	const char *key;
	const char *value;
	bool number;

	while ((at = bs__log_record_next_pair(rec, at, &key, &value, &number)) != NULL) {
		bs__log_text_add(t, json ? ",\"" : " ");
		bs__log_text_add(t, key);
		bs__log_text_add(t, json ? "\":" : "=");
		if (number)
			bs__log_text_add(t, value);
		else if (json)
			add_quoted(t, value, true);
		else
			add_logfmt_value(t, value);
	}
}

static void format_text(struct bs_log_text *t, const struct bs_log_record *rec, bool with_time)
{
	if (with_time) {
		add_time(t, rec->wall_ns);
		bs__log_text_add(t, " ");
	}
	bs__log_text_add(t, bs_log_level_name(rec->level));
	bs__log_text_add(t, ": ");
	bs__log_text_add_escaped(t, rec->message);
	add_pairs(t, rec, false);
}

static void format_logfmt(struct bs_log_text *t, const struct bs_log_record *rec, bool with_time)
{
	if (with_time) {
		bs__log_text_add(t, "time=");
		add_time(t, rec->wall_ns);
		bs__log_text_add(t, " ");
	}
	bs__log_text_add(t, "level=");
	bs__log_text_add(t, bs_log_level_name(rec->level));
	if (rec->name[0] != '\0') {
		bs__log_text_add(t, " thread=");
		add_logfmt_value(t, rec->name);
	}
	bs__log_text_add(t, " msg=");
	add_quoted(t, rec->message, false);
	add_pairs(t, rec, false);
}

static void format_json(struct bs_log_text *t, const struct bs_log_record *rec, bool with_time)
{
	bs__log_text_add(t, "{");
	if (with_time) {
		bs__log_text_add(t, "\"time\":\"");
		add_time(t, rec->wall_ns);
		bs__log_text_add(t, "\",");
	}
	bs__log_text_add(t, "\"level\":\"");
	bs__log_text_add(t, bs_log_level_name(rec->level));
	bs__log_text_add(t, "\"");
	if (rec->name[0] != '\0') {
		bs__log_text_add(t, ",\"thread\":");
		add_quoted(t, rec->name, true);
	}
	bs__log_text_add(t, ",\"msg\":");
	add_quoted(t, rec->message, true);
	add_pairs(t, rec, true);
	bs__log_text_add(t, "}");
}

size_t bs__log_format(const struct bs_log_record *rec, enum bs_log_format format, bool with_time,
		      char *out, size_t cap)
{
	struct bs_log_text t;

	bs__log_text_init(&t, out, cap);
	switch (format) {
	case BS_LOG_LOGFMT: format_logfmt(&t, rec, with_time); break;
	case BS_LOG_JSON: format_json(&t, rec, with_time); break;
	case BS_LOG_TEXT:
	default: format_text(&t, rec, with_time); break;
	}
	return t.len;
}
