/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bs-tunnel-device - gives clients tunnels to TCP services of this host, or of its network.
 *
 * Put it beside an ssh server or a web interface: clients of the basestation reach these with
 * "bsconnect tunnel", wherever the host is.  What may be reached is said with --allow, and that is
 * all.
 */
#include <basestation/device_tunnel.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/** Connections of clients at a time, unless --connections says otherwise. */
#define CONNECTIONS_DEFAULT 8
/** Most --allow options. */
#define ALLOW_MAX 64

struct arguments {
	struct example ex;
	struct bsdev_tunnel_conf tunnels;
	const char *allow[ALLOW_MAX];
	size_t n_allow;
	bool verbose;
};

/** For the signal handler. */
static struct bsdev_posix *running;

static void on_state(void *ctx, struct bsdev *dev, enum bsdev_state state, int status)
{
	static const char *const names[] = { "off", "attaching", "attached" };
	const struct arguments *a = ctx;

	(void)dev;
	if (a->ex.quiet)
		return;
	if (status != 0)
		printf("bs-tunnel-device: %s, the last attempt failed (%d)\n", names[state],
		       status);
	else
		printf("bs-tunnel-device: %s\n", names[state]);
	fflush(stdout);
}

static void on_tunnel(void *ctx, enum bsdev_tunnel_event event,
		      const struct bsdev_tunnel_info *info)
{
	static const char *const names[] = {
		"", "opened", "refused", "failed", "closed", "aborted"
	};
	const struct arguments *a = ctx;

	/* A client that tries what is not allowed is worth a line, ordinary traffic is not. */
	if (a->ex.quiet || (!a->verbose && event != BSDEV_TUNNEL_REFUSED))
		return;
	printf("bs-tunnel-device: %s %s", names[event], info->service);
	if (info->host[0] != '\0')
		printf(" %s:%u", info->host, (unsigned)info->port);
	printf(" for %.*s", (int)info->peer.client_id_len,
	       info->peer.client_id != NULL ? info->peer.client_id : "");
	if (event >= BSDEV_TUNNEL_CLOSED)
		printf(", %llu bytes in, %llu out", (unsigned long long)info->to_service,
		       (unsigned long long)info->to_client);
	printf("\n");
	fflush(stdout);
}

static int on_query(void *ctx, struct bsdev *dev, uint32_t id, struct bsdev_query *q)
{
	struct arguments *a = ctx;
	const int code = example_query(&a->ex, dev, id, q);

	return code == BSDEV_ACL_OTHER ? BS_RPC_UNKNOWN_QUERY : code;
}

static bool on_access(void *ctx, struct bsdev *dev, const struct bsdev_peer *peer)
{
	const struct arguments *a = ctx;

	(void)dev;
	return example_access(&a->ex, peer);
}

static const uint8_t *on_pair(void *ctx, struct bsdev *dev, const uint8_t *id)
{
	const struct arguments *a = ctx;

	(void)dev;
	return example_pair(&a->ex, id);
}

/** Who is connected only to pair gets no tunnel. */
static bool on_client(void *ctx, const struct bsdev_peer *peer)
{
	const struct arguments *a = ctx;

	return !a->ex.has_list || bsdev_acl_may(&a->ex.acl, peer, 0);
}

static void usage(FILE *to)
{
	fputs("usage: bs-tunnel-device --id ID --secret-file FILE [--allow HOST:PORT ...]\n"
	      "                        [options]\n" EXAMPLE_USAGE
	      "  --allow HOST:PORT    clients may reach this; also HOST:FIRST-LAST, HOST:*,\n"
	      "                       ADDRESS/BITS:PORT; may be repeated; nothing by default\n"
	      "  --default HOST:PORT  of a client that names none (default 127.0.0.1:22)\n"
	      "  --no-echo            refuse the service echo\n"
	      "  --connections N      clients at a time, 1 to 16 (default 8)\n"
	      "  --tunnels N          tunnels at a time (default 1024)\n"
	      "  --memory MIB         most memory for their buffers (default 128)\n"
	      "  --verbose            a line for each tunnel\n"
	      "Signals: TERM ends.\n",
	      to);
}

static bool set_default(struct arguments *a, char *arg)
{
	char *colon = strrchr(arg, ':');
	unsigned long port;

	if (colon == NULL) {
		fprintf(stderr, "bs-tunnel-device: --default: expected HOST:PORT\n");
		return false;
	}
	if (!example_number(&a->ex, colon + 1, 65535, &port))
		return false;
	*colon = '\0';
	a->tunnels.default_host = arg;
	a->tunnels.default_port = (uint16_t)port;
	return true;
}

/** Options that only this device has. */
enum {
	OPT_ALLOW = EXAMPLE_OWN,
	OPT_DEFAULT,
	OPT_NO_ECHO,
	OPT_CONNECTIONS,
	OPT_TUNNELS,
	OPT_MEMORY,
	OPT_VERBOSE,
};

static bool set_number(struct arguments *a, int opt, const char *arg)
{
	unsigned long n;

	if (!example_number(&a->ex, arg, 65535, &n))
		return false;
	switch (opt) {
	case OPT_CONNECTIONS: a->ex.conf.connections = n > 255 ? 255 : (uint8_t)n; return true;
	case OPT_TUNNELS: a->tunnels.tunnels = (uint16_t)n; return true;
	default: a->tunnels.memory = n > 4095 ? UINT32_MAX : (uint32_t)(n << 20); return true;
	}
}

static bool set_option(struct arguments *a, int opt, char *arg)
{
	switch (opt) {
	case OPT_ALLOW:
		if (a->n_allow == ALLOW_MAX) {
			fprintf(stderr, "bs-tunnel-device: --allow: at most %d\n", ALLOW_MAX);
			return false;
		}
		a->allow[a->n_allow++] = arg;
		return true;
	case OPT_DEFAULT: return set_default(a, arg);
	case OPT_NO_ECHO: return a->tunnels.no_echo = true;
	case OPT_VERBOSE: return a->verbose = true;
	case OPT_CONNECTIONS:
	case OPT_TUNNELS:
	case OPT_MEMORY: return set_number(a, opt, arg);
	default: return example_option(&a->ex, opt, arg);
	}
}

static bool parse_arguments(struct arguments *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "allow", required_argument, NULL, OPT_ALLOW },
		{ "default", required_argument, NULL, OPT_DEFAULT },
		{ "no-echo", no_argument, NULL, OPT_NO_ECHO },
		{ "connections", required_argument, NULL, OPT_CONNECTIONS },
		{ "tunnels", required_argument, NULL, OPT_TUNNELS },
		{ "memory", required_argument, NULL, OPT_MEMORY },
		{ "verbose", no_argument, NULL, OPT_VERBOSE },
		EXAMPLE_OPTIONS,
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			exit(0);
		}
		if (!set_option(a, opt, optarg))
			return false;
	}
	if (!example_is_complete(&a->ex) || optind != argc) {
		usage(stderr);
		return false;
	}
	return true;
}

static void on_signal(int sig)
{
	(void)sig;
	bsdev_posix_stop(running);
}

static void set_signals(void (*handler)(int))
{
	struct sigaction sa = { .sa_handler = handler };

	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
}

/** The tunnels with all that is allowed.  An exit status. */
static int serve(struct arguments *a, struct bsdev_posix *p)
{
	struct bsdev_tunnels *t;
	int err = bsdev_tunnels_new(p, &a->tunnels, &t);

	if (err != BS_OK) {
		fprintf(stderr, "bs-tunnel-device: cannot serve tunnels (%s)%s\n", bs_strerror(err),
			err == BS_EINVAL ? "; --default wants an IPv4 address" : "");
		return err == BS_EINVAL ? 2 : 1;
	}
	for (size_t i = 0; i < a->n_allow; i++) {
		if (bsdev_tunnels_allow(t, a->allow[i]) == BS_OK)
			continue;
		fprintf(stderr,
			"bs-tunnel-device: --allow %s: expected HOST:PORT, HOST:FIRST-LAST or "
			"HOST:* with an IPv4 address, a network as ADDRESS/BITS or localhost\n",
			a->allow[i]);
		return 2;
	}
	if (a->n_allow == 0)
		fprintf(stderr, "bs-tunnel-device: nothing is allowed; give --allow HOST:PORT\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct bsdev_posix *p = NULL;
	struct arguments a;
	int status;
	int err;

	memset(&a, 0, sizeof(a));
	example_init(&a.ex, "bs-tunnel-device");
	a.ex.conf.connections = CONNECTIONS_DEFAULT;
	a.ex.conf.query = on_query;
	a.ex.conf.access = on_access;
	a.ex.conf.state = on_state;
	a.ex.conf.ctx = &a;
	a.tunnels.client = on_client;
	a.tunnels.event = on_tunnel;
	a.tunnels.ctx = &a;
	if (!parse_arguments(&a, argc, argv))
		return 2;
	if (!example_open_list(&a.ex, a.ex.conf.id, "bs-tunnel-device"))
		return 1;
	a.ex.conf.pair = a.ex.has_list ? on_pair : NULL;
	err = bsdev_posix_new(&a.ex.conf, &a.ex.posix, &p);
	if (err != BS_OK) {
		fprintf(stderr, "bs-tunnel-device: cannot start (%s)%s\n", bs_strerror(err),
			err == BS_EIO && a.ex.posix.local != NULL
				? "; is the local port taken? --local-port chooses another"
				: "");
		return err == BS_EINVAL ? 2 : 1;
	}
	status = serve(&a, p);
	if (status == 0) {
		running = p;
		set_signals(on_signal);
		status = bsdev_posix_run(p) == BS_OK ? 0 : 1;
		set_signals(SIG_IGN);
	}
	bsdev_posix_free(p);
	return status;
}
