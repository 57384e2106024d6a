/* SPDX-License-Identifier: Apache-2.0 */
/* Invites: the controller's answer and the request that challenges a device to prove itself. */
#include "server/roles.h"

#include <string.h>

#include "net/udp.h"
#include "proto/attach_server_legacy.h"
#include "server/worker_loop.h"
#include "util/endpoint.h"

enum {
	MS_PER_S = 1000,
	EPOCH_S = 120,
	/* An answer to an unproven address may have three bytes for each two of the invite. */
	FACTOR_NUM = 3,
	FACTOR_DEN = 2,
	LEGACY_LEN = 54,
	/* Attachments end slowly: who finds no room need not look for it every few seconds. */
	NO_ROOM_MS = 30000,
	STOCK_LEN = 99, /* one character of id, no label: no device sends less */
	PRF_PARTS = 5,
};

/* The mode that an invite asks for. */
static bool is_legacy(const struct bs_invite *inv)
{
	return inv->nonce.len == BS_NONCE_LEGACY_LEN;
}

/* Count why an invite is not answered. */
static bool is_admitted(struct bs_roles *r, enum bs_verdict verdict)
{
	static const enum bs_counter counter[] = {
		[BS_REFUSE_ID] = BS_C_invite_rate_id,
		[BS_REFUSE_KNOWN] = BS_C_invite_rate_known,
		[BS_REFUSE_ADDRESS] = BS_C_invite_rate_source,
		[BS_REFUSE_PREFIX] = BS_C_invite_rate_prefix,
		[BS_REFUSE_STRANGERS] = BS_C_invite_rate_strangers,
	};

	if (verdict == BS_ADMIT)
		return true;
	bs_count(r->w->counters, counter[verdict]);
	return false;
}

/* The device behind an id, when it may be answered at all.  Wipe it after use. */
static bool find_device(struct bs_roles *r, struct bs_slice id, struct bs_device *d)
{
	struct bs_counters *c = r->w->counters;
	int err = bs_registry_device(r->w->reader, id, d);

	if (err == BS_ENOENT) {
		bs_count(c, BS_C_invite_unknown_id);
		return false;
	}
	if (err) {
		bs_count(c, BS_C_registry_failed);
		bs_log_limited(&r->log_limit[BS_LK_REGISTRY], r->w->now, BS_LOG_ERROR,
			       "attach, cannot read a device (%s)", bs_strerror(err));
		return false;
	}
	/* The id is part of the key, to the case of its letters. */
	if (id.len != d->id_len || memcmp(id.ptr, d->id, id.len) != 0) {
		bs_count(c, BS_C_invite_unknown_id);
		bs_device_wipe(d);
		return false;
	}
	if (d->state != BS_RECORD_ENABLED) {
		bs_count(c, BS_C_invite_disabled);
		bs_device_wipe(d);
		return false;
	}
	return true;
}

/* A stock device over IPv6 could not read the answer. */
static bool is_readable(struct bs_roles *r, const struct bs_invite *inv,
			const struct bs_endpoint *peer)
{
	if (bs_endpoint_is_ip4(peer))
		return true;
	if (inv->has_ext && (inv->ext & r->w->conf->extensions & BS_EXT_IP6))
		return true;
	bs_count(r->w->counters, BS_C_invite_ip6_stock);
	return false;
}

static void answer_controller(struct bs_roles *r, const struct bs_input *in,
			      const struct bs_invite *inv)
{
	struct bs_invite_answer a = { .seq = inv->seq, .observed = *in->peer };
	uint8_t cookie[BS_COOKIE_LEN];
	bs_ssize len;

	/* Without one the attach server gives it; this saves the device a round trip. */
	if (bs__cookie_wanted(r, inv) && bs__cookie_make(r, in->peer, inv->id, cookie) == BS_OK)
		a.cookie = cookie;

	a.server = bs_worker_public(r->w, BS_SOCKET_ATTACH, in->local);
	if (!bs_endpoint_is_set(&a.server)) {
		bs__drop(r, BS_EUNREACH);
		return;
	}
	len = bs_invite_answer_encode(bs__send_reserve(r), BS_UDP_BUF, &a);
	if (len < 0 || (size_t)len * FACTOR_DEN > in->p.len * FACTOR_NUM ||
	    (inv->has_ext && (size_t)len > in->p.len)) {
		bs_count(r->w->counters, BS_C_invite_amplify);
		return;
	}
	bs__worker_commit(r->w, (size_t)len, in->socket, in->local, in->peer);
	bs_count(r->w->counters, BS_C_invite_answered_controller);
}

/* nonce_s, then seed_s: PRF(secret, label | epoch | id | nonce_d | source), so that repeated
 * invites get the same answer also when their entry had to make room in between. */
static int make_nonces(struct bs_roles *r, struct bs_pending_entry *e, struct bs_slice id)
{
	const struct bs_crypto *c = r->w->crypto;
	uint8_t nums[4 + 4 + 2];
	struct bs_slice part[PRF_PARTS] = {
		{ (const uint8_t *)"nonce", 5 },
		{ nums, sizeof(nums) },
		id,
		{ e->nonce, sizeof(e->nonce) },
		{ e->peer.ip, sizeof(e->peer.ip) },
	};
	int err;

	bs_put_u32(nums, e->epoch);
	bs_put_u32(nums + 4, e->number);
	bs_put_u16(nums + 8, e->peer.port);
	err = c->hmac_sha256(c->ctx, r->secret, sizeof(r->secret), part, PRF_PARTS, e->s.nonce_s);
	part[0].ptr = (const uint8_t *)"seed ";
	if (!err)
		err = c->hmac_sha256(c->ctx, r->secret, sizeof(r->secret), part, PRF_PARTS,
				     e->s.seed_s);
	return err;
}

int bs__pending_secrets(struct bs_roles *r, struct bs_pending_entry *e, struct bs_slice id)
{
	int err = e->flags & BS_PENDING_SECRETS ? BS_OK : make_nonces(r, e, id);

	if (!err)
		e->flags |= BS_PENDING_SECRETS;
	return err;
}

int bs__pending_a_key(struct bs_roles *r, struct bs_pending_entry *e, struct bs_slice id,
		      const uint8_t *psk)
{
	int err;

	if ((e->flags & BS_PENDING_A_KEY) && bs_equal_secret(e->s.psk, psk, BS_PSK_LEN))
		return BS_OK;
	e->flags &= (uint8_t)~BS_PENDING_A_KEY;
	err = bs_keys_derive_a(r->w->crypto, id, psk, &e->s.a_key);
	if (err)
		return err;
	memcpy(e->s.psk, psk, BS_PSK_LEN);
	e->flags |= BS_PENDING_A_KEY;
	return BS_OK;
}

bs_ssize bs__attach_compose(struct bs_roles *r, struct bs_pending_entry *e,
			    const struct bs_device *d, uint8_t *buf, size_t cap)
{
	struct bs_attach_request m = { .nsi = e->nsi,
				       .seq = (uint16_t)(e->nsi | 1),
				       .observed = e->peer,
				       .has_ext = e->flags & BS_PENDING_EXT,
				       .ext = e->granted };
	struct bs_slice id = { (const uint8_t *)d->id, d->id_len };
	struct bs_attach_secrets s = { e->s.nonce_s, e->nonce, e->s.seed_s };
	int err = bs__pending_secrets(r, e, id);

	if (e->granted & BS_EXT_INTERVAL)
		m.interval_s = r->limits.min_s;
	if (!err && (e->flags & BS_PENDING_LEGACY)) {
		m.nonce.ptr = e->s.nonce_s;
		m.nonce.len = BS_NONCE_LEGACY_LEN;
		return bs_attach_server_legacy_request(&m, e->sum, buf, cap);
	}
	if (!err)
		err = bs__pending_a_key(
			r, e, id, e->flags & BS_PENDING_NEXT_KEY ? d->secret_next : d->secret);
	if (err)
		return err;
	return bs_attach_server_request(r->w->crypto, &e->s.a_key, &m, &s, buf, cap);
}

void bs__pending_gone(void *ctx, const struct bs_pending_entry *e, bool expired)
{
	struct bs_roles *r = ctx;

	bs_nsi_table_remove(&r->nsi, e->nsi);
	bs_count(r->w->counters, expired ? BS_C_pending_expired : BS_C_pending_evicted);
}

/* A device is set up for one mode; an invite in the other one is not for us to answer. */
bool bs__invite_mode_fits(struct bs_roles *r, const struct bs_device *d,
			  const struct bs_invite *inv)
{
	bool fits = is_legacy(inv) ? r->w->conf->allow_legacy && (d->flags & BS_DEVICE_LEGACY)
				   : d->has_secret;

	if (!fits)
		bs_count(r->w->counters, BS_C_invite_mode);
	return fits;
}

/* Longest answer to this invite against its length (basestation-wire(7), SECURITY CONSIDERATIONS).
 * A device without extensions cannot pad, and one with a short id must attach all the same: its
 * invite, 99 bytes at the least, is answered within the limits of rule 3, and counted. */
bool bs__invite_size_fits(struct bs_roles *r, const struct bs_invite *inv, size_t len, bool known)
{
	bool fits = true;

	if (is_legacy(inv))
		fits = len >= LEGACY_LEN;
	else if (inv->has_ext)
		fits = len >= BS_INVITE_PAD_LEN;
	else if (len < STOCK_LEN)
		fits = false;
	else if (!known && len * FACTOR_NUM < BS_ATTACH_REQUEST_LEN * FACTOR_DEN)
		bs_count(r->w->counters, BS_C_invite_short);
	if (!fits)
		bs_count(r->w->counters, BS_C_invite_amplify);
	return fits;
}

/* The texts lie one behind the other; what does not fit is cut. */
static void put_text(struct bs_pending_entry *e, unsigned which, struct bs_slice text)
{
	size_t off = which == 0 ? 0 : e->text_len[0];
	size_t room = which == 0 ? sizeof(e->text) / 2 : sizeof(e->text) - off;
	size_t n = text.len < room ? text.len : room;

	if (n > 0)
		memcpy(e->text + off, text.ptr, n);
	e->text_len[which] = (uint8_t)n;
}

/* What is promised must be kept: MACs need a key, an interval that anybody could forge would
 * silence the device, and one below a second cannot be said. */
uint16_t bs__invite_may_grant(const struct bs_roles *r, const struct bs_invite *inv)
{
	uint32_t bits = inv->ext & r->w->conf->extensions;

	if (is_legacy(inv))
		bits &= ~(uint32_t)(BS_EXT_AUTH_ALIVE | BS_EXT_COOKIE);
	if (!(bits & BS_EXT_AUTH_ALIVE) || r->pace.interval_ms < MS_PER_S)
		bits &= ~(uint32_t)BS_EXT_INTERVAL;
	return (uint16_t)bits;
}

void bs__pending_texts(struct bs_pending_entry *e, const struct bs_version *version,
		       struct bs_slice app_version)
{
	put_text(e, 0, app_version);
	put_text(e, 1, version->label);
	e->sdk[0] = (uint8_t)version->major;
	e->sdk[1] = (uint8_t)version->minor;
	e->sdk[2] = (uint8_t)version->patch;
}

static void fill_entry(struct bs_roles *r, struct bs_pending_entry *e, const struct bs_input *in,
		       const struct bs_invite *inv, unsigned local)
{
	e->local = (uint8_t)local;
	e->epoch = (uint32_t)(r->w->unix_ms / 1000 / EPOCH_S);
	if (is_legacy(inv)) {
		e->flags |= BS_PENDING_LEGACY;
		e->sum = bs_attach_server_legacy_sum(0, in->p.bytes, in->p.len);
	}
	if (inv->has_ext) {
		e->flags |= BS_PENDING_EXT;
		e->offered = inv->ext;
		e->granted = bs__invite_may_grant(r, inv);
	}
	bs__pending_texts(e, &inv->version, inv->app_version);
}

/* The entry that answers this invite: that of an earlier copy, or a new one. */
static struct bs_pending_entry *entry_for(struct bs_roles *r, const struct bs_input *in,
					  const struct bs_invite *inv, const struct bs_device *d,
					  bool known)
{
	uint32_t i =
		bs_pending_find(&r->pending, d->number, inv->nonce.ptr, inv->nonce.len, in->peer);
	struct bs_pending_entry *e;
	unsigned local;

	if (i != BS_PENDING_NONE) {
		e = bs_pending_get(&r->pending, i);
		bs_count(r->w->counters, BS_C_invite_repeated);
		/* While a key is being changed, nobody knows which one the device has. */
		if (d->has_next)
			e->flags ^= BS_PENDING_NEXT_KEY;
		return e;
	}
	local = bs__local_index(r, in->socket, in->local);
	if (local == BS_LOCALS_MAX)
		return NULL;
	i = bs_pending_add(&r->pending, d->number, inv->nonce.ptr, inv->nonce.len, in->peer, known,
			   r->now_ms);
	if (i == BS_PENDING_NONE) {
		bs_count(r->w->counters, BS_C_pending_refused);
		return NULL;
	}
	e = bs_pending_get(&r->pending, i);
	fill_entry(r, e, in, inv, local);
	e->nsi = bs__nsi_take(r, BS_NSI_PENDING, i);
	if (e->nsi == 0) {
		bs_pending_remove(&r->pending, i);
		return NULL;
	}
	bs__fill_check(r, BS_FILL_PENDING, r->pending.n, r->pending.cap);
	return e;
}

bool bs__invite_away(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv,
		     const struct bs_ask_for *q, uint32_t ms)
{
	return bs__invite_offers_retry(r, inv) &&
	       bs_admission_notice(&r->admission, q, r->now_ms) && bs__invite_retry(r, in, inv, ms);
}

static void answer_attach(struct bs_roles *r, const struct bs_input *in,
			  const struct bs_invite *inv, const struct bs_device *d,
			  const struct bs_ask_for *q)
{
	struct bs_pending_entry *e;
	bs_ssize len;

	if (!bs__invite_mode_fits(r, d, inv) || !bs__invite_size_fits(r, inv, in->p.len, q->known))
		return;
	e = entry_for(r, in, inv, d, q->known);
	if (!e) {
		(void)bs__invite_away(r, in, inv, q,
				      bs_admission_wait(BS_REFUSE_STRANGERS, bs__random32(r)));
		return;
	}
	len = bs__attach_compose(r, e, d, bs__send_reserve(r), BS_UDP_BUF);
	if (len < 0) {
		bs_count(r->w->counters, BS_C_crypto_failed);
		return;
	}
	bs__send_commit(r, (size_t)len, e->local, in->peer);
	bs_count(r->w->counters, BS_C_invite_answered_attach);
}

/* Where a registration begins; those that go on are not held up. */
static bool is_paced(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv)
{
	bool keeps = bs__invite_offers_retry(r, inv);
	uint32_t retry_ms;

	if (bs_pace_take(&r->pace_in, keeps, bs__random32(r), r->now_ms, &retry_ms))
		return true;
	bs_count(r->w->counters, BS_C_invite_paced);
	if (keeps)
		(void)bs__invite_retry(r, in, inv, retry_ms);
	return false;
}

/* A proof that finds no room is dropped, and its device believes that it is attached until its
 * polls have told it otherwise: better said before. */
static bool has_room(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv,
		     const struct bs_ask_for *q)
{
	if (r->slab.n < r->slab.cap || !bs__invite_offers_retry(r, inv))
		return true;
	bs_count(r->w->counters, BS_C_invite_no_room);
	(void)bs__invite_away(r, in, inv, q, NO_ROOM_MS + bs__random32(r) % NO_ROOM_MS);
	return false;
}

/* An unknown id costs a look at the registry and nobody's tokens: whoever guesses ids from behind a
 * crowded address must not use up what the crowd may ask. */
static void answer(struct bs_roles *r, const struct bs_input *in, const struct bs_invite *inv,
		   const struct bs_device *d, bool for_attach)
{
	const struct bs_ask_for q = {
		.peer = in->peer,
		.number = d->number,
		.nonce = inv->nonce,
		.offers_cookie = bs__cookie_wanted(r, inv),
		.known = bs_admission_knows(&r->admission, in->peer, r->now_s),
	};
	bool cookie = q.offers_cookie;
	bool proven = cookie && for_attach && bs__cookie_shown(r, in->peer, inv);
	enum bs_verdict verdict;

	if (proven)
		verdict = bs_admission_proven(&r->admission, &q, r->now_ms);
	else if (cookie || !for_attach)
		verdict = bs_admission_stateless(&r->admission, &q, r->now_ms);
	else
		verdict = bs_admission_stock(&r->admission, &q, r->now_ms);
	if (!is_admitted(r, verdict)) {
		(void)bs__invite_away(r, in, inv, &q, bs_admission_wait(verdict, bs__random32(r)));
		return;
	}
	if (for_attach ? !has_room(r, in, inv, &q) : !is_paced(r, in, inv))
		return;
	if (!for_attach)
		answer_controller(r, in, inv);
	else if (cookie)
		bs__cookie_invite(r, in, inv, d, proven);
	else
		answer_attach(r, in, inv, d, &q);
}

void bs__invite_input(struct bs_roles *r, struct bs_input *in)
{
	uint8_t roles = r->w->socket[in->socket].roles;
	struct bs_invite inv;
	struct bs_device d;
	bool for_attach;
	int err = bs_invite_decode(&in->p, &inv);

	if (!err && in->p.h.nsi_sp != 0)
		err = BS_EFIELD;
	/* On a common port the nonce tells the two roles apart. */
	for_attach = !err && inv.nonce.len > 0;
	if (!err && !(roles & (for_attach ? BS_SOCKET_ATTACH : BS_SOCKET_CONTROLLER)))
		err = BS_ETYPE;
	if (err) {
		bs__drop(r, err);
		return;
	}
	bs_count(r->w->counters, for_attach ? BS_C_invite_attach : BS_C_invite_controller);
	if (!is_readable(r, &inv, in->peer) || !find_device(r, inv.id, &d))
		return;
	if (!bs__drain_refuses(r, in, &inv))
		answer(r, in, &inv, &d, for_attach);
	bs_device_wipe(&d);
}
