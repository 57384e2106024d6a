/* SPDX-License-Identifier: Apache-2.0 */
#include "net/udp.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/sockaddr.h"
#include "suite.h"
#include "util/cursor.h"
#include "util/endpoint.h"

static struct bs_udp_rx *rx;
static struct bs_udp_tx *tx;
static bool use_ip6;

static void setup(void)
{
	rx = bs_udp_rx_new();
	tx = bs_udp_tx_new();
	ck_assert(rx && tx);
}

static void teardown(void)
{
	bs_udp_rx_free(rx);
	bs_udp_tx_free(tx);
	bs_udp_rx_free(NULL);
	bs_udp_tx_free(NULL);
}

static struct bs_endpoint loopback(bool ip6)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	if (ip6)
		ep.ip[15] = 1;
	else
		bs_endpoint_set_ip4(&ep, 0x7F000001, 0);
	return ep;
}

static void wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 2000), 1);
}

/* A batch of both families goes out and comes in with its addresses. */
START_TEST(test_batch)
{
	struct bs_endpoint a = loopback(_i);
	struct bs_endpoint b = loopback(_i);
	struct bs_udp_sent sent = { 0 };
	struct bs_datagram *d;
	int fa = bs_udp_open(&a, 1 << 20);
	int fb = bs_udp_open(&b, 1 << 20);
	unsigned i;
	int got = 0;
	int n;
	int k;

	ck_assert_int_ge(fa, 0);
	ck_assert_int_ge(fb, 0);
	ck_assert_int_eq(bs_udp_receive(rx, fb, &b, &d), BS_EAGAIN);
	for (i = 0; i < BS_UDP_BATCH; i++) {
		uint8_t *p = bs_udp_reserve(tx);

		ck_assert_ptr_nonnull(p);
		memset(p, (int)i, i + 1);
		bs_udp_commit(tx, i + 1, fa, &a, &b);
	}
	ck_assert_ptr_null(bs_udp_reserve(tx));
	ck_assert_uint_eq(bs_udp_queued(tx), BS_UDP_BATCH);
	bs_udp_flush(tx, &sent);
	ck_assert_uint_eq(sent.packets, BS_UDP_BATCH);
	ck_assert_uint_eq(sent.bytes, BS_UDP_BATCH * (BS_UDP_BATCH + 1) / 2);
	ck_assert_uint_eq(bs_udp_queued(tx), 0);
	while (got < BS_UDP_BATCH) {
		wait_for(fb);
		n = bs_udp_receive(rx, fb, &b, &d);
		ck_assert_int_gt(n, 0);
		for (k = 0; k < n; k++, got++) {
			ck_assert_uint_eq(d[k].len, (size_t)got + 1);
			ck_assert_uint_eq(d[k].data[got], (uint8_t)got);
			ck_assert(!d[k].cut);
			ck_assert(bs_endpoint_equal(&d[k].peer, &a));
			ck_assert(bs_endpoint_equal(&d[k].local, &b));
		}
	}
	bs_udp_close(fa);
	bs_udp_close(fb);
	bs_udp_close(-1);
}
END_TEST

/* A socket on the unspecified address: the answer leaves from the address that was asked. */
START_TEST(test_answer_from_the_address_asked)
{
	struct bs_endpoint any;
	struct bs_endpoint peer = loopback(false);
	struct bs_endpoint asked;
	struct bs_udp_sent sent = { 0 };
	struct bs_datagram *d;
	int fs;
	int fp;

	bs_endpoint_set_ip4(&any, 0, 0);
	fs = bs_udp_open(&any, 0);
	fp = bs_udp_open(&peer, 0);
	ck_assert(fs >= 0 && fp >= 0);
	bs_endpoint_set_ip4(&asked, 0x7F000022, any.port);
	memcpy(bs_udp_reserve(tx), "hi", 2);
	bs_udp_commit(tx, 2, fp, &peer, &asked);
	bs_udp_flush(tx, &sent);
	wait_for(fs);
	ck_assert_int_eq(bs_udp_receive(rx, fs, &any, &d), 1);
	ck_assert(bs_endpoint_equal(&d[0].local, &asked));
	memcpy(bs_udp_reserve(tx), "ho", 2);
	bs_udp_commit(tx, 2, fs, &d[0].local, &d[0].peer);
	bs_udp_flush(tx, &sent);
	wait_for(fp);
	ck_assert_int_eq(bs_udp_receive(rx, fp, &peer, &d), 1);
	ck_assert(bs_endpoint_equal(&d[0].peer, &asked));
	bs_udp_close(fs);
	bs_udp_close(fp);
}
END_TEST

/* One bad address in a batch costs that one datagram only. */
START_TEST(test_bad_one_in_a_batch)
{
	struct bs_endpoint a = loopback(false);
	struct bs_endpoint b = loopback(false);
	struct bs_endpoint gone;
	struct bs_udp_sent sent = { 0 };
	int fa = bs_udp_open(&a, 0);
	int fb = bs_udp_open(&b, 0);
	struct bs_datagram *d;
	int n = 0;
	int i;

	/* An address that this host does not have. */
	bs_endpoint_set_ip4(&gone, 0xC0000201, a.port);
	for (i = 0; i < 5; i++) {
		bs_udp_reserve(tx)[0] = (uint8_t)i;
		bs_udp_commit(tx, 1, fa, i == 2 ? &gone : &a, &b);
	}
	bs_udp_flush(tx, &sent);
	ck_assert_uint_eq(sent.packets, 4);
	ck_assert_uint_eq(sent.failed, 1);
	while (n < 4) {
		wait_for(fb);
		i = bs_udp_receive(rx, fb, &b, &d);
		ck_assert_int_gt(i, 0);
		n += i;
	}
	bs_udp_close(fa);
	bs_udp_close(fb);
}
END_TEST

/* The lengths of a burst, whatever the system merges on the way: each datagram comes out as it went
 * in, in order.  A longer one, another peer and another source begin anew; a shorter one ends. */
static void burst(const size_t *len, unsigned n, bool plain)
{
	struct bs_endpoint a = loopback(use_ip6);
	struct bs_endpoint b = loopback(use_ip6);
	struct bs_udp_sent sent = { 0 };
	struct bs_datagram *d;
	int fa = bs_udp_open(&a, 1 << 20);
	int fb = bs_udp_open(&b, 1 << 20);
	unsigned got = 0;
	size_t bytes = 0;

	if (plain)
		bs_udp_tx_plain(tx);
	for (unsigned i = 0; i < n; i++) {
		uint8_t *buf = bs_udp_reserve(tx);

		if (!buf) {
			bs_udp_flush(tx, &sent);
			buf = bs_udp_reserve(tx);
		}
		memset(buf, (int)i, len[i]);
		bs_udp_commit(tx, len[i], fa, &a, &b);
		bytes += len[i];
	}
	bs_udp_flush(tx, &sent);
	ck_assert_uint_eq(sent.packets, n);
	ck_assert_uint_eq(sent.bytes, bytes);
	while (got < n) {
		int k;

		if (!bs_udp_pending(rx))
			wait_for(fb);
		k = bs_udp_receive(rx, fb, &b, &d);
		ck_assert_int_gt(k, 0);
		for (int i = 0; i < k; i++, got++) {
			ck_assert(!d[i].cut);
			ck_assert_uint_eq(d[i].len, len[got]);
			ck_assert_uint_eq(d[i].data[0], (uint8_t)got);
			ck_assert_uint_eq(d[i].data[len[got] - 1], (uint8_t)got);
			ck_assert(bs_endpoint_equal(&d[i].peer, &a));
			ck_assert(bs_endpoint_equal(&d[i].local, &b));
		}
	}
	ck_assert(!bs_udp_pending(rx));
	bs_udp_close(fa);
	bs_udp_close(fb);
}

START_TEST(test_bursts)
{
	size_t len[200];

	use_ip6 = _i & 1;
	/* All alike: more than one message holds, and more than one call. */
	for (unsigned i = 0; i < 200; i++)
		len[i] = 1368;
	burst(len, 200, _i & 2);
	/* Small ones, so that the number of segments is the limit. */
	for (unsigned i = 0; i < 200; i++)
		len[i] = 16;
	burst(len, 200, _i & 2);
	/* Every pattern of longer and shorter. */
	for (unsigned i = 0; i < 200; i++)
		len[i] = 16 + (i * i * 7 + i / 3) % 5 * 300;
	burst(len, 200, _i & 2);
	for (unsigned i = 0; i < 64; i++)
		len[i] = i == 31 ? 100 : 1000;
	burst(len, 64, _i & 2);
}
END_TEST

/* Two peers in turn share nothing; what is merged goes to its own peer. */
START_TEST(test_peers_are_kept_apart)
{
	struct bs_endpoint a = loopback(false);
	struct bs_endpoint b[2] = { loopback(false), loopback(false) };
	struct bs_udp_sent sent = { 0 };
	struct bs_datagram *d;
	int fa = bs_udp_open(&a, 0);
	int fb[2] = { bs_udp_open(&b[0], 0), bs_udp_open(&b[1], 0) };

	for (unsigned i = 0; i < 32; i++) {
		memset(bs_udp_reserve(tx), (int)(i / 4 & 1), 100);
		bs_udp_commit(tx, 100, fa, &a, &b[i / 4 & 1]);
	}
	bs_udp_flush(tx, &sent);
	ck_assert_uint_eq(sent.packets, 32);
	for (unsigned k = 0; k < 2; k++) {
		for (int got = 0; got < 16;) {
			int n;

			wait_for(fb[k]);
			n = bs_udp_receive(rx, fb[k], &b[k], &d);
			ck_assert_int_gt(n, 0);
			for (int i = 0; i < n; i++, got++)
				ck_assert_uint_eq(d[i].data[99], k);
		}
		bs_udp_close(fb[k]);
	}
	bs_udp_close(fa);
}
END_TEST

START_TEST(test_longer_than_the_buffer)
{
	struct bs_endpoint a = loopback(false);
	int fa = bs_udp_open(&a, 0);
	static uint8_t big[4000];
	struct bs_datagram *d;
	union bs_sockaddr sa;
	socklen_t len = bs_sockaddr_set(&sa, &a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(sendto(fd, big, sizeof(big), 0, &sa.sa, len), sizeof(big));
	wait_for(fa);
	ck_assert_int_eq(bs_udp_receive(rx, fa, &a, &d), 1);
	ck_assert(d[0].cut);
	ck_assert_uint_eq(d[0].len, BS_UDP_BUF);
	close(fd);
	bs_udp_close(fa);
}
END_TEST

static void send_all(const struct bs_endpoint *to, int fd, unsigned n, size_t len)
{
	static const struct bs_endpoint any;
	struct bs_udp_sent sent = { 0 };
	unsigned i;

	for (i = 0; i < n; i++) {
		memset(bs_udp_reserve(tx), (int)i, len);
		/* In turn to two peers, so that they do not share a message. */
		bs_udp_commit(tx, len, fd, &any, &to[i % 2]);
	}
	bs_udp_flush(tx, &sent);
	ck_assert_uint_eq(sent.packets, n);
}

static int mtu_discovery(int fd)
{
	int v = -1;
	socklen_t len = sizeof(v);

	ck_assert_int_eq(getsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v, &len), 0);
	return v;
}

enum {
	IP_HEADER = 20,
	UDP_HEADER = 8,
};

/* The next datagram to ep.  A raw socket holds what came by before it was bound, too. */
static ssize_t read_raw(int raw, const struct bs_endpoint *ep, uint8_t *pkt, size_t cap)
{
	ssize_t len;

	do {
		wait_for(raw);
		len = read(raw, pkt, cap);
		ck_assert_int_ge(len, IP_HEADER + UDP_HEADER);
	} while (bs_get_u16(pkt + IP_HEADER + 2) != ep->port);
	return len;
}

/* Small datagrams leave without an identification, which costs the system a twentieth of them, and
 * the socket is as before, for larger ones. */
START_TEST(test_small_ones_are_not_numbered)
{
	enum {
		N = 16,
		ID = 4, /* offsets in it */
		FRAGMENT = 6,
	};
	const uint8_t dont_fragment[2] = { 0x40, 0 };
	struct bs_endpoint a = loopback(false);
	struct bs_endpoint to[2] = { loopback(false), loopback(false) };
	uint8_t pkt[2048];
	union bs_sockaddr sa;
	int fa = bs_udp_open(&a, 1 << 20);
	int before = mtu_discovery(fa);
	int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
	unsigned i;
	int fb;

	/* An address of its own, so that nothing else on this machine is seen. */
	bs_endpoint_set_ip4(&to[0], 0x7F4D0101, 0);
	fb = bs_udp_open(&to[0], 1 << 20);
	ck_assert_int_ge(fb, 0);
	to[1] = a;
	if (raw >= 0)
		ck_assert_int_eq(bind(raw, &sa.sa, bs_sockaddr_set(&sa, &to[0])), 0);
	send_all(to, fa, N, 24);
	ck_assert_int_eq(mtu_discovery(fa), before);
	/* Only root may look at headers. */
	for (i = 0; raw >= 0 && before == IP_PMTUDISC_WANT && i < N / 2; i++) {
		ck_assert_int_eq(read_raw(raw, &to[0], pkt, sizeof(pkt)),
				 IP_HEADER + UDP_HEADER + 24);
		ck_assert_mem_eq(pkt + ID, "\0", 2);
		ck_assert_mem_eq(pkt + FRAGMENT, dont_fragment, 2);
		ck_assert_uint_eq(pkt[IP_HEADER + UDP_HEADER], 2 * i);
	}
	/* What might be too long for a path is the system's to fragment. */
	send_all(to, fa, N, BS_UDP_BUF);
	ck_assert_int_eq(mtu_discovery(fa), before);
	send_all(to, fa, 2, 24);
	ck_assert_int_eq(mtu_discovery(fa), before);
	bs_udp_close(raw);
	bs_udp_close(fa);
	bs_udp_close(fb);
}
END_TEST

/* Path MTU discovery that an administrator switched off stays off. */
START_TEST(test_mtu_discovery_of_others_is_left_alone)
{
	struct bs_endpoint a = loopback(false);
	int fa = bs_udp_open(&a, 1 << 20);
	const struct bs_endpoint to[2] = { a, a };
	int v = IP_PMTUDISC_DONT;

	ck_assert_int_eq(setsockopt(fa, IPPROTO_IP, IP_MTU_DISCOVER, &v, sizeof(v)), 0);
	bs_udp_tx_plain(tx);
	send_all(to, fa, 16, 24);
	ck_assert_int_eq(mtu_discovery(fa), IP_PMTUDISC_DONT);
	bs_udp_close(fa);
}
END_TEST

START_TEST(test_open_errors)
{
	struct bs_endpoint ep = loopback(false);
	struct bs_endpoint same;
	struct bs_endpoint foreign;
	int fd = bs_udp_open(&ep, 0);
	int other;

	ck_assert_int_ge(fd, 0);
	ck_assert_uint_ne(ep.port, 0);
	/* Shared on purpose by a second worker; not by a second server. */
	same = ep;
	other = bs_udp_open(&same, 0);
	ck_assert_int_ge(other, 0);
	ck_assert_int_eq(bs_udp_check_free(&ep), BS_EBUSY);
	bs_udp_close(fd);
	bs_udp_close(other);
	ck_assert_int_eq(bs_udp_check_free(&ep), BS_OK);
	bs_endpoint_set_ip4(&foreign, 0xC0000201, 0);
	ck_assert_int_eq(bs_udp_open(&foreign, 0), BS_EUNREACH);
	ck_assert_int_eq(bs_udp_check_free(&foreign), BS_EUNREACH);
	ck_assert_int_eq(bs_udp_receive(rx, -1, &ep, &(struct bs_datagram *){ NULL }), BS_EIO);
}
END_TEST

/* Two servers of one user that ask for any port must not meet on one.  Asked by sharers, the kernel
 * gives out ports that are in use: some six of this many, by chance. */
START_TEST(test_any_port_is_nobodys)
{
	enum {
		N = 600
	};
	static bool taken[UINT16_MAX + 1];
	static int fd[N];
	unsigned i;

	for (i = 0; i < N; i++) {
		struct bs_endpoint ep = loopback(_i);

		fd[i] = bs_udp_open(&ep, 0);
		ck_assert_int_ge(fd[i], 0);
		ck_assert(!taken[ep.port]);
		taken[ep.port] = true;
	}
	for (i = 0; i < N; i++)
		bs_udp_close(fd[i]);
}
END_TEST

Suite *bs_suite_udp(void)
{
	Suite *s = suite_create("udp");
	TCase *c = tcase_create("udp");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_batch, 0, 2);
	tcase_add_loop_test(c, test_bursts, 0, 4);
	tcase_add_test(c, test_peers_are_kept_apart);
	tcase_add_test(c, test_answer_from_the_address_asked);
	tcase_add_test(c, test_bad_one_in_a_batch);
	tcase_add_test(c, test_longer_than_the_buffer);
	tcase_add_test(c, test_small_ones_are_not_numbered);
	tcase_add_test(c, test_mtu_discovery_of_others_is_left_alone);
	tcase_add_test(c, test_open_errors);
	tcase_add_loop_test(c, test_any_port_is_nobodys, 0, 2);
	suite_add_tcase(s, c);
	return s;
}
