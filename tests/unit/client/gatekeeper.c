/* SPDX-License-Identifier: Apache-2.0 */
#include "gatekeeper.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

void gatekeeper_init(struct gatekeeper *g, const struct server_opts *o)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof in;

	memset(g, 0, sizeof *g);
	server_init(&g->tls, o);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	g->fd = -1;
	g->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(g->listener, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(listen(g->listener, 8), 0);
	ck_assert_int_eq(getsockname(g->listener, (struct sockaddr *)&in, &len), 0);
	g->port = ntohs(in.sin_port);
}

void gatekeeper_drop(struct gatekeeper *g)
{
	if (g->fd >= 0)
		(void)close(g->fd);
	g->fd = -1;
}

void gatekeeper_fini(struct gatekeeper *g)
{
	gatekeeper_drop(g);
	(void)close(g->listener);
	server_fini(&g->tls);
}

static void send_packet(struct gatekeeper *g, const uint8_t *buf, bs_ssize len)
{
	ck_assert_int_gt(len, 0);
	ck_assert_int_eq(SSL_write(g->tls.ssl, buf, len), len);
}

static void answer(struct gatekeeper *g, const struct bs_packet *p)
{
	struct bs_gate_head h = { .cp = p->h.nsi_cp, .seq = p->h.seq };
	uint8_t buf[BS_GATE_PACKET_MAX];

	if (p->h.type == BS_TYPE_HELLO) {
		struct bs_gate_hello_answer a = { .h = h,
						  .status = { .code = BS_ST_OK },
						  .n_probes = 1,
						  .node = { .port = 1, .host = rig_text("here") } };

		a.params.has = BS_PARAM_BIT(BS_PARAM_KEEPALIVE) |
			       BS_PARAM_BIT(BS_PARAM_SERVER_TIME) |
			       BS_PARAM_BIT(BS_PARAM_PACKET_MAX) | BS_PARAM_BIT(BS_PARAM_VERSIONS);
		a.params.keepalive_s = 60;
		a.params.packet_max = BS_GATE_PACKET_MAX;
		a.params.version_min = a.params.version_max = BS_GATE_VERSION;
		bs_endpoint_set_ip4(&a.probes[0], 0x7f000001, 9);
		bs_endpoint_set_ip4(&a.observed, 0x7f000001, 40001);

		g->hellos++;
		send_packet(g, buf, bs_gate_hello_answer_encode(&a, buf, sizeof buf));
	} else if (p->h.type == BS_TYPE_PING) {
		send_packet(g, buf, bs_gate_ping_encode(&h, true, buf, sizeof buf));
	} else if (p->h.type == BS_TYPE_LIST) {
		struct bs_presence row = { .state = 1, .id = rig_text("dev1.example") };
		struct bs_status_text ok = { .code = BS_ST_OK };
		struct bs_writer w;

		bs_gate_list_answer_begin(&w, buf, sizeof buf, BS_TYPE_LIST, &h, &ok);
		bs_presence_put(&w, &row);
		send_packet(g, buf, bs_gate_list_answer_end(&w, rig_text("")));
	} else if (p->h.type == BS_TYPE_CONNECT) {
		struct bs_gate_connect_answer a = { .h = h, .status = { .code = BS_ST_REFUSED } };
		struct bs_payload at;

		ck_assert(bs_payload_find(p, BS_PL_ATTEMPT, &at));
		memcpy(a.attempt, at.data, sizeof a.attempt);
		send_packet(g, buf, bs_gate_connect_answer_encode(&a, buf, sizeof buf));
	}
}

static void take_packets(struct gatekeeper *g)
{
	int n = SSL_read(g->tls.ssl, g->in + g->in_len, (int)(sizeof g->in - g->in_len));
	struct bs_packet p;
	bs_ssize len;

	if (n > 0)
		g->in_len += (size_t)n;
	while (!g->deaf && (len = bs_gate_frame_len(g->in, g->in_len)) > 0 &&
	       (size_t)len <= g->in_len) {
		ck_assert_int_eq(bs_packet_decode(g->in, (size_t)len, &p), BS_OK);
		answer(g, &p);
		g->in_len -= (size_t)len;
		memmove(g->in, g->in + len, g->in_len);
	}
}

void gatekeeper_pump(struct gatekeeper *g)
{
	uint8_t buf[8192];
	ssize_t n;
	int got;

	if (g->fd < 0) {
		g->fd = accept(g->listener, NULL, NULL);
		if (g->fd < 0)
			return;
		g->accepted++;
		g->in_len = 0;
		server_again(&g->tls);
	}
	if (g->mute)
		return;
	n = recv(g->fd, buf, sizeof buf, MSG_DONTWAIT);
	if (n == 0) {
		gatekeeper_drop(g);
		return;
	}
	if (n > 0)
		ck_assert_int_eq(BIO_write(g->tls.in, buf, (int)n), (int)n);
	if (SSL_do_handshake(g->tls.ssl) == 1)
		take_packets(g);
	while ((got = BIO_read(g->tls.out, buf, sizeof buf)) > 0)
		(void)!send(g->fd, buf, (size_t)got, MSG_NOSIGNAL);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool gatekeeper_turn(struct gatekeeper *g, struct bsc_session *s, const bool *done, int ms)
{
	int64_t end = now_ms() + ms;

	while (!*done && now_ms() < end) {
		struct bsc_fd fds[BSC_FDS_MAX];
		struct pollfd p[BSC_FDS_MAX + 1];
		bs_ssize n = bsc_session_fds(s, fds, BSC_FDS_MAX);
		int32_t due = bsc_session_timeout_ms(s);
		nfds_t k = 0;

		ck_assert_int_ge(n, 0);
		for (; k < (nfds_t)n; k++)
			p[k] = (struct pollfd){ .fd = fds[k].fd, .events = fds[k].events };
		p[k++] = (struct pollfd){ .fd = g->fd >= 0 ? g->fd : g->listener,
					  .events = g->mute && g->fd >= 0 ? 0 : POLLIN };
		(void)poll(p, k, due < 0 || due > 100 ? 100 : due);
		gatekeeper_pump(g);
		ck_assert_int_eq(bsc_session_step(s), BS_OK);
	}
	return *done;
}

void gatekeeper_config(const struct gatekeeper *g, struct bsc_config *cfg)
{
	static const struct cert_opts client = { .cn = "alice", .san = "" };
	struct certs *pki = certs_get();
	X509 *cert = cert_make(pki->rsa, pki->ca, pki->ca_key, &client);

	bsc_config_init(cfg, sizeof *cfg);
	cfg->server = "127.0.0.1";
	cfg->port = g->port;
	cfg->ca_file = cert_file("gk-ca.pem", pki->ca, NULL);
	cfg->cert_file = cert_file("gk-client.pem", cert, NULL);
	cfg->key_file = key_file("gk-client.key", pki->rsa, NULL);
	X509_free(cert);
}
