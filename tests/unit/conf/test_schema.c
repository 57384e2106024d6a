/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/schema.h"

#include <ctype.h>
#include <string.h>

#include "conf/value.h"
#include "suites.h"

START_TEST(rows_are_complete)
{
	const struct bs_conf_key *k = &bs_conf_schema[_i];

	ck_assert(strlen(k->key) > 1 && strlen(k->key) < 40);
	for (const char *c = k->key; *c != '\0'; c++)
		ck_assert_msg(islower((unsigned char)*c) || isdigit((unsigned char)*c) || *c == '-',
			      "%s", k->key);
	ck_assert_msg(k->def != NULL || k->example != NULL, "%s: nothing to show", k->key);
	ck_assert_msg(k->help[strlen(k->help) - 1] == '.', "%s: help is no sentence", k->key);
	ck_assert_msg(k->min <= k->max, "%s", k->key);
	ck_assert_ptr_eq(bs_conf_schema_find(k->key), k);
	if (k->type == BS_CONF_ENUM || k->type == BS_CONF_FLAGS)
		ck_assert_ptr_nonnull(k->words);
}
END_TEST

static size_t width(enum bs_conf_type type)
{
	switch (type) {
	case BS_CONF_BOOL: return sizeof(bool);
	case BS_CONF_PORT: return sizeof(uint16_t);
	case BS_CONF_SPAN: return sizeof(bs_time);
	case BS_CONF_BYTES:
	case BS_CONF_BITRATE: return sizeof(uint64_t);
	case BS_CONF_NAME:
	case BS_CONF_PATH: return sizeof(char *);
	case BS_CONF_ADDRESS:
	case BS_CONF_ADDRESS6: return sizeof(struct bs_endpoint);
	case BS_CONF_ADDRESSES: return sizeof(struct bs_conf_addresses);
	case BS_CONF_COUNT:
	case BS_CONF_RATE:
	case BS_CONF_ENUM:
	case BS_CONF_FLAGS:
	default: return sizeof(uint32_t);
	}
}

/* a field without a row could never be set; two rows for one field would fight */
START_TEST(rows_cover_the_struct)
{
	unsigned char seen[sizeof(struct bs_conf)] = { 0 };
	size_t run = 0;

	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		const struct bs_conf_key *k = &bs_conf_schema[i];

		ck_assert(k->offset + width(k->type) <= sizeof(seen));
		for (size_t b = 0; b < width(k->type); b++) {
			ck_assert_msg(seen[k->offset + b] == 0, "%s: field has two rows", k->key);
			seen[k->offset + b] = 1;
		}
	}
	for (size_t b = 0; b < sizeof(seen); b++) {
		run = seen[b] ? 0 : run + 1;
		/* fewer than eight bytes is padding or a bool nobody declared; bools come in pairs
		 * with padding, so the next test sets each of them */
		ck_assert_msg(run < 8, "no row for the field at %zu", b + 1 - run);
	}
}
END_TEST

START_TEST(keys_are_unique)
{
	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		for (size_t j = i + 1; j < bs_conf_schema_n; j++)
			ck_assert_str_ne(bs_conf_schema[i].key, bs_conf_schema[j].key);
	}
	ck_assert_ptr_null(bs_conf_schema_find("no-such-key"));
	ck_assert_ptr_null(bs_conf_schema_find(""));
}
END_TEST

START_TEST(headings_name_keys)
{
	for (size_t i = 0; i < bs_conf_headings_n; i++)
		ck_assert_ptr_nonnull(bs_conf_schema_find(bs_conf_headings[i].key));
}
END_TEST

START_TEST(range_texts)
{
	static const struct {
		const char *key;
		const char *text;
	} rows[] = {
		{ "workers", "0 to 256" },
		{ "client-port", "0 to 65535" },
		{ "alive-interval", "50ms to 5min" },
		{ "database-size", "1MiB to 1TiB" },
		{ "handshake-rate", "1/s to 1000000/s" },
		{ "tls-min", "1.2 or 1.3" },
		{ "log-level", "error, warning, notice, info or debug" },
		{ "extensions", "ip6, cookie, auth-alive, interval, retry, attempt, close, gcm, "
				"fast-stream, pair and path" },
		{ "listen", "1 to 8 addresses" },
		{ "allow-legacy", "yes or no" },
		{ "key-file", "path" },
	};
	char out[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_str_eq(
			bs_conf_range_text(bs_conf_schema_find(rows[i].key), out, sizeof(out)),
			rows[i].text);
}
END_TEST

Suite *bs_suite_schema(void)
{
	Suite *s = suite_create("schema");
	TCase *tc = tcase_create("all");

	tcase_add_loop_test(tc, rows_are_complete, 0, (int)bs_conf_schema_n);
	tcase_add_test(tc, rows_cover_the_struct);
	tcase_add_test(tc, keys_are_unique);
	tcase_add_test(tc, headings_name_keys);
	tcase_add_test(tc, range_texts);
	suite_add_tcase(s, tc);
	return s;
}
