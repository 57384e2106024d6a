/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - one running basestation: registry, store thread, workers, control socket, main loop.
 *
 *	bs_node_open()   registry, control socket and all ports (may need root)
 *	...              the caller drops privileges
 *	bs_node_start()  store thread, workers, control socket's service
 *	bs_node_run()    the main loop, until SIGTERM, SIGINT, `bsctl stop`, or after an upgrade
 *	bs_node_free()   ends what is left, in reverse
 *
 * Owner thread: main, all calls.
 */
#ifndef BS_SERVER_NODE_H
#define BS_SERVER_NODE_H

#include <sys/types.h>

#include "conf/conf.h"
#include "server/handover.h"

struct bs_gate_ops;
struct bs_node;

/** What a process has that takes over from another: handover.h. */
struct bs_takeover {
	int sock; /**< to the old process; -1 once it has nothing more to say */
	struct bs_handover items;
};

/** Receive everything on the descriptor of --takeover-fd, which is taken.  BS_OK, or an error with
 *  one message in err; fini it in both cases. */
BS_MUSTCHECK int bs_takeover_init(struct bs_takeover *t, int sock, char *err, size_t cap);
/** Tell the old process that this one cannot go on; for what fails before a node is there. */
void bs_takeover_failed(struct bs_takeover *t, const char *text);
/** The locked pid file at this path, taken; -1 when there is none. */
int bs_takeover_pid_file(struct bs_takeover *t, const char *path);
void bs_takeover_fini(struct bs_takeover *t);

struct bs_node_options {
	const struct bs_conf *conf;     /**< referenced */
	const char *conf_path;          /**< read again at a reload; borrowed */
	unsigned conf_flags;            /**< enum bs_conf_load_flag */
	const struct bs_gate_ops *gate; /**< used when the conf has a server-certificate */
	bool daemon;                    /**< for the log's automatic target */
	bool chown;                     /**< the registry's files are to belong to uid and gid */
	uid_t uid;
	gid_t gid;
	/** Tells the service manager, see sd_notify(3); may be NULL. */
	void (*notify)(const char *state);
	const char *program; /**< path of the binary, for upgrades; NULL: none are possible */
	int pid_fd;          /**< locked pid file for the next process, -1 = none; borrowed */
	struct bs_takeover
		*takeover; /**< NULL: a start of its own; borrowed until bs_node_start() */
};

/** The log's options as a conf has them. */
struct bs_log_options bs_node_log_options(const struct bs_conf *conf, bool daemon);

/**
 * Check the certificates and random numbers, open the registry (made and migrated as needed), bind
 * the control socket and every port.  BS_OK, or a code with one message in err; "" when the log
 * has the message already.
 */
int bs_node_open(const struct bs_node_options *o, struct bs_node **out, char *err,
		 size_t cap) BS_MUSTCHECK;
/** BS_OK, or a code with one message in err; free the node then. */
int bs_node_start(struct bs_node *n, char *err, size_t cap) BS_MUSTCHECK;
/**
 * Serve.  SIGTERM, SIGINT, SIGHUP and SIGUSR2 must be blocked or default before; returns at the
 * stop.  True: another process has taken over, pid file and control socket are that one's.
 */
bool bs_node_run(struct bs_node *n);
/** Stop and free; NULL and half-made nodes are fine. */
void bs_node_free(struct bs_node *n);

#endif
