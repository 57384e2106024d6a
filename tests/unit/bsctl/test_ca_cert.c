/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "ctl/field.h"
#include "suites.h"
#include "tools/bsctl/ca_cert.h"
#include "tools/bsctl/ca_sign.h"
#include "tools/bsctl/file.h"
#include "tools/bsctl/secret.h"

static struct bs_ctl_error e;
static struct bs_ca_made root;
static struct bs_ca_made leaf;
static struct bs_ca_signer *signer;

static void setup(void)
{
	static const char *const names[] = { "alice" };
	struct bs_ca_order o = { .names = names, .n_names = 1, .days = 10, .bits = 2048 };

	test_dir_setup();
	ck_assert_int_eq(bs_ca_sign_root("Test", 100, 2048, &root, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_ca_signer_new(root.cert, strlen(root.cert), root.key, strlen(root.key),
					  "", &signer, &e),
			 BS_CTL_OK);
	ck_assert_int_eq(bs_ca_sign(signer, &o, &leaf, &e), BS_CTL_OK);
	ck_assert_int_eq(
		bs_file_write(test_path("ca"), 0644, false, root.cert, strlen(root.cert), &e), 0);
	ck_assert_int_eq(
		bs_file_write(test_path("leaf"), 0644, false, leaf.cert, strlen(leaf.cert), &e), 0);
	ck_assert_int_eq(bs_file_write(test_path("junk"), 0644, false, "junk", 4, &e), 0);
}

static void teardown(void)
{
	bs_ca_signer_free(signer);
	bs_ca_made_fini(&root);
	bs_ca_made_fini(&leaf);
	test_dir_teardown();
}

START_TEST(test_fingerprints)
{
	uint8_t fp[32];
	char hex[65];
	char name[65];
	char want[65];
	int64_t until;

	/* The same numbers as those that were told when the certificates were made. */
	ck_assert_int_eq(bs_ca_key_fp(test_path("leaf"), fp, &e), BS_CTL_OK);
	bs_field_put_hex(fp, sizeof(fp), hex);
	ck_assert_str_eq(hex, leaf.key_fp);
	ck_assert_int_eq(bs_ca_cert_fp(test_path("ca"), fp, &e), BS_CTL_OK);
	bs_field_put_hex(fp, sizeof(fp), hex);
	bs_ca_signer_info(signer, name, sizeof(name), &until, want);
	ck_assert_str_eq(hex, want);
}
END_TEST

START_TEST(test_hex)
{
	char name[65];
	char *hex = bs_ca_cert_hex(test_path("ca"), name, sizeof(name), &e);

	ck_assert_ptr_nonnull(hex);
	ck_assert_str_eq(name, "Test");
	/* DER of a certificate begins with a SEQUENCE of two length bytes. */
	ck_assert_int_eq(strncmp(hex, "3082", 4), 0);
	free(hex);
}
END_TEST

START_TEST(test_bad)
{
	uint8_t fp[32];
	char name[65];

	ck_assert_int_eq(bs_ca_cert_fp(test_path("leaf"), fp, &e), BS_CTL_BAD_INPUT);
	ck_assert_ptr_nonnull(strstr(e.reason, "not a CA"));
	ck_assert_ptr_null(bs_ca_cert_hex(test_path("leaf"), name, sizeof(name), &e));
	ck_assert_int_eq(bs_ca_cert_fp(test_path("junk"), fp, &e), BS_CTL_BAD_INPUT);
	ck_assert_int_eq(bs_ca_key_fp(test_path("junk"), fp, &e), BS_CTL_BAD_INPUT);
	ck_assert_int_eq(bs_ca_key_fp(test_path("nothing"), fp, &e), BS_CTL_NOT_FOUND);
}
END_TEST

START_TEST(test_secret)
{
	uint8_t a[BS_PSK_LEN];
	uint8_t b[BS_PSK_LEN];

	ck_assert_int_eq(bs_secret_make(a, &e), BS_CTL_OK);
	ck_assert_int_eq(bs_secret_make(b, &e), BS_CTL_OK);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

Suite *bs_suite_bsctl_ca_cert(void)
{
	Suite *s = suite_create("bsctl_ca_cert");
	TCase *tc = tcase_create("certificates");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_fingerprints);
	tcase_add_test(tc, test_hex);
	tcase_add_test(tc, test_bad);
	tcase_add_test(tc, test_secret);
	suite_add_tcase(s, tc);
	return s;
}
