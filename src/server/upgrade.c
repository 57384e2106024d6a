/* SPDX-License-Identifier: Apache-2.0 */
#include "server/upgrade.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log/log.h"
#include "server/handover.h"

/* The new process's end of the pair of sockets. */
#define CHILD_FD 3
/* It reads conf, keys and the whole registry before it is ready; nobody waits meanwhile. */
#define READY_S 60.0
/* Nothing is read meanwhile: what the sockets' buffers hold has to last for so long. */
#define PREPARED_S 10.0
#define TEXT_MAX   BS_HANDOVER_DATA_MAX

enum state {
	IDLE = 0,
	STARTING, /* until it is ready */
	FROZEN,   /* until it is prepared */
	DONE,
};

struct bs_upgrade {
	struct bs_upgrade_options o;
	enum state state;
	pid_t pid;
	int sock;
	ev_io io;
	ev_timer timer;
};

extern char **environ;

bool bs_upgrade_is_on(const struct bs_upgrade *u)
{
	return u->state == STARTING || u->state == FROZEN;
}

static void close_socket(struct bs_upgrade *u)
{
	ev_io_stop(u->o.loop, &u->io);
	ev_timer_stop(u->o.loop, &u->timer);
	if (u->sock >= 0)
		close(u->sock);
	u->sock = -1;
}

/* End the new process, and wait until it has ended: it must not read what we are about to read. */
static void end_process(struct bs_upgrade *u)
{
	if (u->pid <= 0)
		return;
	(void)kill(u->pid, SIGKILL);
	while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR)
		;
	u->pid = 0;
}

static void give_up(struct bs_upgrade *u, int err, const char *text)
{
	bool frozen = u->state == FROZEN;

	close_socket(u);
	end_process(u);
	u->state = IDLE;
	if (frozen)
		u->o.ops->thaw(u->o.ctx);
	bs_log_error("upgrade, failed, this process goes on (%s)", text);
	u->o.ops->ended(u->o.ctx, err, text);
}

static void on_ready(struct bs_upgrade *u)
{
	int rc;

	/* whatever happens from here on ends with a thaw or a commit */
	u->state = FROZEN;
	rc = u->o.ops->freeze(u->o.ctx);
	if (rc == BS_OK)
		rc = bs_handover_say(u->sock, BS_HANDOVER_GO, NULL);
	if (rc != BS_OK) {
		give_up(u, rc, "the workers did not come to rest, or the new process is gone");
		return;
	}
	ev_timer_stop(u->o.loop, &u->timer);
	ev_timer_set(&u->timer, PREPARED_S, 0.0);
	ev_timer_start(u->o.loop, &u->timer);
}

static void on_prepared(struct bs_upgrade *u)
{
	pid_t pid = u->pid;

	if (bs_handover_say(u->sock, BS_HANDOVER_COMMIT, NULL) != BS_OK) {
		give_up(u, BS_ECLOSED, "the new process ended at the last moment");
		return;
	}
	u->state = DONE;
	bs_log_notice("upgrade, process %ld has taken over", (long)pid);
	u->o.ops->committed(u->o.ctx, pid);
	/* The new process waits for this with its word to the service manager, which believes it
	 * only after ours. */
	close_socket(u);
	u->o.ops->ended(u->o.ctx, BS_OK, "");
}

static void on_word(struct ev_loop *loop, ev_io *io, int revents)
{
	struct bs_upgrade *u = io->data;
	char text[TEXT_MAX + 1] = "";
	int word = bs_handover_hear(u->sock, 0, text, sizeof(text));

	(void)loop;
	(void)revents;
	if (word == BS_ETIMEDOUT)
		return;
	if (word == BS_HANDOVER_READY && u->state == STARTING)
		on_ready(u);
	else if (word == BS_HANDOVER_PREPARED && u->state == FROZEN)
		on_prepared(u);
	else if (word == BS_HANDOVER_FAILED)
		give_up(u, BS_ECONF, text[0] ? text : "the new process cannot start; see the log");
	else if (word == BS_EVERSION)
		give_up(u, BS_EVERSION, "the new program hands over in another way; restart");
	else if (word == BS_ECLOSED)
		give_up(u, BS_ECLOSED,
			"the new process ended before it was ready; see the log or run it with -t");
	else
		give_up(u, BS_EPROTO, "the new program says what this one does not understand");
}

static void on_late(struct ev_loop *loop, ev_timer *t, int revents)
{
	struct bs_upgrade *u = t->data;

	(void)loop;
	(void)revents;
	give_up(u, BS_ETIMEDOUT,
		u->state == FROZEN ? "the new process did not take over within 10 s"
				   : "the new process was not ready within 60 s");
}

struct bs_upgrade *bs_upgrade_new(const struct bs_upgrade_options *o)
{
	struct bs_upgrade *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->o = *o;
	u->sock = -1;
	ev_init(&u->io, on_word);
	ev_init(&u->timer, on_late);
	u->io.data = u;
	u->timer.data = u;
	return u;
}

void bs_upgrade_free(struct bs_upgrade *u)
{
	if (!u)
		return;
	close_socket(u);
	if (u->state != DONE)
		end_process(u);
	free(u);
}

/* Not fork(): the tables of a large process would have to be copied for nothing. */
static int spawn(struct bs_upgrade *u, int child)
{
	char fd[12];
	const char *argv[] = { u->o.program, u->o.daemon ? "-d" : "-f", "-c",
			       u->o.conf,    "--takeover-fd",           fd,
			       NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none;
	int e;

	snprintf(fd, sizeof(fd), "%d", CHILD_FD);
	sigemptyset(&none);
	e = posix_spawn_file_actions_init(&fa);
	if (e != 0)
		return e;
	e = posix_spawnattr_init(&at);
	if (e == 0) {
		/* all others are close-on-exec */
		e = posix_spawn_file_actions_adddup2(&fa, child, CHILD_FD);
		if (e == 0)
			e = posix_spawnattr_setsigmask(&at, &none);
		if (e == 0)
			e = posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK);
		if (e == 0)
			e = posix_spawn(&u->pid, u->o.program, &fa, &at,
					(char *const *)(uintptr_t)argv, environ);
		(void)posix_spawnattr_destroy(&at);
	}
	(void)posix_spawn_file_actions_destroy(&fa);
	return e;
}

static int start(struct bs_upgrade *u, const struct bs_handover *h, char *err, size_t cap)
{
	int pair[2];
	int e;
	int rc = bs_handover_pair(pair);

	if (rc != BS_OK) {
		snprintf(err, cap, "upgrade, no descriptors left");
		return rc;
	}
	e = spawn(u, pair[1]);
	close(pair[1]);
	u->sock = pair[0];
	if (e != 0) {
		snprintf(err, cap, "upgrade, %s cannot be started: %s", u->o.program, strerror(e));
		u->pid = 0;
		return e == EACCES ? BS_EPERM : e == ENOENT ? BS_ENOENT : BS_EIO;
	}
	rc = bs_handover_send(u->sock, h);
	if (rc != BS_OK)
		snprintf(err, cap,
			 "upgrade, %s ended before it was ready, or is another program; see the "
			 "log",
			 u->o.program);
	return rc;
}

int bs_upgrade_begin(struct bs_upgrade *u, char *err, size_t cap)
{
	struct bs_handover h = { .n = 0 };
	int rc;

	if (u->state != IDLE) {
		snprintf(err, cap, "upgrade, one is on its way already");
		return BS_EBUSY;
	}
	rc = u->o.ops->collect(u->o.ctx, &h);
	if (rc != BS_OK)
		snprintf(err, cap, "upgrade, %s", bs_strerror(rc));
	else
		rc = start(u, &h, err, cap);
	bs_handover_fini(&h);
	if (rc != BS_OK) {
		close_socket(u);
		end_process(u);
		return rc;
	}
	u->state = STARTING;
	bs_log_notice("upgrade, %s started as process %ld", u->o.program, (long)u->pid);
	ev_io_set(&u->io, u->sock, EV_READ);
	ev_io_start(u->o.loop, &u->io);
	ev_timer_set(&u->timer, READY_S, 0.0);
	ev_timer_start(u->o.loop, &u->timer);
	return BS_OK;
}

int bs_upgrade_program(const char *argv0, char *path, size_t cap)
{
	char cwd[2048];
	ssize_t n;
	int len;

	if (argv0[0] == '/') {
		len = snprintf(path, cap, "%s", argv0);
		return len > 0 && (size_t)len < cap ? BS_OK : BS_ENOENT;
	}
	/* not through links: the next version is often behind the same one */
	if (strchr(argv0, '/') && getcwd(cwd, sizeof(cwd))) {
		len = snprintf(path, cap, "%s/%s", cwd, argv0);
		return len > 0 && (size_t)len < cap ? BS_OK : BS_ENOENT;
	}
	n = readlink("/proc/self/exe", path, cap);
	if (n <= 0 || (size_t)n >= cap)
		return BS_ENOENT;
	path[n] = '\0';
	return BS_OK;
}
