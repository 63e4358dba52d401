#!/bin/sh
# SPDX-License-Identifier: MIT
# The end-to-end tests of `make check`.
set -eu
: "${top_srcdir:=$(cd "$(dirname "$0")/../.." && pwd)}"
: "${top_builddir:=$top_srcdir}"
CHATAPI_E2E_JUNIT=${CHATAPI_E2E_JUNIT:-$top_builddir/tests/e2e/e2e.junit.xml}
CHATAPI_E2E_LOGS=${CHATAPI_E2E_LOGS:-$top_builddir/tests/e2e/logs}
export CHATAPI_E2E_JUNIT CHATAPI_E2E_LOGS
exec "$top_srcdir/tests/e2e/run" "$@"
