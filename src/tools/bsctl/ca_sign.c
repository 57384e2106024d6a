/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and CRLs by RFC 5280.  Names of people and hosts become ASN.1 strings directly: the
 * text form of OpenSSL's extensions would give commas and colons in them a meaning.
 */
#include "tools/bsctl/ca_sign.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/crypto.h"
#include "ctl/field.h"

/* Clocks differ: a certificate is good from a little before it was made. */
#define BACKDATE_S 300

struct bs_ca_signer {
	X509 *cert;
	EVP_PKEY *key; /* NULL: it only shows */
};

static int fail(struct bs_ctl_error *e, const char *what)
{
	char text[160] = "";
	unsigned long code = ERR_peek_last_error();

	if (code)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	bs_ctl_error_set(e, BS_CTL_FAILED, NULL, NULL, "%s%s%s%s", what, text[0] ? " (" : "", text,
			 text[0] ? ")" : "");
	return e->status;
}

void bs_ca_text_free(char *text)
{
	if (!text)
		return;
	bs_wipe(text, strlen(text));
	free(text);
}

void bs_ca_made_fini(struct bs_ca_made *m)
{
	bs_ca_text_free(m->cert);
	bs_ca_text_free(m->key);
	memset(m, 0, sizeof(*m));
}

/* ---- times */

static int64_t asn1_unix(const ASN1_TIME *t)
{
	struct tm tm;

	return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* ---- texts */

/* What was written to bio, terminated; frees it. */
static char *bio_text(BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	char *text = len > 0 ? malloc((size_t)len + 1) : NULL;

	if (text) {
		memcpy(text, data, (size_t)len);
		text[len] = '\0';
	}
	BIO_free(bio);
	return text;
}

static char *cert_text(X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio && PEM_write_bio_X509(bio, x) == 1)
		return bio_text(bio);
	BIO_free(bio);
	return NULL;
}

static char *key_text(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_secmem());

	if (bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		return bio_text(bio);
	BIO_free(bio);
	return NULL;
}

/* ---- parts of a certificate */

static bool set_serial(X509 *x, char text[static BS_CA_SERIAL_CAP])
{
	BIGNUM *bn = BN_new();
	char *hex = NULL;
	bool ok = false;
	size_t i;

	/* 127 random bits: 16 bytes that are positive as they stand. */
	if (bn && BN_rand(bn, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1)
		hex = BN_bn2hex(bn);
	if (hex && strlen(hex) < BS_CA_SERIAL_CAP &&
	    BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x))) {
		for (i = 0; hex[i]; i++)
			text[i] = hex[i] >= 'A' && hex[i] <= 'F' ? (char)(hex[i] - 'A' + 'a')
								 : hex[i];
		text[i] = '\0';
		ok = true;
	}
	OPENSSL_free(hex);
	BN_free(bn);
	return ok;
}

static bool set_times(X509 *x, int64_t from, int64_t until)
{
	return ASN1_TIME_set(X509_getm_notBefore(x), (time_t)from) &&
	       ASN1_TIME_set(X509_getm_notAfter(x), (time_t)until);
}

static bool set_name(X509 *x, const char *cn)
{
	return X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
					  (const unsigned char *)cn, -1, -1, 0) == 1;
}

/* An extension with a fixed text; texts with names in them never go this way. */
static bool add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(x, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

/* One name of the subject's alternative names. */
static bool add_alt(GENERAL_NAMES *names, int type, const void *data, size_t len)
{
	GENERAL_NAME *gn = GENERAL_NAME_new();
	ASN1_STRING *s =
		ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

	if (gn && s && ASN1_STRING_set(s, data, (int)len) == 1) {
		GENERAL_NAME_set0_value(gn, type, s);
		if (sk_GENERAL_NAME_push(names, gn) > 0)
			return true;
		GENERAL_NAME_free(gn);
		return false;
	}
	ASN1_STRING_free(s);
	GENERAL_NAME_free(gn);
	return false;
}

static bool add_host(GENERAL_NAMES *names, const char *host)
{
	uint8_t ip[16];

	if (inet_pton(AF_INET, host, ip) == 1)
		return add_alt(names, GEN_IPADD, ip, 4);
	if (inet_pton(AF_INET6, host, ip) == 1)
		return add_alt(names, GEN_IPADD, ip, 16);
	return add_alt(names, GEN_DNS, host, strlen(host));
}

static bool add_names(X509 *x, const struct bs_ca_order *o)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	bool ok = names != NULL;
	size_t i;

	for (i = 0; ok && i < o->n_names; i++) {
		if (o->server)
			ok = add_host(names, o->names[i]);
		else if (strchr(o->names[i], '@'))
			ok = add_alt(names, GEN_EMAIL, o->names[i], strlen(o->names[i]));
	}
	/* A client name that is no mail address stands in the subject alone. */
	if (ok && sk_GENERAL_NAME_num(names) > 0)
		ok = X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1;
	GENERAL_NAMES_free(names);
	return ok;
}

static const char *check_host(const char *s)
{
	uint8_t ip[16];
	size_t i;

	if (inet_pton(AF_INET, s, ip) == 1 || inet_pton(AF_INET6, s, ip) == 1)
		return NULL;
	if (s[0] == '\0' || strlen(s) > 253)
		return "a host name has 1 to 253 characters";
	for (i = 0; s[i]; i++) {
		char c = s[i];
		bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || c == '-' || c == '.' || (c == '*' && i == 0);

		if (!ok)
			return "neither a host name nor an IP address";
	}
	return NULL;
}

static bool key_fp(EVP_PKEY *key, char out[static 65])
{
	unsigned char *der = NULL;
	uint8_t fp[32];
	int len = i2d_PUBKEY(key, &der);
	bool ok = len > 0 && EVP_Digest(der, (size_t)len, fp, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	if (ok)
		bs_field_put_hex(fp, sizeof(fp), out);
	return ok;
}

/* ---- keys */

static EVP_PKEY *new_key(unsigned bits, struct bs_ctl_error *e)
{
	EVP_PKEY *key;

	if (bits < BS_CA_BITS_MIN || bits > BS_CA_BITS_MAX) {
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, "--bits", NULL,
				 "an RSA key has %u to %u bits", BS_CA_BITS_MIN, BS_CA_BITS_MAX);
		return NULL;
	}
	key = EVP_RSA_gen(bits);
	if (!key)
		fail(e, "no key could be made");
	return key;
}

/* RSA of 2048 bits or more, or a named curve of 256 bits or more. */
static bool key_is_strong(EVP_PKEY *key)
{
	if (EVP_PKEY_is_a(key, "RSA"))
		return EVP_PKEY_get_bits(key) >= (int)BS_CA_BITS_MIN;
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) >= 256;
}

/* The key of a request, which its signature proves to be the asker's. */
static EVP_PKEY *request_key(const struct bs_ca_order *o, struct bs_ctl_error *e)
{
	BIO *bio = BIO_new_mem_buf(o->csr, (int)o->csr_len);
	X509_REQ *req = bio ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key = req ? X509_REQ_get_pubkey(req) : NULL;
	const char *wrong = NULL;

	if (!req)
		wrong = "holds no certificate request in PEM";
	else if (!key || X509_REQ_verify(req, key) != 1)
		wrong = "the request's signature is wrong";
	else if (!key_is_strong(key))
		wrong = "the key is neither RSA of 2048 bits or more nor EC of 256 or more";
	X509_REQ_free(req);
	BIO_free(bio);
	ERR_clear_error();
	if (!wrong)
		return key;
	EVP_PKEY_free(key);
	bs_ctl_error_set(e, BS_CTL_BAD_INPUT, o->place, NULL, "%s", wrong);
	return NULL;
}

/* ---- the authority */

int bs_ca_sign_root(const char *name, unsigned days, unsigned bits, struct bs_ca_made *out,
		    struct bs_ctl_error *e)
{
	EVP_PKEY *key;
	X509 *x = NULL;
	bool ok;

	memset(out, 0, sizeof(*out));
	if (name[0] == '\0' || strlen(name) > 64 || days == 0 || days > BS_CA_DAYS_MAX) {
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, NULL, NULL,
				 "a CA has a name of 1 to 64 bytes and 1 to %u days",
				 BS_CA_DAYS_MAX);
		return e->status;
	}
	key = new_key(bits, e);
	if (!key)
		return e->status;
	out->not_before = (int64_t)time(NULL) - BACKDATE_S;
	out->not_after = out->not_before + (int64_t)days * 86400;
	x = X509_new();
	ok = x && X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x, out->serial) &&
	     set_times(x, out->not_before, out->not_after) && set_name(x, name) &&
	     X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
	     X509_set_pubkey(x, key) == 1 &&
	     add_ext(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	     add_ext(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	     add_ext(x, x, NID_subject_key_identifier, "hash") &&
	     add_ext(x, x, NID_authority_key_identifier, "keyid:always") &&
	     X509_sign(x, key, EVP_sha256()) > 0 && key_fp(key, out->key_fp);
	if (ok) {
		out->cert = cert_text(x);
		out->key = key_text(key);
		ok = out->cert && out->key;
	}
	X509_free(x);
	EVP_PKEY_free(key);
	if (ok)
		return BS_CTL_OK;
	bs_ca_made_fini(out);
	return fail(e, "the CA certificate could not be made");
}

int bs_ca_signer_new(const char *cert, size_t cert_len, const char *key, size_t key_len,
		     const char *place, struct bs_ca_signer **out, struct bs_ctl_error *e)
{
	struct bs_ca_signer *s = calloc(1, sizeof(*s));
	BIO *bio = BIO_new_mem_buf(cert, (int)cert_len);
	const char *wrong = NULL;

	if (s && bio)
		s->cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	bio = key ? BIO_new_mem_buf(key, (int)key_len) : NULL;
	if (s && bio)
		s->key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (!s)
		wrong = "no memory";
	else if (!s->cert || X509_check_ca(s->cert) == 0)
		wrong = "ca.crt is not a CA certificate";
	else if (key && !s->key)
		wrong = "ca.key is not a private key without a pass phrase";
	else if (key && X509_check_private_key(s->cert, s->key) != 1)
		wrong = "ca.key is not the key of ca.crt";
	else if (key && X509_cmp_time(X509_get0_notAfter(s->cert), NULL) < 0)
		wrong = "the CA certificate has expired";
	ERR_clear_error();
	if (!wrong) {
		*out = s;
		return BS_CTL_OK;
	}
	bs_ca_signer_free(s);
	bs_ctl_error_set(e, BS_CTL_BAD_INPUT, place, NULL, "%s", wrong);
	return e->status;
}

void bs_ca_signer_free(struct bs_ca_signer *s)
{
	if (!s)
		return;
	X509_free(s->cert);
	EVP_PKEY_free(s->key);
	free(s);
}

void bs_ca_signer_info(const struct bs_ca_signer *s, char *name, size_t cap, int64_t *not_after,
		       char fp[static 65])
{
	uint8_t digest[32] = { 0 };
	unsigned len = 0;

	if (X509_NAME_get_text_by_NID(X509_get_subject_name(s->cert), NID_commonName, name,
				      (int)cap) <= 0)
		snprintf(name, cap, "CA");
	*not_after = asn1_unix(X509_get0_notAfter(s->cert));
	if (X509_digest(s->cert, EVP_sha256(), digest, &len) != 1)
		memset(digest, 0, sizeof(digest));
	bs_field_put_hex(digest, sizeof(digest), fp);
}

/* ---- issuing */

static int check_order(const struct bs_ca_signer *s, const struct bs_ca_order *o,
		       struct bs_ca_made *out, struct bs_ctl_error *e)
{
	int64_t ca_end = asn1_unix(X509_get0_notAfter(s->cert));
	size_t i;

	for (i = 0; o->server && i < o->n_names; i++) {
		const char *wrong = check_host(o->names[i]);

		if (wrong) {
			bs_ctl_error_set(e, BS_CTL_BAD_INPUT, o->names[i], NULL, "%s", wrong);
			return e->status;
		}
	}
	if (o->days == 0 || o->days > BS_CA_DAYS_MAX) {
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, "--days", NULL,
				 "a certificate has 1 to %u days", BS_CA_DAYS_MAX);
		return e->status;
	}
	out->not_before = (int64_t)time(NULL) - BACKDATE_S;
	out->not_after = out->not_before + (int64_t)o->days * 86400;
	if (out->not_after <= ca_end)
		return BS_CTL_OK;
	if (o->days_given) {
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, "--days", "give fewer days or make a new CA",
				 "the CA certificate ends in %lld days",
				 (long long)(ca_end - (int64_t)time(NULL)) / 86400);
		return e->status;
	}
	out->not_after = ca_end;
	return BS_CTL_OK;
}

static bool build(struct bs_ca_signer *s, const struct bs_ca_order *o, EVP_PKEY *key, X509 *x,
		  struct bs_ca_made *out)
{
	const char *cn = o->names[0];
	bool rsa = EVP_PKEY_is_a(key, "RSA");
	const char *usage = o->server && rsa ? "critical,digitalSignature,keyEncipherment"
					     : "critical,digitalSignature";

	return X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x, out->serial) &&
	       set_times(x, out->not_before, out->not_after) &&
	       /* A common name has at most 64 characters; the names count, not this one. */
	       (strlen(cn) > 64 || set_name(x, cn)) &&
	       X509_set_issuer_name(x, X509_get_subject_name(s->cert)) == 1 &&
	       X509_set_pubkey(x, key) == 1 &&
	       add_ext(x, s->cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_ext(x, s->cert, NID_key_usage, usage) &&
	       add_ext(x, s->cert, NID_ext_key_usage, o->server ? "serverAuth" : "clientAuth") &&
	       add_ext(x, s->cert, NID_subject_key_identifier, "hash") &&
	       add_ext(x, s->cert, NID_authority_key_identifier, "keyid:always") &&
	       add_names(x, o) && X509_sign(x, s->key, EVP_sha256()) > 0 &&
	       key_fp(key, out->key_fp);
}

int bs_ca_sign(struct bs_ca_signer *s, const struct bs_ca_order *o, struct bs_ca_made *out,
	       struct bs_ctl_error *e)
{
	EVP_PKEY *key;
	X509 *x;
	bool ok;
	int status;

	memset(out, 0, sizeof(*out));
	status = check_order(s, o, out, e);
	if (status != BS_CTL_OK)
		return status;
	key = o->csr ? request_key(o, e) : new_key(o->bits, e);
	if (!key)
		return e->status;
	x = X509_new();
	ok = x && build(s, o, key, x, out);
	if (ok) {
		out->cert = cert_text(x);
		out->key = o->csr ? NULL : key_text(key);
		ok = out->cert && (o->csr || out->key);
	}
	X509_free(x);
	EVP_PKEY_free(key);
	if (ok)
		return BS_CTL_OK;
	bs_ca_made_fini(out);
	return fail(e, "the certificate could not be made");
}

/* ---- CRL */

static bool add_revoked(X509_CRL *crl, const struct bs_ca_revoked *r)
{
	X509_REVOKED *rev = X509_REVOKED_new();
	ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)r->when);
	ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();
	ASN1_INTEGER *serial = NULL;
	BIGNUM *bn = NULL;
	bool ok = rev && when && reason && BN_hex2bn(&bn, r->serial) > 0;

	if (ok)
		serial = BN_to_ASN1_INTEGER(bn, NULL);
	ok = ok && serial && X509_REVOKED_set_serialNumber(rev, serial) == 1 &&
	     X509_REVOKED_set_revocationDate(rev, when) == 1;
	/* "unspecified" is left out, as RFC 5280 asks. */
	if (ok && r->reason != 0)
		ok = ASN1_ENUMERATED_set(reason, r->reason) == 1 &&
		     X509_REVOKED_add1_ext_i2d(rev, NID_crl_reason, reason, 0, 0) == 1;
	if (ok && X509_CRL_add0_revoked(crl, rev) == 1)
		rev = NULL;
	else
		ok = false;
	X509_REVOKED_free(rev);
	ASN1_TIME_free(when);
	ASN1_ENUMERATED_free(reason);
	ASN1_INTEGER_free(serial);
	BN_free(bn);
	return ok;
}

/* The number must rise; the time does, also when the file of the last CRL is lost. */
static bool add_crl_exts(struct bs_ca_signer *s, X509_CRL *crl, int64_t now)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	X509V3_CTX ctx;
	X509_EXTENSION *aki;
	bool ok = number && ASN1_INTEGER_set_int64(number, now) == 1 &&
		  X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1;

	X509V3_set_ctx(&ctx, s->cert, NULL, NULL, crl, 0);
	aki = X509V3_EXT_nconf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
	ok = ok && aki && X509_CRL_add_ext(crl, aki, -1) == 1;
	X509_EXTENSION_free(aki);
	ASN1_INTEGER_free(number);
	return ok;
}

int bs_ca_sign_crl(struct bs_ca_signer *s, const struct bs_ca_revoked *list, size_t n,
		   unsigned days, char **out, struct bs_ctl_error *e)
{
	int64_t now = (int64_t)time(NULL);
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *last = ASN1_TIME_set(NULL, (time_t)(now - BACKDATE_S));
	ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)(now + (int64_t)days * 86400));
	BIO *bio = NULL;
	char *text = NULL;
	bool ok = crl && last && next && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
		  X509_CRL_set_issuer_name(crl, X509_get_subject_name(s->cert)) == 1 &&
		  X509_CRL_set1_lastUpdate(crl, last) == 1 &&
		  X509_CRL_set1_nextUpdate(crl, next) == 1;
	size_t i;

	for (i = 0; ok && i < n; i++)
		ok = add_revoked(crl, &list[i]);
	ok = ok && add_crl_exts(s, crl, now) && X509_CRL_sort(crl) == 1 &&
	     X509_CRL_sign(crl, s->key, EVP_sha256()) > 0;
	if (ok)
		bio = BIO_new(BIO_s_mem());
	if (bio && PEM_write_bio_X509_CRL(bio, crl) == 1)
		text = bio_text(bio);
	else
		BIO_free(bio);
	X509_CRL_free(crl);
	ASN1_TIME_free(last);
	ASN1_TIME_free(next);
	if (!text)
		return fail(e, "the CRL could not be signed");
	*out = text;
	return BS_CTL_OK;
}

int bs_ca_crl_times(const char *pem, size_t len, int64_t *last, int64_t *next,
		    struct bs_ctl_error *e)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509_CRL *crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (!crl) {
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, "ca.crl", "bsctl ca crl makes it anew",
				 "not a CRL");
		return e->status;
	}
	*last = asn1_unix(X509_CRL_get0_lastUpdate(crl));
	*next = asn1_unix(X509_CRL_get0_nextUpdate(crl));
	X509_CRL_free(crl);
	return BS_CTL_OK;
}
