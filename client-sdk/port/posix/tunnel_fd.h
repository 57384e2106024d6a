/* SPDX-License-Identifier: Apache-2.0 */
/* tunnel_fd.h - the descriptors of tunnels: listeners, accepted sockets, standard input. */
#ifndef BS_CLIENT_POSIX_TUNNEL_FD_H
#define BS_CLIENT_POSIX_TUNNEL_FD_H

#include "basestation/client.h"

/** Listen; *port receives the port.  The descriptor, or -1 with *err filled and err->err set. */
int bsc__fd_listen(const char *bind, uint16_t *port, struct bsc_error *err);
/** Accept; -1 when there is none now (errno). */
int bsc__fd_accept(int listener);
/**
 * bsc__fd_own - a non-blocking descriptor of our own for one of the caller's
 *
 * A terminal, pipe or file is opened anew where the system allows it, so that the caller's own
 * descriptor, which others may share, stays blocking.
 *
 * @is_socket set for a socket
 *
 * Returns the descriptor, or -1 (errno).
 */
int bsc__fd_own(int fd, bool write, bool *is_socket);

#endif
