# SPDX-License-Identifier: MIT
# What is measured.
unit_g_programs = \
	tests/unit/test_accept \
	tests/unit/test_metrics \
	tests/unit/test_page_sums

tests_unit_test_accept_SOURCES = tests/unit/test_accept.c
tests_unit_test_accept_CPPFLAGS = $(unit_cppflags)
tests_unit_test_accept_LDADD = $(unit_ldadd)
tests_unit_test_metrics_SOURCES = tests/unit/test_metrics.c
tests_unit_test_metrics_CPPFLAGS = $(unit_cppflags)
tests_unit_test_metrics_LDADD = $(unit_ldadd)
tests_unit_test_page_sums_SOURCES = tests/unit/test_page_sums.c
tests_unit_test_page_sums_CPPFLAGS = $(unit_cppflags)
tests_unit_test_page_sums_LDADD = $(unit_ldadd)
