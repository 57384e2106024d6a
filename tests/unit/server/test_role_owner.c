/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds an id: restarts, second claims, kicks, revocation. */
#include "rig.h"

#include <stdio.h>

#include "server/worker.h"

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

static bool attached_are(struct rig *r, void *arg)
{
	return rig_count(r, BS_C_devices_attached) == *(uint64_t *)arg;
}

static void until_attached_are(uint64_t n)
{
	rig_until(&rig, attached_are, &n);
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
	until_attached_are(1);
	rig_until_count(&rig, BS_C_ids_held, 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_ids_held), 1);
	/* One claim for each attach, and none was lost. */
	ck_assert_uint_eq(rig_count(&rig, BS_C_claims), 2);
	ck_assert_uint_eq(rig_count(&rig, BS_C_claims_retried), 0);
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
	rig_until_count(&rig, BS_C_ids_held, 1);
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

static unsigned owner_of(uint32_t number)
{
	struct bs_worker w = { .n_workers = rig.info.n_workers };

	return bs_worker_owner(&w, number);
}

static unsigned holder_of(const struct rig_device *d)
{
	struct bs_worker w = { .n_workers = rig.info.n_workers };

	return bs_worker_of_nsi(&w, rig_nsi(d));
}

/* One change, one event: nobody is told twice that the device came. */
START_TEST(test_attach_is_told_once)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);
	struct bs_message m = { .kind = BS_MSG_WATCH, .number = d->number };

	m.u.watch.op = BS_WATCH_ON;
	m.u.watch.n = 1;
	m.u.watch.number[0] = d->number;
	rig_order(&rig, 0, owner_of(d->number), &m);
	ck_assert_uint_eq(rig_result(&rig, 0).u.presence.p[0].state, 0);
	rig_start(d);
	ck_assert_uint_eq(rig_result(&rig, 1).u.presence.p[0].state, 1);
	rig_until_count(&rig, BS_C_alive_answered, 3);
	ck_assert_uint_eq(rig_results(&rig), 2);
	ck_assert_uint_eq(rig_count(&rig, BS_C_claims), 1);
}
END_TEST

/* Session numbers are used again: a message about a device that had this one before must not hit
 * the device that has it now. */
START_TEST(test_number_of_another_device)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);
	struct bs_message m = { .kind = BS_MSG_DROP };
	struct bs_message c = { .kind = BS_MSG_CONNECT, .flags = 1, .ref = 3 };

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_until_attached(d);
	m.number = d->number + 1;
	m.u.drop.nsi = rig_nsi(d);
	m.u.drop.reason = BS_DROP_KICKED;
	rig_order(&rig, 0, holder_of(d), &m);
	c.number = d->number + 1;
	c.u.connect.nsi_attach = rig_nsi(d);
	rig_order(&rig, 0, holder_of(d), &c);
	m = rig_result(&rig, 0);
	ck_assert_int_eq(m.kind, BS_MSG_CONNECT_RESULT);
	ck_assert_uint_eq(m.u.result.status, BS_ST_REATTACHING);
	ck_assert_uint_eq(d->asked, 0);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), 1);
}
END_TEST

/* The owner lost the word that an attachment ended: the next one who asks about it mends that. */
START_TEST(test_lost_release)
{
	struct rig_device *d = rig_device(&rig, "cam1.base.test", 1, 0);
	struct bs_message m = { .kind = BS_MSG_CLAIM, .number = d->number + 7 };
	struct done done = { false, 0 };

	rig_start(d);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	rig_until_attached(d);
	/* A claim for an attachment that is not there. */
	m.u.claim.nsi = rig_nsi(d) ^ 1;
	m.u.claim.since_s = UINT32_MAX;
	rig_order(&rig, 0, owner_of(m.number), &m);
	rig_until_count(&rig, BS_C_ids_held, 2);
	ck_assert_int_eq(bs_server_kick(rig.server, m.number, on_done, &done), BS_OK);
	rig_until(&rig, is_done, &done);
	while (rig_count(&rig, BS_C_ids_held) > 1)
		rig_step(&rig, 5);
	ck_assert_uint_eq(rig_count(&rig, BS_C_devices_attached), 1);
}
END_TEST

/* Too many changes to name each: every attached device is looked up again. */
START_TEST(test_change_of_many)
{
	struct bs_store_change many = { .kind = BS_CHANGE_MANY };
	struct rig_device *gone = rig_device(&rig, "gone.base.test", 1, 0);
	struct rig_device *off = rig_device(&rig, "off.base.test", 2, BS_EXT_CLOSE);
	struct rig_device *stays = rig_device(&rig, "stays.base.test", 3, 0);

	rig_start(gone);
	rig_start(off);
	rig_start(stays);
	rig_until_count(&rig, BS_C_attach_ok, 3);
	rig_until_attached(stays);
	ck_assert_int_eq(box_device(&rig.box, BS_STORE_DEVICE_DELETE, "gone.base.test").status,
			 BS_OK);
	ck_assert_int_eq(box_state(&rig.box, "off.base.test", BS_RECORD_DISABLED).status, BS_OK);
	while (rig.box.n_changes < 2)
		(void)bs_store_inbox_run(rig.box.feed);
	rig.box.n_changes = 0;
	bs_server_change(rig.server, &many);
	until_attached_are(1);
	ck_assert(rig_attached(stays));
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_timeout), 0);
	rig_until_count(&rig, BS_C_close_answered, 1);
}
END_TEST

/* A revocation whose message to the holder finds the mailbox full still takes effect. */
START_TEST(test_revocation_with_a_full_mailbox)
{
	struct bs_message m = { .kind = BS_MSG_REVOKE };
	struct rig_device *d = NULL;
	char id[32];
	unsigned i;

	/* One whose owner is not its holder. */
	for (i = 0; i < RIG_DEVICES && (!d || owner_of(d->number) == holder_of(d)); i++) {
		snprintf(id, sizeof(id), "cam%u.base.test", i);
		d = rig_device(&rig, id, 1, 0);
		rig_start(d);
		rig_until_attached(d);
	}
	ck_assert_uint_ne(owner_of(d->number), holder_of(d));
	rig_until_count(&rig, BS_C_ids_held, i);
	ck_assert_int_eq(box_state(&rig.box, d->id, BS_RECORD_DISABLED).status, BS_OK);
	while (rig.box.n_changes < 1)
		(void)bs_store_inbox_run(rig.box.feed);
	rig.box.n_changes = 0;
	m.number = d->number;
	m.u.revoke.kind = BS_MSG_REVOKE_DEVICE;
	rig.flood = holder_of(d) + 1;
	rig_order(&rig, owner_of(d->number), owner_of(d->number), &m);
	rig_until_count(&rig, BS_C_message_full, 2);
	until_attached_are(i - 1);
	ck_assert_uint_eq(rig_count(&rig, BS_C_alive_timeout), 0);
}
END_TEST

/* The same for a connect: refused at once, and counted. */
START_TEST(test_connect_with_a_full_mailbox)
{
	struct rig_device *d = NULL;
	struct bs_message m;
	char id[32];
	unsigned i;

	for (i = 0; i < RIG_DEVICES && (!d || owner_of(d->number) == holder_of(d)); i++) {
		snprintf(id, sizeof(id), "cam%u.base.test", i);
		d = rig_device(&rig, id, 1, 0);
		rig_start(d);
		rig_until_attached(d);
	}
	rig_until_count(&rig, BS_C_ids_held, i);
	rig.flood = holder_of(d) + 1;
	rig_connect(&rig, owner_of(d->number), d->number, 5, 5);
	m = rig_result(&rig, 0);
	ck_assert_uint_eq(m.u.result.status, BS_ST_RATE);
	ck_assert_uint_eq(m.u.result.reason, BS_CR_TABLE);
	ck_assert_uint_eq(rig_count(&rig, BS_C_connect_full), 1);
	ck_assert_uint_ge(rig_count(&rig, BS_C_message_full), 2);
	ck_assert_uint_eq(d->asked, 0);
}
END_TEST

static TCase *add(Suite *s, const char *name, void (*set_up)(void))
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
	tcase_add_test(t, test_attach_is_told_once);
	tcase_add_test(t, test_number_of_another_device);
	tcase_add_test(t, test_lost_release);
	tcase_add_test(t, test_change_of_many);
	suite_add_tcase(s, t);
	return t;
}

Suite *bs_suite_role_owner(void)
{
	Suite *s = suite_create("role_owner");
	TCase *two;

	(void)add(s, "one", setup);
	two = add(s, "two", setup_two);
	tcase_add_test(two, test_revocation_with_a_full_mailbox);
	tcase_add_test(two, test_connect_with_a_full_mailbox);
	return s;
}
