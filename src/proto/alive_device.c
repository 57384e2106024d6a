/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/alive_device.h"

#include <string.h>

#include "wire/payload.h"

enum {
	DEFAULT_MS = 13000,
	DEFAULT_POLLS = 5,
	/* A promised interval is given up after 1.3 times its length. */
	PATIENCE_MS = 1300,
	PIGGY_ZERO_LEN = 4,
	TIME_LEN = 5,
};

/*
 * The first poll waits for what was promised; the others follow at the usual pace, for by then the
 * way to the server is probably closed and only a poll opens it.
 */
static void arm(struct bs_alive_device *l, const struct bs_device_conf *conf, bs_time now)
{
	uint32_t ms = conf->alive_ms ? conf->alive_ms : DEFAULT_MS;
	uint32_t promised = (uint32_t)bs_alive_device_interval(l) * PATIENCE_MS;

	if (promised && (l->runs == 0 || promised < ms))
		ms = promised;
	l->due = now + BS_TIME_MS(ms);
}

/* Timer runs until the attachment is lost. */
static uint8_t most_runs(const struct bs_alive_device *l, const struct bs_device_conf *conf)
{
	uint8_t runs = conf->alive_polls ? conf->alive_polls : DEFAULT_POLLS;

	/* With a promised interval so many polls go out; without, the last run sends none. */
	return bs_alive_device_interval(l) && runs < UINT8_MAX ? (uint8_t)(runs + 1) : runs;
}

void bs_alive_device_start(struct bs_alive_device *l, const struct bs_device_conf *conf,
			   bs_time now)
{
	uint16_t promised = bs_alive_device_interval(l);

	memset(l, 0, sizeof(*l));
	bs_alive_device_set_interval(l, promised);
	arm(l, conf, now);
}

void bs_alive_device_request(struct bs_alive_device *l, const struct bs_device_conf *conf,
			     const struct bs_packet *p, bs_time now)
{
	struct bs_payload pl;
	size_t off = 0;

	/* A repeated seq says that the answer was lost: the same events go out once more. */
	l->again = l->any && l->seq == p->h.seq;
	l->seq = p->h.seq;
	l->any = true;
	l->answer = true;
	l->poll = false;
	l->runs = 0;
	arm(l, conf, now);
	if (BS_WITH_SERVER_TIME && conf->ops->server_time && bs_payload_next(p, &off, &pl) &&
	    pl.type == BS_PL_TIME && pl.len >= TIME_LEN)
		conf->ops->server_time(conf->app, bs_get_u32(pl.data + 1));
}

enum bs_alive_result bs_alive_device_timeout(struct bs_alive_device *l,
					     const struct bs_device_conf *conf, bs_time now)
{
	if (BS_TIME_DIFF(now, l->due) < 0)
		return BS_ALIVE_QUIET;
	l->runs++;
	if (l->runs >= most_runs(l, conf))
		return BS_ALIVE_LOST;
	l->poll = true;
	arm(l, conf, now);
	return BS_ALIVE_QUIET;
}

/* Event records behind the answer, written where they are sent from. */
static void put_events(struct bs_writer *w, const struct bs_device_conf *conf, bool again)
{
	size_t room = w->cap - w->len;
	size_t off = w->len;
	size_t n;

	if (!conf->ops->events || w->bad || room < 4 + PIGGY_ZERO_LEN)
		return;
	room -= 4 + PIGGY_ZERO_LEN;
	n = conf->ops->events(conf->app, again, w->buf + off + 4 + PIGGY_ZERO_LEN, room);
	if (n == 0 || n > room)
		return;
	off = bs_packet_open_payload(w, BS_PL_PIGGY, 0);
	bs_writer_put_zero(w, PIGGY_ZERO_LEN);
	(void)bs_writer_reserve(w, n);
	bs_packet_close_payload(w, off);
}

size_t bs_alive_device_output(struct bs_alive_device *l, const struct bs_device_conf *conf,
			      uint32_t nsi, uint8_t *buf, size_t cap)
{
	struct bs_writer w;
	bs_ssize len;

	if (!l->answer && !l->poll)
		return 0;
	bs_packet_start(&w, buf, cap, BS_TYPE_U_ALIVE, BS_FLAG_RESPONSE, nsi,
			l->answer ? l->seq : 0);
	bs_notify_ok_put(&w);
	if (BS_WITH_EVENTS && l->answer)
		put_events(&w, conf, l->again);
	l->answer = false;
	l->poll = false;
	len = bs_packet_finish(&w);
	return len > 0 ? (size_t)len : 0;
}
