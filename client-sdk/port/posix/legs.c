/* SPDX-License-Identifier: Apache-2.0 */
#include "legs.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"

/** Reads of one leg in a step, so that a fast relay cannot keep the caller's loop. */
#define READS_MAX 16
/** How soon legs are looked at that no descriptor stands for. */
#define LOOK_MS 20

struct bsc__leg {
	struct bsc__leg *next;
	uint32_t nsi;
	uint8_t mode; /**< enum bs_gw_mode */
	bool told;    /**< the connection knows that the stream is there */
	struct bsc__transport t;
	size_t in_len;
	uint8_t in[4 * BS_PACKET_MAX];
};

void bsc__legs_init(struct bsc__legs *l, struct bsc__tls_ctx *ctx, const char *name)
{
	memset(l, 0, sizeof *l);
	l->ctx = ctx;
	l->name = name;
}

static void leg_free(struct bsc__legs *l, struct bsc__leg *leg)
{
	struct bsc__leg **at = &l->first;

	while (*at != leg)
		at = &(*at)->next;
	*at = leg->next;
	l->n--;
	bsc__transport_stop(&leg->t, true);
	bs_wipe(leg->in, sizeof leg->in);
	free(leg);
}

void bsc__legs_close_all(struct bsc__legs *l)
{
	while (l->first != NULL)
		leg_free(l, l->first);
}

static struct bsc__leg *find(const struct bsc__legs *l, uint32_t nsi)
{
	struct bsc__leg *leg = l->first;

	while (leg != NULL && leg->nsi != nsi)
		leg = leg->next;
	return leg;
}

/** Begin to connect.  false: no memory. */
static bool open_leg(struct bsc__legs *l, const struct bsc__machine *m, const struct bsc_conn *c,
		     bs_time now)
{
	struct bsc__leg *leg = calloc(1, sizeof *leg);
	struct bs_endpoint to = c->gw.relay;

	if (leg == NULL)
		return false;
	leg->nsi = c->gw.hello.nsi_sp;
	leg->mode = bs_gw_client_wants(&c->gw);
	leg->next = l->first;
	l->first = leg;
	l->n++;
	bs_endpoint_set_via(&to, 0);
	bsc__transport_init(&leg->t, NULL, l->ctx);
	if (leg->mode == BS_GW_MODE_TLS)
		bsc__transport_start_at(&leg->t, m->host, m->port,
					l->name[0] != '\0' ? l->name : m->host, &m->gate, now);
	else
		bsc__transport_start_at(&leg->t, "relay", to.port, NULL, &to, now);
	return true;
}

/** Open what is wanted and not there. */
static void open_wanted(struct bsc__legs *l, struct bsc__machine *m, bs_time now)
{
	struct bsc_conn *c = bsc__gw_next(m, NULL);

	while (c != NULL) {
		struct bsc_conn *next = bsc__gw_next(m, c);

		if (find(l, c->gw.hello.nsi_sp) == NULL && !open_leg(l, m, c, now))
			bsc__gw_closed(c, now);
		c = next;
	}
}

/** Give whole packets to the connection, which may end meanwhile. */
static void take_packets(struct bsc__leg *leg, struct bsc__machine *m, bs_time now)
{
	size_t off = 0;

	for (;;) {
		bs_ssize n = bs_gw_frame_len(leg->in + off, leg->in_len - off, BS_PACKET_MAX);
		struct bsc_conn *c = bsc__gw_find(m, leg->nsi);

		if (c == NULL || n == BS_EAGAIN || (n > 0 && (size_t)n > leg->in_len - off))
			break;
		if (n < 0) {
			bsc__transport_stop(&leg->t, false);
			break;
		}
		bsc__gw_input(c, leg->in + off, (size_t)n, now);
		off += (size_t)n;
	}
	leg->in_len -= off;
	memmove(leg->in, leg->in + off, leg->in_len);
}

static void receive(struct bsc__leg *leg, struct bsc__machine *m, bs_time now)
{
	for (int k = 0; k < READS_MAX && leg->t.state == BSC__TRANSPORT_UP; k++) {
		bs_ssize n = bsc__transport_read(&leg->t, leg->in + leg->in_len,
						 sizeof leg->in - leg->in_len);

		if (n <= 0)
			return;
		leg->in_len += (size_t)n;
		take_packets(leg, m, now);
	}
}

/** One leg.  false: it is done with. */
static bool step_leg(struct bsc__leg *leg, struct bsc__machine *m, bs_time now)
{
	struct bsc_conn *c = bsc__gw_find(m, leg->nsi);
	uint8_t buf[BS_GW_HELLO_LEN];
	size_t n;

	if (c == NULL || bs_gw_client_wants(&c->gw) != leg->mode)
		return false;
	bsc__transport_step(&leg->t, now);
	if (leg->t.state == BSC__TRANSPORT_UP && !leg->told) {
		leg->told = true;
		bsc__gw_opened(c, now);
	}
	n = leg->told ? bsc__gw_output(c, buf, sizeof buf, now) : 0;
	if (n > 0)
		bsc__transport_write(&leg->t, buf, n);
	bs_wipe(buf, sizeof buf);
	receive(leg, m, now);
	if (leg->t.state != BSC__TRANSPORT_FAILED && leg->t.state != BSC__TRANSPORT_IDLE)
		return true;
	c = bsc__gw_find(m, leg->nsi);
	if (c != NULL)
		bsc__gw_closed(c, now);
	return false;
}

void bsc__legs_step(struct bsc__legs *l, struct bsc__machine *m, bs_time now)
{
	struct bsc__leg *next;

	for (struct bsc__leg *leg = l->first; leg != NULL; leg = next) {
		next = leg->next;
		if (!step_leg(leg, m, now))
			leg_free(l, leg);
	}
	/* What failed as one kind may be wanted as another now. */
	open_wanted(l, m, now);
}

void bsc__legs_send(struct bsc__legs *l, const uint8_t *pkt, size_t len)
{
	struct bsc__leg *leg = find(l, bs_get_u32(pkt + 4));

	if (leg != NULL && leg->told && bsc__transport_room(&leg->t) >= len)
		bsc__transport_write(&leg->t, pkt, len);
}

size_t bsc__legs_fds(const struct bsc__legs *l, struct bsc_fd *fds, size_t cap)
{
	size_t n = 0;

	for (struct bsc__leg *leg = l->first; leg != NULL && n < cap; leg = leg->next)
		n += bsc__transport_fds(&leg->t, fds + n, cap - n);
	return n;
}

bool bsc__legs_next_timeout(const struct bsc__legs *l, const struct bsc__machine *m, size_t cap,
			    bs_time now, bs_time *at)
{
	const struct bsc_conn *c = bsc__gw_next(m, NULL);
	bool have = false;
	bs_time t;

	for (; c != NULL; c = bsc__gw_next(m, c))
		if (find(l, c->gw.hello.nsi_sp) == NULL)
			bsc__earlier(&have, at, now);
	for (struct bsc__leg *leg = l->first; leg != NULL; leg = leg->next) {
		if (bsc__gw_find(m, leg->nsi) == NULL || leg->t.state == BSC__TRANSPORT_FAILED)
			bsc__earlier(&have, at, now);
		if (bsc__transport_next_timeout(&leg->t, now, &t))
			bsc__earlier(&have, at, t);
	}
	if (l->n > cap)
		bsc__earlier(&have, at, now + BS_TIME_MS(LOOK_MS));
	return have;
}
