/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log/log.h"
#include "store/schema.h"

/* What a restore adds to the epochs and counters, beyond the highest seen: whatever was handed out
 * after the backup was made must not come again. */
#define RESTORE_STEP (UINT64_C(1) << 20)
#define RESTORE_FILE "data.mdb.restore"

/* ---- backup */

/* Give the finished copy its name, never over another file. */
static int publish(const char *tmp, const char *path, struct bs_errtext *err)
{
	struct stat st;

	if (link(tmp, path) == 0) {
		unlink(tmp);
		return BS_OK;
	}
	if (errno == EEXIST || lstat(path, &st) == 0)
		return bs__errno_text(err, EEXIST, path, "cannot write the backup");
	/* A file system without hard links. */
	if (rename(tmp, path) < 0)
		return bs__errno_text(err, errno, path, "cannot write the backup");
	return BS_OK;
}

static int sync_parent(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int n = snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1,
			 slash ? path : ".");

	return n > 0 && (size_t)n < sizeof(dir) ? bs__env_sync_dir(dir) : BS_EIO;
}

int bs_registry_backup(struct bs_registry *reg, const char *path, struct bs_errtext *err)
{
	char tmp[PATH_MAX];
	struct stat st;
	int fd;
	int rc;

	if (lstat(path, &st) == 0)
		return bs__errno_text(err, EEXIST, path, "cannot write the backup");
	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= sizeof(tmp))
		return BS_EINVAL;
	/* Made 0600. */
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return bs__errno_text(err, errno, path, "cannot write the backup");
	rc = mdb_env_copyfd2(reg->env, fd, MDB_CP_COMPACT);
	if (rc == 0 && fsync(fd) < 0)
		rc = errno;
	if (close(fd) < 0 && rc == 0)
		rc = errno;
	if (rc) {
		rc = bs__env_error(err, path, rc, "cannot write the backup");
	} else {
		rc = publish(tmp, path, err);
		if (rc == BS_OK && sync_parent(path) != BS_OK)
			rc = bs__errno_text(err, EIO, path, "cannot sync the folder of the backup");
	}
	if (rc != BS_OK)
		unlink(tmp);
	return rc;
}

/* ---- restore */

static int copy_bytes(int from, int to)
{
	static const size_t cap = 65536;
	char *buf = malloc(cap);
	ssize_t n;

	if (!buf)
		return ENOMEM;
	while ((n = read(from, buf, cap)) > 0) {
		ssize_t done = 0;

		while (done < n) {
			ssize_t w = write(to, buf + done, (size_t)(n - done));

			if (w < 0)
				goto bad;
			done += w;
		}
	}
	if (n == 0 && fsync(to) == 0) {
		free(buf);
		return 0;
	}
bad:
	free(buf);
	return errno ? errno : EIO;
}

static int copy_in(const char *path, const char *to, struct bs_errtext *err)
{
	int in = open(path, O_RDONLY | O_CLOEXEC);
	int out;
	int rc;

	if (in < 0)
		return bs__errno_text(err, errno, path, "cannot open the backup");
	unlink(to);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0) {
		rc = bs__errno_text(err, errno, to, "cannot copy the backup");
	} else {
		rc = copy_bytes(in, out);
		if (rc)
			rc = bs__errno_text(err, rc, to, "cannot copy the backup");
		close(out);
	}
	close(in);
	return rc;
}

/* What must not go back. */
static const char *const rising[] = { "epoch-access", "epoch-crl", "epoch-change",
				      "next-number",  "next-rule", "boot" };
#define RISING (sizeof(rising) / sizeof(rising[0]))

static void read_numbers(const struct bs_registry_conf *conf, uint64_t *out)
{
	struct bs_registry_conf c = *conf;
	struct bs_registry *reg;
	MDB_txn *txn;
	size_t i;

	c.write = false;
	if (bs__registry_open_file(&c, "data.mdb", &reg, NULL) != BS_OK)
		return;
	if (mdb_txn_begin(reg->env, NULL, MDB_RDONLY, &txn) == 0) {
		for (i = 0; i < RISING; i++) {
			if (bs__meta_get(reg, txn, rising[i], &out[i]) != BS_OK)
				out[i] = 0;
		}
		mdb_txn_abort(txn);
	}
	bs_registry_close(reg);
}

/*
 * The numbers of the registry that is replaced; zero when it cannot be read.  In a process of its
 * own: a restore is wanted just when that file is damaged, perhaps so badly that reading crashes.
 */
static void old_numbers(const struct bs_registry_conf *conf, uint64_t *out)
{
	const size_t len = RISING * sizeof(*out);
	ssize_t n = -1;
	int p[2];
	pid_t pid;

	memset(out, 0, len);
	if (pipe(p) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		/* LMDB says on stderr what it stumbles over. */
		if (freopen("/dev/null", "w", stderr))
			read_numbers(conf, out);
		n = write(p[1], out, len);
		_exit(n == (ssize_t)len ? 0 : 1);
	}
	close(p[1]);
	if (pid > 0) {
		/* Less than PIPE_BUF: it comes in one piece or not at all. */
		do
			n = read(p[0], out, len);
		while (n < 0 && errno == EINTR);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	close(p[0]);
	if (n != (ssize_t)len)
		memset(out, 0, len);
}

static int raise_numbers(const struct bs_registry *reg, const uint64_t *old)
{
	MDB_txn *txn;
	uint64_t v;
	size_t i;
	int rc = bs__env_code(mdb_txn_begin(reg->env, NULL, 0, &txn));

	if (rc != BS_OK)
		return rc;
	for (i = 0; i < RISING && rc == BS_OK; i++) {
		rc = bs__meta_get(reg, txn, rising[i], &v);
		if (rc != BS_OK)
			break;
		v = v > old[i] ? v : old[i];
		rc = bs__env_code(bs__meta_put(reg, txn, rising[i], v + RESTORE_STEP));
	}
	if (rc != BS_OK) {
		mdb_txn_abort(txn);
		return rc;
	}
	return bs__env_code(mdb_txn_commit(txn));
}

/* Check the copy, bring it to today's schema and raise its numbers. */
static int prepare(const struct bs_registry_conf *conf, const char *path, struct bs_errtext *err)
{
	struct bs_registry_conf c = *conf;
	struct bs_check_report report;
	struct bs_registry *reg;
	uint64_t old[RISING];
	int rc;

	c.write = true;
	rc = bs__registry_open_file(&c, RESTORE_FILE, &reg, err);
	if (rc != BS_OK)
		return rc;
	rc = bs_registry_check(reg, NULL, NULL, &report);
	if (rc == BS_OK && report.problems) {
		bs__errtext(err, "%s: the backup has %llu problems; nothing was replaced", path,
			    (unsigned long long)report.problems);
		rc = BS_ECORRUPT;
	}
	if (rc == BS_OK) {
		old_numbers(conf, old);
		rc = raise_numbers(reg, old);
		if (rc != BS_OK)
			bs__errtext(err, "%s: cannot prepare the copy (%s)", path, bs_strerror(rc));
	}
	bs_registry_close(reg);
	return rc;
}

/* The old file keeps a second name, then the new one takes its place in one step. */
static int swap_in(const char *dir, const char *fresh, struct bs_errtext *err)
{
	char data[PATH_MAX];
	char old[PATH_MAX];
	char lock[PATH_MAX];

	if (bs__env_path(dir, "data.mdb", data, sizeof(data)) != BS_OK ||
	    bs__env_path(dir, "data.mdb.old", old, sizeof(old)) != BS_OK ||
	    bs__env_path(dir, "data.mdb-lock", lock, sizeof(lock)) != BS_OK)
		return BS_EINVAL;
	unlink(old);
	if (link(data, old) < 0 && errno != ENOENT)
		return bs__errno_text(err, errno, old, "cannot keep the old database");
	unlink(lock);
	if (rename(fresh, data) < 0)
		return bs__errno_text(err, errno, data, "cannot replace the database");
	bs__env_adopt(dir);
	if (bs__env_sync_dir(dir) != BS_OK)
		return bs__errno_text(err, EIO, dir, "cannot sync the folder");
	return BS_OK;
}

int bs_registry_restore(const struct bs_registry_conf *conf, const char *path,
			struct bs_errtext *err)
{
	struct bs_registry locks = { .use_lock = -1, .writer_lock = -1 };
	struct bs_check_report report;
	char fresh[PATH_MAX];
	char lock[PATH_MAX];
	int rc;

	if ((size_t)snprintf(locks.dir, sizeof(locks.dir), "%s", conf->dir) >= sizeof(locks.dir) ||
	    bs__env_path(conf->dir, RESTORE_FILE, fresh, sizeof(fresh)) != BS_OK ||
	    bs__env_path(conf->dir, RESTORE_FILE "-lock", lock, sizeof(lock)) != BS_OK)
		return BS_EINVAL;
	if (mkdir(conf->dir, 0700) < 0 && errno != EEXIST)
		return bs__errno_text(err, errno, conf->dir, "cannot make the folder");
	rc = bs__env_lock_alone(&locks, err);
	if (rc != BS_OK)
		return rc;
	rc = copy_in(path, fresh, err);
	/* First where a crash does no harm: a damaged file may send LMDB astray. */
	if (rc == BS_OK)
		rc = bs_registry_verify(conf, RESTORE_FILE, NULL, NULL, &report, err);
	if (rc == BS_OK && report.problems) {
		bs__errtext(err, "%s: the backup has %llu problems; nothing was replaced", path,
			    (unsigned long long)report.problems);
		rc = BS_ECORRUPT;
	}
	if (rc == BS_OK)
		rc = prepare(conf, path, err);
	if (rc == BS_OK)
		rc = swap_in(conf->dir, fresh, err);
	unlink(lock);
	if (rc != BS_OK)
		unlink(fresh);
	bs__env_unlock(&locks);
	return rc;
}
