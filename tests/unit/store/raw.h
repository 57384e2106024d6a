/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.h - the data file of a closed registry through LMDB itself: to damage it on purpose, or to
 * write one as an older program would have.
 */
#ifndef BS_TEST_RAW_H
#define BS_TEST_RAW_H

#include <lmdb.h>
#include <stdbool.h>

#include "box.h"

/** An open write transaction. */
struct raw {
	MDB_env *env;
	MDB_txn *txn;
};

/** Open dir/data.mdb, create it when asked. */
void raw_open(struct raw *raw, const char *dir, bool create);
/** Commit and close. */
void raw_close(struct raw *raw);
/** A table by name. */
MDB_dbi raw_table(struct raw *raw, const char *table);
void raw_put(struct raw *raw, const char *table, const void *key, size_t key_len, const void *value,
	     size_t value_len);
void raw_del(struct raw *raw, const char *table, const void *key, size_t key_len);
/** Copy of a value; returns its length, 0 when there is none. */
size_t raw_get(struct raw *raw, const char *table, const void *key, size_t key_len, uint8_t *out,
	       size_t cap);
/** A big-endian number of the meta table. */
void raw_put_meta(struct raw *raw, const char *name, uint64_t v);
uint64_t raw_get_meta(struct raw *raw, const char *name);

#endif
