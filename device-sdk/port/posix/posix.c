/* SPDX-License-Identifier: Apache-2.0 */
#include "basestation/device_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "context.h"
#include "crypto/openssl.h"
#include "legs.h"
#include "local_port.h"
#include "part.h"
#include "port/batch.h"
#include "port/sockets.h"
#include "resolver.h"
#include "socket.h"
#include "util/endpoint.h"

/** Receives in one turn, so that a flood cannot keep the timers waiting. */
#define INPUT_BATCH 32

/** While many further sockets are open they are looked at so often, not waited for. */
#define SOCKETS_LOOK_MS 20
/** How often it is looked whether further sockets are still needed. */
#define SOCKETS_SWEEP_MS 5000

/** What travels through the wake-up pipe. */
enum request {
	REQUEST_STOP = 's',
	REQUEST_ON = '1',
	REQUEST_OFF = '0'
};

struct bsdev_posix {
	struct bsdev *dev;
	struct bsdev_port port;
	struct bsdev_posix_conf conf;
	struct bs_openssl *openssl;
	struct bsdev_resolver *resolver;
	struct bsdev_socket sock;
	struct bs_batch *batch;
	struct bs_endpoint towards; /**< the basestation: decides which of our addresses is told */
	struct bs_sockets further;  /**< by via, for a symmetric NAT */
	struct bsdev_local_port local; /**< the local network */
	bs_time sweep_at;              /**< when they are looked at next */
	int n_resolver;                /**< descriptors of the resolver in the last poll */
	struct bsdev_legs legs;
	int wake[2];              /**< read end, write end */
	bool renew;               /**< the device wants a new socket before its next packet */
	bool stopped;             /**< bsdev_posix_stop was called */
	bool busy;                /**< the part has more to do at once */
	struct bsdev__part *part; /**< tunnels; NULL = none */
	void *storage;
	size_t storage_len;
};

bs_time bsdev_posix_now(void)
{
	struct timespec ts;

#ifdef CLOCK_BOOTTIME
	if (clock_gettime(CLOCK_BOOTTIME, &ts) == 0)
		return (bs_time)ts.tv_sec * UINT64_C(1000000000) + (bs_time)ts.tv_nsec;
#endif
	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (bs_time)ts.tv_sec * UINT64_C(1000000000) + (bs_time)ts.tv_nsec;
}

/** The address that clients on our network reach us by: that of the socket in use. */
static void tell_local(struct bsdev_posix *p)
{
	struct bs_endpoint local;

	if (p->sock.fd < 0 || p->towards.port == 0)
		return;
	bsdev__socket_local(&p->sock, &p->towards, &local);
	bsdev_set_local(p->dev, &local);
}

static void on_resolved(void *ctx, const struct bs_endpoint *ips, size_t n)
{
	struct bsdev_posix *p = ctx;

	if (n > 0) {
		p->towards = ips[0];
		p->towards.port = BSDEV_CONTROLLER_PORT;
		tell_local(p);
	}
	bsdev_addresses(p->dev, ips, n, bsdev_posix_now());
}

static void port_resolve(void *ctx, struct bsdev *dev, const char *host, size_t host_len)
{
	struct bsdev_posix *p = ctx;

	p->dev = dev; /* a numeric name is answered from inside bsdev_init */
	bsdev__resolver_start(p->resolver, host, host_len);
}

static size_t port_hosts(void *ctx, struct bs_endpoint *out, size_t cap)
{
	const struct bsdev_posix *p = ctx;

	return bsdev__socket_hosts6(&p->sock, out, cap);
}

static void port_renew(void *ctx, struct bsdev *dev)
{
	struct bsdev_posix *p = ctx;

	(void)dev;
	p->renew = true;
}

static void port_relay(void *ctx, struct bsdev *dev, unsigned slot, uint32_t nsi,
		       const struct bs_endpoint *relay)
{
	struct bsdev_posix *p = ctx;

	(void)dev;
	bsdev__legs_set(&p->legs, slot, nsi, relay);
}

/** The old socket stays when no new one can be had: an old source port beats silence. */
static void renew_socket(struct bsdev_posix *p)
{
	struct bsdev_socket fresh = { -1, false };

	p->renew = false;
	if (p->conf.bind_port != 0)
		return;
	if (bsdev__socket_open(&fresh, p->conf.bind_address, 0, p->conf.ip4_only) != BS_OK)
		return;
	bs_batch_flush(p->batch);
	bs_batch_drop(p->batch);
	bs_batch_prepare(p->batch, fresh.fd);
	bsdev__socket_close(&p->sock);
	p->sock = fresh;
	tell_local(p);
}

static int open_wake(struct bsdev_posix *p)
{
	if (pipe(p->wake) != 0)
		return BS_EIO;
	for (int i = 0; i < 2; i++) {
		if (fcntl(p->wake[i], F_SETFD, FD_CLOEXEC) != 0 ||
		    fcntl(p->wake[i], F_SETFL, O_NONBLOCK) != 0)
			return BS_EIO;
	}
	return BS_OK;
}

static int open_parts(struct bsdev_posix *p)
{
	uint8_t probe;
	const struct bs_crypto *crypto;
	int err;

	p->batch = bs_batch_new();
	if (p->batch == NULL)
		return BS_ENOMEM;
	p->openssl = bs_openssl_new();
	if (p->openssl == NULL)
		return BS_ECRYPTO;
	crypto = bs_openssl_crypto(p->openssl);
	/* Without randomness nothing works: say so now instead of never attaching. */
	if (crypto->random(crypto->ctx, &probe, 1) != BS_OK)
		return BS_ERANDOM;
	p->resolver = bsdev__resolver_new(p->conf.dns_servers, p->conf.ip4_only, on_resolved, p);
	if (p->resolver == NULL)
		return BS_ENOMEM;
	p->port.resolve = port_resolve;
	p->port.renew_socket = port_renew;
	p->port.relay = port_relay;
	p->port.crypto = crypto;
	p->port.sockets = p->further.max;
	p->port.hosts = port_hosts;
	p->port.ctx = p;
	if (open_wake(p) != BS_OK)
		return BS_EIO;
	err = bsdev__socket_open(&p->sock, p->conf.bind_address, p->conf.bind_port,
				 p->conf.ip4_only);
	if (err == BS_OK)
		bs_batch_prepare(p->batch, p->sock.fd);
	return err;
}

int bsdev_posix_new(const struct bsdev_conf *conf, const struct bsdev_posix_conf *posix,
		    struct bsdev_posix **out)
{
	struct bsdev_posix *p = calloc(1, sizeof(*p));
	int err;

	if (p == NULL)
		return BS_ENOMEM;
	p->wake[0] = p->wake[1] = -1;
	p->sock.fd = p->local.sock.fd = -1;
	if (posix != NULL)
		p->conf = *posix;
	bs_sockets_init(&p->further, p->conf.one_socket         ? 0
				     : p->conf.sockets_max != 0 ? p->conf.sockets_max
								: BS_SOCKETS_MAX);
	p->storage_len = BSDEV_STORAGE_LEN(conf->connections);
	p->storage = calloc(1, p->storage_len);
	err = p->storage != NULL ? open_parts(p) : BS_ENOMEM;
	if (err == BS_OK)
		err = bsdev_init(p->storage, p->storage_len, conf, &p->port, bsdev_posix_now(),
				 &p->dev);
	/* A device that was not made must not be ended. */
	if (err != BS_OK)
		p->dev = NULL;
	else if (p->conf.local != NULL)
		err = bsdev__local_open(&p->local, p->dev, p->conf.local, p->conf.ip4_only);
	if (err != BS_OK) {
		bsdev_posix_free(p);
		return err;
	}
	*out = p;
	return BS_OK;
}

void bsdev_posix_free(struct bsdev_posix *p)
{
	if (p == NULL)
		return;
	bsdev__resolver_free(p->resolver);
	bsdev__local_close(&p->local);
	bsdev_fini(p->dev);
	bsdev__legs_free(&p->legs);
	if (p->part != NULL)
		p->part->end(p->part);
	bs_batch_free(p->batch);
	bsdev__socket_close(&p->sock);
	bs_sockets_close_all(&p->further);
	bs_openssl_free(p->openssl);
	for (int i = 0; i < 2; i++) {
		if (p->wake[i] >= 0)
			close(p->wake[i]);
	}
	free(p->storage);
	free(p);
}

struct bsdev *bsdev_posix_device(struct bsdev_posix *p)
{
	return p->dev;
}

static int family(const struct bsdev_posix *p)
{
	return p->sock.ip6 ? AF_INET6 : AF_INET;
}

/** The socket that leads there; its descriptor is negative when there is none. */
static struct bsdev_socket socket_to(struct bsdev_posix *p, const struct bs_endpoint *to)
{
	struct bsdev_socket s = to->via == BS_VIA_LOCAL ? p->local.sock : p->sock;

	if (to->via != 0 && to->via != BS_VIA_LOCAL)
		s.fd = bs_sockets_get(&p->further, to->via, family(p));
	return s;
}

/** Compose what the device has to say; it leaves with flush_output. */
static void take_output(struct bsdev_posix *p)
{
	const bs_time now = bsdev_posix_now();
	struct bs_endpoint to;
	uint8_t *buf;
	struct bsdev_socket s;
	size_t len;

	for (;;) {
		if (p->renew)
			renew_socket(p);
		buf = bs_batch_room(p->batch);
		len = buf != NULL ? bsdev_output(p->dev, buf, BS_BATCH_ROOM, &to, now) : 0;
		if (len == 0)
			break;
		if (to.via == BS_VIA_STREAM) {
			bsdev__legs_send(&p->legs, buf, len);
			continue;
		}
		s = socket_to(p, &to);
		bs_batch_add(p->batch, len, s.fd, s.ip6 ? AF_INET6 : AF_INET, &to);
	}
}

static void fetch_for_leg(void *ctx)
{
	take_output(ctx);
}

static void flush_output(struct bsdev_posix *p)
{
	/* Switched off means that nothing leaves, also of what the kernel had no room for. */
	if (bsdev_get_state(p->dev) == BSDEV_OFF)
		bs_batch_drop(p->batch);
	take_output(p);
	bs_batch_flush(p->batch);
	bsdev__legs_flush(&p->legs);
}

/** Everything of one socket; at most a batch. */
static void take_socket(struct bsdev_posix *p, const struct bsdev_socket *sock, uint16_t via)
{
	struct bs_endpoint from;
	uint8_t *pkt;
	size_t len;

	for (int i = 0; i < INPUT_BATCH; i++) {
		const int err = bs_batch_receive(p->batch, sock->fd);
		const bs_time now = bsdev_posix_now();

		if (err == BS_EAGAIN)
			break;
		while (err == BS_OK && bs_batch_next(p->batch, &pkt, &len, &from)) {
			/* Before the packet is decrypted in place. */
			const bool wait = bs_device_may_wait(&p->dev->core, pkt, len);

			from.via = via;
			(void)bsdev_input(p->dev, pkt, len, &from, now);
			/* An answer that is not fetched is lost with the next request. */
			if (!wait)
				take_output(p);
		}
		flush_output(p);
	}
}

/** The local network; at most a batch. */
static void take_local(struct bsdev_posix *p)
{
	uint8_t buf[BSDEV_PACKET_MAX + 1];

	for (int i = 0; i < INPUT_BATCH; i++) {
		if (!bsdev__local_take(&p->local, buf, sizeof(buf), bsdev_posix_now()))
			break;
		flush_output(p);
	}
	if (p->local.local != NULL)
		bsdev_local_timeout(p->local.local, bsdev_posix_now());
}

/** Its descriptor and deadline. */
static int poll_local(struct bsdev_posix *p, struct pollfd *fds, int *timeout_ms)
{
	bs_time at;

	if (p->local.local == NULL)
		return 0;
	fds->fd = p->local.sock.fd;
	fds->revents = 0;
	fds->events = POLLIN;
	if (bsdev_local_next_timeout(p->local.local, &at)) {
		const bs_time_diff d = BS_TIME_DIFF(at, bsdev_posix_now());
		const int ms = d > 0 ? (int)BS_TIME_DIFF_MS(d) + 1 : 0;

		if (*timeout_ms < 0 || *timeout_ms > ms)
			*timeout_ms = ms;
	}
	return 1;
}

static bool still_used(void *ctx, uint16_t via)
{
	const struct bsdev_posix *p = ctx;

	return bsdev__uses_via(p->dev, via);
}

/** The further sockets, and whether they are needed any longer. */
static void take_further(struct bsdev_posix *p)
{
	uint16_t via[INPUT_BATCH];
	size_t n = bs_sockets_ready(&p->further, via, INPUT_BATCH);
	bs_time now = bsdev_posix_now();

	for (size_t i = 0; i < n; i++) {
		const struct bsdev_socket s = { p->further.fd[via[i] - 1], p->sock.ip6 };

		if (s.fd >= 0)
			take_socket(p, &s, via[i]);
	}
	if (p->further.n > 0 && BS_TIME_DIFF(now, p->sweep_at) >= 0) {
		bs_sockets_sweep(&p->further, still_used, p);
		p->sweep_at = now + BS_TIME_MS(SOCKETS_SWEEP_MS);
	}
}

/** Descriptors of the further sockets, or a short wait when they are too many. */
static int poll_further(struct bsdev_posix *p, struct pollfd *fds, int cap, int *timeout_ms)
{
	int look = p->further.n > cap ? SOCKETS_LOOK_MS : SOCKETS_SWEEP_MS;

	if (p->further.n == 0)
		return 0;
	if (*timeout_ms < 0 || *timeout_ms > look)
		*timeout_ms = look;
	return p->further.n > cap ? 0 : (int)bs_sockets_fds(&p->further, fds, (size_t)cap);
}

static void take_requests(struct bsdev_posix *p)
{
	char c;

	while (read(p->wake[0], &c, 1) == 1) {
		if (c == REQUEST_STOP)
			p->stopped = true;
		else
			(void)bsdev_set_switch(p->dev, c == REQUEST_ON, bsdev_posix_now());
	}
	if (bsdev_get_state(p->dev) == BSDEV_OFF)
		bsdev__resolver_cancel(p->resolver);
}

int bsdev_posix_poll(struct bsdev_posix *p, struct pollfd *fds, int cap, int *timeout_ms)
{
	bs_time at;
	int n = 0;

	*timeout_ms = -1;
	flush_output(p);
	if (cap < BSDEV_POSIX_FDS_MAX)
		return 0;
	/* Switched off by the application itself: a lookup under way must not go on. */
	if (bsdev_get_state(p->dev) == BSDEV_OFF)
		bsdev__resolver_cancel(p->resolver);
	fds[n].fd = p->wake[0];
	fds[n].revents = 0;
	fds[n++].events = POLLIN;
	fds[n].fd = p->sock.fd;
	fds[n].revents = 0;
	fds[n++].events = bs_batch_stuck(p->batch) == p->sock.fd ? POLLIN | POLLOUT : POLLIN;
	if (p->part != NULL) {
		fds[n].fd = p->part->fd;
		fds[n].revents = 0;
		fds[n++].events = POLLIN;
	}
	if (p->busy)
		*timeout_ms = 0;
	else if (bsdev_next_timeout(p->dev, &at)) {
		const bs_time_diff d = BS_TIME_DIFF(at, bsdev_posix_now());

		*timeout_ms = d > 0 ? (int)BS_TIME_DIFF_MS(d) + 1 : 0;
	}
	/* Only the main socket says when it has room again. */
	if (bs_batch_stuck(p->batch) >= 0 && *timeout_ms != 0)
		*timeout_ms = 1;
	p->n_resolver = bsdev__resolver_poll(p->resolver, fds + n, cap - n, timeout_ms);
	n += p->n_resolver;
	n += poll_local(p, fds + n, timeout_ms);
	n += bsdev__legs_poll(&p->legs, fds + n, cap - n, timeout_ms);
	return n + poll_further(p, fds + n, cap - n, timeout_ms);
}

int bsdev_posix_step(struct bsdev_posix *p, const struct pollfd *fds, int n)
{
	const int own = p->part != NULL ? 3 : 2;

	take_requests(p);
	if (p->stopped)
		return BS_ECLOSED;
	if (bsdev_get_state(p->dev) != BSDEV_OFF && n > own)
		bsdev__resolver_step(p->resolver, fds + own,
				     p->n_resolver < n - own ? p->n_resolver : n - own);
	take_socket(p, &p->sock, 0);
	take_further(p);
	take_local(p);
	p->legs.fetch = fetch_for_leg;
	p->legs.ctx = p;
	bsdev__legs_step(&p->legs, p->dev, fds, n, bsdev_posix_now());
	bsdev_timeout(p->dev, bsdev_posix_now());
	/* After the datagrams, so that a burst of them costs a service one write. */
	p->busy = p->part != NULL && p->part->step(p->part);
	flush_output(p);
	return BS_OK;
}

int bsdev__posix_attach(struct bsdev_posix *p, struct bsdev__part *part)
{
	if (part != NULL && p->part != NULL)
		return BS_EEXIST;
	p->part = part;
	p->busy = false;
	return BS_OK;
}

int bsdev_posix_run(struct bsdev_posix *p)
{
	struct pollfd fds[BSDEV_POSIX_FDS_MAX];

	for (;;) {
		int timeout_ms;
		const int n = bsdev_posix_poll(p, fds, BSDEV_POSIX_FDS_MAX, &timeout_ms);

		if (poll(fds, (nfds_t)n, timeout_ms) < 0 && errno != EINTR)
			return BS_EIO;
		if (bsdev_posix_step(p, fds, n) == BS_ECLOSED) {
			p->stopped = false;
			return BS_OK;
		}
	}
}

static void request(struct bsdev_posix *p, char c)
{
	const int saved = errno;

	/* A full pipe already holds a wake-up; write is safe in a signal handler. */
	if (write(p->wake[1], &c, 1) != 1)
		errno = saved;
	errno = saved;
}

void bsdev_posix_stop(struct bsdev_posix *p)
{
	request(p, REQUEST_STOP);
}

void bsdev_posix_request_switch(struct bsdev_posix *p, bool on)
{
	request(p, on ? REQUEST_ON : REQUEST_OFF);
}
