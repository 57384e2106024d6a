/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL 3 offers two ways to sign elsewhere: a provider of hundreds of lines, or the method
 * tables of 1.1, deprecated and still honoured, because a key with a foreign method cannot be
 * exported to a provider.  The tables need two functions, so they it is.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "sign.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>

struct bsc__signer {
	bsc_sign_fn sign;
	void *arg;
	int error;
	EVP_PKEY *key;
	RSA_METHOD *rsa;
	EC_KEY_METHOD *ec;
};

/** Index 0 of a key's extra data belongs to the application (CRYPTO_get_ex_new_index(3)). */
#define APP_INDEX 0

static int rsa_private(int len, const unsigned char *in, unsigned char *out, RSA *rsa, int padding)
{
	struct bsc__signer *s = RSA_get_ex_data(rsa, APP_INDEX);
	enum bsc_sign how = padding == RSA_PKCS1_PADDING ? BSC_SIGN_RSA_PKCS1 : BSC_SIGN_RSA_RAW;
	size_t want = (size_t)RSA_size(rsa);
	size_t n = 0;
	int rc;

	if (padding != RSA_PKCS1_PADDING && padding != RSA_NO_PADDING)
		return -1;
	rc = s->sign(s->arg, how, in, (size_t)len, out, want, &n);
	if (rc == BS_OK && n == want)
		return (int)n;
	s->error = rc == BS_OK ? BS_ECRYPTO : rc;
	ERR_raise(ERR_LIB_USER, ERR_R_OPERATION_FAIL);
	return -1;
}

static int ec_sign(int type, const unsigned char *digest, int len, unsigned char *out,
		   unsigned int *out_len, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
	struct bsc__signer *s = EC_KEY_get_ex_data(key, APP_INDEX);
	size_t cap = (size_t)ECDSA_size(key);
	size_t n = 0;
	int rc = s->sign(s->arg, BSC_SIGN_ECDSA, digest, (size_t)len, out, cap, &n);

	(void)type;
	(void)kinv;
	(void)r;
	if (rc == BS_OK && n > 0 && n <= cap) {
		*out_len = (unsigned int)n;
		return 1;
	}
	s->error = rc == BS_OK ? BS_ECRYPTO : rc;
	ERR_raise(ERR_LIB_USER, ERR_R_OPERATION_FAIL);
	return 0;
}

static bool make_rsa(struct bsc__signer *s, EVP_PKEY *pub)
{
	RSA *rsa = EVP_PKEY_get1_RSA(pub);
	RSA *mine = rsa == NULL ? NULL : RSAPublicKey_dup(rsa);

	RSA_free(rsa);
	s->rsa = RSA_meth_dup(RSA_PKCS1_OpenSSL());
	if (mine == NULL || s->rsa == NULL || RSA_meth_set_priv_enc(s->rsa, rsa_private) != 1 ||
	    RSA_set_method(mine, s->rsa) != 1 || RSA_set_ex_data(mine, APP_INDEX, s) != 1 ||
	    EVP_PKEY_assign_RSA(s->key, mine) != 1) {
		RSA_free(mine);
		return false;
	}
	return true;
}

static bool make_ec(struct bsc__signer *s, EVP_PKEY *pub)
{
	EC_KEY *ec = EVP_PKEY_get1_EC_KEY(pub);
	EC_KEY *mine = ec == NULL ? NULL : EC_KEY_dup(ec);

	EC_KEY_free(ec);
	s->ec = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	if (mine == NULL || s->ec == NULL) {
		EC_KEY_free(mine);
		return false;
	}
	EC_KEY_METHOD_set_sign(s->ec, ec_sign, NULL, NULL);
	if (EC_KEY_set_method(mine, s->ec) != 1 || EC_KEY_set_ex_data(mine, APP_INDEX, s) != 1 ||
	    EVP_PKEY_assign_EC_KEY(s->key, mine) != 1) {
		EC_KEY_free(mine);
		return false;
	}
	return true;
}

struct bsc__signer *bsc__signer_new(struct evp_pkey_st *pub, bsc_sign_fn sign, void *arg)
{
	struct bsc__signer *s = calloc(1, sizeof *s);
	bool ok;

	if (s == NULL)
		return NULL;
	s->sign = sign;
	s->arg = arg;
	s->key = EVP_PKEY_new();
	ok = s->key != NULL;
	if (ok && EVP_PKEY_is_a(pub, "RSA"))
		ok = make_rsa(s, pub);
	else if (ok && EVP_PKEY_is_a(pub, "EC"))
		ok = make_ec(s, pub);
	else
		ok = false;
	if (ok)
		return s;
	bsc__signer_free(s);
	return NULL;
}

void bsc__signer_free(struct bsc__signer *s)
{
	if (s == NULL)
		return;
	EVP_PKEY_free(s->key);
	RSA_meth_free(s->rsa);
	/* This one, unlike its siblings, does not take NULL. */
	if (s->ec != NULL)
		EC_KEY_METHOD_free(s->ec);
	free(s);
}

struct evp_pkey_st *bsc__signer_key(struct bsc__signer *s)
{
	return s->key;
}

int bsc__signer_take_error(struct bsc__signer *s)
{
	int rc = s == NULL ? BS_OK : s->error;

	if (s != NULL)
		s->error = BS_OK;
	return rc;
}
