# SPDX-License-Identifier: MIT
unit_confine_programs = tests/unit/test_confine
tests_unit_test_confine_SOURCES = tests/unit/test_confine.c
tests_unit_test_confine_CPPFLAGS = $(unit_cppflags)
tests_unit_test_confine_LDADD = $(unit_ldadd)
