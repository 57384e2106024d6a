/* SPDX-License-Identifier: Apache-2.0 */
#include "server/pages.h"

#include <sys/mman.h>

/* Four huge pages of the usual size: what is rounded up is little against the whole. */
#define LONG_ENOUGH ((size_t)8 << 20)

void bs_pages_hint(void *p, size_t len)
{
#ifdef MADV_HUGEPAGE
	/* Small pages do as well; only the time differs. */
	if (len >= LONG_ENOUGH)
		(void)madvise(p, len, MADV_HUGEPAGE);
#else
	(void)p;
	(void)len;
#endif
}

void *bs_pages_map(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	bs_pages_hint(p, len);
	return p;
}

void bs_pages_unmap(void *p, size_t len)
{
	if (p)
		munmap(p, len);
}
