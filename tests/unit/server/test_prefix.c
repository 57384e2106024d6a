/* SPDX-License-Identifier: Apache-2.0 */
#include "server/prefix.h"

#include <string.h>

#include "suite.h"
#include "util/endpoint.h"

static const uint8_t key[BS_SIPHASH_KEY_LEN] = { 5 };

static struct bs_endpoint ip6(uint8_t byte6, uint8_t byte7)
{
	struct bs_endpoint ep = { .ip = { 0x20, 1, 0xd, 0xb8, 1, 2 }, .port = 9 };

	ep.ip[6] = byte6;
	ep.ip[7] = byte7;
	return ep;
}

START_TEST(test_ip4_is_24)
{
	struct bs_endpoint a;
	struct bs_endpoint b;
	struct bs_endpoint c;

	bs_endpoint_set_ip4(&a, 0x01020304, 1);
	bs_endpoint_set_ip4(&b, 0x010203FF, 2);
	bs_endpoint_set_ip4(&c, 0x01020404, 1);
	ck_assert(bs_prefix_equal(&a, &b));
	ck_assert(!bs_prefix_equal(&a, &c));
	ck_assert_uint_eq(bs_prefix_hash(key, &a), bs_prefix_hash(key, &b));
	ck_assert_uint_ne(bs_prefix_hash(key, &a), bs_prefix_hash(key, &c));
	ck_assert_uint_ne(bs_prefix_hash_address(key, &a), bs_prefix_hash_address(key, &b));
	b = a;
	b.port = 77;
	ck_assert_uint_eq(bs_prefix_hash_address(key, &a), bs_prefix_hash_address(key, &b));
}
END_TEST

START_TEST(test_ip6_is_56)
{
	struct bs_endpoint a = ip6(3, 4);
	struct bs_endpoint b = ip6(3, 5);
	struct bs_endpoint c = ip6(4, 4);
	struct bs_endpoint v4;

	ck_assert(bs_prefix_equal(&a, &b));
	ck_assert(!bs_prefix_equal(&a, &c));
	ck_assert_uint_eq(bs_prefix_hash(key, &a), bs_prefix_hash(key, &b));
	bs_endpoint_set_ip4(&v4, 0x20010db8, 9);
	ck_assert(!bs_prefix_equal(&a, &v4));
	ck_assert(!bs_prefix_equal(&v4, &a));
}
END_TEST

Suite *bs_suite_prefix(void)
{
	Suite *s = suite_create("prefix");
	TCase *c = tcase_create("prefix");

	tcase_add_test(c, test_ip4_is_24);
	tcase_add_test(c, test_ip6_is_56);
	suite_add_tcase(s, c);
	return s;
}
