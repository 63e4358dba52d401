#!/bin/sh
# SPDX-License-Identifier: MIT
# Fails when a C file differs from what .clang-format makes of it.
set -u
: "${top_srcdir:=.}" "${CLANG_FORMAT:=clang-format-14}"
command -v "$CLANG_FORMAT" >/dev/null 2>&1 || {
	echo "clang-format is missing (Debian package: clang-format-14)"
	exit 77
}
case $("$CLANG_FORMAT" --version) in
*"version 14."*) ;;
*)
	echo "another clang-format than 14 would format differently"
	exit 77
	;;
esac
cd "$top_srcdir" || exit 99
files=$(find src tests -name '*.[ch]' ! -name '*.gen.c' | sort)
[ -n "$files" ] || {
	echo "no C files found in $top_srcdir"
	exit 99
}
# File names of this project hold no blanks.
# shellcheck disable=SC2086
exec "$CLANG_FORMAT" --style=file --dry-run -Werror $files
