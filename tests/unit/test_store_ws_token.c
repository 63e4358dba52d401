/* SPDX-License-Identifier: MIT */
/*
 * Tokens that open one WebSocket, in the writer: each is good once, for its
 * time, while the credential behind it is.
 */
#include "store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/records_token.h"
#include "writer/store_int.h"

static uint8_t *
hash_of(unsigned n)
{
	static uint8_t hash[KEY_HASH_SIZE];

	memset(hash, 0x5a, sizeof(hash));
	memcpy(hash, &n, sizeof(n));
	return hash;
}

static enum outcome
issue(struct fixture *f, unsigned n, const char *user, uint64_t key,
    uint64_t jwt_n, uint64_t ends_ms)
{
	struct rec_op_ws_token_issue op = { .h = fixture_head(f),
		.user = str(user),
		.key = key,
		.jwt_n = jwt_n,
		.ends_ms = ends_ms };

	op.h.tenant = f->tenant;
	memcpy(op.hash, hash_of(n), KEY_HASH_SIZE);
	buf_clear(&f->rec);
	assert_int_equal(rec_op_ws_token_issue_put(&f->rec, &op), 0);
	return fixture_apply(f);
}

static void
redeem_put(struct fixture *f, unsigned n)
{
	struct rec_op_ws_token_redeem op = { .h = fixture_head(f) };

	op.h.tenant = f->tenant;
	memcpy(op.hash, hash_of(n), KEY_HASH_SIZE);
	buf_clear(&f->rec);
	assert_int_equal(rec_op_ws_token_redeem_put(&f->rec, &op), 0);
}

static enum outcome
redeem(struct fixture *f, unsigned n)
{
	redeem_put(f, n);
	return fixture_apply(f);
}

static void
run_sql(struct fixture *f, const char *text)
{
	fixture_commit(f);
	assert_int_equal(sql_exec(f->store, text), 0);
	fixture_begin(f);
}

static int64_t
tokens(struct fixture *f)
{
	return fixture_query(f, "SELECT count(*) FROM ws_token");
}

static void
test_once(void **state)
{
	struct fixture *f = *state;

	fixture_begin(f);
	assert_int_equal(issue(f, 1, "zo\xc3\xab", 1, 0, 0), OUTCOME_OK);
	assert_in_range(f->reply.ms, f->store->ms + WS_TOKEN_MS,
	    f->store->ms + WS_TOKEN_MS);
	assert_int_equal(redeem(f, 2), OUTCOME_UNAUTHORIZED);
	assert_int_equal(redeem(f, 1), OUTCOME_OK);
	assert_int_equal(f->reply.room, f->tenant);
	assert_int_equal(f->reply.seq, 1);
	assert_int_equal(f->reply.ms, 0);
	assert_string_equal(f->text, "kzo\xc3\xab");
	/* In the same batch, and in the next. */
	assert_int_equal(redeem(f, 1), OUTCOME_UNAUTHORIZED);
	fixture_commit(f);
	fixture_begin(f);
	assert_int_equal(redeem(f, 1), OUTCOME_UNAUTHORIZED);
	fixture_commit(f);
	assert_int_equal(tokens(f), 0);
}

/* The worker asks the next writer again: it is told what was done. */
static void
test_over_a_restart(void **state)
{
	struct fixture *f = *state;

	fixture_begin(f);
	assert_int_equal(issue(f, 1, "ann", 1, 0, 0), OUTCOME_OK);
	assert_int_equal(issue(f, 2, "bob", 1, 0, 0), OUTCOME_OK);
	fixture_commit(f);
	fixture_reopen(f);
	fixture_begin(f);
	assert_int_equal(redeem(f, 1), OUTCOME_OK);
	redeem_put(f, 2);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	fixture_commit(f);
	fixture_reopen(f);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	assert_string_equal(f->text, "kbob");
	assert_int_equal(f->reply.seq, 1);
	/* Another worker did not. */
	assert_int_equal(fixture_apply_as(f, 8), OUTCOME_UNAUTHORIZED);
	assert_int_equal(redeem(f, 2), OUTCOME_UNAUTHORIZED);
	/* A batch that is rolled back has redeemed nothing. */
	assert_int_equal(issue(f, 3, "cid", 1, 0, 0), OUTCOME_OK);
	fixture_commit(f);
	fixture_begin(f);
	assert_int_equal(redeem(f, 3), OUTCOME_OK);
	store_rollback(f->store);
	fixture_begin(f);
	assert_int_equal(redeem(f, 3), OUTCOME_OK);
	fixture_commit(f);
}

static void
test_what_it_hangs_on(void **state)
{
	struct fixture *f = *state;

	fixture_begin(f);
	run_sql(f, "UPDATE tenant SET jwt_alg = 2, jwt_n = 7");
	for (unsigned n = 1; n <= 8; n++)
		assert_int_equal(issue(f, n, "ann", n % 2, n % 2 ? 0 : 7, 0),
		    OUTCOME_OK);
	assert_int_equal(redeem(f, 2), OUTCOME_OK);
	assert_string_equal(f->text, "jann");
	assert_int_equal(f->reply.seq, 7);
	run_sql(f, "UPDATE tenant SET jwt_n = 8");
	assert_int_equal(redeem(f, 4), OUTCOME_UNAUTHORIZED);
	assert_int_equal(redeem(f, 3), OUTCOME_OK);
	run_sql(f, "UPDATE api_key SET revoked_ms = 1");
	assert_int_equal(redeem(f, 5), OUTCOME_UNAUTHORIZED);
	run_sql(f, "UPDATE api_key SET revoked_ms = NULL");
	assert_int_equal(redeem(f, 5), OUTCOME_OK);
	run_sql(f, "UPDATE tenant SET disabled = 1");
	store_tenants_reset(f->store);
	assert_int_equal(redeem(f, 7), OUTCOME_TENANT_DISABLED);
	assert_int_equal(issue(f, 9, "ann", 1, 0, 0), OUTCOME_TENANT_DISABLED);
	run_sql(f, "UPDATE tenant SET deleted_ms = 1");
	store_tenants_reset(f->store);
	assert_int_equal(redeem(f, 7), OUTCOME_UNAUTHORIZED);
	fixture_commit(f);
}

static void
test_time(void **state)
{
	struct fixture *f = *state;
	int64_t ms;

	fixture_begin(f);
	ms = f->store->ms;
	assert_int_equal(issue(f, 1, "ann", 1, 0, 0), OUTCOME_OK);
	assert_int_equal(issue(f, 2, "ann", 1, 0, 0), OUTCOME_OK);
	/* Never longer than the JWT behind it. */
	run_sql(f, "UPDATE tenant SET jwt_n = 7");
	f->store->ms = ms;
	assert_int_equal(issue(f, 3, "ann", 0, 7, (uint64_t)ms + 10),
	    OUTCOME_OK);
	assert_int_equal(f->reply.ms, ms + 10);
	assert_int_equal(issue(f, 4, "ann", 0, 7, (uint64_t)ms + 10),
	    OUTCOME_OK);
	f->store->ms = ms + 9;
	assert_int_equal(redeem(f, 3), OUTCOME_OK);
	assert_int_equal(f->reply.ms, ms + 10);
	f->store->ms = ms + 10;
	assert_int_equal(redeem(f, 4), OUTCOME_UNAUTHORIZED);
	f->store->ms = ms + WS_TOKEN_MS - 1;
	assert_int_equal(redeem(f, 1), OUTCOME_OK);
	f->store->ms = ms + WS_TOKEN_MS;
	assert_int_equal(redeem(f, 2), OUTCOME_UNAUTHORIZED);
	fixture_commit(f);
}

/* All that is over goes, in pieces, and only that. */
static void
test_expired_rows_go(void **state)
{
	struct fixture *f = *state;
	unsigned pieces = 0;

	fixture_begin(f);
	for (unsigned n = 0; n < 200; n++)
		assert_int_equal(issue(f, n, "ann", 1, 0, 0), OUTCOME_OK);
	fixture_commit(f);
	assert_false(store_sweep_pending(f->store));
	fixture_begin(f);
	run_sql(f,
	    "UPDATE ws_token SET expires_ms = 1 WHERE hash IN"
	    " (SELECT hash FROM ws_token ORDER BY hash LIMIT 150)");
	fixture_commit(f);
	fixture_reopen(f);
	while (store_sweep_pending(f->store)) {
		assert_int_equal(store_sweep(f->store), STORE_OK);
		assert_true(++pieces < 100);
	}
	assert_int_equal(tokens(f), 50);
	/* The others are looked at again when theirs is over. */
	assert_true(f->store->tokens_ms > clock_unix_ms());
	fixture_begin(f);
	run_sql(f, "UPDATE ws_token SET expires_ms = 1");
	fixture_commit(f);
	f->store->tokens_ms = 1;
	while (store_sweep_pending(f->store))
		assert_int_equal(store_sweep(f->store), STORE_OK);
	assert_int_equal(tokens(f), 0);
	assert_int_equal(f->store->tokens_ms, 0);
}

int
main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, fixture_up, fixture_down)
	const struct CMUnitTest tests[] = {
		TEST(test_once),
		TEST(test_over_a_restart),
		TEST(test_what_it_hangs_on),
		TEST(test_time),
		TEST(test_expired_rows_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
