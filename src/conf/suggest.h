/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suggest.h - "did you mean": the known word nearest to a mistyped one.  Pure functions.
 */
#ifndef BS_CONF_SUGGEST_H
#define BS_CONF_SUGGEST_H

#include <stddef.h>

/** Longer words are not compared. */
#define BS_SUGGEST_WORD_MAX 64

/** Letters to insert, remove, replace or swap with their neighbour to get from a to b; at least
 *  BS_SUGGEST_WORD_MAX when either is too long. */
size_t bs_suggest_distance(const char *a, const char *b);

/** The nearest of words[n], or NULL when none is near enough to be meant (a third of the
 *  letters). */
const char *bs_suggest_nearest(const char *word, const char *const *words, size_t n);

#endif
