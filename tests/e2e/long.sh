#!/bin/sh
# SPDX-License-Identifier: MIT
# The end-to-end tests that take minutes, for `make check-long`.
set -eu
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
CHATAPI_E2E_JUNIT=$top_builddir/tests/e2e/long.junit.xml
export CHATAPI_E2E_JUNIT
exec "$top_srcdir/tests/e2e/e2e.sh" -m long "$@"
