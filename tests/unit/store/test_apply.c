/* SPDX-License-Identifier: Apache-2.0 */
/* What a commit tells: epochs and the change feed. */
#include "store/apply.h"

#include <stdio.h>

#include "box.h"

Suite *bs_suite_apply(void);

static struct box box;

static void setup(void)
{
	box_init(&box);
	box_open(&box);
	box_add(&box, "dev", 1, "t");
	box_client(&box, "joe", NULL, NULL, NULL);
	box_rule(&box, true, BS_WHO_IDENTITY, "joe", NULL, BS_WHICH_ID, "dev", 0);
	box.n_changes = 0;
}

static void teardown(void)
{
	box_fini(&box);
}

static const struct {
	const char *name;
	struct bs_store_request req;
	enum bs_store_change_kind kind; /* 0 = nothing is told */
	bool access;
	bool crl;
	bool change;
} rows[] = {
	{ "add",
	  { .op = BS_STORE_DEVICE_ADD, .u.device = { .id = "new", .has_secret = true } },
	  BS_CHANGE_DEVICE_ADDED,
	  true,
	  false,
	  true },
	{ "delete",
	  { .op = BS_STORE_DEVICE_DELETE, .u.device.id = "dev" },
	  BS_CHANGE_DEVICE_REMOVED,
	  true,
	  false,
	  true },
	{ "disable",
	  { .op = BS_STORE_DEVICE_STATE, .u.device = { .id = "dev", .state = BS_RECORD_DISABLED } },
	  BS_CHANGE_DEVICE_STATE,
	  true,
	  false,
	  true },
	{ "enable what is enabled",
	  { .op = BS_STORE_DEVICE_STATE, .u.device = { .id = "dev", .state = BS_RECORD_ENABLED } },
	  0,
	  false,
	  false,
	  false },
	{ "legacy",
	  { .op = BS_STORE_DEVICE_LEGACY, .u.device = { .id = "dev", .flags = BS_DEVICE_LEGACY } },
	  BS_CHANGE_DEVICE_KEY,
	  false,
	  false,
	  true },
	{ "rotate",
	  { .op = BS_STORE_DEVICE_ROTATE, .u.device.id = "dev" },
	  BS_CHANGE_DEVICE_KEY,
	  false,
	  false,
	  true },
	{ "tags",
	  { .op = BS_STORE_DEVICE_TAGS, .u.tags = { .id = "dev", .add = { 1, { "x" } } } },
	  BS_CHANGE_DEVICE_TAGS,
	  true,
	  false,
	  true },
	{ "same tags",
	  { .op = BS_STORE_DEVICE_TAGS, .u.tags = { .id = "dev", .add = { 1, { "t" } } } },
	  0,
	  false,
	  false,
	  false },
	{ "client",
	  { .op = BS_STORE_CLIENT_ADD, .u.client.identity = "ann" },
	  BS_CHANGE_CLIENT,
	  true,
	  false,
	  true },
	{ "update",
	  { .op = BS_STORE_CLIENT_UPDATE, .u.client.identity = "joe" },
	  BS_CHANGE_CLIENT,
	  true,
	  false,
	  true },
	{ "forget",
	  { .op = BS_STORE_CLIENT_DELETE, .u.client.identity = "joe" },
	  BS_CHANGE_CLIENT,
	  true,
	  false,
	  true },
	{ "rule",
	  { .op = BS_STORE_RULE_ADD,
	    .u.rule = { .who_kind = BS_WHO_ANYBODY, .which_kind = BS_WHICH_ANY } },
	  BS_CHANGE_RULE,
	  true,
	  false,
	  true },
	{ "no rule",
	  { .op = BS_STORE_RULE_DELETE, .u.rule.id = 1 },
	  BS_CHANGE_RULE,
	  true,
	  false,
	  true },
	{ "CA",
	  { .op = BS_STORE_CA_ADD,
	    .u.ca = { .roles = BS_CA_CLIENT, .der = { (const uint8_t *)"x", 1 } } },
	  BS_CHANGE_CA,
	  true,
	  true,
	  true },
	{ "revoke",
	  { .op = BS_STORE_REVOKE, .u.revocation.kind = BS_REVOKE_KEY },
	  BS_CHANGE_REVOKED,
	  true,
	  true,
	  true },
	{ "a failure",
	  { .op = BS_STORE_DEVICE_DELETE, .u.device.id = "none" },
	  0,
	  false,
	  false,
	  false },
	{ "sync", { .op = BS_STORE_SYNC }, 0, false, false, false },
};

START_TEST(epochs_and_feed)
{
	struct bs_epochs before = bs_registry_epochs(box.reg);
	struct bs_store_result res = box_do(&box, &rows[_i].req);
	struct bs_epochs after = bs_registry_epochs(box.reg);

	ck_assert_msg((after.access > before.access) == rows[_i].access, "%s", rows[_i].name);
	ck_assert_msg((after.crl > before.crl) == rows[_i].crl, "%s", rows[_i].name);
	ck_assert_msg((after.change > before.change) == rows[_i].change, "%s", rows[_i].name);
	ck_assert_uint_eq(res.epochs.access, after.access);
	if (!rows[_i].kind) {
		ck_assert_uint_eq(box.n_changes, 0);
		return;
	}
	ck_assert_uint_eq(box.n_changes, 1);
	ck_assert_msg(box.change[0].kind == rows[_i].kind, "%s", rows[_i].name);
	ck_assert_uint_eq(box.change[0].epochs.access, after.access);
	ck_assert_uint_eq(box.change[0].epochs.crl, after.crl);
	box_check(&box);
}
END_TEST

START_TEST(the_feed_names_what_it_is_about)
{
	struct bs_store_request revoke = {
		.op = BS_STORE_REVOKE,
		.u.revocation = { .kind = BS_REVOKE_CLIENT, .identity = "joe", .note = "lost" }
	};
	struct bs_store_request rule = { .op = BS_STORE_RULE_DELETE, .u.rule.id = 1 };

	box_state(&box, "dev", BS_RECORD_DISABLED);
	ck_assert_str_eq(box.change[0].device_id, "dev");
	ck_assert_uint_eq(box.change[0].number, 1);
	ck_assert_int_eq(box.change[0].state, BS_RECORD_DISABLED);
	box_do(&box, &revoke);
	ck_assert_str_eq(box.change[1].identity, "joe");
	ck_assert_int_eq(box.change[1].revocation.kind, BS_REVOKE_CLIENT);
	ck_assert_str_eq(box.change[1].revocation.identity, "joe");
	ck_assert_str_eq(box.change[1].revocation.note, "lost");
	box_do(&box, &rule);
	ck_assert_uint_eq(box.change[2].number, 1);
	ck_assert_str_eq(box.change[2].device_id, "dev");
	ck_assert_str_eq(box.change[2].identity, "joe");
}
END_TEST

START_TEST(a_failure_does_not_disturb_its_batch)
{
	struct bs_store_request sync = { .op = BS_STORE_SYNC };
	struct bs_registry_stat st;
	char id[16];
	int i;

	/* Every second one is refused inside the transaction. */
	for (i = 0; i < 200; i++) {
		struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD };

		snprintf(id, sizeof(id), "x%d", i / 2);
		memcpy(req.u.device.id, id, sizeof(id));
		req.u.device.has_secret = true;
		req.u.device.tags = box_names("p,q");
		ck_assert_int_eq(bs_store_submit(box.in, &req), BS_OK);
	}
	ck_assert_int_eq(box_do(&box, &sync).status, BS_OK);
	ck_assert_int_eq(bs_registry_stat(box.r, &st), BS_OK);
	ck_assert_uint_eq(st.devices, 101);
	ck_assert_uint_eq(bs_store_counters_get(box.store).failed, 100);
	ck_assert_uint_eq(box.n_changes, 100);
	box_check(&box);
}
END_TEST

START_TEST(more_changes_than_fit_become_one)
{
	static struct bs__apply a;
	struct bs_store_change *c;
	int i;

	memset(&a, 0, sizeof(a));
	for (i = 0; i < BS__CHANGES_MAX; i++) {
		c = bs__change(&a, BS_CHANGE_RULE, BS__EPOCH_ACCESS);
		ck_assert_ptr_eq(c, &a.change[i]);
	}
	ck_assert(!a.many);
	c = bs__change(&a, BS_CHANGE_CA, BS__EPOCH_CRL);
	ck_assert(a.many);
	ck_assert_ptr_eq(c, &a.change[BS__CHANGES_MAX - 1]);
	ck_assert(a.touched[BS__EPOCH_CRL]);
}
END_TEST

Suite *bs_suite_apply(void)
{
	Suite *s = suite_create("apply");
	TCase *t = tcase_create("apply");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, epochs_and_feed, 0, (int)BS_LEN(rows));
	tcase_add_test(t, the_feed_names_what_it_is_about);
	tcase_add_test(t, a_failure_does_not_disturb_its_batch);
	tcase_add_test(t, more_changes_than_fit_become_one);
	suite_add_tcase(s, t);
	return s;
}
