/* SPDX-License-Identifier: Apache-2.0 */
#include "devices.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/openssl.h"
#include "util/cursor.h"
#include "util/endpoint.h"
#include "util/numbers.h"
#include "wire/connect.h"
#include "wire/invite.h"

enum {
	/* Attach servers that one population meets; a cluster has a few. */
	SERVERS_MAX = 16,
	/* Every device's own timer is looked at once in so long, every attempt's ten times as
	 * often: they are seconds, and looking costs a pass over all records. */
	SWEEP_MS = 1000,
	SWEEP_ATTEMPTS_MS = 100,
	/* With a patience that is not the stock one, a device whose first request does not come
	 * starts over after so long: the response was lost, and five times a long patience would
	 * keep a whole run waiting for a few. */
	UNCONFIRMED_S = 20,
	STAMP_NS = 10000,
};

#define NONE UINT32_MAX

enum device_state {
	OFF = 0,
	WAITING,
	ATTACHING,
	ATTACHED, /* as the device thinks; flag CONFIRMED: the server, too */
};

enum device_flag {
	CONFIRMED = 0x01,
	POLLED = 0x02,
	/* In the queue of those that wait: it is entered once however often it is started. */
	QUEUED = 0x04,
};

struct device {
	struct bs_alive_device alive;
	uint32_t nsi;
	uint32_t granted;
	uint32_t heard; /* stamp of the last request */
	uint32_t asked; /* stamp of the first invite or of the poll */
	uint32_t attempt;
	uint32_t ip;
	uint16_t socket;
	uint8_t server;
	uint8_t state : 4;
	uint8_t flags : 4;
};

/* What only a device that attaches needs. */
struct attempt {
	uint32_t device; /* NONE = free */
	struct bs_device_conf conf;
	struct bs_attach_device attach;
	uint8_t psk[BS_PSK_LEN];
	char id[IDS_NAME_MAX];
};

struct devices {
	struct devices_conf conf;
	struct device *dev;
	struct bs_key_block *key; /* [n] C keys; pages exist as devices attach */
	struct attempt *attempt;
	uint32_t *free_attempt; /* stack */
	uint32_t n_free;
	uint32_t *queue; /* ring of those that wait */
	uint32_t queue_head;
	uint32_t n_queue;
	struct bs_device_conf alive_conf; /* all devices keep alive alike */
	struct bs_attach_device attached; /* whichever is looked at */
	struct bs_endpoint server[SERVERS_MAX];
	unsigned n_servers;
	struct bs_numbers numbers; /* shared addresses only; value: index of the device */
	struct sockets sockets;
	struct bs_openssl *openssl;
	const struct bs_crypto *crypto;
	struct devices_counts counts;
	struct devices_times *times;
	bool again;
	bool leg;
	uint32_t n_attached;
	uint64_t heard;
	uint64_t now;
	uint64_t swept;
	uint32_t sweep_at;
	uint32_t sweep_attempt_at;
};

static const struct bs_device_ops no_ops;

static uint32_t stamp(uint64_t now)
{
	return (uint32_t)(now / STAMP_NS);
}

static uint64_t since(uint32_t then, uint64_t now)
{
	return (uint64_t)(stamp(now) - then) * STAMP_NS;
}

/* ---- sending */

static void send_device(struct devices *d, const struct device *dev, size_t len,
			const struct bs_endpoint *to)
{
	sockets_commit(&d->sockets, len, dev->socket, dev->ip, to);
}

/* An attached device as the machine of the core: all are the same but for their record. */
static struct bs_attach_device *borrow(struct devices *d, uint32_t i)
{
	const struct device *dev = &d->dev[i];
	struct bs_attach_device *a = &d->attached;

	a->state = BS_ATTACH_ATTACHED;
	a->nsi = dev->nsi;
	a->granted = dev->granted;
	a->server = d->server[dev->server];
	a->alive = dev->alive;
	/* Without extensions keep-alives need no key, and the key is two cache lines away. */
	if (dev->granted)
		a->key.c = d->key[i];
	return a;
}

/* Send what it has to say, and take the record back. */
static void give_back(struct devices *d, uint32_t i)
{
	struct device *dev = &d->dev[i];
	struct bs_endpoint to;
	size_t len;

	while ((len = bs_attach_output(&d->attached, sockets_reserve(&d->sockets), BS_UDP_BUF, &to,
				       d->now)) > 0)
		send_device(d, dev, len, &to);
	dev->alive = d->attached.alive;
}

static void flush_attempt(struct devices *d, struct attempt *a)
{
	struct device *dev = &d->dev[a->device];
	struct bs_endpoint to;
	size_t len;

	while ((len = bs_attach_output(&a->attach, sockets_reserve(&d->sockets), BS_UDP_BUF, &to,
				       d->now)) > 0)
		send_device(d, dev, len, &to);
}

/* ---- attaching */

static void give_attempt(struct devices *d, struct device *dev)
{
	struct attempt *a;

	if (dev->attempt == NONE)
		return;
	a = &d->attempt[dev->attempt];
	bs_attach_fini(&a->attach);
	bs_wipe(a->psk, sizeof(a->psk));
	a->device = NONE;
	d->free_attempt[d->n_free++] = dev->attempt;
	dev->attempt = NONE;
}

static void enqueue(struct devices *d, uint32_t i)
{
	struct device *dev = &d->dev[i];

	dev->state = WAITING;
	if (dev->flags & QUEUED)
		return;
	dev->flags |= QUEUED;
	d->queue[(d->queue_head + d->n_queue++) % d->conf.n] = i;
}

/* ---- numbers, where many devices share one address and nothing else tells them apart */

static int make_numbers(struct devices *d)
{
	/* Twice as many as devices, so that a look-up is one step or two. */
	const uint32_t cap = 2 * d->conf.n + 16;
	struct bs_number *at = calloc(cap, sizeof(*at));

	if (!at)
		return BS_ENOMEM;
	bs_numbers_init(&d->numbers, at, cap, cap - 1);
	return BS_OK;
}

static uint32_t of_number(const struct devices *d, uint32_t number)
{
	const struct bs_number *e = bs_numbers_find(&d->numbers, number);

	return e ? e->value : NONE;
}

/* The server may give a number again that another device still believes to be its own. */
static void note_number(struct devices *d, uint32_t i)
{
	struct bs_number *e = bs_numbers_find(&d->numbers, d->dev[i].nsi);

	if (e)
		e->value = i;
	else if (bs_numbers_put(&d->numbers, d->dev[i].nsi, i) != BS_OK)
		d->counts.refused++; /* none of ours is 0, and there is room for all */
}

static void forget_number(struct devices *d, uint32_t i)
{
	if (of_number(d, d->dev[i].nsi) == i)
		bs_numbers_remove(&d->numbers, d->dev[i].nsi);
}

static void forget(struct devices *d, uint32_t i)
{
	struct device *dev = &d->dev[i];

	if (dev->flags & CONFIRMED)
		d->n_attached--;
	if (d->conf.shared && dev->state == ATTACHED)
		forget_number(d, i);
	give_attempt(d, dev);
	bs_wipe(&d->key[i], sizeof(d->key[i]));
	dev->nsi = 0;
	dev->heard = 0;
	dev->state = OFF;
	dev->flags &= QUEUED;
}

/* Index of an attach server; a device whose server is the 17th goes to the first. */
static uint8_t server_index(struct devices *d, const struct bs_endpoint *ep)
{
	unsigned i;

	for (i = 0; i < d->n_servers; i++)
		if (bs_endpoint_equal(&d->server[i], ep))
			return (uint8_t)i;
	if (i == SERVERS_MAX)
		return 0;
	d->server[d->n_servers++] = *ep;
	return (uint8_t)i;
}

/* The response is on its way: what the attempt has found out goes into the record. */
static void settle(struct devices *d, struct attempt *a)
{
	const uint32_t i = a->device;
	struct device *dev = &d->dev[i];

	dev->alive = a->attach.alive;
	dev->nsi = a->attach.nsi;
	dev->granted = a->attach.granted;
	dev->server = server_index(d, &a->attach.server);
	d->key[i] = a->attach.key.c;
	dev->state = ATTACHED;
	if (d->conf.shared)
		note_number(d, i);
	give_attempt(d, dev);
}

/* Play the controller that was asked before: its answer would be the same. */
static void skip_controller(struct devices *d, struct attempt *a)
{
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_invite_answer m = { .server = d->server[0] };
	struct bs_packet p;
	bs_ssize len;

	bs_endpoint_set_ip4(&m.observed, d->dev[a->device].ip,
			    d->sockets.s[d->dev[a->device].socket].port);
	len = bs_invite_answer_encode(buf, sizeof(buf), &m);
	if (len > 0 && bs_packet_decode(buf, (size_t)len, &p) == BS_OK &&
	    bs_attach_input(&a->attach, &p, buf, &d->conf.server, d->now) != BS_OK)
		d->counts.refused++;
}

/* Send what the attempt has to say, and see what became of it. */
static void step_attempt(struct devices *d, struct attempt *a)
{
	uint8_t events;

	flush_attempt(d, a);
	events = bs_attach_take_events(&a->attach);
	if (events & BS_ATTACH_EV_FAILED)
		d->counts.failed++;
	if (events & BS_ATTACH_EV_RESOLVE) {
		bs_attach_resolved(&a->attach, &d->conf.server, 1, d->now);
		if (d->leg)
			skip_controller(d, a);
		flush_attempt(d, a);
	}
	if (bs_attach_is_attached(&a->attach))
		settle(d, a);
}

static void begin(struct devices *d, uint32_t i, uint32_t slot)
{
	struct attempt *a = &d->attempt[slot];
	struct device *dev = &d->dev[i];

	a->device = i;
	a->conf = d->alive_conf;
	a->conf.id.len = ids_name(&d->conf.ids, i, a->id);
	a->conf.id.ptr = (const uint8_t *)a->id;
	ids_secret(&d->conf.ids, i, a->psk);
	a->conf.psk = a->psk;
	bs_attach_init(&a->attach, &a->conf, d->crypto);
	dev->attempt = slot;
	dev->state = ATTACHING;
	dev->asked = stamp(d->now);
	/* Behind a shared address the attempt is the port: only one may attach through it. */
	if (d->conf.shared) {
		dev->ip = d->conf.first_ip + slot % d->conf.shared;
		dev->socket = (uint16_t)(slot / d->conf.shared);
	}
	d->counts.started++;
	bs_attach_start(&a->attach, d->now);
	step_attempt(d, a);
}

uint32_t devices_begin(struct devices *d, uint32_t n, uint64_t now)
{
	uint32_t done = 0;

	d->now = now;
	while (done < n && d->n_queue > 0 && d->n_free > 0) {
		const uint32_t i = d->queue[d->queue_head];

		d->queue_head = (d->queue_head + 1) % d->conf.n;
		d->n_queue--;
		d->dev[i].flags &= ~QUEUED;
		/* It may have been switched off while it waited. */
		if (d->dev[i].state != WAITING)
			continue;
		begin(d, i, d->free_attempt[--d->n_free]);
		done++;
	}
	return done;
}

void devices_start(struct devices *d, uint32_t i)
{
	if (d->dev[i].state == OFF)
		enqueue(d, i);
}

void devices_stop(struct devices *d, uint32_t i)
{
	forget(d, i);
}

bool devices_poll(struct devices *d, uint32_t i, uint64_t now)
{
	struct device *dev = &d->dev[i];

	/* One at a time, or the answer to one would be taken for that to another. */
	if (!(dev->flags & CONFIRMED) || (dev->flags & POLLED))
		return false;
	dev->flags |= POLLED;
	dev->asked = stamp(now);
	d->counts.polls++;
	borrow(d, i)->alive.poll = true;
	give_back(d, i);
	return true;
}

void devices_rebind(struct devices *d, uint32_t i)
{
	d->dev[i].socket = (uint16_t)((d->dev[i].socket + 1) % d->sockets.n);
}

/* ---- receiving */

static void confirm(struct devices *d, struct device *dev)
{
	dev->flags |= CONFIRMED;
	d->n_attached++;
	d->counts.attached++;
	if (d->times)
		histogram_add(&d->times->attach, since(dev->asked, d->now));
}

static void time_request(struct devices *d, struct device *dev)
{
	const uint64_t interval = (uint64_t)d->conf.interval_ms * BS_TIME_PER_MS;
	const uint64_t gap = since(dev->heard, d->now);

	if (dev->flags & POLLED)
		histogram_add(&d->times->poll, since(dev->asked, d->now));
	else if (interval && dev->heard)
		histogram_add(&d->times->late, gap > interval ? gap - interval : 0);
}

static int input_alive(struct devices *d, uint32_t i, const struct bs_packet *p,
		       const struct bs_datagram *in)
{
	struct device *dev = &d->dev[i];
	int err = bs_attach_input(borrow(d, i), p, in->data, &in->peer, d->now);

	if (err)
		return err;
	d->counts.requests++;
	/* A poll is answered with the request under way, if there is one. */
	if (d->attached.alive.again && !(dev->flags & POLLED))
		d->counts.repeated++;
	else if (!(dev->flags & CONFIRMED))
		confirm(d, dev);
	else if (d->times)
		time_request(d, dev);
	dev->flags &= ~POLLED;
	dev->heard = stamp(d->now);
	if (!d->leg)
		give_back(d, i);
	if (d->again) {
		forget(d, i);
		enqueue(d, i);
	}
	return BS_OK;
}

/* Let the client in, as a device without rules of its own does, once its key is authentic. */
static int input_connect(struct devices *d, uint32_t i, const struct bs_packet *p,
			 const struct bs_datagram *in)
{
	struct bs_connect_request m;
	struct bs_connect_answer answer = { .code = BS_ST_OK };
	struct bs_slice plain;
	bs_ssize len;
	int err = bs_connect_request_decode(p, &m);

	if (p->h.nsi_sp != d->dev[i].nsi)
		err = BS_ESOURCE;
	if (!err && !m.has_crypto)
		err = BS_EMISSING;
	if (!err)
		err = bs_suite_aes_cbc.open(d->crypto, &d->key[i], BS_RESPONDER, in->data, in->len,
					    m.crypto_off, &plain);
	if (err)
		return err;
	answer.cp = p->h.nsi_cp;
	answer.sp = p->h.nsi_sp;
	answer.seq = p->h.seq;
	answer.nsi = m.ipx.nsi_sp;
	len = bs_connect_answer_encode(sockets_reserve(&d->sockets), BS_UDP_BUF, &answer);
	if (len > 0)
		send_device(d, &d->dev[i], (size_t)len, &in->peer);
	d->counts.connects++;
	return BS_OK;
}

/* Which device a datagram is for; NONE when it is for none. */
static uint32_t addressee(const struct devices *d, unsigned socket, const struct bs_datagram *in,
			  const struct bs_packet *p)
{
	const uint32_t at = bs_endpoint_ip4(&in->local) - d->conf.first_ip;
	uint32_t slot;

	if (!d->conf.shared)
		return at < d->conf.n && d->dev[at].socket == socket ? at : NONE;
	if (p->h.type == BS_TYPE_U_ALIVE || p->h.type == BS_TYPE_U_CONNECT)
		return of_number(d, p->h.nsi_sp);
	slot = at + socket * d->conf.shared;
	return at < d->conf.shared && slot < d->conf.attempts ? d->attempt[slot].device : NONE;
}

static int input(struct devices *d, uint32_t i, const struct bs_packet *p,
		 const struct bs_datagram *in)
{
	struct device *dev = &d->dev[i];
	int err;

	if (dev->state == ATTACHING) {
		struct attempt *a = &d->attempt[dev->attempt];

		err = bs_attach_input(&a->attach, p, in->data, &in->peer, d->now);
		step_attempt(d, a);
		return err;
	}
	if (dev->state != ATTACHED)
		return BS_ESTATE;
	switch (p->h.type) {
	case BS_TYPE_U_ALIVE: return input_alive(d, i, p, in);
	case BS_TYPE_U_CONNECT: return input_connect(d, i, p, in);
	default: return BS_ETYPE;
	}
}

static void receive(void *ctx, unsigned socket, struct bs_datagram *in)
{
	struct devices *d = ctx;
	struct bs_packet p;
	uint32_t i;

	if (bs_packet_decode(in->data, in->len, &p)) {
		d->counts.strange++;
		return;
	}
	i = addressee(d, socket, in, &p);
	if (i == NONE)
		d->counts.strange++;
	else if (input(d, i, &p, in))
		d->counts.refused++;
}

/* ---- time */

static bool is_stuck(const struct devices *d, const struct device *dev)
{
	return d->conf.patience_ms && dev->state == ATTACHED && !(dev->flags & CONFIRMED) &&
	       since(dev->asked, d->now) > UNCONFIRMED_S * UINT64_C(1000000000);
}

static void look_at(struct devices *d, uint32_t i)
{
	struct device *dev = &d->dev[i];

	if (is_stuck(d, dev)) {
		forget(d, i);
		enqueue(d, i);
		return;
	}
	if (dev->state != ATTACHED || BS_TIME_DIFF(d->now, dev->alive.due) < 0)
		return;
	bs_attach_timeout(borrow(d, i), d->now);
	if (!bs_attach_is_attached(&d->attached)) {
		d->counts.lost++;
		forget(d, i);
		enqueue(d, i);
		return;
	}
	if (d->attached.alive.poll)
		d->counts.patience++;
	give_back(d, i);
}

static void look_at_attempt(struct devices *d, struct attempt *a)
{
	bs_time at;

	if (a->device == NONE || !bs_attach_next_timeout(&a->attach, &at) ||
	    BS_TIME_DIFF(d->now, at) < 0)
		return;
	bs_attach_timeout(&a->attach, d->now);
	step_attempt(d, a);
}

/* How many of n are to be looked at now, so that all have been after so long; at most all. */
static uint32_t share_of(uint32_t n, uint64_t passed, unsigned sweep_ms)
{
	const uint64_t share = n * passed / BS_TIME_MS(sweep_ms) + 1;

	return share < n ? (uint32_t)share : n;
}

static void sweep(struct devices *d)
{
	const uint64_t passed = d->now - d->swept;
	uint32_t n;

	/* Short steps would look at one more device each than there is time for. */
	if (passed < BS_TIME_MS(1))
		return;
	d->swept = d->now;
	for (n = share_of(d->conf.n, passed, SWEEP_MS); n > 0; n--) {
		look_at(d, d->sweep_at);
		d->sweep_at = (d->sweep_at + 1) % d->conf.n;
	}
	for (n = share_of(d->conf.attempts, passed, SWEEP_ATTEMPTS_MS); n > 0; n--) {
		look_at_attempt(d, &d->attempt[d->sweep_attempt_at]);
		d->sweep_attempt_at = (d->sweep_attempt_at + 1) % d->conf.attempts;
	}
}

unsigned devices_step(struct devices *d, uint64_t now)
{
	unsigned got;

	d->now = now;
	got = sockets_receive(&d->sockets, receive, d);
	if (got > 0)
		d->heard = now;
	sweep(d);
	sockets_flush(&d->sockets);
	return got;
}

/* ---- making */

static int allocate(struct devices *d)
{
	const struct devices_conf *c = &d->conf;

	d->dev = calloc(c->n, sizeof(*d->dev));
	d->key = calloc(c->n, sizeof(*d->key));
	d->queue = calloc(c->n, sizeof(*d->queue));
	d->attempt = calloc(c->attempts, sizeof(*d->attempt));
	d->free_attempt = calloc(c->attempts, sizeof(*d->free_attempt));
	d->openssl = bs_openssl_new();
	if (!d->dev || !d->key || !d->queue || !d->attempt || !d->free_attempt || !d->openssl)
		return BS_ENOMEM;
	if (c->shared && make_numbers(d) != BS_OK)
		return BS_ENOMEM;
	d->crypto = bs_openssl_crypto(d->openssl);
	return sockets_open(&d->sockets, c->poller, c->sockets, c->buffer_bytes);
}

struct devices *devices_new(const struct devices_conf *conf, int *err)
{
	struct devices *d = calloc(1, sizeof(*d));

	*err = BS_ENOMEM;
	if (!d)
		return NULL;
	d->conf = *conf;
	if (conf->shared && d->conf.attempts > conf->shared * conf->sockets)
		d->conf.attempts = conf->shared * conf->sockets;
	*err = allocate(d);
	if (*err) {
		devices_free(d);
		return NULL;
	}
	d->alive_conf.ops = &no_ops;
	d->alive_conf.ext_offer = conf->ext_offer;
	d->alive_conf.alive_ms = conf->patience_ms;
	bs_attach_init(&d->attached, &d->alive_conf, d->crypto);
	for (uint32_t i = 0; i < conf->n; i++) {
		d->dev[i].attempt = NONE;
		d->dev[i].ip = conf->first_ip + i;
	}
	/* The lowest is taken first. */
	for (uint32_t i = d->conf.attempts; i > 0; i--) {
		d->attempt[i - 1].device = NONE;
		d->free_attempt[d->n_free++] = i - 1;
	}
	return d;
}

void devices_free(struct devices *d)
{
	if (!d)
		return;
	bs_attach_fini(&d->attached);
	sockets_close(&d->sockets);
	free(d->numbers.at);
	free(d->dev);
	free(d->key);
	free(d->queue);
	free(d->attempt);
	free(d->free_attempt);
	bs_openssl_free(d->openssl);
	free(d);
}

/* ---- looking */

uint32_t devices_attached(const struct devices *d)
{
	return d->n_attached;
}

uint32_t devices_waiting(const struct devices *d)
{
	return d->n_queue;
}

uint32_t devices_under_way(const struct devices *d)
{
	return d->conf.attempts - d->n_free;
}

const struct devices_counts *devices_counts(const struct devices *d)
{
	return &d->counts;
}

void devices_again(struct devices *d, bool again, bool leg)
{
	d->again = again;
	d->leg = again && leg && d->n_servers > 0;
}

void devices_time_into(struct devices *d, struct devices_times *t)
{
	d->times = t;
}

uint64_t devices_heard(const struct devices *d)
{
	return d->heard;
}

struct bs_endpoint devices_server(const struct devices *d)
{
	return d->server[0];
}

struct sockets *devices_sockets(struct devices *d)
{
	return &d->sockets;
}

size_t devices_record_bytes(void)
{
	return sizeof(struct device) + sizeof(struct bs_key_block) + sizeof(uint32_t);
}
