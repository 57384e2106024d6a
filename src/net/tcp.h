/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp.h - listening and accepted TCP sockets, non-blocking, in both address families.
 *
 * Every worker opens its own listener on the same endpoint (SO_REUSEPORT), so the kernel spreads
 * connections.  errno is read here and turned into a code; nothing above sees it.
 * Owner: the thread that holds the descriptor.  It may call util and log.
 */
#ifndef BS_NET_TCP_H
#define BS_NET_TCP_H

#include "basestation/error.h"
#include "basestation/types.h"

/**
 * Listen on ep (unspecified address and port 0 are fine); IPv6 sockets take IPv6 only.
 * Returns the descriptor; BS_EBUSY (port in use), BS_EPERM (port not permitted), BS_EUNREACH (no
 * such address here), BS_EFULL (no descriptors left), BS_EIO.
 */
BS_MUSTCHECK int bs_tcp_listen(const struct bs_endpoint *ep, int backlog);
/**
 * Whether nobody else listens on ep: SO_REUSEPORT would let two servers of one user share a port
 * without a word.  BS_OK (also for port 0), BS_EBUSY, or as bs_tcp_listen.
 */
BS_MUSTCHECK int bs_tcp_probe_free(const struct bs_endpoint *ep);
/**
 * No delay of small segments; accepted sockets take it over.  bs_tcp_listen() has done it: for a
 * listener that another process opened.
 */
void bs_tcp_no_delay(int fd);
/**
 * Hand out connections only when their first bytes (or their end) are there: whoever only opens one
 * costs no descriptor.  A hint; after a second or two they come without bytes.
 */
void bs_tcp_await_bytes(int listener);
/** Whether reading would bring bytes, the end or an error. */
bool bs_tcp_is_readable(int fd);
/**
 * Take one connection; the descriptor is non-blocking, close-on-exec and, as the listener, without
 * Nagle's delay.
 * Returns it and fills peer; BS_EAGAIN when none waits, BS_EFULL when descriptors or memory ran
 * out, BS_EIO.
 */
BS_MUSTCHECK int bs_tcp_accept(int listener, struct bs_endpoint *peer);
/** The endpoint that a socket is bound to.  BS_OK or BS_EIO. */
BS_MUSTCHECK int bs_tcp_local(int fd, struct bs_endpoint *ep);
/** Up to cap bytes: their number, 0 at the end of the stream, BS_EAGAIN, BS_EIO. */
BS_MUSTCHECK bs_ssize bs_tcp_read(int fd, uint8_t *buf, size_t cap);
/**
 * Up to len bytes: their number, BS_EAGAIN, BS_EIO.  more: nobody waits for them, so that they may
 * go with what is written next, or with the end; without either the kernel sends them after the
 * time in which it would repeat a segment, 0.2 s or more.
 */
BS_MUSTCHECK bs_ssize bs_tcp_write(int fd, const uint8_t *buf, size_t len, bool more);
/** Probe a silent peer from 60 s on, so that one that is gone does not stay for ever. */
void bs_tcp_keepalive(int fd);
/** Send no more: the peer reads the end of the stream. */
void bs_tcp_shutdown(int fd);
/** Two connected UNIX stream sockets, non-blocking, close-on-exec.  BS_OK, BS_EFULL, BS_EIO. */
BS_MUSTCHECK int bs_tcp_pair(int fd[2]);
/** Close; negative descriptors are ignored. */
void bs_tcp_close(int fd);
/** Smoothed round trip of a connection in ms, at least 1; 0 where the system does not tell. */
uint16_t bs_tcp_rtt_ms(int fd);

#endif
