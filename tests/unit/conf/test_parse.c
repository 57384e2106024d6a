/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "conf/conf.h"
#include "suites.h"
#include "util/endpoint.h"

static int load_text(const char *text, const struct bs_conf **conf, struct bs_conf_error *e)
{
	return bs_conf_load_text("x.conf", text, strlen(text), conf, e);
}

START_TEST(takes_values)
{
	static const char text[] = "# comment\n"
				   "alive-interval = 200ms   # why\n"
				   "listen = {\"127.0.0.1\", \"::1\"}\r\n"
				   "listen += 10.0.0.1\n"
				   "user = nobody\n"
				   "key-file = \"/a \\\"b\\\" \\\\ \\$c\"\n"
				   "extensions = { ip6 }\n"
				   "allow-legacy=yes log-level\n=\ndebug\n"
				   "attach-rate-unknown = 7/s";
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	ck_assert_msg(load_text(text, &c, &e) == BS_OK, "%s", e.text);
	ck_assert_uint_eq(c->alive_interval, BS_TIME_MS(200));
	ck_assert_uint_eq(c->listen.n, 3);
	ck_assert_uint_eq(bs_endpoint_ip4(&c->listen.v[2]), 0x0A000001);
	ck_assert_str_eq(c->user, "nobody");
	ck_assert_str_eq(c->key_file, "/a \"b\" \\ $c");
	ck_assert_uint_eq(c->extensions, 1);
	ck_assert(c->allow_legacy);
	ck_assert_int_eq(c->log_level, BS_LOG_DEBUG);
	ck_assert_uint_eq(c->attach_rate_unknown, 7);
	ck_assert_uint_eq(c->attach_port, 5562); /* default */
	bs_conf_unref(c);
}
END_TEST

START_TEST(empty_text_is_all_defaults)
{
	static const char *const texts[] = { "", "\n", "#", "# no newline", "  \t \n\n" };
	struct bs_conf_error e;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct bs_conf *c = NULL;
		const struct bs_conf *d = bs_conf_new_default();

		ck_assert_msg(load_text(texts[i], &c, &e) == BS_OK, "%s", e.text);
		ck_assert_uint_eq(bs_conf_diff(c, d, NULL, 0), 0);
		bs_conf_unref(c);
		bs_conf_unref(d);
	}
}
END_TEST

/* file, line, key, reason and remedy, to the letter */
static const struct {
	const char *text;
	const char *message;
} bad[] = {
	{ "\n\nalive-intervall = 10s\n",
	  "x.conf:3: unknown key \"alive-intervall\", did you mean \"alive-interval\"?" },
	{ "includ = \"x\"\n", "x.conf:1: unknown key \"includ\", did you mean \"include\"?" },
	{ "zzzzzz = 1\n", "x.conf:1: unknown key \"zzzzzz\"; basestation.conf(5) lists all keys" },
	{ "relay { session-rate = 1 }\n",
	  "x.conf:1: unknown key \"relay\"; basestation.conf(5) lists all keys" },
	{ "\xff = 1\n", "x.conf:1: unexpected byte 0xff outside of a string" },
	{ "\"a\xff\" = 1\n",
	  "x.conf:1: unknown key \"a\\xff\"; basestation.conf(5) lists all keys" },
	{ "workers = 1\nalive-interval 10s\n",
	  "x.conf:2: \"=\" is missing after \"alive-interval\"" },
	{ "workers = {1}\n", "x.conf:1: unexpected \"{\"; write each key as: key = value" },
	{ "workers = 1 2\n", "x.conf:1: unknown key \"2\"; basestation.conf(5) lists all keys" },
	{ "workers += 1\n", "x.conf:1: \"+=\" is only for lists; write \"workers = ...\"" },
	{ "workers =\n", "x.conf:1: the file ends in the middle of a key or list" },
	{ "workers\n", "x.conf:1: the file ends in the middle of a key or list" },
	{ "listen = {\n\"::1\",\n", "x.conf:2: the file ends in the middle of a key or list" },
	{ "listen = {\"::1\" \"::2\"}\n",
	  "x.conf:1: unexpected \"::2\"; write each key as: key = value" },
	{ "}\n", "x.conf:1: \"}\" without \"{\"" },
	{ "= 3\n", "x.conf:1: unexpected \"=\"; write each key as: key = value" },
	{ "\"\" = 3\n", "x.conf:1: not a valid line; write each key as: key = value" },
	{ "workers = 1\n\nworkers = 2\n",
	  "x.conf:3: workers: is set twice, first at x.conf:1; take one out" },
	{ "listen = \"::1\"\nlisten = \"::2\"\n",
	  "x.conf:2: listen: is set twice, first at x.conf:1; take one out" },
	{ "alive-interval = 10\n",
	  "x.conf:1: alive-interval: \"10\" has no unit; write for example 10s (units: ms, s, min, "
	  "h or d)" },
	{ "alive-interval = \"1\x80\"\n",
	  "x.conf:1: alive-interval: \"1\\x80\" has an unknown unit; write for example 10s "
	  "(units: ms, s, min, h or d)" },
	{ "workers = 300\n", "x.conf:1: workers: \"300\" is out of range; the range is 0 to 256" },
	{ "listen = {}\n", "x.conf: listen: names no address; take the key out or name one" },
	{ "include = \"y.conf\"\n", "x.conf:1: include: not possible here" },
	{ "user = \"a\nb\"\n",
	  "x.conf:1: the string does not end on its line; close it with a double quote" },
};

START_TEST(refuses_with_place_reason_remedy)
{
	const struct bs_conf *c = NULL;
	struct bs_conf_error e = { "" };

	ck_assert_int_eq(load_text(bad[_i].text, &c, &e), BS_ECONF);
	ck_assert_str_eq(e.text, bad[_i].message);
	ck_assert_ptr_null(c);
	/* the lexer is a global thing: the next parse must not feel this one */
	ck_assert_msg(load_text("workers = 2\n", &c, &e) == BS_OK, "%s", e.text);
	ck_assert_uint_eq(c->workers, 2);
	bs_conf_unref(c);
}
END_TEST

static char dir[64];

static void make_dir(void)
{
	snprintf(dir, sizeof(dir), "/tmp/bs-test-parse-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

static const char *put(const char *name, const char *text, char path[128])
{
	FILE *f;

	snprintf(path, 128, "%s/%s", dir, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs(text, f), 0);
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

START_TEST(includes_relative_to_the_file)
{
	char sub[128];
	char path[128];
	char want[600];
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	snprintf(sub, sizeof(sub), "%s/sub", dir);
	ck_assert_int_eq(mkdir(sub, 0700), 0);
	put("sub/b.conf", "database = db\ninclude = c.conf\nuser = ub\n", path);
	put("sub/c.conf", "workers = 3", path);
	put("a.conf", "include = \"sub/b.conf\"\nkey-file = k\n", path);
	ck_assert_msg(bs_conf_load(path, 0, &c, &e) == BS_OK, "%s", e.text);
	ck_assert_uint_eq(c->workers, 3);
	ck_assert_str_eq(c->user, "ub");
	snprintf(want, sizeof(want), "%s/sub/db", dir);
	ck_assert_str_eq(c->database, want);
	snprintf(want, sizeof(want), "%s/k", dir);
	ck_assert_str_eq(c->key_file, want);
	bs_conf_unref(c);
}
END_TEST

START_TEST(errors_in_included_files_name_both_places)
{
	char inner[128];
	char outer[128];
	char want[600];
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	put("inner.conf", "workers = 1\n", inner);
	put("outer.conf", "workers = 2\n\ninclude = inner.conf\n", outer);
	ck_assert_int_eq(bs_conf_load(outer, 0, &c, &e), BS_ECONF);
	snprintf(want, sizeof(want),
		 "%s:1: workers: is set twice, first at %s:1; take one out (included from %s:3)",
		 inner, outer, outer);
	ck_assert_str_eq(e.text, want);
	put("outer.conf", "include = gone.conf\n", outer);
	ck_assert_int_eq(bs_conf_load(outer, 0, &c, &e), BS_ENOENT);
	snprintf(want, sizeof(want),
		 "%s/gone.conf: cannot be opened: No such file or directory (included from %s:1)",
		 dir, outer);
	ck_assert_str_eq(e.text, want);
}
END_TEST

START_TEST(a_file_that_includes_itself_ends)
{
	char path[128];
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	put("loop.conf", "include = loop.conf\n", path);
	ck_assert_int_eq(bs_conf_load(path, 0, &c, &e), BS_ECONF);
	ck_assert_ptr_nonnull(strstr(e.text, "does a file include itself?"));
}
END_TEST

START_TEST(relative_path_of_the_conf_gives_absolute_paths)
{
	char path[128];
	char want[600];
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	put("a.conf", "database = db\n", path);
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(bs_conf_load("a.conf", 0, &c, &e), BS_OK);
	snprintf(want, sizeof(want), "%s/db", dir);
	ck_assert_str_eq(c->database, want);
	bs_conf_unref(c);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(odd_files)
{
	char path[128];
	char want[600];
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;
	int fd;

	ck_assert_int_eq(bs_conf_load(dir, 0, &c, &e), BS_ECONF);
	snprintf(want, sizeof(want), "%s: not a regular file", dir);
	ck_assert_str_eq(e.text, want);
	ck_assert_int_eq(bs_conf_load("/nonexistent/x.conf", 0, &c, &e), BS_ENOENT);
	ck_assert_str_eq(e.text,
			 "/nonexistent/x.conf: cannot be opened: No such file or directory");
	snprintf(path, sizeof(path), "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(bs_conf_load(path, 0, &c, &e), BS_ECONF); /* and does not wait */
	put("large.conf", "", path);
	fd = open(path, O_WRONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (1 << 20) + 1), 0);
	close(fd);
	ck_assert_int_eq(bs_conf_load(path, 0, &c, &e), BS_ECONF);
	ck_assert_ptr_nonnull(strstr(e.text, "larger than 1048576 bytes; is it the right file?"));
}
END_TEST

START_TEST(mode_and_owner_as_root)
{
	char path[128];
	char want[600];
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	put("m.conf", "", path);
	ck_assert_int_eq(chmod(path, 0664), 0);
	if (geteuid() != 0) {
		/* who is not root cannot be harmed by it more than by the file's owner */
		ck_assert_int_eq(bs_conf_load(path, BS_CONF_CHECK_MODE, &c, &e), BS_OK);
		bs_conf_unref(c);
		return;
	}
	ck_assert_int_eq(bs_conf_load(path, BS_CONF_CHECK_MODE, &c, &e), BS_EPERM);
	snprintf(want, sizeof(want),
		 "%s: others than root can change it (mode 0664); run: chmod go-w %s", path, path);
	ck_assert_str_eq(e.text, want);
	ck_assert_int_eq(bs_conf_load(path, 0, &c, &e), BS_OK);
	bs_conf_unref(c);
	ck_assert_int_eq(chmod(path, 0644), 0);
	ck_assert_int_eq(bs_conf_load(path, BS_CONF_CHECK_MODE, &c, &e), BS_OK);
	bs_conf_unref(c);
	ck_assert_int_eq(chown(path, 65534, 65534), 0);
	ck_assert_int_eq(bs_conf_load(path, BS_CONF_CHECK_MODE, &c, &e), BS_EPERM);
	snprintf(want, sizeof(want),
		 "%s: belongs to user id 65534, so others than root can change it; run: "
		 "chown root %s",
		 path, path);
	ck_assert_str_eq(e.text, want);
}
END_TEST

START_TEST(every_allocation_can_fail)
{
	static const char text[] = "user = a\nlisten = {\"::1\", \"::2\"}\ndatabase = \"/x\"\n";
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;
	unsigned n = 0;
	int err;

	do {
		test_alloc_fail_at(++n);
		err = load_text(text, &c, &e);
		if (test_alloc_failed()) {
			ck_assert_int_eq(err, BS_ENOMEM);
			ck_assert_ptr_null(c);
			ck_assert_ptr_nonnull(strstr(e.text, "no memory"));
		}
	} while (err != BS_OK && n < 1000);
	ck_assert_int_gt(n, 5);
	ck_assert_int_eq(err, BS_OK);
	bs_conf_unref(c);
}
END_TEST

Suite *bs_suite_parse(void)
{
	Suite *s = suite_create("parse");
	TCase *tc = tcase_create("text");

	tcase_add_test(tc, takes_values);
	tcase_add_test(tc, empty_text_is_all_defaults);
	tcase_add_loop_test(tc, refuses_with_place_reason_remedy, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, every_allocation_can_fail);
	suite_add_tcase(s, tc);
	tc = tcase_create("files");
	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, includes_relative_to_the_file);
	tcase_add_test(tc, errors_in_included_files_name_both_places);
	tcase_add_test(tc, a_file_that_includes_itself_ends);
	tcase_add_test(tc, relative_path_of_the_conf_gives_absolute_paths);
	tcase_add_test(tc, odd_files);
	tcase_add_test(tc, mode_and_owner_as_root);
	suite_add_tcase(s, tc);
	return s;
}
