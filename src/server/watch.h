/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - which workers want to hear about an id: pairs of device number and worker.
 *
 * Open addressing, 8 bytes a pair; a change of presence asks for each worker in turn.
 * Owner: one worker.  Allocates: at init only.
 */
#ifndef BS_SERVER_WATCH_H
#define BS_SERVER_WATCH_H

#include "basestation/error.h"

struct bs_watch_pair {
	uint32_t number; /**< 0 = empty */
	uint32_t worker;
};

struct bs_watch {
	struct bs_watch_pair *pair;
	uint32_t cap;
	uint32_t n;
	uint32_t limit;
};

BS_MUSTCHECK int bs_watch_init(struct bs_watch *t, uint32_t n);
void bs_watch_fini(struct bs_watch *t);
/** BS_OK (also when it is there) or BS_EFULL. */
BS_MUSTCHECK int bs_watch_add(struct bs_watch *t, uint32_t number, uint32_t worker);
void bs_watch_remove(struct bs_watch *t, uint32_t number, uint32_t worker);
bool bs_watch_has(const struct bs_watch *t, uint32_t number, uint32_t worker);

#endif
