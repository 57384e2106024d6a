/* SPDX-License-Identifier: Apache-2.0 */
/* socket.h - the port's UDP socket: dual stack where the machine has IPv6. */
#ifndef BSDEV_SOCKET_H
#define BSDEV_SOCKET_H

#include "basestation/types.h"

/** A UDP socket; fd -1 when closed. */
struct bsdev_socket {
	int fd;
	bool ip6; /**< an AF_INET6 socket that also carries IPv4 */
};

/** Open and bind; BS_OK, BS_EINVAL for a bad address text, BS_EIO with errno. */
int bsdev__socket_open(struct bsdev_socket *s, const char *address, uint16_t port, bool ip4_only);
void bsdev__socket_close(struct bsdev_socket *s);
/** One datagram: its length, or BS_EAGAIN. */
bs_ssize bsdev__socket_recv(const struct bsdev_socket *s, uint8_t *buf, size_t cap,
			    struct bs_endpoint *from);
/** Send; a failure is like a loss. */
void bsdev__socket_send(struct bsdev_socket *s, const uint8_t *buf, size_t len,
			const struct bs_endpoint *to);
/** Public IPv6 endpoints of the socket, at most cap; none where it carries IPv4 only. */
size_t bsdev__socket_hosts6(const struct bsdev_socket *s, struct bs_endpoint *out, size_t cap);
/** Address and port of our side as seen towards peer (address unset when unknown). */
void bsdev__socket_local(const struct bsdev_socket *s, const struct bs_endpoint *peer,
			 struct bs_endpoint *local);

#endif
