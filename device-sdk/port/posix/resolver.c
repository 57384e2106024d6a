/* SPDX-License-Identifier: Apache-2.0 */
#include "resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "util/endpoint.h"

/** Longest host name of the DNS, with terminator. */
#define HOST_MAX 256

struct bsdev_resolver {
	ares_channel channel; /**< valid while open */
	const char *servers;
	bsdev_resolved_fn done;
	void *ctx;
	bool open;
	bool finished; /**< the answer came: close the channel outside its own callback */
	bool ip4_only;
	struct bs_endpoint ips[BSDEV_ADDRESSES_MAX];
	size_t n;
};

struct bsdev_resolver *bsdev__resolver_new(const char *servers, bool ip4_only,
					   bsdev_resolved_fn done, void *ctx)
{
	struct bsdev_resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(r);
		return NULL;
	}
	r->servers = servers;
	r->ip4_only = ip4_only;
	r->done = done;
	r->ctx = ctx;
	return r;
}

void bsdev__resolver_cancel(struct bsdev_resolver *r)
{
	if (!r->open)
		return;
	r->open = false;
	r->finished = false;
	ares_destroy(r->channel);
}

void bsdev__resolver_free(struct bsdev_resolver *r)
{
	if (r == NULL)
		return;
	bsdev__resolver_cancel(r);
	ares_library_cleanup();
	free(r);
}

static void take(struct bsdev_resolver *r, const struct ares_addrinfo_node *node, int family)
{
	struct bs_endpoint *ep = &r->ips[r->n];

	if (node->ai_family != family || r->n >= BSDEV_ADDRESSES_MAX)
		return;
	if (family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)node->ai_addr;

		bs_endpoint_set_ip4(ep, ntohl(sin->sin_addr.s_addr), 0);
	} else {
		const struct sockaddr_in6 *sin6 = (const void *)node->ai_addr;

		memcpy(ep->ip, &sin6->sin6_addr, sizeof(ep->ip));
		ep->port = 0;
		ep->via = 0;
	}
	r->n++;
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct bsdev_resolver *r = arg;
	const struct ares_addrinfo_node *node;

	(void)timeouts;
	if (!r->open) { /* cancelled: the channel is being destroyed */
		ares_freeaddrinfo(info);
		return;
	}
	r->n = 0;
	if (status == ARES_SUCCESS && info != NULL) {
		/* IPv4 first: every basestation has it, and a stock invite works only there. */
		for (node = info->nodes; node != NULL; node = node->ai_next)
			take(r, node, AF_INET);
		for (node = info->nodes; !r->ip4_only && node != NULL; node = node->ai_next)
			take(r, node, AF_INET6);
	}
	ares_freeaddrinfo(info);
	r->finished = true;
}

static void finish(struct bsdev_resolver *r)
{
	if (!r->open || !r->finished)
		return;
	bsdev__resolver_cancel(r);
	r->done(r->ctx, r->ips, r->n);
}

static bool open_channel(struct bsdev_resolver *r)
{
	struct ares_options opt;

	memset(&opt, 0, sizeof(opt));
	opt.timeout = 2000;
	opt.tries = 3;
	if (ares_init_options(&r->channel, &opt, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES) !=
	    ARES_SUCCESS)
		return false;
	if (r->servers != NULL &&
	    ares_set_servers_ports_csv(r->channel, r->servers) != ARES_SUCCESS) {
		ares_destroy(r->channel);
		return false;
	}
	return true;
}

/** A numeric address needs no query, and c-ares 1.18 would send one for IPv4. */
static bool numeric(struct bsdev_resolver *r, const char *name)
{
	struct in_addr in;

	if (inet_pton(AF_INET, name, &in) == 1)
		bs_endpoint_set_ip4(&r->ips[0], ntohl(in.s_addr), 0);
	else if (inet_pton(AF_INET6, name, r->ips[0].ip) != 1)
		return false;
	r->ips[0].port = 0;
	return true;
}

void bsdev__resolver_start(struct bsdev_resolver *r, const char *host, size_t host_len)
{
	struct ares_addrinfo_hints hints;
	char name[HOST_MAX];

	bsdev__resolver_cancel(r);
	if (host_len >= sizeof(name)) {
		r->done(r->ctx, NULL, 0);
		return;
	}
	memcpy(name, host, host_len);
	name[host_len] = '\0';
	if (numeric(r, name)) {
		r->done(r->ctx, r->ips, 1);
		return;
	}
	if (!open_channel(r)) {
		r->done(r->ctx, NULL, 0);
		return;
	}
	memset(&hints, 0, sizeof(hints));
	hints.ai_family = r->ip4_only ? AF_INET : AF_UNSPEC;
	hints.ai_socktype = SOCK_DGRAM;
	/* The list comes unsorted: sorting would open a socket for each address. */
	hints.ai_flags = ARES_AI_NOSORT;
	r->open = true;
	r->finished = false;
	ares_getaddrinfo(r->channel, name, NULL, &hints, on_answer, r);
	finish(r);
}

/** As the macros of ares_getsock(3), which shift a bit into the sign for the last descriptor. */
static bool wants(int mask, int bit)
{
	return ((unsigned)mask >> bit & 1u) != 0;
}

int bsdev__resolver_poll(struct bsdev_resolver *r, struct pollfd *fds, int cap, int *timeout_ms)
{
	ares_socket_t socks[ARES_GETSOCK_MAXNUM];
	struct timeval tv, *due;
	int mask, n = 0;

	if (!r->open)
		return 0;
	mask = ares_getsock(r->channel, socks, ARES_GETSOCK_MAXNUM);
	for (int i = 0; i < ARES_GETSOCK_MAXNUM && n < cap; i++) {
		short events = 0;

		if (wants(mask, i))
			events |= POLLIN;
		if (wants(mask, i + ARES_GETSOCK_MAXNUM))
			events |= POLLOUT;
		if (events == 0)
			continue;
		fds[n].fd = socks[i];
		fds[n].events = events;
		fds[n++].revents = 0;
	}
	due = ares_timeout(r->channel, NULL, &tv);
	if (due != NULL) {
		const int ms = (int)(due->tv_sec * 1000 + (due->tv_usec + 999) / 1000);

		if (*timeout_ms < 0 || ms < *timeout_ms)
			*timeout_ms = ms;
	}
	return n;
}

void bsdev__resolver_step(struct bsdev_resolver *r, const struct pollfd *fds, int n)
{
	if (!r->open)
		return;
	for (int i = 0; i < n; i++) {
		const bool in = (fds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
		const bool out = (fds[i].revents & POLLOUT) != 0;

		if (in || out)
			ares_process_fd(r->channel, in ? fds[i].fd : ARES_SOCKET_BAD,
					out ? fds[i].fd : ARES_SOCKET_BAD);
	}
	ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	finish(r);
}
