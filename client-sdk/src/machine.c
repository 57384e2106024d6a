/* SPDX-License-Identifier: Apache-2.0 */
/* The session with the basestation: when to open, what HELLO says, how it ends. */
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basestation/version.h"
#include "error.h"
#include "local.h"

static void tell(struct bsc__machine *m, enum bsc_progress step, const struct bsc_error *err)
{
	if (m->set.fn != NULL)
		m->set.fn(m->set.arg, m->set.owner, step, err);
}

void bsc__machine_init(struct bsc__machine *m, const struct bs_crypto *crypto,
		       const struct bsc__settings *set)
{
	memset(m, 0, sizeof *m);
	m->crypto = crypto;
	m->set = *set;
}

void bsc__machine_fini(struct bsc__machine *m)
{
	while (m->reqs != NULL) {
		struct bsc__req *r = m->reqs;

		m->reqs = r->next;
		free(r);
	}
	while (m->links != NULL) {
		struct bsc_conn *c = m->links;

		m->links = c->next;
		bsc__link_free(c);
	}
	free(m->search);
	bsc__prober_clear(&m->prober);
	bs_wipe(&m->ticket, sizeof m->ticket);
	bs_wipe(m->in, sizeof m->in);
}

/** Whether somebody still needs the session. */
static bool is_needed(const struct bsc__machine *m)
{
	if (m->reqs != NULL || m->watch.fn != NULL)
		return true;
	for (const struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (!c->closed && !c->is_local && !(c->local != NULL && c->local->only))
			return true;
	return false;
}

static void set_target(struct bsc__machine *m, const char *host, size_t len, uint16_t port)
{
	memcpy(m->host, host, len);
	m->host[len] = '\0';
	m->port = port;
}

/** Ask the port for a new transport to the target. */
static void begin(struct bsc__machine *m, bs_time now)
{
	m->state = BSC_SESSION_OPENING;
	m->want = true;
	m->transport++;
	m->up = false;
	m->hello_sent = false;
	m->in_len = 0;
	m->at = BSC_RESOLVING;
	m->open_deadline = now + BS_TIME_MS(m->set.open_timeout_ms);
}

void bsc__machine_open(struct bsc__machine *m, bs_time now)
{
	/* Without a basestation there is only the local network. */
	if (m->state != BSC_SESSION_IDLE || m->set.host[0] == '\0')
		return;
	m->redirects = 0;
	set_target(m, m->set.host, strlen(m->set.host), m->set.port);
	if (m->has_not_before && BS_TIME_DIFF(now, m->not_before) < 0) {
		m->state = BSC_SESSION_WAITING;
		m->due = m->not_before;
		return;
	}
	m->has_not_before = false;
	begin(m, now);
}

/** Whether trying again may help. */
static bool is_transient(int err)
{
	return err > BS_ESHORT && err <= BS_EAGAIN;
}

static void wait_and_retry(struct bsc__machine *m, bs_time now)
{
	m->state = BSC_SESSION_WAITING;
	m->due = now + BS_TIME_MS(bsc__backoff_next_ms(&m->backoff, m->crypto));
	if (m->has_not_before && BS_TIME_DIFF(m->not_before, m->due) > 0)
		m->due = m->not_before;
}

/** The session is over: end or keep what waits, and decide whether to come back. */
static void lose(struct bsc__machine *m, const struct bsc_error *why, bs_time now)
{
	bool was_open = m->state == BSC_SESSION_OPEN;
	bool again = is_transient(why->err) && m->set.reconnect;
	struct bsc_error e = *why;

	if (m->state == BSC_SESSION_IDLE)
		return;
	m->state = BSC_SESSION_IDLE;
	m->want = false;
	m->up = false;
	m->why = e;
	bsc__prober_clear(&m->prober);
	if (e.retry_after_ms > 0) {
		m->has_not_before = true;
		m->not_before = now + BS_TIME_MS(e.retry_after_ms);
	}
	if (was_open && again)
		bsc__request_unsend(m, &e, now);
	else
		bsc__request_fail_all(m, &e, now);
	tell(m, BSC_CLOSED, &e);
	if (!again && m->watch.fn != NULL) {
		bsc_presence_fn fn = m->watch.fn;

		m->watch.fn = NULL;
		fn(m->watch.arg, NULL, &e);
	}
	/* A callback may have asked for something: then it is IDLE or opening already. */
	if (m->state == BSC_SESSION_IDLE && again && is_needed(m)) {
		set_target(m, m->set.host, strlen(m->set.host), m->set.port);
		m->redirects = 0;
		wait_and_retry(m, now);
	}
}

void bsc__machine_progress(struct bsc__machine *m, enum bsc_progress step)
{
	if (m->state != BSC_SESSION_OPENING)
		return;
	m->at = step;
	tell(m, step, NULL);
	bsc__link_progress(m, step);
}

void bsc__machine_up(struct bsc__machine *m, bs_time now)
{
	uint8_t r[4];

	if (m->state != BSC_SESSION_OPENING)
		return;
	if (m->crypto->random(m->crypto->ctx, r, sizeof r) != BS_OK) {
		struct bsc_error e;

		(void)bsc__fail(&e, BS_ERANDOM, BSC_FROM_LIBRARY, BSC_INTERNAL,
				"no random numbers from the crypto library");
		lose(m, &e, now);
		return;
	}
	m->up = true;
	m->cp = bs_get_u32(r);
	m->hello_seq = ++m->seq;
	m->last_tx = m->last_rx = now;
	bsc__machine_progress(m, BSC_ASKING);
}

void bsc__machine_down(struct bsc__machine *m, const struct bsc_error *why, bs_time now)
{
	if (m->state == BSC_SESSION_OPENING || m->state == BSC_SESSION_OPEN)
		lose(m, why, now);
}

void bsc__machine_refused(struct bsc__machine *m, const struct bs_status_text *st,
			  uint32_t retry_after_ms, bs_time now)
{
	struct bsc_error e;

	(void)bsc__fail_status(&e, BSC_FROM_BASESTATION, st->code, st->text);
	e.retry_after_ms = retry_after_ms;
	lose(m, &e, now);
}

static void broke(struct bsc__machine *m, const char *what, int err, bs_time now)
{
	struct bsc_error e;

	(void)bsc__fail(&e, BS_EPROTO, BSC_FROM_BASESTATION, BSC_PROTOCOL,
			"%s:%u: %s cannot be understood (%s); is it a basestation of this version?",
			m->host, (unsigned)m->port, what, bs_strerror(err));
	lose(m, &e, now);
}

static int on_hello(struct bsc__machine *m, const struct bs_packet *p, bs_time now)
{
	struct bs_gate_hello_answer a;
	int rc = bs_gate_hello_answer_decode(p, &a);

	if (rc != BS_OK)
		return rc;
	if (m->state != BSC_SESSION_OPENING || !m->hello_sent || a.h.seq != m->hello_seq)
		return BS_ESTATE;
	if (a.status.code != BS_ST_OK) {
		bool later = a.params.has & BS_PARAM_BIT(BS_PARAM_RETRY_AFTER);

		bsc__machine_refused(m, &a.status, later ? a.params.retry_after_ms : 0, now);
		return BS_OK;
	}
	m->state = BSC_SESSION_OPEN;
	m->rtt_us = (uint32_t)(BS_TIME_DIFF(now, m->hello_at) / 1000);
	m->token_at = now;
	m->token_counter = 0;
	bsc__backoff_reset(&m->backoff);
	m->keepalive_ms =
		1000u * (a.params.has & BS_PARAM_BIT(BS_PARAM_KEEPALIVE) && a.params.keepalive_s > 0
				 ? a.params.keepalive_s
				 : m->set.keepalive_s);
	m->server_time_ms =
		a.params.has & BS_PARAM_BIT(BS_PARAM_SERVER_TIME) ? a.params.server_time_ms : 0;
	m->tcp_seen = a.observed;
	(void)snprintf(m->node, sizeof m->node, "%.*s:%u", (int)a.node.host.len,
		       (const char *)a.node.host.ptr, (unsigned)a.node.port);
	bsc__printable(m->node, strlen(m->node));
	bsc__prober_set(&m->prober, &a);
	bs_wipe(a.token, sizeof a.token);
	if (m->n_links > 0)
		bsc__prober_start(&m->prober, now);
	bsc__request_rewatch(m, now);
	if (a.params.has & BS_PARAM_BIT(BS_PARAM_TICKET_LIFE))
		bsc__ticket_offered(m, now);
	tell(m, BSC_PATH_FOUND, NULL);
	return BS_OK;
}

/** REDIRECT instead of an answer: everything moves to the other node. */
static int on_redirect(struct bsc__machine *m, const struct bs_packet *p, bs_time now)
{
	struct bs_gate_redirect r;
	struct bsc_error e;
	int rc = bs_gate_redirect_decode(p, &r);

	if (rc != BS_OK)
		return rc;
	/* The name goes to the name service: no byte in it may be special to anybody. */
	for (size_t k = 0; k < r.node.host.len; k++)
		if (r.node.host.ptr[k] <= ' ' || r.node.host.ptr[k] > '~')
			return BS_EFIELD;
	if (r.node.port == 0)
		return BS_EFIELD;
	if (++m->redirects > BSC__REDIRECTS_MAX) {
		(void)bsc__fail(&e, BS_EPROTO, BSC_FROM_BASESTATION, BSC_REDIRECTS,
				"%s:%u: redirects again after %d redirects; tell its operator",
				m->host, (unsigned)m->port, BSC__REDIRECTS_MAX);
		lose(m, &e, now);
		return BS_OK;
	}
	(void)bsc__fail(&e, BS_EDRAIN, BSC_FROM_BASESTATION, BSC_LOST,
			"the session moved to another node");
	bsc__request_unsend(m, &e, now);
	bsc__prober_clear(&m->prober);
	set_target(m, (const char *)r.node.host.ptr, r.node.host.len, r.node.port);
	begin(m, now);
	return BS_OK;
}

static int on_error(struct bsc__machine *m, const struct bs_packet *p, bs_time now)
{
	struct bs_gate_error e;
	int rc = bs_gate_error_decode(p, &e);

	if (rc != BS_OK)
		return rc;
	bsc__machine_refused(
		m, &e.status,
		e.params.has & BS_PARAM_BIT(BS_PARAM_RETRY_AFTER) ? e.params.retry_after_ms : 0,
		now);
	return BS_OK;
}

static int on_packet(struct bsc__machine *m, const uint8_t *buf, size_t len, bs_time now)
{
	struct bs_packet p;
	bool is_answer = false;
	int rc = bs_packet_decode(buf, len, &p);

	if (rc == BS_OK)
		rc = bs_gate_check(&p, &is_answer);
	if (rc != BS_OK)
		return rc;
	if (p.h.type == BS_TYPE_ERROR)
		return on_error(m, &p, now);
	if (p.h.type == BS_TYPE_REDIRECT)
		return on_redirect(m, &p, now);
	if (p.h.type == BS_TYPE_HELLO)
		return is_answer ? on_hello(m, &p, now) : BS_ETYPE;
	if (m->state != BSC_SESSION_OPEN)
		return BS_ESTATE;
	if (p.h.type == BS_TYPE_EVENT)
		return bsc__request_event(m, &p, now);
	return is_answer ? bsc__request_answer(m, &p, now) : BS_ETYPE;
}

void bsc__machine_bytes(struct bsc__machine *m, const uint8_t *data, size_t len, bs_time now)
{
	uint32_t transport = m->transport;

	m->rx_bytes += len;
	m->last_rx = now;
	/* A loss or a redirect in between leaves the rest without meaning. */
	while (len > 0 && m->up && m->transport == transport) {
		size_t want = BS_HEADER_MIN;
		size_t n;
		bs_ssize frame;

		if (m->in_len >= BS_HEADER_MIN) {
			frame = bs_gate_frame_len(m->in, m->in_len);
			if (frame < 0) {
				broke(m, "what it sent", (int)frame, now);
				return;
			}
			want = (size_t)frame;
		}
		n = want - m->in_len < len ? want - m->in_len : len;
		memcpy(m->in + m->in_len, data, n);
		m->in_len += n;
		data += n;
		len -= n;
		if (m->in_len < BS_HEADER_MIN)
			continue;
		frame = bs_gate_frame_len(m->in, m->in_len);
		if (frame < 0) {
			broke(m, "what it sent", (int)frame, now);
			return;
		}
		if (m->in_len == (size_t)frame) {
			int rc = on_packet(m, m->in, m->in_len, now);

			bs_wipe(m->in, m->in_len);
			m->in_len = 0;
			if (rc != BS_OK && m->up && m->transport == transport)
				broke(m, "a packet that it sent", rc, now);
		}
	}
}

void bsc__machine_datagram(struct bsc__machine *m, uint8_t *pkt, size_t len,
			   const struct bs_endpoint *from, bs_time now)
{
	if (bsc__search_input(m, pkt, len, from) || bsc__ticket_input(m, pkt, len, from, now))
		return;
	if (bsc__prober_input(&m->prober, pkt, len, from))
		bsc__paths_probed(m);
	else
		bsc__link_input(m, pkt, len, from, now);
}

static void open_timed_out(struct bsc__machine *m, bs_time now)
{
	struct bsc_error e;

	(void)bsc__fail(&e, BS_ETIMEDOUT, BSC_FROM_NETWORK, BSC_TIMEOUT,
			"%s:%u: no session within %u ms (while %s); check address, port and "
			"firewall",
			m->host, (unsigned)m->port, (unsigned)m->set.open_timeout_ms,
			bsc_progress_name(m->at));
	lose(m, &e, now);
}

/** Keep an idle session alive, and notice when the server is gone. */
static void keep_alive(struct bsc__machine *m, bs_time now)
{
	struct bsc_error e;

	if (BS_TIME_DIFF(now, m->last_tx) >= (bs_time_diff)BS_TIME_MS(m->keepalive_ms / 2)) {
		m->last_tx = now;
		(void)bsc__request_ping(m, NULL, NULL, now);
	}
	if (BS_TIME_DIFF(now, m->last_rx) <
	    (bs_time_diff)BS_TIME_MS(m->keepalive_ms / 2 + BSC__ANSWER_MS))
		return;
	(void)bsc__fail(&e, BS_EUNREACH, BSC_FROM_NETWORK, BSC_LOST,
			"%s:%u: the basestation fell silent", m->host, (unsigned)m->port);
	lose(m, &e, now);
}

void bsc__machine_timeout(struct bsc__machine *m, bs_time now)
{
	if (m->suspended)
		return;
	if (m->state == BSC_SESSION_OPENING && BS_TIME_DIFF(now, m->open_deadline) >= 0)
		open_timed_out(m, now);
	if (m->state == BSC_SESSION_WAITING && BS_TIME_DIFF(now, m->due) >= 0) {
		m->state = BSC_SESSION_IDLE;
		if (is_needed(m))
			bsc__machine_open(m, now);
	}
	if (m->state == BSC_SESSION_OPEN)
		keep_alive(m, now);
	bsc__prober_timeout(&m->prober, now);
	bsc__search_timeout(m, now);
	bsc__ticket_timeout(m, now);
	bsc__request_timeout(m, now);
	bsc__link_timeout(m, now);
}

static size_t hello_out(struct bsc__machine *m, uint8_t *buf, bs_time now)
{
	static const char label[] = "libbasestation-client";
	struct bs_gate_hello h = {
		.h = { .cp = m->cp, .seq = m->hello_seq },
		.version = { .kind = 1,
			     .major = BS_VERSION_MAJOR,
			     .minor = BS_VERSION_MINOR,
			     .has_patch = true,
			     .patch = BS_VERSION_PATCH,
			     .label = { (const uint8_t *)label, sizeof label - 1 } },
		.params = { .has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) |
				   BS_PARAM_BIT(BS_PARAM_VERSIONS),
			    .keepalive_s = m->set.keepalive_s,
			    .version_min = BS_GATE_VERSION,
			    .version_max = BS_GATE_VERSION },
	};
	bs_ssize n;

	h.caps.bits = h.caps.mask = BS_CAP_DIRECT | BS_CAP_UDP | BS_CAP_TAGS | BS_CAP_FRAMING |
				    BS_CAP_ASYNC | BS_CAP_FINGERPRINT | BS_CAP_GW_CLEAR_CLIENT;
	n = bs_gate_hello_encode(&h, buf, BS_GATE_PACKET_MAX);
	m->hello_sent = true;
	m->hello_at = now;
	return n > 0 ? (size_t)n : 0;
}

size_t bsc__machine_stream_out(struct bsc__machine *m, uint8_t buf[BS_GATE_PACKET_MAX], bs_time now)
{
	size_t n = 0;

	if (!m->up)
		return 0;
	if (m->state == BSC_SESSION_OPENING && !m->hello_sent)
		n = hello_out(m, buf, now);
	else if (m->state == BSC_SESSION_OPEN)
		n = bsc__request_output(m, buf, BS_GATE_PACKET_MAX, now);
	if (n > 0)
		m->last_tx = now;
	m->tx_bytes += n;
	return n;
}

bool bsc__machine_has_output(const struct bsc__machine *m)
{
	const struct bsc__req *r = m->reqs;

	if (!m->up)
		return false;
	if (m->state == BSC_SESSION_OPENING)
		return !m->hello_sent;
	while (r != NULL && !bsc__request_is_due(r))
		r = r->next;
	return m->state == BSC_SESSION_OPEN && r != NULL;
}

size_t bsc__machine_datagram_out(struct bsc__machine *m, uint8_t *buf, size_t cap,
				 struct bs_endpoint *to, bs_time now)
{
	size_t n = bsc__prober_output(&m->prober, m->crypto, buf, cap, to);

	if (n == 0)
		n = bsc__ticket_output(m, buf, cap, to, now);
	if (n == 0 && m->search != NULL)
		n = bs_discovery_output(&m->search->d, buf, cap, to);
	if (n == 0)
		n = bsc__link_output(m, buf, cap, to, now);
	if (n > 0)
		bsc__paths_sent(m, buf, to, now);
	return n;
}

bool bsc__machine_next_timeout(const struct bsc__machine *m, bs_time *at)
{
	bool have = false;
	bs_time t;

	if (m->suspended)
		return false;
	if (m->state == BSC_SESSION_OPENING)
		bsc__earlier(&have, at, m->open_deadline);
	if (m->state == BSC_SESSION_WAITING)
		bsc__earlier(&have, at, m->due);
	if (m->state == BSC_SESSION_OPEN) {
		bsc__earlier(&have, at, m->last_tx + BS_TIME_MS(m->keepalive_ms / 2));
		bsc__earlier(&have, at,
			     m->last_rx + BS_TIME_MS(m->keepalive_ms / 2 + BSC__ANSWER_MS));
	}
	if (m->search != NULL && bs_discovery_next_timeout(&m->search->d, &t))
		bsc__earlier(&have, at, t);
	if (bsc__ticket_next_timeout(m, &t))
		bsc__earlier(&have, at, t);
	if (bsc__prober_next_timeout(&m->prober, &t))
		bsc__earlier(&have, at, t);
	if (bsc__request_next_timeout(m, &t))
		bsc__earlier(&have, at, t);
	if (bsc__link_next_timeout(m, &t))
		bsc__earlier(&have, at, t);
	return have;
}

void bsc__machine_reap(struct bsc__machine *m)
{
	struct bsc_conn **at = &m->links;

	while (*at != NULL) {
		struct bsc_conn *c = *at;

		if (c->released && !bsc__link_is_live(c)) {
			*at = c->next;
			m->n_links--;
			bsc__link_free(c);
		} else
			at = &c->next;
	}
}
