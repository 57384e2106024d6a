/* SPDX-License-Identifier: Apache-2.0 */
#include "store/access.h"

#include <stdio.h>

#include "box.h"

Suite *bs_suite_access(void);

static struct box box;

static const struct {
	const char *pattern;
	const char *id;
	bool hit;
} matches[] = {
	{ "a", "a", true },
	{ "a", "b", false },
	{ "a", "aa", false },
	{ "*", "anything.at.all", true },
	{ "cam*", "cam", true },
	{ "cam*", "cam17.example", true },
	{ "cam*", "ca", false },
	{ "*.example", "x.example", true },
	{ "*.example", "x.example2", false },
	{ "c?m", "cam", true },
	{ "c?m", "cm", false },
	{ "c?m", "caam", false },
	{ "a*b*c", "a-x-b-y-c", true },
	{ "a*b*c", "abcb", false },
	{ "*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	{ "**", "x", true },
	{ "?*", "x", true },
	{ "?*?", "x", false },
	{ "*ab", "aab", true },
};

START_TEST(glob)
{
	ck_assert_msg(bs_access_match(matches[_i].pattern, matches[_i].id,
				      strlen(matches[_i].id)) == matches[_i].hit,
		      "%s against %s", matches[_i].pattern, matches[_i].id);
}
END_TEST

/* Rules of one case, then who asks for what, then the outcome.  Rule ids count from 1. */
struct rule_row {
	bool allow;
	uint8_t who_kind;
	const char *who;
	uint8_t fp;
	uint8_t which_kind;
	const char *which;
	uint16_t priority;
};

struct access_row {
	const char *name;
	struct rule_row rules[5];
	const char *identity;
	uint8_t ca;
	uint8_t key;
	const char *device;
	bool allow;
	uint8_t reason;
	uint32_t rule;
};

/* Devices: cam1 (tags lab, red), cam2 (lab), off (disabled, lab).
 * Clients: joe (groups staff, ops), ann (no groups), dis (disabled, staff), pin (key 9, staff),
 * two under CA 1 (group one) and under CA 2 (group two). */
static const struct access_row rows[] = {
	{ "default deny", { { 0 } }, "joe", 1, 1, "cam1", false, BS_ACCESS_NO_RULE, 0 },
	{ "anybody any",
	  { { true, BS_WHO_ANYBODY, "", 0, BS_WHICH_ANY, "", 0 } },
	  "nobody",
	  1,
	  1,
	  "cam1",
	  true,
	  BS_ACCESS_RULE,
	  1 },
	{ "identity and id",
	  { { true, BS_WHO_IDENTITY, "joe", 0, BS_WHICH_ID, "CAM1", 0 } },
	  "joe",
	  1,
	  1,
	  "cam1",
	  true,
	  BS_ACCESS_RULE,
	  1 },
	{ "another identity",
	  { { true, BS_WHO_IDENTITY, "joe", 0, BS_WHICH_ID, "cam1", 0 } },
	  "ann",
	  1,
	  1,
	  "cam1",
	  false,
	  BS_ACCESS_NO_RULE,
	  0 },
	{ "another device",
	  { { true, BS_WHO_IDENTITY, "joe", 0, BS_WHICH_ID, "cam1", 0 } },
	  "joe",
	  1,
	  1,
	  "cam2",
	  false,
	  BS_ACCESS_NO_RULE,
	  0 },
	{ "identity under its CA",
	  { { true, BS_WHO_CA_IDENTITY, "two", 1, BS_WHICH_ANY, "", 0 } },
	  "two",
	  1,
	  1,
	  "cam1",
	  true,
	  BS_ACCESS_RULE,
	  1 },
	{ "identity under another CA",
	  { { true, BS_WHO_CA_IDENTITY, "two", 1, BS_WHICH_ANY, "", 0 } },
	  "two",
	  2,
	  1,
	  "cam1",
	  false,
	  BS_ACCESS_NO_RULE,
	  0 },
	{ "key",
	  { { true, BS_WHO_KEY, "", 5, BS_WHICH_TAG, "lab", 0 } },
	  "nobody",
	  1,
	  5,
	  "cam2",
	  true,
	  BS_ACCESS_RULE,
	  1 },
	{ "another key",
	  { { true, BS_WHO_KEY, "", 5, BS_WHICH_TAG, "lab", 0 } },
	  "nobody",
	  1,
	  6,
	  "cam2",
	  false,
	  BS_ACCESS_NO_RULE,
	  0 },
	{ "group and tag",
	  { { true, BS_WHO_GROUP, "ops", 0, BS_WHICH_TAG, "red", 0 } },
	  "joe",
	  1,
	  1,
	  "cam1",
	  true,
	  BS_ACCESS_RULE,
	  1 },
	{ "tag that the device lacks",
	  { { true, BS_WHO_GROUP, "ops", 0, BS_WHICH_TAG, "red", 0 } },
	  "joe",
	  1,
	  1,
	  "cam2",
	  false,
	  BS_ACCESS_NO_RULE,
	  0 },
	{ "group of one CA only",
	  { { true, BS_WHO_GROUP, "one", 0, BS_WHICH_ANY, "", 0 } },
	  "two",
	  2,
	  1,
	  "cam1",
	  false,
	  BS_ACCESS_NO_RULE,
	  0 },
	{ "group of the exact CA",
	  { { true, BS_WHO_GROUP, "one", 0, BS_WHICH_ANY, "", 0 } },
	  "two",
	  1,
	  1,
	  "cam1",
	  true,
	  BS_ACCESS_RULE,
	  1 },
	{ "pattern",
	  { { true, BS_WHO_IDENTITY, "joe", 0, BS_WHICH_PATTERN, "CAM?", 0 } },
	  "joe",
	  1,
	  1,
	  "cam2",
	  true,
	  BS_ACCESS_RULE,
	  1 },
	{ "pattern that does not match",
	  { { true, BS_WHO_IDENTITY, "joe", 0, BS_WHICH_PATTERN, "x*", 0 } },
	  "joe",
	  1,
	  1,
	  "cam2",
	  false,
	  BS_ACCESS_NO_RULE,
	  0 },
	{ "deny beats allow at one priority",
	  { { true, BS_WHO_IDENTITY, "joe", 0, BS_WHICH_ID, "cam1", 3 },
	    { false, BS_WHO_GROUP, "staff", 0, BS_WHICH_ANY, "", 3 } },
	  "joe",
	  1,
	  1,
	  "cam1",
	  false,
	  BS_ACCESS_RULE,
	  2 },
	{ "a higher priority beats a deny",
	  { { false, BS_WHO_GROUP, "staff", 0, BS_WHICH_ANY, "", 3 },
	    { true, BS_WHO_IDENTITY, "joe", 0, BS_WHICH_ID, "cam1", 4 } },
	  "joe",
	  1,
	  1,
	  "cam1",
	  true,
	  BS_ACCESS_RULE,
	  2 },
	{ "a higher deny beats everything below",
	  { { true, BS_WHO_ANYBODY, "", 0, BS_WHICH_ANY, "", 0 },
	    { true, BS_WHO_IDENTITY, "joe", 0, BS_WHICH_ID, "cam1", 999 },
	    { false, BS_WHO_ANYBODY, "", 0, BS_WHICH_PATTERN, "*", 1000 } },
	  "joe",
	  1,
	  1,
	  "cam1",
	  false,
	  BS_ACCESS_RULE,
	  3 },
	{ "the lowest id of those that decide is named",
	  { { true, BS_WHO_GROUP, "staff", 0, BS_WHICH_ANY, "", 1 },
	    { true, BS_WHO_IDENTITY, "joe", 0, BS_WHICH_ID, "cam1", 5 },
	    { true, BS_WHO_GROUP, "ops", 0, BS_WHICH_TAG, "lab", 5 } },
	  "joe",
	  1,
	  1,
	  "cam1",
	  true,
	  BS_ACCESS_RULE,
	  2 },
	{ "narrowness plays no part",
	  { { false, BS_WHO_ANYBODY, "", 0, BS_WHICH_ANY, "", 2 },
	    { true, BS_WHO_CA_IDENTITY, "joe", 1, BS_WHICH_ID, "cam1", 1 } },
	  "joe",
	  1,
	  1,
	  "cam1",
	  false,
	  BS_ACCESS_RULE,
	  1 },
	{ "unknown device",
	  { { true, BS_WHO_ANYBODY, "", 0, BS_WHICH_ANY, "", 0 } },
	  "joe",
	  1,
	  1,
	  "none",
	  false,
	  BS_ACCESS_DEVICE_UNKNOWN,
	  0 },
	{ "impossible device",
	  { { true, BS_WHO_ANYBODY, "", 0, BS_WHICH_ANY, "", 0 } },
	  "joe",
	  1,
	  1,
	  "no such id",
	  false,
	  BS_ACCESS_DEVICE_UNKNOWN,
	  0 },
	{ "disabled device",
	  { { true, BS_WHO_ANYBODY, "", 0, BS_WHICH_ANY, "", 0 } },
	  "joe",
	  1,
	  1,
	  "off",
	  false,
	  BS_ACCESS_DEVICE_DISABLED,
	  0 },
	{ "disabled client",
	  { { true, BS_WHO_ANYBODY, "", 0, BS_WHICH_ANY, "", 0 } },
	  "dis",
	  1,
	  1,
	  "cam1",
	  false,
	  BS_ACCESS_CLIENT_DISABLED,
	  0 },
	{ "client with another key",
	  { { true, BS_WHO_ANYBODY, "", 0, BS_WHICH_ANY, "", 0 } },
	  "pin",
	  1,
	  8,
	  "cam1",
	  false,
	  BS_ACCESS_CLIENT_KEY,
	  0 },
	{ "client with its key",
	  { { true, BS_WHO_GROUP, "staff", 0, BS_WHICH_ANY, "", 0 } },
	  "pin",
	  1,
	  9,
	  "cam1",
	  true,
	  BS_ACCESS_RULE,
	  1 },
};

static void setup(void)
{
	box_init(&box);
	box_open(&box);
	ck_assert_int_eq(box_add(&box, "cam1", 1, "lab,red").status, BS_OK);
	ck_assert_int_eq(box_add(&box, "cam2", 1, "lab").status, BS_OK);
	ck_assert_int_eq(box_add(&box, "off", 1, "lab").status, BS_OK);
	ck_assert_int_eq(box_state(&box, "off", BS_RECORD_DISABLED).status, BS_OK);
	ck_assert_int_eq(box_client(&box, "joe", NULL, NULL, "staff,ops").status, BS_OK);
	ck_assert_int_eq(box_client(&box, "ann", NULL, NULL, NULL).status, BS_OK);
	ck_assert_int_eq(box_client(&box, "pin", NULL, box_fp(9), "staff").status, BS_OK);
	ck_assert_int_eq(box_client(&box, "two", box_fp(1), NULL, "one").status, BS_OK);
	ck_assert_int_eq(box_client(&box, "two", box_fp(2), NULL, "two").status, BS_OK);
	ck_assert_int_eq(box_client(&box, "dis", NULL, NULL, "staff").status, BS_OK);
	{
		struct bs_store_request req = { .op = BS_STORE_CLIENT_UPDATE };

		memcpy(req.u.client.identity, "dis", 4);
		req.u.client.state = BS_RECORD_DISABLED;
		req.u.client.groups = box_names("staff");
		ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	}
}

static void teardown(void)
{
	box_fini(&box);
}

static struct bs_access_result ask(const char *identity, uint8_t ca, uint8_t key,
				   const char *device)
{
	struct bs_presented who = { .identity = box_text(identity),
				    .ca_fp = ca ? box_fp(ca) : NULL,
				    .key_fp = key ? box_fp(key) : NULL,
				    .serial = { (const uint8_t *)"\x11", 1 } };
	struct bs_access_result res;

	ck_assert_int_eq(bs_access_check(box.r, &who, box_text(device), &res), BS_OK);
	return res;
}

START_TEST(decision)
{
	const struct access_row *row = &rows[_i];
	struct bs_access_result res;
	size_t i;

	for (i = 0; i < BS_LEN(row->rules) && row->rules[i].who_kind; i++) {
		const struct rule_row *r = &row->rules[i];

		ck_assert_int_eq(box_rule(&box, r->allow, r->who_kind, r->who,
					  r->fp ? box_fp(r->fp) : NULL, r->which_kind, r->which,
					  r->priority)
					 .status,
				 BS_OK);
	}
	res = ask(row->identity, row->ca, row->key, row->device);
	ck_assert_msg(
		res.allow == row->allow && res.reason == row->reason && res.rule_id == row->rule,
		"%s: %s, %s, rule %u", row->name, res.allow ? "allow" : "deny",
		bs_access_reason_text((enum bs_access_reason)res.reason), (unsigned)res.rule_id);
	box_check(&box);
}
END_TEST

START_TEST(revocation_beats_rules)
{
	struct bs_store_request req = { .op = BS_STORE_REVOKE };
	struct bs_revocation *rev = &req.u.revocation;

	ck_assert_int_eq(box_rule(&box, true, BS_WHO_ANYBODY, "", NULL, BS_WHICH_ANY, "", 0).status,
			 BS_OK);
	ck_assert(ask("ann", 1, 1, "cam1").allow);
	rev->kind = BS_REVOKE_KEY;
	memcpy(rev->key_fp, box_fp(1), BS_FP256_LEN);
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(ask("ann", 1, 1, "cam1").reason, BS_ACCESS_CLIENT_REVOKED);
	ck_assert(ask("ann", 1, 2, "cam1").allow);
	memset(rev, 0, sizeof(*rev));
	rev->kind = BS_REVOKE_CERT;
	rev->has_ca = true;
	memcpy(rev->ca_fp, box_fp(3), BS_FP256_LEN);
	/* A leading zero byte does not make another serial. */
	memcpy(rev->serial, "\0\x11", 2);
	rev->serial_len = 2;
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(ask("ann", 3, 2, "cam1").reason, BS_ACCESS_CLIENT_REVOKED);
	ck_assert(ask("ann", 4, 2, "cam1").allow);
	memset(rev, 0, sizeof(*rev));
	rev->kind = BS_REVOKE_CLIENT;
	memcpy(rev->identity, "two", 4);
	rev->has_ca = true;
	memcpy(rev->ca_fp, box_fp(1), BS_FP256_LEN);
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(ask("two", 1, 2, "cam1").reason, BS_ACCESS_CLIENT_REVOKED);
	ck_assert(ask("two", 2, 2, "cam1").allow);
	rev->has_ca = false;
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(ask("two", 2, 2, "cam1").reason, BS_ACCESS_CLIENT_REVOKED);
	ck_assert_int_eq(ask("two", 0, 0, "cam1").reason, BS_ACCESS_CLIENT_REVOKED);
	box_check(&box);
}
END_TEST

START_TEST(same_rule_twice_names_the_first)
{
	struct bs_store_result res;

	ck_assert_uint_eq(
		box_rule(&box, true, BS_WHO_GROUP, "g", NULL, BS_WHICH_TAG, "t", 1).number, 1);
	res = box_rule(&box, false, BS_WHO_GROUP, "g", NULL, BS_WHICH_TAG, "t", 2);
	ck_assert_int_eq(res.status, BS_EEXIST);
	ck_assert_uint_eq(res.number, 1);
	/* Kinds do not mix: the same text as an identity is another rule. */
	ck_assert_uint_eq(
		box_rule(&box, true, BS_WHO_IDENTITY, "g", NULL, BS_WHICH_TAG, "t", 1).number, 2);
	ck_assert_uint_eq(
		box_rule(&box, true, BS_WHO_IDENTITY, "g", NULL, BS_WHICH_ID, "t", 1).number, 3);
}
END_TEST

START_TEST(patterns_are_bounded_for_each_who)
{
	struct bs_store_result res = { 0 };
	char pattern[16];
	int i;

	for (i = 0; i < BS_ACCESS_PATTERNS_MAX; i++) {
		snprintf(pattern, sizeof(pattern), "x%d*", i);
		res = box_rule(&box, true, BS_WHO_GROUP, "g", NULL, BS_WHICH_PATTERN, pattern, 0);
		ck_assert_int_eq(res.status, BS_OK);
	}
	res = box_rule(&box, true, BS_WHO_GROUP, "g", NULL, BS_WHICH_PATTERN, "y*", 0);
	ck_assert_int_eq(res.status, BS_EFULL);
	res = box_rule(&box, true, BS_WHO_GROUP, "h", NULL, BS_WHICH_PATTERN, "y*", 0);
	ck_assert_int_eq(res.status, BS_OK);
	{
		struct bs_store_request req = { .op = BS_STORE_RULE_DELETE, .u.rule.id = 5 };

		ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
		ck_assert_int_eq(box_do(&box, &req).status, BS_ENOENT);
	}
	res = box_rule(&box, true, BS_WHO_GROUP, "g", NULL, BS_WHICH_PATTERN, "y*", 0);
	ck_assert_int_eq(res.status, BS_OK);
	box_check(&box);
}
END_TEST

START_TEST(rules_are_listed)
{
	struct bs_list_pos pos = { 0 };
	struct bs_access_rule got[2];
	struct bs_access_rule one;
	bool end;
	int i;

	for (i = 0; i < 5; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%d", i);
		ck_assert_int_eq(box_rule(&box, i & 1, BS_WHO_CA_IDENTITY, "joe", box_fp(3),
					  BS_WHICH_ID, id, (uint16_t)i)
					 .status,
				 BS_OK);
	}
	for (i = 0; i < 4; i += 2) {
		ck_assert_int_eq(bs_access_list(box.r, &pos, got, 2, &end), 2);
		ck_assert(!end);
		ck_assert_uint_eq(got[0].id, (unsigned)i + 1);
		ck_assert_uint_eq(got[1].id, (unsigned)i + 2);
		ck_assert_uint_eq(got[1].priority, (unsigned)i + 1);
	}
	ck_assert_int_eq(bs_access_list(box.r, &pos, got, 2, &end), 1);
	ck_assert(end);
	ck_assert_int_eq(bs_access_get(box.r, 4, &one), BS_OK);
	ck_assert(one.allow);
	ck_assert_str_eq(one.who, "joe");
	ck_assert_str_eq(one.which, "d3");
	ck_assert_mem_eq(one.who_fp, box_fp(3), BS_FP256_LEN);
	ck_assert_int_eq(bs_access_get(box.r, 6, &one), BS_ENOENT);
}
END_TEST

static const struct {
	struct bs_access_rule rule;
	const char *says;
} bad_rules[] = {
	{ { .who_kind = 0, .which_kind = BS_WHICH_ANY }, "kind of who" },
	{ { .who_kind = BS_WHO_ANYBODY, .which_kind = 9 }, "kind of device" },
	{ { .who_kind = BS_WHO_ANYBODY, .who = "x", .which_kind = BS_WHICH_ANY }, "no name" },
	{ { .who_kind = BS_WHO_ANYBODY, .which_kind = BS_WHICH_ANY, .which = "x" }, "no name" },
	{ { .who_kind = BS_WHO_IDENTITY, .which_kind = BS_WHICH_ANY }, "identity" },
	{ { .who_kind = BS_WHO_IDENTITY, .who = "Joe", .which_kind = BS_WHICH_ANY }, "identity" },
	{ { .who_kind = BS_WHO_GROUP, .who = "a b", .which_kind = BS_WHICH_ANY }, "group" },
	{ { .who_kind = BS_WHO_GROUP, .who = "g", .who_fp = { 1 }, .which_kind = BS_WHICH_ANY },
	  "fingerprint" },
	{ { .who_kind = BS_WHO_ANYBODY, .which_kind = BS_WHICH_ID, .which = "a_b" }, "device id" },
	{ { .who_kind = BS_WHO_ANYBODY, .which_kind = BS_WHICH_PATTERN, .which = "[a]" },
	  "pattern" },
	{ { .who_kind = BS_WHO_ANYBODY, .which_kind = BS_WHICH_PATTERN }, "pattern" },
	{ { .who_kind = BS_WHO_ANYBODY, .which_kind = BS_WHICH_TAG, .which = "a,b" }, "tag" },
	{ { .who_kind = BS_WHO_ANYBODY, .which_kind = BS_WHICH_ANY, .priority = 1001 },
	  "priority" },
};

START_TEST(bad_rule_is_explained)
{
	struct bs_access_rule rule = bad_rules[_i].rule;
	struct bs_errtext err = { { 0 } };

	ck_assert_int_eq(bs_access_rule_check(&rule, &err), BS_EINVAL);
	ck_assert_msg(strstr(err.text, bad_rules[_i].says) != NULL, "\"%s\" should say \"%s\"",
		      err.text, bad_rules[_i].says);
	ck_assert_int_eq(bs_access_rule_check(&rule, NULL), BS_EINVAL);
}
END_TEST

START_TEST(unterminated_rule_is_refused)
{
	struct bs_access_rule rule = { .who_kind = BS_WHO_IDENTITY, .which_kind = BS_WHICH_ANY };

	memset(rule.who, 'a', sizeof(rule.who));
	ck_assert_int_eq(bs_access_rule_check(&rule, NULL), BS_EINVAL);
	rule.who[1] = 0;
	rule.which_kind = BS_WHICH_PATTERN;
	memset(rule.which, 'a', sizeof(rule.which));
	ck_assert_int_eq(bs_access_rule_check(&rule, NULL), BS_EINVAL);
	rule.which[sizeof(rule.which) - 1] = 0;
	ck_assert_int_eq(bs_access_rule_check(&rule, NULL), BS_OK);
}
END_TEST

START_TEST(question_without_identity_is_refused)
{
	struct bs_presented who = { .identity = { NULL, 0 } };
	struct bs_access_result res;

	ck_assert_int_eq(bs_access_check(box.r, &who, box_text("cam1"), &res), BS_EINVAL);
	who.identity = box_text("Upper");
	ck_assert_int_eq(bs_access_check(box.r, &who, box_text("cam1"), &res), BS_EINVAL);
}
END_TEST

START_TEST(reasons_have_texts)
{
	int i;

	for (i = BS_ACCESS_RULE; i <= BS_ACCESS_CLIENT_KEY; i++)
		ck_assert_str_ne(bs_access_reason_text((enum bs_access_reason)i), "unknown reason");
	ck_assert_str_eq(bs_access_reason_text((enum bs_access_reason)0), "unknown reason");
	ck_assert_str_eq(bs_access_reason_text((enum bs_access_reason)99), "unknown reason");
}
END_TEST

Suite *bs_suite_access(void)
{
	Suite *s = suite_create("access");
	TCase *t = tcase_create("pure");

	tcase_add_loop_test(t, glob, 0, (int)BS_LEN(matches));
	tcase_add_loop_test(t, bad_rule_is_explained, 0, (int)BS_LEN(bad_rules));
	tcase_add_test(t, unterminated_rule_is_refused);
	tcase_add_test(t, reasons_have_texts);
	suite_add_tcase(s, t);
	t = tcase_create("registry");
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, decision, 0, (int)BS_LEN(rows));
	tcase_add_test(t, revocation_beats_rules);
	tcase_add_test(t, same_rule_twice_names_the_first);
	tcase_add_test(t, patterns_are_bounded_for_each_who);
	tcase_add_test(t, rules_are_listed);
	tcase_add_test(t, question_without_identity_is_refused);
	suite_add_tcase(s, t);
	return s;
}
