/* SPDX-License-Identifier: Apache-2.0 */
#include "note.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "util/endpoint_text.h"

void bsc__note(const struct bsc_conn *c, bs_time now, const char *fmt, ...)
{
	const struct bsc__settings *set = &c->m->set;
	char line[BSC_ERROR_TEXT_MAX];
	va_list ap;
	size_t n = 0;

	if (set->note_fn == NULL)
		return;
	n += (size_t)snprintf(line, sizeof line, "attempt ");
	for (size_t k = 0; k < sizeof c->attempt; k++)
		n += (size_t)snprintf(line + n, sizeof line - n, "%02x", c->attempt[k]);
	n += (size_t)snprintf(line + n, sizeof line - n,
			      " +%u ms: ", (unsigned)BS_TIME_DIFF_MS(BS_TIME_DIFF(now, c->born)));
	va_start(ap, fmt);
	(void)vsnprintf(line + n, sizeof line - n, fmt, ap);
	va_end(ap);
	bsc__printable(line, strlen(line));
	set->note_fn(set->note_arg, line);
}

static const char *nat_word(uint8_t kind)
{
	static const char *const words[] = { "not known", "the same for all destinations",
					     "one for each address",
					     "one for each address and port (symmetric)" };

	return kind < sizeof words / sizeof words[0] ? words[kind] : words[0];
}

static const char *kind_word(uint8_t kind)
{
	switch (kind) {
	case BS_EP6_HOST: return "the device's own address";
	case BS_EP6_OBSERVED: return "the device as the server sees it";
	case BS_EP6_RELAY: return "UDP relay";
	default: return "address";
	}
}

static void note_endpoint(const struct bsc_conn *c, const char *what, const struct bs_endpoint *ep,
			  bs_time now)
{
	char text[BS_ENDPOINT_TEXT_MAX];

	if (!bs_endpoint_is_set(ep))
		return;
	(void)bs_endpoint_format(ep, text);
	bsc__note(c, now, "%s: %s", what, text);
}

void bsc__note_answer(const struct bsc_conn *c, const struct bs_gate_connect_answer *a, bs_time now)
{
	if (c->m->set.note_fn == NULL)
		return;
	bsc__note(c, now, "the device accepted, connection %08lx", (unsigned long)a->h.sp);
	bsc__note(c, now, "our NAT: mapping %s; filtering %s", nat_word(a->nat.mapping),
		  nat_word(a->nat.filtering));
	bsc__note(c, now, "the device's NAT: %s",
		  (a->ipx.flags & BS_IPX_NAT_MASK) == BS_IPX_NAT_SYMMETRIC ? nat_word(3)
									   : "not symmetric");
	note_endpoint(c, kind_word(BS_EP6_HOST), &a->ipx.priv, now);
	note_endpoint(c, kind_word(BS_EP6_OBSERVED), &a->ipx.global, now);
	for (uint8_t k = 0; k < a->n_eps; k++)
		if (!bs_endpoint_equal(&a->eps[k].ep, &a->ipx.priv) &&
		    !bs_endpoint_equal(&a->eps[k].ep, &a->ipx.global))
			note_endpoint(c, kind_word(a->eps[k].kind), &a->eps[k].ep, now);
}

void bsc__note_path(const struct bsc_conn *c, bs_time now)
{
	static const char *const kinds[] = { "direct", "local", "direct", "UDP relay",
					     "TCP relay" };
	const struct bs_conn *pc = &c->peer.conn;
	char text[BS_ENDPOINT_TEXT_MAX];

	if (c->m->set.note_fn == NULL)
		return;
	if (!bs_endpoint_is_set(&pc->remote)) {
		bsc__note(c, now, "no path at the moment");
		return;
	}
	(void)bs_endpoint_format(&pc->remote, text);
	bsc__note(c, now, "path: %s, %s",
		  pc->path < sizeof kinds / sizeof kinds[0] ? kinds[pc->path] : "?", text);
}
