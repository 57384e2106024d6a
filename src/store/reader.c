/* SPDX-License-Identifier: Apache-2.0 */
#include "store/reader.h"

#include <stdlib.h>
#include <string.h>

#include "util/cursor.h"

/* ---- life and snapshots */

static int make_cursors(struct bs_registry_reader *r)
{
	int rc = 0;
	size_t i;

	for (i = 0; i < BS__TABLES && !rc; i++)
		rc = mdb_cursor_open(r->txn, r->reg->dbi[i], &r->cursor[i]);
	return rc;
}

int bs_registry_reader_new(struct bs_registry *reg, struct bs_registry_reader **out)
{
	struct bs_registry_reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return BS_ENOMEM;
	r->reg = reg;
	rc = bs_seal_new(reg->master_key, &r->seal);
	if (rc == BS_OK) {
		rc = mdb_txn_begin(reg->env, NULL, MDB_RDONLY, &r->txn);
		if (rc)
			r->txn = NULL;
		else
			rc = make_cursors(r);
		rc = bs__env_code(rc);
	}
	if (rc != BS_OK) {
		bs_registry_reader_free(r);
		return rc;
	}
	mdb_txn_reset(r->txn);
	*out = r;
	return BS_OK;
}

void bs_registry_reader_free(struct bs_registry_reader *r)
{
	size_t i;

	if (!r)
		return;
	for (i = 0; i < BS__TABLES; i++) {
		if (r->cursor[i])
			mdb_cursor_close(r->cursor[i]);
	}
	if (r->txn)
		mdb_txn_abort(r->txn);
	bs_seal_free(r->seal);
	free(r);
}

int bs_registry_reader_begin(struct bs_registry_reader *r)
{
	int rc;

	if (r->depth == 0) {
		rc = mdb_txn_renew(r->txn);
		if (rc)
			return bs__env_code(rc);
	}
	r->depth++;
	return BS_OK;
}

void bs_registry_reader_end(struct bs_registry_reader *r)
{
	if (--r->depth == 0)
		mdb_txn_reset(r->txn);
}

struct bs_registry *bs_registry_reader_registry(const struct bs_registry_reader *r)
{
	return r->reg;
}

int bs__reader_cursor(struct bs_registry_reader *r, enum bs__table t, MDB_cursor **out)
{
	int rc = mdb_cursor_renew(r->txn, r->cursor[t]);

	*out = r->cursor[t];
	return bs__env_code(rc);
}

int bs__reader_get(struct bs_registry_reader *r, enum bs__table t, const struct bs__key *k,
		   struct bs_slice *out)
{
	return bs__env_code(bs__get(r->reg, r->txn, t, k->b, k->len, out));
}

/* ---- lists */

static bool starts_with(const MDB_val *k, struct bs_slice prefix)
{
	return k->mv_size >= prefix.len &&
	       (!prefix.len || memcmp(k->mv_data, prefix.ptr, prefix.len) == 0);
}

/* Set the cursor on the first key after pos, or on the first of the prefix. */
static int seek(MDB_cursor *cur, const struct bs_list_pos *pos, struct bs_slice prefix, MDB_val *k,
		MDB_val *v)
{
	int rc;

	if (pos->len == 0 && prefix.len == 0)
		return mdb_cursor_get(cur, k, v, MDB_FIRST);
	k->mv_data = (void *)(uintptr_t)(pos->len ? pos->b : prefix.ptr);
	k->mv_size = pos->len ? pos->len : prefix.len;
	rc = mdb_cursor_get(cur, k, v, MDB_SET_RANGE);
	if (rc == 0 && pos->len && k->mv_size == pos->len &&
	    memcmp(k->mv_data, pos->b, pos->len) == 0)
		rc = mdb_cursor_get(cur, k, v, MDB_NEXT);
	return rc;
}

static bool pos_ok(const struct bs_list_pos *pos, struct bs_slice prefix)
{
	MDB_val k = { pos->len, (void *)(uintptr_t)pos->b };

	if (pos->len == 0)
		return true;
	return pos->len <= BS_LIST_POS_MAX && starts_with(&k, prefix);
}

/* The walk inside a snapshot; *n counts what was taken. */
static int walk(struct bs_registry_reader *r, const struct bs__walk *w, struct bs_list_pos *pos,
		size_t cap, size_t *n, bool *end)
{
	MDB_cursor *cur;
	MDB_val k;
	MDB_val v;
	size_t seen;
	int rc = bs__reader_cursor(r, w->table, &cur);

	if (rc != BS_OK)
		return rc;
	rc = seek(cur, pos, w->prefix, &k, &v);
	for (seen = 0; rc == 0 && starts_with(&k, w->prefix); seen++) {
		struct bs_slice key = { k.mv_data, k.mv_size };
		struct bs_slice value = { v.mv_data, v.mv_size };
		int took;

		if (*n == cap || seen == BS_LIST_SCAN_MAX)
			return BS_OK;
		if (key.len > BS_LIST_POS_MAX)
			return BS_ECORRUPT;
		took = w->take(r, w->arg, key, value, *n);
		if (took < 0)
			return took;
		*n += (size_t)took;
		memcpy(pos->b, key.ptr, key.len);
		pos->len = (uint8_t)key.len;
		rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
	}
	if (rc && rc != MDB_NOTFOUND)
		return bs__env_code(rc);
	*end = true;
	return BS_OK;
}

bs_ssize bs__walk_page(struct bs_registry_reader *r, const struct bs__walk *w,
		       struct bs_list_pos *pos, size_t cap, bool *end)
{
	size_t n = 0;
	int rc;

	*end = false;
	if (!pos_ok(pos, w->prefix) || cap == 0)
		return BS_EINVAL;
	if (cap > BS_LIST_SCAN_MAX)
		cap = BS_LIST_SCAN_MAX;
	rc = bs_registry_reader_begin(r);
	if (rc != BS_OK)
		return rc;
	rc = walk(r, w, pos, cap, &n, end);
	bs_registry_reader_end(r);
	return rc == BS_OK ? (bs_ssize)n : rc;
}

/* ---- figures */

static int count(struct bs_registry_reader *r, enum bs__table t, uint64_t *out)
{
	MDB_stat st;
	int rc = mdb_stat(r->txn, r->reg->dbi[t], &st);

	if (rc == 0)
		*out = st.ms_entries;
	return rc;
}

int bs_registry_stat(struct bs_registry_reader *r, struct bs_registry_stat *out)
{
	struct bs_registry_stat s;
	uint64_t schema = 0;
	MDB_envinfo info;
	int rc = bs_registry_reader_begin(r);

	if (rc != BS_OK)
		return rc;
	memset(&s, 0, sizeof(s));
	if ((rc = count(r, BS__DEVICE, &s.devices)) || (rc = count(r, BS__CLIENT, &s.clients)) ||
	    (rc = count(r, BS__RULE, &s.rules)) || (rc = count(r, BS__CA, &s.cas)) ||
	    (rc = count(r, BS__REVOCATION, &s.revocations)) ||
	    (rc = mdb_env_info(r->reg->env, &info))) {
		rc = bs__env_code(rc);
	} else {
		struct bs_slice v;

		if (bs__get(r->reg, r->txn, BS__META, "schema", 6, &v) == 0 && v.len == 8)
			schema = bs_get_u64(v.ptr);
		s.map_bytes = r->reg->map_bytes;
		s.used_bytes = bs__env_live(r->reg, r->txn);
		s.readers = info.me_numreaders;
		s.schema = (uint32_t)schema;
		*out = s;
	}
	bs_registry_reader_end(r);
	return rc;
}
