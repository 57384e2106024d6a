/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/local_client.h"

#include <string.h>

#include "util/endpoint.h"

/* ---- discovery */

int bs_discovery_start(struct bs_discovery *d, uint32_t seq, struct bs_slice name,
		       const struct bs_endpoint *targets, size_t n, bs_time now)
{
	bool all = name.len == 1 && name.ptr[0] == '*';

	memset(d, 0, sizeof(*d));
	if (!all && !bs_device_id_ok(name.ptr, name.len))
		return BS_EINVAL;
	memcpy(d->name, name.ptr, name.len);
	if (n > BS_DISCOVERY_TARGETS)
		n = BS_DISCOVERY_TARGETS;
	if (n)
		memcpy(d->target, targets, n * sizeof(*targets));
	d->n_targets = (uint8_t)n;
	d->seq = seq;
	d->running = true;
	d->round = 1;
	d->due = now + BS_TIME_MS(BS_DISCOVERY_PACE_MS);
	d->until = now + BS_TIME_MS(BS_DISCOVERY_MS);
	return BS_OK;
}

/* FNV-1a: only tells the answers of one search apart. */
static uint32_t hash_of(struct bs_slice id)
{
	uint32_t h = 2166136261u;
	size_t i;

	for (i = 0; i < id.len; i++)
		h = (h ^ id.ptr[i]) * 16777619u;
	return h;
}

static bool is_known(const struct bs_discovery *d, uint32_t hash, const struct bs_endpoint *ep)
{
	uint8_t i;

	for (i = 0; i < d->n_seen; i++) {
		if (d->seen[i].hash == hash && bs_endpoint_equal(&d->seen[i].ep, ep))
			return true;
	}
	return false;
}

int bs_discovery_input(struct bs_discovery *d, const uint8_t *buf, size_t len,
		       const struct bs_endpoint *from, struct bs_discovery_answer *ans,
		       struct bs_endpoint *ep)
{
	struct bs_discovery_answer m;
	struct bs_slice want;
	uint32_t hash;
	int err;

	if (!d->running)
		return BS_ESTATE;
	err = bs_discovery_answer_decode(buf, len, &m);
	if (err)
		return err;
	want.ptr = (const uint8_t *)d->name;
	want.len = strlen(d->name);
	if (m.seq != d->seq)
		return BS_EUNKNOWN;
	if (d->name[0] != '*' && (m.id.len != want.len || memcmp(m.id.ptr, want.ptr, want.len)))
		return BS_EUNKNOWN;
	/* Never another address than the one that answered: it would be somebody else's. */
	*ep = *from;
	ep->port = m.port;
	hash = hash_of(m.id);
	if (is_known(d, hash, ep))
		return BS_EREPLAY;
	if (d->n_seen == BS_DISCOVERY_FOUND)
		return BS_EFULL;
	d->seen[d->n_seen].hash = hash;
	d->seen[d->n_seen].ep = *ep;
	d->n_seen++;
	*ans = m;
	return BS_OK;
}

void bs_discovery_timeout(struct bs_discovery *d, bs_time now)
{
	if (!d->running)
		return;
	if (BS_TIME_DIFF(now, d->until) >= 0) {
		d->running = false;
	} else if (d->round < BS_DISCOVERY_ROUNDS && BS_TIME_DIFF(now, d->due) >= 0) {
		d->round++;
		d->next = 0;
		d->due = now + BS_TIME_MS(BS_DISCOVERY_PACE_MS);
	}
}

size_t bs_discovery_output(struct bs_discovery *d, uint8_t *buf, size_t cap, struct bs_endpoint *to)
{
	struct bs_slice name;
	bs_ssize len;

	if (!d->running || d->next >= d->n_targets)
		return 0;
	name.ptr = (const uint8_t *)d->name;
	name.len = strlen(d->name);
	*to = d->target[d->next++];
	len = bs_discovery_request_encode(buf, cap, d->seq, name);
	return len > 0 ? (size_t)len : 0;
}

bool bs_discovery_next_timeout(const struct bs_discovery *d, bs_time *at)
{
	if (!d->running)
		return false;
	*at = d->until;
	if (d->round < BS_DISCOVERY_ROUNDS && BS_TIME_DIFF(d->due, d->until) < 0)
		*at = d->due;
	return true;
}

/* ---- connect */

static int fill_random(struct bs_local_connect *c)
{
	const struct bs_crypto *crypto = c->crypto;
	uint8_t r[10];
	int err = crypto->random(crypto->ctx, r, sizeof(r));

	if (!err)
		err = crypto->random(crypto->ctx, c->nc, sizeof(c->nc));
	if (!err)
		err = crypto->random(crypto->ctx, c->rc, sizeof(c->rc));
	if (err)
		return err;
	c->cp = bs_get_u32(r);
	/* Small numbers would be taken for a legacy packet, or for a connection of the device. */
	if (c->cp < BS_LOCAL_CP_MIN)
		c->cp += BS_LOCAL_CP_MIN;
	c->seq = bs_get_u16(r + 4);
	/* A plain connection is named by us, so that a repeat makes no second one. */
	c->sp = c->plain ? bs_get_u32(r + 6) | BS_LOCAL_NSI_CLIENT : 0;
	return BS_OK;
}

int bs_local_connect_start(struct bs_local_connect *c, const struct bs_crypto *crypto,
			   const struct bs_local_target *t, bs_time now)
{
	int err;

	memset(c, 0, sizeof(*c));
	if (!bs_device_id_ok(t->device.ptr, t->device.len) || !bs_endpoint_is_set(&t->ep) ||
	    t->client_id.len > BS_CLIENT_ID_MAX || (!t->plain && (!t->key_id || !t->psk)))
		return BS_EINVAL;
	c->crypto = crypto;
	c->plain = t->plain;
	c->ep = t->ep;
	err = fill_random(c);
	if (!err && !t->plain)
		err = bs_keys_derive_a(crypto, t->device, t->psk, &c->key);
	if (err)
		return err;
	if (!t->plain)
		memcpy(c->key_id, t->key_id, sizeof(c->key_id));
	if (t->client_id.len)
		memcpy(c->client_id, t->client_id.ptr, t->client_id.len);
	c->client_id_len = (uint8_t)t->client_id.len;
	c->has_fp = t->fp != NULL;
	if (t->fp)
		memcpy(c->fp, t->fp, sizeof(c->fp));
	c->state = BS_LOCAL_ASKING;
	c->send = true;
	c->due = now + BS_TIME_MS(BS_LOCAL_REPEAT_MS);
	c->until = now + BS_TIME_MS(BS_LOCAL_LIMIT_MS);
	return BS_OK;
}

static void fail(struct bs_local_connect *c, uint32_t status)
{
	c->state = BS_LOCAL_FAILED;
	c->status = status;
	c->send = false;
}

/* A refusal.  Slots come free again within a second or so: who is busy is asked again until the
 * limit, and only then it is the reason. */
static void refused(struct bs_local_connect *c, uint32_t status)
{
	if (status == BS_ST_BUSY)
		c->status = status;
	else
		fail(c, status);
}

static int input_plain(struct bs_local_connect *c, const struct bs_packet *p)
{
	struct bs_connect_answer m;
	int err = bs_connect_answer_decode(p, &m);

	if (err)
		return err;
	if (!c->plain || c->state != BS_LOCAL_ASKING)
		return BS_ESTATE;
	if (m.cp != c->cp || m.seq != c->seq)
		return BS_EUNKNOWN;
	if (m.code != BS_ST_OK) {
		refused(c, m.code);
		return BS_OK;
	}
	if (m.nsi == 0)
		return BS_EFIELD;
	/* An old device may have chosen a number of its own. */
	c->sp = m.nsi;
	c->state = BS_LOCAL_READY;
	return BS_OK;
}

static int derive_session(struct bs_local_connect *c, const uint8_t *rd)
{
	struct bs_slice pub[2];
	struct bs_slice sec[2];

	pub[0].ptr = c->nc;
	pub[1].ptr = c->nd;
	sec[0].ptr = c->rc;
	sec[1].ptr = rd;
	pub[0].len = pub[1].len = sec[0].len = sec[1].len = BS_NONCE_LEN;
	return bs_keys_derive(c->crypto, pub, 2, sec, 2, &c->session);
}

/* The device's half of the proof: it knows the key, and answers this attempt. */
static int input_answer(struct bs_local_connect *c, const struct bs_packet *p, uint8_t *pkt,
			bs_time now)
{
	struct bs_psk_answer m;
	struct bs_psk_proof proof;
	struct bs_slice plain;
	int err = bs_psk_answer_decode(p, &m);

	if (err)
		return err;
	if (c->plain || c->state != BS_LOCAL_ASKING)
		return BS_ESTATE;
	if (m.cp != c->cp || m.sp == 0)
		return BS_EUNKNOWN;
	err = bs_suite_aes_cbc.open(c->crypto, &c->key, BS_INITIATOR, pkt, p->len, m.crypto_off,
				    &plain);
	if (!err)
		err = bs_psk_proof_decode(plain, &proof);
	if (err)
		return err;
	if (!bs_equal_secret(proof.nonce, c->nc, sizeof(c->nc)))
		return BS_ENONCE;
	memcpy(c->nd, m.nonce, sizeof(c->nd));
	err = derive_session(c, proof.random);
	bs_wipe(pkt, p->len);
	if (err)
		return err;
	c->sp = m.sp;
	c->state = BS_LOCAL_VERIFYING;
	c->send = true;
	c->due = now + BS_TIME_MS(BS_LOCAL_REPEAT_MS);
	return BS_OK;
}

/* In the clear: it ends an attempt or lets it go on, and the first DATA proves which. */
static int input_notice(struct bs_local_connect *c, const struct bs_packet *p)
{
	struct bs_psk_notice m;
	int err = bs_psk_notice_decode(p, &m);

	if (err)
		return err;
	if (!(m.flags & BS_FLAG_RESPONSE) || c->plain)
		return BS_ETYPE;
	if (m.cp != c->cp)
		return BS_EUNKNOWN;
	if (m.type == BS_TYPE_U_CONNECT_PSK) {
		if (c->state != BS_LOCAL_ASKING)
			return BS_ESTATE;
		refused(c, m.code);
		return BS_OK;
	}
	if (c->state != BS_LOCAL_VERIFYING || m.sp != c->sp)
		return BS_ESTATE;
	if (m.code == BS_ST_OK)
		c->state = BS_LOCAL_READY;
	else
		fail(c, m.code);
	return BS_OK;
}

int bs_local_connect_input(struct bs_local_connect *c, uint8_t *pkt, size_t len,
			   const struct bs_endpoint *from, bs_time now)
{
	struct bs_packet p;
	int err;

	if (c->state != BS_LOCAL_ASKING && c->state != BS_LOCAL_VERIFYING)
		return BS_ESTATE;
	if (!bs_endpoint_equal(from, &c->ep))
		return BS_ESOURCE;
	err = bs_local_packet_decode(pkt, len, &p);
	if (err)
		return err;
	if (p.h.type == BS_TYPE_U_CONNECT)
		return input_plain(c, &p);
	if (p.h.type == BS_TYPE_U_CONNECT_PSK && p.h.flags == BS_FLAG_RESPONSE)
		return input_answer(c, &p, pkt, now);
	return input_notice(c, &p);
}

void bs_local_connect_timeout(struct bs_local_connect *c, bs_time now)
{
	if (c->state != BS_LOCAL_ASKING && c->state != BS_LOCAL_VERIFYING)
		return;
	if (BS_TIME_DIFF(now, c->until) >= 0) {
		fail(c, c->status);
	} else if (BS_TIME_DIFF(now, c->due) >= 0) {
		c->send = true;
		c->due = now + BS_TIME_MS(BS_LOCAL_REPEAT_MS);
	}
}

static struct bs_slice client_id(const struct bs_local_connect *c)
{
	struct bs_slice s;

	s.ptr = c->client_id;
	s.len = c->client_id_len;
	return s;
}

static bs_ssize put_request(const struct bs_local_connect *c, uint8_t *buf, size_t cap)
{
	struct bs_slice none = { NULL, 0 };
	struct bs_psk_request m;
	struct bs_writer w;

	memset(&m, 0, sizeof(m));
	m.cp = c->cp;
	m.fingerprints = true;
	m.client_id = client_id(c);
	m.fp = c->has_fp ? c->fp : NULL;
	m.key_id = c->key_id;
	m.nonce = c->nc;
	bs_psk_request_begin(&w, buf, cap, &m);
	return bs_suite_aes_cbc.seal(c->crypto, &c->key, BS_INITIATOR, &w, 0, none);
}

static bs_ssize put_verify(const struct bs_local_connect *c, uint8_t *buf, size_t cap)
{
	uint8_t text[BS_PSK_PROOF_LEN];
	struct bs_psk_proof proof;
	struct bs_slice plain;
	struct bs_writer w;
	bs_ssize len;

	proof.random = c->rc;
	proof.nonce = c->nd;
	bs_psk_proof_encode(text, &proof);
	plain.ptr = text;
	plain.len = sizeof(text);
	bs_psk_verify_begin(&w, buf, cap, c->cp, c->sp);
	len = bs_suite_aes_cbc.seal(c->crypto, &c->key, BS_INITIATOR, &w, BS_PLF_LIST, plain);
	bs_wipe(text, sizeof(text));
	return len;
}

static bs_ssize put_abort(const struct bs_local_connect *c, uint8_t *buf, size_t cap)
{
	struct bs_psk_notice m;

	m.cp = c->cp;
	m.sp = c->sp;
	m.type = BS_TYPE_U_CONNECT_PSK;
	m.flags = BS_FLAG_EXCEPTION;
	m.code = BS_ST_ABORTED;
	return bs_psk_notice_encode(buf, cap, &m);
}

size_t bs_local_connect_output(struct bs_local_connect *c, uint8_t *buf, size_t cap,
			       struct bs_endpoint *to)
{
	bs_ssize len = 0;

	*to = c->ep;
	if (c->abort) {
		c->abort = false;
		len = put_abort(c, buf, cap);
		return len > 0 ? (size_t)len : 0;
	}
	if (!c->send)
		return 0;
	c->send = false;
	if (c->state == BS_LOCAL_ASKING && c->plain)
		len = bs_plain_request_encode(buf, cap, c->cp, c->seq, c->sp, client_id(c),
					      c->has_fp ? c->fp : NULL);
	else if (c->state == BS_LOCAL_ASKING)
		len = put_request(c, buf, cap);
	else if (c->state == BS_LOCAL_VERIFYING)
		len = put_verify(c, buf, cap);
	return len > 0 ? (size_t)len : 0;
}

bool bs_local_connect_next_timeout(const struct bs_local_connect *c, bs_time *at)
{
	if (c->state != BS_LOCAL_ASKING && c->state != BS_LOCAL_VERIFYING)
		return false;
	*at = BS_TIME_DIFF(c->due, c->until) < 0 ? c->due : c->until;
	return true;
}

void bs_local_connect_take(struct bs_local_connect *c, struct bs_peer_conf *conf)
{
	struct bs_endpoint ep = c->ep;

	conf->crypto = c->crypto;
	conf->key = c->session;
	conf->suite = c->plain ? &bs_suite_null : &bs_suite_aes_cbc;
	conf->nsi_sp = c->sp;
	conf->nsi_cp = c->cp;
	bs_local_connect_fini(c);
	c->ep = ep;
}

void bs_local_connect_abort(struct bs_local_connect *c)
{
	bool told = !c->plain && c->state == BS_LOCAL_VERIFYING;

	c->state = BS_LOCAL_IDLE;
	c->send = false;
	c->abort = told;
	bs_wipe(&c->key, sizeof(c->key));
	bs_wipe(&c->session, sizeof(c->session));
}

void bs_local_connect_fini(struct bs_local_connect *c)
{
	bs_wipe(c, sizeof(*c));
}
