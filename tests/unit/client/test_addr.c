/* SPDX-License-Identifier: Apache-2.0 */
/* Between endpoints and socket addresses; the addresses of this machine. */
#include "addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "rig.h"

Suite *bs_suite_addr(void);

START_TEST(numbers_are_parsed)
{
	static const struct {
		const char *text;
		bool ok;
		bool ip4;
	} rows[] = {
		{ "127.0.0.1", true, true },      { "::1", true, false },
		{ "2001:db8::5", true, false },   { "localhost", false, false },
		{ "1.2.3", false, false },        { "", false, false },
		{ "1.2.3.4.5", false, false },    { "[::1]", false, false },
		{ "::ffff:1.2.3.4", true, true },
	};

	for (size_t k = 0; k < LEN(rows); k++) {
		struct bs_endpoint ep;

		ck_assert_msg(bsc__addr_parse(rows[k].text, 77, &ep) == rows[k].ok, "%s",
			      rows[k].text);
		if (rows[k].ok) {
			ck_assert(bs_endpoint_is_ip4(&ep) == rows[k].ip4);
			ck_assert_uint_eq(ep.port, 77);
		}
	}
}
END_TEST

START_TEST(round_trips_in_both_families)
{
	static const char *const texts[] = { "192.0.2.1", "2001:db8::1" };

	for (size_t k = 0; k < LEN(texts); k++) {
		struct bs_endpoint ep;
		struct bs_endpoint back;
		struct sockaddr_storage ss;

		ck_assert(bsc__addr_parse(texts[k], 4711, &ep));
		ck_assert_uint_eq(bsc__addr_to(&ep, AF_INET6, &ss), sizeof(struct sockaddr_in6));
		ck_assert(bsc__addr_from((struct sockaddr *)&ss, &back));
		ck_assert(bs_endpoint_equal(&ep, &back));
		if (k == 1) {
			ck_assert_uint_eq(bsc__addr_to(&ep, AF_INET, &ss), 0);
			continue;
		}
		ck_assert_uint_eq(bsc__addr_to(&ep, AF_INET, &ss), sizeof(struct sockaddr_in));
		ck_assert(bsc__addr_from((struct sockaddr *)&ss, &back));
		ck_assert(bs_endpoint_equal(&ep, &back));
	}
}
END_TEST

START_TEST(other_families_are_refused)
{
	struct sockaddr sa = { .sa_family = AF_UNIX };
	struct bs_endpoint ep;

	ck_assert(!bsc__addr_from(&sa, &ep));
}
END_TEST

START_TEST(hosts_fit_and_carry_the_port)
{
	struct bs_ep6 out[BS_GATE_HOSTS_MAX];
	uint8_t n = bsc__addr_hosts(4000, true, out, BS_GATE_HOSTS_MAX);

	ck_assert_uint_le(n, BS_GATE_HOSTS_MAX);
	for (uint8_t k = 0; k < n; k++) {
		ck_assert_uint_eq(out[k].ep.port, 4000);
		ck_assert_uint_eq(out[k].kind, BS_EP6_HOST);
		ck_assert(!(out[k].ep.ip[0] == 0xfe && out[k].ep.ip[1] == 0x80));
	}
	n = bsc__addr_hosts(4000, false, out, BS_GATE_HOSTS_MAX);
	for (uint8_t k = 0; k < n; k++)
		ck_assert(bs_endpoint_is_ip4(&out[k].ep));
	ck_assert_uint_eq(bsc__addr_hosts(4000, true, out, 0), 0);
}
END_TEST

Suite *bs_suite_addr(void)
{
	Suite *s = suite_create("client addr");
	TCase *t = tcase_create("addr");

	tcase_add_test(t, numbers_are_parsed);
	tcase_add_test(t, round_trips_in_both_families);
	tcase_add_test(t, other_families_are_refused);
	tcase_add_test(t, hosts_fit_and_carry_the_port);
	suite_add_tcase(s, t);
	return s;
}
