/* SPDX-License-Identifier: Apache-2.0 */
#include "basestation/error.h"

#include "test.h"

/* The ranges of the list; a code that is added must get a text, and one that is not there none. */
static const struct {
	int first;
	int last;
} ranges[] = {
	{ BS_OK, BS_OK },        { BS_EAGAIN, BS_EDRAIN },    { BS_ESHORT, BS_EPROTO },
	{ BS_EINVAL, BS_EBUSY }, { BS_ENOMEM, BS_EINTERNAL },
};

static bool listed(int err)
{
	size_t i;

	for (i = 0; i < BS_LEN(ranges); i++)
		if (err <= ranges[i].first && err >= ranges[i].last)
			return true;
	return false;
}

START_TEST(every_code_has_a_text_of_its_own)
{
	int err;
	int other;

	for (err = 50; err > -700; err--) {
		const char *text = bs_strerror(err);

		ck_assert_ptr_nonnull(text);
		ck_assert_msg((strcmp(text, "unknown error") != 0) == listed(err), "code %d", err);
		for (other = 0; listed(err) && other > err; other--)
			if (listed(other))
				ck_assert_str_ne(text, bs_strerror(other));
	}
}
END_TEST

START_TEST(only_the_500s_are_fatal)
{
	int err;

	for (err = 50; err > -500; err--)
		ck_assert(!bs_err_is_fatal(err));
	ck_assert(bs_err_is_fatal(BS_ENOMEM));
	ck_assert(bs_err_is_fatal(BS_EINTERNAL));
}
END_TEST

Suite *bs_suite_error(void);

Suite *bs_suite_error(void)
{
	Suite *s = suite_create("error");
	TCase *tc = tcase_create("error");

	tcase_add_test(tc, every_code_has_a_text_of_its_own);
	tcase_add_test(tc, only_the_500s_are_fatal);
	suite_add_tcase(s, tc);
	return s;
}
