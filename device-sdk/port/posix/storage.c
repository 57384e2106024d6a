/* SPDX-License-Identifier: Apache-2.0 */
/* A value per file: written beside, synced, renamed. */
#include "basestation/device_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static int file_error(void)
{
	return errno == ENOSPC || errno == EDQUOT ? BS_ENOSPC : BS_EIO;
}

static bool path_of(char *path, size_t cap, const char *folder, const char *name,
		    const char *suffix)
{
	const int n = snprintf(path, cap, "%s/%s%s", folder, name, suffix);

	return n > 0 && (size_t)n < cap;
}

static bs_ssize file_get(void *ctx, const char *name, uint8_t *value, size_t cap)
{
	char path[PATH_MAX];
	ssize_t n;
	off_t len;
	int fd;

	if (!path_of(path, sizeof(path), ctx, name, ""))
		return BS_EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? BS_ENOENT : BS_EIO;
	n = read(fd, value, cap);
	len = lseek(fd, 0, SEEK_END);
	close(fd);
	return n < 0 || len < 0 || len > INT32_MAX ? BS_EIO : (bs_ssize)len;
}

static bool write_all(int fd, const uint8_t *value, size_t len)
{
	while (len > 0) {
		const ssize_t n = write(fd, value, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		value += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0;
}

static void sync_folder(const char *folder)
{
	const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

static int file_set(void *ctx, const char *name, const uint8_t *value, size_t len)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	int fd, err = BS_OK;

	if (!path_of(path, sizeof(path), ctx, name, "") ||
	    !path_of(fresh, sizeof(fresh), ctx, name, ".new"))
		return BS_EINVAL;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return file_error();
	if (!write_all(fd, value, len))
		err = file_error();
	if (close(fd) != 0 && err == BS_OK)
		err = file_error();
	if (err == BS_OK && rename(fresh, path) != 0)
		err = file_error();
	if (err != BS_OK)
		(void)unlink(fresh);
	else
		sync_folder(ctx);
	return err;
}

void bsdev_posix_storage(struct bsdev_storage *st, const char *folder)
{
	st->get = file_get;
	st->set = file_set;
	st->ctx = (void *)(uintptr_t)folder;
}
