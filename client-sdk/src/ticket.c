/* SPDX-License-Identifier: Apache-2.0 */
/* Connect tickets: how the machine gets one, keeps it, and has it stored. */
#include "ticket.h"

#include <string.h>

#include "machine.h"
#include "util/cursor.h"

/** First bytes of a stored record, with its version. */
#define MAGIC     "BSTK\1"
#define MAGIC_LEN 5
/** A ticket with less life than this is not worth a packet. */
#define LIFE_LEAST_MS 10000u

uint64_t bsc__ticket_clock(const struct bsc__ticket *t, bs_time now)
{
	return t->clock_ms + (uint64_t)(BS_TIME_DIFF(now, t->clock_at) / 1000000);
}

/** Whether connections run that the server knows by this ticket. */
static bool is_in_use(const struct bsc__machine *m)
{
	for (const struct bsc_conn *c = m->links; c != NULL; c = c->next)
		if (c->by_ticket && bsc__link_is_live(c))
			return true;
	return false;
}

void bsc__ticket_offered(struct bsc__machine *m, bs_time now)
{
	struct bsc__ticket *t = &m->ticket;
	uint64_t half = (uint64_t)t->life_s * 500;

	if (m->tools.cipher.aead == NULL || m->set.no_tickets || is_in_use(m))
		return;
	/* It would only be tried in vain. */
	if (t->silent && BS_TIME_DIFF(now, t->silent_until) < 0)
		return;
	if (t->known && bsc__ticket_clock(t, now) + half < t->expires_ms)
		return;
	/* Without room it is asked for after another HELLO. */
	(void)bsc__request_new(m, BS_TYPE_TICKET, now);
}

/** What becomes of a ticket that is complete: its number, and nothing proved under it yet. */
static bool settle(const struct bsc__machine *m, struct bsc__ticket *t)
{
	uint8_t hash[BS_SHA256_LEN];

	if (m->tools.sha256((struct bs_slice){ t->bytes, t->len }, hash) != BS_OK)
		return false;
	t->sp = bs_get_u32(hash);
	t->known = true;
	return true;
}

static void put_endpoint(struct bs_writer *w, const struct bs_endpoint *ep)
{
	bs_writer_put_bytes(w, ep->ip, sizeof ep->ip);
	bs_writer_put_u16(w, ep->port);
}

static void get_endpoint(struct bs_cursor *c, struct bs_endpoint *ep)
{
	const uint8_t *ip = bs_cursor_read_bytes(c, sizeof ep->ip);

	if (ip != NULL)
		memcpy(ep->ip, ip, sizeof ep->ip);
	ep->port = bs_cursor_read_u16(c);
}

/** Let the program store it, if it wants to. */
static void store(const struct bsc__machine *m, bs_time now)
{
	const struct bsc__ticket *t = &m->ticket;
	const size_t host_len = strlen(m->set.host);
	uint8_t buf[BSC_TICKET_MAX];
	struct bs_writer w;

	if (m->set.ticket_save == NULL)
		return;
	bs_writer_init(&w, buf, sizeof buf);
	bs_writer_put_bytes(&w, MAGIC, MAGIC_LEN);
	/* For whom and where: with another key or server it is nobody's. */
	bs_writer_put_bytes(&w, m->key_fp, sizeof m->key_fp);
	bs_writer_put_u8(&w, (uint8_t)host_len);
	bs_writer_put_bytes(&w, m->set.host, host_len);
	bs_writer_put_u16(&w, m->set.port);
	bs_writer_put_bytes(&w, t->secret, sizeof t->secret);
	bs_writer_put_u64(&w, t->expires_ms);
	bs_writer_put_u32(&w, t->life_s);
	/* Two clocks at one moment: later the difference tells what the server's shows. */
	bs_writer_put_u64(&w, bsc__ticket_clock(t, now));
	bs_writer_put_u64(&w, m->tools.unix_ms());
	put_endpoint(&w, &t->gate);
	bs_writer_put_u8(&w, t->n_to);
	for (uint8_t k = 0; k < t->n_to; k++)
		put_endpoint(&w, &t->to[k]);
	bs_writer_put_u16(&w, t->len);
	bs_writer_put_bytes(&w, t->bytes, t->len);
	if (!w.bad)
		m->set.ticket_save(m->set.ticket_arg, buf, w.len);
	bs_wipe(buf, sizeof buf);
}

int bsc__ticket_take(struct bsc__machine *m, const struct bs_packet *p, bs_time now)
{
	struct bsc__ticket *t = &m->ticket;
	struct bs_gate_ticket_answer a;
	int rc = bs_gate_ticket_answer_decode(p, &a);

	if (rc != BS_OK)
		return rc;
	/* Refused: then every connection needs a session, as ever. */
	if (a.status.code != BS_ST_OK || is_in_use(m))
		goto out;
	bs_wipe(t, sizeof *t);
	memcpy(t->secret, a.token, sizeof t->secret);
	memcpy(t->bytes, a.ticket.ptr, a.ticket.len);
	t->len = (uint16_t)a.ticket.len;
	t->life_s = a.params.ticket_life_s;
	t->clock_ms = a.params.server_time_ms;
	t->clock_at = now;
	t->expires_ms = t->clock_ms + 1000u * (uint64_t)t->life_s;
	t->n_to = a.n_eps < 2 ? a.n_eps : 2;
	memcpy(t->to, a.eps, t->n_to * sizeof t->to[0]);
	t->gate = m->gate;
	if (settle(m, t))
		store(m, now);
out:
	bs_wipe(&a, sizeof a);
	return BS_OK;
}

void bsc__ticket_forget(struct bsc__machine *m)
{
	struct bsc__ticket *t = &m->ticket;
	const bool silent = t->silent;
	const bs_time until = t->silent_until;

	bs_wipe(t, sizeof *t);
	t->silent = silent;
	t->silent_until = until;
	if (m->set.ticket_save != NULL)
		m->set.ticket_save(m->set.ticket_arg, NULL, 0);
}

/** Whether the record is for this key and server; goes past both. */
static bool is_ours(const struct bsc__machine *m, struct bs_cursor *c)
{
	const uint8_t *magic = bs_cursor_read_bytes(c, MAGIC_LEN);
	const uint8_t *fp = bs_cursor_read_bytes(c, sizeof m->key_fp);
	const uint8_t len = bs_cursor_read_u8(c);
	const uint8_t *host = bs_cursor_read_bytes(c, len);
	const uint16_t port = bs_cursor_read_u16(c);

	return !c->bad && memcmp(magic, MAGIC, MAGIC_LEN) == 0 &&
	       memcmp(fp, m->key_fp, sizeof m->key_fp) == 0 && len == strlen(m->set.host) &&
	       memcmp(host, m->set.host, len) == 0 && port == m->set.port;
}

static bool read_record(struct bs_cursor *c, struct bsc__ticket *t, uint64_t *wall_ms)
{
	const uint8_t *p = bs_cursor_read_bytes(c, sizeof t->secret);

	if (p != NULL)
		memcpy(t->secret, p, sizeof t->secret);
	t->expires_ms = bs_cursor_read_u64(c);
	t->life_s = bs_cursor_read_u32(c);
	t->clock_ms = bs_cursor_read_u64(c);
	*wall_ms = bs_cursor_read_u64(c);
	get_endpoint(c, &t->gate);
	t->n_to = bs_cursor_read_u8(c);
	if (t->n_to < 1 || t->n_to > 2)
		return false;
	for (uint8_t k = 0; k < t->n_to; k++)
		get_endpoint(c, &t->to[k]);
	t->len = bs_cursor_read_u16(c);
	p = t->len > 0 && t->len <= sizeof t->bytes ? bs_cursor_read_bytes(c, t->len) : NULL;
	if (p == NULL || bs_cursor_left(c) != 0)
		return false;
	memcpy(t->bytes, p, t->len);
	return bs_endpoint_is_set(&t->to[0]) && (t->n_to == 1 || bs_endpoint_is_set(&t->to[1]));
}

void bsc__ticket_load(struct bsc__machine *m, const uint8_t *data, size_t len, bs_time now)
{
	struct bsc__ticket t;
	struct bs_cursor c;
	uint64_t wall_ms;

	if (m->tools.cipher.aead == NULL || m->set.no_tickets)
		return;
	memset(&t, 0, sizeof t);
	bs_cursor_init(&c, data, len);
	if (!is_ours(m, &c) || !read_record(&c, &t, &wall_ms))
		goto out;
	/* Wrong by as much as somebody has set our clock meanwhile: then nothing answers. */
	t.clock_ms += m->tools.unix_ms() - wall_ms;
	t.clock_at = now;
	if (t.clock_ms + LIFE_LEAST_MS < t.expires_ms && settle(m, &t))
		m->ticket = t;
out:
	bs_wipe(&t, sizeof t);
}

bool bsc__ticket_may(const struct bsc__machine *m, bs_time now)
{
	const struct bsc__ticket *t = &m->ticket;

	/* A session that is there, or comes, is the better way. */
	if (!t->known || m->state == BSC_SESSION_OPEN || m->state == BSC_SESSION_OPENING)
		return false;
	if (t->silent && BS_TIME_DIFF(now, t->silent_until) < 0)
		return false;
	return bsc__ticket_clock(t, now) + LIFE_LEAST_MS < t->expires_ms;
}
