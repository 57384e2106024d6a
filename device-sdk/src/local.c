/* SPDX-License-Identifier: Apache-2.0 */
/* The local network beside a device. */
#include "basestation/device_local.h"

#include <string.h>

#include "context.h"
#include "proto/local_device.h"

struct bsdev_local {
	struct bsdev *dev;
	const struct bsdev_local_conf *conf;
	bsdev_near_fn near;
	void *near_ctx;
	struct bs_local_conf core_conf;
	struct bs_local_device core;
};

/** Fails to compile where the header's promise does not hold. */
typedef char bsdev__local_check[sizeof(struct bsdev_local) <= BSDEV_LOCAL_STORAGE_LEN ? 1 : -1];

static uint16_t on_key(void *app, const uint8_t *key_id, const struct bs_access *who,
		       struct bs_local_key *out)
{
	struct bsdev_local *l = app;
	struct bsdev_peer peer;
	struct bsdev_key key;
	bool found;

	memset(&key, 0, sizeof(key));
	bsdev__peer_from_access(&peer, who);
	found = l->conf->key != NULL && l->conf->key(l->conf->ctx, l->dev, key_id, &peer, &key);
	memcpy(out->psk, key.psk, sizeof(out->psk));
	out->proves_fingerprint = key.proves_fingerprint;
	bs_wipe(&key, sizeof(key));
	return found ? BS_ST_OK : BS_ST_KEY_ID;
}

static bool on_near(void *app, const struct bs_endpoint *from)
{
	const struct bsdev_local *l = app;

	return l->near(l->near_ctx, from);
}

int bsdev_local_init(void *storage, size_t len, struct bsdev *dev,
		     const struct bsdev_local_conf *conf, bsdev_near_fn near, void *near_ctx,
		     struct bsdev_local **out)
{
	struct bsdev_local *l = storage;

	if (dev == NULL || conf == NULL)
		return BS_EINVAL;
	if (len < sizeof(*l))
		return BS_ETOOBIG;
	memset(l, 0, sizeof(*l));
	l->dev = dev;
	l->conf = conf;
	l->near = near;
	l->near_ctx = near_ctx;
	l->core_conf.port = conf->port != 0 ? conf->port : BSDEV_LOCAL_PORT;
	l->core_conf.allow = (uint8_t)(conf->allow & (BSDEV_LOCAL_DISCOVERY | BSDEV_LOCAL_PSK |
						      BSDEV_LOCAL_PLAIN));
	l->core_conf.key = on_key;
	l->core_conf.is_near = near != NULL ? on_near : NULL;
	l->core_conf.app = l;
	bs_local_device_init(&l->core, &dev->core, &l->core_conf);
	*out = l;
	return BS_OK;
}

void bsdev_local_fini(struct bsdev_local *l)
{
	if (l == NULL)
		return;
	bs_local_device_stop(&l->core);
	bs_wipe(l, sizeof(*l));
}

int bsdev_local_input(struct bsdev_local *l, uint8_t *pkt, size_t len,
		      const struct bs_endpoint *from, bs_time now)
{
	int err;

	l->dev->now = now;
	err = bs_local_device_input(&l->core, pkt, len, from, now);
	bsdev__report(l->dev);
	return err;
}

void bsdev_local_timeout(struct bsdev_local *l, bs_time now)
{
	/* Handshakes end with the switch, as everything does. */
	if (bsdev_get_state(l->dev) == BSDEV_OFF)
		bs_local_device_stop(&l->core);
	bs_local_device_timeout(&l->core, now);
}

size_t bsdev_local_output(struct bsdev_local *l, uint8_t *buf, size_t cap, struct bs_endpoint *to)
{
	return bs_local_device_output(&l->core, buf, cap, to);
}

bool bsdev_local_next_timeout(const struct bsdev_local *l, bs_time *at)
{
	return bs_local_device_next_timeout(&l->core, at);
}
