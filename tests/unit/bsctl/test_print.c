/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suites.h"
#include "tools/bsctl/print.h"

static char shown[65536];

/* What a function writes to a standard stream. */
static const char *capture(FILE *stream, void (*fn)(void *arg), void *arg)
{
	int fd = fileno(stream);
	int kept;
	FILE *tmp = tmpfile();
	size_t n;

	fflush(stream);
	kept = dup(fd);
	dup2(fileno(tmp), fd);
	fn(arg);
	fflush(stream);
	dup2(kept, fd);
	close(kept);
	rewind(tmp);
	n = fread(shown, 1, sizeof(shown) - 1, tmp);
	shown[n] = '\0';
	fclose(tmp);
	return shown;
}

struct list {
	const char *command;
	bool json;
	const char *items; /* JSON array */
	const char *result;
};

static void print_list(void *arg)
{
	const struct list *l = arg;
	json_t *items = json_loads(l->items, 0, NULL);
	json_t *result = l->result ? json_loads(l->result, 0, NULL) : NULL;
	struct bs_print p;
	json_t *item;
	size_t i;

	ck_assert_ptr_nonnull(items);
	bs_print_init(&p, l->command, l->json);
	json_array_foreach(items, i, item) bs_print_item(&p, item);
	bs_print_end(&p, result);
	json_decref(items);
	json_decref(result);
}

START_TEST(test_table)
{
	struct list l = { "access list", false,
			  "[{\"rule\":1,\"action\":\"allow\",\"who\":\"alice\",\"device\":\"*\","
			  "\"priority\":0},{\"rule\":12,\"action\":\"deny\",\"who\":\"b\","
			  "\"device\":\"cam-*\",\"priority\":10}]",
			  NULL };

	ck_assert_str_eq(capture(stdout, print_list, &l), "RULE  ACTION  CLIENT  DEVICE  PRIORITY\n"
							  "1     allow   alice   *       0\n"
							  "12    deny    b       cam-*   10\n");
	l.items = "[]";
	ck_assert_str_eq(capture(stdout, print_list, &l), "");
}
END_TEST

START_TEST(test_cells)
{
	struct list l = { "device list", false,
			  "[{\"id\":\"a\",\"state\":\"enabled\",\"created\":0,\"last_seen\":null,"
			  "\"tags\":[\"x\",\"y\"]},{\"id\":\"b\\u001b[2J\\n\"}]",
			  NULL };
	const char *got = capture(stdout, print_list, &l);

	ck_assert_ptr_nonnull(strstr(got, "1970-01-01 00:00:00Z"));
	ck_assert_ptr_nonnull(strstr(got, "x y\n"));
	/* No text of somebody else steers the terminal. */
	ck_assert_ptr_nonnull(strstr(got, "b?[2J?"));
	ck_assert_ptr_null(strchr(got, 0x1b));
	l.command = "client list";
	l.items = "[{\"identity\":\"a\",\"ca_fp\":\"0123456789abcdef0123456789abcdef\"}]";
	got = capture(stdout, print_list, &l);
	ck_assert_ptr_nonnull(strstr(got, "0123456789abcdef  "));
}
END_TEST

/* More rows than are held back: the widths of the first stay, none is lost. */
START_TEST(test_long_table)
{
	json_t *items = json_array();
	struct list l = { "conf reload", false, NULL, NULL };
	char *text;
	const char *p;
	unsigned lines = 0;

	for (int i = 0; i < 3 * BS_PRINT_ROWS; i++)
		json_array_append_new(items, json_pack("{s:s,s:s}", "key", "k", "change", "c"));
	text = json_dumps(items, 0);
	l.items = text;
	for (p = capture(stdout, print_list, &l); (p = strchr(p, '\n')); p++)
		lines++;
	ck_assert_uint_eq(lines, 3 * BS_PRINT_ROWS + 1);
	free(text);
	json_decref(items);
}
END_TEST

START_TEST(test_json)
{
	struct list l = { "device list", true, "[{\"id\":\"a\"},{\"id\":\"b\"}]", "{\"n\":2}" };

	ck_assert_str_eq(capture(stdout, print_list, &l),
			 "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"n\":2}\n");
	l.result = "{}";
	ck_assert_str_eq(capture(stdout, print_list, &l), "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
	/* A command without a table of its own still shows its rows. */
	l = (struct list){ "device show", false, "[{\"id\":\"a\"}]", NULL };
	ck_assert_str_eq(capture(stdout, print_list, &l), "{\"id\":\"a\"}\n");
}
END_TEST

START_TEST(test_object)
{
	struct list l = {
		"status", false, "[]",
		"{\"ready\":true,\"uptime_s\":5,\"created\":0,\"name\":\"\",\"ratio\":2.55,"
		"\"limits\":{\"devices\":{\"used\":1,\"max\":4,\"percent\":25.0}},"
		"\"none\":null}"
	};

	ck_assert_str_eq(capture(stdout, print_list, &l), "ready     yes\n"
							  "uptime_s  5\n"
							  "created   1970-01-01 00:00:00Z\n"
							  "name      -\n"
							  "ratio     2.5\n"
							  "limits\n"
							  "  devices  1 of 4 (25.0 %)\n"
							  "none      -\n");
}
END_TEST

static void print_text(void *arg)
{
	bs_print_error(arg, false);
}

static void print_json(void *arg)
{
	bs_print_error(arg, true);
}

START_TEST(test_error)
{
	struct bs_ctl_error e;
	json_t *o;

	bs_ctl_error_set(&e, BS_CTL_EXISTS, "cam\x1b-1", "do this", "is there");
	ck_assert_str_eq(capture(stderr, print_text, &e), "bsctl: cam?-1: is there; do this\n");
	o = json_loads(capture(stderr, print_json, &e), 0, NULL);
	ck_assert_int_eq(json_integer_value(json_object_get(o, "status")), BS_CTL_EXISTS);
	ck_assert_str_eq(json_string_value(json_object_get(o, "name")), "exists");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(o, "error"), "remedy")),
			 "do this");
	json_decref(o);
}
END_TEST

static void show_progress(void *arg)
{
	struct bs_progress *p = arg;

	bs_progress_show(p, 5, 10);
	bs_progress_end(p);
}

START_TEST(test_progress)
{
	struct bs_progress p;

	/* Nothing where nobody looks: stderr is a file here. */
	bs_progress_init(&p, "reading", true);
	ck_assert_str_eq(capture(stderr, show_progress, &p), "");
	p.on = true;
	ck_assert_ptr_nonnull(strstr(capture(stderr, show_progress, &p), "50 %"));
}
END_TEST

Suite *bs_suite_bsctl_print(void)
{
	Suite *s = suite_create("bsctl_print");
	TCase *tc = tcase_create("answers");

	tcase_add_test(tc, test_table);
	tcase_add_test(tc, test_cells);
	tcase_add_test(tc, test_long_table);
	tcase_add_test(tc, test_json);
	tcase_add_test(tc, test_object);
	tcase_add_test(tc, test_error);
	tcase_add_test(tc, test_progress);
	suite_add_tcase(s, tc);
	return s;
}
