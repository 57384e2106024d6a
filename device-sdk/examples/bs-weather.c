/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bs-weather - a small sensor on libbasestation-device: readable and writable values, a list, a
 * query that takes a while, an access rule, and the master switch on two signals.
 *
 * The weather is made up (a slow triangle wave), everything else is how a product would do it.
 * bs-weather.xml describes the queries.
 */
#include <basestation/device_acl.h>
#include <basestation/device_posix.h>

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Measurements that are kept. */
#define HISTORY 16
/** Longest name of a station. */
#define NAME_MAX_LEN 40
/** How long a measurement on demand takes, ms. */
#define MEASURE_MS 300

/** Query numbers, as in bs-weather.xml. */
enum query {
	Q_INTERFACE = 0,
	Q_WEATHER = 1,
	Q_GET_NAME = 2,
	Q_SET_NAME = 3,
	Q_SET_INTERVAL = 4,
	Q_HISTORY = 5,
	Q_MEASURE = 6,
	Q_CALLER = 7,
};

struct sample {
	bs_time at;
	int32_t temperature_mc;
};

struct station {
	struct sample history[HISTORY]; /**< ring */
	unsigned n;                     /**< samples ever taken */
	uint16_t interval_s;
	char name[NAME_MAX_LEN + 1];
	struct bsdev_acl *acl; /**< the owner's access list, NULL = none is kept */
	uint32_t pending;      /**< token of a measurement on demand, 0 = none */
	struct bsdev_timer sample_timer;
	struct bsdev_timer measure_timer;
	const struct bsdev_storage *storage;
	const char *refuse; /**< client id that the owner does not want; NULL = nobody */
	bool quiet;
};

static const char interface_id[] = "6c1f0a1e-8f1b-4f0e-9c53-5f2f4b1c7d10";

static void say(const struct station *st, const char *what, const char *more)
{
	if (st->quiet)
		return;
	printf("bs-weather: %s%s\n", what, more);
	fflush(stdout);
}

static void take_sample(struct station *st, bs_time now)
{
	const int32_t phase = (int32_t)(now / BS_TIME_MS(1000) % 600);
	struct sample *s = &st->history[st->n++ % HISTORY];

	s->at = now;
	s->temperature_mc = 18000 + (phase < 300 ? phase : 600 - phase) * 20;
}

static const struct sample *latest(const struct station *st)
{
	return &st->history[(st->n - 1) % HISTORY];
}

static uint16_t age_s(const struct sample *s, bs_time now)
{
	const bs_time_diff d = BS_TIME_DIFF(now, s->at) / (bs_time_diff)BS_TIME_MS(1000);

	return (uint16_t)(d > 65535 ? 65535 : d);
}

static void on_sample_timer(void *arg, struct bsdev *dev, bs_time now)
{
	struct station *st = arg;

	take_sample(st, now);
	bsdev_timer_start(dev, &st->sample_timer, st->interval_s * 1000u, on_sample_timer, st, now);
}

static void on_measured(void *arg, struct bsdev *dev, bs_time now)
{
	struct station *st = arg;
	uint8_t reply[4];
	uint32_t v;

	take_sample(st, now);
	v = (uint32_t)latest(st)->temperature_mc;
	reply[0] = (uint8_t)(v >> 24);
	reply[1] = (uint8_t)(v >> 16);
	reply[2] = (uint8_t)(v >> 8);
	reply[3] = (uint8_t)v;
	if (bsdev_reply(dev, st->pending, BS_RPC_OK, reply, sizeof(reply)) == BS_ENOENT)
		say(st, "the client did not wait for the measurement", "");
	st->pending = 0;
}

static int answer_weather(const struct station *st, struct bsdev_query *q)
{
	const struct sample *s = latest(st);

	bsdev_write_u32(q, (uint32_t)s->temperature_mc);
	bsdev_write_u16(q, (uint16_t)(400 + s->temperature_mc / 100));
	bsdev_write_u32(q, 101325);
	bsdev_write_u16(q, age_s(s, bsdev_posix_now()));
	return BS_RPC_OK;
}

static int answer_name(const struct station *st, struct bsdev_query *q)
{
	bsdev_write_raw(q, st->name, strlen(st->name));
	return BS_RPC_OK;
}

static int set_name(struct station *st, struct bsdev_query *q)
{
	size_t len;
	const uint8_t *name = bsdev_read_raw(q, &len);

	if (name == NULL)
		return BS_RPC_REQUEST_SHORT;
	if (len > NAME_MAX_LEN || memchr(name, 0, len) != NULL)
		return BS_RPC_REQUEST_LONG;
	if (st->storage != NULL && st->storage->set(st->storage->ctx, "name", name, len) != BS_OK)
		return BS_RPC_DEVICE_ERROR;
	memcpy(st->name, name, len);
	st->name[len] = '\0';
	return answer_name(st, q);
}

static int set_interval(struct station *st, struct bsdev *dev, struct bsdev_query *q)
{
	const uint16_t seconds = bsdev_read_u16(q);

	if (seconds < 1 || seconds > 3600)
		return BS_RPC_FORBIDDEN;
	st->interval_s = seconds;
	bsdev_timer_start(dev, &st->sample_timer, seconds * 1000u, on_sample_timer, st,
			  bsdev_posix_now());
	bsdev_write_u16(q, seconds);
	return BS_RPC_OK;
}

static int answer_history(const struct station *st, struct bsdev_query *q)
{
	const bs_time now = bsdev_posix_now();
	unsigned count = bsdev_read_u8(q);
	const size_t mark = bsdev_write_list(q);

	if (count > st->n)
		count = st->n;
	if (count > HISTORY)
		count = HISTORY;
	for (unsigned i = 0; i < count; i++) {
		const struct sample *s = &st->history[(st->n - 1 - i) % HISTORY];

		bsdev_write_u16(q, age_s(s, now));
		bsdev_write_u32(q, (uint32_t)s->temperature_mc);
	}
	bsdev_write_list_end(q, mark, (uint16_t)count);
	return BS_RPC_OK;
}

static int measure(struct station *st, struct bsdev *dev, struct bsdev_query *q)
{
	if (st->pending != 0)
		return BS_RPC_BUSY;
	st->pending = bsdev_query_token(q);
	bsdev_timer_start(dev, &st->measure_timer, MEASURE_MS, on_measured, st, bsdev_posix_now());
	return BSDEV_PENDING;
}

static int answer_caller(struct bsdev_query *q)
{
	struct bsdev_peer peer;

	bsdev_query_peer(q, &peer);
	bsdev_write_raw(q, peer.client_id, peer.client_id_len);
	bsdev_write_raw(q, peer.fingerprint, peer.fingerprint != NULL ? BS_FP_LEN : 0);
	return BS_RPC_OK;
}

static int answer_interface(struct bsdev_query *q)
{
	bsdev_write_raw(q, interface_id, sizeof(interface_id) - 1);
	bsdev_write_u16(q, 1);
	bsdev_write_u16(q, 0);
	return BS_RPC_OK;
}

static int on_query(void *ctx, struct bsdev *dev, uint32_t id, struct bsdev_query *q)
{
	struct station *st = ctx;

	if (st->acl != NULL && id != Q_INTERFACE) {
		struct bsdev_peer peer;
		const int code = bsdev_acl_query(st->acl, dev, id, q);

		if (code != BSDEV_ACL_OTHER)
			return code;
		bsdev_query_peer(q, &peer);
		if (!bsdev_acl_may(st->acl, &peer, 0))
			return BS_RPC_FORBIDDEN;
	}
	switch (id) {
	case Q_INTERFACE: return answer_interface(q);
	case Q_WEATHER: return answer_weather(st, q);
	case Q_GET_NAME: return answer_name(st, q);
	case Q_SET_NAME: return set_name(st, q);
	case Q_SET_INTERVAL: return set_interval(st, dev, q);
	case Q_HISTORY: return answer_history(st, q);
	case Q_MEASURE: return measure(st, dev, q);
	case Q_CALLER: return answer_caller(q);
	default: return BS_RPC_UNKNOWN_QUERY;
	}
}

static bool on_access(void *ctx, struct bsdev *dev, const struct bsdev_peer *peer)
{
	const struct station *st = ctx;

	(void)dev;
	if (st->acl != NULL && !bsdev_acl_access(st->acl, peer))
		return false;
	if (st->refuse == NULL)
		return true;
	return peer->client_id_len != strlen(st->refuse) ||
	       memcmp(peer->client_id, st->refuse, peer->client_id_len) != 0;
}

static const uint8_t *on_pair(void *ctx, struct bsdev *dev, const uint8_t *id)
{
	const struct station *st = ctx;

	(void)dev;
	return st->acl != NULL ? bsdev_acl_pair(st->acl, id) : NULL;
}

static void on_state(void *ctx, struct bsdev *dev, enum bsdev_state state, int status)
{
	static const char *const names[] = { "off", "attaching", "attached" };
	static const char *const why[] = {
		"",
		" (the basestation's answer was malformed)",
		" (wrong check sum)",
		" (the basestation's answer could not be decrypted)",
		" (attached, but no keep-alive came)",
		" (the attach server does not answer)",
		" (the controller does not answer)",
		" (the name lookup failed)",
		" (the basestation answered somebody else's invite)",
		" (the basestation holds another secret)",
	};

	(void)dev;
	say(ctx, names[state], status > 0 && status < 10 ? why[status] : "");
}

static void on_connection(void *ctx, struct bsdev *dev, const struct bsdev_peer *peer, bool open)
{
	char who[BS_CLIENT_ID_MAX + 1] = "";

	(void)dev;
	if (peer->client_id_len > 0)
		memcpy(who, peer->client_id, peer->client_id_len);
	say(ctx, open ? "client connected: " : "client gone: ", who);
}

/** Set by main before the signals can come; handlers have no other way to it. */
static struct bsdev_posix *volatile running;

static void on_signal(int sig)
{
	if (sig == SIGUSR1 || sig == SIGUSR2)
		bsdev_posix_request_switch(running, sig == SIGUSR2);
	else
		bsdev_posix_stop(running);
}

/** The handler reaches the device through running, so it must go before the device does. */
static void set_signals(void (*handler)(int))
{
	struct sigaction sa;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = handler;
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
}

/** Hold the signals back until there is a device that they can speak to. */
static void hold_signals(bool hold)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

static int hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/** Read 32 hexadecimal digits from a file; false with a message when that fails. */
static bool read_secret(const char *path, uint8_t *secret)
{
	FILE *f = fopen(path, "re");
	char line[64] = "";

	if (f == NULL) {
		fprintf(stderr, "bs-weather: %s: %s\n", path, strerror(errno));
		return false;
	}
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	fclose(f);
	for (size_t i = 0; i < BS_PSK_LEN; i++) {
		const int hi = hex_digit(line[2 * i]),
			  lo = hi < 0 ? -1 : hex_digit(line[2 * i + 1]);

		if (lo < 0) {
			fprintf(stderr,
				"bs-weather: %s: the first line must be 32 hexadecimal "
				"digits, as bsctl device add --secret-file writes it\n",
				path);
			return false;
		}
		secret[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static void usage(FILE *to)
{
	fputs("usage: bs-weather --id ID --secret-file FILE [options]\n"
	      "  --id ID              device id, as registered with the basestation\n"
	      "  --secret-file FILE   32 hexadecimal digits\n"
	      "  --legacy             attach without a secret, if the library can\n"
	      "  --controller HOST    where the basestation is (default: look the id up)\n"
	      "  --port PORT          its controller port (default 5566)\n"
	      "  --dns IP[:PORT],...  name servers instead of the system's\n"
	      "  --bind IP            local address\n"
	      "  --state FOLDER       remember name, master switch and users there\n"
	      "  --local              answer on the local network, too\n"
	      "  --local-port PORT    its UDP port (default 5570); implies --local\n"
	      "  --local-plain        also connections in the clear; implies --local\n"
	      "  --pairing-secret-file FILE\n"
	      "                       keep an access list; clients that know the text in the\n"
	      "                       first line may pair on the local network; implies --local\n"
	      "  --refuse CLIENT      the owner refuses this client\n"
	      "  --alive-ms MS        keep-alive timer, for tests (default 13000)\n"
	      "  --extensions BITS    extensions to offer (default: all that are built in)\n"
	      "  --off                start with the master switch off\n"
	      "  --quiet              say nothing\n"
	      "Signals: USR1 switches off, USR2 switches on, TERM ends.\n",
	      to);
}

static bool parse_number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	errno = 0;
	*out = strtoul(text, &end, 0);
	if (errno == 0 && end != text && *end == '\0' && *out <= max)
		return true;
	fprintf(stderr, "bs-weather: \"%s\" is not a number from 0 to %lu\n", text, max);
	return false;
}

struct arguments {
	struct bsdev_conf conf;
	struct bsdev_posix_conf posix;
	struct bsdev_storage storage;
	struct station station;
	struct bsdev_local_conf local;
	struct bsdev_acl acl;
	struct bsdev_acl_conf acl_conf;
	char pairing_secret[128];
	uint8_t secret[BS_PSK_LEN];
	bool has_secret;
};

/** Read the text that is printed on the device; it protects every later pairing. */
static bool read_pairing_secret(struct arguments *a, const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = a->pairing_secret;

	if (f == NULL) {
		fprintf(stderr, "bs-weather: %s: %s\n", path, strerror(errno));
		return false;
	}
	if (fgets(text, sizeof(a->pairing_secret), f) == NULL)
		text[0] = '\0';
	fclose(f);
	text[strcspn(text, "\r\n")] = '\0';
	if (strlen(text) < 8 || strlen(text) > 64) {
		fprintf(stderr, "bs-weather: %s: the first line must be 8 to 64 characters\n",
			path);
		return false;
	}
	a->acl_conf.pairing_secret = text;
	a->posix.local = &a->local;
	a->local.allow |= BSDEV_LOCAL_PSK;
	return true;
}

/** Options of the local network. */
static bool set_local(struct arguments *a, int opt, const char *arg)
{
	unsigned long n;

	a->posix.local = &a->local;
	a->local.allow |= BSDEV_LOCAL_DISCOVERY;
	switch (opt) {
	case 'P':
		if (!parse_number(arg, 65535, &n))
			return false;
		a->local.port = (uint16_t)n;
		return true;
	case 'C': a->local.allow |= BSDEV_LOCAL_PLAIN; return true;
	case 'S': return read_pairing_secret(a, arg);
	default: return true;
	}
}

static bool set_option(struct arguments *a, int opt, const char *arg)
{
	unsigned long n;

	switch (opt) {
	case 'i': a->conf.id = arg; return true;
	case 's': return a->has_secret = read_secret(arg, a->secret);
	case 'l': a->conf.secret = NULL; return true;
	case 'c': a->conf.controller = arg; return true;
	case 'd': a->posix.dns_servers = arg; return true;
	case 'b': a->posix.bind_address = arg; return true;
	case 'r': a->station.refuse = arg; return true;
	case 'o': return a->conf.start_off = true;
	case 'q': return a->station.quiet = true;
	case 't':
		bsdev_posix_storage(&a->storage, arg);
		a->conf.storage = a->station.storage = &a->storage;
		return true;
	case 'p':
		if (!parse_number(arg, 65535, &n))
			return false;
		a->conf.controller_port = (uint16_t)n;
		return true;
	case 'a':
		if (!parse_number(arg, 60000, &n))
			return false;
		a->conf.alive_ms = (uint16_t)n;
		return true;
	case 'e':
		if (!parse_number(arg, UINT32_MAX, &n))
			return false;
		a->conf.extensions = (uint32_t)n;
		return true;
	case 'L':
	case 'P':
	case 'C':
	case 'S': return set_local(a, opt, arg);
	default: return false;
	}
}

static bool parse_arguments(struct arguments *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "id", required_argument, NULL, 'i' },
		{ "secret-file", required_argument, NULL, 's' },
		{ "legacy", no_argument, NULL, 'l' },
		{ "controller", required_argument, NULL, 'c' },
		{ "port", required_argument, NULL, 'p' },
		{ "dns", required_argument, NULL, 'd' },
		{ "bind", required_argument, NULL, 'b' },
		{ "state", required_argument, NULL, 't' },
		{ "refuse", required_argument, NULL, 'r' },
		{ "alive-ms", required_argument, NULL, 'a' },
		{ "extensions", required_argument, NULL, 'e' },
		{ "local", no_argument, NULL, 'L' },
		{ "local-port", required_argument, NULL, 'P' },
		{ "local-plain", no_argument, NULL, 'C' },
		{ "pairing-secret-file", required_argument, NULL, 'S' },
		{ "off", no_argument, NULL, 'o' },
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
	if (a->conf.id == NULL || a->has_secret == (a->conf.secret == NULL) || optind != argc) {
		usage(stderr);
		return false;
	}
	return true;
}

static void load_name(struct station *st)
{
	bs_ssize n = BS_ENOENT;

	if (st->storage != NULL)
		n = st->storage->get(st->storage->ctx, "name", (uint8_t *)st->name, NAME_MAX_LEN);
	if (n >= 0 && n <= NAME_MAX_LEN)
		st->name[n] = '\0';
	else
		snprintf(st->name, sizeof(st->name), "garden");
}

/** The owner's list, when there is a secret to pair with. */
static bool open_list(struct arguments *a)
{
	int err;

	if (a->acl_conf.pairing_secret == NULL)
		return true;
	a->acl_conf.device_id = a->conf.id;
	a->acl_conf.device_name = a->station.name;
	a->acl_conf.device_type = "bs-weather";
	a->acl_conf.pair_plain = (a->local.allow & BSDEV_LOCAL_PLAIN) != 0;
	a->acl_conf.storage = a->conf.storage;
	err = bsdev_acl_init(&a->acl, &a->acl_conf);
	if (err != BS_OK) {
		fprintf(stderr,
			"bs-weather: the access list cannot be read (%s); remove \"acl\" from the "
			"state folder to start anew\n",
			bs_strerror(err));
		return false;
	}
	a->station.acl = &a->acl;
	a->conf.pair = on_pair;
	a->local.key = bsdev_acl_key;
	a->local.ctx = &a->acl;
	return true;
}

int main(int argc, char **argv)
{
	struct arguments a;
	struct bsdev_posix *p = NULL;
	int err;

	memset(&a, 0, sizeof(a));
	a.conf.version = "1.0";
	a.conf.extensions = BS_EXT_IP6 | BS_EXT_ATTEMPT | BS_EXT_CLOSE | BS_EXT_GCM |
			    BS_EXT_FAST_STREAM | BS_EXT_PAIR | BS_EXT_PATH;
	a.conf.connections = 10;
	a.conf.secret = a.secret;
	a.conf.query = on_query;
	a.conf.access = on_access;
	a.conf.state = on_state;
	a.conf.connection = on_connection;
	a.conf.ctx = &a.station;
	a.station.interval_s = 10;
	if (!parse_arguments(&a, argc, argv))
		return 2;
	load_name(&a.station);
	if (!open_list(&a))
		return 1;
	hold_signals(true);
	err = bsdev_posix_new(&a.conf, &a.posix, &p);
	if (err != BS_OK) {
		fprintf(stderr, "bs-weather: cannot start (%s)%s\n", bs_strerror(err),
			a.conf.secret == NULL ? "; --legacy needs a library configured with "
						"--enable-legacy"
			: err == BS_EIO && a.posix.local != NULL
				? "; is the local port taken? --local-port chooses another"
				: "");
		return 1;
	}
	running = p;
	set_signals(on_signal);
	hold_signals(false);
	on_sample_timer(&a.station, bsdev_posix_device(p), bsdev_posix_now());
	err = bsdev_posix_run(p);
	set_signals(SIG_IGN);
	bsdev_posix_free(p);
	return err == BS_OK ? 0 : 1;
}
