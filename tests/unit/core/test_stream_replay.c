/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded conversations of a stock device and a client, with ours in the place of either. */
#include "proto/stream_impl.h"

#include "test.h"
#include "util/endpoint.h"

#define OUT_MOST 256
#define SLOTS    4
#define SEGMENTS 1000
/* As the recorded ends had it. */
#define WINDOW 100

/* A packet that our end sent, opened again. */
struct sent {
	struct bs_window_pl w;
	struct bs_sack_pair pair[BS_SACK_PAIRS];
	size_t n_pairs;
	uint8_t plain[1400];
	size_t len;
	uint16_t window_len; /* of the payload */
	uint32_t nsi_cp;
	bool matched;
};

static struct bs_vectors *vectors;
static struct bs_crypto crypto;
static struct bs_test_rng rng;
static struct bs_conn ours;
static struct bs_conn theirs; /* opens what ours seals */
static struct bs_stream_mem mem;
static struct bs_streams ss;
static struct bs_stream *stream;
static void *storage[SLOTS + 1];
static struct sent out[OUT_MOST];
static size_t n_out;
static bs_time now;
static unsigned events;
static bool banner; /* the echo application has sent its own */

static void setup_end(const struct bs_scenario *sc, enum bs_role role, unsigned slots)
{
	struct bs_slice raw = bs_scenario_hex(sc, "session_key");
	struct bs_stream_conf conf = { 0 };
	struct bs_key_block key;
	size_t len;
	unsigned i;

	memcpy(key.b, raw.ptr, sizeof(key.b));
	now = BS_TIME_MS(1000000);
	n_out = 0;
	events = 0;
	banner = false;
	stream = NULL;
	bs_small_crypto_init(&crypto, bs_test_rng_fill, &rng);
	bs_conn_init(&ours, role, bs_scenario_num(sc, "nsi_sp"), &key, &bs_suite_aes_cbc, now);
	bs_conn_init(&theirs, role == BS_INITIATOR ? BS_RESPONDER : BS_INITIATOR, ours.nsi_sp, &key,
		     &bs_suite_aes_cbc, now);
	ours.nsi_cp = bs_scenario_num(sc, "nsi_cp");
	ours.state = BS_CONN_OPEN;
	theirs.state = BS_CONN_OPEN;
	bs_endpoint_set_ip4(&ours.remote, 0x7F000001, 40000);
	conf.segment = role == BS_INITIATOR ? BS_STREAM_SEGMENT_ASK : 0;
	conf.window = role == BS_INITIATOR ? 200 : WINDOW;
	bs_stream_mem_init(&mem, &conf);
	len = bs_stream_segments_len(mem.segment_size, SEGMENTS);
	storage[SLOTS] = malloc(len);
	ck_assert_ptr_nonnull(storage[SLOTS]);
	bs_stream_mem_add_segments(&mem, storage[SLOTS], len);
	for (i = 0; i < slots; i++) {
		storage[i] = malloc(bs_stream_slot_len(conf.window));
		ck_assert_ptr_nonnull(storage[i]);
		bs_stream_mem_add_slot(&mem, storage[i]);
	}
	bs_streams_init(&ss, &mem, &ours, &crypto);
}

static void setup(void)
{
	vectors = bs_vectors_load("data.txt");
	memset(storage, 0, sizeof(storage));
}

static void teardown(void)
{
	unsigned i;

	bs_streams_fini(&ss);
	ck_assert_int_eq(mem.n_free, SEGMENTS);
	ck_assert_int_eq(mem.reserved, 0);
	for (i = 0; i <= SLOTS; i++)
		free(storage[i]);
	bs_vectors_free(vectors);
}

/* Open what one end sealed; the other end is a bystander that checks MAC and layout. */
static void decode(struct bs_conn *c, const uint8_t *bytes, size_t len, struct sent *s)
{
	uint8_t *pkt = bs_test_copy(bytes, len);
	struct bs_conn_data d;
	struct bs_payload pl;
	struct bs_packet p;

	memset(s, 0, sizeof(*s));
	ck_assert_int_eq(bs_stream_packet_decode(pkt, len, &p), BS_OK);
	s->nsi_cp = p.h.nsi_cp;
	s->window_len = bs_get_u16(pkt + bs_header_len(p.h.flags) + 2);
	ck_assert_int_eq(bs_window_find(&p, &s->w), BS_OK);
	if (bs_payload_find(&p, BS_PL_SACK, &pl))
		s->n_pairs = bs_sack_get(&pl, s->pair, BS_SACK_PAIRS);
	ck_assert_int_eq(bs_conn_open(c, &crypto, &p, pkt, &ours.remote, now, &d), BS_OK);
	memcpy(s->plain, d.plain.ptr, d.plain.len);
	s->len = d.plain.len;
	free(pkt);
}

static void collect(void)
{
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	size_t len;

	while ((len = bs_streams_output(&ss, buf, sizeof(buf), &to, now)) > 0) {
		ck_assert_uint_lt(n_out, OUT_MOST);
		ck_assert(bs_endpoint_equal(&to, &ours.remote));
		decode(&theirs, buf, len, &out[n_out++]);
	}
}

/* The application of the recording: its banner, then each segment comes back before it counts as
 * read. */
static void echo(struct bs_stream *s)
{
	struct bs_slice d;

	while ((d = bs_stream_peek(s)).len) {
		if (!banner) {
			banner = true;
			bs_stream_consume(s, d.len);
			ck_assert_int_eq(bs_stream_write(s, "+\n", 2, BS_STREAM_PUSH), 2);
			collect();
			continue;
		}
		/* That one wrote only what could go at once. */
		if (!bs__before(s->tx.next, s->tx.limit))
			break;
		ck_assert_int_eq(bs_stream_write(s, d.ptr, d.len, BS_STREAM_PUSH), (int)d.len);
		collect();
		bs_stream_consume(s, d.len);
		collect();
	}
	if (bs_stream_is_eof(s))
		bs_stream_close(s);
}

static void run_app(bool is_echo)
{
	struct bs_stream *s;
	unsigned ev;

	while ((s = bs_streams_next_event(&ss, &ev))) {
		stream = s;
		events |= ev;
		if (is_echo && !(ev & (BS_STREAM_EV_CLOSED | BS_STREAM_EV_ABORTED)))
			echo(s);
		if (ev & (BS_STREAM_EV_CLOSED | BS_STREAM_EV_ABORTED)) {
			if (!is_echo)
				continue;
			bs_stream_release(s, now);
			stream = NULL;
		}
	}
	collect();
}

static int feed(const struct bs_row *row)
{
	struct bs_slice raw = bs_row_hex(row, "hex");
	uint8_t *pkt = bs_test_copy(raw.ptr, raw.len);
	struct bs_conn_data d;
	struct bs_packet p;
	int err;

	now += BS_TIME_MS(1);
	ck_assert_int_eq(bs_stream_packet_decode(pkt, raw.len, &p), BS_OK);
	ck_assert_int_eq(bs_conn_open(&ours, &crypto, &p, pkt, &ours.remote, now, &d), BS_OK);
	err = bs_streams_input(&ss, &p, &d, &ours.remote, now);
	collect();
	free(pkt);
	return err;
}

static bool same_ranges(const struct sent *a, const struct sent *b)
{
	return a->n_pairs == b->n_pairs &&
	       memcmp(a->pair, b->pair, a->n_pairs * sizeof(a->pair[0])) == 0;
}

/* Data is known by its number and bytes: what it acknowledges depends on when the application ran.
 * The initiator's window is its own business. */
static bool same(const struct sent *a, const struct sent *want, bool device)
{
	if (a->w.flags != want->w.flags || a->w.id_cp != want->w.id_cp ||
	    a->w.id_sp != want->w.id_sp || a->w.seq != want->w.seq || a->len != want->len)
		return false;
	if (a->len)
		return memcmp(a->plain, want->plain, a->len) == 0;
	if (a->w.ack != want->w.ack || (want->n_pairs && !same_ranges(a, want)))
		return false;
	if (device && a->w.flags == BS_WINDOW_ACK && a->w.window != want->w.window)
		return false;
	return !(a->w.flags & BS_WINDOW_SYN) ||
	       memcmp(&a->w.syn, &want->w.syn, sizeof(a->w.syn)) == 0;
}

static bool find(const struct sent *want, bool device)
{
	size_t i;

	for (i = 0; i < n_out; i++) {
		if (out[i].matched || !same(&out[i], want, device))
			continue;
		out[i].matched = true;
		return true;
	}
	return false;
}

/* Our end must send this too: now, or when a timer says so. */
static void expect_sent(const struct sent *want, int line, bool device)
{
	bs_time until = now + BS_TIME_MS(20000);
	bs_time at;

	while (!find(want, device)) {
		ck_assert_msg(bs_streams_next_timeout(&ss, &at) && BS_TIME_DIFF(at, until) < 0,
			      "line %d was not sent", line);
		now = BS_TIME_DIFF(at, now) > 0 ? at : now;
		bs_streams_timeout(&ss, now);
		run_app(device);
	}
}

static void expect(const struct bs_row *row, bool device)
{
	struct bs_slice raw = bs_row_hex(row, "hex");
	struct sent want;

	decode(&theirs, raw.ptr, raw.len, &want);
	expect_sent(&want, row->line, device);
}

static bool is_lost(const struct bs_row *row)
{
	const char *note = bs_row_text(row, "note");

	return note && strstr(note, "LOST ON PURPOSE");
}

/* Our device in the recorded device's place. */
static void play_device(const char *name)
{
	struct bs_scenario sc = bs_scenario_find(vectors, name);
	const struct bs_row *row = NULL;

	while ((row = bs_scenario_packet(&sc, row))) {
		if (bs_row_is(row, "from", "dev")) {
			expect(row, true);
		} else if (!is_lost(row)) {
			(void)feed(row);
			run_app(true);
			if (stream && stream->state == BS_STREAM_OPEN)
				echo(stream);
		}
	}
}

/* Nothing that the recording does not have, but repeats. */
static void expect_no_surprise(void)
{
	size_t i;

	for (i = 0; i < n_out; i++)
		ck_assert(out[i].matched || out[i].w.flags == BS_WINDOW_ACK);
}

static const char *const life[] = { "stream_open",
				    "stream_data",
				    "stream_sack_from_device",
				    "stream_retransmission_by_device",
				    "stream_timeout_retransmission",
				    "stream_close",
				    "stream_unknown_rst" };

START_TEST(device_lives_as_recorded)
{
	struct bs_scenario sc = bs_scenario_find(vectors, life[0]);
	size_t i;

	setup_end(&sc, BS_RESPONDER, 1);
	ss.next_id = bs_get_u16(bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex").ptr + 26);
	for (i = 0; i < BS_LEN(life); i++)
		play_device(life[i]);
	expect_no_surprise();
	/* As all devices: their side of the number is empty. */
	for (i = 0; i < n_out; i++)
		ck_assert_int_eq(out[i].nsi_cp, 0);
	ck_assert(events & BS_STREAM_EV_CLOSED);
	ck_assert(!(events & BS_STREAM_EV_ABORTED));
	ck_assert_int_eq(ss.n, 0);
	/* The answer to a stranger: ours says the length that it has. */
	ck_assert_int_eq(out[n_out - 1].w.flags, BS_WINDOW_RST);
	ck_assert_int_eq(out[n_out - 1].window_len, BS_WINDOW_BARE_LEN);
}
END_TEST

START_TEST(device_times_its_repeats)
{
	static const int32_t gap[] = { 500, 750, 1125, 1687 };
	struct bs_scenario sc;
	bs_time at = 0;
	size_t i;

	sc = bs_scenario_find(vectors, life[0]);
	setup_end(&sc, BS_RESPONDER, 1);
	ss.next_id = bs_get_u16(bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex").ptr + 26);
	for (i = 0; i < 4; i++)
		play_device(life[i]);
	sc = bs_scenario_find(vectors, life[4]);
	(void)feed(bs_scenario_packet_at(&sc, 0));
	run_app(true);
	for (i = 0; i < BS_LEN(gap); i++) {
		bs_time before = now;
		size_t n = n_out;

		/* Other timers may come in between. */
		while (n_out == n || out[n_out - 1].len == 0) {
			ck_assert(bs_streams_next_timeout(&ss, &at));
			now = at;
			bs_streams_timeout(&ss, now);
			collect();
		}
		ck_assert_int_ge(BS_TIME_DIFF_MS(now - before), gap[i]);
		ck_assert_int_lt(BS_TIME_DIFF_MS(now - before), gap[i] + 60);
	}
}
END_TEST

/* A stream in the middle of its life, made by hand. */
static void make_stream(const struct bs_scenario *sc, size_t first, uint16_t window, bool initiator)
{
	struct bs_slice raw = bs_row_hex(bs_scenario_packet_at(sc, first), "hex");
	struct bs_window_pl w;
	struct bs_packet p;

	ck_assert_int_eq(bs_stream_packet_decode(raw.ptr, raw.len, &p), BS_OK);
	ck_assert_int_eq(bs_window_find(&p, &w), BS_OK);
	bs__streams_bind(&ss, now);
	stream = bs__streams_make(&ss, p.h.tag, now);
	ck_assert_ptr_nonnull(stream);
	stream->id_cp = w.id_cp;
	stream->id_sp = w.id_sp;
	bs__mem_unreserve(&mem, stream->rx.reserved - window);
	stream->rx.reserved = window;
	bs__rx_init(stream, initiator ? w.ack : w.seq, window, BS_STREAM_SEGMENT);
	bs__tx_init(stream, initiator ? w.seq : w.ack, (initiator ? w.seq : w.ack) + window, window,
		    BS_STREAM_SEGMENT);
	stream->state = BS_STREAM_OPEN;
	ours.large = true;
	banner = true;
}

START_TEST(device_stops_at_a_shut_window)
{
	struct bs_scenario sc = bs_scenario_find(vectors, "stream_zero_window");

	setup_end(&sc, BS_RESPONDER, 1);
	make_stream(&sc, 0, 5, false);
	play_device("stream_zero_window");
	expect_no_surprise();
	ck_assert(!(events & BS_STREAM_EV_ABORTED));
}
END_TEST

START_TEST(device_is_reset)
{
	struct bs_scenario sc = bs_scenario_find(vectors, "stream_reset");

	setup_end(&sc, BS_RESPONDER, 1);
	make_stream(&sc, 0, 5, false);
	play_device("stream_reset");
	ck_assert(events & BS_STREAM_EV_ABORTED);
	ck_assert_int_eq(n_out, 0);
}
END_TEST

START_TEST(device_refuses)
{
	struct bs_scenario sc = bs_scenario_find(vectors, "stream_refused");

	setup_end(&sc, BS_RESPONDER, 0);
	play_device("stream_refused");
	ck_assert_int_eq(n_out, 1);
	ck_assert_int_eq(out[0].window_len, BS_WINDOW_BARE_LEN);
}
END_TEST

START_TEST(device_serves_a_tunnel)
{
	struct bs_scenario sc = bs_scenario_find(vectors, "tunnel_refused");
	struct bs_stream *s;
	unsigned ev;

	setup_end(&sc, BS_RESPONDER, 1);
	ss.next_id = bs_get_u16(bs_row_hex(bs_scenario_packet_at(&sc, 1), "hex").ptr + 26);
	(void)feed(bs_scenario_packet_at(&sc, 0));
	expect(bs_scenario_packet_at(&sc, 1), true);
	(void)feed(bs_scenario_packet_at(&sc, 2));
	(void)feed(bs_scenario_packet_at(&sc, 3));
	expect(bs_scenario_packet_at(&sc, 4), true);
	s = bs_streams_next_event(&ss, &ev);
	ck_assert_ptr_nonnull(s);
	bs_stream_close(s);
	collect();
	expect(bs_scenario_packet_at(&sc, 5), true);
	(void)feed(bs_scenario_packet_at(&sc, 6));
	ck_assert_int_eq(s->tx.fin, BS_STREAM_FIN_DONE);
	ck_assert_int_eq(s->state, BS_STREAM_OPEN);
}
END_TEST

/* Our client in the recorded client's place: it writes what that wrote. */
static void play_client(const char *name)
{
	struct bs_scenario sc = bs_scenario_find(vectors, name);
	const struct bs_row *row = NULL;
	struct sent want;

	while ((row = bs_scenario_packet(&sc, row))) {
		struct bs_slice raw = bs_row_hex(row, "hex");

		if (bs_row_is(row, "from", "dev")) {
			if (!is_lost(row))
				(void)feed(row);
			run_app(false);
			if (stream)
				bs_stream_consume(stream, 1400);
			collect();
			continue;
		}
		decode(&theirs, raw.ptr, raw.len, &want);
		if (want.len && stream && want.w.seq == stream->tx.end)
			ck_assert_int_eq(
				bs_stream_write(stream, want.plain, want.len, BS_STREAM_PUSH),
				(int)want.len);
		if (want.w.flags & BS_WINDOW_FIN)
			bs_stream_close(stream);
		collect();
		expect_sent(&want, row->line, false);
	}
}

static void open_as_recorded(const struct bs_scenario *sc)
{
	struct bs_slice syn = bs_row_hex(bs_scenario_packet_at(sc, 0), "hex");

	setup_end(sc, BS_INITIATOR, SLOTS);
	ss.next_tag = bs_get_u16(syn.ptr + 16);
	ss.next_id = bs_get_u16(syn.ptr + 24);
	ck_assert_int_eq(bs_stream_open(&ss, now, &stream), BS_OK);
	stream->tx.una = bs_get_u32(syn.ptr + 28) + 1;
	stream->tx.next = stream->tx.una;
	stream->tx.end = stream->tx.una;
}

START_TEST(client_lives_as_recorded)
{
	struct bs_scenario sc = bs_scenario_find(vectors, life[0]);
	size_t i;

	open_as_recorded(&sc);
	for (i = 0; i < 6; i++)
		play_client(life[i]);
	ck_assert(events & BS_STREAM_EV_OPEN);
	ck_assert(events & BS_STREAM_EV_PEER_CLOSED);
	ck_assert(events & BS_STREAM_EV_CLOSED);
	ck_assert(!(events & BS_STREAM_EV_ABORTED));
	ck_assert(bs_stream_is_eof(stream));
	/* "+\n" and all that was echoed. */
	ck_assert_int_eq((int)stream->stats.rx_bytes, 2 + 12 + 5 * 4 + 6 * 4 + 6);
	expect_no_surprise();
}
END_TEST

START_TEST(client_takes_the_odd_refusal)
{
	struct bs_scenario sc = bs_scenario_find(vectors, "stream_refused");

	open_as_recorded(&sc);
	play_client("stream_refused");
	ck_assert(events & BS_STREAM_EV_ABORTED);
	ck_assert_int_eq(stream->err, BS_EREFUSED);
}
END_TEST

START_TEST(client_opens_tunnels)
{
	static const char *const names[] = { "tunnel_open_ok", "tunnel_refused" };
	struct bs_scenario sc = bs_scenario_find(vectors, names[_i]);

	open_as_recorded(&sc);
	play_client(names[_i]);
	ck_assert(!(events & BS_STREAM_EV_ABORTED));
	ck_assert_int_eq((events & BS_STREAM_EV_PEER_CLOSED) != 0, _i);
	ck_assert_int_eq((int)stream->stats.rx_bytes, _i ? 0 : 18);
}
END_TEST

/* The device never acknowledges our FIN; its own ends the stream, soon, and in order. */
START_TEST(client_finishes_without_an_ack_of_its_fin)
{
	struct bs_scenario sc = bs_scenario_find(vectors, "stream_fin_with_unread_data");
	const struct bs_row *row = NULL;
	bs_time at = 0;
	bs_time start;

	setup_end(&sc, BS_INITIATOR, 1);
	make_stream(&sc, 0, WINDOW, true);
	bs_stream_close(stream);
	collect();
	expect(bs_scenario_packet_at(&sc, 0), false);
	while ((row = bs_scenario_packet(&sc, row))) {
		if (bs_row_is(row, "from", "dev"))
			(void)feed(row);
	}
	/* One more than there is was offered. */
	ck_assert_uint_le(stream->tx.limit - stream->tx.una, WINDOW);
	start = now;
	while (!(events & BS_STREAM_EV_CLOSED)) {
		ck_assert(bs_streams_next_timeout(&ss, &at));
		ck_assert_int_lt(BS_TIME_DIFF_MS(BS_TIME_DIFF(at, start)), 10000);
		now = at;
		bs_streams_timeout(&ss, now);
		run_app(false);
	}
	ck_assert(bs_stream_is_eof(stream));
	ck_assert_int_eq(stream->err, BS_OK);
}
END_TEST

Suite *bs_suite_stream_replay(void);

Suite *bs_suite_stream_replay(void)
{
	Suite *s = suite_create("stream_replay");
	TCase *tc = tcase_create("replay");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, device_lives_as_recorded);
	tcase_add_test(tc, device_times_its_repeats);
	tcase_add_test(tc, device_stops_at_a_shut_window);
	tcase_add_test(tc, device_is_reset);
	tcase_add_test(tc, device_refuses);
	tcase_add_test(tc, device_serves_a_tunnel);
	tcase_add_test(tc, client_lives_as_recorded);
	tcase_add_test(tc, client_takes_the_odd_refusal);
	tcase_add_loop_test(tc, client_opens_tunnels, 0, 2);
	tcase_add_test(tc, client_finishes_without_an_ack_of_its_fin);
	suite_add_tcase(s, tc);
	return s;
}
