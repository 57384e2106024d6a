/* SPDX-License-Identifier: Apache-2.0 */
/* Invites of devices that help: attach without state (COOKIE), and "come back later" (RETRY). */
#include "server/roles.h"

#include <string.h>

#include "net/udp.h"
#include "proto/attach_cookie.h"
#include "server/worker_loop.h"

enum {
	MS_PER_S = 1000,
	/* Numbers are made of a window of time, for a response must name one of few. */
	WINDOW_MS = 16384,
	NSI_TRIES = 4,
};

int bs__cookie_init(struct bs_roles *r)
{
	const struct bs_crypto *c = r->w->crypto;
	const struct bs_slice label = { (const uint8_t *)"numbers", 7 };
	uint8_t full[32];
	int err = c->hmac_sha256(c->ctx, r->secret, sizeof(r->secret), &label, 1, full);

	memcpy(r->nsi_key, full, sizeof(r->nsi_key));
	bs_wipe(full, sizeof(full));
	return err;
}

bool bs__cookie_wanted(const struct bs_roles *r, const struct bs_invite *inv)
{
	return inv->has_ext && (inv->ext & r->w->conf->extensions & BS_EXT_COOKIE) &&
	       inv->nonce.len != BS_NONCE_LEGACY_LEN;
}

int bs__cookie_make(struct bs_roles *r, const struct bs_endpoint *peer, struct bs_slice id,
		    uint8_t out[BS_COOKIE_LEN])
{
	return bs_cookie_make(r->w->crypto, r->secret, r->w->unix_ms / MS_PER_S, peer, id, out);
}

bool bs__cookie_shown(struct bs_roles *r, const struct bs_endpoint *peer,
		      const struct bs_invite *inv)
{
	return inv->cookie && bs_cookie_ok(r->w->crypto, r->secret, r->w->unix_ms / MS_PER_S, peer,
					   inv->id, inv->cookie);
}

/* Send an answer that is only this.  It keeps no room in the queue when it would be longer than
 * what asked for it. */
static bool send_notice(struct bs_roles *r, const struct bs_input *in,
			const struct bs_invite_notice *m)
{
	bs_ssize len = bs_invite_notice_encode(bs__send_reserve(r), BS_UDP_BUF, m);

	if (len < 0 || (size_t)len > in->p.len) {
		bs_count(r->w->counters, BS_C_invite_amplify);
		return false;
	}
	bs__worker_commit(r->w, (size_t)len, in->socket, in->local, in->peer);
	return true;
}

bool bs__invite_offers_retry(const struct bs_roles *r, const struct bs_invite *inv)
{
	return inv->has_ext && (inv->ext & r->w->conf->extensions & BS_EXT_RETRY);
}

bool bs__invite_retry(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv,
		      uint32_t ms)
{
	const struct bs_invite_notice m = { .seq = inv->seq, .has_retry = true, .retry_ms = ms };

	if (!bs__invite_offers_retry(r, inv) || !send_notice(r, in, &m))
		return false;
	bs_count(r->w->counters, BS_C_invite_retry);
	return true;
}

static void answer_cookie(struct bs_roles *r, const struct bs_input *in,
			  const struct bs_invite *inv)
{
	uint8_t cookie[BS_COOKIE_LEN];
	const struct bs_invite_notice m = { .seq = inv->seq, .cookie = cookie };

	if (bs__cookie_make(r, in->peer, inv->id, cookie) != BS_OK)
		bs_count(r->w->counters, BS_C_crypto_failed);
	else if (send_notice(r, in, &m))
		bs_count(r->w->counters, BS_C_invite_cookie);
}

/* What the numbers of one exchange have in common. */
static uint64_t exchange_hash(const struct bs_roles *r, const struct bs_endpoint *peer,
			      struct bs_slice id, const uint8_t *nonce_d)
{
	uint8_t k[BS_IP_LEN + 2 + BS_NONCE_LEN + BS_DEVICE_ID_MAX];

	memcpy(k, peer->ip, BS_IP_LEN);
	memcpy(k + BS_IP_LEN, &peer->port, 2);
	memcpy(k + BS_IP_LEN + 2, nonce_d, BS_NONCE_LEN);
	memcpy(k + BS_IP_LEN + 2 + BS_NONCE_LEN, id.ptr, id.len);
	return bs_siphash(r->nsi_key, k, BS_IP_LEN + 2 + BS_NONCE_LEN + id.len);
}

/* The number of a try; not 0 unless this try has none. */
static uint32_t make_nsi(const struct bs_roles *r, uint64_t exchange, uint32_t window,
			 uint32_t attempt)
{
	uint64_t k[2] = { exchange, (uint64_t)window << 32 | attempt };

	return bs_nsi_make((uint32_t)bs_siphash(r->nsi_key, k, sizeof(k)), r->w->index,
			   r->w->n_workers);
}

/* How long a challenge may be answered; numbers are looked for in no more than two windows. */
static uint32_t lifetime_ms(const struct bs_roles *r)
{
	bs_time ms = r->w->conf->pending_lifetime / BS_TIME_PER_MS;

	return ms < WINDOW_MS ? (uint32_t)ms : WINDOW_MS;
}

static bool is_spent(const struct bs_roles *r, uint32_t nsi)
{
	const struct bs_spent_nsi *s = &r->spent[nsi % BS_SPENT_NSI];

	return s->nsi == nsi && r->now_ms - s->end_ms <= lifetime_ms(r);
}

void bs__cookie_spent(struct bs_roles *r, uint32_t nsi)
{
	struct bs_spent_nsi *s = &r->spent[nsi % BS_SPENT_NSI];

	s->nsi = nsi;
	s->end_ms = r->now_ms;
}

/* A number that is free now.  It is not entered, so another attach may take it before the response
 * comes; that response is dropped then, and the device starts over. */
static uint32_t free_nsi(struct bs_roles *r, uint64_t exchange)
{
	uint32_t window = (uint32_t)(r->w->unix_ms / WINDOW_MS);
	uint32_t i;
	uint32_t k;

	for (k = 0; k < NSI_TRIES; k++) {
		uint32_t nsi = make_nsi(r, exchange, window, k);

		if (nsi && !is_spent(r, nsi) && bs_nsi_table_get(&r->nsi, nsi, &i) == BS_NSI_NONE)
			return nsi;
	}
	bs_count(r->w->counters, BS_C_nsi_exhausted);
	return 0;
}

/* Whether we may have given this number in this exchange.  Cheap: it spares a forged response the
 * registry and the keys. */
static bool is_ours(const struct bs_roles *r, uint64_t exchange, uint32_t nsi)
{
	uint32_t window = (uint32_t)(r->w->unix_ms / WINDOW_MS);
	uint32_t k;

	for (k = 0; k < NSI_TRIES; k++) {
		if (make_nsi(r, exchange, window, k) == nsi ||
		    make_nsi(r, exchange, window - 1, k) == nsi)
			return true;
	}
	return false;
}

static bs_ssize compose(struct bs_roles *r, const struct bs_challenge *ch,
			const struct bs_device *d, const uint8_t *psk, uint8_t *buf, size_t cap)
{
	struct bs_attach_request m = { .nsi = ch->nsi,
				       .seq = (uint16_t)(ch->nsi | 1),
				       .observed = *ch->peer,
				       .has_ext = true,
				       .ext = ch->granted };
	const struct bs_slice id = { (const uint8_t *)d->id, d->id_len };
	uint8_t nonce_s[BS_NONCE_LEN];
	uint8_t seed_s[BS_NONCE_LEN];
	const struct bs_attach_secrets s = { nonce_s, ch->nonce_d, seed_s };
	struct bs_key_block a_key;
	bs_ssize len = bs_challenge_secrets(r->w->crypto, r->secret, ch, nonce_s, seed_s);

	if (ch->granted & BS_EXT_INTERVAL)
		m.interval_s = r->limits.min_s;
	if (len == BS_OK)
		len = bs_keys_derive_a(r->w->crypto, id, psk, &a_key);
	if (len == BS_OK)
		len = bs_attach_server_request(r->w->crypto, &a_key, &m, &s, buf, cap);
	bs_wipe(&a_key, sizeof(a_key));
	bs_wipe(seed_s, sizeof(seed_s));
	return len;
}

static bool send_challenge(struct bs_roles *r, const struct bs_input *in,
			   const struct bs_challenge *ch, const struct bs_device *d,
			   const uint8_t *psk)
{
	bs_ssize len = compose(r, ch, d, psk, bs__send_reserve(r), BS_UDP_BUF);

	if (len < 0) {
		bs_count(r->w->counters, BS_C_crypto_failed);
		return false;
	}
	bs__worker_commit(r->w, (size_t)len, in->socket, in->local, in->peer);
	return true;
}

/* While a key is being changed, nobody knows which one the device has.  It is sent the same
 * challenge under each, and drops the one that it cannot read: its address is proven, so two for
 * one harm nobody, and a device that had to come again would wait for seconds. */
static void answer_challenge(struct bs_roles *r, const struct bs_input *in,
			     const struct bs_invite *inv, const struct bs_device *d)
{
	struct bs_challenge ch = { .unix_ms = r->w->unix_ms,
				   .offered = inv->ext,
				   .granted = bs__invite_may_grant(r, inv),
				   .number = d->number,
				   .peer = in->peer,
				   .nonce_d = inv->nonce.ptr };
	bool sent;

	ch.nsi = free_nsi(r, exchange_hash(r, in->peer, inv->id, inv->nonce.ptr));
	if (ch.nsi == 0)
		return;
	sent = send_challenge(r, in, &ch, d, d->secret);
	if (d->has_next)
		sent = send_challenge(r, in, &ch, d, d->secret_next) || sent;
	if (sent)
		bs_count(r->w->counters, BS_C_invite_answered_attach);
}

void bs__cookie_invite(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv,
		       const struct bs_device *d, bool proven)
{
	if (!bs__invite_mode_fits(r, d, inv) || !bs__invite_size_fits(r, inv, in->p.len, true))
		return;
	if (proven)
		answer_challenge(r, in, inv, d);
	else
		answer_cookie(r, in, inv);
}

/* Verify under the device's key, then see whether what it answers came from us. */
static int open_challenge(struct bs_roles *r, struct bs_input *in, const struct bs_device *d,
			  struct bs_challenge *ch, struct bs_attach_response *m,
			  struct bs_key_block *c_key)
{
	const struct bs_slice id = { (const uint8_t *)d->id, d->id_len };
	const uint8_t *psk[2] = { d->secret, d->secret_next };
	uint8_t text[2 * BS_NONCE_LEN] = { 0 };
	uint8_t nonce_s[BS_NONCE_LEN];
	uint8_t seed_s[BS_NONCE_LEN];
	const struct bs_attach_secrets s = { nonce_s, ch->nonce_d, seed_s };
	struct bs_key_block a_key;
	unsigned n = d->has_next ? 2 : 1;
	unsigned i;
	int err = BS_OK;

	for (i = 0; i < n && (i == 0 || err == BS_EMAC); i++) {
		err = bs_keys_derive_a(r->w->crypto, id, psk[i], &a_key);
		if (!err)
			err = bs_attach_server_read(r->w->crypto, &a_key, &in->p, in->data, m,
						    text);
	}
	if (!err && !bs_challenge_read(text, r->w->unix_ms, lifetime_ms(r), ch))
		err = BS_EREPLAY;
	if (!err)
		err = bs_challenge_secrets(r->w->crypto, r->secret, ch, nonce_s, seed_s);
	if (!err)
		err = bs_attach_server_finish(r->w->crypto, &s, text, c_key);
	bs_wipe(&a_key, sizeof(a_key));
	bs_wipe(text, sizeof(text));
	bs_wipe(seed_s, sizeof(seed_s));
	return err;
}

/* What fill_device() reads of an entry. */
static void fill_entry(struct bs_roles *r, struct bs_pending_entry *e, const struct bs_input *in,
		       const struct bs_challenge *ch, const struct bs_attach_response *m)
{
	memset(e, 0, sizeof(*e));
	e->nsi = ch->nsi;
	e->number = ch->number;
	e->peer = *in->peer;
	/* Its invites drew nothing from the strangers' bucket. */
	e->flags = BS_PENDING_EXT | BS_PENDING_KNOWN;
	e->offered = ch->offered;
	e->granted = (uint16_t)ch->granted;
	e->born_ms = r->now_ms;
	bs__pending_texts(e, &m->version, m->app_version);
}

static int find_device(struct bs_roles *r, struct bs_slice id, struct bs_device *d)
{
	int err = bs_registry_device(r->w->reader, id, d);

	if (err)
		return err == BS_ENOENT ? BS_EUNKNOWN : err;
	if (d->state == BS_RECORD_ENABLED && d->has_secret && id.len == d->id_len &&
	    memcmp(id.ptr, d->id, id.len) == 0)
		return BS_OK;
	bs_device_wipe(d);
	return BS_EREFUSED;
}

int bs__cookie_open(struct bs_roles *r, struct bs_input *in, struct bs_pending_entry *e,
		    struct bs_attach_response *m, struct bs_key_block *c_key)
{
	struct bs_challenge ch = { .nsi = in->p.h.nsi_sp, .peer = in->peer };
	unsigned local;
	struct bs_device d;
	int err = bs_attach_response_decode(&in->p, BS_PL_CRYPTO, m);

	if (!err && !m->id.len)
		err = BS_EUNKNOWN;
	if (!err && !is_ours(r, exchange_hash(r, in->peer, m->id, m->nonce_d), ch.nsi))
		err = BS_EUNKNOWN;
	if (!err && is_spent(r, ch.nsi))
		err = BS_EREPLAY;
	if (!err)
		err = find_device(r, m->id, &d);
	if (err)
		return err;
	ch.number = d.number;
	ch.nonce_d = m->nonce_d;
	err = open_challenge(r, in, &d, &ch, m, c_key);
	bs_device_wipe(&d);
	if (err)
		return err;
	local = bs__local_index(r, in->socket, in->local);
	if (local == BS_LOCALS_MAX)
		return BS_EFULL;
	fill_entry(r, e, in, &ch, m);
	e->local = (uint8_t)local;
	return BS_OK;
}
