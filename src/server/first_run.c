/* SPDX-License-Identifier: Apache-2.0 */
#include "server/first_run.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/seal.h"

bool bs_first_run_has_registry(const struct bs_conf *conf)
{
	bool found = false;
	struct dirent *e;
	DIR *d = opendir(conf->database);

	/* a folder that is there and cannot be read may hold one */
	if (d == NULL)
		return errno != ENOENT;
	while (!found && (e = readdir(d)) != NULL)
		found = strstr(e->d_name, ".mdb") != NULL;
	closedir(d);
	return found;
}

int bs_first_run(const struct bs_conf *conf, char *err, size_t cap)
{
	struct bs_errtext text = { "" };
	int code;

	if (conf->key_file == NULL || access(conf->key_file, F_OK) == 0 || errno != ENOENT ||
	    bs_first_run_has_registry(conf))
		return BS_OK;
	code = bs_seal_key_create(conf->key_file, &text);
	if (code == BS_OK) {
		bs_log_notice("key-file, made %s; keep a copy of it in a safe place, without it "
			      "the registry cannot be read",
			      conf->key_file);
		return BS_OK;
	}
	snprintf(err, cap, "key-file, %s", text.text[0] != '\0' ? text.text : bs_strerror(code));
	return code;
}
