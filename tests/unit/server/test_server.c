/* SPDX-License-Identifier: Apache-2.0 */
/* Main's half: lists by cursor, one device, events, timelines, stop and refusals. */
#include "rig.h"

#include <stdio.h>
#include <unistd.h>

#include "net/udp.h"
#include "util/endpoint.h"

static struct rig rig;

#define FLEET 14

static void setup(void)
{
	struct rig_options o = { .workers = 3 };
	char id[32];
	unsigned i;

	rig_init(&rig, &o);
	for (i = 0; i < FLEET; i++) {
		snprintf(id, sizeof(id), "cam%02u.base.test", i);
		rig_start(rig_device(&rig, id, (uint8_t)(i + 1), 0));
	}
	rig_until_count(&rig, BS_C_attach_ok, FLEET);
	rig_until_count(&rig, BS_C_ids_held, FLEET);
}

static void teardown(void)
{
	rig_fini(&rig);
}

struct answer {
	unsigned calls;
	int err;
	uint64_t cursor;
	size_t n;
	struct bs_device_row row[32];
	struct bs_event_row event[8];
	struct bs_attempt_row step[16];
};

static void on_rows(void *arg, int err, const struct bs_device_row *rows, size_t n, uint64_t cursor)
{
	struct answer *a = arg;

	a->calls++;
	a->err = err;
	a->cursor = cursor;
	a->n = n;
	ck_assert_uint_le(n, BS_LEN(a->row));
	if (n > 0)
		memcpy(a->row, rows, n * sizeof(*rows));
}

static void on_events(void *arg, int err, const struct bs_event_row *rows, size_t n)
{
	struct answer *a = arg;

	a->calls++;
	a->err = err;
	a->n = n;
	ck_assert_uint_le(n, BS_LEN(a->event));
	if (n > 0)
		memcpy(a->event, rows, n * sizeof(*rows));
}

static void on_steps(void *arg, int err, const struct bs_attempt_row *rows, size_t n)
{
	struct answer *a = arg;

	a->calls++;
	a->err = err;
	a->n = n;
	ck_assert_uint_le(n, BS_LEN(a->step));
	if (n > 0)
		memcpy(a->step, rows, n * sizeof(*rows));
}

static bool is_answered(struct rig *r, void *arg)
{
	(void)r;
	return ((struct answer *)arg)->calls > 0;
}

/* Every page size gives every device exactly once. */
START_TEST(test_list_by_cursor)
{
	bool seen[RIG_DEVICES + 1] = { false };
	struct answer a;
	uint64_t cursor = 0;
	unsigned n = 0;
	size_t i;

	do {
		memset(&a, 0, sizeof(a));
		ck_assert_int_eq(bs_server_list(rig.server, cursor, (uint32_t)_i, on_rows, &a),
				 BS_OK);
		rig_until(&rig, is_answered, &a);
		ck_assert_int_eq(a.err, BS_OK);
		ck_assert_uint_le(a.n, (unsigned)_i);
		for (i = 0; i < a.n; i++) {
			ck_assert_uint_le(a.row[i].number, RIG_DEVICES);
			ck_assert(!seen[a.row[i].number]);
			seen[a.row[i].number] = true;
			n++;
		}
		cursor = a.cursor;
	} while (cursor != 0);
	ck_assert_uint_eq(n, FLEET);
}
END_TEST

START_TEST(test_list_refuses_nonsense)
{
	struct answer a = { 0 };

	ck_assert_int_eq(bs_server_list(rig.server, 0, 0, on_rows, &a), BS_EINVAL);
	ck_assert_int_eq(bs_server_list(rig.server, 0, 501, on_rows, &a), BS_EINVAL);
	ck_assert_int_eq(bs_server_list(rig.server, UINT64_C(99) << 32, 5, on_rows, &a), BS_EINVAL);
	ck_assert_int_eq(bs_server_events(rig.server, 0, on_events, &a), BS_EINVAL);
	ck_assert_uint_eq(a.calls, 0);
}
END_TEST

START_TEST(test_one_device)
{
	struct answer a = { 0 };
	struct rig_device *d = rig.device[5];

	ck_assert_int_eq(bs_server_device(rig.server, d->number, on_rows, &a), BS_OK);
	rig_until(&rig, is_answered, &a);
	ck_assert_int_eq(a.err, BS_OK);
	ck_assert_uint_eq(a.n, 1);
	ck_assert_uint_eq(a.row[0].number, d->number);
	ck_assert_uint_eq(a.row[0].nsi, rig_nsi(d));
	ck_assert_uint_eq(a.row[0].state, BS_DEVICE_ONLINE);
	ck_assert_uint_eq(a.row[0].connection_limit, 3);
	ck_assert_str_eq(a.row[0].version, "1.0");
	ck_assert_str_eq(a.row[0].label, "4.6.0-alpha.0");
	ck_assert_uint_gt(a.row[0].attached_ms, 0);
	ck_assert(bs_endpoint_is_set(&a.row[0].peer));
	ck_assert_uint_eq(a.row[0].local.port, rig.info.attach_port);
}
END_TEST

START_TEST(test_device_that_is_not_there)
{
	struct answer a = { 0 };

	ck_assert_int_eq(bs_server_device(rig.server, 4711, on_rows, &a), BS_OK);
	rig_until(&rig, is_answered, &a);
	ck_assert_int_eq(a.err, BS_ENOENT);
	ck_assert_uint_eq(a.n, 0);
}
END_TEST

START_TEST(test_events)
{
	struct answer a = { 0 };

	rig.device[0]->event = "1:L:door open\nEOM\n";
	rig_until_count(&rig, BS_C_event_records, 1);
	ck_assert_int_eq(bs_server_events(rig.server, 8, on_events, &a), BS_OK);
	rig_until(&rig, is_answered, &a);
	ck_assert_uint_eq(a.n, 1);
	ck_assert_uint_eq(a.event[0].number, rig.device[0]->number);
	ck_assert_uint_eq(a.event[0].len, 14);
	ck_assert_mem_eq(a.event[0].text, "1:L:door open\n", 14);
}
END_TEST

START_TEST(test_timeline_of_an_attempt)
{
	struct answer a = { 0 };
	unsigned sent = 0;
	unsigned answered = 0;
	size_t i;

	rig_connect(&rig, 1, rig.device[3]->number, 1, 0xABCDEF);
	(void)rig_result(&rig, 0);
	ck_assert_int_eq(bs_server_attempt(rig.server, 0xABCDEF, on_steps, &a), BS_OK);
	rig_until(&rig, is_answered, &a);
	ck_assert_uint_ge(a.n, 3);
	ck_assert_uint_eq(a.step[0].step, BS_STEP_ASKED);
	for (i = 1; i < a.n; i++) {
		ck_assert_uint_ge(a.step[i].unix_ms, a.step[i - 1].unix_ms);
		sent += a.step[i].step == BS_STEP_SENT;
		answered += a.step[i].step == BS_STEP_ANSWERED;
		if (a.step[i].step == BS_STEP_DEVICE_PUBLIC)
			ck_assert_uint_ne(a.step[i].ep.port, 0);
	}
	ck_assert_uint_eq(sent, 1);
	ck_assert_uint_eq(answered, 1);
	memset(&a, 0, sizeof(a));
	ck_assert_int_eq(bs_server_attempt(rig.server, 1, on_steps, &a), BS_OK);
	rig_until(&rig, is_answered, &a);
	ck_assert_uint_eq(a.n, 0);
}
END_TEST

START_TEST(test_info)
{
	struct bs_server_info info;

	bs_server_info(rig.server, &info);
	ck_assert_uint_eq(info.n_workers, 3);
	ck_assert_uint_ne(info.controller_port, 0);
	ck_assert_uint_ne(info.attach_port, info.controller_port);
	ck_assert(!info.single_port);
	ck_assert_uint_eq(info.client_port, 5571);
	ck_assert_uint_gt(info.slab_bytes, 0);
	/* The budget of the record with its share of the tables. */
	ck_assert_uint_le(info.device_bytes, 240);
	ck_assert_ptr_null(bs_server_worker_counters(rig.server, 3));
}
END_TEST

START_TEST(test_last_seen_reaches_the_registry)
{
	struct bs_device d;
	unsigned i;

	memset(&d, 0, sizeof(d));
	/* The conf of this rig says every second. */
	for (i = 0; i < 400 && d.last_seen == 0; i++) {
		rig_step(&rig, 10);
		ck_assert_int_eq(bs_registry_device_by_number(rig.box.r, rig.device[0]->number, &d),
				 BS_OK);
	}
	ck_assert_uint_gt(d.last_seen, 1600000000);
}
END_TEST

static void setup_gone(void)
{
	struct rig_options o = { .workers = 1 };

	rig_init(&rig, &o);
}

static void setup_seen(void)
{
	struct rig_options o = { .workers = 1, .conf = "last-seen-interval = 1s\n" };

	rig_init(&rig, &o);
	rig_start(rig_device(&rig, "cam1.base.test", 1, 0));
	rig_until_count(&rig, BS_C_attach_ok, 1);
}

/* A device that is gone when the hour is over was seen all the same. */
START_TEST(test_last_seen_of_a_device_that_ended)
{
	struct rig_device *dev = rig_device(&rig, "short.base.test", 1, 0);
	struct bs_device d;
	unsigned i;

	memset(&d, 0, sizeof(d));
	rig_start(dev);
	rig_until_count(&rig, BS_C_attach_ok, 1);
	dev->mute = true;
	rig_until_count(&rig, BS_C_alive_timeout, 1);
	for (i = 0; i < 400 && d.last_seen == 0; i++) {
		rig_step(&rig, 10);
		ck_assert_int_eq(bs_registry_device_by_number(rig.box.r, dev->number, &d), BS_OK);
	}
	ck_assert_uint_gt(d.last_seen, 1600000000);
}
END_TEST

START_TEST(test_port_in_use)
{
	struct rig_options o = { .workers = 1, .single_port = true };
	struct bs_server_options so = { 0 };
	struct bs_server *s = NULL;
	const struct bs_conf *conf;
	char err[256] = "";

	/* rig_conf takes the port of the running server for "both roles". */
	conf = rig_conf(&rig, &o);
	so.conf = conf;
	so.registry = rig.box.reg;
	ck_assert_int_eq(bs_server_bind(&so, &s, err, sizeof(err)), BS_EBUSY);
	ck_assert_ptr_null(s);
	ck_assert_ptr_nonnull(strstr(err, "cannot listen on UDP 127.0.0.1:"));
	bs_conf_unref(conf);
}
END_TEST

START_TEST(test_stop_answers_what_is_open)
{
	struct answer a = { 0 };

	ck_assert_int_eq(bs_server_device(rig.server, 1, on_rows, &a), BS_OK);
	bs_server_stop(rig.server);
	ck_assert_uint_eq(a.calls, 1);
	bs_server_stop(rig.server);
	ck_assert_int_eq(bs_server_device(rig.server, 1, on_rows, &a), BS_EFULL);
}
END_TEST

START_TEST(test_too_many_questions)
{
	struct answer a = { 0 };
	unsigned n = 0;

	while (bs_server_device(rig.server, 1, on_rows, &a) == BS_OK)
		n++;
	ck_assert_uint_eq(n, 256);
	while (a.calls < n)
		rig_step(&rig, 5);
	ck_assert_int_eq(bs_server_device(rig.server, 1, on_rows, &a), BS_OK);
	while (a.calls < n + 1)
		rig_step(&rig, 5);
}
END_TEST

Suite *bs_suite_server(void)
{
	Suite *s = suite_create("server");
	TCase *t = tcase_create("fleet");
	TCase *gone = tcase_create("gone");
	TCase *seen = tcase_create("seen");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, test_list_by_cursor, 1, 17);
	tcase_add_test(t, test_list_refuses_nonsense);
	tcase_add_test(t, test_one_device);
	tcase_add_test(t, test_device_that_is_not_there);
	tcase_add_test(t, test_events);
	tcase_add_test(t, test_timeline_of_an_attempt);
	tcase_add_test(t, test_info);
	tcase_add_test(t, test_port_in_use);
	tcase_add_test(t, test_stop_answers_what_is_open);
	tcase_add_test(t, test_too_many_questions);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(seen, setup_seen, teardown);
	tcase_set_timeout(seen, 30);
	tcase_add_test(seen, test_last_seen_reaches_the_registry);
	suite_add_tcase(s, seen);
	tcase_add_checked_fixture(gone, setup_gone, teardown);
	tcase_set_timeout(gone, 30);
	tcase_add_test(gone, test_last_seen_of_a_device_that_ended);
	suite_add_tcase(s, gone);
	return s;
}
