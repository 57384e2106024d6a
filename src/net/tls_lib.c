/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_lib.c - a library context of OpenSSL for one worker, that offers only what our TLS uses.
 *
 * OpenSSL 3.0 finds the reader of a public key anew for every certificate: it walks all decoders
 * and all key types of all providers, builds chains of them and throws them away.  With the default
 * provider's 90 decoders that costs more than the private-key operation of the handshake, and a
 * full handshake does it twice.  So a context of our own has one provider, "basestation-tls", which
 * lends everything from the default provider but of decoders and key types only those of the
 * list below.  The code that runs is the default provider's own (but for tls_share.c), with a
 * context of its own behind it, so that no lock inside is shared between workers.
 *
 * A third context offers nothing at all.  It is the thread's default while TLS works: a session
 * that is packed into a ticket is unpacked once more by OpenSSL itself, certificate included, in
 * the default context, where nobody can ask for the key that stands in it.
 *
 * Where the default provider is not there (a system that allows only another one), handshakes run
 * in the library's global context, slower but the same.
 */
#include "net/tls_internal.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/** Name of our provider; its algorithms keep the default provider's properties. */
#define LENDER "basestation-tls"
/** Entries of a shortened table, at most. */
#define OFFER_MAX 16
/** Operations that OpenSSL 3 knows are numbered below this. */
#define OPERATIONS 32

/** What the lender answers, made once of the default provider's constant tables. */
struct offer {
	OSSL_ALGORITHM table[OPERATIONS][OFFER_MAX];
	bool ok;
};

/** One table for all threads: nothing in it changes after offer_once. */
static struct offer offer;
static pthread_once_t offer_once = PTHREAD_ONCE_INIT;

/** Algorithms of one operation, by their first names. */
struct wanted {
	int operation;
	const char *property; /**< part of the properties; NULL = any */
	const char *names[OFFER_MAX];
};

/**
 * TLS 1.2 and 1.3 as tls_server.c allows them, and whatever a certificate may be signed with.  The
 * list is short because OpenSSL walks all of it for every public key that it reads.
 */
static const struct wanted wanted[] = {
	{ OSSL_OP_DIGEST,
	  NULL,
	  { "SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512", "SHA3-256", "SHA3-384",
	    "SHA3-512" } },
	{ OSSL_OP_CIPHER,
	  NULL,
	  { "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-256-CBC" } },
	/* TLS 1.3's is in tls_own.c, HMAC in tls_mac.c. */
	{ OSSL_OP_KDF, NULL, { "HKDF", "TLS1-PRF" } },
	{ OSSL_OP_RAND, NULL, { "CTR-DRBG", "SEED-SRC" } },
	{ OSSL_OP_KEYMGMT, NULL, { "RSA", "RSA-PSS", "EC", "X25519", "ED25519", "ED448", "HMAC" } },
	{ OSSL_OP_KEYEXCH, NULL, { "ECDH", "X25519" } },
	{ OSSL_OP_SIGNATURE, NULL, { "RSA", "ECDSA", "ED25519", "ED448", "HMAC" } },
	/* Public keys as they stand in certificates. */
	{ OSSL_OP_DECODER,
	  "input=der,structure=SubjectPublicKeyInfo",
	  { "RSA", "RSA-PSS", "EC", "ED25519", "ED448" } },
};

/** Whether list, names parted by colons, begins with this one: aliases and OIDs stand behind. */
static bool is_named(const char *list, const char *name)
{
	size_t len = strlen(name);

	return strncmp(list, name, len) == 0 && (list[len] == ':' || list[len] == '\0');
}

/** Copy what is wanted; false when the provider lacks something. */
static bool shorten(const OSSL_ALGORITHM *all, const struct wanted *w,
		    OSSL_ALGORITHM out[OFFER_MAX])
{
	size_t n = 0, found = 0;

	for (size_t i = 0; i < OFFER_MAX && w->names[i]; i++) {
		const OSSL_ALGORITHM *a = all;

		while (a && a->algorithm_names &&
		       !(is_named(a->algorithm_names, w->names[i]) &&
			 (!w->property || strstr(a->property_definition, w->property))))
			a++;
		n++;
		if (!a || !a->algorithm_names)
			continue;
		out[found] = *a;
		if (w->operation == OSSL_OP_KEYMGMT && is_named(a->algorithm_names, "X25519"))
			out[found].implementation = bs__tls_share_wrap(a->implementation);
		found++;
	}
	return n == found;
}

static void fill_offer(void)
{
	OSSL_PROVIDER *prov = OSSL_PROVIDER_try_load(NULL, "default", 1);
	bool ok = prov != NULL;
	int no_cache;

	for (size_t i = 0; ok && i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const struct wanted *w = &wanted[i];

		ok = shorten(OSSL_PROVIDER_query_operation(prov, w->operation, &no_cache), w,
			     offer.table[w->operation]);
	}
	offer.ok = ok;
	OSSL_PROVIDER_unload(prov);
}

static const OSSL_ALGORITHM *lend(void *provctx, int operation, int *no_cache)
{
	*no_cache = 0;
	return operation > 0 && operation < OPERATIONS ? offer.table[operation] : NULL;
}

/** The groups of key agreement are a capability; theirs are the default provider's. */
static int lend_capabilities(void *provctx, const char *what, OSSL_CALLBACK *cb, void *arg)
{
	OSSL_PROVIDER *prov = OSSL_PROVIDER_try_load(NULL, "default", 1);
	int ok = prov && OSSL_PROVIDER_get_capabilities(prov, what, cb, arg);

	OSSL_PROVIDER_unload(prov);
	return ok;
}

/**
 * The lender's start.  Its context is that of the default provider in the calling thread's default
 * library context, which therefore must live longer.
 */
static int start_lender(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
			const OSSL_DISPATCH **out, void **provctx)
{
	static const OSSL_DISPATCH calls[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))lend },
		{ OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))lend_capabilities },
		{ 0, NULL },
	};
	OSSL_PROVIDER *prov = OSSL_PROVIDER_try_load(NULL, "default", 1);

	if (!prov)
		return 0;
	*out = calls;
	*provctx = OSSL_PROVIDER_get0_provider_ctx(prov);
	OSSL_PROVIDER_unload(prov);
	return *provctx != NULL;
}

void bs__tls_lib_fini(struct bs__tls_lib *lib)
{
	bs__tls_share_forget(lib, false);
	OSSL_PROVIDER_unload(lib->own);
	OSSL_PROVIDER_unload(lib->lender);
	OSSL_LIB_CTX_free(lib->tls);
	OSSL_PROVIDER_unload(lib->nothing);
	OSSL_LIB_CTX_free(lib->none);
	/* Last: what runs in the others is code with this one's context. */
	OSSL_PROVIDER_unload(lib->full);
	OSSL_LIB_CTX_free(lib->whole);
	memset(lib, 0, sizeof(*lib));
}

int bs__tls_lib_init(struct bs__tls_lib *lib)
{
	OSSL_LIB_CTX *before;

	memset(lib, 0, sizeof(*lib));
	pthread_once(&offer_once, fill_offer);
	if (!offer.ok)
		return BS_ESTATE;
	lib->whole = OSSL_LIB_CTX_new();
	lib->tls = OSSL_LIB_CTX_new();
	lib->none = OSSL_LIB_CTX_new();
	if (!lib->whole || !lib->tls || !lib->none)
		goto fail;
	lib->full = OSSL_PROVIDER_load(lib->whole, "default");
	lib->nothing = OSSL_PROVIDER_load(lib->none, "null");
	if (!lib->full || !lib->nothing ||
	    OSSL_PROVIDER_add_builtin(lib->tls, LENDER, start_lender) != 1 ||
	    OSSL_PROVIDER_add_builtin(lib->tls, BS__TLS_OWN, bs__tls_own_start) != 1)
		goto fail;
	before = OSSL_LIB_CTX_set0_default(lib->whole);
	lib->lender = OSSL_PROVIDER_load(lib->tls, LENDER);
	lib->own = OSSL_PROVIDER_load(lib->tls, BS__TLS_OWN);
	OSSL_LIB_CTX_set0_default(before);
	if (lib->lender && lib->own)
		return BS_OK;
fail:
	bs__tls_lib_fini(lib);
	ERR_clear_error();
	return BS_ENOMEM;
}

OSSL_LIB_CTX *bs__tls_lib_enter(const struct bs__tls_lib *lib)
{
	return lib->none ? OSSL_LIB_CTX_set0_default(lib->none) : NULL;
}

void bs__tls_lib_leave(const struct bs__tls_lib *lib, OSSL_LIB_CTX *before)
{
	if (lib->none)
		OSSL_LIB_CTX_set0_default(before);
}
