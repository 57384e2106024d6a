/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_share.c - one X25519 key pair for the handshakes of one tick.
 *
 * Making the pair is half of a key agreement, and that is a third of a resumption.  Under load
 * dozens of handshakes begin within the 10 ms of a tick: they share a pair, which is wiped at the
 * tick's end.  Forward secrecy begins 10 ms later then, less than most handshakes take; a server
 * that is not busy makes a pair for each.  X25519 has no points that would tell something about a
 * key that is used again (RFC 9325, section 7.4); the pairs of other groups are never shared.
 *
 * The default provider's functions stay what works on keys; only those that make a pair are
 * wrapped.  They get no context of ours, so the worker's thread says which library context is at
 * work.
 */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
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

/** What the thread works with between enter and leave. */
static _Thread_local struct bs__tls_lib *at_work;

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

static void *gen(void *making, OSSL_CALLBACK *cb, void *arg)
{
	const struct making *m = making;
	struct bs__tls_lib *lib = at_work;
	bool shares = m->pair && lib && lib->shares;
	void *key = shares && lib->pair ? their.dup(lib->pair, OSSL_KEYMGMT_SELECT_ALL) : NULL;

	if (key)
		return key;
	key = their.gen(m->ctx, cb, arg);
	if (key && shares && !lib->pair)
		lib->pair = their.dup(key, OSSL_KEYMGMT_SELECT_ALL);
	return key;
}

/** Remember one function of theirs, and take its place where it is to be wrapped. */
static void wrap(OSSL_DISPATCH *d)
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
	default: break;
	}
}

const OSSL_DISPATCH *bs__tls_share_wrap(const OSSL_DISPATCH *theirs)
{
	static OSSL_DISPATCH calls[CALLS_MAX];
	size_t n = 0;

	for (; theirs[n].function_id != 0 && n < CALLS_MAX - 1; n++) {
		/* It would take a context for its own. */
		if (theirs[n].function_id == OSSL_FUNC_KEYMGMT_GEN_SET_TEMPLATE)
			return theirs;
		calls[n] = theirs[n];
		wrap(&calls[n]);
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

void bs__tls_share_work(struct bs__tls_lib *lib)
{
	at_work = lib;
}
