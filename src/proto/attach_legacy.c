/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/attach_legacy.h"

#include <string.h>

#include "proto/attach_device.h"
#include "wire/packet.h"

uint32_t bs_legacy_sum(uint32_t sum, const uint8_t *buf, size_t len)
{
	while (len--)
		sum += *buf++;
	return sum;
}

/* Filler, one zero byte, then the number without leading zero bytes; nothing of it for 0. */
void bs_legacy_put(uint8_t *out, uint8_t filler, uint32_t sum)
{
	uint8_t i = BS_VERIFY_LEN;

	memset(out, filler, BS_VERIFY_LEN);
	while (sum) {
		out[--i] = (uint8_t)sum;
		sum >>= 8;
	}
	out[--i] = 0;
}

bool bs_legacy_check(const uint8_t *in, uint8_t filler, uint32_t sum)
{
	uint8_t want[BS_VERIFY_LEN];

	bs_legacy_put(want, filler, sum);
	return memcmp(in, want, sizeof(want)) == 0;
}

static void start(struct bs_attach_device *a, const uint8_t *pkt, size_t len)
{
	a->sum = bs_legacy_sum(0, pkt, len);
}

/* Every request that is looked at counts, so after a wrong one a right one fails too. */
static int check(struct bs_attach_device *a, const uint8_t *pkt, size_t len)
{
	size_t head = len - BS_VERIFY_LEN;
	uint32_t want = bs_legacy_sum(a->sum, pkt, head);

	a->sum = bs_legacy_sum(want, pkt + head, BS_VERIFY_LEN);
	return bs_legacy_check(pkt + head, BS_VERIFY_FILL_SERVER, want) ? BS_OK : BS_EMAC;
}

static bs_ssize finish(struct bs_attach_device *a, struct bs_writer *w)
{
	uint8_t *p = bs_packet_add_reserve(w, BS_PL_VERIFY, 0, BS_VERIFY_LEN);
	bs_ssize len = bs_packet_finish(w);

	if (p && len > 0)
		bs_legacy_put(p, BS_VERIFY_FILL_DEVICE,
			      bs_legacy_sum(a->sum, w->buf, (size_t)len - BS_VERIFY_LEN));
	return len;
}

const struct bs_legacy_ops bs_legacy_attach = { &bs_suite_null, start, check, finish };
