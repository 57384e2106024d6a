/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ext-vectors [--print NAME] - the packets of our own extensions, made by both ends of the core
 * with fixed random numbers.
 *
 * Plays device and server against each other and compares every packet of either with
 * tests/vectors/ext_device.txt and ext_cookie.txt, to the byte; --print NAME writes that file
 * instead.  What the rows say
 * is checked against the specification by vectors.py, which shares no code with the core.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/openssl.h"
#include "crypto/suite.h"
#include "proto/alive_auth.h"
#include "proto/attach_cookie.h"
#include "proto/attach_server.h"
#include "proto/close_server.h"
#include "proto/connect_server.h"
#include "proto/device.h"
#include "util/endpoint.h"
#include "wire/alive.h"
#include "wire/invite.h"

#define NSI      UINT32_C(0x01020304)
#define CONN_NSI UINT32_C(0x01020305)
#define EXT                                                                                        \
 (BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL | BS_EXT_ATTEMPT | BS_EXT_CLOSE | BS_EXT_GCM |               \
  BS_EXT_FAST_STREAM | BS_EXT_PAIR)

enum {
	CONTROLLER = 5566,
	ATTACH = 5562,
	PEER = 50000,
	DEVICE = 40000,
	TEXT_MAX = 65536,
};

static const char head[] =
	"# SPDX-License-Identifier: Apache-2.0\n"
	"# Packets of the extensions between our own ends, with fixed random numbers\n"
	"# Made by tests/ext-vectors --print NAME; do not edit.  Rows as in control.txt.\n\n";

static struct {
	char text[TEXT_MAX];
	size_t len;
	struct bs_crypto crypto;
	uint8_t drawn;    /* the next random byte */
	uint8_t last[32]; /* random bytes drawn last, of this many */
	struct bs_device dev;
	struct bs_device_conf conf;
	struct bs_device_ops ops;
	struct bs_device_conn conn[1];
	struct bs_rpc_slot slot[1];
	bs_time now;
	struct bs_key_block a_key;
	struct bs_key_block c_key;
	struct bs_key_block d_key;
	struct bs_key_block pair_key;
	uint8_t out[BS_PACKET_MAX]; /* the device's last packet */
	size_t out_len;
	uint32_t sent;
	struct bs_window seen;
	struct bs_suite_gcm_state gcm; /* the client's */
} t;

static const uint8_t psk[BS_PSK_LEN] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF };
static const uint8_t pair_secret[BS_PAIR_SECRET_LEN] = "thirty-two bytes of pairing here";
static const uint8_t pair_id[BS_PAIR_ID_LEN] = "pair-id1";
static const uint8_t attempt[BS_ATTEMPT_LEN] = "attempt1";

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	printf("Bail out! %s\n", what);
	exit(EXIT_FAILURE);
}

static int draw(void *ctx, uint8_t *buf, size_t len)
{
	size_t i;

	(void)ctx;
	for (i = 0; i < len; i++)
		buf[i] = t.drawn++;
	if (len == sizeof(t.last))
		memcpy(t.last, buf, len);
	return BS_OK;
}

/* ---- rows ---- */

BS_PRINTF(1, 2) static void put(const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t.text + t.len, sizeof(t.text) - t.len, fmt, ap);
	va_end(ap);
	need(n >= 0 && (size_t)n < sizeof(t.text) - t.len, "the text is too long");
	t.len += (size_t)n;
}

static void put_hex(const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i < len; i++)
		put("%02x", p[i]);
}

static void value(const char *name, const void *data, size_t len)
{
	put("value name=%s hex=", name);
	put_hex(data, len);
	put("\n");
}

/* plain NULL: not sealed, or not for vectors.py. */
static void packet(const char *from, const char *to, const uint8_t *bytes, size_t len,
		   const char *key, const void *plain, size_t plain_len)
{
	put("packet t_ms=%d from=%s to=%s hex=", (int)(t.now / BS_TIME_PER_MS), from, to);
	put_hex(bytes, len);
	if (key) {
		put(" key=%s plain=", key);
		put_hex(plain, plain_len);
	}
	put("\n");
}

/* ---- the device's side ---- */

static struct bs_endpoint local(uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x7F000001, port);
	return ep;
}

static const char *end_of(const struct bs_endpoint *ep)
{
	return ep->port == CONTROLLER ? "ctrl" : ep->port == ATTACH ? "gsp" : "peer";
}

/* The device's next packet, into t.out; false when it has none. */
static bool next(struct bs_endpoint *to)
{
	t.out_len = bs_device_output(&t.dev, t.out, sizeof(t.out), to, t.now);
	return t.out_len > 0;
}

/* It sends exactly one packet. */
static void expect(const char *key, const void *plain, size_t plain_len)
{
	struct bs_endpoint to;

	need(next(&to), "the device said nothing");
	packet("dev", end_of(&to), t.out, t.out_len, key, plain, plain_len);
}

static void tell(const char *from, uint16_t port, const uint8_t *bytes, size_t len, const char *key,
		 const void *plain, size_t plain_len)
{
	struct bs_endpoint ep = local(port);
	uint8_t copy[BS_PACKET_MAX];

	packet(from, "dev", bytes, len, key, plain, plain_len);
	memcpy(copy, bytes, len);
	need(bs_device_input(&t.dev, copy, len, &ep, t.now) == BS_OK, "the device refused it");
}

static struct bs_packet decoded(void)
{
	struct bs_packet p;

	need(bs_packet_decode(t.out, t.out_len, &p) == BS_OK, "a packet of the device is broken");
	return p;
}

static const uint8_t *on_pair(void *app, const uint8_t *id)
{
	(void)app;
	return memcmp(id, pair_id, sizeof(pair_id)) == 0 ? pair_secret : NULL;
}

static void start_device(uint32_t offer)
{
	struct bs_endpoint at = local(CONTROLLER);
	struct bs_endpoint self = local(DEVICE);

	t.conf.id.ptr = (const uint8_t *)"cam1.base.test";
	t.conf.id.len = 14;
	t.conf.psk = psk;
	t.conf.major = 5;
	t.conf.ext_offer = offer;
	t.conf.ops = &t.ops;
	t.ops.pair = on_pair;
	need(bs_device_init(&t.dev, &t.conf, &t.crypto, t.conn, 1, t.slot, 1) == BS_OK, "init");
	bs_device_set_local(&t.dev, &self);
	bs_device_start(&t.dev, t.now);
	(void)bs_device_take_events(&t.dev);
	bs_device_resolved(&t.dev, &at, 1, t.now);
}

/* ---- scenarios ---- */

static void find_controller(void)
{
	struct bs_invite_answer a = { .server = local(ATTACH), .observed = local(DEVICE) };
	uint8_t buf[64];
	bs_ssize len;

	expect(NULL, NULL, 0);
	t.now += BS_TIME_MS(10);
	len = bs_invite_answer_encode(buf, sizeof(buf), &a);
	need(len > 0, "controller's answer");
	tell("ctrl", CONTROLLER, buf, (size_t)len, NULL, NULL, 0);
}

/* EXT and PAD in the invite, EXT and INTERVAL in the request, EXT in the response. */
static void attach(void)
{
	uint8_t nonce_d[32];
	uint8_t plain[64];
	uint8_t nonce_s[32];
	uint8_t seed_s[32];
	struct bs_attach_secrets s = { nonce_s, nonce_d, seed_s };
	struct bs_attach_request m = {
		.nsi = NSI, .seq = 100, .observed = local(DEVICE), .has_ext = true, .interval_s = 10
	};
	struct bs_attach_response r;
	struct bs_packet p;
	struct bs_invite inv;
	uint8_t buf[BS_PACKET_SMALL];
	bs_ssize len;

	expect(NULL, NULL, 0);
	p = decoded();
	need(bs_invite_decode(&p, &inv) == BS_OK && inv.has_ext, "invite");
	memcpy(nonce_d, inv.nonce.ptr, sizeof(nonce_d));
	m.ext = inv.ext;
	memset(nonce_s, 0x51, sizeof(nonce_s));
	memset(seed_s, 0x52, sizeof(seed_s));
	memcpy(plain, nonce_d, 32);
	memcpy(plain + 32, seed_s, 32);
	len = bs_attach_server_request(&t.crypto, &t.a_key, &m, &s, buf, sizeof(buf));
	need(len > 0, "request");
	tell("gsp", ATTACH, buf, (size_t)len, "A", plain, sizeof(plain));
	need(next(&m.observed), "no response");
	memcpy(plain, nonce_s, 32);
	memcpy(plain + 32, t.last, 32);
	packet("dev", "gsp", t.out, t.out_len, "A", plain, sizeof(plain));
	p = decoded();
	need(bs_attach_server_open(&t.crypto, &t.a_key, &s, &p, t.out, &r, &t.c_key) == BS_OK &&
		     bs_attach_server_ext_check(true, inv.ext, m.ext, &r) == BS_OK,
	     "response");
	value("nonce_device", nonce_d, 32);
	value("nonce_server", nonce_s, 32);
	value("seed_server", seed_s, 32);
	value("seed_device", plain + 32, 32);
	value("c_key", t.c_key.b, sizeof(t.c_key.b));
}

static void ask(uint16_t seq, uint16_t interval_s)
{
	struct bs_alive_request m = { .nsi = NSI,
				      .seq = seq,
				      .has_time = true,
				      .unix_s = 1700000000,
				      .interval_s = interval_s };
	uint8_t buf[128];
	bs_ssize len = bs_alive_request_encode(buf, sizeof(buf), &m);

	need(len > 0, "keep-alive");
	len = bs_alive_auth_seal(&t.crypto, &t.c_key, BS_INITIATOR, &t.sent, buf, (size_t)len,
				 sizeof(buf));
	need(len > 0, "keep-alive's MAC");
	tell("gsp", ATTACH, buf, (size_t)len, NULL, NULL, 0);
}

static void hear(uint16_t seq)
{
	struct bs_alive_answer m;
	struct bs_packet p;
	bool newest;

	expect(NULL, NULL, 0);
	p = decoded();
	need(bs_alive_answer_decode(&p, &m) == BS_OK && m.seq == seq, "answer");
	need(bs_alive_auth_open(&t.crypto, &t.c_key, BS_INITIATOR, &t.seen, &p, &newest) == BS_OK,
	     "the answer's MAC");
}

/* A request, its repetition, the poll after 1.3 times the interval, and the next request. */
static void keep_alive(void)
{
	ask(101, 30);
	hear(101);
	t.now += BS_TIME_MS(3000);
	ask(101, 30);
	hear(101);
	t.now += BS_TIME_MS(39000);
	bs_device_timeout(&t.dev, t.now);
	hear(0);
	ask(102, 20);
	hear(102);
}

/* ATTEMPT, PAIR, EXT, SUITE and START in U_CONNECT, and DATA under the key that they give. */
static void connect(void)
{
	struct bs_connect_offer o = { .c_key = &t.c_key, .limit = BS_CONNECT_REQUEST_MAX };
	struct bs_connect_answer a;
	struct bs_packet p;
	uint8_t buf[BS_CONNECT_REQUEST_MAX];
	bs_ssize len;

	memset(t.d_key.b, 0x44, sizeof(t.d_key.b));
	o.block.ptr = t.d_key.b;
	o.block.len = sizeof(t.d_key.b);
	o.m.cp = 0x0A0B0C0D;
	o.m.sp = NSI;
	o.m.seq = 103;
	o.m.ipx.priv = local(PEER);
	o.m.ipx.global = local(PEER);
	o.m.ipx.flags = BS_IPX_ASYNC | BS_IPX_NO_RENDEZVOUS;
	o.m.ipx.has_nsi = true;
	o.m.ipx.nsi_sp = CONN_NSI;
	o.m.client_id.ptr = (const uint8_t *)"user@example.test";
	o.m.client_id.len = 17;
	o.m.attempt = attempt;
	o.m.pair = pair_id;
	o.m.ext = BS_EXT_GCM | BS_EXT_FAST_STREAM | BS_EXT_PAIR;
	o.m.suite = BS_SUITE_AES_GCM;
	o.m.start_ms = 40;
	len = bs_connect_server_encode(&t.crypto, &o, buf, sizeof(buf));
	need(len > 0, "connect");
	tell("gsp", ATTACH, buf, (size_t)len, "C", t.d_key.b, sizeof(t.d_key.b));
	expect(NULL, NULL, 0);
	p = decoded();
	need(bs_connect_answer_decode(&p, &a) == BS_OK && a.code == BS_ST_OK, "refused");
	need(bs_keys_derive_pair(&t.crypto, &t.d_key, pair_secret, CONN_NSI, attempt,
				 &t.pair_key) == BS_OK,
	     "pairing key");
	value("d_key", t.d_key.b, sizeof(t.d_key.b));
	value("attempt", attempt, sizeof(attempt));
	value("pair_secret", pair_secret, sizeof(pair_secret));
	value("pair_key", t.pair_key.b, sizeof(t.pair_key.b));
	put("value name=connection_nsi num=%u\n", (unsigned)CONN_NSI);
}

/* A keep-alive of the connection and its echo, each the first packet of its direction. */
static void data(void)
{
	struct bs_header h = { .nsi_sp = CONN_NSI,
			       .type = BS_TYPE_DATA,
			       .flags = BS_FLAG_TAG,
			       .tag = BS_TAG_FRAMING };
	const uint8_t text[8] = { 0, 0, 0, 0, 0, 0, 0, 42 };
	struct bs_slice plain = { text, sizeof(text) };
	struct bs_endpoint to;
	uint8_t buf[128];
	struct bs_packet p;
	struct bs_writer w;
	bs_ssize len;
	bool newest;
	size_t off;

	bs_packet_begin(&w, buf, sizeof(buf), &h);
	len = bs_suite_gcm_seal(&t.crypto, &t.pair_key, BS_INITIATOR, &t.gcm, &w, 0, plain);
	need(len > 0, "data");
	tell("peer", PEER, buf, (size_t)len, NULL, NULL, 0);
	while (next(&to)) {
		packet("dev", end_of(&to), t.out, t.out_len, NULL, NULL, 0);
		if (t.out[8] != BS_TYPE_DATA)
			continue;
		p = decoded();
		off = p.list_off;
		need(bs_suite_gcm_open(&t.crypto, &t.pair_key, BS_INITIATOR, &t.gcm, t.out,
				       t.out_len, off, &plain, &newest) == BS_OK &&
			     plain.len == sizeof(text) && !memcmp(plain.ptr, text, sizeof(text)),
		     "echo");
	}
}

static void end(uint32_t nsi, uint16_t seq)
{
	struct bs_endpoint peer = local(DEVICE);
	struct bs_close_server s;
	struct bs_endpoint to;
	struct bs_packet p;
	bool answered = false;

	need(bs_close_server_start(&s, &t.crypto, &t.c_key, NSI, nsi, BS_ST_CLOSED, seq, &peer,
				   t.now) == BS_OK,
	     "close");
	tell("gsp", ATTACH, s.pkt, s.len, "C", "", 0);
	while (next(&to)) {
		bool is_close = t.out[8] == BS_TYPE_U_CLOSE;

		packet("dev", end_of(&to), t.out, t.out_len, is_close ? "C" : NULL, "", 0);
		p = decoded();
		answered |= is_close &&
			    bs_close_server_input(&s, &t.crypto, &t.c_key, &p, &peer) == BS_OK;
	}
	need(answered, "the close was not answered");
}

static void play(void)
{
	put("%s", head);
	put("scenario name=extensions about=attach%%20with%%20all%%20bits,%%20keep-alive,%%20"
	    "connect,%%20data,%%20close ok=1\n");
	put("value name=id text=cam1.base.test\n");
	value("psk", psk, sizeof(psk));
	start_device(EXT);
	need(bs_keys_derive_a(&t.crypto, t.conf.id, psk, &t.a_key) == BS_OK, "A key");
	value("a_key", t.a_key.b, sizeof(t.a_key.b));
	find_controller();
	attach();
	keep_alive();
	connect();
	data();
	end(CONN_NSI, 104);
	end(0, 105);
	bs_device_fini(&t.dev);
}

/* ---- COOKIE and RETRY ---- */

static const uint8_t server_secret[BS_SERVER_SECRET_LEN] = "thirty-two bytes of the server's";

#define UNIX_S UINT64_C(1700000000)

enum {
	NUMBER = 42, /* of the device in the registry */
	RETRY_MS = 5000,
};

static void notice(const char *from, uint16_t port, const uint8_t *cookie, uint32_t retry_ms)
{
	struct bs_invite_notice m = { 0, cookie, retry_ms != 0, retry_ms };
	uint8_t buf[64];
	bs_ssize len = bs_invite_notice_encode(buf, sizeof(buf), &m);

	need(len > 0, "notice");
	tell(from, port, buf, (size_t)len, NULL, NULL, 0);
}

static void make_cookie(const char *name, uint64_t unix_s, uint8_t cookie[BS_COOKIE_LEN])
{
	struct bs_endpoint peer = local(DEVICE);

	need(bs_cookie_make(&t.crypto, server_secret, unix_s, &peer, t.conf.id, cookie) == BS_OK,
	     "cookie");
	value(name, cookie, BS_COOKIE_LEN);
}

/* The attach invite that the device sends now; whether its cookie is good. */
static bool is_proven(struct bs_invite *inv)
{
	struct bs_endpoint peer = local(DEVICE);
	struct bs_packet p;

	expect(NULL, NULL, 0);
	p = decoded();
	need(bs_invite_decode(&p, inv) == BS_OK && inv->cookie, "invite without cookie");
	return bs_cookie_ok(&t.crypto, server_secret, UNIX_S, &peer, inv->id, inv->cookie);
}

/* The server forgets everything between request and response. */
static void challenge(const struct bs_challenge *made)
{
	struct bs_challenge ch = { .nsi = NSI, .number = NUMBER, .peer = made->peer };
	uint8_t nonce_s[32];
	uint8_t seed_s[32];
	uint8_t plain[64];
	struct bs_attach_secrets s = { nonce_s, made->nonce_d, seed_s };
	struct bs_attach_request m = { .nsi = NSI,
				       .seq = 100,
				       .observed = *made->peer,
				       .has_ext = true,
				       .ext = made->granted };
	struct bs_attach_response r;
	struct bs_endpoint to;
	struct bs_packet p;
	uint8_t buf[BS_PACKET_SMALL];
	bs_ssize len;

	need(bs_challenge_secrets(&t.crypto, server_secret, made, nonce_s, seed_s) == BS_OK,
	     "challenge");
	memcpy(plain, made->nonce_d, 32);
	memcpy(plain + 32, seed_s, 32);
	len = bs_attach_server_request(&t.crypto, &t.a_key, &m, &s, buf, sizeof(buf));
	need(len > 0, "request");
	tell("gsp", ATTACH, buf, (size_t)len, "A", plain, sizeof(plain));
	value("nonce_device", made->nonce_d, 32);
	value("nonce_server", nonce_s, 32);
	value("seed_server", seed_s, 32);
	need(next(&to), "no response");
	memcpy(plain, nonce_s, 32);
	memcpy(plain + 32, t.last, 32);
	packet("dev", "gsp", t.out, t.out_len, "A", plain, sizeof(plain));
	value("seed_device", t.last, 32);
	memset(nonce_s, 0, sizeof(nonce_s));
	memset(seed_s, 0, sizeof(seed_s));
	p = decoded();
	need(bs_attach_server_read(&t.crypto, &t.a_key, &p, t.out, &r, plain) == BS_OK &&
		     r.id.len == t.conf.id.len,
	     "response");
	need(bs_challenge_read(plain, made->unix_ms + 50, 10000, &ch), "too old");
	ch.nonce_d = r.nonce_d;
	s.nonce_d = r.nonce_d;
	need(bs_challenge_secrets(&t.crypto, server_secret, &ch, nonce_s, seed_s) == BS_OK &&
		     bs_attach_server_finish(&t.crypto, &s, plain, &t.c_key) == BS_OK &&
		     bs_attach_server_ext_check(true, ch.offered, ch.granted, &r) == BS_OK,
	     "proof");
	value("c_key", t.c_key.b, sizeof(t.c_key.b));
}

static void play_cookie(void)
{
	struct bs_invite_answer a = { .server = local(ATTACH), .observed = local(DEVICE) };
	struct bs_endpoint peer = local(DEVICE);
	struct bs_challenge ch = { .unix_ms = UNIX_S * 1000 + 123, .nsi = NSI, .number = NUMBER };
	uint8_t cookie[BS_COOKIE_LEN];
	uint8_t nonce_d[32];
	struct bs_invite inv;
	uint8_t buf[64];
	bs_ssize len;

	put("%s", head);
	put("scenario name=cookie about=told%%20to%%20come%%20back,%%20a%%20stale%%20cookie,%%20"
	    "a%%20fresh%%20one,%%20attach%%20without%%20state ok=1\n");
	put("value name=id text=cam1.base.test\n");
	value("psk", psk, sizeof(psk));
	start_device(BS_EXT_COOKIE | BS_EXT_RETRY | BS_EXT_CLOSE);
	need(bs_keys_derive_a(&t.crypto, t.conf.id, psk, &t.a_key) == BS_OK, "A key");
	value("a_key", t.a_key.b, sizeof(t.a_key.b));
	value("server_secret", server_secret, sizeof(server_secret));
	put("value name=unix_ms num=%llu\nvalue name=number num=%d\nvalue name=port num=%d\n",
	    (unsigned long long)ch.unix_ms, NUMBER, DEVICE);
	expect(NULL, NULL, 0);
	notice("ctrl", CONTROLLER, NULL, RETRY_MS);
	t.now += BS_TIME_MS(RETRY_MS);
	bs_device_timeout(&t.dev, t.now);
	expect(NULL, NULL, 0);
	make_cookie("cookie_stale", UNIX_S - 2 * BS_COOKIE_EPOCH_S, cookie);
	a.cookie = cookie;
	len = bs_invite_answer_encode(buf, sizeof(buf), &a);
	need(len > 0, "controller's answer");
	tell("ctrl", CONTROLLER, buf, (size_t)len, NULL, NULL, 0);
	need(!is_proven(&inv), "a stale cookie was taken");
	make_cookie("cookie", UNIX_S, cookie);
	notice("gsp", ATTACH, cookie, 0);
	need(is_proven(&inv), "a fresh cookie was not taken");
	memcpy(nonce_d, inv.nonce.ptr, sizeof(nonce_d));
	ch.offered = inv.ext;
	ch.granted = inv.ext;
	ch.peer = &peer;
	ch.nonce_d = nonce_d;
	challenge(&ch);
	bs_device_fini(&t.dev);
}

/* ---- the file ---- */

static int compare(int n_test, const char *path)
{
	static char want[TEXT_MAX];
	size_t at = 0;
	unsigned line = 1;
	size_t n = 0;
	FILE *f = fopen(path, "r");

	if (f) {
		n = fread(want, 1, sizeof(want), f);
		fclose(f);
	}
	if (n == t.len && memcmp(want, t.text, n) == 0) {
		printf("ok %d - both ends make the packets of the file\n", n_test);
		return EXIT_SUCCESS;
	}
	while (at < n && at < t.len && want[at] == t.text[at])
		line += want[at++] == '\n';
	printf("not ok %d - %s:%u differs\n", n_test, path, line);
	return EXIT_FAILURE;
}

static const struct {
	const char *name;
	void (*play)(void);
} file[] = { { "ext_device", play }, { "ext_cookie", play_cookie } };

int main(int argc, char **argv)
{
	const char *top = getenv("top_srcdir");
	bool print = argc > 2 && strcmp(argv[1], "--print") == 0;
	struct bs_openssl *ssl = bs_openssl_new();
	char path[512];
	int status = EXIT_SUCCESS;
	size_t i;

	need(ssl != NULL, "no crypto");
	if (!print)
		printf("1..%zu\n", sizeof(file) / sizeof(file[0]));
	for (i = 0; i < sizeof(file) / sizeof(file[0]); i++) {
		memset(&t, 0, sizeof(t));
		t.crypto = *bs_openssl_crypto(ssl);
		t.crypto.random = draw;
		file[i].play();
		snprintf(path, sizeof(path), "%s/tests/vectors/%s.txt", top ? top : ".",
			 file[i].name);
		if (print && strcmp(argv[2], file[i].name) == 0)
			fwrite(t.text, 1, t.len, stdout);
		else if (!print && compare((int)i + 1, path) != EXIT_SUCCESS)
			status = EXIT_FAILURE;
	}
	bs_openssl_free(ssl);
	return status;
}
