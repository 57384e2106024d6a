/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file appears under its name complete and synced, or not at all: bytes go to a file beside it,
 * which is linked (an existing name is refused) or renamed (it is replaced) at the end.
 */
#include "tools/bsctl/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int bs_file_error(struct bs_ctl_error *e, const char *path, const char *what, int err)
{
	int status = BS_CTL_FAILED;
	const char *remedy = NULL;

	if (err == ENOENT || err == ENOTDIR)
		status = BS_CTL_NOT_FOUND;
	else if (err == EACCES || err == EPERM || err == EROFS)
		status = BS_CTL_REFUSED;
	else if (err == EEXIST)
		status = BS_CTL_EXISTS;
	else if (err == ENOSPC || err == EDQUOT)
		remedy = "make room; nothing was left behind";
	if (err == EEXIST)
		remedy = "move it away or name another file";
	bs_ctl_error_set(e, status, path, remedy, "%s (%s)", what, strerror(err));
	return status;
}

/* The folder's entry has to reach the disk as well as the bytes. */
static int sync_folder(const char *path)
{
	char dir[4096];
	char *slash;
	int fd;
	int rc;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == dir)
		slash[1] = '\0';
	else if (slash)
		*slash = '\0';
	else
		snprintf(dir, sizeof(dir), ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	/* Some file systems cannot sync a folder, and say so. */
	return rc != 0 && errno != EINVAL ? -1 : 0;
}

int bs_file_begin(struct bs_file *w, const char *path, mode_t mode, bool replace,
		  struct bs_ctl_error *e)
{
	struct stat st;
	int fd;

	memset(w, 0, sizeof(*w));
	if (strlen(path) >= sizeof(w->path)) {
		bs_ctl_error_set(e, BS_CTL_USAGE, NULL, NULL, "the path is too long");
		return e->status;
	}
	snprintf(w->path, sizeof(w->path), "%s", path);
	w->replace = replace;
	if (!replace && lstat(path, &st) == 0)
		return bs_file_error(e, path, "not written", EEXIST);
	/* Made with O_EXCL under a name that nobody has. */
	snprintf(w->tmp, sizeof(w->tmp), "%s.XXXXXX", path);
	fd = mkostemp(w->tmp, O_CLOEXEC);
	if (fd < 0) {
		w->tmp[0] = '\0';
		return bs_file_error(e, path, "cannot be written", errno);
	}
	/* The mode is the one asked for, whatever the umask adds or takes. */
	w->f = fchmod(fd, mode) == 0 ? fdopen(fd, "w") : NULL;
	if (!w->f) {
		int err = errno;

		close(fd);
		unlink(w->tmp);
		w->tmp[0] = '\0';
		return bs_file_error(e, path, "cannot be written", err);
	}
	return BS_CTL_OK;
}

int bs_file_commit(struct bs_file *w, struct bs_ctl_error *e)
{
	int err = 0;

	if (fflush(w->f) != 0 || ferror(w->f) || fsync(fileno(w->f)) != 0)
		err = errno ? errno : EIO;
	if (fclose(w->f) != 0 && !err)
		err = errno;
	w->f = NULL;
	/* link() refuses an existing name, rename() replaces it. */
	if (!err && w->replace && rename(w->tmp, w->path) != 0)
		err = errno;
	if (!err && !w->replace && link(w->tmp, w->path) != 0)
		err = errno;
	if (!w->replace || err)
		unlink(w->tmp);
	w->tmp[0] = '\0';
	if (!err && sync_folder(w->path) != 0)
		err = errno;
	return err ? bs_file_error(e, w->path, "cannot be written", err) : BS_CTL_OK;
}

void bs_file_abort(struct bs_file *w)
{
	if (w->f)
		fclose(w->f);
	if (w->tmp[0])
		unlink(w->tmp);
	w->f = NULL;
	w->tmp[0] = '\0';
}

int bs_file_write(const char *path, mode_t mode, bool replace, const void *data, size_t len,
		  struct bs_ctl_error *e)
{
	struct bs_file w;
	int status = bs_file_begin(&w, path, mode, replace, e);

	if (status != BS_CTL_OK)
		return status;
	if (fwrite(data, 1, len, w.f) != len) {
		int err = errno;

		bs_file_abort(&w);
		return bs_file_error(e, path, "cannot be written", err);
	}
	return bs_file_commit(&w, e);
}

char *bs_file_read(const char *path, size_t max, size_t *len, struct bs_ctl_error *e)
{
	bool in = strcmp(path, "-") == 0;
	FILE *f = in ? stdin : fopen(path, "re");
	char *text;
	size_t n;
	int err;

	if (!f) {
		bs_file_error(e, path, "cannot be read", errno);
		return NULL;
	}
	text = malloc(max + 2);
	if (!text) {
		bs_ctl_error_set(e, BS_CTL_FAILED, path, NULL, "no memory");
		goto out;
	}
	n = fread(text, 1, max + 1, f);
	err = errno;
	if (ferror(f) || n > max) {
		free(text);
		text = NULL;
		if (n > max)
			bs_ctl_error_set(e, BS_CTL_BAD_INPUT, path, NULL, "longer than %zu bytes",
					 max);
		else
			bs_file_error(e, path, "cannot be read", err);
		goto out;
	}
	text[n] = '\0';
	*len = n;
out:
	if (!in)
		fclose(f);
	return text;
}
