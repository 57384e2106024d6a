/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

struct bs_slice rig_text(const char *s)
{
	return (struct bs_slice){ (const uint8_t *)s, strlen(s) };
}

static void tell(struct told *t, enum bsc_progress step, const struct bsc_error *err)
{
	size_t at = strlen(t->trace);

	t->n++;
	t->step = step;
	memset(&t->err, 0, sizeof t->err);
	if (err != NULL)
		t->err = *err;
	if (at + 1 < sizeof t->trace)
		t->trace[at] = bsc_progress_name(step)[step == BSC_PROBING ? 1 : 0];
}

void rig_on_session(void *arg, struct bsc_session *s, enum bsc_progress step,
		    const struct bsc_error *err)
{
	(void)s;
	tell(arg, step, err);
}

void rig_on_conn(void *arg, struct bsc_conn *c, enum bsc_progress step, const struct bsc_error *err)
{
	(void)c;
	tell(arg, step, err);
}

void rig_init(struct rig *r)
{
	struct bsc__settings set = {
		.host = "base.example",
		.port = 5571,
		.open_timeout_ms = 10000,
		.path_timeout_ms = 6000,
		.rpc_timeout_ms = 30000,
		.keepalive_s = 60,
		.conn_keepalive_ms = 5000,
		.reconnect = true,
		.fn = rig_on_session,
		.arg = &r->session,
	};

	memset(r, 0, sizeof *r);
	r->openssl = bs_openssl_new();
	ck_assert_ptr_nonnull(r->openssl);
	r->now = BS_TIME_MS(1000000);
	bsc__machine_init(&r->m, bs_openssl_crypto(r->openssl), &set);
}

void rig_fini(struct rig *r)
{
	bsc__machine_fini(&r->m);
	bs_openssl_free(r->openssl);
}

void rig_pass(struct rig *r, uint32_t ms)
{
	r->now += BS_TIME_MS(ms);
	bsc__machine_timeout(&r->m, r->now);
	bsc__machine_reap(&r->m);
}

bool rig_sent(struct rig *r)
{
	size_t n = bsc__machine_stream_out(&r->m, r->buf, r->now);

	if (n == 0)
		return false;
	ck_assert_int_eq(bs_packet_decode(r->buf, n, &r->last), BS_OK);
	return true;
}

void rig_expect(struct rig *r, uint8_t type)
{
	ck_assert_msg(rig_sent(r), "nothing was sent, expected type %u", type);
	ck_assert_uint_eq(r->last.h.type, type);
	ck_assert_uint_eq(r->last.h.flags, 0);
}

void rig_bytes(struct rig *r, const uint8_t *b, bs_ssize len)
{
	ck_assert_int_gt(len, 0);
	bsc__machine_bytes(&r->m, b, (size_t)len, r->now);
}

void rig_up(struct rig *r)
{
	bsc__machine_progress(&r->m, BSC_RESOLVING);
	bsc__machine_progress(&r->m, BSC_HANDSHAKING);
	bsc__machine_up(&r->m, r->now);
	rig_expect(r, BS_TYPE_HELLO);
}

void rig_down(struct rig *r, int err, uint32_t code)
{
	struct bsc_error e;

	(void)bsc__fail(&e, err, BSC_FROM_NETWORK, code, "the test cut the cable");
	bsc__machine_down(&r->m, &e, r->now);
}

void rig_hello(struct rig *r)
{
	struct bs_gate_hello_answer a = {
		.h = { .cp = r->last.h.nsi_cp, .sp = 0x77000001, .seq = r->last.h.seq },
		.status = { .code = BS_ST_OK },
		.n_probes = 2,
		.node = { .port = 5571, .host = rig_text("node1.example") },
		.params = { .has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) |
				   BS_PARAM_BIT(BS_PARAM_SERVER_TIME) |
				   BS_PARAM_BIT(BS_PARAM_PACKET_MAX) |
				   BS_PARAM_BIT(BS_PARAM_VERSIONS),
			    .keepalive_s = 40,
			    .server_time_ms = 1767323045000,
			    .packet_max = 4096,
			    .version_min = 1,
			    .version_max = 1 },
	};
	uint8_t buf[BS_GATE_PACKET_MAX];

	memset(a.token, 0x5a, sizeof a.token);
	bs_endpoint_set_ip4(&a.probes[0], 0xc0000201, 5566);
	bs_endpoint_set_ip4(&a.probes[1], 0xc0000201, 5562);
	bs_endpoint_set_ip4(&a.observed, 0xcb007105, 40001);
	rig_bytes(r, buf, bs_gate_hello_answer_encode(&a, buf, sizeof buf));
}

void rig_open(struct rig *r)
{
	bsc__machine_open(&r->m, r->now);
	rig_up(r);
	rig_hello(r);
	ck_assert_int_eq(r->m.state, BSC_SESSION_OPEN);
}

void rig_refuse(struct rig *r, uint16_t code, const char *text, uint32_t retry_ms)
{
	struct bs_status_text st = { .code = code, .text = rig_text(text) };
	struct bs_params p = { .has = retry_ms > 0 ? BS_PARAM_BIT(BS_PARAM_RETRY_AFTER) : 0,
			       .retry_after_ms = retry_ms };
	struct bs_gate_head h = { .cp = r->last.h.nsi_cp, .seq = r->last.h.seq };
	uint8_t buf[BS_GATE_PACKET_MAX];
	bs_ssize n;

	if (r->last.h.type == BS_TYPE_HELLO) {
		struct bs_gate_hello_answer a = { .h = h, .status = st, .params = p };

		n = bs_gate_hello_answer_encode(&a, buf, sizeof buf);
	} else {
		struct bs_gate_connect_answer a = { .h = h, .status = st, .params = p };
		struct bs_payload at;

		ck_assert(bs_payload_find(&r->last, BS_PL_ATTEMPT, &at));
		memcpy(a.attempt, at.data, sizeof a.attempt);
		n = bs_gate_connect_answer_encode(&a, buf, sizeof buf);
	}
	rig_bytes(r, buf, n);
}

void rig_list(struct rig *r, uint16_t code, const char *const *rows, const char *cursor)
{
	struct bs_gate_head h = { .cp = r->last.h.nsi_cp, .seq = r->last.h.seq };
	struct bs_status_text st = { .code = code };
	uint8_t buf[BS_GATE_PACKET_MAX];
	struct bs_writer w;

	bs_gate_list_answer_begin(&w, buf, sizeof buf, r->last.h.type, &h, &st);
	for (uint64_t k = 0; rows != NULL && rows[k] != NULL; k++) {
		const char *colon = strchr(rows[k], ':');
		struct bs_presence p = {
			.event = 100 + k,
			.since_ms = 5000 + k,
			.state = (uint8_t)(colon[1] - '0'),
			.id = { (const uint8_t *)rows[k], (size_t)(colon - rows[k]) },
		};

		bs_presence_put(&w, &p);
	}
	rig_bytes(r, buf, bs_gate_list_answer_end(&w, rig_text(cursor)));
}
