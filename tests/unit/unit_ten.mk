# SPDX-License-Identifier: MIT
# Tenants and their secrets.
unit_ten_programs = \
	tests/unit/test_secret \
	tests/unit/test_store_tenants \
	tests/unit/test_tenant_rules

tests_unit_test_secret_SOURCES = tests/unit/test_secret.c
tests_unit_test_secret_CPPFLAGS = $(unit_cppflags)
tests_unit_test_secret_LDADD = $(unit_ldadd)
tests_unit_test_store_tenants_SOURCES = tests/unit/test_store_tenants.c \
	$(store_fixture)
tests_unit_test_store_tenants_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_tenants_LDADD = $(unit_ldadd)
tests_unit_test_tenant_rules_SOURCES = tests/unit/test_tenant_rules.c
tests_unit_test_tenant_rules_CPPFLAGS = $(unit_cppflags)
tests_unit_test_tenant_rules_LDADD = $(unit_ldadd)
