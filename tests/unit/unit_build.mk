# SPDX-License-Identifier: MIT
# What the build makes.
unit_build_programs = tests/unit/test_migrations

tests_unit_test_migrations_SOURCES = tests/unit/test_migrations.c
tests_unit_test_migrations_CPPFLAGS = $(unit_cppflags)
tests_unit_test_migrations_LDADD = $(unit_ldadd)
