/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interval [DAYS] - what the adaptive keep-alive interval saves, and what it costs: one device of
 * the real core and the server's end of the real core, with NATs of several kinds between them.
 *
 * A NAT forgets a mapping so many seconds after the device sent last (what comes in does not count,
 * as with the worst of them), and gives another port then.  The device is absent from that moment
 * until the server's record names a mapping that is open: a client could not be connected.
 *
 * Prints TAP, and the table of src/README.md: bytes with their IP and UDP headers, scaled to 30
 * days; moments at which the device must wake up for a packet or a poll.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/small.h"
#include "proto/alive_auth.h"
#include "proto/attach_device.h"
#include "proto/attach_server.h"
#include "proto/interval_server.h"
#include "util/endpoint.h"
#include "wire/alive.h"
#include "wire/invite.h"

enum {
	ONE_WAY_MS = 40,
	IP_UDP_LEN = 28,
	FLIGHT = 32,
	SERVER_IP = 0x0A000001,
	NAT_IP = 0x0B000001,
	CONTROLLER = 5566,
	ATTACH = 5562,
	NSI = 0x01020304,
	SECONDS = 1000,
	DAY_S = 86400,
	MONTH_DAYS = 30,
	NEVER_S = 1000000,
};

static const struct bs_alive_pace usual = { 10000, 3000, 3, 40000, 70000 };
static const struct bs_interval_limits limits = { 10, 300 };

/** A NAT, a line, and how the device is used. */
struct row {
	const char *name;
	uint32_t nat_s;
	uint32_t later_s;   /* not 0: the NAT's patience on every second day */
	uint32_t loss;      /* packets lost in a thousand */
	uint32_t visit_s;   /* a client is connected for so long once a day */
	uint32_t absent_of; /* longest absence allowed, in thousandths of the interval in force */
	uint32_t restart_s; /* not 0: the NAT forgets all so long after the client came */
	uint32_t absent_s;  /* not 0: longest absence allowed while a client is there */
};

static const struct row rows[] = {
	{ "30 s", 30, 0, 0, 0, 1000, 0, 0 },
	{ "60 s", 60, 0, 0, 0, 1000, 0, 0 },
	{ "120 s", 120, 0, 0, 0, 1000, 0, 0 },
	{ "180 s", 180, 0, 0, 0, 1000, 0, 0 },
	{ "300 s", 300, 0, 0, 0, 1000, 0, 0 },
	{ "none", NEVER_S, 0, 0, 0, 1000, 0, 0 },
	{ "120 s, a client 1 h a day", 120, 0, 0, 3600, 1000, 0, 0 },
	{ "120 s, 2 % loss", 120, 0, 20, 0, 0, 0, 0 },
	{ "300 s, from one day to the next 60 s", 300, 60, 0, 0, 1300, 0, 0 },
	{ "300 s, restarted 5 s after a client came", 300, 0, 0, 3600, 0, 5, 14 },
};

struct packet {
	uint32_t at; /* ms of arrival */
	uint16_t from;
	uint16_t to;
	bool inward;
	uint16_t len; /* 0 = free */
	uint8_t bytes[BS_PACKET_SMALL];
};

struct result {
	uint64_t bytes;
	uint32_t wakes;
	uint32_t absences;
	uint32_t worst_ms;
	uint32_t worst_visit_ms; /* while a client was there */
	uint32_t worst_share;    /* thousandths of the interval then in force */
	uint32_t attaches;
	uint32_t refused; /* by the device */
	uint16_t interval_s;
};

static struct {
	const struct row *row;
	bool adaptive;
	bool restarted; /* the NAT, since the client came */
	uint32_t now;
	uint32_t random;
	struct packet flight[FLIGHT];
	struct result res;
	/* the NAT */
	uint16_t port;   /* of the open mapping, or of the last one */
	uint32_t opened; /* when the device sent last */
	bool woken;      /* at this moment already */
	uint32_t woken_at;
	/* the device */
	struct bs_device_ops ops;
	struct bs_device_conf conf;
	struct bs_crypto crypto;
	struct bs_attach_device dev;
	/* the server */
	struct bs_key_block a_key;
	struct bs_key_block c_key;
	uint8_t nonce_d[32];
	uint8_t nonce_s[32];
	uint8_t seed_s[32];
	bool attached;
	uint16_t peer; /* port on record */
	struct bs_alive_server alive;
	struct bs_interval_server iv;
	struct bs_window seen;
	uint32_t sent;
} s;

static const uint8_t psk[BS_PSK_LEN] = { 7 };

static uint32_t draw(void)
{
	s.random ^= s.random << 13;
	s.random ^= s.random >> 17;
	s.random ^= s.random << 5;
	return s.random;
}

static int fill(void *ctx, uint8_t *buf, size_t len)
{
	(void)ctx;
	while (len--)
		*buf++ = (uint8_t)draw();
	return BS_OK;
}

static struct bs_endpoint endpoint(uint32_t ip, uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, ip, port);
	return ep;
}

/* ---- the line and the NAT ---- */

static uint32_t patience_ms(void)
{
	bool later = s.row->later_s && s.now / SECONDS / DAY_S % 2;

	return (later ? s.row->later_s : s.row->nat_s) * SECONDS;
}

static bool is_open(void)
{
	return s.now - s.opened < patience_ms();
}

static bool has_visit(void)
{
	return s.now / SECONDS % DAY_S < s.row->visit_s;
}

/* All mappings are gone, and a new one would be another. */
static void restart_nat(void)
{
	uint32_t since_s = s.now / SECONDS % DAY_S;

	if (!has_visit() || since_s < s.row->restart_s) {
		s.restarted = false;
	} else if (s.row->restart_s && !s.restarted) {
		s.restarted = true;
		s.opened = s.now - patience_ms();
	}
}

static void launch(uint16_t from, uint16_t to, bool inward, const uint8_t *buf, size_t len)
{
	size_t i = 0;

	s.res.bytes += len + IP_UDP_LEN;
	if (draw() % 1000 < s.row->loss)
		return;
	while (i < FLIGHT && s.flight[i].len)
		i++;
	if (i == FLIGHT)
		return;
	s.flight[i].at = s.now + ONE_WAY_MS;
	s.flight[i].from = from;
	s.flight[i].to = to;
	s.flight[i].inward = inward;
	s.flight[i].len = (uint16_t)len;
	memcpy(s.flight[i].bytes, buf, len);
}

static void wake(void)
{
	if (s.woken && s.woken_at == s.now)
		return;
	s.woken = true;
	s.woken_at = s.now;
	s.res.wakes++;
}

static void drain_device(void)
{
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint to;
	uint8_t events;
	size_t len;

	do {
		while ((len = bs_attach_output(&s.dev, buf, sizeof(buf), &to, BS_TIME_MS(s.now))) >
		       0) {
			wake();
			if (!is_open())
				s.port = (uint16_t)(s.port % 60000 + 1024);
			s.opened = s.now;
			launch(s.port, to.port, false, buf, len);
		}
		events = bs_attach_take_events(&s.dev);
		if (events & BS_ATTACH_EV_RESOLVE) {
			struct bs_endpoint at = endpoint(SERVER_IP, CONTROLLER);

			bs_attach_resolved(&s.dev, &at, 1, BS_TIME_MS(s.now));
		}
	} while (events);
}

static void to_device(struct packet *k)
{
	struct bs_endpoint from = endpoint(SERVER_IP, k->from);
	struct bs_packet p;

	if (k->to != s.port || !is_open())
		return;
	wake();
	if (bs_packet_decode(k->bytes, k->len, &p) != BS_OK ||
	    bs_attach_input(&s.dev, &p, k->bytes, &from, BS_TIME_MS(s.now)) != BS_OK)
		s.res.refused++;
	drain_device();
}

/* ---- the server ---- */

static void send_request(bool fresh)
{
	struct bs_alive_request m = { .nsi = NSI, .seq = s.alive.seq, .has_time = true };
	uint8_t buf[128];
	bs_ssize len;

	if (s.adaptive && fresh)
		(void)bs_interval_ask(&s.iv, &limits, 0, has_visit() ? 10 : 0, &s.alive, s.now);
	if (s.adaptive)
		m.interval_s = s.iv.told_s;
	len = bs_alive_request_encode(buf, sizeof(buf), &m);
	if (s.adaptive)
		len = bs_alive_auth_seal(&s.crypto, &s.c_key, BS_INITIATOR, &s.sent, buf,
					 (size_t)len, sizeof(buf));
	if (len > 0)
		launch(ATTACH, s.peer, true, buf, (size_t)len);
}

static void pace_of(struct bs_alive_pace *pace)
{
	*pace = usual;
	if (s.adaptive)
		bs_interval_pace(&s.iv, &usual, pace);
}

static void server_due(void)
{
	struct bs_alive_pace pace;
	enum bs_alive_action action;

	pace_of(&pace);
	action = bs_alive_timeout(&s.alive, &pace, (uint16_t)draw(), 0, s.now);
	if (action == BS_ALIVE_DEAD)
		s.attached = false;
	else if (action == BS_ALIVE_SEND || action == BS_ALIVE_SEND_AGAIN)
		send_request(action == BS_ALIVE_SEND);
}

static void answer_invite(const struct bs_packet *p, uint16_t from, uint16_t port)
{
	struct bs_attach_secrets sec = { s.nonce_s, s.nonce_d, s.seed_s };
	struct bs_invite_answer a = { .server = endpoint(SERVER_IP, ATTACH),
				      .observed = endpoint(NAT_IP, from) };
	struct bs_attach_request m = { .nsi = NSI, .observed = a.observed };
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_invite inv;
	bs_ssize len;

	if (bs_invite_decode(p, &inv) != BS_OK)
		return;
	if (inv.nonce.len == sizeof(s.nonce_d)) {
		memcpy(s.nonce_d, inv.nonce.ptr, sizeof(s.nonce_d));
		m.has_ext = inv.has_ext;
		m.ext = inv.ext;
		m.interval_s = s.adaptive ? limits.min_s : 0;
		len = bs_attach_server_request(&s.crypto, &s.a_key, &m, &sec, buf, sizeof(buf));
	} else {
		len = bs_invite_answer_encode(buf, sizeof(buf), &a);
	}
	if (len > 0)
		launch(port, from, true, buf, (size_t)len);
}

static void take_response(const struct bs_packet *p, struct packet *k)
{
	struct bs_attach_secrets sec = { s.nonce_s, s.nonce_d, s.seed_s };
	struct bs_attach_response r;

	if (bs_attach_server_open(&s.crypto, &s.a_key, &sec, p, k->bytes, &r, &s.c_key) != BS_OK)
		return;
	s.attached = true;
	s.res.attaches++;
	s.peer = k->from;
	s.sent = 0;
	memset(&s.seen, 0, sizeof(s.seen));
	bs_interval_start(&s.iv, &limits);
	bs_alive_start(&s.alive, (uint16_t)draw(), s.now);
}

static void note_absence(uint32_t since)
{
	uint32_t ms = s.now - since;
	uint16_t told_s = s.adaptive ? bs_alive_device_interval(&s.dev.alive) : 10;

	s.res.absences++;
	if (ms > s.res.worst_ms)
		s.res.worst_ms = ms;
	if (since / SECONDS % DAY_S < s.row->visit_s && ms > s.res.worst_visit_ms)
		s.res.worst_visit_ms = ms;
	if (told_s && ms / told_s > s.res.worst_share)
		s.res.worst_share = ms / told_s;
}

/* A client is connected and the device does not know yet that this makes the interval short. */
static void hurry(void)
{
	if (has_visit() && s.adaptive && s.attached && s.alive.tries == 0 &&
	    s.iv.told_s > usual.interval_ms / SECONDS)
		s.alive.due_ms = s.now;
}

static void take_alive(const struct bs_packet *p, const struct packet *k)
{
	struct bs_alive_pace pace;
	struct bs_alive_answer m;
	bool newest = true;
	uint16_t jitter;

	if (!s.attached || bs_alive_answer_decode(p, &m) != BS_OK)
		return;
	if (s.adaptive &&
	    bs_alive_auth_open(&s.crypto, &s.c_key, BS_INITIATOR, &s.seen, p, &newest) != BS_OK)
		return;
	if (newest)
		s.peer = k->from;
	if (s.adaptive)
		(void)bs_interval_heard(&s.iv, &limits, &s.alive, m.seq);
	pace_of(&pace);
	jitter = (uint16_t)draw();
	if (s.adaptive)
		jitter = bs_interval_jitter(&s.iv, jitter);
	if (bs_alive_input(&s.alive, &pace, m.seq, jitter, s.now) == BS_ALIVE_POLL) {
		bs_alive_poll(&s.alive, &pace, (uint16_t)draw(), s.now);
		send_request(true);
	}
	hurry();
}

static void to_server(struct packet *k)
{
	struct bs_packet p;

	if (bs_packet_decode(k->bytes, k->len, &p) != BS_OK)
		return;
	switch (p.h.type) {
	case BS_TYPE_U_INVITE: answer_invite(&p, k->from, k->to); return;
	case BS_TYPE_U_ATTACH: take_response(&p, k); return;
	case BS_TYPE_U_ALIVE: take_alive(&p, k); return;
	default: return;
	}
}

/* ---- time ---- */

static struct packet *next_packet(void)
{
	struct packet *best = NULL;
	size_t i;

	for (i = 0; i < FLIGHT; i++) {
		if (s.flight[i].len && (!best || s.flight[i].at < best->at))
			best = &s.flight[i];
	}
	return best;
}

static void deliver(struct packet *k)
{
	struct packet copy = *k;

	k->len = 0;
	if (copy.inward)
		to_device(&copy);
	else
		to_server(&copy);
}

/* Whether a packet of the server would reach the device now. */
static bool is_reachable(void)
{
	return s.attached && is_open() && s.peer == s.port;
}

/* The next thing that happens; at the latest when a mapping closes, or a client comes. */
static uint32_t next_moment(const struct packet *k)
{
	uint32_t at = s.now + 60 * SECONDS;
	uint32_t closes = s.opened + patience_ms();
	uint32_t day = (s.now / SECONDS / DAY_S + 1) * DAY_S * SECONDS;
	uint32_t restart = day - DAY_S * SECONDS + s.row->restart_s * SECONDS;
	bs_time due;

	if (k && k->at < at)
		at = k->at;
	if (bs_attach_next_timeout(&s.dev, &due) && due / BS_TIME_PER_MS < at)
		at = (uint32_t)(due / BS_TIME_PER_MS);
	if (s.attached && s.alive.due_ms < at)
		at = s.alive.due_ms;
	if (closes > s.now && closes < at)
		at = closes;
	if (s.row->visit_s && day < at)
		at = day;
	if (s.row->restart_s && !s.restarted && has_visit() && restart > s.now && restart < at)
		at = restart;
	return at > s.now ? at : s.now;
}

static void play(const struct row *row, bool adaptive, uint32_t days)
{
	bool reachable = true;
	bool visited = false;
	uint32_t since = 0;

	memset(&s, 0, sizeof(s));
	s.row = row;
	s.adaptive = adaptive;
	s.random = 2463534242u;
	s.port = 1024;
	bs_small_crypto_init(&s.crypto, fill, NULL);
	s.conf.id.ptr = (const uint8_t *)"dev.test";
	s.conf.id.len = 8;
	s.conf.psk = psk;
	s.conf.ops = &s.ops;
	s.conf.ext_offer = adaptive ? BS_EXT_AUTH_ALIVE | BS_EXT_INTERVAL : 0;
	if (bs_keys_derive_a(&s.crypto, s.conf.id, psk, &s.a_key) != BS_OK)
		abort();
	bs_attach_init(&s.dev, &s.conf, &s.crypto);
	bs_attach_start(&s.dev, 0);
	drain_device();
	while (s.now / SECONDS < days * DAY_S) {
		struct packet *k = next_packet();

		s.now = next_moment(k);
		if (has_visit() && !visited)
			hurry();
		visited = has_visit();
		restart_nat();
		if (k && k->at <= s.now)
			deliver(k);
		bs_attach_timeout(&s.dev, BS_TIME_MS(s.now));
		drain_device();
		if (s.attached && (int32_t)(s.now - s.alive.due_ms) >= 0)
			server_due();
		if (s.res.attaches && reachable && !is_reachable())
			since = s.now;
		else if (!reachable && is_reachable() && since)
			note_absence(since);
		reachable = is_reachable();
	}
	s.res.interval_s = adaptive ? s.iv.good_s : 10;
	bs_attach_fini(&s.dev);
}

static const char *judge(const struct row *row, const struct result *fixed, const struct result *r)
{
	uint32_t most = row->nat_s < limits.max_s ? row->nat_s : limits.max_s;

	if (fixed->attaches != 1 || r->attaches != 1)
		return "lost its attachment";
	if (fixed->refused + r->refused > 0)
		return "did not believe its server";
	if (row->absent_of && r->worst_share > row->absent_of)
		return "absent for too long";
	if (row->absent_s && r->worst_visit_ms > row->absent_s * SECONDS)
		return "absent for too long while a client is there";
	if (!row->loss && !row->later_s && r->interval_s > most)
		return "believes in more than the NAT bears";
	if (!row->loss && !row->later_s && r->interval_s * 9u / 8 + 2 < most)
		return "dares less than the NAT bears";
	if (most > 60 && (r->bytes * 2 > fixed->bytes || r->wakes * 3 > fixed->wakes))
		return "saves too little";
	return NULL;
}

static void print(const char *name, const struct result *f, const struct result *r, uint32_t days)
{
	const double month = (double)MONTH_DAYS / days;

	printf("# | %s | %.1f | %.0f | %u | %.1f | %.0f | %u | %.0f s | %.2f |\n", name,
	       (double)f->bytes * month / 1e6, f->wakes * month, r->interval_s,
	       (double)r->bytes * month / 1e6, r->wakes * month, r->absences, r->worst_ms / 1e3,
	       r->worst_share / 1e3);
}

int main(int argc, char **argv)
{
	uint32_t days = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2;
	size_t n = sizeof(rows) / sizeof(rows[0]);
	int failed = 0;
	size_t i;

	/* ms have 32 bits here as in the server. */
	if (days < 1 || days > 40) {
		fprintf(stderr, "interval: DAYS: 1 to 40\n");
		return 2;
	}
	printf("1..%zu\n", n);
	printf("# | NAT | MB, 10 s | wake-ups, 10 s | found, s | MB | wake-ups | absences in %u "
	       "days | longest | in intervals |\n",
	       days);
	for (i = 0; i < n; i++) {
		struct result fixed;
		const char *why;

		play(&rows[i], false, days);
		fixed = s.res;
		play(&rows[i], true, days);
		why = judge(&rows[i], &fixed, &s.res);
		print(rows[i].name, &fixed, &s.res, days);
		printf("%sok %zu - %s%s%s\n", why ? "not " : "", i + 1, rows[i].name,
		       why ? ": " : "", why ? why : "");
		failed += why != NULL;
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
