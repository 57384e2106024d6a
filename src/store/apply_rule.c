/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about access rules. */
#include <string.h>

#include "store/apply.h"

static void tell(struct bs__apply *a, const struct bs_access_rule *rule)
{
	struct bs_store_change *change = bs__change(a, BS_CHANGE_RULE, BS__EPOCH_ACCESS);

	change->number = rule->id;
	if (rule->which_kind == BS_WHICH_ID)
		memcpy(change->device_id, rule->which, strlen(rule->which) + 1);
	if (rule->who_kind == BS_WHO_IDENTITY || rule->who_kind == BS_WHO_CA_IDENTITY)
		memcpy(change->identity, rule->who, strlen(rule->who) + 1);
}

/* Patterns are walked one by one in every check of this who: bounded here. */
static int count_patterns(struct bs__apply *a, const struct bs_access_rule *rule, size_t *n)
{
	struct bs__key prefix;
	MDB_cursor *cur;
	MDB_val k;
	MDB_val v;
	int rc = mdb_cursor_open(a->txn, a->reg->dbi[BS__RULE_INDEX], &cur);

	if (rc)
		return rc;
	bs__key_who(&prefix, rule->who_kind, rule->who, strlen(rule->who), rule->who_fp);
	bs__key_which(&prefix, BS_WHICH_PATTERN, "", 0);
	k.mv_data = prefix.b;
	k.mv_size = prefix.len;
	rc = mdb_cursor_get(cur, &k, &v, MDB_SET_RANGE);
	for (*n = 0;
	     rc == 0 && k.mv_size >= prefix.len && memcmp(k.mv_data, prefix.b, prefix.len) == 0;
	     (*n)++)
		rc = mdb_cursor_get(cur, &k, &v, MDB_NEXT);
	mdb_cursor_close(cur);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int check_room_for_pattern(struct bs__apply *a, const struct bs_access_rule *rule,
				  struct bs_store_result *res)
{
	size_t n = 0;
	int rc;

	if (rule->which_kind != BS_WHICH_PATTERN)
		return BS_OK;
	rc = count_patterns(a, rule, &n);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	if (n < BS_ACCESS_PATTERNS_MAX)
		return BS_OK;
	bs__errtext(&res->err,
		    "rule: there are %d patterns for this client or group already; use "
		    "a tag instead",
		    BS_ACCESS_PATTERNS_MAX);
	return BS_EFULL;
}

int bs__apply_rule_add(struct bs__apply *a, const struct bs_store_request *req,
		       struct bs_store_result *res)
{
	struct bs_access_rule rule = req->u.rule;
	struct bs__rule_entry e = { 0, rule.priority, rule.allow };
	uint8_t buf[BS__VALUE_MAX];
	struct bs__key index;
	struct bs__key k;
	struct bs_slice v;
	int rc;

	bs__key_rule_index(&index, &rule);
	if (bs__get(a->reg, a->txn, BS__RULE_INDEX, index.b, index.len, &v) == 0) {
		if (bs__rule_entry_decode(v, &e) != BS_OK)
			return BS_ECORRUPT;
		res->number = e.id;
		bs__errtext(&res->err, "rule %u is for the same client and device; delete it first",
			    (unsigned)e.id);
		return BS_EEXIST;
	}
	rc = check_room_for_pattern(a, &rule, res);
	if (rc == BS_OK)
		rc = bs__apply_number(a, "next-rule", &rule.id);
	if (rc != BS_OK)
		return rc;
	rule.created = a->now;
	e.id = rule.id;
	bs__key_u32(&k, rule.id);
	rc = bs__put(a->reg, a->txn, BS__RULE, k.b, k.len, buf, bs__rule_encode(&rule, buf),
		     MDB_NOOVERWRITE);
	if (rc == 0)
		rc = bs__put(a->reg, a->txn, BS__RULE_INDEX, index.b, index.len, buf,
			     bs__rule_entry_encode(&e, buf), MDB_NOOVERWRITE);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	res->number = rule.id;
	tell(a, &rule);
	return BS_OK;
}

int bs__apply_rule_delete(struct bs__apply *a, const struct bs_store_request *req,
			  struct bs_store_result *res)
{
	struct bs_access_rule rule;
	struct bs__key index;
	struct bs__key k;
	struct bs_slice v;
	int rc;

	bs__key_u32(&k, req->u.rule.id);
	rc = bs__get(a->reg, a->txn, BS__RULE, k.b, k.len, &v);
	if (rc == MDB_NOTFOUND) {
		bs__errtext(&res->err, "there is no rule %u", (unsigned)req->u.rule.id);
		return BS_ENOENT;
	}
	if (rc == 0 && bs__rule_decode(v, &rule) != BS_OK) {
		bs__errtext(&res->err, "rule %u is damaged; restore a backup",
			    (unsigned)req->u.rule.id);
		return BS_ECORRUPT;
	}
	if (rc == 0) {
		rule.id = req->u.rule.id;
		bs__key_rule_index(&index, &rule);
		rc = bs__del(a->reg, a->txn, BS__RULE, k.b, k.len);
	}
	if (rc == 0)
		rc = bs__del(a->reg, a->txn, BS__RULE_INDEX, index.b, index.len);
	if (rc)
		return bs__apply_error(a, &res->err, rc);
	res->number = rule.id;
	tell(a, &rule);
	return BS_OK;
}
