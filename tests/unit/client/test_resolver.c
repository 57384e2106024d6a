/* SPDX-License-Identifier: Apache-2.0 */
/* Names against a small name server of the test's own: addresses, failures, silence, changes. */
#include "resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rig.h"

Suite *bs_suite_resolver(void);

/** The name server: what it answers. */
static struct {
	int fd;
	char csv[32];
	uint32_t a;    /**< address for A, 0 = none */
	bool aaaa;     /**< 2001:db8::7 for AAAA */
	uint8_t rcode; /**< 3 NXDOMAIN, 2 SERVFAIL */
	bool silent;
	bool junk; /**< answer with rubbish */
	int asked;
} dns;

static struct bsc__resolver *r;

static void setup(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct bsc_error e = { 0 };
	socklen_t len = sizeof in;

	memset(&dns, 0, sizeof dns);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	dns.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(dns.fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(getsockname(dns.fd, (struct sockaddr *)&in, &len), 0);
	(void)snprintf(dns.csv, sizeof dns.csv, "127.0.0.1:%u", ntohs(in.sin_port));
	ck_assert_msg(bsc__resolver_new(dns.csv, &r, &e) == BS_OK, "%s", e.text);
}

static void teardown(void)
{
	bsc__resolver_free(r);
	(void)close(dns.fd);
}

static size_t put_record(uint8_t *out, uint16_t type, const void *data, uint16_t len)
{
	bs_put_u16(out, 0xc00c);
	bs_put_u16(out + 2, type);
	bs_put_u16(out + 4, 1);
	memset(out + 6, 0, 4);
	out[9] = 60;
	bs_put_u16(out + 10, len);
	memcpy(out + 12, data, len);
	return 12u + len;
}

/** Answer the questions that are there. */
static void serve(void)
{
	static const uint8_t six[16] = { 0x20, 1, 0xd, 0xb8, [15] = 7 };
	uint8_t buf[1024];
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	ssize_t n;

	while ((n = recvfrom(dns.fd, buf, 512, 0, (struct sockaddr *)&from, &len)) > 12) {
		size_t end = 12;
		uint8_t four[4];
		uint16_t type;

		dns.asked++;
		while (buf[end] != 0)
			end += 1u + buf[end];
		end += 5;
		type = bs_get_u16(buf + end - 4);
		if (dns.silent)
			continue;
		buf[2] = 0x81;
		buf[3] = (uint8_t)(0x80 | dns.rcode);
		memset(buf + 6, 0, 6);
		bs_put_u32(four, dns.a);
		n = (ssize_t)end;
		if (dns.rcode == 0 && type == 1 && dns.a != 0) {
			buf[7] = 1;
			n += (ssize_t)put_record(buf + end, 1, four, 4);
		} else if (dns.rcode == 0 && type == 28 && dns.aaaa) {
			buf[7] = 1;
			n += (ssize_t)put_record(buf + end, 28, six, 16);
		}
		if (dns.junk)
			memset(buf + 12, 0xff, (size_t)n - 12);
		ck_assert_int_eq(sendto(dns.fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len),
				 n);
	}
}

/** Step until it is done, waiting for what it says; the result of the last step. */
static bs_ssize resolve(const char *name, struct bs_endpoint *out, struct bsc_error *e)
{
	bs_ssize rc;

	bsc__resolver_start(r, name, 5571);
	while ((rc = bsc__resolver_step(r, out, e)) == BS_EAGAIN) {
		struct bsc_fd fds[BSC__RESOLVER_FDS_MAX];
		struct pollfd p[BSC__RESOLVER_FDS_MAX + 1];
		size_t n = bsc__resolver_fds(r, fds, BSC__RESOLVER_FDS_MAX);
		int32_t ms = bsc__resolver_timeout_ms(r);

		ck_assert_int_ge(ms, 0);
		for (size_t k = 0; k < n; k++)
			p[k] = (struct pollfd){ .fd = fds[k].fd, .events = fds[k].events };
		p[n] = (struct pollfd){ .fd = dns.fd, .events = POLLIN };
		(void)poll(p, n + 1, ms);
		serve();
	}
	ck_assert_int_eq(bsc__resolver_timeout_ms(r), -1);
	return rc;
}

static const char *text(const struct bs_endpoint *ep)
{
	static char buf[BS_ENDPOINT_TEXT_MAX];

	bsc__endpoint_text(ep, buf);
	return buf;
}

START_TEST(an_address)
{
	struct bs_endpoint ep[BSC__ADDRS_MAX];
	struct bsc_error e;

	dns.a = 0xc0000207;
	ck_assert_int_eq(resolve("base.example", ep, &e), 1);
	ck_assert_str_eq(text(&ep[0]), "192.0.2.7:5571");
}
END_TEST

START_TEST(both_families)
{
	struct bs_endpoint ep[BSC__ADDRS_MAX];
	struct bsc_error e;

	dns.a = 0xc0000207;
	dns.aaaa = true;
	ck_assert_int_eq(resolve("base.example", ep, &e), 2);
	ck_assert(bs_endpoint_is_ip4(&ep[0]) != bs_endpoint_is_ip4(&ep[1]));
	dns.a = 0;
	ck_assert_int_eq(resolve("base.example", ep, &e), 1);
	ck_assert_str_eq(text(&ep[0]), "[2001:db8::7]:5571");
}
END_TEST

START_TEST(a_change_of_address_is_seen)
{
	struct bs_endpoint ep[BSC__ADDRS_MAX];
	struct bsc_error e;

	dns.a = 0xc0000207;
	ck_assert_int_eq(resolve("base.example", ep, &e), 1);
	dns.a = 0xc0000208;
	ck_assert_int_eq(resolve("base.example", ep, &e), 1);
	ck_assert_str_eq(text(&ep[0]), "192.0.2.8:5571");
}
END_TEST

START_TEST(failures_are_told_apart)
{
	struct bs_endpoint ep[BSC__ADDRS_MAX];
	struct bsc_error e;

	dns.rcode = 3;
	ck_assert_int_eq(resolve("nowhere.example", ep, &e), BS_EUNREACH);
	ck_assert_uint_eq(e.code, BSC_RESOLVE_NAME);
	ck_assert_ptr_nonnull(strstr(e.text, "nowhere.example"));
	dns.rcode = 0;
	ck_assert_int_eq(resolve("empty.example", ep, &e), BS_EUNREACH);
	ck_assert_uint_eq(e.code, BSC_RESOLVE_NAME);
	dns.rcode = 2;
	ck_assert_int_eq(resolve("broken.example", ep, &e), BS_EUNREACH);
	ck_assert_uint_eq(e.code, BSC_RESOLVE_FAILED);
}
END_TEST

START_TEST(rubbish_is_no_answer)
{
	struct bs_endpoint ep[BSC__ADDRS_MAX];
	struct bsc_error e = { 0 };

	dns.a = 0xc0000207;
	dns.junk = true;
	ck_assert_int_eq(resolve("base.example", ep, &e), BS_EUNREACH);
	ck_assert_int_eq(e.source, BSC_FROM_NETWORK);
}
END_TEST

START_TEST(numbers_ask_nobody)
{
	static const char *const names[] = { "192.0.2.1", "2001:db8::1", "::1" };
	struct bs_endpoint ep[BSC__ADDRS_MAX];
	struct bsc_error e;

	for (size_t k = 0; k < LEN(names); k++) {
		ck_assert_int_eq(resolve(names[k], ep, &e), 1);
		ck_assert_uint_eq(ep[0].port, 5571);
	}
	serve();
	ck_assert_int_eq(dns.asked, 0);
}
END_TEST

START_TEST(a_dropped_lookup_says_nothing)
{
	struct bs_endpoint ep[BSC__ADDRS_MAX];
	struct bsc_error e;

	dns.silent = true;
	bsc__resolver_start(r, "first.example", 1);
	ck_assert_int_eq(bsc__resolver_step(r, ep, &e), BS_EAGAIN);
	bsc__resolver_stop(r);
	ck_assert_int_eq(bsc__resolver_timeout_ms(r), -1);
	ck_assert_uint_eq(bsc__resolver_fds(r, NULL, 0), 0);
	/* Started over while the first one runs: only the second counts. */
	bsc__resolver_start(r, "second.example", 2);
	dns.silent = false;
	dns.a = 0xc0000209;
	ck_assert_int_eq(resolve("third.example", ep, &e), 1);
	ck_assert_str_eq(text(&ep[0]), "192.0.2.9:5571");
}
END_TEST

START_TEST(bad_servers_are_refused)
{
	struct bsc__resolver *other = NULL;
	struct bsc_error e;

	ck_assert_int_eq(bsc__resolver_new("not an address", &other, &e), BS_ECONF);
	ck_assert_ptr_null(other);
	ck_assert_ptr_nonnull(strstr(e.text, "not an address"));
	bsc__resolver_free(NULL);
}
END_TEST

START_TEST(a_silent_server_is_given_up)
{
	struct bs_endpoint ep[BSC__ADDRS_MAX];
	struct bsc_error e;

	dns.silent = true;
	ck_assert_int_eq(resolve("base.example", ep, &e), BS_EUNREACH);
	ck_assert_uint_eq(e.code, BSC_RESOLVE_FAILED);
	ck_assert_int_ge(dns.asked, 3);
}
END_TEST

Suite *bs_suite_resolver(void)
{
	Suite *s = suite_create("client resolver");
	TCase *t = tcase_create("resolver");
	TCase *slow = tcase_create("resolver patience");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_address);
	tcase_add_test(t, both_families);
	tcase_add_test(t, a_change_of_address_is_seen);
	tcase_add_test(t, failures_are_told_apart);
	tcase_add_test(t, numbers_ask_nobody);
	tcase_add_test(t, a_dropped_lookup_says_nothing);
	tcase_add_test(t, bad_servers_are_refused);
	suite_add_tcase(s, t);
	/* c-ares keeps its own clock: its three tries take seconds of it. */
	tcase_set_timeout(slow, 60);
	tcase_add_checked_fixture(slow, setup, teardown);
	tcase_add_test(slow, a_silent_server_is_given_up);
	tcase_add_test(slow, rubbish_is_no_answer);
	suite_add_tcase(s, slow);
	return s;
}
