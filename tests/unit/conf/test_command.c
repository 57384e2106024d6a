/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "suites.h"

/* Splits at spaces into a static argv. */
static int split(const char *text, char **argv)
{
	static char buf[8][512];
	static int turn;
	char *p = buf[turn++ % 8];
	int n = 0;

	snprintf(p, sizeof(buf[0]), "%s", text);
	while (*p && n < 32) {
		argv[n++] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = '\0';
	}
	return n;
}

static const struct bs_command *match(const char *text, int *used)
{
	char *argv[32];
	struct bs_ctl_error e;
	int argc = split(text, argv);

	return bs_command_match(argc, argv, used, &e);
}

/* Every row of the table is whole: what a parser, a manual and a server rely on. */
START_TEST(test_table)
{
	size_t n;
	const struct bs_command *c = bs_command_all(&n);

	ck_assert_uint_gt(n, 40);
	for (size_t i = 0; i < n; i++) {
		const struct bs_arg *a;
		bool optional = false;
		bool repeated = false;

		ck_assert_ptr_eq(bs_command_find(c[i].name), &c[i]);
		for (size_t k = i + 1; k < n; k++)
			ck_assert_str_ne(c[i].name, c[k].name);
		ck_assert_msg(c[i].help[0] && c[i].help[strlen(c[i].help) - 1] != '.', "%s",
			      c[i].name);
		ck_assert_msg(!(c[i].flags & BS_CMD_LIVE && c[i].flags & BS_CMD_OFFLINE), "%s",
			      c[i].name);
		for (a = c[i].args; a->name; a++) {
			ck_assert_msg(a->help[0] != '\0', "%s %s", c[i].name, a->name);
			ck_assert_msg((a->type == BS_ARG_CHOICE) == (a->choice != NULL), "%s %s",
				      c[i].name, a->name);
			/* A secret never stands on a command line. */
			ck_assert_msg(a->type != BS_ARG_SECRET || a->flags & BS_ARGF_WIRE, "%s %s",
				      c[i].name, a->name);
			for (const struct bs_arg *b = a + 1; b->name; b++) {
				ck_assert_str_ne(a->name, b->name);
				ck_assert(!a->letter || a->letter != b->letter);
			}
			for (const struct bs_arg *b = bs_command_common; b->name; b++) {
				ck_assert_str_ne(a->name, b->name);
				ck_assert_msg(!a->letter || a->letter != b->letter, "%s -%c",
					      c[i].name, a->letter);
			}
			if (!(a->flags & BS_ARGF_POSITIONAL))
				continue;
			/* No positional can follow one that may be absent or repeated. */
			ck_assert_msg(!repeated && !(optional && a->flags & BS_ARGF_REQUIRED),
				      "%s %s", c[i].name, a->name);
			repeated = a->flags & BS_ARGF_REPEAT;
			optional = !(a->flags & BS_ARGF_REQUIRED);
		}
	}
	ck_assert_ptr_null(bs_command_find("device"));
	ck_assert_ptr_null(bs_command_find(""));
}
END_TEST

START_TEST(test_match)
{
	static const struct {
		const char *text;
		const char *name;
		int used;
	} rows[] = {
		{ "status", "status", 1 },
		{ "stats", "stats", 1 },
		{ "stat", NULL, 0 },
		{ "device add x", "device add", 2 },
		{ "dev a x", "device add", 2 },
		{ "de a x", "device add", 2 },
		/* "drain a x" as well: better asked than guessed */
		{ "d a x", NULL, 0 },
		{ "dr --rate 5", "drain", 1 },
		{ "d e x", NULL, 0 },
		{ "dev en x", "device enable", 2 },
		{ "device", NULL, 0 },
		{ "ca issue client x", "ca issue client", 3 },
		{ "ca issue", NULL, 0 },
		{ "ca is s x", "ca issue server", 3 },
		{ "devices list", NULL, 0 },
		{ "--json", NULL, 0 },
		{ "conf check /a", "conf check", 2 },
		{ "db restore f", "db restore", 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int used = 0;
		const struct bs_command *c = match(rows[i].text, &used);

		ck_assert_msg((c != NULL) == (rows[i].name != NULL), "%s", rows[i].text);
		if (!c)
			continue;
		ck_assert_str_eq(c->name, rows[i].name);
		ck_assert_int_eq(used, rows[i].used);
	}
}
END_TEST

START_TEST(test_match_says)
{
	char *argv[32];
	struct bs_ctl_error e;
	int used;
	int argc = split("device lst", argv);

	ck_assert_ptr_null(bs_command_match(argc, argv, &used, &e));
	ck_assert_int_eq(e.status, BS_CTL_USAGE);
	ck_assert_ptr_nonnull(strstr(e.reason, "device list"));
	argc = split("frobnicate", argv);
	ck_assert_ptr_null(bs_command_match(argc, argv, &used, &e));
	ck_assert_ptr_nonnull(strstr(e.reason, "frobnicate"));
	ck_assert_ptr_null(bs_command_match(0, argv, &used, &e));
}
END_TEST

/* The JSON that a command line becomes, or "!" and the place of the error. */
static const char *parse(const char *text)
{
	static char shown[1024];
	char *argv[32];
	struct bs_ctl_error e = { 0 };
	int argc = split(text, argv);
	int used = 0;
	const struct bs_command *c = bs_command_match(argc, argv, &used, &e);
	json_t *o;
	char *dump;

	ck_assert_msg(c != NULL, "%s", text);
	o = bs_command_parse(c, argc - used, argv + used, &e);
	if (!o) {
		ck_assert_int_eq(e.status, BS_CTL_USAGE);
		ck_assert_str_ne(e.reason, "");
		snprintf(shown, sizeof(shown), "!%s", e.place);
		return shown;
	}
	dump = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	snprintf(shown, sizeof(shown), "%s", dump);
	free(dump);
	json_decref(o);
	return shown;
}

START_TEST(test_parse)
{
	static const struct {
		const char *text;
		const char *want;
	} rows[] = {
		{ "status", "{}" },
		{ "status --json", "{\"json\":true}" },
		{ "status -jq", "{\"json\":true,\"quiet\":true}" },
		{ "status -s /a", "{\"socket\":\"/a\"}" },
		{ "status -s/a", "{\"socket\":\"/a\"}" },
		{ "status --socket=/a", "{\"socket\":\"/a\"}" },
		{ "status -t 5", "{\"timeout\":5}" },
		{ "device add cam-1 --tag a --tag b", "{\"id\":\"cam-1\",\"tag\":[\"a\",\"b\"]}" },
		{ "device add --tag a cam-1 -n",
		  "{\"dry-run\":true,\"id\":\"cam-1\",\"tag\":[\"a\"]}" },
		{ "device delete a b c", "{\"id\":[\"a\",\"b\",\"c\"]}" },
		{ "access allow alice *", "{\"device\":\"*\",\"who\":\"alice\"}" },
		{ "access allow -- -x d", "{\"device\":\"d\",\"who\":\"-x\"}" },
		{ "device import - -f csv", "{\"file\":\"-\",\"format\":\"csv\"}" },
		{ "device add --help", "{\"help\":true}" },
		/* usage */
		{ "status extra", "!" },
		{ "status --nope", "!" },
		{ "status -x", "!" },
		{ "status --dry-run", "!" },
		{ "status --json=1", "!--json" },
		{ "status --socket", "!--socket" },
		{ "status --timeout soon", "!--timeout" },
		{ "status --timeout 9999999999999999", "!--timeout" },
		{ "status --json --json", "!--json" },
		{ "device add", "!" },
		{ "device add Cam", "!ID" },
		{ "device add a b", "!" },
		{ "device add a --secret 00112233445566778899aabbccddeeff", "!" },
		{ "device add a --id b", "!" },
		{ "device list --cursor 00", "!" },
		{ "device import f -f xml", "!--format" },
		{ "log level loud", "!LEVEL" },
		{ "client add a --key-fp 00", "!--key-fp" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = parse(rows[i].text);

		ck_assert_msg(strcmp(got, rows[i].want) == 0, "%s: %s", rows[i].text, got);
	}
}
END_TEST

START_TEST(test_check)
{
	static const struct {
		const char *name;
		const char *args;
		bool ok;
	} rows[] = {
		{ "status", NULL, true },
		{ "status", "{}", true },
		{ "status", "{\"json\":true}", false },
		{ "status", "{\"dry-run\":true}", false },
		{ "stop", "{\"dry-run\":true}", true },
		{ "stop", "{\"dry-run\":1}", false },
		{ "device show", NULL, false },
		{ "device show", "{\"id\":\"a\"}", true },
		{ "device show", "{\"id\":[\"a\"]}", false },
		{ "device delete", "{\"id\":[\"a\",\"b\"]}", true },
		{ "device delete", "{\"id\":[\"a\",7]}", false },
		{ "device delete", "{\"id\":\"a\"}", false },
		{ "device add", "{\"id\":\"a\",\"secret\":\"00112233445566778899aabbccddeeff\"}",
		  true },
		{ "device add", "{\"id\":\"a\",\"secret\":\"0011\"}", false },
		{ "device add", "{\"id\":\"a\",\"secret-file\":\"f\"}", false },
		{ "device list", "{\"cursor\":\"x\"}", true },
		{ "device import", NULL, true },
		{ "access delete", "{\"rule\":-1}", false },
		{ "access delete", "{\"rule\":1.5}", false },
		{ "access delete", "{\"rule\":\"1\"}", false },
		{ "access delete", "{\"rule\":1}", true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *args = rows[i].args ? json_loads(rows[i].args, 0, NULL) : NULL;
		struct bs_ctl_error e;
		int err = bs_command_check(bs_command_find(rows[i].name), args, &e);

		ck_assert_msg((err == BS_OK) == rows[i].ok, "%s %s", rows[i].name,
			      rows[i].args ? rows[i].args : "");
		json_decref(args);
	}
}
END_TEST

START_TEST(test_too_many)
{
	json_t *ids = json_array();
	json_t *args = json_pack("{s:o}", "id", ids);
	struct bs_ctl_error e;

	for (int i = 0; i < 1000; i++)
		json_array_append_new(ids, json_string("a"));
	ck_assert_int_eq(bs_command_check(bs_command_find("device delete"), args, &e), BS_OK);
	json_array_append_new(ids, json_string("a"));
	ck_assert_int_eq(bs_command_check(bs_command_find("device delete"), args, &e), BS_ECONF);
	json_decref(args);
}
END_TEST

START_TEST(test_usage)
{
	char text[512];
	char small[10];

	ck_assert_str_eq(bs_command_usage(bs_command_find("device show"), text, sizeof(text)),
			 "bsctl device show ID");
	ck_assert_str_eq(bs_command_usage(bs_command_find("device delete"), text, sizeof(text)),
			 "bsctl device delete ID...");
	ck_assert_str_eq(bs_command_usage(bs_command_find("log level"), text, sizeof(text)),
			 "bsctl log level [LEVEL]");
	bs_command_usage(bs_command_find("device add"), text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "[--tag TAG]..."));
	/* What only travels in requests is nobody's to type. */
	ck_assert_ptr_null(strstr(text, "--secret "));
	ck_assert_str_eq(bs_command_usage(bs_command_find("status"), small, sizeof(small)),
			 "bsctl sta");
}
END_TEST

START_TEST(test_json)
{
	json_t *table = bs_command_table_json();
	json_t *commands = json_object_get(table, "commands");
	size_t n;

	bs_command_all(&n);
	ck_assert_uint_eq(json_array_size(commands), n);
	ck_assert_uint_eq(json_array_size(json_object_get(table, "exit_codes")), 10);
	for (size_t i = 0; i < n; i++) {
		json_t *c = json_array_get(commands, i);

		ck_assert_ptr_nonnull(json_string_value(json_object_get(c, "usage")));
		ck_assert(json_is_array(json_object_get(c, "args")));
		ck_assert(json_is_boolean(json_object_get(c, "changes")));
	}
	json_decref(table);
}
END_TEST

Suite *bs_suite_command(void)
{
	Suite *s = suite_create("command");
	TCase *tc = tcase_create("table");

	tcase_add_test(tc, test_table);
	tcase_add_test(tc, test_match);
	tcase_add_test(tc, test_match_says);
	tcase_add_test(tc, test_parse);
	tcase_add_test(tc, test_check);
	tcase_add_test(tc, test_too_many);
	tcase_add_test(tc, test_usage);
	tcase_add_test(tc, test_json);
	suite_add_tcase(s, tc);
	return s;
}
