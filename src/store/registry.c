/* SPDX-License-Identifier: Apache-2.0 */
#include "store/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/openssl.h"
#include "log/log.h"
#include "store/schema.h"

#define MIB UINT64_C(1048576)

/* A sixteenth of the map, at least 256 KiB, stays free for deletions and revocations. */
static void set_sizes(struct bs_registry *reg, uint64_t map_bytes)
{
	uint64_t reserve;

	reg->map_bytes = (map_bytes + MIB - 1) / MIB * MIB;
	reserve = reg->map_bytes / 16;
	if (reserve < MIB / 4)
		reserve = MIB / 4;
	reg->limit_bytes = reg->map_bytes - reserve;
}

static int make_folder(const char *dir, struct bs_errtext *err)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return bs__errno_text(err, errno, dir, "cannot make the folder of the database");
	if (stat(dir, &st) < 0)
		return bs__errno_text(err, errno, dir, "cannot look at the folder of the database");
	if (!S_ISDIR(st.st_mode)) {
		bs__errtext(err, "%s: the database needs a folder and this is none", dir);
		return BS_EINVAL;
	}
	if (st.st_mode & 022) {
		bs__errtext(err,
			    "%s: others may write to the folder of the database (mode %04o); "
			    "chmod 0700 it",
			    dir, (unsigned)(st.st_mode & 07777));
		return BS_EPERM;
	}
	return BS_OK;
}

/* A new registry is filled under another name and renamed, so that a power cut leaves either none
 * or a whole one. */
static int create(struct bs_registry *reg, struct bs_errtext *err)
{
	char fresh[PATH_MAX];
	char lock[PATH_MAX];
	char path[PATH_MAX];
	int rc;

	if (bs__env_path(reg->dir, "data.mdb.new", fresh, sizeof(fresh)) != BS_OK ||
	    bs__env_path(reg->dir, "data.mdb.new-lock", lock, sizeof(lock)) != BS_OK ||
	    bs__env_path(reg->dir, "data.mdb", path, sizeof(path)) != BS_OK)
		return BS_EINVAL;
	unlink(fresh);
	unlink(lock);
	rc = bs__env_open(reg, "data.mdb.new", 0, true, err);
	if (rc == BS_OK) {
		rc = bs__schema_create(reg, err);
		bs__env_close(reg);
	}
	unlink(lock);
	if (rc == BS_OK && rename(fresh, path) < 0)
		rc = bs__errno_text(err, errno, path, "cannot create the database");
	if (rc == BS_OK)
		rc = bs__env_sync_dir(reg->dir);
	if (rc != BS_OK)
		unlink(fresh);
	return rc;
}

static int open_or_create(struct bs_registry *reg, const struct bs_registry_conf *conf,
			  struct bs_errtext *err)
{
	char path[PATH_MAX];
	struct stat st;
	int rc = bs__env_path(reg->dir, "data.mdb", path, sizeof(path));

	if (rc != BS_OK)
		return rc;
	if (stat(path, &st) < 0) {
		if (errno != ENOENT || !conf->write)
			return bs__errno_text(err, errno, path, "cannot open the database");
		rc = create(reg, err);
		if (rc != BS_OK)
			return rc;
	} else if ((uint64_t)st.st_size > reg->map_bytes) {
		bs__errtext(err,
			    "%s: the file has %llu MiB and database-size is %llu MiB; raise it",
			    path, (unsigned long long)((uint64_t)st.st_size / MIB),
			    (unsigned long long)(reg->map_bytes / MIB));
		return BS_ENOSPC;
	}
	/* Tables that a newer schema added are made here; an abort of the migration after that
	 * leaves them empty, which the older program does not notice. */
	return bs__env_open(reg, "data.mdb", conf->max_readers, conf->write, err);
}

/* Read the file once: afterwards its pages are in memory and a lookup waits for no disk. */
static void prefault(const struct bs_registry *reg)
{
	static const size_t chunk = 65536;
	uint8_t *buf = malloc(chunk);
	mdb_filehandle_t fd;
	off_t at = 0;
	ssize_t n;

	if (buf && mdb_env_get_fd(reg->env, &fd) == 0) {
		while ((n = pread(fd, buf, chunk, at)) > 0)
			at += n;
	}
	free(buf);
}

static int new_registry(const struct bs_registry_conf *conf, struct bs_registry **out,
			struct bs_errtext *err)
{
	struct bs_registry *reg;
	int rc;

	if (!conf->dir || !*conf->dir || strlen(conf->dir) >= BS__DIR_MAX - 32 ||
	    conf->map_bytes == 0 || conf->map_bytes > SIZE_MAX - MIB) {
		bs__errtext(err, "database: path or size is not usable");
		return BS_EINVAL;
	}
	reg = calloc(1, sizeof(*reg));
	if (!reg)
		return BS_ENOMEM;
	reg->writer_lock = -1;
	reg->use_lock = -1;
	reg->write = conf->write;
	snprintf(reg->dir, sizeof(reg->dir), "%s", conf->dir);
	set_sizes(reg, conf->map_bytes);
	if (conf->locks) {
		reg->joins = true;
		reg->use_lock = conf->locks[BS_REGISTRY_USE];
		reg->writer_lock = conf->locks[BS_REGISTRY_WRITER];
	}
	rc = BS_OK;
	if (conf->master_key)
		memcpy(reg->master_key, conf->master_key, sizeof(reg->master_key));
	else
		rc = bs_seal_key_load(conf->key_file, reg->master_key, err);
	if (rc != BS_OK) {
		bs_registry_close(reg);
		return rc;
	}
	*out = reg;
	return BS_OK;
}

int bs__registry_open_file(const struct bs_registry_conf *conf, const char *file,
			   struct bs_registry **out, struct bs_errtext *err)
{
	struct bs_registry *reg;
	int rc = new_registry(conf, &reg, err);

	if (rc != BS_OK)
		return rc;
	rc = bs__env_open(reg, file, 0, conf->write, err);
	if (rc == BS_OK)
		rc = bs__schema_load(reg, err);
	if (rc != BS_OK) {
		bs_registry_close(reg);
		return rc;
	}
	*out = reg;
	return BS_OK;
}

int bs_registry_open(const struct bs_registry_conf *conf, struct bs_registry **out,
		     struct bs_errtext *err)
{
	struct bs_registry *reg;
	int dead = 0;
	int rc = new_registry(conf, &reg, err);

	if (rc != BS_OK)
		return rc;
	if (conf->write)
		rc = make_folder(reg->dir, err);
	if (rc == BS_OK && !reg->joins)
		rc = bs__env_lock(reg, err);
	if (rc == BS_OK)
		rc = open_or_create(reg, conf, err);
	if (rc == BS_OK) {
		bs__env_adopt(reg->dir);
		/* Readers that died with their process would keep old pages from being reused. */
		if (conf->write && mdb_reader_check(reg->env, &dead) == 0 && dead)
			bs_log_notice("store, readers of dead processes cleared (%d)", dead);
		rc = bs__schema_load(reg, err);
	}
	if (rc != BS_OK) {
		bs_registry_close(reg);
		return rc;
	}
	if (conf->prefault)
		prefault(reg);
	*out = reg;
	return BS_OK;
}

void bs_registry_collect(const struct bs_registry *reg, int locks[static BS_REGISTRY_LOCKS],
			 uint8_t key[static 32])
{
	locks[BS_REGISTRY_USE] = reg->use_lock;
	locks[BS_REGISTRY_WRITER] = reg->writer_lock;
	memcpy(key, reg->master_key, sizeof(reg->master_key));
}

void bs_registry_close(struct bs_registry *reg)
{
	if (!reg)
		return;
	bs__env_close(reg);
	bs__env_unlock(reg);
	bs_wipe(reg->master_key, sizeof(reg->master_key));
	bs_wipe(reg->server_secret, sizeof(reg->server_secret));
	free(reg);
}

struct bs_epochs bs_registry_epochs(const struct bs_registry *reg)
{
	struct bs_epochs e;

	/* Acquire: see bs__schema_epochs. */
	e.access = atomic_load_explicit(&reg->epoch[BS__EPOCH_ACCESS], memory_order_acquire);
	e.crl = atomic_load_explicit(&reg->epoch[BS__EPOCH_CRL], memory_order_acquire);
	e.change = atomic_load_explicit(&reg->epoch[BS__EPOCH_CHANGE], memory_order_acquire);
	return e;
}

const uint8_t *bs_registry_instance(const struct bs_registry *reg)
{
	return reg->instance;
}

uint64_t bs_registry_boot(const struct bs_registry *reg)
{
	return reg->boot;
}

int bs_registry_server_secret(const struct bs_registry *reg, const char *purpose,
			      uint8_t out[static 32])
{
	struct bs_slice msg = { (const uint8_t *)purpose, strlen(purpose) };
	struct bs_openssl *o = bs_openssl_new();
	const struct bs_crypto *c;
	int rc;

	if (!o)
		return BS_ECRYPTO;
	c = bs_openssl_crypto(o);
	rc = c->hmac_sha256(c->ctx, reg->server_secret, sizeof(reg->server_secret), &msg, 1, out);
	bs_openssl_free(o);
	return rc;
}
