/* SPDX-License-Identifier: Apache-2.0 */
/* A server with devices: attach, keepalive, restart, rebind, second claim, refusals. */
#include "rig.h"

#include <stdio.h>

#include "server/worker.h"
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

START_TEST(test_attach_and_keepalive)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);

	rig_start(d);
	rig_until_attached(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_until_count(&rig, BS_C_alive_answered, 5);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_timeout), 0);
	rig_until_count(&rig, BS_C_ids_held, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ids_held), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_pending_entries), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_answered_controller), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_known_prefix), 1);
}
END_TEST

START_TEST(test_unknown_id_gets_no_answer)
{
	struct rig_device *d = rig_stranger(&rig, "nobody.base.test", 1, 0);

	rig_start(d);
	rig_until_count(&rig, BS_C_invite_unknown_id, 1);
	rig_turn(&rig, 50);
	ck_assert_uint_eq(rig_count(&rig, BS_C_udp_tx), 0);
}
END_TEST

START_TEST(test_disabled_device_gets_no_answer)
{
	struct rig_device *d = rig_device(&rig, "off.base.test", 1, 0);

	ck_assert_int_eq(box_state(&rig.box, "off.base.test", BS_RECORD_DISABLED).status, BS_OK);
	rig_start(d);
	rig_until_count(&rig, BS_C_invite_disabled, 1);
	rig_turn(&rig, 50);
	ck_assert_uint_eq(rig_count(&rig, BS_C_udp_tx), 0);
}
END_TEST

START_TEST(test_wrong_key)
{
	struct rig_device *d = rig_device(&rig, "key.base.test", 1, 0);
	struct rig_device *bad = rig_stranger(&rig, "key.base.test", 2, 0);

	(void)d;
	rig_start(bad);
	rig_until_count(&rig, BS_C_attach_failed_key, 1);
	ck_assert(!rig_attached(bad));
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ok), 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), 0);
}
END_TEST

/* The id is case sensitive on the wire; the registry is not. */
START_TEST(test_id_in_another_case)
{
	uint8_t invite[] = { 0,   0,   0,    0,   0,   0,   0,    0,   0x80, 2,   0,  0,   0,   0,
			     0,   53,  0x3A, 0,   0,   18,  0,    5,   0,    0,   0,  4,   0,   0,
			     0,   6,   0,    0,   0,   0,   0x31, 0,   0,    19,  2,  'C', 'A', 'M',
			     '1', '.', 'b',  'a', 's', 'e', '.',  't', 'e',  's', 't' };
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);

	rig_start(d);
	rig_until_attached(d);
	rig_send(d, invite, sizeof(invite), true);
	rig_turn(&rig, 50);
	/* Not well formed as an id, so it is a bad field and not an unknown device. */
	ck_assert_uint_eq(rig_count(&rig, BS_C_drop_field), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_answered_controller), 1);
}
END_TEST

/* An invite alone, which anybody can send, changes nothing. */
START_TEST(test_invite_alone_changes_nothing)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);
	struct rig_device *liar = rig_stranger(&rig, "cam1.base.test", 9, 0);
	uint64_t answered;

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_start(liar);
	rig_until_count(&rig, BS_C_attach_failed_key, 1);
	answered = rig_count(&rig, BS_C_alive_answered);
	rig_until_count(&rig, BS_C_alive_answered, answered + 3);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_replaced), 0);
	ck_assert(rig_attached(d));
}
END_TEST

/* A poll: a U_ALIVE answer with seq 0. */
static void send_poll(struct rig_device *d)
{
	uint8_t poll[24] = { 0, 0, 0, 0,  0,    0, 0, 0, 130, 2, 0, 1,
			     0, 0, 0, 24, 0x34, 0, 0, 8, 0,   0, 0, 1 };

	bs_put_u32(poll + 4, rig_nsi(d));
	rig_send(d, poll, sizeof(poll), false);
}

/* While a new key is rolled out, a device with the old one and one with the new one both attach. */
START_TEST(test_both_keys_of_a_rotation)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_ROTATE };
	struct rig_device *old = rig_device(&rig, "cam1.base.test", 1, 0);
	struct rig_device *new = rig_stranger(&rig, "cam1.base.test", 2, 0);

	snprintf(req.u.device.id, sizeof(req.u.device.id), "cam1.base.test");
	memset(req.u.device.secret, 2, sizeof(req.u.device.secret));
	req.u.device.has_secret = true;
	ck_assert_int_eq(box_do(&rig.box, &req).status, BS_OK);
	rig_start(old);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_start(new);
	/* The first challenge is for the old key; the device asks again after four seconds. */
	rig_until_count(&rig, BS_C_attach_ok, 2);
	ck_assert(rig_attached(new));
}
END_TEST

START_TEST(test_extensions_are_granted)
{
	struct rig_device *d = rig_device(&rig, "new.base.test", 1,
					  BS_EXT_IP6 | BS_EXT_ATTEMPT | BS_EXT_CLOSE | BS_EXT_GCM);

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_granted), 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ext_stripped), 0);
}
END_TEST

/* A conf that took effect shows in the pace. */
START_TEST(test_reload_changes_the_pace)
{
	struct rig_options o = { .workers = 2, .conf = "alive-interval = 50ms\n" };
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);
	const struct bs_conf *conf = rig_conf(&rig, &o);
	unsigned i;

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	for (i = 0; i < 5; i++) {
		ck_assert_int_eq(bs_server_reload(rig.server, conf), BS_OK);
		rig_turn(&rig, 20);
	}
	rig_until_count(&rig, BS_C_alive_answered, 10);
	ck_assert(rig_attached(d));
	bs_conf_unref(conf);
}
END_TEST

static void fleet(struct rig_options *o)
{
	struct rig_device *d[RIG_DEVICES];
	char id[32];
	unsigned used = 0;
	unsigned i;
	uint64_t n;

	rig_init(&rig, o);
	for (i = 0; i < RIG_DEVICES; i++) {
		snprintf(id, sizeof(id), "cam%u.base.test", i);
		d[i] = rig_device(&rig, id, (uint8_t)(i + 1), i % 2 ? BS_EXT_CLOSE : 0);
		rig_start(d[i]);
	}
	for (i = 0; i < RIG_DEVICES; i++)
		rig_until_attached(d[i]);
	rig_until_count(&rig, BS_C_attach_ok, RIG_DEVICES);
	rig_until_count(&rig, BS_C_ids_held, RIG_DEVICES);
	n = rig_count(&rig, BS_C_alive_answered);
	rig_until_count(&rig, BS_C_alive_answered, n + 5 * RIG_DEVICES);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), RIG_DEVICES);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_timeout), 0);
	for (i = 0; i < rig.info.n_workers; i++)
		used += bs_count_get(bs_server_worker_counters(rig.server, i),
				     BS_C_devices_attached) > 0;
	ck_assert_uint_ge(used, 2);
	/* Half of them start over, maybe on another worker. */
	for (i = 0; i < RIG_DEVICES; i += 2)
		rig_restart(d[i]);
	rig_until_count(&rig, BS_C_attach_replaced, RIG_DEVICES / 2);
	rig_until_count(&rig, BS_C_attach_ok, RIG_DEVICES + RIG_DEVICES / 2);
	rig_turn(&rig, 100);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), RIG_DEVICES);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ids_held), RIG_DEVICES);
}

START_TEST(test_four_workers_steered)
{
	struct rig_options o = { .workers = 4 };

	fleet(&o);
	if (rig.info.steering)
		ck_assert_uint_eq(rig_count(&rig, BS_C_udp_steered_away), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(test_four_workers_forwarding)
{
	struct rig_options o = { .workers = 4, .no_steering = true };
	unsigned i;

	fleet(&o);
	ck_assert(!rig.info.steering);
	/* The hash of a new port leads to another worker more often than not. */
	for (i = 0; i < RIG_DEVICES; i++) {
		rig_rebind(rig.device[i]);
		send_poll(rig.device[i]);
	}
	rig_until_count(&rig, BS_C_alive_moved, RIG_DEVICES);
	ck_assert_uint_gt(rig_count(&rig, BS_C_udp_steered_away), 0);
	/* What is on its way at this moment arrives as well. */
	rig_until_count(&rig, BS_C_udp_forward_in, rig_count(&rig, BS_C_udp_steered_away));
	ck_assert_uint_eq(rig_count(&rig, BS_C_udp_forward_full), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(test_single_port)
{
	struct rig_options o = { .workers = 2, .single_port = true };
	struct rig_device *d;

	rig_init(&rig, &o);
	ck_assert(rig.info.single_port);
	d = rig_device(&rig, "cam1.base.test", 1, 0);
	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_until_count(&rig, BS_C_alive_answered, 3);
	rig_fini(&rig);
}
END_TEST

START_TEST(test_ip6)
{
	struct rig_options o = { .workers = 2, .ip6 = true };
	struct rig_device *d;
	struct rig_device *stock;

	rig_init(&rig, &o);
	d = rig_device(&rig, "six.base.test", 1, BS_EXT_IP6);
	stock = rig_device(&rig, "stock.base.test", 2, 0);
	rig_start(d);
	rig_start(stock);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_until_count(&rig, BS_C_alive_answered, 3);
	rig_until_count(&rig, BS_C_invite_ip6_stock, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_ip6), 1);
	ck_assert(rig_attached(d));
	ck_assert(!rig_attached(stock));
	rig_fini(&rig);
}
END_TEST

START_TEST(test_slab_full_is_a_counted_refusal)
{
	struct rig_options o = { .workers = 1, .conf = "max-devices = 1\n" };
	struct rig_device *a;
	struct rig_device *b;

	rig_init(&rig, &o);
	a = rig_device(&rig, "one.base.test", 1, 0);
	b = rig_device(&rig, "two.base.test", 2, 0);
	rig_start(a);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_start(b);
	rig_until_count(&rig, BS_C_attach_slab_full, 1);
	ck_assert(rig_attached(a));
	rig_until_count(&rig, BS_C_alive_answered, rig_count(&rig, BS_C_alive_answered) + 2);
	rig_fini(&rig);
}
END_TEST

/* ---- devices without a key ---- */

static struct rig_device *legacy_device(bool marked)
{
	struct bs_store_request req = { .op = BS_STORE_DEVICE_LEGACY };
	struct rig_device *d = rig_device(&rig, "old.base.test", 1, 0);

	snprintf(req.u.device.id, sizeof(req.u.device.id), "old.base.test");
	req.u.device.flags = BS_DEVICE_LEGACY;
	if (marked)
		ck_assert_int_eq(box_do(&rig.box, &req).status, BS_OK);
	rig_legacy(d);
	return d;
}

/* A copy of a field of the rig that workers write. */
static unsigned look(const unsigned *field)
{
	unsigned v;

	pthread_mutex_lock(&rig.lock);
	v = *field;
	pthread_mutex_unlock(&rig.lock);
	return v;
}

/* A loop that slept would turn once in a tick. */
START_TEST(test_work_of_the_gate_keeps_the_loop_awake)
{
	enum {
		WORK = 1000
	};

	pthread_mutex_lock(&rig.lock);
	rig.work = WORK;
	pthread_mutex_unlock(&rig.lock);
	for (int i = 0; i < RIG_PATIENCE_MS && look(&rig.work) > 0; i += 10)
		rig_turn(&rig, 10);
	ck_assert_uint_eq(look(&rig.work), 0);
	ck_assert_uint_lt(look(&rig.work_ticks), WORK / 4);
}
END_TEST

/* Neither sleeping until something comes nor spinning: many turns in a tick. */
START_TEST(test_a_busy_gate_makes_the_loop_turn_by_the_clock)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);

	pthread_mutex_lock(&rig.lock);
	rig.busy = true;
	pthread_mutex_unlock(&rig.lock);
	for (int i = 0; i < RIG_PATIENCE_MS && look(&rig.most_turns) < 6; i += 10)
		rig_turn(&rig, 10);
	ck_assert_uint_ge(look(&rig.most_turns), 6);
	/* Devices are served meanwhile. */
	rig_start(d);
	rig_until_attached(d);
	rig_until_count(&rig, BS_C_alive_answered, 2);
}
END_TEST

START_TEST(test_legacy_needs_conf_and_mark)
{
	struct rig_options o = { .workers = 1 };
	struct rig_device *d;

	/* 0: neither, 1: conf alone, 2: mark alone */
	o.conf = _i == 1 ? "allow-legacy = yes\n" : NULL;
	rig_init(&rig, &o);
	d = legacy_device(_i == 2);
	rig_start(d);
	rig_until_count(&rig, BS_C_invite_mode, 1);
	rig_turn(&rig, 50);
	ck_assert(!rig_attached(d));
	ck_assert_uint_eq(rig_count(&rig, BS_C_invite_answered_attach), 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(test_legacy_attach_and_connect)
{
	struct rig_options o = { .workers = 2, .conf = "allow-legacy = yes\n" };
	struct bs_message m = { .kind = BS_MSG_CONNECT, .ref = 2 };
	struct bs_worker w = { .n_workers = 2 };
	struct rig_device *d;

	rig_init(&rig, &o);
	d = legacy_device(true);
	rig_start(d);
	rig_until_count(&rig, BS_C_attach_legacy, 1);
	rig_until_count(&rig, BS_C_alive_answered, 3);
	rig_until_count(&rig, BS_C_ids_held, 1);
	/* A client that did not ask for plain data does not get it. */
	rig_connect(&rig, 0, d->number, 1, 1);
	ck_assert_uint_eq(rig_result(&rig, 0).u.result.status, BS_ST_ENCRYPTION);
	m.number = d->number;
	m.u.connect.attempt = 2;
	m.u.connect.allow_plain = true;
	m.u.connect.client_id_len = 1;
	m.u.connect.client_id[0] = 'c';
	rig_order(&rig, 0, bs_worker_owner(&w, d->number), &m);
	m = rig_result(&rig, 1);
	ck_assert_uint_eq(m.u.result.status, BS_ST_OK);
	ck_assert_uint_eq(m.u.result.suite, BS_SUITE_NULL);
	/* It proves nothing, so its prefix is not known afterwards. */
	ck_assert_uint_eq(rig_count(&rig, BS_C_attach_known_prefix), 0);
	rig_fini(&rig);
}
END_TEST

static void add_one(TCase *t)
{
	tcase_add_test(t, test_attach_and_keepalive);
	tcase_add_test(t, test_unknown_id_gets_no_answer);
	tcase_add_test(t, test_disabled_device_gets_no_answer);
	tcase_add_test(t, test_wrong_key);
	tcase_add_test(t, test_id_in_another_case);
	tcase_add_test(t, test_invite_alone_changes_nothing);
	tcase_add_test(t, test_extensions_are_granted);
	tcase_add_test(t, test_both_keys_of_a_rotation);
}

Suite *bs_suite_worker(void)
{
	Suite *s = suite_create("worker");
	TCase *one = tcase_create("one");
	TCase *two = tcase_create("two");
	TCase *own = tcase_create("own");

	tcase_add_checked_fixture(one, setup, teardown);
	tcase_set_timeout(one, 30);
	add_one(one);
	tcase_add_test(one, test_work_of_the_gate_keeps_the_loop_awake);
	tcase_add_test(one, test_a_busy_gate_makes_the_loop_turn_by_the_clock);
	suite_add_tcase(s, one);
	tcase_add_checked_fixture(two, setup_two, teardown);
	tcase_set_timeout(two, 30);
	add_one(two);
	tcase_add_test(two, test_reload_changes_the_pace);
	suite_add_tcase(s, two);
	tcase_set_timeout(own, 30);
	tcase_add_test(own, test_four_workers_steered);
	tcase_add_test(own, test_four_workers_forwarding);
	tcase_add_test(own, test_single_port);
	tcase_add_test(own, test_ip6);
	tcase_add_test(own, test_slab_full_is_a_counted_refusal);
	tcase_add_loop_test(own, test_legacy_needs_conf_and_mark, 0, 3);
	tcase_add_test(own, test_legacy_attach_and_connect);
	suite_add_tcase(s, own);
	return s;
}
