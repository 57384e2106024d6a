/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rpc_device.h"

#include <string.h>

/* Packets that wait (bs_rpc_device.pending); the notice goes first. */
enum {
	PENDING_NOTICE = 0x01,
	PENDING_REPLY = 0x02,
};

enum {
	QUERY_LEN = 4,
	CODE_LEN = 4,
	COUNT_LEN = 2,
};

void bs_rpc_device_init(struct bs_rpc_device *r, struct bs_rpc_slot *slots, size_t n_slots)
{
	memset(r, 0, sizeof(*r));
	memset(slots, 0, n_slots * sizeof(*slots));
	r->slots = slots;
	r->n_slots = (uint8_t)n_slots;
}

/* FNV-1a: the content is authentic, so this only has to tell a client's own requests apart. */
static uint32_t digest(struct bs_slice s)
{
	uint32_t h = UINT32_C(2166136261);
	size_t i;

	for (i = 0; i < s.len; i++)
		h = (h ^ s.ptr[i]) * UINT32_C(16777619);
	return h;
}

static bool id_equal(const struct bs_rpc_id *a, const struct bs_rpc_id *b)
{
	return a->nsi == b->nsi && a->seq == b->seq && a->digest == b->digest;
}

/* Clients that did not declare notices get exceptions only where the framework itself refuses. */
static bool is_silent(const struct bs_rpc_slot *s, const struct bs_conn *c)
{
	return s->exception && !s->forced && !c->async;
}

static void want(struct bs_rpc_device *r, struct bs_conn *c, struct bs_rpc_slot *s,
		 const struct bs_endpoint *to, uint8_t pending)
{
	r->conn = c;
	r->slot = s;
	r->id = &s->id;
	r->to = *to;
	r->pending = pending;
}

static void set_exception(struct bs_rpc_slot *s, uint32_t code)
{
	s->exception = true;
	s->forced = code == BS_RPC_REQUEST_LONG || code == BS_RPC_NO_QUERY;
	s->len = CODE_LEN;
	bs_put_u32(s->reply, code);
}

/* What became of a request. */
enum result {
	ANSWERED,
	DEFERRED,
	REJECTED, /* answered without a notice: not accepted, or a copy */
};

/* Ask the application. */
static enum result run(struct bs_rpc_device *r, const struct bs_device_conf *conf,
		       struct bs_conn *c, struct bs_slice plain, struct bs_rpc_slot *s)
{
	struct bs_rpc_request req;
	enum result result = ANSWERED;
	int code = BS_RPC_UNKNOWN_QUERY;

	memset(&req, 0, sizeof(req));
	bs_cursor_init(&req.args, plain.ptr, plain.len);
	req.query = bs_cursor_read_u32(&req.args);
	bs_writer_init(&req.reply, s->reply, sizeof(s->reply));
	req.conn = c;
	if (!r->token) {
		r->last_token++;
		r->last_token += r->last_token == 0;
		req.token = r->last_token;
	}
	if (conf->ops->rpc)
		code = conf->ops->rpc(conf->app, &req);
	if (code == BS_RPC_DEFERRED && req.token) {
		r->token = req.token;
		r->deferred = s->id;
		r->deferred_slot = (uint8_t)(s - r->slots);
		memset(&s->id, 0, sizeof(s->id));
		return DEFERRED;
	}
	if (code < 0) {
		code = BS_RPC_DEVICE_ERROR;
		result = REJECTED;
	} else if (code == 0 && req.args.bad) {
		code = BS_RPC_REQUEST_SHORT;
	} else if (code == 0 && req.reply.bad) {
		code = BS_RPC_REPLY_LONG;
	}
	s->len = (uint16_t)req.reply.len;
	if (code)
		set_exception(s, (uint32_t)code);
	return result;
}

static uint16_t short_digest(const struct bs_rpc_id *id)
{
	uint16_t d = (uint16_t)(id->digest ^ id->digest >> 16);

	return d ? d : 1;
}

/* A copy may arrive after the client has gone on to other requests, which took the slot. */
static bool was_done(const struct bs_conn *c, const struct bs_rpc_id *id)
{
	uint8_t i;

	for (i = 0; i < BS_RPC_DONE; i++) {
		if (c->done[i].seq == id->seq && c->done[i].digest == short_digest(id))
			return true;
	}
	return false;
}

static void remember(struct bs_conn *c, const struct bs_rpc_id *id)
{
	c->done[c->done_next].seq = id->seq;
	c->done[c->done_next].digest = short_digest(id);
	c->done_next = (uint8_t)((c->done_next + 1u) % BS_RPC_DONE);
}

/* A request that is no copy: refuse it, or let the application answer. */
static enum result take(struct bs_rpc_device *r, const struct bs_device_conf *conf,
			struct bs_conn *c, struct bs_slice plain, const struct bs_rpc_id *id,
			struct bs_rpc_slot *s)
{
	remember(c, id);
	memset(s, 0, offsetof(struct bs_rpc_slot, reply));
	s->id = *id;
	if (plain.len >= QUERY_LEN && plain.len <= BS_RPC_REQUEST_MAX)
		return run(r, conf, c, plain, s);
	set_exception(s, plain.len < QUERY_LEN ? BS_RPC_NO_QUERY : BS_RPC_REQUEST_LONG);
	return REJECTED;
}

int bs_rpc_device_input(struct bs_rpc_device *r, const struct bs_device_conf *conf,
			struct bs_conn *c, size_t index, const struct bs_conn_data *d,
			const struct bs_endpoint *from)
{
	uint8_t pending = c->async ? PENDING_NOTICE : 0;
	enum result result = DEFERRED;
	struct bs_rpc_slot *s;
	struct bs_rpc_id id;

	if (d->h.flags & (BS_FLAG_RESPONSE | BS_FLAG_EXCEPTION))
		return BS_ETYPE;
	/* An answer that was not fetched yet would be lost, and with it "at most once". */
	if (r->pending)
		return BS_EFULL;
	while (index >= r->n_slots)
		index -= r->n_slots;
	s = &r->slots[index];
	id.nsi = c->nsi_sp;
	id.digest = digest(d->plain);
	id.seq = d->h.seq;
	id.retrans = d->h.retrans;
	id.flags = (uint8_t)(d->h.flags & (BS_FLAG_TAG | BS_FLAG_NSI_CO));
	/* A copy of the deferred request gets a notice, a copy of an answered one its answer. */
	if (id_equal(&s->id, &id)) {
		result = REJECTED;
	} else if (!r->token || !id_equal(&r->deferred, &id)) {
		if (was_done(c, &id))
			return BS_EREPLAY;
		result = take(r, conf, c, d->plain, &id, s);
	}
	if (result == REJECTED)
		pending = 0;
	if (result != DEFERRED && !is_silent(s, c))
		pending |= PENDING_REPLY;
	want(r, c, s, from, pending);
	if (result == DEFERRED)
		r->id = &r->deferred;
	/* A copy has a header of its own. */
	r->id->retrans = id.retrans;
	r->id->flags = id.flags;
	return BS_OK;
}

/* "Working on it": clear, and so a hint only. */
static bs_ssize put_notice(struct bs_rpc_device *r, uint8_t *buf, size_t cap)
{
	struct bs_header h = { 0 };
	struct bs_writer w;
	uint8_t *p;
	bs_ssize len;

	h.nsi_cp = r->conn->nsi_cp;
	h.nsi_sp = r->conn->nsi_sp;
	h.type = BS_TYPE_DATA;
	h.retrans = r->id->retrans;
	h.flags = (uint8_t)(r->id->flags | BS_FLAG_RESPONSE);
	h.seq = r->id->seq;
	memcpy(h.nsi_co, r->conn->nsi_co, sizeof(h.nsi_co));
	bs_packet_begin(&w, buf, cap, &h);
	p = bs_packet_add_reserve(&w, BS_PL_NOTIFY, 0, CODE_LEN);
	if (p)
		bs_put_u32(p, BS_ST_PENDING);
	len = bs_packet_finish(&w);
	if (len > 0)
		bs_conn_count_tx(r->conn, (size_t)len);
	return len;
}

static bs_ssize put_reply(struct bs_rpc_device *r, const struct bs_crypto *crypto, uint8_t *buf,
			  size_t cap)
{
	struct bs_conn_send send = { 0 };
	struct bs_slice plain;

	send.seq = r->id->seq;
	send.retrans = r->id->retrans;
	send.flags = (uint8_t)(r->id->flags | BS_FLAG_RESPONSE |
			       (r->slot->exception ? BS_FLAG_EXCEPTION : 0));
	plain.ptr = r->slot->reply;
	plain.len = r->slot->len;
	return bs_conn_seal(r->conn, crypto, &send, plain, buf, cap);
}

size_t bs_rpc_device_output(struct bs_rpc_device *r, const struct bs_crypto *crypto, uint8_t *buf,
			    size_t cap, struct bs_endpoint *to)
{
	uint8_t bit = r->pending & PENDING_NOTICE ? PENDING_NOTICE : PENDING_REPLY;
	bs_ssize len;

	if (!r->pending)
		return 0;
	*to = r->to;
	len = bit == PENDING_NOTICE ? put_notice(r, buf, cap) : put_reply(r, crypto, buf, cap);
	/* Without random numbers the client's next copy brings the kept reply out. */
	r->pending &= (uint8_t)~bit;
	return len > 0 ? (size_t)len : 0;
}

void bs_rpc_device_drop(struct bs_rpc_device *r, const struct bs_conn *c)
{
	uint8_t i;

	if (r->conn == c)
		r->pending = 0;
	if (r->token && r->deferred.nsi == c->nsi_sp)
		r->token = 0;
	for (i = 0; i < r->n_slots; i++) {
		if (r->slots[i].id.nsi == c->nsi_sp)
			bs_wipe(&r->slots[i], sizeof(r->slots[i]));
	}
}

int bs_rpc_device_answer(struct bs_rpc_device *r, struct bs_conn *c, uint32_t token, uint32_t code,
			 struct bs_slice reply)
{
	struct bs_rpc_slot *s = &r->slots[r->deferred_slot];

	if (!token || token != r->token || !c)
		return BS_ENOENT;
	if (r->pending)
		return BS_EAGAIN;
	if (reply.len > BS_RPC_REPLY_MAX)
		code = BS_RPC_REPLY_LONG;
	memset(s, 0, offsetof(struct bs_rpc_slot, reply));
	s->id = r->deferred;
	r->token = 0;
	if (code) {
		set_exception(s, code);
	} else {
		s->len = (uint16_t)reply.len;
		if (reply.len)
			memcpy(s->reply, reply.ptr, reply.len);
	}
	want(r, c, s, &c->remote, is_silent(s, c) ? 0 : PENDING_REPLY);
	return BS_OK;
}

struct bs_slice bs_rpc_read_raw(struct bs_cursor *c)
{
	struct bs_slice s;

	s.len = bs_cursor_read_u16(c);
	s.ptr = bs_cursor_read_bytes(c, s.len);
	if (!s.ptr)
		s.len = 0;
	return s;
}

void bs_rpc_write_raw(struct bs_writer *w, struct bs_slice raw)
{
	if (raw.len > UINT16_MAX) {
		w->bad = true;
		return;
	}
	bs_writer_put_u16(w, (uint16_t)raw.len);
	bs_writer_put_bytes(w, raw.ptr, raw.len);
}

size_t bs_rpc_list_begin(struct bs_writer *w)
{
	size_t mark = w->len;

	bs_writer_put_u16(w, 0);
	return mark;
}

void bs_rpc_list_end(struct bs_writer *w, size_t mark, uint16_t n)
{
	if (!w->bad && w->len >= COUNT_LEN && mark <= w->len - COUNT_LEN)
		bs_put_u16(w->buf + mark, n);
}
