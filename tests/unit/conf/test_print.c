/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/schema.h"
#include "suites.h"

static char *printed(const struct bs_conf *c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(bs_conf_print(c, f), BS_OK);
	fclose(f);
	return text;
}

static char *schema(enum bs_conf_schema_format format)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(bs_conf_print_schema(format, f), BS_OK);
	fclose(f);
	return text;
}

static const struct bs_conf *load(const char *text)
{
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	ck_assert_msg(bs_conf_load_text("t", text, strlen(text), &c, &e) == BS_OK, "%s\n%s", e.text,
		      text);
	return c;
}

static const char *const texts[] = {
	"",
	"listen = {\"::1\", \"10.0.0.9\"}\nextensions = {}\n",
	"public-address = \"1.2.3.4\"\npublic-address6 = \"2001:db8::\"\nnode-name = a.b\n",
	"database = \"/a b/\\\"c\\\"/\\\\d/\\${e}/'f'/#g/\xc3\xa4\"\nkey-file = /x\n",
	"alive-interval = 1234ms\nalive-unreachable = 3599999ms\nalive-timeout = 1h\n",
	("server-certificate = /c\nserver-key = /k\nclient-ca = /a\nclient-crl = /l\n"
	 "server-certificate-ecdsa = /e\nserver-key-ecdsa = /f\ntls-min = 1.3\n"),
	"log-level = debug\nlog-format = json\nlog-target = journal\nallow-legacy = yes\n",
};

START_TEST(printed_conf_parses_to_the_same)
{
	const struct bs_conf *first = load(texts[_i]);
	char *a = printed(first);
	const struct bs_conf *second = load(a);
	char *b = printed(second);

	ck_assert_uint_eq(bs_conf_diff(first, second, NULL, 0), 0);
	ck_assert_str_eq(a, b);
	free(a);
	free(b);
	bs_conf_unref(first);
	bs_conf_unref(second);
}
END_TEST

START_TEST(json_has_every_key)
{
	const struct bs_conf *c = load("listen = {\"::1\", \"10.0.0.9\"}\n");
	char *text = bs_conf_print_json(c);
	json_t *o = json_loads(text, 0, NULL);

	ck_assert_ptr_nonnull(o);
	ck_assert_uint_eq(json_object_size(o), bs_conf_schema_n);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "listen")), 2);
	ck_assert_str_eq(json_string_value(json_object_get(o, "alive-interval")), "10s");
	ck_assert(json_is_null(json_object_get(o, "key-file")));
	json_decref(o);
	free(text);
	bs_conf_unref(c);
}
END_TEST

START_TEST(json_survives_a_path_that_is_not_utf8)
{
	const struct bs_conf *c = load("key-file = \"/\xff\"\n");
	char *text = bs_conf_print_json(c);

	ck_assert_ptr_nonnull(text);
	free(text);
	bs_conf_unref(c);
}
END_TEST

/* the example as it is, and with every line taken into use */
START_TEST(example_loads)
{
	char *text = schema(BS_CONF_SCHEMA_EXAMPLE);
	const struct bs_conf *plain = load(text);
	const struct bs_conf *defaults = bs_conf_new_default();
	const struct bs_conf *full;
	size_t keys = 0;
	size_t in_use = 0;

	for (char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		in_use += line[0] != '#' && line[0] != '\n' && line[0] != '\0';
		if (line[0] == '#' && line[1] != ' ' && line[1] != '#' && line[1] != '\0') {
			line[0] = ' ';
			keys++;
		}
	}
	ck_assert_uint_eq(keys + in_use, bs_conf_schema_n);
	/* what an installed service has beyond the defaults, and nothing else */
	ck_assert_uint_eq(in_use, 1);
	ck_assert_uint_eq(bs_conf_diff(plain, defaults, NULL, 0), 1);
	ck_assert_str_eq(plain->state_file, "/run/basestation/state");
	full = load(text);
	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		char value[1024];

		ck_assert_int_eq(
			bs_conf_get_text(full, bs_conf_schema[i].key, value, sizeof(value)), BS_OK);
		ck_assert_str_eq(value,
				 bs_conf_schema[i].def != NULL ? value : bs_conf_schema[i].example);
	}
	free(text);
	bs_conf_unref(plain);
	bs_conf_unref(defaults);
	bs_conf_unref(full);
}
END_TEST

/* conf/basestation.conf.example is this output, committed */
START_TEST(committed_example_is_current)
{
	const char *top = getenv("top_srcdir");
	char *want = schema(BS_CONF_SCHEMA_EXAMPLE);
	char path[4096];
	char *have;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/conf/basestation.conf.example", top != NULL ? top : ".");
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s is missing", path);
	have = calloc(1, 65536);
	ck_assert_ptr_nonnull(have);
	n = fread(have, 1, 65535, f);
	fclose(f);
	ck_assert_uint_lt(n, 65535);
	ck_assert_msg(strcmp(have, want) == 0,
		      "run: basestationd --dump-schema=example > conf/basestation.conf.example");
	free(have);
	free(want);
}
END_TEST

START_TEST(schema_as_table)
{
	char *text = schema(BS_CONF_SCHEMA_TSV);
	char *rest = text;
	size_t lines = 0;

	for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; lines++) {
		unsigned tabs = 0;

		for (const char *c = line; *c != '\0'; c++)
			tabs += *c == '\t';
		ck_assert_msg(tabs == 5, "%s", line);
		ck_assert_uint_eq(strcspn(line, "\t"), strlen(bs_conf_schema[lines].key));
	}
	ck_assert_uint_eq(lines, bs_conf_schema_n);
	free(text);
}
END_TEST

START_TEST(schema_as_json)
{
	char *text = schema(BS_CONF_SCHEMA_JSON);
	json_t *a = json_loads(text, 0, NULL);

	ck_assert_uint_eq(json_array_size(a), bs_conf_schema_n);
	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		json_t *row = json_array_get(a, i);

		ck_assert_str_eq(json_string_value(json_object_get(row, "key")),
				 bs_conf_schema[i].key);
		ck_assert_int_eq(json_is_null(json_object_get(row, "default")),
				 bs_conf_schema[i].def == NULL);
		ck_assert_int_eq(json_is_true(json_object_get(row, "live")),
				 bs_conf_schema[i].live);
	}
	json_decref(a);
	free(text);
}
END_TEST

START_TEST(full_disk_is_an_error)
{
	const struct bs_conf *c = bs_conf_new_default();
	FILE *f = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(bs_conf_print(c, f), BS_EIO);
	fclose(f);
	for (int i = 0; i < 3; i++) {
		f = fopen("/dev/full", "w");
		ck_assert_ptr_nonnull(f);
		ck_assert_int_eq(bs_conf_print_schema((enum bs_conf_schema_format)i, f), BS_EIO);
		fclose(f);
	}
	bs_conf_unref(c);
}
END_TEST

Suite *bs_suite_print(void)
{
	Suite *s = suite_create("print");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, printed_conf_parses_to_the_same, 0,
			    sizeof(texts) / sizeof(texts[0]));
	tcase_add_test(tc, json_has_every_key);
	tcase_add_test(tc, json_survives_a_path_that_is_not_utf8);
	tcase_add_test(tc, example_loads);
	tcase_add_test(tc, committed_example_is_current);
	tcase_add_test(tc, schema_as_table);
	tcase_add_test(tc, schema_as_json);
	tcase_add_test(tc, full_disk_is_an_error);
	suite_add_tcase(s, tc);
	return s;
}
