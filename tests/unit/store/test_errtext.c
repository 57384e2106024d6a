/* SPDX-License-Identifier: Apache-2.0 */
#include "store/errtext.h"

#include <errno.h>

#include "box.h"

Suite *bs_suite_errtext(void);

START_TEST(text_is_cut_and_terminated)
{
	struct bs_errtext err;
	char longest[600];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	memset(&err, 'y', sizeof(err));
	bs__errtext(&err, "%s", longest);
	ck_assert_uint_eq(strlen(err.text), sizeof(err.text) - 1);
	bs__errtext(NULL, "%s", longest);
}
END_TEST

START_TEST(errno_has_place_reason_and_remedy)
{
	struct bs_errtext err;

	ck_assert_int_eq(bs__errno_text(&err, EACCES, "/a/b", "cannot open"), BS_EPERM);
	ck_assert_str_eq(err.text, "/a/b: cannot open: Permission denied; check owner and mode of "
				   "the file and of its folders");
	ck_assert_int_eq(bs__errno_text(&err, EDOM, "/a/b", "cannot open"), BS_EIO);
	ck_assert_ptr_null(strchr(err.text, ';'));
	ck_assert_int_eq(bs__errno_text(NULL, ENOSPC, "/a", "x"), BS_ENOSPC);
	ck_assert_int_eq(bs__errno_code(EDQUOT), BS_ENOSPC);
	ck_assert_int_eq(bs__errno_code(EEXIST), BS_EEXIST);
	ck_assert_int_eq(bs__errno_code(0), BS_EIO);
}
END_TEST

Suite *bs_suite_errtext(void)
{
	Suite *s = suite_create("errtext");
	TCase *t = tcase_create("errtext");

	tcase_add_test(t, text_is_cut_and_terminated);
	tcase_add_test(t, errno_has_place_reason_and_remedy);
	suite_add_tcase(s, t);
	return s;
}
