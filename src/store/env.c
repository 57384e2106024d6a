/* SPDX-License-Identifier: Apache-2.0 */
#include "store/env.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Less room than one commit may need: a write that failed then failed for want of it. */
#define FULL_MARGIN (UINT64_C(1) << 18)

static const char *const table_names[BS__TABLES] = {
	[BS__META] = "meta",
	[BS__DEVICE] = "device",
	[BS__NUMBER] = "number",
	[BS__TAG] = "tag",
	[BS__SEEN] = "seen",
	[BS__CLIENT] = "client",
	[BS__RULE] = "rule",
	[BS__RULE_INDEX] = "rule-index",
	[BS__REVOCATION] = "revocation",
	[BS__CA] = "ca",
	[BS__VOLUME] = "volume",
};

static const char *const file_names[] = { "data.mdb", "data.mdb-lock", "writer.lock", "use.lock" };

int bs__env_path(const char *dir, const char *file, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s/%s", dir, file);

	return n > 0 && (size_t)n < cap ? BS_OK : BS_EINVAL;
}

static const struct {
	int lmdb;
	int code;
	const char *remedy;
} lmdb_table[] = {
	{ MDB_NOTFOUND, BS_ENOENT, NULL },
	{ MDB_KEYEXIST, BS_EEXIST, NULL },
	{ MDB_MAP_FULL, BS_ENOSPC, "raise database-size in the conf and restart" },
	{ MDB_READERS_FULL, BS_EFULL, "too many programs read the database at once" },
	{ MDB_TXN_FULL, BS_ENOSPC, "split the change into smaller ones" },
	{ MDB_MAP_RESIZED, BS_EIO, "raise database-size to that of the other process" },
	{ MDB_INVALID, BS_ECORRUPT, "it is not a registry; restore a backup" },
	{ MDB_VERSION_MISMATCH, BS_ECORRUPT, "another LMDB format; restore a backup" },
	{ MDB_CORRUPTED, BS_ECORRUPT, "the file is damaged; restore a backup" },
	{ MDB_PAGE_NOTFOUND, BS_ECORRUPT, "the file is damaged; restore a backup" },
	{ MDB_PANIC, BS_EIO, "an earlier write failed; look at the disk, then restart" },
	{ MDB_BAD_TXN, BS_EIO, NULL },
};

static size_t lmdb_find(int lmdb)
{
	size_t i = 0;

	while (i < sizeof(lmdb_table) / sizeof(lmdb_table[0]) && lmdb_table[i].lmdb != lmdb)
		i++;
	return i;
}

int bs__env_code(int lmdb)
{
	size_t i = lmdb_find(lmdb);

	if (lmdb == 0)
		return BS_OK;
	if (i < sizeof(lmdb_table) / sizeof(lmdb_table[0]))
		return lmdb_table[i].code;
	/* LMDB's own codes are negative, those of the system positive. */
	return lmdb > 0 ? bs__errno_code(lmdb) : BS_EIO;
}

/* Whether the process is about to write more into the file than its limit allows. */
static bool limit_is_reached(const char *dir)
{
	char path[PATH_MAX];
	struct rlimit limit;
	struct stat st;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
	    bs__env_path(dir, "data.mdb", path, sizeof(path)) != BS_OK || stat(path, &st) < 0)
		return false;
	return (uint64_t)st.st_size + FULL_MARGIN > (uint64_t)limit.rlim_cur;
}

/* LMDB says EIO for a short write, and that is what a full disk looks like at first. */
static bool disk_is_full(const char *dir)
{
	struct statvfs v;

	if (statvfs(dir, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize < FULL_MARGIN)
		return true;
	return limit_is_reached(dir);
}

int bs__env_error(struct bs_errtext *err, const char *dir, int lmdb, const char *what)
{
	size_t i = lmdb_find(lmdb);

	if (lmdb == 0)
		return BS_OK;
	if (lmdb == EIO && disk_is_full(dir))
		lmdb = ENOSPC;
	if (lmdb > 0)
		return bs__errno_text(err, lmdb, dir, what);
	if (i < sizeof(lmdb_table) / sizeof(lmdb_table[0]) && lmdb_table[i].remedy)
		bs__errtext(err, "%s: %s: %s; %s", dir, what, mdb_strerror(lmdb),
			    lmdb_table[i].remedy);
	else
		bs__errtext(err, "%s: %s: %s", dir, what, mdb_strerror(lmdb));
	return bs__env_code(lmdb);
}

/* ---- locks */

static int lock_file(const char *dir, const char *file, int how, int *fd, struct bs_errtext *err)
{
	char path[PATH_MAX];
	int rc = bs__env_path(dir, file, path, sizeof(path));

	if (rc != BS_OK)
		return rc;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return bs__errno_text(err, errno, path, "cannot open the lock file");
	if (flock(*fd, how | LOCK_NB) == 0)
		return BS_OK;
	rc = errno == EWOULDBLOCK ? BS_EBUSY : bs__errno_text(err, errno, path, "cannot lock");
	close(*fd);
	*fd = -1;
	return rc;
}

int bs__env_lock(struct bs_registry *reg, struct bs_errtext *err)
{
	int rc = lock_file(reg->dir, "use.lock", LOCK_SH, &reg->use_lock, err);

	if (rc == BS_EBUSY)
		bs__errtext(err, "%s: a restore is under way; try again when it is done", reg->dir);
	if (rc != BS_OK || !reg->write)
		return rc;
	rc = lock_file(reg->dir, "writer.lock", LOCK_EX, &reg->writer_lock, err);
	if (rc == BS_EBUSY)
		bs__errtext(err,
			    "%s: another process has the database open for writing; "
			    "stop that basestationd or choose another database",
			    reg->dir);
	return rc;
}

int bs__env_lock_alone(struct bs_registry *reg, struct bs_errtext *err)
{
	int rc = lock_file(reg->dir, "use.lock", LOCK_EX, &reg->use_lock, err);

	if (rc == BS_EBUSY)
		bs__errtext(err, "%s: the database is in use; stop basestationd first", reg->dir);
	return rc;
}

void bs__env_unlock(struct bs_registry *reg)
{
	if (reg->writer_lock >= 0)
		close(reg->writer_lock);
	if (reg->use_lock >= 0)
		close(reg->use_lock);
	reg->writer_lock = -1;
	reg->use_lock = -1;
}

void bs__env_adopt(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;
	size_t i;

	if (geteuid() != 0 || stat(dir, &st) < 0 || st.st_uid == 0)
		return;
	for (i = 0; i < sizeof(file_names) / sizeof(file_names[0]); i++) {
		if (bs__env_path(dir, file_names[i], path, sizeof(path)) != BS_OK)
			continue;
		/* A failure shows when that user opens the file, with its path. */
		if (lchown(path, st.st_uid, st.st_gid) < 0)
			continue;
	}
}

int bs__env_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return BS_EIO;
	rc = fsync(fd) < 0 ? BS_EIO : BS_OK;
	close(fd);
	return rc;
}

/* ---- environment */

static int open_tables(struct bs_registry *reg, bool create, struct bs_errtext *err)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(reg->env, NULL, create ? 0 : MDB_RDONLY, &txn);
	size_t i;

	if (rc)
		return bs__env_error(err, reg->dir, rc, "cannot begin a transaction");
	for (i = 0; i < BS__TABLES; i++) {
		rc = mdb_dbi_open(txn, table_names[i], create ? MDB_CREATE : 0, &reg->dbi[i]);
		if (rc == MDB_NOTFOUND) {
			mdb_txn_abort(txn);
			bs__errtext(err,
				    "%s: there is no table \"%s\": it is not a registry, or "
				    "its schema is older; start basestationd once to migrate",
				    reg->dir, table_names[i]);
			return BS_ECORRUPT;
		}
		if (rc) {
			mdb_txn_abort(txn);
			return bs__env_error(err, reg->dir, rc, "cannot open a table");
		}
	}
	rc = mdb_txn_commit(txn);
	return rc ? bs__env_error(err, reg->dir, rc, "cannot create the tables") : BS_OK;
}

int bs__env_open(struct bs_registry *reg, const char *file, unsigned max_readers, bool create,
		 struct bs_errtext *err)
{
	char path[PATH_MAX];
	unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | (reg->write ? 0 : MDB_RDONLY);
	int rc = bs__env_path(reg->dir, file, path, sizeof(path));

	if (rc != BS_OK)
		return rc;
	rc = mdb_env_create(&reg->env);
	if (rc) {
		reg->env = NULL;
		return bs__env_error(err, path, rc, "cannot make an environment");
	}
	if ((rc = mdb_env_set_maxdbs(reg->env, BS__TABLES)) ||
	    (rc = mdb_env_set_mapsize(reg->env, reg->map_bytes)) ||
	    (max_readers && (rc = mdb_env_set_maxreaders(reg->env, max_readers))) ||
	    (rc = mdb_env_open(reg->env, path, flags, 0600))) {
		rc = bs__env_error(err, path, rc, "cannot open the database");
		bs__env_close(reg);
		return rc;
	}
	rc = open_tables(reg, create, err);
	if (rc != BS_OK)
		bs__env_close(reg);
	return rc;
}

void bs__env_close(struct bs_registry *reg)
{
	if (reg->env)
		mdb_env_close(reg->env);
	reg->env = NULL;
}

/* ---- access to tables */

int bs__get(const struct bs_registry *reg, MDB_txn *txn, enum bs__table t, const void *key,
	    size_t len, struct bs_slice *out)
{
	MDB_val k = { len, (void *)(uintptr_t)key };
	MDB_val v;
	int rc = mdb_get(txn, reg->dbi[t], &k, &v);

	if (rc == 0) {
		out->ptr = v.mv_data;
		out->len = v.mv_size;
	}
	return rc;
}

int bs__put(const struct bs_registry *reg, MDB_txn *txn, enum bs__table t, const void *key,
	    size_t len, const void *value, size_t value_len, unsigned flags)
{
	MDB_val k = { len, (void *)(uintptr_t)key };
	MDB_val v = { value_len, (void *)(uintptr_t)value };

	return mdb_put(txn, reg->dbi[t], &k, &v, flags);
}

int bs__del(const struct bs_registry *reg, MDB_txn *txn, enum bs__table t, const void *key,
	    size_t len)
{
	MDB_val k = { len, (void *)(uintptr_t)key };

	return mdb_del(txn, reg->dbi[t], &k, NULL);
}

uint64_t bs__env_live(const struct bs_registry *reg, MDB_txn *txn)
{
	MDB_stat st;
	uint64_t bytes = 0;
	size_t i;

	for (i = 0; i < BS__TABLES; i++) {
		if (mdb_stat(txn, reg->dbi[i], &st))
			continue;
		bytes += (uint64_t)st.ms_psize *
			 (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages);
	}
	return bytes;
}
