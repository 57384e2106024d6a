/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bsstream - one stream over loopback between our own two ends, as fast as it goes.
 *
 * bsstream [-s gcm|cbc] [-f on|off] [-g BYTES] [-t SECONDS] [-d up|down] [-c] [-p]
 *   -s  suite of the connection (default gcm)
 *   -f  extension FAST_STREAM (default on with gcm, off with cbc: a stock device)
 *   -g  largest segment with FAST_STREAM (default 16000: the packet size follows the path)
 *   -t  how long (default 5)
 *   -d  which end sends (default down: the device)
 *   -c  measure the time inside the crypto backend too, which costs a little itself
 *   -p  neither UDP_SEGMENT nor UDP_GRO
 *
 * Two processes, each with the connection, stream and socket code of the SDKs and no more: no
 * registration, no tunnel.  Prints one line of JSON; CPU times are of both ends together.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/openssl.h"
#include "port/batch.h"
#include "proto/stream.h"
#include "util/endpoint.h"

#define NSI UINT32_C(0x20000001)

enum {
	SEGMENTS = 4096,
	SLOTS = 2,
	READS = 8,
	WRITE_LEN = 65536
};

struct options {
	const struct bs_suite *suite;
	bool fast;
	bool up;
	bool plain;
	bool timed;
	uint16_t segment;
	double seconds;
};

/* A crypto table that counts its time. */
struct timed {
	struct bs_crypto table;
	struct bs_aead aead;
	const struct bs_crypto *real;
	uint64_t ns;
};

struct end {
	struct bs_conn conn;
	struct bs_streams ss;
	struct bs_stream_mem mem;
	struct bs_stream *stream;
	struct bs_batch *batch;
	struct bs_openssl *openssl;
	struct timed timed;
	const struct bs_crypto *crypto;
	int fd;
	bool sends;
	uint64_t bytes;
};

/* What the child tells the parent. */
struct report {
	double user;
	double sys;
	uint64_t crypto_ns;
	uint64_t bytes;
	struct bs_batch_stats io;
	struct bs_stream_stats stream;
};

static bs_time now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (bs_time)ts.tv_sec * UINT64_C(1000000000) + (bs_time)ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The counting table: each call runs between two looks at the clock. */

static int t_hmac(void *ctx, const uint8_t *key, size_t key_len, const struct bs_slice *msg,
		  size_t n, uint8_t *out)
{
	struct timed *t = ctx;
	bs_time at = now_ns();
	int err = t->real->hmac_sha256(t->real->ctx, key, key_len, msg, n, out);

	t->ns += now_ns() - at;
	return err;
}

static int t_encrypt(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf, size_t len)
{
	struct timed *t = ctx;
	bs_time at = now_ns();
	int err = t->real->aes128_cbc_encrypt(t->real->ctx, key, iv, buf, len);

	t->ns += now_ns() - at;
	return err;
}

static int t_decrypt(void *ctx, const uint8_t *key, const uint8_t *iv, uint8_t *buf, size_t len)
{
	struct timed *t = ctx;
	bs_time at = now_ns();
	int err = t->real->aes128_cbc_decrypt(t->real->ctx, key, iv, buf, len);

	t->ns += now_ns() - at;
	return err;
}

static int t_random(void *ctx, uint8_t *buf, size_t len)
{
	struct timed *t = ctx;
	bs_time at = now_ns();
	int err = t->real->random(t->real->ctx, buf, len);

	t->ns += now_ns() - at;
	return err;
}

static int t_seal(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		  uint8_t *buf, size_t len, uint8_t *tag)
{
	struct timed *t = ctx;
	bs_time at = now_ns();
	int err = t->real->aes128_gcm->seal(t->real->ctx, key, nonce, ad, buf, len, tag);

	t->ns += now_ns() - at;
	return err;
}

static int t_open(void *ctx, const uint8_t *key, const uint8_t *nonce, struct bs_slice ad,
		  uint8_t *buf, size_t len, const uint8_t *tag)
{
	struct timed *t = ctx;
	bs_time at = now_ns();
	int err = t->real->aes128_gcm->open(t->real->ctx, key, nonce, ad, buf, len, tag);

	t->ns += now_ns() - at;
	return err;
}

static void t_forget(void *ctx, const uint8_t *key)
{
	struct timed *t = ctx;

	t->real->aes128_gcm->forget(t->real->ctx, key);
}

static void time_crypto(struct end *e)
{
	struct timed *t = &e->timed;

	t->real = e->crypto;
	t->aead = (struct bs_aead){ t_seal, t_open, t_forget };
	t->table = (struct bs_crypto){ .ctx = t,
				       .hmac_sha256 = t_hmac,
				       .aes128_cbc_encrypt = t_encrypt,
				       .aes128_cbc_decrypt = t_decrypt,
				       .random = t_random,
				       .aes128_gcm = &t->aead };
	e->crypto = &t->table;
}

static int open_socket(struct bs_endpoint *self)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		die("socket");
	bs_endpoint_set_ip4(self, INADDR_LOOPBACK, ntohs(sa.sin_port));
	return fd;
}

static void *must(void *p)
{
	if (!p)
		die("memory");
	return p;
}

static void set_up(struct end *e, const struct options *o, enum bs_role role,
		   const struct bs_key_block *key)
{
	/* What the SDKs take for a fast stream; the rest are the limits of stock devices. */
	struct bs_stream_conf conf = { .fast_segment = o->segment,
				       .fast_window = o->segment > 4000 ? 256 : 2048,
				       .window = role == BS_INITIATOR ? 2000 : 100 };
	size_t len;
	int i;

	e->openssl = must(bs_openssl_new());
	e->crypto = bs_openssl_crypto(e->openssl);
	if (o->timed)
		time_crypto(e);
	e->batch = must(bs_batch_new());
	if (o->plain)
		bs_batch_set_plain(e->batch);
	bs_batch_prepare(e->batch, e->fd);
	bs_conn_init(&e->conn, role, NSI, key, o->suite, now_ns());
	bs_conn_set_ext(&e->conn, (struct bs_conn_ext){ .fast = o->fast });
	bs_stream_mem_init(&e->mem, &conf);
	len = bs_stream_segments_len(e->mem.segment_size, SEGMENTS);
	bs_stream_mem_add_segments(&e->mem, must(calloc(1, len)), len);
	for (i = 0; i < SLOTS; i++)
		bs_stream_mem_add_slot(&e->mem, must(calloc(1, bs_stream_slot_len(e->mem.ring))));
	bs_streams_init(&e->ss, &e->mem, &e->conn, e->crypto);
	e->sends = (role == BS_INITIATOR) == o->up;
}

static void input(struct end *e, uint8_t *pkt, size_t len, const struct bs_endpoint *from,
		  bs_time now)
{
	struct bs_conn_data d;
	struct bs_packet p;

	if (bs_packet_decode(pkt, len, &p) ||
	    bs_conn_open(&e->conn, e->crypto, &p, pkt, from, now, &d))
		return;
	if (bs_tag_is_stream(d.h.tag))
		(void)bs_streams_input(&e->ss, &p, &d, from, now);
	else if (e->conn.role == BS_RESPONDER)
		(void)!bs_conn_framing(&e->conn, &d, from, now);
	else
		(void)!bs_conn_client_framing(&e->conn, &d, from, now);
	if (e->conn.role == BS_RESPONDER)
		bs_conn_touch(&e->conn, now);
	else
		bs_conn_client_touch(&e->conn, now);
}

static void receive(struct end *e)
{
	struct bs_endpoint from;
	uint8_t *pkt;
	size_t len;
	int i;

	for (i = 0; i < READS && bs_batch_receive(e->batch, e->fd) == BS_OK; i++) {
		bs_time now = now_ns();

		while (bs_batch_next(e->batch, &pkt, &len, &from))
			input(e, pkt, len, &from, now);
	}
}

static void run_app(struct end *e)
{
	static uint8_t junk[WRITE_LEN];
	struct bs_stream *s;
	unsigned events;

	while ((s = bs_streams_next_event(&e->ss, &events))) {
		if (events & BS_STREAM_EV_OPEN)
			e->stream = s;
		if (events & BS_STREAM_EV_ABORTED) {
			fprintf(stderr, "bsstream: the stream failed: %s\n", bs_strerror(s->err));
			exit(1);
		}
	}
	if (!e->stream)
		return;
	if (e->sends) {
		bs_ssize n;

		while ((n = bs_stream_write(e->stream, junk, sizeof(junk), 0)) > 0)
			e->bytes += (uint64_t)n;
		return;
	}
	for (;;) {
		struct bs_slice got = bs_stream_peek(e->stream);

		if (!got.len)
			return;
		e->bytes += got.len;
		bs_stream_consume(e->stream, got.len);
	}
}

static void output(struct end *e)
{
	bs_time now = now_ns();
	struct bs_endpoint to;
	uint8_t *buf;
	size_t len;

	while ((buf = bs_batch_room(e->batch))) {
		if (e->conn.role == BS_RESPONDER)
			len = bs_conn_output(&e->conn, e->crypto, buf, BS_BATCH_ROOM, &to);
		else
			len = bs_conn_client_output(&e->conn, e->crypto, buf, BS_BATCH_ROOM, &to,
						    now);
		if (!len)
			len = bs_streams_output(&e->ss, buf, BS_BATCH_ROOM, &to, now);
		if (!len)
			break;
		bs_batch_add(e->batch, len, e->fd, AF_INET, &to);
	}
	bs_batch_flush(e->batch);
}

static void wait_for(struct end *e, bs_time end)
{
	struct pollfd pfd = { .fd = e->fd, .events = POLLIN };
	struct timespec ts = { 0, 0 };
	bs_time at = end;
	bs_time now;
	bs_time t;

	if (bs_streams_next_timeout(&e->ss, &t) && BS_TIME_DIFF(t, at) < 0)
		at = t;
	if (bs_batch_stuck(e->batch) >= 0)
		pfd.events |= POLLOUT;
	now = now_ns();
	if (BS_TIME_DIFF(at, now) > 0) {
		ts.tv_sec = (time_t)((at - now) / 1000000000u);
		ts.tv_nsec = (long)((at - now) % 1000000000u);
	}
	(void)ppoll(&pfd, 1, &ts, NULL);
}

static void run(struct end *e, bs_time end)
{
	while (BS_TIME_DIFF(now_ns(), end) < 0) {
		bs_time now;

		receive(e);
		now = now_ns();
		if (e->conn.role == BS_INITIATOR)
			bs_conn_client_timeout(&e->conn, now);
		bs_streams_timeout(&e->ss, now);
		if (!e->stream && e->conn.role == BS_INITIATOR && e->conn.state == BS_CONN_OPEN &&
		    bs_stream_open(&e->ss, now, &e->stream) != BS_OK)
			die("open");
		run_app(e);
		output(e);
		wait_for(e, end);
	}
}

static double seconds_of(const struct timeval *tv)
{
	return (double)tv->tv_sec + (double)tv->tv_usec / 1e6;
}

static void fill(const struct end *e, struct report *r)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	r->user = seconds_of(&u.ru_utime);
	r->sys = seconds_of(&u.ru_stime);
	r->crypto_ns = e->timed.ns;
	r->bytes = e->bytes;
	r->io = *bs_batch_stats(e->batch);
	if (e->stream)
		r->stream = e->stream->stats;
}

static void print(const struct options *o, const struct report *a, const struct report *b)
{
	const struct report *rx = a->io.rx_pkts > b->io.rx_pkts ? a : b;
	const struct report *tx = rx == a ? b : a;
	double cpu = a->user + a->sys + b->user + b->sys;
	double crypto = (double)(a->crypto_ns + b->crypto_ns) / 1e9;

	printf("{\"suite\": \"%s\", \"fast\": %s, \"bytes\": %llu, \"mb_per_s\": %.1f, "
	       "\"cpu_s\": %.2f, \"user_s\": %.2f, \"crypto_share\": %.3f, \"packets\": %llu, "
	       "\"packet_bytes\": %.0f, \"again\": %u, \"timeouts\": %u, \"tx_per_call\": %.1f, "
	       "\"rx_per_call\": %.1f, \"tx_lost\": %llu, \"acks\": %llu}\n",
	       o->suite == &bs_suite_aes_gcm ? "gcm" : "cbc", o->fast ? "true" : "false",
	       (unsigned long long)rx->bytes, (double)rx->bytes / 1e6 / o->seconds, cpu,
	       a->user + b->user, o->timed ? crypto / cpu : 0.0, (unsigned long long)rx->io.rx_pkts,
	       (double)rx->bytes / (double)(rx->io.rx_pkts ? rx->io.rx_pkts : 1),
	       tx->stream.tx_again, tx->stream.timeouts,
	       (double)tx->io.tx_pkts / (double)(tx->io.tx_calls ? tx->io.tx_calls : 1),
	       (double)rx->io.rx_pkts / (double)(rx->io.rx_calls ? rx->io.rx_calls : 1),
	       (unsigned long long)tx->io.lost, (unsigned long long)rx->io.tx_pkts);
}

static bool parse(int argc, char **argv, struct options *o)
{
	int fast = -1;
	int c;

	while ((c = getopt(argc, argv, "s:f:g:t:d:cp")) >= 0) {
		switch (c) {
		case 's':
			o->suite =
				strcmp(optarg, "cbc") == 0 ? &bs_suite_aes_cbc : &bs_suite_aes_gcm;
			break;
		case 'f': fast = strcmp(optarg, "on") == 0; break;
		case 'g': o->segment = (uint16_t)strtoul(optarg, NULL, 10); break;
		case 't': o->seconds = strtod(optarg, NULL); break;
		case 'd': o->up = strcmp(optarg, "up") == 0; break;
		case 'c': o->timed = true; break;
		case 'p': o->plain = true; break;
		default: return false;
		}
	}
	o->fast = fast >= 0 ? fast != 0 : o->suite == &bs_suite_aes_gcm;
	return o->seconds > 0;
}

int main(int argc, char **argv)
{
	struct options o = { .suite = &bs_suite_aes_gcm,
			     .segment = BS_STREAM_SEGMENT_MAX,
			     .seconds = 5 };
	static struct end e;
	struct bs_key_block key;
	struct bs_endpoint self[2];
	struct report mine = { 0 };
	struct report theirs = { 0 };
	int fd[2];
	int back[2];
	bs_time end;
	pid_t child;

	if (!parse(argc, argv, &o)) {
		fputs("usage: bsstream [-s gcm|cbc] [-f on|off] [-g BYTES] [-t SECONDS] "
		      "[-d up|down] [-c] [-p]\n",
		      stderr);
		return 2;
	}
	memset(&key, 0x5A, sizeof(key));
	memset(key.b + 48, 0xA5, 48);
	fd[0] = open_socket(&self[0]);
	fd[1] = open_socket(&self[1]);
	end = now_ns() + (bs_time)(o.seconds * 1e9);
	if (pipe(back) != 0 || (child = fork()) < 0)
		die("fork");
	if (child == 0) {
		e.fd = fd[1];
		set_up(&e, &o, BS_RESPONDER, &key);
		run(&e, end);
		fill(&e, &theirs);
		_exit(write(back[1], &theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
	}
	e.fd = fd[0];
	set_up(&e, &o, BS_INITIATOR, &key);
	bs_conn_set_path(&e.conn, &self[1], BS_PATH_DIRECT, now_ns());
	run(&e, end);
	fill(&e, &mine);
	if (read(back[0], &theirs, sizeof(theirs)) != sizeof(theirs))
		die("the other end");
	(void)waitpid(child, NULL, 0);
	print(&o, &mine, &theirs);
	return 0;
}
