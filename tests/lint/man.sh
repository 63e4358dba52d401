#!/bin/sh
# SPDX-License-Identifier: MIT
# Fails when mandoc has anything to say about a manual page.
set -u
: "${top_srcdir:=.}" "${MANDOC:=mandoc}"
command -v "$MANDOC" >/dev/null 2>&1 || {
	echo "mandoc is missing (Debian package: mandoc)"
	exit 77
}
# Whether the pages referred to are installed says nothing about ours.
said=$("$MANDOC" -Tlint -Wstyle "$top_srcdir"/man/*.[578] 2>&1 |
    grep -v -e 'referenced manual not found' -e 'outdated mandoc.db')
[ -z "$said" ] || {
	printf '%s\n' "$said"
	exit 1
}
