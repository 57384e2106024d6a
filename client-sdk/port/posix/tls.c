/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "cert.h"
#include "crypto/crypto.h"
#include "error.h"
#include "sign.h"
#include "wire/gate.h"

/** A session to resume.  Resuming checks no certificate, so the name that was checked belongs to
 *  the key. */
struct kept {
	char *host; /**< host, a newline, the name in the certificate */
	uint16_t port;
	SSL_SESSION *session;
};

struct bsc__tls_ctx {
	SSL_CTX *ssl;
	struct bsc__signer *signer;
	bool has_pin;
	uint8_t pin[32];
	uint8_t key_fp[32];
	char identity[BS_CLIENT_ID_MAX + 1];
	struct kept kept[BSC__TLS_HOSTS_MAX];
	unsigned next_kept;
};

struct bsc__tls {
	struct bsc__tls_ctx *ctx;
	SSL *ssl;
	BIO *in;  /**< owned by ssl */
	BIO *out; /**< owned by ssl */
	char *host;
	char *key; /**< as in struct kept */
	uint16_t port;
	bool done;
	bool heard; /**< plain bytes came: our certificate was accepted */
};

/* ---- errors */

/** What an alert of the server means (RFC 8446, section 6); anything else is TLS_FAILED. */
static const struct {
	uint8_t alert;
	int err;
	uint32_t code;
	const char *text;
} alerts[] = {
	{ SSL_AD_HANDSHAKE_FAILURE, BS_EPROTO, BSC_TLS_PROTOCOL,
	  "the server finds no common ground (handshake failure); it may miss a client "
	  "certificate or want other ciphers" },
	{ SSL_AD_BAD_CERTIFICATE, BS_EAUTH, BSC_CLIENT_REFUSED,
	  "the server refused our certificate (bad certificate); ask the operator for a new one" },
	{ SSL_AD_UNSUPPORTED_CERTIFICATE, BS_EAUTH, BSC_CLIENT_REFUSED,
	  "the server refused our kind of certificate; ask the operator for a new one" },
	{ SSL_AD_CERTIFICATE_REVOKED, BS_EAUTH, BSC_CLIENT_REVOKED,
	  "our certificate was revoked; ask the operator for a new one" },
	{ SSL_AD_CERTIFICATE_EXPIRED, BS_EAUTH, BSC_CLIENT_EXPIRED,
	  "our certificate has expired; ask the operator for a new one" },
	{ SSL_AD_CERTIFICATE_UNKNOWN, BS_EAUTH, BSC_CLIENT_REFUSED,
	  "the server refused our certificate without a reason; its log has one" },
	{ SSL_AD_UNKNOWN_CA, BS_EAUTH, BSC_CLIENT_UNKNOWN_CA,
	  "the server does not know the CA of our certificate; is it for this server?" },
	{ SSL_AD_ACCESS_DENIED, BS_EPERM, BSC_CLIENT_DENIED,
	  "the server denies access to this client; ask the operator" },
	{ SSL_AD_DECRYPT_ERROR, BS_EAUTH, BSC_CLIENT_SIGN,
	  "the server could not verify our signature; do key and certificate belong together?" },
	{ SSL_AD_PROTOCOL_VERSION, BS_EPROTO, BSC_TLS_PROTOCOL,
	  "the server speaks no TLS version that we do" },
	{ SSL_AD_INSUFFICIENT_SECURITY, BS_EPROTO, BSC_TLS_PROTOCOL,
	  "the server wants stronger ciphers than we have" },
	{ SSL_AD_NO_APPLICATION_PROTOCOL, BS_EPROTO, BSC_TLS_PROTOCOL,
	  "the server does not speak " BS_GATE_ALPN "; is this the client port?" },
	{ SSL_AD_UNRECOGNIZED_NAME, BS_EPROTO, BSC_SERVER_NAME,
	  "the server does not know itself by this name" },
	/* OpenSSL has no name for it (RFC 8446, section 6.2, certificate_required). */
	{ 116, BS_EAUTH, BSC_CLIENT_MISSING,
	  "the server wants a client certificate and did not get one" },
};

static int fail_alert(const struct bsc__tls *t, unsigned alert, struct bsc_error *err)
{
	for (size_t k = 0; k < sizeof alerts / sizeof alerts[0]; k++)
		if (alerts[k].alert == alert)
			return bsc__fail(err, alerts[k].err, BSC_FROM_BASESTATION, alerts[k].code,
					 "%s:%u: %s", t->host, (unsigned)t->port, alerts[k].text);
	return bsc__fail(err, BS_EPROTO, BSC_FROM_BASESTATION, BSC_TLS_FAILED,
			 "%s:%u: TLS alert %u (%s)", t->host, (unsigned)t->port, alert,
			 SSL_alert_desc_string_long((int)alert));
}

/** One clear error for whatever OpenSSL left in its queue. */
static int fail_tls(const struct bsc__tls *t, struct bsc_error *err)
{
	unsigned long e = ERR_peek_error();
	int reason = ERR_GET_LIB(e) == ERR_LIB_SSL ? ERR_GET_REASON(e) : 0;
	long verify = SSL_get_verify_result(t->ssl);
	int sign = bsc__signer_take_error(t->ctx->signer);
	int rc;

	if (sign != BS_OK)
		rc = bsc__fail(err, BS_EAUTH, BSC_FROM_CALLER, BSC_CLIENT_SIGN,
			       "the signing callback failed (%s)", bs_strerror(sign));
	else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK)
		rc = bsc__cert_fail(verify, t->host, t->port, err);
	else if (reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255)
		rc = fail_alert(t, (unsigned)(reason - SSL_AD_REASON_OFFSET), err);
	else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_UNSUPPORTED_PROTOCOL)
		rc = bsc__fail(err, BS_EPROTO, BSC_FROM_BASESTATION, BSC_TLS_PROTOCOL,
			       "%s:%u: no TLS 1.2 or 1.3 there; is this the client port?", t->host,
			       (unsigned)t->port);
	else
		rc = bsc__fail(err, BS_EPROTO, BSC_FROM_BASESTATION, BSC_TLS_FAILED,
			       "%s:%u: TLS failed (%s)", t->host, (unsigned)t->port,
			       e == 0 ? "no reason given" : ERR_reason_error_string(e));
	ERR_clear_error();
	return rc;
}

/** A file that cannot be used. */
static int fail_file(struct bsc_error *err, const char *what, const char *path)
{
	unsigned long e = ERR_peek_last_error();
	const char *why = e == 0 ? "no reason given" : ERR_reason_error_string(e);

	if (ERR_GET_REASON(e) == PEM_R_NO_START_LINE)
		why = "no such thing in it; is it PEM?";
	(void)bsc__fail(err, BS_ECONF, BSC_FROM_CALLER, BSC_USAGE, "%s %s: %s", what, path,
			why == NULL ? "unknown reason" : why);
	ERR_clear_error();
	return BS_ECONF;
}

/* ---- context */

/** Never ask on the terminal: an encrypted key is an error here. */
static int no_password(char *buf, int cap, int rwflag, void *arg)
{
	(void)buf;
	(void)cap;
	(void)rwflag;
	(void)arg;
	return -1;
}

/** With a pin the key is the identity: chain, name and dates do not matter. */
static int check_pin(X509_STORE_CTX *store, void *arg)
{
	const struct bsc__tls_ctx *ctx = arg;
	X509 *cert = X509_STORE_CTX_get0_cert(store);
	uint8_t fp[32];

	if (cert != NULL && bsc__cert_key_fp(cert, fp) && bs_equal_secret(fp, ctx->pin, sizeof fp))
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static struct kept *find_kept(struct bsc__tls_ctx *ctx, const char *key, uint16_t port)
{
	for (unsigned i = 0; i < BSC__TLS_HOSTS_MAX; i++)
		if (ctx->kept[i].host != NULL && ctx->kept[i].port == port &&
		    strcmp(ctx->kept[i].host, key) == 0)
			return &ctx->kept[i];
	return NULL;
}

/** Keep a session for its host; 1 = the reference is ours now. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct bsc__tls *t = SSL_get_app_data(ssl);
	struct bsc__tls_ctx *ctx = t->ctx;
	struct kept *k = find_kept(ctx, t->key, t->port);

	if (k == NULL) {
		char *key = strdup(t->key);

		if (key == NULL)
			return 0;
		k = &ctx->kept[ctx->next_kept++ % BSC__TLS_HOSTS_MAX];
		free(k->host);
		k->host = key;
		k->port = t->port;
	}
	SSL_SESSION_free(k->session);
	k->session = session;
	return 1;
}

static int load_trust(struct bsc__tls_ctx *ctx, const struct bsc_config *cfg, struct bsc_error *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx->ssl);
	X509_LOOKUP *lookup;

	if (cfg->pin != NULL) {
		ctx->has_pin = true;
		memcpy(ctx->pin, cfg->pin, sizeof ctx->pin);
		SSL_CTX_set_cert_verify_callback(ctx->ssl, check_pin, ctx);
		return BS_OK;
	}
	if (cfg->ca_file != NULL && SSL_CTX_load_verify_file(ctx->ssl, cfg->ca_file) != 1)
		return fail_file(err, "CA file", cfg->ca_file);
	if (cfg->ca_file == NULL && SSL_CTX_set_default_verify_paths(ctx->ssl) != 1)
		return fail_file(err, "CA certificates", "of the system");
	if (cfg->crl_file == NULL)
		return BS_OK;
	lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (lookup == NULL || X509_load_crl_file(lookup, cfg->crl_file, X509_FILETYPE_PEM) < 1 ||
	    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) != 1)
		return fail_file(err, "CRL file", cfg->crl_file);
	return BS_OK;
}

static int load_key(struct bsc__tls_ctx *ctx, const struct bsc_config *cfg, struct bsc_error *err)
{
	X509 *cert;

	if (SSL_CTX_use_certificate_chain_file(ctx->ssl, cfg->cert_file) != 1)
		return fail_file(err, "certificate file", cfg->cert_file);
	cert = SSL_CTX_get0_certificate(ctx->ssl);
	if (!bsc__cert_key_fp(cert, ctx->key_fp))
		return fail_file(err, "certificate file", cfg->cert_file);
	bsc__cert_identity(cert, ctx->identity);
	if (cfg->sign != NULL) {
		ctx->signer = bsc__signer_new(X509_get0_pubkey(cert), cfg->sign, cfg->sign_arg);
		if (ctx->signer == NULL ||
		    SSL_CTX_use_PrivateKey(ctx->ssl, bsc__signer_key(ctx->signer)) != 1)
			return bsc__fail(err, BS_ECONF, BSC_FROM_CALLER, BSC_USAGE,
					 "certificate file %s: its key cannot sign by callback; "
					 "only RSA and ECDSA can",
					 cfg->cert_file);
		return BS_OK;
	}
	if (SSL_CTX_use_PrivateKey_file(ctx->ssl, cfg->key_file, SSL_FILETYPE_PEM) != 1) {
		unsigned long e = ERR_peek_last_error();

		if (ERR_GET_LIB(e) == ERR_LIB_X509 &&
		    ERR_GET_REASON(e) == X509_R_KEY_VALUES_MISMATCH)
			return bsc__fail(err, BS_ECONF, BSC_FROM_CALLER, BSC_USAGE,
					 "key file %s: does not belong to certificate %s",
					 cfg->key_file, cfg->cert_file);
		return fail_file(err, "key file", cfg->key_file);
	}
	return BS_OK;
}

int bsc__tls_ctx_new(const struct bsc_config *cfg, struct bsc__tls_ctx **out, struct bsc_error *err)
{
	/* The wire form of the list: a length byte before the name. */
	static const uint8_t alpn[] = "\x0d" BS_GATE_ALPN;
	struct bsc__tls_ctx *ctx = calloc(1, sizeof *ctx);
	int rc;

	if (ctx == NULL)
		return bsc__fail_nomem(err);
	ERR_clear_error();
	ctx->ssl = SSL_CTX_new(TLS_client_method());
	if (ctx->ssl == NULL || SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_alpn_protos(ctx->ssl, alpn, sizeof alpn - 1) != 0) {
		ERR_clear_error();
		rc = bsc__fail(err, BS_ECRYPTO, BSC_FROM_LIBRARY, BSC_INTERNAL,
			       "OpenSSL does not work here");
		goto fail;
	}
	SSL_CTX_set_mode(ctx->ssl, SSL_MODE_RELEASE_BUFFERS);
	/* Session keys of devices come in here: OpenSSL keeps no plain copy of what was read. */
	SSL_CTX_set_options(ctx->ssl, SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_default_passwd_cb(ctx->ssl, no_password);
	SSL_CTX_set_session_cache_mode(ctx->ssl,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx->ssl, keep_session);
	SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, NULL);
	rc = load_trust(ctx, cfg, err);
	if (rc == BS_OK)
		rc = load_key(ctx, cfg, err);
	if (rc == BS_OK) {
		*out = ctx;
		return BS_OK;
	}
fail:
	bsc__tls_ctx_free(ctx);
	return rc;
}

void bsc__tls_ctx_free(struct bsc__tls_ctx *ctx)
{
	if (ctx == NULL)
		return;
	for (unsigned i = 0; i < BSC__TLS_HOSTS_MAX; i++) {
		SSL_SESSION_free(ctx->kept[i].session);
		free(ctx->kept[i].host);
	}
	SSL_CTX_free(ctx->ssl);
	bsc__signer_free(ctx->signer);
	free(ctx);
}

const char *bsc__tls_ctx_identity(const struct bsc__tls_ctx *ctx)
{
	return ctx->identity;
}

const uint8_t *bsc__tls_ctx_key_fp(const struct bsc__tls_ctx *ctx)
{
	return ctx->key_fp;
}

/* ---- one session */

/** What the certificate must carry, and what the server is told that we look for. */
static bool set_name(SSL *ssl, const char *name)
{
	X509_VERIFY_PARAM *p = SSL_get0_param(ssl);

	if (X509_VERIFY_PARAM_set1_ip_asc(p, name) == 1)
		return true;
	X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(p, name, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct bsc__tls *bsc__tls_new(struct bsc__tls_ctx *ctx, const char *host, uint16_t port,
			      const char *name)
{
	struct bsc__tls *t = calloc(1, sizeof *t);
	size_t host_len = strlen(host);
	struct kept *k;

	if (t == NULL)
		return NULL;
	ERR_clear_error();
	t->ctx = ctx;
	t->port = port;
	t->host = strdup(host);
	t->key = malloc(host_len + strlen(name) + 2);
	if (t->key != NULL) {
		memcpy(t->key, host, host_len);
		t->key[host_len] = '\n';
		memcpy(t->key + host_len + 1, name, strlen(name) + 1);
	}
	t->ssl = SSL_new(ctx->ssl);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (t->host == NULL || t->key == NULL || t->ssl == NULL || t->in == NULL ||
	    t->out == NULL || !set_name(t->ssl, name)) {
		BIO_free(t->in);
		BIO_free(t->out);
		SSL_free(t->ssl);
		free(t->host);
		free(t->key);
		free(t);
		ERR_clear_error();
		return NULL;
	}
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_app_data(t->ssl, t);
	SSL_set_connect_state(t->ssl);
	k = find_kept(ctx, t->key, port);
	if (k != NULL && k->session != NULL)
		(void)SSL_set_session(t->ssl, k->session);
	return t;
}

void bsc__tls_free(struct bsc__tls *t)
{
	if (t == NULL)
		return;
	/* OpenSSL takes a session that ended without a goodbye for broken and would not resume it;
	 * a cut cable is no reason for that, and a refusal has dropped the session already. */
	SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	free(t->host);
	free(t->key);
	free(t);
}

int bsc__tls_feed(struct bsc__tls *t, const uint8_t *data, size_t len)
{
	size_t n;

	return BIO_write_ex(t->in, data, len, &n) == 1 && n == len ? BS_OK : BS_ENOMEM;
}

size_t bsc__tls_take(struct bsc__tls *t, uint8_t *buf, size_t cap)
{
	size_t n = 0;

	return BIO_read_ex(t->out, buf, cap, &n) == 1 ? n : 0;
}

/** A session that led to a refusal must not be tried again. */
static void forget_session(struct bsc__tls *t)
{
	struct kept *k = find_kept(t->ctx, t->key, t->port);

	if (k != NULL) {
		SSL_SESSION_free(k->session);
		k->session = NULL;
	}
}

int bsc__tls_handshake(struct bsc__tls *t, struct bsc_error *err)
{
	const unsigned char *alpn;
	unsigned int alpn_len;
	int rc;

	if (t->done)
		return BS_OK;
	ERR_clear_error();
	rc = SSL_do_handshake(t->ssl);
	if (rc != 1) {
		if (SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ)
			return BS_EAGAIN;
		forget_session(t);
		return fail_tls(t, err);
	}
	SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_len);
	if (alpn_len != sizeof BS_GATE_ALPN - 1 || memcmp(alpn, BS_GATE_ALPN, alpn_len) != 0)
		return bsc__fail(err, BS_EPROTO, BSC_FROM_BASESTATION, BSC_TLS_PROTOCOL,
				 "%s:%u: TLS works, but it is no basestation (no ALPN %s)", t->host,
				 (unsigned)t->port, BS_GATE_ALPN);
	t->done = true;
	return BS_OK;
}

bs_ssize bsc__tls_read(struct bsc__tls *t, uint8_t *buf, size_t cap, struct bsc_error *err)
{
	size_t n = 0;
	int rc;

	ERR_clear_error();
	rc = SSL_read_ex(t->ssl, buf, cap, &n);
	if (rc == 1) {
		t->heard = true;
		return (bs_ssize)n;
	}
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ: return BS_EAGAIN;
	case SSL_ERROR_ZERO_RETURN: return BS_ECLOSED;
	default:
		/* TLS 1.3 tells only here that the server refused our certificate. */
		if (!t->heard)
			forget_session(t);
		return fail_tls(t, err);
	}
}

int bsc__tls_write(struct bsc__tls *t, const uint8_t *data, size_t len, struct bsc_error *err)
{
	size_t n = 0;

	ERR_clear_error();
	/* A memory BIO takes everything, so it never wants to be called again. */
	return SSL_write_ex(t->ssl, data, len, &n) == 1 ? BS_OK : fail_tls(t, err);
}

void bsc__tls_close(struct bsc__tls *t)
{
	ERR_clear_error();
	if (t->done)
		(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

const char *bsc__tls_version(const struct bsc__tls *t)
{
	return SSL_get_version(t->ssl);
}

const char *bsc__tls_cipher(const struct bsc__tls *t)
{
	return SSL_get_cipher_name(t->ssl);
}

bool bsc__tls_resumed(const struct bsc__tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}
