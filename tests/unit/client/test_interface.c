/* SPDX-License-Identifier: Apache-2.0 */
/* Query interface files: good ones, and a table of bad ones with the line each is blamed on. */
#include <stdio.h>

#include "interface.h"
#include "rig.h"

Suite *bs_suite_interface(void);

static const char weather[] =
	"<?xml version=\"1.0\"?>\n"
	"<!-- a comment is fine -->\n"
	"<unabto_queries>\n"
	"  <query name=\"get.json\" id=\"1\" description=\"read\">\n"
	"    <request>\n"
	"      <parameter name=\"sensor\" type=\"uint8\"/>\n"
	"      <parameter name=\"key\" type=\"raw\" representation=\"hex\"/>\n"
	"    </request>\n"
	"    <response format=\"json\">\n"
	"      <parameter name=\"value\" type=\"int16\"/>\n"
	"      <list name=\"log\">\n"
	"        <parameter name=\"at\" type=\"uint32\"/>\n"
	"        <parameter name=\"value\" type=\"int16\"/>\n"
	"      </list>\n"
	"      <parameter name=\"at\" type=\"uint32\"/>\n"
	"    </response>\n"
	"  </query>\n"
	"  <query name=\"get\" id=\"0x10\"/>\n"
	"  <query name=\"empty.json\" id=\"4294967295\"><request/><response/></query>\n"
	"</unabto_queries>\n";

static int parse(const char *text, struct bsc_interface **i, struct bsc_error *e)
{
	return bsc_interface_parse(text, strlen(text), "f.xml", i, e);
}

START_TEST(a_good_file)
{
	struct bsc_interface *i;
	struct bsc_error e = { 0 };
	const struct bsc_query *q;

	ck_assert_msg(parse(weather, &i, &e) == BS_OK, "%s", e.text);
	ck_assert_uint_eq(bsc_interface_count(i), 3);
	q = bsc_interface_get(i, 0);
	ck_assert_str_eq(bsc_query_get_name(q), "get.json");
	ck_assert_uint_eq(bsc_query_get_id(q), 1);
	ck_assert_str_eq(bsc_query_get_param(q, 0)->name, "sensor");
	ck_assert_int_eq(bsc_query_get_param(q, 0)->type, BSC_UINT8);
	ck_assert(!bsc_query_get_param(q, 0)->hex);
	ck_assert(bsc_query_get_param(q, 1)->hex);
	ck_assert_ptr_null(bsc_query_get_param(q, 2));
	ck_assert_uint_eq(q->response.n, 5);
	ck_assert(q->response.v[1].is_list);
	ck_assert_uint_eq(q->response.v[1].n_children, 2);
	ck_assert_uint_eq(bsc_query_get_id(bsc_interface_get(i, 1)), 16);
	ck_assert_uint_eq(bsc_query_get_id(bsc_interface_get(i, 2)), UINT32_MAX);
	ck_assert_ptr_null(bsc_interface_get(i, 3));
	bsc_interface_free(i);
	bsc_interface_free(NULL);
}
END_TEST

START_TEST(names_are_found_with_and_without_ending)
{
	struct bsc_interface *i;

	ck_assert_int_eq(parse(weather, &i, NULL), BS_OK);
	/* The exact name goes before the one with the ending, wherever it stands. */
	ck_assert_ptr_eq(bsc_interface_find(i, "get"), bsc_interface_get(i, 1));
	ck_assert_ptr_eq(bsc_interface_find(i, "get.json"), bsc_interface_get(i, 0));
	ck_assert_ptr_eq(bsc_interface_find(i, "empty"), bsc_interface_get(i, 2));
	ck_assert_ptr_null(bsc_interface_find(i, "ge"));
	ck_assert_ptr_null(bsc_interface_find(i, "get.jso"));
	ck_assert_ptr_null(bsc_interface_find(i, ""));
	bsc_interface_free(i);
}
END_TEST

#define Q(body)    "<unabto_queries>\n<query name='q' id='1'>\n" body "\n</query></unabto_queries>"
#define REQ(body)  Q("<request>\n" body "\n</request>")
#define RESP(body) Q("<response>\n" body "\n</response>")

static const struct {
	const char *text;
	unsigned line;
	const char *says;
} bad[] = {
	{ "", 1, "no element found" },
	{ "hello", 1, "not well-formed" },
	{ "<unabto_queries>", 1, "no element found" },
	{ "<unabto_queries></queries>", 1, "mismatched tag" },
	{ "<queries/>", 1, "no query interface" },
	{ "<unabto_queries>\n<qurey/></unabto_queries>", 2, "<qurey> is not known" },
	{ "<unabto_queries>\n\nhello</unabto_queries>", 3, "text between" },
	{ "<!DOCTYPE x [<!ENTITY a 'b'>]>\n<unabto_queries/>", 1, "document type" },
	{ "<!DOCTYPE unabto_queries SYSTEM 'http://x/y'><unabto_queries/>", 1, "document type" },
	{ "<unabto_queries>\n&a;</unabto_queries>", 2, "undefined entity" },
	{ "<unabto_queries>\n<query id='1'/></unabto_queries>", 2, "needs a name" },
	{ "<unabto_queries>\n<query name='' id='1'/></unabto_queries>", 2, "needs a name" },
	{ "<unabto_queries>\n<query name='a&#10;b' id='1'/></unabto_queries>", 2, "control" },
	{ "<unabto_queries>\n<query name='q'/></unabto_queries>", 2, "needs an id" },
	{ "<unabto_queries>\n<query name='q' id=''/></unabto_queries>", 2, "needs an id" },
	{ "<unabto_queries>\n<query name='q' id='-1'/></unabto_queries>", 2, "needs an id" },
	{ "<unabto_queries>\n<query name='q' id='1x'/></unabto_queries>", 2, "needs an id" },
	{ "<unabto_queries>\n<query name='q' id='0x'/></unabto_queries>", 2, "needs an id" },
	{ "<unabto_queries>\n<query name='q' id='4294967296'/></unabto_queries>", 2, "an id" },
	{ "<unabto_queries>\n<query name='q' id='99999999999999999999'/></unabto_queries>", 2,
	  "an id" },
	{ "<unabto_queries><query name='q' id='1'/>\n<query name='q' id='2'/></unabto_queries>", 2,
	  "\"q\" already" },
	{ Q("<parameter name='a' type='raw'/>"), 3, "<parameter> is not known" },
	{ Q("<request/>\n<request/>"), 4, "second <request>" },
	{ Q("<response/>\n<response/>"), 4, "second <response>" },
	{ Q("<response format='xml'/>"), 3, "format=\"xml\"" },
	{ REQ("<parameter type='raw'/>"), 4, "needs a name" },
	{ REQ("<parameter name='a'/>"), 4, "type of a" },
	{ REQ("<parameter name='a' type='uint64'/>"), 4, "type of a" },
	{ REQ("<parameter name='a' type='Raw'/>"), 4, "type of a" },
	{ REQ("<parameter name='a' type='uint8' representation='hex'/>"), 4, "representation" },
	{ REQ("<parameter name='a' type='raw' representation='base64'/>"), 4, "representation" },
	{ REQ("<parameter name='a' type='raw'/>\n<parameter name='a' type='int8'/>"), 5,
	  "\"a\" already" },
	{ REQ("<list name='l'/>"), 4, "<list> is not known" },
	{ REQ("<parameter name='a' type='raw'><x/></parameter>"), 4, "<x> is not known" },
	{ RESP("<list/>"), 4, "needs a name" },
	{ RESP("<list name='l'/>"), 4, "has no parameter" },
	{ RESP("<list name='l'>\n</list>"), 5, "has no parameter" },
	{ RESP("<list name='l'><list name='m'/></list>"), 4, "<list> is not known" },
	{ RESP("<list name='l'><parameter name='a' type='raw'/>\n<parameter name='a' type='raw'/>"
	       "</list>"),
	  5, "\"a\" already" },
	{ RESP("<parameter name='l' type='raw'/>\n<list name='l'><parameter name='a' type='raw'/>"
	       "</list>"),
	  5, "\"l\" already" },
	{ RESP("<list name='l'><parameter name='a' type='raw'/></list>\n"
	       "<parameter name='l' type='raw'/>"),
	  5, "\"l\" already" },
};

START_TEST(bad_files_name_line_and_reason)
{
	struct bsc_interface *untouched = (struct bsc_interface *)&weather;
	struct bsc_interface *i = untouched;
	struct bsc_error e = { 0 };
	char place[32];

	ck_assert_msg(parse(bad[_i].text, &i, &e) == BS_ECONF, "row %d was taken", _i);
	ck_assert_ptr_eq(i, untouched);
	ck_assert_uint_eq(e.code, BSC_USAGE);
	(void)snprintf(place, sizeof place, "f.xml:%u: ", bad[_i].line);
	ck_assert_msg(strncmp(e.text, place, strlen(place)) == 0, "row %d: \"%s\", expected %s", _i,
		      e.text, place);
	ck_assert_msg(strstr(e.text, bad[_i].says) != NULL, "row %d: \"%s\" lacks \"%s\"", _i,
		      e.text, bad[_i].says);
}
END_TEST

/** head, then n times a numbered piece, then tail. */
static char *repeat(const char *head, const char *piece, int n, const char *tail)
{
	size_t cap = strlen(head) + strlen(tail) + (size_t)n * (strlen(piece) + 12) + 1;
	char *text = malloc(cap);
	size_t at = 0;

	ck_assert_ptr_nonnull(text);
	at += (size_t)snprintf(text, cap, "%s", head);
	for (int k = 0; k < n; k++) {
		const char *hash = strchr(piece, '#');

		at += (size_t)snprintf(text + at, cap - at, "%.*s%d%s", (int)(hash - piece), piece,
				       k, hash + 1);
	}
	(void)snprintf(text + at, cap - at, "%s", tail);
	return text;
}

START_TEST(limits_hold_at_the_edge)
{
	static const char query[] = "<query name='q#' id='1'/>";
	static const char param[] = "<parameter name='p#' type='raw'/>";
	struct bsc_interface *i;
	struct bsc_error e;
	char *text = repeat("<unabto_queries>", query, BSC__QUERIES_MAX, "</unabto_queries>");

	ck_assert_int_eq(parse(text, &i, NULL), BS_OK);
	bsc_interface_free(i);
	free(text);
	text = repeat("<unabto_queries>", query, BSC__QUERIES_MAX + 1, "</unabto_queries>");
	ck_assert_int_eq(parse(text, &i, &e), BS_ECONF);
	ck_assert_ptr_nonnull(strstr(e.text, "more than"));
	free(text);
	text = repeat("<unabto_queries><query name='q' id='1'><request>", param, BSC__ITEMS_MAX,
		      "</request></query></unabto_queries>");
	ck_assert_int_eq(parse(text, &i, NULL), BS_OK);
	bsc_interface_free(i);
	free(text);
	text = repeat("<unabto_queries><query name='q' id='1'><request>", param, BSC__ITEMS_MAX + 1,
		      "</request></query></unabto_queries>");
	ck_assert_int_eq(parse(text, &i, &e), BS_ECONF);
	free(text);
}
END_TEST

START_TEST(long_names_and_files_are_refused)
{
	char name[BSC__NAME_MAX + 2];
	char text[512];
	struct bsc_interface *i;
	struct bsc_error e;
	char *big;

	memset(name, 'n', sizeof name);
	for (size_t len = BSC__NAME_MAX; len <= BSC__NAME_MAX + 1; len++) {
		(void)snprintf(text, sizeof text,
			       "<unabto_queries><query name='%.*s' id='1'/></unabto_queries>",
			       (int)len, name);
		ck_assert_int_eq(parse(text, &i, &e), len == BSC__NAME_MAX ? BS_OK : BS_ECONF);
		if (len == BSC__NAME_MAX)
			bsc_interface_free(i);
	}
	big = malloc(BSC__INTERFACE_MAX + 1);
	ck_assert_ptr_nonnull(big);
	memset(big, ' ', BSC__INTERFACE_MAX + 1);
	ck_assert_int_eq(bsc_interface_parse(big, BSC__INTERFACE_MAX + 1, NULL, &i, &e), BS_ECONF);
	ck_assert_ptr_nonnull(strstr(e.text, "4 MiB"));
	free(big);
}
END_TEST

START_TEST(every_cut_of_a_good_file_is_refused)
{
	struct bsc_interface *i;
	size_t whole = strlen(weather) - 1; /* the last newline is not needed */

	for (size_t len = 0; len < whole; len++)
		ck_assert_int_eq(bsc_interface_parse(weather, len, "cut", &i, NULL), BS_ECONF);
	ck_assert_int_eq(bsc_interface_parse(weather, whole, "cut", &i, NULL), BS_OK);
	bsc_interface_free(i);
}
END_TEST

START_TEST(numbers)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool ok;
		uint64_t v;
	} rows[] = {
		{ "0", 255, true, 0 },
		{ "255", 255, true, 255 },
		{ "256", 255, false, 0 },
		{ "0xff", 255, true, 255 },
		{ "0XfF", 255, true, 255 },
		{ "0x100", 255, false, 0 },
		{ "007", 255, true, 7 },
		{ "", 255, false, 0 },
		{ "0x", 255, false, 0 },
		{ "+1", 255, false, 0 },
		{ " 1", 255, false, 0 },
		{ "1 ", 255, false, 0 },
		{ "1e2", 255, false, 0 },
		{ "4294967295", UINT32_MAX, true, UINT32_MAX },
		{ "4294967296", UINT32_MAX, false, 0 },
		{ "99999999999999999999999999", UINT32_MAX, false, 0 },
	};

	for (size_t k = 0; k < LEN(rows); k++) {
		uint64_t v = 12345;

		ck_assert_msg(bsc__parse_unsigned(rows[k].text, rows[k].max, &v) == rows[k].ok,
			      "\"%s\"", rows[k].text);
		ck_assert_uint_eq(v, rows[k].ok ? rows[k].v : 12345);
	}
}
END_TEST

Suite *bs_suite_interface(void)
{
	Suite *s = suite_create("client interface");
	TCase *t = tcase_create("interface");

	tcase_add_test(t, a_good_file);
	tcase_add_test(t, names_are_found_with_and_without_ending);
	tcase_add_loop_test(t, bad_files_name_line_and_reason, 0, (int)LEN(bad));
	tcase_add_test(t, limits_hold_at_the_edge);
	tcase_add_test(t, long_names_and_files_are_refused);
	tcase_add_test(t, every_cut_of_a_good_file_is_refused);
	tcase_add_test(t, numbers);
	suite_add_tcase(s, t);
	return s;
}
