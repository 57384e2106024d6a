/* SPDX-License-Identifier: Apache-2.0 */
#include "server/counters.h"

#include <ctype.h>
#include <string.h>

#include "basestation/error.h"
#include "suite.h"

START_TEST(test_table_is_complete)
{
	size_t i;
	size_t k;

	for (i = 0; i < BS_COUNTER_N; i++) {
		const struct bs_counter_info *c = &bs_counter_table[i];
		const char *p;

		ck_assert(c->name && c->unit && c->help);
		for (p = c->name; *p; p++)
			ck_assert(islower((unsigned char)*p) || isdigit((unsigned char)*p) ||
				  *p == '_');
		for (k = 0; k < i; k++)
			ck_assert_str_ne(bs_counter_table[k].name, c->name);
	}
}
END_TEST

START_TEST(test_every_drop_reason_has_its_counter)
{
	int err;

	/* Only what nobody expects may share the last one. */
	for (err = BS_ESHORT; err >= BS_ESTATE; err--)
		ck_assert_int_ne(bs_counter_of_drop(err), BS_C_drop_other);
	ck_assert_int_eq(bs_counter_of_drop(BS_ECRYPTO), BS_C_crypto_failed);
	ck_assert_int_eq(bs_counter_of_drop(BS_ERANDOM), BS_C_crypto_failed);
	ck_assert_int_eq(bs_counter_of_drop(BS_EREFUSED), BS_C_drop_other);
	ck_assert_int_eq(bs_counter_of_drop(BS_OK), BS_C_drop_other);
}
END_TEST

START_TEST(test_sums_and_text)
{
	static struct bs_counters a;
	static struct bs_counters b;
	const struct bs_counters *both[] = { &a, &b };
	static char text[65536];
	char small[10];
	size_t len;

	bs_count_add(&a, BS_C_udp_rx, 5);
	bs_count(&b, BS_C_udp_rx);
	bs_count_set(&b, BS_C_devices_attached, 42);
	ck_assert_uint_eq(bs_count_get(&a, BS_C_udp_rx), 5);
	len = bs_counters_text(both, 2, text, sizeof(text));
	ck_assert_uint_lt(len, sizeof(text));
	ck_assert_uint_eq(strlen(text), len);
	ck_assert_ptr_nonnull(strstr(text, "\nbasestation_udp_rx_total 6\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nbasestation_devices_attached 42\n"));
	ck_assert_ptr_nonnull(strstr(text, "# TYPE basestation_udp_rx_total counter\n"));
	ck_assert_uint_eq(bs_counters_text(both, 2, small, sizeof(small)), len);
	ck_assert_uint_eq(bs_counters_text(both, 2, NULL, 0), len);
}
END_TEST

Suite *bs_suite_counters(void)
{
	Suite *s = suite_create("counters");
	TCase *c = tcase_create("counters");

	tcase_add_test(c, test_table_is_complete);
	tcase_add_test(c, test_every_drop_reason_has_its_counter);
	tcase_add_test(c, test_sums_and_text);
	suite_add_tcase(s, c);
	return s;
}
