/* SPDX-License-Identifier: MIT */
/* The hub's table: who wants which key, against a plain model. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "master/hub.h"

#define BIT(n) (UINT64_C(1) << (n))
#define KEYS 3000
#define SLOTS 64

static void
test_wants(void **state)
{
	struct hub *h = hub_new();

	(void)state;
	assert_int_equal(hub_workers(h, 7), 0);
	hub_add(h, 7, 0, HUB_INTEREST);
	hub_add(h, 7, 63, HUB_INTEREST);
	assert_true(hub_workers(h, 7) == (BIT(0) | BIT(63)));
	assert_int_equal(hub_workers(h, 8), 0);
	hub_del(h, 7, 0, HUB_INTEREST);
	assert_true(hub_workers(h, 7) == BIT(63));
	hub_del(h, 7, 63, HUB_INTEREST);
	assert_int_equal(hub_workers(h, 7), 0);
	assert_int_equal(hub_keys(h), 0);
	hub_free(h);
}

static void
test_interest_is_a_set(void **state)
{
	struct hub *h = hub_new();

	(void)state;
	hub_add(h, 7, 1, HUB_INTEREST);
	hub_add(h, 7, 1, HUB_INTEREST);
	hub_del(h, 7, 1, HUB_INTEREST);
	assert_int_equal(hub_workers(h, 7), 0);
	hub_del(h, 7, 1, HUB_INTEREST);
	hub_del(h, 9, 1, HUB_INTEREST);
	assert_int_equal(hub_keys(h), 0);
	hub_free(h);
}

static void
test_a_user_and_interest_are_two_wants(void **state)
{
	struct hub *h = hub_new();

	(void)state;
	hub_add(h, 7, 1, HUB_INTEREST);
	hub_add(h, 7, 1, HUB_USER);
	hub_del(h, 7, 1, HUB_INTEREST);
	assert_true(hub_workers(h, 7) == BIT(1));
	hub_add(h, 7, 1, HUB_INTEREST);
	hub_del(h, 7, 1, HUB_USER);
	assert_true(hub_workers(h, 7) == BIT(1));
	hub_del(h, 7, 1, HUB_INTEREST);
	assert_int_equal(hub_keys(h), 0);
	hub_free(h);
}

static void
test_drop_takes_one_worker_away(void **state)
{
	struct hub *h = hub_new();

	(void)state;
	for (uint64_t k = 1; k <= 5000; k++) {
		hub_add(h, k, 2, HUB_INTEREST);
		if (k % 5 == 0)
			hub_add(h, k, 3, HUB_USER);
		if (k % 7 == 0)
			hub_add(h, k, 2, HUB_USER);
	}
	assert_int_equal(hub_keys(h), 5000);
	hub_drop(h, 2);
	assert_int_equal(hub_keys(h), 1000);
	for (uint64_t k = 1; k <= 5000; k++)
		assert_true(hub_workers(h, k) == (k % 5 ? 0 : BIT(3)));
	hub_drop(h, 3);
	hub_drop(h, 3);
	assert_int_equal(hub_keys(h), 0);
	hub_free(h);
}

/* Keys that crowd one end of the table as well as scattered ones. */
static uint64_t
key_of(unsigned i)
{
	return i % 2 ? i + 1 : (uint64_t)(i + 1) << 40;
}

static void
test_against_a_model(void **state)
{
	static uint64_t model[KEYS][HUB_WANTS];
	struct hub *h = hub_new();
	unsigned seed = 1;

	(void)state;
	memset(model, 0, sizeof(model));
	for (int step = 0; step < 300000; step++) {
		/* The table swells and shrinks in turns. */
		int bias = step / 30000 % 2 ? 20 : 80;
		unsigned i = (unsigned)rand_r(&seed) % KEYS;
		unsigned slot = (unsigned)rand_r(&seed) % SLOTS;
		enum hub_want want = rand_r(&seed) % HUB_WANTS;

		if (rand_r(&seed) % 100 < bias) {
			hub_add(h, key_of(i), slot, want);
			model[i][want] |= BIT(slot);
		} else if (rand_r(&seed) % 5000 == 0) {
			hub_drop(h, slot);
			for (unsigned k = 0; k < KEYS; k++)
				for (int w = 0; w < HUB_WANTS; w++)
					model[k][w] &= ~BIT(slot);
		} else {
			for (slot = 0; slot < SLOTS; slot++)
				hub_del(h, key_of(i), slot, want);
			model[i][want] = 0;
		}
		assert_true(hub_workers(h, key_of(i)) ==
		    (model[i][0] | model[i][1]));
		if (step % 10000 == 0)
			for (unsigned k = 0; k < KEYS; k++)
				assert_true(hub_workers(h, key_of(k)) ==
				    (model[k][0] | model[k][1]));
	}
	hub_free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wants),
		cmocka_unit_test(test_interest_is_a_set),
		cmocka_unit_test(test_a_user_and_interest_are_two_wants),
		cmocka_unit_test(test_drop_takes_one_worker_away),
		cmocka_unit_test(test_against_a_model),
	};

	return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
