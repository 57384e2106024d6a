/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_kx.c - X25519 for the provider of tls_own.c: OpenSSL's own, with key pairs made in batches.
 *
 * Keys and key agreement are the default provider's, whose functions the tables here name.  Only
 * the making of a pair is ours: a few private keys are drawn at once and their public keys share
 * the work (tls_x25519.c).  Each pair is given away once, and nothing of it is kept; pairs that
 * wait are as secret as the state of the generator they came from, which lies beside them.
 */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "net/tls_internal.h"
#include "net/tls_x25519.h"

/** Entries of a table of functions, with the end. */
#define CALLS_MAX 24

typedef void (*call_fn)(void);

struct bs__tls_kx {
	OSSL_LIB_CTX *whole; /**< whose generator private keys come from */
	void *lent;          /**< the default provider's context */
	OSSL_DISPATCH keymgmt[CALLS_MAX], keyexch[CALLS_MAX];
	OSSL_ALGORITHM keymgmts[2], keyexchs[2];
	OSSL_FUNC_keymgmt_new_fn *key_new;
	OSSL_FUNC_keymgmt_free_fn *key_free;
	OSSL_FUNC_keymgmt_import_fn *key_import;
	OSSL_FUNC_keymgmt_gettable_params_fn *key_gettable;
	OSSL_FUNC_keymgmt_settable_params_fn *key_settable;
	OSSL_FUNC_keymgmt_gen_init_fn *gen_init;
	OSSL_FUNC_keymgmt_gen_set_params_fn *gen_set_params;
	OSSL_FUNC_keymgmt_gen_settable_params_fn *gen_settable;
	OSSL_FUNC_keymgmt_gen_fn *gen;
	OSSL_FUNC_keymgmt_gen_cleanup_fn *gen_cleanup;
	OSSL_FUNC_keyexch_newctx_fn *exch_new;
	bool fast;   /**< table is made */
	size_t left; /**< pairs not given away yet, the first ones */
	uint8_t priv[BS__X25519_BATCH][BS__X25519_LEN];
	uint8_t pub[BS__X25519_BATCH][BS__X25519_LEN];
	struct bs__x25519_table table;
};

/** One generation; theirs does what is no key pair, and checks the parameters. */
struct gen {
	struct bs__tls_kx *kx;
	void *theirs;
	int selection;
};

static void *kx_key_new(void *provctx)
{
	const struct bs__tls_kx *kx = bs__tls_own_kx(provctx);

	return kx->key_new(kx->lent);
}

static const OSSL_PARAM *kx_gettable(void *provctx)
{
	const struct bs__tls_kx *kx = bs__tls_own_kx(provctx);

	return kx->key_gettable(kx->lent);
}

static const OSSL_PARAM *kx_settable(void *provctx)
{
	const struct bs__tls_kx *kx = bs__tls_own_kx(provctx);

	return kx->key_settable(kx->lent);
}

static void kx_gen_cleanup(void *genctx)
{
	struct gen *g = genctx;

	if (!g)
		return;
	if (g->theirs)
		g->kx->gen_cleanup(g->theirs);
	free(g);
}

static void *kx_gen_init(void *provctx, int selection, const OSSL_PARAM params[])
{
	struct gen *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->kx = bs__tls_own_kx(provctx);
	g->selection = selection;
	g->theirs = g->kx->gen_init(g->kx->lent, selection, params);
	if (!g->theirs) {
		kx_gen_cleanup(g);
		return NULL;
	}
	return g;
}

static int kx_gen_set_params(void *genctx, const OSSL_PARAM params[])
{
	struct gen *g = genctx;

	return g->kx->gen_set_params(g->theirs, params);
}

static const OSSL_PARAM *kx_gen_settable(void *genctx, void *provctx)
{
	const struct bs__tls_kx *kx = bs__tls_own_kx(provctx);
	struct gen *g = genctx;

	return kx->gen_settable(g ? g->theirs : NULL, kx->lent);
}

/** Make new pairs; all that came before are used up. */
static bool refill(struct bs__tls_kx *kx)
{
	if (RAND_priv_bytes_ex(kx->whole, kx->priv[0], sizeof(kx->priv), 0) != 1)
		return false;
	bs__x25519_public(&kx->table, (const uint8_t(*)[BS__X25519_LEN])kx->priv, kx->pub,
			  BS__X25519_BATCH);
	kx->left = BS__X25519_BATCH;
	return true;
}

static void *kx_gen(void *genctx, OSSL_CALLBACK *cb, void *arg)
{
	struct gen *g = genctx;
	struct bs__tls_kx *kx = g->kx;
	void *key;

	if (!kx->fast || !(g->selection & OSSL_KEYMGMT_SELECT_KEYPAIR))
		return kx->gen(g->theirs, cb, arg);
	if (kx->left == 0 && !refill(kx))
		return NULL;
	uint8_t *priv = kx->priv[--kx->left];
	const OSSL_PARAM pair[] = {
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, priv, BS__X25519_LEN),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, kx->pub[kx->left], BS__X25519_LEN),
		OSSL_PARAM_END,
	};

	key = kx->key_new(kx->lent);
	if (key && kx->key_import(key, OSSL_KEYMGMT_SELECT_KEYPAIR, pair) != 1) {
		kx->key_free(key);
		key = NULL;
	}
	bs_wipe(priv, BS__X25519_LEN);
	return key;
}

static void *kx_exch_new(void *provctx)
{
	const struct bs__tls_kx *kx = bs__tls_own_kx(provctx);

	return kx->exch_new(kx->lent);
}

/** The default provider's functions for X25519; NULL where there are none. */
static const OSSL_DISPATCH *find(OSSL_PROVIDER *prov, int operation, const char **names)
{
	const char *const want = "X25519";
	int no_cache;
	const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(prov, operation, &no_cache);

	for (; a && a->algorithm_names; a++) {
		if (strncmp(a->algorithm_names, want, strlen(want)) == 0) {
			*names = a->algorithm_names;
			return a->implementation;
		}
	}
	return NULL;
}

static call_fn call_of(const OSSL_DISPATCH *d, int id)
{
	for (; d && d->function_id; d++)
		if (d->function_id == id)
			return d->function;
	return NULL;
}

/** Our functions, and behind them theirs of which ids says that they take nothing of ours. */
static void compose(OSSL_DISPATCH out[CALLS_MAX], const OSSL_DISPATCH *ours,
		    const OSSL_DISPATCH *theirs, const int *ids)
{
	size_t n = 0;

	for (; ours->function_id; ours++)
		out[n++] = *ours;
	for (; *ids && n < CALLS_MAX - 1; ids++) {
		call_fn f = call_of(theirs, *ids);

		if (f)
			out[n++] = (OSSL_DISPATCH){ *ids, f };
	}
	out[n] = (OSSL_DISPATCH){ 0, NULL };
}

/** What we call ourselves; false when something is missing. */
static bool borrow(struct bs__tls_kx *kx, const OSSL_DISPATCH *mgmt, const OSSL_DISPATCH *exch)
{
	kx->key_new = (OSSL_FUNC_keymgmt_new_fn *)call_of(mgmt, OSSL_FUNC_KEYMGMT_NEW);
	kx->key_free = (OSSL_FUNC_keymgmt_free_fn *)call_of(mgmt, OSSL_FUNC_KEYMGMT_FREE);
	kx->key_import = (OSSL_FUNC_keymgmt_import_fn *)call_of(mgmt, OSSL_FUNC_KEYMGMT_IMPORT);
	kx->key_gettable = (OSSL_FUNC_keymgmt_gettable_params_fn *)call_of(
		mgmt, OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS);
	kx->key_settable = (OSSL_FUNC_keymgmt_settable_params_fn *)call_of(
		mgmt, OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS);
	kx->gen_init = (OSSL_FUNC_keymgmt_gen_init_fn *)call_of(mgmt, OSSL_FUNC_KEYMGMT_GEN_INIT);
	kx->gen_set_params = (OSSL_FUNC_keymgmt_gen_set_params_fn *)call_of(
		mgmt, OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS);
	kx->gen_settable = (OSSL_FUNC_keymgmt_gen_settable_params_fn *)call_of(
		mgmt, OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS);
	kx->gen = (OSSL_FUNC_keymgmt_gen_fn *)call_of(mgmt, OSSL_FUNC_KEYMGMT_GEN);
	kx->gen_cleanup =
		(OSSL_FUNC_keymgmt_gen_cleanup_fn *)call_of(mgmt, OSSL_FUNC_KEYMGMT_GEN_CLEANUP);
	kx->exch_new = (OSSL_FUNC_keyexch_newctx_fn *)call_of(exch, OSSL_FUNC_KEYEXCH_NEWCTX);
	return kx->key_new && kx->key_free && kx->key_import && kx->key_gettable &&
	       kx->key_settable && kx->gen_init && kx->gen_set_params && kx->gen_settable &&
	       kx->gen && kx->gen_cleanup && kx->exch_new;
}

static void fill_tables(struct bs__tls_kx *kx, const OSSL_DISPATCH *mgmt, const OSSL_DISPATCH *exch,
			const char *mgmt_names, const char *exch_names)
{
	static const OSSL_DISPATCH our_mgmt[] = {
		{ OSSL_FUNC_KEYMGMT_NEW, (call_fn)kx_key_new },
		{ OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (call_fn)kx_gettable },
		{ OSSL_FUNC_KEYMGMT_SETTABLE_PARAMS, (call_fn)kx_settable },
		{ OSSL_FUNC_KEYMGMT_GEN_INIT, (call_fn)kx_gen_init },
		{ OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (call_fn)kx_gen_set_params },
		{ OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (call_fn)kx_gen_settable },
		{ OSSL_FUNC_KEYMGMT_GEN, (call_fn)kx_gen },
		{ OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (call_fn)kx_gen_cleanup },
		{ 0, NULL },
	};
	static const int their_mgmt[] = {
		OSSL_FUNC_KEYMGMT_FREE,
		OSSL_FUNC_KEYMGMT_GET_PARAMS,
		OSSL_FUNC_KEYMGMT_SET_PARAMS,
		OSSL_FUNC_KEYMGMT_HAS,
		OSSL_FUNC_KEYMGMT_MATCH,
		OSSL_FUNC_KEYMGMT_VALIDATE,
		OSSL_FUNC_KEYMGMT_IMPORT,
		OSSL_FUNC_KEYMGMT_IMPORT_TYPES,
		OSSL_FUNC_KEYMGMT_EXPORT,
		OSSL_FUNC_KEYMGMT_EXPORT_TYPES,
		OSSL_FUNC_KEYMGMT_LOAD,
		OSSL_FUNC_KEYMGMT_DUP,
		0,
	};
	static const OSSL_DISPATCH our_exch[] = {
		{ OSSL_FUNC_KEYEXCH_NEWCTX, (call_fn)kx_exch_new },
		{ 0, NULL },
	};
	static const int their_exch[] = {
		OSSL_FUNC_KEYEXCH_INIT,    OSSL_FUNC_KEYEXCH_SET_PEER, OSSL_FUNC_KEYEXCH_DERIVE,
		OSSL_FUNC_KEYEXCH_FREECTX, OSSL_FUNC_KEYEXCH_DUPCTX,   0,
	};

	compose(kx->keymgmt, our_mgmt, mgmt, their_mgmt);
	compose(kx->keyexch, our_exch, exch, their_exch);
	kx->keymgmts[0] =
		(OSSL_ALGORITHM){ mgmt_names, "provider=" BS__TLS_OWN, kx->keymgmt, NULL };
	kx->keyexchs[0] =
		(OSSL_ALGORITHM){ exch_names, "provider=" BS__TLS_OWN, kx->keyexch, NULL };
}

struct bs__tls_kx *bs__tls_kx_new(void)
{
	OSSL_PROVIDER *prov = OSSL_PROVIDER_try_load(NULL, "default", 1);
	struct bs__tls_kx *kx = prov ? calloc(1, sizeof(*kx)) : NULL;
	const char *mgmt_names = NULL, *exch_names = NULL;
	const OSSL_DISPATCH *mgmt, *exch;

	if (kx) {
		mgmt = find(prov, OSSL_OP_KEYMGMT, &mgmt_names);
		exch = find(prov, OSSL_OP_KEYEXCH, &exch_names);
		kx->lent = OSSL_PROVIDER_get0_provider_ctx(prov);
		/* The thread's default, by its address: NULL would mean another one later. */
		kx->whole = OSSL_LIB_CTX_set0_default(NULL);
		if (borrow(kx, mgmt, exch)) {
			fill_tables(kx, mgmt, exch, mgmt_names, exch_names);
			kx->fast = bs__x25519_init(&kx->table);
		} else {
			free(kx);
			kx = NULL;
		}
	}
	OSSL_PROVIDER_unload(prov);
	return kx;
}

void bs__tls_kx_free(struct bs__tls_kx *kx)
{
	if (kx)
		bs_wipe(kx, sizeof(*kx));
	free(kx);
}

const OSSL_ALGORITHM *bs__tls_kx_query(const struct bs__tls_kx *kx, int operation)
{
	switch (operation) {
	case OSSL_OP_KEYMGMT: return kx->keymgmts;
	case OSSL_OP_KEYEXCH: return kx->keyexchs;
	default: return NULL;
	}
}
