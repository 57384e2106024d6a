/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offline mode: the same commands on a database that no server has open.  bsctl starts
 * basestationd with one end of a socket pair; so bsctl itself needs to know neither LMDB nor the
 * sealing of secrets, and every command exists once.
 */
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "server/control_job.h"
#include "server/first_run.h"

/* What an offline run has open; opened when a command first needs it, so that a restore can run
 * on a registry that nobody has open. */
struct offline {
	const struct bs_conf *conf;
	struct ev_loop *loop;
	struct bs_control *control;
	struct bs_registry *registry;
	struct bs_store *store;
	struct bs_store_inbox *inbox;
	ev_io answers;
};

static const struct bs_conf *offline_conf(void *ctx)
{
	struct offline *o = ctx;

	return o->conf;
}

static void on_answers(struct ev_loop *loop, ev_io *w, int revents)
{
	struct offline *o = w->data;

	(void)loop;
	(void)revents;
	bs_store_inbox_run(o->inbox);
}

static void offline_close(void *arg)
{
	struct offline *o = arg;

	if (o->inbox)
		ev_io_stop(o->loop, &o->answers);
	bs_store_stop(o->store);
	if (o->inbox)
		bs_store_inbox_run(o->inbox);
	if (o->control) {
		bs_registry_reader_free(o->control->reader);
		o->control->reader = NULL;
		o->control->env.registry = NULL;
		o->control->env.store = NULL;
		o->control->env.inbox = NULL;
	}
	bs_store_inbox_free(o->inbox);
	bs_store_free(o->store);
	bs_registry_close(o->registry);
	o->inbox = NULL;
	o->store = NULL;
	o->registry = NULL;
}

static int offline_open(void *arg, struct bs_ctl_error *e)
{
	struct offline *o = arg;
	struct bs_registry_conf rc = { .dir = o->conf->database,
				       .map_bytes = o->conf->database_size,
				       .key_file = o->conf->key_file,
				       .write = true };
	struct bs_errtext text = { "" };
	int err = bs_first_run(o->conf, text.text, sizeof(text.text));

	if (err == BS_OK)
		err = bs_registry_open(&rc, &o->registry, &text);

	if (err == BS_OK)
		err = bs_store_start(o->registry, NULL, NULL, &o->store, NULL);
	if (err == BS_OK)
		err = bs_store_inbox_new(o->store, &o->inbox);
	if (err != BS_OK) {
		offline_close(o);
		bs_ctl_error_set(e, bs_ctl_status_from_err(err), o->conf->database,
				 err == BS_EBUSY ? "leave out --offline while a server runs" : NULL,
				 "%s", text.text[0] ? text.text : bs_strerror(err));
		return err;
	}
	ev_io_init(&o->answers, on_answers, bs_store_inbox_fd(o->inbox), EV_READ);
	o->answers.data = o;
	ev_io_start(o->loop, &o->answers);
	o->control->env.registry = o->registry;
	o->control->env.store = o->store;
	o->control->env.inbox = o->inbox;
	return BS_OK;
}

int bs_control_run_offline(const struct bs_conf *conf, int fd, char *err, size_t cap)
{
	struct offline o = { .conf = conf };
	struct bs_control_env env = { .ctx = &o, .conf = offline_conf };
	int flags = fcntl(fd, F_GETFL);
	int code;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		snprintf(err, cap, "control-fd %d: not an open descriptor", fd);
		return BS_EINVAL;
	}
	o.loop = ev_loop_new(EVFLAG_AUTO);
	if (!o.loop) {
		close(fd);
		snprintf(err, cap, "control-fd: no event loop");
		return BS_ENOMEM;
	}
	env.loop = o.loop;
	code = bs_control_new(&env, -1, fd, &o.control);
	if (code != BS_OK) {
		snprintf(err, cap, "control-fd: %s", bs_strerror(code));
		ev_loop_destroy(o.loop);
		return code;
	}
	o.control->open = offline_open;
	o.control->close = offline_close;
	o.control->open_arg = &o;
	ev_run(o.loop, 0);
	/* The store answers what is under way before the jobs are gone. */
	bs__control_thread_end(o.control);
	offline_close(&o);
	bs_control_free(o.control);
	ev_loop_destroy(o.loop);
	return BS_OK;
}
