/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_device.h"

#include <string.h>

#include "proto/alive_auth.h"
#include "proto/attach_legacy.h"
#include "util/endpoint.h"
#include "wire/attach.h"
#include "wire/invite.h"
#include "wire/stats.h"

/* Packets that wait (bs_attach_device.pending). */
enum {
	PENDING_STATS = 0x01,
	PENDING_INVITE = 0x02,
	PENDING_RESPONSE = 0x04,
};

/* Schedules: six invites, gaps that double up to a limit, a rest before starting over. */
enum {
	INVITES = BS_CONTROLLER_ADDRS,
	CONTROLLER_GAP_MS = 2000,
	SERVER_GAP_MS = 4000,
	REST_MS = 2000,
	LOOKUP_GAP_MS = 2000,
	LOOKUP_STEP = 2,
	DOUBLINGS = 4,
	RETRY_MIN_MS = 1000,
	VERSION_KIND_DEVICE = 5,
	CANDIDATES = 2,
};

#define GAP_MAX_MS UINT32_C(32000)
/* Answers are not authenticated: whoever forges one must not silence a device for good. */
#define RETRY_MAX_MS UINT32_C(600000)

void bs_attach_init(struct bs_attach_device *a, const struct bs_device_conf *conf,
		    const struct bs_crypto *crypto)
{
	memset(a, 0, sizeof(*a));
	a->conf = conf;
	a->crypto = crypto;
}

void bs_attach_fini(struct bs_attach_device *a)
{
	bs_wipe(a, sizeof(*a));
}

/* Forget all that belongs to one attempt. */
static void forget(struct bs_attach_device *a)
{
	bs_wipe(&a->key, sizeof(a->key));
	memset(&a->server, 0, sizeof(a->server));
	memset(&a->global, 0, sizeof(a->global));
	memset(&a->alive, 0, sizeof(a->alive));
	if (a->state == BS_ATTACH_ATTACHED)
		a->events |= BS_ATTACH_EV_DETACHED;
	a->pending = 0;
	a->nsi = 0;
	a->granted = 0;
	a->sum = 0;
	a->tries = 0;
	a->with_ext = false;
	a->symmetric = false;
	if (BS_WITH_ADMISSION)
		memset(bs__attach_cookie(a), 0, sizeof(struct bs_attach_cookie));
}

static void begin(struct bs_attach_device *a)
{
	forget(a);
	a->state = BS_ATTACH_RESOLVING;
	a->events |= BS_ATTACH_EV_RESOLVE | BS_ATTACH_EV_RENEW_SOCKET;
}

static void rest(struct bs_attach_device *a, uint32_t ms, bs_time now)
{
	forget(a);
	a->state = BS_ATTACH_PAUSE;
	a->due = now + BS_TIME_MS(ms);
}

/* Tell the controller what went wrong, if one is known. */
static void report(struct bs_attach_device *a, enum bs_attach_status status)
{
	a->status = (uint8_t)status;
	a->events |= BS_ATTACH_EV_FAILED;
	if (bs_endpoint_is_set(&a->controller))
		a->pending |= PENDING_STATS;
}

void bs_attach_start(struct bs_attach_device *a, bs_time now)
{
	(void)now;
	if (a->state == BS_ATTACH_STOPPED)
		begin(a);
}

void bs_attach_stop(struct bs_attach_device *a)
{
	a->events = 0;
	forget(a);
	memset(&a->controller, 0, sizeof(a->controller));
	a->lookups = 0;
	a->state = BS_ATTACH_STOPPED;
}

void bs_attach_restart(struct bs_attach_device *a, bs_time now)
{
	(void)now;
	if (a->state != BS_ATTACH_STOPPED)
		begin(a);
}

void bs_attach_end(struct bs_attach_device *a, bs_time now)
{
	if (a->state == BS_ATTACH_ATTACHED)
		rest(a, REST_MS, now);
}

static void invite(struct bs_attach_device *a, bs_time now)
{
	uint32_t base = a->state == BS_ATTACH_CONTROLLER ? CONTROLLER_GAP_MS : SERVER_GAP_MS;
	uint32_t gap = base << (a->tries < DOUBLINGS ? a->tries : DOUBLINGS);
	const struct bs_endpoint *addr = &a->addr[a->tries];

	/* An empty slot means: stay with the last address. */
	if (a->state == BS_ATTACH_CONTROLLER && bs_endpoint_is_set(addr))
		a->controller = *addr;
	a->tries++;
	a->pending |= PENDING_INVITE;
	if (BS_WITH_ADMISSION)
		bs__attach_cookie(a)->hurried = false;
	a->due = now + BS_TIME_MS(gap < GAP_MAX_MS ? gap : GAP_MAX_MS);
}

void bs_attach_resolved(struct bs_attach_device *a, const struct bs_endpoint *addr, size_t n,
			bs_time now)
{
	if (a->state != BS_ATTACH_RESOLVING)
		return;
	if (n == 0) {
		bs_attach_resolve_failed(a, now);
		return;
	}
	if (n > BS_CONTROLLER_ADDRS)
		n = BS_CONTROLLER_ADDRS;
	memset(a->addr, 0, sizeof(a->addr));
	memcpy(a->addr, addr, n * sizeof(*addr));
	a->lookups = 0;
	a->events &= (uint8_t)~BS_ATTACH_EV_RESOLVE;
	a->state = BS_ATTACH_CONTROLLER;
	a->tries = 0;
	invite(a, now);
}

void bs_attach_resolve_failed(struct bs_attach_device *a, bs_time now)
{
	if (a->state != BS_ATTACH_RESOLVING)
		return;
	rest(a, (uint32_t)LOOKUP_GAP_MS << a->lookups, now);
	if (a->lookups < DOUBLINGS)
		a->lookups += LOOKUP_STEP;
	a->events &= (uint8_t)~BS_ATTACH_EV_RESOLVE;
	report(a, BS_ATTACH_LOOKUP);
}

static size_t nonce_len(const struct bs_device_conf *conf)
{
	return bs_device_legacy(conf) ? BS_NONCE_LEGACY_LEN : BS_NONCE_LEN;
}

/* Extension RETRY: the invites of this state start over when the server wants them.  One word for
 * each invite counts, the first: who asks in our name, and makes the server answer us, must not
 * keep us waiting for ever. */
static void come_back(struct bs_attach_device *a, uint32_t ms, bs_time now)
{
	if (a->tries == 0)
		return;
	if (ms < RETRY_MIN_MS)
		ms = RETRY_MIN_MS;
	a->pending &= (uint8_t)~PENDING_INVITE;
	a->tries = 0;
	a->due = now + BS_TIME_MS(ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS);
}

/* Extension COOKIE: the attach server wants to see one before it remembers anything.  A second
 * answer to the same invite changes the cookie and sends nothing, or two ends could keep each other
 * busy. */
static void take_cookie(struct bs_attach_device *a, const uint8_t *value)
{
	struct bs_attach_cookie *c = bs__attach_cookie(a);

	memcpy(c->value, value, sizeof(c->value));
	c->is_set = true;
	if (a->state != BS_ATTACH_SERVER || c->hurried)
		return;
	c->hurried = true;
	a->pending |= PENDING_INVITE;
}

/* What an answer says to a device that offered COOKIE or RETRY; true when that is all. */
static bool take_notice(struct bs_attach_device *a, const struct bs_packet *p,
			const struct bs_endpoint *from, bs_time now)
{
	bool at_server = a->state == BS_ATTACH_SERVER;
	struct bs_invite_notice m;

	if (!at_server && a->state != BS_ATTACH_CONTROLLER)
		return false;
	if (!bs_endpoint_equal(from, at_server ? &a->server : &a->controller) ||
	    bs_invite_notice_decode(p, &m) != BS_OK)
		return false;
	if (m.has_retry && (a->conf->ext_offer & BS_EXT_RETRY)) {
		come_back(a, m.retry_ms, now);
		return true;
	}
	if (!m.cookie || !(a->conf->ext_offer & BS_EXT_COOKIE) || (a->pending & PENDING_RESPONSE))
		return false;
	take_cookie(a, m.cookie);
	return at_server;
}

static int input_invite(struct bs_attach_device *a, const struct bs_packet *p,
			const struct bs_endpoint *from, bs_time now)
{
	struct bs_invite_answer m;
	int err;

	if (BS_WITH_ADMISSION && take_notice(a, p, from, now))
		return BS_OK;
	if (a->state != BS_ATTACH_CONTROLLER)
		return BS_ESTATE;
	if (!bs_endpoint_equal(from, &a->controller))
		return BS_ESOURCE;
	err = bs_invite_answer_decode(p, &m);
	if (err)
		return err;
	if (BS_HAS_IP6 && !bs_endpoint_is_ip4(&m.server) && !(a->conf->ext_offer & BS_EXT_IP6))
		return BS_EFIELD;
	/* Without a nonce we stay here; the next invite brings the next answer. */
	err = a->crypto->random(a->crypto->ctx, a->key.hs.nonce_d, nonce_len(a->conf));
	if (err)
		return err;
	a->server = m.server;
	a->global = m.observed;
	a->state = BS_ATTACH_SERVER;
	a->tries = 0;
	invite(a, now);
	return BS_OK;
}

/* What the plaintext must be: our nonce and the server's seed, and nothing else. */
static int take_secret(struct bs_attach_device *a, uint8_t *pkt, size_t len, size_t off)
{
	struct bs_key_block k;
	struct bs_slice plain;
	int err = bs_keys_derive_a(a->crypto, a->conf->id, a->conf->psk, &k);

	if (!err)
		err = bs_suite_aes_cbc.open(a->crypto, &k, BS_RESPONDER, pkt, len, off, &plain);
	bs_wipe(&k, sizeof(k));
	if (err)
		return err;
	if (plain.len != 2 * BS_NONCE_LEN ||
	    !bs_equal_secret(plain.ptr, a->key.hs.nonce_d, BS_NONCE_LEN))
		return BS_ENONCE;
	memcpy(a->key.hs.seed_s, plain.ptr + BS_NONCE_LEN, BS_NONCE_LEN);
	return BS_OK;
}

static enum bs_attach_status status_of(int err, bool legacy)
{
	switch (err) {
	case BS_EMAC:
	case BS_ESUITE:
	case BS_ELENGTH: return legacy ? BS_ATTACH_VERIFY : BS_ATTACH_MAC;
	case BS_EPADDING: return BS_ATTACH_DECRYPT;
	case BS_ENONCE: return BS_ATTACH_NONCE;
	default: return BS_ATTACH_MALFORMED;
	}
}

static int read_attach(struct bs_attach_device *a, const struct bs_packet *p,
		       struct bs_attach_request *m)
{
	int err = bs_attach_request_decode(
		p, nonce_len(a->conf), bs_device_legacy(a->conf) ? BS_PL_VERIFY : BS_PL_CRYPTO, m);

	if (BS_WITH_EXT && !err && m->has_ext && !a->conf->ext_offer)
		err = BS_EFIELD;
	return err;
}

/* Whether keep-alives carry MACs: false at compile time where the build leaves it out. */
static bool has_auth(const struct bs_attach_device *a)
{
	return BS_WITH_AUTH_ALIVE && (a->granted & BS_EXT_AUTH_ALIVE) && !bs_device_legacy(a->conf);
}

/* Only under a MAC: a forged interval would keep the device from polling for hours. */
static void take_interval(struct bs_attach_device *a, uint16_t seconds)
{
	if (has_auth(a) && (a->granted & BS_EXT_INTERVAL) && seconds)
		bs_alive_device_set_interval(&a->alive, seconds);
}

static int input_attach(struct bs_attach_device *a, const struct bs_packet *p, uint8_t *pkt,
			const struct bs_endpoint *from)
{
	const struct bs_legacy_ops *legacy = bs_device_legacy(a->conf);
	struct bs_attach_request m;
	int err;

	if (!bs_endpoint_equal(from, &a->server))
		return BS_ESOURCE;
	if (a->state != BS_ATTACH_SERVER)
		return BS_ESTATE;
	err = read_attach(a, p, &m);
	if (!err)
		err = legacy ? legacy->check(a, pkt, p->len)
			     : take_secret(a, pkt, p->len, m.last_off);
	/* Trouble of our own is not the server's to hear about. */
	if (bs_err_is_fatal(err))
		return err;
	if (err) {
		report(a, status_of(err, legacy != NULL));
		return err;
	}
	if (!legacy)
		memcpy(a->key.hs.nonce_s, m.nonce.ptr, BS_NONCE_LEN);
	a->nsi = m.nsi;
	a->seq = m.seq;
	a->with_ext = BS_WITH_EXT && m.has_ext;
	a->granted = a->with_ext ? m.ext & a->conf->ext_offer : 0;
	take_interval(a, m.interval_s);
	a->symmetric = !bs_endpoint_equal(&m.observed, &a->global);
	a->pending |= PENDING_RESPONSE;
	return BS_OK;
}

static int input_alive(struct bs_attach_device *a, const struct bs_packet *p,
		       const struct bs_endpoint *from, bs_time now)
{
	bool newest;
	int err;

	if (a->state != BS_ATTACH_ATTACHED)
		return BS_ESTATE;
	if (!bs_endpoint_equal(from, &a->server) || p->h.nsi_sp != a->nsi)
		return BS_ESOURCE;
	if (p->h.flags != 0)
		return BS_ETYPE;
	if (has_auth(a)) {
		err = bs_alive_auth_open(a->crypto, &a->key.c, BS_RESPONDER,
					 bs_alive_device_seen(&a->alive), p, &newest);
		if (err)
			return err;
		take_interval(a, bs_interval_find(p));
	}
	bs_alive_device_request(&a->alive, a->conf, p, now);
	return BS_OK;
}

int bs_attach_input(struct bs_attach_device *a, const struct bs_packet *p, uint8_t *pkt,
		    const struct bs_endpoint *from, bs_time now)
{
	switch (p->h.type) {
	case BS_TYPE_U_INVITE: return input_invite(a, p, from, now);
	case BS_TYPE_U_ATTACH: return input_attach(a, p, pkt, from);
	case BS_TYPE_U_ALIVE: return input_alive(a, p, from, now);
	default: return BS_ETYPE;
	}
}

void bs_attach_timeout(struct bs_attach_device *a, bs_time now)
{
	bool silent;

	if (a->state == BS_ATTACH_ATTACHED) {
		if (bs_alive_device_timeout(&a->alive, a->conf, now) == BS_ALIVE_QUIET)
			return;
		silent = !a->alive.any;
		rest(a, 0, now);
		if (silent)
			report(a, BS_ATTACH_NO_ALIVE);
		return;
	}
	if (a->state == BS_ATTACH_STOPPED || a->state == BS_ATTACH_RESOLVING ||
	    BS_TIME_DIFF(now, a->due) < 0)
		return;
	if (a->state == BS_ATTACH_PAUSE) {
		begin(a);
	} else if (a->tries < INVITES) {
		invite(a, now);
	} else {
		silent = a->state == BS_ATTACH_CONTROLLER;
		rest(a, REST_MS, now);
		report(a, silent ? BS_ATTACH_CONTROLLER_SILENT : BS_ATTACH_SERVER_SILENT);
	}
}

bool bs_attach_next_timeout(const struct bs_attach_device *a, bs_time *at)
{
	if (a->state == BS_ATTACH_STOPPED || a->state == BS_ATTACH_RESOLVING)
		return false;
	*at = a->state == BS_ATTACH_ATTACHED ? a->alive.due : a->due;
	return true;
}

uint8_t bs_attach_take_events(struct bs_attach_device *a)
{
	uint8_t e = a->events;

	a->events = 0;
	return e;
}

/* Into memory that is zero. */
static void device_version(const struct bs_device_conf *conf, struct bs_version *v)
{
	v->kind = VERSION_KIND_DEVICE;
	v->major = conf->major;
	v->minor = conf->minor;
	v->has_patch = true;
	v->patch = conf->patch;
	v->label = conf->label;
}

void bs__device_ipx(const struct bs_attach_device *a, struct bs_ipx *ipx)
{
	ipx->priv = a->local;
	ipx->global = a->global;
	ipx->flags = a->symmetric ? BS_IPX_NAT_SYMMETRIC : 0;
}

void bs__device_stats(const struct bs_device_conf *conf, enum bs_stats_event event,
		      struct bs_stats *m)
{
	memset(m, 0, sizeof(*m));
	m->event = (uint8_t)event;
	device_version(conf, &m->version);
	m->id = conf->id;
}

static bs_ssize put_stats(struct bs_attach_device *a, uint8_t *buf, size_t cap)
{
	struct bs_stats m;

	bs__device_stats(a->conf, BS_STATS_ATTACH_FAIL, &m);
	m.has_attach = true;
	m.attach_status = a->status;
	m.attach_secure = !bs_device_legacy(a->conf);
	return bs_stats_encode(buf, cap, &m);
}

static bs_ssize put_invite(struct bs_attach_device *a, uint8_t *buf, size_t cap)
{
	const struct bs_legacy_ops *legacy = bs_device_legacy(a->conf);
	struct bs_invite m;
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	device_version(a->conf, &m.version);
	m.id = a->conf->id;
	m.has_ext = BS_WITH_EXT && a->conf->ext_offer != 0;
	m.ext = a->conf->ext_offer;
	if (a->state == BS_ATTACH_SERVER) {
		m.nonce.ptr = a->key.hs.nonce_d;
		m.nonce.len = nonce_len(a->conf);
		m.app_version = a->conf->app_version;
		m.url = a->conf->url;
		m.caps.has_suites = true;
		m.caps.n_suites = 1;
		m.caps.suite = legacy ? legacy->suite->code : bs_suite_aes_cbc.code;
		if (BS_WITH_ADMISSION && bs__attach_cookie(a)->is_set)
			m.cookie = bs__attach_cookie(a)->value;
	}
	len = bs_invite_encode(buf, cap, &m);
	if (legacy && len > 0)
		legacy->start(a, buf, (size_t)len);
	return len;
}

/* Addresses for clients: only a server that speaks EP6 is told. */
static uint8_t candidates(const struct bs_attach_device *a, struct bs_ep6 *eps)
{
	struct bs_endpoint host[CANDIDATES];
	size_t n = 0;
	size_t i;
	uint8_t k = 0;

	if (!BS_HAS_IP6 || !(a->granted & BS_EXT_IP6))
		return 0;
	memset(eps, 0, (CANDIDATES + 1) * sizeof(*eps));
	if (!bs_endpoint_is_ip4(&a->global)) {
		eps[k].ep = a->global;
		eps[k++].kind = BS_EP6_OBSERVED;
	}
	if (a->conf->ops->candidates)
		n = a->conf->ops->candidates(a->conf->app, host, CANDIDATES);
	for (i = 0; i < n && i < CANDIDATES; i++) {
		eps[k].ep = host[i];
		eps[k++].kind = BS_EP6_HOST;
	}
	return k;
}

/* Seal the response and make the C key, which takes the place of what it is made of. */
static bs_ssize seal_response(struct bs_attach_device *a, struct bs_writer *w)
{
	uint8_t text[2 * BS_NONCE_LEN];
	struct bs_key_block k;
	struct bs_slice plain;
	bs_ssize len = BS_ERANDOM;

	plain.ptr = text;
	plain.len = sizeof(text);
	memcpy(text, a->key.hs.nonce_s, BS_NONCE_LEN);
	if (a->crypto->random(a->crypto->ctx, text + BS_NONCE_LEN, BS_NONCE_LEN) == BS_OK) {
		len = bs_keys_derive_a(a->crypto, a->conf->id, a->conf->psk, &k);
		if (len == BS_OK)
			len = bs_suite_aes_cbc.seal(a->crypto, &k, BS_RESPONDER, w, 0, plain);
	}
	if (len > 0 && bs_keys_derive_c(a->crypto, a->key.hs.nonce_s, a->key.hs.nonce_d,
					a->key.hs.seed_s, text + BS_NONCE_LEN, &k) != BS_OK)
		len = BS_ECRYPTO;
	if (len > 0)
		a->key.c = k;
	bs_wipe(&k, sizeof(k));
	bs_wipe(text, sizeof(text));
	return len;
}

static bs_ssize put_response(struct bs_attach_device *a, uint8_t *buf, size_t cap, bs_time now)
{
	const struct bs_device_conf *conf = a->conf;
	const struct bs_legacy_ops *legacy = bs_device_legacy(conf);
	struct bs_ep6 eps[CANDIDATES + 1];
	struct bs_attach_response m;
	struct bs_writer w;
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.nsi = a->nsi;
	m.seq = a->seq;
	m.caps.mask = BS_ATTACH_CAP_MASK;
	m.caps.bits = BS_ATTACH_CAP_BITS;
	if (bs_device_tcp_relay(a->conf))
		m.caps.bits |= BS_CAP_GW_CLEAR;
	if (BS_WITH_LEGACY && (conf->legacy || conf->plain_suite))
		m.caps.bits |= BS_CAP_PLAIN;
	bs__device_ipx(a, &m.ipx);
	m.has_ext = BS_WITH_EXT && a->with_ext;
	if (m.has_ext) {
		m.ext.bits = a->granted;
		m.ext.has_offered = true;
		m.ext.offered = conf->ext_offer;
	}
	if (BS_WITH_ADMISSION && (a->granted & BS_EXT_COOKIE)) {
		m.id = conf->id;
		m.nonce_d = a->key.hs.nonce_d;
		m.app_version = conf->app_version;
		device_version(conf, &m.version);
	}
	m.n_eps = candidates(a, eps);
	m.eps = eps;
	bs_attach_response_begin(&w, buf, cap, &m);
	len = legacy ? legacy->finish(a, &w) : seal_response(a, &w);
	if (len > 0) {
		a->state = BS_ATTACH_ATTACHED;
		a->pending = 0;
		a->events |= BS_ATTACH_EV_ATTACHED;
		bs_alive_device_start(&a->alive, conf, now);
	}
	return len;
}

static bs_ssize put_alive(struct bs_attach_device *a, uint8_t *buf, size_t cap)
{
	size_t extra = has_auth(a) ? BS_ALIVE_AUTH_LEN : 0;
	size_t len;

	if (cap < extra)
		return 0;
	len = bs_alive_device_output(&a->alive, a->conf, a->nsi, buf, cap - extra);
	if (!len || !extra)
		return (bs_ssize)len;
	return bs_alive_auth_seal(a->crypto, &a->key.c, BS_RESPONDER,
				  bs_alive_device_sent(&a->alive), buf, len, cap);
}

size_t bs_attach_output(struct bs_attach_device *a, uint8_t *buf, size_t cap,
			struct bs_endpoint *to, bs_time now)
{
	bs_ssize len = 0;

	*to = a->server;
	if (a->pending & PENDING_STATS) {
		a->pending &= (uint8_t)~PENDING_STATS;
		*to = a->controller;
		len = put_stats(a, buf, cap);
	} else if (a->pending & PENDING_RESPONSE) {
		a->pending &= (uint8_t)~PENDING_RESPONSE;
		len = put_response(a, buf, cap, now);
	} else if (a->pending & PENDING_INVITE) {
		a->pending &= (uint8_t)~PENDING_INVITE;
		if (a->state == BS_ATTACH_CONTROLLER)
			*to = a->controller;
		len = put_invite(a, buf, cap);
	} else if (a->state == BS_ATTACH_ATTACHED) {
		len = put_alive(a, buf, cap);
	}
	return len > 0 ? (size_t)len : 0;
}
