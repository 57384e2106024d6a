/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_port.h - the socket for the local network, and what stands behind it.
 *
 * Owner: the device's thread.  Allocates: when it is opened, and while addresses are read.
 */
#ifndef BSDEV_LOCAL_PORT_H
#define BSDEV_LOCAL_PORT_H

#include "basestation/device_local.h"
#include "near.h"
#include "socket.h"

/** The local network of a device; all zero and fd -1 when there is none. */
struct bsdev_local_port {
	struct bsdev_socket sock;
	struct bsdev_nets nets;
	struct bsdev_local *local; /**< NULL: no local network */
	void *storage;
};

/** Open; BS_OK, BS_EINVAL, BS_ENOMEM, or BS_EIO with errno (the port is taken). */
int bsdev__local_open(struct bsdev_local_port *lp, struct bsdev *dev,
		      const struct bsdev_local_conf *conf, bool ip4_only);
void bsdev__local_close(struct bsdev_local_port *lp);
/** Send everything that waits for this socket alone. */
void bsdev__local_flush(struct bsdev_local_port *lp);
/** One datagram: false when there is none. */
bool bsdev__local_take(struct bsdev_local_port *lp, uint8_t *buf, size_t cap, bs_time now);

#endif
