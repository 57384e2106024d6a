/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-nat [RUNS [CLIENT:DEVICE [SEED]]] - all pairs of NAT kinds, printed as TAP.
 *
 * 5 runs a pair unless given, 200 where BS_FULL is set.  With a pair that one only, run by run.
 */
#include "nat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS      5
#define RUNS_FULL 200
/* "At the first attempt": within this time after the basestation's answer. */
#define DIRECT_MS 10000

static const char *const kinds[] = { "open",   "full",        "restricted",     "port",
				     "random", "short",       "preserve",       "firewall",
				     "double", "sym-address", "sym-next",       "sym-open",
				     "sym",    "adr-full",    "adr-restricted", "sym-restricted" };
/* With these every mapping has met every filtering. */
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* What was seen of one pair, or of a class of pairs. */
struct tally {
	unsigned runs;
	unsigned direct;
	unsigned failed;
	char failure[200];
};

/* What is asked for, in percent. */
enum want {
	WANT_NOTHING = 0, /* relayed is fine */
	WANT_SYMMETRIC = 90,
	WANT_DIRECT = 97,
};

static enum want want_of(const char *client, const char *device)
{
	bool c = world_symmetric(client), d = world_symmetric(device);

	if (!strcmp(client, "blocked") || (c && d))
		return WANT_NOTHING;
	return c || d ? WANT_SYMMETRIC : WANT_DIRECT;
}

static bool is_direct(const struct world *w)
{
	return w->direct_at && BS_TIME_DIFF_MS(BS_TIME_DIFF(w->direct_at, w->started)) < DIRECT_MS;
}

static void play(struct world *w, struct world_conf c, unsigned runs, struct tally *t)
{
	uint32_t first = c.seed;
	unsigned i;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < runs; i++) {
		c.seed = first + i;
		/* Every third device is a stock one. */
		c.stock = i % 3 == 2;
		t->runs++;
		if (world_play(w, &c)) {
			t->direct += is_direct(w);
			continue;
		}
		if (!t->failed++)
			(void)snprintf(t->failure, sizeof(t->failure), "seed %u: %s",
				       (unsigned)c.seed, w->failure);
	}
}

static int report(unsigned n, const char *what, const struct tally *t, unsigned want)
{
	bool ok = !t->failed && t->direct * 100 >= t->runs * want;

	printf("%sok %u - %s: %u of %u direct, %u failed%s%s\n", ok ? "" : "not ", n, what,
	       t->direct, t->runs, t->failed, t->failed ? ": " : "", t->failure);
	return !ok;
}

static void add(struct tally *sum, const struct tally *t)
{
	sum->runs += t->runs;
	sum->direct += t->direct;
}

/* One line a pair.  Five runs are too few for a share: then it is asked of all pairs together, and
 * of each that not all of its runs were relayed. */
static int pairs(struct world *w, unsigned runs, unsigned *n)
{
	static const char *const clients[] = { "blocked" };
	struct tally sum[WANT_DIRECT + 1];
	struct world_conf c = { 0 };
	struct tally t;
	int bad = 0;
	size_t i, k;

	memset(sum, 0, sizeof(sum));
	for (i = 0; i < N_KINDS + 1; i++) {
		for (k = 0; k < N_KINDS; k++) {
			char name[64];
			enum want want;

			c.client = i < N_KINDS ? kinds[i] : clients[0];
			c.device = kinds[k];
			c.seed = (uint32_t)(i * 100000 + k * 1000);
			want = want_of(c.client, c.device);
			play(w, c, runs, &t);
			add(&sum[want], &t);
			(void)snprintf(name, sizeof(name), "client %s, device %s", c.client,
				       c.device);
			bad += report(++*n, name, &t, runs >= RUNS_FULL ? want : want / 2);
		}
	}
	bad += report(++*n, "neither side symmetric", &sum[WANT_DIRECT], WANT_DIRECT);
	bad += report(++*n, "one side symmetric", &sum[WANT_SYMMETRIC], WANT_SYMMETRIC);
	return bad;
}

/* Both behind one box. */
static int together(struct world *w, unsigned runs, unsigned *n)
{
	struct world_conf c = { .seed = 9000000 };
	struct tally t;
	int bad = 0;

	c.same = "port";
	play(w, c, runs, &t);
	bad += report(++*n, "one NAT without hairpinning", &t, WANT_NOTHING);
	if (t.direct) {
		printf("# direct without a way: the model is wrong\n");
		bad++;
	}
	c.same = "hairpin";
	play(w, c, runs, &t);
	bad += report(++*n, "one NAT with hairpinning", &t, WANT_DIRECT);
	c.same = "port";
	c.lan = true;
	play(w, c, runs, &t);
	bad += report(++*n, "one LAN", &t, WANT_DIRECT);
	return bad;
}

/* A pair of the command line, run by run. */
static int single(struct world *w, unsigned runs, char *pair, uint32_t seed)
{
	struct world_conf c = { 0 };
	char *colon = strchr(pair, ':');
	int bad = 0;
	unsigned i;

	if (colon) {
		*colon = '\0';
		c.client = pair;
		c.device = colon + 1;
	} else {
		c.same = pair;
	}
	for (i = 0; i < runs; i++) {
		bool ok;

		c.seed = seed + i;
		c.stock = i % 3 == 2;
		ok = world_play(w, &c);
		bad += !ok;
		printf("%s seed %u%s: first %d ms, direct %d ms, %zu packets, %zu relayed %s\n",
		       ok ? "ok" : "BAD", (unsigned)c.seed, c.stock ? " stock" : "",
		       BS_TIME_DIFF_MS(BS_TIME_DIFF(w->first_at, w->started)),
		       w->direct_at ? BS_TIME_DIFF_MS(BS_TIME_DIFF(w->direct_at, w->started)) : -1,
		       w->sent, w->server.relayed, w->failure);
	}
	return bad;
}

int main(int argc, char **argv)
{
	unsigned runs = getenv("BS_FULL") ? RUNS_FULL : RUNS;
	struct world *w = calloc(1, sizeof(*w));
	unsigned n = 0;
	int bad;

	if (!w)
		return EXIT_FAILURE;
	if (argc > 1)
		runs = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2) {
		bad = single(w, runs, argv[2], argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 1);
	} else {
		bad = pairs(w, runs, &n);
		bad += together(w, runs, &n);
		printf("1..%u\n", n);
	}
	free(w);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
