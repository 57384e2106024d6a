/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCP relay: handshakes and their answers, GW payloads, and the cutting and checking of a
 * stream.  The first byte of an input says what the rest is.
 */
#include "fuzz.h"
#include "proto/gw_client.h"

static void hello(const struct bs_packet *p)
{
	uint8_t out[BS_GW_HELLO_LEN];
	struct bs_gw_hello m;
	struct bs_gw_hello again;
	struct bs_packet q;

	if (!fuzz_taken(bs_gw_hello_decode(p, &m)))
		return;
	FUZZ_CHECK(bs_gw_hello_encode(out, sizeof(out), &m) == BS_GW_HELLO_LEN);
	FUZZ_CHECK(bs_packet_decode(out, sizeof(out), &q) == BS_OK);
	FUZZ_CHECK(bs_gw_hello_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(memcmp(m.id, again.id, sizeof(m.id)) == 0 && m.nsi_sp == again.nsi_sp);
}

static void answer(const struct bs_packet *p)
{
	uint8_t out[BS_GW_ANSWER_LEN];
	struct bs_gw_answer m;
	struct bs_gw_answer again;
	struct bs_packet q;
	bs_ssize n;

	if (!fuzz_taken(bs_gw_answer_decode(p, &m)))
		return;
	n = bs_gw_answer_encode(out, sizeof(out), &m);
	FUZZ_CHECK(n == 22 || n == BS_GW_ANSWER_LEN);
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_gw_answer_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(again.nsi_sp == m.nsi_sp && again.flags == m.flags);
}

static void payload(const uint8_t *data, size_t len)
{
	struct bs_payload pl = { BS_PL_GW, 0, (uint16_t)len, data };
	uint8_t out[BS_GW_PAYLOAD_LEN];
	struct bs_writer w;
	struct bs_gw gw;

	if (len > UINT16_MAX || !fuzz_taken(bs_gw_get(&pl, &gw)))
		return;
	bs_writer_init(&w, out, sizeof(out));
	bs_gw_put(&w, &gw);
	FUZZ_CHECK(!w.bad && w.len == BS_GW_PAYLOAD_LEN);
	FUZZ_CHECK(memcmp(out + 4, data, len) == 0);
}

/* Cut a stream as a relay does; it must always come to an end. */
static void stream(const uint8_t *data, size_t len)
{
	size_t off = 0;

	while (off < len) {
		bs_ssize n = bs_gw_frame_len(data + off, len - off, BS_PACKET_MAX);

		if (n < 0 || (size_t)n > len - off)
			return;
		FUZZ_CHECK(n >= BS_HEADER_MIN && n <= BS_PACKET_MAX);
		fuzz_taken(bs_gw_data_check(data + off, (size_t)n, 0x7001, true));
		fuzz_taken(bs_gw_data_check(data + off, (size_t)n, 0x7001, false));
		off += (size_t)n;
	}
}

/* What a relay may say to a client that waits. */
static void client(const uint8_t *data, size_t len)
{
	static const uint8_t gw[BS_GW_DATA_LEN] = { 127, 0, 0, 1, 0x15, 0xC0 };
	const struct bs_endpoint gate = { .port = 5571 };
	struct bs_ipx ipx = { .nsi_sp = 0x7001 };
	struct bs_gw_client g;
	uint8_t out[BS_GW_HELLO_LEN];

	bs_gw_client_init(&g, (struct bs_slice){ gw, sizeof(gw) }, &ipx, &gate);
	bs_gw_client_start(&g, BS_GW_MODE_TCP, 1);
	bs_gw_client_timeout(&g, 1);
	bs_gw_client_opened(&g, 1);
	FUZZ_CHECK(bs_gw_client_output(&g, out, sizeof(out), 1) == sizeof(out));
	fuzz_taken(bs_gw_client_input(&g, data, len));
	FUZZ_CHECK(memchr(g.text, 0, sizeof(g.text)) != NULL);
	bs_gw_client_closed(&g, 2);
	FUZZ_CHECK(bs_gw_client_wants(&g) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t what = len > 0 ? data[0] : 0;
	struct bs_packet p;
	uint8_t *pkt;

	len -= len > 0;
	pkt = fuzz_packet(data + 1, len);
	/* These have length fields of their own, or none. */
	if ((what == 1 || what == 2) && len > 0)
		memcpy(pkt, data + 1, len);
	if (what == 1) {
		payload(pkt, len);
	} else if (what == 2) {
		stream(pkt, len);
	} else if (what == 3) {
		client(pkt, len);
	} else if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		hello(&p);
		answer(&p);
	}
	free(pkt);
	return 0;
}
