/* SPDX-License-Identifier: MIT */
/* Presence: the grace, with a clock of the test's own, and what workers are
 * told, however late they ask. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "master/presence.h"

#define GRACE 5000
#define USERS 120
#define SLOTS 4

static struct presence *p;

static void
on_key(uint64_t key, unsigned slot, bool present, void *arg)
{
	(void)key;
	(void)slot;
	(void)present;
	(void)arg;
}

static int
setup(void **state)
{
	(void)state;
	p = presence_new(on_key, NULL, GRACE);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	presence_free(p);
	return 0;
}

static struct str
user(const char *name)
{
	return (struct str){ name, strlen(name) };
}

static void
attach(unsigned slot, const char *name)
{
	assert_true(presence_attach(p, slot, 1, user(name), 0));
}

static void
detach(unsigned slot, const char *name, uint64_t now)
{
	assert_int_equal(presence_detach(p, slot, 1, user(name), now), 0);
}

/* Everything that a worker is told now, as "+alice -bob #7 ". */
static const char *
told(unsigned slot)
{
	static char text[1000];
	struct presence_item item;
	size_t n = 0;

	text[0] = '\0';
	while (presence_next(p, slot, &item) != PRESENCE_NONE) {
		if (item.kind == PRESENCE_ANSWER)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%c%d ", item.answer.granted ? '#' : '!',
			    (int)item.answer.conn);
		else
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%c%.*s ", item.change.online ? '+' : '-',
			    (int)item.change.user.len, item.change.user.p);
	}
	assert_false(presence_behind(p, slot));
	return text;
}

static void
test_offline_when_the_grace_is_over(void **state)
{
	(void)state;
	presence_join(p, 0);
	assert_true(presence_wait(p, 100) == PRESENCE_NEVER);
	attach(1, "alice");
	attach(2, "alice");
	assert_string_equal(told(0), "+alice ");
	detach(1, "alice", 100);
	assert_true(presence_wait(p, 100) == PRESENCE_NEVER);
	detach(2, "alice", 1000);
	assert_true(presence_wait(p, 1000) == GRACE);
	assert_true(presence_wait(p, 4000) == 2000);
	presence_due(p, 5999, 10);
	assert_string_equal(told(0), "");
	assert_true(presence_wait(p, 6000) == 0);
	assert_true(presence_wait(p, 9000) == 0);
	presence_due(p, 6000, 10);
	assert_string_equal(told(0), "-alice ");
	presence_due(p, 99999, 10);
	assert_string_equal(told(0), "");
	assert_true(presence_wait(p, 99999) == PRESENCE_NEVER);
	assert_int_equal(presence_users(p), 0);
}

static void
test_back_within_the_grace(void **state)
{
	(void)state;
	presence_join(p, 0);
	attach(1, "alice");
	assert_string_equal(told(0), "+alice ");
	detach(1, "alice", 1000);
	presence_due(p, 5999, 10);
	attach(2, "alice");
	assert_true(presence_wait(p, 5999) == PRESENCE_NEVER);
	presence_due(p, 99999, 10);
	assert_string_equal(told(0), "");
	/* The grace begins anew. */
	detach(2, "alice", 100000);
	presence_due(p, 104999, 10);
	assert_string_equal(told(0), "");
	presence_due(p, 105000, 10);
	assert_string_equal(told(0), "-alice ");
	attach(3, "alice");
	assert_string_equal(told(0), "+alice ");
}

static void
test_several_graces_and_one_timer(void **state)
{
	(void)state;
	presence_join(p, 0);
	attach(1, "alice");
	attach(1, "bob");
	attach(1, "carl");
	(void)told(0);
	detach(1, "bob", 1000);
	detach(1, "alice", 2000);
	detach(1, "carl", 2000);
	assert_true(presence_wait(p, 2000) == 4000);
	presence_due(p, 6000, 10);
	assert_string_equal(told(0), "-bob ");
	assert_true(presence_wait(p, 6000) == 1000);
	/* No more than asked for at a time. */
	presence_due(p, 8000, 1);
	assert_string_equal(told(0), "-alice ");
	assert_true(presence_wait(p, 8000) == 0);
	presence_due(p, 8000, 1);
	assert_string_equal(told(0), "-carl ");
}

static void
test_dead_worker(void **state)
{
	(void)state;
	presence_join(p, 0);
	presence_join(p, 1);
	attach(1, "both");
	attach(2, "both");
	attach(1, "gone");
	attach(1, "back");
	presence_answer(p, 1, 1, true);
	assert_string_equal(told(0), "+both +gone +back ");
	presence_drop(p, 1, 1000);
	assert_int_equal(presence_count(p, 1, user("both")), 1);
	assert_int_equal(presence_count(p, 1, user("gone")), 0);
	attach(2, "back");
	presence_due(p, 5999, 10);
	assert_string_equal(told(0), "");
	/* A newcomer sees who is in grace; its answers are its own. */
	presence_join(p, 1);
	assert_string_equal(told(1), "+both +gone +back ");
	presence_due(p, 6000, 10);
	assert_string_equal(told(0), "-gone ");
	assert_string_equal(told(1), "-gone ");
	presence_drop(p, 1, 6000);
	presence_join(p, 1);
	assert_string_equal(told(1), "+both +back ");
}

static void
test_answers_come_behind_what_was_before(void **state)
{
	(void)state;
	struct presence_item item;

	attach(0, "alice");
	attach(0, "bob");
	presence_join(p, 1);
	attach(1, "carl");
	presence_answer(p, 1, 7, true);
	presence_answer(p, 1, 8, false);
	attach(0, "dora");
	presence_answer(p, 1, 9, true);
	assert_true(presence_behind(p, 1));
	assert_int_equal(presence_next(p, 1, &item), PRESENCE_CHANGE);
	/* He changes again, and so comes later. */
	detach(0, "bob", 0);
	presence_due(p, GRACE, 10);
	assert_string_equal(told(1), "+carl #7 !8 +dora #9 -bob ");
	/* One that is told nothing still gets answers. */
	presence_answer(p, 3, 1, true);
	assert_string_equal(told(3), "#1 ");
}

static void
test_a_slow_worker_costs_one_place(void **state)
{
	(void)state;
	char name[20];

	presence_join(p, 0);
	presence_join(p, 1);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(name, sizeof(name), "user%d", i % 10);
		attach(2, name);
		detach(2, name, (uint64_t)i * 10000);
		presence_due(p, (uint64_t)i * 10000 + GRACE, 10);
		assert_true(strlen(told(0)) > 0);
	}
	/* Remembered, once each, for the one who has not asked. */
	assert_int_equal(presence_users(p), 10);
	assert_string_equal(told(1),
	    "-user0 -user1 -user2 -user3 -user4 -user5 -user6 -user7 "
	    "-user8 -user9 ");
	assert_int_equal(presence_users(p), 0);
	/* The death of who has not asked frees them too. */
	attach(2, "late");
	detach(2, "late", 20000000);
	presence_due(p, 30000000, 10);
	assert_string_equal(told(0), "-late ");
	assert_int_equal(presence_users(p), 1);
	presence_drop(p, 1, 30000000);
	assert_int_equal(presence_users(p), 0);
}

/* ---- against a model ---- */

struct model_user {
	unsigned count[SLOTS];
	uint64_t until; /* of the grace; 0 = none */
	bool online;
	uint64_t changed; /* number of the step */
};

struct model_worker {
	bool joined;
	bool view[USERS];
	uint64_t asked[1000]; /* steps of the attaches not answered */
	unsigned nasked;
};

static struct model_user users[USERS];
static struct model_worker workers[SLOTS];
static uint64_t step;

static unsigned
model_count(const struct model_user *u)
{
	unsigned sum = 0;

	for (int s = 0; s < SLOTS; s++)
		sum += u->count[s];
	return sum;
}

static void
model_left(struct model_user *u, uint64_t now)
{
	if (u->online && model_count(u) == 0 && u->until == 0)
		u->until = now + GRACE;
}

static void
model_die(unsigned slot, uint64_t now)
{
	memset(&workers[slot], 0, sizeof(workers[slot]));
	for (int i = 0; i < USERS; i++) {
		users[i].count[slot] = 0;
		model_left(&users[i], now);
	}
}

static void
model_pull(unsigned slot, unsigned n)
{
	struct model_worker *w = &workers[slot];
	struct presence_item item;

	while (n-- > 0 && presence_next(p, slot, &item) != PRESENCE_NONE) {
		if (item.kind == PRESENCE_CHANGE) {
			char name[8] = "";
			int i;

			assert_true(item.change.user.len < sizeof(name));
			memcpy(name, item.change.user.p, item.change.user.len);
			i = atoi(name + 1);
			w->view[i] = item.change.online;
			continue;
		}
		/* What was so before the attach, and still is, is known. */
		assert_true(w->nasked > 0);
		for (int i = 0; i < USERS; i++)
			if (users[i].changed <= w->asked[0])
				assert_int_equal(w->view[i], users[i].online);
		w->nasked--;
		memmove(w->asked, w->asked + 1,
		    w->nasked * sizeof(w->asked[0]));
	}
}

static void
model_step(unsigned *seed, uint64_t now)
{
	unsigned i = (unsigned)rand_r(seed) % USERS;
	unsigned slot = (unsigned)rand_r(seed) % SLOTS;
	struct model_user *u = &users[i];
	char name[8];

	(void)snprintf(name, sizeof(name), "u%u", i);
	for (int k = 0; k < USERS; k++) {
		if (users[k].until != 0 && users[k].until <= now) {
			users[k].until = 0;
			users[k].online = false;
			users[k].changed = step;
		}
	}
	presence_due(p, now, UINT32_MAX);
	switch (rand_r(seed) % 8) {
	case 0:
	case 1:
	case 2:
		if (!workers[slot].joined || workers[slot].nasked == 1000)
			return;
		attach(slot, name);
		presence_answer(p, slot, 0, true);
		u->count[slot]++;
		u->until = 0;
		if (!u->online)
			u->changed = step;
		u->online = true;
		workers[slot].asked[workers[slot].nasked++] = step;
		return;
	case 3:
	case 4:
	case 5:
		if (u->count[slot] == 0)
			return;
		detach(slot, name, now);
		u->count[slot]--;
		model_left(u, now);
		return;
	case 6:
		if (rand_r(seed) % 40 == 0) {
			presence_drop(p, slot, now);
			model_die(slot, now);
		} else if (!workers[slot].joined) {
			presence_join(p, slot);
			workers[slot].joined = true;
		}
		return;
	default:
		model_pull(slot, (unsigned)rand_r(seed) % 30);
	}
}

static void
test_against_a_model(void **state)
{
	unsigned seed = 11;
	uint64_t now = 0;

	(void)state;
	for (step = 1; step <= 100000; step++) {
		now += (uint64_t)rand_r(&seed) % 100;
		model_step(&seed, now);
		if (step % 1000 != 0)
			continue;
		for (unsigned s = 0; s < SLOTS; s++) {
			if (!workers[s].joined)
				continue;
			model_pull(s, UINT32_MAX);
			assert_int_equal(workers[s].nasked, 0);
			for (int i = 0; i < USERS; i++)
				assert_int_equal(workers[s].view[i],
				    users[i].online);
		}
	}
	now += GRACE;
	for (unsigned s = 0; s < SLOTS; s++)
		presence_drop(p, s, now);
	presence_due(p, now + GRACE, UINT32_MAX);
	assert_int_equal(presence_users(p), 0);
	assert_int_equal(presence_total(p), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_offline_when_the_grace_is_over),
		TEST(test_back_within_the_grace),
		TEST(test_several_graces_and_one_timer),
		TEST(test_dead_worker),
		TEST(test_answers_come_behind_what_was_before),
		TEST(test_a_slow_worker_costs_one_place),
		TEST(test_against_a_model),
	};

	return cmocka_run_group_tests_name("presence told", tests, NULL, NULL);
}
