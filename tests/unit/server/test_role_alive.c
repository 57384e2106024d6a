/* SPDX-License-Identifier: Apache-2.0 */
/* Keepalive: silence, return, polls, address changes, events. */
#include "rig.h"

#include "util/cursor.h"

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

/* A poll: a U_ALIVE answer with seq 0. */
static void send_poll(struct rig_device *d)
{
	uint8_t poll[24] = { 0, 0, 0, 0,  0,    0, 0, 0, 130, 2, 0, 1,
			     0, 0, 0, 24, 0x34, 0, 0, 8, 0,   0, 0, 1 };

	bs_put_u32(poll + 4, rig_nsi(d));
	rig_send(d, poll, sizeof(poll), false);
}

static bool nobody_held(struct rig *r, void *arg)
{
	(void)arg;
	return rig_count(r, BS_C_ids_held) == 0;
}

START_TEST(test_silent_device_ends)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	d->mute = true;
	rig_until_count(&rig, BS_C_alive_unreachable, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), 1);
	rig_until_count(&rig, BS_C_alive_timeout, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_unreachable), 0);
	/* the owner of the id may be another worker, and hear of it by message */
	rig_until(&rig, nobody_held, NULL);
	ck_assert_uint_ge(rig_count(&rig, BS_C_alive_repeated), 3);
}
END_TEST

START_TEST(test_unreachable_comes_back)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	d->mute = true;
	rig_until_count(&rig, BS_C_alive_unreachable, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_unreachable), 1);
	d->mute = false;
	rig_until_count(&rig, BS_C_alive_answered, rig_count(&rig, BS_C_alive_answered) + 2);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_unreachable), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_timeout), 0);
}
END_TEST

START_TEST(test_rebind_moves_the_record)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);
	uint64_t n;

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_rebind(d);
	send_poll(d);
	rig_until_count(&rig, BS_C_alive_moved, 1);
	n = rig_count(&rig, BS_C_alive_answered);
	rig_until_count(&rig, BS_C_alive_answered, n + 3);
	ck_assert(rig_attached(d));
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 1);
}
END_TEST

/* While the old address answers, a poll from elsewhere is a forgery. */
START_TEST(test_forged_poll_moves_nothing)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);
	struct rig_device *liar = rig_stranger(&rig, "liar.base.test", 1, 0);
	uint8_t poll[24] = { 0, 0, 0, 0,  0,    0, 0, 0, 130, 2, 0, 1,
			     0, 0, 0, 24, 0x34, 0, 0, 8, 0,   0, 0, 1 };
	uint8_t buf[64];

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_rebind(liar); /* opens its socket */
	liar->controller.port = rig.info.attach_port;
	bs_put_u32(poll + 4, rig_nsi(d));
	rig_send(liar, poll, sizeof(poll), true);
	rig_until_count(&rig, BS_C_alive_move_probe, 1);
	rig_until_count(&rig, BS_C_alive_move_refused, 1);
	ck_assert_int_eq(rig_receive(liar, buf, sizeof(buf), 1000), 25);
	/* Even when it answers the request that it was sent. */
	poll[11] = 1;
	memcpy(poll + 12, buf + 12, 2);
	rig_send(liar, poll, sizeof(poll), true);
	rig_turn(&rig, 200);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_moved), 0);
	ck_assert_uint_ge(rig_count(&rig, BS_C_drop_source), 1);
	ck_assert(rig_attached(d));
}
END_TEST

START_TEST(test_polls_are_answered_once_a_second)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);
	unsigned i;

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	for (i = 0; i < 5; i++)
		send_poll(d);
	rig_until_count(&rig, BS_C_alive_poll, 5);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_poll_limited), 4);
}
END_TEST

START_TEST(test_events_reach_the_ring)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);

	d->event = "1:L:hello\nEOM\n1:L:again\nEOM\n";
	rig_start(d);
	rig_until_count(&rig, BS_C_event_records, 2);
}
END_TEST

static void add(Suite *s, const char *name, void (*set_up)(void))
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, set_up, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_silent_device_ends);
	tcase_add_test(t, test_unreachable_comes_back);
	tcase_add_test(t, test_rebind_moves_the_record);
	tcase_add_test(t, test_forged_poll_moves_nothing);
	tcase_add_test(t, test_polls_are_answered_once_a_second);
	tcase_add_test(t, test_events_reach_the_ring);
	suite_add_tcase(s, t);
}

Suite *bs_suite_role_alive(void)
{
	Suite *s = suite_create("role_alive");

	add(s, "one", setup);
	add(s, "two", setup_two);
	return s;
}
