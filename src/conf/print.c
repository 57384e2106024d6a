/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot and the schema as text: -T, JSON, the example file, the table for the checks. */
#include "conf/conf.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "conf/value.h"

/* Width of the example file's comments. */
#define EXAMPLE_WIDTH 78

static bool is_quoted(enum bs_conf_type type)
{
	switch (type) {
	case BS_CONF_NAME:
	case BS_CONF_PATH:
	case BS_CONF_ADDRESS:
	case BS_CONF_ADDRESS6:
	case BS_CONF_ADDRESSES: return true;
	default: return false;
	}
}

static void print_value(enum bs_conf_type type, const char *text, FILE *out)
{
	if (!is_quoted(type)) {
		(void)fputs(text, out);
		return;
	}
	(void)fputc('"', out);
	for (; *text != '\0'; text++) {
		if (strchr("\"\\$", *text) != NULL)
			(void)fputc('\\', out);
		(void)fputc(*text, out);
	}
	(void)fputc('"', out);
}

static void print_key(const struct bs_conf *conf, const struct bs_conf_key *key, FILE *out)
{
	bool list = bs_conf_type_is_list(key->type);
	char text[BS_CONF_VALUE_MAX];

	if (!bs_conf_value_is_set(conf, key)) {
		fprintf(out, "# %s is not set\n", key->key);
		return;
	}
	fprintf(out, "%s = %s", key->key, list ? "{" : "");
	for (size_t i = 0; i < bs_conf_value_n(conf, key); i++) {
		if (i > 0)
			(void)fputs(", ", out);
		bs_conf_value_text(conf, key, i, text);
		print_value(key->type, text, out);
	}
	fprintf(out, "%s\n", list ? "}" : "");
}

int bs_conf_print(const struct bs_conf *conf, FILE *out)
{
	for (size_t i = 0; i < bs_conf_schema_n; i++)
		print_key(conf, &bs_conf_schema[i], out);
	return fflush(out) != 0 || ferror(out) ? BS_EIO : BS_OK;
}

static json_t *json_value(const struct bs_conf *conf, const struct bs_conf_key *key)
{
	char text[BS_CONF_VALUE_MAX];
	json_t *list;
	json_t *value;

	if (!bs_conf_value_is_set(conf, key))
		return json_null();
	if (!bs_conf_type_is_list(key->type)) {
		bs_conf_value_text(conf, key, 0, text);
		value = json_string(text);
		/* a path need not be UTF-8, JSON must be */
		return value != NULL ? value : json_string("(not UTF-8)");
	}
	list = json_array();
	for (size_t i = 0; i < bs_conf_value_n(conf, key); i++) {
		bs_conf_value_text(conf, key, i, text);
		if (json_array_append_new(list, json_string(text)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

char *bs_conf_print_json(const struct bs_conf *conf)
{
	json_t *all = json_object();
	char *text = NULL;

	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		const struct bs_conf_key *key = &bs_conf_schema[i];

		if (json_object_set_new(all, key->key, json_value(conf, key)) != 0)
			goto out;
	}
	text = json_dumps(all, JSON_INDENT(1));
out:
	json_decref(all);
	return text;
}

static int print_schema_tsv(FILE *out)
{
	char range[256];

	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		const struct bs_conf_key *k = &bs_conf_schema[i];

		fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", k->key, bs_conf_type_name(k->type),
			k->def != NULL ? k->def : "", bs_conf_range_text(k, range, sizeof(range)),
			k->live ? "live" : "restart", k->help);
	}
	return BS_OK;
}

static int print_schema_json(FILE *out)
{
	json_t *all = json_array();
	char range[256];
	int err = BS_ENOMEM;

	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		const struct bs_conf_key *k = &bs_conf_schema[i];
		json_t *row = json_pack("{s:s,s:s,s:s?,s:s,s:b,s:s}", "key", k->key, "type",
					bs_conf_type_name(k->type), "default", k->def, "range",
					bs_conf_range_text(k, range, sizeof(range)), "live",
					(int)k->live, "help", k->help);

		if (json_array_append_new(all, row) != 0)
			goto out;
	}
	if (json_dumpf(all, out, JSON_INDENT(1)) == 0 && fputc('\n', out) != EOF)
		err = BS_OK;
	else
		err = BS_EIO;
out:
	json_decref(all);
	return err;
}

/* A paragraph of comment lines. */
static void print_comment(const char *text, FILE *out)
{
	size_t col = 0;

	while (*text != '\0') {
		size_t len = strcspn(text, " ");

		if (col > 0 && col + 1 + len > EXAMPLE_WIDTH) {
			(void)fputc('\n', out);
			col = 0;
		}
		col += (size_t)fprintf(out, "%s%.*s", col == 0 ? "# " : " ", (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
	(void)fputc('\n', out);
}

static void print_heading(const char *key, FILE *out)
{
	for (size_t i = 0; i < bs_conf_headings_n; i++) {
		if (strcmp(bs_conf_headings[i].key, key) == 0)
			fprintf(out, "\n## %s\n", bs_conf_headings[i].text);
	}
}

static int print_example(FILE *out)
{
	const struct bs_conf *conf = bs_conf_new_default();
	char note[512];
	char range[256];

	if (conf == NULL)
		return BS_ENOMEM;
	print_comment("basestation.conf - configuration of basestationd(8); basestation.conf(5) "
		      "describes the keys. Each key stands here with its default, or with an "
		      "example where it has none; take the # away to change it. A line without # "
		      "differs from the default, for a service that is installed. Check with: "
		      "basestationd -t -c FILE",
		      out);
	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		const struct bs_conf_key *k = &bs_conf_schema[i];

		print_heading(k->key, out);
		snprintf(note, sizeof(note), "%s Range: %s. %s", k->help,
			 bs_conf_range_text(k, range, sizeof(range)),
			 k->live ? "Reload changes it." : "A restart changes it.");
		(void)fputc('\n', out);
		print_comment(note, out);
		if (!k->installed)
			(void)fputc('#', out);
		if (bs_conf_value_is_set(conf, k)) {
			print_key(conf, k, out);
		} else {
			fprintf(out, "%s = ", k->key);
			print_value(k->type, k->example, out);
			(void)fputc('\n', out);
		}
	}
	bs_conf_unref(conf);
	return BS_OK;
}

int bs_conf_print_schema(enum bs_conf_schema_format format, FILE *out)
{
	int err;

	switch (format) {
	case BS_CONF_SCHEMA_JSON: err = print_schema_json(out); break;
	case BS_CONF_SCHEMA_EXAMPLE: err = print_example(out); break;
	case BS_CONF_SCHEMA_TSV:
	default: err = print_schema_tsv(out); break;
	}
	if (err == BS_OK && (fflush(out) != 0 || ferror(out)))
		err = BS_EIO;
	return err;
}
