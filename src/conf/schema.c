/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/schema.h"

#include <stdio.h>
#include <string.h>

#include "basestation/wire.h"
#include "conf/quantity.h"

static const struct bs_conf_word level_words[] = {
	{ "error", BS_LOG_ERROR }, { "warning", BS_LOG_WARNING }, { "notice", BS_LOG_NOTICE },
	{ "info", BS_LOG_INFO },   { "debug", BS_LOG_DEBUG },     { NULL, 0 },
};
static const struct bs_conf_word format_words[] = {
	{ "text", BS_LOG_TEXT },
	{ "logfmt", BS_LOG_LOGFMT },
	{ "json", BS_LOG_JSON },
	{ NULL, 0 },
};
static const struct bs_conf_word target_words[] = {
	{ "auto", BS_LOG_TO_AUTO },
	{ "stderr", BS_LOG_TO_STDERR },
	{ "syslog", BS_LOG_TO_SYSLOG },
	{ "journal", BS_LOG_TO_JOURNAL },
	{ NULL, 0 },
};
static const struct bs_conf_word tls_words[] = {
	{ "1.2", BS_CONF_TLS_1_2 },
	{ "1.3", BS_CONF_TLS_1_3 },
	{ NULL, 0 },
};
static const struct bs_conf_word relay_words[] = {
	{ "reject", BS_CONF_RELAY_REJECT },
	{ "degrade", BS_CONF_RELAY_DEGRADE },
	{ "low-priority", BS_CONF_RELAY_LOW_PRIORITY },
	{ NULL, 0 },
};
static const struct bs_conf_word extension_words[] = {
	{ "ip6", BS_EXT_IP6 },
	{ "cookie", BS_EXT_COOKIE },
	{ "auth-alive", BS_EXT_AUTH_ALIVE },
	{ "interval", BS_EXT_INTERVAL },
	{ "retry", BS_EXT_RETRY },
	{ "attempt", BS_EXT_ATTEMPT },
	{ "close", BS_EXT_CLOSE },
	{ "gcm", BS_EXT_GCM },
	{ "fast-stream", BS_EXT_FAST_STREAM },
	{ "pair", BS_EXT_PAIR },
	{ "path", BS_EXT_PATH },
	{ NULL, 0 },
};

#define MS(n)   (UINT64_C(1000000) * (n))
#define SEC(n)  MS(UINT64_C(1000) * (n))
#define MIN(n)  SEC(UINT64_C(60) * (n))
#define HOUR(n) MIN(UINT64_C(60) * (n))
#define MIB(n)  (UINT64_C(1048576) * (n))
#define GIB(n)  MIB(UINT64_C(1024) * (n))
#define KBIT(n) (UINT64_C(1000) * (n))
#define GBIT(n) KBIT(UINT64_C(1000000) * (n))

#define AT(field) offsetof(struct bs_conf, field)
#define LIVE      true
#define RESTART   false

#define ROW_RANGE(k, t, l, f, lo, hi, d, h)                                                        \
 {                                                                                                 \
  .key = k, .type = t, .live = l, .offset = AT(f), .min = lo, .max = hi, .def = d, .help = h       \
 }
#define ROW_BOOL(k, l, f, d, h)                                                                    \
 {                                                                                                 \
  .key = k, .type = BS_CONF_BOOL, .live = l, .offset = AT(f), .def = d, .help = h                  \
 }
#define ROW_TEXT(k, t, l, f, d, e, h)                                                              \
 {                                                                                                 \
  .key = k, .type = t, .live = l, .offset = AT(f), .def = d, .example = e, .help = h               \
 }
/* No default, for a server beside the installed one must not share it. */
#define ROW_INSTALLED(k, t, l, f, e, h)                                                            \
 {                                                                                                 \
  .key = k, .type = t, .live = l, .offset = AT(f), .example = e, .installed = true, .help = h      \
 }
#define ROW_WORDS(k, t, l, f, w, d, h)                                                             \
 {                                                                                                 \
  .key = k, .type = t, .live = l, .offset = AT(f), .words = w, .def = d, .help = h                 \
 }

/* clang-format off */
const struct bs_conf_key bs_conf_schema[] = {
 ROW_TEXT("listen", BS_CONF_ADDRESSES, RESTART, listen, "0.0.0.0, ::", NULL,
	"Addresses to listen on, for devices and clients alike."),
 ROW_RANGE("controller-port", BS_CONF_PORT, RESTART, controller_port, 0, 65535, "5566",
	"UDP port of the controller, which devices find by DNS; 0 picks a free port."),
 ROW_RANGE("attach-port", BS_CONF_PORT, RESTART, attach_port, 0, 65535, "5562",
	"UDP port that devices attach to; may equal controller-port; 0 picks a free port."),
 ROW_RANGE("client-port", BS_CONF_PORT, RESTART, client_port, 0, 65535, "5571",
	"TCP port of the client gate; 0 picks a free port."),
 ROW_RANGE("gateway-port", BS_CONF_PORT, RESTART, gateway_port, 0, 65535, "5568",
	"TCP port of the TCP relay, for devices and clients; 0 picks a free port."),
 ROW_TEXT("public-address", BS_CONF_ADDRESS, LIVE, public_address, NULL, "203.0.113.5",
	"IPv4 address that devices and clients are told; not set: the one a packet arrived on."),
 ROW_TEXT("public-address6", BS_CONF_ADDRESS6, LIVE, public_address6, NULL, "2001:db8::5",
	"IPv6 address that devices and clients are told; not set: the one a packet arrived on."),
 ROW_TEXT("attach-address", BS_CONF_ADDRESS, LIVE, attach_address, NULL, "203.0.113.6",
	"IPv4 address of the attach port that devices and clients are told; "
	"not set: the same as for the other ports."),
 ROW_TEXT("node-name", BS_CONF_NAME, LIVE, node_name, NULL, "base1.example.com",
	"Host name that clients are told; not set: the name of the machine."),
 ROW_RANGE("socket-buffer", BS_CONF_BYTES, RESTART, socket_buffer, 65536, GIB(1), "4MiB",
	"Receive buffer of each UDP socket."),

 ROW_RANGE("workers", BS_CONF_COUNT, RESTART, workers, 0, BS_CONF_WORKERS_MAX, "0",
	"Worker threads; 0 is one per core."),
 ROW_RANGE("max-devices", BS_CONF_COUNT, RESTART, max_devices, 1, 16777216, "100000",
	"Devices attached at once, all workers together."),
 ROW_RANGE("max-clients", BS_CONF_COUNT, RESTART, max_clients, 1, 1048576, "10000",
	"Client sessions at once, all workers together."),
 ROW_RANGE("max-connections", BS_CONF_COUNT, RESTART, max_connections, 1, 4194304, "20000",
	"Connections between clients and devices at once, all workers together."),

 ROW_TEXT("user", BS_CONF_NAME, RESTART, user, "basestation", NULL,
	"User to become when started as root."),
 ROW_TEXT("group", BS_CONF_NAME, RESTART, group, NULL, "basestation",
	"Group to become when started as root; not set: that of user."),
 ROW_TEXT("pid-file", BS_CONF_PATH, RESTART, pid_file, "/run/basestation/basestationd.pid", NULL,
	"Locked file with the process id, written in daemon mode only."),
 ROW_TEXT("control-socket", BS_CONF_PATH, RESTART, control_socket, "/run/basestation/control", NULL,
	"UNIX socket that bsctl talks to."),
 ROW_TEXT("control-group", BS_CONF_NAME, RESTART, control_group, NULL, "adm",
	"Group that may use the control socket beside root and user; not set: none."),

 ROW_INSTALLED("state-file", BS_CONF_PATH, RESTART, state_file, "/run/basestation/state",
	"File on tmpfs that keeps attached devices over a restart; not set: they attach again."),
 ROW_BOOL("state-reserve", RESTART, state_reserve, "no",
	"Take all the room of state-file at the start, so that max-devices is certain."),

 ROW_TEXT("database", BS_CONF_PATH, RESTART, database, "/var/lib/basestation/registry", NULL,
	"Folder of the registry."),
 ROW_RANGE("database-size", BS_CONF_BYTES, RESTART, database_size, MIB(1), GIB(1024), "4GiB",
	"Greatest size that the registry may grow to; address space, not memory."),
 ROW_TEXT("key-file", BS_CONF_PATH, RESTART, key_file, NULL, "/etc/basestation/master.key",
	"File with the key that seals secrets; not set: the systemd credential master-key."),
 ROW_RANGE("last-seen-interval", BS_CONF_SPAN, LIVE, last_seen_interval, SEC(1), HOUR(24), "1h",
	"How often the registry learns when devices were last seen."),

 ROW_TEXT("server-certificate", BS_CONF_PATH, LIVE, server_certificate, NULL,
	"/etc/basestation/server.pem",
	"Certificate chain of the client gate, PEM, RSA; not set: no client gate."),
 ROW_TEXT("server-key", BS_CONF_PATH, LIVE, server_key, NULL, "/etc/basestation/server.key",
	"Private key of server-certificate, PEM."),
 ROW_TEXT("server-certificate-ecdsa", BS_CONF_PATH, LIVE, server_certificate_ecdsa, NULL,
	"/etc/basestation/server-ecdsa.pem",
	"A second certificate chain, ECDSA, for clients that prefer it."),
 ROW_TEXT("server-key-ecdsa", BS_CONF_PATH, LIVE, server_key_ecdsa, NULL,
	"/etc/basestation/server-ecdsa.key",
	"Private key of server-certificate-ecdsa, PEM."),
 ROW_TEXT("client-ca", BS_CONF_PATH, LIVE, client_ca, NULL, "/etc/basestation/client-ca.pem",
	"CA certificates that client certificates are verified with, PEM."),
 ROW_TEXT("client-crl", BS_CONF_PATH, LIVE, client_crl, NULL, "/etc/basestation/client.crl",
	"Certificate revocation lists for client certificates, PEM; not set: none."),
 ROW_WORDS("tls-min", BS_CONF_ENUM, LIVE, tls_min, tls_words, "1.2",
	"Lowest TLS version that clients may use."),
 ROW_RANGE("rsa-min-bits", BS_CONF_COUNT, LIVE, rsa_min_bits, 2048, 16384, "2048",
	"Shortest RSA key of a client certificate."),
 ROW_RANGE("ticket-lifetime", BS_CONF_SPAN, LIVE, ticket_lifetime, MIN(1), HOUR(168), "12h",
	"How long a client may resume a TLS session."),
 ROW_RANGE("hello-timeout", BS_CONF_SPAN, LIVE, hello_timeout, MS(100), MIN(1), "5s",
	"How long a new client may take until its HELLO."),
 ROW_RANGE("client-keepalive", BS_CONF_SPAN, LIVE, client_keepalive, SEC(1), HOUR(1), "60s",
	"Longest silence of a client session; clients are told."),
 ROW_RANGE("handshakes-per-turn", BS_CONF_COUNT, LIVE, handshakes_per_turn, 1, 64, "2",
	"TLS handshakes that a worker serves between two looks at its datagrams."),
 ROW_RANGE("handshake-rate", BS_CONF_RATE, LIVE, handshake_rate, 1, 1000000, "50/s",
	"New client sessions per second from one address."),
 ROW_RANGE("connect-ticket-lifetime", BS_CONF_SPAN, LIVE, connect_ticket_lifetime, 0, HOUR(168),
	"24h", "How long a client may connect to devices without TLS, by a ticket; 0 = never."),
 ROW_RANGE("connect-ticket-rate", BS_CONF_RATE, LIVE, connect_ticket_rate, 1, 1000000, "200/s",
	"Packets with a connect ticket that are looked at per second from one address."),

 ROW_RANGE("attach-rate-known", BS_CONF_RATE, LIVE, attach_rate_known, 1, 1000000, "2000/s",
	"Invites answered per second and prefix where an attach was verified within a day."),
 ROW_RANGE("attach-rate-unknown", BS_CONF_RATE, LIVE, attach_rate_unknown, 1, 1000000, "20/s",
	"Invites answered per second and address elsewhere; five times as many at once."),
 ROW_RANGE("attach-rate-prefix", BS_CONF_RATE, LIVE, attach_rate_prefix, 1, 1000000, "200/s",
	"Invites answered per second and /24 or /56 elsewhere; five times as many at once."),
 ROW_RANGE("attach-rate-strangers", BS_CONF_RATE, LIVE, attach_rate_strangers, 1, 1000000,
	"10000/s", "Invites answered per second in all where no attach was verified."),
 ROW_RANGE("attach-rate-id", BS_CONF_RATE, LIVE, attach_rate_id, 1, 1000000, "1/s",
	"Invites answered per second and device id."),
 ROW_RANGE("attach-pace", BS_CONF_RATE, LIVE, attach_pace, 0, 1000000, "20000/s",
	"Registrations begun per second, all workers together; devices above it come later; "
	"0 is no limit."),
 ROW_RANGE("attach-burst-id", BS_CONF_COUNT, LIVE, attach_burst_id, 1, 1000, "3",
	"Invites of one device id answered at once."),
 ROW_RANGE("pending-entries", BS_CONF_COUNT, RESTART, pending_entries, 16, 16777216, "65536",
	"Answered invites that a worker remembers until the device proves itself."),
 ROW_RANGE("pending-lifetime", BS_CONF_SPAN, LIVE, pending_lifetime, MS(100), MIN(1), "10s",
	"How long an answered invite is remembered."),
 ROW_RANGE("pending-per-id", BS_CONF_COUNT, LIVE, pending_per_id, 1, 64, "4",
	"Answered invites remembered per device id."),
 ROW_RANGE("pending-per-prefix", BS_CONF_COUNT, LIVE, pending_per_prefix, 1, 65536, "16",
	"Answered invites remembered per /24 or /56 where no attach was verified."),
 ROW_BOOL("allow-legacy", LIVE, allow_legacy, "no",
	"Let devices marked as legacy attach without a key."),
 ROW_BOOL("require-extensions", LIVE, require_extensions, "no",
	"Refuse an attach whose extension offer was altered on the way."),
 ROW_WORDS("extensions", BS_CONF_FLAGS, LIVE, extensions, extension_words,
	"ip6, cookie, auth-alive, interval, retry, attempt, close, gcm, fast-stream, pair, path",
	"Extensions granted to devices that offer them."),

 ROW_RANGE("alive-interval", BS_CONF_SPAN, LIVE, alive_interval, MS(50), MIN(5), "10s",
	"Time between two keepalives of a device."),
 ROW_RANGE("alive-retry", BS_CONF_SPAN, LIVE, alive_retry, MS(10), MIN(1), "3s",
	"Wait for the answer before a keepalive is repeated."),
 ROW_RANGE("alive-retries", BS_CONF_COUNT, LIVE, alive_retries, 0, 20, "3",
	"Repetitions of a keepalive."),
 ROW_RANGE("alive-unreachable", BS_CONF_SPAN, LIVE, alive_unreachable, MS(100), HOUR(1), "40s",
	"Silence after which a device counts as unreachable."),
 ROW_RANGE("alive-timeout", BS_CONF_SPAN, LIVE, alive_timeout, MS(100), HOUR(1), "70s",
	"Silence after which an attachment ends."),
 ROW_RANGE("alive-min", BS_CONF_SPAN, LIVE, alive_min, SEC(1), HOUR(1), "10s",
	"Shortest keepalive interval of devices with extension interval; every NAT must bear it."),
 ROW_RANGE("alive-max", BS_CONF_SPAN, LIVE, alive_max, SEC(1), HOUR(1), "5min",
	"Longest keepalive interval that is tried with devices with extension interval."),

 ROW_RANGE("connect-timeout", BS_CONF_SPAN, LIVE, connect_timeout, MS(100), MIN(1), "4500ms",
	"When a client learns that a device did not answer its connect."),
 ROW_RANGE("connect-retry", BS_CONF_SPAN, LIVE, connect_retry, MS(10), MIN(1), "1s",
	"Time between the repetitions of a connect request, three at most."),
 ROW_RANGE("connections-per-device", BS_CONF_COUNT, LIVE, connections_per_device, 1, 255, "3",
	"Open connections of a stock device."),
 ROW_RANGE("connections-per-device-extended", BS_CONF_COUNT, LIVE,
	connections_per_device_extended, 1, 255, "8",
	"Open connections of a device with extensions."),
 ROW_RANGE("connections-per-client", BS_CONF_COUNT, LIVE, connections_per_client, 1, 65535, "64",
	"Open connections of a client session."),
 ROW_RANGE("probe-wait", BS_CONF_SPAN, LIVE, probe_wait, 0, SEC(5), "100ms",
	"How long a connect waits for the client's UDP probe."),

 ROW_BOOL("relay-udp", LIVE, relay_udp, "yes",
	"Relay data over UDP through the attach port where no direct path opens."),
 ROW_RANGE("relay-max", BS_CONF_COUNT, LIVE, relay_max, 0, 4194304, "10000",
	"Relayed connections at once, all workers together, before relay-when-full applies."),
 ROW_WORDS("relay-when-full", BS_CONF_ENUM, LIVE, relay_when_full, relay_words, "reject",
	"What happens beyond relay-max, and to a client whose month is used up."),
 ROW_RANGE("relay-rate-connection-up", BS_CONF_BITRATE, LIVE, relay_connection[0], 0, GBIT(1000),
	"0", "Relayed bits per second of a connection towards the device; 0 is no limit."),
 ROW_RANGE("relay-rate-connection-down", BS_CONF_BITRATE, LIVE, relay_connection[1], 0, GBIT(1000),
	"0", "Relayed bits per second of a connection towards the client; 0 is no limit."),
 ROW_RANGE("relay-rate-client-up", BS_CONF_BITRATE, LIVE, relay_client[0], 0, GBIT(1000),
	"0", "Relayed bits per second of a client towards devices; 0 is no limit."),
 ROW_RANGE("relay-rate-client-down", BS_CONF_BITRATE, LIVE, relay_client[1], 0, GBIT(1000),
	"0", "Relayed bits per second from devices to one client; 0 is no limit."),
 ROW_RANGE("relay-rate-device-up", BS_CONF_BITRATE, LIVE, relay_device[0], 0, GBIT(1000),
	"0", "Relayed bits per second of all clients to one device; 0 is no limit."),
 ROW_RANGE("relay-rate-device-down", BS_CONF_BITRATE, LIVE, relay_device[1], 0, GBIT(1000),
	"0", "Relayed bits per second of a device to all clients; 0 is no limit."),
 ROW_RANGE("relay-rate-node-up", BS_CONF_BITRATE, LIVE, relay_node[0], 0, GBIT(1000),
	"0", "Relayed bits per second of this server towards devices; 0 is no limit."),
 ROW_RANGE("relay-rate-node-down", BS_CONF_BITRATE, LIVE, relay_node[1], 0, GBIT(1000),
	"0", "Relayed bits per second of this server towards clients; 0 is no limit."),
 ROW_RANGE("relay-rate-degraded", BS_CONF_BITRATE, LIVE, relay_degraded, KBIT(8), GBIT(1000),
	"128kbit/s", "What relay-when-full = degrade leaves a connection, in each direction."),
 ROW_RANGE("relay-client-month", BS_CONF_BYTES, LIVE, relay_client_month, 0, GIB(1048576), "0",
	"Relayed bytes of a client in a month (UTC), both directions; 0 is no limit."),
 ROW_RANGE("relay-max-age", BS_CONF_SPAN, LIVE, relay_max_age, 0, HOUR(8784), "0",
	"How long a connection may be relayed; 0 is no limit."),
 ROW_RANGE("relay-idle", BS_CONF_SPAN, LIVE, relay_idle, SEC(1), HOUR(1), "60s",
	"Silence after which the server forgets where a relayed client is."),
 ROW_RANGE("relay-queue", BS_CONF_COUNT, RESTART, relay_queue, 16, 65536, "1024",
	"Relayed packets that each worker lets wait for a rate limit."),

 ROW_BOOL("gateway", LIVE, gateway, "yes",
	"Offer the TCP relay to devices that can use it."),
 ROW_RANGE("gateway-wait", BS_CONF_SPAN, LIVE, gateway_wait, MS(100), MIN(1), "20s",
	"How long one leg of the TCP relay waits for the other."),
 ROW_RANGE("gateway-rate", BS_CONF_RATE, LIVE, gateway_rate, 1, 1000000, "100/s",
	"TCP connections accepted for the TCP relay per second and address; "
	"twice as many at once."),

 ROW_RANGE("drain-time", BS_CONF_SPAN, LIVE, drain_time, 0, HOUR(1), "10s",
	"Time in which client sessions and TCP relays are told to leave, and ended, "
	"after an upgrade in place."),

 ROW_WORDS("log-level", BS_CONF_ENUM, LIVE, log_level, level_words, "notice",
	"Least important level that is logged."),
 ROW_WORDS("log-format", BS_CONF_ENUM, LIVE, log_format, format_words, "text",
	"Form of a log line."),
 ROW_WORDS("log-target", BS_CONF_ENUM, LIVE, log_target, target_words, "auto",
	"Where log lines go; auto: the journal under systemd, syslog as a daemon, else stderr."),
};

const struct bs_conf_heading bs_conf_headings[] = {
	{ "listen", "Addresses and ports" },
	{ "workers", "Size" },
	{ "user", "Process" },
	{ "database", "Registry" },
	{ "server-certificate", "Client gate" },
	{ "attach-rate-known", "Attach" },
	{ "alive-interval", "Keepalive" },
	{ "connect-timeout", "Connect" },
	{ "relay-udp", "Relay" },
	{ "gateway", "TCP relay" },
	{ "drain-time", "Leaving" },
	{ "log-level", "Log" },
};
/* clang-format on */

const size_t bs_conf_schema_n = sizeof(bs_conf_schema) / sizeof(bs_conf_schema[0]);
const size_t bs_conf_headings_n = sizeof(bs_conf_headings) / sizeof(bs_conf_headings[0]);

const struct bs_conf_key *bs_conf_schema_find(const char *key)
{
	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		if (strcmp(bs_conf_schema[i].key, key) == 0)
			return &bs_conf_schema[i];
	}
	return NULL;
}

bool bs_conf_type_is_list(enum bs_conf_type type)
{
	return type == BS_CONF_ADDRESSES || type == BS_CONF_FLAGS;
}

const char *bs_conf_type_name(enum bs_conf_type type)
{
	static const char *const names[] = {
		[BS_CONF_BOOL] = "yes or no",
		[BS_CONF_COUNT] = "number",
		[BS_CONF_PORT] = "port",
		[BS_CONF_SPAN] = "time",
		[BS_CONF_BYTES] = "bytes",
		[BS_CONF_RATE] = "rate",
		[BS_CONF_BITRATE] = "bit rate",
		[BS_CONF_NAME] = "name",
		[BS_CONF_PATH] = "path",
		[BS_CONF_ADDRESS] = "IPv4 address",
		[BS_CONF_ADDRESS6] = "IPv6 address",
		[BS_CONF_ADDRESSES] = "list of addresses",
		[BS_CONF_ENUM] = "word",
		[BS_CONF_FLAGS] = "list of words",
	};

	return names[type];
}

static const char *words_text(const struct bs_conf_word *w, const char *last, char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (; w->name != NULL && n < cap; w++) {
		const char *sep = n == 0 ? "" : w[1].name == NULL ? last : ", ";

		n += (size_t)snprintf(out + n, cap - n, "%s%s", sep, w->name);
	}
	return out;
}

static const char *range_text(enum bs_quantity kind, const struct bs_conf_key *key, char *out,
			      size_t cap)
{
	char lo[BS_QUANTITY_TEXT_MAX];
	char hi[BS_QUANTITY_TEXT_MAX];

	snprintf(out, cap, "%s to %s", bs_quantity_print(kind, key->min, lo, sizeof(lo)),
		 bs_quantity_print(kind, key->max, hi, sizeof(hi)));
	return out;
}

const char *bs_conf_range_text(const struct bs_conf_key *key, char *out, size_t cap)
{
	switch (key->type) {
	case BS_CONF_COUNT:
	case BS_CONF_PORT: return range_text(BS_QUANTITY_COUNT, key, out, cap);
	case BS_CONF_SPAN: return range_text(BS_QUANTITY_SPAN, key, out, cap);
	case BS_CONF_BYTES: return range_text(BS_QUANTITY_BYTES, key, out, cap);
	case BS_CONF_RATE: return range_text(BS_QUANTITY_RATE, key, out, cap);
	case BS_CONF_BITRATE: return range_text(BS_QUANTITY_BITRATE, key, out, cap);
	case BS_CONF_ENUM: return words_text(key->words, " or ", out, cap);
	case BS_CONF_FLAGS: return words_text(key->words, " and ", out, cap);
	case BS_CONF_ADDRESSES:
		snprintf(out, cap, "1 to %d addresses", BS_CONF_LISTEN_MAX);
		return out;
	default: snprintf(out, cap, "%s", bs_conf_type_name(key->type)); return out;
	}
}
