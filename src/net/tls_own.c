/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_own.c - what of a worker's TLS is ours: key schedule and tickets; HMAC is in tls_mac.c.
 *
 * A provider beside the lender of tls_lib.c.  What it computes is what OpenSSL would compute; it is
 * here because of how OpenSSL 3.0 goes about it.
 *
 * TLS 1.3 derives two dozen secrets in a handshake.  For each one OpenSSL allocates a context,
 * copies every input into it, looks the digest up by name and builds an HMAC with three more
 * contexts, around four blocks of SHA-256.  Ours has no context: derive gets all inputs at once and
 * hashes them by the worker's own HMAC.
 *
 * A session goes into its ticket as DER, with the client's certificate in it.  Nobody needs that
 * certificate again, for what it said travels as application data (tls_ticket.c), but OpenSSL
 * parses it whenever it opens a ticket and when it makes the next one, and every client carries it
 * to and fro.  No call takes it out of a session, so the cipher leaves it out of what it encrypts.
 */
#include "net/tls_internal.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/openssl.h"

/** Length, prefix and label, data, each behind its length, a counter (RFC 8446, section 7.1). */
#define INFO_MAX (2 + 1 + 255 + 1 + 255 + 1)
/** AES-256-CBC, as OpenSSL seals tickets too. */
#define TICKET_BLOCK 16
#define TICKET_KEY   32
/** Number of the field of a packed session that holds the peer's certificate. */
#define SESSION_PEER 3
/** Parts that a session without it is written in. */
#define PARTS 3

/** What the provider works with; used by one worker only. */
struct own {
	struct bs_openssl *backend;
	const struct bs_crypto *crypto;
	EVP_KDF *kdf;    /**< OpenSSL's own, for what is not hashed with SHA-256 */
	EVP_CIPHER *aes; /**< what tickets are encrypted with */
	EVP_MAC *mac;    /**< OpenSSL's own, for what is not hashed with SHA-256 */
};

/* The key schedule. */

/** What libssl hands in; an empty slice where there was nothing. */
struct inputs {
	int mode;
	struct bs_slice digest, key, salt, prefix, label, data;
};

static bool is_sha256(struct bs_slice name)
{
	return (name.len == 8 && memcmp(name.ptr, "SHA2-256", 8) == 0) ||
	       (name.len == 6 && memcmp(name.ptr, "SHA256", 6) == 0);
}

/** False when there is something that we know nothing about. */
static bool collect(const OSSL_PARAM *p, struct inputs *in)
{
	const struct {
		const char *name;
		struct bs_slice *to;
	} row[] = {
		{ OSSL_KDF_PARAM_DIGEST, &in->digest }, { OSSL_KDF_PARAM_KEY, &in->key },
		{ OSSL_KDF_PARAM_SALT, &in->salt },     { OSSL_KDF_PARAM_PREFIX, &in->prefix },
		{ OSSL_KDF_PARAM_LABEL, &in->label },   { OSSL_KDF_PARAM_DATA, &in->data },
	};

	for (; p->key; p++) {
		size_t i = 0;

		if (strcmp(p->key, OSSL_KDF_PARAM_MODE) == 0) {
			if (OSSL_PARAM_get_int(p, &in->mode) != 1)
				return false;
			continue;
		}
		while (i < sizeof(row) / sizeof(row[0]) && strcmp(p->key, row[i].name) != 0)
			i++;
		if (i == sizeof(row) / sizeof(row[0]))
			return false;
		*row[i].to = (struct bs_slice){ p->data, p->data_size };
	}
	return is_sha256(in->digest);
}

static bool hmac(const struct own *own, struct bs_slice key, struct bs_slice msg,
		 uint8_t out[static BS_SHA256_LEN])
{
	return own->crypto->hmac_sha256(own->crypto->ctx, key.ptr, key.len, &msg, 1, out) == BS_OK;
}

static uint8_t *put(uint8_t *p, struct bs_slice s)
{
	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	return p + s.len;
}

/** HKDF-Expand-Label: out of one block at most, so the counter is always 1. */
static bool expand(const struct own *own, const struct inputs *in, struct bs_slice data,
		   uint8_t *out, size_t len)
{
	uint8_t info[INFO_MAX], block[BS_SHA256_LEN];
	uint8_t *p = info;
	bool ok;

	*p++ = 0;
	*p++ = (uint8_t)len;
	*p++ = (uint8_t)(in->prefix.len + in->label.len);
	p = put(put(p, in->prefix), in->label);
	*p++ = (uint8_t)data.len;
	p = put(p, data);
	*p++ = 1;
	ok = hmac(own, in->mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY ? in->key : in->salt,
		  (struct bs_slice){ info, (size_t)(p - info) }, block);
	memcpy(out, block, len);
	bs_wipe(block, sizeof(block));
	return ok;
}

/** HKDF-Extract; the salt is derived from the secret before, where there was one. */
static bool extract(const struct own *own, const struct inputs *in, uint8_t *out)
{
	/* SHA-256 of nothing. */
	static const uint8_t empty[BS_SHA256_LEN] = {
		0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4,
		0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
		0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
	};
	static const uint8_t zeros[BS_SHA256_LEN];
	struct bs_slice key = in->key;
	struct bs_slice salt = { NULL, 0 };
	uint8_t derived[BS_SHA256_LEN];
	bool ok = true;

	if (key.len == 0)
		key = (struct bs_slice){ zeros, sizeof(zeros) };
	if (in->salt.len > 0) {
		ok = expand(own, in, (struct bs_slice){ empty, sizeof(empty) }, derived,
			    sizeof(derived));
		salt = (struct bs_slice){ derived, sizeof(derived) };
	}
	ok = ok && hmac(own, salt, key, out);
	bs_wipe(derived, sizeof(derived));
	return ok;
}

/** All of a derivation is in the call: there is nothing to keep between calls. */
static void *kdf_new(void *provctx)
{
	return provctx;
}

static void kdf_free(void *ctx)
{
}

static int kdf_derive(void *ctx, unsigned char *out, size_t len, const OSSL_PARAM params[])
{
	const struct own *own = ctx;
	struct inputs in = { .mode = -1 };

	if (collect(params, &in) && in.prefix.len + in.label.len <= UINT8_MAX &&
	    in.data.len <= UINT8_MAX) {
		if (in.mode == EVP_KDF_HKDF_MODE_EXPAND_ONLY && in.key.len > 0 &&
		    len <= BS_SHA256_LEN)
			return expand(own, &in, in.data, out, len);
		if (in.mode == EVP_KDF_HKDF_MODE_EXTRACT_ONLY && len == BS_SHA256_LEN)
			return extract(own, &in, out);
	}
	EVP_KDF_CTX *theirs = EVP_KDF_CTX_new(own->kdf);
	int ok = theirs && EVP_KDF_derive(theirs, out, len, params) == 1;

	EVP_KDF_CTX_free(theirs);
	return ok;
}

/* The ticket cipher: its context is one of OpenSSL's AES. */

static void *ticket_new(void *provctx)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	if (c)
		EVP_CIPHER_CTX_set_app_data(c, provctx);
	return c;
}

static void ticket_free(void *ctx)
{
	EVP_CIPHER_CTX_free(ctx);
}

static int ticket_init(EVP_CIPHER_CTX *c, const unsigned char *key, const unsigned char *iv,
		       int seal)
{
	const struct own *own = EVP_CIPHER_CTX_get_app_data(c);

	return EVP_CipherInit_ex2(c, own->aes, key, iv, seal, NULL);
}

static int ticket_seal(void *ctx, const unsigned char *key, size_t key_len, const unsigned char *iv,
		       size_t iv_len, const OSSL_PARAM params[])
{
	return ticket_init(ctx, key, iv, 1);
}

static int ticket_unseal(void *ctx, const unsigned char *key, size_t key_len,
			 const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
	return ticket_init(ctx, key, iv, 0);
}

/**
 * A packed session as parts that together leave out the peer's certificate; head takes a new
 * header.  What is not a packed session with a certificate in it stays one part.
 */
static size_t leave_out_peer(const uint8_t *in, size_t len, uint8_t head[static TICKET_BLOCK],
			     struct bs_slice part[static PARTS])
{
	const uint8_t *end = in + len;
	const uint8_t *body, *from, *p = in;
	uint8_t *h = head;
	int tag = -1, class = -1;
	long n = 0;
	/* Bits of what ASN1_get_object returns: an error, or a length that is not given. */
	const int bad = 0x81;

	part[0] = (struct bs_slice){ in, len };
	if ((ASN1_get_object(&p, &n, &tag, &class, (long)len) & bad) || tag != V_ASN1_SEQUENCE ||
	    n != end - p)
		return 1;
	body = from = p;
	while (p < end) {
		from = p;
		if (ASN1_get_object(&p, &n, &tag, &class, end - p) & bad)
			return 1;
		p += n;
		if (class == V_ASN1_CONTEXT_SPECIFIC && tag == SESSION_PEER)
			break;
	}
	if (class != V_ASN1_CONTEXT_SPECIFIC || tag != SESSION_PEER)
		return 1;
	ASN1_put_object(&h, 1, (int)((from - body) + (end - p)), V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	part[0] = (struct bs_slice){ head, (size_t)(h - head) };
	part[1] = (struct bs_slice){ body, (size_t)(from - body) };
	part[2] = (struct bs_slice){ p, (size_t)(end - p) };
	return PARTS;
}

/** libssl hands a session over in one piece. */
static int ticket_update(void *ctx, unsigned char *out, size_t *out_len, size_t cap,
			 const unsigned char *in, size_t len)
{
	EVP_CIPHER_CTX *c = ctx;
	uint8_t head[TICKET_BLOCK];
	struct bs_slice part[PARTS] = { { in, len } };
	size_t parts = 1;
	int done;

	*out_len = 0;
	if (len > INT32_MAX || cap < len)
		return 0;
	if (EVP_CIPHER_CTX_is_encrypting(c))
		parts = leave_out_peer(in, len, head, part);
	for (size_t i = 0; i < parts; i++) {
		if (EVP_CipherUpdate(c, out + *out_len, &done, part[i].ptr, (int)part[i].len) != 1)
			return 0;
		*out_len += (size_t)done;
	}
	return 1;
}

static int ticket_final(void *ctx, unsigned char *out, size_t *out_len, size_t cap)
{
	int done = 0;

	if (cap < TICKET_BLOCK || EVP_CipherFinal_ex(ctx, out, &done) != 1)
		return 0;
	*out_len = (size_t)done;
	return 1;
}

static int ticket_params(OSSL_PARAM params[])
{
	const struct {
		const char *name;
		size_t value;
	} row[] = {
		{ OSSL_CIPHER_PARAM_BLOCK_SIZE, TICKET_BLOCK },
		{ OSSL_CIPHER_PARAM_IVLEN, TICKET_BLOCK },
		{ OSSL_CIPHER_PARAM_KEYLEN, TICKET_KEY },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		OSSL_PARAM *p = OSSL_PARAM_locate(params, row[i].name);

		if (p && OSSL_PARAM_set_size_t(p, row[i].value) != 1)
			return 0;
	}
	return 1;
}

static int ticket_ctx_params(void *ctx, OSSL_PARAM params[])
{
	return ticket_params(params);
}

/* The provider. */

void bs__tls_own_mac(void *provctx, const struct bs_crypto **crypto, EVP_MAC **theirs)
{
	const struct own *own = provctx;

	*crypto = own->crypto;
	*theirs = own->mac;
}

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
	static const OSSL_DISPATCH kdf[] = {
		{ OSSL_FUNC_KDF_NEWCTX, (void (*)(void))kdf_new },
		{ OSSL_FUNC_KDF_FREECTX, (void (*)(void))kdf_free },
		{ OSSL_FUNC_KDF_DERIVE, (void (*)(void))kdf_derive },
		{ 0, NULL },
	};
	static const OSSL_DISPATCH ticket[] = {
		{ OSSL_FUNC_CIPHER_NEWCTX, (void (*)(void))ticket_new },
		{ OSSL_FUNC_CIPHER_FREECTX, (void (*)(void))ticket_free },
		{ OSSL_FUNC_CIPHER_ENCRYPT_INIT, (void (*)(void))ticket_seal },
		{ OSSL_FUNC_CIPHER_DECRYPT_INIT, (void (*)(void))ticket_unseal },
		{ OSSL_FUNC_CIPHER_UPDATE, (void (*)(void))ticket_update },
		{ OSSL_FUNC_CIPHER_FINAL, (void (*)(void))ticket_final },
		{ OSSL_FUNC_CIPHER_GET_PARAMS, (void (*)(void))ticket_params },
		{ OSSL_FUNC_CIPHER_GET_CTX_PARAMS, (void (*)(void))ticket_ctx_params },
		{ 0, NULL },
	};
	static const OSSL_ALGORITHM kdfs[] = {
		{ OSSL_KDF_NAME_TLS1_3_KDF, "provider=" BS__TLS_OWN, kdf, NULL },
		{ NULL, NULL, NULL, NULL },
	};
	static const OSSL_ALGORITHM ciphers[] = {
		{ BS__TLS_TICKET_CIPHER, "provider=" BS__TLS_OWN, ticket, NULL },
		{ NULL, NULL, NULL, NULL },
	};

	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KDF: return kdfs;
	case OSSL_OP_CIPHER: return ciphers;
	case OSSL_OP_MAC: return bs__tls_mac_query();
	default: return NULL;
	}
}

static void stop(void *provctx)
{
	struct own *own = provctx;

	EVP_MAC_free(own->mac);
	EVP_KDF_free(own->kdf);
	EVP_CIPHER_free(own->aes);
	bs_openssl_free(own->backend);
	free(own);
}

bool bs__tls_own_random(const struct bs__tls_lib *lib, uint8_t *buf, size_t len)
{
	OSSL_LIB_CTX *before;
	const struct own *own;
	bool ok;

	if (!lib->own)
		return len <= INT32_MAX && RAND_bytes_ex(lib->tls, buf, len, 0) == 1;
	own = OSSL_PROVIDER_get0_provider_ctx(lib->own);
	/* The pool is filled by the thread's default context, which is the empty one now. */
	before = OSSL_LIB_CTX_set0_default(OSSL_LIB_CTX_get0_global_default());
	ok = own->crypto->random(own->crypto->ctx, buf, len) == BS_OK;
	OSSL_LIB_CTX_set0_default(before);
	return ok;
}

int bs__tls_own_start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
		      const OSSL_DISPATCH **out, void **provctx)
{
	static const OSSL_DISPATCH calls[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
		{ OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))stop },
		{ 0, NULL },
	};
	struct own *own = calloc(1, sizeof(*own));

	if (!own)
		return 0;
	/* The thread's default library context is the whole one now. */
	own->kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
	own->aes = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	own->backend = bs_openssl_new();
	own->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (!own->kdf || !own->aes || !own->mac || !own->backend) {
		stop(own);
		return 0;
	}
	own->crypto = bs_openssl_crypto(own->backend);
	*out = calls;
	*provctx = own;
	return 1;
}
