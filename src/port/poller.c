/* SPDX-License-Identifier: Apache-2.0 */
#include "port/poller.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/** Events fetched by one call; more wait for the next one. */
#define BATCH 64

int bs_poller_init(struct bs_poller *p)
{
	p->fd = epoll_create1(EPOLL_CLOEXEC);
	return p->fd < 0 ? BS_EIO : BS_OK;
}

void bs_poller_fini(struct bs_poller *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	p->fd = -1;
}

int bs_poller_add(struct bs_poller *p, int fd, struct bs_source *s)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				  .data.ptr = s };

	if (epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &ev) == 0)
		return BS_OK;
	return errno == EPERM ? BS_ENOENT : BS_EIO;
}

void bs_poller_remove(struct bs_poller *p, int fd)
{
	(void)epoll_ctl(p->fd, EPOLL_CTL_DEL, fd, NULL);
}

static unsigned ready_from(uint32_t ev)
{
	unsigned r = 0;

	if (ev & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		r |= BS_READY_READ;
	if (ev & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		r |= BS_READY_WRITE;
	if (ev & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		r |= BS_READY_HUP;
	return r;
}

void bs_poller_step(struct bs_poller *p)
{
	struct epoll_event ev[BATCH];
	int n;

	do {
		n = epoll_wait(p->fd, ev, BATCH, 0);
		for (int k = 0; k < n; k++) {
			struct bs_source *s = ev[k].data.ptr;

			s->ready(s, ready_from(ev[k].events));
		}
		/* Edges are told once, so a full batch does not come again: fetch the rest. */
	} while (n == BATCH);
}
