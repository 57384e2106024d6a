/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's machine, driven by a sequence of operations: what the caller asks, what the
 * basestation and the network send, how time passes, how the transport comes and goes.
 */
#include "fuzz.h"

#include "crypto/small.h"
#include "machine.h"
#include "util/endpoint.h"

#define LINKS 4

struct state {
	struct bsc__machine m;
	struct bs_crypto crypto;
	uint8_t counter;
	bs_time now;
	struct bs_cursor in;
	struct bsc_conn *link[LINKS];
	struct bs_packet last; /**< last packet to the basestation */
	uint8_t sent[BS_GATE_PACKET_MAX];
	size_t asked; /**< questions that end with a callback */
	size_t ended;
};

static int fill(void *ctx, uint8_t *buf, size_t len)
{
	struct state *s = ctx;

	while (len--)
		*buf++ = s->counter++;
	return BS_OK;
}

static void end(struct state *s, const struct bsc_error *err)
{
	s->ended++;
	FUZZ_CHECK(s->ended <= s->asked);
	FUZZ_CHECK(err == NULL || (err->err < 0 && err->text[0] != '\0'));
}

static void on_ping(void *arg, uint32_t rtt_us, const struct bsc_error *err)
{
	(void)rtt_us;
	end(arg, err);
}

static void on_list(void *arg, const struct bsc_presence *p, const struct bsc_error *err)
{
	if (p == NULL)
		end(arg, err);
	else
		FUZZ_CHECK(strlen(p->device) >= 1 && strlen(p->device) <= BS_DEVICE_ID_MAX);
}

static void on_watch(void *arg, const struct bsc_presence *p, const struct bsc_error *err)
{
	(void)arg;
	FUZZ_CHECK((p == NULL) == (err != NULL));
}

static void on_answer(void *arg, struct bsc_conn *c, const uint8_t *data, size_t len,
		      const struct bsc_error *err)
{
	(void)c;
	FUZZ_CHECK(err == NULL || (data == NULL && len == 0));
	FUZZ_CHECK(len <= BSC_RPC_ANSWER_MAX);
	end(arg, err);
}

/** Everything that the machine wants to send; the last stream packet is kept for answers. */
static void drain(struct state *s)
{
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	size_t n;

	while ((n = bsc__machine_stream_out(&s->m, s->sent, s->now)) > 0)
		FUZZ_CHECK(bs_packet_decode(s->sent, n, &s->last) == BS_OK);
	for (int k = 0; k < 100; k++)
		if (bsc__machine_datagram_out(&s->m, buf, sizeof buf, &to, s->now) == 0)
			return;
	/* A machine that sends for ever without time passing is broken. */
	FUZZ_CHECK(false);
}

/** A well-formed answer to the last packet, with payloads of the input's choice. */
static void answer(struct state *s)
{
	struct bs_header h = s->last.h;
	uint8_t buf[BS_GATE_PACKET_MAX];
	size_t len = bs_cursor_read_u8(&s->in);
	const uint8_t *body = bs_cursor_read_bytes(&s->in, len);
	struct bs_writer w;
	bs_ssize n;

	if (body == NULL || s->last.bytes == NULL)
		return;
	h.flags = BS_FLAG_RESPONSE;
	h.nsi_sp = 0x20000001;
	bs_packet_begin(&w, buf, sizeof buf, &h);
	bs_writer_put_bytes(&w, body, len);
	n = bs_packet_finish(&w);
	if (n > 0)
		bsc__machine_bytes(&s->m, buf, (size_t)n, s->now);
}

static void hello(struct state *s)
{
	static const uint8_t node[] = "node.example";
	struct bs_gate_hello_answer a = {
		.h = { .cp = s->m.cp, .sp = 7, .seq = s->m.hello_seq },
		.status = { .code = BS_ST_OK },
		.n_probes = 1,
		.node = { .port = 5571, .host = { node, sizeof node - 1 } },
	};
	uint8_t buf[BS_GATE_PACKET_MAX];
	bs_ssize n;

	a.params.has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) | BS_PARAM_BIT(BS_PARAM_SERVER_TIME) |
		       BS_PARAM_BIT(BS_PARAM_PACKET_MAX) | BS_PARAM_BIT(BS_PARAM_VERSIONS);
	a.params.keepalive_s = bs_cursor_read_u8(&s->in);
	bs_endpoint_set_ip4(&a.probes[0], 0x0a000001, 5566);
	bs_endpoint_set_ip4(&a.observed, 0x0a000002, 1);
	n = bs_gate_hello_answer_encode(&a, buf, sizeof buf);
	if (n > 0)
		bsc__machine_bytes(&s->m, buf, (size_t)n, s->now);
}

/** The CONNECT answer that the last packet hopes for. */
static void accept_connect(struct state *s)
{
	struct bs_gate_connect_answer a = { .status = { .code = BS_ST_OK } };
	struct bs_payload at;
	uint8_t buf[BS_GATE_PACKET_MAX];
	bs_ssize n;

	if (s->last.bytes == NULL || s->last.h.type != BS_TYPE_CONNECT ||
	    !bs_payload_find(&s->last, BS_PL_ATTEMPT, &at))
		return;
	a.h = (struct bs_gate_head){ .cp = s->m.cp, .sp = 0x20000001, .seq = s->last.h.seq };
	memcpy(a.attempt, at.data, sizeof a.attempt);
	a.ipx.has_nsi = a.ipx.has_full = true;
	a.ipx.nsi_sp = a.h.sp;
	bs_endpoint_set_ip4(&a.ipx.priv, 0x0a000003, 5700);
	a.key.suite = BS_SUITE_AES_CBC;
	a.key.has_key = true;
	n = bs_gate_connect_answer_encode(&a, buf, sizeof buf);
	if (n > 0)
		bsc__machine_bytes(&s->m, buf, (size_t)n, s->now);
}

static void stream_bytes(struct state *s)
{
	size_t len = bs_cursor_read_u8(&s->in);
	const uint8_t *b = bs_cursor_read_bytes(&s->in, len);

	if (b != NULL)
		bsc__machine_bytes(&s->m, b, len, s->now);
}

static void datagram(struct state *s)
{
	size_t len = bs_cursor_read_u8(&s->in);
	const uint8_t *b = bs_cursor_read_bytes(&s->in, len);
	struct bs_endpoint from;
	uint8_t *p;

	if (b == NULL)
		return;
	p = fuzz_packet(b, len);
	if (len >= BS_HEADER_MIN && (p[0] & 1))
		bs_put_u32(p + 4, 0x20000001);
	bs_endpoint_set_ip4(&from, 0x0a000003, (uint16_t)(5700 + (len & 1)));
	bsc__machine_datagram(&s->m, p, len, &from, s->now);
	free(p);
}

static void ask(struct state *s)
{
	static const char *const ids[] = { "dev1", "dev2.example" };
	uint8_t what = bs_cursor_read_u8(&s->in);
	struct bsc_conn **c = &s->link[what >> 4 & (LINKS - 1)];
	static const uint8_t req[8] = { 0, 0, 0, 1 };
	int rc = BS_EINVAL;

	switch (what & 7) {
	case 0: rc = bsc__request_ping(&s->m, on_ping, s, s->now); break;
	case 1: rc = bsc__request_list(&s->m, on_list, s, s->now); break;
	case 2: (void)!bsc__request_watch(&s->m, ids, 2, what, on_watch, s, s->now); return;
	case 3: bsc__request_unwatch(&s->m, s->now); return;
	case 4:
		if (*c == NULL)
			(void)!bsc__link_new(&s->m, ids[what >> 6 & 1], NULL, NULL, s, s->now, c);
		return;
	case 5:
		if (*c != NULL)
			bsc__link_close(*c, s->now);
		*c = NULL;
		return;
	case 6:
		if (*c != NULL)
			rc = bsc__link_call(*c, req, sizeof req, what >> 7, on_answer, s, s->now);
		break;
	default: bsc__machine_open(&s->m, s->now); return;
	}
	if (rc == BS_OK)
		s->asked++;
}

static void transport(struct state *s)
{
	uint8_t what = bs_cursor_read_u8(&s->in);
	struct bsc_error e = { .err = what & 4 ? BS_EAUTH : BS_EUNREACH,
			       .code = BSC_LOST,
			       .retry_after_ms = what >> 3,
			       .text = "cut" };

	if ((what & 3) == 0)
		bsc__machine_progress(&s->m, BSC_RESOLVING);
	else if ((what & 3) == 1)
		bsc__machine_up(&s->m, s->now);
	else
		bsc__machine_down(&s->m, &e, s->now);
}

static void pass_time(struct state *s)
{
	bs_time at = 0;

	s->now += BS_TIME_MS(bs_cursor_read_u16(&s->in));
	bsc__machine_timeout(&s->m, s->now);
	bsc__machine_reap(&s->m);
	(void)bsc__machine_next_timeout(&s->m, &at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const ops[])(struct state *) = { stream_bytes, datagram,  ask,
						       transport,    pass_time, drain,
						       answer,       hello,     accept_connect };
	struct bsc__settings set = { .host = "h",
				     .port = 1,
				     .open_timeout_ms = 10000,
				     .path_timeout_ms = 6000,
				     .rpc_timeout_ms = 30000,
				     .keepalive_s = 60,
				     .conn_keepalive_ms = 5000,
				     .reconnect = true };
	static struct state s;

	memset(&s, 0, sizeof s);
	s.now = BS_TIME_MS(1000);
	bs_small_crypto_init(&s.crypto, fill, &s);
	bsc__machine_init(&s.m, &s.crypto, &set);
	bs_cursor_init(&s.in, data, len);
	while (bs_cursor_left(&s.in) > 0) {
		ops[bs_cursor_read_u8(&s.in) % (sizeof ops / sizeof ops[0])](&s);
		FUZZ_CHECK(s.m.n_reqs <= BSC__REQUESTS_MAX && s.m.n_links <= BSC__LINKS_MAX);
	}
	bsc__machine_fini(&s.m);
	FUZZ_CHECK(s.ended <= s.asked);
	return 0;
}
