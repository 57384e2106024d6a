/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnel commands: in whatever pieces a line comes, it is gathered alike; what is read and can be
 * written is read again as the same.  The first byte is the size of the pieces.
 */
#include "fuzz.h"
#include "wire/tunnel.h"

/** Gather in pieces; the whole goes on until the first piece that ends the line. */
static int gather(struct bs_tunnel_line *l, const uint8_t *data, size_t len, size_t piece)
{
	int rc = BS_EAGAIN;
	size_t at;

	memset(l, 0, sizeof(*l));
	for (at = 0; at < len && rc == BS_EAGAIN; at += piece)
		rc = bs_tunnel_feed(l, data + at, len - at < piece ? len - at : piece);
	FUZZ_CHECK(rc == BS_OK || rc == BS_EAGAIN || rc == BS_ETOOBIG);
	FUZZ_CHECK(l->len < sizeof(l->text));
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t out[BS_TUNNEL_COMMAND_MAX];
	struct bs_tunnel_command again;
	struct bs_tunnel_command c;
	struct bs_tunnel_line whole;
	struct bs_tunnel_line l;
	struct bs_slice line;
	bs_ssize n;
	int rc;

	if (len < 2)
		return 0;
	rc = gather(&l, data + 1, len - 1, data[0] ? data[0] : 1);
	FUZZ_CHECK(gather(&whole, data + 1, len - 1, 1) == rc);
	if (rc != BS_OK)
		return 0;
	FUZZ_CHECK(whole.len == l.len && !memcmp(whole.text, l.text, l.len));
	line.ptr = l.text;
	line.len = l.len;
	if (!fuzz_taken(bs_tunnel_decode(line, &c)) || c.kind == BS_TUNNEL_OTHER)
		return 0;
	n = bs_tunnel_encode(&c, out, sizeof(out));
	FUZZ_CHECK(n > 0 && n <= (bs_ssize)sizeof(out) && out[n - 1] == '\n');
	line.ptr = out;
	line.len = (size_t)n - 1;
	FUZZ_CHECK(bs_tunnel_decode(line, &again) == BS_OK);
	FUZZ_CHECK(c.kind == again.kind && c.port == again.port && c.host.len == again.host.len);
	FUZZ_CHECK(!c.host.len || !memcmp(c.host.ptr, again.host.ptr, c.host.len));
	return 0;
}
