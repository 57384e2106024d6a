/* SPDX-License-Identifier: Apache-2.0 */
#include "port/sockets.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void bs_sockets_init(struct bs_sockets *s, uint16_t max)
{
	s->max = max < BS_SOCKETS_MAX ? max : BS_SOCKETS_MAX;
	s->n = 0;
	s->opened = 0;
	for (int i = 0; i < BS_SOCKETS_MAX; i++)
		s->fd[i] = -1;
}

static int open_one(int family)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };
	const int off = 0;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc;

	if (fd < 0)
		return -1;
	if (family == AF_INET6) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
		rc = bind(fd, (const struct sockaddr *)&in6, sizeof in6);
	} else {
		rc = bind(fd, (const struct sockaddr *)&in, sizeof in);
	}
	if (rc == 0)
		return fd;
	(void)close(fd);
	return -1;
}

int bs_sockets_get(struct bs_sockets *s, uint16_t via, int family)
{
	int *fd;

	if (via == 0 || via > s->max)
		return -1;
	fd = &s->fd[via - 1];
	if (*fd >= 0)
		return *fd;
	*fd = open_one(family);
	if (*fd >= 0) {
		s->n++;
		if (via > s->opened)
			s->opened = via;
	}
	return *fd;
}

static bool keep_none(void *ctx, uint16_t via)
{
	(void)ctx;
	(void)via;
	return false;
}

void bs_sockets_sweep(struct bs_sockets *s, bool (*keep)(void *ctx, uint16_t via), void *ctx)
{
	uint16_t highest = 0;

	for (uint16_t via = 1; via <= s->opened; via++) {
		int *fd = &s->fd[via - 1];

		if (*fd < 0)
			continue;
		if (keep(ctx, via)) {
			highest = via;
			continue;
		}
		(void)close(*fd);
		*fd = -1;
		s->n--;
	}
	s->opened = highest;
}

void bs_sockets_close_all(struct bs_sockets *s)
{
	bs_sockets_sweep(s, keep_none, NULL);
}

size_t bs_sockets_fds(const struct bs_sockets *s, struct pollfd *fds, size_t cap)
{
	size_t n = 0;

	for (uint16_t i = 0; i < s->opened && n < cap; i++) {
		if (s->fd[i] < 0)
			continue;
		fds[n].fd = s->fd[i];
		fds[n].events = POLLIN;
		fds[n++].revents = 0;
	}
	return n;
}

size_t bs_sockets_ready(const struct bs_sockets *s, uint16_t *via, size_t cap)
{
	struct pollfd fds[BS_SOCKETS_MAX];
	size_t n = bs_sockets_fds(s, fds, BS_SOCKETS_MAX);
	size_t k = 0;
	size_t out = 0;

	if (n == 0 || poll(fds, (nfds_t)n, 0) <= 0)
		return 0;
	for (uint16_t i = 0; i < s->opened && out < cap; i++) {
		if (s->fd[i] < 0)
			continue;
		if (fds[k++].revents != 0)
			via[out++] = (uint16_t)(i + 1);
	}
	return out;
}
