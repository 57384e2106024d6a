/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_session.c - one client session: handshake, frames, output, time limits, end.
 */
#include <stdlib.h>
#include <string.h>

#include "net/tcp.h"
#include "server/gate_internal.h"

/** Sessions with TLS bytes in waiting that one turn serves, beside the handshakes. */
#define READS_PER_TURN 64
/**
 * Resumed handshakes that take as long as a full one.  A turn serves that many more of them: each
 * one left over costs two changes of what the kernel watches.
 */
#define RESUMED_PER_FULL 4

static bs_ssize io_read(void *ctx, uint8_t *buf, size_t cap)
{
	struct bs_session *s = ctx;
	bs_ssize n;

	/* OpenSSL always asks for more; what has come since, the loop tells. */
	if (s->drained && s->state == BS_SESSION_HANDSHAKE)
		return BS_EAGAIN;
	n = bs_tcp_read(s->fd, buf, cap);
	s->drained = n > 0 && (size_t)n < cap;
	return n;
}

static bs_ssize io_write(void *ctx, const uint8_t *buf, size_t len, bool more)
{
	const struct bs_session *s = ctx;

	return bs_tcp_write(s->fd, buf, len, more);
}

/** Watch the socket for what the session waits for. */
static void listen_for(struct bs_session *s)
{
	struct ev_loop *loop = s->gate->w->loop;
	int events = bs__gate_leg_stalled(s) ? 0 : EV_READ;

	if (s->out_len > 0 || bs__gate_leg_writes(s) ||
	    (s->state == BS_SESSION_HANDSHAKE && bs_tls_wants_write(s->tls)))
		events |= EV_WRITE;
	if (s->state == BS_SESSION_CLOSING)
		events = EV_WRITE;
	if (s->listening && (s->io.events & (EV_READ | EV_WRITE)) == events)
		return;
	if (s->listening)
		ev_io_stop(loop, &s->io);
	s->listening = events != 0;
	if (events == 0)
		return;
	/* Set again it would count as a new descriptor, which is a call to the kernel.  Stopped and
	 * started as it was, within a turn, it is none: that is most of a handshake. */
	if ((s->io.events & (EV_READ | EV_WRITE)) != events)
		ev_io_set(&s->io, s->fd, events);
	ev_io_start(loop, &s->io);
}

static void stop_listening(struct bs_session *s)
{
	if (s->listening)
		ev_io_stop(s->gate->w->loop, &s->io);
	s->listening = false;
}

/** Put a session into the queue of work; its socket is quiet until its turn. */
static void enqueue(struct bs_session *s)
{
	struct bs_gate *g = s->gate;

	if (s->queued)
		return;
	stop_listening(s);
	if (s->lane) {
		bs__lane_push(s);
		return;
	}
	s->queued = true;
	s->next_ready = NULL;
	if (g->ready_last)
		g->ready_last->next_ready = s;
	else
		g->ready = s;
	g->ready_last = s;
}

static void dequeue(struct bs_session *s)
{
	struct bs_gate *g = s->gate;
	struct bs_session **at = &g->ready;
	struct bs_session *before = NULL;

	if (!s->queued)
		return;
	if (s->lane) {
		bs__lane_drop(s);
		return;
	}
	while (*at != s) {
		before = *at;
		at = &before->next_ready;
	}
	*at = s->next_ready;
	if (g->ready_last == s)
		g->ready_last = before;
	s->queued = false;
}

/** Write what waits; ends the session when the transport is gone. */
static void flush(struct bs_session *s)
{
	while (s->out_len > 0) {
		bs_ssize n = bs_tls_write(s->tls, s->out + s->out_off, s->out_len);

		if (n == BS_EAGAIN) {
			listen_for(s);
			return;
		}
		if (n < 0) {
			bs_count(s->gate->w->counters, BS_C_gate_broken);
			bs__session_end(s);
			return;
		}
		s->out_off += (uint32_t)n;
		s->out_len -= (uint32_t)n;
	}
	if (s->out) {
		bs_wipe(s->out, s->out_cap);
		free(s->out);
		s->out = NULL;
		s->out_off = s->out_cap = 0;
	}
	if (s->state == BS_SESSION_CLOSING) {
		bs_tls_close(s->tls);
		bs__session_end(s);
		return;
	}
	if (s->state == BS_SESSION_LEG)
		bs__gate_leg_flushed(s);
	if (!s->queued)
		listen_for(s);
}

/** Room for len more bytes behind what waits.  BS_OK, BS_EFULL, BS_ENOMEM. */
static int out_room(struct bs_session *s, size_t len)
{
	size_t need = (size_t)s->out_len + len;
	uint32_t cap = s->out_cap ? s->out_cap : 1024;
	uint8_t *p;

	if (need > BS_GATE_OUT_MAX)
		return BS_EFULL;
	if (s->out_off + need <= s->out_cap)
		return BS_OK;
	while (cap < need)
		cap *= 2;
	/* Not realloc: it could leave a session key behind in freed memory. */
	p = malloc(cap);
	if (!p)
		return BS_ENOMEM;
	if (s->out) {
		memcpy(p, s->out + s->out_off, s->out_len);
		bs_wipe(s->out, s->out_cap);
		free(s->out);
	}
	s->out = p;
	s->out_off = 0;
	s->out_cap = cap;
	return BS_OK;
}

void bs__session_send(struct bs_session *s, const uint8_t *buf, size_t len)
{
	struct bs_counters *c = s->gate->w->counters;

	if (s->ticket) {
		bs__channel_send(s, buf, len);
		return;
	}
	if (s->state != BS_SESSION_HELLO && s->state != BS_SESSION_OPEN &&
	    s->state != BS_SESSION_LEG)
		return;
	if (s->out_len == 0) {
		bs_ssize n = bs_tls_write(s->tls, buf, len);

		if (n < 0 && n != BS_EAGAIN) {
			bs_count(c, BS_C_gate_broken);
			bs__session_end(s);
			return;
		}
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
		if (len == 0)
			return;
	}
	int err = out_room(s, len);

	if (err != BS_OK) {
		bs_count(c, err == BS_EFULL ? BS_C_gate_slow : BS_C_memory_failed);
		bs__session_end(s);
		return;
	}
	memcpy(s->out + s->out_off + s->out_len, buf, len);
	s->out_len += (uint32_t)len;
	if (!s->queued)
		listen_for(s);
}

void bs__session_send_tx(struct bs_session *s, bs_ssize len)
{
	struct bs_gate *g = s->gate;

	if (len < 0) {
		bs_log_limited(&g->log_refused, g->w->now, BS_LOG_ERROR,
			       "gate, an answer could not be made (%s)", bs_strerror(len));
		bs__session_end(s);
		return;
	}
	bs__session_send(s, g->tx, (size_t)len);
	bs_wipe(g->tx, (size_t)len);
}

/** Keep the beginning of a packet until the rest comes. */
static void keep_rest(struct bs_session *s, const uint8_t *rest, size_t len)
{
	uint8_t *p = NULL;

	if (len > 0) {
		p = malloc(len);
		if (!p) {
			bs_count(s->gate->w->counters, BS_C_memory_failed);
			bs__session_end(s);
			return;
		}
		memcpy(p, rest, len);
	}
	free(s->in);
	s->in = p;
	s->in_len = (uint16_t)len;
}

static bool is_up(const struct bs_session *s)
{
	return s->state == BS_SESSION_HELLO || s->state == BS_SESSION_OPEN;
}

static bool is_read(const struct bs_session *s)
{
	return is_up(s) || s->state == BS_SESSION_LEG;
}

/** Cut [len] bytes of g->rx into packets. */
static void take_frames(struct bs_session *s, size_t len)
{
	struct bs_gate *g = s->gate;
	size_t off = 0;

	while (is_up(s)) {
		bs_ssize frame = bs_gate_frame_len(g->rx + off, len - off);

		if (frame == BS_EAGAIN || (frame > 0 && (size_t)frame > len - off)) {
			keep_rest(s, g->rx + off, len - off);
			return;
		}
		if (frame < 0) {
			bs__gate_error(s, frame == BS_EVERSION ? BS_ST_VERSION : BS_ST_MALFORMED,
				       "bad packet header");
			return;
		}
		s->heard = g->w->now;
		bs__gate_packet(s, g->rx + off, (size_t)frame);
		off += (size_t)frame;
	}
	/* A leg must wait for its answer: nobody can take these bytes yet. */
	if (s->state == BS_SESSION_LEG && off < len) {
		bs_count(g->w->counters, BS_C_gateway_malformed);
		bs__session_end(s);
	}
}

/** Listen, or come back at once for what TLS has read already. */
static void read_on(struct bs_session *s)
{
	if (bs_tls_has_pending(s->tls) && !bs__gate_leg_stalled(s))
		enqueue(s);
	else
		listen_for(s);
}

void bs__session_resume(struct bs_session *s)
{
	if (!s->queued)
		read_on(s);
}

/** Read once and work on it; more comes in another turn, so that no client holds the loop. */
static void serve(struct bs_session *s)
{
	struct bs_gate *g = s->gate;
	size_t had = s->in_len;
	bs_ssize n;

	if (s->state == BS_SESSION_LEG) {
		if (bs__gate_leg_serve(s))
			read_on(s);
		return;
	}
	if (had > 0)
		memcpy(g->rx, s->in, had);
	n = bs_tls_read(s->tls, g->rx + had, sizeof(g->rx) - had);
	if (n == BS_EAGAIN) {
		listen_for(s);
		return;
	}
	if (n < 0) {
		if (n != BS_ECLOSED)
			bs_count(g->w->counters, BS_C_gate_broken);
		bs__session_end(s);
		return;
	}
	take_frames(s, had + (size_t)n);
	if (is_read(s))
		read_on(s);
}

/** One counter per refusal, in the order of enum bs_tls_refusal. */
static enum bs_counter counter_of(enum bs_tls_refusal why)
{
	static const enum bs_counter map[BS_TLS_REFUSED_N] = {
		[BS_TLS_REFUSED_NONE] = BS_C_gate_refused_handshake,
		[BS_TLS_REFUSED_NO_CERT] = BS_C_gate_refused_no_cert,
		[BS_TLS_REFUSED_UNTRUSTED] = BS_C_gate_refused_untrusted,
		[BS_TLS_REFUSED_EXPIRED] = BS_C_gate_refused_expired,
		[BS_TLS_REFUSED_NOT_YET] = BS_C_gate_refused_not_yet,
		[BS_TLS_REFUSED_REVOKED] = BS_C_gate_refused_revoked,
		[BS_TLS_REFUSED_WEAK_KEY] = BS_C_gate_refused_weak_key,
		[BS_TLS_REFUSED_KEY_TYPE] = BS_C_gate_refused_key_type,
		[BS_TLS_REFUSED_KEY_USAGE] = BS_C_gate_refused_key_usage,
		[BS_TLS_REFUSED_CHAIN] = BS_C_gate_refused_chain,
		[BS_TLS_REFUSED_ALPN] = BS_C_gate_refused_alpn,
		[BS_TLS_REFUSED_VERSION] = BS_C_gate_refused_version,
		[BS_TLS_REFUSED_HANDSHAKE] = BS_C_gate_refused_handshake,
	};

	return map[why];
}

/** The sums of the TLS context since the last look, into the worker's counters. */
static void take_stats(struct bs_gate *g)
{
	const struct bs_tls_stats *st = bs_tls_server_stats(g->tls);
	struct bs_tls_stats *old = &g->seen_stats;
	struct bs_counters *c = g->w->counters;

	bs_count_add(c, BS_C_gate_handshake_full, st->full - old->full);
	bs_count_add(c, BS_C_gate_handshake_resumed, st->resumed - old->resumed);
	bs_count_add(c, BS_C_gate_ticket_ignored, st->ticket_ignored - old->ticket_ignored);
	bs_count_add(c, BS_C_gate_chain_known, st->cache_hits - old->cache_hits);
	*old = *st;
}

/** TLS is up: who is it? */
static void greet(struct bs_session *s)
{
	struct bs_gate *g = s->gate;

	s->who = *bs_tls_peer_get(s->tls);
	s->state = BS_SESSION_HELLO;
	bs__lane_leave(s);
	take_stats(g);
	if (s->who.id_fault != BS_TLS_ID_OK) {
		bs_count(g->w->counters, BS_C_gate_refused_identity);
		bs_log_limited(&g->log_refused, g->w->now, BS_LOG_NOTICE,
			       "gate, client refused (%s)", bs_tls_id_fault_text(s->who.id_fault));
		bs__gate_error(s, BS_ST_CERT_ID, bs_tls_id_fault_text(s->who.id_fault));
		return;
	}
	/* The certificate was judged when it came; the rest of the handshake came when the client
	 * liked, and a walk over the sessions leaves out those without a client. */
	int err = bs__gate_still_good(s);

	if (err != BS_OK) {
		bs_count(g->w->counters, BS_C_gate_refused_revoked);
		bs__gate_error(s, err == BS_EAUTH ? BS_ST_CLIENT_CERT : BS_ST_DRAINING,
			       err == BS_EAUTH ? "client or certificate revoked"
					       : "certificates changed: connect again");
		return;
	}
	if (bs__client_join(s) != BS_OK) {
		bs_count(g->w->counters, BS_C_gate_table_full);
		bs__gate_error(s, BS_ST_RATE, "the server is full");
		return;
	}
	bs_log_debug("gate, session %u of %s over %s%s", s->index, s->who.identity,
		     bs_tls_version(s->tls), s->who.resumed ? ", resumed" : "");
	/* The HELLO may have come in the same record as the end of the handshake. */
	if (bs_tls_has_pending(s->tls))
		enqueue(s);
	else
		listen_for(s);
}

/** Go on with a handshake; what it cost, as parts of a full one. */
static unsigned handshake(struct bs_session *s)
{
	struct bs_gate *g = s->gate;
	int err;
	unsigned cost;

	s->drained = false;
	err = bs_tls_handshake(s->tls);
	cost = bs_tls_is_resumption(s->tls) ? 1 : RESUMED_PER_FULL;
	if (err == BS_OK) {
		greet(s);
		return cost;
	}
	if (err == BS_EAGAIN) {
		listen_for(s);
		return cost;
	}
	take_stats(g);
	/* Somebody who only opens and closes a port is no refusal. */
	if (err != BS_ECLOSED || bs_tls_refusal(s->tls) != BS_TLS_REFUSED_HANDSHAKE) {
		bs_count(g->w->counters, counter_of(bs_tls_refusal(s->tls)));
		bs_log_limited(&g->log_refused, g->w->now, BS_LOG_INFO, "gate, client refused (%s)",
			       bs_tls_refusal_text(bs_tls_refusal(s->tls)));
	} else {
		bs_count(g->w->counters, BS_C_gate_broken);
	}
	bs__session_end(s);
	return cost;
}

static void on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct bs_session *s = (struct bs_session *)((char *)io - offsetof(struct bs_session, io));

	if (s->state == BS_SESSION_HANDSHAKE) {
		enqueue(s);
		return;
	}
	if ((events & EV_WRITE) && bs__gate_leg_writes(s)) {
		if (bs__gate_leg_ready(s, events & EV_READ, true))
			bs__session_resume(s);
		return;
	}
	if ((events & EV_WRITE) && s->tls)
		flush(s);
	if ((events & EV_READ) && is_read(s))
		serve(s);
}

void bs__session_work(struct bs_gate *g)
{
	unsigned work = g->w->conf->handshakes_per_turn * RESUMED_PER_FULL;
	unsigned reads = READS_PER_TURN;
	/* What is queued meanwhile waits for the next turn. */
	struct bs_session *last = g->ready_last;
	struct bs_session *s;

	while (g->ready && reads > 0) {
		bool was_last = g->ready == last;

		s = g->ready;
		dequeue(s);
		reads--;
		if (is_read(s))
			serve(s);
		if (was_last)
			break;
	}
	while (work > 0 && (s = bs__lane_pop(g))) {
		unsigned cost = handshake(s);

		work -= cost < work ? cost : work;
		g->steps++;
	}
}

/** Ghosts looked at before a new session is refused. */
#define GHOST_SCAN 64u

/**
 * A free slot; where there is none, a ghost gives way: its connections can then no longer be ended
 * by a revocation of the client, which the holder's own limits bound.
 */
static struct bs_session *take_slot(struct bs_gate *g)
{
	struct bs_session *s = g->free_session;

	if (!s && g->fresh < g->cap)
		return &g->session[g->fresh++];
	for (uint32_t i = 0; !s && i < GHOST_SCAN && i < g->cap; i++) {
		struct bs_session *ghost = &g->session[g->ghost_scan++ % g->cap];

		if (ghost->state != BS_SESSION_GHOST)
			continue;
		bs__gate_conns_forget(ghost);
		s = g->free_session;
	}
	if (s)
		g->free_session = s->next_free;
	return s;
}

struct bs_session *bs__session_new_bare(struct bs_gate *g)
{
	struct bs_session *s = take_slot(g);
	const bs_time now = g->w->now;

	if (!s)
		return NULL;
	*s = (struct bs_session){ .index = (uint32_t)(s - g->session),
				  .gate = g,
				  .generation = g->generation,
				  .fd = -1,
				  .state = BS_SESSION_HANDSHAKE,
				  .started = now,
				  .heard = now,
				  .tokens_at = now,
				  .tokens = BS_GATE_BUCKET };
	g->live++;
	bs_count_set(g->w->counters, BS_C_gate_sessions, g->live);
	return s;
}

void bs__session_learn_local(struct bs_session *s)
{
	if (s->fd >= 0 && bs_tcp_local(s->fd, &s->local) != BS_OK)
		memset(&s->local, 0, sizeof(s->local));
}

bool bs__session_hears(const struct bs_session *s)
{
	return s->state == BS_SESSION_OPEN || s->ticket;
}

struct bs_session *bs__session_new(struct bs_gate *g, int fd, uint64_t source,
				   const struct bs_endpoint *peer)
{
	struct bs_session *s = bs__session_new_bare(g);

	if (!s && bs__lane_make_room(g, source))
		s = bs__session_new_bare(g);
	if (!s) {
		bs_tcp_close(fd);
		return NULL;
	}
	s->fd = fd;
	s->tls = bs_tls_new(g->tls, &(struct bs_tls_io){ s, io_read, io_write });
	if (!s->tls) {
		bs_count(g->w->counters, BS_C_memory_failed);
		bs_tcp_close(fd);
		bs__session_release(s);
		return NULL;
	}
	bs__lane_join(s, source);
	s->peer = *peer;
	ev_io_init(&s->io, on_io, fd, EV_READ);
	/* Datagrams are served before TLS. */
	ev_set_priority(&s->io, EV_MINPRI);
	/* The listener waits for first bytes, so that most often they are there.  Who says nothing
	 * shall not cost what TLS takes for a handshake. */
	if (bs_tcp_is_readable(fd))
		enqueue(s);
	else
		listen_for(s);
	return s;
}

void bs__session_release(struct bs_session *s)
{
	struct bs_gate *g = s->gate;

	bs__client_leave(s);
	bs__gate_ticket_gone(s);
	bs_wipe(s, sizeof(*s));
	s->gate = g;
	s->next_free = g->free_session;
	g->free_session = s;
	g->live--;
	bs_count_set(g->w->counters, BS_C_gate_sessions, g->live);
}

void bs__session_end(struct bs_session *s)
{
	struct bs_gate *g = s->gate;

	if (s->state == 0 || s->state == BS_SESSION_GHOST)
		return;
	/* First the state: what follows must not try to send. */
	s->state = BS_SESSION_GHOST;
	stop_listening(s);
	dequeue(s);
	bs__lane_leave(s);
	bs__gate_leg_end(s);
	bs_tls_free(s->tls);
	s->tls = NULL;
	bs_tcp_close(s->fd);
	s->fd = -1;
	free(s->in);
	s->in = NULL;
	s->in_len = 0;
	if (s->out)
		bs_wipe(s->out, s->out_cap);
	free(s->out);
	s->out = NULL;
	s->out_len = s->out_off = s->out_cap = 0;
	if (s->probe.nsi) {
		bs_gate_map_remove(&g->probe_map, s->probe.nsi);
		bs_worker_probe_nsi_give(g->w, s->probe.nsi);
	}
	bs_wipe(&s->probe, sizeof(s->probe));
	bs__presence_session_end(s);
	bs__gate_query_session_end(s);
	bs__gate_connect_session_end(s);
	/* As long as its connections live somebody must be there to end them on a revocation. */
	if (s->state == BS_SESSION_GHOST && !s->conns && !bs__channel_is_busy(s))
		bs__session_release(s);
}

void bs__session_close(struct bs_session *s)
{
	if (!is_up(s))
		return;
	s->state = BS_SESSION_CLOSING;
	s->heard = s->gate->w->now;
	if (s->out_len == 0) {
		bs_tls_close(s->tls);
		bs__session_end(s);
		return;
	}
	dequeue(s);
	listen_for(s);
}

void bs__session_tick(struct bs_session *s, bs_time now)
{
	const struct bs_conf *conf = s->gate->w->conf;
	struct bs_counters *c = s->gate->w->counters;
	bs_time_diff age = BS_TIME_DIFF(now, s->started);
	bs_time_diff silent = BS_TIME_DIFF(now, s->heard);

	if (s->ticket) {
		bs__channel_tick(s, now);
		return;
	}
	switch (s->state) {
	case BS_SESSION_HANDSHAKE:
		if (age <= (bs_time_diff)conf->hello_timeout)
			return;
		bs_count(c, BS_C_gate_handshake_timeout);
		break;
	case BS_SESSION_HELLO:
		/* Counted from the first byte: slow handshakes do not buy time. */
		if (age <= (bs_time_diff)conf->hello_timeout)
			return;
		bs_count(c, BS_C_gate_hello_timeout);
		break;
	case BS_SESSION_OPEN:
		if (silent <= (bs_time_diff)s->keepalive)
			return;
		bs_count(c, BS_C_gate_idle);
		break;
	case BS_SESSION_CLOSING:
		if (silent <= (bs_time_diff)conf->hello_timeout)
			return;
		break;
	default: return;
	}
	if (s->tls)
		bs_tls_close(s->tls);
	bs__session_end(s);
}
