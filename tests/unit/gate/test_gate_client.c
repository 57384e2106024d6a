/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"
#include "test.h"

static struct fake *f;
static struct dude d;

static void setup(void)
{
	f = fake_new("connections-per-client = 3\nprobe-wait = 0ms\n");
	memset(&d, 0, sizeof(d));
	fake_allow(f, "ann@example.org", "*");
	dude_open(&d, f);
}

static void teardown(void)
{
	dude_close(&d);
	fake_free(f);
}

static uint64_t open_conn(const char *attempt, uint32_t nsi)
{
	fake_forget(f);
	dude_connect(&d, "cam1.test", attempt);
	struct bs_message m = *fake_sent(f, BS_MSG_CONNECT);

	fake_forget(f);
	fake_accept(f, &m, nsi);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_OK);
	return m.ref;
}

/** What another gate says, in the words of this one. */
static void word_of(uint8_t worker, uint32_t conns)
{
	struct bs_message m = *fake_sent(f, BS_MSG_GATE_FIRST);

	m.gate = worker;
	memcpy(m.u.gate + 8, &conns, sizeof(conns));
	f->ops->message(f->g, &m);
}

START_TEST(the_others_are_told_of_every_connection)
{
	uint64_t hash;
	uint32_t conns;

	open_conn("ATTEMPT1", 0x02000001);
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_GATE_FIRST), 2);
	const struct bs_message *m = fake_sent(f, BS_MSG_GATE_FIRST);

	memcpy(&hash, m->u.gate, sizeof(hash));
	memcpy(&conns, m->u.gate + 8, sizeof(conns));
	ck_assert(hash == f->g->session[0].client_hash);
	ck_assert_uint_eq(conns, 1);
	ck_assert_uint_eq(m->gate, 1);
	for (size_t i = 0; i < f->n_sent; i++)
		ck_assert(f->sent[i].kind != BS_MSG_GATE_FIRST || f->to[i] != 1);
	fake_forget(f);
	dude_disconnect(&d, 0x02000001);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_DISCONNECT), BS_ST_OK);
	m = fake_sent(f, BS_MSG_GATE_FIRST);
	memcpy(&conns, m->u.gate + 8, sizeof(conns));
	ck_assert_uint_eq(conns, 0);
}
END_TEST

START_TEST(connections_on_other_workers_count)
{
	open_conn("ATTEMPT1", 0x02000001);
	word_of(0, 1);
	word_of(2, 1);
	ck_assert_uint_eq(bs__client_conns(&f->g->session[0]), 3);
	dude_connect(&d, "cam1.test", "ATTEMPT2");
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_BUSY);
	/* The same word twice is the same count. */
	word_of(2, 1);
	ck_assert_uint_eq(bs__client_conns(&f->g->session[0]), 3);
	word_of(2, 0);
	open_conn("ATTEMPT3", 0x02000003);
}
END_TEST

START_TEST(a_record_goes_when_nobody_needs_it)
{
	open_conn("ATTEMPT1", 0x02000001);
	struct bs_message m = *fake_sent(f, BS_MSG_GATE_FIRST);

	ck_assert_uint_eq(f->g->clients.used, 1);
	/* Of a client that has no session here. */
	m.gate = 0;
	m.u.gate[0] ^= 1;
	f->ops->message(f->g, &m);
	ck_assert_uint_eq(f->g->clients.used, 2);
	memset(m.u.gate + 8, 0, 4);
	f->ops->message(f->g, &m);
	ck_assert_uint_eq(f->g->clients.used, 1);
	/* A zero about nobody makes no record. */
	f->ops->message(f->g, &m);
	ck_assert_uint_eq(f->g->clients.used, 1);
	/* And a worker that does not exist changes nothing. */
	m.gate = 200;
	m.u.gate[8] = 5;
	f->ops->message(f->g, &m);
	ck_assert_uint_eq(fake_count(f, BS_C_message_unknown), 0);
}
END_TEST

Suite *bs_suite_gate_client(void)
{
	Suite *s = suite_create("gate_client");
	TCase *tc = tcase_create("client");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, the_others_are_told_of_every_connection);
	tcase_add_test(tc, connections_on_other_workers_count);
	tcase_add_test(tc, a_record_goes_when_nobody_needs_it);
	suite_add_tcase(s, tc);
	return s;
}
