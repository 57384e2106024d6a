dnl SPDX-License-Identifier: Apache-2.0

AC_DEFUN([BS_TRY_CFLAG], [
AS_VAR_PUSHDEF([var], [bs_cv_cflag_$1])
AC_CACHE_CHECK([whether $CC takes $1], [var], [
  bs_save="$CFLAGS"; CFLAGS="$CFLAGS -Werror $1"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [AS_VAR_SET([var], [yes])], [AS_VAR_SET([var], [no])])
  CFLAGS="$bs_save"])
AS_VAR_IF([var], [yes], [BS_WARN_FLAGS="$BS_WARN_FLAGS $1"])
AS_VAR_POPDEF([var])])

AC_DEFUN([BS_CC_FLAGS], [
BS_WARN_FLAGS="-Wall -Wextra"
m4_foreach_w([bs_flag], [-Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
  -Wwrite-strings -Wundef -Wformat=2 -Wimplicit-fallthrough -Wno-unused-parameter -Wno-missing-field-initializers
  -fno-strict-aliasing -fstack-protector-strong],
  [BS_TRY_CFLAG(bs_flag)])
AS_IF([test "$enable_werror" = yes], [BS_WARN_FLAGS="$BS_WARN_FLAGS -Werror"])
AC_SUBST([BS_WARN_FLAGS])])

AC_DEFUN([BS_LD_VERSION_SCRIPT], [
AC_CACHE_CHECK([whether the linker takes a version script], [bs_cv_version_script], [
  echo "V { global: f; local: *; };" > conftest.map
  bs_save="$LDFLAGS"; LDFLAGS="$LDFLAGS -shared -fPIC -Wl,--version-script=conftest.map"
  AC_LINK_IFELSE([AC_LANG_SOURCE([int f(void); int f(void) { return 0; }])],
    [bs_cv_version_script=yes], [bs_cv_version_script=no])
  LDFLAGS="$bs_save"; rm -f conftest.map])
AM_CONDITIONAL([HAVE_VERSION_SCRIPT], [test "$bs_cv_version_script" = yes])])
