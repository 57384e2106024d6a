/* SPDX-License-Identifier: Apache-2.0 */
#include "store/import.h"

#include <stdlib.h>
#include <string.h>

#include "store/import_apply.h"
#include "store/schema.h"
#include "util/cursor.h"

/* Rows lie packed in chunks: u8 id length, id, u16 value length, value.  The number in the value is
 * filled in when the row is applied. */
#define CHUNK_LEN (1u << 20)
/* Rows between two looks at the limit, the cancel flag and the queue. */
#define ROWS_BETWEEN 512

struct row {
	uint8_t *data;
	uint64_t line;
};

struct chunk {
	struct chunk *next;
	size_t used;
	uint8_t b[CHUNK_LEN];
};

struct bs_import {
	struct bs_registry *reg;
	struct bs_seal *seal;
	enum bs_import_mode mode;
	uint64_t max_rows;
	struct row *rows;
	size_t n;
	size_t cap;
	struct chunk *chunks; /* the newest first */
	bool sorted;
	/* Shared with whoever watches or cancels; relaxed, since they publish nothing but
	 * themselves.  refs: release on drop, acquire before free. */
	atomic_uint refs;
	_Atomic uint64_t staged;
	_Atomic uint64_t applied;
	atomic_bool committing;
	atomic_bool cancelled;
};

int bs_import_new(struct bs_registry *reg, enum bs_import_mode mode, uint64_t max_rows,
		  struct bs_import **out)
{
	struct bs_import *im;
	int rc;

	if (max_rows == 0 || max_rows > UINT32_MAX || mode > BS_IMPORT_REPLACE)
		return BS_EINVAL;
	im = calloc(1, sizeof(*im));
	if (!im)
		return BS_ENOMEM;
	rc = bs_seal_new(reg->master_key, &im->seal);
	if (rc != BS_OK) {
		free(im);
		return rc;
	}
	im->reg = reg;
	im->mode = mode;
	im->max_rows = max_rows;
	im->sorted = true;
	atomic_init(&im->refs, 1);
	*out = im;
	return BS_OK;
}

struct bs_import *bs_import_ref(struct bs_import *im)
{
	atomic_fetch_add_explicit(&im->refs, 1, memory_order_relaxed);
	return im;
}

void bs_import_free(struct bs_import *im)
{
	struct chunk *c;

	if (!im || atomic_fetch_sub_explicit(&im->refs, 1, memory_order_acq_rel) != 1)
		return;
	while ((c = im->chunks)) {
		im->chunks = c->next;
		free(c);
	}
	free(im->rows);
	bs_seal_free(im->seal);
	free(im);
}

/* ---- staging */

static uint8_t *reserve(struct bs_import *im, size_t len)
{
	struct chunk *c = im->chunks;

	if (!c || CHUNK_LEN - c->used < len) {
		c = malloc(sizeof(*c));
		if (!c)
			return NULL;
		c->used = 0;
		c->next = im->chunks;
		im->chunks = c;
	}
	c->used += len;
	return c->b + c->used - len;
}

static int grow(struct bs_import *im)
{
	size_t cap = im->cap ? im->cap * 2 : 1024;
	struct row *rows;

	if (im->n < im->cap)
		return BS_OK;
	rows = realloc(im->rows, cap * sizeof(*rows));
	if (!rows)
		return BS_ENOMEM;
	im->rows = rows;
	im->cap = cap;
	return BS_OK;
}

static int order(const void *pa, const void *pb)
{
	const struct row *a = pa;
	const struct row *b = pb;
	size_t la = a->data[0];
	size_t lb = b->data[0];
	int c = memcmp(a->data + 1, b->data + 1, la < lb ? la : lb);

	if (c == 0 && la != lb)
		return la < lb ? -1 : 1;
	if (c == 0)
		return a->line < b->line ? -1 : a->line > b->line;
	return c;
}

static int check_row(const struct bs_import_row *row, char *id, struct bs_errtext *err)
{
	unsigned long long line = row->row;

	if (bs_device_id_fold(row->id, id) != BS_OK) {
		bs__errtext(err, "row %llu: the id must be a DNS name of 1 to %d characters", line,
			    BS_DEVICE_ID_MAX);
		return BS_EINVAL;
	}
	if (row->state > BS_RECORD_DISABLED) {
		bs__errtext(err, "row %llu: the state is enabled or disabled", line);
		return BS_EINVAL;
	}
	if (row->flags & ~BS_DEVICE_LEGACY) {
		bs__errtext(err, "row %llu: unknown flags", line);
		return BS_EINVAL;
	}
	if (!row->secret && !(row->flags & BS_DEVICE_LEGACY)) {
		bs__errtext(err, "row %llu: a device needs a secret, or the legacy flag", line);
		return BS_EINVAL;
	}
	if (row->tags && !bs_names_valid(row->tags)) {
		bs__errtext(err,
			    "row %llu: at most %d tags, each 1 to %d letters, digits or "
			    "._-:@",
			    line, BS_NAMES_MAX, BS_NAME_MAX);
		return BS_EINVAL;
	}
	return BS_OK;
}

static int encode(struct bs_import *im, const struct bs_import_row *row, const char *id,
		  uint8_t *buf, size_t *len)
{
	uint8_t sealed[BS__SEALED_SECRET_LEN];
	struct bs__device_record rec;
	struct bs__key ad;
	int rc;

	memset(&rec, 0, sizeof(rec));
	rec.state = row->state ? row->state : BS_RECORD_ENABLED;
	rec.flags = row->flags;
	rec.created = row->created;
	rec.generation = 1;
	if (row->tags)
		rec.tags = *row->tags;
	if (row->secret) {
		bs__device_ad(&ad, id, row->id.len, BS__SLOT_SECRET);
		rc = bs_seal_close(im->seal, (struct bs_slice){ ad.b, ad.len },
				   (struct bs_slice){ row->secret, BS_PSK_LEN }, sealed);
		if (rc != BS_OK)
			return rc;
		rec.sealed = sealed;
	}
	*len = bs__device_encode(&rec, buf);
	return BS_OK;
}

int bs_import_add(struct bs_import *im, const struct bs_import_row *row, struct bs_errtext *err)
{
	char id[BS_DEVICE_ID_MAX + 1];
	uint8_t value[BS__VALUE_MAX];
	struct row *r;
	size_t len;
	int rc = check_row(row, id, err);

	if (rc != BS_OK)
		return rc;
	if (im->n >= im->max_rows) {
		bs__errtext(err, "row %llu: more than %llu rows in one import; split it",
			    (unsigned long long)row->row, (unsigned long long)im->max_rows);
		return BS_EFULL;
	}
	rc = encode(im, row, id, value, &len);
	if (rc == BS_OK)
		rc = grow(im);
	if (rc != BS_OK)
		return rc;
	r = &im->rows[im->n];
	r->line = row->row;
	r->data = reserve(im, 1 + row->id.len + 2 + len);
	if (!r->data)
		return BS_ENOMEM;
	r->data[0] = (uint8_t)row->id.len;
	memcpy(r->data + 1, id, row->id.len);
	bs_put_u16(r->data + 1 + row->id.len, (uint16_t)len);
	memcpy(r->data + 3 + row->id.len, value, len);
	if (im->n && im->sorted && order(r - 1, r) > 0)
		im->sorted = false;
	im->n++;
	atomic_fetch_add_explicit(&im->staged, 1, memory_order_relaxed);
	return BS_OK;
}

static bool same_id(const struct row *a, const struct row *b)
{
	return a->data[0] == b->data[0] && memcmp(a->data + 1, b->data + 1, a->data[0]) == 0;
}

uint64_t bs_import_repeats(struct bs_import *im, bs_import_repeat_fn fn, void *arg,
			   uint64_t max_reports)
{
	char id[BS_DEVICE_ID_MAX + 1];
	uint64_t repeats = 0;
	size_t i;

	if (!im->sorted && im->n)
		qsort(im->rows, im->n, sizeof(im->rows[0]), order);
	im->sorted = true;
	for (i = 1; i < im->n; i++) {
		struct row *r = &im->rows[i];

		if (!same_id(r - 1, r))
			continue;
		if (fn && repeats < max_reports) {
			memcpy(id, r->data + 1, r->data[0]);
			id[r->data[0]] = 0;
			fn(arg, id, r[-1].line, r->line);
		}
		repeats++;
	}
	return repeats;
}

void bs_import_cancel(struct bs_import *im)
{
	atomic_store_explicit(&im->cancelled, true, memory_order_relaxed);
}

struct bs_import_progress bs_import_progress_get(const struct bs_import *im)
{
	struct bs_import_progress p;

	p.staged = atomic_load_explicit(&im->staged, memory_order_relaxed);
	p.applied = atomic_load_explicit(&im->applied, memory_order_relaxed);
	p.committing = atomic_load_explicit(&im->committing, memory_order_relaxed);
	return p;
}

void bs__import_committing(struct bs_import *im, bool on)
{
	atomic_store_explicit(&im->committing, on, memory_order_relaxed);
}

/* ---- applying */

/* An application under way. */
struct run {
	struct bs_import *im;
	struct bs__apply *a;
	struct bs_store_result *res;
	bool append;   /* ids come after all that are there: no search for the place */
	uint32_t next; /* number for the next new device */
	uint32_t first;
};

struct view {
	const char *id;
	size_t id_len;
	uint8_t *value;
	size_t len;
};

static struct view view_row(const struct row *r)
{
	struct view v;

	v.id_len = r->data[0];
	v.id = (const char *)r->data + 1;
	v.len = bs_get_u16(r->data + 1 + v.id_len);
	v.value = r->data + 3 + v.id_len;
	return v;
}

static int report_repeat(struct run *run)
{
	struct bs_import *im = run->im;
	size_t i = 1;

	while (i < im->n && !same_id(&im->rows[i - 1], &im->rows[i]))
		i++;
	run->res->row = im->rows[i].line;
	bs__errtext(&run->res->err,
		    "row %llu: device \"%.*s\" is in row %llu already; nothing was "
		    "imported",
		    (unsigned long long)im->rows[i].line, (int)im->rows[i].data[0],
		    (const char *)im->rows[i].data + 1, (unsigned long long)im->rows[i - 1].line);
	return BS_EEXIST;
}

/* Whether the first row comes after the last device that is stored. */
static int may_append(struct run *run)
{
	struct view v = view_row(&run->im->rows[0]);
	MDB_cursor *cur;
	MDB_val k;
	MDB_val value;
	MDB_val first = { v.id_len, (void *)(uintptr_t)v.id };
	MDB_dbi dbi = run->a->reg->dbi[BS__DEVICE];
	int rc = mdb_cursor_open(run->a->txn, dbi, &cur);

	if (rc)
		return rc;
	rc = mdb_cursor_get(cur, &k, &value, MDB_LAST);
	run->append = rc == MDB_NOTFOUND || (rc == 0 && mdb_cmp(run->a->txn, dbi, &k, &first) < 0);
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int put_new(struct run *run, struct view v)
{
	const struct bs_registry *reg = run->a->reg;
	struct bs__key k;
	int rc;

	if (run->next == UINT32_MAX)
		return MDB_TXN_FULL;
	bs_put_u32(v.value + BS__DEVICE_NUMBER_AT, run->next);
	rc = bs__put(reg, run->a->txn, BS__DEVICE, v.id, v.id_len, v.value, v.len,
		     run->append ? MDB_APPEND : MDB_NOOVERWRITE);
	if (rc)
		return rc;
	bs__key_u32(&k, run->next);
	/* Numbers only rise, so they are appended always. */
	rc = bs__put(reg, run->a->txn, BS__NUMBER, k.b, k.len, v.id, v.id_len, MDB_APPEND);
	if (rc == 0)
		run->next++;
	return rc;
}

/* Number and generation come from the old record, its tags leave the index. */
static int put_over(struct run *run, struct view v)
{
	struct bs__device_record old;
	struct bs_slice have;
	uint8_t *p = v.value + BS__DEVICE_NUMBER_AT;
	int rc = bs__get(run->a->reg, run->a->txn, BS__DEVICE, v.id, v.id_len, &have);

	if (rc)
		return rc;
	if (bs__device_decode(have, &old) != BS_OK)
		return MDB_CORRUPTED;
	bs_put_u32(p, old.number);
	bs_put_u32(p + 4, old.generation + 1);
	rc = bs__apply_tag_index(run->a, v.id, v.id_len, &old.tags, false);
	if (rc == 0)
		rc = bs__put(run->a->reg, run->a->txn, BS__DEVICE, v.id, v.id_len, v.value, v.len,
			     0);
	return rc;
}

static void set_created(struct view v, uint64_t now)
{
	uint8_t *p = v.value + BS__DEVICE_NUMBER_AT + 8;

	if (bs_get_u64(p) == 0)
		bs_put_u64(p, now);
}

static int exists(struct run *run, const struct row *r, struct view v)
{
	run->res->row = r->line;
	bs__errtext(&run->res->err,
		    "row %llu: device \"%.*s\" is registered already; nothing was "
		    "imported",
		    (unsigned long long)r->line, (int)v.id_len, v.id);
	return BS_EEXIST;
}

static int put_row(struct run *run, const struct row *r)
{
	struct view v = view_row(r);
	struct bs__device_record rec;
	int rc;

	set_created(v, run->a->now);
	rc = put_new(run, v);
	if (rc == MDB_KEYEXIST && run->im->mode == BS_IMPORT_NEW)
		return exists(run, r, v);
	if (rc == MDB_KEYEXIST && run->im->mode == BS_IMPORT_SKIP)
		return BS_OK;
	if (rc == MDB_KEYEXIST)
		rc = put_over(run, v);
	if (rc)
		return bs__apply_error(run->a, &run->res->err, rc);
	if (bs__device_decode((struct bs_slice){ v.value, v.len }, &rec) != BS_OK)
		return BS_EINTERNAL;
	rc = bs__apply_tag_index(run->a, v.id, v.id_len, &rec.tags, true);
	return rc ? bs__apply_error(run->a, &run->res->err, rc) : BS_OK;
}

static int put_rows(struct run *run, bs__yield_fn yield, void *arg)
{
	struct bs_import *im = run->im;
	int rc = BS_OK;
	size_t i;

	for (i = 0; i < im->n && rc == BS_OK; i++) {
		if (i % ROWS_BETWEEN == 0) {
			atomic_store_explicit(&im->applied, i, memory_order_relaxed);
			if (atomic_load_explicit(&im->cancelled, memory_order_relaxed))
				return BS_ECLOSED;
			if (yield && yield(arg))
				return BS_EAGAIN;
			rc = bs__apply_room(run->a, &run->res->err);
		}
		if (rc == BS_OK)
			rc = put_row(run, &im->rows[i]);
	}
	if (rc == BS_OK)
		rc = bs__apply_room(run->a, &run->res->err);
	atomic_store_explicit(&im->applied, i, memory_order_relaxed);
	return rc;
}

int bs__import_apply(struct bs_import *im, struct bs__apply *a, struct bs_store_result *res,
		     bs__yield_fn yield, void *arg)
{
	struct run run = { im, a, res, false, 0, 0 };
	uint64_t next;
	int rc;

	if (im->n == 0)
		return BS_OK;
	if (bs_import_repeats(im, NULL, NULL, 0))
		return report_repeat(&run);
	rc = may_append(&run);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	rc = bs__meta_get(a->reg, a->txn, "next-number", &next);
	if (rc != BS_OK || next > UINT32_MAX)
		return rc != BS_OK ? rc : BS_EFULL;
	run.first = run.next = (uint32_t)next;
	rc = put_rows(&run, yield, arg);
	if (rc == BS_ECLOSED)
		bs__errtext(&res->err, "the import was cancelled; nothing was imported");
	if (rc != BS_OK)
		return rc;
	rc = bs__meta_put(a->reg, a->txn, "next-number", run.next);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	res->number = run.next - run.first;
	bs__change(a, BS_CHANGE_MANY, BS__EPOCH_ACCESS);
	return BS_OK;
}
