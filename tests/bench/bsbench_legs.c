/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bsbench_legs.c - both ends of relayed byte streams in one thread, for the server's TCP relay and
 * for the plain forwarders of bsbench_pipe.c alike.
 *
 * bsbench legs PORT N RATE SIZE SECONDS down|up [CA CERTIFICATE KEY]
 *     Attaches N devices to the controller on PORT (0: none, for a forwarder), prints "ready", and
 *     serves them until standard input has named N pairs of legs.  Then it sends packets of SIZE
 *     bytes, each with a call of its own as the SDKs do, RATE megabytes a second over all pairs in
 *     turn (0: as fast as it goes), and counts the bytes at the other ends.  With the three files
 *     the client's legs run over TLS 1.3, a record for each packet.
 *
 * A pair is one line: the device's port, what it says first, the client's port, what it says first,
 * and the beginning of every packet; the words in hexadecimal, "-" for nothing.  An end that says
 * something waits for an answer.
 */
#include "bsbench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cursor.h"
#include "util/endpoint.h"
#include "util/hex.h"
#include "wire/gw.h"

enum {
	WORDS = 5,
	WORD_MAX = 128,
	/* Packets of one pair before the next one has its turn. */
	BURST = 8,
	READ_LEN = 256 * 1024,
	PATIENCE_S = 10,
};

struct leg {
	int fd;
	SSL *ssl; /**< NULL = plain */
	uint16_t port;
	uint8_t hello[WORD_MAX];
	size_t hello_len;
};

struct pair {
	struct leg device, client;
	struct leg *from, *to;
	uint8_t packet[BS_PACKET_MAX];
	size_t sent; /**< bytes of packet that are out */
};

static size_t bytes_of(const char *hex, uint8_t *out)
{
	const size_t len = strlen(hex) / 2;

	if (strcmp(hex, "-") == 0)
		return 0;
	if (len > WORD_MAX || bs_hex_decode(hex, strlen(hex), out, len) != BS_OK)
		die("a word is no hexadecimal number, or too long");
	return len;
}

static void read_pair(struct pair *p, size_t size)
{
	char line[1024];
	char *word[WORDS];
	char *rest = line;

	if (!fgets(line, sizeof(line), stdin))
		die("the pairs end too early");
	line[strcspn(line, "\n")] = '\0';
	for (int i = 0; i < WORDS; i++) {
		word[i] = rest;
		rest = strchr(rest, ' ');
		if (i < WORDS - 1 && !rest)
			die("a pair has five words");
		if (i < WORDS - 1)
			*rest++ = '\0';
	}
	p->device.port = (uint16_t)number(word[0]);
	p->device.hello_len = bytes_of(word[1], p->device.hello);
	p->client.port = (uint16_t)number(word[2]);
	p->client.hello_len = bytes_of(word[3], p->client.hello);
	memset(p->packet, 0xA5, sizeof(p->packet));
	if (bytes_of(word[4], p->packet) == 0)
		bs_put_u16(p->packet + 14, (uint16_t)size);
}

/* ---- legs */

static void dial(struct leg *l, SSL_CTX *ctx)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const struct timeval patience = { PATIENCE_S, 0 };
	int on = 1;

	to.sin_addr.s_addr = htonl(SERVER_IP);
	to.sin_port = htons(l->port);
	l->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (l->fd < 0 || connect(l->fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		die("cannot connect a leg");
	(void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(l->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (!ctx)
		return;
	l->ssl = SSL_new(ctx);
	if (!l->ssl || SSL_set_fd(l->ssl, l->fd) != 1 || SSL_connect(l->ssl) != 1) {
		ERR_print_errors_fp(stderr);
		die("no TLS");
	}
}

/** Bytes sent; 0 when the way is full. */
static size_t put(struct leg *l, const uint8_t *buf, size_t len)
{
	size_t n = 0;
	ssize_t r;

	if (l->ssl) {
		ERR_clear_error();
		if (SSL_write_ex(l->ssl, buf, len, &n) == 1)
			return n;
		if (SSL_get_error(l->ssl, 0) != SSL_ERROR_WANT_WRITE)
			die("a leg over TLS has ended");
		return 0;
	}
	r = send(l->fd, buf, len, MSG_NOSIGNAL);
	if (r < 0 && errno != EAGAIN)
		die("a leg has ended");
	return r < 0 ? 0 : (size_t)r;
}

/** Bytes received; 0 when there are none. */
static size_t get(struct leg *l, uint8_t *buf, size_t cap)
{
	size_t n = 0;
	ssize_t r;

	if (l->ssl) {
		ERR_clear_error();
		if (SSL_read_ex(l->ssl, buf, cap, &n) == 1)
			return n;
		if (SSL_get_error(l->ssl, 0) != SSL_ERROR_WANT_READ)
			die("a leg over TLS has ended");
		return 0;
	}
	r = recv(l->fd, buf, cap, 0);
	if (r == 0 || (r < 0 && errno != EAGAIN))
		die("a leg has ended");
	return r < 0 ? 0 : (size_t)r;
}

static void answered(struct leg *l)
{
	uint8_t buf[BS_GW_ANSWER_LEN];
	size_t have = 0;

	while (l->hello_len > 0 && have < sizeof(buf)) {
		size_t n = get(l, buf + have, sizeof(buf) - have);

		if (n == 0)
			die("no answer to a leg");
		have += n;
	}
}

static void open_pair(struct pair *p, SSL_CTX *ctx)
{
	struct leg *legs[] = { &p->device, &p->client };

	for (int i = 0; i < 2; i++) {
		dial(legs[i], i == 1 ? ctx : NULL);
		if (legs[i]->hello_len > 0 &&
		    put(legs[i], legs[i]->hello, legs[i]->hello_len) != legs[i]->hello_len)
			die("a leg takes no handshake");
	}
	for (int i = 0; i < 2; i++) {
		answered(legs[i]);
		if (fcntl(legs[i]->fd, F_SETFL, O_NONBLOCK) != 0)
			die("fcntl");
	}
}

static SSL_CTX *make_ctx(char **files)
{
	static const unsigned char alpn[] = "\x0d"
					    "basestation/1";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (!ctx || SSL_CTX_load_verify_locations(ctx, files[0], NULL) != 1 ||
	    SSL_CTX_use_certificate_chain_file(ctx, files[1]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, files[2], SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1) != 0 ||
	    SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1)
		die("cannot read CA, certificate or key");
	SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return ctx;
}

/* ---- the load */

/** A few packets of one pair; bytes. */
static size_t feed(struct pair *p, size_t size)
{
	size_t all = 0;

	for (int i = 0; i < BURST; i++) {
		size_t n = put(p->from, p->packet + p->sent, size - p->sent);

		all += n;
		p->sent = (p->sent + n) % size;
		if (p->sent != 0 || n == 0)
			break;
	}
	return all;
}

static size_t take(struct pair *p, uint8_t *buf)
{
	size_t all = 0;
	size_t n;

	/* What is left comes next time: the socket stays readable, and TLS has read one record. */
	do {
		n = get(p->to, buf, READ_LEN);
		all += n;
	} while (p->to->ssl && n > 0 && all < READ_LEN);
	return all;
}

static uint64_t run(struct pair *p, size_t n, double rate, size_t size, double seconds)
{
	uint8_t *buf = malloc(READ_LEN);
	const bs_time start = now_ns();
	uint64_t sent = 0, got = 0;
	bs_time t;

	if (!buf)
		die("no memory");
	while ((double)(t = now_ns() - start) < seconds * 1e9) {
		uint64_t moved = 0;

		for (size_t i = 0; i < n; i++) {
			if (rate == 0 || (double)sent < (double)t * rate / 1e3)
				moved += feed(&p[i], size);
			sent += moved;
			got += take(&p[i], buf);
		}
		/* Let the relay work, too, where it has no processor of its own. */
		if (moved == 0)
			(void)poll(NULL, 0, 1);
	}
	free(buf);
	return got;
}

void run_legs(const struct legs_plan *plan)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	SSL_CTX *ctx = plan->files ? make_ctx(plan->files) : NULL;
	struct pair *p = calloc(plan->n, sizeof(*p));
	struct bench b;

	memset(&b, 0, sizeof(b));
	open_socket(&b, 0);
	if (!p || plan->size < WORD_MAX || plan->size > BS_PACKET_MAX)
		die("N or SIZE is out of range");
	bs_endpoint_set_ip4(&b.server, SERVER_IP, plan->port);
	if (plan->port != 0) {
		make_devices(&b, plan->n);
		attach_all(&b);
	}
	printf("ready\n");
	fflush(stdout);
	setvbuf(stdin, NULL, _IONBF, 0);
	for (size_t i = 0; i < plan->n; i++) {
		while (poll(&in, 1, 0) == 0) {
			if (plan->port != 0)
				turn(&b, 1);
			else
				(void)poll(&in, 1, 1000);
		}
		read_pair(&p[i], plan->size);
		open_pair(&p[i], ctx);
		p[i].from = plan->up ? &p[i].client : &p[i].device;
		p[i].to = plan->up ? &p[i].device : &p[i].client;
	}
	(void)run(p, plan->n, plan->rate, plan->size, 0.5);
	printf("begin\n");
	fflush(stdout);
	printf("end %llu\n",
	       (unsigned long long)run(p, plan->n, plan->rate, plan->size, plan->seconds));
	fflush(stdout);
	free(p);
	SSL_CTX_free(ctx);
}
