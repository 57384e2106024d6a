/* SPDX-License-Identifier: Apache-2.0 */
/*
 * role_auth.h - keep-alives under a MAC and at their own interval: what role_alive.c and others
 * ask about devices with extensions AUTH_ALIVE and INTERVAL.
 *
 * What such a device needs lies beside the slab under the same index, in the state (state.h).
 * Counters are stored before the packet that carries them is sent, so they never repeat, whatever
 * moment the process ends at.
 *
 * Private to server/; one worker's thread.
 */
#ifndef BS_SERVER_ROLE_AUTH_H
#define BS_SERVER_ROLE_AUTH_H

#include "proto/interval_server.h"
#include "server/nets.h"
#include "server/roles.h"
#include "util/window.h"

/** Side record of a device whose flags have BS_SLAB_AUTH. */
struct bs_device_auth {
	struct bs_window seen;              /**< counters of the device's packets */
	uint32_t sent;                      /**< counter of our last one */
	struct bs_interval_server interval; /**< told_s 0: not granted */
};

_Static_assert(sizeof(struct bs_device_auth) == 32, "two to a cache line");

BS_MUSTCHECK int bs__auth_init(struct bs_roles *r);
/** Whether there is room for the side record of a device with these extensions. */
BS_MUSTCHECK bool bs__auth_room(struct bs_roles *r, uint32_t i, uint16_t ext);
/** For restore.c: look at the side record of an attachment; false when it should have one and has
 *  none. */
BS_MUSTCHECK bool bs__auth_restore(struct bs_roles *r, uint32_t i);
/** A new attachment; nothing for a device without the extension. */
void bs__auth_begin(struct bs_roles *r, uint32_t i);
/** A new request (not a repetition) is about to be composed. */
void bs__auth_ask(struct bs_roles *r, uint32_t i);
/** Append counter and MAC to the request of len bytes (an error is passed on). */
BS_MUSTCHECK bs_ssize bs__auth_finish(struct bs_roles *r, uint32_t i, uint8_t *buf, bs_ssize len,
				      size_t cap);
/** The pace of such a device; own is room for it. */
const struct bs_alive_pace *bs__auth_pace(const struct bs_roles *r, uint32_t i,
					  struct bs_alive_pace *own);
/** Jitter of its next request. */
uint16_t bs__auth_jitter(const struct bs_roles *r, uint32_t i, uint16_t random);
/** Whether the device sent this answer or poll just now; then the record has its address, and the
 *  usual rules go on.  Otherwise it was counted. */
BS_MUSTCHECK bool bs__auth_input(struct bs_roles *r, uint32_t i, const struct bs_input *in,
				 uint16_t seq);
/** Other packets pass between device and server: the interval proves nothing this time. */
void bs__auth_disturb(struct bs_roles *r, uint32_t i);
/** A client is connected, or about to be: when the device waits for longer than it may then, tell
 *  it at once.  Until it has heard so, a NAT that forgets takes it away for the long interval. */
void bs__auth_hurry(struct bs_roles *r, uint32_t i);

#endif
