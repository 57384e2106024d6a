/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds an id: restarts, second claims, kicks, revocation. */
#include "rig.h"

static struct rig rig;

static void setup(void)
{
	struct rig_options o = { .workers = 1 };

	rig_init(&rig, &o);
}

static void setup_two(void)
{
	struct rig_options o = { .workers = 2 };

	rig_init(&rig, &o);
}

static void teardown(void)
{
	rig_fini(&rig);
}

struct done {
	bool called;
	int err;
};

static void on_done(void *arg, int err)
{
	struct done *d = arg;

	d->called = true;
	d->err = err;
}

static bool is_done(struct rig *r, void *arg)
{
	(void)r;
	return ((struct done *)arg)->called;
}

START_TEST(test_device_restarts)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);

	rig_start(d);
	rig_until_attached(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_restart(d);
	rig_until_count(&rig, BS_C_attach_ok, 2);
	rig_until_count(&rig, BS_C_attach_replaced, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ids_held), 1);
}
END_TEST

START_TEST(test_second_claim_newest_wins)
{
	struct rig_device *a = rig_device(&rig, "twin.base.test", 1, 0);
	struct rig_device *b = rig_stranger(&rig, "twin.base.test", 1, 0);

	rig_start(a);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_start(b);
	rig_until_count(&rig, BS_C_attach_replaced, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ids_held), 1);
	ck_assert(rig_attached(b));
	rig_turn(&rig, 50);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), 1);
}
END_TEST

START_TEST(test_flapping_is_an_alarm)
{
	struct rig_device *a = rig_device(&rig, "twin.base.test", 1, 0);
	unsigned i;

	rig_start(a);
	for (i = 1; i <= 6; i++) {
		rig_until_count(&rig, BS_C_attach_ok, i);
		rig_restart(a);
	}
	rig_until_count(&rig, BS_C_attach_flapping, 1);
}
END_TEST

START_TEST(test_revoked_device_ends_within_a_second)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);
	bs_time start;
	uint64_t sent;

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	start = rig_now();
	ck_assert_int_eq(box_state(&rig.box, "cam1.base.test", BS_RECORD_DISABLED).status, BS_OK);
	while (rig_count(&rig, BS_C_devices_attached) > 0)
		rig_step(&rig, 5);
	ck_assert(BS_TIME_DIFF(rig_now(), start) < (bs_time_diff)BS_TIME_MS(1000));
	sent = rig_count(&rig, BS_C_alive_sent);
	rig_turn(&rig, 300);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_sent), sent);
}
END_TEST

START_TEST(test_kick_closes_a_device_with_the_extension)
{
	struct rig_device *d = rig_device(&rig, "new.base.test", 1, BS_EXT_CLOSE);
	struct done done = { false, 0 };

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	ck_assert_int_eq(bs_server_kick(rig.server, d->number, on_done, &done), BS_OK);
	rig_until(&rig, is_done, &done);
	ck_assert_int_eq(done.err, BS_OK);
	rig_until_count(&rig, BS_C_close_answered, 1);
	ck_assert_uint_ge(d->detached, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_close_silent), 0);
}
END_TEST

START_TEST(test_kick_of_nobody)
{
	struct rig_device *d = rig_device(&rig, "off.base.test", 1, 0);
	struct done done = { false, 0 };

	ck_assert_int_eq(bs_server_kick(rig.server, d->number, on_done, &done), BS_OK);
	rig_until(&rig, is_done, &done);
	ck_assert_int_eq(done.err, BS_ENOENT);
}
END_TEST

static void add(Suite *s, const char *name, void (*set_up)(void))
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, set_up, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_device_restarts);
	tcase_add_test(t, test_second_claim_newest_wins);
	tcase_add_test(t, test_flapping_is_an_alarm);
	tcase_add_test(t, test_revoked_device_ends_within_a_second);
	tcase_add_test(t, test_kick_closes_a_device_with_the_extension);
	tcase_add_test(t, test_kick_of_nobody);
	suite_add_tcase(s, t);
}

Suite *bs_suite_role_owner(void)
{
	Suite *s = suite_create("role_owner");

	add(s, "one", setup);
	add(s, "two", setup_two);
	return s;
}
