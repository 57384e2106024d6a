/* SPDX-License-Identifier: Apache-2.0 */
#include "secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int secret_file_complain(const char *path, const char *what)
{
	(void)fprintf(stderr, "bsconnect: %s: %s\n", path, what);
	return BS_EIO;
}

bs_ssize secret_file_load(const char *path, const char *advice, void *buf, size_t cap)
{
	struct stat st;
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? BS_ENOENT
			       : secret_file_complain(path, strerror(errno));
	if (fstat(fd, &st) == 0)
		n = read(fd, buf, cap);
	(void)close(fd);
	if (n < 0)
		return secret_file_complain(path, "cannot be read");
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return secret_file_complain(path, advice);
	return (bs_ssize)n;
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd) == 0;
}

int secret_file_save(const char *path, const void *data, size_t len)
{
	char fresh[PATH_MAX];
	bool ok;
	int fd;

	if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
		return secret_file_complain(path, "is too long");
	/* Never readable by others, not even for a moment. */
	(void)unlink(fresh);
	fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return secret_file_complain(fresh, strerror(errno));
	ok = write_all(fd, data, len);
	ok = close(fd) == 0 && ok;
	if (!ok || rename(fresh, path) != 0) {
		int e = errno;

		(void)unlink(fresh);
		return secret_file_complain(path, strerror(e));
	}
	return BS_OK;
}
