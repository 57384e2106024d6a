/* SPDX-License-Identifier: Apache-2.0 */
#include "server/admission.h"

#include <stdlib.h>
#include <string.h>

#include "basestation/wire.h"
#include "server/prefix.h"

enum {
	BUCKETS = 16384,
	/* A flood at many ids must not fill both buckets of another id. */
	ID_BUCKETS = 65536,
	/* Few: all of them together are the work that one real host may cause by changing ports. */
	PAIR_BUCKETS = 2048,
	PAIR_BURST = 3,
	/* An answer of a cookie costs less than half of one that is sealed. */
	COOKIES_FACTOR = 2,
	BURST_FACTOR = 5,
	PATIENCE_ENTRIES = 131072,
	/* A device waits 4, 8, 16 s before it asks again; clocks of devices and paths differ. */
	PAUSE_MS = 3000,
	/* An entry serves the first two pauses of a device before another may take its place. */
	HOLD_MS = 9000,
	/* Whoever was refused for its id's sake comes again as the patient do: later than a pause,
	 * while its entry is held. */
	WAIT_ID_MS = 4000,
	WAIT_ID_SPAN_MS = 4000,
	/* The rest from the first gap of a device at the attach server to the third. */
	WAIT_MS = 4000,
	WAIT_SPAN_MS = 12000,
	/* Tokens that an attach's invites took from strangers: controller and attach server. */
	INVITES_PER_ATTACH = 2,
};

/* Buckets of one limiter that must not be the same for the same key. */
enum salt {
	SALT_STOCK,
	SALT_STATELESS,
	SALT_PROVEN,
	SALT_NOTICE,
	SALT_KNOWN = 4,   /* added to one of the above */
	SALT_PATIENT = 8, /* the same */
};

/* Who was refused, and when it came last. */
struct bs_patience_entry {
	uint32_t tag; /* 0 = empty */
	uint32_t last_ms;
};

int bs_admission_init(struct bs_admission *a, struct bs_sketch *sketch,
		      const uint8_t key[BS_SIPHASH_KEY_LEN])
{
	int err;

	memset(a, 0, sizeof(*a));
	a->sketch = sketch;
	memcpy(a->key, key, sizeof(a->key));
	err = bs_limiter_init(&a->known, BUCKETS, 1, 1);
	if (!err)
		err = bs_limiter_init(&a->address, BUCKETS, 1, 1);
	if (!err)
		err = bs_limiter_init(&a->prefix, BUCKETS, 1, 1);
	if (!err)
		err = bs_limiter_init(&a->strangers, 1, 1, 1);
	if (!err)
		err = bs_limiter_init(&a->id, ID_BUCKETS, 1, 1);
	if (!err)
		err = bs_limiter_init(&a->pair, PAIR_BUCKETS, 1, PAIR_BURST);
	if (!err)
		err = bs_limiter_init(&a->cookies, 1, 1, 1);
	if (!err)
		err = bs_limiter_init(&a->notices, 1, 1, 1);
	a->patience = calloc(PATIENCE_ENTRIES, sizeof(*a->patience));
	if (!err && !a->patience)
		err = BS_ENOMEM;
	if (err)
		bs_admission_fini(a);
	return err;
}

void bs_admission_fini(struct bs_admission *a)
{
	bs_limiter_fini(&a->known);
	bs_limiter_fini(&a->address);
	bs_limiter_fini(&a->prefix);
	bs_limiter_fini(&a->strangers);
	bs_limiter_fini(&a->id);
	bs_limiter_fini(&a->pair);
	bs_limiter_fini(&a->cookies);
	bs_limiter_fini(&a->notices);
	free(a->patience);
	memset(a, 0, sizeof(*a));
}

void bs_admission_set(struct bs_admission *a, const struct bs_admission_rates *r)
{
	bs_limiter_set(&a->known, r->known, r->known * BURST_FACTOR);
	bs_limiter_set(&a->address, r->address, r->address * BURST_FACTOR);
	bs_limiter_set(&a->prefix, r->prefix, r->prefix * BURST_FACTOR);
	bs_limiter_set(&a->strangers, r->strangers, r->strangers * BURST_FACTOR);
	bs_limiter_set(&a->cookies, r->strangers * COOKIES_FACTOR, r->strangers * BURST_FACTOR);
	bs_limiter_set(&a->notices, r->strangers, r->strangers);
	bs_limiter_set(&a->id, r->id, r->id_burst);
}

bool bs_admission_knows(const struct bs_admission *a, const struct bs_endpoint *peer,
			uint32_t now_s)
{
	return bs_sketch_has(a->sketch, bs_prefix_hash(a->key, peer), now_s);
}

bool bs_admission_learn(struct bs_admission *a, const struct bs_endpoint *peer, bool was_known,
			uint32_t now_s, uint32_t now_ms)
{
	if (!was_known)
		bs_limiter_give(&a->strangers, 0, INVITES_PER_ATTACH, now_ms);
	return bs_sketch_add(a->sketch, bs_prefix_hash(a->key, peer), now_s);
}

/* The same key in another bucket for every salt. */
static uint64_t salted(const struct bs_admission *a, uint64_t hash, unsigned salt)
{
	uint64_t k[2] = { hash, salt };

	return bs_siphash(a->key, k, sizeof(k));
}

static uint64_t pair_hash(const struct bs_admission *a, const struct bs_ask_for *q, unsigned salt)
{
	uint8_t k[BS_IP_LEN + 2 + 4 + 1 + BS_NONCE_LEN];
	size_t len = BS_IP_LEN + 2 + 4 + 1;

	memcpy(k, q->peer->ip, BS_IP_LEN);
	memcpy(k + BS_IP_LEN, &q->peer->port, 2);
	memcpy(k + BS_IP_LEN + 2, &q->number, 4);
	k[BS_IP_LEN + 6] = (uint8_t)salt;
	/* An invite for the controller has no nonce: there is nothing to copy, not even from. */
	if (salt == SALT_STOCK && q->nonce.len > 0 && q->nonce.len <= BS_NONCE_LEN) {
		memcpy(k + len, q->nonce.ptr, q->nonce.len);
		len += q->nonce.len;
	}
	return bs_siphash(a->key, k, len);
}

/* Whether this invite was refused before, and its device has waited since.  Whoever hammers begins
 * anew with every packet. */
static bool is_patient(struct bs_admission *a, const struct bs_ask_for *q, uint32_t now_ms)
{
	uint64_t hash = pair_hash(a, q, SALT_STOCK);
	struct bs_patience_entry *e = &a->patience[(uint32_t)hash & (PATIENCE_ENTRIES - 1)];
	uint32_t tag = (uint32_t)(hash >> 32) | 1;
	uint32_t since_ms = now_ms - e->last_ms;

	if (e->tag == tag) {
		e->last_ms = now_ms;
		return since_ms >= PAUSE_MS;
	}
	if (e->tag == 0 || since_ms >= HOLD_MS) {
		e->tag = tag;
		e->last_ms = now_ms;
	}
	return false;
}

static bool take_id(struct bs_admission *a, const struct bs_ask_for *q, uint32_t now_ms)
{
	unsigned salt = SALT_STOCK + (q->known ? (unsigned)SALT_KNOWN : 0);

	if (bs_limiter_take(&a->id, salted(a, q->number, salt), now_ms))
		return true;
	return is_patient(a, q, now_ms) &&
	       bs_limiter_take(&a->id, salted(a, q->number, salt + SALT_PATIENT), now_ms);
}

static enum bs_verdict take_prefix(struct bs_admission *a, const struct bs_ask_for *q,
				   unsigned salt, uint32_t now_ms)
{
	uint64_t prefix = salted(a, bs_prefix_hash(a->key, q->peer), salt);
	uint64_t address;

	if (q->known)
		return bs_limiter_take(&a->known, prefix, now_ms) ? BS_ADMIT : BS_REFUSE_KNOWN;
	address = salted(a, bs_prefix_hash_address(a->key, q->peer), salt);
	if (!bs_limiter_take(&a->address, address, now_ms))
		return BS_REFUSE_ADDRESS;
	return bs_limiter_take(&a->prefix, prefix, now_ms) ? BS_ADMIT : BS_REFUSE_PREFIX;
}

static enum bs_verdict take_source(struct bs_admission *a, const struct bs_ask_for *q,
				   unsigned salt, uint32_t now_ms)
{
	enum bs_verdict verdict = take_prefix(a, q, salt, now_ms);

	if (verdict != BS_ADMIT || q->known)
		return verdict;
	return bs_limiter_take(&a->strangers, 0, now_ms) ? BS_ADMIT : BS_REFUSE_STRANGERS;
}

enum bs_verdict bs_admission_stock(struct bs_admission *a, const struct bs_ask_for *q,
				   uint32_t now_ms)
{
	if (!take_id(a, q, now_ms))
		return BS_REFUSE_ID;
	return take_source(a, q, SALT_STOCK, now_ms);
}

enum bs_verdict bs_admission_stateless(struct bs_admission *a, const struct bs_ask_for *q,
				       uint32_t now_ms)
{
	enum bs_verdict verdict = BS_ADMIT;

	if (!bs_limiter_take(&a->pair, pair_hash(a, q, SALT_STATELESS), now_ms))
		verdict = take_source(a, q, SALT_STATELESS, now_ms);
	if (verdict != BS_ADMIT && q->offers_cookie && bs_limiter_take(&a->cookies, 0, now_ms))
		verdict = BS_ADMIT;
	return verdict;
}

enum bs_verdict bs_admission_proven(struct bs_admission *a, const struct bs_ask_for *q,
				    uint32_t now_ms)
{
	uint64_t address;

	if (bs_limiter_take(&a->pair, pair_hash(a, q, SALT_PROVEN), now_ms))
		return BS_ADMIT;
	address = salted(a, bs_prefix_hash_address(a->key, q->peer), SALT_PROVEN);
	return bs_limiter_take(&a->known, address, now_ms) ? BS_ADMIT : BS_REFUSE_KNOWN;
}

bool bs_admission_notice(struct bs_admission *a, const struct bs_ask_for *q, uint32_t now_ms)
{
	return take_prefix(a, q, SALT_NOTICE, now_ms) == BS_ADMIT &&
	       bs_limiter_take(&a->notices, 0, now_ms);
}

uint32_t bs_admission_wait(enum bs_verdict why, uint32_t random)
{
	if (why == BS_REFUSE_ID)
		return WAIT_ID_MS + random % WAIT_ID_SPAN_MS;
	return WAIT_MS + random % WAIT_SPAN_MS;
}
