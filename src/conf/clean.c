/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/clean.h"

#include <stdio.h>
#include <string.h>

struct clean {
	char *text;
	size_t len;
	size_t at;
	int line;
	char *why;
	size_t cap;
};

static int fail(struct clean *c, const char *reason)
{
	snprintf(c->why, c->cap, "%s", reason);
	return BS_ECONF;
}

static int peek(const struct clean *c, size_t ahead)
{
	return c->at + ahead < c->len ? (unsigned char)c->text[c->at + ahead] : -1;
}

static void blank_comment(struct clean *c)
{
	while (c->at < c->len && c->text[c->at] != '\n')
		c->text[c->at++] = ' ';
}

/* From the opening quote to behind the closing one. */
static int skip_string(struct clean *c)
{
	for (c->at++; c->at < c->len; c->at++) {
		int ch = peek(c, 0);

		if (ch == '"') {
			c->at++;
			return BS_OK;
		}
		if (ch == '\n')
			break;
		if (ch < 0x20 || ch == 0x7F)
			return fail(c, "control character in a string");
		if (ch == '$' && peek(c, 1) == '{')
			return fail(c, "\"${\" in a string: variables are not replaced here; "
				       "write \"\\${\" for the two characters");
		if (ch != '\\')
			continue;
		if (peek(c, 1) != '"' && peek(c, 1) != '\\' && peek(c, 1) != '$')
			return fail(c, "backslash in a string; write \"\\\\\" for a backslash");
		c->at++;
	}
	return fail(c, "the string does not end on its line; close it with a double quote");
}

static bool is_plain(int ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
	       (ch > 0 && strchr("_.:-{}=, \t", ch) != NULL);
}

static int odd_character(struct clean *c, int ch)
{
	if (ch == '\'')
		return fail(c, "single quote; put strings in double quotes");
	if (ch == '/' || ch == '*')
		return fail(c, "comments begin with #");
	if (ch == ';')
		return fail(c, "\";\" is not needed here; a line ends the value");
	if (ch > 0x20 && ch < 0x7F)
		snprintf(c->why, c->cap, "unexpected \"%c\"; put the value in double quotes", ch);
	else
		snprintf(c->why, c->cap, "unexpected byte 0x%02x outside of a string", ch);
	return BS_ECONF;
}

/* One character outside of strings and comments. */
static int plain(struct clean *c)
{
	int ch = peek(c, 0);

	if (ch == '\n') {
		c->line++;
	} else if (ch == '\r' && peek(c, 1) == '\n') {
		c->text[c->at] = ' ';
	} else if (ch == '/' && peek(c, 1) != '/' && peek(c, 1) != '*') {
		/* a path, or the unit of a rate */
	} else if (ch == '+' && peek(c, 1) == '=') {
		c->at++;
	} else if (!is_plain(ch)) {
		return odd_character(c, ch);
	}
	c->at++;
	return BS_OK;
}

int bs_conf_clean(char *text, size_t len, int *line, char *why, size_t cap)
{
	struct clean c = { .text = text, .len = len, .line = 1, .why = why, .cap = cap };
	int err = BS_OK;

	while (err == BS_OK && c.at < len) {
		if (text[c.at] == '#')
			blank_comment(&c);
		else if (text[c.at] == '"')
			err = skip_string(&c);
		else
			err = plain(&c);
	}
	*line = c.line;
	return err;
}
