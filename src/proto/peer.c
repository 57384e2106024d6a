/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/peer.h"

#include <string.h>

#include "proto/stream.h"
#include "util/endpoint.h"

#define SEARCH_MS 5000u
/* After a sleep the device gets so long to answer. */
#define RESUME_MS 6000u

/* Code and length of a notice: "working on it". */
#define NOTICE_LEN 4u

int bs_peer_init(struct bs_peer *p, const struct bs_peer_conf *conf, bs_time now)
{
	struct bs_conn_ext ext;

	memset(p, 0, sizeof(*p));
	if (!conf->suite || !conf->crypto || conf->nsi_sp == 0 || (conf->pair && !conf->attempt))
		return BS_EINVAL;
	p->crypto = conf->crypto;
	bs_conn_init(&p->conn, BS_INITIATOR, conf->nsi_sp, &conf->key, conf->suite, now);
	ext.fast = conf->fast;
	ext.paired = conf->pair != NULL;
	bs_conn_set_ext(&p->conn, ext);
	if (conf->pair) {
		int err = bs_keys_derive_pair(conf->crypto, &conf->key, conf->pair, conf->nsi_sp,
					      conf->attempt, &p->conn.key);

		if (err) {
			bs_conn_fini(&p->conn);
			return err;
		}
	}
	bs_conn_set_interval(&p->conn, conf->interval_ms, now);
	/* That is the limit once a path is found; until then the device waits this long. */
	p->conn.expire = now + BS_TIME_MS(BS_CONN_FIRST_MS);
	p->conn.keepalive = p->conn.expire;
	p->conn.nsi_cp = conf->nsi_cp;
	p->conn.has_co = conf->has_co;
	memcpy(p->conn.nsi_co, conf->nsi_co, sizeof(p->conn.nsi_co));
	bs_rendezvous_client_init(&p->rv, conf->interval_ms);
	bs_rpc_client_init(&p->rpc);
	bs_paths_init(&p->paths, conf->relay_wait_ms, now);
	bs_paths_pace(&p->paths, conf->pace_ms);
	p->paths.ask.sockets = conf->sockets;
	p->paths.ask.symmetric = conf->symmetric;
	p->paths.ask.guess = conf->guess_ports;
	p->paths.ask.can = conf->can_ask;
	bs_peer_set_self(p, &conf->priv, &conf->global);
	p->search_until = now + BS_TIME_MS(conf->search_ms ? conf->search_ms : SEARCH_MS);
	return BS_OK;
}

/* Calls and streams end with the connection. */
static void fail_all(struct bs_peer *p)
{
	bs_rpc_client_fail(&p->rpc, BS_ECLOSED);
	if (p->streams)
		bs_streams_fail(p->streams, BS_ECLOSED);
}

void bs_peer_set_streams(struct bs_peer *p, struct bs_streams *ss)
{
	p->streams = ss;
}

void bs_peer_fini(struct bs_peer *p)
{
	fail_all(p);
	bs_conn_fini(&p->conn);
	bs_wipe(p, sizeof(*p));
}

int bs_peer_add_candidate(struct bs_peer *p, const struct bs_endpoint *ep,
			  enum bs_candidate_kind kind)
{
	return bs_rendezvous_client_add(&p->rv, ep, kind);
}

void bs_peer_start(struct bs_peer *p, bs_time now)
{
	bs_paths_search(&p->paths, &p->rv, now);
}

void bs_peer_set_path(struct bs_peer *p, const struct bs_endpoint *ep, enum bs_conn_path path,
		      bs_time now)
{
	if (!bs_conn_is_live(&p->conn))
		return;
	bs_conn_set_path(&p->conn, ep, path, now);
	p->events |= BS_PEER_EV_PATH;
}

/* Let the rules of path.h choose, and tell when they did. */
static void choose(struct bs_peer *p, bs_time now)
{
	if (bs_conn_is_live(&p->conn) && bs_paths_consider(&p->paths, &p->conn, &p->rv, now))
		p->events |= BS_PEER_EV_PATH;
}

int bs_peer_add_path(struct bs_peer *p, const struct bs_endpoint *ep, enum bs_conn_path path,
		     bs_time now)
{
	int err = bs_paths_add(&p->paths, ep, path);

	if (!err)
		choose(p, now);
	return err;
}

void bs_peer_drop_path(struct bs_peer *p, const struct bs_endpoint *ep, bs_time now)
{
	const struct bs_path *relay;

	if (!bs_paths_drop(&p->paths, ep) || !bs_endpoint_equal(ep, &p->conn.remote))
		return;
	relay = bs_paths_relay(&p->paths, NULL);
	if (relay)
		bs_peer_set_path(p, &relay->ep, (enum bs_conn_path)relay->kind, now);
	if (p->conn.state == BS_CONN_OPEN)
		bs_paths_suspect(&p->paths, &p->conn, &p->rv, now);
	else if (!relay)
		memset(&p->conn.remote, 0, sizeof(p->conn.remote));
}

void bs_peer_network_changed(struct bs_peer *p, bs_time now)
{
	if (!bs_conn_is_live(&p->conn))
		return;
	if (bs_endpoint_is_set(&p->conn.remote))
		bs_conn_set_path(&p->conn, &p->conn.remote, (enum bs_conn_path)p->conn.path, now);
	bs_paths_suspect(&p->paths, &p->conn, &p->rv, now);
}

void bs_peer_suspend(struct bs_peer *p, bs_time now)
{
	if (p->suspended || !bs_conn_is_live(&p->conn))
		return;
	/* One last word: composed by the output calls that follow. */
	if (p->conn.state == BS_CONN_OPEN) {
		p->conn.keepalive = now;
		bs_conn_client_timeout(&p->conn, now);
	}
	p->suspended = true;
}

void bs_peer_resume(struct bs_peer *p, bs_time now)
{
	if (!p->suspended)
		return;
	p->suspended = false;
	if (!bs_conn_is_live(&p->conn))
		return;
	if (BS_TIME_DIFF(p->conn.expire, now) < (bs_time_diff)BS_TIME_MS(RESUME_MS))
		p->conn.expire = now + BS_TIME_MS(RESUME_MS);
	bs_peer_network_changed(p, now);
}

/* Tell the end once, and end what hangs on the connection. */
static void settle(struct bs_peer *p)
{
	if (p->conn.state != BS_CONN_CLOSED || p->told_closed)
		return;
	p->told_closed = true;
	p->events |= BS_PEER_EV_CLOSED;
	bs_rendezvous_client_stop(&p->rv);
	fail_all(p);
}

void bs_peer_close(struct bs_peer *p, bs_time now)
{
	bs_conn_close(&p->conn, now);
	bs_rendezvous_client_stop(&p->rv);
	fail_all(p);
	settle(p);
}

void bs_peer_end(struct bs_peer *p, enum bs_conn_end why)
{
	bs_conn_abort(&p->conn, why);
	settle(p);
}

void bs_peer_set_self(struct bs_peer *p, const struct bs_endpoint *priv,
		      const struct bs_endpoint *global)
{
	p->paths.ask.m.priv = *priv;
	p->paths.ask.m.global = *global;
}

int bs_peer_call(struct bs_peer *p, struct bs_rpc_call *call, bs_time now)
{
	if (p->conn.state != BS_CONN_CONNECTING && p->conn.state != BS_CONN_OPEN)
		return BS_ECLOSED;
	return bs_rpc_client_start(&p->rpc, call, now);
}

void bs_peer_cancel(struct bs_peer *p, struct bs_rpc_call *call)
{
	bs_rpc_client_cancel(&p->rpc, call);
}

/* Clear and easy to forge: it may only slow down what we do anyway. */
static bool is_notice(const struct bs_packet *pkt)
{
	struct bs_payload pl;

	return (pkt->h.flags & BS_FLAG_RESPONSE) && pkt->h.tag == BS_TAG_RPC &&
	       !bs_payload_find(pkt, BS_PL_CRYPTO, &pl) &&
	       bs_payload_find(pkt, BS_PL_NOTIFY, &pl) && pl.len >= NOTICE_LEN &&
	       bs_get_u32(pl.data) == BS_ST_PENDING;
}

static int input_data(struct bs_peer *p, const struct bs_packet *pkt, uint8_t *bytes,
		      const struct bs_endpoint *from, bs_time now)
{
	struct bs_endpoint old = p->conn.remote;
	bool was_open = p->conn.state == BS_CONN_OPEN;
	struct bs_conn_data d;
	int err;

	if (is_notice(pkt)) {
		if (!bs_endpoint_equal(from, &p->conn.remote))
			return BS_ESOURCE;
		bs_rpc_client_notice(&p->rpc, pkt->h.seq, now);
		return BS_OK;
	}
	err = bs_conn_open(&p->conn, p->crypto, pkt, bytes, from, now, &d);
	if (!err && d.h.tag == BS_TAG_FRAMING) {
		err = bs_conn_client_framing(&p->conn, &d, from, now);
	} else if (!err && d.h.tag == BS_TAG_RPC) {
		bs_conn_client_touch(&p->conn, now);
		err = bs_rpc_client_input(&p->rpc, &p->conn, &d, from, now);
	} else if (!err && p->streams && bs_tag_is_stream(d.h.tag)) {
		err = bs_streams_input(p->streams, pkt, &d, from, now);
	}
	if (!err && bs_paths_heard(&p->paths, &p->conn, &p->rv, from, &old, was_open, now))
		p->events |= BS_PEER_EV_PATH;
	if (p->conn.state == BS_CONN_OPEN && !p->told_open) {
		p->told_open = true;
		p->events |= BS_PEER_EV_OPEN;
	}
	return err;
}

/* Until the device is proven to be there any path that answers will do, the nearer the better;
 * an open connection moves only after a check (path.h). */
static void consider(struct bs_peer *p, bs_time now)
{
	const struct bs_candidate *best = bs_rendezvous_client_best(&p->rv);

	if (best && p->conn.state == BS_CONN_CONNECTING &&
	    !bs_endpoint_equal(&best->ep, &p->conn.remote))
		bs_peer_set_path(p, &best->ep, BS_PATH_DIRECT, now);
}

static int input_rendezvous(struct bs_peer *p, const struct bs_packet *pkt,
			    const struct bs_endpoint *from, bs_time now)
{
	bool works;
	int err = bs_rendezvous_client_input(&p->rv, pkt, from, &works);

	if (!err && works)
		consider(p, now);
	return err;
}

/* What a stock device may send in place of its answer to a close (a quirk of theirs). */
static int input_stats(struct bs_peer *p, const struct bs_packet *pkt)
{
	struct bs_payload pl;
	int err;

	if (p->conn.state != BS_CONN_CLOSING)
		return BS_ESTATE;
	if (!bs_payload_find(pkt, BS_PL_CRYPTO, &pl))
		return BS_EMISSING;
	err = p->conn.suite->verify(p->crypto, &p->conn.key, BS_INITIATOR, pkt->bytes, pkt->len,
				    (size_t)(pl.data - pkt->bytes) - 4);
	if (!err)
		bs_conn_abort(&p->conn, BS_CONN_END_LOCAL);
	return err;
}

int bs_peer_input(struct bs_peer *p, uint8_t *pkt, size_t len, const struct bs_endpoint *from,
		  bs_time now)
{
	struct bs_packet d;
	int err = bs_stream_packet_decode(pkt, len, &d);

	if (err)
		return err;
	if (!bs_conn_is_live(&p->conn) || d.h.nsi_sp != p->conn.nsi_sp)
		return BS_EUNKNOWN;
	switch (d.h.type) {
	case BS_TYPE_DATA: err = input_data(p, &d, pkt, from, now); break;
	case BS_TYPE_U_CONNECT: err = input_rendezvous(p, &d, from, now); break;
	case BS_TYPE_STATS: err = input_stats(p, &d); break;
	default: err = BS_ETYPE; break;
	}
	choose(p, now);
	settle(p);
	return err;
}

/* A path that does not prove itself gives way to the next one: of those that answered the search,
 * then a relay. */
static void rotate(struct bs_peer *p, bs_time now)
{
	const struct bs_path *relay;
	uint8_t i;
	uint8_t at = 0;

	if (p->conn.state != BS_CONN_CONNECTING || p->conn.retries == 0 ||
	    BS_TIME_DIFF(now, p->conn.keepalive) < 0)
		return;
	for (i = 0; i < p->rv.n; i++) {
		if (bs_endpoint_equal(&p->rv.cand[i].ep, &p->conn.remote))
			at = i;
	}
	for (i = 1; i < p->rv.n; i++) {
		const struct bs_candidate *c = &p->rv.cand[(at + i) % p->rv.n];

		if (c->works && !bs_endpoint_equal(&c->ep, &p->conn.remote)) {
			bs_peer_set_path(p, &c->ep, BS_PATH_DIRECT, now);
			return;
		}
	}
	relay = bs_paths_relay(&p->paths, &p->conn.remote);
	if (relay && BS_TIME_DIFF(now, p->paths.relay_at) >= 0)
		bs_peer_set_path(p, &relay->ep, (enum bs_conn_path)relay->kind, now);
}

void bs_peer_timeout(struct bs_peer *p, bs_time now)
{
	if (!bs_conn_is_live(&p->conn) || p->suspended)
		return;
	rotate(p, now);
	bs_conn_client_timeout(&p->conn, now);
	if (bs_paths_timeout(&p->paths, &p->conn, &p->rv, now))
		p->events |= BS_PEER_EV_PATH;
	bs_rendezvous_client_timeout(&p->rv, now);
	bs_rpc_client_timeout(&p->rpc, now);
	if (p->streams)
		bs_streams_timeout(p->streams, now);
	if (!p->told_no_path && !bs_endpoint_is_set(&p->conn.remote) &&
	    BS_TIME_DIFF(now, p->search_until) >= 0) {
		p->told_no_path = true;
		p->events |= BS_PEER_EV_NO_PATH;
	}
	settle(p);
}

size_t bs_peer_output(struct bs_peer *p, uint8_t *buf, size_t cap, struct bs_endpoint *to,
		      bs_time now)
{
	size_t len;

	if (!bs_conn_is_live(&p->conn))
		return 0;
	/* The device should have concluded its search before it gets DATA. */
	len = bs_rendezvous_client_output(&p->rv, p->conn.nsi_sp, buf, cap, to);
	if (!len)
		len = bs_paths_output(&p->paths, &p->conn, p->crypto, buf, cap, to, now);
	if (!len)
		len = bs_conn_client_output(&p->conn, p->crypto, buf, cap, to, now);
	if (!len)
		len = bs_rpc_client_output(&p->rpc, &p->conn, p->crypto, buf, cap, to, now);
	if (!len && p->streams)
		len = bs_streams_output(p->streams, buf, cap, to, now);
	if (len)
		bs_paths_sent(&p->paths, &p->conn, now);
	return len;
}

/* t is a pointer so that callers may fill it in the same expression that makes has. */
static void earliest(bool *any, bs_time *at, bool has, const bs_time *t)
{
	if (has && (!*any || BS_TIME_DIFF(*t, *at) < 0)) {
		*at = *t;
		*any = true;
	}
}

bool bs_peer_next_timeout(const struct bs_peer *p, bs_time *at)
{
	bs_time t = 0;
	bool any = false;

	if (!bs_conn_is_live(&p->conn) || p->suspended)
		return false;
	earliest(&any, at, bs_conn_client_next_timeout(&p->conn, &t), &t);
	earliest(&any, at, bs_rendezvous_client_next_timeout(&p->rv, &t), &t);
	earliest(&any, at, bs_paths_next_timeout(&p->paths, &p->conn, &t), &t);
	earliest(&any, at, bs_rpc_client_next_timeout(&p->rpc, &t), &t);
	earliest(&any, at, p->streams && bs_streams_next_timeout(p->streams, &t), &t);
	earliest(&any, at, !p->told_no_path && !bs_endpoint_is_set(&p->conn.remote),
		 &p->search_until);
	return any;
}

uint8_t bs_peer_take_events(struct bs_peer *p)
{
	uint8_t e = p->events;

	p->events = 0;
	return e;
}
