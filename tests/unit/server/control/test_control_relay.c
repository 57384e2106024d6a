/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "host.h"
#include "suites.h"
#include "util/endpoint.h"

static struct host h;

static void setup(void)
{
	host_start(&h);
}

static void teardown(void)
{
	host_stop(&h);
}

static struct bs_relay_row *carry(const char *client, uint8_t grade)
{
	struct bs_relay_row *r = &h.server.relay[h.server.n_relays++];

	r->attempt = 0xA1B2C3D4E5F60718;
	r->nsi = 0x12345678;
	r->number = 4711; /* deleted since */
	r->opened_ms = 1700000000000;
	r->bytes[0] = 1000;
	r->bytes[1] = 2000;
	r->grade = grade;
	r->month_bytes = 5000;
	snprintf(r->client_id, sizeof(r->client_id), "%s", client);
	return r;
}

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static json_t *list(const char *args, size_t want)
{
	json_t *all = host_ask(&h, "relay list", args);

	ck_assert_uint_eq(json_array_size(all), want + 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(all, want), "status")),
			 BS_CTL_OK);
	return all;
}

START_TEST(test_list)
{
	json_t *all;
	json_t *row;

	json_decref(list("{}", 0));
	bs_endpoint_set_ip4(&carry("alice@x", 0)->leg, 0xC0000201, 4001);
	carry("bob@x", 2)->kind = 1;
	json_decref(list("{\"limit\":1}", 1));
	json_decref(list("{\"client\":\"carol@x\"}", 0));
	all = list("{\"client\":\"bob@x\"}", 1);
	row = json_object_get(json_array_get(all, 0), "item");
	ck_assert_str_eq(text(row, "kind"), "tcp");
	ck_assert_str_eq(text(row, "grade"), "low-priority");
	ck_assert(json_is_null(json_object_get(row, "client_leg")));
	json_decref(all);
	all = list("{}", 2);
	row = json_object_get(json_array_get(all, 0), "item");
	ck_assert_str_eq(text(row, "client"), "alice@x");
	ck_assert_str_eq(text(row, "device"), "");
	ck_assert_str_eq(text(row, "attempt"), "a1b2c3d4e5f60718");
	ck_assert_str_eq(text(row, "connection"), "12345678");
	ck_assert_str_eq(text(row, "client_leg"), "192.0.2.1:4001");
	ck_assert_int_eq(json_integer_value(json_object_get(row, "down_bytes")), 2000);
	ck_assert_int_eq(json_integer_value(json_object_get(row, "client_month_bytes")), 5000);
	json_decref(all);
	json_decref(host_expect(&h, "relay list", "{\"limit\":0}", BS_CTL_USAGE));
	h.server.answer = BS_ETIMEDOUT;
	json_decref(host_expect(&h, "relay list", "{}", BS_CTL_BUSY));
}
END_TEST

START_TEST(test_status)
{
	json_t *all = host_expect(&h, "relay status", "{}", BS_CTL_OK);
	json_t *o = json_object_get(all, "result");

	ck_assert_str_eq(text(o, "when_full"), "reject");
	ck_assert(json_is_true(json_object_get(o, "udp")));
	ck_assert_int_eq(json_integer_value(json_object_get(o, "max")), 10000);
	ck_assert(json_is_null(json_object_get(o, "rate_node_up")));
	ck_assert(json_is_integer(json_object_get(o, "udp_up_bytes")));
	json_decref(all);
}
END_TEST

Suite *bs_suite_control_relay(void)
{
	Suite *s = suite_create("control_relay");
	TCase *t = tcase_create("relay");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_list);
	tcase_add_test(t, test_status);
	suite_add_tcase(s, t);
	return s;
}
