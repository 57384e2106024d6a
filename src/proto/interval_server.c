/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/interval_server.h"

#include <string.h>

enum {
	MS_PER_S = 1000,
	STEP_MAX = 3,  /* a trial dares so many times what is proven */
	NEAR = 8,      /* the search ends within one part in so many */
	HINT_RUN = 32, /* gaps that must hold at the neighbours' value before more is tried */
	RUN_MAX = 32767,
	TRUST_S = 86400, /* then what failed is tried again: it may have been an outage */
};

void bs_interval_start(struct bs_interval_server *iv, const struct bs_interval_limits *lim)
{
	memset(iv, 0, sizeof(*iv));
	iv->good_s = lim->min_s;
	iv->told_s = lim->min_s;
	iv->kept_s = lim->min_s;
	iv->busy = 1;
}

void bs_interval_fit(struct bs_interval_server *iv, const struct bs_interval_limits *lim)
{
	uint16_t kept_s = iv->kept_s < BS_INTERVAL_MAX_S ? iv->kept_s : BS_INTERVAL_MAX_S;

	if (iv->good_s >= lim->min_s && iv->good_s <= lim->max_s && iv->told_s != 0 &&
	    iv->told_s <= BS_INTERVAL_MAX_S && iv->kept_s == kept_s)
		return;
	bs_interval_start(iv, lim);
	if (kept_s > iv->kept_s)
		iv->kept_s = kept_s;
}

/* First value above which nothing needs to be tried. */
static uint16_t top_of(const struct bs_interval_server *iv, const struct bs_interval_limits *lim)
{
	return iv->bad_s && iv->bad_s < lim->max_s ? iv->bad_s : lim->max_s;
}

static bool is_near(uint16_t good_s, uint16_t top_s)
{
	return top_s <= good_s + 1u || (unsigned)(top_s - good_s) * NEAR <= good_s;
}

/* What would be best to try, were it not for the length of the step. */
static uint16_t wish(const struct bs_interval_server *iv, const struct bs_interval_limits *lim,
		     uint16_t hint_s)
{
	uint16_t top_s = top_of(iv, lim);

	if (iv->good_s >= top_s)
		return top_s;
	if (!iv->bad_s && hint_s > iv->good_s)
		return hint_s < top_s ? hint_s : top_s;
	if (!iv->bad_s && hint_s && iv->run < HINT_RUN)
		return iv->good_s;
	if (!is_near(iv->good_s, top_s))
		return (uint16_t)((iv->good_s + top_s + 1u) / 2);
	if (iv->bad_s && (uint32_t)iv->run * iv->good_s < TRUST_S)
		return iv->good_s;
	return top_s;
}

uint16_t bs_interval_ask(struct bs_interval_server *iv, const struct bs_interval_limits *lim,
			 uint16_t hint_s, uint16_t busy_s, const struct bs_alive_server *s,
			 uint32_t now_ms)
{
	uint32_t gap_s = (now_ms - s->seen_ms + MS_PER_S / 2) / MS_PER_S;
	uint32_t most;

	bs_interval_fit(iv, lim);
	iv->gap_s = gap_s < UINT16_MAX ? (uint16_t)gap_s : UINT16_MAX;
	if (busy_s) {
		/* The first of these follows a silence like any other and may end a trial early,
		 * either way.  That a shorter one than has held was too long it cannot show: a NAT
		 * that was restarted looks the same. */
		if (iv->told_s == busy_s || iv->gap_s <= iv->good_s)
			iv->busy = 1;
		iv->told_s = busy_s;
		return busy_s;
	}
	iv->told_s = wish(iv, lim, hint_s);
	most = (uint32_t)iv->good_s * STEP_MAX;
	if (iv->told_s > most)
		iv->told_s = (uint16_t)most;
	return iv->told_s;
}

static void held(struct bs_interval_server *iv, const struct bs_interval_limits *lim)
{
	uint16_t gap_s = iv->gap_s < lim->max_s ? iv->gap_s : lim->max_s;

	if (gap_s > iv->good_s)
		iv->good_s = gap_s;
	/* What held now and did not before was lost by something else than the NAT. */
	if (iv->good_s >= iv->bad_s)
		iv->bad_s = 0;
	if (iv->run < RUN_MAX)
		iv->run++;
}

static void lost(struct bs_interval_server *iv, const struct bs_interval_limits *lim)
{
	uint16_t gap_s = iv->gap_s < lim->max_s ? iv->gap_s : lim->max_s;

	/* What held once does so no more: another router, or an outage.  Begin lower. */
	if (gap_s <= iv->good_s)
		iv->good_s = gap_s / 2 > lim->min_s ? gap_s / 2 : lim->min_s;
	iv->bad_s = gap_s > iv->good_s ? gap_s : (uint16_t)(iv->good_s + 1);
	iv->run = 0;
}

bool bs_interval_heard(struct bs_interval_server *iv, const struct bs_interval_limits *lim,
		       const struct bs_alive_server *s, uint16_t seq)
{
	bool clean = s->tries > 0 && !iv->busy;

	if (seq != 0) {
		if (seq != s->seq || s->tries == 0)
			return false;
		if (clean)
			held(iv, lim);
		iv->kept_s = iv->told_s;
		iv->busy = 0;
		return false;
	}
	/* The poll has opened the NAT itself. */
	iv->busy = 1;
	/* One that crossed the request tells nothing: its repetitions decide. */
	if (!clean || s->tries < 2 || iv->gap_s < lim->min_s)
		return false;
	lost(iv, lim);
	return true;
}

bool bs_interval_settled(const struct bs_interval_server *iv, const struct bs_interval_limits *lim)
{
	if (iv->busy)
		return false;
	return iv->good_s >= lim->max_s || (iv->bad_s && is_near(iv->good_s, iv->bad_s));
}

void bs_interval_pace(const struct bs_interval_server *iv, const struct bs_alive_pace *usual,
		      struct bs_alive_pace *out)
{
	/* Until it has answered a shorter one, the device is patient for the longer. */
	uint32_t patience_s = iv->kept_s > iv->told_s ? iv->kept_s : iv->told_s;

	*out = *usual;
	out->interval_ms = (uint32_t)iv->told_s * MS_PER_S;
	out->unreachable_ms += patience_s * MS_PER_S - usual->interval_ms;
	out->timeout_ms += patience_s * (MS_PER_S + MS_PER_S * 3 / 10);
}
