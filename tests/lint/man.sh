#!/bin/sh
# SPDX-License-Identifier: MIT
# Fails when mandoc has anything to say about a manual page.
set -u
: "${top_srcdir:=.}" "${MANDOC:=mandoc}"
command -v "$MANDOC" >/dev/null 2>&1 || {
	echo "mandoc is missing (Debian package: mandoc)"
	exit 77
}
exec "$MANDOC" -Tlint -Wstyle "$top_srcdir"/man/*.8
