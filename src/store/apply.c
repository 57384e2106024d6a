/* SPDX-License-Identifier: Apache-2.0 */
#include "store/apply.h"

#include <string.h>

#include "store/schema.h"

/* Requests that only make room or take rights away may use the part of the map that is kept
 * back. */
static const struct {
	bs__apply_fn fn;
	bool grows;
} ops[] = {
	[BS_STORE_DEVICE_ADD] = { bs__apply_device_add, true },
	[BS_STORE_DEVICE_DELETE] = { bs__apply_device_delete, false },
	[BS_STORE_DEVICE_STATE] = { bs__apply_device_state, false },
	[BS_STORE_DEVICE_LEGACY] = { bs__apply_device_legacy, false },
	[BS_STORE_DEVICE_TAGS] = { bs__apply_device_tags, true },
	[BS_STORE_DEVICE_ROTATE] = { bs__apply_device_rotate, true },
	[BS_STORE_DEVICE_ROTATE_DONE] = { bs__apply_device_rotate_done, false },
	[BS_STORE_DEVICE_ROTATE_UNDO] = { bs__apply_device_rotate_undo, false },
	[BS_STORE_CLIENT_ADD] = { bs__apply_client_add, true },
	[BS_STORE_CLIENT_UPDATE] = { bs__apply_client_update, false },
	[BS_STORE_CLIENT_DELETE] = { bs__apply_client_delete, false },
	[BS_STORE_RULE_ADD] = { bs__apply_rule_add, true },
	[BS_STORE_RULE_DELETE] = { bs__apply_rule_delete, false },
	[BS_STORE_CA_ADD] = { bs__apply_ca_add, true },
	[BS_STORE_CA_REMOVE] = { bs__apply_ca_remove, false },
	[BS_STORE_REVOKE] = { bs__apply_revoke, false },
	[BS_STORE_SEEN] = { bs__apply_seen, true },
	[BS_STORE_VOLUME] = { bs__apply_volume, true },
};

int bs__apply(struct bs__apply *a, const struct bs_store_request *req, struct bs_store_result *res)
{
	int rc;

	if (req->op == BS_STORE_SYNC)
		return BS_OK;
	if ((size_t)req->op >= sizeof(ops) / sizeof(ops[0]) || !ops[req->op].fn)
		return BS_EINTERNAL;
	rc = ops[req->op].fn(a, req, res);
	if (rc == BS_OK && ops[req->op].grows)
		rc = bs__apply_room(a, &res->err);
	return rc;
}

int bs__apply_epochs(struct bs__apply *a)
{
	int rc = BS_OK;
	int e;

	if (a->touched[BS__EPOCH_ACCESS] || a->touched[BS__EPOCH_CRL])
		a->touched[BS__EPOCH_CHANGE] = true;
	for (e = 0; e < BS__EPOCHS && rc == BS_OK; e++) {
		uint64_t v;

		if (!a->touched[e])
			continue;
		rc = bs__meta_get(a->reg, a->txn, bs__epoch_name(e), &v);
		if (rc == BS_OK)
			rc = bs__env_code(bs__meta_put(a->reg, a->txn, bs__epoch_name(e), v + 1));
	}
	return rc;
}

struct bs_store_change *bs__change(struct bs__apply *a, enum bs_store_change_kind kind,
				   enum bs__epoch epoch)
{
	struct bs_store_change *c;

	a->touched[epoch] = true;
	if (a->n_changes == BS__CHANGES_MAX) {
		a->many = true;
		a->n_changes--;
	}
	c = &a->change[a->n_changes++];
	memset(c, 0, sizeof(*c));
	c->kind = kind;
	return c;
}

int bs__apply_number(struct bs__apply *a, const char *counter, uint32_t *out)
{
	uint64_t next;
	int rc = bs__meta_get(a->reg, a->txn, counter, &next);

	if (rc != BS_OK)
		return rc;
	if (next == 0 || next > UINT32_MAX)
		return BS_EFULL;
	rc = bs__env_code(bs__meta_put(a->reg, a->txn, counter, next + 1));
	if (rc == BS_OK)
		*out = (uint32_t)next;
	return rc;
}

int bs__apply_room(const struct bs__apply *a, struct bs_errtext *err)
{
	if (bs__env_live(a->reg, a->txn) <= a->reg->limit_bytes)
		return BS_OK;
	bs__errtext(err,
		    "%s: the database is full (%llu MiB); raise database-size in the conf and "
		    "restart, or delete devices",
		    a->reg->dir, (unsigned long long)(a->reg->map_bytes >> 20));
	return BS_ENOSPC;
}

int bs__apply_error(const struct bs__apply *a, struct bs_errtext *err, int lmdb)
{
	return bs__env_error(err, a->reg->dir, lmdb, "cannot write");
}

int bs__apply_tag_index(struct bs__apply *a, const char *id, size_t id_len,
			const struct bs_names *tags, bool add)
{
	struct bs__key k;
	size_t i;
	int rc;

	for (i = 0; i < tags->n; i++) {
		bs__key_tag(&k, tags->name[i], id, id_len);
		rc = add ? bs__put(a->reg, a->txn, BS__TAG, k.b, k.len, "", 0, 0)
			 : bs__del(a->reg, a->txn, BS__TAG, k.b, k.len);
		if (rc)
			return rc;
	}
	return 0;
}
