/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/packet.h"

#include "support.h"

/* Header of 26 bytes with everything, and one payload of 2 bytes. */
static const uint8_t full[] = { 0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0x23, 0x24, 0x16, 0x02, 0x03,
				0xC1, 0x31, 0x32, 0x00, 0x20, 1,    2,    3,    4,    5,    6,
				7,    8,    0x10, 0x01, 0x34, 0x80, 0x00, 0x06, 0xAA, 0xBB };

START_TEST(all_header_fields_are_read)
{
	struct bs_payload pl;
	struct bs_packet p;
	size_t off = 0;

	ck_assert_int_eq(bs_packet_decode(full, sizeof(full), &p), BS_OK);
	ck_assert_uint_eq(p.h.nsi_cp, 0x11121314u);
	ck_assert_uint_eq(p.h.nsi_sp, 0x21222324u);
	ck_assert_uint_eq(p.h.type, BS_TYPE_DATA);
	ck_assert_uint_eq(p.h.version, 2);
	ck_assert_uint_eq(p.h.retrans, 3);
	ck_assert_uint_eq(p.h.flags, 0xC1);
	ck_assert_uint_eq(p.h.seq, 0x3132);
	ck_assert_uint_eq(p.h.len, sizeof(full));
	ck_assert_uint_eq(p.h.tag, 0x1001);
	ck_assert_mem_eq(p.h.nsi_co, full + 16, 8);
	ck_assert_uint_eq(p.list_off, 26);
	ck_assert_ptr_eq(p.bytes, full);
	ck_assert(bs_payload_next(&p, &off, &pl));
	ck_assert_uint_eq(pl.type, BS_PL_NOTIFY);
	ck_assert_uint_eq(pl.flags, BS_PLF_OPTIONAL);
	ck_assert_uint_eq(pl.len, 2);
	ck_assert_ptr_eq(pl.data, full + 30);
	ck_assert(!bs_payload_next(&p, &off, &pl));
}
END_TEST

START_TEST(what_was_read_is_written_again)
{
	uint8_t buf[sizeof(full)];
	struct bs_packet p;
	struct bs_writer w;

	ck_assert_int_eq(bs_packet_decode(full, sizeof(full), &p), BS_OK);
	bs_packet_begin(&w, buf, sizeof(buf), &p.h);
	bs_packet_add(&w, BS_PL_NOTIFY, BS_PLF_OPTIONAL, "\xAA\xBB", 2);
	ck_assert_int_eq(bs_packet_finish(&w), (int)sizeof(full));
	ck_assert_mem_eq(buf, full, sizeof(full));
}
END_TEST

START_TEST(header_lengths)
{
	ck_assert_uint_eq(bs_header_len(0), 16);
	ck_assert_uint_eq(bs_header_len(BS_FLAG_RESPONSE | BS_FLAG_EXCEPTION), 16);
	ck_assert_uint_eq(bs_header_len(BS_FLAG_TAG), 18);
	ck_assert_uint_eq(bs_header_len(BS_FLAG_NSI_CO), 24);
	ck_assert_uint_eq(bs_header_len(BS_FLAG_TAG | BS_FLAG_NSI_CO), 26);
}
END_TEST

/* A packet of len bytes, header only, whose flags claim more. */
START_TEST(optional_header_parts_must_fit)
{
	uint8_t buf[26] = { 0 };
	struct bs_packet p;
	unsigned flags;
	size_t len;

	buf[9] = BS_WIRE_VERSION;
	for (flags = 0; flags < 256; flags++) {
		for (len = 16; len <= sizeof(buf); len++) {
			uint8_t *copy;
			int err;

			buf[11] = (uint8_t)flags;
			bs_put_u16(buf + 14, (uint16_t)len);
			copy = bs_test_copy(buf, len);
			err = bs_packet_decode_header(copy, len, &p);
			ck_assert_int_eq(err,
					 len < bs_header_len((uint8_t)flags) ? BS_ESHORT : BS_OK);
			free(copy);
		}
	}
}
END_TEST

START_TEST(a_failed_decode_leaves_the_result_alone)
{
	uint8_t bad[sizeof(full)];
	struct bs_packet was;
	struct bs_packet p;

	memset(&p, 0x66, sizeof(p));
	memcpy(&was, &p, sizeof(p));
	memcpy(bad, full, sizeof(full));
	bad[29] = 7;
	ck_assert_int_eq(bs_packet_decode(bad, sizeof(bad), &p), BS_EPAYLOAD);
	ck_assert_int_eq(bs_packet_decode(bad, 15, &p), BS_ESHORT);
	ck_assert_int_eq(bs_packet_decode(bad, sizeof(bad) - 1, &p), BS_ELENGTH);
	bad[9] = 3;
	ck_assert_int_eq(bs_packet_decode(bad, sizeof(bad), &p), BS_EVERSION);
	ck_assert_mem_eq(&p, &was, sizeof(p));
	bad[9] = 2;
	ck_assert_int_eq(bs_packet_decode_header(bad, sizeof(bad), &p), BS_OK);
}
END_TEST

static const struct {
	size_t len;
	uint8_t list[12];
	bool ok;
} lists[] = {
	{ 0, { 0 }, true },
	{ 4, { 0x31, 0, 0, 4 }, true },
	{ 8, { 0x31, 0, 0, 4, 0x31, 0, 0, 4 }, true },
	{ 9, { 0x31, 0, 0, 5, 9, 0x31, 0, 0, 4 }, true },
	{ 1, { 0x31 }, false },
	{ 3, { 0x31, 0, 0 }, false },
	{ 4, { 0x31, 0, 0, 0 }, false },
	{ 4, { 0x31, 0, 0, 1 }, false },
	{ 4, { 0x31, 0, 0, 2 }, false },
	{ 4, { 0x31, 0, 0, 3 }, false },
	{ 4, { 0x31, 0, 0, 5 }, false },
	{ 4, { 0x31, 0, 0xFF, 0xFF }, false },
	{ 5, { 0x31, 0, 0, 4, 0 }, false },
	{ 8, { 0x31, 0, 0, 4, 0x31, 0, 0, 5 }, false },
	{ 8, { 0x31, 0, 0, 6, 0x31, 0, 0, 4 }, false },
};

START_TEST(well_formed_lists)
{
	uint8_t *copy = bs_test_copy(lists[_i].list, lists[_i].len);

	ck_assert_int_eq(bs_payload_list_check(copy, lists[_i].len),
			 lists[_i].ok ? BS_OK : BS_EPAYLOAD);
	free(copy);
}
END_TEST

START_TEST(find_gives_the_first_of_a_type)
{
	static const uint8_t pkt[] = { 0,    0, 0, 0, 0, 0,    0, 0, 130, 2, 0,    0, 0, 0, 0, 31,
				       0x31, 0, 0, 5, 1, 0x34, 0, 0, 5,   2, 0x34, 0, 0, 5, 3 };
	struct bs_payload pl;
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(pkt, sizeof(pkt), &p), BS_OK);
	ck_assert(bs_payload_find(&p, 0x34, &pl));
	ck_assert_uint_eq(pl.data[0], 2);
	ck_assert(!bs_payload_find(&p, 0x35, &pl));
	ck_assert_uint_eq(pl.data[0], 2);
}
END_TEST

START_TEST(a_payload_of_unknown_length)
{
	struct bs_header h;
	struct bs_payload pl;
	struct bs_packet p;
	struct bs_writer w;
	uint8_t buf[64];
	size_t off;
	bs_ssize n;

	memset(&h, 0, sizeof(h));
	bs_packet_begin(&w, buf, sizeof(buf), &h);
	off = bs_packet_open_payload(&w, BS_PL_DESCR, BS_PLF_OPTIONAL);
	bs_writer_put_bytes(&w, "hello", 5);
	bs_packet_close_payload(&w, off);
	n = bs_packet_finish(&w);
	ck_assert_int_eq(n, 16 + 4 + 5);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert(bs_payload_find(&p, BS_PL_DESCR, &pl));
	ck_assert_uint_eq(pl.len, 5);
	ck_assert_mem_eq(pl.data, "hello", 5);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_at_the_end)
{
	struct bs_header h;
	struct bs_writer w;
	uint8_t buf[64];
	size_t cap;

	memset(&h, 0, sizeof(h));
	for (cap = 0; cap < 16 + 4 + 5; cap++) {
		uint8_t *exact = bs_test_copy(buf, cap);
		size_t off;

		bs_packet_begin(&w, exact, cap, &h);
		off = bs_packet_open_payload(&w, BS_PL_DESCR, 0);
		bs_writer_put_bytes(&w, "hello", 5);
		bs_packet_close_payload(&w, off);
		ck_assert_int_eq(bs_packet_finish(&w), BS_ETOOBIG);
		free(exact);
	}
	bs_packet_begin(&w, buf, 25, &h);
	bs_packet_add(&w, BS_PL_DESCR, 0, "hello", 5);
	ck_assert_int_eq(bs_packet_finish(&w), 25);
}
END_TEST

START_TEST(lengths_above_16_bits_are_refused)
{
	uint8_t *big = calloc(1, 70000);
	struct bs_header h;
	struct bs_writer w;
	size_t off;

	ck_assert_ptr_nonnull(big);
	memset(&h, 0, sizeof(h));
	bs_packet_begin(&w, big, 70000, &h);
	ck_assert_ptr_null(bs_packet_add_reserve(&w, BS_PL_PAD, 0, 65532));
	ck_assert(w.bad);

	bs_packet_begin(&w, big, 70000, &h);
	off = bs_packet_open_payload(&w, BS_PL_PAD, 0);
	bs_writer_put_zero(&w, 65532);
	bs_packet_close_payload(&w, off);
	ck_assert(w.bad);

	bs_packet_begin(&w, big, 70000, &h);
	bs_writer_put_zero(&w, 65535 - 16);
	ck_assert_int_eq(bs_packet_finish(&w), 65535);
	bs_writer_put_zero(&w, 1);
	ck_assert_int_eq(bs_packet_finish(&w), BS_ETOOBIG);
	free(big);
}
END_TEST

/* The rows that an encoder must refuse, whatever plane they came from. */
START_TEST(a_short_ipx_is_never_written)
{
	static const char *const files[] = { "control_rules.txt", "data_rules.txt" };
	struct bs_header h;
	struct bs_writer w;
	uint8_t buf[128];
	int done = 0;
	size_t f;
	size_t i;

	memset(&h, 0, sizeof(h));
	for (f = 0; f < BS_LEN(files); f++) {
		struct bs_vectors *v = bs_vectors_load(files[f]);

		for (i = 0; i < v->n; i++) {
			struct bs_slice data = bs_row_hex(&v->row[i], "bytes");

			if (!bs_row_is(&v->row[i], "name", "ipx_16"))
				continue;
			ck_assert(bs_row_is(&v->row[i], "expected", "refuse"));
			bs_packet_begin(&w, buf, sizeof(buf), &h);
			bs_packet_add(&w, BS_PL_IPX, 0, data.ptr, data.len);
			ck_assert_int_eq(bs_packet_finish(&w), BS_ETOOBIG);
			bs_packet_begin(&w, buf, sizeof(buf), &h);
			bs_packet_open_payload(&w, BS_PL_IPX, 0);
			ck_assert(w.bad);
			done++;
		}
		bs_vectors_free(v);
	}
	ck_assert_int_eq(done, 2);
}
END_TEST

static int any(const struct bs_packet *p)
{
	struct bs_payload pl;
	size_t off = 0;
	size_t sum = 0;

	while (bs_payload_next(p, &off, &pl)) {
		size_t i;

		for (i = 0; i < pl.len; i++)
			sum += pl.data[i];
	}
	ck_assert_uint_eq(p->list_off + off, p->len);
	return sum == SIZE_MAX ? BS_EINTERNAL : BS_OK;
}

/* Rows about lengths and lists fail already here; those about crypto do not. */
START_TEST(rules_of_length_and_list)
{
	static const char *const files[] = { "control_rules.txt", "data_rules.txt" };
	int done = 0;
	size_t f;
	size_t i;

	for (f = 0; f < BS_LEN(files); f++) {
		struct bs_vectors *v = bs_vectors_load(files[f]);

		for (i = 0; i < v->n; i++) {
			const char *name = bs_row_text(&v->row[i], "name");
			struct bs_slice pkt = bs_row_hex(&v->row[i], "bytes");
			int want = BS_OK;

			if (strncmp(name, "payload_", 8) == 0)
				want = BS_EPAYLOAD;
			else if (strncmp(name, "packet_length", 13) == 0)
				want = BS_ELENGTH;
			else
				continue;
			ck_assert_msg(bs_test_decode(pkt.ptr, pkt.len, any) == want, "%s", name);
			done++;
		}
		bs_vectors_free(v);
	}
	ck_assert_int_eq(done, 14);
}
END_TEST

/* Every recorded packet survives being taken apart and put together again, to the byte. */
START_TEST(recordings_are_rebuilt)
{
	static const char *const files[] = { "control.txt", "data.txt" };
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_vectors *v = bs_vectors_load(files[_i]);
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		const struct bs_row *r = NULL;

		while ((r = bs_scenario_packet(&sc, r))) {
			struct bs_slice hex = bs_row_hex(r, "hex");
			struct bs_payload pl;
			struct bs_packet p;
			struct bs_writer w;
			uint8_t buf[2048];
			size_t off = 0;

			if (bs_packet_decode(hex.ptr, hex.len, &p))
				continue;
			bs_packet_begin(&w, buf, sizeof(buf), &p.h);
			while (bs_payload_next(&p, &off, &pl))
				bs_packet_add(&w, pl.type, pl.flags, pl.data, pl.len);
			ck_assert_int_eq(bs_packet_finish(&w), (int)hex.len);
			ck_assert_mem_eq(buf, hex.ptr, hex.len);
			done++;
		}
	}
	ck_assert_int_ge(done, 200);
	bs_vectors_free(v);
}
END_TEST

/* Random lists: what the writer writes is well formed, and cutting one byte off is not. */
START_TEST(random_lists)
{
	uint32_t seed = 0xBADC0DEu + (uint32_t)_i;
	struct bs_header h;
	struct bs_payload pl;
	struct bs_packet p;
	struct bs_writer w;
	uint8_t data[64];
	uint8_t buf[1024];
	uint8_t types[12];
	size_t lens[12];
	size_t n = 1 + bs_test_random(&seed) % 12;
	size_t off = 0;
	size_t i;
	bs_ssize len;

	memset(&h, 0, sizeof(h));
	memset(data, 0xA5, sizeof(data));
	h.flags = (uint8_t)(bs_test_random(&seed) & (BS_FLAG_TAG | BS_FLAG_NSI_CO));
	bs_packet_begin(&w, buf, sizeof(buf), &h);
	for (i = 0; i < n; i++) {
		do
			types[i] = (uint8_t)bs_test_random(&seed);
		while (types[i] == BS_PL_IPX);
		lens[i] = bs_test_random(&seed) % sizeof(data);
		bs_packet_add(&w, types[i], 0, data, lens[i]);
	}
	len = bs_packet_finish(&w);
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	for (i = 0; i < n; i++) {
		ck_assert(bs_payload_next(&p, &off, &pl));
		ck_assert_uint_eq(pl.type, types[i]);
		ck_assert_uint_eq(pl.len, lens[i]);
	}
	ck_assert(!bs_payload_next(&p, &off, &pl));
	ck_assert_int_eq(bs_payload_list_check(buf + p.list_off, p.len - p.list_off - 1),
			 BS_EPAYLOAD);
	ck_assert_int_eq(bs_test_decode_as(buf, (size_t)len + 1, any), BS_EPAYLOAD);
}
END_TEST

Suite *bs_suite_packet(void);

Suite *bs_suite_packet(void)
{
	Suite *s = suite_create("packet");
	TCase *tc = tcase_create("packet");

	tcase_add_test(tc, all_header_fields_are_read);
	tcase_add_test(tc, what_was_read_is_written_again);
	tcase_add_test(tc, header_lengths);
	tcase_add_test(tc, optional_header_parts_must_fit);
	tcase_add_test(tc, a_failed_decode_leaves_the_result_alone);
	tcase_add_loop_test(tc, well_formed_lists, 0, BS_LEN(lists));
	tcase_add_test(tc, find_gives_the_first_of_a_type);
	tcase_add_test(tc, a_payload_of_unknown_length);
	tcase_add_test(tc, what_does_not_fit_is_refused_at_the_end);
	tcase_add_test(tc, lengths_above_16_bits_are_refused);
	tcase_add_test(tc, a_short_ipx_is_never_written);
	tcase_add_test(tc, rules_of_length_and_list);
	tcase_add_loop_test(tc, recordings_are_rebuilt, 0, 2);
	tcase_add_loop_test(tc, random_lists, 0, 50);
	suite_add_tcase(s, tc);
	return s;
}
