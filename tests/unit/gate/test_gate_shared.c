/* SPDX-License-Identifier: Apache-2.0 */
#include <netinet/in.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../conf/alloc.h"
#include "fake.h"
#include "test.h"

static struct fake *f;

static void setup(void)
{
	f = fake_new(NULL);
}

static void teardown(void)
{
	fake_free(f);
}

/** Try to bind a second gate with these conf lines in front of the usual ones. */
BS_PRINTF(1, 2)
static int try_bind(const char *format, ...)
{
	char text[1024], lines[768];
	const struct bs_conf *conf;
	struct bs_conf_error e;
	void *shared = NULL;
	va_list ap;

	va_start(ap, format);
	vsnprintf(lines, sizeof(lines), format, ap);
	va_end(ap);
	int n = snprintf(text, sizeof(text), "listen = {\"127.0.0.1\"}\n%s", lines);

	ck_assert_msg(bs_conf_load_text("t", text, (size_t)n, &conf, &e) == BS_OK, "%s", e.text);
	int err = f->ops->bind(conf, f->box.reg, 1, NULL, &shared);

	ck_assert_int_eq(err == BS_OK, shared != NULL);
	f->ops->unbind(shared);
	bs_conf_unref(conf);
	return err;
}

#define FILES                                                                                      \
 "server-certificate=\"%s/server.crt\"\nserver-key=\"%s/server.key\"\nclient-ca=\"%s/ca.crt\"\n"

START_TEST(all_workers_share_one_port_in_both_families)
{
	const struct bs_gate_shared *sh = f->shared;

	ck_assert_uint_ne(sh->port, 0);
	ck_assert_uint_eq(sh->n_listen, 2);
	ck_assert_uint_eq(f->ops->port(f->shared), sh->port);
}
END_TEST

START_TEST(a_port_in_use_is_said_so)
{
	ck_assert_int_eq(
		try_bind(FILES "client-port=%u\n", f->dir, f->dir, f->dir, f->ops->port(f->shared)),
		BS_EBUSY);
}
END_TEST

START_TEST(files_that_are_missing_or_wrong_stop_the_start)
{
	ck_assert_int_eq(try_bind(FILES "client-port=0\n", f->dir, f->dir, f->dir), BS_OK);
	ck_assert_int_eq(try_bind("server-certificate=\"%s/none\"\nserver-key=\"%s/server.key\"\n"
				  "client-ca=\"%s/ca.crt\"\nclient-port=0\n",
				  f->dir, f->dir, f->dir),
			 BS_ECONF);
	ck_assert_int_eq(try_bind("server-certificate=\"%s/server.crt\"\nserver-key=\"%s/ca.crt\"\n"
				  "client-ca=\"%s/ca.crt\"\nclient-port=0\n",
				  f->dir, f->dir, f->dir),
			 BS_ECONF);
	ck_assert_int_eq(try_bind(FILES "client-crl=\"%s/none.crl\"\nclient-port=0\n", f->dir,
				  f->dir, f->dir, f->dir),
			 BS_ECONF);
	ck_assert_int_eq(try_bind(FILES "client-crl=\"%s\"\nclient-port=0\n", f->dir, f->dir,
				  f->dir, f->dir),
			 BS_ECONF);
}
END_TEST

START_TEST(a_file_with_nul_bytes_is_no_pem)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/bin", f->dir);
	out = fopen(path, "w");
	ck_assert_uint_eq(fwrite("abc\0def", 1, 7, out), 7);
	fclose(out);
	ck_assert_int_eq(try_bind("server-certificate=\"%s\"\nserver-key=\"%s/server.key\"\n"
				  "client-ca=\"%s/ca.crt\"\nclient-port=0\n",
				  path, f->dir, f->dir),
			 BS_ECONF);
}
END_TEST

/** An expired certificate is the clients' to refuse: devices are served all the same. */
START_TEST(an_expired_server_certificate_does_not_stop_the_start)
{
	const int64_t now = (int64_t)time(NULL) - (int64_t)PKI_NOW;
	X509 *x = pki_issue(f->pki->server_key, f->pki->ca, f->pki->ca_key,
			    &(struct pki_opts){ .cn = "localhost",
						.from = now - 2 * PKI_DAY,
						.to = now - PKI_DAY });
	char *text = pki_pem_cert(x);
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/server.crt", f->dir);
	out = fopen(path, "w");
	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	fclose(out);
	ck_assert_int_eq(try_bind(FILES "client-port=0\n", f->dir, f->dir, f->dir), BS_OK);
	free(text);
	X509_free(x);
}
END_TEST

START_TEST(client_cas_of_the_registry_count_too)
{
	struct bs_store_request req = { .op = BS_STORE_CA_ADD };
	const int64_t now = (int64_t)time(NULL) - (int64_t)PKI_NOW;
	X509 *x =
		pki_issue(f->pki->client_key, f->pki->other_ca, f->pki->other_key,
			  &(struct pki_opts){ .cn = "bob", .from = now - 1, .to = now + PKI_DAY });
	unsigned char *der = NULL;
	struct dude d;

	memset(&d, 0, sizeof(d));
	(void)dude_dial(&d, f, x, f->pki->client_key);
	ck_assert(dude_ended(&d));
	ck_assert_uint_eq(fake_count(f, BS_C_gate_refused_untrusted), 1);
	dude_close(&d);

	req.u.ca.roles = BS_CA_CLIENT;
	snprintf(req.u.ca.name, sizeof(req.u.ca.name), "other");
	req.u.ca.der.len = (size_t)i2d_X509(f->pki->other_ca, &der);
	req.u.ca.der.ptr = der;
	ck_assert_int_eq(box_do(&f->box, &req).status, BS_OK);
	ck_assert_int_eq(f->ops->reload(f->shared, f->w.conf), BS_OK);
	fake_turn(f);
	memset(&d, 0, sizeof(d));
	ck_assert(dude_dial(&d, f, x, f->pki->client_key));
	dude_hello(&d);
	ck_assert_uint_eq(dude_status(&d, BS_TYPE_HELLO), BS_ST_OK);
	dude_close(&d);
	OPENSSL_free(der);
	X509_free(x);
}
END_TEST

START_TEST(ticket_keys_change_once_per_lifetime)
{
	struct bs_gate_shared *sh = f->shared;
	bs_time life = f->w.conf->ticket_lifetime;
	const struct bs_tls_keys *first = sh->keys;
	bs_time t = BS_TIME_MS(1000);

	f->ops->main_tick(f->shared, t);
	f->ops->main_tick(f->shared, t + life - 1);
	ck_assert_ptr_eq(sh->keys, first);
	f->ops->main_tick(f->shared, t + life);
	ck_assert_ptr_ne(sh->keys, first);
	const struct bs_tls_keys *second = sh->keys;

	f->ops->main_tick(f->shared, t + life + 1);
	ck_assert_ptr_eq(sh->keys, second);
	/* The workers take it at their next tick, under the same context. */
	const struct bs_tls_server *tls = f->g->tls;

	fake_turn(f);
	ck_assert_ptr_eq(f->g->keys, second);
	ck_assert_ptr_eq(f->g->tls, tls);
}
END_TEST

START_TEST(without_memory_the_start_fails_and_leaves_nothing)
{
	for (unsigned n = 1;; n++) {
		void *shared = NULL;

		test_alloc_fail_at(n);
		int err = f->ops->bind(f->w.conf, f->box.reg, 2, NULL, &shared);

		if (!test_alloc_failed()) {
			ck_assert_int_eq(err, BS_OK);
			ck_assert_uint_gt(n, 5);
			f->ops->unbind(shared);
			return;
		}
		ck_assert_int_ne(err, BS_OK);
		ck_assert_ptr_null(shared);
	}
}
END_TEST

START_TEST(without_memory_a_reload_keeps_what_there_is)
{
	const struct bs_gate_shared *sh = f->shared;

	for (unsigned n = 1;; n++) {
		const struct bs_tls_pem *before = sh->pem;

		test_alloc_fail_at(n);
		int err = f->ops->reload(f->shared, f->w.conf);

		if (!test_alloc_failed()) {
			ck_assert_int_eq(err, BS_OK);
			ck_assert_ptr_ne(sh->pem, before);
			return;
		}
		ck_assert_int_ne(err, BS_OK);
		ck_assert_ptr_eq(sh->pem, before);
	}
}
END_TEST

Suite *bs_suite_gate_shared(void)
{
	Suite *s = suite_create("gate_shared");
	TCase *tc = tcase_create("shared");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, all_workers_share_one_port_in_both_families);
	tcase_add_test(tc, a_port_in_use_is_said_so);
	tcase_add_test(tc, files_that_are_missing_or_wrong_stop_the_start);
	tcase_add_test(tc, a_file_with_nul_bytes_is_no_pem);
	tcase_add_test(tc, an_expired_server_certificate_does_not_stop_the_start);
	tcase_add_test(tc, client_cas_of_the_registry_count_too);
	tcase_add_test(tc, ticket_keys_change_once_per_lifetime);
	tcase_add_test(tc, without_memory_the_start_fails_and_leaves_nothing);
	tcase_add_test(tc, without_memory_a_reload_keeps_what_there_is);
	suite_add_tcase(s, tc);
	return s;
}
