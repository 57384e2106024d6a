/* SPDX-License-Identifier: Apache-2.0 */
#include "server/node.h"

#include <dirent.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "server/first_run.h"
#include "server/handover.h"
#include "server/node_internal.h"
#include "server/trial.h"
#include "server/upgrade.h"

/* Between two looks at the server's open questions. */
#define TICK_S 0.1
/* Ticks between two looks at the limits. */
#define WATCH_TICKS 10

/* Keys of one reload report. */
#define CHANGES_MAX 128

struct bs_log_options bs_node_log_options(const struct bs_conf *conf, bool daemon)
{
	return (struct bs_log_options){
		.level = conf->log_level,
		.format = conf->log_format,
		.target = conf->log_target,
		.daemon = daemon,
	};
}

void bs__node_notify(const struct bs_node *n, const char *state)
{
	if (n->notify != NULL)
		n->notify(state);
}

bs_time bs__node_monotonic(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (bs_time)ts.tv_sec * UINT64_C(1000000000) + (bs_time)ts.tv_nsec;
}

static uint64_t unix_ms(void)
{
	struct timespec ts = { 0, 0 };

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

/* ---- opening */

/* The first error of a trial becomes the message; what comes besides is logged. */
struct first_error {
	char *err;
	size_t cap;
};

static void on_finding(void *arg, enum bs_log_level level, const char *text)
{
	struct first_error *f = arg;

	if (level == BS_LOG_ERROR && f->err[0] == '\0')
		snprintf(f->err, f->cap, "%s", text);
	else
		bs_log_write(level, "%s", text);
}

/* LMDB's files were made by root; the process goes on as somebody else, and so do bsctl's offline
 * commands. */
static int chown_registry(const struct bs_node_options *o, char *err, size_t cap)
{
	const char *path = o->conf->database;
	int code = BS_OK;
	struct dirent *e;
	DIR *d = opendir(path);

	if (d == NULL || fchown(dirfd(d), o->uid, o->gid) != 0)
		code = BS_EPERM;
	while (code == BS_OK && (e = readdir(d)) != NULL) {
		struct stat st;

		/* the registry's own files only: never along a link, never a folder */
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_nlink == 1 &&
		    fchownat(dirfd(d), e->d_name, o->uid, o->gid, AT_SYMLINK_NOFOLLOW) != 0)
			code = BS_EPERM;
	}
	if (code != BS_OK)
		snprintf(err, cap,
			 "database, %s cannot be given to user id %u; run: chown -R %u %s", path,
			 (unsigned)o->uid, (unsigned)o->uid, path);
	if (d != NULL)
		closedir(d);
	return code;
}

static int open_registry(struct bs_node *n, const struct bs_node_options *o, char *err, size_t cap)
{
	struct bs_registry_conf rc = {
		.dir = o->conf->database,
		.map_bytes = o->conf->database_size,
		.key_file = o->conf->key_file,
		.write = true,
		.prefault = true,
	};
	struct bs_errtext text = { "" };
	int locks[BS_REGISTRY_LOCKS];
	int code = bs_first_run(o->conf, err, cap);

	if (code != BS_OK)
		return code;
	if (o->takeover)
		bs__takeover_registry(o->takeover, locks, &rc);
	code = bs_registry_open(&rc, &n->registry, &text);
	if (code != BS_OK) {
		snprintf(err, cap, "database, %s",
			 text.text[0] != '\0' ? text.text : bs_strerror(code));
		return code;
	}
	return o->chown ? chown_registry(o, err, cap) : BS_OK;
}

static int open_sockets(struct bs_node *n, const struct bs_node_options *o, char *err, size_t cap)
{
	struct bs_server_options so = {
		.conf = n->conf,
		.registry = n->registry,
		.gate = n->conf->server_certificate != NULL ? o->gate : NULL,
		.chown = o->chown,
		.uid = o->uid,
		.gid = o->gid,
		.inherited = n->takeover ? &n->takeover->items : NULL,
		.frozen = n->takeover != NULL,
	};
	int fd = n->takeover ? bs__takeover_control(n->takeover, n->conf, err, cap)
			     : bs_control_bind(n->conf, err, cap);

	if (fd < 0)
		return fd;
	n->control_fd = fd;
	fd = bs_server_bind(&so, &n->server, err, cap);
	/* the log has it already, and one message is enough; but for who waits for this process */
	if (fd != BS_OK && !n->takeover)
		err[0] = '\0';
	return fd;
}

int bs_node_open(const struct bs_node_options *o, struct bs_node **out, char *err, size_t cap)
{
	struct first_error first = { err, cap };
	struct bs_limits_facts facts;
	struct bs_node *n = calloc(1, sizeof(*n));
	int code = BS_ENOMEM;

	err[0] = '\0';
	if (n == NULL)
		goto out;
	n->control_fd = -1;
	n->conf = bs_conf_ref(o->conf);
	n->started = bs_conf_ref(o->conf);
	n->conf_path = strdup(o->conf_path);
	n->conf_flags = o->conf_flags;
	n->daemon = o->daemon;
	n->notify = o->notify;
	n->takeover = o->takeover;
	n->pid_fd = o->pid_fd;
	n->loop = ev_loop_new(EVFLAG_AUTO);
	if (n->conf_path == NULL || n->loop == NULL)
		goto out;
	bs_limits_facts_read("", &facts);
	bs_limits_raise_descriptors(n->conf, &facts);
	code = bs_trial_random(on_finding, &first);
	if (code == BS_OK)
		code = bs_trial_certificates(n->conf, (uint64_t)time(NULL), on_finding, &first);
	if (code == BS_OK)
		code = open_registry(n, o, err, cap);
	if (code == BS_OK)
		code = bs__node_upgrade_init(n, o);
	if (code == BS_OK && n->takeover)
		code = bs__takeover_ready(n->takeover, err, cap);
	if (code == BS_OK)
		code = open_sockets(n, o, err, cap);
	if (code == BS_OK) {
		*out = n;
		return BS_OK;
	}
	bs_node_free(n);
	return code;
out:
	snprintf(err, cap, "start, no memory");
	bs_node_free(n);
	return code;
}

/* ---- reload */

static void report_change(const char *key, bool live, bs_control_reload_fn fn, void *arg)
{
	bs_log_notice("conf, %s %s", key, live ? "changed now" : "waits for a restart");
	if (fn != NULL)
		fn(arg, key, live ? "changed" : "restart");
}

static void report_changes(struct bs_node *n, const struct bs_conf *next, bs_control_reload_fn fn,
			   void *arg)
{
	struct bs_conf_change ch[CHANGES_MAX];
	size_t k = bs_conf_diff(n->conf, next, ch, CHANGES_MAX);

	for (size_t i = 0; i < k && i < CHANGES_MAX; i++) {
		if (ch[i].live)
			report_change(ch[i].key, true, fn, arg);
	}
	/* against the start: a key that waits goes on waiting at the next reload */
	k = bs_conf_diff(n->started, next, ch, CHANGES_MAX);
	for (size_t i = 0; i < k && i < CHANGES_MAX; i++) {
		if (!ch[i].live)
			report_change(ch[i].key, false, fn, arg);
	}
}

static int reload(struct bs_node *n, bs_control_reload_fn fn, void *arg, char *err, size_t cap)
{
	struct first_error first = { err, cap };
	const struct bs_conf *next = NULL;
	struct bs_log_options lo;
	struct bs_conf_error e;
	int code;

	err[0] = '\0';
	code = bs_conf_load(n->conf_path, n->conf_flags, &next, &e);
	if (code != BS_OK) {
		snprintf(err, cap, "%s", e.text);
		return code;
	}
	code = bs_trial_certificates(next, unix_ms() / 1000u, on_finding, &first);
	if (code == BS_OK)
		code = bs_server_reload(n->server, next);
	if (code != BS_OK) {
		if (err[0] == '\0')
			snprintf(err, cap, "reload, %s", bs_strerror(code));
		bs_conf_unref(next);
		return code;
	}
	lo = bs_node_log_options(next, n->daemon);
	bs_log_reopen(&lo);
	report_changes(n, next, fn, arg);
	bs_conf_unref(n->conf);
	n->conf = next;
	return BS_OK;
}

static int reload_and_notify(void *ctx, bs_control_reload_fn fn, void *arg, char *err, size_t cap)
{
	struct bs_node *n = ctx;
	char state[64];
	int code;

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 (uint64_t)(bs__node_monotonic() / 1000u));
	bs__node_notify(n, state);
	code = reload(n, fn, arg, err, cap);
	if (code == BS_OK)
		bs_log_notice("conf, reloaded (%s)", n->conf_path);
	else
		bs_log_error("conf, not reloaded, the old one stays in force (%s)", err);
	bs__node_notify(n, "READY=1");
	return code;
}

/* ---- the main loop */

static const struct bs_conf *control_conf(void *ctx)
{
	return ((struct bs_node *)ctx)->conf;
}

static void control_stop(void *ctx)
{
	struct bs_node *n = ctx;

	bs_log_notice("server, stops (control socket)");
	ev_break(n->loop, EVBREAK_ALL);
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)revents;
	bs_log_notice("server, stops (%s)", w->signum == SIGTERM ? "SIGTERM" : "SIGINT");
	ev_break(loop, EVBREAK_ALL);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int revents)
{
	char err[BS_CONF_ERROR_MAX];

	(void)loop;
	(void)revents;
	(void)!reload_and_notify(w->data, NULL, NULL, err, sizeof(err));
}

static void on_server(struct ev_loop *loop, ev_io *w, int revents)
{
	struct bs_node *n = w->data;

	(void)loop;
	(void)revents;
	bs_server_process(n->server);
}

static void on_store(struct ev_loop *loop, ev_io *w, int revents)
{
	struct bs_node *n = w->data;

	(void)loop;
	(void)revents;
	(void)bs_store_inbox_run(n->inbox);
}

static void on_change(void *arg, const struct bs_store_change *change)
{
	struct bs_node *n = arg;

	bs_server_change(n->server, change);
}

static void watch_one(struct bs_node *n, enum bs_node_watched i, const char *key, uint64_t used,
		      uint64_t limit)
{
	if (bs_limits_watch_due(&n->watch[i], used, limit))
		bs_log_notice("limits, %s comes near (%" PRIu64 " of %" PRIu64 " in use)", key,
			      used, limit);
}

static void watch_limits(struct bs_node *n)
{
	uint64_t c[BS_COUNTER_N];
	struct bs_server_info info;

	bs_server_counters(n->server, c);
	bs_server_info(n->server, &info);
	watch_one(n, BS_WATCH_DEVICES, "max-devices", c[BS_C_devices_attached],
		  n->started->max_devices);
	watch_one(n, BS_WATCH_CLIENTS, "max-clients", c[BS_C_gate_sessions],
		  n->started->max_clients);
	watch_one(n, BS_WATCH_CONNECTIONS, "max-connections", c[BS_C_connections_live],
		  n->started->max_connections);
	watch_one(n, BS_WATCH_PENDING, "pending-entries", c[BS_C_pending_entries],
		  (uint64_t)n->started->pending_entries * info.n_workers);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct bs_node *n = w->data;
	bs_time now = bs__node_monotonic();
	int64_t jump;

	(void)revents;
	bs_server_tick(n->server, now);
	if (n->handed_over) {
		if (bs__node_has_left(n))
			ev_break(loop, EVBREAK_ALL);
		return;
	}
	jump = bs_limits_clock_jump(&n->clock, now, unix_ms());
	if (jump != 0)
		bs_log_notice("clock, jumped by %" PRId64 " s (keepalives and timeouts do not "
			      "depend on it, certificates do)",
			      jump / 1000);
	if (++n->ticks % WATCH_TICKS == 0)
		watch_limits(n);
}

static int start_control(struct bs_node *n)
{
	struct bs_control_env env = {
		.loop = n->loop,
		.registry = n->registry,
		.store = n->store,
		.inbox = n->inbox,
		.server = n->server,
		.ctx = n,
		.conf = control_conf,
		.reload = reload_and_notify,
		.stop = control_stop,
		.upgrade = bs__node_upgrade,
	};
	int fd = n->control_fd;

	n->control_fd = -1; /* taken in every case */
	return bs_control_new(&env, fd, -1, &n->control);
}

static void start_watchers(struct bs_node *n)
{
	ev_io_init(&n->server_io, on_server, bs_server_fd(n->server), EV_READ);
	ev_io_init(&n->store_io, on_store, bs_store_inbox_fd(n->inbox), EV_READ);
	/* From here on a jump is noticed. */
	(void)bs_limits_clock_jump(&n->clock, bs__node_monotonic(), unix_ms());
	ev_timer_init(&n->tick, on_tick, TICK_S, TICK_S);
	n->server_io.data = n;
	n->store_io.data = n;
	n->tick.data = n;
	ev_io_start(n->loop, &n->server_io);
	ev_io_start(n->loop, &n->store_io);
	ev_timer_start(n->loop, &n->tick);
}

static void start_signals(struct bs_node *n)
{
	sigset_t set;

	ev_signal_init(&n->term, on_stop, SIGTERM);
	ev_signal_init(&n->interrupt, on_stop, SIGINT);
	ev_signal_init(&n->hangup, on_hangup, SIGHUP);
	n->hangup.data = n;
	ev_signal_start(n->loop, &n->term);
	ev_signal_start(n->loop, &n->interrupt);
	ev_signal_start(n->loop, &n->hangup);
	/* blocked until the other threads had inherited that */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void log_limits(void *arg, enum bs_log_level level, const char *text)
{
	(void)arg;
	bs_log_write(level == BS_LOG_ERROR ? BS_LOG_WARNING : level, "limits, %s", text);
}

int bs_node_start(struct bs_node *n, char *err, size_t cap)
{
	struct bs_limits_facts facts;
	int code;

	bs_limits_facts_read("", &facts);
	(void)bs_limits_check(n->conf, &facts, log_limits, NULL);
	code = bs_store_start(n->registry, on_change, n, &n->store, &n->inbox);
	if (code == BS_OK)
		code = bs_server_run(n->server, n->inbox);
	if (code == BS_OK)
		code = start_control(n);
	if (code != BS_OK) {
		snprintf(err, cap, "start, %s", bs_strerror(code));
		return code;
	}
	n->running = true;
	start_watchers(n);
	if (n->takeover) {
		/* a worker that cannot stand still cannot serve either */
		code = bs_server_freeze(n->server);
		if (code == BS_OK)
			code = bs__takeover_prepared(n->takeover, err, cap);
		else
			snprintf(err, cap, "start, workers do not run");
		if (code != BS_OK) {
			bs_control_leave(n->control);
			return code;
		}
		bs_server_commit(n->server);
		bs_server_thaw(n->server);
		/* the workers serve; only what main has to say must come later */
		bs__takeover_part(n->takeover);
	}
	return BS_OK;
}

static void log_ready(const struct bs_node *n)
{
	struct bs_server_info info;

	bs_server_info(n->server, &info);
	bs_log_pairs(BS_LOG_NOTICE,
		     BS_LOG_PAIRS(BS_LOG_U64("workers", info.n_workers),
				  BS_LOG_U64("controller_port", info.controller_port),
				  BS_LOG_U64("attach_port", info.attach_port),
				  BS_LOG_U64("client_port", info.client_port),
				  BS_LOG_U64("gateway_port", info.gateway_port)),
		     "server, ready%s",
		     n->conf->server_certificate == NULL
			     ? " without a client gate (no server-certificate in the conf)"
			     : "");
}

bool bs_node_run(struct bs_node *n)
{
	start_signals(n);
	bs__node_upgrade_signals(n, true);
	log_ready(n);
	bs__node_notify(n, "READY=1");
	ev_run(n->loop, 0);
	/* after handing over it is not the service that stops */
	if (!n->handed_over)
		bs__node_notify(n, "STOPPING=1");
	bs__node_upgrade_signals(n, false);
	ev_signal_stop(n->loop, &n->term);
	ev_signal_stop(n->loop, &n->interrupt);
	ev_signal_stop(n->loop, &n->hangup);
	return n->handed_over;
}

static void stop_watchers(struct bs_node *n)
{
	ev_io_stop(n->loop, &n->server_io);
	ev_io_stop(n->loop, &n->store_io);
	ev_timer_stop(n->loop, &n->tick);
}

void bs_node_free(struct bs_node *n)
{
	if (n == NULL)
		return;
	if (n->running)
		stop_watchers(n);
	/* a new process on its way ends before this one stops to serve */
	bs__node_upgrade_fini(n);
	if (n->server != NULL)
		bs_server_stop(n->server);
	bs_store_stop(n->store);
	/* answers of the last commit, so that commands under way are answered before they go */
	if (n->inbox != NULL)
		(void)bs_store_inbox_run(n->inbox);
	bs_control_free(n->control);
	if (n->control_fd >= 0) {
		close(n->control_fd);
		/* that of the process which goes on instead stays */
		if (!n->takeover)
			(void)unlink(n->conf->control_socket);
	}
	bs_server_free(n->server);
	bs_store_inbox_free(n->inbox);
	bs_store_free(n->store);
	bs_registry_close(n->registry);
	if (n->loop != NULL)
		ev_loop_destroy(n->loop);
	free(n->conf_path);
	bs_conf_unref(n->conf);
	bs_conf_unref(n->started);
	free(n);
}
