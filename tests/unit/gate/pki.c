/* SPDX-License-Identifier: Apache-2.0 */
#include "pki.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** For set-up only: what a test examines is never checked with it. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pki: %s failed\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}

static EVP_PKEY *new_key(const char *type, size_t bits)
{
	EVP_PKEY *k;

	if (strcmp(type, "RSA") == 0)
		k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
	else if (strcmp(type, "EC") == 0)
		k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	else
		k = EVP_PKEY_Q_keygen(NULL, NULL, type);
	must(k != NULL, type);
	return k;
}

static void add_name(X509_NAME *n, const char *field, const char *text, int len)
{
	if (text)
		must(X509_NAME_add_entry_by_txt(n, field, MBSTRING_ASC, (const unsigned char *)text,
						len ? len : -1, -1, 0) == 1,
		     field);
}

static void add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);

	must(e && X509_add_ext(x, e, -1) == 1, value);
	X509_EXTENSION_free(e);
}

/** rfc822Names and dNSName by hand, so that any bytes may stand in them. */
static void add_san(X509 *x, const struct pki_opts *o)
{
	const struct {
		int type;
		const char *text;
	} rows[] = { { GEN_EMAIL, o->email }, { GEN_EMAIL, o->email2 }, { GEN_DNS, o->dns } };
	GENERAL_NAMES *names = GENERAL_NAMES_new();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!rows[i].text)
			continue;
		GENERAL_NAME *g = GENERAL_NAME_new();
		ASN1_IA5STRING *s = ASN1_IA5STRING_new();

		must(g && s && ASN1_STRING_set(s, rows[i].text, -1) == 1, "SAN");
		GENERAL_NAME_set0_value(g, rows[i].type, s);
		sk_GENERAL_NAME_push(names, g);
	}
	if (sk_GENERAL_NAME_num(names) > 0)
		must(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1, "SAN");
	GENERAL_NAMES_free(names);
}

static void set_time(ASN1_TIME *t, int64_t offset)
{
	must(ASN1_TIME_set(t, (time_t)((int64_t)PKI_NOW + offset)) != NULL, "time");
}

/** Such a key has its hash built in. */
static bool is_edwards(EVP_PKEY *k)
{
	return EVP_PKEY_is_a(k, "ED25519") || EVP_PKEY_is_a(k, "ED448");
}

X509 *pki_issue(EVP_PKEY *key, X509 *issuer, EVP_PKEY *signer, const struct pki_opts *o)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_NAME_new();

	must(x && subject, "X509_new");
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), o->serial ? o->serial : 1000);
	set_time(X509_getm_notBefore(x), o->from ? o->from : -PKI_DAY);
	set_time(X509_getm_notAfter(x), o->to ? o->to : 365 * PKI_DAY);
	add_name(subject, "O", "test", 0);
	add_name(subject, "CN", o->cn, o->cn_len);
	add_name(subject, "CN", o->cn2, 0);
	X509_set_subject_name(x, subject);
	X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : subject);
	X509_NAME_free(subject);
	X509_set_pubkey(x, key);
	if (o->ca) {
		add_ext(x, issuer ? issuer : x, NID_basic_constraints, "critical,CA:TRUE");
		add_ext(x, issuer ? issuer : x, NID_key_usage, "critical,keyCertSign,cRLSign");
	}
	if (o->usage)
		add_ext(x, issuer ? issuer : x, NID_key_usage, o->usage);
	if (o->eku)
		add_ext(x, issuer ? issuer : x, NID_ext_key_usage, o->eku);
	add_san(x, o);
	must(X509_sign(x, signer, is_edwards(signer) ? NULL : EVP_sha256()) > 0, "sign");
	return x;
}

X509_CRL *pki_crl(X509 *issuer, EVP_PKEY *signer, const long *serials, size_t n, int64_t next)
{
	X509_CRL *c = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();

	must(c && t, "X509_CRL_new");
	X509_CRL_set_version(c, 1);
	X509_CRL_set_issuer_name(c, X509_get_subject_name(issuer));
	set_time(t, -2 * PKI_DAY);
	X509_CRL_set1_lastUpdate(c, t);
	set_time(t, next);
	X509_CRL_set1_nextUpdate(c, t);
	for (size_t i = 0; i < n; i++) {
		X509_REVOKED *r = X509_REVOKED_new();
		ASN1_INTEGER *s = ASN1_INTEGER_new();

		ASN1_INTEGER_set(s, serials[i]);
		X509_REVOKED_set_serialNumber(r, s);
		set_time(t, -PKI_DAY);
		X509_REVOKED_set_revocationDate(r, t);
		X509_CRL_add0_revoked(c, r);
		ASN1_INTEGER_free(s);
	}
	must(X509_CRL_sign(c, signer, EVP_sha256()) > 0, "sign CRL");
	ASN1_TIME_free(t);
	return c;
}

static char *take_text(BIO *b)
{
	char *data;
	long len = BIO_get_mem_data(b, &data);
	char *out = malloc((size_t)len + 1);

	must(out != NULL, "malloc");
	memcpy(out, data, (size_t)len);
	out[len] = '\0';
	BIO_free(b);
	return out;
}

char *pki_pem_cert(X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());

	must(PEM_write_bio_X509(b, x) == 1, "PEM");
	return take_text(b);
}

char *pki_pem_key(EVP_PKEY *k)
{
	BIO *b = BIO_new(BIO_s_mem());

	must(PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL) == 1, "PEM");
	return take_text(b);
}

char *pki_pem_crl(X509_CRL *c)
{
	BIO *b = BIO_new(BIO_s_mem());

	must(PEM_write_bio_X509_CRL(b, c) == 1, "PEM");
	return take_text(b);
}

struct bs_slice pki_text(const char *s)
{
	return (struct bs_slice){ (const uint8_t *)s, strlen(s) };
}

/** Making RSA keys takes most of a test's time, so all tests share them: nobody changes a key. */
static struct {
	EVP_PKEY *ca, *server, *client, *other, *weak, *ec, *ed;
} keys;

void pki_make_keys(void)
{
	if (keys.ca)
		return;
	keys.ca = new_key("EC", 0);
	keys.server = new_key("RSA", 2048);
	keys.client = new_key("RSA", 2048);
	keys.other = new_key("EC", 0);
	keys.weak = new_key("RSA", 1024);
	keys.ec = new_key("EC", 0);
	keys.ed = new_key("ED25519", 0);
}

void pki_forget_keys(void)
{
	EVP_PKEY *all[] = { keys.ca,   keys.server, keys.client, keys.other,
			    keys.weak, keys.ec,     keys.ed };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		EVP_PKEY_free(all[i]);
	memset(&keys, 0, sizeof(keys));
}

static EVP_PKEY *share(EVP_PKEY *k)
{
	EVP_PKEY_up_ref(k);
	return k;
}

static struct pki *make(int64_t shift)
{
	const int64_t from = shift - PKI_DAY;
	const int64_t to = shift + 365 * PKI_DAY;
	struct pki *p = calloc(1, sizeof(*p));

	must(p != NULL, "calloc");
	pki_make_keys();
	p->ca_key = share(keys.ca);
	p->server_key = share(keys.server);
	p->client_key = share(keys.client);
	p->other_key = share(keys.other);
	p->weak_key = share(keys.weak);
	p->ec_key = share(keys.ec);
	p->ed_key = share(keys.ed);
	p->ca = pki_issue(
		p->ca_key, NULL, p->ca_key,
		&(struct pki_opts){
			.cn = "Test CA", .ca = true, .serial = 1, .from = from, .to = to });
	p->other_ca = pki_issue(
		p->other_key, NULL, p->other_key,
		&(struct pki_opts){ .cn = "Other CA", .ca = true, .from = from, .to = to });
	p->server =
		pki_issue(p->server_key, p->ca, p->ca_key,
			  &(struct pki_opts){
				  .cn = "localhost", .dns = "localhost", .from = from, .to = to });
	p->client =
		pki_issue(p->client_key, p->ca, p->ca_key,
			  &(struct pki_opts){ .email = "Ann@Example.org", .from = from, .to = to });
	return p;
}

struct pki *pki_new(void)
{
	return make(0);
}

struct pki *pki_new_today(void)
{
	return make((int64_t)time(NULL) - (int64_t)PKI_NOW);
}

void pki_free(struct pki *p)
{
	EVP_PKEY *all[] = { p->ca_key,   p->server_key, p->client_key, p->other_key,
			    p->weak_key, p->ec_key,     p->ed_key };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		EVP_PKEY_free(all[i]);
	X509_free(p->ca);
	X509_free(p->other_ca);
	X509_free(p->server);
	X509_free(p->client);
	free(p);
}

struct bs_tls_pem *pki_pem(const struct pki *p, X509_CRL *crl, uint32_t ticket_life_s)
{
	char err[BS_TLS_ERROR_MAX] = "";
	char *cert = pki_pem_cert(p->server);
	char *key = pki_pem_key(p->server_key);
	char *ca = pki_pem_cert(p->ca);
	char *crl_text = crl ? pki_pem_crl(crl) : NULL;
	struct bs_slice cas = pki_text(ca);
	struct bs_slice crls = crl_text ? pki_text(crl_text) : (struct bs_slice){ NULL, 0 };
	const struct bs_tls_material m = { .cert = pki_text(cert),
					   .key = pki_text(key),
					   .cas = &cas,
					   .n_cas = 1,
					   .crls = &crls,
					   .n_crls = crl ? 1 : 0,
					   .rsa_min_bits = 2048,
					   .ticket_life_s = ticket_life_s,
					   .tls_min = TLS1_2_VERSION };
	struct bs_tls_pem *out = NULL;

	if (bs_tls_pem_new(&m, &out, err, sizeof(err)) != BS_OK)
		must(false, err);
	free(cert);
	free(key);
	free(ca);
	free(crl_text);
	return out;
}

/* The link: the client writes into a memory BIO that the server's io reads, and the reverse. */

static bs_ssize link_read(void *ctx, uint8_t *buf, size_t cap)
{
	struct pki_link *l = ctx;
	int n = BIO_read(SSL_get_wbio(l->cli), buf, (int)cap);

	return n > 0 ? n : BS_EAGAIN;
}

static bs_ssize link_write(void *ctx, const uint8_t *buf, size_t len, bool more)
{
	struct pki_link *l = ctx;

	if (more)
		l->unhurried++;
	else
		l->hurried++;
	return BIO_write(SSL_get_rbio(l->cli), buf, (int)len);
}

static int keep_ticket(SSL *ssl, SSL_SESSION *s)
{
	struct pki_link *l = SSL_get_app_data(ssl);

	SSL_SESSION_free(l->ticket);
	l->ticket = s;
	return 1;
}

static void see_alert(const SSL *ssl, int where, int ret)
{
	struct pki_link *l = SSL_get_app_data(ssl);

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (ret & 0xFF) != SSL_AD_CLOSE_NOTIFY)
		l->alert = ret & 0xFF;
}

void pki_link_init(struct pki_link *l, struct bs_tls_server *s, const struct pki_client *c)
{
	const char *alpn = c->alpn ? c->alpn : "basestation/1";
	unsigned char wire[64];
	const struct bs_tls_io io = { l, link_read, link_write };

	memset(l, 0, sizeof(*l));
	l->alert = -1;
	l->ctx = SSL_CTX_new(TLS_client_method());
	must(l->ctx != NULL, "SSL_CTX_new");
	/* The client under test may be as weak as it likes. */
	SSL_CTX_set_security_level(l->ctx, 0);
	SSL_CTX_set_min_proto_version(l->ctx, c->version ? c->version : TLS1_2_VERSION);
	if (c->version)
		SSL_CTX_set_max_proto_version(l->ctx, c->version);
	if (c->version && c->version < TLS1_2_VERSION)
		SSL_CTX_set_cipher_list(l->ctx, "ALL:@SECLEVEL=0");
	/* Sessions in the internal cache die with the context; these outlive it. */
	SSL_CTX_set_session_cache_mode(l->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(l->ctx, keep_ticket);
	SSL_CTX_set_info_callback(l->ctx, see_alert);
	if (c->cert) {
		must(SSL_CTX_use_certificate(l->ctx, c->cert) == 1 &&
			     SSL_CTX_use_PrivateKey(l->ctx, c->key) == 1,
		     "client certificate");
		if (c->extra)
			SSL_CTX_add1_chain_cert(l->ctx, (X509 *)c->extra);
	}
	wire[0] = (unsigned char)strlen(alpn);
	memcpy(wire + 1, alpn, wire[0]);
	if (wire[0] > 0)
		SSL_CTX_set_alpn_protos(l->ctx, wire, wire[0] + 1u);
	l->cli = SSL_new(l->ctx);
	SSL_set_app_data(l->cli, l);
	SSL_set_bio(l->cli, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(l->cli), -1);
	BIO_set_mem_eof_return(SSL_get_wbio(l->cli), -1);
	if (c->resume)
		SSL_set_session(l->cli, c->resume);
	SSL_set_connect_state(l->cli);
	l->srv = bs_tls_new(s, &io);
	must(l->srv != NULL, "bs_tls_new");
}

/** One turn of the client: handshake, then read, which is how TLS 1.3 tickets arrive. */
static void client_turn(struct pki_link *l)
{
	char byte;
	int ret = SSL_is_init_finished(l->cli) ? SSL_peek(l->cli, &byte, 1)
					       : SSL_do_handshake(l->cli);
	int why = SSL_get_error(l->cli, ret);

	if (ret <= 0 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		l->client_error = why;
	ERR_clear_error();
}

int pki_link_run(struct pki_link *l)
{
	int err = BS_EAGAIN;

	for (int i = 0; i < 12; i++) {
		if (l->client_error == 0)
			client_turn(l);
		if (err == BS_EAGAIN)
			err = bs_tls_handshake(l->srv);
	}
	return err;
}

void pki_link_fini(struct pki_link *l)
{
	bs_tls_free(l->srv);
	SSL_free(l->cli);
	SSL_SESSION_free(l->ticket);
	SSL_CTX_free(l->ctx);
}
