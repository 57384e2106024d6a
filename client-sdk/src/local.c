/* SPDX-License-Identifier: Apache-2.0 */
/* The local network: searches, and attempts to reach a device there. */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "proto/pairing.h"

static struct bs_slice text_of(const char *s)
{
	return (struct bs_slice){ (const uint8_t *)s, strlen(s) };
}

/* ---- how */

int bsc__local_how(const struct bsc__machine *m, const char *device, const struct bsc_local *in,
		   struct bsc__local_how *out)
{
	memset(out, 0, sizeof *out);
	if (in->endpoint != NULL)
		out->ep = *in->endpoint;
	if (in->endpoint != NULL && out->ep.port == 0)
		out->ep.port = m->set.local_port;
	out->plain = in->plain;
	if (in->plain)
		return in->pairing_secret == NULL && in->key == NULL ? BS_OK : BS_EINVAL;
	if (in->pairing_secret != NULL) {
		memcpy(out->key_id, bs_pairing_key_id, sizeof out->key_id);
		return bs_pairing_psk(m->crypto, text_of(device), text_of(in->pairing_secret),
				      out->psk);
	}
	if (in->key == NULL || in->key_id == NULL)
		return BS_EINVAL;
	memcpy(out->key_id, in->key_id, sizeof out->key_id);
	memcpy(out->psk, in->key, sizeof out->psk);
	return BS_OK;
}

int bsc__local_how_own(const struct bsc__machine *m, const char *device,
		       const struct bs_endpoint *ep, struct bsc__local_how *out)
{
	uint8_t secret[BS_PAIR_SECRET_LEN];
	uint8_t id[BS_PAIR_ID_LEN];
	int rc = m->set.pair_fn == NULL ? BS_ENOENT
					: m->set.pair_fn(m->set.pair_arg, device, id, secret);

	memset(out, 0, sizeof *out);
	if (rc != BS_OK)
		return rc;
	if (ep != NULL)
		out->ep = *ep;
	if (ep != NULL && ep->port == 0)
		out->ep.port = m->set.local_port;
	bs_pairing_user_key_id(id, out->key_id);
	rc = bs_pairing_user_psk(m->crypto, text_of(device), secret, out->psk);
	bs_wipe(secret, sizeof secret);
	return rc;
}

int bsc__local_how_pair(const struct bsc_conn *c, struct bsc__local_how *out)
{
	memset(out, 0, sizeof *out);
	bs_pairing_user_key_id(c->pair_id, out->key_id);
	return bs_pairing_user_psk(c->m->crypto, text_of(c->device), c->pair_secret, out->psk);
}

/* ---- one attempt */

static void lost(struct bsc_conn *c, const char *why)
{
	c->local->over = true;
	(void)bsc__fail(&c->local->error, BS_EUNREACH, BSC_FROM_NETWORK, BSC_NO_LOCAL, "%s: %s",
			c->device, why);
}

static void connect_to(struct bsc_conn *c, const struct bs_endpoint *ep, bs_time now)
{
	struct bsc__local *l = c->local;
	struct bs_local_target t = {
		.ep = *ep,
		.device = text_of(c->device),
		.plain = l->how.plain,
		.key_id = l->how.key_id,
		.psk = l->how.psk,
		.client_id = text_of(c->m->identity),
		.fp = c->m->has_fp ? c->m->key_fp : NULL,
	};

	if (bs_local_connect_start(&l->link, c->m->crypto, &t, now) != BS_OK)
		lost(c, "the local connection could not be prepared");
}

int bsc__local_begin(struct bsc_conn *c, const struct bsc__local_how *how, bool only, bs_time now)
{
	const struct bsc__machine *m = c->m;
	struct bsc__local *l = calloc(1, sizeof *l);
	uint8_t r[4];
	int rc;

	if (l == NULL)
		return BS_ENOMEM;
	c->local = l;
	l->how = *how;
	l->only = only;
	l->hold = now + BS_TIME_MS(BSC__LOCAL_START_MS);
	if (bs_endpoint_is_set(&how->ep)) {
		connect_to(c, &how->ep, now);
		return BS_OK;
	}
	rc = m->crypto->random(m->crypto->ctx, r, sizeof r);
	if (rc == BS_OK)
		rc = bs_discovery_start(&l->search, bs_get_u32(r), text_of(c->device), m->near,
					m->n_near, now);
	return rc;
}

void bsc__local_free(struct bsc_conn *c)
{
	if (c->local == NULL)
		return;
	bs_local_connect_fini(&c->local->link);
	bs_wipe(c->local, sizeof *c->local);
	free(c->local);
	c->local = NULL;
}

static bool is_busy(const struct bsc_conn *c)
{
	return c->local != NULL && !c->local->over && !c->closed;
}

bool bsc__local_holds(const struct bsc_conn *c)
{
	return is_busy(c) && c->local->hold != 0;
}

bool bsc__local_is_reserve(struct bsc_conn *c, const struct bsc_error *why)
{
	if (!is_busy(c) || c->released)
		return false;
	c->local->has_reserve = true;
	c->local->reserve = *why;
	return true;
}

bool bsc__local_take(struct bsc_conn *c, struct bs_peer_conf *conf, struct bs_endpoint *ep)
{
	struct bsc__local *l = c->local;

	/* While the basestation's way may still open this one stays the reserve. */
	if (!is_busy(c) || l->link.state != BS_LOCAL_READY || (c->has_peer && !l->has_reserve))
		return false;
	bs_local_connect_take(&l->link, conf);
	*ep = l->link.ep;
	l->over = true;
	l->ours = true;
	l->hold = 0;
	return true;
}

bool bsc__local_is_lost(const struct bsc_conn *c, struct bsc_error *why)
{
	const struct bsc__local *l = c->local;

	if (l == NULL || !l->over || l->ours || c->closed || !(l->only || l->has_reserve))
		return false;
	*why = l->has_reserve ? l->reserve : l->error;
	return true;
}

/** What a refusal means to people. */
static const char *refusal(uint32_t status)
{
	switch (status) {
	case 0: return "found on the local network, but it did not answer the connect";
	case BS_ST_BUSY: return "the device is busy, or wrong secrets were tried; wait a minute";
	case BS_ST_KEY_ID:
		return "the device does not know this key; is pairing open, or pair again";
	case BS_ST_WRONG_KEY: return "the device holds another secret; check the pairing secret";
	case BS_ST_ENCRYPTION: return "the device takes no connections in the clear";
	case BS_ST_REFUSED_DEVICE: return "the device's owner does not let this client in";
	default: return "the device refused the local connection";
	}
}

static void look(struct bsc_conn *c)
{
	struct bsc__local *l = c->local;

	if (l->link.state == BS_LOCAL_FAILED && !l->over) {
		lost(c, refusal(l->link.status));
		if (l->link.status != 0) {
			l->error.err = BS_EREFUSED;
			l->error.source = BSC_FROM_DEVICE;
			l->error.code = l->link.status;
		}
	}
	if (l->over)
		l->hold = 0;
}

bool bsc__local_input(struct bsc_conn *c, uint8_t *pkt, size_t len, const struct bs_endpoint *from,
		      bs_time now)
{
	struct bs_discovery_answer ans;
	struct bs_endpoint ep;
	struct bsc__local *l = c->local;
	int rc;

	if (!is_busy(c))
		return false;
	if (l->search.running &&
	    bs_discovery_input(&l->search, pkt, len, from, &ans, &ep) == BS_OK) {
		l->search.running = false;
		if (l->how.plain ? ans.plain : ans.psk)
			connect_to(c, &ep, now);
		else
			lost(c, l->how.plain ? "the device takes no connections in the clear"
					     : "the device takes no keys on the local network");
		look(c);
		return true;
	}
	rc = bs_local_connect_input(&l->link, pkt, len, from, now);
	look(c);
	return rc == BS_OK;
}

void bsc__local_timeout(struct bsc_conn *c, bs_time now)
{
	struct bsc__local *l = c->local;
	bool ran;

	if (!is_busy(c))
		return;
	if (l->hold != 0 && BS_TIME_DIFF(now, l->hold) >= 0)
		l->hold = 0;
	ran = l->search.running;
	bs_discovery_timeout(&l->search, now);
	if (ran && !l->search.running)
		lost(c, "does not answer on the local network; is it on, and on this network?");
	bs_local_connect_timeout(&l->link, now);
	look(c);
}

size_t bsc__local_output(struct bsc_conn *c, uint8_t *buf, size_t cap, struct bs_endpoint *to)
{
	size_t n;

	if (!is_busy(c))
		return 0;
	n = bs_discovery_output(&c->local->search, buf, cap, to);
	return n > 0 ? n : bs_local_connect_output(&c->local->link, buf, cap, to);
}

bool bsc__local_next_timeout(const struct bsc_conn *c, bs_time *at)
{
	bool have = false;
	bs_time t;

	if (!is_busy(c))
		return false;
	if (c->local->hold != 0)
		bsc__earlier(&have, at, c->local->hold);
	if (bs_discovery_next_timeout(&c->local->search, &t))
		bsc__earlier(&have, at, t);
	if (bs_local_connect_next_timeout(&c->local->link, &t))
		bsc__earlier(&have, at, t);
	return have;
}

/* ---- the session's search */

int bsc__search_start(struct bsc__machine *m, const char *name, bsc_found_fn fn, void *arg,
		      bs_time now)
{
	struct bsc__search *s = m->search;
	uint8_t r[4];
	int rc;

	if (fn == NULL)
		return BS_EINVAL;
	if (s != NULL && s->fn != NULL)
		return BS_EFULL;
	if (s == NULL)
		s = m->search = calloc(1, sizeof *s);
	if (s == NULL)
		return BS_ENOMEM;
	rc = m->crypto->random(m->crypto->ctx, r, sizeof r);
	if (rc == BS_OK)
		rc = bs_discovery_start(&s->d, bs_get_u32(r), text_of(name == NULL ? "*" : name),
					m->near, m->n_near, now);
	if (rc == BS_OK) {
		s->fn = fn;
		s->arg = arg;
	}
	return rc;
}

static void copy_text(char *out, size_t cap, struct bs_slice s)
{
	(void)snprintf(out, cap, "%.*s", (int)s.len, s.len > 0 ? (const char *)s.ptr : "");
	bsc__printable(out, strlen(out));
}

bool bsc__search_input(struct bsc__machine *m, const uint8_t *pkt, size_t len,
		       const struct bs_endpoint *from)
{
	struct bsc_found f = { .plain = false };
	struct bs_discovery_answer ans;
	int rc;

	if (m->search == NULL || m->search->fn == NULL)
		return false;
	rc = bs_discovery_input(&m->search->d, pkt, len, from, &ans, &f.endpoint);
	if (rc != BS_OK)
		return rc == BS_EREPLAY;
	copy_text(f.device, sizeof f.device, ans.id);
	copy_text(f.version, sizeof f.version, ans.version);
	copy_text(f.url, sizeof f.url, ans.url);
	bsc__endpoint_text(&f.endpoint, f.address);
	f.plain = ans.plain;
	f.key = ans.psk;
	m->search->fn(m->search->arg, &f);
	return true;
}

void bsc__search_timeout(struct bsc__machine *m, bs_time now)
{
	struct bsc__search *s = m->search;
	bsc_found_fn fn;

	if (s == NULL || s->fn == NULL)
		return;
	bs_discovery_timeout(&s->d, now);
	if (s->d.running)
		return;
	fn = s->fn;
	s->fn = NULL;
	fn(s->arg, NULL);
}
