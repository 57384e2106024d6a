/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls.h - the server's end of TLS: certificates, client authentication, session tickets.
 *
 * Three kinds of object.  Snapshots (certificates, ticket keys) are made by the main thread, never
 * change afterwards, are counted atomically and shared by all workers.  A bs_tls_server is one
 * worker's context, built from the snapshots; a bs_tls is one session of that worker.  Bytes come
 * and go through two functions of the caller, so a session runs over a socket or over memory.
 *
 * What is checked about a client: chain to a client CA, validity, key usage, extended key usage
 * clientAuth (where the certificate has the extension), RSA of at least rsa_min_bits or ECDSA of at
 * least 256 bits, the CRLs, and whatever the caller's check function adds.  A bad identity does not
 * fail the handshake: the caller can then tell the client why (bs_tls_peer.id_fault).  A CA without
 * a CRL revokes nothing.  A CRL past its nextUpdate stays in force, since what it lists stays
 * revoked; bs_tls_pem_crl_expiry tells the operator, because locking out every client over a late
 * CRL would help nobody.
 *
 * It may call util, log and crypto, and OpenSSL.  OpenSSL types do not leave net/.
 */
#ifndef BS_NET_TLS_H
#define BS_NET_TLS_H

#include "basestation/error.h"
#include "basestation/types.h"

/** Bytes of every hash here: SHA-256. */
#define BS_TLS_HASH_LEN 32
/** Longest serial number kept; RFC 5280, section 4.1.2.2 allows 20. */
#define BS_TLS_SERIAL_MAX 20
/** Ticket keys in force at a time: the one that seals, and older ones that only open. */
#define BS_TLS_TICKET_KEYS 3
/** Bytes of one ticket key: name, AES-256 key, HMAC key. */
#define BS_TLS_TICKET_KEY_LEN (16 + 32 + 32)
/** Room for an error message of this module. */
#define BS_TLS_ERROR_MAX 256

struct bs_tls_pem;
struct bs_tls_keys;
struct bs_tls_server;
struct bs_tls;

/** Why a client was refused; one counter each. */
enum bs_tls_refusal {
	BS_TLS_REFUSED_NONE = 0,
	BS_TLS_REFUSED_NO_CERT,   /**< presented no certificate */
	BS_TLS_REFUSED_UNTRUSTED, /**< no chain to a client CA, or a signature is wrong */
	BS_TLS_REFUSED_EXPIRED,   /**< a certificate of the chain has expired */
	BS_TLS_REFUSED_NOT_YET,   /**< a certificate of the chain is not valid yet */
	BS_TLS_REFUSED_REVOKED,   /**< in a CRL, or by the caller's check */
	BS_TLS_REFUSED_WEAK_KEY,  /**< RSA or EC key too short */
	BS_TLS_REFUSED_KEY_TYPE,  /**< neither RSA nor ECDSA */
	BS_TLS_REFUSED_KEY_USAGE, /**< key usage or purpose forbids client authentication */
	BS_TLS_REFUSED_CHAIN,     /**< chain too long or certificate not readable */
	BS_TLS_REFUSED_ALPN,      /**< did not offer our protocol name */
	BS_TLS_REFUSED_VERSION,   /**< TLS version too old */
	BS_TLS_REFUSED_HANDSHAKE, /**< any other failure of the handshake */
	BS_TLS_REFUSED_N,
};

/** What is wrong with the identity in a certificate. */
enum bs_tls_id_fault {
	BS_TLS_ID_OK = 0,
	BS_TLS_ID_NONE,     /**< neither an rfc822Name nor a common name */
	BS_TLS_ID_MANY_SAN, /**< more than one rfc822Name */
	BS_TLS_ID_MANY_CN,  /**< no rfc822Name and more than one common name */
	BS_TLS_ID_LENGTH,   /**< empty or longer than BS_CLIENT_ID_MAX */
	BS_TLS_ID_BYTES,    /**< a byte outside 0x21..0x7E */
};

/** What TLS proved about a client. */
struct bs_tls_peer {
	char identity[BS_CLIENT_ID_MAX + 1];  /**< lower case, terminated; empty on id_fault */
	enum bs_tls_id_fault id_fault;        /**< why identity is empty */
	uint8_t key_fp[BS_TLS_HASH_LEN];      /**< of the SubjectPublicKeyInfo */
	uint8_t leaf_fp[BS_TLS_HASH_LEN];     /**< of the client certificate alone */
	uint8_t cert_hash[BS_TLS_HASH_LEN];   /**< over every certificate presented */
	uint8_t ca_fp[BS_TLS_HASH_LEN];       /**< of the certificate that issued the client's */
	uint8_t issuer_hash[BS_TLS_HASH_LEN]; /**< of the DER of the issuer's name */
	uint8_t serial[BS_TLS_SERIAL_MAX];    /**< big-endian, without leading zeros */
	uint8_t serial_len;
	bool direct;           /**< issued by a certificate of the CA set itself */
	uint64_t not_after_s;  /**< Unix time: the earliest end of validity in the chain */
	uint64_t proved_s;     /**< Unix time of the full handshake that proved the key */
	uint64_t access_epoch; /**< at the last check by the caller */
	bool resumed;          /**< this handshake was a resumption */
};

/** PEM texts and limits that a snapshot is made of; all borrowed for the call. */
struct bs_tls_material {
	struct bs_slice cert;  /**< server certificate with its chain, RSA */
	struct bs_slice key;   /**< its private key */
	struct bs_slice cert2; /**< ECDSA certificate beside it; len 0 = none */
	struct bs_slice key2;
	const struct bs_slice *cas; /**< bundles of client CA certificates */
	size_t n_cas;
	const struct bs_slice *ca_ders; /**< more client CA certificates, one each, DER */
	size_t n_ca_ders;
	const struct bs_slice *crls; /**< bundles of CRLs */
	size_t n_crls;
	uint64_t crl_epoch; /**< rises whenever CAs or CRLs changed */
	uint32_t rsa_min_bits;
	uint32_t ticket_life_s; /**< resumption so long after a full handshake; 0 = never */
	uint16_t tls_min;       /**< 0x0303 or 0x0304 */
};

/**
 * The caller's say about a client whose chain is good, at a full handshake and at a resumption.
 * Sets peer->access_epoch to the epoch it judged by.  BS_OK to go on, BS_EPERM = revoked.
 */
typedef int (*bs_tls_check_fn)(void *ctx, struct bs_tls_peer *peer);
/** Wall-clock seconds, so that a test decides what day it is. */
typedef uint64_t (*bs_tls_clock_fn)(void *ctx);

/** What a server context calls back. */
struct bs_tls_hooks {
	void *ctx;
	bs_tls_check_fn check; /**< NULL = everybody with a good chain */
	bs_tls_clock_fn clock; /**< NULL = time(2) */
};

/** How a session reaches its transport. */
struct bs_tls_io {
	void *ctx;
	/** Up to cap bytes into buf: their number, 0 at the end, BS_EAGAIN, BS_EIO. */
	bs_ssize (*read)(void *ctx, uint8_t *buf, size_t cap);
	/**
	 * Up to len bytes from buf: their number, BS_EAGAIN, BS_EIO.  more: the peer does not wait
	 * for them (a ticket), so they may go with what is written next.
	 */
	bs_ssize (*write)(void *ctx, const uint8_t *buf, size_t len, bool more);
};

/** Sums of one server context; read by its worker. */
struct bs_tls_stats {
	uint64_t full;                      /**< full handshakes finished */
	uint64_t resumed;                   /**< resumptions finished */
	uint64_t ticket_ignored;            /**< tickets not honoured: full handshake instead */
	uint64_t cache_hits;                /**< chains known to be good */
	uint64_t refused[BS_TLS_REFUSED_N]; /**< by enum bs_tls_refusal */
};

/**
 * Check and take a copy of certificates and keys.  *out starts with one reference.
 * BS_OK; BS_ECONF with a message in err naming what is wrong with which part; BS_ENOMEM.
 * Main thread.
 */
BS_MUSTCHECK int bs_tls_pem_new(const struct bs_tls_material *m, struct bs_tls_pem **out, char *err,
				size_t err_cap);
struct bs_tls_pem *bs_tls_pem_ref(struct bs_tls_pem *p);
/** Any thread; private keys are wiped with the last reference.  NULL is fine. */
void bs_tls_pem_unref(struct bs_tls_pem *p);
/** Unix time of the earliest nextUpdate among the CRLs, 0 without any. */
uint64_t bs_tls_pem_crl_expiry(const struct bs_tls_pem *p);
/** Unix time when the server certificate (the earlier of the two) expires. */
uint64_t bs_tls_pem_cert_expiry(const struct bs_tls_pem *p);
/**
 * SHA-256 over client CAs, CRLs and limits: the CRL epoch.  Tickets and verified chains hold only
 * under the value they were made under.
 */
const uint8_t *bs_tls_pem_epoch(const struct bs_tls_pem *p);
/** How many client CA certificates it has; with none nobody can connect. */
size_t bs_tls_pem_n_cas(const struct bs_tls_pem *p);

/**
 * Ticket keys for all workers; raw holds n (1..BS_TLS_TICKET_KEYS) keys of BS_TLS_TICKET_KEY_LEN
 * bytes, the sealing one first.  NULL without memory.
 */
struct bs_tls_keys *bs_tls_keys_new(const uint8_t *raw, size_t n);
/** Their bytes as bs_tls_keys_new takes them; how many keys there are.  Wipe raw after use. */
size_t bs_tls_keys_raw(const struct bs_tls_keys *k,
		       uint8_t raw[static BS_TLS_TICKET_KEYS * BS_TLS_TICKET_KEY_LEN]);
struct bs_tls_keys *bs_tls_keys_ref(struct bs_tls_keys *k);
void bs_tls_keys_unref(struct bs_tls_keys *k);
/** A fresh sealing key before the old ones (may be NULL), the oldest dropped.  Main thread. */
BS_MUSTCHECK int bs_tls_keys_rotate(const struct bs_tls_keys *old, struct bs_tls_keys **out);

/**
 * One worker's context.  Takes a reference to both snapshots; cache_n entries remember verified
 * chains (0 = none).  BS_OK, BS_ENOMEM, or BS_ECONF with a message in err.
 */
BS_MUSTCHECK int bs_tls_server_new(struct bs_tls_pem *pem, struct bs_tls_keys *keys,
				   const struct bs_tls_hooks *hooks, size_t cache_n,
				   struct bs_tls_server **out, char *err, size_t err_cap);
/**
 * Every 10 ms or so, by whoever has many handshakes: those of TLS 1.3 between two calls
 * share an ephemeral X25519 key pair, which is wiped here.  Without a first call each has its own.
 */
void bs_tls_server_tick(struct bs_tls_server *s);
/** Sessions may outlive it: the last one frees what they share.  NULL is fine. */
void bs_tls_server_free(struct bs_tls_server *s);
/** New ticket keys from now on. */
void bs_tls_server_set_keys(struct bs_tls_server *s, struct bs_tls_keys *keys);
/**
 * Whether what an older context accepted still stands under this one: BS_OK; BS_EAUTH: a CRL names
 * the certificate now; BS_ESTATE: cannot tell, the client has to prove itself again.
 */
BS_MUSTCHECK int bs_tls_server_recheck(const struct bs_tls_server *s,
				       const struct bs_tls_peer *peer);
const struct bs_tls_stats *bs_tls_server_stats(const struct bs_tls_server *s);

/** A session that waits for its handshake; io is copied.  NULL without memory. */
struct bs_tls *bs_tls_new(struct bs_tls_server *s, const struct bs_tls_io *io);
/** Free without a word to the peer; bs_tls_close first where one is due.  NULL is fine. */
void bs_tls_free(struct bs_tls *t);
/**
 * Go on with the handshake.  BS_OK when done; BS_EAGAIN: call when the transport is ready, see
 * bs_tls_wants_write; BS_EAUTH: refused, see bs_tls_refusal; BS_EPROTO or BS_ECLOSED.
 */
BS_MUSTCHECK int bs_tls_handshake(struct bs_tls *t);
/** Bytes read; BS_EAGAIN, BS_ECLOSED (peer ended), BS_EPROTO. */
BS_MUSTCHECK bs_ssize bs_tls_read(struct bs_tls *t, uint8_t *buf, size_t cap);
/** Bytes taken, all or a part; BS_EAGAIN (repeat with the same bytes), BS_ECLOSED, BS_EPROTO. */
BS_MUSTCHECK bs_ssize bs_tls_write(struct bs_tls *t, const uint8_t *buf, size_t len);
/** Tell the peer that nothing more comes; best effort. */
void bs_tls_close(struct bs_tls *t);
/** Whether the last BS_EAGAIN waits for the transport to take bytes. */
bool bs_tls_wants_write(const struct bs_tls *t);
/** Whether the handshake goes by a ticket; known from the first message of the client on. */
bool bs_tls_is_resumption(const struct bs_tls *t);
/** Decrypted bytes that wait inside: bs_tls_read has some without the transport being ready. */
bool bs_tls_has_pending(const struct bs_tls *t);
/** Who the peer is; valid after the handshake, until bs_tls_free. */
const struct bs_tls_peer *bs_tls_peer_get(const struct bs_tls *t);
enum bs_tls_refusal bs_tls_refusal(const struct bs_tls *t);
/** "TLSv1.3" and the like; static. */
const char *bs_tls_version(const struct bs_tls *t);
/** Texts for people; static, never NULL. */
const char *bs_tls_refusal_text(enum bs_tls_refusal r);
const char *bs_tls_id_fault_text(enum bs_tls_id_fault f);

#endif
