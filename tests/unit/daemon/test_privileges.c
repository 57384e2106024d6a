/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/privileges.h"

#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suites.h"

static const struct bs_conf *conf_of(const char *text)
{
	const struct bs_conf *c = NULL;
	struct bs_conf_error e;

	ck_assert_msg(bs_conf_load_text("t", text, strlen(text), &c, &e) == BS_OK, "%s", e.text);
	return c;
}

START_TEST(unknown_user_and_group)
{
	const struct bs_conf *c = conf_of("user = no-such-user-here\n");
	struct bs_identity id;
	char err[256] = "";

	if (geteuid() != 0) {
		/* who is not root stays who he is, whatever the conf says */
		ck_assert_int_eq(bs_privileges_find(c, &id, err, sizeof(err)), BS_OK);
		ck_assert(!id.change);
		bs_conf_unref(c);
		return;
	}
	ck_assert_int_eq(bs_privileges_find(c, &id, err, sizeof(err)), BS_ENOENT);
	ck_assert_str_eq(err, "there is no user \"no-such-user-here\"; make it (useradd --system "
			      "no-such-user-here) or set user in the conf");
	ck_assert(!id.change);
	bs_conf_unref(c);
	c = conf_of("user = nobody\ngroup = no-such-group\n");
	ck_assert_int_eq(bs_privileges_find(c, &id, err, sizeof(err)), BS_ENOENT);
	ck_assert_str_eq(err, "there is no group \"no-such-group\"; make it (groupadd --system "
			      "no-such-group) or set group in the conf");
	ck_assert(!id.change);
	bs_conf_unref(c);
}
END_TEST

START_TEST(root_by_name_changes_nothing)
{
	const struct bs_conf *c = conf_of("user = root\n");
	struct bs_identity id;
	char err[256];

	ck_assert_int_eq(bs_privileges_find(c, &id, err, sizeof(err)), BS_OK);
	ck_assert(!id.change);
	bs_conf_unref(c);
}
END_TEST

/* In a child: drop, then report by exit status which promise does not hold. */
static int dropped(const struct bs_identity *id)
{
	struct rlimit rl;
	gid_t groups[8];
	char err[256];

	if (bs_privileges_harden(err, sizeof(err)) != BS_OK)
		return 1;
	if (bs_privileges_drop(id, err, sizeof(err)) != BS_OK)
		return 2;
	if (getuid() != id->uid || geteuid() != id->uid || getgid() != id->gid)
		return 3;
	if (getgroups(8, groups) != 1 || groups[0] != id->gid)
		return 4;
	if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0)
		return 5;
	if (getrlimit(RLIMIT_CORE, &rl) != 0 || rl.rlim_max != 0)
		return 6;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 7;
	bs_privileges_soften();
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1)
		return 9;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 8;
	return 0;
}

START_TEST(drop_is_for_good)
{
	const struct bs_conf *c = conf_of("user = nobody\n");
	struct bs_identity id;
	char err[256] = "";
	int status;
	pid_t pid;

	ck_assert_msg(bs_privileges_find(c, &id, err, sizeof(err)) == BS_OK, "%s", err);
	bs_conf_unref(c);
	ck_assert_int_eq(id.change, geteuid() == 0);
	if (!id.change)
		id = (struct bs_identity){ .change = true, .uid = 65534, .gid = 65534 };
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(dropped(&id));
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	/* without root's rights nothing can be dropped, and that must be said */
	ck_assert_int_eq(WEXITSTATUS(status), geteuid() == 0 ? 0 : 2);
}
END_TEST

START_TEST(nothing_to_drop)
{
	struct bs_identity id = { .change = false };
	char err[256];

	ck_assert_int_eq(bs_privileges_drop(&id, err, sizeof(err)), BS_OK);
}
END_TEST

Suite *bs_suite_privileges(void)
{
	Suite *s = suite_create("privileges");
	TCase *tc = tcase_create("all");

	tcase_add_test(tc, unknown_user_and_group);
	tcase_add_test(tc, root_by_name_changes_nothing);
	tcase_add_test(tc, drop_is_for_good);
	tcase_add_test(tc, nothing_to_drop);
	suite_add_tcase(s, tc);
	return s;
}
