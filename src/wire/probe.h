/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.h - the 72-byte UDP probe of a client and its answer (basestation-wire(7), PROBE).
 *
 * The MAC is computed one layer up (proto/probe.h): this layer knows where it lies, no more.
 * It may call util only.  Any thread.
 */
#ifndef BS_WIRE_PROBE_H
#define BS_WIRE_PROBE_H

#include "wire/payload.h"

/** Bytes of a probe, always. */
#define BS_PROBE_LEN 72
/** Bytes of its MAC. */
#define BS_PROBE_MAC_LEN 16
/** Where the MAC starts: it covers everything before it. */
#define BS_PROBE_MAC_OFF (BS_PROBE_LEN - BS_PROBE_MAC_LEN)
/** Largest answer; below BS_PROBE_LEN, so the probe cannot be used to amplify. */
#define BS_PROBE_ANSWER_MAX 50
/** Index of a probe that binds the client leg of a UDP relay. */
#define BS_PROBE_INDEX_RELAY 0xFF

/** Values of bs_probe.ask: where the answer shall come from. */
enum bs_probe_ask {
	BS_PROBE_ASK_SAME = 0,
	BS_PROBE_ASK_OTHER_PORT = 1,
	BS_PROBE_ASK_OTHER_ADDRESS = 2,
};

/** A probe. */
struct bs_probe {
	uint32_t cp; /**< session number of the client */
	uint32_t sp; /**< probe NSI; with index 0xFF the connection NSI */
	uint16_t seq;
	uint8_t index;    /**< which probe of a round; 0xFF = relay binding */
	uint8_t ask;      /**< enum bs_probe_ask */
	uint32_t counter; /**< must rise within a token's life */
};

/** The answer to a probe. */
struct bs_probe_answer {
	uint32_t cp;
	uint32_t sp;
	uint16_t seq;
	struct bs_endpoint observed; /**< the source that the server saw */
};

/** Write the probe with a zero MAC.  Returns BS_PROBE_LEN. */
bs_ssize bs_probe_encode(const struct bs_probe *p, uint8_t buf[BS_PROBE_LEN]);
/**
 * Check the form of a probe; the MAC is not looked at.
 * Returns BS_OK, or BS_ESHORT, BS_ELENGTH, BS_EVERSION, BS_ETYPE, BS_EPAYLOAD, BS_EFIELD.
 */
BS_MUSTCHECK int bs_probe_decode(const uint8_t *buf, size_t len, struct bs_probe *p);
/** Write an answer: EP when the source is IPv4, EP6 kind 2 always.  Returns its length. */
bs_ssize bs_probe_answer_encode(const struct bs_probe_answer *a, uint8_t buf[BS_PROBE_ANSWER_MAX]);
/** As bs_probe_decode, and BS_EMISSING without EP6 kind 2. */
BS_MUSTCHECK int bs_probe_answer_decode(const uint8_t *buf, size_t len, struct bs_probe_answer *a);

#endif
