#!/bin/sh
# SPDX-License-Identifier: MIT
# `make install' puts everything in its place, `make uninstall' takes all of
# it away again.
set -eu
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset MAKEFLAGS MFLAGS MAKELEVEL

run()
{
	make -s -C "$top_builddir" DESTDIR="$dir" prefix=/usr \
	    sysconfdir=/etc "$@" >"$dir.log" 2>&1 || {
		cat "$dir.log" >&2
		rm -f "$dir.log"
		exit 1
	}
	rm -f "$dir.log"
}

run install
failed=
for f in bin/chatapi libexec/chatapi/chatapi-courier \
    share/man/man8/chatapi.8 share/man/man5/chatapi.conf.5 \
    share/man/man7/chatapi-protocol.7 share/doc/chatapi/README \
    share/doc/chatapi/operations.md share/doc/chatapi/openapi.json \
    share/doc/chatapi/examples/demo \
    share/doc/chatapi/examples/alerts.yml \
    share/doc/chatapi/examples/grafana/chatapi.json \
    share/doc/chatapi/examples/salvage \
    share/doc/chatapi/examples/sysctl/chatapi.conf \
    share/chatapi/sql/0001_init.sql share/chatapi/console/index.html; do
	[ -s "$dir/usr/$f" ] || failed="$failed $f"
done
unit=$(find "$dir" -name chatapi.service)
if [ -n "$unit" ]; then
	for f in sysusers.d tmpfiles.d; do
		[ -s "$dir/usr/lib/$f/chatapi.conf" ] || failed="$failed $f"
	done
fi
[ -z "$failed" ] || {
	echo "install.sh: not installed:$failed" >&2
	exit 1
}
conf=$dir/etc/chatapi/chatapi.conf
grep -q '^database_dsn = file:/var/lib/chatapi/' "$conf" || {
	echo "install.sh: no database in $conf" >&2
	exit 1
}
# The operator's own stays, whatever is installed or taken away.
echo 'workers = 3' >>"$conf"
run install
run uninstall
[ "$(tail -n 1 "$conf")" = 'workers = 3' ] || {
	echo "install.sh: a changed configuration was not kept" >&2
	exit 1
}
rm "$conf"
run install
run uninstall
left=$(find "$dir" ! -type d)
[ -z "$left" ] || {
	printf 'install.sh: left after uninstall:\n%s\n' "$left" >&2
	exit 1
}
