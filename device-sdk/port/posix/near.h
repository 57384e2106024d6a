/* SPDX-License-Identifier: Apache-2.0 */
/*
 * near.h - which addresses are on a network that this machine is part of.
 *
 * Owner: the device's thread.  Allocates: while the list is read.  The list is read again now and
 * then, not for every packet: a flood must not make a system call each.
 */
#ifndef BSDEV_NEAR_H
#define BSDEV_NEAR_H

#include "basestation/types.h"

/** Networks that are remembered; more are not near. */
#define BSDEV__NETS_MAX 32

/** A network: address and mask, as in struct bs_endpoint. */
struct bsdev_net {
	uint8_t ip[BS_IP_LEN];
	uint8_t mask[BS_IP_LEN];
};

/** The networks of this machine. */
struct bsdev_nets {
	unsigned n;
	bool known;
	bs_time at; /**< when they were read */
	struct bsdev_net net[BSDEV__NETS_MAX];
};

/** Whether an address is in one of them. */
bool bsdev__nets_have(struct bsdev_nets *nets, const struct bs_endpoint *ep, bs_time now);

#endif
