/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reattach [DEVICES [RATE [SVG]]] - everybody comes back at once after an outage: devices of the
 * real core, half of them stock and half with extension RETRY, against the server's pace.
 *
 * They notice within one interval of their keepalives that the server is gone, one after the other,
 * and ask for it as their schedule says.  After two minutes it is there again: that is second 0.
 * Its controller answers at the pace, tells those who understand it when to come, and is silent to
 * the others; who was answered asks the attach server, and counts as back.  Every packet takes 40
 * ms.  Three runs: without a pace, with it, and with it in a crowd of stock devices only.
 *
 * Prints TAP, a table of each run in text bars, and with a third argument the same as an SVG.
 * BS_FULL=1 plays a hundred thousand devices.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/small.h"
#include "proto/attach_device.h"
#include "server/pace.h"
#include "util/endpoint.h"
#include "wire/invite.h"

enum {
	STEP_MS = 10,
	ONE_WAY_STEPS = 4,
	SECOND_MS = 1000,
	SECONDS_MAX = 900,
	OUTAGE_MS = 120000,
	NOTICED_MS = 10000,
	SERVER_IP = 0x0A000001,
	CONTROLLER = 5566,
	ATTACH = 5562,
	BARS = 40,
	RUNS = 3,
};

/** What happened in one second. */
struct second {
	uint32_t invites;
	uint32_t answered;
	uint32_t told; /* to come later */
	uint32_t back;
};

struct device {
	struct bs_attach_device core;
	struct bs_device_conf conf;
	uint8_t waiting[64]; /* an answer on its way; everybody has one question at a time */
	uint8_t len;
	uint32_t arrives;
	uint32_t invites;
	uint32_t back_ms; /* 0 = not yet */
	uint32_t starts;  /* when it noticed */
	bool on;
	char id[20];
};

struct run {
	const char *name;
	uint32_t n;
	uint32_t rate;
	uint32_t stock_of_4; /* how many of four devices are stock */
	uint32_t now;        /* the server is there from OUTAGE_MS on */
	uint32_t left;
	uint32_t last_ms; /* when the last one was back */
	struct pace_result {
		uint32_t peak;      /* answers in the busiest second */
		uint32_t most[2];   /* invites of one device: stock, extended */
		uint64_t total[2];  /* of all */
		uint32_t number[2]; /* devices */
	} res;
	struct second second[SECONDS_MAX];
	struct device *dev;
	struct bs_pace pace;
};

static struct bs_crypto crypto;
static struct bs_device_ops ops;
static uint32_t seed = 2463534242u;
static const uint8_t psk[BS_PSK_LEN] = { 7 };

static uint32_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static int fill(void *ctx, uint8_t *buf, size_t len)
{
	(void)ctx;
	while (len--)
		*buf++ = (uint8_t)draw();
	return BS_OK;
}

static struct bs_endpoint endpoint(uint32_t ip, uint16_t port)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, ip, port);
	return ep;
}

static bool is_extended(const struct device *d)
{
	return d->conf.ext_offer != 0;
}

static struct second *second_of(struct run *r)
{
	return &r->second[(r->now - OUTAGE_MS) / SECOND_MS];
}

/* ---- the controller ---- */

static bs_ssize answer(struct run *r, const struct bs_invite *inv, struct device *d)
{
	struct second *sec = second_of(r);
	const struct bs_invite_answer yes = { .seq = inv->seq,
					      .server = endpoint(SERVER_IP, ATTACH),
					      .observed = endpoint(0x0B000001, 4096) };
	struct bs_invite_notice later = { .seq = inv->seq, .has_retry = true };
	bool keeps = inv->has_ext && (inv->ext & BS_EXT_RETRY);

	if (bs_pace_take(&r->pace, keeps, draw(), r->now, &later.retry_ms)) {
		sec->answered++;
		return bs_invite_answer_encode(d->waiting, sizeof(d->waiting), &yes);
	}
	if (!keeps)
		return 0;
	sec->told++;
	return bs_invite_notice_encode(d->waiting, sizeof(d->waiting), &later);
}

static void take_invite(struct run *r, struct device *d, const uint8_t *buf, size_t len)
{
	struct bs_packet p;
	struct bs_invite inv;
	bs_ssize n;

	if (r->now < OUTAGE_MS)
		return;
	if (bs_packet_decode(buf, len, &p) != BS_OK)
		abort();
	/* A device that got no answer reports that too. */
	if (p.h.type != BS_TYPE_U_INVITE)
		return;
	if (bs_invite_decode(&p, &inv) != BS_OK)
		abort();
	if (inv.nonce.len > 0) {
		/* The attach server: what follows is not what this is about. */
		second_of(r)->back++;
		d->back_ms = r->now + 1;
		r->last_ms = r->now - OUTAGE_MS;
		r->left--;
		bs_attach_stop(&d->core);
		return;
	}
	second_of(r)->invites++;
	d->invites++;
	n = answer(r, &inv, d);
	d->len = n > 0 ? (uint8_t)n : 0;
	/* there and back */
	d->arrives = r->now + 2 * ONE_WAY_STEPS * STEP_MS;
}

/* ---- devices ---- */

static void serve(struct run *r, struct device *d)
{
	uint8_t buf[BS_PACKET_SMALL];
	struct bs_endpoint to;
	uint8_t events;
	size_t len;

	do {
		while (!d->back_ms && (len = bs_attach_output(&d->core, buf, sizeof(buf), &to,
							      BS_TIME_MS(r->now))) > 0)
			if (to.port == CONTROLLER || to.port == ATTACH)
				take_invite(r, d, buf, len);
		events = bs_attach_take_events(&d->core);
		if (!d->back_ms && (events & BS_ATTACH_EV_RESOLVE)) {
			struct bs_endpoint at = endpoint(SERVER_IP, CONTROLLER);

			bs_attach_resolved(&d->core, &at, 1, BS_TIME_MS(r->now));
		}
	} while (events && !d->back_ms);
}

static void step(struct run *r, struct device *d)
{
	struct bs_endpoint from = endpoint(SERVER_IP, CONTROLLER);
	bool has = d->len > 0 && d->arrives <= r->now;
	struct bs_packet p;
	bs_time due;

	if (d->back_ms || r->now < d->starts)
		return;
	if (!d->on) {
		d->on = true;
		bs_attach_start(&d->core, BS_TIME_MS(r->now));
		serve(r, d);
	}
	if (has) {
		if (bs_packet_decode(d->waiting, d->len, &p) != BS_OK ||
		    bs_attach_input(&d->core, &p, d->waiting, &from, BS_TIME_MS(r->now)) != BS_OK)
			abort();
		d->len = 0;
	}
	if (bs_attach_next_timeout(&d->core, &due) && BS_TIME_DIFF(BS_TIME_MS(r->now), due) >= 0) {
		bs_attach_timeout(&d->core, BS_TIME_MS(r->now));
		has = true;
	}
	if (has)
		serve(r, d);
}

static void make(struct run *r, uint32_t i)
{
	struct device *d = &r->dev[i];

	d->conf.id.len = (size_t)snprintf(d->id, sizeof(d->id), "dev%u.test", i);
	d->conf.id.ptr = (const uint8_t *)d->id;
	d->conf.psk = psk;
	d->conf.ops = &ops;
	d->conf.ext_offer = i % 4 < r->stock_of_4 ? 0 : BS_EXT_RETRY;
	bs_attach_init(&d->core, &d->conf, &crypto);
	d->starts = draw() % NOTICED_MS;
}

static void sum_up(struct run *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const struct device *d = &r->dev[i];
		bool x = is_extended(d);

		r->res.number[x]++;
		r->res.total[x] += d->invites;
		if (d->invites > r->res.most[x])
			r->res.most[x] = d->invites;
	}
	for (uint32_t s = 0; s < SECONDS_MAX; s++) {
		if (r->second[s].answered > r->res.peak)
			r->res.peak = r->second[s].answered;
	}
}

static void play(struct run *r)
{
	r->dev = calloc(r->n, sizeof(*r->dev));
	if (!r->dev)
		abort();
	r->left = r->n;
	bs_pace_init(&r->pace, r->rate, 0);
	for (uint32_t i = 0; i < r->n; i++)
		make(r, i);
	for (; r->left > 0 && r->now < OUTAGE_MS + (SECONDS_MAX - 1) * SECOND_MS;
	     r->now += STEP_MS) {
		for (uint32_t i = 0; i < r->n; i++)
			step(r, &r->dev[i]);
	}
	sum_up(r);
	free(r->dev);
	r->dev = NULL;
}

/* ---- what came of it ---- */

static void print_run(const struct run *r)
{
	static const char bar[] = "########################################";
	uint32_t end = r->last_ms / SECOND_MS + 1;
	uint32_t per = end / 24 + 1;
	uint32_t back = 0;

	printf("# %s: %u devices, pace %u/s\n", r->name, r->n, r->rate);
	printf("#  second   asked/s answered/s   told/s     back\n");
	for (uint32_t s = 0; s < end; s += per) {
		struct second sum = { 0, 0, 0, 0 };
		uint32_t len;

		for (uint32_t k = s; k < s + per && k < SECONDS_MAX; k++) {
			sum.invites += r->second[k].invites;
			sum.answered += r->second[k].answered;
			sum.told += r->second[k].told;
			back += r->second[k].back;
		}
		len = r->res.peak ? sum.answered / per * BARS / r->res.peak : 0;
		printf("# %7u %9u %10u %8u %8u  %.*s\n", s, sum.invites / per, sum.answered / per,
		       sum.told / per, back, (int)len, bar);
	}
	printf("#  busiest second %u answers; all back after %u.%u s; invites of a stock device "
	       "%.1f, at most %u; of an extended one %.1f, at most %u\n",
	       r->res.peak, r->last_ms / SECOND_MS, r->last_ms % SECOND_MS / 100,
	       r->res.number[0] ? (double)r->res.total[0] / r->res.number[0] : 0.0, r->res.most[0],
	       r->res.number[1] ? (double)r->res.total[1] / r->res.number[1] : 0.0, r->res.most[1]);
}

static void plot(const char *path, const struct run *run)
{
	static const char *const colour[RUNS] = { "#c33", "#36c", "#393" };
	FILE *f = fopen(path, "w");
	uint32_t end = 1;
	uint32_t top = 1;

	if (!f)
		abort();
	for (int k = 0; k < RUNS; k++) {
		if (run[k].last_ms / SECOND_MS + 2 > end)
			end = run[k].last_ms / SECOND_MS + 2;
		if (run[k].res.peak > top)
			top = run[k].res.peak;
	}
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"420\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"760\" height=\"420\" fill=\"white\"/>\n"
		"<text x=\"60\" y=\"18\">invites answered per second after an outage "
		"(square root scale)</text>\n"
		"<path d=\"M60 30V380H740\" fill=\"none\" stroke=\"black\"/>\n"
		"<text x=\"8\" y=\"40\">%u</text><text x=\"700\" y=\"398\">%u s</text>\n",
		top, end);
	for (int k = 0; k < RUNS; k++) {
		fprintf(f, "<text x=\"420\" y=\"%d\" fill=\"%s\">%s: peak %u/s, back %u s</text>\n",
			50 + 18 * k, colour[k], run[k].name, run[k].res.peak,
			run[k].last_ms / SECOND_MS);
		fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" points=\"", colour[k]);
		for (uint32_t s = 0; s < end && s < SECONDS_MAX; s++) {
			/* the root by bisection: no mathematics library for a picture */
			double want = (double)run[k].second[s].answered / top;
			double low = 0;
			double high = 1;

			for (int i = 0; i < 20; i++) {
				double mid = (low + high) / 2;

				*(mid * mid < want ? &low : &high) = mid;
			}
			fprintf(f, "%.1f,%.1f ", 60 + 680.0 * s / end, 380 - 340 * low);
		}
		fprintf(f, "\"/>\n");
	}
	fprintf(f, "</svg>\n");
	fclose(f);
}

static int ok(int n, bool good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", n, what);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	bool full = getenv("BS_FULL") != NULL;
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : full ? 100000 : 3000;
	uint32_t rate = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : n / 20;
	static struct run run[RUNS];
	uint32_t ideal_ms;
	int bad = 0;

	if (n < 100 || rate < 10) {
		fprintf(stderr, "usage: reattach [DEVICES (100..) [RATE (10..) [SVG]]]\n");
		return 2;
	}
	run[0] = (struct run){ .name = "no pace", .n = n, .rate = 0, .stock_of_4 = 2 };
	run[1] = (struct run){ .name = "paced", .n = n, .rate = rate, .stock_of_4 = 2 };
	run[2] = (struct run){ .name = "paced, all stock", .n = n, .rate = rate, .stock_of_4 = 4 };
	bs_small_crypto_init(&crypto, fill, NULL);
	printf("1..6\n");
	for (int k = 0; k < RUNS; k++) {
		play(&run[k]);
		print_run(&run[k]);
	}
	if (argc > 3)
		plot(argv[3], run);
	ideal_ms = (uint32_t)((uint64_t)n * SECOND_MS / rate);
	bad += ok(1, run[0].left == 0 && run[0].res.peak > 2 * rate,
		  "without a pace the busiest second has twice as many");
	/* two buckets of an eighth of a second may be full when a second begins */
	bad += ok(2, run[1].res.peak <= rate + rate / 4 + 2, "the pace holds in every second");
	bad += ok(3, run[2].res.peak <= rate + rate / 4 + 2, "it holds for stock devices too");
	bad += ok(4, run[1].left == 0 && run[1].last_ms <= 3 * ideal_ms + 60000,
		  "all are back within three times the shortest time and a minute");
	bad += ok(5, run[2].left == 0 && run[2].last_ms <= 6 * ideal_ms + 120000,
		  "stock devices alone within six times and two minutes");
	bad += ok(6, run[1].res.total[1] <= 3 * (uint64_t)run[1].res.number[1],
		  "who keeps appointments asks three times at most on the average");
	return bad ? 1 : 0;
}
