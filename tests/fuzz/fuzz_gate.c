/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the client gate and probes: what is taken is written again and means the same. */
#include "fuzz.h"
#include "wire/gate.h"
#include "wire/probe.h"

/** Room for every packet that an encoder may make. */
static uint8_t out[BS_GATE_PACKET_MAX];

static bool decode_out(bs_ssize len, struct bs_packet *p)
{
	/* What was read may be larger than what we write: texts are cut, unknown parts left out. */
	if (len < 0)
		return false;
	FUZZ_CHECK(bs_gate_frame_len(out, (size_t)len) == len);
	FUZZ_CHECK(bs_packet_decode(out, (size_t)len, p) == BS_OK);
	return true;
}

static void hello(const struct bs_packet *p)
{
	struct bs_gate_hello a, b;
	struct bs_gate_hello_answer x, y;
	struct bs_packet q;

	if (fuzz_taken(bs_gate_hello_decode(p, &a)) &&
	    decode_out(bs_gate_hello_encode(&a, out, sizeof(out)), &q)) {
		FUZZ_CHECK(bs_gate_hello_decode(&q, &b) == BS_OK);
		FUZZ_CHECK(b.params.has == a.params.has && b.h.seq == a.h.seq);
	}
	if (fuzz_taken(bs_gate_hello_answer_decode(p, &x)) &&
	    decode_out(bs_gate_hello_answer_encode(&x, out, sizeof(out)), &q)) {
		FUZZ_CHECK(bs_gate_hello_answer_decode(&q, &y) == BS_OK);
		FUZZ_CHECK(y.status.code == x.status.code);
		if (x.status.code == BS_ST_OK)
			FUZZ_CHECK(y.n_probes == x.n_probes && y.node.port == x.node.port);
	}
}

static void connect(const struct bs_packet *p)
{
	struct bs_gate_connect a, b;
	struct bs_gate_connect_answer x, y;
	struct bs_packet q;

	if (fuzz_taken(bs_gate_connect_decode(p, &a))) {
		FUZZ_CHECK(bs_device_id_ok(a.device.ptr, a.device.len));
		FUZZ_CHECK(a.n_hosts <= BS_GATE_HOSTS_MAX);
		if (decode_out(bs_gate_connect_encode(&a, out, sizeof(out)), &q)) {
			FUZZ_CHECK(bs_gate_connect_decode(&q, &b) == BS_OK);
			FUZZ_CHECK(b.n_hosts == a.n_hosts);
			FUZZ_CHECK(memcmp(b.attempt, a.attempt, sizeof(a.attempt)) == 0);
		}
	}
	if (fuzz_taken(bs_gate_connect_answer_decode(p, &x)) &&
	    decode_out(bs_gate_connect_answer_encode(&x, out, sizeof(out)), &q)) {
		FUZZ_CHECK(bs_gate_connect_answer_decode(&q, &y) == BS_OK);
		FUZZ_CHECK(y.status.code == x.status.code);
		if (x.status.code == BS_ST_OK)
			FUZZ_CHECK(y.key.has_key == x.key.has_key && y.n_eps == x.n_eps);
	}
}

static void lists(const struct bs_packet *p)
{
	struct bs_gate_list_answer rows;
	struct bs_gate_watch a, b;
	struct bs_gate_list l;
	struct bs_presence pr;
	struct bs_packet q;
	size_t off = 0;

	if (fuzz_taken(bs_gate_watch_decode(p, &a)) &&
	    decode_out(bs_gate_watch_encode(&a, out, sizeof(out)), &q)) {
		FUZZ_CHECK(bs_gate_watch_decode(&q, &b) == BS_OK);
		FUZZ_CHECK(b.n_ids == a.n_ids);
	}
	if (fuzz_taken(bs_gate_list_decode(p, &l)))
		(void)decode_out(bs_gate_list_encode(&l, out, sizeof(out)), &q);
	(void)fuzz_taken(bs_gate_list_answer_decode(p, &rows));
	while (bs_gate_presence_next(p, &off, &pr))
		FUZZ_CHECK(bs_device_id_ok(pr.id.ptr, pr.id.len) && pr.state <= 2);
}

static void rest(const struct bs_packet *p)
{
	struct bs_gate_disconnect d;
	struct bs_gate_redirect r;
	struct bs_gate_event e;
	struct bs_gate_error m;
	struct bs_packet q;
	bool answer;

	(void)fuzz_taken(bs_gate_check(p, &answer));
	if (fuzz_taken(bs_gate_disconnect_decode(p, &d)))
		(void)decode_out(bs_gate_disconnect_encode(&d, out, sizeof(out)), &q);
	if (fuzz_taken(bs_gate_redirect_decode(p, &r)))
		FUZZ_CHECK(decode_out(bs_gate_redirect_encode(&r, out, sizeof(out)), &q));
	if (fuzz_taken(bs_gate_event_decode(p, &e)) && e.has_status)
		FUZZ_CHECK(decode_out(bs_gate_event_encode(&e, NULL, 0, out, sizeof(out)), &q));
	if (fuzz_taken(bs_gate_error_decode(p, &m)))
		FUZZ_CHECK(decode_out(bs_gate_error_encode(&m, out, sizeof(out)), &q));
}

static void probes(const uint8_t *pkt, size_t len)
{
	uint8_t again[BS_PROBE_LEN];
	struct bs_probe_answer a;
	struct bs_probe probe;

	if (fuzz_taken(bs_probe_decode(pkt, len, &probe))) {
		FUZZ_CHECK(bs_probe_encode(&probe, again) == BS_PROBE_LEN);
		/* The header's retransmission byte is nobody's, flags of NONCE too. */
		FUZZ_CHECK(memcmp(again + 20, pkt + 20, BS_PROBE_MAC_OFF - 20) == 0);
	}
	(void)fuzz_taken(bs_probe_answer_decode(pkt, len, &a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	bs_ssize frame = bs_gate_frame_len(data, len);
	struct bs_packet p;

	FUZZ_CHECK(frame < 0 || (frame >= BS_HEADER_MIN && frame <= BS_GATE_PACKET_MAX));
	if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		hello(&p);
		connect(&p);
		lists(&p);
		rest(&p);
		probes(pkt, len);
	}
	free(pkt);
	return 0;
}
