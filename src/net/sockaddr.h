/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockaddr.h - between struct bs_endpoint and the system's socket addresses.
 *
 * Any thread; pure.
 */
#ifndef BS_NET_SOCKADDR_H
#define BS_NET_SOCKADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "basestation/types.h"

/** Room for either family. */
union bs_sockaddr {
	struct sockaddr sa;
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;
};

/** Fill sa from ep: IPv4 for a mapped address.  Returns its length. */
socklen_t bs_sockaddr_set(union bs_sockaddr *sa, const struct bs_endpoint *ep);
/** The reverse; an unknown family gives an unset endpoint. */
void bs_sockaddr_get(const union bs_sockaddr *sa, struct bs_endpoint *ep);

/** "1.2.3.4:5" or "[::1]:5" for people; cut at cap.  Returns buf. */
const char *bs_sockaddr_text(const struct bs_endpoint *ep, char *buf, size_t cap);

/** What a code of bs_udp_open() or bs_tcp_listen() means and what helps, for the end of a message.
 *  Static text. */
const char *bs_listen_remedy(int err);

#endif
