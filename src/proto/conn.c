/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/conn.h"

#include <string.h>

#include "util/endpoint.h"

/* Framing commands, and their shortest texts. */
enum {
	CMD_KEEPALIVE = 0,
	CMD_CLOSE_OLD = 2,
	CMD_CLOSE = 3,
	CMD_LEN = 4,
	KEEPALIVE_LEN = 8,
};

/* Framing packets that wait (bs_conn.answer). */
enum {
	ANSWER_NONE = 0,
	ANSWER_KEEPALIVE = 1,
	ANSWER_CLOSE = 2,
};

/* The client's pace: keep-alives in a burst before a pause, its patience with a close. */
enum {
	KEEPALIVE_BURST = 3,
	PROVE_MS = 500,
	CLOSE_REPEAT_MS = 100,
	CLOSE_GIVE_UP_MS = 600,
	MAC_LEN = 16,
};

void bs_conn_init(struct bs_conn *c, enum bs_role role, uint32_t nsi_sp,
		  const struct bs_key_block *key, const struct bs_suite *suite, bs_time now)
{
	memset(c, 0, sizeof(*c));
	c->role = (uint8_t)role;
	c->nsi_sp = nsi_sp;
	c->suite = suite;
	if (key)
		c->key = *key;
	c->state = BS_CONN_CONNECTING;
	c->born = now;
	c->expire = now + BS_TIME_MS(BS_CONN_FIRST_MS);
	c->keepalive = c->expire;
	c->idle_ms = BS_CONN_IDLE_MS;
}

void bs_conn_fini(struct bs_conn *c)
{
	bs_wipe(c, sizeof(*c));
}

/* The interval whose 3.5-fold is the idle limit. */
static bs_time keepalive_span(const struct bs_conn *c)
{
	return BS_TIME_MS((uint32_t)c->idle_ms * 2u / 7u);
}

void bs_conn_touch(struct bs_conn *c, bs_time now)
{
	if (c->state != BS_CONN_OPEN)
		return;
	c->expire = now + BS_TIME_MS(c->idle_ms);
	/* An authentic packet from the device proves that it heard the client lately. */
	if (c->role == BS_INITIATOR) {
		c->keepalive = now + keepalive_span(c);
		c->retries = 0;
	}
}

void bs_conn_move(struct bs_conn *c, const struct bs_endpoint *from)
{
	c->remote = *from;
}

void bs_conn_count_tx(struct bs_conn *c, size_t len)
{
	c->stats.tx_pkts++;
	c->stats.tx_bytes += (uint32_t)len;
}

/* The only CRYPTO payload, which must be the last one. */
static int find_crypto(const struct bs_packet *p, size_t *off)
{
	struct bs_payload pl;
	size_t at = 0;
	size_t start = 0;
	size_t n = 0;

	while (bs_payload_next(p, &at, &pl)) {
		if (pl.type != BS_PL_CRYPTO)
			continue;
		start = (size_t)(pl.data - p->bytes) - 4;
		n++;
	}
	if (n == 0)
		return BS_EMISSING;
	if (n > 1 || bs_get_u16(p->bytes + start + 2) != p->len - start)
		return BS_EPAYLOAD;
	*off = start;
	return BS_OK;
}

/* A 16-bit sum says too little about a packet to call another one its repeat. */
static bool has_mac(const struct bs_conn *c)
{
	return c->suite->code != BS_SUITE_NULL;
}

static bool is_repeat(const struct bs_conn *c, const struct bs_packet *p)
{
	uint8_t i;

	if (!has_mac(c))
		return false;
	for (i = 0; i < c->seen_n; i++) {
		/* MACs of packets on the wire are no secrets. */
		if (memcmp(c->seen[i], p->bytes + p->len - MAC_LEN, BS_REPLAY_TAG) == 0)
			return true;
	}
	return false;
}

static void remember(struct bs_conn *c, const struct bs_packet *p)
{
	if (!has_mac(c))
		return;
	memcpy(c->seen[c->seen_next], p->bytes + p->len - MAC_LEN, BS_REPLAY_TAG);
	c->seen_next = (uint8_t)((c->seen_next + 1u) % BS_REPLAY_SLOTS);
	if (c->seen_n < BS_REPLAY_SLOTS)
		c->seen_n++;
}

/* Only the number of a keep-alive or the seq of a request shows that a packet is new. */
static bool is_newer_request(struct bs_conn *c, const struct bs_header *h)
{
	if (c->role != BS_RESPONDER || h->tag != BS_TAG_RPC)
		return false;
	if (c->has_seq && (int16_t)(uint16_t)(h->seq - c->rpc_seq) <= 0)
		return false;
	c->rpc_seq = h->seq;
	c->has_seq = true;
	return true;
}

static void start_closing(struct bs_conn *c, bs_time now)
{
	uint32_t linger = c->idle_ms < BS_CONN_LINGER_MS ? c->idle_ms : BS_CONN_LINGER_MS;

	c->state = BS_CONN_CLOSING;
	c->end = BS_CONN_END_REMOTE;
	c->expire = now + BS_TIME_MS(linger);
}

/* Framing as the device sees it. */
static int framing_request(struct bs_conn *c, const struct bs_conn_data *d,
			   const struct bs_endpoint *from, bs_time now)
{
	uint32_t cmd = bs_get_u32(d->plain.ptr);
	uint32_t number;

	if (cmd == CMD_KEEPALIVE) {
		if (d->plain.len < KEEPALIVE_LEN)
			return BS_ESHORT;
		if (c->state != BS_CONN_OPEN)
			return BS_ESTATE;
		number = bs_get_u32(d->plain.ptr + CMD_LEN);
		if (!c->has_number || (int32_t)(number - c->number) > 0) {
			c->number = number;
			c->has_number = true;
			bs_conn_move(c, from);
		}
		c->answer = ANSWER_KEEPALIVE;
		c->answer_number = number;
		bs_conn_touch(c, now);
	} else if (cmd == CMD_CLOSE || cmd == CMD_CLOSE_OLD) {
		if (c->state != BS_CONN_CLOSING)
			start_closing(c, now);
		c->answer = ANSWER_CLOSE;
	} else {
		return BS_EFIELD;
	}
	c->answer_to = *from;
	c->answer_seq = d->h.seq;
	c->answer_retrans = d->h.retrans;
	c->answer_flags = (uint8_t)(d->h.flags & (BS_FLAG_TAG | BS_FLAG_NSI_CO));
	return BS_EAGAIN;
}

/* Framing as the client sees it: echoes of its keep-alives, the answer to its close. */
static int framing_answer(struct bs_conn *c, const struct bs_conn_data *d,
			  const struct bs_endpoint *from, bs_time now)
{
	uint32_t cmd = bs_get_u32(d->plain.ptr);
	uint32_t number;

	if (!(d->h.flags & BS_FLAG_RESPONSE))
		return BS_ETYPE;
	if (cmd == CMD_CLOSE || cmd == CMD_CLOSE_OLD) {
		if (c->end == BS_CONN_END_NONE)
			c->end = BS_CONN_END_REMOTE;
		c->state = BS_CONN_CLOSED;
		return BS_EAGAIN;
	}
	if (cmd != CMD_KEEPALIVE)
		return BS_EFIELD;
	if (d->plain.len < KEEPALIVE_LEN)
		return BS_ESHORT;
	number = bs_get_u32(d->plain.ptr + CMD_LEN);
	if ((int32_t)(number - c->answer_number) <= 0 || (int32_t)(c->number - number) < 0)
		return BS_EREPLAY;
	c->answer_number = number;
	if (number == c->number) {
		int32_t ms = BS_TIME_DIFF_MS(BS_TIME_DIFF(now, c->sent));

		c->rtt_ms = ms < 1 ? 1 : ms > UINT16_MAX ? UINT16_MAX : (uint16_t)ms;
	}
	bs_conn_move(c, from);
	bs_conn_touch(c, now);
	return BS_EAGAIN;
}

static void account(struct bs_conn *c, const struct bs_packet *p, const struct bs_endpoint *from,
		    bs_time now, struct bs_conn_data *out)
{
	remember(c, p);
	c->stats.rx_pkts++;
	c->stats.rx_bytes += (uint32_t)out->plain.len;
	if (p->len > BS_PACKET_SAFE)
		c->large = true;
	if (c->role == BS_RESPONDER) {
		c->nsi_cp = p->h.nsi_cp;
		if (p->h.flags & BS_FLAG_NSI_CO)
			memcpy(c->nsi_co, p->h.nsi_co, sizeof(c->nsi_co));
	}
	out->fresh = is_newer_request(c, &p->h);
	out->first = c->state == BS_CONN_CONNECTING;
	if (out->first) {
		c->state = BS_CONN_OPEN;
		out->fresh = true;
		bs_conn_touch(c, now);
	}
	if (out->fresh)
		bs_conn_move(c, from);
}

int bs_conn_open(struct bs_conn *c, const struct bs_crypto *crypto, const struct bs_packet *p,
		 uint8_t *pkt, const struct bs_endpoint *from, bs_time now,
		 struct bs_conn_data *out)
{
	struct bs_conn_data d;
	size_t off;
	int err;

	if (!bs_conn_is_live(c) || p->h.type != BS_TYPE_DATA || p->h.nsi_sp != c->nsi_sp)
		return BS_EUNKNOWN;
	err = find_crypto(p, &off);
	if (err)
		return err;
	/* Before the MAC is computed: a flood of repeats must cost little. */
	if (p->len - off > MAC_LEN && is_repeat(c, p))
		return BS_EREPLAY;
	err = c->suite->open(crypto, &c->key, (enum bs_role)c->role, pkt, p->len, off, &d.plain);
	if (err)
		return err;
	d.h = p->h;
	if (c->state == BS_CONN_CLOSING && d.h.tag != BS_TAG_FRAMING)
		return BS_ESTATE;
	account(c, p, from, now, &d);
	*out = d;
	if (d.h.tag != BS_TAG_FRAMING)
		return BS_OK;
	if (d.plain.len < CMD_LEN)
		return BS_ESHORT;
	return c->role == BS_RESPONDER ? framing_request(c, &d, from, now)
				       : framing_answer(c, &d, from, now);
}

bs_ssize bs_conn_seal(struct bs_conn *c, const struct bs_crypto *crypto,
		      const struct bs_conn_send *s, struct bs_slice plain, uint8_t *buf, size_t cap)
{
	struct bs_header h = { 0 };
	struct bs_writer w;
	bs_ssize len;

	if (!bs_conn_is_live(c))
		return BS_ESTATE;
	h.nsi_cp = c->nsi_cp;
	h.nsi_sp = c->nsi_sp;
	h.type = BS_TYPE_DATA;
	h.retrans = s->retrans;
	h.flags = s->flags;
	if (s->tag)
		h.flags |= BS_FLAG_TAG;
	h.seq = s->seq;
	h.tag = s->tag;
	memcpy(h.nsi_co, c->nsi_co, sizeof(h.nsi_co));
	bs_packet_begin(&w, buf, cap, &h);
	len = c->suite->seal(crypto, &c->key, (enum bs_role)c->role, &w, 0, plain);
	if (len > 0)
		bs_conn_count_tx(c, (size_t)len);
	return len;
}

void bs_conn_set_interval(struct bs_conn *c, uint32_t interval_ms, bs_time now)
{
	if (interval_ms == 0)
		interval_ms = BS_CONN_KEEPALIVE_MS;
	/* The limit has 16 bits on the devices of others, so no client may ask for more. */
	if (interval_ms > BS_CONN_INTERVAL_MAX_MS)
		interval_ms = BS_CONN_INTERVAL_MAX_MS;
	c->idle_ms = (uint16_t)(interval_ms * 7u / 2u);
	if (c->state == BS_CONN_CONNECTING || c->state == BS_CONN_OPEN)
		c->expire = now + BS_TIME_MS(c->idle_ms);
}

void bs_conn_set_path(struct bs_conn *c, const struct bs_endpoint *remote, enum bs_conn_path path,
		      bs_time now)
{
	c->remote = *remote;
	c->path = (uint8_t)path;
	c->retries = 0;
	c->keepalive = now;
}

void bs_conn_close(struct bs_conn *c, bs_time now)
{
	if (c->state != BS_CONN_CONNECTING && c->state != BS_CONN_OPEN)
		return;
	c->end = BS_CONN_END_LOCAL;
	if (!bs_endpoint_is_set(&c->remote)) {
		c->state = BS_CONN_CLOSED;
		return;
	}
	c->state = BS_CONN_CLOSING;
	c->answer = ANSWER_CLOSE;
	c->retries = 0;
	c->keepalive = now + BS_TIME_MS(CLOSE_REPEAT_MS);
	c->expire = now + BS_TIME_MS(CLOSE_GIVE_UP_MS);
}

void bs_conn_abort(struct bs_conn *c, enum bs_conn_end why)
{
	if (!bs_conn_is_live(c))
		return;
	if (c->end == BS_CONN_END_NONE)
		c->end = (uint8_t)why;
	c->state = BS_CONN_CLOSED;
	c->answer = ANSWER_NONE;
}

/* A burst of keep-alives a second apart, then a pause of one interval. */
static void client_keepalive(struct bs_conn *c, bs_time now)
{
	c->answer = ANSWER_KEEPALIVE;
	c->number++;
	c->retries++;
	if (c->state == BS_CONN_CONNECTING) {
		/* The path is not proven yet: somebody waits for it. */
		c->keepalive = now + BS_TIME_MS(PROVE_MS);
	} else if (c->retries < KEEPALIVE_BURST) {
		c->keepalive = now + BS_TIME_MS(BS_CONN_KEEPALIVE_RETRY_MS);
	} else {
		c->retries = 0;
		c->keepalive = now + keepalive_span(c);
	}
}

static bool client_timer_runs(const struct bs_conn *c)
{
	return c->role == BS_INITIATOR && bs_endpoint_is_set(&c->remote) &&
	       (c->state != BS_CONN_CLOSING || c->retries == 0);
}

void bs_conn_timeout(struct bs_conn *c, bs_time now)
{
	if (!bs_conn_is_live(c))
		return;
	if (BS_TIME_DIFF(now, c->expire) >= 0) {
		bs_conn_abort(c, BS_CONN_END_SILENCE);
		return;
	}
	if (!client_timer_runs(c) || BS_TIME_DIFF(now, c->keepalive) < 0)
		return;
	if (c->state == BS_CONN_CLOSING) {
		c->answer = ANSWER_CLOSE;
		c->retries = 1;
	} else {
		client_keepalive(c, now);
	}
}

size_t bs_conn_output(struct bs_conn *c, const struct bs_crypto *crypto, uint8_t *buf, size_t cap,
		      struct bs_endpoint *to, bs_time now)
{
	struct bs_conn_send s = { 0 };
	struct bs_slice plain;
	uint8_t text[KEEPALIVE_LEN];
	bs_ssize len;

	if (c->answer == ANSWER_NONE || !bs_conn_is_live(c))
		return 0;
	plain.ptr = text;
	plain.len = CMD_LEN;
	s.tag = BS_TAG_FRAMING;
	if (c->role == BS_RESPONDER) {
		s.flags = (uint8_t)(c->answer_flags | BS_FLAG_RESPONSE);
		s.seq = c->answer_seq;
		s.retrans = c->answer_retrans;
	}
	if (c->answer == ANSWER_CLOSE) {
		bs_put_u32(text, CMD_CLOSE);
	} else {
		bs_put_u32(text, CMD_KEEPALIVE);
		bs_put_u32(text + CMD_LEN, c->role == BS_RESPONDER ? c->answer_number : c->number);
		plain.len = KEEPALIVE_LEN;
	}
	len = bs_conn_seal(c, crypto, &s, plain, buf, cap);
	if (len <= 0)
		return 0;
	c->answer = ANSWER_NONE;
	c->sent = now;
	*to = c->role == BS_RESPONDER ? c->answer_to : c->remote;
	return (size_t)len;
}

bool bs_conn_next_timeout(const struct bs_conn *c, bs_time *at)
{
	if (!bs_conn_is_live(c))
		return false;
	*at = c->expire;
	if (client_timer_runs(c) && BS_TIME_DIFF(c->keepalive, c->expire) < 0)
		*at = c->keepalive;
	return true;
}

struct bs_slice bs_conn_client_id(const struct bs_conn *c)
{
	struct bs_slice s;

	s.ptr = c->client_id;
	s.len = c->client_id_len;
	return s;
}
