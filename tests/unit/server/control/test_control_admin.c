/* SPDX-License-Identifier: Apache-2.0 */
#include "host.h"
#include "log/log.h"
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

START_TEST(test_status)
{
	json_t *r;
	json_t *v;
	json_t *limit;

	h.server.counter[BS_C_devices_attached] = 50;
	r = host_expect(&h, "status", NULL, BS_CTL_OK);
	v = json_object_get(r, "result");
	ck_assert_int_eq(json_integer_value(json_object_get(v, "controller_port")), 5001);
	ck_assert_int_eq(json_integer_value(json_object_get(v, "attach_port")), 5002);
	ck_assert_int_eq(json_integer_value(json_object_get(v, "client_port")), 5003);
	ck_assert_int_gt(json_integer_value(json_object_get(v, "pid")), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(v, "devices_attached")), 50);
	limit = json_object_get(json_object_get(v, "limits"), "devices");
	ck_assert_int_eq(json_integer_value(json_object_get(limit, "max")), 200);
	ck_assert(json_real_value(json_object_get(limit, "percent")) == 25.0);
	ck_assert(json_is_object(json_object_get(json_object_get(v, "limits"), "descriptors")));
	/* No loop has turned yet. */
	ck_assert(json_is_false(json_object_get(v, "ready")));
	json_decref(r);
	bs_count(&h.server.workers[0], BS_C_loop_turns);
	r = host_expect(&h, "status", NULL, BS_CTL_OK);
	ck_assert(json_is_false(json_object_get(json_object_get(r, "result"), "ready")));
	json_decref(r);
	bs_count(&h.server.workers[1], BS_C_loop_turns);
	r = host_expect(&h, "status", NULL, BS_CTL_OK);
	ck_assert(json_is_true(json_object_get(json_object_get(r, "result"), "ready")));
	json_decref(r);
}
END_TEST

START_TEST(test_stats)
{
	json_t *all;
	bool found = false;

	h.server.counter[BS_C_attach_ok] = 77;
	all = host_ask(&h, "stats", NULL);
	ck_assert_uint_gt(json_array_size(all), BS_COUNTER_N);
	for (size_t i = 0; i < json_array_size(all) - 1; i++) {
		json_t *item = json_object_get(json_array_get(all, i), "item");
		const char *name = json_string_value(json_object_get(item, "name"));

		ck_assert_str_ne(json_string_value(json_object_get(item, "help")), "");
		if (strcmp(name, "attach_ok") == 0) {
			found = true;
			ck_assert_int_eq(json_integer_value(json_object_get(item, "value")), 77);
		}
	}
	ck_assert(found);
	json_decref(all);
}
END_TEST

START_TEST(test_prometheus)
{
	json_t *r;

	bs_count_add(&h.server.workers[0], BS_C_attach_ok, 3);
	bs_count_add(&h.server.workers[1], BS_C_attach_ok, 4);
	r = host_expect(&h, "stats", "{\"prometheus\":true}", BS_CTL_OK);
	ck_assert_ptr_nonnull(strstr(host_text(r, "text"), "attach_ok"));
	ck_assert_ptr_nonnull(strstr(host_text(r, "text"), "# TYPE"));
	json_decref(r);
}
END_TEST

START_TEST(test_conf)
{
	json_t *r;
	json_t *all;

	r = host_expect(&h, "conf show", NULL, BS_CTL_OK);
	ck_assert(json_object_get(json_object_get(r, "result"), "control-socket") != NULL);
	json_decref(r);
	all = host_ask(&h, "conf reload", NULL);
	ck_assert_uint_eq(json_array_size(all), 3);
	ck_assert_str_eq(json_string_value(json_object_get(
				 json_object_get(json_array_get(all, 1), "item"), "change")),
			 "restart");
	json_decref(all);
	h.reload = BS_ECONF;
	r = host_expect(&h, "conf reload", NULL, BS_CTL_BAD_INPUT);
	ck_assert_str_eq(host_error(r, "reason"), "basestation.conf:3: unknown key");
	json_decref(r);
}
END_TEST

START_TEST(test_log_level)
{
	const struct bs_log_options o = { .level = BS_LOG_ERROR, .target = BS_LOG_TO_STDERR };
	json_t *r;

	/* A log that is not open has no level to change. */
	ck_assert_int_eq(bs_log_open(&o), BS_OK);
	r = host_expect(&h, "log level", "{\"level\":\"debug\"}", BS_CTL_OK);
	ck_assert_str_eq(host_text(r, "level"), "debug");
	ck_assert_int_eq(bs_log_level(), BS_LOG_DEBUG);
	json_decref(r);
	host_ok(&h, "log level", "{\"level\":\"error\",\"dry-run\":true}");
	ck_assert_int_eq(bs_log_level(), BS_LOG_DEBUG);
	json_decref(host_expect(&h, "log level", "{\"level\":\"loud\"}", BS_CTL_USAGE));
	bs_log_close();
}
END_TEST

START_TEST(test_stop)
{
	host_ok(&h, "stop", "{\"dry-run\":true}");
	ck_assert(!h.stopped);
	host_ok(&h, "stop", NULL);
	ck_assert(h.stopped);
}
END_TEST

START_TEST(test_upgrade)
{
	json_t *r = host_expect(&h, "upgrade", NULL, BS_CTL_OK);

	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "result"), "pid")),
			 4711);
	json_decref(r);
	h.upgrade = BS_ECLOSED;
	r = host_expect(&h, "upgrade", NULL, BS_CTL_FAILED);
	ck_assert_str_eq(host_error(r, "reason"), "it ended");
	ck_assert_str_eq(host_error(r, "remedy"), "the old process goes on");
	json_decref(r);
	h.upgrade = BS_EBUSY;
	r = host_expect(&h, "upgrade", NULL, bs_ctl_status_from_err(BS_EBUSY));
	ck_assert_str_eq(host_error(r, "reason"), "one is on its way");
	json_decref(r);
	json_decref(host_expect(&h, "upgrade", "{\"dry-run\":true}", BS_CTL_USAGE));
}
END_TEST

START_TEST(test_drain)
{
	static const struct {
		const char *args;
		uint32_t rate, span_s;
	} rows[] = {
		{ NULL, 0, 60 },
		{ "{\"rate\":10}", 10, 11 },
		{ "{\"deadline\":5}", 0, 5 },
		{ "{\"rate\":50,\"deadline\":3}", 50, 3 },
		{ "{\"rate\":1000000}", 1000000, 2 },
		{ "{\"rate\":9007199254740992,\"deadline\":9007199254740992}", UINT32_MAX, 86400 },
	};

	h.server.counter[BS_C_devices_attached] = 100;
	host_ok(&h, "drain", "{\"dry-run\":true}");
	ck_assert(!h.server.drain.on);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		h.server.counter[BS_C_devices_attached] = 100;
		host_ok(&h, "drain", rows[i].args);
		ck_assert(h.server.drain.on);
		ck_assert_uint_eq(h.server.drain.rate, rows[i].rate);
		ck_assert_uint_eq(h.server.drain.span_ms, rows[i].span_s * 1000);
	}
	host_ok(&h, "drain", "{\"cancel\":true}");
	ck_assert(!h.server.drain.on);
}
END_TEST

Suite *bs_suite_control_admin(void)
{
	Suite *s = suite_create("control_admin");
	TCase *tc = tcase_create("admin");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_status);
	tcase_add_test(tc, test_stats);
	tcase_add_test(tc, test_prometheus);
	tcase_add_test(tc, test_conf);
	tcase_add_test(tc, test_log_level);
	tcase_add_test(tc, test_stop);
	tcase_add_test(tc, test_upgrade);
	tcase_add_test(tc, test_drain);
	suite_add_tcase(s, tc);
	return s;
}
