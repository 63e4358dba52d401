# SPDX-License-Identifier: MIT
unit_b_programs = \
	tests/unit/test_config \
	tests/unit/test_dsn \
	tests/unit/test_duration \
	tests/unit/test_json_check \
	tests/unit/test_json_text \
	tests/unit/test_rate \
	tests/unit/test_utf8 \
	tests/unit/test_ws_frame \
	tests/unit/test_ws_vectors
EXTRA_DIST += \
	tests/unit/data/make_ws_vectors.py \
	tests/unit/data/ws_vectors.txt

tests_unit_test_config_SOURCES = tests/unit/test_config.c
tests_unit_test_config_CPPFLAGS = $(unit_cppflags)
tests_unit_test_config_LDADD = $(unit_ldadd)
tests_unit_test_dsn_SOURCES = tests/unit/test_dsn.c
tests_unit_test_dsn_CPPFLAGS = $(unit_cppflags)
tests_unit_test_dsn_LDADD = $(unit_ldadd)
tests_unit_test_duration_SOURCES = tests/unit/test_duration.c
tests_unit_test_duration_CPPFLAGS = $(unit_cppflags)
tests_unit_test_duration_LDADD = $(unit_ldadd)
tests_unit_test_json_check_SOURCES = tests/unit/test_json_check.c
tests_unit_test_json_check_CPPFLAGS = $(unit_cppflags)
tests_unit_test_json_check_LDADD = $(unit_ldadd)
tests_unit_test_json_text_SOURCES = tests/unit/test_json_text.c
tests_unit_test_json_text_CPPFLAGS = $(unit_cppflags)
tests_unit_test_json_text_LDADD = $(unit_ldadd)
tests_unit_test_rate_SOURCES = tests/unit/test_rate.c
tests_unit_test_rate_CPPFLAGS = $(unit_cppflags)
tests_unit_test_rate_LDADD = $(unit_ldadd)
tests_unit_test_utf8_SOURCES = tests/unit/test_utf8.c
tests_unit_test_utf8_CPPFLAGS = $(unit_cppflags)
tests_unit_test_utf8_LDADD = $(unit_ldadd)
tests_unit_test_ws_frame_SOURCES = tests/unit/test_ws_frame.c
tests_unit_test_ws_frame_CPPFLAGS = $(unit_cppflags)
tests_unit_test_ws_frame_LDADD = $(unit_ldadd)
tests_unit_test_ws_vectors_SOURCES = tests/unit/test_ws_vectors.c
tests_unit_test_ws_vectors_CPPFLAGS = $(unit_cppflags)
tests_unit_test_ws_vectors_LDADD = $(unit_ldadd)
