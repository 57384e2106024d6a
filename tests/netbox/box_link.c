/* SPDX-License-Identifier: Apache-2.0 */
#include "box.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ip_packet.h"

/* Packets under way at most; a real line's buffers end somewhere, too. */
#define UNDER_WAY 65536

struct packet {
	bs_time at;
	uint64_t number; /* of two with the same time the earlier goes first */
	int fd;
	size_t len;
	uint8_t bytes[];
};

/* A heap by time. */
struct line {
	struct box *b;
	struct link_model model;
	bool cut;
	uint64_t number;
	size_t n;
	struct packet *heap[UNDER_WAY];
};

static bool before(const struct packet *a, const struct packet *b)
{
	if (a->at != b->at)
		return BS_TIME_DIFF(a->at, b->at) < 0;
	return a->number < b->number;
}

static void put(struct line *x, struct packet *p)
{
	size_t i = x->n++;

	while (i && before(p, x->heap[(i - 1) / 2])) {
		x->heap[i] = x->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	x->heap[i] = p;
}

static struct packet *get(struct line *x)
{
	struct packet *top = x->heap[0];
	struct packet *p = x->heap[--x->n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < x->n) {
		if (child + 1 < x->n && before(x->heap[child + 1], x->heap[child]))
			child++;
		if (!before(x->heap[child], p))
			break;
		x->heap[i] = x->heap[child];
		i = child;
	}
	x->heap[i] = p;
	return top;
}

static void keep(struct line *x, int fd, const uint8_t *bytes, size_t len, bs_time at)
{
	struct packet *p;

	if (x->n == UNDER_WAY)
		return;
	p = malloc(sizeof(*p) + len);
	if (!p)
		return; /* lost: that is what lines do */
	p->at = at;
	p->number = x->number++;
	p->fd = fd;
	p->len = len;
	memcpy(p->bytes, bytes, len);
	put(x, p);
}

static void take(struct line *x, size_t tun, const uint8_t *bytes, size_t len)
{
	uint8_t error[IP_ERROR_MAX];
	struct link_fate fate;
	size_t i, n;

	if (x->cut)
		return;
	switch (link_input(&x->model, (unsigned)tun, len, box_now(), &fate)) {
	case LINK_PASS:
		for (i = 0; i < fate.n; i++)
			keep(x, x->b->tun[1 - tun], bytes, len, fate.at[i]);
		break;
	case LINK_TOO_BIG:
		n = x->model.conf.tell_mtu ? ip_too_big(bytes, len, fate.mtu, error) : 0;
		if (n)
			box_write(x->b->tun[tun], error, n);
		break;
	case LINK_LOST: break;
	}
}

static void drain(struct line *x, size_t tun, uint8_t *buf)
{
	unsigned i;

	for (i = 0; i < BOX_BATCH; i++) {
		ssize_t len = read(x->b->tun[tun], buf, BOX_PACKET);

		if (len <= 0)
			return;
		take(x, tun, buf, (size_t)len);
	}
}

static void deliver(struct line *x)
{
	bs_time now = box_now();

	while (x->n && BS_TIME_DIFF(x->heap[0]->at, now) <= 0) {
		struct packet *p = get(x);

		if (!x->cut)
			box_write(p->fd, p->bytes, p->len);
		free(p);
	}
}

int box_run_link(struct box *b, const struct link_conf *conf)
{
	struct line *x = calloc(1, sizeof(*x));
	uint8_t *buf = malloc(BOX_PACKET);
	const struct link_stats *st;
	struct pollfd fds[BOX_TUNS];
	size_t i;

	if (!x || !buf) {
		fprintf(stderr, "bs-netbox: out of memory; stop other programs\n");
		free(buf);
		free(x);
		return EXIT_FAILURE;
	}
	x->b = b;
	link_init(&x->model, conf);
	while (box_wait(b, fds, x->n ? &x->heap[0]->at : NULL)) {
		if (box_take_signals() & 1u)
			x->cut = !x->cut;
		for (i = 0; i < b->n_tuns; i++)
			if (fds[i].revents)
				drain(x, i, buf);
		deliver(x);
	}
	st = &x->model.stats;
	fprintf(stderr, "link: %u passed, %u lost, %u overflowed, %u copied, %u late, %u too big\n",
		(unsigned)st->passed, (unsigned)st->lost, (unsigned)st->overflowed,
		(unsigned)st->copied, (unsigned)st->reordered, (unsigned)st->too_big);
	while (x->n)
		free(get(x));
	free(buf);
	free(x);
	return EXIT_SUCCESS;
}
