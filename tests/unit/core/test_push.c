/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/push.h"

#include "support.h"

static struct bs_writer w;
static uint8_t buf[512];

/* Both ways are one decoder. */
static int push(const struct bs_packet *p)
{
	struct bs_push m;

	return bs_push_decode(p, &m);
}

static size_t finish(void)
{
	uint8_t *p = bs_packet_add_reserve(&w, BS_PL_CRYPTO, 0, 50);
	bs_ssize n;

	ck_assert_ptr_nonnull(p);
	memset(p, 0xCC, 50);
	n = bs_packet_finish(&w);
	ck_assert_int_gt(n, 0);
	return (size_t)n;
}

START_TEST(recordings_are_rebuilt)
{
	static const uint8_t flags[] = { 0, BS_FLAG_RESPONSE };
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_packet p;
	int done[2] = { 0, 0 };
	int dir;

	while (bs_scenario_next(v, &sc)) {
		for (dir = 0; dir < 2; dir++) {
			const struct bs_row *r = NULL;

			while ((r = bs_test_next(&sc, r, BS_TYPE_U_PUSH, flags[dir], &p))) {
				struct bs_push m;

				if (!bs_row_is(r, "key", "C"))
					continue;
				ck_assert_int_eq(bs_push_decode(&p, &m), BS_OK);
				ck_assert_int_eq(m.answer, dir);
				bs_push_begin(&w, buf, sizeof(buf), &m);
				bs_test_seal_is(&w, &sc, r, dir ? BS_INITIATOR : BS_RESPONDER);
				done[dir]++;
			}
		}
	}
	ck_assert_int_ge(done[0], 3);
	ck_assert_int_ge(done[1], 1);
	bs_vectors_free(v);
}
END_TEST

START_TEST(maltreated_messages)
{
	struct bs_push m = { 0x12345678, 0, _i, 7, BS_PUSH_WEBHOOK, _i ? BS_PUSH_FAILED : 0, 0 };
	size_t n;

	bs_push_begin(&w, buf, sizeof(buf), &m);
	n = finish();
	ck_assert_uint_eq(n, 81);
	bs_test_maltreat(buf, n, 81, push);
}
END_TEST

START_TEST(fields_are_read_again)
{
	struct bs_push in = { 0x12345678, 9, true, 77, BS_PUSH_FIREBASE, BS_PUSH_DONE, 0 };
	struct bs_push out;
	struct bs_packet p;
	size_t n;

	bs_push_begin(&w, buf, sizeof(buf), &in);
	n = finish();
	ck_assert_int_eq(bs_packet_decode(buf, n, &p), BS_OK);
	ck_assert_int_eq(bs_push_decode(&p, &out), BS_OK);
	ck_assert(out.nsi == in.nsi && out.seq == 9 && out.answer && out.number == 77);
	ck_assert(out.service == BS_PUSH_FIREBASE && out.flags == BS_PUSH_DONE);
	ck_assert_uint_eq(out.crypto_off, 27);
}
END_TEST

START_TEST(crypto_must_be_last)
{
	struct bs_push m = { 1, 0, false, 7, 2, 0, 0 };
	size_t n;

	bs_push_begin(&w, buf, sizeof(buf), &m);
	n = (size_t)bs_packet_finish(&w);
	ck_assert_int_eq(bs_test_decode(buf, n, push), BS_EMISSING);
	bs_push_begin(&w, buf, sizeof(buf), &m);
	n = finish();
	bs_packet_add(&w, BS_PL_PAD, 0, NULL, 0);
	n = (size_t)bs_packet_finish(&w);
	ck_assert_int_eq(bs_test_decode(buf, n, push), BS_EMISSING);
}
END_TEST

START_TEST(push_data_in_a_list)
{
	struct bs_push_data in = { 2, 2, bs_test_text("\1\7title") };
	struct bs_push_data out;
	struct bs_payload pl;
	size_t off = 0;

	bs_writer_init(&w, buf, sizeof(buf));
	bs_push_data_put(&w, &in);
	in.purpose = 1;
	in.data.len = 0;
	bs_push_data_put(&w, &in);
	ck_assert(!w.bad);
	ck_assert_int_eq(bs_payload_list_check(buf, w.len), BS_OK);
	ck_assert(bs_payload_list_next(buf, w.len, &off, &pl));
	ck_assert_int_eq(bs_push_data_get(&pl, &out), BS_OK);
	ck_assert(out.purpose == 2 && out.encoding == 2 && out.data.len == 7);
	ck_assert(bs_payload_list_next(buf, w.len, &off, &pl));
	ck_assert_int_eq(bs_push_data_get(&pl, &out), BS_OK);
	ck_assert(out.purpose == 1 && out.data.len == 0);
	ck_assert(!bs_payload_list_next(buf, w.len, &off, &pl));
	pl.len = 1;
	ck_assert_int_eq(bs_push_data_get(&pl, &out), BS_ESHORT);
	bs_writer_init(&w, buf, 5);
	bs_push_data_put(&w, &in);
	ck_assert(w.bad);
}
END_TEST

Suite *bs_suite_push(void);

Suite *bs_suite_push(void)
{
	Suite *s = suite_create("push");
	TCase *tc = tcase_create("push");

	tcase_add_test(tc, recordings_are_rebuilt);
	tcase_add_loop_test(tc, maltreated_messages, 0, 2);
	tcase_add_test(tc, fields_are_read_again);
	tcase_add_test(tc, crypto_must_be_last);
	tcase_add_test(tc, push_data_in_a_list);
	suite_add_tcase(s, tc);
	return s;
}
