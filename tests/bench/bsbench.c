/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bsbench - the bare limits that scripts/bench compares with, and the ends of a relayed flow; the
 * devices and clients of all other rows are those of bsload(1).
 *
 * bsbench echo                      answer datagrams of 24 bytes with 25; prints its port
 * bsbench pace PORT N RATE BURST SECONDS PACKET [AT NAMES]
 *                                   send PACKET (hexadecimal) at RATE in bursts from N addresses,
 *                                   count what comes back; a random number below NAMES is
 *                                   written at offset AT, in 7 digits
 * bsbench relay PORT N RATE RUN SIZE SECONDS, bsbench forward: see bsbench_relay.c
 * bsbench legs PORT N RATE SIZE SECONDS down|up [CA CERTIFICATE KEY]: see bsbench_legs.c
 * bsbench pipe [CERTIFICATE KEY], bsbench splice: see bsbench_pipe.c
 *
 * Device i writes from its own address in 127/8 (IP_PKTINFO), so one socket serves all of them and
 * the address a datagram came to names the device.  Lines "begin" and "end COUNT" bracket what is
 * measured; the driver reads the server's CPU time at each of them.
 */
#include "bsbench.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/endpoint.h"
#include "util/hex.h"

enum {
	PACE_MAX = 1024,
	PACE_DIGITS = 7,
	NAP_NS = 500000,
};

static const uint8_t secret[BS_PSK_LEN] = { 0x42 };
static const struct bs_device_ops no_ops;

bs_time now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (bs_time)ts.tv_sec * UINT64_C(1000000000) + (bs_time)ts.tv_nsec;
}

void die(const char *what)
{
	fprintf(stderr, "bsbench: %s\n", what);
	exit(1);
}

void open_socket(struct bench *b, uint32_t ip)
{
	bs_endpoint_set_ip4(&b->self, ip, 0);
	b->fd = bs_udp_open(&b->self, 8u << 20);
	b->rx = bs_udp_rx_new();
	b->tx = bs_udp_tx_new();
	if (b->fd < 0 || b->rx == NULL || b->tx == NULL)
		die("cannot open a socket");
}

void send_from(struct bench *b, const uint8_t *data, size_t len, uint32_t ip,
	       const struct bs_endpoint *to)
{
	struct bs_endpoint local;
	uint8_t *buf = bs_udp_reserve(b->tx);

	if (buf == NULL) {
		bs_udp_flush(b->tx, &b->sent);
		buf = bs_udp_reserve(b->tx);
	}
	memcpy(buf, data, len);
	bs_endpoint_set_ip4(&local, ip, b->self.port);
	bs_udp_commit(b->tx, len, b->fd, &local, to);
}

void wait_readable(struct bench *b, int ms)
{
	struct pollfd p = { .fd = b->fd, .events = POLLIN };

	(void)poll(&p, 1, ms);
}

/* ---- bare echo */

/* Sleep without being woken: that would be done in the CPU time of whoever answers. */
static void nap(void)
{
	const struct timespec t = { .tv_nsec = NAP_NS };

	(void)nanosleep(&t, NULL);
}

static void run_echo(void)
{
	struct bench b;
	struct bs_datagram *d;
	static const struct bs_endpoint any;
	static const uint8_t answer[25] = { 0 };

	memset(&b, 0, sizeof(b));
	open_socket(&b, SERVER_IP);
	printf("%u\n", b.self.port);
	fflush(stdout);
	for (;;) {
		int n = bs_udp_receive(b.rx, b.fd, &b.self, &d);

		for (int i = 0; i < n; i++) {
			uint8_t *buf = bs_udp_reserve(b.tx);

			if (buf == NULL) {
				bs_udp_flush(b.tx, &b.sent);
				buf = bs_udp_reserve(b.tx);
			}
			memcpy(buf, answer, sizeof(answer));
			bs_udp_commit(b.tx, sizeof(answer), b.fd, &any, &d[i].peer);
		}
		bs_udp_flush(b.tx, &b.sent);
		/* A call that was not filled took all there was.  Gather as long as the server
		 * does: woken by the first of a burst, it would take the burst in pieces. */
		if (n < BS_UDP_BATCH)
			nap();
	}
}

static uint64_t drain(struct bench *b)
{
	struct bs_datagram *d;
	uint64_t got = 0;
	int n;

	while ((n = bs_udp_receive(b->rx, b->fd, &b->self, &d)) > 0)
		got += (uint64_t)n;
	return got;
}

/* What run_pace sends: the packet, and where a number goes. */
struct pace {
	uint8_t packet[PACE_MAX];
	size_t len;
	size_t at;
	uint32_t names; /* 0: no number */
	uint32_t state;
};

static void read_packet(struct pace *p, const char *hex, int n_options, char **options)
{
	memset(p, 0, sizeof(*p));
	p->len = strlen(hex) / 2;
	if (p->len > sizeof(p->packet) ||
	    bs_hex_decode(hex, strlen(hex), p->packet, p->len) != BS_OK)
		die("the packet is no hexadecimal number, or too long");
	if (n_options == 0)
		return;
	p->at = number(options[0]);
	p->names = (uint32_t)number(options[1]);
	p->state = 1;
	if (p->at > p->len || p->len - p->at < PACE_DIGITS)
		die("the number is not inside the packet");
}

static void next_name(struct pace *p)
{
	uint32_t v;
	int i;

	if (p->names == 0)
		return;
	/* xorshift32: every number comes, in no order that a cache could learn. */
	p->state ^= p->state << 13;
	p->state ^= p->state >> 17;
	p->state ^= p->state << 5;
	v = (uint32_t)(((uint64_t)p->state * p->names) >> 32);
	for (i = PACE_DIGITS; i-- > 0; v /= 10)
		p->packet[p->at + (size_t)i] = (uint8_t)('0' + v % 10);
}

static void run_pace(uint16_t port, size_t n, unsigned rate, unsigned burst, unsigned seconds,
		     struct pace *p)
{
	struct bench b;
	uint64_t sent = 0, got = 0, want;
	bs_time start, t;

	memset(&b, 0, sizeof(b));
	open_socket(&b, 0);
	bs_endpoint_set_ip4(&b.server, SERVER_IP, port);
	printf("begin\n");
	fflush(stdout);
	start = now_ns();
	while ((t = now_ns() - start) < seconds * UINT64_C(1000000000)) {
		want = t / 1000 * rate / 1000000;
		want -= want % burst;
		for (; sent < want; sent++) {
			next_name(p);
			send_from(&b, p->packet, p->len, FIRST_IP + (uint32_t)(sent % n),
				  &b.server);
		}
		bs_udp_flush(b.tx, &b.sent);
		got += drain(&b);
		if (sent >= want)
			nap();
	}
	printf("end %llu\n", (unsigned long long)got);
}

/* ---- devices */

void make_devices(struct bench *b, size_t n)
{
	b->openssl = bs_openssl_new();
	b->sims = calloc(n, sizeof(*b->sims));
	b->n = n;
	if (b->sims == NULL || b->openssl == NULL)
		die("no memory");
	for (size_t i = 0; i < n; i++) {
		struct sim *s = &b->sims[i];

		snprintf(s->id, sizeof(s->id), "bench-%07zu.p2p.test", i);
		s->conf.id.ptr = (const uint8_t *)s->id;
		s->conf.id.len = strlen(s->id);
		s->conf.psk = secret;
		s->conf.ops = &no_ops;
		/* Who plays the legs is bsbench_legs.c; the device only says yes. */
		s->conf.tcp_relay = true;
		if (bs_device_init(&s->dev, &s->conf, bs_openssl_crypto(b->openssl), &s->conn, 1,
				   &s->slot, 1) != BS_OK)
			die("a device cannot be made");
	}
}

static void start_device(struct bench *b, size_t i, bs_time now)
{
	struct sim *s = &b->sims[i];

	bs_device_stop(&s->dev);
	bs_device_start(&s->dev, now);
	(void)bs_device_take_events(&s->dev);
	bs_device_resolved(&s->dev, &b->server, 1, now);
}

static void flush_device(struct bench *b, size_t i, bs_time now)
{
	struct bs_endpoint to;
	uint8_t buf[BS_PACKET_SMALL];
	size_t len;

	while ((len = bs_device_output(&b->sims[i].dev, buf, sizeof(buf), &to, now)) > 0)
		send_from(b, buf, len, FIRST_IP + (uint32_t)i, &to);
}

void turn(struct bench *b, int wait_ms)
{
	struct bs_datagram *d;
	int n = bs_udp_receive(b->rx, b->fd, &b->self, &d);
	const bs_time now = now_ns();

	for (int i = 0; i < n; i++) {
		const size_t who = bs_endpoint_ip4(&d[i].local) - FIRST_IP;

		if (who >= b->n)
			continue;
		(void)bs_device_input(&b->sims[who].dev, d[i].data, d[i].len, &d[i].peer, now);
		flush_device(b, who, now);
		if (bs_device_take_events(&b->sims[who].dev) & BS_ATTACH_EV_ATTACHED)
			b->attaches++;
	}
	bs_udp_flush(b->tx, &b->sent);
	if (n <= 0)
		wait_readable(b, wait_ms);
}

static void sweep_timeouts(struct bench *b, bs_time now)
{
	bs_time at;

	for (size_t i = 0; i < b->n; i++) {
		if (!bs_device_next_timeout(&b->sims[i].dev, &at) || BS_TIME_DIFF(now, at) < 0)
			continue;
		bs_device_timeout(&b->sims[i].dev, now);
		flush_device(b, i, now);
		if (bs_device_take_events(&b->sims[i].dev) & BS_ATTACH_EV_RESOLVE) {
			bs_device_resolved(&b->sims[i].dev, &b->server, 1, now);
			flush_device(b, i, now);
		}
	}
	bs_udp_flush(b->tx, &b->sent);
}

/** One turn of attaching: what arrives, and twice a second what was lost. */
static void attach_turn(struct bench *b, bs_time *swept, bs_time give_up)
{
	turn(b, 2);
	if (now_ns() - *swept > UINT64_C(500000000)) {
		*swept = now_ns();
		sweep_timeouts(b, *swept);
	}
	if (now_ns() > give_up) {
		fprintf(stderr, "bsbench: only %llu of %zu devices attached\n",
			(unsigned long long)b->attaches, b->n);
		exit(1);
	}
}

void attach_all(struct bench *b)
{
	bs_time swept = now_ns();
	const bs_time give_up = swept + UINT64_C(60000000000);

	for (size_t i = 0; i < b->n; i++) {
		start_device(b, i, now_ns());
		flush_device(b, i, now_ns());
		bs_udp_flush(b->tx, &b->sent);
		/* A bounded number under way, so that no socket buffer overflows. */
		while (i + 1 - b->attaches > 256)
			attach_turn(b, &swept, give_up);
	}
	while (b->attaches < b->n)
		attach_turn(b, &swept, give_up);
}

unsigned long number(const char *text)
{
	char *end;
	const unsigned long v = strtoul(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		die("an argument is not a number");
	return v;
}

/** The programs that carry byte streams; false when it is none of them. */
static bool run_stream(int argc, char **argv)
{
	if ((argc == 8 || argc == 11) && strcmp(argv[1], "legs") == 0) {
		const struct legs_plan plan = { .port = (uint16_t)number(argv[2]),
						.n = number(argv[3]),
						.rate = (double)number(argv[4]),
						.size = number(argv[5]),
						.seconds = (double)number(argv[6]),
						.up = strcmp(argv[7], "up") == 0,
						.files = argc == 11 ? argv + 8 : NULL };

		run_legs(&plan);
	} else if (argc == 2 && strcmp(argv[1], "splice") == 0) {
		run_pipe(NULL, NULL, true);
	} else if (argc == 2 && strcmp(argv[1], "pipe") == 0) {
		run_pipe(NULL, NULL, false);
	} else if (argc == 4 && strcmp(argv[1], "pipe") == 0) {
		run_pipe(argv[2], argv[3], false);
	} else {
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct pace pace;

	if (argc == 2 && strcmp(argv[1], "echo") == 0)
		run_echo();
	else if ((argc == 8 || argc == 10) && strcmp(argv[1], "pace") == 0) {
		read_packet(&pace, argv[7], argc - 8, argv + 8);
		run_pace((uint16_t)number(argv[2]), number(argv[3]), (unsigned)number(argv[4]),
			 (unsigned)number(argv[5]), (unsigned)number(argv[6]), &pace);
	} else if (argc == 8 && strcmp(argv[1], "relay") == 0)
		run_relay((uint16_t)number(argv[2]), number(argv[3]), (unsigned)number(argv[4]),
			  (unsigned)number(argv[5]), number(argv[6]), (unsigned)number(argv[7]));
	else if (argc == 2 && strcmp(argv[1], "forward") == 0)
		run_forward();
	else if (!run_stream(argc, argv))
		die("usage: bsbench echo | pace PORT N RATE BURST SECONDS PACKET [AT NAMES] | "
		    "relay PORT N RATE RUN SIZE SECONDS | forward | legs PORT N RATE SIZE SECONDS "
		    "down|up [CA CERTIFICATE KEY] | pipe [CERTIFICATE KEY] | splice");
	return 0;
}
