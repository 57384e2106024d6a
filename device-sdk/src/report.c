/* SPDX-License-Identifier: Apache-2.0 */
/* The way up: from the core's callbacks and events to the application's. */
#include "context.h"

#include <string.h>

void bsdev__peer_from_access(struct bsdev_peer *peer, const struct bs_access *who)
{
	peer->client_id = (const char *)who->client_id.ptr;
	peer->client_id_len = who->client_id.len;
	peer->fingerprint = who->fp;
	peer->attempt = who->attempt;
	peer->paired = who->pair != NULL;
	bsdev__peer_set_origin(peer, bs_access_origin(who), who->pair);
}

void bsdev__peer_from_conn(struct bsdev_peer *peer, const struct bs_conn *conn)
{
	const struct bs_slice id = bs_conn_client_id(conn);

	peer->client_id = id.len > 0 ? (const char *)id.ptr : NULL;
	peer->client_id_len = id.len;
	peer->fingerprint = conn->has_fp ? conn->fp : NULL;
	peer->attempt = NULL;
	peer->paired = bs_conn_is_paired(conn);
	bsdev__peer_set_origin(peer, bs_conn_origin(conn), NULL);
}

static uint16_t on_access(void *app, const struct bs_access *who)
{
	struct bsdev *dev = app;
	struct bsdev_peer peer;

	if (dev->conf->access == NULL)
		return BS_ST_OK;
	bsdev__peer_from_access(&peer, who);
	return dev->conf->access(dev->conf->ctx, dev, &peer) ? BS_ST_OK : BS_ST_REFUSED_DEVICE;
}

static const uint8_t *on_pair(void *app, const uint8_t *id)
{
	struct bsdev *dev = app;

	return dev->conf->pair == NULL ? NULL : dev->conf->pair(dev->conf->ctx, dev, id);
}

static void on_connection(void *app, const struct bs_conn *conn, bool open)
{
	struct bsdev *dev = app;
	struct bsdev_peer peer;

	if (dev->conf->connection == NULL)
		return;
	bsdev__peer_from_conn(&peer, conn);
	dev->conf->connection(dev->conf->ctx, dev, &peer, open);
}

static size_t on_events(void *app, bool again, uint8_t *buf, size_t cap)
{
	struct bsdev *dev = app;

	if (dev->conf->events == NULL)
		return 0;
	return dev->conf->events(dev->conf->ctx, dev, again, buf, cap);
}

/** A query is the core's request under another name: the application sees no core type. */
static struct bs_rpc_request *request(const struct bsdev_query *q)
{
	return (struct bs_rpc_request *)(uintptr_t)q;
}

static int on_rpc(void *app, struct bs_rpc_request *req)
{
	struct bsdev *dev = app;

	if (dev->conf->query == NULL)
		return BS_RPC_UNKNOWN_QUERY;
	return dev->conf->query(dev->conf->ctx, dev, req->query, (struct bsdev_query *)req);
}

size_t bsdev__candidates(void *app, struct bs_endpoint *out, size_t cap)
{
	const struct bsdev *dev = app;

	return bsdev__hosts(dev->port, out, cap);
}

const struct bs_device_ops bsdev__ops = {
	.access = on_access,
	.rpc = on_rpc,
	.connection = on_connection,
	.events = BS_WITH_EVENTS ? on_events : NULL,
	.candidates = BSDEV__CANDIDATES,
	.pair = BS_WITH_CONN_EXT ? on_pair : NULL,
};

static uint8_t public_state(const struct bs_attach_device *a)
{
	if (a->state == BS_ATTACH_STOPPED)
		return BSDEV_OFF;
	return bs_attach_is_attached(a) ? BSDEV_ATTACHED : BSDEV_ATTACHING;
}

static void report_state(struct bsdev *dev, uint8_t events)
{
	const uint8_t state = public_state(&dev->core.attach);
	const bool failed = (events & BS_ATTACH_EV_FAILED) != 0;

	if (state == dev->state && !failed)
		return;
	dev->state = state;
	if (dev->conf->state != NULL)
		dev->conf->state(dev->conf->ctx, dev, (enum bsdev_state)state,
				 failed ? dev->core.attach.status : BS_ATTACH_OK);
}

/** The port's relay function; NULL at compile time where the build leaves the relay out. */
static bsdev_relay_fn relay_fn(const struct bsdev_port *port)
{
#ifdef BS_PROFILE_MCU
	(void)port;
	return NULL;
#else
	return BS_WITH_GW ? port->relay : NULL;
#endif
}

void bsdev__allow_relay(struct bs_device_conf *c, const struct bsdev_port *port)
{
#ifdef BS_PROFILE_MCU
	(void)c;
	(void)port;
#else
	c->tcp_relay = relay_fn(port) != NULL;
#endif
}

static void report_relays(struct bsdev *dev)
{
	struct bs_endpoint relay;
	uint32_t nsi;
	size_t slot;

	while (bs_device_gw_next(&dev->core, &slot, &nsi, &relay))
		relay_fn(dev->port)(dev->port->ctx, dev, (unsigned)slot, nsi,
				    relay.port != 0 ? &relay : NULL);
}

void bsdev__report(struct bsdev *dev)
{
	const struct bsdev_port *port = dev->port;
	const uint8_t events = bs_device_take_events(&dev->core);
	struct bs_slice host = dev->core_conf.id;

	report_state(dev, events);
	if (BS_WITH_GW && relay_fn(port) != NULL)
		report_relays(dev);
	if (bsdev__streams(dev) != NULL)
		bsdev__streams(dev)->report(dev);
	if ((events & BS_ATTACH_EV_RENEW_SOCKET) != 0 && port->renew_socket != NULL)
		port->renew_socket(port->ctx, dev);
	if ((events & BS_ATTACH_EV_RESOLVE) == 0)
		return;
	if (dev->conf->controller != NULL) {
		host.ptr = (const uint8_t *)dev->conf->controller;
		host.len = strlen(dev->conf->controller);
	}
	port->resolve(port->ctx, dev, (const char *)host.ptr, host.len);
}

bool bsdev__query_is_bad(const struct bsdev_query *q)
{
	return request(q)->args.bad;
}

void bsdev_query_peer(const struct bsdev_query *q, struct bsdev_peer *peer)
{
	bsdev__peer_from_conn(peer, request(q)->conn);
}

uint32_t bsdev_query_token(const struct bsdev_query *q)
{
	return request(q)->token;
}

uint8_t bsdev_read_u8(struct bsdev_query *q)
{
	return bs_cursor_read_u8(&request(q)->args);
}

uint16_t bsdev_read_u16(struct bsdev_query *q)
{
	return bs_cursor_read_u16(&request(q)->args);
}

uint32_t bsdev_read_u32(struct bsdev_query *q)
{
	return bs_cursor_read_u32(&request(q)->args);
}

const uint8_t *bsdev_read_raw(struct bsdev_query *q, size_t *len)
{
	const struct bs_slice raw = bs_rpc_read_raw(&request(q)->args);

	*len = raw.len;
	return raw.ptr;
}

void bsdev_write_u8(struct bsdev_query *q, uint8_t v)
{
	bs_writer_put_u8(&request(q)->reply, v);
}

void bsdev_write_u16(struct bsdev_query *q, uint16_t v)
{
	bs_writer_put_u16(&request(q)->reply, v);
}

void bsdev_write_u32(struct bsdev_query *q, uint32_t v)
{
	bs_writer_put_u32(&request(q)->reply, v);
}

void bsdev_write_raw(struct bsdev_query *q, const void *data, size_t len)
{
	const struct bs_slice raw = { data, len };

	bs_rpc_write_raw(&request(q)->reply, raw);
}

size_t bsdev_write_list(struct bsdev_query *q)
{
	return bs_rpc_list_begin(&request(q)->reply);
}

void bsdev_write_list_end(struct bsdev_query *q, size_t mark, uint16_t n)
{
	bs_rpc_list_end(&request(q)->reply, mark, n);
}
