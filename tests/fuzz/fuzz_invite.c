/* SPDX-License-Identifier: Apache-2.0 */
/* U_INVITE: what is taken can be written, and is taken again with the same meaning. */
#include "fuzz.h"
#include "wire/invite.h"

static void invite(const struct bs_packet *p)
{
	uint8_t out[70000];
	struct bs_invite m;
	struct bs_invite again;
	struct bs_packet q;
	bs_ssize n;

	if (!fuzz_taken(bs_invite_decode(p, &m)))
		return;
	n = bs_invite_encode(out, sizeof(out), &m);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_invite_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(m.id.len == again.id.len && m.nonce.len == again.nonce.len);
	FUZZ_CHECK(m.has_ext == again.has_ext && m.ext == again.ext);
	FUZZ_CHECK((m.cookie == NULL) == (again.cookie == NULL));
	FUZZ_CHECK(!m.cookie || memcmp(m.cookie, again.cookie, BS_COOKIE_LEN) == 0);
}

static void notice(const struct bs_packet *p)
{
	uint8_t out[64];
	struct bs_invite_notice m;
	struct bs_invite_notice again;
	struct bs_packet q;
	bs_ssize n;

	if (!fuzz_taken(bs_invite_notice_decode(p, &m)))
		return;
	n = bs_invite_notice_encode(out, sizeof(out), &m);
	FUZZ_CHECK(n > 0 && bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_invite_notice_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(m.has_retry == again.has_retry && m.retry_ms == again.retry_ms);
	FUZZ_CHECK((m.cookie == NULL) == (again.cookie == NULL));
}

static void answer(const struct bs_packet *p)
{
	uint8_t out[2048];
	struct bs_invite_answer m;
	struct bs_invite_answer again;
	struct bs_packet q;
	bs_ssize n;

	if (!fuzz_taken(bs_invite_answer_decode(p, &m)))
		return;
	n = bs_invite_answer_encode(out, sizeof(out), &m);
	if (n < 0)
		return;
	FUZZ_CHECK(bs_packet_decode(out, (size_t)n, &q) == BS_OK);
	FUZZ_CHECK(bs_invite_answer_decode(&q, &again) == BS_OK);
	FUZZ_CHECK(memcmp(m.server.ip, again.server.ip, BS_IP_LEN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *pkt = fuzz_packet(data, len);
	struct bs_packet p;

	if (fuzz_taken(bs_packet_decode(pkt, len, &p))) {
		invite(&p);
		answer(&p);
		notice(&p);
	}
	free(pkt);
	return 0;
}
