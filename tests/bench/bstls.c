/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bstls.c - the client load of the TLS rows: handshakes against any TLS server, by the same code.
 *
 * One process with many connections under way, so that it stays in the caches and is seldom woken;
 * only floods and sessions that are held have a process for each.  A handshake counts when the
 * server's close was seen too, so that tickets and the end of the connection are in the server's
 * bill.
 *
 * It must outrun the server: one that waits for its clients goes to sleep after each of their
 * messages, and that would be in its bill as well.  So handshakes run in the library context of
 * net/tls_lib.c, which makes OpenSSL 3.0 cheaper on this side, too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/tls_internal.h"

/** Processes, at most. */
#define PROCS_MAX 256
/** How long a turn waits for its last connections. */
#define PATIENCE_S 2
/** Certificates in the file, at most. */
#define CERTS_MAX 65536

struct plan {
	struct sockaddr_in to, from;
	double seconds;
	int procs; /* handshakes under way */
	int version;
	bool resume, idle, flood;
	const char *ca, *certs, *key, *alpn;
	long hold; /* idle: connections of each process */
};

/** One line of shared memory per process. */
struct tally {
	long done, failed;
	double slowest_s;
	char pad[40];
};

struct certs {
	X509 *v[CERTS_MAX];
	size_t n;
};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	fprintf(stderr, "bstls: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static SSL_CTX *make_ctx(const struct plan *p, EVP_PKEY **key)
{
	static struct bs__tls_lib lib; /* of this process, until its end */
	SSL_CTX *ctx = bs__tls_lib_init(&lib) == BS_ENOMEM
			       ? NULL
			       : SSL_CTX_new_ex(lib.tls, NULL, TLS_client_method());
	FILE *f = fopen(p->key, "r");

	if (!ctx || !f || !(*key = PEM_read_PrivateKey(f, NULL, NULL, NULL)))
		die("cannot read the client key");
	fclose(f);
	SSL_CTX_set_min_proto_version(ctx, p->version);
	SSL_CTX_set_max_proto_version(ctx, p->version);
	if (SSL_CTX_load_verify_locations(ctx, p->ca, NULL) != 1)
		die("cannot read the CA");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	/* Records are read together, instead of each in two calls. */
	SSL_CTX_set_read_ahead(ctx, 1);
	if (strcmp(p->alpn, "-") != 0) {
		unsigned char name[64];
		size_t len = strlen(p->alpn);

		name[0] = (unsigned char)len;
		memcpy(name + 1, p->alpn, len);
		if (SSL_CTX_set_alpn_protos(ctx, name, (unsigned)len + 1) != 0)
			die("cannot set ALPN");
	}
	return ctx;
}

static void read_certs(const struct plan *p, struct certs *c)
{
	FILE *f = fopen(p->certs, "r");
	X509 *x;

	while (f && c->n < CERTS_MAX && (x = PEM_read_X509(f, NULL, NULL, NULL)))
		c->v[c->n++] = x;
	ERR_clear_error();
	if (c->n == 0)
		die("cannot read the client certificates");
	fclose(f);
}

static int dial(const struct plan *p)
{
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	/* The port is chosen by connect, which may take one that another address uses. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&p->from, sizeof(p->from)) < 0 ||
	    connect(fd, (const struct sockaddr *)&p->to, sizeof(p->to)) < 0)
		return close(fd), -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/** What a handshake begins with: a session to resume, or a certificate. */
static bool prepare(SSL *ssl, int fd, X509 *cert, EVP_PKEY *key, SSL_SESSION *ss)
{
	if (SSL_set_fd(ssl, fd) != 1)
		return false;
	if (ss)
		return SSL_set_session(ssl, ss) == 1;
	return SSL_use_certificate(ssl, cert) == 1 && SSL_use_PrivateKey(ssl, key) == 1;
}

/** One connection with its handshake; the caller ends it.  NULL on failure. */
static SSL *handshake(const struct plan *p, SSL_CTX *ctx, X509 *cert, EVP_PKEY *key)
{
	SSL *ssl = SSL_new(ctx);
	int fd = dial(p);

	if (!ssl || fd < 0 || !prepare(ssl, fd, cert, key, NULL) || SSL_connect(ssl) != 1) {
		SSL_free(ssl);
		close(fd);
		return NULL;
	}
	return ssl;
}

/* Connections under way. */

enum phase {
	SHAKING, /* until the handshake is done */
	PARTING, /* until the server's last record */
	LEAVING, /* until its end of the connection */
};

struct conn {
	SSL *ssl;
	int fd;
	enum phase phase;
	double begin;
	bool done;       /* the handshake counts */
	SSL_SESSION *ss; /* what it resumes */
	size_t at;       /* its certificate */
};

/** What all connections of a process share. */
struct crowd {
	const struct plan *p;
	const struct certs *certs;
	struct tally *t;
	SSL_CTX *ctx;
	EVP_PKEY *key;
	int epoll;
	double end; /* nothing begins after it */
	int alive;
};

/** Another connection; its first message leaves. */
static void start(struct crowd *w, struct conn *c)
{
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

	c->begin = now_s();
	c->done = false;
	c->phase = SHAKING;
	c->ssl = SSL_new(w->ctx);
	c->fd = dial(w->p);
	if (!c->ssl || c->fd < 0 || fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
	    !prepare(c->ssl, c->fd, w->certs->v[c->at], w->key, c->ss) ||
	    epoll_ctl(w->epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
		die("cannot start a connection");
	w->alive++;
	(void)SSL_connect(c->ssl);
	ERR_clear_error();
}

/** It is over: count it, keep the session where it will be resumed, and begin anew. */
static void again(struct crowd *w, struct conn *c)
{
	/* The first of a connection that resumes is a full one. */
	bool first = w->p->resume && !c->ss;

	if (!c->done)
		w->t->failed++;
	else if (!first)
		w->t->done++;
	if (w->p->resume && c->done) {
		SSL_SESSION_free(c->ss);
		c->ss = SSL_get1_session(c->ssl);
	} else {
		c->at = (c->at + 1) % w->certs->n;
	}
	SSL_free(c->ssl);
	close(c->fd);
	ERR_clear_error();
	w->alive--;
	if (now_s() < w->end)
		start(w, c);
}

/** The handshake is done: say goodbye. */
static void part(struct crowd *w, struct conn *c)
{
	double took = now_s() - c->begin;

	if (took > w->t->slowest_s)
		w->t->slowest_s = took;
	c->done = !c->ss || SSL_session_reused(c->ssl);
	(void)SSL_shutdown(c->ssl);
	c->phase = PARTING;
}

/** Go on with what has come. */
static void go_on(struct crowd *w, struct conn *c)
{
	char buf[512];
	ssize_t n = 1;
	int ret;

	ERR_clear_error();
	if (c->phase == SHAKING) {
		ret = SSL_connect(c->ssl);
		if (ret == 1) {
			part(w, c);
		} else if (SSL_get_error(c->ssl, ret) != SSL_ERROR_WANT_READ) {
			again(w, c);
			return;
		}
	}
	if (c->phase == PARTING) {
		while ((ret = SSL_read(c->ssl, buf, sizeof(buf))) > 0)
			;
		if (SSL_get_error(c->ssl, ret) != SSL_ERROR_WANT_READ)
			c->phase = LEAVING;
	}
	while (c->phase == LEAVING && n > 0)
		n = read(c->fd, buf, sizeof(buf));
	if (n == 0 || (n < 0 && errno != EAGAIN))
		again(w, c);
}

/** All connections of the plan, until its time is over and the last of them. */
static void work(const struct plan *p, const struct certs *certs, struct tally *t)
{
	struct crowd w = { .p = p, .certs = certs, .t = t, .epoll = epoll_create1(0) };
	struct conn *c = calloc((size_t)p->procs, sizeof(*c));
	struct epoll_event e[32];

	w.end = now_s() + p->seconds;
	if (!c || w.epoll < 0)
		die("no memory");
	w.ctx = make_ctx(p, &w.key);
	for (int i = 0; i < p->procs; i++) {
		c[i].at = certs->n * (size_t)i / (size_t)p->procs;
		start(&w, &c[i]);
	}
	while (w.alive > 0 && now_s() < w.end + PATIENCE_S) {
		int n = epoll_wait(w.epoll, e, sizeof(e) / sizeof(e[0]), 100);

		for (int i = 0; i < n; i++)
			go_on(&w, e[i].data.ptr);
	}
}

/** The first message of a handshake: all that a flood needs to make the server sign. */
static size_t make_hello(const struct plan *p, unsigned char *buf, size_t cap)
{
	EVP_PKEY *key;
	SSL_CTX *ctx = make_ctx(p, &key);
	SSL *ssl = SSL_new(ctx);
	BIO *out = BIO_new(BIO_s_mem());
	int n;

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
	(void)SSL_connect(ssl);
	n = BIO_read(out, buf, (int)cap);
	if (n <= 0)
		die("cannot make a first message");
	return (size_t)n;
}

/** Begin handshakes and never finish one. */
static void flood(const struct plan *p, struct tally *t)
{
	const struct linger reset = { 1, 0 };
	const struct timeval patience = { 5, 0 };
	unsigned char hello[2048], answer[512];
	size_t len = make_hello(p, hello, sizeof(hello));
	double end = now_s() + p->seconds;

	while (now_s() < end) {
		int fd = dial(p);

		if (fd < 0) {
			t->failed++;
			continue;
		}
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		if (write(fd, hello, len) == (ssize_t)len && read(fd, answer, sizeof(answer)) > 0)
			t->done++;
		else
			t->failed++;
		close(fd);
	}
}

/** Open sessions and hold them until standard input ends. */
static void hold(const struct plan *p, int index, const struct certs *c, struct tally *t)
{
	EVP_PKEY *key;
	SSL_CTX *ctx = make_ctx(p, &key);

	for (long i = 0; i < p->hold; i++) {
		if (handshake(p, ctx, c->v[(size_t)(i + index) % c->n], key))
			t->done++;
		else
			t->failed++;
	}
	pause();
}

/** Many certificates for one key: like the one in the file, with other serial numbers. */
static void make_certs(char **argv)
{
	FILE *caf = fopen(argv[0], "r"), *kf = fopen(argv[1], "r"), *lf = fopen(argv[2], "r");
	FILE *out = fopen(argv[4], "w");
	EVP_PKEY *key = kf ? PEM_read_PrivateKey(kf, NULL, NULL, NULL) : NULL;
	X509 *ca = caf ? PEM_read_X509(caf, NULL, NULL, NULL) : NULL;
	X509 *leaf = lf ? PEM_read_X509(lf, NULL, NULL, NULL) : NULL;
	long n = strtol(argv[3], NULL, 10);

	if (!key || !ca || !leaf || !out)
		die("cannot read CA, CA key and certificate, or write the output");
	for (long i = 0; i < n; i++) {
		/* Far from the numbers that the CA gives out itself. */
		ASN1_INTEGER_set(X509_get_serialNumber(leaf), 1000000000 + i);
		if (X509_sign(leaf, key, EVP_sha256()) == 0 || PEM_write_X509(out, leaf) != 1)
			die("cannot sign a certificate");
	}
	if (fclose(out) != 0)
		die("cannot write the certificates");
}

static void parse(int argc, char **argv, struct plan *p)
{
	if (argc != 11) {
		fprintf(stderr, "usage: bstls certificates CA CA-KEY CERTIFICATE COUNT OUTPUT\n");
		fprintf(stderr, "usage: bstls ADDRESS[/SOURCE] PORT SECONDS UNDER-WAY 12|13 "
				"full|resumed|flood|HOLD CA CERTIFICATES KEY ALPN|-\n");
		exit(2);
	}
	p->to.sin_family = AF_INET;
	char *source = strchr(argv[1], '/');

	if (source)
		*source++ = '\0';
	p->from.sin_family = AF_INET;
	if (inet_pton(AF_INET, argv[1], &p->to.sin_addr) != 1 ||
	    (source && inet_pton(AF_INET, source, &p->from.sin_addr) != 1))
		die("ADDRESS and SOURCE must be IPv4 addresses");
	p->to.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	p->seconds = strtod(argv[3], NULL);
	p->procs = (int)strtol(argv[4], NULL, 10);
	p->version = strcmp(argv[5], "12") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	p->resume = strcmp(argv[6], "resumed") == 0;
	p->flood = strcmp(argv[6], "flood") == 0;
	p->idle = !p->resume && !p->flood && strcmp(argv[6], "full") != 0;
	p->hold = p->idle ? strtol(argv[6], NULL, 10) : 0;
	p->ca = argv[7];
	p->certs = argv[8];
	p->key = argv[9];
	p->alpn = argv[10];
	if (p->procs < 1 || p->procs > PROCS_MAX)
		die("UNDER-WAY must be 1 to 256");
}

int main(int argc, char **argv)
{
	static struct certs certs;
	struct plan p = { .procs = 0 };
	pid_t pid[PROCS_MAX];
	struct tally *t, sum = { 0 };
	int n;

	if (argc == 7 && strcmp(argv[1], "certificates") == 0) {
		make_certs(argv + 2);
		return 0;
	}
	parse(argc, argv, &p);
	read_certs(&p, &certs);
	sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	t = mmap(NULL, PROCS_MAX * sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	if (t == MAP_FAILED)
		die("no memory");
	puts("begin");
	fflush(stdout);
	n = p.flood || p.idle ? p.procs : 1;
	for (int i = 0; i < n; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			if (p.flood)
				flood(&p, &t[i]);
			else if (p.idle)
				hold(&p, i, &certs, &t[i]);
			else
				work(&p, &certs, &t[i]);
			_exit(0);
		}
	}
	if (p.idle) {
		while (getchar() != EOF)
			;
		for (int i = 0; i < n; i++)
			kill(pid[i], SIGTERM);
	}
	for (int i = 0; i < n; i++) {
		int status;

		if (waitpid(pid[i], &status, 0) < 0 || (!p.idle && status != 0))
			die("a process of the generator failed");
		sum.done += t[i].done;
		sum.failed += t[i].failed;
		if (t[i].slowest_s > sum.slowest_s)
			sum.slowest_s = t[i].slowest_s;
	}
	printf("end %ld %ld %.6f\n", sum.done, sum.failed, sum.slowest_s);
	return 0;
}
