/* SPDX-License-Identifier: MIT */
/*
 * Notifications in the writer: what is acknowledged stays so, also while the
 * notification is still on its way to others.
 */
#include "store_fixture.h"

#include <stdio.h>
#include <string.h>

#include "common/records_notify.h"
#include "writer/store_int.h"

static void
of_user(struct fixture *f, enum record_type type, const char *user,
    const char *subject)
{
	struct rec_op_of_user op = { .h = fixture_head(f),
		.user = str(user),
		.subject = str(subject) };

	op.h.tenant = f->tenant;
	buf_clear(&f->rec);
	assert_int_equal(rec_op_of_user_put(&f->rec, type, &op), 0);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
}

/* For the users named, and for who subscribed; its token. */
static void
notify(struct fixture *f, const char *user, uint8_t targets,
    char token[ID_TOKEN_SIZE])
{
	struct str list[1] = { str(user) };
	struct rec_op_notify op = { .h = fixture_head(f),
		.targets = targets,
		.topic = str("news"),
		.payload = str("1"),
		.room = str(""),
		.nusers = 1,
		.list = list };

	op.h.tenant = f->tenant;
	buf_clear(&f->rec);
	assert_int_equal(rec_op_notify_put(&f->rec, &op), 0);
	assert_int_equal(fixture_apply(f), OUTCOME_OK);
	assert_int_equal(f->reply.text.len, ID_TOKEN_LEN);
	memcpy(token, f->text, ID_TOKEN_LEN);
	token[ID_TOKEN_LEN] = '\0';
}

/* All pieces there are; how many users they reached. */
static unsigned
expand(struct fixture *f)
{
	unsigned pieces = 0;
	int64_t before = fixture_query(f, "SELECT count(*) FROM inbox");

	while (store_fanouts(f->store) > 0) {
		buf_clear(&f->events);
		assert_int_equal(store_fanout(f->store, &f->events), STORE_OK);
		assert_true(++pieces < 100);
	}
	return (unsigned)(fixture_query(f, "SELECT count(*) FROM inbox") -
	    before);
}

static void
test_acknowledged_before_a_later_list_names_him(void **state)
{
	struct fixture *f = *state;
	char token[ID_TOKEN_SIZE];

	fixture_begin(f);
	of_user(f, REC_OP_SUBSCRIBE, "ann", "news");
	of_user(f, REC_OP_SUBSCRIBE, "bob", "news");
	notify(f, "ann", NOTIFY_USERS | NOTIFY_TOPIC, token);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM inbox"), 1);

	fixture_begin(f);
	of_user(f, REC_OP_NOTIFICATION_ACK, "ann", token);
	fixture_commit(f);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM inbox"), 0);

	/* Bob gets it, Ann not again. */
	assert_int_equal(expand(f), 1);
	assert_int_equal(fixture_query(f,
			     "SELECT count(*) FROM inbox WHERE user = 'bob'"),
	    1);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM fanout"), 0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM inbox_acked"),
	    0);

	/* The last one who acknowledges takes all of it along. */
	fixture_begin(f);
	of_user(f, REC_OP_NOTIFICATION_ACK, "bob", token);
	fixture_commit(f);
	assert_int_equal(store_fanouts(f->store), 0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM notification"),
	    0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM inbox_acked"),
	    0);
}

/* The same over a restart in between. */
static void
test_acknowledged_before_a_restart(void **state)
{
	struct fixture *f = *state;
	char token[ID_TOKEN_SIZE];

	fixture_begin(f);
	of_user(f, REC_OP_SUBSCRIBE, "ann", "news");
	notify(f, "ann", NOTIFY_USERS | NOTIFY_TOPIC, token);
	of_user(f, REC_OP_NOTIFICATION_ACK, "ann", token);
	fixture_commit(f);
	fixture_reopen(f);
	assert_true(store_fanouts(f->store) > 0);
	assert_int_equal(expand(f), 0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM notification"),
	    0);
	assert_int_equal(fixture_query(f, "SELECT count(*) FROM inbox_acked"),
	    0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_acknowledged_before_a_later_list_names_him, fixture_up,
		    fixture_down),
		cmocka_unit_test_setup_teardown(
		    test_acknowledged_before_a_restart, fixture_up,
		    fixture_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
