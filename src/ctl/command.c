/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a command by its words, reading its arguments from a command line, checking them in a
 * request: both ends use the same checks, the server because a peer need not be bsctl.
 */
#include "ctl/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/field.h"

/* Longest text argument; anything longer is a mistake. */
#define TEXT_MAX 4096u
/* Longest hex argument: a CA certificate. */
#define HEX_MAX 8192u
/* Elements of a repeated argument. */
#define REPEAT_MAX 1000u

static const char help_remedy[] = "see \"bsctl help\"";

const struct bs_command *bs_command_find(const char *name)
{
	size_t n;
	const struct bs_command *c = bs_command_all(&n);

	for (; n > 0; n--, c++) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

static const struct bs_arg *arg_in(const struct bs_arg *a, const char *name, size_t len)
{
	for (; a->name; a++) {
		if (strlen(a->name) == len && memcmp(a->name, name, len) == 0)
			return a;
	}
	return NULL;
}

const struct bs_arg *bs_command_arg(const struct bs_command *c, const char *name)
{
	const struct bs_arg *a = arg_in(c->args, name, strlen(name));

	if (!a)
		a = arg_in(bs_command_common, name, strlen(name));
	if (a && strcmp(a->name, "dry-run") == 0 && !(c->flags & BS_CMD_CHANGES))
		return NULL;
	return a;
}

/* ---- finding a command by its words */

enum fit {
	FIT_NO,
	FIT_PART,   /* argv ended before the command's words did */
	FIT_PREFIX, /* every word is begun by its word in argv */
	FIT_EXACT,
};

static enum fit fit_words(const char *name, int argc, char *const argv[], int *used)
{
	enum fit fit = FIT_EXACT;
	int i = 0;

	while (*name) {
		size_t len = strcspn(name, " ");
		size_t given;

		if (i == argc || argv[i][0] == '-')
			return i ? FIT_PART : FIT_NO;
		given = strlen(argv[i]);
		if (given == 0 || given > len || strncmp(name, argv[i], given) != 0)
			return FIT_NO;
		if (given < len)
			fit = FIT_PREFIX;
		name += len;
		name += *name == ' ';
		i++;
	}
	*used = i;
	return fit;
}

static void say_candidates(int argc, char *const argv[], struct bs_ctl_error *e)
{
	char words[128] = "";
	char text[sizeof(e->reason)] = "";
	size_t n;
	size_t shown = 0;
	const struct bs_command *c = bs_command_all(&n);
	int used;
	int i;

	for (i = 0; i < argc && i < 3 && argv[i][0] != '-'; i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", i ? " " : "",
			 argv[i]);
	for (; n > 0; n--, c++) {
		/* What shares the first word is what was meant. */
		size_t first = strcspn(c->name, " ");

		if (fit_words(c->name, argc, argv, &used) == FIT_NO &&
		    !(strlen(argv[0]) == first && strncmp(argv[0], c->name, first) == 0))
			continue;
		if (strlen(text) + strlen(c->name) + 32 > sizeof(text) - sizeof(words))
			break;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			 shown++ ? ", " : "", c->name);
	}
	if (shown)
		bs_ctl_error_set(e, BS_CTL_USAGE, NULL, help_remedy,
				 "\"%s\" is not one command; there are %s", words, text);
	else
		bs_ctl_error_set(e, BS_CTL_USAGE, NULL, help_remedy, "unknown command \"%s\"",
				 words);
}

const struct bs_command *bs_command_match(int argc, char *const argv[], int *used,
					  struct bs_ctl_error *e)
{
	const struct bs_command *found = NULL;
	bool one = true;
	size_t n;
	const struct bs_command *c = bs_command_all(&n);

	if (argc == 0) {
		bs_ctl_error_set(e, BS_CTL_USAGE, NULL, help_remedy, "a command is missing");
		return NULL;
	}
	for (; n > 0; n--, c++) {
		int words;
		enum fit fit = fit_words(c->name, argc, argv, &words);

		if (fit == FIT_EXACT) {
			*used = words;
			return c;
		}
		if (fit == FIT_PREFIX) {
			one = found == NULL;
			found = c;
			*used = words;
		}
	}
	if (found && one)
		return found;
	say_candidates(argc, argv, e);
	return NULL;
}

/* ---- checking values */

static const char *check_choice(const struct bs_arg *a, const char *s)
{
	const char *p = a->choice;
	size_t len = strlen(s);

	while (*p) {
		size_t n = strcspn(p, "|");

		if (n == len && memcmp(p, s, n) == 0)
			return NULL;
		p += n;
		p += *p == '|';
	}
	return "not one of the words it may be";
}

static const char *check_hex(const char *s, size_t exact)
{
	uint8_t *tmp = malloc(HEX_MAX);
	const char *wrong = "no memory";
	size_t n = 0;

	if (tmp && exact)
		wrong = bs_field_hex(s, strlen(s), tmp, exact);
	else if (tmp)
		wrong = bs_field_hex_any(s, strlen(s), tmp, HEX_MAX, &n);
	free(tmp);
	return wrong;
}

/* NULL, or what is wrong with the text of an argument that is neither a flag nor a number. */
static const char *check_text(const struct bs_arg *a, const char *s)
{
	char out[BS_FIELD_CAP];
	struct bs_field_subject subject;
	struct bs_field_object object;
	uint8_t secret[BS_PSK_LEN];
	size_t len = strlen(s);

	switch (a->type) {
	case BS_ARG_DEVICE: return bs_field_device(s, len, out);
	case BS_ARG_IDENTITY: return bs_field_identity(s, len, out);
	case BS_ARG_SUBJECT: return bs_field_subject(s, len, &subject);
	case BS_ARG_OBJECT: return bs_field_object(s, len, &object);
	case BS_ARG_TAG: return bs_field_tag(s, len, out);
	case BS_ARG_HEX: return check_hex(s, 0);
	case BS_ARG_HEX32: return check_hex(s, 32);
	case BS_ARG_SECRET: return bs_field_secret(s, len, secret);
	case BS_ARG_CHOICE: return check_choice(a, s);
	case BS_ARG_FILE: return len == 0 ? "a path is missing" : NULL;
	default: return len > TEXT_MAX ? "longer than 4096 bytes" : NULL;
	}
}

static const char *parse_uint(const char *s, json_int_t *out)
{
	json_int_t v = 0;
	size_t i;

	if (s[0] == '\0')
		return "a number is missing";
	for (i = 0; s[i]; i++) {
		if (s[i] < '0' || s[i] > '9')
			return "not a number";
		if (i == 15)
			return "the number is too large";
		v = v * 10 + (s[i] - '0');
	}
	*out = v;
	return NULL;
}

static void wrong_value(const struct bs_arg *a, const char *wrong, struct bs_ctl_error *e)
{
	char place[128];
	char remedy[160] = "";

	snprintf(place, sizeof(place), "%s%s", a->flags & BS_ARGF_POSITIONAL ? "" : "--",
		 a->flags & BS_ARGF_POSITIONAL ? a->meta : a->name);
	if (a->type == BS_ARG_CHOICE)
		snprintf(remedy, sizeof(remedy), "it may be %s", a->choice);
	bs_ctl_error_set(e, BS_CTL_USAGE, place, remedy, "%s", wrong);
}

/* ---- command line */

/* Adds one value to the object; takes v. */
static int put_value(json_t *o, const struct bs_arg *a, json_t *v, struct bs_ctl_error *e)
{
	json_t *old = json_object_get(o, a->name);
	int bad;

	if (!v) {
		wrong_value(a, "not valid UTF-8", e);
		return BS_ECONF;
	}
	if (old && !(a->flags & BS_ARGF_REPEAT)) {
		json_decref(v);
		wrong_value(a, "given more than once", e);
		return BS_ECONF;
	}
	if (!(a->flags & BS_ARGF_REPEAT)) {
		bad = json_object_set_new(o, a->name, v);
	} else {
		if (!old && json_object_set_new(o, a->name, json_array()) == 0)
			old = json_object_get(o, a->name);
		if (json_array_size(old) >= REPEAT_MAX) {
			json_decref(v);
			wrong_value(a, "given more than 1000 times", e);
			return BS_ECONF;
		}
		bad = json_array_append_new(old, v);
	}
	if (bad)
		bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "no memory");
	return bad ? BS_ENOMEM : BS_OK;
}

static int put_text(json_t *o, const struct bs_arg *a, const char *s, struct bs_ctl_error *e)
{
	const char *wrong;
	json_int_t n;

	if (a->type == BS_ARG_UINT) {
		wrong = parse_uint(s, &n);
		if (!wrong)
			return put_value(o, a, json_integer(n), e);
	} else {
		wrong = check_text(a, s);
		if (!wrong)
			return put_value(o, a, json_string(s), e);
	}
	wrong_value(a, wrong, e);
	return BS_ECONF;
}

static const struct bs_arg *by_letter(const struct bs_command *c, char letter)
{
	const struct bs_arg *a;

	for (a = c->args; a->name; a++) {
		if (a->letter == letter)
			return a;
	}
	for (a = bs_command_common; a->name; a++) {
		if (a->letter == letter)
			return bs_command_arg(c, a->name);
	}
	return NULL;
}

/* What is left of a command line. */
struct args {
	int argc;
	char *const *argv;
	int i;         /* next word */
	json_t *o;     /* result */
	int n_pos;     /* positionals taken */
	bool only_pos; /* after -- */
};

/* The value of an option: after its '=', or the next word. */
static int take_option_value(struct args *s, const struct bs_arg *a, const char *inline_value,
			     struct bs_ctl_error *e)
{
	if (a->type == BS_ARG_FLAG) {
		if (inline_value) {
			wrong_value(a, "takes no value", e);
			return BS_ECONF;
		}
		return put_value(s->o, a, json_true(), e);
	}
	if (inline_value)
		return put_text(s->o, a, inline_value, e);
	if (s->i == s->argc) {
		wrong_value(a, "needs a value", e);
		return BS_ECONF;
	}
	return put_text(s->o, a, s->argv[s->i++], e);
}

static int unknown_option(const struct bs_command *c, const char *word, struct bs_ctl_error *e)
{
	char usage[512];

	bs_ctl_error_set(e, BS_CTL_USAGE, NULL, NULL, "unknown option \"%.60s\"; usage: %.280s",
			 word, bs_command_usage(c, usage, sizeof(usage)));
	return BS_ECONF;
}

static int take_long(const struct bs_command *c, struct args *s, const char *word,
		     struct bs_ctl_error *e)
{
	size_t len = strcspn(word, "=");
	char name[64];
	const struct bs_arg *a = NULL;

	if (len < sizeof(name)) {
		memcpy(name, word, len);
		name[len] = '\0';
		a = bs_command_arg(c, name);
	}
	if (!a || a->flags & (BS_ARGF_POSITIONAL | BS_ARGF_WIRE))
		return unknown_option(c, word - 2, e);
	return take_option_value(s, a, word[len] == '=' ? word + len + 1 : NULL, e);
}

/* "-jn" is two flags; a letter with a value takes the rest of the word or the next one. */
static int take_letters(const struct bs_command *c, struct args *s, const char *word,
			struct bs_ctl_error *e)
{
	int err = BS_OK;

	for (; *word && err == BS_OK; word++) {
		const struct bs_arg *a = by_letter(c, *word);
		char text[3] = { '-', *word, '\0' };

		if (!a)
			return unknown_option(c, text, e);
		if (a->type != BS_ARG_FLAG)
			return take_option_value(s, a, word[1] ? word + 1 : NULL, e);
		err = take_option_value(s, a, NULL, e);
	}
	return err;
}

static const struct bs_arg *positional(const struct bs_command *c, int i)
{
	const struct bs_arg *a;

	for (a = c->args; a->name; a++) {
		if (!(a->flags & BS_ARGF_POSITIONAL))
			continue;
		if (i == 0 || a->flags & BS_ARGF_REPEAT)
			return a;
		i--;
	}
	return NULL;
}

static int take_word(const struct bs_command *c, struct args *s, struct bs_ctl_error *e)
{
	const char *word = s->argv[s->i++];
	const struct bs_arg *a;

	if (!s->only_pos && strcmp(word, "--") == 0) {
		s->only_pos = true;
		return BS_OK;
	}
	if (!s->only_pos && strncmp(word, "--", 2) == 0)
		return take_long(c, s, word + 2, e);
	if (!s->only_pos && word[0] == '-' && word[1])
		return take_letters(c, s, word + 1, e);
	a = positional(c, s->n_pos);
	if (!a) {
		char usage[512];

		bs_ctl_error_set(e, BS_CTL_USAGE, NULL, NULL,
				 "\"%.60s\" is too much; usage: %.280s", word,
				 bs_command_usage(c, usage, sizeof(usage)));
		return BS_ECONF;
	}
	s->n_pos++;
	return put_text(s->o, a, word, e);
}

static int check_required(const struct bs_command *c, const json_t *o, bool wire,
			  struct bs_ctl_error *e)
{
	const struct bs_arg *a;

	for (a = c->args; a->name; a++) {
		char usage[512];

		if (!(a->flags & BS_ARGF_REQUIRED) || (wire && a->flags & BS_ARGF_LOCAL) ||
		    json_object_get(o, a->name))
			continue;
		bs_ctl_error_set(e, BS_CTL_USAGE, NULL, NULL, "%s is missing; usage: %.300s",
				 a->meta, bs_command_usage(c, usage, sizeof(usage)));
		return BS_ECONF;
	}
	return BS_OK;
}

json_t *bs_command_parse(const struct bs_command *c, int argc, char *const argv[],
			 struct bs_ctl_error *e)
{
	struct args s = { .argc = argc, .argv = argv, .o = json_object() };
	int err = BS_OK;

	if (!s.o) {
		bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "no memory");
		return NULL;
	}
	while (s.i < argc && err == BS_OK)
		err = take_word(c, &s, e);
	if (err == BS_OK && !json_object_get(s.o, "help"))
		err = check_required(c, s.o, false, e);
	if (err != BS_OK) {
		json_decref(s.o);
		return NULL;
	}
	return s.o;
}

/* ---- requests */

static const char *check_one(const struct bs_arg *a, const json_t *v)
{
	if (a->type == BS_ARG_FLAG)
		return json_is_boolean(v) ? NULL : "not true or false";
	if (a->type == BS_ARG_UINT)
		return json_is_integer(v) && json_integer_value(v) >= 0 ? NULL : "not a number";
	if (!json_is_string(v))
		return "not a text";
	/* A NUL would hide what follows it from the checks. */
	if (strlen(json_string_value(v)) != json_string_length(v))
		return "a NUL byte";
	return check_text(a, json_string_value(v));
}

static const char *check_arg(const struct bs_arg *a, const json_t *v)
{
	const char *wrong = NULL;
	json_t *item;
	size_t i;

	if (!(a->flags & BS_ARGF_REPEAT))
		return check_one(a, v);
	if (!json_is_array(v) || json_array_size(v) > REPEAT_MAX)
		return "not an array of at most 1000";
	json_array_foreach(v, i, item)
	{
		wrong = check_one(a, item);
		if (wrong)
			break;
	}
	return wrong;
}

int bs_command_check(const struct bs_command *c, const json_t *args, struct bs_ctl_error *e)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)args, key, v)
	{
		const struct bs_arg *a = bs_command_arg(c, key);
		const char *wrong;

		if (!a || a->flags & BS_ARGF_LOCAL) {
			bs_ctl_error_set(e, BS_CTL_USAGE, c->name, NULL,
					 "no argument \"%.60s\" in a request", key);
			return BS_ECONF;
		}
		wrong = check_arg(a, v);
		if (wrong) {
			wrong_value(a, wrong, e);
			return BS_ECONF;
		}
	}
	return check_required(c, args, true, e);
}

/* ---- usage */

struct text {
	char *buf;
	size_t cap;
	size_t len;
};

static void append(struct text *t, const char *s)
{
	while (*s && t->len + 1 < t->cap)
		t->buf[t->len++] = *s++;
	if (t->cap)
		t->buf[t->len] = '\0';
}

static void append_arg(struct text *t, const struct bs_arg *a)
{
	bool optional = !(a->flags & BS_ARGF_REQUIRED);

	append(t, optional ? " [" : " ");
	if (!(a->flags & BS_ARGF_POSITIONAL)) {
		append(t, "--");
		append(t, a->name);
		append(t, a->meta ? " " : "");
	}
	if (a->choice && !(a->flags & BS_ARGF_POSITIONAL))
		append(t, a->choice);
	else if (a->meta)
		append(t, a->meta);
	append(t, optional ? "]" : "");
	append(t, a->flags & BS_ARGF_REPEAT ? "..." : "");
}

const char *bs_command_usage(const struct bs_command *c, char *buf, size_t cap)
{
	struct text t = { buf, cap, 0 };
	const struct bs_arg *a;
	int positionals;

	append(&t, "bsctl ");
	append(&t, c->name);
	for (positionals = 1; positionals >= 0; positionals--) {
		for (a = c->args; a->name; a++) {
			bool is_pos = (a->flags & BS_ARGF_POSITIONAL) != 0;

			if (is_pos == (positionals == 1) && !(a->flags & BS_ARGF_WIRE))
				append_arg(&t, a);
		}
	}
	return buf;
}

/* ---- the table as JSON */

static const char *const type_names[] = {
	[BS_ARG_TEXT] = "text",     [BS_ARG_FLAG] = "flag",         [BS_ARG_UINT] = "number",
	[BS_ARG_DEVICE] = "device", [BS_ARG_IDENTITY] = "identity", [BS_ARG_SUBJECT] = "subject",
	[BS_ARG_OBJECT] = "object", [BS_ARG_TAG] = "tag",           [BS_ARG_HEX] = "hex",
	[BS_ARG_HEX32] = "sha256",  [BS_ARG_SECRET] = "secret",     [BS_ARG_FILE] = "file",
	[BS_ARG_CHOICE] = "choice",
};

static json_t *args_json(const struct bs_arg *a)
{
	json_t *list = json_array();

	for (; list && a->name; a++) {
		char letter[2] = { a->letter, '\0' };

		if (a->flags & BS_ARGF_WIRE)
			continue;
		json_array_append_new(
			list, json_pack("{s:s,s:s*,s:s,s:s*,s:s*,s:b,s:b,s:b,s:s}", "name", a->name,
					"meta", a->meta, "type", type_names[a->type], "choice",
					a->choice, "letter", a->letter ? letter : NULL,
					"positional", (a->flags & BS_ARGF_POSITIONAL) != 0,
					"required", (a->flags & BS_ARGF_REQUIRED) != 0, "repeat",
					(a->flags & BS_ARGF_REPEAT) != 0, "help", a->help));
	}
	return list;
}

static const char *needs(const struct bs_command *c)
{
	if (c->flags & BS_CMD_LOCAL)
		return "nothing";
	if (c->flags & BS_CMD_LIVE)
		return "server";
	return c->flags & BS_CMD_OFFLINE ? "database" : "server or database";
}

json_t *bs_command_table_json(void)
{
	json_t *commands = json_array();
	json_t *codes = json_array();
	size_t n;
	const struct bs_command *c = bs_command_all(&n);
	int code;

	for (; commands && n > 0; n--, c++) {
		char usage[1024];

		json_array_append_new(commands,
				      json_pack("{s:s,s:s,s:s,s:s,s:b,s:o}", "name", c->name,
						"usage", bs_command_usage(c, usage, sizeof(usage)),
						"help", c->help, "needs", needs(c), "changes",
						(c->flags & BS_CMD_CHANGES) != 0, "args",
						args_json(c->args)));
	}
	for (code = 0; codes && bs_ctl_status_help(code); code++)
		json_array_append_new(codes, json_pack("{s:i,s:s,s:s}", "code", code, "name",
						       bs_ctl_status_name(code), "help",
						       bs_ctl_status_help(code)));
	return json_pack("{s:o,s:o,s:o}", "commands", commands, "options",
			 args_json(bs_command_common), "exit_codes", codes);
}
