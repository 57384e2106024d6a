/* SPDX-License-Identifier: Apache-2.0 */
#include "port/pump.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void on_ready(struct bs_source *s, unsigned events)
{
	struct bs_pump *p = (struct bs_pump *)(void *)s;

	if (events & BS_READY_READ)
		p->can_read = true;
	if (events & BS_READY_WRITE)
		p->can_write = true;
	if (events & BS_READY_HUP)
		p->hung_up = true;
	p->wake(p);
}

void bs_pump_queue_add(struct bs_pump_queue *q, struct bs_pump *p)
{
	if (p->queued)
		return;
	p->queued = true;
	p->after = NULL;
	if (q->tail != NULL)
		q->tail->after = p;
	else
		q->head = p;
	q->tail = p;
}

struct bs_pump *bs_pump_queue_pop(struct bs_pump_queue *q)
{
	struct bs_pump *p = q->head;

	if (p == NULL)
		return NULL;
	q->head = p->after;
	if (q->head == NULL)
		q->tail = NULL;
	p->queued = false;
	return p;
}

int bs_pump_start(struct bs_pump *p, struct bs_poller *set, int in, int out, bool is_socket)
{
	int rc;

	p->source.ready = on_ready;
	p->in = in;
	p->out = out;
	p->is_socket = is_socket;
	rc = bs_poller_add(set, in, &p->source);
	if (rc == BS_OK && out != in)
		rc = bs_poller_add(set, out, &p->source);
	/* A regular file cannot be waited for because it never blocks. */
	if (rc != BS_ENOENT && rc != BS_OK)
		return rc;
	p->can_read = p->can_write = true;
	return BS_OK;
}

/** The descriptor failed.  Both ways end here; the stream's bytes go nowhere from now on. */
static void fail(struct bs_pump *p)
{
	p->broken = true;
	p->out_end = true;
	if (!p->in_end) {
		p->in_end = true;
		p->ops->close(p->stream);
	}
}

static void end_writing(struct bs_pump *p)
{
	p->out_end = true;
	if (p->is_socket)
		(void)shutdown(p->out, SHUT_WR);
	else if (p->out != p->in) {
		(void)close(p->out);
		p->out = -1;
	}
}

/** Throw away what the stream brings, so that the other side can finish. */
static void discard(struct bs_pump *p)
{
	struct bs_slice v[BS_PUMP_PIECES];
	size_t n;

	while ((n = p->ops->peek(p->stream, v, BS_PUMP_PIECES)) > 0)
		for (size_t k = 0; k < n; k++)
			p->ops->consume(p->stream, v[k].len);
}

/** Write once.  Bytes written; 0 when that is all for now. */
static size_t write_some(struct bs_pump *p)
{
	struct bs_slice v[BS_PUMP_PIECES];
	struct iovec iov[BS_PUMP_PIECES];
	size_t n = p->ops->peek(p->stream, v, BS_PUMP_PIECES);
	size_t total = 0;
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t r;

	if (n == 0)
		return 0;
	for (size_t k = 0; k < n; k++) {
		iov[k].iov_base = (void *)(uintptr_t)v[k].ptr;
		iov[k].iov_len = v[k].len;
		total += v[k].len;
	}
	do {
		/* A closed pipe must not kill the program, which may well have no handler. */
		r = p->is_socket ? sendmsg(p->out, &m, MSG_NOSIGNAL) : writev(p->out, iov, (int)n);
	} while (r < 0 && errno == EINTR);
	if (r < 0) {
		p->can_write = false;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			fail(p);
		return 0;
	}
	p->can_write = (size_t)r == total;
	p->to_fd += (size_t)r;
	p->ops->consume(p->stream, (size_t)r);
	return (size_t)r;
}

static bool to_descriptor(struct bs_pump *p)
{
	size_t moved = 0;
	size_t n;

	while (p->can_write && !p->out_end && moved < BS_PUMP_TURN) {
		n = write_some(p);
		if (n == 0)
			break;
		moved += n;
	}
	if (p->broken)
		discard(p);
	else if (!p->out_end && p->ops->at_end(p->stream))
		end_writing(p);
	return moved >= BS_PUMP_TURN;
}

/** Give bytes to the stream; what it does not take, although it said so, is kept. */
static void give(struct bs_pump *p, const uint8_t *data, size_t len)
{
	const size_t taken = p->ops->write(p->stream, data, len);

	if (taken == len)
		return;
	p->rest = malloc(len - taken);
	if (p->rest == NULL) {
		/* Bytes are missing from here on, so nothing that follows may pass. */
		fail(p);
		return;
	}
	memcpy(p->rest, data + taken, len - taken);
	p->rest_len = len - taken;
}

/** Give what was kept; whether nothing is left of it. */
static bool give_rest(struct bs_pump *p)
{
	size_t taken;

	if (p->rest == NULL)
		return true;
	taken = p->ops->write(p->stream, p->rest, p->rest_len);
	p->rest_len -= taken;
	if (p->rest_len > 0) {
		memmove(p->rest, p->rest + taken, p->rest_len);
		/* Asked for its effect: the stream says when there is room. */
		(void)p->ops->room(p->stream);
		return false;
	}
	free(p->rest);
	p->rest = NULL;
	return true;
}

/** Read once.  Bytes read; 0 when that is all for now. */
static size_t read_some(struct bs_pump *p, size_t room)
{
	uint8_t buf[BS_PUMP_CHUNK];
	size_t want = room < sizeof(buf) ? room : sizeof(buf);
	ssize_t r;

	do {
		r = read(p->in, buf, want);
	} while (r < 0 && errno == EINTR);
	if (r < 0) {
		p->can_read = false;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			fail(p);
		return 0;
	}
	if (r == 0) {
		p->can_read = false;
		p->in_end = true;
		p->ops->close(p->stream);
		return 0;
	}
	/* A short read has emptied the socket: the next bytes come with an event of their own. */
	if (p->is_socket && !p->hung_up && (size_t)r < want)
		p->can_read = false;
	p->from_fd += (size_t)r;
	give(p, buf, (size_t)r);
	return (size_t)r;
}

static bool to_stream(struct bs_pump *p)
{
	size_t moved = 0;
	size_t room;
	size_t n;

	while (p->can_read && !p->in_end && moved < BS_PUMP_TURN && give_rest(p)) {
		room = p->ops->room(p->stream);
		if (room == 0)
			break;
		n = read_some(p, room);
		if (n == 0)
			break;
		moved += n;
	}
	return moved >= BS_PUMP_TURN;
}

bool bs_pump_run(struct bs_pump *p)
{
	bool more = to_descriptor(p);

	return to_stream(p) || more;
}

void bs_pump_reset(int fd)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)close(fd);
}

void bs_pump_stop(struct bs_pump *p, bool reset)
{
	if (p->is_socket && reset && p->in >= 0)
		bs_pump_reset(p->in);
	else if (p->in >= 0)
		(void)close(p->in);
	if (p->out >= 0 && p->out != p->in)
		(void)close(p->out);
	free(p->rest);
	p->rest = NULL;
	p->in = p->out = -1;
	p->in_end = p->out_end = true;
}
