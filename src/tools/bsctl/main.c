/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bsctl: the table of ctl/command.h says what a command takes; most are passed on to the server as
 * they are (bs_tool_forward), the others have a function of their own.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basestation/version.h"
#include "tools/bsctl/link.h"
#include "tools/bsctl/print.h"
#include "tools/bsctl/tool.h"

/* Longest silence of a server that is asked something small, and something large. */
#define TIMEOUT_S      30u
#define TIMEOUT_LONG_S 3600u

/* Commands that do more than pass a request on. */
static const struct {
	const char *name;
	bs_tool_fn run;
} special[] = {
	{ "help", bs_run_help },
	{ "stats", bs_run_stats },
	{ "device add", bs_run_device_add },
	{ "device rotate-key", bs_run_device_rotate },
	{ "device import", bs_run_device_import },
	{ "device export", bs_run_device_export },
	{ "client add", bs_run_client },
	{ "client show", bs_run_client },
	{ "client enable", bs_run_client },
	{ "client disable", bs_run_client },
	{ "client group", bs_run_client },
	{ "client revoke", bs_run_client },
	{ "client delete", bs_run_client },
	{ "access check", bs_run_client },
	{ "ca init", bs_run_ca_init },
	{ "ca issue client", bs_run_ca_issue },
	{ "ca issue server", bs_run_ca_issue },
	{ "ca revoke", bs_run_ca_revoke },
	{ "ca list", bs_run_ca_list },
	{ "ca crl", bs_run_ca_crl },
	{ "ca trust", bs_run_ca_trust },
	{ "conf check", bs_run_conf_check },
	{ "db backup", bs_run_db_file },
	{ "db restore", bs_run_db_file },
};

const char *bs_tool_text(const struct bs_tool *t, const char *name)
{
	return json_string_value(json_object_get(t->opts, name));
}

bool bs_tool_flag(const struct bs_tool *t, const char *name)
{
	return json_is_true(json_object_get(t->opts, name));
}

uint64_t bs_tool_uint(const struct bs_tool *t, const char *name, uint64_t otherwise)
{
	const json_t *v = json_object_get(t->opts, name);

	return json_is_integer(v) ? (uint64_t)json_integer_value(v) : otherwise;
}

json_t *bs_tool_request_args(const struct bs_tool *t)
{
	json_t *o = json_object();
	const char *key;
	json_t *v;

	json_object_foreach(t->opts, key, v)
	{
		const struct bs_arg *a = bs_command_arg(t->cmd, key);

		if (a && !(a->flags & BS_ARGF_LOCAL) && json_object_set(o, key, v) != 0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

static bool is_long(const struct bs_command *c)
{
	return strncmp(c->name, "db ", 3) == 0 || c->flags & BS_CMD_UPLOAD;
}

struct bs_link *bs_tool_link(struct bs_tool *t, struct bs_ctl_error *e)
{
	uint64_t seconds = bs_tool_uint(t, "timeout", is_long(t->cmd) ? TIMEOUT_LONG_S : TIMEOUT_S);
	struct bs_link_options o = {
		.socket = bs_tool_text(t, "socket"),
		.conf = bs_tool_text(t, "conf"),
		.offline = bs_tool_flag(t, "offline"),
		.timeout_ms = (unsigned)(seconds > 86400 ? 86400 : seconds) * 1000,
	};

	if (t->link)
		return t->link;
	if (o.offline && t->cmd->flags & BS_CMD_LIVE) {
		bs_ctl_error_set(e, BS_CTL_USAGE, t->cmd->name, "leave out --offline",
				 "needs the running server");
		return NULL;
	}
	/* What needs the database for itself has no other way to run. */
	o.offline = o.offline || t->cmd->flags & BS_CMD_OFFLINE;
	t->link = bs_link_open(&o, e);
	return t->link;
}

static void print_record(void *arg, enum bs_ctl_kind kind, const json_t *value)
{
	if (kind == BS_CTL_ITEM)
		bs_print_item(arg, value);
}

int bs_tool_forward(struct bs_tool *t, json_t *args, struct bs_ctl_error *e)
{
	bool live = bs_tool_flag(t, "attached");
	struct bs_link *l = bs_tool_link(t, e);
	struct bs_print p;
	json_t *result = NULL;
	int status;

	if (!l) {
		json_decref(args);
		return e->status;
	}
	bs_print_init(&p, live ? "device list --attached" : t->cmd->name, t->json);
	status = bs_link_call(l, t->cmd->name, args, bs_tool_uint(t, "limit", 0), print_record, &p,
			      &result, e);
	bs_print_end(&p, result);
	json_decref(result);
	return status;
}

/* ---- help */

static void print_args(const struct bs_arg *a)
{
	for (; a->name; a++) {
		char left[64];
		bool pos = (a->flags & BS_ARGF_POSITIONAL) != 0;

		if (a->flags & BS_ARGF_WIRE)
			continue;
		if (pos)
			snprintf(left, sizeof(left), "%s", a->meta);
		else if (a->letter)
			snprintf(left, sizeof(left), "-%c, --%s%s%s", a->letter, a->name,
				 a->meta ? " " : "", a->meta ? a->meta : "");
		else
			snprintf(left, sizeof(left), "    --%s%s%s", a->name, a->meta ? " " : "",
				 a->meta ? a->meta : "");
		printf("  %-26s %s%s%s%s\n", left, a->help, a->choice ? " (" : "",
		       a->choice ? a->choice : "", a->choice ? ")" : "");
	}
}

static void print_command(const struct bs_command *c)
{
	char usage[1024];

	printf("usage: %s\n%s.\n\n", bs_command_usage(c, usage, sizeof(usage)), c->help);
	print_args(c->args);
	printf("\noptions of every command:\n");
	print_args(bs_command_common);
}

static void print_commands(void)
{
	size_t n;
	const struct bs_command *c = bs_command_all(&n);

	printf("usage: bsctl COMMAND [OPTION ...] [ARGUMENT ...]\n\n");
	for (; n > 0; n--, c++)
		printf("  %-18s %s\n", c->name, c->help);
	printf("\noptions of every command:\n");
	print_args(bs_command_common);
	printf("\nbsctl help COMMAND shows the usage of one; bsctl --version the release.\n");
}

int bs_run_help(struct bs_tool *t, struct bs_ctl_error *e)
{
	const json_t *words = json_object_get(t->opts, "word");
	char *argv[4] = { NULL };
	const struct bs_command *c;
	int used;
	int n;

	if (t->json) {
		struct bs_print p;
		json_t *table = bs_command_table_json();

		bs_print_init(&p, "help", true);
		bs_print_end(&p, table);
		json_decref(table);
		return BS_CTL_OK;
	}
	for (n = 0; n < 3 && (size_t)n < json_array_size(words); n++)
		argv[n] = (char *)json_string_value(json_array_get(words, (size_t)n));
	if (n == 0) {
		print_commands();
		return BS_CTL_OK;
	}
	c = bs_command_match(n, argv, &used, e);
	if (!c)
		return e->status;
	print_command(c);
	return BS_CTL_OK;
}

/* ---- main */

static int run_command(struct bs_tool *t, struct bs_ctl_error *e)
{
	json_t *args;
	size_t i;

	if (bs_tool_flag(t, "help")) {
		print_command(t->cmd);
		return BS_CTL_OK;
	}
	for (i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (strcmp(special[i].name, t->cmd->name) == 0)
			return special[i].run(t, e);
	}
	args = bs_tool_request_args(t);
	return bs_tool_forward(t, args, e);
}

/* Options may stand before the command: "bsctl --json status".  Moves the first words that name a
 * command to the front; everything else keeps its order. */
static void command_first(int argc, char **argv)
{
	int at = 0;
	int i;

	while (at < argc && argv[at][0] == '-') {
		const char *opt = argv[at];
		bool value = strcmp(opt, "--socket") == 0 || strcmp(opt, "--conf") == 0 ||
			     strcmp(opt, "--timeout") == 0 || strcmp(opt, "-s") == 0 ||
			     strcmp(opt, "-c") == 0 || strcmp(opt, "-t") == 0;

		at += value ? 2 : 1;
	}
	for (i = at; i < argc && argv[i][0] != '-'; i++) {
		char *word = argv[i];

		memmove(&argv[i - at + 1], &argv[i - at], (size_t)at * sizeof(argv[0]));
		argv[i - at] = word;
	}
}

static bool want_json(int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "-j") == 0)
			return true;
	}
	return false;
}

static int run(int argc, char **argv, struct bs_tool *t, struct bs_ctl_error *e)
{
	int used = 0;

	if (argc > 0 && (strcmp(argv[0], "--version") == 0 || strcmp(argv[0], "-V") == 0)) {
		printf("bsctl %s\n", BS_VERSION);
		return BS_CTL_OK;
	}
	if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)) {
		print_commands();
		return BS_CTL_OK;
	}
	command_first(argc, argv);
	t->cmd = bs_command_match(argc, argv, &used, e);
	if (!t->cmd)
		return e->status;
	t->opts = bs_command_parse(t->cmd, argc - used, argv + used, e);
	if (!t->opts)
		return e->status;
	t->json = bs_tool_flag(t, "json");
	t->quiet = bs_tool_flag(t, "quiet");
	t->dry_run = bs_tool_flag(t, "dry-run");
	return run_command(t, e);
}

int main(int argc, char **argv)
{
	struct bs_tool t = { 0 };
	struct bs_ctl_error e = { .status = BS_CTL_OK };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int status;

	/* A reader that leaves ("| head") shows as a write error, below. */
	sigaction(SIGPIPE, &ignore, NULL);
	status = run(argc - 1, argv + 1, &t, &e);
	if (status != BS_CTL_OK)
		bs_print_error(&e, t.opts ? t.json : want_json(argc, argv));
	bs_link_close(t.link);
	json_decref(t.opts);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == BS_CTL_OK && errno != EPIPE) {
		fprintf(stderr, "bsctl: standard output: cannot be written (%s)\n",
			strerror(errno));
		return BS_CTL_FAILED;
	}
	return status;
}
