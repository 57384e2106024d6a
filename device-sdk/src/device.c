/* SPDX-License-Identifier: Apache-2.0 */
#include "context.h"

#include <string.h>

#include "basestation/version.h"
#include "crypto/small.h"
#include "util/endpoint.h"

/** Name of the master switch in the storage hook; one byte, 0 or 1. */
static const char switch_name[] = "switch";

/* Longest texts that basestations keep. */
enum {
	VERSION_MAX = 10,
	URL_MAX = 64
};

size_t bsdev__reply_slots(size_t connections)
{
	return BS_IP_LEN == 4 ? 1 : connections;
}

static void set_text(struct bs_slice *out, const char *s)
{
	out->ptr = (const uint8_t *)s;
	out->len = s != NULL ? strlen(s) : 0;
}

/** What n connections really need; BSDEV_STORAGE_LEN promises at least that. */
#define STORAGE_LEN(n)                                                                             \
 (sizeof(struct bsdev) + (n) * sizeof(struct bs_device_conn) +                                     \
  (BS_IP_LEN == 4 ? 1 : (n)) * sizeof(struct bs_rpc_slot))

/** Fails to compile where the promise does not hold (C99 has no static assertion). */
typedef char bsdev__storage_check[STORAGE_LEN(1u) <= BSDEV_STORAGE_LEN(1) &&
						  STORAGE_LEN(16u) <= BSDEV_STORAGE_LEN(16)
					  ? 1
					  : -1];

static int check_conf(const struct bsdev_conf *conf, const struct bsdev_port *port)
{
	if (conf == NULL || port == NULL || conf->id == NULL || port->resolve == NULL ||
	    (port->random == NULL && port->crypto == NULL))
		return BS_EINVAL;
	if (conf->connections < 1 || conf->connections > 16)
		return BS_EINVAL;
	return BS_OK;
}

/** Extensions that this build, the crypto at hand or the application has no means for. */
static uint32_t cannot_do(const struct bsdev_conf *conf, const struct bs_crypto *crypto)
{
	uint32_t bits = 0;

	if (bs_crypto_gcm(crypto) == NULL)
		bits |= BS_EXT_GCM;
	if (!BS_WITH_CONN_EXT)
		bits |= BS_EXT_FAST_STREAM;
	if (!BS_WITH_ADMISSION)
		bits |= BS_EXT_COOKIE | BS_EXT_RETRY;
	if (!BS_WITH_CONN_EXT || conf->pair == NULL)
		bits |= BS_EXT_PAIR;
	if (!BS_WITH_AUTH_ALIVE || conf->secret == NULL)
		bits |= BS_EXT_AUTH_ALIVE;
	/* An interval counts under a MAC only. */
	if (bits & BS_EXT_AUTH_ALIVE || !(conf->extensions & BS_EXT_AUTH_ALIVE))
		bits |= BS_EXT_INTERVAL;
	return bits;
}

static int fill_core_conf(struct bsdev *dev, const struct bs_crypto *crypto)
{
	struct bs_device_conf *c = &dev->core_conf;
	const struct bsdev_conf *conf = dev->conf;

	set_text(&c->id, conf->id);
	/* The core refuses a device that has neither a secret nor the means to do without. */
	if (conf->secret != NULL) {
		memcpy(dev->secret, conf->secret, sizeof(dev->secret));
		c->psk = dev->secret;
	} else {
		c->legacy = BSDEV__LEGACY_ATTACH;
		c->plain_suite = BSDEV__PLAIN_SUITE;
	}
	c->major = BS_VERSION_MAJOR;
	c->minor = BS_VERSION_MINOR;
	c->patch = BS_VERSION_PATCH;
	set_text(&c->app_version, conf->version);
	set_text(&c->url, conf->url);
	c->ext_offer = conf->extensions & ~cannot_do(conf, crypto);
	c->alive_ms = conf->alive_ms;
	bs_device_set_sockets(c, bsdev__sockets(dev->port));
	bsdev__allow_relay(c, dev->port);
	c->ops = &bsdev__ops;
	c->app = dev;
	return c->app_version.len > VERSION_MAX || c->url.len > URL_MAX ? BS_EINVAL : BS_OK;
}

/** The stored position of the switch, or the configured one where none is stored. */
static bool initial_switch(const struct bsdev *dev)
{
	const struct bsdev_storage *st = dev->conf->storage;
	uint8_t on = 0;

	if (st != NULL && st->get(st->ctx, switch_name, &on, 1) == 1)
		return on != 0;
	return !dev->conf->start_off;
}

int bsdev_init(void *storage, size_t len, const struct bsdev_conf *conf,
	       const struct bsdev_port *port, bs_time now, struct bsdev **out)
{
	struct bsdev *dev = storage;
	struct bs_device_conn *conns;
	struct bs_rpc_slot *slots;
	const struct bs_crypto *crypto;
	int err = check_conf(conf, port);

	if (err != BS_OK)
		return err;
	if (len < STORAGE_LEN(conf->connections))
		return BS_ETOOBIG;
	memset(storage, 0, len);
	dev->conf = conf;
	dev->port = port;
	dev->now = now;
	crypto = port->crypto;
	if (crypto == NULL) {
		bs_small_crypto_init(&dev->small, port->random, port->ctx);
		crypto = &dev->small;
	}
	err = fill_core_conf(dev, crypto);
	conns = (struct bs_device_conn *)(void *)(dev + 1);
	slots = (struct bs_rpc_slot *)(void *)(conns + conf->connections);
	if (err == BS_OK)
		err = bs_device_init(&dev->core, &dev->core_conf, crypto, conns, conf->connections,
				     slots, bsdev__reply_slots(conf->connections));
	if (err != BS_OK) {
		bs_wipe(storage, len);
		return err;
	}
	*out = dev;
	if (initial_switch(dev)) {
		bs_device_start(&dev->core, now);
		bsdev__report(dev);
	}
	return BS_OK;
}

void bsdev_fini(struct bsdev *dev)
{
	if (dev == NULL)
		return;
	bs_device_fini(&dev->core);
	bs_wipe(dev, sizeof(*dev));
}

int bsdev_set_switch(struct bsdev *dev, bool on, bs_time now)
{
	const struct bsdev_storage *st = dev->conf->storage;
	const uint8_t value = on ? 1 : 0;

	dev->now = now;
	if (on)
		bs_device_start(&dev->core, now);
	else
		bs_device_stop(&dev->core);
	bsdev__report(dev);
	return st != NULL ? st->set(st->ctx, switch_name, &value, 1) : BS_OK;
}

bool bsdev__uses_via(const struct bsdev *dev, uint16_t via)
{
	return bs_device_uses_via(&dev->core, via);
}

enum bsdev_state bsdev_get_state(const struct bsdev *dev)
{
	return (enum bsdev_state)dev->state;
}

void bsdev_addresses(struct bsdev *dev, const struct bs_endpoint *ips, size_t n, bs_time now)
{
	struct bs_endpoint eps[BSDEV_ADDRESSES_MAX];
	const uint16_t port = dev->conf->controller_port;

	dev->now = now;
	if (n > BSDEV_ADDRESSES_MAX)
		n = BSDEV_ADDRESSES_MAX;
	for (size_t i = 0; i < n; i++) {
		eps[i] = ips[i];
		eps[i].port = port != 0 ? port : BSDEV_CONTROLLER_PORT;
	}
	if (n > 0)
		bs_device_resolved(&dev->core, eps, n, now);
	else
		bs_device_resolve_failed(&dev->core, now);
	bsdev__report(dev);
}

void bsdev_set_local(struct bsdev *dev, const struct bs_endpoint *local)
{
	bs_device_set_local(&dev->core, local);
}

void bsdev_network_changed(struct bsdev *dev, bs_time now)
{
	dev->now = now;
	bs_device_network_changed(&dev->core, now);
	bsdev__report(dev);
}

int bsdev_input(struct bsdev *dev, uint8_t *pkt, size_t len, const struct bs_endpoint *from,
		bs_time now)
{
	int err;

	dev->now = now;
	err = bs_device_input(&dev->core, pkt, len, from, now);
	bsdev__report(dev);
	return err;
}

void bsdev_timeout(struct bsdev *dev, bs_time now)
{
	dev->now = now;
	bs_device_timeout(&dev->core, now);
	bsdev__report(dev);
	bsdev__timers_run(dev, now);
}

size_t bsdev_output(struct bsdev *dev, uint8_t *buf, size_t cap, struct bs_endpoint *to,
		    bs_time now)
{
	size_t len;

	dev->now = now;
	len = bs_device_output(&dev->core, buf, cap, to, now);
	bsdev__report(dev);
	return len;
}

bool bsdev_next_timeout(const struct bsdev *dev, bs_time *at)
{
	bool set = bs_device_next_timeout(&dev->core, at);

	if (dev->timers != NULL && (!set || BS_TIME_DIFF(dev->timers->at, *at) < 0)) {
		*at = dev->timers->at;
		set = true;
	}
	return set;
}

unsigned bsdev_connections(const struct bsdev *dev)
{
	return (unsigned)bs_device_n_live(&dev->core);
}

int bsdev_reply(struct bsdev *dev, uint32_t token, uint8_t code, const void *data, size_t len)
{
	const struct bs_slice reply = { data, len };

	return bs_device_rpc_answer(&dev->core, token, code, reply);
}
