/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/stats.h"

#include "support.h"
#include "util/endpoint.h"

static int stats(const struct bs_packet *p)
{
	struct bs_stats m;

	return bs_stats_decode(p, &m);
}

START_TEST(recordings_are_rebuilt)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	uint8_t buf[512];
	int events[9] = { 0 };

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_test_next(&sc, r, BS_TYPE_STATS, 0, &p))) {
			struct bs_stats m;

			ck_assert_int_eq(bs_stats_decode(&p, &m), BS_OK);
			ck_assert_int_eq(bs_stats_encode(buf, sizeof(buf), &m), (int)p.len);
			ck_assert_msg(memcmp(buf, p.bytes, p.len) == 0, "line %d", r->line);
			ck_assert_uint_lt(m.event, BS_LEN(events));
			ck_assert(m.has_attach == (m.event == BS_STATS_ATTACH_FAIL));
			events[m.event]++;
		}
	}
	ck_assert_int_ge(events[BS_STATS_OPEN], 5);
	ck_assert_int_ge(events[BS_STATS_CLOSE], 5);
	ck_assert_int_ge(events[BS_STATS_ATTACH_FAIL], 10);
	bs_vectors_free(v);
}
END_TEST

static struct bs_stats sample(void)
{
	struct bs_stats m;

	memset(&m, 0, sizeof(m));
	m.nsi = 20481;
	m.event = BS_STATS_OPEN;
	m.version.kind = BS_VERSION_DEVICE;
	m.id = bs_test_text("cam1.base.test");
	m.client_id = bs_test_text("app@x");
	m.has_attach = true;
	m.attach_status = BS_ATTACH_MAC;
	m.attach_secure = true;
	m.has_ipx = true;
	bs_endpoint_set_ip4(&m.ipx.global, 0xC0000201u, 4001);
	m.has_rendezvous = true;
	m.rendezvous.client_nat = 4;
	m.rendezvous.device_nat = 7;
	m.rendezvous.ports = 940;
	m.rendezvous.sockets = 250;
	m.has_info = true;
	m.info.present = 0x1FE;
	m.info.path = 2;
	m.info.age_ms = 2;
	m.info.tx_bytes = 3;
	m.info.tx_pkts = 4;
	m.info.rx_bytes = 5;
	m.info.rx_pkts = 6;
	m.info.client_ip = 7;
	m.info.device_ip = 8;
	return m;
}

START_TEST(all_parts_are_read_again)
{
	struct bs_stats in = sample();
	struct bs_stats out;
	struct bs_packet p;
	uint8_t buf[256];
	bs_ssize n = bs_stats_encode(buf, sizeof(buf), &in);

	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_stats_decode(&p, &out), BS_OK);
	ck_assert(out.nsi == 20481 && out.event == 1 && out.attach_status == 9);
	ck_assert(out.attach_secure && out.has_ipx && out.has_rendezvous && out.has_info);
	ck_assert_uint_eq(out.client_id.len, 5);
	ck_assert(out.rendezvous.ports == 940 && out.rendezvous.sockets == 250);
	ck_assert(out.rendezvous.client_nat == 4 && out.rendezvous.device_nat == 7);
	ck_assert_uint_eq(out.info.present, 0x1FE);
	ck_assert(out.info.path == 2 && out.info.age_ms == 2 && out.info.tx_bytes == 3);
	ck_assert(out.info.tx_pkts == 4 && out.info.rx_bytes == 5 && out.info.rx_pkts == 6);
	ck_assert(out.info.client_ip == 7 && out.info.device_ip == 8);
}
END_TEST

START_TEST(maltreated_messages)
{
	struct bs_stats m = sample();
	uint8_t buf[256];
	bs_ssize n = bs_stats_encode(buf, sizeof(buf), &m);

	bs_test_maltreat(buf, (size_t)n, 16 + 5 + 14 + 5 + 1, stats);
	ck_assert_int_eq(bs_stats_encode(buf, (size_t)n - 1, &m), BS_ETOOBIG);
}
END_TEST

static const struct {
	uint8_t len;
	uint8_t tlv[12];
	uint16_t present;
} infos[] = {
	{ 3, { 1, 3, 2 }, 1 << 1 },
	{ 6, { 2, 6, 0, 0, 0, 1 }, 1 << 2 },
	{ 0, { 0 }, 0 },
	{ 1, { 1 }, 0 },
	{ 3, { 1, 0, 2 }, 0 },
	{ 3, { 1, 1, 2 }, 0 },
	{ 3, { 1, 4, 2 }, 0 },
	{ 2, { 1, 2 }, 0 },
	{ 4, { 1, 4, 2, 2 }, 0 },
	{ 5, { 2, 5, 0, 0, 1 }, 0 },
	{ 7, { 2, 7, 0, 0, 0, 0, 1 }, 0 },
	{ 6, { 9, 6, 0, 0, 0, 1 }, 0 },
	{ 6, { 0, 6, 0, 0, 0, 1 }, 0 },
	{ 9, { 9, 6, 0, 0, 0, 1, 1, 3, 2 }, 1 << 1 },
	{ 9, { 2, 6, 0, 0, 0, 1, 1, 9, 2 }, 1 << 2 },
};

/* What breaks off is not there; what came before it stays. */
START_TEST(odd_connection_infos)
{
	struct bs_stats m = sample();
	struct bs_stats out;
	struct bs_packet p;
	struct bs_writer w;
	uint8_t buf[256];
	uint8_t *copy;
	bs_ssize n;

	m.has_info = false;
	n = bs_stats_encode(buf, sizeof(buf), &m);
	bs_writer_init(&w, buf, sizeof(buf));
	w.len = (size_t)n;
	bs_packet_add(&w, BS_PL_CONNECTION_INFO, 0, infos[_i].tlv, infos[_i].len);
	n = bs_packet_finish(&w);
	copy = bs_test_copy(buf, (size_t)n);
	ck_assert_int_eq(bs_packet_decode(copy, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_stats_decode(&p, &out), BS_OK);
	ck_assert(out.has_info);
	ck_assert_uint_eq(out.info.present, infos[_i].present);
	free(copy);
}
END_TEST

START_TEST(required_parts)
{
	static const uint8_t required[] = { BS_PL_STATS, BS_PL_VERSION, BS_PL_SP_ID };
	struct bs_stats m = sample();
	struct bs_payload pl;
	struct bs_packet p;
	uint8_t buf[256];
	bs_ssize n = bs_stats_encode(buf, sizeof(buf), &m);
	size_t i;

	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	for (i = 0; i < BS_LEN(required); i++) {
		ck_assert(bs_payload_find(&p, required[i], &pl));
		buf[pl.data - buf - 4] = BS_PL_PAD;
		ck_assert_int_eq(stats(&p), BS_EMISSING);
		buf[pl.data - buf - 4] = required[i];
	}
	ck_assert(bs_payload_find(&p, BS_PL_SP_ID, &pl));
	buf[pl.data - buf + 1] = '!';
	ck_assert_int_eq(stats(&p), BS_EFIELD);
}
END_TEST

Suite *bs_suite_stats(void);

Suite *bs_suite_stats(void)
{
	Suite *s = suite_create("stats");
	TCase *tc = tcase_create("stats");

	tcase_add_test(tc, recordings_are_rebuilt);
	tcase_add_test(tc, all_parts_are_read_again);
	tcase_add_test(tc, maltreated_messages);
	tcase_add_loop_test(tc, odd_connection_infos, 0, BS_LEN(infos));
	tcase_add_test(tc, required_parts);
	suite_add_tcase(s, tc);
	return s;
}
