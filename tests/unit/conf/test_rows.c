/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/rows.h"
#include "suites.h"

#define SECRET "00112233445566778899aabbccddeeff"
#define HEADER "id,secret,tags\n"

static char shown[8192];

/* What a file means: "line:id state tags secret;" per row, "place!reason;" per bad one. */
static const char *read_file(enum bs_rows_format format, const char *text, size_t step)
{
	struct bs_rows r;
	struct bs_row row;
	struct bs_ctl_error e;
	size_t len = strlen(text);
	size_t at = 0;
	size_t n = 0;
	bool ended = false;

	bs_rows_init(&r, format, "f");
	shown[0] = '\0';
	while (!ended) {
		size_t used = 0;
		enum bs_rows_step s;

		if (at < len) {
			s = bs_rows_feed(&r, text + at, len - at < step ? len - at : step, &used,
					 &row, &e);
			at += used;
		} else {
			s = bs_rows_end(&r, &row, &e);
			ended = true;
		}
		if (s == BS_ROWS_ROW)
			n += (size_t)snprintf(shown + n, sizeof(shown) - n, "%llu:%s%s%s%s%s%s;",
					      (unsigned long long)row.line, row.id,
					      row.state == BS_ROW_DISABLED ? " off" : "",
					      row.n_tags > 0 ? " " : "",
					      row.n_tags > 0 ? row.tag[0] : "",
					      row.has_secret ? " s" : "", row.legacy ? " l" : "");
		else if (s != BS_ROWS_MORE)
			n += (size_t)snprintf(shown + n, sizeof(shown) - n, "%s%s;", e.place,
					      s == BS_ROWS_STOP ? "!!" : "!");
		ended = ended || s == BS_ROWS_STOP;
		ck_assert_uint_lt(n, sizeof(shown));
	}
	bs_rows_fini(&r);
	return shown;
}

static const struct {
	enum bs_rows_format format;
	const char *text;
	const char *want;
} rows[] = {
	/* CSV without and with a header, in another order, with fewer columns. */
	{ BS_ROWS_GUESS, "a," SECRET "\nb," SECRET ",disabled,t1 t2\n", "1:a s;2:b off t1 s;" },
	{ BS_ROWS_GUESS, HEADER "a," SECRET ",\n", "2:a s;" },
	{ BS_ROWS_GUESS, "tags,id\nx;y,a\n,b\n", "2:a x;3:b;" },
	{ BS_ROWS_CSV, "id\na\nb\n", "2:a;3:b;" },
	{ BS_ROWS_GUESS, "id,legacy,created\na,yes,123\nb,no,\n", "2:a l;3:b;" },
	/* Bad rows are told with line and column, the others still come. */
	{ BS_ROWS_GUESS, HEADER "A," SECRET ",\nb," SECRET ",\n", "f:2: id!;3:b s;" },
	{ BS_ROWS_GUESS, HEADER "a,0011,\nb,,a/b\nc,,,,\n", "f:2: secret!;f:3: tags!;f:4!;" },
	{ BS_ROWS_GUESS, "id,state\na,on\n,enabled\n", "f:2: state!;f:3: id!;" },
	{ BS_ROWS_GUESS, "id,created\na,12x\nb,1234567890123\n", "f:2: created!;f:3: created!;" },
	{ BS_ROWS_GUESS, "id,legacy\na,maybe\n", "f:2: legacy!;" },
	{ BS_ROWS_GUESS, HEADER "a,\"x\ny\",\nb,,\n", "f:2: secret!;4:b;" },
	/* A wrong header spoils the file as a whole. */
	{ BS_ROWS_GUESS, "id,colour\na,red\n", "f:1!!;" },
	{ BS_ROWS_GUESS, "id,id\na,b\n", "f:1!!;" },
	{ BS_ROWS_GUESS, "id,\"x\"y\na,b\n", "f:1!!;" },
	/* JSON lines. */
	{ BS_ROWS_GUESS, "{\"id\":\"a\",\"secret\":\"" SECRET "\"}\n", "1:a s;" },
	{ BS_ROWS_GUESS, "  {\"id\":\"a\",\"tags\":[\"x\",\"y\"]}\n\n{\"id\":\"b\"}",
	  "1:a x;3:b;" },
	{ BS_ROWS_GUESS, "{\"id\":\"a\",\"tags\":\"x y\",\"legacy\":true,\"created\":5}\r\n",
	  "1:a x l;" },
	{ BS_ROWS_GUESS, "{\"id\":\"a\",\"secret\":null,\"state\":\"disabled\"}\n", "1:a off;" },
	{ BS_ROWS_JSON, "hello\n{\"id\":\"b\"}\n", "f:1!;2:b;" },
	{ BS_ROWS_JSON, "[1]\n", "f:1!;" },
	{ BS_ROWS_JSON, "{\"id\":1}\n{}\n{\"id\":null}\n", "f:1: id!;f:2: id!;f:3: id!;" },
	{ BS_ROWS_JSON, "{\"id\":\"a\",\"colour\":\"red\"}\n", "f:1: colour!;" },
	{ BS_ROWS_JSON, "{\"id\":\"a\",\"id\":\"b\"}\n", "f:1!;" },
	{ BS_ROWS_JSON, "{\"id\":\"a\",\"tags\":[[\"x\"]]}\n", "f:1!;" },
	{ BS_ROWS_JSON, "{\"id\":\"a\",\"tags\":[1]}\n{\"id\":\"a\",\"tags\":7}\n",
	  "f:1: tags!;f:2: tags!;" },
	{ BS_ROWS_JSON, "{\"id\":\"a\",\"created\":-1}\n", "f:1: created!;" },
	{ BS_ROWS_GUESS, "", "" },
	{ BS_ROWS_GUESS, "\n\n", "" },
};

START_TEST(test_files)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t step = 1; step < 200; step = step * 2 + 1) {
			const char *got = read_file(rows[i].format, rows[i].text, step);

			ck_assert_msg(strcmp(got, rows[i].want) == 0, "row %zu step %zu: %s", i,
				      step, got);
		}
	}
}
END_TEST

START_TEST(test_long_json)
{
	static char text[20000];

	memset(text, 'x', sizeof(text) - 1);
	text[0] = '{';
	ck_assert_str_eq(read_file(BS_ROWS_GUESS, text, 1000), "f:1!!;");
}
END_TEST

static void fill(struct bs_row *row)
{
	memset(row, 0, sizeof(*row));
	memcpy(row->id, "cam-1", 6);
	row->has_secret = true;
	for (size_t i = 0; i < BS_PSK_LEN; i++)
		row->secret[i] = (uint8_t)(i * 0x11);
	row->state = BS_ROW_DISABLED;
	row->legacy = true;
	row->created = 1700000000;
	row->n_tags = BS_FIELD_TAGS_MAX;
	for (size_t i = 0; i < BS_FIELD_TAGS_MAX; i++) {
		memset(row->tag[i], 'a' + (int)i, BS_FIELD_TAG_MAX);
		row->tag[i][BS_FIELD_TAG_MAX] = '\0';
	}
}

START_TEST(test_wire)
{
	struct bs_row row;
	struct bs_row back;
	struct bs_ctl_error e;
	json_t *j;

	fill(&row);
	row.line = 77;
	j = bs_row_to_wire(&row);
	ck_assert_int_eq(bs_row_from_wire(j, &back, &e), BS_OK);
	ck_assert_mem_eq(&row, &back, sizeof(row));
	json_decref(j);
	bs_row_wipe(&back);
	ck_assert(!back.has_secret);
	for (size_t i = 0; i < BS_PSK_LEN; i++)
		ck_assert_uint_eq(back.secret[i], 0);
}
END_TEST

START_TEST(test_wire_bad)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"[1,\"a\",\"\",1,0,0]",
		"[1,\"a\",\"\",1,0,0,[],1]",
		"[-1,\"a\",\"\",1,0,0,[]]",
		"[1,\"a\",\"\",3,0,0,[]]",
		"[1,\"a\",\"\",1,2,0,[]]",
		"[1,\"a\",\"\",1,0,-1,[]]",
		"[1,\"A\",\"\",1,0,0,[]]",
		"[1,\"a\",\"00\",1,0,0,[]]",
		"[1,\"a\",\"\",1,0,0,[\"a b\"]]",
		"[1,\"a\",\"\",1,0,0,{}]",
		"[1,\"\",\"\",1,0,0,[]]",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *j = json_loads(bad[i], 0, NULL);
		struct bs_row row;
		struct bs_ctl_error e;

		ck_assert_ptr_nonnull(j);
		ck_assert_msg(bs_row_from_wire(j, &row, &e) == BS_ECONF, "%s", bad[i]);
		json_decref(j);
	}
}
END_TEST

/* What is exported imports again, in either form, with and without secrets. */
START_TEST(test_round_trip)
{
	for (int i = 0; i < 4; i++) {
		bool secrets = i & 1;
		bool json = i & 2;
		char text[2 * BS_ROW_TEXT_MAX] = "";
		struct bs_rows r;
		struct bs_row row;
		struct bs_row back;
		struct bs_ctl_error e;
		enum bs_rows_step s;
		size_t used = 0;
		size_t len = 0;

		fill(&row);
		if (!json)
			len = (size_t)snprintf(text, sizeof(text), "%s",
					       bs_row_csv_header(secrets));
		len += json ? bs_row_put_json(&row, secrets, text + len)
			    : bs_row_put_csv(&row, secrets, text + len);
		ck_assert_uint_lt(len, sizeof(text));
		if (!secrets)
			ck_assert_ptr_null(strstr(text, SECRET));
		bs_rows_init(&r, BS_ROWS_GUESS, "f");
		s = bs_rows_feed(&r, text, len, &used, &back, &e);
		ck_assert_msg(s == BS_ROWS_ROW, "%d: %s", i, text);
		bs_rows_fini(&r);
		row.line = back.line;
		if (!secrets)
			bs_row_wipe(&row);
		ck_assert_mem_eq(&row, &back, sizeof(row));
	}
}
END_TEST

Suite *bs_suite_rows(void)
{
	Suite *s = suite_create("rows");
	TCase *tc = tcase_create("rows");

	tcase_add_test(tc, test_files);
	tcase_add_test(tc, test_long_json);
	tcase_add_test(tc, test_wire);
	tcase_add_test(tc, test_wire_bad);
	tcase_add_test(tc, test_round_trip);
	suite_add_tcase(s, tc);
	return s;
}
