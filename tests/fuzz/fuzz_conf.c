/* SPDX-License-Identifier: Apache-2.0 */
/* A conf: refused with one message that names its place, or what it prints parses to the same. */
#include <stdio.h>

#include "conf/conf.h"
#include "fuzz.h"

static void print_and_parse(const struct bs_conf *first)
{
	const struct bs_conf *again = NULL;
	struct bs_conf_error e;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	FUZZ_CHECK(f != NULL);
	FUZZ_CHECK(bs_conf_print(first, f) == BS_OK);
	fclose(f);
	FUZZ_CHECK(bs_conf_load_text("again", text, len, &again, &e) == BS_OK);
	FUZZ_CHECK(bs_conf_diff(first, again, NULL, 0) == 0);
	bs_conf_unref(again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char known[] = "workers = 3\n";
	const struct bs_conf *conf = NULL;
	struct bs_conf_error e = { "" };
	int err = bs_conf_load_text("f", (const char *)data, len, &conf, &e);

	if (err == BS_OK) {
		print_and_parse(conf);
		bs_conf_unref(conf);
	} else {
		FUZZ_CHECK(err == BS_ECONF && conf == NULL);
		FUZZ_CHECK(strncmp(e.text, "f:", 2) == 0 && strlen(e.text) > 3);
	}
	/* libconfuse's lexer is one for the process: no input may disturb the next conf */
	FUZZ_CHECK(bs_conf_load_text("k", known, sizeof(known) - 1, &conf, &e) == BS_OK);
	FUZZ_CHECK(conf->workers == 3);
	bs_conf_unref(conf);
	return 0;
}
