/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_verify.c - is this client's certificate chain good, and the memory of chains that were.
 */
#include "net/tls_internal.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>

/** Shortest EC key: that of P-256. */
#define EC_MIN_BITS 256

uint64_t bs__tls_clock(const struct bs_tls_server *s)
{
	time_t t;

	if (s->hooks.clock)
		return s->hooks.clock(s->hooks.ctx);
	t = time(NULL);
	return t > 0 ? (uint64_t)t : 0;
}

/** X.509 verification errors as refusals; what is not listed is "untrusted". */
static enum bs_tls_refusal refusal_of(int x509_error)
{
	switch (x509_error) {
	case X509_V_ERR_CERT_HAS_EXPIRED: return BS_TLS_REFUSED_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID: return BS_TLS_REFUSED_NOT_YET;
	case X509_V_ERR_CERT_REVOKED: return BS_TLS_REFUSED_REVOKED;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL: return BS_TLS_REFUSED_WEAK_KEY;
	case X509_V_ERR_INVALID_PURPOSE:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN: return BS_TLS_REFUSED_KEY_USAGE;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED: return BS_TLS_REFUSED_CHAIN;
	default: return BS_TLS_REFUSED_UNTRUSTED;
	}
}

/**
 * The CRL policy of tls.h: no CRL for a CA revokes nothing, and one past its time stays in force.
 * All other errors stand.
 */
static int tolerate_crl_age(int ok, X509_STORE_CTX *x)
{
	if (ok)
		return 1;
	switch (X509_STORE_CTX_get_error(x)) {
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_CRL_HAS_EXPIRED:
	case X509_V_ERR_CRL_NOT_YET_VALID: X509_STORE_CTX_set_error(x, X509_V_OK); return 1;
	default: return 0;
	}
}

/** The client's own key: type and size. */
static enum bs_tls_refusal check_key(const struct bs_tls_server *s, X509 *leaf)
{
	EVP_PKEY *k = X509_get0_pubkey(leaf);

	if (!k)
		return BS_TLS_REFUSED_KEY_TYPE;
	switch (EVP_PKEY_get_base_id(k)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		return EVP_PKEY_get_bits(k) >= (int)s->pem->rsa_min_bits ? BS_TLS_REFUSED_NONE
									 : BS_TLS_REFUSED_WEAK_KEY;
	case EVP_PKEY_EC:
		return EVP_PKEY_get_bits(k) >= EC_MIN_BITS ? BS_TLS_REFUSED_NONE
							   : BS_TLS_REFUSED_WEAK_KEY;
	default: return BS_TLS_REFUSED_KEY_TYPE;
	}
}

static struct bs__tls_chain *cache_slot(struct bs_tls_server *s, const uint8_t *hash)
{
	size_t h;

	if (s->cache_n == 0)
		return NULL;
	memcpy(&h, hash, sizeof(h));
	return &s->cache[h % s->cache_n];
}

/** A chain that was verified before and is still within its validity. */
static const struct bs__tls_chain *cache_find(struct bs_tls_server *s, const uint8_t *hash,
					      uint64_t now_s)
{
	const struct bs__tls_chain *c = cache_slot(s, hash);

	if (!c || c->not_after_s == 0 || memcmp(c->cert_hash, hash, BS_TLS_HASH_LEN) != 0)
		return NULL;
	return now_s >= c->not_before_s && now_s <= c->not_after_s ? c : NULL;
}

/** Validity common to the chain, and the certificate that issued the leaf. */
static int summarise(X509_STORE_CTX *x, struct bs__tls_chain *out)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(x);
	int n = sk_X509_num(chain);

	if (n < 1)
		return BS_EINTERNAL;
	out->not_before_s = 0;
	out->not_after_s = UINT64_MAX;
	for (int i = 0; i < n; i++) {
		const X509 *c = sk_X509_value(chain, i);
		uint64_t from = bs__tls_time(X509_get0_notBefore(c));
		uint64_t to = bs__tls_time(X509_get0_notAfter(c));

		if (from > out->not_before_s)
			out->not_before_s = from;
		if (to < out->not_after_s)
			out->not_after_s = to;
	}
	/* A chain of two is the client's certificate and a CA of the set. */
	out->direct = n <= 2;
	return bs__tls_cert_fp(sk_X509_value(chain, n > 1 ? 1 : 0), out->ca_fp);
}

/** The long way: signatures, validity, purpose, CRLs, key. */
static enum bs_tls_refusal verify_chain(struct bs_tls_server *s, X509_STORE_CTX *x, X509 *leaf,
					uint64_t now_s, struct bs__tls_chain *out)
{
	X509_STORE_CTX_set_time(x, 0, (time_t)now_s);
	X509_STORE_CTX_set_verify_cb(x, tolerate_crl_age);
	if (X509_verify_cert(x) != 1)
		return refusal_of(X509_STORE_CTX_get_error(x));
	enum bs_tls_refusal why = check_key(s, leaf);

	if (why == BS_TLS_REFUSED_NONE && summarise(x, out) != BS_OK)
		why = BS_TLS_REFUSED_CHAIN;
	return why;
}

/** The alert that the client shall see, by way of an X.509 error. */
static int x509_error_of(enum bs_tls_refusal why)
{
	switch (why) {
	case BS_TLS_REFUSED_REVOKED: return X509_V_ERR_CERT_REVOKED;
	case BS_TLS_REFUSED_WEAK_KEY: return X509_V_ERR_EE_KEY_TOO_SMALL;
	default: return X509_V_ERR_CERT_REJECTED;
	}
}

bool bs__tls_check(struct bs_tls *t)
{
	const struct bs_tls_server *s = t->srv;
	OSSL_LIB_CTX *before;
	bool good;

	if (!s->hooks.check)
		return true;
	/* The caller's own use of OpenSSL is not ours to restrict. */
	before = OSSL_LIB_CTX_set0_default(OSSL_LIB_CTX_get0_global_default());
	good = s->hooks.check(s->hooks.ctx, &t->peer) == BS_OK;
	OSSL_LIB_CTX_set0_default(before);
	return good;
}

static enum bs_tls_refusal verify_peer(struct bs_tls *t, X509_STORE_CTX *x)
{
	struct bs_tls_server *s = t->srv;
	X509 *leaf = X509_STORE_CTX_get0_cert(x);
	uint64_t now_s = bs__tls_clock(s);
	struct bs__tls_chain fresh;

	/* The untrusted list is what the client presented, its own certificate first. */
	if (!leaf || bs__tls_chain_hash(X509_STORE_CTX_get0_untrusted(x), s->sha256,
					fresh.cert_hash) != BS_OK)
		return BS_TLS_REFUSED_CHAIN;
	const struct bs__tls_chain *c = cache_find(s, fresh.cert_hash, now_s);

	if (c) {
		s->stats.cache_hits++;
	} else {
		enum bs_tls_refusal why = verify_chain(s, x, leaf, now_s, &fresh);
		struct bs__tls_chain *slot = cache_slot(s, fresh.cert_hash);

		if (why != BS_TLS_REFUSED_NONE)
			return why;
		if (slot)
			*slot = fresh;
		c = &fresh;
	}
	memset(&t->peer, 0, sizeof(t->peer));
	if (bs__tls_peer_fill(&t->peer, leaf, s->sha256) != BS_OK)
		return BS_TLS_REFUSED_CHAIN;
	memcpy(t->peer.cert_hash, c->cert_hash, BS_TLS_HASH_LEN);
	memcpy(t->peer.ca_fp, c->ca_fp, BS_TLS_HASH_LEN);
	t->peer.direct = c->direct;
	t->peer.not_after_s = c->not_after_s;
	t->peer.proved_s = now_s;
	return bs__tls_check(t) ? BS_TLS_REFUSED_NONE : BS_TLS_REFUSED_REVOKED;
}

int bs__tls_verify(X509_STORE_CTX *x, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct bs_tls *t = SSL_get_app_data(ssl);

	t->refusal = verify_peer(t, x);
	if (t->refusal == BS_TLS_REFUSED_NONE) {
		X509_STORE_CTX_set_error(x, X509_V_OK);
		return 1;
	}
	/* Our own refusals come with a clean X.509 result: without an error no fitting alert. */
	if (X509_STORE_CTX_get_error(x) == X509_V_OK)
		X509_STORE_CTX_set_error(x, x509_error_of(t->refusal));
	return 0;
}

/** Whether a CRL of the peer's issuer lists its serial. */
static bool crl_lists(const struct bs_tls_server *s, X509_CRL *crl, const struct bs_tls_peer *peer)
{
	uint8_t issuer[BS_TLS_HASH_LEN];
	unsigned int len = sizeof(issuer);
	X509_REVOKED *entry = NULL;
	bool listed = false;

	if (X509_NAME_digest(X509_CRL_get_issuer(crl), s->sha256, issuer, &len) != 1 ||
	    memcmp(issuer, peer->issuer_hash, sizeof(issuer)) != 0)
		return false;
	ASN1_INTEGER *serial = ASN1_INTEGER_new();

	if (!serial || ASN1_STRING_set(serial, peer->serial, peer->serial_len) != 1)
		listed = true; /* without memory: rather refuse than let through */
	else if (X509_CRL_get0_by_serial(crl, &entry, serial) == 1)
		listed = true;
	ASN1_INTEGER_free(serial);
	return listed;
}

int bs_tls_server_recheck(const struct bs_tls_server *s, const struct bs_tls_peer *peer)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(s->ctx));
	bool known = false;

	if (bs__tls_clock(s) > peer->not_after_s)
		return BS_EAUTH;
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509_OBJECT *o = sk_X509_OBJECT_value(all, i);
		uint8_t fp[BS_TLS_HASH_LEN];

		if (X509_OBJECT_get_type(o) == X509_LU_CRL) {
			if (crl_lists(s, X509_OBJECT_get0_X509_CRL(o), peer))
				return BS_EAUTH;
		} else if (bs__tls_cert_fp(X509_OBJECT_get0_X509(o), fp) == BS_OK) {
			known = known || memcmp(fp, peer->ca_fp, sizeof(fp)) == 0;
		}
	}
	/* An intermediate CA that the client sent may be revoked or orphaned: prove again. */
	return known && peer->direct ? BS_OK : BS_ESTATE;
}
