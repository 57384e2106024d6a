/* SPDX-License-Identifier: Apache-2.0 */
/* The application's timers: an ordered list through structs that the application owns. */
#include "context.h"

void bsdev_timer_stop(struct bsdev *dev, struct bsdev_timer *timer)
{
	struct bsdev_timer **link = &dev->timers;

	if (!timer->armed)
		return;
	while (*link != NULL && *link != timer)
		link = &(*link)->next;
	if (*link == timer)
		*link = timer->next;
	timer->armed = false;
	timer->next = NULL;
}

void bsdev_timer_start(struct bsdev *dev, struct bsdev_timer *timer, uint32_t ms,
		       void (*fn)(void *arg, struct bsdev *dev, bs_time now), void *arg,
		       bs_time now)
{
	struct bsdev_timer **link = &dev->timers;

	bsdev_timer_stop(dev, timer);
	timer->fn = fn;
	timer->arg = arg;
	timer->at = now + BS_TIME_MS(ms);
	timer->armed = true;
	/* Behind equal ones, so that timers of one moment fire in the order they were started. */
	while (*link != NULL && BS_TIME_DIFF((*link)->at, timer->at) <= 0)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
}

void bsdev__timers_run(struct bsdev *dev, bs_time now)
{
	struct bsdev_timer *last = NULL, *t;

	/* Only those due on entry: one that restarts itself with 0 ms waits for the next call. */
	for (t = dev->timers; t != NULL && BS_TIME_DIFF(now, t->at) >= 0; t = t->next)
		last = t;
	while (last != NULL && dev->timers != NULL && BS_TIME_DIFF(now, dev->timers->at) >= 0) {
		t = dev->timers;
		dev->timers = t->next;
		t->armed = false;
		t->next = NULL;
		t->fn(t->arg, dev, now);
		if (t == last)
			break;
	}
}
