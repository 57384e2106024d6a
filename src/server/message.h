/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - what crosses from one thread to another.
 *
 * Every ordered pair of threads (workers 0..n-1, and main as n) has two bounded rings with one
 * producer and one consumer each: struct bs_message for decisions, struct bs_bulk for datagrams and
 * rows.  Sending never blocks: a full ring is BS_EFULL, counted, and every protocol below survives
 * a lost message (the sender repeats it, or a timeout of the asker answers).  One eventfd wakes the
 * consumer per batch: bs_worker_send() marks, the loop writes once at the end of its turn.
 *
 *   worker hash(number) % n   "owner": knows who holds the id
 *   worker NSI >> 24  % n     "holder": has the device's record and its connections
 *   gate worker               has the client's TLS session
 */
#ifndef BS_SERVER_MESSAGE_H
#define BS_SERVER_MESSAGE_H

#include <stdbool.h>

#include "basestation/error.h"
#include "basestation/types.h"
#include "basestation/wire.h"
#include "wire/gw.h"

/** Largest EP6 list that travels with a connect. */
#define BS_MSG_EP6_MAX 8
/** Ids in one presence question and entries in one answer. */
#define BS_MSG_PRESENCE_MAX 16
/** Bytes of the key that a client binds its leg of the relay with. */
#define BS_RELAY_KEY_LEN 16
/** Bytes of payload in a bulk slot. */
#define BS_BULK_MAX 1536

enum bs_msg_kind {
	BS_MSG_NONE = 0,
	/* Devices. */
	BS_MSG_CLAIM,   /**< holder -> owner: this id attached here with this NSI */
	BS_MSG_RELEASE, /**< holder -> owner: it is gone */
	BS_MSG_DROP,    /**< owner -> holder: end this attachment (replaced, revoked, kicked) */
	/* Connections. */
	BS_MSG_CONNECT,        /**< gate -> owner -> holder */
	BS_MSG_CONNECT_RESULT, /**< owner or holder -> gate */
	BS_MSG_DISCONNECT,     /**< gate -> holder: the client ends this connection */
	BS_MSG_CONN_CLOSED,    /**< holder -> gate: a connection ended on the device's side */
	BS_MSG_RELAY,          /**< holder -> gate: a connection, which stays, has no relay */
	BS_MSG_SESSION_GONE,   /**< gate -> holder: the session ended, the connection lives on */
	BS_MSG_GW_LEG, /**< any worker -> holder: a leg of the TCP relay; the descriptor moves */
	/* Presence. */
	BS_MSG_WATCH,    /**< gate -> owner: subscribe, unsubscribe or only ask, up to 16 ids */
	BS_MSG_PRESENCE, /**< owner -> gate: state of up to 16 ids, as answer or as change */
	/* Rights. */
	BS_MSG_REVOKE, /**< main -> every worker; about a device also holder <-> owner */
	/* Main. */
	BS_MSG_KICK,      /**< main -> owner */
	BS_MSG_QUERY,     /**< main -> worker */
	BS_MSG_ANSWER,    /**< worker -> main */
	BS_MSG_CONF,      /**< main -> worker: look at the new snapshots */
	BS_MSG_STOP,      /**< main -> worker */
	BS_MSG_FREEZE,    /**< main -> worker: read nothing but mail until one of the next two */
	BS_MSG_THAW,      /**< main -> worker: go on */
	BS_MSG_DRAIN,     /**< main -> worker: send everybody away, or stop doing that */
	BS_MSG_RETIRE,    /**< main -> worker: another process has the devices; end what is left */
	BS_MSG_LAST_SEEN, /**< worker -> main: a batch is in the bulk ring (see bs_bulk) */
	/* Kinds from here on are the gate's own, passed to it unseen. */
	BS_MSG_GATE_FIRST = 64,
};

enum bs_drop_reason {
	BS_DROP_REPLACED = 1, /**< a newer proven attach of the same id */
	BS_DROP_REVOKED,      /**< disabled, deleted or its key changed */
	BS_DROP_KICKED,       /**< an operator asked */
	BS_DROP_SILENT,       /**< keepalives unanswered */
	BS_DROP_STOP,         /**< the server ends */
};

enum bs_msg_revoke_kind {
	BS_MSG_REVOKE_CLIENT = 1, /**< number = client's number in the registry */
	BS_MSG_REVOKE_CERT, /**< the CRL or the revocation list changed: check all sessions again */
	BS_MSG_REVOKE_RULE, /**< an access rule changed: check connections and watches again */
	BS_MSG_REVOKE_DEVICE, /**< number = device's number; 0 = look at all of them */
};

/** What the gate asks for.  All of it was verified or observed by the gate (client-control 5). */
struct bs_msg_connect {
	uint64_t attempt;          /**< the client's 8 bytes, as they came */
	uint64_t client_hash;      /**< tells clients apart: CA, identity and key */
	struct bs_endpoint priv;   /**< first IPv4 host candidate, port 0 = none */
	struct bs_endpoint global; /**< as observed by PROBE, port 0 = none */
	struct bs_endpoint
		ep6[BS_MSG_EP6_MAX]; /**< IPv6 candidates that passed the gate's filter */
	uint32_t nsi_attach; /**< 0; the owner of the id fills it before the holder gets it */
	uint8_t n_ep6;
	uint8_t nat_type;      /**< 0 or 7, measured */
	uint8_t nat_mapping;   /**< of the client's NAT as measured, see struct bs_nat */
	uint8_t nat_filtering; /**< the same */
	uint8_t client_id_len; /**< 1..64 */
	uint16_t rtt_ms;       /**< round trip to the client as its TCP measures it, 0 = unknown */
	bool allow_plain;      /**< conf and client accept a connection without encryption */
	bool has_pair;         /**< the client insists on this pairing secret */
	uint8_t pair[BS_PAIR_ID_LEN];
	uint32_t ext; /**< enum bs_ext bits that the client speaks */
	bool want_gw; /**< the client can use the TCP relay */
	uint8_t client_id[BS_CLIENT_ID_MAX];
	uint8_t fp[BS_FP_LEN]; /**< first half of key_fp */
	uint8_t ca_fp[32];     /**< of the CA of its certificate: identity and CA are one client */
};

/** The answer.  The receiver wipes block once it is written to the client. */
struct bs_msg_connect_result {
	uint64_t attempt;
	uint32_t nsi;              /**< connection NSI (device side), 0 unless status is BS_ST_OK */
	uint32_t nsi_cp;           /**< client side number for IPX(33) */
	uint16_t status;           /**< enum bs_status */
	uint16_t suite;            /**< enum bs_suite_code of the session */
	uint32_t ext;              /**< extension bits granted to the device */
	uint32_t caps;             /**< capability bits of the device (masked) */
	struct bs_endpoint priv;   /**< device's private IPv4 endpoint, port 0 = none */
	struct bs_endpoint global; /**< device's endpoint as the attach server sees it */
	struct bs_endpoint ep6[BS_MSG_EP6_MAX]; /**< device's host candidates over IPv6 */
	uint8_t n_ep6;
	uint8_t nat_type;            /**< the device's own opinion, 0 or 7 */
	struct bs_key_block block;   /**< D */
	uint8_t reason;              /**< enum bs_connect_reason, for the text */
	bool relay;                  /**< the client may bind a leg to the UDP relay */
	bool has_gw;                 /**< the TCP relay was offered to the device: */
	uint16_t gw_port;            /**< where the relay listens */
	uint8_t gw_id[BS_GW_ID_LEN]; /**< secret of this attempt; wiped with block */
	uint8_t nsi_co[8];           /**< for IPX(33) and the handshake */
	uint8_t relay_key[BS_RELAY_KEY_LEN];
};

/** Why a connect failed where the status alone does not say it. */
enum bs_connect_reason {
	BS_CR_NONE = 0,
	BS_CR_OFFLINE,  /**< no worker holds the id */
	BS_CR_SILENT,   /**< the device did not answer in time */
	BS_CR_LIMIT,    /**< the device has as many connections as it may */
	BS_CR_TABLE,    /**< a table of the server is full */
	BS_CR_REPEATED, /**< the attempt was answered before; its key is gone */
	BS_CR_INTERNAL, /**< crypto or randomness failed */
	BS_CR_REPLACED, /**< the device attached anew while it was asked */
};

struct bs_gw_port;

/** A leg of the TCP relay whose handshake was read.  Whoever holds the message owns fd: who cannot
 *  deliver it closes it. */
struct bs_msg_gw_leg {
	/** In place of fd, to the worker that one is on itself (gateway.h); else NULL. */
	const struct bs_gw_port *port;
	void *ctx; /**< of the port */
	int32_t fd;
	bool tls;                       /**< it is the TLS stream of a session */
	uint64_t client_hash;           /**< tls: whose session it is */
	struct bs_endpoint peer;        /**< for the log */
	uint8_t hello[BS_GW_HELLO_LEN]; /**< GW_CONN_U as it came */
};

struct bs_msg_claim {
	uint32_t nsi;
	uint32_t since_s; /**< Unix time */
};

struct bs_msg_drop {
	uint32_t nsi;
	uint8_t reason; /**< enum bs_drop_reason */
};

struct bs_msg_conn {
	uint32_t nsi;
	uint16_t status;  /**< for the STATUS payload of an EVENT; 0 = no event */
	bool tell_device; /**< send U_CLOSE where the device understands it */
	uint8_t path;     /**< DISCONNECT: how the client says it travelled, 0 = not said */
	uint8_t reason;   /**< RELAY: enum bs_relay_reason, for the text */
};

/** Why a connection gets no relay (any longer). */
enum bs_relay_reason {
	BS_RR_FULL = 1, /**< relay-max is reached */
	BS_RR_MONTH,    /**< the client's month is used up */
	BS_RR_AGE,      /**< relay-max-age is reached */
};

/** State of one device.  (struct bs_presence is what travels to the client.) */
struct bs_msg_presence_row {
	uint64_t event;    /**< rises across all workers; for "since" */
	uint64_t since_ms; /**< Unix time of the change */
	uint32_t number;
	uint8_t state; /**< 0 offline, 1 online, 2 unknown */
};

enum bs_watch_op {
	BS_WATCH_ASK = 0, /**< answer once */
	BS_WATCH_ON = 1,  /**< answer, and tell this worker about every change from now on */
	BS_WATCH_OFF = 2, /**< no answer */
};

struct bs_msg_watch {
	uint8_t op; /**< enum bs_watch_op */
	uint8_t n;
	uint32_t number[BS_MSG_PRESENCE_MAX];
};

struct bs_msg_presence {
	uint8_t n;
	bool change; /**< pushed, not asked */
	struct bs_msg_presence_row p[BS_MSG_PRESENCE_MAX];
};

struct bs_msg_revoke {
	uint8_t kind;   /**< enum bs_msg_revoke_kind */
	uint64_t epoch; /**< the registry's epoch after the change */
};

enum bs_query_kind {
	BS_QUERY_LIST = 1, /**< attached devices of one worker from a cursor on */
	BS_QUERY_DEVICE,   /**< one device, by number: asked of the owner, answered by the holder */
	BS_QUERY_EVENTS,   /**< the ring of event records */
	BS_QUERY_ATTEMPT,  /**< timeline of one attempt */
	BS_QUERY_ATTEMPTS, /**< the newest attempts */
	BS_QUERY_RELAYS,   /**< relayed connections of all workers */
	BS_QUERY_SYNC,     /**< answer as soon as it is read: a quiescent point */
};

/** See bs_server_drain(). */
struct bs_msg_drain {
	bool on;
	uint32_t rate;    /**< devices per second of this worker, 0 = as the span asks for */
	uint32_t span_ms; /**< when it is over */
};

struct bs_msg_query {
	uint32_t id;  /**< main's own; comes back */
	uint8_t kind; /**< enum bs_query_kind */
	uint64_t cursor;
	uint32_t max;
};

struct bs_msg_answer {
	uint32_t id;
	int32_t err;     /**< BS_OK, or why there is none */
	uint64_t cursor; /**< where to go on; 0 = end */
	uint32_t n;
};

/** One message, 448 bytes. */
struct bs_message {
	uint8_t kind; /**< enum bs_msg_kind */
	uint8_t from; /**< sender's index; filled by the mailbox */
	uint8_t gate; /**< index of the gate worker that wants the answer */
	uint8_t flags;
	uint32_t number; /**< registry number of the device, where there is one */
	uint64_t ref;    /**< the asker's own handle; comes back untouched */
	union {
		struct bs_msg_claim claim;
		struct bs_msg_drop drop;
		struct bs_msg_connect connect;
		struct bs_msg_connect_result result;
		struct bs_msg_conn conn;
		struct bs_msg_gw_leg gw_leg;
		struct bs_msg_watch watch;
		struct bs_msg_presence presence;
		struct bs_msg_revoke revoke;
		struct bs_msg_query query;
		struct bs_msg_drain drain;
		struct bs_msg_answer answer;
		uint8_t gate[432]; /**< kinds from BS_MSG_GATE_FIRST on */
	} u;
};

_Static_assert(sizeof(struct bs_message) == 448, "message slots have one fixed size");

enum bs_bulk_kind {
	BS_BULK_DATAGRAM = 1, /**< to the worker that its NSI names */
	BS_BULK_ROWS,         /**< struct bs_device_row[], to main */
	BS_BULK_VOLUME,       /**< struct bs_volume_row[], to main for the store */
	BS_BULK_RELAYS,       /**< struct bs_relay_row[], to main */
	BS_BULK_LAST_SEEN,    /**< struct bs_last_seen[], to main for the store */
	BS_BULK_EVENTS,       /**< struct bs_event_row[], to main */
	BS_BULK_ATTEMPT,      /**< struct bs_attempt_row[], to main */
	BS_BULK_ATTEMPTS,     /**< struct bs_attempt_info[], to main */
};

/** One slot of the bulk ring. */
struct bs_bulk {
	uint8_t kind; /**< enum bs_bulk_kind */
	uint8_t from;
	uint8_t socket;           /**< DATAGRAM: which of the sockets it came in on */
	uint8_t n;                /**< ROWS: how many */
	uint16_t len;             /**< bytes of data in use */
	uint32_t id;              /**< ROWS: the query's id */
	struct bs_endpoint peer;  /**< DATAGRAM: source */
	struct bs_endpoint local; /**< DATAGRAM: where it was sent to */
	_Alignas(8) uint8_t data[BS_BULK_MAX];
};

/** One attached device, as the control socket shows it. */
struct bs_device_row {
	uint32_t number;
	uint32_t nsi;
	struct bs_endpoint peer;
	struct bs_endpoint local;
	uint8_t worker;
	uint8_t state; /**< enum bs_device_state */
	uint8_t connections;
	uint8_t connection_limit;
	uint32_t caps;
	uint32_t ext;
	uint32_t flags;       /**< BS_ROW_* */
	uint64_t attached_ms; /**< Unix time */
	uint64_t seen_ms;     /**< Unix time of the last answer */
	uint32_t alive_rtt_us;
	uint16_t alive_interval_s; /**< found for its NAT; 0 = the usual one */
	char version[24];          /**< the application's version, cut */
	char label[24];            /**< the SDK's version and label, cut */
};

#define BS_ROW_LEGACY        0x01u
#define BS_ROW_NAT_SYMMETRIC 0x02u

enum bs_device_state {
	BS_DEVICE_OFFLINE = 0,
	BS_DEVICE_ONLINE = 1,
	BS_DEVICE_UNREACHABLE = 2,
};

/** Relayed bytes of a client since its last row. */
struct bs_volume_row {
	char identity[BS_CLIENT_ID_MAX + 1];
	uint8_t ca_fp[32];
	uint32_t month; /**< see relay_limit.h */
	uint64_t bytes;
};

/** Hourly note for the registry. */
struct bs_last_seen {
	uint32_t number;
	uint32_t seen_s; /**< Unix time */
	uint32_t ip4;    /**< where from; 0 for IPv6 */
};

#endif
