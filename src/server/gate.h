/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate.h - the client gate: TLS sessions of clients, as basestation-wire(7), CLIENT GATE says.
 *
 * One struct bs_gate per worker, owned by its thread; what all workers share (listening sockets,
 * certificate and ticket-key snapshots) belongs to main and is handed over by reference.  A worker
 * reaches the gate through the table of gate_ops.h only.
 *
 *	gate_shared.c   main's part: sockets, snapshots, reload, ticket keys
 *	gate.c          the worker's part: accept, tick, messages
 *	gate_session.c  one session: handshake, frames, output, time limits
 *	gate_lane.c     whose handshake comes next, and who gives way when there is no room
 *	gate_request.c  which request goes where; HELLO, PING, errors
 *	gate_probe.c    UDP probes and what they tell about the client's NAT
 *	gate_client.c   what the sessions of one client have together, on all workers
 *	gate_connect.c  CONNECT, DISCONNECT and their results
 *	gate_query.c    LIST and WATCH: questions to the owners of ids
 *	presence.c      who watches which device, and the events
 *	gate_ticket.c   clients that come by UDP with a connect ticket, see gate_ticket.h
 *	gate_revoke.c   looking at rights again after a change
 *	gate_map.c      containers
 */
#ifndef BS_SERVER_GATE_H
#define BS_SERVER_GATE_H

#include "server/gate_ops.h"

/** The table for bs_server_bind(). */
const struct bs_gate_ops *bs_gate_ops(void);

#endif
