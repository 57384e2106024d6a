/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/gcm.h"

#include <limits.h>
#include <stdlib.h>

#include <openssl/evp.h>

/* Two contexts, because a change of direction makes OpenSSL expand the key again. */
struct bs_gcm {
	EVP_CIPHER_CTX *enc;
	EVP_CIPHER_CTX *dec;
};

struct bs_gcm *bs_gcm_new(const uint8_t key[static BS_GCM_KEY_LEN])
{
	struct bs_gcm *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->enc = EVP_CIPHER_CTX_new();
	g->dec = EVP_CIPHER_CTX_new();
	if (!g->enc || !g->dec ||
	    EVP_EncryptInit_ex(g->enc, EVP_aes_256_gcm(), NULL, key, NULL) != 1 ||
	    EVP_DecryptInit_ex(g->dec, EVP_aes_256_gcm(), NULL, key, NULL) != 1) {
		bs_gcm_free(g);
		return NULL;
	}
	return g;
}

void bs_gcm_free(struct bs_gcm *g)
{
	if (!g)
		return;
	/* OpenSSL cleanses the key schedule when it frees a context. */
	EVP_CIPHER_CTX_free(g->enc);
	EVP_CIPHER_CTX_free(g->dec);
	free(g);
}

int bs_gcm_seal(struct bs_gcm *g, const uint8_t nonce[static BS_GCM_NONCE_LEN], struct bs_slice ad,
		struct bs_slice plain, uint8_t *out, uint8_t tag[static BS_GCM_TAG_LEN])
{
	int n;

	if (plain.len > INT_MAX || ad.len > INT_MAX)
		return BS_ECRYPTO;
	if (EVP_EncryptInit_ex(g->enc, NULL, NULL, NULL, nonce) != 1)
		return BS_ECRYPTO;
	if (ad.len && EVP_EncryptUpdate(g->enc, NULL, &n, ad.ptr, (int)ad.len) != 1)
		return BS_ECRYPTO;
	if (plain.len && EVP_EncryptUpdate(g->enc, out, &n, plain.ptr, (int)plain.len) != 1)
		return BS_ECRYPTO;
	if (EVP_EncryptFinal_ex(g->enc, out + plain.len, &n) != 1)
		return BS_ECRYPTO;
	if (EVP_CIPHER_CTX_ctrl(g->enc, EVP_CTRL_AEAD_GET_TAG, BS_GCM_TAG_LEN, tag) != 1)
		return BS_ECRYPTO;
	return BS_OK;
}

int bs_gcm_open(struct bs_gcm *g, const uint8_t nonce[static BS_GCM_NONCE_LEN], struct bs_slice ad,
		struct bs_slice cipher, const uint8_t tag[static BS_GCM_TAG_LEN], uint8_t *out)
{
	uint8_t want[BS_GCM_TAG_LEN];
	int rc = BS_ECRYPTO;
	int n;

	if (cipher.len > INT_MAX || ad.len > INT_MAX)
		return BS_ECRYPTO;
	for (n = 0; n < BS_GCM_TAG_LEN; n++)
		want[n] = tag[n];
	if (EVP_DecryptInit_ex(g->dec, NULL, NULL, NULL, nonce) != 1)
		goto out;
	if (ad.len && EVP_DecryptUpdate(g->dec, NULL, &n, ad.ptr, (int)ad.len) != 1)
		goto out;
	if (cipher.len && EVP_DecryptUpdate(g->dec, out, &n, cipher.ptr, (int)cipher.len) != 1)
		goto out;
	if (EVP_CIPHER_CTX_ctrl(g->dec, EVP_CTRL_AEAD_SET_TAG, BS_GCM_TAG_LEN, want) != 1)
		goto out;
	rc = EVP_DecryptFinal_ex(g->dec, out + cipher.len, &n) == 1 ? BS_OK : BS_EMAC;
out:
	if (rc != BS_OK)
		bs_wipe(out, cipher.len);
	return rc;
}

static int seal_with(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		     uint8_t *buf, size_t len, uint8_t *tag)
{
	struct bs_gcm *g = ctx;

	if (EVP_EncryptInit_ex(g->enc, NULL, NULL, key, nonce) != 1)
		return BS_ECRYPTO;
	return bs_gcm_seal(g, nonce, ad, (struct bs_slice){ buf, len }, buf, tag);
}

static int open_with(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		     uint8_t *buf, size_t len, const uint8_t *tag)
{
	struct bs_gcm *g = ctx;

	if (EVP_DecryptInit_ex(g->dec, NULL, NULL, key, nonce) != 1)
		return BS_ECRYPTO;
	return bs_gcm_open(g, nonce, ad, (struct bs_slice){ buf, len }, tag, buf);
}

static void forget_last(void *ctx, const uint8_t *key)
{
	static const uint8_t none[BS_GCM_KEY_LEN];
	struct bs_gcm *g = ctx;

	(void)key;
	(void)EVP_EncryptInit_ex(g->enc, NULL, NULL, none, NULL);
	(void)EVP_DecryptInit_ex(g->dec, NULL, NULL, none, NULL);
}

const struct bs_aead *bs_gcm_aead(void)
{
	static const struct bs_aead table = { seal_with, open_with, forget_last };

	return &table;
}

int bs_gcm_sha256(struct bs_slice data, uint8_t out[static BS_SHA256_LEN])
{
	unsigned n = BS_SHA256_LEN;

	return EVP_Digest(data.ptr, data.len, out, &n, EVP_sha256(), NULL) == 1 ? BS_OK
										: BS_ECRYPTO;
}
