/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - one end of a connection between client and device: keys, lifetime, framing, replay
 * (basestation-wire(7), DATA).
 *
 * Both ends use the same struct; role tells them apart (the client is the initiator).  It seals and
 * opens DATA packets, answers framing packets, keeps the idle limit and counts.  Finding the path
 * is rendezvous.h's matter, requests are rpc_*.h's, streams come on top with their own tags.
 *
 * Freshness: DATA has none on the wire.  An exact repeat (same MAC) is dropped.  The peer's address
 * follows a packet only when that packet proves to be new: the first one, a newer RPC or keep-alive
 * number (device), an echo of the outstanding keep-alive or of an outstanding call (client).
 * Other authentic packets are served, and answered to where they came from.  Suite GCM numbers its
 * packets: a repeat is known by its number, and one above all others is new (device).
 *
 * Owner: the thread of its device or peer.  May call: util, wire, crypto.  Allocates: no.
 */
#ifndef BS_PROTO_CONN_H
#define BS_PROTO_CONN_H

#include "crypto/suite.h"
#include "proto/limits.h"
#include "wire/packet.h"

/** Time limits of a connection, in ms. */
#define BS_CONN_FIRST_MS           20000u
#define BS_CONN_IDLE_MS            17500u
#define BS_CONN_LINGER_MS          300u
#define BS_CONN_KEEPALIVE_MS       5000u
#define BS_CONN_KEEPALIVE_RETRY_MS 1000u
/** Largest keep-alive interval that a client may ask for, in ms. */
#define BS_CONN_INTERVAL_MAX_MS 18000u

/** Framing commands, and the lengths of their texts. */
#define BS_FRAMING_KEEPALIVE     0u
#define BS_FRAMING_CLOSE_OLD     2u
#define BS_FRAMING_CLOSE         3u
#define BS_FRAMING_LEN           4u
#define BS_FRAMING_KEEPALIVE_LEN 8u

/** Framing packet that waits (bs_conn.answer). */
enum bs_conn_answer {
	BS_CONN_ANSWER_NONE = 0,
	BS_CONN_ANSWER_KEEPALIVE = 1,
	BS_CONN_ANSWER_CLOSE = 2,
};

/** State of a connection. */
enum bs_conn_state {
	BS_CONN_FREE = 0,       /**< slot unused */
	BS_CONN_CONNECTING = 1, /**< accepted, no authentic packet yet */
	BS_CONN_OPEN = 2,
	BS_CONN_CLOSING = 3, /**< close was exchanged; answers repeats until the linger ends */
	BS_CONN_CLOSED = 4,  /**< over; the owner frees the slot after its last report */
};

/** Why a client's connection ended. */
enum bs_conn_end {
	BS_CONN_END_NONE = 0,
	BS_CONN_END_LOCAL = 1,   /**< we closed it */
	BS_CONN_END_REMOTE = 2,  /**< the peer closed it */
	BS_CONN_END_SILENCE = 3, /**< nothing heard for the idle limit */
	BS_CONN_END_SERVER = 4,  /**< the basestation ended it */
};

/** How the packets travel; values as in CONNECTION_INFO. */
enum bs_conn_path {
	BS_PATH_CONNECTING = 0,
	BS_PATH_LOCAL = 1,
	BS_PATH_DIRECT = 2,
	BS_PATH_UDP_RELAY = 3,
	BS_PATH_TCP_RELAY = 4,
};

/** How a device knows whose key fingerprint a connection has. */
enum bs_conn_origin {
	BS_ORIGIN_BASESTATION = 0, /**< the basestation vouches for it */
	BS_ORIGIN_USER_KEY = 1,    /**< local, with a key that only this client has */
	BS_ORIGIN_SHARED_KEY = 2,  /**< local, with a key that others may have: only a claim */
	BS_ORIGIN_PLAIN = 3,       /**< local and in the clear: only a claim */
};

/** Counters of one connection, authentic packets only. */
struct bs_conn_stats {
	uint32_t tx_bytes; /**< whole packets */
	uint32_t tx_pkts;
	uint32_t rx_bytes; /**< plaintext only, as stock devices count */
	uint32_t rx_pkts;
};

/** A request that was run. */
struct bs_conn_done {
	uint16_t seq;
	uint16_t digest; /**< of its content, never 0; 0 = unused */
};

/** One end of a connection.  Fields are for reading only.  Small fields come first: the smallest
 *  controllers reach only the first bytes of a struct in one instruction. */
struct bs_conn {
	uint8_t state;          /**< enum bs_conn_state */
	uint8_t role;           /**< enum bs_role: initiator = client */
	uint8_t end;            /**< enum bs_conn_end */
	uint8_t path;           /**< enum bs_conn_path */
	uint8_t pending;        /**< reports that wait (device), private bits */
	uint8_t answer;         /**< framing packet that waits, private */
	uint8_t answer_flags;   /**< header form of the request, mirrored */
	uint8_t answer_retrans; /**< retrans byte, mirrored */
	uint8_t seen_next;      /**< ring index into seen */
	uint8_t seen_n;         /**< entries of seen in use */
	uint8_t done_next;      /**< ring index into done */
	uint8_t retries;        /**< client: keep-alives or closes without an echo */
	uint8_t client_id_len;  /**< bytes of client_id in use */
	bool has_co;
	bool has_fp;
	bool has_seq;    /**< rpc_seq is set */
	bool has_number; /**< number is set */
	bool async;      /**< client understands notices and exceptions */
	bool searched;   /**< the basestation wanted a search for a direct path */
	bool large;      /**< peer takes packets above 272 bytes */
#if BS_WITH_CONN_EXT
	bool fast;   /**< private, see bs_conn_is_fast */
	bool paired; /**< private, see bs_conn_is_paired */
#endif
#if BS_WITH_LOCAL
	uint8_t origin; /**< device: enum bs_conn_origin; read it by bs_conn_origin */
#endif
	uint16_t idle_ms;       /**< idle limit */
	uint16_t rpc_seq;       /**< newest RPC number seen (device) */
	uint16_t answer_seq;    /**< seq of the framing packet to answer */
	uint16_t rtt_ms;        /**< client: last measured round trip, 0 = unknown */
	uint32_t nsi_sp;        /**< connection number; 0 only in a free slot */
	uint32_t nsi_cp;        /**< client's number, as last seen */
	uint32_t number;        /**< keep-alive number: highest seen (device), last sent */
	uint32_t answer_number; /**< number to echo (device), last echoed (client) */
	const struct bs_suite *suite;
	bs_time born;      /**< when it was accepted */
	bs_time expire;    /**< end of the idle limit, or of the linger */
	bs_time keepalive; /**< client: next keep-alive or close repeat */
	bs_time sent;      /**< client: when the last framing packet was sent */
	struct bs_conn_stats stats;
	struct bs_endpoint remote;    /**< where our packets go; none until known */
	struct bs_endpoint answer_to; /**< where the waiting framing answer goes */
	struct bs_endpoint priv;      /**< peer's private endpoint, as the basestation said */
	struct bs_endpoint global;    /**< peer's global endpoint, as the basestation said */
	uint8_t nsi_co[8];            /**< controller number, when has_co */
	struct bs_key_block key;      /**< D block */
	uint8_t fp[BS_FP_LEN];        /**< client's fingerprint, when has_fp */
	uint8_t client_id[BS_CLIENT_ID_KEEP];         /**< start of the client's identity */
	struct bs_conn_done done[BS_RPC_DONE];        /**< device: the latest requests */
	uint8_t seen[BS_REPLAY_SLOTS][BS_REPLAY_TAG]; /**< MACs of the latest packets */
#if BS_WITH_CONN_EXT
	struct bs_suite_gcm_state gcm;  /**< numbers of suite GCM */
	const struct bs_crypto *crypto; /**< who knows its keys, NULL = nobody yet */
#endif
};

/** What both ends have agreed on beyond stock connections (extensions). */
struct bs_conn_ext {
	bool fast;   /**< FAST_STREAM: large windows, modern congestion control */
	bool paired; /**< PAIR: the key holds a secret that the basestation does not know */
};

/** A DATA packet that was opened. */
struct bs_conn_data {
	struct bs_header h;
	struct bs_slice plain; /**< inside the packet's bytes */
	bool fresh;            /**< not older than what was seen: address rules were applied */
	bool first;            /**< this packet opened the connection */
};

/** How to seal a DATA packet. */
struct bs_conn_send {
	uint16_t tag;
	uint16_t seq;
	uint8_t flags;   /**< enum bs_flag; TAG is added where tag is not 0 */
	uint8_t retrans; /**< transmission counter */
};

/**
 * bs_conn_init - make a free slot a connection in state CONNECTING
 *
 * @key   D block, copied; NULL for a suite without keys
 * @suite borrowed, static
 */
void bs_conn_init(struct bs_conn *c, enum bs_role role, uint32_t nsi_sp,
		  const struct bs_key_block *key, const struct bs_suite *suite, bs_time now);
/** Wipe the slot: state FREE. */
void bs_conn_fini(struct bs_conn *c);

/**
 * bs_conn_open - authenticate and decrypt a DATA packet of this connection
 *
 * @p   decoded packet, type DATA, NSI.sp of this connection
 * @pkt its bytes, decrypted in place
 * @out filled on BS_OK: out->plain is for the consumer of out->h.tag, which for BS_TAG_FRAMING is
 *      bs_conn_framing or bs_conn_client_framing
 *
 * Returns BS_OK, or a drop reason; nothing has changed then.
 */
BS_MUSTCHECK int bs_conn_open(struct bs_conn *c, const struct bs_crypto *crypto,
			      const struct bs_packet *p, uint8_t *pkt,
			      const struct bs_endpoint *from, bs_time now,
			      struct bs_conn_data *out);
/** Device: take a framing request; its answer waits.  BS_OK or a drop reason. */
BS_MUSTCHECK int bs_conn_framing(struct bs_conn *c, const struct bs_conn_data *d,
				 const struct bs_endpoint *from, bs_time now);
/**
 * bs_conn_seal - build one DATA packet
 *
 * Returns its length; BS_ETOOBIG when it does not fit cap, BS_ESTATE when the connection is over,
 * BS_ERANDOM or BS_ECRYPTO: nothing may be sent, try again later.
 */
BS_MUSTCHECK bs_ssize bs_conn_seal(struct bs_conn *c, const struct bs_crypto *crypto,
				   const struct bs_conn_send *s, struct bs_slice plain,
				   uint8_t *buf, size_t cap);
/** The same in two steps: outer payloads go in between, in clear but under the MAC. */
void bs_conn_begin(const struct bs_conn *c, const struct bs_conn_send *s, struct bs_writer *w,
		   uint8_t *buf, size_t cap);
BS_MUSTCHECK bs_ssize bs_conn_finish(struct bs_conn *c, const struct bs_crypto *crypto,
				     struct bs_writer *w, struct bs_slice plain);
/** An RPC or stream packet was taken: restart the idle limit. */
void bs_conn_touch(struct bs_conn *c, bs_time now);
/** A packet proved to be new: our packets go to its source from now on. */
void bs_conn_move(struct bs_conn *c, const struct bs_endpoint *from);
/** Count a packet of len bytes that was sent without bs_conn_seal (a notice). */
void bs_conn_count_tx(struct bs_conn *c, size_t len);
/** Rendezvous concluded with this interval (ms, 0 = 5000): set the idle limit. */
void bs_conn_set_interval(struct bs_conn *c, uint32_t interval_ms, bs_time now);
/** The stream that carried it was closed: it ends as after a close, without a packet of ours. */
void bs_conn_hang_up(struct bs_conn *c, bs_time now);
/** End at once without a packet. */
void bs_conn_abort(struct bs_conn *c, enum bs_conn_end why);
/** Build a framing packet with this command and number into buf; as bs_conn_seal. */
BS_MUSTCHECK bs_ssize bs_conn_seal_framing(struct bs_conn *c, const struct bs_crypto *crypto,
					   struct bs_conn_send *s, bool close, uint32_t number,
					   uint8_t *buf, size_t cap);

/** Device: end a connection whose limit has passed. */
void bs_conn_timeout(struct bs_conn *c, bs_time now);
/** Device: the framing answer that waits; 0 when none. */
size_t bs_conn_output(struct bs_conn *c, const struct bs_crypto *crypto, uint8_t *buf, size_t cap,
		      struct bs_endpoint *to);
/* The device's deadline is c->expire while the connection is live. */

/** Client: take a framing answer.  BS_OK or a drop reason. */
BS_MUSTCHECK int bs_conn_client_framing(struct bs_conn *c, const struct bs_conn_data *d,
					const struct bs_endpoint *from, bs_time now);
/** Client: an authentic packet came: restart the idle limit and put the keep-alive off. */
void bs_conn_client_touch(struct bs_conn *c, bs_time now);
/** Client: choose or change the path; the next keep-alive goes out at once to prove it. */
void bs_conn_set_path(struct bs_conn *c, const struct bs_endpoint *remote, enum bs_conn_path path,
		      bs_time now);
/** Client: close; the close packet is repeated once, then the connection is CLOSED. */
void bs_conn_close(struct bs_conn *c, bs_time now);
/** Client: lifetime, keep-alives, the repeat of a close. */
void bs_conn_client_timeout(struct bs_conn *c, bs_time now);
/** Client: keep-alive or close that waits; 0 when none. */
size_t bs_conn_client_output(struct bs_conn *c, const struct bs_crypto *crypto, uint8_t *buf,
			     size_t cap, struct bs_endpoint *to, bs_time now);
/** Client: whether a deadline is set; *at is it. */
bool bs_conn_client_next_timeout(const struct bs_conn *c, bs_time *at);

/** Whether the slot holds a connection that packets can belong to. */
static inline bool bs_conn_is_live(const struct bs_conn *c)
{
	return c->state != BS_CONN_FREE && c->state != BS_CONN_CLOSED;
}
/** Set what was agreed on, right after bs_conn_init. */
static inline void bs_conn_set_ext(struct bs_conn *c, struct bs_conn_ext ext)
{
#if BS_WITH_CONN_EXT
	c->fast = ext.fast;
	c->paired = ext.paired;
#else
	(void)c;
	(void)ext;
#endif
}
/** Whether both ends speak FAST_STREAM. */
static inline bool bs_conn_is_fast(const struct bs_conn *c)
{
#if BS_WITH_CONN_EXT
	return c->fast;
#else
	(void)c;
	return false;
#endif
}
/** Whether the key holds a pairing secret: the peer of an authentic packet knows it too. */
static inline bool bs_conn_is_paired(const struct bs_conn *c)
{
#if BS_WITH_CONN_EXT
	return c->paired;
#else
	(void)c;
	return false;
#endif
}
/** Who vouches for the client: enum bs_conn_origin; constant where the build has no local side. */
static inline uint8_t bs_conn_origin(const struct bs_conn *c)
{
#if BS_WITH_LOCAL
	return c->origin;
#else
	(void)c;
	return BS_ORIGIN_BASESTATION;
#endif
}
/** Say who vouches for the client; nothing where the build has no local side. */
static inline void bs_conn_set_origin(struct bs_conn *c, uint8_t origin)
{
#if BS_WITH_LOCAL
	c->origin = origin;
#else
	(void)c;
	(void)origin;
#endif
}
/** The client's identity as far as it was kept. */
struct bs_slice bs_conn_client_id(const struct bs_conn *c);

/* The memory of suite GCM; NULL under another suite, at compile time where it is not built. */
static inline struct bs_suite_gcm_state *bs__conn_gcm(struct bs_conn *c,
						      const struct bs_crypto *crypto)
{
#if BS_WITH_CONN_EXT
	if (c->suite != &bs_suite_aes_gcm)
		return NULL;
	c->crypto = crypto;
	return &c->gcm;
#else
	(void)c;
	(void)crypto;
	return NULL;
#endif
}
/* What the backend keeps for the keys of this connection goes with it. */
static inline void bs__conn_forget_keys(const struct bs_conn *c)
{
#if BS_WITH_CONN_EXT
	if (c->crypto)
		bs_suite_gcm_forget(c->crypto, &c->key);
#else
	(void)c;
#endif
}

#endif
