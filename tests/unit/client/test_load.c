/* SPDX-License-Identifier: Apache-2.0 */
/* Query interface files from disk. */
#include "certs.h"
#include "interface.h"
#include "rig.h"

Suite *bs_suite_load(void);

START_TEST(a_file_is_read_and_named)
{
	struct bsc_interface *i;
	struct bsc_error e;
	const char *p = text_file("good.xml", "<unabto_queries><query name='q' id='1'/>"
					      "</unabto_queries>");

	ck_assert_int_eq(bsc_interface_load(p, &i, &e), BS_OK);
	ck_assert_uint_eq(bsc_interface_count(i), 1);
	bsc_interface_free(i);
	p = text_file("bad.xml", "<unabto_queries>\n<x/></unabto_queries>");
	ck_assert_int_eq(bsc_interface_load(p, &i, &e), BS_ECONF);
	ck_assert_ptr_nonnull(strstr(e.text, "bad.xml:2: "));
}
END_TEST

START_TEST(what_is_not_there_is_named)
{
	struct bsc_interface *i;
	struct bsc_error e;

	ck_assert_int_eq(bsc_interface_load(text_file("none.xml", NULL), &i, &e), BS_ECONF);
	ck_assert_ptr_nonnull(strstr(e.text, "none.xml: No such file"));
	ck_assert_int_eq(bsc_interface_load("/", &i, &e), BS_ECONF);
	ck_assert_ptr_nonnull(strstr(e.text, "directory"));
	ck_assert_int_eq(bsc_interface_load(text_file("empty.xml", ""), &i, NULL), BS_ECONF);
}
END_TEST

START_TEST(a_huge_file_is_not_read_to_its_end)
{
	struct bsc_interface *i;
	struct bsc_error e;

	ck_assert_int_eq(bsc_interface_load("/dev/zero", &i, &e), BS_ECONF);
	ck_assert_ptr_nonnull(strstr(e.text, "4 MiB"));
}
END_TEST

Suite *bs_suite_load(void)
{
	Suite *s = suite_create("client load");
	TCase *t = tcase_create("load");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, a_file_is_read_and_named);
	tcase_add_test(t, what_is_not_there_is_named);
	tcase_add_test(t, a_huge_file_is_not_read_to_its_end);
	suite_add_tcase(s, t);
	return s;
}
