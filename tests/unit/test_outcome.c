/* SPDX-License-Identifier: MIT */
/* The table of outcomes: complete, and as the API's description has it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "common/outcome.h"

static const struct {
	const char *code;
	int status;
} codes[] = {
	{ "invalid_request", 400 },
	{ "unauthorized", 401 },
	{ "forbidden", 403 },
	{ "not_found", 404 },
	{ "method_not_allowed", 405 },
	{ "conflict", 409 },
	{ "payload_too_large", 413 },
	{ "unsupported_media_type", 415 },
	{ "rate_limit_exceeded", 429 },
	{ "internal_error", 500 },
	{ "unavailable", 503 },
	{ "resync_required", 409 },
};

static int
status_of(const char *code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(codes[i].code, code) == 0)
			return codes[i].status;
	return 0;
}

static void
test_codes_have_one_status(void **state)
{
	(void)state;
	for (int o = OUTCOME_REPEATED + 1; o < OUTCOME_LAST; o++) {
		const struct outcome_info *i = outcome_info((enum outcome)o);

		assert_non_null(i);
		assert_non_null(i->code);
		assert_int_equal(i->status, status_of(i->code));
	}
	assert_null(outcome_info(OUTCOME_OK)->code);
	assert_null(outcome_info(OUTCOME_REPEATED)->code);
	assert_int_equal(outcome_info(OUTCOME_REPEATED)->status, 200);
}

/* A client shows it to a person: a sentence, and safe inside JSON. */
static void
test_messages_are_sentences(void **state)
{
	(void)state;
	for (int o = OUTCOME_REPEATED + 1; o < OUTCOME_LAST; o++) {
		const char *m = outcome_info((enum outcome)o)->message;
		size_t len = strlen(m);

		assert_true(len > 10 && len < 200);
		assert_true(m[0] >= 'A' && m[0] <= 'Z');
		assert_int_equal(m[len - 1], '.');
		for (size_t k = 0; k < len; k++)
			assert_true(m[k] >= 0x20 && m[k] < 0x7f &&
			    m[k] != '"' && m[k] != '\\');
		assert_null(strstr(m, "  "));
	}
}

static void
test_what_each_is(void **state)
{
	static const struct {
		enum outcome o;
		int status;
	} is[] = {
		{ OUTCOME_ROOM_NOT_FOUND, 404 },
		{ OUTCOME_NOT_MEMBER, 403 },
		{ OUTCOME_NOT_ADMIN, 403 },
		{ OUTCOME_CLIENT_MSG_CONFLICT, 409 },
		{ OUTCOME_DM_FIXED, 409 },
		{ OUTCOME_MEMBER_NOT_FOUND, 404 },
		{ OUTCOME_MESSAGE_NOT_FOUND, 404 },
		{ OUTCOME_TENANT_NOT_FOUND, 404 },
		{ OUTCOME_TENANT_DISABLED, 403 },
		{ OUTCOME_KEY_NOT_FOUND, 404 },
		{ OUTCOME_LATE, 503 },
		{ OUTCOME_STORAGE, 503 },
		{ OUTCOME_BUSY, 503 },
		{ OUTCOME_UNKNOWN, 500 },
		{ OUTCOME_INTERNAL, 500 },
		{ OUTCOME_INVALID, 400 },
		{ OUTCOME_UNAUTHORIZED, 401 },
		{ OUTCOME_FORBIDDEN, 403 },
		{ OUTCOME_NOT_FOUND, 404 },
		{ OUTCOME_METHOD_NOT_ALLOWED, 405 },
		{ OUTCOME_PAYLOAD_TOO_LARGE, 413 },
		{ OUTCOME_UNSUPPORTED_MEDIA_TYPE, 415 },
		{ OUTCOME_RATE_LIMITED, 429 },
		{ OUTCOME_ADMIN_OFF, 403 },
		{ OUTCOME_NOT_SENDER, 403 },
		{ OUTCOME_MESSAGE_DELETED, 409 },
		{ OUTCOME_DM_BACKEND_ONLY, 403 },
		{ OUTCOME_RESYNC_REQUIRED, 409 },
		{ OUTCOME_SECRETS, 503 },
		{ OUTCOME_NOTIFICATION_NOT_FOUND, 404 },
		{ OUTCOME_SUBSCRIPTION_NOT_FOUND, 404 },
		{ OUTCOME_SUBSCRIPTIONS_FULL, 409 },
		{ OUTCOME_DEAD_LETTER_NOT_FOUND, 404 },
		{ OUTCOME_NO_WEBHOOK, 409 },
	};

	(void)state;
	/* Every refusal is named here. */
	assert_int_equal(sizeof(is) / sizeof(is[0]),
	    OUTCOME_LAST - OUTCOME_REPEATED - 1);
	for (size_t i = 0; i < sizeof(is) / sizeof(is[0]); i++)
		assert_int_equal(outcome_info(is[i].o)->status, is[i].status);
}

static void
test_temporary_means_try_again(void **state)
{
	(void)state;
	for (int o = OUTCOME_REPEATED + 1; o < OUTCOME_LAST; o++) {
		const struct outcome_info *i = outcome_info((enum outcome)o);

		if (i->status == 429 || i->status == 503)
			assert_true(i->temporary);
		if (i->status < 429)
			assert_false(i->temporary);
	}
}

static void
test_field_of_a_conflict(void **state)
{
	(void)state;
	assert_string_equal(outcome_info(OUTCOME_CLIENT_MSG_CONFLICT)->field,
	    "client_msg_id");
}

static void
test_unknown_numbers_are_internal(void **state)
{
	const struct outcome_info *internal = outcome_info(OUTCOME_INTERNAL);

	(void)state;
	assert_ptr_equal(outcome_info(OUTCOME_LAST), internal);
	assert_ptr_equal(outcome_info((enum outcome)255), internal);
	assert_ptr_equal(outcome_info((enum outcome) - 1), internal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_codes_have_one_status),
		cmocka_unit_test(test_messages_are_sentences),
		cmocka_unit_test(test_what_each_is),
		cmocka_unit_test(test_temporary_means_try_again),
		cmocka_unit_test(test_field_of_a_conflict),
		cmocka_unit_test(test_unknown_numbers_are_internal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
