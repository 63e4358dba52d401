# SPDX-License-Identifier: MIT
# Tokens and origins.
unit_tok_programs = \
	tests/unit/test_jwt
EXTRA_DIST += \
	tests/unit/data/make_jwt_vectors.py \
	tests/unit/data/jwt_vectors.txt

tests_unit_test_jwt_SOURCES = tests/unit/test_jwt.c
tests_unit_test_jwt_CPPFLAGS = $(unit_cppflags)
tests_unit_test_jwt_LDADD = $(unit_ldadd)
