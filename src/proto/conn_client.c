/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/conn.h"

#include <string.h>

#include "util/endpoint.h"

/* The client's pace: keep-alives in a burst before a pause, its patience with a close. */
enum {
	KEEPALIVE_BURST = 3,
	PROVE_MS = 500,
	CLOSE_REPEAT_MS = 100,
	CLOSE_GIVE_UP_MS = 600,
};

/* The interval whose 3.5-fold is the idle limit. */
static bs_time keepalive_span(const struct bs_conn *c)
{
	return BS_TIME_MS((uint32_t)c->idle_ms * 2u / 7u);
}

void bs_conn_client_touch(struct bs_conn *c, bs_time now)
{
	bs_conn_touch(c, now);
	/* An authentic answer proves that the device heard us lately. */
	c->keepalive = now + keepalive_span(c);
	c->retries = 0;
}

int bs_conn_client_framing(struct bs_conn *c, const struct bs_conn_data *d,
			   const struct bs_endpoint *from, bs_time now)
{
	uint32_t number;
	uint32_t cmd;
	int32_t ms;

	if (!(d->h.flags & BS_FLAG_RESPONSE))
		return BS_ETYPE;
	if (d->plain.len < BS_FRAMING_LEN)
		return BS_ESHORT;
	cmd = bs_get_u32(d->plain.ptr);
	if (cmd == BS_FRAMING_CLOSE || cmd == BS_FRAMING_CLOSE_OLD) {
		bs_conn_abort(c, BS_CONN_END_REMOTE);
		return BS_OK;
	}
	if (cmd != BS_FRAMING_KEEPALIVE)
		return BS_EFIELD;
	if (d->plain.len < BS_FRAMING_KEEPALIVE_LEN)
		return BS_ESHORT;
	number = bs_get_u32(d->plain.ptr + BS_FRAMING_LEN);
	if ((int32_t)(number - c->answer_number) <= 0 || (int32_t)(c->number - number) < 0)
		return BS_EREPLAY;
	c->answer_number = number;
	if (number == c->number) {
		ms = BS_TIME_DIFF_MS(BS_TIME_DIFF(now, c->sent));
		c->rtt_ms = ms < 1 ? 1 : ms > UINT16_MAX ? UINT16_MAX : (uint16_t)ms;
	}
	bs_conn_move(c, from);
	if (c->state == BS_CONN_OPEN)
		bs_conn_client_touch(c, now);
	return BS_OK;
}

void bs_conn_set_path(struct bs_conn *c, const struct bs_endpoint *remote, enum bs_conn_path path,
		      bs_time now)
{
	c->remote = *remote;
	c->path = (uint8_t)path;
	c->retries = 0;
	c->keepalive = now;
}

void bs_conn_close(struct bs_conn *c, bs_time now)
{
	if (c->state != BS_CONN_CONNECTING && c->state != BS_CONN_OPEN)
		return;
	if (!bs_endpoint_is_set(&c->remote)) {
		bs_conn_abort(c, BS_CONN_END_LOCAL);
		return;
	}
	c->end = BS_CONN_END_LOCAL;
	c->state = BS_CONN_CLOSING;
	c->answer = BS_CONN_ANSWER_CLOSE;
	c->retries = 0;
	c->keepalive = now + BS_TIME_MS(CLOSE_REPEAT_MS);
	c->expire = now + BS_TIME_MS(CLOSE_GIVE_UP_MS);
}

/* A burst of keep-alives a second apart, then a pause of one interval. */
static void next_keepalive(struct bs_conn *c, bs_time now)
{
	c->answer = BS_CONN_ANSWER_KEEPALIVE;
	c->number++;
	c->retries++;
	if (c->state == BS_CONN_CONNECTING) {
		/* The path is not proven yet: somebody waits for it. */
		c->keepalive = now + BS_TIME_MS(PROVE_MS);
	} else if (c->retries < KEEPALIVE_BURST) {
		c->keepalive = now + BS_TIME_MS(BS_CONN_KEEPALIVE_RETRY_MS);
	} else {
		c->retries = 0;
		c->keepalive = now + keepalive_span(c);
	}
}

static bool timer_runs(const struct bs_conn *c)
{
	return bs_endpoint_is_set(&c->remote) && (c->state != BS_CONN_CLOSING || c->retries == 0);
}

void bs_conn_client_timeout(struct bs_conn *c, bs_time now)
{
	bs_conn_timeout(c, now);
	if (!bs_conn_is_live(c) || !timer_runs(c) || BS_TIME_DIFF(now, c->keepalive) < 0)
		return;
	if (c->state == BS_CONN_CLOSING) {
		c->answer = BS_CONN_ANSWER_CLOSE;
		c->retries = 1;
	} else {
		next_keepalive(c, now);
	}
}

size_t bs_conn_client_output(struct bs_conn *c, const struct bs_crypto *crypto, uint8_t *buf,
			     size_t cap, struct bs_endpoint *to, bs_time now)
{
	struct bs_conn_send s = { 0 };
	bs_ssize len;

	if (c->answer == BS_CONN_ANSWER_NONE)
		return 0;
	len = bs_conn_seal_framing(c, crypto, &s, c->answer == BS_CONN_ANSWER_CLOSE, c->number, buf,
				   cap);
	/* Without random numbers the timer brings the next one. */
	c->answer = BS_CONN_ANSWER_NONE;
	c->sent = now;
	*to = c->remote;
	return len > 0 ? (size_t)len : 0;
}

bool bs_conn_client_next_timeout(const struct bs_conn *c, bs_time *at)
{
	if (!bs_conn_is_live(c))
		return false;
	*at = c->expire;
	if (timer_runs(c) && BS_TIME_DIFF(c->keepalive, c->expire) < 0)
		*at = c->keepalive;
	return true;
}
