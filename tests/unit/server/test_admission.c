/* SPDX-License-Identifier: Apache-2.0 */
/* Floods of forged invites against devices that keep to their schedule, in simulated time:
 * admission and pending entries are the server's own, arrivals come from a seeded generator, so
 * every run is the same.  BS_FULL=1 repeats it with ten times the flood and the crowd of a million.
 */
#include "server/admission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/pending.h"
#include "suite.h"
#include "util/endpoint.h"

enum {
	TARGET = 7, /* number of the id under attack */
	OTHER = 8,  /* one that is not */
	RTT_MS = 150,
	PENDING = 65536,
	DAY_S = 90000,
};

static const uint8_t key[BS_SIPHASH_KEY_LEN] = { 3, 1, 4, 1, 5 };
static const struct bs_admission_rates rates = { 2000, 20, 200, 10000, 1, 3 };
static struct bs_admission adm;
static struct bs_sketch sketch;
static struct bs_pending pending;
static uint32_t rng;

static uint32_t draw(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 17;
	rng ^= rng << 5;
	return rng;
}

static bool is_full(void)
{
	return getenv("BS_FULL") != NULL;
}

static void open_tables(uint32_t seed)
{
	rng = seed * 2654435761u + 1;
	memset(&sketch, 0, sizeof(sketch));
	ck_assert_int_eq(bs_admission_init(&adm, &sketch, key), BS_OK);
	bs_admission_set(&adm, &rates);
	ck_assert_int_eq(bs_pending_init(&pending, PENDING, key, NULL, NULL), BS_OK);
	bs_pending_set_grace(&pending, 1000);
}

static void close_tables(void)
{
	bs_admission_fini(&adm);
	bs_pending_fini(&pending);
}

/* ---- a device, by its schedule only ---- */

enum stage {
	AT_CONTROLLER,
	AT_SERVER,
	ATTACHED,
	GAVE_UP,
};

struct device {
	struct bs_endpoint ep;
	uint32_t number;
	enum stage stage;
	bool cookie;   /* has the extension */
	bool proven;   /* has a cookie of the server's */
	uint8_t tries; /* of this stage */
	uint32_t next_ms;
	uint8_t nonce[BS_PENDING_NONCE_LEN];
	bool answered; /* the response arrives at next_ms */
};

static const uint32_t gap_ms[2][6] = {
	{ 2000, 4000, 8000, 16000, 32000, 32000 },
	{ 4000, 8000, 16000, 32000, 32000, 32000 },
};

static void new_device(struct device *d, uint32_t number, uint32_t ip, uint32_t start_ms)
{
	memset(d, 0, sizeof(*d));
	bs_endpoint_set_ip4(&d->ep, ip, (uint16_t)(1024 + draw() % 60000));
	d->number = number;
	d->next_ms = start_ms;
	d->nonce[0] = (uint8_t)draw();
	d->nonce[1] = (uint8_t)draw();
}

static bool asks(struct device *d, uint32_t now_ms)
{
	struct bs_ask_for q = { .peer = &d->ep,
				.number = d->number,
				.nonce = { d->nonce, sizeof(d->nonce) },
				.offers_cookie = d->cookie,
				.known = bs_admission_knows(&adm, &d->ep, DAY_S) };

	if (d->stage == AT_SERVER && !d->cookie)
		return bs_admission_stock(&adm, &q, now_ms) == BS_ADMIT;
	if (d->stage == AT_SERVER && d->proven)
		return bs_admission_proven(&adm, &q, now_ms) == BS_ADMIT;
	return bs_admission_stateless(&adm, &q, now_ms) == BS_ADMIT;
}

/* The response reaches the server: it counts when the entry is still there, or none is needed. */
static void respond(struct device *d, uint32_t now_ms)
{
	uint32_t i = d->cookie ? 0
			       : bs_pending_find(&pending, d->number, d->nonce, sizeof(d->nonce),
						 &d->ep);

	d->answered = false;
	if (i == BS_PENDING_NONE) {
		/* It believes to be attached and learns better after 65 s: too late for us. */
		d->stage = GAVE_UP;
		return;
	}
	if (!d->cookie)
		bs_pending_remove(&pending, i);
	d->stage = ATTACHED;
	(void)bs_admission_learn(&adm, &d->ep, bs_admission_knows(&adm, &d->ep, DAY_S), DAY_S,
				 now_ms);
}

static void answered(struct device *d, uint32_t now_ms)
{
	bool known = bs_admission_knows(&adm, &d->ep, DAY_S);

	if (d->stage == AT_CONTROLLER) {
		d->stage = AT_SERVER;
		d->tries = 0;
		d->proven = d->cookie;
		d->next_ms = now_ms + RTT_MS;
	} else if (d->cookie && !d->proven) {
		d->proven = true;
		d->next_ms = now_ms + RTT_MS;
	} else if (d->cookie ||
		   bs_pending_find(&pending, d->number, d->nonce, sizeof(d->nonce), &d->ep) !=
			   BS_PENDING_NONE ||
		   bs_pending_add(&pending, d->number, d->nonce, sizeof(d->nonce), &d->ep, known,
				  now_ms) != BS_PENDING_NONE) {
		d->answered = true;
		d->next_ms = now_ms + RTT_MS;
	}
}

/* Do what is due. */
static void turn(struct device *d, uint32_t now_ms)
{
	while (d->stage < ATTACHED && (int32_t)(now_ms - d->next_ms) >= 0) {
		if (d->answered) {
			respond(d, now_ms);
		} else if (d->tries == 6) {
			d->stage = GAVE_UP;
		} else {
			d->next_ms = now_ms + gap_ms[d->stage == AT_SERVER][d->tries++];
			if (asks(d, now_ms))
				answered(d, now_ms);
		}
	}
}

/* ---- floods ---- */

/* Where the forged invites seem to come from. */
enum flood_from {
	FROM_ANYWHERE,
	FROM_ONE_PREFIX,
	FROM_HOME_PREFIX,
	FROM_HOME_ADDRESS,
	FLOODS,
};

static const char *const flood_name[FLOODS] = { "spoofed sources", "one /24", "the device's /24",
						"the device's address" };

#define HOME UINT32_C(0xC6336407)

static uint32_t flood_ip(enum flood_from from)
{
	switch (from) {
	case FROM_ONE_PREFIX: return UINT32_C(0xCB007100) | (draw() & 255);
	case FROM_HOME_PREFIX: return (HOME & 0xFFFFFF00) | (draw() & 255);
	case FROM_HOME_ADDRESS: return HOME;
	default: return draw();
	}
}

/* One forged invite; n_ids > 1: at any of so many ids from TARGET + 100 on. */
static void forge(enum flood_from from, uint32_t n_ids, bool cookie, uint32_t now_ms)
{
	uint8_t nonce[BS_PENDING_NONCE_LEN] = { 1 };
	struct bs_endpoint ep;
	struct bs_ask_for q = { .peer = &ep, .nonce = { nonce, sizeof(nonce) } };
	uint32_t r = draw();

	bs_endpoint_set_ip4(&ep, flood_ip(from), (uint16_t)(1024 + r % 64000));
	q.number = n_ids > 1 ? TARGET + 100 + draw() % n_ids : TARGET;
	q.known = bs_admission_knows(&adm, &ep, DAY_S);
	memcpy(nonce + 1, &r, sizeof(r));
	q.offers_cookie = cookie;
	if (cookie || (draw() & 1))
		(void)bs_admission_stateless(&adm, &q, now_ms);
	else if (bs_admission_stock(&adm, &q, now_ms) == BS_ADMIT)
		(void)bs_pending_add(&pending, q.number, nonce, sizeof(nonce), &ep, q.known,
				     now_ms);
}

struct attack {
	enum flood_from from;
	uint32_t per_s;
	uint32_t n_ids;
	bool cookie; /* forged invites offer the extension */
};

/* One device's whole series under an attack that began a while before; true when it attached. */
static bool survives(const struct attack *a, struct device *d)
{
	uint32_t now_ms;
	uint32_t sent = 0;

	for (now_ms = 0; d->stage < ATTACHED; now_ms += 5) {
		bs_pending_expire(&pending, now_ms);
		for (; sent < (uint64_t)a->per_s * now_ms / 1000; sent++)
			forge(a->from, a->n_ids, a->cookie, now_ms);
		turn(d, now_ms);
	}
	return d->stage == ATTACHED;
}

/* Of so many devices, how many attached. */
static unsigned runs(const struct attack *a, unsigned n, uint32_t number, bool known, bool cookie)
{
	unsigned ok = 0;
	unsigned i;

	for (i = 0; i < n; i++) {
		struct device d;

		open_tables(i + 1);
		new_device(&d, number, HOME, 3000 + draw() % 2000);
		d.cookie = cookie;
		if (known)
			(void)bs_admission_learn(&adm, &d.ep, true, DAY_S, 0);
		ok += survives(a, &d);
		close_tables();
	}
	return ok;
}

/* A stock id that is the target attaches within its own series more often than not, wherever the
 * forged invites come from, and whether its network is known or not. */
START_TEST(test_a_stock_target)
{
	struct attack a = { (enum flood_from)(_i / 2), is_full() ? 10000 : 1000, 1, false };
	unsigned n = is_full() ? 40 : 10;
	unsigned ok = runs(&a, n, TARGET, _i % 2, false);

	printf("# stock target, %u/s from %s, network %s: %u of %u attached\n", a.per_s,
	       flood_name[a.from], _i % 2 ? "known" : "new", ok, n);
	ck_assert_uint_gt(ok * 2, n);
}
END_TEST

/* One with COOKIE always does, also where the forged invites offer COOKIE too. */
START_TEST(test_a_target_with_cookie)
{
	struct attack a = { (enum flood_from)(_i / 2), is_full() ? 10000 : 1000, 1, _i % 2 };
	unsigned n = is_full() ? 40 : 10;
	unsigned ok = runs(&a, n, TARGET, false, true);

	printf("# target with COOKIE, %u/s from %s: %u of %u attached\n", a.per_s,
	       flood_name[a.from], ok, n);
	ck_assert_uint_eq(ok, n);
}
END_TEST

/* A flood at thousands of ids that exist does no harm to another one, not even next door. */
START_TEST(test_a_bystander)
{
	struct attack a = { (enum flood_from)(_i / 2), is_full() ? 10000 : 1000, 1500, false };
	unsigned n = is_full() ? 40 : 10;
	unsigned ok = runs(&a, n, OTHER, true, _i % 2);

	printf("# bystander, %u/s at %u ids from %s: %u of %u attached\n", a.per_s, a.n_ids,
	       flood_name[a.from], ok, n);
	ck_assert_uint_eq(ok, n);
}
END_TEST

/* What a flood can make the server do is bounded, however many ids and addresses it has. */
START_TEST(test_work_is_bounded)
{
	uint32_t n = is_full() ? 2000000 : 300000;
	uint32_t admitted = 0;
	uint32_t i;

	open_tables(1);
	for (i = 0; i < n; i++) {
		struct bs_endpoint ep;
		struct bs_ask_for q = { .peer = &ep, .number = 1 + draw() % 1000000 };

		bs_endpoint_set_ip4(&ep, draw(), 4000);
		/* 100,000 a second. */
		admitted += bs_admission_stock(&adm, &q, i / 100) == BS_ADMIT;
	}
	printf("# %u invites of a million ids at 100,000/s: %u answered\n", n, admitted);
	ck_assert_uint_le(admitted, rates.strangers * 5 + n / 100 * rates.strangers / 1000 + 1);
	close_tables();
}
END_TEST

/* ---- a crowd ---- */

/* Everybody comes back at once through three addresses that the server has never seen: that is no
 * attack, and each attaches within one series of its own. */
START_TEST(test_a_crowd_behind_few_addresses)
{
	uint32_t n = is_full() ? 1000000 : 20000;
	struct device *d = calloc(n, sizeof(*d));
	uint32_t attached = 0;
	uint32_t gave_up = 0;
	uint32_t now_ms = 0;
	uint32_t step_ms = is_full() ? 250 : 20;
	uint32_t i;

	ck_assert_ptr_nonnull(d);
	open_tables(5);
	for (i = 0; i < n; i++)
		new_device(&d[i], i + 1, HOME + (i % 3) * 256, draw() % 1000);
	for (; attached < n && now_ms < 1200000; now_ms += step_ms) {
		bs_pending_expire(&pending, now_ms);
		for (i = 0; i < n; i++) {
			enum stage before = d[i].stage;

			if (before == ATTACHED)
				continue;
			turn(&d[i], now_ms);
			attached += d[i].stage == ATTACHED;
			if (d[i].stage == GAVE_UP) {
				gave_up++;
				new_device(&d[i], i + 1, HOME + (i % 3) * 256, now_ms + 2000);
			}
		}
	}
	printf("# crowd of %u behind 3 new addresses: all attached after %u s, %u began again\n", n,
	       now_ms / 1000, gave_up);
	ck_assert_uint_eq(attached, n);
	/* At 2000/s for each address; schedules leave gaps of up to 32 s. */
	ck_assert_uint_le(now_ms / 1000, n / 6000 * 2 + 100);
	free(d);
	close_tables();
}
END_TEST

/* ---- single rules ---- */

static struct bs_endpoint at(uint32_t ip, uint16_t port)
{
	struct bs_endpoint ep;

	memset(&ep, 0, sizeof(ep));
	bs_endpoint_set_ip4(&ep, ip, port);
	return ep;
}

START_TEST(test_classes_do_not_share)
{
	struct bs_endpoint ep = at(HOME, 1);
	struct bs_ask_for q = { .peer = &ep, .number = TARGET };
	unsigned i;

	open_tables(1);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(bs_admission_stock(&adm, &q, 0), BS_ADMIT);
	ck_assert_int_eq(bs_admission_stock(&adm, &q, 0), BS_REFUSE_ID);
	q.known = true;
	ck_assert_int_eq(bs_admission_stock(&adm, &q, 0), BS_ADMIT);
	q.known = false;
	ck_assert_int_eq(bs_admission_stateless(&adm, &q, 0), BS_ADMIT);
	ck_assert_int_eq(bs_admission_proven(&adm, &q, 0), BS_ADMIT);
	close_tables();
}
END_TEST

/* Whoever pauses as a device does is heard; whoever hammers is not, and begins anew each time. */
START_TEST(test_patience)
{
	struct bs_endpoint flood = at(HOME, 1);
	struct bs_endpoint dev = at(HOME, 2);
	struct bs_ask_for f = { .peer = &flood, .number = TARGET };
	struct bs_ask_for q = { .peer = &dev, .number = TARGET };
	uint32_t ms;
	unsigned lucky = 0;

	open_tables(1);
	for (ms = 0; ms < 6000; ms += 10)
		lucky += bs_admission_stock(&adm, &f, ms) == BS_ADMIT;
	ck_assert_uint_le(lucky, 3 + 6);
	/* Drained: the device's first packet is refused, and so is one that comes too soon. */
	while (bs_admission_stock(&adm, &f, ms) == BS_ADMIT)
		;
	ck_assert_int_eq(bs_admission_stock(&adm, &q, ms), BS_REFUSE_ID);
	ms += 500;
	while (bs_admission_stock(&adm, &f, ms) == BS_ADMIT)
		;
	ck_assert_int_eq(bs_admission_stock(&adm, &q, ms), BS_REFUSE_ID);
	ms += 3999;
	while (bs_admission_stock(&adm, &f, ms) == BS_ADMIT)
		;
	ck_assert_int_eq(bs_admission_stock(&adm, &q, ms), BS_ADMIT);
	close_tables();
}
END_TEST

/* A device with COOKIE gets its cookie through any flood of the same kind that the work allows, and
 * the work has a bound. */
START_TEST(test_cookies_are_bounded_by_work_only)
{
	struct bs_endpoint ep = at(HOME, 1);
	struct bs_ask_for q = { .peer = &ep, .number = TARGET, .offers_cookie = true };
	uint32_t admitted = 0;
	uint32_t i;

	open_tables(1);
	for (i = 0; i < 10000; i++)
		ck_assert_int_eq(bs_admission_stateless(&adm, &q, i), BS_ADMIT);
	/* Without the offer there is what its endpoint and its address have left. */
	q.offers_cookie = false;
	for (admitted = 0; i < 11000; i++)
		admitted += bs_admission_stateless(&adm, &q, i) == BS_ADMIT;
	ck_assert_uint_le(admitted, rates.address + 2);
	q.offers_cookie = true;
	admitted = 0;
	for (i = 0; i < 200000; i++)
		admitted += bs_admission_stateless(&adm, &q, 20000) == BS_ADMIT;
	ck_assert_uint_ge(admitted, 5 * rates.strangers);
	ck_assert_uint_le(admitted, 5 * rates.strangers + 200);
	close_tables();
}
END_TEST

START_TEST(test_strangers_give_back)
{
	const struct bs_admission_rates few = { 2000, 20, 200, 2, 1000, 1000 };
	struct bs_endpoint ep = at(0, 1);
	struct bs_ask_for q = { .peer = &ep, .number = TARGET };
	unsigned i;

	open_tables(1);
	bs_admission_set(&adm, &few);
	for (i = 0; i < 10; i++) {
		ep = at(i << 8, 1);
		ck_assert_int_eq(bs_admission_stock(&adm, &q, 0), BS_ADMIT);
	}
	ep = at(i << 8, 1);
	ck_assert_int_eq(bs_admission_stock(&adm, &q, 0), BS_REFUSE_STRANGERS);
	ck_assert(bs_admission_learn(&adm, &ep, false, DAY_S, 0));
	ep = at(++i << 8, 1);
	ck_assert_int_eq(bs_admission_stock(&adm, &q, 0), BS_ADMIT);
	ck_assert_int_eq(bs_admission_stock(&adm, &q, 0), BS_ADMIT);
	ck_assert_int_eq(bs_admission_stock(&adm, &q, 0), BS_REFUSE_STRANGERS);
	/* One that was known took nothing. */
	ck_assert(bs_admission_learn(&adm, &ep, true, DAY_S, 0));
	ep = at(++i << 8, 1);
	ck_assert_int_eq(bs_admission_stock(&adm, &q, 0), BS_REFUSE_STRANGERS);
	close_tables();
}
END_TEST

static uint32_t notices(const struct bs_ask_for *q, uint32_t n, uint32_t now_ms)
{
	uint32_t told = 0;

	for (; n > 0; n--)
		told += bs_admission_notice(&adm, q, now_ms);
	return told;
}

/* Words to come back have buckets of their own: by source, and one for all. */
START_TEST(test_notices_are_few)
{
	struct bs_endpoint ep = at(HOME, 1);
	struct bs_ask_for q = { .peer = &ep, .number = TARGET };
	uint32_t told;
	uint32_t i;

	open_tables(1);
	ck_assert_uint_eq(notices(&q, 10000, 0), 5 * rates.address);
	ck_assert_uint_eq(notices(&q, 10000, 1000), rates.address);
	/* nothing is taken from those who are answered */
	ck_assert_int_eq(bs_admission_stock(&adm, &q, 1000), BS_ADMIT);
	ck_assert_int_eq(bs_admission_stateless(&adm, &q, 1000), BS_ADMIT);
	/* its neighbours have what the prefix has left */
	for (told = 0, i = 2; i < 250; i++) {
		ep = at((HOME & ~UINT32_C(0xFF)) + i, 1);
		told += notices(&q, 100, 1000);
	}
	ck_assert_uint_ge(told, 4 * rates.prefix);
	ck_assert_uint_le(told, 5 * rates.prefix);
	/* and all sources together what strangers have */
	for (told = 0, i = 0; i < 4 * rates.strangers; i++) {
		ep = at(HOME + (i << 8), 1);
		told += notices(&q, 1, 3000);
	}
	ck_assert_uint_le(told, rates.strangers);
	ck_assert_uint_ge(told, rates.strangers - 1);
	close_tables();
}
END_TEST

/* However little the others may be told, a network that is known has its own rate. */
START_TEST(test_notices_of_a_crowd)
{
	struct bs_endpoint ep = at(HOME, 1);
	struct bs_ask_for q = { .peer = &ep, .number = TARGET, .known = true };

	open_tables(1);
	ck_assert_uint_eq(notices(&q, 20000, 0), 5 * rates.known);
	close_tables();
}
END_TEST

/* No wait is longer than the device's own first gaps, and who was refused for its id comes back
 * as one who is patient. */
START_TEST(test_waits)
{
	struct bs_endpoint flood = at(HOME, 1);
	struct bs_endpoint dev = at(HOME, 2);
	struct bs_ask_for f = { .peer = &flood, .number = TARGET };
	struct bs_ask_for q = { .peer = &dev, .number = TARGET };
	uint32_t ms = 0;
	unsigned i;

	open_tables(1);
	for (i = 0; i < 1000; i++) {
		uint32_t w = bs_admission_wait((enum bs_verdict)(1 + i % 5), draw());

		ck_assert_uint_ge(w, 4000);
		ck_assert_uint_lt(w, 1 + i % 5 == BS_REFUSE_ID ? 8000 : 16000);
	}
	for (i = 0; i < 20; i++) {
		/* a new attempt, which nobody remembers */
		dev.port++;
		while (bs_admission_stock(&adm, &f, ms) == BS_ADMIT)
			;
		ck_assert_int_eq(bs_admission_stock(&adm, &q, ms), BS_REFUSE_ID);
		ms += bs_admission_wait(BS_REFUSE_ID, draw());
		while (bs_admission_stock(&adm, &f, ms) == BS_ADMIT)
			;
		ck_assert_int_eq(bs_admission_stock(&adm, &q, ms), BS_ADMIT);
		ms += 20000;
	}
	close_tables();
}
END_TEST

Suite *bs_suite_admission(void);

Suite *bs_suite_admission(void)
{
	Suite *s = suite_create("admission");
	TCase *t = tcase_create("rules");
	TCase *sim = tcase_create("floods");

	tcase_add_test(t, test_classes_do_not_share);
	tcase_add_test(t, test_patience);
	tcase_add_test(t, test_cookies_are_bounded_by_work_only);
	tcase_add_test(t, test_strangers_give_back);
	tcase_add_test(t, test_notices_are_few);
	tcase_add_test(t, test_notices_of_a_crowd);
	tcase_add_test(t, test_waits);
	suite_add_tcase(s, t);
	tcase_set_timeout(sim, 600);
	tcase_add_loop_test(sim, test_a_stock_target, 0, 2 * FLOODS);
	tcase_add_loop_test(sim, test_a_target_with_cookie, 0, 2 * FLOODS);
	tcase_add_loop_test(sim, test_a_bystander, 0, 2 * FLOODS);
	tcase_add_test(sim, test_work_is_bounded);
	tcase_add_test(sim, test_a_crowd_behind_few_addresses);
	suite_add_tcase(s, sim);
	return s;
}
