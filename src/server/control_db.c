/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copy, restore and check.  A copy is the store thread's, a check takes seconds to minutes and gets
 * a thread of its own, a restore happens only offline, where nobody else waits for the loop.
 */
#include <errno.h>
#include <ev.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "server/control_job.h"

/* Problems that a check shows one by one. */
#define PROBLEMS_MAX 100u

/* A check under way; its thread owns everything between start and the wake-up. */
struct bs_control_thread {
	pthread_t thread;
	ev_async done;
	struct bs_control_job *job;
	struct bs_registry *registry;
	struct bs_check_report report;
	int err;
	size_t n_problems;
	char problem[PROBLEMS_MAX][256];
	struct ev_loop *loop;
};

static void on_problem(void *arg, const char *problem)
{
	struct bs_control_thread *t = arg;

	if (t->n_problems < PROBLEMS_MAX)
		snprintf(t->problem[t->n_problems++], sizeof(t->problem[0]), "%s", problem);
}

static void *check_main(void *arg)
{
	struct bs_control_thread *t = arg;

	t->err = bs_registry_check(t->registry, on_problem, t, &t->report);
	ev_async_send(t->loop, &t->done);
	return NULL;
}

static json_t *report_json(const struct bs_check_report *r)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "problems",
			 (json_int_t)r->problems, "devices", (json_int_t)r->stat.devices, "clients",
			 (json_int_t)r->stat.clients, "rules", (json_int_t)r->stat.rules, "cas",
			 (json_int_t)r->stat.cas, "revocations", (json_int_t)r->stat.revocations,
			 "secrets_opened", (json_int_t)r->unsealed, "used_bytes",
			 (json_int_t)r->stat.used_bytes, "schema", (json_int_t)r->stat.schema);
}

static void check_report(struct bs_control_thread *t, const char *text)
{
	struct bs_control_job *j = t->job;
	size_t i;

	for (i = 0; i < t->n_problems; i++)
		bs__control_item(j, json_pack("{s:s}", "problem", t->problem[i]));
	if (t->err != BS_OK)
		bs__control_fail_err(j, t->err, "database", text);
	else if (t->report.problems > 0)
		bs__control_fail(j, BS_CTL_FAILED, "database",
				 "restore a backup, or export what is still readable",
				 "%llu problems found", (unsigned long long)t->report.problems);
	else
		bs__control_finish(j, report_json(&t->report), NULL);
}

static void check_done(struct ev_loop *loop, ev_async *w, int revents)
{
	struct bs_control_thread *t = w->data;

	(void)loop;
	(void)revents;
	t->job->control->thread = NULL;
	pthread_join(t->thread, NULL);
	ev_async_stop(t->loop, &t->done);
	check_report(t, NULL);
	free(t);
}

static int start_thread(struct bs_control_thread *t)
{
	sigset_t all;
	sigset_t old;
	int err;

	/* Signals belong to the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&t->thread, NULL, check_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err == 0 ? BS_OK : BS_ENOMEM;
}

static struct bs_registry_conf registry_conf(const struct bs_control *c)
{
	const struct bs_conf *conf = c->env.conf(c->env.ctx);

	return (struct bs_registry_conf){ .dir = conf->database,
					  .map_bytes = conf->database_size,
					  .key_file = conf->key_file };
}

/*
 * Without a server the file is the suspect: it is walked by a process of its own, since a damaged
 * page can end in a crash.  A server walks what it reads all day long anyway.
 */
static void check_offline(struct bs_control_job *j)
{
	struct bs_control *c = j->control;
	struct bs_registry_conf rc = registry_conf(c);
	struct bs_control_thread *t = calloc(1, sizeof(*t));
	struct bs_errtext text = { "" };

	if (!t) {
		bs__control_fail_err(j, BS_ENOMEM, NULL, NULL);
		return;
	}
	c->close(c->open_arg);
	t->job = j;
	t->err = bs_registry_verify(&rc, NULL, on_problem, t, &t->report, &text);
	check_report(t, text.text);
	free(t);
}

static void run_check(struct bs_control_job *j)
{
	struct bs_control *c = j->control;
	struct bs_control_thread *t;

	if (c->close) {
		check_offline(j);
		return;
	}
	if (!bs__control_reader(j))
		return;
	if (c->thread) {
		bs__control_fail(j, BS_CTL_BUSY, NULL, "wait for it to end",
				 "a check runs already");
		return;
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		bs__control_fail_err(j, BS_ENOMEM, NULL, NULL);
		return;
	}
	t->job = j;
	t->registry = c->env.registry;
	t->loop = c->env.loop;
	ev_async_init(&t->done, check_done);
	t->done.data = t;
	ev_async_start(c->env.loop, &t->done);
	if (start_thread(t) != BS_OK) {
		ev_async_stop(c->env.loop, &t->done);
		free(t);
		bs__control_fail(j, BS_CTL_FAILED, NULL, NULL, "no thread to check in");
		return;
	}
	c->thread = t;
}

void bs__control_thread_end(struct bs_control *c)
{
	struct bs_control_thread *t = c->thread;

	if (!t)
		return;
	pthread_join(t->thread, NULL);
	check_done(c->env.loop, &t->done, 0);
}

static void run_backup(struct bs_control_job *j)
{
	struct bs_store_request req = { .op = BS_STORE_BACKUP };
	const char *path = bs__control_text(j, "file");

	if (path[0] != '/' || strlen(path) >= sizeof(req.u.path)) {
		bs__control_fail(j, BS_CTL_BAD_INPUT, path, NULL,
				 "an absolute path of at most %zu bytes is wanted",
				 sizeof(req.u.path) - 1);
		return;
	}
	memcpy(req.u.path, path, strlen(path) + 1);
	j->result = json_pack("{s:s}", "file", path);
	if (j->dry_run)
		bs__control_finish(j, json_incref(j->result), NULL);
	else
		bs__control_submit(j, &req, bs__control_stored);
}

static void run_restore(struct bs_control_job *j)
{
	struct bs_control *c = j->control;
	const char *path = bs__control_text(j, "file");
	struct bs_registry_conf rc = registry_conf(c);
	struct bs_errtext text = { "" };
	int err;

	rc.write = true;
	if (access(path, R_OK) != 0) {
		bs__control_fail(j, errno == ENOENT ? BS_CTL_NOT_FOUND : BS_CTL_REFUSED, path, NULL,
				 "cannot be read (%s)", strerror(errno));
		return;
	}
	if (c->close)
		c->close(c->open_arg);
	if (j->dry_run) {
		/* The store checks the copy when it puts it in place, not before. */
		bs__control_finish(j, json_pack("{s:s}", "file", path), NULL);
		return;
	}
	err = bs_registry_restore(&rc, path, &text);
	if (err != BS_OK)
		bs__control_fail_err(j, err, path, text.text);
	else
		bs__control_finish(j, json_pack("{s:s}", "file", path), NULL);
}

const struct bs_control_row bs__control_db[] = {
	{ "db backup", run_backup },
	{ "db restore", run_restore },
	{ "db check", run_check },
	{ NULL, NULL },
};
