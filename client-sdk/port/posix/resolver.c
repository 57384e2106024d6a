/* SPDX-License-Identifier: Apache-2.0 */
#include "resolver.h"

#include <ares.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "addr.h"
#include "error.h"

/** Each server is asked so often, and so long the first time; c-ares doubles it. */
#define TRIES      3
#define TIMEOUT_MS 1000

struct bsc__resolver {
	ares_channel channel;
	uint16_t port;
	bool running;
	unsigned lookup; /**< its number: dropped ones do not count */
	int status;      /**< ARES_* of the finished one */
	size_t n;
	struct bs_endpoint addr[BSC__ADDRS_MAX];
	char host[256];
};

/** As the macros of ares_getsock(3), which shift a bit into the sign for the last descriptor. */
static bool is_readable(int bits, int k)
{
	return ((unsigned)bits >> k & 1u) != 0;
}

static bool is_writable(int bits, int k)
{
	return ((unsigned)bits >> (k + ARES_GETSOCK_MAXNUM) & 1u) != 0;
}

/** One lookup in flight; c-ares calls back exactly once, also when it is cancelled. */
struct lookup {
	struct bsc__resolver *r;
	unsigned number;
};

int bsc__resolver_new(const char *servers, struct bsc__resolver **out, struct bsc_error *err)
{
	struct ares_options opt = { .timeout = TIMEOUT_MS, .tries = TRIES };
	struct bsc__resolver *r = calloc(1, sizeof *r);
	int rc;

	if (r == NULL)
		return bsc__fail_nomem(err);
	rc = ares_init_options(&r->channel, &opt, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
	if (rc != ARES_SUCCESS) {
		free(r);
		return bsc__fail(err, rc == ARES_ENOMEM ? BS_ENOMEM : BS_ECONF, BSC_FROM_LIBRARY,
				 BSC_INTERNAL, "name service cannot be set up (%s)",
				 ares_strerror(rc));
	}
	if (servers != NULL && ares_set_servers_ports_csv(r->channel, servers) != ARES_SUCCESS) {
		bsc__resolver_free(r);
		return bsc__fail(err, BS_ECONF, BSC_FROM_CALLER, BSC_USAGE,
				 "name servers \"%.128s\": give addresses as addr:port,addr:port",
				 servers);
	}
	*out = r;
	return BS_OK;
}

void bsc__resolver_free(struct bsc__resolver *r)
{
	if (r == NULL)
		return;
	ares_destroy(r->channel);
	free(r);
}

static void on_done(void *arg, int status, int timeouts, struct ares_addrinfo *ai)
{
	struct lookup *l = arg;
	struct bsc__resolver *r = l->r;
	bool mine = l->number == r->lookup && r->running;

	(void)timeouts;
	free(l);
	if (mine) {
		r->running = false;
		r->status = status;
		for (struct ares_addrinfo_node *n = ai == NULL ? NULL : ai->nodes;
		     n != NULL && r->n < BSC__ADDRS_MAX; n = n->ai_next)
			if (bsc__addr_from(n->ai_addr, &r->addr[r->n]))
				r->addr[r->n++].port = r->port;
	}
	if (ai != NULL)
		ares_freeaddrinfo(ai);
}

void bsc__resolver_start(struct bsc__resolver *r, const char *host, uint16_t port)
{
	struct ares_addrinfo_hints hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct lookup *l;
	size_t len = strlen(host);

	bsc__resolver_stop(r);
	r->port = port;
	r->status = ARES_SUCCESS;
	if (len >= sizeof r->host)
		len = sizeof r->host - 1;
	memcpy(r->host, host, len);
	r->host[len] = '\0';
	if (bsc__addr_parse(host, port, &r->addr[0])) {
		r->n = 1;
		return;
	}
	l = malloc(sizeof *l);
	if (l == NULL) {
		r->status = ARES_ENOMEM;
		return;
	}
	l->r = r;
	l->number = r->lookup;
	r->running = true;
	ares_getaddrinfo(r->channel, host, NULL, &hints, on_done, l);
}

void bsc__resolver_stop(struct bsc__resolver *r)
{
	/* The number goes up first: cancelling calls back at once. */
	r->lookup++;
	r->running = false;
	r->n = 0;
	ares_cancel(r->channel);
}

bs_ssize bsc__resolver_step(struct bsc__resolver *r, struct bs_endpoint *out, struct bsc_error *err)
{
	ares_socket_t socks[ARES_GETSOCK_MAXNUM];

	if (r->running) {
		int bits = ares_getsock(r->channel, socks, ARES_GETSOCK_MAXNUM);

		for (int k = 0; k < ARES_GETSOCK_MAXNUM && r->running; k++) {
			bool rd = is_readable(bits, k);
			bool wr = is_writable(bits, k);
			struct pollfd p = { .fd = rd || wr ? socks[k] : -1,
					    .events = (short)((rd ? POLLIN : 0) |
							      (wr ? POLLOUT : 0)) };

			if (p.fd >= 0 && poll(&p, 1, 0) > 0)
				ares_process_fd(r->channel,
						p.revents & (POLLIN | POLLERR | POLLHUP)
							? p.fd
							: ARES_SOCKET_BAD,
						p.revents & POLLOUT ? p.fd : ARES_SOCKET_BAD);
		}
		/* And the timers. */
		ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	}
	if (r->running)
		return BS_EAGAIN;
	if (r->n > 0) {
		memcpy(out, r->addr, r->n * sizeof *out);
		return (bs_ssize)r->n;
	}
	if (r->status == ARES_ENOMEM)
		return bsc__fail_nomem(err);
	if (r->status == ARES_ENOTFOUND || r->status == ARES_ENODATA ||
	    r->status == ARES_EBADNAME || r->status == ARES_SUCCESS)
		return bsc__fail(err, BS_EUNREACH, BSC_FROM_NETWORK, BSC_RESOLVE_NAME,
				 "%s: no such name or no address for it; check the spelling",
				 r->host);
	return bsc__fail(err, BS_EUNREACH, BSC_FROM_NETWORK, BSC_RESOLVE_FAILED,
			 "%s: the name service failed (%s); check this machine's network", r->host,
			 ares_strerror(r->status));
}

size_t bsc__resolver_fds(struct bsc__resolver *r, struct bsc_fd *fds, size_t cap)
{
	ares_socket_t socks[ARES_GETSOCK_MAXNUM];
	int bits;
	size_t n = 0;

	if (!r->running)
		return 0;
	bits = ares_getsock(r->channel, socks, ARES_GETSOCK_MAXNUM);
	for (int k = 0; k < ARES_GETSOCK_MAXNUM && n < cap; k++) {
		short events = (short)((is_readable(bits, k) ? POLLIN : 0) |
				       (is_writable(bits, k) ? POLLOUT : 0));

		if (events != 0)
			fds[n++] = (struct bsc_fd){ .fd = socks[k], .events = events };
	}
	return n;
}

int32_t bsc__resolver_timeout_ms(struct bsc__resolver *r)
{
	struct timeval tv;

	if (!r->running)
		return -1;
	if (ares_timeout(r->channel, NULL, &tv) == NULL)
		return TIMEOUT_MS;
	return (int32_t)(tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1);
}
