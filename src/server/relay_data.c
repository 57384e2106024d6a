/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay_data.c - the path of a relayed packet.
 *
 * Towards a device goes only what a device can take: a DATA packet whose header and payload list
 * are well formed.  Towards a client type and length are enough: stock devices send one odd list,
 * and a client drops what its key does not open.
 *
 * DATA has no freshness of its own, so whoever recorded a packet could make the relay carry it
 * again.  A real retransmission has a new IV and so another MAC: a sealed packet whose hash is
 * among those of the last ones is an exact repeat and goes nowhere.  The hashes lie in one table
 * for all connections of the worker, each in the one place that its own bits name; a newer one
 * takes it.
 */
#include <string.h>

#include "server/relay.h"
#include "util/endpoint.h"

enum {
	REPEAT_SLOTS = 65536,
	PATH_UDP_RELAY = 3, /* CONNECTION_INFO's number */
	TAIL = 32,          /* the MAC and the last block, or tag, of a sealed packet */
	SEALED_MIN = BS_HEADER_MIN + TAIL,
};

#define MIX UINT64_C(0x9E3779B97F4A7C15)

static uint64_t load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint64_t fold(uint64_t h, uint64_t v)
{
	h = (h ^ v) * MIX;
	return h ^ h >> 29;
}

static uint64_t hash_bytes(uint64_t h, const uint8_t *p, size_t len)
{
	for (; len > 0; p += sizeof(h), len -= sizeof(h))
		h = fold(h, load(p));
	return h;
}

/* Two sealed packets with one header, one length and one MAC are one packet, unless one of them is
 * forged, and then it is no loss. */
static uint64_t hash_packet(const struct bs_relay_hub *h, enum bs_relay_dir dir,
			    const uint8_t *data, size_t len)
{
	uint64_t v = hash_bytes(h->repeat_key[dir] ^ len, data, BS_HEADER_MIN);

	return hash_bytes(v, data + len - TAIL, TAIL);
}

/* Without a key a true retransmission looks like its original, and so do two notices of a device
 * that works on it.  What anybody can forge gains nothing from a filter. */
static bool is_sealed(const struct bs_relay *y, const struct bs_packet *p)
{
	return !y->plain && p->len >= SEALED_MIN && p->len >= p->list_off + sizeof(uint32_t) &&
	       p->bytes[p->list_off] == BS_PL_CRYPTO;
}

/* The number of the connection is in the header, so one table serves all. */
static bool is_repeat(struct bs_relay_hub *h, uint64_t hash)
{
	uint64_t *slot = &h->repeats[hash >> 48 & (REPEAT_SLOTS - 1)];
	bool same = *slot == hash;

	*slot = hash;
	return same;
}

static void transmit(struct bs_roles *r, struct bs_relay *y, enum bs_relay_dir dir,
		     const uint8_t *data, size_t len)
{
	const struct bs_device_hot *hot = &r->slab.hot[y->device];
	struct bs_counters *c = r->w->counters;

	if (dir == BS_RELAY_UP) {
		bs__send(r, hot->local, &hot->peer, data, len);
		bs_count(c, BS_C_relay_udp_up);
		bs_count_add(c, BS_C_relay_udp_up_bytes, len);
	} else {
		bs__send(r, y->leg_local, &y->leg, data, len);
		bs_count(c, BS_C_relay_udp_down);
		bs_count_add(c, BS_C_relay_udp_down_bytes, len);
	}
	if (!y->carried) {
		const struct bs_conn_record *conn = bs_pool_get(&r->conns, y->conn);

		y->carried = true;
		bs__attempt_path(r, conn, BS_STEP_RELAY_DATA, PATH_UDP_RELAY);
	}
}

/* ---- those that wait */

static void give_packet(struct bs_relay_hub *h, uint32_t i)
{
	h->packets[i].next = h->free_packet;
	h->free_packet = i;
	h->packets_left++;
}

static uint32_t unqueue(struct bs_relay_hub *h, struct bs_relay_queue *q)
{
	uint32_t i = q->first;

	q->first = h->packets[i].next;
	q->n--;
	return i;
}

/* A queue may be as long as there is room left: one alone may have half of all, and those that come
 * later still find some, without a share having to be set. */
static void enqueue(struct bs_roles *r, struct bs_relay_queue *q, const uint8_t *data, size_t len)
{
	struct bs_relay_hub *h = r->relay;
	uint32_t i = h->free_packet;
	struct bs_relay_packet *p;

	if (i == BS_RELAY_NO_PACKET || q->n >= h->packets_left) {
		bs_count(r->w->counters, BS_C_relay_queue_full);
		return;
	}
	bs_count(r->w->counters, BS_C_relay_delayed);
	p = &h->packets[i];
	h->free_packet = p->next;
	h->packets_left--;
	p->next = BS_RELAY_NO_PACKET;
	p->len = (uint16_t)len;
	memcpy(p->data, data, len);
	if (q->n == 0)
		q->first = i;
	else
		h->packets[q->last].next = i;
	q->last = i;
	q->n++;
}

void bs__relay_drain(struct bs_relay_hub *h, struct bs_relay *y)
{
	for (int d = 0; d < 2; d++)
		while (y->queue[d].n > 0)
			give_packet(h, unqueue(h, &y->queue[d]));
}

bool bs__relay_resume(void *ctx, struct bs_relay_flow *f, enum bs_relay_dir dir)
{
	struct bs_relay *y = ctx;
	struct bs_roles *r = y->roles;
	struct bs_relay_hub *h = r->relay;
	struct bs_relay_queue *q = &y->queue[dir];

	while (q->n > 0) {
		struct bs_relay_packet *p = &h->packets[q->first];

		if (bs_relay_account(h->limit, f, dir, p->len, r->now_ms) != BS_RELAY_PASS)
			return true;
		transmit(r, y, dir, p->data, p->len);
		give_packet(h, unqueue(h, q));
	}
	return false;
}

/* ---- one packet */

static void forward(struct bs_roles *r, struct bs_relay *y, enum bs_relay_dir dir,
		    const struct bs_packet *p)
{
	struct bs_relay_hub *h = r->relay;
	const uint8_t *data = p->bytes;
	size_t len = p->len;

	if (is_sealed(y, p) && is_repeat(h, hash_packet(h, dir, data, len)))
		bs_count(r->w->counters, BS_C_relay_repeat);
	else if (bs_relay_account(h->limit, &y->flow, dir, len, r->now_ms) == BS_RELAY_PASS)
		transmit(r, y, dir, data, len);
	else
		enqueue(r, &y->queue[dir], data, len);
}

static struct bs_relay *find(struct bs_roles *r, uint32_t nsi)
{
	uint32_t i;

	if (bs_nsi_table_get(&r->nsi, nsi, &i) != BS_NSI_CONN)
		return NULL;
	return bs__relay_of(r, i);
}

void bs__relay_data(struct bs_roles *r, const uint8_t *data, size_t len,
		    const struct bs_endpoint *peer)
{
	struct bs_packet p;
	struct bs_relay *y;
	int err = len > BS_PACKET_MAX ? BS_ELENGTH : bs_packet_decode_header(data, len, &p);

	if (err) {
		bs__drop(r, err);
		return;
	}
	y = find(r, p.h.nsi_sp);
	if (!y) {
		bs__drop(r, BS_EUNKNOWN);
	} else if (bs_endpoint_equal(peer, &r->slab.hot[y->device].peer)) {
		if (y->flow.open)
			forward(r, y, BS_RELAY_DOWN, &p);
		else
			bs_count(r->w->counters, BS_C_relay_no_leg);
	} else if (y->flow.open && bs_endpoint_equal(peer, &y->leg)) {
		err = bs_payload_list_check(data + p.list_off, len - p.list_off);
		if (err)
			bs__drop(r, err);
		else
			forward(r, y, BS_RELAY_UP, &p);
	} else {
		bs_count(r->w->counters, BS_C_relay_source);
	}
}
