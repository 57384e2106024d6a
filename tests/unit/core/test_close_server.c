/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/close_server.h"

#include "crypto/suite.h"
#include "support.h"
#include "util/endpoint.h"

static struct bs_key_block c_key;
static struct bs_crypto crypto;
static struct bs_test_rng rng;
static struct bs_endpoint peer;
static struct bs_close_server s;
static uint8_t buf[128];

static void setup(void)
{
	size_t i;

	memset(&rng, 0, sizeof(rng));
	for (i = 0; i < sizeof(c_key.b); i++)
		c_key.b[i] = (uint8_t)i;
	bs_test_crypto(&crypto, &rng);
	bs_endpoint_set_ip4(&peer, 0x7F000001, 4000);
	ck_assert_int_eq(bs_close_server_start(&s, &crypto, &c_key, 0x300000, 0x400000,
					       BS_ST_CLOSED, 7, &peer, BS_TIME_MS(50)),
			 BS_OK);
}

START_TEST(packet)
{
	struct bs_close m;
	struct bs_packet p;

	ck_assert_uint_eq(s.len, BS_CLOSE_LEN);
	ck_assert_int_eq(bs_packet_decode(s.pkt, s.len, &p), BS_OK);
	ck_assert_int_eq(bs_close_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.nsi, 0x300000);
	ck_assert_uint_eq(m.connection, 0x400000);
	ck_assert_uint_eq(m.status, BS_ST_CLOSED);
	ck_assert(!m.answer);
	ck_assert_int_eq(
		bs_suite_aes_cbc.verify(&crypto, &c_key, BS_RESPONDER, s.pkt, s.len, m.crypto_off),
		BS_OK);
	rng.fail = true;
	ck_assert_int_eq(bs_close_server_start(&s, &crypto, &c_key, 1, 2, 3, 4, &peer, 0),
			 BS_ERANDOM);
}
END_TEST

START_TEST(schedule)
{
	int sends[8];
	int n = 0;
	int t;

	for (t = 0; t < 20000; t += 10) {
		enum bs_close_action a = bs_close_server_timeout(&s, BS_TIME_MS(50 + t));

		if (a == BS_CLOSE_GIVE_UP)
			break;
		if (a == BS_CLOSE_SEND) {
			ck_assert_int_lt(n, 8);
			sends[n++] = t;
		}
	}
	ck_assert_int_eq(n, 4);
	ck_assert_int_eq(sends[1] - sends[0], 1000);
	ck_assert_int_eq(sends[2] - sends[1], 2000);
	ck_assert_int_eq(sends[3] - sends[2], 4000);
	ck_assert_int_eq(t, 15000);
}
END_TEST

static int answer(uint32_t nsi, uint32_t conn, uint16_t seq, bool is_answer, enum bs_role role,
		  const struct bs_endpoint *from, bool spoil)
{
	struct bs_close m = { .nsi = nsi, .connection = conn, .seq = seq, .answer = is_answer };
	struct bs_slice empty = { NULL, 0 };
	struct bs_packet p;
	struct bs_writer w;
	bs_ssize n;

	bs_close_begin(&w, buf, sizeof(buf), &m);
	n = bs_suite_aes_cbc.seal(&crypto, &c_key, role, &w, 0, empty);
	ck_assert_int_gt(n, 0);
	if (spoil)
		buf[n - 1] ^= 1;
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	return bs_close_server_input(&s, &crypto, &c_key, &p, from);
}

START_TEST(answers)
{
	struct bs_endpoint other = peer;

	other.port++;
	ck_assert_int_eq(answer(0x300000, 0x400000, 7, true, BS_RESPONDER, &peer, false), BS_OK);
	ck_assert_int_eq(answer(0x300000, 0x400000, 7, true, BS_RESPONDER, &other, false),
			 BS_ESOURCE);
	ck_assert_int_eq(answer(0x300001, 0x400000, 7, true, BS_RESPONDER, &peer, false),
			 BS_EUNKNOWN);
	ck_assert_int_eq(answer(0x300000, 0x400000, 8, true, BS_RESPONDER, &peer, false),
			 BS_EUNKNOWN);
	ck_assert_int_eq(answer(0x300000, 0, 7, true, BS_RESPONDER, &peer, false), BS_EFIELD);
	ck_assert_int_eq(answer(0x300000, 0x400000, 7, false, BS_RESPONDER, &peer, false),
			 BS_ESTATE);
	ck_assert_int_eq(answer(0x300000, 0x400000, 7, true, BS_RESPONDER, &peer, true), BS_EMAC);
	/* Our own packet, reflected, has the other direction's MAC. */
	ck_assert_int_eq(answer(0x300000, 0x400000, 7, true, BS_INITIATOR, &peer, false), BS_EMAC);
}
END_TEST

Suite *bs_suite_close_server(void);

Suite *bs_suite_close_server(void)
{
	Suite *suite = suite_create("close_server");
	TCase *t = tcase_create("close_server");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, packet);
	tcase_add_test(t, schedule);
	tcase_add_test(t, answers);
	suite_add_tcase(suite, t);
	return suite;
}
