/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - the client SDK of basestation: reach a device from a program.
 *
 * Two handles.  A session is the TLS connection to one basestation; it is opened by the first call
 * that needs it, kept, resumed and re-opened as needed.  A connection leads to one device and
 * carries remote procedure calls (queries).  A session drives all of its connections.
 *
 * Non-blocking use: take descriptors and events from bsc_session_fds(), wait no longer than
 * bsc_session_timeout_ms(), then call bsc_session_step(); callbacks run inside step and nowhere
 * else.  Blocking use: the functions that end in _wait do that loop themselves.
 *
 * Threads: a session with everything made from it belongs to one thread at a time; the library
 * takes no locks and has no state outside of handles, so different sessions may live in different
 * threads.
 *
 * Fork: a session does not survive fork() in the child.  There every call but bsc_session_free()
 * returns BS_ESTATE, and bsc_session_free() closes the child's descriptors without a word to the
 * basestation or the device.  Descriptors are close-on-exec.
 *
 * The library installs no signal handler and raises no SIGPIPE.
 */
#ifndef BS_CLIENT_H
#define BS_CLIENT_H

#include "basestation/error.h"
#include "basestation/types.h"
#include "basestation/wire.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** TCP port of the client gate: the assigned default of basestation(7). */
#define BSC_PORT 5571
/** Bytes of an error text with terminator: place, reason and remedy on one line. */
#define BSC_ERROR_TEXT_MAX 320
/** Most descriptors that bsc_session_fds() returns: one TCP, two UDP, eight of TCP relays, one for
 *  all tunnels, sixteen of the resolver. */
#define BSC_FDS_MAX 44
/** Most device ids in one bsc_watch(): the limit of a WATCH packet. */
#define BSC_WATCH_MAX 64
/** Bytes of an endpoint as text, "[v6]:port" with terminator. */
#define BSC_ENDPOINT_TEXT_MAX 56
/** Longest keepalive interval of a device connection: devices keep 3.5 of it in 16 bits. */
#define BSC_CONN_KEEPALIVE_MAX_MS 18000
/** Longest answer of a remote procedure call: what fits into the largest packet of any path. */
#define BSC_RPC_ANSWER_MAX 1311
/** Longest request until the device has shown that it takes large packets: what fits into 272. */
#define BSC_RPC_REQUEST_SMALL 207

struct bsc_session;
struct bsc_conn;

/**
 * One list of reasons, whoever refused: codes that a basestation or a device sends keep their
 * number (enum bs_status), those of this side are 0x8200 and up.
 */
enum bsc_code {
	BSC_OK = 0,
	/* From the basestation or the device: enum bs_status, 0x8000..0x81ff. */
	BSC_INTERNAL = 0x8200,       /**< no memory, no random numbers, a failed system call */
	BSC_USAGE = 0x8201,          /**< an argument or the configuration is wrong */
	BSC_CANCELLED = 0x8202,      /**< the caller closed the handle */
	BSC_TIMEOUT = 0x8203,        /**< the whole attempt took longer than allowed */
	BSC_RESOLVE_NAME = 0x8210,   /**< the server's name does not exist */
	BSC_RESOLVE_FAILED = 0x8211, /**< the name server failed or did not answer */
	BSC_TCP_REFUSED = 0x8212,    /**< nobody listens on that port */
	BSC_TCP_FAILED = 0x8213,     /**< no route, or no answer to the TCP connect */
	BSC_LOST = 0x8214,           /**< the server closed the session or it broke */
	BSC_TLS_FAILED = 0x8220,     /**< handshake failed for a reason not listed below */
	BSC_TLS_PROTOCOL = 0x8221,   /**< no common TLS version or cipher, or not a basestation */
	BSC_SERVER_EXPIRED = 0x8222, /**< server certificate (or a CA's) expired */
	BSC_SERVER_NOT_YET = 0x8223, /**< server certificate not valid yet: check the clock */
	BSC_SERVER_NAME = 0x8224,    /**< certificate is for another host name */
	BSC_SERVER_UNKNOWN_CA = 0x8225,  /**< certificate not issued by a trusted CA */
	BSC_SERVER_SELF_SIGNED = 0x8226, /**< certificate is self-signed and not trusted */
	BSC_SERVER_REVOKED = 0x8227,     /**< certificate is on the revocation list */
	BSC_SERVER_PIN = 0x8228,         /**< the server's key is not the pinned one */
	BSC_SERVER_BAD = 0x8229,     /**< certificate unusable: signature, purpose, key too small */
	BSC_SERVER_CRL = 0x822a,     /**< revocation list missing for the CA, or out of date */
	BSC_CLIENT_REFUSED = 0x8230, /**< server refused our certificate without saying why */
	BSC_CLIENT_EXPIRED = 0x8231, /**< server says our certificate expired */
	BSC_CLIENT_REVOKED = 0x8232, /**< server says our certificate is revoked */
	BSC_CLIENT_UNKNOWN_CA = 0x8233, /**< server does not know the CA of our certificate */
	BSC_CLIENT_MISSING = 0x8234,    /**< server wants a certificate and none was sent */
	BSC_CLIENT_DENIED = 0x8235,     /**< certificate valid, access denied */
	BSC_CLIENT_SIGN = 0x8236,       /**< the signing callback or our key failed */
	BSC_REDIRECTS = 0x8240,         /**< more than three redirects in a row */
	BSC_PROTOCOL = 0x8241,          /**< the server's answer broke the protocol */
	BSC_NO_PATH = 0x8250,           /**< device accepted, but no direct path opened */
	BSC_SILENT = 0x8251,            /**< the device fell silent on an established path */
	BSC_DEVICE_CLOSED = 0x8252,     /**< the connection was closed by the other side */
	BSC_NO_LOCAL = 0x8253,          /**< no answer on the local network */
	BSC_EXCEPTION = 0x8260,         /**< the device answered the query with an exception */
	BSC_NO_ANSWER = 0x8261,         /**< the device did not answer the query in time */
	BSC_QUERY = 0x8262,          /**< query, argument or answer disagree with the interface */
	BSC_STREAM_REFUSED = 0x8270, /**< the device takes no stream, or no more of them */
	BSC_STREAM_RESET = 0x8271,   /**< the device cut the stream */
	BSC_STREAM_LOST = 0x8272,    /**< the device acknowledged nothing any more */
	BSC_TUNNEL_NO_SERVICE = 0x8273, /**< target not allowed, or nobody listens there */
};

/** Who refused or failed. */
enum bsc_source {
	BSC_FROM_CALLER = 0,      /**< arguments, files, conf of this program */
	BSC_FROM_LIBRARY = 1,     /**< this library or this machine */
	BSC_FROM_NETWORK = 2,     /**< name service, TCP, UDP on the way */
	BSC_FROM_BASESTATION = 3, /**< the server */
	BSC_FROM_DEVICE = 4,      /**< the device */
};

/** One clear error.  Filled by the library; all zero when there is none. */
struct bsc_error {
	int err;                /**< enum bs_err: what the caller does with it */
	enum bsc_source source; /**< who refused */
	uint32_t code;          /**< enum bsc_code or enum bs_status */
	uint32_t exception;     /**< with BSC_EXCEPTION: the device's code, enum bs_rpc_code */
	uint32_t
		retry_after_ms; /**< the server asks not to come back earlier; 0 = it did not say */
	char text
		[BSC_ERROR_TEXT_MAX]; /**< place, reason, remedy; one line, printable, terminated */
};

/** How far an attempt has come, in this order; steps may be left out or repeated. */
enum bsc_progress {
	BSC_RESOLVING = 1,   /**< looking up the server's name */
	BSC_HANDSHAKING = 2, /**< TCP and TLS with the basestation */
	BSC_ASKING = 3,      /**< HELLO and CONNECT sent, the basestation asks the device */
	BSC_PROBING = 4,     /**< device accepted; the possible paths are tried */
	BSC_PATH_FOUND = 5,  /**< connection works: queries may be sent */
	BSC_CLOSED = 6,      /**< over; the error says why, code BSC_CANCELLED when we asked */
};

/** State of a session. */
enum bsc_session_state {
	BSC_SESSION_IDLE = 0,    /**< nothing asked yet, or closed after an error */
	BSC_SESSION_OPENING = 1, /**< name, TCP, TLS or HELLO under way */
	BSC_SESSION_OPEN = 2,    /**< HELLO answered */
	BSC_SESSION_WAITING = 3, /**< lost; the back-off timer runs */
};

/** What the signing callback is asked for. */
enum bsc_sign {
	/** RSA, PKCS #1 v1.5 type 1 padding over the given DigestInfo (TLS 1.2). */
	BSC_SIGN_RSA_PKCS1 = 1,
	/** RSA private operation on a block of the modulus' length, padded already (PSS). */
	BSC_SIGN_RSA_RAW = 2,
	/** ECDSA over the given digest; the signature in DER. */
	BSC_SIGN_ECDSA = 3,
};

/**
 * bsc_sign_fn - sign with a private key that lives elsewhere (key store, PKCS #11)
 *
 * @arg     sign_arg of the configuration
 * @how     enum bsc_sign: padding and input
 * @in      [in_len] bytes to sign; borrowed
 * @out     [out_cap] bytes for the signature; RSA fills exactly the modulus' length
 * @out_len signature bytes written
 *
 * Returns BS_OK, or any negative enum bs_err: the handshake fails with BSC_CLIENT_SIGN.
 *
 * Thread: the session's thread, inside bsc_session_step().  The handshake stands still until it
 * returns, so a slow token makes step slow.
 */
typedef int (*bsc_sign_fn)(void *arg, enum bsc_sign how, const uint8_t *in, size_t in_len,
			   uint8_t *out, size_t out_cap, size_t *out_len);

/**
 * bsc_log_fn - one line of detail for people
 *
 * @arg  log_arg of the configuration
 * @line text without newline; borrowed for the call; no secrets in it
 */
typedef void (*bsc_log_fn)(void *arg, const char *line);

/**
 * bsc_session_fn - a session opened, went down or progresses
 *
 * @arg  session_arg of the configuration
 * @s    the session; it must not be freed in here
 * @step enum bsc_progress up to BSC_ASKING; BSC_PATH_FOUND = open; BSC_CLOSED = down
 * @err  with BSC_CLOSED the reason, else NULL; borrowed
 */
typedef void (*bsc_session_fn)(void *arg, struct bsc_session *s, enum bsc_progress step,
			       const struct bsc_error *err);

/** Whether connections may run over the basestation's relay. */
enum bsc_relay {
	BSC_RELAY_AUTO = 0, /**< until, and whenever, there is no direct path */
	BSC_RELAY_OFF = 1,  /**< never: direct or not at all */
	BSC_RELAY_ONLY = 2, /**< nothing but the UDP relay, to find faults or to see what it does */
	BSC_RELAY_TCP = 3,  /**< nothing but the TCP relay */
	BSC_RELAY_TLS = 4,  /**< nothing but the TCP relay, through TLS to the client port */
};

/**
 * bsc_pair_fn - the pairing secret of a device, if there is one (extension PAIR)
 *
 * @arg    pair_arg of the configuration
 * @device its id, lower case
 * @id     [BS_PAIR_ID_LEN] bytes to fill: the id of the secret
 * @secret [BS_PAIR_SECRET_LEN] bytes to fill
 *
 * Returns BS_OK: the connection is made with this secret or not at all.  BS_ENOENT: there is none,
 * connect without.  Any other error ends the attempt.
 *
 * Thread: the session's thread, inside the call that connects.
 */
typedef int (*bsc_pair_fn)(void *arg, const char *device, uint8_t *id, uint8_t *secret);

/** Longest record that a program stores for connect tickets. */
#define BSC_TICKET_MAX 1024

/**
 * bsc_ticket_save_fn - store a connect ticket, which lets the next connect do without TLS
 *
 * @arg  ticket_arg of the configuration
 * @data [len] bytes, opaque; borrowed for the call.  They hold a secret: whoever reads them can
 *       connect as this client until the ticket ends (a day, unless the server says otherwise) or
 *       the client is revoked.  Keep them as well as the private key.
 * @len  at most BSC_TICKET_MAX; 0: what was stored no longer counts, remove it
 *
 * There is one record for each pair of server and client certificate; a newer one replaces it.
 *
 * Thread: the session's, inside bsc_session_step() or a call that connects.
 */
typedef void (*bsc_ticket_save_fn)(void *arg, const uint8_t *data, size_t len);

/**
 * bsc_ticket_load_fn - read what bsc_ticket_save_fn stored
 *
 * @arg  ticket_arg of the configuration
 * @data [cap] bytes to fill
 * @cap  BSC_TICKET_MAX
 *
 * Returns how many bytes there are, 0 when none.  A record that is damaged, too old, or of another
 * server or key does no harm.
 *
 * Thread: that of bsc_session_new(), inside it.
 */
typedef size_t (*bsc_ticket_load_fn)(void *arg, uint8_t *data, size_t cap);

/**
 * Configuration of a session.  Fill it with bsc_config_init(), then set what differs.  All strings
 * are copied by bsc_session_new().
 */
struct bsc_config {
	size_t len;               /**< sizeof this struct; set by bsc_config_init() */
	const char *server;       /**< host name or address of the basestation; required */
	uint16_t port;            /**< TCP port; 5571 by default */
	const char *server_name;  /**< name that the certificate must carry; NULL = server */
	const char *ca_file;      /**< PEM file of trusted CAs; NULL = the system's */
	const char *crl_file;     /**< PEM file of revocation lists; NULL = not checked */
	const uint8_t *pin;       /**< [32] SHA-256 of the server's SubjectPublicKeyInfo; then chain
					 and name are not looked at; NULL = no pin */
	const char *cert_file;    /**< PEM file with our certificate chain; required */
	const char *key_file;     /**< PEM file with its key; NULL when sign is set */
	bsc_sign_fn sign;         /**< signs instead of key_file; NULL = key_file */
	void *sign_arg;           /**< for sign; borrowed */
	uint32_t open_timeout_ms; /**< name to HELLO answer, per attempt; 10000 by default */
	uint32_t path_timeout_ms; /**< device accepted to path found; 6000 by default */
	uint32_t rpc_timeout_ms;  /**< one query; 30000 by default */
	uint32_t keepalive_s;     /**< asked of the server for the TLS session; 60 by default */
	uint32_t conn_keepalive_ms; /**< of a device connection, 1000..18000; 5000 by default */
	bool no_reconnect;          /**< stay down after a loss until the next call needs it */
	bool no_host_candidates;    /**< do not tell the device the addresses of this machine */
	const char *dns_servers; /**< "addr:port,addr:port" instead of the system's; NULL = those */
	bsc_session_fn session_fn; /**< progress of the session; NULL = not wanted */
	void *session_arg;         /**< for session_fn; borrowed */
	bsc_log_fn log_fn;         /**< detail lines; NULL = not wanted */
	void *log_arg;             /**< for log_fn; borrowed */
	/** The keepalive of an idle device connection is stretched step by step up to this while
	 *  each one is answered, which spares a phone's battery; conn_keepalive_ms..18000.  A
	 *  device keeps a connection whose client vanished for 3.5 times this.  18000 by
	 *  default. */
	uint32_t conn_keepalive_max_ms;
	/** Cap of the further UDP sockets that are used for some seconds to reach a device when the
	 *  NAT of this machine is symmetric; some routers suffer from many.  0 = never: such
	 *  devices are relayed; at most 250, 250 by default. */
	uint32_t sockets_max;
	/** Cool-down: for so long after such a search none uses further sockets; 60 by default. */
	uint32_t sockets_pause_s;
	bool no_port_mapping; /**< do not ask the router for a mapped port (UPnP, NAT-PMP) */
	bsc_pair_fn pair_fn;  /**< pairing secrets; NULL = none */
	void *pair_arg;       /**< for pair_fn; borrowed */
	enum bsc_relay relay; /**< BSC_RELAY_AUTO by default */
	bool local_only;      /**< no basestation; server and cert_file may be NULL */
	bool no_local;        /**< do not look for paired devices on the local network */
	uint16_t local_port;  /**< of devices on the local network; 5570 by default */
	/** Connect tickets are asked for and used as long as the program runs, and longer when it
	 *  stores them. */
	bool no_tickets;                /**< always connect through a TLS session */
	bsc_ticket_save_fn ticket_save; /**< stores a ticket; NULL = not wanted */
	bsc_ticket_load_fn ticket_load; /**< brings it back; NULL = there is none */
	void *ticket_arg;               /**< for both; borrowed */
};

/** What a session knows of itself. */
struct bsc_session_info {
	enum bsc_session_state state;         /**< see there */
	char server[BSC_ENDPOINT_TEXT_MAX];   /**< address and port in use, "" when none */
	char tls[16];                         /**< "TLSv1.3" or "TLSv1.2", "" when not open */
	char cipher[64];                      /**< cipher suite name */
	bool resumed;                         /**< handshake resumed an earlier TLS session */
	char node[72];                        /**< the node's own name from HELLO, "host:port" */
	char identity[BS_CLIENT_ID_MAX + 1];  /**< our identity by the rule of the certificate */
	uint8_t key_fp[32];                   /**< SHA-256 of our SubjectPublicKeyInfo */
	char tcp_seen[BSC_ENDPOINT_TEXT_MAX]; /**< our TCP endpoint as the server sees it */
	char udp_seen
		[BSC_ENDPOINT_TEXT_MAX]; /**< our UDP endpoint from PROBE, "" = no answer yet */
	uint64_t server_time_ms;         /**< Unix milliseconds from the last HELLO, 0 = none */
	uint32_t rtt_us;                 /**< last PING or HELLO round trip; 0 = none yet */
	uint64_t tx_bytes;               /**< sent to the basestation, above TLS */
	uint64_t rx_bytes;               /**< received from it */
	uint32_t handshakes;             /**< full and resumed since bsc_session_new() */
};

/** Path of a connection. */
enum bsc_path {
	BSC_PATH_NONE = 0,      /**< not open yet, or closed */
	BSC_PATH_LOCAL = 1,     /**< direct, the device's host candidate or private address */
	BSC_PATH_DIRECT = 2,    /**< direct, through NATs or the open network */
	BSC_PATH_UDP_RELAY = 3, /**< over the basestation's UDP relay */
	BSC_PATH_TCP_RELAY = 4, /**< over its TCP relay */
	BSC_PATH_TLS_RELAY = 5, /**< over its TCP relay, through TLS to the client port */
};

/** What a connection knows of itself. */
struct bsc_conn_info {
	char device[BS_DEVICE_ID_MAX + 1]; /**< device id */
	enum bsc_progress progress;        /**< where it stands */
	enum bsc_path path;                /**< path in use */
	char local[BSC_ENDPOINT_TEXT_MAX]; /**< our endpoint as the device sees it, "" = not told */
	char remote[BSC_ENDPOINT_TEXT_MAX]; /**< the device's endpoint of the path */
	uint8_t attempt[8];                 /**< attempt id, as in the logs of all three sides */
	uint32_t nsi;                       /**< connection number, 0 = none yet */
	uint32_t ext;        /**< extension bits granted to the device, enum bs_ext */
	uint16_t suite;      /**< enum bs_suite_code of the data, 0 = none yet */
	bool paired;         /**< the key holds a secret that the basestation does not know */
	uint16_t packet_max; /**< largest packet we send: 272, or 1368 once proved */
	uint32_t rtt_us;     /**< smoothed round trip, 0 = not measured */
	uint64_t tx_bytes;   /**< UDP payload sent to the device */
	uint64_t rx_bytes;   /**< received and verified */
	uint32_t connect_ms; /**< bsc_connect() to path found; 0 = not yet */
	bool by_ticket;      /**< the basestation was asked by ticket, without TLS */
};

/**
 * bsc_config_init - defaults of a configuration
 *
 * @cfg out; all fields set
 * @len sizeof *cfg as the caller was compiled: keeps older programs working
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 * Source: basestation-wire(7), section CLIENT SESSION.
 */
BS_API void bsc_config_init(struct bsc_config *cfg, size_t len);

/**
 * bsc_session_new - check a configuration and make a session from it
 *
 * @cfg configuration; borrowed, everything in it is copied but the callbacks' arguments
 * @out the session; free it with bsc_session_free()
 * @err filled on failure; may be NULL
 *
 * Reads the certificate, key, CA and CRL files.  Opens no connection and sends nothing.
 *
 * Returns BS_OK, or
 *   BS_EINVAL  a field is out of range: err->text names it
 *   BS_ECONF   a file cannot be read or used: err->text names it; correct the file
 *   BS_ENOMEM  no memory
 *   BS_ERANDOM, BS_ECRYPTO  the crypto library does not work: give up
 *
 * Thread: any.  Allocates: yes.  Blocks: for reading files.
 * Source: basestation-wire(7), section CLIENT SESSION.
 */
BS_API BS_MUSTCHECK int bsc_session_new(const struct bsc_config *cfg, struct bsc_session **out,
					struct bsc_error *err);

/**
 * bsc_session_free - end a session and all of its connections
 *
 * @s session; taken; NULL is fine
 *
 * Callbacks do not run.  Devices are told once (a close packet that nobody waits for).
 * Not from inside a callback of this session.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_session_free(struct bsc_session *s);

/**
 * bsc_session_open - start opening, if it is not open or opening
 *
 * @s session; borrowed
 *
 * Needed only to open early: bsc_connect(), bsc_list(), bsc_watch() and bsc_ping() open by
 * themselves.  The result arrives at session_fn.
 *
 * Returns BS_OK, or
 *   BS_EINVAL  the session is local_only: there is no basestation
 *   BS_ESTATE  after fork(): make a new session
 *   BS_ENOMEM  no memory
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsc_session_open(struct bsc_session *s);

/** A descriptor and the events (poll(2): POLLIN, POLLOUT) that step waits for. */
struct bsc_fd {
	int fd;       /**< borrowed; do not read, write or close it */
	short events; /**< POLLIN, POLLOUT or both */
};

/**
 * bsc_session_fds - descriptors to wait for
 *
 * @s   session; borrowed
 * @fds [cap] out; may be NULL when cap is 0
 * @cap elements available, BSC_FDS_MAX always suffices
 *
 * The set changes with every call on the session: ask again before each wait.
 *
 * Returns the number of descriptors, 0 when only time matters, or
 *   BS_ETOOBIG  cap is too small
 *   BS_ESTATE   after fork()
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API BS_MUSTCHECK bs_ssize bsc_session_fds(struct bsc_session *s, struct bsc_fd *fds, size_t cap);

/**
 * bsc_session_timeout_ms - longest time to wait before the next step
 *
 * @s session; borrowed
 *
 * Returns milliseconds, 0 = step now, -1 = no timer runs.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API int32_t bsc_session_timeout_ms(struct bsc_session *s);

/**
 * bsc_session_step - do all I/O that is ready and run what is due
 *
 * @s session; borrowed
 *
 * Never blocks; harmless when nothing is ready.  Callbacks run in here; they may call anything of
 * this session but bsc_session_free(), bsc_session_step() and the _wait functions.
 *
 * Returns BS_OK, or
 *   BS_ESTATE  after fork(), or called from a callback
 *   -5xx       the session cannot go on: free it
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 */
BS_API BS_MUSTCHECK int bsc_session_step(struct bsc_session *s);

/**
 * bsc_network_changed - this machine's network is another one now
 *
 * @s a session
 *
 * For platforms that tell (Wi-Fi to cellular).  Every connection proves its path again at once,
 * searches for a better one, and goes on over a relay meanwhile; streams and queries stay.  The
 * session with the basestation is opened anew.  Without this call the library notices by itself,
 * some seconds later.
 *
 * Returns BS_OK, or BS_ESTATE after fork().
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API int bsc_network_changed(struct bsc_session *s);

/**
 * bsc_session_suspend - the application goes to sleep
 *
 * @s a session
 *
 * Call before the system stops the program: one last keepalive goes to each device with the next
 * bsc_session_step, then nothing is sent and nothing times out until bsc_session_resume.  A device
 * waits 3.5 keepalive intervals (63 s by default) before it gives a connection up.
 *
 * Returns BS_OK, or BS_ESTATE after fork().
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API int bsc_session_suspend(struct bsc_session *s);

/**
 * bsc_session_resume - the application woke up, perhaps in another network
 *
 * @s a session
 *
 * As bsc_network_changed.  Connections that their device has given up end within 6 s.
 *
 * Returns BS_OK, or BS_ESTATE after fork().
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API int bsc_session_resume(struct bsc_session *s);

/**
 * bsc_session_get_info - state and figures of a session
 *
 * @s    session; borrowed
 * @info out; all fields set
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_session_get_info(const struct bsc_session *s, struct bsc_session_info *info);

/**
 * bsc_conn_fn - a connection progresses, is open or is over
 *
 * @arg  as given to bsc_connect()
 * @c    the connection
 * @step enum bsc_progress; BSC_PATH_FOUND comes once, BSC_CLOSED is the last call
 * @err  with BSC_CLOSED the reason, else NULL; borrowed
 *
 * After BSC_CLOSED the handle stays valid until bsc_conn_close().
 */
typedef void (*bsc_conn_fn)(void *arg, struct bsc_conn *c, enum bsc_progress step,
			    const struct bsc_error *err);

/**
 * bsc_connect - one call that leads to a connection
 *
 * @s      session; borrowed; is opened when it is not
 * @device device id: 1..40 characters a-z, 0-9, "-", "."; upper case is lowered
 * @fn     progress and result; may be NULL
 * @arg    for fn; borrowed until BSC_CLOSED
 * @out    the connection; end it with bsc_conn_close()
 *
 * Returns BS_OK (the result arrives at fn), or
 *   BS_EINVAL  not a device id
 *   BS_EFULL   64 connections are open in this session: close one
 *   BS_ESTATE  after fork()
 *   BS_ENOMEM, BS_ERANDOM  give up
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), section CONNECTING.
 */
BS_API BS_MUSTCHECK int bsc_connect(struct bsc_session *s, const char *device, bsc_conn_fn fn,
				    void *arg, struct bsc_conn **out);

/**
 * bsc_conn_close - end a connection and give its handle back
 *
 * @c connection; taken; NULL is fine
 *
 * Open queries end with BSC_CANCELLED before it returns; fn is not called any more.  The device
 * and the basestation are told; the session does that in its next steps, nobody waits for it.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 * Source: basestation-wire(7), section DATA, closing.
 */
BS_API void bsc_conn_close(struct bsc_conn *c);

/**
 * bsc_conn_get_info - state and figures of a connection
 *
 * @c    connection; borrowed
 * @info out; all fields set
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_conn_get_info(const struct bsc_conn *c, struct bsc_conn_info *info);

/** Options of one query. */
enum bsc_rpc_option {
	/** Send the request once only: for queries that must not be carried out twice. */
	BSC_RPC_NO_RETRY = 0x01,
};

/**
 * bsc_rpc_fn - the answer to a query, or the reason why there is none; called once
 *
 * @arg  as given to bsc_rpc()
 * @c    the connection
 * @data [len] bytes of the answer; borrowed for the call; NULL with an error
 * @len  0..BSC_RPC_ANSWER_MAX
 * @err  NULL when there is an answer; else borrowed: BSC_EXCEPTION, BSC_NO_ANSWER, BSC_CANCELLED
 *       or the reason why the connection closed
 */
typedef void (*bsc_rpc_fn)(void *arg, struct bsc_conn *c, const uint8_t *data, size_t len,
			   const struct bsc_error *err);

/**
 * bsc_rpc - send a query to the device
 *
 * @c       connection; borrowed; need not be open yet
 * @req     [len] bytes: query id and parameters, as bsc_query_encode() makes them; copied
 * @len     4..BSC_RPC_REQUEST_SMALL; more once the device has shown that it takes large packets
 * @options enum bsc_rpc_option, or 0
 * @fn      called once with the result
 * @arg     for fn; borrowed until then
 *
 * Requests of one connection are sent one after the other.  A device may carry out a request more
 * than once when packets are lost, unless BSC_RPC_NO_RETRY is set.
 *
 * Returns BS_OK, or
 *   BS_EINVAL  shorter than 4 bytes, or fn is NULL
 *   BS_ETOOBIG longer than this device is known to take
 *   BS_EFULL   32 requests wait already: later
 *   BS_ECLOSED the connection is over
 *   BS_ESTATE  after fork()
 *   BS_ENOMEM  no memory
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), section QUERIES.
 */
BS_API BS_MUSTCHECK int bsc_rpc(struct bsc_conn *c, const uint8_t *req, size_t len,
				unsigned options, bsc_rpc_fn fn, void *arg);

/** Whether a device is attached. */
enum bsc_device_state {
	BSC_DEVICE_OFFLINE = 0, /**< not attached */
	BSC_DEVICE_ONLINE = 1,  /**< attached */
	BSC_DEVICE_UNKNOWN = 2, /**< the server does not know now; or no such device for us */
};

/** One device in a list or an event. */
struct bsc_presence {
	char device[BS_DEVICE_ID_MAX + 1]; /**< device id */
	enum bsc_device_state state;       /**< attached or not */
	uint64_t since_ms; /**< Unix milliseconds of the last change, 0 = not known */
	uint64_t event;    /**< number of the event, for since of bsc_watch() */
};

/**
 * bsc_presence_fn - one device, or the end
 *
 * @arg as given
 * @p   one device; NULL at the end of a list or of a watch; borrowed
 * @err at the end: NULL when complete, else the reason; borrowed
 */
typedef void (*bsc_presence_fn)(void *arg, const struct bsc_presence *p,
				const struct bsc_error *err);

/**
 * bsc_list - the devices that this client may reach
 *
 * @s   session; borrowed; is opened when it is not
 * @fn  called per device, then once with p NULL
 * @arg for fn; borrowed until then
 *
 * Returns BS_OK, or
 *   BS_EINVAL  fn is NULL
 *   BS_EFULL   64 requests of this session wait for answers: later
 *   BS_ESTATE  after fork()
 *   BS_ENOMEM  no memory
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), section CLIENT PACKETS, LIST.
 */
BS_API BS_MUSTCHECK int bsc_list(struct bsc_session *s, bsc_presence_fn fn, void *arg);

/**
 * bsc_watch - be told when devices come and go
 *
 * @s       session; borrowed; is opened when it is not
 * @devices [n] device ids; copied
 * @n       1..BSC_WATCH_MAX
 * @since   event number of the last presence seen, 0 = none
 * @fn      called with the state of each now and with every change; with p NULL when the watch
 *          ends by an error.  A watch survives a reconnect
 * @arg     for fn; borrowed until bsc_unwatch() or the end
 *
 * One watch per session: a second call replaces the first.
 *
 * Returns BS_OK, or
 *   BS_EINVAL  n out of range, an id is none, or fn is NULL
 *   BS_EFULL   64 requests of this session wait for answers: later
 *   BS_ESTATE  after fork()
 *   BS_ENOMEM  no memory
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), section CLIENT PACKETS, WATCH.
 */
BS_API BS_MUSTCHECK int bsc_watch(struct bsc_session *s, const char *const *devices, size_t n,
				  uint64_t since, bsc_presence_fn fn, void *arg);

/**
 * bsc_unwatch - end the watch of a session
 *
 * @s session; borrowed
 *
 * The callback of bsc_watch() is not called any more.
 *
 * Thread: the session's.  Allocates: no.  Blocks: no.
 */
BS_API void bsc_unwatch(struct bsc_session *s);

/**
 * bsc_done_fn - a request without content is answered
 *
 * @arg    as given
 * @rtt_us round trip in microseconds; 0 with an error
 * @err    NULL, or the reason; borrowed
 */
typedef void (*bsc_done_fn)(void *arg, uint32_t rtt_us, const struct bsc_error *err);

/**
 * bsc_ping - ask the basestation for a sign of life
 *
 * @s   session; borrowed; is opened when it is not
 * @fn  called once
 * @arg for fn; borrowed until then
 *
 * Returns BS_OK, or BS_EINVAL (fn is NULL), BS_EFULL (64 requests wait), BS_ESTATE (after fork()),
 * BS_ENOMEM.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: no.
 * Source: basestation-wire(7), section CLIENT PACKETS, PING.
 */
BS_API BS_MUSTCHECK int bsc_ping(struct bsc_session *s, bsc_done_fn fn, void *arg);

/**
 * bsc_session_wait - wait once and step
 *
 * @s          session; borrowed
 * @timeout_ms longest wait; -1 = until something happens
 *
 * The loop of a program that has nothing else to do.  An interrupted wait returns early.
 *
 * Returns BS_OK, or what bsc_session_step() returns, or BS_EIO when poll(2) fails.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes, up to timeout_ms.
 */
BS_API BS_MUSTCHECK int bsc_session_wait(struct bsc_session *s, int32_t timeout_ms);

/**
 * bsc_session_open_wait - open a session and wait for the result
 *
 * @s          session; borrowed
 * @timeout_ms longest wait; -1 = as long as open_timeout_ms of the configuration allows
 * @err        filled on failure; may be NULL
 *
 * Returns BS_OK, or err->err: see there for code and text.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes.
 */
BS_API BS_MUSTCHECK int bsc_session_open_wait(struct bsc_session *s, int32_t timeout_ms,
					      struct bsc_error *err);

/**
 * bsc_connect_wait - bsc_connect() and wait for the path
 *
 * @s          session; borrowed
 * @device     device id
 * @timeout_ms longest wait; -1 = as long as the timeouts of the configuration allow
 * @fn         progress; may be NULL
 * @arg        for fn; borrowed until bsc_conn_close()
 * @out        the open connection; end it with bsc_conn_close()
 * @err        filled on failure; may be NULL
 *
 * Returns BS_OK, or err->err; nothing is left open then.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes.
 */
BS_API BS_MUSTCHECK int bsc_connect_wait(struct bsc_session *s, const char *device,
					 int32_t timeout_ms, bsc_conn_fn fn, void *arg,
					 struct bsc_conn **out, struct bsc_error *err);

/**
 * bsc_rpc_wait - bsc_rpc() and wait for the answer
 *
 * @c       connection; borrowed
 * @req     [len] bytes as in bsc_rpc()
 * @len     as in bsc_rpc()
 * @options enum bsc_rpc_option, or 0
 * @buf     [cap] bytes for the answer
 * @cap     BSC_RPC_ANSWER_MAX always suffices
 * @out_len bytes of the answer
 * @err     filled on failure; may be NULL
 *
 * Returns BS_OK, or err->err; BS_ETOOBIG when the answer does not fit, BS_EREFUSED with code
 * BSC_EXCEPTION when the device answered with one.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes, up to rpc_timeout_ms.
 */
BS_API BS_MUSTCHECK int bsc_rpc_wait(struct bsc_conn *c, const uint8_t *req, size_t len,
				     unsigned options, uint8_t *buf, size_t cap, size_t *out_len,
				     struct bsc_error *err);

/**
 * bsc_list_wait - bsc_list() and wait for the end
 *
 * @s          session; borrowed
 * @timeout_ms longest wait; -1 = no limit but that of the session
 * @fn         called per device; not at the end
 * @arg        for fn; borrowed for the call
 * @err        filled on failure; may be NULL
 *
 * Returns BS_OK, or err->err.
 *
 * Thread: the session's.  Allocates: yes.  Blocks: yes.
 */
BS_API BS_MUSTCHECK int bsc_list_wait(struct bsc_session *s, int32_t timeout_ms, bsc_presence_fn fn,
				      void *arg, struct bsc_error *err);

/**
 * bsc_conn_close_wait - bsc_conn_close() and wait until the device has confirmed it
 *
 * @c          connection; taken; NULL is fine
 * @timeout_ms longest wait; the library gives up after 600 ms in any case
 *
 * Thread: the session's.  Allocates: no.  Blocks: yes, up to 600 ms.
 */
BS_API void bsc_conn_close_wait(struct bsc_conn *c, int32_t timeout_ms);

/**
 * bsc_code_name - a short stable word for a code, for scripts and logs
 *
 * @code enum bsc_code or enum bs_status
 *
 * Returns a static string such as "server-expired", "not-attached", or "unknown"; never NULL.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API const char *bsc_code_name(uint32_t code);

/**
 * bsc_rpc_exception_name - the symbol of an exception
 *
 * @code what the device sent
 *
 * Returns a static string such as "BS_RPC_BUSY", or "BS_RPC_OTHER" for a code of the device's own.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 * Source: basestation-wire(7), section QUERIES, exceptions.
 */
BS_API const char *bsc_rpc_exception_name(uint32_t code);

/**
 * bsc_progress_name - a word for a step: "resolving", "handshaking" and so on
 *
 * @step enum bsc_progress
 *
 * Returns a static string; never NULL.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API const char *bsc_progress_name(enum bsc_progress step);

#ifdef __cplusplus
}
#endif
#endif
