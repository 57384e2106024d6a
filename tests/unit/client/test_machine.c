/* SPDX-License-Identifier: Apache-2.0 */
/* The session: opening, HELLO in all its ends, redirects, losses, back-off, garbage. */
#include "rig.h"

Suite *bs_suite_machine(void);

static struct rig r;

static void setup(void)
{
	rig_init(&r);
}

static void teardown(void)
{
	rig_fini(&r);
}

static void no_ping(void *arg, uint32_t rtt_us, const struct bsc_error *err)
{
	struct told *t = arg;

	(void)rtt_us;
	t->n++;
	if (err != NULL)
		t->err = *err;
}

/** Answer r.last with a REDIRECT. */
static void redirect(const char *host, uint16_t port)
{
	struct bs_header h = { .nsi_cp = r.last.h.nsi_cp,
			       .type = BS_TYPE_REDIRECT,
			       .version = 2,
			       .flags = BS_FLAG_RESPONSE,
			       .seq = r.last.h.seq };
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_writer w;
	uint8_t *node;

	/* By hand, since the encoder refuses what a bad server may send. */
	bs_packet_begin(&w, buf, sizeof buf, &h);
	node = bs_packet_add_reserve(&w, BS_PL_NODE, 0, 2 + strlen(host));
	bs_put_u16(node, port);
	memcpy(node + 2, host, strlen(host));
	rig_bytes(&r, buf, bs_packet_finish(&w));
}

START_TEST(opens_and_says_who_it_is)
{
	struct bs_gate_hello h;
	bs_time at;

	ck_assert(!bsc__machine_next_timeout(&r.m, &at));
	bsc__machine_open(&r.m, r.now);
	ck_assert(r.m.want);
	ck_assert_str_eq(r.m.host, "base.example");
	ck_assert_uint_eq(r.m.port, 5571);
	ck_assert(!rig_sent(&r));
	rig_up(&r);
	ck_assert_int_eq(bs_gate_hello_decode(&r.last, &h), BS_OK);
	ck_assert_uint_eq(h.version.kind, 1);
	ck_assert_uint_eq(h.params.keepalive_s, 60);
	ck_assert_uint_eq(h.params.version_min, 1);
	ck_assert_uint_eq(h.params.version_max, 1);
	ck_assert(h.caps.bits & BS_CAP_ASYNC);
	ck_assert(!(h.caps.bits & BS_CAP_LEGACY_CLIENT));
	ck_assert(!rig_sent(&r));
	r.now += BS_TIME_MS(3);
	rig_hello(&r);
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPEN);
	ck_assert_str_eq(r.session.trace, "rhap");
	ck_assert_uint_eq(r.m.rtt_us, 3000);
	ck_assert_uint_eq(r.m.keepalive_ms, 40000);
	ck_assert_str_eq(r.m.node, "node1.example:5571");
	ck_assert_uint_eq(r.m.server_time_ms, 1767323045000);
}
END_TEST

START_TEST(opening_twice_is_one_transport)
{
	bsc__machine_open(&r.m, r.now);
	bsc__machine_open(&r.m, r.now);
	ck_assert_uint_eq(r.m.transport, 1);
	rig_up(&r);
	rig_hello(&r);
	bsc__machine_open(&r.m, r.now);
	ck_assert_uint_eq(r.m.transport, 1);
}
END_TEST

START_TEST(the_answer_may_come_in_any_pieces)
{
	struct bs_gate_hello_answer a = { .status = { .code = BS_ST_RATE, .text = rig_text("x") } };
	uint8_t buf[BS_GATE_PACKET_MAX];
	bs_ssize n;

	bsc__machine_open(&r.m, r.now);
	rig_up(&r);
	a.h.seq = r.last.h.seq;
	n = bs_gate_hello_answer_encode(&a, buf, sizeof buf);
	for (bs_ssize k = 0; k < n; k++) {
		ck_assert_int_eq(r.m.state, BSC_SESSION_OPENING);
		bsc__machine_bytes(&r.m, buf + k, 1, r.now);
	}
	ck_assert_uint_eq(r.session.err.code, BS_ST_RATE);
}
END_TEST

/** Refusals of HELLO: what the caller sees, and whether it may come back. */
static const struct {
	uint16_t status;
	int err;
} refusals[] = {
	{ BS_ST_RATE, BS_ERATE },        { BS_ST_DRAINING, BS_EDRAIN },
	{ BS_ST_VERSION, BS_EVERSION },  { BS_ST_MALFORMED, BS_EPROTO },
	{ BS_ST_REFUSED, BS_EPERM },     { BS_ST_CERT_ID, BS_EAUTH },
	{ BS_ST_CLIENT_CERT, BS_EAUTH }, { BS_ST_SELF_SIGNED, BS_EAUTH },
	{ BS_ST_BUSY, BS_EFULL },        { BS_ST_ERROR, BS_EPROTO },
	{ 0x8abc, BS_EREFUSED },         { BS_ST_PENDING, BS_EAGAIN },
};

START_TEST(a_refused_hello_ends_every_request_with_its_reason)
{
	struct told ping = { 0 };

	ck_assert_int_eq(bsc__request_ping(&r.m, no_ping, &ping, r.now), BS_OK);
	rig_up(&r);
	rig_refuse(&r, refusals[_i].status, "because", 0);
	ck_assert_int_eq(ping.n, 1);
	ck_assert_uint_eq(ping.err.code, refusals[_i].status);
	ck_assert_int_eq(ping.err.err, refusals[_i].err);
	ck_assert_int_eq(ping.err.source, BSC_FROM_BASESTATION);
	ck_assert_ptr_nonnull(strstr(ping.err.text, "because"));
	ck_assert_int_eq(r.session.step, BSC_CLOSED);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
	ck_assert(!r.m.want);
	ck_assert_uint_eq(r.m.n_reqs, 0);
}
END_TEST

START_TEST(retry_after_is_obeyed)
{
	struct told ping = { 0 };
	bs_time at;

	bsc__machine_open(&r.m, r.now);
	rig_up(&r);
	rig_refuse(&r, BS_ST_RATE, "", 7000);
	ck_assert_uint_eq(r.session.err.retry_after_ms, 7000);
	ck_assert_int_eq(bsc__request_ping(&r.m, no_ping, &ping, r.now), BS_OK);
	ck_assert_int_eq(r.m.state, BSC_SESSION_WAITING);
	ck_assert(!r.m.want);
	ck_assert(bsc__machine_next_timeout(&r.m, &at));
	rig_pass(&r, 6999);
	ck_assert(!r.m.want);
	rig_pass(&r, 1);
	ck_assert(r.m.want);
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_PING);
}
END_TEST

START_TEST(a_longer_retry_after_fails_what_waits_with_the_reason)
{
	struct told ping = { 0 };

	bsc__machine_open(&r.m, r.now);
	rig_up(&r);
	rig_refuse(&r, BS_ST_RATE, "slowly", 600000);
	ck_assert_int_eq(bsc__request_ping(&r.m, no_ping, &ping, r.now), BS_OK);
	rig_pass(&r, 10000);
	ck_assert_int_eq(ping.n, 1);
	ck_assert_uint_eq(ping.err.code, BS_ST_RATE);
	ck_assert_uint_eq(ping.err.retry_after_ms, 600000);
	/* Nobody needs the session any more: it does not come back by itself. */
	rig_pass(&r, 600000);
	ck_assert(!r.m.want);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
}
END_TEST

START_TEST(follows_three_redirects)
{
	static const char *const hosts[] = { "n1.example", "n2.example", "192.0.2.3" };

	bsc__machine_open(&r.m, r.now);
	for (uint32_t k = 0; k < 3; k++) {
		rig_up(&r);
		redirect(hosts[k], (uint16_t)(443 + k));
		ck_assert_int_eq(r.m.state, BSC_SESSION_OPENING);
		ck_assert_str_eq(r.m.host, hosts[k]);
		ck_assert_uint_eq(r.m.port, 443 + k);
		ck_assert_uint_eq(r.m.transport, k + 2);
		ck_assert(!r.m.up);
	}
	rig_up(&r);
	rig_hello(&r);
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPEN);
}
END_TEST

START_TEST(the_fourth_redirect_is_a_loop)
{
	struct told ping = { 0 };

	ck_assert_int_eq(bsc__request_ping(&r.m, no_ping, &ping, r.now), BS_OK);
	for (int k = 0; k < 4; k++) {
		rig_up(&r);
		redirect(k % 2 == 0 ? "a.example" : "b.example", 5571);
	}
	ck_assert_int_eq(ping.n, 1);
	ck_assert_uint_eq(ping.err.code, BSC_REDIRECTS);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
	/* The next try starts from the configured server. */
	bsc__machine_open(&r.m, r.now);
	ck_assert_str_eq(r.m.host, "base.example");
	ck_assert_uint_eq(r.m.redirects, 0);
}
END_TEST

START_TEST(redirects_to_nonsense_are_refused)
{
	static const struct {
		const char *host;
		uint16_t port;
	} rows[] = { { "a b", 5571 }, { "a\nb", 5571 }, { "ok.example", 0 }, { "caf\xc3\xa9", 1 } };

	for (size_t k = 0; k < LEN(rows); k++) {
		rig_fini(&r);
		rig_init(&r);
		bsc__machine_open(&r.m, r.now);
		rig_up(&r);
		redirect(rows[k].host, rows[k].port);
		ck_assert_uint_eq(r.session.err.code, BSC_PROTOCOL);
		ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
	}
}
END_TEST

START_TEST(no_answer_in_time)
{
	static const char *const words[] = { "resolving", "handshaking", "asking" };

	for (int k = 0; k < 3; k++) {
		rig_fini(&r);
		rig_init(&r);
		bsc__machine_open(&r.m, r.now);
		bsc__machine_progress(&r.m, BSC_RESOLVING);
		if (k >= 1)
			bsc__machine_progress(&r.m, BSC_HANDSHAKING);
		if (k >= 2)
			bsc__machine_up(&r.m, r.now);
		rig_pass(&r, 9999);
		ck_assert_int_eq(r.m.state, BSC_SESSION_OPENING);
		rig_pass(&r, 1);
		ck_assert_uint_eq(r.session.err.code, BSC_TIMEOUT);
		ck_assert_ptr_nonnull(strstr(r.session.err.text, words[k]));
		ck_assert(!r.m.want);
	}
}
END_TEST

START_TEST(a_failed_first_attempt_is_told_at_once)
{
	struct told ping = { 0 };

	ck_assert_int_eq(bsc__request_ping(&r.m, no_ping, &ping, r.now), BS_OK);
	rig_down(&r, BS_EUNREACH, BSC_TCP_REFUSED);
	ck_assert_int_eq(ping.n, 1);
	ck_assert_uint_eq(ping.err.code, BSC_TCP_REFUSED);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
}
END_TEST

START_TEST(a_lost_session_comes_back_and_repeats_the_request)
{
	struct told ping = { 0 };
	bs_time at;

	rig_open(&r);
	ck_assert_int_eq(bsc__request_ping(&r.m, no_ping, &ping, r.now), BS_OK);
	rig_expect(&r, BS_TYPE_PING);
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	ck_assert_int_eq(ping.n, 0);
	ck_assert_int_eq(r.m.state, BSC_SESSION_WAITING);
	ck_assert_uint_eq(r.session.err.code, BSC_LOST);
	ck_assert(bsc__machine_next_timeout(&r.m, &at));
	ck_assert_int_ge(BS_TIME_DIFF_MS(BS_TIME_DIFF(at, r.now)), 500);
	ck_assert_int_le(BS_TIME_DIFF_MS(BS_TIME_DIFF(at, r.now)), 1000);
	rig_pass(&r, 1000);
	ck_assert(r.m.want);
	rig_up(&r);
	rig_hello(&r);
	rig_expect(&r, BS_TYPE_PING);
}
END_TEST

START_TEST(an_idle_session_that_is_lost_stays_down)
{
	rig_open(&r);
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
	rig_pass(&r, 100000);
	ck_assert(!r.m.want);
}
END_TEST

START_TEST(a_hopeless_reason_ends_everything)
{
	struct told ping = { 0 };

	rig_open(&r);
	ck_assert_int_eq(bsc__request_ping(&r.m, no_ping, &ping, r.now), BS_OK);
	rig_down(&r, BS_EAUTH, BSC_CLIENT_REVOKED);
	ck_assert_int_eq(ping.n, 1);
	ck_assert_uint_eq(ping.err.code, BSC_CLIENT_REVOKED);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
}
END_TEST

START_TEST(the_session_is_kept_alive)
{
	struct bs_gate_head h;
	uint8_t buf[64];

	rig_open(&r);
	rig_pass(&r, 19999);
	ck_assert(!rig_sent(&r));
	rig_pass(&r, 1);
	rig_expect(&r, BS_TYPE_PING);
	r.now += BS_TIME_MS(5);
	h = (struct bs_gate_head){ .seq = r.last.h.seq };
	rig_bytes(&r, buf, bs_gate_ping_encode(&h, true, buf, sizeof buf));
	ck_assert_uint_eq(r.m.n_reqs, 0);
	ck_assert_uint_eq(r.m.rtt_us, 5000);
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPEN);
}
END_TEST

START_TEST(a_silent_server_is_noticed)
{
	rig_open(&r);
	rig_pass(&r, 20000);
	rig_expect(&r, BS_TYPE_PING);
	rig_pass(&r, 10000);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
	ck_assert_uint_eq(r.session.err.code, BSC_LOST);
}
END_TEST

START_TEST(an_error_packet_ends_the_session)
{
	struct bs_gate_error e = { .status = { .code = BS_ST_MALFORMED, .text = rig_text("seq") },
				   .params = { .has = BS_PARAM_BIT(BS_PARAM_RETRY_AFTER),
					       .retry_after_ms = 1234 } };
	uint8_t buf[256];

	rig_open(&r);
	rig_bytes(&r, buf, bs_gate_error_encode(&e, buf, sizeof buf));
	ck_assert_uint_eq(r.session.err.code, BS_ST_MALFORMED);
	ck_assert_uint_eq(r.session.err.retry_after_ms, 1234);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
}
END_TEST

START_TEST(draining_moves_on)
{
	struct bs_gate_event e = { .has_status = true, .status = { .code = BS_ST_DRAINING } };
	struct told ping = { 0 };
	uint8_t buf[256];

	rig_open(&r);
	ck_assert_int_eq(bsc__request_ping(&r.m, no_ping, &ping, r.now), BS_OK);
	rig_bytes(&r, buf, bs_gate_event_encode(&e, NULL, 0, buf, sizeof buf));
	ck_assert_uint_eq(r.session.err.code, BS_ST_DRAINING);
	ck_assert_int_eq(r.m.state, BSC_SESSION_WAITING);
	ck_assert_int_eq(ping.n, 0);
}
END_TEST

/** A server that breaks the protocol after HELLO was sent. */
static const struct {
	const char *name;
	uint8_t bytes[24];
	size_t len;
} garbage[] = {
	{ "http", "HTTP/1.1 400 Bad Request", 24 },
	{ "zero", { 0 }, 16 },
	{ "short length", { 0, 0, 0, 0, 0, 0, 0, 0, 64, 2, 0, 1, 0, 1, 0, 15 }, 16 },
	{ "long length", { 0, 0, 0, 0, 0, 0, 0, 0, 64, 2, 0, 1, 0, 1, 0x10, 1 }, 16 },
	{ "version 3", { 0, 0, 0, 0, 0, 0, 0, 0, 64, 3, 0, 1, 0, 1, 0, 16 }, 16 },
	{ "empty hello", { 0, 0, 0, 0, 0, 0, 0, 0, 64, 2, 0, 1, 0, 1, 0, 16 }, 16 },
	{ "hello request", { 0, 0, 0, 0, 0, 0, 0, 0, 64, 2, 0, 0, 0, 1, 0, 16 }, 16 },
	{ "ping before hello", { 0, 0, 0, 0, 0, 0, 0, 0, 32, 2, 0, 1, 0, 1, 0, 16 }, 16 },
	{ "device packet", { 0, 0, 0, 0, 0, 0, 0, 0, 128, 2, 0, 0, 0, 1, 0, 16 }, 16 },
	{ "bad list", { 0, 0, 0, 0, 0, 0, 0, 0, 64, 2, 0, 1, 0, 1, 0, 20, 1, 0, 0, 3 }, 20 },
	{ "odd flags", { 0, 0, 0, 0, 0, 0, 0, 0, 64, 2, 0, 3, 0, 1, 0, 16 }, 16 },
};

START_TEST(garbage_is_one_clear_error)
{
	bsc__machine_open(&r.m, r.now);
	rig_up(&r);
	bsc__machine_bytes(&r.m, garbage[_i].bytes, garbage[_i].len, r.now);
	ck_assert_msg(r.m.state == BSC_SESSION_IDLE, "%s was taken", garbage[_i].name);
	ck_assert_uint_eq(r.session.err.code, BSC_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(r.session.err.text, "base.example:5571"));
	/* Whatever follows is not looked at. */
	bsc__machine_bytes(&r.m, garbage[0].bytes, garbage[0].len, r.now);
	ck_assert_int_eq(r.session.n, 4);
}
END_TEST

START_TEST(random_bytes_never_open_a_session)
{
	uint32_t seed = 1;

	for (int round = 0; round < 300; round++) {
		uint8_t buf[200];

		rig_fini(&r);
		rig_init(&r);
		bsc__machine_open(&r.m, r.now);
		rig_up(&r);
		for (size_t k = 0; k < sizeof buf; k++) {
			seed = seed * 1103515245u + 12345u;
			buf[k] = (uint8_t)(seed >> 16);
		}
		/* A plausible header, so that some get past the first checks. */
		buf[8] = round % 2 ? BS_TYPE_HELLO : buf[8];
		buf[9] = 2;
		buf[11] = 1;
		bs_put_u16(buf + 14, (uint16_t)(16 + seed % 180));
		bsc__machine_bytes(&r.m, buf, sizeof buf, r.now);
		ck_assert_int_ne(r.m.state, BSC_SESSION_OPEN);
	}
}
END_TEST

START_TEST(every_changed_byte_of_a_hello_is_survived)
{
	struct bs_gate_hello_answer a = { .status = { .code = BS_ST_OK },
					  .node = { .port = 1, .host = rig_text("n") } };
	uint8_t good[BS_GATE_PACKET_MAX];
	bs_ssize n;

	a.h.seq = 1;
	n = bs_gate_hello_answer_encode(&a, good, sizeof good);
	for (bs_ssize k = 0; k < n; k++) {
		uint8_t buf[BS_GATE_PACKET_MAX];

		rig_fini(&r);
		rig_init(&r);
		bsc__machine_open(&r.m, r.now);
		rig_up(&r);
		memcpy(buf, good, (size_t)n);
		buf[k] ^= 0x41;
		bsc__machine_bytes(&r.m, buf, (size_t)n, r.now);
		rig_pass(&r, 10000);
	}
}
END_TEST

START_TEST(a_second_hello_answer_breaks_the_protocol)
{
	rig_open(&r);
	r.last.h.seq = 1;
	rig_hello(&r);
	ck_assert_uint_eq(r.session.err.code, BSC_PROTOCOL);
}
END_TEST

static int no_random(void *ctx, uint8_t *buf, size_t len)
{
	(void)ctx;
	(void)buf;
	(void)len;
	return BS_ERANDOM;
}

START_TEST(no_random_numbers_no_session)
{
	struct bs_crypto broken = *r.m.crypto;

	broken.random = no_random;
	bsc__machine_open(&r.m, r.now);
	r.m.crypto = &broken;
	bsc__machine_up(&r.m, r.now);
	ck_assert_int_eq(r.session.err.err, BS_ERANDOM);
	ck_assert_int_eq(r.m.state, BSC_SESSION_IDLE);
}
END_TEST

/** A callback that opens again at once: the machine must not lose itself. */
static void reopen(void *arg, struct bsc_session *s, enum bsc_progress step,
		   const struct bsc_error *err)
{
	rig_on_session(arg, s, step, err);
	if (step == BSC_CLOSED)
		bsc__machine_open(&r.m, r.now);
}

START_TEST(a_callback_may_open_again)
{
	rig_open(&r);
	r.m.set.fn = reopen;
	rig_down(&r, BS_EUNREACH, BSC_LOST);
	ck_assert_int_eq(r.m.state, BSC_SESSION_OPENING);
	ck_assert(r.m.want);
	ck_assert_uint_eq(r.m.transport, 2);
}
END_TEST

Suite *bs_suite_machine(void)
{
	Suite *s = suite_create("client machine");
	TCase *t = tcase_create("machine");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, opens_and_says_who_it_is);
	tcase_add_test(t, opening_twice_is_one_transport);
	tcase_add_test(t, the_answer_may_come_in_any_pieces);
	tcase_add_loop_test(t, a_refused_hello_ends_every_request_with_its_reason, 0,
			    (int)LEN(refusals));
	tcase_add_test(t, retry_after_is_obeyed);
	tcase_add_test(t, a_longer_retry_after_fails_what_waits_with_the_reason);
	tcase_add_test(t, follows_three_redirects);
	tcase_add_test(t, the_fourth_redirect_is_a_loop);
	tcase_add_test(t, redirects_to_nonsense_are_refused);
	tcase_add_test(t, no_answer_in_time);
	tcase_add_test(t, a_failed_first_attempt_is_told_at_once);
	tcase_add_test(t, a_lost_session_comes_back_and_repeats_the_request);
	tcase_add_test(t, an_idle_session_that_is_lost_stays_down);
	tcase_add_test(t, a_hopeless_reason_ends_everything);
	tcase_add_test(t, the_session_is_kept_alive);
	tcase_add_test(t, a_silent_server_is_noticed);
	tcase_add_test(t, an_error_packet_ends_the_session);
	tcase_add_test(t, draining_moves_on);
	tcase_add_loop_test(t, garbage_is_one_clear_error, 0, (int)LEN(garbage));
	tcase_add_test(t, random_bytes_never_open_a_session);
	tcase_add_test(t, every_changed_byte_of_a_hello_is_survived);
	tcase_add_test(t, a_second_hello_answer_breaks_the_protocol);
	tcase_add_test(t, no_random_numbers_no_session);
	tcase_add_test(t, a_callback_may_open_again);
	suite_add_tcase(s, t);
	return s;
}
