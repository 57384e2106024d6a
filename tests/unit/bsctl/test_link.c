/* SPDX-License-Identifier: Apache-2.0 */
/* The client's end against a server of few words: it sends what the test wrote down. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "suites.h"
#include "tools/bsctl/link.h"

/* For each line that arrives, one answer; NULL ends the connection. */
struct script {
	const char *answer[8];
	int listener;
	pthread_t thread;
	char got[8][512];
	size_t n;
};

static struct bs_ctl_error e;
static struct script script;
static unsigned items;
static unsigned progress;

static bool read_line(int fd, char *out, size_t cap)
{
	size_t n = 0;

	while (n + 1 < cap && recv(fd, out + n, 1, 0) == 1) {
		if (out[n] == '\n') {
			out[n] = '\0';
			return true;
		}
		n++;
	}
	return false;
}

static void *serve(void *arg)
{
	struct script *s = arg;
	int fd = accept(s->listener, NULL, NULL);

	while (s->n < 8 && read_line(fd, s->got[s->n], sizeof(s->got[0]))) {
		const char *answer = s->answer[s->n++];

		if (!answer || send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
			break;
	}
	close(fd);
	return NULL;
}

static void setup(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	test_dir_setup();
	memset(&script, 0, sizeof(script));
	items = progress = 0;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", test_path("control"));
	script.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(script.listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(listen(script.listener, 4), 0);
}

static void teardown(void)
{
	close(script.listener);
	test_dir_teardown();
}

static struct bs_link *open_link(unsigned timeout_ms)
{
	struct bs_link_options o = { .socket = test_path("control"), .timeout_ms = timeout_ms };
	struct bs_link *l;

	ck_assert_int_eq(pthread_create(&script.thread, NULL, serve, &script), 0);
	l = bs_link_open(&o, &e);
	ck_assert_ptr_nonnull(l);
	return l;
}

static void close_link(struct bs_link *l)
{
	bs_link_close(l);
	pthread_join(script.thread, NULL);
}

static void on_record(void *arg, enum bs_ctl_kind kind, const json_t *value)
{
	(void)arg;
	ck_assert_ptr_nonnull(value);
	items += kind == BS_CTL_ITEM;
	progress += kind == BS_CTL_PROGRESS;
}

START_TEST(test_pages)
{
	struct bs_link *l;
	json_t *result = NULL;

	script.answer[0] = "{\"id\":1,\"item\":{}}\n{\"id\":1,\"progress\":{}}\n"
			   "{\"id\":1,\"item\":{}}\n{\"id\":1,\"status\":0,\"cursor\":\"c1\"}\n";
	/* A record of another request is not ours. */
	script.answer[1] = "{\"id\":1,\"item\":{}}\n{\"id\":2,\"item\":{}}\n"
			   "{\"id\":2,\"status\":0,\"result\":{\"x\":7}}\n";
	l = open_link(5000);
	ck_assert_int_eq(bs_link_call(l, "device list", json_pack("{s:s}", "tag", "t"), 0,
				      on_record, NULL, &result, &e),
			 BS_CTL_OK);
	close_link(l);
	ck_assert_uint_eq(items, 3);
	ck_assert_uint_eq(progress, 1);
	ck_assert_int_eq(json_integer_value(json_object_get(result, "x")), 7);
	json_decref(result);
	ck_assert_ptr_null(strstr(script.got[0], "cursor"));
	ck_assert_ptr_nonnull(strstr(script.got[1], "\"cursor\":\"c1\""));
	ck_assert_ptr_nonnull(strstr(script.got[1], "\"tag\":\"t\""));
}
END_TEST

START_TEST(test_limit)
{
	struct bs_link *l;

	script.answer[0] =
		"{\"id\":1,\"item\":{}}\n{\"id\":1,\"item\":{}}\n{\"id\":1,\"item\":{}}\n"
		"{\"id\":1,\"status\":0,\"cursor\":\"c1\"}\n";
	l = open_link(5000);
	ck_assert_int_eq(bs_link_call(l, "device list", NULL, 2, on_record, NULL, NULL, &e),
			 BS_CTL_OK);
	close_link(l);
	/* Two were wanted: the third is dropped, the next page is not asked for. */
	ck_assert_uint_eq(items, 2);
	ck_assert_uint_eq(script.n, 1);
}
END_TEST

START_TEST(test_errors)
{
	struct bs_link *l;

	script.answer[0] = "{\"id\":1,\"status\":5,\"error\":{\"place\":\"p\",\"reason\":\"r\"}}\n";
	script.answer[1] = "this is not JSON\n";
	script.answer[2] = "{\"id\":3,\"status\":0}\n";
	l = open_link(5000);
	ck_assert_int_eq(bs_link_call(l, "status", NULL, 0, NULL, NULL, NULL, &e),
			 BS_CTL_NOT_FOUND);
	ck_assert_str_eq(e.place, "p");
	ck_assert_int_ne(bs_link_call(l, "status", NULL, 0, NULL, NULL, NULL, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_link_call(l, "status", NULL, 0, NULL, NULL, NULL, &e), BS_CTL_OK);
	/* And then it goes away. */
	ck_assert_int_eq(bs_link_call(l, "status", NULL, 0, NULL, NULL, NULL, &e),
			 BS_CTL_INTERRUPTED);
	ck_assert_ptr_nonnull(strstr(e.reason, "went away"));
	close_link(l);
}
END_TEST

START_TEST(test_silent)
{
	struct bs_link *l;

	script.answer[0] = "{\"id\":1,\"item\":{}}\n";
	l = open_link(50);
	ck_assert_int_eq(bs_link_call(l, "device list", NULL, 0, on_record, NULL, NULL, &e),
			 BS_CTL_INTERRUPTED);
	ck_assert_ptr_nonnull(strstr(e.remedy, "--timeout"));
	ck_assert_uint_eq(items, 1);
	close_link(l);
}
END_TEST

START_TEST(test_too_long)
{
	size_t len = BS_CTL_LINE_MAX + 10;
	char *text = malloc(len + 1);
	struct bs_link *l;

	memset(text, 'x', len);
	text[len] = '\0';
	script.answer[0] = text;
	l = open_link(5000);
	ck_assert_int_eq(bs_link_call(l, "status", NULL, 0, NULL, NULL, NULL, &e), BS_CTL_FAILED);
	/* A request that no server would take is not sent. */
	ck_assert_int_eq(
		bs_link_call(l, "status", json_pack("{s:s}", "x", text), 0, NULL, NULL, NULL, &e),
		BS_CTL_BAD_INPUT);
	close_link(l);
	free(text);
}
END_TEST

START_TEST(test_turned_away)
{
	struct bs_link *l;

	/* The server says no before it knows any id. */
	script.answer[0] = "{\"id\":0,\"status\":4,\"error\":{\"reason\":\"not you\"}}\n";
	l = open_link(5000);
	ck_assert_int_eq(bs_link_call(l, "status", NULL, 0, NULL, NULL, NULL, &e), BS_CTL_REFUSED);
	ck_assert_str_eq(e.reason, "not you");
	close_link(l);
}
END_TEST

START_TEST(test_upload)
{
	struct bs_link *l;
	json_t *result = NULL;

	script.answer[0] = "{\"id\":1,\"ready\":{}}\n";
	script.answer[1] = "{\"id\":1,\"item\":{}}\n{\"id\":1,\"ready\":{}}\n";
	script.answer[2] =
		"{\"id\":1,\"progress\":{}}\n{\"id\":1,\"status\":0,\"result\":{\"n\":1}}\n";
	l = open_link(5000);
	ck_assert_int_eq(bs_link_upload_begin(l, "device import", NULL, on_record, NULL, &e),
			 BS_CTL_OK);
	ck_assert_int_eq(bs_link_upload_rows(l, json_array(), on_record, NULL, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_link_upload_end(l, false, on_record, NULL, &result, &e), BS_CTL_OK);
	close_link(l);
	ck_assert_uint_eq(items, 1);
	ck_assert_uint_eq(progress, 1);
	ck_assert_int_eq(json_integer_value(json_object_get(result, "n")), 1);
	json_decref(result);
	ck_assert_ptr_nonnull(strstr(script.got[1], "\"rows\":[]"));
	ck_assert_ptr_nonnull(strstr(script.got[2], "\"end\":true"));
}
END_TEST

START_TEST(test_upload_refused)
{
	struct bs_link *l;

	/* An answer that ends it where "ready" was due is a failure, whatever it says. */
	script.answer[0] = "{\"id\":1,\"status\":0}\n";
	script.answer[1] = "{\"id\":2,\"ready\":{}}\n";
	script.answer[2] = "{\"id\":2,\"status\":8,\"error\":{\"reason\":\"full\"}}\n";
	l = open_link(5000);
	ck_assert_int_eq(bs_link_upload_begin(l, "device import", NULL, NULL, NULL, &e),
			 BS_CTL_FAILED);
	ck_assert_int_eq(bs_link_upload_begin(l, "device import", NULL, NULL, NULL, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_link_upload_rows(l, json_array(), NULL, NULL, &e), BS_CTL_BUSY);
	ck_assert_str_eq(e.reason, "full");
	close_link(l);
}
END_TEST

START_TEST(test_cannot_connect)
{
	struct bs_link_options o = { .socket = test_path("nothing") };
	char longer[200];

	ck_assert_ptr_null(bs_link_open(&o, &e));
	ck_assert_int_eq(e.status, BS_CTL_UNREACHABLE);
	ck_assert_ptr_nonnull(strstr(e.place, o.socket));
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	o.socket = longer;
	ck_assert_ptr_null(bs_link_open(&o, &e));
	ck_assert_int_eq(e.status, BS_CTL_USAGE);
	o.socket = NULL;
	o.conf = test_path("no.conf");
	ck_assert_ptr_null(bs_link_open(&o, &e));
	ck_assert_int_eq(e.status, BS_CTL_NOT_FOUND);
	bs_link_close(NULL);
}
END_TEST

Suite *bs_suite_bsctl_link(void)
{
	Suite *s = suite_create("bsctl_link");
	TCase *tc = tcase_create("connection");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, test_pages);
	tcase_add_test(tc, test_limit);
	tcase_add_test(tc, test_errors);
	tcase_add_test(tc, test_silent);
	tcase_add_test(tc, test_too_long);
	tcase_add_test(tc, test_turned_away);
	tcase_add_test(tc, test_upload);
	tcase_add_test(tc, test_upload_refused);
	tcase_add_test(tc, test_cannot_connect);
	suite_add_tcase(s, tc);
	return s;
}
