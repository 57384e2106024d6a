/* SPDX-License-Identifier: Apache-2.0 */
/* sim [SEED [COUNT]] - play seeds, print TAP. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_COUNT 12

int main(int argc, char **argv)
{
	unsigned long first = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : argc > 1 ? 1 : DEFAULT_COUNT;
	struct sim *s = malloc(sizeof(*s));
	unsigned long i;
	int failed = 0;

	if (!s)
		return EXIT_FAILURE;
	printf("1..%lu\n", count);
	for (i = 0; i < count; i++) {
		bool ok = sim_play(s, (uint32_t)(first + i));

		printf("%sok %lu - seed %lu: %zu packets, %zu attaches, %zu connections, %zu "
		       "calls%s%s\n",
		       ok ? "" : "not ", i + 1, first + i, s->sent, s->attaches, s->opened,
		       s->n_calls, ok ? "" : ": ", s->failure);
		failed += !ok;
	}
	free(s);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
