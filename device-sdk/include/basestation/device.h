/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - libbasestation-device: register a device with a basestation and answer its clients.
 *
 * The library does no I/O of its own: no socket, no clock, no heap, nothing of the C library but
 * memory functions.  A port moves datagrams and time, in this loop:
 *
 *	a datagram came          bsdev_input()
 *	the deadline passed      bsdev_timeout()
 *	after either             bsdev_output() and send, until it returns 0
 *	then                     bsdev_next_timeout() says when to come back
 *
 * device_posix.h is such a port for POSIX systems, and the worked example for any other.
 *
 * Threads: a device belongs to one thread.  Nothing is shared or global, so several devices may
 * live in several threads.  Callbacks run inside the call that caused them and may call any
 * function of this header but bsdev_input, bsdev_timeout, bsdev_output, bsdev_set_switch and
 * bsdev_fini.
 */
#ifndef BSDEV_DEVICE_H
#define BSDEV_DEVICE_H

#include "basestation/error.h"
#include "basestation/types.h"
#include "basestation/wire.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A device; lives in storage that the caller supplies. */
struct bsdev;
/** One query of a client; exists for the duration of the handler. */
struct bsdev_query;

/** UDP port of a controller unless the configuration says otherwise. */
#define BSDEV_CONTROLLER_PORT 5566
/** Controller addresses kept from one name lookup; more are ignored. */
#define BSDEV_ADDRESSES_MAX 6
/** Bytes that a datagram buffer for bsdev_input and bsdev_output must hold. */
#ifdef BS_PROFILE_MCU
# define BSDEV_PACKET_MAX BS_PACKET_SMALL
#else
# define BSDEV_PACKET_MAX BS_PACKET_MAX
#endif
/** Storage for a device with n connection slots, in bytes; bsdev_init checks it. */
#ifdef BS_PROFILE_MCU
# define BSDEV_STORAGE_LEN(n) (696u + (size_t)(n)*328u)
#else
# define BSDEV_STORAGE_LEN(n) (2048u + (size_t)(n)*3072u)
#endif

/** Where the device stands with its basestation. */
enum bsdev_state {
	BSDEV_OFF = 0,       /**< the master switch is off: nothing is sent, nothing answered */
	BSDEV_ATTACHING = 1, /**< looking for the basestation; failures repeat by themselves */
	BSDEV_ATTACHED = 2,  /**< registered: clients can reach the device */
};

/** Where a connection comes from, and so what its client's fingerprint is worth. */
enum bsdev_origin {
	BSDEV_FROM_BASESTATION = 0, /**< the basestation vouches for it */
	BSDEV_FROM_LOCAL_USER = 1,  /**< local, with a key that only this client has */
	BSDEV_FROM_LOCAL_KEY = 2,   /**< local, with a key that others may have too: a claim */
	BSDEV_FROM_LOCAL_PLAIN = 3, /**< local, in the clear: a claim, and no secrets here */
};

/** Who asks: facts that the basestation vouches for, unless origin says otherwise.  Pointers are
 *  borrowed for the callback. */
struct bsdev_peer {
	const char *client_id;      /**< [client_id_len] bytes, not terminated; NULL if unknown */
	size_t client_id_len;       /**< bytes, 0..BS_CLIENT_ID_MAX */
	const uint8_t *fingerprint; /**< [BS_FP_LEN] bytes, half of the key's SHA-256; or NULL */
	const uint8_t *attempt;     /**< [8] bytes that name the attempt in all logs; or NULL */
	/** The key holds a pairing secret: whoever talks knows it, which not even the basestation
	 *  does.  In the access hook it is a claim that the first packet will prove. */
	bool paired;
#ifndef BS_PROFILE_MCU
	const uint8_t *pair;      /**< access hook: [8] number of that secret, NULL = none */
	enum bsdev_origin origin; /**< see there */
#endif
};

/** What a query handler may return besides enum bs_rpc_code: the reply comes by bsdev_reply. */
#define BSDEV_PENDING (-1)

/**
 * Handler of queries: read the parameters, write the response.
 *
 * Returns BS_RPC_OK, an exception (enum bs_rpc_code, or a number 12..255 of the application's own),
 * or BSDEV_PENDING.  A missing parameter and a response that does not fit are noticed by the
 * library (BS_RPC_REQUEST_SHORT, BS_RPC_REPLY_LONG) and need not be checked.
 */
typedef int (*bsdev_query_fn)(void *ctx, struct bsdev *dev, uint32_t query_id,
			      struct bsdev_query *q);
/** Access hook: whether this client may open a connection. */
typedef bool (*bsdev_access_fn)(void *ctx, struct bsdev *dev, const struct bsdev_peer *peer);
/**
 * Pairing secret of an id (extension PAIR).  A client asks for one that was agreed on when it was
 * paired; without the hook, or where it returns NULL, that client is refused.
 *
 * @id [BS_PAIR_ID_LEN] bytes; borrowed
 *
 * Returns [BS_PAIR_SECRET_LEN] bytes that stay until the next call, or NULL: not known.
 */
typedef const uint8_t *(*bsdev_pair_fn)(void *ctx, struct bsdev *dev, const uint8_t *id);
/** The state changed; status (enum bs_attach_status) says why an attempt ended, else 0. */
typedef void (*bsdev_state_fn)(void *ctx, struct bsdev *dev, enum bsdev_state state, int status);
/** A connection had its first authentic packet (open), or ended. */
typedef void (*bsdev_connection_fn)(void *ctx, struct bsdev *dev, const struct bsdev_peer *peer,
				    bool open);
/**
 * Event records for the basestation's log, riding on a keep-alive answer: fill at most cap bytes,
 * return how many (0 for none).  again: the last ones were lost, give the same bytes once more.
 */
typedef size_t (*bsdev_events_fn)(void *ctx, struct bsdev *dev, bool again, uint8_t *buf,
				  size_t cap);
/** Port: look up host ([host_len] bytes, not terminated) and call bsdev_addresses later. */
typedef void (*bsdev_resolve_fn)(void *ctx, struct bsdev *dev, const char *host, size_t host_len);
/** Port: replace the socket by one with a new source port before the next packet is sent. */
typedef void (*bsdev_renew_fn)(void *ctx, struct bsdev *dev);
/** Port: fill [len] unpredictable bytes; BS_OK or BS_ERANDOM. */
typedef int (*bsdev_random_fn)(void *ctx, uint8_t *buf, size_t len);

/** Named values that outlive a restart: the master switch, and whatever the application keeps. */
struct bsdev_storage {
	/** Read a value: its length (perhaps above cap, then cap bytes came), BS_ENOENT, BS_EIO. */
	bs_ssize (*get)(void *ctx, const char *name, uint8_t *value, size_t cap);
	/** Keep a value: BS_OK only when it is durable, else BS_EIO or BS_ENOSPC. */
	int (*set)(void *ctx, const char *name, const uint8_t *value, size_t len);
	void *ctx; /**< handed to both; borrowed */
};

/** A one-shot timer of the application.  Zero it once, then leave its fields alone. */
struct bsdev_timer {
	struct bsdev_timer *next;                              /**< private */
	bs_time at;                                            /**< private: when it is due */
	bool armed;                                            /**< private */
	void (*fn)(void *arg, struct bsdev *dev, bs_time now); /**< set by bsdev_timer_start */
	void *arg;                                             /**< set by bsdev_timer_start */
};

/**
 * Open or close the TCP connection to a relay, for a client that cannot be reached over UDP.
 *
 * @slot  names it in bsdev_relay_opened, bsdev_relay_closed and bsdev_relay_input
 * @nsi   packets from bsdev_output with to->via == BS_VIA_STREAM have it at offset 4, big-endian:
 *        they belong to this TCP connection
 * @relay where to connect to; NULL: close it, then call bsdev_relay_closed
 *
 * Nagle's delay off, probes of a silent peer after 60 s.
 */
typedef void (*bsdev_relay_fn)(void *ctx, struct bsdev *dev, unsigned slot, uint32_t nsi,
			       const struct bs_endpoint *relay);

/** Services of the port.  Borrowed for the device's life. */
struct bsdev_port {
	bsdev_resolve_fn resolve;    /**< required */
	bsdev_renew_fn renew_socket; /**< may be NULL where the source port cannot change */
	bsdev_random_fn random;      /**< used by the built-in crypto; NULL if crypto is given */
	const void *crypto;          /**< a port's own crypto table; NULL = the built-in one */
	void *ctx;                   /**< handed to the functions */
#ifndef BS_PROFILE_MCU
	/** Further UDP sockets that the port opens when a packet's destination names one of them
	 *  (via 1 to this), for a device behind a symmetric NAT; 0 = none, at most 250. */
	uint16_t sockets;
	bsdev_relay_fn relay; /**< NULL where there is no TCP: no client comes by a TCP relay */
	/** Fills in at most cap IPv6 endpoints of the device's socket that others may reach, and
	 *  returns how many; clients with IPv6 are told.  NULL: none. */
	size_t (*hosts)(void *ctx, struct bs_endpoint *out, size_t cap);
#endif
};

/** Identity, secret, callbacks.  Texts and pointers are borrowed for the device's life. */
struct bsdev_conf {
	const char *id; /**< 1..40 of a-z 0-9 - . ; looked up as a host name */
	/** [BS_PSK_LEN] pre-shared secret; copied.  NULL attaches without one and talks in the
	 *  clear, for which library (configure --enable-legacy) and basestation must be set up. */
	const uint8_t *secret;
	const char *controller;   /**< host to look up instead of the id; NULL = the id */
	uint16_t controller_port; /**< 0 = BSDEV_CONTROLLER_PORT */
	const char *version;      /**< application version, at most 10 bytes; may be NULL */
	const char *url;          /**< user interface for clients, at most 64 bytes; may be NULL */
	/** enum bs_ext bits to offer; 0 = base protocol only.  Not offered in any case: what the
	 *  build or the crypto cannot do, BS_EXT_PAIR without pair, BS_EXT_AUTH_ALIVE without
	 *  secret, and BS_EXT_INTERVAL without BS_EXT_AUTH_ALIVE. */
	uint32_t extensions;
	uint8_t connections;    /**< connection slots, 1..16 */
	uint16_t alive_ms;      /**< keep-alive timer, ms; 0 = 13000.  BS_EXT_INTERVAL: only
				     between polls, the first waits for what the server promised */
	bool start_off;         /**< switch at the first start; a stored value wins */
	bsdev_query_fn query;   /**< NULL: every query is BS_RPC_UNKNOWN_QUERY */
	bsdev_access_fn access; /**< NULL: whoever the basestation lets through */
	bsdev_pair_fn pair;     /**< NULL: no pairing secrets; the MCU profile has none either */
	bsdev_state_fn state;   /**< may be NULL */
	bsdev_connection_fn connection;      /**< may be NULL */
	bsdev_events_fn events;              /**< may be NULL */
	const struct bsdev_storage *storage; /**< NULL: nothing is remembered */
	void *ctx;                           /**< handed to the callbacks above */
};

/**
 * bsdev_init - make a device in the caller's storage
 *
 * @storage aligned as for a pointer; owned by the caller, in use until bsdev_fini
 * @len     bytes, at least BSDEV_STORAGE_LEN(conf->connections)
 * @conf    borrowed until bsdev_fini
 * @port    borrowed until bsdev_fini
 * @now     the port's time
 * @out     the device, inside storage
 *
 * The switch takes the stored value, else the opposite of conf->start_off; when on, the lookup is
 * asked for from here.
 *
 * Returns BS_OK, or
 *   BS_EINVAL  a field is out of range: id, connections, a text too long, no resolver, or no
 *              secret in a library built without --enable-legacy
 *   BS_ETOOBIG storage is too small: see BSDEV_STORAGE_LEN
 *
 * Thread: the device's.  Allocates: no.  Blocks: no (the storage hook may).
 */
BS_API BS_MUSTCHECK int bsdev_init(void *storage, size_t len, const struct bsdev_conf *conf,
				   const struct bsdev_port *port, bs_time now, struct bsdev **out);

/**
 * bsdev_fini - end a device and wipe its keys
 *
 * @dev may be NULL; the storage is free for reuse afterwards
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_fini(struct bsdev *dev);

/**
 * bsdev_set_switch - the master switch
 *
 * @dev a device
 * @on  false: connections and registration end at once and from the return of this call on not one
 *      packet and not one name lookup leaves, whatever arrives; true: register again
 * @now the port's time
 *
 * Returns BS_OK, or BS_EIO / BS_ENOSPC when the storage hook could not keep the value: the switch
 * has its new position all the same, but a restart will not remember it.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no (the storage hook may).
 */
BS_API int bsdev_set_switch(struct bsdev *dev, bool on, bs_time now);

/**
 * bsdev_get_state - where the device stands
 *
 * @dev a device
 *
 * Returns the state that was last reported to the state callback.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API enum bsdev_state bsdev_get_state(const struct bsdev *dev);

/**
 * bsdev_addresses - the answer to the port's resolve function
 *
 * @dev a device
 * @ips [n] addresses; their port fields are ignored; copied
 * @n   0 for a failed lookup (it is asked for again after 2 s, 8 s, then every 32 s)
 * @now the port's time
 *
 * Ignored when no lookup is wanted any more.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_addresses(struct bsdev *dev, const struct bs_endpoint *ips, size_t n,
			    bs_time now);

/**
 * bsdev_set_local - tell the device its own address
 *
 * @dev   a device
 * @local address and port of the socket; clients on the same network are told
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_set_local(struct bsdev *dev, const struct bs_endpoint *local);

/**
 * bsdev_network_changed - start over with a new lookup, for instance after a change of Wi-Fi
 *
 * @dev a device
 * @now the port's time
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_network_changed(struct bsdev *dev, bs_time now);

/**
 * bsdev_input - a datagram came
 *
 * @dev  a device
 * @pkt  [len] bytes; decrypted in place, free again on return
 * @len  bytes; what is longer than BSDEV_PACKET_MAX may be cut by the port, it is dropped anyhow
 * @from its source
 * @now  the port's time
 *
 * Returns BS_OK, or a reason (-2xx) why it was dropped; drops are counted and need no action.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 * Source: basestation-wire(7).
 */
BS_API int bsdev_input(struct bsdev *dev, uint8_t *pkt, size_t len, const struct bs_endpoint *from,
		       bs_time now);

/**
 * bsdev_relay_opened - the TCP connection that bsdev_relay_fn asked for is there
 *
 * @dev  a device
 * @slot as in the request
 * @now  the port's time
 *
 * Fetch the output afterwards.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_relay_opened(struct bsdev *dev, unsigned slot, bs_time now);

/**
 * bsdev_relay_closed - it is gone, or could not be had
 *
 * @dev  a device
 * @slot as in the request
 * @now  the port's time
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_relay_closed(struct bsdev *dev, unsigned slot, bs_time now);

/**
 * bsdev_relay_input - a packet came over it
 *
 * @dev  a device
 * @slot as in the request
 * @pkt  [len] one packet, cut from the stream by the length at offset 14; changed
 * @len  bytes
 * @now  the port's time
 *
 * A length below 16 or above BSDEV_PACKET_MAX means that the stream cannot be followed: close it.
 *
 * Returns BS_OK, or a drop reason.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API int bsdev_relay_input(struct bsdev *dev, unsigned slot, uint8_t *pkt, size_t len,
			     bs_time now);

/**
 * bsdev_timeout - do what is due
 *
 * @dev a device
 * @now the port's time; harmless when nothing is due
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_timeout(struct bsdev *dev, bs_time now);

/**
 * bsdev_output - compose the next datagram to send
 *
 * @dev a device
 * @buf [cap] bytes; may be the receive buffer
 * @cap bytes, at least BSDEV_PACKET_MAX
 * @to  receives the destination
 * @now the port's time
 *
 * Returns the datagram's length, 0 when there is none.  When sending fails forget it: whatever
 * matters is repeated.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API size_t bsdev_output(struct bsdev *dev, uint8_t *buf, size_t cap, struct bs_endpoint *to,
			   bs_time now);

/**
 * bsdev_next_timeout - when to call bsdev_timeout
 *
 * @dev a device
 * @at  receives the time, perhaps in the past; untouched when there is no deadline
 *
 * Returns whether there is a deadline.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API bool bsdev_next_timeout(const struct bsdev *dev, bs_time *at);

/**
 * bsdev_connections - how many clients are connected
 *
 * @dev a device
 *
 * Returns 0..conf->connections.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API unsigned bsdev_connections(const struct bsdev *dev);

/**
 * bsdev_timer_start - call a function later, on the device's thread
 *
 * @dev   a device
 * @timer the application's, in use until it fired or was stopped; restarting one is fine
 * @ms    milliseconds from now, 0..2^30
 * @fn    called once from bsdev_timeout
 * @arg   handed to fn
 * @now   the port's time
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_timer_start(struct bsdev *dev, struct bsdev_timer *timer, uint32_t ms,
			      void (*fn)(void *arg, struct bsdev *dev, bs_time now), void *arg,
			      bs_time now);

/**
 * bsdev_timer_stop - forget a timer; harmless when it does not run
 *
 * @dev   a device
 * @timer the application's
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_timer_stop(struct bsdev *dev, struct bsdev_timer *timer);

/**
 * bsdev_query_peer - who asks
 *
 * @q    the query
 * @peer filled; its pointers are borrowed for the handler's duration
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_query_peer(const struct bsdev_query *q, struct bsdev_peer *peer);

/**
 * bsdev_query_token - name a query for bsdev_reply, before returning BSDEV_PENDING
 *
 * @q the query
 *
 * Returns the token, never 0.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API uint32_t bsdev_query_token(const struct bsdev_query *q);

/**
 * bsdev_read_u8 - read the next parameter
 *
 * @q the query
 *
 * Returns the value, or 0 when the request ends too early (the library then answers
 * BS_RPC_REQUEST_SHORT).
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API uint8_t bsdev_read_u8(struct bsdev_query *q);
/**
 * bsdev_read_u16 - as bsdev_read_u8, 16 bits
 *
 * @q the query
 *
 * Returns the value, or 0 when the request ends too early.
 */
BS_API uint16_t bsdev_read_u16(struct bsdev_query *q);
/**
 * bsdev_read_u32 - as bsdev_read_u8, 32 bits
 *
 * @q the query
 *
 * Returns the value, or 0 when the request ends too early.
 */
BS_API uint32_t bsdev_read_u32(struct bsdev_query *q);
/**
 * bsdev_read_raw - read a parameter of type raw
 *
 * @q   the query
 * @len receives its length in bytes
 *
 * Returns the bytes, borrowed for the handler's duration, or NULL with *len 0 when the request ends
 * too early.
 */
BS_API const uint8_t *bsdev_read_raw(struct bsdev_query *q, size_t *len);

/**
 * bsdev_write_u8 - append a value to the response
 *
 * @q the query
 * @v the value
 *
 * What does not fit is remembered: the library then answers BS_RPC_REPLY_LONG.
 *
 * Thread: the device's.  Allocates: no.  Blocks: no.
 */
BS_API void bsdev_write_u8(struct bsdev_query *q, uint8_t v);
/**
 * bsdev_write_u16 - as bsdev_write_u8, 16 bits
 *
 * @q the query
 * @v the value
 */
BS_API void bsdev_write_u16(struct bsdev_query *q, uint16_t v);
/**
 * bsdev_write_u32 - as bsdev_write_u8, 32 bits
 *
 * @q the query
 * @v the value
 */
BS_API void bsdev_write_u32(struct bsdev_query *q, uint32_t v);
/**
 * bsdev_write_raw - append a value of type raw
 *
 * @q    the query
 * @data [len] bytes, copied; may be NULL when len is 0
 * @len  bytes
 */
BS_API void bsdev_write_raw(struct bsdev_query *q, const void *data, size_t len);
/**
 * bsdev_write_list - begin a list in the response
 *
 * @q the query
 *
 * Returns a mark for bsdev_write_list_end; write the records' values in between.
 */
BS_API size_t bsdev_write_list(struct bsdev_query *q);
/**
 * bsdev_write_list_end - end a list
 *
 * @q    the query
 * @mark from bsdev_write_list
 * @n    number of records that were written
 */
BS_API void bsdev_write_list_end(struct bsdev_query *q, size_t mark, uint16_t n);

/**
 * bsdev_reply - answer a query that was left pending
 *
 * @dev   a device
 * @token from bsdev_query_token
 * @code  BS_RPC_OK or an exception
 * @data  [len] response values as they travel (big-endian, basestation-wire(7), RPC); copied
 * @len   bytes
 *
 * Returns BS_OK: fetch the packet with bsdev_output.  BS_ENOENT: the client is gone, forget it.
 *
 * Thread: the device's, outside callbacks.  Allocates: no.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsdev_reply(struct bsdev *dev, uint32_t token, uint8_t code,
				    const void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
