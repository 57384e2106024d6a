/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/local_device.h"

#include <string.h>

#include "util/endpoint.h"
#include "wire/connect.h"

/* State of a handshake. */
enum {
	HALF_FREE = 0,
	HALF_WAITING = 1,
	HALF_DONE = 2, /* verified: kept a while for repeats of the last packet */
};

/* What waits (bs_local_answer.kind). */
enum {
	ANSWER_NONE = 0,
	ANSWER_DISCOVERY = 1,
	ANSWER_PLAIN = 2,
	ANSWER_PSK = 3,    /* the handshake goes on */
	ANSWER_VERIFY = 4, /* verified */
	ANSWER_ERROR = 5,  /* refused */
};

void bs_local_device_init(struct bs_local_device *l, struct bs_device *dev,
			  const struct bs_local_conf *conf)
{
	memset(l, 0, sizeof(*l));
	l->dev = dev;
	l->conf = conf;
}

static void free_half(struct bs_local_half *h)
{
	bs_wipe(h, sizeof(*h));
}

void bs_local_device_stop(struct bs_local_device *l)
{
	size_t i;

	for (i = 0; i < BS_LOCAL_HALVES; i++)
		free_half(&l->half[i]);
	memset(&l->answer, 0, sizeof(l->answer));
}

/* ---- limits */

/* Take one token; false when none is left.  burst tokens, one comes back every pace ms. */
static bool take_token(struct bs_local_bucket *b, uint8_t burst, uint32_t pace, bs_time now)
{
	while (b->used && BS_TIME_DIFF(now, b->since) >= (bs_time_diff)BS_TIME_MS(pace)) {
		b->used--;
		b->since += BS_TIME_MS(pace);
	}
	if (b->used >= burst)
		return false;
	if (!b->used)
		b->since = now;
	b->used++;
	return true;
}

static bool same_address(const struct bs_endpoint *a, const struct bs_endpoint *b)
{
	return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

static struct bs_device_conn *find_nsi(const struct bs_local_device *l, uint32_t nsi)
{
	size_t i;

	for (i = 0; i < l->dev->n_conns; i++) {
		struct bs_conn *c = &l->dev->conns[i].c;

		if (c->state != BS_CONN_FREE && c->nsi_sp == nsi)
			return &l->dev->conns[i];
	}
	return NULL;
}

static struct bs_device_conn *find_slot(const struct bs_local_device *l)
{
	size_t i;

	for (i = 0; i < l->dev->n_conns; i++) {
		if (l->dev->conns[i].c.state == BS_CONN_FREE)
			return &l->dev->conns[i];
	}
	return NULL;
}

static bool nsi_in_use(const struct bs_local_device *l, uint32_t nsi)
{
	size_t i;

	for (i = 0; i < BS_LOCAL_HALVES; i++) {
		if (l->half[i].state == HALF_WAITING && l->half[i].nsi == nsi)
			return true;
	}
	return find_nsi(l, nsi) != NULL;
}

/* A number of our own; the first one is not predictable. */
static int pick_nsi(const struct bs_local_device *l, uint32_t *nsi)
{
	const struct bs_crypto *crypto = l->dev->crypto;
	uint8_t r[2];
	uint32_t n;
	int err = crypto->random(crypto->ctx, r, sizeof(r));

	if (err)
		return err;
	n = bs_get_u16(r) % BS_LOCAL_NSI_COUNT;
	/* There are far more numbers than connections and handshakes. */
	while (nsi_in_use(l, BS_LOCAL_NSI_FIRST + n))
		n = (n + 1) % BS_LOCAL_NSI_COUNT;
	*nsi = BS_LOCAL_NSI_FIRST + n;
	return BS_OK;
}

static bool is_half_open(const struct bs_conn *c)
{
	return c->state == BS_CONN_CONNECTING && bs_conn_origin(c) != BS_ORIGIN_BASESTATION;
}

/* Whether one more half-open connection fits: strangers may hold only so many slots each, and in
 * all at most half of them. */
static bool may_half_open(const struct bs_local_device *l, const struct bs_endpoint *from)
{
	size_t all = 0;
	size_t same = 0;
	size_t i;

	for (i = 0; i < l->dev->n_conns; i++) {
		const struct bs_conn *c = &l->dev->conns[i].c;

		if (!is_half_open(c))
			continue;
		all++;
		same += same_address(&c->remote, from);
	}
	return same < BS_LOCAL_PER_SOURCE && all < (l->dev->n_conns + 1u) / 2u;
}

/* ---- discovery */

static bool is_our_name(const struct bs_local_device *l, struct bs_slice name)
{
	const struct bs_slice *id = &l->dev->conf->id;

	return (name.len == 1 && name.ptr[0] == '*') ||
	       (name.len == id->len && memcmp(name.ptr, id->ptr, name.len) == 0);
}

static int input_legacy(struct bs_local_device *l, const uint8_t *pkt, size_t len,
			const struct bs_endpoint *from, bs_time now)
{
	struct bs_legacy_packet m;
	struct bs_slice name;
	int err;

	if (!(l->conf->allow & BS_LOCAL_DISCOVERY))
		return BS_ETYPE;
	/* Queries without a connection (operation 0) are not answered at all: nobody knows who
	 * asks, and the answer goes to whatever source address the packet claims. */
	err = bs_discovery_request_decode(pkt, len, &m, &name);
	if (err)
		return err;
	if (!is_our_name(l, name))
		return BS_EUNKNOWN;
	if (!take_token(&l->answers, BS_LOCAL_BURST, BS_LOCAL_PACE_MS, now))
		return BS_ERATE;
	l->answer.kind = ANSWER_DISCOVERY;
	l->answer.cp = m.seq;
	l->answer.sp = m.reserved;
	l->answer.to = *from;
	return BS_OK;
}

static size_t put_discovery(const struct bs_local_device *l, uint8_t *buf, size_t cap)
{
	const struct bs_device_conf *conf = l->dev->conf;
	struct bs_discovery_answer m;
	bs_ssize len;

	memset(&m, 0, sizeof(m));
	m.seq = l->answer.cp;
	m.reserved = l->answer.sp;
	m.port = l->conf->port;
	m.id = conf->id;
	m.version = conf->app_version;
	m.url = conf->url;
	m.plain = (l->conf->allow & BS_LOCAL_PLAIN) != 0;
	m.psk = (l->conf->allow & BS_LOCAL_PSK) != 0;
	m.fingerprint = true;
	len = bs_discovery_answer_encode(buf, cap, &m);
	return len > 0 ? (size_t)len : 0;
}

/* ---- connections */

static void set_client(struct bs_conn *c, struct bs_slice id, const uint8_t *fp)
{
	c->client_id_len = (uint8_t)(id.len < BS_CLIENT_ID_KEEP ? id.len : BS_CLIENT_ID_KEEP);
	if (c->client_id_len)
		memcpy(c->client_id, id.ptr, c->client_id_len);
	if (fp) {
		memcpy(c->fp, fp, BS_FP_LEN);
		c->has_fp = true;
	}
}

/* A connection that waits for its first authentic packet, from an address that is known. */
static void make_conn(struct bs_device_conn *dc, uint32_t nsi, uint32_t cp,
		      const struct bs_key_block *key, uint8_t origin,
		      const struct bs_endpoint *from, bs_time now)
{
	bs_conn_init(&dc->c, BS_RESPONDER, nsi, key, key ? &bs_suite_aes_cbc : &bs_suite_null, now);
	bs_rendezvous_stop(&dc->rv);
	if (bs_device_spray(dc))
		bs_spray_stop(bs_device_spray(dc));
	bs_conn_set_origin(&dc->c, origin);
	dc->c.path = BS_PATH_LOCAL;
	dc->c.async = true;
	dc->c.nsi_cp = cp;
	dc->c.remote = *from;
}

static void answer_plain(struct bs_local_device *l, const struct bs_packet *p, uint32_t nsi,
			 uint16_t code, const struct bs_endpoint *from)
{
	l->answer.kind = ANSWER_PLAIN;
	l->answer.cp = p->h.nsi_cp;
	l->answer.sp = p->h.nsi_sp;
	l->answer.seq = p->h.seq;
	l->answer.nsi = nsi;
	l->answer.code = code;
	l->answer.to = *from;
}

/* The plain connection that this request asked for before. */
static struct bs_device_conn *find_repeat(const struct bs_local_device *l,
					  const struct bs_connect_request *m,
					  const struct bs_endpoint *from)
{
	size_t i;

	for (i = 0; i < l->dev->n_conns; i++) {
		struct bs_conn *c = &l->dev->conns[i].c;

		if (!bs_conn_is_live(c) || bs_conn_origin(c) != BS_ORIGIN_PLAIN ||
		    !bs_endpoint_equal(&c->remote, from) || c->nsi_cp != m->cp)
			continue;
		if (m->ipx.has_nsi ? c->nsi_sp == m->ipx.nsi_sp : c->state == BS_CONN_CONNECTING)
			return &l->dev->conns[i];
	}
	return NULL;
}

/* A number that the client chose must not be one of ours, and nobody else's. */
static int choose_nsi(const struct bs_local_device *l, const struct bs_connect_request *m,
		      uint32_t *nsi)
{
	if (!m->ipx.has_nsi)
		return pick_nsi(l, nsi);
	if (m->ipx.nsi_sp < BS_LOCAL_NSI_FIRST + BS_LOCAL_NSI_COUNT || nsi_in_use(l, m->ipx.nsi_sp))
		return BS_EFIELD;
	*nsi = m->ipx.nsi_sp;
	return BS_OK;
}

static uint16_t ask(const struct bs_local_device *l, const struct bs_connect_request *m)
{
	const struct bs_device_conf *conf = l->dev->conf;
	struct bs_access who;

	if (!conf->ops->access)
		return BS_ST_OK;
	memset(&who, 0, sizeof(who));
	who.client_id = m->client_id;
	who.fp = m->fp;
	bs_access_set_origin(&who, BS_ORIGIN_PLAIN);
	return conf->ops->access(conf->app, &who);
}

static int input_plain(struct bs_local_device *l, const struct bs_packet *p,
		       const struct bs_endpoint *from, bs_time now)
{
	struct bs_connect_request m;
	struct bs_device_conn *dc;
	uint16_t code;
	uint32_t nsi;
	int err;

	if (!bs_connect_is_request(p))
		return BS_ETYPE;
	/* The number would name that connection on other paths. */
	if (find_nsi(l, p->h.nsi_cp))
		return BS_EFIELD;
	err = bs_connect_request_decode(p, &m);
	if (err)
		return err;
	if (!take_token(&l->answers, BS_LOCAL_BURST, BS_LOCAL_PACE_MS, now))
		return BS_ERATE;
	if (!(l->conf->allow & BS_LOCAL_PLAIN)) {
		answer_plain(l, p, 0, BS_ST_ENCRYPTION, from);
		return BS_OK;
	}
	dc = find_repeat(l, &m, from);
	if (dc) {
		answer_plain(l, p, dc->c.nsi_sp, BS_ST_OK, from);
		return BS_OK;
	}
	err = choose_nsi(l, &m, &nsi);
	if (err)
		return err;
	dc = find_slot(l);
	code = !dc || !may_half_open(l, from) ? BS_ST_BUSY : ask(l, &m);
	if (code == BS_ST_OK) {
		make_conn(dc, nsi, m.cp, NULL, BS_ORIGIN_PLAIN, from, now);
		dc->c.async = (m.ipx.flags & BS_IPX_ASYNC) != 0;
		set_client(&dc->c, m.client_id, m.fp);
	}
	answer_plain(l, p, nsi, code, from);
	return BS_OK;
}

static size_t put_plain(const struct bs_local_device *l, uint8_t *buf, size_t cap)
{
	struct bs_connect_answer m;
	bs_ssize len;

	m.cp = l->answer.cp;
	m.sp = l->answer.sp;
	m.seq = l->answer.seq;
	m.nsi = l->answer.nsi;
	m.code = l->answer.code;
	len = bs_plain_answer_encode(buf, cap, &m);
	return len > 0 ? (size_t)len : 0;
}

/* ---- the PSK handshake */

static struct bs_local_half *find_half(struct bs_local_device *l, uint32_t cp,
				       const struct bs_endpoint *from)
{
	size_t i;

	for (i = 0; i < BS_LOCAL_HALVES; i++) {
		struct bs_local_half *h = &l->half[i];

		if (h->state != HALF_FREE && h->cp == cp && bs_endpoint_equal(&h->from, from))
			return h;
	}
	return NULL;
}

/* A free entry; a finished one gives way, a waiting one does not.  NULL also when this address has
 * its share. */
static struct bs_local_half *new_half(struct bs_local_device *l, const struct bs_endpoint *from)
{
	struct bs_local_half *best = NULL;
	size_t same = 0;
	size_t i;

	for (i = 0; i < BS_LOCAL_HALVES; i++) {
		struct bs_local_half *h = &l->half[i];

		if (h->state == HALF_WAITING)
			same += same_address(&h->from, from);
		else if (!best ||
			 (best->state == HALF_DONE &&
			  (h->state == HALF_FREE || BS_TIME_DIFF(h->until, best->until) < 0)))
			best = h;
	}
	return same < BS_LOCAL_PER_SOURCE ? best : NULL;
}

static int refuse(struct bs_local_device *l, uint32_t cp, uint16_t code,
		  const struct bs_endpoint *from)
{
	uint32_t nsi = 0;
	int err = pick_nsi(l, &nsi);

	if (err)
		return err;
	/* Stock devices name a number in a refusal, too; nothing goes by it. */
	l->answer.kind = ANSWER_ERROR;
	l->answer.cp = cp;
	l->answer.sp = nsi;
	l->answer.code = code;
	l->answer.to = *from;
	return BS_OK;
}

/* Key lookup and MAC: BS_ST_OK with the handshake's key in *key, or why not. */
static uint16_t check_key(struct bs_local_device *l, const struct bs_packet *p,
			  const struct bs_psk_request *m, struct bs_key_block *key, bool *proves,
			  bs_time now)
{
	const struct bs_local_conf *conf = l->conf;
	struct bs_local_key k;
	struct bs_access who;
	uint16_t code;
	int err;

	memset(&who, 0, sizeof(who));
	memset(&k, 0, sizeof(k));
	who.client_id = m->client_id;
	who.fp = m->fp;
	who.encrypted = true;
	code = conf->key ? conf->key(conf->app, m->key_id, &who, &k) : BS_ST_KEY_ID;
	if (code != BS_ST_OK)
		return code;
	/* What people print on a device can be guessed at; a random key cannot. */
	if (!k.proves_fingerprint && l->guesses.used >= BS_LOCAL_GUESSES &&
	    BS_TIME_DIFF(now, l->guesses.since) < (bs_time_diff)BS_TIME_MS(BS_LOCAL_GUESS_MS)) {
		bs_wipe(&k, sizeof(k));
		return BS_ST_BUSY;
	}
	err = bs_keys_derive_a(l->dev->crypto, l->dev->conf->id, k.psk, key);
	if (!err)
		err = bs_suite_aes_cbc.verify(l->dev->crypto, key, BS_RESPONDER, p->bytes, p->len,
					      m->crypto_off);
	*proves = k.proves_fingerprint;
	bs_wipe(&k, sizeof(k));
	if (bs_err_is_fatal(err))
		return BS_ST_ERROR;
	if (err && !*proves)
		(void)take_token(&l->guesses, BS_LOCAL_GUESSES, BS_LOCAL_GUESS_MS, now);
	return err ? BS_ST_WRONG_KEY : BS_ST_OK;
}

/* The numbers that make this handshake a new one. */
static int fill_half(struct bs_local_device *l, struct bs_local_half *h,
		     const struct bs_psk_request *m, const struct bs_endpoint *from)
{
	const struct bs_crypto *crypto = l->dev->crypto;
	int err = pick_nsi(l, &h->nsi);

	if (!err)
		err = crypto->random(crypto->ctx, h->nd, sizeof(h->nd));
	if (!err)
		err = crypto->random(crypto->ctx, h->rd, sizeof(h->rd));
	if (err)
		return err;
	memcpy(h->nc, m->nonce, sizeof(h->nc));
	h->cp = m->cp;
	h->from = *from;
	h->fingerprints = m->fingerprints;
	h->has_fp = m->fp != NULL;
	if (m->fp)
		memcpy(h->fp, m->fp, sizeof(h->fp));
	h->client_id_len = (uint8_t)(m->client_id.len < BS_CLIENT_ID_KEEP ? m->client_id.len
									  : BS_CLIENT_ID_KEEP);
	if (h->client_id_len)
		memcpy(h->client_id, m->client_id.ptr, h->client_id_len);
	return BS_OK;
}

static int answer_half(struct bs_local_device *l, const struct bs_local_half *h, uint8_t kind)
{
	l->answer.kind = kind;
	l->answer.half = (uint8_t)(h - l->half);
	l->answer.to = h->from;
	return BS_OK;
}

/* A first request: room, capabilities, key.  Everything but silence has a code. */
static int start_half(struct bs_local_device *l, const struct bs_packet *p,
		      const struct bs_psk_request *m, const struct bs_endpoint *from, bs_time now)
{
	struct bs_local_half *h = new_half(l, from);
	struct bs_key_block key;
	bool proves = false;
	uint16_t code;
	int err;

	if (!take_token(&l->answers, BS_LOCAL_BURST, BS_LOCAL_PACE_MS, now))
		return BS_ERATE;
	if (!h || !find_slot(l))
		return refuse(l, m->cp, BS_ST_BUSY, from);
	if (!m->able)
		return refuse(l, m->cp, BS_ST_CAPABILITY, from);
	memset(&key, 0, sizeof(key));
	code = check_key(l, p, m, &key, &proves, now);
	if (code != BS_ST_OK) {
		bs_wipe(&key, sizeof(key));
		return refuse(l, m->cp, code, from);
	}
	free_half(h);
	err = fill_half(l, h, m, from);
	if (!err) {
		h->key = key;
		h->proves_fingerprint = proves;
		h->state = HALF_WAITING;
		h->until = now + BS_TIME_MS(BS_LOCAL_HALF_MS);
	}
	bs_wipe(&key, sizeof(key));
	return err ? err : answer_half(l, h, ANSWER_PSK);
}

static int input_connect(struct bs_local_device *l, const struct bs_packet *p,
			 const struct bs_endpoint *from, bs_time now)
{
	struct bs_psk_request m;
	struct bs_local_half *h;
	int err = bs_psk_request_decode(p, &m);

	if (err)
		return err;
	if (m.cp < BS_LOCAL_CP_FIRST)
		return BS_EFIELD;
	h = find_half(l, m.cp, from);
	/* A repeat is answered from what is stored, whatever it says.  Behind a finished one it is
	 * only late. */
	if (h)
		return h->state == HALF_WAITING ? answer_half(l, h, ANSWER_PSK) : BS_EREPLAY;
	return start_half(l, p, &m, from, now);
}

/* Session keys from both sides' numbers; the client is the initiator. */
static int derive_session(const struct bs_local_device *l, const struct bs_local_half *h,
			  const uint8_t *rc, struct bs_key_block *out)
{
	struct bs_slice pub[2];
	struct bs_slice sec[2];

	pub[0].ptr = h->nc;
	pub[1].ptr = h->nd;
	sec[0].ptr = rc;
	sec[1].ptr = h->rd;
	pub[0].len = pub[1].len = sec[0].len = sec[1].len = BS_NONCE_LEN;
	return bs_keys_derive(l->dev->crypto, pub, 2, sec, 2, out);
}

static int finish_half(struct bs_local_device *l, struct bs_local_half *h, const uint8_t *rc,
		       bs_time now)
{
	struct bs_device_conn *dc = find_slot(l);
	struct bs_key_block key;
	struct bs_slice id;
	int err;

	/* The basestation may have sent clients meanwhile. */
	if (!dc || find_nsi(l, h->nsi))
		return BS_EFULL;
	err = derive_session(l, h, rc, &key);
	if (err)
		return err;
	make_conn(dc, h->nsi, h->cp, &key,
		  h->proves_fingerprint && h->has_fp ? BS_ORIGIN_USER_KEY : BS_ORIGIN_SHARED_KEY,
		  &h->from, now);
	bs_wipe(&key, sizeof(key));
	id.ptr = h->client_id;
	id.len = h->client_id_len;
	set_client(&dc->c, id, h->has_fp ? h->fp : NULL);
	h->state = HALF_DONE;
	h->until = now + BS_TIME_MS(BS_CONN_FIRST_MS);
	return answer_half(l, h, ANSWER_VERIFY);
}

static int input_verify(struct bs_local_device *l, const struct bs_packet *p, uint8_t *pkt,
			const struct bs_endpoint *from, bs_time now)
{
	struct bs_local_half *h = find_half(l, p->h.nsi_cp, from);
	struct bs_psk_proof proof;
	struct bs_slice plain = { 0 };
	size_t off;
	int err;

	if (!h || h->nsi != p->h.nsi_sp)
		return BS_EUNKNOWN;
	err = bs_psk_verify_decode(p, &off);
	if (!err)
		err = bs_suite_aes_cbc.open(l->dev->crypto, &h->key, BS_RESPONDER, pkt, p->len, off,
					    &plain);
	if (!err)
		err = bs_psk_proof_decode(plain, &proof);
	if (err)
		return err;
	if (!bs_equal_secret(proof.nonce, h->nd, sizeof(h->nd)))
		return BS_ENONCE;
	if (h->state == HALF_DONE)
		return answer_half(l, h, ANSWER_VERIFY);
	err = finish_half(l, h, proof.random, now);
	bs_wipe(pkt, p->len);
	return err;
}

/* The client gives up: from where it came, and only until it is verified. */
static int input_abort(struct bs_local_device *l, const struct bs_packet *p,
		       const struct bs_endpoint *from)
{
	struct bs_local_half *h = find_half(l, p->h.nsi_cp, from);
	struct bs_psk_notice m;
	int err = bs_psk_notice_decode(p, &m);

	if (err)
		return err;
	if (m.flags != BS_FLAG_EXCEPTION || m.code != BS_ST_ABORTED)
		return BS_ETYPE;
	if (!h || h->state != HALF_WAITING || h->nsi != m.sp)
		return BS_EUNKNOWN;
	free_half(h);
	return BS_OK;
}

static int input_psk(struct bs_local_device *l, const struct bs_packet *p, uint8_t *pkt,
		     const struct bs_endpoint *from, bs_time now)
{
	if (!(l->conf->allow & BS_LOCAL_PSK))
		return BS_ETYPE;
	if (p->h.type == BS_TYPE_U_VERIFY_PSK)
		return input_verify(l, p, pkt, from, now);
	if (p->h.flags & BS_FLAG_EXCEPTION)
		return input_abort(l, p, from);
	return input_connect(l, p, from, now);
}

static size_t put_psk(const struct bs_local_device *l, const struct bs_local_half *h, uint8_t *buf,
		      size_t cap)
{
	uint8_t text[BS_PSK_PROOF_LEN];
	struct bs_psk_answer m;
	struct bs_psk_proof proof;
	struct bs_slice plain;
	struct bs_writer w;
	bs_ssize len;

	if (h->state != HALF_WAITING)
		return 0;
	memset(&m, 0, sizeof(m));
	m.cp = h->cp;
	m.sp = h->nsi;
	m.fingerprints = h->fingerprints;
	m.nonce = h->nd;
	bs_psk_answer_begin(&w, buf, cap, &m);
	proof.random = h->rd;
	proof.nonce = h->nc;
	bs_psk_proof_encode(text, &proof);
	plain.ptr = text;
	plain.len = sizeof(text);
	len = bs_suite_aes_cbc.seal(l->dev->crypto, &h->key, BS_RESPONDER, &w, BS_PLF_LIST, plain);
	bs_wipe(text, sizeof(text));
	return len > 0 ? (size_t)len : 0;
}

static size_t put_notice(uint8_t type, uint8_t flags, uint32_t cp, uint32_t sp, uint32_t code,
			 uint8_t *buf, size_t cap)
{
	struct bs_psk_notice m;
	bs_ssize len;

	m.type = type;
	m.flags = flags;
	m.cp = cp;
	m.sp = sp;
	m.code = code;
	len = bs_psk_notice_encode(buf, cap, &m);
	return len > 0 ? (size_t)len : 0;
}

/* ---- the machine */

static bool is_near(const struct bs_local_device *l, const struct bs_endpoint *from)
{
	return l->conf->is_near ? l->conf->is_near(l->conf->app, from)
				: bs_endpoint_is_private(from);
}

int bs_local_device_input(struct bs_local_device *l, uint8_t *pkt, size_t len,
			  const struct bs_endpoint *from, bs_time now)
{
	struct bs_packet p;
	int err;

	if (l->dev->attach.state == BS_ATTACH_STOPPED)
		return BS_EDRAIN;
	if (!is_near(l, from))
		return BS_ESOURCE;
	if (bs_local_is_legacy(pkt, len))
		return input_legacy(l, pkt, len, from, now);
	err = bs_packet_decode(pkt, len, &p);
	if (err)
		return err;
	switch (p.h.type) {
	case BS_TYPE_DATA: return bs_device_input(l->dev, pkt, len, from, now);
	case BS_TYPE_U_CONNECT: return input_plain(l, &p, from, now);
	case BS_TYPE_U_CONNECT_PSK:
	case BS_TYPE_U_VERIFY_PSK: return input_psk(l, &p, pkt, from, now);
	default: return BS_ETYPE;
	}
}

void bs_local_device_timeout(struct bs_local_device *l, bs_time now)
{
	size_t i;

	for (i = 0; i < BS_LOCAL_HALVES; i++) {
		struct bs_local_half *h = &l->half[i];

		if (h->state != HALF_FREE && BS_TIME_DIFF(now, h->until) >= 0)
			free_half(h);
	}
}

size_t bs_local_device_output(struct bs_local_device *l, uint8_t *buf, size_t cap,
			      struct bs_endpoint *to)
{
	const struct bs_local_half *h = &l->half[l->answer.half];
	uint8_t kind = l->answer.kind;

	l->answer.kind = ANSWER_NONE;
	if (l->dev->attach.state == BS_ATTACH_STOPPED)
		return 0;
	*to = l->answer.to;
	switch (kind) {
	case ANSWER_DISCOVERY: return put_discovery(l, buf, cap);
	case ANSWER_PLAIN: return put_plain(l, buf, cap);
	case ANSWER_PSK: return put_psk(l, h, buf, cap);
	case ANSWER_VERIFY:
		return put_notice(BS_TYPE_U_VERIFY_PSK, BS_FLAG_RESPONSE, h->cp, h->nsi, BS_ST_OK,
				  buf, cap);
	case ANSWER_ERROR:
		return put_notice(BS_TYPE_U_CONNECT_PSK, BS_FLAG_RESPONSE | BS_FLAG_EXCEPTION,
				  l->answer.cp, l->answer.sp, l->answer.code, buf, cap);
	default: return 0;
	}
}

bool bs_local_device_next_timeout(const struct bs_local_device *l, bs_time *at)
{
	bool any = false;
	size_t i;

	for (i = 0; i < BS_LOCAL_HALVES; i++) {
		const struct bs_local_half *h = &l->half[i];

		if (h->state == HALF_FREE || (any && BS_TIME_DIFF(h->until, *at) >= 0))
			continue;
		*at = h->until;
		any = true;
	}
	return any;
}
