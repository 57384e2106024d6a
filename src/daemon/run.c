/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a start: conf, rights looked up, background, pid file; then what may need root
 * (keys, registry, sockets); the log; rights given up; store thread and workers; ready.
 */
#include "daemon/run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basestation/version.h"
#include "daemon/daemonize.h"
#include "daemon/notify.h"
#include "daemon/privileges.h"
#include "server/control.h"
#include "server/gate.h"
#include "server/node.h"
#include "server/trial.h"
#include "server/upgrade.h"

#define ERR_MAX 640

/* A start on its way. */
struct start {
	const struct bs_daemon_options *o;
	const struct bs_conf *conf;
	struct bs_identity identity;
	struct bs_daemonize daemonize;
	struct bs_node *node;
	int pid_fd;
	struct bs_takeover takeover; /* used where --takeover-fd was given */
	char program[4096];          /* "" = not known */
	char conf_path[4096];
	char err[ERR_MAX];
};

static void on_notify(const char *state)
{
	if (bs_notify(state) != BS_OK)
		bs_log_warning("systemd, did not take the word \"%.16s\" ($NOTIFY_SOCKET)", state);
}

/* Another process goes on until this one is ready, and has what this one needs. */
static bool takes_over(const struct start *s)
{
	return s->o->takeover_fd >= 0;
}

/* Absolute, for reloads happen in another folder. */
static void set_conf_path(struct start *s)
{
	const char *path = s->o->conf;
	char cwd[3072];

	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) != NULL)
		snprintf(s->conf_path, sizeof(s->conf_path), "%s/%.1000s", cwd, path);
	else
		snprintf(s->conf_path, sizeof(s->conf_path), "%s", path);
}

static int load_conf(struct start *s)
{
	struct bs_conf_error e;
	int code = bs_conf_load(s->o->conf, BS_CONF_CHECK_MODE, &s->conf, &e);

	if (code != BS_OK)
		snprintf(s->err, sizeof(s->err), "%s", e.text);
	return code;
}

static void block_signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	/* a peer that closes its end is an error code, not a signal */
	(void)sigaction(SIGPIPE, &ignore, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR2);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static int open_node(struct start *s)
{
	struct bs_node_options no = {
		.conf = s->conf,
		.conf_path = s->conf_path,
		.conf_flags = BS_CONF_CHECK_MODE,
		.gate = bs_gate_ops(),
		.daemon = s->o->daemon,
		.chown = s->identity.change,
		.uid = s->identity.uid,
		.gid = s->identity.gid,
		.notify = on_notify,
		.program = s->program[0] != '\0' ? s->program : NULL,
		.pid_fd = s->pid_fd,
		.takeover = takes_over(s) ? &s->takeover : NULL,
	};

	return bs_node_open(&no, &s->node, s->err, sizeof(s->err));
}

static int open_log(struct start *s)
{
	struct bs_log_options lo = bs_node_log_options(s->conf, s->o->daemon);
	int code = bs_log_open(&lo);

	if (code != BS_OK)
		snprintf(s->err, sizeof(s->err), "log, cannot be opened (%s)", bs_strerror(code));
	return code;
}

static int take_pid_file(struct start *s)
{
	int fd;

	if (!s->o->daemon)
		return BS_OK;
	if (takes_over(s)) {
		/* locked as it is; the number in it changes when this process has taken over */
		s->pid_fd = bs_takeover_pid_file(&s->takeover, s->conf->pid_file);
		return BS_OK;
	}
	fd = bs_pid_file_take(s->conf->pid_file, s->err, sizeof(s->err));
	if (fd < 0)
		return fd;
	s->pid_fd = fd;
	if (s->identity.change)
		bs_pid_file_chown(fd, s->identity.uid, s->identity.gid);
	return BS_OK;
}

static int start(struct start *s)
{
	int code = bs_privileges_harden(s->err, sizeof(s->err));

	if (code == BS_OK)
		code = bs_privileges_find(s->conf, &s->identity, s->err, sizeof(s->err));
	if (code == BS_OK && s->o->daemon && !takes_over(s))
		code = bs_daemonize(&s->daemonize, s->err, sizeof(s->err));
	if (code == BS_OK)
		code = take_pid_file(s);
	if (code == BS_OK)
		code = open_node(s);
	if (code == BS_OK)
		code = open_log(s);
	if (code == BS_OK)
		code = bs_privileges_drop(&s->identity, s->err, sizeof(s->err));
	if (code == BS_OK)
		code = bs_node_start(s->node, s->err, sizeof(s->err));
	return code;
}

/* One message, where it is read: the caller of daemon mode, else stderr. */
static void report(struct start *s, int code)
{
	if (takes_over(s))
		bs_takeover_failed(&s->takeover, s->err);
	if (s->daemonize.fd >= 0)
		bs_daemonize_tell(&s->daemonize, (int)bs_daemon_exit_code(code), s->err);
	else if (s->err[0] != '\0')
		fprintf(stderr, "basestationd: %s\n", s->err);
}

/* handed_over: what other processes find us by belongs to another one. */
static void fini(struct start *s, bool handed_over)
{
	bs_node_free(s->node);
	bs_log_close();
	if (handed_over && s->pid_fd >= 0)
		close(s->pid_fd);
	else
		bs_pid_file_give(s->pid_fd, s->conf->pid_file);
	bs_conf_unref(s->conf);
	bs_takeover_fini(&s->takeover);
	bs_privileges_soften();
}

static enum bs_exit serve(struct start *s)
{
	bool handed_over;
	int code;

	block_signals();
	if (bs_upgrade_program(s->o->program, s->program, sizeof(s->program)) != BS_OK)
		s->program[0] = '\0';
	code = start(s);
	if (code != BS_OK) {
		report(s, code);
		/* the old process has it all still */
		fini(s, takes_over(s));
		return bs_daemon_exit_code(code);
	}
	if (takes_over(s)) {
		bs_pid_file_write(s->pid_fd);
		/* with it go the keys that came along */
		bs_takeover_fini(&s->takeover);
	}
	if (s->o->daemon && !takes_over(s)) {
		bs_daemonize_tell(&s->daemonize, BS_EXIT_OK, "");
		bs_daemonize_detach(s->conf->log_target == BS_LOG_TO_STDERR);
	}
	handed_over = bs_node_run(s->node);
	fini(s, handed_over);
	return BS_EXIT_OK;
}

static void print_finding(void *arg, enum bs_log_level level, const char *text)
{
	const struct start *s = arg;

	fprintf(stderr, "%s: %s: %s\n", s->o->conf, bs_log_level_name(level), text);
}

static enum bs_exit check(struct start *s)
{
	int code = bs_privileges_find(s->conf, &s->identity, s->err, sizeof(s->err));
	int trial;

	if (code != BS_OK)
		print_finding(s, BS_LOG_ERROR, s->err);
	trial = bs_trial(s->conf, print_finding, s);
	if (code == BS_OK)
		code = trial;
	if (code == BS_OK)
		printf("%s: fine\n", s->o->conf);
	return bs_daemon_exit_code(code);
}

static enum bs_exit print_conf(struct start *s)
{
	char *json;
	int code;

	if (!s->o->json) {
		code = bs_conf_print(s->conf, stdout);
	} else {
		json = bs_conf_print_json(s->conf);
		code = json == NULL                            ? BS_ENOMEM
		       : puts(json) < 0 || fflush(stdout) != 0 ? BS_EIO
							       : BS_OK;
		free(json);
	}
	if (code != BS_OK)
		fprintf(stderr, "basestationd: output: %s\n", bs_strerror(code));
	return bs_daemon_exit_code(code);
}

static enum bs_exit offline(struct start *s)
{
	int code;

	block_signals();
	code = bs_privileges_harden(s->err, sizeof(s->err));
	if (code == BS_OK)
		code = bs_control_run_offline(s->conf, s->o->control_fd, s->err, sizeof(s->err));
	bs_privileges_soften();
	if (code != BS_OK)
		fprintf(stderr, "basestationd: %s\n", s->err);
	return bs_daemon_exit_code(code);
}

static enum bs_exit with_conf(const struct bs_daemon_options *o)
{
	struct start s = {
		.o = o, .daemonize = { .fd = -1 }, .pid_fd = -1, .takeover = { .sock = -1 }
	};
	enum bs_exit status;
	int code = BS_OK;

	set_conf_path(&s);
	if (takes_over(&s))
		code = bs_takeover_init(&s.takeover, o->takeover_fd, s.err, sizeof(s.err));
	if (code == BS_OK)
		code = load_conf(&s);
	if (code != BS_OK) {
		bs_takeover_failed(&s.takeover, s.err);
		bs_takeover_fini(&s.takeover);
		fprintf(stderr, "basestationd: %s\n", s.err);
		return bs_daemon_exit_code(code);
	}
	if (o->action == BS_DAEMON_SERVE)
		return serve(&s); /* frees the conf before the log closes */
	if (o->action == BS_DAEMON_CHECK)
		status = check(&s);
	else if (o->action == BS_DAEMON_PRINT)
		status = print_conf(&s);
	else
		status = offline(&s);
	bs_conf_unref(s.conf);
	return status;
}

enum bs_exit bs_daemon_run(const struct bs_daemon_options *o)
{
	switch (o->action) {
	case BS_DAEMON_VERSION: puts("basestationd " BS_VERSION); return BS_EXIT_OK;
	case BS_DAEMON_HELP: bs_daemon_options_help(stdout); return BS_EXIT_OK;
	case BS_DAEMON_DUMP_SCHEMA:
		return bs_daemon_exit_code(bs_conf_print_schema(o->schema, stdout));
	default: return with_conf(o);
	}
}
