/* SPDX-License-Identifier: Apache-2.0 */
/* Byte streams to TCP relays: from the port to the core. */
#include "context.h"

void bsdev_relay_opened(struct bsdev *dev, unsigned slot, bs_time now)
{
	dev->now = now;
	bs_device_gw_opened(&dev->core, slot);
	bsdev__report(dev);
}

void bsdev_relay_closed(struct bsdev *dev, unsigned slot, bs_time now)
{
	dev->now = now;
	bs_device_gw_closed(&dev->core, slot, now);
	bsdev__report(dev);
}

int bsdev_relay_input(struct bsdev *dev, unsigned slot, uint8_t *pkt, size_t len, bs_time now)
{
	int err;

	dev->now = now;
	err = bs_device_gw_input(&dev->core, slot, pkt, len, now);
	bsdev__report(dev);
	return err;
}
