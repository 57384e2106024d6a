/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_device.c - recorded exchanges of unmodified devices, played against our device: it gets
 * what the recorded device got and must send what that one sent, byte for byte where the bytes are
 * determined.  Random numbers come from the recording.
 *
 * Where our device differs on purpose the row's expectation is changed in one place, fix_expected,
 * or the scenario's entry says so.
 */
#include "bench.h"
#include "proto/attach_legacy.h"
#include "wire/attach.h"
#include "wire/connect.h"
#include "wire/invite.h"
#include "wire/stats.h"

#define RANDOM_MAX 4096

/* Milliseconds that a recorded device may be later than ours: it works in ticks of 10 ms. */
#define TOLERANCE_MS 150

/* How a scenario departs from a stock device with encryption. */
enum option {
	LEGACY = 0x01,
	PLAIN_DATA = 0x02,
	NO_ACCESS = 0x04, /* access hook refuses clients without a known fingerprint */
	TWO_CONNS = 0x08, /* a build with two slots */
	FROM_LAST = 0x10, /* several runs of a device: only the last one has its seed recorded */
	THREE_CTRL = 0x20,
	/*
	 * The recorded device sends step 0 of rendezvous at its next tick, so other packets may
	 * come first, or DATA may even make it needless; ours sends it at once.  These packets
	 * are compared as a set, and ours may have more of them.
	 */
	LOOSE = 0x40,
	/* A build with the TCP relay. */
	GATEWAY = 0x80,
	/* The build must have further sockets. */
	SOCKETS = 0x100,
};

struct replay {
	struct bench b;
	struct bs_scenario s;
	unsigned options;
	uint8_t random[RANDOM_MAX];
	size_t n_random;
	struct bs_endpoint peer;
	const struct bs_row *row; /* being played */
	bs_time start;
	int32_t start_ms;
	struct bs_slice push;
	struct bs_slice reply;     /* the last one */
	bool matched[BENCH_QUEUE]; /* step 0 packets of ours that the recording has too */
};

static struct bs_slice hex(const struct bs_row *r)
{
	return bs_row_hex(r, "hex");
}

static void add_random(struct replay *r, const uint8_t *p, size_t len)
{
	ck_assert_uint_le(r->n_random + len, RANDOM_MAX);
	memcpy(r->random + r->n_random, p, len);
	r->n_random += len;
}

static bool is_from(const struct bs_row *row, const char *who)
{
	return bs_row_is(row, "from", who);
}

/* The rows to play: all packets, or those since the device was started for the last time. */
static const struct bs_row *first_row(const struct replay *r)
{
	const struct bs_row *row = NULL;
	const struct bs_row *first = bs_scenario_packet(&r->s, NULL);

	if (!(r->options & FROM_LAST))
		return first;
	while ((row = bs_scenario_packet(&r->s, row)) != NULL)
		if (is_from(row, "dev") && bs_row_is(row, "to", "ctrl") &&
		    hex(row).ptr[8] == BS_TYPE_U_INVITE)
			first = row;
	return first;
}

/* What the recorded device drew: its nonces, its seed and its IVs, in the order of sending. */
static void collect_random(struct replay *r)
{
	const struct bs_row *row = first_row(r);
	struct bs_packet p;
	struct bs_payload pl;
	uint8_t last[32] = { 0 };
	struct bs_slice seed;

	for (; row; row = bs_scenario_packet(&r->s, row)) {
		if (!is_from(row, "dev") || bs_packet_decode(hex(row).ptr, hex(row).len, &p))
			continue;
		if (p.h.type == BS_TYPE_U_INVITE && bs_payload_find(&p, BS_PL_NONCE, &pl) &&
		    memcmp(last, pl.data, pl.len) != 0) {
			memcpy(last, pl.data, pl.len);
			add_random(r, pl.data, pl.len);
		}
		if (p.h.type == BS_TYPE_U_ATTACH && bs_row_text(row, "plain")) {
			seed = bs_row_hex(row, "plain");
			add_random(r, seed.ptr + 32, 32);
		}
		/* A device that picks the connection number itself. */
		if (p.h.type == BS_TYPE_U_CONNECT && p.h.flags == BS_FLAG_RESPONSE &&
		    bs_payload_find(&p, BS_PL_NOTIFY, &pl) && bs_get_u32(pl.data + 4) <= 1000) {
			uint8_t pick[2];

			bs_put_u16(pick, (uint16_t)(bs_get_u32(pl.data + 4) - 100));
			add_random(r, pick, sizeof(pick));
		}
		if (bs_row_text(row, "iv"))
			add_random(r, bs_row_hex(row, "iv").ptr, 16);
	}
	r->b.rng.next.ptr = r->random;
	r->b.rng.next.len = r->n_random;
}

static struct bs_endpoint role(const struct replay *r, const char *name)
{
	struct bs_endpoint ep = bench_local(BENCH_CTRL);

	if (strcmp(name, "ctrl") == 0)
		return r->b.d.attach.controller;
	if (strcmp(name, "gsp") == 0)
		return bs_endpoint_is_set(&r->b.d.attach.server) ? r->b.d.attach.server
								 : bench_local(BENCH_GSP);
	if (strncmp(name, "ctrl1", 5) == 0)
		return r->b.ctrl[name[5] - '1'];
	if (strcmp(name, "peer") == 0)
		return r->peer;
	if (strcmp(name, "relay") == 0)
		return bench_relay(&r->b.conns[0]);
	ck_abort_msg("role %s", name);
	return ep;
}

/* The client's port: what the device answered to, else what the server announced. */
static void learn_peer(struct replay *r)
{
	const struct bs_row *row = NULL;
	struct bs_payload pl;
	struct bs_packet p;
	struct bs_ipx ipx;
	struct bs_endpoint ep;
	bool answered = false;

	r->peer = bench_local(BENCH_PEER);
	while ((row = bs_scenario_packet(&r->s, row)) != NULL) {
		if (bs_packet_decode(hex(row).ptr, hex(row).len, &p))
			continue;
		if (p.h.type != BS_TYPE_U_CONNECT)
			continue;
		if (is_from(row, "dev") && p.h.seq > 0 && p.h.flags == 0 &&
		    bs_payload_find(&p, BS_PL_EP, &pl) && bs_ep_get(&pl, &ep) == BS_OK) {
			r->peer = bench_local(ep.port);
			answered = true;
		} else if (!answered && bs_payload_find(&p, BS_PL_IPX, &pl) &&
			   bs_ipx_get(&pl, &ipx) == BS_OK && ipx.global.port) {
			r->peer = ipx.global;
		}
	}
}

/* Each socket of the recorded device had a port of its own; the controller tells which, and the
 * attach server, whose word counts where they differ. */
static void learn_own_port(struct replay *r, struct bs_slice packet)
{
	struct bs_endpoint local;
	struct bs_payload pl;
	struct bs_packet p;
	struct bs_endpoint seen;
	struct bs_ipx ipx;

	if (bs_packet_decode(packet.ptr, packet.len, &p))
		return;
	if (p.h.type == BS_TYPE_U_INVITE && bs_payload_find(&p, BS_PL_IPX, &pl) &&
	    !bs_ipx_get(&pl, &ipx))
		bs_endpoint_set_ip4(&local, 0, ipx.global.port);
	else if (p.h.type == BS_TYPE_U_ATTACH && bs_payload_find(&p, BS_PL_EP, &pl) &&
		 !bs_ep_get(&pl, &seen))
		bs_endpoint_set_ip4(&local, 0, seen.port);
	else
		return;
	bs_device_set_local(&r->b.d, &local);
}

/* The recorded answer to the request that is being played: same type and seq, not a notice. */
static const struct bs_row *answer_row(const struct replay *r, uint8_t type, uint16_t seq)
{
	const struct bs_row *row = r->row;
	struct bs_payload pl;
	struct bs_packet p;

	while ((row = bs_scenario_packet(&r->s, row)) != NULL) {
		if (!is_from(row, "dev") || bs_packet_decode(hex(row).ptr, hex(row).len, &p) ||
		    p.h.type != type || p.h.seq != seq)
			continue;
		if (type == BS_TYPE_DATA && !bs_payload_find(&p, BS_PL_CRYPTO, &pl))
			continue;
		return row;
	}
	return NULL;
}

/* The application of the recorded device: it says what that one said. */
static int replay_rpc(void *app, struct bs_rpc_request *req)
{
	struct replay *r = app;
	uint16_t seq = bs_get_u16(hex(r->row).ptr + 12);
	const struct bs_row *row = answer_row(r, BS_TYPE_DATA, seq);
	struct bs_slice plain;

	r->b.rpc_calls++;
	if (!row)
		return BS_RPC_DEFERRED;
	/* Of a connection whose key is not in the rows: it said the same as before. */
	if (bs_row_text(row, "plain"))
		r->reply = bs_row_hex(row, "plain");
	plain = r->reply;
	if (hex(row).ptr[11] & BS_FLAG_EXCEPTION)
		return (int)bs_get_u32(plain.ptr);
	bs_writer_put_bytes(&req->reply, plain.ptr, plain.len);
	return BS_RPC_OK;
}

static size_t replay_events(void *app, bool again, uint8_t *buf, size_t cap)
{
	struct replay *r = app;
	const struct bs_row *row = answer_row(r, BS_TYPE_U_ALIVE, bs_get_u16(hex(r->row).ptr + 12));
	struct bs_payload pl;
	struct bs_packet p;

	(void)again;
	if (!row || bs_packet_decode(hex(row).ptr, hex(row).len, &p) ||
	    !bs_payload_find(&p, BS_PL_PIGGY, &pl))
		return 0;
	ck_assert_uint_le(pl.len - 4u, cap);
	memcpy(buf, pl.data + 4, pl.len - 4u);
	return pl.len - 4u;
}

static uint16_t replay_access(void *app, const struct bs_access *who)
{
	struct replay *r = app;

	r->b.asked++;
	return r->options & NO_ACCESS ? BS_ST_REFUSED_DEVICE : BS_ST_OK;
	(void)who;
}

/* Milliseconds in CONNECTION_INFO may differ by the recorded device's ticks. */
static void fix_age(uint8_t *want, size_t len, const struct bench_packet *got)
{
	size_t off = len - 4 - 35;
	int32_t diff;

	if (len != got->len || want[len - 43 + 0] != BS_PL_CONNECTION_INFO)
		return;
	off = len - 43 + 4 + 3 + 2;
	diff = (int32_t)(bs_get_u32(want + off) - bs_get_u32(got->bytes + off));
	ck_assert_int_le(diff, TOLERANCE_MS);
	ck_assert_int_ge(diff, -TOLERANCE_MS);
	memcpy(want + off, got->bytes + off, 4);
}

/*
 * Where ours differs on purpose:
 * - EP1 of rendezvous steps 1 and 2: dual-stack stock builds write 0.0.0.0, ours the true address.
 * - Builds that keep client ids report them (CP_ID); ours keeps them but the server knows them.
 * - Builds with the TCP relay say so in capability bit 9; then the MAC differs too.
 */
static size_t fix_expected(struct replay *r, uint8_t *want, size_t len, struct bench_packet *got)
{
	struct bs_payload pl;
	struct bs_packet p;
	size_t off;

	ck_assert_int_eq(bs_packet_decode(want, len, &p), BS_OK);
	if (p.h.type == BS_TYPE_STATS && bs_payload_find(&p, BS_PL_CP_ID, &pl)) {
		off = (size_t)(pl.data - want) - 4;
		memmove(want + off, pl.data + pl.len, len - off - 4 - pl.len);
		len -= 4u + pl.len;
		bs_put_u16(want + 14, (uint16_t)len);
	}
	if (p.h.type == BS_TYPE_U_CONNECT && p.h.flags == 0 && p.h.seq > 0 && len == got->len)
		memcpy(want + 20, got->bytes + 20, 4);
	if (p.h.type == BS_TYPE_STATS && p.h.nsi_sp)
		fix_age(want, len, got);
	if (p.h.type == BS_TYPE_U_ATTACH && (want[23] & 0x02) && !(r->options & GATEWAY)) {
		want[23] &= (uint8_t)~0x02;
		if (r->options & LEGACY) {
			/* The sum counts the capability byte as well. */
			memcpy(want + len - 12, got->bytes + len - 12, 12);
		} else {
			memcpy(want + len - 16, got->bytes + len - 16, 16);
		}
	}
	return len;
}

static void start_push(struct replay *r, const struct bs_row *row)
{
	if (r->b.push.busy || hex(row).ptr[8] != BS_TYPE_U_PUSH)
		return;
	r->push = bs_row_hex(row, "plain");
	ck_assert_int_eq(
		bs_push_start(&r->b.push, &r->b.d.attach, 2, r->push, NULL, NULL, r->b.now), BS_OK);
	bench_drain(&r->b);
}

static bool is_step0(const uint8_t *p, size_t len)
{
	return len == 26 && p[8] == BS_TYPE_U_CONNECT && p[11] == 0;
}

/* A step 0 of the recording: one of ours must be the same. */
static void expect_loose(struct replay *r, const struct bs_row *row, bs_time at)
{
	struct bs_slice want = hex(row);
	size_t i;

	if (BS_TIME_DIFF(at, r->b.now) > 0)
		bench_run_to(&r->b, at);
	for (i = 0; i < r->b.n_out; i++) {
		if (r->matched[i] || r->b.out[i].len != want.len ||
		    memcmp(r->b.out[i].bytes, want.ptr, want.len) != 0)
			continue;
		r->matched[i] = true;
		return;
	}
	ck_abort_msg("%s line %d: not sent", bs_scenario_name(&r->s), row->line);
}

/* Also the report of an opened connection waits for a tick, which a short recording has not. */
static void skip_loose(struct replay *r, uint8_t type)
{
	const struct bench_packet *p;

	for (; (r->options & LOOSE) && r->b.taken < r->b.n_out; r->b.taken++) {
		p = &r->b.out[r->b.taken];
		if (!is_step0(p->bytes, p->len) &&
		    (p->bytes[8] != BS_TYPE_STATS || type == BS_TYPE_STATS))
			return;
	}
}

static void expect(struct replay *r, const struct bs_row *row, bs_time at)
{
	struct bs_slice want = hex(row);
	uint8_t copy[BS_PACKET_MAX];
	struct bench_packet *got;
	struct bs_endpoint to;

	if ((r->options & LOOSE) && is_step0(want.ptr, want.len)) {
		expect_loose(r, row, at);
		return;
	}
	skip_loose(r, want.ptr[8]);
	if (r->b.taken == r->b.n_out)
		bench_run_to(&r->b, at);
	skip_loose(r, want.ptr[8]);
	start_push(r, row);
	ck_assert_msg(r->b.taken < r->b.n_out, "%s line %d: nothing was sent",
		      bs_scenario_name(&r->s), row->line);
	got = &r->b.out[r->b.taken++];
	memcpy(copy, want.ptr, want.len);
	want.len = fix_expected(r, copy, want.len, got);
	/* Sealed with random bytes that the rows do not have: header and length must do. */
	if (bs_row_is(row, "key", "other") && got->len == want.len)
		memcpy(copy + 24, got->bytes + 24, want.len - 24);
	ck_assert_msg(got->len == want.len && memcmp(got->bytes, copy, want.len) == 0,
		      "%s line %d: sent type %u seq %u with %zu bytes instead",
		      bs_scenario_name(&r->s), row->line, got->bytes[8],
		      bs_get_u16(got->bytes + 12), got->len);
	ck_assert_int_le(BS_TIME_DIFF_MS(BS_TIME_DIFF(got->at, at)), 0);
	if (want.ptr[8] == BS_TYPE_U_CONNECT && want.ptr[11] == 0)
		return; /* its EP1 says where it went */
	to = role(r, bs_row_text(row, "to"));
	ck_assert_msg(bs_endpoint_equal(&got->to, &to), "%s line %d: sent to port %u",
		      bs_scenario_name(&r->s), row->line, got->to.port);
}

static void inject(struct replay *r, const struct bs_row *row, bs_time at)
{
	struct bs_endpoint from = role(r, bs_row_text(row, "from"));
	uint8_t copy[BS_PACKET_MAX];

	if (BS_TIME_DIFF(at, r->b.now) > 0)
		bench_run_to(&r->b, at);
	r->row = row;
	learn_own_port(r, hex(row));
	bench_input(&r->b, hex(row).ptr, hex(row).len, &from);
	if (hex(row).len > 9 && hex(row).ptr[9] == 0) {
		/* Ours drops version 0, which a stock device does not look at: try the rest. */
		ck_assert_uint_eq(r->b.taken, r->b.n_out);
		memcpy(copy, hex(row).ptr, hex(row).len);
		copy[9] = BS_WIRE_VERSION;
		bench_input(&r->b, copy, hex(row).len, &from);
	}
}

static void setup(struct replay *r, struct bs_vectors *v, const char *name, unsigned options)
{
	struct bs_slice psk = { NULL, 0 };

	memset(r, 0, sizeof(*r));
	r->s = bs_scenario_find(v, name);
	r->options = options;
	if (bs_scenario_value(&r->s, "device_psk"))
		psk = bs_scenario_hex(&r->s, "device_psk");
	else if (bs_scenario_value(&r->s, "psk"))
		psk = bs_scenario_hex(&r->s, "psk");
	bench_init(&r->b, bs_scenario_text(&r->s, "id"), psk.ptr);
	r->b.ops.rpc = replay_rpc;
	r->b.ops.events = replay_events;
	r->b.ops.access = replay_access;
	r->b.conf.app = r;
	bench_transports(&r->b.conf, BS_SPRAY_SOCKETS, (options & GATEWAY) != 0);
	if (options & LEGACY)
		r->b.conf.legacy = &bs_legacy_attach;
	if (options & PLAIN_DATA)
		r->b.conf.plain_suite = &bs_suite_null;
	if (options & THREE_CTRL) {
		r->b.n_ctrl = 3;
		r->b.ctrl[1] = bench_local(BENCH_CTRL + 1);
		r->b.ctrl[2] = bench_local(BENCH_CTRL + 2);
	}
	/* The hooks of the bench that stay expect the bench itself. */
	r->b.ops.connection = NULL;
	r->b.ops.server_time = NULL;
	r->b.ops.candidates = NULL;
}

/* Rows where our device does something else; the reason stands beside each. */
static bool is_exempt(struct replay *r, const struct bs_row *row)
{
	const char *name = bs_scenario_name(&r->s);
	const char *label = bs_row_text(row, "label");
	struct bs_slice h = hex(row);

	/* A rendezvous interval of 20 s: stock devices let 3.5 times that overflow 16 bits. */
	if (strcmp(name, "connection_timeouts") == 0)
		return is_from(row, "dev") && h.ptr[8] == BS_TYPE_STATS &&
		       bs_get_u32(h.ptr + 4) == 29443;
	/* Version 7 in a header: ours drops it, a stock device looks on and finds a bad nonce. */
	if (strcmp(name, "attach_malformed") == 0)
		return is_from(row, "dev") && h.ptr[8] == BS_TYPE_STATS && label == NULL &&
		       bs_row_num(row, "t_ms") == 1026;
	/*
	 * The client used a number twice for the same query.  A stock device runs it again; ours
	 * takes it for a copy and repeats the kept reply, without a notice.
	 */
	if (strcmp(name, "event_channel") == 0 && bs_row_num(row, "t_ms") == 1725) {
		if (h.len == 26)
			return true;
		ck_assert_uint_eq(r->b.taken + 1, r->b.n_out);
		ck_assert_uint_eq(r->b.out[r->b.taken].len, h.len);
		ck_assert_uint_eq(r->b.rpc_calls, 2);
		r->b.taken++;
		return true;
	}
	/*
	 * The recording left out the notice, and has the report before the reply; ours comes after
	 * it and does not repeat the NAT type that the basestation told us of the client.
	 */
	if (strcmp(name, "device_behind_symmetric_nat") == 0 && is_from(row, "dev") &&
	    h.ptr[8] == BS_TYPE_STATS) {
		skip_loose(r, 0);
		ck_assert_uint_lt(r->b.taken, r->b.n_out);
		ck_assert_uint_eq(r->b.out[r->b.taken].len, 26);
		r->b.taken++;
		return true;
	}
	/* U_DEBUG is not part of our device: it does not answer. */
	if (strcmp(name, "debug_packet") == 0)
		return is_from(row, "dev") && h.ptr[8] == BS_TYPE_U_DEBUG;
	return false;
}

/* The slot whose connection has this number. */
static size_t slot_of(const struct replay *r, uint32_t nsi)
{
	size_t i;

	for (i = 0; i < BENCH_CONNS && bench_gateway_nsi(&r->b.conns[i]) != nsi; i++)
		;
	ck_assert_uint_lt(i, BENCH_CONNS);
	return i;
}

/* The device wants a stream for this connection; it connects. */
static void open_stream(struct replay *r, uint32_t nsi)
{
	struct bs_endpoint relay;
	uint32_t number;
	size_t slot;

	ck_assert(bs_device_gw_next(&r->b.d, &slot, &number, &relay));
	ck_assert_uint_eq(number, nsi);
	ck_assert_uint_eq(slot, slot_of(r, nsi));
	ck_assert_uint_eq(bs_endpoint_ip4(&relay), 0x7F000001);
	ck_assert_uint_eq(relay.port, 0x15C0);
	bs_device_gw_opened(&r->b.d, slot);
	bench_drain(&r->b);
}

/* A report that ours sent at once and the recorded device at some tick: it is among the sent. */
static void expect_report(struct replay *r, const struct bs_row *row)
{
	struct bs_slice want = hex(row);
	uint8_t copy[BS_PACKET_MAX];
	size_t i;

	for (i = 0; i < r->b.n_out; i++) {
		struct bench_packet *got = &r->b.out[i];

		memcpy(copy, want.ptr, want.len);
		if (got->len != want.len || got->bytes[8] != BS_TYPE_STATS ||
		    memcmp(got->bytes, want.ptr, 23) != 0)
			continue;
		fix_age(copy, want.len, got);
		if (memcmp(copy, got->bytes, want.len) == 0)
			return;
	}
	ck_abort_msg("%s line %d: not sent", bs_scenario_name(&r->s), row->line);
}

/*
 * Rows that went over the stream, and what happened to it.  The recording has the stream's packets
 * of its first connection only, and not its end, which came 300 ms before the last report; the
 * reports of connection 0x7006 count packets that are not there.
 */
static bool play_stream(struct replay *r, const struct bs_row *row, bs_time at)
{
	struct bs_slice h = hex(row);
	uint32_t nsi = bs_get_u32(h.ptr + 4);
	uint8_t copy[BS_PACKET_MAX];

	if (is_from(row, "relay")) {
		if (BS_TIME_DIFF(at, r->b.now) > 0)
			bench_run_to(&r->b, at);
		r->row = row;
		memcpy(copy, h.ptr, h.len);
		/* BS_ESTATE: a framing close, which does not count over a stream. */
		ck_assert_int_eq(
			bs_device_gw_input(&r->b.d, slot_of(r, nsi), copy, h.len, r->b.now),
			bs_row_num(row, "t_ms") == 465 ? BS_ESTATE : BS_OK);
		bench_drain(&r->b);
		return true;
	}
	if (!is_from(row, "dev"))
		return false;
	if (h.ptr[8] == BS_TYPE_GW_CONN_U) {
		bench_run_to(&r->b, at);
		open_stream(r, nsi);
		return false;
	}
	if (h.ptr[8] != BS_TYPE_STATS || (nsi != 0x7001 && nsi != 0x7006))
		return false;
	if (nsi == 0x7001 && h.ptr[20] == BS_STATS_OPEN)
		expect_report(r, row);
	if (nsi != 0x7001 || h.ptr[20] == BS_STATS_OPEN)
		return true;
	bench_run_to(&r->b, at - BS_TIME_MS(BS_CONN_LINGER_MS));
	ck_assert_uint_eq(bs_device_n_live(&r->b.d), 1);
	bs_device_gw_closed(&r->b.d, slot_of(r, nsi), r->b.now);
	return false;
}

static void play(struct replay *r)
{
	const struct bs_row *row = first_row(r);
	bs_time at;

	collect_random(r);
	learn_peer(r);
	r->start_ms = row ? (int32_t)bs_row_num(row, "t_ms") : 0;
	bench_start(&r->b);
	if (r->options & TWO_CONNS)
		r->b.d.n_conns = 2;
	for (; row; row = bs_scenario_packet(&r->s, row)) {
		at = BENCH_START + BS_TIME_MS((int32_t)bs_row_num(row, "t_ms") - r->start_ms);
		if (is_exempt(r, row) || ((r->options & GATEWAY) && play_stream(r, row, at)))
			continue;
		if (is_from(row, "dev"))
			expect(r, row, at);
		else
			inject(r, row, at);
	}
	skip_loose(r, 0);
	/* A recording may end before the tick at which the device reports its connection. */
	if (r->b.taken + 1 == r->b.n_out && r->b.out[r->b.taken].bytes[8] == BS_TYPE_STATS &&
	    r->b.out[r->b.taken].at == r->b.now)
		r->b.taken++;
	ck_assert_msg(r->b.taken == r->b.n_out, "%s: a packet of type %u too many",
		      bs_scenario_name(&r->s), r->b.out[r->b.taken].bytes[8]);
	ck_assert_msg(r->b.rng.next.len == 0, "%s: %zu random bytes were not drawn",
		      bs_scenario_name(&r->s), r->b.rng.next.len);
}

static const struct {
	const char *name;
	unsigned options;
} scenarios[] = {
	{ "secure_attach_and_connect", 0 },
	{ "rendezvous_client_first", 0 },
	{ "rendezvous_timing", 0 },
	{ "connect_refused", NO_ACCESS },
	{ "connect_busy", TWO_CONNS },
	{ "connect_without_nsi", LOOSE },
	{ "connect_oversize", LOOSE },
	{ "attach_wrong_key", 0 },
	{ "attach_malformed", 0 },
	{ "invite_malformed", 0 },
	{ "legacy_attach", LEGACY },
	{ "legacy_attach_wrong_sum", LEGACY },
	{ "udp_relay", LOOSE },
	{ "tcp_relay", LOOSE | GATEWAY },
	{ "debug_packet", 0 },
	{ "push", 0 },
	{ "push_flags", FROM_LAST },
	{ "event_channel", LOOSE },
	{ "device_poll_and_timeout", 0 },
	{ "device_timeout_after_keepalive", 0 },
	{ "controller_silent", 0 },
	{ "attach_server_silent", 0 },
	{ "connection_timeouts", LOOSE },
	{ "connect_from_elsewhere", LOOSE },
	{ "single_port", 0 },
	{ "secure_attach_plain_data", PLAIN_DATA | LOOSE },
	{ "several_controllers", THREE_CTRL },
	{ "rendezvous_symmetric_client", LOOSE },
	{ "device_behind_symmetric_nat", LOOSE | SOCKETS },
};

static struct bs_vectors *vectors;
static struct replay *replay;

static void load(void)
{
	vectors = bs_vectors_load("control.txt");
	replay = malloc(sizeof(*replay));
	ck_assert_ptr_nonnull(replay);
}

static void unload(void)
{
	bench_fini(&replay->b);
	free(replay);
	bs_vectors_free(vectors);
}

START_TEST(test_replay)
{
	/* The MCU profile has one socket and no TCP: these recordings are of other builds. */
	if (!BS_WITH_GW && (scenarios[_i].options & (GATEWAY | SOCKETS)))
		return;
	setup(replay, vectors, scenarios[_i].name, scenarios[_i].options);
	play(replay);
}
END_TEST

Suite *bs_suite_device(void);

Suite *bs_suite_device(void)
{
	Suite *s = suite_create("device");
	TCase *tc = tcase_create("replay");

	tcase_add_checked_fixture(tc, load, unload);
	tcase_add_loop_test(tc, test_replay, 0, (int)BS_LEN(scenarios));
	suite_add_tcase(s, tc);
	return s;
}
