/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bs-weather - a small sensor on libbasestation-device: readable and writable values, a list, a
 * query that takes a while, an access rule, and the master switch on two signals.
 *
 * The weather is made up (a slow triangle wave), everything else is how a product would do it.
 * bs-weather.xml describes the queries.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

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
	uint32_t pending; /**< token of a measurement on demand, 0 = none */
	struct bsdev_timer sample_timer;
	struct bsdev_timer measure_timer;
	struct example ex;
	const char *refuse; /**< client id that the owner does not want; NULL = nobody */
};

static const char interface_id[] = "6c1f0a1e-8f1b-4f0e-9c53-5f2f4b1c7d10";

static void say(const struct station *st, const char *what, const char *more)
{
	if (st->ex.quiet)
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

static int store_name(const struct station *st, const uint8_t *name, size_t len)
{
	const struct bsdev_storage *storage = st->ex.conf.storage;

	return storage == NULL ? BS_OK : storage->set(storage->ctx, "name", name, len);
}

static int set_name(struct station *st, struct bsdev_query *q)
{
	size_t len;
	const uint8_t *name = bsdev_read_raw(q, &len);

	if (name == NULL)
		return BS_RPC_REQUEST_SHORT;
	if (len > NAME_MAX_LEN || memchr(name, 0, len) != NULL)
		return BS_RPC_REQUEST_LONG;
	if (store_name(st, name, len) != BS_OK)
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

	int code = BSDEV_ACL_OTHER;

	/* What the queries are is no secret. */
	if (id != Q_INTERFACE)
		code = example_query(&st->ex, dev, id, q);
	if (code != BSDEV_ACL_OTHER)
		return code;
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
	if (!example_access(&st->ex, peer))
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
	return example_pair(&st->ex, id);
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

static void usage(FILE *to)
{
	fputs("usage: bs-weather --id ID --secret-file FILE [options]\n" EXAMPLE_USAGE
	      "  --legacy             attach without a secret, if the library can\n"
	      "  --refuse CLIENT      the owner refuses this client\n"
	      "  --off                start with the master switch off\n"
	      "Signals: USR1 switches off, USR2 switches on, TERM ends.\n",
	      to);
}

/** Options that only this device has. */
enum {
	OPT_LEGACY = EXAMPLE_OWN,
	OPT_REFUSE,
	OPT_OFF,
};

static bool set_option(struct station *st, int opt, char *arg)
{
	switch (opt) {
	case OPT_LEGACY: st->ex.conf.secret = NULL; return true;
	case OPT_REFUSE: st->refuse = arg; return true;
	case OPT_OFF: return st->ex.conf.start_off = true;
	default: return example_option(&st->ex, opt, arg);
	}
}

static bool parse_arguments(struct station *st, int argc, char **argv)
{
	static const struct option options[] = {
		{ "legacy", no_argument, NULL, OPT_LEGACY },
		{ "refuse", required_argument, NULL, OPT_REFUSE },
		{ "off", no_argument, NULL, OPT_OFF },
		EXAMPLE_OPTIONS,
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			exit(0);
		}
		if (!set_option(st, opt, optarg))
			return false;
	}
	if (!example_is_complete(&st->ex) || optind != argc) {
		usage(stderr);
		return false;
	}
	return true;
}

static void load_name(struct station *st)
{
	const struct bsdev_storage *storage = st->ex.conf.storage;
	bs_ssize n = BS_ENOENT;

	if (storage != NULL)
		n = storage->get(storage->ctx, "name", (uint8_t *)st->name, NAME_MAX_LEN);
	if (n >= 0 && n <= NAME_MAX_LEN)
		st->name[n] = '\0';
	else
		snprintf(st->name, sizeof(st->name), "garden");
}

static void set_hooks(struct station *st)
{
	struct bsdev_conf *conf = &st->ex.conf;

	conf->connections = 10;
	conf->query = on_query;
	conf->access = on_access;
	conf->state = on_state;
	conf->connection = on_connection;
	conf->ctx = st;
	st->interval_s = 10;
}

int main(int argc, char **argv)
{
	struct station st;
	struct bsdev_posix *p = NULL;
	int err;

	memset(&st, 0, sizeof(st));
	example_init(&st.ex, "bs-weather");
	set_hooks(&st);
	if (!parse_arguments(&st, argc, argv))
		return 2;
	load_name(&st);
	if (!example_open_list(&st.ex, st.name, "bs-weather"))
		return 1;
	st.ex.conf.pair = st.ex.has_list ? on_pair : NULL;
	hold_signals(true);
	err = bsdev_posix_new(&st.ex.conf, &st.ex.posix, &p);
	if (err != BS_OK) {
		fprintf(stderr, "bs-weather: cannot start (%s)%s\n", bs_strerror(err),
			st.ex.conf.secret == NULL ? "; --legacy needs a library configured with "
						    "--enable-legacy"
			: err == BS_EIO && st.ex.posix.local != NULL
				? "; is the local port taken? --local-port chooses another"
				: "");
		return 1;
	}
	running = p;
	set_signals(on_signal);
	hold_signals(false);
	on_sample_timer(&st, bsdev_posix_device(p), bsdev_posix_now());
	err = bsdev_posix_run(p);
	set_signals(SIG_IGN);
	bsdev_posix_free(p);
	return err == BS_OK ? 0 : 1;
}
