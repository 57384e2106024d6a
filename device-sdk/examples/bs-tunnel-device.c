/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bs-tunnel-device - gives clients tunnels to TCP services of this host, or of its network.
 *
 * Put it beside an ssh server or a web interface: clients of the basestation reach these with
 * "bsconnect tunnel", wherever the host is.  What may be reached is said with --allow, and that is
 * all.
 */
#include <basestation/device_tunnel.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Connections of clients at a time, unless --connections says otherwise. */
#define CONNECTIONS_DEFAULT 8
/** Most --allow options. */
#define ALLOW_MAX 64

struct arguments {
	struct bsdev_conf conf;
	struct bsdev_posix_conf posix;
	struct bsdev_tunnel_conf tunnels;
	const char *allow[ALLOW_MAX];
	size_t n_allow;
	uint8_t secret[BS_PSK_LEN];
	bool has_secret;
	bool quiet;
	bool verbose;
};

/** For the signal handler. */
static struct bsdev_posix *running;

static void on_state(void *ctx, struct bsdev *dev, enum bsdev_state state, int status)
{
	static const char *const names[] = { "off", "attaching", "attached" };
	const struct arguments *a = ctx;

	(void)dev;
	if (a->quiet)
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
	if (a->quiet || (!a->verbose && event != BSDEV_TUNNEL_REFUSED))
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

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *d = c != '\0' ? strchr(digits, c) : NULL;

	return d == NULL ? -1 : (int)((d - digits) % 16);
}

static bool read_secret(const char *path, uint8_t secret[BS_PSK_LEN])
{
	FILE *f = fopen(path, "r");
	char line[64] = "";

	if (f == NULL) {
		fprintf(stderr, "bs-tunnel-device: %s: %s\n", path, strerror(errno));
		return false;
	}
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	fclose(f);
	for (size_t i = 0; i < BS_PSK_LEN; i++) {
		const int hi = hex_digit(line[2 * i]);
		const int lo = hi < 0 ? -1 : hex_digit(line[2 * i + 1]);

		if (lo < 0) {
			fprintf(stderr,
				"bs-tunnel-device: %s: the first line must be 32 hexadecimal "
				"digits, as bsctl device add --secret-file writes it\n",
				path);
			return false;
		}
		secret[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static bool parse_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 0);
	if (errno == 0 && text[0] != '-' && end != text && *end == '\0' && *out <= max)
		return true;
	fprintf(stderr, "bs-tunnel-device: \"%s\" is not a number from 0 to %lu\n", text, max);
	return false;
}

static void usage(FILE *to)
{
	fputs("usage: bs-tunnel-device --id ID --secret-file FILE [--allow HOST:PORT ...]\n"
	      "                        [options]\n"
	      "  --id ID              device id, as registered with the basestation\n"
	      "  --secret-file FILE   32 hexadecimal digits\n"
	      "  --allow HOST:PORT    clients may reach this; also HOST:FIRST-LAST, HOST:*,\n"
	      "                       ADDRESS/BITS:PORT; may be repeated; nothing by default\n"
	      "  --default HOST:PORT  of a client that names none (default 127.0.0.1:22)\n"
	      "  --no-echo            refuse the service echo\n"
	      "  --controller HOST    where the basestation is (default: look the id up)\n"
	      "  --port PORT          its controller port (default 5566)\n"
	      "  --dns IP[:PORT],...  name servers instead of the system's\n"
	      "  --bind IP            local address\n"
	      "  --connections N      clients at a time, 1 to 16 (default 8)\n"
	      "  --tunnels N          tunnels at a time (default 1024)\n"
	      "  --memory MIB         most memory for their buffers (default 128)\n"
	      "  --alive-ms MS        keep-alive timer, for tests (default 13000)\n"
	      "  --extensions BITS    extensions to offer (default: all that are built in)\n"
	      "  --verbose            a line for each tunnel\n"
	      "  --quiet              say nothing\n"
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
	if (!parse_number(colon + 1, 65535, &port))
		return false;
	*colon = '\0';
	a->tunnels.default_host = arg;
	a->tunnels.default_port = (uint16_t)port;
	return true;
}

static bool set_number(struct arguments *a, int opt, const char *arg)
{
	unsigned long n;

	if (!parse_number(arg, opt == 'e' ? UINT32_MAX : 65535, &n))
		return false;
	switch (opt) {
	case 'p': a->conf.controller_port = (uint16_t)n; return true;
	case 'a': a->conf.alive_ms = (uint16_t)n; return true;
	case 'e': a->conf.extensions = (uint32_t)n; return true;
	case 'n': a->conf.connections = n > 255 ? 255 : (uint8_t)n; return true;
	case 't': a->tunnels.tunnels = (uint16_t)n; return true;
	default: a->tunnels.memory = n > 4095 ? UINT32_MAX : (uint32_t)(n << 20); return true;
	}
}

static bool set_option(struct arguments *a, int opt, char *arg)
{
	switch (opt) {
	case 'i': a->conf.id = arg; return true;
	case 's': return a->has_secret = read_secret(arg, a->secret);
	case 'A':
		if (a->n_allow == ALLOW_MAX) {
			fprintf(stderr, "bs-tunnel-device: --allow: at most %d\n", ALLOW_MAX);
			return false;
		}
		a->allow[a->n_allow++] = arg;
		return true;
	case 'D': return set_default(a, arg);
	case 'c': a->conf.controller = arg; return true;
	case 'd': a->posix.dns_servers = arg; return true;
	case 'b': a->posix.bind_address = arg; return true;
	case 'E': return a->tunnels.no_echo = true;
	case 'v': return a->verbose = true;
	case 'q': return a->quiet = true;
	case '?': return false;
	default: return set_number(a, opt, arg);
	}
}

static bool parse_arguments(struct arguments *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "id", required_argument, NULL, 'i' },
		{ "secret-file", required_argument, NULL, 's' },
		{ "allow", required_argument, NULL, 'A' },
		{ "default", required_argument, NULL, 'D' },
		{ "no-echo", no_argument, NULL, 'E' },
		{ "controller", required_argument, NULL, 'c' },
		{ "port", required_argument, NULL, 'p' },
		{ "dns", required_argument, NULL, 'd' },
		{ "bind", required_argument, NULL, 'b' },
		{ "connections", required_argument, NULL, 'n' },
		{ "tunnels", required_argument, NULL, 't' },
		{ "memory", required_argument, NULL, 'm' },
		{ "alive-ms", required_argument, NULL, 'a' },
		{ "extensions", required_argument, NULL, 'e' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
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
	if (a->conf.id == NULL || !a->has_secret || optind != argc) {
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
	a.conf.version = "1.0";
	a.conf.extensions = BS_EXT_IP6 | BS_EXT_ATTEMPT | BS_EXT_CLOSE | BS_EXT_GCM |
			    BS_EXT_FAST_STREAM | BS_EXT_PATH;
	a.conf.connections = CONNECTIONS_DEFAULT;
	a.conf.secret = a.secret;
	a.conf.state = on_state;
	a.conf.ctx = &a;
	a.tunnels.event = on_tunnel;
	a.tunnels.ctx = &a;
	if (!parse_arguments(&a, argc, argv))
		return 2;
	err = bsdev_posix_new(&a.conf, &a.posix, &p);
	if (err != BS_OK) {
		fprintf(stderr, "bs-tunnel-device: cannot start (%s)\n", bs_strerror(err));
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
