/* SPDX-License-Identifier: Apache-2.0 */
/* The full check finds what was damaged on purpose. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"
#include "raw.h"
#include "util/cursor.h"

Suite *bs_suite_check(void);

static struct box box;

static struct {
	unsigned n;
	char text[2048];
} found;

static void note(void *arg, const char *text)
{
	size_t have = strlen(found.text);

	found.n++;
	snprintf(found.text + have, sizeof(found.text) - have, "%s\n", text);
}

static void setup(void)
{
	struct bs_store_request ca = { .op = BS_STORE_CA_ADD };
	struct bs_store_request rev = { .op = BS_STORE_REVOKE };
	struct bs_store_seen seen = { 1, 5 };
	struct bs_store_request req = { .op = BS_STORE_SEEN, .u.seen = { &seen, 1 } };

	box_init(&box);
	box_open(&box);
	box_add(&box, "aa", 1, "t,u");
	box_add(&box, "bb", 2, "t");
	box_client(&box, "joe", NULL, NULL, "g");
	box_rule(&box, true, BS_WHO_GROUP, "g", NULL, BS_WHICH_TAG, "t", 3);
	ck_assert_int_eq(box_do(&box, &req).status, BS_OK);
	ca.u.ca.roles = BS_CA_CLIENT;
	ca.u.ca.der = box_text("der");
	ck_assert_int_eq(box_do(&box, &ca).status, BS_OK);
	rev.u.revocation.kind = BS_REVOKE_KEY;
	ck_assert_int_eq(box_do(&box, &rev).status, BS_OK);
	memset(&found, 0, sizeof(found));
}

static void teardown(void)
{
	box_fini(&box);
}

/* Ways to damage it. */
static void lose_number(struct raw *raw)
{
	raw_del(raw, "number", "\0\0\0\1", 4);
}

static void wrong_number(struct raw *raw)
{
	raw_put(raw, "number", "\0\0\0\1", 4, "bb", 2);
}

static void lose_tag(struct raw *raw)
{
	raw_del(raw, "tag", "t\0aa", 4);
}

static void extra_tag(struct raw *raw)
{
	raw_put(raw, "tag", "zz\0aa", 5, "", 0);
}

static void odd_tag(struct raw *raw)
{
	raw_put(raw, "tag", "nozero", 6, "", 0);
}

static void orphan_seen(struct raw *raw)
{
	raw_put(raw, "seen", "\0\0\0\7", 4, "12345678", 8);
}

static void short_seen(struct raw *raw)
{
	raw_put(raw, "seen", "\0\0\0\1", 4, "1", 1);
}

static void lose_device(struct raw *raw)
{
	raw_del(raw, "device", "aa", 2);
}

static void cut_device(struct raw *raw)
{
	uint8_t b[800];
	size_t len = raw_get(raw, "device", "aa", 2, b, sizeof(b));

	raw_put(raw, "device", "aa", 2, b, len - 1);
}

static void bare_device(struct raw *raw)
{
	/* Neither a secret nor the legacy flag, number 9, no tags. */
	static const uint8_t v[21] = { 2, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1 };

	raw_put(raw, "device", "cc", 2, v, sizeof(v));
	raw_put(raw, "number", "\0\0\0\11", 4, "cc", 2);
}

static void odd_id(struct raw *raw)
{
	static const uint8_t v[25] = { 2, 1, 1, 0, 0, 0, 0, 2, 0, 0, 0, 1 };

	raw_put(raw, "device", "BAD ID", 6, v, sizeof(v));
}

static void flip_seal(struct raw *raw)
{
	uint8_t b[800];
	size_t len = raw_get(raw, "device", "aa", 2, b, sizeof(b));

	b[30] ^= 1;
	raw_put(raw, "device", "aa", 2, b, len);
}

static void cut_client(struct raw *raw)
{
	raw_put(raw, "client", "joe\0", 4, "\1\1", 2);
}

static void odd_client(struct raw *raw)
{
	raw_put(raw, "client", "JOE\0", 4, "\1\1", 2);
}

static void lose_rule(struct raw *raw)
{
	raw_del(raw, "rule", "\0\0\0\1", 4);
}

static void lose_rule_index(struct raw *raw)
{
	raw_del(raw, "rule-index", "\5\1g\4t", 5);
}

/* The index says deny where the rule says allow. */
static void turn_rule_index(struct raw *raw)
{
	raw_put(raw, "rule-index", "\5\1g\4t", 5, "\0\0\0\1\0\3\0", 7);
}

static void foreign_rule_index(struct raw *raw)
{
	raw_put(raw, "rule-index", "\5\1h\4t", 5, "\0\0\0\1\0\3\1", 7);
}

static void cut_rule_index(struct raw *raw)
{
	raw_put(raw, "rule-index", "\5\1h\4t", 5, "\0\0", 2);
}

static void future_rule(struct raw *raw)
{
	raw_put_meta(raw, "next-rule", 1);
}

static void past_number(struct raw *raw)
{
	raw_put_meta(raw, "next-number", 1);
}

static void odd_revocation(struct raw *raw)
{
	raw_put(raw, "revocation", "\11x", 2, "", 0);
}

static void odd_ca(struct raw *raw)
{
	raw_put(raw, "ca", "short", 5, "x", 1);
}

static void changed_ca(struct raw *raw)
{
	static const uint8_t v[14] = { 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'd', 'e', 's' };

	raw_put(raw, "ca", box_fp(1), 32, v, sizeof(v));
}

static void zero_epoch(struct raw *raw)
{
	raw_put_meta(raw, "epoch-crl", 0);
}

static const struct {
	const char *name;
	void (*damage)(struct raw *raw);
	const char *says;
} damages[] = {
	{ "lose_number", lose_number, "number index does not name it" },
	{ "wrong_number", wrong_number, "number index" },
	{ "lose_tag", lose_tag, "tag index does not name it" },
	{ "extra_tag", extra_tag, "does not have the tag" },
	{ "odd_tag", odd_tag, "malformed" },
	{ "orphan_seen", orphan_seen, "last seen 7" },
	{ "short_seen", short_seen, "malformed" },
	{ "lose_device", lose_device, "names a device" },
	{ "cut_device", cut_device, "device \"aa\": the record cannot be decoded" },
	{ "bare_device", bare_device, "neither a secret" },
	{ "odd_id", odd_id, "id is not valid" },
	{ "flip_seal", flip_seal, "does not open" },
	{ "cut_client", cut_client, "client" },
	{ "odd_client", odd_client, "client" },
	{ "lose_rule", lose_rule, "not there" },
	{ "lose_rule_index", lose_rule_index, "does not agree" },
	{ "turn_rule_index", turn_rule_index, "does not agree" },
	{ "foreign_rule_index", foreign_rule_index, "another client" },
	{ "cut_rule_index", cut_rule_index, "malformed" },
	{ "future_rule", future_rule, "not given out" },
	{ "past_number", past_number, "not given out" },
	{ "odd_revocation", odd_revocation, "revocation" },
	{ "odd_ca", odd_ca, "CA" },
	{ "changed_ca", changed_ca, "fingerprint" },
	{ "zero_epoch", zero_epoch, "epoch" },
};

START_TEST(damage_is_found)
{
	struct bs_check_report report;
	struct raw raw;

	box_check(&box);
	box_close(&box);
	raw_open(&raw, box.dir, false);
	damages[_i].damage(&raw);
	raw_close(&raw);
	box_open(&box);
	ck_assert_int_eq(bs_registry_check(box.reg, note, NULL, &report), BS_OK);
	ck_assert_msg(report.problems > 0 && report.problems == found.n, "%s: %u", damages[_i].name,
		      (unsigned)report.problems);
	ck_assert_msg(strstr(found.text, damages[_i].says) != NULL, "%s: %s", damages[_i].name,
		      found.text);
}
END_TEST

START_TEST(a_sound_one_is_counted)
{
	struct bs_check_report report;

	ck_assert_int_eq(bs_registry_check(box.reg, note, NULL, &report), BS_OK);
	ck_assert_uint_eq(report.problems, 0);
	ck_assert_uint_eq(report.unsealed, 2);
	ck_assert_uint_eq(report.stat.devices, 2);
	ck_assert_uint_eq(report.stat.cas, 1);
	ck_assert_uint_eq(report.stat.revocations, 1);
	box_close(&box);
	memset(&report, 0, sizeof(report));
	ck_assert_int_eq(bs_registry_verify(&box.conf, NULL, note, NULL, &report, &box.err), BS_OK);
	ck_assert_uint_eq(report.unsealed, 2);
	ck_assert_uint_eq(report.problems, 0);
}
END_TEST

START_TEST(verify_tells_why_it_cannot_open)
{
	struct bs_check_report report;

	/* Beside the daemon it can. */
	ck_assert_int_eq(bs_registry_verify(&box.conf, NULL, note, NULL, &report, &box.err), BS_OK);
	ck_assert_uint_eq(report.problems, 0);
	box_close(&box);
	box.conf.key_file = box_path(&box, "missing");
	ck_assert_int_eq(bs_registry_verify(&box.conf, NULL, note, NULL, &report, &box.err),
			 BS_ENOENT);
	ck_assert_ptr_nonnull(strstr(box.err.text, "missing"));
}
END_TEST

/* Random bytes all over the file: found, refused or harmless, but never a crash of ours. */
START_TEST(random_damage_does_no_harm)
{
	uint32_t seed = 77u + (uint32_t)_i;
	struct bs_check_report report;
	uint8_t junk[64];
	struct stat st;
	unsigned told = 0;
	int round;
	int rc;
	int fd;

	box_close(&box);
	/* Until it shows: part of the file is not in use. */
	for (round = 0; round < 300 && told < 3; round++) {
		const char *path = box_path(&box, "db/data.mdb");
		size_t i;

		fd = open(path, O_RDWR);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fstat(fd, &st), 0);
		for (i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)box_random(&seed);
		/* Beyond the meta pages: those are LMDB's own to check. */
		ck_assert_int_eq(pwrite(fd, junk, sizeof(junk),
					8192 + (off_t)(box_random(&seed) %
						       (uint32_t)(st.st_size - 8192 - 64))),
				 (ssize_t)sizeof(junk));
		close(fd);
		rc = bs_registry_verify(&box.conf, NULL, NULL, NULL, &report, &box.err);
		told += rc != BS_OK || report.problems;
	}
	ck_assert_msg(told == 3, "seed %u", 77u + (unsigned)_i);
}
END_TEST

Suite *bs_suite_check(void)
{
	Suite *s = suite_create("check");
	TCase *t = tcase_create("check");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, damage_is_found, 0, (int)BS_LEN(damages));
	tcase_add_test(t, a_sound_one_is_counted);
	tcase_add_test(t, verify_tells_why_it_cannot_open);
	tcase_add_loop_test(t, random_damage_does_no_harm, 0, 5);
	suite_add_tcase(s, t);
	return s;
}
