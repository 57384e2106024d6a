/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/device.h"

#include <string.h>

#include "proto/search_device.h"
#include "proto/stream.h"
#include "util/endpoint.h"
#include "wire/connect.h"
#include "wire/stats.h"

/* Reports of a connection that wait (bs_conn.pending). */
enum {
	REPORT_OPEN = 0x01,
	REPORT_CLOSE = 0x02,
};

/* Texts of the configuration that every packet of the device must have room for. */
enum {
	TEXTS_MAX = 140,
};

/* Types of CONNECTION_INFO that a device sends: 1 to 7. */
#define INFO_PRESENT 0xFEu

int bs_device_conf_check(const struct bs_device_conf *conf)
{
	size_t texts = conf->id.len + conf->label.len + conf->app_version.len + conf->url.len;

	if (!conf->ops || !bs_device_id_ok(conf->id.ptr, conf->id.len))
		return BS_EINVAL;
	if (!conf->psk && !bs_device_legacy(conf))
		return BS_EINVAL;
	return texts > TEXTS_MAX ? BS_EINVAL : BS_OK;
}

int bs_device_init(struct bs_device *d, const struct bs_device_conf *conf,
		   const struct bs_crypto *crypto, struct bs_device_conn *conns, size_t n_conns,
		   struct bs_rpc_slot *slots, size_t n_slots)
{
	memset(d, 0, sizeof(*d));
	if (n_conns < 1 || n_conns > UINT8_MAX || n_slots < 1 || n_slots > n_conns)
		return BS_EINVAL;
	if (bs_device_conf_check(conf))
		return BS_EINVAL;
	memset(conns, 0, n_conns * sizeof(*conns));
	d->conf = conf;
	d->crypto = crypto;
	d->conns = conns;
	d->n_conns = (uint8_t)n_conns;
	bs_attach_init(&d->attach, conf, crypto);
	bs_rpc_device_init(&d->rpc, slots, n_slots);
	return BS_OK;
}

static struct bs_streams *streams_of(const struct bs_device *d, const struct bs_device_conn *dc)
{
	return bs_device_streams(d, (size_t)(dc - d->conns));
}

static void end_streams(struct bs_device *d, struct bs_device_conn *dc)
{
	if (streams_of(d, dc))
		bs_streams_fail(streams_of(d, dc), BS_ECLOSED);
}

static void free_conn(struct bs_device *d, struct bs_device_conn *dc)
{
	const struct bs_device_ops *ops = d->conf->ops;

	bs_rpc_device_drop(&d->rpc, &dc->c);
	end_streams(d, dc);
	if (ops->connection)
		ops->connection(d->conf->app, &dc->c, false);
	bs_conn_fini(&dc->c);
	memset(&dc->rv, 0, sizeof(dc->rv));
	if (BS_WITH_SPRAY)
		bs_search_device_stop(dc);
	if (BS_WITH_GW && bs_device_conn_gw(dc))
		bs_gw_link_drop(bs_device_conn_gw(dc));
}

static void free_all(struct bs_device *d)
{
	uint8_t i;

	for (i = 0; i < d->n_conns; i++) {
		if (d->conns[i].c.state != BS_CONN_FREE)
			free_conn(d, &d->conns[i]);
	}
}

void bs_device_fini(struct bs_device *d)
{
	if (!d->conf)
		return;
	bs_device_stop(d);
	bs_wipe(d->rpc.slots, d->rpc.n_slots * sizeof(*d->rpc.slots));
	bs_attach_fini(&d->attach);
	bs_wipe(d, sizeof(*d));
}

void bs_device_start(struct bs_device *d, bs_time now)
{
	bs_attach_start(&d->attach, now);
}

void bs_device_stop(struct bs_device *d)
{
	free_all(d);
	memset(&d->connect, 0, sizeof(d->connect));
	d->ending = false;
	bs_attach_stop(&d->attach);
}

void bs_device_resolved(struct bs_device *d, const struct bs_endpoint *addr, size_t n, bs_time now)
{
	bs_attach_resolved(&d->attach, addr, n, now);
}

void bs_device_resolve_failed(struct bs_device *d, bs_time now)
{
	bs_attach_resolve_failed(&d->attach, now);
}

void bs_device_network_changed(struct bs_device *d, bs_time now)
{
	bs_attach_restart(&d->attach, now);
}

void bs_device_set_local(struct bs_device *d, const struct bs_endpoint *local)
{
	d->attach.local = *local;
}

size_t bs_device_n_live(const struct bs_device *d)
{
	size_t n = 0;
	uint8_t i;

	for (i = 0; i < d->n_conns; i++)
		n += bs_conn_is_live(&d->conns[i].c);
	return n;
}

static struct bs_device_conn *find(struct bs_device *d, uint32_t nsi)
{
	uint8_t i;

	for (i = 0; i < d->n_conns; i++) {
		if (bs_conn_is_live(&d->conns[i].c) && d->conns[i].c.nsi_sp == nsi)
			return &d->conns[i];
	}
	return NULL;
}

static void make_env(const struct bs_device *d, struct bs_connect_env *env)
{
	env->conf = d->conf;
	env->crypto = d->crypto;
	env->c_key = bs_device_legacy(d->conf) ? NULL : &d->attach.key.c;
	env->conns = d->conns;
	env->n_conns = d->n_conns;
	env->granted = d->attach.granted;
	env->symmetric = BS_WITH_SPRAY && d->attach.symmetric;
}

static bool is_from_server(const struct bs_device *d, const struct bs_endpoint *from)
{
	return bs_attach_is_attached(&d->attach) && bs_endpoint_equal(from, &d->attach.server);
}

static void stop_search(struct bs_device_conn *dc)
{
	bs_rendezvous_stop(&dc->rv);
	if (BS_WITH_SPRAY)
		bs_search_device_stop(dc);
}

static bool is_relayed(const struct bs_device *d, const struct bs_conn *c)
{
	return bs_endpoint_via(&c->remote) == BS_VIA_STREAM ||
	       bs_endpoint_equal(&c->remote, &d->attach.server);
}

/* Stock devices stop searching at the first authentic packet, whatever way it came; the server and
 * clients of our own know how to use a device that goes on while a relay has the data. */
static void data_came(struct bs_device *d, struct bs_device_conn *dc, bool first)
{
	if (BS_WITH_SPRAY ? !d->attach.granted || !is_relayed(d, &dc->c) : first)
		stop_search(dc);
}

/* How a packet came, as far as statistics tell. */
static uint8_t path_of(const struct bs_device *d, const struct bs_conn *c)
{
	if (bs_conn_origin(c) != BS_ORIGIN_BASESTATION)
		return BS_PATH_LOCAL;
	if (BS_WITH_GW && bs_endpoint_via(&c->remote) == BS_VIA_STREAM)
		return BS_PATH_TCP_RELAY;
	return bs_endpoint_equal(&c->remote, &d->attach.server) ? BS_PATH_UDP_RELAY
								: BS_PATH_DIRECT;
}

static int input_framing(struct bs_device *d, struct bs_device_conn *dc,
			 const struct bs_conn_data *data, const struct bs_endpoint *from,
			 bs_time now)
{
	struct bs_connect_env env;
	int err;

	if (BS_WITH_SPRAY && bs_search_is(data->plain)) {
		make_env(d, &env);
		return bs_search_device_input(dc, &env, data->plain, now);
	}
	err = bs_conn_framing(&dc->c, data, from, now);
	if (dc->c.state == BS_CONN_CLOSING)
		end_streams(d, dc);
	/* A keep-alive over a better way moved the connection. */
	if (BS_WITH_SPRAY) {
		dc->c.path = path_of(d, &dc->c);
		data_came(d, dc, false);
	}
	return err;
}

static int input_data(struct bs_device *d, const struct bs_packet *p, uint8_t *pkt,
		      const struct bs_endpoint *from, bs_time now)
{
	struct bs_device_conn *dc = find(d, p->h.nsi_sp);
	struct bs_conn_data data;
	int err;

	if (!dc)
		return BS_EUNKNOWN;
	/* In the clear the address is all that ties a packet to its connection. */
	if (bs_conn_origin(&dc->c) == BS_ORIGIN_PLAIN && !bs_endpoint_equal(from, &dc->c.remote))
		return BS_ESOURCE;
	err = bs_conn_open(&dc->c, d->crypto, p, pkt, from, now, &data);
	if (err)
		return err;
	if (data.first || BS_WITH_SPRAY)
		data_came(d, dc, data.first);
	if (data.first) {
		/* What happens on the local network is not the basestation's business. */
		if (bs_conn_origin(&dc->c) == BS_ORIGIN_BASESTATION)
			dc->c.pending |= REPORT_OPEN;
		if (d->conf->ops->connection)
			d->conf->ops->connection(d->conf->app, &dc->c, true);
	}
	dc->c.path = path_of(d, &dc->c);
	if (BS_WITH_GW && bs_device_conn_gw(dc)) {
		bs_gw_link_data(bs_device_conn_gw(dc), &data, from);
		if (bs_gw_is_close(&data, from))
			return BS_ESTATE;
	}
	if (data.h.tag == BS_TAG_FRAMING)
		return input_framing(d, dc, &data, from, now);
	if (streams_of(d, dc) && bs_tag_is_stream(data.h.tag))
		return bs_streams_input(streams_of(d, dc), p, &data, from, now);
	if (data.h.tag != BS_TAG_RPC)
		return BS_ETYPE;
	bs_conn_touch(&dc->c, now);
	return bs_rpc_device_input(&d->rpc, d->conf, &dc->c, (size_t)(dc - d->conns), &data, from);
}

static int input_rendezvous(struct bs_device *d, const struct bs_packet *p,
			    const struct bs_endpoint *from, bs_time now)
{
	struct bs_device_conn *dc = find(d, p->h.nsi_sp);
	struct bs_rendezvous_in in;
	int err;

	if (!dc)
		return BS_EUNKNOWN;
	err = bs_rendezvous_input(&dc->rv, p, from, &in);
	if (!err && in.concluded) {
		bs_conn_set_interval(&dc->c, in.interval_ms, now);
		if (BS_WITH_SPRAY)
			bs_search_device_stop(dc);
	}
	return err;
}

/* Every connection of the attachment, and then the attachment. */
static void end_all(struct bs_device *d)
{
	uint8_t i;

	for (i = 0; i < d->n_conns; i++) {
		if (bs_conn_origin(&d->conns[i].c) == BS_ORIGIN_BASESTATION)
			bs_conn_abort(&d->conns[i].c, BS_CONN_END_SERVER);
	}
	d->ending = true;
}

/* What the basestation asks for: a connection, or the end of one or of all. */
static int input_server(struct bs_device *d, const struct bs_packet *p, uint8_t *pkt,
			const struct bs_endpoint *from, bs_time now)
{
	bool from_server = is_from_server(d, from);
	struct bs_device_conn *made;
	struct bs_connect_env env;
	bool all = false;
	int err;

	if (!bs_attach_is_attached(&d->attach))
		return BS_ESTATE;
	make_env(d, &env);
	if (p->h.type == BS_TYPE_U_CONNECT) {
		if (!from_server && !bs_connect_is_request(p))
			return BS_ESOURCE;
		err = bs_connect_input(&d->connect, &env, p, pkt, from, now, &made);
		if (BS_WITH_GW && !err && made && bs_device_tcp_relay(d->conf))
			bs_gw_link_offer(bs_device_conn_gw(made), p, made->c.nsi_sp,
					 &d->attach.server);
		return err;
	}
	if (!BS_WITH_EXT || !from_server || p->h.nsi_sp != d->attach.nsi)
		return BS_ESOURCE;
	err = bs_connect_input_close(&d->connect, &env, p, from, &all);
	if (!err && all)
		end_all(d);
	return err;
}

static int dispatch(struct bs_device *d, const struct bs_packet *p, uint8_t *pkt,
		    const struct bs_endpoint *from, bs_time now)
{
	switch (p->h.type) {
	case BS_TYPE_DATA: return input_data(d, p, pkt, from, now);
	case BS_TYPE_U_CONNECT:
		if (bs_connect_is_rendezvous(p) && !is_from_server(d, from))
			return input_rendezvous(d, p, from, now);
		return input_server(d, p, pkt, from, now);
	case BS_TYPE_U_CLOSE: return input_server(d, p, pkt, from, now);
	case BS_TYPE_U_INVITE:
	case BS_TYPE_U_ATTACH:
	case BS_TYPE_U_ALIVE: return bs_attach_input(&d->attach, p, pkt, from, now);
	default: return d->extra ? d->extra(d->extra_ctx, p, from, now) : BS_ETYPE;
	}
}

/* Connections that ended: a report where the protocol wants one, else the slot is free at once. */
static void sweep(struct bs_device *d)
{
	struct bs_conn *c;
	uint8_t i;

	for (i = 0; i < d->n_conns; i++) {
		c = &d->conns[i].c;
		if (c->state != BS_CONN_CLOSED || (c->pending & REPORT_CLOSE))
			continue;
		if (bs_conn_origin(c) == BS_ORIGIN_BASESTATION &&
		    bs_attach_is_attached(&d->attach) &&
		    (c->stats.rx_pkts || c->end == BS_CONN_END_SILENCE))
			c->pending |= REPORT_CLOSE;
		else
			free_conn(d, &d->conns[i]);
	}
}

int bs_device_input(struct bs_device *d, uint8_t *pkt, size_t len, const struct bs_endpoint *from,
		    bs_time now)
{
	struct bs_packet p;
	int err;

	if (d->attach.state == BS_ATTACH_STOPPED)
		return BS_EDRAIN;
	err = bs_packet_decode(pkt, len, &p);
	if (!err)
		err = dispatch(d, &p, pkt, from, now);
	if (err <= BS_ESHORT && BS_ESHORT - err < BS_DEVICE_DROPS)
		d->drops[BS_ESHORT - err]++;
	sweep(d);
	return err;
}

/* A connection through a relay may have no limit of its own. */
static void hold(struct bs_device_conn *dc, bs_time now)
{
	if (BS_WITH_GW && bs_device_conn_gw(dc) && bs_gw_link_holds(bs_device_conn_gw(dc), &dc->c))
		bs_conn_touch(&dc->c, now);
}

void bs_device_timeout(struct bs_device *d, bs_time now)
{
	uint8_t i;

	bs_attach_timeout(&d->attach, now);
	for (i = 0; i < d->n_conns; i++) {
		hold(&d->conns[i], now);
		bs_conn_timeout(&d->conns[i].c, now);
		if (bs_conn_is_live(&d->conns[i].c))
			bs_rendezvous_timeout(&d->conns[i].rv, now);
		if (BS_WITH_SPRAY && bs_conn_is_live(&d->conns[i].c))
			bs_search_device_timeout(&d->conns[i], now);
		if (streams_of(d, &d->conns[i]))
			bs_streams_timeout(streams_of(d, &d->conns[i]), now);
	}
	sweep(d);
}

static void report_spray(struct bs_device_conn *dc, struct bs_rendezvous_stats *r)
{
	const struct bs_spray *s = bs_device_spray(dc);

	if (!s)
		return;
	r->ports = s->guess.sent;
	r->sockets = s->via;
}

static size_t put_report(const struct bs_device *d, struct bs_device_conn *dc, bool open,
			 uint8_t *buf, size_t cap, bs_time now)
{
	const struct bs_conn *c = &dc->c;
	struct bs_stats m;
	bs_ssize len;

	bs__device_stats(d->conf, open ? BS_STATS_OPEN : BS_STATS_CLOSE, &m);
	m.nsi = c->nsi_sp;
	if (open) {
		m.has_ipx = true;
		bs__device_ipx(&d->attach, &m.ipx);
		m.has_rendezvous = c->searched;
		m.rendezvous.device_nat = m.ipx.flags;
		if (BS_WITH_SPRAY)
			report_spray(dc, &m.rendezvous);
	}
	m.has_info = true;
	m.info.present = INFO_PRESENT;
	m.info.path = c->path;
	m.info.age_ms = (uint32_t)BS_TIME_DIFF_MS(BS_TIME_DIFF(now, c->born));
	m.info.tx_bytes = c->stats.tx_bytes;
	m.info.tx_pkts = c->stats.tx_pkts;
	m.info.rx_bytes = c->stats.rx_bytes;
	m.info.rx_pkts = c->stats.rx_pkts;
	m.info.client_ip = bs_endpoint_ip4(&c->global);
	len = bs_stats_encode(buf, cap, &m);
	return len > 0 ? (size_t)len : 0;
}

static size_t output_report(struct bs_device *d, struct bs_device_conn *dc, uint8_t *buf,
			    size_t cap, struct bs_endpoint *to, bs_time now)
{
	bool open = (dc->c.pending & REPORT_OPEN) != 0;
	size_t len = 0;

	if (!dc->c.pending)
		return 0;
	dc->c.pending &= (uint8_t) ~(open ? REPORT_OPEN : REPORT_CLOSE);
	if (bs_attach_is_attached(&d->attach)) {
		*to = d->attach.server;
		len = put_report(d, dc, open, buf, cap, now);
	}
	if (!open)
		free_conn(d, dc);
	return len;
}

static size_t output_conn(struct bs_device *d, struct bs_device_conn *dc, uint8_t *buf, size_t cap,
			  struct bs_endpoint *to, bs_time now)
{
	size_t len = bs_conn_output(&dc->c, d->crypto, buf, cap, to);

	if (BS_WITH_GW && !len && bs_device_conn_gw(dc))
		len = bs_gw_link_output(bs_device_conn_gw(dc), buf, cap, to);
	if (!len && bs_conn_is_live(&dc->c))
		len = bs_rendezvous_output(&dc->rv, dc->c.nsi_sp, &dc->c.priv, &dc->c.global, buf,
					   cap, to);
	if (!len && BS_WITH_SPRAY && bs_conn_is_live(&dc->c) && bs_search_device_next(dc, to))
		len = bs_rendezvous_open(dc->c.nsi_sp, to, buf, cap);
	if (!len && streams_of(d, dc))
		len = bs_streams_output(streams_of(d, dc), buf, cap, to, now);
	if (!len)
		len = output_report(d, dc, buf, cap, to, now);
	return len;
}

size_t bs_device_output(struct bs_device *d, uint8_t *buf, size_t cap, struct bs_endpoint *to,
			bs_time now)
{
	struct bs_connect_env env;
	size_t len;
	uint8_t i;

	if (d->attach.state == BS_ATTACH_STOPPED)
		return 0;
	make_env(d, &env);
	len = bs_connect_output(&d->connect, &env, buf, cap, to);
	if (!len)
		len = bs_attach_output(&d->attach, buf, cap, to, now);
	if (!len)
		len = bs_rpc_device_output(&d->rpc, d->crypto, buf, cap, to);
	for (i = 0; !len && i < d->n_conns; i++)
		len = output_conn(d, &d->conns[i], buf, cap, to, now);
	/* All that belongs to the attachment is out: now it may end. */
	if (BS_WITH_EXT && !len && d->ending) {
		d->ending = false;
		bs_attach_end(&d->attach, now);
	}
	return len;
}

/* t is a pointer so that callers may fill it in the same expression that makes has. */
static void earliest(bool *any, bs_time *at, bool has, const bs_time *t)
{
	if (has && (!*any || BS_TIME_DIFF(*t, *at) < 0)) {
		*at = *t;
		*any = true;
	}
}

bool bs_device_next_timeout(const struct bs_device *d, bs_time *at)
{
	bs_time t = 0;
	bool any = false;
	uint8_t i;

	earliest(&any, at, bs_attach_next_timeout(&d->attach, &t), &t);
	for (i = 0; i < d->n_conns; i++) {
		if (!bs_conn_is_live(&d->conns[i].c))
			continue;
		earliest(&any, at, true, &d->conns[i].c.expire);
		earliest(&any, at, bs_rendezvous_next_timeout(&d->conns[i].rv, &t), &t);
		if (bs_device_spray(&d->conns[i]))
			earliest(&any, at, bs_spray_next_timeout(bs_device_spray(&d->conns[i]), &t),
				 &t);
		if (streams_of(d, &d->conns[i]))
			earliest(&any, at, bs_streams_next_timeout(streams_of(d, &d->conns[i]), &t),
				 &t);
	}
	return any;
}

uint8_t bs_device_take_events(struct bs_device *d)
{
	uint8_t e = bs_attach_take_events(&d->attach);
	uint8_t i;

	/* An open connection lives on the socket that it was found with; the local network has a
	 * socket of its own. */
	for (i = 0; i < d->n_conns; i++) {
		if (bs_conn_is_live(&d->conns[i].c) &&
		    bs_conn_origin(&d->conns[i].c) == BS_ORIGIN_BASESTATION)
			e &= (uint8_t)~BS_ATTACH_EV_RENEW_SOCKET;
	}
	return e;
}

bool bs_device_uses_via(const struct bs_device *d, uint16_t via)
{
	uint8_t i;

	for (i = 0; i < d->n_conns; i++) {
		const struct bs_conn *c = &d->conns[i].c;

		/* Until the client has chosen, each socket may be the one. */
		if (bs_conn_is_live(c) &&
		    (c->state == BS_CONN_CONNECTING || bs_endpoint_via(&c->remote) == via ||
		     (BS_WITH_SPRAY && is_relayed(d, c))))
			return true;
	}
	return false;
}

int bs_device_rpc_answer(struct bs_device *d, uint32_t token, uint32_t code, struct bs_slice reply)
{
	struct bs_device_conn *dc = find(d, d->rpc.deferred.nsi);

	return bs_rpc_device_answer(&d->rpc, dc ? &dc->c : NULL, token, code, reply);
}
