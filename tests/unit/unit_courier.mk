# SPDX-License-Identifier: MIT
# Webhooks.
unit_courier_programs = \
	tests/unit/test_courier \
	tests/unit/test_sign \
	tests/unit/test_store_webhook

tests_unit_test_courier_SOURCES = tests/unit/test_courier.c
tests_unit_test_courier_CPPFLAGS = $(unit_cppflags)
tests_unit_test_courier_LDADD = $(unit_ldadd)
tests_unit_test_sign_SOURCES = tests/unit/test_sign.c
tests_unit_test_sign_CPPFLAGS = $(unit_cppflags)
tests_unit_test_sign_LDADD = $(unit_ldadd)
tests_unit_test_store_webhook_SOURCES = tests/unit/test_store_webhook.c \
	$(store_fixture)
tests_unit_test_store_webhook_CPPFLAGS = $(unit_cppflags)
tests_unit_test_store_webhook_LDADD = $(unit_ldadd)
