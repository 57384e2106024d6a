/* SPDX-License-Identifier: Apache-2.0 */
/* Reading clients, revocations and CA certificates. */
#include <string.h>

#include "store/reader.h"

/* ---- clients */

static int load_client(struct bs_slice key, struct bs_slice value, struct bs_client *out)
{
	int rc = bs__client_decode_key(key, out);

	return rc == BS_OK ? bs__client_decode(value, out) : rc;
}

int bs_registry_client_get(struct bs_registry_reader *r, struct bs_slice identity,
			   const uint8_t *ca_fp, struct bs_client *out)
{
	struct bs_client c;
	struct bs__key k;
	struct bs_slice v;
	int rc;

	if (!bs_client_identity_valid((const char *)identity.ptr, identity.len))
		return BS_ENOENT;
	bs__key_client(&k, identity, ca_fp);
	rc = bs_registry_reader_begin(r);
	if (rc != BS_OK)
		return rc;
	rc = bs__reader_get(r, BS__CLIENT, &k, &v);
	if (rc == BS_OK)
		rc = load_client((struct bs_slice){ k.b, k.len }, v, &c);
	if (rc == BS_OK)
		*out = c;
	bs_registry_reader_end(r);
	return rc;
}

int bs_registry_client(struct bs_registry_reader *r, const struct bs_presented *who,
		       struct bs_client *out)
{
	struct bs_client c;
	int rc = bs_registry_reader_begin(r);

	if (rc != BS_OK)
		return rc;
	rc = BS_ENOENT;
	if (who->ca_fp)
		rc = bs_registry_client_get(r, who->identity, who->ca_fp, &c);
	if (rc == BS_ENOENT)
		rc = bs_registry_client_get(r, who->identity, NULL, &c);
	bs_registry_reader_end(r);
	if (rc != BS_OK)
		return rc;
	if (c.has_key && who->key_fp && memcmp(c.key_fp, who->key_fp, BS_FP256_LEN) != 0)
		return BS_EAUTH;
	*out = c;
	return BS_OK;
}

static int take_client(struct bs_registry_reader *r, void *arg, struct bs_slice key,
		       struct bs_slice value, size_t i)
{
	struct bs_client *out = arg;
	int rc = load_client(key, value, &out[i]);

	return rc == BS_OK ? 1 : rc;
}

bs_ssize bs_registry_client_list(struct bs_registry_reader *r, struct bs_list_pos *pos,
				 struct bs_client *out, size_t cap, bool *end)
{
	struct bs__walk w = { BS__CLIENT, { NULL, 0 }, take_client, out };

	return bs__walk_page(r, &w, pos, cap, end);
}

/* ---- revocations */

static int is_revoked(struct bs_registry_reader *r, const struct bs_revocation *rev, bool *hit)
{
	struct bs__key k;
	struct bs_slice v;
	int rc;

	bs__key_revocation(&k, rev);
	rc = bs__reader_get(r, BS__REVOCATION, &k, &v);
	if (rc == BS_OK)
		*hit = true;
	return rc == BS_ENOENT ? BS_OK : rc;
}

static int identity_revoked(struct bs_registry_reader *r, const struct bs_presented *who, bool *hit)
{
	struct bs_revocation rev;
	int rc;

	memset(&rev, 0, sizeof(rev));
	rev.kind = BS_REVOKE_CLIENT;
	memcpy(rev.identity, who->identity.ptr, who->identity.len);
	rev.identity_len = (uint8_t)who->identity.len;
	rc = is_revoked(r, &rev, hit);
	if (rc != BS_OK || !who->ca_fp)
		return rc;
	rev.has_ca = true;
	memcpy(rev.ca_fp, who->ca_fp, BS_FP256_LEN);
	return is_revoked(r, &rev, hit);
}

static int cert_revoked(struct bs_registry_reader *r, const struct bs_presented *who, bool *hit)
{
	struct bs_slice serial = bs__serial_trim(who->serial);
	struct bs_revocation rev;

	/* A serial that no record can hold. */
	if (serial.len == 0 || serial.len > BS_SERIAL_MAX)
		return BS_OK;
	memset(&rev, 0, sizeof(rev));
	rev.kind = BS_REVOKE_CERT;
	rev.has_ca = true;
	memcpy(rev.ca_fp, who->ca_fp, BS_FP256_LEN);
	memcpy(rev.serial, serial.ptr, serial.len);
	rev.serial_len = (uint8_t)serial.len;
	return is_revoked(r, &rev, hit);
}

/* All three are always looked up: the answer takes the same time whatever hits. */
static int revoked(struct bs_registry_reader *r, const struct bs_presented *who,
		   enum bs_revoke_kind *by)
{
	struct bs_revocation rev;
	bool client = false;
	bool cert = false;
	bool key = false;
	int rc = BS_OK;

	if (who->identity.ptr) {
		if (who->identity.len > BS_CLIENT_ID_MAX)
			return BS_EINVAL;
		rc = identity_revoked(r, who, &client);
	}
	if (rc == BS_OK && who->ca_fp)
		rc = cert_revoked(r, who, &cert);
	if (rc == BS_OK && who->key_fp) {
		memset(&rev, 0, sizeof(rev));
		rev.kind = BS_REVOKE_KEY;
		memcpy(rev.key_fp, who->key_fp, BS_FP256_LEN);
		rc = is_revoked(r, &rev, &key);
	}
	if (rc != BS_OK)
		return rc;
	*by = client ? BS_REVOKE_CLIENT
	      : cert ? BS_REVOKE_CERT
	      : key  ? BS_REVOKE_KEY
		     : BS_REVOKE_NONE;
	return BS_OK;
}

int bs_registry_revoked(struct bs_registry_reader *r, const struct bs_presented *who,
			enum bs_revoke_kind *by)
{
	int rc = bs_registry_reader_begin(r);

	if (rc != BS_OK)
		return rc;
	rc = revoked(r, who, by);
	bs_registry_reader_end(r);
	return rc;
}

static int take_revocation(struct bs_registry_reader *r, void *arg, struct bs_slice key,
			   struct bs_slice value, size_t i)
{
	struct bs_revocation *out = arg;
	int rc = bs__revocation_decode_key(key, &out[i]);

	if (rc == BS_OK)
		rc = bs__revocation_decode(value, &out[i]);
	return rc == BS_OK ? 1 : rc;
}

bs_ssize bs_registry_revocation_list(struct bs_registry_reader *r, struct bs_list_pos *pos,
				     struct bs_revocation *out, size_t cap, bool *end)
{
	struct bs__walk w = { BS__REVOCATION, { NULL, 0 }, take_revocation, out };

	return bs__walk_page(r, &w, pos, cap, end);
}

/* ---- CA certificates */

static int load_ca(struct bs_slice key, struct bs_slice value, struct bs_ca *out)
{
	if (key.len != BS_FP256_LEN)
		return BS_ECORRUPT;
	memcpy(out->fp, key.ptr, BS_FP256_LEN);
	return bs__ca_decode(value, out);
}

int bs_registry_ca(struct bs_registry_reader *r, const uint8_t fp[static 32], struct bs_ca *out)
{
	struct bs_slice v;
	struct bs_ca ca;
	int rc;

	if (r->depth == 0)
		return BS_EINVAL;
	rc = bs__env_code(bs__get(r->reg, r->txn, BS__CA, fp, BS_FP256_LEN, &v));
	if (rc == BS_OK)
		rc = load_ca((struct bs_slice){ fp, BS_FP256_LEN }, v, &ca);
	if (rc == BS_OK)
		*out = ca;
	return rc;
}

static int take_ca(struct bs_registry_reader *r, void *arg, struct bs_slice key,
		   struct bs_slice value, size_t i)
{
	struct bs_ca *out = arg;
	int rc = load_ca(key, value, &out[i]);

	return rc == BS_OK ? 1 : rc;
}

bs_ssize bs_registry_ca_list(struct bs_registry_reader *r, struct bs_list_pos *pos,
			     struct bs_ca *out, size_t cap, bool *end)
{
	struct bs__walk w = { BS__CA, { NULL, 0 }, take_ca, out };

	if (r->depth == 0)
		return BS_EINVAL;
	return bs__walk_page(r, &w, pos, cap, end);
}
