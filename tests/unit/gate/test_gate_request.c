/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"
#include "test.h"
#include "util/endpoint.h"

static struct fake *f;
static struct dude d;

static void setup(void)
{
	f = fake_new("client-keepalive = 30s\n");
	memset(&d, 0, sizeof(d));
}

static void teardown(void)
{
	fake_free(f);
}

START_TEST(hello_tells_where_to_probe_and_what_was_agreed)
{
	dude_open(&d, f);
	const struct bs_gate_hello_answer *h = &d.hello;

	ck_assert_uint_eq(h->h.sp, 0x01100000);
	ck_assert_uint_eq(h->n_probes, 2);
	ck_assert_uint_eq(h->probes[0].port, 5566);
	ck_assert_uint_eq(h->probes[1].port, 5562);
	ck_assert_uint_eq(bs_endpoint_ip4(&h->observed), 0x7F000001);
	ck_assert_uint_eq(h->node.port, f->ops->port(f->shared));
	ck_assert_mem_eq(h->node.host.ptr, "base.test", 9);
	ck_assert_uint_eq(h->params.keepalive_s, 20);
	ck_assert_uint_eq(h->params.packet_max, BS_GATE_PACKET_MAX);
	ck_assert_uint_eq(h->params.version_min, 1);
	ck_assert(h->params.server_time_ms / 1000 == PKI_NOW);
	ck_assert(h->caps.bits & BS_CAP_ASYNC);
	dude_close(&d);
}
END_TEST

/** HELLO with these fields; its status. */
static uint16_t hello_with(uint16_t has, uint16_t keepalive, uint8_t min, uint8_t max,
			   uint16_t *agreed)
{
	struct bs_gate_hello_answer a;
	struct bs_gate_hello m;
	struct bs_packet p;
	uint8_t buf[256];

	memset(&m, 0, sizeof(m));
	m.h.cp = d.cp;
	m.h.seq = 9;
	m.version.kind = 1;
	m.params.has = has;
	m.params.keepalive_s = keepalive;
	m.params.version_min = min;
	m.params.version_max = max;
	dude_send(&d, buf, (size_t)bs_gate_hello_encode(&m, buf, sizeof(buf)));
	ck_assert(dude_next(&d, &p));
	ck_assert_uint_eq(p.h.seq, 9);
	ck_assert_int_eq(bs_gate_hello_answer_decode(&p, &a), BS_OK);
	if (agreed)
		*agreed = a.params.keepalive_s;
	return a.status.code;
}

START_TEST(the_keepalive_is_bounded_on_both_sides)
{
	const uint16_t both = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) | BS_PARAM_BIT(BS_PARAM_VERSIONS);
	uint16_t s;

	ck_assert(dude_dial(&d, f, f->pki->client, f->pki->client_key));
	ck_assert_uint_eq(hello_with(both, 0, 1, 1, &s), BS_ST_OK);
	ck_assert_uint_eq(s, 5);
	ck_assert_uint_eq(hello_with(both, 12, 1, 1, &s), BS_ST_OK);
	ck_assert_uint_eq(s, 12);
	ck_assert_uint_eq(hello_with(both, 65535, 1, 1, &s), BS_ST_OK);
	ck_assert_uint_eq(s, 30);
	ck_assert_uint_eq(hello_with(BS_PARAM_BIT(BS_PARAM_VERSIONS), 0, 1, 9, &s), BS_ST_OK);
	ck_assert_uint_eq(s, 30);
	dude_close(&d);
}
END_TEST

START_TEST(a_client_of_another_age_is_told_so_and_may_try_again)
{
	ck_assert(dude_dial(&d, f, f->pki->client, f->pki->client_key));
	ck_assert_uint_eq(hello_with(BS_PARAM_BIT(BS_PARAM_VERSIONS), 0, 2, 5, NULL),
			  BS_ST_VERSION);
	ck_assert_uint_eq(hello_with(BS_PARAM_BIT(BS_PARAM_VERSIONS), 0, 0, 0, NULL),
			  BS_ST_VERSION);
	ck_assert_uint_eq(hello_with(0, 0, 0, 0, NULL), BS_ST_MALFORMED);
	ck_assert_uint_eq(hello_with(BS_PARAM_BIT(BS_PARAM_VERSIONS), 0, 0, 1, NULL), BS_ST_OK);
	dude_close(&d);
}
END_TEST

START_TEST(without_a_session_number_there_is_no_session)
{
	f->no_probe = true;
	ck_assert(dude_dial(&d, f, f->pki->client, f->pki->client_key));
	ck_assert_uint_eq(hello_with(BS_PARAM_BIT(BS_PARAM_VERSIONS), 0, 1, 1, NULL), BS_ST_RATE);
	dude_close(&d);
}
END_TEST

START_TEST(a_second_hello_brings_a_new_token_under_the_same_number)
{
	uint8_t token[BS_TOKEN_LEN];
	struct bs_gate_hello_answer a;
	struct bs_packet p;

	dude_open(&d, f);
	memcpy(token, d.hello.token, sizeof(token));
	dude_hello(&d);
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_hello_answer_decode(&p, &a), BS_OK);
	ck_assert_uint_eq(a.h.sp, d.hello.h.sp);
	ck_assert_mem_ne(a.token, token, sizeof(token));
	dude_close(&d);
}
END_TEST

START_TEST(ping_is_answered_with_the_same)
{
	const struct bs_gate_head h = { 0xC0FFEE01, 5, 77 };
	struct bs_packet p;
	uint8_t buf[64];
	bool answer;

	dude_open(&d, f);
	dude_send(&d, buf, (size_t)bs_gate_ping_encode(&h, false, buf, sizeof(buf)));
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_check(&p, &answer), BS_OK);
	ck_assert(answer);
	ck_assert_uint_eq(p.h.type, BS_TYPE_PING);
	ck_assert_uint_eq(p.h.seq, 77);
	ck_assert_uint_eq(p.h.nsi_sp, 5);
	dude_close(&d);
}
END_TEST

START_TEST(without_tickets_the_session_goes_on)
{
	struct bs_header h = { .nsi_cp = 1, .type = BS_TYPE_TICKET, .version = 2, .seq = 3 };
	struct bs_writer w;
	uint8_t buf[64];

	ck_assert_int_eq(fake_reload(f, "connect-ticket-lifetime = 0s\n"), BS_OK);
	dude_open(&d, f);
	bs_packet_begin(&w, buf, sizeof(buf), &h);
	dude_send(&d, buf, (size_t)bs_packet_finish(&w));
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_TICKET), BS_ST_CANNOT_ANSWER);
	dude_hello(&d);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_HELLO), BS_ST_OK);
	dude_close(&d);
}
END_TEST

/** Packets that end a session with ERROR 0x8103 (or 0x8104). */
static const struct {
	const char *what;
	const char *hex;
	uint16_t code;
	bool before_hello;
} bad[] = {
	{ "version 1", "00000000000000002001000000010010", BS_ST_VERSION, false },
	{ "length 15", "0000000000000000200200000001000f", BS_ST_MALFORMED, false },
	{ "length 4097", "00000000000000002002000000011001", BS_ST_MALFORMED, false },
	{ "unknown type", "00000000000000002102000000010010", BS_ST_MALFORMED, false },
	{ "device type", "00000000000000008002000000010010", BS_ST_MALFORMED, false },
	{ "an answer", "00000000000000002002000100010010", BS_ST_MALFORMED, false },
	{ "exception flag", "00000000000000002002000200010010", BS_ST_MALFORMED, false },
	{ "tag flag", "000000000000000020020040000100120000", BS_ST_MALFORMED, false },
	{ "list cut short", "00000000000000002002000000010013aaaaaa", BS_ST_MALFORMED, false },
	{ "payload length 3", "000000000000000020020000000100147e800003", BS_ST_MALFORMED, false },
	{ "payload too long", "000000000000000020020000000100147e800005", BS_ST_MALFORMED, false },
	{ "LIST with an unknown payload", "000000000000000046020000000100147e000004",
	  BS_ST_MALFORMED, false },
	{ "DISCONNECT with one", "000000000000000042020000000100147e000004", BS_ST_MALFORMED,
	  false },
	{ "PING with one", "000000000000000020020000000100147e000004", BS_ST_MALFORMED, false },
	{ "TICKET with one", "000000000000000047020000000100147e000004", BS_ST_MALFORMED, false },
	{ "PING before HELLO", "00000000000000002002000000010010", BS_ST_MALFORMED, true },
	{ "CONNECT before HELLO", "00000000000000004102000000010010", BS_ST_MALFORMED, true },
};

static size_t unhex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; hex[0]; hex += 2) {
		char pair[3] = { hex[0], hex[1], 0 };

		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

START_TEST(a_malformed_packet_ends_the_session_with_a_reason)
{
	uint8_t buf[64];
	size_t n = unhex(bad[_i].hex, buf);

	if (bad[_i].before_hello)
		ck_assert(dude_dial(&d, f, f->pki->client, f->pki->client_key));
	else
		dude_open(&d, f);
	dude_send(&d, buf, n);
	ck_assert_msg(dude_status(&d, BS_TYPE_ERROR) == bad[_i].code, "%s", bad[_i].what);
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_malformed), 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	dude_close(&d);
}
END_TEST

START_TEST(a_request_that_lacks_something_is_answered_and_the_session_goes_on)
{
	static const char *const rows[] = { "00000000000000004102000000010010",
					    "00000000000000004302000000010010",
					    "000000000000000046020000000100146c000004" };
	static const uint8_t types[] = { BS_TYPE_CONNECT, BS_TYPE_WATCH, BS_TYPE_LIST };
	uint8_t buf[64];

	dude_open(&d, f);
	for (size_t i = 0; i < BS_LEN(rows); i++) {
		dude_send(&d, buf, unhex(rows[i], buf));
		ck_assert_uint_eq(dude_status(&d, types[i]), BS_ST_MALFORMED);
	}
	ck_assert_uint_eq(fake_count(f, BS_C_gate_bad_request), 3);
	dude_hello(&d);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_HELLO), BS_ST_OK);
	dude_close(&d);
}
END_TEST

START_TEST(a_flood_of_requests_is_slowed_and_a_flood_of_pings_ended)
{
	const struct bs_gate_head h = { 1, 0, 1 };
	uint8_t buf[64];
	size_t n = (size_t)bs_gate_ping_encode(&h, false, buf, sizeof(buf));
	struct bs_packet p;
	int served = 0;

	dude_open(&d, f);
	for (int i = 0; i < 90; i++)
		dude_connect(&d, "nothere.test", "ATTEMPT1");
	for (int i = 0; i < 90; i++)
		served += dude_status(&d, BS_TYPE_CONNECT) == BS_ST_REFUSED;
	/* HELLO took a share of the bucket too. */
	ck_assert_int_eq(served, (int)(BS_GATE_BUCKET / BS_GATE_COST_LOOKUP) - 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_limited), 90 - (uint64_t)served);
	fake_pass(f, 1000);
	dude_connect(&d, "nothere.test", "ATTEMPT1");
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_REFUSED);
	/* In one go: once the server has closed, writing is an error of its own. */
	uint8_t flood[(BS_GATE_REFILL + 1) * 16];

	for (size_t i = 0; i + n <= sizeof(flood); i += n)
		memcpy(flood + i, buf, n);
	dude_send(&d, flood, sizeof(flood));
	do
		ck_assert(dude_next(&d, &p));
	while (p.h.type == BS_TYPE_PING);
	ck_assert_uint_eq(p.h.type, BS_TYPE_ERROR);
	ck_assert(dude_ended(&d));
	dude_close(&d);
}
END_TEST

START_TEST(the_clients_error_ends_the_session)
{
	struct bs_gate_error m;
	uint8_t buf[64];

	memset(&m, 0, sizeof(m));
	m.status.code = BS_ST_ERROR;
	dude_open(&d, f);
	dude_send(&d, buf, (size_t)bs_gate_error_encode(&m, buf, sizeof(buf)));
	ck_assert(dude_ended(&d));
	dude_close(&d);
}
END_TEST

START_TEST(a_bad_identity_is_told_the_reason)
{
	const int64_t now = (int64_t)time(NULL) - (int64_t)PKI_NOW;
	X509 *x = pki_issue(f->pki->client_key, f->pki->ca, f->pki->ca_key,
			    &(struct pki_opts){ .email = "a@b",
						.email2 = "c@d",
						.from = now - PKI_DAY,
						.to = now + PKI_DAY });
	struct bs_gate_error e;
	struct bs_packet p;

	ck_assert(dude_dial(&d, f, x, f->pki->client_key));
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_error_decode(&p, &e), BS_OK);
	ck_assert_uint_eq(e.status.code, BS_ST_CERT_ID);
	ck_assert_mem_eq(e.status.text.ptr, "certificate has more than one", 29);
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_refused_identity), 1);
	dude_close(&d);
	X509_free(x);
}
END_TEST

static int no_random(void *ctx, uint8_t *buf, size_t len)
{
	return BS_ERANDOM;
}

START_TEST(without_random_numbers_nobody_gets_a_token)
{
	const struct bs_crypto *good = f->w.crypto;
	struct bs_crypto broken = *good;

	broken.random = no_random;
	ck_assert(dude_dial(&d, f, f->pki->client, f->pki->client_key));
	f->w.crypto = &broken;
	ck_assert_uint_eq(hello_with(BS_PARAM_BIT(BS_PARAM_VERSIONS), 0, 1, 1, NULL), BS_ST_ERROR);
	ck_assert_uint_eq(fake_count(f, BS_C_crypto_failed), 1);
	f->w.crypto = good;
	ck_assert_uint_eq(hello_with(BS_PARAM_BIT(BS_PARAM_VERSIONS), 0, 1, 1, NULL), BS_ST_OK);
	dude_close(&d);
}
END_TEST

Suite *bs_suite_gate_request(void)
{
	Suite *s = suite_create("gate_request");
	TCase *tc = tcase_create("request");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, hello_tells_where_to_probe_and_what_was_agreed);
	tcase_add_test(tc, the_keepalive_is_bounded_on_both_sides);
	tcase_add_test(tc, a_client_of_another_age_is_told_so_and_may_try_again);
	tcase_add_test(tc, without_a_session_number_there_is_no_session);
	tcase_add_test(tc, a_second_hello_brings_a_new_token_under_the_same_number);
	tcase_add_test(tc, ping_is_answered_with_the_same);
	tcase_add_test(tc, without_tickets_the_session_goes_on);
	tcase_add_loop_test(tc, a_malformed_packet_ends_the_session_with_a_reason, 0,
			    (int)BS_LEN(bad));
	tcase_add_test(tc, a_request_that_lacks_something_is_answered_and_the_session_goes_on);
	tcase_add_test(tc, a_flood_of_requests_is_slowed_and_a_flood_of_pings_ended);
	tcase_add_test(tc, the_clients_error_ends_the_session);
	tcase_add_test(tc, a_bad_identity_is_told_the_reason);
	tcase_add_test(tc, without_random_numbers_nobody_gets_a_token);
	suite_add_tcase(s, tc);
	return s;
}
