/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/tunnel.h"

#include "test.h"

static struct bs_tunnel_command read_line(const char *text, int want)
{
	struct bs_slice line = bs_test_text(text);
	struct bs_tunnel_command c;
	uint8_t *copy = bs_test_copy(line.ptr, line.len);

	/* On storage of exactly its length, so that a sanitizer sees a read past the line. */
	line.ptr = copy;
	ck_assert_int_eq(bs_tunnel_decode(line, &c), want);
	if (c.host.len)
		c.host.ptr = (const uint8_t *)text + (c.host.ptr - copy);
	free(copy);
	return c;
}

static void is_host(const struct bs_tunnel_command *c, const char *host)
{
	ck_assert_uint_eq(c->host.len, strlen(host));
	if (c->host.len)
		ck_assert_mem_eq(c->host.ptr, host, strlen(host));
}

START_TEST(recorded_lines_are_rebuilt)
{
	static const struct {
		const char *scenario;
		uint16_t port;
	} want[] = { { "tunnel_open_ok", 41129 }, { "tunnel_refused", 1 } };
	struct bs_vectors *v = bs_vectors_load("data.txt");
	int done = 0;

	for (size_t k = 0; k < BS_LEN(want); k++) {
		struct bs_scenario sc = bs_scenario_find(v, want[k].scenario);
		const struct bs_row *r = NULL;

		while ((r = bs_scenario_packet(&sc, r))) {
			struct bs_slice plain = bs_row_hex(r, "plain");
			struct bs_tunnel_line l = { 0, { 0 } };
			struct bs_slice line = { l.text, 0 };
			struct bs_tunnel_command c;
			uint8_t out[BS_TUNNEL_COMMAND_MAX];

			if (plain.len < 6 || memcmp(plain.ptr, "tunnel", 6))
				continue;
			ck_assert_int_eq(bs_tunnel_feed(&l, plain.ptr, plain.len), BS_OK);
			line.len = l.len;
			ck_assert_int_eq(bs_tunnel_decode(line, &c), BS_OK);
			ck_assert_uint_eq(c.kind, BS_TUNNEL_TCP);
			ck_assert_uint_eq(c.port, want[k].port);
			is_host(&c, "127.0.0.1");
			ck_assert_int_eq(bs_tunnel_encode(&c, out, sizeof(out)), (int)plain.len);
			ck_assert_mem_eq(out, plain.ptr, plain.len);
			done++;
		}
	}
	ck_assert_int_eq(done, 2);
	bs_vectors_free(v);
}
END_TEST

START_TEST(lines_are_read_as_devices_do)
{
	struct bs_tunnel_command c;

	c = read_line("tunnel", BS_OK);
	ck_assert_uint_eq(c.kind, BS_TUNNEL_TCP);
	ck_assert_uint_eq(c.port, 0);
	is_host(&c, "");
	c = read_line("tunnel host=10.0.0.7 port=8080", BS_OK);
	ck_assert_uint_eq(c.port, 8080);
	is_host(&c, "10.0.0.7");
	/* Only the word's start is compared, the names are found anywhere, the first one counts. */
	c = read_line("tunneling,port=7xhost=a.b port=9 host=c", BS_EFIELD);
	c = read_line("tunnelport=7 xhost=a.b port=9 host=c", BS_OK);
	ck_assert_uint_eq(c.port, 7);
	is_host(&c, "a.b");
	c = read_line("tunnel port=65535 host=1.2.3.4\r", BS_OK);
	ck_assert_uint_eq(c.port, 65535);
	is_host(&c, "1.2.3.4");
	ck_assert_uint_eq(read_line("echo", BS_OK).kind, BS_TUNNEL_ECHO);
	ck_assert_uint_eq(read_line("echo port=x", BS_OK).kind, BS_TUNNEL_ECHO);
	ck_assert_uint_eq(read_line("uart,1,115200", BS_OK).kind, BS_TUNNEL_UART);
	ck_assert_uint_eq(read_line("", BS_OK).kind, BS_TUNNEL_OTHER);
	ck_assert_uint_eq(read_line("tunne", BS_OK).kind, BS_TUNNEL_OTHER);
	ck_assert_uint_eq(read_line("GET / HTTP/1.1", BS_OK).kind, BS_TUNNEL_OTHER);
	ck_assert_uint_eq(read_line(" tunnel", BS_OK).kind, BS_TUNNEL_OTHER);
	ck_assert_uint_eq(read_line("TUNNEL", BS_OK).kind, BS_TUNNEL_OTHER);
}
END_TEST

START_TEST(fields_out_of_range_are_refused)
{
	static const char *const bad[] = {
		"tunnel port=",          "tunnel port=0",           "tunnel port=65536",
		"tunnel port=-1",        "tunnel port=80x",         "tunnel port= 80",
		"tunnel port=0x50",      "tunnel port=99999999999", "tunnel host=",
		"tunnel host= port=1",   "tunnel host=\xc3\xa4",    "tunnel host=a\x7f",
		"tunnel port=x port=80",
	};
	char line[200] = "tunnel host=";

	for (size_t k = 0; k < BS_LEN(bad); k++)
		(void)read_line(bad[k], BS_EFIELD);
	memset(line + 12, 'h', BS_TUNNEL_HOST_MAX);
	ck_assert_uint_eq(read_line(line, BS_OK).host.len, BS_TUNNEL_HOST_MAX);
	line[12 + BS_TUNNEL_HOST_MAX] = 'h';
	(void)read_line(line, BS_EFIELD);
}
END_TEST

START_TEST(a_line_comes_in_any_pieces)
{
	static const char text[] = "tunnel port=80 host=127.0.0.1\n";

	for (size_t piece = 1; piece <= sizeof(text) - 1; piece++) {
		struct bs_tunnel_line l = { 0, { 0 } };
		size_t at;
		int rc = BS_EAGAIN;

		for (at = 0; at < sizeof(text) - 1; at += piece) {
			size_t n = sizeof(text) - 1 - at;

			ck_assert_int_eq(rc, BS_EAGAIN);
			rc = bs_tunnel_feed(&l, (const uint8_t *)text + at, n < piece ? n : piece);
		}
		ck_assert_int_eq(rc, BS_OK);
		ck_assert_uint_eq(l.len, sizeof(text) - 2);
		ck_assert_mem_eq(l.text, text, l.len);
	}
}
END_TEST

START_TEST(the_rest_of_the_segment_belongs_to_the_line)
{
	struct bs_tunnel_line l = { 0, { 0 } };

	ck_assert_int_eq(bs_tunnel_feed(&l, NULL, 0), BS_EAGAIN);
	ck_assert_int_eq(bs_tunnel_feed(&l, (const uint8_t *)"echo\nlost\nas well", 17), BS_OK);
	ck_assert_uint_eq(l.len, 4);
}
END_TEST

START_TEST(a_line_has_an_end)
{
	uint8_t x[BS_TUNNEL_LINE_MAX + 1];
	struct bs_tunnel_line l = { 0, { 0 } };

	memset(x, 'x', sizeof(x));
	/* As long as can be: 510 bytes and the LF. */
	ck_assert_int_eq(bs_tunnel_feed(&l, x, BS_TUNNEL_LINE_MAX - 1), BS_EAGAIN);
	ck_assert_int_eq(bs_tunnel_feed(&l, (const uint8_t *)"\n", 1), BS_OK);
	ck_assert_uint_eq(l.len, BS_TUNNEL_LINE_MAX - 1);
	/* One more is refused, in one piece or byte by byte, and stays refused. */
	l.len = 0;
	x[BS_TUNNEL_LINE_MAX] = '\n';
	ck_assert_int_eq(bs_tunnel_feed(&l, x, sizeof(x)), BS_ETOOBIG);
	for (size_t k = 0; k < BS_TUNNEL_LINE_MAX - 1; k++)
		ck_assert_int_eq(bs_tunnel_feed(&l, x, 1), BS_EAGAIN);
	ck_assert_int_eq(bs_tunnel_feed(&l, x, 1), BS_ETOOBIG);
	ck_assert_int_eq(bs_tunnel_feed(&l, x, 1), BS_ETOOBIG);
}
END_TEST

START_TEST(lines_are_written)
{
	struct bs_tunnel_command c = { BS_TUNNEL_TCP, 0, { NULL, 0 } };
	uint8_t buf[BS_TUNNEL_COMMAND_MAX];
	char host[BS_TUNNEL_HOST_MAX + 2];

	ck_assert_int_eq(bs_tunnel_encode(&c, buf, sizeof(buf)), 7);
	ck_assert_mem_eq(buf, "tunnel\n", 7);
	c.port = 22;
	ck_assert_int_eq(bs_tunnel_encode(&c, buf, sizeof(buf)), 15);
	ck_assert_mem_eq(buf, "tunnel port=22\n", 15);
	for (size_t cap = 0; cap < 15; cap++)
		ck_assert_int_eq(bs_tunnel_encode(&c, buf, cap), BS_ETOOBIG);
	c.kind = BS_TUNNEL_ECHO;
	ck_assert_int_eq(bs_tunnel_encode(&c, buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "echo\n", 5);
	c.kind = BS_TUNNEL_UART;
	ck_assert_int_eq(bs_tunnel_encode(&c, buf, sizeof(buf)), 5);
	c.kind = BS_TUNNEL_OTHER;
	ck_assert_int_eq(bs_tunnel_encode(&c, buf, sizeof(buf)), BS_EINVAL);
	c.kind = 4;
	ck_assert_int_eq(bs_tunnel_encode(&c, buf, sizeof(buf)), BS_EINVAL);
	/* The longest line fits the constant; a longer host is refused. */
	c.kind = BS_TUNNEL_TCP;
	c.port = 65535;
	memset(host, 'h', sizeof(host));
	host[sizeof(host) - 1] = '\0';
	c.host = bs_test_text(host);
	ck_assert_int_eq(bs_tunnel_encode(&c, buf, sizeof(buf)), BS_EINVAL);
	c.host.len--;
	ck_assert_int_gt(bs_tunnel_encode(&c, buf, sizeof(buf)), BS_TUNNEL_HOST_MAX);
}
END_TEST

START_TEST(a_host_cannot_smuggle)
{
	static const char *const bad[] = {
		" 10.0.0.1", "a b", "a\n", "a\nport=1", "a\tport=1", "\n"
	};
	struct bs_tunnel_command c = { BS_TUNNEL_TCP, 80, { NULL, 0 } };
	uint8_t buf[BS_TUNNEL_COMMAND_MAX];

	for (size_t k = 0; k < BS_LEN(bad); k++) {
		c.host = bs_test_text(bad[k]);
		ck_assert_int_eq(bs_tunnel_encode(&c, buf, sizeof(buf)), BS_EINVAL);
	}
}
END_TEST

Suite *bs_suite_tunnel(void);
Suite *bs_suite_tunnel(void)
{
	Suite *s = suite_create("tunnel");
	TCase *tc = tcase_create("tunnel");

	tcase_add_test(tc, recorded_lines_are_rebuilt);
	tcase_add_test(tc, lines_are_read_as_devices_do);
	tcase_add_test(tc, fields_out_of_range_are_refused);
	tcase_add_test(tc, a_line_comes_in_any_pieces);
	tcase_add_test(tc, the_rest_of_the_segment_belongs_to_the_line);
	tcase_add_test(tc, a_line_has_an_end);
	tcase_add_test(tc, lines_are_written);
	tcase_add_test(tc, a_host_cannot_smuggle);
	suite_add_tcase(s, tc);
	return s;
}
