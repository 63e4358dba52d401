# SPDX-License-Identifier: MIT
# The master's parts that run without processes, and everyone's links.
unit_c_programs = tests/unit/test_hub \
	tests/unit/test_link \
	tests/unit/test_listen \
	tests/unit/test_lock \
	tests/unit/test_presence \
	tests/unit/test_presence_told \
	tests/unit/test_relay

tests_unit_test_hub_SOURCES = tests/unit/test_hub.c
tests_unit_test_hub_CPPFLAGS = $(unit_cppflags)
tests_unit_test_hub_LDADD = $(unit_ldadd)
tests_unit_test_link_SOURCES = tests/unit/test_link.c
tests_unit_test_link_CPPFLAGS = $(unit_cppflags)
tests_unit_test_link_LDADD = $(unit_ldadd)
tests_unit_test_listen_SOURCES = tests/unit/test_listen.c
tests_unit_test_listen_CPPFLAGS = $(unit_cppflags)
tests_unit_test_listen_LDADD = $(unit_ldadd)
tests_unit_test_lock_SOURCES = tests/unit/test_lock.c
tests_unit_test_lock_CPPFLAGS = $(unit_cppflags)
tests_unit_test_lock_LDADD = $(unit_ldadd)
tests_unit_test_presence_SOURCES = tests/unit/test_presence.c
tests_unit_test_presence_CPPFLAGS = $(unit_cppflags)
tests_unit_test_presence_LDADD = $(unit_ldadd)
tests_unit_test_presence_told_SOURCES = tests/unit/test_presence_told.c
tests_unit_test_presence_told_CPPFLAGS = $(unit_cppflags)
tests_unit_test_presence_told_LDADD = $(unit_ldadd)
tests_unit_test_relay_SOURCES = tests/unit/test_relay.c
tests_unit_test_relay_CPPFLAGS = $(unit_cppflags)
tests_unit_test_relay_LDADD = $(unit_ldadd)
