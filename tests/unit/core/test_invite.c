/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/invite.h"

#include "support.h"
#include "util/cursor.h"
#include "util/endpoint.h"

static int invite(const struct bs_packet *p)
{
	struct bs_invite m;

	return bs_invite_decode(p, &m);
}

static int answer(const struct bs_packet *p)
{
	struct bs_invite_answer m;

	return bs_invite_answer_decode(p, &m);
}

static const uint8_t nonce[BS_NONCE_LEN] = { 1, 2, 3 };

static struct bs_invite sample(void)
{
	struct bs_invite m;

	memset(&m, 0, sizeof(m));
	m.version.kind = BS_VERSION_DEVICE;
	m.version.major = 4;
	m.version.minor = 6;
	m.version.has_patch = true;
	m.version.label = bs_test_text("-alpha.0");
	m.id = bs_test_text("cam1.base.test");
	m.nonce.ptr = nonce;
	m.nonce.len = sizeof(nonce);
	m.caps.has_suites = true;
	m.caps.n_suites = 1;
	m.caps.suite = BS_SUITE_AES_CBC;
	return m;
}

START_TEST(recorded_invites_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	uint8_t buf[512];
	int done[2] = { 0, 0 };

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_U_INVITE, 0, &p))) {
			struct bs_invite m;

			if (!bs_row_is(r, "from", "dev"))
				continue;
			ck_assert_int_eq(bs_invite_decode(&p, &m), BS_OK);
			ck_assert_uint_eq(m.version.kind, BS_VERSION_DEVICE);
			ck_assert_uint_eq(m.id.len, strlen(bs_scenario_text(&sc, "id")));
			ck_assert(!m.has_ext);
			ck_assert_int_eq(bs_invite_encode(buf, sizeof(buf), &m), (int)p.len);
			ck_assert_mem_eq(buf, p.bytes, p.len);
			done[m.nonce.len > 0]++;
		}
	}
	ck_assert_int_ge(done[0], 30);
	ck_assert_int_ge(done[1], 30);
	bs_vectors_free(v);
}
END_TEST

START_TEST(recorded_answers_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	uint8_t buf[64];
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		if (strcmp(bs_scenario_name(&sc), "invite_malformed") == 0)
			continue;
		while ((r = bs_test_next(&sc, r, BS_TYPE_U_INVITE, BS_FLAG_RESPONSE, &p))) {
			struct bs_invite_answer m;

			ck_assert_int_eq(bs_invite_answer_decode(&p, &m), BS_OK);
			ck_assert_int_eq(bs_invite_answer_encode(buf, sizeof(buf), &m), 33);
			ck_assert_mem_eq(buf, p.bytes, p.len);
			done++;
		}
	}
	ck_assert_int_ge(done, 20);
	bs_vectors_free(v);
}
END_TEST

/* The recorder sent these one by one.  Stock devices take the last one, whose version is 0; we do
 * not.  The one that is good here came from another port. */
START_TEST(answers_that_devices_ignored)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = bs_scenario_find(v, "invite_malformed");
	const struct bs_row *r = NULL;
	int taken = 0;
	int refused = 0;

	while ((r = bs_scenario_packet(&sc, r))) {
		struct bs_slice b = bs_row_hex(r, "hex");

		if (bs_row_is(r, "to", "dev") && b.ptr[8] == BS_TYPE_U_INVITE) {
			if (bs_test_decode(b.ptr, b.len, answer) == BS_OK)
				taken++;
			else
				refused++;
		}
	}
	ck_assert_int_eq(refused, 5);
	ck_assert_int_eq(taken, 1);
	bs_vectors_free(v);
}
END_TEST

START_TEST(maltreated_messages)
{
	struct bs_invite_answer ans;
	struct bs_invite m = sample();
	uint8_t buf[256];
	bs_ssize n;

	n = bs_invite_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(n, 120 - 1 + 1);
	/* SP_ID is last: nothing shorter is an invite. */
	bs_test_maltreat(buf, (size_t)n, (size_t)n - 13, invite);
	m.nonce.len = 0;
	n = bs_invite_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(n, 61);
	bs_test_maltreat(buf, (size_t)n, (size_t)n - 13, invite);
	memset(&ans, 0, sizeof(ans));
	bs_endpoint_set_ip4(&ans.server, 0x7F000001u, 5562);
	bs_endpoint_set_ip4(&ans.observed, 0x7F000001u, 40000);
	n = bs_invite_answer_encode(buf, sizeof(buf), &ans);
	ck_assert_int_eq(n, 33);
	bs_test_maltreat(buf, (size_t)n, 33, answer);
}
END_TEST

START_TEST(mode_and_nonce_must_agree)
{
	struct bs_invite m = sample();
	uint8_t buf[256];
	size_t len;
	bs_ssize n;

	for (len = 1; len <= BS_NONCE_LEN; len++) {
		m.nonce.len = len;
		m.caps.suite = BS_SUITE_AES_CBC;
		n = bs_invite_encode(buf, sizeof(buf), &m);
		ck_assert_int_eq(bs_test_decode(buf, (size_t)n, invite),
				 len == 32 ? BS_OK : BS_EFIELD);
		m.caps.suite = BS_SUITE_NULL;
		n = bs_invite_encode(buf, sizeof(buf), &m);
		ck_assert_int_eq(bs_test_decode(buf, (size_t)n, invite),
				 len == 8 ? BS_OK : BS_EFIELD);
	}
	m.caps.n_suites = 0;
	n = bs_invite_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(bs_test_decode(buf, (size_t)n, invite), BS_EFIELD);
}
END_TEST

/* Turn the type of one payload so that it is not there any more. */
START_TEST(every_required_payload_is_required)
{
	static const uint8_t required[] = { BS_PL_VERSION, BS_PL_CAPABILITY, BS_PL_SP_ID };
	struct bs_invite m = sample();
	uint8_t buf[256];
	bs_ssize n = bs_invite_encode(buf, sizeof(buf), &m);
	struct bs_payload pl;
	struct bs_packet p;
	size_t i;

	for (i = 0; i < BS_LEN(required); i++) {
		ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
		ck_assert(bs_payload_find(&p, required[i], &pl));
		buf[pl.data - buf - 4] = BS_PL_STATS;
		ck_assert_int_eq(bs_test_decode(buf, (size_t)n, invite), BS_EMISSING);
		buf[pl.data - buf - 4] = required[i];
	}
}
END_TEST

START_TEST(a_wrong_id_is_neither_read_nor_written)
{
	struct bs_invite m = sample();
	uint8_t buf[256];
	bs_ssize n = bs_invite_encode(buf, sizeof(buf), &m);

	buf[n - 1] = 'A';
	ck_assert_int_eq(bs_test_decode(buf, (size_t)n, invite), BS_EFIELD);
	buf[n - 1] = 't';
	buf[n - 15] = BS_ID_MAIL;
	ck_assert_int_eq(bs_test_decode(buf, (size_t)n, invite), BS_EFIELD);
	m.id = bs_test_text("Cam1");
	ck_assert_int_eq(bs_invite_encode(buf, sizeof(buf), &m), BS_EINVAL);
	m.id = bs_test_text("");
	ck_assert_int_eq(bs_invite_encode(buf, sizeof(buf), &m), BS_EINVAL);
}
END_TEST

START_TEST(an_offer_is_padded)
{
	struct bs_invite m = sample();
	struct bs_invite out;
	struct bs_packet p;
	uint8_t buf[272];
	bs_ssize n;

	m.has_ext = true;
	m.ext = BS_EXT_IP6 | BS_EXT_CLOSE;
	m.app_version = bs_test_text("1.2");
	m.url = bs_test_text("http://x");
	n = bs_invite_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(n, BS_INVITE_PAD_LEN);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_invite_decode(&p, &out), BS_OK);
	ck_assert(out.has_ext);
	ck_assert_uint_eq(out.ext, m.ext);
	ck_assert_uint_eq(out.app_version.len, 3);
	ck_assert_mem_eq(out.url.ptr, "http://x", 8);
	m.nonce.len = 0;
	ck_assert_int_eq(bs_invite_encode(buf, sizeof(buf), &m), BS_INVITE_PAD_LEN);
	ck_assert_int_eq(bs_invite_encode(buf, BS_INVITE_PAD_LEN - 1, &m), BS_ETOOBIG);
}
END_TEST

START_TEST(an_unreadable_offer_is_none)
{
	struct bs_invite m = sample();
	struct bs_invite out;
	struct bs_payload pl;
	struct bs_packet p;
	uint8_t buf[272];
	bs_ssize n;

	m.has_ext = true;
	n = bs_invite_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert(bs_payload_find(&p, BS_PL_EXT, &pl));
	buf[pl.data - buf + 1] = 9;
	ck_assert_int_eq(bs_invite_decode(&p, &out), BS_OK);
	ck_assert(!out.has_ext);
}
END_TEST

START_TEST(ip6_answers)
{
	static const uint8_t ip[16] = {
		0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9
	};
	struct bs_invite_answer in;
	struct bs_invite_answer out;
	struct bs_packet p;
	uint8_t buf[128];
	bs_ssize n;

	if (BS_IP_LEN < 16)
		return;
	memset(&in, 0, sizeof(in));
	memcpy(in.server.ip, ip + 16 - BS_IP_LEN, BS_IP_LEN);
	in.server.port = 5562;
	in.observed = in.server;
	in.observed.port = 40000;
	n = bs_invite_answer_encode(buf, sizeof(buf), &in);
	ck_assert_int_eq(n, 33 + 24 + 24);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_invite_answer_decode(&p, &out), BS_OK);
	ck_assert(bs_endpoint_equal(&in.server, &out.server));
	ck_assert(bs_endpoint_equal(&in.observed, &out.observed));
}
END_TEST

START_TEST(an_answer_without_a_server_is_no_answer)
{
	struct bs_invite_answer m;
	uint8_t buf[64];

	memset(&m, 0, sizeof(m));
	bs_endpoint_set_ip4(&m.observed, 1, 1);
	ck_assert_int_eq(bs_invite_answer_encode(buf, sizeof(buf), &m), 33);
	ck_assert_int_eq(bs_test_decode(buf, 33, answer), BS_EFIELD);
}
END_TEST

static int take_notice(const struct bs_packet *p)
{
	struct bs_invite_notice m;

	return bs_invite_notice_decode(p, &m);
}

/* COOKIE and RETRY: written, read, bent, and nothing that a stock device would take. */
START_TEST(notices)
{
	static const uint8_t cookie[BS_COOKIE_LEN] = { 9, 8, 7 };
	struct bs_invite_notice in = { 3, _i & 1 ? cookie : NULL, (_i & 2) != 0, 0xA1B2C3D4 };
	struct bs_invite_notice out;
	struct bs_packet p;
	uint8_t buf[64];
	bs_ssize n = bs_invite_notice_encode(buf, sizeof(buf), &in);

	if (_i == 0) {
		ck_assert_int_eq(n, BS_EINVAL);
		return;
	}
	ck_assert_int_eq(n, 16 + (_i & 1 ? 20 : 0) + (_i & 2 ? 8 : 0));
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_invite_notice_decode(&p, &out), BS_OK);
	ck_assert_int_eq(out.cookie != NULL, _i & 1);
	if (out.cookie)
		ck_assert_mem_eq(out.cookie, cookie, sizeof(cookie));
	ck_assert_int_eq(out.has_retry, in.has_retry);
	ck_assert_uint_eq(out.retry_ms, in.has_retry ? in.retry_ms : 0);
	ck_assert_int_eq(answer(&p), BS_EMISSING);
	bs_test_maltreat(buf, (size_t)n, 16 + (_i & 1 ? 20 : 8), take_notice);
	/* A payload of another length is none. */
	buf[19]--;
	bs_put_u16(buf + 14, (uint16_t)(n - 1));
	if (_i != 3)
		ck_assert_int_eq(bs_test_decode(buf, (size_t)n - 1, take_notice), BS_EMISSING);
}
END_TEST

START_TEST(an_invite_carries_a_cookie)
{
	static const uint8_t cookie[BS_COOKIE_LEN] = { 1, 1, 2, 3, 5 };
	struct bs_invite m = sample();
	struct bs_invite out;
	struct bs_payload pl;
	struct bs_packet p;
	uint8_t buf[512];
	bs_ssize n;

	m.cookie = cookie;
	/* Without an offer there is nothing to carry it in. */
	n = bs_invite_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert(!bs_payload_find(&p, BS_PL_COOKIE, &pl));
	m.has_ext = true;
	m.ext = BS_EXT_COOKIE;
	n = bs_invite_encode(buf, sizeof(buf), &m);
	ck_assert_int_eq(n, BS_INVITE_PAD_LEN);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_invite_decode(&p, &out), BS_OK);
	ck_assert_ptr_nonnull(out.cookie);
	ck_assert_mem_eq(out.cookie, cookie, sizeof(cookie));
	bs_test_maltreat(buf, (size_t)n, 120 - 13, invite);
}
END_TEST

Suite *bs_suite_invite(void);

Suite *bs_suite_invite(void)
{
	Suite *s = suite_create("invite");
	TCase *tc = tcase_create("invite");

	tcase_add_test(tc, recorded_invites_are_rebuilt);
	tcase_add_test(tc, recorded_answers_are_rebuilt);
	tcase_add_test(tc, answers_that_devices_ignored);
	tcase_add_test(tc, maltreated_messages);
	tcase_add_test(tc, mode_and_nonce_must_agree);
	tcase_add_test(tc, every_required_payload_is_required);
	tcase_add_test(tc, a_wrong_id_is_neither_read_nor_written);
	tcase_add_test(tc, an_offer_is_padded);
	tcase_add_test(tc, an_unreadable_offer_is_none);
	tcase_add_test(tc, ip6_answers);
	tcase_add_test(tc, an_answer_without_a_server_is_no_answer);
	tcase_add_loop_test(tc, notices, 0, 4);
	if (BS_WITH_ADMISSION)
		tcase_add_test(tc, an_invite_carries_a_cookie);
	suite_add_tcase(s, tc);
	return s;
}
