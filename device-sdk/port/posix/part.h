/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part.h - something that runs in the loop of the POSIX port beside the device itself.
 *
 * posix.c knows parts by this struct only, so that one which is not used is not linked.
 */
#ifndef BSDEV_PART_H
#define BSDEV_PART_H

#include "basestation/device_posix.h"

/** A part; embed it. */
struct bsdev__part {
	int fd; /**< readable when step has something to do; owned by the part */
	/** Do what is ready; true when there is more to do at once. */
	bool (*step)(struct bsdev__part *part);
	/** The port ends: the device is gone already, close and free. */
	void (*end)(struct bsdev__part *part);
};

/** Run it with the port from now on; NULL takes it away.  BS_EEXIST when there is one. */
int bsdev__posix_attach(struct bsdev_posix *p, struct bsdev__part *part);

#endif
