/* SPDX-License-Identifier: Apache-2.0 */
/* A registry as schema 1 kept it is written by hand and brought to today's schema. */
#include <stdio.h>
#include <sys/stat.h>

#include "box.h"
#include "raw.h"
#include "store/record.h"
#include "util/cursor.h"

Suite *bs_suite_migrate(void);

static struct box box;
static struct bs_seal *seal;

static void setup(void)
{
	uint8_t key[BS_MASTER_KEY_LEN];

	box_init(&box);
	ck_assert_int_eq(bs_seal_key_load(box.key, key, &box.err), BS_OK);
	ck_assert_int_eq(bs_seal_new(key, &seal), BS_OK);
}

static void teardown(void)
{
	bs_seal_free(seal);
	box_fini(&box);
}

/* A device value of format 1: see migrate.c. */
static void put_v1(struct raw *raw, const char *id, uint32_t number, uint64_t seen, int secrets,
		   const char *tags)
{
	struct bs_names set = box_names(tags);
	uint8_t buf[800];
	uint8_t key[4];
	struct bs_writer w;
	struct bs__key ad;
	size_t i;
	int slot;

	bs_writer_init(&w, buf, sizeof(buf));
	bs_writer_put_u8(&w, 1);
	bs_writer_put_u8(&w, BS_RECORD_ENABLED);
	bs_writer_put_u8(&w, secrets ? 0 : BS_DEVICE_LEGACY);
	bs_writer_put_u8(&w, (uint8_t)((1 << secrets) - 1));
	bs_writer_put_u32(&w, number);
	bs_writer_put_u64(&w, 1000 + number);
	bs_writer_put_u64(&w, seen);
	for (slot = 1; slot <= secrets; slot++) {
		uint8_t secret[BS_PSK_LEN];

		memset(secret, (int)(number * 16) + slot, sizeof(secret));
		bs__device_ad(&ad, id, strlen(id), (enum bs__secret_slot)slot);
		ck_assert_int_eq(bs_seal_close(seal, (struct bs_slice){ ad.b, ad.len },
					       (struct bs_slice){ secret, sizeof(secret) },
					       bs_writer_reserve(&w, BS__SEALED_SECRET_LEN)),
				 BS_OK);
	}
	bs_writer_put_u8(&w, set.n);
	for (i = 0; i < set.n; i++) {
		bs_writer_put_u8(&w, (uint8_t)strlen(set.name[i]));
		bs_writer_put_bytes(&w, set.name[i], strlen(set.name[i]));
	}
	ck_assert(!w.bad);
	raw_put(raw, "device", id, strlen(id), buf, w.len);
	bs_put_u32(key, number);
	raw_put(raw, "number", key, 4, id, strlen(id));
}

static void put_sealed(struct raw *raw, const char *name, const void *plain, size_t len)
{
	uint8_t buf[64];

	ck_assert_int_eq(bs_seal_close(seal, box_text(name), (struct bs_slice){ plain, len }, buf),
			 BS_OK);
	raw_put(raw, "meta", name, strlen(name), buf, len + BS_SEAL_OVERHEAD);
}

static void begin_v1(struct raw *raw)
{
	static const char check[16] = "basestation key";
	uint8_t secret[32] = { 5 };

	ck_assert_int_eq(mkdir(box.dir, 0700), 0);
	raw_open(raw, box.dir, true);
	raw_put_meta(raw, "schema", 1);
	raw_put_meta(raw, "boot", 7);
	raw_put_meta(raw, "next-number", 100);
	raw_put_meta(raw, "next-rule", 1);
	raw_put_meta(raw, "epoch-access", 3);
	raw_put_meta(raw, "epoch-crl", 4);
	raw_put_meta(raw, "epoch-change", 5);
	raw_put(raw, "meta", "instance", 8, "sixteen bytes !!", 16);
	put_sealed(raw, "check", check, sizeof(check));
	put_sealed(raw, "server-secret", secret, sizeof(secret));
}

START_TEST(schema_1_becomes_schema_2)
{
	struct bs_device_filter f = { .tag = "lab" };
	struct bs_list_pos pos = { 0 };
	struct bs_registry_stat st;
	struct bs_device list[4];
	struct bs_device d;
	struct raw raw;
	uint8_t want[BS_PSK_LEN];
	bool end;

	begin_v1(&raw);
	put_v1(&raw, "one", 1, 1111, 1, "lab,red");
	put_v1(&raw, "two", 2, 0, 2, NULL);
	put_v1(&raw, "three", 3, 3333, 0, "lab");
	raw_close(&raw);
	box_open(&box);
	box_check(&box);
	ck_assert_uint_eq(bs_registry_boot(box.reg), 8);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("one"), &d), BS_OK);
	ck_assert_uint_eq(d.last_seen, 1111);
	ck_assert_uint_eq(d.created, 1001);
	ck_assert_uint_eq(d.number, 1);
	memset(want, 17, sizeof(want));
	ck_assert_mem_eq(d.secret, want, sizeof(want));
	ck_assert(!d.has_next);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("two"), &d), BS_OK);
	ck_assert(d.has_secret && d.has_next);
	memset(want, 34, sizeof(want));
	ck_assert_mem_eq(d.secret_next, want, sizeof(want));
	ck_assert_uint_eq(d.last_seen, 0);
	ck_assert_int_eq(bs_registry_device(box.r, box_text("three"), &d), BS_OK);
	ck_assert(!d.has_secret);
	ck_assert_uint_eq(d.flags, BS_DEVICE_LEGACY);
	ck_assert_int_eq(bs_registry_device_list(box.r, &f, &pos, list, 4, &end), 2);
	ck_assert_int_eq(bs_registry_stat(box.r, &st), BS_OK);
	ck_assert_uint_eq(st.schema, BS_STORE_SCHEMA);
	ck_assert_uint_eq(box_add(&box, "four", 1, "lab").number, 100);
	/* Once is enough. */
	box_close(&box);
	box_open(&box);
	box_check(&box);
}
END_TEST

START_TEST(many_devices_migrate)
{
	struct bs_registry_stat st;
	struct raw raw;
	char id[16];
	uint32_t i;

	begin_v1(&raw);
	for (i = 1; i <= 700; i++) {
		snprintf(id, sizeof(id), "dev%u", (unsigned)(i * 7919 % 1000));
		put_v1(&raw, id, i, i, 1, "a,bb,ccc");
	}
	raw_put_meta(&raw, "next-number", 701);
	raw_close(&raw);
	box_open(&box);
	box_check(&box);
	ck_assert_int_eq(bs_registry_stat(box.r, &st), BS_OK);
	ck_assert_uint_eq(st.devices, 700);
}
END_TEST

START_TEST(a_damaged_record_stops_it_and_changes_nothing)
{
	struct bs_registry *reg;
	struct raw raw;

	begin_v1(&raw);
	put_v1(&raw, "one", 1, 1111, 1, "lab");
	put_v1(&raw, "two", 2, 2222, 1, "lab");
	raw_put(&raw, "device", "two", 3, "\1\1\0\1short", 9);
	raw_close(&raw);
	ck_assert_int_eq(bs_registry_open(&box.conf, &reg, &box.err), BS_ECORRUPT);
	ck_assert_ptr_nonnull(strstr(box.err.text, "\"two\""));
	raw_open(&raw, box.dir, false);
	ck_assert_uint_eq(raw_get_meta(&raw, "schema"), 1);
	ck_assert_uint_eq(raw_get_meta(&raw, "boot"), 7);
	raw_close(&raw);
}
END_TEST

START_TEST(reading_does_not_migrate)
{
	struct bs_registry *reg;
	struct raw raw;

	begin_v1(&raw);
	put_v1(&raw, "one", 1, 1111, 1, "lab");
	raw_close(&raw);
	box.conf.write = false;
	ck_assert_int_ne(bs_registry_open(&box.conf, &reg, &box.err), BS_OK);
	ck_assert_ptr_nonnull(strstr(box.err.text, "migrate"));
}
END_TEST

static const struct {
	uint64_t schema;
	int code;
	const char *says;
} schemas[] = {
	{ BS_STORE_SCHEMA + 1, BS_EVERSION, "newer" },
	{ UINT64_MAX, BS_EVERSION, "newer" },
	{ 0, BS_ECORRUPT, "schema" },
};

START_TEST(other_schemas_are_refused)
{
	struct bs_registry *reg;
	struct raw raw;

	begin_v1(&raw);
	raw_put_meta(&raw, "schema", schemas[_i].schema);
	raw_close(&raw);
	ck_assert_int_eq(bs_registry_open(&box.conf, &reg, &box.err), schemas[_i].code);
	ck_assert_ptr_nonnull(strstr(box.err.text, schemas[_i].says));
	raw_open(&raw, box.dir, false);
	ck_assert_uint_eq(raw_get_meta(&raw, "schema"), schemas[_i].schema);
	ck_assert_uint_eq(raw_get_meta(&raw, "boot"), 7);
	raw_close(&raw);
}
END_TEST

Suite *bs_suite_migrate(void)
{
	Suite *s = suite_create("migrate");
	TCase *t = tcase_create("migrate");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, schema_1_becomes_schema_2);
	tcase_add_test(t, many_devices_migrate);
	tcase_add_test(t, a_damaged_record_stops_it_and_changes_nothing);
	tcase_add_test(t, reading_does_not_migrate);
	tcase_add_loop_test(t, other_schemas_are_refused, 0, (int)BS_LEN(schemas));
	suite_add_tcase(s, t);
	return s;
}
