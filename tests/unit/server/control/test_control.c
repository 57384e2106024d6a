/* SPDX-License-Identifier: Apache-2.0 */
/* How lines move: bad ones, long ones, many at once, clients that leave or never read. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "suites.h"

static struct host h;

static void setup(void)
{
	host_start(&h);
}

static void teardown(void)
{
	host_stop(&h);
}

static void expect_usage(const char *line)
{
	json_t *r;

	host_send(&h, line);
	r = host_record(&h);
	ck_assert_msg(json_integer_value(json_object_get(r, "status")) == BS_CTL_USAGE, "%s", line);
	ck_assert_str_ne(host_error(r, "reason"), "");
	json_decref(r);
}

START_TEST(test_bad_lines)
{
	static const char *const lines[] = {
		"\n",
		"hello\n",
		"[]\n",
		"{}\n",
		"{\"id\":-1,\"command\":\"status\"}\n",
		"{\"id\":\"1\",\"command\":\"status\"}\n",
		"{\"id\":1}\n",
		"{\"id\":1,\"id\":2,\"command\":\"status\"}\n",
		"{\"id\":1,\"command\":7}\n",
		"{\"id\":1,\"command\":\"status\",\"args\":[]}\n",
		"{\"id\":1,\"command\":\"status\",\"end\":true}\n",
		"{\"id\":1,\"command\":\"no such\"}\n",
		"{\"id\":1,\"command\":\"help\"}\n",
		"{\"id\":1,\"command\":\"status\",\"args\":{\"surprise\":1}}\n",
		"{\"id\":1,\"command\":\"device show\"}\n",
		"{\"id\":1,\"command\":\"device show\",\"args\":{\"id\":7}}\n",
		"{\"id\":1,\"command\":\"device show\",\"args\":{\"id\":\"a\\u0000b\"}}\n",
		"{\"id\":1,\"command\":\"status\",\"args\":{\"dry-run\":true}}\n",
		"{\"id\":1,\"rows\":[]}\n",
		"{\"id\":1,\"end\":true}\n",
		"{\"id\":1,\"abort\":true}\n",
		"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\n",
		"\xff\xfe\n",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_usage(lines[i]);
	/* The connection survived all of them. */
	host_ok(&h, "status", NULL);
}
END_TEST

START_TEST(test_in_pieces)
{
	static const char line[] = "{\"id\":9,\"command\":\"log level\"}\n";
	json_t *r;

	for (size_t i = 0; line[i]; i++) {
		char one[2] = { line[i], '\0' };

		host_send(&h, one);
		ev_run(h.loop, EVRUN_NOWAIT);
	}
	r = host_record(&h);
	ck_assert_int_eq(json_integer_value(json_object_get(r, "id")), 9);
	json_decref(r);
}
END_TEST

START_TEST(test_pipelined)
{
	char line[96];

	/* Answers come in the order of the requests, also when some wait for the store. */
	for (int i = 0; i < 200; i++) {
		if (i % 10 == 0)
			snprintf(line, sizeof(line),
				 "{\"id\":%d,\"command\":\"access allow\",\"args\":{\"who\":\"*\","
				 "\"device\":\"d%d\"}}\n",
				 i, i);
		else
			snprintf(line, sizeof(line), "{\"id\":%d,\"command\":\"log level\"}\n", i);
		host_send(&h, line);
	}
	for (int i = 0; i < 200; i++) {
		json_t *r = host_record(&h);

		ck_assert_int_eq(json_integer_value(json_object_get(r, "id")), i);
		ck_assert_int_eq(json_integer_value(json_object_get(r, "status")), 0);
		json_decref(r);
	}
}
END_TEST

START_TEST(test_too_long)
{
	char *text = malloc(BS_CTL_LINE_MAX + 2);

	memset(text, 'a', BS_CTL_LINE_MAX + 1);
	text[BS_CTL_LINE_MAX + 1] = '\0';
	host_send(&h, text);
	free(text);
	ck_assert(host_is_closed(&h));
}
END_TEST

START_TEST(test_half_closed)
{
	json_t *r;

	/* A client that only closes its writing side still gets what it asked for. */
	host_send(&h, "{\"id\":1,\"command\":\"access allow\",\"args\":{\"who\":\"*\","
		      "\"device\":\"d\"}}\n{\"id\":2,\"command\":\"access list\"}\n");
	ck_assert_int_eq(shutdown(h.fd, SHUT_WR), 0);
	r = host_record(&h);
	ck_assert_int_eq(json_integer_value(json_object_get(r, "id")), 1);
	json_decref(r);
	r = host_record(&h);
	ck_assert_ptr_nonnull(json_object_get(r, "item"));
	json_decref(r);
	r = host_record(&h);
	ck_assert_ptr_nonnull(json_object_get(r, "status"));
	json_decref(r);
	ck_assert(host_is_closed(&h));
}
END_TEST

START_TEST(test_leaves_in_mid_command)
{
	unsigned before = h.changes;

	host_send(&h, "{\"id\":1,\"command\":\"access allow\",\"args\":{\"who\":\"*\","
		      "\"device\":\"d\"}}\n");
	for (int i = 0; i < 5; i++)
		ev_run(h.loop, EVRUN_NOWAIT);
	close(h.fd);
	h.fd = host_connect(&h);
	/* What the store took is done all the same. */
	host_ok(&h, "access list", NULL);
	for (int i = 0; i < 5000 && h.changes == before; i++) {
		ev_run(h.loop, EVRUN_NOWAIT);
		usleep(200);
	}
	ck_assert_uint_eq(h.changes, before + 1);
}
END_TEST

START_TEST(test_never_reads)
{
	struct host second = h;
	int slow = host_connect(&h);
	static const char line[] = "{\"id\":1,\"command\":\"stats\"}\n";
	size_t sent = 0;

	ck_assert_int_ge(slow, 0);
	/* Push requests until neither side takes more: then the server has stopped reading. */
	for (int idle = 0; idle < 50;) {
		ssize_t n = send(slow, line, sizeof(line) - 1, MSG_NOSIGNAL);

		idle = n > 0 ? 0 : idle + 1;
		sent += n > 0 ? (size_t)n : 0;
		ck_assert_uint_lt(sent, 64u << 20);
		ev_run(h.loop, EVRUN_NOWAIT);
	}
	/* Others are served meanwhile. */
	host_ok(&second, "status", NULL);
	close(slow);
	host_ok(&second, "status", NULL);
	h.lines = second.lines;
}
END_TEST

START_TEST(test_too_many_clients)
{
	int fd[BS_CONTROL_CLIENTS_MAX];
	int extra;
	char buf[512];
	ssize_t n = -1;

	host_ok(&h, "status", NULL);
	for (unsigned i = 1; i < BS_CONTROL_CLIENTS_MAX; i++) {
		fd[i] = host_connect(&h);
		ck_assert_int_ge(fd[i], 0);
		for (int k = 0; k < 4; k++)
			ev_run(h.loop, EVRUN_NOWAIT);
	}
	extra = host_connect(&h);
	for (int i = 0; i < 5000 && n < 0; i++) {
		ev_run(h.loop, EVRUN_NOWAIT);
		n = recv(extra, buf, sizeof(buf) - 1, 0);
		usleep(200);
	}
	ck_assert_int_gt(n, 0);
	buf[n] = '\0';
	ck_assert_ptr_nonnull(strstr(buf, "\"status\":8"));
	close(extra);
	close(fd[1]);
	for (int k = 0; k < 4; k++)
		ev_run(h.loop, EVRUN_NOWAIT);
	/* The place of one that left is free again. */
	fd[1] = host_connect(&h);
	for (int k = 0; k < 4; k++)
		ev_run(h.loop, EVRUN_NOWAIT);
	ck_assert_int_lt(recv(fd[1], buf, sizeof(buf), 0), 0);
	ck_assert_int_eq(errno, EAGAIN);
	for (unsigned i = 1; i < BS_CONTROL_CLIENTS_MAX; i++)
		close(fd[i]);
}
END_TEST

Suite *bs_suite_control(void)
{
	Suite *s = suite_create("control");
	TCase *tc = tcase_create("lines");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_bad_lines);
	tcase_add_test(tc, test_in_pieces);
	tcase_add_test(tc, test_pipelined);
	tcase_add_test(tc, test_too_long);
	tcase_add_test(tc, test_half_closed);
	tcase_add_test(tc, test_leaves_in_mid_command);
	tcase_add_test(tc, test_never_reads);
	tcase_add_test(tc, test_too_many_clients);
	suite_add_tcase(s, tc);
	return s;
}
