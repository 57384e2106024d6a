/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - one way to a basestation: name, TCP, TLS.  Never blocks; the addresses of a name
 * are tried one after the other.
 */
#ifndef BS_CLIENT_POSIX_TRANSPORT_H
#define BS_CLIENT_POSIX_TRANSPORT_H

#include "resolver.h"
#include "tls.h"

/** One address may take so long before the next is tried. */
#define BSC__TCP_TIMEOUT_MS 3000
/** TLS records that wait for the socket: one largest packet and its overhead. */
#define BSC__TRANSPORT_OUT_MAX 20000

enum bsc__transport_state {
	BSC__TRANSPORT_IDLE = 0,
	BSC__TRANSPORT_RESOLVING,
	BSC__TRANSPORT_TCP,
	BSC__TRANSPORT_TLS,
	BSC__TRANSPORT_UP,
	BSC__TRANSPORT_FAILED, /**< error says why */
};

struct bsc__transport {
	enum bsc__transport_state state;
	struct bsc__resolver *resolver; /**< borrowed; NULL = started at addresses only */
	struct bsc__tls_ctx *ctx;       /**< borrowed */
	struct bsc__tls *tls;
	bool plain; /**< TCP only: a relay */
	int fd;
	char host[256];
	char name[256]; /**< that the certificate must carry */
	uint16_t port;
	struct bs_endpoint addr[BSC__ADDRS_MAX];
	size_t n_addr;
	size_t next_addr;
	bs_time tcp_deadline;
	struct bsc_error error;
	uint64_t full;  /**< handshakes */
	size_t out_len; /**< bytes of out that wait for the socket */
	uint8_t out[BSC__TRANSPORT_OUT_MAX];
};

void bsc__transport_init(struct bsc__transport *t, struct bsc__resolver *r,
			 struct bsc__tls_ctx *ctx);
/** Close without a word; polite = with a TLS goodbye, as far as the socket takes it at once. */
void bsc__transport_stop(struct bsc__transport *t, bool polite);
/** Begin anew. */
void bsc__transport_start(struct bsc__transport *t, const char *host, uint16_t port,
			  const char *name);
/** Begin anew at this address, without a lookup; name NULL = TCP alone. */
void bsc__transport_start_at(struct bsc__transport *t, const char *host, uint16_t port,
			     const char *name, const struct bs_endpoint *addr, bs_time now);
/** Go on as far as possible; afterwards look at state. */
void bsc__transport_step(struct bsc__transport *t, bs_time now);
/** Plain bytes: their number, BS_EAGAIN, or BS_ECLOSED: it failed, error says why. */
BS_MUSTCHECK bs_ssize bsc__transport_read(struct bsc__transport *t, uint8_t *buf, size_t cap);
/** Whether a whole packet may be written. */
bool bsc__transport_writable(const struct bsc__transport *t);
/** Bytes that may be written although others wait. */
size_t bsc__transport_room(const struct bsc__transport *t);
/** Encrypt and send, or keep until the socket takes it; only when writable, or with room. */
void bsc__transport_write(struct bsc__transport *t, const uint8_t *data, size_t len);
/** Descriptors to wait for. */
size_t bsc__transport_fds(struct bsc__transport *t, struct bsc_fd *fds, size_t cap);
/** Whether a deadline is set; *at is it. */
bool bsc__transport_next_timeout(struct bsc__transport *t, bs_time now, bs_time *at);
/** The address in use; false when there is none. */
bool bsc__transport_remote(const struct bsc__transport *t, struct bs_endpoint *ep);

#endif
