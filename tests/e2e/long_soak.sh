#!/bin/sh
# SPDX-License-Identifier: MIT
# The soak, for `make check-long`: half an hour, or SOAK_MINUTES.
set -eu
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"

modules='fastjsonschema, cryptography, jwt'
if ! "${PYTHON:-/usr/bin/python3}" -c "import $modules" 2>/dev/null; then
	echo "soak: skipped: Python lacks one of $modules" >&2
	exit 77
fi
mkdir -p "$top_builddir/tests/e2e"
exec "$top_srcdir/tests/e2e/soak" --minutes "${SOAK_MINUTES:-30}" \
    --json "$top_builddir/tests/e2e/soak.json" \
    --report "$top_builddir/tests/e2e/soak.md" "$@"
