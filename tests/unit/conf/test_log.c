/* SPDX-License-Identifier: Apache-2.0 */
#include "log/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "log/ring.h"
#include "suites.h"

static char path[64];
static int saved = -1;

/* stderr into a file, so that what was written can be read */
static void setup(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/bs-test-log-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	fflush(stderr);
	saved = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(fd, STDERR_FILENO), 0);
	close(fd);
}

static void teardown(void)
{
	bs_log_close();
	ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
	close(saved);
	unlink(path);
}

static char *written(void)
{
	static char buf[1 << 20];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	fclose(f);
	return buf;
}

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;

	for (const char *p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
		n++;
	return n;
}

static void open_log(enum bs_log_level level)
{
	struct bs_log_options o = { .level = level, .target = BS_LOG_TO_STDERR };

	ck_assert_int_eq(bs_log_open(&o), BS_OK);
}

START_TEST(before_open_and_after_close)
{
	bs_log_notice("test, %s", "early");
	bs_log_info("test, too low");
	bs_log_thread_attach("nobody");
	bs_log_thread_detach();
	bs_log_set_level(BS_LOG_DEBUG);
	bs_log_flush();
	bs_log_close();
	open_log(BS_LOG_INFO);
	bs_log_info("test, open");
	bs_log_close();
	bs_log_notice("test, late");
	ck_assert_ptr_nonnull(strstr(written(), " notice: test, early\n"));
	ck_assert_ptr_null(strstr(written(), "too low"));
	ck_assert_ptr_nonnull(strstr(written(), " info: test, open\n"));
	ck_assert_ptr_nonnull(strstr(written(), " notice: test, late\n"));
}
END_TEST

START_TEST(level_at_run_time)
{
	unsigned evaluated = 0;

	open_log(BS_LOG_NOTICE);
	bs_log_debug("test, hidden %u", ++evaluated);
	ck_assert_uint_eq(evaluated, 0);
	bs_log_set_level(BS_LOG_DEBUG);
	ck_assert(bs_log_enabled(BS_LOG_DEBUG));
	bs_log_debug("test, shown %u", ++evaluated);
	bs_log_set_level(BS_LOG_ERROR);
	bs_log_warning("test, hidden again");
	bs_log_error("test, error");
	bs_log_flush();
	ck_assert_ptr_null(strstr(written(), "hidden"));
	ck_assert_ptr_nonnull(strstr(written(), "debug: test, shown 1\n"));
	ck_assert_ptr_nonnull(strstr(written(), "error: test, error\n"));
}
END_TEST

START_TEST(long_messages_are_cut)
{
	char big[2 * BS_LOG_MESSAGE_MAX];
	const char *end;

	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	open_log(BS_LOG_INFO);
	bs_log_info("%s", big);
	bs_log_flush();
	end = strstr(written(), "yyy...\n");
	ck_assert_ptr_nonnull(end);
	ck_assert_uint_eq(count(written(), "y"), BS_LOG_MESSAGE_MAX - 4);
}
END_TEST

START_TEST(a_line_cannot_begin_another)
{
	open_log(BS_LOG_INFO);
	bs_log_info("test, peer said (%s)", "x\nerror: forged");
	bs_log_flush();
	ck_assert_uint_eq(count(written(), "\n"), 1);
}
END_TEST

START_TEST(open_twice)
{
	struct bs_log_options o = { .target = BS_LOG_TO_STDERR };

	open_log(BS_LOG_INFO);
	ck_assert_int_eq(bs_log_open(&o), BS_EEXIST);
}
END_TEST

START_TEST(no_memory)
{
	struct bs_log_options o = { .target = BS_LOG_TO_STDERR, .level = BS_LOG_INFO };

	test_alloc_fail_at(1);
	ck_assert_int_eq(bs_log_open(&o), BS_ENOMEM);
	ck_assert(test_alloc_failed());
	ck_assert_int_eq(bs_log_open(&o), BS_OK);
	/* a thread that gets no ring goes on without one */
	test_alloc_fail_at(1);
	bs_log_thread_attach("poor");
	ck_assert(test_alloc_failed());
	bs_log_info("test, still there");
	bs_log_thread_detach();
	ck_assert_uint_eq(count(written(), "still there"), 1);
}
END_TEST

#define WRITERS    4
#define PER_WRITER 500

static void *writer(void *arg)
{
	char name[16];

	snprintf(name, sizeof(name), "w%d", (int)(intptr_t)arg);
	bs_log_thread_attach(name);
	for (unsigned i = 0; i < PER_WRITER; i++)
		bs_log_pairs(BS_LOG_INFO, BS_LOG_PAIRS(BS_LOG_STR("who", name), BS_LOG_U64("i", i)),
			     "test, line");
	bs_log_thread_detach();
	return NULL;
}

/* every line is written or counted as dropped, none twice, none torn */
START_TEST(many_threads)
{
	struct bs_log_counters c;
	pthread_t t[WRITERS];
	char *text;

	open_log(BS_LOG_INFO);
	for (intptr_t i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, writer, (void *)i), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	bs_log_get_counters(&c);
	text = written();
	ck_assert_uint_eq(count(text, "test, line") + c.dropped, WRITERS * PER_WRITER);
	ck_assert_uint_eq(count(text, "\n"), c.written);
	ck_assert_uint_eq(c.failed, 0);
	if (c.dropped > 0)
		ck_assert_uint_gt(count(text, "log, dropped"), 0);
	for (unsigned w = 0; w < WRITERS; w++) {
		char part[40];

		snprintf(part, sizeof(part), "test, line who=w%u i=0\n", w);
		ck_assert_uint_eq(count(text, part), 1);
	}
}
END_TEST

static void *flood(void *arg)
{
	bs_log_thread_attach("flood");
	for (unsigned i = 0; i < 3 * BS_LOG_RING_SLOTS; i++)
		bs_log_info("test, flood");
	*(bool *)arg = true;
	bs_log_thread_detach();
	return NULL;
}

/* stderr is a pipe that nobody reads: the log thread blocks, the writer must not */
START_TEST(a_writer_never_waits_for_the_sink)
{
	struct bs_log_counters c;
	bool done = false;
	char buf[4096];
	pthread_t t;
	int p[2];
	int n;

	ck_assert_int_eq(pipe(p), 0);
	n = fcntl(p[0], F_SETPIPE_SZ, 4096);
	ck_assert_int_ge(n, 4096);
	ck_assert_int_ge(dup2(p[1], STDERR_FILENO), 0);
	close(p[1]);
	open_log(BS_LOG_INFO);
	ck_assert_int_eq(pthread_create(&t, NULL, flood, &done), 0);
	/* joins although nothing has been read: Check's timeout is the deadline */
	ck_assert_int_eq(pthread_join(t, NULL), 0);
	ck_assert(done);
	/* now somebody reads until the end of the pipe, in the background of close */
	ck_assert_int_eq(fcntl(p[0], F_SETFL, 0), 0);
	if (fork() == 0) {
		close(STDERR_FILENO);
		while (read(p[0], buf, sizeof(buf)) > 0)
			continue;
		_exit(0);
	}
	bs_log_get_counters(&c);
	ck_assert_uint_gt(c.dropped, 0);
	ck_assert_uint_ge(c.written + c.dropped, 3u * BS_LOG_RING_SLOTS);
	close(p[0]);
}
END_TEST

START_TEST(limiter_lets_a_burst_through_and_counts_the_rest)
{
	struct bs_log_limit limit = { 0 };
	bs_time now = BS_TIME_MS(1000000);
	struct bs_log_counters c;

	open_log(BS_LOG_INFO);
	for (unsigned i = 0; i < 100; i++)
		bs_log_limited(&limit, now, BS_LOG_INFO, "test, burst %u", i);
	bs_log_flush();
	ck_assert_uint_eq(count(written(), "burst"), BS_LOG_LIMIT_BURST);
	bs_log_limited(&limit, now + BS_LOG_LIMIT_GAP - 1, BS_LOG_INFO, "test, too early");
	bs_log_limited(&limit, now + BS_LOG_LIMIT_GAP, BS_LOG_INFO, "test, later");
	bs_log_limited(&limit, now + BS_LOG_LIMIT_GAP, BS_LOG_INFO, "test, not twice");
	bs_log_get_counters(&c);
	ck_assert_ptr_null(strstr(written(), "too early"));
	ck_assert_ptr_null(strstr(written(), "not twice"));
	ck_assert_ptr_nonnull(strstr(written(), "test, later suppressed=96\n"));
	ck_assert_uint_eq(c.suppressed, 97);
	/* after a long silence the whole burst is back, and no more */
	now += 1000 * BS_LOG_LIMIT_GAP;
	for (unsigned i = 0; i < 100; i++)
		bs_log_limited(&limit, now, BS_LOG_INFO, "test, second %u", i);
	bs_log_flush();
	ck_assert_uint_eq(count(written(), "second"), BS_LOG_LIMIT_BURST);
}
END_TEST

START_TEST(limiter_does_not_count_what_the_level_hides)
{
	struct bs_log_limit limit = { 0 };

	open_log(BS_LOG_ERROR);
	for (unsigned i = 0; i < 10; i++)
		bs_log_limited(&limit, BS_TIME_MS(1), BS_LOG_INFO, "test, hidden");
	ck_assert_uint_eq(limit.used, 0);
	ck_assert_uint_eq(limit.suppressed, 0);
}
END_TEST

START_TEST(reopen_changes_format_and_level)
{
	struct bs_log_options o = {
		.target = BS_LOG_TO_STDERR,
		.level = BS_LOG_DEBUG,
		.format = BS_LOG_JSON,
	};

	bs_log_reopen(&o); /* closed: without effect */
	open_log(BS_LOG_INFO);
	bs_log_info("test, one");
	bs_log_reopen(&o);
	bs_log_debug("test, two");
	bs_log_flush();
	ck_assert_ptr_nonnull(strstr(written(), "info: test, one\n"));
	ck_assert_ptr_nonnull(strstr(written(), "\"msg\":\"test, two\"}\n"));
}
END_TEST

START_TEST(level_names)
{
	enum bs_log_level level;

	for (int i = BS_LOG_ERROR; i <= BS_LOG_DEBUG; i++) {
		const char *name = bs_log_level_name((enum bs_log_level)i);

		ck_assert_int_eq(bs_log_level_parse(name, &level), BS_OK);
		ck_assert_int_eq(level, i);
	}
	ck_assert_ptr_null(bs_log_level_name((enum bs_log_level)5));
	ck_assert_ptr_null(bs_log_level_name((enum bs_log_level) - 1));
	ck_assert_int_eq(bs_log_level_parse("Info", &level), BS_EINVAL);
	ck_assert_int_eq(bs_log_level_parse("", &level), BS_EINVAL);
}
END_TEST

Suite *bs_suite_log(void)
{
	Suite *s = suite_create("log");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, before_open_and_after_close);
	tcase_add_test(tc, level_at_run_time);
	tcase_add_test(tc, long_messages_are_cut);
	tcase_add_test(tc, a_line_cannot_begin_another);
	tcase_add_test(tc, open_twice);
	tcase_add_test(tc, no_memory);
	tcase_add_test(tc, many_threads);
	tcase_add_test(tc, a_writer_never_waits_for_the_sink);
	tcase_add_test(tc, limiter_lets_a_burst_through_and_counts_the_rest);
	tcase_add_test(tc, limiter_does_not_count_what_the_level_hides);
	tcase_add_test(tc, reopen_changes_format_and_level);
	tcase_add_test(tc, level_names);
	suite_add_tcase(s, tc);
	return s;
}
