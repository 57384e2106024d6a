/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/small_impl.h"

#include "test.h"

static void hash(const uint8_t *data, size_t len, uint8_t *out)
{
	struct bs__sha256 s;

	bs__sha256_init(&s);
	bs__sha256_update(&s, data, len);
	bs__sha256_final(&s, out);
}

/* FIPS 180-4 examples and the empty message. */
static const char *const sha_rows[][2] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
	  "ijklmnopjklmnopqklmnopqrlmn"
	  "opqrsmnopqrstnopqrstu",
	  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
};

START_TEST(published_hashes)
{
	struct bs_slice in = bs_test_text(sha_rows[_i][0]);
	uint8_t want[32];
	uint8_t out[32];

	bs_test_unhex(sha_rows[_i][1], want);
	hash(in.ptr, in.len, out);
	ck_assert_mem_eq(out, want, 32);
}
END_TEST

START_TEST(a_million_a)
{
	struct bs__sha256 s;
	uint8_t block[1000];
	uint8_t want[32];
	uint8_t out[32];
	int i;

	memset(block, 'a', sizeof(block));
	bs__sha256_init(&s);
	for (i = 0; i < 1000; i++)
		bs__sha256_update(&s, block, sizeof(block));
	bs__sha256_final(&s, out);
	bs_test_unhex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", want);
	ck_assert_mem_eq(out, want, 32);
}
END_TEST

START_TEST(pieces_do_not_matter)
{
	uint8_t in[200];
	uint8_t want[32];
	uint8_t out[32];
	size_t cut;
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7);
	hash(in, sizeof(in), want);
	for (cut = 0; cut <= sizeof(in); cut++) {
		struct bs__sha256 s;

		bs__sha256_init(&s);
		bs__sha256_update(&s, in, cut);
		bs__sha256_update(&s, in + cut, sizeof(in) - cut);
		bs__sha256_final(&s, out);
		ck_assert_mem_eq(out, want, 32);
	}
}
END_TEST

START_TEST(the_state_is_wiped_at_the_end)
{
	struct bs__sha256 zero;
	struct bs__sha256 s;
	uint8_t out[32];

	memset(&zero, 0, sizeof(zero));
	bs__sha256_init(&s);
	bs__sha256_update(&s, (const uint8_t *)"secret", 6);
	bs__sha256_final(&s, out);
	ck_assert_mem_eq(&s, &zero, sizeof(s));
}
END_TEST

/* RFC 4231: key, data, HMAC-SHA-256.  Case 5 publishes 128 bits only. */
static const struct {
	const char *key;
	const char *data;
	const char *mac;
} hmac_rows[] = {
	{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
	  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
	  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
	  "dddddddddddddddddddddddddd"
	  "dddddddddd",
	  "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ "0102030405060708090a0b0c0d0e0f10111213141516171819",
	  "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcdcdcdcdcdcdcdcdcdcdcdcd"
	  "cdcdcdcdcd",
	  "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
	{ "0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c", "546573742057697468205472756e636174696f6e",
	  "a3b6167473100ee06e0c796c2955552b" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	  "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368"
	  "204b6579204669727374",
	  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
};

START_TEST(published_macs)
{
	uint8_t key[160];
	uint8_t data[160];
	uint8_t want[32];
	uint8_t out[32];
	struct bs_slice msg[3];
	size_t key_len = bs_test_unhex(hmac_rows[_i].key, key);
	size_t len = bs_test_unhex(hmac_rows[_i].data, data);
	size_t mac_len = bs_test_unhex(hmac_rows[_i].mac, want);

	msg[0].ptr = data;
	msg[0].len = len / 2;
	msg[1].ptr = NULL;
	msg[1].len = 0;
	msg[2].ptr = data + len / 2;
	msg[2].len = len - len / 2;
	ck_assert_int_eq(bs__small_hmac_sha256(NULL, key, key_len, msg, 3, out), BS_OK);
	ck_assert_mem_eq(out, want, mac_len);
}
END_TEST

START_TEST(no_pieces_and_no_key_are_a_message_too)
{
	uint8_t want[32];
	uint8_t out[32];

	bs_test_unhex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", want);
	ck_assert_int_eq(bs__small_hmac_sha256(NULL, NULL, 0, NULL, 0, out), BS_OK);
	ck_assert_mem_eq(out, want, 32);
}
END_TEST

Suite *bs_suite_small_sha256(void);

Suite *bs_suite_small_sha256(void)
{
	Suite *s = suite_create("small_sha256");
	TCase *tc = tcase_create("small_sha256");

	tcase_add_loop_test(tc, published_hashes, 0, BS_LEN(sha_rows));
	tcase_add_test(tc, a_million_a);
	tcase_add_test(tc, pieces_do_not_matter);
	tcase_add_test(tc, the_state_is_wiped_at_the_end);
	tcase_add_loop_test(tc, published_macs, 0, BS_LEN(hmac_rows));
	tcase_add_test(tc, no_pieces_and_no_key_are_a_message_too);
	suite_add_tcase(s, tc);
	return s;
}
