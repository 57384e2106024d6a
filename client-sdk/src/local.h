/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - the local network: a search for devices, and a connection's attempt to reach its
 * device without the basestation (basestation-wire(7), LOCAL NETWORK).
 *
 * With a pairing secret the attempt runs beside the CONNECT, which it holds back for a moment; what
 * works first is used, and the other one is the reserve as long as nothing works.
 *
 * Owner: the session's thread.  May call: the core, the heap.
 */
#ifndef BS_CLIENT_SRC_LOCAL_H
#define BS_CLIENT_SRC_LOCAL_H

#include "basestation/client_local.h"
#include "machine.h"
#include "proto/local_client.h"

/** Head start of the local network before the basestation is asked, ms. */
#define BSC__LOCAL_START_MS 100u

/** How to reach a device on the local network. */
struct bsc__local_how {
	bool plain;
	struct bs_endpoint ep; /**< none: search */
	uint8_t key_id[BS_KEY_ID_LEN];
	uint8_t psk[BS_PSK_LEN];
};

/** A connection's attempt. */
struct bsc__local {
	bool only; /**< there is no other way: an end of this is the end */
	bool over; /**< it failed, or was used */
	bool ours; /**< the connection runs over it */
	bool has_reserve;
	bs_time hold;             /**< the CONNECT waits until then */
	struct bsc_error reserve; /**< what the basestation said, should this fail as well */
	struct bsc_error error;   /**< why this failed */
	struct bsc__local_how how;
	struct bs_discovery search;
	struct bs_local_connect link;
};

/** The search of a session. */
struct bsc__search {
	struct bs_discovery d;
	bsc_found_fn fn; /**< NULL = none runs */
	void *arg;
};

/** From the caller's words.  BS_OK, or BS_EINVAL; takes milliseconds for a printed secret. */
BS_MUSTCHECK int bsc__local_how(const struct bsc__machine *m, const char *device,
				const struct bsc_local *in, struct bsc__local_how *out);
/** From the pairing secret that pair_fn knows; BS_ENOENT when there is none. */
BS_MUSTCHECK int bsc__local_how_own(const struct bsc__machine *m, const char *device,
				    const struct bs_endpoint *ep, struct bsc__local_how *out);
/** The same from the pairing secret of a connection. */
BS_MUSTCHECK int bsc__local_how_pair(const struct bsc_conn *c, struct bsc__local_how *out);
/** Begin the attempt of a connection.  BS_OK, BS_ENOMEM, BS_ERANDOM, BS_ECRYPTO. */
BS_MUSTCHECK int bsc__local_begin(struct bsc_conn *c, const struct bsc__local_how *how, bool only,
				  bs_time now);
/** Whether the CONNECT of this connection waits for it. */
bool bsc__local_holds(const struct bsc_conn *c);
/** Something else failed: whether the attempt goes on (it keeps the reason then). */
bool bsc__local_is_reserve(struct bsc_conn *c, const struct bsc_error *why);
/** Whether it has a connection for us now; *conf is filled then, and *ep is where. */
bool bsc__local_take(struct bsc_conn *c, struct bs_peer_conf *conf, struct bs_endpoint *ep);
/** Whether it failed, and nothing else is left: *why says so. */
bool bsc__local_is_lost(const struct bsc_conn *c, struct bsc_error *why);
/** A datagram; true when it was for it. */
bool bsc__local_input(struct bsc_conn *c, uint8_t *pkt, size_t len, const struct bs_endpoint *from,
		      bs_time now);
void bsc__local_timeout(struct bsc_conn *c, bs_time now);
size_t bsc__local_output(struct bsc_conn *c, uint8_t *buf, size_t cap, struct bs_endpoint *to);
bool bsc__local_next_timeout(const struct bsc_conn *c, bs_time *at);
void bsc__local_free(struct bsc_conn *c);

/** The session's search: see bsc_discover(). (cb in input and timeout) */
int bsc__search_start(struct bsc__machine *m, const char *name, bsc_found_fn fn, void *arg,
		      bs_time now);
bool bsc__search_input(struct bsc__machine *m, const uint8_t *pkt, size_t len,
		       const struct bs_endpoint *from);
void bsc__search_timeout(struct bsc__machine *m, bs_time now);

#endif
