/* SPDX-License-Identifier: Apache-2.0 */
#include "util/siphash.h"

#include "test.h"

/* Reference output of SipHash-2-4 for key 00..0f and message 00..(n-1), as little-endian bytes. */
static const struct {
	size_t len;
	uint64_t hash;
} rows[] = {
	{ 0, UINT64_C(0x726fdb47dd0e0e31) },  { 1, UINT64_C(0x74f839c593dc67fd) },
	{ 2, UINT64_C(0x0d6c8009d9a94f5a) },  { 7, UINT64_C(0xab0200f58b01d137) },
	{ 8, UINT64_C(0x93f5f5799a932462) },  { 15, UINT64_C(0xa129ca6149be45e5) },
	{ 16, UINT64_C(0x3f2acc7f57c29bdb) }, { 63, UINT64_C(0x958a324ceb064572) },
};

START_TEST(reference_output)
{
	uint8_t key[BS_SIPHASH_KEY_LEN];
	uint8_t msg[64];
	uint8_t *copy;
	size_t i;

	for (i = 0; i < sizeof(msg); i++)
		msg[i] = (uint8_t)i;
	memcpy(key, msg, sizeof(key));
	copy = bs_test_copy(msg, rows[_i].len);
	ck_assert(bs_siphash(key, copy, rows[_i].len) == rows[_i].hash);
	free(copy);
}
END_TEST

START_TEST(every_bit_of_key_and_message_counts)
{
	uint8_t key[BS_SIPHASH_KEY_LEN] = { 0 };
	uint8_t msg[20] = { 0 };
	uint64_t base = bs_siphash(key, msg, sizeof(msg));
	size_t bit;

	for (bit = 0; bit < sizeof(key) * 8; bit++) {
		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert(bs_siphash(key, msg, sizeof(msg)) != base);
		key[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (bit = 0; bit < sizeof(msg) * 8; bit++) {
		msg[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert(bs_siphash(key, msg, sizeof(msg)) != base);
		msg[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert(bs_siphash(key, msg, sizeof(msg) - 1) != base);
}
END_TEST

Suite *bs_suite_siphash(void);

Suite *bs_suite_siphash(void)
{
	Suite *s = suite_create("siphash");
	TCase *tc = tcase_create("siphash");

	tcase_add_loop_test(tc, reference_output, 0, BS_LEN(rows));
	tcase_add_test(tc, every_bit_of_key_and_message_counts);
	suite_add_tcase(s, tc);
	return s;
}
