/* SPDX-License-Identifier: Apache-2.0 */
/* Name, TCP and TLS as one way: states, addresses that fail, ends, what is left to send. */
#include "transport.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "gatekeeper.h"
#include "rig.h"
#include "session.h"

Suite *bs_suite_transport(void);

static struct gatekeeper g;
static struct bsc_config cfg;
static struct bsc__resolver *resolver;
static struct bsc__tls_ctx *ctx;
static struct bsc__transport t;

static void setup(void)
{
	static const struct server_opts o = { .want_client = true };

	gatekeeper_init(&g, &o);
	gatekeeper_config(&g, &cfg);
	ck_assert_int_eq(bsc__resolver_new(NULL, &resolver, NULL), BS_OK);
	ck_assert_int_eq(bsc__tls_ctx_new(&cfg, &ctx, NULL), BS_OK);
	bsc__transport_init(&t, resolver, ctx);
}

static void teardown(void)
{
	bsc__transport_stop(&t, false);
	bsc__tls_ctx_free(ctx);
	bsc__resolver_free(resolver);
	gatekeeper_fini(&g);
}

/** Turn until the state is one that stays. */
static void run(void)
{
	for (int k = 0;
	     k < 5000 && t.state != BSC__TRANSPORT_UP && t.state != BSC__TRANSPORT_FAILED; k++) {
		struct pollfd p = { .fd = t.fd, .events = POLLIN };

		bsc__transport_step(&t, bsc__now());
		gatekeeper_pump(&g);
		(void)poll(&p, 1, 1);
	}
}

START_TEST(comes_up_and_carries_bytes)
{
	struct bs_endpoint at;
	struct bsc_fd fds[2];
	bs_time due;

	ck_assert(!bsc__transport_writable(&t));
	ck_assert(!bsc__transport_remote(&t, &at));
	bsc__transport_start(&t, "127.0.0.1", g.port, "127.0.0.1");
	ck_assert(bsc__transport_next_timeout(&t, bsc__now(), &due));
	run();
	ck_assert_int_eq(t.state, BSC__TRANSPORT_UP);
	ck_assert(bsc__transport_writable(&t));
	ck_assert(!bsc__transport_next_timeout(&t, bsc__now(), &due));
	ck_assert(bsc__transport_remote(&t, &at));
	ck_assert_uint_eq(at.port, g.port);
	ck_assert_uint_eq(bsc__transport_fds(&t, fds, 2), 1);
	ck_assert_int_eq(fds[0].events, POLLIN);
	ck_assert_uint_eq(bsc__transport_fds(&t, fds, 0), 0);
}
END_TEST

START_TEST(the_next_address_is_tried)
{
	bsc__transport_start(&t, "127.0.0.1", g.port, "127.0.0.1");
	bsc__transport_step(&t, bsc__now());
	/* As if the name had two: a dead one first. */
	bsc__transport_stop(&t, false);
	t.state = BSC__TRANSPORT_TCP;
	memcpy(t.host, "127.0.0.1", 10);
	memcpy(t.name, "127.0.0.1", 10);
	bs_endpoint_set_ip4(&t.addr[0], 0x7f000001, 1);
	bs_endpoint_set_ip4(&t.addr[1], 0x7f000001, g.port);
	t.n_addr = 2;
	t.next_addr = 1;
	t.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	{
		struct sockaddr_storage ss;
		socklen_t len = bsc__addr_to(&t.addr[0], AF_INET, &ss);

		ck_assert_int_ne(connect(t.fd, (struct sockaddr *)&ss, len), 0);
	}
	run();
	ck_assert_int_eq(t.state, BSC__TRANSPORT_UP);
	ck_assert_uint_eq(t.next_addr, 2);
}
END_TEST

START_TEST(a_silent_address_is_given_up)
{
	bs_time now = bsc__now();
	bs_time due;

	bsc__transport_start(&t, "127.0.0.1", g.port, "127.0.0.1");
	t.state = BSC__TRANSPORT_TCP;
	t.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	t.n_addr = t.next_addr = 1;
	t.tcp_deadline = now;
	bs_endpoint_set_ip4(&t.addr[0], 0xc0000201, 1);
	ck_assert(bsc__transport_next_timeout(&t, now, &due));
	bsc__transport_step(&t, now);
	ck_assert_int_eq(t.state, BSC__TRANSPORT_FAILED);
	ck_assert(t.error.code == BSC_TCP_FAILED || t.error.code == BSC_TLS_FAILED);
	ck_assert_int_eq(t.fd, -1);
}
END_TEST

START_TEST(a_hang_up_in_the_handshake_is_told)
{
	bsc__transport_start(&t, "127.0.0.1", g.port, "127.0.0.1");
	for (int k = 0; k < 1000 && g.accepted == 0; k++) {
		bsc__transport_step(&t, bsc__now());
		g.mute = true;
		gatekeeper_pump(&g);
	}
	gatekeeper_drop(&g);
	(void)close(g.listener);
	g.listener = socket(AF_INET, SOCK_STREAM, 0);
	run();
	ck_assert_int_eq(t.state, BSC__TRANSPORT_FAILED);
	ck_assert_uint_eq(t.error.code, BSC_TLS_FAILED);
	ck_assert_ptr_nonnull(strstr(t.error.text, "hung up"));
}
END_TEST

START_TEST(a_hang_up_later_is_a_loss)
{
	uint8_t buf[64];

	bsc__transport_start(&t, "127.0.0.1", g.port, "127.0.0.1");
	run();
	gatekeeper_drop(&g);
	for (int k = 0; k < 1000 && t.state == BSC__TRANSPORT_UP; k++)
		if (bsc__transport_read(&t, buf, sizeof buf) == BS_EAGAIN)
			(void)usleep(1000);
	ck_assert_int_eq(t.state, BSC__TRANSPORT_FAILED);
	ck_assert_uint_eq(t.error.code, BSC_LOST);
	ck_assert_int_eq(bsc__transport_read(&t, buf, sizeof buf), BS_EAGAIN);
}
END_TEST

START_TEST(what_the_socket_does_not_take_waits)
{
	static uint8_t big[4096];
	struct bsc_fd fds[1];
	int small = 4096;
	int sent = 0;

	bsc__transport_start(&t, "127.0.0.1", g.port, "127.0.0.1");
	run();
	ck_assert_int_eq(setsockopt(t.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
	while (bsc__transport_writable(&t) && sent++ < 10000)
		bsc__transport_write(&t, big, sizeof big);
	ck_assert_int_lt(sent, 10000);
	ck_assert_int_eq(t.state, BSC__TRANSPORT_UP);
	ck_assert_uint_eq(bsc__transport_fds(&t, fds, 1), 1);
	ck_assert_int_eq(fds[0].events, POLLIN | POLLOUT);
	/* The server reads again: it goes on by itself. */
	g.deaf = true;
	for (int k = 0; k < 20000 && !bsc__transport_writable(&t); k++) {
		gatekeeper_pump(&g);
		g.in_len = 0;
		bsc__transport_step(&t, bsc__now());
	}
	ck_assert(bsc__transport_writable(&t));
}
END_TEST

START_TEST(stopping_says_goodbye)
{
	bsc__transport_start(&t, "127.0.0.1", g.port, "127.0.0.1");
	run();
	bsc__transport_stop(&t, true);
	ck_assert_int_eq(t.state, BSC__TRANSPORT_IDLE);
	ck_assert_int_eq(t.fd, -1);
	for (int k = 0; k < 1000 && g.fd >= 0; k++)
		gatekeeper_pump(&g);
	ck_assert((SSL_get_shutdown(g.tls.ssl) & SSL_RECEIVED_SHUTDOWN) != 0);
	bsc__transport_stop(&t, true);
}
END_TEST

Suite *bs_suite_transport(void)
{
	Suite *s = suite_create("client transport");
	TCase *tc = tcase_create("transport");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, comes_up_and_carries_bytes);
	tcase_add_test(tc, the_next_address_is_tried);
	tcase_add_test(tc, a_silent_address_is_given_up);
	tcase_add_test(tc, a_hang_up_in_the_handshake_is_told);
	tcase_add_test(tc, a_hang_up_later_is_a_loss);
	tcase_add_test(tc, what_the_socket_does_not_take_waits);
	tcase_add_test(tc, stopping_says_goodbye);
	suite_add_tcase(s, tc);
	return s;
}
