/* SPDX-License-Identifier: Apache-2.0 */
#include "store/access.h"

#include <string.h>

#include "store/reader.h"

/* ---- rules as such */

bool bs_access_match(const char *pattern, const char *id, size_t id_len)
{
	const char *star = NULL;
	size_t at = 0;
	size_t star_at = 0;

	/* One star is enough to go back to: an earlier one can only have matched less. */
	while (at < id_len) {
		if (*pattern == '*') {
			star = ++pattern;
			star_at = at;
		} else if (*pattern && (*pattern == '?' || *pattern == id[at])) {
			pattern++;
			at++;
		} else if (star) {
			pattern = star;
			at = ++star_at;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == 0;
}

static bool fold_pattern(char *which)
{
	size_t i;

	for (i = 0; which[i]; i++) {
		char c = which[i];

		if (c >= 'A' && c <= 'Z')
			which[i] = c = (char)(c - 'A' + 'a');
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("-.*?", c))
			return false;
	}
	return i > 0;
}

static bool all_zero(const uint8_t *p, size_t len)
{
	while (len && p[len - 1] == 0)
		len--;
	return len == 0;
}

static int check_who(const struct bs_access_rule *rule, struct bs_errtext *err)
{
	size_t len = strnlen(rule->who, sizeof(rule->who));
	bool fp = rule->who_kind == BS_WHO_CA_IDENTITY || rule->who_kind == BS_WHO_KEY;

	if (len == sizeof(rule->who)) {
		bs__errtext(err, "rule: the name of who is too long");
		return BS_EINVAL;
	}
	if (!fp && !all_zero(rule->who_fp, sizeof(rule->who_fp))) {
		bs__errtext(err, "rule: a fingerprint is only for a key or for a CA's identity");
		return BS_EINVAL;
	}
	switch (rule->who_kind) {
	case BS_WHO_ANYBODY:
	case BS_WHO_KEY:
		if (len == 0)
			return BS_OK;
		bs__errtext(err, "rule: this kind of who takes no name");
		return BS_EINVAL;
	case BS_WHO_IDENTITY:
	case BS_WHO_CA_IDENTITY:
		if (bs_client_identity_valid(rule->who, len))
			return BS_OK;
		bs__errtext(err,
			    "rule: \"%s\" cannot be a client identity: 1 to %d printable "
			    "characters, no blanks, lower case",
			    rule->who, BS_CLIENT_ID_MAX);
		return BS_EINVAL;
	case BS_WHO_GROUP:
		if (bs_name_valid(rule->who, len))
			return BS_OK;
		bs__errtext(err,
			    "rule: \"%s\" cannot be a group: 1 to %d letters, digits or "
			    "._-:@",
			    rule->who, BS_NAME_MAX);
		return BS_EINVAL;
	default:
		bs__errtext(err, "rule: unknown kind of who (%u)", rule->who_kind);
		return BS_EINVAL;
	}
}

static int check_which(struct bs_access_rule *rule, struct bs_errtext *err)
{
	size_t len = strnlen(rule->which, sizeof(rule->which));
	char low[BS_DEVICE_ID_MAX + 1];

	if (len == sizeof(rule->which)) {
		bs__errtext(err, "rule: the name of the device is too long");
		return BS_EINVAL;
	}
	switch (rule->which_kind) {
	case BS_WHICH_ANY:
		if (len == 0)
			return BS_OK;
		bs__errtext(err, "rule: \"any device\" takes no name");
		return BS_EINVAL;
	case BS_WHICH_ID:
		if (bs_device_id_fold((struct bs_slice){ (const uint8_t *)rule->which, len },
				      low) == BS_OK) {
			memcpy(rule->which, low, len + 1);
			return BS_OK;
		}
		bs__errtext(err,
			    "rule: \"%s\" cannot be a device id: a DNS name of 1 to %d "
			    "characters",
			    rule->which, BS_DEVICE_ID_MAX);
		return BS_EINVAL;
	case BS_WHICH_PATTERN:
		if (fold_pattern(rule->which))
			return BS_OK;
		bs__errtext(err, "rule: \"%s\" cannot be a pattern: letters, digits, - . * and ?",
			    rule->which);
		return BS_EINVAL;
	case BS_WHICH_TAG:
		if (bs_name_valid(rule->which, len))
			return BS_OK;
		bs__errtext(err, "rule: \"%s\" cannot be a tag: 1 to %d letters, digits or ._-:@",
			    rule->which, BS_NAME_MAX);
		return BS_EINVAL;
	default:
		bs__errtext(err, "rule: unknown kind of device (%u)", rule->which_kind);
		return BS_EINVAL;
	}
}

int bs_access_rule_check(struct bs_access_rule *rule, struct bs_errtext *err)
{
	int rc;

	if (rule->priority > BS_ACCESS_PRIORITY_MAX) {
		bs__errtext(err, "rule: priority %u is above %d", rule->priority,
			    BS_ACCESS_PRIORITY_MAX);
		return BS_EINVAL;
	}
	rc = check_who(rule, err);
	return rc == BS_OK ? check_which(rule, err) : rc;
}

const char *bs_access_reason_text(enum bs_access_reason reason)
{
	static const char *const texts[] = {
		[BS_ACCESS_RULE] = "a rule says so",
		[BS_ACCESS_NO_RULE] = "no rule allows it",
		[BS_ACCESS_DEVICE_UNKNOWN] = "the device is not registered",
		[BS_ACCESS_DEVICE_DISABLED] = "the device is disabled",
		[BS_ACCESS_CLIENT_DISABLED] = "the client is disabled",
		[BS_ACCESS_CLIENT_REVOKED] = "the client, its certificate or its key is revoked",
		[BS_ACCESS_CLIENT_KEY] = "the client's record names another key",
	};

	if ((size_t)reason >= sizeof(texts) / sizeof(texts[0]) || !texts[reason])
		return "unknown reason";
	return texts[reason];
}

/* ---- decision */

/* A check under way. */
struct check {
	struct bs_registry_reader *r;
	const char *id;
	size_t id_len;
	const struct bs_names *tags;
	bool found;                 /* best holds a rule */
	struct bs__rule_entry best; /* the rule that decides so far */
};

static void consider(struct check *c, const struct bs__rule_entry *e)
{
	bool better;

	if (!c->found || e->priority != c->best.priority)
		better = !c->found || e->priority > c->best.priority;
	else if (e->allow != c->best.allow)
		better = !e->allow;
	else
		better = e->id < c->best.id;
	if (better)
		c->best = *e;
	c->found = true;
}

static int look_up(struct check *c, const struct bs__key *who, uint8_t kind, const char *which,
		   size_t len)
{
	struct bs__key k = *who;
	struct bs__rule_entry e;
	struct bs_slice v;
	int rc;

	bs__key_which(&k, kind, which, len);
	rc = bs__reader_get(c->r, BS__RULE_INDEX, &k, &v);
	if (rc == BS_ENOENT)
		return BS_OK;
	if (rc != BS_OK)
		return rc;
	rc = bs__rule_entry_decode(v, &e);
	if (rc == BS_OK)
		consider(c, &e);
	return rc;
}

/* All patterns of one who. */
static int walk_patterns(struct check *c, const struct bs__key *who)
{
	struct bs__key k = *who;
	char pattern[BS_ACCESS_PATTERN_MAX + 1];
	struct bs__rule_entry e;
	MDB_cursor *cur;
	MDB_val key;
	MDB_val value;
	size_t len;
	int rc = bs__reader_cursor(c->r, BS__RULE_INDEX, &cur);

	if (rc != BS_OK)
		return rc;
	bs__key_which(&k, BS_WHICH_PATTERN, "", 0);
	key.mv_data = k.b;
	key.mv_size = k.len;
	rc = mdb_cursor_get(cur, &key, &value, MDB_SET_RANGE);
	while (rc == 0 && key.mv_size > k.len && memcmp(key.mv_data, k.b, k.len) == 0) {
		len = key.mv_size - k.len;
		if (len > BS_ACCESS_PATTERN_MAX ||
		    bs__rule_entry_decode((struct bs_slice){ value.mv_data, value.mv_size }, &e))
			return BS_ECORRUPT;
		memcpy(pattern, (const char *)key.mv_data + k.len, len);
		pattern[len] = 0;
		if (bs_access_match(pattern, c->id, c->id_len))
			consider(c, &e);
		rc = mdb_cursor_get(cur, &key, &value, MDB_NEXT);
	}
	return rc == MDB_NOTFOUND ? BS_OK : bs__env_code(rc);
}

static int decide_for(struct check *c, uint8_t kind, struct bs_slice name, const uint8_t *fp)
{
	struct bs__key who;
	size_t i;
	int rc;

	bs__key_who(&who, kind, (const char *)name.ptr, name.len, fp);
	rc = look_up(c, &who, BS_WHICH_ANY, "", 0);
	if (rc == BS_OK)
		rc = look_up(c, &who, BS_WHICH_ID, c->id, c->id_len);
	for (i = 0; rc == BS_OK && i < c->tags->n; i++)
		rc = look_up(c, &who, BS_WHICH_TAG, c->tags->name[i], strlen(c->tags->name[i]));
	if (rc == BS_OK)
		rc = walk_patterns(c, &who);
	return rc;
}

static int decide(struct check *c, const struct bs_presented *who, const struct bs_names *groups)
{
	static const uint8_t nothing[1];
	struct bs_slice none = { nothing, 0 };
	size_t i;
	int rc = decide_for(c, BS_WHO_ANYBODY, none, NULL);

	if (rc == BS_OK)
		rc = decide_for(c, BS_WHO_IDENTITY, who->identity, NULL);
	if (rc == BS_OK && who->ca_fp)
		rc = decide_for(c, BS_WHO_CA_IDENTITY, who->identity, who->ca_fp);
	if (rc == BS_OK && who->key_fp)
		rc = decide_for(c, BS_WHO_KEY, none, who->key_fp);
	for (i = 0; rc == BS_OK && i < groups->n; i++) {
		struct bs_slice g = { (const uint8_t *)groups->name[i], strlen(groups->name[i]) };

		rc = decide_for(c, BS_WHO_GROUP, g, NULL);
	}
	return rc;
}

/* The part of the outcome that does not depend on the device; 0 = nothing against the client. */
static int client_reason(struct bs_registry_reader *r, const struct bs_presented *who,
			 struct bs_names *groups, uint8_t *reason)
{
	struct bs_client client;
	enum bs_revoke_kind by = BS_REVOKE_NONE;
	int rc = bs_registry_client(r, who, &client);

	*reason = 0;
	groups->n = 0;
	if (rc == BS_OK && client.state == BS_RECORD_ENABLED)
		*groups = client.groups;
	else if (rc == BS_OK)
		*reason = client.state == BS_RECORD_REVOKED ? BS_ACCESS_CLIENT_REVOKED
							    : BS_ACCESS_CLIENT_DISABLED;
	else if (rc == BS_EAUTH)
		*reason = BS_ACCESS_CLIENT_KEY;
	else if (rc != BS_ENOENT)
		return rc;
	rc = bs_registry_revoked(r, who, &by);
	if (rc == BS_OK && by != BS_REVOKE_NONE)
		*reason = BS_ACCESS_CLIENT_REVOKED;
	return rc;
}

/* Record of the device; an unknown one leaves rec->number 0. */
static int find_device(struct bs_registry_reader *r, const char *id, size_t len,
		       struct bs__device_record *rec)
{
	struct bs_slice v;
	int rc = bs__env_code(bs__get(r->reg, r->txn, BS__DEVICE, id, len, &v));

	rec->number = 0;
	rec->state = BS_RECORD_DISABLED;
	rec->tags.n = 0;
	if (rc == BS_ENOENT)
		return BS_OK;
	return rc == BS_OK ? bs__device_decode(v, rec) : rc;
}

static int check(struct bs_registry_reader *r, const struct bs_presented *who, const char *id,
		 size_t len, struct bs_access_result *out)
{
	struct bs__device_record rec;
	struct bs_names groups;
	struct check c;
	uint8_t reason;
	int rc = find_device(r, id, len, &rec);

	if (rc == BS_OK)
		rc = client_reason(r, who, &groups, &reason);
	if (rc != BS_OK)
		return rc;
	memset(&c, 0, sizeof(c));
	c.r = r;
	c.id = id;
	c.id_len = len;
	c.tags = &rec.tags;
	/* Also when the outcome is known already: the time must not tell why. */
	rc = decide(&c, who, &groups);
	if (rc != BS_OK)
		return rc;
	memset(out, 0, sizeof(*out));
	out->device_number = rec.number;
	if (reason) {
		out->reason = reason;
	} else if (!rec.number) {
		out->reason = BS_ACCESS_DEVICE_UNKNOWN;
	} else if (rec.state != BS_RECORD_ENABLED) {
		out->reason = BS_ACCESS_DEVICE_DISABLED;
	} else if (!c.found) {
		out->reason = BS_ACCESS_NO_RULE;
	} else {
		out->reason = BS_ACCESS_RULE;
		out->rule_id = c.best.id;
		out->allow = c.best.allow;
	}
	return BS_OK;
}

int bs_access_check(struct bs_registry_reader *r, const struct bs_presented *who,
		    struct bs_slice device_id, struct bs_access_result *out)
{
	char low[BS_DEVICE_ID_MAX + 1];
	size_t len = device_id.len;
	int rc;

	if (!who->identity.ptr ||
	    !bs_client_identity_valid((const char *)who->identity.ptr, who->identity.len))
		return BS_EINVAL;
	/* What cannot be an id is looked up all the same, under a name that no device has. */
	if (bs_device_id_fold(device_id, low) != BS_OK) {
		memcpy(low, "-", 2);
		len = 1;
	}
	rc = bs_registry_reader_begin(r);
	if (rc != BS_OK)
		return rc;
	rc = check(r, who, low, len, out);
	bs_registry_reader_end(r);
	return rc;
}

/* ---- reading rules */

int bs_access_get(struct bs_registry_reader *r, uint32_t id, struct bs_access_rule *out)
{
	struct bs__key k;
	struct bs_slice v;
	int rc = bs_registry_reader_begin(r);

	if (rc != BS_OK)
		return rc;
	bs__key_u32(&k, id);
	rc = bs__reader_get(r, BS__RULE, &k, &v);
	if (rc == BS_OK)
		rc = bs__rule_decode(v, out);
	if (rc == BS_OK)
		out->id = id;
	bs_registry_reader_end(r);
	return rc;
}

static int take_rule(struct bs_registry_reader *r, void *arg, struct bs_slice key,
		     struct bs_slice value, size_t i)
{
	struct bs_access_rule *out = arg;
	struct bs_access_rule rule;
	int rc;

	if (key.len != 4)
		return BS_ECORRUPT;
	rc = bs__rule_decode(value, &rule);
	if (rc != BS_OK)
		return rc;
	out[i] = rule;
	out[i].id = (uint32_t)key.ptr[0] << 24 | (uint32_t)key.ptr[1] << 16 |
		    (uint32_t)key.ptr[2] << 8 | key.ptr[3];
	return 1;
}

bs_ssize bs_access_list(struct bs_registry_reader *r, struct bs_list_pos *pos,
			struct bs_access_rule *out, size_t cap, bool *end)
{
	struct bs__walk w = { BS__RULE, { NULL, 0 }, take_rule, out };

	return bs__walk_page(r, &w, pos, cap, end);
}
