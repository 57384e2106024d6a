/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about clients, their certificates and what revokes them. */
#include <string.h>

#include "crypto/gcm.h"
#include "store/apply.h"

static void client_key(struct bs__key *k, const struct bs_client *c)
{
	bs__key_client(k, (struct bs_slice){ (const uint8_t *)c->identity, c->identity_len },
		       c->has_ca ? c->ca_fp : NULL);
}

static void tell(struct bs__apply *a, const struct bs_client *c)
{
	struct bs_store_change *change = bs__change(a, BS_CHANGE_CLIENT, BS__EPOCH_ACCESS);

	memcpy(change->identity, c->identity, (size_t)c->identity_len + 1);
	change->has_ca = c->has_ca;
	memcpy(change->ca_fp, c->ca_fp, BS_FP256_LEN);
	change->state = c->state;
}

static int load(struct bs__apply *a, const struct bs__key *k, const char *identity,
		struct bs_client *out, struct bs_store_result *res)
{
	struct bs_slice v;
	int rc = bs__get(a->reg, a->txn, BS__CLIENT, k->b, k->len, &v);

	if (rc == MDB_NOTFOUND) {
		bs__errtext(&res->err, "client \"%s\" is not registered", identity);
		return BS_ENOENT;
	}
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	rc = bs__client_decode_key((struct bs_slice){ k->b, k->len }, out);
	if (rc == BS_OK)
		rc = bs__client_decode(v, out);
	if (rc != BS_OK)
		bs__errtext(&res->err,
			    "the record of client \"%s\" is damaged; restore a backup, "
			    "or delete the client and add it again",
			    identity);
	return rc;
}

static int save(struct bs__apply *a, const struct bs__key *k, const struct bs_client *c)
{
	uint8_t buf[BS__VALUE_MAX];
	size_t len = bs__client_encode(c, buf);

	return bs__put(a->reg, a->txn, BS__CLIENT, k->b, k->len, buf, len, 0);
}

/* Whether the identity was revoked, under this CA or at all. */
static bool identity_revoked(struct bs__apply *a, const struct bs_client *c)
{
	struct bs_revocation rev;
	struct bs__key k;
	struct bs_slice v;

	memset(&rev, 0, sizeof(rev));
	rev.kind = BS_REVOKE_CLIENT;
	memcpy(rev.identity, c->identity, c->identity_len);
	rev.identity_len = c->identity_len;
	bs__key_revocation(&k, &rev);
	if (bs__get(a->reg, a->txn, BS__REVOCATION, k.b, k.len, &v) == 0)
		return true;
	if (!c->has_ca)
		return false;
	rev.has_ca = true;
	memcpy(rev.ca_fp, c->ca_fp, BS_FP256_LEN);
	bs__key_revocation(&k, &rev);
	return bs__get(a->reg, a->txn, BS__REVOCATION, k.b, k.len, &v) == 0;
}

int bs__apply_client_add(struct bs__apply *a, const struct bs_store_request *req,
			 struct bs_store_result *res)
{
	struct bs_client c = req->u.client;
	struct bs__key k;
	struct bs_slice v;
	int rc;

	client_key(&k, &c);
	if (bs__get(a->reg, a->txn, BS__CLIENT, k.b, k.len, &v) == 0) {
		bs__errtext(&res->err, "client \"%s\" is registered already", c.identity);
		return BS_EEXIST;
	}
	if (identity_revoked(a, &c)) {
		bs__errtext(&res->err,
			    "client \"%s\" was revoked for good; register it under "
			    "another identity",
			    c.identity);
		return BS_EPERM;
	}
	if (!c.state)
		c.state = BS_RECORD_ENABLED;
	c.generation = 1;
	c.created = c.created ? c.created : a->now;
	rc = save(a, &k, &c);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	tell(a, &c);
	return BS_OK;
}

int bs__apply_client_update(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res)
{
	const struct bs_client *want = &req->u.client;
	struct bs_client c;
	struct bs__key k;
	int rc;

	client_key(&k, want);
	rc = load(a, &k, want->identity, &c, res);
	if (rc != BS_OK)
		return rc;
	if (c.state == BS_RECORD_REVOKED) {
		bs__errtext(&res->err, "client \"%s\" was revoked for good", c.identity);
		return BS_EPERM;
	}
	if (want->state)
		c.state = want->state;
	c.has_key = want->has_key;
	memcpy(c.key_fp, want->key_fp, BS_FP256_LEN);
	c.groups = want->groups;
	c.generation++;
	rc = save(a, &k, &c);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	tell(a, &c);
	return BS_OK;
}

int bs__apply_client_delete(struct bs__apply *a, const struct bs_store_request *req,
			    struct bs_store_result *res)
{
	struct bs_client c = req->u.client;
	struct bs__key k;
	int rc;

	client_key(&k, &c);
	rc = bs__del(a->reg, a->txn, BS__CLIENT, k.b, k.len);
	if (rc == MDB_NOTFOUND) {
		bs__errtext(&res->err, "client \"%s\" is not registered", c.identity);
		return BS_ENOENT;
	}
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	c.state = 0;
	tell(a, &c);
	return BS_OK;
}

/* ---- revocations */

/* Set the records that a revoked identity has to revoked, so that lists show it. */
static int mark_clients(struct bs__apply *a, const struct bs_revocation *rev,
			struct bs_store_result *res)
{
	struct bs__key prefix;
	struct bs_client c;
	MDB_cursor *cur;
	MDB_val k;
	MDB_val v;
	int rc = mdb_cursor_open(a->txn, a->reg->dbi[BS__CLIENT], &cur);

	if (rc)
		return bs__apply_error(a, &res->err, rc);
	bs__key_client(&prefix,
		       (struct bs_slice){ (const uint8_t *)rev->identity, rev->identity_len },
		       rev->has_ca ? rev->ca_fp : NULL);
	k.mv_data = prefix.b;
	k.mv_size = prefix.len;
	rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
	while (rc == 0 && k.mv_size >= prefix.len && memcmp(k.mv_data, prefix.b, prefix.len) == 0) {
		struct bs__key at = { k.mv_size, { 0 } };

		if (k.mv_size > BS__KEY_MAX)
			break;
		memcpy(at.b, k.mv_data, k.mv_size);
		/* A damaged record is passed over: the revocation itself is what counts. */
		if (load(a, &at, rev->identity, &c, res) == BS_OK) {
			c.state = BS_RECORD_REVOKED;
			c.generation++;
			rc = save(a, &at, &c);
		}
		res->err.text[0] = 0;
		if (rc == 0)
			rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cur);
	return rc && rc != MDB_NOTFOUND ? bs__apply_error(a, &res->err, rc) : BS_OK;
}

int bs__apply_revoke(struct bs__apply *a, const struct bs_store_request *req,
		     struct bs_store_result *res)
{
	struct bs_revocation rev = req->u.revocation;
	struct bs_store_change *change;
	uint8_t buf[BS__VALUE_MAX];
	struct bs__key k;
	int rc;

	if (!rev.when)
		rev.when = a->now;
	bs__key_revocation(&k, &rev);
	rc = bs__put(a->reg, a->txn, BS__REVOCATION, k.b, k.len, buf,
		     bs__revocation_encode(&rev, buf), MDB_NOOVERWRITE);
	if (rc && rc != MDB_KEYEXIST)
		return bs__apply_error(a, &res->err, rc);
	if (rev.kind == BS_REVOKE_CLIENT) {
		rc = mark_clients(a, &rev, res);
		if (rc != BS_OK)
			return rc;
	}
	/* Told again when it was there already: who asks twice may have reason to. */
	change = bs__change(a, BS_CHANGE_REVOKED, BS__EPOCH_CRL);
	a->touched[BS__EPOCH_ACCESS] = true;
	memcpy(change->identity, rev.identity, sizeof(change->identity));
	change->has_ca = rev.has_ca;
	memcpy(change->ca_fp, rev.ca_fp, BS_FP256_LEN);
	change->revocation = rev;
	return BS_OK;
}

/* ---- CA certificates */

static void tell_ca(struct bs__apply *a, const uint8_t *fp)
{
	struct bs_store_change *change = bs__change(a, BS_CHANGE_CA, BS__EPOCH_CRL);

	a->touched[BS__EPOCH_ACCESS] = true;
	change->has_ca = true;
	memcpy(change->ca_fp, fp, BS_FP256_LEN);
}

int bs__apply_ca_add(struct bs__apply *a, const struct bs_store_request *req,
		     struct bs_store_result *res)
{
	uint8_t buf[BS__CA_HEAD_MAX + BS_CA_DER_MAX];
	struct bs_ca ca;
	size_t len;
	int rc;

	memset(&ca, 0, sizeof(ca));
	memcpy(ca.name, req->u.ca.name, sizeof(ca.name));
	ca.roles = req->u.ca.roles;
	ca.added = a->now;
	rc = bs_gcm_sha256(req->u.ca.der, ca.fp);
	if (rc != BS_OK) {
		bs__errtext(&res->err, "CA \"%s\": cannot hash it", ca.name);
		return rc;
	}
	len = bs__ca_encode_head(&ca, buf);
	memcpy(buf + len, req->u.ca.der.ptr, req->u.ca.der.len);
	rc = bs__put(a->reg, a->txn, BS__CA, ca.fp, sizeof(ca.fp), buf, len + req->u.ca.der.len,
		     MDB_NOOVERWRITE);
	if (rc == MDB_KEYEXIST) {
		bs__errtext(&res->err, "CA \"%s\": this certificate is there already", ca.name);
		return BS_EEXIST;
	}
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	tell_ca(a, ca.fp);
	return BS_OK;
}

int bs__apply_ca_remove(struct bs__apply *a, const struct bs_store_request *req,
			struct bs_store_result *res)
{
	int rc = bs__del(a->reg, a->txn, BS__CA, req->u.ca.fp, BS_FP256_LEN);

	if (rc == MDB_NOTFOUND) {
		bs__errtext(&res->err, "no CA certificate has this fingerprint");
		return BS_ENOENT;
	}
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	tell_ca(a, req->u.ca.fp);
	return BS_OK;
}
