# SPDX-License-Identifier: MIT
# What every process uses: memory, records, ids, keys, the page, the log.
unit_a_programs = \
	tests/unit/test_buf \
	tests/unit/test_clock \
	tests/unit/test_ids \
	tests/unit/test_key \
	tests/unit/test_log \
	tests/unit/test_message \
	tests/unit/test_outcome \
	tests/unit/test_page \
	tests/unit/test_records \
	tests/unit/test_records_bounds \
	tests/unit/test_wire

tests_unit_test_buf_SOURCES = tests/unit/test_buf.c
tests_unit_test_buf_CPPFLAGS = $(unit_cppflags)
tests_unit_test_buf_LDADD = $(unit_ldadd)
tests_unit_test_clock_SOURCES = tests/unit/test_clock.c
tests_unit_test_clock_CPPFLAGS = $(unit_cppflags)
tests_unit_test_clock_LDADD = $(unit_ldadd)
tests_unit_test_ids_SOURCES = tests/unit/test_ids.c
tests_unit_test_ids_CPPFLAGS = $(unit_cppflags)
tests_unit_test_ids_LDADD = $(unit_ldadd)
tests_unit_test_key_SOURCES = tests/unit/test_key.c
tests_unit_test_key_CPPFLAGS = $(unit_cppflags)
tests_unit_test_key_LDADD = $(unit_ldadd)
tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_CPPFLAGS = $(unit_cppflags)
tests_unit_test_log_LDADD = $(unit_ldadd)
tests_unit_test_message_SOURCES = tests/unit/test_message.c
tests_unit_test_message_CPPFLAGS = $(unit_cppflags)
tests_unit_test_message_LDADD = $(unit_ldadd)
tests_unit_test_outcome_SOURCES = tests/unit/test_outcome.c
tests_unit_test_outcome_CPPFLAGS = $(unit_cppflags)
tests_unit_test_outcome_LDADD = $(unit_ldadd)
tests_unit_test_page_SOURCES = tests/unit/test_page.c
tests_unit_test_page_CPPFLAGS = $(unit_cppflags)
tests_unit_test_page_LDADD = $(unit_ldadd)
unit_records_sources = tests/unit/records_copy.c tests/unit/records_copy.h \
	tests/unit/records_sample.c tests/unit/records_sample.h
tests_unit_test_records_SOURCES = tests/unit/test_records.c \
	$(unit_records_sources)
tests_unit_test_records_CPPFLAGS = $(unit_cppflags)
tests_unit_test_records_LDADD = $(unit_ldadd)
tests_unit_test_records_bounds_SOURCES = tests/unit/test_records_bounds.c \
	$(unit_records_sources)
tests_unit_test_records_bounds_CPPFLAGS = $(unit_cppflags)
tests_unit_test_records_bounds_LDADD = $(unit_ldadd)
tests_unit_test_wire_SOURCES = tests/unit/test_wire.c
tests_unit_test_wire_CPPFLAGS = $(unit_cppflags)
tests_unit_test_wire_LDADD = $(unit_ldadd)
