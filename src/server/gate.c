/* SPDX-License-Identifier: Apache-2.0 */
#include "server/gate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/tcp.h"
#include "server/gate_internal.h"
#include "util/endpoint.h"

/** Connections taken from one listener per turn. */
#define ACCEPT_PER_TURN 16
/**
 * Steps of handshakes in a tick above which waiting for more of them pays, and below which it does
 * not any more: one client after the other reaches neither, and two in each turn keep it up.
 */
#define BUSY_PER_TICK 60
#define CALM_PER_TICK 30
/** Pause after running out of descriptors. */
#define ACCEPT_PAUSE BS_TIME_MS(100)
/** Verified chains that a worker remembers. */
#define CHAIN_CACHE 1024u
/** Buckets of the rate per source. */
#define SOURCE_BUCKETS 4096u
/** Sessions that one tick looks at for time limits, at least. */
#define SWEEP_MIN 256u
/** Ticks in which the whole table is swept: one second. */
#define SWEEP_TICKS 100u
/** Questions under way on one worker. */
#define QUERIES_MAX 256u

/* Accepting. */

uint64_t bs__gate_hash_source(const struct bs_gate *g, const struct bs_endpoint *peer)
{
	uint8_t key[sizeof(peer->ip)];

	memcpy(key, peer->ip, sizeof(key));
	if (!bs_endpoint_is_ip4(peer))
		memset(key + 8, 0, sizeof(key) - 8);
	return bs_siphash(g->probe_map.seed, key, sizeof(key));
}

/** A notice when a table passes nine tenths, and another when that happens anew. */
static void notice_full(struct bs_gate *g)
{
	const struct {
		const char *what;
		size_t used, cap;
	} rows[] = {
		{ "client sessions", g->live, g->cap },
		{ "connect attempts", g->attempts.used, g->attempts.cap },
		{ "client connections", g->conns.used, g->conns.cap },
		{ "watches", g->watches.used, g->watches.cap },
		{ "lists and watches under way", g->queries.used, g->queries.cap },
		{ "client records", g->clients.used, g->clients.cap },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool near = rows[i].used >= rows[i].cap - rows[i].cap / 10;
		uint8_t bit = (uint8_t)(1u << i);

		if (near && !(g->near_full & bit)) {
			g->near_full |= bit;
			bs_log_notice("gate, %zu of %zu %s of this worker are in use", rows[i].used,
				      rows[i].cap, rows[i].what);
		} else if (rows[i].used < rows[i].cap - rows[i].cap / 5) {
			/* Well below the mark, so that a table about it does not fill the log. */
			g->near_full &= (uint8_t)~bit;
		}
	}
}

static void take(struct bs_gate *g, int fd, const struct bs_endpoint *peer)
{
	struct bs_worker *w = g->w;
	uint32_t now_ms = (uint32_t)(w->now / BS_TIME_MS(1));
	uint64_t source = bs__gate_hash_source(g, peer);

	bs_count(w->counters, BS_C_gate_accepted);
	if (!bs_limiter_take(&g->sources, source, now_ms)) {
		bs_count(w->counters, BS_C_gate_source_rate);
		bs_tcp_close(fd);
		return;
	}
	if (!bs__session_new(g, fd, source, peer)) {
		bs_count(w->counters, BS_C_gate_full);
		bs_log_limited(&g->log_full, w->now, BS_LOG_WARNING,
			       "gate, client refused: max-clients is reached");
	}
}

static void stop_accepting(struct bs_gate *g)
{
	if (g->accepting)
		for (unsigned i = 0; i < g->n_listen; i++)
			ev_io_stop(g->w->loop, &g->listener[i].io);
	g->accepting = false;
}

static void start_accepting(struct bs_gate *g)
{
	if (!g->accepting && !g->draining)
		for (unsigned i = 0; i < g->n_listen; i++)
			ev_io_start(g->w->loop, &g->listener[i].io);
	g->accepting = !g->draining;
}

static void on_accept(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct bs_gate_listener *l =
		(struct bs_gate_listener *)((char *)io - offsetof(struct bs_gate_listener, io));
	struct bs_gate *g = l->gate;

	for (int i = 0; i < ACCEPT_PER_TURN && g->accepting; i++) {
		struct bs_endpoint peer;
		int fd = bs_tcp_accept(io->fd, &peer);

		if (fd >= 0) {
			take(g, fd, &peer);
			continue;
		}
		if (fd == BS_EAGAIN)
			return;
		/* The listener stays readable: without a pause the loop would spin. */
		bs_count(g->w->counters, BS_C_gate_descriptors);
		bs_log_limited(&g->log_full, g->w->now, BS_LOG_WARNING, "gate, cannot accept (%s)",
			       bs_strerror(fd));
		stop_accepting(g);
		g->accept_again = g->w->now + ACCEPT_PAUSE;
	}
}

/* Turns of the loop. */

static bool gate_turn(struct bs_gate *g)
{
	bs__session_work(g);
	return g->ready || g->lane_first;
}

static bool gate_is_busy(struct bs_gate *g)
{
	g->busy = g->steps > (g->busy ? CALM_PER_TICK : BUSY_PER_TICK);
	g->steps = 0;
	return g->busy;
}

static void sweep(struct bs_gate *g, bs_time now)
{
	uint32_t n = g->fresh / SWEEP_TICKS + 1;

	if (n < SWEEP_MIN)
		n = SWEEP_MIN;
	if (n > g->fresh)
		n = g->fresh;
	for (uint32_t i = 0; i < n; i++) {
		if (g->sweep >= g->fresh)
			g->sweep = 0;
		bs__session_tick(&g->session[g->sweep++], now);
	}
}

/** Tell one session to leave; one that is not open yet has nothing to lose. */
static void tell_to_leave(struct bs_session *s)
{
	struct bs_gate *g = s->gate;
	struct bs_gate_event m;

	if (s->state == BS_SESSION_HANDSHAKE || s->state == BS_SESSION_HELLO)
		bs__session_end(s);
	if (s->state != BS_SESSION_OPEN)
		return;
	memset(&m, 0, sizeof(m));
	m.h.cp = s->cp;
	m.has_status = true;
	m.status = bs__gate_status(BS_ST_DRAINING, "the server hands over or stops");
	bs_count(g->w->counters, BS_C_gate_events);
	bs__session_send_tx(s, bs_gate_event_encode(&m, NULL, 0, g->tx, sizeof(g->tx)));
}

/** How much of the table's [n] a sweep has reached that takes half of span and began `ago`. */
static uint32_t reached(uint32_t n, bs_time span, bs_time_diff ago)
{
	uint64_t half_ms = span / 2 / BS_TIME_MS(1);
	uint64_t ago_ms = ago > 0 ? (uint64_t)ago / BS_TIME_MS(1) : 0;

	if (half_ms == 0 || ago_ms >= half_ms)
		return ago >= 0 ? n : 0;
	return (uint32_t)(n * ago_ms / half_ms);
}

/** One after the other, so that those who come back at once do not come all at once. */
static void drain_some(struct bs_gate *g, bs_time now)
{
	bs_time_diff ago = BS_TIME_DIFF(now, g->drain_at);
	uint32_t told = reached(g->fresh, g->drain_span, ago);
	uint32_t ended = reached(g->fresh, g->drain_span, ago - (bs_time_diff)g->drain_span / 2);

	while (g->told < told)
		tell_to_leave(&g->session[g->told++]);
	for (; g->ended < ended; g->ended++) {
		struct bs_session *s = &g->session[g->ended];

		if (s->state == BS_SESSION_OPEN)
			bs__session_close(s);
		else
			bs__session_end(s);
	}
}

static void gate_tick(struct bs_gate *g, bs_time now)
{
	if (bs__gate_refresh(g))
		bs__gate_recheck_begin(g, true);
	bs_tls_server_tick(g->tls);
	if (!g->accepting && !g->draining && BS_TIME_DIFF(now, g->accept_again) >= 0)
		start_accepting(g);
	bs__gate_connect_tick(g, now);
	bs__gate_query_tick(g, now);
	bs__gate_recheck_tick(g);
	sweep(g, now);
	if (g->draining)
		drain_some(g, now);
	notice_full(g);
}

static void gate_message(struct bs_gate *g, struct bs_message *m)
{
	switch (m->kind) {
	case BS_MSG_CONNECT_RESULT: bs__gate_connect_result(g, m); break;
	case BS_MSG_CONN_CLOSED: bs__gate_conn_closed(g, m); break;
	case BS_MSG_RELAY: bs__gate_conn_relay(g, m); break;
	case BS_MSG_PRESENCE:
		if (m->u.presence.change)
			bs__presence_change(g, m);
		else
			bs__gate_query_answer(g, m);
		break;
	case BS_MSG_REVOKE: bs__gate_recheck_begin(g, false); break;
	default:
		if (!bs__client_message(g, m))
			bs_count(g->w->counters, BS_C_message_unknown);
		break;
	}
}

/* Snapshots. */

bool bs__gate_refresh(struct bs_gate *g)
{
	struct bs_gate_shared *sh = g->shared;
	uint64_t generation = atomic_load_explicit(&sh->generation, memory_order_acquire);
	const struct bs_tls_hooks hooks = { .ctx = g, .check = bs__gate_check_peer };
	char text[BS_TLS_ERROR_MAX] = "";
	struct bs_tls_server *tls = NULL;
	struct bs_tls_pem *pem;
	struct bs_tls_keys *keys;
	bool other_set;

	if (generation == g->generation)
		return false;
	pthread_mutex_lock(&sh->lock);
	pem = bs_tls_pem_ref(sh->pem);
	keys = bs_tls_keys_ref(sh->keys);
	pthread_mutex_unlock(&sh->lock);
	g->generation = generation;
	other_set = g->pem &&
		    memcmp(bs_tls_pem_epoch(pem), bs_tls_pem_epoch(g->pem), BS_TLS_HASH_LEN) != 0;
	if (pem == g->pem) {
		bs_tls_server_set_keys(g->tls, keys);
	} else if (bs_tls_server_new(pem, keys, &hooks, CHAIN_CACHE, &tls, text, sizeof(text)) ==
		   BS_OK) {
		/* Sessions of the old context go on; it is freed with the last of them. */
		bs_tls_server_free(g->tls);
		g->tls = tls;
		memset(&g->seen_stats, 0, sizeof(g->seen_stats));
	} else {
		bs_log_error("gate, keeps the certificates it has (%s)", text);
		bs_tls_pem_unref(pem);
		bs_tls_keys_unref(keys);
		return false;
	}
	bs_tls_pem_unref(g->pem);
	bs_tls_keys_unref(g->keys);
	g->pem = pem;
	g->keys = keys;
	return other_set;
}

/* Life. */

static void gate_drain(struct bs_gate *g, bs_time span)
{
	if (g->draining && span != 0)
		return;
	if (!g->draining)
		g->drain_at = g->w->now;
	g->draining = true;
	g->drain_span = span;
	stop_accepting(g);
	drain_some(g, g->w->now);
}

static void gate_resume(struct bs_gate *g)
{
	g->draining = false;
	g->told = 0;
	g->ended = 0;
	start_accepting(g);
}

static void gate_free(struct bs_gate *g)
{
	if (!g)
		return;
	gate_drain(g, 0);
	for (uint32_t i = 0; i < g->fresh; i++) {
		bs__session_end(&g->session[i]);
		if (g->session[i].state == BS_SESSION_GHOST)
			bs__gate_conns_forget(&g->session[i]);
	}
	bs_tls_server_free(g->tls);
	bs_tls_pem_unref(g->pem);
	bs_tls_keys_unref(g->keys);
	bs__gate_tickets_fini(g);
	bs_limiter_fini(&g->sources);
	bs_gate_pool_fini(&g->attempts);
	bs_gate_pool_fini(&g->conns);
	bs_gate_pool_fini(&g->watches);
	bs_gate_pool_fini(&g->watched);
	bs_gate_pool_fini(&g->queries);
	bs_gate_pool_fini(&g->clients);
	bs_gate_map_fini(&g->probe_map);
	bs_gate_map_fini(&g->conn_map);
	bs_gate_map_fini(&g->watch_map);
	bs_gate_map_fini(&g->client_map);
	bs_gate_map_fini(&g->handle_map);
	bs_gate_map_fini(&g->query_map);
	free(g->session);
	free(g);
}

/** This worker's share of a limit that holds for all workers together. */
static uint32_t share(const struct bs_gate *g, uint32_t all)
{
	uint32_t n = g->w->n_workers ? g->w->n_workers : 1;

	return (all + n - 1) / n;
}

static int make_tables(struct bs_gate *g)
{
	const struct bs_conf *conf = g->w->conf;
	uint32_t conns = share(g, conf->max_connections);
	uint32_t watches = g->cap > UINT32_MAX / 4 ? g->cap : 4 * g->cap;
	uint8_t seed[BS_SIPHASH_KEY_LEN];
	const struct {
		struct bs_gate_pool *pool;
		size_t item;
		struct bs_gate_map *map;
		size_t n;
	} rows[] = {
		{ &g->attempts, sizeof(struct bs_gate_attempt), &g->handle_map, g->cap + 64u },
		{ &g->conns, sizeof(struct bs_gate_conn), &g->conn_map, conns },
		{ &g->watched, sizeof(struct bs_gate_watched), &g->watch_map, watches },
		{ &g->queries, sizeof(struct bs_gate_query), &g->query_map, QUERIES_MAX },
		/* Clients of this worker, and those of others that have connections. */
		{ &g->clients, bs__client_bytes(g->w), &g->client_map,
		  (size_t)g->cap + conf->max_connections },
		{ &g->watches, sizeof(struct bs_gate_watcher), NULL, watches },
		{ NULL, 0, &g->probe_map, g->cap },
	};
	int err = g->w->crypto->random(g->w->crypto->ctx, seed, sizeof(seed));

	for (size_t i = 0; err == BS_OK && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].pool)
			err = bs_gate_pool_init(rows[i].pool, rows[i].item, rows[i].n);
		if (err == BS_OK && rows[i].map)
			err = bs_gate_map_init(rows[i].map, rows[i].n, seed);
	}
	if (err == BS_OK)
		err = bs_limiter_init(&g->sources, SOURCE_BUCKETS, conf->handshake_rate,
				      2 * conf->handshake_rate);
	g->session = err == BS_OK ? calloc(g->cap, sizeof(*g->session)) : NULL;
	return err == BS_OK && !g->session ? BS_ENOMEM : err;
}

/** The name that clients are told for this node. */
static void take_name(struct bs_gate *g)
{
	const char *name = g->w->conf->node_name;
	size_t len;

	if (!name && gethostname(g->node, sizeof(g->node) - 1) != 0)
		name = "localhost";
	len = name ? strlen(name) : strlen(g->node);
	if (name && len < sizeof(g->node))
		memcpy(g->node, name, len + 1);
	if (g->node[0] == '\0')
		memcpy(g->node, "localhost", sizeof("localhost"));
}

static void make_watchers(struct bs_gate *g)
{
	struct bs_gate_shared *sh = g->shared;

	g->n_listen = sh->n_listen;
	for (unsigned i = 0; i < g->n_listen; i++) {
		struct bs_gate_listener *l = &g->listener[i];

		l->gate = g;
		ev_io_init(&l->io, on_accept, sh->fd[g->w->index * sh->n_listen + i], EV_READ);
		ev_set_priority(&l->io, EV_MINPRI);
	}
}

static struct bs_gate *gate_new(struct bs_worker *w, void *shared)
{
	struct bs_gate *g = calloc(1, sizeof(*g));
	int err = BS_ENOMEM;

	if (!g)
		goto fail;
	g->w = w;
	g->shared = shared;
	g->next_handle = 1;
	g->cap = share(g, w->conf->max_clients);
	take_name(g);
	make_watchers(g);
	err = make_tables(g);
	if (err == BS_OK)
		err = bs__gate_tickets_init(g);
	if (err != BS_OK)
		goto fail;
	(void)bs__gate_refresh(g);
	if (!g->tls) {
		err = BS_ECONF;
		goto fail;
	}
	start_accepting(g);
	return g;
fail:
	bs_log_error("gate, cannot start on worker %u (%s)", w->index, bs_strerror(err));
	gate_free(g);
	return NULL;
}

static void gate_conf_changed(struct bs_gate *g)
{
	const struct bs_conf *conf = g->w->conf;

	bs_limiter_set(&g->sources, conf->handshake_rate, 2 * conf->handshake_rate);
	bs__gate_tickets_conf(g);
	take_name(g);
}

const struct bs_gate_ops *bs_gate_ops(void)
{
	static const struct bs_gate_ops ops = {
		.bind = bs__gate_bind,
		.collect = bs__gate_collect,
		.unbind = bs__gate_unbind,
		.reload = bs__gate_reload,
		.main_tick = bs__gate_main_tick,
		.port = bs__gate_port,
		.new = gate_new,
		.free = gate_free,
		.probe = bs__gate_probe,
		.ticket = bs__gate_ticket_input,
		.message = gate_message,
		.turn = gate_turn,
		.is_busy = gate_is_busy,
		.tick = gate_tick,
		.conf_changed = gate_conf_changed,
		.drain = gate_drain,
		.resume = gate_resume,
	};

	return &ops;
}
