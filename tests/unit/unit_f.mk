# SPDX-License-Identifier: MIT
# The worker's core.
unit_f_programs = tests/unit/test_ws_out tests/unit/test_fields

tests_unit_test_ws_out_SOURCES = tests/unit/test_ws_out.c
tests_unit_test_ws_out_CPPFLAGS = $(unit_cppflags)
tests_unit_test_ws_out_LDADD = $(unit_ldadd)
tests_unit_test_fields_SOURCES = tests/unit/test_fields.c
tests_unit_test_fields_CPPFLAGS = $(unit_cppflags)
tests_unit_test_fields_LDADD = $(unit_ldadd)
