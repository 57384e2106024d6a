/* SPDX-License-Identifier: Apache-2.0 */
/*
 * superloop.c - a port for a small controller: one loop, no operating system, no heap.
 *
 * All memory of the device is in the two arrays below, so that the linker's map shows what it
 * costs.  scripts/cross builds this file for two processors and prints the sizes.
 */
#include "board.h"

/** Clients that may be connected at once. */
#define CONNECTIONS 2

static union {
	void *align;
	uint8_t bytes[BSDEV_STORAGE_LEN(CONNECTIONS)];
} storage;
/** Received and sent packets share one buffer. */
static uint8_t packet[BSDEV_PACKET_MAX];

static int on_query(void *ctx, struct bsdev *dev, uint32_t id, struct bsdev_query *q)
{
	(void)ctx;
	(void)dev;
	if (id != 1)
		return BS_RPC_UNKNOWN_QUERY;
	bsdev_write_u16(q, board_sensor());
	return BS_RPC_OK;
}

static void resolve(void *ctx, struct bsdev *dev, const char *host, size_t host_len)
{
	(void)ctx;
	(void)dev;
	board_lookup(host, host_len);
}

static void renew_socket(void *ctx, struct bsdev *dev)
{
	(void)ctx;
	(void)dev;
	board_renew_socket();
}

static const struct bsdev_port port = {
	.resolve = resolve,
	.renew_socket = renew_socket,
	.random = board_random,
};

static const struct bsdev_conf conf = {
	.id = board_id,
	.secret = board_secret,
	.extensions = BS_EXT_ATTEMPT | BS_EXT_CLOSE,
	.connections = CONNECTIONS,
	.query = on_query,
};

static void turn(struct bsdev *dev)
{
	struct bs_endpoint ep, ips[BSDEV_ADDRESSES_MAX];
	const bs_time now = board_now();
	size_t n;
	bs_time at;

	n = board_receive(packet, sizeof(packet), &ep);
	if (n > 0)
		(void)bsdev_input(dev, packet, n, &ep, now);
	if (board_lookup_done(ips, &n))
		bsdev_addresses(dev, ips, n, now);
	if (bsdev_next_timeout(dev, &at) && BS_TIME_DIFF(now, at) >= 0)
		bsdev_timeout(dev, now);
	while ((n = bsdev_output(dev, packet, sizeof(packet), &ep, now)) > 0)
		board_send(packet, n, &ep);
}

int main(void)
{
	struct bsdev *dev;

	if (bsdev_init(&storage, sizeof(storage), &conf, &port, board_now(), &dev) != BS_OK)
		return 1;
	for (;;)
		turn(dev);
}
