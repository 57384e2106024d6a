/* SPDX-License-Identifier: Apache-2.0 */
#include "shim.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "basestation/types.h"

/* The interposed functions have no context to carry this in. */
static struct {
	pthread_mutex_t lock;
	bool on;
	dev_t dev;
	ino_t ino;
	struct shim_entry *v;
	size_t n;
	size_t cap;
	unsigned strange;
} shim = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void append(enum shim_kind kind, uint64_t at, const void *data, size_t len)
{
	struct shim_entry *e;

	if (shim.n == shim.cap) {
		shim.cap = shim.cap ? shim.cap * 2 : 256;
		shim.v = realloc(shim.v, shim.cap * sizeof(*shim.v));
		if (!shim.v)
			abort();
	}
	e = &shim.v[shim.n++];
	e->kind = kind;
	e->at = at;
	e->len = len;
	e->data = NULL;
	if (len) {
		e->data = malloc(len);
		if (!e->data)
			abort();
		memcpy(e->data, data, len);
	}
}

/* Whether the descriptor is the traced file; takes the lock when it is. */
static bool enter(int fd)
{
	struct stat st;

	if (!shim.on || fstat(fd, &st) < 0)
		return false;
	pthread_mutex_lock(&shim.lock);
	if (shim.on && st.st_dev == shim.dev && st.st_ino == shim.ino)
		return true;
	pthread_mutex_unlock(&shim.lock);
	return false;
}

static void leave(void)
{
	pthread_mutex_unlock(&shim.lock);
}

static void note_write(int fd, const void *data, size_t len, off_t at)
{
	int flags = fcntl(fd, F_GETFL);

	append(flags >= 0 && (flags & O_DSYNC) ? SHIM_DWRITE : SHIM_WRITE, (uint64_t)at, data, len);
}

static void note_vector(int fd, const struct iovec *iov, int n, off_t at)
{
	int i;

	/* One entry for each page: the disk may take any of them first. */
	for (i = 0; i < n; i++) {
		note_write(fd, iov[i].iov_base, iov[i].iov_len, at);
		at += (off_t)iov[i].iov_len;
	}
}

void shim_start(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		abort();
	pthread_mutex_lock(&shim.lock);
	shim.dev = st.st_dev;
	shim.ino = st.st_ino;
	shim.on = true;
	pthread_mutex_unlock(&shim.lock);
}

void shim_stop(void)
{
	pthread_mutex_lock(&shim.lock);
	shim.on = false;
	pthread_mutex_unlock(&shim.lock);
}

void shim_ack(uint64_t op)
{
	pthread_mutex_lock(&shim.lock);
	append(SHIM_ACK, op, NULL, 0);
	pthread_mutex_unlock(&shim.lock);
}

const struct shim_entry *shim_trace(size_t *n)
{
	*n = shim.n;
	return shim.v;
}

unsigned shim_strange(void)
{
	return shim.strange;
}

/* ---- what LMDB calls: exported, or the library would not find them */

BS_API ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
	if (enter(fd)) {
		note_write(fd, buf, len, at);
		leave();
	}
	return syscall(SYS_pwrite64, fd, buf, len, at);
}

BS_API ssize_t write(int fd, const void *buf, size_t len)
{
	if (enter(fd)) {
		note_write(fd, buf, len, lseek(fd, 0, SEEK_CUR));
		leave();
	}
	return syscall(SYS_write, fd, buf, len);
}

BS_API ssize_t writev(int fd, const struct iovec *iov, int n)
{
	if (enter(fd)) {
		note_vector(fd, iov, n, lseek(fd, 0, SEEK_CUR));
		leave();
	}
	return syscall(SYS_writev, fd, iov, n);
}

BS_API ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
	if (enter(fd)) {
		note_vector(fd, iov, n, at);
		leave();
	}
	return syscall(SYS_pwritev, fd, iov, n, at, 0);
}

static int sync_with(long call, int fd)
{
	int rc = (int)syscall(call, fd);

	/* After the fact: until it returns nothing is promised. */
	if (rc == 0 && enter(fd)) {
		append(SHIM_SYNC, 0, NULL, 0);
		leave();
	}
	return rc;
}

BS_API int fsync(int fd)
{
	return sync_with(SYS_fsync, fd);
}

BS_API int fdatasync(int fd)
{
	return sync_with(SYS_fdatasync, fd);
}

BS_API int ftruncate(int fd, off_t len)
{
	if (enter(fd)) {
		shim.strange++;
		leave();
	}
	return (int)syscall(SYS_ftruncate, fd, len);
}

BS_API int msync(void *addr, size_t len, int flags)
{
	if (shim.on)
		shim.strange++;
	return (int)syscall(SYS_msync, addr, len, flags);
}
