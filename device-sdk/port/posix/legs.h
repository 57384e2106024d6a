/* SPDX-License-Identifier: Apache-2.0 */
/*
 * legs.h - the port's TCP connections to relays, at most one per connection slot.
 *
 * What a relay does not take is kept up to a bound, then dropped like a datagram: streams and calls
 * repeat what matters.  Owner: the port.  Allocates: buffers of open legs.  Blocks: no.
 */
#ifndef BSDEV_LEGS_H
#define BSDEV_LEGS_H

#include "basestation/device.h"

struct pollfd;

/** Legs at most: connection slots of a device. */
#define BSDEV_LEGS_MAX 16

struct bsdev_leg;

struct bsdev_legs {
	struct bsdev_leg *leg[BSDEV_LEGS_MAX]; /**< by slot; NULL = none */
	void (*fetch)(void *ctx);              /**< takes the device's output, after each packet */
	void *ctx;
};

/** Connect (relay) or close (NULL).  Failures are told to the device by the next step. */
void bsdev__legs_set(struct bsdev_legs *l, unsigned slot, uint32_t nsi,
		     const struct bs_endpoint *relay);
/** Close all, without a word to the device. */
void bsdev__legs_free(struct bsdev_legs *l);
/** Descriptors to wait for, at most BSDEV_LEGS_MAX; *timeout_ms becomes 0 when a step is due. */
int bsdev__legs_poll(const struct bsdev_legs *l, struct pollfd *fds, int cap, int *timeout_ms);
/** Handle what poll reported: packets go to the device, which may change the legs. */
void bsdev__legs_step(struct bsdev_legs *l, struct bsdev *dev, const struct pollfd *fds, int n,
		      bs_time now);
/** Send what was given to bsdev__legs_send. */
void bsdev__legs_flush(struct bsdev_legs *l);
/** One packet for the leg that its NSI.sp names; leaves with bsdev__legs_flush. */
void bsdev__legs_send(struct bsdev_legs *l, const uint8_t *buf, size_t len);

#endif
