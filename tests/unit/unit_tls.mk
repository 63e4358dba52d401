# SPDX-License-Identifier: MIT
# TLS and who is behind a proxy.
unit_tls_programs = \
	tests/unit/test_forwarded \
	tests/unit/test_tls_io

tests_unit_test_forwarded_SOURCES = tests/unit/test_forwarded.c
tests_unit_test_forwarded_CPPFLAGS = $(unit_cppflags)
tests_unit_test_forwarded_LDADD = $(unit_ldadd)
tests_unit_test_tls_io_SOURCES = tests/unit/test_tls_io.c
tests_unit_test_tls_io_CPPFLAGS = $(unit_cppflags)
tests_unit_test_tls_io_LDADD = $(unit_ldadd)
