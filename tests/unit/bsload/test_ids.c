/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "suites.h"
#include "tools/bsload/ids.h"

static const struct ids ids = { "load-", "p2p.test", 0, 1 };

START_TEST(test_names)
{
	const struct ids later = { "x", "d.test", 9999990, 1 };
	char name[IDS_NAME_MAX];

	ck_assert_uint_eq(ids_name(&ids, 42, name), strlen("load-0000042.p2p.test"));
	ck_assert_str_eq(name, "load-0000042.p2p.test");
	ids_name(&later, 10, name);
	ck_assert_str_eq(name, "x10000000.d.test");
}
END_TEST

START_TEST(test_what_is_no_id)
{
	const struct ids upper = { "Load-", "p2p.test", 0, 1 };
	const struct ids at_most = { "123456789012345678901234", "p2p.test", 0, 1 };
	const struct ids too_long = { "1234567890123456789012345", "p2p.test", 0, 1 };
	const struct ids wraps = { "l", "p2p.test", UINT32_MAX, 1 };

	ck_assert(ids_ok(&ids, 10000000));
	ck_assert(!ids_ok(&upper, 1));
	ck_assert(ids_ok(&at_most, 1));
	ck_assert(!ids_ok(&too_long, 1));
	/* The last of them has a digit more. */
	ck_assert(!ids_ok(&at_most, 20000000));
	ck_assert(ids_ok(&wraps, 1));
	ck_assert(!ids_ok(&wraps, 2));
}
END_TEST

START_TEST(test_secrets)
{
	struct ids other = ids;
	uint8_t a[BS_PSK_LEN];
	uint8_t b[BS_PSK_LEN];

	ids_secret(&ids, 7, a);
	ids_secret(&ids, 7, b);
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert_mem_ne(a, a + 8, 8);
	ids_secret(&ids, 8, b);
	ck_assert_mem_ne(a, b, sizeof(a));
	/* The number decides, however it came about. */
	other.first = 1;
	ids_secret(&other, 6, b);
	ck_assert_mem_eq(a, b, sizeof(a));
	other.seed = 2;
	ids_secret(&other, 6, b);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

START_TEST(test_csv)
{
	char line[128];
	FILE *f = tmpfile();

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(ids_print(&ids, 2, f), 0);
	rewind(f);
	ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
	ck_assert_str_eq(line, "id,secret\n");
	for (int i = 0; i < 2; i++) {
		ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
		ck_assert_uint_eq(strlen(line), strlen("load-0000000.p2p.test,") + 32 + 1);
	}
	ck_assert_ptr_null(fgets(line, sizeof(line), f));
	(void)fclose(f);
}
END_TEST

START_TEST(test_csv_full_disk)
{
	FILE *f = fopen("/dev/full", "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(ids_print(&ids, 2, f), -1);
	(void)fclose(f);
}
END_TEST

Suite *bs_suite_bsload_ids(void)
{
	Suite *s = suite_create("ids");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, test_names);
	tcase_add_test(tc, test_what_is_no_id);
	tcase_add_test(tc, test_secrets);
	tcase_add_test(tc, test_csv);
	tcase_add_test(tc, test_csv_full_disk);
	suite_add_tcase(s, tc);
	return s;
}
