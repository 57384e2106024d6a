/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gate_shared.c - main's part of the client gate: listening sockets, certificates, ticket keys.
 */
#include "server/gate_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "basestation/wire.h"
#include "net/sockaddr.h"
#include "net/tcp.h"
#include "server/handover.h"

/** Largest certificate, key or CRL file. */
#define FILE_MAX (4u << 20)
/** CA certificates taken from the registry. */
#define REGISTRY_CAS_MAX 256u
/** Connections that may wait in one listener's queue. */
#define BACKLOG 1024
/** Warn so long before a certificate or CRL expires, seconds. */
#define EXPIRY_NOTICE_S (14u * 86400u)

/** Files and CAs read for one snapshot. */
struct sources {
	char *cert, *key, *cert2, *key2, *ca, *crl;
	struct bs_slice der[REGISTRY_CAS_MAX]; /**< heap copies */
	size_t n_der;
};

static void sources_free(struct sources *s)
{
	char *text[] = { s->cert, s->key, s->cert2, s->key2, s->ca, s->crl };

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		if (text[i])
			bs_wipe(text[i], strlen(text[i]));
		free(text[i]);
	}
	for (size_t i = 0; i < s->n_der; i++)
		free((void *)s->der[i].ptr);
}

static int read_all(FILE *f, char **out, const char **why)
{
	size_t cap = 16384, len = 0;
	char *p = malloc(cap + 1);

	while (p) {
		len += fread(p + len, 1, cap - len, f);
		if (len < cap || cap >= FILE_MAX)
			break;
		cap *= 2;
		char *q = realloc(p, cap + 1);

		if (!q)
			bs_wipe(p, len);
		if (!q)
			free(p);
		p = q;
	}
	if (!p) {
		*why = "no memory";
		return BS_ENOMEM;
	}
	p[len] = '\0';
	if (ferror(f) || len >= FILE_MAX || strlen(p) != len) {
		*why = ferror(f)         ? "reading failed"
		       : len >= FILE_MAX ? "the file is larger than 4 MiB"
					 : "the file is not PEM text";
		bs_wipe(p, len);
		free(p);
		return BS_ECONF;
	}
	*out = p;
	return BS_OK;
}

/** Read one file of the conf; NULL path = nothing to read. */
static int read_file(const char *key, const char *path, char **out)
{
	const char *why = NULL;
	FILE *f;
	int err;

	if (!path)
		return BS_OK;
	f = fopen(path, "re");
	if (!f) {
		int e = errno;

		bs_log_error("gate, cannot open %s %s (%s)", key, path, strerror(e));
		return e == EACCES ? BS_EPERM : BS_ECONF;
	}
	/* Buffered reading would leave a copy of a private key in stdio's memory. */
	(void)setvbuf(f, NULL, _IONBF, 0);
	err = read_all(f, out, &why);
	fclose(f);
	if (err != BS_OK)
		bs_log_error("gate, cannot use %s %s (%s)", key, path, why);
	return err;
}

/** Client CAs that live in the registry, copied out of its snapshot. */
static int read_registry(struct bs_registry *reg, struct sources *s)
{
	struct bs_registry_reader *r = NULL;
	struct bs_list_pos pos = { 0 };
	bool end = false;
	int err;

	if (!reg)
		return BS_OK;
	err = bs_registry_reader_new(reg, &r);
	if (err != BS_OK)
		return err;
	err = bs_registry_reader_begin(r);
	while (err == BS_OK && !end) {
		struct bs_ca ca;
		bs_ssize n = bs_registry_ca_list(r, &pos, &ca, 1, &end);

		if (n < 0)
			err = (int)n;
		if (n < 1 || !(ca.roles & BS_CA_CLIENT))
			continue;
		uint8_t *der = s->n_der < REGISTRY_CAS_MAX ? malloc(ca.der.len) : NULL;

		if (!der) {
			err = s->n_der < REGISTRY_CAS_MAX ? BS_ENOMEM : BS_EFULL;
			break;
		}
		memcpy(der, ca.der.ptr, ca.der.len);
		s->der[s->n_der++] = (struct bs_slice){ der, ca.der.len };
	}
	bs_registry_reader_end(r);
	bs_registry_reader_free(r);
	if (err != BS_OK)
		bs_log_error("gate, cannot read the client CAs of the registry (%s)",
			     bs_strerror(err));
	return err;
}

static int read_sources(const struct bs_conf *conf, struct bs_registry *reg, struct sources *s)
{
	const struct {
		const char *key;
		const char *path;
		char **out;
	} rows[] = {
		{ "server-certificate", conf->server_certificate, &s->cert },
		{ "server-key", conf->server_key, &s->key },
		{ "server-certificate-ecdsa", conf->server_certificate_ecdsa, &s->cert2 },
		{ "server-key-ecdsa", conf->server_key_ecdsa, &s->key2 },
		{ "client-ca", conf->client_ca, &s->ca },
		{ "client-crl", conf->client_crl, &s->crl },
	};

	if (!conf->server_certificate || !conf->server_key) {
		bs_log_error("gate, server-certificate and server-key must both be set");
		return BS_ECONF;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = read_file(rows[i].key, rows[i].path, rows[i].out);

		if (err != BS_OK)
			return err;
	}
	return read_registry(reg, s);
}

static struct bs_slice text_of(const char *p)
{
	return (struct bs_slice){ (const uint8_t *)p, p ? strlen(p) : 0 };
}

/** What an operator should know before clients notice. */
static void warn_about(const struct bs_tls_pem *pem)
{
	time_t t = time(NULL);
	uint64_t now_s = t > 0 ? (uint64_t)t : 0;
	uint64_t cert = bs_tls_pem_cert_expiry(pem);
	uint64_t crl = bs_tls_pem_crl_expiry(pem);

	if (bs_tls_pem_n_cas(pem) == 0)
		bs_log_warning("gate, there is no client CA: no client can connect (set client-ca "
			       "or run bsctl ca)");
	if (cert < now_s)
		bs_log_error("gate, the server certificate has expired: clients will refuse it");
	else if (cert - now_s < EXPIRY_NOTICE_S)
		bs_log_warning("gate, the server certificate expires in %llu hours",
			       (unsigned long long)(cert - now_s) / 3600);
	if (crl > 0 && crl < now_s)
		bs_log_warning("gate, a client CRL is past its next update: it stays in force, but "
			       "newer revocations are missing");
}

static int make_pem(const struct bs_conf *conf, struct bs_registry *reg, struct bs_tls_pem **out)
{
	struct sources *s = calloc(1, sizeof(*s));
	char text[BS_TLS_ERROR_MAX] = "";
	int err = s ? read_sources(conf, reg, s) : BS_ENOMEM;

	if (err == BS_OK) {
		const struct bs_slice ca = text_of(s->ca);
		const struct bs_slice crl = text_of(s->crl);
		const struct bs_tls_material m = {
			.cert = text_of(s->cert),
			.key = text_of(s->key),
			.cert2 = text_of(s->cert2),
			.key2 = text_of(s->key2),
			.cas = &ca,
			.n_cas = s->ca ? 1 : 0,
			.ca_ders = s->der,
			.n_ca_ders = s->n_der,
			.crls = &crl,
			.n_crls = s->crl ? 1 : 0,
			.rsa_min_bits = conf->rsa_min_bits,
			.ticket_life_s = (uint32_t)(conf->ticket_lifetime / BS_TIME_MS(1000)),
			.tls_min = conf->tls_min == BS_CONF_TLS_1_3 ? 0x0304 : 0x0303,
		};

		err = bs_tls_pem_new(&m, out, text, sizeof(text));
		if (err != BS_OK)
			bs_log_error("gate, %s", text);
	}
	if (s)
		sources_free(s);
	free(s);
	if (err == BS_OK)
		warn_about(*out);
	return err;
}

/** Publish new snapshots; NULL keeps the old one. */
static void publish(struct bs_gate_shared *sh, struct bs_tls_pem *pem, struct bs_tls_keys *keys)
{
	struct bs_tls_pem *old_pem = NULL;
	struct bs_tls_keys *old_keys = NULL;

	pthread_mutex_lock(&sh->lock);
	if (pem) {
		old_pem = sh->pem;
		sh->pem = pem;
	}
	if (keys) {
		old_keys = sh->keys;
		sh->keys = keys;
	}
	pthread_mutex_unlock(&sh->lock);
	atomic_fetch_add_explicit(&sh->generation, 1, memory_order_release);
	bs_tls_pem_unref(old_pem);
	bs_tls_keys_unref(old_keys);
}

/** The listener that another process had there. */
static int inherit(struct bs_gate_shared *sh, struct bs_handover *h, unsigned worker, unsigned at)
{
	const struct bs_handover_item *it =
		bs_handover_find(h, BS_HANDOVER_CLIENT, (uint16_t)worker, (uint16_t)at);

	if (!it || (sh->port != 0 && sh->port != it->ep.port)) {
		bs_log_error("gate, an upgrade cannot open or change client-port; restart instead");
		return BS_ECONF;
	}
	sh->port = it->ep.port;
	int fd = bs_handover_take(h, BS_HANDOVER_CLIENT, (uint16_t)worker, (uint16_t)at);

	/* Another version may have listened without them, and can live with them. */
	bs_tcp_no_delay(fd);
	bs_tcp_await_bytes(fd);
	sh->fd[worker * sh->n_listen + at] = fd;
	return BS_OK;
}

static int listen_on(struct bs_gate_shared *sh, const struct bs_conf *conf, unsigned worker,
		     unsigned at)
{
	struct bs_endpoint ep = conf->listen.v[at];
	int *fd = &sh->fd[worker * sh->n_listen + at];
	int err;

	ep.port = sh->port;
	if (worker == 0) {
		/* Without this a second server of the same user would silently share the port. */
		err = bs_tcp_probe_free(&ep);
		if (err != BS_OK)
			goto out;
	}
	*fd = bs_tcp_listen(&ep, BACKLOG);
	err = *fd < 0 ? *fd : BS_OK;
	if (err == BS_OK)
		bs_tcp_await_bytes(*fd);
	/* Port 0: the first socket picks, all others follow. */
	if (err == BS_OK && sh->port == 0) {
		err = bs_tcp_local(*fd, &ep);
		sh->port = ep.port;
	}
out:
	if (err != BS_OK)
		bs_log_error("gate, cannot listen on TCP port %u of address %u of \"listen\" (%s)",
			     sh->port, at + 1, bs_listen_remedy(err));
	return err;
}

/** The ticket keys of another process, so that its clients resume here; else fresh ones. */
static int take_keys(struct bs_handover *h, struct bs_tls_keys **out)
{
	const struct bs_handover_item *it =
		h ? bs_handover_find(h, BS_HANDOVER_TICKET_KEYS, 0, 0) : NULL;

	*out = it ? bs_tls_keys_new(it->data, it->len / BS_TLS_TICKET_KEY_LEN) : NULL;
	return *out ? BS_OK : bs_tls_keys_rotate(NULL, out);
}

int bs__gate_collect(void *shared, struct bs_handover *h)
{
	const struct bs_gate_shared *sh = shared;
	struct bs_handover_item it = { .what = BS_HANDOVER_TICKET_KEYS, .fd = -1 };
	int err;

	it.len = (uint16_t)(BS_TLS_TICKET_KEY_LEN * bs_tls_keys_raw(sh->keys, it.data));
	err = bs_handover_add(h, &it);
	bs_wipe(it.data, sizeof(it.data));
	it.what = BS_HANDOVER_CLIENT;
	it.len = 0;
	for (size_t i = 0; err == BS_OK && i < (size_t)sh->n_workers * sh->n_listen; i++) {
		it.worker = (uint16_t)(i / sh->n_listen);
		it.index = (uint16_t)(i % sh->n_listen);
		it.fd = sh->fd[i];
		err = bs_tcp_local(it.fd, &it.ep);
		if (err == BS_OK)
			err = bs_handover_add(h, &it);
	}
	return err;
}

int bs__gate_bind(const struct bs_conf *conf, struct bs_registry *registry, unsigned n_workers,
		  struct bs_handover *inherited, void **shared)
{
	struct bs_gate_shared *sh = calloc(1, sizeof(*sh));
	int err = BS_ENOMEM;

	if (!sh)
		return BS_ENOMEM;
	sh->n_workers = n_workers;
	sh->n_listen = conf->listen.n;
	sh->registry = registry;
	sh->port = conf->client_port;
	pthread_mutex_init(&sh->lock, NULL);
	size_t n = (size_t)n_workers * sh->n_listen;

	sh->fd = malloc(n * sizeof(*sh->fd));
	if (!sh->fd)
		goto fail;
	for (size_t i = 0; i < n; i++)
		sh->fd[i] = -1;
	err = make_pem(conf, registry, &sh->pem);
	if (err == BS_OK)
		err = take_keys(inherited, &sh->keys);
	for (unsigned w = 0; err == BS_OK && w < n_workers; w++)
		for (unsigned i = 0; err == BS_OK && i < sh->n_listen; i++)
			err = inherited ? inherit(sh, inherited, w, i) : listen_on(sh, conf, w, i);
	if (err != BS_OK)
		goto fail;
	sh->conf = bs_conf_ref(conf);
	atomic_init(&sh->generation, 1);
	*shared = sh;
	return BS_OK;
fail:
	bs__gate_unbind(sh);
	return err;
}

void bs__gate_unbind(void *shared)
{
	struct bs_gate_shared *sh = shared;

	if (!sh)
		return;
	for (size_t i = 0; sh->fd && i < (size_t)sh->n_workers * sh->n_listen; i++)
		bs_tcp_close(sh->fd[i]);
	free(sh->fd);
	bs_tls_pem_unref(sh->pem);
	bs_tls_keys_unref(sh->keys);
	if (sh->conf)
		bs_conf_unref(sh->conf);
	pthread_mutex_destroy(&sh->lock);
	free(sh);
}

int bs__gate_reload(void *shared, const struct bs_conf *conf)
{
	struct bs_gate_shared *sh = shared;
	struct bs_tls_pem *pem = NULL;
	int err = make_pem(conf, sh->registry, &pem);

	if (err != BS_OK) {
		bs_log_error("gate, keeps the certificates it has (%s)", bs_strerror(err));
		return err;
	}
	if (sh->conf != conf) {
		const struct bs_conf *old = sh->conf;

		sh->conf = bs_conf_ref(conf);
		bs_conf_unref(old);
	}
	publish(sh, pem, NULL);
	return BS_OK;
}

void bs__gate_main_tick(void *shared, bs_time now)
{
	struct bs_gate_shared *sh = shared;
	/* A key seals for one lifetime and opens for another: every ticket lives its full time. */
	bs_time life = sh->conf->ticket_lifetime;
	struct bs_tls_keys *keys;

	if (sh->rotate_at == 0)
		sh->rotate_at = now + life;
	if (BS_TIME_DIFF(now, sh->rotate_at) < 0)
		return;
	sh->rotate_at = now + life;
	int err = bs_tls_keys_rotate(sh->keys, &keys);

	if (err != BS_OK) {
		bs_log_error("gate, cannot make a new ticket key (%s)", bs_strerror(err));
		return;
	}
	publish(sh, NULL, keys);
	bs_log_debug("gate, ticket keys rotated");
}

uint16_t bs__gate_port(void *shared)
{
	const struct bs_gate_shared *sh = shared;

	return sh->port;
}
