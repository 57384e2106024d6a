/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "store/seal.h"

/* ---- the pretended server */

struct answer {
	ev_timer timer;
	struct bs_server *s;
	bs_server_rows_fn rows_fn;
	bs_server_done_fn done_fn;
	bs_server_attempts_fn attempts_fn;
	bs_server_relays_fn relays_fn;
	bs_server_attempt_fn attempt_fn;
	uint64_t id;
	void *arg;
	uint32_t number;
	uint64_t cursor;
	uint32_t max;
};

static const struct bs_device_row *find_row(const struct bs_server *s, uint32_t number)
{
	for (size_t i = 0; i < s->n_rows; i++) {
		if (s->row[i].number == number)
			return &s->row[i];
	}
	return NULL;
}

static void give_attempts(const struct answer *a)
{
	struct bs_attempt_info found[HOST_ROWS];
	size_t n = 0;

	for (size_t i = 0; i < a->s->n_info && n < a->max; i++) {
		const struct bs_attempt_info *info = &a->s->info[i];

		if (a->id == 0 || info->attempt == a->id || info->nsi == a->id)
			found[n++] = *info;
	}
	a->attempts_fn(a->arg, a->s->answer, found, a->s->answer == BS_OK ? n : 0);
}

static void give_answer(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct answer *a = w->data;
	struct bs_server *s = a->s;
	const struct bs_device_row *row = find_row(s, a->number);

	(void)loop;
	(void)revents;
	if (a->attempts_fn) {
		give_attempts(a);
	} else if (a->relays_fn) {
		a->relays_fn(a->arg, s->answer, s->relay, s->answer == BS_OK ? s->n_relays : 0);
	} else if (a->attempt_fn) {
		a->attempt_fn(a->arg, s->answer, s->step, s->answer == BS_OK ? s->n_steps : 0);
	} else if (a->done_fn) {
		a->done_fn(a->arg, s->answer != BS_OK ? s->answer : row ? BS_OK : BS_ENOENT);
	} else if (s->answer != BS_OK) {
		a->rows_fn(a->arg, s->answer, NULL, 0, 0);
	} else if (a->number) {
		a->rows_fn(a->arg, row ? BS_OK : BS_ENOENT, row, row ? 1 : 0, 0);
	} else {
		size_t left = a->cursor < s->n_rows ? s->n_rows - a->cursor : 0;
		size_t n = left > 3 ? 3 : left;
		uint64_t next = a->cursor + n < s->n_rows ? a->cursor + n : 0;

		a->rows_fn(a->arg, BS_OK, s->row + a->cursor, n, next);
	}
	free(a);
}

static int later(struct bs_server *s, struct answer a)
{
	struct answer *p;

	if (s->refuse != BS_OK)
		return s->refuse;
	p = malloc(sizeof(*p));
	ck_assert_ptr_nonnull(p);
	*p = a;
	p->s = s;
	ev_timer_init(&p->timer, give_answer, 0.001, 0.0);
	p->timer.data = p;
	ev_timer_start(s->loop, &p->timer);
	return BS_OK;
}

int bs_server_list(struct bs_server *s, uint64_t cursor, uint32_t max, bs_server_rows_fn fn,
		   void *arg)
{
	return later(s, (struct answer){ .rows_fn = fn, .arg = arg, .cursor = cursor, .max = max });
}

int bs_server_device(struct bs_server *s, uint32_t number, bs_server_rows_fn fn, void *arg)
{
	return later(s, (struct answer){ .rows_fn = fn, .arg = arg, .number = number });
}

int bs_server_attempts(struct bs_server *s, uint64_t id, uint32_t max, bs_server_attempts_fn fn,
		       void *arg)
{
	return later(s, (struct answer){ .attempts_fn = fn, .arg = arg, .id = id, .max = max });
}

int bs_server_attempt(struct bs_server *s, uint64_t attempt, bs_server_attempt_fn fn, void *arg)
{
	return later(s, (struct answer){ .attempt_fn = fn, .arg = arg, .id = attempt });
}

int bs_server_relays(struct bs_server *s, uint32_t max, bs_server_relays_fn fn, void *arg)
{
	return later(s, (struct answer){ .relays_fn = fn, .arg = arg, .max = max });
}

int bs_server_kick(struct bs_server *s, uint32_t number, bs_server_done_fn fn, void *arg)
{
	int err = later(s, (struct answer){ .done_fn = fn, .arg = arg, .number = number });

	if (err == BS_OK && find_row(s, number))
		s->kicked[s->n_kicked++] = number;
	return err;
}

void bs_server_drain(struct bs_server *s, bool on, uint32_t rate, uint32_t span_ms)
{
	s->drain = (struct bs_msg_drain){ .on = on, .rate = rate, .span_ms = span_ms };
	s->counter[BS_C_devices_attached] = 0;
}

void bs_server_info(const struct bs_server *s, struct bs_server_info *info)
{
	memset(info, 0, sizeof(*info));
	info->n_workers = s->n_workers;
	info->controller_port = 5001;
	info->attach_port = 5002;
	info->client_port = 5003;
	info->started_ms = 1000000;
	info->max_devices = 200;
	info->draining = s->drain.on;
}

void bs_server_counters(const struct bs_server *s, uint64_t out[BS_COUNTER_N])
{
	memcpy(out, s->counter, sizeof(s->counter));
}

const struct bs_counters *bs_server_worker_counters(const struct bs_server *s, unsigned worker)
{
	return worker < s->n_workers ? &s->workers[worker] : NULL;
}

/* ---- the host */

static const struct bs_conf *host_conf(void *ctx)
{
	return ((struct host *)ctx)->conf;
}

static int host_reload(void *ctx, bs_control_reload_fn fn, void *arg, char *err, size_t cap)
{
	struct host *h = ctx;

	if (h->reload != BS_OK) {
		snprintf(err, cap, "basestation.conf:3: unknown key");
		return h->reload;
	}
	fn(arg, "log-level", "changed");
	fn(arg, "workers", "restart");
	return BS_OK;
}

static int host_upgrade(void *ctx, bs_control_upgrade_fn fn, void *arg, char *err, size_t cap)
{
	struct host *h = ctx;

	if (h->upgrade == BS_EBUSY) {
		snprintf(err, cap, "one is on its way");
		return BS_EBUSY;
	}
	/* the command is the only one: then the others are held */
	ck_assert_int_eq(bs_control_hold(h->control, 0), BS_EBUSY);
	ck_assert_int_eq(bs_control_hold(h->control, 1), BS_OK);
	bs_control_release(h->control);
	fn(arg, h->upgrade, "it ended", 4711);
	return BS_OK;
}

static void host_stop_asked(void *ctx)
{
	((struct host *)ctx)->stopped = true;
}

static void on_change(void *arg, const struct bs_store_change *change)
{
	(void)change;
	((struct host *)arg)->changes++;
}

static void on_answers(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	bs_store_inbox_run(((struct host *)w->data)->inbox);
}

static void on_guard(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
}

static void load_conf(struct host *h)
{
	struct bs_conf_error e;
	char key[96];
	struct bs_errtext err;

	snprintf(key, sizeof(key), "%s/key", h->root);
	ck_assert_int_eq(bs_seal_key_create(key, &err), BS_OK);
	snprintf(h->text, sizeof(h->text),
		 "control-socket = \"%s\"\ndatabase = \"%s/db\"\ndatabase-size = 64MiB\n"
		 "key-file = \"%s\"\n%s",
		 h->sock, h->root, key, geteuid() == 0 ? "user = root\n" : "");
	ck_assert_msg(bs_conf_load_text("test.conf", h->text, strlen(h->text), &h->conf, &e) ==
			      BS_OK,
		      "%s", e.text);
}

static void open_registry(struct host *h)
{
	struct bs_registry_conf rc = { .dir = h->conf->database,
				       .map_bytes = h->conf->database_size,
				       .key_file = h->conf->key_file,
				       .write = true };
	struct bs_errtext err = { "" };

	ck_assert_msg(bs_registry_open(&rc, &h->reg, &err) == BS_OK, "%s", err.text);
	ck_assert_int_eq(bs_store_start(h->reg, on_change, h, &h->store, &h->inbox), BS_OK);
	ev_io_init(&h->answers, on_answers, bs_store_inbox_fd(h->inbox), EV_READ);
	h->answers.data = h;
	ev_io_start(h->loop, &h->answers);
}

static void start(struct host *h, bool with_server)
{
	struct bs_control_env env;
	char err[256] = "";
	int fd;

	memset(h, 0, sizeof(*h));
	snprintf(h->root, sizeof(h->root), "/tmp/bs-control-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(h->root));
	snprintf(h->sock, sizeof(h->sock), "%s/control", h->root);
	h->loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_ptr_nonnull(h->loop);
	ev_init(&h->guard, on_guard);
	h->guard.repeat = 10.0;
	h->server.loop = h->loop;
	h->server.n_workers = 2;
	load_conf(h);
	open_registry(h);
	fd = bs_control_bind(h->conf, err, sizeof(err));
	ck_assert_msg(fd >= 0, "%s", err);
	env = (struct bs_control_env){ .loop = h->loop,
				       .registry = h->reg,
				       .store = h->store,
				       .inbox = h->inbox,
				       .server = with_server ? &h->server : NULL,
				       .ctx = h,
				       .conf = host_conf,
				       .reload = host_reload,
				       .stop = host_stop_asked,
				       .upgrade = host_upgrade };
	ck_assert_int_eq(bs_control_new(&env, fd, -1, &h->control), BS_OK);
	bs_ctl_lines_init(&h->lines, BS_CTL_LINE_MAX);
	h->fd = host_connect(h);
	ck_assert_int_ge(h->fd, 0);
}

void host_start(struct host *h)
{
	start(h, true);
}

void host_start_offline(struct host *h)
{
	start(h, false);
}

static void remove_all(const char *path)
{
	char sub[512];
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		if (unlink(sub) < 0)
			remove_all(sub);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

void host_stop(struct host *h)
{
	bs_store_stop(h->store);
	if (h->inbox)
		bs_store_inbox_run(h->inbox);
	bs_control_free(h->control);
	ck_assert_int_ne(access(h->sock, F_OK), 0);
	ev_io_stop(h->loop, &h->answers);
	bs_store_inbox_free(h->inbox);
	bs_store_free(h->store);
	bs_registry_close(h->reg);
	bs_ctl_lines_fini(&h->lines);
	if (h->fd >= 0)
		close(h->fd);
	ev_loop_destroy(h->loop);
	bs_conf_unref(h->conf);
	remove_all(h->root);
}

int host_connect(struct host *h)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, h->sock, strlen(h->sock) + 1);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	close(fd);
	return -1;
}

bool host_until(struct host *h, bool (*cond)(void *arg), void *arg)
{
	ev_tstamp end;

	ev_now_update(h->loop);
	end = ev_now(h->loop) + 10.0;
	ev_timer_again(h->loop, &h->guard);
	while (!cond(arg) && ev_now(h->loop) < end)
		ev_run(h->loop, EVRUN_ONCE);
	ev_timer_stop(h->loop, &h->guard);
	return cond(arg);
}

void host_send(struct host *h, const char *text)
{
	size_t len = strlen(text);
	size_t off = 0;

	while (off < len) {
		ssize_t n = send(h->fd, text + off, len - off, MSG_NOSIGNAL);

		if (n > 0)
			off += (size_t)n;
		else if (errno == EAGAIN)
			ev_run(h->loop, EVRUN_NOWAIT);
		else
			return;
	}
}

struct wait {
	struct host *h;
	const char *line;
	size_t len;
	bool closed;
};

static bool have_line(void *arg)
{
	struct wait *w = arg;
	char buf[65536];
	ssize_t n;

	if (w->line || w->closed)
		return true;
	n = recv(w->h->fd, buf, sizeof(buf), 0);
	if (n > 0)
		ck_assert_int_eq(bs_ctl_lines_add(&w->h->lines, buf, (size_t)n), BS_OK);
	w->closed = n == 0 || (n < 0 && errno != EAGAIN);
	w->line = bs_ctl_lines_next(&w->h->lines, &w->len);
	return w->line || w->closed;
}

json_t *host_record(struct host *h)
{
	struct wait w = { .h = h };
	json_t *o;

	w.line = bs_ctl_lines_next(&h->lines, &w.len);
	/* A descriptor of ours in the loop wakes it when the answer is there. */
	while (!have_line(&w)) {
		ev_run(h->loop, EVRUN_NOWAIT);
		if (!have_line(&w))
			usleep(200);
	}
	ck_assert_msg(w.line != NULL, "the server closed the connection");
	o = json_loadb(w.line, w.len, 0, NULL);
	ck_assert_ptr_nonnull(o);
	return o;
}

bool host_is_closed(struct host *h)
{
	struct wait w = { .h = h };

	for (int i = 0; i < 5000 && !w.closed; i++) {
		w.line = NULL;
		ev_run(h->loop, EVRUN_NOWAIT);
		if (!have_line(&w))
			usleep(200);
	}
	return w.closed;
}

json_t *host_ask(struct host *h, const char *command, const char *args)
{
	char request[4096];
	json_t *all = json_array();
	json_t *r;

	snprintf(request, sizeof(request), "{\"id\":1,\"command\":\"%s\",\"args\":%s}\n", command,
		 args ? args : "{}");
	host_send(h, request);
	do {
		r = host_record(h);
		json_array_append_new(all, r);
	} while (!json_object_get(r, "status") && !json_object_get(r, "ready"));
	return all;
}

json_t *host_expect(struct host *h, const char *command, const char *args, int status)
{
	json_t *all = host_ask(h, command, args);
	json_t *last = json_incref(json_array_get(all, json_array_size(all) - 1));
	json_int_t got = json_integer_value(json_object_get(last, "status"));

	ck_assert_msg(got == status, "%s %s: status %d, %s", command, args ? args : "", (int)got,
		      host_error(last, "reason"));
	json_decref(all);
	return last;
}

void host_ok(struct host *h, const char *command, const char *args)
{
	json_decref(host_expect(h, command, args, BS_CTL_OK));
}

const char *host_text(const json_t *final, const char *name)
{
	const char *s = json_string_value(json_object_get(json_object_get(final, "result"), name));

	return s ? s : "";
}

const char *host_error(const json_t *final, const char *name)
{
	const char *s = json_string_value(json_object_get(json_object_get(final, "error"), name));

	return s ? s : "";
}
