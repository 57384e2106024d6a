/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "suites.h"

/* A receiver under that name; '@' is the abstract space. */
static int receiver(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(sa.sun_path, name, strlen(name));
	if (name[0] == '@')
		sa.sun_path[0] = '\0';
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
			 0);
	return fd;
}

static void expect(int fd, const char *want)
{
	char got[128];
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	ck_assert_str_eq(got, want);
}

START_TEST(path_socket)
{
	char dir[] = "/tmp/bs-test-notify-XXXXXX";
	char name[64];
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(name, sizeof(name), "%s/n", dir);
	fd = receiver(name);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	ck_assert_int_eq(bs_notify("READY=1"), BS_OK);
	expect(fd, "READY=1");
	close(fd);
	unlink(name);
	ck_assert_int_eq(bs_notify("READY=1"), BS_EIO);
	rmdir(dir);
}
END_TEST

START_TEST(abstract_socket)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "@bs-test-notify-%ld", (long)getpid());
	fd = receiver(name);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
	ck_assert_int_eq(bs_notify("RELOADING=1\nMONOTONIC_USEC=5"), BS_OK);
	expect(fd, "RELOADING=1\nMONOTONIC_USEC=5");
	close(fd);
}
END_TEST

START_TEST(nobody_waits)
{
	unsetenv("NOTIFY_SOCKET");
	ck_assert_int_eq(bs_notify("READY=1"), BS_OK);
	setenv("NOTIFY_SOCKET", "", 1);
	ck_assert_int_eq(bs_notify("READY=1"), BS_OK);
}
END_TEST

START_TEST(bad_names)
{
	char name[300];

	setenv("NOTIFY_SOCKET", "relative", 1);
	ck_assert_int_eq(bs_notify("READY=1"), BS_EIO);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_int_eq(bs_notify("READY=1"), BS_EIO);
}
END_TEST

Suite *bs_suite_notify(void)
{
	Suite *s = suite_create("notify");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, path_socket);
	tcase_add_test(tc, abstract_socket);
	tcase_add_test(tc, nobody_waits);
	tcase_add_test(tc, bad_names);
	suite_add_tcase(s, tc);
	return s;
}
