/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pki.h - certificates for tests, made on the spot, and a TLS client over memory.
 */
#ifndef BS_TEST_PKI_H
#define BS_TEST_PKI_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "basestation/types.h"
#include "net/tls.h"

/** The day of every test: 2026-01-02 03:04:05 UTC. */
#define PKI_NOW UINT64_C(1767323045)
#define PKI_DAY INT64_C(86400)

/** What a certificate says; zero gives a good client certificate of one year. */
struct pki_opts {
	const char *cn;     /**< common name; NULL = none */
	const char *cn2;    /**< a second one */
	const char *email;  /**< rfc822Name */
	const char *email2; /**< a second one */
	const char *dns;    /**< dNSName */
	const char *eku;    /**< "clientAuth", "serverAuth"; NULL = none */
	const char *usage;  /**< "digitalSignature" ...; NULL = none */
	bool ca;
	long serial;  /**< 0 = 1000 */
	int64_t from; /**< seconds from PKI_NOW; 0 = a day ago */
	int64_t to;   /**< seconds from PKI_NOW; 0 = a year ahead */
	int cn_len;   /**< bytes of cn when it holds a NUL; 0 = strlen */
};

/** A CA, a server and some keys. */
struct pki {
	EVP_PKEY *ca_key, *server_key, *client_key, *other_key, *weak_key, *ec_key, *ed_key;
	X509 *ca, *server, *client;
	X509 *other_ca; /**< not trusted; its key is other_key */
};

/** Make the keys that every struct pki shares: once, before the tests fork. */
void pki_make_keys(void);
void pki_forget_keys(void);
/** Make everything; aborts the test program when OpenSSL cannot. */
struct pki *pki_new(void);
/** The same with certificates that are good now: for what looks at the real clock. */
struct pki *pki_new_today(void);
void pki_free(struct pki *p);
/** A certificate for key, signed by issuer (NULL = self-signed with signer). */
X509 *pki_issue(EVP_PKEY *key, X509 *issuer, EVP_PKEY *signer, const struct pki_opts *o);
/** A CRL of issuer that lists n serials; next is seconds from PKI_NOW until nextUpdate. */
X509_CRL *pki_crl(X509 *issuer, EVP_PKEY *signer, const long *serials, size_t n, int64_t next);
/** PEM texts on the heap, terminated. */
char *pki_pem_cert(X509 *x);
char *pki_pem_key(EVP_PKEY *k);
char *pki_pem_crl(X509_CRL *c);
struct bs_slice pki_text(const char *s);

/** A snapshot with the PKI's server certificate and CA; crl may be NULL. */
struct bs_tls_pem *pki_pem(const struct pki *p, X509_CRL *crl, uint32_t ticket_life_s);

/** A client session over memory, joined to a server session. */
struct pki_link {
	struct bs_tls *srv;
	SSL *cli;
	SSL_CTX *ctx;
	SSL_SESSION *ticket; /**< newest that came; the link owns it */
	int client_error;    /**< SSL_get_error of the client's failure, 0 = none */
	int alert;           /**< alert that the client received, -1 = none */
	unsigned hurried;    /**< writes of the server that the client waits for */
	unsigned unhurried;  /**< and those that may go with the next one */
};

/** How the client behaves. */
struct pki_client {
	X509 *cert; /**< NULL = none */
	EVP_PKEY *key;
	const X509 *extra; /**< sent behind cert */
	const char *alpn;  /**< NULL = "basestation/1"; "" = no ALPN extension */
	int version;       /**< TLS1_2_VERSION ...; 0 = whatever fits */
	SSL_SESSION *resume;
};

/** Join; neither side has said anything yet. */
void pki_link_init(struct pki_link *l, struct bs_tls_server *s, const struct pki_client *c);
/** Let both sides talk until nothing moves; the server's handshake result. */
int pki_link_run(struct pki_link *l);
void pki_link_fini(struct pki_link *l);

#endif
