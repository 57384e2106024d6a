/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rendezvous.h - finding a path through two NATs: three clear packets (basestation-wire(7),
 * RENDEZVOUS).  Both sides; the client's search is in rendezvous_client.c, which a device does not
 * link.
 *
 * Nothing here is authenticated: a receiver answers to the source and stops searching; only DATA
 * decides about the path.
 *
 * Owner: the thread of its device or peer.  May call: util, wire.  Allocates: no.
 */
#ifndef BS_PROTO_RENDEZVOUS_H
#define BS_PROTO_RENDEZVOUS_H

#include "proto/spray.h"
#include "wire/packet.h"

/** Rounds and pace of a device. */
#define BS_RENDEZVOUS_ROUNDS   5
#define BS_RENDEZVOUS_ROUND_MS 1000u
/** Candidates that a client tries. */
#define BS_RENDEZVOUS_CANDIDATES 16

/** The answer to a rendezvous packet. */
struct bs_rendezvous_answer {
	struct bs_endpoint to;  /**< source of what is answered */
	struct bs_endpoint ep1; /**< what it had as EP1 */
	uint8_t step;           /**< 1 or 2; 0 = none waits */
};

/** Device side of one connection's search. */
struct bs_rendezvous_device {
	struct bs_rendezvous_answer answer;
	bs_time due;    /**< next round */
	uint8_t rounds; /**< rounds left; 0 = done */
	uint8_t send;   /**< private 0x01, global 0x02: packets of this round that wait */
	bool stopped;   /**< concluded, or DATA came */
};

/** What a received rendezvous packet means. */
struct bs_rendezvous_in {
	bool concluded;       /**< the first step 1 or 2: the search is over */
	uint32_t interval_ms; /**< from the NONCE, 0 = not there */
};

/** Start: rounds at once and every second; with no_search one round only (as stock devices do). */
void bs_rendezvous_start(struct bs_rendezvous_device *r, bool no_search, bs_time now);
/** Let the search that was just started begin at this time instead. */
void bs_rendezvous_put_off(struct bs_rendezvous_device *r, bs_time at);
/** Stop searching; packets are still answered. */
void bs_rendezvous_stop(struct bs_rendezvous_device *r);
/** Take a packet of this connection.  BS_OK, or a drop reason (BS_EFIELD for unknown steps). */
BS_MUSTCHECK int bs_rendezvous_input(struct bs_rendezvous_device *r, const struct bs_packet *p,
				     const struct bs_endpoint *from, struct bs_rendezvous_in *in);
void bs_rendezvous_timeout(struct bs_rendezvous_device *r, bs_time now);
/** Compose the next waiting packet; priv and global are the client's endpoints. */
size_t bs_rendezvous_output(struct bs_rendezvous_device *r, uint32_t nsi,
			    const struct bs_endpoint *priv, const struct bs_endpoint *global,
			    uint8_t *buf, size_t cap, struct bs_endpoint *to);
bool bs_rendezvous_next_timeout(const struct bs_rendezvous_device *r, bs_time *at);
/** Compose a step 0 to an endpoint, for either side. */
size_t bs_rendezvous_open(uint32_t nsi, const struct bs_endpoint *to, uint8_t *buf, size_t cap);

/** Kinds of client candidates; a lower value is preferred when several answer. */
enum bs_candidate_kind {
	BS_CANDIDATE_HOST = 0,
	BS_CANDIDATE_OBSERVED = 1,
	BS_CANDIDATE_LEARNED = 2, /**< source of a packet that came from none of the others */
};

/** One address of the device that a client tries. */
struct bs_candidate {
	struct bs_endpoint ep;
	uint8_t kind; /**< enum bs_candidate_kind */
	bool works;   /**< a step 1 or 2 came from there: both directions are open */
	bool waits;   /**< a step 0 packet to it waits to be composed */
};

/** Client side of a search. */
struct bs_rendezvous_client {
	struct bs_candidate cand[BS_RENDEZVOUS_CANDIDATES];
	struct bs_rendezvous_answer answer;
	struct bs_endpoint self; /**< our own endpoint as the device saw it (EP1); none = unknown */
	bs_time due;             /**< next round */
	uint32_t interval_ms;    /**< sent as NONCE; 0 = not sent */
	struct bs_spray spray;   /**< beyond the usual rounds, for one symmetric NAT */
	bs_time spray_at;        /**< when it starts (spray_waits) */
	uint16_t sockets;        /**< our NAT is symmetric: further sockets to use, 0 = none */
	bool guess;              /**< the device's NAT is symmetric: guess its ports */
	bool spray_waits;
	uint8_t spray_round; /**< sprays of guessed ports so far: the next goes on behind them */
	uint8_t n;
	uint8_t round;
	bool active; /**< searching */
};

/** Empty list, not searching. */
void bs_rendezvous_client_init(struct bs_rendezvous_client *r, uint32_t interval_ms);
/** Add a candidate; duplicates and endpoints without port are left out.  BS_EFULL when full. */
int bs_rendezvous_client_add(struct bs_rendezvous_client *r, const struct bs_endpoint *ep,
			     enum bs_candidate_kind kind);
/**
 * bs_rendezvous_client_tactics - what searches from now on do beyond their rounds
 *
 * @sockets number of further sockets that the owner opens by via when ours is the symmetric NAT,
 *          0 = none, at most BS_SPRAY_SOCKETS
 * @guess   guess ports of the device, when its NAT is the symmetric one
 *
 * With both nothing would help: then neither is done.
 */
void bs_rendezvous_client_tactics(struct bs_rendezvous_client *r, uint16_t sockets, bool guess);
/** Rounds at 0, 100, 250, 500 ms, then every second, until bs_rendezvous_client_stop. */
void bs_rendezvous_client_start(struct bs_rendezvous_client *r, bs_time now);
void bs_rendezvous_client_stop(struct bs_rendezvous_client *r);
/** Take a packet of this connection; *works is set when its source works in both directions. */
BS_MUSTCHECK int bs_rendezvous_client_input(struct bs_rendezvous_client *r,
					    const struct bs_packet *p,
					    const struct bs_endpoint *from, bool *works);
void bs_rendezvous_client_timeout(struct bs_rendezvous_client *r, bs_time now);
size_t bs_rendezvous_client_output(struct bs_rendezvous_client *r, uint32_t nsi, uint8_t *buf,
				   size_t cap, struct bs_endpoint *to);
bool bs_rendezvous_client_next_timeout(const struct bs_rendezvous_client *r, bs_time *at);
/** The best candidate that works; NULL when none does yet. */
const struct bs_candidate *bs_rendezvous_client_best(const struct bs_rendezvous_client *r);

#endif
