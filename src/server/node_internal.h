/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_internal.h - what the files of a node share.
 *
 *   node.c           opening, reload, main loop, end
 *   node_upgrade.c   both sides of an upgrade in place
 *
 * Private to server/.  Owner: main.
 */
#ifndef BS_SERVER_NODE_INTERNAL_H
#define BS_SERVER_NODE_INTERNAL_H

#include <ev.h>

#include "server/control.h"
#include "server/limits.h"
#include "server/node.h"
#include "server/server.h"
#include "store/registry.h"
#include "store/writer.h"

enum bs_node_watched {
	BS_WATCH_DEVICES,
	BS_WATCH_CLIENTS,
	BS_WATCH_CONNECTIONS,
	BS_WATCH_PENDING,
	BS_WATCH_N,
};

struct bs_node {
	const struct bs_conf *conf;    /* in force */
	const struct bs_conf *started; /* what restart keys are compared with */
	char *conf_path;
	unsigned conf_flags;
	bool daemon;
	void (*notify)(const char *state);
	struct ev_loop *loop;
	ev_signal term;
	ev_signal interrupt;
	ev_signal hangup;
	ev_io server_io;
	ev_io store_io;
	ev_timer tick;
	unsigned ticks;
	struct bs_registry *registry;
	struct bs_store *store;
	struct bs_store_inbox *inbox;
	struct bs_server *server;
	struct bs_control *control;
	int control_fd; /* bound and not yet taken by control; else -1 */
	bool running;
	/* node_upgrade.c */
	ev_signal upgrade_signal;
	struct bs_upgrade *upgrade;   /* NULL without a path to the binary */
	struct bs_takeover *takeover; /* borrowed; NULL: this process began by itself */
	int pid_fd;
	bool handed_over;
	bs_time leave_at;                 /* handed over: when at the latest */
	bs_control_upgrade_fn upgrade_fn; /* who waits for the end of an upgrade; NULL = nobody */
	void *upgrade_arg;
	long upgrade_pid; /* who took over */
	struct bs_limits_watch watch[BS_WATCH_N];
	struct bs_limits_clock clock;
};

/** For systemd. */
void bs__node_notify(const struct bs_node *n, const char *state);
bs_time bs__node_monotonic(void);

/** Prepare for upgrades; BS_OK or BS_ENOMEM. */
BS_MUSTCHECK int bs__node_upgrade_init(struct bs_node *n, const struct bs_node_options *o);
void bs__node_upgrade_fini(struct bs_node *n);
void bs__node_upgrade_signals(struct bs_node *n, bool on);
/** bs_control_env.upgrade */
int bs__node_upgrade(void *ctx, bs_control_upgrade_fn fn, void *arg, char *err, size_t cap);
/** After handing over: whether nothing is left to wait for. */
bool bs__node_has_left(const struct bs_node *n);

/** The new side: open the registry beside the old process.  locks has room for both. */
void bs__takeover_registry(struct bs_takeover *t, int locks[static BS_REGISTRY_LOCKS],
			   struct bs_registry_conf *rc);
/** The control socket, or an error with err filled. */
BS_MUSTCHECK int bs__takeover_control(struct bs_takeover *t, const struct bs_conf *conf, char *err,
				      size_t cap);
/** Wait for the word to open sockets.  BS_OK, or an error with err filled. */
BS_MUSTCHECK int bs__takeover_ready(struct bs_takeover *t, char *err, size_t cap);
/** All is there: wait for the word to begin.  BS_OK, or an error with err filled. */
BS_MUSTCHECK int bs__takeover_prepared(struct bs_takeover *t, char *err, size_t cap);
/** After that: wait until the old process has told the service manager whose word counts now. */
void bs__takeover_part(struct bs_takeover *t);

#endif
