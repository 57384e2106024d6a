/* SPDX-License-Identifier: Apache-2.0 */
/*
 * env.h - the LMDB environment behind a registry.  Internal to store/: the only header that shows
 * LMDB's types.
 *
 * Files in the folder: data.mdb, data.mdb-lock (LMDB's reader table), writer.lock (held exclusively
 * by the one process that writes), use.lock (held shared by everybody, exclusively by a restore).
 */
#ifndef BS_STORE_ENV_H
#define BS_STORE_ENV_H

#include <lmdb.h>
#include <stdatomic.h>

#include "crypto/crypto.h"
#include "store/errtext.h"
#include "store/record.h"
#include "store/registry.h"
#include "store/seal.h"

/** Tables.  The order is that of the names in env.c and has no meaning on the disk. */
enum bs__table {
	BS__META,       /**< name -> number or bytes, see schema.h */
	BS__DEVICE,     /**< id -> record */
	BS__NUMBER,     /**< number -> id */
	BS__TAG,        /**< tag, 0, id -> nothing */
	BS__SEEN,       /**< number -> last seen; apart, so that a batch does not rewrite records */
	BS__CLIENT,     /**< identity, 0, CA or nothing -> record */
	BS__RULE,       /**< rule id -> record */
	BS__RULE_INDEX, /**< who, which -> rule id, priority, outcome */
	BS__REVOCATION, /**< kind, what -> record */
	BS__CA,         /**< fingerprint -> record */
	BS__VOLUME,     /**< identity, 0, CA -> month and bytes that were relayed */
	BS__TABLES
};

/** The three epochs, as indices. */
enum bs__epoch {
	BS__EPOCH_ACCESS,
	BS__EPOCH_CRL,
	BS__EPOCH_CHANGE,
	BS__EPOCHS
};

/** Longest path of the folder. */
#define BS__DIR_MAX 1024

struct bs_registry {
	MDB_env *env;
	MDB_dbi dbi[BS__TABLES];
	char dir[BS__DIR_MAX];
	bool write;
	bool joins;      /**< another process writes until this one takes over */
	int writer_lock; /**< descriptor, -1 = none */
	int use_lock;    /**< descriptor, -1 = none */
	/** Live bytes above which records are no longer added.  The rest of the map is kept for
	 *  what must always work: deleting, disabling, revoking. */
	uint64_t limit_bytes;
	uint64_t map_bytes;
	uint64_t boot;
	uint8_t master_key[BS_MASTER_KEY_LEN];
	uint8_t server_secret[32];
	uint8_t instance[16];
	/** Written by the store thread after each commit (release), read by anybody (acquire): who
	 *  sees a new number sees the commit in the next snapshot. */
	_Atomic uint64_t epoch[BS__EPOCHS];
};

/** Path of a file of the folder into out[PATH_MAX-sized cap].  BS_OK or BS_EINVAL. */
BS_MUSTCHECK int bs__env_path(const char *dir, const char *file, char *out, size_t cap);
/** The code for a result of LMDB, with text: "dir: what: reason; remedy". */
int bs__env_error(struct bs_errtext *err, const char *dir, int lmdb, const char *what);
/** The code alone. */
int bs__env_code(int lmdb);

/** Take the locks: shared use, and the writer's when reg->write. */
BS_MUSTCHECK int bs__env_lock(struct bs_registry *reg, struct bs_errtext *err);
/** Try for the use lock alone, so that a restore may replace files. */
BS_MUSTCHECK int bs__env_lock_alone(struct bs_registry *reg, struct bs_errtext *err);
/** Give both back. */
void bs__env_unlock(struct bs_registry *reg);
/**
 * Open reg->dir/file as the environment and its tables, which `create` makes.  max_readers 0 is
 * LMDB's default.
 */
BS_MUSTCHECK int bs__env_open(struct bs_registry *reg, const char *file, unsigned max_readers,
			      bool create, struct bs_errtext *err);
/** Close the environment; locks stay. */
void bs__env_close(struct bs_registry *reg);
/** Files made by root in a folder of another user belong to that user. */
void bs__env_adopt(const char *dir);
/** Make what happened to names in the folder durable.  BS_OK or BS_EIO. */
BS_MUSTCHECK int bs__env_sync_dir(const char *dir);

/** Get: 0 or an LMDB result; the value is borrowed from the page. */
int bs__get(const struct bs_registry *reg, MDB_txn *txn, enum bs__table t, const void *key,
	    size_t len, struct bs_slice *out);
/** Put: 0 or an LMDB result. */
int bs__put(const struct bs_registry *reg, MDB_txn *txn, enum bs__table t, const void *key,
	    size_t len, const void *value, size_t value_len, unsigned flags);
/** Delete: 0 or an LMDB result; a missing key is MDB_NOTFOUND. */
int bs__del(const struct bs_registry *reg, MDB_txn *txn, enum bs__table t, const void *key,
	    size_t len);
/** Bytes of all live pages in this transaction's view. */
uint64_t bs__env_live(const struct bs_registry *reg, MDB_txn *txn);

#endif
