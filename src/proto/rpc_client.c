/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rpc_client.h"

#include <string.h>

#include "util/endpoint.h"

/* State of a call (bs_rpc_call.state). */
enum {
	CALL_IDLE = 0,
	CALL_WAITING = 1, /* for its turn or for a path */
	CALL_SEND = 2,    /* its packet waits to be composed */
	CALL_SENT = 3,
};

enum {
	QUERY_LEN = 4,
	CODE_LEN = 4,
	RETRANS_MAX = 7,
};

void bs_rpc_client_init(struct bs_rpc_client *r)
{
	memset(r, 0, sizeof(*r));
	r->max_outstanding = 1;
}

static void finish(struct bs_rpc_client *r, struct bs_rpc_call *call, int err, uint32_t exception,
		   struct bs_slice reply)
{
	struct bs_rpc_call **p = &r->head;

	while (*p != call)
		p = &(*p)->next;
	*p = call->next;
	call->next = NULL;
	call->state = CALL_IDLE;
	if (call->done)
		call->done(call->app, call, err, exception, reply);
}

static void finish_empty(struct bs_rpc_client *r, struct bs_rpc_call *call, int err)
{
	struct bs_slice none = { NULL, 0 };

	finish(r, call, err, 0, none);
}

int bs_rpc_client_start(struct bs_rpc_client *r, struct bs_rpc_call *call, bs_time now)
{
	struct bs_rpc_call **p = &r->head;

	if (call->request.len < QUERY_LEN)
		return BS_EINVAL;
	if (call->request.len > BS_RPC_CLIENT_REQUEST_MAX)
		return BS_ETOOBIG;
	while (*p) {
		if (*p == call)
			return BS_EEXIST;
		p = &(*p)->next;
	}
	*p = call;
	call->next = NULL;
	call->state = CALL_WAITING;
	call->started = now;
	call->due = now;
	call->tries = 0;
	call->gap_ms = 0;
	call->noticed = false;
	return BS_OK;
}

static bool runs(const struct bs_rpc_client *r, const struct bs_rpc_call *call)
{
	const struct bs_rpc_call *c;

	for (c = r->head; c; c = c->next) {
		if (c == call)
			return true;
	}
	return false;
}

void bs_rpc_client_cancel(struct bs_rpc_client *r, struct bs_rpc_call *call)
{
	if (runs(r, call))
		finish_empty(r, call, BS_EDRAIN);
}

void bs_rpc_client_fail(struct bs_rpc_client *r, int err)
{
	/* done may start a new call on this list: end only those that are there now. */
	struct bs_rpc_call *c = r->head;
	size_t n = 0;

	for (; c; c = c->next)
		n++;
	while (n-- && r->head)
		finish_empty(r, r->head, err);
}

static struct bs_rpc_call *find_sent(struct bs_rpc_client *r, uint16_t seq)
{
	struct bs_rpc_call *c;

	for (c = r->head; c; c = c->next) {
		if (c->tries && c->seq == seq)
			return c;
	}
	return NULL;
}

int bs_rpc_client_input(struct bs_rpc_client *r, struct bs_conn *c, const struct bs_conn_data *d,
			const struct bs_endpoint *from, bs_time now)
{
	struct bs_rpc_call *call = find_sent(r, d->h.seq);
	int32_t ms;

	if (!(d->h.flags & BS_FLAG_RESPONSE))
		return BS_ETYPE;
	if (!call)
		return BS_EUNKNOWN;
	if ((d->h.flags & BS_FLAG_EXCEPTION) && d->plain.len < CODE_LEN)
		return BS_ESHORT;
	/* Only the first copy tells which packet is answered. */
	if (call->tries == 1 && !call->noticed) {
		ms = BS_TIME_DIFF_MS(BS_TIME_DIFF(now, call->sent));
		c->rtt_ms = ms < 1 ? 1 : (uint16_t)ms;
	}
	bs_conn_move(c, from);
	if (d->h.flags & BS_FLAG_EXCEPTION)
		finish(r, call, BS_EREFUSED, bs_get_u32(d->plain.ptr), d->plain);
	else
		finish(r, call, BS_OK, 0, d->plain);
	return BS_OK;
}

void bs_rpc_client_notice(struct bs_rpc_client *r, uint16_t seq, bs_time now)
{
	struct bs_rpc_call *call = find_sent(r, seq);

	if (!call || call->noticed)
		return;
	call->noticed = true;
	if (call->state == CALL_SENT)
		call->due = now + BS_TIME_MS(BS_RPC_NOTICE_MS);
}

static bs_time give_up_at(const struct bs_rpc_call *call)
{
	return call->started + BS_TIME_MS(call->limit_ms ? call->limit_ms : BS_RPC_TOTAL_MS);
}

/* A call that must not be repeated has nothing due but its end. */
static bs_time next_step(const struct bs_rpc_call *call)
{
	bs_time end = give_up_at(call);

	if (call->state != CALL_SENT || (call->options & BS_RPC_NO_RETRY))
		return end;
	return BS_TIME_DIFF(call->due, end) < 0 ? call->due : end;
}

void bs_rpc_client_timeout(struct bs_rpc_client *r, bs_time now)
{
	struct bs_rpc_call *call = r->head;
	struct bs_rpc_call *next;

	for (; call; call = next) {
		next = call->next;
		if (BS_TIME_DIFF(now, give_up_at(call)) >= 0) {
			finish_empty(r, call, BS_ETIMEDOUT);
			/* done may have changed the list behind us. */
			if (next && !runs(r, next))
				return;
			continue;
		}
		if (BS_TIME_DIFF(now, next_step(call)) >= 0)
			call->state = CALL_SEND;
	}
}

/* The oldest call that may go out now. */
static struct bs_rpc_call *next_to_send(const struct bs_rpc_client *r)
{
	struct bs_rpc_call *c;
	uint8_t n = 0;

	for (c = r->head; c && n < r->max_outstanding; c = c->next) {
		if (c->state == CALL_WAITING || c->state == CALL_SEND)
			return c;
		n++;
	}
	return NULL;
}

static void sent(struct bs_rpc_call *call, const struct bs_conn *c, bs_time now)
{
	if (call->tries == 0)
		call->gap_ms = c->path >= BS_PATH_UDP_RELAY ? BS_RPC_RELAY_MS : BS_RPC_FIRST_MS;
	else if (call->gap_ms < BS_RPC_LAST_MS)
		call->gap_ms = (uint16_t)(call->gap_ms * 2u);
	if (call->tries < UINT8_MAX)
		call->tries++;
	call->state = CALL_SENT;
	call->sent = now;
	call->due = now + BS_TIME_MS(call->noticed ? BS_RPC_NOTICE_MS : call->gap_ms);
}

size_t bs_rpc_client_output(struct bs_rpc_client *r, struct bs_conn *c,
			    const struct bs_crypto *crypto, uint8_t *buf, size_t cap,
			    struct bs_endpoint *to, bs_time now)
{
	struct bs_rpc_call *call = next_to_send(r);
	struct bs_conn_send s = { 0 };
	uint8_t seed[2];
	bs_ssize len;

	if (!call || !bs_endpoint_is_set(&c->remote) || c->state == BS_CONN_CLOSING)
		return 0;
	if (!r->has_seq) {
		if (crypto->random(crypto->ctx, seed, sizeof(seed)))
			return 0;
		r->seq = bs_get_u16(seed);
		r->has_seq = true;
	}
	if (call->tries == 0)
		call->seq = ++r->seq;
	s.seq = call->seq;
	s.retrans = call->tries < RETRANS_MAX ? call->tries : RETRANS_MAX;
	if (cap > BS_PACKET_SMALL && !c->large)
		cap = BS_PACKET_SMALL;
	len = bs_conn_seal(c, crypto, &s, call->request, buf, cap);
	if (len == BS_ETOOBIG) {
		finish_empty(r, call, BS_ETOOBIG);
		return 0;
	}
	if (len <= 0) {
		/* Random numbers or crypto failed: the same packet is tried again after the gap. */
		call->state = CALL_SENT;
		call->due = now + BS_TIME_MS(BS_RPC_FIRST_MS);
		return 0;
	}
	sent(call, c, now);
	*to = c->remote;
	return (size_t)len;
}

bool bs_rpc_client_next_timeout(const struct bs_rpc_client *r, bs_time *at)
{
	const struct bs_rpc_call *c = r->head;
	bs_time t;

	if (!c)
		return false;
	*at = next_step(c);
	for (c = c->next; c; c = c->next) {
		t = next_step(c);
		if (BS_TIME_DIFF(t, *at) < 0)
			*at = t;
	}
	return true;
}
