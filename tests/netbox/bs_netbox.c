/* SPDX-License-Identifier: Apache-2.0 */
/* bs-netbox - one NAT or one bad line between TUN devices, in user space.  See usage(). */
#include "box.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "util/endpoint.h"

static volatile sig_atomic_t ended;
static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		signals = signals + 1;
	else
		ended = 1;
}

unsigned box_take_signals(void)
{
	unsigned n = (unsigned)signals;

	/* Blocked outside of ppoll: none can come between the two. */
	signals = 0;
	return n;
}

bs_time box_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (bs_time)t.tv_sec * UINT64_C(1000000000) + (bs_time)t.tv_nsec;
}

void box_write(int fd, const uint8_t *bytes, size_t len)
{
	if (write(fd, bytes, len) < 0)
		return; /* the device is down or full: lost */
}

static bool enter(const char *ns)
{
	char path[256];
	int fd;

	if (!*ns)
		return true;
	(void)snprintf(path, sizeof(path), "/run/netns/%s", ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET)) {
		fprintf(stderr, "bs-netbox: namespace %s: %s; make it by ip netns add, as root\n",
			ns, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	(void)close(fd);
	return true;
}

bool box_open_tun(struct box *b, const char *ns, const char *name)
{
	struct ifreq ifr;
	int fd;

	if (b->n_tuns == BOX_TUNS) {
		fprintf(stderr, "bs-netbox: more than %d devices; use another box\n", BOX_TUNS);
		return false;
	}
	/* A device belongs to the namespace that its opener is in; the descriptor to nobody. */
	if (!enter(ns))
		return false;
	memset(&ifr, 0, sizeof(ifr));
	ifr.ifr_flags = IFF_TUN | IFF_NO_PI;
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr)) {
		fprintf(stderr, "bs-netbox: TUN device %s: %s; it takes root and /dev/net/tun\n",
			name, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	b->tun[b->n_tuns++] = fd;
	return true;
}

bool box_wait(const struct box *b, struct pollfd *fds, const bs_time *until)
{
	struct timespec wait = { 0, 0 };
	bs_time_diff left = 0;
	sigset_t none;
	size_t i;

	for (i = 0; i < b->n_tuns; i++) {
		fds[i].fd = b->tun[i];
		fds[i].events = POLLIN;
		fds[i].revents = 0;
	}
	if (until)
		left = BS_TIME_DIFF(*until, box_now());
	if (left > 0) {
		wait.tv_sec = (time_t)(left / 1000000000);
		wait.tv_nsec = (long)(left % 1000000000);
	}
	sigemptyset(&none);
	if (ppoll(fds, b->n_tuns, until ? &wait : NULL, &none) < 0)
		for (i = 0; i < b->n_tuns; i++)
			fds[i].revents = 0;
	return !ended;
}

static void usage(FILE *to)
{
	fputs("usage: bs-netbox nat --outside IPV4 --out NS:DEV --in NS:DEV [--in ...] [options]\n"
	      "       bs-netbox link --end NS:DEV --end NS:DEV [options]\n"
	      "       bs-netbox kinds\n"
	      "NS is a network namespace, empty for our own; DEV the TUN device to make in it.\n"
	      "\"ready\" on standard output says that all devices are there.\n"
	      "nat:\n"
	      "  --kind NAME         one of the kinds that bs-netbox kinds lists (default port)\n"
	      "  --mapping RULE      endpoint, address or port: what a mapping depends on\n"
	      "  --filtering RULE    the same for what may come in\n"
	      "  --ports HOW         preserve, next or random\n"
	      "  --hairpin           inside hosts reach each other by outside addresses\n"
	      "  --blocked           no UDP\n"
	      "  --out-only          only packets from inside keep a mapping alive\n"
	      "  --udp-timeout MS    life of a silent UDP mapping\n"
	      "  --ip6               let IPv6 through, filtered\n"
	      "  SIGUSR1 makes it forget all mappings.\n"
	      "link:\n"
	      "  --delay MS          one way; --jitter MS more\n"
	      "  --loss PERCENT      --copies PERCENT, --late PERCENT with --late-by MS\n"
	      "  --rate MBIT         bits a second; --queue KIB where packets wait\n"
	      "  --mtu BYTES         --later-mtu BYTES after --mtu-after MS; --tell-mtu by ICMP\n"
	      "  SIGUSR1 pulls the plug, or puts it in again.\n"
	      "both: --seed N\n",
	      to);
}

enum option_id {
	OPT_KIND = 256,
	OPT_MAPPING,
	OPT_FILTERING,
	OPT_PORTS,
	OPT_HAIRPIN,
	OPT_BLOCKED,
	OPT_OUT_ONLY,
	OPT_UDP_TIMEOUT,
	OPT_IP6,
	OPT_OUTSIDE,
	OPT_IN,
	OPT_OUT,
	OPT_END,
	OPT_DELAY,
	OPT_JITTER,
	OPT_LOSS,
	OPT_COPIES,
	OPT_LATE,
	OPT_LATE_BY,
	OPT_RATE,
	OPT_QUEUE,
	OPT_MTU,
	OPT_LATER_MTU,
	OPT_MTU_AFTER,
	OPT_TELL_MTU,
	OPT_SEED,
	OPT_HELP,
};

static const struct option options[] = {
	{ "kind", required_argument, NULL, OPT_KIND },
	{ "mapping", required_argument, NULL, OPT_MAPPING },
	{ "filtering", required_argument, NULL, OPT_FILTERING },
	{ "ports", required_argument, NULL, OPT_PORTS },
	{ "hairpin", no_argument, NULL, OPT_HAIRPIN },
	{ "blocked", no_argument, NULL, OPT_BLOCKED },
	{ "out-only", no_argument, NULL, OPT_OUT_ONLY },
	{ "udp-timeout", required_argument, NULL, OPT_UDP_TIMEOUT },
	{ "ip6", no_argument, NULL, OPT_IP6 },
	{ "outside", required_argument, NULL, OPT_OUTSIDE },
	{ "in", required_argument, NULL, OPT_IN },
	{ "out", required_argument, NULL, OPT_OUT },
	{ "end", required_argument, NULL, OPT_END },
	{ "delay", required_argument, NULL, OPT_DELAY },
	{ "jitter", required_argument, NULL, OPT_JITTER },
	{ "loss", required_argument, NULL, OPT_LOSS },
	{ "copies", required_argument, NULL, OPT_COPIES },
	{ "late", required_argument, NULL, OPT_LATE },
	{ "late-by", required_argument, NULL, OPT_LATE_BY },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "queue", required_argument, NULL, OPT_QUEUE },
	{ "mtu", required_argument, NULL, OPT_MTU },
	{ "later-mtu", required_argument, NULL, OPT_LATER_MTU },
	{ "mtu-after", required_argument, NULL, OPT_MTU_AFTER },
	{ "tell-mtu", no_argument, NULL, OPT_TELL_MTU },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct arguments {
	struct box_nat_conf nat;
	struct link_conf link;
	const char *out;
	const char *in[BOX_TUNS];
	size_t n_in;
	const char *end[2];
	size_t n_ends;
	bool has_outside;
};

/* A number with decimals times a unit; false when it is none, or above max. */
static bool number(const char *text, double unit, double max, uint64_t *out)
{
	char *rest;
	double v;

	errno = 0;
	v = strtod(text, &rest) * unit;
	/* Written so that "nan" fails as well. */
	if (errno || rest == text || *rest || !(v >= 0 && v <= max))
		return false;
	*out = (uint64_t)(v + 0.5);
	return true;
}

static bool number32(const char *text, double unit, uint32_t *out)
{
	uint64_t v;

	if (!number(text, unit, UINT32_MAX, &v))
		return false;
	*out = (uint32_t)v;
	return true;
}

static bool number16(const char *text, uint16_t *out)
{
	uint64_t v;

	if (!number(text, 1, UINT16_MAX, &v))
		return false;
	*out = (uint16_t)v;
	return true;
}

static int word(const char *text, const char *const *words)
{
	int i;

	for (i = 0; words[i]; i++)
		if (!strcmp(text, words[i]))
			return i;
	return -1;
}

static bool rule(const char *text, enum nat_rule *out)
{
	static const char *const words[] = { "endpoint", "address", "port", NULL };
	int i = word(text, words);

	if (i < 0)
		return false;
	*out = (enum nat_rule)i;
	return true;
}

static bool nat_option(struct arguments *a, int opt, const char *arg)
{
	static const char *const hows[] = { "preserve", "next", "random", NULL };
	struct nat_conf *c = &a->nat.ip4;
	const struct nat_conf *k;
	struct in_addr ip;
	int i;

	switch (opt) {
	case OPT_KIND:
		k = nat_kind(arg);
		if (k)
			*c = *k;
		return k != NULL;
	case OPT_MAPPING: return rule(arg, &c->mapping);
	case OPT_FILTERING: return rule(arg, &c->filtering);
	case OPT_PORTS:
		i = word(arg, hows);
		c->ports = (enum nat_ports)(i < 0 ? 0 : i);
		return i >= 0;
	case OPT_HAIRPIN: return c->hairpin = true;
	case OPT_BLOCKED: return c->blocked = true;
	case OPT_OUT_ONLY: return c->out_only = true;
	case OPT_IP6: return a->nat.ip6 = true;
	case OPT_UDP_TIMEOUT: return number32(arg, 1, &c->udp_ms);
	case OPT_OUTSIDE:
		if (inet_pton(AF_INET, arg, &ip) != 1)
			return false;
		bs_endpoint_set_ip4(&c->outside, ntohl(ip.s_addr), 0);
		return a->has_outside = true;
	case OPT_IN: return a->n_in < BOX_TUNS - 1 && (a->in[a->n_in++] = arg) != NULL;
	case OPT_OUT: return (a->out = arg) != NULL;
	default: return false;
	}
}

static bool link_option(struct arguments *a, int opt, const char *arg)
{
	struct link_conf *c = &a->link;

	switch (opt) {
	case OPT_END: return a->n_ends < 2 && (a->end[a->n_ends++] = arg) != NULL;
	case OPT_DELAY: return number32(arg, 1000, &c->delay_us);
	case OPT_JITTER: return number32(arg, 1000, &c->jitter_us);
	case OPT_LOSS: return number32(arg, 10000, &c->loss_ppm);
	case OPT_COPIES: return number32(arg, 10000, &c->copy_ppm);
	case OPT_LATE: return number32(arg, 10000, &c->reorder_ppm);
	case OPT_LATE_BY: return number32(arg, 1000, &c->reorder_us);
	case OPT_RATE: return number(arg, 1e6, 1e12, &c->rate_bps);
	case OPT_QUEUE: return number32(arg, 1024, &c->queue_bytes);
	case OPT_MTU: return number16(arg, &c->mtu);
	case OPT_LATER_MTU: return number16(arg, &c->later_mtu);
	case OPT_MTU_AFTER: return number32(arg, 1, &c->mtu_after_ms);
	case OPT_TELL_MTU: return c->tell_mtu = true;
	default: return false;
	}
}

static bool parse(struct arguments *a, int argc, char **argv)
{
	int opt, index;
	uint32_t seed = 1;

	a->nat.ip4 = *nat_kind("port");
	while ((opt = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (opt == '?')
			return false;
		if (opt == OPT_SEED  ? number32(optarg, 1, &seed)
		    : opt >= OPT_END ? link_option(a, opt, optarg)
				     : nat_option(a, opt, optarg))
			continue;
		fprintf(stderr, "bs-netbox: --%s: cannot use \"%s\"; see bs-netbox --help\n",
			options[index].name, optarg ? optarg : "");
		return false;
	}
	a->nat.ip4.seed = seed;
	a->link.seed = seed;
	return optind == argc;
}

/* "NS:DEV" */
static bool open_named(struct box *b, const char *text)
{
	const char *colon = strchr(text, ':');
	char ns[64];

	if (!colon || (size_t)(colon - text) >= sizeof(ns)) {
		fprintf(stderr, "bs-netbox: \"%s\" is not NS:DEV\n", text);
		return false;
	}
	memcpy(ns, text, (size_t)(colon - text));
	ns[colon - text] = '\0';
	return box_open_tun(b, ns, colon + 1);
}

static void watch_signals(void)
{
	struct sigaction sa;
	sigset_t set;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	(void)sigaction(SIGTERM, &sa, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGUSR1, &sa, NULL);
	/* They come while we wait, and only then. */
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

static void ready(void)
{
	puts("ready");
	(void)fflush(stdout);
}

static int run_nat(struct arguments *a, struct box *b)
{
	size_t i;

	if (!a->out || !a->n_in || !a->has_outside) {
		usage(stderr);
		return 2;
	}
	if (!open_named(b, a->out))
		return EXIT_FAILURE;
	for (i = 0; i < a->n_in; i++)
		if (!open_named(b, a->in[i]))
			return EXIT_FAILURE;
	ready();
	return box_run_nat(b, &a->nat);
}

static int run_link(struct arguments *a, struct box *b)
{
	if (a->n_ends != 2) {
		usage(stderr);
		return 2;
	}
	if (!open_named(b, a->end[0]) || !open_named(b, a->end[1]))
		return EXIT_FAILURE;
	ready();
	return box_run_link(b, &a->link);
}

static int list_kinds(void)
{
	const struct nat_conf *k;

	for (k = nat_kinds; k->name; k++)
		puts(k->name);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";
	struct arguments a;
	struct box b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	if (!strcmp(command, "--help") || !strcmp(command, "-h")) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	if (!strcmp(command, "kinds"))
		return list_kinds();
	if ((strcmp(command, "nat") != 0 && strcmp(command, "link") != 0) ||
	    !parse(&a, argc - 1, argv + 1)) {
		usage(stderr);
		return 2;
	}
	watch_signals();
	return command[0] == 'n' ? run_nat(&a, &b) : run_link(&a, &b);
}
