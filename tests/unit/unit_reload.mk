# SPDX-License-Identifier: MIT
# Settings and their reload.
unit_reload_programs = tests/unit/test_settings

tests_unit_test_settings_SOURCES = tests/unit/test_settings.c
tests_unit_test_settings_CPPFLAGS = $(unit_cppflags)
tests_unit_test_settings_LDADD = $(unit_ldadd)
