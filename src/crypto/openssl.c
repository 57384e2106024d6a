/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

/* One draw from the library's generator costs about a microsecond whatever its length; an IV
 * needs 16 bytes, an attach 64 more. */
enum {
	POOL_LEN = 1024
};

struct bs_openssl {
	struct bs_crypto table;
	EVP_MAC *mac;
	EVP_MAC_CTX *hmac;
	EVP_CIPHER *aes;
	EVP_CIPHER_CTX *enc;
	EVP_CIPHER_CTX *dec;
	size_t pool_left;
	uint8_t pool[POOL_LEN];
};

static int hmac_sha256(void *ctx, const uint8_t *key, size_t key_len, const struct bs_slice *msg,
		       size_t n, uint8_t *out)
{
	static const uint8_t no_key;
	struct bs_openssl *o = ctx;
	size_t len;
	size_t i;

	/* A NULL key would mean "the key of the last call" to the library. */
	if (!EVP_MAC_init(o->hmac, key_len ? key : &no_key, key_len, NULL))
		return BS_ECRYPTO;
	for (i = 0; i < n; i++)
		if (msg[i].len && !EVP_MAC_update(o->hmac, msg[i].ptr, msg[i].len))
			return BS_ECRYPTO;
	return EVP_MAC_final(o->hmac, out, &len, BS_SHA256_LEN) ? BS_OK : BS_ECRYPTO;
}

static int cbc(EVP_CIPHER_CTX *c, int enc, const uint8_t *key, const uint8_t *iv, uint8_t *buf,
	       size_t len)
{
	int n = 0;

	if (len % BS_AES_LEN || len > INT32_MAX)
		return BS_EINVAL;
	if (!EVP_CipherInit_ex2(c, NULL, key, iv, enc, NULL))
		return BS_ECRYPTO;
	if (len && (!EVP_CipherUpdate(c, buf, &n, buf, (int)len) || (size_t)n != len))
		return BS_ECRYPTO;
	return BS_OK;
}

static int cbc_encrypt(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf, size_t len)
{
	struct bs_openssl *o = ctx;

	return cbc(o->enc, 1, key, iv, buf, len);
}

static int cbc_decrypt(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf, size_t len)
{
	struct bs_openssl *o = ctx;

	return cbc(o->dec, 0, key, iv, buf, len);
}

static int random_bytes(void *ctx, uint8_t *buf, size_t len)
{
	struct bs_openssl *o = ctx;
	uint8_t *from;

	if (len > POOL_LEN / 4)
		return len <= INT32_MAX && RAND_bytes(buf, (int)len) == 1 ? BS_OK : BS_ERANDOM;
	if (len > o->pool_left) {
		o->pool_left = 0;
		if (RAND_bytes(o->pool, POOL_LEN) != 1)
			return BS_ERANDOM;
		o->pool_left = POOL_LEN;
	}
	o->pool_left -= len;
	from = o->pool + o->pool_left;
	if (len)
		memcpy(buf, from, len);
	OPENSSL_cleanse(from, len);
	return BS_OK;
}

/* Fetch algorithms and key-independent context state once; later calls only set keys. */
static bool set_up(struct bs_openssl *o)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[2];

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	o->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	o->aes = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
	if (!o->mac || !o->aes)
		return false;
	o->hmac = EVP_MAC_CTX_new(o->mac);
	o->enc = EVP_CIPHER_CTX_new();
	o->dec = EVP_CIPHER_CTX_new();
	if (!o->hmac || !o->enc || !o->dec)
		return false;
	if (!EVP_MAC_CTX_set_params(o->hmac, params) ||
	    !EVP_CipherInit_ex2(o->enc, o->aes, NULL, NULL, 1, NULL) ||
	    !EVP_CipherInit_ex2(o->dec, o->aes, NULL, NULL, 0, NULL))
		return false;
	EVP_CIPHER_CTX_set_padding(o->enc, 0);
	EVP_CIPHER_CTX_set_padding(o->dec, 0);
	return true;
}

struct bs_openssl *bs_openssl_new(void)
{
	struct bs_openssl *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	if (!set_up(o)) {
		bs_openssl_free(o);
		return NULL;
	}
	o->table.ctx = o;
	o->table.hmac_sha256 = hmac_sha256;
	o->table.aes128_cbc_encrypt = cbc_encrypt;
	o->table.aes128_cbc_decrypt = cbc_decrypt;
	o->table.random = random_bytes;
	return o;
}

void bs_openssl_free(struct bs_openssl *o)
{
	if (!o)
		return;
	EVP_MAC_CTX_free(o->hmac);
	EVP_MAC_free(o->mac);
	EVP_CIPHER_CTX_free(o->enc);
	EVP_CIPHER_CTX_free(o->dec);
	EVP_CIPHER_free(o->aes);
	OPENSSL_cleanse(o, sizeof(*o));
	free(o);
}

const struct bs_crypto *bs_openssl_crypto(struct bs_openssl *o)
{
	return &o->table;
}
