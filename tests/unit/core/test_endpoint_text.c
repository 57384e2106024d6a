/* SPDX-License-Identifier: Apache-2.0 */
#include "util/endpoint_text.h"

#include "test.h"

/* What is read, and how it is written again; NULL: not read. */
static const char *const ip4_rows[][2] = {
	{ "192.0.2.1:5566", "192.0.2.1:5566" },
	{ "0.0.0.0:1", "0.0.0.0:1" },
	{ "255.255.255.255:65535", "255.255.255.255:65535" },
	{ "10.20.30.40", "10.20.30.40:7" },
	{ "192.0.2.1:0", "192.0.2.1:0" },
	{ "192.0.2.1:65536", NULL },
	{ "192.0.2.1:", NULL },
	{ "192.0.2.1:05566", NULL },
	{ "192.0.2.1:5566x", NULL },
	{ "192.0.2.1 ", NULL },
	{ " 192.0.2.1", NULL },
	{ "192.0.2.256", NULL },
	{ "192.0.2.01", NULL },
	{ "192.0.2", NULL },
	{ "192.0.2.", NULL },
	{ "192.0.2.1.5", NULL },
	{ "192.0..1", NULL },
	{ "-1.0.2.1", NULL },
	{ "0x7f.0.0.1", NULL },
	{ "", NULL },
	{ ":5566", NULL },
	{ "localhost", NULL },
	{ "4294967297.0.0.1", NULL },
};

/* RFC 5952 and RFC 4291 forms. */
static const char *const ip6_rows[][2] = {
	{ "[2001:db8::1]:5566", "[2001:db8::1]:5566" },
	{ "2001:db8::1", "[2001:db8::1]:7" },
	{ "[2001:db8::1]", "[2001:db8::1]:7" },
	{ "::", "[::]:7" },
	{ "::1", "[::1]:7" },
	{ "1::", "[1::]:7" },
	{ "2001:DB8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:7" },
	{ "2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]:7" },
	{ "2001:0db8:0000:0000:0000:0000:0000:0001", "[2001:db8::1]:7" },
	{ "1:0:0:2:0:0:0:3", "[1:0:0:2::3]:7" },
	{ "0:0:1:0:0:0:0:0", "[0:0:1::]:7" },
	{ "::2:3:4:5:6:7:8", "[0:2:3:4:5:6:7:8]:7" },
	{ "1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7:0]:7" },
	{ "::ffff:192.0.2.1", "192.0.2.1:7" },
	{ "[::ffff:192.0.2.1]:9", "192.0.2.1:9" },
	{ "64:ff9b::192.0.2.33", "[64:ff9b::c000:221]:7" },
	{ "1:2:3:4:5:6:1.2.3.4", "[1:2:3:4:5:6:102:304]:7" },
	{ "1:2:3:4:5:6:7:1.2.3.4", NULL },
	{ "1:2:3:4:5:6:7:8:9", NULL },
	{ "1:2:3:4:5:6:7", NULL },
	{ "1:2:3:4:5:6:7:8::", NULL },
	{ "1::2::3", NULL },
	{ ":::", NULL },
	{ ":1", NULL },
	{ "1:", NULL },
	{ "1:::2", NULL },
	{ "12345::", NULL },
	{ "g::", NULL },
	{ "::1.2.3", NULL },
	{ "1.2.3.4::", NULL },
	{ "fe80::1%eth0", NULL },
	{ "[::1", NULL },
	{ "::1]", NULL },
	{ "[::1]5", NULL },
	{ "[::1]:", NULL },
	{ "[::1]:65536", NULL },
	{ "[]", NULL },
	{ "[192.0.2.1]:5", NULL },
};

static void check(const char *const *row)
{
	char out[BS_ENDPOINT_TEXT_MAX];
	struct bs_endpoint ep;
	struct bs_endpoint was;
	uint8_t *copy = bs_test_copy((const uint8_t *)row[0], strlen(row[0]));
	int err;

	memset(&ep, 0x77, sizeof(ep));
	memcpy(&was, &ep, sizeof(ep));
	err = bs_endpoint_parse((const char *)copy, strlen(row[0]), 7, &ep);
	if (row[1]) {
		ck_assert_msg(err == BS_OK, "%s was not read", row[0]);
		ck_assert_str_eq(bs_endpoint_format(&ep, out), row[1]);
	} else {
		ck_assert_msg(err == BS_EINVAL, "%s was read", row[0]);
		ck_assert_mem_eq(&ep, &was, sizeof(ep));
	}
	free(copy);
}

START_TEST(ip4_texts)
{
	check(ip4_rows[_i]);
}
END_TEST

START_TEST(ip6_texts)
{
	const char *const none[2] = { ip6_rows[_i][0], NULL };

	check(BS_IP_LEN == 16 ? ip6_rows[_i] : none);
}
END_TEST

START_TEST(the_address_alone_has_no_brackets)
{
	char out[BS_ENDPOINT_TEXT_MAX];
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x7F000001u, 9);
	ck_assert_str_eq(bs_endpoint_format_ip(&ep, out), "127.0.0.1");
	if (bs_endpoint_parse("[2001:db8::5]:1", 15, 0, &ep) == BS_OK)
		ck_assert_str_eq(bs_endpoint_format_ip(&ep, out), "2001:db8::5");
}
END_TEST

START_TEST(the_longest_text_fits)
{
	char out[BS_ENDPOINT_TEXT_MAX + 1];
	struct bs_endpoint ep;

	memset(&ep, 0xFF, sizeof(ep));
	memset(out, 'x', sizeof(out));
	bs_endpoint_format(&ep, out);
	ck_assert_uint_lt(strlen(out), BS_ENDPOINT_TEXT_MAX);
	ck_assert_int_eq(out[BS_ENDPOINT_TEXT_MAX], 'x');
}
END_TEST

START_TEST(what_is_written_is_read_again)
{
	uint32_t seed = 0x5EED0u + (uint32_t)_i;
	struct bs_endpoint ep;
	struct bs_endpoint again;
	char out[BS_ENDPOINT_TEXT_MAX];
	size_t i;

	memset(&ep, 0, sizeof(ep));
	memset(&again, 0, sizeof(again));
	for (i = 0; i < BS_IP_LEN; i++)
		ep.ip[i] = (uint8_t)(bs_test_random(&seed) % 3 ? 0 : bs_test_random(&seed));
	ep.port = (uint16_t)bs_test_random(&seed);
	bs_endpoint_format(&ep, out);
	ck_assert_int_eq(bs_endpoint_parse(out, strlen(out), 0, &again), BS_OK);
	ck_assert_msg(bs_endpoint_equal(&ep, &again), "%s", out);
}
END_TEST

Suite *bs_suite_endpoint_text(void);

Suite *bs_suite_endpoint_text(void)
{
	Suite *s = suite_create("endpoint_text");
	TCase *tc = tcase_create("endpoint_text");

	tcase_add_loop_test(tc, ip4_texts, 0, BS_LEN(ip4_rows));
	tcase_add_loop_test(tc, ip6_texts, 0, BS_LEN(ip6_rows));
	tcase_add_test(tc, the_address_alone_has_no_brackets);
	tcase_add_test(tc, the_longest_text_fits);
	tcase_add_loop_test(tc, what_is_written_is_read_again, 0, 100);
	suite_add_tcase(s, tc);
	return s;
}
