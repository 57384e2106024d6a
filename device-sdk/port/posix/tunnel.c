/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels of a device: a command line on each stream, then a pump between stream and socket.
 *
 * Everything runs in the port's loop.  Events of streams and sockets only queue a tunnel; step()
 * runs the queue once all datagrams of the turn have been taken, so that a burst of packets costs
 * one write.  Tunnels are freed at the end of step, when nothing can name them any more.
 */
#include "basestation/device_tunnel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "allow.h"
#include "basestation/device_stream.h"
#include "context.h"
#include "part.h"
#include "port/pump.h"
#include "proto/stream.h"
#include "util/endpoint_text.h"
#include "wire/tunnel.h"

/** Defaults of the configuration. */
#define TUNNELS_DEFAULT 1024u
#define WINDOW_DEFAULT  100u
#define MEMORY_DEFAULT  (128u * 1024 * 1024)
/** Segments of a window between our own ends: fills 200 Mbit/s at 50 ms. */
#define FAST_WINDOW        1024u
#define CONNECT_DEFAULT_MS 10000u
/** What a command is answered with; success of a TCP tunnel is told by silence. */
#define ANSWER_ECHO    "+\n"
#define ANSWER_NO_UART "-no uart device specified\n"

/** Where a tunnel stands. */
enum state {
	STATE_LINE = 0,    /**< gathers the command */
	STATE_CONNECT = 1, /**< the target has not accepted yet */
	STATE_PIPE = 2,    /**< bytes flow */
	STATE_ECHO = 3,
	STATE_DRAIN = 4, /**< our side has ended; what still comes is thrown away */
	STATE_DEAD = 5,  /**< freed at the end of this step */
};

struct tunnel {
	struct bs_pump pump; /**< first: its source is what the poller knows */
	struct bsdev_tunnels *t;
	struct tunnel *next;    /**< of all */
	struct tunnel **back;   /**< what points to it */
	struct bsdev_stream *s; /**< NULL when given back */
	struct bsdev_timer timer;
	uint8_t state; /**< enum state */
	bool closed;   /**< the stream has ended in order */
	struct bs_tunnel_command command;
	struct bsdev_tunnel_info info; /**< peer is filled when it is told */
	struct bs_tunnel_line line;
};

/** Stream memory, kept to be freed. */
struct block {
	struct block *next;
	size_t unused; /**< keeps what follows aligned as for a pointer, and more */
};

struct bsdev_tunnels {
	struct bsdev__part part; /**< first */
	struct bsdev *dev;
	struct bsdev_tunnel_conf conf;
	char default_host[16];
	struct bsdev__allow allow;
	struct bs_poller set;
	struct tunnel *all;
	struct bs_pump_queue queue; /**< of those to run */
	unsigned n;
	bool any_dead;
	struct block *blocks;
	void *storage;
};

/* ---- telling */

static void tell(struct tunnel *tn, enum bsdev_tunnel_event event)
{
	const struct bsdev_tunnel_conf *conf = &tn->t->conf;

	if (conf->event == NULL)
		return;
	bsdev_stream_get_peer(tn->s, &tn->info.peer);
	tn->info.to_service = tn->pump.to_fd;
	tn->info.to_client = tn->pump.from_fd;
	conf->event(conf->ctx, event, &tn->info);
}

/* ---- life of a tunnel */

static void queue(struct tunnel *tn)
{
	if (tn->state != STATE_DEAD)
		bs_pump_queue_add(&tn->t->queue, &tn->pump);
}

static void on_wake(struct bs_pump *p)
{
	queue((struct tunnel *)(void *)p);
}

/** Nothing happens to it any more.  It is freed by reap. */
static void bury(struct tunnel *tn, bool reset)
{
	bsdev_timer_stop(tn->t->dev, &tn->timer);
	if (tn->state == STATE_CONNECT || tn->state == STATE_PIPE)
		bs_pump_stop(&tn->pump, reset);
	tn->state = STATE_DEAD;
	tn->s = NULL;
	tn->t->any_dead = true;
}

/** Refused or failed: the stream ends without a byte, which is all that a client is told. */
static void refuse(struct tunnel *tn, enum bsdev_tunnel_event why)
{
	struct bsdev_stream *s = tn->s;

	tell(tn, why);
	bury(tn, false);
	bsdev_stream_release(s);
}

/** Our side has ended; the client's may go on for a while. */
static void drain(struct tunnel *tn)
{
	bsdev_timer_stop(tn->t->dev, &tn->timer);
	if (tn->state == STATE_PIPE)
		bs_pump_stop(&tn->pump, false);
	bsdev_stream_close(tn->s);
	tn->state = STATE_DRAIN;
	queue(tn);
}

/* ---- the pump's stream */

static size_t op_peek(void *stream, struct bs_slice *v, size_t n)
{
	return bs_stream_pieces(stream, v, n);
}

static void op_consume(void *stream, size_t len)
{
	bs_stream_consume(stream, len);
}

static bool op_at_end(void *stream)
{
	return bs_stream_is_eof(stream);
}

static size_t op_room(void *stream)
{
	const size_t n = bs_stream_can_write(stream);

	/* An empty write that finds no room is what WRITABLE answers. */
	if (n == 0)
		bs_stream_want(stream);
	return n;
}

static size_t op_write(void *stream, const uint8_t *data, size_t len)
{
	const bs_ssize n = bs_stream_write(stream, data, len, 0);

	/* A stream that has ended takes everything, and an event says so. */
	return n < 0 ? len : (size_t)n;
}

static void op_close(void *stream)
{
	bs_stream_close(stream);
}

static const struct bs_pump_ops pump_ops = {
	.peek = op_peek,
	.consume = op_consume,
	.at_end = op_at_end,
	.room = op_room,
	.write = op_write,
	.close = op_close,
};

/* ---- opening */

static bool is_allowed(struct tunnel *tn, uint32_t ip, uint16_t port)
{
	const struct bsdev_tunnel_conf *conf = &tn->t->conf;

	if (bsdev__allow_is(&tn->t->allow, ip, port))
		return true;
	if (conf->target == NULL)
		return false;
	bsdev_stream_get_peer(tn->s, &tn->info.peer);
	return conf->target(conf->ctx, &tn->info);
}

static void on_connect_timeout(void *arg, struct bsdev *dev, bs_time now)
{
	(void)dev;
	(void)now;
	refuse(arg, BSDEV_TUNNEL_FAILED);
}

/** Start connecting; the outcome comes as an event of the socket. */
static int open_socket(struct tunnel *tn, uint32_t ip, uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return BS_EIO;
	to.sin_addr.s_addr = htonl(ip);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if ((connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS) ||
	    bs_pump_start(&tn->pump, &tn->t->set, fd, fd, true) != BS_OK) {
		(void)close(fd);
		return BS_EUNREACH;
	}
	/* Nothing is tried before the first event: it tells the connect's outcome. */
	tn->pump.can_read = tn->pump.can_write = false;
	return BS_OK;
}

static void open_tcp(struct tunnel *tn)
{
	const struct bsdev_tunnel_conf *conf = &tn->t->conf;
	struct bs_slice host = tn->command.host;
	struct bs_endpoint ep;
	uint32_t ip;

	tn->info.port = tn->command.port != 0 ? tn->command.port : conf->default_port;
	if (host.len == 0) {
		host.ptr = (const uint8_t *)conf->default_host;
		host.len = strlen(conf->default_host);
	}
	/* A name fails like a dead target on every device: none is looked up. */
	if (!bsdev__allow_host((const char *)host.ptr, host.len, &ip)) {
		refuse(tn, BSDEV_TUNNEL_REFUSED);
		return;
	}
	bs_endpoint_set_ip4(&ep, ip, tn->info.port);
	{
		char text[BS_ENDPOINT_TEXT_MAX];

		memcpy(tn->info.host, bs_endpoint_format_ip(&ep, text), sizeof(tn->info.host) - 1);
	}
	if (!is_allowed(tn, ip, tn->info.port)) {
		refuse(tn, BSDEV_TUNNEL_REFUSED);
		return;
	}
	if (open_socket(tn, ip, tn->info.port) != BS_OK) {
		refuse(tn, BSDEV_TUNNEL_FAILED);
		return;
	}
	tn->state = STATE_CONNECT;
	bsdev_timer_start(tn->t->dev, &tn->timer, conf->connect_timeout_ms, on_connect_timeout, tn,
			  bsdev_posix_now());
}

static void answer(struct tunnel *tn, const char *text)
{
	/* A fresh stream has room for a line. */
	(void)!bsdev_stream_write(tn->s, text, strlen(text));
}

static void open_service(struct tunnel *tn)
{
	const struct bs_slice line = { tn->line.text, tn->line.len };

	if (bs_tunnel_decode(line, &tn->command) != BS_OK) {
		refuse(tn, BSDEV_TUNNEL_REFUSED);
		return;
	}
	switch (tn->command.kind) {
	case BS_TUNNEL_TCP:
		tn->info.service = "tcp";
		open_tcp(tn);
		break;
	case BS_TUNNEL_ECHO:
		tn->info.service = "echo";
		if (tn->t->conf.no_echo) {
			refuse(tn, BSDEV_TUNNEL_REFUSED);
			break;
		}
		answer(tn, ANSWER_ECHO);
		tn->state = STATE_ECHO;
		tell(tn, BSDEV_TUNNEL_OPENED);
		queue(tn);
		break;
	case BS_TUNNEL_UART:
		tn->info.service = "uart";
		answer(tn, ANSWER_NO_UART);
		refuse(tn, BSDEV_TUNNEL_REFUSED);
		break;
	default: refuse(tn, BSDEV_TUNNEL_REFUSED); break;
	}
}

static void run_line(struct tunnel *tn)
{
	const uint8_t *data;
	size_t len;
	int rc = BS_EAGAIN;

	while (rc == BS_EAGAIN && (data = bsdev_stream_peek(tn->s, &len)) != NULL) {
		rc = bs_tunnel_feed(&tn->line, data, len);
		bsdev_stream_consume(tn->s, len);
	}
	if (rc == BS_OK)
		open_service(tn);
	else if (rc != BS_EAGAIN || bsdev_stream_is_end(tn->s))
		refuse(tn, BSDEV_TUNNEL_REFUSED);
}

/* ---- running */

static void run_connect(struct tunnel *tn)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (!tn->pump.can_write)
		return;
	if (getsockopt(tn->pump.in, SOL_SOCKET, SO_ERROR, &err, &len) != 0 || err != 0) {
		refuse(tn, BSDEV_TUNNEL_FAILED);
		return;
	}
	bsdev_timer_stop(tn->t->dev, &tn->timer);
	tn->state = STATE_PIPE;
	tn->pump.can_read = true;
	tell(tn, BSDEV_TUNNEL_OPENED);
	queue(tn);
}

static void run_pipe(struct tunnel *tn)
{
	if (bs_pump_run(&tn->pump))
		queue(tn);
	if (bs_pump_is_done(&tn->pump))
		drain(tn);
}

static void run_echo(struct tunnel *tn)
{
	const uint8_t *data;
	size_t len;

	while ((data = bsdev_stream_peek(tn->s, &len)) != NULL) {
		const bs_ssize n = bsdev_stream_write(tn->s, data, len);

		/* No room: WRITABLE comes back here. */
		if (n <= 0)
			return;
		bsdev_stream_consume(tn->s, (size_t)n);
		tn->pump.to_fd += (size_t)n;
		tn->pump.from_fd += (size_t)n;
	}
	if (bsdev_stream_is_end(tn->s))
		drain(tn);
}

static void run_drain(struct tunnel *tn)
{
	struct bsdev_stream *s = tn->s;
	size_t len;

	while (bsdev_stream_peek(s, &len) != NULL)
		bsdev_stream_consume(s, len);
	if (!tn->closed)
		return;
	tell(tn, BSDEV_TUNNEL_CLOSED);
	bury(tn, false);
	bsdev_stream_release(s);
}

static void run(struct tunnel *tn)
{
	switch (tn->state) {
	case STATE_LINE: run_line(tn); break;
	case STATE_CONNECT: run_connect(tn); break;
	case STATE_PIPE: run_pipe(tn); break;
	case STATE_ECHO: run_echo(tn); break;
	case STATE_DRAIN: run_drain(tn); break;
	default: break;
	}
}

/** Free the dead.  Only here, where neither a batch of events nor the queue can name one. */
static void reap(struct bsdev_tunnels *t)
{
	struct tunnel *next;

	if (!t->any_dead)
		return;
	t->any_dead = false;
	for (struct tunnel *tn = t->all; tn != NULL; tn = next) {
		next = tn->next;
		if (tn->state != STATE_DEAD)
			continue;
		/* Still in the queue: it is freed when the queue has passed it. */
		if (tn->pump.queued) {
			t->any_dead = true;
			continue;
		}
		*tn->back = next;
		if (next != NULL)
			next->back = tn->back;
		t->n--;
		free(tn);
	}
}

/** Run what is queued now; what queues itself again waits for the next turn of the loop. */
static bool step(struct bsdev__part *part)
{
	struct bsdev_tunnels *t = (struct bsdev_tunnels *)(void *)part;
	const struct bs_pump *last;
	struct bs_pump *p;

	bs_poller_step(&t->set);
	last = t->queue.tail;
	while ((p = bs_pump_queue_pop(&t->queue)) != NULL) {
		run((struct tunnel *)(void *)p);
		if (p == last)
			break;
	}
	reap(t);
	return t->queue.head != NULL;
}

/* ---- streams */

static bool on_accept(void *ctx, struct bsdev *dev, struct bsdev_stream *s,
		      const struct bsdev_peer *peer)
{
	struct bsdev_tunnels *t = ctx;
	struct tunnel *tn;

	(void)dev;
	if (t->conf.client != NULL && !t->conf.client(t->conf.ctx, peer))
		return false;
	tn = calloc(1, sizeof(*tn));
	if (tn == NULL)
		return false;
	tn->t = t;
	tn->s = s;
	tn->info.service = "other";
	tn->pump.ops = &pump_ops;
	tn->pump.stream = (void *)s;
	tn->pump.wake = on_wake;
	tn->next = t->all;
	tn->back = &t->all;
	if (t->all != NULL)
		t->all->back = &tn->next;
	t->all = tn;
	t->n++;
	bsdev_stream_set_arg(s, tn);
	return true;
}

static void on_stream(void *ctx, struct bsdev *dev, struct bsdev_stream *s, unsigned events)
{
	struct tunnel *tn = bsdev_stream_get_arg(s);

	(void)ctx;
	(void)dev;
	if (events & BSDEV_STREAM_ABORTED) {
		tell(tn, BSDEV_TUNNEL_ABORTED);
		bury(tn, true);
		bsdev_stream_release(s);
		return;
	}
	if (events & BSDEV_STREAM_CLOSED)
		tn->closed = true;
	queue(tn);
}

/* ---- set-up */

static void *on_alloc(void *ctx, size_t len)
{
	struct bsdev_tunnels *t = ctx;
	struct block *b = calloc(1, sizeof(*b) + len);

	if (b == NULL)
		return NULL;
	b->next = t->blocks;
	t->blocks = b;
	return b + 1;
}

static void end(struct bsdev__part *part)
{
	struct bsdev_tunnels *t = (struct bsdev_tunnels *)(void *)part;
	struct tunnel *tn;
	struct block *b;

	while ((tn = t->all) != NULL) {
		t->all = tn->next;
		if (tn->state == STATE_CONNECT || tn->state == STATE_PIPE)
			bs_pump_stop(&tn->pump, true);
		free(tn);
	}
	while ((b = t->blocks) != NULL) {
		t->blocks = b->next;
		free(b);
	}
	bs_poller_fini(&t->set);
	free(t->storage);
	free(t);
}

static int fill_conf(struct bsdev_tunnels *t, const struct bsdev_tunnel_conf *conf)
{
	struct bsdev_tunnel_conf *c = &t->conf;
	uint32_t ip;

	if (conf != NULL)
		*c = *conf;
	if (c->tunnels == 0)
		c->tunnels = TUNNELS_DEFAULT;
	if (c->window == 0)
		c->window = WINDOW_DEFAULT;
	if (c->memory == 0)
		c->memory = MEMORY_DEFAULT;
	if (c->connect_timeout_ms == 0)
		c->connect_timeout_ms = CONNECT_DEFAULT_MS;
	if (c->default_port == 0)
		c->default_port = BS_TUNNEL_PORT_DEFAULT;
	if (c->default_host == NULL)
		c->default_host = BS_TUNNEL_HOST_DEFAULT;
	if (strlen(c->default_host) >= sizeof(t->default_host) ||
	    !bsdev__allow_host(c->default_host, strlen(c->default_host), &ip))
		return BS_EINVAL;
	memcpy(t->default_host, c->default_host, strlen(c->default_host) + 1);
	c->default_host = t->default_host;
	return BS_OK;
}

static int open_streams(struct bsdev_tunnels *t)
{
	const struct bsdev_stream_conf conf = {
		.streams = t->conf.tunnels,
		.window = t->conf.window,
		.fast_window = FAST_WINDOW,
		.segments = t->conf.memory / BSDEV_STREAM_SEGMENT_LEN,
		.accept = on_accept,
		.event = on_stream,
		.ctx = t,
		.alloc = on_alloc,
		.alloc_ctx = t,
	};
	const size_t len = BSDEV_STREAMS_LEN(t->dev->conf->connections, 0, 0, 0);

	t->storage = calloc(1, len);
	if (t->storage == NULL)
		return BS_ENOMEM;
	return bsdev_streams_init(t->dev, t->storage, len, &conf);
}

int bsdev_tunnels_new(struct bsdev_posix *p, const struct bsdev_tunnel_conf *conf,
		      struct bsdev_tunnels **out)
{
	struct bsdev_tunnels *t = calloc(1, sizeof(*t));
	int err;

	if (t == NULL)
		return BS_ENOMEM;
	t->dev = bsdev_posix_device(p);
	t->part.step = step;
	t->part.end = end;
	t->set.fd = -1;
	err = fill_conf(t, conf);
	if (err == BS_OK)
		err = bs_poller_init(&t->set);
	t->part.fd = t->set.fd;
	if (err == BS_OK)
		err = bsdev__posix_attach(p, &t->part);
	if (err != BS_OK) {
		end(&t->part);
		return err;
	}
	err = open_streams(t);
	if (err != BS_OK) {
		(void)bsdev__posix_attach(p, NULL);
		end(&t->part);
		return err;
	}
	*out = t;
	return BS_OK;
}

int bsdev_tunnels_allow(struct bsdev_tunnels *t, const char *rule)
{
	return bsdev__allow_add(&t->allow, rule);
}

unsigned bsdev_tunnels_count(const struct bsdev_tunnels *t)
{
	return t->n;
}
