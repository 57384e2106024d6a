/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "box.h"
#include "raw.h"

Suite *bs_suite_device(void);

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

static void add_many(unsigned n)
{
	struct bs_store_request req = { .op = BS_STORE_SYNC };
	char id[32];
	unsigned i;

	for (i = 0; i < n; i++) {
		struct bs_store_request add = { .op = BS_STORE_DEVICE_ADD };

		snprintf(id, sizeof(id), "%s%04u.example", i % 3 ? "cam" : "lock", i);
		memcpy(add.u.device.id, id, sizeof(id));
		add.u.device.has_secret = true;
		add.u.device.state = i % 5 ? BS_RECORD_ENABLED : BS_RECORD_DISABLED;
		if (i % 2)
			add.u.device.tags = box_names("odd");
		ck_assert_int_eq(bs_store_submit(box.in, &add), BS_OK);
		if (i % 1000 == 999)
			ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	}
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
}

/* Walk a list in pages; ids must rise.  Returns how many there were. */
static unsigned walk(const struct bs_device_filter *f, size_t page)
{
	static struct bs_device d[64];
	struct bs_list_pos pos = { 0 };
	char last[BS_DEVICE_ID_MAX + 1] = "";
	unsigned n = 0;
	bool end = false;

	while (!end) {
		bs_ssize got = bs_registry_device_list(box.r, f, &pos, d, page, &end);
		bs_ssize i;

		ck_assert_int_ge(got, 0);
		ck_assert_int_le(got, (bs_ssize)page);
		for (i = 0; i < got; i++) {
			ck_assert_int_lt(strcmp(last, d[i].id), 0);
			memcpy(last, d[i].id, sizeof(last));
			ck_assert(!f->state || d[i].state == f->state);
			n++;
		}
	}
	return n;
}

static const struct {
	struct bs_device_filter f;
	unsigned n;
} filters[] = {
	{ { .prefix = "" }, 150 },
	{ { .prefix = "cam" }, 100 },
	{ { .prefix = "lock" }, 50 },
	{ { .prefix = "loc" }, 50 },
	{ { .prefix = "cam0001.example" }, 1 },
	{ { .prefix = "zzz" }, 0 },
	{ { .tag = "odd" }, 75 },
	{ { .tag = "od" }, 0 },
	{ { .tag = "odd", .prefix = "lock" }, 25 },
	{ { .state = BS_RECORD_DISABLED }, 30 },
	{ { .tag = "odd", .state = BS_RECORD_DISABLED }, 15 },
	{ { .prefix = "lock", .state = BS_RECORD_ENABLED }, 40 },
};

START_TEST(filters_and_pages)
{
	size_t i;

	add_many(150);
	for (i = 0; i < BS_LEN(filters); i++) {
		ck_assert_msg(walk(&filters[i].f, 1) == filters[i].n, "row %u, page 1",
			      (unsigned)i);
		ck_assert_msg(walk(&filters[i].f, 7) == filters[i].n, "row %u, page 7",
			      (unsigned)i);
		ck_assert_msg(walk(&filters[i].f, 64) == filters[i].n, "row %u, page 64",
			      (unsigned)i);
	}
}
END_TEST

START_TEST(a_list_survives_changes)
{
	struct bs_device_filter f = { .prefix = "" };
	struct bs_list_pos pos = { 0 };
	struct bs_device d[3];
	bool end;

	box_add(&box, "a", 1, NULL);
	box_add(&box, "b", 1, NULL);
	box_add(&box, "d", 1, NULL);
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 2, &end), 2);
	ck_assert(!end);
	/* The one that the position names goes, others come before and after it. */
	box_device(&box, BS_STORE_DEVICE_DELETE, "b");
	box_add(&box, "aa", 1, NULL);
	box_add(&box, "c", 1, NULL);
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 3, &end), 2);
	ck_assert(end);
	ck_assert_str_eq(d[0].id, "c");
	ck_assert_str_eq(d[1].id, "d");
	/* At the end it stays at the end, until something comes after it. */
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 3, &end), 0);
	ck_assert(end);
	box_add(&box, "e", 1, NULL);
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 3, &end), 1);
	ck_assert_str_eq(d[0].id, "e");
}
END_TEST

START_TEST(a_call_is_bounded)
{
	struct bs_device_filter f = { .tag = "odd", .prefix = "none" };
	struct bs_list_pos pos = { 0 };
	struct bs_device d[1];
	unsigned calls = 0;
	bool end = false;

	add_many(BS_LIST_SCAN_MAX + 200);
	f = (struct bs_device_filter){ .state = BS_RECORD_REVOKED };
	while (!end) {
		ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 1, &end), 0);
		calls++;
	}
	ck_assert_uint_eq(calls, 2);
}
END_TEST

START_TEST(secrets_only_when_asked)
{
	struct bs_device_filter f = { .prefix = "" };
	struct bs_list_pos pos = { 0 };
	uint8_t zero[BS_PSK_LEN] = { 0 };
	struct bs_device d[1];
	bool end;

	box_add(&box, "a", 0x77, NULL);
	memset(d, 0xFF, sizeof(d));
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 1, &end), 1);
	ck_assert_mem_eq(d[0].secret, zero, sizeof(zero));
	ck_assert(d[0].has_secret);
	f.with_secrets = true;
	memset(&pos, 0, sizeof(pos));
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 1, &end), 1);
	ck_assert_uint_eq(d[0].secret[15], 0x77);
	bs_device_wipe(&d[0]);
	ck_assert_mem_eq(d[0].secret, zero, sizeof(zero));
	ck_assert(!d[0].has_secret);
}
END_TEST

START_TEST(bad_questions)
{
	struct bs_device_filter f = { .prefix = "b" };
	struct bs_list_pos pos = { 1, { 'a' } };
	struct bs_device d[1];
	bool end;

	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 1, &end), BS_EINVAL);
	pos.len = 0;
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 0, &end), BS_EINVAL);
	memset(&f, 0, sizeof(f));
	memcpy(f.tag, "no tag", 7);
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 1, &end), BS_EINVAL);
	memset(f.prefix, 'x', sizeof(f.prefix));
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, d, 1, &end), BS_EINVAL);
}
END_TEST

START_TEST(last_seen_comes_in_batches)
{
	struct bs_store_seen seen[3] = { { 1, 500 }, { 99, 600 }, { 2, 700 } };
	struct bs_store_request req = { .op = BS_STORE_SEEN, .u.seen = { seen, 3 } };
	struct bs_epochs before;
	struct bs_epochs after;
	struct bs_device d;

	box_add(&box, "a", 1, NULL);
	box_add(&box, "b", 1, NULL);
	before = bs_registry_epochs(box.reg);
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	after = bs_registry_epochs(box.reg);
	/* No right changed: nothing that was decided needs another look. */
	ck_assert(!memcmp(&before, &after, sizeof(before)));
	seen[0].when = 400;
	seen[2].when = 800;
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("a"), &d), BS_OK);
	ck_assert_uint_eq(d.last_seen, 500);
	ck_assert_uint_eq(d.generation, 1);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("b"), &d), BS_OK);
	ck_assert_uint_eq(d.last_seen, 800);
	box_check(&box);
	ck_assert_int_eq(box_device(&box, BS_STORE_DEVICE_DELETE, "a").status, BS_OK);
	box_check(&box);
}
END_TEST

/* A sealed secret that is moved to another device does not open there. */
START_TEST(swapped_records_are_detected)
{
	struct bs_check_report report;
	struct bs_device d;
	struct raw raw;
	uint8_t a[800];
	uint8_t b[800];
	size_t len;

	box_add(&box, "aa", 1, NULL);
	box_add(&box, "bb", 2, NULL);
	box_close(&box);
	raw_open(&raw, box.dir, false);
	len = raw_get(&raw, "device", "aa", 2, a, sizeof(a));
	ck_assert_uint_eq(raw_get(&raw, "device", "bb", 2, b, sizeof(b)), len);
	/* The seal of one into the record of the other; number and the rest stay. */
	memcpy(b + 20, a + 20, 44);
	raw_put(&raw, "device", "bb", 2, b, len);
	raw_close(&raw);
	box_open(&box);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("aa"), &d), BS_OK);
	memset(&d, 0x5A, sizeof(d));
	ck_assert_int_eq(bs_registry_device(box.r, box_text("bb"), &d), BS_ECORRUPT);
	ck_assert_uint_eq(d.number, 0x5A5A5A5A);
	ck_assert_int_eq(bs_registry_check(box.reg, NULL, NULL, &report), BS_OK);
	ck_assert_uint_eq(report.problems, 1);
}
END_TEST

/* The new secret of a rotation does not open in the place of the old one either. */
START_TEST(swapped_slots_are_detected)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ROTATE, .u.device.id = "aa" };
	struct bs_device d;
	struct raw raw;
	uint8_t a[800];
	uint8_t seal[44];
	size_t len;

	box_add(&box, "aa", 1, NULL);
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	box_close(&box);
	raw_open(&raw, box.dir, false);
	len = raw_get(&raw, "device", "aa", 2, a, sizeof(a));
	memcpy(seal, a + 20, 44);
	memcpy(a + 20, a + 64, 44);
	memcpy(a + 64, seal, 44);
	raw_put(&raw, "device", "aa", 2, a, len);
	raw_close(&raw);
	box_open(&box);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("aa"), &d), BS_ECORRUPT);
	ck_assert_int_eq(box_device(&box, BS_STORE_DEVICE_ROTATE_DONE, "aa").status, BS_ECORRUPT);
	/* It can still be got rid of. */
	ck_assert_int_eq(box_device(&box, BS_STORE_DEVICE_DELETE, "aa").status, BS_OK);
	box_check(&box);
}
END_TEST

START_TEST(no_plain_secret_in_the_file)
{
	static uint8_t file[1 << 20];
	uint8_t needle[BS_PSK_LEN];
	size_t len;
	size_t i;
	FILE *f;

	memset(needle, 0xC7, sizeof(needle));
	box_add(&box, "aa", 0xC7, NULL);
	box_close(&box);
	f = fopen(box_path(&box, "db/data.mdb"), "rb");
	ck_assert_ptr_nonnull(f);
	len = fread(file, 1, sizeof(file), f);
	fclose(f);
	ck_assert_uint_gt(len, 4096);
	for (i = 0; i + sizeof(needle) <= len; i++)
		ck_assert(memcmp(file + i, needle, sizeof(needle)) != 0);
}
END_TEST

Suite *bs_suite_device(void)
{
	Suite *s = suite_create("device");
	TCase *t = tcase_create("device");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, filters_and_pages);
	tcase_add_test(t, a_list_survives_changes);
	tcase_add_test(t, a_call_is_bounded);
	tcase_add_test(t, secrets_only_when_asked);
	tcase_add_test(t, bad_questions);
	tcase_add_test(t, last_seen_comes_in_batches);
	tcase_add_test(t, swapped_records_are_detected);
	tcase_add_test(t, swapped_slots_are_detected);
	tcase_add_test(t, no_plain_secret_in_the_file);
	suite_add_tcase(s, t);
	return s;
}
