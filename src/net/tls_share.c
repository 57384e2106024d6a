/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_share.c - one X25519 key pair for the handshakes of one tick.
 *
 * Making the pair is half of a key agreement, and that is a third of a resumption.  Under load
 * dozens of handshakes begin within the 10 ms of a tick: they share a pair, which is wiped at the
 * tick's end.  Forward secrecy begins up to 10 ms later then, which is less than most handshakes
 * take.  X25519 has no points that would tell something about a key that is used again (RFC 9325,
 * section 7.4); the pairs of other groups are never shared.
 *
 * OpenSSL keeps a handshake's pair as long as its session.  A TLS 1.3 server is done with it when
 * its first answer is made, so the session's copy is wiped then, too.  In TLS 1.2 it is needed
 * until the client's answer, which may take its time: nothing is shared there.
 *
 * The default provider's functions stay what works on keys; only those that make a pair are
 * wrapped.  They get no context of ours, so the worker's thread says which session is at work.
 */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "net/tls_internal.h"

/** Functions of a key type, at most. */
#define CALLS_MAX 40

/** The default provider's; written once, before any context is made. */
static struct {
	OSSL_FUNC_keymgmt_gen_init_fn *gen_init;
	OSSL_FUNC_keymgmt_gen_set_params_fn *gen_set_params;
	OSSL_FUNC_keymgmt_gen_settable_params_fn *gen_settable;
	OSSL_FUNC_keymgmt_gen_fn *gen;
	OSSL_FUNC_keymgmt_gen_cleanup_fn *gen_cleanup;
	OSSL_FUNC_keymgmt_dup_fn *dup;
	OSSL_FUNC_keymgmt_free_fn *free;
} their;

/** A key in the making. */
struct making {
	void *ctx; /**< the default provider's */
	bool pair; /**< and not only parameters, which X25519 has none of */
};

/** Whose handshake the thread computes. */
static _Thread_local const struct bs_tls *at_work;

static void *gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
	struct making *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	m->pair = (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0;
	m->ctx = their.gen_init(provctx, selection, params);
	if (!m->ctx) {
		free(m);
		return NULL;
	}
	return m;
}

static void gen_cleanup(void *making)
{
	struct making *m = making;

	if (m)
		their.gen_cleanup(m->ctx);
	free(m);
}

static int gen_set_params(void *making, const OSSL_PARAM params[])
{
	return their.gen_set_params(((struct making *)making)->ctx, params);
}

static const OSSL_PARAM *gen_settable(void *making, void *provctx)
{
	return their.gen_settable(making ? ((struct making *)making)->ctx : NULL, provctx);
}

/** A copy of a pair; NULL without memory, which leaves no error behind: there is another way. */
static void *copy(void *pair)
{
	void *key;

	ERR_set_mark();
	key = their.dup(pair, OSSL_KEYMGMT_SELECT_ALL);
	ERR_pop_to_mark();
	return key;
}

static void *gen(void *making, OSSL_CALLBACK *cb, void *arg)
{
	const struct making *m = making;
	struct bs__tls_lib *lib = at_work ? &at_work->srv->lib : NULL;
	bool shares = m->pair && lib && lib->shares && SSL_version(at_work->ssl) == TLS1_3_VERSION;
	void *key = shares && lib->pair ? copy(lib->pair) : NULL;

	if (key)
		return key;
	key = their.gen(m->ctx, cb, arg);
	if (key && shares && !lib->pair)
		lib->pair = copy(key);
	return key;
}

/**
 * Remember one function of theirs, and take its place where it is to be wrapped.  False when it is
 * none that we know: it could take a context of ours for one of theirs.
 */
static bool wrap(OSSL_DISPATCH *d)
{
	switch (d->function_id) {
	case OSSL_FUNC_KEYMGMT_GEN_INIT:
		their.gen_init = OSSL_FUNC_keymgmt_gen_init(d);
		d->function = (void (*)(void))gen_init;
		break;
	case OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS:
		their.gen_set_params = OSSL_FUNC_keymgmt_gen_set_params(d);
		d->function = (void (*)(void))gen_set_params;
		break;
	case OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS:
		their.gen_settable = OSSL_FUNC_keymgmt_gen_settable_params(d);
		d->function = (void (*)(void))gen_settable;
		break;
	case OSSL_FUNC_KEYMGMT_GEN:
		their.gen = OSSL_FUNC_keymgmt_gen(d);
		d->function = (void (*)(void))gen;
		break;
	case OSSL_FUNC_KEYMGMT_GEN_CLEANUP:
		their.gen_cleanup = OSSL_FUNC_keymgmt_gen_cleanup(d);
		d->function = (void (*)(void))gen_cleanup;
		break;
	case OSSL_FUNC_KEYMGMT_DUP: their.dup = OSSL_FUNC_keymgmt_dup(d); break;
	case OSSL_FUNC_KEYMGMT_FREE: their.free = OSSL_FUNC_keymgmt_free(d); break;
	case OSSL_FUNC_KEYMGMT_NEW:
	case OSSL_FUNC_KEYMGMT_LOAD:
	case OSSL_FUNC_KEYMGMT_GET_PARAMS:
	case OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS:
	case OSSL_FUNC_KEYMGMT_SET_PARAMS:
	case OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS:
	case OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME:
	case OSSL_FUNC_KEYMGMT_HAS:
	case OSSL_FUNC_KEYMGMT_VALIDATE:
	case OSSL_FUNC_KEYMGMT_MATCH:
	case OSSL_FUNC_KEYMGMT_IMPORT:
	case OSSL_FUNC_KEYMGMT_IMPORT_TYPES:
	case OSSL_FUNC_KEYMGMT_EXPORT:
	case OSSL_FUNC_KEYMGMT_EXPORT_TYPES: break;
	default: return false;
	}
	return true;
}

const OSSL_DISPATCH *bs__tls_share_wrap(const OSSL_DISPATCH *theirs)
{
	static OSSL_DISPATCH calls[CALLS_MAX];
	size_t n = 0;

	for (; theirs[n].function_id != 0 && n < CALLS_MAX - 1; n++) {
		calls[n] = theirs[n];
		if (!wrap(&calls[n]))
			return theirs;
	}
	/* A provider that has other functions works as it is. */
	if (theirs[n].function_id != 0 || !their.gen_init || !their.gen_set_params ||
	    !their.gen_settable || !their.gen || !their.gen_cleanup || !their.dup || !their.free)
		return theirs;
	return calls;
}

void bs__tls_share_forget(struct bs__tls_lib *lib, bool shares)
{
	/* Freeing wipes the private key. */
	if (lib->pair)
		their.free(lib->pair);
	lib->pair = NULL;
	lib->shares = shares;
}

void bs__tls_share_begin(const struct bs_tls *t)
{
	at_work = t;
}

void bs__tls_share_end(struct bs_tls *t)
{
	EVP_PKEY *pair = NULL;
	unsigned char *half = NULL;
	size_t len;

	at_work = NULL;
	if (t->wiped || !t->srv->lib.tls || SSL_version(t->ssl) != TLS1_3_VERSION ||
	    SSL_get_tmp_key(t->ssl, &pair) != 1)
		return;
	t->wiped = true;
	/* A public half that is set takes the private one away. */
	if (EVP_PKEY_get_base_id(pair) == EVP_PKEY_X25519) {
		ERR_set_mark();
		len = EVP_PKEY_get1_encoded_public_key(pair, &half);
		t->wiped = len > 0 && EVP_PKEY_set1_encoded_public_key(pair, half, len) == 1;
		ERR_pop_to_mark();
	}
	OPENSSL_free(half);
	EVP_PKEY_free(pair);
}
