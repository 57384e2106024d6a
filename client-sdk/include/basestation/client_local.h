/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_local.h - the client SDK on the local network: find devices, connect to them without a
 * basestation, pair with them.
 *
 * A session made with local_only needs no basestation at all.  In any session bsc_connect() looks
 * on the local network by itself for a device whose pairing secret the configuration's pair_fn
 * knows, and uses the basestation when the device is not there.
 *
 * Threads and fork: as in client.h.
 */
#ifndef BS_CLIENT_LOCAL_H
#define BS_CLIENT_LOCAL_H

#include "basestation/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/** UDP port of devices on the local network. */
#define BSC_LOCAL_PORT 5570
/** Bytes of a key's name, and of such a key. */
#define BSC_KEY_ID_LEN 16
#define BSC_KEY_LEN    16
/** Longest name of a user in a device's access list; more is cut by the device. */
#define BSC_USER_NAME_MAX 63

/** A device that answered a search. */
struct bsc_found {
	char device[BS_DEVICE_ID_MAX + 1];   /**< device id */
	char address[BSC_ENDPOINT_TEXT_MAX]; /**< endpoint as text */
	struct bs_endpoint endpoint;         /**< its local port */
	char version[72];                    /**< of its application, "" = not told */
	char url[72];                        /**< of its user interface, "" = not told */
	bool plain;                          /**< takes connections in the clear */
	bool key;                            /**< takes connections with a pre-shared key */
};

/**
 * bsc_found_fn - a device answered, or the search is over
 *
 * @arg as given
 * @f   the device, told once for each address; NULL at the end; borrowed
 */
typedef void (*bsc_found_fn)(void *arg, const struct bsc_found *f);

/**
 * bsc_discover - look for devices on the networks of this machine
 *
 * @s      session; borrowed; the basestation is not asked
 * @device device id, or NULL for all
 * @fn     called per device, then once with NULL, after a second
 * @arg    for fn; borrowed until then
 *
 * Anybody on the network can answer: only a connection with a key shows who it is.
 *
 * Returns BS_OK, or
 *   BS_EINVAL  not a device id, or fn is NULL
 *   BS_EFULL   a search is running in this session
 *   BS_ESTATE  after fork()
 *   BS_ENOMEM, BS_ERANDOM, BS_EIO  give up
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), section LOCAL NETWORK.
 */
BS_API BS_MUSTCHECK int bsc_discover(struct bsc_session *s, const char *device, bsc_found_fn fn,
				     void *arg);

/**
 * bsc_discover_wait - bsc_discover() and wait for the end
 *
 * @s      session; borrowed
 * @device device id, or NULL for all
 * @fn     called per device; not at the end
 * @arg    for fn; borrowed for the call
 * @err    filled on failure; may be NULL
 *
 * Returns BS_OK, or err->err.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: a second.
 */
BS_API BS_MUSTCHECK int bsc_discover_wait(struct bsc_session *s, const char *device,
					  bsc_found_fn fn, void *arg, struct bsc_error *err);

/** How to connect on the local network: one of pairing_secret, key and plain.  All zero: with the
 *  pairing secret that pair_fn knows. */
struct bsc_local {
	size_t len; /**< sizeof this struct */
	/** Where the device is; NULL: search for it.  Port 0 = local_port of the configuration. */
	const struct bs_endpoint *endpoint;
	const char *pairing_secret; /**< as printed on the device; only to pair */
	const uint8_t *key_id;      /**< [BSC_KEY_ID_LEN] name of key */
	const uint8_t *key;         /**< [BSC_KEY_LEN] a key that was agreed on otherwise */
	/** In the clear: anybody on the network can read, change and forge all of it, and the
	 *  device may be anybody.  Send no secrets. */
	bool plain;
};

/**
 * bsc_connect_local - connect on the local network, without the basestation
 *
 * @s      session; borrowed
 * @device device id
 * @how    borrowed for the call; may be NULL as for all zero
 * @fn     progress and result; may be NULL
 * @arg    for fn; borrowed until BSC_CLOSED
 * @out    the connection; end it with bsc_conn_close()
 *
 * Returns as bsc_connect(), or
 *   BS_EINVAL  also: more than one way is asked for
 *   BS_ENOENT  no way is asked for, and pair_fn knows no secret
 *
 * Thread: the session's.  Allocates: yes.  Blocks: some milliseconds for a printed secret.
 * Source: basestation-wire(7), section LOCAL NETWORK.
 */
BS_API BS_MUSTCHECK int bsc_connect_local(struct bsc_session *s, const char *device,
					  const struct bsc_local *how, bsc_conn_fn fn, void *arg,
					  struct bsc_conn **out);

/**
 * bsc_connect_local_wait - bsc_connect_local() and wait for the result
 *
 * @s      session; borrowed
 * @device device id
 * @how    as in bsc_connect_local()
 * @fn     progress; may be NULL
 * @arg    for fn; borrowed until bsc_conn_close()
 * @out    the open connection; end it with bsc_conn_close()
 * @err    filled on failure; may be NULL
 *
 * Returns BS_OK, or err->err; nothing is left open then.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes, some seconds at most.
 */
BS_API BS_MUSTCHECK int bsc_connect_local_wait(struct bsc_session *s, const char *device,
					       const struct bsc_local *how, bsc_conn_fn fn,
					       void *arg, struct bsc_conn **out,
					       struct bsc_error *err);

/** What a pairing brought. */
struct bsc_pairing {
	uint8_t id[BS_PAIR_ID_LEN];         /**< number of the secret */
	uint8_t secret[BS_PAIR_SECRET_LEN]; /**< keep it as safe as a private key */
	char name[BSC_USER_NAME_MAX + 1];   /**< ours in the device's access list */
	uint32_t rights;                    /**< ours, as in the access list */
};

/**
 * bsc_pair_wait - enter the device's access list and make a pairing secret
 *
 * @c    open connection that was made with the device's pairing_secret
 * @name how the device's owner shall know us; may be ""
 * @out  filled; wipe it when it is kept elsewhere
 * @err  filled on failure; may be NULL
 *
 * The secret is ours for good when it was used once: keep it before anything else, then connect
 * with it.
 *
 * Returns BS_OK, or err->err.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes, up to rpc_timeout_ms twice.
 * Source: basestation-wire(7), section PAIRING.
 */
BS_API BS_MUSTCHECK int bsc_pair_wait(struct bsc_conn *c, const char *name, struct bsc_pairing *out,
				      struct bsc_error *err);

/**
 * bsc_legacy_rpc_wait - ask an old device without a connection
 *
 * @device  where it is, as bsc_discover() found it
 * @req     [len] bytes: query id and parameters
 * @len     4..BSC_RPC_REQUEST_SMALL
 * @buf     [cap] bytes for the answer
 * @cap     BSC_RPC_ANSWER_MAX always suffices
 * @out_len bytes of the answer
 * @err     filled on failure; may be NULL
 *
 * Only for devices that know nothing better: no secrecy, no identity on either side, and anybody on
 * the network can answer.  Our own devices do not.  Asked four times, 500 ms apart.
 *
 * Returns BS_OK, BS_EINVAL, BS_ETOOBIG, BS_ETIMEDOUT, BS_EREFUSED (the device says "error", and no
 * more), or BS_EIO.
 *
 * Thread: any.  Allocates: no.  Blocks: yes, up to two seconds.
 * Source: basestation-wire(7), section LOCAL NETWORK.
 */
BS_API BS_MUSTCHECK int bsc_legacy_rpc_wait(const struct bs_endpoint *device, const uint8_t *req,
					    size_t len, uint8_t *buf, size_t cap, size_t *out_len,
					    struct bsc_error *err);

#ifdef __cplusplus
}
#endif
#endif
