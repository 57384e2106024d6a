/* SPDX-License-Identifier: Apache-2.0 */
#include "server/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "net/sockaddr.h"
#include "net/tls.h"
#include "server/first_run.h"
#include "store/registry.h"
#include "store/seal.h"
#include "util/endpoint.h"

/* A certificate file beyond this is another file by mistake; a CRL of a large vendor fits. */
#define PEM_MAX ((size_t)64 << 20)

struct report {
	bs_limits_report_fn fn;
	void *arg;
	int err; /* of the first fault */
};

BS_PRINTF(3, 4)
static int fault(struct report *r, int err, const char *fmt, ...)
{
	char text[640];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->fn(r->arg, BS_LOG_ERROR, text);
	if (r->err == BS_OK)
		r->err = err;
	return err;
}

static int code_of_errno(int e)
{
	switch (e) {
	case ENOENT:
	case ENOTDIR: return BS_ENOENT;
	case EACCES:
	case EPERM: return BS_EPERM;
	case EADDRINUSE: return BS_EBUSY;
	case EADDRNOTAVAIL: return BS_EUNREACH;
	case EMFILE:
	case ENFILE: return BS_EFULL;
	case ENOMEM: return BS_ENOMEM;
	default: return BS_EIO;
	}
}

static int read_fd(int fd, size_t len, struct bs_slice *out)
{
	uint8_t *buf = malloc(len + 1);
	size_t n = 0;

	if (buf == NULL)
		return BS_ENOMEM;
	while (n < len) {
		ssize_t got = read(fd, buf + n, len - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	out->ptr = buf;
	out->len = n;
	return BS_OK;
}

/* path NULL leaves out empty. */
static int read_pem(struct report *r, const char *key, const char *path, struct bs_slice *out)
{
	struct stat st;
	int err;
	int fd;

	if (path == NULL)
		return BS_OK;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fault(r, code_of_errno(errno), "%s, %s cannot be read (%s)", key, path,
			     strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > PEM_MAX)
		err = fault(r, BS_ECONF, "%s, %s is not a certificate file", key, path);
	else if (read_fd(fd, (size_t)st.st_size, out) != BS_OK)
		err = fault(r, BS_ENOMEM, "%s, %s cannot be read (no memory)", key, path);
	else
		err = BS_OK;
	close(fd);
	return err;
}

static void free_pem(struct bs_slice *s)
{
	if (s->ptr != NULL)
		bs_wipe((void *)(uintptr_t)s->ptr, s->len);
	free((void *)(uintptr_t)s->ptr);
}

static int check_expiry(struct report *r, const struct bs_conf *conf, uint64_t expiry,
			uint64_t unix_s)
{
	time_t t = (time_t)expiry;
	char when[32] = "";
	char text[400];
	struct tm tm;

	if (expiry == 0 || expiry > unix_s + BS_TRIAL_EXPIRY_DAYS * UINT64_C(86400))
		return BS_OK;
	if (gmtime_r(&t, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
	if (expiry <= unix_s)
		return fault(r, BS_ECONF,
			     "server-certificate, %s has expired on %s; put a new certificate in "
			     "its place (bsctl ca issue) or check the clock",
			     conf->server_certificate, when);
	(void)snprintf(text, sizeof(text), "server-certificate, %s expires on %s; renew it soon",
		       conf->server_certificate, when);
	r->fn(r->arg, BS_LOG_NOTICE, text);
	return BS_OK;
}

static int check_material(struct report *r, const struct bs_conf *conf, struct bs_slice f[6],
			  uint64_t unix_s)
{
	struct bs_tls_material m = {
		.cert = f[0],
		.key = f[1],
		.cert2 = f[2],
		.key2 = f[3],
		.cas = &f[4],
		.n_cas = 1,
		.crls = &f[5],
		.n_crls = conf->client_crl != NULL ? 1 : 0,
		.rsa_min_bits = conf->rsa_min_bits,
		.ticket_life_s = (uint32_t)(conf->ticket_lifetime / BS_TIME_MS(1000)),
		.tls_min = conf->tls_min == BS_CONF_TLS_1_3 ? 0x0304 : 0x0303,
	};
	char text[BS_TLS_ERROR_MAX] = "";
	struct bs_tls_pem *pem = NULL;
	int err = bs_tls_pem_new(&m, &pem, text, sizeof(text));

	if (err != BS_OK)
		return fault(r, err, "client gate, %s (%s, %s, %s)",
			     text[0] != '\0' ? text : bs_strerror(err), conf->server_certificate,
			     conf->server_key, conf->client_ca);
	err = check_expiry(r, conf, bs_tls_pem_cert_expiry(pem), unix_s);
	bs_tls_pem_unref(pem);
	return err;
}

int bs_trial_certificates(const struct bs_conf *conf, uint64_t unix_s, bs_limits_report_fn fn,
			  void *arg)
{
	struct report r = { .fn = fn, .arg = arg };
	const struct {
		const char *key;
		const char *path;
	} files[6] = {
		{ "server-certificate", conf->server_certificate },
		{ "server-key", conf->server_key },
		{ "server-certificate-ecdsa", conf->server_certificate_ecdsa },
		{ "server-key-ecdsa", conf->server_key_ecdsa },
		{ "client-ca", conf->client_ca },
		{ "client-crl", conf->client_crl },
	};
	struct bs_slice f[6] = { { NULL, 0 } };

	if (conf->server_certificate == NULL)
		return BS_OK;
	for (size_t i = 0; i < 6; i++)
		(void)!read_pem(&r, files[i].key, files[i].path, &f[i]);
	if (r.err == BS_OK)
		r.err = check_material(&r, conf, f, unix_s);
	for (size_t i = 0; i < 6; i++)
		free_pem(&f[i]);
	return r.err;
}

static int try_port(struct report *r, const char *key, const struct bs_endpoint *addr,
		    uint16_t port, int type)
{
	struct bs_endpoint ep = *addr;
	union bs_sockaddr sa;
	char where[BS_ENDPOINT_TEXT_MAX];
	int on = 1;
	int e = 0;
	int fd;

	ep.port = port;
	bs_sockaddr_text(&ep, where, sizeof(where));
	fd = socket(bs_endpoint_is_ip4(&ep) ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fault(r, code_of_errno(errno), "%s, %s cannot be opened (%s)", key, where,
			     strerror(errno));
	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (type == SOCK_STREAM) /* connections of a server that has ended do not count */
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &sa.sa, bs_sockaddr_set(&sa, &ep)) != 0 ||
	    (type == SOCK_STREAM && listen(fd, 1) != 0))
		e = errno;
	close(fd);
	if (e == 0)
		return BS_OK;
	return fault(r, code_of_errno(e), "%s, %s cannot be bound (%s)", key, where,
		     bs_listen_remedy(code_of_errno(e)));
}

int bs_trial_ports(const struct bs_conf *conf, bs_limits_report_fn fn, void *arg)
{
	struct report r = { .fn = fn, .arg = arg };

	for (uint32_t i = 0; i < conf->listen.n; i++) {
		const struct bs_endpoint *a = &conf->listen.v[i];

		(void)!try_port(&r, "controller-port", a, conf->controller_port, SOCK_DGRAM);
		if (conf->attach_port != conf->controller_port)
			(void)!try_port(&r, "attach-port", a, conf->attach_port, SOCK_DGRAM);
		if (conf->server_certificate == NULL)
			continue;
		(void)!try_port(&r, "client-port", a, conf->client_port, SOCK_STREAM);
		(void)!try_port(&r, "gateway-port", a, conf->gateway_port, SOCK_STREAM);
	}
	return r.err;
}

/* The folder that dir would be made in. */
static int check_parent(struct report *r, const char *key, const char *dir)
{
	char parent[1024];
	char *slash;

	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		snprintf(parent, sizeof(parent), ".");
	else if (slash == parent)
		slash[1] = '\0';
	else
		*slash = '\0';
	if (access(parent, W_OK | X_OK) == 0)
		return BS_OK;
	return fault(r, code_of_errno(errno), "%s, %s cannot be made (%s: %s)", key, dir, parent,
		     strerror(errno));
}

static int check_master_key(struct report *r, const struct bs_conf *conf)
{
	uint8_t key[BS_MASTER_KEY_LEN];
	struct bs_errtext text = { "" };
	int err = bs_seal_key_load(conf->key_file, key, &text);

	bs_wipe(key, sizeof(key));
	if (err == BS_OK)
		return BS_OK;
	/* the first start makes it */
	if (err == BS_ENOENT && conf->key_file != NULL && !bs_first_run_has_registry(conf))
		return check_parent(r, "key-file", conf->key_file);
	return fault(r, err, "key-file, %s", text.text[0] != '\0' ? text.text : bs_strerror(err));
}

int bs_trial_registry(const struct bs_conf *conf, bs_limits_report_fn fn, void *arg)
{
	struct report r = { .fn = fn, .arg = arg };
	struct bs_registry_conf rc = {
		.dir = conf->database,
		.map_bytes = conf->database_size,
		.key_file = conf->key_file,
	};
	struct bs_errtext text = { "" };
	struct bs_registry *reg = NULL;
	struct stat st;
	bool there = stat(conf->database, &st) == 0 || errno != ENOENT;
	int err = check_master_key(&r, conf);

	if (!there)
		(void)!check_parent(&r, "database", conf->database);
	if (!there || err != BS_OK)
		return r.err;
	err = bs_registry_open(&rc, &reg, &text);
	if (err == BS_OK) {
		bs_registry_close(reg);
		return BS_OK;
	}
	/* a folder without a registry: the start makes one */
	if (err == BS_ENOENT && access(conf->database, W_OK | X_OK) == 0)
		return BS_OK;
	return fault(&r, err, "database, %s", text.text[0] != '\0' ? text.text : bs_strerror(err));
}

int bs_trial_random(bs_limits_report_fn fn, void *arg)
{
	struct report r = { .fn = fn, .arg = arg };
	uint8_t b[16];

	if (getrandom(b, sizeof(b), GRND_NONBLOCK) == (ssize_t)sizeof(b))
		return BS_OK;
	return fault(&r, BS_ERANDOM,
		     "random numbers, the system has none (getrandom: %s); wait until it has "
		     "gathered entropy or install rng-tools",
		     strerror(errno));
}

static bool server_answers(const struct bs_conf *conf)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	bool yes;
	int fd;

	if (strlen(conf->control_socket) >= sizeof(sa.sun_path))
		return false;
	memcpy(sa.sun_path, conf->control_socket, strlen(conf->control_socket) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	yes = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0;
	close(fd);
	return yes;
}

static int first(int a, int b)
{
	return a != BS_OK ? a : b;
}

int bs_trial(const struct bs_conf *conf, bs_limits_report_fn fn, void *arg)
{
	struct bs_limits_facts facts;
	int err;

	bs_limits_facts_read("", &facts);
	err = bs_limits_check(conf, &facts, fn, arg) > 0 ? BS_ECONF : BS_OK;
	err = first(err, bs_trial_random(fn, arg));
	err = first(err, bs_trial_certificates(conf, (uint64_t)time(NULL), fn, arg));
	err = first(err, bs_trial_registry(conf, fn, arg));
	if (server_answers(conf))
		fn(arg, BS_LOG_NOTICE,
		   "ports, not tried: a server answers on the control socket of this conf");
	else
		err = first(err, bs_trial_ports(conf, fn, arg));
	return err;
}
