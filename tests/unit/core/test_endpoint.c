/* SPDX-License-Identifier: Apache-2.0 */
#include "util/endpoint.h"

#include "test.h"

#define IP4(a, b, c, d)                                                                            \
 ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

START_TEST(an_ip4_endpoint_keeps_its_values)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, IP4(192, 0, 2, 1), 5566);
	ck_assert(bs_endpoint_is_ip4(&ep));
	ck_assert_uint_eq(bs_endpoint_ip4(&ep), IP4(192, 0, 2, 1));
	ck_assert_uint_eq(ep.port, 5566);
	ck_assert_uint_eq(ep.ip[BS_IP_LEN - 4], 192);
	ck_assert_uint_eq(ep.ip[BS_IP_LEN - 1], 1);
	ck_assert(bs_endpoint_is_set(&ep));
}
END_TEST

START_TEST(port_or_address_zero_is_not_set)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	ck_assert(!bs_endpoint_is_set(&ep));
	ep.port = 1;
	ck_assert(!bs_endpoint_is_set(&ep));
	bs_endpoint_set_ip4(&ep, 0, 5566);
	ck_assert(!bs_endpoint_is_set(&ep));
	bs_endpoint_set_ip4(&ep, IP4(192, 0, 2, 1), 0);
	ck_assert(!bs_endpoint_is_set(&ep));
	bs_endpoint_set_ip4(&ep, 1, 1);
	ck_assert(bs_endpoint_is_set(&ep));
}
END_TEST

START_TEST(equality_looks_at_address_and_port)
{
	struct bs_endpoint a;
	struct bs_endpoint b;

	bs_endpoint_set_ip4(&a, IP4(192, 0, 2, 1), 5566);
	bs_endpoint_set_ip4(&b, IP4(192, 0, 2, 1), 5566);
	ck_assert(bs_endpoint_equal(&a, &b));
	b.port++;
	ck_assert(!bs_endpoint_equal(&a, &b));
	bs_endpoint_set_ip4(&b, IP4(192, 0, 2, 2), 5566);
	ck_assert(!bs_endpoint_equal(&a, &b));
}
END_TEST

static const struct {
	uint32_t ip4;
	bool is_private;
} ranges[] = {
	{ IP4(9, 255, 255, 255), false },   { IP4(10, 0, 0, 0), true },
	{ IP4(10, 255, 255, 255), true },   { IP4(11, 0, 0, 0), false },
	{ IP4(126, 255, 255, 255), false }, { IP4(127, 0, 0, 1), true },
	{ IP4(128, 0, 0, 0), false },       { IP4(169, 253, 255, 255), false },
	{ IP4(169, 254, 0, 0), true },      { IP4(169, 255, 0, 0), false },
	{ IP4(172, 15, 255, 255), false },  { IP4(172, 16, 0, 0), true },
	{ IP4(172, 31, 255, 255), true },   { IP4(172, 32, 0, 0), false },
	{ IP4(192, 167, 255, 255), false }, { IP4(192, 168, 0, 0), true },
	{ IP4(192, 169, 0, 0), false },     { IP4(8, 8, 8, 8), false },
};

START_TEST(borders_of_the_private_ip4_ranges)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, ranges[_i].ip4, 1);
	ck_assert_int_eq(bs_endpoint_is_private(&ep), ranges[_i].is_private);
}
END_TEST

/* Rows of real IPv6; the MCU profile has no place for them. */
static const struct {
	uint8_t ip[16];
	bool is_private;
} ranges6[] = {
	{ { 0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, false },
	{ { 0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, true },
	{ { 0xFE, 0xBF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, true },
	{ { 0xFE, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, false },
	{ { 0xFC, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, true },
	{ { 0xFD, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, true },
	{ { 0xFB, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, false },
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, true },
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2 }, false },
};

START_TEST(borders_of_the_private_ip6_ranges)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	if (BS_IP_LEN < 16) {
		ck_assert(bs_endpoint_is_ip4(&ep));
		return;
	}
	memcpy(ep.ip, ranges6[_i].ip, BS_IP_LEN);
	ep.port = 1;
	ck_assert(!bs_endpoint_is_ip4(&ep));
	ck_assert_uint_eq(bs_endpoint_ip4(&ep), 0);
	ck_assert(bs_endpoint_is_set(&ep));
	ck_assert_int_eq(bs_endpoint_is_private(&ep), ranges6[_i].is_private);
}
END_TEST

Suite *bs_suite_endpoint(void);

Suite *bs_suite_endpoint(void)
{
	Suite *s = suite_create("endpoint");
	TCase *tc = tcase_create("endpoint");

	tcase_add_test(tc, an_ip4_endpoint_keeps_its_values);
	tcase_add_test(tc, port_or_address_zero_is_not_set);
	tcase_add_test(tc, equality_looks_at_address_and_port);
	tcase_add_loop_test(tc, borders_of_the_private_ip4_ranges, 0, BS_LEN(ranges));
	tcase_add_loop_test(tc, borders_of_the_private_ip6_ranges, 0, BS_LEN(ranges6));
	suite_add_tcase(s, tc);
	return s;
}
