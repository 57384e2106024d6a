/* SPDX-License-Identifier: Apache-2.0 */
/* Streams for owners that move many bytes with one system call. */
#include "proto/stream_impl.h"

size_t bs_stream_pieces(const struct bs_stream *s, struct bs_slice *v, size_t n)
{
	const struct bs_stream_rx *r = &s->rx;
	uint32_t seq = r->read;
	size_t off = r->off;
	size_t k;

	for (k = 0; k < n && seq != r->ack; k++, seq++) {
		struct bs_segment *g = r->ring[seq & r->mask];

		v[k].ptr = bs__segment_bytes(g) + off;
		v[k].len = g->len - off;
		off = 0;
	}
	return k;
}

void bs_stream_want(struct bs_stream *s)
{
	s->tx.full = true;
}
