/* SPDX-License-Identifier: Apache-2.0 */
#include "server/relay_limit.h"

#include <stdlib.h>
#include <string.h>

enum {
	UNIT = 1000, /* tokens of a byte: rate times milliseconds is exact */
	/* What a bucket may save up: short enough that a burst does not fill the queues on the way,
	 * long enough that a late tick loses nothing. */
	BURST_MS = 100,
	BURST_MIN = 16384, /* bytes; slow rates must still pass a group of packets */
	QUANTUM = 3000,    /* bytes per turn of the ring: two of the largest packets */
	WALK_TICKS = 100,  /* one walk over all flows takes a second */
	PARTY_KEY = 16,
	MS_PER_S = 1000,
};

#define NONE UINT32_MAX
/* Rates above this are no limit: tokens of a burst must fit 63 bits by far. */
#define RATE_MAX (UINT64_C(1) << 40)

/* A client or a device, as long as it has flows.  A client stays until its bytes are stored. */
struct party {
	uint64_t hash;
	uint32_t next; /* in its chain, or of the free list */
	uint32_t flows;
	uint32_t number; /* of a device; 0 = this is a client */
	bool used;
	uint64_t stored; /* clients: the store's word */
	uint64_t given;  /* handed out for storing since that word was read */
	struct bs_relay_bucket bucket[2];
	struct bs_relay_payer c;
};

/* Flows that wait for one direction. */
struct ring {
	struct bs_relay_flow *first, *last;
	uint32_t n;
};

struct bs_relay_limit {
	struct bs_relay_limit_conf conf;
	struct bs_relay_limit_ops ops;
	bool limited[2]; /* any rate is set for that direction */
	struct bs_relay_bucket node[2];
	struct ring ring[2][2]; /* [direction][0 normal and degraded, 1 low] */
	struct bs_relay_flow *flows;
	struct bs_relay_flow *walk; /* next to be looked at */
	uint32_t n_flows;
	uint32_t n_clients;
	uint32_t grades[3];
	uint64_t bytes[2];
	uint64_t delays[2];
	uint64_t offered[2]; /* bytes that came while the node has a rate */
	uint32_t cap;        /* parties */
	uint32_t mask;
	uint32_t fresh;
	uint32_t free;
	struct party *party; /* [cap] */
	uint32_t *chain;     /* [mask + 1] */
	uint8_t key[PARTY_KEY];
};

/* ---- buckets */

static uint64_t rate_of(const struct bs_relay_rates *r, enum bs_relay_dir dir)
{
	return r->v[dir] < RATE_MAX ? r->v[dir] : RATE_MAX;
}

static int64_t burst_of(uint64_t rate)
{
	uint64_t burst = rate * BURST_MS;

	return (int64_t)(burst > (uint64_t)BURST_MIN * UNIT ? burst : (uint64_t)BURST_MIN * UNIT);
}

static void bucket_fill(struct bs_relay_bucket *b, uint64_t rate, uint32_t now_ms)
{
	uint32_t elapsed = now_ms - b->stamp_ms;
	int64_t burst = burst_of(rate);
	/* A bucket that was not touched for long is full, however deep it went. */
	uint64_t more = rate * (elapsed < 3600000u ? elapsed : 3600000u);

	b->stamp_ms = now_ms;
	b->level = more > (uint64_t)(burst - b->level) ? burst : b->level + (int64_t)more;
}

static void bucket_init(struct bs_relay_bucket b[2], const struct bs_relay_rates *r,
			uint32_t now_ms)
{
	for (int dir = 0; dir < 2; dir++) {
		b[dir].level = burst_of(rate_of(r, (enum bs_relay_dir)dir));
		b[dir].stamp_ms = now_ms;
	}
}

/* Refill and see whether anything is left. */
static bool bucket_has(struct bs_relay_bucket *b, uint64_t rate, uint32_t now_ms)
{
	if (rate == 0)
		return true;
	bucket_fill(b, rate, now_ms);
	return b->level > 0;
}

/* ---- parties */

static uint64_t hash_client(const struct bs_relay_limit *l, const struct bs_relay_who *who)
{
	uint8_t text[BS_CLIENT_ID_MAX + 32];

	memcpy(text, who->ca_fp, 32);
	memcpy(text + 32, who->identity, who->identity_len);
	return bs_siphash(l->key, text, 32 + who->identity_len);
}

static bool is_client(const struct party *p, const struct bs_relay_who *who)
{
	return p->number == 0 && memcmp(p->c.ca_fp, who->ca_fp, 32) == 0 &&
	       strlen(p->c.identity) == who->identity_len &&
	       memcmp(p->c.identity, who->identity, who->identity_len) == 0;
}

static uint32_t party_take(struct bs_relay_limit *l, uint64_t hash)
{
	uint32_t i = l->free;
	struct party *p;

	if (i != NONE)
		l->free = l->party[i].next;
	else if (l->fresh < l->cap)
		i = l->fresh++;
	else
		return NONE;
	p = &l->party[i];
	memset(p, 0, sizeof(*p));
	p->used = true;
	p->hash = hash;
	p->next = l->chain[hash & l->mask];
	l->chain[hash & l->mask] = i;
	return i;
}

static void party_give(struct bs_relay_limit *l, uint32_t i)
{
	struct party *p = &l->party[i];
	uint32_t *at = &l->chain[p->hash & l->mask];

	while (*at != i)
		at = &l->party[*at].next;
	*at = p->next;
	if (p->number == 0)
		l->n_clients--;
	memset(p, 0, sizeof(*p));
	p->next = l->free;
	l->free = i;
}

/* A client without flows stays until its bytes are stored. */
static void party_drop_idle(struct bs_relay_limit *l, uint32_t i)
{
	const struct party *p = &l->party[i];

	if (p->flows == 0 && (p->number != 0 || p->c.unsaved == 0))
		party_give(l, i);
}

static uint32_t find_device(struct bs_relay_limit *l, uint32_t number, uint32_t now_ms)
{
	uint64_t hash = bs_siphash(l->key, &number, sizeof(number));
	uint32_t i;

	for (i = l->chain[hash & l->mask]; i != NONE; i = l->party[i].next)
		if (l->party[i].number == number)
			return i;
	i = party_take(l, hash);
	if (i != NONE) {
		l->party[i].number = number;
		bucket_init(l->party[i].bucket, &l->conf.device, now_ms);
	}
	return i;
}

static void load_client(struct bs_relay_limit *l, struct party *p, uint32_t month)
{
	struct bs_relay_usage u = { 0, 0 };

	if (l->ops.load)
		l->ops.load(l->ops.ctx, &p->c, &u);
	p->stored = u.month == month ? u.bytes : 0;
}

/* Another month begins from nothing. */
static void turn_month(struct party *p, uint32_t month)
{
	if (p->c.usage.month == month)
		return;
	p->c.usage.month = month;
	p->stored = p->given = 0;
	p->c.unsaved = 0;
}

static uint64_t used(const struct party *p)
{
	return p->stored + p->given + p->c.unsaved;
}

static uint32_t find_client(struct bs_relay_limit *l, const struct bs_relay_who *who,
			    uint32_t now_ms, uint32_t month)
{
	uint64_t hash = hash_client(l, who);
	struct party *p;
	uint32_t i;

	for (i = l->chain[hash & l->mask]; i != NONE; i = l->party[i].next)
		if (is_client(&l->party[i], who))
			return i;
	i = party_take(l, hash);
	if (i == NONE)
		return i;
	p = &l->party[i];
	memcpy(p->c.identity, who->identity, who->identity_len);
	memcpy(p->c.ca_fp, who->ca_fp, 32);
	p->c.usage.month = month;
	bucket_init(p->bucket, &l->conf.client, now_ms);
	load_client(l, p, month);
	l->n_clients++;
	return i;
}

/* ---- the ring */

static struct ring *ring_of(struct bs_relay_limit *l, const struct bs_relay_flow *f,
			    enum bs_relay_dir dir)
{
	return &l->ring[dir][f->grade == BS_RELAY_LOW];
}

static void ring_push(struct ring *r, struct bs_relay_flow *f, enum bs_relay_dir dir)
{
	f->next_waiting[dir] = NULL;
	if (r->last)
		r->last->next_waiting[dir] = f;
	else
		r->first = f;
	r->last = f;
	r->n++;
}

static struct bs_relay_flow *ring_pop(struct ring *r, enum bs_relay_dir dir)
{
	struct bs_relay_flow *f = r->first;

	r->first = f->next_waiting[dir];
	if (!r->first)
		r->last = NULL;
	r->n--;
	return f;
}

static void ring_remove(struct ring *r, const struct bs_relay_flow *f, enum bs_relay_dir dir)
{
	struct bs_relay_flow *prev = NULL;
	struct bs_relay_flow *at = r->first;

	while (at && at != f) {
		prev = at;
		at = at->next_waiting[dir];
	}
	if (!at)
		return;
	if (prev)
		prev->next_waiting[dir] = at->next_waiting[dir];
	else
		r->first = at->next_waiting[dir];
	if (r->last == at)
		r->last = prev;
	r->n--;
}

static enum bs_relay_verdict wait(struct bs_relay_limit *l, struct bs_relay_flow *f,
				  enum bs_relay_dir dir)
{
	l->delays[dir]++;
	if (!(f->waiting & 1u << dir)) {
		f->waiting |= (uint8_t)(1u << dir);
		f->deficit[dir] = 0;
		ring_push(ring_of(l, f, dir), f, dir);
	}
	return BS_RELAY_DELAY;
}

/* ---- one packet */

static uint64_t flow_rate(const struct bs_relay_limit *l, const struct bs_relay_flow *f,
			  enum bs_relay_dir dir)
{
	uint64_t rate = rate_of(&l->conf.conn, dir);
	uint64_t low = rate_of(&l->conf.degraded, dir);

	return f->grade == BS_RELAY_DEGRADED && low > 0 && (rate == 0 || low < rate) ? low : rate;
}

/* The node's bucket is filled by run() only, so that those who wait come first. */
static bool node_has(const struct bs_relay_limit *l, const struct bs_relay_flow *f,
		     enum bs_relay_dir dir, bool serving)
{
	if (l->conf.node.v[dir] == 0)
		return true;
	if (f->grade == BS_RELAY_LOW && !serving)
		return false;
	return l->node[dir].level > 0;
}

static bool tokens(struct bs_relay_limit *l, struct bs_relay_flow *f, enum bs_relay_dir dir,
		   bool serving, uint32_t now_ms)
{
	if (serving && f->deficit[dir] <= 0)
		return false;
	return node_has(l, f, dir, serving) &&
	       bucket_has(&f->bucket[dir], flow_rate(l, f, dir), now_ms) &&
	       bucket_has(&l->party[f->client].bucket[dir], rate_of(&l->conf.client, dir),
			  now_ms) &&
	       bucket_has(&l->party[f->device].bucket[dir], rate_of(&l->conf.device, dir), now_ms);
}

static void spend(struct bs_relay_limit *l, struct bs_relay_flow *f, enum bs_relay_dir dir,
		  bool serving, size_t bytes)
{
	int64_t cost = (int64_t)bytes * UNIT;

	if (serving)
		f->deficit[dir] -= (int32_t)bytes;
	if (l->conf.node.v[dir] != 0)
		l->node[dir].level -= cost;
	if (flow_rate(l, f, dir) != 0)
		f->bucket[dir].level -= cost;
	if (l->conf.client.v[dir] != 0)
		l->party[f->client].bucket[dir].level -= cost;
	if (l->conf.device.v[dir] != 0)
		l->party[f->device].bucket[dir].level -= cost;
}

static bool is_free(const struct bs_relay_limit *l, const struct bs_relay_flow *f,
		    enum bs_relay_dir dir)
{
	return !l->limited[dir] && f->grade == BS_RELAY_NORMAL && !(f->waiting & 1u << dir);
}

bool bs_relay_account_run(const struct bs_relay_limit *l, struct bs_relay_flow *f,
			  enum bs_relay_dir dir, uint32_t packets, size_t bytes, uint32_t now_ms)
{
	if (!is_free(l, f, dir))
		return false;
	f->last_ms = now_ms;
	f->bytes[dir] += bytes;
	f->packets[dir] += packets;
	return true;
}

enum bs_relay_verdict bs_relay_account(struct bs_relay_limit *l, struct bs_relay_flow *f,
				       enum bs_relay_dir dir, size_t bytes, uint32_t now_ms)
{
	if (!is_free(l, f, dir)) {
		bool serving = f->serving & 1u << dir;

		if (!serving)
			l->offered[dir] += bytes;
		/* A flow keeps its own order: what comes later waits behind what waits. */
		if ((f->waiting & 1u << dir) && !serving)
			return wait(l, f, dir);
		if (!tokens(l, f, dir, serving, now_ms))
			return wait(l, f, dir);
		spend(l, f, dir, serving, bytes);
	}
	f->last_ms = now_ms;
	f->bytes[dir] += bytes;
	f->packets[dir]++;
	return BS_RELAY_PASS;
}

/* ---- those who wait */

/* One turn of one flow; whether it sent anything. */
static bool serve(struct bs_relay_limit *l, struct ring *r, enum bs_relay_dir dir)
{
	struct bs_relay_flow *f = ring_pop(r, dir);
	uint64_t before = f->bytes[dir];
	uint8_t bit = (uint8_t)(1u << dir);
	bool more;

	(void)l;
	f->deficit[dir] += QUANTUM;
	f->serving |= bit;
	more = f->ops->resume(f->ctx, f, dir);
	f->serving &= (uint8_t)~bit;
	if (!f->open)
		return true;
	if (!more) {
		f->waiting &= (uint8_t)~bit;
		f->deficit[dir] = 0;
		return true;
	}
	/* Blocked by its own rates: it may not save up for a burst against the others. */
	if (f->bytes[dir] == before)
		f->deficit[dir] = 0;
	ring_push(r, f, dir);
	return f->bytes[dir] != before;
}

static void serve_ring(struct bs_relay_limit *l, struct ring *r, enum bs_relay_dir dir)
{
	uint32_t idle = 0; /* turns in a row that moved nothing */

	while (r->n > 0 && idle < r->n && (l->conf.node.v[dir] == 0 || l->node[dir].level > 0))
		idle = serve(l, r, dir) ? 0 : idle + 1;
}

void bs_relay_limit_run(struct bs_relay_limit *l, uint32_t now_ms)
{
	for (int i = 0; i < 2; i++) {
		enum bs_relay_dir dir = (enum bs_relay_dir)i;

		/* What is left of the last tick's tokens is what nobody else wanted. */
		serve_ring(l, &l->ring[dir][1], dir);
		if (l->conf.node.v[dir] != 0)
			bucket_fill(&l->node[dir], rate_of(&l->conf.node, dir), now_ms);
		serve_ring(l, &l->ring[dir][0], dir);
	}
}

/* ---- flows */

static bool month_full(const struct bs_relay_limit *l, const struct party *client)
{
	return l->conf.client_month != 0 && used(client) >= l->conf.client_month;
}

static uint8_t grade_when_full(const struct bs_relay_limit *l)
{
	return l->conf.when_full == BS_RELAY_LOW_PRIORITY ? BS_RELAY_LOW : BS_RELAY_DEGRADED;
}

static void set_grade(struct bs_relay_limit *l, struct bs_relay_flow *f, uint8_t grade)
{
	if (f->grade == grade)
		return;
	for (int dir = 0; dir < 2; dir++) {
		if (!(f->waiting & 1u << dir))
			continue;
		ring_remove(ring_of(l, f, (enum bs_relay_dir)dir), f, (enum bs_relay_dir)dir);
		ring_push(&l->ring[dir][grade == BS_RELAY_LOW], f, (enum bs_relay_dir)dir);
	}
	l->grades[f->grade]--;
	l->grades[grade]++;
	f->grade = grade;
}

/* Move what the flow carried since the last time to its client's month. */
static void settle(struct bs_relay_limit *l, struct bs_relay_flow *f)
{
	uint64_t all = f->bytes[0] + f->bytes[1];
	struct party *p = &l->party[f->client];

	p->c.unsaved += all - f->settled;
	f->settled = all;
}

static void link_flow(struct bs_relay_limit *l, struct bs_relay_flow *f)
{
	f->next = l->flows;
	if (l->flows)
		l->flows->prev = f;
	l->flows = f;
	l->n_flows++;
}

int bs_relay_flow_open(struct bs_relay_limit *l, struct bs_relay_flow *f,
		       const struct bs_relay_who *who, const struct bs_relay_flow_ops *ops,
		       void *ctx, uint32_t now_ms, uint32_t month)
{
	bool full;

	memset(f, 0, sizeof(*f));
	if (who->identity_len > BS_CLIENT_ID_MAX || who->device == 0)
		return BS_EINVAL;
	f->client = find_client(l, who, now_ms, month);
	if (f->client == NONE)
		return BS_EFULL;
	turn_month(&l->party[f->client], month);
	full = l->n_flows >= l->conf.max_flows || month_full(l, &l->party[f->client]);
	f->device = full && l->conf.when_full == BS_RELAY_REJECT
			    ? NONE
			    : find_device(l, who->device, now_ms);
	if (f->device == NONE) {
		party_drop_idle(l, f->client);
		return BS_EFULL;
	}
	l->party[f->client].flows++;
	l->party[f->client].c.flows++;
	l->party[f->device].flows++;
	f->ops = ops;
	f->ctx = ctx;
	f->open = true;
	f->opened_ms = f->last_ms = now_ms;
	f->grade = full ? grade_when_full(l) : BS_RELAY_NORMAL;
	l->grades[f->grade]++;
	bucket_init(f->bucket, f->grade == BS_RELAY_DEGRADED ? &l->conf.degraded : &l->conf.conn,
		    now_ms);
	link_flow(l, f);
	return BS_OK;
}

void bs_relay_flow_close(struct bs_relay_limit *l, struct bs_relay_flow *f)
{
	if (!f->open)
		return;
	settle(l, f);
	for (int dir = 0; dir < 2; dir++) {
		if (f->waiting & 1u << dir)
			ring_remove(ring_of(l, f, (enum bs_relay_dir)dir), f,
				    (enum bs_relay_dir)dir);
		l->bytes[dir] += f->bytes[dir];
	}
	if (l->walk == f)
		l->walk = f->next;
	if (f->prev)
		f->prev->next = f->next;
	else
		l->flows = f->next;
	if (f->next)
		f->next->prev = f->prev;
	l->n_flows--;
	l->grades[f->grade]--;
	l->party[f->client].flows--;
	l->party[f->client].c.flows--;
	l->party[f->device].flows--;
	party_drop_idle(l, f->client);
	party_drop_idle(l, f->device);
	f->waiting = 0;
	f->open = false;
	f->next = f->prev = NULL;
}

/* Why a flow must end; 0 = it may stay. */
static int judge(struct bs_relay_limit *l, struct bs_relay_flow *f, uint32_t now_ms)
{
	const struct bs_relay_limit_conf *c = &l->conf;

	if (c->idle_s != 0 && (uint64_t)(now_ms - f->last_ms) >= (uint64_t)c->idle_s * MS_PER_S)
		return BS_RELAY_END_IDLE;
	if (c->max_age_s != 0 &&
	    (uint64_t)(now_ms - f->opened_ms) >= (uint64_t)c->max_age_s * MS_PER_S)
		return BS_RELAY_END_AGE;
	if (!month_full(l, &l->party[f->client]))
		return 0;
	if (c->when_full == BS_RELAY_REJECT)
		return BS_RELAY_END_MONTH;
	if (f->grade == BS_RELAY_NORMAL)
		set_grade(l, f, grade_when_full(l));
	return 0;
}

void bs_relay_limit_sweep(struct bs_relay_limit *l, uint32_t now_ms, uint32_t month)
{
	uint32_t slice = l->n_flows / WALK_TICKS + 1;
	int why;

	while (slice-- > 0 && l->n_flows > 0) {
		struct bs_relay_flow *f = l->walk ? l->walk : l->flows;

		l->walk = f->next;
		turn_month(&l->party[f->client], month);
		settle(l, f);
		why = judge(l, f, now_ms);
		if (why != 0)
			f->ops->end(f->ctx, f, (enum bs_relay_end)why);
	}
}

/* ---- storing */

bool bs_relay_limit_unsaved(struct bs_relay_limit *l, uint32_t *pos, uint32_t month,
			    struct bs_relay_payer *out, uint64_t *bytes)
{
	for (; *pos < l->fresh; ++*pos) {
		struct party *p = &l->party[*pos];

		if (!p->used || p->number != 0)
			continue;
		turn_month(p, month);
		/* What was given in the last round is stored by now, or never will be. */
		load_client(l, p, month);
		p->given = p->c.unsaved;
		*bytes = p->c.unsaved;
		p->c.unsaved = 0;
		*out = p->c;
		out->usage.bytes = used(p);
		if (*bytes == 0) {
			party_drop_idle(l, *pos);
			continue;
		}
		++*pos;
		return true;
	}
	return false;
}

void bs_relay_limit_settle(struct bs_relay_limit *l)
{
	struct bs_relay_flow *f;

	for (f = l->flows; f; f = f->next)
		settle(l, f);
}

const struct bs_relay_flow *bs_relay_limit_next(const struct bs_relay_limit *l,
						const struct bs_relay_flow *prev)
{
	return prev ? prev->next : l->flows;
}

const struct bs_relay_payer *bs_relay_flow_client(const struct bs_relay_limit *l,
						  const struct bs_relay_flow *f)
{
	struct party *p = &l->party[f->client];

	p->c.usage.bytes = used(p) + f->bytes[0] + f->bytes[1] - f->settled;
	return &p->c;
}

/* ---- life */

static void derive(struct bs_relay_limit *l)
{
	const struct bs_relay_limit_conf *c = &l->conf;

	for (int d = 0; d < 2; d++)
		l->limited[d] = c->conn.v[d] || c->client.v[d] || c->device.v[d] || c->node.v[d];
}

struct bs_relay_limit *bs_relay_limit_new(const struct bs_relay_limit_conf *conf,
					  uint32_t room_flows, const struct bs_relay_limit_ops *ops)
{
	struct bs_relay_limit *l = calloc(1, sizeof(*l));
	uint32_t chains = 16;

	if (!l)
		return NULL;
	/* A flow has at most a client and a device of its own; some clients wait for storing. */
	l->cap = 2 * room_flows + 64;
	while (chains < l->cap)
		chains *= 2;
	l->mask = chains - 1;
	l->free = NONE;
	l->ops = *ops;
	l->party = calloc(l->cap, sizeof(*l->party));
	l->chain = malloc(chains * sizeof(*l->chain));
	if (!l->party || !l->chain) {
		bs_relay_limit_free(l);
		return NULL;
	}
	memset(l->chain, 0xFF, chains * sizeof(*l->chain));
	bs_relay_limit_conf(l, conf);
	bucket_init(l->node, &conf->node, 0);
	return l;
}

void bs_relay_limit_free(struct bs_relay_limit *l)
{
	if (!l)
		return;
	free(l->party);
	free(l->chain);
	free(l);
}

void bs_relay_limit_key(struct bs_relay_limit *l, const uint8_t key[BS_SIPHASH_KEY_LEN])
{
	memcpy(l->key, key, sizeof(l->key));
}

void bs_relay_limit_conf(struct bs_relay_limit *l, const struct bs_relay_limit_conf *conf)
{
	l->conf = *conf;
	derive(l);
}

void bs_relay_limit_node(struct bs_relay_limit *l, const struct bs_relay_rates *node)
{
	l->conf.node = *node;
	derive(l);
}

void bs_relay_limit_offered(struct bs_relay_limit *l, uint64_t out[2])
{
	for (int d = 0; d < 2; d++) {
		out[d] = l->offered[d];
		l->offered[d] = 0;
	}
}

uint64_t bs_relay_share(uint64_t rate, const uint64_t *asked, unsigned n, unsigned own)
{
	uint64_t most = 0;
	uint64_t sum = 0;
	uint64_t least;
	unsigned i;

	for (i = 0; i < n; i++)
		most = asked[i] > most ? asked[i] : most;
	/* One that asked for nothing yet must be able to show that it wants more. */
	least = most / (8 * n) + 1;
	for (i = 0; i < n; i++)
		sum += asked[i] > least ? asked[i] : least;
	return (uint64_t)((double)rate * (double)(asked[own] > least ? asked[own] : least) /
			  (double)sum) +
	       1;
}

void bs_relay_limit_stat(const struct bs_relay_limit *l, struct bs_relay_limit_stat *out)
{
	const struct bs_relay_flow *f;

	memset(out, 0, sizeof(*out));
	out->flows = l->n_flows;
	out->max_flows = l->conf.max_flows;
	out->clients = l->n_clients;
	out->degraded = l->grades[BS_RELAY_DEGRADED];
	out->low = l->grades[BS_RELAY_LOW];
	for (int d = 0; d < 2; d++) {
		out->waiting[d] = l->ring[d][0].n + l->ring[d][1].n;
		out->bytes[d] = l->bytes[d];
		out->delays[d] = l->delays[d];
		for (f = l->flows; f; f = f->next)
			out->bytes[d] += f->bytes[d];
	}
}

uint32_t bs_relay_month(uint64_t unix_ms)
{
	/* Days to civil months, after Howard Hinnant's chrono-compatible algorithms. */
	uint64_t z = unix_ms / 86400000u + 719468;
	uint64_t era = z / 146097;
	uint64_t doe = z - era * 146097;
	uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	uint64_t mp = (5 * doy + 2) / 153;
	uint64_t month = mp < 10 ? mp + 3 : mp - 9;
	uint64_t year = yoe + era * 400 + (month <= 2);

	return (uint32_t)(year * 12 + month - 1);
}
