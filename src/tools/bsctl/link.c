/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection.  A record that does not carry the id of the request in hand is skipped; a server
 * that turns us away answers with id 0.  A connection that ends before the final record leaves the
 * outcome open, and says so with a status of its own.
 */
#include "tools/bsctl/link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conf/conf.h"

struct bs_link {
	int fd;
	pid_t child; /* daemon of an offline link, else 0 */
	struct bs_ctl_lines lines;
	json_int_t id;
	unsigned timeout_ms;
	char place[160]; /* for messages */
};

/* ---- connecting */

static int fail_connect(const char *path, int err, struct bs_ctl_error *e)
{
	static const char start[] = "start basestationd, or use --offline for its database";
	char place[200];

	snprintf(place, sizeof(place), "control socket %s", path);
	if (err == EACCES || err == EPERM)
		bs_ctl_error_set(e, BS_CTL_REFUSED, place,
				 "be root, the daemon's user or in the conf's control-group",
				 "permission denied");
	else if (err == ENOENT || err == ENOTDIR)
		bs_ctl_error_set(e, BS_CTL_UNREACHABLE, place, start,
				 "no server runs here (there is no such socket)");
	else if (err == ECONNREFUSED)
		bs_ctl_error_set(e, BS_CTL_UNREACHABLE, place, start,
				 "no server answers (it was left behind by one that ended)");
	else if (err == EAGAIN)
		bs_ctl_error_set(e, BS_CTL_BUSY, place, "try again", "the server is busy");
	else
		bs_ctl_error_set(e, BS_CTL_UNREACHABLE, place, NULL, "cannot connect (%s)",
				 strerror(err));
	return -1;
}

static int connect_socket(const char *path, struct bs_ctl_error *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int err;
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		bs_ctl_error_set(e, BS_CTL_USAGE, "--socket", NULL,
				 "the path is longer than 107 bytes");
		return -1;
	}
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_connect(path, errno, e);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0) {
		err = errno;
		close(fd);
		return fail_connect(path, err, e);
	}
	return fd;
}

/* The socket's path by the conf; without --conf a conf that is not there or not for us to read
 * means the built-in path. */
static int socket_path(const char *file, char *out, size_t cap, struct bs_ctl_error *e)
{
	const struct bs_conf *conf = NULL;
	struct bs_conf_error text;
	int err = bs_conf_load(file ? file : BS_CONF_FILE, 0, &conf, &text);

	if (!file && (err == BS_ENOENT || err == BS_EPERM)) {
		conf = bs_conf_new_default();
		err = conf ? BS_OK : BS_ENOMEM;
		snprintf(text.text, sizeof(text.text), "no memory");
	}
	if (err != BS_OK) {
		bs_ctl_error_set(e, bs_ctl_status_from_err(err), NULL, NULL, "%s", text.text);
		return err;
	}
	snprintf(out, cap, "%s", conf->control_socket);
	bs_conf_unref(conf);
	return BS_OK;
}

/* ---- a daemon of our own */

/* Beside this program, as in a build tree; in ../sbin; or where it was installed to. */
static void find_daemon(char out[static PATH_MAX])
{
	static const char *const where[] = { "/basestationd", "/../sbin/basestationd" };
	char dir[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 32);
	size_t i;

	if (n > 0) {
		dir[n] = '\0';
		*strrchr(dir, '/') = '\0';
		for (i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
			snprintf(out, PATH_MAX, "%.4000s%s", dir, where[i]);
			if (access(out, X_OK) == 0)
				return;
		}
	}
	snprintf(out, PATH_MAX, "%s/basestationd", BS_SBIN_DIR);
}

static void exec_daemon(const char *path, const char *conf, int fd)
{
	char number[16];
	char *argv[] = { (char *)"basestationd", (char *)"-c", (char *)conf,
			 (char *)"--control-fd", number,       NULL };

	snprintf(number, sizeof(number), "%d", fd);
	if (fcntl(fd, F_SETFD, 0) == 0)
		execv(path, argv);
	fprintf(stderr, "bsctl: %s: cannot be started (%s)\n", path, strerror(errno));
	_exit(127);
}

static int start_daemon(struct bs_link *l, const char *conf, struct bs_ctl_error *e)
{
	char path[PATH_MAX];
	int sv[2];

	find_daemon(path);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0) {
		bs_ctl_error_set(e, BS_CTL_FAILED, "--offline", NULL, "no socket pair (%s)",
				 strerror(errno));
		return -1;
	}
	fflush(NULL);
	l->child = fork();
	if (l->child == 0)
		exec_daemon(path, conf, sv[1]);
	close(sv[1]);
	if (l->child < 0) {
		l->child = 0;
		close(sv[0]);
		bs_ctl_error_set(e, BS_CTL_FAILED, "--offline", NULL, "cannot fork (%s)",
				 strerror(errno));
		return -1;
	}
	snprintf(l->place, sizeof(l->place), "basestationd --control-fd");
	return sv[0];
}

struct bs_link *bs_link_open(const struct bs_link_options *o, struct bs_ctl_error *e)
{
	struct bs_link *l = calloc(1, sizeof(*l));
	char path[PATH_MAX] = "";

	if (!l) {
		bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "no memory");
		return NULL;
	}
	l->timeout_ms = o->timeout_ms;
	l->fd = -1;
	bs_ctl_lines_init(&l->lines, BS_CTL_LINE_MAX);
	if (o->offline) {
		l->fd = start_daemon(l, o->conf ? o->conf : BS_CONF_FILE, e);
	} else if (o->socket) {
		l->fd = connect_socket(o->socket, e);
		snprintf(l->place, sizeof(l->place), "control socket %.120s", o->socket);
	} else if (socket_path(o->conf, path, sizeof(path), e) == BS_OK) {
		l->fd = connect_socket(path, e);
		snprintf(l->place, sizeof(l->place), "control socket %.120s", path);
	}
	if (l->fd >= 0)
		return l;
	bs_link_close(l);
	return NULL;
}

void bs_link_close(struct bs_link *l)
{
	int status;

	if (!l)
		return;
	if (l->fd >= 0)
		close(l->fd);
	/* The daemon sees the end of the connection, closes the database and ends. */
	while (l->child > 0 && waitpid(l->child, &status, 0) < 0 && errno == EINTR)
		;
	bs_ctl_lines_fini(&l->lines);
	free(l);
}

/* ---- records */

static int interrupted(struct bs_link *l, struct bs_ctl_error *e)
{
	if (l->child > 0)
		bs_ctl_error_set(e, BS_CTL_FAILED, l->place, "see its message above",
				 "the database could not be served");
	else
		bs_ctl_error_set(e, BS_CTL_INTERRUPTED, l->place,
				 "see with bsctl whether the command took effect",
				 "the server went away in mid-command");
	return e->status;
}

/* Takes text. */
static int put_line(struct bs_link *l, char *text, size_t len, struct bs_ctl_error *e)
{
	size_t off = 0;

	if (!text) {
		bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "no memory");
		return e->status;
	}
	while (off < len) {
		ssize_t n = send(l->fd, text + off, len - off, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		/* A server that turned us away has said why; that line is still to be read. */
		if (n <= 0)
			break;
		off += (size_t)n;
	}
	free(text);
	return BS_CTL_OK;
}

/* Waits for bytes; 0 or a status. */
static int wait_readable(struct bs_link *l, struct bs_ctl_error *e)
{
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	int n;

	do {
		n = poll(&p, 1, l->timeout_ms ? (int)l->timeout_ms : -1);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return BS_CTL_OK;
	bs_ctl_error_set(e, BS_CTL_INTERRUPTED, l->place, "give a longer --timeout",
			 "no answer within %u s; the outcome is unknown", l->timeout_ms / 1000);
	return e->status;
}

static int get_record(struct bs_link *l, struct bs_ctl_record *r, struct bs_ctl_error *e)
{
	char buf[65536];
	const char *line;
	size_t len;
	ssize_t n;
	int status;

	while ((line = bs_ctl_lines_next(&l->lines, &len)) == NULL) {
		status = wait_readable(l, e);
		if (status != BS_CTL_OK)
			return status;
		n = recv(l->fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return interrupted(l, e);
		if (bs_ctl_lines_add(&l->lines, buf, (size_t)n) != BS_OK) {
			bs_ctl_error_set(e, BS_CTL_FAILED, l->place, NULL,
					 "an answer is longer than %u bytes", BS_CTL_LINE_MAX);
			return e->status;
		}
	}
	return bs_ctl_record_parse(r, line, len, e) == BS_OK ? BS_CTL_OK : e->status;
}

/* Reads records until the final one, or with stop_at_ready until "ready".  *cursor is a copy. */
static int drain(struct bs_link *l, bool stop_at_ready, bs_link_fn fn, void *arg, json_t **result,
		 char **cursor, struct bs_ctl_error *e)
{
	struct bs_ctl_record r;
	int status;

	for (;;) {
		status = get_record(l, &r, e);
		if (status != BS_CTL_OK)
			return status;
		/* A server that has no service for us answers before it knows any id. */
		if (r.id != l->id && !(r.id == 0 && r.kind == BS_CTL_FINAL)) {
			bs_ctl_record_fini(&r);
			continue;
		}
		if (r.kind == BS_CTL_FINAL)
			break;
		if (r.kind == BS_CTL_READY && stop_at_ready) {
			bs_ctl_record_fini(&r);
			return BS_CTL_OK;
		}
		if (fn && r.kind != BS_CTL_READY)
			fn(arg, r.kind, r.value);
		bs_ctl_record_fini(&r);
	}
	status = r.error.status;
	if (status != BS_CTL_OK)
		*e = r.error;
	else if (stop_at_ready)
		bs_ctl_error_set(e, status = BS_CTL_FAILED, l->place, NULL, "upload not taken");
	if (result)
		*result = r.value ? json_incref(r.value) : NULL;
	if (cursor)
		*cursor = r.cursor ? strdup(r.cursor) : NULL;
	bs_ctl_record_fini(&r);
	return status;
}

static int ask(struct bs_link *l, const char *command, json_t *args, struct bs_ctl_error *e)
{
	size_t len = 0;
	char *text = bs_ctl_make_request(++l->id, command, args, &len);

	if (text && len > BS_CTL_LINE_MAX) {
		free(text);
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, NULL, NULL, "the arguments are too long");
		return e->status;
	}
	return put_line(l, text, len, e);
}

/* Counts items, so that a list can end at a limit. */
struct counted {
	bs_link_fn fn;
	void *arg;
	uint64_t n;
	uint64_t limit;
};

static void count_item(void *arg, enum bs_ctl_kind kind, const json_t *value)
{
	struct counted *c = arg;

	if (kind == BS_CTL_ITEM && c->limit && c->n == c->limit)
		return;
	if (kind == BS_CTL_ITEM)
		c->n++;
	if (c->fn)
		c->fn(c->arg, kind, value);
}

int bs_link_call(struct bs_link *l, const char *command, json_t *args, uint64_t limit,
		 bs_link_fn fn, void *arg, json_t **result, struct bs_ctl_error *e)
{
	struct counted c = { fn, arg, 0, limit };
	json_t *page = args ? args : json_object();
	json_t *value = NULL;
	char *cursor = NULL;
	int status;

	do {
		if (cursor)
			json_object_set_new(page, "cursor", json_string(cursor));
		free(cursor);
		cursor = NULL;
		json_decref(value);
		value = NULL;
		status = ask(l, command, json_incref(page), e);
		if (status == BS_CTL_OK)
			status = drain(l, false, count_item, &c, &value, &cursor, e);
	} while (status == BS_CTL_OK && cursor && !(limit && c.n == limit));
	free(cursor);
	json_decref(page);
	if (result && status == BS_CTL_OK)
		*result = value;
	else
		json_decref(value);
	return status;
}

int bs_link_upload_begin(struct bs_link *l, const char *command, json_t *args, bs_link_fn fn,
			 void *arg, struct bs_ctl_error *e)
{
	int status = ask(l, command, args, e);

	return status == BS_CTL_OK ? drain(l, true, fn, arg, NULL, NULL, e) : status;
}

int bs_link_upload_rows(struct bs_link *l, json_t *rows, bs_link_fn fn, void *arg,
			struct bs_ctl_error *e)
{
	size_t len = 0;
	char *text = bs_ctl_make_rows(l->id, rows, &len);
	int status = put_line(l, text, len, e);

	return status == BS_CTL_OK ? drain(l, true, fn, arg, NULL, NULL, e) : status;
}

int bs_link_upload_end(struct bs_link *l, bool abort, bs_link_fn fn, void *arg, json_t **result,
		       struct bs_ctl_error *e)
{
	size_t len = 0;
	char *text = bs_ctl_make_end(l->id, abort, &len);
	int status = put_line(l, text, len, e);

	return status == BS_CTL_OK ? drain(l, false, fn, arg, result, NULL, e) : status;
}
