/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suites.h"

char test_dir[64];

void test_dir_setup(void)
{
	snprintf(test_dir, sizeof(test_dir), "/tmp/bs-bsctl-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(test_dir));
}

static void remove_all(const char *path)
{
	char sub[512];
	struct dirent *e;
	DIR *d = opendir(path);

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		if (unlink(sub) < 0)
			remove_all(sub);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

void test_dir_teardown(void)
{
	remove_all(test_dir);
}

const char *test_path(const char *name)
{
	static char buf[4][256];
	static unsigned turn;
	char *p = buf[turn++ % 4];

	snprintf(p, sizeof(buf[0]), "%s/%s", test_dir, name);
	return p;
}

int main(void)
{
	Suite *(*const suites[])(void) = {
		bs_suite_bsctl_ca_cert, bs_suite_bsctl_ca_dir, bs_suite_bsctl_ca_sign,
		bs_suite_bsctl_file,    bs_suite_bsctl_link,   bs_suite_bsctl_print,
	};
	SRunner *sr = srunner_create(NULL);
	int failed;

	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
		srunner_add_suite(sr, suites[i]());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
