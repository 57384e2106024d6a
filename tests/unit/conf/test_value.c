/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "conf/snapshot.h"
#include "suites.h"

static struct bs_conf *conf;

static void setup(void)
{
	conf = bs__conf_new();
	ck_assert_ptr_nonnull(conf);
}

static void teardown(void)
{
	bs_conf_unref(conf);
}

static int set(const char *key, const char *text, char *why, size_t cap)
{
	return bs_conf_value_set(conf, bs_conf_schema_find(key), text, "/base", why, cap);
}

static const struct {
	const char *key;
	const char *text;
	const char *shown; /* NULL: the same */
} good[] = {
	{ "allow-legacy", "yes", NULL },
	{ "allow-legacy", "true", "yes" },
	{ "allow-legacy", "on", "yes" },
	{ "allow-legacy", "off", "no" },
	{ "workers", "256", NULL },
	{ "client-port", "0", NULL },
	{ "client-port", "65535", NULL },
	{ "alive-interval", "50ms", NULL },
	{ "alive-interval", "300s", "5min" },
	{ "database-size", "1MiB", NULL },
	{ "attach-rate-id", "1/s", NULL },
	{ "user", "www-data", NULL },
	{ "database", "/var/db", NULL },
	{ "database", "db", "/base/db" },
	{ "database", "../db", "/base/../db" },
	{ "public-address", "192.0.2.7", NULL },
	{ "attach-address", "192.0.2.8", NULL },
	{ "public-address6", "2001:DB8:0::7", "2001:db8::7" },
	{ "tls-min", "1.3", NULL },
	{ "log-level", "debug", NULL },
};

START_TEST(sets_and_shows)
{
	char why[300] = "";
	char out[BS_CONF_VALUE_MAX];
	const char *shown = good[_i].shown != NULL ? good[_i].shown : good[_i].text;

	ck_assert_msg(set(good[_i].key, good[_i].text, why, sizeof(why)) == BS_OK, "%s", why);
	bs_conf_value_text(conf, bs_conf_schema_find(good[_i].key), 0, out);
	ck_assert_str_eq(out, shown);
}
END_TEST

static const struct {
	const char *key;
	const char *text;
	const char *why;
} bad[] = {
	{ "allow-legacy", "maybe", "is neither yes nor no" },
	{ "allow-legacy", "", "is neither yes nor no" },
	{ "allow-legacy", "YES", "is neither yes nor no" },
	{ "workers", "257", "is out of range; the range is 0 to 256" },
	{ "client-port", "65536", "is out of range; the range is 0 to 65535" },
	{ "alive-interval", "49ms", "is out of range; the range is 50ms to 5min" },
	{ "alive-interval", "301s", "is out of range; the range is 50ms to 5min" },
	{ "rsa-min-bits", "1024", "is out of range; the range is 2048 to 16384" },
	{ "user", "", "is empty; leave the key out instead" },
	{ "user", "a b",
	  "is not a name: it may not hold blanks, quotes, slashes or control "
	  "characters" },
	{ "user", "a/b",
	  "is not a name: it may not hold blanks, quotes, slashes or control "
	  "characters" },
	{ "database", "", "is empty; leave the key out instead" },
	{ "public-address", "2001:db8::1",
	  "is not an IPv4 address; write for example 203.0.113.5" },
	{ "public-address", "1.2.3", "is not an IPv4 address; write for example 203.0.113.5" },
	{ "public-address6", "1.2.3.4", "is not an IPv6 address; write for example 2001:db8::5" },
	{ "public-address6", "::ffff:1.2.3.4",
	  "is not an IPv6 address; write for example 2001:db8::5" },
	{ "listen", "localhost",
	  "is not an IP address (names are not looked up); write for "
	  "example 192.0.2.1 or \"2001:db8::1\"" },
	{ "log-level", "inof",
	  "is not known, did you mean \"info\"? (there is error, warning, "
	  "notice, info or debug)" },
	{ "log-level", "verbose", "is not known; there is error, warning, notice, info or debug" },
	{ "extensions", "zebra",
	  "is not known; there is ip6, cookie, auth-alive, interval, retry, attempt, close, gcm, "
	  "fast-stream, pair and path" },
};

START_TEST(refuses_with_reason)
{
	const struct bs_conf_key *key = bs_conf_schema_find(bad[_i].key);
	char why[300] = "";
	char before[BS_CONF_VALUE_MAX];
	char after[BS_CONF_VALUE_MAX];

	bs_conf_value_text(conf, key, 0, before);
	ck_assert_int_eq(set(bad[_i].key, bad[_i].text, why, sizeof(why)), BS_ECONF);
	ck_assert_str_eq(why, bad[_i].why);
	bs_conf_value_text(conf, key, 0, after);
	ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(limits_of_texts)
{
	char text[2 * BS_CONF_VALUE_MAX];
	char why[300] = "";

	memset(text, 'a', sizeof(text));
	text[253] = '\0';
	ck_assert_int_eq(set("user", text, why, sizeof(why)), BS_OK);
	text[253] = 'a';
	text[254] = '\0';
	ck_assert_int_eq(set("user", text, why, sizeof(why)), BS_ECONF);
	ck_assert_str_eq(why, "is longer than 253 bytes");
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[BS_CONF_VALUE_MAX - 1] = '\0';
	ck_assert_int_eq(set("database", text, why, sizeof(why)), BS_OK);
	text[0] = 'a'; /* the folder in front makes it too long */
	ck_assert_int_eq(set("database", text, why, sizeof(why)), BS_ECONF);
	ck_assert_str_eq(why, "is longer than 1023 bytes with its folder");
}
END_TEST

START_TEST(list_of_addresses)
{
	const struct bs_conf_key *key = bs_conf_schema_find("listen");
	char why[300] = "";
	char text[40];

	bs_conf_value_clear(conf, key);
	ck_assert_uint_eq(bs_conf_value_n(conf, key), 0);
	for (unsigned i = 0; i < BS_CONF_LISTEN_MAX; i++) {
		snprintf(text, sizeof(text), "10.0.0.%u", i + 1);
		ck_assert_int_eq(set("listen", text, why, sizeof(why)), BS_OK);
	}
	ck_assert_int_eq(set("listen", "10.0.0.1", why, sizeof(why)), BS_ECONF);
	ck_assert_str_eq(why, "is one address too many; at most 8 can be given");
	bs_conf_value_clear(conf, key);
	ck_assert_int_eq(set("listen", "::1", why, sizeof(why)), BS_OK);
	ck_assert_int_eq(set("listen", "0:0::1", why, sizeof(why)), BS_ECONF);
	ck_assert_str_eq(why, "stands there twice");
}
END_TEST

START_TEST(flags_add_up)
{
	const struct bs_conf_key *key = bs_conf_schema_find("extensions");
	char why[300] = "";
	char out[BS_CONF_VALUE_MAX];

	ck_assert_uint_eq(bs_conf_value_n(conf, key), 11);
	bs_conf_value_clear(conf, key);
	ck_assert_uint_eq(bs_conf_value_n(conf, key), 0);
	ck_assert_int_eq(set("extensions", "close", why, sizeof(why)), BS_OK);
	ck_assert_int_eq(set("extensions", "ip6", why, sizeof(why)), BS_OK);
	ck_assert_int_eq(set("extensions", "ip6", why, sizeof(why)), BS_OK);
	ck_assert_uint_eq(bs_conf_value_n(conf, key), 2);
	bs_conf_value_text(conf, key, 0, out);
	ck_assert_str_eq(out, "ip6");
	bs_conf_value_text(conf, key, 1, out);
	ck_assert_str_eq(out, "close");
	bs_conf_value_text(conf, key, 2, out);
	ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(every_key_clears_and_takes_its_default)
{
	const struct bs_conf_key *key = &bs_conf_schema[_i];
	char before[BS_CONF_VALUE_MAX];
	char after[BS_CONF_VALUE_MAX];

	bs_conf_value_text(conf, key, 0, before);
	bs_conf_value_clear(conf, key);
	ck_assert_int_eq(bs_conf_value_default(conf, key), BS_OK);
	bs_conf_value_text(conf, key, 0, after);
	ck_assert_str_eq(before, after);
	ck_assert_int_eq(bs_conf_value_is_set(conf, key), key->def != NULL);
	if (key->def == NULL)
		ck_assert_int_eq(
			bs_conf_value_set(conf, key, key->example, NULL, after, sizeof(after)),
			BS_OK);
}
END_TEST

START_TEST(no_memory)
{
	char why[300] = "";

	test_alloc_fail_at(1);
	ck_assert_int_eq(set("user", "somebody", why, sizeof(why)), BS_ENOMEM);
	ck_assert(test_alloc_failed());
	ck_assert_str_eq(conf->user, "basestation");
	test_alloc_fail_at(1);
	ck_assert_int_eq(set("database", "/x", why, sizeof(why)), BS_ENOMEM);
	ck_assert(test_alloc_failed());
}
END_TEST

Suite *bs_suite_value(void)
{
	Suite *s = suite_create("value");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_loop_test(tc, sets_and_shows, 0, sizeof(good) / sizeof(good[0]));
	tcase_add_loop_test(tc, refuses_with_reason, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tc, limits_of_texts);
	tcase_add_test(tc, list_of_addresses);
	tcase_add_test(tc, flags_add_up);
	tcase_add_loop_test(tc, every_key_clears_and_takes_its_default, 0, (int)bs_conf_schema_n);
	tcase_add_test(tc, no_memory);
	suite_add_tcase(s, tc);
	return s;
}
