/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "net/tls_internal.h"

/** What the handshake failed with, when no callback of ours said so already. */
static enum bs_tls_refusal refusal_of_error(unsigned long code)
{
	if (ERR_GET_LIB(code) != ERR_LIB_SSL)
		return BS_TLS_REFUSED_HANDSHAKE;
	switch (ERR_GET_REASON(code)) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_WRONG_VERSION_NUMBER: return BS_TLS_REFUSED_VERSION;
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return BS_TLS_REFUSED_NO_CERT;
	case SSL_R_NO_APPLICATION_PROTOCOL: return BS_TLS_REFUSED_ALPN;
	default: return BS_TLS_REFUSED_HANDSHAKE;
	}
}

static void count_refusal(struct bs_tls *t)
{
	if (t->counted)
		return;
	t->counted = true;
	t->srv->stats.refused[t->refusal]++;
}

/** Turn the outcome of an SSL call that did not succeed into a code. */
static int code_of(struct bs_tls *t, int ret)
{
	int why = SSL_get_error(t->ssl, ret);

	t->wants_write = why == SSL_ERROR_WANT_WRITE;
	switch (why) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: return BS_EAGAIN;
	case SSL_ERROR_ZERO_RETURN: return BS_ECLOSED;
	default: break;
	}
	/* After SYSCALL and SSL errors OpenSSL forbids further calls on the object. */
	t->broken = true;
	if (t->eof || why == SSL_ERROR_SYSCALL)
		return BS_ECLOSED;
	return BS_EPROTO;
}

int bs_tls_handshake(struct bs_tls *t)
{
	if (t->done)
		return BS_OK;
	if (t->broken)
		return BS_ECLOSED;
	ERR_clear_error();
	OSSL_LIB_CTX *before = bs__tls_lib_enter(&t->srv->lib);

	bs__tls_share_begin(t);
	int ret = SSL_do_handshake(t->ssl);

	bs__tls_share_end(t);
	bs__tls_lib_leave(&t->srv->lib, before);

	if (ret == 1) {
		struct bs_tls_stats *st = &t->srv->stats;

		t->done = true;
		t->counted = true;
		t->peer.resumed = SSL_session_reused(t->ssl) == 1;
		if (t->peer.resumed)
			st->resumed++;
		else
			st->full++;
		return BS_OK;
	}
	unsigned long reason = ERR_peek_error();
	int err = code_of(t, ret);

	if (err == BS_EAGAIN)
		return err;
	if (t->refusal == BS_TLS_REFUSED_NONE)
		t->refusal = reason ? refusal_of_error(reason) : BS_TLS_REFUSED_HANDSHAKE;
	count_refusal(t);
	ERR_clear_error();
	if (err == BS_ECLOSED)
		return err;
	return t->refusal == BS_TLS_REFUSED_HANDSHAKE ? BS_EPROTO : BS_EAUTH;
}

bs_ssize bs_tls_read(struct bs_tls *t, uint8_t *buf, size_t cap)
{
	size_t n = 0;

	if (t->broken || !t->done)
		return BS_ECLOSED;
	ERR_clear_error();
	if (SSL_read_ex(t->ssl, buf, cap, &n) == 1)
		return (bs_ssize)n;
	int err = code_of(t, 0);

	ERR_clear_error();
	return err;
}

bs_ssize bs_tls_write(struct bs_tls *t, const uint8_t *buf, size_t len)
{
	size_t n = 0;

	if (t->broken || !t->done)
		return BS_ECLOSED;
	ERR_clear_error();
	if (SSL_write_ex(t->ssl, buf, len, &n) == 1)
		return (bs_ssize)n;
	int err = code_of(t, 0);

	ERR_clear_error();
	return err;
}

void bs_tls_close(struct bs_tls *t)
{
	if (t->broken || !t->done)
		return;
	ERR_clear_error();
	/* One call sends our part; the peer's is not waited for. */
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

bool bs_tls_wants_write(const struct bs_tls *t)
{
	return t->wants_write;
}

bool bs_tls_is_resumption(const struct bs_tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}

bool bs_tls_has_pending(const struct bs_tls *t)
{
	return !t->broken && SSL_has_pending(t->ssl) == 1;
}

const struct bs_tls_peer *bs_tls_peer_get(const struct bs_tls *t)
{
	return &t->peer;
}

enum bs_tls_refusal bs_tls_refusal(const struct bs_tls *t)
{
	return t->refusal;
}

const char *bs_tls_version(const struct bs_tls *t)
{
	return SSL_get_version(t->ssl);
}

const char *bs_tls_refusal_text(enum bs_tls_refusal r)
{
	static const char *const text[BS_TLS_REFUSED_N] = {
		[BS_TLS_REFUSED_NONE] = "not refused",
		[BS_TLS_REFUSED_NO_CERT] = "presented no certificate",
		[BS_TLS_REFUSED_UNTRUSTED] = "certificate does not lead to a client CA",
		[BS_TLS_REFUSED_EXPIRED] = "certificate has expired",
		[BS_TLS_REFUSED_NOT_YET] = "certificate is not valid yet",
		[BS_TLS_REFUSED_REVOKED] = "certificate or client is revoked",
		[BS_TLS_REFUSED_WEAK_KEY] = "key is too short",
		[BS_TLS_REFUSED_KEY_TYPE] = "key is neither RSA nor ECDSA",
		[BS_TLS_REFUSED_KEY_USAGE] = "certificate is not for client authentication",
		[BS_TLS_REFUSED_CHAIN] = "certificate chain is too long or not readable",
		[BS_TLS_REFUSED_ALPN] = "did not offer protocol basestation/1",
		[BS_TLS_REFUSED_VERSION] = "TLS version is too old",
		[BS_TLS_REFUSED_HANDSHAKE] = "handshake failed",
	};

	return (unsigned)r < BS_TLS_REFUSED_N ? text[r] : "unknown refusal";
}
