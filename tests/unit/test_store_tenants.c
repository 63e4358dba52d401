/* SPDX-License-Identifier: MIT */
/*
 * The writer's operations on tenants: what a change leaves in the row, that
 * secrets stay sealed, that a repeat changes nothing, and that a deleted
 * tenant goes with all that it had.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/secret.h"
#include "common/tenant_rules.h"
#include "store_fixture.h"
#include "worker/reader.h"

#define SECRET32 "a secret of thirty-two bytes ...."
/* RFC 8037, appendix A.1. */
#define KEY_HEX \
	"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

static char id[ID_PUBLIC_SIZE];
static struct secrets *secrets;

static void
use_secrets(struct fixture *f)
{
	secret_free(secrets);
	secrets = secret_new(NULL, f->dsn.path);
	store_secrets(f->store, secrets);
}

static int
up(void **state)
{
	struct fixture *f;
	struct reader *r;
	struct reader_tenant t;

	if (fixture_up(state) != 0)
		return -1;
	f = *state;
	use_secrets(f);
	r = reader_open(f->dsn.path, 1000);
	assert_int_equal(reader_tenant(r, f->tenant, &t), 1);
	snprintf(id, sizeof(id), "tenant_%s", t.public_id);
	reader_close(r);
	return 0;
}

static int
down(void **state)
{
	int rc = fixture_down(state);

	secret_free(secrets);
	secrets = NULL;
	return rc;
}

static enum outcome
update(struct fixture *f, struct rec_op_tenant_update *op)
{
	op->h = fixture_head(f);
	op->h.tenant = 0;
	op->tenant = str(id);
	buf_clear(&f->rec);
	assert_int_equal(rec_op_tenant_update_put(&f->rec, op), 0);
	return fixture_apply(f);
}

/* One change in a batch of its own. */
static enum outcome
change(struct fixture *f, struct rec_op_tenant_update op)
{
	enum outcome o;

	fixture_begin(f);
	o = update(f, &op);
	fixture_commit(f);
	return o;
}

static enum outcome
admin(struct fixture *f, enum record_type type, const char *tenant)
{
	struct rec_op_admin op = { .h = fixture_head(f) };
	enum outcome o;

	op.h.tenant = 0;
	op.a = str(tenant);
	buf_clear(&f->rec);
	assert_int_equal(rec_op_admin_put(&f->rec, type, &op), 0);
	fixture_begin(f);
	o = fixture_apply(f);
	fixture_commit(f);
	return o;
}

#define CHANGE(...) change(f, (struct rec_op_tenant_update){ __VA_ARGS__ })
#define COLUMN(c) fixture_query(f, "SELECT " c " FROM tenant WHERE id = 1")

/* What the row says, opened. */
static void
assert_sealed(struct fixture *f, const char *column, enum secret_kind kind,
    const char *wanted)
{
	uint8_t out[SECRET_MAX];
	char sql[128];
	sqlite3 *db;
	sqlite3_stmt *st;
	size_t len;

	assert_int_equal(sqlite3_open(f->dsn.path, &db), SQLITE_OK);
	snprintf(sql, sizeof(sql), "SELECT %s FROM tenant WHERE id = 1",
	    column);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_type(st, 0), SQLITE_BLOB);
	assert_int_equal(secret_open(secrets, id + 7, kind,
			     sqlite3_column_blob(st, 0),
			     (size_t)sqlite3_column_bytes(st, 0), out, &len),
	    SECRET_OK);
	assert_int_equal(len, strlen(wanted));
	assert_memory_equal(out, wanted, len);
	sqlite3_finalize(st);
	sqlite3_close(db);
}

static void
test_plain_fields(void **state)
{
	struct fixture *f = *state;
	struct rec_publish p;
	struct rec_event_tenant e;

	assert_int_equal(CHANGE(.has = TENANT_NAME | TENANT_RATE_LIMIT |
				 TENANT_RETENTION,
			     .name = str("Other"), .has_rate_limit = true,
			     .rate_limit = 0, .retention_days = 30),
	    OUTCOME_OK);
	assert_int_equal(f->reply.room, f->tenant);
	assert_int_equal(f->reply.seq, 0);
	assert_non_null(strstr(f->text, "\"name\":\"Other\""));
	assert_non_null(strstr(f->text, "\"rate_limit\":0"));
	assert_non_null(strstr(f->text, "\"retention_days\":30"));
	assert_int_equal(fixture_events(f, REC_EVENT_TENANT), 1);
	fixture_event(f, 0, &p);
	assert_int_equal(p.nkeys, 0);
	assert_int_equal(rec_event_tenant_get(&p.inner, &e), 0);
	assert_int_equal(e.tenant, f->tenant);
	assert_int_equal(e.n, store_batch(f->store));
	assert_int_equal(COLUMN("rate_limit IS 0 AND retention_days = 30"), 1);

	/* What is so already is no change, and nobody is told. */
	assert_int_equal(CHANGE(.has = TENANT_NAME | TENANT_RATE_LIMIT,
			     .name = str("Other"), .has_rate_limit = true),
	    OUTCOME_OK);
	assert_non_null(strstr(f->text, "\"name\":\"Other\""));
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(CHANGE(.has = 0), OUTCOME_OK);
	assert_int_equal(fixture_events(f, 0), 0);

	assert_int_equal(CHANGE(.has = TENANT_RATE_LIMIT | TENANT_RETENTION),
	    OUTCOME_OK);
	assert_int_equal(COLUMN("rate_limit IS NULL AND"
				" retention_days IS NULL"),
	    1);
	assert_non_null(strstr(f->text, "\"rate_limit\":null"));
}

/* Also for what is behind it in the same batch. */
static void
test_disabled(void **state)
{
	struct fixture *f = *state;
	struct rec_op_tenant_update off = { .has = TENANT_DISABLED,
		.disabled = true };
	struct rec_op_tenant_update on = { .has = TENANT_DISABLED };
	char g[ID_TOKEN_SIZE];

	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "a", g), OUTCOME_OK);
	assert_int_equal(update(f, &off), OUTCOME_OK);
	assert_int_equal(fixture_send(f, g, "a", "", "x"),
	    OUTCOME_TENANT_DISABLED);
	assert_int_equal(update(f, &on), OUTCOME_OK);
	assert_int_equal(fixture_send(f, g, "a", "", "x"), OUTCOME_OK);
	assert_int_equal(update(f, &off), OUTCOME_OK);
	store_rollback(f->store);
	/* It never happened. */
	fixture_begin(f);
	assert_int_equal(fixture_room(f, ROOM_GROUP, "", "a", g), OUTCOME_OK);
	fixture_commit(f);
}

static void
test_webhook(void **state)
{
	struct fixture *f = *state;
	char made[TENANT_WHSEC_SIZE];

	tenant_rules_new_secret(made);
	/* An url without a secret to offer is refused as a whole. */
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_URL,
			     .webhook_url = str("https://a/")),
	    OUTCOME_INVALID);
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_URL,
			     .webhook_url = str("https://a/"),
			     .new_secret = str(made)),
	    OUTCOME_OK);
	assert_int_equal(f->reply.seq, 1);
	assert_null(strstr(f->text, "whsec_"));
	assert_sealed(f, "webhook_secret", SECRET_WEBHOOK, made);
	/* There is one: what is offered is not taken. */
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_URL,
			     .webhook_url = str("https://b/"),
			     .new_secret = str("unused")),
	    OUTCOME_OK);
	assert_int_equal(f->reply.seq, 0);
	assert_sealed(f, "webhook_secret", SECRET_WEBHOOK, made);
	/* null with an url: the offered one is taken. */
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_SECRET,
			     .new_secret = str("second")),
	    OUTCOME_OK);
	assert_int_equal(f->reply.seq, 1);
	assert_sealed(f, "webhook_secret", SECRET_WEBHOOK, "second");
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_SECRET,
			     .webhook_secret = str("own"),
			     .new_secret = str("unused")),
	    OUTCOME_OK);
	assert_int_equal(f->reply.seq, 0);
	assert_sealed(f, "webhook_secret", SECRET_WEBHOOK, "own");
	/* The same again is no change. */
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_SECRET,
			     .webhook_secret = str("own")),
	    OUTCOME_OK);
	assert_int_equal(fixture_events(f, 0), 0);
	/* Without url no secret. */
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_URL), OUTCOME_OK);
	assert_int_equal(COLUMN("webhook_url IS NULL AND"
				" webhook_secret IS NULL"),
	    1);
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_SECRET), OUTCOME_OK);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_SECRET,
			     .webhook_secret = str("early")),
	    OUTCOME_OK);
	assert_sealed(f, "webhook_secret", SECRET_WEBHOOK, "early");
}

static void
test_jwt(void **state)
{
	struct fixture *f = *state;
	char key[TENANT_JWT_PUBLIC_SIZE];
	struct str public = { key, sizeof(key) };
	int64_t n;

	sodium_hex2bin((uint8_t *)key, sizeof(key), KEY_HEX, 64, NULL, NULL,
	    NULL);
	assert_int_equal(CHANGE(.has = TENANT_JWT_SECRET,
			     .jwt_secret = str(SECRET32)),
	    OUTCOME_OK);
	assert_non_null(strstr(f->text, "\"jwt_alg\":\"HS256\""));
	assert_null(strstr(f->text, SECRET32));
	assert_sealed(f, "jwt_key", SECRET_JWT_HS256, SECRET32);
	n = COLUMN("jwt_n");
	assert_int_equal(n, store_batch(f->store));
	/* The same again closes nobody's connection. */
	assert_int_equal(CHANGE(.has = TENANT_JWT_SECRET,
			     .jwt_secret = str(SECRET32)),
	    OUTCOME_OK);
	assert_int_equal(fixture_events(f, 0), 0);
	assert_int_equal(CHANGE(.has = TENANT_NAME, .name = str("x")),
	    OUTCOME_OK);
	assert_int_equal(COLUMN("jwt_n"), n);
	/* null for the other kind is not meant for this one. */
	assert_int_equal(CHANGE(.has = TENANT_JWT_PUBLIC_KEY), OUTCOME_OK);
	assert_int_equal(COLUMN("jwt_alg"), TENANT_JWT_HS256);

	assert_int_equal(CHANGE(.has = TENANT_JWT_PUBLIC_KEY,
			     .jwt_public_key = public),
	    OUTCOME_OK);
	assert_int_equal(COLUMN("jwt_alg"), TENANT_JWT_EDDSA);
	assert_int_equal(COLUMN("jwt_key = x'" KEY_HEX "'"), 1);
	assert_true(COLUMN("jwt_n") > n);
	n = COLUMN("jwt_n");
	assert_int_equal(CHANGE(.has = TENANT_JWT_PUBLIC_KEY,
			     .jwt_public_key = public),
	    OUTCOME_OK);
	assert_int_equal(COLUMN("jwt_n"), n);
	/* Not both. */
	assert_int_equal(CHANGE(.has = TENANT_JWT_PUBLIC_KEY |
				 TENANT_JWT_SECRET,
			     .jwt_public_key = public,
			     .jwt_secret = str(SECRET32)),
	    OUTCOME_INVALID);
	assert_int_equal(CHANGE(.has = TENANT_JWT_PUBLIC_KEY |
				 TENANT_JWT_SECRET),
	    OUTCOME_OK);
	assert_int_equal(COLUMN("jwt_alg = 0 AND jwt_key IS NULL"), 1);
	assert_true(COLUMN("jwt_n") > n);
}

/* The writer trusts no worker with what it stores. */
static void
test_bad_values(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(CHANGE(.has = TENANT_NAME, .name = str("\xff")),
	    OUTCOME_INVALID);
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_URL,
			     .webhook_url = str("ftp://a/"),
			     .new_secret = str("x")),
	    OUTCOME_INVALID);
	assert_int_equal(CHANGE(.has = TENANT_WEBHOOK_SECRET,
			     .webhook_secret = str("a\nb")),
	    OUTCOME_INVALID);
	assert_int_equal(CHANGE(.has = TENANT_JWT_SECRET,
			     .jwt_secret = str("short")),
	    OUTCOME_INVALID);
	snprintf(id, sizeof(id), "tenant_0123456789abcdefghjkmn");
	assert_int_equal(CHANGE(.has = TENANT_NAME, .name = str("x")),
	    OUTCOME_TENANT_NOT_FOUND);
	snprintf(id, sizeof(id), "nonsense");
	assert_int_equal(CHANGE(.has = TENANT_NAME, .name = str("x")),
	    OUTCOME_TENANT_NOT_FOUND);
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM tenant"
			     " WHERE name = 'Acme'"),
	    1);
}

/* A receipt keeps the answer; the repeat neither seals nor offers anew. */
static void
test_repeat(void **state)
{
	struct fixture *f = *state;
	struct rec_op_tenant_update op = { .has = TENANT_WEBHOOK_URL,
		.webhook_url = str("https://a/"),
		.new_secret = str("first") };
	char text[sizeof(f->text)];

	fixture_begin(f);
	assert_int_equal(update(f, &op), OUTCOME_OK);
	memcpy(text, f->text, sizeof(text));
	fixture_commit(f);
	fixture_reopen(f);
	store_secrets(f->store, secrets);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 1);
	assert_string_equal(f->text, text);
	assert_int_equal(fixture_events(f, 0), 0);
	fixture_commit(f);
	assert_sealed(f, "webhook_secret", SECRET_WEBHOOK, "first");
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM batch"
			     " WHERE instr(receipts, 'first')"),
	    0);
}

static void
test_key_file(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(store_secrets_check(f->store), 0);
	store_secrets(f->store, NULL);
	assert_int_equal(CHANGE(.has = TENANT_JWT_SECRET,
			     .jwt_secret = str(SECRET32)),
	    OUTCOME_SECRETS);
	assert_int_equal(CHANGE(.has = TENANT_NAME, .name = str("x")),
	    OUTCOME_OK);
	use_secrets(f);
	assert_int_equal(stat(secret_path(secrets), &st), -1);
	assert_int_equal(CHANGE(.has = TENANT_JWT_SECRET,
			     .jwt_secret = str(SECRET32)),
	    OUTCOME_OK);
	assert_int_equal(stat(secret_path(secrets), &st), 0);
	assert_int_equal(store_secrets_check(f->store), 0);

	/* Lost: nothing new is sealed, and no other file is made. */
	assert_int_equal(unlink(secret_path(secrets)), 0);
	use_secrets(f);
	assert_int_equal(store_secrets_check(f->store), 1);
	assert_int_equal(CHANGE(.has = TENANT_JWT_SECRET,
			     .jwt_secret = str(SECRET32)),
	    OUTCOME_SECRETS);
	assert_int_equal(stat(secret_path(secrets), &st), -1);
	/* Given up: then a new one is. */
	assert_int_equal(CHANGE(.has = TENANT_JWT_SECRET), OUTCOME_OK);
	assert_int_equal(store_secrets_check(f->store), 0);
	assert_int_equal(CHANGE(.has = TENANT_JWT_SECRET,
			     .jwt_secret = str(SECRET32)),
	    OUTCOME_OK);
	assert_sealed(f, "jwt_key", SECRET_JWT_HS256, SECRET32);
}

/* ---- deletion ---- */

static unsigned
sweep(struct fixture *f)
{
	unsigned n = 0;

	while (store_sweep_pending(f->store)) {
		assert_int_equal(store_sweep(f->store), STORE_OK);
		assert_true(++n < 10000);
	}
	return n;
}

static void
fill(struct fixture *f, char tokens[3][ID_TOKEN_SIZE])
{
	fixture_begin(f);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fixture_room(f, i == 0 ? ROOM_DM : ROOM_GROUP,
				     "", "alice,bob", tokens[i]),
		    OUTCOME_OK);
		for (int k = 0; k < 50; k++)
			assert_int_equal(fixture_send(f, tokens[i], "alice", "",
					     "hello"),
			    OUTCOME_OK);
	}
	fixture_commit(f);
}

static int64_t
rows(struct fixture *f)
{
	return fixture_query(f,
	    "SELECT (SELECT count(*) FROM tenant) +"
	    " (SELECT count(*) FROM api_key) + (SELECT count(*) FROM room) +"
	    " (SELECT count(*) FROM room_head) +"
	    " (SELECT count(*) FROM member) + (SELECT count(*) FROM message) +"
	    " (SELECT count(*) FROM sweep) + (SELECT count(*) FROM ws_token)");
}

/* The other tenant keeps every row. */
static void
test_delete(void **state)
{
	struct fixture *f = *state;
	uint64_t first = f->tenant, n;
	struct rec_op_tenant_create op = { 0 };
	char a[3][ID_TOKEN_SIZE], b[3][ID_TOKEN_SIZE];
	int64_t all, before;

	before = rows(f);
	op.h = fixture_head(f);
	op.h.tenant = 0;
	op.name = str("Other");
	memset(op.key_hash, 9, sizeof(op.key_hash));
	buf_clear(&f->rec);
	assert_int_equal(rec_op_tenant_create_put(&f->rec, &op), 0);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	fixture_commit(f);
	f->tenant = f->reply.room;
	fill(f, b);
	all = rows(f) - before;
	f->tenant = first;
	fill(f, a);
	assert_int_equal(CHANGE(.has = TENANT_JWT_SECRET,
			     .jwt_secret = str(SECRET32)),
	    OUTCOME_OK);
	assert_int_equal(admin(f, REC_OP_TENANT_DELETE, id), OUTCOME_OK);
	assert_int_equal(f->reply.room, first);
	assert_int_equal(fixture_events(f, REC_EVENT_TENANT), 1);

	/* At once: no operation, no second deletion, no secret. */
	assert_true(store_sweep_pending(f->store));
	assert_int_equal(COLUMN("jwt_key IS NULL AND jwt_alg = 0 AND"
				" deleted_ms > 0"),
	    1);
	fixture_begin(f);
	assert_int_equal(fixture_send(f, a[1], "alice", "", "x"),
	    OUTCOME_UNAUTHORIZED);
	assert_int_equal(fixture_trim(f, a[1], 10), OUTCOME_ROOM_NOT_FOUND);
	fixture_commit(f);
	assert_int_equal(admin(f, REC_OP_TENANT_DELETE, id),
	    OUTCOME_TENANT_NOT_FOUND);
	assert_int_equal(admin(f, REC_OP_TENANT_SHOW, id),
	    OUTCOME_TENANT_NOT_FOUND);
	assert_int_equal(admin(f, REC_OP_KEY_LIST, id),
	    OUTCOME_TENANT_NOT_FOUND);
	assert_int_equal(admin(f, REC_OP_TENANT_LIST, ""), OUTCOME_OK);
	assert_null(strstr(f->text, id));
	assert_non_null(strstr(f->text, "Other"));

	/* One piece, then another process goes on. */
	assert_int_equal(store_sweep(f->store), STORE_OK);
	n = store_batch(f->store);
	fixture_reopen(f);
	assert_int_equal(store_batch(f->store), n);
	sweep(f);
	assert_int_equal(rows(f), all);
	assert_false(store_sweep_pending(f->store));
	f->tenant = first + 1;
	fixture_begin(f);
	assert_int_equal(fixture_send(f, b[0], "alice", "", "x"), OUTCOME_OK);
	assert_int_equal(f->reply.seq, 51);
	fixture_commit(f);
}

/* An internal id never comes back: rate cells and keys hang on it. */
static void
test_ids_are_not_used_again(void **state)
{
	struct fixture *f = *state;
	struct rec_op_tenant_create op = { .name = str("Next") };

	assert_int_equal(admin(f, REC_OP_TENANT_DELETE, id), OUTCOME_OK);
	sweep(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM tenant"), 0);
	fixture_reopen(f);
	op.h = fixture_head(f);
	op.h.tenant = 0;
	memset(op.key_hash, 5, sizeof(op.key_hash));
	buf_clear(&f->rec);
	assert_int_equal(rec_op_tenant_create_put(&f->rec, &op), 0);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	assert_true(f->reply.room > f->tenant);
	fixture_commit(f);
}

/* ---- keys ---- */

static void
use_key(struct fixture *f, uint64_t key, uint64_t ms)
{
	struct rec_op_key_used op = { .h = fixture_head(f),
		.key = key,
		.unix_ms = ms };

	buf_clear(&f->rec);
	assert_int_equal(rec_op_key_used_put(&f->rec, &op), 0);
	fixture_begin(f);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	fixture_commit(f);
}

#define USED fixture_query(f, "SELECT last_used_ms FROM api_key WHERE id = 1")

/* Workers each report once a minute; what comes too soon is not written. */
static void
test_key_used(void **state)
{
	struct fixture *f = *state;
	uint64_t n;

	use_key(f, 1, 1000000);
	assert_int_equal(USED, 1000000);
	n = store_batch(f->store);
	use_key(f, 1, 1000001);
	use_key(f, 1, 1059999);
	use_key(f, 1, 500000);
	use_key(f, 2, 2000000);
	assert_int_equal(USED, 1000000);
	assert_int_equal(store_batch(f->store), n);
	use_key(f, 1, 1060000);
	assert_int_equal(USED, 1060000);
	/* Another tenant has nothing to say about it. */
	f->tenant++;
	use_key(f, 1, 9000000);
	f->tenant--;
	assert_int_equal(USED, 1060000);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, up, down)
	const struct CMUnitTest tests[] = {
		TEST(test_plain_fields),
		TEST(test_disabled),
		TEST(test_webhook),
		TEST(test_jwt),
		TEST(test_bad_values),
		TEST(test_repeat),
		TEST(test_key_file),
		TEST(test_delete),
		TEST(test_ids_are_not_used_again),
		TEST(test_key_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
