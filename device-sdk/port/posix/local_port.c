/* SPDX-License-Identifier: Apache-2.0 */
#include "local_port.h"

#include <stdlib.h>

#include "basestation/device_posix.h"

/** Only networks that this machine is part of: a packet from elsewhere has no business here. */
static bool is_near(void *ctx, const struct bs_endpoint *from)
{
	return bsdev__nets_have(ctx, from, bsdev_posix_now());
}

int bsdev__local_open(struct bsdev_local_port *lp, struct bsdev *dev,
		      const struct bsdev_local_conf *conf, bool ip4_only)
{
	int err;

	lp->storage = calloc(1, BSDEV_LOCAL_STORAGE_LEN);
	if (lp->storage == NULL)
		return BS_ENOMEM;
	err = bsdev_local_init(lp->storage, BSDEV_LOCAL_STORAGE_LEN, dev, conf, is_near, &lp->nets,
			       &lp->local);
	/* Bound to no address: a socket bound to one would not get what is broadcast. */
	if (err == BS_OK)
		err = bsdev__socket_open(&lp->sock, NULL,
					 conf->port != 0 ? conf->port : BSDEV_LOCAL_PORT, ip4_only);
	return err;
}

void bsdev__local_close(struct bsdev_local_port *lp)
{
	bsdev_local_fini(lp->local);
	bsdev__socket_close(&lp->sock);
	free(lp->storage);
	lp->local = NULL;
	lp->storage = NULL;
}

void bsdev__local_flush(struct bsdev_local_port *lp)
{
	uint8_t buf[BSDEV_PACKET_MAX];
	struct bs_endpoint to;
	size_t len;

	while (lp->local != NULL &&
	       (len = bsdev_local_output(lp->local, buf, sizeof(buf), &to)) > 0)
		bsdev__socket_send(&lp->sock, buf, len, &to);
}

bool bsdev__local_take(struct bsdev_local_port *lp, uint8_t *buf, size_t cap, bs_time now)
{
	struct bs_endpoint from;
	bs_ssize n;

	if (lp->local == NULL)
		return false;
	n = bsdev__socket_recv(&lp->sock, buf, cap, &from);
	if (n == BS_EAGAIN)
		return false;
	if (n < 0)
		return true;
	from.via = BS_VIA_LOCAL;
	(void)bsdev_local_input(lp->local, buf, (size_t)n, &from, now);
	bsdev__local_flush(lp);
	return true;
}
