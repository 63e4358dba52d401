# SPDX-License-Identifier: MIT
# The operator's commands on the data.
unit_data_programs = \
	tests/unit/test_store_backup
if HAVE_CMOCKA
check_PROGRAMS += $(unit_data_programs)
TESTS += $(unit_data_programs)
endif

tests_unit_test_store_backup_SOURCES = tests/unit/test_store_backup.c \
	$(store_fixture)
tests_unit_test_store_backup_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_backup_LDADD = $(unit_ldadd)
