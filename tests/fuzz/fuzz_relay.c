/* SPDX-License-Identifier: Apache-2.0 */
/* The UDP relay without its sockets, driven by a sequence of operations.  First byte even: the
 * client's leg, with answers raw and forged.  Odd: the limiter, with flows that come, wait and go;
 * whatever happens, each byte is charged to a client once. */
#include "fuzz.h"

#include "crypto/small.h"
#include "proto/relay_client.h"
#include "server/relay_limit.h"
#include "util/endpoint.h"

#define NSI   UINT32_C(0x20000001)
#define CP    UINT32_C(0x1234)
#define FLOWS 6
#define MONTH 24300

/* ---- the leg */

static struct bs_endpoint endpoint(uint8_t kind)
{
	struct bs_endpoint ep;

	bs_endpoint_set_ip4(&ep, 0x0A000001u + kind % 3, 5562);
	return ep;
}

static void take_output(struct bs_relay_client *r, bs_time now)
{
	uint32_t before = r->counter;
	uint8_t buf[BS_PROBE_LEN];
	struct bs_endpoint to;
	struct bs_probe p;

	if (bs_relay_client_output(r, buf, sizeof(buf), &to, now) == 0)
		return;
	FUZZ_CHECK(bs_probe_decode(buf, sizeof(buf), &p) == BS_OK);
	FUZZ_CHECK(p.counter == before + 1 && p.sp == NSI && p.index == BS_PROBE_INDEX_RELAY);
	FUZZ_CHECK(bs_relay_client_output(r, buf, sizeof(buf), &to, now) == 0);
}

/* An answer whose numbers may fit. */
static void forge(struct bs_relay_client *r, uint8_t how, bs_time now)
{
	struct bs_probe_answer a = { CP, NSI, (uint16_t)(r->counter + how / 16), endpoint(how) };
	struct bs_endpoint from = endpoint(how / 4);
	uint8_t buf[BS_PROBE_ANSWER_MAX];
	bs_ssize n = bs_probe_answer_encode(&a, buf);
	int err;

	FUZZ_CHECK(n > 0);
	err = bs_relay_client_input(r, buf, (size_t)n, &from, now);
	/* Only an answer to a binding that is under way, from where it went. */
	FUZZ_CHECK(err != BS_OK || (how / 16 == 0 && bs_endpoint_equal(&from, &r->to[r->at])) ||
		   how / 16 != 0);
	(void)fuzz_taken(err);
}

static void run_leg(const uint8_t *data, size_t len)
{
	static const uint8_t key[BS_TOKEN_LEN] = "sixteen byte key";
	struct bs_endpoint ep[3] = { endpoint(0), endpoint(1), endpoint(2) };
	struct bs_relay_client r;
	struct bs_crypto crypto;
	bs_time now = BS_TIME_MS(5);
	bs_time at;

	bs_small_crypto_init(&crypto, NULL, NULL);
	bs_relay_client_init(&r, &crypto, key, NSI, CP);
	for (int i = 0; i < 3; i++)
		bs_relay_client_add(&r, &ep[i]);
	bs_relay_client_start(&r, now);
	for (size_t i = 0; i + 1 < len; i += 2) {
		uint8_t v = data[i + 1];

		switch (data[i] % 7) {
		case 0: now += BS_TIME_MS(v * 100u); break;
		case 1:
			if (bs_relay_client_next_timeout(&r, &at) && BS_TIME_DIFF(at, now) > 0)
				now = at;
			break;
		case 2: forge(&r, v, now); break;
		case 3:
			(void)fuzz_taken(
				bs_relay_client_input(&r, data + i, len - i, &ep[v % 3], now));
			break;
		case 4: bs_relay_client_rebind(&r, now); break;
		case 5: bs_relay_client_rest(&r, v & 1, now); break;
		default:
			if (v & 1)
				bs_relay_client_stop(&r);
			else
				bs_relay_client_start(&r, now);
			break;
		}
		bs_relay_client_timeout(&r, now);
		take_output(&r, now);
		FUZZ_CHECK(!bs_relay_client_endpoint(&r) || r.running);
		(void)bs_relay_client_take_events(&r);
	}
	bs_relay_client_fini(&r);
}

/* ---- the limiter */

struct world {
	struct bs_relay_limit *l;
	struct bs_relay_flow flow[FLOWS];
	uint32_t waiting[FLOWS][2];
	uint64_t carried;
	uint64_t charged;
	uint32_t now_ms;
};

static bool resume(void *ctx, struct bs_relay_flow *f, enum bs_relay_dir dir)
{
	struct world *w = ctx;
	size_t i = (size_t)(f - w->flow);

	for (; w->waiting[i][dir] > 0; w->waiting[i][dir]--) {
		if (bs_relay_account(w->l, f, dir, 500, w->now_ms) != BS_RELAY_PASS)
			return true;
		w->carried += 500;
	}
	return false;
}

static void end(void *ctx, struct bs_relay_flow *f, enum bs_relay_end why)
{
	struct world *w = ctx;
	size_t i = (size_t)(f - w->flow);

	(void)why;
	bs_relay_flow_close(w->l, f);
	w->waiting[i][0] = w->waiting[i][1] = 0;
}

static void store(struct world *w)
{
	struct bs_relay_payer c;
	uint64_t bytes;
	uint32_t pos = 0;

	while (bs_relay_limit_unsaved(w->l, &pos, MONTH, &c, &bytes))
		w->charged += bytes;
}

static void open_flow(struct world *w, size_t i, uint8_t v)
{
	static const struct bs_relay_flow_ops ops = { .resume = resume, .end = end };
	static const uint8_t ca[32];
	const char name[2] = { (char)('a' + v % 3), 0 };
	struct bs_relay_who who = { name, 1, ca, 1u + v / 4 % 3 };

	int err = BS_OK;

	if (!w->flow[i].open)
		err = bs_relay_flow_open(w->l, &w->flow[i], &who, &ops, w, w->now_ms, MONTH);
	FUZZ_CHECK(err == BS_OK || (err == BS_EFULL && !w->flow[i].open));
}

static void operate(struct world *w, uint8_t op, uint8_t v)
{
	size_t i = v % FLOWS;
	enum bs_relay_dir dir = v & 0x80 ? BS_RELAY_DOWN : BS_RELAY_UP;

	switch (op % 6) {
	case 0: open_flow(w, i, v); break;
	case 1: end(w, &w->flow[i], BS_RELAY_END_IDLE); break;
	case 2:
		for (uint8_t n = op / 8; w->flow[i].open && n > 0; n--) {
			if (bs_relay_account(w->l, &w->flow[i], dir, 500, w->now_ms) ==
			    BS_RELAY_PASS)
				w->carried += 500;
			else
				w->waiting[i][dir]++;
		}
		break;
	case 3: w->now_ms += v; break;
	case 4:
		bs_relay_limit_run(w->l, w->now_ms);
		bs_relay_limit_sweep(w->l, w->now_ms, MONTH);
		break;
	default: store(w); break;
	}
}

static void run_limiter(const uint8_t *data, size_t len)
{
	static const struct bs_relay_limit_ops none;
	struct bs_relay_limit_conf conf = { .max_flows = data[0] % FLOWS, .idle_s = 2 };
	struct world w;

	memset(&w, 0, sizeof(w));
	conf.when_full = (enum bs_relay_when_full)(data[1] % 3);
	conf.conn.v[0] = data[2] * 100u;
	conf.client.v[1] = data[3] * 100u;
	conf.device.v[0] = data[4] * 100u;
	conf.node.v[1] = data[5] * 100u;
	conf.degraded.v[0] = conf.degraded.v[1] = 1000;
	conf.client_month = data[6] * 1000u;
	w.l = bs_relay_limit_new(&conf, FLOWS, &none);
	FUZZ_CHECK(w.l != NULL);
	for (size_t i = 7; i + 1 < len; i += 2)
		operate(&w, data[i], data[i + 1]);
	for (size_t i = 0; i < FLOWS; i++)
		bs_relay_flow_close(w.l, &w.flow[i]);
	store(&w);
	FUZZ_CHECK(w.charged == w.carried);
	bs_relay_limit_free(w.l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 8 || len > 4096)
		return 0;
	if (data[0] & 1)
		run_limiter(data + 1, len - 1);
	else
		run_leg(data + 1, len - 1);
	return 0;
}
