/* SPDX-License-Identifier: Apache-2.0 */
#include "certs.h"

#include <check.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct certs all;
static pid_t owner;

/** Check may only be asked inside a test; keys are made before the first one. */
static void must(bool ok)
{
	if (!ok) {
		ERR_print_errors_fp(stderr);
		abort();
	}
}

static void cleanup(void)
{
	char cmd[128];

	/* Each test runs in a child of its own, which inherits this. */
	if (getpid() != owner)
		return;

	(void)snprintf(cmd, sizeof cmd, "rm -rf %s", all.dir);
	if (system(cmd) != 0)
		perror(all.dir);
}

static void add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer == NULL ? x : issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(e != NULL);
	must(X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

X509 *cert_make(EVP_PKEY *key, X509 *issuer, EVP_PKEY *signer, const struct cert_opts *o)
{
	X509 *x = X509_new();
	X509_NAME *n = X509_get_subject_name(x);
	const char *cn = o->cn == NULL ? "localhost" : o->cn;
	const char *san = o->san == NULL ? "DNS:localhost,IP:127.0.0.1" : o->san;

	must(X509_set_version(x, 2) == 1);
	must(ASN1_INTEGER_set(X509_get_serialNumber(x), o->serial == 0 ? 1 : o->serial) == 1);
	X509_gmtime_adj(X509_getm_notBefore(x), o->from == 0 ? -DAY : o->from);
	X509_gmtime_adj(X509_getm_notAfter(x), o->to == 0 ? 365 * DAY : o->to);
	if (*cn != '\0')
		must(X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_UTF8, (const unsigned char *)cn,
						-1, -1, 0) == 1);
	X509_set_pubkey(x, key);
	X509_set_issuer_name(x, issuer == NULL ? n : X509_get_subject_name(issuer));
	if (o->ca)
		add_ext(x, issuer, NID_basic_constraints, "critical,CA:TRUE");
	if (!o->ca && *san != '\0')
		add_ext(x, issuer, NID_subject_alt_name, san);
	must(X509_sign(x, signer, EVP_sha256()) > 0);
	return x;
}

struct certs *certs_get(void)
{
	const struct cert_opts ca = { .cn = "Test CA", .ca = true };

	if (all.ca != NULL)
		return &all;
	(void)snprintf(all.dir, sizeof all.dir, "/tmp/bs-client-test-XXXXXX");
	must(mkdtemp(all.dir) != NULL);
	owner = getpid();
	(void)atexit(cleanup);
	all.ca_key = EVP_RSA_gen(2048);
	all.rsa = EVP_RSA_gen(2048);
	all.other = EVP_RSA_gen(2048);
	all.ec = EVP_EC_gen("P-256");
	all.ca = cert_make(all.ca_key, NULL, all.ca_key, &ca);
	return &all;
}

/** A path in the folder; eight may be in use at a time. */
static char *path(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *p = paths[next++ % 8];

	(void)snprintf(p, sizeof paths[0], "%s/%s", certs_get()->dir, name);
	return p;
}

const char *cert_file(const char *name, X509 *a, X509 *b)
{
	char *p = path(name);
	FILE *f = fopen(p, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(PEM_write_X509(f, a), 1);
	if (b != NULL)
		ck_assert_int_eq(PEM_write_X509(f, b), 1);
	(void)fclose(f);
	return p;
}

const char *key_file(const char *name, EVP_PKEY *key, const char *password)
{
	char *p = path(name);
	FILE *f = fopen(p, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(PEM_write_PrivateKey(f, key, password == NULL ? NULL : EVP_aes_128_cbc(),
					      (const unsigned char *)password,
					      password == NULL ? 0 : (int)strlen(password), NULL,
					      NULL),
			 1);
	(void)fclose(f);
	return p;
}

const char *crl_file(const char *name, long serial, long next)
{
	struct certs *c = certs_get();
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = X509_gmtime_adj(NULL, -DAY);
	char *p = path(name);
	FILE *f = fopen(p, "w");

	ck_assert_ptr_nonnull(f);
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(c->ca));
	X509_CRL_set1_lastUpdate(crl, t);
	if (serial != 0) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *n = ASN1_INTEGER_new();

		ASN1_INTEGER_set(n, serial);
		X509_REVOKED_set_serialNumber(r, n);
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(crl, r);
		ASN1_INTEGER_free(n);
	}
	X509_gmtime_adj(t, next);
	X509_CRL_set1_nextUpdate(crl, t);
	ck_assert_int_gt(X509_CRL_sign(crl, c->ca_key, EVP_sha256()), 0);
	ck_assert_int_eq(PEM_write_X509_CRL(f, crl), 1);
	(void)fclose(f);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
	return p;
}

const char *text_file(const char *name, const char *text)
{
	char *p = path(name);
	FILE *f;

	if (text == NULL) {
		ck_assert(unlink(p) == 0 || errno == ENOENT);
		return p;
	}
	f = fopen(p, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, strlen(text), f), strlen(text));
	(void)fclose(f);
	return p;
}

/* ---- the server */

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
		       const unsigned char *in, unsigned int in_len, void *arg)
{
	const char *want = arg;

	(void)ssl;
	for (unsigned int k = 0; k < in_len; k += 1u + in[k])
		if (in[k] == strlen(want) && memcmp(in + k + 1, want, in[k]) == 0) {
			*out = in + k + 1;
			*len = in[k];
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/** Refuse the client's certificate for the reason that the test wants. */
static int refuse(X509_STORE_CTX *store, void *arg)
{
	X509_STORE_CTX_set_error(store, *(int *)arg);
	return 0;
}

void server_init(struct server *s, const struct server_opts *o)
{
	static const struct cert_opts good = { 0 };
	static int reason;
	struct certs *c = certs_get();
	EVP_PKEY *key = o->key == NULL ? c->rsa : o->key;
	X509 *cert = o->cert == NULL ? cert_make(key, c->ca, c->ca_key, &good) : o->cert;
	const char *alpn = o->alpn == NULL ? "basestation/1" : o->alpn;

	memset(s, 0, sizeof *s);
	s->ctx = SSL_CTX_new(TLS_server_method());
	ck_assert_int_eq(SSL_CTX_use_certificate(s->ctx, cert), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(s->ctx, key), 1);
	if (o->version != 0) {
		SSL_CTX_set_min_proto_version(s->ctx, o->version);
		SSL_CTX_set_max_proto_version(s->ctx, o->version);
	}
	if (o->version != 0 && o->version < TLS1_2_VERSION)
		SSL_CTX_set_security_level(s->ctx, 0);
	if (o->want_client)
		SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(s->ctx), c->ca);
	if (o->client_error != 0) {
		reason = o->client_error;
		SSL_CTX_set_cert_verify_callback(s->ctx, refuse, &reason);
	}
	if (*alpn != '\0')
		SSL_CTX_set_alpn_select_cb(s->ctx, choose_alpn, (void *)(uintptr_t)alpn);
	if (o->ecdsa)
		ck_assert_int_eq(SSL_CTX_set1_client_sigalgs_list(s->ctx, "ECDSA+SHA256"), 1);
	SSL_CTX_set_session_id_context(s->ctx, (const unsigned char *)"t", 1);
	if (o->cert == NULL)
		X509_free(cert);
	server_again(s);
}

void server_again(struct server *s)
{
	SSL_free(s->ssl);
	s->got_len = 0;
	s->ssl = SSL_new(s->ctx);
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	SSL_set_bio(s->ssl, s->in, s->out);
	SSL_set_accept_state(s->ssl);
}

void server_fini(struct server *s)
{
	SSL_free(s->ssl);
	SSL_CTX_free(s->ctx);
}

/** Carry bytes both ways; true when there were any. */
static bool carry(struct server *s, struct bsc__tls *t)
{
	uint8_t buf[4096];
	bool moved = false;
	size_t n;
	int got;

	while ((n = bsc__tls_take(t, buf, sizeof buf)) > 0) {
		ck_assert_int_eq(BIO_write(s->in, buf, (int)n), (int)n);
		moved = true;
	}
	while ((got = BIO_read(s->out, buf, sizeof buf)) > 0) {
		ck_assert_int_eq(bsc__tls_feed(t, buf, (size_t)got), BS_OK);
		moved = true;
	}
	return moved;
}

/** The server's turn. */
static void serve(struct server *s)
{
	int rc = SSL_do_handshake(s->ssl);

	if (rc != 1)
		return;
	rc = SSL_read(s->ssl, s->got + s->got_len, (int)(sizeof s->got - 1 - s->got_len));
	if (rc > 0) {
		s->got_len += (size_t)rc;
		(void)SSL_write(s->ssl, "hi", 2);
	}
}

int server_talk(struct server *s, struct bsc__tls *t, struct bsc_error *err)
{
	bool greeted = false;
	uint8_t buf[64];
	int rc = BS_EAGAIN;

	for (int quiet = 0; quiet < 3;) {
		bs_ssize n = BS_EAGAIN;

		rc = bsc__tls_handshake(t, err);
		if (rc == BS_OK && !greeted) {
			rc = bsc__tls_write(t, (const uint8_t *)"hello", 5, err);
			greeted = true;
		}
		if (rc == BS_OK) {
			n = bsc__tls_read(t, buf, sizeof buf, err);
			if (n > 0)
				return BS_OK;
			if (n != BS_EAGAIN)
				rc = (int)n;
		}
		quiet = carry(s, t) ? 0 : quiet + 1;
		if (rc != BS_OK && rc != BS_EAGAIN)
			return rc;
		serve(s);
		quiet = carry(s, t) ? 0 : quiet;
	}
	return rc == BS_OK ? BS_EAGAIN : rc;
}
