/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <check.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/probe.h"
#include "util/endpoint.h"

/* The worker's functions that the gate calls. */

static struct fake *of(const struct bs_worker *w)
{
	return (struct fake *)w;
}

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
	struct fake *f = of(w);

	if (f->full)
		return BS_EFULL;
	ck_assert_uint_lt(f->n_sent, FAKE_SENT);
	f->to[f->n_sent] = to;
	f->sent[f->n_sent++] = *m;
	return BS_OK;
}

uint32_t bs_worker_probe_nsi_take(struct bs_worker *w)
{
	struct fake *f = of(w);

	if (f->no_probe)
		return 0;
	f->nsis++;
	return f->next_nsi++;
}

void bs_worker_probe_nsi_give(struct bs_worker *w, uint32_t nsi)
{
	of(w)->nsis--;
}

void bs_worker_udp_reply(struct bs_worker *w, unsigned socket, const struct bs_endpoint *local,
			 const struct bs_endpoint *peer, const uint8_t *data, size_t len)
{
	struct fake *f = of(w);

	f->udp.socket = socket;
	f->udp.local = *local;
	f->udp.peer = *peer;
	f->udp.len = len;
	ck_assert_uint_le(len, sizeof(f->udp.data));
	memcpy(f->udp.data, data, len);
	f->n_udp++;
}

int bs_worker_socket_find(const struct bs_worker *w, enum bs_socket_role role,
			  const struct bs_endpoint *like, int not_socket)
{
	for (unsigned i = 0; i < w->n_sockets; i++)
		if ((w->socket[i].roles & role) && (int)i != not_socket &&
		    bs_endpoint_is_ip4(&w->socket[i].ep) == bs_endpoint_is_ip4(like))
			return (int)i;
	return -1;
}

struct bs_endpoint bs_worker_public(const struct bs_worker *w, enum bs_socket_role role,
				    const struct bs_endpoint *local)
{
	struct bs_endpoint ep = *local;
	int i = bs_worker_socket_find(w, role, local, -1);

	if (i < 0)
		memset(&ep, 0, sizeof(ep));
	else
		ep.port = w->socket[i].ep.port;
	return ep;
}

bool bs_worker_device_id(struct bs_worker *w, uint32_t number, char id[BS_DEVICE_ID_MAX + 1])
{
	struct bs_device d;

	if (bs_registry_device_by_number(w->reader, number, &d) != BS_OK)
		return false;
	memcpy(id, d.id, sizeof(d.id));
	bs_device_wipe(&d);
	return true;
}

/* The fake itself. */

static void put_file(const struct fake *f, const char *name, char *text)
{
	char path[128];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	out = fopen(path, "w");
	ck_assert_ptr_nonnull(out);
	fputs(text, out);
	fclose(out);
	free(text);
}

static const struct bs_conf *load_conf(const struct fake *f, const char *extra)
{
	struct bs_conf_error e;
	const struct bs_conf *conf = NULL;
	char text[2048];
	int n = snprintf(text, sizeof(text),
			 "listen = {\"127.0.0.1\", \"::1\"}\nclient-port = 0\ngateway-port = 0\n"
			 "server-certificate = \"%s/server.crt\"\nserver-key = \"%s/server.key\"\n"
			 "client-ca = \"%s/ca.crt\"\nmax-clients = 40\nnode-name = \"base.test\"\n"
			 "%s",
			 f->dir, f->dir, f->dir, extra ? extra : "");

	ck_assert_msg(bs_conf_load_text("test", text, (size_t)n, &conf, &e) == BS_OK, "%s", e.text);
	return conf;
}

static void put_socket(struct fake *f, unsigned i, uint8_t role, bool ip4, uint16_t port)
{
	struct bs_worker_socket *s = &f->w.socket[i];

	s->fd = -1;
	s->roles = role;
	memset(&s->ep, 0, sizeof(s->ep));
	if (ip4)
		bs_endpoint_set_ip4(&s->ep, 0x7F000001, port);
	else
		s->ep.ip[15] = 1;
	s->ep.port = port;
}

static void init_worker(struct fake *f, const char *extra)
{
	f->w.n_workers = 3;
	f->w.index = 1;
	f->w.loop = ev_loop_new(EVFLAG_AUTO);
	f->w.now = BS_TIME_MS(1000000);
	f->w.unix_ms = PKI_NOW * 1000;
	f->w.conf = load_conf(f, extra);
	f->w.registry = f->box.reg;
	f->w.reader = f->box.r;
	f->w.crypto = bs_openssl_crypto(f->ossl);
	f->w.counters = &f->counters;
	put_socket(f, 0, BS_SOCKET_CONTROLLER, true, 5566);
	put_socket(f, 1, BS_SOCKET_ATTACH, true, 5562);
	put_socket(f, 2, BS_SOCKET_CONTROLLER, false, 5566);
	put_socket(f, 3, BS_SOCKET_ATTACH, false, 5562);
	f->w.n_sockets = 4;
}

struct fake *fake_new(const char *extra)
{
	struct fake *f = calloc(1, sizeof(*f));

	ck_assert_ptr_nonnull(f);
	f->pki = pki_new_today();
	f->ossl = bs_openssl_new();
	f->next_nsi = 0x01100000;
	box_init(&f->box);
	box_open(&f->box);
	snprintf(f->dir, sizeof(f->dir), "%s", f->box.root);
	put_file(f, "server.crt", pki_pem_cert(f->pki->server));
	put_file(f, "server.key", pki_pem_key(f->pki->server_key));
	put_file(f, "ca.crt", pki_pem_cert(f->pki->ca));
	ck_assert_int_eq(box_add(&f->box, "cam1.test", 1, NULL).status, BS_OK);
	ck_assert_int_eq(box_add(&f->box, "cam2.test", 2, NULL).status, BS_OK);
	init_worker(f, extra);
	f->ops = bs_gate_ops();
	ck_assert_int_eq(f->ops->bind(f->w.conf, f->box.reg, f->w.n_workers, NULL, &f->shared),
			 BS_OK);
	f->g = f->ops->new (&f->w, f->shared);
	ck_assert_ptr_nonnull(f->g);
	/* Only this worker's sockets may take connections: the others have no gate. */
	struct bs_gate_shared *sh = f->shared;

	for (unsigned i = 0; i < sh->n_workers * sh->n_listen; i++) {
		if (i / sh->n_listen == f->w.index)
			continue;
		close(sh->fd[i]);
		sh->fd[i] = -1;
	}
	return f;
}

void fake_free(struct fake *f)
{
	f->ops->free(f->g);
	f->ops->unbind(f->shared);
	ck_assert_uint_eq(f->nsis, 0);
	bs_conf_unref(f->w.conf);
	ev_loop_destroy(f->w.loop);
	box_close(&f->box);
	box_fini(&f->box);
	bs_openssl_free(f->ossl);
	pki_free(f->pki);
	free(f);
}

void fake_loop(struct fake *f)
{
	(void)f->ops->turn(f->g);
	ev_run(f->w.loop, EVRUN_NOWAIT);
}

void fake_turn(struct fake *f)
{
	fake_loop(f);
	f->ops->tick(f->g, f->w.now);
}

void fake_pass(struct fake *f, uint32_t ms)
{
	f->w.now += BS_TIME_MS(ms);
	f->w.unix_ms += ms;
	for (int i = 0; i < 3; i++)
		fake_turn(f);
}

int fake_reload(struct fake *f, const char *extra)
{
	const struct bs_conf *old = f->w.conf;
	int err;

	f->w.conf = load_conf(f, extra);
	err = f->ops->reload(f->shared, f->w.conf);
	f->ops->conf_changed(f->g);
	bs_conf_unref(old);
	fake_turn(f);
	return err;
}

uint64_t fake_count(const struct fake *f, enum bs_counter c)
{
	return bs_count_get(&f->counters, c);
}

struct bs_message *fake_sent(struct fake *f, enum bs_msg_kind kind)
{
	for (size_t i = f->n_sent; i > 0; i--)
		if (f->sent[i - 1].kind == kind)
			return &f->sent[i - 1];
	return NULL;
}

size_t fake_n_sent(const struct fake *f, enum bs_msg_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_sent; i++)
		n += f->sent[i].kind == kind;
	return n;
}

void fake_forget(struct fake *f)
{
	f->n_sent = 0;
}

void fake_accept(struct fake *f, const struct bs_message *connect, uint32_t nsi)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_CONNECT_RESULT;
	m.number = connect->number;
	m.ref = connect->ref;
	m.u.result.attempt = connect->u.connect.attempt;
	m.u.result.status = BS_ST_OK;
	m.u.result.nsi = nsi;
	m.u.result.nsi_cp = 0x12345678;
	m.u.result.suite = BS_SUITE_AES_CBC;
	m.u.result.ext = BS_EXT_CLOSE;
	bs_endpoint_set_ip4(&m.u.result.priv, 0x0A000005, 4000);
	bs_endpoint_set_ip4(&m.u.result.global, 0xCB007107, 5000);
	memset(m.u.result.block.b, 0xD5, sizeof(m.u.result.block.b));
	f->ops->message(f->g, &m);
	/* The slot is wiped by whoever used the key. */
	ck_assert_uint_eq(m.u.result.block.b[0], 0);
}

void fake_refuse(struct fake *f, const struct bs_message *connect, uint16_t status, uint8_t reason)
{
	struct bs_message m;

	memset(&m, 0, sizeof(m));
	m.kind = BS_MSG_CONNECT_RESULT;
	m.number = connect->number;
	m.ref = connect->ref;
	m.u.result.status = status;
	m.u.result.reason = reason;
	f->ops->message(f->g, &m);
}

void fake_presence(struct fake *f, uint8_t state)
{
	for (size_t i = 0; i < f->n_sent; i++) {
		const struct bs_message *q = &f->sent[i];
		struct bs_message m;

		if (q->kind != BS_MSG_WATCH || q->u.watch.op != BS_WATCH_ASK)
			continue;
		memset(&m, 0, sizeof(m));
		m.kind = BS_MSG_PRESENCE;
		m.ref = q->ref;
		for (unsigned k = 0; k < q->u.watch.n; k++) {
			struct bs_msg_presence_row *r = &m.u.presence.p[m.u.presence.n++];

			r->number = q->u.watch.number[k];
			r->state = state;
			r->event = 100 + r->number;
			r->since_ms = PKI_NOW * 1000;
		}
		f->ops->message(f->g, &m);
	}
	fake_forget(f);
}

uint32_t fake_allow(struct fake *f, const char *who, const char *which)
{
	struct bs_store_result r =
		box_rule(&f->box, true, BS_WHO_IDENTITY, who, NULL, BS_WHICH_PATTERN, which, 0);

	ck_assert_int_eq(r.status, BS_OK);
	return r.number;
}

uint32_t fake_number(struct fake *f, const char *id)
{
	struct bs_device d;

	ck_assert_int_eq(bs_registry_device(f->w.reader, box_text(id), &d), BS_OK);
	bs_device_wipe(&d);
	return d.number;
}

/* Clients. */

static int keep_ticket(SSL *ssl, SSL_SESSION *s)
{
	struct dude *d = SSL_get_app_data(ssl);

	SSL_SESSION_free(d->ticket);
	d->ticket = s;
	return 1;
}

int fake_tcp(struct fake *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_port = htons(f->ops->port(f->shared));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

int fake_knock(struct fake *f)
{
	int fd = fake_tcp(f);

	ck_assert_int_eq(write(fd, "\x16", 1), 1);
	return fd;
}

/** Until the kernel has handed everything to the other end: on a busy machine not at once. */
static void settle(const struct dude *d)
{
	int left = 1;

	for (int i = 0; i < 2000 && left > 0; i++) {
		ck_assert_int_eq(ioctl(d->fd, SIOCOUTQ, &left), 0);
		if (left > 0)
			(void)poll(NULL, 0, 1);
	}
}

bool dude_dial(struct dude *d, struct fake *f, X509 *cert, EVP_PKEY *key)
{
	static const unsigned char alpn[] = "\x0d"
					    "basestation/1";
	SSL_SESSION *resume = d->ticket;

	memset(d, 0, sizeof(*d));
	d->f = f;
	d->cp = 0xC0FFEE01;
	d->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(d->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(d->ctx, keep_ticket);
	if (cert) {
		ck_assert_int_eq(SSL_CTX_use_certificate(d->ctx, cert), 1);
		ck_assert_int_eq(SSL_CTX_use_PrivateKey(d->ctx, key), 1);
	}
	d->ssl = SSL_new(d->ctx);
	SSL_set_app_data(d->ssl, d);
	SSL_set_alpn_protos(d->ssl, alpn, sizeof(alpn) - 1);
	if (resume)
		SSL_set_session(d->ssl, resume);
	SSL_SESSION_free(resume);
	d->fd = fake_tcp(f);
	SSL_set_fd(d->ssl, d->fd);
	for (int i = 0; i < 200; i++) {
		ERR_clear_error();
		int ret = SSL_connect(d->ssl);

		settle(d);
		fake_turn(f);
		if (ret == 1)
			break;
		if (i > 20)
			(void)poll(&(struct pollfd){ d->fd, POLLIN, 0 }, 1, 5);
	}
	settle(d);
	for (int i = 0; i < 5; i++)
		fake_turn(f);
	return SSL_is_init_finished(d->ssl);
}

void dude_send(struct dude *d, const void *data, size_t len)
{
	ERR_clear_error();
	ck_assert_int_eq(SSL_write(d->ssl, data, (int)len), (int)len);
	settle(d);
	for (int i = 0; i < 3; i++)
		fake_turn(d->f);
}

/** Read what is there; false at the end. */
static bool pump(struct dude *d)
{
	ERR_clear_error();
	int n = SSL_read(d->ssl, d->rx + d->have, (int)(sizeof(d->rx) - d->have));

	if (n > 0) {
		d->have += (size_t)n;
		return true;
	}
	return SSL_get_error(d->ssl, n) == SSL_ERROR_WANT_READ;
}

bool dude_next(struct dude *d, struct bs_packet *p)
{
	for (int i = 0; i < 50; i++) {
		bs_ssize len = bs_gate_frame_len(d->rx, d->have);

		ck_assert(len > 0 || len == BS_EAGAIN);
		if (len > 0 && (size_t)len <= d->have) {
			memcpy(d->last, d->rx, (size_t)len);
			d->have -= (size_t)len;
			memmove(d->rx, d->rx + len, d->have);
			ck_assert_int_eq(bs_packet_decode(d->last, (size_t)len, p), BS_OK);
			return true;
		}
		fake_turn(d->f);
		if (!pump(d))
			return false;
		/* The last look waits a moment for what may be under way in the kernel. */
		if (i == 40)
			(void)poll(&(struct pollfd){ d->fd, POLLIN, 0 }, 1, 30);
	}
	return false;
}

bool dude_ended(struct dude *d)
{
	struct bs_packet p;

	while (dude_next(d, &p))
		;
	return !pump(d);
}

void dude_close(struct dude *d)
{
	SSL_free(d->ssl);
	SSL_CTX_free(d->ctx);
	SSL_SESSION_free(d->ticket);
	d->ticket = NULL;
	close(d->fd);
	(void)poll(NULL, 0, 1);
	for (int i = 0; d->f && i < 3; i++)
		fake_turn(d->f);
}

static struct bs_gate_head head_of(struct dude *d)
{
	return (struct bs_gate_head){ d->cp, 0, ++d->seq };
}

void dude_hello(struct dude *d)
{
	uint8_t buf[256];
	struct bs_gate_hello m;

	memset(&m, 0, sizeof(m));
	m.h = head_of(d);
	m.version.kind = 1;
	m.params.has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) | BS_PARAM_BIT(BS_PARAM_VERSIONS);
	m.params.keepalive_s = 20;
	m.params.version_min = m.params.version_max = 1;
	bs_ssize n = bs_gate_hello_encode(&m, buf, sizeof(buf));

	ck_assert_int_gt(n, 0);
	dude_send(d, buf, (size_t)n);
}

void dude_open(struct dude *d, struct fake *f)
{
	struct bs_packet p;

	ck_assert(dude_dial(d, f, f->pki->client, f->pki->client_key));
	dude_hello(d);
	ck_assert(dude_next(d, &p));
	memcpy(d->hello_buf, d->last, p.len);
	ck_assert_int_eq(bs_packet_decode(d->hello_buf, p.len, &p), BS_OK);
	ck_assert_int_eq(bs_gate_hello_answer_decode(&p, &d->hello), BS_OK);
	ck_assert_uint_eq(d->hello.status.code, BS_ST_OK);
}

void dude_connect(struct dude *d, const char *id, const char *attempt)
{
	uint8_t buf[512];
	struct bs_gate_connect m;

	memset(&m, 0, sizeof(m));
	m.h = head_of(d);
	m.device = box_text(id);
	memcpy(m.attempt, attempt, sizeof(m.attempt));
	m.n_hosts = 1;
	m.hosts[0].kind = BS_EP6_HOST;
	bs_endpoint_set_ip4(&m.hosts[0].ep, 0xC0A80009, 6000);
	bs_ssize n = bs_gate_connect_encode(&m, buf, sizeof(buf));

	ck_assert_int_gt(n, 0);
	dude_send(d, buf, (size_t)n);
}

void dude_disconnect(struct dude *d, uint32_t nsi)
{
	uint8_t buf[64];
	struct bs_gate_disconnect m;

	memset(&m, 0, sizeof(m));
	m.h = head_of(d);
	m.h.sp = nsi;
	bs_ssize n = bs_gate_disconnect_encode(&m, buf, sizeof(buf));

	ck_assert_int_gt(n, 0);
	dude_send(d, buf, (size_t)n);
}

void dude_list(struct dude *d, struct bs_slice cursor)
{
	uint8_t buf[256];
	const struct bs_gate_list m = { head_of(d), cursor };
	bs_ssize n = bs_gate_list_encode(&m, buf, sizeof(buf));

	ck_assert_int_gt(n, 0);
	dude_send(d, buf, (size_t)n);
}

void dude_watch(struct dude *d, const char *const *ids, size_t n, uint16_t params, uint64_t since)
{
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_gate_watch m;

	memset(&m, 0, sizeof(m));
	m.h = head_of(d);
	m.n_ids = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		m.ids[i] = box_text(ids[i]);
	m.params.has = params;
	m.params.since = since;
	bs_ssize len = bs_gate_watch_encode(&m, buf, sizeof(buf));

	ck_assert_int_gt(len, 0);
	dude_send(d, buf, (size_t)len);
}

uint16_t dude_status(struct dude *d, uint8_t type)
{
	struct bs_status_text st;
	struct bs_payload pl;
	struct bs_packet p;

	ck_assert_msg(dude_next(d, &p), "no packet of type %u", type);
	ck_assert_uint_eq(p.h.type, type);
	ck_assert(bs_payload_find(&p, BS_PL_STATUS, &pl));
	ck_assert_int_eq(bs_status_get(&pl, &st), BS_OK);
	return st.code;
}

void dude_probe(struct dude *d, unsigned socket, uint32_t counter, uint8_t ask, uint32_t ip4,
		uint16_t port)
{
	const struct bs_probe probe = { d->cp, d->hello.h.sp, (uint16_t)counter, 0, ask, counter };
	struct bs_endpoint from;
	struct bs_packet p;
	uint8_t buf[BS_PROBE_LEN];

	bs_endpoint_set_ip4(&from, ip4, port);
	ck_assert_int_eq(bs_probe_seal(d->f->w.crypto, d->hello.token, &probe, buf), BS_PROBE_LEN);
	ck_assert_int_eq(bs_packet_decode(buf, sizeof(buf), &p), BS_OK);
	d->f->ops->probe(d->f->g, &p, &from, socket, &d->f->w.socket[socket].ep);
	fake_turn(d->f);
}
