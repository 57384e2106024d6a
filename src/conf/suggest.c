/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/suggest.h"

#include <string.h>

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t m = a < b ? a : b;

	return m < c ? m : c;
}

size_t bs_suggest_distance(const char *a, const char *b)
{
	/* three rows of the table: two back (for swaps), one back, this one */
	size_t rows[3][BS_SUGGEST_WORD_MAX + 1];
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);

	if (a_len > BS_SUGGEST_WORD_MAX || b_len > BS_SUGGEST_WORD_MAX)
		return BS_SUGGEST_WORD_MAX;
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *now = rows[i % 3];
		const size_t *prev = rows[(i + 2) % 3];
		const size_t *prev2 = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t differs = a[i - 1] != b[j - 1];

			now[j] = min3(prev[j] + 1, now[j - 1] + 1, prev[j - 1] + differs);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    prev2[j - 2] + 1 < now[j])
				now[j] = prev2[j - 2] + 1;
		}
	}
	return rows[a_len % 3][b_len];
}

const char *bs_suggest_nearest(const char *word, const char *const *words, size_t n)
{
	size_t limit = strlen(word) / 3 + 1;
	const char *best = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = bs_suggest_distance(word, words[i]);

		if (d <= limit && d < BS_SUGGEST_WORD_MAX) {
			best = words[i];
			/* from now on only a nearer one */
			if (d == 0)
				break;
			limit = d - 1;
		}
	}
	return best;
}
