/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What travels through the pipe. */
struct word {
	int status;
	char text[512];
};

/* In the first process: the daemon's word, or its silence. */
static _Noreturn void wait_for_word(int fd)
{
	struct word w;
	size_t n = 0;

	while (n < sizeof(w)) {
		ssize_t got = read(fd, (char *)&w + n, sizeof(w) - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	if (n < sizeof(w)) {
		fputs("basestationd: the daemon ended before it was ready; see its log\n", stderr);
		_exit(EXIT_FAILURE);
	}
	w.text[sizeof(w.text) - 1] = '\0';
	if (w.text[0] != '\0')
		fprintf(stderr, "basestationd: %s\n", w.text);
	_exit(w.status);
}

int bs_daemonize(struct bs_daemonize *d, char *err, size_t cap)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) != 0) {
		snprintf(err, cap, "daemon mode: no pipe: %s", strerror(errno));
		return BS_EIO;
	}
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		snprintf(err, cap, "daemon mode: no process: %s", strerror(errno));
		close(p[0]);
		close(p[1]);
		return BS_EIO;
	}
	if (pid > 0) {
		close(p[1]);
		wait_for_word(p[0]);
	}
	close(p[0]);
	d->fd = p[1];
	/* the second fork gives up the lead of the session, so no terminal can come back */
	if (setsid() < 0 || (pid = fork()) < 0) {
		snprintf(err, cap, "daemon mode: no session: %s", strerror(errno));
		bs_daemonize_tell(d, EXIT_FAILURE, err);
		_exit(EXIT_FAILURE);
	}
	if (pid > 0)
		_exit(EXIT_SUCCESS);
	if (chdir("/") != 0) {
		snprintf(err, cap, "daemon mode: no folder /: %s", strerror(errno));
		bs_daemonize_tell(d, EXIT_FAILURE, err);
		_exit(EXIT_FAILURE);
	}
	return BS_OK;
}

void bs_daemonize_tell(struct bs_daemonize *d, int status, const char *text)
{
	struct word w;

	if (d->fd < 0)
		return;
	memset(&w, 0, sizeof(w));
	w.status = status;
	snprintf(w.text, sizeof(w.text), "%s", text);
	/* smaller than PIPE_BUF: it goes whole or not at all; a caller that is gone is no error */
	while (write(d->fd, &w, sizeof(w)) < 0 && errno == EINTR)
		continue;
	close(d->fd);
	d->fd = -1;
}

void bs_daemonize_detach(bool keep_stderr)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	for (int i = STDIN_FILENO; i <= (keep_stderr ? STDOUT_FILENO : STDERR_FILENO); i++)
		(void)dup2(fd, i);
	if (fd > STDERR_FILENO)
		close(fd);
}

static int open_failed(const char *path, char *err, size_t cap)
{
	int e = errno;

	snprintf(err, cap, "%s: %s%s", path, strerror(e),
		 e == ENOENT                 ? "; make its folder or set pid-file in the conf"
		 : e == EACCES || e == EROFS ? "; set pid-file in the conf to a folder that can be "
					       "written"
					     : "");
	switch (e) {
	case ENOENT:
	case ENOTDIR: return BS_ENOENT;
	case EACCES:
	case EPERM:
	case EROFS: return BS_EPERM;
	case ENOSPC:
	case EDQUOT: return BS_ENOSPC;
	default: return BS_EIO;
	}
}

/* 0, or -1 with errno set. */
static int write_number(int fd)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	(void)!ftruncate(fd, 0);
	/* a short write sets no errno of its own */
	errno = ENOSPC;
	return pwrite(fd, text, (size_t)n, 0) == n ? 0 : -1;
}

int bs_pid_file_take(const char *path, char *err, size_t cap)
{
	char text[24];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return open_failed(path, err, cap);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

		text[got > 0 ? got : 0] = '\0';
		text[strspn(text, "0123456789")] = '\0';
		snprintf(err, cap, "%s: a daemon runs already (process %s); stop it first", path,
			 text[0] != '\0' ? text : "unknown");
		close(fd);
		return BS_EBUSY;
	}
	if (write_number(fd) != 0) {
		int code = open_failed(path, err, cap);

		close(fd);
		return code;
	}
	return fd;
}

void bs_pid_file_write(int fd)
{
	/* it was written before, by another process: where that fails now it is empty, not wrong */
	if (fd >= 0)
		(void)!write_number(fd);
}

void bs_pid_file_chown(int fd, uid_t uid, gid_t gid)
{
	/* without it the file stays behind at the end, unlocked and harmless */
	if (fd >= 0)
		(void)!fchown(fd, uid, gid);
}

void bs_pid_file_give(int fd, const char *path)
{
	if (fd < 0)
		return;
	/* emptied, for the folder may be root's and the file then stays */
	(void)!ftruncate(fd, 0);
	(void)unlink(path);
	close(fd);
}
