/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads of streams, and both ends of the machine under packets that anybody could have sealed.
 * First byte: bit 0 the role, bit 1 FAST_STREAM.  A packet follows; then records of 14 bytes make
 * packets that fit the stream more often than chance would. */
#include "crypto/small.h"
#include "fuzz.h"
#include "proto/stream.h"
#include "util/endpoint.h"

#define SEGMENTS 40
#define SLOTS    3
#define RECORD   14

static struct bs_conn conn;
static struct bs_crypto crypto;
static struct bs_stream_mem mem;
static struct bs_streams ss;
static struct bs_stream *opened;
static bs_time now;

static int no_random(void *ctx, uint8_t *buf, size_t len)
{
	(void)ctx;
	memset(buf, 7, len);
	return BS_OK;
}

static void wire(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	uint8_t out[64];
	struct bs_window_pl w;
	struct bs_window_pl again;
	struct bs_writer wr;
	struct bs_payload pl;
	struct bs_packet p;
	size_t off = 0;

	if (fuzz_taken(bs_stream_packet_decode(pkt, len, &p)) &&
	    fuzz_taken(bs_window_find(&p, &w))) {
		bs_writer_init(&wr, out, sizeof(out));
		bs_window_put(&wr, &w);
		FUZZ_CHECK(!wr.bad && bs_payload_list_next(out, wr.len, &off, &pl));
		FUZZ_CHECK(bs_window_get(&pl, &again) == BS_OK);
		FUZZ_CHECK(again.seq == w.seq && again.ack == w.ack && again.flags == w.flags);
	}
	free(pkt);
}

/* Everything that comes out must fit, and end. */
static void drain(void)
{
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	struct bs_stream *s;
	unsigned ev;
	unsigned n = 0;

	while (bs_streams_output(&ss, buf, sizeof(buf), &to, now) > 0)
		FUZZ_CHECK(++n < 1000);
	while ((s = bs_streams_next_event(&ss, &ev))) {
		struct bs_slice d = bs_stream_peek(s);

		if (ev & (BS_STREAM_EV_CLOSED | BS_STREAM_EV_ABORTED)) {
			if (s == opened)
				opened = NULL;
			bs_stream_release(s, now);
			continue;
		}
		if (bs_stream_write(s, d.ptr, d.len, 0) < 0)
			bs_stream_consume(s, 1);
		bs_stream_consume(s, d.len);
		if (bs_stream_is_eof(s))
			bs_stream_close(s);
	}
}

static void feed(const uint8_t *bytes, size_t len)
{
	uint8_t *pkt = fuzz_packet(bytes, len);
	struct bs_conn_data d;
	struct bs_packet p;

	if (fuzz_taken(bs_stream_packet_decode(pkt, len, &p)) &&
	    fuzz_taken(bs_conn_open(&conn, &crypto, &p, pkt, &conn.remote, now, &d)))
		(void)fuzz_taken(bs_streams_input(&ss, &p, &d, &conn.remote, now));
	free(pkt);
	drain();
}

static uint32_t near(uint32_t base, uint8_t by)
{
	return base + (uint32_t)(int32_t)(int8_t)by;
}

/* flags, id, seq, ack, window, length, part, sack start, sack length, syn sizes, time, act */
static void record(const uint8_t *r)
{
	struct bs_stream *s = ss.all;
	struct bs_conn_send send = { 0 };
	struct bs_window_pl w = { 0 };
	struct bs_sack_pair pair;
	struct bs_part part;
	struct bs_slice plain;
	uint8_t text[256] = { 0 };
	uint8_t buf[600];
	struct bs_writer wr;
	bs_ssize n;

	send.tag = s ? s->tag : (uint16_t)(0x1000 + r[1] % 4);
	w.flags = (uint8_t)(r[0] & 0xF0);
	w.id_cp = s ? s->id_cp : 1;
	w.id_sp = s ? s->id_sp : (uint16_t)(r[1] & 1);
	w.seq = near(s ? s->rx.ack : 1000, r[2]);
	w.ack = near(s ? s->tx.una : 0, r[3]);
	w.window = r[4];
	w.syn.options = r[5] & 3;
	w.syn.rx_size = (uint16_t)(r[9] * 8u);
	w.syn.tx_size = (uint16_t)(r[9] * 4u);
	w.syn.rx_window = r[10];
	w.syn.tx_window = r[10];
	w.syn.retrans = r[11] & 15;
	w.syn.timeout_ms = 1000;
	plain.ptr = text;
	plain.len = r[5];
	bs_conn_begin(&conn, &send, &wr, buf, sizeof(buf));
	bs_window_put(&wr, &w);
	pair.start = near(w.ack, r[7]);
	pair.end = near(pair.start, r[8]);
	if (r[8])
		bs_sack_put(&wr, &pair, 1);
	part.off = (uint16_t)((r[6] & 15) * BS_PART_UNIT);
	part.total = (uint16_t)(r[6] * 64u);
	if (r[6] & 0x80)
		bs_part_put(&wr, &part);
	n = bs_suite_null.seal(&crypto, &conn.key, BS_INITIATOR, &wr, 0, plain);
	if (n > 0)
		feed(buf, (size_t)n);
	now += BS_TIME_MS(r[12]) * 4;
	bs_streams_timeout(&ss, now);
	drain();
	if (opened && r[13] == 1)
		bs_stream_close(opened);
	if (opened && r[13] == 2 && bs_stream_write(opened, text, sizeof(text), 0) < 0)
		bs_stream_close(opened);
	if (opened && r[13] == 3) {
		bs_stream_release(opened, now);
		opened = NULL;
	}
	if (r[13] == 4)
		bs_streams_path_changed(&ss, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bs_stream_conf conf = { 0 };
	struct bs_conn_ext ext = { 0 };
	void *segments;
	void *slots;
	size_t each;
	size_t i;

	if (len < 1)
		return 0;
	wire(data + 1, len - 1);
	bs_small_crypto_init(&crypto, no_random, NULL);
	now = BS_TIME_MS(100000);
	bs_conn_init(&conn, data[0] & 1 ? BS_INITIATOR : BS_RESPONDER, 4711, NULL, &bs_suite_null,
		     now);
	conn.state = BS_CONN_OPEN;
	ext.fast = (data[0] & 2) != 0;
	bs_conn_set_ext(&conn, ext);
	bs_endpoint_set_ip4(&conn.remote, 0x0A000001, 5000);
	conf.segment = 600;
	conf.window = 16;
	bs_stream_mem_init(&mem, &conf);
	each = bs_stream_slot_len(conf.window);
	segments = malloc(bs_stream_segments_len(600, SEGMENTS));
	slots = malloc(SLOTS * each);
	FUZZ_CHECK(segments && slots);
	bs_stream_mem_add_segments(&mem, segments, bs_stream_segments_len(600, SEGMENTS));
	for (i = 0; i < SLOTS; i++)
		bs_stream_mem_add_slot(&mem, (uint8_t *)slots + i * each);
	bs_streams_init(&ss, &mem, &conn, &crypto);
	opened = NULL;
	if (data[0] & 1)
		FUZZ_CHECK(bs_stream_open(&ss, now, &opened) == BS_OK);
	drain();
	feed(data + 1, len - 1);
	for (i = 1; i + RECORD <= len; i += RECORD)
		record(data + i);
	bs_streams_fini(&ss);
	FUZZ_CHECK(mem.n_free == SEGMENTS && mem.reserved == 0);
	free(segments);
	free(slots);
	return 0;
}
