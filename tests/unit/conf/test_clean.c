/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/clean.h"

#include <string.h>

#include "suites.h"

START_TEST(blanks_comments)
{
	static const struct {
		const char *before;
		const char *after;
	} rows[] = {
		{ "a = 1\n", "a = 1\n" },
		{ "# c\na\n", "   \na\n" },
		{ "#\n#\n", " \n \n" },
		{ "a = \"#\" # c\n", "a = \"#\"    \n" },
		{ "a\r\nb\r\n", "a \nb \n" },
		{ "a = 20/s\n", "a = 20/s\n" },
		{ "a = /b/c\n", "a = /b/c\n" },
		{ "a += 1\n", "a += 1\n" },
		{ "a = \"\\\"\\\\\\$\"\n", "a = \"\\\"\\\\\\$\"\n" },
		{ "# \"open\n", "       \n" },
		{ "", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[64];
		char why[200] = "";
		int line;

		memcpy(text, rows[i].before, strlen(rows[i].before) + 1);
		ck_assert_msg(bs_conf_clean(text, strlen(text), &line, why, sizeof(why)) == BS_OK,
			      "%zu: %s", i, why);
		ck_assert_str_eq(text, rows[i].after);
	}
}
END_TEST

START_TEST(refuses_what_the_lexer_would_swallow)
{
	static const struct {
		const char *text;
		size_t len; /* 0: its own */
		int line;
		const char *why;
	} rows[] = {
		{ "a = \"x\nb = 1\n", 0, 1,
		  "the string does not end on its line; close it with a double quote" },
		{ "a = \"x", 0, 1,
		  "the string does not end on its line; close it with a double quote" },
		{ "\n\na = 'x'\n", 0, 3, "single quote; put strings in double quotes" },
		{ "// c\n", 0, 1, "comments begin with #" },
		{ "a = 1 /* c */\n", 0, 1, "comments begin with #" },
		{ "a = 1;\n", 0, 1, "\";\" is not needed here; a line ends the value" },
		{ "a = ${HOME}\n", 0, 1, "unexpected \"$\"; put the value in double quotes" },
		{ "a = \"${HOME}\"\n", 0, 1,
		  "\"${\" in a string: variables are not replaced here; write \"\\${\" for the "
		  "two characters" },
		{ "a = \"\\x41\"\n", 0, 1,
		  "backslash in a string; write \"\\\\\" for a backslash" },
		{ "a = \"\\", 0, 1, "backslash in a string; write \"\\\\\" for a backslash" },
		{ "a = \"\t\"\n", 0, 1, "control character in a string" },
		{ "a + 1\n", 0, 1, "unexpected \"+\"; put the value in double quotes" },
		{ "a = x@y\n", 0, 1, "unexpected \"@\"; put the value in double quotes" },
		{ "a\0b\n", 4, 1, "unexpected byte 0x00 outside of a string" },
		{ "\n\xc3\xa4 = 1\n", 0, 2, "unexpected byte 0xc3 outside of a string" },
		{ "a\rb\n", 0, 1, "unexpected byte 0x0d outside of a string" },
		{ "\xef\xbb\xbf"
		  "a = 1\n",
		  0, 1, "unexpected byte 0xef outside of a string" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = rows[i].len != 0 ? rows[i].len : strlen(rows[i].text);
		char text[64];
		char why[200] = "";
		int line = 0;

		memcpy(text, rows[i].text, len);
		ck_assert_int_eq(bs_conf_clean(text, len, &line, why, sizeof(why)), BS_ECONF);
		ck_assert_str_eq(why, rows[i].why);
		ck_assert_int_eq(line, rows[i].line);
	}
}
END_TEST

Suite *bs_suite_clean(void)
{
	Suite *s = suite_create("clean");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, blanks_comments);
	tcase_add_test(tc, refuses_what_the_lexer_would_swallow);
	suite_add_tcase(s, tc);
	return s;
}
