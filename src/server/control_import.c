/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk import: rows are staged here as they arrive, then the store applies them in one transaction.
 * bsctl has parsed the file, so what is wrong here is an id that is there already or twice in the
 * file, or a peer that is not bsctl.  Each bad row is told as an item, up to a bound, and counted.
 */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/rows.h"
#include "server/control_job.h"

/* Most rows of one import; bounds the memory that one client can take. */
#define IMPORT_ROWS_MAX 10000000u
/* Bad rows that are told one by one. */
#define BAD_SHOWN_MAX 1000u
/* How often a commit under way is told to the client, seconds. */
#define PROGRESS_S 0.25

/* A commit under way; the store has the import, we hold a reference for progress and cancel. */
struct commit {
	ev_timer timer;
	struct bs_control_job *job;
	struct bs_import *import;
	uint64_t rows;
};

static void run_import(struct bs_control_job *j)
{
	const char *mode = bs__control_text(j, "mode");
	enum bs_import_mode m = BS_IMPORT_NEW;
	int err;

	if (!bs__control_reader(j))
		return;
	if (mode && strcmp(mode, "skip") == 0)
		m = BS_IMPORT_SKIP;
	else if (mode && strcmp(mode, "replace") == 0)
		m = BS_IMPORT_REPLACE;
	err = bs_import_new(j->control->env.registry, m, IMPORT_ROWS_MAX, &j->import);
	if (err != BS_OK)
		bs__control_fail_err(j, err, "import", NULL);
	else
		bs__control_ready(j);
}

static void note_bad(struct bs_control_job *j, uint64_t line, const char *reason)
{
	if (j->n_bad++ < BAD_SHOWN_MAX)
		bs__control_item(
			j, json_pack("{s:I,s:s}", "line", (json_int_t)line, "reason", reason));
}

/* Early, so that a dry run says it too and all such rows are told, not the first alone. */
static bool is_there(struct bs_control_job *j, const struct bs_row *row)
{
	struct bs_slice id = { (const uint8_t *)row->id, strlen(row->id) };
	const char *mode = bs__control_text(j, "mode");
	struct bs_device d;

	if (mode && strcmp(mode, "new") != 0)
		return false;
	if (bs_registry_device(j->control->reader, id, &d) != BS_OK)
		return false;
	bs_device_wipe(&d);
	return true;
}

/* BS_OK also for a bad row, which is noted; anything else ends the upload. */
static int add_row(struct bs_control_job *j, const json_t *v)
{
	struct bs_row row;
	struct bs_ctl_error e;
	struct bs_errtext why = { "" };
	struct bs_names tags;
	struct bs_import_row r = { 0 };
	size_t i;
	int err = BS_OK;

	if (bs_row_from_wire(v, &row, &e) != BS_OK) {
		note_bad(j, 0, e.reason);
		return BS_OK;
	}
	if (is_there(j, &row)) {
		note_bad(j, row.line, "there is such a device already");
		bs_row_wipe(&row);
		return BS_OK;
	}
	memset(&tags, 0, sizeof(tags));
	for (i = 0; i < row.n_tags && err == BS_OK; i++)
		err = bs_names_add(&tags, row.tag[i], strlen(row.tag[i]));
	r.row = row.line;
	r.id.ptr = (const uint8_t *)row.id;
	r.id.len = strlen(row.id);
	r.secret = row.has_secret ? row.secret : NULL;
	r.state = row.state == BS_ROW_DISABLED ? BS_RECORD_DISABLED : BS_RECORD_ENABLED;
	r.flags = row.legacy ? BS_DEVICE_LEGACY : 0;
	r.created = row.created;
	r.tags = &tags;
	if (err == BS_OK)
		err = bs_import_add(j->import, &r, &why);
	bs_row_wipe(&row);
	if (err == BS_EINVAL) {
		note_bad(j, r.row, why.text[0] ? why.text : "refused");
		err = BS_OK;
	}
	return err;
}

void bs__control_rows(struct bs_control_job *j, json_t *rows)
{
	json_t *v;
	size_t i;

	if (json_array_size(rows) > BS_CTL_CHUNK_ROWS) {
		bs__control_fail(j, BS_CTL_USAGE, "upload", NULL, "more than %u rows in one chunk",
				 BS_CTL_CHUNK_ROWS);
		return;
	}
	json_array_foreach(rows, i, v)
	{
		int err = add_row(j, v);

		if (err != BS_OK) {
			bs__control_fail_err(j, err, "import", NULL);
			return;
		}
	}
	bs__control_ready(j);
}

static void on_repeat(void *arg, const char *id, uint64_t first, uint64_t second)
{
	struct bs_control_job *j = arg;
	char reason[128];

	snprintf(reason, sizeof(reason), "device %s is in line %llu already", id,
		 (unsigned long long)first);
	note_bad(j, second, reason);
}

void bs__control_rows_drop(struct bs_control_job *j)
{
	/* Without the import the store has it, and the answer ends the job. */
	if (!j->import)
		return;
	/* A client that found bad rows itself wants to hear of all others too. */
	if (j->client)
		bs_import_repeats(j->import, on_repeat, j, BAD_SHOWN_MAX);
	bs__control_fail(j, BS_CTL_FAILED, "import", NULL, "given up; nothing was changed");
}

static void on_progress(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct commit *c = w->data;

	(void)loop;
	(void)revents;
	if (c->job->client)
		bs__control_progress(c->job, bs_import_progress_get(c->import).applied, c->rows);
	else
		bs_import_cancel(c->import);
}

static void imported(void *arg, const struct bs_store_result *res)
{
	struct commit *c = arg;
	struct bs_control_job *j = c->job;
	uint64_t rows = c->rows;
	char place[64] = "import";

	ev_timer_stop(j->control->env.loop, &c->timer);
	bs_import_free(c->import);
	free(c);
	if (res->row)
		snprintf(place, sizeof(place), "line %llu", (unsigned long long)res->row);
	if (res->status != BS_OK)
		bs__control_fail_err(j, res->status, place, res->err.text);
	else
		bs__control_finish(j,
				   json_pack("{s:I,s:I}", "rows", (json_int_t)rows, "added",
					     (json_int_t)res->number),
				   NULL);
}

static void apply(struct bs_control_job *j)
{
	struct bs_store_request req = { .op = BS_STORE_IMPORT, .done = imported };
	struct commit *c = calloc(1, sizeof(*c));
	int err = BS_ENOMEM;

	if (!c)
		goto fail;
	c->job = j;
	c->rows = bs_import_progress_get(j->import).staged;
	c->import = bs_import_ref(j->import);
	req.arg = c;
	req.u.import = j->import;
	err = bs_store_submit(j->control->env.inbox, &req);
	if (err != BS_OK)
		goto fail;
	j->import = NULL;
	ev_init(&c->timer, on_progress);
	c->timer.repeat = PROGRESS_S;
	c->timer.data = c;
	ev_timer_again(j->control->env.loop, &c->timer);
	return;
fail:
	if (c)
		bs_import_free(c->import);
	free(c);
	bs__control_fail_err(j, err, "import", NULL);
}

void bs__control_rows_end(struct bs_control_job *j)
{
	uint64_t repeats = bs_import_repeats(j->import, on_repeat, j, BAD_SHOWN_MAX);

	/* note_bad counted those that it was told. */
	if (repeats > BAD_SHOWN_MAX)
		j->n_bad += repeats - BAD_SHOWN_MAX;
	if (j->n_bad > 0) {
		bs__control_fail(j, BS_CTL_BAD_INPUT, NULL, "nothing was imported",
				 "%llu bad row%s", (unsigned long long)j->n_bad,
				 j->n_bad > 1 ? "s" : "");
	} else if (j->dry_run) {
		bs__control_finish(j,
				   json_pack("{s:I}", "rows",
					     (json_int_t)bs_import_progress_get(j->import).staged),
				   NULL);
	} else {
		apply(j);
	}
}

const struct bs_control_row bs__control_import[] = {
	{ "device import", run_import },
	{ NULL, NULL },
};
