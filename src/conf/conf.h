/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.h - the configuration: one immutable snapshot of plain values.
 *
 * Owner: the main thread loads; any thread may hold a reference and read, since a snapshot never
 * changes after it was made.  May call: util, log, libconfuse and jansson (neither shows here).
 *
 * Every field has one row in the schema table (conf/schema.c), which gives its key, type, unit,
 * range, default, whether a reload can change it, and the help line; the parser, the checks, -T,
 * the example file, the reload report and basestation.conf(5) all follow that table.
 */
#ifndef BS_CONF_CONF_H
#define BS_CONF_CONF_H

#include <stdio.h>

#include "basestation/error.h"
#include "basestation/types.h"
#include "log/log.h"

/** Most addresses in "listen". */
#define BS_CONF_LISTEN_MAX 8
/** Most workers: an NSI has 8 bits for the worker. */
#define BS_CONF_WORKERS_MAX 256
/** Room for one message: file, line, key, reason and remedy. */
#define BS_CONF_ERROR_MAX 512

/** Lowest TLS version that is taken. */
enum bs_conf_tls {
	BS_CONF_TLS_1_2 = 0,
	BS_CONF_TLS_1_3 = 1,
};

/** What a full relay does; the same numbers as server/relay_limit.h has. */
enum bs_conf_relay_full {
	BS_CONF_RELAY_REJECT = 0,
	BS_CONF_RELAY_DEGRADE = 1,
	BS_CONF_RELAY_LOW_PRIORITY = 2,
};

/** Addresses without port (port is 0). */
struct bs_conf_addresses {
	struct bs_endpoint v[BS_CONF_LISTEN_MAX];
	uint32_t n;
};

/**
 * The values.  Spans are bs_time, rates are events per second, memory and buffers are bytes; a
 * string that is not set is NULL.
 */
struct bs_conf {
	/* listening */
	struct bs_conf_addresses listen;
	uint16_t controller_port; /**< UDP; 0 = pick a free one */
	uint16_t attach_port;     /**< UDP; may equal controller_port; 0 = pick a free one */
	uint16_t client_port;     /**< TCP; 0 = pick a free one */
	uint16_t gateway_port;
	struct bs_endpoint public_address;  /**< IPv4 told to devices; none: where it arrived */
	struct bs_endpoint attach_address;  /**< IPv4 of the attach port; none: public_address */
	struct bs_endpoint public_address6; /**< IPv6 told to devices; none: where it arrived */
	const char *node_name;              /**< host name told to clients; NULL: gethostname() */
	uint64_t socket_buffer;             /**< receive buffer of each UDP socket, bytes */

	/* size */
	uint32_t workers;         /**< 0 = one per core */
	uint32_t max_devices;     /**< attached at once, all workers together */
	uint32_t max_clients;     /**< TLS sessions at once, all workers together */
	uint32_t max_connections; /**< client-device connections at once, all together */

	/* process */
	const char *user;
	const char *group; /**< NULL: the user's */
	const char *pid_file;
	const char *control_socket;
	const char *control_group; /**< who may use the control socket besides root and user */
	const char *state_file;    /**< where attached devices outlive the process; NULL: nowhere */
	bool state_reserve;        /**< take all its room at the start */

	/* registry */
	const char *database;   /**< folder */
	uint64_t database_size; /**< upper limit of the map, bytes */
	const char *key_file;   /**< seals the secrets; NULL: systemd credential "registry-key" */
	bs_time last_seen_interval;

	/* client gate */
	const char *server_certificate;
	const char *server_key;
	const char *server_certificate_ecdsa; /**< NULL: RSA only */
	const char *server_key_ecdsa;
	const char *client_ca;
	const char *client_crl; /**< NULL: none */
	enum bs_conf_tls tls_min;
	uint32_t rsa_min_bits;
	bs_time ticket_lifetime; /**< of TLS session tickets */
	bs_time hello_timeout;
	bs_time client_keepalive;
	uint32_t handshakes_per_turn;    /**< full handshakes that a worker begins per loop turn */
	uint32_t handshake_rate;         /**< new TLS sessions per second and source address */
	bs_time connect_ticket_lifetime; /**< 0: none are given out, none count */
	uint32_t connect_ticket_rate;    /**< packets with one, per second and source address */

	/* attach */
	uint32_t attach_rate_known;     /**< per second and prefix, where an attach was verified */
	uint32_t attach_rate_unknown;   /**< per second and address */
	uint32_t attach_rate_prefix;    /**< per second and prefix that is not known */
	uint32_t attach_rate_strangers; /**< per second, all prefixes that are not known */
	uint32_t attach_rate_id;        /**< per second and device id */
	uint32_t attach_pace;           /**< registrations begun per second; 0 = no limit */
	uint32_t attach_burst_id;       /**< invites of one id at once */
	uint32_t pending_entries;       /**< per worker */
	bs_time pending_lifetime;
	uint32_t pending_per_id;
	uint32_t pending_per_prefix;
	bool allow_legacy;
	bool require_extensions;
	uint32_t extensions; /**< enum bs_ext bits that may be granted */

	/* keepalive */
	bs_time alive_interval;
	bs_time alive_min;
	bs_time alive_max;
	bs_time alive_retry;
	uint32_t alive_retries;
	bs_time alive_unreachable;
	bs_time alive_timeout;

	/* connect */
	bs_time connect_timeout;
	bs_time connect_retry;
	uint32_t connections_per_device;
	uint32_t connections_per_device_extended;
	uint32_t connections_per_client;
	bs_time probe_wait;

	/* relay: bit/s, [0] towards the device, [1] towards the client, 0 = no limit */
	bool relay_udp;
	uint32_t relay_max; /**< relayed connections, all workers together */
	enum bs_conf_relay_full relay_when_full;
	uint64_t relay_connection[2];
	uint64_t relay_client[2];
	uint64_t relay_device[2];
	uint64_t relay_node[2];
	uint64_t relay_degraded;     /**< of one connection, in each direction */
	uint64_t relay_client_month; /**< bytes, both directions; 0 = no limit */
	bs_time relay_max_age;       /**< 0 = no limit */
	bs_time relay_idle;
	uint32_t relay_queue; /**< packets, per worker */

	/* TCP relay */
	bool gateway; /**< offer it */
	bs_time gateway_wait;
	uint32_t gateway_rate; /**< new legs per second and source address */

	/* leaving */
	bs_time drain_time;

	/* log */
	enum bs_log_level log_level;
	enum bs_log_format log_format;
	enum bs_log_target log_target;
};

/** One message about a conf, complete: "basestation.conf:31: ...". */
struct bs_conf_error {
	char text[BS_CONF_ERROR_MAX];
};

/** How strictly the file itself is looked at. */
enum bs_conf_load_flag {
	/** Refuse a file that others than root and its owner can write (as root). */
	BS_CONF_CHECK_MODE = 1 << 0,
};

/**
 * Read, parse and check a file; nothing is changed unless all of it is right.
 *
 * Returns BS_OK and a snapshot with one reference, or BS_ENOENT, BS_EPERM, BS_ECONF, BS_EIO or
 * BS_ENOMEM with *error filled.  Main thread only (libconfuse's lexer is not re-entrant).
 */
int bs_conf_load(const char *path, unsigned flags, const struct bs_conf **conf,
		 struct bs_conf_error *error) BS_MUSTCHECK;
/** The same from memory; name stands in messages.  "include" is refused. */
int bs_conf_load_text(const char *name, const char *text, size_t len, const struct bs_conf **conf,
		      struct bs_conf_error *error) BS_MUSTCHECK;
/** A snapshot of defaults only; NULL without memory. */
const struct bs_conf *bs_conf_new_default(void);

/** References are counted atomically; the last unref frees. */
const struct bs_conf *bs_conf_ref(const struct bs_conf *conf);
void bs_conf_unref(const struct bs_conf *conf);

/** Print every key with the value in force, in a form that parses again (-T). */
int bs_conf_print(const struct bs_conf *conf, FILE *out) BS_MUSTCHECK;
/** The same as one JSON object, key = value text; heap string, free() it; NULL without memory. */
char *bs_conf_print_json(const struct bs_conf *conf);

/** One key whose value differs between two snapshots. */
struct bs_conf_change {
	const char *key;
	bool live; /**< changed now; else it waits for a restart */
};

/**
 * What differs between two snapshots, in schema order.  Returns how many keys differ; at most cap
 * are written.
 */
size_t bs_conf_diff(const struct bs_conf *before, const struct bs_conf *after,
		    struct bs_conf_change *changes, size_t cap);

/** The value of one key as text, as -T prints it (without quotes); BS_ENOENT, BS_ETOOBIG. */
int bs_conf_get_text(const struct bs_conf *conf, const char *key, char *out,
		     size_t cap) BS_MUSTCHECK;

/** What -d, --dump-schema and the documentation checks read. */
enum bs_conf_schema_format {
	BS_CONF_SCHEMA_TSV = 0, /**< key, type, default, range, live|restart, help */
	BS_CONF_SCHEMA_JSON = 1,
	BS_CONF_SCHEMA_EXAMPLE = 2, /**< the commented example file */
};
int bs_conf_print_schema(enum bs_conf_schema_format format, FILE *out) BS_MUSTCHECK;

#endif
