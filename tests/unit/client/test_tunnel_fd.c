/* SPDX-License-Identifier: Apache-2.0 */
#include "tunnel_fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <check.h>

static int dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

START_TEST(listens_and_accepts)
{
	struct bsc_error err = { 0 };
	uint16_t port = 0;
	int l = bsc__fd_listen(NULL, &port, &err);
	int ours;
	int theirs;

	ck_assert_int_ge(l, 0);
	ck_assert_uint_ne(port, 0);
	ck_assert_int_eq(bsc__fd_accept(l), -1);
	ck_assert(errno == EAGAIN || errno == EWOULDBLOCK);
	ours = dial(port);
	theirs = bsc__fd_accept(l);
	ck_assert_int_ge(theirs, 0);
	ck_assert(fcntl(theirs, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(theirs, F_GETFD) & FD_CLOEXEC);
	close(theirs);
	close(ours);
	close(l);
}
END_TEST

START_TEST(says_why_it_cannot_listen)
{
	static const char *const bad[] = { "localhost", "127.0.0.1:80", "300.1.1.1", "" };
	struct bsc_error err = { 0 };
	uint16_t port = 0;
	int l = bsc__fd_listen("127.0.0.1", &port, &err);

	ck_assert_int_ge(l, 0);
	ck_assert_int_eq(bsc__fd_listen("127.0.0.1", &port, &err), -1);
	ck_assert_int_eq(err.err, BS_EBUSY);
	ck_assert_ptr_nonnull(strstr(err.text, "127.0.0.1"));
	close(l);
	for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
		port = 0;
		memset(&err, 0, sizeof err);
		ck_assert_msg(bsc__fd_listen(bad[k], &port, &err) == -1, "%s", bad[k]);
		ck_assert_int_eq(err.err, BS_EINVAL);
	}
	/* An address of somebody else. */
	port = 0;
	ck_assert_int_eq(bsc__fd_listen("192.0.2.1", &port, &err), -1);
	ck_assert_int_eq(err.err, BS_EINVAL);
}
END_TEST

START_TEST(a_pipe_of_the_caller_stays_blocking)
{
	bool is_socket = true;
	int p[2];
	int own;

	ck_assert_int_eq(pipe(p), 0);
	own = bsc__fd_own(p[0], false, &is_socket);
	ck_assert_int_ge(own, 0);
	ck_assert(!is_socket);
	ck_assert(fcntl(own, F_GETFL) & O_NONBLOCK);
	ck_assert(!(fcntl(p[0], F_GETFL) & O_NONBLOCK));
	ck_assert_int_eq(write(p[1], "x", 1), 1);
	ck_assert_int_eq(close(own), 0);
	own = bsc__fd_own(p[1], true, &is_socket);
	ck_assert_int_ge(own, 0);
	ck_assert_int_eq(write(own, "y", 1), 1);
	close(own);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(sockets_and_files_are_duplicated)
{
	char path[] = "/tmp/bs-fd-XXXXXX";
	bool is_socket = false;
	int s[2];
	int own;
	int f = mkstemp(path);

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	own = bsc__fd_own(s[0], false, &is_socket);
	ck_assert_int_ge(own, 3);
	ck_assert(is_socket);
	ck_assert(fcntl(own, F_GETFL) & O_NONBLOCK);
	close(own);
	close(s[0]);
	close(s[1]);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(write(f, "abc", 3), 3);
	ck_assert_int_eq((int)lseek(f, 1, SEEK_SET), 1);
	/* A file goes on where its reader stands. */
	own = bsc__fd_own(f, false, &is_socket);
	ck_assert_int_ge(own, 3);
	ck_assert(!is_socket);
	ck_assert_int_eq(read(own, path, 5), 2);
	close(own);
	close(f);
	ck_assert_int_eq(bsc__fd_own(f, false, &is_socket), -1);
}
END_TEST

Suite *bs_suite_tunnel_fd(void);
Suite *bs_suite_tunnel_fd(void)
{
	Suite *s = suite_create("tunnel_fd");
	TCase *tc = tcase_create("tunnel_fd");

	tcase_add_test(tc, listens_and_accepts);
	tcase_add_test(tc, says_why_it_cannot_listen);
	tcase_add_test(tc, a_pipe_of_the_caller_stays_blocking);
	tcase_add_test(tc, sockets_and_files_are_duplicated);
	suite_add_tcase(s, tc);
	return s;
}
