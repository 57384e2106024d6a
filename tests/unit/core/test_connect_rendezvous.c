/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/connect.h"

#include "support.h"
#include "util/endpoint.h"

static int rendezvous(const struct bs_packet *p)
{
	struct bs_rendezvous_packet m;

	return bs_rendezvous_packet_decode(p, &m);
}

static struct bs_rendezvous_packet sample(uint16_t step)
{
	struct bs_rendezvous_packet m;

	memset(&m, 0, sizeof(m));
	m.nsi = 20481;
	m.step = step;
	bs_endpoint_set_ip4(&m.ep1, 0xC0000201u, 4001);
	if (step)
		bs_endpoint_set_ip4(&m.ep2, 0xC0000202u, 4002);
	return m;
}

START_TEST(recordings_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	uint8_t buf[64];
	int steps[3] = { 0, 0, 0 };
	int odd = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_CONNECT, 0, &p))) {
			struct bs_rendezvous_packet m;
			bs_ssize n;
			int err;

			if (!bs_connect_is_rendezvous(&p))
				continue;
			err = bs_rendezvous_packet_decode(&p, &m);
			if (err) {
				/* A step 3 that the device did not answer. */
				ck_assert_int_eq(err, BS_EFIELD);
				odd++;
				continue;
			}
			n = bs_rendezvous_packet_encode(buf, sizeof(buf), &m);
			/* The recorder also asked for more than the interval that may be asked. */
			if (n == BS_EINVAL && m.interval_ms > BS_RENDEZVOUS_INTERVAL_MAX)
				continue;
			ck_assert_int_eq(n, (int)p.len);
			ck_assert_mem_eq(buf, p.bytes, p.len);
			steps[m.step]++;
		}
	}
	ck_assert_int_ge(steps[0], 20);
	ck_assert_int_ge(steps[1], 3);
	ck_assert_int_ge(steps[2], 3);
	ck_assert_int_eq(odd, 1);
	bs_vectors_free(v);
}
END_TEST

START_TEST(maltreated_messages)
{
	struct bs_rendezvous_packet m = sample((uint16_t)_i);
	uint8_t buf[64];
	bs_ssize n = bs_rendezvous_packet_encode(buf, sizeof(buf), &m);

	ck_assert_int_eq(n, _i ? 36 : 26);
	bs_test_maltreat(buf, (size_t)n, (size_t)n, rendezvous);
	if (!_i)
		return;
	m.interval_ms = 5000;
	n = bs_rendezvous_packet_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(n, 44);
	bs_test_maltreat(buf, (size_t)n, 36, rendezvous);
}
END_TEST

START_TEST(limits_of_step_and_interval)
{
	struct bs_rendezvous_packet m = sample(2);
	struct bs_rendezvous_packet out;
	struct bs_packet p;
	uint8_t buf[64];

	m.interval_ms = BS_RENDEZVOUS_INTERVAL_MAX;
	ck_assert_int_eq(bs_rendezvous_packet_encode(buf, sizeof(buf), &m), 44);
	ck_assert_int_eq(bs_packet_decode(buf, 44, &p), BS_OK);
	ck_assert_int_eq(bs_rendezvous_packet_decode(&p, &out), BS_OK);
	ck_assert_uint_eq(out.interval_ms, 18000);
	m.interval_ms++;
	ck_assert_int_eq(bs_rendezvous_packet_encode(buf, sizeof(buf), &m), BS_EINVAL);
	m = sample(2);
	m.step = 3;
	ck_assert_int_eq(bs_rendezvous_packet_encode(buf, sizeof(buf), &m), BS_EINVAL);
	buf[13] = 3;
	ck_assert_int_eq(bs_test_decode(buf, 44, rendezvous), BS_EFIELD);
}
END_TEST

/* A NONCE of another length is not an interval. */
START_TEST(an_odd_nonce_is_no_interval)
{
	struct bs_rendezvous_packet out;
	struct bs_header h;
	struct bs_packet p;
	struct bs_writer w;
	uint8_t buf[64];
	bs_ssize n;

	memset(&h, 0, sizeof(h));
	h.type = BS_TYPE_U_CONNECT;
	h.seq = 1;
	bs_packet_begin(&w, buf, sizeof(buf), &h);
	bs_packet_add(&w, BS_PL_EP, 0, "\1\2\3\4\5\6", 6);
	bs_packet_add(&w, BS_PL_EP, 0, "\1\2\3\4\5\6", 6);
	bs_packet_add(&w, BS_PL_NONCE, 0, "\0\0\0\1\2", 5);
	n = bs_packet_finish(&w);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_rendezvous_packet_decode(&p, &out), BS_OK);
	ck_assert_uint_eq(out.interval_ms, 0);
}
END_TEST

START_TEST(ip6_endpoints_follow_as_ep6)
{
	static const uint8_t ip[16] = {
		0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9
	};
	struct bs_rendezvous_packet m = sample(2);
	struct bs_rendezvous_packet out;
	struct bs_packet p;
	uint8_t buf[128];
	bs_ssize n;
	int i;

	for (i = 1; i < 4 && BS_IP_LEN == 16; i++) {
		m = sample(2);
		if (i & 1)
			memcpy(m.ep1.ip, ip + 16 - BS_IP_LEN, BS_IP_LEN);
		if (i & 2)
			memcpy(m.ep2.ip, ip + 16 - BS_IP_LEN, BS_IP_LEN);
		n = bs_rendezvous_packet_encode(buf, sizeof(buf), &m);
		ck_assert_int_eq(n, 36 + 24 * (i == 3 ? 2 : 1));
		ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
		ck_assert_int_eq(bs_rendezvous_packet_decode(&p, &out), BS_OK);
		ck_assert(bs_endpoint_equal(&m.ep1, &out.ep1));
		ck_assert(bs_endpoint_equal(&m.ep2, &out.ep2));
	}
	ck_assert_int_gt(bs_rendezvous_packet_encode(buf, sizeof(buf), &m), 0);
}
END_TEST

/* Dual-stack devices in the field send address 0 with a port: that is no IPv6 mark. */
START_TEST(address_zero_with_a_port_stays)
{
	struct bs_rendezvous_packet m = sample(1);
	struct bs_rendezvous_packet out;
	struct bs_packet p;
	uint8_t buf[64];

	bs_endpoint_set_ip4(&m.ep1, 0, 4001);
	ck_assert_int_eq(bs_rendezvous_packet_encode(buf, sizeof(buf), &m), 36);
	ck_assert_int_eq(bs_packet_decode(buf, 36, &p), BS_OK);
	ck_assert_int_eq(bs_rendezvous_packet_decode(&p, &out), BS_OK);
	ck_assert_uint_eq(out.ep1.port, 4001);
	ck_assert_uint_eq(bs_endpoint_ip4(&out.ep1), 0);
}
END_TEST

Suite *bs_suite_connect_rendezvous(void);

Suite *bs_suite_connect_rendezvous(void)
{
	Suite *s = suite_create("connect_rendezvous");
	TCase *tc = tcase_create("connect_rendezvous");

	tcase_add_test(tc, recordings_are_rebuilt);
	tcase_add_loop_test(tc, maltreated_messages, 0, 3);
	tcase_add_test(tc, limits_of_step_and_interval);
	tcase_add_test(tc, an_odd_nonce_is_no_interval);
	tcase_add_test(tc, ip6_endpoints_follow_as_ep6);
	tcase_add_test(tc, address_zero_with_a_port_stays);
	suite_add_tcase(s, tc);
	return s;
}
