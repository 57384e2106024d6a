/* SPDX-License-Identifier: Apache-2.0 */
#include "mapper.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "basestation/error.h"

/** Nobody answered: ask again after this, for the network may be another one then. */
#define RETRY_S 600
/** A mapping is renewed after this part of its life. */
#define RENEW_PART 2

#if defined(HAVE_NATPMP) || defined(HAVE_MINIUPNPC)
# define HAVE_MAPPER 1
#else
# define HAVE_MAPPER 0
#endif

/** Ways to ask, the quicker one first. */
static const struct {
	const char *name;
	bsc__map_fn map;
	bsc__unmap_fn unmap;
} ways[] = {
	{ "NAT-PMP", bsc__natpmp_map, bsc__natpmp_unmap },
	{ "UPnP", bsc__upnp_map, bsc__upnp_unmap },
};

struct bsc__mapper {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int pipe[2];
	unsigned refs; /**< session and thread */
	bool stop;
	bool mapped;
	size_t way; /**< of mapping */
	struct bsc__mapping mapping;
};

/** Give up one side's hold; called with the lock, which is gone afterwards. */
static void release(struct bsc__mapper *m)
{
	bool last = --m->refs == 0;

	(void)pthread_mutex_unlock(&m->lock);
	if (!last)
		return;
	(void)close(m->pipe[0]);
	(void)close(m->pipe[1]);
	(void)pthread_cond_destroy(&m->wake);
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
}

/** Wait for the stop or so many seconds, with the lock held; whether to go on. */
static bool rest(struct bsc__mapper *m, uint32_t seconds)
{
	struct timespec until;
	int rc = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)seconds;
	while (!m->stop && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&m->wake, &m->lock, &until);
	return !m->stop;
}

/** Ask all ways, without the lock: they block. */
static bool ask(struct bsc__mapping *try, size_t *way)
{
	for (size_t k = 0; k < sizeof ways / sizeof ways[0]; k++)
		if (ways[k].map(try) == BS_OK) {
			*way = k;
			return true;
		}
	return false;
}

static void *run(void *arg)
{
	struct bsc__mapper *m = arg;
	struct bsc__mapping mapping = m->mapping;
	size_t way = 0;
	bool mapped;

	do {
		mapped = ask(&mapping, &way);
		(void)pthread_mutex_lock(&m->lock);
		m->mapped = mapped;
		m->way = way;
		if (mapped)
			m->mapping = mapping;
		/* A full pipe says what this byte would. */
		if (!m->stop)
			(void)!write(m->pipe[1], "m", 1);
		if (!rest(m, mapped && mapping.life_s / RENEW_PART > 0 ? mapping.life_s / RENEW_PART
								       : RETRY_S))
			break;
		(void)pthread_mutex_unlock(&m->lock);
	} while (true);
	(void)pthread_mutex_unlock(&m->lock);
	if (mapped)
		ways[way].unmap(&mapping);
	(void)pthread_mutex_lock(&m->lock);
	release(m);
	return NULL;
}

static int open_pipe(struct bsc__mapper *m)
{
	if (pipe(m->pipe) != 0)
		return BS_EIO;
	for (int k = 0; k < 2; k++)
		if (fcntl(m->pipe[k], F_SETFD, FD_CLOEXEC) != 0 ||
		    fcntl(m->pipe[k], F_SETFL, O_NONBLOCK) != 0)
			return BS_EIO;
	return BS_OK;
}

/** The thread must take no signal that is meant for the program. */
static int start_thread(struct bsc__mapper *m)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int rc;

	if (pthread_attr_init(&attr) != 0)
		return BS_ENOMEM;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&thread, &attr, run, m);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return rc == 0 ? BS_OK : BS_EAGAIN;
}

struct bsc__mapper *bsc__mapper_start(uint16_t port)
{
	struct bsc__mapper *m = HAVE_MAPPER ? calloc(1, sizeof *m) : NULL;

	if (m == NULL)
		return NULL;
	m->pipe[0] = m->pipe[1] = -1;
	m->refs = 2;
	m->mapping.inside = port;
	(void)pthread_mutex_init(&m->lock, NULL);
	(void)pthread_cond_init(&m->wake, NULL);
	if (open_pipe(m) == BS_OK && start_thread(m) == BS_OK)
		return m;
	m->refs = 1;
	(void)pthread_mutex_lock(&m->lock);
	release(m);
	return NULL;
}

int bsc__mapper_fd(const struct bsc__mapper *m)
{
	return m->pipe[0];
}

bool bsc__mapper_take(struct bsc__mapper *m, struct bs_endpoint *ep, const char **how)
{
	char byte[8];

	if (read(m->pipe[0], byte, sizeof byte) <= 0)
		return false;
	memset(ep, 0, sizeof *ep);
	(void)pthread_mutex_lock(&m->lock);
	if (m->mapped)
		*ep = m->mapping.ep;
	*how = ways[m->way].name;
	(void)pthread_mutex_unlock(&m->lock);
	return true;
}

void bsc__mapper_stop(struct bsc__mapper *m)
{
	if (m == NULL)
		return;
	(void)pthread_mutex_lock(&m->lock);
	m->stop = true;
	(void)pthread_cond_signal(&m->wake);
	release(m);
}
