/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about devices. */
#include <string.h>

#include "store/apply.h"
#include "util/cursor.h"

/* A device being changed: the decoded record and copies of its seals, for the put may move the page
 * that they lie in. */
struct edit {
	struct bs__device_record rec;
	uint8_t sealed[BS__SEALED_SECRET_LEN];
	uint8_t sealed_next[BS__SEALED_SECRET_LEN];
};

static int load(struct bs__apply *a, const char *id, struct edit *e, struct bs_store_result *res)
{
	struct bs_slice v;
	int rc = bs__get(a->reg, a->txn, BS__DEVICE, id, strlen(id), &v);

	if (rc == MDB_NOTFOUND) {
		bs__errtext(&res->err, "device \"%s\" is not registered", id);
		return BS_ENOENT;
	}
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	if (bs__device_decode(v, &e->rec) != BS_OK) {
		bs__errtext(&res->err,
			    "the record of device \"%s\" is damaged; restore a backup, "
			    "or delete the device and add it again",
			    id);
		return BS_ECORRUPT;
	}
	if (e->rec.sealed) {
		memcpy(e->sealed, e->rec.sealed, sizeof(e->sealed));
		e->rec.sealed = e->sealed;
	}
	if (e->rec.sealed_next) {
		memcpy(e->sealed_next, e->rec.sealed_next, sizeof(e->sealed_next));
		e->rec.sealed_next = e->sealed_next;
	}
	return BS_OK;
}

static int save(struct bs__apply *a, const char *id, struct edit *e, struct bs_store_result *res)
{
	uint8_t buf[BS__VALUE_MAX];
	size_t len;
	int rc;

	e->rec.generation++;
	len = bs__device_encode(&e->rec, buf);
	rc = bs__put(a->reg, a->txn, BS__DEVICE, id, strlen(id), buf, len, 0);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	res->number = e->rec.number;
	return BS_OK;
}

static void tell(struct bs__apply *a, enum bs_store_change_kind kind, enum bs__epoch epoch,
		 const char *id, const struct bs__device_record *rec)
{
	struct bs_store_change *c = bs__change(a, kind, epoch);

	memcpy(c->device_id, id, strlen(id) + 1);
	c->number = rec->number;
	c->state = rec->state;
}

static int seal(struct bs__apply *a, const char *id, enum bs__secret_slot slot,
		const uint8_t *secret, uint8_t *out)
{
	struct bs__key ad;

	bs__device_ad(&ad, id, strlen(id), slot);
	return bs_seal_close(a->seal, (struct bs_slice){ ad.b, ad.len },
			     (struct bs_slice){ secret, BS_PSK_LEN }, out);
}

static int insert(struct bs__apply *a, const char *id, const struct bs__device_record *rec)
{
	uint8_t buf[BS__VALUE_MAX];
	size_t len = bs__device_encode(rec, buf);
	struct bs__key k;
	int rc = bs__put(a->reg, a->txn, BS__DEVICE, id, strlen(id), buf, len, MDB_NOOVERWRITE);

	if (rc)
		return rc;
	bs__key_u32(&k, rec->number);
	rc = bs__put(a->reg, a->txn, BS__NUMBER, k.b, k.len, id, strlen(id), MDB_NOOVERWRITE);
	return rc ? rc : bs__apply_tag_index(a, id, strlen(id), &rec->tags, true);
}

int bs__apply_device_add(struct bs__apply *a, const struct bs_store_request *req,
			 struct bs_store_result *res)
{
	const struct bs_device *d = &req->u.device;
	struct edit e;
	struct bs_slice v;
	int rc;

	if (bs__get(a->reg, a->txn, BS__DEVICE, d->id, strlen(d->id), &v) == 0) {
		bs__errtext(&res->err, "device \"%s\" is registered already", d->id);
		return BS_EEXIST;
	}
	memset(&e.rec, 0, sizeof(e.rec));
	e.rec.state = d->state ? d->state : BS_RECORD_ENABLED;
	e.rec.flags = d->flags;
	e.rec.created = d->created ? d->created : a->now;
	e.rec.generation = 1;
	e.rec.tags = d->tags;
	rc = bs__apply_number(a, "next-number", &e.rec.number);
	if (rc == BS_OK && d->has_secret) {
		rc = seal(a, d->id, BS__SLOT_SECRET, d->secret, e.sealed);
		e.rec.sealed = e.sealed;
	}
	if (rc != BS_OK) {
		bs__errtext(&res->err, "device \"%s\": %s", d->id, bs_strerror(rc));
		return rc;
	}
	rc = insert(a, d->id, &e.rec);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	res->number = e.rec.number;
	tell(a, BS_CHANGE_DEVICE_ADDED, BS__EPOCH_ACCESS, d->id, &e.rec);
	return BS_OK;
}

/* Delete what can be found of it: a damaged record must not be there for ever. */
int bs__apply_device_delete(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res)
{
	const char *id = req->u.device.id;
	struct bs__key k;
	struct edit e;
	int rc = load(a, id, &e, res);

	if (rc == BS_ECORRUPT)
		e.rec.number = 0;
	else if (rc != BS_OK)
		return rc;
	rc = bs__del(a->reg, a->txn, BS__DEVICE, id, strlen(id));
	if (rc == 0 && e.rec.number) {
		bs__key_u32(&k, e.rec.number);
		rc = bs__del(a->reg, a->txn, BS__NUMBER, k.b, k.len);
		if (rc == 0)
			rc = bs__apply_tag_index(a, id, strlen(id), &e.rec.tags, false);
		if (rc == 0)
			rc = bs__del(a->reg, a->txn, BS__SEEN, k.b, k.len);
		/* Never seen, or an index entry that was lost: gone is gone. */
		if (rc == MDB_NOTFOUND)
			rc = 0;
	}
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	res->err.text[0] = 0;
	res->number = e.rec.number;
	e.rec.state = 0;
	tell(a, BS_CHANGE_DEVICE_REMOVED, BS__EPOCH_ACCESS, id, &e.rec);
	return BS_OK;
}

int bs__apply_device_state(struct bs__apply *a, const struct bs_store_request *req,
			   struct bs_store_result *res)
{
	const char *id = req->u.device.id;
	struct edit e;
	int rc = load(a, id, &e, res);

	if (rc != BS_OK)
		return rc;
	res->number = e.rec.number;
	if (e.rec.state == req->u.device.state)
		return BS_OK;
	e.rec.state = req->u.device.state;
	rc = save(a, id, &e, res);
	if (rc == BS_OK)
		tell(a, BS_CHANGE_DEVICE_STATE, BS__EPOCH_ACCESS, id, &e.rec);
	return rc;
}

int bs__apply_device_legacy(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res)
{
	const char *id = req->u.device.id;
	struct edit e;
	int rc = load(a, id, &e, res);

	if (rc != BS_OK)
		return rc;
	if (!(req->u.device.flags & BS_DEVICE_LEGACY) && !e.rec.sealed) {
		bs__errtext(&res->err,
			    "device \"%s\" has no secret and could not attach at all; "
			    "give it one first (rotate-key)",
			    id);
		return BS_EINVAL;
	}
	e.rec.flags = req->u.device.flags;
	rc = save(a, id, &e, res);
	if (rc == BS_OK)
		tell(a, BS_CHANGE_DEVICE_KEY, BS__EPOCH_CHANGE, id, &e.rec);
	return rc;
}

int bs__apply_device_tags(struct bs__apply *a, const struct bs_store_request *req,
			  struct bs_store_result *res)
{
	const char *id = req->u.tags.id;
	struct bs_names old;
	struct edit e;
	size_t i;
	int rc = load(a, id, &e, res);

	if (rc != BS_OK)
		return rc;
	old = e.rec.tags;
	for (i = 0; i < req->u.tags.remove.n; i++)
		bs_names_remove(&e.rec.tags, req->u.tags.remove.name[i],
				strlen(req->u.tags.remove.name[i]));
	for (i = 0; i < req->u.tags.add.n && rc == BS_OK; i++)
		rc = bs_names_add(&e.rec.tags, req->u.tags.add.name[i],
				  strlen(req->u.tags.add.name[i]));
	if (rc != BS_OK) {
		bs__errtext(&res->err, "device \"%s\": it would have more than %d tags", id,
			    BS_NAMES_MAX);
		return rc;
	}
	res->number = e.rec.number;
	if (bs_names_equal(&old, &e.rec.tags))
		return BS_OK;
	rc = bs__apply_tag_index(a, id, strlen(id), &old, false);
	if (rc == 0)
		rc = bs__apply_tag_index(a, id, strlen(id), &e.rec.tags, true);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	rc = save(a, id, &e, res);
	if (rc == BS_OK)
		tell(a, BS_CHANGE_DEVICE_TAGS, BS__EPOCH_ACCESS, id, &e.rec);
	return rc;
}

int bs__apply_device_rotate(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res)
{
	const char *id = req->u.device.id;
	struct edit e;
	int rc = load(a, id, &e, res);

	if (rc != BS_OK)
		return rc;
	if (e.rec.sealed_next) {
		bs__errtext(&res->err,
			    "device \"%s\": a rotation is under way; finish or undo it "
			    "first",
			    id);
		return BS_EEXIST;
	}
	/* Without an old secret there is nothing to keep valid beside the new one. */
	if (e.rec.sealed) {
		rc = seal(a, id, BS__SLOT_NEXT, req->u.device.secret, e.sealed_next);
		e.rec.sealed_next = e.sealed_next;
	} else {
		rc = seal(a, id, BS__SLOT_SECRET, req->u.device.secret, e.sealed);
		e.rec.sealed = e.sealed;
	}
	if (rc == BS_OK)
		rc = save(a, id, &e, res);
	if (rc == BS_OK)
		tell(a, BS_CHANGE_DEVICE_KEY, BS__EPOCH_CHANGE, id, &e.rec);
	return rc;
}

/* The new secret moves to the first slot: a seal is bound to its slot, so it is made anew. */
static int promote(struct bs__apply *a, const char *id, struct edit *e)
{
	uint8_t secret[BS_PSK_LEN];
	struct bs__key ad;
	int rc;

	bs__device_ad(&ad, id, strlen(id), BS__SLOT_NEXT);
	rc = bs_seal_open(a->seal, (struct bs_slice){ ad.b, ad.len },
			  (struct bs_slice){ e->sealed_next, sizeof(e->sealed_next) }, secret);
	if (rc == BS_OK)
		rc = seal(a, id, BS__SLOT_SECRET, secret, e->sealed);
	bs_wipe(secret, sizeof(secret));
	e->rec.sealed = e->sealed;
	e->rec.sealed_next = NULL;
	return rc == BS_EMAC ? BS_ECORRUPT : rc;
}

static int end_rotation(struct bs__apply *a, const char *id, bool keep_new,
			struct bs_store_result *res)
{
	struct edit e;
	int rc = load(a, id, &e, res);

	if (rc != BS_OK)
		return rc;
	if (!e.rec.sealed_next) {
		bs__errtext(&res->err, "device \"%s\": no rotation is under way", id);
		return BS_ESTATE;
	}
	if (keep_new)
		rc = promote(a, id, &e);
	else
		e.rec.sealed_next = NULL;
	if (rc != BS_OK) {
		bs__errtext(&res->err, "device \"%s\": its new secret cannot be opened (%s)", id,
			    bs_strerror(rc));
		return rc;
	}
	rc = save(a, id, &e, res);
	if (rc == BS_OK)
		tell(a, BS_CHANGE_DEVICE_KEY, BS__EPOCH_CHANGE, id, &e.rec);
	return rc;
}

int bs__apply_device_rotate_done(struct bs__apply *a, const struct bs_store_request *req,
				 struct bs_store_result *res)
{
	return end_rotation(a, req->u.device.id, true, res);
}

int bs__apply_device_rotate_undo(struct bs__apply *a, const struct bs_store_request *req,
				 struct bs_store_result *res)
{
	return end_rotation(a, req->u.device.id, false, res);
}

int bs__apply_seen(struct bs__apply *a, const struct bs_store_request *req,
		   struct bs_store_result *res)
{
	struct bs__key k;
	struct bs_slice v;
	uint8_t when[8];
	size_t i;
	int rc = 0;

	for (i = 0; i < req->u.seen.n && !rc; i++) {
		bs__key_u32(&k, req->u.seen.v[i].number);
		if (bs__get(a->reg, a->txn, BS__NUMBER, k.b, k.len, &v))
			continue;
		if (bs__get(a->reg, a->txn, BS__SEEN, k.b, k.len, &v) == 0 && v.len == 8 &&
		    bs_get_u64(v.ptr) >= req->u.seen.v[i].when)
			continue;
		bs_put_u64(when, req->u.seen.v[i].when);
		rc = bs__put(a->reg, a->txn, BS__SEEN, k.b, k.len, when, sizeof(when), 0);
	}
	return rc ? bs__apply_error(a, &res->err, rc) : BS_OK;
}
