/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/** A code with its word, the class of what to do, and for people the reason and the remedy. */
struct code_row {
	uint32_t code;
	int err;
	const char *name;
	const char *text;
};

/* clang-format off */
static const struct code_row codes[] = {
	{ BSC_OK, BS_OK, "ok", "no error" },
	{ BS_ST_OK, BS_OK, "accepted", "accepted" },
	{ BS_ST_CLOSED, BS_ECLOSED, "closed", "closed" },
	{ BS_ST_PENDING, BS_EAGAIN, "pending", "being worked on" },
	{ BS_ST_ERROR, BS_EPROTO, "error", "failed, no reason given; the server's log knows more" },
	{ BS_ST_SERVER_UNKNOWN, BS_EUNREACH, "server-unknown", "server unknown; check its name" },
	{ BS_ST_SERVER_CERT, BS_EAUTH, "server-certificate", "server certificate not accepted" },
	{ BS_ST_CLIENT_CERT, BS_EAUTH, "client-certificate",
	  "client certificate not accepted; ask the operator for a new one" },
	{ BS_ST_REFUSED_DEVICE, BS_EPERM, "refused-by-device",
	  "the device refused this client; its owner must admit it" },
	{ BS_ST_PROTOCOL, BS_EPROTO, "protocol", "protocol versions differ; update this program" },
	{ BS_ST_CERT_ID, BS_EAUTH, "certificate-identity",
	  "certificate carries no usable identity; ask the operator for a new one" },
	{ BS_ST_NOT_ATTACHED, BS_EUNREACH, "not-attached",
	  "device is not online; check its power and network" },
	{ BS_ST_ENCRYPTION, BS_EREFUSED, "encryption", "device and server disagree on encryption" },
	{ BS_ST_BUSY, BS_EFULL, "busy", "all connections of the device are in use; try later" },
	{ BS_ST_CANNOT_ANSWER, BS_EREFUSED, "cannot-answer", "request cannot be answered" },
	{ BS_ST_REATTACHING, BS_EAGAIN, "reattaching",
	  "device is registering again; try in a few seconds" },
	{ BS_ST_SELF_SIGNED, BS_EAUTH, "self-signed", "self-signed client certificate refused" },
	{ BS_ST_REFUSED, BS_EPERM, "refused",
	  "no such device, or this client may not reach it; ask the operator for access" },
	{ BS_ST_ABORTED, BS_EAGAIN, "aborted", "the attempt was aborted; try again" },
	{ BS_ST_KEY_ID, BS_EAUTH, "key-id", "unknown key id" },
	{ BS_ST_CAPABILITY, BS_EREFUSED, "capability", "a capability is missing" },
	{ BS_ST_WRONG_KEY, BS_EAUTH, "wrong-key", "wrong key" },
	{ BS_ST_RATE, BS_ERATE, "rate-limited", "too many requests; try later" },
	{ BS_ST_DRAINING, BS_EDRAIN, "draining", "the server is being emptied; try again" },
	{ BS_ST_MALFORMED, BS_EPROTO, "malformed", "the server did not understand the request" },
	{ BS_ST_VERSION, BS_EVERSION, "version",
	  "the server speaks no version of the protocol that we do; update one of them" },
	{ BS_ST_RELAY_FULL, BS_EFULL, "relay-full", "the relay is full; try later" },
	{ BS_ST_CURSOR, BS_EAGAIN, "cursor-expired", "the list changed; list again" },
	{ BSC_INTERNAL, BS_EINTERNAL, "internal", "internal failure" },
	{ BSC_USAGE, BS_EINVAL, "usage", "wrong argument" },
	{ BSC_CANCELLED, BS_ECLOSED, "cancelled", "closed by this program" },
	{ BSC_TIMEOUT, BS_ETIMEDOUT, "timeout", "took too long" },
	{ BSC_RESOLVE_NAME, BS_EUNREACH, "no-such-host", "name does not exist" },
	{ BSC_RESOLVE_FAILED, BS_EUNREACH, "name-service", "name service failed" },
	{ BSC_TCP_REFUSED, BS_EUNREACH, "tcp-refused", "nobody listens there" },
	{ BSC_TCP_FAILED, BS_EUNREACH, "tcp-failed", "not reachable" },
	{ BSC_LOST, BS_EUNREACH, "lost", "session with the basestation was lost" },
	{ BSC_TLS_FAILED, BS_EAUTH, "tls-failed", "TLS handshake failed" },
	{ BSC_TLS_PROTOCOL, BS_EPROTO, "tls-protocol", "no common TLS version, or no basestation" },
	{ BSC_SERVER_EXPIRED, BS_EAUTH, "server-expired", "server certificate has expired" },
	{ BSC_SERVER_NOT_YET, BS_EAUTH, "server-not-yet-valid",
	  "server certificate is not valid yet" },
	{ BSC_SERVER_NAME, BS_EAUTH, "server-name", "server certificate is for another name" },
	{ BSC_SERVER_UNKNOWN_CA, BS_EAUTH, "server-unknown-ca", "server's CA is not trusted" },
	{ BSC_SERVER_SELF_SIGNED, BS_EAUTH, "server-self-signed",
	  "server certificate is self-signed" },
	{ BSC_SERVER_REVOKED, BS_EAUTH, "server-revoked", "server certificate is revoked" },
	{ BSC_SERVER_PIN, BS_EAUTH, "server-pin", "server's key is not the pinned one" },
	{ BSC_SERVER_BAD, BS_EAUTH, "server-bad", "server certificate is not usable" },
	{ BSC_SERVER_CRL, BS_EAUTH, "server-crl", "revocation list missing or out of date" },
	{ BSC_CLIENT_REFUSED, BS_EAUTH, "client-refused", "server refused our certificate" },
	{ BSC_CLIENT_EXPIRED, BS_EAUTH, "client-expired", "our certificate has expired" },
	{ BSC_CLIENT_REVOKED, BS_EAUTH, "client-revoked", "our certificate is revoked" },
	{ BSC_CLIENT_UNKNOWN_CA, BS_EAUTH, "client-unknown-ca",
	  "server does not know the CA of our certificate" },
	{ BSC_CLIENT_MISSING, BS_EAUTH, "client-missing", "server wants a client certificate" },
	{ BSC_CLIENT_DENIED, BS_EPERM, "client-denied", "server denies access to this client" },
	{ BSC_CLIENT_SIGN, BS_EAUTH, "client-sign", "signing with our key failed" },
	{ BSC_REDIRECTS, BS_EPROTO, "redirects", "too many redirects" },
	{ BSC_PROTOCOL, BS_EPROTO, "server-protocol", "the server broke the protocol" },
	{ BSC_NO_PATH, BS_EUNREACH, "no-path", "no direct path to the device opened" },
	{ BSC_NO_LOCAL, BS_EUNREACH, "no-local", "no answer on the local network" },
	{ BSC_SILENT, BS_ETIMEDOUT, "silent", "the device fell silent" },
	{ BSC_DEVICE_CLOSED, BS_ECLOSED, "device-closed", "the other side closed the connection" },
	{ BSC_EXCEPTION, BS_EREFUSED, "exception", "the device answered with an exception" },
	{ BSC_NO_ANSWER, BS_ETIMEDOUT, "no-answer", "the device did not answer the query" },
	{ BSC_QUERY, BS_EPROTO, "query", "answer does not fit the query interface file" },
	{ BSC_STREAM_REFUSED, BS_EREFUSED, "stream-refused", "the device takes no more streams" },
	{ BSC_STREAM_RESET, BS_ECLOSED, "stream-reset", "the device cut the stream" },
	{ BSC_STREAM_LOST, BS_ETIMEDOUT, "stream-lost", "the stream is not acknowledged any more" },
	{ BSC_TUNNEL_NO_SERVICE, BS_EREFUSED, "no-service",
	  "target not allowed by the device, or nobody listens there" },
};

static const struct {
	uint32_t code;
	const char *name;
} exceptions[] = {
	{ BS_RPC_NOT_READY, "BS_RPC_NOT_READY" },
	{ BS_RPC_FORBIDDEN, "BS_RPC_FORBIDDEN" },
	{ BS_RPC_REQUEST_SHORT, "BS_RPC_REQUEST_SHORT" },
	{ BS_RPC_REQUEST_LONG, "BS_RPC_REQUEST_LONG" },
	{ BS_RPC_UNKNOWN_QUERY, "BS_RPC_UNKNOWN_QUERY" },
	{ BS_RPC_REPLY_LONG, "BS_RPC_REPLY_LONG" },
	{ BS_RPC_BUSY, "BS_RPC_BUSY" },
	{ BS_RPC_DEVICE_ERROR, "BS_RPC_DEVICE_ERROR" },
	{ BS_RPC_NO_QUERY, "BS_RPC_NO_QUERY" },
};
/* clang-format on */

#define N_OF(a) (sizeof(a) / sizeof(a)[0])

static const struct code_row *find_code(uint32_t code)
{
	for (size_t i = 0; i < N_OF(codes); i++)
		if (codes[i].code == code)
			return &codes[i];
	return NULL;
}

/** Length of the UTF-8 sequence at s, or 0 when it is none (RFC 3629, no surrogates). */
static size_t utf8_len(const unsigned char *s, size_t left)
{
	size_t n = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

	if (n == 0 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	/* C1 controls steer terminals as escape sequences do. */
	return s[0] == 0xc2 && s[1] < 0xa0 ? 0 : n;
}

void bsc__printable(char *text, size_t len)
{
	unsigned char *s = (unsigned char *)text;

	for (size_t i = 0; i < len;) {
		size_t n = s[i] >= 0x20 && s[i] < 0x7f ? 1 : utf8_len(s + i, len - i);

		if (n == 0) {
			s[i] = '?';
			n = 1;
		}
		i += n;
	}
}

int bsc__fail(struct bsc_error *e, int err, enum bsc_source source, uint32_t code, const char *fmt,
	      ...)
{
	va_list ap;

	if (e == NULL)
		return err;
	memset(e, 0, sizeof *e);
	e->err = err;
	e->source = source;
	e->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	bsc__printable(e->text, strlen(e->text));
	return err;
}

int bsc__fail_status(struct bsc_error *e, enum bsc_source source, uint16_t status,
		     struct bs_slice text)
{
	const struct code_row *row = find_code(status);
	const char *who = source == BSC_FROM_DEVICE ? "device" : "basestation";
	int err = row != NULL && row->err != BS_OK ? row->err : BS_EREFUSED;
	int n = text.len > 160 ? 160 : (int)text.len;

	if (row == NULL)
		return bsc__fail(e, err, source, status, "%s refused with code 0x%04x%s%.*s", who,
				 (unsigned)status, n > 0 ? ": " : "", n,
				 text.ptr == NULL ? "" : (const char *)text.ptr);
	return bsc__fail(e, err, source, status, "%s: %s%s%.*s%s", who, row->text,
			 n > 0 ? " (" : "", n, text.ptr == NULL ? "" : (const char *)text.ptr,
			 n > 0 ? ")" : "");
}

int bsc__fail_nomem(struct bsc_error *e)
{
	return bsc__fail(e, BS_ENOMEM, BSC_FROM_LIBRARY, BSC_INTERNAL, "out of memory");
}

const char *bsc_code_name(uint32_t code)
{
	const struct code_row *row = find_code(code);

	return row == NULL ? "unknown" : row->name;
}

const char *bsc_rpc_exception_name(uint32_t code)
{
	for (size_t i = 0; i < N_OF(exceptions); i++)
		if (exceptions[i].code == code)
			return exceptions[i].name;
	return "BS_RPC_OTHER";
}

const char *bsc_progress_name(enum bsc_progress step)
{
	static const char *const names[] = { "none",    "resolving",  "handshaking", "asking",
					     "probing", "path found", "closed" };

	return (size_t)step < N_OF(names) ? names[step] : "unknown";
}
