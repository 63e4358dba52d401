/* SPDX-License-Identifier: MIT */
/* A worker's presence: what a client is told first, what a change does, and
 * changes at random against what is true. */
#include "presence_world.h"

#include <stdlib.h>

#include "worker/rooms.h"
#include "worker/roster.h"
#include "worker/ws_presence_int.h"

#define STEPS 6000

static void
test_initial_and_change(void **state)
{
	struct client *a, *b;

	(void)state;
	world_change_member(1, 0);
	world_change_member(1, 1);
	world_change_member(2, 0);
	world_change_member(2, 1);
	world_change_member(3, 2);
	buf_clear(&world.late);
	world_set_online(1, true);
	world_set_online(2, true);
	a = world_open(0);
	assert_false(ws_presence_synced(&a->c));
	assert_int_equal(a->frames, 0);
	world_settle();
	assert_true(a->synced > 0);
	assert_int_equal(a->frames, 1);
	assert_int_equal(a->told[1], 1);
	world_set_online(0, true);
	b = world_open(1);
	world_settle();
	assert_int_equal(b->frames, 1);
	assert_int_equal(b->told[0], 1);
	world_set_online(1, false);
	world_settle();
	assert_int_equal(a->frames, 2);
	assert_int_equal(a->told[1], -1);
	/* Between two turns only the last counts. */
	world_set_online(1, true);
	world_set_online(1, false);
	world_settle();
	assert_int_equal(a->frames, 2);
	ws_presence_reset(world.w.presence);
	world_settle();
	assert_int_equal(b->told[0], -1);
	assert_int_equal(a->frames, 2);
	world_close(a);
	world_close(b);
	assert_int_equal(roster_count(world.w.presence->roster), 0);
}

static void
random_step(unsigned *seed)
{
	int user = rand_r(seed) % USERS, i = rand_r(seed) % CONNS;
	struct client *k = &world.clients[i];

	switch (rand_r(seed) % 16) {
	case 0:
	case 1:
	case 2:
		world_change_member(rand_r(seed) % 3 ? 1 + i % (ROOMS - 1) : 0,
		    user);
		break;
	case 3:
	case 4:
	case 5:
		world_set_online(user, !world.online[user]);
		break;
	case 6:
	case 7:
		/* The user's key is confirmed before his list is read. */
		world_deliver_late();
		(void)world_open(user);
		break;
	case 8:
		if (k->open)
			world_close(k);
		break;
	case 9:
		if (k->open && !k->slow) {
			k->slow = true;
			k->c.out.bytes = WS_OUT_HIGH + 1;
		}
		break;
	case 10:
		if (k->open && k->slow) {
			k->slow = false;
			k->c.out.bytes = 0;
			ws_presence_wake(&k->c);
		}
		break;
	case 11:
		rooms_confirmed(world.w.rooms, world.serial);
		break;
	case 12:
	case 13:
		world_deliver_late();
		break;
	default:
		world_turn(false);
	}
}

static void
test_random(void **state)
{
	unsigned seed = 5, frames = 0, was_large = 0;

	(void)state;
	for (int step = 1; step <= STEPS; step++) {
		random_step(&seed);
		if (step % 1500 == 0)
			world_lose();
		if (step % 100 != 0)
			continue;
		world_deliver_late();
		world_settle();
		world_check();
		was_large += !world_small(0);
	}
	assert_true(was_large > 0);
	for (int i = 0; i < CONNS; i++) {
		struct client *k = &world.clients[i];

		frames += k->frames;
		if (!k->open || !k->slow)
			continue;
		k->slow = false;
		k->c.out.bytes = 0;
		ws_presence_wake(&k->c);
	}
	assert_true(frames > 0);
	world_settle();
	world_check();
	for (int i = 0; i < CONNS; i++)
		if (world.clients[i].open)
			world_close(&world.clients[i]);
	for (int u = 0; u < USERS; u++)
		world_set_online(u, false);
	world_settle();
	/* Nobody keeps anybody's number. */
	assert_int_equal(roster_count(world.w.presence->roster), 0);
}

/* Many peers do not go into the memory of who does not read. */
static void
test_no_more_than_the_output_may_hold(void **state)
{
	struct client *a;
	unsigned most = 0;

	(void)state;
	for (int i = 1; i < ROOMS; i++)
		for (int u = 0; u < USERS; u++)
			world_change_member(i, u);
	buf_clear(&world.late);
	for (int u = 1; u < USERS; u++)
		world_set_online(u, true);
	a = world_open(0);
	a->slow = true;
	a->c.out.bytes = WS_OUT_LOW - 1;
	rooms_confirmed(world.w.rooms, world.serial);
	for (int i = 0; i < 100; i++) {
		world_turn(false);
		/* Others have filled it. */
		a->c.out.bytes = WS_OUT_HIGH - 200;
		ws_presence_wake(&a->c);
		if (a->frames > most)
			most = a->frames;
	}
	assert_true(a->c.out.bytes <= WS_OUT_HIGH + 1024);
	a->slow = false;
	a->c.out.bytes = 0;
	ws_presence_wake(&a->c);
	world_settle();
	assert_int_equal(a->frames, USERS - 1);
	assert_true(most <= USERS - 1);
	world_check();
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_up, world_down)
	const struct CMUnitTest tests[] = {
		TEST(test_initial_and_change),
		TEST(test_random),
		TEST(test_no_more_than_the_output_may_hold),
	};

	return cmocka_run_group_tests_name("ws_presence", tests, NULL, NULL);
}
