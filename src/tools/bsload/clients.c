/* SPDX-License-Identifier: Apache-2.0 */
#include "clients.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "crypto/openssl.h"
#include "proto/probe.h"
#include "sockets.h"
#include "util/cursor.h"
#include "util/endpoint.h"
#include "wire/gate.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
# define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum {
	/* Requests of one session that wait for their answers. */
	ASKED_MAX = 16,
	/* Sessions that open at once: a server's backlog is not what is measured. */
	OPENING_MAX = 32,
	/* Connections that are begun before the devices have their turn again. */
	BURST = 8,
	KEEPALIVE_S = 300,
	/* The basestation remembers for two minutes where a client's datagrams come from. */
	PROBE_S = 60,
};

/* After so long a connection, or an answer, is given up. */
#define PATIENCE (20 * CLOCK_SECOND)
/* After a failure: a server that refuses is not helped by haste. */
#define RETRY (CLOCK_SECOND / 10)

enum state {
	IDLE = 0,
	TCP,
	TLS,
	HELLO,
	OPEN,
	LEAVING,
};

struct asked {
	uint16_t seq; /* 0 = free */
	uint64_t at;
};

struct client {
	struct bs_source source;
	struct clients *all;
	int fd;
	enum state state;
	bool stays;
	bool greeted; /* TLS: our first flight is out */
	uint16_t seq;
	uint32_t cp; /* number of the session, our choice */
	struct secure_link link;
	uint64_t since;  /* of this state; IDLE: not before */
	uint64_t pinged; /* OPEN */
	uint32_t probe_nsi;
	uint32_t probes; /* sent */
	uint8_t token[BS_TOKEN_LEN];
	size_t len;  /* bytes of a packet that is not complete */
	uint8_t *in; /* [BS_GATE_PACKET_MAX], sessions only */
	struct asked asked[ASKED_MAX];
};

struct clients {
	struct clients_conf conf;
	struct secure *secure;
	struct bs_openssl *openssl;
	struct sockets udp;
	struct bs_endpoint probe[BS_GATE_PROBES_MAX];
	uint8_t n_probe;
	struct client *client; /* [n] sessions first */
	uint32_t n;
	uint32_t *idle; /* ring */
	uint32_t idle_head;
	uint32_t n_idle;
	uint32_t opening;
	uint32_t n_open;
	uint32_t next;    /* session that is asked next */
	uint32_t allowed; /* paced visits that may begin */
	uint64_t dialled;
	bool invited; /* sessions */
	bool welcome; /* visitors */
	uint64_t swept;
	struct clients_counts counts;
	struct clients_times *times;
	char why[200];
};

/* ---- beginning and ending */

static void rest(struct client *c, uint64_t until)
{
	struct clients *all = c->all;
	const uint32_t i = (uint32_t)(c - all->client);

	if (c->state == OPEN)
		all->n_open--;
	else if (c->stays && c->state != IDLE)
		all->opening--;
	secure_close(&c->link);
	bs_wipe(c->token, sizeof(c->token));
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	for (unsigned k = 0; k < ASKED_MAX; k++) {
		all->counts.unanswered += c->asked[k].seq != 0;
		c->asked[k].seq = 0;
	}
	c->len = 0;
	c->state = IDLE;
	c->since = until;
	all->idle[(all->idle_head + all->n_idle++) % all->n] = i;
}

static void fail(struct client *c, const char *what, const char *why)
{
	c->all->counts.failed++;
	(void)snprintf(c->all->why, sizeof(c->all->why), "%s: %s", what, why);
	rest(c, clock_now() + RETRY);
}

/* An established session that ended without us wanting it. */
static void lose(struct client *c, const char *why)
{
	c->all->counts.gone++;
	(void)snprintf(c->all->why, sizeof(c->all->why), "session: %s", why);
	rest(c, clock_now() + RETRY);
}

static void enter(struct client *c, enum state state, uint64_t now)
{
	c->state = state;
	c->since = now;
}

/* A socket towards the gate from one of our addresses; -1 with errno. */
static int dial(struct clients *all)
{
	const uint32_t ip = all->conf.first_ip + (uint32_t)(all->dialled++ % all->conf.addresses);
	struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(ip) };
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(all->conf.gate.port),
				  .sin_addr.s_addr = htonl(bs_endpoint_ip4(&all->conf.gate)) };
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	/* Without it each address has the ports of one; with it, those of each destination. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0 &&
	    (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS))
		return fd;
	on = errno;
	(void)close(fd);
	errno = on;
	return -1;
}

static void begin(struct client *c)
{
	const uint64_t now = clock_now();

	c->all->counts.begun++;
	if (c->stays)
		c->all->opening++;
	enter(c, TCP, now);
	c->fd = dial(c->all);
	if (c->fd < 0)
		fail(c, "connect", strerror(errno));
	else if (bs_poller_add(c->all->conf.poller, c->fd, &c->source) != BS_OK)
		fail(c, "connect", "the poller takes no more");
}

/* ---- what a client says */

static const struct bs_caps caps = {
	.bits = BS_CAP_DIRECT | BS_CAP_UDP | BS_CAP_TAGS | BS_CAP_FRAMING | BS_CAP_ASYNC |
		BS_CAP_FINGERPRINT,
	.mask = BS_CAP_DIRECT | BS_CAP_UDP | BS_CAP_TAGS | BS_CAP_FRAMING | BS_CAP_ASYNC |
		BS_CAP_FINGERPRINT,
};

static struct bs_gate_head head(struct client *c)
{
	/* 0 is no number for a request. */
	if (++c->seq == 0)
		c->seq = 1;
	return (struct bs_gate_head){ .cp = c->cp, .seq = c->seq };
}

static void say(struct client *c, const uint8_t *buf, bs_ssize len)
{
	if (len < 0)
		fail(c, "request", "cannot be made");
	else if (secure_write(&c->link, buf, (size_t)len) != BS_OK)
		fail(c, "write", secure_why(c->all->secure));
}

static void say_hello(struct client *c)
{
	static const char label[] = "bsload";
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_gate_hello m = {
		.h = head(c),
		.version = { .kind = 1, .label = { (const uint8_t *)label, sizeof(label) - 1 } },
		.caps = caps,
		.params = { .has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) |
				   BS_PARAM_BIT(BS_PARAM_VERSIONS),
			    .keepalive_s = KEEPALIVE_S,
			    .version_min = BS_GATE_VERSION,
			    .version_max = BS_GATE_VERSION },
	};

	enter(c, HELLO, clock_now());
	say(c, buf, bs_gate_hello_encode(&m, buf, sizeof(buf)));
}

static void ping(struct client *c, uint64_t now)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	const struct bs_gate_head h = head(c);

	c->pinged = now;
	say(c, buf, bs_gate_ping_encode(&h, false, buf, sizeof(buf)));
}

static void disconnect(struct client *c, uint32_t nsi)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_gate_disconnect m = { .h = head(c) };

	m.h.sp = nsi;
	say(c, buf, bs_gate_disconnect_encode(&m, buf, sizeof(buf)));
}

static void leave(struct client *c)
{
	enter(c, LEAVING, clock_now());
	secure_shut(&c->link);
	(void)shutdown(c->fd, SHUT_WR);
}

/* Where we send from.  A client that did not show it would be made to wait when it asks. */
static void probe(struct client *c)
{
	struct clients *all = c->all;
	const uint32_t i = (uint32_t)(c - all->client);
	struct bs_probe m = { .cp = c->cp, .sp = c->probe_nsi, .seq = 1 };

	for (uint8_t k = 0; k < all->n_probe; k++) {
		bs_ssize len;

		m.index = k;
		m.counter = ++c->probes;
		len = bs_probe_seal(bs_openssl_crypto(all->openssl), c->token, &m,
				    sockets_reserve(&all->udp));
		if (len > 0)
			sockets_commit(&all->udp, (size_t)len, 0,
				       all->conf.first_ip + i % all->conf.addresses,
				       &all->probe[k]);
	}
	sockets_flush(&all->udp);
}

/* All sessions are with one basestation, so its endpoints are kept once. */
static void take_probes(struct client *c, const struct bs_gate_hello_answer *m)
{
	struct clients *all = c->all;

	c->probe_nsi = m->h.sp;
	c->probes = 0;
	memcpy(c->token, m->token, sizeof(c->token));
	all->n_probe = 0;
	for (uint8_t k = 0; k < m->n_probes; k++)
		if (bs_endpoint_is_ip4(&m->probes[k]))
			all->probe[all->n_probe++] = m->probes[k];
}

/* ---- what a client hears */

static void hear_hello(struct client *c, const struct bs_packet *p, uint64_t now)
{
	struct bs_gate_hello_answer m;

	if (bs_gate_hello_answer_decode(p, &m) != BS_OK || m.status.code != BS_ST_OK) {
		fail(c, "HELLO", "refused");
		return;
	}
	c->all->counts.hellos++;
	if (c->all->times)
		histogram_add(&c->all->times->hello, now - c->since);
	if (c->stays) {
		c->all->opening--;
		c->all->n_open++;
		c->pinged = now;
		enter(c, OPEN, now);
		take_probes(c, &m);
		probe(c);
	} else {
		leave(c);
	}
	bs_wipe(m.token, sizeof(m.token));
}

static struct asked *find_asked(struct client *c, uint16_t seq)
{
	for (unsigned k = 0; k < ASKED_MAX; k++)
		if (c->asked[k].seq == seq)
			return &c->asked[k];
	return NULL;
}

static void hear_connect(struct client *c, const struct bs_packet *p, uint64_t now)
{
	struct asked *a = p->h.seq ? find_asked(c, p->h.seq) : NULL;
	struct bs_gate_connect_answer m;

	if (!a || bs_gate_connect_answer_decode(p, &m) != BS_OK)
		return;
	a->seq = 0;
	if (c->all->times)
		histogram_add(&c->all->times->connect, now - a->at);
	if (m.status.code != BS_ST_OK) {
		c->all->counts.denied++;
		(void)snprintf(c->all->why, sizeof(c->all->why), "CONNECT: status 0x%04x",
			       m.status.code);
		return;
	}
	c->all->counts.connected++;
	bs_wipe(&m.key, sizeof(m.key));
	disconnect(c, m.h.sp);
}

static void hear(struct client *c, const struct bs_packet *p, uint64_t now)
{
	if (p->h.type == BS_TYPE_ERROR)
		lose(c, "the server sent an error");
	else if (c->state == HELLO && p->h.type == BS_TYPE_HELLO)
		hear_hello(c, p, now);
	else if (c->state == OPEN && p->h.type == BS_TYPE_CONNECT)
		hear_connect(c, p, now);
	else if (c->state == OPEN && p->h.type == BS_TYPE_PING)
		probe(c);
}

/* Take packets off the front of what has been read. */
static void take_packets(struct client *c, uint64_t now)
{
	struct bs_packet p;

	while (c->state == HELLO || c->state == OPEN) {
		const bs_ssize len = bs_gate_frame_len(c->in, c->len);

		if (len == BS_EAGAIN || (len > 0 && (size_t)len > c->len))
			return;
		if (len < 0 || bs_packet_decode(c->in, (size_t)len, &p) != BS_OK) {
			lose(c, "what the server sent cannot be understood");
			return;
		}
		hear(c, &p, now);
		if (c->len < (size_t)len)
			return;
		c->len -= (size_t)len;
		memmove(c->in, c->in + len, c->len);
	}
}

/* ---- readiness */

static void step_read(struct client *c)
{
	uint8_t drop[512];
	bs_ssize n;

	while (c->state == HELLO || c->state == OPEN) {
		n = secure_read(&c->link, c->in + c->len, BS_GATE_PACKET_MAX - c->len);
		if (n == BS_EAGAIN)
			return;
		if (n <= 0) {
			lose(c, secure_why(c->all->secure));
			return;
		}
		c->len += (size_t)n;
		take_packets(c, clock_now());
	}
	while (c->state == LEAVING) {
		n = secure_read(&c->link, drop, sizeof(drop));
		if (n == BS_EAGAIN)
			return;
		if (n <= 0)
			rest(c, 0);
	}
}

/* A handshake that is not to go on, and for which the server has done its part: that costs it a
 * signature, and us next to nothing, as an attacker would have it. */
static bool abandon(struct client *c, bool done)
{
	uint8_t byte;

	if (!c->all->conf.abandon || c->stays || !c->greeted ||
	    (!done && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 1))
		return false;
	c->all->counts.abandoned++;
	rest(c, 0);
	return true;
}

static void step_tls(struct client *c)
{
	uint64_t now;
	int err;

	if (abandon(c, false))
		return;
	err = secure_handshake(&c->link);
	c->greeted = true;
	/* All of it may come while we are between writing and reading. */
	if (err == BS_EAGAIN || (!err && abandon(c, true)))
		return;
	if (err) {
		fail(c, "TLS", secure_why(c->all->secure));
		return;
	}
	now = clock_now();
	c->all->counts.handshakes++;
	c->all->counts.resumed += secure_is_resumed(&c->link);
	if (c->all->times)
		histogram_add(&c->all->times->handshake, now - c->since);
	if (c->stays || c->all->conf.hello)
		say_hello(c);
	else
		leave(c);
}

static void step_tcp(struct client *c)
{
	const uint64_t now = clock_now();
	int err = 0;
	socklen_t len = sizeof(err);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err) {
		fail(c, "connect", strerror(err ? err : errno));
		return;
	}
	if (c->all->times)
		histogram_add(&c->all->times->tcp, now - c->since);
	enter(c, TLS, now);
	c->greeted = false;
	if (secure_open(c->all->secure, &c->link, c->fd) != BS_OK)
		fail(c, "TLS", "no memory");
}

static void ready(struct bs_source *source, unsigned events)
{
	struct client *c = (struct client *)(void *)source;

	if (c->state == TCP && (events & (BS_READY_WRITE | BS_READY_HUP)))
		step_tcp(c);
	if (c->state == TLS)
		step_tls(c);
	if (c->state == HELLO || c->state == OPEN || c->state == LEAVING)
		step_read(c);
}

/* ---- the clients together */

static bool may_begin(const struct clients *all, const struct client *c, uint64_t now)
{
	if (now < c->since)
		return false;
	if (c->stays)
		return all->invited && all->opening < OPENING_MAX;
	return all->welcome && (!all->conf.paced || all->allowed > 0);
}

static void begin_some(struct clients *all, uint64_t now)
{
	unsigned done = 0;

	/* Each idle one is looked at once: those that must wait go to the end. */
	for (uint32_t n = all->n_idle; n > 0 && done < BURST; n--) {
		const uint32_t i = all->idle[all->idle_head];
		struct client *c = &all->client[i];

		all->idle_head = (all->idle_head + 1) % all->n;
		all->n_idle--;
		if (!may_begin(all, c, now)) {
			all->idle[(all->idle_head + all->n_idle++) % all->n] = i;
			continue;
		}
		if (!c->stays && all->conf.paced)
			all->allowed--;
		begin(c);
		done++;
	}
}

/* An answer that never came must not keep its place for ever. */
static void forget_asked(struct client *c, uint64_t now)
{
	for (unsigned k = 0; k < ASKED_MAX; k++) {
		if (c->asked[k].seq == 0 || now < c->asked[k].at + PATIENCE)
			continue;
		c->asked[k].seq = 0;
		c->all->counts.unanswered++;
	}
}

static void sweep(struct clients *all, uint64_t now)
{
	all->swept = now;
	for (uint32_t i = 0; i < all->n; i++) {
		struct client *c = &all->client[i];

		forget_asked(c, now);
		/* States are entered after the step's time was taken. */
		if (c->state != IDLE && c->state != OPEN && now > c->since + PATIENCE)
			fail(c, "gate", "no answer in time");
		else if (c->state == OPEN && now > c->pinged + PROBE_S * CLOCK_SECOND)
			ping(c, now);
	}
}

static void drop(void *ctx, unsigned socket, struct bs_datagram *d)
{
	(void)ctx;
	(void)socket;
	(void)d;
}

void clients_step(struct clients *c, uint64_t now)
{
	/* Answers to probes tell us nothing that we did not know. */
	(void)sockets_receive(&c->udp, drop, NULL);
	begin_some(c, now);
	if (now - c->swept > CLOCK_SECOND)
		sweep(c, now);
}

uint32_t clients_visit(struct clients *c, uint32_t n)
{
	const uint32_t busy = c->conf.visitors < c->allowed ? c->conf.visitors : c->allowed;
	const uint32_t room = c->conf.visitors - busy;

	n = n < room ? n : room;
	c->allowed += n;
	return n;
}

void clients_invite(struct clients *c)
{
	c->invited = true;
}

void clients_welcome(struct clients *c)
{
	c->welcome = true;
}

static bool ask(struct client *c, const char *device, uint64_t now)
{
	struct asked *a = find_asked(c, 0);
	struct bs_gate_connect m = { .caps = caps };
	uint8_t buf[BS_GATE_PACKET_MAX];

	if (!a)
		return false;
	m.h = head(c);
	m.device.ptr = (const uint8_t *)device;
	m.device.len = strlen(device);
	/* Only its being different from others counts here. */
	bs_put_u32(m.attempt, m.h.cp);
	bs_put_u32(m.attempt + 4, m.h.seq);
	a->seq = m.h.seq;
	a->at = now;
	c->all->counts.asked++;
	say(c, buf, bs_gate_connect_encode(&m, buf, sizeof(buf)));
	return true;
}

bool clients_connect(struct clients *c, const char *device, uint64_t now)
{
	for (uint32_t k = 0; k < c->conf.sessions; k++) {
		struct client *s = &c->client[c->next];

		c->next = (c->next + 1) % c->conf.sessions;
		if (s->state == OPEN && ask(s, device, now))
			return true;
	}
	return false;
}

static int allocate(struct clients *c)
{
	int err = sockets_open(&c->udp, c->conf.poller, 1, 1u << 20);

	c->openssl = bs_openssl_new();
	if (err || !c->openssl)
		return BS_ENOMEM;
	c->n = c->conf.sessions + c->conf.visitors;
	c->client = calloc(c->n, sizeof(*c->client));
	c->idle = calloc(c->n, sizeof(*c->idle));
	if (!c->client || !c->idle)
		return BS_ENOMEM;
	for (uint32_t i = 0; i < c->n; i++) {
		struct client *k = &c->client[i];

		k->source.ready = ready;
		k->all = c;
		k->fd = -1;
		k->cp = 1000 + i;
		k->stays = i < c->conf.sessions;
		k->in = malloc(BS_GATE_PACKET_MAX);
		if (!k->in)
			return BS_ENOMEM;
		c->idle[c->n_idle++] = i;
	}
	return BS_OK;
}

struct clients *clients_new(const struct clients_conf *conf)
{
	struct clients *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)fprintf(stderr, "bsload: no memory\n");
		return NULL;
	}
	c->conf = *conf;
	if (allocate(c) != BS_OK)
		(void)fprintf(stderr, "bsload: no memory or no socket for so many clients\n");
	else
		c->secure = secure_new(&conf->secure);
	if (c->secure)
		return c;
	clients_free(c);
	return NULL;
}

void clients_free(struct clients *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; c->client && i < c->n; i++) {
		secure_close(&c->client[i].link);
		if (c->client[i].fd >= 0)
			(void)close(c->client[i].fd);
		free(c->client[i].in);
	}
	secure_free(c->secure);
	sockets_close(&c->udp);
	bs_openssl_free(c->openssl);
	free(c->client);
	free(c->idle);
	free(c);
}

bool clients_primed(const struct clients *c)
{
	return !c->conf.secure.resume || secure_has_session(c->secure);
}

uint32_t clients_open(const struct clients *c)
{
	return c->n_open;
}

const struct clients_counts *clients_counts(const struct clients *c)
{
	return &c->counts;
}

void clients_time_into(struct clients *c, struct clients_times *t)
{
	c->times = t;
}

const char *clients_why(const struct clients *c)
{
	return c->why;
}
