/* SPDX-License-Identifier: MIT */
/* What presence keeps: the set of the told of a connection, and a worker's
 * roster of who is online. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "worker/roster.h"
#include "worker/told.h"

static struct str
str(const char *s)
{
	return (struct str){ s, strlen(s) };
}

static void
test_told_set(void **state)
{
	struct told t = { 0 };
	static bool in[3000];
	unsigned seed = 3, count = 0;

	(void)state;
	assert_false(told_has(&t, 1));
	told_del(&t, 1);
	for (uint32_t id = 1; id <= 50; id++)
		told_add(&t, id * 7);
	assert_true(t.size * sizeof(*t.slot) <= 256);
	told_free(&t);
	for (int i = 0; i < 300000; i++) {
		/* Mostly more at first, mostly less in the end. */
		bool add = rand_r(&seed) % 300000 > i;
		uint32_t id = 1 + (uint32_t)rand_r(&seed) % 2999;

		if (add)
			told_add(&t, id);
		else
			told_del(&t, id);
		count += add - in[id];
		in[id] = add;
		id = 1 + (uint32_t)rand_r(&seed) % 2999;
		assert_int_equal(told_has(&t, id), in[id]);
		assert_int_equal(t.count, count);
	}
	for (uint32_t id = 1; id < 3000; id++)
		told_del(&t, id);
	assert_int_equal(t.size, 0);
	assert_null(t.slot);
}

static void
test_roster_numbers(void **state)
{
	struct roster *r = roster_new();
	struct peer *a, *b, *c;
	uint32_t id;

	(void)state;
	a = roster_get(r, 1, str("alice"));
	b = roster_get(r, 2, str("alice"));
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(roster_get(r, 1, str("alice")), a);
	assert_ptr_equal(roster_find(r, 2, str("alice")), b);
	assert_null(roster_find(r, 1, str("alic")));
	id = a->id;
	/* While anyone keeps a number nobody else gets it. */
	a->told = 1;
	roster_release(r, a);
	c = roster_get(r, 1, str("carl"));
	assert_int_not_equal(c->id, id);
	assert_ptr_equal(roster_peer(r, id), a);
	a->told = 0;
	a->listed = 1;
	roster_release(r, a);
	assert_ptr_equal(roster_find(r, 1, str("alice")), a);
	a->listed = 0;
	a->online = true;
	roster_release(r, a);
	assert_ptr_equal(roster_find(r, 1, str("alice")), a);
	a->online = false;
	roster_release(r, a);
	assert_null(roster_find(r, 1, str("alice")));
	assert_int_equal(roster_get(r, 1, str("dora"))->id, id);
	assert_int_equal(roster_count(r), 3);
	roster_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told_set),
		cmocka_unit_test(test_roster_numbers),
	};

	return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
