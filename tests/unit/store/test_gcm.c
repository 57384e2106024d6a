/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/gcm.h"

#include "box.h"

Suite *bs_suite_gcm(void);

/* The GCM specification (McGrew and Viega), test cases 13, 14 and 16: AES-256. */
static const struct {
	const char *key;
	const char *nonce;
	const char *ad;
	const char *plain;
	const char *cipher;
	const char *tag;
} rows[] = {
	{ "0000000000000000000000000000000000000000000000000000000000000000",
	  "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b" },
	{ "0000000000000000000000000000000000000000000000000000000000000000",
	  "000000000000000000000000", "", "00000000000000000000000000000000",
	  "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919" },
	{ "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
	  "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
};

static size_t unhex(const char *text, uint8_t *out)
{
	char pair[3] = { 0, 0, 0 };
	size_t n = 0;

	for (; text[0] && text[1]; text += 2) {
		pair[0] = text[0];
		pair[1] = text[1];
		out[n++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	return n;
}

START_TEST(known_answers)
{
	uint8_t key[64];
	uint8_t nonce[16];
	uint8_t ad[32];
	uint8_t plain[64];
	uint8_t cipher[64];
	uint8_t tag[16];
	uint8_t out[64];
	uint8_t got[16];
	struct bs_slice ads = { ad, unhex(rows[_i].ad, ad) };
	struct bs_slice p = { plain, unhex(rows[_i].plain, plain) };
	struct bs_slice c = { cipher, unhex(rows[_i].cipher, cipher) };
	struct bs_gcm *g;
	int again;

	unhex(rows[_i].key, key);
	unhex(rows[_i].nonce, nonce);
	unhex(rows[_i].tag, tag);
	g = bs_gcm_new(key);
	ck_assert_ptr_nonnull(g);
	/* Twice: a context is used over and over. */
	for (again = 0; again < 2; again++) {
		ck_assert_int_eq(bs_gcm_seal(g, nonce, ads, p, out, got), BS_OK);
		ck_assert(!memcmp(out, cipher, c.len));
		ck_assert_mem_eq(got, tag, sizeof(tag));
		ck_assert_int_eq(bs_gcm_open(g, nonce, ads, c, tag, out), BS_OK);
		ck_assert(!memcmp(out, plain, p.len));
	}
	tag[15] ^= 1;
	ck_assert_int_eq(bs_gcm_open(g, nonce, ads, c, tag, out), BS_EMAC);
	for (; c.len; c.len--)
		ck_assert_uint_eq(out[c.len - 1], 0);
	bs_gcm_free(g);
	bs_gcm_free(NULL);
}
END_TEST

START_TEST(sha256_of_abc)
{
	uint8_t want[BS_SHA256_LEN];
	uint8_t got[BS_SHA256_LEN];

	unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", want);
	ck_assert_int_eq(bs_gcm_sha256(box_text("abc"), got), BS_OK);
	ck_assert_mem_eq(got, want, sizeof(want));
}
END_TEST

Suite *bs_suite_gcm(void)
{
	Suite *s = suite_create("gcm");
	TCase *t = tcase_create("gcm");

	tcase_add_loop_test(t, known_answers, 0, (int)BS_LEN(rows));
	tcase_add_test(t, sha256_of_abc);
	suite_add_tcase(s, t);
	return s;
}
