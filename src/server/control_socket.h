/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control_socket.h - the system calls round the control socket: bind, accept, who is there.
 *
 * Owner thread: main.
 */
#ifndef BS_SERVER_CONTROL_SOCKET_H
#define BS_SERVER_CONTROL_SOCKET_H

#include "basestation/error.h"
#include "basestation/types.h"

struct bs_conf;

/** A connected, non-blocking descriptor; BS_EAGAIN: nobody is there, BS_EFULL: none is left. */
int bs__control_accept(int fd);
/** Whether the peer is root, this process's user, or in the conf's control-group. */
bool bs__control_peer_allowed(int fd, const struct bs_conf *conf);
/** Path that fd is bound to, "" when none, into out[cap]. */
void bs__control_path(int fd, char *out, size_t cap);

#endif
