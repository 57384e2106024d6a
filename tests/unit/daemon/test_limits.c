/* SPDX-License-Identifier: Apache-2.0 */
#include "server/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suites.h"

#define MIB UINT64_C(1048576)

static const struct bs_conf *conf_of(const char *text)
{
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	ck_assert_msg(bs_conf_load_text("t", text, strlen(text), &c, &e) == BS_OK, "%s", e.text);
	return c;
}

/* ---- facts, from a made-up machine */

static char root[64];

static void put(const char *path, const char *text)
{
	char name[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *c = name + strlen(root) + 1; (c = strchr(c, '/')) != NULL; c++) {
		*c = '\0';
		(void)mkdir(name, 0700);
		*c = '/';
	}
	f = fopen(name, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void make_root(void)
{
	snprintf(root, sizeof(root), "/tmp/bs-test-limits-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(facts_of_a_machine)
{
	struct bs_limits_facts f;

	put("/proc/meminfo", "MemTotal: 99 kB\nMemAvailable:    2048 kB\n");
	put("/proc/sys/net/core/rmem_max", "212992\n");
	bs_limits_facts_read(root, &f);
	ck_assert_uint_eq(f.memory, 2 * MIB);
	ck_assert(!f.memory_by_cgroup);
	ck_assert_uint_eq(f.rmem_max, 212992);
	ck_assert_uint_gt(f.cores, 0);
	ck_assert_uint_gt(f.descriptors, 0);
}
END_TEST

START_TEST(tightest_group_counts)
{
	struct bs_limits_facts f;

	put("/proc/meminfo", "MemAvailable: 2048000 kB\n");
	put("/proc/self/cgroup", "3:cpu:/x\n0::/a/b\n");
	put("/sys/fs/cgroup/a/b/memory.max", "max\n");
	put("/sys/fs/cgroup/a/memory.max", "104857600\n");
	put("/sys/fs/cgroup/a/memory.current", "41943040\n");
	put("/sys/fs/cgroup/memory.max", "999999999999\n");
	bs_limits_facts_read(root, &f);
	ck_assert_uint_eq(f.memory, 60 * MIB);
	ck_assert(f.memory_by_cgroup);
	/* a group that is over its limit leaves next to nothing, not a huge number */
	put("/sys/fs/cgroup/a/memory.current", "999999999\n");
	bs_limits_facts_read(root, &f);
	ck_assert_uint_eq(f.memory, 1);
}
END_TEST

START_TEST(machine_that_tells_nothing)
{
	struct bs_limits_facts f;

	bs_limits_facts_read("/nonexistent", &f);
	ck_assert_uint_eq(f.memory, 0);
	ck_assert_uint_eq(f.rmem_max, 0);
	put("/proc/meminfo", "MemAvailable: many kB\n");
	put("/proc/self/cgroup", "garbage");
	bs_limits_facts_read(root, &f);
	ck_assert_uint_eq(f.memory, 0);
}
END_TEST

/* ---- need and comparison */

static char found[8][256];
static enum bs_log_level levels[8];
static unsigned n_found;

static void on_finding(void *arg, enum bs_log_level level, const char *text)
{
	ck_assert_ptr_null(arg);
	ck_assert_uint_lt(n_found, 8);
	levels[n_found] = level;
	snprintf(found[n_found++], sizeof(found[0]), "%s", text);
}

static unsigned check(const char *text, const struct bs_limits_facts *f)
{
	const struct bs_conf *c = conf_of(text);
	unsigned errors;

	n_found = 0;
	errors = bs_limits_check(c, f, on_finding, NULL);
	bs_conf_unref(c);
	return errors;
}

START_TEST(need_follows_the_conf)
{
	const struct bs_conf *c = conf_of("workers = 2\nmax-devices = 1000\nlisten = \"::1\"\n");
	struct bs_limits_need a;
	struct bs_limits_need b;

	bs_limits_need(c, 8, &a);
	bs_conf_unref(c);
	ck_assert_uint_eq(a.workers, 2);
	c = conf_of("workers = 2\nmax-devices = 2000\nlisten = {\"::1\", \"::2\"}\n"
		    "server-certificate = /c\nserver-key = /k\nclient-ca = /a\nmax-clients = 50\n");
	bs_limits_need(c, 8, &b);
	bs_conf_unref(c);
	/* 1000 devices, 50 clients, two more UDP sockets per worker with two buffers each */
	ck_assert_uint_eq(b.memory - a.memory, 1000u * BS_LIMITS_DEVICE_BYTES +
						       50u * BS_LIMITS_CLIENT_BYTES +
						       2u * 2u * 2u * 4u * MIB);
	/* per worker two UDP and two TCP sockets more; 50 clients */
	ck_assert_uint_eq(b.descriptors - a.descriptors, 2u * (2u + 2u) + 50u);
	c = conf_of("workers = 0\nattach-port = 7000\ncontroller-port = 7000\n");
	bs_limits_need(c, 3, &a);
	bs_conf_unref(c);
	ck_assert_uint_eq(a.workers, 3);
	c = conf_of("workers = 0\n");
	bs_limits_need(c, 3, &b);
	ck_assert_uint_eq(b.descriptors - a.descriptors, 3u * 2u); /* two addresses */
	bs_limits_need(c, 10000, &b);
	ck_assert_uint_eq(b.workers, BS_CONF_WORKERS_MAX);
	bs_conf_unref(c);
}
END_TEST

START_TEST(a_machine_with_room)
{
	struct bs_limits_facts f = { .descriptors = 100000,
				     .descriptors_hard = 100000,
				     .memory = 100000 * MIB,
				     .rmem_max = 64 * MIB,
				     .cores = 4 };

	ck_assert_uint_eq(check("", &f), 0);
	ck_assert_uint_eq(n_found, 0);
	/* what is not known is not compared */
	f = (struct bs_limits_facts){ .cores = 4 };
	ck_assert_uint_eq(check("max-devices = 16777216\n", &f), 0);
	ck_assert_uint_eq(n_found, 0);
}
END_TEST

#define GATE "server-certificate = /c\nserver-key = /k\nclient-ca = /a\n"

START_TEST(too_few_descriptors)
{
	struct bs_limits_facts f = { .descriptors = 1024, .descriptors_hard = 4096, .cores = 1 };

	ck_assert_uint_eq(check(GATE "max-clients = 5000\nlisten = \"::1\"\n", &f), 1);
	ck_assert_str_eq(found[0],
			 "descriptors, 5091 needed and 4096 allowed; raise "
			 "RLIMIT_NOFILE (systemd: LimitNOFILE=5091) or lower max-clients");
	ck_assert_int_eq(levels[0], BS_LOG_ERROR);
	ck_assert_uint_eq(check(GATE "max-clients = 4000\nlisten = \"::1\"\n", &f), 0);
	f.root = true; /* raises its own limit */
	ck_assert_uint_eq(check(GATE "max-clients = 5000\n", &f), 0);
}
END_TEST

START_TEST(too_little_memory)
{
	static const char text[] = "max-devices = 1048576\nworkers = 1\nlisten = \"::1\"\n"
				   "max-connections = 1\npending-entries = 16\n"
				   "pending-per-prefix = 16\nsocket-buffer = 1MiB\n";
	/* 16 base + 4 worker + 256 devices + 4 buffers = 280 MiB, and a little */
	struct bs_limits_facts f = { .memory = 256 * MIB, .cores = 1 };

	ck_assert_uint_eq(check(text, &f), 1);
	ck_assert_str_eq(found[0], "memory, 281 MiB needed with everything full and the machine "
				   "has free 256 MiB; lower max-devices, max-clients, "
				   "pending-entries or socket-buffer");
	f.memory = 300 * MIB;
	f.memory_by_cgroup = true;
	ck_assert_uint_eq(check(text, &f), 0);
	ck_assert_uint_eq(n_found, 1);
	ck_assert_str_eq(found[0], "memory, 281 MiB needed with everything full and the control "
				   "group allows 300 MiB, which leaves less than a fifth free");
	ck_assert_int_eq(levels[0], BS_LOG_NOTICE);
	f.memory = 400 * MIB;
	ck_assert_uint_eq(check(text, &f), 0);
	ck_assert_uint_eq(n_found, 0);
}
END_TEST

START_TEST(notices)
{
	struct bs_limits_facts f = { .rmem_max = 212992, .cores = 2 };

	ck_assert_uint_eq(check("workers = 3\n", &f), 0);
	ck_assert_uint_eq(n_found, 2);
	ck_assert_str_eq(found[0], "socket-buffer, 4096 KiB wanted and 208 KiB allowed; run: "
				   "sysctl -w net.core.rmem_max=4194304");
	ck_assert_str_eq(found[1], "workers, 3 wanted on 2 cores; more than one per core only "
				   "costs switches");
	f.root = true; /* may exceed it */
	ck_assert_uint_eq(check("workers = 2\n", &f), 0);
	ck_assert_uint_eq(n_found, 0);
}
END_TEST

START_TEST(descriptors_are_raised)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		const struct bs_conf *c = conf_of(GATE "max-clients = 400\n");
		struct rlimit rl = { 64, 500 };
		struct bs_limits_facts f;
		uint64_t want;
		struct bs_limits_need need;

		if (setrlimit(RLIMIT_NOFILE, &rl) != 0)
			_exit(1);
		bs_limits_facts_read("", &f);
		f.root = false; /* so that the hard limit holds for root too */
		bs_limits_need(c, f.cores, &need);
		want = need.descriptors < 500 ? need.descriptors : 500;
		bs_limits_raise_descriptors(c, &f);
		if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_cur != want)
			_exit(2);
		bs_conf_unref(c);
		_exit(f.descriptors == want ? 0 : 3);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(notice_before_a_limit)
{
	struct bs_limits_watch w = { false };

	ck_assert(!bs_limits_watch_due(&w, 0, 0)); /* no such limit */
	ck_assert(!bs_limits_watch_due(&w, 89, 100));
	ck_assert(bs_limits_watch_due(&w, 90, 100));
	ck_assert(!bs_limits_watch_due(&w, 100, 100)); /* once */
	ck_assert(!bs_limits_watch_due(&w, 80, 100));
	ck_assert(!bs_limits_watch_due(&w, 95, 100)); /* had not really fallen */
	ck_assert(!bs_limits_watch_due(&w, 79, 100));
	ck_assert(bs_limits_watch_due(&w, 95, 100));
	w.told = false;
	ck_assert(bs_limits_watch_due(&w, 1, 1));
}
END_TEST

START_TEST(clock_jumps)
{
	struct bs_limits_clock c = { false, 0 };
	bs_time t = BS_TIME_MS(5000);
	uint64_t wall = UINT64_C(1795339800000);

	ck_assert_int_eq(bs_limits_clock_jump(&c, t, wall), 0);
	ck_assert_int_eq(bs_limits_clock_jump(&c, t + BS_TIME_MS(1000), wall + 1000), 0);
	/* slewing */
	ck_assert_int_eq(bs_limits_clock_jump(&c, t + BS_TIME_MS(2000), wall + 2000 + 9999), 0);
	/* forward, and that is the new normal */
	ck_assert_int_eq(bs_limits_clock_jump(&c, t + BS_TIME_MS(3000), wall + 3000 + 3609999),
			 3600000);
	ck_assert_int_eq(bs_limits_clock_jump(&c, t + BS_TIME_MS(4000), wall + 4000 + 3609999), 0);
	/* back to 1970 */
	ck_assert_int_lt(bs_limits_clock_jump(&c, t + BS_TIME_MS(5000), 0),
			 -INT64_C(1795339800000));
}
END_TEST

Suite *bs_suite_limits(void)
{
	Suite *s = suite_create("limits");
	TCase *tc = tcase_create("facts");

	tcase_add_checked_fixture(tc, make_root, remove_root);
	tcase_add_test(tc, facts_of_a_machine);
	tcase_add_test(tc, tightest_group_counts);
	tcase_add_test(tc, machine_that_tells_nothing);
	suite_add_tcase(s, tc);
	tc = tcase_create("fit");
	tcase_add_test(tc, need_follows_the_conf);
	tcase_add_test(tc, a_machine_with_room);
	tcase_add_test(tc, too_few_descriptors);
	tcase_add_test(tc, too_little_memory);
	tcase_add_test(tc, notices);
	tcase_add_test(tc, descriptors_are_raised);
	tcase_add_test(tc, notice_before_a_limit);
	tcase_add_test(tc, clock_jumps);
	suite_add_tcase(s, tc);
	return s;
}
