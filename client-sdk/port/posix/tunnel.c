/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnels of a client: listeners and descriptors on one side, streams of one connection on the
 * other, a pump for each pair.
 *
 * Everything runs in the session's step.  Events of streams and sockets only queue a wire; the
 * queue is run once all datagrams of the step have been taken, so that a burst of packets costs one
 * write.  Wires are freed at the end of the step, when nothing can name them any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backoff.h"
#include "error.h"
#include "part.h"
#include "port/pump.h"
#include "stream.h"
#include "tunnel_fd.h"
#include "wire/tunnel.h"

/** Wires of one tunnel; further TCP clients wait in the listen queue. */
#define WIRES_MAX 2048u
/** How long a TCP client waits for a connection, and how long a refused stream is tried again. */
#define WAIT_MS 15000u
/** First pause before a refused stream is tried again; it doubles up to the second. */
#define RETRY_FIRST_MS 50u
#define RETRY_LAST_MS  1000u
/** An end without a byte within this time is taken for a refusal (basestation-wire(7)). */
#define REFUSED_MS 2000u
/** Pause after accept found no free descriptor. */
#define ACCEPT_PAUSE_MS 100u

/** Where a wire stands. */
enum state {
	STATE_WAIT = 0,    /**< for a connection, or for its next try */
	STATE_OPENING = 1, /**< stream asked for; nothing was read from the descriptor yet */
	STATE_PIPE = 2,    /**< bytes flow */
	STATE_DRAIN = 3,   /**< the descriptors are done with; the stream is ending */
	STATE_DEAD = 4,    /**< freed at the end of this step */
};

/** What wires lead to; with a listener, or for one pair of descriptors. */
struct target {
	struct bs_source source; /**< first: what the poller knows */
	struct bsc_tunnel *t;
	struct target *next;
	int fd; /**< listener, -1 = none */
	bool ready;
	bool is_service; /**< a command of the caller's, no TCP target */
	uint16_t port;
	uint16_t local;
	uint16_t line_len;
	char host[BS_TUNNEL_HOST_MAX + 1];
	uint8_t line[BS_TUNNEL_LINE_MAX]; /**< what opens it, LF included */
};

/** One TCP client, or pair of descriptors, with its stream. */
struct wire {
	struct bs_pump pump; /**< first: its source is what the poller knows */
	struct bsc_tunnel *t;
	struct target *to;
	struct wire *next;    /**< of all */
	struct wire **back;   /**< what points to it */
	struct bsc_stream *s; /**< NULL when there is none */
	int in;               /**< until the pump has them */
	int out;
	bool is_socket;
	bool closed;       /**< the stream has ended in order */
	uint8_t state;     /**< enum state */
	uint16_t pause_ms; /**< before the next try */
	bs_time due;       /**< WAIT: next try */
	bs_time born;      /**< WAIT: accepted; PIPE: opened */
};

struct bsc_tunnel {
	struct bsc__part part; /**< first */
	struct bsc_session *s;
	struct bs_poller *set;
	char device[BS_DEVICE_ID_MAX + 1];
	bsc_tunnel_fn fn;
	void *arg;
	struct bsc_conn *conn; /**< NULL: none */
	bool up;
	bool has_due;
	bool any_dead;
	struct bsc__backoff backoff;
	bs_time not_before; /**< of the next connection */
	bs_time due;        /**< next look at the wires */
	struct target *targets;
	struct wire *all;
	struct bs_pump_queue queue; /**< of those to run */
	size_t n;
	size_t n_waiting;
};

/* ---- telling */

static void tell_tunnel(struct bsc_tunnel *t, enum bsc_tunnel_event event, uint32_t retry_ms,
			const struct bsc_error *err)
{
	const struct bsc_tunnel_info info = { .retry_ms = retry_ms };

	if (t->fn != NULL)
		t->fn(t->arg, t, event, &info, err);
}

static void tell(const struct wire *w, enum bsc_tunnel_event event, const struct bsc_error *err)
{
	const struct bsc_tunnel_info info = {
		.host = w->to->host,
		.port = w->to->port,
		.local = w->to->local,
		.to_device = w->pump.from_fd,
		.to_client = w->pump.to_fd,
	};

	if (w->t->fn != NULL)
		w->t->fn(w->t->arg, w->t, event, &info, err);
}

/* ---- life of a wire */

static void queue(struct wire *w)
{
	if (w->state != STATE_DEAD)
		bs_pump_queue_add(&w->t->queue, &w->pump);
}

static void on_wake(struct bs_pump *p)
{
	queue((struct wire *)(void *)p);
}

static void look_at(struct bsc_tunnel *t, bs_time at)
{
	bsc__earlier(&t->has_due, &t->due, at);
}

static void set_state(struct wire *w, enum state state)
{
	if (w->state == STATE_WAIT)
		w->t->n_waiting--;
	w->state = (uint8_t)state;
	if (state == STATE_WAIT)
		w->t->n_waiting++;
}

/** Nothing happens to it any more.  It is freed by reap. */
static void bury(struct wire *w, bool reset)
{
	if (w->state == STATE_PIPE) {
		bs_pump_stop(&w->pump, reset);
	} else if (w->state != STATE_DRAIN && w->in >= 0) {
		if (w->is_socket && reset)
			bs_pump_reset(w->in);
		else
			(void)close(w->in);
		if (w->out != w->in)
			(void)close(w->out);
	}
	set_state(w, STATE_DEAD);
	w->t->any_dead = true;
}

/** It is over: tell, cut both sides. */
static void cut(struct wire *w, enum bsc_tunnel_event event, const struct bsc_error *err)
{
	struct bsc_stream *s = w->s;

	w->s = NULL;
	tell(w, event, err);
	bury(w, true);
	bsc_stream_abort(s);
}

/** Wait for the next try. */
static void pause_wire(struct wire *w, bs_time now)
{
	w->pause_ms = w->pause_ms == 0 ? RETRY_FIRST_MS : (uint16_t)(w->pause_ms * 2);
	if (w->pause_ms > RETRY_LAST_MS)
		w->pause_ms = RETRY_LAST_MS;
	w->due = now + BS_TIME_MS(w->pause_ms);
	set_state(w, STATE_WAIT);
	look_at(w->t, w->due);
}

/* ---- the pump's stream */

static size_t op_peek(void *stream, struct bs_slice *v, size_t n)
{
	return bsc__stream_pieces(stream, v, n);
}

static void op_consume(void *stream, size_t len)
{
	bsc_stream_consume(stream, len);
}

static bool op_at_end(void *stream)
{
	return bsc_stream_is_end(stream);
}

static size_t op_room(void *stream)
{
	return bsc__stream_room(stream);
}

static size_t op_write(void *stream, const uint8_t *data, size_t len)
{
	const bs_ssize n = bsc_stream_write(stream, data, len);

	/* A stream that has ended takes everything, and an event says so. */
	return n < 0 ? len : (size_t)n;
}

static void op_close(void *stream)
{
	bsc_stream_end(stream);
}

static const struct bs_pump_ops pump_ops = {
	.peek = op_peek,
	.consume = op_consume,
	.at_end = op_at_end,
	.room = op_room,
	.write = op_write,
	.close = op_close,
};

/* ---- streams */

static void start_pump(struct wire *w)
{
	struct bsc_error e;

	w->pump.ops = &pump_ops;
	w->pump.stream = w->s;
	w->pump.wake = on_wake;
	/* A fresh stream has room for a line. */
	(void)!bsc__stream_push(w->s, w->to->line, w->to->line_len);
	if (bs_pump_start(&w->pump, w->t->set, w->in, w->out, w->is_socket) != BS_OK) {
		(void)bsc__fail(&e, BS_EIO, BSC_FROM_LIBRARY, BSC_INTERNAL,
				"cannot wait for a descriptor (%s)", strerror(errno));
		cut(w, BSC_TUNNEL_ABORTED, &e);
		return;
	}
	set_state(w, STATE_PIPE);
	w->born = bsc__now();
	tell(w, BSC_TUNNEL_OPENED, NULL);
}

static void on_failed(struct wire *w, const struct bsc_error *err)
{
	bs_time now = bsc__now();

	/* Nothing has been read from the descriptor, so nothing is lost by another try. */
	if (w->state == STATE_OPENING &&
	    BS_TIME_DIFF(now, w->born) < (bs_time_diff)BS_TIME_MS(WAIT_MS)) {
		bsc_stream_close(w->s);
		w->s = NULL;
		pause_wire(w, now);
		return;
	}
	cut(w, BSC_TUNNEL_ABORTED, err);
}

static void on_stream(void *arg, struct bsc_stream *s, unsigned events, const struct bsc_error *err)
{
	struct wire *w = arg;

	(void)s;
	if (events & BSC_STREAM_ABORTED) {
		on_failed(w, err);
		return;
	}
	if (events & BSC_STREAM_CLOSED)
		w->closed = true;
	if (w->state == STATE_OPENING && (events & BSC_STREAM_OPEN))
		start_pump(w);
	queue(w);
}

static void run_wait(struct wire *w, bs_time now)
{
	struct bsc_error e;
	int rc;

	if (!w->t->up || BS_TIME_DIFF(w->due, now) > 0)
		return;
	rc = bsc_stream_open(w->t->conn, on_stream, w, &w->s);
	if (rc == BS_EFULL) {
		pause_wire(w, now);
		return;
	}
	if (rc == BS_OK) {
		set_state(w, STATE_OPENING);
		return;
	}
	(void)bsc__fail(&e, rc, BSC_FROM_LIBRARY, BSC_INTERNAL, "%s: no stream can be opened (%s)",
			w->t->device, bs_strerror(rc));
	cut(w, BSC_TUNNEL_ABORTED, &e);
}

/** An end without a byte, soon, that we did not ask for: all that a refusal looks like. */
static bool is_refused(const struct wire *w, bs_time now)
{
	return w->pump.to_fd == 0 && !w->pump.in_end && bsc_stream_is_end(w->s) &&
	       BS_TIME_DIFF(now, w->born) < (bs_time_diff)BS_TIME_MS(REFUSED_MS);
}

static void refuse(struct wire *w)
{
	const struct target *to = w->to;
	struct bsc_error e;

	if (to->is_service)
		(void)bsc__fail(&e, BS_EREFUSED, BSC_FROM_DEVICE, BSC_TUNNEL_NO_SERVICE,
				"%s: the device has no such service, or does not allow it",
				w->t->device);
	else
		(void)bsc__fail(&e, BS_EREFUSED, BSC_FROM_DEVICE, BSC_TUNNEL_NO_SERVICE,
				"%s: the device does not allow %s:%u, or nobody listens there",
				w->t->device, to->host, (unsigned)to->port);
	cut(w, BSC_TUNNEL_REFUSED, &e);
}

static void run_pipe(struct wire *w, bs_time now)
{
	if (is_refused(w, now)) {
		refuse(w);
		return;
	}
	if (bs_pump_run(&w->pump))
		queue(w);
	if (w->pump.broken) {
		cut(w, BSC_TUNNEL_ABORTED, NULL);
	} else if (bs_pump_is_done(&w->pump)) {
		bs_pump_stop(&w->pump, false);
		set_state(w, STATE_DRAIN);
		queue(w);
	}
}

static void run_drain(struct wire *w)
{
	size_t len;

	while (bsc_stream_peek(w->s, &len) != NULL)
		bsc_stream_consume(w->s, len);
	if (!w->closed)
		return;
	tell(w, BSC_TUNNEL_CLOSED, NULL);
	bury(w, false);
	bsc_stream_close(w->s);
	w->s = NULL;
}

static void run(struct wire *w, bs_time now)
{
	switch (w->state) {
	case STATE_WAIT: run_wait(w, now); break;
	case STATE_PIPE: run_pipe(w, now); break;
	case STATE_DRAIN: run_drain(w); break;
	default: break;
	}
}

/* ---- the connection */

/** A reason that another attempt within seconds will not change. */
static bool is_final(const struct bsc_error *err)
{
	return err->err == BS_EPERM || err->err == BS_EAUTH || err->err == BS_EINVAL ||
	       err->err == BS_ECONF;
}

static void on_down(struct bsc_tunnel *t, const struct bsc_error *err)
{
	uint32_t ms = bsc__backoff_next_ms(&t->backoff, t->s->m.crypto);
	struct wire *next;

	if (err->retry_after_ms > ms)
		ms = err->retry_after_ms;
	t->up = false;
	t->not_before = bsc__now() + BS_TIME_MS(ms);
	bsc_conn_close(t->conn);
	t->conn = NULL;
	tell_tunnel(t, BSC_TUNNEL_DOWN, ms, err);
	for (struct wire *w = t->all; w != NULL; w = next) {
		next = w->next;
		if (w->state == STATE_WAIT && is_final(err))
			cut(w, BSC_TUNNEL_ABORTED, err);
	}
}

static void on_conn(void *arg, struct bsc_conn *c, enum bsc_progress step,
		    const struct bsc_error *err)
{
	struct bsc_tunnel *t = arg;

	(void)c;
	if (step == BSC_CLOSED) {
		on_down(t, err);
		return;
	}
	if (step != BSC_PATH_FOUND)
		return;
	t->up = true;
	bsc__backoff_reset(&t->backoff);
	tell_tunnel(t, BSC_TUNNEL_UP, 0, NULL);
	for (struct wire *w = t->all; w != NULL; w = w->next)
		queue(w);
}

static int connect_device(struct bsc_tunnel *t)
{
	return bsc_connect(t->s, t->device, on_conn, t, &t->conn);
}

/** Somebody waits and no connection is under way: open one, unless it is too early. */
static void reconnect(struct bsc_tunnel *t, bs_time now)
{
	if (t->conn != NULL || t->n_waiting == 0 || BS_TIME_DIFF(t->not_before, now) > 0)
		return;
	if (connect_device(t) != BS_OK) {
		t->conn = NULL;
		t->not_before = now + BS_TIME_MS(bsc__backoff_next_ms(&t->backoff, t->s->m.crypto));
	}
}

/* ---- TCP clients */

static void on_listener(struct bs_source *s, unsigned events)
{
	struct target *to = (struct target *)(void *)s;

	(void)events;
	to->ready = true;
}

static struct wire *new_wire(struct target *to, int in, int out, bool is_socket, bs_time now)
{
	struct bsc_tunnel *t = to->t;
	struct wire *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->t = t;
	w->to = to;
	w->in = in;
	w->out = out;
	w->is_socket = is_socket;
	w->born = w->due = now;
	w->state = STATE_WAIT;
	w->next = t->all;
	w->back = &t->all;
	if (t->all != NULL)
		t->all->back = &w->next;
	t->all = w;
	t->n++;
	t->n_waiting++;
	look_at(t, now + BS_TIME_MS(WAIT_MS));
	queue(w);
	return w;
}

static void accept_clients(struct target *to, bs_time now)
{
	while (to->ready && to->t->n < WIRES_MAX) {
		int fd = bsc__fd_accept(to->fd);

		if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			to->ready = false;
		} else if (fd < 0) {
			/* Out of descriptors or memory: the client stays in the listen queue. */
			look_at(to->t, now + BS_TIME_MS(ACCEPT_PAUSE_MS));
			return;
		} else if (new_wire(to, fd, fd, true, now) == NULL) {
			(void)close(fd);
		}
	}
}

/* ---- the step */

static void run_due(struct bsc_tunnel *t, bs_time now)
{
	struct bsc_error e;
	struct wire *next;

	if (!t->has_due || BS_TIME_DIFF(t->due, now) > 0)
		return;
	t->has_due = false;
	for (struct wire *w = t->all; w != NULL; w = next) {
		bs_time end = w->born + BS_TIME_MS(WAIT_MS);

		next = w->next;
		if (w->state != STATE_WAIT && w->state != STATE_OPENING)
			continue;
		if (BS_TIME_DIFF(end, now) <= 0) {
			(void)bsc__fail(&e, BS_ETIMEDOUT, BSC_FROM_LIBRARY, BSC_TIMEOUT,
					"%s: no stream within %u s; is the device online, and does "
					"it serve streams?",
					t->device, WAIT_MS / 1000);
			cut(w, BSC_TUNNEL_ABORTED, &e);
			continue;
		}
		if (w->state == STATE_WAIT && BS_TIME_DIFF(w->due, now) > 0)
			look_at(t, w->due);
		else if (w->state == STATE_WAIT)
			queue(w);
		look_at(t, end);
	}
}

/** Free the dead.  Only here, where neither a batch of events nor the queue can name one. */
static void reap(struct bsc_tunnel *t)
{
	struct wire *next;

	if (!t->any_dead)
		return;
	t->any_dead = false;
	for (struct wire *w = t->all; w != NULL; w = next) {
		next = w->next;
		if (w->state != STATE_DEAD)
			continue;
		/* Still in the queue: it is freed when the queue has passed it. */
		if (w->pump.queued) {
			t->any_dead = true;
			continue;
		}
		*w->back = next;
		if (next != NULL)
			next->back = w->back;
		t->n--;
		free(w);
	}
}

static void step(struct bsc__part *part, bs_time now)
{
	struct bsc_tunnel *t = (struct bsc_tunnel *)(void *)part;
	const struct bs_pump *last;
	struct bs_pump *p;

	for (struct target *to = t->targets; to != NULL; to = to->next)
		accept_clients(to, now);
	run_due(t, now);
	reconnect(t, now);
	last = t->queue.tail;
	while ((p = bs_pump_queue_pop(&t->queue)) != NULL) {
		run((struct wire *)(void *)p, now);
		if (p == last)
			break;
	}
	reap(t);
}

static bool next_timeout(const struct bsc__part *part, bs_time *at)
{
	const struct bsc_tunnel *t = (const struct bsc_tunnel *)(const void *)part;
	bool have = t->has_due;

	*at = t->due;
	if (t->queue.head != NULL) {
		*at = 0;
		have = true;
	} else if (t->conn == NULL && t->n_waiting > 0) {
		bsc__earlier(&have, at, t->not_before);
	}
	return have;
}

/* ---- what a caller asks for */

int bsc_tunnel_new(struct bsc_session *s, const char *device, bsc_tunnel_fn fn, void *arg,
		   struct bsc_tunnel **out)
{
	size_t len = device == NULL ? 0 : strlen(device);
	struct bsc_tunnel *t;
	int rc;

	if (bsc__check_process(s) != BS_OK)
		return BS_ESTATE;
	if (len == 0 || len > BS_DEVICE_ID_MAX)
		return BS_EINVAL;
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return BS_ENOMEM;
	t->s = s;
	t->fn = fn;
	t->arg = arg;
	memcpy(t->device, device, len);
	t->part.step = step;
	t->part.next_timeout = next_timeout;
	t->set = bsc__session_poller(s);
	rc = t->set == NULL ? BS_EIO : connect_device(t);
	if (rc != BS_OK) {
		free(t);
		return rc;
	}
	bsc__session_attach(s, &t->part);
	*out = t;
	return BS_OK;
}

static struct target *new_target(struct bsc_tunnel *t, struct bsc_error *err)
{
	struct target *to = calloc(1, sizeof *to);

	if (to == NULL) {
		(void)bsc__fail_nomem(err);
		return NULL;
	}
	to->t = t;
	to->fd = -1;
	to->source.ready = on_listener;
	to->next = t->targets;
	t->targets = to;
	return to;
}

static void drop_target(struct target *to)
{
	struct target **at = &to->t->targets;

	while (*at != to)
		at = &(*at)->next;
	*at = to->next;
	if (to->fd >= 0)
		(void)close(to->fd);
	free(to);
}

/** Host and port as the device shall read them; devices look no name up. */
static int set_tcp(struct target *to, const char *host, uint16_t port, struct bsc_error *err)
{
	struct bs_tunnel_command c = { .kind = BS_TUNNEL_TCP, .port = port };
	const char *text = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	bs_ssize n;

	c.host = (struct bs_slice){ (const uint8_t *)text, strlen(text) };
	n = bs_tunnel_encode(&c, to->line, sizeof to->line);
	if (n < 0 || port == 0 || c.host.len == 0)
		return bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_USAGE,
				 "\"%.64s\" port %u: expected an IPv4 address and a port as the "
				 "device sees them",
				 host, (unsigned)port);
	to->line_len = (uint16_t)n;
	to->port = port;
	memcpy(to->host, text, c.host.len);
	return BS_OK;
}

int bsc_tunnel_listen(struct bsc_tunnel *t, const char *bind, uint16_t port, const char *host,
		      uint16_t rport, uint16_t *local, struct bsc_error *err)
{
	struct bsc_error own = { 0 };
	struct target *to = new_target(t, err);
	int rc;

	if (to == NULL)
		return BS_ENOMEM;
	rc = set_tcp(to, host, rport, &own);
	if (rc == BS_OK) {
		to->local = port;
		to->fd = bsc__fd_listen(bind, &to->local, &own);
		rc = to->fd < 0 ? own.err : bs_poller_add(t->set, to->fd, &to->source);
	}
	if (rc != BS_OK) {
		if (own.code == 0)
			(void)bsc__fail(&own, rc, BSC_FROM_LIBRARY, BSC_INTERNAL,
					"cannot wait for a listener (%s)", strerror(errno));
		if (err != NULL)
			*err = own;
		drop_target(to);
		return rc;
	}
	if (local != NULL)
		*local = to->local;
	return BS_OK;
}

static int add_pipe(struct target *to, int in, int out, struct bsc_error *err)
{
	bool in_socket = false;
	bool out_socket = false;
	int own_in = bsc__fd_own(in, false, &in_socket);
	int own_out = own_in < 0 ? -1 : bsc__fd_own(out, true, &out_socket);
	int rc = BS_OK;

	if (own_out < 0)
		rc = bsc__fail(err, BS_EIO, BSC_FROM_CALLER, BSC_USAGE,
			       "descriptor %d cannot be used: %s", own_in < 0 ? in : out,
			       strerror(errno));
	else if (new_wire(to, own_in, own_out, false, bsc__now()) == NULL)
		rc = bsc__fail_nomem(err);
	if (rc == BS_OK)
		return BS_OK;
	if (own_in >= 0)
		(void)close(own_in);
	if (own_out >= 0)
		(void)close(own_out);
	drop_target(to);
	return rc;
}

int bsc_tunnel_pipe(struct bsc_tunnel *t, int in, int out, const char *host, uint16_t rport,
		    struct bsc_error *err)
{
	struct target *to = new_target(t, err);
	int rc;

	if (to == NULL)
		return BS_ENOMEM;
	rc = set_tcp(to, host, rport, err);
	if (rc != BS_OK) {
		drop_target(to);
		return rc;
	}
	return add_pipe(to, in, out, err);
}

int bsc_tunnel_command(struct bsc_tunnel *t, int in, int out, const char *line,
		       struct bsc_error *err)
{
	size_t len = line == NULL ? 0 : strlen(line);
	struct target *to;

	if (len >= BS_TUNNEL_LINE_MAX || (len > 0 && memchr(line, '\n', len) != NULL))
		return bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_USAGE,
				 "the first line is longer than %d bytes or has a line break",
				 BS_TUNNEL_LINE_MAX - 1);
	to = new_target(t, err);
	if (to == NULL)
		return BS_ENOMEM;
	to->is_service = true;
	if (len > 0) {
		memcpy(to->line, line, len);
		to->line[len] = '\n';
		to->line_len = (uint16_t)(len + 1);
	}
	return add_pipe(to, in, out, err);
}

size_t bsc_tunnel_count(const struct bsc_tunnel *t)
{
	return t->n;
}

struct bsc_conn *bsc_tunnel_get_conn(const struct bsc_tunnel *t)
{
	return t->conn;
}

void bsc_tunnel_close(struct bsc_tunnel *t)
{
	struct target *to;
	struct wire *w;

	if (t == NULL)
		return;
	t->fn = NULL;
	bsc__session_detach(t->s, &t->part);
	while ((w = t->all) != NULL) {
		t->all = w->next;
		if (w->s != NULL)
			bsc_stream_abort(w->s);
		if (w->state != STATE_DEAD)
			bury(w, true);
		free(w);
	}
	while ((to = t->targets) != NULL)
		drop_target(to);
	bsc_conn_close(t->conn);
	free(t);
}
