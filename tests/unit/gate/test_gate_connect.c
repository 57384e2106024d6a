/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"
#include "test.h"
#include "util/endpoint.h"

static struct fake *f;
static struct dude d;

static void setup(void)
{
	f = fake_new("connections-per-client = 2\n");
	memset(&d, 0, sizeof(d));
	fake_allow(f, "ann@example.org", "cam1.*");
	dude_open(&d, f);
}

static void teardown(void)
{
	dude_close(&d);
	fake_free(f);
}

/** Both probes, so that CONNECT need not wait. */
static void probe(void)
{
	dude_probe(&d, 0, 1, BS_PROBE_ASK_SAME, 0xCB007105, 40000);
	dude_probe(&d, 1, 2, BS_PROBE_ASK_SAME, 0xCB007105, 40000);
}

/** CONNECT to cam1 and the question that came of it. */
static struct bs_message *ask(const char *attempt)
{
	fake_forget(f);
	dude_connect(&d, "cam1.test", attempt);
	return fake_sent(f, BS_MSG_CONNECT);
}

START_TEST(the_owner_is_asked_with_what_was_proved_and_seen)
{
	probe();
	struct bs_message *m = ask("ATTEMPT1");

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(f->to[f->n_sent - 1], fake_number(f, "cam1.test") % 3);
	ck_assert_uint_eq(m->gate, 1);
	ck_assert_uint_eq(m->number, fake_number(f, "cam1.test"));
	const struct bs_msg_connect *q = &m->u.connect;

	ck_assert_uint_eq(q->attempt, 0x415454454D505431);
	ck_assert_uint_eq(q->client_id_len, 15);
	ck_assert_mem_eq(q->client_id, "ann@example.org", 15);
	ck_assert_uint_eq(bs_endpoint_ip4(&q->priv), 0xC0A80009);
	ck_assert_uint_eq(bs_endpoint_ip4(&q->global), 0xCB007105);
	ck_assert_uint_eq(q->global.port, 40000);
	ck_assert_uint_eq(q->nat_type, 0);
	ck_assert(!q->allow_plain);
	ck_assert(q->client_hash != 0);
}
END_TEST

START_TEST(a_nat_that_maps_by_port_is_told_as_symmetric)
{
	dude_probe(&d, 0, 1, BS_PROBE_ASK_SAME, 0xCB007105, 40000);
	dude_probe(&d, 1, 2, BS_PROBE_ASK_SAME, 0xCB007105, 40001);
	struct bs_message *m = ask("ATTEMPT1");

	ck_assert_uint_eq(m->u.connect.nat_type, 7);
	/* What the attach port saw comes first. */
	ck_assert_uint_eq(m->u.connect.global.port, 40001);
}
END_TEST

START_TEST(connect_waits_for_probes_but_not_forever)
{
	ck_assert_ptr_null(ask("ATTEMPT1"));
	dude_probe(&d, 0, 1, BS_PROBE_ASK_SAME, 0xCB007105, 40000);
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	dude_probe(&d, 1, 2, BS_PROBE_ASK_SAME, 0xCB007105, 40000);
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_CONNECT));
	ck_assert_uint_eq(fake_sent(f, BS_MSG_CONNECT)->u.connect.global.port, 40000);
}
END_TEST

START_TEST(connect_goes_on_without_probes)
{
	ck_assert_ptr_null(ask("ATTEMPT1"));
	fake_pass(f, 90);
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	fake_pass(f, 20);
	struct bs_message *m = fake_sent(f, BS_MSG_CONNECT);

	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->u.connect.global.port, 0);
	ck_assert_uint_eq(m->u.connect.priv.port, 6000);
}
END_TEST

START_TEST(success_carries_key_and_endpoints)
{
	struct bs_gate_connect_answer a;
	struct bs_packet p;

	probe();
	fake_accept(f, ask("ATTEMPT1"), 0x02ABCDEF);
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_connect_answer_decode(&p, &a), BS_OK);
	ck_assert_uint_eq(a.status.code, BS_ST_OK);
	ck_assert_uint_eq(a.h.sp, 0x02ABCDEF);
	ck_assert_uint_eq(a.h.seq, d.seq);
	ck_assert_mem_eq(a.attempt, "ATTEMPT1", 8);
	ck_assert_uint_eq(a.ipx.nsi_sp, 0x02ABCDEF);
	ck_assert_uint_eq(a.ipx.nsi_cp, 0x12345678);
	ck_assert_uint_eq(bs_endpoint_ip4(&a.ipx.priv), 0x0A000005);
	ck_assert_uint_eq(a.ipx.global.port, 5000);
	ck_assert_uint_eq(a.key.key.b[95], 0xD5);
	ck_assert_uint_eq(a.ext.bits, BS_EXT_CLOSE);
	ck_assert_uint_eq(a.nat.mapping, BS_NAT_INDEPENDENT);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_connections), 1);
	/* No copy of the key is left in what the gate writes with. */
	for (size_t i = 0; i + 8 < sizeof(f->g->tx); i++)
		ck_assert_mem_ne(f->g->tx + i, "\xD5\xD5\xD5\xD5\xD5\xD5\xD5\xD5", 8);
}
END_TEST

/* The client is told what to do about its NAT; the device's side comes with the result. */
START_TEST(tactics_follow_the_measurement)
{
	struct bs_gate_connect_answer a;
	struct bs_packet p;

	dude_probe(&d, 0, 1, BS_PROBE_ASK_SAME, 0xCB007105, 40000);
	dude_probe(&d, 1, 2, BS_PROBE_ASK_SAME, 0xCB007105, (uint16_t)(40000 + _i));
	fake_accept(f, ask("ATTEMPT1"), 0x02ABCDEF);
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_connect_answer_decode(&p, &a), BS_OK);
	ck_assert(a.params.has & BS_PARAM_BIT(BS_PARAM_TACTICS));
	ck_assert_uint_eq(a.params.tactics, _i ? BS_TACTIC_SOCKETS : 0);
}
END_TEST

START_TEST(unknown_and_forbidden_devices_get_the_same_answer)
{
	static const char *const ids[] = { "cam2.test", "nothere.test" };
	struct bs_packet p[2];
	uint8_t copy[2][BS_GATE_PACKET_MAX];

	probe();
	for (int i = 0; i < 2; i++) {
		dude_connect(&d, ids[i], "ATTEMPT1");
		ck_assert(dude_next(&d, &p[i]));
		memcpy(copy[i], d.last, p[i].len);
		/* All but the sequence number. */
		copy[i][12] = copy[i][13] = 0;
	}
	ck_assert_uint_eq(p[0].len, p[1].len);
	ck_assert_mem_eq(copy[0], copy[1], p[0].len);
	ck_assert_uint_eq(bs_get_u16(copy[0] + 20), BS_ST_REFUSED);
	ck_assert_ptr_null(fake_sent(f, BS_MSG_CONNECT));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_forbidden), 2);
}
END_TEST

START_TEST(each_failure_keeps_its_code)
{
	static const struct {
		uint16_t status;
		uint8_t reason;
	} rows[] = { { BS_ST_NOT_ATTACHED, BS_CR_OFFLINE },
		     { BS_ST_NOT_ATTACHED, BS_CR_SILENT },
		     { BS_ST_REFUSED_DEVICE, 0 },
		     { BS_ST_BUSY, BS_CR_LIMIT },
		     { BS_ST_ENCRYPTION, 0 },
		     { BS_ST_REATTACHING, BS_CR_REPLACED },
		     { BS_ST_RATE, BS_CR_TABLE } };

	probe();
	for (size_t i = 0; i < BS_LEN(rows); i++) {
		fake_refuse(f, ask("ATTEMPT1"), rows[i].status, rows[i].reason);
		ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), rows[i].status);
	}
	ck_assert_uint_eq(f->g->attempts.used, 0);
}
END_TEST

START_TEST(the_same_attempt_is_asked_once_and_answered_each_time)
{
	struct bs_gate_connect_answer a[2];
	struct bs_packet p;

	probe();
	struct bs_message first = *ask("ATTEMPT1");

	dude_connect(&d, "cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_CONNECT), 1);
	/* Another id makes another attempt. */
	dude_connect(&d, "cam1.test", "ATTEMPT2");
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_CONNECT), 2);
	fake_accept(f, &first, 0x02000001);
	for (int i = 0; i < 2; i++) {
		ck_assert(dude_next(&d, &p));
		ck_assert_int_eq(bs_gate_connect_answer_decode(&p, &a[i]), BS_OK);
		ck_assert_uint_eq(a[i].h.sp, 0x02000001);
	}
	ck_assert_uint_eq(a[1].h.seq, a[0].h.seq + 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_connections), 1);
}
END_TEST

START_TEST(a_client_has_so_many_connections_and_no_more)
{
	probe();
	fake_accept(f, ask("ATTEMPT1"), 0x02000001);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_OK);
	fake_accept(f, ask("ATTEMPT2"), 0x02000002);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_OK);
	ck_assert_ptr_null(ask("ATTEMPT3"));
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_BUSY);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_client_limit), 1);

	/* Another session of the same client shares the limit. */
	struct dude other;

	memset(&other, 0, sizeof(other));
	dude_open(&other, f);
	dude_connect(&other, "cam1.test", "ATTEMPT4");
	ck_assert_uint_eq(dude_status(&other, BS_TYPE_CONNECT), BS_ST_BUSY);
	/* And may end what the first one opened. */
	dude_disconnect(&other, 0x02000001);
	ck_assert_uint_eq(dude_status(&other, BS_TYPE_DISCONNECT), BS_ST_OK);
	ck_assert_ptr_nonnull(ask("ATTEMPT5"));
	dude_close(&other);
}
END_TEST

/** What is only asked for counts as well, in whatever session. */
START_TEST(attempts_of_all_sessions_share_the_limit)
{
	struct dude other;

	memset(&other, 0, sizeof(other));
	dude_open(&other, f);
	dude_connect(&d, "cam1.test", "ATTEMPT1");
	dude_connect(&other, "cam1.test", "ATTEMPT2");
	ck_assert_uint_eq(f->g->attempts.used, 2);
	dude_connect(&other, "cam1.test", "ATTEMPT3");
	ck_assert_uint_eq(dude_status(&other, BS_TYPE_CONNECT), BS_ST_BUSY);
	ck_assert_uint_eq(f->g->attempts.used, 2);
	/* A session that ends gives its share back. */
	dude_close(&other);
	fake_pass(f, 10);
	dude_connect(&d, "cam1.test", "ATTEMPT4");
	ck_assert_uint_eq(f->g->attempts.used, 2);
}
END_TEST

START_TEST(a_silent_server_is_answered_for_in_time)
{
	probe();
	struct bs_message m = *ask("ATTEMPT1");

	fake_pass(f, 4400);
	ck_assert_uint_eq(f->g->attempts.used, 1);
	fake_pass(f, 200);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_NOT_ATTACHED);
	/* What comes after that is closed again. */
	fake_forget(f);
	fake_accept(f, &m, 0x02000001);
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_DISCONNECT));
	ck_assert(fake_sent(f, BS_MSG_DISCONNECT)->ref == m.ref);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_late_result), 1);
}
END_TEST

START_TEST(a_busy_owner_is_an_answer_too)
{
	probe();
	f->full = true;
	dude_connect(&d, "cam1.test", "ATTEMPT1");
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_RATE);
	ck_assert_uint_eq(f->g->attempts.used, 0);
	f->full = false;
}
END_TEST

START_TEST(a_client_that_left_leaves_no_connection_behind)
{
	struct dude other;

	memset(&other, 0, sizeof(other));
	dude_open(&other, f);
	dude_connect(&other, "cam1.test", "ATTEMPT1");
	fake_pass(f, 150);
	struct bs_message m = *fake_sent(f, BS_MSG_CONNECT);

	dude_close(&other);
	fake_forget(f);
	fake_accept(f, &m, 0x02000001);
	ck_assert_uint_eq(fake_sent(f, BS_MSG_DISCONNECT)->u.conn.nsi, 0x02000001);
	ck_assert_uint_eq(f->g->attempts.used, 0);
	ck_assert_uint_eq(f->g->conns.used, 0);
}
END_TEST

START_TEST(disconnect_reaches_the_holder)
{
	probe();
	struct bs_message m = *ask("ATTEMPT1");

	fake_accept(f, &m, 0x02000001);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_OK);
	fake_forget(f);
	dude_disconnect(&d, 0x02000001);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_DISCONNECT), BS_ST_OK);
	const struct bs_message *end = fake_sent(f, BS_MSG_DISCONNECT);

	ck_assert_ptr_nonnull(end);
	ck_assert_uint_eq(f->to[f->n_sent - 1], 2);
	ck_assert(end->ref == m.ref);
	ck_assert(end->u.conn.tell_device);
	/* A second time, and for numbers of nobody, there is nothing to end. */
	fake_forget(f);
	dude_disconnect(&d, 0x02000001);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_DISCONNECT), BS_ST_CLOSED);
	ck_assert_uint_eq(f->n_sent, 0);
}
END_TEST

START_TEST(nobody_ends_the_connection_of_another_client)
{
	const int64_t now = (int64_t)time(NULL) - (int64_t)PKI_NOW;
	X509 *x =
		pki_issue(f->pki->ec_key, f->pki->ca, f->pki->ca_key,
			  &(struct pki_opts){ .cn = "bob", .from = now - 1, .to = now + PKI_DAY });
	struct dude bob;
	struct bs_packet p;

	probe();
	fake_accept(f, ask("ATTEMPT1"), 0x02000001);
	memset(&bob, 0, sizeof(bob));
	ck_assert(dude_dial(&bob, f, x, f->pki->ec_key));
	dude_hello(&bob);
	ck_assert(dude_next(&bob, &p));
	fake_forget(f);
	dude_disconnect(&bob, 0x02000001);
	ck_assert_uint_eq(dude_status(&bob, BS_TYPE_DISCONNECT), BS_ST_CLOSED);
	ck_assert_uint_eq(f->n_sent, 0);
	ck_assert_uint_eq(f->g->conns.used, 1);
	dude_close(&bob);
	X509_free(x);
}
END_TEST

/** The holder says that a connection is gone. */
static void closed(uint32_t nsi, uint64_t ref, uint16_t status)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_CONN_CLOSED;
	m.ref = ref;
	m.u.conn.nsi = nsi;
	m.u.conn.status = status;
	f->ops->message(f->g, &m);
}

START_TEST(a_connection_that_ends_is_an_event)
{
	struct bs_gate_event e;
	struct bs_packet p;

	probe();
	struct bs_message m = *ask("ATTEMPT1");

	fake_accept(f, &m, 0x02000001);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_OK);
	closed(0x02000001, m.ref + 99, BS_ST_CLOSED);
	ck_assert_uint_eq(f->g->conns.used, 1);
	closed(0x02000001, m.ref, BS_ST_CLOSED);
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_event_decode(&p, &e), BS_OK);
	ck_assert_uint_eq(e.h.sp, 0x02000001);
	ck_assert_uint_eq(e.status.code, BS_ST_CLOSED);
	ck_assert_uint_eq(p.h.seq, 0);
	ck_assert_uint_eq(f->g->conns.used, 0);
	closed(0x02000001, m.ref, BS_ST_CLOSED);

	/* Without a status the record goes and nobody is told. */
	m = *ask("ATTEMPT2");
	fake_accept(f, &m, 0x02000002);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_OK);
	closed(0x02000002, m.ref, 0);
	ck_assert_uint_eq(f->g->conns.used, 0);
	ck_assert(!dude_next(&d, &p));
}
END_TEST

START_TEST(connections_outlive_their_session_until_the_holder_ends_them)
{
	struct dude other;

	memset(&other, 0, sizeof(other));
	dude_open(&other, f);
	dude_connect(&other, "cam1.test", "ATTEMPT1");
	fake_pass(f, 150);
	struct bs_message m = *fake_sent(f, BS_MSG_CONNECT);

	fake_accept(f, &m, 0x02000001);
	fake_forget(f);
	dude_close(&other);
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_SESSION_GONE));
	ck_assert(fake_sent(f, BS_MSG_SESSION_GONE)->ref == m.ref);
	ck_assert_uint_eq(f->g->conns.used, 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 2);
	closed(0x02000001, m.ref, BS_ST_CLOSED);
	ck_assert_uint_eq(f->g->conns.used, 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
}
END_TEST

/** CONNECT with one candidate; whether the device is told of it. */
static bool passed_on(struct bs_endpoint ep)
{
	struct bs_gate_connect m;
	uint8_t buf[256];

	fake_forget(f);
	memset(&m, 0, sizeof(m));
	m.h.cp = d.cp;
	m.h.seq = ++d.seq;
	m.device = box_text("cam1.test");
	memcpy(m.attempt, &d.seq, sizeof(d.seq));
	m.n_hosts = 1;
	m.hosts[0].kind = BS_EP6_HOST;
	m.hosts[0].ep = ep;
	dude_send(&d, buf, (size_t)bs_gate_connect_encode(&m, buf, sizeof(buf)));
	const struct bs_message *q = fake_sent(f, BS_MSG_CONNECT);
	bool told = bs_endpoint_equal(&q->u.connect.priv, &ep);

	for (unsigned i = 0; i < q->u.connect.n_ep6; i++)
		told = told || bs_endpoint_equal(&q->u.connect.ep6[i], &ep);
	fake_refuse(f, q, BS_ST_BUSY, 0);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_BUSY);
	return told;
}

static struct bs_endpoint ep4(uint32_t ip4, uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, ip4, port);
	return ep;
}

static struct bs_endpoint ep6(uint8_t a, uint8_t b, uint16_t port)
{
	struct bs_endpoint ep = { { a, b }, port };

	ep.ip[15] = 7;
	return ep;
}

START_TEST(devices_are_told_private_and_observed_candidates_only)
{
	probe();
	ck_assert(passed_on(ep4(0x0A010203, 1)));
	ck_assert(passed_on(ep4(0xAC1F0001, 65535)));
	ck_assert(passed_on(ep4(0xC0A80001, 80)));
	ck_assert(passed_on(ep4(0xA9FE0001, 80)));
	ck_assert(!passed_on(ep4(0x08080808, 53)));
	ck_assert(!passed_on(ep4(0xCB007105, 40001)));
	ck_assert(passed_on(ep4(0xCB007105, 40000)));
	ck_assert(!passed_on(ep4(0xE0000001, 80)));
	/* Its own machine: this client is on ours. */
	ck_assert(passed_on(ep4(0x7F000001, 80)));
	ck_assert(passed_on(ep6(0xFD, 0, 80)));
	ck_assert(passed_on(ep6(0xFE, 0x80, 80)));
	ck_assert(!passed_on(ep6(0x20, 0x01, 80)));
	ck_assert(!passed_on(ep6(0xFF, 0x02, 80)));
}
END_TEST

START_TEST(loopback_is_no_candidate_of_a_remote_client)
{
	probe();
	for (uint32_t i = 0; i < f->g->fresh; i++)
		bs_endpoint_set_ip4(&f->g->session[i].peer, 0xCB007109, 1);
	ck_assert(!passed_on(ep4(0x7F000001, 80)));
	ck_assert(!passed_on(ep6(0, 0, 80)));
	ck_assert(passed_on(ep4(0x0A010203, 1)));
}
END_TEST

static int no_random(void *ctx, uint8_t *buf, size_t len)
{
	return BS_ERANDOM;
}

START_TEST(without_random_numbers_an_accepted_connect_is_undone)
{
	const struct bs_crypto *good = f->w.crypto;
	struct bs_crypto broken = *good;

	probe();
	struct bs_message m = *ask("ATTEMPT1");

	broken.random = no_random;
	f->w.crypto = &broken;
	fake_forget(f);
	fake_accept(f, &m, 0x02000001);
	f->w.crypto = good;
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_ERROR);
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_DISCONNECT));
	ck_assert_uint_eq(f->g->conns.used, 0);
}
END_TEST

START_TEST(a_full_table_of_connections_closes_what_it_cannot_keep)
{
	probe();
	f->g->conn_map.limit = 0;
	struct bs_message m = *ask("ATTEMPT1");

	fake_forget(f);
	fake_accept(f, &m, 0x02000001);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_RATE);
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_DISCONNECT));
	ck_assert_uint_eq(f->g->conns.used, 0);
}
END_TEST

static void add_asking(TCase *tc)
{
	tcase_add_test(tc, the_owner_is_asked_with_what_was_proved_and_seen);
	tcase_add_test(tc, a_nat_that_maps_by_port_is_told_as_symmetric);
	tcase_add_test(tc, connect_waits_for_probes_but_not_forever);
	tcase_add_test(tc, connect_goes_on_without_probes);
	tcase_add_test(tc, unknown_and_forbidden_devices_get_the_same_answer);
	tcase_add_test(tc, devices_are_told_private_and_observed_candidates_only);
	tcase_add_test(tc, loopback_is_no_candidate_of_a_remote_client);
	tcase_add_test(tc, the_same_attempt_is_asked_once_and_answered_each_time);
	tcase_add_test(tc, a_client_has_so_many_connections_and_no_more);
	tcase_add_test(tc, attempts_of_all_sessions_share_the_limit);
	tcase_add_test(tc, a_busy_owner_is_an_answer_too);
}

static void add_answers(TCase *tc)
{
	tcase_add_test(tc, success_carries_key_and_endpoints);
	tcase_add_loop_test(tc, tactics_follow_the_measurement, 0, 2);
	tcase_add_test(tc, each_failure_keeps_its_code);
	tcase_add_test(tc, a_silent_server_is_answered_for_in_time);
	tcase_add_test(tc, a_client_that_left_leaves_no_connection_behind);
	tcase_add_test(tc, disconnect_reaches_the_holder);
	tcase_add_test(tc, nobody_ends_the_connection_of_another_client);
	tcase_add_test(tc, a_connection_that_ends_is_an_event);
	tcase_add_test(tc, connections_outlive_their_session_until_the_holder_ends_them);
	tcase_add_test(tc, a_full_table_of_connections_closes_what_it_cannot_keep);
	tcase_add_test(tc, without_random_numbers_an_accepted_connect_is_undone);
}

Suite *bs_suite_gate_connect(void)
{
	Suite *s = suite_create("gate_connect");
	TCase *tc = tcase_create("connect");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	add_asking(tc);
	add_answers(tc);
	suite_add_tcase(s, tc);
	return s;
}
