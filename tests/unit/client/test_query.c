/* SPDX-License-Identifier: Apache-2.0 */
/* Requests from arguments and answers back to values: rows, edges, and random round trips. */
#include <inttypes.h>
#include <stdio.h>

#include "interface.h"
#include "rig.h"

Suite *bs_suite_query(void);

#define FILE_TEXT                                                                                  \
 "<unabto_queries>"                                                                                \
 "<query name='all' id='0x01020304'><request>"                                                     \
 "<parameter name='u8' type='uint8'/><parameter name='u16' type='uint16'/>"                        \
 "<parameter name='u32' type='uint32'/><parameter name='i8' type='int8'/>"                         \
 "<parameter name='i16' type='int16'/><parameter name='i32' type='int32'/>"                        \
 "<parameter name='raw' type='raw'/>"                                                              \
 "<parameter name='hex' type='raw' representation='hex'/></request>"                               \
 "<response><parameter name='u8' type='uint8'/><parameter name='u16' type='uint16'/>"              \
 "<parameter name='u32' type='uint32'/><parameter name='i8' type='int8'/>"                         \
 "<parameter name='i16' type='int16'/><parameter name='i32' type='int32'/>"                        \
 "<parameter name='raw' type='raw'/>"                                                              \
 "<parameter name='hex' type='raw' representation='hex'/></response></query>"                      \
 "<query name='none' id='7'/>"                                                                     \
 "<query name='list' id='8'><response><parameter name='n' type='uint8'/>"                          \
 "<list name='rows'><parameter name='a' type='int8'/><parameter name='t' type='raw'/></list>"      \
 "<parameter name='z' type='uint16'/></response></query>"                                          \
 "</unabto_queries>"

static struct bsc_interface *file;

static void setup(void)
{
	ck_assert_int_eq(bsc_interface_parse(FILE_TEXT, strlen(FILE_TEXT), "t", &file, NULL),
			 BS_OK);
}

static void teardown(void)
{
	bsc_interface_free(file);
}

static const struct bsc_query *query(const char *name)
{
	return bsc_interface_find(file, name);
}

/** A full set of arguments; tests change one. */
static void defaults(struct bsc_arg args[8])
{
	static const char *const names[] = { "u8", "u16", "u32", "i8", "i16", "i32", "raw", "hex" };

	for (int k = 0; k < 8; k++)
		args[k] = (struct bsc_arg){ names[k], k == 6 ? "text" : "00" };
}

static int encode(const struct bsc_arg *args, size_t n, uint8_t *buf, size_t *len,
		  struct bsc_error *e)
{
	return bsc_query_encode(query("all"), args, n, buf, 200, len, e);
}

START_TEST(encodes_every_type)
{
	static const uint8_t want[] = { 1,    2,    3,    4,    0xff, 0x12, 0x34, 0xde, 0xad,
					0xbe, 0xef, 0x80, 0xff, 0xfe, 0x80, 0,    0,    0,
					0,    2,    'h',  'i',  0,    3,    0xab, 0xcd, 0xef };
	const struct bsc_arg args[] = {
		{ "hex", "abCDef" }, { "raw", "hi" },  { "i32", "-2147483648" },
		{ "i16", "-2" },     { "i8", "-128" }, { "u32", "0xdeadbeef" },
		{ "u16", "0x1234" }, { "u8", "255" },
	};
	uint8_t buf[200];
	size_t len = 0;

	ck_assert_int_eq(encode(args, 8, buf, &len, NULL), BS_OK);
	ck_assert_uint_eq(len, sizeof want);
	ck_assert_mem_eq(buf, want, sizeof want);
	ck_assert_int_eq(bsc_query_encode(query("none"), NULL, 0, buf, 4, &len, NULL), BS_OK);
	ck_assert_uint_eq(len, 4);
}
END_TEST

static const struct {
	int arg;
	const char *value;
	bool ok;
} values[] = {
	{ 0, "0", true },
	{ 0, "255", true },
	{ 0, "256", false },
	{ 0, "-1", false },
	{ 0, "-0", true },
	{ 0, "0xff", true },
	{ 0, "", false },
	{ 0, "abc", false },
	{ 0, "1.5", false },
	{ 0, " 1", false },
	{ 1, "65535", true },
	{ 1, "65536", false },
	{ 2, "4294967295", true },
	{ 2, "4294967296", false },
	{ 2, "0x1ffffffff", false },
	{ 3, "127", true },
	{ 3, "128", false },
	{ 3, "-128", true },
	{ 3, "-129", false },
	{ 3, "0x80", false },
	{ 3, "-0x80", true },
	{ 4, "32767", true },
	{ 4, "32768", false },
	{ 4, "-32768", true },
	{ 4, "-32769", false },
	{ 5, "2147483647", true },
	{ 5, "2147483648", false },
	{ 5, "-2147483648", true },
	{ 5, "-2147483649", false },
	{ 5, "--1", false },
	{ 5, "-", false },
	{ 6, "", true },
	{ 6, "=&\xc3\xa9", true },
	{ 7, "", true },
	{ 7, "a", false },
	{ 7, "0g", false },
	{ 7, "0x12", false },
	{ 7, "00 11", false },
	{ 7, "00ff", true },
};

START_TEST(ranges_are_checked)
{
	struct bsc_arg args[8];
	struct bsc_error e = { 0 };
	uint8_t buf[200];
	size_t len = 99;
	int rc;

	defaults(args);
	args[values[_i].arg].value = values[_i].value;
	rc = encode(args, 8, buf, &len, &e);
	ck_assert_msg(rc == (values[_i].ok ? BS_OK : BS_EINVAL), "%s=\"%s\": %s",
		      args[values[_i].arg].name, values[_i].value, e.text);
	if (!values[_i].ok) {
		ck_assert_uint_eq(len, 99);
		ck_assert_uint_eq(e.code, BSC_QUERY);
		ck_assert_ptr_nonnull(strstr(e.text, args[values[_i].arg].name));
	}
}
END_TEST

START_TEST(arguments_must_match_the_query)
{
	struct bsc_arg args[9];
	struct bsc_error e;
	uint8_t buf[200];
	size_t len;

	defaults(args);
	ck_assert_int_eq(encode(args, 7, buf, &len, &e), BS_EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "needs an argument hex"));
	args[8] = (struct bsc_arg){ "u8", "1" };
	ck_assert_int_eq(encode(args, 9, buf, &len, &e), BS_EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "u8 is given twice"));
	args[8] = (struct bsc_arg){ "u9", "1" };
	ck_assert_int_eq(encode(args, 9, buf, &len, &e), BS_EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "no argument \"u9\""));
	ck_assert_int_eq(bsc_query_encode(query("none"), args, 1, buf, 200, &len, &e), BS_EINVAL);
	ck_assert_int_eq(encode(NULL, 0, buf, &len, &e), BS_EINVAL);
}
END_TEST

START_TEST(a_request_that_does_not_fit_is_refused)
{
	struct bsc_arg args[8];
	struct bsc_error e;
	char text[201];
	uint8_t buf[200];
	size_t len;

	defaults(args);
	memset(text, 'x', sizeof text);
	text[200] = '\0';
	args[6].value = text;
	ck_assert_int_eq(encode(args, 8, buf, &len, &e), BS_ETOOBIG);
	/* 4 id, 14 numbers, 2 + n text, 2 + 1 hex */
	text[200 - 23] = '\0';
	ck_assert_int_eq(encode(args, 8, buf, &len, &e), BS_OK);
	ck_assert_uint_eq(len, 200);
	text[200 - 23] = 'x';
	text[200 - 22] = '\0';
	ck_assert_int_eq(encode(args, 8, buf, &len, &e), BS_ETOOBIG);
	ck_assert_int_eq(bsc_query_encode(query("none"), NULL, 0, buf, 3, &len, &e), BS_ETOOBIG);
}
END_TEST

/** Writes an answer down as text. */
static int write_down(void *arg, const struct bsc_field *f)
{
	char *out = arg;
	size_t at = strlen(out);

	switch (f->kind) {
	case BSC_FIELD_NUMBER:
		(void)snprintf(out + at, 400 - at, "%s=%" PRId64 " ", f->name, f->number);
		break;
	case BSC_FIELD_RAW:
		(void)snprintf(out + at, 400 - at, "%s=%s%.*s ", f->name, f->hex ? "#" : "",
			       (int)f->len, (const char *)f->data);
		break;
	case BSC_FIELD_LIST_BEGIN:
		(void)snprintf(out + at, 400 - at, "%s[%u ", f->name, f->n);
		break;
	case BSC_FIELD_ROW_BEGIN: (void)snprintf(out + at, 400 - at, "( "); break;
	case BSC_FIELD_ROW_END: (void)snprintf(out + at, 400 - at, ") "); break;
	case BSC_FIELD_LIST_END: (void)snprintf(out + at, 400 - at, "] "); break;
	}
	return BS_OK;
}

START_TEST(decodes_every_type)
{
	static const uint8_t all[] = { 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff,
				       0x80, 0x80, 0,    0xff, 0xff, 0xff, 0xff,
				       0,    2,    'h',  'i',  0,    1,    'x' };
	char out[400] = "";

	ck_assert_int_eq(bsc_query_decode(query("all"), all, sizeof all, write_down, out, NULL),
			 BS_OK);
	ck_assert_str_eq(out, "u8=255 u16=65534 u32=4294967295 i8=-128 i16=-32768 i32=-1 raw=hi "
			      "hex=#x ");
}
END_TEST

START_TEST(decodes_lists)
{
	static const uint8_t two[] = { 9, 0, 2, 0xff, 0, 1, 'a', 5, 0, 0, 1, 2 };
	static const uint8_t none[] = { 9, 0, 0, 1, 2 };
	char out[400] = "";

	ck_assert_int_eq(bsc_query_decode(query("list"), two, sizeof two, write_down, out, NULL),
			 BS_OK);
	ck_assert_str_eq(out, "n=9 rows[2 ( a=-1 t=a ) ( a=5 t= ) ] z=258 ");
	out[0] = '\0';
	ck_assert_int_eq(bsc_query_decode(query("list"), none, sizeof none, write_down, out, NULL),
			 BS_OK);
	ck_assert_str_eq(out, "n=9 rows[0 ] z=258 ");
	ck_assert_int_eq(bsc_query_decode(query("none"), NULL, 0, write_down, out, NULL), BS_OK);
}
END_TEST

START_TEST(cut_and_long_answers_tell_nothing)
{
	static const uint8_t two[] = { 9, 0, 2, 0xff, 0, 1, 'a', 5, 0, 0, 1, 2, 77 };
	static const uint8_t many[] = { 9, 0xff, 0xff, 1, 0, 0 };
	struct bsc_error e;
	char out[400] = "";

	for (size_t len = 0; len <= sizeof two; len++) {
		int rc = bsc_query_decode(query("list"), two, len, write_down, out, &e);

		if (len == sizeof two - 1) {
			ck_assert_int_eq(rc, BS_OK);
			out[0] = '\0';
		} else {
			ck_assert_int_eq(rc, BS_EPROTO);
			ck_assert_str_eq(out, "");
			ck_assert_uint_eq(e.code, BSC_QUERY);
		}
	}
	ck_assert_int_eq(bsc_query_decode(query("list"), many, sizeof many, write_down, out, &e),
			 BS_EPROTO);
	ck_assert_int_eq(bsc_query_decode(query("none"), many, 1, write_down, out, &e), BS_EPROTO);
}
END_TEST

static int stop_at_second(void *arg, const struct bsc_field *f)
{
	int *n = arg;

	(void)f;
	return ++*n == 2 ? BS_EDRAIN : BS_OK;
}

START_TEST(the_callback_can_stop)
{
	static const uint8_t two[] = { 9, 0, 2, 0xff, 0, 1, 'a', 5, 0, 0, 1, 2 };
	int n = 0;

	ck_assert_int_eq(bsc_query_decode(query("list"), two, sizeof two, stop_at_second, &n, NULL),
			 BS_EDRAIN);
	ck_assert_int_eq(n, 2);
}
END_TEST

/** Six numbers as they come back. */
static int collect(void *arg, const struct bsc_field *f)
{
	int64_t **next = arg;

	if (f->kind == BSC_FIELD_NUMBER)
		*(*next)++ = f->number;
	return BS_OK;
}

START_TEST(random_values_survive_the_round_trip)
{
	static const int64_t low[] = { 0, 0, 0, INT8_MIN, INT16_MIN, INT32_MIN };
	static const int64_t span[] = { 256, 65536, 4294967296, 256, 65536, 4294967296 };
	uint64_t seed = 0x9e3779b97f4a7c15u;

	for (int round = 0; round < 2000; round++) {
		char text[6][24];
		int64_t in[6];
		int64_t out[6];
		int64_t *next = out;
		struct bsc_arg args[8];
		uint8_t buf[200];
		size_t len = 0;

		defaults(args);
		for (int k = 0; k < 6; k++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			in[k] = low[k] + (int64_t)((seed >> 16) % (uint64_t)span[k]);
			(void)snprintf(text[k], sizeof text[k], "%s%s%" PRIx64,
				       in[k] < 0 ? "-" : "", "0x",
				       (uint64_t)(in[k] < 0 ? -in[k] : in[k]));
			if (round % 2 == 0)
				(void)snprintf(text[k], sizeof text[k], "%" PRId64, in[k]);
			args[k].value = text[k];
		}
		ck_assert_int_eq(encode(args, 8, buf, &len, NULL), BS_OK);
		ck_assert_int_eq(
			bsc_query_decode(query("all"), buf + 4, len - 4, collect, &next, NULL),
			BS_OK);
		ck_assert_mem_eq(in, out, sizeof in);
	}
}
END_TEST

Suite *bs_suite_query(void)
{
	Suite *s = suite_create("client query");
	TCase *t = tcase_create("query");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, encodes_every_type);
	tcase_add_loop_test(t, ranges_are_checked, 0, (int)LEN(values));
	tcase_add_test(t, arguments_must_match_the_query);
	tcase_add_test(t, a_request_that_does_not_fit_is_refused);
	tcase_add_test(t, decodes_every_type);
	tcase_add_test(t, decodes_lists);
	tcase_add_test(t, cut_and_long_answers_tell_nothing);
	tcase_add_test(t, the_callback_can_stop);
	tcase_add_test(t, random_values_survive_the_round_trip);
	suite_add_tcase(s, t);
	return s;
}
