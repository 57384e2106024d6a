/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push_device.h - hand a push notification to the basestation (basestation-wire(7), PUSH).
 *
 * One item at a time: the owner offers the next one when done was called.  Sent again after 2, 4,
 * 8 .. s, eight sends in all, while attached.  Optional: a build that never calls it does not link
 * it.
 *
 * Owner: the thread of its device.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_PUSH_DEVICE_H
#define BS_PROTO_PUSH_DEVICE_H

#include "proto/attach_device.h"

/** An item ended: ok, and enum bs_push_flag of the answer (0 when none came). */
typedef void (*bs_push_done_fn)(void *app, bool ok, uint8_t flags);

/** Push state of a device; zero is the start. */
struct bs_push_device {
	struct bs_slice list; /**< PUSH_DATA payloads of the item; borrowed until done */
	bs_push_done_fn done;
	void *app;
	bs_time due;          /**< next send */
	bs_time hold;         /**< no send before this, when held */
	uint32_t number;      /**< of the current or next item */
	uint32_t refused_nsi; /**< attachment that takes no more items, 0 = none */
	uint16_t service;     /**< 1 Firebase, 2 webhook */
	uint8_t sends;
	bool busy;  /**< an item is on its way */
	bool waits; /**< a packet waits to be composed */
	bool held;  /**< hold is set */
};

/**
 * bs_push_start - hand over one item
 *
 * @list well-formed list of PUSH_DATA payloads, borrowed until done
 *
 * Returns BS_OK; BS_EBUSY while one is on its way; BS_ERATE: quota, not before the next attach;
 * BS_ESTATE: not attached; BS_EINVAL: list is empty or not well formed.
 */
BS_MUSTCHECK int bs_push_start(struct bs_push_device *p, const struct bs_attach_device *a,
			       uint16_t service, struct bs_slice list, bs_push_done_fn done,
			       void *app, bs_time now);
/** Take a U_PUSH from the attach server.  BS_OK or a drop reason. */
BS_MUSTCHECK int bs_push_input(struct bs_push_device *p, const struct bs_attach_device *a,
			       const struct bs_packet *pkt, const struct bs_endpoint *from,
			       bs_time now);
void bs_push_timeout(struct bs_push_device *p, bs_time now);
size_t bs_push_output(struct bs_push_device *p, const struct bs_attach_device *a, uint8_t *buf,
		      size_t cap, struct bs_endpoint *to, bs_time now);
bool bs_push_next_timeout(const struct bs_push_device *p, bs_time *at);

#endif
