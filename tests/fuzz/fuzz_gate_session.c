/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions of the client gate as a sequence of operations: packets, time, results, revocations,
 * clients that vanish or do not read.  TLS, sockets, registry and worker are played here; the gate
 * is the real one.
 */
#include <sys/eventfd.h>
#include <unistd.h>

#include "crypto/openssl.h"
#include "fuzz.h"
#include "net/sockaddr.h"
#include "net/tcp.h"
#include "server/gate_internal.h"
#include "util/endpoint.h"
#include "wire/probe.h"

#define SESSIONS 4
#define DEVICES  3

/** The stage. */
static struct {
	struct bs_worker w;
	struct bs_counters counters;
	struct bs_gate_shared shared;
	struct bs_gate *g;
	struct bs_tls *tls[SESSIONS];
	unsigned n_tls;
	int fd;
	uint32_t next_nsi;
	unsigned nsis;
	uint8_t allowed; /**< bit per device */
	bool revoked, full, blocked;
	struct bs_message asked[8]; /**< newest questions */
	unsigned n_asked;
	const uint8_t *in; /**< what the next read returns */
	size_t in_len;
	bool in_end;
} st;

/* net/ */

struct bs_tls {
	struct bs_tls_io io;
	struct bs_tls_peer peer;
};

uint16_t bs_tcp_rtt_ms(int fd)
{
	(void)fd;
	return 0;
}

struct bs_tls *bs_tls_new(struct bs_tls_server *s, const struct bs_tls_io *io)
{
	struct bs_tls *t = calloc(1, sizeof(*t));

	FUZZ_CHECK(t);
	t->io = *io;
	memcpy(t->peer.identity, "ann", 4);
	t->peer.key_fp[0] = (uint8_t)(st.n_tls++ & 1);
	return t;
}

void bs_tls_free(struct bs_tls *t)
{
	free(t);
}

int bs_tls_handshake(struct bs_tls *t)
{
	return BS_OK;
}

bs_ssize bs_tls_read(struct bs_tls *t, uint8_t *buf, size_t cap)
{
	size_t n = st.in_len < cap ? st.in_len : cap;

	if (st.in_end)
		return BS_ECLOSED;
	if (n == 0)
		return BS_EAGAIN;
	memcpy(buf, st.in, n);
	st.in += n;
	st.in_len -= n;
	return (bs_ssize)n;
}

bs_ssize bs_tls_write(struct bs_tls *t, const uint8_t *buf, size_t len)
{
	FUZZ_CHECK(len > 0);
	return st.blocked ? BS_EAGAIN : (bs_ssize)(len > 1000 ? 1000 : len);
}

void bs_tls_close(struct bs_tls *t)
{
}

bool bs_tls_wants_write(const struct bs_tls *t)
{
	return false;
}

bool bs_tls_is_resumption(const struct bs_tls *t)
{
	return false;
}

bool bs_tls_has_pending(const struct bs_tls *t)
{
	return st.in_len > 0;
}

const struct bs_tls_peer *bs_tls_peer_get(const struct bs_tls *t)
{
	return &t->peer;
}

enum bs_tls_refusal bs_tls_refusal(const struct bs_tls *t)
{
	return BS_TLS_REFUSED_NONE;
}

const char *bs_tls_version(const struct bs_tls *t)
{
	return "";
}

const char *bs_tls_refusal_text(enum bs_tls_refusal r)
{
	return "";
}

const char *bs_tls_id_fault_text(enum bs_tls_id_fault f)
{
	return "";
}

int bs_tls_server_new(struct bs_tls_pem *pem, struct bs_tls_keys *keys,
		      const struct bs_tls_hooks *hooks, size_t cache_n, struct bs_tls_server **out,
		      char *err, size_t err_cap)
{
	static int nobody;

	*out = (struct bs_tls_server *)&nobody;
	return BS_OK;
}

void bs_tls_server_tick(struct bs_tls_server *s)
{
}

void bs_tls_server_free(struct bs_tls_server *s)
{
}

void bs_tls_server_set_keys(struct bs_tls_server *s, struct bs_tls_keys *keys)
{
}

int bs_tls_server_recheck(const struct bs_tls_server *s, const struct bs_tls_peer *peer)
{
	return st.revoked ? BS_EAUTH : BS_OK;
}

const struct bs_tls_stats *bs_tls_server_stats(const struct bs_tls_server *s)
{
	static const struct bs_tls_stats none;

	return &none;
}

struct bs_tls_pem *bs_tls_pem_ref(struct bs_tls_pem *p)
{
	return p;
}

void bs_tls_pem_unref(struct bs_tls_pem *p)
{
}

const uint8_t *bs_tls_pem_epoch(const struct bs_tls_pem *p)
{
	static const uint8_t epoch[BS_TLS_HASH_LEN];

	return epoch;
}

struct bs_tls_keys *bs_tls_keys_new(const uint8_t *raw, size_t n)
{
	(void)raw;
	(void)n;
	return NULL;
}

size_t bs_tls_keys_raw(const struct bs_tls_keys *k,
		       uint8_t raw[static BS_TLS_TICKET_KEYS * BS_TLS_TICKET_KEY_LEN])
{
	(void)k;
	(void)raw;
	return 0;
}

struct bs_tls_keys *bs_tls_keys_ref(struct bs_tls_keys *k)
{
	return k;
}

void bs_tls_keys_unref(struct bs_tls_keys *k)
{
}

bs_ssize bs_tcp_read(int fd, uint8_t *buf, size_t cap)
{
	return BS_EAGAIN;
}

bs_ssize bs_tcp_write(int fd, const uint8_t *buf, size_t len, bool more)
{
	return BS_EAGAIN;
}

int bs_tcp_accept(int listener, struct bs_endpoint *peer)
{
	return BS_EAGAIN;
}

void bs_tcp_close(int fd)
{
}

/* store/ */

static unsigned device_of(struct bs_slice id)
{
	return id.len == 2 && id.ptr[0] == 'd' && id.ptr[1] >= '1' && id.ptr[1] < '1' + DEVICES
		       ? (unsigned)(id.ptr[1] - '0')
		       : 0;
}

int bs_access_check(struct bs_registry_reader *r, const struct bs_presented *who,
		    struct bs_slice device_id, struct bs_access_result *out)
{
	unsigned n = device_of(device_id);

	memset(out, 0, sizeof(*out));
	out->device_number = n;
	out->allow = n > 0 && (st.allowed & (1u << n)) && !st.revoked;
	return BS_OK;
}

int bs_registry_revoked(struct bs_registry_reader *r, const struct bs_presented *who,
			enum bs_revoke_kind *by)
{
	*by = st.revoked ? BS_REVOKE_CLIENT : BS_REVOKE_NONE;
	return BS_OK;
}

int bs_registry_client(struct bs_registry_reader *r, const struct bs_presented *who,
		       struct bs_client *out)
{
	return BS_ENOENT;
}

struct bs_epochs bs_registry_epochs(const struct bs_registry *reg)
{
	return (struct bs_epochs){ 1, 1, 1 };
}

const uint8_t *bs_registry_instance(const struct bs_registry *reg)
{
	return (const uint8_t *)"0123456789abcdef";
}

int bs_registry_server_secret(const struct bs_registry *reg, const char *purpose,
			      uint8_t out[static 32])
{
	memset(out, 0x17, 32);
	return BS_OK;
}

int bs_registry_reader_begin(struct bs_registry_reader *r)
{
	return BS_OK;
}

void bs_registry_reader_end(struct bs_registry_reader *r)
{
}

bs_ssize bs_registry_device_list(struct bs_registry_reader *r, const struct bs_device_filter *f,
				 struct bs_list_pos *pos, struct bs_device *out, size_t cap,
				 bool *end)
{
	size_t n = 0;

	if (pos->len > 1 || pos->b[0] > DEVICES)
		return BS_EINVAL;
	while (n < cap && pos->b[0] < DEVICES) {
		memset(&out[n], 0, sizeof(out[n]));
		out[n].number = ++pos->b[0];
		pos->len = 1;
		out[n].id[0] = 'd';
		out[n].id[1] = (char)('0' + pos->b[0]);
		out[n].id_len = 2;
		n++;
	}
	*end = pos->b[0] == DEVICES;
	return (bs_ssize)n;
}

/* Main's part of the gate is linked and never called. */

int bs_tls_pem_new(const struct bs_tls_material *m, struct bs_tls_pem **out, char *err, size_t cap)
{
	return BS_ECONF;
}

uint64_t bs_tls_pem_crl_expiry(const struct bs_tls_pem *p)
{
	return 0;
}

uint64_t bs_tls_pem_cert_expiry(const struct bs_tls_pem *p)
{
	return 0;
}

size_t bs_tls_pem_n_cas(const struct bs_tls_pem *p)
{
	return 0;
}

int bs_tls_keys_rotate(const struct bs_tls_keys *old, struct bs_tls_keys **out)
{
	return BS_ERANDOM;
}

/* A leg needs descriptors of its own, which this target has none of. */
int bs_tcp_pair(int fd[2])
{
	fd[0] = fd[1] = -1;
	return BS_EFULL;
}

int bs_tcp_listen(const struct bs_endpoint *ep, int backlog)
{
	return BS_EIO;
}

void bs_tcp_await_bytes(int listener)
{
}

int bs_tcp_probe_free(const struct bs_endpoint *ep)
{
	return BS_EIO;
}

int bs_tcp_local(int fd, struct bs_endpoint *ep)
{
	bs_endpoint_set_ip4(ep, 0x7F000001, 5571);
	return BS_OK;
}

void bs_tcp_no_delay(int fd)
{
}

bool bs_tcp_is_readable(int fd)
{
	return false;
}

const char *bs_listen_remedy(int err)
{
	return "";
}

int bs_registry_reader_new(struct bs_registry *reg, struct bs_registry_reader **out)
{
	return BS_EFULL;
}

void bs_registry_reader_free(struct bs_registry_reader *r)
{
}

bs_ssize bs_registry_ca_list(struct bs_registry_reader *r, struct bs_list_pos *pos,
			     struct bs_ca *out, size_t cap, bool *end)
{
	return BS_EIO;
}

const struct bs_conf *bs_conf_ref(const struct bs_conf *conf)
{
	return conf;
}

void bs_conf_unref(const struct bs_conf *conf)
{
}

/* server/worker */

unsigned bs_worker_owner(const struct bs_worker *w, uint32_t number)
{
	return number % w->n_workers;
}

unsigned bs_worker_of_nsi(const struct bs_worker *w, uint32_t nsi)
{
	return (nsi >> 24) % w->n_workers;
}

int bs_worker_send(struct bs_worker *w, unsigned to, struct bs_message *m)
{
	if (st.full)
		return BS_EFULL;
	if (m->kind == BS_MSG_CONNECT || (m->kind == BS_MSG_WATCH && m->u.watch.op == BS_WATCH_ASK))
		st.asked[st.n_asked++ % 8] = *m;
	return BS_OK;
}

uint32_t bs_worker_probe_nsi_take(struct bs_worker *w)
{
	if (st.full)
		return 0;
	st.nsis++;
	return st.next_nsi++;
}

void bs_worker_probe_nsi_give(struct bs_worker *w, uint32_t nsi)
{
	FUZZ_CHECK(st.nsis-- > 0);
}

void bs_worker_udp_reply(struct bs_worker *w, unsigned socket, const struct bs_endpoint *local,
			 const struct bs_endpoint *peer, const uint8_t *data, size_t len)
{
	FUZZ_CHECK(len <= BS_PROBE_ANSWER_MAX);
}

int bs_worker_socket_find(const struct bs_worker *w, enum bs_socket_role role,
			  const struct bs_endpoint *like, int not_socket)
{
	return -1;
}

struct bs_endpoint bs_worker_public(const struct bs_worker *w, enum bs_socket_role role,
				    const struct bs_endpoint *local)
{
	struct bs_endpoint ep = *local;

	ep.port = (uint16_t)(5000 + role);
	return ep;
}

bool bs_worker_device_id(struct bs_worker *w, uint32_t number, char id[BS_DEVICE_ID_MAX + 1])
{
	id[0] = 'd';
	id[1] = (char)('0' + number);
	id[2] = '\0';
	return number > 0 && number <= DEVICES;
}

static int same_bytes(void *ctx, uint8_t *buf, size_t len)
{
	memset(buf, 0x42, len);
	return BS_OK;
}

/* The play. */

/* What the server computes with, but for chance: tickets need keys that are derived. */
static struct bs_crypto crypto;

static void prepare_crypto(void)
{
	static struct bs_openssl *ssl;

	if (ssl)
		return;
	ssl = bs_openssl_new();
	FUZZ_CHECK(ssl);
	crypto = *bs_openssl_crypto(ssl);
	crypto.random = same_bytes;
}

static void begin(void)
{
	struct bs_conf *conf = calloc(1, sizeof(*conf));

	FUZZ_CHECK(conf);
	prepare_crypto();
	memset(&st, 0, sizeof(st));
	conf->max_clients = SESSIONS;
	conf->max_connections = 4;
	conf->connections_per_client = 3;
	conf->handshake_rate = 1000;
	conf->handshakes_per_turn = 8;
	conf->hello_timeout = BS_TIME_MS(5000);
	conf->client_keepalive = BS_TIME_MS(30000);
	conf->probe_wait = BS_TIME_MS(100);
	conf->connect_timeout = BS_TIME_MS(4500);
	conf->node_name = "n";
	st.w.conf = conf;
	st.w.n_workers = 1;
	st.w.now = BS_TIME_MS(1000000);
	st.w.unix_ms = UINT64_C(1767323045000);
	st.w.counters = &st.counters;
	st.w.crypto = &crypto;
	st.w.loop = ev_loop_new(EVBACKEND_SELECT);
	st.fd = eventfd(0, EFD_CLOEXEC);
	st.next_nsi = 1u << 20;
	st.allowed = 0x0E;
	st.shared.port = 5571;
	/* Never looked into: any address will do. */
	st.shared.pem = (struct bs_tls_pem *)&st.fd;
	pthread_mutex_init(&st.shared.lock, NULL);
	atomic_init(&st.shared.generation, 1);
	st.g = bs_gate_ops()->new (&st.w, &st.shared);
	FUZZ_CHECK(st.g);
}

static void finish(void)
{
	bs_gate_ops()->free(st.g);
	FUZZ_CHECK(st.nsis == 0);
	ev_loop_destroy(st.w.loop);
	close(st.fd);
	pthread_mutex_destroy(&st.shared.lock);
	free((void *)st.w.conf);
}

static void open_session(void)
{
	struct bs_endpoint ep;
	struct bs_session *s;

	bs_endpoint_set_ip4(&ep, 0x7F000001, 1000);
	s = bs__session_new(st.g, st.fd, 0, &ep);
	if (!s)
		return;
	ev_invoke(st.w.loop, &s->io, EV_READ);
	bs__session_work(st.g);
}

/** Give bytes to a session that is up. */
static void deliver(uint8_t which, const uint8_t *data, size_t len)
{
	struct bs_session *s = &st.g->session[which % SESSIONS];

	if (s->state != BS_SESSION_HELLO && s->state != BS_SESSION_OPEN)
		return;
	st.in = data;
	st.in_len = len;
	for (int i = 0; i < 8 && st.in_len > 0; i++) {
		ev_invoke(st.w.loop, &s->io, EV_READ);
		bs__session_work(st.g);
	}
	st.in_len = 0;
}

/** Bytes as the payload list of a packet with a right header. */
static void deliver_packet(uint8_t which, uint8_t type, const uint8_t *data, size_t len)
{
	uint8_t pkt[16 + 512];
	const struct bs_header h = { .nsi_cp = 1,
				     .nsi_sp = 0x02000000u + (which >> 4),
				     .type = type,
				     .version = BS_WIRE_VERSION,
				     .seq = which };
	struct bs_writer w;

	bs_packet_begin(&w, pkt, sizeof(pkt), &h);
	bs_writer_put_bytes(&w, data, len);
	if (bs_packet_finish(&w) > 0)
		deliver(which, pkt, w.len);
}

static void answer(uint8_t how)
{
	const struct bs_message *q = &st.asked[how % 8];
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.ref = q->ref;
	m.number = q->number;
	if (q->kind == BS_MSG_CONNECT) {
		m.kind = BS_MSG_CONNECT_RESULT;
		m.u.result.status = how & 0x80 ? BS_ST_NOT_ATTACHED : BS_ST_OK;
		m.u.result.suite = BS_SUITE_AES_CBC;
		m.u.result.nsi = 0x02000000u + (how & 7);
	} else if (q->kind == BS_MSG_WATCH) {
		m.kind = BS_MSG_PRESENCE;
		m.u.presence.n = q->u.watch.n;
		for (unsigned i = 0; i < q->u.watch.n && i < BS_MSG_PRESENCE_MAX; i++)
			m.u.presence.p[i].number = q->u.watch.number[i];
	} else {
		return;
	}
	bs_gate_ops()->message(st.g, &m);
}

static void inform(uint8_t what)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	switch (what & 3) {
	case 0:
		m.kind = BS_MSG_PRESENCE;
		m.u.presence.change = true;
		m.u.presence.n = 1;
		m.u.presence.p[0].number = 1 + (what >> 2) % DEVICES;
		break;
	case 1:
		m.kind = BS_MSG_CONN_CLOSED;
		m.u.conn.nsi = 0x02000000u + ((what >> 2) & 7);
		m.u.conn.status = what & 0x80 ? 0 : BS_ST_CLOSED;
		m.ref = what >> 5;
		break;
	default:
		m.kind = BS_MSG_REVOKE;
		st.revoked = what == 0xFF;
		st.allowed = what;
		break;
	}
	bs_gate_ops()->message(st.g, &m);
}

static void pass(uint8_t ms)
{
	st.w.now += BS_TIME_MS(ms) * 8;
	st.w.unix_ms += ms * 8u;
	bs_gate_ops()->tick(st.g, st.w.now);
}

/** The client is gone: the next read says so. */
static void vanish(uint8_t which)
{
	struct bs_session *s = &st.g->session[which % SESSIONS];

	if (s->state != BS_SESSION_HELLO && s->state != BS_SESSION_OPEN)
		return;
	st.in_end = true;
	ev_invoke(st.w.loop, &s->io, EV_READ);
	st.in_end = false;
}

static void invariants(void)
{
	uint32_t live = 0;
	size_t conns = 0;

	for (uint32_t i = 0; i < st.g->fresh; i++) {
		const struct bs_session *s = &st.g->session[i];

		live += s->state != 0;
		for (const struct bs_gate_conn *c = s->conns; c; c = c->next)
			conns++;
		FUZZ_CHECK(s->state == 0 || s->gate == st.g);
		FUZZ_CHECK(s->out_len <= BS_GATE_OUT_MAX && s->in_len < BS_GATE_PACKET_MAX);
		FUZZ_CHECK(s->state != BS_SESSION_GHOST || s->conns);
	}
	FUZZ_CHECK(live == st.g->live && conns == st.g->conns.used);
	FUZZ_CHECK(st.g->conn_map.used == conns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	begin();
	open_session();
	while (len >= 3) {
		uint8_t op = data[0], a = data[1], b = data[2];
		size_t n;

		data += 3;
		len -= 3;
		n = b < len ? b : len;
		switch (op % 10) {
		case 0: open_session(); break;
		case 1:
			deliver(a, data, n);
			data += n;
			len -= n;
			break;
		case 2:
		case 3:
			deliver_packet(a, (uint8_t)(op < 128 ? 64 + (op >> 4) : BS_TYPE_PING), data,
				       n);
			data += n;
			len -= n;
			break;
		case 4: pass(a); break;
		case 5: answer(a); break;
		case 6: inform(a); break;
		case 7: st.full = a & 1; break;
		case 8: st.blocked = a & 1; break;
		default: vanish(a); break;
		}
		invariants();
	}
	finish();
	return 0;
}
