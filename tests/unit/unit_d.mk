# SPDX-License-Identifier: MIT
# The writer.
unit_d_programs = \
	tests/unit/test_commit \
	tests/unit/test_queue \
	tests/unit/test_receipts \
	tests/unit/test_store \
	tests/unit/test_store_change \
	tests/unit/test_store_faults \
	tests/unit/test_store_open \
	tests/unit/test_store_room_change \
	tests/unit/test_store_rooms \
	tests/unit/test_store_trim
store_fixture = tests/unit/store_fixture.c tests/unit/store_fixture.h

tests_unit_test_commit_SOURCES = tests/unit/test_commit.c $(store_fixture)
tests_unit_test_commit_CPPFLAGS = $(unit_cppflags)
tests_unit_test_commit_LDADD = $(unit_ldadd)
tests_unit_test_queue_SOURCES = tests/unit/test_queue.c
tests_unit_test_queue_CPPFLAGS = $(unit_cppflags)
tests_unit_test_queue_LDADD = $(unit_ldadd)
tests_unit_test_receipts_SOURCES = tests/unit/test_receipts.c
tests_unit_test_receipts_CPPFLAGS = $(unit_cppflags)
tests_unit_test_receipts_LDADD = $(unit_ldadd)
tests_unit_test_store_SOURCES = tests/unit/test_store.c $(store_fixture)
tests_unit_test_store_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_LDADD = $(unit_ldadd)
tests_unit_test_store_change_SOURCES = tests/unit/test_store_change.c \
	$(store_fixture)
tests_unit_test_store_change_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_change_LDADD = $(unit_ldadd)
tests_unit_test_store_faults_SOURCES = tests/unit/test_store_faults.c \
	$(store_fixture)
tests_unit_test_store_faults_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_faults_LDADD = $(unit_ldadd)
tests_unit_test_store_open_SOURCES = tests/unit/test_store_open.c \
	$(store_fixture)
tests_unit_test_store_open_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_open_LDADD = $(unit_ldadd)
tests_unit_test_store_rooms_SOURCES = tests/unit/test_store_rooms.c \
	$(store_fixture)
tests_unit_test_store_rooms_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_rooms_LDADD = $(unit_ldadd)
tests_unit_test_store_room_change_SOURCES = \
	tests/unit/test_store_room_change.c $(store_fixture)
tests_unit_test_store_room_change_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_room_change_LDADD = $(unit_ldadd)
tests_unit_test_store_trim_SOURCES = \
	tests/unit/test_store_trim.c $(store_fixture)
tests_unit_test_store_trim_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_trim_LDADD = $(unit_ldadd)
