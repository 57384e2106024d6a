/* SPDX-License-Identifier: Apache-2.0 */
/* Relayed bytes of clients per month: one small value each, apart from the records, so that a batch
 * does not rewrite them and needs none: a client may be known by rules alone. */
#include <string.h>

#include "store/apply.h"
#include "store/reader.h"
#include "util/cursor.h"

enum {
	CAS_MAX = 64, /* authorities under which one identity is looked at */
};

int bs__volume_decode(struct bs_slice v, struct bs_volume *out)
{
	if (v.len != BS__VOLUME_LEN)
		return BS_ECORRUPT;
	out->month = bs_get_u32(v.ptr);
	out->bytes = bs_get_u64(v.ptr + 4);
	return BS_OK;
}

/* Sum up the latest month of all. */
static int take_volume(struct bs_registry_reader *r, void *arg, struct bs_slice key,
		       struct bs_slice value, size_t i)
{
	struct bs_volume *sum = arg;
	struct bs_volume v;
	int rc = bs__volume_decode(value, &v);

	(void)r;
	(void)key;
	(void)i;
	if (rc != BS_OK)
		return rc;
	if (v.month > sum->month)
		*sum = v;
	else if (v.month == sum->month)
		sum->bytes += v.bytes;
	return 1;
}

static int read_all(struct bs_registry_reader *r, const struct bs__key *k, struct bs_volume *out)
{
	struct bs__walk w = { BS__VOLUME, { k->b, k->len }, take_volume, out };
	struct bs_list_pos pos = { .len = 0 };
	bool end;
	bs_ssize n = bs__walk_page(r, &w, &pos, CAS_MAX, &end);

	if (n < 0)
		return n;
	return n > 0 ? BS_OK : BS_ENOENT;
}

int bs_registry_volume(struct bs_registry_reader *r, struct bs_slice identity, const uint8_t *ca_fp,
		       struct bs_volume *out)
{
	struct bs_volume v = { 0, 0 };
	struct bs_slice value;
	struct bs__key k;
	int rc;

	if (!bs_client_identity_valid((const char *)identity.ptr, identity.len))
		return BS_ENOENT;
	bs__key_client(&k, identity, ca_fp);
	rc = bs_registry_reader_begin(r);
	if (rc != BS_OK)
		return rc;
	if (ca_fp) {
		rc = bs__reader_get(r, BS__VOLUME, &k, &value);
		if (rc == BS_OK)
			rc = bs__volume_decode(value, &v);
	} else {
		rc = read_all(r, &k, &v);
	}
	bs_registry_reader_end(r);
	if (rc == BS_OK)
		*out = v;
	return rc;
}

int bs__apply_volume(struct bs__apply *a, const struct bs_store_request *req,
		     struct bs_store_result *res)
{
	uint8_t value[BS__VOLUME_LEN];
	size_t i;
	int rc = 0;

	for (i = 0; i < req->u.volume.n && !rc; i++) {
		const struct bs_store_volume *v = &req->u.volume.v[i];
		struct bs_slice id = { (const uint8_t *)v->identity, strlen(v->identity) };
		struct bs_volume now = v->add;
		struct bs_volume old;
		struct bs_slice old_value;
		struct bs__key k;

		bs__key_client(&k, id, v->ca_fp);
		if (bs__get(a->reg, a->txn, BS__VOLUME, k.b, k.len, &old_value) == 0 &&
		    bs__volume_decode(old_value, &old) == BS_OK) {
			/* What comes late for a month that is over is of no use any more. */
			if (old.month > now.month)
				continue;
			if (old.month == now.month)
				now.bytes += old.bytes;
		}
		bs_put_u32(value, now.month);
		bs_put_u64(value + 4, now.bytes);
		rc = bs__put(a->reg, a->txn, BS__VOLUME, k.b, k.len, value, sizeof(value), 0);
	}
	return rc ? bs__apply_error(a, &res->err, rc) : BS_OK;
}
