/* SPDX-License-Identifier: Apache-2.0 */
/*
 * privileges.h - what the process gives up, and when.
 */
#ifndef BS_DAEMON_PRIVILEGES_H
#define BS_DAEMON_PRIVILEGES_H

#include <sys/types.h>

#include "conf/conf.h"

/** Whom to become. */
struct bs_identity {
	bool change; /**< false: not root, stay who we are */
	uid_t uid;
	gid_t gid;
	char user[64];
};

/** Look the conf's user and group up.  BS_OK, BS_ENOENT or BS_EIO with one message in err. */
int bs_privileges_find(const struct bs_conf *conf, struct bs_identity *id, char *err,
		       size_t cap) BS_MUSTCHECK;

/**
 * No core dumps, no ptrace by others (memory holds keys) and no new privileges; before any key is
 * read and before any thread is made, since the last is a matter of each thread.
 */
int bs_privileges_harden(char *err, size_t cap) BS_MUSTCHECK;

/** The other end of hardening, once no key is in memory any more: leak checkers look in at exit. */
void bs_privileges_soften(void);

/**
 * Become id for good and prove it: groups, gid, uid, no way back.  BS_OK, or
 * BS_EPERM with one message in err: the process must end.
 */
int bs_privileges_drop(const struct bs_identity *id, char *err, size_t cap) BS_MUSTCHECK;

#endif
