/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/connect_device.h"

#include <string.h>

#include "proto/attach_legacy.h"
#include "proto/search_device.h"
#include "util/endpoint.h"
#include "wire/close.h"
#include "wire/connect.h"

/* Where a device picks a connection number itself: 100 to 1000. */
enum {
	OWN_NSI_FIRST = 100,
	OWN_NSI_COUNT = 901,
	OWN_NSI_MASK = 0x3FF,
};

static struct bs_device_conn *find(const struct bs_connect_env *env, uint32_t nsi)
{
	size_t i;

	for (i = 0; i < env->n_conns; i++) {
		if (env->conns[i].c.state != BS_CONN_FREE && env->conns[i].c.nsi_sp == nsi)
			return &env->conns[i];
	}
	return NULL;
}

static struct bs_device_conn *find_free(const struct bs_connect_env *env)
{
	size_t i;

	for (i = 0; i < env->n_conns; i++) {
		if (env->conns[i].c.state == BS_CONN_FREE)
			return &env->conns[i];
	}
	return NULL;
}

/* A number of our own for a request that brought none. */
static int pick_nsi(const struct bs_connect_env *env, uint32_t *nsi)
{
	uint8_t r[2];
	uint16_t n;
	int err;

	if (!BS_WITH_OWN_NSI)
		return BS_EMISSING;
	err = env->crypto->random(env->crypto->ctx, r, sizeof(r));
	if (err)
		return err;
	n = bs_get_u16(r) & OWN_NSI_MASK;
	if (n >= OWN_NSI_COUNT)
		n -= OWN_NSI_COUNT;
	while (find(env, OWN_NSI_FIRST + (uint32_t)n))
		n = n + 1 < OWN_NSI_COUNT ? (uint16_t)(n + 1) : 0;
	*nsi = OWN_NSI_FIRST + (uint32_t)n;
	return BS_OK;
}

/* The D block, when the request is sealed under the C key; absent counts as not encrypted. */
static int open_key(const struct bs_connect_env *env, const struct bs_packet *p, uint8_t *pkt,
		    const struct bs_connect_request *m, struct bs_slice *plain)
{
	int err;

	if (!m->has_crypto || !env->c_key)
		return BS_EMISSING;
	err = bs_suite_aes_cbc.open(env->crypto, env->c_key, BS_RESPONDER, pkt, p->len,
				    m->crypto_off, plain);
	if (!err && plain->len != BS_KEY_BLOCK_LEN)
		err = BS_EFIELD;
	return err;
}

/* Endpoints of the client; with IPv6 an EP6 takes the place of what IPX cannot say. */
static void take_endpoints(struct bs_conn *c, const struct bs_connect_env *env,
			   const struct bs_packet *p, const struct bs_ipx *ipx)
{
	struct bs_ep6 ep;

	c->priv = ipx->priv;
	c->global = ipx->global;
	if (!BS_HAS_IP6 || !(env->granted & BS_EXT_IP6))
		return;
	if (!bs_endpoint_is_set(&c->priv) && bs_ep6_collect(p, BS_EP6_HOST, &ep, 1) == 1)
		c->priv = ep.ep;
	if (!bs_endpoint_is_set(&c->global) && bs_ep6_collect(p, BS_EP6_OBSERVED, &ep, 1) == 1)
		c->global = ep.ep;
}

static void take_client(struct bs_conn *c, const struct bs_connect_request *m)
{
	c->client_id_len = (uint8_t)(m->client_id.len < BS_CLIENT_ID_KEEP ? m->client_id.len
									  : BS_CLIENT_ID_KEEP);
	if (c->client_id_len)
		memcpy(c->client_id, m->client_id.ptr, c->client_id_len);
	if (m->fp) {
		memcpy(c->fp, m->fp, BS_FP_LEN);
		c->has_fp = true;
	}
	c->async = (m->ipx.flags & BS_IPX_ASYNC) != 0;
	if (m->ipx.has_full) {
		memcpy(c->nsi_co, m->ipx.nsi_co, sizeof(c->nsi_co));
		c->has_co = true;
	}
}

/* What a connection gets beyond a stock one. */
struct deal {
	const struct bs_suite *suite;
	const uint8_t *secret; /* [32] of the pairing, NULL = none */
	struct bs_conn_ext ext;
};

/* The client has been told what the basestation asks for here, so that what cannot be given is
 * refused; left out it would be a downgrade that nobody sees. */
static uint16_t agree(const struct bs_connect_env *env, const struct bs_connect_request *m,
		      struct deal *deal)
{
	uint32_t ext = m->ext & env->granted;

	deal->ext.fast = (ext & BS_EXT_FAST_STREAM) != 0;
	if (m->suite && m->suite != BS_SUITE_AES_CBC) {
		if (m->suite != BS_SUITE_AES_GCM || !(env->granted & BS_EXT_GCM) ||
		    !bs_crypto_gcm(env->crypto))
			return BS_ST_ENCRYPTION;
		deal->suite = &bs_suite_aes_gcm;
	}
	if (!m->pair)
		return BS_ST_OK;
	if (!(env->granted & BS_EXT_PAIR) || !m->attempt)
		return BS_ST_CAPABILITY;
	if (env->conf->ops->pair)
		deal->secret = env->conf->ops->pair(env->conf->app, m->pair);
	deal->ext.paired = deal->secret != NULL;
	return deal->secret ? BS_ST_OK : BS_ST_KEY_ID;
}

static uint16_t ask(const struct bs_connect_env *env, const struct bs_connect_request *m,
		    bool encrypted)
{
	struct bs_access who;

	if (!env->conf->ops->access)
		return BS_ST_OK;
	who.client_id = m->client_id;
	who.fp = m->fp;
	who.attempt = BS_WITH_EXT && (env->granted & BS_EXT_ATTEMPT) ? m->attempt : NULL;
	who.pair = BS_WITH_CONN_EXT && encrypted ? m->pair : NULL;
	who.encrypted = encrypted;
	bs_access_set_origin(&who, 0);
	return env->conf->ops->access(env->conf->app, &who);
}

static int set_key(struct bs_conn *c, const struct bs_crypto *crypto, const struct deal *deal,
		   const uint8_t *d_block, const uint8_t *attempt)
{
	memcpy(c->key.b, d_block, BS_KEY_BLOCK_LEN);
	bs_conn_set_ext(c, deal->ext);
	if (!BS_WITH_CONN_EXT || !deal->secret)
		return BS_OK;
	return bs_keys_derive_pair(crypto, &c->key, deal->secret, c->nsi_sp, attempt, &c->key);
}

/* Points 10 to 13 of the reading order: key, access, and the new connection. */
static uint16_t admit(const struct bs_connect_env *env, const struct bs_packet *p, uint8_t *pkt,
		      const struct bs_connect_request *m, uint32_t nsi, struct bs_device_conn *dc,
		      bs_time now)
{
	struct deal deal = { &bs_suite_aes_cbc, NULL, { false, false } };
	const struct bs_suite *plain_suite = BS_WITH_LEGACY ? env->conf->plain_suite : NULL;
	struct bs_slice d = { NULL, 0 };
	uint16_t code = BS_ST_OK;
	int err = open_key(env, p, pkt, m, &d);

	if (bs_device_legacy(env->conf))
		plain_suite = env->conf->legacy->suite;
	/* Trouble of our own must not make a plain connection out of a sealed request. */
	if (bs_err_is_fatal(err))
		return BS_ST_ERROR;
	if (err)
		deal.suite = plain_suite;
	else if (BS_WITH_CONN_EXT)
		code = agree(env, m, &deal);
	if (!deal.suite)
		return BS_ST_ENCRYPTION;
	if (code == BS_ST_OK)
		code = ask(env, m, deal.suite != plain_suite);
	if (code != BS_ST_OK)
		return code;
	bs_conn_init(&dc->c, BS_RESPONDER, nsi, NULL, deal.suite, now);
	if (deal.suite != plain_suite && set_key(&dc->c, env->crypto, &deal, d.ptr, m->attempt)) {
		bs_conn_fini(&dc->c);
		return BS_ST_ERROR;
	}
	take_endpoints(&dc->c, env, p, &m->ipx);
	take_client(&dc->c, m);
	/* What a device reports until DATA says otherwise, as stock devices do. */
	dc->c.path = BS_PATH_DIRECT;
	dc->c.searched = !(m->ipx.flags & BS_IPX_NO_RENDEZVOUS);
	bs_rendezvous_start(&dc->rv, !dc->c.searched, now);
	if (BS_WITH_SPRAY)
		bs_search_device_start(dc, env, p, m->ipx.flags, now);
	return BS_ST_OK;
}

int bs_connect_input(struct bs_connect_device *d, const struct bs_connect_env *env,
		     const struct bs_packet *p, uint8_t *pkt, const struct bs_endpoint *from,
		     bs_time now, struct bs_device_conn **made)
{
	struct bs_connect_request m;
	struct bs_device_conn *dc;
	uint16_t code;
	uint32_t nsi;
	int err;

	*made = NULL;
	/* The number would name that connection on other paths: stock devices are silent too. */
	if (p->h.nsi_cp && find(env, p->h.nsi_cp))
		return BS_EFIELD;
	err = bs_connect_request_decode(p, &m);
	if (err)
		return err;
	nsi = m.ipx.nsi_sp;
	if (!m.ipx.has_nsi)
		err = pick_nsi(env, &nsi);
	if (err)
		return err;
	dc = find_free(env);
	if (find(env, nsi)) {
		code = BS_ST_OK;
	} else if (!dc) {
		code = BS_ST_BUSY;
	} else {
		code = admit(env, p, pkt, &m, nsi, dc, now);
		*made = code == BS_ST_OK ? dc : NULL;
	}
	d->to = *from;
	d->cp = p->h.nsi_cp;
	d->sp = p->h.nsi_sp;
	d->seq = p->h.seq;
	d->nsi = nsi;
	d->code = code;
	d->type = BS_TYPE_U_CONNECT;
	return BS_OK;
}

int bs_connect_input_close(struct bs_connect_device *d, const struct bs_connect_env *env,
			   const struct bs_packet *p, const struct bs_endpoint *from, bool *all)
{
	struct bs_device_conn *dc;
	struct bs_close m;
	int err;

	if (!BS_WITH_EXT || !(env->granted & BS_EXT_CLOSE) || !env->c_key)
		return BS_ESTATE;
	if (p->h.flags != 0)
		return BS_ETYPE;
	err = bs_close_decode(p, &m);
	if (!err)
		err = bs_suite_aes_cbc.verify(env->crypto, env->c_key, BS_RESPONDER, p->bytes,
					      p->len, m.crypto_off);
	if (err)
		return err;
	*all = m.connection == 0;
	dc = *all ? NULL : find(env, m.connection);
	if (dc && bs_conn_origin(&dc->c) == BS_ORIGIN_BASESTATION)
		bs_conn_abort(&dc->c, BS_CONN_END_SERVER);
	d->to = *from;
	d->sp = p->h.nsi_sp;
	d->cp = p->h.nsi_cp;
	d->seq = p->h.seq;
	d->nsi = m.connection;
	d->code = m.status;
	d->type = BS_TYPE_U_CLOSE;
	return BS_OK;
}

static bs_ssize put_connect(const struct bs_connect_device *d, uint8_t *buf, size_t cap)
{
	struct bs_connect_answer m;

	m.cp = d->cp;
	m.sp = d->sp;
	m.seq = d->seq;
	m.code = d->code;
	m.nsi = d->nsi;
	return bs_connect_answer_encode(buf, cap, &m);
}

static bs_ssize put_close(const struct bs_connect_device *d, const struct bs_connect_env *env,
			  uint8_t *buf, size_t cap)
{
	struct bs_slice none = { NULL, 0 };
	struct bs_writer w;
	struct bs_close m;

	memset(&m, 0, sizeof(m));
	m.nsi = d->sp;
	m.seq = d->seq;
	m.answer = true;
	m.connection = d->nsi;
	m.status = d->code;
	bs_close_begin(&w, buf, cap, &m);
	return bs_suite_aes_cbc.seal(env->crypto, env->c_key, BS_RESPONDER, &w, 0, none);
}

size_t bs_connect_output(struct bs_connect_device *d, const struct bs_connect_env *env,
			 uint8_t *buf, size_t cap, struct bs_endpoint *to)
{
	uint8_t type = d->type;
	bs_ssize len = 0;

	d->type = 0;
	*to = d->to;
	if (type == BS_TYPE_U_CONNECT)
		len = put_connect(d, buf, cap);
	else if (BS_WITH_EXT && type == BS_TYPE_U_CLOSE && env->c_key)
		len = put_close(d, env, buf, cap);
	return len > 0 ? (size_t)len : 0;
}
