/* SPDX-License-Identifier: Apache-2.0 */
/* A device's leg to a TCP relay: limits, ends, and what does not count. */
#include "proto/gw_device.h"

#include "bench.h"
#include "crypto/suite.h"
#include "wire/stats.h"

#define NSI_A 0x7401u
#define NSI_B 0x7402u

static struct bench b;
static struct bench_server server;
static struct bs_key_block key;

static void setup(void)
{
	static const uint8_t psk[BS_PSK_LEN] = { 3 };

	bench_init(&b, "cam1.base.test", psk);
	b.conf.tcp_relay = true;
	bench_attach(&b, &server);
	memset(&key, 0x5A, sizeof(key));
}

static void teardown(void)
{
	bench_fini(&b);
}

/* U_CONNECT with an offer, as the server of the recordings makes it. */
static void offer(uint32_t nsi, uint32_t ip4)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	const struct bs_slice d = { key.b, sizeof(key.b) };
	struct bs_connect_request m;
	struct bs_writer w;
	struct bs_gw gw;
	uint8_t buf[300];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	memset(&gw, 0, sizeof(gw));
	bs_endpoint_set_ip4(&gw.ep, ip4, 5568);
	memset(gw.id, (int)nsi, sizeof(gw.id));
	m.sp = BENCH_NSI;
	m.seq = ++server.seq;
	m.ipx.has_nsi = true;
	m.ipx.has_full = true;
	m.ipx.nsi_sp = nsi;
	m.ipx.nsi_cp = nsi + 0x100;
	m.ipx.flags = BS_IPX_NO_RENDEZVOUS;
	m.gw = &gw;
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, BS_PACKET_SMALL, d),
			 BS_OK);
	len = bs_suite_aes_cbc.seal(&b.crypto, &server.c, BS_INITIATOR, &w, 0, d);
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(bench_input(&b, buf, (size_t)len, &gsp), BS_OK);
	b.taken = b.n_out;
}

static struct bs_gw_link *link_of(uint32_t nsi, size_t *slot)
{
	for (*slot = 0; *slot < BENCH_CONNS; ++*slot)
		if (b.conns[*slot].gw.hello.nsi_sp == nsi)
			return &b.conns[*slot].gw;
	ck_abort_msg("no leg of %x", nsi);
	return NULL;
}

/* Connect, greet, and answer with these flags. */
static size_t open_leg(uint32_t nsi, uint8_t flags)
{
	const struct bench_packet *out;
	struct bs_endpoint relay;
	struct bs_gw_answer m;
	uint32_t number;
	size_t slot;
	uint8_t buf[64];

	ck_assert(bs_device_gw_next(&b.d, &slot, &number, &relay));
	ck_assert_uint_eq(number, nsi);
	ck_assert(!bs_device_gw_next(&b.d, &slot, &number, &relay));
	link_of(nsi, &slot);
	bs_device_gw_opened(&b.d, slot);
	bench_drain(&b);
	out = bench_take(&b);
	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(out->len, BS_GW_HELLO_LEN);
	ck_assert_uint_eq(bs_endpoint_via(&out->to), BS_VIA_STREAM);
	memset(&m, 0, sizeof(m));
	m.nsi_sp = nsi;
	m.flags = flags;
	ck_assert_int_eq(bs_device_gw_input(&b.d, slot, buf,
					    (size_t)bs_gw_answer_encode(buf, sizeof(buf), &m),
					    b.now),
			 BS_OK);
	return slot;
}

/* A framing packet of the client; by the leg of this slot, or over UDP from the server. */
static int framing(uint32_t nsi, size_t slot, bool udp, uint32_t command, uint32_t number)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	uint8_t plain[8];
	uint8_t buf[128];
	struct bs_header h;
	struct bs_writer w;
	bs_ssize len;
	int err;

	bs_put_u32(plain, command);
	bs_put_u32(plain + 4, number);
	memset(&h, 0, sizeof(h));
	h.type = BS_TYPE_DATA;
	h.flags = BS_FLAG_TAG;
	h.tag = BS_TAG_FRAMING;
	h.nsi_sp = nsi;
	bs_packet_begin(&w, buf, sizeof(buf), &h);
	len = bs_suite_aes_cbc.seal(&b.crypto, &key, BS_INITIATOR, &w, 0,
				    (struct bs_slice){ plain, command ? 4 : 8 });
	ck_assert_int_gt(len, 0);
	if (udp)
		return bench_input(&b, buf, (size_t)len, &gsp);
	err = bs_device_gw_input(&b.d, slot, buf, (size_t)len, b.now);
	bench_drain(&b);
	return err;
}

/* Whether a packet of this type with this number has left since the last look. */
static bool sent(uint8_t type, uint32_t nsi)
{
	const struct bench_packet *p;
	bool found = false;

	while ((p = bench_take(&b)) != NULL)
		found = found || (p->bytes[8] == type && bs_get_u32(p->bytes + 4) == nsi);
	return found;
}

/* As recorded: with the keep-alive flag an idle connection ends after 17.5 s, without it not. */
START_TEST(the_answer_decides_about_the_limit)
{
	size_t a;
	size_t c;

	offer(NSI_A, 0x7F000001);
	a = open_leg(NSI_A, BS_GW_RELIABLE);
	offer(NSI_B, 0x7F000001);
	c = open_leg(NSI_B, BS_GW_RELIABLE | BS_GW_KEEPALIVE);
	ck_assert_int_eq(framing(NSI_A, a, false, BS_FRAMING_KEEPALIVE, 1), BS_OK);
	ck_assert_int_eq(framing(NSI_B, c, false, BS_FRAMING_KEEPALIVE, 1), BS_OK);
	ck_assert_uint_eq(b.conns[a].c.path, BS_PATH_TCP_RELAY);
	sent(0, 0);
	/* The bench answers no keep-alives of the server, which are due later than this. */
	bench_run(&b, 17400);
	ck_assert_uint_eq(bs_device_n_live(&b.d), 2);
	bench_run(&b, 200);
	ck_assert_uint_eq(bs_device_n_live(&b.d), 1);
	ck_assert(sent(BS_TYPE_STATS, NSI_B));
	bench_run(&b, 6400);
	ck_assert_int_eq(framing(NSI_A, a, false, BS_FRAMING_KEEPALIVE, 2), BS_OK);
	ck_assert(sent(BS_TYPE_DATA, NSI_A));
}
END_TEST

/* A close in the stream is not heard, and so is not answered; the end of the stream is. */
START_TEST(the_end_of_the_stream_is_the_close)
{
	size_t slot;

	offer(NSI_A, 0x7F000001);
	slot = open_leg(NSI_A, BS_GW_RELIABLE);
	ck_assert_int_eq(framing(NSI_A, slot, false, BS_FRAMING_KEEPALIVE, 1), BS_OK);
	sent(0, 0);
	ck_assert_int_eq(framing(NSI_A, slot, false, BS_FRAMING_CLOSE, 0), BS_ESTATE);
	ck_assert(!sent(BS_TYPE_DATA, NSI_A));
	ck_assert_uint_eq(bs_device_n_live(&b.d), 1);
	/* Nothing but keep-alives went over it: it waits for another path. */
	bs_device_gw_closed(&b.d, slot, b.now);
	bench_run(&b, 1000);
	ck_assert_uint_eq(bs_device_n_live(&b.d), 1);
	/* The first one moves the connection, the second is counted there. */
	ck_assert_int_eq(framing(NSI_A, 0, true, BS_FRAMING_KEEPALIVE, 2), BS_OK);
	ck_assert_int_eq(framing(NSI_A, 0, true, BS_FRAMING_KEEPALIVE, 3), BS_OK);
	ck_assert_uint_eq(b.conns[slot].c.path, BS_PATH_UDP_RELAY);
}
END_TEST

START_TEST(what_comes_over_udp_first_ends_the_leg)
{
	struct bs_endpoint relay;
	uint32_t number;
	size_t slot;

	offer(NSI_A, 0x7F000001);
	ck_assert(bs_device_gw_next(&b.d, &slot, &number, &relay));
	ck_assert_uint_ne(relay.port, 0);
	ck_assert_int_eq(framing(NSI_A, slot, true, BS_FRAMING_KEEPALIVE, 1), BS_OK);
	ck_assert(bs_device_gw_next(&b.d, &slot, &number, &relay));
	ck_assert_uint_eq(relay.port, 0);
	bs_device_gw_closed(&b.d, slot, b.now);
	ck_assert_uint_eq(bs_device_n_live(&b.d), 1);
	ck_assert(!bs_device_gw_next(&b.d, &slot, &number, &relay));
}
END_TEST

/* A stream belongs to one connection, whatever a relay sends. */
START_TEST(a_relay_cannot_speak_for_others)
{
	size_t a;
	size_t c;
	uint8_t zero[16] = { 0 };

	offer(NSI_A, 0x7F000001);
	a = open_leg(NSI_A, BS_GW_RELIABLE);
	offer(NSI_B, 0x7F000001);
	c = open_leg(NSI_B, BS_GW_RELIABLE);
	ck_assert_int_eq(framing(NSI_A, c, false, BS_FRAMING_KEEPALIVE, 1), BS_EUNKNOWN);
	ck_assert_int_eq(framing(NSI_A, BENCH_CONNS, false, BS_FRAMING_KEEPALIVE, 1), BS_ESTATE);
	ck_assert_int_eq(bs_device_gw_input(&b.d, a, zero, 15, b.now), BS_ESHORT);
	bs_put_u16(zero + 14, 16);
	zero[9] = BS_WIRE_VERSION;
	zero[8] = BS_TYPE_U_CONNECT;
	ck_assert_int_eq(bs_device_gw_input(&b.d, a, zero, 16, b.now), BS_EUNKNOWN);
	zero[8] = BS_TYPE_GW_CONN_U;
	ck_assert_int_eq(bs_device_gw_input(&b.d, a, zero, 16, b.now), BS_ESTATE);
	ck_assert_int_eq(framing(NSI_A, a, false, BS_FRAMING_KEEPALIVE, 1), BS_OK);
}
END_TEST

START_TEST(offers_that_do_not_count)
{
	struct bs_endpoint relay;
	uint32_t number;
	size_t slot;

	offer(NSI_B, 0x7F000001);
	ck_assert(bs_device_gw_next(&b.d, &slot, &number, &relay));
	ck_assert_uint_eq(bs_endpoint_ip4(&relay), 0x7F000001);
	bs_device_gw_closed(&b.d, slot, b.now);
	/* Where the attach server is. */
	offer(NSI_A, 0);
	ck_assert(bs_device_gw_next(&b.d, &slot, &number, &relay));
	ck_assert_uint_eq(bs_endpoint_ip4(&relay), bs_endpoint_ip4(&b.d.attach.server));
	ck_assert_uint_eq(relay.port, 5568);
	bs_device_gw_closed(&b.d, slot, b.now);
	b.conf.tcp_relay = false;
	offer(NSI_A + 2, 0x7F000001);
	ck_assert(!bs_device_gw_next(&b.d, &slot, &number, &relay));
	ck_assert_uint_eq(bs_device_n_live(&b.d), 3);
	/* Switched off, every leg goes. */
	b.conf.tcp_relay = true;
	offer(NSI_A + 3, 0x7F000001);
	ck_assert(bs_device_gw_next(&b.d, &slot, &number, &relay));
	bs_device_stop(&b.d);
	ck_assert(bs_device_gw_next(&b.d, &slot, &number, &relay));
	ck_assert_uint_eq(relay.port, 0);
}
END_TEST

Suite *bs_suite_gw_device(void);

Suite *bs_suite_gw_device(void)
{
	Suite *s = suite_create("gw_device");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_answer_decides_about_the_limit);
	tcase_add_test(t, the_end_of_the_stream_is_the_close);
	tcase_add_test(t, what_comes_over_udp_first_ends_the_leg);
	tcase_add_test(t, a_relay_cannot_speak_for_others);
	tcase_add_test(t, offers_that_do_not_count);
	suite_add_tcase(s, t);
	return s;
}
