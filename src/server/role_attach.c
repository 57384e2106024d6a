/* SPDX-License-Identifier: Apache-2.0 */
/* A device proves itself: the attachment's beginning, and its end. */
#include "server/roles.h"

#include <stdio.h>
#include <string.h>

#include "net/udp.h"
#include "proto/attach_server_legacy.h"
#include "server/prefix.h"
#include "server/role_auth.h"
#include "util/endpoint.h"

enum {
	RECHECK_SLICE = 2048, /* devices looked at per tick */
};

/* What a verified response gives. */
struct proof {
	struct bs_attach_response m;
	struct bs_key_block c_key;
	struct bs_ep6 ep6[BS_ATTACH_EPS_MAX];
	size_t n_ep6;
};

static int open_secure(struct bs_roles *r, struct bs_pending_entry *e, const struct bs_device *d,
		       struct bs_input *in, struct proof *proof)
{
	struct bs_slice id = { (const uint8_t *)d->id, d->id_len };
	struct bs_attach_secrets s = { e->s.nonce_s, e->nonce, e->s.seed_s };
	/* While a key is being changed the device may answer either request, likeliest the last; a
	 * packet whose MAC fails is left as it was. */
	bool last = d->has_next && (e->flags & BS_PENDING_NEXT_KEY);
	const uint8_t *psk[2] = { last ? d->secret_next : d->secret,
				  last ? d->secret : d->secret_next };
	int err = bs__pending_secrets(r, e, id);
	unsigned n = d->has_next ? 2 : 1;
	unsigned i;

	for (i = 0; i < n && (i == 0 ? err == BS_OK : err == BS_EMAC); i++) {
		err = bs__pending_a_key(r, e, id, psk[i]);
		if (!err)
			err = bs_attach_server_open(r->w->crypto, &e->s.a_key, &s, &in->p, in->data,
						    &proof->m, &proof->c_key);
	}
	return err;
}

/* The sums run over the invite, our request as it was sent, and the response. */
static int open_legacy(struct bs_roles *r, struct bs_pending_entry *e, const struct bs_device *d,
		       struct bs_input *in, struct proof *proof)
{
	uint8_t request[BS_PACKET_SMALL];
	bs_ssize len = bs__attach_compose(r, e, d, request, sizeof(request));

	if (len < 0)
		return (int)len;
	memset(&proof->c_key, 0, sizeof(proof->c_key));
	return bs_attach_server_legacy_open(
		bs_attach_server_legacy_sum(e->sum, request, (size_t)len), &in->p, &proof->m);
}

static int open_proof(struct bs_roles *r, struct bs_pending_entry *e, struct bs_input *in,
		      struct proof *proof)
{
	struct bs_device d;
	int err = bs_registry_device_by_number(r->w->reader, e->number, &d);

	if (err)
		return err == BS_ENOENT ? BS_EUNKNOWN : err;
	/* It may have been disabled since it was challenged. */
	if (d.state != BS_RECORD_ENABLED)
		err = BS_EREFUSED;
	else if (e->flags & BS_PENDING_LEGACY)
		err = open_legacy(r, e, &d, in, proof);
	else
		err = open_secure(r, e, &d, in, proof);
	bs_device_wipe(&d);
	return err;
}

/* Extension bits that count from now on, or BS_ESTRIPPED when the attach is refused. */
static int settle_ext(struct bs_roles *r, const struct bs_pending_entry *e, struct proof *proof,
		      uint16_t *ext)
{
	bool had = e->flags & BS_PENDING_EXT;

	*ext = proof->m.has_ext ? e->granted : 0;
	if (bs_attach_server_ext_check(had, e->offered, e->granted, &proof->m) == BS_OK)
		return BS_OK;
	bs_count(r->w->counters, BS_C_ext_stripped);
	/* Both ends must agree on what holds, or they would not understand each other's
	 * keepalives: what the device repeats under its MAC is what it has been given. */
	if (!had || proof->m.ext.bits != e->granted)
		*ext = 0;
	return r->w->conf->require_extensions ? BS_ESTRIPPED : BS_OK;
}

static void keep_ep6(struct bs_roles *r, struct bs_device_cold *cold, const struct proof *proof)
{
	struct bs_device_ep6 *side;
	size_t i;

	cold->ep6 = BS_POOL_NONE;
	if (proof->n_ep6 == 0)
		return;
	cold->ep6 = bs_pool_take(&r->ep6);
	if (cold->ep6 == BS_POOL_NONE)
		return;
	side = bs_pool_get(&r->ep6, cold->ep6);
	for (i = 0; i < proof->n_ep6 && side->n < BS_DEVICE_EP6_MAX; i++) {
		if (bs_endpoint_is_set(&proof->ep6[i].ep))
			side->ep[side->n++] = proof->ep6[i].ep;
	}
}

static uint32_t keep_text(struct bs_roles *r, const struct bs_pending_entry *e)
{
	char text[BS_INTERN_TEXT_MAX];
	int len = snprintf(text, sizeof(text), "%.*s\n%u.%u.%u%.*s", (int)e->text_len[0], e->text,
			   e->sdk[0], e->sdk[1], e->sdk[2], (int)e->text_len[1],
			   e->text + e->text_len[0]);

	return len > 0 ? bs_intern_put(&r->texts, text, (size_t)len) : 0;
}

/* The response repeats, under its MAC, where the controller port saw the device; this port sees it
 * itself.  A device that draws no conclusion from the difference is behind the same NAT. */
static bool is_symmetric(const struct bs_ipx *ipx, const struct bs_endpoint *peer)
{
	if ((ipx->flags & BS_IPX_NAT_MASK) == BS_IPX_NAT_SYMMETRIC)
		return true;
	return bs_endpoint_is_set(&ipx->global) && bs_endpoint_is_ip4(peer) &&
	       !bs_endpoint_equal(&ipx->global, peer);
}

static void fill_device(struct bs_roles *r, uint32_t i, const struct bs_pending_entry *e,
			const struct proof *proof, uint16_t ext)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	struct bs_device_cold *cold = &r->slab.cold[i];
	const struct bs_ipx *ipx = &proof->m.ipx;

	hot->nsi = e->nsi;
	hot->number = e->number;
	hot->peer = e->peer;
	hot->local = e->local;
	hot->move = BS_POOL_NONE;
	hot->flags |= BS_SLAB_SEEN;
	if (e->flags & BS_PENDING_LEGACY)
		hot->flags |= BS_SLAB_LEGACY;
	if (is_symmetric(ipx, &e->peer))
		hot->flags |= BS_SLAB_SYMMETRIC;
	cold->c_key = proof->c_key;
	cold->attached_s = (uint32_t)(r->w->unix_ms / 1000);
	cold->attached_tick = r->tick;
	cold->priv_ip4 = bs_endpoint_ip4(&ipx->priv);
	cold->priv_port = ipx->priv.port;
	cold->caps = (uint16_t)(proof->m.caps.bits & proof->m.caps.mask);
	cold->ext = ext;
	cold->conns = BS_POOL_NONE;
	cold->conn_limit = (uint8_t)(ext ? r->w->conf->connections_per_device_extended
					 : r->w->conf->connections_per_device);
	cold->text = (uint16_t)keep_text(r, e);
	keep_ep6(r, cold, proof);
	bs__auth_begin(r, i);
	bs_wheel_node_init(&r->device_wheel, i);
	bs_alive_start(&hot->alive, (uint16_t)bs__random32(r), r->now_ms);
	bs_slab_publish(&r->slab, i);
}

static void count_attach(struct bs_roles *r, const struct bs_pending_entry *e, uint16_t ext)
{
	struct bs_counters *c = r->w->counters;

	bs_count(c, BS_C_attach_ok);
	if (e->flags & BS_PENDING_LEGACY)
		bs_count(c, BS_C_attach_legacy);
	else if (bs_admission_learn(&r->admission, &e->peer, e->flags & BS_PENDING_KNOWN, r->now_s,
				    r->now_ms))
		bs_count(c, BS_C_attach_known_prefix);
	if (!bs_endpoint_is_ip4(&e->peer))
		bs_count(c, BS_C_attach_ip6);
	if (ext)
		bs_count(c, BS_C_ext_granted);
	bs_count_set(c, BS_C_devices_attached, r->slab.n);
}

/* A number from an entry is in the table already. */
static bool enter_nsi(struct bs_roles *r, uint32_t nsi, uint32_t i)
{
	uint32_t old;

	if (bs_nsi_table_get(&r->nsi, nsi, &old) == BS_NSI_PENDING) {
		bs_nsi_table_change(&r->nsi, nsi, BS_NSI_DEVICE, i);
		return true;
	}
	if (bs_nsi_table_put(&r->nsi, nsi, BS_NSI_DEVICE, i) == BS_OK)
		return true;
	bs_count(r->w->counters, BS_C_nsi_exhausted);
	return false;
}

static bool begin(struct bs_roles *r, const struct bs_pending_entry *e, const struct proof *proof,
		  uint16_t ext)
{
	uint32_t i = bs_slab_take(&r->slab);

	if (i != BS_SLAB_NONE && !bs__auth_room(r, i, ext)) {
		bs_slab_give(&r->slab, i);
		i = BS_SLAB_NONE;
	}
	if (i == BS_SLAB_NONE) {
		bs_count(r->w->counters, BS_C_attach_slab_full);
		return false;
	}
	if (!enter_nsi(r, e->nsi, i)) {
		bs_slab_give(&r->slab, i);
		return false;
	}
	fill_device(r, i, e, proof, ext);
	bs__fill_check(r, BS_FILL_SLAB, r->slab.n, r->slab.cap);
	count_attach(r, e, ext);
	bs__alive_start(r, i);
	/* Last, for a claim may at once end an older attachment on this worker. */
	bs__device_claim(r, i);
	return true;
}

/* The response to a challenge that nothing was kept of. */
static void input_stateless(struct bs_roles *r, struct bs_input *in)
{
	struct bs_pending_entry e;
	struct proof proof;
	uint16_t ext = 0;
	int err;

	proof.n_ep6 = bs_ep6_collect(&in->p, BS_EP6_HOST, proof.ep6, BS_ATTACH_EPS_MAX);
	err = bs__cookie_open(r, in, &e, &proof.m, &proof.c_key);
	if (!err)
		err = settle_ext(r, &e, &proof, &ext);
	if (err)
		bs__drop(r, err);
	else if (begin(r, &e, &proof, ext))
		bs_count(r->w->counters, BS_C_attach_stateless);
	bs_wipe(&proof.c_key, sizeof(proof.c_key));
}

void bs__attach_input(struct bs_roles *r, struct bs_input *in)
{
	struct bs_pending_entry *e;
	struct proof proof;
	uint16_t ext = 0;
	uint32_t i;
	enum bs_nsi_kind kind = bs_nsi_table_get(&r->nsi, in->p.h.nsi_sp, &i);
	int err;

	if (kind == BS_NSI_NONE && (r->w->conf->extensions & BS_EXT_COOKIE)) {
		input_stateless(r, in);
		return;
	}
	if (kind != BS_NSI_PENDING) {
		/* A repeated response of a device that is attached by now. */
		bs__drop(r, kind == BS_NSI_DEVICE ? BS_EREPLAY : BS_EUNKNOWN);
		return;
	}
	e = bs_pending_get(&r->pending, i);
	if (!bs_endpoint_equal(&e->peer, in->peer)) {
		bs__drop(r, BS_ESOURCE);
		return;
	}
	/* Endpoints are read before decryption works on the buffer, and used only after it. */
	proof.n_ep6 = bs_ep6_collect(&in->p, BS_EP6_HOST, proof.ep6, BS_ATTACH_EPS_MAX);
	err = open_proof(r, e, in, &proof);
	if (!err)
		err = settle_ext(r, e, &proof, &ext);
	if (err)
		bs__drop(r, err);
	else if (begin(r, e, &proof, ext))
		bs_pending_remove(&r->pending, i);
	bs_wipe(&proof.c_key, sizeof(proof.c_key));
}

bool bs__device_find(const struct bs_roles *r, uint32_t nsi, uint32_t number, uint32_t *i)
{
	return bs_nsi_table_get(&r->nsi, nsi, i) == BS_NSI_DEVICE &&
	       r->slab.hot[*i].number == number;
}

bool bs__device_allowed(struct bs_roles *r, uint32_t number)
{
	struct bs_device d;
	int err = bs_registry_device_by_number(r->w->reader, number, &d);
	bool allowed = err ? err != BS_ENOENT : d.state == BS_RECORD_ENABLED;

	if (!err)
		bs_device_wipe(&d);
	else if (err != BS_ENOENT)
		bs_count(r->w->counters, BS_C_registry_failed);
	return allowed;
}

void bs__recheck_start(struct bs_roles *r)
{
	r->recheck_running = true;
	r->recheck_pos = 0;
}

void bs__recheck_due(struct bs_roles *r)
{
	bool held = bs_registry_reader_begin(r->w->reader) == BS_OK;
	unsigned n;

	for (n = 0; n < RECHECK_SLICE; n++) {
		uint32_t i = bs_slab_next(&r->slab, r->recheck_pos);

		if (i == BS_SLAB_NONE) {
			r->recheck_running = false;
			break;
		}
		r->recheck_pos = i + 1;
		if (!bs__device_allowed(r, r->slab.hot[i].number))
			bs__device_end(r, i, BS_DROP_REVOKED);
	}
	if (held)
		bs_registry_reader_end(r->w->reader);
}

void bs__device_claim(struct bs_roles *r, uint32_t i)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	uint32_t number = hot->number;
	unsigned owner = bs_worker_owner(r->w, number);
	struct bs_message m;

	if (owner == r->w->index) {
		hot->flags |= BS_SLAB_CLAIMED;
		bs__owner_claim(r, number, hot->nsi, r->slab.cold[i].attached_s);
		return;
	}
	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_CLAIM;
	m.number = number;
	m.u.claim.nsi = hot->nsi;
	m.u.claim.since_s = r->slab.cold[i].attached_s;
	if (bs_worker_send(r->w, owner, &m) == BS_OK)
		hot->flags |= BS_SLAB_CLAIMED;
}

void bs__release(struct bs_roles *r, uint32_t number, uint32_t nsi)
{
	unsigned owner = bs_worker_owner(r->w, number);
	struct bs_message m;

	if (owner == r->w->index) {
		bs__owner_release(r, number, nsi);
		return;
	}
	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_RELEASE;
	m.number = number;
	m.u.claim.nsi = nsi;
	/* When it is lost, the owner finds out with the next connect. */
	(void)bs_worker_send(r->w, owner, &m);
}

void bs__device_end(struct bs_roles *r, uint32_t i, enum bs_drop_reason reason)
{
	struct bs_device_hot *hot = &r->slab.hot[i];
	struct bs_device_cold *cold = &r->slab.cold[i];
	bool told = reason == BS_DROP_REVOKED || reason == BS_DROP_KICKED;
	uint16_t status = reason == BS_DROP_REVOKED ? BS_ST_REFUSED : BS_ST_CLOSED;
	uint32_t number = hot->number;
	uint32_t nsi = hot->nsi;
	uint32_t ep6 = cold->ep6;

	/* U_CLOSE with number 0 ends the device's connections as well. */
	if (told)
		bs__close_start(r, i, 0, status);
	bs__conn_end_all(r, i, told ? status : BS_ST_NOT_ATTACHED, told);
	bs__gone_add(r, i);
	bs__move_cancel(r, i);
	bs_wheel_clear(&r->device_wheel, i);
	bs_nsi_table_remove(&r->nsi, nsi);
	if (cold->ext & BS_EXT_COOKIE)
		bs__cookie_spent(r, nsi);
	if (hot->alive.unreachable)
		bs_count_set(r->w->counters, BS_C_devices_unreachable,
			     bs_count_get(r->w->counters, BS_C_devices_unreachable) - 1);
	bs_slab_give(&r->slab, i);
	/* After the record that names it: a restart must not find it without. */
	if (ep6 != BS_POOL_NONE)
		bs_pool_give(&r->ep6, ep6);
	bs_count_set(r->w->counters, BS_C_devices_attached, r->slab.n);
	/* A replaced one is not the holder any more, so this changes nothing then. */
	bs__release(r, number, nsi);
}
