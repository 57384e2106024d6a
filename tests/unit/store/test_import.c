/* SPDX-License-Identifier: Apache-2.0 */
#include "store/import.h"

#include <stdio.h>

#include "box.h"

Suite *bs_suite_import(void);

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

static struct bs_import *make(enum bs_import_mode mode)
{
	struct bs_import *im;

	ck_assert_int_eq(bs_import_new(box.reg, mode, 100000, &im), BS_OK);
	return im;
}

static int add(struct bs_import *im, uint64_t line, const char *id, uint8_t fill, const char *tags)
{
	struct bs_names set = box_names(tags);
	uint8_t secret[BS_PSK_LEN];
	struct bs_import_row row = {
		.row = line, .id = box_text(id), .secret = secret, .tags = tags ? &set : NULL
	};

	memset(secret, fill, sizeof(secret));
	return bs_import_add(im, &row, &box.err);
}

static struct bs_store_result apply(struct bs_import *im)
{
	struct bs_store_request req = { .op = BS_STORE_IMPORT, .u.import = im };

	return box_do(&box, &req);
}

static uint64_t devices(void)
{
	struct bs_registry_stat st;

	ck_assert_int_eq(bs_registry_stat(box.r, &st), BS_OK);
	return st.devices;
}

START_TEST(rows_become_devices)
{
	struct bs_import *im = make(BS_IMPORT_NEW);
	struct bs_store_result res;
	struct bs_device d;
	uint8_t want[BS_PSK_LEN];

	ck_assert_int_eq(add(im, 1, "Zoo.example", 1, "b,a"), BS_OK);
	ck_assert_int_eq(add(im, 2, "ant.example", 2, NULL), BS_OK);
	ck_assert_int_eq(add(im, 3, "mouse.example", 3, "a"), BS_OK);
	res = apply(im);
	ck_assert_int_eq(res.status, BS_OK);
	ck_assert_uint_eq(res.number, 3);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("zoo.example"), &d), BS_OK);
	memset(want, 1, sizeof(want));
	ck_assert_mem_eq(d.secret, want, sizeof(want));
	ck_assert_int_eq(d.tags.n, 2);
	ck_assert_uint_gt(d.created, 1700000000);
	/* Numbers go by id. */
	ck_assert_uint_eq(d.number, 3);
	ck_assert_uint_eq(box_add(&box, "later", 1, NULL).number, 4);
	box_check(&box);
}
END_TEST

START_TEST(among_others_and_after_them)
{
	struct bs_import *im;
	char id[16];
	int i;

	box_add(&box, "dev0500x", 1, "t");
	im = make(BS_IMPORT_NEW);
	for (i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "dev%04d", i * 7 % 1000);
		ck_assert_int_eq(add(im, (uint64_t)i + 1, id, 1, i % 3 ? "t,u" : NULL), BS_OK);
	}
	ck_assert_uint_eq(apply(im).number, 1000);
	box_check(&box);
	im = make(BS_IMPORT_NEW);
	for (i = 0; i < 1000; i++) {
		snprintf(id, sizeof(id), "dex%04d", i);
		ck_assert_int_eq(add(im, (uint64_t)i + 1, id, 1, "u"), BS_OK);
	}
	ck_assert_uint_eq(apply(im).number, 1000);
	ck_assert_uint_eq(devices(), 2001);
	box_check(&box);
}
END_TEST

START_TEST(empty_is_fine)
{
	struct bs_store_result res = apply(make(BS_IMPORT_NEW));

	ck_assert_int_eq(res.status, BS_OK);
	ck_assert_uint_eq(res.number, 0);
}
END_TEST

static const struct {
	struct bs_import_row row;
	const char *id;
	const char *says;
} bad[] = {
	{ { .row = 17 }, "not an id", "id" },
	{ { .row = 17 }, "", "id" },
	{ { .row = 17 }, "ok", "secret" },
	{ { .row = 17, .flags = 0x80 }, "ok", "flags" },
	{ { .row = 17, .state = BS_RECORD_REVOKED }, "ok", "state" },
};

START_TEST(a_bad_row_is_named)
{
	struct bs_import *im = make(BS_IMPORT_NEW);
	struct bs_import_row row = bad[_i].row;

	row.id = box_text(bad[_i].id);
	ck_assert_int_eq(bs_import_add(im, &row, &box.err), BS_EINVAL);
	ck_assert_ptr_nonnull(strstr(box.err.text, "row 17"));
	ck_assert_ptr_nonnull(strstr(box.err.text, bad[_i].says));
	/* The rest goes on. */
	row.id = box_text("fine");
	row.flags = BS_DEVICE_LEGACY;
	row.state = 0;
	ck_assert_int_eq(bs_import_add(im, &row, &box.err), BS_OK);
	ck_assert_uint_eq(bs_import_progress_get(im).staged, 1);
	bs_import_free(im);
}
END_TEST

START_TEST(bad_tags_are_named)
{
	struct bs_import *im = make(BS_IMPORT_NEW);
	struct bs_names tags = { .n = 2, .name = { "b", "a" } };
	struct bs_import_row row = {
		.row = 3, .id = box_text("x"), .flags = BS_DEVICE_LEGACY, .tags = &tags
	};

	ck_assert_int_eq(bs_import_add(im, &row, &box.err), BS_EINVAL);
	ck_assert_ptr_nonnull(strstr(box.err.text, "tags"));
	bs_import_free(im);
}
END_TEST

START_TEST(the_number_of_rows_is_bounded)
{
	struct bs_import *im;

	ck_assert_int_eq(bs_import_new(box.reg, BS_IMPORT_NEW, 0, &im), BS_EINVAL);
	ck_assert_int_eq(bs_import_new(box.reg, (enum bs_import_mode)9, 1, &im), BS_EINVAL);
	ck_assert_int_eq(bs_import_new(box.reg, BS_IMPORT_NEW, 2, &im), BS_OK);
	ck_assert_int_eq(add(im, 1, "a", 1, NULL), BS_OK);
	ck_assert_int_eq(add(im, 2, "b", 1, NULL), BS_OK);
	ck_assert_int_eq(add(im, 3, "c", 1, NULL), BS_EFULL);
	ck_assert_ptr_nonnull(strstr(box.err.text, "row 3"));
	bs_import_free(im);
	bs_import_free(NULL);
}
END_TEST

struct repeats {
	unsigned n;
	uint64_t first[4];
	uint64_t second[4];
};

static void on_repeat(void *arg, const char *id, uint64_t first, uint64_t second)
{
	struct repeats *r = arg;

	ck_assert_str_eq(id, "twin");
	ck_assert_uint_lt(r->n, 4);
	r->first[r->n] = first;
	r->second[r->n++] = second;
}

START_TEST(repeats_are_told_and_stop_it)
{
	struct bs_import *im = make(BS_IMPORT_NEW);
	struct bs_store_result res;
	struct repeats r = { 0 };

	add(im, 1, "twin", 1, NULL);
	add(im, 2, "other", 1, NULL);
	add(im, 3, "TWIN", 1, NULL);
	add(im, 4, "twin", 1, NULL);
	ck_assert_uint_eq(bs_import_repeats(im, on_repeat, &r, 1), 2);
	ck_assert_uint_eq(r.n, 1);
	r.n = 0;
	ck_assert_uint_eq(bs_import_repeats(im, on_repeat, &r, 9), 2);
	ck_assert_uint_eq(r.first[0], 1);
	ck_assert_uint_eq(r.second[0], 3);
	ck_assert_uint_eq(r.second[1], 4);
	res = apply(im);
	ck_assert_int_eq(res.status, BS_EEXIST);
	ck_assert_uint_eq(res.row, 3);
	ck_assert_ptr_nonnull(strstr(res.err.text, "row 3"));
	ck_assert_uint_eq(devices(), 0);
	ck_assert_uint_eq(box_add(&box, "first", 1, NULL).number, 1);
}
END_TEST

START_TEST(what_is_there_already)
{
	struct bs_import *im = make(BS_IMPORT_NEW);
	struct bs_store_result res;
	struct bs_device d;

	box_add(&box, "have", 1, "old");
	add(im, 1, "aaa", 2, NULL);
	add(im, 2, "have", 2, "new");
	add(im, 3, "zzz", 2, NULL);
	res = apply(im);
	ck_assert_int_eq(res.status, BS_EEXIST);
	ck_assert_uint_eq(res.row, 2);
	ck_assert_uint_eq(devices(), 1);

	im = make(BS_IMPORT_SKIP);
	add(im, 1, "aaa", 2, NULL);
	add(im, 2, "have", 2, "new");
	res = apply(im);
	ck_assert_int_eq(res.status, BS_OK);
	ck_assert_uint_eq(res.number, 1);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("have"), &d), BS_OK);
	ck_assert_uint_eq(d.secret[0], 1);
	ck_assert_str_eq(d.tags.name[0], "old");

	im = make(BS_IMPORT_REPLACE);
	add(im, 1, "bbb", 2, NULL);
	add(im, 2, "have", 3, "new");
	res = apply(im);
	ck_assert_int_eq(res.status, BS_OK);
	ck_assert_uint_eq(res.number, 1);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("have"), &d), BS_OK);
	ck_assert_uint_eq(d.secret[0], 3);
	ck_assert_uint_eq(d.number, 1);
	ck_assert_uint_eq(d.generation, 2);
	ck_assert_int_eq(d.tags.n, 1);
	ck_assert_str_eq(d.tags.name[0], "new");
	box_check(&box);
}
END_TEST

START_TEST(cancelled_leaves_nothing)
{
	struct bs_import *im = make(BS_IMPORT_NEW);
	struct bs_import *mine = bs_import_ref(im);
	struct bs_store_result res;

	add(im, 1, "a", 1, NULL);
	bs_import_cancel(im);
	res = apply(im);
	ck_assert_int_eq(res.status, BS_ECLOSED);
	ck_assert_uint_eq(devices(), 0);
	ck_assert_uint_eq(bs_import_progress_get(mine).staged, 1);
	ck_assert_uint_eq(bs_import_progress_get(mine).applied, 0);
	bs_import_free(mine);
}
END_TEST

START_TEST(a_full_database_takes_all_or_nothing)
{
	struct bs_store_result res;
	struct bs_import *im;
	char id[24];
	uint64_t before;
	int i;

	box_close(&box);
	box.conf.map_bytes = 2u << 20;
	box_open(&box);
	box_add(&box, "one", 1, "t");
	before = devices();
	im = make(BS_IMPORT_NEW);
	for (i = 0; i < 20000; i++) {
		snprintf(id, sizeof(id), "dev%05d", i);
		add(im, (uint64_t)i + 1, id, 1, "tag-one,tag-two");
	}
	res = apply(im);
	ck_assert_int_eq(res.status, BS_ENOSPC);
	ck_assert_ptr_nonnull(strstr(res.err.text, "database-size"));
	ck_assert_uint_eq(devices(), before);
	ck_assert_uint_eq(bs_store_counters_get(box.store).no_space, 1);
	box_check(&box);
	/* A smaller one fits. */
	im = make(BS_IMPORT_NEW);
	for (i = 0; i < 500; i++) {
		snprintf(id, sizeof(id), "dev%05d", i);
		add(im, (uint64_t)i + 1, id, 1, NULL);
	}
	ck_assert_int_eq(apply(im).status, BS_OK);
	box_check(&box);
}
END_TEST

struct two {
	bool import_done;
	bool revoke_done;
	bool revoked_first;
	struct bs_store_result import;
};

static void on_import(void *arg, const struct bs_store_result *res)
{
	struct two *t = arg;

	t->import = *res;
	t->import_done = true;
}

static void on_revoke(void *arg, const struct bs_store_result *res)
{
	struct two *t = arg;

	ck_assert_int_eq(res->status, BS_OK);
	t->revoked_first = !t->import_done;
	t->revoke_done = true;
}

/* While an import is being applied readers see nothing of it, and a revocation overtakes it. */
START_TEST(a_revocation_overtakes_it)
{
	struct bs_import *im = make(BS_IMPORT_NEW);
	struct bs_import *mine = bs_import_ref(im);
	struct two t = { 0 };
	struct bs_store_request req = {
		.op = BS_STORE_IMPORT, .u.import = im, .done = on_import, .arg = &t
	};
	struct bs_store_request revoke = { .op = BS_STORE_REVOKE,
					   .done = on_revoke,
					   .arg = &t,
					   .u.revocation = { .kind = BS_REVOKE_CLIENT,
							     .identity = "joe" } };
	char id[24];
	int i;

	for (i = 0; i < 60000; i++) {
		snprintf(id, sizeof(id), "dev%05d", i);
		add(im, (uint64_t)i + 1, id, 1, NULL);
	}
	ck_assert_int_eq(bs_store_submit(box.in, &req), BS_OK);
	while (bs_import_progress_get(mine).applied < 2000)
		ck_assert_uint_eq(devices(), 0);
	ck_assert_int_eq(bs_store_submit(box.in, &revoke), BS_OK);
	box_wait(&box, &t.revoke_done);
	box_wait(&box, &t.import_done);
	ck_assert_int_eq(t.import.status, BS_OK);
	ck_assert_uint_eq(t.import.number, 60000);
	/* On a slow machine it may have come too late to interrupt; then it waited. */
	ck_assert(t.revoked_first || bs_store_counters_get(box.store).import_restarts == 0);
	ck_assert_uint_eq(devices(), 60000);
	bs_import_free(mine);
	box_check(&box);
}
END_TEST

START_TEST(the_feed_says_many)
{
	struct bs_import *im = make(BS_IMPORT_NEW);

	add(im, 1, "a", 1, NULL);
	add(im, 2, "b", 1, NULL);
	ck_assert_int_eq(apply(im).status, BS_OK);
	ck_assert_uint_eq(box.n_changes, 1);
	ck_assert_int_eq(box.change[0].kind, BS_CHANGE_MANY);
	ck_assert_uint_eq(box.change[0].epochs.access, bs_registry_epochs(box.reg).access);
}
END_TEST

Suite *bs_suite_import(void)
{
	Suite *s = suite_create("import");
	TCase *t = tcase_create("import");

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, rows_become_devices);
	tcase_add_test(t, among_others_and_after_them);
	tcase_add_test(t, empty_is_fine);
	tcase_add_loop_test(t, a_bad_row_is_named, 0, (int)BS_LEN(bad));
	tcase_add_test(t, bad_tags_are_named);
	tcase_add_test(t, the_number_of_rows_is_bounded);
	tcase_add_test(t, repeats_are_told_and_stop_it);
	tcase_add_test(t, what_is_there_already);
	tcase_add_test(t, cancelled_leaves_nothing);
	tcase_add_test(t, a_full_database_takes_all_or_nothing);
	tcase_add_test(t, a_revocation_overtakes_it);
	tcase_add_test(t, the_feed_says_many);
	suite_add_tcase(s, t);
	return s;
}
