/* SPDX-License-Identifier: Apache-2.0 */
/* From text to a snapshot: libconfuse reads the syntax, the schema decides about every value. */
#include "conf/conf.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/clean.h"
#include "conf/snapshot.h"
#include "conf/suggest.h"
#include "conf/value.h"

/* A conf of a hundred lines has 10 KiB; beyond this it is another file by mistake. */
#define FILE_MAX_BYTES    (1u << 20)
#define INCLUDE_DEPTH_MAX 8
#define INCLUDE_FILES_MAX 64

/* The name of the hidden option that carries struct load through libconfuse, which has no user
 * pointer.  No conf can name it: control characters are refused before the lexer. */
#define CONTEXT_NAME "\001"

/* An include, read once the file that names it is through: libconfuse cannot set an option while it
 * sets the same one. */
struct include {
	char *path;
	const char *file; /* that names it */
	int line;
	unsigned depth;
};

struct load {
	struct bs_conf *conf;
	struct bs_conf_error *error;
	int err; /* of the first failure */
	unsigned flags;
	bool may_include;
	unsigned depth; /* of the file being read */
	struct include includes[INCLUDE_FILES_MAX];
	size_t n_includes;
	char *files[INCLUDE_FILES_MAX]; /* names that places point at */
	size_t n_files;
	char dir[BS_CONF_VALUE_MAX]; /* of the file being read; "" without one */
	struct bs_conf_place *places;
};

BS_PRINTF(5, 6)
static int fail(struct load *ld, int err, const char *file, int line, const char *fmt, ...)
{
	size_t cap = sizeof(ld->error->text);
	char *out = ld->error->text;
	va_list ap;
	int n;

	/* the first message names the cause, later ones its consequences */
	if (ld->err != BS_OK)
		return ld->err;
	ld->err = err;
	n = line > 0 ? snprintf(out, cap, "%s:%d: ", file, line) : snprintf(out, cap, "%s: ", file);
	if (n < 0 || (size_t)n >= cap)
		n = 0;
	va_start(ap, fmt);
	(void)vsnprintf(out + n, cap - (size_t)n, fmt, ap);
	va_end(ap);
	return err;
}

static struct load *load_of(cfg_t *cfg)
{
	return (struct load *)(void *)cfg->opts[0].simple_value.ptr;
}

static void unknown_key(struct load *ld, cfg_t *cfg, const char *name)
{
	const char *near;
	const char **names = calloc(bs_conf_schema_n + 1, sizeof(*names));
	char shown[96];

	if (names == NULL) {
		fail(ld, BS_ENOMEM, cfg->filename, cfg->line, "no memory");
		return;
	}
	for (size_t i = 0; i < bs_conf_schema_n; i++)
		names[i] = bs_conf_schema[i].key;
	names[bs_conf_schema_n] = "include";
	near = bs_suggest_nearest(name, names, bs_conf_schema_n + 1);
	free(names);
	bs_log_escape(shown, sizeof(shown), name, strlen(name));
	if (near != NULL)
		fail(ld, BS_ECONF, cfg->filename, cfg->line,
		     "unknown key \"%s\", did you mean \"%s\"?", shown, near);
	else
		fail(ld, BS_ECONF, cfg->filename, cfg->line,
		     "unknown key \"%s\"; basestation.conf(5) lists all keys", shown);
}

/* What libconfuse says, with the remedy that it leaves out. */
BS_PRINTF(2, 0)
static void on_confuse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	static const struct {
		const char *part; /* of libconfuse's format */
		const char *text;
	} known[] = {
		{ "missing equal sign", "\"=\" is missing after \"%s\"" },
		{ "append to non-list", "\"+=\" is only for lists; write \"%s = ...\"" },
		{ "unexpected token", "unexpected \"%s\"; write each key as: key = value" },
		{ "unexpected closing brace", "\"}\" without \"{\"" },
		{ "premature end of file", "the file ends in the middle of a key or list" },
	};
	struct load *ld = load_of(cfg);
	char text[BS_CONF_ERROR_MAX / 2];

	if (strstr(fmt, "no such option") != NULL) {
		unknown_key(ld, cfg, va_arg(ap, const char *));
		return;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *word;
		char shown[64];

		if (strstr(fmt, known[i].part) == NULL)
			continue;
		word = strstr(fmt, "%s") != NULL ? va_arg(ap, const char *) : "";
		bs_log_escape(shown, sizeof(shown), word, strlen(word));
		(void)snprintf(text, sizeof(text), "%.*s%s%s", (int)strcspn(known[i].text, "%"),
			       known[i].text, strchr(known[i].text, '%') != NULL ? shown : "",
			       strchr(known[i].text, '%') != NULL ? strchr(known[i].text, '%') + 2
								  : "");
		/* at the end the line count is one past the last line */
		fail(ld, BS_ECONF, cfg->filename, cfg->line - (strstr(fmt, "end of file") != NULL),
		     "%s", text);
		return;
	}
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	fail(ld, BS_ECONF, cfg->filename, cfg->line, "%s", text);
}

/* Called for each value, and for each element of a list. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const struct bs_conf_key *key = bs_conf_schema_find(opt->name);
	struct load *ld = load_of(cfg);
	struct bs_conf_place *place = &ld->places[key - bs_conf_schema];
	char why[BS_CONF_ERROR_MAX / 2];
	char shown[128];
	int err;

	if (place->line > 0 && opt->nvalues <= 1) {
		fail(ld, BS_ECONF, cfg->filename, cfg->line,
		     "%s: is set twice, first at %s:%d; take one out", key->key, place->file,
		     place->line);
		return -1;
	}
	if (place->line == 0) {
		/* the first element replaces the default list */
		if (opt->nvalues <= 1)
			bs_conf_value_clear(ld->conf, key);
		place->file = ld->files[ld->n_files - 1];
		place->line = cfg->line;
	}
	err = bs_conf_value_set(ld->conf, key, value, ld->dir[0] != '\0' ? ld->dir : NULL, why,
				sizeof(why));
	if (err == BS_ECONF)
		fail(ld, err, cfg->filename, cfg->line, "%s: \"%s\" %s", key->key,
		     bs_log_escape(shown, sizeof(shown), value, strlen(value)), why);
	else if (err != BS_OK)
		fail(ld, err, cfg->filename, cfg->line, "%s: no memory", key->key);
	*(const char **)result = "";
	return err == BS_OK ? 0 : -1;
}

static int add_include(struct load *ld, const char *value, const char *file, int line)
{
	struct include *in = &ld->includes[ld->n_includes];
	char path[BS_CONF_VALUE_MAX];
	int n;

	if (!ld->may_include)
		return fail(ld, BS_ECONF, file, line, "include: not possible here");
	if (ld->depth == INCLUDE_DEPTH_MAX)
		return fail(ld, BS_ECONF, file, line,
			    "include: more than %d files deep; does a file include itself?",
			    INCLUDE_DEPTH_MAX);
	if (ld->n_includes == INCLUDE_FILES_MAX)
		return fail(ld, BS_ECONF, file, line, "include: more than %d files",
			    INCLUDE_FILES_MAX);
	n = value[0] == '/' ? snprintf(path, sizeof(path), "%s", value)
			    : snprintf(path, sizeof(path), "%s/%s", ld->dir, value);
	if (value[0] == '\0' || n < 0 || (size_t)n >= sizeof(path))
		return fail(ld, BS_ECONF, file, line, "include: not a file name");
	in->path = strdup(path);
	if (in->path == NULL)
		return fail(ld, BS_ENOMEM, file, line, "include: no memory");
	in->file = ld->files[ld->n_files - 1];
	in->line = line;
	in->depth = ld->depth + 1;
	ld->n_includes++;
	return BS_OK;
}

static int on_include(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	(void)opt;
	*(const char **)result = "";
	return add_include(load_of(cfg), value, cfg->filename, cfg->line) == BS_OK ? 0 : -1;
}

/* text[len] is changed; it ends with a newline of its own. */
static int parse_text(struct load *ld, cfg_t *cfg, const char *name, char *text, size_t len)
{
	char why[BS_CONF_ERROR_MAX / 2];
	FILE *fp;
	int line;

	if (ld->n_files == INCLUDE_FILES_MAX)
		return fail(ld, BS_ECONF, name, 0, "more than %d files", INCLUDE_FILES_MAX);
	ld->files[ld->n_files] = strdup(name);
	free(cfg->filename);
	cfg->filename = strdup(name);
	if (ld->files[ld->n_files] == NULL || cfg->filename == NULL) {
		free(ld->files[ld->n_files]);
		return fail(ld, BS_ENOMEM, name, 0, "no memory");
	}
	ld->n_files++;
	if (bs_conf_clean(text, len, &line, why, sizeof(why)) != BS_OK)
		return fail(ld, BS_ECONF, name, line, "%s", why);
	fp = fmemopen(text, len, "r");
	if (fp == NULL)
		return fail(ld, BS_ENOMEM, name, 0, "no memory");
	if (cfg_parse_fp(cfg, fp) != CFG_SUCCESS)
		fail(ld, BS_ECONF, name, cfg->line,
		     "not a valid line; write each key as: key = value");
	(void)fclose(fp);
	return ld->err;
}

static int check_file(struct load *ld, const char *path, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return fail(ld, BS_ECONF, path, 0, "not a regular file");
	if (st->st_size > (off_t)FILE_MAX_BYTES)
		return fail(ld, BS_ECONF, path, 0, "larger than %u bytes; is it the right file?",
			    FILE_MAX_BYTES);
	if ((ld->flags & BS_CONF_CHECK_MODE) == 0 || geteuid() != 0)
		return BS_OK;
	if (st->st_uid != 0)
		return fail(ld, BS_EPERM, path, 0,
			    "belongs to user id %u, so others than root can change it; run: "
			    "chown root %s",
			    (unsigned)st->st_uid, path);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return fail(ld, BS_EPERM, path, 0,
			    "others than root can change it (mode %04o); run: chmod go-w %s",
			    (unsigned)st->st_mode & 07777u, path);
	return BS_OK;
}

/* The lexer wants a newline at the end; there is room for one byte more. */
static size_t end_line(char *buf, size_t len)
{
	if (len == 0 || buf[len - 1] != '\n')
		buf[len++] = '\n';
	return len;
}

/* Reads at most cap - 1 bytes and ends them with a newline. */
static int read_all(int fd, char *buf, size_t cap, size_t *len)
{
	size_t n = 0;

	while (n < cap - 1) {
		ssize_t got = read(fd, buf + n, cap - 1 - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return BS_EIO;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*len = end_line(buf, n);
	return BS_OK;
}

static int open_error(int e)
{
	if (e == ENOENT || e == ENOTDIR)
		return BS_ENOENT;
	return e == EACCES || e == EPERM ? BS_EPERM : BS_EIO;
}

static void set_dir(struct load *ld, const char *path)
{
	const char *slash = strrchr(path, '/');
	char cwd[BS_CONF_VALUE_MAX / 2];
	size_t len = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

	/* absolute, for the daemon leaves the folder it was started in */
	if (path[0] != '/' && getcwd(cwd, sizeof(cwd)) != NULL)
		(void)snprintf(ld->dir, sizeof(ld->dir), "%s%s%.*s", cwd, len > 0 ? "/" : "",
			       (int)len, path);
	else
		(void)snprintf(ld->dir, sizeof(ld->dir), "%.*s", len > 0 ? (int)len : 1,
			       len > 0 ? path : ".");
}

static int parse_file(struct load *ld, cfg_t *cfg, const char *path)
{
	struct stat st;
	char *text = NULL;
	size_t len;
	int err;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return fail(ld, open_error(errno), path, 0, "cannot be opened: %s",
			    strerror(errno));
	if (fstat(fd, &st) != 0) {
		err = fail(ld, BS_EIO, path, 0, "cannot be read: %s", strerror(errno));
		goto out;
	}
	err = check_file(ld, path, &st);
	if (err != BS_OK)
		goto out;
	text = malloc(FILE_MAX_BYTES + 1);
	if (text == NULL) {
		err = fail(ld, BS_ENOMEM, path, 0, "no memory");
		goto out;
	}
	if (read_all(fd, text, FILE_MAX_BYTES + 1, &len) != BS_OK) {
		err = fail(ld, BS_EIO, path, 0, "cannot be read: %s", strerror(errno));
		goto out;
	}
	set_dir(ld, path);
	err = parse_text(ld, cfg, path, text, len);
out:
	free(text);
	close(fd);
	return err;
}

/* In the order in which they were named; an included file may add more. */
static int parse_includes(struct load *ld, cfg_t *cfg)
{
	for (size_t i = 0; i < ld->n_includes; i++) {
		const struct include *in = &ld->includes[i];
		size_t len;

		ld->depth = in->depth;
		if (parse_file(ld, cfg, in->path) == BS_OK)
			continue;
		len = strlen(ld->error->text);
		(void)snprintf(ld->error->text + len, sizeof(ld->error->text) - len,
			       " (included from %s:%d)", in->file, in->line);
		return ld->err;
	}
	return BS_OK;
}

/* libconfuse's options from the schema: context, include, one per key. */
static cfg_t *make_cfg(struct load *ld)
{
	cfg_opt_t *opts = calloc(bs_conf_schema_n + 3, sizeof(*opts));
	cfg_opt_t context = CFG_FUNC(CONTEXT_NAME, NULL);
	cfg_opt_t include = CFG_STR_CB("include", NULL, CFGF_NODEFAULT, on_include);
	cfg_opt_t end = CFG_END();
	cfg_t *cfg;

	if (opts == NULL)
		return NULL;
	context.simple_value.ptr = (void **)(void *)ld;
	opts[0] = context;
	opts[1] = include;
	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		const struct bs_conf_key *key = &bs_conf_schema[i];
		cfg_opt_t one = CFG_STR_CB(key->key, NULL, CFGF_NODEFAULT, on_value);
		cfg_opt_t list = CFG_STR_LIST_CB(key->key, NULL, CFGF_NODEFAULT, on_value);

		opts[2 + i] = bs_conf_type_is_list(key->type) ? list : one;
	}
	opts[2 + bs_conf_schema_n] = end;
	cfg = cfg_init(opts, CFGF_NONE);
	free(opts);
	if (cfg != NULL)
		cfg_set_error_function(cfg, on_confuse_error);
	return cfg;
}

/* `key = {}` calls nobody back. */
static void take_empty_lists(struct load *ld, cfg_t *cfg)
{
	for (size_t i = 0; i < bs_conf_schema_n; i++) {
		const cfg_opt_t *opt = &cfg->opts[2 + i];

		if (bs_conf_type_is_list(bs_conf_schema[i].type) && opt->nvalues == 0 &&
		    (opt->flags & CFGF_MODIFIED) != 0)
			bs_conf_value_clear(ld->conf, &bs_conf_schema[i]);
	}
}

static void load_fini(struct load *ld)
{
	for (size_t i = 0; i < ld->n_files; i++)
		free(ld->files[i]);
	for (size_t i = 0; i < ld->n_includes; i++)
		free(ld->includes[i].path);
	free(ld->places);
	bs_conf_unref(ld->conf);
}

/* text NULL: read the file `name`. */
static int load(const char *name, char *text, size_t len, unsigned flags,
		const struct bs_conf **conf, struct bs_conf_error *error)
{
	struct load ld = { .error = error, .flags = flags, .may_include = text == NULL };
	cfg_t *cfg = NULL;
	int err;

	error->text[0] = '\0';
	ld.conf = bs__conf_new();
	ld.places = calloc(bs_conf_schema_n, sizeof(*ld.places));
	if (ld.conf != NULL && ld.places != NULL)
		cfg = make_cfg(&ld);
	if (cfg == NULL) {
		err = fail(&ld, BS_ENOMEM, name, 0, "no memory");
		goto out;
	}
	err = text == NULL ? parse_file(&ld, cfg, name) : parse_text(&ld, cfg, name, text, len);
	if (err == BS_OK)
		err = parse_includes(&ld, cfg);
	if (err != BS_OK)
		goto out;
	take_empty_lists(&ld, cfg);
	err = bs__conf_check(ld.conf, ld.places, name, error);
	if (err != BS_OK)
		goto out;
	*conf = ld.conf;
	ld.conf = NULL;
out:
	if (cfg != NULL)
		cfg_free(cfg);
	load_fini(&ld);
	return err;
}

int bs_conf_load(const char *path, unsigned flags, const struct bs_conf **conf,
		 struct bs_conf_error *error)
{
	return load(path, NULL, 0, flags, conf, error);
}

int bs_conf_load_text(const char *name, const char *text, size_t len, const struct bs_conf **conf,
		      struct bs_conf_error *error)
{
	char *copy;
	int err;

	if (len > FILE_MAX_BYTES) {
		(void)snprintf(error->text, sizeof(error->text), "%s: larger than %u bytes", name,
			       FILE_MAX_BYTES);
		return BS_ECONF;
	}
	copy = malloc(len + 1);
	if (copy == NULL) {
		(void)snprintf(error->text, sizeof(error->text), "%s: no memory", name);
		return BS_ENOMEM;
	}
	if (len > 0)
		memcpy(copy, text, len);
	err = load(name, copy, end_line(copy, len), 0, conf, error);
	free(copy);
	return err;
}
