/* SPDX-License-Identifier: Apache-2.0 */
#include "server/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shelf.h"
#include "suite.h"

#define DEVICES 5000u
#define PAGE    4096

/* Where the file has its parts: the header, and the page of the first shard. */
enum {
	AT_VERSION = 12,
	AT_BASE = 80 + 8 * BS_STATE_N + 16, /* all before it is checked */
	HEADER = AT_BASE + 16,
	AT_UP = PAGE,
	AT_USED = PAGE + 8,
};

static char dir[64];
static char path[128];
static uint8_t boot[16] = { 1, 2, 3 };
static struct bs_state *s;
static char err[512];

static struct bs_state_options options(void)
{
	struct bs_state_options o = shelf_options(DEVICES);

	o.path = path;
	o.boot_id = boot;
	o.now = BS_TIME_MS(1000000);
	return o;
}

static int try_open(const struct bs_state_options *o)
{
	err[0] = '\0';
	return bs_state_open(o, &s, err, sizeof(err));
}

static void open_with(const struct bs_state_options *o, enum bs_state_found want)
{
	ck_assert_msg(try_open(o) == BS_OK, "%s", err);
	ck_assert_int_eq(bs_state_found(s), want);
}

static void close_it(void)
{
	bs_state_close(s);
	s = NULL;
}

static struct bs_state_shard *shard(void)
{
	return bs_state_shard(s, 0);
}

/* A state with something in it, closed. */
static void make(void)
{
	struct bs_state_options o = options();
	struct bs_device_hot *hot;
	uint32_t i;

	(void)unlink(path);
	open_with(&o, BS_STATE_NEW);
	ck_assert_int_eq(bs_state_use(shard(), BS_STATE_HOT, 100), BS_OK);
	hot = bs_state_records(shard(), BS_STATE_HOT);
	for (i = 0; i < 100; i++)
		hot[i].nsi = i + 1;
	bs_state_beat(shard(), BS_TIME_MS(5000));
	close_it();
}

static void patch(off_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY);

	ck_assert_int_eq(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static void flip(unsigned bit)
{
	uint8_t byte;
	int fd = open(path, O_RDONLY);

	ck_assert_int_eq(pread(fd, &byte, 1, bit / 8), 1);
	close(fd);
	byte ^= (uint8_t)(1 << bit % 8);
	patch(bit / 8, &byte, 1);
}

static off_t length(void)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_size;
}

static void setup(void)
{
	/* tmpfs where there is one: the tests are about it */
	snprintf(dir, sizeof(dir), "%s/bs-state-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/state", dir);
	s = NULL;
}

static void teardown(void)
{
	char temp[160];

	close_it();
	bs_state_close(NULL);
	(void)unlink(path);
	snprintf(temp, sizeof(temp), "%s.new", path);
	(void)unlink(temp);
	ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(test_content_outlives)
{
	struct bs_state_options o = options();
	struct bs_device_hot *hot;
	uint8_t key[BS_SIPHASH_KEY_LEN];
	uint32_t i;

	make();
	/* two seconds later */
	o.now += BS_TIME_MS(7000);
	open_with(&o, BS_STATE_SAME);
	ck_assert_uint_eq(bs_state_used(shard(), BS_STATE_HOT), 100);
	hot = bs_state_records(shard(), BS_STATE_HOT);
	for (i = 0; i < 100; i++)
		ck_assert_uint_eq(hot[i].nsi, i + 1);
	/* uptime goes on at the last beat */
	ck_assert(o.now - bs_state_base(s) == BS_TIME_MS(5000));
	memcpy(key, bs_state_hash_key(s), sizeof(key));
	close_it();
	open_with(&o, BS_STATE_SAME);
	ck_assert_mem_eq(bs_state_hash_key(s), key, sizeof(key));
}
END_TEST

START_TEST(test_memory_only)
{
	struct bs_state_options o = options();

	o.path = NULL;
	open_with(&o, BS_STATE_NEW);
	ck_assert_int_eq(bs_state_use(shard(), BS_STATE_HOT, DEVICES), BS_OK);
	ck_assert_int_eq(bs_state_use(shard(), BS_STATE_HOT, DEVICES + 1), BS_EFULL);
	ck_assert_int_eq(bs_state_fd(s), 0);
	ck_assert(bs_state_base(s) == o.now);
}
END_TEST

START_TEST(test_second_process_is_refused)
{
	struct bs_state_options o = options();
	struct bs_state *first;
	char pid[32];

	open_with(&o, BS_STATE_NEW);
	first = s;
	s = NULL;
	ck_assert_int_eq(try_open(&o), BS_EBUSY);
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	ck_assert_msg(strstr(err, path) && strstr(err, pid), "%s", err);
	bs_state_close(first);
	open_with(&o, BS_STATE_SAME);
}
END_TEST

/* The file of a process that may go on is read only: its records are for a new file, which takes
 * its place when it is settled, and is gone when it is not. */
START_TEST(test_inherited)
{
	struct bs_state_options o = options();
	struct bs_state *first;
	uint32_t used;
	unsigned turn;

	make();
	open_with(&o, BS_STATE_SAME);
	first = s;
	used = bs_state_used(bs_state_shard(first, 0), BS_STATE_HOT);
	for (turn = 0; turn < 2; turn++) {
		o.inherited = dup(bs_state_fd(first));
		open_with(&o, BS_STATE_OTHER);
		ck_assert(bs_state_is_held(s));
		ck_assert_uint_eq(bs_state_used(bs_state_shard(bs_state_old(s), 0), BS_STATE_HOT),
				  used);
		ck_assert_int_eq(bs_state_use(shard(), BS_STATE_HOT, 1), BS_OK);
		/* the first time it ends before it takes over */
		if (turn == 1)
			ck_assert_int_eq(bs_state_settle(s), BS_OK);
		else
			bs_state_close(s);
	}
	ck_assert_uint_eq(bs_state_used(bs_state_shard(first, 0), BS_STATE_HOT), used);
	bs_state_close(first);
	first = s;
	s = NULL;
	o.inherited = 0;
	ck_assert_int_eq(try_open(&o), BS_EBUSY);
	bs_state_close(first);
	open_with(&o, BS_STATE_SAME);
	ck_assert(!bs_state_is_held(s));
}
END_TEST

/* Of another version it is not read at all, and stays as it is all the same. */
START_TEST(test_inherited_of_no_use)
{
	struct bs_state_options o = options();
	struct bs_state *first;
	uint32_t used;

	make();
	open_with(&o, BS_STATE_SAME);
	first = s;
	used = bs_state_used(bs_state_shard(first, 0), BS_STATE_HOT);
	o.registry[0] ^= 1;
	o.inherited = dup(bs_state_fd(first));
	open_with(&o, BS_STATE_NEW);
	ck_assert(bs_state_is_held(s));
	ck_assert_uint_eq(bs_state_used(shard(), BS_STATE_HOT), 0);
	bs_state_close(s);
	s = NULL;
	ck_assert_uint_eq(bs_state_used(bs_state_shard(first, 0), BS_STATE_HOT), used);
	bs_state_close(first);
	o = options();
	open_with(&o, BS_STATE_SAME);
}
END_TEST

static void begins_anew(const struct bs_state_options *o)
{
	open_with(o, BS_STATE_NEW);
	ck_assert_uint_eq(bs_state_used(shard(), BS_STATE_HOT), 0);
	ck_assert_int_eq(bs_state_use(shard(), BS_STATE_HOT, 100), BS_OK);
	ck_assert_uint_eq(((struct bs_device_hot *)bs_state_records(shard(), BS_STATE_HOT))->nsi,
			  0);
	close_it();
	/* and is in order from then on */
	open_with(o, BS_STATE_SAME);
	close_it();
}

START_TEST(test_reasons_to_begin_anew)
{
	static const uint8_t other[16] = { 9 };
	const uint32_t version = BS_STATE_VERSION + 1;
	struct bs_state_options o = options();

	make();
	o.boot_id = other;
	begins_anew(&o);
	o = options();
	make();
	o.registry[0] = 1;
	begins_anew(&o);
	o = options();
	make();
	o.now += BS_TIME_MS(5000) + o.patience + 1;
	begins_anew(&o);
	o = options();
	make();
	o.spec[BS_STATE_COLD].len += 8;
	begins_anew(&o);
	o = options();
	make();
	patch(AT_VERSION, &version, sizeof(version));
	begins_anew(&o);
}
END_TEST

/* The clock that a file was written by may be ahead of ours: another time namespace. */
START_TEST(test_clock_behind)
{
	struct bs_state_options o = options();

	make();
	o.now = BS_TIME_MS(10);
	open_with(&o, BS_STATE_SAME);
	ck_assert(o.now - bs_state_base(s) == BS_TIME_MS(5000));
}
END_TEST

START_TEST(test_every_prefix)
{
	struct bs_state_options o = options();
	off_t full;
	off_t len;

	make();
	full = length();
	for (len = 0; len < full; len += len < 2 * PAGE ? 61 : PAGE * 16 + 1) {
		make();
		ck_assert_int_eq(truncate(path, len), 0);
		open_with(&o, BS_STATE_NEW);
		ck_assert_int_eq(length(), full);
		close_it();
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

START_TEST(test_every_bit_of_the_header)
{
	struct bs_state_options o = options();
	unsigned bit;

	for (bit = 0; bit < 8 * HEADER; bit++) {
		make();
		flip(bit);
		ck_assert_msg(try_open(&o) == BS_OK, "bit %u: %s", bit, err);
		/* the base and the process id are not trusted with anything */
		if (bit < 8 * AT_BASE)
			ck_assert_msg(bs_state_found(s) == BS_STATE_NEW, "bit %u", bit);
		ck_assert_int_eq(bs_state_use(shard(), BS_STATE_HOT, 100), BS_OK);
		close_it();
	}
}
END_TEST

START_TEST(test_used_beyond_the_cap)
{
	const uint32_t used = DEVICES + 1;
	const uint64_t up = UINT64_MAX;
	struct bs_state_options o = options();

	make();
	patch(AT_USED, &used, sizeof(used));
	begins_anew(&o);
	/* an uptime from nowhere makes the file look young, no more */
	patch(AT_UP, &up, sizeof(up));
	ck_assert_int_eq(try_open(&o), BS_OK);
}
END_TEST

START_TEST(test_not_ours)
{
	struct bs_state_options o = options();
	char link_path[160];

	make();
	ck_assert_int_eq(chmod(path, 0640), 0);
	ck_assert_int_eq(try_open(&o), BS_EPERM);
	ck_assert_msg(strstr(err, path) && strstr(err, "remove it"), "%s", err);
	ck_assert_int_eq(chmod(path, 0600), 0);
	snprintf(link_path, sizeof(link_path), "%s/other", dir);
	ck_assert_int_eq(link(path, link_path), 0);
	ck_assert_int_eq(try_open(&o), BS_EPERM);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink(link_path, path), 0);
	ck_assert_int_lt(try_open(&o), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(unlink(link_path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_lt(try_open(&o), 0);
	ck_assert_int_eq(rmdir(path), 0);
	o.path = "/nowhere/at/all";
	ck_assert_int_eq(try_open(&o), BS_EIO);
}
END_TEST

START_TEST(test_room_follows_use)
{
	struct bs_state_options o = options();
	struct stat st;
	uint64_t before;

	open_with(&o, BS_STATE_NEW);
	ck_assert_int_eq(stat(path, &st), 0);
	before = (uint64_t)st.st_blocks * 512;
	ck_assert_uint_lt(before, 16 * PAGE);
	ck_assert_int_eq(bs_state_use(shard(), BS_STATE_HOT, 1), BS_OK);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_ge((uint64_t)st.st_blocks * 512, before + PAGE);
	ck_assert_uint_le((uint64_t)st.st_blocks * 512, before + 512 * 1024);
	close_it();
	ck_assert_int_eq(unlink(path), 0);
	o.reserve = true;
	open_with(&o, BS_STATE_NEW);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_ge(st.st_blocks * 512, st.st_size);
}
END_TEST

START_TEST(test_other_arrangement)
{
	struct bs_state_options o = options();
	const struct bs_state *old;
	const struct bs_device_hot *hot;

	make();
	o.n_shards = 3;
	o.spec[BS_STATE_HOT].cap = 2 * DEVICES;
	open_with(&o, BS_STATE_OTHER);
	old = bs_state_old(s);
	ck_assert_uint_eq(bs_state_n_shards(old), 1);
	hot = bs_state_records(bs_state_shard(old, 0), BS_STATE_HOT);
	ck_assert_uint_eq(hot[99].nsi, 100);
	ck_assert_uint_eq(bs_state_used(shard(), BS_STATE_HOT), 0);
	ck_assert(bs_state_base(s) == bs_state_base(old));
	/* the end before the new one is settled: nothing has happened */
	close_it();
	o = options();
	open_with(&o, BS_STATE_SAME);
	close_it();
	o.n_shards = 3;
	open_with(&o, BS_STATE_OTHER);
	ck_assert_int_eq(bs_state_use(bs_state_shard(s, 2), BS_STATE_HOT, 7), BS_OK);
	ck_assert_int_eq(bs_state_settle(s), BS_OK);
	ck_assert_ptr_null(bs_state_old(s));
	bs_state_beat(bs_state_shard(s, 2), BS_TIME_MS(6000));
	close_it();
	o.now += BS_TIME_MS(6000);
	open_with(&o, BS_STATE_SAME);
	ck_assert_uint_eq(bs_state_used(bs_state_shard(s, 2), BS_STATE_HOT), 7);
	ck_assert(o.now - bs_state_base(s) == BS_TIME_MS(6000));
}
END_TEST

Suite *bs_suite_state(void)
{
	Suite *suite = suite_create("state");
	TCase *c = tcase_create("state");

	tcase_set_timeout(c, 120);
	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, test_content_outlives);
	tcase_add_test(c, test_memory_only);
	tcase_add_test(c, test_second_process_is_refused);
	tcase_add_test(c, test_inherited);
	tcase_add_test(c, test_inherited_of_no_use);
	tcase_add_test(c, test_reasons_to_begin_anew);
	tcase_add_test(c, test_clock_behind);
	tcase_add_test(c, test_every_prefix);
	tcase_add_test(c, test_every_bit_of_the_header);
	tcase_add_test(c, test_used_beyond_the_cap);
	tcase_add_test(c, test_not_ours);
	tcase_add_test(c, test_room_follows_use);
	tcase_add_test(c, test_other_arrangement);
	suite_add_tcase(suite, c);
	return suite;
}
