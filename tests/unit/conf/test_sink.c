/* SPDX-License-Identifier: Apache-2.0 */
#include "log/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log/format.h"
#include "suites.h"

static char dir[64];
static char path[100];
static int reader = -1;

static void listen_there(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	memcpy(sa.sun_path, path, strlen(path) + 1);
	reader = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(reader, 0);
	ck_assert_int_eq(bind(reader, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/bs-test-sink-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	listen_there();
}

static void teardown(void)
{
	close(reader);
	unlink(path);
	rmdir(dir);
}

static struct bs_log_record record(void)
{
	struct bs_log_record rec;

	memset(&rec, 0, sizeof(rec));
	rec.level = BS_LOG_NOTICE;
	snprintf(rec.name, sizeof(rec.name), "w0");
	snprintf(rec.message, sizeof(rec.message), "area, text\nx");
	bs__log_record_set_pairs(&rec, BS_LOG_PAIRS(BS_LOG_STR("device_id", "a\nMESSAGE=b")));
	return rec;
}

static void receive(char *out, size_t cap)
{
	ssize_t n = recv(reader, out, cap - 1, 0);

	ck_assert_int_gt(n, 0);
	out[n] = '\0';
}

START_TEST(journal_fields)
{
	struct bs_log_options o = { .target = BS_LOG_TO_JOURNAL, .path = path, .ident = "me" };
	struct bs_log_record rec = record();
	struct bs_log_sink s;
	char got[1024];

	bs__log_sink_open(&s, &o);
	ck_assert_int_eq(bs__log_sink_write(&s, &rec), BS_OK);
	receive(got, sizeof(got));
	/* a newline in a value would begin a field of the peer's choice */
	ck_assert_str_eq(got, "MESSAGE=area, text\\nx\nPRIORITY=5\nSYSLOG_IDENTIFIER=me\n"
			      "BS_THREAD=w0\nBS_DEVICE_ID=a\\nMESSAGE=b\n");
	bs__log_sink_close(&s);
}
END_TEST

START_TEST(syslog_line)
{
	struct bs_log_options o = { .target = BS_LOG_TO_SYSLOG, .path = path };
	struct bs_log_record rec = record();
	struct bs_log_sink s;
	char got[1024];
	char want[200];

	ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
	bs__log_sink_open(&s, &o);
	ck_assert_int_eq(bs__log_sink_write(&s, &rec), BS_OK);
	receive(got, sizeof(got));
	snprintf(want, sizeof(want),
		 "<29>Jan  1 00:00:00 basestationd[%ld]: notice: area, text\\nx "
		 "device_id=\"a\\nMESSAGE=b\"",
		 (long)getpid());
	ck_assert_str_eq(got, want);
	bs__log_sink_close(&s);
}
END_TEST

START_TEST(reader_restarts)
{
	struct bs_log_options o = { .target = BS_LOG_TO_JOURNAL, .path = path };
	struct bs_log_record rec = record();
	struct bs_log_sink s;
	char got[1024];

	bs__log_sink_open(&s, &o);
	close(reader);
	unlink(path);
	ck_assert_int_eq(bs__log_sink_write(&s, &rec), BS_EIO);
	listen_there();
	ck_assert_int_eq(bs__log_sink_write(&s, &rec), BS_OK);
	receive(got, sizeof(got));
	bs__log_sink_close(&s);
}
END_TEST

START_TEST(reader_that_does_not_read_loses_lines_without_blocking)
{
	struct bs_log_options o = { .target = BS_LOG_TO_JOURNAL, .path = path };
	struct bs_log_record rec = record();
	struct bs_log_sink s;
	unsigned sent = 0;

	bs__log_sink_open(&s, &o);
	while (sent < 100000 && bs__log_sink_write(&s, &rec) == BS_OK)
		sent++;
	ck_assert_uint_lt(sent, 100000);
	bs__log_sink_close(&s);
}
END_TEST

START_TEST(no_reader_at_all)
{
	struct bs_log_options o = { .target = BS_LOG_TO_SYSLOG, .path = "/nonexistent/socket" };
	struct bs_log_record rec = record();
	struct bs_log_sink s;

	bs__log_sink_open(&s, &o);
	ck_assert_int_eq(bs__log_sink_write(&s, &rec), BS_EIO);
	bs__log_sink_close(&s);
}
END_TEST

START_TEST(automatic_target)
{
	struct bs_log_options o = { .target = BS_LOG_TO_AUTO };
	struct bs_log_sink s;
	struct stat st;
	char stream[64];

	unsetenv("JOURNAL_STREAM");
	bs__log_sink_open(&s, &o);
	ck_assert_int_eq(s.target, BS_LOG_TO_STDERR);
	ck_assert(!s.prefix);
	bs__log_sink_close(&s);
	o.daemon = true;
	bs__log_sink_open(&s, &o);
	ck_assert_int_eq(s.target, BS_LOG_TO_SYSLOG);
	bs__log_sink_close(&s);
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	ck_assert_int_eq(setenv("JOURNAL_STREAM", stream, 1), 0);
	bs__log_sink_open(&s, &o);
	ck_assert_int_eq(s.target, BS_LOG_TO_JOURNAL);
	bs__log_sink_close(&s);
	o.target = BS_LOG_TO_STDERR;
	bs__log_sink_open(&s, &o);
	ck_assert(s.prefix);
	bs__log_sink_close(&s);
	/* somebody else's stream in our environment */
	ck_assert_int_eq(setenv("JOURNAL_STREAM", "1:2", 1), 0);
	bs__log_sink_open(&s, &o);
	ck_assert(!s.prefix);
	bs__log_sink_close(&s);
	unsetenv("JOURNAL_STREAM");
}
END_TEST

Suite *bs_suite_sink(void)
{
	Suite *s = suite_create("sink");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, journal_fields);
	tcase_add_test(tc, syslog_line);
	tcase_add_test(tc, reader_restarts);
	tcase_add_test(tc, reader_that_does_not_read_loses_lines_without_blocking);
	tcase_add_test(tc, no_reader_at_all);
	tcase_add_test(tc, automatic_target);
	suite_add_tcase(s, tc);
	return s;
}
