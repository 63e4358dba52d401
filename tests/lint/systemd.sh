#!/bin/sh
# SPDX-License-Identifier: MIT
# The unit files are sound, and the service is shut in as well as it says:
# systemd rates its exposure from 0 (none) to 10.
set -eu
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
most=1.5

command -v systemd-analyze >/dev/null || {
	echo "systemd.sh: skipped: no systemd-analyze (Debian package:" \
	    "systemd)" >&2
	exit 77
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# The program need not be installed for that.
sed "s|^ExecStart=[^ ]*|ExecStart=/bin/true|" \
    "$top_builddir/contrib/systemd/chatapi.service" >"$dir/chatapi.service"
cp "$top_srcdir/contrib/systemd/chatapi.socket" "$dir"

said=$(systemd-analyze verify --man=no "$dir/chatapi.service" \
    "$dir/chatapi.socket" 2>&1 | grep -F "$dir" || :)
[ -z "$said" ] || {
	printf 'systemd.sh: %s\n' "$said" >&2
	exit 1
}
systemd-analyze --offline=true --help >/dev/null 2>&1 &&
    systemd-analyze security --help 2>&1 | grep -q -e --offline || {
	echo "systemd.sh: skipped: this systemd-analyze rates no files" >&2
	exit 77
}
rated=$(systemd-analyze security --offline=true --no-pager \
    "$dir/chatapi.service" 2>&1) || {
	printf '%s\n' "$rated" >&2
	exit 1
}
score=$(printf '%s\n' "$rated" |
    sed -n 's/.*exposure level for chatapi.service: \([0-9.]*\).*/\1/p')
echo "systemd.sh: exposure $score, at most $most"
awk -v score="$score" -v most="$most" \
    'BEGIN { exit score == "" || score + 0 >= most + 0 }' || {
	printf '%s\n' "$rated" | grep -v '✓' >&2
	exit 1
}
