/* SPDX-License-Identifier: Apache-2.0 */
#include "server/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "log/log.h"
#include "server/pages.h"

enum {
	PAGE = 4096,
	SHARDS_MAX = 255,
	RECORD_MAX = 1 << 20,    /* bytes; a sketch is the longest */
	STEP_BYTES = 256 * 1024, /* room taken at a time: a tenth of a millisecond */
	RACE_TRIES = 8,
	PATH_LEN_MAX = 4096,
	NS_PER_S = 1000000000,
	MIB = 1024 * 1024,
	TMPFS = 0x01021994, /* statfs(2) */
};
#define CAP_MAX (UINT32_C(1) << 27)
#define ORDER   UINT32_C(0x01020304)
#define SETTLED UINT64_C(0x534554544C454421)
static const char magic[8] = "bsstate\n";

/* The first page. */
struct header {
	char magic[8];
	uint32_t order; /* of bytes */
	uint32_t version;
	uint32_t n_shards;
	uint32_t n_regions;
	uint64_t len; /* of the file */
	uint8_t boot_id[16];
	uint8_t registry[16];
	uint8_t hash_key[BS_SIPHASH_KEY_LEN];
	struct bs_state_spec spec[BS_STATE_N];
	uint64_t check;   /* over all before it */
	uint64_t settled; /* SETTLED: what the header promises is there */
	uint64_t base;    /* monotonic time of uptime 0, in the process that wrote last */
	uint64_t pid;     /* of that process, for the one that finds the file locked */
};

/* One page per shard, behind the header. */
struct page {
	uint64_t up_ns;
	uint32_t used[BS_STATE_N];
	struct bs_state_note note;
};

_Static_assert(sizeof(struct header) <= PAGE, "one page");
_Static_assert(sizeof(struct page) <= PAGE, "one page");

struct bs_state_shard {
	struct bs_state *state;
	struct page *page;
	uint8_t *records[BS_STATE_N];
	uint64_t room[BS_STATE_N]; /* bytes that are there for certain */
	bool told;                 /* that there is no room */
};

struct bs_state {
	int fd; /* -1: memory only */
	char path[PATH_LEN_MAX];
	char temp[PATH_LEN_MAX + 8]; /* where the new file is until it replaces the old */
	uint8_t *map;
	size_t len;
	struct bs_state_shard shard[SHARDS_MAX];
	enum bs_state_found found;
	bs_time base;
	bool held; /* the old file is another process's until it says otherwise */
	struct bs_state *old;
};

static struct header *header_of(const struct bs_state *s)
{
	return (struct header *)(void *)s->map;
}

static int BS_PRINTF(4, 5) fail(char *err, size_t cap, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err, cap, fmt, ap);
	va_end(ap);
	return code;
}

/* ---- arrangement ---- */

static uint64_t pages(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

static uint64_t region_len(const struct bs_state_spec *spec)
{
	return pages((uint64_t)spec->len * spec->cap);
}

static uint64_t shard_len(const struct bs_state_spec spec[BS_STATE_N])
{
	uint64_t len = 0;
	unsigned r;

	for (r = 0; r < BS_STATE_N; r++)
		len += region_len(&spec[r]);
	return len;
}

/* Limits first, so that nothing below can overflow: 255 * 2^47 fits. */
static bool is_sane(const struct bs_state_spec spec[BS_STATE_N], unsigned n_shards)
{
	unsigned r;

	if (n_shards == 0 || n_shards > SHARDS_MAX)
		return false;
	for (r = 0; r < BS_STATE_N; r++) {
		if (spec[r].len == 0 || spec[r].len > RECORD_MAX || spec[r].cap == 0 ||
		    spec[r].cap > CAP_MAX)
			return false;
	}
	return true;
}

static uint64_t file_len(const struct bs_state_spec spec[BS_STATE_N], unsigned n_shards)
{
	return PAGE + n_shards * (PAGE + shard_len(spec));
}

/* Point the shards into the mapping. */
static void arrange(struct bs_state *s)
{
	const struct header *h = header_of(s);
	uint8_t *at = s->map + PAGE + (size_t)h->n_shards * PAGE;
	unsigned i;
	unsigned r;

	for (i = 0; i < h->n_shards; i++) {
		struct bs_state_shard *shard = &s->shard[i];

		shard->state = s;
		shard->page = (struct page *)(void *)(s->map + PAGE + (size_t)i * PAGE);
		for (r = 0; r < BS_STATE_N; r++) {
			shard->records[r] = at;
			at += region_len(&h->spec[r]);
		}
	}
}

/* ---- room ---- */

static int take_room(const struct bs_state *s, uint64_t off, uint64_t len)
{
	int rc;

	do
		rc = fallocate(s->fd, 0, (off_t)off, (off_t)len);
	while (rc != 0 && errno == EINTR);
	return rc == 0 ? BS_OK : errno == ENOSPC || errno == EDQUOT ? BS_EFULL : BS_EIO;
}

static uint64_t offset_of(const struct bs_state_shard *h, unsigned r)
{
	return (uint64_t)(h->records[r] - h->state->map);
}

/* Room for the first `end` bytes of a region, and a step more where there is any. */
static int grow(struct bs_state_shard *h, unsigned r, uint64_t end)
{
	const struct bs_state_spec *spec = &header_of(h->state)->spec[r];
	uint64_t most = region_len(spec);
	uint64_t want = h->room[r] + STEP_BYTES;
	int err;

	if (h->state->fd < 0) {
		h->room[r] = most;
		return BS_OK;
	}
	end = pages(end);
	want = want < end ? end : want;
	want = want > most ? most : want;
	err = take_room(h->state, offset_of(h, r) + h->room[r], want - h->room[r]);
	if (err && want > end) {
		want = end;
		err = take_room(h->state, offset_of(h, r) + h->room[r], want - h->room[r]);
	}
	if (!err)
		h->room[r] = want;
	return err;
}

static void tell_full(struct bs_state_shard *h, int err)
{
	if (!h->told)
		bs_log_error("state, %s cannot grow (%s): new devices are refused until there is "
			     "room on its file system or max-devices is lower; those attached stay",
			     h->state->path, bs_strerror(err));
	h->told = true;
}

int bs_state_use(struct bs_state_shard *h, enum bs_state_region r, uint32_t n)
{
	const struct bs_state_spec *spec = &header_of(h->state)->spec[r];
	uint64_t end = (uint64_t)spec->len * n;
	int err = BS_OK;

	if (n > spec->cap)
		return BS_EFULL;
	if (n <= h->page->used[r])
		return BS_OK;
	if (end > h->room[r])
		err = grow(h, r, end);
	if (err) {
		tell_full(h, err);
		return BS_EFULL;
	}
	h->told = false;
	h->page->used[r] = n;
	bs_state_barrier();
	return BS_OK;
}

/* What the pages say is in use has to be there, or a look at it may end the process. */
static int secure_used(struct bs_state *s)
{
	const struct header *h = header_of(s);
	unsigned i;
	unsigned r;
	int err = BS_OK;

	for (i = 0; i < h->n_shards; i++) {
		for (r = 0; r < BS_STATE_N && !err; r++) {
			uint32_t used = s->shard[i].page->used[r];

			if (used > h->spec[r].cap)
				return BS_ECORRUPT;
			if (used > 0)
				err = grow(&s->shard[i], r, (uint64_t)used * h->spec[r].len);
		}
	}
	return err;
}

/* ---- what is found ---- */

static uint64_t checksum(const struct header *h)
{
	static const uint8_t key[BS_SIPHASH_KEY_LEN];

	return bs_siphash(key, h, offsetof(struct header, check));
}

static const char *judge_form(const struct header *h, uint64_t len)
{
	if (memcmp(h->magic, magic, sizeof(magic)) != 0)
		return "is no state of a basestation";
	if (h->order != ORDER || h->version != BS_STATE_VERSION || h->n_regions != BS_STATE_N)
		return "is of another version";
	if (h->check != checksum(h) || h->settled != SETTLED)
		return "is damaged or was never completed";
	if (!is_sane(h->spec, h->n_shards) || h->len != file_len(h->spec, h->n_shards))
		return "is damaged";
	if (h->len != len)
		return "has another length than it should";
	return NULL;
}

/* Why the content is of no use, or NULL. */
static const char *judge(const struct header *h, uint64_t len, const struct bs_state_options *o,
			 const uint8_t boot_id[16])
{
	static const uint8_t unknown[16];
	const char *why = judge_form(h, len);
	unsigned r;

	if (why)
		return why;
	for (r = 0; r < BS_STATE_N; r++) {
		if (h->spec[r].len != o->spec[r].len)
			return "is of another version";
	}
	if (memcmp(h->boot_id, boot_id, sizeof(h->boot_id)) != 0 ||
	    memcmp(boot_id, unknown, sizeof(unknown)) == 0)
		return "is from before this machine started";
	if (memcmp(h->registry, o->registry, sizeof(h->registry)) != 0)
		return "belongs to another registry";
	return NULL;
}

static void read_boot_id(uint8_t id[16])
{
	char text[64] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	ssize_t i;
	unsigned n = 0;

	memset(id, 0, 16);
	for (i = 0; i < len && n < 32; i++) {
		const char *digits = "0123456789abcdef";
		const char *d = text[i] ? strchr(digits, text[i]) : NULL;

		if (!d)
			continue;
		id[n / 2] = (uint8_t)(id[n / 2] << 4 | (d - digits));
		n++;
	}
	if (fd >= 0)
		close(fd);
}

/* ---- mapping ---- */

static int map_file(struct bs_state *s, uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);

	if (p == MAP_FAILED)
		return BS_ENOMEM;
	s->map = p;
	s->len = len;
	/* There are keys in it. */
	(void)madvise(p, len, MADV_DONTDUMP);
	bs_pages_hint(p, len);
	return BS_OK;
}

static int fill_header(struct header *h, const struct bs_state_options *o,
		       const uint8_t boot_id[16])
{
	memcpy(h->magic, magic, sizeof(magic));
	h->order = ORDER;
	h->version = BS_STATE_VERSION;
	h->n_shards = o->n_shards;
	h->n_regions = BS_STATE_N;
	h->len = file_len(o->spec, o->n_shards);
	memcpy(h->boot_id, boot_id, sizeof(h->boot_id));
	memcpy(h->registry, o->registry, sizeof(h->registry));
	memcpy(h->spec, o->spec, sizeof(h->spec));
	if (getentropy(h->hash_key, sizeof(h->hash_key)) != 0)
		return BS_ERANDOM;
	h->check = checksum(h);
	return BS_OK;
}

static int map_memory(struct bs_state *s, const struct bs_state_options *o)
{
	static const uint8_t boot_id[16];
	uint64_t len = file_len(o->spec, o->n_shards);
	void *p = bs_pages_map(len);
	int err;

	if (!p)
		return BS_ENOMEM;
	s->map = p;
	s->len = len;
	err = fill_header(header_of(s), o, boot_id);
	arrange(s);
	s->base = o->now;
	return err;
}

static int reserve_all(struct bs_state *s, const struct bs_state_options *o)
{
	return o->reserve ? take_room(s, 0, s->len) : BS_OK;
}

/* An empty state in the open file, which is settled at its end. */
static int make_file(struct bs_state *s, const struct bs_state_options *o,
		     const uint8_t boot_id[16], char *err, size_t cap)
{
	uint64_t len = file_len(o->spec, o->n_shards);
	uint64_t first = PAGE + (uint64_t)o->n_shards * PAGE;
	int rc = BS_EIO;

	if (ftruncate(s->fd, 0) == 0 && ftruncate(s->fd, (off_t)len) == 0)
		rc = take_room(s, 0, o->reserve ? len : first);
	if (rc == BS_EFULL)
		return fail(err, cap, BS_ENOSPC,
			    "state-file, no room for %" PRIu64
			    " MiB of %s on its file system; make "
			    "room, lower max-devices or set another path",
			    (o->reserve ? len : first) / MIB + 1, s->path);
	if (rc == BS_OK)
		rc = map_file(s, len);
	if (rc == BS_OK)
		rc = fill_header(header_of(s), o, boot_id);
	if (rc != BS_OK)
		return fail(err, cap, rc, "state-file, %s cannot be made (%s)", s->path,
			    rc == BS_EIO ? strerror(errno) : bs_strerror(rc));
	arrange(s);
	s->base = o->now;
	header_of(s)->base = o->now;
	header_of(s)->pid = (uint64_t)getpid();
	return BS_OK;
}

static void settle(struct bs_state *s)
{
	bs_state_barrier();
	header_of(s)->settled = SETTLED;
}

/* ---- the file ---- */

static int judge_file(const struct stat *st, const struct bs_state_options *o, const char *path,
		      char *err, size_t cap)
{
	uid_t me = geteuid();

	if (!S_ISREG(st->st_mode) || st->st_nlink != 1)
		return fail(err, cap, BS_EPERM,
			    "state-file, %s is no file of its own (a link or a folder); remove it",
			    path);
	if (st->st_uid != me && !(o->chown && st->st_uid == o->uid))
		return fail(err, cap, BS_EPERM,
			    "state-file, %s belongs to user id %u; it holds keys: remove it or "
			    "give it to the daemon's user",
			    path, (unsigned)st->st_uid);
	if ((st->st_mode & 077) != 0)
		return fail(err, cap, BS_EPERM,
			    "state-file, %s may be read or written by others; it holds keys: "
			    "remove it",
			    path);
	return BS_OK;
}

static int tell_locked(int fd, const char *path, char *err, size_t cap)
{
	struct header h;
	uint64_t pid = pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) ? h.pid : 0;

	return fail(err, cap, BS_EBUSY,
		    "state-file, %s is in use by another basestationd (process %" PRIu64
		    "); stop it, or give each its own state-file",
		    path, pid);
}

/* Open and lock.  Somebody may put another file in its place before the lock is ours. */
static int open_locked(const struct bs_state_options *o, struct stat *st, char *err, size_t cap)
{
	unsigned tries;

	for (tries = 0; tries < RACE_TRIES; tries++) {
		int fd = open(o->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat now;
		int rc;

		if (fd < 0)
			return fail(err, cap, errno == EACCES ? BS_EPERM : BS_EIO,
				    "state-file, %s cannot be opened: %s", o->path,
				    strerror(errno));
		rc = fstat(fd, st) != 0 ? BS_EIO : judge_file(st, o, o->path, err, cap);
		if (rc == BS_OK && flock(fd, LOCK_EX | LOCK_NB) != 0)
			rc = tell_locked(fd, o->path, err, cap);
		if (rc == BS_OK && o->chown && fchown(fd, o->uid, o->gid) != 0)
			rc = fail(err, cap, BS_EPERM,
				  "state-file, %s cannot be given to user id %u: %s", o->path,
				  (unsigned)o->uid, strerror(errno));
		if (rc != BS_OK) {
			close(fd);
			return rc;
		}
		if (stat(o->path, &now) == 0 && now.st_ino == st->st_ino &&
		    now.st_dev == st->st_dev)
			return fd;
		close(fd);
	}
	return fail(err, cap, BS_EBUSY, "state-file, %s is replaced again and again", o->path);
}

static int open_file(struct bs_state *s, const struct bs_state_options *o, struct stat *st,
		     char *err, size_t cap)
{
	struct statfs fs;

	if (o->inherited > 0) {
		s->fd = o->inherited;
		if (fstat(s->fd, st) != 0)
			return fail(err, cap, BS_EIO,
				    "state-file, the descriptor of %s was not handed over",
				    o->path);
	} else {
		s->fd = open_locked(o, st, err, cap);
		if (s->fd < 0)
			return s->fd;
	}
	if (fstatfs(s->fd, &fs) == 0 && fs.f_type != TMPFS)
		bs_log_notice("state-file, %s is not on tmpfs: what devices are doing is written "
			      "to a disk, which costs speed",
			      o->path);
	if (fstatfs(s->fd, &fs) == 0 &&
	    (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize + (uint64_t)st->st_blocks * 512 <
		    file_len(o->spec, o->n_shards))
		bs_log_notice("state-file, the file system of %s has not enough room for "
			      "max-devices (%" PRIu64 " MiB): devices will be refused when it is "
			      "used up",
			      o->path, file_len(o->spec, o->n_shards) / MIB);
	return BS_OK;
}

/* Away for how long; clocks that disagree mean "not at all". */
static bs_time away(const struct bs_state *s, uint64_t up_ns, bs_time now)
{
	bs_time end = header_of(s)->base + up_ns;

	return end < now ? now - end : 0;
}

static uint64_t last_up(const struct bs_state *s)
{
	const uint64_t most = (uint64_t)INT64_MAX;
	uint64_t up = 0;
	unsigned i;

	for (i = 0; i < header_of(s)->n_shards; i++) {
		if (s->shard[i].page->up_ns > up)
			up = s->shard[i].page->up_ns;
	}
	return up < most ? up : most;
}

/* Map what the header allows and look further.  NULL, or why it is of no use. */
static const char *map_found(struct bs_state *s, uint64_t len, const struct bs_state_options *o)
{
	uint64_t up;

	if (map_file(s, len) != BS_OK)
		return "cannot be mapped";
	arrange(s);
	if (secure_used(s) != BS_OK)
		return "is damaged, or its file system full";
	up = last_up(s);
	if (away(s, up, o->now) > o->patience)
		return "is older than any device's patience";
	s->base = o->now - up;
	return NULL;
}

static void unmap(struct bs_state *s)
{
	if (s->map)
		munmap(s->map, s->len);
	s->map = NULL;
	memset(s->shard, 0, sizeof(s->shard));
}

static bool same_arrangement(const struct header *h, const struct bs_state_options *o)
{
	unsigned r;

	for (r = 0; r < BS_STATE_N; r++) {
		if (h->spec[r].cap != o->spec[r].cap)
			return false;
	}
	return h->n_shards == o->n_shards;
}

/* The header is read, not mapped, until it is known that the file is as long as it says. */
static const char *look(struct bs_state *s, const struct stat *st, const struct bs_state_options *o,
			const uint8_t boot_id[16])
{
	struct header h;
	const char *why;

	if (pread(s->fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		return "is damaged";
	why = judge(&h, (uint64_t)st->st_size, o, boot_id);
	if (!why)
		why = map_found(s, (uint64_t)st->st_size, o);
	if (why)
		return why;
	s->found = same_arrangement(&h, o) ? BS_STATE_SAME : BS_STATE_OTHER;
	return NULL;
}

/* A new file beside the old one; it takes the lock at once, so that nobody opens it between. */
static int begin_other(struct bs_state *s, const struct bs_state_options *o,
		       const uint8_t boot_id[16], char *err, size_t cap)
{
	struct bs_state *old = calloc(1, sizeof(*old));
	int rc;
	unsigned i;

	if (!old)
		return fail(err, cap, BS_ENOMEM, "state-file, no memory");
	*old = *s;
	for (i = 0; old->map && i < header_of(old)->n_shards; i++)
		old->shard[i].state = old;
	s->old = old;
	s->held = o->inherited > 0;
	s->map = NULL;
	s->fd = -1;
	memset(s->shard, 0, sizeof(s->shard));
	(void)unlink(s->temp);
	s->fd = open(s->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd < 0 || flock(s->fd, LOCK_EX | LOCK_NB) != 0 ||
	    (o->chown && fchown(s->fd, o->uid, o->gid) != 0))
		return fail(err, cap, BS_EIO, "state-file, %s cannot be made: %s", s->temp,
			    strerror(errno));
	rc = make_file(s, o, boot_id, err, cap);
	if (rc == BS_OK && old->map) {
		memcpy(header_of(s)->hash_key, header_of(old)->hash_key, BS_SIPHASH_KEY_LEN);
		header_of(s)->check = checksum(header_of(s));
		s->base = old->base;
		header_of(s)->base = old->base;
	}
	return rc;
}

static int open_path(struct bs_state *s, const struct bs_state_options *o, char *err, size_t cap)
{
	const char *why = NULL;
	uint8_t boot_id[16];
	struct stat st;
	int rc;

	snprintf(s->path, sizeof(s->path), "%s", o->path);
	snprintf(s->temp, sizeof(s->temp), "%s.new", s->path);
	if (o->boot_id)
		memcpy(boot_id, o->boot_id, sizeof(boot_id));
	else
		read_boot_id(boot_id);
	rc = open_file(s, o, &st, err, cap);
	if (rc != BS_OK)
		return rc;
	if (st.st_size > 0)
		why = look(s, &st, o, boot_id);
	if (why)
		bs_log_notice("state, begins anew, all devices will attach again (%s %s)", s->path,
			      why);
	if (why || st.st_size == 0)
		unmap(s);
	/* never in the file of a process that may go on */
	if (o->inherited > 0) {
		s->found = s->map ? BS_STATE_OTHER : BS_STATE_NEW;
		return begin_other(s, o, boot_id, err, cap);
	}
	if (why || st.st_size == 0) {
		rc = make_file(s, o, boot_id, err, cap);
		if (rc == BS_OK)
			settle(s);
		return rc;
	}
	if (s->found == BS_STATE_OTHER)
		return begin_other(s, o, boot_id, err, cap);
	header_of(s)->base = s->base;
	header_of(s)->pid = (uint64_t)getpid();
	return reserve_all(s, o) == BS_OK
		       ? BS_OK
		       : fail(err, cap, BS_ENOSPC,
			      "state-file, no room for %zu MiB of %s (state-reserve); make room or "
			      "lower max-devices",
			      s->len / MIB + 1, s->path);
}

/* ---- life ---- */

int bs_state_open(const struct bs_state_options *o, struct bs_state **out, char *err, size_t cap)
{
	struct bs_state *s;
	int rc;

	if (!is_sane(o->spec, o->n_shards) || (o->path && strlen(o->path) >= sizeof(s->path)))
		return fail(err, cap, BS_EINVAL, "state, limits out of range");
	s = calloc(1, sizeof(*s));
	if (!s)
		return fail(err, cap, BS_ENOMEM, "state, no memory");
	s->fd = -1;
	rc = o->path ? open_path(s, o, err, cap) : map_memory(s, o);
	if (rc != BS_OK) {
		if (!o->path)
			(void)fail(err, cap, rc, "state, no memory for the device records");
		bs_state_close(s);
		return rc;
	}
	*out = s;
	return BS_OK;
}

/* Memory that nobody inherits: there are keys in it. */
static void wipe_used(struct bs_state *s)
{
	const struct header *h = header_of(s);
	unsigned i;
	unsigned r;

	for (i = 0; i < h->n_shards; i++) {
		for (r = 0; r < BS_STATE_N && s->shard[i].page; r++)
			bs_wipe(s->shard[i].records[r],
				(size_t)s->shard[i].page->used[r] * h->spec[r].len);
	}
}

static void close_one(struct bs_state *s)
{
	unmap(s);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

void bs_state_close(struct bs_state *s)
{
	if (!s)
		return;
	/* Not settled: the old one stays what counts. */
	if (s->old) {
		(void)unlink(s->temp);
		close_one(s->old);
	}
	if (s->fd < 0 && s->map)
		wipe_used(s);
	close_one(s);
}

bool bs_state_is_held(const struct bs_state *s)
{
	return s->held;
}

int bs_state_settle(struct bs_state *s)
{
	if (!s->old)
		return BS_OK;
	s->held = false;
	settle(s);
	if (rename(s->temp, s->path) != 0) {
		bs_log_error("state, %s cannot replace %s (%s): this server's devices will attach "
			     "again after the next restart",
			     s->temp, s->path, strerror(errno));
		return BS_EIO;
	}
	close_one(s->old);
	s->old = NULL;
	return BS_OK;
}

/* ---- access ---- */

enum bs_state_found bs_state_found(const struct bs_state *s)
{
	return s->found;
}

const struct bs_state *bs_state_old(const struct bs_state *s)
{
	return s->old;
}

int bs_state_fd(const struct bs_state *s)
{
	return s->fd < 0 ? 0 : s->fd;
}

bs_time bs_state_base(const struct bs_state *s)
{
	return s->base;
}

const uint8_t *bs_state_hash_key(const struct bs_state *s)
{
	return header_of(s)->hash_key;
}

unsigned bs_state_n_shards(const struct bs_state *s)
{
	return header_of(s)->n_shards;
}

struct bs_state_shard *bs_state_shard(const struct bs_state *s, unsigned worker)
{
	return (struct bs_state_shard *)&s->shard[worker];
}

void *bs_state_records(const struct bs_state_shard *h, enum bs_state_region r)
{
	return h->records[r];
}

uint32_t bs_state_used(const struct bs_state_shard *h, enum bs_state_region r)
{
	return h->page->used[r];
}

uint32_t bs_state_cap(const struct bs_state_shard *h, enum bs_state_region r)
{
	return header_of(h->state)->spec[r].cap;
}

void bs_state_beat(struct bs_state_shard *h, uint64_t up_ns)
{
	h->page->up_ns = up_ns;
}

struct bs_state_note *bs_state_note(const struct bs_state_shard *h)
{
	return &h->page->note;
}
