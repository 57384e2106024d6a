/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake.h"
#include "test.h"

static struct fake *f;
static struct dude d;
static uint32_t rule;

static void setup(void)
{
	f = fake_new(NULL);
	memset(&d, 0, sizeof(d));
	rule = fake_allow(f, "ann@example.org", "cam1.*");
	fake_allow(f, "ann@example.org", "cam2.*");
	dude_open(&d, f);
}

static void teardown(void)
{
	dude_close(&d);
	fake_free(f);
}

static void told(uint8_t kind)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_REVOKE;
	m.u.revoke.kind = kind;
	f->ops->message(f->g, &m);
	fake_pass(f, 10);
}

/** Open a connection and read its answer. */
static uint64_t open_conn(struct dude *who, const char *id, const char *attempt, uint32_t nsi)
{
	dude_connect(who, id, attempt);
	fake_pass(f, 150);
	struct bs_message m = *fake_sent(f, BS_MSG_CONNECT);

	fake_accept(f, &m, nsi);
	ck_assert_uint_eq(dude_status(who, BS_TYPE_CONNECT), BS_ST_OK);
	fake_forget(f);
	return m.ref;
}

static struct bs_store_result revoke_client(const char *identity)
{
	struct bs_store_request req = { .op = BS_STORE_REVOKE };

	req.u.revocation.kind = BS_REVOKE_CLIENT;
	req.u.revocation.identity_len = (uint8_t)strlen(identity);
	snprintf(req.u.revocation.identity, sizeof(req.u.revocation.identity), "%s", identity);
	return box_do(&f->box, &req);
}

START_TEST(a_revoked_client_loses_session_and_connections)
{
	struct bs_gate_error e;
	struct bs_packet p;

	open_conn(&d, "cam1.test", "ATTEMPT1", 0x02000001);
	ck_assert_int_eq(revoke_client("ann@example.org").status, BS_OK);
	told(BS_MSG_REVOKE_CLIENT);
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_error_decode(&p, &e), BS_OK);
	ck_assert_uint_eq(e.status.code, BS_ST_CLIENT_CERT);
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(fake_sent(f, BS_MSG_DISCONNECT)->u.conn.nsi, 0x02000001);
	ck_assert(fake_sent(f, BS_MSG_DISCONNECT)->u.conn.tell_device);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_revoked_sessions), 1);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_revoked_connections), 1);
	/* And it does not come back. */
	struct dude again;

	memset(&again, 0, sizeof(again));
	(void)dude_dial(&again, f, f->pki->client, f->pki->client_key);
	ck_assert(dude_ended(&again));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_refused_revoked), 1);
	dude_close(&again);
}
END_TEST

START_TEST(connections_of_a_client_that_has_left_are_ended_too)
{
	struct dude other;

	memset(&other, 0, sizeof(other));
	dude_open(&other, f);
	open_conn(&other, "cam1.test", "ATTEMPT1", 0x02000001);
	dude_close(&other);
	fake_forget(f);
	ck_assert_int_eq(revoke_client("ann@example.org").status, BS_OK);
	told(BS_MSG_REVOKE_CLIENT);
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_DISCONNECT));
	ck_assert_uint_eq(f->g->conns.used, 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
}
END_TEST

START_TEST(a_disabled_client_is_out_as_well)
{
	struct bs_store_request req = { .op = BS_STORE_CLIENT_UPDATE };

	ck_assert_int_eq(box_client(&f->box, "ann@example.org", NULL, NULL, "").status, BS_OK);
	told(BS_MSG_REVOKE_CLIENT);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	snprintf(req.u.client.identity, sizeof(req.u.client.identity), "ann@example.org");
	req.u.client.state = BS_RECORD_DISABLED;
	ck_assert_int_eq(box_do(&f->box, &req).status, BS_OK);
	told(BS_MSG_REVOKE_CLIENT);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_ERROR), BS_ST_CLIENT_CERT);
	ck_assert(dude_ended(&d));
}
END_TEST

START_TEST(a_withdrawn_rule_ends_what_it_allowed_and_no_more)
{
	struct bs_store_request req = { .op = BS_STORE_RULE_DELETE };
	static const char *const ids[] = { "cam1.test", "cam2.test" };
	struct bs_gate_event e;
	struct bs_presence pr;
	struct bs_packet p;
	size_t off = 0;

	open_conn(&d, "cam1.test", "ATTEMPT1", 0x02000001);
	open_conn(&d, "cam2.test", "ATTEMPT2", 0x02000002);
	dude_watch(&d, ids, 2, 0, 0);
	fake_presence(f, BS_PRESENCE_ONLINE);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_WATCH), BS_ST_OK);
	dude_connect(&d, "cam1.test", "ATTEMPT3");

	req.u.rule.id = rule;
	ck_assert_int_eq(box_do(&f->box, &req).status, BS_OK);
	fake_forget(f);
	told(BS_MSG_REVOKE_RULE);

	/* The connection, the watch and the attempt, in this order. */
	ck_assert(dude_next(&d, &p));
	ck_assert_int_eq(bs_gate_event_decode(&p, &e), BS_OK);
	ck_assert_uint_eq(e.h.sp, 0x02000001);
	ck_assert_uint_eq(e.status.code, BS_ST_REFUSED);
	ck_assert(dude_next(&d, &p));
	ck_assert(bs_gate_presence_next(&p, &off, &pr));
	ck_assert_mem_eq(pr.id.ptr, "cam1.test", 9);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_REFUSED);
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_DISCONNECT), 1);
	ck_assert_uint_eq(f->g->conns.used, 1);
	ck_assert_uint_eq(f->g->watches.used, 1);
	ck_assert_uint_eq(f->g->attempts.used, 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_revoked_watches), 1);
	dude_connect(&d, "cam1.test", "ATTEMPT4");
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_REFUSED);
}
END_TEST

START_TEST(an_attempt_under_way_when_the_right_goes_is_undone)
{
	struct bs_store_request req = { .op = BS_STORE_RULE_DELETE };

	dude_connect(&d, "cam1.test", "ATTEMPT1");
	fake_pass(f, 150);
	struct bs_message m = *fake_sent(f, BS_MSG_CONNECT);

	req.u.rule.id = rule;
	ck_assert_int_eq(box_do(&f->box, &req).status, BS_OK);
	told(BS_MSG_REVOKE_RULE);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_CONNECT), BS_ST_REFUSED);
	/* The device says yes all the same. */
	fake_forget(f);
	fake_accept(f, &m, 0x02000001);
	ck_assert_ptr_nonnull(fake_sent(f, BS_MSG_DISCONNECT));
	ck_assert_uint_eq(f->g->attempts.used, 0);
	ck_assert_uint_eq(f->g->conns.used, 0);
}
END_TEST

/** A session that is only being flushed still has connections, and an attempt may succeed. */
START_TEST(a_session_about_to_close_is_looked_at_too)
{
	open_conn(&d, "cam1.test", "ATTEMPT1", 0x02000001);
	open_conn(&d, "cam2.test", "ATTEMPT2", 0x02000002);
	dude_connect(&d, "cam1.test", "ATTEMPT3");
	f->g->session[0].state = BS_SESSION_CLOSING;
	struct bs_store_request req = { .op = BS_STORE_RULE_DELETE };

	req.u.rule.id = rule;
	ck_assert_int_eq(box_do(&f->box, &req).status, BS_OK);
	told(BS_MSG_REVOKE_RULE);
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_DISCONNECT), 1);
	ck_assert_uint_eq(f->g->attempts.used, 0);
	ck_assert_int_eq(revoke_client("ann@example.org").status, BS_OK);
	told(BS_MSG_REVOKE_CLIENT);
	ck_assert_uint_eq(fake_n_sent(f, BS_MSG_DISCONNECT), 2);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
}
END_TEST

START_TEST(a_device_that_goes_takes_its_connections)
{
	open_conn(&d, "cam1.test", "ATTEMPT1", 0x02000001);
	ck_assert_int_eq(box_state(&f->box, "cam1.test", BS_RECORD_DISABLED).status, BS_OK);
	told(BS_MSG_REVOKE_DEVICE);
	ck_assert_uint_eq(f->g->conns.used, 0);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_EVENT), BS_ST_REFUSED);
	open_conn(&d, "cam2.test", "ATTEMPT2", 0x02000002);
	ck_assert_int_eq(box_device(&f->box, BS_STORE_DEVICE_DELETE, "cam2.test").status, BS_OK);
	told(BS_MSG_REVOKE_DEVICE);
	ck_assert_uint_eq(f->g->conns.used, 0);
}
END_TEST

START_TEST(every_session_is_looked_at_within_a_second)
{
	/* As if the table were full of sessions; all but one are free slots. */
	struct bs_gate *g = f->g;
	uint32_t real = g->fresh;
	unsigned ticks = 0;

	ck_assert_int_eq(revoke_client("ann@example.org").status, BS_OK);
	bs__gate_recheck_begin(g, false);
	while (g->recheck < g->fresh && ticks < 100) {
		bs__gate_recheck_tick(g);
		ticks++;
	}
	ck_assert_uint_eq(g->fresh, real);
	ck_assert_uint_lt(ticks, 100);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
}
END_TEST

START_TEST(a_change_during_a_walk_starts_another)
{
	struct bs_gate *g = f->g;

	bs__gate_recheck_begin(g, false);
	g->recheck = 0;
	bs__gate_recheck_begin(g, true);
	ck_assert(g->recheck_all);
	for (int i = 0; i < 4; i++)
		bs__gate_recheck_tick(g);
	ck_assert(!g->recheck_all);
	ck_assert(!g->recheck_certs);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
}
END_TEST

/** Write a CRL that names serials and reload. */
static void reload_crl(const long *serials, size_t n)
{
	char path[128], line[160];
	X509_CRL *crl = pki_crl(f->pki->ca, f->pki->ca_key, serials, n, 40 * 365 * PKI_DAY);
	char *text = pki_pem_crl(crl);
	FILE *out;

	snprintf(path, sizeof(path), "%s/ca.crl", f->dir);
	out = fopen(path, "w");
	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	fclose(out);
	snprintf(line, sizeof(line), "client-crl = \"%s\"\n", path);
	ck_assert_int_eq(fake_reload(f, line), BS_OK);
	fake_pass(f, 10);
	fake_pass(f, 10);
	X509_CRL_free(crl);
	free(text);
}

START_TEST(a_new_crl_ends_the_sessions_that_it_names)
{
	static const long others[] = { 7, 8 };
	static const long ours[] = { 7, 1000 };

	reload_crl(others, 2);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	dude_hello(&d);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_HELLO), BS_ST_OK);
	reload_crl(ours, 2);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_ERROR), BS_ST_CLIENT_CERT);
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
}
END_TEST

/** A client between memory and a socket, so that a test decides when its bytes leave. */
struct slow {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
};

static void slow_turns(void)
{
	for (int i = 0; i < 10; i++)
		fake_turn(f);
}

static void slow_put(struct slow *c, const char *data, size_t len)
{
	ck_assert_int_eq(send(c->fd, data, len, MSG_NOSIGNAL), len);
	slow_turns();
}

/** Handshake of the good client up to its last flight, which *last then points to. */
static size_t slow_dial(struct slow *c, char **last)
{
	static const unsigned char alpn[] = "\x0d"
					    "basestation/1";
	char buf[16384];
	char *hello;
	int on = 1;
	long n;

	c->ctx = SSL_CTX_new(TLS_client_method());
	ck_assert_int_eq(SSL_CTX_use_certificate(c->ctx, f->pki->client), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(c->ctx, f->pki->client_key), 1);
	c->ssl = SSL_new(c->ctx);
	SSL_set_alpn_protos(c->ssl, alpn, sizeof(alpn) - 1);
	SSL_set_bio(c->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	c->fd = fake_tcp(f);
	ck_assert_int_eq(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
	ck_assert_int_ne(SSL_connect(c->ssl), 1);
	n = BIO_get_mem_data(SSL_get_wbio(c->ssl), &hello);
	slow_put(c, hello, (size_t)n);
	(void)BIO_reset(SSL_get_wbio(c->ssl));
	for (int i = 0; i < 100 && SSL_connect(c->ssl) != 1; i++) {
		ssize_t got;

		(void)poll(&(struct pollfd){ c->fd, POLLIN, 0 }, 1, 20);
		while ((got = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
			BIO_write(SSL_get_rbio(c->ssl), buf, (int)got);
		fake_turn(f);
	}
	ck_assert(SSL_is_init_finished(c->ssl));
	n = BIO_get_mem_data(SSL_get_wbio(c->ssl), last);
	return (size_t)n;
}

static void slow_close(struct slow *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}

/** Where the last TLS record of some begins: that of Finished, behind Certificate and its proof. */
static size_t last_record(const char *p, size_t len)
{
	size_t at = 0, next = 0;

	while (next < len) {
		at = next;
		next += 5u + ((size_t)(uint8_t)p[next + 3] << 8 | (uint8_t)p[next + 4]);
	}
	return at;
}

/** The certificate was judged before the revocation; the handshake ends after it. */
START_TEST(a_client_revoked_within_its_handshake_does_not_get_in)
{
	struct slow c;
	char *last;
	size_t len = slow_dial(&c, &last);
	size_t at = last_record(last, len);

	ck_assert_uint_gt(at, 0);
	slow_put(&c, last, at);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 2);
	ck_assert_int_eq(revoke_client("ann@example.org").status, BS_OK);
	told(BS_MSG_REVOKE_CLIENT);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	slow_put(&c, last + at, len - at);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_handshake_full), 2);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_refused_revoked), 1);
	slow_close(&c);
}
END_TEST

START_TEST(a_crl_within_a_handshake_counts_at_its_end)
{
	static const long ours[] = { 7, 1000 };
	struct slow c;
	char *last;
	size_t len = slow_dial(&c, &last);
	size_t at = last_record(last, len);

	slow_put(&c, last, at);
	reload_crl(ours, 2);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 1);
	slow_put(&c, last + at, len - at);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_sessions), 0);
	ck_assert_uint_eq(fake_count(f, BS_C_gate_refused_revoked), 1);
	slow_close(&c);
}
END_TEST

Suite *bs_suite_gate_revoke(void)
{
	Suite *s = suite_create("gate_revoke");
	TCase *tc = tcase_create("revoke");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, a_revoked_client_loses_session_and_connections);
	tcase_add_test(tc, connections_of_a_client_that_has_left_are_ended_too);
	tcase_add_test(tc, a_disabled_client_is_out_as_well);
	tcase_add_test(tc, a_withdrawn_rule_ends_what_it_allowed_and_no_more);
	tcase_add_test(tc, an_attempt_under_way_when_the_right_goes_is_undone);
	tcase_add_test(tc, a_session_about_to_close_is_looked_at_too);
	tcase_add_test(tc, a_device_that_goes_takes_its_connections);
	tcase_add_test(tc, every_session_is_looked_at_within_a_second);
	tcase_add_test(tc, a_change_during_a_walk_starts_another);
	tcase_add_test(tc, a_new_crl_ends_the_sessions_that_it_names);
	tcase_add_test(tc, a_client_revoked_within_its_handshake_does_not_get_in);
	tcase_add_test(tc, a_crl_within_a_handshake_counts_at_its_end);
	suite_add_tcase(s, tc);
	return s;
}
