/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/keys.h"

#include "support.h"

static struct bs_test_rng rng;
static struct bs_crypto c;

static void set_up(void)
{
	bs_test_crypto(&c, &rng);
}

START_TEST(the_rows_of_kdf)
{
	struct bs_vectors *v = bs_vectors_load("kdf.txt");
	struct bs_key_block k;
	size_t i;

	for (i = 0; i < v->n; i++) {
		const struct bs_row *r = &v->row[i];

		if (bs_row_is(r, "kind", "A"))
			ck_assert_int_eq(bs_keys_derive_a(&c, bs_test_text(bs_row_text(r, "id")),
							  bs_row_hex(r, "psk").ptr, &k),
					 BS_OK);
		else
			ck_assert_int_eq(bs_keys_derive_c(&c, bs_row_hex(r, "nonce_server").ptr,
							  bs_row_hex(r, "nonce_device").ptr,
							  bs_row_hex(r, "seed_server").ptr,
							  bs_row_hex(r, "seed_device").ptr, &k),
					 BS_OK);
		ck_assert_mem_eq(k.b, bs_row_hex(r, "block").ptr, sizeof(k.b));
		ck_assert_mem_eq(bs_key_aes_tx(&k, BS_INITIATOR),
				 bs_row_hex(r, "aes_initiator_to_responder").ptr, 16);
		ck_assert_mem_eq(bs_key_aes_tx(&k, BS_RESPONDER),
				 bs_row_hex(r, "aes_responder_to_initiator").ptr, 16);
		ck_assert_mem_eq(bs_key_mac_tx(&k, BS_INITIATOR),
				 bs_row_hex(r, "mac_initiator_to_responder").ptr, 32);
		ck_assert_mem_eq(bs_key_mac_tx(&k, BS_RESPONDER),
				 bs_row_hex(r, "mac_responder_to_initiator").ptr, 32);
	}
	ck_assert_uint_ge(v->n, 5);
	bs_vectors_free(v);
}
END_TEST

START_TEST(keys_of_all_recorded_attachments)
{
	struct bs_vectors *v = bs_vectors_load("control.txt");
	struct bs_scenario sc = { NULL, NULL, 0 };
	struct bs_key_block k;
	int done = 0;

	while (bs_scenario_next(v, &sc)) {
		if (bs_scenario_value(&sc, "a_key")) {
			ck_assert_int_eq(bs_keys_derive_a(&c,
							  bs_test_text(bs_scenario_text(&sc, "id")),
							  bs_scenario_hex(&sc, "psk").ptr, &k),
					 BS_OK);
			ck_assert_mem_eq(k.b, bs_scenario_hex(&sc, "a_key").ptr, sizeof(k.b));
			done++;
		}
		if (bs_scenario_value(&sc, "c_key")) {
			ck_assert_int_eq(
				bs_keys_derive_c(&c, bs_scenario_hex(&sc, "nonce_server").ptr,
						 bs_scenario_hex(&sc, "nonce_device").ptr,
						 bs_scenario_hex(&sc, "seed_server").ptr,
						 bs_scenario_hex(&sc, "seed_device").ptr, &k),
				BS_OK);
			ck_assert_mem_eq(k.b, bs_scenario_hex(&sc, "c_key").ptr, sizeof(k.b));
			done++;
		}
	}
	ck_assert_int_ge(done, 50);
	bs_vectors_free(v);
}
END_TEST

START_TEST(what_one_end_sends_the_other_receives)
{
	static const struct bs_key_block k;

	ck_assert_ptr_eq(bs_key_aes_tx(&k, BS_INITIATOR), k.b);
	ck_assert_ptr_eq(bs_key_aes_tx(&k, BS_INITIATOR), bs_key_aes_rx(&k, BS_RESPONDER));
	ck_assert_ptr_eq(bs_key_aes_rx(&k, BS_INITIATOR), bs_key_aes_tx(&k, BS_RESPONDER));
	ck_assert_ptr_eq(bs_key_mac_tx(&k, BS_INITIATOR), bs_key_mac_rx(&k, BS_RESPONDER));
	ck_assert_ptr_eq(bs_key_mac_rx(&k, BS_INITIATOR), bs_key_mac_tx(&k, BS_RESPONDER));
	ck_assert_ptr_eq(bs_key_mac_rx(&k, BS_INITIATOR), k.b + 64);
}
END_TEST

START_TEST(too_much_input_is_refused_and_writes_nothing)
{
	static const uint8_t bytes[BS_KEYS_PUB_MAX + 1];
	struct bs_slice part[BS_KEYS_PARTS_MAX + 1];
	struct bs_key_block k;
	struct bs_key_block was;
	size_t i;

	memset(&k, 0x44, sizeof(k));
	was = k;
	for (i = 0; i < BS_LEN(part); i++) {
		part[i].ptr = bytes;
		part[i].len = 1;
	}
	ck_assert_int_eq(bs_keys_derive(&c, part, BS_KEYS_PARTS_MAX + 1, part, 1, &k), BS_EINVAL);
	ck_assert_int_eq(bs_keys_derive(&c, part, 1, part, BS_KEYS_PARTS_MAX + 1, &k), BS_EINVAL);
	part[0].len = BS_KEYS_PUB_MAX + 1;
	ck_assert_int_eq(bs_keys_derive(&c, part, 1, part, 1, &k), BS_EINVAL);
	part[0].len = BS_KEYS_PUB_MAX;
	ck_assert_int_eq(bs_keys_derive(&c, part, 2, part, 1, &k), BS_EINVAL);
	ck_assert_mem_eq(&k, &was, sizeof(k));
	ck_assert_int_eq(bs_keys_derive(&c, part, 1, part, 1, &k), BS_OK);
}
END_TEST

START_TEST(parts_are_concatenated)
{
	struct bs_slice whole = bs_test_text("abcdef");
	struct bs_slice cut[3];
	struct bs_key_block a;
	struct bs_key_block b;

	cut[0] = bs_test_text("ab");
	cut[1] = bs_test_text("");
	cut[2] = bs_test_text("cdef");
	ck_assert_int_eq(bs_keys_derive(&c, &whole, 1, &whole, 1, &a), BS_OK);
	ck_assert_int_eq(bs_keys_derive(&c, cut, 3, cut, 3, &b), BS_OK);
	ck_assert_mem_eq(&a, &b, sizeof(a));
}
END_TEST

/* The construction spelled out: label, number and attempt are public, block and secret are not. */
START_TEST(a_pairing_secret_is_mixed_in)
{
	static const uint8_t pub_bytes[] = {
		'p', 'a', 'i', 'r', 1, 2, 3, 4, 8, 7, 6, 5, 4, 3, 2, 1
	};
	struct bs_slice pub = { pub_bytes, sizeof(pub_bytes) };
	uint8_t sec_bytes[BS_KEY_BLOCK_LEN + BS_PAIR_SECRET_LEN];
	struct bs_slice sec = { sec_bytes, sizeof(sec_bytes) };
	uint8_t secret[BS_PAIR_SECRET_LEN];
	struct bs_key_block d;
	struct bs_key_block want;
	struct bs_key_block k;
	size_t i;

	for (i = 0; i < sizeof(sec_bytes); i++)
		sec_bytes[i] = (uint8_t)(i * 5 + 1);
	memcpy(d.b, sec_bytes, sizeof(d.b));
	memcpy(secret, sec_bytes + sizeof(d.b), sizeof(secret));
	ck_assert_int_eq(bs_keys_derive(&c, &pub, 1, &sec, 1, &want), BS_OK);
	ck_assert_int_eq(bs_keys_derive_pair(&c, &d, secret, 0x01020304, pub_bytes + 8, &k), BS_OK);
	ck_assert_mem_eq(&k, &want, sizeof(k));
	/* In place, and each part counts. */
	k = d;
	ck_assert_int_eq(bs_keys_derive_pair(&c, &k, secret, 0x01020304, pub_bytes + 8, &k), BS_OK);
	ck_assert_mem_eq(&k, &want, sizeof(k));
	ck_assert_int_eq(bs_keys_derive_pair(&c, &d, secret, 0x01020305, pub_bytes + 8, &k), BS_OK);
	ck_assert_mem_ne(&k, &want, 32);
	ck_assert_int_eq(bs_keys_derive_pair(&c, &d, secret, 0x01020304, pub_bytes, &k), BS_OK);
	ck_assert_mem_ne(&k, &want, 32);
	secret[31] ^= 1;
	ck_assert_int_eq(bs_keys_derive_pair(&c, &d, secret, 0x01020304, pub_bytes + 8, &k), BS_OK);
	ck_assert_mem_ne(&k, &want, 32);
}
END_TEST

static int fails_left;

static int failing_hmac(void *ctx, const uint8_t *key, size_t key_len, const struct bs_slice *msg,
			size_t n, uint8_t *out)
{
	(void)ctx;
	(void)key;
	(void)key_len;
	(void)msg;
	(void)n;
	memset(out, 0xEE, BS_SHA256_LEN);
	return fails_left-- ? BS_OK : BS_ECRYPTO;
}

START_TEST(a_backend_that_fails_leaves_no_half_key)
{
	static const struct bs_key_block zero;
	struct bs_slice id = bs_test_text("cam1");
	uint8_t psk[BS_PSK_LEN] = { 0 };
	struct bs_crypto broken = c;
	struct bs_key_block k;
	int at;

	broken.hmac_sha256 = failing_hmac;
	for (at = 0; at < 4; at++) {
		fails_left = at;
		memset(&k, 0x44, sizeof(k));
		ck_assert_int_eq(bs_keys_derive_a(&broken, id, psk, &k), BS_ECRYPTO);
		ck_assert_mem_eq(&k, &zero, sizeof(k));
	}
}
END_TEST

Suite *bs_suite_keys(void);

Suite *bs_suite_keys(void)
{
	Suite *s = suite_create("keys");
	TCase *tc = tcase_create("keys");

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, the_rows_of_kdf);
	tcase_add_test(tc, keys_of_all_recorded_attachments);
	tcase_add_test(tc, what_one_end_sends_the_other_receives);
	tcase_add_test(tc, too_much_input_is_refused_and_writes_nothing);
	tcase_add_test(tc, parts_are_concatenated);
	tcase_add_test(tc, a_pairing_secret_is_mixed_in);
	tcase_add_test(tc, a_backend_that_fails_leaves_no_half_key);
	suite_add_tcase(s, tc);
	return s;
}
