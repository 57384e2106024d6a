/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/options.h"
#include "daemon/run.h"

int main(int argc, char **argv)
{
	struct bs_daemon_options o;
	char err[256] = "";

	if (bs_daemon_options_parse(&o, argc, argv, err, sizeof(err)) != BS_OK) {
		fprintf(stderr, "basestationd: %s\n", err);
		return BS_EXIT_USAGE;
	}
	return (int)bs_daemon_run(&o);
}
