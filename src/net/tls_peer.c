/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_peer.c - what a client certificate says: identity, fingerprints, serial, validity.
 */
#include "net/tls_internal.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

uint64_t bs__tls_time(const ASN1_TIME *t)
{
	struct tm tm;

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return 0;
	time_t s = timegm(&tm);

	return s > 0 ? (uint64_t)s : 0;
}

int bs__tls_cert_fp(X509 *x, uint8_t out[BS_TLS_HASH_LEN])
{
	return X509_digest(x, EVP_sha256(), out, NULL) == 1 ? BS_OK : BS_ECRYPTO;
}

int bs__tls_chain_hash(STACK_OF(X509) * chain, const EVP_MD *sha256, uint8_t out[BS_TLS_HASH_LEN])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	int err = md && EVP_DigestInit_ex(md, sha256, NULL) == 1 ? BS_OK : BS_ENOMEM;

	for (int i = 0; err == BS_OK && i < sk_X509_num(chain); i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(sk_X509_value(chain, i), &der);

		if (len < 0 || EVP_DigestUpdate(md, der, (size_t)len) != 1)
			err = BS_ECRYPTO;
		OPENSSL_free(der);
	}
	if (err == BS_OK && EVP_DigestFinal_ex(md, out, NULL) != 1)
		err = BS_ECRYPTO;
	EVP_MD_CTX_free(md);
	return err;
}

static int key_fp(X509 *leaf, const EVP_MD *sha256, uint8_t out[BS_TLS_HASH_LEN])
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
	int ok = len > 0 && EVP_Digest(der, (size_t)len, out, NULL, sha256, NULL) == 1;

	OPENSSL_free(der);
	return ok ? BS_OK : BS_ECRYPTO;
}

static int serial(struct bs_tls_peer *peer, X509 *leaf)
{
	const ASN1_INTEGER *n = X509_get0_serialNumber(leaf);
	const unsigned char *d = ASN1_STRING_get0_data(n);
	int len = ASN1_STRING_length(n);

	while (len > 0 && *d == 0) {
		d++;
		len--;
	}
	if (len < 0 || len > BS_TLS_SERIAL_MAX)
		return BS_EFIELD;
	memcpy(peer->serial, d, (size_t)len);
	peer->serial_len = (uint8_t)len;
	return BS_OK;
}

/** Take text as identity: 1..64 bytes of 0x21..0x7E, letters lowered. */
static enum bs_tls_id_fault take_identity(struct bs_tls_peer *peer, const unsigned char *s,
					  size_t len)
{
	char id[BS_CLIENT_ID_MAX + 1];

	if (len == 0 || len > BS_CLIENT_ID_MAX)
		return BS_TLS_ID_LENGTH;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < 0x21 || s[i] > 0x7E)
			return BS_TLS_ID_BYTES;
		id[i] = (char)(s[i] >= 'A' && s[i] <= 'Z' ? s[i] + ('a' - 'A') : s[i]);
	}
	id[len] = '\0';
	memcpy(peer->identity, id, len + 1);
	return BS_TLS_ID_OK;
}

/** From the rfc822Names; BS_TLS_ID_NONE when there is none. */
static enum bs_tls_id_fault identity_san(struct bs_tls_peer *peer, X509 *leaf)
{
	int crit = -1;
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, &crit, NULL);
	const ASN1_STRING *mail = NULL;
	enum bs_tls_id_fault fault = BS_TLS_ID_NONE;
	int found = 0;

	/* Two SAN extensions (crit -2), or an unreadable one, leave open which name counts. */
	if (!names)
		return crit == -1 ? BS_TLS_ID_NONE : BS_TLS_ID_BYTES;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_EMAIL)
			continue;
		mail = g->d.rfc822Name;
		found++;
	}
	if (found > 1)
		fault = BS_TLS_ID_MANY_SAN;
	else if (found == 1)
		fault = take_identity(peer, ASN1_STRING_get0_data(mail),
				      (size_t)ASN1_STRING_length(mail));
	GENERAL_NAMES_free(names);
	return fault;
}

static enum bs_tls_id_fault identity_cn(struct bs_tls_peer *peer, X509 *leaf)
{
	X509_NAME *subject = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *utf8 = NULL;

	if (at < 0)
		return BS_TLS_ID_NONE;
	if (X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return BS_TLS_ID_MANY_CN;
	/* As UTF-8: a BMPString must not turn into bytes that look like another name. */
	int len = ASN1_STRING_to_UTF8(&utf8,
				      X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));

	if (len < 0)
		return BS_TLS_ID_BYTES;
	enum bs_tls_id_fault fault = take_identity(peer, utf8, (size_t)len);

	OPENSSL_free(utf8);
	return fault;
}

int bs__tls_peer_fill(struct bs_tls_peer *peer, X509 *leaf, const EVP_MD *sha256)
{
	unsigned int len = BS_TLS_HASH_LEN;
	int err = key_fp(leaf, sha256, peer->key_fp);

	if (err == BS_OK)
		err = bs__tls_cert_fp(leaf, peer->leaf_fp);
	if (err == BS_OK)
		err = serial(peer, leaf);
	if (err == BS_OK &&
	    X509_NAME_digest(X509_get_issuer_name(leaf), sha256, peer->issuer_hash, &len) != 1)
		err = BS_ECRYPTO;
	if (err != BS_OK)
		return err;
	peer->identity[0] = '\0';
	peer->id_fault = identity_san(peer, leaf);
	if (peer->id_fault == BS_TLS_ID_NONE)
		peer->id_fault = identity_cn(peer, leaf);
	return BS_OK;
}

const char *bs_tls_id_fault_text(enum bs_tls_id_fault f)
{
	static const char *const text[] = {
		[BS_TLS_ID_OK] = "identity is good",
		[BS_TLS_ID_NONE] = "certificate has neither an e-mail SAN nor a common name",
		[BS_TLS_ID_MANY_SAN] = "certificate has more than one e-mail SAN",
		[BS_TLS_ID_MANY_CN] = "certificate has more than one common name",
		[BS_TLS_ID_LENGTH] = "identity in the certificate is empty or over 64 bytes",
		[BS_TLS_ID_BYTES] = "identity in the certificate has bytes outside 0x21..0x7E",
	};

	return (size_t)f < sizeof(text) / sizeof(text[0]) ? text[f] : "unknown identity fault";
}
