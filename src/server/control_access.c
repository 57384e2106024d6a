/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access rules.  The texts of a rule (who, device) are parsed by ctl/field.h, so that bsctl has
 * refused a mistyped one before it gets here; what the store adds, like its numbers, comes back
 * with the answer.  "check" asks the same function as the client gate.
 */
#include <string.h>

#include "ctl/field.h"
#include "server/control_job.h"

static const char *const reason_words[] = {
	[BS_ACCESS_RULE] = "rule",
	[BS_ACCESS_NO_RULE] = "no-rule",
	[BS_ACCESS_DEVICE_UNKNOWN] = "device-unknown",
	[BS_ACCESS_DEVICE_DISABLED] = "device-disabled",
	[BS_ACCESS_CLIENT_DISABLED] = "client-disabled",
	[BS_ACCESS_CLIENT_REVOKED] = "client-revoked",
	[BS_ACCESS_CLIENT_KEY] = "client-key",
};

static void rule_subject(struct bs_access_rule *rule, const char *text)
{
	struct bs_field_subject v;

	/* The command table has checked the text. */
	if (bs_field_subject(text, strlen(text), &v) != NULL)
		return;
	switch (v.who) {
	case BS_SUBJECT_ANYBODY: rule->who_kind = BS_WHO_ANYBODY; break;
	case BS_SUBJECT_GROUP: rule->who_kind = BS_WHO_GROUP; break;
	case BS_SUBJECT_KEY:
		rule->who_kind = BS_WHO_KEY;
		memcpy(rule->who_fp, v.key, sizeof(rule->who_fp));
		break;
	default:
		rule->who_kind = v.has_ca ? BS_WHO_CA_IDENTITY : BS_WHO_IDENTITY;
		memcpy(rule->who_fp, v.ca, sizeof(rule->who_fp));
	}
	memcpy(rule->who, v.name, sizeof(v.name));
}

static void rule_object(struct bs_access_rule *rule, const char *text)
{
	struct bs_field_object v;

	if (bs_field_object(text, strlen(text), &v) != NULL)
		return;
	switch (v.what) {
	case BS_OBJECT_ANY: rule->which_kind = BS_WHICH_ANY; break;
	case BS_OBJECT_PATTERN: rule->which_kind = BS_WHICH_PATTERN; break;
	case BS_OBJECT_TAG: rule->which_kind = BS_WHICH_TAG; break;
	default: rule->which_kind = BS_WHICH_ID;
	}
	memcpy(rule->which, v.name, sizeof(v.name));
}

static json_t *rule_json(const void *rows, size_t i)
{
	const struct bs_access_rule *rule = (const struct bs_access_rule *)rows + i;
	struct bs_field_subject s;
	struct bs_field_object o;
	char who[BS_FIELD_CAP];
	char device[BS_FIELD_CAP];

	memset(&s, 0, sizeof(s));
	memset(&o, 0, sizeof(o));
	s.who = rule->who_kind == BS_WHO_ANYBODY ? BS_SUBJECT_ANYBODY
		: rule->who_kind == BS_WHO_KEY   ? BS_SUBJECT_KEY
		: rule->who_kind == BS_WHO_GROUP ? BS_SUBJECT_GROUP
						 : BS_SUBJECT_IDENTITY;
	s.has_ca = rule->who_kind == BS_WHO_CA_IDENTITY;
	memcpy(s.ca, rule->who_fp, sizeof(s.ca));
	memcpy(s.key, rule->who_fp, sizeof(s.key));
	memcpy(s.name, rule->who, sizeof(s.name));
	o.what = rule->which_kind == BS_WHICH_ANY       ? BS_OBJECT_ANY
		 : rule->which_kind == BS_WHICH_TAG     ? BS_OBJECT_TAG
		 : rule->which_kind == BS_WHICH_PATTERN ? BS_OBJECT_PATTERN
							: BS_OBJECT_DEVICE;
	memcpy(o.name, rule->which, sizeof(o.name));
	bs_field_put_subject(&s, who);
	bs_field_put_object(&o, device);
	return json_pack("{s:I,s:s,s:s,s:s,s:i,s:o}", "rule", (json_int_t)rule->id, "action",
			 rule->allow ? "allow" : "deny", "who", who, "device", device, "priority",
			 (int)rule->priority, "created", bs__control_json_time(rule->created));
}

static void rule_added(void *arg, const struct bs_store_result *res)
{
	struct bs_control_job *j = arg;

	if (res->status == BS_EEXIST) {
		bs__control_fail(j, BS_CTL_EXISTS, NULL, "delete that rule first",
				 "rule %u has the same client and device", res->number);
		return;
	}
	if (res->status != BS_OK) {
		bs__control_fail_err(j, res->status, NULL, res->err.text);
		return;
	}
	bs__control_finish(j, json_pack("{s:I}", "rule", (json_int_t)res->number), NULL);
}

static void run_add(struct bs_control_job *j)
{
	struct bs_store_request req = { .op = BS_STORE_RULE_ADD };
	struct bs_access_rule *rule = &req.u.rule;
	uint64_t priority = bs__control_uint(j, "priority", 0);
	struct bs_errtext err = { "" };

	if (priority > BS_ACCESS_PRIORITY_MAX) {
		bs__control_fail(j, BS_CTL_BAD_INPUT, "--priority", NULL, "more than %d",
				 BS_ACCESS_PRIORITY_MAX);
		return;
	}
	rule->allow = strcmp(j->command->name, "access allow") == 0;
	rule->priority = (uint16_t)priority;
	rule_subject(rule, bs__control_text(j, "who"));
	rule_object(rule, bs__control_text(j, "device"));
	if (bs_access_rule_check(rule, &err) != BS_OK) {
		bs__control_fail(j, BS_CTL_BAD_INPUT, NULL, NULL, "%s", err.text);
		return;
	}
	if (j->dry_run)
		bs__control_finish(j, json_object(), NULL);
	else
		bs__control_submit(j, &req, rule_added);
}

static void run_delete(struct bs_control_job *j)
{
	struct bs_store_request req = { .op = BS_STORE_RULE_DELETE };
	struct bs_registry_reader *r = bs__control_reader(j);
	uint64_t id = bs__control_uint(j, "rule", 0);
	struct bs_access_rule rule;
	int err = BS_ENOENT;

	if (!r)
		return;
	if (id <= UINT32_MAX)
		err = bs_access_get(r, (uint32_t)id, &rule);
	if (err == BS_ENOENT) {
		bs__control_fail(j, BS_CTL_NOT_FOUND, NULL, "see access list", "no rule %llu",
				 (unsigned long long)id);
		return;
	}
	if (err != BS_OK) {
		bs__control_fail_err(j, err, "database", NULL);
		return;
	}
	req.u.rule.id = (uint32_t)id;
	j->result = rule_json(&rule, 0);
	if (j->dry_run)
		bs__control_finish(j, json_incref(j->result), NULL);
	else
		bs__control_submit(j, &req, bs__control_stored);
}

static void run_check(struct bs_control_job *j)
{
	struct bs_registry_reader *r = bs__control_reader(j);
	const char *device = bs__control_text(j, "device");
	char identity[BS_CLIENT_ID_MAX + 1];
	uint8_t ca[32];
	uint8_t key[32];
	struct bs_presented who = { { (const uint8_t *)identity, 0 }, NULL, { NULL, 0 }, NULL };
	struct bs_slice id = { (const uint8_t *)device, strlen(device) };
	struct bs_access_result res;
	int err;

	if (!r)
		return;
	bs__control_identity(j, identity);
	who.identity.len = strlen(identity);
	who.ca_fp = bs__control_sha256(j, "ca-fp", ca) ? ca : NULL;
	who.key_fp = bs__control_sha256(j, "key-fp", key) ? key : NULL;
	err = bs_access_check(r, &who, id, &res);
	if (err != BS_OK) {
		bs__control_fail_err(j, err, identity, NULL);
		return;
	}
	bs__control_finish(j,
			   json_pack("{s:b,s:s,s:s,s:o}", "allow", res.allow, "reason",
				     res.reason < sizeof(reason_words) / sizeof(reason_words[0]) &&
						     reason_words[res.reason]
					     ? reason_words[res.reason]
					     : "unknown",
				     "text",
				     bs_access_reason_text((enum bs_access_reason)res.reason),
				     "rule", res.rule_id ? json_integer(res.rule_id) : json_null()),
			   NULL);
}

static void run_list(struct bs_control_job *j)
{
	struct bs_access_rule rules[BS_CONTROL_PAGE];
	struct bs_control_page p;

	if (!bs__control_page_begin(j, &p))
		return;
	bs__control_page_rows(j, &p, rules,
			      bs_access_list(p.reader, &p.pos, rules, BS_CONTROL_PAGE, &p.end),
			      rule_json);
}

const struct bs_control_row bs__control_access[] = {
	{ "access allow", run_add },   { "access deny", run_add },      { "access list", run_list },
	{ "access check", run_check }, { "access delete", run_delete }, { NULL, NULL },
};
