/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upgrade.h - the old process's side of an upgrade in place; handover.h has the conversation.
 *
 *	bs_upgrade_begin()   starts the binary that now lies at the path of this one, hands it all
 *	                     descriptors, and returns
 *	ops->freeze()        when that is ready: from here on nobody reads the sockets
 *	ops->committed()     when it stands: now they are its own, for good
 *	ops->ended()         every time, with what came of it
 *
 * Until committed() every failure (it cannot be started, ends, says no, says nothing for too long)
 * ends the new process, thaws the workers and leaves this one as it was.  The new process is gone
 * before the workers thaw: no two ever read.
 *
 * Owner thread: main.  May call libev, log, util.  Allocates: itself.
 */
#ifndef BS_SERVER_UPGRADE_H
#define BS_SERVER_UPGRADE_H

#include <sys/types.h>

#include "basestation/error.h"
#include "basestation/types.h"

struct ev_loop;
struct bs_handover;
struct bs_upgrade;

struct bs_upgrade_ops {
	/** Add everything that is handed over.  BS_OK or an error. */
	int (*collect)(void *ctx, struct bs_handover *h);
	/** Stop reading.  BS_OK or an error; then thaw is called. */
	int (*freeze)(void *ctx);
	void (*thaw)(void *ctx);
	/** Process pid has taken over. */
	void (*committed)(void *ctx, pid_t pid);
	/** The end: BS_OK after committed(), else an error and why. */
	void (*ended)(void *ctx, int err, const char *text);
};

/** How the new process is started; strings are borrowed. */
struct bs_upgrade_options {
	struct ev_loop *loop;
	const char *program; /**< absolute path of the binary */
	const char *conf;    /**< absolute path */
	bool daemon;         /**< -d, else -f */
	const struct bs_upgrade_ops *ops;
	void *ctx;
};

/** NULL without memory. */
struct bs_upgrade *bs_upgrade_new(const struct bs_upgrade_options *o);
/** Ends an upgrade on its way, without ended().  NULL is fine. */
void bs_upgrade_free(struct bs_upgrade *u);
/** BS_OK: ended() follows, later.  Else, with one message in err: BS_EBUSY (one is on its way or
 *  done), or what failed. */
BS_MUSTCHECK int bs_upgrade_begin(struct bs_upgrade *u, char *err, size_t cap);
/** Between begin and ended. */
bool bs_upgrade_is_on(const struct bs_upgrade *u);

/** Where the running binary was started from, so that an exchange of the file is found: argv0 made
 *  absolute, or the kernel's word where argv0 is no path.  BS_OK or BS_ENOENT. */
BS_MUSTCHECK int bs_upgrade_program(const char *argv0, char *path, size_t cap);

#endif
