/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "host.h"
#include "suites.h"
#include "util/endpoint.h"

#define SECRET "00112233445566778899aabbccddeeff"

static struct host h;

static void setup(void)
{
	host_start(&h);
}

static void teardown(void)
{
	host_stop(&h);
}

static void add(const char *id)
{
	char args[256];

	snprintf(args, sizeof(args), "{\"id\":\"%s\",\"secret\":\"" SECRET "\",\"tag\":[\"lab\"]}",
		 id);
	host_ok(&h, "device add", args);
}

static uint32_t number_of(const char *id)
{
	char args[128];
	json_t *r;
	uint32_t n;

	snprintf(args, sizeof(args), "{\"id\":\"%s\"}", id);
	r = host_expect(&h, "device show", args, BS_CTL_OK);
	n = (uint32_t)json_integer_value(json_object_get(json_object_get(r, "result"), "number"));
	json_decref(r);
	return n;
}

START_TEST(test_add_show)
{
	json_t *r;
	json_t *v;

	add("cam-1");
	r = host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_OK);
	v = json_object_get(r, "result");
	ck_assert_str_eq(host_text(r, "id"), "cam-1");
	ck_assert_str_eq(host_text(r, "state"), "enabled");
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(v, "tags"), 0)), "lab");
	ck_assert(json_is_true(json_object_get(v, "has_secret")));
	ck_assert(json_is_null(json_object_get(v, "attachment")));
	ck_assert_ptr_null(json_object_get(v, "secret"));
	json_decref(r);
}
END_TEST

START_TEST(test_add_refused)
{
	json_t *r;

	add("cam-1");
	r = host_expect(&h, "device add", "{\"id\":\"cam-1\",\"secret\":\"" SECRET "\"}",
			BS_CTL_EXISTS);
	ck_assert_str_eq(host_error(r, "place"), "cam-1");
	json_decref(r);
	json_decref(host_expect(&h, "device add", "{\"id\":\"cam-2\"}", BS_CTL_USAGE));
	json_decref(host_expect(&h, "device add", "{\"id\":\"Cam-2\",\"secret\":\"" SECRET "\"}",
				BS_CTL_USAGE));
	r = host_expect(&h, "device add", "{\"id\":\"cam-2\",\"secret\":\"0011\"}", BS_CTL_USAGE);
	/* What was meant as a secret is not shown. */
	ck_assert_ptr_null(strstr(host_error(r, "reason"), "0011"));
	json_decref(r);
}
END_TEST

START_TEST(test_dry_run)
{
	unsigned before = h.changes;

	host_ok(&h, "device add", "{\"id\":\"cam-1\",\"secret\":\"" SECRET "\",\"dry-run\":true}");
	json_decref(host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_NOT_FOUND));
	add("cam-1");
	host_ok(&h, "device delete", "{\"id\":[\"cam-1\"],\"dry-run\":true}");
	host_ok(&h, "device disable", "{\"id\":[\"cam-1\"],\"dry-run\":true}");
	host_ok(&h, "device kick", "{\"id\":[\"cam-1\"],\"dry-run\":true}");
	ck_assert_uint_eq(number_of("cam-1"), 1);
	ck_assert_uint_eq(h.changes, before + 1);
}
END_TEST

START_TEST(test_state)
{
	json_t *r;

	add("cam-1");
	add("cam-2");
	host_ok(&h, "device disable", "{\"id\":[\"cam-1\",\"cam-2\"]}");
	r = host_expect(&h, "device show", "{\"id\":\"cam-2\"}", BS_CTL_OK);
	ck_assert_str_eq(host_text(r, "state"), "disabled");
	json_decref(r);
	host_ok(&h, "device enable", "{\"id\":[\"cam-2\"]}");
	r = host_expect(&h, "device show", "{\"id\":\"cam-2\"}", BS_CTL_OK);
	ck_assert_str_eq(host_text(r, "state"), "enabled");
	json_decref(r);
	/* One that is not there keeps the others as they are. */
	r = host_expect(&h, "device delete", "{\"id\":[\"cam-1\",\"cam-9\"]}", BS_CTL_NOT_FOUND);
	ck_assert_str_eq(host_error(r, "place"), "cam-9");
	json_decref(r);
	ck_assert_uint_gt(number_of("cam-1"), 0);
	host_ok(&h, "device delete", "{\"id\":[\"cam-1\"]}");
	json_decref(host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_NOT_FOUND));
}
END_TEST

START_TEST(test_tags)
{
	json_t *r;
	json_t *tags;

	add("cam-1");
	host_ok(&h, "device tag",
		"{\"id\":\"cam-1\",\"add\":[\"b\",\"a\"],\"remove\":[\"lab\",\"none\"]}");
	r = host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_OK);
	tags = json_object_get(json_object_get(r, "result"), "tags");
	ck_assert_uint_eq(json_array_size(tags), 2);
	ck_assert_str_eq(json_string_value(json_array_get(tags, 0)), "a");
	json_decref(r);
	json_decref(host_expect(&h, "device tag", "{\"id\":\"cam-1\"}", BS_CTL_USAGE));
	json_decref(host_expect(&h, "device tag", "{\"id\":\"cam-2\",\"add\":[\"a\"]}",
				BS_CTL_NOT_FOUND));
}
END_TEST

START_TEST(test_rotate)
{
	json_t *r;

	add("cam-1");
	json_decref(host_expect(&h, "device rotate-key", "{\"id\":\"cam-1\",\"finish\":true}",
				BS_CTL_NOT_FOUND));
	host_ok(&h, "device rotate-key",
		"{\"id\":\"cam-1\",\"secret\":\"ffeeddccbbaa99887766554433221100\"}");
	r = host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_OK);
	ck_assert(json_is_true(json_object_get(json_object_get(r, "result"), "rotating")));
	json_decref(r);
	json_decref(host_expect(&h, "device rotate-key",
				"{\"id\":\"cam-1\",\"secret\":\"" SECRET "\"}", BS_CTL_EXISTS));
	json_decref(host_expect(&h, "device rotate-key",
				"{\"id\":\"cam-1\",\"finish\":true,\"undo\":true}", BS_CTL_USAGE));
	host_ok(&h, "device rotate-key", "{\"id\":\"cam-1\",\"undo\":true}");
	json_decref(host_expect(&h, "device rotate-key", "{\"id\":\"cam-1\"}", BS_CTL_USAGE));
}
END_TEST

START_TEST(test_attachment)
{
	struct bs_device_row *row = &h.server.row[0];
	json_t *r;
	json_t *a;

	add("cam-1");
	row->number = number_of("cam-1");
	row->state = BS_DEVICE_ONLINE;
	row->flags = BS_ROW_NAT_SYMMETRIC;
	row->connections = 2;
	row->ext = 1u << 6;
	row->alive_interval_s = 117;
	bs_endpoint_set_ip4(&row->peer, 0x0A000001, 1234);
	memcpy(row->version, "v1\x1b[2J", 7);
	h.server.n_rows = 1;
	r = host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_OK);
	a = json_object_get(json_object_get(r, "result"), "attachment");
	ck_assert_str_eq(json_string_value(json_object_get(a, "address")), "10.0.0.1:1234");
	ck_assert_str_eq(json_string_value(json_object_get(a, "nat")), "symmetric");
	ck_assert_int_eq(json_integer_value(json_object_get(a, "connections")), 2);
	ck_assert_int_eq(json_integer_value(json_object_get(a, "interval_s")), 117);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(a, "extensions"), 0)),
			 "CLOSE");
	/* A device's own text must not steer a terminal. */
	ck_assert_ptr_null(strchr(json_string_value(json_object_get(a, "version")), 0x1b));
	json_decref(r);

	h.server.answer = BS_ETIMEDOUT;
	json_decref(host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_BUSY));
	h.server.answer = BS_OK;
	h.server.refuse = BS_EFULL;
	json_decref(host_expect(&h, "device show", "{\"id\":\"cam-1\"}", BS_CTL_BUSY));
}
END_TEST

START_TEST(test_kick)
{
	add("cam-1");
	add("cam-2");
	h.server.row[0].number = number_of("cam-1");
	h.server.n_rows = 1;
	host_ok(&h, "device kick", "{\"id\":[\"cam-1\"]}");
	ck_assert_uint_eq(h.server.n_kicked, 1);
	json_decref(host_expect(&h, "device kick", "{\"id\":[\"cam-2\"]}", BS_CTL_NOT_FOUND));
	json_decref(host_expect(&h, "device kick", "{\"id\":[\"cam-3\"]}", BS_CTL_NOT_FOUND));
}
END_TEST

/* All pages of a list; counts items, checks that no secret is among them. */
static size_t count_list(const char *command, const char *args, bool secrets)
{
	char with[1024];
	char cursor[512] = "";
	size_t n = 0;

	do {
		json_t *all;
		json_t *last;
		char *dump;

		snprintf(with, sizeof(with), "{%s%s%s%s%s}", args, cursor[0] && args[0] ? "," : "",
			 cursor[0] ? "\"cursor\":\"" : "", cursor, cursor[0] ? "\"" : "");
		all = host_ask(&h, command, with);
		last = json_array_get(all, json_array_size(all) - 1);
		ck_assert_int_eq(json_integer_value(json_object_get(last, "status")), 0);
		n += json_array_size(all) - 1;
		dump = json_dumps(all, 0);
		if (!secrets)
			ck_assert_ptr_null(strstr(dump, SECRET));
		else
			ck_assert_ptr_nonnull(strstr(dump, SECRET));
		free(dump);
		snprintf(cursor, sizeof(cursor), "%s",
			 json_object_get(last, "cursor")
				 ? json_string_value(json_object_get(last, "cursor"))
				 : "");
		json_decref(all);
	} while (cursor[0]);
	return n;
}

START_TEST(test_list)
{
	char id[32];

	for (int i = 0; i < 230; i++) {
		snprintf(id, sizeof(id), "%s-%03d", i % 2 ? "cam" : "pump", i);
		add(id);
	}
	ck_assert_uint_eq(count_list("device list", "", false), 230);
	ck_assert_uint_eq(count_list("device list", "\"prefix\":\"cam-\"", false), 115);
	ck_assert_uint_eq(count_list("device list", "\"tag\":\"lab\"", false), 230);
	ck_assert_uint_eq(count_list("device list", "\"state\":\"disabled\"", false), 0);
	ck_assert_uint_eq(count_list("device export", "", false), 230);
	ck_assert_uint_eq(count_list("device export", "\"with-secrets\":true", true), 230);
	json_decref(host_expect(&h, "device list", "{\"cursor\":\"xyz\"}", BS_CTL_USAGE));
	json_decref(
		host_expect(&h, "device list",
			    "{\"prefix\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
			    BS_CTL_BAD_INPUT));
}
END_TEST

START_TEST(test_list_attached)
{
	char id[32];

	for (uint32_t i = 0; i < HOST_ROWS; i++) {
		snprintf(id, sizeof(id), "cam-%u", i);
		add(id);
		h.server.row[i].number = number_of(id);
	}
	h.server.n_rows = HOST_ROWS;
	/* One is deleted while the workers still know it. */
	host_ok(&h, "device delete", "{\"id\":[\"cam-3\"]}");
	ck_assert_uint_eq(count_list("device list", "\"attached\":true", false), HOST_ROWS - 1);
	h.server.answer = BS_ETIMEDOUT;
	json_decref(host_expect(&h, "device list", "{\"attached\":true}", BS_CTL_BUSY));
}
END_TEST

Suite *bs_suite_control_device(void)
{
	Suite *s = suite_create("control_device");
	TCase *tc = tcase_create("devices");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_add_show);
	tcase_add_test(tc, test_add_refused);
	tcase_add_test(tc, test_dry_run);
	tcase_add_test(tc, test_state);
	tcase_add_test(tc, test_tags);
	tcase_add_test(tc, test_rotate);
	tcase_add_test(tc, test_attachment);
	tcase_add_test(tc, test_kick);
	tcase_add_test(tc, test_list);
	tcase_add_test(tc, test_list_attached);
	suite_add_tcase(s, tc);
	return s;
}
