/* SPDX-License-Identifier: Apache-2.0 */
/* Relayed bytes of clients: added up within a month, kept over a restart. */
#include "store/writer.h"

#include <stdio.h>
#include <string.h>

#include "box.h"

Suite *bs_suite_volume(void);

static struct box box;
static const uint8_t ca[2][BS_FP256_LEN] = { { 1 }, { 2 } };

static void setup(void)
{
	box_init(&box);
	box_open(&box);
}

static void teardown(void)
{
	box_fini(&box);
}

static int add(const char *identity, int which, uint32_t month, uint64_t bytes)
{
	struct bs_store_volume v[2];
	struct bs_store_request req = { .op = BS_STORE_VOLUME, .u.volume = { v, 1 } };

	memset(v, 0, sizeof(v));
	snprintf(v[0].identity, sizeof(v[0].identity), "%s", identity);
	memcpy(v[0].ca_fp, ca[which], BS_FP256_LEN);
	v[0].add = (struct bs_volume){ month, bytes };
	return box_do(&box, &req).status;
}

static uint64_t bytes_of(const char *identity, const uint8_t *ca_fp, uint32_t month)
{
	struct bs_volume v;

	if (bs_registry_volume(box.r, box_text(identity), ca_fp, &v) != BS_OK)
		return 0;
	ck_assert_uint_eq(v.month, month);
	return v.bytes;
}

START_TEST(adds_up_within_a_month)
{
	struct bs_volume v;

	ck_assert_int_eq(bs_registry_volume(box.r, box_text("joe"), ca[0], &v), BS_ENOENT);
	ck_assert_int_eq(bs_registry_volume(box.r, box_text("joe"), NULL, &v), BS_ENOENT);
	ck_assert_int_eq(add("joe", 0, 100, 5), BS_OK);
	ck_assert_int_eq(add("joe", 0, 100, UINT64_C(1) << 40), BS_OK);
	ck_assert_int_eq(add("joe2", 0, 100, 9), BS_OK);
	ck_assert_uint_eq(bytes_of("joe", ca[0], 100), (UINT64_C(1) << 40) + 5);
	box_close(&box);
	box_open(&box);
	ck_assert_uint_eq(bytes_of("joe", ca[0], 100), (UINT64_C(1) << 40) + 5);
	/* A new month begins from nothing; what comes late for the old one is dropped. */
	ck_assert_int_eq(add("joe", 0, 101, 7), BS_OK);
	ck_assert_int_eq(add("joe", 0, 100, 1000), BS_OK);
	ck_assert_uint_eq(bytes_of("joe", ca[0], 101), 7);
	box_check(&box);
}
END_TEST

START_TEST(one_name_under_two_authorities)
{
	struct bs_volume v;

	ck_assert_int_eq(add("joe", 0, 100, 5), BS_OK);
	ck_assert_int_eq(add("joe", 1, 100, 6), BS_OK);
	ck_assert_uint_eq(bytes_of("joe", ca[0], 100), 5);
	ck_assert_uint_eq(bytes_of("joe", ca[1], 100), 6);
	ck_assert_uint_eq(bytes_of("joe", NULL, 100), 11);
	ck_assert_int_eq(add("joe", 1, 101, 8), BS_OK);
	ck_assert_uint_eq(bytes_of("joe", NULL, 101), 8);
	ck_assert_int_eq(bs_registry_volume(box.r, box_text("jo"), NULL, &v), BS_ENOENT);
	ck_assert_int_eq(bs_registry_volume(box.r, box_text("joe2"), NULL, &v), BS_ENOENT);
	ck_assert_int_eq(bs_registry_volume(box.r, box_text("no name"), NULL, &v), BS_ENOENT);
}
END_TEST

START_TEST(what_is_refused)
{
	struct bs_store_volume v;
	struct bs_store_request req = { .op = BS_STORE_VOLUME, .u.volume = { &v, 0 } };

	ck_assert_int_eq(add("", 0, 1, 1), BS_EINVAL);
	ck_assert_int_eq(add("no name", 0, 1, 1), BS_EINVAL);
	memset(&v, 'a', sizeof(v));
	ck_assert_int_eq(box_do(&box, &req).status, BS_EINVAL);
	req.u.volume.n = 1;
	ck_assert_int_eq(box_do(&box, &req).status, BS_EINVAL);
	box_check(&box);
}
END_TEST

Suite *bs_suite_volume(void)
{
	Suite *s = suite_create("volume");
	TCase *t = tcase_create("volume");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, adds_up_within_a_month);
	tcase_add_test(t, one_name_under_two_authorities);
	tcase_add_test(t, what_is_refused);
	suite_add_tcase(s, t);
	return s;
}
