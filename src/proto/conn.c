/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/conn.h"

#include <string.h>

#include "util/endpoint.h"
#include "wire/payload.h"

enum {
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
	bs__conn_forget_keys(c);
	bs_wipe(c, sizeof(*c));
}

void bs_conn_touch(struct bs_conn *c, bs_time now)
{
	if (c->state == BS_CONN_OPEN)
		c->expire = now + BS_TIME_MS(c->idle_ms);
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

/* What a build without plain connections says at compile time. */
static const struct bs_suite *suite_of(const struct bs_conn *c)
{
	return BS_WITH_LEGACY || BS_WITH_CONN_EXT ? c->suite : &bs_suite_aes_cbc;
}

/* A 16-bit sum says too little about a packet to call another one its repeat, and a suite that
 * counts its packets knows without. */
static bool has_mac(const struct bs_conn *c)
{
	return suite_of(c)->code == BS_SUITE_AES_CBC;
}

static bs_ssize seal(struct bs_conn *c, const struct bs_crypto *crypto, struct bs_writer *w,
		     struct bs_slice plain)
{
	struct bs_suite_gcm_state *gcm = bs__conn_gcm(c, crypto);

	if (gcm)
		return bs_suite_gcm_seal(crypto, &c->key, (enum bs_role)c->role, gcm, w, 0, plain);
	return suite_of(c)->seal(crypto, &c->key, (enum bs_role)c->role, w, 0, plain);
}

/* newest is left alone where the suite cannot say. */
static int open_in_place(struct bs_conn *c, const struct bs_crypto *crypto, uint8_t *pkt,
			 size_t len, size_t off, struct bs_slice *plain, bool *newest)
{
	struct bs_suite_gcm_state *gcm = bs__conn_gcm(c, crypto);

	if (gcm)
		return bs_suite_gcm_open(crypto, &c->key, (enum bs_role)c->role, gcm, pkt, len, off,
					 plain, newest);
	return suite_of(c)->open(crypto, &c->key, (enum bs_role)c->role, pkt, len, off, plain);
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

void bs_conn_hang_up(struct bs_conn *c, bs_time now)
{
	if (c->state == BS_CONN_OPEN)
		start_closing(c, now);
}

int bs_conn_framing(struct bs_conn *c, const struct bs_conn_data *d, const struct bs_endpoint *from,
		    bs_time now)
{
	uint32_t number;
	uint32_t cmd;

	if (d->plain.len < BS_FRAMING_LEN)
		return BS_ESHORT;
	cmd = bs_get_u32(d->plain.ptr);
	if (cmd == BS_FRAMING_KEEPALIVE) {
		if (d->plain.len < BS_FRAMING_KEEPALIVE_LEN)
			return BS_ESHORT;
		if (c->state != BS_CONN_OPEN)
			return BS_ESTATE;
		number = bs_get_u32(d->plain.ptr + BS_FRAMING_LEN);
		if (!c->has_number || (int32_t)(number - c->number) > 0) {
			c->number = number;
			c->has_number = true;
			bs_conn_move(c, from);
		}
		c->answer = BS_CONN_ANSWER_KEEPALIVE;
		c->answer_number = number;
		bs_conn_touch(c, now);
	} else if (cmd == BS_FRAMING_CLOSE || cmd == BS_FRAMING_CLOSE_OLD) {
		if (c->state != BS_CONN_CLOSING)
			start_closing(c, now);
		c->answer = BS_CONN_ANSWER_CLOSE;
	} else {
		return BS_EFIELD;
	}
	c->answer_to = *from;
	c->answer_seq = d->h.seq;
	c->answer_retrans = d->h.retrans;
	c->answer_flags = (uint8_t)(d->h.flags & (BS_FLAG_TAG | BS_FLAG_NSI_CO));
	return BS_OK;
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
	if (is_newer_request(c, &p->h))
		out->fresh = true;
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
	struct bs_slice plain;
	bool newest = false;
	size_t off;
	int err;

	if (!bs_conn_is_live(c) || p->h.type != BS_TYPE_DATA || p->h.nsi_sp != c->nsi_sp)
		return BS_EUNKNOWN;
	err = bs_payload_last(p, BS_PL_CRYPTO, &off);
	if (err)
		return err;
	/* Before the MAC is computed: a flood of repeats must cost little. */
	if (p->len - off > MAC_LEN && is_repeat(c, p))
		return BS_EREPLAY;
	err = open_in_place(c, crypto, pkt, p->len, off, &plain, &newest);
	if (err)
		return err;
	if (c->state == BS_CONN_CLOSING && p->h.tag != BS_TAG_FRAMING)
		return BS_ESTATE;
	out->h = p->h;
	out->plain = plain;
	/* The client's own rule for a move stands: a number says nothing about the path back. */
	out->fresh = newest && c->role == BS_RESPONDER;
	account(c, p, from, now, out);
	return BS_OK;
}

void bs_conn_begin(const struct bs_conn *c, const struct bs_conn_send *s, struct bs_writer *w,
		   uint8_t *buf, size_t cap)
{
	struct bs_header h = { 0 };

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
	bs_packet_begin(w, buf, cap, &h);
}

bs_ssize bs_conn_finish(struct bs_conn *c, const struct bs_crypto *crypto, struct bs_writer *w,
			struct bs_slice plain)
{
	bs_ssize len;

	if (!bs_conn_is_live(c))
		return BS_ESTATE;
	len = seal(c, crypto, w, plain);
	if (len > 0)
		bs_conn_count_tx(c, (size_t)len);
	return len;
}

bs_ssize bs_conn_seal(struct bs_conn *c, const struct bs_crypto *crypto,
		      const struct bs_conn_send *s, struct bs_slice plain, uint8_t *buf, size_t cap)
{
	struct bs_writer w;

	bs_conn_begin(c, s, &w, buf, cap);
	return bs_conn_finish(c, crypto, &w, plain);
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

void bs_conn_abort(struct bs_conn *c, enum bs_conn_end why)
{
	if (!bs_conn_is_live(c))
		return;
	if (c->end == BS_CONN_END_NONE)
		c->end = (uint8_t)why;
	c->state = BS_CONN_CLOSED;
	c->answer = BS_CONN_ANSWER_NONE;
}

bs_ssize bs_conn_seal_framing(struct bs_conn *c, const struct bs_crypto *crypto,
			      struct bs_conn_send *s, bool close, uint32_t number, uint8_t *buf,
			      size_t cap)
{
	uint8_t text[BS_FRAMING_KEEPALIVE_LEN];
	struct bs_slice plain;

	plain.ptr = text;
	plain.len = close ? BS_FRAMING_LEN : BS_FRAMING_KEEPALIVE_LEN;
	bs_put_u32(text, close ? BS_FRAMING_CLOSE : BS_FRAMING_KEEPALIVE);
	bs_put_u32(text + BS_FRAMING_LEN, number);
	s->tag = BS_TAG_FRAMING;
	return bs_conn_seal(c, crypto, s, plain, buf, cap);
}

void bs_conn_timeout(struct bs_conn *c, bs_time now)
{
	if (bs_conn_is_live(c) && BS_TIME_DIFF(now, c->expire) >= 0)
		bs_conn_abort(c, BS_CONN_END_SILENCE);
}

size_t bs_conn_output(struct bs_conn *c, const struct bs_crypto *crypto, uint8_t *buf, size_t cap,
		      struct bs_endpoint *to)
{
	struct bs_conn_send s;
	bs_ssize len;

	if (c->answer == BS_CONN_ANSWER_NONE)
		return 0;
	s.flags = (uint8_t)(c->answer_flags | BS_FLAG_RESPONSE);
	s.seq = c->answer_seq;
	s.retrans = c->answer_retrans;
	len = bs_conn_seal_framing(c, crypto, &s, c->answer == BS_CONN_ANSWER_CLOSE,
				   c->answer_number, buf, cap);
	/* Without random numbers the client's repeat brings the next answer. */
	c->answer = BS_CONN_ANSWER_NONE;
	*to = c->answer_to;
	return len > 0 ? (size_t)len : 0;
}

struct bs_slice bs_conn_client_id(const struct bs_conn *c)
{
	struct bs_slice s;

	s.ptr = c->client_id;
	s.len = c->client_id_len;
	return s;
}
