/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/snapshot.h"

#include <string.h>

#include "suites.h"

#define GATE "server-certificate = \"/c\"\nserver-key = \"/k\"\nclient-ca = \"/a\"\n"

static const struct {
	const char *text;
	const char *message; /* NULL: fine */
} rows[] = {
	{ GATE, NULL },
	{ GATE "client-crl = \"/l\"\n", NULL },
	{ GATE "server-certificate-ecdsa = \"/e\"\nserver-key-ecdsa = \"/f\"\n", NULL },
	{ "server-certificate = \"/c\"\n", "c:1: server-certificate: needs server-key beside it; "
					   "add that key or take this one out" },
	{ "server-certificate = \"/c\"\nserver-key = \"/k\"\n",
	  "c:1: server-certificate: needs client-ca beside it; add that key or take this one "
	  "out" },
	{ "\nserver-key = \"/k\"\n", "c:2: server-key: needs server-certificate beside it; add "
				     "that key or take this one out" },
	{ "client-ca = \"/a\"\n", "c:1: client-ca: needs server-certificate beside it; add that "
				  "key or take this one out" },
	{ "client-crl = \"/a\"\n",
	  "c:1: client-crl: needs client-ca beside it; add that key or take this one out" },
	{ GATE "server-certificate-ecdsa = \"/e\"\n",
	  "c:4: server-certificate-ecdsa: needs server-key-ecdsa beside it; add that key or take "
	  "this one out" },
	{ GATE "server-key-ecdsa = \"/e\"\n",
	  "c:4: server-key-ecdsa: needs server-certificate-ecdsa beside it; add that key or take "
	  "this one out" },
	{ "alive-interval = 200ms\n", NULL },
	{ "alive-interval = 40s\n",
	  "c:1: alive-interval: alive-unreachable must be longer than alive-interval" },
	{ "alive-min = 20s\nalive-max = 19s\n",
	  "c:2: alive-max: alive-max must not be shorter than alive-min" },
	{ "alive-timeout = 39s\n",
	  "c:1: alive-timeout: alive-timeout must not be shorter than alive-unreachable" },
	{ "connect-timeout = 1s\n",
	  "c:1: connect-timeout: connect-retry must be shorter than connect-timeout" },
	{ "\nconnect-retry = 5s\n",
	  "c:2: connect-retry: connect-retry must be shorter than connect-timeout" },
	{ "connect-timeout = 100ms\nconnect-retry = 50ms\n",
	  "c:1: connect-timeout: probe-wait must be shorter than connect-timeout" },
	{ "pending-entries = 16\npending-per-id = 17\n",
	  "c:2: pending-per-id: pending-per-id must not be greater than pending-entries" },
	{ "pending-entries = 16\npending-per-prefix = 17\n",
	  "c:2: pending-per-prefix: pending-per-prefix must not be greater than "
	  "pending-entries" },
	{ "workers = 4\nmax-devices = 3\n",
	  "c:2: max-devices: max-devices must not be less than workers" },
};

START_TEST(keys_against_each_other)
{
	const struct bs_conf *c = NULL;
	struct bs_conf_error e = { "" };
	int err = bs_conf_load_text("c", rows[_i].text, strlen(rows[_i].text), &c, &e);

	if (rows[_i].message == NULL)
		ck_assert_msg(err == BS_OK, "%s", e.text);
	else
		ck_assert_str_eq(e.text, rows[_i].message);
	ck_assert_int_eq(err == BS_OK, rows[_i].message == NULL);
	bs_conf_unref(c);
}
END_TEST

START_TEST(longest_socket_path)
{
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;
	char text[200] = "control-socket = \"/";

	memset(text + strlen(text), 'x', 106);
	memcpy(text + strlen("control-socket = \"/") + 106, "\"\n", 3);
	ck_assert_msg(bs_conf_load_text("c", text, strlen(text), &c, &e) == BS_OK, "%s", e.text);
	bs_conf_unref(c);
	memcpy(text + strlen("control-socket = \"/") + 106, "x\"\n", 4);
	ck_assert_int_eq(bs_conf_load_text("c", text, strlen(text), &c, &e), BS_ECONF);
	ck_assert_str_eq(e.text, "c:1: control-socket: is longer than 107 bytes, the most that a "
				 "socket's path may have");
}
END_TEST

START_TEST(defaults_agree)
{
	struct bs_conf *c = bs__conf_new();
	struct bs_conf_error e = { "" };

	ck_assert_ptr_nonnull(c);
	ck_assert_msg(bs__conf_check(c, NULL, "c", &e) == BS_OK, "%s", e.text);
	c->connect_retry = c->connect_timeout;
	ck_assert_int_eq(bs__conf_check(c, NULL, "c", &e), BS_ECONF);
	ck_assert_str_eq(e.text,
			 "c: connect-retry: connect-retry must be shorter than connect-timeout");
	bs_conf_unref(c);
}
END_TEST

Suite *bs_suite_check(void)
{
	Suite *s = suite_create("check");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, keys_against_each_other, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(tc, longest_socket_path);
	tcase_add_test(tc, defaults_agree);
	suite_add_tcase(s, tc);
	return s;
}
