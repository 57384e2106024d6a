/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - memory for tables as long as the limits of the conf, and as large as their use.
 *
 * A page appears when it is written: a limit that is never reached costs nothing.  A keepalive
 * reads a random place in each of a few tables; with a million devices the processor would find
 * none of these places' pages in its table of translations, and walk for each.  So a long table
 * asks for huge pages where the system has them.  A short one does not: there a huge page would be
 * mostly unused.
 *
 * Any thread.  Allocates: that is what it does.
 */
#ifndef BS_SERVER_PAGES_H
#define BS_SERVER_PAGES_H

#include <stddef.h>

/** len zero bytes, or NULL. */
void *bs_pages_map(size_t len);
/** NULL is fine. */
void bs_pages_unmap(void *p, size_t len);
/** The same wish for memory that was mapped otherwise. */
void bs_pages_hint(void *p, size_t len);

#endif
