/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"

#include <stdio.h>

#include "box.h"
#include "util/cursor.h"

Suite *bs_suite_record(void);

/* A copy of exactly len bytes, so that a sanitizer sees a read past the end. */
static uint8_t *exact(const uint8_t *b, size_t len)
{
	uint8_t *p = malloc(len ? len : 1);

	ck_assert_ptr_nonnull(p);
	memcpy(p, b, len);
	return p;
}

typedef int (*decode_fn)(struct bs_slice v);

static int decode_device(struct bs_slice v)
{
	struct bs__device_record rec;

	return bs__device_decode(v, &rec);
}

static int decode_client(struct bs_slice v)
{
	struct bs_client c;

	return bs__client_decode(v, &c);
}

static int decode_rule(struct bs_slice v)
{
	struct bs_access_rule r;

	return bs__rule_decode(v, &r);
}

static int decode_entry(struct bs_slice v)
{
	struct bs__rule_entry e;

	return bs__rule_entry_decode(v, &e);
}

static int decode_revocation(struct bs_slice v)
{
	struct bs_revocation r;

	return bs__revocation_decode(v, &r);
}

/* Each value: whole it decodes; cut anywhere, or a byte longer, it does not; changed anywhere it
 * either does or does not, and nothing is read outside it. */
static void try_value(const uint8_t *b, size_t len, decode_fn decode)
{
	uint8_t longer[BS__VALUE_MAX + 1];
	uint8_t *p;
	size_t i;
	int bit;

	p = exact(b, len);
	ck_assert_int_eq(decode((struct bs_slice){ p, len }), BS_OK);
	free(p);
	for (i = 0; i < len; i++) {
		p = exact(b, i);
		ck_assert_msg(decode((struct bs_slice){ p, i }) == BS_ECORRUPT, "cut to %u",
			      (unsigned)i);
		free(p);
	}
	memcpy(longer, b, len);
	longer[len] = 0;
	ck_assert_int_eq(decode((struct bs_slice){ longer, len + 1 }), BS_ECORRUPT);
	for (i = 0; i < len; i++) {
		for (bit = 0; bit < 8; bit++) {
			int rc;

			p = exact(b, len);
			p[i] ^= (uint8_t)(1 << bit);
			rc = decode((struct bs_slice){ p, len });
			ck_assert(rc == BS_OK || rc == BS_ECORRUPT);
			/* The format byte is always looked at. */
			if (i == 0 && decode != decode_entry)
				ck_assert_int_eq(rc, BS_ECORRUPT);
			free(p);
		}
	}
}

static struct bs__device_record full_device(void)
{
	static const uint8_t sealed[2][BS__SEALED_SECRET_LEN] = { { 1, 2 }, { 3, 4 } };
	struct bs__device_record rec;

	memset(&rec, 0, sizeof(rec));
	rec.state = BS_RECORD_DISABLED;
	rec.flags = BS_DEVICE_LEGACY;
	rec.number = 0x01020304;
	rec.generation = 9;
	rec.created = 1234567890123;
	rec.sealed = sealed[0];
	rec.sealed_next = sealed[1];
	rec.tags = box_names("a,b,c");
	return rec;
}

START_TEST(device_value)
{
	struct bs__device_record rec = full_device();
	struct bs__device_record got;
	uint8_t buf[BS__VALUE_MAX];
	size_t len = bs__device_encode(&rec, buf);

	ck_assert_int_eq(bs__device_decode((struct bs_slice){ buf, len }, &got), BS_OK);
	ck_assert_int_eq(got.state, BS_RECORD_DISABLED);
	ck_assert_int_eq(got.flags, BS_DEVICE_LEGACY);
	ck_assert_uint_eq(got.number, 0x01020304);
	ck_assert_uint_eq(bs_get_u32(buf + BS__DEVICE_NUMBER_AT), 0x01020304);
	ck_assert_uint_eq(got.generation, 9);
	ck_assert_uint_eq(got.created, 1234567890123);
	ck_assert_mem_eq(got.sealed, rec.sealed, BS__SEALED_SECRET_LEN);
	ck_assert_mem_eq(got.sealed_next, rec.sealed_next, BS__SEALED_SECRET_LEN);
	ck_assert(bs_names_equal(&got.tags, &rec.tags));
	try_value(buf, len, decode_device);
	rec.sealed = NULL;
	rec.sealed_next = NULL;
	rec.tags.n = 0;
	len = bs__device_encode(&rec, buf);
	ck_assert_int_eq(bs__device_decode((struct bs_slice){ buf, len }, &got), BS_OK);
	ck_assert_ptr_null(got.sealed);
	ck_assert_ptr_null(got.sealed_next);
	try_value(buf, len, decode_device);
}
END_TEST

START_TEST(largest_device_fits)
{
	struct bs__device_record rec = full_device();
	uint8_t buf[BS__VALUE_MAX];
	char name[BS_NAME_MAX + 1];
	int i;

	rec.tags.n = 0;
	for (i = 0; i < BS_NAMES_MAX; i++) {
		memset(name, 'a' + i, BS_NAME_MAX);
		ck_assert_int_eq(bs_names_add(&rec.tags, name, BS_NAME_MAX), BS_OK);
	}
	try_value(buf, bs__device_encode(&rec, buf), decode_device);
}
END_TEST

START_TEST(client_value)
{
	struct bs_client c;
	struct bs_client got;
	struct bs__key k;
	uint8_t buf[BS__VALUE_MAX];
	size_t len;
	size_t i;

	memset(&c, 0, sizeof(c));
	c.state = BS_RECORD_REVOKED;
	c.has_key = true;
	memset(c.key_fp, 7, sizeof(c.key_fp));
	c.generation = 4;
	c.created = 99;
	c.groups = box_names("x,y");
	len = bs__client_encode(&c, buf);
	bs__key_client(&k, box_text("joe@example.com"), box_fp(6));
	ck_assert_int_eq(bs__client_decode_key((struct bs_slice){ k.b, k.len }, &got), BS_OK);
	ck_assert_int_eq(bs__client_decode((struct bs_slice){ buf, len }, &got), BS_OK);
	ck_assert_str_eq(got.identity, "joe@example.com");
	ck_assert_uint_eq(got.identity_len, 15);
	ck_assert(got.has_ca && got.has_key);
	ck_assert_mem_eq(got.ca_fp, box_fp(6), BS_FP256_LEN);
	ck_assert_mem_eq(got.key_fp, box_fp(7), BS_FP256_LEN);
	ck_assert_int_eq(got.state, BS_RECORD_REVOKED);
	ck_assert(bs_names_equal(&got.groups, &c.groups));
	try_value(buf, len, decode_client);
	c.has_key = false;
	try_value(buf, bs__client_encode(&c, buf), decode_client);
	for (i = 0; i < k.len; i++) {
		int rc = bs__client_decode_key((struct bs_slice){ k.b, i }, &got);

		/* "joe@example.com", 0 is a whole key: that of any CA. */
		ck_assert_int_eq(rc, i == 16 ? BS_OK : BS_ECORRUPT);
	}
}
END_TEST

START_TEST(rule_value)
{
	static const uint8_t whos[] = { BS_WHO_IDENTITY, BS_WHO_CA_IDENTITY, BS_WHO_KEY,
					BS_WHO_GROUP, BS_WHO_ANYBODY };
	struct bs_access_rule got;
	uint8_t buf[BS__VALUE_MAX];
	size_t i;

	for (i = 0; i < sizeof(whos); i++) {
		bool named = whos[i] != BS_WHO_KEY && whos[i] != BS_WHO_ANYBODY;
		bool fp = whos[i] == BS_WHO_KEY || whos[i] == BS_WHO_CA_IDENTITY;
		struct bs_access_rule r;
		size_t len;

		/* Compared as bytes below, so its padding counts. */
		memset(&r, 0, sizeof(r));
		r.allow = true;
		r.who_kind = whos[i];
		r.which_kind = BS_WHICH_PATTERN;
		r.priority = 1000;
		memcpy(r.which, "cam*", 5);
		r.created = 5;
		if (named)
			memcpy(r.who, "joe", 4);
		if (fp)
			memset(r.who_fp, 3, sizeof(r.who_fp));
		len = bs__rule_encode(&r, buf);
		ck_assert_int_eq(bs__rule_decode((struct bs_slice){ buf, len }, &got), BS_OK);
		ck_assert(!memcmp(&got, &r, sizeof(r)));
		try_value(buf, len, decode_rule);
	}
}
END_TEST

START_TEST(rule_entry)
{
	struct bs__rule_entry e = { 77, 500, true };
	struct bs__rule_entry got;
	uint8_t buf[16];
	size_t len = bs__rule_entry_encode(&e, buf);

	ck_assert_int_eq(bs__rule_entry_decode((struct bs_slice){ buf, len }, &got), BS_OK);
	ck_assert_uint_eq(got.id, 77);
	ck_assert_uint_eq(got.priority, 500);
	ck_assert(got.allow);
	try_value(buf, len, decode_entry);
	bs_put_u32(buf, 0);
	ck_assert_int_eq(bs__rule_entry_decode((struct bs_slice){ buf, len }, &got), BS_ECORRUPT);
}
END_TEST

/* Different rules have different index keys, also where texts run into each other. */
START_TEST(index_keys_differ)
{
	struct bs_access_rule r[6] = {
		{ .who_kind = BS_WHO_GROUP, .who = "ab", .which_kind = BS_WHICH_TAG, .which = "c" },
		{ .who_kind = BS_WHO_GROUP, .who = "a", .which_kind = BS_WHICH_TAG, .which = "bc" },
		{ .who_kind = BS_WHO_GROUP, .who = "ab", .which_kind = BS_WHICH_ID, .which = "c" },
		{ .who_kind = BS_WHO_IDENTITY,
		  .who = "ab",
		  .which_kind = BS_WHICH_TAG,
		  .which = "c" },
		{ .who_kind = BS_WHO_CA_IDENTITY,
		  .who = "ab",
		  .which_kind = BS_WHICH_TAG,
		  .which = "c" },
		{ .who_kind = BS_WHO_GROUP, .who = "ab", .which_kind = BS_WHICH_ANY },
	};
	struct bs__key a;
	struct bs__key b;
	size_t i;
	size_t j;

	for (i = 0; i < BS_LEN(r); i++) {
		bs__key_rule_index(&a, &r[i]);
		for (j = 0; j < i; j++) {
			bs__key_rule_index(&b, &r[j]);
			ck_assert_msg(a.len != b.len || memcmp(a.b, b.b, a.len), "%u and %u",
				      (unsigned)i, (unsigned)j);
		}
	}
}
END_TEST

START_TEST(revocation_value)
{
	struct bs_revocation rev[4] = {
		{ .kind = BS_REVOKE_CLIENT, .identity = "joe", .identity_len = 3 },
		{ .kind = BS_REVOKE_CLIENT,
		  .identity = "joe",
		  .identity_len = 3,
		  .has_ca = true,
		  .ca_fp = { 8 } },
		{ .kind = BS_REVOKE_CERT,
		  .has_ca = true,
		  .ca_fp = { 8 },
		  .serial = { 1, 2, 3 },
		  .serial_len = 3 },
		{ .kind = BS_REVOKE_KEY, .key_fp = { 9 } },
	};
	struct bs_revocation got;
	uint8_t buf[BS__VALUE_MAX];
	struct bs__key k;
	size_t len;
	size_t i;
	size_t n;

	for (i = 0; i < BS_LEN(rev); i++) {
		rev[i].when = 42;
		memcpy(rev[i].note, "lost phone", 11);
		bs__key_revocation(&k, &rev[i]);
		len = bs__revocation_encode(&rev[i], buf);
		ck_assert_int_eq(bs__revocation_decode_key((struct bs_slice){ k.b, k.len }, &got),
				 BS_OK);
		ck_assert_int_eq(bs__revocation_decode((struct bs_slice){ buf, len }, &got), BS_OK);
		ck_assert(!memcmp(&got, &rev[i], sizeof(got)));
		try_value(buf, len, decode_revocation);
		/* A shorter key is broken, or another one; never a read outside it. */
		for (n = 0; n < k.len; n++) {
			uint8_t *p = exact(k.b, n);

			(void)!bs__revocation_decode_key((struct bs_slice){ p, n }, &got);
			free(p);
		}
	}
	k.b[0] = 9;
	ck_assert_int_eq(bs__revocation_decode_key((struct bs_slice){ k.b, k.len }, &got),
			 BS_ECORRUPT);
}
END_TEST

START_TEST(ca_value)
{
	struct bs_ca ca = { .name = "vendor CA", .roles = BS_CA_CLIENT, .added = 7 };
	uint8_t buf[BS__CA_HEAD_MAX + BS_CA_DER_MAX + 1];
	size_t head = bs__ca_encode_head(&ca, buf);
	struct bs_ca got;

	memset(buf + head, 0x30, BS_CA_DER_MAX + 1);
	ck_assert_int_eq(bs__ca_decode((struct bs_slice){ buf, head + 5 }, &got), BS_OK);
	ck_assert_str_eq(got.name, "vendor CA");
	ck_assert_uint_eq(got.der.len, 5);
	ck_assert_ptr_eq(got.der.ptr, buf + head);
	ck_assert_int_eq(bs__ca_decode((struct bs_slice){ buf, head + BS_CA_DER_MAX }, &got),
			 BS_OK);
	ck_assert_int_eq(bs__ca_decode((struct bs_slice){ buf, head + BS_CA_DER_MAX + 1 }, &got),
			 BS_ECORRUPT);
	for (; head; head--)
		ck_assert_int_eq(bs__ca_decode((struct bs_slice){ buf, head }, &got), BS_ECORRUPT);
	buf[1] = 0;
	ck_assert_int_eq(bs__ca_decode((struct bs_slice){ buf, 40 }, &got), BS_ECORRUPT);
}
END_TEST

START_TEST(serial_is_trimmed)
{
	struct bs_slice s = { (const uint8_t *)"\0\0\1\2", 4 };

	ck_assert_uint_eq(bs__serial_trim(s).len, 2);
	s.len = 2;
	ck_assert_uint_eq(bs__serial_trim(s).len, 1);
	s.len = 0;
	ck_assert_uint_eq(bs__serial_trim(s).len, 0);
}
END_TEST

START_TEST(associated_data_names_slot_and_id)
{
	struct bs__key a;
	struct bs__key b;

	bs__device_ad(&a, "dev", 3, BS__SLOT_SECRET);
	bs__device_ad(&b, "dev", 3, BS__SLOT_NEXT);
	ck_assert_uint_eq(a.len, b.len);
	ck_assert_mem_ne(a.b, b.b, a.len);
	bs__device_ad(&b, "dew", 3, BS__SLOT_SECRET);
	ck_assert_mem_ne(a.b, b.b, a.len);
}
END_TEST

Suite *bs_suite_record(void)
{
	Suite *s = suite_create("record");
	TCase *t = tcase_create("record");

	tcase_add_test(t, device_value);
	tcase_add_test(t, largest_device_fits);
	tcase_add_test(t, client_value);
	tcase_add_test(t, rule_value);
	tcase_add_test(t, rule_entry);
	tcase_add_test(t, index_keys_differ);
	tcase_add_test(t, revocation_value);
	tcase_add_test(t, ca_value);
	tcase_add_test(t, serial_is_trimmed);
	tcase_add_test(t, associated_data_names_slot_and_id);
	suite_add_tcase(s, t);
	return s;
}
