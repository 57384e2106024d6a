/* SPDX-License-Identifier: Apache-2.0 */
#include "cert.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "error.h"

/** What each result of the verification is to a user. */
static const struct {
	int verify;
	uint32_t code;
	const char *text;
} results[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, BSC_SERVER_EXPIRED,
	  "server certificate has expired; the operator must renew it" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, BSC_SERVER_NOT_YET,
	  "server certificate is not valid yet; check this machine's clock" },
	{ X509_V_ERR_HOSTNAME_MISMATCH, BSC_SERVER_NAME,
	  "server certificate is for another name; check the address or set the server name" },
	{ X509_V_ERR_IP_ADDRESS_MISMATCH, BSC_SERVER_NAME,
	  "server certificate does not carry this address; use the name or set the server name" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, BSC_SERVER_SELF_SIGNED,
	  "server certificate is self-signed and not trusted; give its CA or pin its key" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, BSC_SERVER_UNKNOWN_CA,
	  "server certificate is from a CA that is not trusted; give the right CA file" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, BSC_SERVER_UNKNOWN_CA,
	  "server certificate is from a CA that is not trusted; give the right CA file" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, BSC_SERVER_UNKNOWN_CA,
	  "server certificate is from a CA that is not trusted; give the right CA file" },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, BSC_SERVER_UNKNOWN_CA,
	  "server certificate is from a CA that is not trusted; give the right CA file" },
	{ X509_V_ERR_CERT_UNTRUSTED, BSC_SERVER_UNKNOWN_CA,
	  "server certificate is not trusted; give the right CA file" },
	{ X509_V_ERR_CERT_REVOKED, BSC_SERVER_REVOKED,
	  "server certificate is revoked; do not trust this server, ask the operator" },
	{ X509_V_ERR_APPLICATION_VERIFICATION, BSC_SERVER_PIN,
	  "server key is not the pinned one; do not trust it before the operator confirms it" },
	{ X509_V_ERR_UNABLE_TO_GET_CRL, BSC_SERVER_CRL,
	  "no revocation list of the server's CA in the CRL file; add it" },
	{ X509_V_ERR_CRL_HAS_EXPIRED, BSC_SERVER_CRL,
	  "revocation list is out of date; fetch a new one" },
	{ X509_V_ERR_CRL_NOT_YET_VALID, BSC_SERVER_CRL,
	  "revocation list is not valid yet; check this machine's clock" },
};

bool bsc__cert_key_fp(struct x509_st *cert, uint8_t fp[32])
{
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool ok = len > 0 && EVP_Digest(der, (size_t)len, fp, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return ok;
}

/** The one rfc822Name, NULL when there is none; *n counts them. */
static const ASN1_STRING *one_mail(const GENERAL_NAMES *names, int *n)
{
	const ASN1_STRING *found = NULL;

	*n = 0;
	for (int k = 0; k < sk_GENERAL_NAME_num(names); k++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, k);

		if (g->type == GEN_EMAIL) {
			found = g->d.rfc822Name;
			(*n)++;
		}
	}
	return found;
}

void bsc__cert_identity(struct x509_st *cert, char out[BS_CLIENT_ID_MAX + 1])
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(cert);
	int n = 0;
	const ASN1_STRING *found = one_mail(names, &n);
	int at = n == 0 ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
	unsigned char *utf8 = NULL;
	int len = -1;

	out[0] = '\0';
	if (at >= 0) {
		found = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
		n = X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0 ? 2 : 1;
	}
	if (n == 1)
		len = ASN1_STRING_to_UTF8(&utf8, found);
	if (len >= 1 && len <= BS_CLIENT_ID_MAX) {
		for (int k = 0; k < len; k++) {
			if (utf8[k] < 0x21 || utf8[k] > 0x7e) {
				len = 0;
				break;
			}
			out[k] = utf8[k] >= 'A' && utf8[k] <= 'Z' ? (char)(utf8[k] + 32)
								  : (char)utf8[k];
		}
		out[len] = '\0';
	}
	OPENSSL_free(utf8);
	GENERAL_NAMES_free(names);
}

int bsc__cert_fail(long verify, const char *host, uint16_t port, struct bsc_error *err)
{
	for (size_t k = 0; k < sizeof results / sizeof results[0]; k++)
		if (results[k].verify == verify)
			return bsc__fail(err, BS_EAUTH, BSC_FROM_BASESTATION, results[k].code,
					 "%s:%u: %s", host, (unsigned)port, results[k].text);
	return bsc__fail(
		err, BS_EAUTH, BSC_FROM_BASESTATION, BSC_SERVER_BAD,
		"%s:%u: server certificate is not usable (%s); the operator must replace it", host,
		(unsigned)port, X509_verify_cert_error_string(verify));
}
