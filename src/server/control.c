/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines in, records out.  One request of a client is under way at a time; while it runs, or while
 * more than OUT_PAUSE bytes wait for a slow reader, its next line is not read and the peer feels
 * it through the socket.  Jobs end by calling back into client_run(), which therefore never nests.
 * A client is closed from its write watcher only, since callers up the stack may still hold it.
 */
#include "server/control.h"

#include <errno.h>
#include <ev.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "log/log.h"
#include "server/control_job.h"
#include "server/control_socket.h"

/* Answers in waiting above which no further request of that client is read. */
#define OUT_PAUSE (256u * 1024u)
/* Answers in waiting above which the client is given up: one page can not reach it. */
#define OUT_MAX (4u * 1024u * 1024u)
/* A client that takes no byte for so long while answers wait is given up. */
#define STALL_S  30.0
#define READ_MAX 65536u

struct bs_control_client {
	struct bs_control_client *next;
	struct bs_control_client *prev;
	struct bs_control *control;
	struct bs_control_job *job; /* request under way; none other is begun before it ends */
	int fd;
	ev_io rd;
	ev_io wr;
	ev_timer stall;
	struct bs_ctl_lines lines;
	char *out;
	size_t out_len;
	size_t out_off;
	size_t out_cap;
	bool ended;    /* the peer sends no more */
	bool broken;   /* close as soon as nothing of ours is on the stack */
	bool draining; /* in client_run */
};

struct bs_control_io {
	ev_io accept;
	ev_timer again; /* accept anew after descriptors ran out */
	int fd;
	char path[108];
	bool offline; /* one client; its end ends the loop */
};

static void client_run(struct bs_control_client *cl);

/* ---- clients */

static void client_close(struct bs_control_client *cl)
{
	struct bs_control *c = cl->control;
	bool last;

	ev_io_stop(c->env.loop, &cl->rd);
	ev_io_stop(c->env.loop, &cl->wr);
	ev_timer_stop(c->env.loop, &cl->stall);
	if (cl->job) {
		cl->job->client = NULL;
		/* An upload has nobody left to end it; all other jobs end by themselves. */
		if (cl->job->command->flags & BS_CMD_UPLOAD)
			bs__control_rows_drop(cl->job);
	}
	if (cl->prev)
		cl->prev->next = cl->next;
	else
		c->clients = cl->next;
	if (cl->next)
		cl->next->prev = cl->prev;
	c->n_clients--;
	last = c->io->offline;
	close(cl->fd);
	bs_ctl_lines_fini(&cl->lines);
	free(cl->out);
	free(cl);
	if (last)
		ev_break(c->env.loop, EVBREAK_ALL);
}

static size_t out_pending(const struct bs_control_client *cl)
{
	return cl->out_len - cl->out_off;
}

/* Takes text.  Queues it; the write watcher sends it when the loop turns. */
static void client_put(struct bs_control_client *cl, char *text, size_t len)
{
	if (!text || out_pending(cl) + len > OUT_MAX) {
		cl->broken = true;
		goto out;
	}
	if (cl->out_off > 0) {
		memmove(cl->out, cl->out + cl->out_off, out_pending(cl));
		cl->out_len -= cl->out_off;
		cl->out_off = 0;
	}
	if (cl->out_len + len > cl->out_cap) {
		size_t cap = (cl->out_len + len) * 2;
		char *p = realloc(cl->out, cap);

		if (!p) {
			cl->broken = true;
			goto out;
		}
		cl->out = p;
		cl->out_cap = cap;
	}
	memcpy(cl->out + cl->out_len, text, len);
	cl->out_len += len;
	if (!ev_is_active(&cl->wr)) {
		ev_io_start(cl->control->env.loop, &cl->wr);
		ev_timer_again(cl->control->env.loop, &cl->stall);
	}
out:
	free(text);
}

/* ---- answers of jobs */

static void job_put(struct bs_control_job *j, char *text, size_t len)
{
	if (j->client)
		client_put(j->client, text, len);
	else
		free(text);
}

void bs__control_item(struct bs_control_job *j, json_t *value)
{
	size_t len = 0;
	char *text = value ? bs_ctl_make_record(j->id, BS_CTL_ITEM, value, &len) : NULL;

	job_put(j, text, len);
}

void bs__control_progress(struct bs_control_job *j, uint64_t done, uint64_t total)
{
	size_t len = 0;
	json_t *v = json_pack("{s:I,s:I}", "done", (json_int_t)done, "total", (json_int_t)total);
	char *text = v ? bs_ctl_make_record(j->id, BS_CTL_PROGRESS, v, &len) : NULL;

	job_put(j, text, len);
}

void bs__control_ready(struct bs_control_job *j)
{
	size_t len = 0;
	json_t *v = json_pack("{s:i}", "rows", (int)BS_CTL_CHUNK_ROWS);
	char *text = v ? bs_ctl_make_record(j->id, BS_CTL_READY, v, &len) : NULL;

	job_put(j, text, len);
}

/* The job is over: free it and let its client go on. */
static void job_end(struct bs_control_job *j, char *text, size_t len)
{
	struct bs_control_client *cl = j->client;

	job_put(j, text, len);
	if (j->prev)
		j->prev->next = j->next;
	else
		j->control->jobs = j->next;
	if (j->next)
		j->next->prev = j->prev;
	bs_import_free(j->import);
	json_decref(j->result);
	json_decref(j->args);
	free(j);
	if (cl) {
		cl->job = NULL;
		client_run(cl);
	}
}

void bs__control_finish(struct bs_control_job *j, json_t *result, const char *cursor)
{
	size_t len = 0;
	char *text = bs_ctl_make_final(j->id, result, cursor, &len);

	job_end(j, text, len);
}

void bs__control_fail_error(struct bs_control_job *j, const struct bs_ctl_error *e)
{
	size_t len = 0;
	char *text = bs_ctl_make_error(j->id, e, &len);

	job_end(j, text, len);
}

void bs__control_fail(struct bs_control_job *j, int status, const char *place, const char *remedy,
		      const char *reason, ...)
{
	struct bs_ctl_error e;
	va_list ap;
	char text[sizeof(e.reason)];

	va_start(ap, reason);
	vsnprintf(text, sizeof(text), reason, ap);
	va_end(ap);
	bs_ctl_error_set(&e, status, place, remedy, "%s", text);
	bs__control_fail_error(j, &e);
}

void bs__control_fail_err(struct bs_control_job *j, int err, const char *place, const char *text)
{
	bs__control_fail(j, bs_ctl_status_from_err(err), place, NULL, "%s",
			 text && text[0] ? text : bs_strerror(err));
}

/* ---- requests */

static bs_control_fn find_handler(const char *name)
{
	static const struct bs_control_row *const areas[] = {
		bs__control_admin,   bs__control_drain, bs__control_device, bs__control_client,
		bs__control_access,  bs__control_ca,    bs__control_db,     bs__control_import,
		bs__control_attempt, bs__control_relay,
	};
	size_t i;

	for (i = 0; i < sizeof(areas) / sizeof(areas[0]); i++) {
		const struct bs_control_row *r;

		for (r = areas[i]; r->name; r++) {
			if (strcmp(r->name, name) == 0)
				return r->run;
		}
	}
	return NULL;
}

static void client_error(struct bs_control_client *cl, json_int_t id, const struct bs_ctl_error *e)
{
	size_t len = 0;
	char *text = bs_ctl_make_error(id, e, &len);

	client_put(cl, text, len);
}

/* Whether the command may run here at all. */
static bool may_run(const struct bs_control *c, const struct bs_command *cmd,
		    struct bs_ctl_error *e)
{
	if (c->env.server == NULL && cmd->flags & BS_CMD_LIVE) {
		bs_ctl_error_set(e, BS_CTL_UNREACHABLE, cmd->name, "leave out --offline",
				 "needs the running server");
		return false;
	}
	if (c->env.server && cmd->flags & BS_CMD_OFFLINE) {
		bs_ctl_error_set(e, BS_CTL_BUSY, cmd->name, "stop the server and use --offline",
				 "the server runs");
		return false;
	}
	return true;
}

static void begin_job(struct bs_control_client *cl, const struct bs_command *cmd, bs_control_fn run,
		      const struct bs_ctl_request *r)
{
	struct bs_control *c = cl->control;
	struct bs_control_job *j = calloc(1, sizeof(*j));
	struct bs_ctl_error e;

	if (!j) {
		bs_ctl_error_set(&e, BS_CTL_FAILED, cmd->name, NULL, "no memory");
		client_error(cl, r->id, &e);
		return;
	}
	j->control = c;
	j->client = cl;
	j->command = cmd;
	j->id = r->id;
	j->args = r->args ? json_incref(r->args) : json_object();
	j->dry_run = json_is_true(json_object_get(j->args, "dry-run"));
	j->next = c->jobs;
	if (c->jobs)
		c->jobs->prev = j;
	c->jobs = j;
	cl->job = j;
	if (cmd->flags & BS_CMD_CHANGES && !j->dry_run)
		bs_log_info("control, %s", cmd->name);
	run(j);
}

static void begin_request(struct bs_control_client *cl, const struct bs_ctl_request *r)
{
	const struct bs_command *cmd = bs_command_find(r->command);
	bs_control_fn run = cmd ? find_handler(cmd->name) : NULL;
	struct bs_ctl_error e;

	if (!run) {
		bs_ctl_error_set(&e, BS_CTL_USAGE, NULL,
				 "are bsctl and basestationd of the same version?",
				 "no command \"%.60s\" in this server", r->command);
		client_error(cl, r->id, &e);
	} else if (bs_command_check(cmd, r->args, &e) != BS_OK || !may_run(cl->control, cmd, &e)) {
		client_error(cl, r->id, &e);
	} else {
		begin_job(cl, cmd, run, r);
	}
}

/* Chunks, end and abort belong to the upload under way. */
static void continue_upload(struct bs_control_client *cl, const struct bs_ctl_request *r)
{
	struct bs_control_job *j = cl->job;
	struct bs_ctl_error e;

	if (!j || j->id != r->id) {
		bs_ctl_error_set(&e, BS_CTL_USAGE, NULL, NULL, "no upload is under way");
		client_error(cl, r->id, &e);
	} else if (r->abort) {
		bs__control_rows_drop(j);
	} else if (r->end) {
		bs__control_rows_end(j);
	} else {
		bs__control_rows(j, r->rows);
	}
}

/* An upload goes on while its job is there; every other job holds the next line back. */
static bool may_read_line(const struct bs_control_client *cl)
{
	if (cl->broken || cl->control->held || out_pending(cl) > OUT_PAUSE)
		return false;
	return !cl->job || (cl->job->command->flags & BS_CMD_UPLOAD && cl->job->import);
}

static void one_line(struct bs_control_client *cl, const char *line, size_t len)
{
	struct bs_ctl_request r;
	struct bs_ctl_error e;

	if (bs_ctl_request_parse(&r, line, len, &e) != BS_OK) {
		client_error(cl, 0, &e);
		return;
	}
	if (r.command && cl->job) {
		bs_ctl_error_set(&e, BS_CTL_USAGE, NULL, NULL, "an upload is under way");
		client_error(cl, r.id, &e);
	} else if (r.command) {
		begin_request(cl, &r);
	} else {
		continue_upload(cl, &r);
	}
	bs_ctl_request_fini(&r);
}

static bool may_close(const struct bs_control_client *cl)
{
	return cl->broken || (cl->ended && !cl->job && out_pending(cl) == 0);
}

/* Serve the lines that wait.  Jobs that end at once come back here, so it must not nest. */
static void client_run(struct bs_control_client *cl)
{
	const char *line;
	size_t len;

	if (cl->draining)
		return;
	cl->draining = true;
	while (may_read_line(cl) && (line = bs_ctl_lines_next(&cl->lines, &len)) != NULL)
		one_line(cl, line, len);
	cl->draining = false;
	/* Reading stops while lines wait, so that the peer feels the pressure. */
	if (may_read_line(cl) && !cl->ended)
		ev_io_start(cl->control->env.loop, &cl->rd);
	else
		ev_io_stop(cl->control->env.loop, &cl->rd);
	/* Closing waits for the loop: a caller up the stack may still hold the client. */
	if (may_close(cl))
		ev_feed_event(cl->control->env.loop, &cl->wr, EV_WRITE);
}

/* ---- watchers */

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct bs_control_client *cl = w->data;
	char buf[READ_MAX];
	ssize_t n = recv(cl->fd, buf, sizeof(buf), 0);
	struct bs_ctl_error e;
	int err;

	(void)loop;
	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		cl->ended = true;
		/* Answers that wait are still sent to a peer that only closed its writing side. */
		cl->broken = n < 0 || (cl->job && cl->job->command->flags & BS_CMD_UPLOAD);
		client_run(cl);
		return;
	}
	err = bs_ctl_lines_add(&cl->lines, buf, (size_t)n);
	if (err != BS_OK) {
		bs_ctl_error_set(&e, BS_CTL_USAGE, "control line", NULL, "longer than %u bytes",
				 BS_CTL_LINE_MAX);
		client_error(cl, 0, &e);
		cl->ended = true;
	}
	client_run(cl);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct bs_control_client *cl = w->data;
	ssize_t n;

	(void)revents;
	if (!cl->broken && out_pending(cl) > 0) {
		n = send(cl->fd, cl->out + cl->out_off, out_pending(cl), MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			cl->broken = true;
		if (n > 0) {
			cl->out_off += (size_t)n;
			ev_timer_again(loop, &cl->stall);
		}
	}
	if (!cl->broken && out_pending(cl) == 0) {
		ev_io_stop(loop, &cl->wr);
		ev_timer_stop(loop, &cl->stall);
	}
	/* Lines may have waited for the room. */
	if (!cl->broken && out_pending(cl) <= OUT_PAUSE)
		client_run(cl);
	if (may_close(cl))
		client_close(cl);
}

static void on_stall(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct bs_control_client *cl = w->data;

	(void)loop;
	(void)revents;
	bs_log_notice("control, client given up (it reads no answers)");
	client_close(cl);
}

/* Takes fd. */
static int client_new(struct bs_control *c, int fd)
{
	struct bs_control_client *cl = calloc(1, sizeof(*cl));

	if (!cl) {
		close(fd);
		return BS_ENOMEM;
	}
	cl->control = c;
	cl->fd = fd;
	bs_ctl_lines_init(&cl->lines, BS_CTL_LINE_MAX);
	ev_io_init(&cl->rd, on_readable, fd, EV_READ);
	ev_io_init(&cl->wr, on_writable, fd, EV_WRITE);
	ev_init(&cl->stall, on_stall);
	cl->stall.repeat = STALL_S;
	cl->rd.data = cl;
	cl->wr.data = cl;
	cl->stall.data = cl;
	cl->next = c->clients;
	if (c->clients)
		c->clients->prev = cl;
	c->clients = cl;
	c->n_clients++;
	ev_io_start(c->env.loop, &cl->rd);
	return BS_OK;
}

/* One line to somebody who gets no service; takes fd. */
static void turn_away(int fd, int status, const char *reason, const char *remedy)
{
	struct bs_ctl_error e;
	size_t len = 0;
	char *text;

	bs_ctl_error_set(&e, status, "control socket", remedy, "%s", reason);
	text = bs_ctl_make_error(0, &e, &len);
	/* The empty socket buffer takes one line; where it does not, the peer sees the end. */
	if (text && send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		bs_log_debug("control, refusal not sent (%d)", errno);
	free(text);
	close(fd);
}

static void on_connection(struct ev_loop *loop, ev_io *w, int revents)
{
	struct bs_control *c = w->data;
	int fd = bs__control_accept(c->io->fd);

	(void)revents;
	if (fd == BS_EFULL) {
		/* The listener stays readable: without a pause the loop would spin. */
		bs_log_error("control, client not accepted (no descriptors left)");
		ev_io_stop(loop, w);
		ev_timer_set(&c->io->again, 1.0, 0.0);
		ev_timer_start(loop, &c->io->again);
		return;
	}
	if (fd < 0)
		return;
	if (!bs__control_peer_allowed(fd, c->env.conf(c->env.ctx))) {
		turn_away(fd, BS_CTL_REFUSED, "this user may not use it",
			  "be root or a member of the conf's control-group");
	} else if (c->n_clients >= BS_CONTROL_CLIENTS_MAX) {
		turn_away(fd, BS_CTL_BUSY, "too many clients", "try again");
	} else if (client_new(c, fd) != BS_OK) {
		bs_log_error("control, client refused (no memory)");
	}
}

static void on_again(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct bs_control *c = w->data;

	(void)revents;
	ev_io_start(loop, &c->io->accept);
}

/* ---- set-up */

int bs_control_new(const struct bs_control_env *env, int fd, int peer, struct bs_control **out)
{
	struct bs_control *c = calloc(1, sizeof(*c));
	int err = BS_ENOMEM;

	if (c)
		c->io = calloc(1, sizeof(*c->io));
	if (!c || !c->io)
		goto fail;
	c->env = *env;
	c->io->fd = -1;
	if (env->registry) {
		err = bs_registry_reader_new(env->registry, &c->reader);
		if (err != BS_OK)
			goto fail;
	}
	if (peer >= 0) {
		c->io->offline = true;
		err = client_new(c, peer);
		peer = -1;
		if (err != BS_OK)
			goto fail;
	}
	if (fd >= 0) {
		c->io->fd = fd;
		bs__control_path(fd, c->io->path, sizeof(c->io->path));
		ev_io_init(&c->io->accept, on_connection, fd, EV_READ);
		c->io->accept.data = c;
		ev_init(&c->io->again, on_again);
		c->io->again.data = c;
		ev_io_start(env->loop, &c->io->accept);
	}
	*out = c;
	return BS_OK;
fail:
	if (fd >= 0)
		close(fd);
	if (peer >= 0)
		close(peer);
	if (c) {
		bs_registry_reader_free(c->reader);
		free(c->io);
	}
	free(c);
	return err;
}

int bs_control_hold(struct bs_control *c, unsigned own)
{
	const struct bs_control_job *j;
	unsigned n = 0;

	for (j = c->jobs; j; j = j->next)
		n++;
	if (n > own)
		return BS_EBUSY;
	c->held = true;
	return BS_OK;
}

void bs_control_release(struct bs_control *c)
{
	struct bs_control_client *cl;
	struct bs_control_client *next;

	c->held = false;
	for (cl = c->clients; cl; cl = next) {
		next = cl->next;
		client_run(cl);
	}
}

void bs_control_leave(struct bs_control *c)
{
	if (c->io->fd < 0)
		return;
	ev_io_stop(c->env.loop, &c->io->accept);
	ev_timer_stop(c->env.loop, &c->io->again);
	close(c->io->fd);
	c->io->fd = -1;
}

int bs_control_fd(const struct bs_control *c)
{
	return c->io->fd;
}

/* Answers under way when the daemon stops: best effort, never a wait. */
static void flush_client(struct bs_control_client *cl)
{
	if (!cl->broken && out_pending(cl) > 0 &&
	    send(cl->fd, cl->out + cl->out_off, out_pending(cl), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		bs_log_debug("control, last answer not sent (%d)", errno);
}

void bs_control_free(struct bs_control *c)
{
	if (!c)
		return;
	bs__control_thread_end(c);
	bs__control_drain_end(c);
	while (c->clients) {
		flush_client(c->clients);
		client_close(c->clients);
	}
	/* The store and the server have stopped or drop our callbacks: see control.h. */
	while (c->jobs) {
		c->jobs->client = NULL;
		job_end(c->jobs, NULL, 0);
	}
	if (c->io->fd >= 0) {
		ev_io_stop(c->env.loop, &c->io->accept);
		ev_timer_stop(c->env.loop, &c->io->again);
		close(c->io->fd);
		if (c->io->path[0] && unlink(c->io->path) != 0)
			bs_log_debug("control, socket file left behind (%d)", errno);
	}
	bs_registry_reader_free(c->reader);
	free(c->io);
	free(c);
}
