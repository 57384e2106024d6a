/* SPDX-License-Identifier: Apache-2.0 */
#include "store/schema.h"

#include <stdio.h>
#include <string.h>

#include "crypto/openssl.h"
#include "log/log.h"
#include "util/cursor.h"

/* What the key check value holds. */
static const uint8_t check_text[16] = "basestation key";

static const char *const epoch_names[BS__EPOCHS] = {
	[BS__EPOCH_ACCESS] = "epoch-access",
	[BS__EPOCH_CRL] = "epoch-crl",
	[BS__EPOCH_CHANGE] = "epoch-change",
};

const char *bs__epoch_name(enum bs__epoch e)
{
	return epoch_names[e];
}

static struct bs_slice text_slice(const char *text)
{
	struct bs_slice s = { (const uint8_t *)text, strlen(text) };

	return s;
}

int bs__meta_get(const struct bs_registry *reg, MDB_txn *txn, const char *name, uint64_t *out)
{
	struct bs_slice v;
	int rc = bs__get(reg, txn, BS__META, name, strlen(name), &v);

	if (rc == MDB_NOTFOUND || (rc == 0 && v.len != 8))
		return BS_ECORRUPT;
	if (rc)
		return bs__env_code(rc);
	*out = bs_get_u64(v.ptr);
	return BS_OK;
}

int bs__meta_put(const struct bs_registry *reg, MDB_txn *txn, const char *name, uint64_t v)
{
	uint8_t buf[8];

	bs_put_u64(buf, v);
	return bs__put(reg, txn, BS__META, name, strlen(name), buf, sizeof(buf), 0);
}

/* Seal 16 or 32 bytes into the meta table, bound to the name. */
static int put_sealed(const struct bs_registry *reg, MDB_txn *txn, struct bs_seal *seal,
		      const char *name, struct bs_slice plain)
{
	uint8_t buf[32 + BS_SEAL_OVERHEAD];
	int rc = bs_seal_close(seal, text_slice(name), plain, buf);

	if (rc != BS_OK)
		return rc;
	return bs__env_code(bs__put(reg, txn, BS__META, name, strlen(name), buf,
				    plain.len + BS_SEAL_OVERHEAD, 0));
}

static int get_sealed(const struct bs_registry *reg, MDB_txn *txn, struct bs_seal *seal,
		      const char *name, uint8_t *out, size_t len)
{
	struct bs_slice v;

	if (bs__get(reg, txn, BS__META, name, strlen(name), &v) || v.len != len + BS_SEAL_OVERHEAD)
		return BS_ECORRUPT;
	return bs_seal_open(seal, text_slice(name), v, out);
}

static int draw(uint8_t *instance, uint8_t *secret)
{
	struct bs_openssl *o = bs_openssl_new();
	const struct bs_crypto *c;
	int rc;

	if (!o)
		return BS_ENOMEM;
	c = bs_openssl_crypto(o);
	rc = c->random(c->ctx, instance, 16);
	if (rc == BS_OK)
		rc = c->random(c->ctx, secret, 32);
	bs_openssl_free(o);
	return rc;
}

static int fill(const struct bs_registry *reg, MDB_txn *txn, struct bs_seal *seal)
{
	static const struct {
		const char *name;
		uint64_t v;
	} numbers[] = {
		{ "schema", BS_STORE_SCHEMA }, { "boot", 0 },
		{ "next-number", 1 },          { "next-rule", 1 },
		{ "epoch-access", 1 },         { "epoch-crl", 1 },
		{ "epoch-change", 1 },
	};
	struct bs_slice check = { check_text, sizeof(check_text) };
	uint8_t secret[32];
	uint8_t instance[16];
	struct bs_slice plain = { secret, sizeof(secret) };
	int rc = draw(instance, secret);
	size_t i;

	for (i = 0; rc == BS_OK && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		rc = bs__env_code(bs__meta_put(reg, txn, numbers[i].name, numbers[i].v));
	if (rc == BS_OK)
		rc = bs__env_code(
			bs__put(reg, txn, BS__META, "instance", 8, instance, sizeof(instance), 0));
	if (rc == BS_OK)
		rc = put_sealed(reg, txn, seal, "check", check);
	if (rc == BS_OK)
		rc = put_sealed(reg, txn, seal, "server-secret", plain);
	bs_wipe(secret, sizeof(secret));
	return rc;
}

int bs__schema_create(struct bs_registry *reg, struct bs_errtext *err)
{
	struct bs_seal *seal;
	MDB_txn *txn;
	int rc = bs_seal_new(reg->master_key, &seal);

	if (rc != BS_OK)
		return rc;
	rc = bs__env_code(mdb_txn_begin(reg->env, NULL, 0, &txn));
	if (rc == BS_OK) {
		rc = fill(reg, txn, seal);
		if (rc == BS_OK)
			rc = bs__env_code(mdb_txn_commit(txn));
		else
			mdb_txn_abort(txn);
	}
	bs_seal_free(seal);
	if (rc != BS_OK)
		bs__errtext(err, "%s: cannot fill a new registry: %s", reg->dir, bs_strerror(rc));
	return rc;
}

static int check_key(const struct bs_registry *reg, MDB_txn *txn, struct bs_seal *seal,
		     struct bs_errtext *err)
{
	uint8_t text[sizeof(check_text)];
	int rc = get_sealed(reg, txn, seal, "check", text, sizeof(text));

	if (rc == BS_OK && memcmp(text, check_text, sizeof(text)) == 0)
		return BS_OK;
	if (rc == BS_EMAC) {
		bs__errtext(err,
			    "%s: the master key is not the one that sealed this registry; "
			    "name the right key-file",
			    reg->dir);
		return BS_EAUTH;
	}
	bs__errtext(err, "%s: the key check value is damaged; restore a backup", reg->dir);
	return BS_ECORRUPT;
}

static int check_schema(const struct bs_registry *reg, MDB_txn *txn, struct bs_errtext *err)
{
	uint64_t have = 0;
	int rc = bs__meta_get(reg, txn, "schema", &have);

	if (rc != BS_OK || have == 0) {
		bs__errtext(err,
			    "%s: it has no schema version: it is not a registry, or damaged; "
			    "restore a backup",
			    reg->dir);
		return BS_ECORRUPT;
	}
	if (have > BS_STORE_SCHEMA) {
		bs__errtext(err,
			    "%s: its schema %llu is newer than %d, the newest this program "
			    "knows; use the newer program, or restore an older backup",
			    reg->dir, (unsigned long long)have, BS_STORE_SCHEMA);
		return BS_EVERSION;
	}
	if (have < BS_STORE_SCHEMA && reg->joins) {
		bs__errtext(err,
			    "%s: this program changes the schema from %llu to %d; stop the old one "
			    "and start it, an upgrade in place cannot do that",
			    reg->dir, (unsigned long long)have, BS_STORE_SCHEMA);
		return BS_EVERSION;
	}
	if (have < BS_STORE_SCHEMA && !reg->write) {
		bs__errtext(err,
			    "%s: its schema %llu is older than %d; start basestationd once "
			    "to migrate it",
			    reg->dir, (unsigned long long)have, BS_STORE_SCHEMA);
		return BS_EVERSION;
	}
	return BS_OK;
}

static int migrate(const struct bs_registry *reg, MDB_txn *txn, struct bs_errtext *err)
{
	uint64_t have = 0;
	uint64_t at;
	int rc = bs__meta_get(reg, txn, "schema", &have);

	for (at = have; rc == BS_OK && at < BS_STORE_SCHEMA; at++)
		rc = bs__migrate_step(reg, txn, at, err);
	if (rc == BS_OK && have < BS_STORE_SCHEMA) {
		rc = bs__env_code(bs__meta_put(reg, txn, "schema", BS_STORE_SCHEMA));
		bs_log_notice("store, registry migrated (schema %u to %u)", (unsigned)have,
			      (unsigned)BS_STORE_SCHEMA);
	}
	return rc;
}

int bs__schema_epochs(struct bs_registry *reg, MDB_txn *txn)
{
	uint64_t v;
	int rc;
	int e;

	for (e = 0; e < BS__EPOCHS; e++) {
		rc = bs__meta_get(reg, txn, epoch_names[e], &v);
		if (rc != BS_OK)
			return rc;
		/* Release: whoever sees the number finds the commit in its next snapshot. */
		atomic_store_explicit(&reg->epoch[e], v, memory_order_release);
	}
	return BS_OK;
}

static int load_rest(struct bs_registry *reg, MDB_txn *txn, struct bs_seal *seal)
{
	struct bs_slice v;
	int rc;

	if (bs__get(reg, txn, BS__META, "instance", 8, &v) || v.len != sizeof(reg->instance))
		return BS_ECORRUPT;
	memcpy(reg->instance, v.ptr, v.len);
	rc = get_sealed(reg, txn, seal, "server-secret", reg->server_secret,
			sizeof(reg->server_secret));
	if (rc == BS_OK)
		rc = bs__meta_get(reg, txn, "boot", &reg->boot);
	if (rc == BS_OK && reg->write)
		rc = bs__env_code(bs__meta_put(reg, txn, "boot", ++reg->boot));
	if (rc == BS_OK)
		rc = bs__schema_epochs(reg, txn);
	return rc == BS_EMAC ? BS_ECORRUPT : rc;
}

int bs__schema_load(struct bs_registry *reg, struct bs_errtext *err)
{
	struct bs_seal *seal;
	MDB_txn *txn = NULL;
	int rc = bs_seal_new(reg->master_key, &seal);

	if (rc != BS_OK)
		return rc;
	rc = mdb_txn_begin(reg->env, NULL, reg->write ? 0 : MDB_RDONLY, &txn);
	if (rc) {
		bs_seal_free(seal);
		return bs__env_error(err, reg->dir, rc, "cannot begin a transaction");
	}
	rc = check_schema(reg, txn, err);
	if (rc == BS_OK)
		rc = check_key(reg, txn, seal, err);
	if (rc == BS_OK && reg->write)
		rc = migrate(reg, txn, err);
	if (rc == BS_OK) {
		rc = load_rest(reg, txn, seal);
		if (rc != BS_OK)
			bs__errtext(err, "%s: the meta table is damaged (%s); restore a backup",
				    reg->dir, bs_strerror(rc));
	}
	bs_seal_free(seal);
	if (rc != BS_OK) {
		mdb_txn_abort(txn);
		return rc;
	}
	rc = mdb_txn_commit(txn);
	return rc ? bs__env_error(err, reg->dir, rc, "cannot write to the registry") : BS_OK;
}
