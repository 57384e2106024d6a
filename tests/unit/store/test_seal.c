/* SPDX-License-Identifier: Apache-2.0 */
#include "store/seal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"

Suite *bs_suite_seal(void);

static struct box box;

static void setup(void)
{
	box_init(&box);
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void teardown(void)
{
	box_remove(box.root);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

START_TEST(key_file_is_private_and_new)
{
	uint8_t a[BS_MASTER_KEY_LEN];
	uint8_t b[BS_MASTER_KEY_LEN];
	struct stat st;

	ck_assert_int_eq(stat(box.key, &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(st.st_size, 65);
	ck_assert_int_eq(bs_seal_key_load(box.key, a, NULL), BS_OK);
	ck_assert_int_eq(bs_seal_key_create(box.key, &box.err), BS_EEXIST);
	ck_assert_ptr_nonnull(strstr(box.err.text, box.key));
	ck_assert_int_eq(bs_seal_key_load(box.key, b, NULL), BS_OK);
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert_int_eq(bs_seal_key_create(box_path(&box, "key2"), NULL), BS_OK);
	ck_assert_int_eq(bs_seal_key_load(box_path(&box, "key2"), b, NULL), BS_OK);
	ck_assert_mem_ne(a, b, sizeof(a));
	ck_assert_int_eq(bs_seal_key_create(box_path(&box, "no/such/folder"), &box.err), BS_ENOENT);
	ck_assert_ptr_nonnull(strstr(box.err.text, "no/such/folder"));
}
END_TEST

START_TEST(key_file_is_never_made_through_a_link)
{
	ck_assert_int_eq(symlink("elsewhere", box_path(&box, "link")), 0);
	ck_assert_int_eq(bs_seal_key_create(box_path(&box, "link"), NULL), BS_EEXIST);
	ck_assert_int_lt(access(box_path(&box, "elsewhere"), F_OK), 0);
}
END_TEST

static const struct {
	const char *text;
	mode_t mode;
	int code;
} files[] = {
	{ HEX64 "\n", 0600, BS_OK },
	{ HEX64, 0400, BS_OK },
	{ HEX64 "\r\n", 0600, BS_OK },
	{ HEX64 "\n", 0640, BS_EPERM },
	{ HEX64 "\n", 0604, BS_EPERM },
	{ HEX64 "\n", 0620, BS_EPERM },
	{ "", 0600, BS_ECONF },
	{ "\n", 0600, BS_ECONF },
	{ HEX64 "0\n", 0600, BS_ECONF },
	{ HEX64 "\nmore", 0600, BS_ECONF },
	{ "x0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n", 0600, BS_ECONF },
	{ "0011\n", 0600, BS_ECONF },
};

START_TEST(key_file_is_examined)
{
	uint8_t key[BS_MASTER_KEY_LEN] = { 0x5A };
	const char *path = box_path(&box, "try");
	int rc;

	write_file(path, files[_i].text, files[_i].mode);
	rc = bs_seal_key_load(path, key, &box.err);
	ck_assert_int_eq(rc, files[_i].code);
	if (rc == BS_OK) {
		ck_assert_uint_eq(key[0], 0x00);
		ck_assert_uint_eq(key[31], 0xFF);
	} else {
		ck_assert_ptr_nonnull(strstr(box.err.text, path));
	}
}
END_TEST

START_TEST(key_is_no_folder_and_belongs_to_us)
{
	uint8_t key[BS_MASTER_KEY_LEN];

	ck_assert_int_eq(bs_seal_key_load(box.root, key, &box.err), BS_EPERM);
	ck_assert_int_eq(bs_seal_key_load(box_path(&box, "none"), key, &box.err), BS_ENOENT);
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(box.key, 12345, 12345), 0);
	ck_assert_int_eq(bs_seal_key_load(box.key, key, &box.err), BS_EPERM);
	ck_assert_ptr_nonnull(strstr(box.err.text, "12345"));
}
END_TEST

START_TEST(credential_is_the_other_source)
{
	uint8_t key[BS_MASTER_KEY_LEN];

	ck_assert_int_eq(bs_seal_key_load(NULL, key, &box.err), BS_ENOENT);
	ck_assert_ptr_nonnull(strstr(box.err.text, "LoadCredential"));
	setenv("CREDENTIALS_DIRECTORY", box.root, 1);
	ck_assert_int_eq(bs_seal_key_load("", key, &box.err), BS_ENOENT);
	write_file(box_path(&box, BS_SEAL_CREDENTIAL), HEX64, 0440);
	ck_assert_int_eq(bs_seal_key_load("", key, &box.err), BS_OK);
	ck_assert_uint_eq(key[1], 0x11);
	write_file(box_path(&box, BS_SEAL_CREDENTIAL), HEX64, 0444);
	ck_assert_int_eq(bs_seal_key_load("", key, &box.err), BS_EPERM);
}
END_TEST

static struct bs_seal *make_seal(uint8_t fill)
{
	uint8_t key[BS_MASTER_KEY_LEN];
	struct bs_seal *s;

	memset(key, fill, sizeof(key));
	ck_assert_int_eq(bs_seal_new(key, &s), BS_OK);
	return s;
}

START_TEST(sealed_opens_only_as_it_was)
{
	struct bs_seal *s = make_seal(1);
	struct bs_seal *other = make_seal(2);
	struct bs_slice plain = box_text("sixteen bytes !!");
	struct bs_slice ad = box_text("device one");
	uint8_t sealed[16 + BS_SEAL_OVERHEAD];
	uint8_t again[16 + BS_SEAL_OVERHEAD];
	uint8_t out[16];
	uint8_t zero[16] = { 0 };
	size_t i;

	ck_assert_int_eq(bs_seal_close(s, ad, plain, sealed), BS_OK);
	ck_assert_int_eq(bs_seal_close(s, ad, plain, again), BS_OK);
	/* A nonce of its own each time. */
	ck_assert_mem_ne(sealed, again, sizeof(sealed));
	ck_assert_int_eq(bs_seal_open(s, ad, (struct bs_slice){ sealed, sizeof(sealed) }, out),
			 BS_OK);
	ck_assert_mem_eq(out, plain.ptr, 16);
	ck_assert_int_eq(bs_seal_open(s, box_text("device two"),
				      (struct bs_slice){ sealed, sizeof(sealed) }, out),
			 BS_EMAC);
	ck_assert_mem_eq(out, zero, 16);
	ck_assert_int_eq(bs_seal_open(other, ad, (struct bs_slice){ sealed, sizeof(sealed) }, out),
			 BS_EMAC);
	for (i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 0x40;
		ck_assert_int_eq(
			bs_seal_open(s, ad, (struct bs_slice){ sealed, sizeof(sealed) }, out),
			BS_EMAC);
		sealed[i] ^= 0x40;
	}
	for (i = 0; i < sizeof(sealed); i++)
		ck_assert_int_ne(bs_seal_open(s, ad, (struct bs_slice){ sealed, i }, out), BS_OK);
	bs_seal_free(s);
	bs_seal_free(other);
	bs_seal_free(NULL);
}
END_TEST

START_TEST(nothing_can_be_sealed_too)
{
	struct bs_seal *s = make_seal(3);
	struct bs_slice none = { (const uint8_t *)"", 0 };
	uint8_t sealed[BS_SEAL_OVERHEAD];
	uint8_t out[1] = { 7 };

	ck_assert_int_eq(bs_seal_close(s, none, none, sealed), BS_OK);
	ck_assert_int_eq(bs_seal_open(s, none, (struct bs_slice){ sealed, sizeof(sealed) }, out),
			 BS_OK);
	ck_assert_uint_eq(out[0], 7);
	bs_seal_free(s);
}
END_TEST

Suite *bs_suite_seal(void)
{
	Suite *s = suite_create("seal");
	TCase *t = tcase_create("seal");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, key_file_is_private_and_new);
	tcase_add_test(t, key_file_is_never_made_through_a_link);
	tcase_add_loop_test(t, key_file_is_examined, 0, (int)BS_LEN(files));
	tcase_add_test(t, key_is_no_folder_and_belongs_to_us);
	tcase_add_test(t, credential_is_the_other_source);
	tcase_add_test(t, sealed_opens_only_as_it_was);
	tcase_add_test(t, nothing_can_be_sealed_too);
	suite_add_tcase(s, t);
	return s;
}
