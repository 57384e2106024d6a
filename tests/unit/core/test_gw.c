/* SPDX-License-Identifier: Apache-2.0 */
/* The TCP relay on the wire, against what a recorded device sent and took. */
#include "wire/gw.h"

#include "support.h"
#include "util/endpoint.h"
#include "wire/connect.h"

static struct bs_vectors *v;
static struct bs_scenario s;
static uint8_t buf[BS_PACKET_MAX];

static void load(void)
{
	v = bs_vectors_load("control.txt");
	s = bs_scenario_find(v, "tcp_relay");
}

static void unload(void)
{
	bs_vectors_free(v);
}

static struct bs_slice recorded(uint8_t type, uint8_t flags)
{
	struct bs_packet p;
	const struct bs_row *row = bs_test_next(&s, NULL, type, flags, &p);

	ck_assert_ptr_nonnull(row);
	return bs_row_hex(row, "hex");
}

static int hello_packet(const struct bs_packet *p)
{
	struct bs_gw_hello m;

	return bs_gw_hello_decode(p, &m);
}

static int answer_packet(const struct bs_packet *p)
{
	struct bs_gw_answer m;

	return bs_gw_answer_decode(p, &m);
}

/* Cut at every byte, with the old and a matching length, and every bit turned.  (bs_test_maltreat
 * wants flags that are fixed; here they move the payload list.) */
static void maltreat(struct bs_slice raw, size_t least, bs_test_decode_fn decode)
{
	uint8_t copy[BS_GW_HELLO_LEN];
	size_t i;

	for (i = 0; i < least; i++) {
		ck_assert_int_ne(bs_test_decode(raw.ptr, i, decode), BS_OK);
		ck_assert_int_ne(bs_test_decode_as(raw.ptr, i, decode), BS_OK);
	}
	for (i = 0; i < raw.len * 8; i++) {
		int err;

		memcpy(copy, raw.ptr, raw.len);
		copy[i / 8] ^= (uint8_t)(1u << i % 8);
		err = bs_test_decode(copy, raw.len, decode);
		ck_assert(err == BS_OK || (err <= -200 && err > -300));
	}
}

START_TEST(the_recorded_handshake_is_read_and_rebuilt)
{
	struct bs_slice raw = recorded(BS_TYPE_GW_CONN_U, BS_FLAG_NSI_CO);
	struct bs_gw_hello m;
	struct bs_packet p;

	ck_assert_uint_eq(raw.len, BS_GW_HELLO_LEN);
	ck_assert_int_eq(bs_packet_decode(raw.ptr, raw.len, &p), BS_OK);
	ck_assert_int_eq(bs_gw_hello_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.nsi_sp, bs_scenario_num(&s, "connection_nsi"));
	ck_assert_uint_eq(m.nsi_cp, bs_scenario_num(&s, "client_nsi"));
	ck_assert_mem_eq(m.nsi_co, bs_scenario_hex(&s, "controller_nsi").ptr, 8);
	ck_assert_mem_eq(m.id, bs_scenario_hex(&s, "gateway_id").ptr, BS_GW_ID_LEN);
	ck_assert_uint_eq(m.flags, BS_GW_RELIABLE);
	ck_assert_int_eq(bs_gw_hello_encode(buf, sizeof(buf), &m), BS_GW_HELLO_LEN);
	ck_assert_mem_eq(buf, raw.ptr, raw.len);
	ck_assert_int_eq(bs_gw_hello_encode(buf, BS_GW_HELLO_LEN - 1, &m), BS_ETOOBIG);
	maltreat(raw, raw.len, hello_packet);
}
END_TEST

START_TEST(the_recorded_answer_is_read_and_rebuilt)
{
	struct bs_slice raw = recorded(BS_TYPE_GW_CONN_U, BS_FLAG_NSI_CO | BS_FLAG_RESPONSE);
	struct bs_gw_answer m;
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(raw.ptr, raw.len, &p), BS_OK);
	ck_assert_int_eq(bs_gw_answer_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.nsi_sp, bs_scenario_num(&s, "connection_nsi"));
	ck_assert_uint_eq(m.flags, BS_GW_RELIABLE);
	ck_assert(m.has_co);
	ck_assert_int_eq(bs_gw_answer_encode(buf, sizeof(buf), &m), BS_GW_ANSWER_LEN);
	ck_assert_mem_eq(buf, raw.ptr, raw.len);
	m.has_co = false;
	ck_assert_int_eq(bs_gw_answer_encode(buf, sizeof(buf), &m), 22);
	ck_assert_int_eq(bs_packet_decode(buf, 22, &p), BS_OK);
	ck_assert_int_eq(bs_gw_answer_decode(&p, &m), BS_OK);
	maltreat(raw, raw.len, answer_packet);
}
END_TEST

START_TEST(a_handshake_that_contradicts_itself_is_refused)
{
	struct bs_slice raw = recorded(BS_TYPE_GW_CONN_U, BS_FLAG_NSI_CO);
	size_t i;

	/* Each byte of the numbers in the header: the copy in NONCE stays. */
	for (i = 0; i < 24; i++) {
		if (i >= 8 && i < 16)
			continue;
		memcpy(buf, raw.ptr, raw.len);
		buf[i] ^= 0x01;
		ck_assert_int_eq(bs_test_decode(buf, raw.len, hello_packet), BS_EFIELD);
	}
	memcpy(buf, raw.ptr, raw.len);
	buf[28] = 1; /* kind: not TCP */
	ck_assert_int_eq(bs_test_decode(buf, raw.len, hello_packet), BS_EFIELD);
}
END_TEST

START_TEST(gw_of_the_recorded_connect_is_read_and_rebuilt)
{
	struct bs_slice raw = recorded(BS_TYPE_U_CONNECT, 0);
	struct bs_payload pl;
	struct bs_packet p;
	struct bs_writer w;
	struct bs_gw gw;

	ck_assert_int_eq(bs_packet_decode(raw.ptr, raw.len, &p), BS_OK);
	ck_assert(bs_payload_find(&p, BS_PL_GW, &pl));
	ck_assert_int_eq(bs_gw_get(&pl, &gw), BS_OK);
	ck_assert_uint_eq(bs_endpoint_ip4(&gw.ep), 0x7F000001);
	ck_assert_mem_eq(gw.id, bs_scenario_hex(&s, "gateway_id").ptr, BS_GW_ID_LEN);
	bs_writer_init(&w, buf, sizeof(buf));
	bs_gw_put(&w, &gw);
	ck_assert_uint_eq(w.len, BS_GW_PAYLOAD_LEN);
	ck_assert_mem_eq(buf, pl.data - 4, w.len);
	pl.len--;
	ck_assert_int_eq(bs_gw_get(&pl, &gw), BS_EFIELD);
	pl.len += 2;
	ck_assert_int_eq(bs_gw_get(&pl, &gw), BS_EFIELD);
	pl.len = 9;
	ck_assert_int_eq(bs_gw_get(&pl, &gw), BS_ESHORT);
}
END_TEST

START_TEST(a_stream_is_cut_by_its_length_fields)
{
	uint8_t head[16] = { 0 };
	unsigned len;
	size_t have;

	for (len = 0; len <= UINT16_MAX; len++) {
		bool ok = len >= BS_HEADER_MIN && len <= BS_PACKET_MAX;

		bs_put_u16(head + 14, (uint16_t)len);
		ck_assert_int_eq(bs_gw_frame_len(head, 16, BS_PACKET_MAX),
				 ok ? (bs_ssize)len : BS_ELENGTH);
	}
	for (have = 0; have < 16; have++)
		ck_assert_int_eq(bs_gw_frame_len(head, have, BS_PACKET_MAX), BS_EAGAIN);
}
END_TEST

/* What a relay may pass on: basestation-wire(7), TCP RELAY. */
START_TEST(only_data_of_the_connection_passes)
{
	struct bs_slice raw = recorded(BS_TYPE_DATA, BS_FLAG_TAG);
	uint32_t nsi = bs_scenario_num(&s, "connection_nsi");

	memcpy(buf, raw.ptr, raw.len);
	ck_assert_int_eq(bs_gw_data_check(buf, raw.len, nsi, true), BS_OK);
	ck_assert_int_eq(bs_gw_data_check(buf, raw.len, nsi + 1, true), BS_EUNKNOWN);
	ck_assert_int_eq(bs_gw_data_check(buf, raw.len - 1, nsi, true), BS_ELENGTH);
	buf[8] = BS_TYPE_U_CONNECT;
	ck_assert_int_eq(bs_gw_data_check(buf, raw.len, nsi, true), BS_ETYPE);
	buf[8] = BS_TYPE_DATA;
	buf[9] = 3;
	ck_assert_int_eq(bs_gw_data_check(buf, raw.len, nsi, false), BS_EVERSION);
	buf[9] = BS_WIRE_VERSION;
	/* A list that does not add up: never to a device, but clients know such packets. */
	buf[21] ^= 0x01;
	ck_assert_int_eq(bs_gw_data_check(buf, raw.len, nsi, true), BS_EPAYLOAD);
	ck_assert_int_eq(bs_gw_data_check(buf, raw.len, nsi, false), BS_OK);
	bs_put_u16(buf + 14, 15);
	ck_assert_int_eq(bs_gw_data_check(buf, 15, nsi, false), BS_ESHORT);
}
END_TEST

START_TEST(the_offer_gives_way_before_the_name_is_cut)
{
	static const uint8_t name[64] =
		"somebody-with-a-name-that-is-as-long-as-they-may-be@example.com";
	static const uint8_t fp[BS_FP_LEN] = { 1 };
	static const uint8_t block[BS_KEY_BLOCK_LEN] = { 2 };
	struct bs_connect_request m;
	struct bs_gw gw;
	struct bs_writer w;
	size_t n;

	memset(&m, 0, sizeof(m));
	memset(&gw, 0, sizeof(gw));
	m.ipx.has_nsi = m.ipx.has_full = true;
	m.ipx.nsi_sp = 0x7001;
	m.fp = fp;
	m.gw = &gw;
	for (n = 0; n <= sizeof(name); n++) {
		struct bs_packet p;
		struct bs_payload pl;
		bool fits = n <= 13; /* of 272 bytes */

		m.client_id = (struct bs_slice){ name, n };
		ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, 272,
							  (struct bs_slice){ block, 96 }),
				 BS_OK);
		ck_assert(bs_connect_gw_fits(&m, 272) == fits);
		ck_assert_int_gt(bs_packet_finish(&w), 0);
		ck_assert_uint_le(w.len + BS_CONNECT_CRYPTO_LEN, 272);
		ck_assert_int_eq(bs_packet_decode(buf, w.len, &p), BS_OK);
		ck_assert(bs_payload_find(&p, BS_PL_GW, &pl) == fits);
	}
	m.ipx.has_full = false;
	m.client_id.len = 0;
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, 272,
						  (struct bs_slice){ block, 96 }),
			 BS_OK);
	ck_assert_uint_eq(w.len, 16 + 21 + 21);
}
END_TEST

Suite *bs_suite_gw(void);

Suite *bs_suite_gw(void)
{
	Suite *suite = suite_create("gw");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, load, unload);
	tcase_add_test(t, the_recorded_handshake_is_read_and_rebuilt);
	tcase_add_test(t, the_recorded_answer_is_read_and_rebuilt);
	tcase_add_test(t, a_handshake_that_contradicts_itself_is_refused);
	tcase_add_test(t, gw_of_the_recorded_connect_is_read_and_rebuilt);
	tcase_add_test(t, a_stream_is_cut_by_its_length_fields);
	tcase_add_test(t, only_data_of_the_connection_passes);
	tcase_add_test(t, the_offer_gives_way_before_the_name_is_cut);
	suite_add_tcase(suite, t);
	return suite;
}
