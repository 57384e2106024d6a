/* SPDX-License-Identifier: Apache-2.0 */
#include "rig_device.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/openssl.h"
#include "net/sockaddr.h"
#include "proto/attach_legacy.h"
#include "proto/device.h"
#include "util/endpoint.h"

struct rig_core {
	struct bs_device dev;
	struct bs_device_conf conf;
	struct bs_device_ops ops;
	struct bs_device_conn conns[10];
	struct bs_rpc_slot slots[1];
	struct bs_openssl *openssl;
	uint8_t psk[BS_PSK_LEN];
};

static uint16_t on_access(void *app, const struct bs_access *who)
{
	struct rig_device *d = app;

	d->asked++;
	d->has_fp = who->fp != NULL;
	d->has_attempt = who->attempt != NULL;
	if (who->attempt)
		memcpy(d->attempt, who->attempt, sizeof(d->attempt));
	snprintf(d->client_id, sizeof(d->client_id), "%.*s", (int)who->client_id.len,
		 (const char *)who->client_id.ptr);
	return d->access;
}

static size_t on_events(void *app, bool again, uint8_t *buf, size_t cap)
{
	struct rig_device *d = app;
	size_t len = d->event ? strlen(d->event) : 0;

	if ((d->event_taken && !again) || len == 0 || len > cap)
		return 0;
	memcpy(buf, d->event, len);
	d->event_taken = true;
	return len;
}

static size_t on_candidates(void *app, struct bs_endpoint *out, size_t cap)
{
	(void)app;
	if (cap == 0)
		return 0;
	memset(out, 0, sizeof(*out));
	out->ip[0] = 0xFD;
	out->ip[15] = 7;
	out->port = 4242;
	return 1;
}

static void open_socket(struct rig_device *d)
{
	union bs_sockaddr sa;
	struct bs_endpoint any = d->controller;
	socklen_t len;

	any.port = 0;
	len = bs_sockaddr_set(&sa, &any);
	if (d->fd >= 0)
		close(d->fd);
	d->fd = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(d->fd, 0);
	ck_assert_int_eq(bind(d->fd, &sa.sa, len), 0);
}

struct rig_device *rig_device_new(const char *id, uint8_t fill, uint32_t ext,
				  const struct bs_endpoint *controller)
{
	struct rig_device *d = calloc(1, sizeof(*d));
	struct rig_core *k = calloc(1, sizeof(*k));

	ck_assert(d && k);
	d->core = k;
	d->fd = -1;
	d->access = BS_ST_OK;
	d->controller = *controller;
	snprintf(d->id, sizeof(d->id), "%s", id);
	memset(k->psk, fill, sizeof(k->psk));
	k->openssl = bs_openssl_new();
	k->ops.access = on_access;
	k->ops.events = on_events;
	k->ops.candidates = on_candidates;
	k->conf.id = (struct bs_slice){ (const uint8_t *)d->id, strlen(d->id) };
	k->conf.psk = k->psk;
	k->conf.major = 4;
	k->conf.minor = 6;
	k->conf.label = (struct bs_slice){ (const uint8_t *)"-alpha.0", 8 };
	k->conf.app_version = (struct bs_slice){ (const uint8_t *)"1.0", 3 };
	k->conf.ext_offer = ext;
	k->conf.ops = &k->ops;
	k->conf.app = d;
	ck_assert_int_eq(bs_device_init(&k->dev, &k->conf, bs_openssl_crypto(k->openssl), k->conns,
					sizeof(k->conns) / sizeof(k->conns[0]), k->slots, 1),
			 BS_OK);
	return d;
}

static void feed(struct rig_device *d)
{
	uint8_t buf[2048];
	union bs_sockaddr sa;
	struct bs_endpoint from;
	ssize_t len;

	for (;;) {
		socklen_t sl = sizeof(sa);

		len = recvfrom(d->fd, buf, sizeof(buf), 0, &sa.sa, &sl);
		if (len < 0)
			return;
		bs_sockaddr_get(&sa, &from);
		if (!d->mute)
			(void)bs_device_input(&d->core->dev, buf, (size_t)len, &from, rig_now());
	}
}

static void drain(struct rig_device *d)
{
	uint8_t buf[BS_PACKET_MAX];
	struct bs_endpoint to;
	size_t len;
	uint8_t events;

	while ((len = bs_device_output(&d->core->dev, buf, BS_PACKET_SMALL, &to, rig_now())) > 0) {
		union bs_sockaddr sa;
		socklen_t sl = bs_sockaddr_set(&sa, &to);

		if (d->mute)
			continue;
		d->sent++;
		(void)!sendto(d->fd, buf, len, 0, &sa.sa, sl);
	}
	events = bs_device_take_events(&d->core->dev);
	if (events & BS_ATTACH_EV_DETACHED)
		d->detached++;
	if (events & BS_ATTACH_EV_RENEW_SOCKET)
		open_socket(d);
	if (events & BS_ATTACH_EV_RESOLVE) {
		bs_device_resolved(&d->core->dev, &d->controller, 1, rig_now());
		drain(d);
	}
}

void rig_tcp_relay(struct rig_device *d)
{
	d->core->conf.tcp_relay = true;
}

void rig_legacy(struct rig_device *d)
{
	d->core->conf.legacy = &bs_legacy_attach;
	d->core->conf.plain_suite = &bs_suite_null;
}

void rig_start(struct rig_device *d)
{
	if (d->fd < 0)
		open_socket(d);
	d->running = true;
	bs_device_start(&d->core->dev, rig_now());
	drain(d);
}

void rig_rebind(struct rig_device *d)
{
	open_socket(d);
}

void rig_poll(struct rig_device *d)
{
	d->core->dev.attach.alive.poll = true;
	drain(d);
}

uint16_t rig_interval(const struct rig_device *d)
{
	return bs_alive_device_interval(&d->core->dev.attach.alive);
}

bool rig_has_auth(const struct rig_device *d)
{
	return d->core->dev.attach.granted & BS_EXT_AUTH_ALIVE;
}

bool rig_attached(const struct rig_device *d)
{
	return bs_attach_is_attached(&d->core->dev.attach);
}

uint32_t rig_nsi(const struct rig_device *d)
{
	return d->core->dev.attach.nsi;
}

size_t rig_live(const struct rig_device *d)
{
	return bs_device_n_live(&d->core->dev);
}

const uint8_t *rig_c_key(const struct rig_device *d)
{
	return d->core->dev.attach.key.c.b;
}

void rig_restart(struct rig_device *d)
{
	bs_device_stop(&d->core->dev);
	open_socket(d);
	rig_start(d);
}

void rig_send(struct rig_device *d, const void *buf, size_t len, bool to_controller)
{
	union bs_sockaddr sa;
	socklen_t sl =
		bs_sockaddr_set(&sa, to_controller ? &d->controller : &d->core->dev.attach.server);

	ck_assert_int_eq(sendto(d->fd, buf, len, 0, &sa.sa, sl), (ssize_t)len);
}

ssize_t rig_receive(struct rig_device *d, uint8_t *buf, size_t cap, int ms)
{
	struct pollfd p = { .fd = d->fd, .events = POLLIN };
	bs_time end = rig_now() + BS_TIME_MS(ms);

	/* By the clock that the server goes by, which moves on here. */
	while (poll(&p, 1, ms > 0 ? 1 : 0) <= 0) {
		if (BS_TIME_DIFF(end, rig_now()) <= 0)
			return -1;
	}
	return recv(d->fd, buf, cap, 0);
}

void rig_device_step(struct rig_device *d)
{
	bs_time at;

	feed(d);
	if (bs_device_next_timeout(&d->core->dev, &at) && BS_TIME_DIFF(rig_now(), at) >= 0)
		bs_device_timeout(&d->core->dev, rig_now());
	drain(d);
}

void rig_device_free(struct rig_device *d)
{
	bs_device_fini(&d->core->dev);
	bs_openssl_free(d->core->openssl);
	if (d->fd >= 0)
		close(d->fd);
	free(d->core);
	free(d);
}
