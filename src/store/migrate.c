/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "store/schema.h"
#include "util/cursor.h"

/*
 * Schema 1 kept "last seen" inside the device value, had no generation and no tag index:
 *   u8 1, u8 state, u8 flags, u8 bits, u32 number, u64 created, u64 last seen,
 *   [44 secret], [44 next secret], tags.
 * Schema 2 moves "last seen" to a table of its own, so that the hourly batch no longer rewrites
 * sealed records, and indexes the tags.
 */
struct v1_device {
	struct bs__device_record rec;
	uint64_t last_seen;
};

static int v1_decode(struct bs_slice v, struct v1_device *out)
{
	/* Formats 1 and 2 agree but for the fields in the middle: build a value of format 2 and let
	 * its decoder do the checks. */
	uint8_t buf[BS__VALUE_MAX + 8];
	struct bs_writer w;

	if (v.len < 24 || v.len > BS__VALUE_MAX || v.ptr[0] != 1)
		return BS_ECORRUPT;
	bs_writer_init(&w, buf, sizeof(buf));
	bs_writer_put_u8(&w, 2);
	bs_writer_put_bytes(&w, v.ptr + 1, 7);
	bs_writer_put_u32(&w, 1);
	bs_writer_put_bytes(&w, v.ptr + 8, 8);
	bs_writer_put_bytes(&w, v.ptr + 24, v.len - 24);
	out->last_seen = bs_get_u64(v.ptr + 16);
	if (bs__device_decode((struct bs_slice){ buf, w.len }, &out->rec) != BS_OK)
		return BS_ECORRUPT;
	/* The seals must point into the old value: buf goes out of scope. */
	if (out->rec.sealed)
		out->rec.sealed = v.ptr + (out->rec.sealed - buf) + 4;
	if (out->rec.sealed_next)
		out->rec.sealed_next = v.ptr + (out->rec.sealed_next - buf) + 4;
	return BS_OK;
}

static int index_device(const struct bs_registry *reg, MDB_txn *txn, struct bs_slice id,
			const struct v1_device *d)
{
	struct bs__key k;
	uint8_t when[8];
	size_t i;
	int rc;

	for (i = 0; i < d->rec.tags.n; i++) {
		bs__key_tag(&k, d->rec.tags.name[i], (const char *)id.ptr, id.len);
		rc = bs__put(reg, txn, BS__TAG, k.b, k.len, "", 0, 0);
		if (rc)
			return bs__env_code(rc);
	}
	if (!d->last_seen)
		return BS_OK;
	bs__key_u32(&k, d->rec.number);
	bs_put_u64(when, d->last_seen);
	return bs__env_code(bs__put(reg, txn, BS__SEEN, k.b, k.len, when, sizeof(when), 0));
}

static int convert(const struct bs_registry *reg, MDB_txn *txn, MDB_cursor *cur, MDB_val *k,
		   const MDB_val *v)
{
	struct bs_slice old = { v->mv_data, v->mv_size };
	struct bs_slice id = { k->mv_data, k->mv_size };
	char keep[BS_DEVICE_ID_MAX + 1];
	struct v1_device d;
	uint8_t buf[BS__VALUE_MAX];
	MDB_val nv = { 0, buf };
	int rc;

	if (id.len > BS_DEVICE_ID_MAX || v1_decode(old, &d) != BS_OK)
		return BS_ECORRUPT;
	/* The put may move the page that key and value lie in. */
	memcpy(keep, id.ptr, id.len);
	id.ptr = (const uint8_t *)keep;
	nv.mv_size = bs__device_encode(&d.rec, buf);
	rc = mdb_cursor_put(cur, &(MDB_val){ id.len, keep }, &nv, MDB_CURRENT);
	if (rc)
		return bs__env_code(rc);
	return index_device(reg, txn, id, &d);
}

static int from_1(const struct bs_registry *reg, MDB_txn *txn, struct bs_errtext *err)
{
	MDB_cursor *cur;
	MDB_val k;
	MDB_val v;
	int code = BS_OK;
	int rc = mdb_cursor_open(txn, reg->dbi[BS__DEVICE], &cur);

	if (rc)
		return bs__env_code(rc);
	while ((rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
		code = convert(reg, txn, cur, &k, &v);
		if (code != BS_OK) {
			bs__errtext(err,
				    "%s: cannot migrate device \"%.*s\" (%s); nothing was "
				    "changed",
				    reg->dir, (int)(k.mv_size > BS_DEVICE_ID_MAX ? 0 : k.mv_size),
				    (const char *)k.mv_data, bs_strerror(code));
			break;
		}
	}
	mdb_cursor_close(cur);
	if (code == BS_OK && rc != MDB_NOTFOUND)
		code = bs__env_code(rc);
	return code;
}

int bs__migrate_step(const struct bs_registry *reg, MDB_txn *txn, uint64_t from,
		     struct bs_errtext *err)
{
	static int (*const steps[])(const struct bs_registry *, MDB_txn *, struct bs_errtext *) = {
		[1] = from_1,
	};

	if (from >= sizeof(steps) / sizeof(steps[0]) || !steps[from]) {
		bs__errtext(err, "%s: no way from schema %llu to the next", reg->dir,
			    (unsigned long long)from);
		return BS_EVERSION;
	}
	return steps[from](reg, txn, err);
}
