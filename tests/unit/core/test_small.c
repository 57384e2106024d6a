/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/small.h"

#include "crypto/keys.h"
#include "test.h"

START_TEST(the_table_is_complete_and_random_comes_from_the_port)
{
	struct bs_test_rng rng = { { NULL, 0 }, 7, false };
	struct bs_crypto c;
	uint8_t buf[4];

	memset(&c, 0, sizeof(c));
	bs_small_crypto_init(&c, bs_test_rng_fill, &rng);
	ck_assert(c.hmac_sha256 && c.aes128_cbc_encrypt && c.aes128_cbc_decrypt);
	ck_assert_int_eq(c.random(c.ctx, buf, sizeof(buf)), BS_OK);
	ck_assert_uint_eq(buf[0], 7);
	ck_assert_uint_eq(buf[3], 10);
	rng.fail = true;
	ck_assert_int_eq(c.random(c.ctx, buf, sizeof(buf)), BS_ERANDOM);
}
END_TEST

START_TEST(keys_of_the_rows)
{
	struct bs_vectors *v = bs_vectors_load("kdf.txt");
	struct bs_test_rng rng = { { NULL, 0 }, 0, false };
	struct bs_key_block block;
	struct bs_crypto c;
	size_t i;

	bs_small_crypto_init(&c, bs_test_rng_fill, &rng);
	ck_assert_uint_ge(v->n, 5);
	for (i = 0; i < v->n; i++) {
		const struct bs_row *r = &v->row[i];

		if (bs_row_is(r, "kind", "A"))
			ck_assert_int_eq(bs_keys_derive_a(&c, bs_test_text(bs_row_text(r, "id")),
							  bs_row_hex(r, "psk").ptr, &block),
					 BS_OK);
		else
			ck_assert_int_eq(bs_keys_derive_c(&c, bs_row_hex(r, "nonce_server").ptr,
							  bs_row_hex(r, "nonce_device").ptr,
							  bs_row_hex(r, "seed_server").ptr,
							  bs_row_hex(r, "seed_device").ptr, &block),
					 BS_OK);
		ck_assert_mem_eq(block.b, bs_row_hex(r, "block").ptr, sizeof(block.b));
	}
	bs_vectors_free(v);
}
END_TEST

Suite *bs_suite_small(void);

Suite *bs_suite_small(void)
{
	Suite *s = suite_create("small");
	TCase *tc = tcase_create("small");

	tcase_add_test(tc, the_table_is_complete_and_random_comes_from_the_port);
	tcase_add_test(tc, keys_of_the_rows);
	suite_add_tcase(s, tc);
	return s;
}
