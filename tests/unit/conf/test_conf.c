/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "alloc.h"
#include "suites.h"

static const struct bs_conf *from(const char *text)
{
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	ck_assert_msg(bs_conf_load_text("t", text, strlen(text), &c, &e) == BS_OK, "%s", e.text);
	return c;
}

START_TEST(diff_tells_live_from_restart)
{
	const struct bs_conf *a = from("");
	const struct bs_conf *b =
		from("workers = 3\nalive-interval = 5s\nkey-file = \"/k\"\nlisten = \"::1\"\n"
		     "extensions = { ip6 }\nallow-legacy = yes\n");
	struct bs_conf_change ch[8];
	static const struct bs_conf_change want[] = {
		{ "listen", false },      { "workers", false },   { "key-file", false },
		{ "allow-legacy", true }, { "extensions", true }, { "alive-interval", true },
	};

	ck_assert_uint_eq(bs_conf_diff(a, a, ch, 8), 0);
	ck_assert_uint_eq(bs_conf_diff(a, b, ch, 8), 6);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_str_eq(ch[i].key, want[i].key);
		ck_assert_int_eq(ch[i].live, want[i].live);
	}
	/* more than there is room for: all are counted */
	memset(ch, 0, sizeof(ch));
	ck_assert_uint_eq(bs_conf_diff(b, a, ch, 2), 6);
	ck_assert_ptr_nonnull(ch[1].key);
	ck_assert_ptr_null(ch[2].key);
	bs_conf_unref(a);
	bs_conf_unref(b);
}
END_TEST

START_TEST(text_of_one_key)
{
	const struct bs_conf *c = from("listen = {\"127.0.0.1\", \"::1\"}\n");
	char out[64];
	char small[10];

	ck_assert_int_eq(bs_conf_get_text(c, "listen", out, sizeof(out)), BS_OK);
	ck_assert_str_eq(out, "127.0.0.1, ::1");
	ck_assert_int_eq(bs_conf_get_text(c, "alive-timeout", out, sizeof(out)), BS_OK);
	ck_assert_str_eq(out, "70s");
	ck_assert_int_eq(bs_conf_get_text(c, "key-file", out, sizeof(out)), BS_OK);
	ck_assert_str_eq(out, "");
	ck_assert_int_eq(bs_conf_get_text(c, "no-such", out, sizeof(out)), BS_ENOENT);
	ck_assert_int_eq(bs_conf_get_text(c, "listen", small, sizeof(small)), BS_ETOOBIG);
	ck_assert_int_eq(bs_conf_get_text(c, "listen", small, 0), BS_ETOOBIG);
	bs_conf_unref(c);
}
END_TEST

#define THREADS 4
#define ROUNDS  2000

struct shared {
	const struct bs_conf *conf;
	atomic_uint ready;
};

static void *use(void *arg)
{
	struct shared *s = arg;
	const struct bs_conf *mine = bs_conf_ref(s->conf);
	uintptr_t sum = 0;

	atomic_fetch_add(&s->ready, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		const struct bs_conf *c = bs_conf_ref(mine);

		sum += (uintptr_t)c->user[0] + c->attach_port;
		bs_conf_unref(c);
	}
	bs_conf_unref(mine);
	return (void *)sum;
}

/* the maker lets go while others still read; the last of them frees (ASan and TSan watch) */
START_TEST(references_of_many_threads)
{
	struct shared s = { .conf = from("user = zz\n") };
	pthread_t t[THREADS];
	void *sum;

	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, use, &s), 0);
	while (atomic_load(&s.ready) < THREADS)
		continue;
	bs_conf_unref(s.conf);
	for (unsigned i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(t[i], &sum), 0);
		ck_assert_uint_eq((uintptr_t)sum, ROUNDS * ((uintptr_t)'z' + 5562));
	}
}
END_TEST

START_TEST(unref_of_nothing)
{
	bs_conf_unref(NULL);
}
END_TEST

START_TEST(no_memory_for_defaults)
{
	for (unsigned n = 1;; n++) {
		const struct bs_conf *c;

		test_alloc_fail_at(n);
		c = bs_conf_new_default();
		if (!test_alloc_failed()) {
			ck_assert_ptr_nonnull(c);
			ck_assert_uint_gt(n, 3);
			bs_conf_unref(c);
			return;
		}
		ck_assert_ptr_null(c);
	}
}
END_TEST

Suite *bs_suite_conf(void)
{
	Suite *s = suite_create("conf");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, diff_tells_live_from_restart);
	tcase_add_test(tc, text_of_one_key);
	tcase_add_test(tc, references_of_many_threads);
	tcase_add_test(tc, unref_of_nothing);
	tcase_add_test(tc, no_memory_for_defaults);
	suite_add_tcase(s, tc);
	return s;
}
