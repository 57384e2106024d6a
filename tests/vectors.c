/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

BS_PRINTF(1, 2) static _Noreturn void broken(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("Bail out! vectors: ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
	fflush(stdout);
	va_end(ap);
	exit(99);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static char *read_file(const char *name, size_t *len)
{
	const char *top = getenv("top_srcdir");
	char path[4096];
	char *text;
	long n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/vectors/%s", top ? top : ".", name);
	f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END) || (n = ftell(f)) < 0 || fseek(f, 0, SEEK_SET))
		broken("cannot read %s; set top_srcdir to the source folder", path);
	text = malloc((size_t)n + 1);
	if (!text || fread(text, 1, (size_t)n, f) != (size_t)n)
		broken("cannot read all of %s", path);
	fclose(f);
	text[n] = 0;
	*len = (size_t)n;
	return text;
}

/* %XX in place. */
static void unquote(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '%' && digit(s[1]) >= 0 && digit(s[2]) >= 0) {
			*to++ = (char)(digit(s[1]) * 16 + digit(s[2]));
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

/* The value as bytes at *to, which moves on; not hex: NULL and nothing taken. */
static void parse_hex(struct bs_row_pair *p, uint8_t **to)
{
	size_t n = strlen(p->text);
	size_t i;

	p->bytes = NULL;
	p->len = 0;
	if (n % 2)
		return;
	for (i = 0; i < n; i++)
		if (digit(p->text[i]) < 0)
			return;
	p->bytes = *to;
	p->len = n / 2;
	for (i = 0; i < n; i += 2)
		*(*to)++ = (uint8_t)(digit(p->text[i]) * 16 + digit(p->text[i + 1]));
}

/* One line, cut into pairs in place. */
static void parse_row(char *line, struct bs_row *r, uint8_t **bytes)
{
	char *next = strchr(line, ' ');

	r->word = line;
	while (next) {
		char *at = next + 1;
		char *eq;

		*next = 0;
		next = strchr(at, ' ');
		if (next)
			*next = 0;
		eq = strchr(at, '=');
		if (!eq || r->n == BS_ROW_PAIRS_MAX)
			broken("line %d: not key=value, or too many", r->line);
		*eq = 0;
		r->pair[r->n].key = at;
		unquote(eq + 1);
		r->pair[r->n].text = eq + 1;
		parse_hex(&r->pair[r->n], bytes);
		r->n++;
	}
}

struct bs_vectors *bs_vectors_load(const char *name)
{
	struct bs_vectors *v = calloc(1, sizeof(*v));
	uint8_t *bytes;
	size_t lines = 1;
	size_t len;
	size_t i;
	char *at;
	int line = 0;

	if (!v)
		broken("no memory");
	v->text = read_file(name, &len);
	for (i = 0; i < len; i++)
		lines += v->text[i] == '\n';
	v->row = calloc(lines, sizeof(*v->row));
	v->bytes = bytes = malloc(len / 2 + 1);
	if (!v->row || !bytes)
		broken("no memory");
	for (at = v->text; at;) {
		char *end = strchr(at, '\n');

		line++;
		if (end)
			*end = 0;
		if (*at && *at != '#') {
			v->row[v->n].line = line;
			parse_row(at, &v->row[v->n], &bytes);
			v->n++;
		}
		at = end ? end + 1 : NULL;
	}
	return v;
}

void bs_vectors_free(struct bs_vectors *v)
{
	if (!v)
		return;
	free(v->text);
	free(v->bytes);
	free(v->row);
	free(v);
}

static const struct bs_row_pair *find(const struct bs_row *r, const char *key)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (strcmp(r->pair[i].key, key) == 0)
			return &r->pair[i];
	return NULL;
}

const char *bs_row_text(const struct bs_row *r, const char *key)
{
	const struct bs_row_pair *p = find(r, key);

	return p ? p->text : NULL;
}

bool bs_row_is(const struct bs_row *r, const char *key, const char *text)
{
	const char *is = bs_row_text(r, key);

	return is && strcmp(is, text) == 0;
}

struct bs_slice bs_row_hex(const struct bs_row *r, const char *key)
{
	const struct bs_row_pair *p = find(r, key);
	struct bs_slice s;

	if (!p || !p->bytes)
		broken("line %d: no bytes %s=", r->line, key);
	s.ptr = p->bytes;
	s.len = p->len;
	return s;
}

uint32_t bs_row_num(const struct bs_row *r, const char *key)
{
	const char *text = bs_row_text(r, key);
	char *end;
	unsigned long n;

	if (!text || !*text)
		broken("line %d: no number %s=", r->line, key);
	n = strtoul(text, &end, 10);
	if (*end)
		broken("line %d: %s=%s is not a number", r->line, key, text);
	return (uint32_t)n;
}

static bool is_scenario(const struct bs_row *r)
{
	return strcmp(r->word, "scenario") == 0;
}

bool bs_scenario_next(const struct bs_vectors *v, struct bs_scenario *s)
{
	const struct bs_row *r = s->head ? s->row + s->n : v->row;
	const struct bs_row *end = v->row + v->n;

	while (r < end && !is_scenario(r))
		r++;
	if (r == end)
		return false;
	s->head = r++;
	s->row = r;
	while (r < end && !is_scenario(r))
		r++;
	s->n = (size_t)(r - s->row);
	return true;
}

struct bs_scenario bs_scenario_find(const struct bs_vectors *v, const char *name)
{
	struct bs_scenario s = { NULL, NULL, 0 };

	while (bs_scenario_next(v, &s))
		if (strcmp(bs_scenario_name(&s), name) == 0)
			return s;
	broken("no scenario %s", name);
}

const char *bs_scenario_name(const struct bs_scenario *s)
{
	return bs_row_text(s->head, "name");
}

const struct bs_row *bs_scenario_value(const struct bs_scenario *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->row[i].word, "value") == 0 && bs_row_is(&s->row[i], "name", name))
			return &s->row[i];
	return NULL;
}

static const struct bs_row *must_value(const struct bs_scenario *s, const char *name)
{
	const struct bs_row *r = bs_scenario_value(s, name);

	if (!r)
		broken("scenario %s has no value %s", bs_scenario_name(s), name);
	return r;
}

struct bs_slice bs_scenario_hex(const struct bs_scenario *s, const char *name)
{
	return bs_row_hex(must_value(s, name), "hex");
}

const char *bs_scenario_text(const struct bs_scenario *s, const char *name)
{
	const char *text = bs_row_text(must_value(s, name), "text");

	if (!text)
		broken("scenario %s: value %s is not text", bs_scenario_name(s), name);
	return text;
}

uint32_t bs_scenario_num(const struct bs_scenario *s, const char *name)
{
	return bs_row_num(must_value(s, name), "num");
}

const struct bs_row *bs_scenario_packet(const struct bs_scenario *s, const struct bs_row *prev)
{
	const struct bs_row *r = prev ? prev + 1 : s->row;

	for (; r < s->row + s->n; r++)
		if (strcmp(r->word, "packet") == 0)
			return r;
	return NULL;
}

const struct bs_row *bs_scenario_packet_at(const struct bs_scenario *s, size_t i)
{
	const struct bs_row *r = bs_scenario_packet(s, NULL);
	size_t left = i;

	while (r && left--)
		r = bs_scenario_packet(s, r);
	if (!r)
		broken("scenario %s has no packet %zu", bs_scenario_name(s), i);
	return r;
}

bool bs_scenario_key(const struct bs_scenario *s, const struct bs_row *packet,
		     struct bs_key_block *key)
{
	static const char *const names[][2] = { { "A", "a_key" },
						{ "C", "c_key" },
						{ "D", "d_key" },
						{ "session", "session_key" },
						{ "handshake", "handshake_key" } };
	struct bs_slice b = { NULL, 0 };
	size_t i;

	if (bs_row_text(packet, "keyhex"))
		b = bs_row_hex(packet, "keyhex");
	for (i = 0; i < sizeof(names) / sizeof(names[0]) && !b.len; i++)
		if (bs_row_is(packet, "key", names[i][0]) && bs_scenario_value(s, names[i][1]))
			b = bs_scenario_hex(s, names[i][1]);
	if (b.len != sizeof(key->b))
		return false;
	memcpy(key->b, b.ptr, sizeof(key->b));
	return true;
}
