/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a request is well formed, before it enters the queue. */
#include <string.h>

#include "store/apply.h"

static int check_id(char *id, struct bs_errtext *err)
{
	size_t len = strnlen(id, BS_DEVICE_ID_MAX + 1);

	if (len <= BS_DEVICE_ID_MAX &&
	    bs_device_id_fold((struct bs_slice){ (const uint8_t *)id, len }, id) == BS_OK)
		return BS_OK;
	bs__errtext(err, "\"%.*s\" cannot be a device id: a DNS name of 1 to %d characters",
		    BS_DEVICE_ID_MAX, id, BS_DEVICE_ID_MAX);
	return BS_EINVAL;
}

static int check_names(const struct bs_names *set, const char *what, struct bs_errtext *err)
{
	if (bs_names_valid(set))
		return BS_OK;
	bs__errtext(err, "%s: at most %d, each 1 to %d letters, digits or ._-:@", what,
		    BS_NAMES_MAX, BS_NAME_MAX);
	return BS_EINVAL;
}

static int check_add(struct bs_device *d, struct bs_errtext *err)
{
	if (d->state > BS_RECORD_DISABLED) {
		bs__errtext(err, "device \"%s\": a device is enabled or disabled", d->id);
		return BS_EINVAL;
	}
	if (d->flags & ~BS_DEVICE_LEGACY) {
		bs__errtext(err, "device \"%s\": unknown flags", d->id);
		return BS_EINVAL;
	}
	if (!d->has_secret && !(d->flags & BS_DEVICE_LEGACY)) {
		bs__errtext(err, "device \"%s\": it needs a secret, or the legacy flag", d->id);
		return BS_EINVAL;
	}
	return check_names(&d->tags, "tags", err);
}

static int check_device(struct bs_store_request *req, struct bs_errtext *err)
{
	struct bs_device *d = &req->u.device;
	int rc = check_id(d->id, err);

	if (rc != BS_OK)
		return rc;
	if (req->op == BS_STORE_DEVICE_ADD)
		return check_add(d, err);
	if (req->op == BS_STORE_DEVICE_STATE && d->state != BS_RECORD_ENABLED &&
	    d->state != BS_RECORD_DISABLED) {
		bs__errtext(err, "device \"%s\": a device is enabled or disabled", d->id);
		return BS_EINVAL;
	}
	if (req->op == BS_STORE_DEVICE_LEGACY && (d->flags & ~BS_DEVICE_LEGACY)) {
		bs__errtext(err, "device \"%s\": unknown flags", d->id);
		return BS_EINVAL;
	}
	return BS_OK;
}

static int check_tags(struct bs_store_request *req, struct bs_errtext *err)
{
	int rc = check_id(req->u.tags.id, err);

	if (rc == BS_OK)
		rc = check_names(&req->u.tags.add, "tags to add", err);
	if (rc == BS_OK)
		rc = check_names(&req->u.tags.remove, "tags to remove", err);
	return rc;
}

/* Callers fill the text; the length follows from it. */
static int check_identity(const char *identity, uint8_t *len, struct bs_errtext *err)
{
	size_t n = strnlen(identity, BS_CLIENT_ID_MAX + 1);

	if (bs_client_identity_valid(identity, n)) {
		*len = (uint8_t)n;
		return BS_OK;
	}
	bs__errtext(err,
		    "\"%.*s\" cannot be a client identity: 1 to %d printable characters, no "
		    "blanks, lower case",
		    BS_CLIENT_ID_MAX, identity, BS_CLIENT_ID_MAX);
	return BS_EINVAL;
}

static int check_client(struct bs_store_request *req, struct bs_errtext *err)
{
	struct bs_client *c = &req->u.client;
	int rc = check_identity(c->identity, &c->identity_len, err);

	if (rc != BS_OK)
		return rc;
	if (c->state > BS_RECORD_DISABLED) {
		bs__errtext(err,
			    "client \"%s\": it is enabled or disabled; revoking is a request "
			    "of its own",
			    c->identity);
		return BS_EINVAL;
	}
	return check_names(&c->groups, "groups", err);
}

static int check_rule(struct bs_store_request *req, struct bs_errtext *err)
{
	return req->op == BS_STORE_RULE_ADD ? bs_access_rule_check(&req->u.rule, err) : BS_OK;
}

static bool note_ok(const char *note)
{
	size_t i;

	for (i = 0; i <= BS_NOTE_MAX && note[i]; i++) {
		if ((unsigned char)note[i] < 0x20 || note[i] == 0x7F)
			return false;
	}
	return i <= BS_NOTE_MAX;
}

static int check_ca(struct bs_store_request *req, struct bs_errtext *err)
{
	if (req->op == BS_STORE_CA_REMOVE)
		return BS_OK;
	if (!note_ok(req->u.ca.name)) {
		bs__errtext(err, "CA: its name must be at most %d characters", BS_NOTE_MAX);
		return BS_EINVAL;
	}
	if (!req->u.ca.roles || (req->u.ca.roles & ~(BS_CA_CLIENT | BS_CA_SERVER))) {
		bs__errtext(err, "CA \"%s\": say what it is for", req->u.ca.name);
		return BS_EINVAL;
	}
	if (!req->u.ca.der.ptr || !req->u.ca.der.len || req->u.ca.der.len > BS_CA_DER_MAX) {
		bs__errtext(err, "CA \"%s\": the certificate must have 1 to %d bytes",
			    req->u.ca.name, BS_CA_DER_MAX);
		return BS_EINVAL;
	}
	return BS_OK;
}

static int check_revocation(struct bs_store_request *req, struct bs_errtext *err)
{
	struct bs_revocation *rev = &req->u.revocation;
	struct bs_slice serial = { rev->serial, rev->serial_len };

	if (!note_ok(rev->note)) {
		bs__errtext(err, "revocation: the reason must be at most %d characters",
			    BS_NOTE_MAX);
		return BS_EINVAL;
	}
	switch (rev->kind) {
	case BS_REVOKE_CLIENT: return check_identity(rev->identity, &rev->identity_len, err);
	case BS_REVOKE_KEY: return BS_OK;
	case BS_REVOKE_CERT:
		if (rev->serial_len && rev->serial_len <= BS_SERIAL_MAX && rev->has_ca) {
			serial = bs__serial_trim(serial);
			memmove(rev->serial, serial.ptr, serial.len);
			rev->serial_len = (uint8_t)serial.len;
			return BS_OK;
		}
		bs__errtext(err,
			    "revocation: a certificate is named by its CA and a serial of 1 "
			    "to %d bytes",
			    BS_SERIAL_MAX);
		return BS_EINVAL;
	default: bs__errtext(err, "revocation: unknown kind (%u)", rev->kind); return BS_EINVAL;
	}
}

static int check_seen(struct bs_store_request *req, struct bs_errtext *err)
{
	if (req->u.seen.v && req->u.seen.n && req->u.seen.n <= BS_STORE_SEEN_MAX)
		return BS_OK;
	bs__errtext(err, "last seen: 1 to %d entries at a time", BS_STORE_SEEN_MAX);
	return BS_EINVAL;
}

static int check_volume(struct bs_store_request *req, struct bs_errtext *err)
{
	size_t n = req->u.volume.v && req->u.volume.n <= BS_STORE_SEEN_MAX ? req->u.volume.n : 0;
	size_t i;

	for (i = 0; i < n; i++) {
		const char *id = req->u.volume.v[i].identity;

		if (!memchr(id, 0, BS_CLIENT_ID_MAX + 1) ||
		    !bs_client_identity_valid(id, strlen(id)))
			break;
	}
	if (n > 0 && i == n)
		return BS_OK;
	bs__errtext(err, "volume: 1 to %d entries of valid identities at a time",
		    BS_STORE_SEEN_MAX);
	return BS_EINVAL;
}

static int check_import(struct bs_store_request *req, struct bs_errtext *err)
{
	return req->u.import ? BS_OK : BS_EINVAL;
}

static int check_path(struct bs_store_request *req, struct bs_errtext *err)
{
	if (req->u.path[0] && memchr(req->u.path, 0, sizeof(req->u.path)))
		return BS_OK;
	bs__errtext(err, "backup: no usable path");
	return BS_EINVAL;
}

static int check_nothing(struct bs_store_request *req, struct bs_errtext *err)
{
	return BS_OK;
}

int bs__request_check(struct bs_store_request *req, struct bs_errtext *err)
{
	static int (*const checks[])(struct bs_store_request *, struct bs_errtext *) = {
		[BS_STORE_DEVICE_ADD] = check_device,
		[BS_STORE_DEVICE_DELETE] = check_device,
		[BS_STORE_DEVICE_STATE] = check_device,
		[BS_STORE_DEVICE_LEGACY] = check_device,
		[BS_STORE_DEVICE_TAGS] = check_tags,
		[BS_STORE_DEVICE_ROTATE] = check_device,
		[BS_STORE_DEVICE_ROTATE_DONE] = check_device,
		[BS_STORE_DEVICE_ROTATE_UNDO] = check_device,
		[BS_STORE_CLIENT_ADD] = check_client,
		[BS_STORE_CLIENT_UPDATE] = check_client,
		[BS_STORE_CLIENT_DELETE] = check_client,
		[BS_STORE_RULE_ADD] = check_rule,
		[BS_STORE_RULE_DELETE] = check_rule,
		[BS_STORE_CA_ADD] = check_ca,
		[BS_STORE_CA_REMOVE] = check_ca,
		[BS_STORE_REVOKE] = check_revocation,
		[BS_STORE_SEEN] = check_seen,
		[BS_STORE_VOLUME] = check_volume,
		[BS_STORE_IMPORT] = check_import,
		[BS_STORE_BACKUP] = check_path,
		[BS_STORE_SYNC] = check_nothing,
	};

	if ((size_t)req->op < sizeof(checks) / sizeof(checks[0]) && checks[req->op])
		return checks[req->op](req, err);
	bs__errtext(err, "unknown request (%u)", (unsigned)req->op);
	return BS_EINVAL;
}
