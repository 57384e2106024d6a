/* SPDX-License-Identifier: Apache-2.0 */
/* TLS against a real server over memory: every failure is told apart, sessions resume. */
#include "certs.h"
#include "rig.h"

Suite *bs_suite_tls(void);

static struct certs *pki;
static struct bsc_config cfg;
static struct bsc__tls_ctx *ctx;
static struct server srv;

static void setup(void)
{
	static const struct cert_opts client = { .cn = "Alice@Example.com", .san = "" };
	X509 *cert;

	pki = certs_get();
	cert = cert_make(pki->rsa, pki->ca, pki->ca_key, &client);
	bsc_config_init(&cfg, sizeof cfg);
	cfg.ca_file = cert_file("ca.pem", pki->ca, NULL);
	cfg.cert_file = cert_file("client.pem", cert, pki->ca);
	cfg.key_file = key_file("client.key", pki->rsa, NULL);
	X509_free(cert);
	ctx = NULL;
	memset(&srv, 0, sizeof srv);
}

static void teardown(void)
{
	bsc__tls_ctx_free(ctx);
	server_fini(&srv);
}

static void make_ctx(void)
{
	struct bsc_error e = { 0 };

	ck_assert_msg(bsc__tls_ctx_new(&cfg, &ctx, &e) == BS_OK, "%s", e.text);
}

/** One handshake with name; the error's code, 0 = it worked. */
static uint32_t meet(const char *name, struct bsc_error *e)
{
	struct bsc__tls *t = bsc__tls_new(ctx, "host.example", 5571, name);
	int rc;

	memset(e, 0, sizeof *e);
	ck_assert_ptr_nonnull(t);
	rc = server_talk(&srv, t, e);
	ck_assert_msg(rc != BS_EAGAIN, "handshake stands still");
	if (rc == BS_OK)
		ck_assert_str_eq(srv.got, "hello");
	else
		ck_assert_ptr_nonnull(strstr(e->text, "host.example:5571"));
	bsc__tls_free(t);
	return rc == BS_OK ? 0 : e->code;
}

START_TEST(both_versions_work)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	const struct server_opts o = { .version = versions[_i], .want_client = true };
	struct bsc_error e;
	uint8_t zero[32] = { 0 };

	make_ctx();
	server_init(&srv, &o);
	ck_assert_uint_eq(meet("localhost", &e), 0);
	ck_assert_str_eq(bsc__tls_ctx_identity(ctx), "alice@example.com");
	ck_assert_mem_ne(bsc__tls_ctx_key_fp(ctx), zero, 32);
}
END_TEST

START_TEST(an_address_is_checked_as_one)
{
	const struct server_opts o = { 0 };
	struct bsc_error e;

	make_ctx();
	server_init(&srv, &o);
	ck_assert_uint_eq(meet("127.0.0.1", &e), 0);
	server_again(&srv);
	ck_assert_uint_eq(meet("127.0.0.2", &e), BSC_SERVER_NAME);
}
END_TEST

/** Server certificates that must not be accepted. */
static const struct {
	struct cert_opts o;
	bool self_signed;
	bool other_ca;
	uint32_t code;
	const char *says;
} bad_servers[] = {
	{ { .to = -DAY, .from = -2 * DAY }, false, false, BSC_SERVER_EXPIRED, "expired" },
	{ { .from = DAY }, false, false, BSC_SERVER_NOT_YET, "clock" },
	{ { .cn = "else", .san = "DNS:else.example" }, false, false, BSC_SERVER_NAME, "name" },
	{ { .san = "DNS:*.localhost" }, false, false, BSC_SERVER_NAME, "name" },
	{ { .cn = "localhost" }, true, false, BSC_SERVER_SELF_SIGNED, "self-signed" },
	{ { .cn = "localhost" }, false, true, BSC_SERVER_UNKNOWN_CA, "CA" },
	{ { .ca = true, .cn = "localhost" }, true, false, BSC_SERVER_SELF_SIGNED, "self-signed" },
};

START_TEST(bad_server_certificates_are_told_apart)
{
	static const struct cert_opts other = { .cn = "Other CA", .ca = true };
	struct server_opts o = { .version = _i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION };
	X509 *ca = cert_make(pki->other, NULL, pki->other, &other);
	struct bsc_error e;

	if (bad_servers[_i].self_signed)
		o.cert = cert_make(pki->rsa, NULL, pki->rsa, &bad_servers[_i].o);
	else if (bad_servers[_i].other_ca)
		o.cert = cert_make(pki->rsa, ca, pki->other, &bad_servers[_i].o);
	else
		o.cert = cert_make(pki->rsa, pki->ca, pki->ca_key, &bad_servers[_i].o);
	make_ctx();
	server_init(&srv, &o);
	ck_assert_uint_eq(meet("localhost", &e), bad_servers[_i].code);
	ck_assert_int_eq(e.err, BS_EAUTH);
	ck_assert_int_eq(e.source, BSC_FROM_BASESTATION);
	ck_assert_msg(strstr(e.text, bad_servers[_i].says) != NULL, "%s", e.text);
	X509_free(o.cert);
	X509_free(ca);
}
END_TEST

START_TEST(a_revoked_server_is_refused)
{
	static const struct cert_opts seven = { .serial = 7 };
	struct server_opts o = { .cert = cert_make(pki->rsa, pki->ca, pki->ca_key, &seven) };
	struct bsc_error e;

	cfg.crl_file = crl_file("crl.pem", 7, DAY);
	make_ctx();
	server_init(&srv, &o);
	ck_assert_uint_eq(meet("localhost", &e), BSC_SERVER_REVOKED);
	bsc__tls_ctx_free(ctx);
	cfg.crl_file = crl_file("crl.pem", 8, DAY);
	make_ctx();
	server_again(&srv);
	ck_assert_uint_eq(meet("localhost", &e), 0);
	bsc__tls_ctx_free(ctx);
	cfg.crl_file = crl_file("crl.pem", 8, -DAY / 2);
	make_ctx();
	server_again(&srv);
	ck_assert_uint_eq(meet("localhost", &e), BSC_SERVER_CRL);
	X509_free(o.cert);
}
END_TEST

START_TEST(a_pin_takes_the_place_of_chain_and_name)
{
	static const struct cert_opts old = { .cn = "whatever", .to = -DAY, .from = -2 * DAY };
	struct server_opts o = { .cert = cert_make(pki->other, NULL, pki->other, &old),
				 .key = pki->other };
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(o.cert), &der);
	uint8_t pin[32];
	struct bsc_error e;

	ck_assert_int_eq(EVP_Digest(der, (size_t)len, pin, NULL, EVP_sha256(), NULL), 1);
	cfg.pin = pin;
	make_ctx();
	server_init(&srv, &o);
	ck_assert_uint_eq(meet("localhost", &e), 0);
	bsc__tls_ctx_free(ctx);
	pin[31] ^= 1;
	make_ctx();
	server_again(&srv);
	ck_assert_uint_eq(meet("localhost", &e), BSC_SERVER_PIN);
	OPENSSL_free(der);
	X509_free(o.cert);
}
END_TEST

/** What the server says about our certificate, and how we tell it. */
static const struct {
	int verify;
	uint32_t code;
} bad_clients[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, BSC_CLIENT_EXPIRED },
	{ X509_V_ERR_CERT_REVOKED, BSC_CLIENT_REVOKED },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, BSC_CLIENT_UNKNOWN_CA },
	{ X509_V_ERR_CERT_REJECTED, BSC_CLIENT_REFUSED },
	{ X509_V_ERR_INVALID_PURPOSE, BSC_CLIENT_REFUSED },
	{ X509_V_ERR_APPLICATION_VERIFICATION, BSC_TLS_PROTOCOL },
};

START_TEST(the_servers_reasons_against_us_are_told_apart)
{
	const struct server_opts o = { .version = _i % 2 ? TLS1_3_VERSION : TLS1_2_VERSION,
				       .want_client = true,
				       .client_error = bad_clients[_i / 2].verify };
	struct bsc_error e;

	make_ctx();
	server_init(&srv, &o);
	ck_assert_uint_eq(meet("localhost", &e), bad_clients[_i / 2].code);
	ck_assert_int_eq(e.source, BSC_FROM_BASESTATION);
}
END_TEST

START_TEST(no_certificate_that_fits_is_told)
{
	const struct server_opts o = { .version = TLS1_3_VERSION,
				       .want_client = true,
				       .ecdsa = true };
	struct bsc_error e;

	/* Only ECDSA is asked for and ours is RSA, so none is sent. */
	make_ctx();
	server_init(&srv, &o);
	ck_assert_uint_eq(meet("localhost", &e), BSC_CLIENT_MISSING);
}
END_TEST

START_TEST(a_stranger_on_the_port_is_no_basestation)
{
	static const char *const alpns[] = { "h2", "" };
	const struct server_opts o = { .alpn = alpns[_i] };
	struct bsc_error e;

	make_ctx();
	server_init(&srv, &o);
	ck_assert_uint_eq(meet("localhost", &e), BSC_TLS_PROTOCOL);
	ck_assert_ptr_nonnull(strstr(e.text, "basestation/1"));
}
END_TEST

START_TEST(plain_text_is_no_tls)
{
	static const char *const texts[] = { "HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-x\r\n" };
	struct bsc_error e;
	struct bsc__tls *t;

	make_ctx();
	for (size_t k = 0; k < LEN(texts); k++) {
		t = bsc__tls_new(ctx, "host.example", 1, "localhost");
		ck_assert_int_eq(bsc__tls_handshake(t, &e), BS_EAGAIN);
		ck_assert_int_eq(bsc__tls_feed(t, (const uint8_t *)texts[k], strlen(texts[k])),
				 BS_OK);
		ck_assert_int_lt(bsc__tls_handshake(t, &e), BS_EAGAIN);
		ck_assert_uint_eq(e.code, BSC_TLS_PROTOCOL);
		bsc__tls_free(t);
	}
}
END_TEST

START_TEST(an_old_version_is_refused)
{
	const struct server_opts o = { .version = TLS1_1_VERSION };
	struct bsc_error e;

	make_ctx();
	server_init(&srv, &o);
	ck_assert_uint_eq(meet("localhost", &e), BSC_TLS_PROTOCOL);
}
END_TEST

START_TEST(a_session_is_resumed_for_its_host_only)
{
	const struct server_opts o = { .version = _i ? TLS1_3_VERSION : TLS1_2_VERSION,
				       .want_client = true };
	static const struct {
		const char *host;
		uint16_t port;
		bool resumes;
	} rows[] = {
		{ "a.example", 1, false }, { "a.example", 1, true }, { "b.example", 1, false },
		{ "a.example", 2, false }, { "a.example", 1, true }, { "b.example", 1, true }
	};
	struct bsc_error e;

	make_ctx();
	server_init(&srv, &o);
	for (size_t k = 0; k < LEN(rows); k++) {
		struct bsc__tls *t = bsc__tls_new(ctx, rows[k].host, rows[k].port, "localhost");

		ck_assert_int_eq(server_talk(&srv, t, &e), BS_OK);
		ck_assert_msg(bsc__tls_resumed(t) == rows[k].resumes, "row %zu", k);
		ck_assert_str_eq(bsc__tls_version(t), _i ? "TLSv1.3" : "TLSv1.2");
		ck_assert_uint_gt(strlen(bsc__tls_cipher(t)), 0);
		bsc__tls_close(t);
		bsc__tls_free(t);
		server_again(&srv);
	}
}
END_TEST

START_TEST(more_hosts_than_fit_push_the_oldest_out)
{
	const struct server_opts o = { 0 };
	struct bsc_error e;
	char host[16] = "h0.example";

	make_ctx();
	server_init(&srv, &o);
	for (int k = 0; k < BSC__TLS_HOSTS_MAX + 1; k++) {
		struct bsc__tls *t;

		host[1] = (char)('0' + k);
		t = bsc__tls_new(ctx, host, 1, "localhost");
		ck_assert_int_eq(server_talk(&srv, t, &e), BS_OK);
		bsc__tls_free(t);
		server_again(&srv);
	}
	for (int k = BSC__TLS_HOSTS_MAX; k >= 0; k -= BSC__TLS_HOSTS_MAX) {
		struct bsc__tls *t;

		host[1] = (char)('0' + k);
		t = bsc__tls_new(ctx, host, 1, "localhost");
		ck_assert_int_eq(server_talk(&srv, t, &e), BS_OK);
		ck_assert_msg(bsc__tls_resumed(t) == (k == BSC__TLS_HOSTS_MAX), "%s", host);
		bsc__tls_free(t);
		server_again(&srv);
	}
}
END_TEST

START_TEST(a_cut_stream_is_not_an_end)
{
	const struct server_opts o = { 0 };
	struct bsc_error e;
	struct bsc__tls *t;
	uint8_t buf[16];

	make_ctx();
	server_init(&srv, &o);
	t = bsc__tls_new(ctx, "h", 1, "localhost");
	ck_assert_int_eq(server_talk(&srv, t, &e), BS_OK);
	ck_assert_int_eq(bsc__tls_read(t, buf, sizeof buf, &e), BS_EAGAIN);
	ck_assert_int_eq(SSL_shutdown(srv.ssl), 0);
	{
		uint8_t alert[64];
		int n = BIO_read(srv.out, alert, sizeof alert);

		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(bsc__tls_feed(t, alert, (size_t)n), BS_OK);
	}
	ck_assert_int_eq(bsc__tls_read(t, buf, sizeof buf, &e), BS_ECLOSED);
	bsc__tls_free(t);
}
END_TEST

/** Files that cannot be used: which field, which file, what the message must hold. */
START_TEST(bad_files_are_named)
{
	static const char *const says[] = { "CA file",  "certificate file", "key file",
					    "CRL file", "CA file",          "certificate file",
					    "key file", "CRL file",         "does not belong",
					    "key file" };
	const char *none = text_file("none.pem", NULL);
	const char *junk = text_file("junk.pem", "not a certificate\n");
	struct bsc_error e;

	switch (_i) {
	case 0: cfg.ca_file = none; break;
	case 1: cfg.cert_file = none; break;
	case 2: cfg.key_file = none; break;
	case 3: cfg.crl_file = none; break;
	case 4: cfg.ca_file = junk; break;
	case 5: cfg.cert_file = junk; break;
	case 6: cfg.key_file = junk; break;
	case 7: cfg.crl_file = junk; break;
	case 8: cfg.key_file = key_file("other.key", pki->other, NULL); break;
	default: cfg.key_file = key_file("locked.key", pki->rsa, "secret"); break;
	}
	ck_assert_int_eq(bsc__tls_ctx_new(&cfg, &ctx, &e), BS_ECONF);
	ck_assert_ptr_null(ctx);
	ck_assert_uint_eq(e.code, BSC_USAGE);
	ck_assert_msg(strstr(e.text, says[_i]) != NULL, "\"%s\" lacks \"%s\"", e.text, says[_i]);
	ck_assert_msg(strstr(e.text, ".pem") != NULL || strstr(e.text, ".key") != NULL, "%s",
		      e.text);
}
END_TEST

Suite *bs_suite_tls(void)
{
	Suite *s = suite_create("client tls");
	TCase *t = tcase_create("tls");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, both_versions_work, 0, 2);
	tcase_add_test(t, an_address_is_checked_as_one);
	tcase_add_loop_test(t, bad_server_certificates_are_told_apart, 0, (int)LEN(bad_servers));
	tcase_add_test(t, a_revoked_server_is_refused);
	tcase_add_test(t, a_pin_takes_the_place_of_chain_and_name);
	tcase_add_loop_test(t, the_servers_reasons_against_us_are_told_apart, 0,
			    2 * (int)LEN(bad_clients));
	tcase_add_test(t, no_certificate_that_fits_is_told);
	tcase_add_loop_test(t, a_stranger_on_the_port_is_no_basestation, 0, 2);
	tcase_add_test(t, plain_text_is_no_tls);
	tcase_add_test(t, an_old_version_is_refused);
	tcase_add_loop_test(t, a_session_is_resumed_for_its_host_only, 0, 2);
	tcase_add_test(t, more_hosts_than_fit_push_the_oldest_out);
	tcase_add_test(t, a_cut_stream_is_not_an_end);
	tcase_add_loop_test(t, bad_files_are_named, 0, 10);
	suite_add_tcase(s, t);
	return s;
}
