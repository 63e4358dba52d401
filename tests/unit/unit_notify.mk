# SPDX-License-Identifier: MIT
# Notifications.
unit_notify_programs = tests/unit/test_store_fanout

tests_unit_test_store_fanout_SOURCES = tests/unit/test_store_fanout.c \
	tests/unit/store_fixture.c tests/unit/store_fixture.h
tests_unit_test_store_fanout_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_fanout_LDADD = $(unit_ldadd)
