/* SPDX-License-Identifier: Apache-2.0 */
#include "util/window.h"

#include <string.h>

void bs_window_init(struct bs_window *w)
{
	memset(w, 0, sizeof(*w));
}

bool bs_window_is_highest(const struct bs_window *w, uint32_t n)
{
	/* Bit 31 of the difference is the sign; 0 itself is the number that was taken. */
	return !w->seen || (uint32_t)(n - w->high - 1) < UINT32_C(0x7FFFFFFF);
}

bool bs_window_is_new(const struct bs_window *w, uint32_t n)
{
	uint32_t back = w->high - n;

	if (bs_window_is_highest(w, n))
		return true;
	return back < BS_WINDOW_LEN && !(w->seen >> back & 1);
}

int bs_window_take(struct bs_window *w, uint32_t n)
{
	uint32_t up = n - w->high;

	if (!bs_window_is_new(w, n))
		return BS_EREPLAY;
	if (bs_window_is_highest(w, n)) {
		w->seen = w->seen && up < BS_WINDOW_LEN ? w->seen << up | 1 : 1;
		w->high = n;
	} else {
		w->seen |= UINT64_C(1) << (w->high - n);
	}
	return BS_OK;
}
