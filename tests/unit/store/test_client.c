/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "box.h"

Suite *bs_suite_client(void);

static struct box box;

static void setup(void)
{
	box_init(&box);
	box_open(&box);
}

static void teardown(void)
{
	box_fini(&box);
}

static int look_up(const char *identity, const uint8_t *ca, const uint8_t *key,
		   struct bs_client *out)
{
	struct bs_presented who = { .identity = box_text(identity), .ca_fp = ca, .key_fp = key };

	return bs_registry_client(box.r, &who, out);
}

START_TEST(the_exact_record_comes_first)
{
	struct bs_client c;

	ck_assert_int_eq(look_up("joe", NULL, NULL, &c), BS_ENOENT);
	ck_assert_int_eq(box_client(&box, "joe", NULL, NULL, "any").status, BS_OK);
	ck_assert_int_eq(box_client(&box, "joe", box_fp(1), box_fp(9), "one").status, BS_OK);
	ck_assert_int_eq(box_client(&box, "joe", NULL, NULL, NULL).status, BS_EEXIST);
	ck_assert_int_eq(look_up("joe", box_fp(1), box_fp(9), &c), BS_OK);
	ck_assert_str_eq(c.groups.name[0], "one");
	ck_assert(c.has_ca && c.has_key);
	ck_assert_int_eq(look_up("joe", box_fp(2), box_fp(9), &c), BS_OK);
	ck_assert_str_eq(c.groups.name[0], "any");
	ck_assert(!c.has_ca && !c.has_key);
	ck_assert_int_eq(look_up("joe", NULL, NULL, &c), BS_OK);
	ck_assert_str_eq(c.groups.name[0], "any");
	/* A record that names another key is no reason to take the wider one. */
	ck_assert_int_eq(look_up("joe", box_fp(1), box_fp(8), &c), BS_EAUTH);
	ck_assert_int_eq(look_up("joe", box_fp(1), NULL, &c), BS_OK);
	ck_assert_int_eq(look_up("jo", NULL, NULL, &c), BS_ENOENT);
	ck_assert_int_eq(look_up("joe2", NULL, NULL, &c), BS_ENOENT);
	ck_assert_int_eq(look_up("Bad Name", NULL, NULL, &c), BS_ENOENT);
}
END_TEST

static struct bs_store_result revoke(const struct bs_revocation *rev)
{
	struct bs_store_request req = { .op = BS_STORE_REVOKE, .u.revocation = *rev };

	return box_do(&box, &req);
}

START_TEST(revoking_an_identity_marks_its_records)
{
	struct bs_revocation rev = { .kind = BS_REVOKE_CLIENT, .identity = "joe" };
	struct bs_store_request del = { .op = BS_STORE_CLIENT_DELETE, .u.client.identity = "joe" };
	struct bs_store_request update = { .op = BS_STORE_CLIENT_UPDATE,
					   .u.client.identity = "joe",
					   .u.client.state = BS_RECORD_ENABLED };
	struct bs_client c;

	box_client(&box, "joe", NULL, NULL, NULL);
	box_client(&box, "joe", box_fp(1), NULL, NULL);
	box_client(&box, "joe2", NULL, NULL, NULL);
	box_client(&box, "jo", NULL, NULL, NULL);
	ck_assert_int_eq(revoke(&rev).status, BS_OK);
	ck_assert_int_eq(look_up("joe", NULL, NULL, &c), BS_OK);
	ck_assert_int_eq(c.state, BS_RECORD_REVOKED);
	ck_assert_uint_eq(c.generation, 2);
	ck_assert_int_eq(look_up("joe", box_fp(1), NULL, &c), BS_OK);
	ck_assert_int_eq(c.state, BS_RECORD_REVOKED);
	ck_assert_int_eq(look_up("joe2", NULL, NULL, &c), BS_OK);
	ck_assert_int_eq(c.state, BS_RECORD_ENABLED);
	ck_assert_int_eq(look_up("jo", NULL, NULL, &c), BS_OK);
	ck_assert_int_eq(c.state, BS_RECORD_ENABLED);
	/* For good: neither by an update nor by forgetting it and adding it again. */
	ck_assert_int_eq(box_do(&box, &update).status, BS_EPERM);
	ck_assert_int_eq(box_do(&box, &del).status, BS_OK);
	ck_assert_int_eq(box_do(&box, &del).status, BS_ENOENT);
	ck_assert_int_eq(box_client(&box, "joe", NULL, NULL, NULL).status, BS_EPERM);
	ck_assert_int_eq(box_client(&box, "joe", box_fp(5), NULL, NULL).status, BS_EPERM);
	box_check(&box);
}
END_TEST

START_TEST(revoking_under_one_ca_leaves_the_other)
{
	struct bs_revocation rev = { .kind = BS_REVOKE_CLIENT, .identity = "joe", .has_ca = true };
	struct bs_client c;

	memcpy(rev.ca_fp, box_fp(1), BS_FP256_LEN);
	box_client(&box, "joe", box_fp(1), NULL, NULL);
	box_client(&box, "joe", box_fp(2), NULL, NULL);
	ck_assert_int_eq(revoke(&rev).status, BS_OK);
	ck_assert_int_eq(look_up("joe", box_fp(1), NULL, &c), BS_OK);
	ck_assert_int_eq(c.state, BS_RECORD_REVOKED);
	ck_assert_int_eq(look_up("joe", box_fp(2), NULL, &c), BS_OK);
	ck_assert_int_eq(c.state, BS_RECORD_ENABLED);
	ck_assert_int_eq(box_client(&box, "joe", box_fp(3), NULL, NULL).status, BS_OK);
	box_check(&box);
}
END_TEST

START_TEST(a_repeated_revocation_keeps_the_first)
{
	struct bs_revocation rev = { .kind = BS_REVOKE_KEY, .when = 100, .note = "first" };
	struct bs_revocation got[2];
	struct bs_list_pos pos = { 0 };
	uint64_t crl = bs_registry_epochs(box.reg).crl;
	bool end;

	ck_assert_int_eq(revoke(&rev).status, BS_OK);
	ck_assert_uint_gt(bs_registry_epochs(box.reg).crl, crl);
	rev.when = 200;
	memcpy(rev.note, "second", 7);
	ck_assert_int_eq(revoke(&rev).status, BS_OK);
	ck_assert_int_eq(bs_registry_revocation_list(box.r, &pos, got, 2, &end), 1);
	ck_assert(end);
	ck_assert_uint_eq(got[0].when, 100);
	ck_assert_str_eq(got[0].note, "first");
}
END_TEST

START_TEST(what_is_presented_decides)
{
	struct bs_revocation rev = {
		.kind = BS_REVOKE_CERT, .has_ca = true, .serial = { 5, 6 }, .serial_len = 2
	};
	struct bs_presented who = { .ca_fp = box_fp(1) };
	enum bs_revoke_kind by;
	uint8_t long_serial[BS_SERIAL_MAX + 1] = { 1 };

	memcpy(rev.ca_fp, box_fp(1), BS_FP256_LEN);
	ck_assert_int_eq(revoke(&rev).status, BS_OK);
	who.serial = (struct bs_slice){ (const uint8_t *)"\5\6", 2 };
	ck_assert_int_eq(bs_registry_revoked(box.r, &who, &by), BS_OK);
	ck_assert_int_eq(by, BS_REVOKE_CERT);
	who.serial = (struct bs_slice){ (const uint8_t *)"\0\0\5\6", 4 };
	ck_assert_int_eq(bs_registry_revoked(box.r, &who, &by), BS_OK);
	ck_assert_int_eq(by, BS_REVOKE_CERT);
	who.serial = (struct bs_slice){ (const uint8_t *)"\5", 1 };
	ck_assert_int_eq(bs_registry_revoked(box.r, &who, &by), BS_OK);
	ck_assert_int_eq(by, BS_REVOKE_NONE);
	who.serial = (struct bs_slice){ long_serial, sizeof(long_serial) };
	ck_assert_int_eq(bs_registry_revoked(box.r, &who, &by), BS_OK);
	ck_assert_int_eq(by, BS_REVOKE_NONE);
	who.serial = (struct bs_slice){ NULL, 0 };
	ck_assert_int_eq(bs_registry_revoked(box.r, &who, &by), BS_OK);
	ck_assert_int_eq(by, BS_REVOKE_NONE);
}
END_TEST

START_TEST(clients_are_listed)
{
	struct bs_client got[3];
	struct bs_list_pos pos = { 0 };
	bool end;

	box_client(&box, "b", NULL, NULL, NULL);
	box_client(&box, "a", box_fp(2), NULL, NULL);
	box_client(&box, "a", NULL, NULL, NULL);
	box_client(&box, "a", box_fp(1), NULL, NULL);
	ck_assert_int_eq(bs_registry_client_list(box.r, &pos, got, 3, &end), 3);
	ck_assert(!end);
	ck_assert(!got[0].has_ca);
	ck_assert_uint_eq(got[1].ca_fp[0], 1);
	ck_assert_uint_eq(got[2].ca_fp[0], 2);
	ck_assert_int_eq(bs_registry_client_list(box.r, &pos, got, 3, &end), 1);
	ck_assert(end);
	ck_assert_str_eq(got[0].identity, "b");
}
END_TEST

START_TEST(ca_certificates)
{
	static const uint8_t der[3] = { 0x30, 0x01, 0x02 };
	struct bs_store_request req = { .op = BS_STORE_CA_ADD };
	struct bs_list_pos pos = { 0 };
	struct bs_ca got[2];
	struct bs_ca one;
	bool end;

	memcpy(req.u.ca.name, "vendor", 7);
	req.u.ca.roles = BS_CA_CLIENT;
	req.u.ca.der = (struct bs_slice){ der, sizeof(der) };
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(box_do(&box, &req).status, BS_EEXIST);
	/* What is borrowed from a page needs a snapshot that is held. */
	ck_assert_int_eq(bs_registry_ca_list(box.r, &pos, got, 2, &end), BS_EINVAL);
	ck_assert_int_eq(bs_registry_reader_begin(box.r), BS_OK);
	ck_assert_int_eq(bs_registry_ca_list(box.r, &pos, got, 2, &end), 1);
	ck_assert(end);
	ck_assert_uint_eq(got[0].der.len, 3);
	ck_assert_mem_eq(got[0].der.ptr, der, 3);
	ck_assert_str_eq(got[0].name, "vendor");
	ck_assert_int_eq(bs_registry_ca(box.r, got[0].fp, &one), BS_OK);
	ck_assert_int_eq(bs_registry_ca(box.r, box_fp(1), &one), BS_ENOENT);
	bs_registry_reader_end(box.r);
	ck_assert_int_eq(bs_registry_ca(box.r, got[0].fp, &one), BS_EINVAL);
	box_check(&box);
	req.op = BS_STORE_CA_REMOVE;
	memcpy(req.u.ca.fp, got[0].fp, BS_FP256_LEN);
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(box_do(&box, &req).status, BS_ENOENT);
}
END_TEST

START_TEST(updates_replace_key_and_groups)
{
	struct bs_store_request req = { .op = BS_STORE_CLIENT_UPDATE, .u.client.identity = "joe" };
	struct bs_client c;

	ck_assert_int_eq(box_do(&box, &req).status, BS_ENOENT);
	box_client(&box, "joe", NULL, NULL, "a,b");
	req.u.client.has_key = true;
	memcpy(req.u.client.key_fp, box_fp(4), BS_FP256_LEN);
	req.u.client.groups = box_names("c");
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(look_up("joe", NULL, box_fp(4), &c), BS_OK);
	ck_assert_int_eq(c.groups.n, 1);
	ck_assert_str_eq(c.groups.name[0], "c");
	ck_assert_int_eq(c.state, BS_RECORD_ENABLED);
	ck_assert_int_eq(look_up("joe", NULL, box_fp(5), &c), BS_EAUTH);
}
END_TEST

Suite *bs_suite_client(void)
{
	Suite *s = suite_create("client");
	TCase *t = tcase_create("client");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_exact_record_comes_first);
	tcase_add_test(t, revoking_an_identity_marks_its_records);
	tcase_add_test(t, revoking_under_one_ca_leaves_the_other);
	tcase_add_test(t, a_repeated_revocation_keeps_the_first);
	tcase_add_test(t, what_is_presented_decides);
	tcase_add_test(t, clients_are_listed);
	tcase_add_test(t, ca_certificates);
	tcase_add_test(t, updates_replace_key_and_groups);
	suite_add_tcase(s, t);
	return s;
}
