/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober.h - rounds of UDP probes from the rendezvous socket to the basestation
 * (basestation-wire(7), PROBE).  They show the server our public endpoint and the kind of NAT.
 *
 * A token answers 16 probes and lives 30 s; a PING renews it.
 */
#ifndef BS_CLIENT_SRC_PROBER_H
#define BS_CLIENT_SRC_PROBER_H

#include "crypto/crypto.h"
#include "wire/gate.h"

/** Packets per endpoint and round, and when: the server waits 100 ms for the first ones. */
#define BSC__PROBE_TRIES 4

struct bsc__prober {
	uint8_t token[BS_TOKEN_LEN];
	uint32_t cp;
	uint32_t sp;
	uint32_t counter;
	uint16_t seq[BS_GATE_PROBES_MAX]; /**< of the last packet to each endpoint */
	struct bs_endpoint to[BS_GATE_PROBES_MAX];
	uint8_t n;
	uint8_t try_no;   /**< of the running round */
	uint8_t waiting;  /**< bit per endpoint: a packet is to be composed */
	uint8_t answered; /**< bit per endpoint */
	bool active;
	bs_time due;                 /**< of the next try */
	struct bs_endpoint observed; /**< our endpoint as the server saw it; none = no answer */
};

/** Forget everything, the token first of all. */
void bsc__prober_clear(struct bsc__prober *p);
/** Take token, numbers and endpoints from a HELLO answer. */
void bsc__prober_set(struct bsc__prober *p, const struct bs_gate_hello_answer *a);
/** Begin a round, unless one is running or there is no token. */
void bsc__prober_start(struct bsc__prober *p, bs_time now);
/** Whether a datagram is a probe's answer: then it was taken. */
bool bsc__prober_input(struct bsc__prober *p, const uint8_t *pkt, size_t len,
		       const struct bs_endpoint *from);
void bsc__prober_timeout(struct bsc__prober *p, bs_time now);
size_t bsc__prober_output(struct bsc__prober *p, const struct bs_crypto *crypto, uint8_t *buf,
			  size_t cap, struct bs_endpoint *to);
bool bsc__prober_next_timeout(const struct bsc__prober *p, bs_time *at);

#endif
