/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device_conf.h - what a device is and what its application answers: constant while it runs.
 *
 * The struct and everything it points to are borrowed by the device for its whole life, so that a
 * controller can keep them in flash.  Change a field only while the device is stopped.
 */
#ifndef BS_PROTO_DEVICE_CONF_H
#define BS_PROTO_DEVICE_CONF_H

#include "crypto/suite.h"
#include "proto/limits.h"

struct bs_conn;
struct bs_rpc_request;
struct bs_legacy_ops;

/** What the access hook may judge a client by.  All of it is asserted by the basestation, unless
 *  origin says that the client came over the local network. */
struct bs_access {
	struct bs_slice client_id; /**< identity text, empty when none was sent; borrowed */
	const uint8_t *fp;         /**< [16] key fingerprint, NULL when none was sent; borrowed */
	const uint8_t *attempt;    /**< [8] attempt id, NULL without extension ATTEMPT; borrowed */
	const uint8_t *pair; /**< [8] id of the pairing secret in the key, NULL = none; borrowed:
					nobody but its owner can use the connection */
	bool encrypted;      /**< the connection has a key of its own */
#if BS_WITH_LOCAL
	uint8_t origin; /**< enum bs_conn_origin */
#endif
};

/** Who vouches for the client: enum bs_conn_origin. */
static inline uint8_t bs_access_origin(const struct bs_access *who)
{
#if BS_WITH_LOCAL
	return who->origin;
#else
	(void)who;
	return 0;
#endif
}
/** Set origin where there is one. */
static inline void bs_access_set_origin(struct bs_access *who, uint8_t origin)
{
#if BS_WITH_LOCAL
	who->origin = origin;
#else
	(void)who;
	(void)origin;
#endif
}

/** The application's side.  Any pointer may be NULL.  Called from inside input, output, timeout. */
struct bs_device_ops {
	/**
	 * A client asks for a connection: BS_ST_OK lets it in, any other enum bs_status refuses
	 * with that code (BS_ST_REFUSED_DEVICE is the one stock clients know).  NULL lets all in:
	 * the basestation's own rules have been applied before.
	 */
	uint16_t (*access)(void *app, const struct bs_access *who);
	/** An RPC request: see proto/rpc_device.h.  NULL answers BS_RPC_UNKNOWN_QUERY. */
	int (*rpc)(void *app, struct bs_rpc_request *req);
	/** A connection got its first authentic packet (open), or its slot is being freed. */
	void (*connection)(void *app, const struct bs_conn *conn, bool open);
	/**
	 * Event records for a keep-alive answer, written to buf: returns their length, 0 for none.
	 * again is set when the same bytes as last time must be given (the server did not get
	 * them); the application therefore keeps them until it is asked for new ones.
	 */
	size_t (*events)(void *app, bool again, uint8_t *buf, size_t cap);
	/** The basestation told the time, seconds since 1970.  Not authenticated. */
	void (*server_time)(void *app, uint32_t unix_s);
	/**
	 * The pairing secret [32] of this id [8] (extension PAIR), NULL when it is not known: the
	 * client is refused then.  Borrowed until the asking call returns.  Asked before access.
	 */
	const uint8_t *(*pair)(void *app, const uint8_t *id);
	/** Local addresses for clients (extension IP6): fills at most cap, returns how many. */
	size_t (*candidates)(void *app, struct bs_endpoint *out, size_t cap);
};

/** Identity, secret and switches of a device. */
struct bs_device_conf {
	struct bs_slice id; /**< device id, checked by bs_device_init */
	const uint8_t *psk; /**< [16] pre-shared secret; not used by a legacy device */
	uint32_t major;     /**< three numbers for the VERSION payload */
	uint32_t minor;
	uint32_t patch;
	struct bs_slice label;       /**< text behind them, may be empty */
	struct bs_slice app_version; /**< application version, "-" is sent when empty */
	struct bs_slice url;         /**< URL, not sent when empty */
	uint32_t ext_offer; /**< enum bs_ext bits to offer; 0 = stock packets, to the byte */
	uint16_t alive_ms;  /**< keep-alive timer, 0 = 13000 */
#ifndef BS_PROFILE_MCU
	bool tcp_relay; /**< the port can open byte streams: clients may come through a TCP relay */
#endif
	uint8_t alive_polls; /**< timer runs until the attachment is lost, 0 = 5 */
	/** Suite for connections without a key, &bs_suite_null or NULL = refuse them (0x8008).
	 *  This and the next count as NULL in a build with BS_WITH_LEGACY 0. */
	const struct bs_suite *plain_suite;
	/** Attach without a secret, &bs_legacy_attach or NULL = off.  Implies plain data. */
	const struct bs_legacy_ops *legacy;
	const struct bs_device_ops *ops; /**< the application; not NULL */
	void *app;                       /**< its context, passed back */
#if BS_WITH_SPRAY
	uint16_t sockets; /**< further UDP sockets that the port opens by via, 0 = none */
#endif
};

static inline void bs_device_set_sockets(struct bs_device_conf *conf, uint16_t n)
{
#if BS_WITH_SPRAY
	conf->sockets = n;
#else
	(void)conf;
	(void)n;
#endif
}
/** Further sockets of a configuration; 0 at compile time where the build leaves them out. */
static inline uint16_t bs_device_sockets(const struct bs_device_conf *conf)
{
#if BS_WITH_SPRAY
	return conf->sockets;
#else
	(void)conf;
	return 0;
#endif
}

/** Whether the TCP relay is on; false at compile time where the build leaves it out. */
static inline bool bs_device_tcp_relay(const struct bs_device_conf *conf)
{
#ifdef BS_PROFILE_MCU
	(void)conf;
	return false;
#else
	return BS_WITH_GW && conf->tcp_relay;
#endif
}

/** The legacy attach of a configuration; NULL at compile time where the build leaves it out. */
static inline const struct bs_legacy_ops *bs_device_legacy(const struct bs_device_conf *conf)
{
	return BS_WITH_LEGACY ? conf->legacy : NULL;
}

#endif
