/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/stream_cc.h"

#include "basestation/wire.h"

/* After so many losses a size is held to be too large; larger ones are tried again when the path
 * may have changed unseen.  Below LOW is what a tunnel in a tunnel leaves. */
enum {
	TRIES = 3,
	HOLES = 2,
	LOW = 1200,
	LEAST = 640,
	/* A suite with padding cannot fill a size to the byte: as close counts as reached. */
	QUANTUM = 16,
	AGAIN_MS = 600000,
	AGAIN_MOVED_MS = 10000,
};

/* Sizes that paths have: IPv6 and IPv4 over Ethernet, two kinds of jumbo frames, loopback. */
static const uint16_t sizes[] = { BS_PACKET_MAX, 1452, 1472, 4052, 8952, 16048 };

void bs_stream_mtu_init(struct bs_stream_mtu *m, uint16_t ceiling, bs_time now)
{
	m->proven = BS_PACKET_MAX;
	m->probing = 0;
	m->ceiling = ceiling;
	m->failures = 0;
	m->holes = 0;
	m->again = now;
}

void bs_stream_mtu_moved(struct bs_stream_mtu *m, uint16_t ceiling, bs_time now)
{
	uint16_t proven = m->proven;

	bs_stream_mtu_init(m, ceiling, now);
	if (proven >= m->proven)
		return;
	/* It was narrow before: better slow at first than silent. */
	m->proven = proven;
	m->again = now + BS_TIME_MS(AGAIN_MOVED_MS);
}

uint16_t bs_stream_mtu_probe(struct bs_stream_mtu *m, bs_time now)
{
	size_t i;

	if (m->probing || BS_TIME_DIFF(now, m->again) < 0)
		return 0;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (sizes[i] < m->proven + QUANTUM)
			continue;
		if (sizes[i] > m->ceiling)
			return 0;
		return sizes[i];
	}
	return 0;
}

void bs_stream_mtu_arrived(struct bs_stream_mtu *m, uint16_t size, bs_time now)
{
	if (size > m->proven) {
		m->proven = size;
		m->failures = 0;
		m->again = now;
	}
	if (m->probing && size >= m->probing)
		m->probing = 0;
	if (size > LOW)
		m->holes = 0;
}

bool bs_stream_mtu_lost(struct bs_stream_mtu *m, uint16_t size, bool timeout, bs_time now)
{
	if (m->probing && size == m->probing) {
		m->probing = 0;
		if (++m->failures >= TRIES) {
			m->failures = 0;
			m->again = now + BS_TIME_MS(AGAIN_MS);
		}
		return false;
	}
	if (!timeout || size <= LEAST || m->proven <= LEAST || size > m->proven)
		return false;
	if (++m->holes < HOLES)
		return false;
	m->holes = 0;
	m->proven = m->proven > LOW ? LOW : LEAST;
	m->again = now + BS_TIME_MS(AGAIN_MS);
	return true;
}
