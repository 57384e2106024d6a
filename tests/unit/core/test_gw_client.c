/* SPDX-License-Identifier: Apache-2.0 */
/* The client's leg: when it opens, what it says, and every way in which it can end. */
#include "proto/gw_client.h"

#include "support.h"
#include "util/endpoint.h"

#define T0  BS_TIME_MS(5000)
#define NSI 0x12345678u

static struct bs_gw_client g;
static uint8_t buf[256];
static bs_time now;

static void init(uint32_t ip4, uint16_t port)
{
	uint8_t gw[BS_GW_DATA_LEN] = { 0 };
	struct bs_endpoint gate;
	struct bs_ipx ipx;

	memset(&ipx, 0, sizeof(ipx));
	ipx.nsi_sp = NSI;
	ipx.nsi_cp = 0x9ABCDEF0;
	memset(ipx.nsi_co, 7, sizeof(ipx.nsi_co));
	bs_put_u32(gw, ip4);
	bs_put_u16(gw + 4, port);
	memset(gw + 10, 9, BS_GW_ID_LEN);
	bs_endpoint_set_ip4(&gate, 0x0A000001, 5571);
	bs_gw_client_init(&g, (struct bs_slice){ gw, sizeof(gw) }, &ipx, &gate);
	now = T0;
}

static size_t answer(uint32_t nsi)
{
	struct bs_gw_answer m;

	memset(&m, 0, sizeof(m));
	m.nsi_sp = nsi;
	m.flags = BS_GW_RELIABLE;
	return (size_t)bs_gw_answer_encode(buf, sizeof(buf), &m);
}

static size_t error(uint16_t code, const char *text)
{
	struct bs_writer w;
	uint8_t data[100];
	size_t n = strlen(text);

	bs_put_u16(data, code);
	memcpy(data + 2, text, n);
	bs_packet_start(&w, buf, sizeof(buf), BS_TYPE_ERROR, 0, NSI, 0);
	bs_packet_add(&w, BS_PL_STATUS, 0, data, 2 + n);
	return (size_t)bs_packet_finish(&w);
}

/* Up to the moment at which the relay has the handshake. */
static void greet(uint8_t modes)
{
	init(0xC0000201, 5568);
	bs_gw_client_start(&g, modes, now);
	bs_gw_client_timeout(&g, now);
	bs_gw_client_opened(&g, now);
	ck_assert_uint_eq(bs_gw_client_output(&g, buf, sizeof(buf), now), BS_GW_HELLO_LEN);
	ck_assert_uint_eq(bs_gw_client_output(&g, buf, sizeof(buf), now), 0);
}

START_TEST(it_opens_when_told_and_becomes_a_path)
{
	struct bs_gw_hello m;
	struct bs_packet p;
	bs_time at;

	init(0xC0000201, 5568);
	ck_assert(!bs_gw_client_next_timeout(&g, &at));
	bs_gw_client_start(&g, BS_GW_MODE_TCP | BS_GW_MODE_TLS, now + BS_TIME_MS(1500));
	ck_assert(bs_gw_client_next_timeout(&g, &at) && at == now + BS_TIME_MS(1500));
	bs_gw_client_timeout(&g, at - 1);
	ck_assert_uint_eq(bs_gw_client_wants(&g), 0);
	bs_gw_client_timeout(&g, at);
	ck_assert_uint_eq(bs_gw_client_wants(&g), BS_GW_MODE_TCP);
	bs_gw_client_opened(&g, at);
	ck_assert_uint_eq(bs_gw_client_output(&g, buf, sizeof(buf), at), BS_GW_HELLO_LEN);
	ck_assert_int_eq(bs_packet_decode(buf, BS_GW_HELLO_LEN, &p), BS_OK);
	ck_assert_int_eq(bs_gw_hello_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.flags, BS_GW_RELIABLE | BS_GW_CLIENT);
	ck_assert_uint_eq(m.nsi_sp, NSI);
	ck_assert_int_eq(bs_gw_client_input(&g, buf, answer(NSI + 1)), BS_EUNKNOWN);
	ck_assert_uint_eq(bs_gw_client_take_events(&g), 0);
	ck_assert_int_eq(bs_gw_client_input(&g, buf, answer(NSI)), BS_OK);
	ck_assert_uint_eq(bs_gw_client_take_events(&g), BS_GW_EV_UP);
	ck_assert_uint_eq(bs_endpoint_via(&g.relay), BS_VIA_STREAM);
	ck_assert(!bs_gw_client_next_timeout(&g, &at));
	bs_gw_client_closed(&g, at);
	ck_assert_uint_eq(bs_gw_client_take_events(&g), BS_GW_EV_LOST);
	ck_assert_uint_eq(bs_gw_client_wants(&g), 0);
}
END_TEST

START_TEST(without_an_address_the_relay_is_where_the_gate_is)
{
	init(0, 5568);
	ck_assert_uint_eq(bs_endpoint_ip4(&g.relay), 0x0A000001);
	ck_assert_uint_eq(g.relay.port, 5568);
	init(0xC0000201, 0);
	ck_assert_uint_eq(g.state, BS_GW_CLIENT_OFF);
	bs_gw_client_start(&g, BS_GW_MODE_TCP, now);
	bs_gw_client_timeout(&g, now);
	ck_assert_uint_eq(bs_gw_client_wants(&g), 0);
}
END_TEST

/* Refused, silent, or cut once it spoke: TLS is next each time, and then nothing. */
START_TEST(tls_comes_after_tcp)
{
	int how = _i;

	init(0xC0000201, 5568);
	bs_gw_client_start(&g, BS_GW_MODE_TCP | BS_GW_MODE_TLS, now);
	bs_gw_client_timeout(&g, now);
	if (how == 0) {
		bs_gw_client_closed(&g, now);
	} else if (how == 1) {
		ck_assert(bs_gw_client_next_timeout(&g, &now));
		bs_gw_client_timeout(&g, now);
	} else {
		bs_gw_client_opened(&g, now);
		ck_assert_uint_gt(bs_gw_client_output(&g, buf, sizeof(buf), now), 0);
		bs_gw_client_closed(&g, now);
	}
	ck_assert_uint_eq(bs_gw_client_wants(&g), BS_GW_MODE_TLS);
	ck_assert_uint_eq(bs_gw_client_take_events(&g), 0);
	bs_gw_client_closed(&g, now);
	ck_assert_uint_eq(bs_gw_client_wants(&g), 0);
	ck_assert_uint_eq(bs_gw_client_take_events(&g), BS_GW_EV_OVER);
	ck_assert(!bs_gw_client_is_busy(&g));
}
END_TEST

START_TEST(the_device_does_not_come)
{
	greet(BS_GW_MODE_TCP | BS_GW_MODE_TLS);
	ck_assert(bs_gw_client_next_timeout(&g, &now));
	bs_gw_client_timeout(&g, now);
	/* The id is spent: TLS would not help. */
	ck_assert_uint_eq(bs_gw_client_wants(&g), 0);
	ck_assert(g.timed_out);
	ck_assert_uint_eq(bs_gw_client_take_events(&g), BS_GW_EV_OVER);
}
END_TEST

START_TEST(the_relay_says_why)
{
	size_t n;

	greet(BS_GW_MODE_TCP | BS_GW_MODE_TLS);
	n = error(BS_ST_CANNOT_ANSWER, "the device did not come");
	ck_assert_int_eq(bs_gw_client_input(&g, buf, n), BS_OK);
	ck_assert_uint_eq(g.refusal, BS_ST_CANNOT_ANSWER);
	ck_assert_str_eq(g.text, "the device did not come");
	ck_assert_uint_eq(bs_gw_client_take_events(&g), BS_GW_EV_OVER);
	ck_assert_int_eq(bs_gw_client_input(&g, buf, n), BS_ESTATE);

	greet(BS_GW_MODE_TCP);
	n = error(1, "0123456789012345678901234567890123456789012345678901234567890123456789");
	ck_assert_int_eq(bs_gw_client_input(&g, buf, n), BS_OK);
	ck_assert_uint_eq(strlen(g.text), BS_GW_CLIENT_TEXT - 1);
}
END_TEST

START_TEST(what_is_stopped_stays_so)
{
	greet(BS_GW_MODE_TCP | BS_GW_MODE_TLS);
	bs_gw_client_stop(&g);
	ck_assert_uint_eq(bs_gw_client_wants(&g), 0);
	bs_gw_client_closed(&g, now);
	bs_gw_client_timeout(&g, now + BS_TIME_MS(60000));
	ck_assert_uint_eq(bs_gw_client_wants(&g), 0);
	ck_assert_uint_eq(bs_gw_client_take_events(&g), 0);
}
END_TEST

Suite *bs_suite_gw_client(void);

Suite *bs_suite_gw_client(void)
{
	Suite *s = suite_create("gw_client");
	TCase *t = tcase_create("all");

	tcase_add_test(t, it_opens_when_told_and_becomes_a_path);
	tcase_add_test(t, without_an_address_the_relay_is_where_the_gate_is);
	tcase_add_loop_test(t, tls_comes_after_tcp, 0, 3);
	tcase_add_test(t, the_device_does_not_come);
	tcase_add_test(t, the_relay_says_why);
	tcase_add_test(t, what_is_stopped_stays_so);
	suite_add_tcase(s, t);
	return s;
}
