/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gatekeeper.h - a small client gate on a real socket, in the test's own process: TLS of certs.h,
 * HELLO, LIST and PING answered, the rest refused.  The test pumps it.
 */
#ifndef BS_TEST_CLIENT_GATEKEEPER_H
#define BS_TEST_CLIENT_GATEKEEPER_H

#include "basestation/client.h"
#include "certs.h"

struct gatekeeper {
	struct server tls;
	int listener;
	int fd; /**< of the client, -1 = none */
	uint16_t port;
	uint8_t in[4096];
	size_t in_len;
	int accepted; /**< connections taken */
	int hellos;
	bool deaf; /**< answers nothing above TLS */
	bool mute; /**< takes connections and says nothing at all */
};

void gatekeeper_init(struct gatekeeper *g, const struct server_opts *o);
void gatekeeper_fini(struct gatekeeper *g);
/** Do what is ready. */
void gatekeeper_pump(struct gatekeeper *g);
/** Hang up on the client. */
void gatekeeper_drop(struct gatekeeper *g);
/** Turn both until *done or the deadline (ms); true when done. */
bool gatekeeper_turn(struct gatekeeper *g, struct bsc_session *s, const bool *done, int ms);
/** A configuration with good files that leads to it. */
void gatekeeper_config(const struct gatekeeper *g, struct bsc_config *cfg);

#endif
