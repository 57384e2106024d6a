/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tcp.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"
#include "util/endpoint.h"

static struct bs_endpoint loopback4(uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x7F000001, port);
	return ep;
}

static struct bs_endpoint loopback6(uint16_t port)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	ep.ip[15] = 1;
	ep.port = port;
	return ep;
}

/** A blocking client socket, connected. */
static int dial(const struct bs_endpoint *ep)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(ep->port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(ep->port) };
	int fd;

	if (bs_endpoint_is_ip4(ep)) {
		a4.sin_addr.s_addr = htonl(bs_endpoint_ip4(ep));
		fd = socket(AF_INET, SOCK_STREAM, 0);
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&a4, sizeof(a4)), 0);
	} else {
		memcpy(&a6.sin6_addr, ep->ip, 16);
		fd = socket(AF_INET6, SOCK_STREAM, 0);
		ck_assert_int_eq(connect(fd, (struct sockaddr *)&a6, sizeof(a6)), 0);
	}
	return fd;
}

static int ready(int fd, short events)
{
	struct pollfd p = { fd, events, 0 };

	return poll(&p, 1, 5000) == 1 ? p.revents : 0;
}

START_TEST(a_connection_is_taken_and_carries_bytes)
{
	struct bs_endpoint ep = _i ? loopback6(0) : loopback4(0);
	struct bs_endpoint peer, local;
	uint8_t buf[16];
	int no_delay = 0;
	int lfd = bs_tcp_listen(&ep, 8);

	ck_assert_int_ge(lfd, 0);
	ck_assert_int_eq(bs_tcp_local(lfd, &ep), BS_OK);
	ck_assert_uint_ne(ep.port, 0);
	ck_assert_int_eq(bs_tcp_accept(lfd, &peer), BS_EAGAIN);
	int cli = dial(&ep);

	ck_assert(ready(lfd, POLLIN));
	int srv = bs_tcp_accept(lfd, &peer);

	ck_assert_int_ge(srv, 0);
	ck_assert_int_eq(bs_tcp_local(srv, &local), BS_OK);
	ck_assert(bs_endpoint_equal(&local, &ep));
	ck_assert_uint_ne(peer.port, 0);
	ck_assert_mem_eq(peer.ip, ep.ip, sizeof(peer.ip));
	socklen_t len = sizeof(no_delay);

	ck_assert_int_eq(getsockopt(srv, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len), 0);
	ck_assert_int_ne(no_delay, 0);
	ck_assert(fcntl(srv, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(srv, F_GETFD) & FD_CLOEXEC);

	ck_assert_int_eq(bs_tcp_read(srv, buf, sizeof(buf)), BS_EAGAIN);
	ck_assert_int_eq(write(cli, "abc", 3), 3);
	ck_assert(ready(srv, POLLIN));
	ck_assert_int_eq(bs_tcp_read(srv, buf, sizeof(buf)), 3);
	ck_assert_int_eq(bs_tcp_write(srv, buf, 3, false), 3);
	ck_assert_int_eq(read(cli, buf, sizeof(buf)), 3);
	close(cli);
	ck_assert(ready(srv, POLLIN));
	ck_assert_int_eq(bs_tcp_read(srv, buf, sizeof(buf)), 0);
	bs_tcp_close(srv);
	bs_tcp_close(lfd);
	bs_tcp_close(-1);
}
END_TEST

/** A listener on a port of its own; ep is where it listens. */
static int listen_here(struct bs_endpoint *ep)
{
	*ep = loopback4(0);
	int lfd = bs_tcp_listen(ep, 8);

	ck_assert_int_ge(lfd, 0);
	ck_assert_int_eq(bs_tcp_local(lfd, ep), BS_OK);
	return lfd;
}

static unsigned segments_received(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	return info.tcpi_segs_in;
}

/** Where this process is kept waiting between the two writes, the first one leaves alone. */
#define TRIES 20

START_TEST(unhurried_bytes_go_with_the_next_or_the_end)
{
	struct bs_endpoint ep, peer;
	int lfd = listen_here(&ep);
	unsigned together = 0;
	uint8_t buf[16];

	for (int i = 0; i < TRIES; i++) {
		int cli = dial(&ep);

		ck_assert(ready(lfd, POLLIN));
		int srv = bs_tcp_accept(lfd, &peer);

		ck_assert_int_eq(bs_tcp_write(srv, (const uint8_t *)"abc", 3, true), 3);
		if (_i == 0)
			ck_assert_int_eq(bs_tcp_write(srv, (const uint8_t *)"de", 2, false), 2);
		bs_tcp_close(srv);
		ck_assert_int_eq(recv(cli, buf, _i ? 3 : 5, MSG_WAITALL), _i ? 3 : 5);
		ck_assert_mem_eq(buf, "abcde", _i ? 3 : 5);
		ck_assert_int_eq(read(cli, buf, sizeof(buf)), 0);
		/* The answer to SYN, the bytes, and the end, alone or with them. */
		together += segments_received(cli) == (_i ? 2 : 3);
		close(cli);
	}
	ck_assert_uint_gt(together, 0);
	bs_tcp_close(lfd);
}
END_TEST

START_TEST(unhurried_bytes_alone_do_not_wait_for_ever)
{
	struct bs_endpoint ep, peer;
	int lfd = listen_here(&ep);
	int cli = dial(&ep);
	uint8_t buf[16];

	ck_assert(ready(lfd, POLLIN));
	int srv = bs_tcp_accept(lfd, &peer);

	ck_assert_int_eq(bs_tcp_write(srv, (const uint8_t *)"abc", 3, true), 3);
	ck_assert(ready(cli, POLLIN));
	ck_assert_int_eq(read(cli, buf, sizeof(buf)), 3);
	close(cli);
	bs_tcp_close(srv);
	bs_tcp_close(lfd);
}
END_TEST

START_TEST(a_connection_without_bytes_waits_outside_for_a_while)
{
	struct bs_endpoint ep, peer;
	int lfd = listen_here(&ep);
	unsigned waited = 0;
	uint8_t buf[16];

	bs_tcp_await_bytes(lfd);
	for (int i = 0; i < TRIES; i++) {
		int cli = dial(&ep);
		int early = bs_tcp_accept(lfd, &peer);

		waited += early == BS_EAGAIN;
		ck_assert_int_eq(write(cli, "abc", 3), 3);
		ck_assert(early >= 0 || ready(lfd, POLLIN));
		int srv = early >= 0 ? early : bs_tcp_accept(lfd, &peer);

		if (early == BS_EAGAIN)
			ck_assert_int_eq(bs_tcp_read(srv, buf, sizeof(buf)), 3);
		bs_tcp_close(srv);
		close(cli);
	}
	ck_assert_uint_gt(waited, 0);
	/* But not for ever: whoever says nothing shall meet a time limit of ours. */
	int cli = dial(&ep);

	ck_assert(ready(lfd, POLLIN));
	bs_tcp_close(bs_tcp_accept(lfd, &peer));
	close(cli);
	bs_tcp_close(lfd);
}
END_TEST

START_TEST(two_listeners_share_a_port)
{
	struct bs_endpoint ep = loopback4(0);
	int a = bs_tcp_listen(&ep, 8);

	ck_assert_int_eq(bs_tcp_local(a, &ep), BS_OK);
	int b = bs_tcp_listen(&ep, 8);

	ck_assert_int_ge(b, 0);
	/* Which is why a server asks first. */
	ck_assert_int_eq(bs_tcp_probe_free(&ep), BS_EBUSY);
	bs_tcp_close(a);
	bs_tcp_close(b);
	ck_assert_int_eq(bs_tcp_probe_free(&ep), BS_OK);
}
END_TEST

START_TEST(a_port_of_somebody_else_is_busy)
{
	struct bs_endpoint ep = loopback4(0);
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	ep.port = ntohs(a.sin_port);
	ck_assert_int_eq(bs_tcp_listen(&ep, 8), BS_EBUSY);
	close(fd);
}
END_TEST

START_TEST(an_address_that_is_not_here_is_unreachable)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0xC0000201, 0); /* 192.0.2.1 */
	ck_assert_int_eq(bs_tcp_listen(&ep, 8), BS_EUNREACH);
}
END_TEST

START_TEST(a_reader_that_does_not_read_blocks_the_writer)
{
	static const uint8_t block[65536];
	struct bs_endpoint ep = loopback4(0);
	struct bs_endpoint peer;
	int lfd = bs_tcp_listen(&ep, 8);
	bs_ssize n;

	ck_assert_int_eq(bs_tcp_local(lfd, &ep), BS_OK);
	int cli = dial(&ep);

	ck_assert(ready(lfd, POLLIN));
	int srv = bs_tcp_accept(lfd, &peer);

	do
		n = bs_tcp_write(srv, block, sizeof(block), false);
	while (n > 0);
	ck_assert_int_eq(n, BS_EAGAIN);
	close(cli);
	ck_assert(ready(srv, POLLHUP));
	/* The other side is gone: an error, and no signal. */
	ck_assert_int_eq(bs_tcp_write(srv, block, sizeof(block), false), BS_EIO);
	bs_tcp_close(srv);
	bs_tcp_close(lfd);
}
END_TEST

START_TEST(no_descriptor_left_is_full)
{
	struct bs_endpoint ep = loopback4(0);
	struct rlimit had, few;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &had), 0);
	few = had;
	few.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	int got = bs_tcp_listen(&ep, 8);

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &had), 0);
	ck_assert_int_eq(got, BS_EFULL);
}
END_TEST

Suite *bs_suite_tcp(void)
{
	Suite *s = suite_create("tcp");
	TCase *tc = tcase_create("tcp");

	tcase_add_loop_test(tc, a_connection_is_taken_and_carries_bytes, 0, 2);
	tcase_add_loop_test(tc, unhurried_bytes_go_with_the_next_or_the_end, 0, 2);
	tcase_add_test(tc, unhurried_bytes_alone_do_not_wait_for_ever);
	tcase_add_test(tc, a_connection_without_bytes_waits_outside_for_a_while);
	tcase_add_test(tc, two_listeners_share_a_port);
	tcase_add_test(tc, a_port_of_somebody_else_is_busy);
	tcase_add_test(tc, an_address_that_is_not_here_is_unreachable);
	tcase_add_test(tc, a_reader_that_does_not_read_blocks_the_writer);
	tcase_add_test(tc, no_descriptor_left_is_full);
	suite_add_tcase(s, tc);
	return s;
}
