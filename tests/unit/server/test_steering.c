/* SPDX-License-Identifier: Apache-2.0 */
/* The program as instructions, the rule in C, and real sockets. */
#include "net/steering.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/sockaddr.h"
#include "net/udp.h"
#include "suite.h"
#include "util/cursor.h"
#include "util/endpoint.h"

/* What the kernel does with classic BPF, as far as the program uses it: a load past the end ends
 * the program with 0. */
static uint32_t run(const struct bs_steering_insn *p, const uint8_t *data, size_t len)
{
	uint32_t a = 0;
	unsigned pc = 0;

	for (;;) {
		const struct bs_steering_insn *i = &p[pc++];

		ck_assert_uint_lt(pc, BS_STEERING_LEN + 1);
		switch (i->code) {
		case 0x80: a = (uint32_t)len; break;
		case 0x20:
			if (i->k + 4 > len)
				return 0;
			a = bs_get_u32(data + i->k);
			break;
		case 0x35: pc += a >= i->k ? i->jt : i->jf; break;
		case 0x15: pc += a == i->k ? i->jt : i->jf; break;
		case 0x74: a >>= i->k; break;
		case 0x94: a %= i->k; break;
		case 0x06: return i->k;
		case 0x16: return a;
		default: ck_abort_msg("unknown instruction %#x", i->code);
		}
	}
}

static int by_program(unsigned n, const uint8_t *data, size_t len)
{
	struct bs_steering_insn p[BS_STEERING_LEN];
	uint32_t r;

	bs_steering_program(n, p);
	r = run(p, data, len);
	return r < n ? (int)r : BS_STEER_ANY;
}

START_TEST(test_program_and_rule_agree)
{
	unsigned n = (unsigned)_i;
	uint8_t pkt[32] = { 0 };
	size_t len;
	unsigned top;

	for (top = 0; top < 256; top++) {
		bs_put_u32(pkt + 4, (uint32_t)top << 24 | 0x123456);
		ck_assert_int_eq(by_program(n, pkt, 24), (int)(top % n));
		ck_assert_int_eq(bs_steer(pkt, 24, n), (int)(top % n));
		for (len = 0; len < 16; len++) {
			ck_assert_int_eq(by_program(n, pkt, len), BS_STEER_ANY);
			ck_assert_int_eq(bs_steer(pkt, len, n), BS_STEER_ANY);
		}
	}
	bs_put_u32(pkt + 4, 0);
	ck_assert_int_eq(by_program(n, pkt, 24), BS_STEER_ANY);
	ck_assert_int_eq(bs_steer(pkt, 24, n), BS_STEER_ANY);
}
END_TEST

START_TEST(test_the_kernel_does_it)
{
	struct bs_endpoint ep;
	struct pollfd p[4];
	union bs_sockaddr sa;
	socklen_t len;
	uint8_t pkt[20] = { 0 };
	uint8_t buf[64];
	unsigned i;
	unsigned k;
	int from;

	bs_endpoint_set_ip4(&ep, 0x7F000001, 0);
	for (i = 0; i < 4; i++) {
		p[i].fd = bs_udp_open(&ep, 0);
		p[i].events = POLLIN;
		ck_assert_int_ge(p[i].fd, 0);
	}
	if (bs_steering_attach(p[0].fd, 4) != BS_OK)
		goto out; /* not on this kernel: workers forward */
	len = bs_sockaddr_set(&sa, &ep);
	for (i = 0; i < 64; i++) {
		/* A new source port each time, so the hash alone would spread them. */
		from = socket(AF_INET, SOCK_DGRAM, 0);
		bs_put_u32(pkt + 4, (uint32_t)i << 24 | 0x200000);
		ck_assert_int_eq(sendto(from, pkt, sizeof(pkt), 0, &sa.sa, len), sizeof(pkt));
		close(from);
		ck_assert_int_eq(poll(p, 4, 1000), 1);
		for (k = 0; k < 4; k++)
			ck_assert_int_eq(p[k].revents != 0, k == i % 4);
		ck_assert_int_eq(recv(p[i % 4].fd, buf, sizeof(buf), 0), sizeof(pkt));
	}
out:
	for (i = 0; i < 4; i++)
		bs_udp_close(p[i].fd);
}
END_TEST

START_TEST(test_attach_to_nothing)
{
	ck_assert_int_lt(bs_steering_attach(-1, 2), 0);
}
END_TEST

Suite *bs_suite_steering(void)
{
	Suite *s = suite_create("steering");
	TCase *c = tcase_create("steering");

	tcase_add_loop_test(c, test_program_and_rule_agree, 1, 9);
	tcase_add_loop_test(c, test_program_and_rule_agree, 255, 257);
	tcase_add_test(c, test_the_kernel_does_it);
	tcase_add_test(c, test_attach_to_nothing);
	suite_add_tcase(s, c);
	return s;
}
