/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/push_server.h"

#include "support.h"

static struct bs_crypto crypto;
static struct bs_test_rng rng;

static void setup(void)
{
	memset(&rng, 0, sizeof(rng));
	bs_test_crypto(&crypto, &rng);
}

/* The recorded push is verified, and the recorded answer made again. */
START_TEST(recorded)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = bs_scenario_find(v, "push");
	const struct bs_row *r = NULL;
	struct bs_push push;
	struct bs_packet p;
	uint8_t buf[128];
	int seen = 0;
	int made = 0;

	memset(&push, 0, sizeof(push));
	while ((r = bs_scenario_packet(&sc, r))) {
		struct bs_slice hex = bs_row_hex(r, "hex");
		struct bs_key_block key;

		if (bs_packet_decode(hex.ptr, hex.len, &p) || p.h.type != BS_TYPE_U_PUSH ||
		    !bs_scenario_key(&sc, r, &key))
			continue;
		if (bs_row_is(r, "from", "dev")) {
			ck_assert_int_eq(bs_push_server_open(&crypto, &key, &p, &push), BS_OK);
			seen++;
		} else if (!bs_row_text(r, "malformed") && seen && p.len == BS_PUSH_ANSWER_LEN) {
			struct bs_push asked;

			ck_assert_int_eq(bs_push_decode(&p, &asked), BS_OK);
			rng.next = bs_row_hex(r, "iv");
			if (bs_row_hex(r, "plain").len != 0 || asked.seq != push.seq)
				continue;
			push.number = asked.number;
			push.service = asked.service;
			ck_assert_int_eq(bs_push_server_answer(&crypto, &key, &push, asked.flags,
							       buf, sizeof(buf)),
					 BS_PUSH_ANSWER_LEN);
			ck_assert_mem_eq(buf, hex.ptr, hex.len);
			made++;
		}
	}
	ck_assert_int_ge(seen, 1);
	ck_assert_int_ge(made, 1);
	bs_vectors_free(v);
}
END_TEST

START_TEST(forged)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = bs_scenario_find(v, "push");
	const struct bs_row *r;
	struct bs_key_block key;
	struct bs_push push;
	struct bs_packet p;
	uint8_t *copy;
	size_t len;

	r = bs_test_next(&sc, NULL, BS_TYPE_U_PUSH, 0, &p);
	ck_assert_ptr_nonnull(r);
	ck_assert(bs_scenario_key(&sc, r, &key));
	len = p.len;
	copy = bs_test_copy(p.bytes, len);
	copy[len - 1] ^= 1;
	ck_assert_int_eq(bs_packet_decode(copy, len, &p), BS_OK);
	ck_assert_int_eq(bs_push_server_open(&crypto, &key, &p, &push), BS_EMAC);
	copy[11] = BS_FLAG_RESPONSE;
	ck_assert_int_eq(bs_packet_decode(copy, len, &p), BS_OK);
	ck_assert_int_eq(bs_push_server_open(&crypto, &key, &p, &push), BS_ESTATE);
	free(copy);
	bs_vectors_free(v);
}
END_TEST

START_TEST(filter)
{
	struct bs_push_filter f = { 0, 0 };

	ck_assert(bs_push_filter_add(&f, 0));
	ck_assert(!bs_push_filter_add(&f, 0));
	ck_assert(bs_push_filter_add(&f, 2));
	ck_assert(bs_push_filter_add(&f, 1));
	ck_assert(!bs_push_filter_add(&f, 1));
	ck_assert(!bs_push_filter_add(&f, 2));
	ck_assert(bs_push_filter_add(&f, 33));
	ck_assert(!bs_push_filter_add(&f, 2));
	ck_assert(bs_push_filter_add(&f, 3));
	/* Too old to know. */
	ck_assert(!bs_push_filter_add(&f, 1));
	ck_assert(bs_push_filter_add(&f, 1000000));
	ck_assert(!bs_push_filter_add(&f, 1000000));
	ck_assert(bs_push_filter_add(&f, 999999));
}
END_TEST

/* Against a plain set, for a device that counts up and repeats at random. */
START_TEST(filter_against_a_model)
{
	struct bs_push_filter f = { 0, 0 };
	static bool seen[4000];
	uint32_t state = 77;
	uint32_t top = 0;
	int i;

	for (i = 0; i < 3000; i++) {
		uint32_t n = bs_test_random(&state) % 3 ? top + bs_test_random(&state) % 2 : top;
		uint32_t back = bs_test_random(&state) % 30;

		if (bs_test_random(&state) % 4 == 0 && n >= back)
			n -= back;
		ck_assert_int_eq(bs_push_filter_add(&f, n), !seen[n]);
		seen[n] = true;
		if (n >= top)
			top = n + 1;
	}
}
END_TEST

Suite *bs_suite_push_server(void);

Suite *bs_suite_push_server(void)
{
	Suite *s = suite_create("push_server");
	TCase *t = tcase_create("push_server");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, recorded);
	tcase_add_test(t, forged);
	tcase_add_test(t, filter);
	tcase_add_test(t, filter_against_a_model);
	suite_add_tcase(s, t);
	return s;
}
