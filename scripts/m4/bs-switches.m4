dnl SPDX-License-Identifier: Apache-2.0
dnl Switches of configure.  None of them edits CFLAGS: that variable belongs to the user.

AC_DEFUN([BS_ARG_WERROR], [
AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [treat warnings as errors])],
  [], [enable_werror=no])])

AC_DEFUN([BS_ARG_SANITIZERS], [
AC_ARG_ENABLE([sanitizers],
  [AS_HELP_STRING([--enable-sanitizers=LIST], [build with -fsanitize=LIST (default: address,undefined)])],
  [], [enable_sanitizers=no])
AS_IF([test "$enable_sanitizers" = yes], [enable_sanitizers=address,undefined])
BS_SAN_FLAGS=
AS_IF([test "$enable_sanitizers" != no], [
  BS_SAN_FLAGS="-fsanitize=$enable_sanitizers -fno-omit-frame-pointer -fno-sanitize-recover=all"
  bs_save="$CFLAGS"; CFLAGS="$CFLAGS $BS_SAN_FLAGS"
  AC_MSG_CHECKING([whether $CC links with -fsanitize=$enable_sanitizers])
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([the sanitizers "$enable_sanitizers" were asked for and $CC cannot link them])])
  CFLAGS="$bs_save"])
AC_SUBST([BS_SAN_FLAGS])])

AC_DEFUN([BS_ARG_FUZZING], [
AC_ARG_ENABLE([fuzzing],
  [AS_HELP_STRING([--enable-fuzzing], [build the fuzz targets with libFuzzer (clang)])],
  [], [enable_fuzzing=no])
BS_FUZZ_FLAGS=
AS_IF([test "$enable_fuzzing" = yes], [
  bs_save="$CFLAGS"; CFLAGS="$CFLAGS -fsanitize=fuzzer-no-link"
  AC_MSG_CHECKING([whether $CC has -fsanitize=fuzzer])
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [AC_MSG_RESULT([yes])],
    [AC_MSG_RESULT([no])
     AC_MSG_ERROR([--enable-fuzzing needs clang with libFuzzer (Debian: clang libclang-rt-14-dev)])])
  CFLAGS="$bs_save"
  BS_FUZZ_FLAGS="-fsanitize=fuzzer-no-link"])
AC_SUBST([BS_FUZZ_FLAGS])
AM_CONDITIONAL([BS_FUZZING], [test "$enable_fuzzing" = yes])])

AC_DEFUN([BS_ARG_COVERAGE], [
AC_ARG_ENABLE([coverage], [AS_HELP_STRING([--enable-coverage], [build for gcov])],
  [], [enable_coverage=no])
BS_COV_FLAGS=
AS_IF([test "$enable_coverage" = yes], [BS_COV_FLAGS="--coverage"])
AC_SUBST([BS_COV_FLAGS])])

AC_DEFUN([BS_ARG_DEBUG], [
AC_ARG_ENABLE([debug], [AS_HELP_STRING([--enable-debug], [compile with trace checks and -Og])],
  [], [enable_debug=no])
BS_DEBUG_FLAGS=
AS_IF([test "$enable_debug" = yes], [BS_DEBUG_FLAGS="-Og -g3 -DBS_DEBUG"])
AC_SUBST([BS_DEBUG_FLAGS])])
