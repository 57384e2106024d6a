/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/openssl.h"

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

/* HMAC's block and constants (RFC 2104). */
enum {
	SHA_BLOCK = 64,
	IPAD = 0x36,
	OPAD = 0x5C
};

/* Contexts that hold an expanded key.  A device has 8 connections of two keys each by default, a
 * client seldom more than a few; above that the oldest is expanded anew, which only costs time. */
enum {
	GCM_SLOTS = 32
};

struct gcm_slot {
	EVP_CIPHER_CTX *ctx; /* NULL until the slot is first used */
	uint8_t key[BS_AES_LEN];
	bool enc;
	bool used;
};

struct bs_openssl {
	struct bs_crypto table;
	EVP_MD *sha256;
	EVP_MD_CTX *sha;
	EVP_CIPHER *aes;
	EVP_CIPHER_CTX *enc;
	EVP_CIPHER_CTX *dec;
	EVP_CIPHER *gcm;
	unsigned gcm_last; /* slot of the last packet, where the next one looks first */
	unsigned gcm_next; /* slot that is given up next */
	struct gcm_slot gcm_slot[GCM_SLOTS];
	size_t pool_left;
	uint8_t pool[POOL_LEN];
};

/* One half of HMAC: SHA-256 over the padded key and n pieces. */
static bool half(struct bs_openssl *o, const uint8_t *pad, const struct bs_slice *msg, size_t n,
		 uint8_t *out)
{
	size_t i;

	/* No type: the one that was set once, whose lookup would cost more than a block. */
	if (!EVP_DigestInit_ex2(o->sha, NULL, NULL) || !EVP_DigestUpdate(o->sha, pad, SHA_BLOCK))
		return false;
	for (i = 0; i < n; i++)
		if (msg[i].len && !EVP_DigestUpdate(o->sha, msg[i].ptr, msg[i].len))
			return false;
	return EVP_DigestFinal_ex(o->sha, out, NULL);
}

static bool hash(struct bs_openssl *o, const uint8_t *data, size_t len, uint8_t *out)
{
	return EVP_DigestInit_ex2(o->sha, NULL, NULL) && EVP_DigestUpdate(o->sha, data, len) &&
	       EVP_DigestFinal_ex(o->sha, out, NULL);
}

/* RFC 2104 over the digest: the library's own HMAC spends as long on parameters and on copies of
 * contexts as on hashing, and an attach needs a dozen of them. */
static int hmac_sha256(void *ctx, const uint8_t *key, size_t key_len, const struct bs_slice *msg,
		       size_t n, uint8_t *out)
{
	struct bs_openssl *o = ctx;
	uint8_t pad[SHA_BLOCK] = { 0 };
	struct bs_slice inner = { out, BS_SHA256_LEN };
	bool ok = true;
	size_t i;

	if (key_len > sizeof(pad))
		ok = hash(o, key, key_len, pad);
	else if (key_len)
		memcpy(pad, key, key_len);
	for (i = 0; i < sizeof(pad); i++)
		pad[i] ^= IPAD;
	ok = ok && half(o, pad, msg, n, out);
	for (i = 0; i < sizeof(pad); i++)
		pad[i] ^= IPAD ^ OPAD;
	ok = ok && half(o, pad, &inner, 1, out);
	OPENSSL_cleanse(pad, sizeof(pad));
	return ok ? BS_OK : BS_ECRYPTO;
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

static bool is_slot_of(const struct gcm_slot *s, const uint8_t *key, bool enc)
{
	return s->used && s->enc == enc && bs_equal_secret(s->key, key, BS_AES_LEN);
}

static void empty_slot(struct gcm_slot *s)
{
	/* The key schedule goes with the context. */
	EVP_CIPHER_CTX_free(s->ctx);
	OPENSSL_cleanse(s, sizeof(*s));
}

static EVP_CIPHER_CTX *fill_slot(struct bs_openssl *o, struct gcm_slot *s, const uint8_t *key,
				 bool enc)
{
	empty_slot(s);
	s->ctx = EVP_CIPHER_CTX_new();
	if (!s->ctx || !EVP_CipherInit_ex2(s->ctx, o->gcm, key, NULL, enc, NULL)) {
		empty_slot(s);
		return NULL;
	}
	memcpy(s->key, key, sizeof(s->key));
	s->enc = enc;
	s->used = true;
	return s->ctx;
}

/* A context with this key expanded.  Setting a key costs more than sealing a short packet. */
static EVP_CIPHER_CTX *keyed(struct bs_openssl *o, const uint8_t *key, bool enc)
{
	unsigned i;

	for (i = 0; i < GCM_SLOTS; i++) {
		unsigned at = (o->gcm_last + i) % GCM_SLOTS;

		if (is_slot_of(&o->gcm_slot[at], key, enc)) {
			o->gcm_last = at;
			return o->gcm_slot[at].ctx;
		}
	}
	o->gcm_last = o->gcm_next;
	o->gcm_next = (o->gcm_next + 1) % GCM_SLOTS;
	return fill_slot(o, &o->gcm_slot[o->gcm_last], key, enc);
}

static bool gcm_text(EVP_CIPHER_CTX *x, const uint8_t *nonce, struct bs_slice ad, uint8_t *buf,
		     size_t len)
{
	int n;

	if (len > INT32_MAX || ad.len > INT32_MAX)
		return false;
	if (!EVP_CipherInit_ex2(x, NULL, NULL, nonce, -1, NULL))
		return false;
	if (ad.len && !EVP_CipherUpdate(x, NULL, &n, ad.ptr, (int)ad.len))
		return false;
	return !len || EVP_CipherUpdate(x, buf, &n, buf, (int)len);
}

static int gcm_seal(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		    uint8_t *buf, size_t len, uint8_t *tag)
{
	EVP_CIPHER_CTX *x = keyed(ctx, key, true);
	int n;

	if (!x || !gcm_text(x, nonce, ad, buf, len) || !EVP_CipherFinal_ex(x, tag, &n) ||
	    !EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, BS_AEAD_TAG_LEN, tag))
		return BS_ECRYPTO;
	return BS_OK;
}

static int gcm_open(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		    uint8_t *buf, size_t len, const uint8_t *tag)
{
	EVP_CIPHER_CTX *x = keyed(ctx, key, false);
	uint8_t want[BS_AEAD_TAG_LEN];
	int n;

	memcpy(want, tag, sizeof(want));
	if (!x || !gcm_text(x, nonce, ad, buf, len) ||
	    !EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, sizeof(want), want)) {
		bs_wipe(buf, len);
		return BS_ECRYPTO;
	}
	if (EVP_CipherFinal_ex(x, want, &n))
		return BS_OK;
	/* It was decrypted before it was known to be false. */
	bs_wipe(buf, len);
	return BS_EMAC;
}

static void gcm_forget(void *ctx, const uint8_t *key)
{
	struct bs_openssl *o = ctx;
	unsigned i;

	for (i = 0; i < GCM_SLOTS; i++) {
		if (is_slot_of(&o->gcm_slot[i], key, true) ||
		    is_slot_of(&o->gcm_slot[i], key, false))
			empty_slot(&o->gcm_slot[i]);
	}
}

static const struct bs_aead aead = { gcm_seal, gcm_open, gcm_forget };

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
	o->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	o->aes = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
	o->gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	if (!o->sha256 || !o->aes || !o->gcm)
		return false;
	o->sha = EVP_MD_CTX_new();
	o->enc = EVP_CIPHER_CTX_new();
	o->dec = EVP_CIPHER_CTX_new();
	if (!o->sha || !o->enc || !o->dec)
		return false;
	if (!EVP_DigestInit_ex2(o->sha, o->sha256, NULL) ||
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
	o->table.aes128_gcm = &aead;
	return o;
}

void bs_openssl_free(struct bs_openssl *o)
{
	unsigned i;

	if (!o)
		return;
	for (i = 0; i < GCM_SLOTS; i++)
		empty_slot(&o->gcm_slot[i]);
	EVP_CIPHER_free(o->gcm);
	EVP_MD_CTX_free(o->sha);
	EVP_MD_free(o->sha256);
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
