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

dnl BS_WITH_LIBRARY(NAME, VARIABLE, HEADER, FUNCTION, WHAT): --with-NAME, on when it is there.  Defines
dnl HAVE_VARIABLE and VARIABLE_LIBS, and with_NAME for the summary.
AC_DEFUN([BS_WITH_LIBRARY], [
  AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [$5])], [], [with_$1=auto])
  $2_LIBS=
  AS_IF([test "$with_$1" != no], [
    bs_have=no
    AC_CHECK_HEADER([$3], [AC_CHECK_LIB([$1], [$4], [bs_have=yes])])
    AS_IF([test "$bs_have" = yes], [
        $2_LIBS=-l$1
        AC_DEFINE([HAVE_$2], [1], [Define to 1 to use lib$1.])
      ], [test "$with_$1" = yes], [
        AC_MSG_ERROR([--with-$1 was given, but lib$1 was not found (Debian: lib$1-dev)])
      ])
    with_$1=$bs_have
  ])
  AC_SUBST([$2_LIBS])
])

dnl Ask a router for a mapped port: UPnP and NAT-PMP.
AC_DEFUN([BS_WITH_MINIUPNPC], [
  BS_WITH_LIBRARY([miniupnpc], [MINIUPNPC], [miniupnpc/miniupnpc.h], [upnpDiscover],
    [clients ask no router by UPnP])
])
AC_DEFUN([BS_WITH_NATPMP], [
  BS_WITH_LIBRARY([natpmp], [NATPMP], [natpmp.h], [initnatpmp],
    [clients ask no router by NAT-PMP])
])
