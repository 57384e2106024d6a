/* SPDX-License-Identifier: Apache-2.0 */
#include "secure.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALPN_MAX 64

struct secure {
	SSL_CTX *ctx;
	SSL_SESSION *session;
	const char *name;
	bool resume;
	char why[160];
};

static void remember(struct secure *s)
{
	const unsigned long e = ERR_peek_last_error();
	const char *reason = e ? ERR_reason_error_string(e) : NULL;

	(void)snprintf(s->why, sizeof(s->why), "%s", reason ? reason : "the connection broke");
	ERR_clear_error();
}

/* The newest session serves the next handshakes, as a copy: one that ends in disorder takes the
 * original with it.  0 = the reference is not ours. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct secure *s = SSL_get_app_data(ssl);
	SSL_SESSION *copy = SSL_SESSION_dup(session);

	if (copy) {
		SSL_SESSION_free(s->session);
		s->session = copy;
	}
	return 0;
}

/* Each link has a copy of its own, for the same reason. */
static bool use_session(const struct secure *s, SSL *ssl)
{
	SSL_SESSION *copy = SSL_SESSION_dup(s->session);
	const bool ok = copy && SSL_set_session(ssl, copy) == 1;

	SSL_SESSION_free(copy);
	return ok;
}

static bool set_version(SSL_CTX *ctx, const char *tls)
{
	int version = 0;

	if (strcmp(tls, "1.2") == 0)
		version = TLS1_2_VERSION;
	else if (strcmp(tls, "1.3") == 0)
		version = TLS1_3_VERSION;
	else if (strcmp(tls, "any") != 0)
		return false;
	return SSL_CTX_set_min_proto_version(ctx, version ? version : TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, version) == 1;
}

/* On the wire a length stands before the name. */
static bool set_alpn(SSL_CTX *ctx, const char *name)
{
	uint8_t list[1 + ALPN_MAX];
	const size_t len = strlen(name);

	if (strcmp(name, "-") == 0)
		return true;
	if (len == 0 || len > ALPN_MAX)
		return false;
	list[0] = (uint8_t)len;
	memcpy(list + 1, name, len);
	return SSL_CTX_set_alpn_protos(ctx, list, (unsigned)len + 1) == 0;
}

static const char *set_up(struct secure *s, const struct secure_conf *c)
{
	s->ctx = SSL_CTX_new(TLS_client_method());
	if (!s->ctx)
		return "OpenSSL does not work here";
	if (!set_version(s->ctx, c->tls))
		return "--tls: 1.2, 1.3 or any";
	if (!set_alpn(s->ctx, c->alpn))
		return "--alpn: up to 64 characters";
	if (!c->ca || SSL_CTX_load_verify_file(s->ctx, c->ca) != 1)
		return "--ca: no certificates in this file";
	if (!c->cert || SSL_CTX_use_certificate_chain_file(s->ctx, c->cert) != 1)
		return "--cert: no certificate in this file";
	if (!c->key || SSL_CTX_use_PrivateKey_file(s->ctx, c->key, SSL_FILETYPE_PEM) != 1)
		return "--key: no key for the certificate in this file";
	SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(s->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(s->ctx, c->resume ? SSL_SESS_CACHE_CLIENT |
								   SSL_SESS_CACHE_NO_INTERNAL
							 : SSL_SESS_CACHE_OFF);
	SSL_CTX_sess_set_new_cb(s->ctx, keep_session);
	return NULL;
}

struct secure *secure_new(const struct secure_conf *conf)
{
	struct secure *s = calloc(1, sizeof(*s));
	const char *bad = s ? set_up(s, conf) : "no memory";

	if (bad) {
		(void)fprintf(stderr, "bsload: %s\n", bad);
		secure_free(s);
		return NULL;
	}
	s->name = conf->name;
	s->resume = conf->resume;
	return s;
}

void secure_free(struct secure *s)
{
	if (!s)
		return;
	SSL_SESSION_free(s->session);
	SSL_CTX_free(s->ctx);
	free(s);
}

bool secure_has_session(const struct secure *s)
{
	return s->session != NULL;
}

int secure_open(struct secure *s, struct secure_link *l, int fd)
{
	SSL *ssl = SSL_new(s->ctx);

	l->ssl = ssl;
	if (!ssl || SSL_set_fd(ssl, fd) != 1)
		return BS_ENOMEM;
	SSL_set_app_data(ssl, s);
	SSL_set_connect_state(ssl);
	if (SSL_set_tlsext_host_name(ssl, s->name) != 1 || SSL_set1_host(ssl, s->name) != 1)
		return BS_ENOMEM;
	if (s->resume && s->session && !use_session(s, ssl))
		return BS_ENOMEM;
	return BS_OK;
}

int secure_handshake(struct secure_link *l)
{
	const int r = SSL_do_handshake(l->ssl);
	const int e = r == 1 ? SSL_ERROR_NONE : SSL_get_error(l->ssl, r);

	if (r == 1)
		return BS_OK;
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return BS_EAGAIN;
	remember(SSL_get_app_data((SSL *)l->ssl));
	return BS_EAUTH;
}

bool secure_is_resumed(const struct secure_link *l)
{
	return SSL_session_reused(l->ssl) == 1;
}

bs_ssize secure_read(struct secure_link *l, uint8_t *buf, size_t cap)
{
	const int n = SSL_read(l->ssl, buf, cap > INT32_MAX ? INT32_MAX : (int)cap);
	int e;

	if (n > 0)
		return n;
	e = SSL_get_error(l->ssl, n);
	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return BS_EAGAIN;
	remember(SSL_get_app_data((SSL *)l->ssl));
	return BS_ECLOSED;
}

int secure_write(struct secure_link *l, const uint8_t *buf, size_t len)
{
	if (len <= INT32_MAX && SSL_write(l->ssl, buf, (int)len) == (int)len)
		return BS_OK;
	remember(SSL_get_app_data((SSL *)l->ssl));
	return BS_EIO;
}

void secure_shut(struct secure_link *l)
{
	(void)SSL_shutdown(l->ssl);
	ERR_clear_error();
}

void secure_close(struct secure_link *l)
{
	SSL_free(l->ssl);
	l->ssl = NULL;
}

const char *secure_why(const struct secure *s)
{
	return s->why;
}
