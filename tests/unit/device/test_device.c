/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <string.h>

#include "central.h"
#include "context.h"
#include "wire/packet.h"

static struct central c;
static enum bsdev_state last_state;
static int last_status;
static unsigned changes;

static void on_state(void *ctx, struct bsdev *dev, enum bsdev_state state, int status)
{
	ck_assert_ptr_eq(ctx, &c);
	ck_assert_ptr_nonnull(dev);
	last_state = state;
	last_status = status;
	changes++;
}

static void setup(void)
{
	central_init(&c);
	c.conf.state = on_state;
	last_state = BSDEV_OFF;
	last_status = 0;
	changes = 0;
}

static void teardown(void)
{
	central_fini(&c);
}

START_TEST(test_refuses_a_bad_configuration)
{
	static const char long_text[] = "0123456789012345678901234567890123456789"
					"012345678901234567890123456789";
	struct bsdev_conf good = c.conf;

	c.conf.id = "Cam1";
	ck_assert_int_eq(central_start(&c), BS_EINVAL);
	c.conf.id = "";
	ck_assert_int_eq(central_start(&c), BS_EINVAL);
	c.conf.id = "a23456789.123456789.123456789.123456789.1";
	ck_assert_int_eq(central_start(&c), BS_EINVAL);
	c.conf = good;
	c.conf.connections = 0;
	ck_assert_int_eq(central_start(&c), BS_EINVAL);
	c.conf.connections = 17;
	ck_assert_int_eq(central_start(&c), BS_EINVAL);
	c.conf = good;
	c.conf.version = "12345678901";
	ck_assert_int_eq(central_start(&c), BS_EINVAL);
	c.conf = good;
	c.conf.url = long_text;
	ck_assert_int_eq(central_start(&c), BS_EINVAL);
	c.conf = good;
	c.port.resolve = NULL;
	ck_assert_int_eq(central_start(&c), BS_EINVAL);
	ck_assert_ptr_null(c.dev);
	ck_assert_uint_eq(c.lookups, 0);
}
END_TEST

/* Both builds are tested: this one, and the one of configure --enable-legacy. */
START_TEST(test_no_secret_needs_a_legacy_build)
{
	const struct bs_legacy_ops *legacy = BSDEV__LEGACY_ATTACH;
	const bool can = legacy != NULL;

	c.conf.secret = NULL;
	ck_assert_int_eq(central_start(&c), can ? BS_OK : BS_EINVAL);
	ck_assert_uint_eq(c.lookups, can ? 1 : 0);
	if (can) {
		ck_assert_ptr_eq(c.dev->core_conf.legacy, legacy);
		ck_assert_ptr_eq(c.dev->core_conf.plain_suite, BSDEV__PLAIN_SUITE);
		bsdev_fini(c.dev);
		c.dev = NULL;
	}
	/* With a secret it never does without, in either build. */
	c.conf.secret = c.secret;
	ck_assert_int_eq(central_start(&c), BS_OK);
	ck_assert_ptr_null(c.dev->core_conf.legacy);
	ck_assert_ptr_null(c.dev->core_conf.plain_suite);
}
END_TEST

START_TEST(test_storage_length)
{
	static union {
		void *align;
		uint8_t bytes[BSDEV_STORAGE_LEN(16)];
	} room;
	struct bsdev *dev = NULL;

	for (uint8_t n = 1; n <= 16; n++) {
		c.conf.connections = n;
		ck_assert_int_eq(
			bsdev_init(&room, BSDEV_STORAGE_LEN(n), &c.conf, &c.port, c.now, &dev),
			BS_OK);
		bsdev_fini(dev);
	}
	ck_assert_int_eq(bsdev_init(&room, 100, &c.conf, &c.port, c.now, &dev), BS_ETOOBIG);
}
END_TEST

START_TEST(test_fini_wipes_the_secret)
{
	central_attach(&c);
	bsdev_fini(c.dev);
	for (size_t i = 0; i + sizeof(c.secret) < sizeof(c.storage.bytes); i++)
		ck_assert(memcmp(c.storage.bytes + i, c.secret, sizeof(c.secret)) != 0 ||
			  c.secret[0] == 0);
	c.dev = NULL;
	bsdev_fini(NULL);
}
END_TEST

START_TEST(test_attaches)
{
	central_attach(&c);
	ck_assert_uint_eq(c.attaches, 1);
	ck_assert_int_eq(last_state, BSDEV_ATTACHED);
	ck_assert_int_eq(last_status, BS_ATTACH_OK);
	ck_assert_uint_eq(changes, 2);
}
END_TEST

START_TEST(test_stays_attached_while_asked)
{
	central_attach(&c);
	for (int i = 0; i < 60; i++) {
		central_run(&c, 10000);
		central_alive(&c);
	}
	ck_assert_uint_eq(c.attaches, 1);
	ck_assert_int_eq(bsdev_get_state(c.dev), BSDEV_ATTACHED);
}
END_TEST

START_TEST(test_starts_over_after_silence)
{
	unsigned renewals;

	central_attach(&c);
	renewals = c.renewals;
	c.silent = true;
	central_run(&c, 66000);
	ck_assert_int_eq(last_state, BSDEV_ATTACHING);
	ck_assert_int_eq(last_status, BS_ATTACH_NO_ALIVE);
	ck_assert_uint_eq(c.lookups, 2);
	ck_assert_uint_eq(c.renewals, renewals + 1);
	c.silent = false;
	central_resolve(&c, true);
	central_pump(&c);
	ck_assert_uint_eq(c.attaches, 2);
}
END_TEST

START_TEST(test_wrong_secret_is_named)
{
	c.expected[0] ^= 1;
	ck_assert_int_eq(central_start(&c), BS_OK);
	central_resolve(&c, true);
	central_pump(&c);
	ck_assert_int_eq(bsdev_get_state(c.dev), BSDEV_ATTACHING);
	ck_assert_int_eq(last_status, BS_ATTACH_MAC);
	ck_assert_uint_eq(c.stats_status, BS_ATTACH_MAC);
}
END_TEST

START_TEST(test_lookup_failure_backs_off)
{
	ck_assert_int_eq(central_start(&c), BS_OK);
	for (unsigned i = 1; i <= 5; i++) {
		ck_assert_uint_eq(c.lookups, i);
		central_resolve(&c, false);
		central_run(&c, 32000);
	}
	ck_assert_uint_eq(c.sent, 0);
	ck_assert_int_eq(bsdev_get_state(c.dev), BSDEV_ATTACHING);
}
END_TEST

START_TEST(test_controller_port)
{
	struct bs_endpoint to;
	uint8_t buf[BSDEV_PACKET_MAX];

	c.conf.controller_port = 6000;
	ck_assert_int_eq(central_start(&c), BS_OK);
	central_resolve(&c, true);
	ck_assert_uint_gt(bsdev_output(c.dev, buf, sizeof(buf), &to, c.now), 0);
	ck_assert_uint_eq(to.port, 6000);
}
END_TEST

START_TEST(test_switched_off_is_silent)
{
	uint8_t buf[BSDEV_PACKET_MAX];
	struct bs_endpoint to;
	bs_time at;
	unsigned sent, lookups;

	central_attach(&c);
	central_connect(&c, "user@example.test");
	ck_assert_uint_eq(c.connect_code, BS_ST_OK);
	ck_assert_int_eq(bsdev_set_switch(c.dev, false, c.now), BS_OK);
	ck_assert_int_eq(last_state, BSDEV_OFF);
	ck_assert_uint_eq(bsdev_connections(c.dev), 0);
	sent = c.sent;
	lookups = c.lookups;
	/* Whatever comes and however long it lasts: nothing leaves. */
	for (int i = 0; i < 100; i++) {
		central_alive(&c);
		central_run(&c, 60000);
		bsdev_network_changed(c.dev, c.now);
		central_resolve(&c, true);
		central_resolve(&c, false);
		ck_assert_uint_eq(bsdev_output(c.dev, buf, sizeof(buf), &to, c.now), 0);
	}
	ck_assert(!bsdev_next_timeout(c.dev, &at));
	ck_assert_uint_eq(c.sent, sent);
	ck_assert_uint_eq(c.lookups, lookups);
	ck_assert_int_eq(bsdev_set_switch(c.dev, true, c.now), BS_OK);
	ck_assert_uint_eq(c.lookups, lookups + 1);
	central_resolve(&c, true);
	central_pump(&c);
	ck_assert_int_eq(bsdev_get_state(c.dev), BSDEV_ATTACHED);
}
END_TEST

START_TEST(test_switch_off_drops_what_was_waiting)
{
	uint8_t buf[BSDEV_PACKET_MAX];
	struct bs_endpoint to;

	ck_assert_int_eq(central_start(&c), BS_OK);
	central_resolve(&c, true);
	ck_assert_int_eq(bsdev_set_switch(c.dev, false, c.now), BS_OK);
	ck_assert_uint_eq(bsdev_output(c.dev, buf, sizeof(buf), &to, c.now), 0);
}
END_TEST

START_TEST(test_switch_is_remembered)
{
	c.conf.storage = &c.kept;
	central_attach(&c);
	ck_assert_int_eq(bsdev_set_switch(c.dev, false, c.now), BS_OK);
	bsdev_fini(c.dev);
	ck_assert_int_eq(central_start(&c), BS_OK);
	ck_assert_int_eq(bsdev_get_state(c.dev), BSDEV_OFF);
	c.store_result = BS_ENOSPC;
	ck_assert_int_eq(bsdev_set_switch(c.dev, true, c.now), BS_ENOSPC);
	ck_assert_int_eq(bsdev_get_state(c.dev), BSDEV_ATTACHING);
}
END_TEST

START_TEST(test_start_off)
{
	c.conf.start_off = true;
	ck_assert_int_eq(central_start(&c), BS_OK);
	ck_assert_uint_eq(c.lookups, 0);
	ck_assert_int_eq(bsdev_get_state(c.dev), BSDEV_OFF);
	bsdev_fini(c.dev);
	/* A stored "on" wins over the configuration. */
	c.conf.storage = &c.kept;
	c.stored[0] = 1;
	c.stored_len = 1;
	ck_assert_int_eq(central_start(&c), BS_OK);
	ck_assert_uint_eq(c.lookups, 1);
}
END_TEST

START_TEST(test_no_random_numbers)
{
	ck_assert_int_eq(central_start(&c), BS_OK);
	c.random_broken = true;
	central_resolve(&c, true);
	central_run(&c, 300000);
	ck_assert_int_eq(bsdev_get_state(c.dev), BSDEV_ATTACHING);
	ck_assert_uint_eq(c.attaches, 0);
	c.random_broken = false;
	central_resolve(&c, true);
	central_run(&c, 300000);
	ck_assert_uint_ge(c.attaches, 1);
}
END_TEST

START_TEST(test_garbage_is_dropped)
{
	uint8_t buf[300];
	unsigned sent;

	central_attach(&c);
	sent = c.sent;
	for (unsigned i = 0; i < 5000; i++) {
		const size_t len = i % sizeof(buf);

		for (size_t k = 0; k < len; k++)
			buf[k] = (uint8_t)(c.random_state = c.random_state * 1103515245u + 12345u);
		ck_assert_int_lt(bsdev_input(c.dev, buf, len, &c.addr, c.now), 0);
	}
	central_pump(&c);
	ck_assert_uint_eq(c.sent, sent);
	ck_assert_int_eq(bsdev_get_state(c.dev), BSDEV_ATTACHED);
}
END_TEST

static struct bsdev_timer timer;
static unsigned fired;

static void on_timer(void *arg, struct bsdev *dev, bs_time now)
{
	(void)arg;
	(void)dev;
	(void)now;
	fired++;
}

START_TEST(test_timers_count_into_the_deadline)
{
	bs_time at;

	central_attach(&c);
	memset(&timer, 0, sizeof(timer));
	fired = 0;
	bsdev_timer_start(c.dev, &timer, 5, on_timer, NULL, c.now);
	ck_assert(bsdev_next_timeout(c.dev, &at));
	ck_assert_int_eq(BS_TIME_DIFF_MS(BS_TIME_DIFF(at, c.now)), 5);
	bsdev_timeout(c.dev, at);
	ck_assert_uint_eq(fired, 1);
	ck_assert(bsdev_next_timeout(c.dev, &at));
	ck_assert_int_gt(BS_TIME_DIFF_MS(BS_TIME_DIFF(at, c.now)), 5);
}
END_TEST

Suite *bs_suite_device(void)
{
	Suite *s = suite_create("device");
	TCase *tc = tcase_create("device");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_refuses_a_bad_configuration);
	tcase_add_test(tc, test_no_secret_needs_a_legacy_build);
	tcase_add_test(tc, test_storage_length);
	tcase_add_test(tc, test_fini_wipes_the_secret);
	tcase_add_test(tc, test_attaches);
	tcase_add_test(tc, test_stays_attached_while_asked);
	tcase_add_test(tc, test_starts_over_after_silence);
	tcase_add_test(tc, test_wrong_secret_is_named);
	tcase_add_test(tc, test_lookup_failure_backs_off);
	tcase_add_test(tc, test_controller_port);
	tcase_add_test(tc, test_switched_off_is_silent);
	tcase_add_test(tc, test_switch_off_drops_what_was_waiting);
	tcase_add_test(tc, test_switch_is_remembered);
	tcase_add_test(tc, test_start_off);
	tcase_add_test(tc, test_no_random_numbers);
	tcase_add_test(tc, test_garbage_is_dropped);
	tcase_add_test(tc, test_timers_count_into_the_deadline);
	suite_add_tcase(s, tc);
	return s;
}
