/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recorded tunnels, replayed in both roles: our device answers what a recorded client sent, and
 * our client opens the same tunnel at a recorded device.
 *
 * Packets are compared by what they say (WINDOW and plaintext); the window itself depends on how
 * much memory an end has, and how often an initiator acknowledges is its own business.
 */
#include "proto/stream.h"
#include "support.h"
#include "util/endpoint.h"
#include "wire/tunnel.h"

#define SEGMENTS 1024u
#define OUT_MAX  16u
/** Where the header has the tag, when nothing else is optional in it. */
#define TAG_OFF 16u

/** One end of the connection, ours. */
struct side {
	struct bs_crypto crypto;
	struct bs_test_rng rng;
	struct bs_conn conn;
	struct bs_conn mirror; /**< the other end, to read what we send */
	struct bs_stream_mem mem;
	struct bs_streams ss;
	struct bs_stream *s;
	struct bs_endpoint peer;
	bs_time now;
};

/** A packet as far as it is compared. */
struct said {
	struct bs_window_pl w;
	uint8_t plain[256];
	size_t len;
};

static struct side side;
static struct said out[OUT_MAX];
static size_t n_out;
static uint8_t slot_storage[16384];
static uint8_t *segments;

static void read_packet(const uint8_t *pkt, size_t len, struct said *said)
{
	struct bs_conn_data d;
	struct bs_packet p;
	uint8_t copy[BS_PACKET_MAX];

	ck_assert_uint_le(len, sizeof(copy));
	memcpy(copy, pkt, len);
	ck_assert_int_eq(bs_stream_packet_decode(copy, len, &p), BS_OK);
	ck_assert_int_eq(bs_window_find(&p, &said->w), BS_OK);
	ck_assert_int_eq(
		bs_conn_open(&side.mirror, &side.crypto, &p, copy, &side.peer, side.now, &d),
		BS_OK);
	ck_assert_uint_le(d.plain.len, sizeof(said->plain));
	said->len = d.plain.len;
	if (d.plain.len)
		memcpy(said->plain, d.plain.ptr, d.plain.len);
}

static void fetch(void)
{
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	size_t len;

	while ((len = bs_streams_output(&side.ss, buf, sizeof(buf), &to, side.now)) > 0) {
		ck_assert_uint_lt(n_out, OUT_MAX);
		read_packet(buf, len, &out[n_out++]);
	}
}

static void begin(const struct bs_scenario *sc, enum bs_role role)
{
	const struct bs_stream_conf conf = {
		.segment = role == BS_INITIATOR ? BS_STREAM_SEGMENT_ASK : BS_STREAM_SEGMENT,
		.window = role == BS_INITIATOR ? 200 : 100,
	};
	struct bs_key_block key;
	size_t len;

	memset(&side, 0, sizeof(side));
	n_out = 0;
	bs_test_crypto(&side.crypto, &side.rng);
	ck_assert(bs_scenario_key(sc, bs_scenario_packet(sc, NULL), &key));
	side.now = BS_TIME_MS(5000);
	bs_endpoint_set_ip4(&side.peer, 0xC0000201, 5570);
	bs_conn_init(&side.conn, role, bs_scenario_num(sc, "nsi_sp"), &key, &bs_suite_aes_cbc,
		     side.now);
	bs_conn_init(&side.mirror, role == BS_INITIATOR ? BS_RESPONDER : BS_INITIATOR,
		     bs_scenario_num(sc, "nsi_sp"), &key, &bs_suite_aes_cbc, side.now);
	side.conn.state = side.mirror.state = BS_CONN_OPEN;
	side.conn.remote = side.peer;
	side.conn.nsi_cp = side.mirror.nsi_cp = bs_scenario_num(sc, "nsi_cp");
	side.conn.large = true;
	bs_stream_mem_init(&side.mem, &conf);
	ck_assert_uint_le(bs_stream_slot_len(side.mem.ring), sizeof(slot_storage));
	bs_stream_mem_add_slot(&side.mem, slot_storage);
	len = bs_stream_segments_len((uint16_t)side.mem.segment_size, SEGMENTS);
	segments = calloc(1, len);
	ck_assert_ptr_nonnull(segments);
	bs_stream_mem_add_segments(&side.mem, segments, len);
	bs_streams_init(&side.ss, &side.mem, &side.conn, &side.crypto);
}

static void end(void)
{
	bs_streams_fini(&side.ss);
	free(segments);
}

static void give(const struct bs_row *r)
{
	struct bs_slice hex = bs_row_hex(r, "hex");
	uint8_t *pkt = bs_test_copy(hex.ptr, hex.len);
	struct bs_conn_data d;
	struct bs_packet p;
	struct bs_packet before;

	side.now += BS_TIME_MS(1);
	ck_assert_int_eq(bs_stream_packet_decode(pkt, hex.len, &p), BS_OK);
	before = p;
	ck_assert_int_eq(bs_conn_open(&side.conn, &side.crypto, &p, pkt, &side.peer, side.now, &d),
			 BS_OK);
	ck_assert_int_eq(bs_streams_input(&side.ss, &before, &d, &side.peer, side.now), BS_OK);
	free(pkt);
}

static void recorded(const struct bs_row *r, struct said *said)
{
	struct bs_slice hex = bs_row_hex(r, "hex");
	struct bs_slice plain = bs_row_hex(r, "plain");
	struct bs_packet p;

	ck_assert_int_eq(bs_stream_packet_decode(hex.ptr, hex.len, &p), BS_OK);
	ck_assert_int_eq(bs_window_find(&p, &said->w), BS_OK);
	said->len = plain.len;
	if (plain.len)
		memcpy(said->plain, plain.ptr, plain.len);
}

static void is_same(const struct said *got, const struct said *want)
{
	ck_assert_uint_eq(got->w.flags, want->w.flags);
	ck_assert_uint_eq(got->w.version, want->w.version);
	ck_assert_uint_eq(got->w.id_cp, want->w.id_cp);
	ck_assert_uint_eq(got->w.id_sp, want->w.id_sp);
	ck_assert_uint_eq(got->w.seq, want->w.seq);
	ck_assert_uint_eq(got->w.ack, want->w.ack);
	ck_assert_uint_eq(got->len, want->len);
	if (want->len)
		ck_assert_mem_eq(got->plain, want->plain, want->len);
	if (got->w.flags == BS_WINDOW_ACK)
		ck_assert_uint_ge(got->w.window, 1);
}

/** What a device does with its tunnels: reads the line, then echoes, as the recorded target did. */
static void serve(bool allowed, struct bs_tunnel_line *line, bool *opened)
{
	struct bs_tunnel_command c;
	struct bs_slice text = { line->text, 0 };
	struct bs_slice v;
	unsigned events;
	struct bs_stream *s;

	while ((s = bs_streams_next_event(&side.ss, &events)))
		side.s = s;
	while (side.s && (v = bs_stream_peek(side.s)).len) {
		if (*opened) {
			ck_assert_int_eq(bs_stream_write(side.s, v.ptr, v.len, 0), (int)v.len);
		} else {
			ck_assert_int_eq(bs_tunnel_feed(line, v.ptr, v.len), BS_OK);
			text.len = line->len;
			ck_assert_int_eq(bs_tunnel_decode(text, &c), BS_OK);
			ck_assert_uint_eq(c.kind, BS_TUNNEL_TCP);
			*opened = allowed;
			if (!allowed)
				bs_stream_close(side.s);
		}
		bs_stream_consume(side.s, v.len);
	}
}

static void replay_device(const char *name, bool allowed)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, name);
	struct bs_tunnel_line line = { 0, { 0 } };
	const struct bs_row *r = NULL;
	struct said first;
	size_t compared = 0;
	bool opened = false;

	begin(&sc, BS_RESPONDER);
	/* The id of a stream is each device's own choice; the recorded client goes on with this. */
	recorded(bs_scenario_packet(&sc, bs_scenario_packet(&sc, NULL)), &first);
	side.ss.next_id = first.w.id_sp;
	while ((r = bs_scenario_packet(&sc, r))) {
		struct said want;

		if (bs_row_is(r, "from", "peer")) {
			give(r);
			fetch();
			continue;
		}
		recorded(r, &want);
		if (compared == n_out) {
			serve(allowed, &line, &opened);
			fetch();
		}
		ck_assert_uint_lt(compared, n_out);
		is_same(&out[compared++], &want);
		if (want.w.flags == (BS_WINDOW_SYN | BS_WINDOW_ACK)) {
			ck_assert_uint_eq(out[0].w.syn.rx_size, want.w.syn.rx_size);
			ck_assert_uint_eq(out[0].w.syn.rx_window, want.w.syn.rx_window);
			ck_assert_uint_eq(out[0].w.syn.options, want.w.syn.options);
		}
	}
	ck_assert_uint_ge(compared, 3);
	ck_assert_uint_eq(compared, n_out);
	end();
	bs_vectors_free(v);
}

START_TEST(device_opens_the_recorded_tunnel)
{
	replay_device("tunnel_open_ok", true);
}
END_TEST

START_TEST(device_refuses_the_recorded_tunnel)
{
	replay_device("tunnel_refused", false);
}
END_TEST

/** Number of the recorded SYN, and what makes our client choose the same. */
static void script_numbers(const struct bs_scenario *sc, uint8_t raw[4])
{
	struct said syn;

	recorded(bs_scenario_packet(sc, NULL), &syn);
	ck_assert_uint_eq(syn.w.flags, BS_WINDOW_SYN);
	bs_put_u32(raw, syn.w.seq - 1000);
	side.rng.next.ptr = raw;
	side.rng.next.len = 4;
	side.ss.next_id = syn.w.id_cp;
	side.ss.next_tag =
		bs_get_u16(bs_row_hex(bs_scenario_packet(sc, NULL), "hex").ptr + TAG_OFF);
}

/** Our next packet that is more than an acknowledgement; NULL when there is none. */
static const struct said *next_said(size_t *at)
{
	while (*at < n_out) {
		const struct said *s = &out[(*at)++];

		if (s->len || s->w.flags != BS_WINDOW_ACK)
			return s;
	}
	return NULL;
}

static void replay_client(const char *name, bool allowed)
{
	struct bs_vectors *v = bs_vectors_load("data.txt");
	struct bs_scenario sc = bs_scenario_find(v, name);
	const struct bs_row *r = NULL;
	struct said last = { .len = 0 };
	struct said ours;
	const struct said *got;
	uint8_t raw[4];
	size_t written = 0;
	size_t heard = 0;
	size_t at = 0;
	unsigned events;

	begin(&sc, BS_INITIATOR);
	bs_streams_timeout(&side.ss, side.now);
	script_numbers(&sc, raw);
	ck_assert_int_eq(bs_stream_open(&side.ss, side.now, &side.s), BS_OK);
	fetch();
	while ((r = bs_scenario_packet(&sc, r))) {
		struct said want;

		recorded(r, &want);
		if (bs_row_is(r, "from", "dev")) {
			give(r);
			fetch();
			heard += want.len;
			while (bs_streams_next_event(&side.ss, &events))
				;
			continue;
		}
		last = want;
		if (want.len) {
			ck_assert_int_eq(bs_stream_write(side.s, want.plain, want.len,
							 written ? 0 : BS_STREAM_PUSH),
					 (int)want.len);
			written += want.len;
			fetch();
		}
		if (!want.len && want.w.flags == BS_WINDOW_ACK)
			continue;
		got = next_said(&at);
		ck_assert_ptr_nonnull(got);
		is_same(got, &want);
	}
	/* Late acknowledgements go out, too. */
	side.now += BS_TIME_MS(50);
	bs_streams_timeout(&side.ss, side.now);
	fetch();
	ck_assert_ptr_null(next_said(&at));
	ours = out[n_out - 1];
	ck_assert_uint_eq(ours.w.ack, last.w.ack);
	ck_assert_uint_eq(ours.w.seq, last.w.seq);
	ck_assert_uint_eq(bs_stream_is_eof(side.s), !allowed && !heard);
	end();
	bs_vectors_free(v);
}

START_TEST(client_opens_the_recorded_tunnel)
{
	replay_client("tunnel_open_ok", true);
}
END_TEST

START_TEST(client_is_refused_the_recorded_tunnel)
{
	replay_client("tunnel_refused", false);
}
END_TEST

Suite *bs_suite_tunnel_replay(void);
Suite *bs_suite_tunnel_replay(void)
{
	Suite *s = suite_create("tunnel_replay");
	TCase *tc = tcase_create("tunnel_replay");

	tcase_add_test(tc, device_opens_the_recorded_tunnel);
	tcase_add_test(tc, device_refuses_the_recorded_tunnel);
	tcase_add_test(tc, client_opens_the_recorded_tunnel);
	tcase_add_test(tc, client_is_refused_the_recorded_tunnel);
	suite_add_tcase(s, tc);
	return s;
}
