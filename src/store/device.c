/* SPDX-License-Identifier: Apache-2.0 */
/* Reading devices. */
#include <string.h>

#include "store/reader.h"
#include "util/cursor.h"

void bs_device_wipe(struct bs_device *d)
{
	bs_wipe(d->secret, sizeof(d->secret));
	bs_wipe(d->secret_next, sizeof(d->secret_next));
	d->has_secret = false;
	d->has_next = false;
}

static int unseal_slot(struct bs_seal *seal, const uint8_t *sealed, const struct bs_device *d,
		       enum bs__secret_slot slot, uint8_t *out)
{
	struct bs__key ad;

	bs__device_ad(&ad, d->id, d->id_len, slot);
	return bs_seal_open(seal, (struct bs_slice){ ad.b, ad.len },
			    (struct bs_slice){ sealed, BS__SEALED_SECRET_LEN }, out);
}

int bs__device_unseal(struct bs_seal *seal, const struct bs__device_record *rec,
		      struct bs_device *d)
{
	int rc = BS_OK;

	if (rec->sealed)
		rc = unseal_slot(seal, rec->sealed, d, BS__SLOT_SECRET, d->secret);
	if (rc == BS_OK && rec->sealed_next)
		rc = unseal_slot(seal, rec->sealed_next, d, BS__SLOT_NEXT, d->secret_next);
	if (rc != BS_OK) {
		bs_device_wipe(d);
		return rc == BS_EMAC ? BS_ECORRUPT : rc;
	}
	return BS_OK;
}

static void fill(struct bs_device *d, struct bs_slice id, const struct bs__device_record *rec)
{
	memcpy(d->id, id.ptr, id.len);
	d->id[id.len] = 0;
	d->id_len = (uint8_t)id.len;
	d->state = rec->state;
	d->flags = rec->flags;
	d->number = rec->number;
	d->generation = rec->generation;
	d->created = rec->created;
	d->has_secret = rec->sealed != NULL;
	d->has_next = rec->sealed_next != NULL;
	memset(d->secret, 0, sizeof(d->secret));
	memset(d->secret_next, 0, sizeof(d->secret_next));
}

static int read_last_seen(struct bs_registry_reader *r, struct bs_device *d)
{
	struct bs__key k;
	struct bs_slice v;
	int rc;

	d->last_seen = 0;
	bs__key_u32(&k, d->number);
	rc = bs__reader_get(r, BS__SEEN, &k, &v);
	if (rc == BS_OK && v.len != 8)
		return BS_ECORRUPT;
	if (rc == BS_OK)
		d->last_seen = bs_get_u64(v.ptr);
	return rc == BS_ENOENT ? BS_OK : rc;
}

/* The device of a record; *d is written as it goes, for callers that own it. */
static int load(struct bs_registry_reader *r, struct bs_slice id, struct bs_slice value,
		bool secrets, struct bs_device *d)
{
	struct bs__device_record rec;
	int rc;

	if (!bs_device_id_valid((const char *)id.ptr, id.len))
		return BS_ECORRUPT;
	rc = bs__device_decode(value, &rec);
	if (rc != BS_OK)
		return rc;
	fill(d, id, &rec);
	d->tags = rec.tags;
	rc = read_last_seen(r, d);
	if (rc == BS_OK && secrets)
		rc = bs__device_unseal(r->seal, &rec, d);
	return rc;
}

static int lookup(struct bs_registry_reader *r, struct bs_slice id, struct bs_device *out)
{
	struct bs_device d;
	struct bs_slice v;
	int rc = bs__env_code(bs__get(r->reg, r->txn, BS__DEVICE, id.ptr, id.len, &v));

	if (rc != BS_OK)
		return rc;
	rc = load(r, id, v, true, &d);
	if (rc == BS_OK)
		*out = d;
	bs_device_wipe(&d);
	return rc;
}

int bs_registry_device(struct bs_registry_reader *r, struct bs_slice id, struct bs_device *out)
{
	char low[BS_DEVICE_ID_MAX + 1];
	int rc;

	/* What cannot be an id is not there. */
	if (bs_device_id_fold(id, low) != BS_OK)
		return BS_ENOENT;
	rc = bs_registry_reader_begin(r);
	if (rc != BS_OK)
		return rc;
	rc = lookup(r, (struct bs_slice){ (const uint8_t *)low, id.len }, out);
	bs_registry_reader_end(r);
	return rc;
}

int bs_registry_device_by_number(struct bs_registry_reader *r, uint32_t number,
				 struct bs_device *out)
{
	struct bs__key k;
	struct bs_slice id;
	int rc = bs_registry_reader_begin(r);

	if (rc != BS_OK)
		return rc;
	bs__key_u32(&k, number);
	rc = bs__reader_get(r, BS__NUMBER, &k, &id);
	if (rc == BS_OK) {
		rc = lookup(r, id, out);
		/* The index names a device that has no record. */
		if (rc == BS_ENOENT)
			rc = BS_ECORRUPT;
	}
	bs_registry_reader_end(r);
	return rc;
}

/* ---- list */

struct list {
	const struct bs_device_filter *f;
	size_t tag_len; /* bytes of the tag and its 0 in front of the id in an index key */
	struct bs_device *out;
};

static int take_device(struct bs_registry_reader *r, void *arg, struct bs_slice key,
		       struct bs_slice value, size_t i)
{
	struct list *l = arg;
	int rc;

	if (l->tag_len) {
		key.ptr += l->tag_len;
		key.len -= l->tag_len;
		if (bs__get(r->reg, r->txn, BS__DEVICE, key.ptr, key.len, &value))
			return BS_ECORRUPT;
	}
	/* The state lies at a fixed place in a value: no need to decode what is passed over. */
	if (l->f->state && (value.len < 2 || value.ptr[1] != l->f->state))
		return value.len < 2 ? BS_ECORRUPT : 0;
	rc = load(r, key, value, l->f->with_secrets, &l->out[i]);
	return rc == BS_OK ? 1 : rc;
}

bs_ssize bs_registry_device_list(struct bs_registry_reader *r, const struct bs_device_filter *f,
				 struct bs_list_pos *pos, struct bs_device *out, size_t cap,
				 bool *end)
{
	struct list l = { f, 0, out };
	struct bs__walk w = { BS__DEVICE, { NULL, 0 }, take_device, &l };
	struct bs__key k = { 0, { 0 } };
	size_t prefix_len = strnlen(f->prefix, sizeof(f->prefix));
	size_t tag_len = strnlen(f->tag, sizeof(f->tag));

	if (prefix_len > BS_DEVICE_ID_MAX || (tag_len && !bs_name_valid(f->tag, tag_len)))
		return BS_EINVAL;
	if (tag_len) {
		w.table = BS__TAG;
		bs__key_tag(&k, f->tag, f->prefix, prefix_len);
		l.tag_len = tag_len + 1;
	} else {
		memcpy(k.b, f->prefix, prefix_len);
		k.len = prefix_len;
	}
	w.prefix.ptr = k.b;
	w.prefix.len = k.len;
	return bs__walk_page(r, &w, pos, cap, end);
}
