/* SPDX-License-Identifier: MIT */
/* The courier's decisions: when to try again, who is absent, whose turn it
 * is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "courier/absence.h"
#include "courier/retry.h"
#include "courier/tenants.h"
#include "courier/trouble.h"

#define INTERVAL 30000

static void
test_retry_doubles(void **state)
{
	uint64_t most = INTERVAL;

	(void)state;
	for (unsigned n = 1; n < 100; n++) {
		assert_int_equal(retry_wait_ms(INTERVAL, n, 0, 0), 1);
		assert_int_equal(retry_wait_ms(INTERVAL, n, UINT32_MAX, 0),
		    most);
		assert_in_range(retry_wait_ms(INTERVAL, n, 1U << 31, 0),
		    most / 2, most / 2 + 1);
		most = most * 2 < RETRY_WAIT_MAX_MS ? most * 2 :
						      RETRY_WAIT_MAX_MS;
	}
	assert_int_equal(retry_wait_ms(0, 1, UINT32_MAX, 0), 1);
	assert_int_equal(retry_wait_ms(UINT64_MAX, 3, UINT32_MAX, 0),
	    RETRY_WAIT_MAX_MS);
}

static void
test_retry_after(void **state)
{
	(void)state;
	assert_int_equal(retry_wait_ms(INTERVAL, 1, 0, 20), 20000);
	assert_int_equal(retry_wait_ms(INTERVAL, 1, UINT32_MAX, 20), INTERVAL);
	assert_int_equal(retry_wait_ms(INTERVAL, 1, 0, UINT64_MAX),
	    RETRY_WAIT_MAX_MS);
}

static void
test_absence(void **state)
{
	static const struct str users[] = { { "on", 2 }, { "off", 3 },
		{ "grace", 5 }, { "ending", 6 } };
	static const uint32_t states[] = { ABSENCE_ONLINE, 0, 4000, 1 };
	struct str to[4];
	uint32_t wait_ms[4];

	(void)state;
	assert_int_equal(absence_choose(users, states, 4, to, wait_ms), 3);
	assert_string_equal(to[0].p, "off");
	assert_int_equal(wait_ms[0], 0);
	assert_string_equal(to[1].p, "grace");
	assert_in_range(wait_ms[1], 4001, 4100);
	assert_string_equal(to[2].p, "ending");
	assert_in_range(wait_ms[2], 2, 101);
	assert_int_equal(absence_choose(users, states, 1, to, wait_ms), 0);
	assert_int_equal(absence_choose(users, states, 0, to, wait_ms), 0);
}

/* One with a thousand things to do has no more turns than one with few. */
static void
test_turns_are_fair(void **state)
{
	struct tenants *ts = tenants_new();
	unsigned turns[4] = { 0 };
	struct tenant *t;

	(void)state;
	for (uint64_t id = 1; id <= 3; id++) {
		/* Asking again is not a second place. */
		for (int i = 0; i < 5; i++)
			tenants_wait(ts, tenants_get(ts, id), TENANT_SEND);
	}
	for (int i = 0; i < 30; i++) {
		t = tenants_turn(ts, TENANT_SEND);
		assert_non_null(t);
		turns[t->id]++;
		tenants_wait(ts, t, TENANT_SEND);
	}
	for (int id = 1; id <= 3; id++)
		assert_int_equal(turns[id], 10);
	assert_null(tenants_turn(ts, TENANT_OUTBOX));
	tenants_free(ts);
}

/* Attempts alone bound how long a delivery may be tried. */
static void
test_all_tries_end(void **state)
{
	static const unsigned most[] = { 5, 100 };
	static const uint64_t bound_ms[] = { 450 * 1000,
		99 * RETRY_WAIT_MAX_MS };

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint64_t interval = i == 0 ? 30000 : UINT64_C(86400000);
		uint64_t sum = 0, asked = 0;

		for (unsigned n = 1; n < most[i]; n++) {
			sum += retry_wait_ms(interval, n, UINT32_MAX, 0);
			asked += retry_wait_ms(interval, n, UINT32_MAX,
			    UINT64_MAX);
		}
		assert_int_equal(sum, bound_ms[i]);
		assert_int_equal(asked, (most[i] - 1) * RETRY_WAIT_MAX_MS);
	}
}

static void
test_a_failure_means_one_at_a_time(void **state)
{
	struct tenants *ts = tenants_new();
	struct tenant *t = tenants_get(ts, 7);

	(void)state;
	assert_int_equal(t->limit, 1);
	for (int i = 0; i < 10; i++)
		tenants_learn(t, true);
	assert_int_equal(t->limit, TENANT_SENDING_MAX);
	tenants_learn(t, false);
	assert_int_equal(t->limit, 1);
	tenants_free(ts);
}

static void
test_due(void **state)
{
	struct tenants *ts = tenants_new();
	struct tenant *t;

	(void)state;
	tenants_get(ts, 1)->due_ms = 100;
	tenants_get(ts, 2)->due_ms = 50;
	tenants_get(ts, 1025)->due_ms = 200; /* the same slot as 1 */
	assert_int_equal(tenants_due(ts, 49), 50);
	/* Only asked for, it moves nobody, however late it is. */
	assert_int_equal(tenants_due(ts, 0), 50);
	assert_null(tenants_turn(ts, TENANT_SEND));
	assert_int_equal(tenants_due(ts, 100), 200);
	assert_non_null(tenants_turn(ts, TENANT_SEND));
	t = tenants_turn(ts, TENANT_SEND);
	assert_non_null(t);
	assert_null(tenants_turn(ts, TENANT_SEND));
	/* Only who has nothing to come is forgotten. */
	tenants_release(ts, t);
	assert_int_equal(tenants_count(ts), 2);
	tenants_release(ts, tenants_get(ts, 1025));
	assert_int_equal(tenants_count(ts), 2);
	tenants_free(ts);
}

/* ---- what the log is told ---- */

static void
test_the_log_is_told_seldom(void **state)
{
	struct troubles *ts = troubles_new();
	uint64_t now = 1000, end = now + TROUBLE_EVERY_MS;

	(void)state;
	assert_int_equal(troubles_note(ts, 7, TROUBLE_OVER, now), 0);
	assert_int_equal(troubles_note(ts, 7, TROUBLE_FAILED, now), 1);
	/* Another tenant's, and that it is over, are news of their own. */
	assert_int_equal(troubles_note(ts, 8, TROUBLE_FAILED, now), 1);
	assert_int_equal(troubles_note(ts, 7, TROUBLE_DEAD, now), 1);
	assert_int_equal(troubles_note(ts, 7, TROUBLE_OVER, now), 1);
	assert_int_equal(troubles_note(ts, 7, TROUBLE_OVER, end), 0);
	/* One that works each second time fills no log, either. */
	for (now++; now < end; now++) {
		assert_int_equal(troubles_note(ts, 7, TROUBLE_FAILED, now), 0);
		assert_int_equal(troubles_note(ts, 7, TROUBLE_OVER, now), 0);
	}
	assert_int_equal(troubles_note(ts, 7, TROUBLE_FAILED, end),
	    TROUBLE_EVERY_MS);
	assert_int_equal(troubles_note(ts, 7, TROUBLE_OVER, end),
	    TROUBLE_EVERY_MS);
	assert_int_equal(troubles_note(ts, 7, TROUBLE_FAILED, end + 1), 0);
	troubles_free(ts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retry_doubles),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_absence),
		cmocka_unit_test(test_turns_are_fair),
		cmocka_unit_test(test_a_failure_means_one_at_a_time),
		cmocka_unit_test(test_due),
		cmocka_unit_test(test_all_tries_end),
		cmocka_unit_test(test_the_log_is_told_seldom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
