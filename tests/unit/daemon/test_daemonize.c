/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemonize.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suites.h"

static char dir[64];
static char path[96];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/bs-test-daemonize-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/pid", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

static void read_file(const char *name, char *out, size_t cap)
{
	FILE *f = fopen(name, "r");
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(out, 1, cap - 1, f);
	out[n] = '\0';
	fclose(f);
}

START_TEST(pid_file_is_locked_written_and_removed)
{
	char err[256] = "";
	char want[256];
	char text[64];
	int fd = bs_pid_file_take(path, err, sizeof(err));

	ck_assert_msg(fd >= 0, "%s", err);
	read_file(path, text, sizeof(text));
	snprintf(want, sizeof(want), "%ld\n", (long)getpid());
	ck_assert_str_eq(text, want);
	/* a lock of this process's other descriptor counts as another holder with flock */
	ck_assert_int_eq(bs_pid_file_take(path, err, sizeof(err)), BS_EBUSY);
	snprintf(want, sizeof(want), "%s: a daemon runs already (process %ld); stop it first", path,
		 (long)getpid());
	ck_assert_str_eq(err, want);
	bs_pid_file_give(fd, path);
	ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(pid_file_of_a_dead_daemon_is_taken_over)
{
	char err[256] = "";
	char text[64];
	FILE *f = fopen(path, "w");
	int fd;

	ck_assert_ptr_nonnull(f);
	fputs("123456789 and more than any number\n", f);
	fclose(f);
	fd = bs_pid_file_take(path, err, sizeof(err));
	ck_assert_msg(fd >= 0, "%s", err);
	read_file(path, text, sizeof(text));
	ck_assert_int_eq(strtol(text, NULL, 10), getpid());
	ck_assert_uint_eq(strlen(text), strspn(text, "0123456789") + 1);
	bs_pid_file_give(fd, path);
}
END_TEST

START_TEST(pid_file_places_that_do_not_work)
{
	char err[256] = "";
	char other[160];

	ck_assert_int_eq(bs_pid_file_take("/nonexistent/x.pid", err, sizeof(err)), BS_ENOENT);
	ck_assert_str_eq(err, "/nonexistent/x.pid: No such file or directory; make its folder or "
			      "set pid-file in the conf");
	ck_assert_int_lt(bs_pid_file_take(dir, err, sizeof(err)), 0);
	/* a link planted in a folder that others can write to must not be followed */
	snprintf(other, sizeof(other), "%s/target", dir);
	ck_assert_int_eq(symlink(other, path), 0);
	ck_assert_int_lt(bs_pid_file_take(path, err, sizeof(err)), 0);
	ck_assert_int_ne(access(other, F_OK), 0);
	ck_assert_int_eq(bs_pid_file_take("/dev/full", err, sizeof(err)), BS_ENOSPC);
	bs_pid_file_give(-1, path);
}
END_TEST

/* Runs the daemon part in a grandchild and returns what its caller sees. */
static int run(void (*part)(struct bs_daemonize *d), char *text, size_t cap)
{
	char err[256];
	int status;
	int p[2];
	ssize_t n;
	pid_t pid;

	ck_assert_int_eq(pipe(p), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct bs_daemonize d = { .fd = -1 };

		close(p[0]);
		dup2(p[1], STDERR_FILENO);
		close(p[1]);
		if (bs_daemonize(&d, err, sizeof(err)) == BS_OK)
			part(&d);
		_exit(0);
	}
	close(p[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	n = read(p[0], text, cap - 1);
	text[n > 0 ? n : 0] = '\0';
	close(p[0]);
	return WEXITSTATUS(status);
}

static void is_ready(struct bs_daemonize *d)
{
	char cwd[16] = "";

	if (getsid(0) == getpid()) /* leads its session: a terminal could come back */
		bs_daemonize_tell(d, 9, "leads");
	if (getcwd(cwd, sizeof(cwd)) == NULL || strcmp(cwd, "/") != 0)
		bs_daemonize_tell(d, 8, "folder");
	bs_daemonize_tell(d, 0, "");
	bs_daemonize_tell(d, 7, "told twice");
}

static void fails(struct bs_daemonize *d)
{
	bs_daemonize_tell(d, 5, "port in use");
}

static void dies(struct bs_daemonize *d)
{
	(void)d;
	_exit(0);
}

START_TEST(caller_learns_the_outcome)
{
	char text[256];

	ck_assert_int_eq(run(is_ready, text, sizeof(text)), 0);
	ck_assert_str_eq(text, "");
	ck_assert_int_eq(run(fails, text, sizeof(text)), 5);
	ck_assert_str_eq(text, "basestationd: port in use\n");
	ck_assert_int_eq(run(dies, text, sizeof(text)), 1);
	ck_assert_str_eq(text, "basestationd: the daemon ended before it was ready; see its log\n");
}
END_TEST

START_TEST(detach)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct stat null;
		struct stat st;
		int bad = 0;

		bs_daemonize_detach(true);
		if (stat("/dev/null", &null) != 0)
			_exit(1);
		bad |= fstat(0, &st) != 0 || st.st_rdev != null.st_rdev;
		bad |= fstat(1, &st) != 0 || st.st_rdev != null.st_rdev;
		bs_daemonize_detach(false);
		bad |= fstat(2, &st) != 0 || st.st_rdev != null.st_rdev;
		_exit(bad);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

Suite *bs_suite_daemonize(void)
{
	Suite *s = suite_create("daemonize");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, pid_file_is_locked_written_and_removed);
	tcase_add_test(tc, pid_file_of_a_dead_daemon_is_taken_over);
	tcase_add_test(tc, pid_file_places_that_do_not_work);
	tcase_add_test(tc, caller_learns_the_outcome);
	tcase_add_test(tc, detach);
	suite_add_tcase(s, tc);
	return s;
}
