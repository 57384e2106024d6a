/* SPDX-License-Identifier: Apache-2.0 */
/* Queries without a connection, for devices that know nothing better. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "basestation/client_local.h"
#include "crypto/openssl.h"
#include "error.h"
#include "session.h"
#include "wire/local.h"

enum {
	TRIES = 4,
	PACE_MS = 500,
};

static int fail(struct bsc_error *err, int rc, enum bsc_source from, uint32_t code,
		const char *text)
{
	return bsc__fail(err, rc, from, code, "legacy query: %s", text);
}

/** A socket that hears that device only. */
static int open_towards(const struct bs_endpoint *device)
{
	int family = bs_endpoint_is_ip4(device) ? AF_INET : AF_INET6;
	struct sockaddr_storage ss;
	socklen_t len = bsc__addr_to(device, family, &ss);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)&ss, len) != 0) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

/** The answer with this number, until the next try is due; BS_EAGAIN when none came. */
static int await(int fd, uint32_t seq, uint8_t *pkt, size_t cap, struct bs_legacy_packet *m)
{
	bs_time end = bsc__now() + BS_TIME_MS(PACE_MS);

	for (;;) {
		bs_time_diff left = BS_TIME_DIFF(end, bsc__now());
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (left <= 0)
			return BS_EAGAIN;
		if (poll(&p, 1, BS_TIME_DIFF_MS(left) + 1) < 0 && errno != EINTR)
			return BS_EIO;
		n = recv(fd, pkt, cap, 0);
		/* What is no answer to this question is passed over, a network error too. */
		if (n > 0 && bs_legacy_decode(pkt, (size_t)n, m) == BS_OK && m->seq == seq &&
		    (m->word & ~(uint32_t)BS_LEGACY_ERROR) == BS_LEGACY_RESPONSE)
			return BS_OK;
	}
}

static int exchange(int fd, const uint8_t *req, size_t len, uint8_t *pkt, size_t cap,
		    struct bs_legacy_packet *m, struct bsc_error *err)
{
	struct bs_openssl *o = bs_openssl_new();
	const struct bs_crypto *crypto = o == NULL ? NULL : bs_openssl_crypto(o);
	uint8_t seq[4] = { 0 };
	int rc = crypto == NULL ? BS_ECRYPTO : crypto->random(crypto->ctx, seq, sizeof seq);
	bs_ssize n;

	bs_openssl_free(o);
	if (rc != BS_OK)
		return fail(err, rc, BSC_FROM_LIBRARY, BSC_INTERNAL, "no random numbers");
	for (int k = 0; k < TRIES; k++) {
		*m = (struct bs_legacy_packet){ .word = BS_LEGACY_QUERY,
						.seq = bs_get_u32(seq),
						.body = { req, len } };
		n = bs_legacy_encode(pkt, cap, m);
		if (n > 0)
			(void)!send(fd, pkt, (size_t)n, MSG_NOSIGNAL);
		rc = await(fd, bs_get_u32(seq), pkt, cap, m);
		if (rc != BS_EAGAIN)
			return rc == BS_OK ? BS_OK
					   : fail(err, rc, BSC_FROM_LIBRARY, BSC_INTERNAL,
						  strerror(errno));
	}
	return fail(err, BS_ETIMEDOUT, BSC_FROM_DEVICE, BSC_NO_ANSWER,
		    "no answer; most devices do not answer such queries");
}

int bsc_legacy_rpc_wait(const struct bs_endpoint *device, const uint8_t *req, size_t len,
			uint8_t *buf, size_t cap, size_t *out_len, struct bsc_error *err)
{
	uint8_t pkt[BS_PACKET_MAX];
	struct bs_legacy_packet m;
	int fd, rc;

	if (len < 4 || len > BSC_RPC_REQUEST_SMALL || !bs_endpoint_is_set(device))
		return fail(err, BS_EINVAL, BSC_FROM_CALLER, BSC_USAGE, "query or address is none");
	fd = open_towards(device);
	if (fd < 0)
		return fail(err, BS_EIO, BSC_FROM_LIBRARY, BSC_INTERNAL, strerror(errno));
	rc = exchange(fd, req, len, pkt, sizeof pkt, &m, err);
	(void)close(fd);
	if (rc != BS_OK)
		return rc;
	if (m.word & BS_LEGACY_ERROR)
		return fail(err, BS_EREFUSED, BSC_FROM_DEVICE, BSC_QUERY,
			    "the device refuses it, and does not say why");
	if (m.body.len > cap)
		return fail(err, BS_ETOOBIG, BSC_FROM_CALLER, BSC_USAGE, "the answer is too long");
	if (m.body.len > 0)
		memcpy(buf, m.body.ptr, m.body.len);
	*out_len = m.body.len;
	return BS_OK;
}
