dnl SPDX-License-Identifier: Apache-2.0

dnl BS_REQUIRE_PKG(VAR, pkg-config expression, Debian package)
AC_DEFUN([BS_REQUIRE_PKG], [
PKG_CHECK_MODULES([$1], [$2], [], [
  AC_MSG_ERROR([$2 is required and was not found; install it (Debian: apt-get install $3) or
point PKG_CONFIG_PATH at its .pc file])])])

dnl BS_OPTIONAL_PKG(VAR, expression, Debian package, what is lost without it)
AC_DEFUN([BS_OPTIONAL_PKG], [
PKG_CHECK_MODULES([$1], [$2], [have_$1=yes], [have_$1=no
  AC_MSG_WARN([$2 was not found (Debian: $3): $4 will not be built])])])

dnl libev ships without a .pc file in places: fall back to header and library.
AC_DEFUN([BS_REQUIRE_LIBEV], [
PKG_CHECK_MODULES([EV], [libev >= 4.20], [], [
  AC_CHECK_HEADER([ev.h], [], [
    AC_MSG_ERROR([libev is required and ev.h was not found (Debian: apt-get install libev-dev)])])
  AC_CHECK_LIB([ev], [ev_run], [EV_LIBS=-lev], [
    AC_MSG_ERROR([libev is required and -lev does not link (Debian: apt-get install libev-dev)])])
  EV_CFLAGS=
  AC_SUBST([EV_CFLAGS]) AC_SUBST([EV_LIBS])])])
