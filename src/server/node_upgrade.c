/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides of an upgrade in place: what this process hands over, and how it takes over from
 * another.  The conversation is in handover.h, the old side's steps in upgrade.h.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "log/log.h"
#include "server/node_internal.h"
#include "server/upgrade.h"

/* The old process is quick or dead: it waits for us, not we for it. */
#define WORD_WAIT_MS 30000
#define PART_WAIT_MS 1000
/* After the last session, so that the answer to who asked for the upgrade leaves too. */
#define LEAVE_AFTER BS_TIME_MS(500)

/* ---- the old side */

static int add(struct bs_handover *h, uint8_t what, uint8_t role, int fd, const char *path)
{
	struct bs_handover_item it = { .what = what, .role = role, .index = role, .fd = fd };
	size_t len = path ? strlen(path) : 0;

	if (fd < 0)
		return BS_OK;
	if (len > sizeof(it.data))
		return BS_ETOOBIG;
	if (len > 0)
		memcpy(it.data, path, len);
	it.len = (uint16_t)len;
	return bs_handover_add(h, &it);
}

static int collect_registry(const struct bs_node *n, struct bs_handover *h)
{
	struct bs_handover_item it = { .what = BS_HANDOVER_MASTER_KEY, .fd = -1, .len = 32 };
	int locks[BS_REGISTRY_LOCKS];
	int rc = BS_OK;
	uint8_t i;

	bs_registry_collect(n->registry, locks, it.data);
	for (i = 0; i < BS_REGISTRY_LOCKS && rc == BS_OK; i++)
		rc = add(h, BS_HANDOVER_LOCK, i, locks[i], NULL);
	if (rc == BS_OK)
		rc = bs_handover_add(h, &it);
	bs_wipe(it.data, sizeof(it.data));
	return rc;
}

static int collect(void *ctx, struct bs_handover *h)
{
	const struct bs_node *n = ctx;
	int rc = bs_server_collect(n->server, h);

	if (rc == BS_OK)
		rc = collect_registry(n, h);
	if (rc == BS_OK)
		rc = add(h, BS_HANDOVER_CONTROL, 0, bs_control_fd(n->control),
			 n->started->control_socket);
	if (rc == BS_OK)
		rc = add(h, BS_HANDOVER_PID_FILE, 0, n->pid_fd, n->started->pid_file);
	return rc;
}

static int freeze(void *ctx)
{
	return bs_server_freeze(((struct bs_node *)ctx)->server);
}

static void thaw(void *ctx)
{
	bs_server_thaw(((struct bs_node *)ctx)->server);
}

static void committed(void *ctx, pid_t pid)
{
	struct bs_node *n = ctx;
	char state[64];

	/* while this process still is the one whose word counts */
	snprintf(state, sizeof(state), "MAINPID=%ld", (long)pid);
	bs__node_notify(n, state);
	n->handed_over = true;
	n->upgrade_pid = (long)pid;
	n->leave_at = bs__node_monotonic() + n->conf->drain_time + 2 * LEAVE_AFTER;
	bs_control_leave(n->control);
	bs_server_retire(n->server);
}

static void ended(void *ctx, int err, const char *text)
{
	struct bs_node *n = ctx;
	bs_control_upgrade_fn fn = n->upgrade_fn;

	n->upgrade_fn = NULL;
	if (err != BS_OK) {
		bs_control_release(n->control);
	}
	if (fn)
		fn(n->upgrade_arg, err, text, n->upgrade_pid);
}

static int begin(struct bs_node *n, unsigned own, char *err, size_t cap)
{
	int rc;

	if (!n->upgrade) {
		snprintf(err, cap, "upgrade, the path of this program is not known; restart");
		return BS_ENOENT;
	}
	if (bs_upgrade_is_on(n->upgrade) || n->handed_over) {
		snprintf(err, cap, "upgrade, one is on its way already");
		return BS_EBUSY;
	}
	if (bs_control_hold(n->control, own) != BS_OK) {
		snprintf(err, cap, "upgrade, another command is under way; try again after it");
		return BS_EBUSY;
	}
	rc = bs_upgrade_begin(n->upgrade, err, cap);
	if (rc != BS_OK)
		bs_control_release(n->control);
	return rc;
}

int bs__node_upgrade(void *ctx, bs_control_upgrade_fn fn, void *arg, char *err, size_t cap)
{
	struct bs_node *n = ctx;
	int rc = begin(n, 1, err, cap);

	if (rc == BS_OK) {
		n->upgrade_fn = fn;
		n->upgrade_arg = arg;
	}
	return rc;
}

static void on_upgrade(struct ev_loop *loop, ev_signal *w, int revents)
{
	char err[BS_HANDOVER_DATA_MAX] = "";

	(void)loop;
	(void)revents;
	if (begin(w->data, 0, err, sizeof(err)) != BS_OK)
		bs_log_error("%s", err);
}

void bs__node_upgrade_signals(struct bs_node *n, bool on)
{
	sigset_t set;

	if (!on) {
		ev_signal_stop(n->loop, &n->upgrade_signal);
		return;
	}
	ev_signal_init(&n->upgrade_signal, on_upgrade, SIGUSR2);
	n->upgrade_signal.data = n;
	ev_signal_start(n->loop, &n->upgrade_signal);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

bool bs__node_has_left(const struct bs_node *n)
{
	bs_time now = bs__node_monotonic();
	bs_time earliest = n->leave_at - n->conf->drain_time - LEAVE_AFTER;

	if (BS_TIME_DIFF(now, n->leave_at) >= 0)
		return true;
	return BS_TIME_DIFF(now, earliest) >= 0 && bs_server_streams(n->server) == 0;
}

int bs__node_upgrade_init(struct bs_node *n, const struct bs_node_options *o)
{
	static const struct bs_upgrade_ops ops = {
		.collect = collect,
		.freeze = freeze,
		.thaw = thaw,
		.committed = committed,
		.ended = ended,
	};
	const struct bs_upgrade_options uo = {
		.loop = n->loop,
		.program = o->program,
		.conf = n->conf_path,
		.daemon = o->daemon,
		.ops = &ops,
		.ctx = n,
	};

	if (!o->program)
		return BS_OK;
	n->upgrade = bs_upgrade_new(&uo);
	return n->upgrade ? BS_OK : BS_ENOMEM;
}

void bs__node_upgrade_fini(struct bs_node *n)
{
	bs_upgrade_free(n->upgrade);
	n->upgrade = NULL;
}

/* ---- the new side */

int bs_takeover_init(struct bs_takeover *t, int sock, char *err, size_t cap)
{
	int rc;

	memset(t, 0, sizeof(*t));
	t->sock = sock;
	rc = bs_handover_receive(sock, WORD_WAIT_MS, &t->items);
	if (rc == BS_OK)
		return BS_OK;
	snprintf(err, cap, "takeover, the old process was not understood (%s); restart instead",
		 bs_strerror(rc));
	bs_takeover_failed(t, err);
	return rc;
}

void bs_takeover_failed(struct bs_takeover *t, const char *text)
{
	if (t->sock < 0)
		return;
	/* a process that is gone needs no word */
	if (bs_handover_say(t->sock, BS_HANDOVER_FAILED, text) != BS_OK)
		bs_log_debug("takeover, nobody hears why it failed");
	close(t->sock);
	t->sock = -1;
}

void bs_takeover_fini(struct bs_takeover *t)
{
	if (t->sock >= 0)
		close(t->sock);
	t->sock = -1;
	bs_handover_fini(&t->items);
}

int bs_takeover_pid_file(struct bs_takeover *t, const char *path)
{
	const struct bs_handover_item *it = bs_handover_find(&t->items, BS_HANDOVER_PID_FILE, 0, 0);

	if (!it || it->len != strlen(path) || memcmp(it->data, path, it->len) != 0)
		return -1;
	return bs_handover_take(&t->items, BS_HANDOVER_PID_FILE, 0, 0);
}

void bs__takeover_registry(struct bs_takeover *t, int locks[static BS_REGISTRY_LOCKS],
			   struct bs_registry_conf *rc)
{
	const struct bs_handover_item *key =
		bs_handover_find(&t->items, BS_HANDOVER_MASTER_KEY, 0, 0);
	uint16_t i;

	for (i = 0; i < BS_REGISTRY_LOCKS; i++) {
		locks[i] = bs_handover_take(&t->items, BS_HANDOVER_LOCK, 0, i);
		if (locks[i] < 0)
			locks[i] = -1;
	}
	rc->locks = locks;
	if (key && key->len == 32)
		rc->master_key = key->data;
}

int bs__takeover_control(struct bs_takeover *t, const struct bs_conf *conf, char *err, size_t cap)
{
	const struct bs_handover_item *it = bs_handover_find(&t->items, BS_HANDOVER_CONTROL, 0, 0);

	if (it && it->len == strlen(conf->control_socket) &&
	    memcmp(it->data, conf->control_socket, it->len) == 0)
		return bs_handover_take(&t->items, BS_HANDOVER_CONTROL, 0, 0);
	snprintf(err, cap, "control-socket, an upgrade cannot change it; restart instead");
	return BS_ECONF;
}

/* Say where we are, and wait until the other side says go on. */
static int step(struct bs_takeover *t, enum bs_handover_word mine, enum bs_handover_word theirs,
		char *err, size_t cap)
{
	char text[BS_HANDOVER_DATA_MAX + 1];
	int rc = bs_handover_say(t->sock, mine, NULL);

	if (rc == BS_OK)
		rc = bs_handover_hear(t->sock, WORD_WAIT_MS, text, sizeof(text));
	if (rc == (int)theirs)
		return BS_OK;
	snprintf(err, cap, "takeover, the old process has ended or changed its mind (%s)",
		 rc < 0 ? bs_strerror(rc) : "another word");
	return rc < 0 ? rc : BS_EPROTO;
}

int bs__takeover_ready(struct bs_takeover *t, char *err, size_t cap)
{
	return step(t, BS_HANDOVER_READY, BS_HANDOVER_GO, err, cap);
}

int bs__takeover_prepared(struct bs_takeover *t, char *err, size_t cap)
{
	const struct bs_handover_item *left = bs_handover_left(&t->items);

	/* what lies in a socket that nobody reads would be lost */
	if (left) {
		snprintf(err, cap,
			 "takeover, an upgrade cannot change listen, ports, server-certificate or "
			 "pid-file (item %u of worker %u is left); restart instead",
			 left->what, left->worker);
		return BS_ECONF;
	}
	return step(t, BS_HANDOVER_PREPARED, BS_HANDOVER_COMMIT, err, cap);
}

void bs__takeover_part(struct bs_takeover *t)
{
	char text[BS_HANDOVER_DATA_MAX + 1];

	/* Nothing comes any more but the end, and when it does not, all the same. */
	(void)!bs_handover_hear(t->sock, PART_WAIT_MS, text, sizeof(text));
	close(t->sock);
	t->sock = -1;
}
