/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_internal.h - what the files of net/tls share; OpenSSL types stay behind it.
 */
#ifndef BS_NET_TLS_INTERNAL_H
#define BS_NET_TLS_INTERNAL_H

#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#include "crypto/crypto.h"
#include "net/tls.h"

/** A PEM text of our own, NUL behind its len bytes. */
struct bs__pem_text {
	char *p;
	size_t len;
};

/** Certificates and limits, immutable. */
struct bs_tls_pem {
	atomic_uint refs;
	struct bs__pem_text cert, key, cert2, key2;
	struct bs__pem_text cas, crls; /**< all bundles, one after the other */
	size_t n_cas;
	uint32_t rsa_min_bits;
	uint32_t ticket_life_s;
	uint16_t tls_min;
	uint64_t crl_expiry_s;
	uint64_t cert_expiry_s;
	uint8_t epoch[BS_TLS_HASH_LEN];
};

/** One ticket key. */
struct bs__ticket_key {
	uint8_t name[16];
	uint8_t aes[32];
	uint8_t mac[32];
};

/** Ticket keys, immutable; the first one seals. */
struct bs_tls_keys {
	atomic_uint refs;
	size_t n;
	struct bs__ticket_key key[BS_TLS_TICKET_KEYS];
};

/** A chain that was verified. */
struct bs__tls_chain {
	uint8_t cert_hash[BS_TLS_HASH_LEN];
	uint8_t ca_fp[BS_TLS_HASH_LEN];
	bool direct;
	uint64_t not_before_s;
	uint64_t not_after_s; /**< 0 = empty slot */
};

/** Library contexts of a worker, see tls_lib.c; all NULL = the global one is used. */
struct bs__tls_lib {
	OSSL_LIB_CTX *whole; /**< the default provider, for reading keys and behind tls */
	OSSL_LIB_CTX *tls;   /**< what handshakes run in */
	OSSL_LIB_CTX *none;  /**< offers nothing; the thread's default while OpenSSL works */
	OSSL_PROVIDER *full, *lender, *own, *nothing;
	bool shares; /**< the next pair of keys is kept in pair, for the handshakes of a tick */
	void *pair;  /**< of the default provider in whole; NULL = none */
};

/** A CRL that was found to be good, and the certificate of the CA set that signed it; borrowed. */
struct bs__tls_good_crl {
	const X509_CRL *crl;
	const X509 *issuer;
};

struct bs_tls_server {
	unsigned refs; /**< the worker's own, and one per session */
	struct bs__tls_lib lib;
	SSL_CTX *ctx;
	BIO_METHOD *bio;
	EVP_MD *sha256;         /**< fetched once */
	EVP_CIPHER *ticket_aes; /**< what seals tickets, fetched once */
	struct bs_tls_pem *pem;
	struct bs_tls_keys *keys;
	struct bs_tls_hooks hooks;
	struct bs__tls_chain *cache; /**< [cache_n], one slot per hash */
	size_t cache_n;
	struct bs__tls_good_crl *good_crl; /**< [n_crls], the first n_good_crl in use */
	size_t n_crls, n_good_crl;
	X509_STORE_CTX_check_crl_fn check_crl; /**< OpenSSL's own */
	struct bs_tls_stats stats;
};

struct bs_tls {
	struct bs_tls_server *srv;
	SSL *ssl;
	struct bs_tls_io io;
	enum bs_tls_refusal refusal;
	bool done;        /**< handshake finished */
	bool counted;     /**< its outcome is in the statistics */
	bool eof;         /**< the transport ended */
	bool broken;      /**< no further call on ssl but free */
	bool wants_write; /**< why the last BS_EAGAIN */
	bool wiped;       /**< the private half of the pair of a key agreement is gone */
	struct bs_tls_peer peer;
};

/**
 * Contexts for the calling thread.  BS_OK; BS_ESTATE: there is no default provider to lend from;
 * BS_ENOMEM.  After an error lib stands for the global context.
 */
BS_MUSTCHECK int bs__tls_lib_init(struct bs__tls_lib *lib);
/** After everything that was made in it. */
void bs__tls_lib_fini(struct bs__tls_lib *lib);
/** Around every call that may open a session: what leave has to be told. */
OSSL_LIB_CTX *bs__tls_lib_enter(const struct bs__tls_lib *lib);
void bs__tls_lib_leave(const struct bs__tls_lib *lib, OSSL_LIB_CTX *before);

/** The default provider's X25519 keys with a pair that is shared; their table must be static. */
const OSSL_DISPATCH *bs__tls_share_wrap(const OSSL_DISPATCH *theirs);
/** Wipe the pair that is shared, and whether the next one will be. */
void bs__tls_share_forget(struct bs__tls_lib *lib, bool shares);
/** Around every step of a handshake; the end wipes the private half of the session's own pair. */
void bs__tls_share_begin(const struct bs_tls *t);
void bs__tls_share_end(struct bs_tls *t);

/** The provider of tls_own.c, and what it offers beside OpenSSL's own names. */
#define BS__TLS_OWN           "basestation-own"
#define BS__TLS_TICKET_CIPHER "basestation-ticket"
/** Its start, as OpenSSL calls it; the thread's default library context must live longer. */
int bs__tls_own_start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
		      const OSSL_DISPATCH **out, void **provctx);
/**
 * Random bytes for identifiers and IVs, drawn in batches: for each draw OpenSSL takes a lock and
 * asks the kernel whether the process has forked.
 */
BS_MUSTCHECK bool bs__tls_own_random(const struct bs__tls_lib *lib, uint8_t *buf, size_t len);

/** What tls_mac.c offers, and what it computes with: the worker's own, and OpenSSL's. */
const OSSL_ALGORITHM *bs__tls_mac_query(void);
void bs__tls_own_mac(void *provctx, const struct bs_crypto **crypto, EVP_MAC **theirs);

/** Wall clock of a server context. */
uint64_t bs__tls_clock(const struct bs_tls_server *s);
/** Unix time of an ASN.1 time; 0 before 1970 or when not readable. */
uint64_t bs__tls_time(const ASN1_TIME *t);
/** The next certificate of a PEM text, for use in lib; NULL at the end or on error (*bad). */
X509 *bs__tls_next_cert(BIO *b, OSSL_LIB_CTX *lib, bool *bad);
/** Fill everything of peer that stands in the leaf certificate; sha256: fetched once. */
BS_MUSTCHECK int bs__tls_peer_fill(struct bs_tls_peer *peer, X509 *leaf, const EVP_MD *sha256);
/** SHA-256 over the DER of every certificate in order. */
BS_MUSTCHECK int bs__tls_chain_hash(STACK_OF(X509) * chain, const EVP_MD *sha256,
				    uint8_t out[BS_TLS_HASH_LEN]);
/** What the caller's check says about t->peer; true where there is none. */
bool bs__tls_check(struct bs_tls *t);
/** SHA-256 of one certificate's DER. */
BS_MUSTCHECK int bs__tls_cert_fp(X509 *x, uint8_t out[BS_TLS_HASH_LEN]);
/** The verification callback; arg is the bs_tls_server. */
int bs__tls_verify(X509_STORE_CTX *x, void *arg);
/** Let signatures of CRLs be verified once per context instead of once per handshake. */
BS_MUSTCHECK int bs__tls_crls_init(struct bs_tls_server *s);
/** Set the ticket callbacks of a context. */
BS_MUSTCHECK int bs__tls_tickets_init(struct bs_tls_server *s);
/** Private keys of PEM texts need no pass phrase: refuse instead of asking the terminal. */
int bs__tls_no_password(char *buf, int size, int rwflag, void *u);

#endif
