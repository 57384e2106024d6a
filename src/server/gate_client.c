/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_client.c - what the sessions of one client have together, on this worker and on the others.
 *
 * A client may have sessions on several workers; the limit of its connections is for all of them.
 * So each gate tells the others how many it has whenever that changes.  A lost message is made good
 * by the next one, since they carry the count and not the change.
 */
#include <string.h>

#include "server/gate_internal.h"

/** The message between gates. */
#define MSG_CLIENT BS_MSG_GATE_FIRST

/** Its content, in bs_message.u.gate. */
struct client_count {
	uint64_t hash;
	uint32_t conns; /**< on the sender's worker */
};

size_t bs__client_bytes(const struct bs_worker *w)
{
	return sizeof(struct bs_gate_client) +
	       w->n_workers * sizeof(((struct bs_gate_client *)NULL)->theirs[0]);
}

/** What tells clients apart: CA, key and identity. */
static uint64_t hash_client(const struct bs_gate *g, const struct bs_tls_peer *who)
{
	uint8_t all[2 * BS_TLS_HASH_LEN + sizeof(who->identity)];

	memset(all, 0, sizeof(all));
	memcpy(all, who->ca_fp, BS_TLS_HASH_LEN);
	memcpy(all + BS_TLS_HASH_LEN, who->key_fp, BS_TLS_HASH_LEN);
	memcpy(all + (size_t)2 * BS_TLS_HASH_LEN, who->identity, strlen(who->identity));
	/* Keyed by random bytes of the registry: the same on every worker, not to be guessed. */
	uint64_t h = bs_siphash(bs_registry_instance(g->w->registry), all, sizeof(all));

	return h ? h : 1;
}

static struct bs_gate_client *find_or_make(struct bs_gate *g, uint64_t hash)
{
	struct bs_gate_client *c = bs_gate_map_get(&g->client_map, hash);

	if (c)
		return c;
	c = bs_gate_pool_take(&g->clients);
	if (!c)
		return NULL;
	c->hash = hash;
	if (bs_gate_map_put(&g->client_map, hash, c) != BS_OK) {
		bs_gate_pool_give(&g->clients, c);
		return NULL;
	}
	return c;
}

/** Free the record when nobody here or elsewhere needs it. */
static void drop_unused(struct bs_gate *g, struct bs_gate_client *c)
{
	if (c->sessions > 0 || c->others > 0)
		return;
	bs_gate_map_remove(&g->client_map, c->hash);
	bs_gate_pool_give(&g->clients, c);
}

int bs__client_join(struct bs_session *s)
{
	struct bs_gate *g = s->gate;

	s->client_hash = hash_client(g, &s->who);
	s->client = find_or_make(g, s->client_hash);
	if (!s->client)
		return BS_EFULL;
	s->client->sessions++;
	return BS_OK;
}

void bs__client_leave(struct bs_session *s)
{
	struct bs_gate_client *c = s->client;

	s->client = NULL;
	if (!c)
		return;
	c->sessions--;
	drop_unused(s->gate, c);
}

static void tell_others(struct bs_gate *g, const struct bs_gate_client *c)
{
	const struct client_count count = { c->hash, c->conns };
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = MSG_CLIENT;
	m.gate = (uint8_t)g->w->index;
	memcpy(m.u.gate, &count, sizeof(count));
	for (unsigned to = 0; to < g->w->n_workers; to++)
		if (to != g->w->index)
			(void)bs_worker_send(g->w, to, &m);
}

void bs__client_count(struct bs_session *s, int change)
{
	struct bs_gate_client *c = s->client;

	c->conns += (uint32_t)change;
	tell_others(s->gate, c);
}

uint32_t bs__client_conns(const struct bs_session *s)
{
	return s->client->conns + s->client->others;
}

bool bs__client_message(struct bs_gate *g, const struct bs_message *m)
{
	struct bs_gate_client *c;
	struct client_count count;

	if (m->kind != MSG_CLIENT)
		return false;
	if (m->gate >= g->w->n_workers)
		return true;
	memcpy(&count, m->u.gate, sizeof(count));
	/* A record only for the sake of a zero would be one too many. */
	c = count.conns > 0 ? find_or_make(g, count.hash)
			    : bs_gate_map_get(&g->client_map, count.hash);
	if (!c)
		return true;
	c->others = c->others - c->theirs[m->gate] + count.conns;
	c->theirs[m->gate] = count.conns;
	drop_unused(g, c);
	return true;
}
