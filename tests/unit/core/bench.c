/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include "wire/attach.h"
#include "wire/connect.h"
#include "wire/invite.h"

static uint16_t on_access(void *app, const struct bs_access *who)
{
	struct bench *b = app;

	b->asked++;
	b->who = *who;
	return b->access;
}

static int on_rpc(void *app, struct bs_rpc_request *req)
{
	struct bench *b = app;

	b->rpc_calls++;
	b->rpc_query = req->query;
	b->rpc_token = req->token;
	bs_writer_put_bytes(&req->reply, b->rpc_reply.ptr, b->rpc_reply.len);
	return b->rpc_code;
}

static void on_connection(void *app, const struct bs_conn *conn, bool open)
{
	struct bench *b = app;

	ck_assert_uint_ne(conn->nsi_sp, 0);
	if (open)
		b->opened++;
	else
		b->closed++;
}

static size_t on_events(void *app, bool again, uint8_t *buf, size_t cap)
{
	struct bench *b = app;

	if (again)
		b->events_again++;
	else
		b->events_new++;
	ck_assert_uint_le(b->event_data.len, cap);
	if (b->event_data.len)
		memcpy(buf, b->event_data.ptr, b->event_data.len);
	return b->event_data.len;
}

static void on_time(void *app, uint32_t unix_s)
{
	struct bench *b = app;

	b->unix_s = unix_s;
}

static size_t on_candidates(void *app, struct bs_endpoint *out, size_t cap)
{
	struct bench *b = app;
	size_t i;

	for (i = 0; i < b->n_host && i < cap; i++)
		out[i] = b->host[i];
	return i;
}

static int on_extra(void *ctx, const struct bs_packet *p, const struct bs_endpoint *from,
		    bs_time now)
{
	struct bench *b = ctx;

	return bs_push_input(&b->push, &b->d.attach, p, from, now);
}

struct bs_endpoint bench_local(uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x7F000001, port);
	return ep;
}

void bench_init(struct bench *b, const char *id, const uint8_t *psk)
{
	memset(b, 0, sizeof(*b));
	b->ops.access = on_access;
	b->ops.rpc = on_rpc;
	b->ops.connection = on_connection;
	b->ops.events = on_events;
	b->ops.server_time = on_time;
	b->ops.candidates = on_candidates;
	if (psk)
		memcpy(b->psk, psk, sizeof(b->psk));
	b->conf.id = bs_test_text(id);
	b->conf.psk = b->psk;
	b->conf.major = 4;
	b->conf.minor = 6;
	b->conf.label = bs_test_text("-alpha.0");
	b->conf.ops = &b->ops;
	b->conf.app = b;
	b->now = BENCH_START;
	b->cap = BS_PACKET_SMALL;
	b->n_ctrl = 1;
	b->ctrl[0] = bench_local(BENCH_CTRL);
	b->access = BS_ST_OK;
	bs_small_crypto_init(&b->crypto, bs_test_rng_fill, &b->rng);
}

void bench_start(struct bench *b)
{
	struct bs_endpoint local;

	ck_assert_int_eq(bs_device_init(&b->d, &b->conf, &b->crypto, b->conns, BENCH_CONNS,
					b->slots, BENCH_CONNS),
			 BS_OK);
	b->d.extra = on_extra;
	b->d.extra_ctx = b;
	bs_endpoint_set_ip4(&local, 0, BENCH_DEV);
	bs_device_set_local(&b->d, &local);
	bs_device_start(&b->d, b->now);
	bench_drain(b);
}

void bench_fini(struct bench *b)
{
	bs_device_fini(&b->d);
}

static size_t next_output(struct bench *b, struct bench_packet *p)
{
	uint8_t *buf = malloc(b->cap);
	size_t len;

	ck_assert_ptr_nonnull(buf);
	len = bs_device_output(&b->d, buf, b->cap, &p->to, b->now);
	if (!len)
		len = bs_push_output(&b->push, &b->d.attach, buf, b->cap, &p->to, b->now);
	ck_assert_uint_le(len, b->cap);
	memcpy(p->bytes, buf, len);
	free(buf);
	return len;
}

void bench_drain(struct bench *b)
{
	struct bench_packet *p;
	uint8_t e;

	do {
		for (;;) {
			ck_assert_uint_lt(b->n_out, BENCH_QUEUE);
			p = &b->out[b->n_out];
			p->len = next_output(b, p);
			p->at = b->now;
			if (!p->len)
				break;
			b->n_out++;
		}
		e = bs_device_take_events(&b->d);
		b->events |= e;
		b->renewals += (e & BS_ATTACH_EV_RENEW_SOCKET) != 0;
		if (e & BS_ATTACH_EV_RESOLVE) {
			b->lookups++;
			bs_device_resolved(&b->d, b->ctrl, b->n_ctrl, b->now);
		}
	} while (e);
}

int bench_input(struct bench *b, const uint8_t *bytes, size_t len, const struct bs_endpoint *from)
{
	uint8_t *copy;
	int err;

	/* What is longer than the buffer is cut, as a socket does. */
	if (len > b->cap)
		len = b->cap;
	copy = bs_test_copy(bytes, len);
	err = bs_device_input(&b->d, copy, len, from, b->now);
	free(copy);
	bench_drain(b);
	return err;
}

static bool next_deadline(struct bench *b, bs_time *at)
{
	bs_time t;
	bool any = bs_device_next_timeout(&b->d, at);

	if (bs_push_next_timeout(&b->push, &t) && (!any || BS_TIME_DIFF(t, *at) < 0)) {
		*at = t;
		any = true;
	}
	return any;
}

void bench_run_to(struct bench *b, bs_time end)
{
	size_t steps = 0;
	bs_time at;

	while (next_deadline(b, &at) && BS_TIME_DIFF(at, end) <= 0) {
		/* A deadline that stays in the past would spin a real owner. */
		ck_assert_uint_lt(steps++, 100000);
		if (BS_TIME_DIFF(at, b->now) > 0)
			b->now = at;
		bs_device_timeout(&b->d, b->now);
		bs_push_timeout(&b->push, b->now);
		bench_drain(b);
	}
	b->now = end;
}

void bench_run(struct bench *b, uint32_t ms)
{
	bench_run_to(b, b->now + BS_TIME_MS(ms));
}

const struct bench_packet *bench_take(struct bench *b)
{
	return b->taken < b->n_out ? &b->out[b->taken++] : NULL;
}

const struct bench_packet *bench_expect(struct bench *b, uint8_t type, struct bs_packet *p)
{
	const struct bench_packet *o = bench_take(b);

	ck_assert_msg(o != NULL, "nothing was sent where type %u was expected", type);
	ck_assert_int_eq(bs_packet_decode(o->bytes, o->len, p), BS_OK);
	ck_assert_uint_eq(p->h.type, type);
	return o;
}

void bench_expect_none(struct bench *b)
{
	ck_assert_msg(b->taken == b->n_out, "packet of type %u was sent unexpectedly",
		      b->out[b->taken].bytes[8]);
}

int32_t bench_ms(const struct bench *b, bs_time at)
{
	(void)b;
	return BS_TIME_DIFF_MS(BS_TIME_DIFF(at, BENCH_START));
}

void bench_answer_invite(struct bench *b)
{
	struct bs_endpoint ctrl = b->d.attach.controller;
	struct bs_invite_answer m;
	uint8_t buf[64];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.server = bench_local(BENCH_GSP);
	m.observed = bench_local(BENCH_DEV);
	len = bs_invite_answer_encode(buf, sizeof(buf), &m);
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(bench_input(b, buf, (size_t)len, &ctrl), BS_OK);
}

size_t bench_make_attach(struct bench *b, struct bench_server *s, const struct bs_packet *invite,
			 uint8_t *buf, size_t cap)
{
	struct bs_attach_request m;
	struct bs_key_block a;
	struct bs_invite inv;
	struct bs_slice plain;
	struct bs_writer w;
	uint8_t text[64];
	bs_ssize len;

	ck_assert_int_eq(bs_invite_decode(invite, &inv), BS_OK);
	ck_assert_uint_eq(inv.nonce.len, 32);
	memset(s->nonce_s, 0x51, 32);
	memset(s->seed_s, 0x52, 32);
	memset(&m, 0, sizeof(m));
	m.nsi = BENCH_NSI;
	m.seq = ++s->seq;
	m.observed = bench_local(BENCH_DEV);
	m.nonce.ptr = s->nonce_s;
	m.nonce.len = 32;
	m.has_ext = s->has_ext;
	m.ext = s->ext;
	m.interval_s = s->interval_s;
	bs_attach_request_begin(&w, buf, cap, &m);
	memcpy(text, inv.nonce.ptr, 32);
	memcpy(text + 32, s->seed_s, 32);
	plain.ptr = text;
	plain.len = sizeof(text);
	ck_assert_int_eq(bs_keys_derive_a(&b->crypto, b->conf.id, b->psk, &a), BS_OK);
	len = bs_suite_aes_cbc.seal(&b->crypto, &a, BS_INITIATOR, &w, 0, plain);
	ck_assert_int_gt(len, 0);
	return (size_t)len;
}

/* The server's side of the response: check everything, derive C. */
static void take_response(struct bench *b, struct bench_server *s, const struct bs_packet *p,
			  const struct bench_packet *o, const uint8_t *nonce_d)
{
	struct bs_attach_response m;
	struct bs_key_block a;
	struct bs_slice plain;
	uint8_t *copy = bs_test_copy(o->bytes, o->len);

	ck_assert_int_eq(bs_attach_response_decode(p, BS_PL_CRYPTO, &m), BS_OK);
	ck_assert_int_eq(m.has_ext, s->has_ext);
	ck_assert_int_eq(bs_keys_derive_a(&b->crypto, b->conf.id, b->psk, &a), BS_OK);
	ck_assert_int_eq(bs_suite_aes_cbc.open(&b->crypto, &a, BS_INITIATOR, copy, o->len,
					       m.last_off, &plain),
			 BS_OK);
	ck_assert_uint_eq(plain.len, 64);
	ck_assert_mem_eq(plain.ptr, s->nonce_s, 32);
	ck_assert_int_eq(
		bs_keys_derive_c(&b->crypto, s->nonce_s, nonce_d, s->seed_s, plain.ptr + 32, &s->c),
		BS_OK);
	free(copy);
}

void bench_attach(struct bench *b, struct bench_server *s)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	const struct bench_packet *o;
	struct bs_packet invite;
	struct bs_invite inv;
	struct bs_packet p;
	uint8_t nonce[32];
	uint8_t buf[300];
	size_t len;

	bench_start(b);
	bench_expect(b, BS_TYPE_U_INVITE, &p);
	bench_answer_invite(b);
	bench_expect(b, BS_TYPE_U_INVITE, &invite);
	ck_assert_int_eq(bs_invite_decode(&invite, &inv), BS_OK);
	memcpy(nonce, inv.nonce.ptr, sizeof(nonce));
	len = bench_make_attach(b, s, &invite, buf, sizeof(buf));
	ck_assert_int_eq(bench_input(b, buf, len, &gsp), BS_OK);
	o = bench_expect(b, BS_TYPE_U_ATTACH, &p);
	take_response(b, s, &p, o, nonce);
	ck_assert_mem_eq(&b->d.attach.key.c, &s->c, sizeof(s->c));
	ck_assert(b->events & BS_ATTACH_EV_ATTACHED);
	bench_expect_none(b);
}

int bench_connect(struct bench *b, struct bench_server *s, uint32_t nsi, uint8_t ipx_flags,
		  const struct bs_key_block *key)
{
	struct bs_endpoint gsp = bench_local(BENCH_GSP);
	struct bs_connect_request m;
	struct bs_slice plain;
	struct bs_writer w;
	uint8_t buf[300];
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.cp = 0x01020304;
	m.sp = BENCH_NSI;
	m.seq = ++s->seq;
	m.ipx.priv = bench_local(BENCH_PEER);
	m.ipx.global = bench_local(BENCH_PEER + 1);
	m.ipx.flags = ipx_flags;
	m.ipx.has_nsi = true;
	m.ipx.nsi_sp = nsi;
	m.client_id = bs_test_text("user@example.test");
	m.start_ms = s->start_ms;
	plain.ptr = key->b;
	plain.len = sizeof(key->b);
	ck_assert_int_eq(bs_connect_request_begin(&w, buf, sizeof(buf), &m, BS_PACKET_SMALL, plain),
			 BS_OK);
	len = bs_suite_aes_cbc.seal(&b->crypto, &s->c, BS_INITIATOR, &w, 0, plain);
	ck_assert_int_gt(len, 0);
	return bench_input(b, buf, (size_t)len, &gsp);
}
