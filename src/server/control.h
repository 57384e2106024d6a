/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the control socket: bsctl's commands as they run in basestationd's main thread.
 *
 * One UNIX stream socket, mode 0660, group from the conf.  A peer must be root, the daemon's user
 * or a member of the socket's group by SO_PEERCRED.  Clients, lines and answers in waiting are
 * bounded; a client that does not read is closed.  Reads come from this thread's registry reader,
 * writes go to the store thread, live questions to the workers by message, so no command blocks
 * this loop for longer than one page of a list.
 *
 * Owner thread: main.  May call everything in server/ and below it.
 */
#ifndef BS_SERVER_CONTROL_H
#define BS_SERVER_CONTROL_H

#include "basestation/error.h"
#include "basestation/types.h"

struct ev_loop;
struct bs_conf;
struct bs_registry;
struct bs_server;
struct bs_store;
struct bs_store_inbox;

/** Clients at a time; the next one gets one line that says so. */
#define BS_CONTROL_CLIENTS_MAX 32u

/** Receives one key of a reload report; how is "changed" or "restart". */
typedef void (*bs_control_reload_fn)(void *arg, const char *key, const char *how);

/** The end of an upgrade: BS_OK and the new process's id, or why it failed. */
typedef void (*bs_control_upgrade_fn)(void *arg, int err, const char *text, long pid);

/** What the daemon lends to the control socket.  All borrowed until bs_control_free(). */
struct bs_control_env {
	struct ev_loop *loop;         /**< main loop */
	struct bs_registry *registry; /**< open registry; a reader of its own is made from it */
	struct bs_store *store;       /**< store thread, for its counters */
	/** The inbox that the host runs on this loop, best that of the change feed: then an answer
	 *  comes after the workers were told what it changed. */
	struct bs_store_inbox *inbox;
	struct bs_server *server; /**< NULL offline: commands that need it are refused */
	void *ctx;                /**< for the calls below */
	/** The snapshot in force; never NULL. */
	const struct bs_conf *(*conf)(void *ctx);
	/** Read the conf again as SIGHUP does and call fn per key that differs.  BS_OK or a code
	 *  with one message in err. */
	int (*reload)(void *ctx, bs_control_reload_fn fn, void *arg, char *err, size_t cap);
	/** Begin a clean stop, as SIGTERM does; returns at once. */
	void (*stop)(void *ctx);
	/** Begin an upgrade in place; fn is called once, later, when BS_OK is returned. */
	int (*upgrade)(void *ctx, bs_control_upgrade_fn fn, void *arg, char *err, size_t cap);
};

struct bs_control;

/**
 * Bind the control socket (before privileges are dropped) at the conf's path.
 *
 * A socket file that nobody answers on is stale and replaced; one that answers is BS_EBUSY.
 *
 * Returns the listening descriptor (>= 0), or a code with one message in err.
 */
int bs_control_bind(const struct bs_conf *conf, char *err, size_t cap) BS_MUSTCHECK;

/**
 * Start to serve.
 *
 * @env  copied; what it points to is borrowed
 * @fd   listening socket from bs_control_bind(), taken in every case; -1 for none
 * @peer connected socket of one trusted client (offline mode), taken; -1 for none
 * @out  set on success
 *
 * Returns BS_OK, BS_ENOMEM, or what bs_registry_reader_init() says.
 */
int bs_control_new(const struct bs_control_env *env, int fd, int peer,
		   struct bs_control **out) BS_MUSTCHECK;
/**
 * Begin no command until bs_control_release(): another process reads what commands change.  own is
 * the number of commands that may be under way, those that ask for this.  BS_OK or BS_EBUSY.
 */
BS_MUSTCHECK int bs_control_hold(struct bs_control *c, unsigned own);
void bs_control_release(struct bs_control *c);
/** The listening socket is another process's now: no new clients, and its file stays. */
void bs_control_leave(struct bs_control *c);
/** The listening socket, -1 without one. */
int bs_control_fd(const struct bs_control *c);

/**
 * Close every client and remove the socket file.  NULL is fine.
 *
 * Call it when no answer can come any more: after bs_server_stop(), bs_store_stop() and a last
 * bs_store_inbox_run(), so that commands under way are still answered.
 */
void bs_control_free(struct bs_control *c);

/**
 * Offline mode, `basestationd --control-fd N`: bsctl starts the daemon so where none runs.
 *
 * Opens the registry under its lock, serves the one client behind fd on a loop of its own until it
 * closes, then returns.  So the commands on a database exist once.
 *
 * Returns BS_OK or a code with one message in err (bsctl prints it).
 */
int bs_control_run_offline(const struct bs_conf *conf, int fd, char *err, size_t cap) BS_MUSTCHECK;

#endif
