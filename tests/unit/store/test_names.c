/* SPDX-License-Identifier: Apache-2.0 */
#include "store/names.h"

#include "box.h"

Suite *bs_suite_names(void);

static const struct {
	const char *id;
	bool ok;
} ids[] = {
	{ "a", true },
	{ "7", true },
	{ "cam1.p2p.example.com", true },
	{ "a-b.c-d", true },
	{ "0123456789012345678901234567890123456789", true },
	{ "01234567890123456789012345678901234567890", false },
	{ "", false },
	{ ".", false },
	{ ".a", false },
	{ "a.", false },
	{ "a..b", false },
	{ "-a", false },
	{ "a-", false },
	{ "a-.b", false },
	{ "a.-b", false },
	{ "a_b", false },
	{ "a b", false },
	{ "A", false },
	{ "a*", false },
	{ "\xc3\xa4", false },
};

START_TEST(id_spelling)
{
	ck_assert_msg(bs_device_id_valid(ids[_i].id, strlen(ids[_i].id)) == ids[_i].ok, "\"%s\"",
		      ids[_i].id);
}
END_TEST

START_TEST(id_fold)
{
	char out[BS_DEVICE_ID_MAX + 1] = "untouched";

	ck_assert_int_eq(bs_device_id_fold(box_text("Cam1.P2P.example.COM"), out), BS_OK);
	ck_assert_str_eq(out, "cam1.p2p.example.com");
	ck_assert_int_eq(bs_device_id_fold(box_text("bad id"), out), BS_EINVAL);
	ck_assert_int_eq(bs_device_id_fold((struct bs_slice){ (const uint8_t *)"a\0b", 3 }, out),
			 BS_EINVAL);
	ck_assert_int_eq(bs_device_id_fold((struct bs_slice){ NULL, 0 }, out), BS_EINVAL);
	ck_assert_str_eq(out, "cam1.p2p.example.com");
}
END_TEST

START_TEST(identity_spelling)
{
	char longest[BS_CLIENT_ID_MAX + 2];

	memset(longest, 'x', sizeof(longest));
	ck_assert(bs_client_identity_valid(longest, BS_CLIENT_ID_MAX));
	ck_assert(!bs_client_identity_valid(longest, BS_CLIENT_ID_MAX + 1));
	ck_assert(!bs_client_identity_valid("", 0));
	ck_assert(bs_client_identity_valid("~!joe@example.com", 17));
	ck_assert(!bs_client_identity_valid("Joe", 3));
	ck_assert(!bs_client_identity_valid("a b", 3));
	ck_assert(!bs_client_identity_valid("a\x7f", 2));
	ck_assert(!bs_client_identity_valid("a\0b", 3));
	ck_assert(!bs_client_identity_valid("\xe9", 1));
}
END_TEST

START_TEST(name_spelling)
{
	char longest[BS_NAME_MAX + 2];

	memset(longest, 'n', sizeof(longest));
	ck_assert(bs_name_valid(longest, BS_NAME_MAX));
	ck_assert(!bs_name_valid(longest, BS_NAME_MAX + 1));
	ck_assert(!bs_name_valid("", 0));
	ck_assert(bs_name_valid("Site.4_a-b:c@d", 14));
	ck_assert(!bs_name_valid("a,b", 3));
	ck_assert(!bs_name_valid("a\0b", 3));
	ck_assert(!bs_name_valid("a b", 3));
}
END_TEST

START_TEST(set_stays_sorted)
{
	struct bs_names set = { .n = 0 };

	ck_assert_int_eq(bs_names_add(&set, "m", 1), BS_OK);
	ck_assert_int_eq(bs_names_add(&set, "zz", 2), BS_OK);
	ck_assert_int_eq(bs_names_add(&set, "a", 1), BS_OK);
	ck_assert_int_eq(bs_names_add(&set, "z", 1), BS_OK);
	ck_assert_int_eq(bs_names_add(&set, "m", 1), BS_OK);
	ck_assert_int_eq(set.n, 4);
	ck_assert_str_eq(set.name[0], "a");
	ck_assert_str_eq(set.name[1], "m");
	ck_assert_str_eq(set.name[2], "z");
	ck_assert_str_eq(set.name[3], "zz");
	ck_assert(bs_names_valid(&set));
	ck_assert(bs_names_has(&set, "z", 1));
	ck_assert(!bs_names_has(&set, "zzz", 3));
	bs_names_remove(&set, "m", 1);
	bs_names_remove(&set, "missing", 7);
	ck_assert_int_eq(set.n, 3);
	ck_assert(!bs_names_has(&set, "m", 1));
	ck_assert_int_eq(bs_names_add(&set, "not ok", 6), BS_EINVAL);
	ck_assert_int_eq(set.n, 3);
}
END_TEST

START_TEST(set_is_bounded)
{
	struct bs_names set = { .n = 0 };
	char name[2] = "a";
	int i;

	for (i = 0; i < BS_NAMES_MAX; i++, name[0]++)
		ck_assert_int_eq(bs_names_add(&set, name, 1), BS_OK);
	ck_assert_int_eq(bs_names_add(&set, "zz", 2), BS_EFULL);
	/* One that is there is no addition. */
	ck_assert_int_eq(bs_names_add(&set, "a", 1), BS_OK);
	bs_names_remove(&set, "a", 1);
	ck_assert_int_eq(bs_names_add(&set, "zz", 2), BS_OK);
}
END_TEST

START_TEST(foreign_set_is_examined)
{
	struct bs_names a = box_names("a,b,c");
	struct bs_names b = a;

	ck_assert(bs_names_equal(&a, &b));
	memcpy(b.name[1], "a", 2);
	ck_assert(!bs_names_equal(&a, &b));
	ck_assert(!bs_names_valid(&b));
	b = a;
	b.n = BS_NAMES_MAX + 1;
	ck_assert(!bs_names_valid(&b));
	b = a;
	memset(b.name[2], 'x', sizeof(b.name[2]));
	ck_assert(!bs_names_valid(&b));
	b = a;
	b.n = 2;
	ck_assert(bs_names_valid(&b));
	ck_assert(!bs_names_equal(&a, &b));
}
END_TEST

Suite *bs_suite_names(void)
{
	Suite *s = suite_create("names");
	TCase *t = tcase_create("names");

	tcase_add_loop_test(t, id_spelling, 0, (int)BS_LEN(ids));
	tcase_add_test(t, id_fold);
	tcase_add_test(t, identity_spelling);
	tcase_add_test(t, name_spelling);
	tcase_add_test(t, set_stays_sorted);
	tcase_add_test(t, set_is_bounded);
	tcase_add_test(t, foreign_set_is_examined);
	suite_add_tcase(s, t);
	return s;
}
