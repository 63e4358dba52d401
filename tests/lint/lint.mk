# SPDX-License-Identifier: MIT
# Checks of the sources themselves.
lint_tests = tests/lint/format.sh tests/lint/install.sh tests/lint/man.sh \
	tests/lint/systemd.sh
TESTS += $(lint_tests)
EXTRA_DIST += $(lint_tests)
