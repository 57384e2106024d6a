/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"

#include <stdlib.h>
#include <string.h>

#include "suites.h"

#define ARGS_MAX 8

/* getopt may reorder, so each call gets pointers of its own */
static int parse(struct bs_daemon_options *o, const char *const *args, char *err, size_t cap)
{
	char *argv[ARGS_MAX + 2] = { (char *)(uintptr_t) "basestationd" };
	int argc = 1;

	for (; args[argc - 1] != NULL && argc <= ARGS_MAX; argc++)
		argv[argc] = (char *)(uintptr_t)args[argc - 1];
	return bs_daemon_options_parse(o, argc, argv, err, cap);
}

START_TEST(actions)
{
	static const struct {
		const char *args[ARGS_MAX];
		enum bs_daemon_action action;
	} rows[] = {
		{ { NULL }, BS_DAEMON_SERVE },
		{ { "-f" }, BS_DAEMON_SERVE },
		{ { "-t" }, BS_DAEMON_CHECK },
		{ { "--test", "-t" }, BS_DAEMON_CHECK },
		{ { "-T" }, BS_DAEMON_PRINT },
		{ { "-T", "--json" }, BS_DAEMON_PRINT },
		{ { "--dump-schema" }, BS_DAEMON_DUMP_SCHEMA },
		{ { "--control-fd", "3" }, BS_DAEMON_OFFLINE },
		{ { "-V" }, BS_DAEMON_VERSION },
		{ { "--help" }, BS_DAEMON_HELP },
	};
	struct bs_daemon_options o;
	char err[256] = "";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_msg(parse(&o, rows[i].args, err, sizeof(err)) == BS_OK, "%zu: %s", i,
			      err);
		ck_assert_int_eq(o.action, rows[i].action);
	}
}
END_TEST

START_TEST(values)
{
	struct bs_daemon_options o;
	char err[256];

	ck_assert_int_eq(parse(&o, (const char *[]){ NULL }, err, sizeof(err)), BS_OK);
	ck_assert_str_eq(o.conf, "/etc/basestation/basestation.conf");
	ck_assert(!o.daemon && !o.json);
	ck_assert_int_eq(o.control_fd, -1);
	ck_assert_int_eq(parse(&o, (const char *[]){ "-dc", "/x", NULL }, err, sizeof(err)), BS_OK);
	ck_assert_str_eq(o.conf, "/x");
	ck_assert(o.daemon);
	ck_assert_int_eq(parse(&o, (const char *[]){ "--config=/y", "--control-fd=7", NULL }, err,
			       sizeof(err)),
			 BS_OK);
	ck_assert_str_eq(o.conf, "/y");
	ck_assert_int_eq(o.control_fd, 7);
	ck_assert_int_eq(
		parse(&o, (const char *[]){ "--dump-schema=example", NULL }, err, sizeof(err)),
		BS_OK);
	ck_assert_int_eq(o.schema, BS_CONF_SCHEMA_EXAMPLE);
	ck_assert_int_eq(
		parse(&o, (const char *[]){ "--dump-schema=json", NULL }, err, sizeof(err)), BS_OK);
	ck_assert_int_eq(o.schema, BS_CONF_SCHEMA_JSON);
}
END_TEST

START_TEST(refusals)
{
	static const struct {
		const char *args[ARGS_MAX];
		const char *message;
	} rows[] = {
		{ { "-x" }, "-x: unknown option; see basestationd -h" },
		{ { "--nonsense" }, "--nonsense: unknown option; see basestationd -h" },
		{ { "-c" }, "-c: option needs an argument; see basestationd -h" },
		{ { "extra" }, "extra: unexpected argument; see basestationd -h" },
		{ { "-f", "-d" }, "-f and -d contradict each other; give one" },
		{ { "-t", "-T" },
		  "options contradict each other; give one of -t, -T, -V, -h, "
		  "--dump-schema and --control-fd" },
		{ { "--json" }, "--json goes with -T only" },
		{ { "--dump-schema=xml" },
		  "--dump-schema: \"xml\" is not known; there is tsv, json and example" },
		{ { "--control-fd=2" }, "--control-fd: \"2\" is not a descriptor from 3 up" },
		{ { "--control-fd=4x" }, "--control-fd: \"4x\" is not a descriptor from 3 up" },
		{ { "--control-fd=" }, "--control-fd: \"\" is not a descriptor from 3 up" },
		{ { "--control-fd=99999999999999999999" },
		  "--control-fd: \"99999999999999999999\" is not a descriptor from 3 up" },
	};
	struct bs_daemon_options o;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char err[256] = "";

		ck_assert_int_eq(parse(&o, rows[i].args, err, sizeof(err)), BS_EINVAL);
		ck_assert_str_eq(err, rows[i].message);
	}
}
END_TEST

START_TEST(help_names_every_option)
{
	static const char *const words[] = {
		"-c,", "-f,", "-d,",    "-t,",           "-T,",
		"-V,", "-h,", "--json", "--dump-schema", "--control-fd"
	};
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	bs_daemon_options_help(f);
	fclose(f);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		ck_assert_ptr_nonnull(strstr(text, words[i]));
	free(text);
}
END_TEST

START_TEST(exit_codes)
{
	static const struct {
		int err;
		enum bs_exit code;
	} rows[] = {
		{ BS_OK, BS_EXIT_OK },
		{ BS_ECONF, BS_EXIT_CONF },
		{ BS_EPERM, BS_EXIT_PERMISSION },
		{ BS_EBUSY, BS_EXIT_IN_USE },
		{ BS_ENOENT, BS_EXIT_NOT_FOUND },
		{ BS_ENOSPC, BS_EXIT_RESOURCE },
		{ BS_ERANDOM, BS_EXIT_RESOURCE },
		{ BS_EFULL, BS_EXIT_RESOURCE },
		{ BS_EIO, BS_EXIT_FAILED },
		{ BS_EINTERNAL, BS_EXIT_FAILED },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_int_eq(bs_daemon_exit_code(rows[i].err), rows[i].code);
}
END_TEST

Suite *bs_suite_options(void)
{
	Suite *s = suite_create("options");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, actions);
	tcase_add_test(tc, values);
	tcase_add_test(tc, refusals);
	tcase_add_test(tc, help_names_every_option);
	tcase_add_test(tc, exit_codes);
	suite_add_tcase(s, tc);
	return s;
}
