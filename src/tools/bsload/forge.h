/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forge.h - packets of nobody: what a stranger can send to a basestation without knowing a secret.
 *
 * Everything is well formed, so that it costs the server what it can cost.  Answers are counted and
 * thrown away: their bytes beside ours are the amplification.
 *
 * Owner: the generator's thread.  May call: wire, sockets.h.  Allocates: in new only.
 */
#ifndef BS_TOOLS_BSLOAD_FORGE_H
#define BS_TOOLS_BSLOAD_FORGE_H

#include "ids.h"
#include "port/poller.h"

/** What is forged, and from where. */
enum forge_kind {
	FORGE_UNKNOWN, /**< invites of ids that do not exist, from everywhere */
	FORGE_KNOWN,   /**< invites of ids that exist, from everywhere */
	FORGE_TARGET,  /**< invites of one id, from everywhere */
	FORGE_PREFIX,  /**< invites of ids that exist, from one /24 */
	FORGE_CGNAT,   /**< invites of ids that exist, from many ports of one address */
	FORGE_ALIVE,   /**< keepalive answers with attachment numbers out of the air */
	FORGE_ATTACH,  /**< attach responses with such numbers, and a MAC of noise */
};

/** How. */
struct forge_conf {
	enum forge_kind kind;
	struct ids ids;
	uint32_t n;        /**< ids that exist */
	uint32_t target;   /**< the one of FORGE_TARGET */
	uint32_t first_ip; /**< of the sources */
	uint64_t seed;
	struct bs_poller *poller;
	struct bs_endpoint controller;
};

struct forge;

/** The kind that a word names; false for none. */
bool forge_kind(const char *word, enum forge_kind *kind);
/** NULL without memory or sockets. */
struct forge *forge_new(const struct forge_conf *conf);
void forge_free(struct forge *f);
/** Send the invites that carry a nonce there; else all go to the controller. */
void forge_set_server(struct forge *f, const struct bs_endpoint *server);
/** Send n. */
void forge_send(struct forge *f, uint32_t n);
/** Take what was answered. */
void forge_step(struct forge *f);

/** Sums since the start. */
struct forge_counts {
	uint64_t sent;
	uint64_t bytes_sent;
	uint64_t answers;
	uint64_t answer_bytes;
};
struct forge_counts forge_counts(const struct forge *f);

#endif
