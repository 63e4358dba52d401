# SPDX-License-Identifier: MIT
# Tokens, origins, notifications.
unit_tok_programs = \
	tests/unit/test_cors \
	tests/unit/test_jwt \
	tests/unit/test_store_notify \
	tests/unit/test_store_ws_token
EXTRA_DIST += \
	tests/unit/data/make_jwt_vectors.py \
	tests/unit/data/jwt_vectors.txt

tests_unit_test_cors_SOURCES = tests/unit/test_cors.c
tests_unit_test_cors_CPPFLAGS = $(unit_cppflags)
tests_unit_test_cors_LDADD = $(unit_ldadd)
tests_unit_test_jwt_SOURCES = tests/unit/test_jwt.c
tests_unit_test_jwt_CPPFLAGS = $(unit_cppflags)
tests_unit_test_jwt_LDADD = $(unit_ldadd)
tests_unit_test_store_ws_token_SOURCES = tests/unit/test_store_ws_token.c \
	tests/unit/store_fixture.c tests/unit/store_fixture.h
tests_unit_test_store_ws_token_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_ws_token_LDADD = $(unit_ldadd)
tests_unit_test_store_notify_SOURCES = tests/unit/test_store_notify.c \
	tests/unit/store_fixture.c tests/unit/store_fixture.h
tests_unit_test_store_notify_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_notify_LDADD = $(unit_ldadd)
