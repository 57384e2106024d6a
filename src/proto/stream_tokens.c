/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/stream_cc.h"

enum {
	TOKENS_START = 4,
	SSTHRESH_MIN = 2,
};

void bs_stream_tokens_init(struct bs_stream_tokens *t, uint32_t window)
{
	t->tokens = TOKENS_START;
	t->ssthresh = window;
	t->window = window;
}

void bs_stream_tokens_acked(struct bs_stream_tokens *t, uint32_t n, uint32_t flight,
			    bool recovering, uint32_t cap)
{
	/* Above ssthresh nothing is added: the window of the peer is the limit soon enough. */
	t->tokens += !recovering && flight < t->ssthresh ? 2 * n : n;
	if (t->tokens > cap)
		t->tokens = cap;
}

void bs_stream_tokens_opened(struct bs_stream_tokens *t, uint32_t n)
{
	t->tokens += n;
}

void bs_stream_tokens_lost(struct bs_stream_tokens *t, uint32_t flight)
{
	t->ssthresh = flight / 2 > SSTHRESH_MIN ? flight / 2 : SSTHRESH_MIN;
}

void bs_stream_tokens_timeout(struct bs_stream_tokens *t)
{
	t->tokens = TOKENS_START;
	t->ssthresh = t->window;
}
