/* SPDX-License-Identifier: Apache-2.0 */
/* test_push_device.c - push items of a device: schedule, flags, quotas. */
#include "bench.h"
#include "wire/push.h"

static struct bench *b;
static struct bench_server server;
static int done;
static bool done_ok;
static uint8_t done_flags;

static const uint8_t item[] = { BS_PL_PUSH_DATA, 0, 0, 7, 2, 2, 'x' };

static void on_done(void *app, bool ok, uint8_t flags)
{
	ck_assert_ptr_eq(app, b);
	done++;
	done_ok = ok;
	done_flags = flags;
}

static void setup(void)
{
	b = malloc(sizeof(*b));
	ck_assert_ptr_nonnull(b);
	memset(&server, 0, sizeof(server));
	done = 0;
	bench_init(b, "dev.test", NULL);
	bench_attach(b, &server);
}

static void teardown(void)
{
	bench_fini(b);
	free(b);
}

static int start(void)
{
	struct bs_slice list = { item, sizeof(item) };
	int err = bs_push_start(&b->push, &b->d.attach, BS_PUSH_WEBHOOK, list, on_done, b, b->now);

	bench_drain(b);
	return err;
}

/* The item as the server reads it. */
static void expect_item(uint32_t number, int32_t ms)
{
	const struct bench_packet *o;
	struct bs_slice plain;
	struct bs_push m;
	struct bs_packet p;
	uint8_t *copy;

	o = bench_expect(b, BS_TYPE_U_PUSH, &p);
	ck_assert_int_eq(bench_ms(b, o->at), ms);
	ck_assert_int_eq(bs_push_decode(&p, &m), BS_OK);
	ck_assert(!m.answer);
	ck_assert_uint_eq(m.number, number);
	ck_assert_uint_eq(m.service, BS_PUSH_WEBHOOK);
	copy = bs_test_copy(o->bytes, o->len);
	ck_assert_uint_eq(copy[m.crypto_off + 1], BS_PLF_LIST);
	ck_assert_int_eq(bs_suite_aes_cbc.open(&b->crypto, &server.c, BS_INITIATOR, copy, o->len,
					       m.crypto_off, &plain),
			 BS_OK);
	ck_assert_uint_eq(plain.len, sizeof(item));
	ck_assert_mem_eq(plain.ptr, item, sizeof(item));
	free(copy);
}

static int answer(uint32_t number, uint8_t flags, bool forged)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_slice none = { NULL, 0 };
	struct bs_writer w;
	struct bs_push m;
	uint8_t buf[128];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.nsi = BENCH_NSI;
	m.answer = true;
	m.number = number;
	m.service = BS_PUSH_WEBHOOK;
	m.flags = flags;
	bs_push_begin(&w, buf, sizeof(buf), &m);
	len = bs_suite_aes_cbc.seal(&b->crypto, &server.c, BS_INITIATOR, &w, 0, none);
	ck_assert_int_gt(len, 0);
	if (forged)
		buf[len - 1] ^= 1;
	return bench_input(b, buf, (size_t)len, &gsp);
}

START_TEST(test_schedule)
{
	static const int32_t at[] = { 0, 2000, 6000, 14000, 30000, 62000, 126000, 254000 };
	size_t i;

	b->conf.alive_polls = 255;
	ck_assert_int_eq(start(), BS_OK);
	ck_assert_int_eq(start(), BS_EBUSY);
	for (i = 0; i < BS_LEN(at); i++) {
		bench_run_to(b, BENCH_START + BS_TIME_MS(at[i]));
		while (b->out[b->taken].bytes[8] == BS_TYPE_U_ALIVE)
			b->taken++;
		expect_item(0, at[i]);
	}
	ck_assert_int_eq(done, 0);
	bench_run(b, 256000);
	ck_assert_int_eq(done, 1);
	ck_assert(!done_ok);
	ck_assert_int_eq(start(), BS_OK);
}
END_TEST

static const struct {
	uint8_t flags;
	bool ok;
	int next; /* starting another one at once */
} flags[] = {
	{ 0x10, true, BS_OK },    { 0x20, false, BS_OK }, { 0x00, false, BS_OK },
	{ 0x40, false, BS_OK },   { 0x50, true, BS_OK },  { 0x80, false, BS_ERATE },
	{ 0x90, true, BS_ERATE },
};

START_TEST(test_flags)
{
	ck_assert_int_eq(start(), BS_OK);
	expect_item(0, 0);
	ck_assert_int_eq(answer(0, flags[_i].flags, true), BS_EMAC);
	ck_assert_int_eq(answer(1, flags[_i].flags, false), BS_EUNKNOWN);
	ck_assert_int_eq(done, 0);
	ck_assert_int_eq(answer(0, flags[_i].flags, false), BS_OK);
	ck_assert_int_eq(done, 1);
	ck_assert_int_eq(done_ok, flags[_i].ok);
	ck_assert_uint_eq(done_flags, flags[_i].flags);
	ck_assert_int_eq(answer(0, flags[_i].flags, false), BS_EUNKNOWN);
	ck_assert_int_eq(start(), flags[_i].next);
	if (flags[_i].next)
		return;
	if (flags[_i].flags & BS_PUSH_QUOTA) {
		bench_run(b, 59999);
		while (b->taken < b->n_out && b->out[b->taken].bytes[8] == BS_TYPE_U_ALIVE)
			b->taken++;
		bench_expect_none(b);
		bench_run(b, 1);
		expect_item(1, 60000);
	} else {
		expect_item(1, 0);
	}
}
END_TEST

START_TEST(test_refusals)
{
	struct bs_slice bad = { item, 5 };
	struct bs_slice none = { NULL, 0 };

	ck_assert_int_eq(bs_push_start(&b->push, &b->d.attach, 1, bad, NULL, NULL, b->now),
			 BS_EINVAL);
	ck_assert_int_eq(bs_push_start(&b->push, &b->d.attach, 1, none, NULL, NULL, b->now),
			 BS_EINVAL);
	bs_device_network_changed(&b->d, b->now);
	bench_drain(b);
	ck_assert_int_eq(start(), BS_ESTATE);
}
END_TEST

/* Without random numbers a send is skipped, not the item. */
START_TEST(test_no_random)
{
	b->rng.fail = true;
	ck_assert_int_eq(start(), BS_OK);
	bench_expect_none(b);
	b->rng.fail = false;
	bench_run(b, 2000);
	expect_item(0, 2000);
}
END_TEST

/* An item that does not fit the buffer ends at once. */
START_TEST(test_too_big)
{
	static uint8_t big[300] = { BS_PL_PUSH_DATA, 0, 1, 44 };
	struct bs_slice list = { big, sizeof(big) };

	ck_assert_int_eq(bs_push_start(&b->push, &b->d.attach, 1, list, on_done, b, b->now), BS_OK);
	bench_drain(b);
	ck_assert_int_eq(done, 1);
	ck_assert(!done_ok);
	bench_expect_none(b);
}
END_TEST

Suite *bs_suite_push_device(void);

Suite *bs_suite_push_device(void)
{
	Suite *s = suite_create("push_device");
	TCase *tc = tcase_create("push");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_schedule);
	tcase_add_loop_test(tc, test_flags, 0, (int)BS_LEN(flags));
	tcase_add_test(tc, test_refusals);
	tcase_add_test(tc, test_no_random);
	tcase_add_test(tc, test_too_big);
	suite_add_tcase(s, tc);
	return s;
}
