/* SPDX-License-Identifier: Apache-2.0 */
#include "server/handover.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/udp.h"
#include "suite.h"
#include "util/endpoint.h"

static int pair[2];
static struct bs_handover out, in;

static void setup(void)
{
	ck_assert_int_eq(bs_handover_pair(pair), BS_OK);
	memset(&out, 0, sizeof(out));
	memset(&in, 0, sizeof(in));
}

static void teardown(void)
{
	bs_handover_fini(&out);
	bs_handover_fini(&in);
	close(pair[0]);
	close(pair[1]);
}

static int n_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

START_TEST(sockets_keep_what_lies_in_them)
{
	struct bs_endpoint ep;
	struct bs_handover_item it = { .what = BS_HANDOVER_UDP, .role = 3, .worker = 7 };
	struct bs_handover_item value = { .what = BS_HANDOVER_MASTER_KEY, .fd = -1, .len = 32 };
	const struct bs_handover_item *got;
	uint8_t buf[16];
	int from = socket(AF_INET, SOCK_DGRAM, 0);
	int fd;

	memset(&ep, 0, sizeof(ep));
	bs_endpoint_set_ip4(&ep, 0x7F000001, 0);
	it.fd = bs_udp_open(&ep, 65536);
	ck_assert_int_ge(it.fd, 0);
	it.ep = ep;
	memset(value.data, 0xA5, 32);
	ck_assert_int_eq(bs_handover_add(&out, &it), BS_OK);
	ck_assert_int_eq(bs_handover_add(&out, &value), BS_OK);
	{
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);

		ck_assert_int_eq(getsockname(it.fd, (struct sockaddr *)&sa, &len), 0);
		ck_assert_int_eq(sendto(from, "waits", 5, 0, (struct sockaddr *)&sa, len), 5);
	}
	ck_assert_int_eq(bs_handover_send(pair[0], &out), BS_OK);
	close(it.fd);
	ck_assert_int_eq(bs_handover_receive(pair[1], 1000, &in), BS_OK);
	ck_assert_uint_eq(in.n, 2);
	got = bs_handover_find(&in, BS_HANDOVER_MASTER_KEY, 0, 0);
	ck_assert_ptr_nonnull(got);
	ck_assert_uint_eq(got->len, 32);
	ck_assert_mem_eq(got->data, value.data, 32);
	got = bs_handover_find(&in, BS_HANDOVER_UDP, 7, 0);
	ck_assert_ptr_nonnull(got);
	ck_assert_uint_eq(got->role, 3);
	ck_assert(bs_endpoint_equal(&got->ep, &ep));
	ck_assert_ptr_eq(bs_handover_left(&in), got);
	fd = bs_handover_take(&in, BS_HANDOVER_UDP, 7, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 5);
	ck_assert_mem_eq(buf, "waits", 5);
	ck_assert_int_eq(bs_handover_take(&in, BS_HANDOVER_UDP, 7, 0), BS_ENOENT);
	ck_assert_int_eq(bs_handover_take(&in, BS_HANDOVER_UDP, 7, 1), BS_ENOENT);
	ck_assert_ptr_null(bs_handover_left(&in));
	close(fd);
	close(from);
}
END_TEST

START_TEST(what_nobody_takes_is_closed)
{
	struct bs_handover_item it = { .what = BS_HANDOVER_LOCK };
	int before;

	it.fd = dup(0);
	for (it.index = 0; it.index < 40; it.index++)
		ck_assert_int_eq(bs_handover_add(&out, &it), BS_OK);
	before = n_open();
	ck_assert_int_eq(bs_handover_send(pair[0], &out), BS_OK);
	ck_assert_int_eq(bs_handover_receive(pair[1], 1000, &in), BS_OK);
	ck_assert_int_eq(n_open(), before + 40);
	bs_handover_fini(&in);
	ck_assert_int_eq(n_open(), before);
	close(it.fd);
}
END_TEST

START_TEST(words_and_their_texts)
{
	char text[16];

	ck_assert_int_eq(bs_handover_hear(pair[1], 0, text, sizeof(text)), BS_ETIMEDOUT);
	ck_assert_int_eq(bs_handover_say(pair[0], BS_HANDOVER_READY, NULL), BS_OK);
	ck_assert_int_eq(bs_handover_say(pair[0], BS_HANDOVER_FAILED, "the reason is long"), BS_OK);
	ck_assert_int_eq(bs_handover_hear(pair[1], 100, text, sizeof(text)), BS_HANDOVER_READY);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(bs_handover_hear(pair[1], 100, text, sizeof(text)), BS_HANDOVER_FAILED);
	ck_assert_str_eq(text, "the reason is l");
	shutdown(pair[0], SHUT_RDWR);
	ck_assert_int_eq(bs_handover_hear(pair[1], 100, text, sizeof(text)), BS_ECLOSED);
	ck_assert_int_eq(bs_handover_say(pair[1], BS_HANDOVER_GO, NULL), BS_ECLOSED);
}
END_TEST

/* One packet as it is, with or without a descriptor. */
static void put(const void *buf, size_t len, int fd)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	union {
		struct cmsghdr align;
		uint8_t b[CMSG_SPACE(sizeof(int))];
	} r;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&r, 0, sizeof(r));
	if (fd >= 0) {
		m.msg_control = &r;
		m.msg_controllen = sizeof(r);
		CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(int));
	}
	ck_assert_int_eq(sendmsg(pair[0], &m, MSG_NOSIGNAL), (int)len);
}

START_TEST(packets_that_are_not_ours_are_refused)
{
	uint8_t item[31] = "BSUP\x01\x01";
	char text[8];
	int before = n_open();

	/* another version, no magic, too short, a word where an item has to be */
	put("BSUP\x02\x03", 6, -1);
	ck_assert_int_eq(bs_handover_hear(pair[1], 100, text, sizeof(text)), BS_EVERSION);
	put("BSUP\x02\x01", 6, -1);
	ck_assert_int_eq(bs_handover_receive(pair[1], 100, &in), BS_EVERSION);
	put("GET / HTTP/1.0\r\n", 16, 0);
	ck_assert_int_eq(bs_handover_receive(pair[1], 100, &in), BS_EPROTO);
	put("BSUP\x01", 5, -1);
	ck_assert_int_eq(bs_handover_receive(pair[1], 100, &in), BS_EPROTO);
	put("BSUP\x01\x03", 6, 0);
	ck_assert_int_eq(bs_handover_receive(pair[1], 100, &in), BS_EPROTO);
	/* every length that an item cannot have */
	for (size_t n = 6; n < 30; n++) {
		put(item, n, 0);
		ck_assert_int_eq(bs_handover_receive(pair[1], 100, &in), BS_EPROTO);
	}
	/* a socket without a descriptor, a value with one */
	item[6] = BS_HANDOVER_UDP;
	put(item, 30, -1);
	ck_assert_int_eq(bs_handover_receive(pair[1], 100, &in), BS_EPROTO);
	item[6] = BS_HANDOVER_WORKERS;
	put(item, 30, 0);
	ck_assert_int_eq(bs_handover_receive(pair[1], 100, &in), BS_EPROTO);
	ck_assert_uint_eq(in.n, 0);
	ck_assert_int_eq(n_open(), before);
}
END_TEST

START_TEST(limits)
{
	struct bs_handover_item it = { .what = BS_HANDOVER_WORKERS, .fd = -1 };

	it.len = BS_HANDOVER_DATA_MAX + 1;
	ck_assert_int_eq(bs_handover_add(&out, &it), BS_ETOOBIG);
	it.len = BS_HANDOVER_DATA_MAX;
	ck_assert_int_eq(bs_handover_add(&out, &it), BS_OK);
	ck_assert_int_eq(bs_handover_send(pair[0], &out), BS_OK);
	ck_assert_int_eq(bs_handover_receive(pair[1], 100, &in), BS_OK);
	ck_assert_uint_eq(in.item[0].len, BS_HANDOVER_DATA_MAX);
	/* one end goes away in the middle of the list */
	bs_handover_fini(&in);
	shutdown(pair[0], SHUT_RDWR);
	ck_assert_int_eq(bs_handover_receive(pair[1], 100, &in), BS_ECLOSED);
	ck_assert_int_eq(bs_handover_send(pair[0], &out), BS_ECLOSED);
}
END_TEST

Suite *bs_suite_handover(void)
{
	Suite *s = suite_create("handover");
	TCase *c = tcase_create("handover");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, sockets_keep_what_lies_in_them);
	tcase_add_test(c, what_nobody_takes_is_closed);
	tcase_add_test(c, words_and_their_texts);
	tcase_add_test(c, packets_that_are_not_ours_are_refused);
	tcase_add_test(c, limits);
	suite_add_tcase(s, c);
	return s;
}
