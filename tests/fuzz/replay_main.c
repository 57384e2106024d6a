/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay_main.c - stands in for libFuzzer: gives every file of a corpus to the target once.
 *
 * usage: fuzz-NAME [FILE or FOLDER ...]
 * Without arguments it takes $top_srcdir/tests/fuzz/corpus/NAME.  Prints TAP.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	INPUT_MAX = 1 << 20
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* From storage of exactly its length, so that a sanitizer sees a read past the end. */
static int run_file(const char *path)
{
	uint8_t *big = malloc(INPUT_MAX);
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t len;

	if (!big || !f) {
		free(big);
		if (f)
			fclose(f);
		return 0;
	}
	len = fread(big, 1, INPUT_MAX, f);
	fclose(f);
	exact = malloc(len ? len : 1);
	if (exact) {
		memcpy(exact, big, len);
		LLVMFuzzerTestOneInput(exact, len);
	}
	free(exact);
	free(big);
	return exact != NULL;
}

static int run_path(const char *path)
{
	DIR *d = opendir(path);
	char name[4096];
	struct dirent *e;
	int n = 0;

	if (!d)
		return run_file(path);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		n += run_file(name);
	}
	closedir(d);
	return n;
}

/* ".../lt-fuzz-packet" is "packet". */
static const char *target_name(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;
	const char *fuzz = strstr(name, "fuzz-");

	return fuzz ? fuzz + 5 : name;
}

int main(int argc, char **argv)
{
	const char *top = getenv("top_srcdir");
	const char *name = target_name(argv[0]);
	char path[4096];
	int n = 0;
	int i;

	for (i = 1; i < argc; i++)
		n += run_path(argv[i]);
	if (argc < 2) {
		snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", top ? top : ".", name);
		n = run_path(path);
	}
	printf("1..1\n%sok 1 - %s: %d inputs\n", n ? "" : "not ", name, n);
	return n ? 0 : 1;
}
