/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_payload.h - the payloads that only the client gate uses (basestation-wire(7), CLIENT GATE).
 *
 * get: from a payload's data; BS_OK, BS_EFIELD or BS_ESHORT, the out-parameter untouched on
 * failure.  put: append to a packet under construction; errors stick to the writer.  Slices are
 * borrowed from the packet.  It may call util only.  Any thread.
 */
#ifndef BS_WIRE_GATE_PAYLOAD_H
#define BS_WIRE_GATE_PAYLOAD_H

#include "wire/payload.h"

/** Bytes of a TOKEN that is a probe key, and of a RELAY_KEY. */
#define BS_TOKEN_LEN 16
/** Bytes of an ATTEMPT id. */
#define BS_ATTEMPT_LEN 8
/** Longest host name in NODE. */
#define BS_NODE_HOST_MAX 253
/** Longest CURSOR that we write or take. */
#define BS_LIST_CURSOR_MAX 64
/** Longest STATUS text that we write; longer ones are read all the same. */
#define BS_STATUS_TEXT_MAX 200

/** STATUS payload: a code of enum bs_status and text for people. */
struct bs_status_text {
	uint16_t code;
	struct bs_slice text; /**< UTF-8 of the peer: escape before printing */
};

/** NODE payload: where another node's client gate is. */
struct bs_node {
	uint16_t port;
	struct bs_slice host; /**< name or address as text, 1..BS_NODE_HOST_MAX bytes */
};

/** NAT behaviour: values of the fields of a NAT payload. */
enum bs_nat_kind {
	BS_NAT_UNKNOWN = 0,
	BS_NAT_INDEPENDENT = 1,
	BS_NAT_BY_ADDRESS = 2,
	BS_NAT_BY_PORT = 3, /**< by address and port */
};

/** NAT payload. */
struct bs_nat {
	uint8_t mapping;   /**< enum bs_nat_kind; values above 3 are read as unknown */
	uint8_t filtering; /**< the same */
};

/** What a client should do to find a path (PARAMS, tactics). */
enum bs_tactic {
	BS_TACTIC_SOCKETS = 0x0001, /**< search from many sockets: your NAT is symmetric */
	BS_TACTIC_GUESS = 0x0002,   /**< guess ports of the device: its NAT is symmetric */
	BS_TACTIC_RELAY = 0x0004,   /**< no direct path is to be expected: take a relay at once */
};

/** Types in a PARAMS payload. */
enum bs_param {
	BS_PARAM_KEEPALIVE = 1,
	BS_PARAM_SERVER_TIME = 2,
	BS_PARAM_PACKET_MAX = 3,
	BS_PARAM_RETRY_AFTER = 4,
	BS_PARAM_TACTICS = 5,
	BS_PARAM_VERSIONS = 6,
	BS_PARAM_SINCE = 7,
	BS_PARAM_UNSUBSCRIBE = 8,
	BS_PARAM_PATH = 9,
	BS_PARAM_TICKET_LIFE = 10,
};

/** Bit of struct bs_params.has for one type. */
#define BS_PARAM_BIT(t) (1u << (t))

/** PARAMS payload; a field counts only when its bit is in has. */
struct bs_params {
	uint16_t has;            /**< BS_PARAM_BIT of each entry that is there */
	uint16_t keepalive_s;    /**< the session is closed after so long without a packet */
	uint64_t server_time_ms; /**< Unix time */
	uint16_t packet_max;     /**< largest packet on the stream, bytes */
	uint32_t retry_after_ms; /**< come back after this */
	uint16_t tactics;        /**< enum bs_tactic bits */
	uint8_t version_min;     /**< of the client protocol */
	uint8_t version_max;
	uint64_t since;         /**< event number */
	uint8_t path;           /**< how the packets travelled, as in CONNECTION_INFO */
	uint32_t ticket_life_s; /**< of connect tickets; in HELLO: they are to be had */
};

/** Values of bs_presence.state. */
enum bs_presence_state {
	BS_PRESENCE_OFFLINE = 0,
	BS_PRESENCE_ONLINE = 1,
	BS_PRESENCE_UNKNOWN = 2,
};

/** PRESENCE payload: what is known about one device. */
struct bs_presence {
	uint64_t event;     /**< event number; 0 = none */
	uint8_t state;      /**< enum bs_presence_state; values above 2 are read as unknown */
	uint64_t since_ms;  /**< Unix time of the last change, 0 = not known */
	struct bs_slice id; /**< device id */
};

/** SESSION_KEY payload. */
struct bs_session_key {
	uint16_t suite;          /**< enum bs_suite_code */
	bool has_key;            /**< false only with the NULL suite */
	struct bs_key_block key; /**< the D block; the client is the initiator; wipe after use */
};

BS_MUSTCHECK int bs_status_get(const struct bs_payload *pl, struct bs_status_text *st);
/** Text beyond BS_STATUS_TEXT_MAX is cut. */
void bs_status_put(struct bs_writer *w, const struct bs_status_text *st);
BS_MUSTCHECK int bs_node_get(const struct bs_payload *pl, struct bs_node *n);
void bs_node_put(struct bs_writer *w, const struct bs_node *n);
BS_MUSTCHECK int bs_nat_get(const struct bs_payload *pl, struct bs_nat *n);
void bs_nat_put(struct bs_writer *w, const struct bs_nat *n);
/** Unknown entries are skipped; a known one of the wrong length is BS_EFIELD. */
BS_MUSTCHECK int bs_params_get(const struct bs_payload *pl, struct bs_params *p);
void bs_params_put(struct bs_writer *w, const struct bs_params *p);
/** BS_EFIELD when the id is no device id. */
BS_MUSTCHECK int bs_presence_get(const struct bs_payload *pl, struct bs_presence *p);
void bs_presence_put(struct bs_writer *w, const struct bs_presence *p);
/** BS_ESUITE when an AES suite comes without exactly 96 bytes or the NULL suite with any. */
BS_MUSTCHECK int bs_session_key_get(const struct bs_payload *pl, struct bs_session_key *k);
void bs_session_key_put(struct bs_writer *w, const struct bs_session_key *k);
/** TOKEN, RELAY_KEY and ATTEMPT: exactly len bytes, else BS_EFIELD. */
BS_MUSTCHECK int bs_fixed_get(const struct bs_payload *pl, uint8_t *out, size_t len);

#endif
