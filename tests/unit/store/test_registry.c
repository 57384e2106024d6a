/* SPDX-License-Identifier: Apache-2.0 */
#include "store/registry.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box.h"
#include "raw.h"

Suite *bs_suite_registry(void);

static struct box box;

static void setup(void)
{
	box_init(&box);
}

static void teardown(void)
{
	box_fini(&box);
}

static int try_open(const struct bs_registry_conf *conf)
{
	struct bs_registry *reg = NULL;
	int rc = bs_registry_open(conf, &reg, &box.err);

	ck_assert(rc == BS_OK || reg == NULL);
	bs_registry_close(reg);
	return rc;
}

/* The same from another process. */
static int open_elsewhere(const struct bs_registry_conf *conf)
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(-try_open(conf) & 0xFF);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(what_is_kept_across_restarts)
{
	uint8_t instance[16];
	uint8_t cookie[32];
	uint8_t again[32];

	box_open(&box);
	ck_assert_uint_eq(bs_registry_boot(box.reg), 1);
	memcpy(instance, bs_registry_instance(box.reg), 16);
	ck_assert_int_eq(bs_registry_server_secret(box.reg, "cookie", cookie), BS_OK);
	ck_assert_int_eq(bs_registry_server_secret(box.reg, "ticket", again), BS_OK);
	ck_assert_mem_ne(cookie, again, 32);
	box_close(&box);
	box_open(&box);
	ck_assert_uint_eq(bs_registry_boot(box.reg), 2);
	ck_assert_mem_eq(instance, bs_registry_instance(box.reg), 16);
	ck_assert_int_eq(bs_registry_server_secret(box.reg, "cookie", again), BS_OK);
	ck_assert_mem_eq(cookie, again, 32);
}
END_TEST

START_TEST(files_are_private)
{
	static const char *const names[] = { "db/data.mdb", "db/writer.lock", "db/use.lock" };
	struct stat st;
	size_t i;

	umask(0);
	box_open(&box);
	ck_assert_int_eq(stat(box.dir, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0700);
	for (i = 0; i < BS_LEN(names); i++) {
		ck_assert_int_eq(stat(box_path(&box, names[i]), &st), 0);
		ck_assert_int_eq(st.st_mode & 07777, 0600);
	}
	ck_assert_int_lt(access(box_path(&box, "db/data.mdb.new"), F_OK), 0);
}
END_TEST

START_TEST(wrong_key_is_told)
{
	struct bs_registry_conf conf = box.conf;

	box_open(&box);
	ck_assert_int_eq(box_add(&box, "a", 1, NULL).status, BS_OK);
	box_close(&box);
	conf.key_file = box_path(&box, "key2");
	ck_assert_int_eq(bs_seal_key_create(conf.key_file, NULL), BS_OK);
	ck_assert_int_eq(try_open(&conf), BS_EAUTH);
	ck_assert_ptr_nonnull(strstr(box.err.text, "master key"));
	/* And nothing was changed by the attempt. */
	box_open(&box);
	ck_assert_uint_eq(bs_registry_boot(box.reg), 2);
}
END_TEST

START_TEST(second_writer_is_refused)
{
	struct bs_registry_conf reading = box.conf;

	reading.write = false;
	box_open(&box);
	ck_assert_int_eq(open_elsewhere(&box.conf), -BS_EBUSY & 0xFF);
	ck_assert_int_eq(open_elsewhere(&reading), 0);
	ck_assert_int_eq(try_open(&box.conf), BS_EBUSY);
	ck_assert_ptr_nonnull(strstr(box.err.text, "another process"));
	box_close(&box);
	ck_assert_int_eq(open_elsewhere(&box.conf), 0);
}
END_TEST

START_TEST(reading_needs_something_to_read)
{
	box.conf.write = false;
	ck_assert_int_eq(try_open(&box.conf), BS_ENOENT);
	ck_assert_int_lt(access(box.dir, F_OK), 0);
	ck_assert_int_eq(mkdir(box.dir, 0700), 0);
	ck_assert_int_eq(try_open(&box.conf), BS_ENOENT);
}
END_TEST

START_TEST(a_reader_writes_nothing)
{
	struct bs_store *store;

	box_open(&box);
	ck_assert_int_eq(box_add(&box, "a", 1, NULL).status, BS_OK);
	box_close(&box);
	box.conf.write = false;
	ck_assert_int_eq(bs_registry_open(&box.conf, &box.reg, &box.err), BS_OK);
	ck_assert_int_eq(bs_store_start(box.reg, NULL, NULL, &store, NULL), BS_EPERM);
	ck_assert_uint_eq(bs_registry_boot(box.reg), 1);
	box_check(&box);
}
END_TEST

START_TEST(arguments_are_examined)
{
	struct bs_registry_conf conf = box.conf;
	char longest[2000];

	conf.map_bytes = 0;
	ck_assert_int_eq(try_open(&conf), BS_EINVAL);
	conf = box.conf;
	conf.dir = "";
	ck_assert_int_eq(try_open(&conf), BS_EINVAL);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	conf.dir = longest;
	ck_assert_int_eq(try_open(&conf), BS_EINVAL);
	conf = box.conf;
	conf.key_file = box_path(&box, "missing");
	ck_assert_int_eq(try_open(&conf), BS_ENOENT);
	ck_assert_ptr_nonnull(strstr(box.err.text, "missing"));
	conf = box.conf;
	conf.dir = box.key;
	ck_assert_int_ne(try_open(&conf), BS_OK);
	conf.dir = box_path(&box, "a/b/c");
	ck_assert_int_eq(try_open(&conf), BS_ENOENT);
	ck_assert_int_eq(mkdir(box.dir, 0700), 0);
	ck_assert_int_eq(chmod(box.dir, 0770), 0);
	ck_assert_int_eq(try_open(&box.conf), BS_EPERM);
	ck_assert_ptr_nonnull(strstr(box.err.text, "0770"));
	bs_registry_close(NULL);
}
END_TEST

static void overwrite(const char *path, off_t at, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, data, len, at), (ssize_t)len);
	close(fd);
}

START_TEST(garbage_is_no_registry)
{
	char garbage[16384];

	memset(garbage, 0xA5, sizeof(garbage));
	ck_assert_int_eq(mkdir(box.dir, 0700), 0);
	overwrite(box_path(&box, "db/data.mdb"), 0, garbage, sizeof(garbage));
	ck_assert_int_eq(try_open(&box.conf), BS_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(box.err.text, "data.mdb"));
	ck_assert_int_eq(truncate(box_path(&box, "db/data.mdb"), 100), 0);
	ck_assert_int_eq(try_open(&box.conf), BS_ECORRUPT);
}
END_TEST

START_TEST(another_lmdb_file_is_no_registry)
{
	struct raw raw;

	ck_assert_int_eq(mkdir(box.dir, 0700), 0);
	raw_open(&raw, box.dir, true);
	raw_put(&raw, "other", "key", 3, "value", 5);
	raw_close(&raw);
	ck_assert_int_eq(try_open(&box.conf), BS_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(box.err.text, "schema"));
}
END_TEST

START_TEST(leftovers_of_a_creation_do_no_harm)
{
	ck_assert_int_eq(mkdir(box.dir, 0700), 0);
	overwrite(box_path(&box, "db/data.mdb.new"), 0, "half", 4);
	overwrite(box_path(&box, "db/data.mdb.new-lock"), 0, "half", 4);
	box_open(&box);
	ck_assert_int_lt(access(box_path(&box, "db/data.mdb.new"), F_OK), 0);
	box_check(&box);
}
END_TEST

START_TEST(a_map_smaller_than_the_file_is_told)
{
	struct bs_registry_conf conf = box.conf;
	char id[16];
	int i;

	box_open(&box);
	for (i = 0; i < 600; i++) {
		struct bs_store_request req = { .op = BS_STORE_CLIENT_ADD };

		snprintf(id, sizeof(id), "c%d", i);
		memcpy(req.u.client.identity, id, sizeof(id));
		req.u.client.groups = box_names("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,"
						"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb,"
						"cccccccccccccccccccccccccccccccc,"
						"dddddddddddddddddddddddddddddddd,"
						"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee,"
						"ffffffffffffffffffffffffffffffff,"
						"gggggggggggggggggggggggggggggggg,"
						"hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh,"
						"iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii");
		req.u.client.groups.n = 9;
		if (i < 599)
			ck_assert_int_eq(bs_store_submit(box.in, &req), BS_OK);
		else
			ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	}
	box_close(&box);
	/* Rounded up to 1 MiB, and the file is a little less or more: make it more. */
	ck_assert_int_eq(truncate(box_path(&box, "db/data.mdb"), 3 << 20), 0);
	conf.map_bytes = 2 << 20;
	ck_assert_int_eq(try_open(&conf), BS_ENOSPC);
	ck_assert_ptr_nonnull(strstr(box.err.text, "database-size"));
	box_open(&box);
	box_check(&box);
}
END_TEST

START_TEST(prefault_reads_the_same)
{
	box.conf.prefault = true;
	box_open(&box);
	ck_assert_int_eq(box_add(&box, "a", 1, NULL).status, BS_OK);
	box_check(&box);
}
END_TEST

Suite *bs_suite_registry(void)
{
	Suite *s = suite_create("registry");
	TCase *t = tcase_create("registry");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_kept_across_restarts);
	tcase_add_test(t, files_are_private);
	tcase_add_test(t, wrong_key_is_told);
	tcase_add_test(t, second_writer_is_refused);
	tcase_add_test(t, reading_needs_something_to_read);
	tcase_add_test(t, a_reader_writes_nothing);
	tcase_add_test(t, arguments_are_examined);
	tcase_add_test(t, garbage_is_no_registry);
	tcase_add_test(t, another_lmdb_file_is_no_registry);
	tcase_add_test(t, leftovers_of_a_creation_do_no_harm);
	tcase_add_test(t, a_map_smaller_than_the_file_is_told);
	tcase_add_test(t, prefault_reads_the_same);
	suite_add_tcase(s, t);
	return s;
}
