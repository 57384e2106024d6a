/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/gate.h"

#include "test.h"
#include "util/endpoint.h"

/* One valid packet of each message; the encoders with data to put in. */

static const struct bs_gate_head head = { 0x11223344, 0x01020304, 0x0506 };

static struct bs_endpoint ip4(uint32_t a, uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, a, port);
	return ep;
}

static struct bs_gate_hello hello(void)
{
	struct bs_gate_hello m;

	memset(&m, 0, sizeof(m));
	m.h = head;
	m.version.kind = 1;
	m.version.major = 3;
	m.version.label = bs_test_text("app");
	m.caps.bits = BS_CAP_ASYNC;
	m.caps.mask = BS_CAP_ASYNC;
	m.params.has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) | BS_PARAM_BIT(BS_PARAM_VERSIONS);
	m.params.keepalive_s = 60;
	m.params.version_min = 1;
	m.params.version_max = 2;
	return m;
}

static struct bs_gate_hello_answer hello_answer(void)
{
	struct bs_gate_hello_answer m;

	memset(&m, 0, sizeof(m));
	m.h = head;
	m.status.code = BS_ST_OK;
	memset(m.token, 0x5A, sizeof(m.token));
	m.n_probes = 2;
	m.probes[0] = ip4(0xC0000201, 5566);
	m.probes[1] = ip4(0xC0000201, 5562);
	m.observed = ip4(0xCB007105, 40000);
	m.node.port = 5571;
	m.node.host = bs_test_text("base1.example.org");
	m.params.has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) | BS_PARAM_BIT(BS_PARAM_SERVER_TIME) |
		       BS_PARAM_BIT(BS_PARAM_PACKET_MAX) | BS_PARAM_BIT(BS_PARAM_VERSIONS);
	m.params.keepalive_s = 30;
	m.params.server_time_ms = UINT64_C(1767323045123);
	m.params.packet_max = 4096;
	m.params.version_min = m.params.version_max = 1;
	m.caps.bits = m.caps.mask = BS_CAP_UDP;
	return m;
}

static struct bs_gate_connect connect_request(void)
{
	struct bs_gate_connect m;

	memset(&m, 0, sizeof(m));
	m.h = head;
	m.device = bs_test_text("cam1.example.org");
	memcpy(m.attempt, "ATTEMPT1", 8);
	m.n_hosts = 2;
	m.hosts[0].ep = ip4(0x0A000001, 1000);
	m.hosts[0].kind = BS_EP6_HOST;
	m.hosts[0].priority = 9;
	m.hosts[1].ep.ip[0] = 0xFD;
	m.hosts[1].ep.port = 2000;
	m.hosts[1].kind = BS_EP6_HOST;
	return m;
}

static struct bs_gate_connect_answer connect_answer(void)
{
	struct bs_gate_connect_answer m;

	memset(&m, 0, sizeof(m));
	m.h = head;
	m.status.code = BS_ST_OK;
	memcpy(m.attempt, "ATTEMPT1", 8);
	m.ipx.priv = ip4(0x0A000002, 1);
	m.ipx.global = ip4(0xCB007106, 2);
	m.ipx.flags = BS_IPX_ASYNC;
	m.ipx.has_nsi = m.ipx.has_full = true;
	m.ipx.nsi_sp = head.sp;
	m.ipx.nsi_cp = 77;
	m.key.suite = BS_SUITE_AES_CBC;
	m.key.has_key = true;
	memset(m.key.key.b, 0xD0, sizeof(m.key.key.b));
	memset(m.relay_key, 0x33, sizeof(m.relay_key));
	m.nat.mapping = BS_NAT_BY_PORT;
	m.n_eps = 1;
	m.eps[0].ep = m.ipx.global;
	m.eps[0].kind = BS_EP6_OBSERVED;
	m.has_ext = true;
	m.ext.bits = BS_EXT_IP6;
	return m;
}

static bs_ssize encode_hello(uint8_t *buf, size_t cap)
{
	struct bs_gate_hello m = hello();

	return bs_gate_hello_encode(&m, buf, cap);
}

static bs_ssize encode_hello_answer(uint8_t *buf, size_t cap)
{
	struct bs_gate_hello_answer m = hello_answer();

	return bs_gate_hello_answer_encode(&m, buf, cap);
}

static bs_ssize encode_connect(uint8_t *buf, size_t cap)
{
	struct bs_gate_connect m = connect_request();

	return bs_gate_connect_encode(&m, buf, cap);
}

static bs_ssize encode_connect_answer(uint8_t *buf, size_t cap)
{
	struct bs_gate_connect_answer m = connect_answer();

	return bs_gate_connect_answer_encode(&m, buf, cap);
}

static bs_ssize encode_disconnect(uint8_t *buf, size_t cap)
{
	struct bs_gate_disconnect m = { .h = head };

	m.params.has = BS_PARAM_BIT(BS_PARAM_PATH);
	m.params.path = 3;
	return bs_gate_disconnect_encode(&m, buf, cap);
}

static bs_ssize encode_disconnect_answer(uint8_t *buf, size_t cap)
{
	struct bs_gate_disconnect m = { .h = head, .status = { .code = BS_ST_OK } };

	return bs_gate_disconnect_encode(&m, buf, cap);
}

static bs_ssize encode_watch(uint8_t *buf, size_t cap)
{
	struct bs_gate_watch m;

	memset(&m, 0, sizeof(m));
	m.h = head;
	m.n_ids = 2;
	m.ids[0] = bs_test_text("a.example.org");
	m.ids[1] = bs_test_text("b.example.org");
	m.params.has = BS_PARAM_BIT(BS_PARAM_SINCE) | BS_PARAM_BIT(BS_PARAM_UNSUBSCRIBE);
	m.params.since = 99;
	return bs_gate_watch_encode(&m, buf, cap);
}

static struct bs_presence presence(const char *id, uint8_t state)
{
	struct bs_presence p = { 41, state, UINT64_C(1767323045123), { NULL, 0 } };

	p.id = bs_test_text(id);
	return p;
}

static bs_ssize encode_rows(uint8_t type, struct bs_slice cursor, uint8_t *buf, size_t cap)
{
	struct bs_status_text st = { BS_ST_OK, { NULL, 0 } };
	struct bs_presence a = presence("a.example.org", BS_PRESENCE_ONLINE);
	struct bs_presence b = presence("b.example.org", BS_PRESENCE_OFFLINE);
	struct bs_writer w;

	bs_gate_list_answer_begin(&w, buf, cap, type, &head, &st);
	bs_presence_put(&w, &a);
	bs_presence_put(&w, &b);
	return bs_gate_list_answer_end(&w, cursor);
}

static bs_ssize encode_watch_answer(uint8_t *buf, size_t cap)
{
	return encode_rows(BS_TYPE_WATCH, (struct bs_slice){ NULL, 0 }, buf, cap);
}

static bs_ssize encode_list(uint8_t *buf, size_t cap)
{
	struct bs_gate_list m = { .h = head };

	m.cursor = bs_test_text("here");
	return bs_gate_list_encode(&m, buf, cap);
}

static bs_ssize encode_list_answer(uint8_t *buf, size_t cap)
{
	return encode_rows(BS_TYPE_LIST, bs_test_text("next"), buf, cap);
}

static bs_ssize encode_event(uint8_t *buf, size_t cap)
{
	struct bs_gate_event m = { .h = head };
	struct bs_presence p = presence("a.example.org", BS_PRESENCE_ONLINE);

	return bs_gate_event_encode(&m, &p, 1, buf, cap);
}

static bs_ssize encode_error(uint8_t *buf, size_t cap)
{
	struct bs_gate_error m;

	memset(&m, 0, sizeof(m));
	m.h = head;
	m.status.code = BS_ST_MALFORMED;
	m.status.text = bs_test_text("why");
	return bs_gate_error_encode(&m, buf, cap);
}

static bs_ssize encode_redirect(uint8_t *buf, size_t cap)
{
	struct bs_gate_redirect m;

	m.h = head;
	m.node.port = 5571;
	m.node.host = bs_test_text("base2.example.org");
	return bs_gate_redirect_encode(&m, buf, cap);
}

static bs_ssize encode_ping(uint8_t *buf, size_t cap)
{
	return bs_gate_ping_encode(&head, false, buf, cap);
}

/* The decoders behind one shape, so that every row meets the same treatment. */

static int decode_hello(const struct bs_packet *p)
{
	struct bs_gate_hello m;

	return bs_gate_hello_decode(p, &m);
}

static int decode_hello_answer(const struct bs_packet *p)
{
	struct bs_gate_hello_answer m;

	return bs_gate_hello_answer_decode(p, &m);
}

static int decode_connect(const struct bs_packet *p)
{
	struct bs_gate_connect m;

	return bs_gate_connect_decode(p, &m);
}

static int decode_connect_answer(const struct bs_packet *p)
{
	struct bs_gate_connect_answer m;

	return bs_gate_connect_answer_decode(p, &m);
}

static int decode_disconnect(const struct bs_packet *p)
{
	struct bs_gate_disconnect m;

	return bs_gate_disconnect_decode(p, &m);
}

static int decode_watch(const struct bs_packet *p)
{
	struct bs_gate_watch m;

	return bs_gate_watch_decode(p, &m);
}

static int decode_list(const struct bs_packet *p)
{
	struct bs_gate_list m;

	return bs_gate_list_decode(p, &m);
}

static int decode_rows(const struct bs_packet *p)
{
	struct bs_gate_list_answer m;

	return bs_gate_list_answer_decode(p, &m);
}

static int decode_event(const struct bs_packet *p)
{
	struct bs_gate_event m;

	return bs_gate_event_decode(p, &m);
}

static int decode_error(const struct bs_packet *p)
{
	struct bs_gate_error m;

	return bs_gate_error_decode(p, &m);
}

static int decode_redirect(const struct bs_packet *p)
{
	struct bs_gate_redirect m;

	return bs_gate_redirect_decode(p, &m);
}

static int decode_ping(const struct bs_packet *p)
{
	bool answer;

	return bs_gate_check(p, &answer);
}

struct row {
	const char *name;
	uint8_t type;
	bool answer;
	bs_ssize (*encode)(uint8_t *buf, size_t cap);
	int (*decode)(const struct bs_packet *p);
	bool takes_anything; /**< PING: no decoder of its own */
};

static const struct row rows[] = {
	{ "hello", BS_TYPE_HELLO, false, encode_hello, decode_hello, false },
	{ "hello answer", BS_TYPE_HELLO, true, encode_hello_answer, decode_hello_answer, false },
	{ "connect", BS_TYPE_CONNECT, false, encode_connect, decode_connect, false },
	{ "connect answer", BS_TYPE_CONNECT, true, encode_connect_answer, decode_connect_answer,
	  false },
	{ "disconnect", BS_TYPE_DISCONNECT, false, encode_disconnect, decode_disconnect, false },
	{ "disconnect answer", BS_TYPE_DISCONNECT, true, encode_disconnect_answer,
	  decode_disconnect, false },
	{ "watch", BS_TYPE_WATCH, false, encode_watch, decode_watch, false },
	{ "watch answer", BS_TYPE_WATCH, true, encode_watch_answer, decode_rows, false },
	{ "list", BS_TYPE_LIST, false, encode_list, decode_list, false },
	{ "list answer", BS_TYPE_LIST, true, encode_list_answer, decode_rows, false },
	{ "event", BS_TYPE_EVENT, false, encode_event, decode_event, false },
	{ "error", BS_TYPE_ERROR, false, encode_error, decode_error, false },
	{ "redirect", BS_TYPE_REDIRECT, true, encode_redirect, decode_redirect, false },
	{ "ping", BS_TYPE_PING, false, encode_ping, decode_ping, true },
};

#define N_ROWS ((int)BS_LEN(rows))

/** Encode a row into buf and decode its frame. */
static struct bs_packet make(const struct row *r, uint8_t *buf, size_t cap)
{
	struct bs_packet p;
	bs_ssize len = r->encode(buf, cap);

	ck_assert_msg(len > 0, "%s: %d", r->name, (int)len);
	ck_assert_int_eq(bs_gate_frame_len(buf, (size_t)len), len);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	return p;
}

/** Put a payload behind the last one and keep the length field right. */
static size_t append(uint8_t *buf, size_t len, uint8_t type, uint8_t flags, size_t data)
{
	buf[len] = type;
	buf[len + 1] = flags;
	bs_put_u16(buf + len + 2, (uint16_t)(4 + data));
	memset(buf + len + 4, 0, data);
	bs_put_u16(buf + 14, (uint16_t)(len + 4 + data));
	return len + 4 + data;
}

START_TEST(every_message_is_understood_and_names_itself)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_packet p = make(&rows[_i], buf, sizeof(buf));
	bool answer = !rows[_i].answer;

	ck_assert_int_eq(rows[_i].decode(&p), BS_OK);
	ck_assert_uint_eq(p.h.type, rows[_i].type);
	ck_assert_uint_eq(p.h.nsi_cp, head.cp);
	ck_assert_uint_eq(p.h.nsi_sp, head.sp);
	ck_assert_uint_eq(p.h.seq, head.seq);
	ck_assert_int_eq(bs_gate_check(&p, &answer), BS_OK);
	ck_assert_int_eq(answer, rows[_i].answer);
}
END_TEST

START_TEST(no_encoder_writes_past_a_short_buffer)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	bs_ssize len = rows[_i].encode(buf, sizeof(buf));

	for (bs_ssize cap = 0; cap < len; cap++) {
		uint8_t *small = malloc((size_t)cap + 1);

		ck_assert_ptr_nonnull(small);
		ck_assert_int_eq(rows[_i].encode(small, (size_t)cap), BS_ETOOBIG);
		free(small);
	}
}
END_TEST

/** Cut at every byte, once with the old length field and once with a fitting one. */
START_TEST(a_cut_message_never_passes_for_a_whole_one)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	size_t len = make(&rows[_i], buf, sizeof(buf)).len;

	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = bs_test_copy(buf, n);
		struct bs_packet p;

		ck_assert_int_lt(bs_packet_decode(cut, n, &p), 0);
		if (n >= BS_HEADER_MIN) {
			bs_put_u16(cut + 14, (uint16_t)n);
			/* Where the cut lies between payloads the list is well formed, so only the
			 * decoder can miss something; it must not read what is not there. */
			if (bs_packet_decode(cut, n, &p) == BS_OK)
				(void)rows[_i].decode(&p);
		}
		free(cut);
	}
}
END_TEST

START_TEST(a_wrong_header_is_refused)
{
	uint8_t buf[BS_GATE_PACKET_MAX + 1];
	size_t len = make(&rows[_i], buf, BS_GATE_PACKET_MAX).len;
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(buf, len + 1, &p), BS_ELENGTH);
	buf[9] = 1;
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_EVERSION);
	ck_assert_int_eq(bs_gate_frame_len(buf, len), BS_EVERSION);
	buf[9] = BS_WIRE_VERSION;
	/* The other direction is another message, or none. */
	buf[11] ^= BS_FLAG_RESPONSE;
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	if (!rows[_i].takes_anything)
		ck_assert_int_ne(rows[_i].decode(&p), BS_OK);
	buf[11] = BS_FLAG_EXCEPTION;
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_ne(rows[_i].decode(&p), BS_OK);
}
END_TEST

START_TEST(unknown_payloads_pass_only_when_optional)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	size_t len = make(&rows[_i], buf, sizeof(buf)).len;
	struct bs_packet p;

	ck_assert_int_eq(bs_packet_decode(buf, append(buf, len, BS_PL_PAD, BS_PLF_OPTIONAL, 7), &p),
			 BS_OK);
	ck_assert_int_eq(rows[_i].decode(&p), BS_OK);
	ck_assert_int_eq(bs_packet_decode(buf, append(buf, len, 0x7E, 0, 0), &p), BS_OK);
	if (!rows[_i].takes_anything)
		ck_assert_int_eq(rows[_i].decode(&p), BS_EPAYLOAD);
}
END_TEST

START_TEST(each_decoder_takes_its_own_message_only)
{
	uint8_t buf[BS_GATE_PACKET_MAX];

	for (size_t i = 0; i < BS_LEN(rows); i++) {
		struct bs_packet p = make(&rows[i], buf, sizeof(buf));

		if ((int)i != _i && rows[i].decode != rows[_i].decode && !rows[_i].takes_anything)
			ck_assert_msg(rows[_i].decode(&p) == BS_ETYPE, "%s took %s", rows[_i].name,
				      rows[i].name);
	}
}
END_TEST

START_TEST(hello_carries_everything)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_packet p = make(&rows[0], buf, sizeof(buf));
	struct bs_gate_hello m;

	ck_assert_int_eq(bs_gate_hello_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.version.major, 3);
	ck_assert_uint_eq(m.params.keepalive_s, 60);
	ck_assert_uint_eq(m.params.version_max, 2);
	ck_assert_uint_eq(m.caps.bits, BS_CAP_ASYNC);
}
END_TEST

START_TEST(hello_without_versions_or_of_a_device_is_refused)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_gate_hello m = hello();
	struct bs_packet p;
	bs_ssize len;

	m.params.has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE);
	len = bs_gate_hello_encode(&m, buf, sizeof(buf));
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_hello_decode(&p, &m), BS_EFIELD);
	m = hello();
	m.version.kind = 5;
	len = bs_gate_hello_encode(&m, buf, sizeof(buf));
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_hello_decode(&p, &m), BS_EFIELD);
}
END_TEST

START_TEST(the_hello_answer_carries_everything)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_packet p = make(&rows[1], buf, sizeof(buf));
	struct bs_gate_hello_answer m, want = hello_answer();

	ck_assert_int_eq(bs_gate_hello_answer_decode(&p, &m), BS_OK);
	ck_assert_mem_eq(m.token, want.token, sizeof(m.token));
	ck_assert_uint_eq(m.n_probes, 2);
	ck_assert(bs_endpoint_equal(&m.probes[0], &want.probes[0]));
	ck_assert(bs_endpoint_equal(&m.probes[1], &want.probes[1]));
	ck_assert(bs_endpoint_equal(&m.observed, &want.observed));
	ck_assert_uint_eq(m.node.port, 5571);
	ck_assert_uint_eq(m.node.host.len, want.node.host.len);
	ck_assert(m.params.server_time_ms == want.params.server_time_ms);
}
END_TEST

START_TEST(a_refused_hello_needs_nothing_but_its_status)
{
	uint8_t buf[256];
	struct bs_gate_hello_answer m = hello_answer();
	struct bs_packet p;

	m.status.code = BS_ST_RATE;
	m.params.has = BS_PARAM_BIT(BS_PARAM_RETRY_AFTER);
	m.params.retry_after_ms = 1500;
	bs_ssize len = bs_gate_hello_answer_encode(&m, buf, sizeof(buf));

	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_hello_answer_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.status.code, BS_ST_RATE);
	ck_assert_uint_eq(m.params.retry_after_ms, 1500);
	/* And it does not give a token away. */
	struct bs_payload pl;

	ck_assert(!bs_payload_find(&p, BS_PL_TOKEN, &pl));
}
END_TEST

START_TEST(connect_carries_its_candidates)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_packet p = make(&rows[2], buf, sizeof(buf));
	struct bs_gate_connect m, want = connect_request();

	ck_assert_int_eq(bs_gate_connect_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.device.len, want.device.len);
	ck_assert_mem_eq(m.device.ptr, want.device.ptr, m.device.len);
	ck_assert_mem_eq(m.attempt, want.attempt, sizeof(m.attempt));
	ck_assert_uint_eq(m.n_hosts, 2);
	ck_assert(bs_endpoint_equal(&m.hosts[0].ep, &want.hosts[0].ep));
	ck_assert(bs_endpoint_equal(&m.hosts[1].ep, &want.hosts[1].ep));
	ck_assert_uint_eq(m.hosts[0].priority, 9);
}
END_TEST

START_TEST(connect_with_too_many_or_odd_candidates_is_refused)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_gate_connect m = connect_request();
	struct bs_packet p;

	m.n_hosts = BS_GATE_HOSTS_MAX;
	for (int i = 0; i < BS_GATE_HOSTS_MAX; i++)
		m.hosts[i] = m.hosts[0];
	size_t len = (size_t)bs_gate_connect_encode(&m, buf, sizeof(buf));
	struct bs_writer w = { buf, sizeof(buf), len, false };

	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_connect_decode(&p, &m), BS_OK);
	bs_ep6_put(&w, &m.hosts[0]);
	ck_assert_int_gt(bs_packet_finish(&w), 0);
	ck_assert_int_eq(bs_packet_decode(buf, w.len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_connect_decode(&p, &m), BS_EFIELD);

	m = connect_request();
	m.hosts[0].kind = BS_EP6_RELAY;
	len = (size_t)bs_gate_connect_encode(&m, buf, sizeof(buf));
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_connect_decode(&p, &m), BS_EFIELD);
}
END_TEST

START_TEST(a_device_id_that_is_none_is_not_sent)
{
	static const char *const bad[] = { "", "UPPER.example", "has space",
					   "12345678901234567890123456789012345678901" };
	uint8_t buf[512];
	struct bs_gate_connect m = connect_request();

	for (size_t i = 0; i < BS_LEN(bad); i++) {
		m.device = bs_test_text(bad[i]);
		ck_assert_int_eq(bs_gate_connect_encode(&m, buf, sizeof(buf)), BS_EINVAL);
	}
}
END_TEST

START_TEST(the_connect_answer_carries_everything_ipx_first)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_packet p = make(&rows[3], buf, sizeof(buf));
	struct bs_gate_connect_answer m, want = connect_answer();
	struct bs_payload pl;
	size_t off = 0;

	ck_assert(bs_payload_next(&p, &off, &pl));
	ck_assert_uint_eq(pl.type, BS_PL_IPX);
	ck_assert_uint_eq(pl.len, 29);
	ck_assert_int_eq(bs_gate_connect_answer_decode(&p, &m), BS_OK);
	ck_assert_mem_eq(m.key.key.b, want.key.key.b, BS_KEY_BLOCK_LEN);
	ck_assert_uint_eq(m.key.suite, BS_SUITE_AES_CBC);
	ck_assert_mem_eq(m.relay_key, want.relay_key, sizeof(m.relay_key));
	ck_assert_uint_eq(m.ipx.nsi_sp, head.sp);
	ck_assert_uint_eq(m.ipx.nsi_cp, 77);
	ck_assert_uint_eq(m.nat.mapping, BS_NAT_BY_PORT);
	ck_assert_uint_eq(m.n_eps, 1);
	ck_assert(m.has_ext);
	ck_assert_uint_eq(m.ext.bits, BS_EXT_IP6);
	ck_assert_uint_eq(m.gw.len, 0);
}
END_TEST

START_TEST(a_refused_connect_holds_no_key)
{
	uint8_t buf[512];
	struct bs_gate_connect_answer m = connect_answer();
	struct bs_packet p;

	m.status.code = BS_ST_REFUSED;
	bs_ssize len = bs_gate_connect_answer_encode(&m, buf, sizeof(buf));

	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_connect_answer_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.status.code, BS_ST_REFUSED);
	ck_assert(!m.key.has_key);
	for (bs_ssize i = 0; i + 4 <= len; i++)
		ck_assert_mem_ne(buf + i, "\xD0\xD0\xD0\xD0", 4);
}
END_TEST

START_TEST(a_key_and_its_suite_must_agree)
{
	uint8_t buf[512];
	struct bs_gate_connect_answer m = connect_answer();

	m.key.has_key = false;
	ck_assert_int_eq(bs_gate_connect_answer_encode(&m, buf, sizeof(buf)), BS_ETOOBIG);
	m.key.suite = BS_SUITE_NULL;
	ck_assert_int_gt(bs_gate_connect_answer_encode(&m, buf, sizeof(buf)), 0);
	m.key.has_key = true;
	ck_assert_int_eq(bs_gate_connect_answer_encode(&m, buf, sizeof(buf)), BS_ETOOBIG);
}
END_TEST

START_TEST(a_watch_names_1_to_64_devices)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_gate_watch m;
	struct bs_packet p;

	memset(&m, 0, sizeof(m));
	ck_assert_int_eq(bs_gate_watch_encode(&m, buf, sizeof(buf)), BS_EINVAL);
	for (int i = 0; i < BS_GATE_WATCH_MAX; i++)
		m.ids[i] = bs_test_text("1234567890123456789012345678901234567890");
	m.n_ids = BS_GATE_WATCH_MAX;
	bs_ssize len = bs_gate_watch_encode(&m, buf, sizeof(buf));

	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_watch_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.n_ids, BS_GATE_WATCH_MAX);

	struct bs_writer w = { buf, sizeof(buf), (size_t)len, false };

	bs_kind_text_put(&w, BS_PL_SP_ID, 0, 2, bs_test_text("one.too.many"));
	ck_assert_int_gt(bs_packet_finish(&w), 0);
	ck_assert_int_eq(bs_packet_decode(buf, w.len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_watch_decode(&p, &m), BS_EFIELD);
}
END_TEST

START_TEST(presences_come_out_in_order)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_packet p = make(&rows[9], buf, sizeof(buf));
	struct bs_gate_list_answer m;
	struct bs_presence pr;
	size_t off = 0;

	ck_assert_int_eq(bs_gate_list_answer_decode(&p, &m), BS_OK);
	ck_assert_uint_eq(m.cursor.len, 4);
	ck_assert_mem_eq(m.cursor.ptr, "next", 4);
	ck_assert(bs_gate_presence_next(&p, &off, &pr));
	ck_assert_mem_eq(pr.id.ptr, "a.example.org", pr.id.len);
	ck_assert_uint_eq(pr.state, BS_PRESENCE_ONLINE);
	ck_assert(pr.event == 41);
	ck_assert(bs_gate_presence_next(&p, &off, &pr));
	ck_assert_uint_eq(pr.state, BS_PRESENCE_OFFLINE);
	ck_assert(!bs_gate_presence_next(&p, &off, &pr));
}
END_TEST

START_TEST(an_event_says_one_thing_or_the_other)
{
	uint8_t buf[256];
	struct bs_gate_event m = { .h = head };
	struct bs_packet p;
	bs_ssize len = bs_gate_event_encode(&m, NULL, 0, buf, sizeof(buf));

	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_event_decode(&p, &m), BS_EMISSING);
	m.has_status = true;
	m.status.code = BS_ST_DRAINING;
	len = bs_gate_event_encode(&m, NULL, 0, buf, sizeof(buf));
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)len, &p), BS_OK);
	m.has_status = false;
	ck_assert_int_eq(bs_gate_event_decode(&p, &m), BS_OK);
	ck_assert(m.has_status);
	ck_assert_uint_eq(m.status.code, BS_ST_DRAINING);
}
END_TEST

START_TEST(an_empty_cursor_is_refused)
{
	uint8_t buf[64];
	struct bs_gate_list m = { .h = head };
	struct bs_packet p;
	size_t len = (size_t)bs_gate_list_encode(&m, buf, sizeof(buf));

	len = append(buf, len, BS_PL_CURSOR, 0, 0);
	ck_assert_int_eq(bs_packet_decode(buf, len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_list_decode(&p, &m), BS_EFIELD);
}
END_TEST

START_TEST(frames_are_delimited_by_their_length_alone)
{
	uint8_t h[16] = { 0 };

	h[9] = BS_WIRE_VERSION;
	for (size_t n = 0; n < 16; n++)
		ck_assert_int_eq(bs_gate_frame_len(h, n), BS_EAGAIN);
	bs_put_u16(h + 14, 15);
	ck_assert_int_eq(bs_gate_frame_len(h, 16), BS_ELENGTH);
	bs_put_u16(h + 14, 16);
	ck_assert_int_eq(bs_gate_frame_len(h, 16), 16);
	bs_put_u16(h + 14, BS_GATE_PACKET_MAX);
	ck_assert_int_eq(bs_gate_frame_len(h, 16), BS_GATE_PACKET_MAX);
	bs_put_u16(h + 14, BS_GATE_PACKET_MAX + 1);
	ck_assert_int_eq(bs_gate_frame_len(h, 16), BS_ELENGTH);
}
END_TEST

static void add_rows(TCase *tc)
{
	tcase_add_loop_test(tc, every_message_is_understood_and_names_itself, 0, N_ROWS);
	tcase_add_loop_test(tc, no_encoder_writes_past_a_short_buffer, 0, N_ROWS);
	tcase_add_loop_test(tc, a_cut_message_never_passes_for_a_whole_one, 0, N_ROWS);
	tcase_add_loop_test(tc, a_wrong_header_is_refused, 0, N_ROWS);
	tcase_add_loop_test(tc, unknown_payloads_pass_only_when_optional, 0, N_ROWS);
	tcase_add_loop_test(tc, each_decoder_takes_its_own_message_only, 0, N_ROWS);
}

/* A client that knows the path of the connection says so as it ends it. */
START_TEST(a_disconnect_may_name_the_path)
{
	struct bs_gate_disconnect m = { .h = head };
	struct bs_gate_disconnect out;
	struct bs_packet p;
	uint8_t buf[BS_GATE_PACKET_MAX];
	bs_ssize n;

	m.params.has = BS_PARAM_BIT(BS_PARAM_PATH);
	m.params.path = 2;
	n = bs_gate_disconnect_encode(&m, buf, sizeof(buf));
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_gate_disconnect_decode(&p, &out), BS_OK);
	ck_assert_uint_eq(out.params.has, BS_PARAM_BIT(BS_PARAM_PATH));
	ck_assert_uint_eq(out.params.path, 2);
}
END_TEST

/* What a client speaks beyond the base protocol, and the pairing that it insists on. */
START_TEST(extensions_of_a_client)
{
	struct bs_gate_connect m = connect_request();
	struct bs_gate_connect out;
	struct bs_payload pl;
	struct bs_packet p;
	uint8_t buf[BS_GATE_PACKET_MAX];
	bs_ssize n = bs_gate_connect_encode(&m, buf, sizeof(buf));
	bs_ssize bare = n;

	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_gate_connect_decode(&p, &out), BS_OK);
	ck_assert(out.ext == 0 && !out.has_pair);
	m.ext = BS_EXT_GCM | BS_EXT_PAIR;
	m.has_pair = true;
	memcpy(m.pair, "PAIRPAIR", 8);
	n = bs_gate_connect_encode(&m, buf, sizeof(buf));
	ck_assert_int_eq(n, bare + 10 + 12);
	ck_assert_int_eq(bs_packet_decode(buf, (size_t)n, &p), BS_OK);
	ck_assert_int_eq(bs_gate_connect_decode(&p, &out), BS_OK);
	ck_assert_uint_eq(out.ext, BS_EXT_GCM | BS_EXT_PAIR);
	ck_assert(out.has_pair);
	ck_assert_mem_eq(out.pair, "PAIRPAIR", 8);
	ck_assert_uint_eq(out.n_hosts, 2);
	/* A PAIR of another length is an error, not an absent one. */
	ck_assert(bs_payload_find(&p, BS_PL_EXT, &pl));
	buf[pl.data - buf - 4] = BS_PL_PAIR;
	ck_assert_int_eq(bs_gate_connect_decode(&p, &out), BS_EFIELD);
}
END_TEST

Suite *bs_suite_gate(void);
Suite *bs_suite_gate(void)
{
	Suite *s = suite_create("gate");
	TCase *tc = tcase_create("gate");

	add_rows(tc);
	tcase_add_test(tc, hello_carries_everything);
	tcase_add_test(tc, hello_without_versions_or_of_a_device_is_refused);
	tcase_add_test(tc, the_hello_answer_carries_everything);
	tcase_add_test(tc, a_refused_hello_needs_nothing_but_its_status);
	tcase_add_test(tc, connect_carries_its_candidates);
	tcase_add_test(tc, connect_with_too_many_or_odd_candidates_is_refused);
	tcase_add_test(tc, a_disconnect_may_name_the_path);
	tcase_add_test(tc, extensions_of_a_client);
	tcase_add_test(tc, a_device_id_that_is_none_is_not_sent);
	tcase_add_test(tc, the_connect_answer_carries_everything_ipx_first);
	tcase_add_test(tc, a_refused_connect_holds_no_key);
	tcase_add_test(tc, a_key_and_its_suite_must_agree);
	tcase_add_test(tc, a_watch_names_1_to_64_devices);
	tcase_add_test(tc, presences_come_out_in_order);
	tcase_add_test(tc, an_event_says_one_thing_or_the_other);
	tcase_add_test(tc, an_empty_cursor_is_refused);
	tcase_add_test(tc, frames_are_delimited_by_their_length_alone);
	suite_add_tcase(s, tc);
	return s;
}
