/* SPDX-License-Identifier: Apache-2.0 */
/* The words for results: every code has its own, and nothing of a peer's reaches a terminal raw. */
#include "rig.h"

Suite *bs_suite_error(void);

START_TEST(every_code_has_a_name_of_its_own)
{
	static const uint32_t ranges[][2] = {
		{ BS_ST_ERROR, BS_ST_WRONG_KEY },   { BS_ST_RATE, BS_ST_CURSOR },
		{ BSC_INTERNAL, BSC_TIMEOUT },      { BSC_RESOLVE_NAME, BSC_LOST },
		{ BSC_TLS_FAILED, BSC_SERVER_CRL }, { BSC_CLIENT_REFUSED, BSC_CLIENT_SIGN },
		{ BSC_REDIRECTS, BSC_PROTOCOL },    { BSC_NO_PATH, BSC_DEVICE_CLOSED },
		{ BSC_EXCEPTION, BSC_QUERY },
	};
	const char *seen[128];
	size_t n = 0;

	for (size_t k = 0; k < LEN(ranges); k++)
		for (uint32_t c = ranges[k][0]; c <= ranges[k][1]; c++) {
			const char *name = bsc_code_name(c);

			ck_assert_msg(strcmp(name, "unknown") != 0, "code 0x%04x has no name", c);
			for (size_t i = 0; i < n; i++)
				ck_assert_str_ne(seen[i], name);
			seen[n++] = name;
		}
	ck_assert_str_eq(bsc_code_name(0), "ok");
	ck_assert_str_eq(bsc_code_name(0x9999), "unknown");
}
END_TEST

START_TEST(exceptions_have_symbols)
{
	ck_assert_str_eq(bsc_rpc_exception_name(BS_RPC_NOT_READY), "BS_RPC_NOT_READY");
	ck_assert_str_eq(bsc_rpc_exception_name(BS_RPC_NO_QUERY), "BS_RPC_NO_QUERY");
	for (uint32_t c = 3; c <= 11; c++)
		ck_assert_str_ne(bsc_rpc_exception_name(c), "BS_RPC_OTHER");
	ck_assert_str_eq(bsc_rpc_exception_name(0), "BS_RPC_OTHER");
	ck_assert_str_eq(bsc_rpc_exception_name(12), "BS_RPC_OTHER");
}
END_TEST

START_TEST(progress_has_words)
{
	ck_assert_str_eq(bsc_progress_name(BSC_RESOLVING), "resolving");
	ck_assert_str_eq(bsc_progress_name(BSC_PATH_FOUND), "path found");
	ck_assert_str_eq(bsc_progress_name(BSC_CLOSED), "closed");
	ck_assert_str_eq(bsc_progress_name((enum bsc_progress)99), "unknown");
}
END_TEST

START_TEST(text_is_made_printable)
{
	static const struct {
		const char *in;
		const char *out;
	} rows[] = {
		{ "plain", "plain" },
		{ "new\nline\tand\x1b[31m", "new?line?and?[31m" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "\xe2\x82\xac \xf0\x9f\x8c\xa1", "\xe2\x82\xac \xf0\x9f\x8c\xa1" },
		{ "cut \xe2\x82", "cut ??" },
		{ "over\xc0\xaflong", "over??long" },
		{ "\xed\xa0\x80 surrogate", "??? surrogate" },
		{ "\xf4\x90\x80\x80 beyond", "???? beyond" },
		{ "c1 \xc2\x9b.", "c1 ??." },
		{ "\x7f\xff\x80", "???" },
		{ "\xe0\x80\x80 \xf0\x80\x80\x80", "??? ????" },
	};

	for (size_t k = 0; k < LEN(rows); k++) {
		char buf[64];

		memcpy(buf, rows[k].in, strlen(rows[k].in) + 1);
		bsc__printable(buf, strlen(buf));
		ck_assert_str_eq(buf, rows[k].out);
	}
}
END_TEST

START_TEST(a_long_text_is_cut_and_terminated)
{
	struct bsc_error e;
	char big[1000];

	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	ck_assert_int_eq(bsc__fail(&e, BS_EINVAL, BSC_FROM_CALLER, BSC_USAGE, "%s", big),
			 BS_EINVAL);
	ck_assert_uint_eq(strlen(e.text), BSC_ERROR_TEXT_MAX - 1);
	ck_assert_int_eq(e.err, BS_EINVAL);
	ck_assert_int_eq(bsc__fail(NULL, BS_EIO, BSC_FROM_CALLER, BSC_USAGE, "x"), BS_EIO);
}
END_TEST

START_TEST(a_status_keeps_number_source_and_text)
{
	struct bsc_error e;
	char huge[600];

	ck_assert_int_eq(
		bsc__fail_status(&e, BSC_FROM_BASESTATION, BS_ST_REFUSED, rig_text("rule 7")),
		BS_EPERM);
	ck_assert_uint_eq(e.code, BS_ST_REFUSED);
	ck_assert_int_eq(e.source, BSC_FROM_BASESTATION);
	ck_assert_ptr_nonnull(strstr(e.text, "(rule 7)"));
	ck_assert_int_eq(bsc__fail_status(&e, BSC_FROM_DEVICE, 0x8abc, rig_text("\x1b[2J")),
			 BS_EREFUSED);
	ck_assert_ptr_nonnull(strstr(e.text, "0x8abc"));
	ck_assert_ptr_null(strchr(e.text, '\x1b'));
	/* "ok" is no reason to fail, but a failure must not look like success. */
	ck_assert_int_lt(bsc__fail_status(&e, BSC_FROM_DEVICE, BS_ST_OK, rig_text("")), 0);
	memset(huge, 'y', sizeof huge);
	(void)bsc__fail_status(&e, BSC_FROM_BASESTATION, BS_ST_BUSY,
			       (struct bs_slice){ (const uint8_t *)huge, sizeof huge });
	ck_assert_uint_lt(strlen(e.text), BSC_ERROR_TEXT_MAX);
	(void)bsc__fail_status(&e, BSC_FROM_BASESTATION, BS_ST_BUSY, (struct bs_slice){ NULL, 0 });
	ck_assert_uint_eq(e.code, BS_ST_BUSY);
}
END_TEST

START_TEST(classes_say_what_to_do)
{
	struct bsc_error e;
	static const struct {
		uint16_t status;
		int err;
	} rows[] = {
		{ BS_ST_NOT_ATTACHED, BS_EUNREACH },
		{ BS_ST_BUSY, BS_EFULL },
		{ BS_ST_RATE, BS_ERATE },
		{ BS_ST_DRAINING, BS_EDRAIN },
		{ BS_ST_REFUSED_DEVICE, BS_EPERM },
		{ BS_ST_CLIENT_CERT, BS_EAUTH },
		{ BS_ST_VERSION, BS_EVERSION },
		{ BS_ST_REATTACHING, BS_EAGAIN },
	};

	for (size_t k = 0; k < LEN(rows); k++)
		ck_assert_int_eq(
			bsc__fail_status(&e, BSC_FROM_BASESTATION, rows[k].status, rig_text("")),
			rows[k].err);
	ck_assert_int_eq(bsc__fail_nomem(&e), BS_ENOMEM);
}
END_TEST

Suite *bs_suite_error(void)
{
	Suite *s = suite_create("client error");
	TCase *t = tcase_create("error");

	tcase_add_test(t, every_code_has_a_name_of_its_own);
	tcase_add_test(t, exceptions_have_symbols);
	tcase_add_test(t, progress_has_words);
	tcase_add_test(t, text_is_made_printable);
	tcase_add_test(t, a_long_text_is_cut_and_terminated);
	tcase_add_test(t, a_status_keeps_number_source_and_text);
	tcase_add_test(t, classes_say_what_to_do);
	suite_add_tcase(s, t);
	return s;
}
