/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"

Suite *bs_suite_backup(void);

static struct box box;
static char copy_path[128];

static void setup(void)
{
	box_init(&box);
	box_open(&box);
	snprintf(copy_path, sizeof(copy_path), "%s/backup", box.root);
}

static void teardown(void)
{
	box_fini(&box);
}

static struct bs_store_result back_up(const char *path)
{
	struct bs_store_request req = { .op = BS_STORE_BACKUP };

	snprintf(req.u.path, sizeof(req.u.path), "%s", path);
	return box_do(&box, &req);
}

static bool has(const char *id)
{
	struct bs_device d;

	return bs_registry_device(box.r, box_text(id), &d) == BS_OK;
}

START_TEST(a_copy_brings_back_what_was)
{
	struct bs_epochs before;
	struct stat st;
	uint64_t boot;

	box_add(&box, "a", 1, "t");
	box_add(&box, "b", 1, NULL);
	ck_assert_int_eq(back_up(copy_path).status, BS_OK);
	ck_assert_int_eq(stat(copy_path, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	box_device(&box, BS_STORE_DEVICE_DELETE, "a");
	ck_assert_uint_eq(box_add(&box, "c", 1, NULL).number, 3);
	before = bs_registry_epochs(box.reg);
	boot = bs_registry_boot(box.reg);
	box_close(&box);
	ck_assert_int_eq(bs_registry_restore(&box.conf, copy_path, &box.err), BS_OK);
	ck_assert_int_eq(access(box_path(&box, "db/data.mdb.old"), F_OK), 0);
	ck_assert_int_lt(access(box_path(&box, "db/data.mdb.restore"), F_OK), 0);
	ck_assert_int_lt(access(box_path(&box, "db/data.mdb.restore-lock"), F_OK), 0);
	box_open(&box);
	ck_assert(has("a") && has("b") && !has("c"));
	/* Nothing that was handed out before comes again. */
	ck_assert_uint_gt(bs_registry_epochs(box.reg).access, before.access);
	ck_assert_uint_gt(bs_registry_epochs(box.reg).crl, before.crl);
	ck_assert_uint_gt(bs_registry_boot(box.reg), boot);
	ck_assert_uint_gt(box_add(&box, "d", 1, NULL).number, 3);
	box_check(&box);
}
END_TEST

START_TEST(a_copy_made_under_load_is_consistent)
{
	char id[16];
	int i;

	for (i = 0; i < 300; i++) {
		struct bs_store_request req = { .op = BS_STORE_DEVICE_ADD };

		snprintf(id, sizeof(id), "dev%d", i);
		memcpy(req.u.device.id, id, sizeof(id));
		req.u.device.has_secret = true;
		req.u.device.tags = box_names("t,u");
		ck_assert_int_eq(bs_store_submit(box.in, &req), BS_OK);
		if (i == 150) {
			req = (struct bs_store_request){ .op = BS_STORE_BACKUP };
			memcpy(req.u.path, copy_path, strlen(copy_path) + 1);
			ck_assert_int_eq(bs_store_submit(box.in, &req), BS_OK);
		}
	}
	box_close(&box);
	ck_assert_int_eq(bs_registry_restore(&box.conf, copy_path, &box.err), BS_OK);
	box_open(&box);
	box_check(&box);
}
END_TEST

START_TEST(an_existing_file_is_left_alone)
{
	struct bs_store_result res;

	ck_assert_int_eq(back_up(copy_path).status, BS_OK);
	res = back_up(copy_path);
	ck_assert_int_eq(res.status, BS_EEXIST);
	ck_assert_ptr_nonnull(strstr(res.err.text, copy_path));
	res = back_up(box_path(&box, "no/such/folder/b"));
	ck_assert_int_eq(res.status, BS_ENOENT);
	ck_assert_ptr_nonnull(strstr(res.err.text, "no/such"));
	ck_assert_int_eq(symlink("nowhere", box_path(&box, "link")), 0);
	ck_assert_int_eq(back_up(box_path(&box, "link")).status, BS_EEXIST);
}
END_TEST

START_TEST(a_database_in_use_is_not_replaced)
{
	ck_assert_int_eq(back_up(copy_path).status, BS_OK);
	ck_assert_int_eq(bs_registry_restore(&box.conf, copy_path, &box.err), BS_EBUSY);
	ck_assert_ptr_nonnull(strstr(box.err.text, "in use"));
}
END_TEST

/* Restore and require that it fails so, and that the old registry is as it was. */
static void refuse(const char *path, int code)
{
	box_close(&box);
	ck_assert_int_eq(bs_registry_restore(&box.conf, path, &box.err), code);
	ck_assert_str_ne(box.err.text, "");
	ck_assert_int_lt(access(box_path(&box, "db/data.mdb.restore"), F_OK), 0);
	ck_assert_int_lt(access(box_path(&box, "db/data.mdb.old"), F_OK), 0);
	box_open(&box);
	ck_assert(has("a"));
	box_check(&box);
}

START_TEST(what_cannot_be_trusted_is_refused)
{
	uint8_t junk[4096];
	off_t at;
	int fd;

	box_add(&box, "a", 1, NULL);
	refuse(box_path(&box, "missing"), BS_ENOENT);
	fd = open(copy_path, O_RDWR | O_CREAT, 0600);
	memset(junk, 'x', sizeof(junk));
	ck_assert_int_eq(write(fd, junk, sizeof(junk)), (ssize_t)sizeof(junk));
	close(fd);
	refuse(copy_path, BS_ECORRUPT);
	unlink(copy_path);
	/* A real one with a hole in its middle. */
	ck_assert_int_eq(back_up(copy_path).status, BS_OK);
	fd = open(copy_path, O_RDWR);
	at = lseek(fd, 0, SEEK_END);
	ck_assert_int_gt(at, 3 * 4096);
	for (at -= 4096; at >= 2 * 4096; at -= 4096)
		ck_assert_int_eq(pwrite(fd, junk, sizeof(junk), at), (ssize_t)sizeof(junk));
	close(fd);
	refuse(copy_path, BS_ECORRUPT);
}
END_TEST

START_TEST(another_key_is_refused)
{
	box_add(&box, "a", 1, NULL);
	ck_assert_int_eq(back_up(copy_path).status, BS_OK);
	box_close(&box);
	box.conf.key_file = box_path(&box, "key2");
	ck_assert_int_eq(bs_seal_key_create(box.conf.key_file, NULL), BS_OK);
	ck_assert_int_eq(bs_registry_restore(&box.conf, copy_path, &box.err), BS_EAUTH);
	ck_assert_ptr_nonnull(strstr(box.err.text, "master key"));
}
END_TEST

START_TEST(restore_needs_no_database)
{
	box_add(&box, "a", 1, NULL);
	ck_assert_int_eq(back_up(copy_path).status, BS_OK);
	box_close(&box);
	box_remove(box.dir);
	ck_assert_int_eq(bs_registry_restore(&box.conf, copy_path, &box.err), BS_OK);
	box_open(&box);
	ck_assert(has("a"));
	box_check(&box);
}
END_TEST

START_TEST(a_damaged_database_can_be_replaced)
{
	box_add(&box, "a", 1, NULL);
	ck_assert_int_eq(back_up(copy_path).status, BS_OK);
	box_close(&box);
	/* Reading beyond the end of a mapped file is a signal, not an error code. */
	ck_assert_int_eq(truncate(box_path(&box, "db/data.mdb"), 3 * 4096), 0);
	ck_assert_int_eq(bs_registry_restore(&box.conf, copy_path, &box.err), BS_OK);
	box_open(&box);
	ck_assert(has("a"));
	box_check(&box);
}
END_TEST

Suite *bs_suite_backup(void)
{
	Suite *s = suite_create("backup");
	TCase *t = tcase_create("backup");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_copy_brings_back_what_was);
	tcase_add_test(t, a_copy_made_under_load_is_consistent);
	tcase_add_test(t, an_existing_file_is_left_alone);
	tcase_add_test(t, a_database_in_use_is_not_replaced);
	tcase_add_test(t, what_cannot_be_trusted_is_refused);
	tcase_add_test(t, another_key_is_refused);
	tcase_add_test(t, restore_needs_no_database);
	tcase_add_test(t, a_damaged_database_can_be_replaced);
	suite_add_tcase(s, t);
	return s;
}
