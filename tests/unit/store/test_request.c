/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a request is said before it enters the queue. */
#include "box.h"
#include "store/apply.h"

Suite *bs_suite_request(void);

static const struct {
	struct bs_store_request req;
	const char *says; /* NULL: it is fine */
} rows[] = {
	{ { .op = BS_STORE_SYNC }, NULL },
	{ { .op = (enum bs_store_op)0 }, "unknown request" },
	{ { .op = (enum bs_store_op)99 }, "unknown request" },
	{ { .op = BS_STORE_DEVICE_ADD, .u.device = { .id = "a", .has_secret = true } }, NULL },
	{ { .op = BS_STORE_DEVICE_ADD, .u.device = { .id = "a" } }, "secret" },
	{ { .op = BS_STORE_DEVICE_ADD, .u.device = { .id = "a", .flags = BS_DEVICE_LEGACY } },
	  NULL },
	{ { .op = BS_STORE_DEVICE_ADD, .u.device = { .id = "a", .flags = 0x40 } }, "flags" },
	{ { .op = BS_STORE_DEVICE_ADD,
	    .u.device = { .id = "a", .has_secret = true, .state = BS_RECORD_REVOKED } },
	  "enabled or disabled" },
	{ { .op = BS_STORE_DEVICE_ADD,
	    .u.device = { .id = "a", .has_secret = true, .tags = { .n = 17 } } },
	  "tags" },
	{ { .op = BS_STORE_DEVICE_ADD,
	    .u.device = { .id = "a", .has_secret = true, .tags = { 1, { "a b" } } } },
	  "tags" },
	{ { .op = BS_STORE_DEVICE_DELETE, .u.device = { .id = "a_b" } }, "a_b" },
	{ { .op = BS_STORE_DEVICE_DELETE, .u.device = { .id = "" } }, "device id" },
	{ { .op = BS_STORE_DEVICE_STATE, .u.device = { .id = "a" } }, "enabled or disabled" },
	{ { .op = BS_STORE_DEVICE_LEGACY, .u.device = { .id = "a", .flags = 2 } }, "flags" },
	{ { .op = BS_STORE_DEVICE_TAGS, .u.tags = { .id = "a", .add = { 17 } } }, "to add" },
	{ { .op = BS_STORE_DEVICE_TAGS, .u.tags = { .id = "a", .remove = { 17 } } }, "to remove" },
	{ { .op = BS_STORE_DEVICE_TAGS, .u.tags = { .id = "-" } }, "device id" },
	{ { .op = BS_STORE_CLIENT_ADD, .u.client = { .identity = "joe@x" } }, NULL },
	{ { .op = BS_STORE_CLIENT_ADD, .u.client = { .identity = "Joe" } }, "Joe" },
	{ { .op = BS_STORE_CLIENT_ADD, .u.client = { .identity = "" } }, "identity" },
	{ { .op = BS_STORE_CLIENT_ADD,
	    .u.client = { .identity = "joe", .state = BS_RECORD_REVOKED } },
	  "revoking" },
	{ { .op = BS_STORE_CLIENT_UPDATE,
	    .u.client = { .identity = "joe", .groups = { 2, { "b", "a" } } } },
	  "groups" },
	{ { .op = BS_STORE_RULE_ADD, .u.rule = { .who_kind = 77 } }, "kind of who" },
	{ { .op = BS_STORE_RULE_DELETE }, NULL },
	{ { .op = BS_STORE_CA_ADD, .u.ca = { .roles = BS_CA_CLIENT } }, "1 to" },
	{ { .op = BS_STORE_CA_ADD, .u.ca = { .roles = 0, .der = { (const uint8_t *)"x", 1 } } },
	  "what it is for" },
	{ { .op = BS_STORE_CA_ADD,
	    .u.ca = { .roles = 1, .name = "a\nb", .der = { (const uint8_t *)"x", 1 } } },
	  "name" },
	{ { .op = BS_STORE_CA_ADD,
	    .u.ca = { .roles = 1, .der = { (const uint8_t *)"x", BS_CA_DER_MAX + 1 } } },
	  "bytes" },
	{ { .op = BS_STORE_CA_REMOVE }, NULL },
	{ { .op = BS_STORE_REVOKE }, "unknown kind" },
	{ { .op = BS_STORE_REVOKE, .u.revocation = { .kind = BS_REVOKE_KEY } }, NULL },
	{ { .op = BS_STORE_REVOKE, .u.revocation = { .kind = BS_REVOKE_KEY, .note = "a\033b" } },
	  "reason" },
	{ { .op = BS_STORE_REVOKE, .u.revocation = { .kind = BS_REVOKE_CLIENT } }, "identity" },
	{ { .op = BS_STORE_REVOKE, .u.revocation = { .kind = BS_REVOKE_CERT, .serial_len = 1 } },
	  "its CA" },
	{ { .op = BS_STORE_REVOKE, .u.revocation = { .kind = BS_REVOKE_CERT, .has_ca = true } },
	  "serial" },
	{ { .op = BS_STORE_REVOKE,
	    .u.revocation = { .kind = BS_REVOKE_CERT,
			      .has_ca = true,
			      .serial_len = BS_SERIAL_MAX + 1 } },
	  "serial" },
	{ { .op = BS_STORE_SEEN }, "entries" },
	{ { .op = BS_STORE_BACKUP }, "path" },
};

START_TEST(content_is_examined)
{
	struct bs_store_request req = rows[_i].req;
	struct bs_errtext err = { { 0 } };
	int rc = bs__request_check(&req, &err);

	ck_assert_int_eq(rc, rows[_i].says ? BS_EINVAL : BS_OK);
	if (rows[_i].says)
		ck_assert_msg(strstr(err.text, rows[_i].says) != NULL, "\"%s\" should say \"%s\"",
			      err.text, rows[_i].says);
	req = rows[_i].req;
	ck_assert_int_eq(bs__request_check(&req, NULL), rc);
}
END_TEST

START_TEST(what_has_a_case_is_folded)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_DELETE,
					.u.device.id = "CAM.Example" };

	ck_assert_int_eq(bs__request_check(&req, NULL), BS_OK);
	ck_assert_str_eq(req.u.device.id, "cam.example");
	memset(&req, 0, sizeof(req));
	req.op = BS_STORE_REVOKE;
	req.u.revocation.kind = BS_REVOKE_CERT;
	req.u.revocation.has_ca = true;
	memcpy(req.u.revocation.serial, "\0\0\1\2", 4);
	req.u.revocation.serial_len = 4;
	ck_assert_int_eq(bs__request_check(&req, NULL), BS_OK);
	ck_assert_uint_eq(req.u.revocation.serial_len, 2);
	ck_assert_mem_eq(req.u.revocation.serial, "\1\2", 2);
}
END_TEST

START_TEST(texts_without_an_end_are_refused)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_DELETE };

	memset(&req.u, 'a', sizeof(req.u));
	ck_assert_int_eq(bs__request_check(&req, NULL), BS_EINVAL);
	req.op = BS_STORE_CLIENT_ADD;
	ck_assert_int_eq(bs__request_check(&req, NULL), BS_EINVAL);
	req.op = BS_STORE_BACKUP;
	ck_assert_int_eq(bs__request_check(&req, NULL), BS_EINVAL);
	req.op = BS_STORE_CA_ADD;
	ck_assert_int_eq(bs__request_check(&req, NULL), BS_EINVAL);
	req.op = BS_STORE_REVOKE;
	ck_assert_int_eq(bs__request_check(&req, NULL), BS_EINVAL);
}
END_TEST

Suite *bs_suite_request(void)
{
	Suite *s = suite_create("request");
	TCase *t = tcase_create("request");

	tcase_add_loop_test(t, content_is_examined, 0, (int)BS_LEN(rows));
	tcase_add_test(t, what_has_a_case_is_folded);
	tcase_add_test(t, texts_without_an_end_are_refused);
	suite_add_tcase(s, t);
	return s;
}
