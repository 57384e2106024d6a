/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "host.h"
#include "suites.h"

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

/* Begin an upload; the record that answers. */
static json_t *begin(const char *args)
{
	json_t *all = host_ask(&h, "device import", args);
	json_t *r = json_incref(json_array_get(all, 0));

	json_decref(all);
	return r;
}

/* Send one record of the upload and read until "ready" or the end; counts items. */
static json_t *step(const char *line, size_t *items)
{
	json_t *r;

	host_send(&h, line);
	for (;;) {
		r = host_record(&h);
		if (!json_object_get(r, "item") && !json_object_get(r, "progress"))
			return r;
		*items += json_object_get(r, "item") != NULL;
		json_decref(r);
	}
}

static void send_row(int line, const char *id)
{
	char text[256];
	size_t items = 0;
	json_t *r;

	snprintf(text, sizeof(text),
		 "{\"id\":1,\"rows\":[[%d,\"%s\",\"" SECRET "\",1,0,0,[\"t\"]]]}\n", line, id);
	r = step(text, &items);
	ck_assert_ptr_nonnull(json_object_get(r, "ready"));
	json_decref(r);
}

static size_t n_devices(void)
{
	json_t *r = host_expect(&h, "status", NULL, BS_CTL_OK);
	json_t *reg = json_object_get(json_object_get(r, "result"), "registry");
	size_t n = (size_t)json_integer_value(json_object_get(reg, "devices"));

	json_decref(r);
	return n;
}

static json_t *end(size_t *items, int status)
{
	json_t *r = step("{\"id\":1,\"end\":true}\n", items);

	ck_assert_msg(json_integer_value(json_object_get(r, "status")) == status, "%d: %s",
		      (int)json_integer_value(json_object_get(r, "status")),
		      host_error(r, "reason"));
	return r;
}

START_TEST(test_import)
{
	size_t items = 0;
	json_t *r;

	json_decref(begin("{}"));
	send_row(2, "cam-1");
	send_row(3, "cam-2");
	r = end(&items, BS_CTL_OK);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "result"), "added")),
			 2);
	json_decref(r);
	ck_assert_uint_eq(n_devices(), 2);
}
END_TEST

START_TEST(test_all_or_nothing)
{
	size_t items = 0;
	json_t *r;

	json_decref(begin("{}"));
	send_row(1, "cam-1");
	json_decref(end(&items, BS_CTL_OK));
	json_decref(begin("{}"));
	send_row(1, "cam-2");
	items = 0;
	r = step("{\"id\":1,\"rows\":[[2,\"cam-1\",\"" SECRET "\",1,0,0,[]],"
		 "[3,\"cam-3\",\"" SECRET "\",1,0,0,[]],[4,\"cam-3\",\"" SECRET
		 "\",1,0,0,[]],[5,\"Bad\",\"\",1,0,0,[]],\"junk\"]}\n",
		 &items);
	ck_assert_ptr_nonnull(json_object_get(r, "ready"));
	json_decref(r);
	/* cam-1 is there, Bad and junk are wrong; cam-3 twice shows at the end. */
	ck_assert_uint_eq(items, 3);
	items = 0;
	json_decref(end(&items, BS_CTL_BAD_INPUT));
	ck_assert_uint_eq(items, 1);
	ck_assert_uint_eq(n_devices(), 1);
}
END_TEST

START_TEST(test_modes)
{
	size_t items = 0;
	json_t *r;

	json_decref(begin("{}"));
	send_row(1, "cam-1");
	json_decref(end(&items, BS_CTL_OK));
	json_decref(begin("{\"mode\":\"skip\"}"));
	send_row(1, "cam-1");
	send_row(2, "cam-2");
	r = end(&items, BS_CTL_OK);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "result"), "added")),
			 1);
	json_decref(r);
	json_decref(begin("{\"mode\":\"replace\"}"));
	send_row(1, "cam-1");
	json_decref(end(&items, BS_CTL_OK));
	ck_assert_uint_eq(n_devices(), 2);
}
END_TEST

START_TEST(test_dry_run)
{
	size_t items = 0;

	json_decref(begin("{\"dry-run\":true}"));
	send_row(1, "cam-1");
	json_decref(end(&items, BS_CTL_OK));
	ck_assert_uint_eq(n_devices(), 0);
	/* A dry run finds what is there already. */
	json_decref(begin("{}"));
	send_row(1, "cam-1");
	json_decref(end(&items, BS_CTL_OK));
	json_decref(begin("{\"dry-run\":true}"));
	host_send(&h, "{\"id\":1,\"rows\":[[7,\"cam-1\",\"" SECRET "\",1,0,0,[]]]}\n");
	items = 0;
	json_decref(step("", &items));
	ck_assert_uint_eq(items, 1);
	json_decref(end(&items, BS_CTL_BAD_INPUT));
}
END_TEST

START_TEST(test_abort)
{
	size_t items = 0;
	json_t *r;

	json_decref(begin("{}"));
	send_row(1, "cam-1");
	r = step("{\"id\":1,\"abort\":true}\n", &items);
	ck_assert_int_ne(json_integer_value(json_object_get(r, "status")), 0);
	json_decref(r);
	ck_assert_uint_eq(n_devices(), 0);
	/* A client that just leaves. */
	json_decref(begin("{}"));
	send_row(1, "cam-1");
	close(h.fd);
	h.fd = host_connect(&h);
	ck_assert_uint_eq(n_devices(), 0);
}
END_TEST

START_TEST(test_protocol)
{
	size_t items = 0;
	json_t *r;
	json_t *rows;
	char *text;
	char line[160];

	json_decref(begin("{}"));
	/* Another command has to wait until the upload is over. */
	host_send(&h, "{\"id\":2,\"command\":\"status\"}\n");
	r = host_record(&h);
	ck_assert_int_eq(json_integer_value(json_object_get(r, "status")), BS_CTL_USAGE);
	json_decref(r);
	/* Rows of another id are not of this upload. */
	host_send(&h, "{\"id\":2,\"rows\":[]}\n");
	r = host_record(&h);
	ck_assert_int_eq(json_integer_value(json_object_get(r, "status")), BS_CTL_USAGE);
	json_decref(r);
	/* An empty chunk is fine, one that is too large ends the upload. */
	r = step("{\"id\":1,\"rows\":[]}\n", &items);
	ck_assert_ptr_nonnull(json_object_get(r, "ready"));
	json_decref(r);
	rows = json_array();
	for (unsigned i = 0; i <= BS_CTL_CHUNK_ROWS; i++)
		json_array_append_new(rows, json_pack("[i]", (int)i));
	text = json_dumps(rows, JSON_COMPACT);
	host_send(&h, "{\"id\":1,\"rows\":");
	host_send(&h, text);
	r = step("}\n", &items);
	ck_assert_int_eq(json_integer_value(json_object_get(r, "status")), BS_CTL_USAGE);
	json_decref(r);
	free(text);
	json_decref(rows);
	snprintf(line, sizeof(line), "{\"id\":1,\"end\":true}\n");
	r = step(line, &items);
	ck_assert_int_eq(json_integer_value(json_object_get(r, "status")), BS_CTL_USAGE);
	json_decref(r);
}
END_TEST

Suite *bs_suite_control_import(void)
{
	Suite *s = suite_create("control_import");
	TCase *tc = tcase_create("upload");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_import);
	tcase_add_test(tc, test_all_or_nothing);
	tcase_add_test(tc, test_modes);
	tcase_add_test(tc, test_dry_run);
	tcase_add_test(tc, test_abort);
	tcase_add_test(tc, test_protocol);
	suite_add_tcase(s, tc);
	return s;
}
