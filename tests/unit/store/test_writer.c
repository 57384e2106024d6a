/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"

#include <poll.h>
#include <stdio.h>

#include "box.h"

Suite *bs_suite_writer(void);

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

START_TEST(device_comes_back)
{
	struct bs_device d;
	struct bs_store_result res = box_add(&box, "Cam1.P2P.example.com", 7, "red,blue");
	uint8_t want[BS_PSK_LEN];

	ck_assert_int_eq(res.status, BS_OK);
	ck_assert_uint_eq(res.number, 1);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("CAM1.p2p.example.com"), &d), BS_OK);
	memset(want, 7, sizeof(want));
	ck_assert_mem_eq(d.secret, want, sizeof(want));
	ck_assert_str_eq(d.id, "cam1.p2p.example.com");
	ck_assert_uint_eq(d.id_len, 20);
	ck_assert_uint_eq(d.number, 1);
	ck_assert_uint_eq(d.generation, 1);
	ck_assert_int_eq(d.state, BS_RECORD_ENABLED);
	ck_assert(d.has_secret && !d.has_next);
	ck_assert_uint_gt(d.created, 1700000000);
	ck_assert_uint_eq(d.last_seen, 0);
	ck_assert_int_eq(d.tags.n, 2);
	ck_assert_int_eq(bs_registry_device_by_number(box.r, 1, &d), BS_OK);
	ck_assert_str_eq(d.id, "cam1.p2p.example.com");
	ck_assert_int_eq(bs_registry_device_by_number(box.r, 2, &d), BS_ENOENT);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("cam2"), &d), BS_ENOENT);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("not an id"), &d), BS_ENOENT);
	ck_assert_int_eq(box_add(&box, "cam1.p2p.example.com", 8, NULL).status, BS_EEXIST);
	box_check(&box);
}
END_TEST

START_TEST(numbers_are_never_used_again)
{
	ck_assert_uint_eq(box_add(&box, "a", 1, NULL).number, 1);
	ck_assert_uint_eq(box_add(&box, "b", 1, "t").number, 2);
	ck_assert_int_eq(box_device(&box, BS_STORE_DEVICE_DELETE, "b").status, BS_OK);
	ck_assert_int_eq(box_device(&box, BS_STORE_DEVICE_DELETE, "b").status, BS_ENOENT);
	ck_assert_uint_eq(box_add(&box, "b", 1, NULL).number, 3);
	box_close(&box);
	box_open(&box);
	ck_assert_uint_eq(box_add(&box, "c", 1, NULL).number, 4);
	box_check(&box);
}
END_TEST

START_TEST(rotation_keeps_both_secrets)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ROTATE, .u.device.id = "a" };
	uint8_t old[BS_PSK_LEN];
	uint8_t new[BS_PSK_LEN];
	struct bs_device d;

	memset(old, 1, sizeof(old));
	memset(new, 2, sizeof(new));
	memcpy(req.u.device.secret, new, sizeof(new));
	ck_assert_int_eq(box_add(&box, "a", 1, NULL).status, BS_OK);
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(box_do(&box, &req).status, BS_EEXIST);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("a"), &d), BS_OK);
	ck_assert(d.has_secret && d.has_next);
	ck_assert_mem_eq(d.secret, old, sizeof(old));
	ck_assert_mem_eq(d.secret_next, new, sizeof(new));
	ck_assert_int_eq(box_device(&box, BS_STORE_DEVICE_ROTATE_UNDO, "a").status, BS_OK);
	ck_assert_int_eq(box_device(&box, BS_STORE_DEVICE_ROTATE_UNDO, "a").status, BS_ESTATE);
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(box_device(&box, BS_STORE_DEVICE_ROTATE_DONE, "a").status, BS_OK);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("a"), &d), BS_OK);
	ck_assert(d.has_secret && !d.has_next);
	ck_assert_mem_eq(d.secret, new, sizeof(new));
	ck_assert_uint_eq(d.generation, 5);
	box_check(&box);
}
END_TEST

START_TEST(tags_move_the_index)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_TAGS, .u.tags.id = "a" };
	struct bs_device_filter f = { .tag = "new" };
	struct bs_list_pos pos = { 0 };
	struct bs_device d[4];
	bool end;

	ck_assert_int_eq(box_add(&box, "a", 1, "old,stay").status, BS_OK);
	req.u.tags.add = box_names("new");
	req.u.tags.remove = box_names("old,unknown");
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 4, &end), 1);
	ck_assert(end);
	ck_assert_int_eq(d[0].tags.n, 2);
	ck_assert_str_eq(d[0].tags.name[0], "new");
	ck_assert_str_eq(d[0].tags.name[1], "stay");
	req.u.tags.add = box_names("b,c,d,e,f,g,h,i,j,k,l,m,n,o,p");
	ck_assert_int_eq(box_do(&box, &req).status, BS_EFULL);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("a"), &d[0]), BS_OK);
	ck_assert_int_eq(d[0].tags.n, 2);
	box_check(&box);
}
END_TEST

START_TEST(bad_content_is_answered_with_a_text)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD, .u.device.id = "bad id" };
	struct bs_store_result res = box_do(&box, &req);

	ck_assert_int_eq(res.status, BS_EINVAL);
	ck_assert_int_eq(res.op, BS_STORE_DEVICE_ADD);
	ck_assert_ptr_nonnull(strstr(res.err.text, "bad id"));
	/* Nobody to tell. */
	ck_assert_int_eq(bs_store_submit(box.in, &req), BS_EINVAL);
}
END_TEST

Suite *bs_suite_writer(void)
{
	Suite *s = suite_create("writer");
	TCase *t = tcase_create("writer");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, device_comes_back);
	tcase_add_test(t, numbers_are_never_used_again);
	tcase_add_test(t, rotation_keeps_both_secrets);
	tcase_add_test(t, tags_move_the_index);
	tcase_add_test(t, bad_content_is_answered_with_a_text);
	suite_add_tcase(s, t);
	return s;
}
