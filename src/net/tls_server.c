/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_server.c - one worker's TLS context, built from the snapshots.
 */
#include "net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basestation/wire.h"
#include "log/log.h"

/** Longest chain of intermediate certificates. */
#define CHAIN_DEPTH 4
/** CAs named in the certificate request, at most: the list costs every client bytes. */
#define CA_NAMES_MAX 32
/**
 * The 128-bit suites come first: no weaker than the RSA keys beside them, and their key schedule
 * runs on SHA-256, which processors have in hardware, while SHA-384 is a tenth of a handshake.
 */
#define CIPHERS_12 "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20"
#define CIPHERS_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
/** A type for our BIO: any number that OpenSSL does not use with a descriptor. */
#define BIO_TYPE_OURS (100 | BIO_TYPE_SOURCE_SINK)

/** Our protocol name as ALPN writes it: length, then bytes. */
static const unsigned char alpn[] = "\x0d"
				    "basestation/1";

static int pick_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		     const unsigned char *in, unsigned int in_len, void *arg)
{
	unsigned char *chosen;

	if (SSL_select_next_proto(&chosen, out_len, alpn, sizeof(alpn) - 1, in, in_len) ==
	    OPENSSL_NPN_NEGOTIATED) {
		*out = chosen;
		return SSL_TLSEXT_ERR_OK;
	}
	struct bs_tls *t = SSL_get_app_data(ssl);

	t->refusal = BS_TLS_REFUSED_ALPN;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/** A client without ALPN is refused before it costs a signature. */
static int see_hello(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *ext;
	size_t len;
	struct bs_tls *t = SSL_get_app_data(ssl);

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &ext,
				      &len) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	t->refusal = BS_TLS_REFUSED_ALPN;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

/* The BIO between OpenSSL and the caller's two functions. */

static int bio_read(BIO *b, char *buf, size_t cap, size_t *n)
{
	struct bs_tls *t = BIO_get_data(b);
	bs_ssize r = t->io.read(t->io.ctx, (uint8_t *)buf, cap);

	BIO_clear_retry_flags(b);
	*n = 0;
	if (r > 0) {
		*n = (size_t)r;
		return 1;
	}
	if (r == BS_EAGAIN)
		BIO_set_retry_read(b);
	else
		t->eof = true;
	return 0;
}

/** A ticket of TLS 1.3 follows the end of the handshake: the peer may already say something. */
static bool is_ticket(const SSL *ssl)
{
	return SSL_get_state(ssl) == TLS_ST_SW_SESSION_TICKET && SSL_version(ssl) == TLS1_3_VERSION;
}

static int bio_write(BIO *b, const char *buf, size_t len, size_t *n)
{
	struct bs_tls *t = BIO_get_data(b);
	bs_ssize r = t->io.write(t->io.ctx, (const uint8_t *)buf, len, is_ticket(t->ssl));

	BIO_clear_retry_flags(b);
	*n = 0;
	if (r > 0) {
		*n = (size_t)r;
		return 1;
	}
	if (r == BS_EAGAIN)
		BIO_set_retry_write(b);
	else
		t->eof = true;
	return 0;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	const struct bs_tls *t = BIO_get_data(b);

	switch (cmd) {
	case BIO_CTRL_FLUSH: return 1;
	case BIO_CTRL_EOF: return t->eof;
	default: return 0;
	}
}

static int bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static BIO_METHOD *bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_OURS, "basestation");

	if (m &&
	    (BIO_meth_set_read_ex(m, bio_read) != 1 || BIO_meth_set_write_ex(m, bio_write) != 1 ||
	     BIO_meth_set_ctrl(m, bio_ctrl) != 1 || BIO_meth_set_create(m, bio_create) != 1)) {
		BIO_meth_free(m);
		m = NULL;
	}
	return m;
}

/** Load one certificate with its chain and key; the snapshot has checked them already. */
static int use_pair(const struct bs_tls_server *s, const struct bs__pem_text *cert,
		    const struct bs__pem_text *key)
{
	SSL_CTX *ctx = s->ctx;
	BIO *cb = BIO_new_mem_buf(cert->p, (int)cert->len);
	BIO *kb = BIO_new_mem_buf(key->p, (int)key->len);
	EVP_PKEY *k = kb ? PEM_read_bio_PrivateKey_ex(kb, NULL, bs__tls_no_password, NULL,
						      s->lib.whole, NULL)
			 : NULL;
	bool chained = false;
	bool bad = false;
	X509 *x = cb ? bs__tls_next_cert(cb, s->lib.tls, &bad) : NULL;
	int ok = k && x && SSL_CTX_use_cert_and_key(ctx, x, k, NULL, 0) == 1;

	X509_free(x);
	while (ok && (x = bs__tls_next_cert(cb, s->lib.tls, &bad))) {
		ok = SSL_CTX_add1_chain_cert(ctx, x) == 1;
		chained = true;
		X509_free(x);
	}
	/* A file without a chain: the client CAs may know one.  Else OpenSSL would look for it,
	 * and verify it, in every handshake.  The root is left out, since who trusts it has it. */
	if (ok && !chained) {
		(void)SSL_CTX_build_cert_chain(ctx, SSL_BUILD_CHAIN_FLAG_NO_ROOT |
							    SSL_BUILD_CHAIN_FLAG_IGNORE_ERROR |
							    SSL_BUILD_CHAIN_FLAG_CLEAR_ERROR);
		ERR_clear_error();
	}
	EVP_PKEY_free(k);
	BIO_free(cb);
	BIO_free(kb);
	return ok && !bad ? BS_OK : BS_ECONF;
}

static int add_cas(const struct bs_tls_server *s)
{
	X509_STORE *store = SSL_CTX_get_cert_store(s->ctx);
	BIO *b = BIO_new_mem_buf(s->pem->cas.p, (int)s->pem->cas.len);
	bool bad = false;
	int ok = b != NULL;
	int named = 0;
	X509 *x;

	while (ok && (x = bs__tls_next_cert(b, s->lib.tls, &bad))) {
		ok = X509_STORE_add_cert(store, x) == 1;
		if (ok && named++ < CA_NAMES_MAX)
			ok = SSL_CTX_add_client_CA(s->ctx, x) == 1;
		X509_free(x);
	}
	BIO_free(b);
	return ok && !bad ? BS_OK : BS_ECONF;
}

static int add_crls(struct bs_tls_server *s)
{
	X509_STORE *store = SSL_CTX_get_cert_store(s->ctx);
	BIO *b = BIO_new_mem_buf(s->pem->crls.p, (int)s->pem->crls.len);
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;
	int ok = b != NULL;
	X509_CRL *crl = NULL;

	while (ok && (crl = X509_CRL_new_ex(s->lib.tls, NULL)) &&
	       PEM_read_bio_X509_CRL(b, &crl, bs__tls_no_password, NULL)) {
		ok = X509_STORE_add_crl(store, crl) == 1;
		s->n_crls++;
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
		X509_CRL_free(crl);
		crl = NULL;
	}
	X509_CRL_free(crl);
	ERR_clear_error();
	if (ok)
		ok = X509_STORE_set_flags(store, flags) == 1;
	BIO_free(b);
	return ok ? BS_OK : BS_ECONF;
}

/** Versions, ciphers, buffers: what does not depend on certificates. */
static int set_policy(struct bs_tls_server *s)
{
	SSL_CTX *ctx = s->ctx;

	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	/* A read that met only records without data returns: no flood of new keys holds it. */
	SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
	/* The system's policy may be stricter or laxer; ours does not depend on it. */
	SSL_CTX_set_security_level(ctx, s->pem->rsa_min_bits < 2048 ? 1 : 2);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_verify_depth(ctx, CHAIN_DEPTH);
	SSL_CTX_set_cert_verify_callback(ctx, bs__tls_verify, NULL);
	SSL_CTX_set_alpn_select_cb(ctx, pick_alpn, NULL);
	SSL_CTX_set_client_hello_cb(ctx, see_hello, NULL);
	SSL_CTX_set_read_ahead(ctx, 1);
	if (SSL_CTX_set_min_proto_version(ctx, s->pem->tls_min) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, CIPHERS_12) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, CIPHERS_13) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1)
		return BS_ECONF;
	return BS_OK;
}

static int build(struct bs_tls_server *s)
{
	int err = bs__tls_lib_init(&s->lib);

	if (err == BS_ENOMEM)
		return err;
	/* Without it everything works as well, in the global context. */
	if (err != BS_OK)
		bs_log_notice("net, TLS works in OpenSSL's global context: handshakes take longer");
	s->bio = bio_method();
	s->sha256 = EVP_MD_fetch(s->lib.tls, "SHA256", NULL);
	s->ticket_aes = EVP_CIPHER_fetch(s->lib.tls,
					 s->lib.own ? BS__TLS_TICKET_CIPHER : "AES-256-CBC", NULL);
	s->ctx = SSL_CTX_new_ex(s->lib.tls, NULL, TLS_server_method());
	if (!s->bio || !s->ctx || !s->sha256 || !s->ticket_aes)
		return BS_ENOMEM;
	err = set_policy(s);
	if (err == BS_OK)
		err = add_cas(s);
	if (err == BS_OK)
		err = use_pair(s, &s->pem->cert, &s->pem->key);
	if (err == BS_OK && s->pem->cert2.p)
		err = use_pair(s, &s->pem->cert2, &s->pem->key2);
	if (err == BS_OK)
		err = add_crls(s);
	if (err == BS_OK)
		err = bs__tls_crls_init(s);
	if (err == BS_OK)
		err = bs__tls_tickets_init(s);
	return err;
}

static void server_unref(struct bs_tls_server *s)
{
	if (--s->refs > 0)
		return;
	SSL_CTX_free(s->ctx);
	EVP_CIPHER_free(s->ticket_aes);
	EVP_MD_free(s->sha256);
	BIO_meth_free(s->bio);
	bs__tls_lib_fini(&s->lib);
	bs_tls_pem_unref(s->pem);
	bs_tls_keys_unref(s->keys);
	free(s->cache);
	free(s->good_crl);
	free(s);
}

int bs_tls_server_new(struct bs_tls_pem *pem, struct bs_tls_keys *keys,
		      const struct bs_tls_hooks *hooks, size_t cache_n, struct bs_tls_server **out,
		      char *err_text, size_t err_cap)
{
	struct bs_tls_server *s = calloc(1, sizeof(*s));

	if (!s)
		return BS_ENOMEM;
	s->refs = 1;
	s->pem = bs_tls_pem_ref(pem);
	s->keys = bs_tls_keys_ref(keys);
	if (hooks)
		s->hooks = *hooks;
	s->cache = cache_n > 0 ? calloc(cache_n, sizeof(*s->cache)) : NULL;
	s->cache_n = s->cache ? cache_n : 0;
	int err = cache_n > 0 && !s->cache ? BS_ENOMEM : build(s);

	if (err != BS_OK) {
		unsigned long code = ERR_peek_last_error();
		const char *reason = code ? ERR_reason_error_string(code) : NULL;

		if (err_cap > 0)
			snprintf(err_text, err_cap, "TLS context: %s",
				 reason ? reason : bs_strerror(err));
		ERR_clear_error();
		server_unref(s);
		return err;
	}
	*out = s;
	return BS_OK;
}

void bs_tls_server_free(struct bs_tls_server *s)
{
	if (!s)
		return;
	/* Sessions may keep it, but nobody will tick it any more. */
	bs__tls_share_forget(&s->lib, false);
	server_unref(s);
}

void bs_tls_server_tick(struct bs_tls_server *s)
{
	bs__tls_share_forget(&s->lib, true);
}

void bs_tls_server_set_keys(struct bs_tls_server *s, struct bs_tls_keys *keys)
{
	struct bs_tls_keys *old = s->keys;

	s->keys = bs_tls_keys_ref(keys);
	bs_tls_keys_unref(old);
}

const struct bs_tls_stats *bs_tls_server_stats(const struct bs_tls_server *s)
{
	return &s->stats;
}

struct bs_tls *bs_tls_new(struct bs_tls_server *s, const struct bs_tls_io *io)
{
	struct bs_tls *t = calloc(1, sizeof(*t));
	BIO *b = t ? BIO_new(s->bio) : NULL;

	if (!b)
		goto fail;
	t->ssl = SSL_new(s->ctx);
	if (!t->ssl)
		goto fail;
	t->io = *io;
	BIO_set_data(b, t);
	SSL_set_bio(t->ssl, b, b);
	SSL_set_app_data(t->ssl, t);
	SSL_set_accept_state(t->ssl);
	t->srv = s;
	s->refs++;
	return t;
fail:
	BIO_free(b);
	free(t);
	return NULL;
}

void bs_tls_free(struct bs_tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	server_unref(t->srv);
	free(t);
}
