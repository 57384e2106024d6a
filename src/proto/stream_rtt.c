/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/stream_cc.h"

static uint32_t limited(uint64_t us)
{
	uint32_t max = BS_STREAM_RTO_MAX_MS * 1000u;

	return us > max ? max : (uint32_t)us;
}

void bs_stream_rtt_init(struct bs_stream_rtt *r, uint16_t timeout_ms, bool slack)
{
	r->srtt = 0;
	r->var = 0;
	r->rto = limited((uint64_t)timeout_ms * 1000u);
	r->slack = slack;
}

void bs_stream_rtt_relax(struct bs_stream_rtt *r)
{
	uint64_t rto = r->srtt + 4 * (uint64_t)r->var;

	if (r->srtt == 0)
		return;
	if (r->slack)
		rto += BS_STREAM_RTO_SLACK_MS * 1000u;
	else if (rto < BS_STREAM_RTO_MIN_MS * 1000u)
		rto = BS_STREAM_RTO_MIN_MS * 1000u;
	r->rto = limited(rto);
}

void bs_stream_rtt_sample(struct bs_stream_rtt *r, uint32_t us)
{
	uint32_t diff = r->srtt > us ? r->srtt - us : us - r->srtt;

	if (us == 0)
		us = 1;
	if (r->srtt == 0) {
		r->srtt = us;
		r->var = us / 2;
	} else {
		r->var = (uint32_t)((3 * (uint64_t)r->var + diff) / 4);
		r->srtt = (uint32_t)((7 * (uint64_t)r->srtt + us) / 8);
	}
	bs_stream_rtt_relax(r);
}

void bs_stream_rtt_backoff(struct bs_stream_rtt *r)
{
	r->rto = limited((uint64_t)r->rto * 3 / 2);
}
