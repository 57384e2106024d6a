/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"
#include "server/control_socket.h"
#include "suites.h"

static char dir[64];
static char path[128];
static char err[512];
static const struct bs_conf *conf;

static void load(const char *socket, const char *more)
{
	struct bs_conf_error e;
	char text[512];

	snprintf(text, sizeof(text), "control-socket = \"%s\"\n%s%s", socket,
		 geteuid() == 0 ? "user = root\n" : "", more);
	bs_conf_unref(conf);
	conf = NULL;
	ck_assert_msg(bs_conf_load_text("test.conf", text, strlen(text), &conf, &e) == BS_OK, "%s",
		      e.text);
}

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/bs-socket-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/control", dir);
	load(path, "");
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
	bs_conf_unref(conf);
	conf = NULL;
}

START_TEST(test_mode_and_stale)
{
	struct stat st;
	char got[108];
	int second;
	int fd = bs_control_bind(conf, err, sizeof(err));

	ck_assert_msg(fd >= 0, "%s", err);
	ck_assert_int_eq(stat(path, &st), 0);
	/* Without a group nobody but root and the user gets in. */
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	bs__control_path(fd, got, sizeof(got));
	ck_assert_str_eq(got, path);
	ck_assert_int_eq(bs_control_bind(conf, err, sizeof(err)), BS_EBUSY);
	ck_assert_ptr_nonnull(strstr(err, path));
	/* The server dies, its file stays: the next one takes over. */
	close(fd);
	second = bs_control_bind(conf, err, sizeof(err));
	ck_assert_msg(second >= 0, "%s", err);
	close(second);
}
END_TEST

START_TEST(test_group)
{
	struct stat st;
	int fd;

	load(path, "control-group = daemon\n");
	fd = bs_control_bind(conf, err, sizeof(err));
	if (geteuid() != 0) {
		/* Nobody can give a file to a group that he is not in. */
		ck_assert(fd >= 0 || fd == BS_EPERM);
		if (fd >= 0)
			close(fd);
		return;
	}
	ck_assert_msg(fd >= 0, "%s", err);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0660);
	close(fd);
}
END_TEST

START_TEST(test_in_the_way)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(bs_control_bind(conf, err, sizeof(err)), BS_EEXIST);
	ck_assert_ptr_nonnull(strstr(err, "not a socket"));
	/* What was there is still there. */
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_bad_paths)
{
	load("/nowhere/at/all/control", "");
	ck_assert_int_eq(bs_control_bind(conf, err, sizeof(err)), BS_ENOENT);
	ck_assert_ptr_nonnull(strstr(err, "/nowhere/at/all/control"));
}
END_TEST

START_TEST(test_peer)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	ck_assert(bs__control_peer_allowed(sv[0], conf));
	/* A descriptor without a peer has no rights. */
	ck_assert(!bs__control_peer_allowed(-1, conf));
	ck_assert_int_eq(bs__control_accept(sv[0]), BS_EAGAIN);
	close(sv[0]);
	close(sv[1]);
}
END_TEST

Suite *bs_suite_control_socket(void)
{
	Suite *s = suite_create("control_socket");
	TCase *tc = tcase_create("socket");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_mode_and_stale);
	tcase_add_test(tc, test_group);
	tcase_add_test(tc, test_in_the_way);
	tcase_add_test(tc, test_bad_paths);
	tcase_add_test(tc, test_peer);
	suite_add_tcase(s, tc);
	return s;
}
