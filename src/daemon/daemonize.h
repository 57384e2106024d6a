/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daemonize.h - daemon mode: the caller's exit status is that of the start.
 *
 * The first process waits on a pipe until the daemon is ready or has failed, prints what failed and
 * exits with its status.  The daemon is the grandchild: no terminal, folder /, own session.
 */
#ifndef BS_DAEMON_DAEMONIZE_H
#define BS_DAEMON_DAEMONIZE_H

#include <sys/types.h>

#include "basestation/error.h"
#include "basestation/types.h"

/** The daemon's end of the way to its caller; fd -1 = foreground or already told. */
struct bs_daemonize {
	int fd;
};

/**
 * Split off.  Returns in the daemon only, BS_OK; the calling process ends inside.  BS_EIO with a
 * message in err when there is no pipe or no process: then nothing was split off.
 */
int bs_daemonize(struct bs_daemonize *d, char *err, size_t cap) BS_MUSTCHECK;
/** Let the caller go with this exit status; text goes to its stderr.  Once; later calls do
 *  nothing. */
void bs_daemonize_tell(struct bs_daemonize *d, int status, const char *text);
/** Point stdin, stdout and, unless the log goes there, stderr at /dev/null. */
void bs_daemonize_detach(bool keep_stderr);

/**
 * Create, lock and write the pid file.  Returns the descriptor to keep open, or BS_EBUSY (another
 * daemon holds it), BS_EPERM, BS_ENOENT, BS_ENOSPC or BS_EIO with one message in err.
 */
int bs_pid_file_take(const char *path, char *err, size_t cap) BS_MUSTCHECK;
/** Write this process's number into one that another process made; -1 is fine. */
void bs_pid_file_write(int fd);
/** Let it belong to who will have to remove it. */
void bs_pid_file_chown(int fd, uid_t uid, gid_t gid);
/** Remove (when that is allowed) and close it; -1 is fine. */
void bs_pid_file_give(int fd, const char *path);

#endif
