# SPDX-License-Identifier: MIT
# The worker's core.
unit_f_programs = tests/unit/test_ws_out tests/unit/test_fields \
	tests/unit/test_frame_cache tests/unit/test_roster \
	tests/unit/test_ws_presence

tests_unit_test_ws_out_SOURCES = tests/unit/test_ws_out.c
tests_unit_test_ws_out_CPPFLAGS = $(unit_cppflags)
tests_unit_test_ws_out_LDADD = $(unit_ldadd)
tests_unit_test_fields_SOURCES = tests/unit/test_fields.c
tests_unit_test_fields_CPPFLAGS = $(unit_cppflags)
tests_unit_test_fields_LDADD = $(unit_ldadd)
tests_unit_test_frame_cache_SOURCES = tests/unit/test_frame_cache.c
tests_unit_test_frame_cache_CPPFLAGS = $(unit_cppflags)
tests_unit_test_frame_cache_LDADD = $(unit_ldadd)
tests_unit_test_roster_SOURCES = tests/unit/test_roster.c
tests_unit_test_roster_CPPFLAGS = $(unit_cppflags)
tests_unit_test_roster_LDADD = $(unit_ldadd)
tests_unit_test_ws_presence_SOURCES = tests/unit/test_ws_presence.c \
	tests/unit/presence_world.c tests/unit/presence_world.h $(store_fixture)
tests_unit_test_ws_presence_CPPFLAGS = $(unit_cppflags)
tests_unit_test_ws_presence_LDADD = $(unit_ldadd)
