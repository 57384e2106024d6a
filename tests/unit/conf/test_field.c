/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/field.h"
#include "suites.h"

static char out[BS_FIELD_CAP];

static bool device_ok(const char *s)
{
	return bs_field_device(s, strlen(s), out) == NULL;
}

START_TEST(test_device)
{
	ck_assert(device_ok("a"));
	ck_assert(device_ok("cam-1.p2p.example.com"));
	ck_assert(device_ok("0123456789012345678901234567890123456789"));
	ck_assert_str_eq(out, "0123456789012345678901234567890123456789");
	ck_assert(!device_ok(""));
	ck_assert(!device_ok("01234567890123456789012345678901234567890"));
	ck_assert(!device_ok("Cam"));
	ck_assert(!device_ok("a_b"));
	ck_assert(!device_ok("a b"));
	ck_assert(!device_ok("\xc3\xa4"));
	ck_assert_ptr_nonnull(strstr(bs_field_device("A", 1, out), "lower case"));
	ck_assert_ptr_nonnull(bs_field_device("a\0b", 3, out));
}
END_TEST

START_TEST(test_identity)
{
	char longest[66];

	memset(longest, 'x', sizeof(longest));
	ck_assert_ptr_null(bs_field_identity("Alice@Example.COM", 17, out));
	ck_assert_str_eq(out, "alice@example.com");
	ck_assert_ptr_null(bs_field_identity(longest, 64, out));
	ck_assert_ptr_nonnull(bs_field_identity(longest, 65, out));
	ck_assert_ptr_nonnull(bs_field_identity("", 0, out));
	ck_assert_ptr_nonnull(bs_field_identity("a b", 3, out));
	ck_assert_ptr_nonnull(bs_field_identity("a\x7f", 2, out));
	ck_assert_ptr_nonnull(bs_field_identity("\xc3\xa4", 2, out));
}
END_TEST

START_TEST(test_tag)
{
	ck_assert_ptr_null(bs_field_tag("Floor:2_a@b.c-d", 15, out));
	ck_assert_str_eq(out, "Floor:2_a@b.c-d");
	ck_assert_ptr_nonnull(bs_field_tag("", 0, out));
	ck_assert_ptr_nonnull(bs_field_tag("a b", 3, out));
	ck_assert_ptr_nonnull(bs_field_tag("a/b", 3, out));
	ck_assert_ptr_nonnull(bs_field_tag("012345678901234567890123456789012", 33, out));
}
END_TEST

START_TEST(test_hex)
{
	uint8_t b[4] = { 0 };
	size_t n;

	ck_assert_ptr_null(bs_field_hex("0aFf10", 6, b, 3));
	ck_assert(b[0] == 0x0a && b[1] == 0xff && b[2] == 0x10);
	ck_assert_ptr_null(bs_field_hex("0a:ff:10", 8, b, 3));
	ck_assert_ptr_nonnull(bs_field_hex("0aff1", 5, b, 3));
	ck_assert_ptr_nonnull(bs_field_hex("0aff", 4, b, 3));
	ck_assert_ptr_nonnull(bs_field_hex("0aff1000", 8, b, 3));
	ck_assert_ptr_nonnull(bs_field_hex(":0aff10", 7, b, 3));
	ck_assert_ptr_nonnull(bs_field_hex("0aff10:", 7, b, 3));
	ck_assert_ptr_nonnull(bs_field_hex("0a::ff10", 8, b, 3));
	ck_assert_ptr_nonnull(bs_field_hex("0g", 2, b, 1));
	ck_assert_ptr_null(bs_field_hex_any("", 0, b, 4, &n));
	ck_assert_uint_eq(n, 0);
	ck_assert_ptr_null(bs_field_hex_any("01020304", 8, b, 4, &n));
	ck_assert_uint_eq(n, 4);
	ck_assert_ptr_nonnull(bs_field_hex_any("0102030405", 10, b, 4, &n));
}
END_TEST

START_TEST(test_secret)
{
	static const uint8_t want[BS_PSK_LEN] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
						  0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	static const char *const good[] = {
		"00112233445566778899aabbccddeeff", "00112233445566778899AABBCCDDEEFF",
		"ABEiM0RVZneImaq7zN3u/w==",         "ABEiM0RVZneImaq7zN3u/w",
		"ABEiM0RVZneImaq7zN3u_w",
	};
	static const char *const bad[] = {
		"",
		"00112233445566778899aabbccddeef",
		"00112233445566778899aabbccddeeff0",
		"00112233445566778899aabbccddeefg",
		"ABEiM0RVZneImaq7zN3u/x==", /* bits that no byte has */
		"ABEiM0RVZneImaq7zN3u/w=",
		"ABEiM0RVZneImaq7zN3u/w=x",
		"ABEiM0RV neImaq7zN3u/w==",
	};
	uint8_t b[BS_PSK_LEN];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		memset(b, 0xA5, sizeof(b));
		ck_assert_msg(!bs_field_secret(good[i], strlen(good[i]), b), "%s", good[i]);
		ck_assert_mem_eq(b, want, sizeof(b));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(bs_field_secret(bad[i], strlen(bad[i]), b) != NULL, "%s", bad[i]);
}
END_TEST

START_TEST(test_subject)
{
	static const char fp[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	struct bs_field_subject v;
	char text[BS_FIELD_CAP];
	char back[BS_FIELD_CAP];

	ck_assert_ptr_null(bs_field_subject("*", 1, &v));
	ck_assert_int_eq(v.who, BS_SUBJECT_ANYBODY);
	ck_assert_ptr_null(bs_field_subject("Alice", 5, &v));
	ck_assert_int_eq(v.who, BS_SUBJECT_IDENTITY);
	ck_assert(!v.has_ca);
	ck_assert_str_eq(v.name, "alice");
	/* An identity may have a slash; only a fingerprint before it is a CA. */
	ck_assert_ptr_null(bs_field_subject("http://a/b", 10, &v));
	ck_assert(!v.has_ca);
	snprintf(text, sizeof(text), "%s/bob", fp);
	ck_assert_ptr_null(bs_field_subject(text, strlen(text), &v));
	ck_assert(v.has_ca);
	bs_field_put_subject(&v, back);
	ck_assert_str_eq(back, text);
	snprintf(text, sizeof(text), "key:%s", fp);
	ck_assert_ptr_null(bs_field_subject(text, strlen(text), &v));
	bs_field_put_subject(&v, back);
	ck_assert_str_eq(back, text);
	ck_assert_ptr_null(bs_field_subject("group:Ops", 9, &v));
	bs_field_put_subject(&v, back);
	ck_assert_str_eq(back, "group:Ops");
	ck_assert_ptr_nonnull(bs_field_subject("", 0, &v));
	ck_assert_ptr_nonnull(bs_field_subject("key:00", 6, &v));
	ck_assert_ptr_nonnull(bs_field_subject("group:", 6, &v));
	ck_assert_ptr_nonnull(bs_field_subject("group:a b", 9, &v));
}
END_TEST

START_TEST(test_object)
{
	static const struct {
		const char *text;
		enum bs_field_what what;
	} rows[] = {
		{ "*", BS_OBJECT_ANY },         { "cam-1", BS_OBJECT_DEVICE },
		{ "cam-*", BS_OBJECT_PATTERN }, { "cam-?", BS_OBJECT_PATTERN },
		{ "**", BS_OBJECT_PATTERN },    { "tag:lab", BS_OBJECT_TAG },
	};
	struct bs_field_object v;
	char back[BS_FIELD_CAP];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_ptr_null(bs_field_object(rows[i].text, strlen(rows[i].text), &v));
		ck_assert_int_eq(v.what, rows[i].what);
		bs_field_put_object(&v, back);
		ck_assert_str_eq(back, rows[i].text);
	}
	ck_assert_ptr_nonnull(bs_field_object("", 0, &v));
	ck_assert_ptr_nonnull(bs_field_object("Cam-*", 5, &v));
	ck_assert_ptr_nonnull(bs_field_object("tag:", 4, &v));
	ck_assert_ptr_nonnull(bs_field_object("a/b", 3, &v));
	ck_assert_ptr_nonnull(bs_field_pattern(
		"*1234567890123456789012345678901234567890123456789012345678901234", 65, out));
}
END_TEST

Suite *bs_suite_field(void)
{
	Suite *s = suite_create("field");
	TCase *tc = tcase_create("values");

	tcase_add_test(tc, test_device);
	tcase_add_test(tc, test_identity);
	tcase_add_test(tc, test_tag);
	tcase_add_test(tc, test_hex);
	tcase_add_test(tc, test_secret);
	tcase_add_test(tc, test_subject);
	tcase_add_test(tc, test_object);
	suite_add_tcase(s, tc);
	return s;
}
