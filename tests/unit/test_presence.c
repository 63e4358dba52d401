/* SPDX-License-Identifier: MIT */
/* Presence: the connection limit over all workers, and that a user's key is
 * wanted by a worker exactly while he has a connection there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ids.h"
#include "master/hub.h"
#include "master/presence.h"

#define BIT(n) (UINT64_C(1) << (n))
#define USERS 400
#define SLOTS 5
#define GRACE 5000

struct fixture {
	struct presence *p;
	struct hub *hub;
	unsigned calls;
};

static void
on_change(uint64_t key, unsigned slot, bool present, void *arg)
{
	struct fixture *f = arg;
	struct hub_slots slots = { 0 };

	f->calls++;
	/* Only changes are told. */
	hub_workers(f->hub, key, &slots);
	assert_int_equal(slots.low >> slot & 1, !present);
	if (present)
		hub_add(f->hub, key, slot, HUB_USER);
	else
		hub_del(f->hub, key, slot, HUB_USER);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->hub = hub_new();
	f->p = presence_new(on_change, f, GRACE);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	presence_free(f->p);
	hub_free(f->hub);
	free(f);
	return 0;
}

static struct str
user(const char *name)
{
	return (struct str){ name, strlen(name) };
}

static uint64_t
workers_of(const struct fixture *f, uint64_t tenant, const char *name)
{
	struct hub_slots slots = { 0 };

	hub_workers(f->hub, id_user_key(tenant, name, strlen(name)), &slots);
	assert_int_equal(slots.high, 0);
	return slots.low;
}

static void
test_limit_over_all_workers(void **state)
{
	struct fixture *f = *state;
	struct str alice = user("alice");

	for (unsigned i = 0; i < 5; i++)
		assert_true(presence_attach(f->p, i % 3, 1, alice, 5));
	assert_false(presence_attach(f->p, 0, 1, alice, 5));
	assert_false(presence_attach(f->p, 4, 1, alice, 5));
	assert_int_equal(presence_count(f->p, 1, alice), 5);
	/* A refusal leaves no trace. */
	assert_int_equal(workers_of(f, 1, "alice") >> 4 & 1, 0);
	assert_int_equal(presence_detach(f->p, 2, 1, alice, 0), 0);
	assert_true(presence_attach(f->p, 4, 1, alice, 5));
	assert_false(presence_attach(f->p, 4, 1, alice, 5));
}

static void
test_tenants_and_names_are_apart(void **state)
{
	struct fixture *f = *state;

	assert_true(presence_attach(f->p, 0, 1, user("alice"), 1));
	assert_true(presence_attach(f->p, 0, 2, user("alice"), 1));
	assert_true(presence_attach(f->p, 0, 1, user("alic"), 1));
	assert_true(presence_attach(f->p, 0, 1, user("alicf"), 1));
	assert_false(presence_attach(f->p, 0, 2, user("alice"), 1));
	assert_int_equal(presence_total(f->p), 4);
}

static void
test_no_limit(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 1000; i++)
		assert_true(presence_attach(f->p, 0, 1, user("bot"), 0));
	assert_int_equal(presence_count(f->p, 1, user("bot")), 1000);
	assert_int_equal(f->calls, 1);
}

/* A reload: who is in grace gets no more than the new one, and none who goes
 * later waits for one who went before. */
static void
test_another_grace(void **state)
{
	struct fixture *f = *state;

	assert_true(presence_attach(f->p, 0, 1, user("ann"), 5));
	assert_true(presence_attach(f->p, 0, 1, user("bob"), 5));
	assert_true(presence_attach(f->p, 0, 1, user("carl"), 5));
	assert_int_equal(presence_detach(f->p, 0, 1, user("ann"), 1000), 0);
	presence_set_grace(f->p, 10 * GRACE, 1000);
	assert_int_equal(presence_detach(f->p, 0, 1, user("bob"), 1000), 0);
	presence_due(f->p, 1000 + GRACE, 100);
	assert_int_equal(presence_online(f->p), 2);
	presence_set_grace(f->p, 2 * GRACE, 1000 + GRACE);
	assert_int_equal(presence_wait(f->p, 1000 + GRACE), 2 * GRACE);
	assert_int_equal(presence_detach(f->p, 0, 1, user("carl"),
			     1000 + GRACE),
	    0);
	presence_due(f->p, 1000 + 3 * GRACE, 100);
	assert_int_equal(presence_online(f->p), 0);
	assert_true(presence_wait(f->p, 1000 + 3 * GRACE) == PRESENCE_NEVER);
}

/* For the metrics: in grace he still counts, gone and not told he doesn't. */
static void
test_online_are_counted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(presence_online(f->p), 0);
	presence_join(f->p, 0);
	assert_true(presence_attach(f->p, 0, 1, user("ann"), 5));
	assert_true(presence_attach(f->p, 1, 1, user("ann"), 5));
	assert_true(presence_attach(f->p, 1, 1, user("bob"), 5));
	assert_int_equal(presence_online(f->p), 2);
	presence_drop(f->p, 1, 10);
	assert_int_equal(presence_online(f->p), 2);
	presence_due(f->p, 10 + GRACE, 100);
	assert_int_equal(presence_online(f->p), 1);
	assert_int_equal(presence_users(f->p), 2);
	assert_true(presence_attach(f->p, 0, 1, user("bob"), 5));
	assert_int_equal(presence_online(f->p), 2);
	presence_drop(f->p, 0, 20);
	presence_due(f->p, 20 + GRACE, 100);
	assert_int_equal(presence_online(f->p), 0);
}

static void
test_key_is_wanted_while_attached(void **state)
{
	struct fixture *f = *state;
	struct str bob = user("bob");

	assert_true(presence_attach(f->p, 1, 9, bob, 5));
	assert_true(presence_attach(f->p, 1, 9, bob, 5));
	assert_true(presence_attach(f->p, 3, 9, bob, 5));
	assert_true(workers_of(f, 9, "bob") == (BIT(1) | BIT(3)));
	assert_int_equal(presence_detach(f->p, 1, 9, bob, 0), 0);
	assert_true(workers_of(f, 9, "bob") == (BIT(1) | BIT(3)));
	assert_int_equal(presence_detach(f->p, 1, 9, bob, 0), 0);
	assert_true(workers_of(f, 9, "bob") == BIT(3));
	assert_int_equal(presence_detach(f->p, 1, 9, bob, 0), -1);
	assert_int_equal(presence_detach(f->p, 3, 9, bob, 0), 0);
	assert_int_equal(hub_keys(f->hub), 0);
	assert_int_equal(presence_total(f->p), 0);
}

static void
test_dead_worker_is_subtracted(void **state)
{
	struct fixture *f = *state;
	struct str eve = user("eve");

	for (int i = 0; i < 3; i++)
		assert_true(presence_attach(f->p, 0, 1, eve, 5));
	for (int i = 0; i < 2; i++)
		assert_true(presence_attach(f->p, 1, 1, eve, 5));
	assert_false(presence_attach(f->p, 1, 1, eve, 5));
	presence_drop(f->p, 0, 0);
	assert_int_equal(presence_count(f->p, 1, eve), 2);
	assert_true(workers_of(f, 1, "eve") == BIT(1));
	for (int i = 0; i < 3; i++)
		assert_true(presence_attach(f->p, 0, 1, eve, 5));
	assert_false(presence_attach(f->p, 0, 1, eve, 5));
}

static void
test_against_a_model(void **state)
{
	struct fixture *f = *state;
	static unsigned model[USERS][SLOTS];
	unsigned seed = 7, total = 0;

	memset(model, 0, sizeof(model));
	for (int step = 0; step < 200000; step++) {
		unsigned u = (unsigned)rand_r(&seed) % USERS, sum = 0;
		unsigned slot = (unsigned)rand_r(&seed) % SLOTS;
		char name[16];

		(void)snprintf(name, sizeof(name), "user%u", u / 2);
		for (int s = 0; s < SLOTS; s++)
			sum += model[u][s];
		if (rand_r(&seed) % 9000 == 0) {
			presence_drop(f->p, slot, 0);
			for (u = 0; u < USERS; u++) {
				total -= model[u][slot];
				model[u][slot] = 0;
			}
		} else if (rand_r(&seed) % 2) {
			bool ok = presence_attach(f->p, slot, u % 2, user(name),
			    7);

			assert_int_equal(ok, sum < 7);
			model[u][slot] += ok;
			total += ok;
		} else {
			int rc = presence_detach(f->p, slot, u % 2, user(name),
			    0);

			assert_int_equal(rc, model[u][slot] > 0 ? 0 : -1);
			model[u][slot] -= rc == 0;
			total -= rc == 0;
		}
		assert_int_equal(presence_total(f->p), total);
	}
	for (unsigned u = 0; u < USERS; u++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "user%u", u / 2);
		for (unsigned s = 0; s < SLOTS; s++)
			assert_int_equal(workers_of(f, u % 2, name) >> s & 1,
			    model[u][s] > 0);
	}
	for (unsigned s = 0; s < SLOTS; s++)
		presence_drop(f->p, s, 0);
	assert_int_equal(hub_keys(f->hub), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_limit_over_all_workers),
		TEST(test_tenants_and_names_are_apart),
		TEST(test_no_limit),
		TEST(test_another_grace),
		TEST(test_online_are_counted),
		TEST(test_key_is_wanted_while_attached),
		TEST(test_dead_worker_is_subtracted),
		TEST(test_against_a_model),
	};

	return cmocka_run_group_tests_name("presence", tests, NULL, NULL);
}
