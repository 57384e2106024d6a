/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state machine over single bytes, so that a record may be cut anywhere between two reads.  One
 * state per place in the grammar of RFC 4180, section 2.
 */
#include "ctl/csv.h"

#include <string.h>

enum csv_state {
	ST_FIELD,  /* at the start of a field */
	ST_PLAIN,  /* inside an unquoted field */
	ST_QUOTED, /* inside quotes */
	ST_QUOTE,  /* after a quote inside quotes: an end, or the first of two */
	ST_CR,     /* after a CR that ends a record */
	ST_SKIP,   /* bad record: to the line end */
};

static const char bom_bytes[] = "\xEF\xBB\xBF";

void bs_csv_init(struct bs_csv *c)
{
	memset(c, 0, sizeof(*c));
	c->line = 1;
	c->state = ST_FIELD;
	c->fresh = true;
}

static void begin_record(struct bs_csv *c)
{
	c->n = 0;
	c->used = 0;
	c->begin = 0;
	c->start = c->line;
	c->fresh = false;
	c->wrong = NULL;
}

/* Only the first reason counts. */
static void bad(struct bs_csv *c, const char *why)
{
	if (!c->wrong)
		c->wrong = why;
	c->state = ST_SKIP;
}

static void put_byte(struct bs_csv *c, char b)
{
	/* One byte stays free for the terminator of the field. */
	if (c->used + 1 >= BS_CSV_RECORD_MAX) {
		bad(c, "the record is longer than 4095 bytes");
		return;
	}
	c->text[c->used++] = b;
}

static void end_field(struct bs_csv *c)
{
	if (c->n == BS_CSV_FIELDS_MAX) {
		bad(c, "the record has more than 32 fields");
		return;
	}
	if (c->used >= BS_CSV_RECORD_MAX) {
		bad(c, "the record is longer than 4095 bytes");
		return;
	}
	c->field[c->n] = c->text + c->begin;
	c->len[c->n] = c->used - c->begin;
	c->n++;
	c->text[c->used++] = '\0';
	c->begin = c->used;
	c->state = ST_FIELD;
}

/* An empty line is no record. */
static enum bs_csv_step end_record(struct bs_csv *c)
{
	c->state = ST_FIELD;
	c->fresh = true;
	if (c->wrong)
		return BS_CSV_BAD;
	if (c->n == 1 && c->len[0] == 0)
		return BS_CSV_MORE;
	return BS_CSV_RECORD;
}

/* A line end outside quotes; true when the record is complete. */
static bool at_line_end(struct bs_csv *c, char b, enum bs_csv_step *step)
{
	if (b != '\n')
		return false;
	if (c->state != ST_SKIP)
		end_field(c);
	*step = end_record(c);
	return true;
}

static void step_plain(struct bs_csv *c, char b)
{
	if (b == ',')
		end_field(c);
	else if (b == '\r')
		c->state = ST_CR;
	else if (b == '"' && c->state == ST_FIELD)
		c->state = ST_QUOTED;
	else if (b == '"')
		bad(c, "a quote inside a field that is not quoted");
	else {
		c->state = ST_PLAIN;
		put_byte(c, b);
	}
}

static void step_quote(struct bs_csv *c, char b)
{
	if (b == '"') {
		c->state = ST_QUOTED;
		put_byte(c, b);
	} else if (b == ',') {
		end_field(c);
	} else if (b == '\r') {
		c->state = ST_CR;
	} else {
		bad(c, "text after a closing quote");
	}
}

static void step_quoted(struct bs_csv *c, char b)
{
	if (b == '"')
		c->state = ST_QUOTE;
	else
		put_byte(c, b);
}

/* One byte that does not end the record. */
static void step_byte(struct bs_csv *c, char b)
{
	if (b == '\0') {
		bad(c, "a NUL byte");
		return;
	}
	switch (c->state) {
	case ST_FIELD:
	case ST_PLAIN: step_plain(c, b); break;
	case ST_QUOTED: step_quoted(c, b); break;
	case ST_QUOTE: step_quote(c, b); break;
	case ST_CR: bad(c, "a carriage return inside a field that is not quoted"); break;
	default: break;
	}
}

/* Swallows a byte order mark at the very start; what only looks like one is data. */
static bool in_bom(struct bs_csv *c, char b)
{
	if (c->bom > 2)
		return false;
	if (b == bom_bytes[c->bom]) {
		c->bom++;
		return true;
	}
	if (c->bom > 0) {
		begin_record(c);
		c->state = ST_PLAIN;
		memcpy(c->text, bom_bytes, c->bom);
		c->used = c->bom;
	}
	c->bom = 3;
	return false;
}

enum bs_csv_step bs_csv_feed(struct bs_csv *c, const char *data, size_t len, size_t *used)
{
	enum bs_csv_step step = BS_CSV_MORE;
	size_t i;

	for (i = 0; i < len; i++) {
		bool done = false;

		if (in_bom(c, data[i]))
			continue;
		if (c->fresh)
			begin_record(c);
		if (c->state != ST_QUOTED)
			done = at_line_end(c, data[i], &step);
		if (!done)
			step_byte(c, data[i]);
		if (data[i] == '\n')
			c->line++;
		if (step != BS_CSV_MORE) {
			*used = i + 1;
			return step;
		}
	}
	*used = len;
	return BS_CSV_MORE;
}

enum bs_csv_step bs_csv_end(struct bs_csv *c)
{
	if (c->fresh)
		return BS_CSV_MORE;
	if (c->state == ST_QUOTED)
		bad(c, "the file ends inside quotes");
	if (c->state != ST_SKIP)
		end_field(c);
	return end_record(c);
}

size_t bs_csv_quote(const char *s, size_t len, char *out)
{
	bool quote = false;
	size_t n = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (s[i] == ',' || s[i] == '"' || s[i] == '\r' || s[i] == '\n')
			quote = true;
	}
	if (quote)
		out[n++] = '"';
	for (i = 0; i < len; i++) {
		if (s[i] == '"')
			out[n++] = '"';
		out[n++] = s[i];
	}
	if (quote)
		out[n++] = '"';
	out[n] = '\0';
	return n;
}
