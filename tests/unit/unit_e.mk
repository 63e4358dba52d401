# SPDX-License-Identifier: MIT
# HTTP beside evhttp, routes, and what a worker reads.
unit_e_programs = \
	tests/unit/test_guard \
	tests/unit/test_http_scan \
	tests/unit/test_plans \
	tests/unit/test_reader \
	tests/unit/test_reader_list \
	tests/unit/test_route

tests_unit_test_guard_SOURCES = tests/unit/test_guard.c
tests_unit_test_guard_CPPFLAGS = $(unit_cppflags)
tests_unit_test_guard_LDADD = $(unit_ldadd)
tests_unit_test_http_scan_SOURCES = tests/unit/test_http_scan.c
tests_unit_test_http_scan_CPPFLAGS = $(unit_cppflags)
tests_unit_test_http_scan_LDADD = $(unit_ldadd)
tests_unit_test_plans_SOURCES = tests/unit/test_plans.c $(store_fixture)
tests_unit_test_plans_CPPFLAGS = $(unit_cppflags)
tests_unit_test_plans_LDADD = $(unit_ldadd)
tests_unit_test_reader_SOURCES = tests/unit/test_reader.c $(store_fixture)
tests_unit_test_reader_CPPFLAGS = $(unit_cppflags)
tests_unit_test_reader_LDADD = $(unit_ldadd)
tests_unit_test_reader_list_SOURCES = tests/unit/test_reader_list.c \
	$(store_fixture)
tests_unit_test_reader_list_CPPFLAGS = $(unit_cppflags)
tests_unit_test_reader_list_LDADD = $(unit_ldadd)
tests_unit_test_route_SOURCES = tests/unit/test_route.c
tests_unit_test_route_CPPFLAGS = $(unit_cppflags)
tests_unit_test_route_LDADD = $(unit_ldadd)
