/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_mac.c - HMAC for the provider of tls_own.c.
 *
 * A resumption computes four: two tickets and two Finished, of a few hundred bytes at most.
 * OpenSSL's makes four contexts for each and looks the digest up by its name.  Ours gathers the
 * bytes and hashes them at the end by the worker's own HMAC.  What is longer, or not SHA-256, goes
 * to OpenSSL's.
 */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "net/tls_internal.h"

/** Bytes that are gathered; tickets have half of it. */
#define GATHER_MAX 2048
/** Longest key that is kept: a block of SHA-256, which tickets and secrets do not reach. */
#define KEY_MAX 64

struct mac {
	const struct bs_crypto *crypto;
	EVP_MAC *theirs;  /**< OpenSSL's */
	EVP_MAC_CTX *ctx; /**< one of it, once it is needed; NULL = ours computes */
	bool sha256;      /**< the digest was named */
	bool keyed;       /**< and the key given */
	size_t key_len, len;
	uint8_t key[KEY_MAX];
	uint8_t buf[GATHER_MAX];
};

static void *mac_new(void *provctx)
{
	struct mac *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	bs__tls_own_mac(provctx, &m->crypto, &m->theirs);
	m->ctx = NULL;
	m->sha256 = m->keyed = false;
	m->key_len = m->len = 0;
	return m;
}

static void mac_free(void *ctx)
{
	struct mac *m = ctx;

	if (!m)
		return;
	EVP_MAC_CTX_free(m->ctx);
	bs_wipe(m->key, m->key_len);
	bs_wipe(m->buf, m->len);
	free(m);
}

/** From here on OpenSSL's, with everything that came so far. */
static bool hand_over(struct mac *m)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof(digest) - 1),
		OSSL_PARAM_END,
	};

	if (m->ctx)
		return true;
	m->ctx = EVP_MAC_CTX_new(m->theirs);
	if (!m->ctx || !m->sha256)
		return m->ctx != NULL;
	if (!m->keyed)
		return EVP_MAC_CTX_set_params(m->ctx, params) == 1;
	return EVP_MAC_init(m->ctx, m->key, m->key_len, params) == 1 &&
	       EVP_MAC_update(m->ctx, m->buf, m->len) == 1;
}

static bool is_sha256(const OSSL_PARAM *p)
{
	return p->data && (OPENSSL_strcasecmp(p->data, "SHA256") == 0 ||
			   OPENSSL_strcasecmp(p->data, "SHA2-256") == 0);
}

/** Whether ours can do what these ask for. */
static bool is_known(const OSSL_PARAM *p)
{
	for (; p && p->key; p++) {
		bool digest = strcmp(p->key, OSSL_MAC_PARAM_DIGEST) == 0 && is_sha256(p);
		bool key = strcmp(p->key, OSSL_MAC_PARAM_KEY) == 0 && p->data &&
			   p->data_size <= KEY_MAX;

		if (!digest && !key)
			return false;
	}
	return true;
}

static void set_key(struct mac *m, const void *key, size_t len)
{
	memcpy(m->key, key, len);
	m->key_len = len;
	m->keyed = true;
	m->len = 0;
}

static int mac_set_params(void *ctx, const OSSL_PARAM params[])
{
	struct mac *m = ctx;

	if (m->ctx || !is_known(params))
		return hand_over(m) && EVP_MAC_CTX_set_params(m->ctx, params) == 1;
	for (const OSSL_PARAM *p = params; p && p->key; p++) {
		if (strcmp(p->key, OSSL_MAC_PARAM_KEY) == 0)
			set_key(m, p->data, p->data_size);
		else
			m->sha256 = true;
	}
	return 1;
}

static int mac_init(void *ctx, const unsigned char *key, size_t len, const OSSL_PARAM params[])
{
	struct mac *m = ctx;

	if (m->ctx || !is_known(params) || len > KEY_MAX)
		return hand_over(m) && EVP_MAC_init(m->ctx, key, len, params) == 1;
	if (mac_set_params(m, params) != 1)
		return 0;
	if (key)
		set_key(m, key, len);
	m->len = 0;
	return m->sha256;
}

static int mac_update(void *ctx, const unsigned char *data, size_t len)
{
	struct mac *m = ctx;

	if (!m->ctx && m->sha256 && len <= GATHER_MAX - m->len) {
		if (len > 0)
			memcpy(m->buf + m->len, data, len);
		m->len += len;
		return 1;
	}
	return hand_over(m) && EVP_MAC_update(m->ctx, data, len) == 1;
}

static int mac_final(void *ctx, unsigned char *out, size_t *out_len, size_t cap)
{
	struct mac *m = ctx;
	const struct bs_slice msg = { m->buf, m->len };

	if (m->ctx || !m->sha256 || !m->keyed)
		return hand_over(m) && EVP_MAC_final(m->ctx, out, out_len, cap) == 1;
	if (cap < BS_SHA256_LEN ||
	    m->crypto->hmac_sha256(m->crypto->ctx, m->key, m->key_len, &msg, 1, out) != BS_OK)
		return 0;
	*out_len = BS_SHA256_LEN;
	return 1;
}

/** libssl asks for the length of the result only. */
static int mac_get_params(void *ctx, OSSL_PARAM params[])
{
	const struct mac *m = ctx;
	OSSL_PARAM *size = OSSL_PARAM_locate(params, OSSL_MAC_PARAM_SIZE);
	size_t len = m->sha256 ? BS_SHA256_LEN : 0;

	if (m->ctx)
		len = EVP_MAC_CTX_get_mac_size(m->ctx);
	return !size || OSSL_PARAM_set_size_t(size, len) == 1;
}

static const OSSL_PARAM *mac_gettable(void *ctx, void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_size_t(OSSL_MAC_PARAM_SIZE, NULL),
		OSSL_PARAM_END,
	};

	return params;
}

static const OSSL_PARAM *mac_settable(void *ctx, void *provctx)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_MAC_PARAM_KEY, NULL, 0),
		OSSL_PARAM_END,
	};

	return params;
}

const OSSL_ALGORITHM *bs__tls_mac_query(void)
{
	static const OSSL_DISPATCH hmac[] = {
		{ OSSL_FUNC_MAC_NEWCTX, (void (*)(void))mac_new },
		{ OSSL_FUNC_MAC_FREECTX, (void (*)(void))mac_free },
		{ OSSL_FUNC_MAC_INIT, (void (*)(void))mac_init },
		{ OSSL_FUNC_MAC_UPDATE, (void (*)(void))mac_update },
		{ OSSL_FUNC_MAC_FINAL, (void (*)(void))mac_final },
		{ OSSL_FUNC_MAC_GET_CTX_PARAMS, (void (*)(void))mac_get_params },
		{ OSSL_FUNC_MAC_GETTABLE_CTX_PARAMS, (void (*)(void))mac_gettable },
		{ OSSL_FUNC_MAC_SET_CTX_PARAMS, (void (*)(void))mac_set_params },
		{ OSSL_FUNC_MAC_SETTABLE_CTX_PARAMS, (void (*)(void))mac_settable },
		{ 0, NULL },
	};
	static const OSSL_ALGORITHM macs[] = {
		{ "HMAC", "provider=" BS__TLS_OWN, hmac, NULL },
		{ NULL, NULL, NULL, NULL },
	};

	return macs;
}
