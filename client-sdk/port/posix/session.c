/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"
#include "error.h"
#include "mapper.h"
#include "part.h"
#include "stream.h"
#include "util/endpoint.h"

/** Datagrams taken in one step: a flood must not keep the caller's loop. */
#define DATAGRAMS_MAX 64
/** Receives from one socket in one step; each brings up to that many. */
#define RECEIVES_MAX 8
/** Packets of the stream taken in one step, for the same reason. */
#define READS_MAX 64
/** While many further sockets are open they are looked at so often, not waited for. */
#define SOCKETS_LOOK_MS 20
/** So many are waited for. */
#define FURTHER_FDS 8
/** The same for legs to TCP relays. */
#define LEGS_FDS 8
/** How often it is looked whether further sockets are still needed. */
#define SOCKETS_SWEEP_MS 2000
/** How often our own addresses are compared while a path is in doubt. */
#define HOSTS_LOOK_MS 1000

bs_time bsc__now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (bs_time)ts.tv_sec * 1000000000u + (bs_time)ts.tv_nsec;
}

int bsc__check_process(const struct bsc_session *s)
{
	return s->pid == getpid() ? BS_OK : BS_ESTATE;
}

void bsc__session_log(const struct bsc_session *s, const char *fmt, ...)
{
	char line[BSC_ERROR_TEXT_MAX + 64];
	va_list ap;

	if (s->log_fn == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	bsc__printable(line, strlen(line));
	s->log_fn(s->log_arg, line);
}

/* ---- set-up */

void bsc_config_init(struct bsc_config *cfg, size_t len)
{
	const struct bsc_config defaults = {
		.len = len,
		.port = BSC_PORT,
		.open_timeout_ms = 10000,
		.path_timeout_ms = 6000,
		.rpc_timeout_ms = 30000,
		.keepalive_s = 60,
		.conn_keepalive_ms = 5000,
		.conn_keepalive_max_ms = BSC_CONN_KEEPALIVE_MAX_MS,
		.sockets_max = BS_SOCKETS_MAX,
		.sockets_pause_s = 60,
		.local_port = 5570,
	};

	/* A program built against an older header has a shorter struct. */
	memcpy(cfg, &defaults, len < sizeof defaults ? len : sizeof defaults);
}

static int usage(struct bsc_error *err, const char *text)
{
	return bsc__fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_USAGE, "%s", text);
}

/** A host name or address that fits every buffer it goes into. */
static bool is_host(const char *s)
{
	size_t len = s == NULL ? 0 : strlen(s);

	for (size_t k = 0; k < len; k++)
		if (s[k] <= ' ' || s[k] > '~')
			return false;
	return len > 0 && len <= BS_NODE_HOST_MAX;
}

static int check_config(const struct bsc_config *cfg, struct bsc_error *err)
{
	if (cfg->local_only ? cfg->server != NULL : !is_host(cfg->server))
		return usage(err, "server: give the name or address of the basestation");
	if (cfg->server_name != NULL && !is_host(cfg->server_name))
		return usage(err, "server name: is no host name");
	if (cfg->port == 0)
		return usage(err, "port: 0 is no port");
	if (cfg->local_port == 0)
		return usage(err, "local port: 0 is no port");
	if (cfg->local_only && cfg->cert_file == NULL)
		return BS_OK;
	if (cfg->cert_file == NULL)
		return usage(err, "certificate file: give one; the basestation wants to know us");
	if (cfg->key_file == NULL && cfg->sign == NULL)
		return usage(err, "key file: give one, or a signing callback");
	if (cfg->key_file != NULL && cfg->sign != NULL)
		return usage(err, "key file and signing callback: give one of them");
	if (cfg->open_timeout_ms < 100 || cfg->path_timeout_ms < 100 || cfg->rpc_timeout_ms < 100)
		return usage(err, "timeouts: at least 100 ms");
	if (cfg->open_timeout_ms > 3600000 || cfg->path_timeout_ms > 3600000 ||
	    cfg->rpc_timeout_ms > 3600000)
		return usage(err, "timeouts: at most an hour");
	if (cfg->keepalive_s < 1 || cfg->keepalive_s > UINT16_MAX)
		return usage(err, "keepalive: 1 to 65535 seconds");
	if (cfg->conn_keepalive_ms < 1000 || cfg->conn_keepalive_ms > BSC_CONN_KEEPALIVE_MAX_MS)
		return usage(err, "connection keepalive: 1000 to 18000 ms");
	if (cfg->conn_keepalive_max_ms < cfg->conn_keepalive_ms ||
	    cfg->conn_keepalive_max_ms > BSC_CONN_KEEPALIVE_MAX_MS)
		return usage(err, "longest connection keepalive: from the other to 18000 ms");
	if (cfg->sockets_max > BS_SOCKETS_MAX)
		return usage(err, "further sockets: at most 250");
	if (cfg->sockets_pause_s > 86400)
		return usage(err, "pause between searches with further sockets: at most a day");
	return BS_OK;
}

static void settings_from(const struct bsc_config *cfg, struct bsc_session *s,
			  struct bsc__settings *set)
{
	memset(set, 0, sizeof *set);
	if (cfg->server != NULL)
		memcpy(set->host, cfg->server, strlen(cfg->server) + 1);
	set->local_port = cfg->local_port;
	set->no_local = cfg->no_local;
	set->port = cfg->port;
	set->open_timeout_ms = cfg->open_timeout_ms;
	set->path_timeout_ms = cfg->path_timeout_ms;
	set->relay = cfg->relay;
	set->rpc_timeout_ms = cfg->rpc_timeout_ms;
	set->keepalive_s = (uint16_t)cfg->keepalive_s;
	set->conn_keepalive_ms = cfg->conn_keepalive_ms;
	set->conn_keepalive_max_ms = cfg->conn_keepalive_max_ms;
	set->sockets_max = (uint16_t)cfg->sockets_max;
	set->sockets_pause_ms = cfg->sockets_pause_s * 1000u;
	set->reconnect = !cfg->no_reconnect;
	set->fn = cfg->session_fn;
	set->arg = cfg->session_arg;
	set->pair_fn = cfg->pair_fn;
	set->pair_arg = cfg->pair_arg;
	set->owner = s;
	set->note_fn = cfg->log_fn;
	set->note_arg = cfg->log_arg;
	set->no_tickets = cfg->no_tickets;
	set->ticket_save = cfg->ticket_save;
	set->ticket_arg = cfg->ticket_arg;
}

static uint64_t unix_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000u + (uint64_t)ts.tv_nsec / 1000000u;
}

/** Lend the machine what tickets need, and give it the one that the program has stored. */
static void set_up_tickets(struct bsc_session *s, const struct bsc_config *cfg)
{
	uint8_t record[BSC_TICKET_MAX];
	size_t len;

	s->m.tools.cipher = (struct bs_ticket_cipher){ s->m.crypto, bs_gcm_aead(), s->gcm };
	s->m.tools.sha256 = bs_gcm_sha256;
	s->m.tools.unix_ms = unix_ms;
	if (cfg->ticket_load == NULL)
		return;
	len = cfg->ticket_load(cfg->ticket_arg, record, sizeof record);
	if (len > 0 && len <= sizeof record)
		bsc__ticket_load(&s->m, record, len, bsc__now());
	bs_wipe(record, sizeof record);
}

int bsc_session_new(const struct bsc_config *cfg, struct bsc_session **out, struct bsc_error *err)
{
	static const uint8_t no_key[BS_GCM_KEY_LEN];
	struct bsc_config full;
	struct bsc__settings set;
	struct bsc_session *s;
	int rc;

	bsc_config_init(&full, sizeof full);
	memcpy(&full, cfg, cfg->len < sizeof full ? cfg->len : sizeof full);
	rc = check_config(&full, err);
	if (rc != BS_OK)
		return rc;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return bsc__fail_nomem(err);
	s->udp = -1;
	bs_sockets_init(&s->further, (uint16_t)full.sockets_max);
	s->set.fd = -1;
	s->pid = getpid();
	s->no_hosts = full.no_host_candidates;
	s->no_map = full.no_port_mapping;
	s->log_fn = full.log_fn;
	s->log_arg = full.log_arg;
	if (full.server_name != NULL)
		memcpy(s->server_name, full.server_name, strlen(full.server_name) + 1);
	settings_from(&full, s, &set);
	s->openssl = bs_openssl_new();
	if (s->openssl == NULL)
		rc = bsc__fail(err, BS_ECRYPTO, BSC_FROM_LIBRARY, BSC_INTERNAL,
			       "the crypto library does not work here");
	s->batch = bs_batch_new();
	s->gcm = bs_gcm_new(no_key);
	if (rc == BS_OK && (s->batch == NULL || s->gcm == NULL))
		rc = bsc__fail_nomem(err);
	if (rc == BS_OK && full.cert_file != NULL)
		rc = bsc__tls_ctx_new(&full, &s->ctx, err);
	if (rc == BS_OK)
		rc = bsc__resolver_new(full.dns_servers, &s->resolver, err);
	if (rc != BS_OK) {
		bsc__tls_ctx_free(s->ctx);
		bs_openssl_free(s->openssl);
		bs_batch_free(s->batch);
		bs_gcm_free(s->gcm);
		free(s);
		return rc;
	}
	bsc__transport_init(&s->transport, s->resolver, s->ctx);
	bsc__legs_init(&s->legs, s->ctx, s->server_name);
	bsc__machine_init(&s->m, bs_openssl_crypto(s->openssl), &set);
	if (s->ctx != NULL) {
		s->m.has_fp = true;
		memcpy(s->m.key_fp, bsc__tls_ctx_key_fp(s->ctx), sizeof s->m.key_fp);
		memcpy(s->m.identity, bsc__tls_ctx_identity(s->ctx), sizeof s->m.identity);
		set_up_tickets(s, &full);
	}
	*out = s;
	return BS_OK;
}

/** Open the rendezvous socket, once; without it no device can be reached. */
int bsc__session_udp(struct bsc_session *s)
{
	struct sockaddr_storage ss;
	struct bs_endpoint any = { .port = 0 };
	struct bs_endpoint self;
	socklen_t len;
	int off = 0;
	int on = 1;

	if (s->udp >= 0)
		return BS_OK;
	s->udp_family = AF_INET6;
	s->udp = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->udp >= 0) {
		(void)setsockopt(s->udp, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
		len = bsc__addr_to(&any, AF_INET6, &ss);
		if (bind(s->udp, (const struct sockaddr *)&ss, len) != 0) {
			(void)close(s->udp);
			s->udp = -1;
		}
	}
	if (s->udp < 0) {
		s->udp_family = AF_INET;
		s->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		bs_endpoint_set_ip4(&any, INADDR_ANY, 0);
		len = bsc__addr_to(&any, AF_INET, &ss);
		if (s->udp < 0 || bind(s->udp, (const struct sockaddr *)&ss, len) != 0)
			return BS_EIO;
	}
	bs_batch_prepare(s->batch, s->udp);
	/* A search on the local network is broadcast. */
	(void)setsockopt(s->udp, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
	len = sizeof ss;
	if (getsockname(s->udp, (struct sockaddr *)&ss, &len) == 0 &&
	    bsc__addr_from((const struct sockaddr *)&ss, &self))
		s->udp_port = self.port;
	return BS_OK;
}

/* ---- the step */

/** Give the machine the transport that it wants. */
static void follow_wishes(struct bsc_session *s)
{
	if (s->m.want && s->generation != s->m.transport) {
		s->generation = s->m.transport;
		s->told = BSC__TRANSPORT_IDLE;
		bsc__session_log(s, "opening %s port %u", s->m.host, (unsigned)s->m.port);
		bsc__transport_start(&s->transport, s->m.host, s->m.port,
				     s->server_name[0] != '\0' ? s->server_name : s->m.host);
	} else if (!s->m.want && s->transport.state != BSC__TRANSPORT_IDLE)
		bsc__transport_stop(&s->transport, true);
}

static void note_tls(struct bsc_session *s)
{
	(void)snprintf(s->tls_version, sizeof s->tls_version, "%s",
		       bsc__tls_version(s->transport.tls));
	(void)snprintf(s->cipher, sizeof s->cipher, "%s", bsc__tls_cipher(s->transport.tls));
	s->resumed = bsc__tls_resumed(s->transport.tls);
	s->handshakes++;
	bsc__session_log(s, "%s, %s%s", s->tls_version, s->cipher, s->resumed ? ", resumed" : "");
}

/** Tell the machine how far the transport came, each step once. */
static void report_transport(struct bsc_session *s, bs_time now)
{
	enum bsc__transport_state at = s->transport.state;

	if (at == s->told || !s->m.want)
		return;
	if (s->told == BSC__TRANSPORT_IDLE)
		bsc__machine_progress(&s->m, BSC_RESOLVING);
	if (s->told <= BSC__TRANSPORT_RESOLVING && at >= BSC__TRANSPORT_TCP &&
	    at <= BSC__TRANSPORT_UP) {
		(void)bsc__transport_remote(&s->transport, &s->remote);
		bsc__machine_progress(&s->m, BSC_HANDSHAKING);
	}
	s->told = at;
	if (at == BSC__TRANSPORT_UP) {
		(void)bsc__transport_remote(&s->transport, &s->remote);
		note_tls(s);
		s->m.gate = s->remote;
		bsc__machine_up(&s->m, now);
	} else if (at == BSC__TRANSPORT_FAILED) {
		bsc__session_log(s, "%s", s->transport.error.text);
		bsc__machine_down(&s->m, &s->transport.error, now);
	}
}

static void read_stream(struct bsc_session *s, bs_time now)
{
	uint8_t buf[BS_GATE_PACKET_MAX];

	for (int k = 0; k < READS_MAX && s->generation == s->m.transport && s->m.want; k++) {
		bs_ssize n = bsc__transport_read(&s->transport, buf, sizeof buf);

		if (n == BS_EAGAIN)
			break;
		if (n < 0) {
			report_transport(s, now);
			break;
		}
		bsc__machine_bytes(&s->m, buf, (size_t)n, now);
	}
	bs_wipe(buf, sizeof buf);
}

static void write_stream(struct bsc_session *s, bs_time now)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	size_t n;

	while (s->generation == s->m.transport && s->m.want &&
	       bsc__transport_writable(&s->transport) &&
	       (n = bsc__machine_stream_out(&s->m, buf, now)) > 0)
		bsc__transport_write(&s->transport, buf, n);
	report_transport(s, now);
}

/** Everything of one socket; via is its number. */
static void read_socket(struct bsc_session *s, int fd, uint16_t via, bs_time now)
{
	struct bs_endpoint from;
	uint8_t *pkt;
	size_t len;

	for (int k = 0; k < RECEIVES_MAX && fd >= 0; k++) {
		int rc = bs_batch_receive(s->batch, fd);

		/* An ICMP error of an earlier datagram counts as one that was taken. */
		if (rc == BS_EAGAIN)
			return;
		while (rc == BS_OK && bs_batch_next(s->batch, &pkt, &len, &from)) {
			from.via = via;
			bsc__machine_datagram(&s->m, pkt, len, &from, now);
		}
	}
}

static bool still_used(void *ctx, uint16_t via)
{
	return bsc__paths_uses_via(ctx, via);
}

static void read_udp(struct bsc_session *s, bs_time now)
{
	uint16_t via[DATAGRAMS_MAX];
	size_t n = bs_sockets_ready(&s->further, via, DATAGRAMS_MAX);

	read_socket(s, s->udp, 0, now);
	for (size_t k = 0; k < n; k++)
		read_socket(s, s->further.fd[via[k] - 1], via[k], now);
	if (s->further.n > 0 && BS_TIME_DIFF(now, s->sweep_at) >= 0) {
		bs_sockets_sweep(&s->further, still_used, &s->m);
		s->sweep_at = now + BS_TIME_MS(SOCKETS_SWEEP_MS);
	}
}

static void write_udp(struct bsc_session *s, bs_time now)
{
	struct bs_endpoint to;
	uint8_t *buf;
	size_t n;

	while (s->udp >= 0 && (buf = bs_batch_room(s->batch)) != NULL) {
		int fd;

		n = bsc__machine_datagram_out(&s->m, buf, BS_BATCH_ROOM, &to, now);
		if (n == 0)
			break;
		if (bs_endpoint_via(&to) == BS_VIA_STREAM) {
			bsc__legs_send(&s->legs, buf, n);
			continue;
		}
		fd = to.via == 0 ? s->udp : bs_sockets_get(&s->further, to.via, s->udp_family);
		bs_batch_add(s->batch, n, fd, s->udp_family, &to);
	}
	bs_batch_flush(s->batch);
}

/** The addresses that a device may be told. */
static uint8_t own_hosts(const struct bsc_session *s, struct bs_ep6 *out)
{
	return s->no_hosts ? 0
			   : bsc__addr_hosts(s->udp_port, s->udp_family == AF_INET6, out,
					     BS_GATE_HOSTS_MAX);
}

/** A path that fell silent may mean that this machine is somewhere else now: nobody tells us, so
 *  compare our addresses, but only then. */
static void look_at_hosts(struct bsc_session *s, bs_time now)
{
	struct bs_ep6 hosts[BS_GATE_HOSTS_MAX];
	uint8_t n;

	if (s->m.suspended || BS_TIME_DIFF(now, s->hosts_at) < 0 || !bsc__paths_in_doubt(&s->m))
		return;
	s->hosts_at = now + BS_TIME_MS(HOSTS_LOOK_MS);
	memset(hosts, 0, sizeof hosts);
	n = own_hosts(s, hosts);
	if (n == s->m.n_hosts && memcmp(hosts, s->m.hosts, n * sizeof hosts[0]) == 0)
		return;
	bsc__session_log(s, "our addresses changed");
	memcpy(s->m.hosts, hosts, sizeof hosts);
	s->m.n_hosts = n;
	bsc__paths_network_changed(&s->m, now);
}

/** After the datagrams, so that a burst of them costs a TCP client one write. */
static void step_parts(struct bsc_session *s, bs_time now)
{
	if (s->parts != NULL)
		bs_poller_step(&s->set);
	for (struct bsc__part *p = s->parts; p != NULL; p = p->next)
		p->step(p, now);
}

int bsc_session_step(struct bsc_session *s)
{
	bs_time now = bsc__now();

	if (bsc__check_process(s) != BS_OK || s->stepping)
		return BS_ESTATE;
	s->stepping = true;
	s->dirty = s->m.touched = false;
	follow_wishes(s);
	bsc__transport_step(&s->transport, now);
	report_transport(s, now);
	read_stream(s, now);
	read_udp(s, now);
	bsc__legs_step(&s->legs, &s->m, now);
	look_at_hosts(s, now);
	bsc__session_map(s, now);
	bsc__machine_timeout(&s->m, now);
	step_parts(s, now);
	/* A callback may have asked for a new transport; its first step runs at once. */
	follow_wishes(s);
	write_stream(s, now);
	write_udp(s, now);
	/* What parts and callbacks wrote has gone out with the rest. */
	s->m.touched = false;
	bsc__machine_reap(&s->m);
	s->stepping = false;
	return BS_OK;
}

/** The further sockets, when they are few: many are looked at by time. */
static size_t further_fds(const struct bsc_session *s, struct bsc_fd *fds, size_t cap)
{
	struct pollfd p[BSC_FDS_MAX];
	size_t n = s->further.n > cap ? 0 : bs_sockets_fds(&s->further, p, cap);

	for (size_t k = 0; k < n; k++)
		fds[k] = (struct bsc_fd){ .fd = p[k].fd, .events = p[k].events };
	return n;
}

bs_ssize bsc_session_fds(struct bsc_session *s, struct bsc_fd *fds, size_t cap)
{
	struct bsc_fd all[BSC_FDS_MAX];
	size_t n;

	if (bsc__check_process(s) != BS_OK)
		return BS_ESTATE;
	n = bsc__transport_fds(&s->transport, all, BSC__RESOLVER_FDS_MAX);
	if (s->udp >= 0) {
		all[n].fd = s->udp;
		all[n++].events = bs_batch_stuck(s->batch) == s->udp ? POLLIN | POLLOUT : POLLIN;
	}
	n += further_fds(s, all + n, FURTHER_FDS);
	if (s->mapper != NULL)
		all[n++] = (struct bsc_fd){ .fd = bsc__mapper_fd(s->mapper), .events = POLLIN };
	if (s->parts != NULL)
		all[n++] = (struct bsc_fd){ .fd = s->set.fd, .events = POLLIN };
	n += bsc__legs_fds(&s->legs, all + n, LEGS_FDS);
	if (n > cap)
		return BS_ETOOBIG;
	if (n > 0)
		memcpy(fds, all, n * sizeof *fds);
	return (bs_ssize)n;
}

int32_t bsc_session_timeout_ms(struct bsc_session *s)
{
	bs_time now = bsc__now();
	bs_time at = 0;
	bs_time t;
	bs_time_diff left;
	bool have = bsc__machine_next_timeout(&s->m, &at);

	if (bsc__check_process(s) != BS_OK)
		return -1;
	/* Something waits for a step already. */
	if (s->dirty || s->m.touched || (s->m.want && s->generation != s->m.transport) ||
	    (!s->m.want && s->transport.state != BSC__TRANSPORT_IDLE))
		return 0;
	if (bsc__transport_writable(&s->transport) && bsc__machine_has_output(&s->m))
		return 0;
	if (bsc__transport_next_timeout(&s->transport, now, &t))
		bsc__earlier(&have, &at, t);
	if (bsc__legs_next_timeout(&s->legs, &s->m, LEGS_FDS, now, &t))
		bsc__earlier(&have, &at, t);
	if (s->further.n > 0)
		bsc__earlier(&have, &at,
			     now + BS_TIME_MS(s->further.n > FURTHER_FDS ? SOCKETS_LOOK_MS
									 : SOCKETS_SWEEP_MS));
	for (const struct bsc__part *p = s->parts; p != NULL; p = p->next)
		if (p->next_timeout(p, &t))
			bsc__earlier(&have, &at, t);
	if (!have)
		return -1;
	left = BS_TIME_DIFF(at, now);
	/* Rounded up: waking early would only spin. */
	return left <= 0 ? 0 : (int32_t)((left + 999999) / 1000000);
}

/* ---- parts */

struct bs_poller *bsc__session_poller(struct bsc_session *s)
{
	if (s->set.fd < 0 && bs_poller_init(&s->set) != BS_OK)
		return NULL;
	return &s->set;
}

void bsc__session_attach(struct bsc_session *s, struct bsc__part *part)
{
	part->next = s->parts;
	s->parts = part;
}

void bsc__session_detach(struct bsc_session *s, struct bsc__part *part)
{
	struct bsc__part **at = &s->parts;

	while (*at != part)
		at = &(*at)->next;
	*at = part->next;
}

/* ---- what a caller asks for */

/** BS_OK when there is a basestation to ask. */
static int check_server(const struct bsc_session *s)
{
	if (bsc__check_process(s) != BS_OK)
		return BS_ESTATE;
	return s->m.set.host[0] == '\0' ? BS_EINVAL : BS_OK;
}

int bsc_session_open(struct bsc_session *s)
{
	int rc = check_server(s);

	if (rc != BS_OK)
		return rc;
	s->dirty = true;
	bsc__machine_open(&s->m, bsc__now());
	return BS_OK;
}

int bsc_connect(struct bsc_session *s, const char *device, bsc_conn_fn fn, void *arg,
		struct bsc_conn **out)
{
	int rc;

	if (bsc__check_process(s) != BS_OK)
		return BS_ESTATE;
	rc = bsc__session_udp(s);
	if (rc != BS_OK)
		return rc;
	memset(s->m.hosts, 0, sizeof s->m.hosts);
	s->m.n_hosts = own_hosts(s, s->m.hosts);
	s->dirty = true;
	s->m.n_near = bsc__addr_near(s->m.set.local_port, s->m.near, BSC__NEAR_MAX);
	return bsc__link_new(&s->m, device, NULL, fn, arg, bsc__now(), out);
}

void bsc_conn_close(struct bsc_conn *c)
{
	if (c == NULL || bsc__check_process(c->m->set.owner) != BS_OK)
		return;
	c->m->set.owner->dirty = true;
	bsc__link_close(c, bsc__now());
}

void bsc_conn_get_info(const struct bsc_conn *c, struct bsc_conn_info *info)
{
	bsc__link_get_info(c, info);
}

int bsc_rpc(struct bsc_conn *c, const uint8_t *req, size_t len, unsigned options, bsc_rpc_fn fn,
	    void *arg)
{
	if (bsc__check_process(c->m->set.owner) != BS_OK)
		return BS_ESTATE;
	c->m->set.owner->dirty = true;
	return bsc__link_call(c, req, len, options, fn, arg, bsc__now());
}

/** The session that a stream belongs to; NULL when its connection is gone. */
static struct bsc_session *session_of(const struct bsc_stream *s)
{
	return s->c == NULL ? NULL : s->c->m->set.owner;
}

int bsc_stream_open(struct bsc_conn *c, bsc_stream_fn fn, void *arg, struct bsc_stream **out)
{
	if (bsc__check_process(c->m->set.owner) != BS_OK)
		return BS_ESTATE;
	c->m->set.owner->dirty = true;
	return bsc__stream_open(c, fn, arg, bsc__now(), out);
}

static void end_stream(struct bsc_stream *s, bool abort)
{
	struct bsc_session *owner;

	if (s == NULL)
		return;
	owner = session_of(s);
	if (owner != NULL)
		owner->dirty = true;
	bsc__stream_close(s, abort, bsc__now());
}

void bsc_stream_close(struct bsc_stream *s)
{
	end_stream(s, false);
}

void bsc_stream_abort(struct bsc_stream *s)
{
	end_stream(s, true);
}

int bsc_list(struct bsc_session *s, bsc_presence_fn fn, void *arg)
{
	int rc = check_server(s);

	if (rc != BS_OK)
		return rc;
	return fn == NULL ? BS_EINVAL : bsc__request_list(&s->m, fn, arg, bsc__now());
}

int bsc_watch(struct bsc_session *s, const char *const *devices, size_t n, uint64_t since,
	      bsc_presence_fn fn, void *arg)
{
	int rc = check_server(s);

	if (rc != BS_OK)
		return rc;
	if (fn == NULL || n == 0 || n > BSC_WATCH_MAX)
		return BS_EINVAL;
	return bsc__request_watch(&s->m, devices, n, since, fn, arg, bsc__now());
}

void bsc_unwatch(struct bsc_session *s)
{
	if (bsc__check_process(s) == BS_OK)
		bsc__request_unwatch(&s->m, bsc__now());
}

int bsc_ping(struct bsc_session *s, bsc_done_fn fn, void *arg)
{
	int rc = check_server(s);

	if (rc != BS_OK)
		return rc;
	return fn == NULL ? BS_EINVAL : bsc__request_ping(&s->m, fn, arg, bsc__now());
}

int bsc_network_changed(struct bsc_session *s)
{
	if (bsc__check_process(s) != BS_OK)
		return BS_ESTATE;
	s->dirty = true;
	memset(s->m.hosts, 0, sizeof s->m.hosts);
	s->m.n_hosts = own_hosts(s, s->m.hosts);
	bsc__paths_network_changed(&s->m, bsc__now());
	return BS_OK;
}

int bsc_session_suspend(struct bsc_session *s)
{
	if (bsc__check_process(s) != BS_OK)
		return BS_ESTATE;
	s->dirty = true;
	bsc__paths_suspend(&s->m, bsc__now());
	return BS_OK;
}

int bsc_session_resume(struct bsc_session *s)
{
	if (bsc__check_process(s) != BS_OK)
		return BS_ESTATE;
	s->dirty = true;
	memset(s->m.hosts, 0, sizeof s->m.hosts);
	s->m.n_hosts = own_hosts(s, s->m.hosts);
	bsc__paths_resume(&s->m, bsc__now());
	return BS_OK;
}

void bsc_session_get_info(const struct bsc_session *s, struct bsc_session_info *info)
{
	const struct bsc__machine *m = &s->m;

	memset(info, 0, sizeof *info);
	info->state = m->state;
	memcpy(info->identity, m->identity, sizeof info->identity);
	memcpy(info->key_fp, m->key_fp, sizeof info->key_fp);
	info->tx_bytes = m->tx_bytes;
	info->rx_bytes = m->rx_bytes;
	info->handshakes = s->handshakes;
	if (m->state == BSC_SESSION_IDLE || m->state == BSC_SESSION_WAITING)
		return;
	bsc__endpoint_text(&s->remote, info->server);
	if (m->state != BSC_SESSION_OPEN)
		return;
	memcpy(info->tls, s->tls_version, sizeof info->tls);
	memcpy(info->cipher, s->cipher, sizeof info->cipher);
	info->resumed = s->resumed;
	memcpy(info->node, m->node, sizeof info->node);
	bsc__endpoint_text(&m->tcp_seen, info->tcp_seen);
	bsc__endpoint_text(&m->prober.observed, info->udp_seen);
	info->server_time_ms = m->server_time_ms;
	info->rtt_us = m->rtt_us;
}

void bsc_session_free(struct bsc_session *s)
{
	if (s == NULL)
		return;
	/* The child of a fork shares the sockets: a word from it would end the parent's session. */
	if (bsc__check_process(s) == BS_OK) {
		for (struct bsc_conn *c = s->m.links; c != NULL; c = c->next)
			bsc__link_silence(c, bsc__now());
		bsc__ticket_timeout(&s->m, bsc__now());
		write_udp(s, bsc__now());
		bsc__transport_stop(&s->transport, true);
	} else
		bsc__transport_stop(&s->transport, false);
	bsc__machine_fini(&s->m);
	if (s->udp >= 0)
		(void)close(s->udp);
	bsc__legs_close_all(&s->legs);
	bs_sockets_close_all(&s->further);
	bsc__mapper_stop(s->mapper);
	bs_poller_fini(&s->set);
	bsc__resolver_free(s->resolver);
	bsc__tls_ctx_free(s->ctx);
	bs_openssl_free(s->openssl);
	bs_batch_free(s->batch);
	bs_gcm_free(s->gcm);
	free(s);
}
