/* SPDX-License-Identifier: Apache-2.0 */
/* WINDOW, SACK, PART and the malformed RST. */
#include "wire/stream.h"

#include "support.h"

static struct bs_vectors *vectors;

static void setup(void)
{
	vectors = bs_vectors_load("data.txt");
}

static void teardown(void)
{
	bs_vectors_free(vectors);
}

/* Taken or dropped, but never with another result, and from storage of exactly its length. */
static bool is_taken(const uint8_t *bytes, size_t len)
{
	uint8_t *pkt = bs_test_copy(bytes, len);
	struct bs_window_pl w;
	struct bs_packet p;
	int err = bs_stream_packet_decode(pkt, len, &p);

	if (!err)
		err = bs_window_find(&p, &w);
	ck_assert(err == BS_OK || (err <= BS_ESHORT && err > BS_EINVAL));
	free(pkt);
	return err == BS_OK;
}

/* Write the outer payloads of a packet again; returns their length in out. */
static size_t rebuild(const struct bs_packet *p, uint8_t *out, size_t cap)
{
	struct bs_sack_pair pair[BS_SACK_PAIRS];
	struct bs_window_pl w;
	struct bs_payload pl;
	struct bs_writer wr;

	ck_assert_int_eq(bs_window_find(p, &w), BS_OK);
	bs_writer_init(&wr, out, cap);
	bs_window_put(&wr, &w);
	if (bs_payload_find(p, BS_PL_SACK, &pl))
		bs_sack_put(&wr, pair, bs_sack_get(&pl, pair, BS_SACK_PAIRS));
	ck_assert(!wr.bad);
	return wr.len;
}

START_TEST(recordings_are_rebuilt)
{
	struct bs_scenario sc = { NULL, NULL, 0 };
	size_t done = 0;
	size_t odd = 0;

	while (bs_scenario_next(vectors, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_scenario_packet(&sc, r))) {
			struct bs_slice raw = bs_row_hex(r, "hex");
			uint8_t out[128];
			struct bs_packet p;
			size_t off;
			size_t n;

			if (bs_stream_packet_decode(raw.ptr, raw.len, &p) || p.h.tag < 0x1000)
				continue;
			off = bs_header_len(p.h.flags);
			n = rebuild(&p, out, sizeof(out));
			ck_assert_int_eq(p.bytes[off + n], BS_PL_CRYPTO);
			/* The odd one says 22 where we say what is true. */
			if (p.list_off != off) {
				odd++;
				ck_assert_int_eq(p.bytes[off + 3], 22);
				out[3] = 22;
			}
			ck_assert_mem_eq(out, p.bytes + off, n);
			done++;
		}
	}
	ck_assert_int_ge(done, 120);
	ck_assert_int_ge(odd, 2);
}
END_TEST

START_TEST(odd_rst_is_taken_only_as_it_is)
{
	struct bs_scenario sc = bs_scenario_find(vectors, "stream_refused");
	struct bs_slice raw = bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex");
	uint8_t *pkt = bs_test_copy(raw.ptr, raw.len);
	struct bs_window_pl w;
	struct bs_packet p;
	size_t crypto;

	ck_assert_int_eq(bs_packet_decode(pkt, raw.len, &p), BS_EPAYLOAD);
	ck_assert_int_eq(bs_stream_packet_decode(pkt, raw.len, &p), BS_OK);
	ck_assert_int_eq(bs_payload_list_check(pkt + p.list_off, raw.len - p.list_off), BS_OK);
	ck_assert_int_eq(bs_window_find(&p, &w), BS_OK);
	ck_assert_int_eq(w.flags, BS_WINDOW_RST);
	crypto = p.list_off;
	/* Another length, another flag, another payload behind it, a CRYPTO that ends elsewhere. */
	pkt[21] ^= 1;
	ck_assert_int_eq(bs_stream_packet_decode(pkt, raw.len, &p), BS_EPAYLOAD);
	pkt[21] ^= 1;
	pkt[22] = BS_WINDOW_ACK;
	ck_assert_int_eq(bs_stream_packet_decode(pkt, raw.len, &p), BS_EPAYLOAD);
	pkt[22] = BS_WINDOW_RST;
	pkt[crypto] = BS_PL_PAD;
	ck_assert_int_eq(bs_stream_packet_decode(pkt, raw.len, &p), BS_EPAYLOAD);
	pkt[crypto] = BS_PL_CRYPTO;
	pkt[crypto + 3]--;
	ck_assert_int_eq(bs_stream_packet_decode(pkt, raw.len, &p), BS_EPAYLOAD);
	free(pkt);
}
END_TEST

START_TEST(packets_survive_maltreatment)
{
	static const char *const names[] = { "stream_open", "stream_sack_from_device",
					     "stream_close", "stream_refused" };
	struct bs_scenario sc = bs_scenario_find(vectors, names[_i]);
	const struct bs_row *r = NULL;

	while ((r = bs_scenario_packet(&sc, r))) {
		struct bs_slice raw = bs_row_hex(r, "hex");
		uint8_t *pkt = bs_test_copy(raw.ptr, raw.len);
		size_t i;

		ck_assert(is_taken(pkt, raw.len));
		for (i = 0; i < raw.len; i++) {
			ck_assert(!is_taken(pkt, i));
			bs_put_u16(pkt + 14, (uint16_t)i);
			/* With a length that fits there is still a payload cut in the middle. */
			(void)is_taken(pkt, i);
			bs_put_u16(pkt + 14, (uint16_t)raw.len);
		}
		for (i = 0; i < 8 * raw.len; i++) {
			pkt[i / 8] ^= (uint8_t)(1u << i % 8);
			(void)is_taken(pkt, raw.len);
			pkt[i / 8] ^= (uint8_t)(1u << i % 8);
		}
		free(pkt);
	}
}
END_TEST

static int get(uint8_t flags, size_t len, struct bs_window_pl *w)
{
	uint8_t data[32];
	struct bs_payload pl;

	memset(data, 1, sizeof(data));
	data[0] = flags;
	pl.type = BS_PL_WINDOW;
	pl.flags = 0;
	pl.len = (uint16_t)len;
	pl.data = data;
	return bs_window_get(&pl, w);
}

START_TEST(window_forms)
{
	struct bs_window_pl w;
	unsigned flags;

	for (flags = 0; flags < 256; flags++) {
		bool known = flags == 0x10 || flags == 0x20 || flags == 0x80 || flags == 0x90 ||
			     flags == 0x50;

		ck_assert_int_eq(get((uint8_t)flags, 28, &w), known ? BS_OK : BS_EFIELD);
	}
	ck_assert_int_eq(get(BS_WINDOW_ACK, 16, &w), BS_OK);
	ck_assert_int_eq(w.window, 0x0101);
	ck_assert_int_eq(get(BS_WINDOW_ACK, 15, &w), BS_ESHORT);
	ck_assert_int_eq(get(BS_WINDOW_RST, 14, &w), BS_OK);
	ck_assert_int_eq(get(BS_WINDOW_RST, 13, &w), BS_ESHORT);
	ck_assert_int_eq(get(BS_WINDOW_SYN, 27, &w), BS_ESHORT);
}
END_TEST

START_TEST(syn_of_nothing_is_dropped)
{
	static const int fields[] = { 16, 18, 20, 22 };
	uint8_t data[28];
	struct bs_window_pl w;
	struct bs_payload pl = { BS_PL_WINDOW, 0, 28, data };
	size_t i;

	for (i = 0; i < BS_LEN(fields); i++) {
		memset(data, 1, sizeof(data));
		data[0] = BS_WINDOW_SYN;
		ck_assert_int_eq(bs_window_get(&pl, &w), BS_OK);
		data[fields[i]] = 0;
		data[fields[i] + 1] = 0;
		ck_assert_int_eq(bs_window_get(&pl, &w), BS_EFIELD);
	}
}
END_TEST

START_TEST(ranges_that_are_none_are_left_out)
{
	uint8_t data[44];
	struct bs_sack_pair out[8];
	struct bs_payload pl = { BS_PL_SACK, 0, 43, data };
	static const uint32_t v[] = { 10, 12, 9, 9, 8, 7, 20, 21, 30, 40 };
	size_t i;

	for (i = 0; i < BS_LEN(v); i++)
		bs_put_u32(data + 4 * i, v[i]);
	/* The fifth is cut off by three bytes of rubbish instead of its last ones. */
	pl.len = 39;
	ck_assert_int_eq(bs_sack_get(&pl, out, 8), 2);
	ck_assert_int_eq(out[1].start, 20);
	pl.len = 40;
	ck_assert_int_eq(bs_sack_get(&pl, out, 8), 3);
	ck_assert_int_eq(bs_sack_get(&pl, out, 1), 1);
}
END_TEST

START_TEST(parts_lie_on_their_grid)
{
	uint8_t data[4];
	struct bs_part part;
	struct bs_payload pl = { BS_PL_PART, 0, 4, data };

	bs_put_u16(data, 512);
	bs_put_u16(data + 2, 513);
	ck_assert_int_eq(bs_part_get(&pl, &part), BS_OK);
	bs_put_u16(data + 2, 512);
	ck_assert_int_eq(bs_part_get(&pl, &part), BS_EFIELD);
	bs_put_u16(data, 511);
	ck_assert_int_eq(bs_part_get(&pl, &part), BS_EFIELD);
	pl.len = 3;
	ck_assert_int_eq(bs_part_get(&pl, &part), BS_ESHORT);
}
END_TEST

Suite *bs_suite_stream(void);

Suite *bs_suite_stream(void)
{
	Suite *s = suite_create("stream");
	TCase *tc = tcase_create("wire");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, recordings_are_rebuilt);
	tcase_add_test(tc, odd_rst_is_taken_only_as_it_is);
	tcase_add_loop_test(tc, packets_survive_maltreatment, 0, 4);
	tcase_add_test(tc, window_forms);
	tcase_add_test(tc, syn_of_nothing_is_dropped);
	tcase_add_test(tc, ranges_that_are_none_are_left_out);
	tcase_add_test(tc, parts_lie_on_their_grid);
	suite_add_tcase(s, tc);
	return s;
}
