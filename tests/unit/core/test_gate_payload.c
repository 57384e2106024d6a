/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/gate_payload.h"

#include "test.h"

/** A payload over [n] bytes of hex. */
static struct bs_payload payload(const char *hex, uint8_t *buf)
{
	struct bs_payload pl = { 0 };

	pl.len = (uint16_t)bs_test_unhex(hex, buf);
	pl.data = buf;
	return pl;
}

/** A packet around what put wrote, and its first payload. */
static struct bs_payload written(struct bs_writer *w, struct bs_packet *p)
{
	struct bs_payload pl;
	size_t off = 0;
	bs_ssize len = bs_packet_finish(w);

	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(bs_packet_decode(w->buf, (size_t)len, p), BS_OK);
	ck_assert(bs_payload_next(p, &off, &pl));
	return pl;
}

static void begin(struct bs_writer *w, uint8_t *buf, size_t cap)
{
	const struct bs_header h = { .type = BS_TYPE_EVENT, .version = BS_WIRE_VERSION };

	bs_packet_begin(w, buf, cap, &h);
}

START_TEST(params_rows)
{
	static const struct {
		const char *hex;
		int want;
		uint16_t has;
	} rows[] = {
		{ "", BS_OK, 0 },
		{ "0104003c", BS_OK, BS_PARAM_BIT(1) },
		{ "0802", BS_OK, BS_PARAM_BIT(8) },
		{ "06040102", BS_OK, BS_PARAM_BIT(6) },
		{ "0104003c06040101", BS_OK, BS_PARAM_BIT(1) | BS_PARAM_BIT(6) },
		{ "ff05aabbcc0802", BS_OK, BS_PARAM_BIT(8) },
		{ "0002", BS_OK, 0 },
		{ "01", BS_ESHORT, 0 },
		{ "0101", BS_EFIELD, 0 },
		{ "0100", BS_EFIELD, 0 },
		{ "010400", BS_EFIELD, 0 },
		{ "010300", BS_EFIELD, 0 },
		{ "0105000000", BS_EFIELD, 0 },
		{ "080300", BS_EFIELD, 0 },
		{ "0802ff", BS_ESHORT, 0 },
		{ "ff04", BS_EFIELD, 0 },
	};
	uint8_t buf[64];

	for (size_t i = 0; i < BS_LEN(rows); i++) {
		struct bs_payload pl = payload(rows[i].hex, buf);
		struct bs_params p;

		memset(&p, 0xEE, sizeof(p));
		ck_assert_msg(bs_params_get(&pl, &p) == rows[i].want, "row %zu", i);
		if (rows[i].want == BS_OK)
			ck_assert_uint_eq(p.has, rows[i].has);
		else
			ck_assert_uint_eq(p.has, 0xEEEE);
	}
}
END_TEST

START_TEST(params_come_back)
{
	struct bs_params in, out;
	struct bs_packet p;
	struct bs_writer w;
	uint8_t buf[128];

	memset(&in, 0, sizeof(in));
	in.has = 0x1FE;
	in.keepalive_s = 30;
	in.server_time_ms = UINT64_C(0x0102030405060708);
	in.packet_max = 4096;
	in.retry_after_ms = 0xA0B0C0D0;
	in.tactics = 0x55AA;
	in.version_min = 1;
	in.version_max = 9;
	in.since = UINT64_MAX;
	begin(&w, buf, sizeof(buf));
	bs_params_put(&w, &in);
	struct bs_payload pl = written(&w, &p);

	ck_assert_uint_eq(pl.type, BS_PL_PARAMS);
	ck_assert_int_eq(bs_params_get(&pl, &out), BS_OK);
	ck_assert_uint_eq(out.has, in.has);
	ck_assert_uint_eq(out.keepalive_s, 30);
	ck_assert(out.server_time_ms == in.server_time_ms);
	ck_assert_uint_eq(out.packet_max, 4096);
	ck_assert_uint_eq(out.retry_after_ms, in.retry_after_ms);
	ck_assert_uint_eq(out.tactics, in.tactics);
	ck_assert_uint_eq(out.version_min, 1);
	ck_assert_uint_eq(out.version_max, 9);
	ck_assert(out.since == UINT64_MAX);
}
END_TEST

START_TEST(a_status_is_a_code_and_text)
{
	uint8_t buf[8];
	struct bs_payload pl = payload("800d686921", buf);
	struct bs_status_text st;

	ck_assert_int_eq(bs_status_get(&pl, &st), BS_OK);
	ck_assert_uint_eq(st.code, BS_ST_REFUSED);
	ck_assert_uint_eq(st.text.len, 3);
	ck_assert_mem_eq(st.text.ptr, "hi!", 3);
	pl.len = 2;
	ck_assert_int_eq(bs_status_get(&pl, &st), BS_OK);
	ck_assert_uint_eq(st.text.len, 0);
	pl.len = 1;
	ck_assert_int_eq(bs_status_get(&pl, &st), BS_ESHORT);
}
END_TEST

START_TEST(a_long_status_is_cut_between_characters)
{
	char text[BS_STATUS_TEXT_MAX + 10];
	struct bs_status_text st = { BS_ST_ERROR, { (const uint8_t *)text, sizeof(text) } };
	struct bs_packet p;
	struct bs_writer w;
	uint8_t buf[512];

	/* Two-byte characters, shifted so that one lies across the limit. */
	memset(text, 0xC3, sizeof(text));
	text[0] = 'x';
	for (size_t i = 2; i < sizeof(text); i += 2)
		text[i] = (char)0xA4;
	begin(&w, buf, sizeof(buf));
	bs_status_put(&w, &st);
	struct bs_payload pl = written(&w, &p);

	ck_assert_int_eq(bs_status_get(&pl, &st), BS_OK);
	ck_assert_uint_eq(st.text.len, BS_STATUS_TEXT_MAX - 1);
	ck_assert_uint_eq(st.text.ptr[st.text.len - 1], 0xA4);
}
END_TEST

START_TEST(a_node_has_a_port_and_a_printable_name)
{
	static const struct {
		const char *hex;
		int want;
	} rows[] = {
		{ "15c3612e62", BS_OK },     { "0000612e62", BS_EFIELD }, { "15c3", BS_ESHORT },
		{ "15c361200a", BS_EFIELD }, { "15c3617f", BS_EFIELD },   { "15c300", BS_EFIELD },
	};
	uint8_t buf[8];
	struct bs_node n;

	for (size_t i = 0; i < BS_LEN(rows); i++) {
		struct bs_payload pl = payload(rows[i].hex, buf);

		ck_assert_msg(bs_node_get(&pl, &n) == rows[i].want, "row %zu", i);
	}
}
END_TEST

START_TEST(a_node_that_is_none_is_not_written)
{
	char host[BS_NODE_HOST_MAX + 2];
	struct bs_writer w;
	uint8_t buf[512];
	const struct bs_slice names[] = { { NULL, 0 },
					  { (const uint8_t *)host, sizeof(host) - 1 },
					  { (const uint8_t *)"a b", 3 } };

	memset(host, 'a', sizeof(host));
	for (size_t i = 0; i < BS_LEN(names); i++) {
		const struct bs_node n = { 1, names[i] };

		begin(&w, buf, sizeof(buf));
		bs_node_put(&w, &n);
		ck_assert_int_eq(bs_packet_finish(&w), BS_ETOOBIG);
	}
	const struct bs_node longest = { 1, { (const uint8_t *)host, BS_NODE_HOST_MAX } };

	begin(&w, buf, sizeof(buf));
	bs_node_put(&w, &longest);
	ck_assert_int_gt(bs_packet_finish(&w), 0);
}
END_TEST

START_TEST(nat_values_of_another_age_are_unknown)
{
	uint8_t buf[4];
	struct bs_payload pl = payload("0304", buf);
	struct bs_nat n;

	ck_assert_int_eq(bs_nat_get(&pl, &n), BS_OK);
	ck_assert_uint_eq(n.mapping, BS_NAT_BY_PORT);
	ck_assert_uint_eq(n.filtering, BS_NAT_UNKNOWN);
	pl.len = 1;
	ck_assert_int_eq(bs_nat_get(&pl, &n), BS_ESHORT);
}
END_TEST

START_TEST(presence_rows)
{
	static const struct {
		const char *hex;
		int want;
		uint8_t state;
	} rows[] = {
		{ "0000000000000009010000000000000005612e62", BS_OK, 1 },
		{ "0000000000000009070000000000000005612e62", BS_OK, BS_PRESENCE_UNKNOWN },
		{ "00000000000000090100000000000000054120", BS_EFIELD, 0 },
		{ "0000000000000009010000000000000005", BS_ESHORT, 0 },
		{ "", BS_ESHORT, 0 },
	};
	uint8_t buf[32];
	struct bs_presence p;

	for (size_t i = 0; i < BS_LEN(rows); i++) {
		struct bs_payload pl = payload(rows[i].hex, buf);

		ck_assert_msg(bs_presence_get(&pl, &p) == rows[i].want, "row %zu", i);
		if (rows[i].want == BS_OK) {
			ck_assert(p.event == 9 && p.since_ms == 5);
			ck_assert_uint_eq(p.state, rows[i].state);
		}
	}
}
END_TEST

START_TEST(a_presence_of_no_device_is_not_written)
{
	const struct bs_presence p = { .id = { (const uint8_t *)"NO", 2 } };
	struct bs_writer w;
	uint8_t buf[64];

	begin(&w, buf, sizeof(buf));
	bs_presence_put(&w, &p);
	ck_assert_int_eq(bs_packet_finish(&w), BS_ETOOBIG);
}
END_TEST

START_TEST(a_session_key_is_exactly_one_block)
{
	uint8_t data[2 + BS_KEY_BLOCK_LEN + 1];
	struct bs_payload pl = { BS_PL_SESSION_KEY, 0, 0, data };
	struct bs_session_key k;

	memset(data, 7, sizeof(data));
	bs_put_u16(data, BS_SUITE_AES_CBC);
	for (uint16_t len = 0; len <= sizeof(data); len++) {
		pl.len = len;
		int want = len < 2 ? BS_ESHORT : len == 98 ? BS_OK : BS_ESUITE;

		ck_assert_int_eq(bs_session_key_get(&pl, &k), want);
	}
	bs_put_u16(data, BS_SUITE_NULL);
	pl.len = 2;
	ck_assert_int_eq(bs_session_key_get(&pl, &k), BS_OK);
	ck_assert(!k.has_key);
	pl.len = 98;
	ck_assert_int_eq(bs_session_key_get(&pl, &k), BS_ESUITE);
	bs_put_u16(data, BS_SUITE_AES_GCM);
	ck_assert_int_eq(bs_session_key_get(&pl, &k), BS_OK);
	ck_assert(k.has_key);
	pl.len = 97;
	ck_assert_int_eq(bs_session_key_get(&pl, &k), BS_ESUITE);
	pl.len = 98;
	bs_put_u16(data, 0x500A);
	ck_assert_int_eq(bs_session_key_get(&pl, &k), BS_ESUITE);
}
END_TEST

START_TEST(fixed_payloads_have_one_length)
{
	uint8_t data[20] = { 1, 2, 3 };
	uint8_t out[16] = { 0 };
	struct bs_payload pl = { BS_PL_TOKEN, 0, 16, data };

	ck_assert_int_eq(bs_fixed_get(&pl, out, 16), BS_OK);
	ck_assert_mem_eq(out, data, 16);
	pl.len = 15;
	ck_assert_int_eq(bs_fixed_get(&pl, out, 16), BS_EFIELD);
	pl.len = 17;
	ck_assert_int_eq(bs_fixed_get(&pl, out, 16), BS_EFIELD);
}
END_TEST

Suite *bs_suite_gate_payload(void);
Suite *bs_suite_gate_payload(void)
{
	Suite *s = suite_create("gate_payload");
	TCase *tc = tcase_create("gate_payload");

	tcase_add_test(tc, params_rows);
	tcase_add_test(tc, params_come_back);
	tcase_add_test(tc, a_status_is_a_code_and_text);
	tcase_add_test(tc, a_long_status_is_cut_between_characters);
	tcase_add_test(tc, a_node_has_a_port_and_a_printable_name);
	tcase_add_test(tc, a_node_that_is_none_is_not_written);
	tcase_add_test(tc, nat_values_of_another_age_are_unknown);
	tcase_add_test(tc, presence_rows);
	tcase_add_test(tc, a_presence_of_no_device_is_not_written);
	tcase_add_test(tc, a_session_key_is_exactly_one_block);
	tcase_add_test(tc, fixed_payloads_have_one_length);
	suite_add_tcase(s, tc);
	return s;
}
