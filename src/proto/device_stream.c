/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of a device, apart from device.c so that a device without them does not link them. */
#include "proto/device.h"
#include "proto/stream.h"

/* Where a packet names its connection. */
enum {
	NSI_SP_OFF = 4,
};

struct bs_streams *bs__device_streams_at(struct bs_streams *streams, size_t i)
{
	return &streams[i];
}

void bs_device_set_streams(struct bs_device *d, struct bs_streams *streams,
			   struct bs_stream_mem *mem)
{
	uint8_t i;

	for (i = 0; i < d->n_conns; i++)
		bs_streams_init(&streams[i], mem, &d->conns[i].c, d->crypto);
	bs__device_keep_streams(d, streams);
}

struct bs_stream *bs_device_next_stream_event(struct bs_device *d, unsigned *events)
{
	struct bs_streams *all = bs__device_streams(d);
	struct bs_stream *s = NULL;
	uint8_t i;

	for (i = 0; all && !s && i < d->n_conns; i++)
		s = bs_streams_next_event(&all[i], events);
	return s;
}

bool bs_device_may_wait(const struct bs_device *d, const uint8_t *pkt, size_t len)
{
	uint32_t nsi;
	uint8_t i;

	if (!bs_packet_is_stream(pkt, len))
		return false;
	nsi = bs_get_u32(pkt + NSI_SP_OFF);
	for (i = 0; i < d->n_conns; i++) {
		const struct bs_conn *c = &d->conns[i].c;

		if (bs_conn_is_live(c) && c->nsi_sp == nsi)
			return bs_conn_is_fast(c);
	}
	return false;
}
