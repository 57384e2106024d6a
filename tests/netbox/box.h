/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box.h - what the boxes of bs-netbox share: TUN devices in network namespaces, time, messages.
 *
 *	bs_netbox.c  arguments, TUN devices
 *	box_nat.c    one NAT: inside devices, one outside device
 *	box_link.c   one line: two devices
 *
 * One thread a program.  May call: util, the models, ip_packet.  Allocates: at start, and the link
 * box one block for each packet under way.
 */
#ifndef BS_NETBOX_BOX_H
#define BS_NETBOX_BOX_H

#include <poll.h>
#include <stdbool.h>

#include "link_model.h"
#include "nat_model.h"

/** TUN devices of one box. */
#define BOX_TUNS 9
/** Largest packet that a TUN device hands over. */
#define BOX_PACKET 65536
/** Packets taken from one device before the others get their turn. */
#define BOX_BATCH 64

/** A box at work. */
struct box {
	int tun[BOX_TUNS]; /**< NAT: [0] is outside; link: [0] and [1] */
	size_t n_tuns;
};

/** What the user asked of a NAT box. */
struct box_nat_conf {
	struct nat_conf ip4;
	bool ip6; /**< let IPv6 through, filtered as by "firewall"; otherwise none passes */
};

/** Monotonic time. */
bs_time box_now(void);
/** Open TUN device NAME in namespace NS ("" = our own) as the next one of the box. */
bool box_open_tun(struct box *b, const char *ns, const char *name);
/** Wait for packets until a time, NULL = for ever; false when the program shall end. */
bool box_wait(const struct box *b, struct pollfd *fds, const bs_time *until);
/** How often SIGUSR1 came since the last call. */
unsigned box_take_signals(void);
/** Send, and forget the packet when that fails. */
void box_write(int fd, const uint8_t *bytes, size_t len);

/** Run until SIGTERM; the exit status.  SIGUSR1: the NAT forgets all mappings. */
int box_run_nat(struct box *b, const struct box_nat_conf *conf);
/** Run until SIGTERM; the exit status.  SIGUSR1: the plug is pulled, or put in again. */
int box_run_link(struct box *b, const struct link_conf *conf);

#endif
