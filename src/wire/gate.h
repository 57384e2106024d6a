/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate.h - messages between a client and the basestation (basestation-wire(7), CLIENT GATE).
 *
 * One struct per message and direction; server and client SDK share them.  Each starts with the
 * numbers of the header.  Decoders take a packet that bs_packet_decode accepted, check type,
 * direction and payload set, and borrow from it.  They return BS_OK, or a -2xx code: BS_ETYPE for
 * the wrong message, BS_EPAYLOAD for an unknown payload that is not optional, BS_EMISSING,
 * BS_EFIELD, BS_ESUITE.  Encoders return the packet's length or BS_ETOOBIG.
 * Wire layer: pure, may call util only, any thread.
 */
#ifndef BS_WIRE_GATE_H
#define BS_WIRE_GATE_H

#include "wire/gate_payload.h"

/** Version of the client protocol that this code speaks (PARAMS 6, ALPN basestation/1). */
#define BS_GATE_VERSION 1
/** ALPN protocol name. */
#define BS_GATE_ALPN "basestation/1"
/** Host candidates in a CONNECT request, at most. */
#define BS_GATE_HOSTS_MAX 8
/** Endpoints of the basestation in a HELLO answer, at most: two ports in two families. */
#define BS_GATE_PROBES_MAX 4
/** Endpoints in a CONNECT answer, at most. */
#define BS_GATE_EPS_MAX 12
/** Longest connect ticket. */
#define BS_GATE_TICKET_MAX 512
/** Device ids in one WATCH, at most. */
#define BS_GATE_WATCH_MAX 64

/** What every message has in its header. */
struct bs_gate_head {
	uint32_t cp;  /**< number of the session, the client's choice */
	uint32_t sp;  /**< see each message; else 0 */
	uint16_t seq; /**< pairs answer and request; 0 in EVENT */
};

/** HELLO, client. */
struct bs_gate_hello {
	struct bs_gate_head h;
	struct bs_version version; /**< kind 1 */
	struct bs_caps caps;
	struct bs_params params; /**< keepalive asked for, versions spoken */
};

/** HELLO, server.  Without status BS_ST_OK only status (and params) count. */
struct bs_gate_hello_answer {
	struct bs_gate_head h; /**< sp = probe NSI */
	struct bs_status_text status;
	uint8_t token[BS_TOKEN_LEN]; /**< key of the probes; never sent over UDP */
	uint8_t n_probes;
	struct bs_endpoint
		probes[BS_GATE_PROBES_MAX]; /**< EP6 kind 4: controller and attach port */
	struct bs_endpoint observed;        /**< EP6 kind 2: the TCP source as seen */
	struct bs_node node;
	struct bs_params params;
	struct bs_caps caps;
};

/** CONNECT, client. */
struct bs_gate_connect {
	struct bs_gate_head h;
	struct bs_slice device; /**< id, checked by bs_device_id_ok */
	uint8_t attempt[BS_ATTEMPT_LEN];
	struct bs_caps caps;
	uint32_t ext;  /**< EXT: enum bs_ext bits that the client speaks; 0 = none */
	bool has_pair; /**< PAIR is there: the client insists on that secret */
	uint8_t pair[BS_PAIR_ID_LEN];
	uint8_t n_hosts;
	struct bs_ep6 hosts[BS_GATE_HOSTS_MAX]; /**< kind 1 */
};

/** CONNECT, server.  Without status BS_ST_OK only status, attempt and params count. */
struct bs_gate_connect_answer {
	struct bs_gate_head h; /**< sp = connection NSI */
	struct bs_status_text status;
	uint8_t attempt[BS_ATTEMPT_LEN];
	struct bs_ipx ipx; /**< the device's; 33-byte form; first payload */
	struct bs_session_key key;
	uint8_t relay_key[BS_TOKEN_LEN];
	struct bs_nat nat;
	uint8_t n_eps;
	struct bs_ep6 eps[BS_GATE_EPS_MAX]; /**< kinds 1 and 2 the device's, 3 the UDP relay */
	struct bs_slice gw;                 /**< GW payload as it is, len 0 when absent */
	bool has_ext;
	struct bs_ext_offer ext; /**< what the device was granted */
	struct bs_params params;
};

/** DISCONNECT, both ways: status only in an answer, params (path) only in a request. */
struct bs_gate_disconnect {
	struct bs_gate_head h; /**< sp = connection NSI */
	struct bs_status_text status;
	struct bs_params params;
};

/** WATCH, client. */
struct bs_gate_watch {
	struct bs_gate_head h;
	struct bs_params params; /**< since, unsubscribe */
	uint8_t n_ids;
	struct bs_slice ids[BS_GATE_WATCH_MAX];
};

/** Answers to WATCH and LIST; the presences follow, see bs_gate_presence_next. */
struct bs_gate_list_answer {
	struct bs_gate_head h;
	struct bs_status_text status;
	struct bs_slice cursor; /**< LIST: len 0 = the end */
};

/** LIST, client. */
struct bs_gate_list {
	struct bs_gate_head h;
	struct bs_slice cursor; /**< len 0 = from the start */
};

/** EVENT, server: either a status, or presences. */
struct bs_gate_event {
	struct bs_gate_head h; /**< sp = connection NSI when a connection was closed */
	bool has_status;
	struct bs_status_text status;
};

/** ERROR, both ways; the session ends after it. */
struct bs_gate_error {
	struct bs_gate_head h;
	struct bs_status_text status;
	struct bs_params params; /**< retry after, where it helps */
};

/**
 * TICKET, server.  Status OK, inside TLS: a ticket, its secret, and where to send packets under it,
 * the attach port first.  Status PENDING, over UDP: token is a challenge for the address that
 * n_eps = 1 endpoint names, as it was seen.  With any other status only status counts.
 */
struct bs_gate_ticket_answer {
	struct bs_gate_head h;
	struct bs_status_text status;
	struct bs_slice ticket;  /**< status OK only, 1..BS_GATE_TICKET_MAX bytes */
	uint8_t token[32];       /**< wipe after use */
	struct bs_params params; /**< server time; with a ticket its life, too */
	uint8_t n_eps;
	struct bs_endpoint eps[BS_GATE_PROBES_MAX];
};

/** REDIRECT, server: instead of the answer to HELLO or CONNECT. */
struct bs_gate_redirect {
	struct bs_gate_head h;
	struct bs_node node;
};

/**
 * Length of the packet that starts at buf, from its length field.
 * Returns 16..BS_GATE_PACKET_MAX; BS_EAGAIN while fewer than 16 bytes are there; BS_EVERSION or
 * BS_ELENGTH: the stream cannot be followed any further.
 */
BS_MUSTCHECK bs_ssize bs_gate_frame_len(const uint8_t *buf, size_t len);
/** Answer (flag RESPONSE) or request; BS_EFIELD for other flags, BS_ETYPE for no gate message. */
BS_MUSTCHECK int bs_gate_check(const struct bs_packet *p, bool *is_answer);

BS_MUSTCHECK bs_ssize bs_gate_hello_encode(const struct bs_gate_hello *m, uint8_t *buf, size_t cap);
BS_MUSTCHECK int bs_gate_hello_decode(const struct bs_packet *p, struct bs_gate_hello *m);
BS_MUSTCHECK bs_ssize bs_gate_hello_answer_encode(const struct bs_gate_hello_answer *m,
						  uint8_t *buf, size_t cap);
BS_MUSTCHECK int bs_gate_hello_answer_decode(const struct bs_packet *p,
					     struct bs_gate_hello_answer *m);
BS_MUSTCHECK bs_ssize bs_gate_connect_encode(const struct bs_gate_connect *m, uint8_t *buf,
					     size_t cap);
BS_MUSTCHECK int bs_gate_connect_decode(const struct bs_packet *p, struct bs_gate_connect *m);
BS_MUSTCHECK bs_ssize bs_gate_connect_answer_encode(const struct bs_gate_connect_answer *m,
						    uint8_t *buf, size_t cap);
/** m holds a session key afterwards: bs_wipe it. */
BS_MUSTCHECK int bs_gate_connect_answer_decode(const struct bs_packet *p,
					       struct bs_gate_connect_answer *m);
/** Request with status.code 0, else answer. */
BS_MUSTCHECK bs_ssize bs_gate_disconnect_encode(const struct bs_gate_disconnect *m, uint8_t *buf,
						size_t cap);
BS_MUSTCHECK int bs_gate_disconnect_decode(const struct bs_packet *p, struct bs_gate_disconnect *m);
BS_MUSTCHECK bs_ssize bs_gate_watch_encode(const struct bs_gate_watch *m, uint8_t *buf, size_t cap);
BS_MUSTCHECK int bs_gate_watch_decode(const struct bs_packet *p, struct bs_gate_watch *m);
BS_MUSTCHECK bs_ssize bs_gate_list_encode(const struct bs_gate_list *m, uint8_t *buf, size_t cap);
BS_MUSTCHECK int bs_gate_list_decode(const struct bs_packet *p, struct bs_gate_list *m);
/** Start an answer to WATCH or LIST (type); add presences, then bs_gate_list_answer_end. */
void bs_gate_list_answer_begin(struct bs_writer *w, uint8_t *buf, size_t cap, uint8_t type,
			       const struct bs_gate_head *h, const struct bs_status_text *status);
/** Add the cursor (none when len is 0) and finish. */
BS_MUSTCHECK bs_ssize bs_gate_list_answer_end(struct bs_writer *w, struct bs_slice cursor);
/** Type WATCH or LIST, flag RESPONSE. */
BS_MUSTCHECK int bs_gate_list_answer_decode(const struct bs_packet *p,
					    struct bs_gate_list_answer *m);
/** EVENT with n presences. */
BS_MUSTCHECK bs_ssize bs_gate_event_encode(const struct bs_gate_event *m,
					   const struct bs_presence *pr, size_t n, uint8_t *buf,
					   size_t cap);
BS_MUSTCHECK int bs_gate_event_decode(const struct bs_packet *p, struct bs_gate_event *m);
/** Iterate over the presences of an accepted packet, *off = 0 first; malformed ones are skipped. */
bool bs_gate_presence_next(const struct bs_packet *p, size_t *off, struct bs_presence *out);
/** A request that has no payloads of its own: PING or TICKET. */
BS_MUSTCHECK int bs_gate_bare_decode(const struct bs_packet *p, uint8_t type,
				     struct bs_gate_head *h);
/** PING, request or answer. */
BS_MUSTCHECK bs_ssize bs_gate_ping_encode(const struct bs_gate_head *h, bool is_answer,
					  uint8_t *buf, size_t cap);
BS_MUSTCHECK bs_ssize bs_gate_ticket_answer_encode(const struct bs_gate_ticket_answer *m,
						   uint8_t *buf, size_t cap);
BS_MUSTCHECK int bs_gate_ticket_answer_decode(const struct bs_packet *p,
					      struct bs_gate_ticket_answer *m);
BS_MUSTCHECK bs_ssize bs_gate_error_encode(const struct bs_gate_error *m, uint8_t *buf, size_t cap);
BS_MUSTCHECK int bs_gate_error_decode(const struct bs_packet *p, struct bs_gate_error *m);
BS_MUSTCHECK bs_ssize bs_gate_redirect_encode(const struct bs_gate_redirect *m, uint8_t *buf,
					      size_t cap);
BS_MUSTCHECK int bs_gate_redirect_decode(const struct bs_packet *p, struct bs_gate_redirect *m);

#endif
