/* SPDX-License-Identifier: Apache-2.0 */
/* What -v shows of an attempt. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "note.h"
#include "util/endpoint.h"

Suite *bs_suite_note(void);

static struct bsc__machine m;
static struct bsc_conn c;
static char seen[4096];

static void on_note(void *arg, const char *line)
{
	size_t n = strlen(seen);

	ck_assert_ptr_eq(arg, &m);
	(void)snprintf(seen + n, sizeof seen - n, "%s\n", line);
}

static void setup(void)
{
	memset(&m, 0, sizeof m);
	memset(&c, 0, sizeof c);
	seen[0] = '\0';
	m.set.note_fn = on_note;
	m.set.note_arg = &m;
	c.m = &m;
	c.born = BS_TIME_MS(1000);
	memcpy(c.attempt, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
}

START_TEST(a_line_has_number_and_time)
{
	bsc__note(&c, BS_TIME_MS(1250), "%s", "hello \x1b[2J");
	ck_assert_str_eq(seen, "attempt 0123456789abcdef +250 ms: hello ?[2J\n");
}
END_TEST

START_TEST(a_long_line_is_cut)
{
	char text[3 * BSC_ERROR_TEXT_MAX];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	bsc__note(&c, BS_TIME_MS(1250), "%s", text);
	ck_assert_uint_eq(strlen(seen), BSC_ERROR_TEXT_MAX - 1 + 1);
}
END_TEST

START_TEST(nobody_listens)
{
	static const struct bs_gate_connect_answer a;

	m.set.note_fn = NULL;
	bsc__note(&c, 0, "nothing");
	bsc__note_answer(&c, &a, 0);
	bsc__note_path(&c, 0);
	ck_assert_str_eq(seen, "");
}
END_TEST

START_TEST(an_answer_and_its_paths)
{
	struct bs_gate_connect_answer a = { .h = { .sp = 0x12345678 },
					    .nat = { .mapping = 3, .filtering = 99 },
					    .ipx = { .flags = BS_IPX_NAT_SYMMETRIC } };

	bs_endpoint_set_ip4(&a.ipx.global, 0xC0000201, 4000);
	a.eps[0].ep = a.ipx.global;
	a.eps[0].kind = BS_EP6_OBSERVED;
	bs_endpoint_set_ip4(&a.eps[1].ep, 0xC0000209, 5562);
	a.eps[1].kind = BS_EP6_RELAY;
	a.n_eps = 2;
	bsc__note_answer(&c, &a, c.born);
	ck_assert_ptr_nonnull(strstr(seen, "connection 12345678"));
	ck_assert_ptr_nonnull(strstr(seen, "mapping one for each address and port"));
	ck_assert_ptr_nonnull(strstr(seen, "filtering not known"));
	ck_assert_ptr_nonnull(strstr(seen, "the device's NAT: one for each address and port"));
	ck_assert_ptr_nonnull(strstr(seen, "UDP relay: 192.0.2.9:5562"));
	/* Each address once. */
	ck_assert_ptr_null(strstr(strstr(seen, "192.0.2.1:4000") + 1, "192.0.2.1:4000"));

	seen[0] = '\0';
	bsc__note_path(&c, c.born);
	ck_assert_ptr_nonnull(strstr(seen, "no path at the moment"));
	c.peer.conn.remote = a.eps[1].ep;
	c.peer.conn.path = BS_PATH_UDP_RELAY;
	bsc__note_path(&c, c.born);
	ck_assert_ptr_nonnull(strstr(seen, "path: UDP relay, 192.0.2.9:5562"));
	c.peer.conn.path = 77;
	bsc__note_path(&c, c.born);
}
END_TEST

Suite *bs_suite_note(void)
{
	Suite *s = suite_create("note");
	TCase *tc = tcase_create("note");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_line_has_number_and_time);
	tcase_add_test(tc, a_long_line_is_cut);
	tcase_add_test(tc, nobody_listens);
	tcase_add_test(tc, an_answer_and_its_paths);
	suite_add_tcase(s, tc);
	return s;
}
