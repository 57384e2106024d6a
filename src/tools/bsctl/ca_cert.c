/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/bsctl/ca_cert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "ctl/field.h"
#include "tools/bsctl/file.h"

#define PEM_MAX (256u * 1024u)

static X509 *read_cert(const char *path, bool want_ca, struct bs_ctl_error *e)
{
	size_t len;
	char *text = bs_file_read(path, PEM_MAX, &len, e);
	BIO *bio = text ? BIO_new_mem_buf(text, (int)len) : NULL;
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	if (text && !x)
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, path, NULL,
				 "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
	free(text);
	if (x && want_ca && X509_check_ca(x) == 0) {
		bs_ctl_error_set(e, BS_CTL_BAD_INPUT, path, "name the CA's own certificate",
				 "this certificate may not issue others: it is not a CA");
		X509_free(x);
		return NULL;
	}
	return x;
}

static int digest_der(unsigned char *der, int len, uint8_t out[static 32], const char *path,
		      struct bs_ctl_error *e)
{
	bool ok = len > 0 && EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	if (ok)
		return BS_CTL_OK;
	bs_ctl_error_set(e, BS_CTL_FAILED, path, NULL, "its fingerprint cannot be made");
	return e->status;
}

int bs_ca_cert_fp(const char *path, uint8_t out[static 32], struct bs_ctl_error *e)
{
	X509 *x = read_cert(path, true, e);
	unsigned char *der = NULL;
	int len;

	if (!x)
		return e->status;
	len = i2d_X509(x, &der);
	X509_free(x);
	return digest_der(der, len, out, path, e);
}

int bs_ca_key_fp(const char *path, uint8_t out[static 32], struct bs_ctl_error *e)
{
	X509 *x = read_cert(path, false, e);
	unsigned char *der = NULL;
	int len;

	if (!x)
		return e->status;
	len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
	X509_free(x);
	return digest_der(der, len, out, path, e);
}

char *bs_ca_cert_hex(const char *path, char *name, size_t cap, struct bs_ctl_error *e)
{
	X509 *x = read_cert(path, true, e);
	unsigned char *der = NULL;
	char *hex = NULL;
	int len;

	if (!x)
		return NULL;
	if (X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, (int)cap) <=
	    0)
		snprintf(name, cap, "CA");
	len = i2d_X509(x, &der);
	X509_free(x);
	if (len > 0)
		hex = malloc(2 * (size_t)len + 1);
	if (hex)
		bs_field_put_hex(der, (size_t)len, hex);
	else
		bs_ctl_error_set(e, BS_CTL_FAILED, path, NULL, "no memory");
	OPENSSL_free(der);
	return hex;
}
