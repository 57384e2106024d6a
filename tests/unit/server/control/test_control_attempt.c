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
	host_ok(&h, "device add", "{\"id\":\"cam-1\",\"secret\":\"" SECRET "\"}");
	host_ok(&h, "device add", "{\"id\":\"cam-2\",\"secret\":\"" SECRET "\"}");
}

static void teardown(void)
{
	host_stop(&h);
}

static uint32_t number_of(const char *id)
{
	char args[64];
	json_t *r;
	uint32_t n;

	snprintf(args, sizeof(args), "{\"id\":\"%s\"}", id);
	r = host_expect(&h, "device show", args, BS_CTL_OK);
	n = (uint32_t)json_integer_value(json_object_get(json_object_get(r, "result"), "number"));
	json_decref(r);
	return n;
}

static struct bs_attempt_info *know(const char *device, const char *client, uint64_t attempt)
{
	struct bs_attempt_info *i = &h.server.info[h.server.n_info++];

	i->attempt = attempt;
	i->number = device ? number_of(device) : 4711;
	i->nsi = (uint32_t)attempt ^ 0x5000000u;
	i->start_ms = 1700000000000;
	i->status = BS_ST_OK;
	snprintf(i->client_id, sizeof(i->client_id), "%s", client);
	return i;
}

static size_t items(const char *args)
{
	json_t *all = host_ask(&h, "attempt list", args);
	size_t n = json_array_size(all) - 1;

	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(all, n), "status")),
			 BS_CTL_OK);
	json_decref(all);
	return n;
}

START_TEST(test_list_and_filters)
{
	ck_assert_uint_eq(items("{}"), 0);
	know("cam-1", "alice@x", 1);
	know("cam-2", "alice@x", 2);
	know("cam-1", "bob@x", 3);
	know(NULL, "bob@x", 4); /* its device was deleted since */
	ck_assert_uint_eq(items("{}"), 4);
	ck_assert_uint_eq(items("{\"limit\":3}"), 3);
	ck_assert_uint_eq(items("{\"device\":\"cam-1\"}"), 2);
	ck_assert_uint_eq(items("{\"client\":\"bob@x\"}"), 2);
	ck_assert_uint_eq(items("{\"client\":\"bob@x\",\"device\":\"cam-1\"}"), 1);
	ck_assert_uint_eq(items("{\"client\":\"carol@x\"}"), 0);
	json_decref(host_expect(&h, "attempt list", "{\"limit\":0}", BS_CTL_USAGE));
	json_decref(host_expect(&h, "attempt list", "{\"limit\":501}", BS_CTL_USAGE));
	h.server.answer = BS_ETIMEDOUT;
	json_decref(host_expect(&h, "attempt list", "{}", BS_CTL_BUSY));
}
END_TEST

START_TEST(test_explain)
{
	struct bs_attempt_info *i = know("cam-1", "alice\x1b@x", 0xA1B2C3D4E5F60718);
	struct bs_attempt_row *s = h.server.step;
	json_t *all;
	json_t *last;

	i->nsi = 0x12345678;
	i->client_mapping = 3;
	i->device_symmetric = true;
	bs_endpoint_set_ip4(&i->client, 0xC0000201, 4001);
	bs_endpoint_set_ip4(&i->device, 0xC0000202, 4002);
	i->outcome = 3; /* relayed */
	i->path = 3;
	i->open_ms = i->start_ms + 120;
	s[0] = (struct bs_attempt_row){ .unix_ms = i->start_ms, .step = BS_STEP_ASKED };
	s[1] = (struct bs_attempt_row){
		.unix_ms = i->start_ms + 120, .step = BS_STEP_OPEN, .value = 3, .ep = i->device
	};
	s[2] = (struct bs_attempt_row){ .unix_ms = i->start_ms + 130, .step = 250 };
	h.server.n_steps = 3;
	for (int by_nsi = 0; by_nsi < 2; by_nsi++) {
		all = host_ask(&h, "attempt explain",
			       by_nsi ? "{\"attempt\":\"12345678\"}"
				      : "{\"attempt\":\"A1b2c3d4e5f60718\"}");
		ck_assert_uint_eq(json_array_size(all), 4);
		last = json_array_get(all, 3);
		ck_assert_str_eq(host_text(last, "attempt"), "a1b2c3d4e5f60718");
		ck_assert_str_eq(host_text(last, "device"), "cam-1");
		ck_assert_str_eq(host_text(last, "reason"), "both-symmetric");
		ck_assert_str_eq(host_text(last, "outcome"), "relayed");
		ck_assert_str_eq(host_text(last, "client_nat_mapping"), "by-address-and-port");
		/* A name from a certificate must not steer a terminal. */
		ck_assert_ptr_null(strchr(host_text(last, "client"), 0x1b));
		json_decref(all);
	}
}
END_TEST

START_TEST(test_explain_refused)
{
	static const char *const bad[] = { "12", "123456789a", "zz345678", "0123456789abcdef0" };
	char args[64];

	for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		snprintf(args, sizeof(args), "{\"attempt\":\"%s\"}", bad[k]);
		json_decref(host_expect(&h, "attempt explain", args, BS_CTL_USAGE));
	}
	json_decref(host_expect(&h, "attempt explain", "{\"attempt\":\"0123456789abcdef\"}",
				BS_CTL_NOT_FOUND));
	h.server.refuse = BS_EFULL;
	json_decref(host_expect(&h, "attempt explain", "{\"attempt\":\"0123456789abcdef\"}",
				BS_CTL_BUSY));
}
END_TEST

Suite *bs_suite_control_attempt(void)
{
	Suite *s = suite_create("control_attempt");
	TCase *tc = tcase_create("attempts");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_list_and_filters);
	tcase_add_test(tc, test_explain);
	tcase_add_test(tc, test_explain_refused);
	suite_add_tcase(s, tc);
	return s;
}
