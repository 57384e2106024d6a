/* SPDX-License-Identifier: Apache-2.0 */
/*
 * certs.h - certificates made on the spot, PEM files in a folder of their own, and a TLS server
 * over memory for the client to talk to.
 */
#ifndef BS_TEST_CLIENT_CERTS_H
#define BS_TEST_CLIENT_CERTS_H

#include <openssl/ssl.h>

#include "tls.h"

#define DAY 86400L

/** What a certificate says; zero makes one for "localhost", valid now. */
struct cert_opts {
	const char *cn;  /**< NULL = "localhost" */
	const char *san; /**< in OpenSSL's form, "DNS:localhost"; NULL = that; "" = none */
	bool ca;
	long serial; /**< 0 = 1 */
	long from;   /**< seconds from now; 0 = a day ago */
	long to;     /**< seconds from now; 0 = a year ahead */
};

/** Keys and a CA, made once per program; a folder for files. */
struct certs {
	char dir[64];
	EVP_PKEY *ca_key, *rsa, *ec, *other;
	X509 *ca;
};

struct certs *certs_get(void);
X509 *cert_make(EVP_PKEY *key, X509 *issuer, EVP_PKEY *signer, const struct cert_opts *o);
/** Write PEM files; the path lives until the next test. */
const char *cert_file(const char *name, X509 *a, X509 *b);
const char *key_file(const char *name, EVP_PKEY *key, const char *password);
const char *crl_file(const char *name, long serial, long next);
/** Path of a file in the folder, with this text when text is not NULL. */
const char *text_file(const char *name, const char *text);

/** How the server behaves; zero asks for no client certificate. */
struct server_opts {
	X509 *cert;       /**< for `key` below; NULL = a good one for localhost */
	EVP_PKEY *key;    /**< NULL = certs rsa */
	int version;      /**< TLS1_2_VERSION ... ; 0 = any */
	bool want_client; /**< demand a client certificate from our CA */
	int client_error; /**< refuse the client certificate with this X509_V_ERR_*, 0 = do not */
	const char *alpn; /**< NULL = ours, "" = none */
	bool ecdsa;       /**< client may sign with ECDSA only */
};

/** A server session over memory. */
struct server {
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in;
	BIO *out;
	char got[256];
	size_t got_len;
};

void server_init(struct server *s, const struct server_opts *o);
/** A new session of the same server (the same ticket keys). */
void server_again(struct server *s);
void server_fini(struct server *s);
/**
 * Let both talk until nothing moves.  Returns what the client's last call gave: BS_OK (done),
 * BS_EAGAIN or an error with *err.  When both are done, the server says "hi" and reads.
 */
int server_talk(struct server *s, struct bsc__tls *t, struct bsc_error *err);

#endif
