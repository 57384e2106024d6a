/* SPDX-License-Identifier: Apache-2.0 */
#include "raw.h"

#include <stdio.h>

#include "util/cursor.h"

void raw_open(struct raw *raw, const char *dir, bool create)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/data.mdb", dir);
	ck_assert_int_eq(mdb_env_create(&raw->env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(raw->env, 16), 0);
	ck_assert_int_eq(mdb_env_set_mapsize(raw->env, 64u << 20), 0);
	ck_assert_int_eq(mdb_env_open(raw->env, path, MDB_NOSUBDIR, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(raw->env, NULL, 0, &raw->txn), 0);
	if (create)
		raw_table(raw, "meta");
}

void raw_close(struct raw *raw)
{
	ck_assert_int_eq(mdb_txn_commit(raw->txn), 0);
	mdb_env_close(raw->env);
}

MDB_dbi raw_table(struct raw *raw, const char *table)
{
	MDB_dbi dbi;

	ck_assert_int_eq(mdb_dbi_open(raw->txn, table, MDB_CREATE, &dbi), 0);
	return dbi;
}

void raw_put(struct raw *raw, const char *table, const void *key, size_t key_len, const void *value,
	     size_t value_len)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key };
	MDB_val v = { value_len, (void *)(uintptr_t)value };

	ck_assert_int_eq(mdb_put(raw->txn, raw_table(raw, table), &k, &v, 0), 0);
}

void raw_del(struct raw *raw, const char *table, const void *key, size_t key_len)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key };

	ck_assert_int_eq(mdb_del(raw->txn, raw_table(raw, table), &k, NULL), 0);
}

size_t raw_get(struct raw *raw, const char *table, const void *key, size_t key_len, uint8_t *out,
	       size_t cap)
{
	MDB_val k = { key_len, (void *)(uintptr_t)key };
	MDB_val v;

	if (mdb_get(raw->txn, raw_table(raw, table), &k, &v))
		return 0;
	ck_assert_uint_le(v.mv_size, cap);
	memcpy(out, v.mv_data, v.mv_size);
	return v.mv_size;
}

void raw_put_meta(struct raw *raw, const char *name, uint64_t v)
{
	uint8_t b[8];

	bs_put_u64(b, v);
	raw_put(raw, "meta", name, strlen(name), b, sizeof(b));
}

uint64_t raw_get_meta(struct raw *raw, const char *name)
{
	uint8_t b[8];

	ck_assert_uint_eq(raw_get(raw, "meta", name, strlen(name), b, sizeof(b)), 8);
	return bs_get_u64(b);
}
