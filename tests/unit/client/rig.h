/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - a machine on a bench: the test plays transport, clock and basestation, and everything
 * that the caller is told is written down.
 */
#ifndef BS_TEST_CLIENT_RIG_H
#define BS_TEST_CLIENT_RIG_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/openssl.h"
#include "error.h"
#include "machine.h"
#include "util/endpoint.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/** What a callback was told; the latest, and how often. */
struct told {
	int n;
	enum bsc_progress step;
	struct bsc_error err; /**< code 0 = none */
	char trace[256];      /**< first letter of each step */
};

struct rig {
	struct bs_openssl *openssl;
	struct bsc__machine m;
	bs_time now;
	struct told session;
	struct bs_packet last; /**< last packet that the machine sent */
	uint8_t buf[BS_GATE_PACKET_MAX];
};

/** A machine with one-second numbers that are easy to count: open 10 s, path 6 s, rpc 30 s. */
void rig_init(struct rig *r);
void rig_fini(struct rig *r);
/** Session callback (arg: struct told), connection callback (the same). */
void rig_on_session(void *arg, struct bsc_session *s, enum bsc_progress step,
		    const struct bsc_error *err);
void rig_on_conn(void *arg, struct bsc_conn *c, enum bsc_progress step,
		 const struct bsc_error *err);
/** Let time pass and run what is due. */
void rig_pass(struct rig *r, uint32_t ms);
/** The next packet to the basestation, decoded; false when there is none. */
bool rig_sent(struct rig *r);
/** The same, and it must be of this type. */
void rig_expect(struct rig *r, uint8_t type);
/** Bytes from the basestation. */
void rig_bytes(struct rig *r, const uint8_t *b, bs_ssize len);
/** TLS comes up and HELLO goes out; r->last is the HELLO. */
void rig_up(struct rig *r);
/** The transport breaks. */
void rig_down(struct rig *r, int err, uint32_t code);
/** Answer the HELLO in r->last with success. */
void rig_hello(struct rig *r);
/** Open, up and HELLO in one go. */
void rig_open(struct rig *r);
/** A status answer to the request in r->last; retry_ms 0 = none. */
void rig_refuse(struct rig *r, uint16_t code, const char *text, uint32_t retry_ms);
/** Answer r->last (LIST or WATCH) with presences "id:state" and a cursor, "" = the end. */
void rig_list(struct rig *r, uint16_t code, const char *const *rows, const char *cursor);
struct bs_slice rig_text(const char *s);

#endif
