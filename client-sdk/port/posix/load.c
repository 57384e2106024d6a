/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a query interface file: the only file that the client reads by itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "interface.h"

int bsc_interface_load(const char *path, struct bsc_interface **out, struct bsc_error *err)
{
	FILE *f = fopen(path, "rbe");
	char *text = NULL;
	size_t len = 0;
	int rc = BS_OK;

	if (f == NULL)
		return bsc__fail(err, BS_ECONF, BSC_FROM_CALLER, BSC_USAGE, "%s: %s", path,
				 strerror(errno));
	/* One byte more than allowed, so that a larger file shows. */
	while (rc == BS_OK && len <= BSC__INTERFACE_MAX && !feof(f)) {
		char *grew = realloc(text, len + 65536);

		if (grew == NULL) {
			rc = bsc__fail_nomem(err);
			break;
		}
		text = grew;
		len += fread(text + len, 1, 65536, f);
		if (ferror(f))
			rc = bsc__fail(err, BS_ECONF, BSC_FROM_CALLER, BSC_USAGE, "%s: %s", path,
				       strerror(errno));
	}
	(void)fclose(f);
	if (rc == BS_OK)
		rc = bsc_interface_parse(text, len, path, out, err);
	free(text);
	return rc;
}
