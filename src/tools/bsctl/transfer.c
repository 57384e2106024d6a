/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Import and export.  The file is read and checked here, with the user's rights, and goes to the
 * server in chunks; nothing is stored before the last one, so a bad row costs nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "ctl/rows.h"
#include "tools/bsctl/file.h"
#include "tools/bsctl/link.h"
#include "tools/bsctl/print.h"
#include "tools/bsctl/secret.h"
#include "tools/bsctl/tool.h"

#define READ_LEN     65536u
#define ERRORS_SHOWN 20u

/* One import. */
struct import {
	struct bs_tool *tool;
	const char *name; /* of the file, for messages */
	FILE *in;
	uint64_t size; /* bytes of the file, 0 = not known */
	uint64_t done; /* bytes read */
	struct bs_rows rows;
	json_t *chunk;
	uint64_t n_rows;
	uint64_t n_bad;
	uint64_t n_shown; /* bad rows told one by one */
	uint64_t max_shown;
	struct bs_file secrets;
	bool generate;
	bool uploading; /* the server waits for rows */
	struct bs_progress bar;
};

static void show_bad(struct import *im, const char *text)
{
	if (im->n_shown++ >= im->max_shown)
		return;
	bs_progress_end(&im->bar);
	fprintf(stderr, "%s\n", text);
}

/* A bad row that the server found, or how far it is. */
static void on_record(void *arg, enum bs_ctl_kind kind, const json_t *value)
{
	struct import *im = arg;
	const char *reason = json_string_value(json_object_get(value, "reason"));
	char text[512];

	if (kind == BS_CTL_PROGRESS) {
		bs_progress_show(&im->bar,
				 (uint64_t)json_integer_value(json_object_get(value, "done")),
				 (uint64_t)json_integer_value(json_object_get(value, "total")));
		return;
	}
	im->n_bad++;
	snprintf(text, sizeof(text), "%s:%lld: %s", im->name,
		 (long long)json_integer_value(json_object_get(value, "line")),
		 reason ? reason : "refused");
	show_bad(im, text);
}

static void bad_row(struct import *im, const struct bs_ctl_error *e)
{
	char text[1024];

	im->n_bad++;
	show_bad(im, bs_ctl_error_text(e, text, sizeof(text)));
}

static int send_chunk(struct import *im, struct bs_ctl_error *e)
{
	json_t *chunk = im->chunk;
	int status;

	im->chunk = NULL;
	if (!chunk)
		return BS_CTL_OK;
	status = bs_link_upload_rows(im->tool->link, chunk, on_record, im, e);
	im->uploading = status == BS_CTL_OK;
	return status;
}

/* A row without a secret gets one, or is bad. */
static int complete_row(struct import *im, struct bs_row *row, struct bs_ctl_error *e)
{
	char place[128];
	char hex[2 * BS_PSK_LEN + 1];
	int status;

	if (row->has_secret || row->legacy)
		return BS_CTL_OK;
	if (!im->generate) {
		snprintf(place, sizeof(place), "%.80s:%llu: secret", im->name,
			 (unsigned long long)row->line);
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, place, NULL,
				 "missing; --generate makes one for each such row");
		bad_row(im, e);
		return BS_CTL_OK;
	}
	status = bs_secret_make(row->secret, e);
	if (status != BS_CTL_OK)
		return status;
	row->has_secret = true;
	bs_field_put_hex(row->secret, BS_PSK_LEN, hex);
	if (fprintf(im->secrets.f, "%s,%s\n", row->id, hex) < 0)
		status = bs_file_error(e, im->secrets.path, "cannot be written", errno);
	bs_wipe(hex, sizeof(hex));
	return status;
}

static int take_row(struct import *im, struct bs_row *row, struct bs_ctl_error *e)
{
	uint64_t bad = im->n_bad;
	int status = complete_row(im, row, e);

	im->n_rows++;
	/* Good rows go on after a bad one: the server may have more to say about them. */
	if (status == BS_CTL_OK && im->n_bad == bad) {
		if (!im->chunk)
			im->chunk = json_array();
		if (json_array_append_new(im->chunk, bs_row_to_wire(row)) != 0)
			bs_ctl_error_set(e, status = BS_CTL_FAILED, NULL, NULL, "no memory");
	}
	bs_row_wipe(row);
	if (status == BS_CTL_OK && json_array_size(im->chunk) == BS_CTL_CHUNK_ROWS)
		status = send_chunk(im, e);
	return status;
}

/* What a step of the reader brought.  0, or a status that ends the import. */
static int take_step(struct import *im, enum bs_rows_step step, struct bs_row *row,
		     struct bs_ctl_error *e)
{
	if (step == BS_ROWS_ROW)
		return take_row(im, row, e);
	if (step == BS_ROWS_BAD)
		bad_row(im, e);
	return step == BS_ROWS_STOP ? e->status : BS_CTL_OK;
}

static int feed(struct import *im, const char *data, size_t len, struct bs_ctl_error *e)
{
	enum bs_rows_step step;
	struct bs_row row;
	size_t used;
	int status = BS_CTL_OK;

	do {
		step = bs_rows_feed(&im->rows, data, len, &used, &row, e);
		data += used;
		len -= used;
		status = take_step(im, step, &row, e);
	} while (status == BS_CTL_OK && step != BS_ROWS_MORE);
	return status;
}

static int read_all(struct import *im, struct bs_ctl_error *e)
{
	char buf[READ_LEN];
	struct bs_row row;
	enum bs_rows_step step;
	int status = BS_CTL_OK;
	size_t n;

	while (status == BS_CTL_OK && (n = fread(buf, 1, sizeof(buf), im->in)) > 0) {
		status = feed(im, buf, n, e);
		im->done += n;
		bs_progress_show(&im->bar, im->size ? im->done : im->n_rows, im->size);
	}
	/* The text may have held secrets. */
	bs_wipe(buf, sizeof(buf));
	if (status == BS_CTL_OK && ferror(im->in))
		status = bs_file_error(e, im->name, "cannot be read", errno);
	if (status == BS_CTL_OK) {
		step = bs_rows_end(&im->rows, &row, e);
		status = take_step(im, step, &row, e);
	}
	return status == BS_CTL_OK ? send_chunk(im, e) : status;
}

static int too_many_bad(struct import *im, struct bs_ctl_error *e)
{
	uint64_t more = im->n_shown > im->max_shown ? im->n_shown - im->max_shown : 0;
	char remedy[96] = "nothing was imported";

	if (more > 0)
		snprintf(remedy, sizeof(remedy),
			 "the last %llu are not shown; nothing was imported",
			 (unsigned long long)more);
	bs_ctl_error_set(e, BS_CTL_BAD_INPUT, im->name, remedy, "%llu bad row%s",
			 (unsigned long long)im->n_bad, im->n_bad == 1 ? "" : "s");
	return e->status;
}

/* All rows are there: keep the new secrets first, then let the server store. */
static int finish(struct import *im, struct bs_ctl_error *e)
{
	const char *secret_file =
		im->generate && !im->tool->dry_run ? bs_tool_text(im->tool, "secret-file") : NULL;
	json_t *result = NULL;
	struct bs_print p;
	int status;

	if (im->n_bad > 0) {
		/* Giving up makes the server tell the ids that came twice. */
		im->uploading = false;
		bs_link_upload_end(im->tool->link, true, on_record, im, NULL, e);
		return too_many_bad(im, e);
	}
	if (secret_file) {
		status = bs_file_commit(&im->secrets, e);
		if (status != BS_CTL_OK)
			return status;
	}
	bs_progress_end(&im->bar);
	bs_progress_init(&im->bar, "storing", im->tool->quiet);
	im->uploading = false;
	status = bs_link_upload_end(im->tool->link, false, on_record, im, &result, e);
	bs_progress_end(&im->bar);
	if (status != BS_CTL_OK && status != BS_CTL_INTERRUPTED && secret_file)
		remove(secret_file);
	if (status == BS_CTL_BAD_INPUT && im->n_bad > 0)
		return too_many_bad(im, e);
	if (status == BS_CTL_OK) {
		bs_print_init(&p, im->tool->cmd->name, im->tool->json);
		bs_print_end(&p, result);
	}
	json_decref(result);
	return status;
}

static int open_input(struct import *im, struct bs_ctl_error *e)
{
	struct stat st;
	const char *path = bs_tool_text(im->tool, "file");
	bool in = strcmp(path, "-") == 0;

	im->name = in ? "standard input" : path;
	im->in = in ? stdin : fopen(path, "re");
	if (!im->in)
		return bs_file_error(e, path, "cannot be read", errno);
	if (fstat(fileno(im->in), &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
		im->size = (uint64_t)st.st_size;
	return BS_CTL_OK;
}

static int open_secrets(struct import *im, struct bs_ctl_error *e)
{
	const char *path = bs_tool_text(im->tool, "secret-file");
	int status;

	im->generate = bs_tool_flag(im->tool, "generate");
	if (im->generate && !path) {
		bs_ctl_error_set(e, BS_CTL_USAGE, "--generate", NULL,
				 "needs --secret-file, or nobody would know the new secrets");
		return e->status;
	}
	if (!im->generate)
		return BS_CTL_OK;
	status = bs_file_begin(&im->secrets, path, 0600, false, e);
	if (status == BS_CTL_OK)
		fputs("id,secret\n", im->secrets.f);
	return status;
}

static enum bs_rows_format format_of(const struct bs_tool *t)
{
	const char *f = bs_tool_text(t, "format");

	if (!f)
		return BS_ROWS_GUESS;
	return strcmp(f, "json") == 0 ? BS_ROWS_JSON : BS_ROWS_CSV;
}

int bs_run_device_import(struct bs_tool *t, struct bs_ctl_error *e)
{
	struct import im = { .tool = t };
	struct bs_ctl_error ignored;
	int status;

	im.max_shown = bs_tool_uint(t, "max-errors", ERRORS_SHOWN);
	bs_progress_init(&im.bar, "reading", t->quiet);
	status = open_input(&im, e);
	bs_rows_init(&im.rows, format_of(t), im.name);
	if (status == BS_CTL_OK)
		status = open_secrets(&im, e);
	if (status == BS_CTL_OK && !bs_tool_link(t, e))
		status = e->status;
	if (status == BS_CTL_OK)
		status = bs_link_upload_begin(t->link, t->cmd->name, bs_tool_request_args(t),
					      on_record, &im, e);
	im.uploading = status == BS_CTL_OK;
	if (status == BS_CTL_OK)
		status = read_all(&im, e);
	if (status == BS_CTL_OK)
		status = finish(&im, e);
	bs_progress_end(&im.bar);
	if (im.uploading)
		bs_link_upload_end(t->link, true, NULL, NULL, NULL, &ignored);
	bs_file_abort(&im.secrets);
	bs_rows_fini(&im.rows);
	json_decref(im.chunk);
	if (im.in && im.in != stdin)
		fclose(im.in);
	return status;
}

/* ---- export */

struct export
{
	FILE *out;
	bool json;
	bool with_secrets;
	uint64_t n;
	bool bad; /* a row that cannot be read */
	struct bs_progress bar;
};

static void on_row(void *arg, enum bs_ctl_kind kind, const json_t *value)
{
	struct export *x = arg;
	struct bs_ctl_error e;
	struct bs_row row;
	char text[BS_ROW_TEXT_MAX];
	size_t len;

	if (kind != BS_CTL_ITEM)
		return;
	if (bs_row_from_wire(value, &row, &e) != BS_OK) {
		x->bad = true;
		return;
	}
	len = x->json ? bs_row_put_json(&row, x->with_secrets, text)
		      : bs_row_put_csv(&row, x->with_secrets, text);
	/* An error stays with the stream and is found at its end. */
	x->n += fwrite(text, 1, len, x->out) == len;
	bs_row_wipe(&row);
	bs_wipe(text, len);
	bs_progress_show(&x->bar, x->n, 0);
}

int bs_run_device_export(struct bs_tool *t, struct bs_ctl_error *e)
{
	const char *path = bs_tool_text(t, "file");
	bool to_file = path && strcmp(path, "-") != 0;
	struct bs_file w = { 0 };
	struct export x = { .out = stdout };
	int status = BS_CTL_OK;

	x.json = format_of(t) == BS_ROWS_JSON || (t->json && !bs_tool_text(t, "format"));
	x.with_secrets = bs_tool_flag(t, "with-secrets");
	bs_progress_init(&x.bar, "devices", t->quiet || !to_file);
	if (!bs_tool_link(t, e))
		return e->status;
	if (to_file)
		status = bs_file_begin(&w, path, x.with_secrets ? 0600 : 0644, false, e);
	if (status != BS_CTL_OK)
		return status;
	if (to_file)
		x.out = w.f;
	if (!x.json)
		fputs(bs_row_csv_header(x.with_secrets), x.out);
	status = bs_link_call(t->link, t->cmd->name, bs_tool_request_args(t), 0, on_row, &x, NULL,
			      e);
	bs_progress_end(&x.bar);
	if (status == BS_CTL_OK && x.bad) {
		bs_ctl_error_set(e, BS_CTL_FAILED, "export",
				 "are bsctl and the server of one version?",
				 "a row could not be read");
		status = e->status;
	}
	if (status == BS_CTL_OK && to_file)
		status = bs_file_commit(&w, e);
	bs_file_abort(&w);
	if (status == BS_CTL_OK && to_file && !t->quiet)
		fprintf(stderr, "bsctl: %llu devices written to %s\n", (unsigned long long)x.n,
			path);
	return status;
}
