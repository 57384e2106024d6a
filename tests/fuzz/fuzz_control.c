/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of the control socket as both ends read them: split, parsed, checked against the table of
 * commands; and a command line, one word a line, as bsctl reads it.
 */
#include "ctl/command.h"
#include "fuzz.h"

static void as_request(const char *line, size_t len)
{
	struct bs_ctl_request r;
	struct bs_ctl_error e;
	const struct bs_command *c;
	int err;

	if (bs_ctl_request_parse(&r, line, len, &e) != BS_OK) {
		FUZZ_CHECK(e.reason[0] != '\0' && e.status == BS_CTL_USAGE);
		return;
	}
	c = r.command ? bs_command_find(r.command) : NULL;
	if (c) {
		err = bs_command_check(c, r.args, &e);
		FUZZ_CHECK(err == BS_OK || (err == BS_ECONF && e.reason[0] != '\0'));
	}
	bs_ctl_request_fini(&r);
}

static void as_record(const char *line, size_t len)
{
	struct bs_ctl_record r;
	struct bs_ctl_error e;
	char text[1024];

	if (bs_ctl_record_parse(&r, line, len, &e) == BS_OK) {
		FUZZ_CHECK(r.kind <= BS_CTL_FINAL && r.id >= 0);
		if (r.kind == BS_CTL_FINAL)
			bs_ctl_error_text(&r.error, text, sizeof(text));
		bs_ctl_record_fini(&r);
	} else {
		FUZZ_CHECK(e.reason[0] != '\0');
	}
}

static void as_words(char *text)
{
	char *argv[16];
	struct bs_ctl_error e;
	const struct bs_command *c;
	json_t *o;
	int argc = 0;
	int used = 0;

	while (*text && argc < 16) {
		argv[argc++] = text;
		text += strcspn(text, "\n");
		if (*text)
			*text++ = '\0';
	}
	c = bs_command_match(argc, argv, &used, &e);
	if (!c) {
		FUZZ_CHECK(e.status == BS_CTL_USAGE && e.reason[0] != '\0');
		return;
	}
	FUZZ_CHECK(used >= 1 && used <= 3 && used <= argc);
	o = bs_command_parse(c, argc - used, argv + used, &e);
	FUZZ_CHECK(o || e.reason[0] != '\0');
	json_decref(o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bs_ctl_lines lines;
	char *text;
	const char *line;
	size_t n;
	size_t at;

	bs_ctl_lines_init(&lines, 512);
	for (at = 0; at < len; at += n) {
		n = len - at < 37 ? len - at : 37;
		if (bs_ctl_lines_add(&lines, data + at, n) != BS_OK)
			break;
		while ((line = bs_ctl_lines_next(&lines, &n)) != NULL) {
			FUZZ_CHECK(n <= 512 && memchr(line, '\n', n) == NULL);
			as_request(line, n);
			as_record(line, n);
		}
		n = len - at < 37 ? len - at : 37;
	}
	bs_ctl_lines_fini(&lines);
	text = malloc(len + 1);
	FUZZ_CHECK(text != NULL);
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	as_words(text);
	free(text);
	return 0;
}
