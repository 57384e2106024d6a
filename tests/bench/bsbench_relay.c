/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bsbench_relay.c - both ends of many relayed flows in one thread, and the bare forwarder that a
 * relay is measured against.
 *
 * bsbench relay PORT N RATE RUN SIZE SECONDS
 *     Attaches N devices to the controller on PORT (0: none, for other relays), prints "ready" and
 *     its UDP port, serves them until standard input has named N flows, then sends RATE datagrams a
 *     second of SIZE bytes, up and down in turn, RUN at a time of each flow, and counts what comes
 *     out at the other ends.
 * bsbench forward
 *     The least that any relay has to do: recvmmsg, another address, sendmmsg.  Prints its port.
 *
 * A flow is one line: client's leg: port and prefix, device's leg: port and prefix; a prefix is
 * what each datagram to that port begins with, in hexadecimal, "-" for nothing.  Client i writes
 * from CLIENT_IP + i, device i from FIRST_IP + i, both from one socket.  The last eight bytes of a
 * datagram are its number, so that none is an exact repeat.
 */
#include "bsbench.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cursor.h"
#include "util/endpoint.h"
#include "util/hex.h"

#define CLIENT_IP    0x7f020001u
#define PREFIX_MAX   128
#define LINE_MAX_LEN 1024

/** One end of a flow. */
struct end {
	struct bs_endpoint to;
	uint32_t ip;
	uint8_t prefix[PREFIX_MAX];
	size_t prefix_len;
};

struct flows {
	struct end *end; /**< [2 * n]: client's and device's in turn */
	size_t n;
	size_t given;
	char line[LINE_MAX_LEN];
	size_t line_len;
};

static void take_end(struct end *e, const char *port, const char *hex, uint32_t ip)
{
	memset(e, 0, sizeof(*e));
	bs_endpoint_set_ip4(&e->to, SERVER_IP, (uint16_t)number(port));
	e->ip = ip;
	if (strcmp(hex, "-") == 0)
		return;
	e->prefix_len = strlen(hex) / 2;
	if (e->prefix_len > PREFIX_MAX ||
	    bs_hex_decode(hex, strlen(hex), e->prefix, e->prefix_len) != BS_OK)
		die("a prefix is no hexadecimal number");
}

static void take_line(struct flows *f, char *line)
{
	char *word[4];

	for (int i = 0; i < 4; i++) {
		word[i] = line;
		line = strchr(line, ' ');
		if (i < 3 && line == NULL)
			die("a flow has four words");
		if (i < 3)
			*line++ = '\0';
	}
	if (f->given == f->n)
		die("too many flows");
	take_end(&f->end[2 * f->given], word[0], word[1], CLIENT_IP + (uint32_t)f->given);
	take_end(&f->end[2 * f->given + 1], word[2], word[3], FIRST_IP + (uint32_t)f->given);
	f->given++;
}

static void read_flows(struct flows *f)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char *end;
	ssize_t n;

	if (poll(&p, 1, 0) <= 0)
		return;
	n = read(STDIN_FILENO, f->line + f->line_len, sizeof(f->line) - 1 - f->line_len);
	if (n <= 0)
		die("the flows end too early");
	f->line_len += (size_t)n;
	f->line[f->line_len] = '\0';
	while ((end = strchr(f->line, '\n')) != NULL) {
		*end++ = '\0';
		take_line(f, f->line);
		f->line_len -= (size_t)(end - f->line);
		memmove(f->line, end, f->line_len + 1);
	}
}

static void send_number(struct bench *b, const struct end *e, size_t size, uint64_t no)
{
	uint8_t buf[BS_UDP_BUF];

	memcpy(buf, e->prefix, e->prefix_len);
	memset(buf + e->prefix_len, 0xA5, size - e->prefix_len);
	bs_put_u64(buf + size - sizeof(no), no);
	send_from(b, buf, size, e->ip, &e->to);
}

static uint64_t count(struct bench *b, size_t size)
{
	struct bs_datagram *d;
	uint64_t got = 0;
	int n;

	/* Keep-alives of the server are shorter; TURN adds four bytes on one side. */
	while ((n = bs_udp_receive(b->rx, b->fd, &b->self, &d)) > 0)
		for (int i = 0; i < n; i++)
			got += d[i].len + 8 >= size;
	return got;
}

static uint64_t pump(struct bench *b, const struct flows *f, unsigned rate, unsigned run,
		     size_t size, unsigned seconds, uint64_t base)
{
	const bs_time start = now_ns();
	uint64_t sent = 0, got = 0, want;
	bs_time t;

	while ((t = now_ns() - start) < seconds * UINT64_C(1000000000)) {
		want = t / 1000 * rate / 1000000;
		want -= want % run;
		for (; sent < want; sent++)
			send_number(b, &f->end[sent / run % (2 * f->n)], size, base + sent);
		bs_udp_flush(b->tx, &b->sent);
		got += count(b, size);
		if (sent >= want)
			wait_readable(b, 1);
	}
	return got;
}

void run_relay(uint16_t port, size_t n, unsigned rate, unsigned run, size_t size, unsigned seconds)
{
	struct flows f = { .n = n };
	struct bench b;

	memset(&b, 0, sizeof(b));
	open_socket(&b, 0);
	f.end = calloc(2 * n, sizeof(*f.end));
	if (f.end == NULL || run == 0 || size < PREFIX_MAX || size > BS_PACKET_MAX)
		die("N, RUN or SIZE is out of range");
	bs_endpoint_set_ip4(&b.server, SERVER_IP, port);
	if (port != 0) {
		make_devices(&b, n);
		attach_all(&b);
	}
	printf("ready %u\n", b.self.port);
	fflush(stdout);
	while (f.given < n) {
		if (port != 0)
			turn(&b, 1);
		else
			(void)poll(NULL, 0, 1);
		read_flows(&f);
	}
	/* Both ways once, so that what is made at the first packet is made. */
	(void)pump(&b, &f, 2000, 1, size, 1, UINT64_C(1) << 32);
	printf("begin\n");
	fflush(stdout);
	printf("end %llu\n", (unsigned long long)pump(&b, &f, rate, run, size, seconds, 0));
	fflush(stdout);
	free(f.end);
}

void run_forward(void)
{
	const int off = 0;
	struct bs_datagram *d;
	struct bench b;

	memset(&b, 0, sizeof(b));
	open_socket(&b, SERVER_IP);
	/* Bare means bare: each datagram by itself, as any program would begin. */
	(void)setsockopt(b.fd, SOL_UDP, UDP_GRO, &off, sizeof(off));
	bs_udp_tx_plain(b.tx);
	printf("%u\n", b.self.port);
	fflush(stdout);
	for (;;) {
		int n = bs_udp_receive(b.rx, b.fd, &b.self, &d);

		if (n <= 0)
			wait_readable(&b, 1000);
		for (int i = 0; i < n; i++) {
			struct bs_endpoint to = d[i].peer;

			/* The other side is the same number in the other half of 127/8. */
			to.ip[13] ^= (CLIENT_IP ^ FIRST_IP) >> 16 & 0xFF;
			send_from(&b, d[i].data, d[i].len, SERVER_IP, &to);
		}
		bs_udp_flush(b.tx, &b.sent);
	}
}
