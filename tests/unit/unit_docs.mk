# SPDX-License-Identifier: MIT
# What the documents say of the program.
unit_docs_programs = tests/unit/test_docs

tests_unit_test_docs_SOURCES = tests/unit/test_docs.c
tests_unit_test_docs_CPPFLAGS = $(unit_cppflags)
tests_unit_test_docs_LDADD = $(unit_ldadd)
