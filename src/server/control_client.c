/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client records and revocations.  A record may be for one CA or for any, and the two are different
 * records; each command says which one it means with ca-fp.  A revocation needs no record.
 */
#include <stdio.h>
#include <string.h>

#include "ctl/field.h"
#include "server/control_job.h"

static json_t *client_json(const void *rows, size_t i)
{
	const struct bs_client *c = (const struct bs_client *)rows + i;
	return json_pack(
		"{s:s,s:s,s:o,s:o,s:o,s:o}", "identity", c->identity, "state",
		bs__control_state_name(c->state), "groups", bs__control_json_names(&c->groups),
		"ca_fp", c->has_ca ? bs__control_json_hex(c->ca_fp, BS_FP256_LEN) : json_null(),
		"key_fp", c->has_key ? bs__control_json_hex(c->key_fp, BS_FP256_LEN) : json_null(),
		"created", bs__control_json_time(c->created));
}

/* The record that the arguments name.  BS_OK, BS_ENOENT; on anything else the job has ended and
 * BS_ECLOSED comes back. */
static int look_up(struct bs_control_job *j, struct bs_client *c)
{
	struct bs_registry_reader *r = bs__control_reader(j);
	char identity[BS_CLIENT_ID_MAX + 1];
	uint8_t ca[BS_FP256_LEN];
	bool has_ca = bs__control_sha256(j, "ca-fp", ca);
	struct bs_slice name = { (const uint8_t *)identity, 0 };
	int err;

	if (!r)
		return BS_ECLOSED;
	bs__control_identity(j, identity);
	name.len = strlen(identity);
	err = bs_registry_client_get(r, name, has_ca ? ca : NULL, c);
	if (err == BS_OK || err == BS_ENOENT)
		return err;
	bs__control_fail_err(j, err, identity, NULL);
	return BS_ECLOSED;
}

/* The same where the record has to be there. */
static bool get_client(struct bs_control_job *j, struct bs_client *c)
{
	int err = look_up(j, c);

	if (err == BS_ENOENT)
		bs__control_fail(j, BS_CTL_NOT_FOUND, bs__control_text(j, "identity"),
				 bs__control_text(j, "ca-fp")
					 ? NULL
					 : "a record for one CA is named with --ca",
				 "no such client");
	return err == BS_OK;
}

/* Submit a change of a client record, or only say what it would be. */
static void store_client(struct bs_control_job *j, enum bs_store_op op, const struct bs_client *c)
{
	struct bs_store_request req = { .op = op };

	req.u.client = *c;
	/* Only a change may name a state, and revoked is none that can be asked for. */
	if (op == BS_STORE_CLIENT_DELETE)
		req.u.client.state = 0;
	j->result = json_pack("{s:s}", "identity", c->identity);
	if (j->dry_run)
		bs__control_finish(j, json_incref(j->result), NULL);
	else
		bs__control_submit(j, &req, bs__control_stored);
}

static void run_add(struct bs_control_job *j)
{
	struct bs_client c;
	int err = look_up(j, &c);

	if (err == BS_ECLOSED)
		return;
	if (err == BS_OK) {
		bs__control_fail(j, BS_CTL_EXISTS, c.identity, NULL,
				 "there is such a client already");
		return;
	}
	memset(&c, 0, sizeof(c));
	bs__control_identity(j, c.identity);
	c.identity_len = (uint8_t)strlen(c.identity);
	c.has_ca = bs__control_sha256(j, "ca-fp", c.ca_fp);
	c.has_key = bs__control_sha256(j, "key-fp", c.key_fp);
	c.state = bs__control_flag(j, "disabled") ? BS_RECORD_DISABLED : BS_RECORD_ENABLED;
	if (bs__control_names(j, "group", &c.groups))
		store_client(j, BS_STORE_CLIENT_ADD, &c);
}

/* What was relayed in the latest month; what workers hold back, for ten seconds at most, is not in
 * it yet. */
static void add_relayed(struct bs_control_job *j, const struct bs_client *c, json_t *o)
{
	struct bs_slice id = { (const uint8_t *)c->identity, c->identity_len };
	uint64_t limit = j->control->env.conf(j->control->env.ctx)->relay_client_month;
	struct bs_volume v = { 0, 0 };
	char month[32] = "";

	if (bs_registry_volume(bs__control_reader(j), id, c->has_ca ? c->ca_fp : NULL, &v) == BS_OK)
		snprintf(month, sizeof(month), "%u-%02u", (unsigned)(v.month / 12),
			 (unsigned)(v.month % 12 + 1));
	json_object_set_new(o, "relay_month", json_string(month));
	json_object_set_new(o, "relay_bytes", json_integer((json_int_t)v.bytes));
	json_object_set_new(o, "relay_month_limit",
			    limit ? json_integer((json_int_t)limit) : json_null());
}

static void run_show(struct bs_control_job *j)
{
	struct bs_client c;
	json_t *o;

	if (!get_client(j, &c))
		return;
	o = client_json(&c, 0);
	add_relayed(j, &c, o);
	bs__control_finish(j, o, NULL);
}

static void run_state(struct bs_control_job *j)
{
	struct bs_client c;
	bool enable = strcmp(j->command->name, "client enable") == 0;

	if (!get_client(j, &c))
		return;
	if (c.state == BS_RECORD_REVOKED) {
		bs__control_fail(j, BS_CTL_REFUSED, c.identity, "register another identity",
				 "revoked for good");
		return;
	}
	c.state = enable ? BS_RECORD_ENABLED : BS_RECORD_DISABLED;
	store_client(j, BS_STORE_CLIENT_UPDATE, &c);
}

static void run_group(struct bs_control_job *j)
{
	struct bs_client c;
	const char *name;
	size_t i;

	if (!bs__control_nth(j, "add", 0) && !bs__control_nth(j, "remove", 0)) {
		bs__control_fail(j, BS_CTL_USAGE, NULL, NULL,
				 "neither --add nor --remove is given");
		return;
	}
	if (!get_client(j, &c))
		return;
	for (i = 0; (name = bs__control_nth(j, "remove", i)) != NULL; i++)
		bs_names_remove(&c.groups, name, strlen(name));
	for (i = 0; (name = bs__control_nth(j, "add", i)) != NULL; i++) {
		if (bs_names_add(&c.groups, name, strlen(name)) != BS_OK) {
			bs__control_fail(j, BS_CTL_BAD_INPUT, name, NULL,
					 "a client has at most %d groups", BS_NAMES_MAX);
			return;
		}
	}
	store_client(j, BS_STORE_CLIENT_UPDATE, &c);
}

static void run_delete(struct bs_control_job *j)
{
	struct bs_client c;

	if (get_client(j, &c))
		store_client(j, BS_STORE_CLIENT_DELETE, &c);
}

/* ---- revocations */

static bool take_serial(struct bs_control_job *j, struct bs_revocation *v)
{
	const char *s = bs__control_text(j, "serial");
	uint8_t raw[BS_SERIAL_MAX + 1];
	size_t n = 0;
	size_t skip = 0;

	if (!v->has_ca) {
		bs__control_fail(j, BS_CTL_USAGE, "--serial", NULL,
				 "needs --ca or --ca-fp: serial numbers repeat between CAs");
		return false;
	}
	if (bs_field_hex_any(s, strlen(s), raw, sizeof(raw), &n) == NULL) {
		while (skip < n && raw[skip] == 0)
			skip++;
	}
	if (n == skip || n - skip > BS_SERIAL_MAX) {
		bs__control_fail(j, BS_CTL_BAD_INPUT, "--serial", NULL,
				 "not a serial number of 1 to %d bytes in hex", BS_SERIAL_MAX);
		return false;
	}
	v->serial_len = (uint8_t)(n - skip);
	memcpy(v->serial, raw + skip, n - skip);
	return true;
}

static void run_revoke(struct bs_control_job *j)
{
	struct bs_store_request req = { .op = BS_STORE_REVOKE };
	struct bs_revocation *v = &req.u.revocation;
	const char *note = bs__control_text(j, "note");
	bool identity = bs__control_text(j, "identity") != NULL;
	bool key = bs__control_sha256(j, "key-fp", v->key_fp);
	bool serial = bs__control_text(j, "serial") != NULL;

	if (identity + key + serial != 1) {
		bs__control_fail(j, BS_CTL_USAGE, NULL, NULL,
				 "one of IDENTITY, --key-fp and --serial is wanted");
		return;
	}
	v->has_ca = bs__control_sha256(j, "ca-fp", v->ca_fp);
	v->kind = identity ? BS_REVOKE_CLIENT : key ? BS_REVOKE_KEY : BS_REVOKE_CERT;
	if (serial && !take_serial(j, v))
		return;
	if (identity) {
		bs__control_identity(j, v->identity);
		v->identity_len = (uint8_t)strlen(v->identity);
	}
	if (note && strlen(note) >= sizeof(v->note)) {
		bs__control_fail(j, BS_CTL_BAD_INPUT, "--note", NULL, "longer than %d bytes",
				 BS_NOTE_MAX);
		return;
	}
	snprintf(v->note, sizeof(v->note), "%s", note ? note : "");
	j->result = json_pack(
		"{s:s}", "note",
		"sessions with this server end now; a direct session between a modified client "
		"and a stock device cannot be ended by the server");
	if (j->dry_run)
		bs__control_finish(j, json_incref(j->result), NULL);
	else
		bs__control_submit(j, &req, bs__control_stored);
}

static json_t *revocation_json(const void *rows, size_t i)
{
	const struct bs_revocation *v = (const struct bs_revocation *)rows + i;
	static const char *const kinds[] = { "none", "client", "certificate", "key" };
	json_t *o = json_pack("{s:s,s:o,s:s}", "kind", v->kind < 4 ? kinds[v->kind] : "unknown",
			      "when", bs__control_json_time(v->when), "note", v->note);

	if (v->kind == BS_REVOKE_CLIENT)
		json_object_set_new(o, "identity", json_string(v->identity));
	if (v->has_ca)
		json_object_set_new(o, "ca_fp", bs__control_json_hex(v->ca_fp, BS_FP256_LEN));
	if (v->kind == BS_REVOKE_CERT)
		json_object_set_new(o, "serial", bs__control_json_hex(v->serial, v->serial_len));
	if (v->kind == BS_REVOKE_KEY)
		json_object_set_new(o, "key_fp", bs__control_json_hex(v->key_fp, BS_FP256_LEN));
	return o;
}

/* ---- lists */

static void run_list(struct bs_control_job *j)
{
	struct bs_client c[BS_CONTROL_PAGE];
	struct bs_control_page p;

	if (!bs__control_page_begin(j, &p))
		return;
	bs__control_page_rows(j, &p, c,
			      bs_registry_client_list(p.reader, &p.pos, c, BS_CONTROL_PAGE, &p.end),
			      client_json);
}

static void run_revoked(struct bs_control_job *j)
{
	struct bs_revocation v[BS_CONTROL_PAGE];
	struct bs_control_page p;

	if (!bs__control_page_begin(j, &p))
		return;
	bs__control_page_rows(
		j, &p, v, bs_registry_revocation_list(p.reader, &p.pos, v, BS_CONTROL_PAGE, &p.end),
		revocation_json);
}

const struct bs_control_row bs__control_client[] = {
	{ "client add", run_add },       { "client list", run_list },
	{ "client show", run_show },     { "client enable", run_state },
	{ "client disable", run_state }, { "client group", run_group },
	{ "client revoke", run_revoke }, { "client revoked", run_revoked },
	{ "client delete", run_delete }, { NULL, NULL },
};
